/* names.c - the names that a script uses, looked up before it runs: a global that is not
 * there, or a field that a library does not have, is said when the script is loaded and
 * not on the day its line runs.
 *
 * Lua resolved the names when it compiled; what it made of them stands in the bytecode,
 * and so there are no false alarms: a name of the environment is one instruction with the
 * name as its constant, and a field of what it found is the next one. The format is that
 * of Lua 5.4 (ldump.c, lopcodes.h), in which 5.4.0 to 5.4.8 agree. What is not recognised
 * (another format, a function with more than 256 constants, a library in a variable) is
 * left alone: it fails when it runs, with the same sentence where it concerns latenza.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>

#include "lua/wrong.h"

enum {
	NAME_BYTES = 64, /* a longer one is no typing mistake */
	WHERE_BYTES = 80
};

/* Names of stock Lua, and of tests, that people look for. */
static const struct {
	const char *name, *instead;
} absent[] = {
	{ "print", "write latenza.log.info(...)" },
	{ "warn", "write latenza.log.warn(...)" },
	{ "os", "the time is latenza.time()" },
	{ "io", "scripts have no files" },
	{ "debug", "scripts have no debug library" },
	{ "coroutine", "scripts have no coroutines" },
	{ "package", "require(\"name\") finds files beside the script" },
	{ "load", "scripts compile nothing" },
	{ "xpcall", "write pcall(...)" },
	{ "collectgarbage", "memory is counted, see the limits" },
	{ "unpack", "write table.unpack(...)" },
	{ "_G", "globals cannot be written, and all there are have a name" },
	{ "math.random", "write latenza.random()" },
	{ "math.randomseed", "write latenza.random()" },
	{ "string.dump", "scripts compile nothing" },
	{ "latenza.test", "only NAME_test.lua has it" },
};

/* ---- what is said ---- */

struct unknown {
	char where[WHERE_BYTES]; /* "latenza.json"; "": it is a global */
	lz_str name;
	bool is_there;   /* it is written to, and may only be read */
	bool is_running; /* the name may be of a prompt: it is shown in quotes only, which
			    budget_explain() looks into */
	long line;
	char near[NAME_BYTES];
	unsigned edits; /* from the name to near */
};

static void
begin_unknown(struct unknown *u, const char *where, lz_str name)
{
	*u = (struct unknown){ .name = name };
	(void)snprintf(u->where, sizeof(u->where), "%s", where);
	u->edits = name.len < 2 ? 0 : name.len < 4 ? 2 : 3; /* fewer than that */
}

static void
consider(struct unknown *u, lz_str name)
{
	unsigned edits;

	if (name.len == 0 || name.len >= sizeof(u->near) || str_eq(name, u->name) ||
	    u->edits == 0)
		return;
	edits = str_distance(u->name, name, u->edits - 1);
	if (edits >= u->edits)
		return;
	u->edits = edits;
	memcpy(u->near, name.ptr, name.len);
	u->near[name.len] = '\0';
}

/* Considers the names that are keys of the table at i. */
static void
consider_keys(lua_State *L, int i, struct unknown *u)
{
	i = lua_absindex(L, i);
	for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) {
		lz_str key = STR_NONE;

		if (lua_type(L, -2) == LUA_TSTRING)
			key.ptr = lua_tolstring(L, -2, &key.len);
		consider(u, key);
	}
}

static const char *
instead_of(const struct unknown *u)
{
	char path[WHERE_BYTES + NAME_BYTES];

	(void)snprintf(path, sizeof(path), "%s%s%.*s", u->where,
	    u->where[0] != '\0' ? "." : "", STR_ARG(str_cut(u->name, 0, NAME_BYTES - 1)));
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		if (strcmp(absent[i].name, path) == 0)
			return absent[i].instead;
	return NULL;
}

/* Pushes the sentence. */
static void
push_sentence(lua_State *L, const struct unknown *u)
{
	const char *instead = instead_of(u), *where = u->where;
	const char *name = lua_pushlstring(
	    L, u->name.ptr, u->name.len < NAME_BYTES ? u->name.len : NAME_BYTES);
	bool is_global = where[0] == '\0';

	if (u->is_there)
		(void)lua_pushfstring(
		    L, "'%s' cannot be written to; write: local %s", name, name);
	else if (is_global && instead != NULL)
		(void)lua_pushfstring(L, "'%s' is not declared; %s", name, instead);
	else if (is_global && u->near[0] != '\0')
		(void)lua_pushfstring(
		    L, "'%s' is not declared; did you mean %s?", name, u->near);
	else if (is_global)
		(void)lua_pushfstring(L, "'%s' is not declared; write: local %s", name,
		    u->is_running ? "NAME" : name);
	else if (instead != NULL)
		(void)lua_pushfstring(L, "%s has no '%s'; %s", where, name, instead);
	else if (u->near[0] != '\0')
		(void)lua_pushfstring(L, "%s has no '%s'; did you mean %s.%s?", where,
		    name, where, u->near);
	else
		(void)lua_pushfstring(L, "%s has no '%s'", where, name);
	lua_remove(L, -2);
}

/* ---- when it runs ---- */

/* __index of a table of names; upvalue 1: what it is called, "": the globals. */
static int
refuse_unknown(lua_State *L)
{
	const char *where = lua_tostring(L, lua_upvalueindex(1));
	struct unknown u;
	lz_str name;

	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(L, "%s has no field of type %s",
		    where[0] != '\0' ? where : "the environment of a script",
		    luaL_typename(L, 2));
	name.ptr = lua_tolstring(L, 2, &name.len);
	begin_unknown(&u, where, name);
	u.is_running = true;
	consider_keys(L, 1, &u);
	luaL_where(L, 1);
	push_sentence(L, &u);
	lua_concat(L, 2);
	return lua_error(L);
}

void
names_be_strict(lua_State *L, const char *where)
{
	lua_createtable(L, 0, 1);
	lua_pushstring(L, where);
	lua_pushcclosure(L, refuse_unknown, 1);
	lua_setfield(L, -2, "__index");
	(void)lua_setmetatable(L, -2);
}

/* ---- reading bytecode ---- */

enum {
	OP_GETTABUP = 11,
	OP_GETFIELD = 14,
	OP_SETTABUP = 15,
	OP_SELF = 20,
	OP_JMP = 56,
	JUMP_OFFSET = ((1 << 25) - 1) >> 1,
	LINE_IS_ABSOLUTE = -0x80,
	UPVALUES = 256,
	UNKNOWNS = 50 /* of a file; more are not told */
};

struct reader {
	const unsigned char *at, *end;
	bool is_lost; /* the format is another */
	struct unknown *unknown;
	size_t count;
};

struct function {
	const unsigned char *code, *constants, *lines, *line_marks;
	size_t code_count, constant_count, line_count, mark_count;
	long line; /* where it begins */
	bool is_env[UPVALUES];
};

static const unsigned char *
take(struct reader *r, size_t n)
{
	const unsigned char *at = r->at;

	if (r->is_lost || n > (size_t)(r->end - at)) {
		r->is_lost = true;
		return NULL;
	}
	r->at += n;
	return at;
}

static unsigned
take_byte(struct reader *r)
{
	const unsigned char *p = take(r, 1);

	return p != NULL ? *p : 0;
}

/* Seven bits a byte, the highest first; the last one is marked. */
static size_t
take_size(struct reader *r)
{
	size_t n = 0;
	unsigned byte;

	do {
		byte = take_byte(r);
		if (n >> 56 != 0)
			r->is_lost = true;
		n = n << 7 | (byte & 0x7f);
	} while ((byte & 0x80) == 0 && !r->is_lost);
	return r->is_lost ? 0 : n;
}

static lz_str
take_text(struct reader *r)
{
	size_t n = take_size(r); /* one more; 0: none */
	lz_str s = STR_NONE;

	if (n == 0)
		return s;
	s.ptr = (const char *)take(r, n - 1);
	s.len = s.ptr != NULL ? n - 1 : 0;
	return s;
}

/* Absent: a constant that is no text. */
static lz_str
take_constant(struct reader *r)
{
	switch (take_byte(r)) {
	case LUA_TNIL:
	case LUA_TBOOLEAN:
	case LUA_TBOOLEAN | 1 << 4:
		return STR_NONE;
	case LUA_TNUMBER:
	case LUA_TNUMBER | 1 << 4:
		(void)take(r, 8);
		return STR_NONE;
	case LUA_TSTRING:
	case LUA_TSTRING | 1 << 4:
		return take_text(r);
	default:
		r->is_lost = true;
		return STR_NONE;
	}
}

static lz_str
constant(const struct reader *r, const struct function *f, size_t i)
{
	struct reader again = { .at = f->constants, .end = r->end };
	lz_str s = STR_NONE;

	for (size_t k = 0; k <= i && i < f->constant_count; k++)
		s = take_constant(&again);
	return s;
}

static uint32_t
instruction(const struct function *f, size_t pc)
{
	uint32_t i;

	memcpy(&i, f->code + pc * sizeof(i), sizeof(i));
	return i;
}

static long
line_of(const struct reader *r, const struct function *f, size_t pc)
{
	struct reader marks = { .at = f->line_marks, .end = r->end };
	long line = f->line;

	if (pc >= f->line_count)
		return line;
	for (size_t i = 0; i <= pc; i++) {
		signed char step = (signed char)f->lines[i];

		if (step != LINE_IS_ABSOLUTE) {
			line += step;
			continue;
		}
		(void)take_size(&marks);
		line = (long)take_size(&marks);
	}
	return line;
}

/* May something else than the instruction before it lead to this one? */
static bool
is_jumped_to(const struct function *f, size_t pc)
{
	for (size_t i = 0; i < f->code_count; i++) {
		uint32_t code = instruction(f, i);

		if ((code & 0x7f) == OP_JMP &&
		    (long)i + 1 + (long)(code >> 7) - JUMP_OFFSET == (long)pc)
			return true;
	}
	return false;
}

/* ---- looking names up ---- */

enum {
	GLOBALS = 1 /* the stack holds the environment's table there */
};

/* The table at i gives way to what it is a view of. false: it is none. */
static bool
step_behind(lua_State *L, int i)
{
	if (!lua_istable(L, -1) || !lua_getmetatable(L, -1))
		return false;
	lua_pushliteral(L, "__index");
	if (lua_rawget(L, -2) != LUA_TTABLE)
		return false;
	lua_replace(L, i);
	return true;
}

/* The table where it is missing is at i. */
static void
note_unknown(lua_State *L, int i, struct reader *r, long line, const char *where,
    lz_str name, bool is_there)
{
	struct unknown *u;

	for (size_t k = 0; k < r->count; k++)
		if (r->unknown[k].line == line && str_eq(r->unknown[k].name, name) &&
		    strcmp(r->unknown[k].where, where) == 0)
			return;
	if (r->count == UNKNOWNS)
		return;
	u = &r->unknown[r->count++];
	begin_unknown(u, where, name);
	u->is_there = is_there;
	u->line = line;
	consider_keys(L, i, u);
}

/* Does it read a field of what an instruction before put into register `got`? */
static bool
is_field_of(uint32_t code, uint32_t got)
{
	uint32_t op = code & 0x7f;

	return (op == OP_GETFIELD || (op == OP_SELF && (code >> 15 & 1) != 0)) &&
	       (code >> 16 & 0xff) == got;
}

/* At pc a global is read; then, perhaps, a field of it, and so on. */
static void
look_up(lua_State *L, struct reader *r, const struct function *f, size_t pc)
{
	uint32_t code = instruction(f, pc);
	char where[WHERE_BYTES] = "";
	int at;

	lua_pushvalue(L, GLOBALS);
	at = lua_gettop(L);
	for (;;) {
		lz_str name = constant(r, f, code >> 24);
		uint32_t got = code >> 7 & 0xff;
		size_t n = strlen(where);

		if (name.ptr == NULL)
			break;
		lua_pushlstring(L, name.ptr, name.len);
		if (lua_rawget(L, at) == LUA_TNIL) {
			if (n == 0 || !is_jumped_to(f, pc))
				note_unknown(
				    L, at, r, line_of(r, f, pc), where, name, false);
			break;
		}
		if (++pc == f->code_count || !step_behind(L, at))
			break;
		code = instruction(f, pc);
		if (!is_field_of(code, got))
			break;
		(void)snprintf(where + n, sizeof(where) - n, "%s%.*s", n > 0 ? "." : "",
		    STR_ARG(name));
		lua_settop(L, at);
	}
	lua_settop(L, at - 1);
}

static void
look_up_written(lua_State *L, struct reader *r, const struct function *f, size_t pc)
{
	lz_str name = constant(r, f, instruction(f, pc) >> 16 & 0xff);

	if (name.ptr == NULL)
		return;
	lua_pushlstring(L, name.ptr, name.len);
	note_unknown(L, GLOBALS, r, line_of(r, f, pc), "", name,
	    lua_rawget(L, GLOBALS) != LUA_TNIL);
	lua_pop(L, 1);
}

/* ---- a function, and those in it ---- */

static void
look_through(lua_State *L, struct reader *r, const struct function *f)
{
	for (size_t pc = 0; pc < f->code_count && !r->is_lost; pc++) {
		uint32_t code = instruction(f, pc);

		if ((code & 0x7f) == OP_GETTABUP && f->is_env[code >> 16 & 0xff])
			look_up(L, r, f, pc);
		else if ((code & 0x7f) == OP_SETTABUP && f->is_env[code >> 7 & 0xff])
			look_up_written(L, r, f, pc);
	}
}

/* in: the one around it; NULL: it is a file's, whose only upvalue is the environment. */
static void
take_upvalues(struct reader *r, struct function *f, const struct function *in)
{
	size_t n = take_size(r);

	if (n > UPVALUES)
		r->is_lost = true;
	for (size_t i = 0; i < n && !r->is_lost; i++) {
		bool is_local = take_byte(r) != 0;
		unsigned index = take_byte(r);

		(void)take_byte(r); /* what kind of variable it is */
		f->is_env[i] = in == NULL ? i == 0 : !is_local && in->is_env[index];
	}
}

/* The local names are for whom is missing one: what is around a function comes later. */
static void
take_names(struct reader *r)
{
	for (size_t n = take_size(r); n > 0 && !r->is_lost; n--) {
		lz_str name = take_text(r);

		(void)take_size(r);
		(void)take_size(r); /* from and to where it is known */
		for (size_t i = 0; i < r->count; i++)
			if (r->unknown[i].where[0] == '\0')
				consider(&r->unknown[i], name);
	}
	for (size_t n = take_size(r); n > 0 && !r->is_lost; n--)
		(void)take_text(r); /* of upvalues */
}

static void
take_function(lua_State *L, struct reader *r, const struct function *in)
{
	struct function f = { .code = NULL };

	(void)take_text(r); /* the file */
	f.line = (long)take_size(r);
	(void)take_size(r); /* its last line */
	(void)take(r, 3);   /* parameters, varargs, stack */
	f.code_count = take_size(r);
	f.code = take(r, f.code_count < SIZE_MAX / 4 ? f.code_count * 4 : SIZE_MAX);
	f.constant_count = take_size(r);
	f.constants = r->at;
	for (size_t i = 0; i < f.constant_count && !r->is_lost; i++)
		(void)take_constant(r);
	take_upvalues(r, &f, in);
	for (size_t n = take_size(r); n > 0 && !r->is_lost; n--)
		take_function(L, r, &f);
	f.line_count = take_size(r);
	f.lines = take(r, f.line_count);
	f.mark_count = take_size(r);
	f.line_marks = r->at;
	for (size_t i = 0; i < f.mark_count && !r->is_lost; i++) {
		(void)take_size(r);
		(void)take_size(r);
	}
	if (!r->is_lost)
		look_through(L, r, &f);
	take_names(r);
}

/* What stands before a file's function, as this program's Lua writes it. */
static bool
take_head(struct reader *r)
{
	static const char data[] = "\x19\x93\r\n\x1a\n";
	const unsigned char *p = take(r, 4 + 2 + 6 + 3);
	lua_Integer integer = 0;
	const unsigned char *q = take(r, sizeof(integer) + sizeof(lua_Number));

	if (p == NULL || q == NULL)
		return false;
	memcpy(&integer, q, sizeof(integer));
	(void)take_byte(r); /* upvalues */
	return memcmp(p, LUA_SIGNATURE, 4) == 0 && p[4] == 0x54 && p[5] == 0 &&
	       memcmp(p + 6, data, 6) == 0 && p[12] == 4 && p[13] == 8 && p[14] == 8 &&
	       integer == 0x5678;
}

static int
by_line(const void *a, const void *b)
{
	const struct unknown *x = a, *y = b;

	return (x->line > y->line) - (x->line < y->line);
}

static void
tell_unknown(
    lua_State *L, struct script *s, const struct compiled *part, const struct unknown *u)
{
	push_sentence(L, u);
	lua_pushfstring(L, "%s%s:%d: %s", part->name != NULL ? part->name : s->file,
	    part->name != NULL ? ".lua" : "", (int)u->line, lua_tostring(L, -1));
	if (s->wrongs == NULL)
		(void)lua_error(L);
	wrong_say(s->wrongs, lua_tostring(L, -1));
	lua_pop(L, 2);
}

/* The environment at 1, as scripts see it. */
static int
check_parts(lua_State *L)
{
	struct script *s = state_of(L)->script;
	struct unknown *room;

	luaL_checkstack(L, 20, NULL);
	if (!step_behind(L, GLOBALS))
		return 0;
	room = lua_newuserdatauv(L, UNKNOWNS * sizeof(*room), 0);
	for (size_t i = 0; i < s->part_count; i++) {
		const struct compiled *part = &s->part[i];
		struct reader r = { .at = (const unsigned char *)part->code,
			.end = (const unsigned char *)part->code + part->code_bytes,
			.unknown = room };

		if (take_head(&r))
			take_function(L, &r, NULL);
		if (r.is_lost)
			continue;
		qsort(room, r.count, sizeof(*room), by_line);
		for (size_t k = 0; k < r.count; k++)
			tell_unknown(L, s, part, &room[k]);
	}
	return 0;
}

void
names_check(lua_State *L)
{
	lua_pushcfunction(L, check_parts);
	lua_pushvalue(L, -2);
	lua_call(L, 1, 0);
}
