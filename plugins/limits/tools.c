/* tools.c - which tools a model may be offered, by name.
 *
 * SPDX-License-Identifier: MIT
 */
#include "limits.h"

static lz_str
text_at(const lz_json *j, const char *pointer)
{
	return lz->json_str(lz->json_at(j, pointer), lz_strn(NULL, 0));
}

static int
is_allowed_name(const struct limits *g, lz_str name)
{
	return !is_listed(&g->tools_denied, name) &&
	       (g->tools.count == 0 || is_listed(&g->tools, name));
}

/* A vendor's own tool is named by its type, a function's and a custom tool's say nothing
 * of which. */
static int
is_kind(lz_str type)
{
	return lz_eq(type, "function") || lz_eq(type, "custom");
}

/* Which of its names a provider goes by is the provider's: all of them must be allowed.
 * *name is the one that is not, or the first that is there. */
static int
is_allowed(const struct limits *g, const lz_json *tool, lz_str *name)
{
	static const char *const places[] = { "/function/name", "/custom/name", "/name",
		"/type" };
	lz_str first = lz_strz("");

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		*name = text_at(tool, places[i]);
		if (name->len == 0 || (i == 3 && is_kind(*name)))
			continue;
		if (!is_allowed_name(g, *name))
			return 0;
		if (first.len == 0)
			first = *name;
	}
	*name = first;
	return first.len > 0 || is_allowed_name(g, first);
}

static int32_t
refuse_tool(struct job *j, lz_str name)
{
	return refuse(j->c, "limits.tool", "The tool '%.*s' is not allowed here.",
	    shown(name), name.ptr);
}

/* The array without what is not allowed; 0 if it has nothing of that kind. */
static int32_t
filter(struct job *j, const char *member, size_t *left)
{
	const lz_json *all = lz->json_at(j->body, member);
	size_t n = lz->json_len(all);
	lz_json *kept = NULL;
	int has_more = 0;
	lz_str name;

	*left = 0;
	for (size_t i = 0; i < n; i++)
		has_more |= !is_allowed(j->g, lz->json_item(all, i, NULL), &name);
	if (!has_more) {
		*left = n;
		return LZ_OK;
	}
	kept = lz->json_new(j->c, LZ_ARRAY);
	for (size_t i = 0; i < n; i++) {
		const lz_json *tool = lz->json_item(all, i, NULL);

		if (is_allowed(j->g, tool, &name)) {
			++*left;
			if (lz->json_put(j->c, kept, "/-", tool) != LZ_OK)
				return LZ_E_NOMEM;
		} else if (j->g->excess == REFUSE) {
			return refuse_tool(j, name);
		}
	}
	if (job_edit(j) == NULL)
		return LZ_E_NOMEM;
	return lz->json_put(j->c, j->edit, member, *left > 0 ? kept : NULL) == LZ_OK
		   ? LZ_OK
		   : LZ_E_NOMEM;
}

/* A choice of a tool that is gone, or among none. */
static int32_t
check_choice(struct job *j, const char *member, size_t left)
{
	const lz_json *choice = lz->json_at(j->body, member);
	const lz_json *among = lz->json_at(choice, "/allowed_tools/tools");
	int is_gone = left == 0;
	lz_str name;

	if (lz->json_type(choice) == LZ_OBJECT && among == NULL)
		is_gone |= !is_allowed(j->g, choice, &name);
	for (size_t i = 0, n = lz->json_len(among); i < n; i++)
		is_gone |= !is_allowed(j->g, lz->json_item(among, i, NULL), &name);
	if (choice == NULL || !is_gone)
		return LZ_OK;
	return job_edit(j) != NULL && lz->json_put(j->c, j->edit, member, NULL) == LZ_OK
		   ? LZ_OK
		   : LZ_E_NOMEM;
}

/* What was taken out takes its choice with it. */
static int32_t
check_list(struct job *j, const char *list, const char *choice)
{
	size_t before = lz->json_len(lz->json_at(j->body, list)), left;
	int32_t e = filter(j, list, &left);

	if (e != LZ_OK || left == before)
		return e;
	e = check_choice(j, choice, left);
	if (e == LZ_OK && left == 0 &&
	    lz->json_at(j->body, "/parallel_tool_calls") != NULL)
		e = lz->json_put(j->c, j->edit, "/parallel_tool_calls", NULL) == LZ_OK
			? LZ_OK
			: LZ_E_NOMEM;
	return e;
}

int32_t
check_tools(struct job *j)
{
	size_t n = lz->json_len(lz->json_at(j->body, "/tools")) +
		   lz->json_len(lz->json_at(j->body, "/functions"));
	int32_t e;

	if (j->g->max_tools > 0 && n > (uint64_t)j->g->max_tools)
		return refuse(j->c, "limits.tools",
		    "The request has %zu tools; %lld are allowed.", n,
		    (long long)j->g->max_tools);
	e = check_list(j, "/tools", "/tool_choice");
	return e == LZ_OK ? check_list(j, "/functions", "/function_call") : e;
}
