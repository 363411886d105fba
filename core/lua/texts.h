/* texts.h - edits and holds of the texts of a run, for part:replace().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_TEXTS_H
#define LUA_TEXTS_H

#include "lua/inside.h"

/* The text at arg, and its index. Raises. */
const lz_text *texts_check(lua_State *L, int arg, size_t *index);
/* Where the edits of a text that do not end before `at` begin, among the run's. */
size_t texts_edits_from(const struct run *r, size_t text, size_t at);
/* Is `at` behind an edit of this check()? */
bool texts_is_behind_edit(const struct run *r, size_t text, size_t at);
/* Notes one; raises if it overlaps another, cuts a character or is not UTF-8. t: the text
 * at `text`. */
void texts_note_edit(
    lua_State *L, const lz_text *t, size_t text, size_t from, size_t to, lz_str with);
/* Nothing from `at` on goes out yet; the earliest counts. Raises. */
void texts_note_hold(lua_State *L, size_t text, size_t at);
/* What was kept of an earlier check() of the same text; NULL: nothing. */
const struct kept_text *texts_kept(const struct run *r, const lz_text *t);

#endif
