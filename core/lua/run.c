/* run.c - a visit: a coroutine of the script's function, resumed until it is through.
 *
 * It waits for two things: an answer from the network, and its turn, when a slice is
 * spent and neighbours on the worker come first. Both are callbacks of the host's, one at
 * a time, so a run ends exactly once: when the function returned, when it failed or was
 * stopped, or when a callback hears LZ_E_GONE.
 *
 * Lua raises by longjmp(): all that may raise happens inside lua_resume() or lua_pcall().
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/tell.h"
#include "lua/inside.h"

enum {
	LOG_LINES_A_MINUTE = 60,
	TEXT_BYTES = 400
};

static int32_t go(struct run *r, int args);

/* ---- telling ---- */

static bool
may_log(struct script *s)
{
	int64_t minute = clock_mono_us() / 60000000;
	unsigned dropped;

	if (atomic_exchange(&s->log_minute, minute) != minute) {
		atomic_store(&s->log_lines, 0);
		dropped = atomic_exchange(&s->log_dropped, 0);
		if (dropped > 0)
			log_warn("policy.log_dropped", "policy=%s lines=%u",
			    s->component.name, dropped);
	}
	if (atomic_fetch_add(&s->log_lines, 1) < LOG_LINES_A_MINUTE)
		return true;
	atomic_fetch_add(&s->log_dropped, 1);
	return false;
}

void
run_log(struct run *r, int32_t level, const char *text)
{
	if (may_log(r->state->script))
		r->lz->log(r->c, level, lz_strn(text, strnlen(text, TEXT_BYTES)));
}

/* ---- stops ---- */

bool
script_is_off(const struct script *s)
{
	return atomic_load_explicit(&s->is_off, memory_order_relaxed);
}

/* The fifth stop within a minute. */
static void
note_stop(struct script *s)
{
	int64_t now = clock_mono_us(), oldest;
	bool goes_off = false;

	(void)pthread_mutex_lock(&s->lock);
	oldest = s->stop_us[s->stops % SCRIPT_STOPS];
	s->stop_us[s->stops % SCRIPT_STOPS] = now;
	s->stops++;
	/* The slot that comes next holds the oldest of the last five. */
	oldest = s->stop_us[s->stops % SCRIPT_STOPS];
	if (s->stops >= SCRIPT_STOPS &&
	    now - oldest <= INT64_C(1000000) * SCRIPT_STOPS_WITHIN_S)
		goes_off = !atomic_exchange(&s->is_off, true);
	(void)pthread_mutex_unlock(&s->lock);
	if (goes_off)
		tell(TELL_POLICY_DISABLED,
		    "policy=%s file=%s stops=%d within_s=%d what=\"switched off until it "
		    "is changed\"",
		    s->component.name, s->file, SCRIPT_STOPS, SCRIPT_STOPS_WITHIN_S);
}

/* ---- the end ---- */

static void
let_go_of_coroutine(struct run *r, bool is_reusable)
{
	struct state *s = r->state;

	if (s->L == NULL || r->co == NULL)
		return;
	if (is_reusable && s->idle == NULL && !s->is_retired) {
		lua_settop(r->co, 0);
		s->idle = r->co;
		s->idle_anchor = r->anchor;
	} else {
		luaL_unref(s->L, LUA_REGISTRYINDEX, r->anchor);
	}
	r->co = NULL;
}

static void
free_run(struct run *r)
{
	struct state *s = r->state;

	for (size_t i = 0; i < r->edit_count; i++)
		mem_free(r->edit[i].with);
	mem_free(r->edit);
	mem_free(r->hold);
	if (s->spare != NULL)
		mem_free(r);
	else
		s->spare = r;
	state_leave(s);
}

/* NULL: out of memory. */
static struct run *
new_run(struct state *s)
{
	struct run *r = s->spare;

	s->spare = NULL;
	if (r == NULL)
		r = mem_alloc(sizeof(*r));
	if (r == NULL)
		return NULL;
	memset(r, 0, offsetof(struct run, why));
	r->why[0] = '\0';
	r->state = s;
	return r;
}

/* Returns the result, or tells it to the host if that was told to wait. */
static int32_t
end(struct run *r, int32_t result)
{
	struct script *s = r->state->script;
	const lz_host *lz = r->lz;
	bool is_pending = r->is_pending;
	lz_call *c = r->c;

	if (result < LZ_OK) {
		run_log(r, LZ_ERROR, r->why);
		if (r->stop != LZ_OK)
			note_stop(s);
		if (r->stop == LZ_E_LIMIT)
			r->state->is_retired = true;
	}
	r->state->steps += r->steps;
	let_go_of_coroutine(r, result >= LZ_OK);
	free_run(r);
	if (is_pending)
		(void)lz->finish(c, result);
	return result;
}

/* ---- what a function returned ---- */

static int32_t
no_verdict(struct run *r, const char *what)
{
	struct script *s = r->state->script;

	(void)snprintf(r->why, sizeof(r->why), "%s: %s() returned %s; end with return %s",
	    s->file, s->is_router ? "pick" : "check", what,
	    s->is_router ? "a list of targets" : "latenza.pass()");
	return LZ_E_FAIL;
}

/* A verdict's two texts are its user values. */
static int32_t
take_verdict(struct run *r, const struct proxy *verdict)
{
	int32_t result = (int32_t)verdict->index;
	lz_str text[2];

	if (result == LZ_OK)
		return LZ_OK;
	for (int i = 0; i < 2; i++) {
		(void)lua_getiuservalue(r->co, -1, i + 1);
		text[i].ptr = lua_tolstring(r->co, -1, &text[i].len);
		lua_pop(r->co, 1);
	}
	r->lz->reason(r->c, text[0], text[1]);
	return result;
}

static int32_t
judge(struct run *r, int count)
{
	const struct proxy *verdict;
	char what[60];
	int32_t result;

	if (count == 0)
		return no_verdict(r, "nothing");
	lua_settop(r->co, lua_gettop(r->co) - count + 1); /* the first counts */
	verdict = proxy_at(r->co, -1, PROXY_VERDICT);
	if (verdict == NULL && r->state->script->is_router) {
		result = targets_prefer(r);
	} else if (verdict == NULL) {
		(void)snprintf(what, sizeof(what), "a %s", luaL_typename(r->co, -1));
		return no_verdict(r, what);
	} else {
		result = take_verdict(r, verdict);
	}
	if (result >= LZ_OK && !r->state->script->is_router) {
		int32_t done = texts_finish(r);

		result = done != LZ_OK ? done : result;
	}
	if (result >= LZ_OK && r->has_slot) {
		int32_t saved = slot_save(r);

		result = saved != LZ_OK ? saved : result;
	}
	return result;
}

/* ---- going on ---- */

uint32_t
run_time_left(const struct run *r)
{
	int64_t gone = (clock_mono_us() - r->began_us) / 1000;

	return gone >= (int64_t)r->limits->wall_ms ? 0
						   : r->limits->wall_ms - (uint32_t)gone;
}

static void
my_turn(lz_call *c, int32_t error, void *ud)
{
	struct run *r = ud;

	(void)c;
	if (error == LZ_E_GONE) {
		r->is_pending = false;
		let_go_of_coroutine(r, false);
		free_run(r);
		return;
	}
	(void)go(r, 0);
}

void
run_reply(lz_call *c, const lz_reply *reply, void *ud)
{
	struct run *r = ud;

	if (reply->error == LZ_E_GONE) {
		my_turn(c, LZ_E_GONE, ud);
		return;
	}
	r->reply = reply;
	(void)go(r, 0);
}

int
run_wait(lua_State *L, lua_KFunction k)
{
	run_of(L)->waits = WAITS_FOR_REPLY;
	return lua_yieldk(L, 0, 0, k);
}

static int32_t
wait(struct run *r)
{
	int32_t result = LZ_OK;

	if (r->waits == WAITS_FOR_TURN)
		result = r->lz->after(r->c, 0, my_turn, r);
	if (result == LZ_OK) {
		r->is_pending = true;
		return LZ_PENDING;
	}
	(void)snprintf(r->why, sizeof(r->why),
	    "%s: the host has no room for a script that waits", r->state->script->file);
	return end(r, LZ_E_LIMIT);
}

static int32_t
go(struct run *r, int args)
{
	struct state *s = r->state;
	int count = 0, status;

	r->waits = WAITS_NOT;
	s->running = r;
	budget_new_slice(r);
	if (r->slices > 1 && run_time_left(r) == 0)
		budget_stop(r, LZ_E_TIMEOUT, "the script waited too long");
	status = lua_resume(r->co, NULL, args, &count);
	r->reply = NULL;
	if (status == LUA_YIELD) {
		s->running = NULL;
		return wait(r);
	}
	if (status != LUA_OK) {
		budget_explain(r, r->co, status);
		s->running = NULL;
		return end(r, r->stop != LZ_OK ? r->stop : LZ_E_FAIL);
	}
	status = judge(r, count);
	s->running = NULL;
	return end(r, status);
}

/* ---- the beginning ---- */

static void push_options(lua_State *L);

/* Protected: makes the coroutine and what the function gets. */
static int
begin(lua_State *L)
{
	struct run *r = lua_touserdata(L, 1);
	struct state *s = r->state;
	bool is_router = s->script->is_router;

	if (s->idle != NULL) {
		r->co = s->idle;
		r->anchor = s->idle_anchor;
		s->idle = NULL;
	} else {
		lua_State *co = lua_newthread(L);

		r->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
		r->co = co;
	}
	state_push_function(L);
	proxy_push_request(L);
	if (is_router)
		(void)proxy_push(L, PROXY_TARGETS, 0);
	push_options(L);
	lua_xmove(L, r->co, is_router ? 4 : 3);
	return 0;
}

static int32_t
start(void *self, lz_call *c)
{
	struct instance *in = self;
	struct script *s = in->script;
	struct state *state;
	struct run *r;
	struct err e;
	int status;

	if (script_is_off(s))
		return LZ_E_FAIL;
	state = state_here(s, &e);
	if (state == NULL) {
		in->lz->log(c, LZ_ERROR, lz_strz(e.text));
		return LZ_E_NOMEM;
	}
	r = new_run(state);
	if (r == NULL)
		return LZ_E_NOMEM;
	r->limits = &s->limits;
	r->self = in;
	r->lz = in->lz;
	r->c = c;
	r->serial = ++r->state->serial;
	r->state->runs++;
	r->state->running = r;
	lua_pushcfunction(r->state->L, begin);
	lua_pushlightuserdata(r->state->L, r);
	status = lua_pcall(r->state->L, 1, 0, 0);
	if (status != LUA_OK) {
		budget_explain(r, r->state->L, status);
		lua_pop(r->state->L, 1);
		r->state->running = NULL;
		return end(r, r->stop != LZ_OK ? r->stop : LZ_E_FAIL);
	}
	return go(r, s->is_router ? 3 : 2);
}

int32_t
run_check(void *self, lz_call *c)
{
	return start(self, c);
}

int32_t
run_pick(void *self, lz_call *c)
{
	return start(self, c);
}

/* ---- options ---- */

enum {
	OPTIONS_REMEMBERED =
	    32 /* sets of them, of reloads that did not change the script */
};

static void
push_list(lua_State *L, const lz_list *list)
{
	lua_createtable(L, (int)list->count, 0);
	for (size_t i = 0; i < list->count; i++) {
		push_text(L, list->items[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	sandbox_lock(L, "the script's options");
}

static void
push_choice(lua_State *L, const lz_option *o, int32_t i)
{
	const char *at = o->rule;

	for (; i > 0 && (at = strchr(at, '|')) != NULL; i--)
		at++;
	if (i < 0 || at == NULL)
		lua_pushnil(L);
	else
		lua_pushlstring(L, at, strcspn(at, "|"));
}

/* Absent ones are as script_seat() left them. */
static void
push_option(lua_State *L, const struct instance *in, const lz_option *o)
{
	union {
		int32_t i;
		int64_t n;
		double d;
		lz_str s;
		lz_list list;
		const lz_json *j;
	} v;

	memcpy(&v, (const char *)in + o->offset,
	    o->type == LZ_BOOL_OPTION || o->type == LZ_CHOICE_OPTION ? sizeof(v.i)
	    : o->type == LZ_TEXT_OPTION || o->type == LZ_LIST_OPTION ? sizeof(v.s)
								     : sizeof(v.n));
	switch (o->type) {
	case LZ_BOOL_OPTION:
		if (v.i < 0)
			lua_pushnil(L);
		else
			lua_pushboolean(L, v.i);
		break;
	case LZ_INT_OPTION:
		if (v.n == INT64_MIN)
			lua_pushnil(L);
		else
			lua_pushinteger(L, v.n);
		break;
	case LZ_REAL_OPTION:
		if (v.d != v.d)
			lua_pushnil(L);
		else
			lua_pushnumber(L, v.d);
		break;
	case LZ_TEXT_OPTION:
		push_str(L, v.s);
		break;
	case LZ_CHOICE_OPTION:
		push_choice(L, o, v.i);
		break;
	case LZ_LIST_OPTION:
		if (v.list.items == NULL)
			lua_pushnil(L);
		else
			push_list(L, &v.list);
		break;
	default:
		if (v.j == NULL)
			lua_pushnil(L);
		else
			values_push_locked(L, v.j);
		break;
	}
}

static void
make_options(lua_State *L, const struct instance *in)
{
	const lz_component *c = &in->script->component;

	lua_createtable(L, 0, (int)c->option_count);
	for (uint32_t i = 0; i < c->option_count; i++) {
		push_option(L, in, &c->options[i]);
		lua_setfield(L, -2, c->options[i].name);
	}
	sandbox_lock(L, "the script's options");
}

/* Leaves the table of options by instance on the stack, which counts them at 0 (nil:
 * there is none), and pushes those of `id` if they are in it. */
static bool
find_options(lua_State *L, uint64_t id)
{
	if (lua_rawgeti(L, LUA_REGISTRYINDEX, state_of(L)->options) != LUA_TTABLE)
		return false;
	if (lua_rawgeti(L, -1, (lua_Integer)id) == LUA_TTABLE)
		return true;
	lua_pop(L, 1);
	return false;
}

/* Keeps the options on top for `id`, in the table below them or in a new one. */
static void
remember_options(lua_State *L, uint64_t id)
{
	lua_Integer count = 0;

	if (lua_istable(L, -2)) {
		(void)lua_rawgeti(L, -2, 0);
		count = lua_tointeger(L, -1);
		lua_pop(L, 1);
	}
	if (count % OPTIONS_REMEMBERED == 0) {
		lua_newtable(L);
		lua_pushvalue(L, -1);
		luaL_unref(L, LUA_REGISTRYINDEX, state_of(L)->options);
		state_of(L)->options = luaL_ref(L, LUA_REGISTRYINDEX);
		lua_replace(L, -3);
	}
	lua_pushvalue(L, -1);
	lua_rawseti(L, -3, (lua_Integer)id);
	lua_pushinteger(L, count % OPTIONS_REMEMBERED + 1);
	lua_rawseti(L, -3, 0);
}

static void
push_options(lua_State *L)
{
	const struct instance *in = run_of(L)->self;

	if (!find_options(L, in->id)) {
		make_options(L, in);
		remember_options(L, in->id);
	}
	lua_remove(L, -2);
}
