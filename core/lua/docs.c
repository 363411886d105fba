/* docs.c - what editors, readers and luacheck know of the API, made from its table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/docs.h"

#include "lua/inside.h"

enum {
	GROUPS_MAX = 8
};

/* The classes, in the order of the table, with what they are. */
static const struct {
	const char *name, *what;
} classes[] = {
	{ "Guardrail", "what a guardrail's file returns" },
	{ "Router", "what a router's file returns" },
	{ "Request", "the request, `req`" },
	{ "Text", "one of `req.texts`" },
	{ "Targets", "a list of Target" },
	{ "Target", "a model at a provider" },
};
static const char *const groups[] = { "latenza", "latenza.http", "latenza.shared",
	"latenza.json", "latenza.test", "latenza.log" };

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* ---- reading the rows ---- */

struct argument {
	lz_str name, type, what;
};

/* Takes the next "name: type -- what" of the lines. */
static bool
next_argument(const char **lines, struct argument *a)
{
	const char *end, *colon, *dashes;
	lz_str line;

	if (*lines == NULL || **lines == '\0')
		return false;
	end = strchr(*lines, '\n');
	line = lz_strn(*lines, end != NULL ? (size_t)(end - *lines) : strlen(*lines));
	*lines = end != NULL ? end + 1 : "";
	colon = memmem(line.ptr, line.len, ": ", 2);
	dashes = memmem(line.ptr, line.len, " -- ", 4);
	must(colon != NULL);
	a->name = str_cut(line, 0, (size_t)(colon - line.ptr));
	a->type = str_cut(line, (size_t)(colon - line.ptr) + 2,
	    dashes != NULL ? (size_t)(dashes - line.ptr) : line.len);
	a->what = dashes != NULL
		      ? str_cut(line, (size_t)(dashes - line.ptr) + 4, line.len)
		      : STR_NONE;
	return true;
}

static bool
is_of(const struct api_row *row, const char *where)
{
	return strcmp(row->where, where) == 0;
}

/* "pattern, by" */
static void
add_names(struct buf *b, const struct api_row *row)
{
	const char *lines = row->args;
	struct argument a;

	for (bool is_first = true; next_argument(&lines, &a); is_first = false) {
		buf_add_z(b, is_first ? "" : ", ");
		buf_add_str(b, a.name);
	}
}

/* ---- the editors' stub ---- */

static void
stub_field(struct buf *b, const struct api_row *row)
{
	const char *lines = row->args;
	struct argument a;

	if (row->fn == NULL) {
		buf_addf(b, "---@field %s %s%s%s\n", row->name, row->type,
		    row->help[0] != '\0' ? "  " : "", row->help);
		return;
	}
	buf_addf(b, "---%s\n---@field %s fun(self: %s", row->help, row->name, row->where);
	while (next_argument(&lines, &a))
		buf_addf(b, ", %.*s: %.*s", STR_ARG(a.name), STR_ARG(a.type));
	buf_addf(b, ")%s%s\n", row->type[0] != '\0' ? ": " : "", row->type);
}

static void
stub_function(struct buf *b, const struct api_row *row)
{
	const char *lines = row->args;
	struct argument a;

	buf_addf(b, "\n---%s\n", row->help);
	while (next_argument(&lines, &a))
		buf_addf(b, "---@param %.*s %.*s%s%.*s\n", STR_ARG(a.name),
		    STR_ARG(a.type), a.what.len > 0 ? "  " : "", STR_ARG(a.what));
	if (row->type[0] != '\0')
		buf_addf(b, "---@return %s\n", row->type);
	if (strcmp(row->type, "Verdict") == 0)
		buf_add_z(b, "---@nodiscard\n");
	buf_addf(b, "function %s.%s(", row->where, row->name);
	add_names(b, row);
	buf_add_z(b, ") end\n");
}

void
docs_stub(struct buf *b)
{
	buf_add_z(b,
	    "---@meta latenza\n-- What the editor knows about `latenza` (LuaCATS). Made "
	    "from core/lua/api.c; "
	    "tests/unit/test_script_api says how.\n\n"
	    "---@alias Phase \"request\"|\"response\"\n"
	    "---@class Verdict  made by latenza.pass, block, flag or use_model\n");
	for (size_t c = 0; c < COUNT(classes); c++) {
		buf_addf(b, "\n---@class %s%s  %s\n", classes[c].name,
		    strcmp(classes[c].name, "Targets") == 0 ? ": Target[]" : "",
		    classes[c].what);
		for (size_t i = 0; i < api_row_count; i++)
			if (is_of(&api_rows[i], classes[c].name))
				stub_field(b, &api_rows[i]);
	}
	buf_add_z(b,
	    "\nlatenza = { http = {}, shared = {}, json = {}, log = {}, test = {} }\n"
	    "---@type any  what null is\nlatenza.json.null = nil\n");
	for (size_t g = 0; g < COUNT(groups); g++)
		for (size_t i = 0; i < api_row_count; i++)
			if (is_of(&api_rows[i], groups[g]))
				stub_function(b, &api_rows[i]);
}

/* ---- the reference page ---- */

/* A bar would end the cell. */
static void
add_cell(struct buf *b, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			buf_add_char(b, '\\');
		buf_add_char(b, *text);
	}
}

static void
page_row(struct buf *b, const struct api_row *row, bool is_method)
{
	const char *lines = row->args;
	struct argument a;

	buf_addf(b, "| `%s%s", is_method ? ":" : "", row->name);
	if (row->fn != NULL) {
		buf_add_char(b, '(');
		add_names(b, row);
		buf_add_char(b, ')');
	}
	buf_add_z(b, "` | ");
	if (row->type[0] != '\0') {
		buf_add_char(b, '`');
		add_cell(b, row->type);
		buf_add_char(b, '`');
	}
	buf_addf(b, " | ");
	add_cell(b, row->help);
	while (next_argument(&lines, &a)) {
		buf_add_z(b, a.name.ptr == row->args && row->help[0] != '\0' ? " " : " ");
		buf_addf(b, "`%.*s`: `", STR_ARG(a.name));
		for (size_t i = 0; i < a.type.len; i++) {
			if (a.type.ptr[i] == '|')
				buf_add_char(b, '\\');
			buf_add_char(b, a.type.ptr[i]);
		}
		buf_addf(b, "`%s%.*s.", a.what.len > 0 ? ", " : "", STR_ARG(a.what));
	}
	buf_add_z(b, " |\n");
}

static void
page_head(struct buf *b, const char *title, const char *what)
{
	buf_addf(b, "\n### %s\n\n%s%s| | is | |\n|---|---|---|\n", title, what,
	    what[0] != '\0' ? "\n\n" : "");
}

void
docs_reference(struct buf *b)
{
	buf_add_z(b, "# Scripts: the API\n\nMade from core/lua/api.c. "
		     "`latenza.json.null` is what null is in JSON; it is "
		     "not nil.\nOf Lua there is: assert, error, getmetatable, ipairs, "
		     "next, pairs, pcall, rawequal, rawget, "
		     "rawlen, rawset,\nrequire (files beside the script), select, "
		     "setmetatable, tonumber, tostring, type; "
		     "string without dump, table, utf8,\nmath without random and "
		     "randomseed. Globals cannot be written. A global that is not "
		     "there, and a field that latenza or one\nof these libraries "
		     "does not have, is an error when the script is loaded.\n\n"
		     "## What a script returns, and what it gets\n");
	for (size_t c = 0; c < COUNT(classes); c++) {
		page_head(b, classes[c].name, classes[c].what);
		for (size_t i = 0; i < api_row_count; i++)
			if (is_of(&api_rows[i], classes[c].name))
				page_row(b, &api_rows[i], api_rows[i].fn != NULL);
	}
	buf_add_z(b, "\n## Functions\n");
	for (size_t g = 0; g < COUNT(groups); g++) {
		page_head(b, groups[g], "");
		for (size_t i = 0; i < api_row_count; i++)
			if (is_of(&api_rows[i], groups[g]))
				page_row(b, &api_rows[i], false);
	}
}

/* ---- luacheck ---- */

static void
check_fields(struct buf *b, const char *group, const char *indent)
{
	for (size_t i = 0; i < api_row_count; i++)
		if (is_of(&api_rows[i], group))
			buf_addf(b, "%s%s = {},\n", indent, api_rows[i].name);
}

static void
check_library(struct buf *b, const char *name, const char *const *fields)
{
	buf_addf(b, "      %s = { fields = {", name);
	for (; *fields != NULL; fields++)
		buf_addf(b, " %s = {},", *fields);
	buf_add_z(b, " } },\n");
}

void
docs_luacheck(struct buf *b)
{
	static const char *const base[] = { "assert", "error", "getmetatable", "ipairs",
		"next", "pairs", "pcall", "rawequal", "rawget", "rawlen", "rawset",
		"require", "select", "setmetatable", "tonumber", "tostring", "type",
		"_VERSION" };
	static const char *const strings[] = { "byte", "char", "find", "format", "gmatch",
		"gsub", "len", "lower", "match", "pack", "packsize", "rep", "reverse",
		"sub", "unpack", "upper", NULL };
	static const char *const tables[] = { "concat", "insert", "move", "pack",
		"remove", "sort", "unpack", NULL };
	static const char *const maths[] = { "abs", "acos", "asin", "atan", "ceil", "cos",
		"deg", "exp", "floor", "fmod", "huge", "log", "max", "maxinteger", "min",
		"mininteger", "modf", "pi", "rad", "sin", "sqrt", "tan", "tointeger",
		"type", "ult", NULL };
	static const char *const utf8s[] = { "char", "charpattern", "codepoint", "codes",
		"len", "offset", NULL };

	buf_add_z(b,
	    "-- luacheck --config luacheckrc policies/   Made from core/lua/api.c.\n"
	    "stds.latenza = {\n   read_globals = {\n");
	for (size_t i = 0; i < COUNT(base); i++)
		buf_addf(b, "      %s = {},\n", base[i]);
	check_library(b, "string", strings);
	check_library(b, "table", tables);
	check_library(b, "math", maths);
	check_library(b, "utf8", utf8s);
	buf_add_z(b, "      latenza = { fields = {\n");
	check_fields(b, "latenza", "         ");
	for (size_t g = 1; g < COUNT(groups); g++) {
		buf_addf(
		    b, "         %s = { fields = {\n", groups[g] + strlen("latenza."));
		check_fields(b, groups[g], "            ");
		if (strcmp(groups[g], "latenza.json") == 0)
			buf_add_z(b, "            null = {},\n");
		buf_add_z(b, "         } },\n");
	}
	buf_add_z(b, "      } },\n   },\n}\nstd = \"latenza\"\nmax_line_length = 140\n"
		     "exclude_files = { \"*.d.lua\", \"**/*.d.lua\" } -- declarations\n");
}
