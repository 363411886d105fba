/* echo.h - what the files of echo/ share: one answer on its way.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ECHO_ECHO_H
#define ECHO_ECHO_H

#include <latenza/plugin.h>

struct echo {
	int64_t first_token,
	    next_token; /* ms, of echo-slow and of what echo-cut sends before it breaks */
};

enum behaviour {
	REPEAT,
	SLOW,
	CUT,
	TOOLS,
	FAIL_RATE,
	FAIL_DOWN,
	EMBED
};

struct model {
	const char *name;
	enum behaviour does;
};

/* One answer on its way. Lives in lz->keep(): as long as the attempt. */
struct answer {
	const struct echo *self;
	const struct model *model;
	lz_str text; /* the content, or the arguments of the tool */
	lz_str tool; /* name; absent: no tool is called */
	const char *finish;
	int64_t choices;
	size_t at,
	    breaks_at; /* bytes of text that went out; and after how many it breaks off */
	lz_usage usage;
};

/* ---- compose.c ---- */
/* Fills in what the answer says and what it costs, by the request of the call. 0: out of
 * memory. [worker] */
int compose(lz_call *c, struct answer *a);
/* At most `at`, and not inside a character. */
size_t text_cut(lz_str s, size_t at);

/* ---- embed.c ---- */
/* Answers a request for embeddings: LZ_ANSWERED, or < 0. [worker] */
int32_t embed_answer(lz_call *c);

#endif
