/* balanced.c - blends cost, expected time and quality into one score.
 *
 * Each of the three is put on a scale from 0 (best of the targets at hand) to 1 (worst of
 * them); what is not known of a target counts 0.5, and what all have alike counts 0. The
 * score is the mean of the three, weighed by the options. Lower is better.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include <latenza/plugin.h>

struct balanced {
	double cost, latency, quality; /* weights */
	int64_t expected_tokens;
};

enum {
	WHY_BYTES = 96
};
static const double not_known = 0.5;

/* Puts n values on the scale; what is negative is not known. */
static void
scale(double *value, size_t n)
{
	double low = 0, high = 0;
	int any = 0;

	for (size_t i = 0; i < n; i++) {
		if (value[i] < 0)
			continue;
		if (!any || value[i] < low)
			low = value[i];
		if (!any || value[i] > high)
			high = value[i];
		any = 1;
	}
	for (size_t i = 0; i < n; i++) {
		if (value[i] < 0)
			value[i] = any ? not_known : 0;
		else
			value[i] = high > low ? (value[i] - low) / (high - low) : 0;
	}
}

/* "cost 0.25", of a value from 0 to 1. By hand, because this is written for every target
 * of every request, and printf's reals cost more than all the rest of pick(). */
static char *
put(char *p, const char *name, double value)
{
	int hundredths = (int)(value * 100 + 0.5);
	size_t n = strlen(name);

	memcpy(p, name, n);
	p += n;
	*p++ = (char)('0' + hundredths / 100);
	*p++ = '.';
	*p++ = (char)('0' + hundredths / 10 % 10);
	*p++ = (char)('0' + hundredths % 10);
	return p;
}

static lz_str
explain(lz_call *c, double cost, double latency, double quality)
{
	char *text = lz->alloc(c, WHY_BYTES), *p = text;

	if (p == NULL)
		return lz_strz("");
	p = put(p, "cost ", cost);
	p = put(p, ", latency ", latency);
	p = put(p, ", quality ", quality);
	return lz_strn(text, (size_t)(p - text));
}

static double
tokens_of(const struct balanced *b, lz_call *c)
{
	int64_t asked = lz->request(c)->max_output_tokens;

	return (double)(asked >= 0 && asked < b->expected_tokens ? asked
								 : b->expected_tokens);
}

static int32_t
pick(void *self, lz_call *c)
{
	const struct balanced *b = self;
	size_t n = lz->targets(c);
	double *cost = lz->alloc(c, 4 * n * sizeof(*cost));
	double *latency, *quality, *score;
	lz_str *why = lz->alloc(c, n * sizeof(*why));
	double sum = b->cost + b->latency + b->quality, tokens = tokens_of(b, c);

	if (cost == NULL || why == NULL)
		return LZ_E_NOMEM;
	latency = cost + n;
	quality = latency + n;
	score = quality + n;
	for (size_t i = 0; i < n; i++) {
		const lz_target *t = lz->target(c, i);

		cost[i] = (double)t->cost_estimate;
		latency[i] = lz_expected_ms(t, tokens);
		quality[i] = t->quality >= 0 ? 1 - t->quality : -1;
	}
	scale(cost, n);
	scale(latency, n);
	scale(quality, n);
	for (size_t i = 0; i < n; i++) {
		score[i] = (b->cost * cost[i] + b->latency * latency[i] +
			       b->quality * quality[i]) /
			   sum;
		why[i] = explain(c, cost[i], latency[i], quality[i]);
	}
	return lz_prefer_rising(c, score, NULL, why);
}

static int32_t
init(void *self, char *err, size_t err_len)
{
	const struct balanced *b = self;

	if (b->cost + b->latency + b->quality > 0)
		return LZ_OK;
	(void)snprintf(err, err_len,
	    "cost, latency and quality are all 0; at least one must weigh something");
	return LZ_E_INVALID;
}

static const lz_option options[] = {
	LZ_OPT_REAL(struct balanced, cost, "0.4", 0, 1, "weight of the estimated cost"),
	LZ_OPT_REAL(struct balanced, latency, "0.3", 0, 1, "weight of the expected time"),
	LZ_OPT_REAL(
	    struct balanced, quality, "0.3", 0, 1, "weight of the model's quality"),
	LZ_OPT_INT(struct balanced, expected_tokens, "300", 1, 1000000, NULL,
	    "length of an answer when the caller sets no limit"),
};
static const lz_router router = { .size = sizeof(router), .pick = pick };
static const lz_component parts[] = { {
    .kind = LZ_ROUTER,
    .name = "balanced",
    .summary = "A blend of cost, time and quality",
    .vtable = &router,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct balanced),
    .init = init,
} };
LZ_PLUGIN("balanced", "0.1.0", "MIT", parts)
