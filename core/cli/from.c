/* from.c - `latenza init --from litellm|portkey FILE`: which converter, which files, and
 * what is told.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/backend.h"
#include "cli/from.h"
#include "cli/out.h"
#include "config/yaml.h"
#include "plugin/registry.h"

enum {
	SOURCE_BYTES = 1 << 20, /* what yaml_parse() takes */
	NAME_BYTES = 128
};

static const struct origin {
	const char *name, *title;
	void (*convert)(struct from *f);
	void (*keys)(struct from *f);
	bool keys_come_first;
} origins[] = {
	{ "litellm", "LiteLLM", from_litellm, from_litellm_keys, false },
	{ "portkey", "Portkey", from_portkey, from_portkey_keys, true },
};

static const struct origin *
find_origin(const char *name)
{
	for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
		if (strcmp(origins[i].name, name) == 0)
			return &origins[i];
	}
	return NULL;
}

/* ---- one file ---- */

/* Rows of a table are often exported one object per line: a list of them, with the lines
 * kept. */
static void
join_rows(const struct buf *text, struct buf *out)
{
	lz_str rest = str_trim(buf_str(text));
	bool is_first = true;

	buf_add_char(out, '[');
	while (rest.len > 0) {
		ptrdiff_t end = str_find(rest, '\n');
		lz_str line = str_cut(rest, 0, end < 0 ? rest.len : (size_t)end);

		rest = str_cut(rest, line.len + 1, rest.len);
		if (str_trim(line).len > 0 && !is_first)
			buf_add_char(out, ',');
		is_first = is_first && str_trim(line).len == 0;
		buf_add_str(out, line);
		buf_add_char(out, '\n');
	}
	buf_add_char(out, ']');
}

static bool
are_rows(const struct buf *text)
{
	lz_str s = buf_str(text);
	ptrdiff_t end;

	while (s.len > 0 && strchr(" \t\r\n", s.ptr[0]) != NULL && s.ptr[0] != '\0')
		s = str_cut(s, 1, s.len);
	if (!str_starts(s, "{") || (end = str_find(s, '\n')) < 0)
		return false;
	s = str_trim(str_cut(s, 0, (size_t)end));
	return str_ends(s, "}") || str_ends(s, "}\r");
}

/* The tree, with f set to say where things are. owned; NULL: printed. */
static json_t *
read_tree(struct from *f, const char *path, struct yaml_source **source)
{
	struct err e = { "" };
	struct buf text, rows;
	json_t *tree = NULL;

	buf_init(&text, SOURCE_BYTES);
	buf_init(&rows, 2 * SOURCE_BYTES);
	if (input_file(path, &text, &e) == ST_OK) {
		tree = yaml_parse(buf_str(&text), path, source, &e);
		if (tree == NULL && are_rows(&text)) {
			struct err second = { "" };

			join_rows(&text, &rows);
			tree = yaml_parse(buf_str(&rows), path, source, &second);
		}
	}
	buf_free(&text);
	buf_free(&rows);
	if (tree == NULL)
		out_error("%s", e.text);
	f->path = path;
	f->root = tree;
	f->source = *source;
	return tree;
}

static bool
convert_file(struct from *f, const char *path, void (*convert)(struct from *f))
{
	struct yaml_source *source = NULL;
	json_t *tree = read_tree(f, path, &source);

	if (tree != NULL)
		convert(f);
	yaml_source_free(source);
	json_decref(tree);
	f->root = NULL;
	f->source = NULL;
	return tree != NULL;
}

/* ---- plugins to open ---- */

static void
add_plugin(void *arg, const char *path, const char *problem)
{
	const char *slash = strrchr(path, '/');
	char name[NAME_BYTES];
	char *dot;

	(void)snprintf(name, sizeof(name), "%s", slash != NULL ? slash + 1 : path);
	dot = strrchr(name, '.');
	if (dot != NULL)
		*dot = '\0';
	if (problem == NULL && strcmp(name, "balanced") != 0)
		(void)json_object_set_new(arg, name, json_true());
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *
plugins_but_balanced(void)
{
	json_t *found = json_object(), *list = json_array(), *value;
	const char **names, *name;
	size_t n = 0;

	registry_each_file(add_plugin, found);
	names = calloc(json_object_size(found) + 1, sizeof(*names));
	json_object_foreach(found, name, value)
	{
		if (names != NULL)
			names[n++] = name;
	}
	if (n > 0)
		qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, json_string(names[i]));
	free(names);
	json_decref(found);
	return list;
}

static double
weight_at(const json_t *to, size_t i)
{
	const json_t *weight = json_object_get(json_array_get(to, i), "weight");

	return weight != NULL ? json_number_value(weight) : 1;
}

/* Deployments of one name with one weight: a router would choose among them. */
static bool
has_equal_shares(const json_t *models)
{
	const char *name;
	json_t *model;

	json_object_foreach((json_t *)(uintptr_t)models, name, model)
	{
		const json_t *to = json_object_get(model, "to");
		bool differ = json_array_size(to) < 2;

		for (size_t i = 1; i < json_array_size(to); i++) {
			double by = weight_at(to, i) - weight_at(to, 0);

			differ = differ || by > 0 || by < 0;
		}
		if (!differ)
			return true;
	}
	return false;
}

/* ---- telling ---- */

static void
tell(const char *what, const json_t *list)
{
	char line[2000];
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) fprintf(stderr, "%s%s\n", what,
	    out_safe(json_string_value(one), sizeof(line) - 1, line, sizeof(line)));
}

void
from_tell(const struct from *f)
{
	size_t n = json_array_size(f->said[FROM_NO_TWIN]);

	tell("", f->said[FROM_NO_TWIN]);
	tell("note: ", f->said[FROM_REMARK]);
	if (n > 0)
		fprintf(stderr,
		    "%zu of %s's settings %s no twin here; they are listed above, and in "
		    "the file.\n",
		    n, f->origin, n == 1 ? "has" : "have");
}

static int
conclude(struct from *f)
{
	if (json_array_size(f->said[FROM_ERROR]) > 0) {
		tell("", f->said[FROM_ERROR]);
		return CLI_FAILED;
	}
	if (json_object_size(f->providers) == 0) {
		from_tell(f);
		out_error("%s: nothing in it can be served by a plugin of ours; nothing "
			  "was written",
		    f->path);
		return CLI_FAILED;
	}
	if (f->has_shares && has_equal_shares(f->models))
		f->plugins = plugins_but_balanced();
	return CLI_DONE;
}

/* ---- the doors ---- */

static void
begin(struct from *f, const struct origin *o)
{
	*f = (struct from){ .origin = o->title,
		.providers = json_object(),
		.models = json_object(),
		.guardrails = json_object(),
		.guarded = json_object(),
		.organizations = json_object(),
		.keys = json_object(),
		.routing = json_object(),
		.limits = json_object(),
		.log = json_object(),
		.retention = json_object(),
		.variables = json_object(),
		.literals = json_object(),
		.reserved = json_object() };
	for (size_t i = 0; i < FROM_KINDS; i++)
		f->said[i] = json_array();
}

int
from_read(const struct cli *c, struct from *f)
{
	const char *name = cli_text(c, "from"), *keys = cli_text(c, "keys");
	const struct origin *o = find_origin(name);
	bool is_read = true;

	*f = (struct from){ .origin = name };
	if (o == NULL) {
		out_error(
		    "--from: \"%s\" is not a gateway that can be converted; it must "
		    "be litellm or portkey",
		    name);
		return CLI_USAGE;
	}
	if (c->operand_count == 0) {
		out_error("--from %s: FILE is missing: latenza init --from %s FILE [DIR]",
		    name, name);
		return CLI_USAGE;
	}
	begin(f, o);
	if (keys != NULL && o->keys_come_first)
		is_read = convert_file(f, keys, o->keys);
	if (is_read)
		is_read = convert_file(f, c->operand[0], o->convert);
	if (is_read && keys != NULL && !o->keys_come_first)
		is_read = convert_file(f, keys, o->keys);
	return is_read ? conclude(f) : CLI_FAILED;
}

void
from_free(struct from *f)
{
	for (size_t i = 0; i < FROM_KINDS; i++)
		json_decref(f->said[i]);
	json_decref(f->providers);
	json_decref(f->models);
	json_decref(f->guardrails);
	json_decref(f->guarded);
	json_decref(f->organizations);
	json_decref(f->keys);
	json_decref(f->routing);
	json_decref(f->limits);
	json_decref(f->log);
	json_decref(f->retention);
	json_decref(f->variables);
	json_decref(f->literals);
	json_decref(f->reserved);
	json_decref(f->plugins);
	json_decref(f->access);
	*f = (struct from){ 0 };
}
