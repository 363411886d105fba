/* wordlist.c - a guardrail: masks listed words, or blocks what holds them, in prompts,
 * answers and live streams, however they are written. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <latenza/plugin.h>
#include <strings.h>

#define STARS lz_strz("***")
struct options {
	lz_list words;
	int32_t block;
};

static int
is_listed(const struct options *w, const char *word, size_t len)
{
	for (size_t i = 0; i < w->words.count; i++)
		if (w->words.items[i].len == len &&
		    strncasecmp(w->words.items[i].ptr, word, len) == 0)
			return 1;
	return 0;
}

static int32_t
check(void *self, lz_call *c)
{
	const struct options *w = self;

	for (size_t i = 0, n = lz->texts(c); i < n; i++) {
		const lz_text *t = lz->text(c, i);
		lz_str s = t->plain;

		for (size_t at = 0, to = 0; at < s.len; at = ++to) {
			size_t from = lz->origin(c, i, at);

			while (to < s.len && (s.ptr[to] & 128 || isalnum(s.ptr[to])))
				to++;
			/* What ends the text so far may be half a word: it stays back. */
			if (to == s.len && !t->final && lz->hold(c, i, from) == LZ_OK)
				continue;
			if (from < t->seen || !is_listed(w, s.ptr + at, to - at))
				continue;
			lz->reason(c, lz_strz("word.listed"), lz_strz("a listed word"));
			if (w->block ||
			    lz->replace(c, i, from, lz->origin(c, i, to), STARS) < 0)
				return LZ_BLOCK; /* also what cannot be masked */
		}
	}
	return LZ_OK;
}

static const lz_option options[] = {
	LZ_OPT_LIST(struct options, words, NULL, NULL, "the words, in any case"),
	LZ_OPT_BOOL(struct options, block, "false", "refuse instead of masking"),
};
static const lz_guardrail guardrail = { sizeof(guardrail), LZ_REQUEST | LZ_RESPONSE,
	LZ_NEEDS_TEXTS, .streams = 1, .check = check };
static const lz_component parts[] = { { LZ_GUARDRAIL, "wordlist", "Masks words of a list",
    &guardrail, LZ_OPTIONS(options), sizeof(struct options), 0, NULL, NULL } };
LZ_PLUGIN("acme.wordlist", "1.0.0", "MIT", parts)
