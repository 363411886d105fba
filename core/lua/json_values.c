/* json_values.c - JSON and Lua values, without loss: integers stay integers, null is not
 * nil, a list that is empty is still a list.
 *
 * All JSON is the host's: made, read and written by its functions, and let go with the
 * call.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "lua/inside.h"

enum {
	DEPTH_MAX = 60
};

const char values_null = 0;

/* In the registry: the metatable by which lists are known. */
static const char array_key;

bool
values_is_null(lua_State *L, int arg)
{
	return lua_islightuserdata(L, arg) &&
	       lua_touserdata(L, arg) == (const void *)&values_null;
}

bool
values_is_array(lua_State *L, int arg)
{
	bool is;

	if (!lua_getmetatable(L, arg))
		return false;
	(void)lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
	is = lua_rawequal(L, -1, -2) != 0;
	lua_pop(L, 2);
	return is;
}

void
values_mark_array(lua_State *L)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key) == LUA_TNIL) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
	}
	(void)lua_setmetatable(L, -2);
}

/* ---- JSON to Lua ---- */

static void push_any(lua_State *L, const lz_json *j, unsigned depth, bool is_locked);

static void
push_members(lua_State *L, const lz_json *j, unsigned depth, bool is_locked)
{
	const lz_host *lz = run_of(L)->lz;
	bool is_array = lz->json_type(j) == LZ_ARRAY;
	size_t n = lz->json_len(j);

	if (depth > DEPTH_MAX)
		(void)luaL_error(L, "the JSON is nested too deeply");
	luaL_checkstack(L, 6, NULL);
	budget_charge(L, 1 + n);
	lua_createtable(L, is_array ? (int)n : 0, is_array ? 0 : (int)n);
	if (is_array && !is_locked)
		values_mark_array(L);
	for (size_t i = 0; i < n; i++) {
		lz_str key = STR_NONE;
		const lz_json *item = lz->json_item(j, i, &key);

		if (is_array) {
			push_any(L, item, depth + 1, is_locked);
			lua_rawseti(L, -2, (lua_Integer)i + 1);
		} else {
			push_text(L, key);
			push_any(L, item, depth + 1, is_locked);
			lua_rawset(L, -3);
		}
	}
	if (is_locked)
		sandbox_lock(L, "the script's options");
}

static void
push_any(lua_State *L, const lz_json *j, unsigned depth, bool is_locked)
{
	const lz_host *lz = run_of(L)->lz;
	lz_str s;

	switch (lz->json_type(j)) {
	case LZ_BOOL:
		lua_pushboolean(L, lz->json_bool(j, 0));
		break;
	case LZ_INT:
		lua_pushinteger(L, lz->json_int(j, 0));
		break;
	case LZ_REAL:
		lua_pushnumber(L, lz->json_num(j, 0));
		break;
	case LZ_STRING:
		s = lz->json_str(j, STR_NONE);
		budget_charge_bytes(L, s.len);
		push_text(L, s);
		break;
	case LZ_ARRAY:
	case LZ_OBJECT:
		push_members(L, j, depth, is_locked);
		break;
	default:
		lua_pushlightuserdata(L, (void *)(uintptr_t)&values_null);
		break;
	}
}

void
values_push(lua_State *L, const lz_json *j)
{
	push_any(L, j, 0, false);
}

void
values_push_locked(lua_State *L, const lz_json *j)
{
	push_any(L, j, 0, true);
}

/* ---- Lua to JSON ---- */

static lz_json *json_of(lua_State *L, int arg, unsigned depth);

static lz_json *
or_raise(lua_State *L, lz_json *j, const char *otherwise)
{
	if (j == NULL)
		(void)luaL_error(L, "%s", otherwise);
	return j;
}

/* Are the keys 1 to n and nothing else? */
static bool
is_list(lua_State *L, int arg)
{
	lua_Integer n = 0, last = (lua_Integer)lua_rawlen(L, arg);

	for (lua_pushnil(L); lua_next(L, arg) != 0; lua_pop(L, 1), n++)
		if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 ||
		    lua_tointeger(L, -2) > last) {
			lua_pop(L, 2);
			return false;
		}
	return n == last && (n > 0 || values_is_array(L, arg));
}

static lz_json *
list_of(lua_State *L, int arg, unsigned depth)
{
	struct run *r = run_of(L);
	lz_json *j = or_raise(L, r->lz->json_new(r->c, LZ_ARRAY), "out of memory");
	lua_Integer n = (lua_Integer)lua_rawlen(L, arg);

	for (lua_Integer i = 1; i <= n; i++) {
		(void)lua_rawgeti(L, arg, i);
		if (r->lz->json_put(
			r->c, j, "/-", json_of(L, lua_gettop(L), depth + 1)) != LZ_OK)
			(void)luaL_error(L, "out of memory");
		lua_pop(L, 1);
	}
	return j;
}

static lz_json *
object_of(lua_State *L, int arg, unsigned depth)
{
	struct run *r = run_of(L);
	lz_json *j = or_raise(L, r->lz->json_new(r->c, LZ_OBJECT), "out of memory");

	for (lua_pushnil(L); lua_next(L, arg) != 0; lua_pop(L, 1)) {
		lz_str key;

		if (lua_type(L, -2) != LUA_TSTRING)
			(void)luaL_error(L,
			    "a table with a %s as key is neither a list nor an object of "
			    "JSON",
			    luaL_typename(L, -2));
		key.ptr = lua_tolstring(L, -2, &key.len);
		if (r->lz->json_set(r->c, j, key, json_of(L, lua_gettop(L), depth + 1)) !=
		    LZ_OK)
			(void)luaL_error(
			    L, "a key is no text of JSON, or there are too many");
	}
	return j;
}

static lz_json *
number_of(lua_State *L, int arg)
{
	struct run *r = run_of(L);
	double d = lua_tonumber(L, arg);

	if (lua_isinteger(L, arg))
		return or_raise(
		    L, r->lz->json_of_int(r->c, lua_tointeger(L, arg)), "out of memory");
	if (!isfinite(d))
		(void)luaL_error(L, "JSON has no number for infinity or not-a-number");
	return or_raise(L, r->lz->json_of_num(r->c, d), "out of memory");
}

static lz_json *
string_of(lua_State *L, int arg)
{
	struct run *r = run_of(L);
	lz_str s;

	s.ptr = lua_tolstring(L, arg, &s.len);
	budget_charge_bytes(L, s.len);
	if (!str_is_utf8(s))
		(void)luaL_error(L, "a text that is not UTF-8 cannot be JSON");
	return or_raise(L, r->lz->json_of_str(r->c, s), "out of memory");
}

static lz_json *
json_of(lua_State *L, int arg, unsigned depth)
{
	struct run *r = run_of(L);

	if (depth > DEPTH_MAX)
		(void)luaL_error(
		    L, "tables are nested too deeply for JSON, or in themselves");
	luaL_checkstack(L, 6, NULL);
	budget_charge(L, 2);
	switch (lua_type(L, arg)) {
	case LUA_TBOOLEAN:
		return or_raise(
		    L, r->lz->json_of_bool(r->c, lua_toboolean(L, arg)), "out of memory");
	case LUA_TNUMBER:
		return number_of(L, arg);
	case LUA_TSTRING:
		return string_of(L, arg);
	case LUA_TTABLE:
		return is_list(L, arg) ? list_of(L, arg, depth)
				       : object_of(L, arg, depth);
	case LUA_TLIGHTUSERDATA:
		return or_raise(L, r->lz->json_new(r->c, LZ_NULL), "out of memory");
	case LUA_TUSERDATA:
		return body_json(L, arg);
	default:
		(void)luaL_error(L, "a %s cannot be JSON", luaL_typename(L, arg));
		return NULL;
	}
}

lz_json *
values_json(lua_State *L, int arg)
{
	return json_of(L, lua_absindex(L, arg), 0);
}

/* ---- latenza.json ---- */

int
api_json_decode(lua_State *L)
{
	struct run *r = run_with_call(L, "latenza.json.decode");
	lz_json *j;
	lz_str text;

	text.ptr = luaL_checklstring(L, 1, &text.len);
	budget_charge(L, 1 + text.len / 2);
	j = r->lz->json_parse(r->c, text);
	if (j == NULL)
		return luaL_error(L, "latenza.json.decode: the text is not JSON");
	values_push(L, j);
	return 1;
}

int
api_json_encode(lua_State *L)
{
	struct run *r = run_with_call(L, "latenza.json.encode");
	lz_str text;

	luaL_checkany(L, 1);
	if (lua_isnil(L, 1))
		return luaL_error(L, "nil cannot be JSON; latenza.json.null can");
	text = r->lz->json_text(r->c, values_json(L, 1));
	if (text.ptr == NULL)
		return luaL_error(L, "latenza.json.encode: out of memory");
	budget_charge(L, 1 + text.len / 2);
	push_text(L, text);
	return 1;
}

int
api_json_array(lua_State *L)
{
	if (lua_isnoneornil(L, 1)) {
		lua_newtable(L);
	} else {
		sandbox_check_writable(L, 1);
		lua_settop(L, 1);
	}
	values_mark_array(L);
	return 1;
}
