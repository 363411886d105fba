/* fastest.c - orders targets by the time until the answer is probably complete.
 *
 * Expected time = time to the first token + time per token * expected tokens, divided by
 * the share of calls that succeed. A target that nobody has measured stands last, as one
 * no faster than the slowest. Of the
 * requests one in ten looks around: it begins with the target that has been silent for
 * longest, if that is longer than `recheck_ms` and nobody asks it at present. So a new
 * target gets its chance, one that was slow and has recovered is found again, and a slow
 * one costs one request a minute. Lower scores are better; milliseconds.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include <latenza/plugin.h>

struct fastest {
	int64_t expected_tokens, recheck_ms;
	double explore;
};

enum {
	WHY_BYTES = 48
};
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

/* The one to begin with for once; n: none. */
static size_t
longest_silent(const struct fastest *f, lz_call *c, size_t n)
{
	size_t found = n;
	int64_t longest = f->recheck_ms;

	for (size_t i = 0; i < n; i++) {
		const lz_target *t = lz->target(c, i);
		int64_t silent = t->samples == 0 ? INT64_MAX : t->silent_ms;

		if (t->in_flight == 0 && t->healthy && silent > longest) {
			longest = silent;
			found = i;
		}
	}
	return found;
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
	double *tie = lz->alloc(c, n * sizeof(*tie)), slowest = 0;
	lz_str *why = lz->alloc(c, n * sizeof(*why));
	double tokens = tokens_of(f, c);
	size_t looks_at = is_exploring(f) ? longest_silent(f, c, n) : n;

	if (score == NULL || tie == NULL || why == NULL)
		return LZ_E_NOMEM;
	for (size_t i = 0; i < n; i++) {
		score[i] = lz_expected_ms(lz->target(c, i), tokens);
		slowest = score[i] > slowest ? score[i] : slowest;
	}
	for (size_t i = 0; i < n; i++) {
		int is_known = score[i] >= 0;

		why[i] = i == looks_at ? lz_strz("not measured lately: tried first")
			 : is_known    ? say_ms(c, score[i])
				       : lz_strz("not measured yet");
		score[i] = i == looks_at ? 0 : is_known ? score[i] : slowest;
		tie[i] = i == looks_at ? -1 : !is_known;
	}
	return lz_prefer_rising(c, score, tie, why);
}

static const lz_option options[] = {
	LZ_OPT_INT(struct fastest, expected_tokens, "300", 1, 1000000, NULL,
	    "length of an answer when the caller sets no limit"),
	LZ_OPT_REAL(struct fastest, explore, "0.1", 0, 1,
	    "share of requests that look at a target not measured lately"),
	{ "recheck_ms", "silence after which a target is looked at again", "60s",
	    "duration", 1000, 86400000, LZ_INT_OPTION,
	    LZ_AT(struct fastest, recheck_ms, int64_t) },
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
