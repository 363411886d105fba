/* test.c - NAME_test.lua: cases that show a script something and look at what it made of
 * it.
 *
 * A test is a script that returns nothing and is given latenza.test. It runs in the same
 * sandbox under the same limits; what it shows to a script under test is a document of
 * fake.h's, and so is what it gets back.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "lua/fake.h"
#include "lua/inside.h"

enum {
	COMPARE_DEPTH = 30
};

struct testing {
	struct script *test;
	struct script *const *scripts;
	size_t count;
	struct fake *fake;
	struct state *state;
	script_said_fn *say;
	void *arg;
	unsigned failed;
};

/* In the registry: the list of { name, function }, and the struct testing. */
static const char cases_key, testing_key;

static struct testing *
testing_of(lua_State *L)
{
	struct testing *t;

	(void)lua_rawgetp(L, LUA_REGISTRYINDEX, &testing_key);
	t = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return t;
}

/* ---- latenza.test ---- */

int
api_test_case(lua_State *L)
{
	(void)luaL_checkstring(L, 1);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &cases_key) == LUA_TNIL) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &cases_key);
	}
	lua_createtable(L, 2, 0);
	lua_pushvalue(L, 1);
	lua_rawseti(L, -2, 1);
	lua_pushvalue(L, 2);
	lua_rawseti(L, -2, 2);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
	return 0;
}

static bool is_same(lua_State *L, int a, int b, unsigned depth);

/* Has b every member of a, the same? */
static bool
has_members(lua_State *L, int a, int b, unsigned depth)
{
	for (lua_pushnil(L); lua_next(L, a) != 0; lua_pop(L, 1)) {
		bool is;

		lua_pushvalue(L, -2);
		(void)lua_rawget(L, b);
		is = is_same(L, lua_gettop(L) - 1, lua_gettop(L), depth + 1);
		lua_pop(L, 1);
		if (!is) {
			lua_pop(L, 2);
			return false;
		}
	}
	return true;
}

static bool
is_same(lua_State *L, int a, int b, unsigned depth)
{
	luaL_checkstack(L, 6, NULL);
	budget_charge(L, 5);
	if (lua_rawequal(L, a, b))
		return true;
	if (!lua_istable(L, a) || !lua_istable(L, b) || depth > COMPARE_DEPTH)
		return false;
	return has_members(L, a, b, depth) && has_members(L, b, a, depth);
}

static void
push_shown(lua_State *L, int arg)
{
	lz_str text;

	if (lua_istable(L, arg)) {
		struct run *r = run_of(L);

		text = r->lz->json_text(r->c, values_json(L, arg));
		push_text(L, text);
	} else if (lua_type(L, arg) == LUA_TSTRING) {
		lua_pushfstring(L, "\"%s\"", lua_tostring(L, arg));
	} else {
		sandbox_push_text(L, arg);
	}
}

int
api_test_equal(lua_State *L)
{
	lua_settop(L, 2);
	if (is_same(L, 1, 2, 0))
		return 0;
	luaL_where(L, 1);
	push_shown(L, 1);
	push_shown(L, 2);
	lua_pushfstring(L, "%sgot %s, wanted %s", lua_tostring(L, -3),
	    lua_tostring(L, -2), lua_tostring(L, -1));
	return lua_error(L);
}

static struct script *
find_script(lua_State *L, bool is_router)
{
	const struct testing *t = testing_of(L);
	const char *name = luaL_checkstring(L, 1);

	for (size_t i = 0; t != NULL && i < t->count; i++)
		if (t->scripts[i]->is_router == is_router &&
		    strcmp(t->scripts[i]->component.name, name) == 0)
			return t->scripts[i];
	(void)luaL_error(L, "there is no %s '%s' among the scripts that are tested",
	    is_router ? "router" : "guardrail", name);
	return NULL;
}

static int
show(lua_State *L, bool is_router)
{
	struct script *s = find_script(L, is_router);
	struct run *r = run_of(L);
	const lz_json *document;
	uint64_t steps;
	json_t *told;
	struct err e;

	if (lua_isnoneornil(L, 2)) {
		lua_settop(L, 1);
		lua_newtable(L);
	}
	luaL_checktype(L, 2, LUA_TTABLE);
	document = values_json(L, 2);
	steps = script_cost(s).steps;
	told = fake_visit(
	    (struct fake *)(void *)r->c, s, (const json_t *)(const void *)document, &e);
	if (told == NULL)
		return luaL_error(L, "%s", e.text);
	fake_take(r->c, told);
	budget_charge(L, script_cost(s).steps - steps);
	values_push(L, (const lz_json *)(const void *)told);
	return 1;
}

int
api_test_guardrail(lua_State *L)
{
	return show(L, false);
}

int
api_test_router(lua_State *L)
{
	return show(L, true);
}

/* ---- running ---- */

static int
take_case(lua_State *L)
{
	struct run *r = lua_touserdata(L, 1);
	lua_Integer i = (lua_Integer)r->serial;

	r->co = lua_newthread(L);
	r->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
	(void)lua_rawgetp(L, LUA_REGISTRYINDEX, &cases_key);
	(void)lua_rawgeti(L, -1, i);
	(void)lua_rawgeti(L, -1, 1);
	r->said = lua_tostring(L, -1); /* the case's name: its table keeps it */
	(void)lua_rawgeti(L, -2, 2);
	lua_xmove(L, r->co, 1);
	return 0;
}

/* false: memory ran out, nothing more can run in this state. */
static bool
run_case(struct testing *t, size_t i)
{
	struct state *s = t->state;
	struct run r = { .state = s,
		.limits = &t->test->limits,
		.lz = fake_host(t->fake),
		.c = fake_call(t->fake) };
	const char *name = "?";
	int status, count;

	r.serial = i;
	s->running = &r;
	lua_pushcfunction(s->L, take_case);
	lua_pushlightuserdata(s->L, &r);
	status = lua_pcall(s->L, 1, 0, 0);
	if (status == LUA_OK) {
		name = r.said;
		budget_new_slice(&r);
		while ((status = lua_resume(r.co, NULL, 0, &count)) == LUA_YIELD)
			budget_new_slice(&r);
	}
	if (status != LUA_OK) {
		budget_explain(&r, r.co != NULL ? r.co : s->L, status);
		t->failed++;
	}
	s->running = NULL;
	t->say(t->arg, name, status == LUA_OK ? NULL : r.why);
	luaL_unref(s->L, LUA_REGISTRYINDEX, r.anchor);
	return r.stop != LZ_E_LIMIT;
}

static int
count_cases(lua_State *L)
{
	struct testing *t = lua_touserdata(L, 1);
	size_t n;

	lua_pushlightuserdata(L, t);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &testing_key);
	n = lua_rawgetp(L, LUA_REGISTRYINDEX, &cases_key) == LUA_TTABLE
		? lua_rawlen(L, -1)
		: 0;
	lua_pushinteger(L, (lua_Integer)n);
	return 1;
}

static enum status
run_all(struct testing *t, struct err *e)
{
	lua_Integer n;

	lua_pushcfunction(t->state->L, count_cases);
	lua_pushlightuserdata(t->state->L, t);
	if (lua_pcall(t->state->L, 1, 1, 0) != LUA_OK)
		return err_fail(e, ST_NOMEM, "%s: out of memory", t->test->file);
	n = lua_tointeger(t->state->L, -1);
	lua_pop(t->state->L, 1);
	if (n == 0)
		return err_fail(e, ST_INVALID,
		    "%s: has no case; write latenza.test.case(\"...\", function() ... "
		    "end)",
		    t->test->file);
	for (lua_Integer i = 1; i <= n; i++)
		if (!run_case(t, (size_t)i))
			return err_fail(e, ST_LIMIT,
			    "%s: memory ran out after %lld of %lld cases", t->test->file,
			    (long long)i, (long long)n);
	return ST_OK;
}

enum status
script_test(const struct script_source *q, struct script *const *scripts, size_t count,
    const lz_host *host, script_said_fn *say, void *arg, unsigned *failed, struct err *e)
{
	struct testing t = { .scripts = scripts, .count = count, .say = say, .arg = arg };
	enum status st = ST_INVALID;

	t.test = script_load_test(q, e);
	if (t.test != NULL) {
		t.state = state_new(t.test, e);
		t.fake = t.state != NULL ? fake_new(host) : NULL;
		if (t.fake != NULL)
			fake_grant_all(t.fake);
		if (t.fake != NULL)
			st = run_all(&t, e);
		else if (t.state != NULL)
			st = err_fail(e, ST_NOMEM, "%s: out of memory", q->file);
	}
	state_free(t.state);
	fake_free(t.fake);
	script_unref(t.test);
	*failed = t.failed;
	return st;
}
