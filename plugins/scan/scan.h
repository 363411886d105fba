/* scan.h - what guardrails share that look for shapes in texts.
 *
 * A guardrail says what it looks for, next(), and what is to be done, found(); here is
 * what makes that right for every text: both forms of it, and streams cut anywhere. Each
 * plugin compiles it into itself.
 *
 * What keeps a stream's result the whole text's: next() decides by the bytes from a start
 * on, and by the bytes that went out before it. Those are the same wherever the text was
 * cut, because what was edited counts as it went out; scan_before() and scan_has_word()
 * are the only way to look back. Where the bytes do not suffice, next() says SCAN_OPEN.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SCAN_H
#define SCAN_H

#include <latenza/plugin.h>

enum scan_verdict {
	SCAN_NO,
	SCAN_YES,
	SCAN_OPEN /* the text ends before this is certain; never said of a final one */
};

enum {
	SCAN_BEHIND = 64,  /* bytes that can be looked back at */
	SCAN_CONTEXT = 256 /* lz_guardrail.context: the same in other forms' bytes */
};

/* A text as written, or normalised. What is edited stays in s; behind has what went out
 * in its place. */
struct scan_form {
	const unsigned char *s;
	size_t len;
	int is_final;
	size_t floor; /* s from here on is what it was; before it stands behind */
	size_t behind_len;
	unsigned char behind[SCAN_BEHIND];
};

struct scan_match {
	size_t from, to; /* bytes of the form; of SCAN_OPEN only from is set */
	unsigned kind;   /* the guardrail's own */
};

enum scan_deed { /* or LZ_E_*: the check fails with it */
	SCAN_LEAVE,
	SCAN_FLAG,
	SCAN_REPLACE,
	SCAN_REVEAL,
	SCAN_BLOCK
};

struct scan_rules {
	/* The first match that starts in from..limit. Cost: linear in limit - from and
	 * the longest match, whatever the text. */
	enum scan_verdict (*next)(const void *job, const struct scan_form *f, size_t from,
	    size_t limit, struct scan_match *m);
	/* What becomes of it; called once per match, in order. written: the same bytes of
	 * the text as written. with: filled in for SCAN_REPLACE and SCAN_REVEAL, lives
	 * during the check. */
	int32_t (*found)(void *job, lz_call *c, const struct scan_form *f,
	    const struct scan_match *m, lz_str written, lz_str *with);
};

/* ---- what such a guardrail offers ---- */

enum scan_action { /* option `action` */
	SCAN_MASKS,
	SCAN_BLOCKS,
	SCAN_FLAGS
};
#define SCAN_OPT_ACTION(of, text)                                                        \
	LZ_OPT_CHOICE(of, action, "mask", "mask|block|flag", text)
/* Values that are none; each match is compared with all of them. */
#define SCAN_OPT_ALLOW(of, text)                                                         \
	{                                                                                \
		.name = "allow", .help = (text), .otherwise = "", .max = 256,            \
		.type = LZ_LIST_OPTION, .offset = LZ_AT(of, allow, lz_list)              \
	}
#define SCAN_GUARDRAIL(function)                                                         \
	{                                                                                \
		.size = sizeof(lz_guardrail), .phases = LZ_REQUEST | LZ_RESPONSE,        \
		.needs = LZ_NEEDS_TEXTS, .streams = 1, .context = SCAN_CONTEXT,          \
		.check = (function)                                                      \
	}

/* What an action makes of a match. */
static inline int32_t
scan_deed_of(int32_t action)
{
	return action == SCAN_BLOCKS  ? SCAN_BLOCK
	       : action == SCAN_FLAGS ? SCAN_FLAG
				      : SCAN_REPLACE;
}

/* Does option `kinds` name this one? An empty one names all. */
static inline int
scan_wants(const lz_list *kinds, const char *kind)
{
	for (size_t i = 0; i < kinds->count; i++)
		if (lz_eq(kinds->items[i], kind))
			return 1;
	return kinds->count == 0;
}

/* ---- looking ---- */

/* Looks through all texts of the call. [worker] LZ_OK, LZ_FLAG, LZ_BLOCK, LZ_E_* */
int32_t scan_call(const struct scan_rules *rules, void *job, lz_call *c);

/* The byte that went out n bytes before at, n from 1 to SCAN_BEHIND; 0: there is none. */
static inline unsigned char
scan_before(const struct scan_form *f, size_t at, size_t n)
{
	if (n <= at - f->floor)
		return f->s[at - n];
	n -= at - f->floor;
	return n <= f->behind_len ? f->behind[f->behind_len - n] : 0;
}

/* The `want` bytes that went out before `at`, SCAN_BEHIND at most, or fewer: how many. */
size_t scan_behind(const struct scan_form *f, size_t at, size_t want, unsigned char *out);
/* Does one of the words begin in the reach bytes before at, where a word begins? words:
 * in lower case, up to a NULL; the case of the text does not matter. */
int scan_has_word(
    const struct scan_form *f, size_t at, size_t reach, const char *const *words);

/* Is there no byte at `at` yet, but may one still come? */
static inline int
scan_is_open(const struct scan_form *f, size_t at)
{
	return at >= f->len && !f->is_final;
}

/* The byte at `at`; 0 behind the end. */
static inline unsigned char
scan_at(const struct scan_form *f, size_t at)
{
	return at < f->len ? f->s[at] : 0;
}

/* ---- classes of bytes ---- */

enum {
	SCAN_DIGIT = 1,
	SCAN_LETTER = 2, /* of ASCII */
	SCAN_ALNUM = SCAN_DIGIT | SCAN_LETTER,
	SCAN_HEX = 4,
	SCAN_WORD = 8, /* may stand in a run: ASCII's letters and digits, . _ % + - ', and
			  letters of two bytes */
	SCAN_TAIL = 16, /* a byte inside a character */
	SCAN_START = 32 /* ( : [ may begin something outside of a run */
};
extern const unsigned char scan_class[256];

static inline int
scan_is(unsigned char c, unsigned mask)
{
	return (scan_class[c] & mask) != 0;
}

static inline unsigned char
scan_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

static inline unsigned char
scan_upper(unsigned char c)
{
	return c >= 'a' && c <= 'z' ? (unsigned char)(c & ~0x20) : c;
}

#endif
