/* settings.c - the settings of keys, organisations and assistants: read from options and
 * a file, and printed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/settings.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/backend.h"
#include "cli/out.h"

/* Options and the members that they set. */
static const struct {
	const char *option, *member;
} setting_of[] = {
	{ "name", "name" },
	{ "rate-limit", "rate_limit" },
	{ "rate-burst", "rate_burst" },
	{ "tokens-per-minute", "tokens_per_minute" },
	{ "max-in-flight", "max_in_flight" },
	{ "max-output-tokens", "max_output_tokens" },
	{ "budget-monthly-eur", "budget_monthly_eur" },
	{ "budget-alert-pct", "budget_alert_pct" },
	{ "model-allowlist", "model_allowlist" },
	{ "routing-strategy", "routing_strategy" },
	{ "guardrails", "guardrails" },
	{ "expires-at", "expires_at" },
	{ "allowed-ips", "allowed_ips" },
	{ "log-content", "log_content" },
	{ "metadata", "metadata" },
	{ "organization", "organization" },
	{ "assistant", "assistant" },
	{ "default-model", "default_model" },
};

static void
unset(const struct cli *c, json_t *settings)
{
	const json_t *list = json_object_get(c->options, "unset");

	for (size_t i = 0; i < json_array_size(list); i++)
		json_object_set_new(
		    settings, json_string_value(json_array_get(list, i)), json_null());
}

json_t *
settings_read(const struct cli *c)
{
	const char *path = cli_text(c, "file");
	json_t *settings = NULL;
	struct err e = { "" };
	struct buf text;

	buf_init(&text, SETTINGS_BYTES);
	if (path == NULL) {
		settings = json_object();
	} else if (input_file(path, &text, &e) == ST_OK) {
		settings = json_parse(buf_str(&text), &e);
		if (settings == NULL)
			err_prefix(&e, "%s", path);
		else if (!json_is_object(settings)) {
			(void)err_fail(&e, ST_INVALID,
			    "%s: must hold one object, the settings", path);
			json_decref(settings);
			settings = NULL;
		}
	}
	buf_free(&text);
	if (settings == NULL) {
		(void)backend_fail(&e, CLI_FAILED);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(setting_of) / sizeof(*setting_of); i++) {
		json_t *value = json_object_get(c->options, setting_of[i].option);

		if (value != NULL)
			json_object_set(settings, setting_of[i].member, value);
	}
	unset(c, settings);
	return settings;
}

/* ---- printed ---- */

void
settings_budget_cell(struct out_table *t, const json_t *object)
{
	const json_t *budget = json_array_get(json_object_get(object, "budgets"), 0);
	char spent[40], limit[40];

	if (budget == NULL)
		out_cell(t, "-");
	else
		out_cell(t, "%s of %s a %s",
		    out_money(out_nano(budget, "spent_nano_eur"), spent),
		    out_money(out_nano(budget, "limit_nano_eur"), limit),
		    out_text(budget, "period"));
}

void
settings_line(const char *name, const char *value)
{
	char safe[400];

	printf("  %s%-18s%s %s\n", out_on(OUT_DIM), name, out_on(OUT_PLAIN),
	    out_safe(value, 200, safe, sizeof(safe)));
}

void
settings_print_budgets(const json_t *object)
{
	const json_t *budget;
	size_t i;

	json_array_foreach(json_object_get(object, "budgets"), i, budget)
	{
		char spent[40], limit[40], line[200];

		snprintf(line, sizeof(line), "%s of %s, until %s",
		    out_money(out_nano(budget, "spent_nano_eur"), spent),
		    out_money(out_nano(budget, "limit_nano_eur"), limit),
		    out_text(budget, "resets_at"));
		settings_line(out_text(budget, "current"), line);
	}
}

void
settings_print(const json_t *settings)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)settings, name, value)
	{
		char *text =
		    json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);

		if (strcmp(name, "name") != 0)
			settings_line(
			    name, text != NULL ? text : json_string_value(value));
		mem_free(text);
	}
}
