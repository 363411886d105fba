/* weights.c - which deployment of a name comes first this time.
 *
 * Requests of a name are counted, and the n-th one draws the fraction of n times the
 * golden ratio: those fractions fill the line evenly however many are taken, so shares
 * hold over a dozen requests and not only in the long run, and nothing is locked. What is
 * left of the fraction inside the piece it fell into is a new one, for the next place.
 * Routers keep this order among targets that they find equal.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policy/weights.h"

#include <string.h>

static const uint32_t golden = 2654435769u; /* 2^32 divided by the golden ratio */

static uint32_t
turn_of(const struct target *first, bool is_taken)
{
	/* one of the two members that are set after the fact */
	struct target *mine = (struct target *)(uintptr_t)first;

	if (!is_taken)
		return atomic_load_explicit(&mine->turn, memory_order_relaxed);
	return atomic_fetch_add_explicit(&mine->turn, 1, memory_order_relaxed);
}

/* Whom `at`, from 0 to 1, falls upon; at becomes its place inside that piece. */
static size_t
draw(const struct target *const *t, size_t n, double *at)
{
	double sum = 0, begin = 0;
	size_t last = 0;

	for (size_t i = 0; i < n; i++)
		sum += t[i]->weight;
	for (size_t i = 0; i < n; i++) {
		double share = sum > 0 ? t[i]->weight / sum : 0;

		if (share > 0 && *at < begin + share) {
			*at = (*at - begin) / share;
			return i;
		}
		begin += share;
		last = share > 0 ? i : last; /* for what rounding leaves at the end */
	}
	*at = 0;
	return last;
}

void
weights_order(const struct target **t, size_t n, bool takes_turn)
{
	double at;

	if (n < 2 || !t[0]->is_deployment)
		return;
	at = (double)(uint32_t)(turn_of(t[0], takes_turn) * golden) / 4294967296.0;
	for (size_t i = 0; i + 1 < n; i++) {
		size_t chosen = i + draw(t + i, n - i, &at);
		const struct target *it = t[chosen];

		memmove(&t[i + 1], &t[i], (chosen - i) * sizeof(*t));
		t[i] = it;
	}
}
