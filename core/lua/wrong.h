/* wrong.h - what is wrong with a script that is being loaded.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_WRONG_H
#define LUA_WRONG_H

#include "lua/inside.h"

enum {
	WRONG_BYTES = 400 /* of a sentence */
};

struct wrongs {
	void (*say)(void *arg, const char *sentence); /* NULL: the first is all */
	void *arg;
	struct err *first;
	unsigned count;
	struct buf told; /* sentences, each once, by lines */
};

/* first: gets the first sentence. */
void wrong_begin(struct wrongs *w, const struct script_source *q, struct err *first);
void wrong_end(struct wrongs *w);
/* A sentence with its place in front: "it.lua:3: ...". Once only. */
void wrong_say(struct wrongs *w, const char *sentence);
/* Not where something was told of the same line: it would follow from that. */
void wrong_say_unless_told(struct wrongs *w, const char *sentence);
/* Says what is wrong with a member of the table that the script returns, which stands
 * where `name = ` does; NULL: with the table. */
void wrong_tell(struct script *s, const char *name, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* The same of an option, not said but written. */
void wrong_option(char *out, size_t n, const struct script *s, const char *name,
    const char *fmt, ...) PRINTF_LIKE(5, 6);

#endif
