/* plugin.c - `latenza plugin ...`: what is installed, what it offers, whether a file is
 * sound.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/backend.h"
#include "cli/out.h"

#include <string.h>

#include "base/mem.h"
#include "config/options.h"
#include "plugin/registry.h"
#include "trial/trial.h"

/* ---- list ---- */

static void
list_file(void *arg, const char *path, const char *problem)
{
	json_t *one = json_object();

	json_object_set_new(one, "file", json_string(path));
	json_object_set_new(
	    one, "problem", problem == NULL ? json_null() : json_string(problem));
	json_array_append_new(arg, one);
}

static json_t *
component_shown(const struct part_info *p)
{
	json_t *out = json_object();

	json_object_set_new(out, "kind", json_string(p->kind));
	json_object_set_new(out, "name", json_string(p->name));
	json_object_set_new(
	    out, "summary", json_string(p->summary == NULL ? "" : p->summary));
	json_object_set_new(out, "plugin", json_string(p->plugin));
	json_object_set_new(out, "version", json_string(p->version));
	json_object_set_new(
	    out, "license", json_string(p->license == NULL ? "" : p->license));
	json_object_set_new(out, "file", json_string(p->file));
	json_object_set_new(out, "usable", json_boolean(p->has_host));
	return out;
}

static json_t *
components(void)
{
	json_t *list = json_array();
	const struct part_info *p;

	for (size_t i = 0; (p = part_get_ops()->at(i)) != NULL; i++)
		json_array_append_new(list, component_shown(p));
	return list;
}

static void
print_components(const json_t *list)
{
	static const char *const titles[] = { "KIND", "NAME", "PLUGIN", "VERSION",
		"WHAT IT DOES", NULL };
	const json_t *one;
	struct out_table t;
	size_t i;

	out_table(&t, titles);
	json_array_foreach(list, i, one)
	{
		out_cell(&t, "%s", out_text(one, "kind"));
		out_cell(&t, "%s", out_text(one, "name"));
		out_cell(&t, "%s", out_text(one, "plugin"));
		out_cell(&t, "%s", out_text(one, "version"));
		out_cell(&t, "%s%s", out_text(one, "summary"),
		    json_is_true(json_object_get(one, "usable"))
			? ""
			: " (no host in this build)");
	}
	out_print(&t);
}

int
plugin_list_run(struct cli *c)
{
	json_t *files = json_array(), *result = json_object();
	const json_t *file;
	struct err e = { "" };
	size_t i;

	registry_each_file(list_file, files);
	/* What cannot be opened stands in the list of files, with its reason. */
	(void)!part_get_ops()->open(NULL, 0, false, &e);
	json_object_set_new(result, "files", files);
	json_object_set_new(result, "components", components());
	if (c->wants_json) {
		out_json(result);
	} else {
		print_components(json_object_get(result, "components"));
		json_array_foreach(
		    files, i, file) if (!json_is_null(json_object_get(file, "problem")))
		    fprintf(stderr, "latenza: %s: %s\n", out_text(file, "file"),
			out_text(file, "problem"));
	}
	json_decref(result);
	return CLI_DONE;
}

/* ---- info ---- */

static const char *
type_name(const json_t *schema)
{
	const json_t *type = json_object_get(schema, "type");

	if (json_object_get(schema, "anyOf") != NULL)
		return "list";
	if (json_is_array(type))
		return strstr(out_text(schema, "pattern"), "KiB") != NULL ? "size"
									  : "duration";
	if (json_object_get(schema, "enum") != NULL)
		return "choice";
	return json_is_string(type) ? json_string_value(type) : "any";
}

/* What may be said: choices, of a list's items too, or the range of a number; 1e15 is
 * said by who wants none. */
static void
print_range(const json_t *schema)
{
	const json_t *least = json_object_get(schema, "minimum"),
		     *most = json_object_get(schema, "maximum");
	const json_t *list = json_object_get(schema, "enum"), *one;
	const char *before = "; one of ";
	size_t i;

	if (list == NULL) {
		before = "; any of ";
		list = json_object_get(
		    json_object_get(
			json_array_get(json_object_get(schema, "anyOf"), 0), "items"),
		    "enum");
	}
	json_array_foreach(list, i, one)
	    printf("%s%s", i == 0 ? before : ", ", json_string_value(one));
	if (least != NULL && most != NULL && json_number_value(most) < 1e15)
		printf("; %.15g to %.15g", json_number_value(least),
		    json_number_value(most));
}

static void
print_option(const char *name, const json_t *schema, bool is_required)
{
	const json_t *otherwise = json_object_get(schema, "default");
	char *text = otherwise == NULL ? NULL
				       : json_dumps(otherwise,
					     JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

	printf("    %-24s %-8s %s", name, type_name(schema),
	    out_text(schema, "description"));
	print_range(schema);
	printf("%s%s%s\n", is_required ? "; required" : "",
	    text == NULL ? "" : "; default ", text == NULL ? "" : text);
	mem_free(text);
}

static bool
is_listed(const json_t *list, const char *name)
{
	const json_t *one;
	size_t i;

	json_array_foreach(
	    list, i, one) if (strcmp(json_string_value(one), name) == 0) return true;
	return false;
}

static void
print_info(const struct part_info *p, json_t *schema)
{
	const char *name;
	json_t *value;

	printf("%s%s %s%s  %s\n", out_on(OUT_BOLD), p->kind, p->name, out_on(OUT_PLAIN),
	    p->summary == NULL ? "" : p->summary);
	printf("  plugin %s %s, %s\n", p->plugin, p->version,
	    p->license == NULL ? "" : p->license);
	printf("  file   %s\n", p->file);
	if (!p->has_host)
		printf("  this build has no host for the kind `%s` yet\n", p->kind);
	if (p->option_count > 0)
		printf("  options\n");
	json_object_foreach(json_object_get(schema, "properties"), name, value)
	    print_option(
		name, value, is_listed(json_object_get(schema, "required"), name));
}

/* Does the component come from what the operand names: a plugin, a component, or a file?
 */
static bool
is_named(const struct part_info *p, const char *what)
{
	const char *slash = strrchr(p->file, '/');

	return strcmp(p->plugin, what) == 0 || strcmp(p->name, what) == 0 ||
	       strcmp(p->file, what) == 0 ||
	       (strchr(what, '/') != NULL && slash != NULL &&
		   strcmp(slash, strrchr(what, '/')) == 0);
}

int
plugin_info_run(struct cli *c)
{
	const char *what = c->operand[0];
	json_t *list = json_array();
	const struct part_info *p;
	struct err e = { "" };
	unsigned shown = 0;

	if (registry_open(lz_strz(what), STR_NONE, false, true, &e) != ST_OK) {
		json_decref(list);
		return backend_fail(&e, CLI_FAILED);
	}
	for (size_t i = 0; (p = part_get_ops()->at(i)) != NULL; i++) {
		json_t *schema, *one;

		if (!is_named(p, what))
			continue;
		schema = options_schema(p->options, p->option_count, p->option_size);
		one = component_shown(p);
		json_object_set(one, "options", schema);
		json_array_append_new(list, one);
		if (!c->wants_json)
			print_info(p, schema);
		json_decref(schema);
		shown++;
	}
	if (c->wants_json)
		out_json(list);
	json_decref(list);
	if (shown == 0)
		fprintf(stderr, "latenza: %s: offers no component\n", what);
	return shown > 0 ? CLI_DONE : CLI_FAILED;
}

/* ---- check ---- */

struct check {
	const struct cli *c;
	json_t *lines;
	unsigned warnings;
};

static void
say(void *arg, enum child_mark mark, const char *what)
{
	struct check *check = arg;
	json_t *line = json_object();
	bool is_ok = mark == CHILD_PASSED, is_warning = mark == CHILD_WARNED;

	check->warnings += is_warning;
	if (!check->c->wants_json)
		printf("%s%s%s %s\n",
		    out_on(is_ok        ? OUT_GREEN
			   : is_warning ? OUT_YELLOW
					: OUT_RED),
		    is_ok        ? "ok  "
		    : is_warning ? "warn"
				 : "FAIL",
		    out_on(OUT_PLAIN), what);
	json_object_set_new(line, "ok", json_boolean(is_ok || is_warning));
	json_object_set_new(line, "warning", json_boolean(is_warning));
	json_object_set_new(line, "what", json_string(what));
	json_array_append_new(check->lines, line);
}

int
plugin_check_run(struct cli *c)
{
	struct check check = { c, json_array(), 0 };
	int failures = trial_check(c->operand[0], say, &check);

	if (c->wants_json)
		out_json(check.lines);
	json_decref(check.lines);
	if (failures != 0)
		return CLI_FAILED;
	return check.warnings > 0 ? CLI_WARNED : CLI_DONE;
}
