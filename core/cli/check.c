/* check.c - `latenza check`: every error of the configuration at once, and its warnings.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "cli/backend.h"
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
	if (c->wants_json) {
		out_json(report);
		return;
	}
	print_list(json_object_get(report, "errors"), OUT_RED, "");
	print_list(json_object_get(report, "warnings"), OUT_YELLOW, "warning: ");
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
	json_t *report = json_object();
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
	json_object_set_new(report, "warnings", warnings_of(config));
	print_report(c, path, config, report);
	if (config == NULL)
		code = CLI_CONFIG;
	else if (cli_has(c, "strict") && config->warning_count > 0)
		code = CLI_WARNED;
	if (config != NULL)
		config_unref(config);
	config_reap();
	buf_free(&errors);
	json_decref(report);
	return code;
}
