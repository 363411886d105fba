/* body.c - req.body: the JSON of the request or the answer, looked at where a script
 * looks and nowhere else, so that what is not touched is not changed.
 *
 * A handle has the path from the root. Once something was assigned there are two trees,
 * the one that was read and the one that is edited; from then on handles find their value
 * by their path in the second.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/inside.h"

enum {
	PATH_VALUE = 1 /* the user value with the path, a JSON pointer */
};

static const lz_json *
root_of(struct run *r)
{
	return r->root != NULL ? r->root : r->lz->body(r->c);
}

static void
push_node(lua_State *L, const lz_json *node, const char *path)
{
	struct proxy *p = proxy_push(L, PROXY_BODY, 0);

	p->node = node;
	lua_pushstring(L, path);
	(void)lua_setiuservalue(L, -2, PATH_VALUE);
}

void
body_push(lua_State *L)
{
	const lz_json *root = root_of(run_of(L));

	if (root == NULL)
		lua_pushnil(L);
	else
		push_node(L, root, "");
}

/* The handle's value now, and its path, which is pushed. NULL: it is gone. */
static const lz_json *
check_node(lua_State *L, int arg, const char **path)
{
	const struct proxy *p = proxy_check(L, arg, PROXY_BODY);
	struct run *r = run_of(L);

	(void)lua_getiuservalue(L, arg, PATH_VALUE);
	*path = lua_tostring(L, -1);
	return r->root != NULL ? r->lz->json_at(r->root, *path) : p->node;
}

lz_json *
body_json(lua_State *L, int arg)
{
	const char *path;
	const lz_json *node;

	if (proxy_at(L, arg, PROXY_BODY) == NULL)
		(void)luaL_error(L, "this part of the request cannot be JSON");
	node = check_node(L, arg, &path);
	lua_pop(L, 1);
	return (lz_json *)(uintptr_t)node;
}

/* Pushes "/key", escaped; an index of Lua's begins at 1. false: there can be no such. */
static bool
push_step(lua_State *L, int key, bool is_array)
{
	luaL_Buffer b;
	lz_str s;

	if (is_array) {
		if (!lua_isinteger(L, key) || lua_tointeger(L, key) < 1)
			return false;
		lua_pushfstring(L, "/%I", (LUAI_UACINT)lua_tointeger(L, key) - 1);
		return true;
	}
	if (lua_type(L, key) != LUA_TSTRING)
		return false;
	s.ptr = lua_tolstring(L, key, &s.len);
	if (str_find(s, '\0') >= 0)
		return false;
	luaL_buffinit(L, &b);
	luaL_addchar(&b, '/');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '~')
			luaL_addstring(&b, "~0");
		else if (s.ptr[i] == '/')
			luaL_addstring(&b, "~1");
		else
			luaL_addchar(&b, s.ptr[i]);
	}
	luaL_pushresult(&b);
	return true;
}

/* A value as the script sees it: a handle if it has members. */
static void
push_value(lua_State *L, const lz_json *j, const char *path)
{
	int32_t type = run_of(L)->lz->json_type(j);

	if (j == NULL)
		lua_pushnil(L);
	else if (type == LZ_ARRAY || type == LZ_OBJECT)
		push_node(L, j, path);
	else
		values_push(L, j);
}

static int
body_index(lua_State *L)
{
	const lz_host *lz = run_of(L)->lz;
	const char *path, *step;
	const lz_json *node = check_node(L, 1, &path), *found;

	budget_charge(L, 2);
	if (!push_step(L, 2, lz->json_type(node) == LZ_ARRAY)) {
		lua_pushnil(L);
		return 1;
	}
	step = lua_tostring(L, -1);
	found = lz->json_at(node, step);
	lua_pushfstring(L, "%s%s", path, step);
	push_value(L, found, lua_tostring(L, -1));
	return 1;
}

int
body_refuse_both(lua_State *L)
{
	return luaL_error(L, "one check edits req.body or texts, not both; let a second "
			     "guardrail do the other");
}

/* Large bodies are made into a tree that can be edited only if the script says so. */
static lz_json *
edit_root(lua_State *L)
{
	struct run *r = run_of(L);
	const lz_request *q = r->lz->request(r->c);

	if (r->state->script->is_router || q == NULL || q->phase != LZ_REQUEST)
		(void)luaL_error(L, "only a guardrail on requests edits the body");
	if (r->edit_count > 0)
		(void)body_refuse_both(L);
	if (r->root == NULL)
		r->root = r->lz->edit(r->c);
	if (r->root == NULL)
		(void)luaL_error(
		    L, "the body cannot be edited: it is no JSON, or too large");
	return r->root;
}

static int
body_newindex(lua_State *L)
{
	struct run *r = run_of(L);
	const char *path;
	const lz_json *value = NULL;
	bool is_array;
	lz_json *root;

	is_array = r->lz->json_type(check_node(L, 1, &path)) == LZ_ARRAY;
	if (!push_step(L, 2, is_array))
		return luaL_error(L, is_array ? "a list of JSON has indexes, from 1"
					      : "an object of JSON has texts as keys");
	lua_pushfstring(L, "%s%s", path, lua_tostring(L, -1));
	if (!lua_isnil(L, 3))
		value = values_json(L, 3);
	root = edit_root(L);
	if (r->lz->json_put(r->c, root, lua_tostring(L, -1), value) != LZ_OK)
		return luaL_error(L, "the body has no place for this");
	return 0;
}

static int
body_len(lua_State *L)
{
	const char *path;

	lua_pushinteger(L, (lua_Integer)run_of(L)->lz->json_len(check_node(L, 1, &path)));
	return 1;
}

/* Upvalue 1: how many were seen. */
static int
body_next(lua_State *L)
{
	const lz_host *lz = run_of(L)->lz;
	const char *path;
	const lz_json *node = check_node(L, 1, &path), *item;
	lua_Integer i = lua_tointeger(L, lua_upvalueindex(1));
	lz_str key = STR_NONE;
	int at;

	budget_charge(L, 2);
	item = lz->json_item(node, (size_t)i, &key);
	if (item == NULL)
		return 0;
	lua_pushinteger(L, i + 1);
	lua_replace(L, lua_upvalueindex(1));
	if (lz->json_type(node) == LZ_ARRAY)
		lua_pushinteger(L, i + 1);
	else
		push_text(L, key);
	at = lua_gettop(L);
	if (!push_step(L, at, lz->json_type(node) == LZ_ARRAY))
		return luaL_error(L, "a key that cannot be named");
	lua_pushfstring(L, "%s%s", path, lua_tostring(L, -1));
	lua_pushvalue(L, at);
	push_value(L, item, lua_tostring(L, -2));
	return 2;
}

static int
body_pairs(lua_State *L)
{
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, body_next, 1);
	lua_pushvalue(L, 1);
	return 2;
}

void
proxy_open_body(lua_State *L)
{
	proxy_open(L, PROXY_BODY, body_index, body_newindex, body_len, body_pairs);
}
