/* register.c - the table that a script returns: what it says it is, and its function.
 *
 * Each member is looked at whatever the others are, so that everything is told at once;
 * what only one kind has is left alone where nobody knows which kind it is. All of it
 * runs protected: only memory that is not there raises.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/register.h"

#include <string.h>

#include "lua/rows.h"
#include "lua/wrong.h"

enum {
	READ_TABLE = 1, /* on the stack */
	OVERLAP_MAX = 65536
};

/* What is on top, in a sentence of two parts: "missing"; "a ", "number". */
static const char *
article(lua_State *L)
{
	return lua_isnil(L, -1) ? "" : "a ";
}

static const char *
found(lua_State *L)
{
	return lua_isnil(L, -1) ? "missing" : luaL_typename(L, -1);
}

/* A member of the table; it stays on the stack. Absent: it is not there, or not a text,
 * which was told then. */
static lz_str
text_of(lua_State *L, struct script *s, const char *name, bool is_needed)
{
	lz_str text = STR_NONE;

	lua_pushstring(L, name);
	if (lua_rawget(L, READ_TABLE) == LUA_TSTRING)
		text.ptr = lua_tolstring(L, -1, &text.len);
	else if (!lua_isnil(L, -1) || is_needed)
		wrong_tell(s, name,
		    "%s is %s%s; write %s = \"...\" into the table that the script "
		    "returns",
		    name, article(L), found(L), name);
	return text;
}

/* Is it known? */
static bool
read_kind(lua_State *L, struct script *s)
{
	lz_str kind = text_of(L, s, "kind", true);

	s->is_router = str_is(kind, "router");
	if (kind.ptr == NULL || s->is_router || str_is(kind, "guardrail"))
		return kind.ptr != NULL;
	wrong_tell(s, "kind", "kind is \"%.60s\"; it must be \"guardrail\" or \"router\"",
	    kind.ptr);
	return false;
}

static bool
is_name(lz_str name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!((name.ptr[i] >= 'a' && name.ptr[i] <= 'z') ||
			(name.ptr[i] >= '0' && name.ptr[i] <= '9') ||
			name.ptr[i] == '-' || name.ptr[i] == '_'))
			return false;
	return name.len > 0 && name.len <= SCRIPT_NAME_BYTES;
}

static const char *
keep(lua_State *L, struct script *s, lz_str text)
{
	const char *copy = arena_copy(s->memory, text).ptr;

	if (copy == NULL)
		(void)luaL_error(L, "out of memory");
	return copy;
}

static void
read_name(lua_State *L, struct script *s)
{
	lz_str name = text_of(L, s, "name", true);

	if (name.ptr != NULL && !is_name(name))
		wrong_tell(s, "name",
		    "name is \"%.60s\"; a-z, 0-9, - and _ make one, of at most %d",
		    name.ptr, SCRIPT_NAME_BYTES);
	else if (name.ptr != NULL)
		s->component.name = keep(L, s, name);
}

static bool
is_line(lz_str text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ')
			return false;
	return text.len > 0 && text.len < 200 && str_is_utf8(text);
}

static void
read_summary(lua_State *L, struct script *s)
{
	lz_str summary = text_of(L, s, "summary", false);

	if (summary.ptr == NULL)
		summary = arena_printf(s->memory, "a %s written in Lua: %s",
		    s->is_router ? "router" : "guardrail", s->file);
	else if (!is_line(summary))
		wrong_tell(s, "summary", "summary is one line of at most 200 bytes");
	s->component.summary = keep(L, s, summary);
}

static void
read_function(lua_State *L, struct script *s)
{
	const char *name = s->is_router ? "pick" : "check";

	lua_pushstring(L, name);
	if (lua_rawget(L, READ_TABLE) != LUA_TFUNCTION)
		wrong_tell(s, name,
		    "%s is %s%s; a %s has %s = function(req, %soptions) ... end", name,
		    article(L), found(L), s->is_router ? "router" : "guardrail", name,
		    s->is_router ? "targets, " : "");
}

static void
read_phases(lua_State *L, struct script *s)
{
	static const char right[] = "on = { \"request\" }, { \"response\" } or both";
	lua_Integer count;

	lua_pushliteral(L, "on");
	if (lua_rawget(L, READ_TABLE) != LUA_TTABLE) {
		wrong_tell(s, "on", "on is %s%s; write %s", article(L), found(L), right);
		return;
	}
	for (count = 0; lua_rawgeti(L, -1, count + 1) != LUA_TNIL; count++) {
		lz_str phase = STR_NONE;

		if (lua_type(L, -1) == LUA_TSTRING)
			phase.ptr = lua_tolstring(L, -1, &phase.len);
		if (str_is(phase, "request"))
			s->table.guardrail.phases |= LZ_REQUEST;
		else if (str_is(phase, "response"))
			s->table.guardrail.phases |= LZ_RESPONSE;
		else
			wrong_tell(
			    s, "on", "on has an entry that is no phase; write %s", right);
		lua_pop(L, 1);
	}
	if (count == 0)
		wrong_tell(s, "on", "on is empty; write %s", right);
}

static void
read_overlap(lua_State *L, struct script *s)
{
	lua_Integer n;

	lua_pushliteral(L, "overlap");
	if (lua_rawget(L, READ_TABLE) == LUA_TNIL)
		return;
	n = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : -1;
	if (n < 0 || n > OVERLAP_MAX)
		wrong_tell(s, "overlap", "overlap is a number of bytes, from 0 to %d",
		    OVERLAP_MAX);
	s->table.guardrail.overlap = (uint32_t)n;
	s->holds_overlap = true;
}

/* ---- members that it has not ---- */

enum {
	OF_GUARDRAIL = 1,
	OF_ROUTER = 2
};
static const struct {
	const char *name;
	unsigned of;
} members[] = {
	{ "kind", OF_GUARDRAIL | OF_ROUTER },
	{ "name", OF_GUARDRAIL | OF_ROUTER },
	{ "summary", OF_GUARDRAIL | OF_ROUTER },
	{ "options", OF_GUARDRAIL | OF_ROUTER },
	{ "check", OF_GUARDRAIL },
	{ "on", OF_GUARDRAIL },
	{ "overlap", OF_GUARDRAIL },
	{ "pick", OF_ROUTER },
};

static void
check_member(struct script *s, const char *name)
{
	unsigned of = s->is_router ? OF_ROUTER : OF_GUARDRAIL;
	const char *near = NULL;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (strcmp(members[i].name, name) == 0 && (members[i].of & of) != 0)
			return;
		if (near == NULL && strcmp(members[i].name, name) != 0 &&
		    str_distance(lz_strz(name), lz_strz(members[i].name), 2) <= 2)
			near = members[i].name;
	}
	if (near != NULL)
		wrong_tell(s, name,
		    "the table that it returns has '%.60s'; did you mean '%s'?", name,
		    near);
	else
		wrong_tell(s, name,
		    "the table that it returns has '%.60s', which a %s does not have",
		    name, s->is_router ? "router" : "guardrail");
}

static void
check_members(lua_State *L, struct script *s)
{
	for (lua_pushnil(L); lua_next(L, READ_TABLE) != 0; lua_pop(L, 1))
		check_member(
		    s, lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?");
}

int
register_read(lua_State *L)
{
	struct script *s = state_of(L)->script;

	if (!lua_istable(L, READ_TABLE)) {
		wrong_tell(s, NULL,
		    "the script returns %s%s; end it with return { kind = ..., name = "
		    "..., ... }",
		    article(L), lua_isnil(L, READ_TABLE) ? "nothing" : found(L));
		return 0;
	}
	if (read_kind(L, s)) {
		check_members(L, s);
		read_function(L, s);
		if (!s->is_router) {
			read_phases(L, s);
			read_overlap(L, s);
		}
	}
	read_name(L, s);
	read_summary(L, s);
	lua_settop(L, READ_TABLE);
	lua_pushliteral(L, "options");
	(void)lua_rawget(L, READ_TABLE);
	rows_read(L, s);
	return 0;
}
