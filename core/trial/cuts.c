/* cuts.c - a text cut in many ways gives one result.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trial/guardrail.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
	STEPS = 8,        /* every 1 to 8 bytes */
	LONGEST = 24,     /* of a random piece */
	CUTS_BYTES = 200, /* of a problem's sentence */
	SHOWN_BYTES = 80
};

/* ---- ways to cut ---- */

struct cuts {
	const size_t *at;
	size_t count;
};

static size_t
next_cut(void *arg, size_t arrived)
{
	struct cuts *w = arg;

	while (w->count > 0 && w->at[0] <= arrived) {
		w->at++;
		w->count--;
	}
	return w->count > 0 ? w->at[0] : SIZE_MAX;
}

static size_t
next_step(void *arg, size_t arrived)
{
	return arrived + *(size_t *)arg;
}

/* xorshift64*: the same seed is the same stream on every machine. */
static uint64_t
draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static uint64_t
seeded(uint64_t seed)
{
	return seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* Short pieces mostly, as models write, and long ones. */
static size_t
next_random(void *arg, size_t arrived)
{
	uint64_t r = draw(arg);

	return arrived + 1 + (size_t)(r >> 8) % (r % 4 == 0 ? LONGEST : 5);
}

const struct testhost_result *
testhost_stream(struct testhost *h, lz_str text, const size_t *cuts, size_t cut_count)
{
	struct cuts w = { cuts, cut_count };

	return trial_stream(h, text, next_cut, &w);
}

const struct testhost_result *
testhost_stream_every(struct testhost *h, lz_str text, size_t n)
{
	size_t step = n == 0 ? 1 : n;

	return trial_stream(h, text, next_step, &step);
}

const struct testhost_result *
testhost_stream_random(struct testhost *h, lz_str text, uint64_t seed)
{
	uint64_t state = seeded(seed);

	return trial_stream(h, text, next_random, &state);
}

/* ---- the same whatever the cuts ---- */

/* What the whole text leads to. */
struct whole {
	int32_t verdict;
	char *out;
	char *codes; /* a line for each */
};

/* The codes, each once, as lines. owned */
static char *
codes_of(const struct testhost_result *r)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < r->finding_count; i++) {
		lz_str code = r->findings[i].code;
		size_t k = 0;

		while (k < i && !str_eq(r->findings[k].code, code))
			k++;
		if (k == i)
			buf_addf(&b, "%.*s\n", STR_ARG(code));
	}
	buf_add_char(&b, '\0');
	return b.ptr;
}

static const char *
leak_in(const struct testhost_result *r, const char *text, const char *secret)
{
	const char *at = secret == NULL ? NULL : strstr(text, secret);

	if (at == NULL)
		return NULL;
	if (r->verdict == LZ_BLOCK && r->released > (size_t)(at - text))
		return "bytes of the secret had gone out when the stream was blocked";
	if (r->text_count > 0 && strstr(r->texts[0].ptr, secret) != NULL)
		return "the secret is in what the caller received";
	return NULL;
}

/* How the result differs from the whole text's; NULL: it does not. */
static const char *
difference(const struct testhost_result *r, const struct whole *w, const char *text,
    const char *secret)
{
	const char *leak = leak_in(r, text, secret);
	char *codes;
	bool is_same;

	if (leak != NULL)
		return leak;
	if (r->verdict != w->verdict)
		return "the verdict is not the whole text's";
	codes = codes_of(r);
	is_same = strcmp(codes, w->codes) == 0;
	mem_free(codes);
	if (!is_same)
		return "the findings' codes are not the whole text's";
	if (r->verdict != LZ_BLOCK && r->verdict >= 0 && !str_is(r->texts[0], w->out))
		return "what the caller received is not the whole text's";
	return NULL;
}

static void
tell(struct testhost *h, const struct testhost_result *r, const struct whole *w,
    const char *why, const char *how)
{
	lz_str got = r->text_count > 0 ? r->texts[0] : STR_LIT("");

	trial_problem(h, "cut %s: %s; verdict %d, \"%.*s\"; whole: verdict %d, \"%.*s\"",
	    how, why, (int)r->verdict,
	    (int)(got.len < SHOWN_BYTES ? got.len : SHOWN_BYTES), got.ptr,
	    (int)w->verdict, SHOWN_BYTES, w->out);
}

static void
random_cuts_shown(lz_str text, uint64_t seed, char how[CUTS_BYTES])
{
	uint64_t state = seeded(seed);
	int n = snprintf(
	    how, CUTS_BYTES, "at random (seed %llu) at", (unsigned long long)seed);

	for (size_t at = next_random(&state, 0); at < text.len && n < CUTS_BYTES - 24;
	     at = next_random(&state, at))
		n += snprintf(how + n, (size_t)(CUTS_BYTES - n), " %zu", at);
}

size_t
testhost_cuts(struct testhost *h, const char *text, const char *secret, size_t splits,
    uint64_t seed)
{
	lz_str whole = lz_strz(text);
	const struct testhost_result *r = testhost_stream(h, whole, NULL, 0);
	struct whole w = { .verdict = r->verdict };
	size_t differ = 0;

	if (r->text_count == 0)
		return 1; /* told already: it is no guardrail for streams */
	w.out = mem_dup(r->texts[0].ptr, r->texts[0].len);
	w.codes = codes_of(r);
	if (secret != NULL && strstr(text, secret) == NULL)
		trial_problem(h, "testhost_cuts(): the secret is not in the text");
	for (size_t i = 0; i <= STEPS + splits; i++) {
		char how[CUTS_BYTES];
		const char *why;

		if (i > STEPS)
			r = testhost_stream_random(h, whole, seed + i);
		else if (i > 0)
			r = testhost_stream_every(h, whole, i);
		why = difference(r, &w, text, secret);
		if (why == NULL)
			continue;
		differ++;
		if (i > STEPS)
			random_cuts_shown(whole, seed + i, how);
		else
			(void)snprintf(how, sizeof(how),
			    i > 0 ? "every %zu bytes" : "nowhere (%zu cuts)", i);
		tell(h, r, &w, why, how);
	}
	mem_free(w.out);
	mem_free(w.codes);
	return differ;
}
