/* row.c - one option of a script, a JSON Schema in Lua's clothes: its type, its bounds
 * and its default, each nonsense with what would be right.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/wrong.h"

enum {
	SCHEMA_BYTES = 1 << 16,
	SCHEMA_DEPTH = 12
};

/* How large a whole number a row's bounds can say. */
#define INTEGER_BOUND 9007199254740992.0

const char row_empty_text[1] = "";

/* ---- telling ---- */

void
row_wrong(struct row *r, const char *fmt, ...)
{
	char said[WRONG_BYTES / 2], sentence[WRONG_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
	wrong_option(
	    sentence, sizeof(sentence), r->s, r->name, "option %s: %s", r->name, said);
	lua_pushstring(r->L, sentence);
	(void)lua_error(r->L);
}

const char *
row_keep(struct row *r, lz_str text)
{
	lz_str copy = arena_copy(r->s->memory, text);

	if (copy.ptr == NULL)
		row_wrong(r, "out of memory");
	return copy.ptr;
}

/* ---- members of one option ---- */

/* Pushes it. */
static int
member(struct row *r, const char *name)
{
	lua_pushstring(r->L, name);
	return lua_rawget(r->L, ROW_OPTION);
}

static lz_str
text_member(struct row *r, const char *name)
{
	lz_str s = STR_NONE;

	switch (member(r, name)) {
	case LUA_TSTRING:
		s.ptr = lua_tolstring(r->L, -1, &s.len);
		s.ptr = row_keep(r, s);
		break;
	case LUA_TNIL:
		break;
	default:
		row_wrong(r, "%s is a %s; write a text", name, luaL_typename(r->L, -1));
	}
	lua_pop(r->L, 1);
	return s;
}

static double
number_member(struct row *r, const char *name, double otherwise)
{
	double v = otherwise;

	if (member(r, name) != LUA_TNIL) {
		if (lua_type(r->L, -1) != LUA_TNUMBER)
			row_wrong(r, "%s is a %s; write a number", name,
			    luaL_typename(r->L, -1));
		v = lua_tonumber(r->L, -1);
		if (!isfinite(v))
			row_wrong(r, "%s is not finite", name);
	}
	lua_pop(r->L, 1);
	return v;
}

static void
check_members(struct row *r)
{
	static const char *const known[] = { "type", "default", "help", "optional",
		"minimum", "maximum", "enum", "format", "items", "properties", "required",
		"additionalProperties" };

	for (lua_pushnil(r->L); lua_next(r->L, ROW_OPTION) != 0; lua_pop(r->L, 1)) {
		const char *name =
		    lua_type(r->L, -2) == LUA_TSTRING ? lua_tostring(r->L, -2) : "?";
		const char *near = NULL;
		bool is_known = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			is_known = is_known || strcmp(known[i], name) == 0;
			if (near == NULL &&
			    str_distance(lz_strz(name), lz_strz(known[i]), 2) <= 2)
				near = known[i];
		}
		if (!is_known && near != NULL)
			row_wrong(r, "there is no '%s'; did you mean '%s'?", name, near);
		if (!is_known)
			row_wrong(r,
			    "there is no '%s'; type, default, help, optional, minimum, "
			    "maximum, enum, "
			    "format and items are known",
			    name);
	}
}

/* ---- JSON texts ---- */

static void
write_json(struct row *r, struct buf *b, unsigned depth)
{
	lua_State *L = r->L;
	size_t n;
	bool is_first = true;
	lz_str s;

	luaL_checkstack(L, 4, NULL);
	if (depth > SCHEMA_DEPTH)
		row_wrong(r, "is nested too deeply");
	switch (lua_type(L, -1)) {
	case LUA_TBOOLEAN:
		buf_add_z(b, lua_toboolean(L, -1) ? "true" : "false");
		return;
	case LUA_TNUMBER:
		if (lua_isinteger(L, -1))
			buf_add_int(b, lua_tointeger(L, -1));
		else if (isfinite(lua_tonumber(L, -1)))
			buf_addf(b, "%.17g", lua_tonumber(L, -1));
		else
			row_wrong(r, "has a number that is not finite");
		return;
	case LUA_TSTRING:
		s.ptr = lua_tolstring(L, -1, &s.len);
		buf_add_json(b, s);
		return;
	case LUA_TTABLE:
		break;
	default:
		row_wrong(r, "has a %s inside", luaL_typename(L, -1));
	}
	n = lua_rawlen(L, -1);
	if (n > 0 || values_is_array(L, -1)) {
		buf_add_char(b, '[');
		for (size_t i = 1; i <= n; i++) {
			buf_add_z(b, i > 1 ? "," : "");
			(void)lua_rawgeti(L, -1, (lua_Integer)i);
			write_json(r, b, depth + 1);
			lua_pop(L, 1);
		}
		buf_add_char(b, ']');
		return;
	}
	buf_add_char(b, '{');
	for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			row_wrong(r, "has a table that is neither a list nor a map");
		s.ptr = lua_tolstring(L, -2, &s.len);
		/* What is ours and not JSON Schema's. */
		if (depth == 0 &&
		    (str_is(s, "optional") || str_is(s, "help") || str_is(s, "default")))
			continue;
		buf_add_z(b, is_first ? "" : ",");
		is_first = false;
		buf_add_json(b, s);
		buf_add_char(b, ':');
		write_json(r, b, depth + 1);
	}
	buf_add_char(b, '}');
}

/* The table on top, as a JSON text that is kept. */
static const char *
json_text(struct row *r, unsigned depth)
{
	struct buf b;
	lz_str copy = STR_NONE;

	/* write_json() may raise: what it writes into is the state's memory, so to say.
	 */
	buf_init(&b, SCHEMA_BYTES);
	b.ptr = arena_alloc(r->s->memory, SCHEMA_BYTES);
	b.cap = b.ptr != NULL ? SCHEMA_BYTES : 0;
	b.failed = b.ptr == NULL;
	write_json(r, &b, depth);
	if (b.failed)
		row_wrong(r, "is too large");
	copy = buf_str(&b);
	return row_keep(r, copy);
}

/* ---- types ---- */

static void
read_bounds(struct row *r, double least, double most)
{
	bool has_bounds = false;

	has_bounds |= member(r, "minimum") != LUA_TNIL;
	has_bounds |= member(r, "maximum") != LUA_TNIL;
	lua_pop(r->L, 2);
	if (!has_bounds)
		return;
	r->row->min = number_member(r, "minimum", least);
	r->row->max = number_member(r, "maximum", most);
	if (r->row->min > r->row->max)
		row_wrong(
		    r, "minimum %.15g is above maximum %.15g", r->row->min, r->row->max);
	if (r->row->min >= r->row->max)
		row_wrong(r, "minimum and maximum are the same: it is no option");
}

static void
wrong_default(struct row *r, const char *wanted)
{
	row_wrong(r, "default is a %s; write %s", luaL_typename(r->L, -1), wanted);
}

static void
check_default_bounds(struct row *r)
{
	double v = lua_tonumber(r->L, -1);

	if (r->row->min < r->row->max && (v < r->row->min || v > r->row->max))
		row_wrong(r, "default %.15g is not within minimum and maximum", v);
}

/* The default is on top, not nil. */
static void
read_boolean(struct row *r, bool has_default)
{
	r->row->type = LZ_BOOL_OPTION;
	if (has_default && !lua_isboolean(r->L, -1))
		wrong_default(r, "true or false");
	if (has_default)
		r->row->otherwise = lua_toboolean(r->L, -1) ? "true" : "false";
}

static void
read_integer(struct row *r, bool has_default)
{
	char text[32];

	r->row->type = LZ_INT_OPTION;
	read_bounds(r, -INTEGER_BOUND, INTEGER_BOUND);
	if (!has_default)
		return;
	if (!lua_isinteger(r->L, -1))
		wrong_default(r, "a whole number");
	check_default_bounds(r);
	(void)snprintf(text, sizeof(text), "%lld", (long long)lua_tointeger(r->L, -1));
	r->row->otherwise = row_keep(r, lz_strz(text));
}

static void
read_number(struct row *r, bool has_default)
{
	char text[40];

	r->row->type = LZ_REAL_OPTION;
	read_bounds(r, -1e300, 1e300);
	if (!has_default)
		return;
	if (lua_type(r->L, -1) != LUA_TNUMBER || !isfinite(lua_tonumber(r->L, -1)))
		wrong_default(r, "a number");
	check_default_bounds(r);
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(
		    text, sizeof(text), "%.*g", digits, lua_tonumber(r->L, -1));
		if (strtod(text, NULL) == lua_tonumber(r->L, -1))
			break;
	}
	if (strpbrk(text, ".eE") == NULL) /* YAML: a number, not a whole one */
		(void)snprintf(text + strlen(text), 3, ".0");
	r->row->otherwise = row_keep(r, lz_strz(text));
}

/* "a|b|c" of a list of texts on top. */
static const char *
choices(struct row *r)
{
	lua_State *L = r->L;
	luaL_Buffer b;
	size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
	const char *kept;
	int list = lua_gettop(L);
	lz_str all;

	if (n == 0)
		row_wrong(r, "enum is a %s; write a list of texts", luaL_typename(L, -1));
	luaL_buffinit(L, &b);
	for (size_t i = 1; i <= n; i++) {
		lz_str s;

		(void)lua_rawgeti(L, list, (lua_Integer)i);
		s.ptr =
		    lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &s.len) : NULL;
		if (s.ptr == NULL || s.len == 0 || str_find(s, '|') >= 0)
			row_wrong(r,
			    "enum has an entry that is no text, or is empty, or has a |");
		if (i > 1)
			luaL_addchar(&b, '|');
		luaL_addvalue(&b);
	}
	luaL_pushresult(&b);
	all.ptr = lua_tolstring(L, -1, &all.len);
	kept = row_keep(r, all);
	lua_pop(L, 1);
	return kept;
}

static bool
is_choice(const char *list, lz_str text)
{
	for (const char *at = list; at != NULL; at = strchr(at, '|')) {
		at += *at == '|';
		if (str_eq(lz_strn(at, strcspn(at, "|")), text))
			return true;
	}
	return false;
}

static void
read_format(struct row *r)
{
	lz_str format = text_member(r, "format");

	if (str_is(format, "uri"))
		r->row->rule = "url";
	else if (str_is(format, "secret") || str_is(format, "password"))
		r->row->rule = "secret";
	else if (format.ptr != NULL)
		row_wrong(r, "there is no format \"%.60s\"; uri and secret are known",
		    format.ptr);
}

static void
read_string(struct row *r, bool has_default)
{
	lz_str text = STR_NONE;

	r->row->type = LZ_TEXT_OPTION;
	if (member(r, "enum") != LUA_TNIL) {
		r->row->type = LZ_CHOICE_OPTION;
		r->row->rule = choices(r);
	} else {
		read_format(r);
	}
	lua_pop(r->L, 1);
	if (!has_default)
		return;
	if (lua_type(r->L, -1) != LUA_TSTRING)
		wrong_default(r, "a text");
	text.ptr = lua_tolstring(r->L, -1, &text.len);
	if (r->row->type == LZ_CHOICE_OPTION && !is_choice(r->row->rule, text))
		row_wrong(r, "default \"%.60s\" is not in enum", text.ptr);
	if (r->row->type == LZ_TEXT_OPTION && r->row->rule != NULL &&
	    strcmp(r->row->rule, "url") == 0 && !str_starts(text, "http://") &&
	    !str_starts(text, "https://"))
		row_wrong(r, "default \"%.60s\" is no URL", text.ptr);
	r->row->otherwise = text.len > 0 ? row_keep(r, text) : row_empty_text;
}

/* { type = "string", enum = ... } of a list. */
static void
read_items(struct row *r)
{
	lua_State *L = r->L;

	if (member(r, "items") == LUA_TNIL) {
		lua_pop(L, 1);
		return;
	}
	if (!lua_istable(L, -1))
		row_wrong(r, "items is a %s; write items = { type = \"string\" }",
		    luaL_typename(L, -1));
	lua_pushliteral(L, "type");
	if (lua_rawget(L, -2) != LUA_TSTRING ||
	    strcmp(lua_tostring(L, -1), "string") != 0)
		row_wrong(r,
		    "items are texts; write items = { type = \"string\" }, or type "
		    "= \"object\" for other lists");
	lua_pushliteral(L, "enum");
	if (lua_rawget(L, -3) != LUA_TNIL)
		r->row->rule = choices(r);
	lua_pop(L, 3);
}

static void
read_array(struct row *r, bool has_default)
{
	r->row->type = LZ_LIST_OPTION;
	read_items(r);
	if (!has_default)
		return;
	if (!lua_istable(r->L, -1))
		wrong_default(r, "a list of texts");
	for (size_t i = 1, n = lua_rawlen(r->L, -1); i <= n; i++) {
		lz_str item = STR_NONE;

		if (lua_rawgeti(r->L, -1, (lua_Integer)i) != LUA_TSTRING)
			row_wrong(r, "default has an entry that is no text");
		item.ptr = lua_tolstring(r->L, -1, &item.len);
		if (r->row->rule != NULL && !is_choice(r->row->rule, item))
			row_wrong(
			    r, "default has \"%.60s\", which is not in enum", item.ptr);
		lua_pop(r->L, 1);
	}
	r->row->otherwise = lua_rawlen(r->L, -1) == 0 ? "[]" : json_text(r, 1);
}

static void
read_object(struct row *r, bool has_default)
{
	r->row->type = LZ_JSON_OPTION;
	lua_pushvalue(r->L, ROW_OPTION);
	r->row->rule = json_text(r, 0);
	lua_pop(r->L, 1);
	if (!has_default)
		return;
	if (!lua_istable(r->L, -1))
		wrong_default(r, "a table");
	r->row->otherwise = json_text(r, 1);
}

static const struct {
	const char *name;
	void (*read)(struct row *r, bool has_default);
} types[] = { { "boolean", read_boolean }, { "integer", read_integer },
	{ "number", read_number }, { "string", read_string }, { "array", read_array },
	{ "object", read_object } };

static void
read_type(struct row *r)
{
	lz_str type = text_member(r, "type");
	bool has_default = member(r, "default") != LUA_TNIL; /* on top from here on */

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!str_is(type, types[i].name))
			continue;
		types[i].read(r, has_default);
		lua_pop(r->L, 1);
		return;
	}
	row_wrong(r,
	    "type is %s%.40s%s; it must be boolean, integer, number, string, array or "
	    "object",
	    type.ptr != NULL ? "\"" : "", type.ptr != NULL ? type.ptr : "missing",
	    type.ptr != NULL ? "\"" : "");
}

void
row_read(struct row *r)
{
	lz_str help;

	check_members(r);
	read_type(r);
	help = text_member(r, "help");
	r->row->name = r->name;
	r->row->help = help.len > 0 ? help.ptr : SCRIPT_NO_HELP;
	for (size_t k = 0; k < help.len; k++)
		if ((unsigned char)help.ptr[k] < ' ')
			row_wrong(r, "help has more than one line");
	if (help.len > 300)
		row_wrong(r, "help is longer than 300 bytes");
	if (member(r, "optional") != LUA_TNIL && !lua_isboolean(r->L, -1))
		row_wrong(r, "optional is a %s; write true", luaL_typename(r->L, -1));
	if (lua_toboolean(r->L, -1) && r->row->otherwise == NULL)
		r->row->otherwise = "";
	lua_pop(r->L, 1);
}
