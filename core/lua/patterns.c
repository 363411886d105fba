/* patterns.c - find, match, gmatch and gsub, over the matcher of match.c.
 *
 * A search may take longer than a slice. It stops between two places then, lets the
 * neighbours go on, and continues: find and match remember the place, gsub and gmatch
 * have all they need in a userdata.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/inside.h"
#include "lua/match.h"

enum {
	STEPS_PER_BYTE = 16, /* a pattern may take so many more for a longer text */
	CHARGE_AFTER = 256,
	MATCH_STEPS = 2 /* of the matcher for one of the budget's */
};

/* ---- counted matching ---- */

void
patterns_limit(lua_State *L, struct match *m, size_t text_bytes)
{
	uint64_t most = (uint64_t)text_bytes * STEPS_PER_BYTE;
	uint64_t usual = run_of(L)->limits->pattern_steps;

	m->step_limit = most > usual ? most : usual;
}

int
patterns_raise(lua_State *L, const struct match *m)
{
	return luaL_error(L, "%s", m->error);
}

int
patterns_search(lua_State *L, struct match *m, const char **at, bool *must_yield)
{
	uint64_t charged = m->steps;

	*must_yield = false;
	for (;;) {
		enum match_answer is = match_at(m, *at);

		if (is != MATCH_NO || m->is_anchored || *at == m->text_end) {
			budget_charge(L, 1 + (m->steps - charged) / MATCH_STEPS);
			return is;
		}
		*at = match_next(m, *at);
		if (m->steps - charged < CHARGE_AFTER)
			continue;
		budget_charge(L, (m->steps - charged) / MATCH_STEPS);
		charged = m->steps;
		*must_yield = budget_must_yield(L);
		if (*must_yield)
			return MATCH_NO;
	}
}

/* Lets the neighbours go on, then continues with k. */
static int
yield(lua_State *L, lua_KContext ctx, lua_KFunction k)
{
	run_of(L)->waits = WAITS_FOR_TURN;
	return lua_yieldk(L, 0, ctx, k);
}

/* ---- captures ---- */

void
patterns_push_capture(
    lua_State *L, const struct match *m, size_t i, const char *from, const char *to)
{
	if (i >= m->captures) {
		if (i != 0)
			(void)luaL_error(L, "invalid capture index %%%d", (int)i + 1);
		lua_pushlstring(L, from, (size_t)(to - from));
	} else if (m->capture[i].len == MATCH_POSITION) {
		lua_pushinteger(L, m->capture[i].at - m->text + 1);
	} else if (m->capture[i].len == MATCH_UNFINISHED) {
		(void)luaL_error(L, "unfinished capture");
	} else {
		lua_pushlstring(L, m->capture[i].at, (size_t)m->capture[i].len);
	}
}

int
patterns_push_captures(
    lua_State *L, const struct match *m, const char *from, bool or_whole)
{
	size_t n = m->captures == 0 && or_whole ? 1 : m->captures;

	luaL_checkstack(L, (int)n, "too many captures");
	for (size_t i = 0; i < n; i++)
		patterns_push_capture(L, m, i, from, m->end);
	return (int)n;
}

/* ---- find and match ---- */

static int find_from(lua_State *L, const char *at, bool is_find);

static int
find_again(lua_State *L, int status, lua_KContext at)
{
	const char *text = lua_tostring(L, 1);

	(void)status;
	return find_from(L, text + (at >> 1), (at & 1) != 0);
}

static int
found_plain(lua_State *L, lz_str text, const char *at, lz_str what)
{
	const char *found;

	budget_charge_bytes(L, text.len);
	found = match_plain(text, at, what);
	if (found == NULL) {
		luaL_pushfail(L);
		return 1;
	}
	lua_pushinteger(L, found - text.ptr + 1);
	lua_pushinteger(L, found - text.ptr + (lua_Integer)what.len);
	return 2;
}

static int
find_from(lua_State *L, const char *at, bool is_find)
{
	lz_str text = strings_check(L, 1);
	bool must_yield;
	struct match m;
	int is;

	match_begin(&m, text, strings_check(L, 2));
	patterns_limit(L, &m, text.len);
	is = patterns_search(L, &m, &at, &must_yield);
	if (must_yield)
		return yield(
		    L, (lua_KContext)((at - text.ptr) * 2 + is_find), find_again);
	if (is == MATCH_FAILED)
		return patterns_raise(L, &m);
	if (is == MATCH_NO) {
		luaL_pushfail(L);
		return 1;
	}
	if (!is_find)
		return patterns_push_captures(L, &m, at, true);
	lua_pushinteger(L, at - text.ptr + 1);
	lua_pushinteger(L, m.end - text.ptr);
	return 2 + patterns_push_captures(L, &m, at, false);
}

static int
find_or_match(lua_State *L, bool is_find)
{
	lz_str text = strings_check(L, 1), what = strings_check(L, 2);
	size_t from = strings_place(luaL_optinteger(L, 3, 1), text.len) - 1;

	if (from > text.len) {
		luaL_pushfail(L);
		return 1;
	}
	if (is_find && (lua_toboolean(L, 4) || match_is_plain(what)))
		return found_plain(L, text, text.ptr + from, what);
	return find_from(L, text.ptr + from, is_find);
}

static int
string_find(lua_State *L)
{
	return find_or_match(L, true);
}

static int
string_match(lua_State *L)
{
	return find_or_match(L, false);
}

/* ---- one match after the other ---- */

struct walk {
	size_t at; /* where to look next */
	bool has_last;
	size_t last; /* where the last match ended */
};

/* The next match; an empty one just behind the last is none. As patterns_search(), and
 * w->at moves past what needs no second look. */
static int
walk_on(lua_State *L, struct walk *w, lz_str text, struct match *m, const char **at,
    bool *must_yield)
{
	*must_yield = false;
	for (; w->at <= text.len; w->at++) {
		int is;

		*at = text.ptr + w->at;
		is = patterns_search(L, m, at, must_yield);
		w->at = (size_t)(*at - text.ptr);
		if (*must_yield || is != MATCH_YES || !w->has_last ||
		    (size_t)(m->end - text.ptr) != w->last)
			return is;
	}
	return MATCH_NO;
}

static void
walk_past(struct walk *w, size_t end)
{
	w->at = w->last = end;
	w->has_last = true;
}

/* ---- gmatch ---- */

static int gmatch_go(lua_State *L, int status, lua_KContext ctx);

static int
gmatch_next(lua_State *L)
{
	return gmatch_go(L, LUA_OK, 0);
}

static int
gmatch_go(lua_State *L, int status, lua_KContext ctx)
{
	struct walk *w = lua_touserdata(L, lua_upvalueindex(3));
	lz_str text, what;
	struct match m;
	const char *at;
	bool must_yield;
	int is;

	(void)status;
	(void)ctx;
	text.ptr = lua_tolstring(L, lua_upvalueindex(1), &text.len);
	what.ptr = lua_tolstring(L, lua_upvalueindex(2), &what.len);
	match_begin(&m, text, what);
	if (m.is_anchored) { /* in gmatch a ^ is a character */
		m.is_anchored = false;
		m.pattern--;
		m.first = NULL;
		m.is_needed = m.is_run = false;
	}
	patterns_limit(L, &m, text.len);
	is = walk_on(L, w, text, &m, &at, &must_yield);
	if (must_yield)
		return yield(L, 0, gmatch_go);
	if (is == MATCH_FAILED)
		return patterns_raise(L, &m);
	if (is == MATCH_NO) {
		w->at = text.len + 1;
		return 0;
	}
	walk_past(w, (size_t)(m.end - text.ptr));
	return patterns_push_captures(L, &m, at, true);
}

static int
string_gmatch(lua_State *L)
{
	lz_str text = strings_check(L, 1);
	size_t from = strings_place(luaL_optinteger(L, 3, 1), text.len) - 1;
	struct walk *w;

	(void)strings_check(L, 2);
	lua_settop(L, 2);
	w = lua_newuserdatauv(L, sizeof(*w), 0);
	*w = (struct walk){ .at = from > text.len ? text.len + 1 : from };
	lua_pushcclosure(L, gmatch_next, 3);
	return 1;
}

/* ---- gsub ---- */

struct gsub {
	struct walk walk; /* all before its place is in the pieces, ... */
	size_t copied;    /* ... or will be, from here */
	lua_Integer found, most;
	lua_Integer pieces;
	size_t bytes; /* of the pieces */
	size_t match_from, match_to;
	bool is_changed;
};

enum {
	GSUB_TEXT = 1,
	GSUB_PATTERN,
	GSUB_BY,
	GSUB_MOST,
	GSUB_STATE,
	GSUB_PIECES
};

static int gsub_go(lua_State *L, int status, lua_KContext ctx);

/* Takes the string on top. */
static void
add_piece(lua_State *L, struct gsub *g)
{
	size_t len;

	(void)lua_tolstring(L, -1, &len);
	g->bytes += len;
	if (g->bytes > run_of(L)->limits->string_bytes)
		(void)luaL_error(L, "resulting string too large");
	if (len == 0)
		lua_pop(L, 1);
	else
		lua_rawseti(L, GSUB_PIECES, ++g->pieces);
}

static void
copy_until(lua_State *L, struct gsub *g, lz_str text, size_t to)
{
	if (to > g->copied) {
		lua_pushlstring(L, text.ptr + g->copied, to - g->copied);
		add_piece(L, g);
	}
	g->copied = to;
}

void
patterns_push_expanded(lua_State *L, const struct match *m, const char *from, int arg)
{
	size_t len;
	const char *by = lua_tolstring(L, arg, &len), *end = by + len, *percent;
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	while ((percent = memchr(by, '%', (size_t)(end - by))) != NULL) {
		luaL_addlstring(&b, by, (size_t)(percent - by));
		by = percent + 1;
		if (by < end && *by == '%') {
			luaL_addchar(&b, '%');
		} else if (by < end && *by == '0') {
			luaL_addlstring(&b, from, (size_t)(m->end - from));
		} else if (by<end && * by> '0' && *by <= '9') {
			size_t i = (size_t)(*by - '1');

			if (i >= m->captures && i > 0)
				(void)luaL_error(L,
				    "invalid capture index %%%d in replacement string",
				    (int)i + 1);
			patterns_push_capture(L, m, i, from, m->end);
			(void)luaL_tolstring(L, -1, NULL);
			lua_remove(L, -2);
			luaL_addvalue(&b);
		} else {
			(void)luaL_error(L, "invalid use of '%%' in replacement string");
		}
		by++;
	}
	luaL_addlstring(&b, by, (size_t)(end - by));
	luaL_pushresult(&b);
}

/* The replacement is on top: what it means for the match. */
static void
take_replacement(lua_State *L, struct gsub *g, lz_str text)
{
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1); /* left as it was: copied with what follows */
	} else if (!lua_isstring(L, -1)) {
		(void)luaL_error(
		    L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	} else {
		copy_until(L, g, text, g->match_from);
		(void)lua_tostring(L, -1);
		add_piece(L, g);
		g->copied = g->match_to;
		g->is_changed = true;
	}
	walk_past(&g->walk, g->match_to);
}

static void
replace_found(lua_State *L, struct gsub *g, const struct match *m, const char *from)
{
	g->found++;
	g->match_from = (size_t)(from - m->text);
	g->match_to = (size_t)(m->end - m->text);
	switch (lua_type(L, GSUB_BY)) {
	case LUA_TFUNCTION:
		lua_pushvalue(L, GSUB_BY);
		lua_callk(L, patterns_push_captures(L, m, from, true), 1, 1, gsub_go);
		break;
	case LUA_TTABLE:
		patterns_push_capture(L, m, 0, from, m->end);
		(void)lua_gettable(L, GSUB_BY);
		break;
	default:
		patterns_push_expanded(L, m, from, GSUB_BY);
		break;
	}
}

/* Joins the list at `at`, as long as `bytes` in all. */
static int
gsub_end(lua_State *L, struct gsub *g, lz_str text)
{
	luaL_Buffer b;

	if (!g->is_changed) {
		lua_pushvalue(L, GSUB_TEXT);
	} else {
		copy_until(L, g, text, text.len);
		budget_charge_bytes(L, g->bytes);
		budget_make_room(L, g->bytes);
		(void)luaL_buffinitsize(L, &b, g->bytes);
		for (lua_Integer i = 1; i <= g->pieces; i++) {
			lua_rawgeti(L, GSUB_PIECES, i);
			luaL_addvalue(&b);
		}
		luaL_pushresult(&b);
	}
	lua_pushinteger(L, g->found);
	return 2;
}

/* ctx 1: a function gave a replacement, which is on top. */
static int
gsub_go(lua_State *L, int status, lua_KContext ctx)
{
	struct gsub *g = lua_touserdata(L, GSUB_STATE);
	lz_str text = strings_check(L, GSUB_TEXT);
	struct match m;

	(void)status;
	if (ctx == 1)
		take_replacement(L, g, text);
	match_begin(&m, text, strings_check(L, GSUB_PATTERN));
	patterns_limit(L, &m, text.len);
	while (g->found < g->most && !(m.is_anchored && g->walk.has_last)) {
		const char *at;
		bool must_yield;
		int is = walk_on(L, &g->walk, text, &m, &at, &must_yield);

		if (must_yield)
			return yield(L, 0, gsub_go);
		if (is == MATCH_FAILED)
			return patterns_raise(L, &m);
		if (is == MATCH_NO)
			break;
		replace_found(L, g, &m, at);
		take_replacement(L, g, text);
	}
	return gsub_end(L, g, text);
}

static int
string_gsub(lua_State *L)
{
	int type = lua_type(L, GSUB_BY);
	lz_str text = strings_check(L, GSUB_TEXT);
	struct gsub *g;

	(void)strings_check(L, GSUB_PATTERN);
	luaL_argexpected(L,
	    type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
		type == LUA_TTABLE,
	    GSUB_BY, "string/function/table");
	lua_settop(L, GSUB_MOST);
	g = lua_newuserdatauv(L, sizeof(*g), 0);
	*g = (struct gsub){ .most = luaL_optinteger(
				L, GSUB_MOST, (lua_Integer)text.len + 1) };
	lua_newtable(L);
	return gsub_go(L, LUA_OK, 0);
}

const luaL_Reg patterns_functions[] = { { "find", string_find },
	{ "gmatch", string_gmatch }, { "gsub", string_gsub }, { "match", string_match },
	{ NULL, NULL } };
