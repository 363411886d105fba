/* commands.c - the table of commands, and the check of their arguments that needs no
 * row's help.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/rows.h"

#include "base/clock.h"
#include "base/json.h"

/* A member's name, its type (JSON_TRUE: either boolean), whether it must be there. */
static const struct command_arg no_args[] = { { NULL, JSON_NULL, false } };
static const struct command_arg id_args[] = {
	{ "id", JSON_STRING, true },
	{ NULL, JSON_NULL, false },
};
static const struct command_arg create_args[] = {
	{ "id", JSON_STRING, false }, /* absent: made from the name */
	{ "settings", JSON_OBJECT, true },
	{ "test", JSON_TRUE, false },
	{ NULL, JSON_NULL, false },
};
static const struct command_arg profile_args[] = {
	{ "id", JSON_STRING, true },
	{ "settings", JSON_OBJECT, true }, /* of `set`: those that change; null: none */
	{ NULL, JSON_NULL, false },
};
static const struct command_arg budget_args[] = {
	{ "scope", JSON_STRING, false }, /* what it begins with: "org:acme" */
	{ NULL, JSON_NULL, false },
};
static const struct command_arg import_args[] = {
	{ "id", JSON_STRING, false },
	{ "settings", JSON_OBJECT, true },
	{ "test", JSON_TRUE, false },
	{ "sha256", JSON_STRING, true }, /* of the secret, in hex */
	{ NULL, JSON_NULL, false },
};
static const struct command_arg roll_args[] = {
	{ "id", JSON_STRING, true },
	{ "keep_old_ms", JSON_INTEGER, false }, /* how long the old secret works on; 0 */
	{ NULL, JSON_NULL, false },
};
static const struct command_arg disable_args[] = {
	{ "id", JSON_STRING, true },
	{ "disabled", JSON_TRUE, false }, /* true */
	{ NULL, JSON_NULL, false },
};
static const struct command_arg trace_args[] = {
	{ "key", JSON_STRING, false },
	{ "organization", JSON_STRING, false },
	{ "assistant", JSON_STRING, false }, /* "support", "acme/support" */
	{ "model", JSON_STRING, false },
	{ "provider", JSON_STRING, false },
	{ "user", JSON_STRING, false },
	{ "session", JSON_STRING, false },
	{ "code", JSON_STRING, false },
	{ "metadata", JSON_STRING, false }, /* "name=value" */
	{ "guardrail", JSON_STRING, false },
	{ "verdict", JSON_STRING, false }, /* "block"; with guardrail: that one's */
	{ "since_unix_ms", JSON_INTEGER, false },
	{ "until_unix_ms", JSON_INTEGER, false },
	{ "after", JSON_INTEGER, false }, /* the last row already seen */
	{ "limit", JSON_INTEGER, false },
	{ "oldest_first", JSON_TRUE, false },
	{ "errors", JSON_TRUE, false },
	{ NULL, JSON_NULL, false },
};
static const struct command_arg user_args[] = {
	{ "user", JSON_STRING, true },
	{ NULL, JSON_NULL, false },
};
static const struct command_arg explain_args[] = { { "key", JSON_STRING, true },
	{ "body", JSON_OBJECT, true }, { "strategy", JSON_STRING, false },
	{ NULL, JSON_NULL, false } };
static const struct command_arg guard_test_args[] = {
	{ "names", JSON_ARRAY, false }, /* of strings; absent: all that hold */
	{ "key", JSON_STRING, false },
	{ "body", JSON_OBJECT, false }, /* or: */
	{ "text", JSON_STRING, false },
	{ "phase", JSON_STRING, false },         /* "request", "response" */
	{ "stream_every", JSON_INTEGER, false }, /* bytes */
	{ NULL, JSON_NULL, false },
};
static const struct command_arg model_args[] = {
	{ "model", JSON_STRING, true },
	{ NULL, JSON_NULL, false },
};
static const struct command_arg cost_args[] = {
	{ "model", JSON_STRING, true },
	/* Absent: whoever serves the name. */
	{ "provider", JSON_STRING, false },
	{ "upstream_model", JSON_STRING, false }, /* absent: any */
	{ "tokens", JSON_OBJECT, true },          /* as a charge of a trace has them */
	{ NULL, JSON_NULL, false },
};
static const struct command_arg backup_args[] = {
	{ "to", JSON_STRING, true }, /* an absolute path: the gateway stands elsewhere */
	{ NULL, JSON_NULL, false },
};

/* name, needs the database, changes something, arguments, what runs, what adds live
 * figures, what is checked without the database; what a running gateway starts instead */
static const struct command rows[] = {
	{ "key.create", true, true, create_args, key_create, NULL, key_check, NULL },
	{ "key.import", true, true, import_args, key_import, NULL, key_check_import,
	    NULL },
	{ "key.list", true, false, no_args, key_list, NULL, NULL, NULL },
	{ "key.show", true, false, id_args, key_show, key_add_live, NULL, NULL },
	{ "key.roll", true, true, roll_args, key_roll, NULL, NULL, NULL },
	{ "key.disable", true, true, disable_args, key_disable, NULL, NULL, NULL },
	{ "key.rm", true, true, id_args, key_remove, NULL, NULL, NULL },
	{ "org.create", true, true, profile_args, profile_create, NULL, profile_precheck,
	    NULL },
	{ "org.set", true, true, profile_args, profile_set, NULL, profile_precheck,
	    NULL },
	{ "org.list", true, false, no_args, profile_list, NULL, NULL, NULL },
	{ "org.show", true, false, id_args, profile_show, NULL, NULL, NULL },
	{ "org.disable", true, true, disable_args, profile_disable, NULL, NULL, NULL },
	{ "org.rm", true, true, id_args, profile_remove, NULL, NULL, NULL },
	{ "assistant.create", true, true, profile_args, profile_create, NULL,
	    profile_precheck, NULL },
	{ "assistant.set", true, true, profile_args, profile_set, NULL, profile_precheck,
	    NULL },
	{ "assistant.list", true, false, no_args, profile_list, NULL, NULL, NULL },
	{ "assistant.show", true, false, id_args, profile_show, NULL, NULL, NULL },
	{ "assistant.disable", true, true, disable_args, profile_disable, NULL, NULL,
	    NULL },
	{ "assistant.rm", true, true, id_args, profile_remove, NULL, NULL, NULL },
	{ "budget.list", true, false, budget_args, budget_list, budget_add_live, NULL,
	    NULL },
	{ "traces.list", true, false, trace_args, trace_list, NULL, NULL, NULL },
	{ "traces.show", true, false, id_args, trace_show, NULL, NULL, NULL },
	{ "traces.erase", true, true, user_args, trace_erase, NULL, NULL, NULL },
	{ "model.list", false, false, no_args, model_list, NULL, NULL, NULL },
	{ "model.show", false, false, model_args, model_show, NULL, NULL, NULL },
	{ "model.cost", false, false, cost_args, model_cost, NULL, NULL, NULL },
	{ "route.explain", false, false, explain_args, gateway_wanted, NULL, NULL,
	    route_explain },
	{ "guardrail.list", COMMAND_DB_IF_THERE, false, no_args, guardrail_list, NULL,
	    NULL, NULL },
	{ "guardrail.test", false, false, guard_test_args, gateway_wanted, NULL,
	    guardrail_check_test, guardrail_test },
	{ "provider.list", false, false, no_args, provider_list, provider_add_live, NULL,
	    NULL },
	{ "config.show", false, false, no_args, config_show_used, NULL, NULL, NULL },
	{ "config.diff", false, false, no_args, config_changes, NULL, NULL, NULL },
	{ "reload", false, true, no_args, care_reload, NULL, NULL, NULL },
	{ "status", false, false, no_args, care_status, NULL, NULL, NULL },
	{ "db.backup", true, true, backup_args, care_backup, NULL, NULL, NULL },
	{ "db.check", true, false, no_args, care_check, NULL, NULL, NULL },
};

const struct command *
command_find(lz_str name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (str_is(name, rows[i].name))
			return &rows[i];
	return NULL;
}

static bool
has_type(const json_t *value, json_type type)
{
	return type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == type;
}

/* Rows hand strings to whoever reads them up to their NUL. */
static bool
holds_nul(const json_t *value)
{
	return json_is_string(value) &&
	       strlen(json_string_value(value)) != json_string_length(value);
}

static const char *
type_name(json_type type)
{
	switch (type) {
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	default:
		return "true or false";
	}
}

static const struct command_arg *
arg_find(const struct command *row, const char *name)
{
	for (const struct command_arg *a = row->args; a->name != NULL; a++)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

enum status
command_check(const struct command *row, const json_t *args, struct err *e)
{
	const char *name;
	json_t *value;

	if (!json_is_object(args))
		return err_fail(
		    e, ST_INVALID, "%s: the arguments must be an object", row->name);
	json_object_foreach((json_t *)args, name, value)
	{
		const struct command_arg *a = arg_find(row, name);

		if (a == NULL)
			return err_fail(e, ST_INVALID,
			    "%s: there is no argument \"%.60s\"", row->name, name);
		if (!has_type(value, a->type))
			return err_fail(e, ST_INVALID, "%s: argument \"%s\" must be %s",
			    row->name, name, type_name(a->type));
		if (holds_nul(value))
			return err_fail(e, ST_INVALID, "%s: argument \"%s\" holds a NUL",
			    row->name, name);
	}
	for (const struct command_arg *a = row->args; a->name != NULL; a++)
		if (a->is_required && json_object_get(args, a->name) == NULL)
			return err_fail(e, ST_INVALID, "%s: argument \"%s\" is missing",
			    row->name, a->name);
	return ST_OK;
}

enum status
command_precheck(struct command_context *c, const struct command *row, const json_t *args,
    struct err *e)
{
	enum status st = command_check(row, args, e);

	c->row = row;
	return st == ST_OK && row->precheck != NULL ? row->precheck(c, args, e) : st;
}

enum status
command_run(struct command_context *c, const struct command *row, const json_t *args,
    json_t **result, struct err *e)
{
	enum status st = command_check(row, args, e);

	*result = json_object();
	if (*result == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory", row->name);
	c->changed_key[0] = c->changed_profile[0] = '\0';
	c->is_done = false;
	c->row = row;
	if (st != ST_OK)
		return st;
	must(row->needs_db != COMMAND_DB_NEEDED || c->db != NULL);
	(void)json_ran_dry();
	st = row->run(c, args, *result, e);
	c->is_done = st == ST_OK;
	if (st == ST_OK && json_ran_dry())
		return err_fail(
		    e, ST_NOMEM, "%s: done, but out of memory for the answer", row->name);
	return st;
}

void
row_set_str(json_t *object, const char *member, lz_str text)
{
	json_t *value;

	if (text.ptr == NULL)
		value = json_null();
	else if (str_is_utf8(text))
		value = json_stringn_nocheck(text.ptr, text.len);
	else
		value = json_string("\xef\xbf\xbd");
	json_object_set_new(object, member, value);
}

void
row_set_time(json_t *object, const char *member, int64_t unix_ms)
{
	char text[25];

	clock_format(unix_ms, text);
	json_object_set_new(object, member, json_string(text));
}

void
row_set_nano(json_t *object, const char *member, int64_t nano_eur)
{
	json_object_set_new(
	    object, member, nano_eur < 0 ? json_null() : json_integer(nano_eur));
}
