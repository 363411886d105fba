/* state.c - one thread's Lua of one script: opened at the first visit, rebuilt when it
 * ran out of memory.
 *
 * Nothing is shared between states, so workers need no locks and a script cannot see
 * another's. The list of a script's states only grows while there are visits; each thread
 * finds its own by the address of a variable that is the thread's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "lua/inside.h"

static _Thread_local char here;

struct state *
state_of(lua_State *L)
{
	struct state *s;

	memcpy(&s, lua_getextraspace(L), sizeof(void *)); /* coroutines have a copy */
	return s;
}

struct run *
run_of(lua_State *L)
{
	return state_of(L)->running;
}

/* In the registry: the environment, and the values of parts that ran. */
static const char env_key, values_key;

/* A panic would end the process: everything runs protected, and opening does too. */
static int
open_state(lua_State *L)
{
	struct script *s = state_of(L)->script;

	sandbox_open(L, s);
	if (!s->is_checked)
		names_check(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &env_key);
	lua_newtable(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &values_key);
	return 0;
}

void
state_run_part(lua_State *L, size_t i)
{
	const struct compiled *part = &state_of(L)->script->part[i];

	lua_rawgetp(L, LUA_REGISTRYINDEX, &values_key);
	lua_rawgeti(L, -1, (lua_Integer)i);
	if (!lua_isnil(L, -1)) {
		lua_remove(L, -2);
		return;
	}
	lua_pop(L, 1);
	/* A module that is being loaded requires itself: it sees this. */
	lua_pushboolean(L, 0);
	lua_rawseti(L, -2, (lua_Integer)i);
	if (luaL_loadbufferx(L, part->code, part->code_bytes, "=", "b") != LUA_OK)
		(void)lua_error(L);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &env_key);
	(void)lua_setupvalue(L, -2, 1);
	lua_call(L, 0, 1);
	if (lua_isnil(L, -1) && i > 0) { /* a module that returns nothing is true */
		lua_pop(L, 1);
		lua_pushboolean(L, 1);
	}
	lua_pushvalue(L, -1);
	lua_rawseti(L, -3, (lua_Integer)i);
	lua_remove(L, -2);
}

void
state_push_function(lua_State *L)
{
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, state_of(L)->function);
}

static void
state_close(struct state *s)
{
	s->running = NULL;
	if (s->L != NULL)
		lua_close(s->L); /* nothing in it has a finalizer */
	s->L = NULL;
	s->idle = NULL;
	mem_free(s->spare);
	s->spare = NULL;
}

static int
run_script(lua_State *L)
{
	state_run_part(L, 0);
	return 1;
}

/* The top level runs as a run of its own, with the budget of a visit. Its table stays on
 * the stack of L. */
static enum status
run_top_level(struct state *s, struct err *e)
{
	struct run r = { .state = s, .limits = &s->script->limits };
	int status, count;

	r.co = lua_newthread(s->L); /* may raise: we are called protected */
	s->running = &r;
	budget_new_slice(&r);
	lua_pushcfunction(r.co, run_script);
	do {
		r.waits = WAITS_NOT;
		status = lua_resume(r.co, NULL, 0, &count);
	} while (status == LUA_YIELD);
	if (status == LUA_OK) {
		s->running = NULL;
		lua_xmove(r.co, s->L, 1);
		return ST_OK;
	}
	budget_explain(&r, r.co, status);
	s->running = NULL;
	return err_fail(e, ST_INVALID, "%s", r.why);
}

struct top_level {
	struct state *s;
	struct err *e;
	enum status result;
};

static int
protected_top_level(lua_State *L)
{
	struct top_level *t = lua_touserdata(L, 1);

	t->result = run_top_level(t->s, t->e);
	if (t->result != ST_OK)
		return 0;
	if (lua_istable(L, -1)) {
		lua_pushstring(L, t->s->script->is_router ? "pick" : "check");
		(void)lua_rawget(L, -2);
		t->s->function = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	return 1;
}

/* Opens Lua in s, which has none. */
static enum status
open_in(struct state *s, struct err *e)
{
	struct top_level t = { .s = s, .e = e, .result = ST_OK };
	int status;

	s->idle = NULL;
	s->function = s->options = s->pass = LUA_NOREF;
	s->is_retired = false;
	s->bytes = 0;
	s->L = lua_newstate(budget_alloc, s);
	if (s->L != NULL) {
		memcpy(lua_getextraspace(s->L), &s, sizeof(void *));
		lua_pushcfunction(s->L, open_state);
		status = lua_pcall(s->L, 0, 0, 0);
		if (status == LUA_ERRRUN)
			t.result = err_fail(e, ST_INVALID, "%s", lua_tostring(s->L, -1));
		if (status == LUA_OK) {
			lua_pushcfunction(s->L, protected_top_level);
			lua_pushlightuserdata(s->L, &t);
			if (lua_pcall(s->L, 1, 1, 0) == LUA_OK && t.result == ST_OK)
				return ST_OK;
		}
		state_close(s);
	}
	if (t.result != ST_OK)
		return t.result;
	return err_fail(e, ST_NOMEM, "%s: out of memory", s->script->file);
}

struct state *
state_new(struct script *script, struct err *e)
{
	struct state *s = mem_zalloc(sizeof(*s));

	if (s == NULL) {
		(void)err_fail(e, ST_NOMEM, "%s: out of memory", script->file);
		return NULL;
	}
	s->script = script;
	s->thread = &here;
	if (open_in(s, e) == ST_OK)
		return s;
	mem_free(s);
	return NULL;
}

void
state_free(struct state *s)
{
	if (s == NULL)
		return;
	state_close(s);
	mem_free(s);
}

struct state *
state_here(struct script *script, struct err *e)
{
	struct state *s = atomic_load_explicit(&script->state, memory_order_acquire);
	struct state *empty = NULL;

	for (; s != NULL; s = s->next) {
		if (s->thread != &here)
			continue;
		if (s->L == NULL)
			empty = s;
		else if (!s->is_retired)
			return s;
	}
	if (empty != NULL)
		return open_in(empty, e) == ST_OK ? empty : NULL;
	s = state_new(script, e);
	if (s == NULL)
		return NULL;
	s->next = atomic_load_explicit(&script->state, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(
	    &script->state, &s->next, s, memory_order_release, memory_order_relaxed))
		;
	return s;
}

struct script_cost
script_cost(const struct script *script)
{
	struct state *s = atomic_load_explicit(&script->state, memory_order_acquire);
	struct script_cost cost = { 0 };

	for (; s != NULL; s = s->next) {
		if (s->thread != &here)
			continue;
		cost.steps += s->steps;
		if (s->peak_bytes > cost.peak_bytes)
			cost.peak_bytes = s->peak_bytes;
	}
	return cost;
}

/* Its place in the list stays, since other threads walk it, and is used again. */
void
state_leave(struct state *s)
{
	s->runs--;
	if (s->is_retired && s->runs == 0)
		state_close(s);
}
