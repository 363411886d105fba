/* rows.c - a script's options as the option rows that the host reads the file by; one of
 * them is row.c's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/rows.h"

#include <math.h>
#include <stdlib.h>

#include "lua/row.h"
#include "lua/wrong.h"

enum {
	OPTIONS_MAX = 64,
	CELL_BYTES = 16, /* the largest value: lz_str, lz_list */
	NAME_MAX_BYTES = 64
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
is_name(lz_str name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!((name.ptr[i] >= 'a' && name.ptr[i] <= 'z') || name.ptr[i] == '_' ||
			(name.ptr[i] >= '0' && name.ptr[i] <= '9')))
			return false;
	return name.len > 0 && name.len <= NAME_MAX_BYTES && name.ptr[0] >= 'a' &&
	       name.ptr[0] <= 'z';
}

static void
tell_name(struct script *s, lz_str name)
{
	char sentence[WRONG_BYTES];

	wrong_option(sentence, sizeof(sentence), s,
	    name.ptr != NULL ? name.ptr : "options",
	    "options has an entry whose name is not made of a-z, 0-9 and _, beginning "
	    "with a letter");
	wrong_say(s->wrongs, sentence);
}

/* The names that are some, in their order; the values of others are not looked at. */
static size_t
read_names(lua_State *L, struct script *s, const char *names[OPTIONS_MAX])
{
	struct row r = { .L = L, .s = s, .name = "" };
	size_t n = 0;

	for (lua_pushnil(L); lua_next(L, ROW_OPTIONS) != 0; lua_pop(L, 1)) {
		lz_str name = STR_NONE;

		if (lua_type(L, -2) == LUA_TSTRING)
			name.ptr = lua_tolstring(L, -2, &name.len);
		if (!is_name(name))
			tell_name(s, name);
		else if (n == OPTIONS_MAX)
			wrong_tell(
			    s, "options", "there are more than %d options", OPTIONS_MAX);
		else
			names[n++] = row_keep(&r, name);
	}
	qsort(names, n, sizeof(names[0]), by_name);
	return n;
}

/* Protected; the struct row, the options, the option. */
static int
read_protected(lua_State *L)
{
	struct row *r = lua_touserdata(L, 1);

	if (!lua_istable(L, ROW_OPTION))
		row_wrong(r, "is a %s; write { type = ..., default = ... }",
		    luaL_typename(L, ROW_OPTION));
	row_read(r);
	return 0;
}

/* Says what is wrong with one, so that the next is looked at. */
static void
read_one(struct row *r)
{
	lua_State *L = r->L;

	lua_settop(L, ROW_OPTIONS);
	lua_pushcfunction(L, read_protected);
	lua_pushlightuserdata(L, r);
	lua_pushvalue(L, ROW_OPTIONS);
	lua_pushstring(L, r->name);
	(void)lua_rawget(L, ROW_OPTIONS);
	switch (lua_pcall(L, 3, 0, 0)) {
	case LUA_OK:
		return;
	case LUA_ERRRUN:
		wrong_say(r->s->wrongs, lua_tostring(L, -1));
		return;
	default:
		(void)lua_error(L);
	}
}

void
rows_read(lua_State *L, struct script *s)
{
	struct row r = { .L = L, .s = s };
	const char *names[OPTIONS_MAX];
	lz_option *rows;
	size_t n;

	s->component.instance_size = sizeof(struct instance);
	if (lua_isnil(L, ROW_OPTIONS))
		return;
	if (!lua_istable(L, ROW_OPTIONS)) {
		wrong_tell(s, "options",
		    "options is a %s; write options = { NAME = { type = ... } }",
		    luaL_typename(L, ROW_OPTIONS));
		return;
	}
	n = read_names(L, s, names);
	rows = arena_alloc(s->memory, (n + 1) * sizeof(*rows));
	if (rows == NULL)
		(void)luaL_error(L, "out of memory");
	for (size_t i = 0; i < n; i++) {
		r.row = &rows[i];
		r.name = names[i];
		r.row->offset = (uint32_t)(sizeof(struct instance) + i * CELL_BYTES);
		read_one(&r);
	}
	s->component.options = rows;
	s->component.option_count = (uint32_t)n;
	s->component.instance_size += (uint32_t)(n * CELL_BYTES);
}

void
rows_seat(const struct script *s, void *instance)
{
	static const int32_t no_choice = -1;
	static const int64_t no_integer = INT64_MIN;
	const double no_number = (double)NAN;
	const lz_str no_text = STR_NONE, no_bytes = { row_empty_text, 0 };

	for (uint32_t i = 0; i < s->component.option_count; i++) {
		const lz_option *o = &s->component.options[i];
		char *at = (char *)instance + o->offset;

		switch (o->type) {
		case LZ_BOOL_OPTION:
		case LZ_CHOICE_OPTION:
			memcpy(at, &no_choice, sizeof(no_choice));
			break;
		case LZ_INT_OPTION:
			memcpy(at, &no_integer, sizeof(no_integer));
			break;
		case LZ_REAL_OPTION:
			memcpy(at, &no_number, sizeof(no_number));
			break;
		case LZ_TEXT_OPTION:
			memcpy(at, o->otherwise == row_empty_text ? &no_bytes : &no_text,
			    sizeof(no_text));
			break;
		default:
			break; /* zero is absent */
		}
	}
}
