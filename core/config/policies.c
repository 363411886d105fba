/* policies.c - the section `policies`: scripts, what they may call and what they may
 * cost.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/policy.h"

#include <stdio.h>

#include "base/json.h"
#include "base/tell.h"
#include "config/build.h"

enum {
	POLICIES = 200,
	WHERE_BYTES = 40,
	WRONG_BYTES = 64 << 10,
	NEAR_EDITS = 3
};

struct policy_options {
	lz_str file;
	lz_list http;
	int64_t cpu_ms, timeout_ms, memory, calls;
};

static const lz_option rows[] = {
	LZ_OPT_TEXT(struct policy_options, file, NULL, NULL, "the script"),
	LZ_OPT_LIST(struct policy_options, http, "[]", NULL,
	    "addresses that it may call, with all that is below: https://host/path"),
	LZ_OPT_INT(struct policy_options, cpu_ms, "20ms", 1, 200, "duration",
	    "what one visit may compute, counted in steps of which a usual machine makes "
	    "as many"),
	LZ_OPT_INT(struct policy_options, timeout_ms, "1s", 10, 10000, "duration",
	    "a visit as a whole, waiting included"),
	LZ_OPT_INT(struct policy_options, memory, "8MiB", 1 << 20, 64 << 20, "bytes",
	    "of one worker's copy of it"),
	LZ_OPT_INT(
	    struct policy_options, calls, "4", 0, 16, NULL, "network calls of one visit"),
};
enum {
	ROWS = sizeof(rows) / sizeof(rows[0])
};

static const struct policy_ops *ops; /* start-up state */

void
policy_set_ops(const struct policy_ops *o)
{
	ops = o;
}

const struct policy_ops *
policy_get_ops(void)
{
	return ops;
}

static bool
is_taken(const struct build *b, const struct part_info *info, lz_str *by)
{
	for (size_t i = 0; i < b->c->policy_count; i++) {
		const struct policy *p = &b->c->policy[i];

		if (strcmp(p->info->kind, info->kind) == 0 &&
		    strcmp(p->info->name, info->name) == 0) {
			*by = p->path;
			return true;
		}
	}
	return false;
}

/* Sentences, until it is known whether they are errors: a version that serves on makes
 * them news. */
static void
hear_wrong(void *arg, const char *sentence)
{
	struct buf *lines = arg;

	buf_add_z(lines, sentence);
	buf_add_char(lines, '\n');
}

/* first: what load() said, if nobody heard of more. */
static void
tell_refused(struct build *b, const char *where, const json_t *object, lz_str lines,
    const char *first)
{
	b->lacks_policies = true;
	if (lines.len == 0)
		build_wrong(b, where, object, "file", "%s", first);
	while (lines.len > 0) {
		size_t n = (size_t)str_find(lines, '\n');

		build_wrong(
		    b, where, object, "file", "%.*s", STR_ARG(str_cut(lines, 0, n)));
		lines = str_cut(lines, n + 1, lines.len);
	}
}

static void
keep(struct build *b, const struct part_info *info, lz_str path,
    const struct policy_terms *terms, const json_t *object)
{
	b->c->policy[b->c->policy_count++] = (struct policy){ .info = info,
		.path = path,
		.terms = *terms,
		.line = yaml_line(b->source, object, NULL) };
}

static void
load(struct build *b, const char *where, const json_t *object,
    const struct policy_options *o)
{
	struct policy_want w = { .terms = { o->http.items, o->http.count, o->cpu_ms,
				     o->timeout_ms, o->memory, o->calls } };
	const struct config *before = b->o->before;
	lz_str path = build_path(b, o->file), by;
	const struct part_info *info;
	struct err why = { "" };
	struct buf lines;

	if (path.ptr == NULL)
		return;
	if (b->o->only_policies) {
		keep(b, NULL, path, &w.terms, object);
		return;
	}
	buf_init(&lines, WRONG_BYTES);
	w.wrong = hear_wrong;
	w.wrong_arg = &lines;
	w.path = path.ptr;
	w.kept = b->o->is_served && before == NULL
		     ? arena_printf(b->c->memory, "%s/policies",
			   b->o->data != NULL ? b->o->data : b->c->data.ptr)
			   .ptr
		     : NULL;
	info = ops->load(&w, build_read_text, before != NULL ? before->policy : NULL,
	    before != NULL ? before->policy_count : 0, &why);
	if (why.text[0] != '\0' && b->o->is_served)
		tell(TELL_POLICY_REJECTED, "file=%.*s last_good=%s reason=\"%s\"",
		    STR_ARG(path),
		    info != NULL || before != NULL ? "\"serves\"" : "\"is not known\"",
		    why.text);
	if (info == NULL) {
		tell_refused(b, where, object, buf_str(&lines), why.text);
	} else if (is_taken(b, info, &by)) {
		build_wrong(b, where, object, "file", "the %s '%s' is in %.*s already",
		    info->kind, info->name, STR_ARG(by));
		ops->unref(info);
	} else {
		keep(b, info, path, &w.terms, object);
		if (why.text[0] != '\0')
			b->c->policy[b->c->policy_count - 1].refused =
			    arena_copy(b->c->memory, lz_strz(why.text));
	}
	buf_free(&lines);
}

void
policies_read(struct build *b, const json_t *root)
{
	const json_t *list = json_object_get(root, "policies");
	char where[WHERE_BYTES];

	if (list == NULL || json_is_null(list))
		return;
	b->c->policy = build_alloc(b, POLICIES * sizeof(*b->c->policy));
	if (b->is_out_of_memory)
		return;
	if (!json_is_array(list) || json_array_size(list) > POLICIES || ops == NULL) {
		build_wrong(b, NULL, root, "policies",
		    "is not a list of at most %d scripts; write - { file: "
		    "policies/NAME.lua }",
		    POLICIES);
		return;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *object = json_array_get(list, i);
		struct policy_options o = { 0 };
		struct options_context c;

		(void)snprintf(where, sizeof(where), "policies[%zu]", i);
		c = build_context(b, where);
		if (!json_is_object(object))
			build_wrong(b, where, list, NULL,
			    "is not a map; write { file: policies/NAME.lua }");
		else if (build_apply(rows, ROWS, object, &o, &c))
			load(b, where, object, &o);
	}
}

const struct part_info *
policies_find(const struct config *c, const char *kind, lz_str name, lz_str *near)
{
	unsigned best = NEAR_EDITS + 1;

	*near = STR_NONE;
	for (size_t i = 0; i < c->policy_count; i++) {
		const struct part_info *info = c->policy[i].info;
		unsigned edits;

		if (strcmp(info->kind, kind) != 0)
			continue;
		if (lz_eq(name, info->name))
			return info;
		edits = str_distance(name, lz_strz(info->name), NEAR_EDITS);
		if (edits < best) {
			best = edits;
			*near = lz_strz(info->name);
		}
	}
	return NULL;
}

void
policies_free(struct config *c)
{
	for (size_t i = 0; i < c->policy_count; i++)
		if (c->policy[i].info != NULL)
			ops->unref(c->policy[i].info);
	c->policy_count = 0;
}

json_t *
policies_schema(void)
{
	return json_pack("{s:s, s:s, s:o}", "type", "array", "description",
	    "scripts; each is used as lua:NAME by routers and guardrails", "items",
	    options_schema(rows, ROWS, sizeof(*rows)));
}

json_t *
policies_shown(const struct config *c)
{
	const json_t *list = json_object_get(c->tree, "policies");
	json_t *out = json_array_size(list) > 0 ? json_array() : NULL;
	size_t i;
	json_t *value;

	json_array_foreach((json_t *)(uintptr_t)list, i, value)
	{
		(void)json_array_append_new(
		    out, options_shown(rows, ROWS, sizeof(*rows), value));
	}
	return out;
}
