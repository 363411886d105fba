/* row.h - one option of a script, read into the host's option row.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_ROW_H
#define LUA_ROW_H

#include "lua/inside.h"

enum {
	ROW_OPTIONS = 2, /* on the stack: the table of options, then the one at hand */
	ROW_OPTION = 3
};

/* A text whose default is the empty one looks to the host like one that may be absent; it
 * is known by its address. */
extern const char row_empty_text[1];

struct row {
	lua_State *L;
	struct script *s;
	lz_option *row;
	const char *name;
};

/* Reads the table at ROW_OPTION into r->row, but for its offset. Raises a sentence. */
void row_read(struct row *r);
/* Raises the sentence with the option's name and place. */
void row_wrong(struct row *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A copy, followed by a NUL, that lives as long as the script. Raises. */
const char *row_keep(struct row *r, lz_str text);

#endif
