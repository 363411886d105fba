/* tools.c - the tools that a request declares, and which of them must or may be called.
 *
 * SPDX-License-Identifier: MIT
 */
#include "make.h"

enum {
	STRICT_SINCE = 45 /* generation that takes tools[].strict */
};

static lz_json *
any_schema(struct making *m)
{
	lz_json *schema = make_object(m);

	make_set(m, schema, "type", make_text(m, lz_strz("object")));
	make_set(m, schema, "properties", make_object(m));
	return schema;
}

static void
add_tool(struct making *m, lz_json *tools, const lz_json *tool)
{
	const lz_json *f = lz->json_at(tool, "/function");
	const lz_json *parameters = lz->json_at(f, "/parameters");
	const lz_json *description = lz->json_at(f, "/description");
	lz_json *made = make_object(m);

	if (lz->json_type(lz->json_at(f, "/name")) != LZ_STRING) {
		make_refuse(m, LZ_UPSTREAM_UNABLE, "tools",
		    "Anthropic takes tools of type function, with a name");
		return;
	}
	make_set(m, made, "name", lz->json_at(f, "/name"));
	if (lz->json_type(description) == LZ_STRING)
		make_set(m, made, "description", description);
	make_set(m, made, "input_schema",
	    lz->json_type(parameters) == LZ_OBJECT ? parameters : any_schema(m));
	if (lz->json_bool(lz->json_at(f, "/strict"), 0)) {
		if (m->generation == 0 || m->generation >= STRICT_SINCE)
			make_set(m, made, "strict", lz->json_at(f, "/strict"));
		else
			make_dropped(m, "tools.strict");
	}
	message_mark(m, made, tool);
	message_mark(m, made, f);
	make_add(m, tools, made);
}

/* tool_choice {"type":"allowed_tools"}: only those are declared. */
static int
is_allowed(const struct making *m, const lz_json *tool)
{
	const lz_json *allowed = make_asked(m, "/tool_choice/allowed_tools/tools");
	lz_str name = make_word(lz->json_at(tool, "/function/name"));
	size_t n = lz->json_len(allowed);

	for (size_t i = 0; i < n; i++) {
		const lz_json *one = lz->json_item(allowed, i, NULL);
		lz_str its = make_word(lz->json_at(one, "/function/name"));

		if (its.len == name.len && memcmp(its.ptr, name.ptr, its.len) == 0)
			return 1;
	}
	return allowed == NULL;
}

/* NULL: none are declared. */
static lz_json *
make_tools(struct making *m)
{
	const lz_json *asked = make_asked(m, "/tools");
	size_t n = lz->json_len(asked);
	lz_json *tools;

	if (n == 0 && !m->has_tool_use)
		return NULL;
	tools = make_array(m);
	for (size_t i = 0; i < n; i++)
		if (is_allowed(m, lz->json_item(asked, i, NULL)))
			add_tool(m, tools, lz->json_item(asked, i, NULL));
	if (n > 0 && lz->json_len(tools) == 0)
		make_refuse(m, LZ_UPSTREAM_CALLER, "tool_choice",
		    "'tool_choice.allowed_tools.tools' names none of 'tools'");
	if (n == 0)
		message_declare_used(m, tools);
	return tools;
}

/* ---- which of them ---- */

static const struct {
	const char *openai, *anthropic;
} choices[] = {
	{ "auto", "auto" },
	{ "required", "any" },
	{ "none", "none" },
};

static lz_json *
choice_of_type(struct making *m, const char *type)
{
	lz_json *choice = make_object(m);

	make_set(m, choice, "type", make_text(m, lz_strz(type)));
	return choice;
}

static lz_json *
choice_asked(struct making *m, const lz_json *asked)
{
	const lz_json *name = lz->json_at(asked, "/function/name");
	const lz_json *mode = lz->json_at(asked, "/allowed_tools/mode");
	const lz_json *word = mode != NULL ? mode : asked;
	lz_json *choice;

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (lz_eq(make_word(word), choices[i].openai))
			return choice_of_type(m, choices[i].anthropic);
	if (lz->json_type(name) != LZ_STRING) {
		make_refuse(m, LZ_UPSTREAM_UNABLE, "tool_choice",
		    "Anthropic takes auto, required, none, one function or "
		    "allowed_tools");
		return NULL;
	}
	choice = choice_of_type(m, "tool");
	make_set(m, choice, "name", name);
	return choice;
}

/* NULL: the caller says nothing, which is auto. */
static lz_json *
make_choice(struct making *m)
{
	const lz_json *asked = make_asked(m, "/tool_choice");
	int is_single = !lz->json_bool(make_asked(m, "/parallel_tool_calls"), 1);
	lz_json *choice = NULL;

	if (lz->json_len(make_asked(m, "/tools")) == 0)
		return choice_of_type(m, "none");
	if (asked != NULL)
		choice = choice_asked(m, asked);
	else if (is_single)
		choice = choice_of_type(m, "auto");
	if (is_single && choice != NULL &&
	    !lz_eq(make_word(lz->json_at(choice, "/type")), "none"))
		make_set(
		    m, choice, "disable_parallel_tool_use", lz->json_of_bool(m->c, 1));
	return choice;
}

void
tools_set(struct making *m, lz_json **choice)
{
	lz_json *tools = make_tools(m);

	*choice = NULL;
	if (tools == NULL)
		return;
	make_set(m, m->out, "tools", tools);
	*choice = make_choice(m);
	if (*choice != NULL)
		make_set(m, m->out, "tool_choice", *choice);
}
