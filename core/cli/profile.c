/* profile.c - `latenza org ...` and `latenza assistant ...`: what keys inherit, and the
 * budgets that they share.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/backend.h"
#include "cli/out.h"
#include "cli/settings.h"

#include <string.h>

#include "base/json.h"

static const char *
state_of(const json_t *profile)
{
	return json_is_true(json_object_get(profile, "disabled")) ? "disabled" : "live";
}

/* Where the file says it, else "command". */
static const char *
source_of(const json_t *profile)
{
	const char *at = json_string_value(json_object_get(profile, "declared_at"));

	return at != NULL ? at : out_text(profile, "source");
}

static void
print(const json_t *profile)
{
	char line[40];

	printf("%s%s%s  %s\n", out_on(OUT_BOLD), out_text(profile, "id"),
	    out_on(OUT_PLAIN), state_of(profile));
	settings_line("name", out_text(profile, "name"));
	settings_line("from", source_of(profile));
	snprintf(line, sizeof(line), "%lld", (long long)json_get_int(profile, "keys", 0));
	settings_line("keys", line);
	settings_line("created", out_text(profile, "created_at"));
	settings_print(json_object_get(profile, "settings"));
	settings_print_budgets(profile);
}

enum {
	ROW_BYTES = 40
};

/* "org create" to "org.create" */
static const char *
row_of(const struct cli *c, char out[ROW_BYTES])
{
	snprintf(out, ROW_BYTES, "%s", c->command->name);
	*strchr(out, ' ') = '.';
	return out;
}

static int
ask_and_print(const struct cli *c, json_t *args)
{
	char row[ROW_BYTES];

	return backend_show(c, row_of(c, row), args, NULL, print);
}

int
profile_write_run(struct cli *c)
{
	json_t *settings = settings_read(c), *args;

	if (settings == NULL)
		return CLI_FAILED;
	args = backend_id(c);
	json_object_set_new(args, "settings", settings);
	return ask_and_print(c, args);
}

int
profile_show_run(struct cli *c)
{
	return ask_and_print(c, backend_id(c));
}

int
profile_disable_run(struct cli *c)
{
	json_t *args = backend_id(c);

	if (cli_has(c, "undo"))
		json_object_set_new(args, "disabled", json_false());
	return ask_and_print(c, args);
}

int
profile_list_run(struct cli *c)
{
	static const char *const titles[] = { "ID", "NAME", ">KEYS", "STATE", "BUDGET",
		"FROM", NULL };
	json_t *result = NULL, *list, *one;
	char row[ROW_BYTES];
	struct out_table t;
	size_t i;
	int code = backend_run(c, row_of(c, row), json_object(), &result);

	list = json_object_get(result, "organizations");
	if (list == NULL)
		list = json_object_get(result, "assistants");
	if (code == CLI_DONE && c->wants_json) {
		out_json(list);
	} else if (code == CLI_DONE) {
		out_table(&t, titles);
		json_array_foreach(list, i, one)
		{
			out_cell(&t, "%s", out_text(one, "id"));
			out_cell(&t, "%s", out_text(one, "name"));
			out_cell(&t, "%lld", (long long)json_get_int(one, "keys", 0));
			out_cell(&t, "%s", state_of(one));
			settings_budget_cell(&t, one);
			out_cell(&t, "%s", source_of(one));
		}
		out_print(&t);
	}
	json_decref(result);
	return code;
}

int
profile_rm_run(struct cli *c)
{
	json_t *result = NULL;
	char row[ROW_BYTES];
	int code = backend_run(c, row_of(c, row), backend_id(c), &result);

	if (code == CLI_DONE && c->wants_json)
		out_json(result);
	else if (code == CLI_DONE)
		printf("%s removed; its traces and what it spent stay.\n", c->operand[0]);
	json_decref(result);
	return code;
}
