/* sandbox.c - what a script sees: an environment that lists what there is, read-only
 * libraries, and the basic functions, those of ours where the stock ones are a way out.
 *
 * What is not listed here does not exist in a script: load, xpcall, collectgarbage,
 * debug, io, os, coroutine, package, print. Metatables are copied when they are set,
 * metamethods only and without __gc and __mode, because finalizers run where nothing
 * stops them and weak keys make collecting quadratic.
 *
 * SPDX-License-Identifier: MIT
 */
#include <lualib.h>
#include <stdio.h>

#include "lua/inside.h"

/* ---- read-only tables ---- */

static int
refuse_write(lua_State *L)
{
	return luaL_error(L, "%s is read-only", lua_tostring(L, lua_upvalueindex(1)));
}

static int
lock_next(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	lua_pushvalue(L, 2);
	if (lua_next(L, lua_upvalueindex(1)) == 0)
		lua_pushnil(L);
	return lua_gettop(L) - 2;
}

static int
lock_pairs(lua_State *L)
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushcclosure(L, lock_next, 1);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

static int
lock_length(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)lua_rawlen(L, lua_upvalueindex(1)));
	return 1;
}

static void
set_closure(lua_State *L, const char *name, lua_CFunction fn)
{
	lua_pushvalue(L, -3); /* the table behind */
	lua_pushcclosure(L, fn, 1);
	lua_setfield(L, -2, name);
}

void
sandbox_lock(lua_State *L, const char *what)
{
	lua_newtable(L);          /* the view */
	lua_createtable(L, 0, 6); /* its metatable */
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushstring(L, what);
	lua_pushcclosure(L, refuse_write, 1);
	lua_setfield(L, -2, "__newindex");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	set_closure(L, "__pairs", lock_pairs);
	set_closure(L, "__len", lock_length);
	(void)lua_setmetatable(L, -2);
	lua_remove(L, -2);
}

void
sandbox_check_writable(lua_State *L, int arg)
{
	luaL_checktype(L, arg, LUA_TTABLE);
	if (luaL_getmetafield(L, arg, "__metatable") != LUA_TNIL)
		(void)luaL_error(L, "this table is read-only");
}

/* ---- texts of values, without addresses ---- */

void
sandbox_push_text(lua_State *L, int arg)
{
	switch (lua_type(L, arg)) {
	case LUA_TNIL:
		lua_pushliteral(L, "nil");
		return;
	case LUA_TBOOLEAN:
		lua_pushstring(L, lua_toboolean(L, arg) ? "true" : "false");
		return;
	case LUA_TNUMBER:
	case LUA_TSTRING:
		lua_pushvalue(L, arg);
		(void)lua_tostring(L, -1);
		return;
	default:
		break;
	}
	if (luaL_callmeta(L, arg, "__tostring")) {
		if (!lua_isstring(L, -1))
			(void)luaL_error(L, "'__tostring' must return a string");
	} else {
		lua_pushstring(L, luaL_typename(L, arg));
	}
}

static int
base_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	sandbox_push_text(L, 1);
	return 1;
}

/* ---- errors ---- */

static void
note_said(lua_State *L)
{
	run_of(L)->said = lua_tostring(L, -1);
}

static int
base_error(lua_State *L)
{
	int level = (int)luaL_optinteger(L, 2, 1);

	lua_settop(L, 1);
	if (lua_type(L, 1) == LUA_TSTRING) {
		luaL_where(L, level > 0 ? level : 1);
		if (level <= 0)
			lua_pop(L, 1);
		else
			lua_insert(L, 1);
		if (level > 0)
			lua_concat(L, 2);
		note_said(L);
	}
	return lua_error(L);
}

static int
base_assert(lua_State *L)
{
	if (lua_toboolean(L, 1))
		return lua_gettop(L);
	luaL_checkany(L, 1);
	lua_remove(L, 1);
	lua_pushliteral(L, "assertion failed!");
	lua_settop(L, 1);
	if (lua_type(L, 1) == LUA_TSTRING)
		note_said(L);
	return lua_error(L);
}

/* What a stopped run raised is not for the script. */
static int
pcall_done(lua_State *L, int status, lua_KContext ctx)
{
	struct run *r = run_of(L);

	(void)ctx;
	if (status == LUA_OK || status == LUA_YIELD)
		return lua_gettop(L);
	if (status == LUA_ERRMEM)
		budget_stop(r, LZ_E_LIMIT, "the script uses too much memory");
	if (r->stop != LZ_OK)
		return lua_error(L);
	lua_pushboolean(L, 0);
	lua_insert(L, -2);
	return 2;
}

static int
base_pcall(lua_State *L)
{
	int status;

	luaL_checkany(L, 1);
	lua_pushboolean(L, 1);
	lua_insert(L, 1);
	status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, pcall_done);
	return pcall_done(L, status, 0);
}

/* ---- metatables ---- */

/* In a copied metatable: the table that the script gave. */
static const char original_key;

static const char *const metamethods[] = { "__index", "__newindex", "__call",
	"__tostring", "__name", "__metatable", "__pairs", "__close", "__len", "__eq",
	"__lt", "__le", "__concat", "__unm", "__add", "__sub", "__mul", "__div", "__mod",
	"__pow", "__idiv", "__band", "__bor", "__bxor", "__shl", "__shr", "__bnot" };

static void
refuse_field(lua_State *L, const char *name)
{
	lua_pushstring(L, name);
	if (lua_rawget(L, 2) != LUA_TNIL)
		(void)luaL_error(L, "setmetatable: %s is not for scripts", name);
	lua_pop(L, 1);
}

static void
copy_metatable(lua_State *L)
{
	refuse_field(L, "__gc");
	refuse_field(L, "__mode");
	lua_newtable(L);
	for (size_t i = 0; i < sizeof(metamethods) / sizeof(metamethods[0]); i++) {
		lua_pushstring(L, metamethods[i]);
		lua_pushvalue(L, -1);
		if (lua_rawget(L, 2) == LUA_TNIL)
			lua_pop(L, 2);
		else
			lua_rawset(L, -3);
	}
	lua_pushvalue(L, 2);
	lua_rawsetp(L, -2, &original_key);
}

static int
base_setmetatable(lua_State *L)
{
	int type = lua_type(L, 2);

	luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
	luaL_checktype(L, 1, LUA_TTABLE);
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	lua_settop(L, 2);
	budget_charge(L, 30);
	if (type == LUA_TTABLE)
		copy_metatable(L);
	(void)lua_setmetatable(L, 1);
	lua_settop(L, 1);
	return 1;
}

static int
base_getmetatable(lua_State *L)
{
	luaL_checkany(L, 1);
	if (lua_type(L, 1) != LUA_TTABLE || !lua_getmetatable(L, 1)) {
		lua_pushnil(L);
		return 1;
	}
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return 1;
	(void)lua_rawgetp(L, -1, &original_key);
	return 1;
}

static int
base_rawset(lua_State *L)
{
	sandbox_check_writable(L, 1);
	luaL_checkany(L, 2);
	luaL_checkany(L, 3);
	lua_settop(L, 3);
	lua_rawset(L, 1);
	return 1;
}

/* ---- require ---- */

static int
base_require(lua_State *L)
{
	struct script *s = state_of(L)->script;
	size_t len;
	const char *name = luaL_checklstring(L, 1, &len);

	for (size_t i = 1; i < s->part_count; i++) {
		if (strlen(s->part[i].name) != len ||
		    memcmp(s->part[i].name, name, len) != 0)
			continue;
		state_run_part(L, i);
		return 1;
	}
	return luaL_error(L, "require: there is no such file beside the script");
}

/* ---- the stock functions, charged for ---- */

static int
call_metered(lua_State *L)
{
	size_t n = 0, len;

	for (int i = lua_gettop(L); i > 0; i--)
		if (lua_type(L, i) == LUA_TSTRING) {
			(void)lua_tolstring(L, i, &len);
			n += len;
		}
	budget_charge(L, 1 + n / 16);
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void
sandbox_push_metered(lua_State *L, lua_CFunction fn)
{
	lua_pushcfunction(L, fn);
	lua_pushcclosure(L, call_metered, 1);
}

/* ---- the environment ---- */

static const luaL_Reg own[] = { { "assert", base_assert }, { "error", base_error },
	{ "getmetatable", base_getmetatable }, { "pcall", base_pcall },
	{ "rawset", base_rawset }, { "require", base_require },
	{ "setmetatable", base_setmetatable }, { "tostring", base_tostring },
	{ NULL, NULL } };
static const char *const stock[] = { "ipairs", "next", "pairs", "rawequal", "rawget",
	"rawlen", "select", "type", NULL };
static const char *const math_left_out[] = { "randomseed", "random", NULL };

static void
leave_out(lua_State *L, const char *const *names)
{
	for (; *names != NULL; names++) {
		lua_pushnil(L);
		lua_setfield(L, -2, *names);
	}
}

static void
open_utf8(lua_State *L, int env)
{
	static const char *const names[] = { "char", "codepoint", "codes", "len",
		"offset" };

	luaL_requiref(L, "utf8", luaopen_utf8, 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		lua_getfield(L, -1, names[i]);
		sandbox_push_metered(L, lua_tocfunction(L, -1));
		lua_setfield(L, -3, names[i]);
		lua_pop(L, 1);
	}
	sandbox_lock(L, "utf8");
	lua_setfield(L, env, "utf8");
}

static void
open_base(lua_State *L, int env)
{
	luaL_requiref(L, "_G", luaopen_base, 0);
	for (size_t i = 0; stock[i] != NULL; i++) {
		lua_getfield(L, -1, stock[i]);
		lua_setfield(L, env, stock[i]);
	}
	lua_getfield(L, -1, "tonumber");
	sandbox_push_metered(L, lua_tocfunction(L, -1));
	lua_setfield(L, env, "tonumber");
	lua_pop(L, 2);
	lua_pushvalue(L, env);
	luaL_setfuncs(L, own, 0);
	lua_pop(L, 1);
	lua_pushliteral(L, "Lua 5.4");
	lua_setfield(L, env, "_VERSION");
}

void
sandbox_open(lua_State *L, struct script *s)
{
	int env;

	(void)s;
	lua_newtable(L);
	env = lua_gettop(L);
	open_base(L, env);
	strings_open(L, env);
	tables_open(L, env);
	luaL_requiref(L, "math", luaopen_math, 0);
	leave_out(L, math_left_out);
	sandbox_lock(L, "math");
	lua_setfield(L, env, "math");
	open_utf8(L, env);
	api_open(L, env);
	lua_settop(L, env);
	names_be_strict(L, "");
	sandbox_lock(L, "the environment of a script (write: local NAME)");
}
