/* cheapest.c - orders targets by what this request will probably cost there.
 *
 * The estimate is the host's: the prompt as counted, the output as asked for, at each
 * model's own prices. What has no price comes last. Lower scores are better; the score is
 * in EUR.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include <latenza/plugin.h>

enum {
	WHY_BYTES = 48
};
static const double no_price = 1e9; /* EUR: behind whatever has one */

static lz_str
say_cost(lz_call *c, int64_t nano_eur)
{
	char *p = lz->alloc(c, WHY_BYTES);
	int n;

	if (p == NULL)
		return lz_strz("");
	n = snprintf(p, WHY_BYTES, "%.9g EUR", (double)nano_eur / 1e9);
	return lz_strn(p, n > 0 ? (size_t)n : 0);
}

static int32_t
pick(void *self, lz_call *c)
{
	size_t n = lz->targets(c);
	double *score = lz->alloc(c, n * sizeof(*score));
	double *tie = lz->alloc(c, n * sizeof(*tie));
	lz_str *why = lz->alloc(c, n * sizeof(*why));

	(void)self;
	if (score == NULL || tie == NULL || why == NULL)
		return LZ_E_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const lz_target *t = lz->target(c, i);
		int has_price = t->cost_estimate >= 0;

		score[i] = has_price ? (double)t->cost_estimate / 1e9 : no_price;
		tie[i] = -t->quality; /* for the same money, the better one */
		why[i] = has_price ? say_cost(c, t->cost_estimate) : lz_strz("no price");
	}
	return lz_prefer_rising(c, score, tie, why);
}

static const lz_router router = { .size = sizeof(router), .pick = pick };
static const lz_component parts[] = { {
    .kind = LZ_ROUTER,
    .name = "cheapest",
    .summary = "Least estimated cost first",
    .vtable = &router,
} };
LZ_PLUGIN("cheapest", "0.1.0", "MIT", parts)
