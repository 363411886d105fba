/* keyset.c - the settings of a virtual key, an assistant, an organisation: one table of
 * members, whoever wrote the object.
 *
 * The rows differ from option rows in one point: null and "unlimited" mean something.
 * Everything is checked before a key exists, so that the request path meets only settings
 * that can be true. How a member's value is read is keyset_values.c's and, of budgets,
 * keyset_budgets.c's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/keyset_read.h"

#include <stdio.h>

#include "base/json.h"
#include "config/yaml.h"

#define COUNT_SCHEMA                                                                     \
	"{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000000},{"      \
	"\"enum\":[\"unlimited\",null]}]}"
#define MONEY_SCHEMA                                                                     \
	"{\"anyOf\":[{\"type\":\"number\",\"minimum\":0,\"maximum\":1000000000},{"       \
	"\"enum\":[\"unlimited\",null]}]}"
#define ALERT_SCHEMA                                                                     \
	"{\"anyOf\":[{\"type\":\"integer\",\"minimum\":1,\"maximum\":100},{\"type\":"    \
	"\"null\"},{\"type\":\"array\","                                                 \
	"\"maxItems\":8,\"items\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100}}" \
	"]}"

#define PROFILE_SCHEMA                                                                   \
	"{\"type\":[\"string\",\"null\"],\"pattern\":\"^[a-z0-9-]{1,64}$\"}"

enum {
	OF_KEY = 1 << KEY_LEVEL_KEY,
	OF_ASSISTANT = 1 << KEY_LEVEL_ASSISTANT,
	OF_ORGANIZATION = 1 << KEY_LEVEL_ORGANIZATION,
	OF_ALL = OF_KEY | OF_ASSISTANT | OF_ORGANIZATION
};

/* budget_monthly_eur before budget_alert_pct: alerts need the budget they belong to. */
static const struct {
	const char *name;
	key_read_fn *read;
	const char *help;
	const char *schema; /* NULL: not in the schema */
	unsigned levels;    /* OF_*; the table's last column */
} members[] = {
	{ "name", key_read_name, "what people call it",
	    "{\"type\":[\"string\",\"null\"],\"maxLength\":200}", OF_ALL },
	{ "rate_limit", key_read_count, "requests per minute; 0 refuses all",
	    COUNT_SCHEMA, OF_ALL },
	{ "rate_burst", key_read_burst,
	    "requests at once after a quiet minute; default: rate_limit",
	    "{\"type\":[\"integer\",\"null\"],\"minimum\":1,\"maximum\":1000000000}",
	    OF_ALL },
	{ "max_in_flight", key_read_count, "requests at the same time; 0 refuses all",
	    COUNT_SCHEMA, OF_ALL },
	{ "max_output_tokens", key_read_count,
	    "tokens of one answer at most; 0 refuses all", COUNT_SCHEMA, OF_ALL },
	{ "tokens_per_minute", key_read_count,
	    "tokens of input and output per minute; 0 refuses all", COUNT_SCHEMA,
	    OF_ALL },
	{ "routing_strategy", key_read_strategy,
	    "a router's name; default: what the level above has, in the end "
	    "routing.default",
	    "{\"type\":[\"string\",\"null\"]}", OF_ALL },
	{ "model_allowlist", key_read_allowlist,
	    "model names that may be used, entries may end in *; [] allows nothing",
	    "{\"type\":[\"array\",\"null\"],\"maxItems\":1000,\"items\":{\"type\":"
	    "\"string\",\"minLength\":1}}",
	    OF_ALL },
	{ "budget_monthly_eur", key_read_monthly,
	    "euro per calendar month; 0 refuses all", MONEY_SCHEMA, OF_ALL },
	{ "budget_alert_pct", key_read_alerts,
	    "per cent of budget_monthly_eur at which to tell", ALERT_SCHEMA, OF_ALL },
	{ "budgets", key_read_budgets, "budgets of other periods",
	    "{\"type\":[\"array\",\"null\"],\"maxItems\":6,\"items\":{\"type\":"
	    "\"object\",\"properties\":{"
	    "\"period\":{\"enum\":[\"day\",\"week\",\"month\"]},\"eur\":{\"type\":"
	    "\"number\",\"minimum\":0},"
	    "\"alert_pct\":" ALERT_SCHEMA
	    "},\"required\":[\"period\",\"eur\"],\"additionalProperties\":false}}",
	    OF_ALL },
	{ "expires_at", key_read_expiry,
	    "a date (its midnight in UTC) or a date and time",
	    "{\"type\":[\"string\",\"null\"]}", OF_KEY },
	{ "metadata", key_read_metadata,
	    "flat map of texts that every trace of the key carries",
	    "{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"type\":"
	    "\"string\"}}",
	    OF_KEY },
	{ "log_content", key_read_log,
	    "what traces keep of prompts and answers; may only lower what the level "
	    "above keeps",
	    "{\"enum\":[\"full\",\"meta\",\"off\",null]}", OF_ALL },
	{ "allowed_ips", key_read_ips, "addresses and ranges that may use the key",
	    "{\"anyOf\":[{\"type\":[\"string\",\"null\"]},{\"type\":\"array\","
	    "\"maxItems\":64,\"items\":"
	    "{\"type\":\"string\"}}]}",
	    OF_KEY },
	{ "show_budget", key_read_show, "answers carry x-latenza-budget-remaining-eur",
	    "{\"type\":[\"boolean\",\"null\"]}", OF_KEY },
	{ "organization", key_read_owner,
	    "whose budgets and defaults it has; default: default", PROFILE_SCHEMA,
	    OF_KEY },
	{ "assistant", key_read_owner, "the organization's assistant that it serves",
	    PROFILE_SCHEMA, OF_KEY },
	{ "default_model", key_read_model, "the model of requests that name none",
	    "{\"type\":[\"string\",\"null\"],\"minLength\":1}", OF_ASSISTANT },
	{ "guardrails", key_read_guardrails,
	    "names of guardrails that hold here, beside those of the levels above",
	    "{\"type\":[\"array\",\"null\"],\"maxItems\":32,\"items\":{\"type\":"
	    "\"string\",\"pattern\":\"^[a-z0-9-]{1,64}$\"}}",
	    OF_ALL },
};

enum {
	MEMBERS = sizeof(members) / sizeof(members[0])
};

/* ---- telling ---- */

bool
key_wrong(struct key_reading *r, const char *name, const char *fmt, ...)
{
	struct err said;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(said.text, sizeof(said.text), fmt, args);
	va_end(args);
	options_say(r->c, OPTIONS_ERROR, r->object, name, &said);
	if (r->worst == ST_OK && r->e != NULL)
		*r->e = said;
	r->worst = ST_INVALID;
	return false;
}

bool
key_nomem(struct key_reading *r)
{
	(void)key_wrong(r, NULL, "out of memory");
	r->worst = ST_NOMEM;
	return false;
}

void
key_warn(struct key_reading *r, const char *name, const char *text)
{
	struct err said;

	(void)err_fail(&said, ST_OK, "%s", text);
	options_say(r->c, OPTIONS_WARNING, r->object, name, &said);
}

/* ---- the object ---- */

static const char *const level_names[] = {
	[KEY_LEVEL_KEY] = "a key",
	[KEY_LEVEL_ASSISTANT] = "an assistant",
	[KEY_LEVEL_ORGANIZATION] = "an organization",
};

static bool
has_level(const struct key_reading *r, size_t member)
{
	return (members[member].levels & 1u << r->level) != 0;
}

static void
check_known(struct key_reading *r, const char *name)
{
	const char *names[MEMBERS + 1] = { NULL };
	const char *near, *whose = NULL;
	size_t n = 0;

	for (size_t i = 0; i < MEMBERS; i++) {
		if (has_level(r, i))
			names[n++] = members[i].name;
		if (strcmp(members[i].name, name) != 0)
			continue;
		if (has_level(r, i))
			return;
		whose =
		    level_names[members[i].levels == OF_ASSISTANT ? KEY_LEVEL_ASSISTANT
								  : KEY_LEVEL_KEY];
	}
	if (options_is_ignored(r->c, name))
		return;
	if (whose != NULL) {
		(void)key_wrong(r, name, "is a setting of %s, not of %s", whose,
		    level_names[r->level]);
		return;
	}
	near = options_nearest(lz_strz(name), names);
	if (near == NULL)
		near = options_nearest(lz_strz(name), r->c->ignore);
	if (near != NULL)
		(void)key_wrong(r, name, "is not known; did you mean \"%s\"?", near);
	else
		(void)key_wrong(r, name, "is not a setting of %s", level_names[r->level]);
}

static bool
goes_on(const struct key_reading *r)
{
	return r->worst == ST_OK || (r->c->report != NULL && r->worst != ST_NOMEM);
}

enum status
profile_settings_read(enum key_level level, const json_t *object,
    const struct options_context *c, struct key_settings *out, struct err *e)
{
	struct key_reading r = { level, c, object, out, e, ST_OK };
	const char *name;
	json_t *value;

	memset(out, 0, sizeof(*out));
	out->rate_limit = out->rate_burst = out->max_in_flight = -1;
	out->max_output_tokens = out->tokens_per_minute = -1;
	if (!json_is_object(object)) {
		(void)key_wrong(&r, NULL, "%s is written as a map of its settings",
		    level_names[level]);
		return r.worst;
	}
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		if (goes_on(&r))
			check_known(&r, name);
	}
	for (size_t i = 0; i < MEMBERS && goes_on(&r); i++) {
		value = json_object_get(object, members[i].name);
		if (value != NULL && !json_is_null(value) && has_level(&r, i))
			(void)members[i].read(&r, members[i].name, value);
	}
	return r.worst;
}

enum status
key_settings_read(const json_t *object, const struct options_context *c,
    struct key_settings *out, struct err *e)
{
	return profile_settings_read(KEY_LEVEL_KEY, object, c, out, e);
}

enum status
key_settings_parse(const json_t *object, const char *where, const char *const *ignore,
    struct arena *memory, struct yaml_source *source, struct key_settings *out,
    struct err *e)
{
	struct options_context c = {
		.memory = memory, .where = where, .ignore = ignore, .source = source
	};

	return key_settings_read(object, &c, out, e);
}

enum status
profile_settings_parse(enum key_level level, const json_t *object, const char *where,
    struct arena *memory, struct key_settings *out, struct err *e)
{
	struct options_context c = { .memory = memory, .where = where };

	return profile_settings_read(level, object, &c, out, e);
}

json_t *
key_settings_schema(enum key_level level)
{
	json_t *properties = json_object();

	for (size_t i = 0; i < MEMBERS; i++) {
		json_t *s;

		if (members[i].schema == NULL || (members[i].levels & 1u << level) == 0)
			continue;
		s = json_parse(lz_strz(members[i].schema), NULL);
		(void)json_object_set_new(s, "description", json_string(members[i].help));
		(void)json_object_set_new(properties, members[i].name, s);
	}
	return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties,
	    "additionalProperties", 0);
}
