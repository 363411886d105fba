/* proxy.c - what a script holds of its request: small handles that ask the host when they
 * are looked at, and know whose they are.
 *
 * A script can keep a handle beyond its request. It carries the number of its run, and in
 * any other run's slice it is an error, so nobody sees another's request.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/inside.h"

static const struct {
	const char *class; /* in api.c */
	const char *what;  /* in messages, and what type-less texts of it are */
} kinds[PROXY_KINDS] = {
	[PROXY_REQUEST] = { "Request", "request" },
	[PROXY_TEXTS] = { "Texts", "list of texts" },
	[PROXY_TEXT] = { "Text", "text" },
	[PROXY_TARGETS] = { "Targets", "list of targets" },
	[PROXY_TARGET] = { "Target", "target" },
	[PROXY_MAP] = { "Map", "map" },
	[PROXY_BODY] = { "Body", "part of the body" },
	[PROXY_VERDICT] = { "Verdict", "verdict" },
};

/* In the registry: the metatables. */
static const char metatable_key[PROXY_KINDS];

struct proxy *
proxy_push(lua_State *L, enum proxy_kind kind, size_t index)
{
	struct proxy *p = lua_newuserdatauv(L, sizeof(*p), 2);

	*p = (struct proxy){ .kind = kind, .index = index };
	if (kind != PROXY_VERDICT)
		p->serial = run_of(L)->serial;
	(void)lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key[kind]);
	(void)lua_setmetatable(L, -2);
	return p;
}

/* Userdata of a script's state are all ours: proxies, or what a function of ours works
 * with, which no script gets hold of. */
struct proxy *
proxy_at(lua_State *L, int arg, enum proxy_kind kind)
{
	struct proxy *p =
	    lua_type(L, arg) == LUA_TUSERDATA ? lua_touserdata(L, arg) : NULL;

	return p != NULL && p->kind == kind ? p : NULL;
}

struct proxy *
proxy_check(lua_State *L, int arg, enum proxy_kind kind)
{
	struct proxy *p = proxy_at(L, arg, kind);

	if (p == NULL) {
		(void)luaL_typeerror(L, arg, kinds[kind].what);
		return NULL;
	}
	if (p->serial != run_of(L)->serial)
		(void)luaL_error(L,
		    "this %s belongs to a request that is over; keep what you need in "
		    "req.slot",
		    kinds[kind].what);
	return p;
}

void
proxy_push_item(lua_State *L, int list, enum proxy_kind kind, size_t index)
{
	list = lua_absindex(L, list);
	if (lua_getiuservalue(L, list, 1) == LUA_TNIL) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		(void)lua_setiuservalue(L, list, 1);
	}
	if (lua_rawgeti(L, -1, (lua_Integer)index + 1) == LUA_TNIL) {
		lua_pop(L, 1);
		(void)proxy_push(L, kind, index);
		lua_pushvalue(L, -1);
		lua_rawseti(L, -3, (lua_Integer)index + 1);
	}
	lua_remove(L, -2);
}

static int
refuse_write(lua_State *L)
{
	const struct proxy *p = lua_touserdata(L, 1);

	return luaL_error(L, "a %s is read-only", kinds[p->kind].what);
}

static int
name_of(lua_State *L)
{
	const struct proxy *p = lua_touserdata(L, 1);

	lua_pushstring(L, kinds[p->kind].what);
	return 1;
}

/* Upvalue 1 of __index: fields by name; an integer is a field, a function a method. */
static void
push_fields(lua_State *L, const char *class)
{
	lua_newtable(L);
	for (size_t i = 0; i < api_row_count; i++) {
		const struct api_row *row = &api_rows[i];

		if (strcmp(row->where, class) != 0 ||
		    (row->fn == NULL && row->field == 0))
			continue;
		if (row->fn != NULL)
			lua_pushcfunction(L, row->fn);
		else
			lua_pushinteger(L, row->field);
		lua_setfield(L, -2, row->name);
	}
}

void
proxy_open(lua_State *L, enum proxy_kind kind, lua_CFunction index,
    lua_CFunction newindex, lua_CFunction len, lua_CFunction pairs)
{
	lua_createtable(L, 0, 7);
	if (index != NULL) {
		push_fields(L, kinds[kind].class);
		lua_pushcclosure(L, index, 1);
		lua_setfield(L, -2, "__index");
	}
	lua_pushcfunction(L, newindex != NULL ? newindex : refuse_write);
	lua_setfield(L, -2, "__newindex");
	lua_pushcfunction(L, name_of);
	lua_setfield(L, -2, "__tostring");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	if (len != NULL) {
		lua_pushcfunction(L, len);
		lua_setfield(L, -2, "__len");
	}
	if (pairs != NULL) {
		lua_pushcfunction(L, pairs);
		lua_setfield(L, -2, "__pairs");
	}
	lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key[kind]);
}

static int
unknown_field(lua_State *L)
{
	const struct proxy *p = lua_touserdata(L, 1);
	unsigned best = 4;
	const char *near = NULL;
	lz_str name;

	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(L, "a %s has no field of type %s", kinds[p->kind].what,
		    luaL_typename(L, 2));
	name.ptr = lua_tolstring(L, 2, &name.len);
	for (size_t i = 0; i < api_row_count; i++) {
		unsigned edits;

		if (strcmp(api_rows[i].where, kinds[p->kind].class) != 0)
			continue;
		edits = str_distance(name, lz_strz(api_rows[i].name), 3);
		if (edits < best) {
			best = edits;
			near = api_rows[i].name;
		}
	}
	if (near != NULL)
		return luaL_error(L, "a %s has no '%s'; did you mean %s?",
		    kinds[p->kind].what, name.ptr, near);
	return luaL_error(L, "a %s has no '%s'", kinds[p->kind].what, name.ptr);
}

int
proxy_field(lua_State *L)
{
	lua_pushvalue(L, 2);
	switch (lua_rawget(L, lua_upvalueindex(1))) {
	case LUA_TFUNCTION:
		return -1;
	case LUA_TNUMBER: {
		int field = (int)lua_tointeger(L, -1);

		lua_pop(L, 1);
		return field;
	}
	default:
		return unknown_field(L);
	}
}

void
push_str(lua_State *L, lz_str s)
{
	if (s.ptr == NULL)
		lua_pushnil(L);
	else
		lua_pushlstring(L, s.ptr, s.len);
}

void
push_text(lua_State *L, lz_str s)
{
	lua_pushlstring(L, s.ptr != NULL ? s.ptr : "", s.len);
}
