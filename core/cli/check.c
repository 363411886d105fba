/* check.c - `latenza check`: every error of the configuration at once, and its warnings.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "admin/commands.h"
#include "cli/backend.h"
#include "cli/guardrail.h"
#include "cli/out.h"
#include "cli/serve.h"

enum {
	ERRORS_BYTES = 1 << 20
};

static json_t *
lines_of(lz_str text)
{
	json_t *list = json_array();

	while (text.len > 0) {
		ptrdiff_t end = str_find(text, '\n');
		size_t n = end < 0 ? text.len : (size_t)end;

		if (n > 0)
			json_array_append_new(list, json_stringn(text.ptr, n));
		text = str_cut(text, n + 1, text.len);
	}
	return list;
}

static json_t *
warnings_of(const struct config *c)
{
	json_t *list = json_array();

	for (size_t i = 0; c != NULL && i < c->warning_count; i++)
		json_array_append_new(list, json_string(c->warning[i]));
	return list;
}

/* ---- guardrails ---- */

static bool
is_named(const json_t *row, const char *place)
{
	return json_array_size(json_object_get(row, place)) > 0;
}

static bool
says(const json_t *object, const char *member, const char *text)
{
	return strcmp(out_text(object, member), text) == 0;
}

/* own: its options as used. */
static void
warn_of(const char *path, const json_t *row, const json_t *own, json_t *warnings)
{
	const char *name = out_text(row, "guardrail");

	if (!json_is_true(json_object_get(row, "default_on")) &&
	    !is_named(row, "organizations") && !is_named(row, "assistants") &&
	    !is_named(row, "keys"))
		(void)json_array_append_new(warnings,
		    json_sprintf(
			"%s: guardrails.%s: nobody in this file names it, and it is not "
			"default_on; it holds for those alone that are made by command "
			"and name it",
			path, name));
	if (says(row, "mode", "monitor") && is_named(row, "organizations"))
		(void)json_array_append_new(warnings,
		    json_sprintf(
			"%s: guardrails.%s: mode: monitor, and organization %s names it; "
			"its verdicts are recorded, and nothing comes of them",
			path, name,
			json_string_value(
			    json_array_get(json_object_get(row, "organizations"), 0))));
	if (says(row, "on_error", "open") && says(row, "mode", "enforce") &&
	    says(own, "action", "block"))
		(void)json_array_append_new(warnings,
		    json_sprintf(
			"%s: guardrails.%s: on_error: open, and action: block; what it "
			"should stop passes whenever it fails or takes too long",
			path, name));
}

static void
warn_of_guardrails(
    const char *path, const struct config *c, const json_t *list, json_t *warnings)
{
	/* A file that is refused has none. */
	json_t *shown = c != NULL && json_array_size(list) > 0 ? config_shown(c) : NULL;
	const json_t *row;
	size_t i;

	json_array_foreach(list, i, row) warn_of(path, row,
	    json_object_get(
		json_object_get(shown, "guardrails"), out_text(row, "guardrail")),
	    warnings);
	json_decref(shown);
}

static const char *
stream_words(const json_t *row)
{
	if (says(row, "stream", "pieces"))
		return "piece by piece";
	return says(row, "stream", "hold") ? "held back until it was checked"
					   : "checked when they are out";
}

static void
print_guardrail(const json_t *row)
{
	bool has_answers = json_is_string(json_object_get(row, "stream"));
	const json_t *on = json_object_get(row, "on");
	struct buf holders;
	char ms[40];

	buf_init(&holders, 1 << 20);
	guardrail_holders(row, &holders);
	printf("guardrail %s: %s, on %s%s%s; when it fails or waits over %s: %s",
	    out_text(row, "guardrail"), out_text(row, "component"),
	    json_string_value(json_array_get(on, 0)),
	    json_array_size(on) > 1 ? " and " : "",
	    json_array_size(on) > 1 ? json_string_value(json_array_get(on, 1)) : "",
	    out_ms(out_real(row, "deadline_ms"), ms),
	    says(row, "on_error", "open") || says(row, "mode", "monitor") ? "goes on"
									  : "refuses");
	if (has_answers)
		printf("; streams: %s", stream_words(row));
	if (says(row, "mode", "monitor"))
		printf("; monitors only: nothing comes of what it says");
	printf("; for: %.*s\n", (int)holders.len, holders.ptr);
	buf_free(&holders);
}

/* ---- the report ---- */

static void
print_list(const json_t *list, enum out_style style, const char *what)
{
	const json_t *line;
	size_t i;

	json_array_foreach(list, i, line) fprintf(stderr, "%s%s%s%s\n", out_on(style),
	    what, out_on(OUT_PLAIN), json_string_value(line));
}

static void
print_report(
    const struct cli *c, const char *path, const struct config *config, json_t *report)
{
	const json_t *row;
	size_t i;

	if (c->wants_json) {
		out_json(report);
		return;
	}
	print_list(json_object_get(report, "errors"), OUT_RED, "");
	print_list(json_object_get(report, "warnings"), OUT_YELLOW, "warning: ");
	json_array_foreach(json_object_get(report, "guardrails"), i, row)
	    print_guardrail(row);
	if (config != NULL)
		printf("%s is right: %zu providers, %zu models, %zu keys.\n", path,
		    config->provider_count, config->target_count, config->key_count);
}

int
check_run(struct cli *c)
{
	const char *given = c->operand_count > 0 ? c->operand[0] : cli_text(c, "config");
	struct part_want plugins[SERVE_PLUGINS];
	struct config *config;
	json_t *report = json_object(), *warnings, *guardrails;
	char path[4096];
	struct buf errors;
	struct err e = { "" };
	int code = CLI_DONE;

	if (!config_find(given, path, sizeof(path))) {
		json_decref(report);
		out_error("there is no configuration at %s", path);
		return CLI_CONFIG;
	}
	buf_init(&errors, ERRORS_BYTES);
	config = config_load(&(struct config_options){ .path = path,
				 .plugins = plugins,
				 .plugin_count = serve_plugins(c, plugins),
				 .is_offline = cli_has(c, "offline") },
	    &errors, &e);
	if (config == NULL && errors.len == 0)
		buf_add_z(&errors, e.text);
	json_object_set_new(report, "file", json_string(path));
	json_object_set_new(report, "errors", lines_of(buf_str(&errors)));
	warnings = warnings_of(config);
	guardrails = command_file_guardrails(config);
	warn_of_guardrails(path, config, guardrails, warnings);
	json_object_set_new(report, "warnings", warnings);
	json_object_set_new(report, "guardrails", guardrails);
	print_report(c, path, config, report);
	if (config == NULL)
		code = CLI_CONFIG;
	else if (cli_has(c, "strict") &&
		 json_array_size(json_object_get(report, "warnings")) > 0)
		code = CLI_WARNED;
	if (config != NULL)
		config_unref(config);
	config_reap();
	buf_free(&errors);
	json_decref(report);
	return code;
}
