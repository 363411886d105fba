/* rows.h - a script's options as the host's option rows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_ROWS_H
#define LUA_ROWS_H

#include "lua/inside.h"

/* Reads the table of options, or nil, which is all on the stack but for one value below,
 * into s->component; says what is wrong to s->wrongs. Raises only without memory. */
void rows_read(lua_State *L, struct script *s);
/* Writes what stands for "absent" into an instance. */
void rows_seat(const struct script *s, void *instance);

#endif
