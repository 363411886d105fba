/* register.h - the table that a script returns.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_REGISTER_H
#define LUA_REGISTER_H

#include "lua/inside.h"

/* A function for lua_pcall(): reads the table at 1 into the script of the state, and says
 * what is wrong with it to s->wrongs. */
int register_read(lua_State *L);

#endif
