/* script.c - a script from its source to a component: compiled, run once, and the table
 * that it returns read (register.c).
 *
 * It is compiled once, here; workers load what came of it. Loading runs in a state that
 * is thrown away, under the limits of a visit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/script.h"

#include <stdio.h>

#include "base/mem.h"
#include "lua/grants.h"
#include "lua/inside.h"
#include "lua/register.h"
#include "lua/rows.h"
#include "lua/wrong.h"

enum {
	MEMORY_BYTES = 4 << 20,
	DIGEST_BYTES = 4 << 20,
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

/* ---- the source ---- */

static bool
is_module_name(lz_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') ||
			(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') ||
			(s.ptr[i] >= '0' && s.ptr[i] <= '9') || s.ptr[i] == '_'))
			return false;
	return s.len > 0 && s.len <= SCRIPT_NAME_BYTES;
}

static enum status
check_sizes(const struct script_source *q, struct err *e)
{
	size_t all = q->text.len;

	if (q->module_count >= SCRIPT_MODULES)
		return err_fail(e, ST_LIMIT, "%s: %zu modules; %d are the most", q->file,
		    q->module_count, SCRIPT_MODULES - 1);
	for (size_t i = 0; i < q->module_count; i++) {
		if (!is_module_name(q->module[i].name))
			return err_fail(e, ST_INVALID,
			    "%s: '%.*s' is no module's name; letters, digits and _ make "
			    "one",
			    q->file, STR_ARG(str_cut(q->module[i].name, 0, 60)));
		if (q->module[i].text.len > SCRIPT_SOURCE_BYTES)
			all = SIZE_MAX / 2;
		all += q->module[i].text.len;
	}
	if (q->text.len > SCRIPT_SOURCE_BYTES || all > SCRIPT_TREE_BYTES)
		return err_fail(e, ST_LIMIT,
		    "%s: the script is too large; %d KiB a file and %d KiB with all its "
		    "modules are the most",
		    q->file, SCRIPT_SOURCE_BYTES >> 10, SCRIPT_TREE_BYTES >> 10);
	return ST_OK;
}

static int
write_code(lua_State *L, const void *p, size_t n, void *arg)
{
	struct buf *b = arg;

	(void)L;
	buf_add(b, p, n);
	return b->failed;
}

struct compiling {
	const char *file;
	lz_str text;
	struct compiled *out;
	enum status result;
	struct err *e;
};

/* Protected. */
static int
compile(lua_State *L)
{
	struct compiling *c = lua_touserdata(L, 1);
	struct buf code;
	char name[RUN_FILE_BYTES + 2];

	(void)snprintf(name, sizeof(name), "@%.*s", RUN_FILE_BYTES - 1, c->file);
	if (luaL_loadbufferx(L, c->text.ptr, c->text.len, name, "t") != LUA_OK) {
		const char *said = lua_tostring(L, -1);

		c->result = str_starts(lz_strz(said), c->file)
				? err_fail(c->e, ST_INVALID, "%s", said)
				: err_fail(c->e, ST_INVALID, "%s: %s", c->file, said);
		return 0;
	}
	buf_init(&code, 16 << 20);
	if (lua_dump(L, write_code, &code, 0) == 0) {
		c->out->code = code.ptr;
		c->out->code_bytes = code.len;
		c->result = ST_OK;
	} else {
		buf_free(&code);
	}
	return 0;
}

static enum status
compile_part(struct compiling *c)
{
	lua_State *L = luaL_newstate();

	c->result = err_fail(c->e, ST_NOMEM, "%s: out of memory", c->file);
	c->out->text = mem_dup(c->text.ptr != NULL ? c->text.ptr : "", c->text.len);
	c->out->text_bytes = c->text.len;
	if (L != NULL && c->out->text != NULL) {
		lua_pushcfunction(L, compile);
		lua_pushlightuserdata(L, c);
		(void)lua_pcall(L, 1, 0, 0);
	}
	if (L != NULL)
		lua_close(L);
	return c->result;
}

/* The parser stops at a file's first error; the other files have theirs. */
static void
hear_syntax(struct script *s, const struct compiling *c)
{
	if (s->wrongs != NULL)
		wrong_say(s->wrongs, c->e->text);
}

/* The module's file is named as it lies beside the script. */
static enum status
compile_all(struct script *s, const struct script_source *q, struct err *e)
{
	struct compiling c = {
		.file = s->file, .text = q->text, .out = &s->part[0], .e = e
	};
	enum status st;

	s->part_count = 1;
	st = compile_part(&c);
	if (st != ST_OK)
		hear_syntax(s, &c);
	for (size_t i = 0; i < q->module_count && st != ST_NOMEM; i++) {
		char file[SCRIPT_NAME_BYTES + 5];

		c.out = &s->part[++s->part_count - 1];
		c.out->name = mem_dup(q->module[i].name.ptr, q->module[i].name.len);
		if (c.out->name == NULL)
			return err_fail(e, ST_NOMEM, "%s: out of memory", s->file);
		(void)snprintf(file, sizeof(file), "%s.lua", c.out->name);
		c.file = file;
		c.text = q->module[i].text;
		if (compile_part(&c) != ST_OK) {
			hear_syntax(s, &c);
			st = c.result;
		}
	}
	return st;
}

static enum status
read_grants(struct script *s, const struct script_source *q, struct err *e)
{
	if (q->http_count > SCRIPT_GRANTS)
		return err_fail(e, ST_LIMIT,
		    "%s: %zu addresses are granted; %d are the most", s->file,
		    q->http_count, SCRIPT_GRANTS);
	s->grant = arena_alloc(s->memory, (q->http_count + 1) * sizeof(*s->grant));
	if (s->grant == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory", s->file);
	for (size_t i = 0; i < q->http_count; i++) {
		enum status st = grants_read(q->http[i], s->memory, &s->grant[i], e);

		if (st != ST_OK)
			return st;
		s->grant_count++;
	}
	return ST_OK;
}

static enum status
make_digest(struct script *s, const struct script_source *q, struct err *e)
{
	const struct script_limits *l = &s->limits;
	struct buf b;
	bool failed;

	buf_init(&b, DIGEST_BYTES);
	buf_addf(&b, "%s\n%zu:", s->file, q->text.len);
	buf_add_str(&b, q->text);
	for (size_t i = 0; i < q->module_count; i++) {
		buf_addf(
		    &b, "\n%.*s %zu:", STR_ARG(q->module[i].name), q->module[i].text.len);
		buf_add_str(&b, q->module[i].text);
	}
	for (size_t i = 0; i < s->grant_count; i++)
		buf_addf(&b, "\n%s%s", s->grant[i].origin.ptr, s->grant[i].path.ptr);
	buf_addf(&b, "\n%llu %llu %llu %u %u %zu %zu %zu %u",
	    (unsigned long long)l->slice_steps, (unsigned long long)l->visit_steps,
	    (unsigned long long)l->pattern_steps, l->wall_ms, l->watchdog_ms,
	    l->memory_bytes, l->string_bytes, l->reply_bytes, l->callouts);
	failed = b.failed;
	if (!failed)
		crypto_sha256(buf_str(&b), s->digest);
	buf_free(&b);
	return failed ? err_fail(e, ST_NOMEM, "%s: out of memory", s->file) : ST_OK;
}

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

	if (read_grants(s, q, &e) == ST_OK && compile_all(s, q, &e) == ST_OK &&
	    make_digest(s, q, &e) == ST_OK)
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

struct script *
script_load(const struct script_source *q, struct err *e)
{
	struct script *s;
	struct wrongs w;
	bool is_right;

	if (check_sizes(q, e) != ST_OK)
		return NULL;
	s = script_new(q);
	if (s == NULL) {
		(void)err_fail(e, ST_NOMEM, "%s: out of memory", q->file);
		return NULL;
	}
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
	struct script *s;

	if (check_sizes(q, e) != ST_OK)
		return NULL;
	s = script_new(q);
	if (s == NULL) {
		(void)err_fail(e, ST_NOMEM, "%s: out of memory", q->file);
		return NULL;
	}
	s->is_test = true;
	if (compile_all(s, q, e) == ST_OK)
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
