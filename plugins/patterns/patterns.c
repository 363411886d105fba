/* patterns.c - a guardrail of listed words and PCRE2 expressions.
 *
 * load.c makes entries of the options, words.c finds many words at once, scan.c looks
 * through texts and decides; see README.md.
 *
 * SPDX-License-Identifier: MIT
 */
#include "patterns.h"

static int32_t
init(void *self, char *err, size_t err_len)
{
	return patterns_load(self, err, err_len);
}

static void
fini(void *self)
{
	patterns_unload(self);
}

static const lz_option options[] = {
	LZ_OPT_JSON(struct patterns, words, "{\"type\":\"array\"}",
	    "what to look for: words or phrases, or maps of word, whole_word, code, "
	    "action, "
	    "replacement"),
	{ "words_file", "a file with a word or phrase on each line; # begins a comment",
	    "", NULL, 0, 0, LZ_TEXT_OPTION, LZ_AT(struct patterns, words_file, lz_str) },
	LZ_OPT_JSON(struct patterns, expressions, "{\"type\":\"array\"}",
	    "PCRE2 expressions, or maps of pattern, code, action, replacement"),
	LZ_OPT_CHOICE(struct patterns, action, "block", "block|mask|flag",
	    "what a match leads to, where its entry says nothing else"),
	LZ_OPT_TEXT(struct patterns, code, "pattern", NULL,
	    "the reason that is told, where an entry says nothing else"),
	LZ_OPT_TEXT(struct patterns, replacement, "[removed]", NULL,
	    "what a mask writes, where an entry says nothing else"),
	LZ_OPT_BOOL(
	    struct patterns, ignore_case, "true", "upper and lower case are the same"),
	LZ_OPT_BOOL(struct patterns, whole_words, "true",
	    "words do not match inside of longer ones"),
	LZ_OPT_INT(struct patterns, match_limit, "100000", 100, 100000000, NULL,
	    "steps of one search of an expression; more is an error"),
	LZ_OPT_INT(struct patterns, depth_limit, "10000", 10, 1000000, NULL,
	    "how deep a search may nest where it is not compiled to machine code"),
	LZ_OPT_INT(struct patterns, heap_limit, "4MB", 65536, 268435456, "bytes",
	    "memory of such a search"),
};
static const lz_guardrail guardrail = {
	.size = sizeof(guardrail),
	.phases = LZ_REQUEST | LZ_RESPONSE,
	.needs = LZ_NEEDS_TEXTS,
	.streams = 1,
	.context = CONTEXT,
	.check = patterns_check,
};
static const lz_component parts[] = { {
    .kind = LZ_GUARDRAIL,
    .name = "patterns",
    .summary = "Listed words and PCRE2 expressions",
    .vtable = &guardrail,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct patterns),
    .init = init,
    .fini = fini,
} };
LZ_PLUGIN("patterns", "0.1.0", "MIT", parts)
