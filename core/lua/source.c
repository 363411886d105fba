/* source.c - a script's source: how large it may be, compiled, what it may call, and its
 * digest.
 *
 * It is compiled once, on the main thread; workers load what came of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/source.h"

#include <stdio.h>

#include "base/mem.h"
#include "lua/grants.h"
#include "lua/wrong.h"

enum {
	DIGEST_BYTES = 4 << 20
};

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

enum status
source_check(const struct script_source *q, struct err *e)
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

enum status
source_compile(struct script *s, const struct script_source *q, struct err *e)
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

enum status
source_grants(struct script *s, const struct script_source *q, struct err *e)
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

enum status
source_digest(struct script *s, const struct script_source *q, struct err *e)
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
