/* match.h - Lua's patterns over a text, in steps that are counted, and with a third
 * answer beside yes and no.
 *
 * The language is that of Lua 5.4's string.find(), and so are the answers: a test
 * compares them on random patterns. What differs: every step is counted against a limit,
 * and a text may be `is_open`, more of it being on its way. Then an attempt that looked
 * at the end is undecided: it could still begin to match, stop to match, or match more.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_MATCH_H
#define LUA_MATCH_H

#include "base/str.h"

enum {
	MATCH_CAPTURES = 32, /* as LUA_MAXCAPTURES */
	MATCH_DEPTH = 200,   /* as MAXCCALLS of lstrlib.c */
	MATCH_ERROR_BYTES = 80
};

enum match_answer {
	MATCH_NO,
	MATCH_YES,
	MATCH_UNDECIDED, /* open texts only */
	MATCH_FAILED     /* the pattern is none, or took too many steps: see `error` */
};

enum {
	MATCH_UNFINISHED = -1, /* a capture's len: its ) is still to come */
	MATCH_POSITION = -2    /* ... it is (), a position */
};

struct match {
	/* Set by match_begin(). */
	const char *text, *text_end;       /* borrowed */
	const char *pattern, *pattern_end; /* behind a ^ */
	bool is_anchored;                  /* there was a ^ */
	/* May be set after it. */
	bool is_open;         /* more text may follow */
	unsigned char before; /* the byte before the text, for %f; 0: none */
	uint64_t step_limit;

	uint64_t steps; /* so far, over all attempts */
	size_t captures;
	struct match_capture {
		const char *at;
		ptrdiff_t len;
	} capture[MATCH_CAPTURES];
	const char *end;               /* MATCH_YES: behind the match */
	char error[MATCH_ERROR_BYTES]; /* MATCH_FAILED: as Lua says it */

	/* match.c's own */
	bool touched_end;
	int depth;
	const char *first, *first_end; /* the leading item, if it is one character's */
	bool is_needed;                /* no match begins with another character */
	bool is_run;             /* it is repeated: a failed attempt tells of others */
	unsigned char memo[256]; /* is the character one of `first`? MEMO_* */
};

/* text, pattern: borrowed as long as m is used. [any] */
void match_begin(struct match *m, lz_str text, lz_str pattern);
/* Does the pattern match at `at`, a place in the text or its end? [any] */
enum match_answer match_at(struct match *m, const char *at);
/* After a MATCH_NO at `at`: the next place where a match may begin. [any] */
const char *match_next(struct match *m, const char *at);
/* No pattern magic: the first place of `what` at or after `from`; NULL: none. [any] */
const char *match_plain(lz_str text, const char *from, lz_str what);
bool match_is_plain(lz_str pattern); /* has no magic characters */

#endif
