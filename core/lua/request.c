/* request.c - req: the request as a script sees it, and its maps.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/inside.h"

enum map {
	MAP_HEADERS,
	MAP_METADATA,
	MAP_KEY_METADATA,
	MAP_TAGS
};

enum {
	MAP_KEY_BYTES = 200
};

/* ---- maps ---- */

static lz_str
check_str(lua_State *L, int arg)
{
	lz_str s;

	s.ptr = luaL_checklstring(L, arg, &s.len);
	return s;
}

/* The key's metadata has a prefix; headers are asked for in lower case. */
static int
map_index(lua_State *L)
{
	const struct proxy *p = proxy_check(L, 1, PROXY_MAP);
	struct run *r = run_of(L);
	lz_str key = check_str(L, 2);
	char name[MAP_KEY_BYTES + 4];
	size_t n = p->index == MAP_KEY_METADATA ? 4 : 0;

	if (key.len > MAP_KEY_BYTES) {
		lua_pushnil(L);
		return 1;
	}
	memcpy(name, "key.", 4);
	for (size_t i = 0; i < key.len; i++) {
		char c = key.ptr[i];

		name[n + i] =
		    p->index == MAP_HEADERS && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	key = lz_strn(name, n + key.len);
	if (p->index == MAP_HEADERS)
		push_str(L, r->lz->header(r->c, key));
	else if (p->index == MAP_TAGS)
		return luaL_error(
		    L, "tags can be written, not read; keep what you need in req.slot");
	else
		push_str(L, r->lz->metadata(r->c, key));
	return 1;
}

static int
map_newindex(lua_State *L)
{
	const struct proxy *p = proxy_check(L, 1, PROXY_MAP);
	struct run *r = run_of(L);
	lz_str key = check_str(L, 2);
	lz_str value;

	if (p->index != MAP_TAGS)
		return luaL_error(L, "only tags can be written");
	if (lua_type(L, 3) != LUA_TSTRING && lua_type(L, 3) != LUA_TNUMBER &&
	    lua_type(L, 3) != LUA_TBOOLEAN)
		return luaL_error(L, "a tag is a text, a number or a boolean, not %s",
		    luaL_typename(L, 3));
	sandbox_push_text(L, 3);
	value.ptr = lua_tolstring(L, -1, &value.len);
	switch (r->lz->tag(r->c, key, value)) {
	case LZ_OK:
		return 0;
	case LZ_E_LIMIT:
		return luaL_error(L, "the request has too many tags");
	default:
		return luaL_error(L,
		    "the host does not take this tag: a name has 1 to 64 bytes, a text 1 "
		    "to 512, both in UTF-8");
	}
}

/* ---- the request ---- */

static void
push_field(lua_State *L, const lz_request *q, int field)
{
	struct run *r = run_of(L);

	switch (field) {
	case FIELD_ID:
		push_text(L, q->id);
		break;
	case FIELD_PHASE:
		lua_pushstring(L, q->phase == LZ_RESPONSE ? "response" : "request");
		break;
	case FIELD_STREAM:
		lua_pushboolean(L, q->stream != 0);
		break;
	case FIELD_ROUTE:
		push_text(L, q->route);
		break;
	case FIELD_MODEL:
		push_text(L, q->model);
		break;
	case FIELD_KEY:
		push_text(L, q->key);
		break;
	case FIELD_ASSISTANT:
		push_str(L, q->assistant);
		break;
	case FIELD_ORGANIZATION:
		push_text(L, q->organization);
		break;
	case FIELD_USER:
		push_str(L, q->user);
		break;
	case FIELD_SESSION:
		push_str(L, q->session);
		break;
	case FIELD_PROMPT_TOKENS:
		lua_pushinteger(L, q->prompt_tokens);
		break;
	case FIELD_MAX_OUTPUT_TOKENS:
		if (q->max_output_tokens < 0)
			lua_pushnil(L);
		else
			lua_pushinteger(L, q->max_output_tokens);
		break;
	case FIELD_HEADERS:
		(void)proxy_push(L, PROXY_MAP, MAP_HEADERS);
		break;
	case FIELD_METADATA:
		(void)proxy_push(L, PROXY_MAP, MAP_METADATA);
		break;
	case FIELD_KEY_METADATA:
		(void)proxy_push(L, PROXY_MAP, MAP_KEY_METADATA);
		break;
	case FIELD_TAGS:
		(void)proxy_push(L, PROXY_MAP, MAP_TAGS);
		break;
	case FIELD_TEXTS:
		if (r->state->script->is_router)
			(void)luaL_error(L, "texts are a guardrail's; a router sees the "
					    "body and the targets");
		(void)proxy_push(L, PROXY_TEXTS, 0);
		break;
	case FIELD_BODY:
		body_push(L);
		break;
	default:
		slot_push(L);
		break;
	}
}

/* Fields that are handles or tables are made once. */
static bool
is_remembered(int field)
{
	return field >= FIELD_HEADERS && field <= FIELD_SLOT;
}

static int
request_index(lua_State *L)
{
	struct run *r = run_of(L);
	const lz_request *q;
	int field;

	(void)proxy_check(L, 1, PROXY_REQUEST);
	field = proxy_field(L);
	if (field < 0)
		return 1;
	if (is_remembered(field) && lua_getiuservalue(L, 1, 1) == LUA_TTABLE) {
		if (lua_rawgeti(L, -1, field) != LUA_TNIL)
			return 1;
		lua_pop(L, 2);
	}
	q = r->lz->request(r->c);
	if (q == NULL)
		return luaL_error(L, "there is no request");
	push_field(L, q, field);
	if (!is_remembered(field))
		return 1;
	if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		(void)lua_setiuservalue(L, 1, 1);
	}
	lua_pushvalue(L, -2);
	lua_rawseti(L, -2, field);
	lua_pop(L, 1);
	return 1;
}

static int
request_newindex(lua_State *L)
{
	int field;

	(void)proxy_check(L, 1, PROXY_REQUEST);
	field = lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "body") == 0;
	if (field)
		return luaL_error(
		    L, "the body is edited by its members: req.body.NAME = value");
	return luaL_error(L, "a request is read-only; req.slot is yours, req.tags and "
			     "req.body take members");
}

int
api_limit_output(lua_State *L)
{
	struct run *r = run_of(L);
	lua_Integer tokens;

	(void)proxy_check(L, 1, PROXY_REQUEST);
	tokens = luaL_checkinteger(L, 2);
	luaL_argcheck(L, tokens > 0, 2, "one token is the least");
	if (r->lz->limit_output(r->c, tokens) != LZ_OK)
		return luaL_error(L, "the output cannot be limited here");
	return 0;
}

void
proxy_push_request(lua_State *L)
{
	(void)proxy_push(L, PROXY_REQUEST, 0);
}

void
proxy_open_request(lua_State *L)
{
	proxy_open(L, PROXY_REQUEST, request_index, request_newindex, NULL, NULL);
	proxy_open(L, PROXY_MAP, map_index, map_newindex, NULL, NULL);
	proxy_open(L, PROXY_VERDICT, NULL, NULL, NULL, NULL);
}
