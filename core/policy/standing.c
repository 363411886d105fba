/* standing.c - a thousand dead targets cost a living one nothing.
 *
 * A list that is long is kept in two parts, the living before the dead, and sorted anew
 * when any breaker has opened or closed since (live_changes()). A request takes the
 * living, and the next few of the dead. Whoever finds the list taken by another worker
 * reads it through instead of waiting.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policy/standing.h"

#include <string.h>
#include "request/live.h"

enum {
	DEAD = 1 /* of those a request looks at: a row costs 5,000 instructions */
};

static bool
is_dead(const struct target *t)
{
	return live_open_until_us(live_of(t)) != 0;
}

/* The living in the list's order, then the dead in the list's order. */
static void
sort(const struct model_name *list, struct config_standing *s)
{
	size_t dead = 0;

	s->changes = live_changes();
	s->living = 0;
	for (size_t i = 0; i < list->count; i++) {
		if (is_dead(list->target[i]))
			s->order[list->count - ++dead] = list->target[i];
		else
			s->order[s->living++] = list->target[i];
	}
	for (size_t i = 0; i < dead / 2; i++) {
		const struct target **a = &s->order[s->living + i],
				    **b = &s->order[list->count - 1 - i], *t = *a;

		*a = *b;
		*b = t;
	}
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
take(const struct model_name *list, struct config_standing *s, const struct target **out,
    size_t max, bool takes_turn)
{
	size_t dead = list->count - s->living, n = smaller(s->living, max);
	size_t looked_at = smaller(smaller(dead, DEAD), max - n);

	memcpy(out, s->order, n * sizeof(*out));
	for (size_t i = 0; i < looked_at; i++)
		out[n++] = s->order[s->living + (s->next + i) % dead];
	if (takes_turn)
		s->next += looked_at;
	return n;
}

static size_t
all(const struct model_name *list, const struct target **out, size_t max)
{
	size_t n = smaller(list->count, max);

	if (n > 0)
		memcpy(out, list->target, n * sizeof(*out));
	return n;
}

size_t
standing_pick(const struct model_name *list, const struct target **out, size_t max,
    size_t *left_out, bool takes_turn)
{
	struct config_standing *s = list->standing;
	size_t n;

	*left_out = 0;
	if (s == NULL ||
	    atomic_flag_test_and_set_explicit(&s->is_busy, memory_order_acquire))
		return all(list, out, max);
	if (s->changes != live_changes())
		sort(list, s);
	n = take(list, s, out, max, takes_turn);
	if (s->living == 0) /* then all are looked at */
		n = all(list, out, max);
	atomic_flag_clear_explicit(&s->is_busy, memory_order_release);
	*left_out = smaller(list->count, max) - n;
	return n;
}
