/* docs.h - the API of scripts for people and tools: sdk/lua is made of this.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_DOCS_H
#define LUA_DOCS_H

#include "base/buf.h"

void docs_stub(struct buf *b);      /* sdk/lua/latenza.d.lua */
void docs_reference(struct buf *b); /* sdk/lua/README.md */
void docs_luacheck(struct buf *b);  /* sdk/lua/luacheckrc */

#endif
