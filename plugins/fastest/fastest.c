/* fastest.c - orders targets by the time until the answer is probably complete.
 *
 * Expected time = time to the first token + time per token * expected tokens, divided by
 * the share of calls that succeed. A target that nobody has measured yet stands last, but
 * one request in ten begins with such targets: so each gets its chance, and a new one
 * costs at most a tenth of the traffic until it is known. Lower scores are better;
 * milliseconds.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include <latenza/plugin.h>

struct fastest {
	int64_t expected_tokens;
	double explore;
};

enum {
	WHY_BYTES = 48
};
static const double unknown_ms = 1e9;

static lz_str
say_ms(lz_call *c, double ms)
{
	char *p = lz->alloc(c, WHY_BYTES);
	int n;

	if (p == NULL)
		return lz_strz("");
	n = snprintf(p, WHY_BYTES, "%.0f ms expected", ms);
	return lz_strn(p, n > 0 ? (size_t)n : 0);
}

static int
is_exploring(const struct fastest *f)
{
	uint32_t draw;

	lz->random(&draw, sizeof(draw));
	return (double)draw / 4294967296.0 < f->explore;
}

static double
tokens_of(const struct fastest *f, lz_call *c)
{
	int64_t asked = lz->request(c)->max_output_tokens;

	return (double)(asked >= 0 && asked < f->expected_tokens ? asked
								 : f->expected_tokens);
}

static int32_t
pick(void *self, lz_call *c)
{
	const struct fastest *f = self;
	size_t n = lz->targets(c);
	double *score = lz->alloc(c, n * sizeof(*score));
	lz_str *why = lz->alloc(c, n * sizeof(*why));
	double tokens = tokens_of(f, c);
	int explores = is_exploring(f);

	if (score == NULL || why == NULL)
		return LZ_E_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const lz_target *t = lz->target(c, i);
		double ms = lz_expected_ms(t, tokens);

		score[i] = ms >= 0 ? ms : explores ? 0 : unknown_ms;
		why[i] = ms >= 0 ? say_ms(c, ms)
				 : lz_strz(explores ? "not measured yet: tried first"
						    : "not measured yet");
	}
	return lz_prefer_rising(c, score, NULL, why);
}

static const lz_option options[] = {
	LZ_OPT_INT(struct fastest, expected_tokens, "300", 1, 1000000, NULL,
	    "length of an answer when the caller sets no limit"),
	LZ_OPT_REAL(struct fastest, explore, "0.1", 0, 1,
	    "share of requests that begin with targets not measured yet"),
};
static const lz_router router = { .size = sizeof(router), .pick = pick };
static const lz_component parts[] = { {
    .kind = LZ_ROUTER,
    .name = "fastest",
    .summary = "Shortest expected time first",
    .vtable = &router,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct fastest),
} };
LZ_PLUGIN("fastest", "0.1.0", "MIT", parts)
