/* script.c - a script from its source to a component: compiled, run once, and the table
 * that it returns read (register.c).
 *
 * Its source is source.c's. Loading runs in a state that is thrown away, under the limits
 * of a visit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/script.h"

#include "base/mem.h"
#include "lua/inside.h"
#include "lua/register.h"
#include "lua/rows.h"
#include "lua/source.h"
#include "lua/wrong.h"

enum {
	MEMORY_BYTES = 4 << 20,
	OVERLAP = 64,
	COUNTERS = 32
};

const struct script_limits script_limits_usual = {
	.slice_steps = 5 * SCRIPT_STEPS_PER_MS,
	.visit_steps = 20 * SCRIPT_STEPS_PER_MS,
	.pattern_steps = 200000,
	.wall_ms = 1000,
	.watchdog_ms = 50,
	.memory_bytes = 8 << 20,
	.string_bytes = 1 << 20,
	.reply_bytes = 256 << 10,
	.callouts = 4,
};

const struct script_limits script_limits_most = {
	.slice_steps = 50 * SCRIPT_STEPS_PER_MS,
	.visit_steps = 200 * SCRIPT_STEPS_PER_MS,
	.pattern_steps = 5000000,
	.wall_ms = 10000,
	.watchdog_ms = 500,
	.memory_bytes = 64 << 20,
	.string_bytes = 8 << 20,
	.reply_bytes = 4 << 20,
	.callouts = 16,
};

/* ---- what the source mentions ---- */

static bool
mentions(const struct script *s, const char *what)
{
	for (size_t i = 0; i < s->part_count; i++)
		if (memmem(s->part[i].text, s->part[i].text_bytes, what, strlen(what)) !=
		    NULL)
			return true;
	return false;
}

/* What the host builds before it calls: more than is needed costs, less than is needed is
 * built when it is asked for unless the body is large. */
static uint32_t
needs_of(const struct script *s)
{
	uint32_t needs = 0;

	if (!s->is_router && mentions(s, "texts"))
		needs |= LZ_NEEDS_TEXTS;
	if (mentions(s, "body"))
		needs |= LZ_NEEDS_BODY;
	return needs;
}

static size_t
word_length(const char *p, const char *end)
{
	const char *at = p;

	while (at < end &&
	       ((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '_'))
		at++;
	return (size_t)(at - p);
}

static void
add_counter(struct script *s, const char *name, size_t n)
{
	for (size_t i = 0; i < s->counter_count; i++)
		if (lz_eq(lz_strn(name, n), s->counter[i].name))
			return;
	if (n == 0 || n > SCRIPT_NAME_BYTES || s->counter_count == COUNTERS)
		return;
	s->counter[s->counter_count].name = arena_copy(s->memory, lz_strn(name, n)).ptr;
	if (s->counter[s->counter_count].name != NULL)
		s->counter_count++;
}

/* Metrics are made when an instance begins, so their names have to stand in the source.
 */
static void
find_counters(struct script *s)
{
	static const char call[] = "latenza.count";

	s->counter = arena_alloc(s->memory, COUNTERS * sizeof(*s->counter));
	for (size_t i = 0; i < s->part_count && s->counter != NULL; i++) {
		const char *at = s->part[i].text, *end = at + s->part[i].text_bytes;

		while ((at = memmem(at, (size_t)(end - at), call, sizeof(call) - 1)) !=
		       NULL) {
			at += sizeof(call) - 1;
			while (at < end && (*at == ' ' || *at == '('))
				at++;
			if (at < end && (*at == '"' || *at == '\''))
				add_counter(s, at + 1, word_length(at + 1, end));
		}
	}
}

/* ---- the component ---- */

static int32_t
instance_init(void *self, char *err, size_t err_len)
{
	struct instance *in = self;
	struct script *s = in->script;

	(void)err;
	(void)err_len;
	script_ref(s);
	for (size_t i = 0; i < s->counter_count; i++)
		atomic_store_explicit(&s->counter[i].id,
		    in->lz->metric(LZ_COUNTER, s->counter[i].name, "counted by a script"),
		    memory_order_relaxed);
	return LZ_OK;
}

static void
instance_fini(void *self)
{
	struct instance *in = self;

	script_unref(in->script);
}

static void
fill_component(struct script *s)
{
	lz_component *c = &s->component;

	c->kind = s->is_router ? LZ_ROUTER : LZ_GUARDRAIL;
	c->vtable = &s->table;
	c->option_size = sizeof(lz_option);
	c->init = instance_init;
	c->fini = instance_fini;
	if (s->is_router) {
		s->table.router.size = sizeof(lz_router);
		s->table.router.needs = needs_of(s);
		s->table.router.pick = run_pick;
		return;
	}
	s->table.guardrail.size = sizeof(lz_guardrail);
	s->table.guardrail.needs = needs_of(s);
	s->table.guardrail.streams = 1;
	s->table.guardrail.check = run_check;
	if (!s->holds_overlap)
		s->table.guardrail.overlap = OVERLAP;
	s->table.guardrail.context =
	    s->table.guardrail.overlap > OVERLAP ? s->table.guardrail.overlap : OVERLAP;
}

/* ---- loading ---- */

/* Reads what the script returned: it lies on the state's stack. */
static void
read_table(struct state *state, struct script *s)
{
	struct run r = { .state = state, .limits = &s->limits };

	state->running = &r;
	lua_pushcfunction(state->L, register_read);
	lua_insert(state->L, 1);
	if (lua_pcall(state->L, 1, 0, 0) != LUA_OK)
		wrong_tell(s, NULL, "out of memory");
	state->running = NULL;
}

static void
run_once(struct script *s)
{
	struct err e = { "" };
	struct state *state = state_new(s, &e);

	if (state == NULL)
		wrong_say_unless_told(s->wrongs, e.text);
	else
		read_table(state, s);
	state_free(state);
}

static bool
load(struct script *s, const struct script_source *q)
{
	struct err e = { "" };

	if (source_grants(s, q, &e) == ST_OK && source_compile(s, q, &e) == ST_OK &&
	    source_digest(s, q, &e) == ST_OK)
		run_once(s);
	else if (s->wrongs->count == 0)
		wrong_say(s->wrongs, e.text);
	return s->wrongs->count == 0;
}

/* ---- from outside ---- */

static struct script *
script_new(const struct script_source *q)
{
	struct script *s = mem_zalloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	atomic_init(&s->refs, 1);
	(void)pthread_mutex_init(&s->lock, NULL);
	s->limits = q->limits != NULL ? *q->limits : script_limits_usual;
	s->file = mem_strdup(q->file);
	s->memory = arena_new(MEMORY_BYTES);
	s->part = mem_calloc(q->module_count + 1, sizeof(*s->part));
	if (s->file != NULL && s->memory != NULL && s->part != NULL)
		return s;
	script_unref(s);
	return NULL;
}

/* The sizes are fine; nothing is compiled. */
static struct script *
script_begin(const struct script_source *q, struct err *e)
{
	struct script *s;

	if (source_check(q, e) != ST_OK)
		return NULL;
	s = script_new(q);
	if (s == NULL)
		(void)err_fail(e, ST_NOMEM, "%s: out of memory", q->file);
	return s;
}

struct script *
script_load(const struct script_source *q, struct err *e)
{
	struct script *s = script_begin(q, e);
	struct wrongs w;
	bool is_right;

	if (s == NULL)
		return NULL;
	wrong_begin(&w, q, e);
	s->wrongs = &w;
	is_right = load(s, q);
	s->wrongs = NULL;
	wrong_end(&w);
	if (is_right) {
		s->is_checked = true;
		find_counters(s);
		fill_component(s);
		return s;
	}
	script_unref(s);
	return NULL;
}

struct script *
script_load_test(const struct script_source *q, struct err *e)
{
	struct script *s = script_begin(q, e);

	if (s == NULL)
		return NULL;
	s->is_test = true;
	if (source_compile(s, q, e) == ST_OK)
		return s;
	script_unref(s);
	return NULL;
}

void
script_ref(struct script *s)
{
	(void)atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void
script_unref(struct script *s)
{
	struct state *state, *next;

	if (s == NULL ||
	    atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (state = atomic_load(&s->state); state != NULL; state = next) {
		next = state->next;
		state_free(state);
	}
	for (size_t i = 0; i < s->part_count; i++) {
		mem_free(s->part[i].name);
		mem_free(s->part[i].text);
		mem_free(s->part[i].code);
	}
	mem_free(s->part);
	mem_free(s->file);
	arena_free(s->memory);
	(void)pthread_mutex_destroy(&s->lock);
	mem_free(s);
}

lz_str
script_lua(void)
{
	lz_str ident = lz_strz(lua_ident); /* "$LuaVersion: Lua 5.4.4  Copyright ..." */
	ptrdiff_t from = str_find(ident, ' ') + 1;
	const char *end = strstr(ident.ptr + from, "  ");

	return str_cut(
	    ident, (size_t)from, end != NULL ? (size_t)(end - ident.ptr) : ident.len);
}

const lz_component *
script_component(const struct script *s)
{
	return &s->component;
}

bool
script_part(const struct script *s, size_t i, lz_str *name, lz_str *text)
{
	if (i >= s->part_count)
		return false;
	*name = s->part[i].name != NULL ? lz_strz(s->part[i].name) : STR_NONE;
	*text = lz_strn(s->part[i].text, s->part[i].text_bytes);
	return true;
}

const uint8_t *
script_digest(const struct script *s)
{
	return s->digest;
}

const char *
script_file(const struct script *s)
{
	return s->file;
}

void
script_seat(struct script *s, void *instance, const lz_host *host)
{
	static atomic_uint_fast64_t
	    last_id; /* start-up state: instances of all scripts */
	struct instance *in = instance;

	in->script = s;
	in->lz = host;
	in->id = atomic_fetch_add(&last_id, 1) + 1;
	rows_seat(s, instance);
}
