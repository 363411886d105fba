/* strings.c - the script's string library: the stock one where its work is bounded by
 * what goes in, charged for; ours where it is not: rep, and the patterns of patterns.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <lualib.h>

#include "lua/inside.h"

enum {
	RESULTS_MAX = 4000 /* values that one call may return */
};

lz_str
strings_check(lua_State *L, int arg)
{
	lz_str s;

	s.ptr = luaL_checklstring(L, arg, &s.len);
	return s;
}

size_t
strings_place(lua_Integer at, size_t len)
{
	if (at > 0)
		return (size_t)at;
	if (at == 0 || at < -(lua_Integer)len)
		return 1;
	return len + (size_t)at + 1;
}

/* s, between, s, between, ... by doubling what is there. */
static void
fill(char *out, size_t bytes, lz_str s, lz_str between)
{
	size_t have = s.len + between.len < bytes ? s.len + between.len : bytes;

	if (s.len > 0)
		memcpy(out, s.ptr, s.len);
	if (have > s.len)
		memcpy(out + s.len, between.ptr, have - s.len);
	while (have < bytes) {
		size_t more = have < bytes - have ? have : bytes - have;

		memcpy(out + have, out, more);
		have += more;
	}
}

static int
string_rep(lua_State *L)
{
	lz_str s = strings_check(L, 1), between = { "", 0 };
	lua_Integer n = luaL_checkinteger(L, 2);
	size_t most = run_of(L)->limits->string_bytes, bytes;
	luaL_Buffer b;
	char *out;

	if (!lua_isnoneornil(L, 3))
		between = strings_check(L, 3);
	if (n <= 0 || s.len + between.len == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	if ((uint64_t)n > most / (s.len + between.len) + 1 ||
	    (uint64_t)n * (s.len + between.len) - between.len > most)
		return luaL_error(L, "resulting string too large");
	bytes = (size_t)n * (s.len + between.len) - between.len;
	budget_charge_bytes(L, bytes);
	budget_make_room(L, bytes);
	out = luaL_buffinitsize(L, &b, bytes);
	fill(out, bytes, s, between);
	luaL_pushresultsize(&b, bytes);
	return 1;
}

static int
string_byte(lua_State *L)
{
	lz_str s = strings_check(L, 1);
	lua_Integer from = luaL_optinteger(L, 2, 1);
	size_t i = strings_place(from, s.len), k;
	lua_Integer to = luaL_optinteger(L, 3, (lua_Integer)i);

	if (to < 0)
		to = to < -(lua_Integer)s.len ? 0 : (lua_Integer)s.len + to + 1;
	k = to > (lua_Integer)s.len ? s.len : (size_t)to;
	if (i > k)
		return 0;
	if (k - i >= RESULTS_MAX || !lua_checkstack(L, (int)(k - i + 1)))
		return luaL_error(L, "string slice too long");
	budget_charge(L, k - i);
	for (size_t at = i; at <= k; at++)
		lua_pushinteger(L, (unsigned char)s.ptr[at - 1]);
	return (int)(k - i + 1);
}

/* %p, also with a width or a flag in between. */
static bool
has_address(lz_str format)
{
	static const char between[] = "-+ #0123456789.";

	for (size_t i = 0; i + 1 < format.len; i++) {
		if (format.ptr[i] != '%')
			continue;
		i++; /* "%%" is passed over as a whole */
		while (i < format.len &&
		       memchr(between, format.ptr[i], sizeof(between) - 1) != NULL)
			i++;
		if (i < format.len && format.ptr[i] == 'p')
			return true;
	}
	return false;
}

/* Stock format, but for what prints addresses. */
static int
string_format(lua_State *L)
{
	lz_str format = strings_check(L, 1);

	budget_charge(L, 1 + format.len / 4);
	if (has_address(format))
		return luaL_error(L, "invalid conversion '%%p' to 'format'");
	for (int i = lua_gettop(L); i > 1; i--) {
		int type = lua_type(L, i);

		if (type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER ||
		    type == LUA_TSTRING) {
			budget_charge_bytes(L, lua_rawlen(L, i));
			continue;
		}
		sandbox_push_text(L, i);
		lua_replace(L, i);
	}
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static const luaL_Reg ours[] = { { "byte", string_byte }, { "rep", string_rep },
	{ NULL, NULL } };
static const char *const stock[] = { "char", "len", "sub", NULL };
static const char *const metered[] = { "lower", "pack", "packsize", "reverse", "unpack",
	"upper", NULL };

/* The library's own table goes; with it dump and what else is not named. */
void
strings_open(lua_State *L, int env)
{
	luaL_requiref(L, "string", luaopen_string, 0);
	lua_newtable(L);
	luaL_setfuncs(L, ours, 0);
	luaL_setfuncs(L, patterns_functions, 0);
	for (size_t i = 0; stock[i] != NULL; i++) {
		lua_getfield(L, -2, stock[i]);
		lua_setfield(L, -2, stock[i]);
	}
	for (size_t i = 0; metered[i] != NULL; i++) {
		lua_getfield(L, -2, metered[i]);
		sandbox_push_metered(L, lua_tocfunction(L, -1));
		lua_setfield(L, -3, metered[i]);
		lua_pop(L, 1);
	}
	lua_getfield(L, -2, "format");
	lua_pushcclosure(L, string_format, 1);
	lua_setfield(L, -2, "format");
	/* ("x"):rep(3): the methods of strings. */
	lua_pushliteral(L, "");
	(void)lua_getmetatable(L, -1);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 2);
	sandbox_lock(L, "string");
	lua_setfield(L, env, "string");
	lua_pop(L, 1);
}
