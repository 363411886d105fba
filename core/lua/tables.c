/* tables.c - the script's table library: every loop is as long as what it works on, and
 * is charged for before it begins.
 *
 * Reading goes through __index, so that read-only lists serve as well; writing is for the
 * script's own tables. The sort is a merge sort: stable, n log n whatever the comparator
 * says, and all it needs is in a userdata, so a comparator may wait.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/inside.h"

enum {
	ITEMS_MAX = 1 << 20,
	RESULTS_MAX = 4000
};

static lua_Integer
check_length(lua_State *L, int arg)
{
	lua_Integer n = luaL_len(L, arg);

	if (n > ITEMS_MAX)
		(void)luaL_error(L, "the list is too long");
	return n;
}

static void
check_list(lua_State *L, int arg)
{
	int type = lua_type(L, arg);

	luaL_argexpected(L, type == LUA_TTABLE || type == LUA_TUSERDATA, arg, "table");
}

/* Positions from..to: how many. Charged. */
static lua_Integer
check_range(lua_State *L, lua_Integer from, lua_Integer to)
{
	lua_Unsigned n = (lua_Unsigned)to - (lua_Unsigned)from;

	if (from > to)
		return 0;
	if (n >= ITEMS_MAX)
		(void)luaL_error(L, "too many elements");
	budget_charge(L, (uint64_t)n + 1);
	return (lua_Integer)n + 1;
}

static int
table_insert(lua_State *L)
{
	lua_Integer n, at;

	sandbox_check_writable(L, 1);
	n = check_length(L, 1) + 1;
	at = n;
	switch (lua_gettop(L)) {
	case 2:
		break;
	case 3:
		at = luaL_checkinteger(L, 2);
		luaL_argcheck(L, at >= 1 && at <= n, 2, "position out of bounds");
		budget_charge(L, (uint64_t)(n - at));
		for (lua_Integer i = n; i > at; i--) {
			lua_geti(L, 1, i - 1);
			lua_seti(L, 1, i);
		}
		break;
	default:
		return luaL_error(L, "wrong number of arguments to 'insert'");
	}
	lua_seti(L, 1, at);
	return 0;
}

static int
table_remove(lua_State *L)
{
	lua_Integer n, at;

	sandbox_check_writable(L, 1);
	n = check_length(L, 1);
	at = luaL_optinteger(L, 2, n);
	if (lua_gettop(L) > 1)
		luaL_argcheck(L, (n == 0 && at == 0) || (at >= 1 && at <= n + 1), 2,
		    "position out of bounds");
	lua_geti(L, 1, at);
	if (at < n)
		budget_charge(L, (uint64_t)(n - at));
	for (; at < n; at++) {
		lua_geti(L, 1, at + 1);
		lua_seti(L, 1, at);
	}
	lua_pushnil(L);
	lua_seti(L, 1, at);
	return 1;
}

static int
table_move(lua_State *L)
{
	lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);
	lua_Integer at = luaL_checkinteger(L, 4), n;
	int into = lua_isnoneornil(L, 5) ? 1 : 5;

	check_list(L, 1);
	sandbox_check_writable(L, into);
	n = check_range(L, from, to);
	luaL_argcheck(
	    L, n == 0 || at <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
	if (at > to || at <= from || into != 1) {
		for (lua_Integer i = 0; i < n; i++) {
			lua_geti(L, 1, from + i);
			lua_seti(L, into, at + i);
		}
	} else {
		for (lua_Integer i = n; i > 0; i--) {
			lua_geti(L, 1, from + i - 1);
			lua_seti(L, into, at + i - 1);
		}
	}
	lua_pushvalue(L, into);
	return 1;
}

/* Pushes the i-th item, a text. */
static size_t
push_item(lua_State *L, lua_Integer i)
{
	size_t len;

	lua_geti(L, 1, i);
	if (!lua_isstring(L, -1))
		(void)luaL_error(L, "invalid value (at index %I) in table for 'concat'",
		    (LUAI_UACINT)i);
	(void)lua_tolstring(L, -1, &len);
	return len;
}

/* What the items from..to come to, and n - 1 separators. */
static size_t
total_bytes(lua_State *L, lua_Integer from, lua_Integer n, size_t separator)
{
	size_t most = run_of(L)->limits->string_bytes, bytes = 0;

	for (lua_Integer i = 0; i < n; i++) {
		bytes += push_item(L, from + i) + (i + 1 < n ? separator : 0);
		lua_pop(L, 1);
		if (bytes > most)
			(void)luaL_error(L, "resulting string too large");
	}
	return bytes;
}

static int
table_concat(lua_State *L)
{
	size_t len, bytes;
	const char *between = luaL_optlstring(L, 2, "", &len);
	lua_Integer from = luaL_optinteger(L, 3, 1), n;
	luaL_Buffer b;

	check_list(L, 1);
	n = check_range(L, from,
	    lua_isnoneornil(L, 4) ? check_length(L, 1) : luaL_checkinteger(L, 4));
	bytes = total_bytes(L, from, n, len);
	budget_charge_bytes(L, bytes);
	budget_make_room(L, bytes);
	(void)luaL_buffinitsize(L, &b, bytes);
	for (lua_Integer i = 0; i < n; i++) {
		(void)push_item(L, from + i);
		luaL_addvalue(&b);
		if (i + 1 < n)
			luaL_addlstring(&b, between, len);
	}
	luaL_pushresult(&b);
	return 1;
}

static int
table_pack(lua_State *L)
{
	int n = lua_gettop(L);

	lua_createtable(L, n, 1);
	lua_insert(L, 1);
	for (int i = n; i >= 1; i--)
		lua_seti(L, 1, i);
	lua_pushinteger(L, n);
	lua_setfield(L, 1, "n");
	return 1;
}

static int
table_unpack(lua_State *L)
{
	lua_Integer from = luaL_optinteger(L, 2, 1);
	lua_Integer to = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3);
	lua_Unsigned n = (lua_Unsigned)to - (lua_Unsigned)from;

	if (from > to)
		return 0;
	if (n >= RESULTS_MAX || !lua_checkstack(L, (int)n + 1))
		return luaL_error(L, "too many results to unpack");
	budget_charge(L, n + 1);
	for (lua_Unsigned i = 0; i <= n; i++)
		lua_geti(L, 1, from + (lua_Integer)i);
	return (int)n + 1;
}

/* ---- sort ---- */

enum {
	SORT_LIST = 1,
	SORT_LESS,
	SORT_STATE,
	SORT_FROM, /* runs of `width` in order */
	SORT_INTO  /* runs of twice as many, being made */
};

struct sort {
	lua_Integer n, width;
	lua_Integer low, i, j,
	    k; /* the pair of runs from low: i and j are next of each */
	bool returns_it;
};

static int sort_go(lua_State *L, int status, lua_KContext ctx);

static lua_Integer
least(lua_Integer a, lua_Integer b)
{
	return a < b ? a : b;
}

static void
begin_pair(struct sort *s, lua_Integer low)
{
	s->low = s->i = s->k = low;
	s->j = least(low + s->width, s->n);
}

static void
take(lua_State *L, struct sort *s, lua_Integer *from)
{
	lua_rawgeti(L, SORT_FROM, ++*from);
	lua_rawseti(L, SORT_INTO, ++s->k);
}

/* Is the next of the right run less than the next of the left? -1: known when sort_go()
 * is called again. */
static void
compare(lua_State *L, const struct sort *s)
{
	if (lua_isnil(L, SORT_LESS)) {
		lua_rawgeti(L, SORT_FROM, s->j + 1);
		lua_rawgeti(L, SORT_FROM, s->i + 1);
		if (lua_type(L, -1) == LUA_TSTRING)
			budget_charge_bytes(L, lua_rawlen(L, -1));
		lua_pushboolean(L, lua_compare(L, -2, -1, LUA_OPLT));
		lua_replace(L, -3);
		lua_pop(L, 1);
		return;
	}
	lua_pushvalue(L, SORT_LESS);
	lua_rawgeti(L, SORT_FROM, s->j + 1);
	lua_rawgeti(L, SORT_FROM, s->i + 1);
	lua_callk(L, 2, 1, 1, sort_go);
}

/* The answer of compare() is on top. */
static void
take_lesser(lua_State *L, struct sort *s)
{
	bool is_right = lua_toboolean(L, -1) != 0;

	lua_pop(L, 1);
	take(L, s, is_right ? &s->j : &s->i);
}

/* What is left of a pair where one run is through. */
static void
end_pair(lua_State *L, struct sort *s)
{
	lua_Integer middle = least(s->low + s->width, s->n);
	lua_Integer high = least(s->low + 2 * s->width, s->n);

	while (s->i < middle)
		take(L, s, &s->i);
	while (s->j < high)
		take(L, s, &s->j);
	if (high < s->n) {
		begin_pair(s, high);
		return;
	}
	lua_pushvalue(L, SORT_FROM);
	lua_copy(L, SORT_INTO, SORT_FROM);
	lua_replace(L, SORT_INTO);
	s->width *= 2;
	begin_pair(s, 0);
}

static int
sort_end(lua_State *L, const struct sort *s)
{
	for (lua_Integer i = 1; i <= s->n; i++) {
		lua_rawgeti(L, SORT_FROM, i);
		lua_seti(L, SORT_LIST, i);
	}
	lua_settop(L, SORT_LIST);
	return s->returns_it ? 1 : 0;
}

/* ctx 1: the comparator's answer is on top. */
static int
sort_go(lua_State *L, int status, lua_KContext ctx)
{
	struct sort *s = lua_touserdata(L, SORT_STATE);

	(void)status;
	if (ctx == 1)
		take_lesser(L, s);
	while (s->width < s->n) {
		lua_Integer middle = least(s->low + s->width, s->n);
		lua_Integer high = least(s->low + 2 * s->width, s->n);

		if (s->i < middle && s->j < high) {
			compare(L, s);
			take_lesser(L, s);
		} else {
			budget_charge(L, (uint64_t)(high - s->low));
			end_pair(L, s);
			if (budget_must_yield(L)) {
				run_of(L)->waits = WAITS_FOR_TURN;
				return lua_yieldk(L, 0, 0, sort_go);
			}
		}
	}
	return sort_end(L, s);
}

int
tables_sort(lua_State *L, bool returns_it)
{
	struct sort *s;
	lua_Integer n = check_length(L, SORT_LIST);

	lua_settop(L, SORT_LESS);
	budget_charge(L, (uint64_t)n);
	s = lua_newuserdatauv(L, sizeof(*s), 0);
	*s = (struct sort){ .n = n, .width = 1, .returns_it = returns_it };
	lua_createtable(L, (int)n, 0);
	lua_createtable(L, (int)n, 0);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, SORT_LIST, i);
		lua_rawseti(L, SORT_FROM, i);
	}
	begin_pair(s, 0);
	return sort_go(L, LUA_OK, 0);
}

static int
table_sort(lua_State *L)
{
	sandbox_check_writable(L, 1);
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	return tables_sort(L, false);
}

static const luaL_Reg functions[] = { { "concat", table_concat },
	{ "insert", table_insert }, { "move", table_move }, { "pack", table_pack },
	{ "remove", table_remove }, { "sort", table_sort }, { "unpack", table_unpack },
	{ NULL, NULL } };

void
tables_open(lua_State *L, int env)
{
	luaL_newlib(L, functions);
	sandbox_lock(L, "table");
	lua_setfield(L, env, "table");
}
