/* targets.c - a router's candidates, and the order that a script puts them in.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "lua/inside.h"

enum {
	TARGETS_MAX = 100000
};

static const struct {
	uint32_t can;
	const char *name;
} abilities[] = { { LZ_CAN_STREAM, "stream" }, { LZ_CAN_TOOLS, "tools" },
	{ LZ_CAN_VISION, "vision" }, { LZ_CAN_SCHEMA, "schema" },
	{ LZ_CAN_REASON, "reason" }, { LZ_CAN_AUDIO, "audio" },
	{ LZ_CAN_FILES, "files" } };

static void
push_known(lua_State *L, double v)
{
	if (v < 0)
		lua_pushnil(L);
	else
		lua_pushnumber(L, v);
}

static void
push_abilities(lua_State *L, uint32_t can)
{
	lua_createtable(L, 0, 8);
	for (size_t i = 0; i < sizeof(abilities) / sizeof(abilities[0]); i++)
		if ((can & abilities[i].can) != 0) {
			lua_pushboolean(L, 1);
			lua_setfield(L, -2, abilities[i].name);
		}
}

static void
push_field(lua_State *L, const lz_target *t, int field)
{
	switch (field) {
	case FIELD_PROVIDER:
		push_text(L, t->provider);
		break;
	case FIELD_MODEL:
		push_text(L, t->model);
		break;
	case FIELD_REGION:
		push_str(L, t->region);
		break;
	case FIELD_HEALTHY:
		lua_pushboolean(L, t->healthy != 0);
		break;
	case FIELD_CAPABILITIES:
		push_abilities(L, t->capabilities);
		break;
	case FIELD_CONTEXT_TOKENS:
		lua_pushinteger(L, t->context_tokens);
		break;
	case FIELD_MAX_OUTPUT_TOKENS:
		lua_pushinteger(L, t->max_output_tokens);
		break;
	case FIELD_COST_EUR:
		push_known(L, (double)t->cost_estimate / 1e9);
		break;
	case FIELD_QUALITY:
		push_known(L, t->quality);
		break;
	case FIELD_WEIGHT:
		lua_pushnumber(L, t->weight);
		break;
	case FIELD_TTFT_MS:
		push_known(L, t->ttft_ms);
		break;
	case FIELD_MS_PER_TOKEN:
		push_known(L, t->ms_per_token);
		break;
	case FIELD_ERROR_RATE:
		lua_pushnumber(L, t->error_rate > 0 ? t->error_rate : 0);
		break;
	default:
		lua_pushnumber(L, t->load > 0 ? t->load : 0);
		break;
	}
}

static int
target_index(lua_State *L)
{
	const struct proxy *p = proxy_check(L, 1, PROXY_TARGET);
	struct run *r = run_of(L);
	int field = proxy_field(L);
	const lz_target *t;

	if (field < 0)
		return 1;
	t = r->lz->target(r->c, p->index);
	if (t == NULL)
		return luaL_error(L, "there is no such target any more");
	push_field(L, t, field);
	return 1;
}

/* ---- the list ---- */

static size_t
count_of(lua_State *L)
{
	struct run *r = run_of(L);

	return r->lz->targets(r->c);
}

static int
targets_index(lua_State *L)
{
	(void)proxy_check(L, 1, PROXY_TARGETS);
	if (lua_isinteger(L, 2)) {
		lua_Integer i = lua_tointeger(L, 2);

		if (i < 1 || (lua_Unsigned)i > count_of(L))
			lua_pushnil(L);
		else
			proxy_push_item(L, 1, PROXY_TARGET, (size_t)i - 1);
		return 1;
	}
	(void)proxy_field(L);
	return 1;
}

static int
targets_len(lua_State *L)
{
	(void)proxy_check(L, 1, PROXY_TARGETS);
	lua_pushinteger(L, (lua_Integer)count_of(L));
	return 1;
}

static int
targets_next(lua_State *L)
{
	lua_Integer i = luaL_optinteger(L, 2, 0);

	(void)proxy_check(L, 1, PROXY_TARGETS);
	if (i < 0 || (lua_Unsigned)i >= count_of(L))
		return 0;
	lua_pushinteger(L, i + 1);
	proxy_push_item(L, 1, PROXY_TARGET, (size_t)i);
	return 2;
}

static int
targets_pairs(lua_State *L)
{
	lua_pushcfunction(L, targets_next);
	lua_pushvalue(L, 1);
	return 2;
}

/* "openai/gpt-x" and "gpt-x" both name it. */
static bool
is_model(const lz_target *t, lz_str model)
{
	lz_str tail = str_cut(model, t->provider.len + 1, model.len);

	return str_eq(t->model, model) || str_eq(t->upstream_model, model) ||
	       (model.len > t->provider.len && model.ptr[t->provider.len] == '/' &&
		   str_eq(str_cut(model, 0, t->provider.len), t->provider) &&
		   (str_eq(t->model, tail) || str_eq(t->upstream_model, tail)));
}

int
api_targets_of(lua_State *L)
{
	struct run *r = run_of(L);
	size_t n, found;
	lz_str model;

	(void)proxy_check(L, 1, PROXY_TARGETS);
	model.ptr = luaL_checklstring(L, 2, &model.len);
	n = found = count_of(L);
	budget_charge(L, n);
	for (size_t i = 0; i < n; i++) {
		const lz_target *t = r->lz->target(r->c, i);

		if (t == NULL || !is_model(t, model))
			continue;
		if (found == n)
			found = i;
		if (t->healthy) {
			found = i;
			break;
		}
	}
	if (found == n)
		lua_pushnil(L);
	else
		proxy_push_item(L, 1, PROXY_TARGET, found);
	return 1;
}

int
api_targets_sorted(lua_State *L)
{
	size_t n;

	(void)proxy_check(L, 1, PROXY_TARGETS);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	n = count_of(L);
	budget_charge(L, n);
	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		proxy_push_item(L, 1, PROXY_TARGET, i);
		lua_rawseti(L, 3, (lua_Integer)i + 1);
	}
	lua_replace(L, 1);
	return tables_sort(L, true);
}

/* ---- what pick() returned ---- */

static int32_t
wrong(struct run *r, const char *what)
{
	(void)snprintf(r->why, sizeof(r->why),
	    "%s: pick() returned %s; return a list of targets, or a verdict",
	    r->state->script->file, what);
	return LZ_E_FAIL;
}

static int32_t
prefer_all(struct run *r)
{
	size_t n = r->lz->targets(r->c);

	for (size_t i = 0; i < n; i++)
		(void)r->lz->prefer(r->c, i, (double)i, STR_NONE);
	return LZ_OK;
}

/* The largest index of the list on top; -1: a key is none. */
static lua_Integer
last_index(lua_State *co)
{
	lua_Integer last = 0;

	for (lua_pushnil(co); lua_next(co, -2) != 0; lua_pop(co, 1)) {
		if (!lua_isinteger(co, -2) || lua_tointeger(co, -2) < 1 ||
		    lua_tointeger(co, -2) > TARGETS_MAX) {
			lua_pop(co, 2);
			return -1;
		}
		if (lua_tointeger(co, -2) > last)
			last = lua_tointeger(co, -2);
	}
	return last;
}

/* A hole, as in { canary, stable } where there is no canary, is passed over; a target
 * that comes twice counts once. */
int32_t
targets_prefer(struct run *r)
{
	const struct proxy *p = proxy_at(r->co, -1, PROXY_TARGETS);
	lua_Integer last;
	size_t preferred = 0;

	if (p != NULL)
		return p->serial == r->serial
			   ? prefer_all(r)
			   : wrong(r, "the targets of another request");
	if (lua_isnil(r->co, -1))
		return wrong(r, "nothing");
	if (!lua_istable(r->co, -1))
		return wrong(r, "something else than a table");
	last = last_index(r->co);
	if (last < 0)
		return wrong(r, "a table with names");
	for (lua_Integer i = 1; i <= last; i++) {
		bool is_nil = lua_rawgeti(r->co, -1, i) == LUA_TNIL;

		p = proxy_at(r->co, -1, PROXY_TARGET);
		lua_pop(r->co, 1);
		if (is_nil)
			continue;
		if (p == NULL || p->serial != r->serial)
			return wrong(r, "a list in which something is no target");
		preferred +=
		    r->lz->prefer(r->c, p->index, (double)preferred, STR_NONE) == LZ_OK;
	}
	if (preferred == 0)
		run_log(r, LZ_WARN, "pick() preferred no target; they stay as listed");
	return LZ_OK;
}

void
proxy_open_targets(lua_State *L)
{
	proxy_open(L, PROXY_TARGETS, targets_index, NULL, targets_len, targets_pairs);
	proxy_open(L, PROXY_TARGET, target_index, NULL, NULL, NULL);
}
