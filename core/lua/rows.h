/* rows.h - a script's options as the host's option rows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_ROWS_H
#define LUA_ROWS_H

#include "lua/inside.h"

/* Reads the table of options, or nil, on top of the stack into s->component. Raises
 * "LINE: sentence" or a sentence. */
void rows_read(lua_State *L, struct script *s);
bool rows_has_line(const char *sentence);
/* Writes what stands for "absent" into an instance. */
void rows_seat(const struct script *s, void *instance);

#endif
