/* budget.c - what a script may cost: steps, memory, and the time of a slice.
 *
 * A count hook sees what Lua does, and every function of ours charges for its work, so a
 * budget is a number of steps that does not depend on the machine. Three more things make
 * it tight: the allocator charges (concatenating, rehashing and collecting are work that
 * no instruction shows), a refused allocation ends the visit whatever pcall() makes of
 * it, and a watchdog looks at the processor's time for what is left: comparing long
 * strings, keys that collide.
 *
 * Once a run is stopped, the hook looks at every instruction and raises again, so that
 * neither pcall() nor <close> gets anywhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "lua/inside.h"

enum {
	BYTES_PER_STEP = 32, /* allocated, copied, compared */
	STEPS_PER_BLOCK = 4, /* allocated, and collected some day */
	VISIT_SHARE = 4      /* a visit may hold all but a fourth of its state's memory */
};

static void on_count(lua_State *L, lua_Debug *ar);

void
budget_arm(struct run *r, int interval)
{
	if (r->co == NULL)
		return; /* it has not begun */
	r->is_armed = interval == 1;
	lua_sethook(r->co, on_count, LUA_MASKCOUNT, interval);
}

/* ---- stopping ---- */

void
budget_stop(struct run *r, int32_t result, const char *why)
{
	if (r->stop != LZ_OK)
		return;
	r->stop = result;
	(void)snprintf(r->why, sizeof(r->why), "%s", why);
	budget_arm(r, 1);
}

static int
raise_stopped(lua_State *L, const struct run *r)
{
	luaL_where(L, 1);
	lua_pushstring(L, r->why);
	lua_concat(L, 2);
	return lua_error(L);
}

int
budget_raise(lua_State *L, int32_t result, const char *why)
{
	struct run *r = run_of(L);

	budget_stop(r, result, why);
	return raise_stopped(L, r);
}

/* ---- steps ---- */

void
budget_note(struct run *r, uint64_t steps)
{
	r->steps += steps;
	r->slice += steps;
	if (!r->is_armed &&
	    (r->slice >= r->limits->slice_steps || r->steps >= r->limits->visit_steps))
		budget_arm(r, 1);
}

static void
stop_if_spent(struct run *r)
{
	if (r->steps >= r->limits->visit_steps)
		budget_stop(r, LZ_E_TIMEOUT,
		    "the script takes too long: its budget of steps is spent");
}

void
budget_charge(lua_State *L, uint64_t steps)
{
	struct run *r = run_of(L);

	budget_note(r, steps);
	stop_if_spent(r);
	if (r->stop != LZ_OK)
		(void)raise_stopped(L, r);
}

void
budget_charge_bytes(lua_State *L, size_t n)
{
	budget_charge(L, 1 + n / BYTES_PER_STEP);
}

/* ---- slices ---- */

static int64_t
processor_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void
budget_new_slice(struct run *r)
{
	r->slice = 0;
	r->slices++;
	r->slice_us = clock_mono_us();
	if (r->slices == 1)
		r->began_us = r->slice_us;
	r->slice_cpu_us = processor_us();
	budget_arm(r, HOOK_INTERVAL);
}

bool
budget_must_yield(lua_State *L)
{
	struct run *r = run_of(L);

	return r->slice >= r->limits->slice_steps && r->c != NULL && lua_isyieldable(L);
}

/* A slice that took many times what its steps explain counts as spent. The processor's
 * time is asked for only when the clock on the wall says that there is reason to. */
static void
look_at_the_clock(struct run *r)
{
	int64_t most_us = (int64_t)r->limits->watchdog_ms * 1000;
	int64_t now_us;

	if (most_us == 0)
		return;
	now_us = clock_mono_us();
	if (now_us - r->slice_us < most_us)
		return;
	r->slice_us = now_us;
	if (processor_us() - r->slice_cpu_us < most_us)
		return;
	r->slice_cpu_us = processor_us();
	budget_note(r, r->limits->slice_steps);
}

static void
on_count(lua_State *L, lua_Debug *ar)
{
	struct run *r = run_of(L);

	(void)ar;
	budget_note(r, r->is_armed ? 1 : HOOK_INTERVAL);
	look_at_the_clock(r);
	stop_if_spent(r);
	if (r->stop != LZ_OK) {
		luaL_where(L, 0);
		lua_pushstring(L, r->why);
		lua_concat(L, 2);
		(void)lua_error(L);
	}
	if (budget_must_yield(L)) {
		r->waits = WAITS_FOR_TURN;
		(void)lua_yield(L, 0);
		return;
	}
	/* Inside a comparator or a metamethod nothing can wait: the visit's budget ends
	 * it. */
	if (r->is_armed)
		budget_arm(r, HOOK_INTERVAL);
}

/* ---- memory ---- */

/* Lua collects everything and asks once more before it gives up: the second time counts.
 */
static void
refuse(struct state *s, size_t n, const char *why)
{
	if (s->refused == n)
		budget_stop(s->running, LZ_E_LIMIT, why);
	s->refused = n;
	budget_note(s->running, s->bytes / BYTES_PER_STEP);
}

static bool
may_grow(struct state *s, size_t by, size_t n, bool is_string)
{
	const struct script_limits *l = &s->script->limits;
	struct run *r = s->running;

	if (r == NULL)
		return true; /* ours: opening a state */
	if (is_string && n > l->string_bytes + 64) {
		refuse(s, n, "a string is longer than a script may have it");
		return false;
	}
	if (s->bytes + by > l->memory_bytes ||
	    r->bytes + (ptrdiff_t)by >
		(ptrdiff_t)(l->memory_bytes - l->memory_bytes / VISIT_SHARE)) {
		refuse(s, n, "the script uses too much memory");
		return false;
	}
	return true;
}

/* luaL_Buffer asks for memory without collecting first: so this does. */
void
budget_make_room(lua_State *L, size_t n)
{
	struct state *s = state_of(L);

	if (s->bytes + 2 * n < s->script->limits.memory_bytes / VISIT_SHARE)
		return;
	budget_charge_bytes(L, s->bytes);
	(void)lua_gc(L, LUA_GCCOLLECT);
}

void *
budget_alloc(void *state, void *p, size_t old, size_t n)
{
	struct state *s = state;
	bool is_string = p == NULL && old == LUA_TSTRING;
	size_t had = p != NULL ? old : 0;
	void *q;

	if (n == 0) {
		mem_free(p);
		q = NULL;
	} else {
		if (n > had && !may_grow(s, n - had, n, is_string))
			return NULL;
		q = mem_realloc(p, n);
		if (q == NULL && n <= had)
			q = p; /* Lua counts on it: what shrinks does not fail */
		if (q == NULL) {
			if (s->running != NULL)
				refuse(s, n, "out of memory");
			return NULL;
		}
	}
	s->bytes += n - had;
	if (s->bytes > s->peak_bytes)
		s->peak_bytes = s->bytes;
	if (n > had)
		s->refused = 0;
	if (s->running != NULL) {
		s->running->bytes += (ptrdiff_t)n - (ptrdiff_t)had;
		if (n > had)
			budget_note(s->running, STEPS_PER_BLOCK + n / BYTES_PER_STEP);
	}
	return q;
}

/* ---- what to tell ---- */

static bool
is_in_source(const struct script *s, lz_str text)
{
	for (size_t i = 0; i < s->part_count; i++)
		if (memmem(s->part[i].text, s->part[i].text_bytes, text.ptr, text.len) !=
		    NULL)
			return true;
	return false;
}

static size_t
digits(lz_str s, size_t at)
{
	size_t from = at;

	while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9')
		at++;
	return at - from;
}

/* The length of "NAME.lua:12: " at the beginning of a message; 0: it is not there. */
static size_t
place_of(lz_str text, const char *name, const char *suffix)
{
	size_t n = strlen(name), more = strlen(suffix), line;

	if (!str_starts(text, name) || !str_starts(str_cut(text, n, text.len), suffix))
		return 0;
	n += more;
	if (n >= text.len || text.ptr[n] != ':')
		return 0;
	line = digits(text, n + 1);
	n += 1 + line;
	return line > 0 && str_starts(str_cut(text, n, text.len), ": ") ? n + 2 : 0;
}

static size_t
place_length(const struct script *s, lz_str text)
{
	size_t n = place_of(text, s->file, "");

	for (size_t i = 1; i < s->part_count && n == 0; i++)
		n = place_of(text, s->part[i].name, ".lua");
	return n;
}

/* Messages of Lua's and ours quote names; those that are not the source's are data. */
static void
add_message(char *out, size_t n, const struct script *s, lz_str text)
{
	size_t used = strlen(out);

	for (size_t i = 0; i < text.len && used + 1 < n; i++) {
		ptrdiff_t end = text.ptr[i] == '\''
				    ? str_find(str_cut(text, i + 1, text.len), '\'')
				    : -1;

		out[used++] = text.ptr[i];
		if (end <= 0)
			continue;
		if (!is_in_source(s, str_cut(text, i + 1, i + 1 + (size_t)end)) &&
		    used + 3 < n) {
			memcpy(out + used, "...", 3);
			used += 3;
			i += (size_t)end;
		} else {
			for (; end > 0 && used + 1 < n; end--)
				out[used++] = text.ptr[++i];
		}
		if (i + 1 < text.len && used + 1 < n)
			out[used++] = text.ptr[++i];
	}
	out[used] = '\0';
}

/* What error() was given may be a prompt, and prompts reach no log: a text that stands in
 * the source does not come from one. */
void
budget_explain(struct run *r, lua_State *co, int status)
{
	struct script *s = r->state->script;
	lz_str text = STR_NONE;
	char stopped[RUN_WHY_BYTES];
	size_t place;

	if (r->stop == LZ_OK && status == LUA_ERRMEM) {
		r->stop = LZ_E_LIMIT;
		(void)snprintf(r->why, sizeof(r->why), "the script uses too much memory");
	}
	memcpy(stopped, r->why, sizeof(stopped));
	if (lua_type(co, -1) == LUA_TSTRING)
		text.ptr = lua_tolstring(co, -1, &text.len);
	place = place_length(s, text);
	if (place > 0)
		(void)snprintf(r->why, sizeof(r->why), "%.*s", (int)place, text.ptr);
	else
		(void)snprintf(r->why, sizeof(r->why), "%s: ", s->file);
	if (r->stop != LZ_OK) {
		strncat(r->why, stopped, sizeof(r->why) - strlen(r->why) - 1);
		return;
	}
	if (s->is_test && text.ptr != NULL)
		strncat(r->why, text.ptr + place, sizeof(r->why) - strlen(r->why) - 1);
	else if (text.ptr == NULL)
		(void)snprintf(r->why, sizeof(r->why),
		    "%s: the script raised a %s; raise a text", s->file,
		    luaL_typename(co, -1));
	else if (r->said == text.ptr && !is_in_source(s, str_cut(text, place, text.len)))
		strncat(r->why,
		    "error() with a text that was made while it ran, which is not shown",
		    sizeof(r->why) - strlen(r->why) - 1);
	else
		add_message(r->why, sizeof(r->why), s, str_cut(text, place, text.len));
}
