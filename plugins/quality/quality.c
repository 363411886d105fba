/* quality.c - orders targets by the quality of their models, and among equals by cost.
 *
 * Quality is the catalogue's figure, 0 to 1, or the file's own. What nobody has rated
 * comes last. Lower scores are better: the score is what is missing to 1.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include <latenza/plugin.h>

enum {
	WHY_BYTES = 32
};
static const double unrated = 2, no_price = 1e18;

static lz_str
say_quality(lz_call *c, double quality)
{
	char *p = lz->alloc(c, WHY_BYTES);
	int n;

	if (p == NULL)
		return lz_strz("");
	n = snprintf(p, WHY_BYTES, "quality %.2f", quality);
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

		score[i] = t->quality >= 0 ? 1 - t->quality : unrated;
		tie[i] = t->cost_estimate >= 0 ? (double)t->cost_estimate : no_price;
		why[i] =
		    t->quality >= 0 ? say_quality(c, t->quality) : lz_strz("not rated");
	}
	return lz_prefer_rising(c, score, tie, why);
}

static const lz_router router = { .size = sizeof(router), .pick = pick };
static const lz_component parts[] = { {
    .kind = LZ_ROUTER,
    .name = "quality",
    .summary = "Best model first",
    .vtable = &router,
} };
LZ_PLUGIN("quality", "0.1.0", "MIT", parts)
