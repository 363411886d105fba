/* keyset.c - the settings of a virtual key, an assistant, an organisation: one table of
 * members, whoever wrote the object.
 *
 * The rows differ from option rows in one point: null and "unlimited" mean something.
 * Everything is checked before a key exists, so that the request path meets only settings
 * that can be true.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/keyset.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "config/rules.h"
#include "config/yaml.h"

enum {
	COUNT_MAX = 1000000000,
	MODEL_BYTES = 200,
	STRATEGY_BYTES = 64,
	METADATA_NAME_BYTES = 64,
	METADATA_VALUE_BYTES = 512
};

struct reading {
	enum key_level level;
	const struct options_context *c;
	const json_t *object;
	struct key_settings *out;
	struct err *e;
	enum status worst;
};

typedef bool read_fn(struct reading *r, const char *name, const json_t *value);

static read_fn read_name, read_count, read_burst, read_strategy, read_allowlist,
    read_monthly, read_alerts, read_budgets, read_expiry, read_metadata, read_log,
    read_ips, read_show, read_guardrails, read_owner, read_model;

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
	read_fn *read;
	const char *help;
	const char *schema; /* NULL: not in the schema */
	unsigned levels;    /* OF_*; the table's last column */
} members[] = {
	{ "name", read_name, "what people call it",
	    "{\"type\":[\"string\",\"null\"],\"maxLength\":200}", OF_ALL },
	{ "rate_limit", read_count, "requests per minute; 0 refuses all", COUNT_SCHEMA,
	    OF_ALL },
	{ "rate_burst", read_burst,
	    "requests at once after a quiet minute; default: rate_limit",
	    "{\"type\":[\"integer\",\"null\"],\"minimum\":1,\"maximum\":1000000000}",
	    OF_ALL },
	{ "max_in_flight", read_count, "requests at the same time; 0 refuses all",
	    COUNT_SCHEMA, OF_ALL },
	{ "max_output_tokens", read_count, "tokens of one answer at most; 0 refuses all",
	    COUNT_SCHEMA, OF_ALL },
	{ "tokens_per_minute", read_count,
	    "tokens of input and output per minute; 0 refuses all", COUNT_SCHEMA,
	    OF_ALL },
	{ "routing_strategy", read_strategy,
	    "a router's name; default: what the level above has, in the end "
	    "routing.default",
	    "{\"type\":[\"string\",\"null\"]}", OF_ALL },
	{ "model_allowlist", read_allowlist,
	    "model names that may be used, entries may end in *; [] allows nothing",
	    "{\"type\":[\"array\",\"null\"],\"maxItems\":1000,\"items\":{\"type\":"
	    "\"string\",\"minLength\":1}}",
	    OF_ALL },
	{ "budget_monthly_eur", read_monthly, "euro per calendar month; 0 refuses all",
	    MONEY_SCHEMA, OF_ALL },
	{ "budget_alert_pct", read_alerts,
	    "per cent of budget_monthly_eur at which to tell", ALERT_SCHEMA, OF_ALL },
	{ "budgets", read_budgets, "budgets of other periods",
	    "{\"type\":[\"array\",\"null\"],\"maxItems\":6,\"items\":{\"type\":"
	    "\"object\",\"properties\":{"
	    "\"period\":{\"enum\":[\"day\",\"week\",\"month\"]},\"eur\":{\"type\":"
	    "\"number\",\"minimum\":0},"
	    "\"alert_pct\":" ALERT_SCHEMA
	    "},\"required\":[\"period\",\"eur\"],\"additionalProperties\":false}}",
	    OF_ALL },
	{ "expires_at", read_expiry, "a date (its midnight in UTC) or a date and time",
	    "{\"type\":[\"string\",\"null\"]}", OF_KEY },
	{ "metadata", read_metadata,
	    "flat map of texts that every trace of the key carries",
	    "{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"type\":"
	    "\"string\"}}",
	    OF_KEY },
	{ "log_content", read_log,
	    "what traces keep of prompts and answers; may only lower what the level "
	    "above keeps",
	    "{\"enum\":[\"full\",\"meta\",\"off\",null]}", OF_ALL },
	{ "allowed_ips", read_ips, "addresses and ranges that may use the key",
	    "{\"anyOf\":[{\"type\":[\"string\",\"null\"]},{\"type\":\"array\","
	    "\"maxItems\":64,\"items\":"
	    "{\"type\":\"string\"}}]}",
	    OF_KEY },
	{ "show_budget", read_show, "answers carry x-latenza-budget-remaining-eur",
	    "{\"type\":[\"boolean\",\"null\"]}", OF_KEY },
	{ "organization", read_owner,
	    "whose budgets and defaults it has; default: default", PROFILE_SCHEMA,
	    OF_KEY },
	{ "assistant", read_owner, "the organization's assistant that it serves",
	    PROFILE_SCHEMA, OF_KEY },
	{ "default_model", read_model, "the model of requests that name none",
	    "{\"type\":[\"string\",\"null\"],\"minLength\":1}", OF_ASSISTANT },
	{ "guardrails", read_guardrails,
	    "names of guardrails that hold here, beside those of the levels above",
	    "{\"type\":[\"array\",\"null\"],\"maxItems\":32,\"items\":{\"type\":"
	    "\"string\",\"pattern\":\"^[a-z0-9-]{1,64}$\"}}",
	    OF_ALL },
};

enum {
	MEMBERS = sizeof(members) / sizeof(members[0])
};

static const char *const period_names[] = {
	[PERIOD_DAY] = "day", [PERIOD_WEEK] = "week", [PERIOD_MONTH] = "month"
};

/* ---- telling ---- */

static bool wrong(struct reading *r, const char *name, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static bool
wrong(struct reading *r, const char *name, const char *fmt, ...)
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

static bool
nomem(struct reading *r)
{
	(void)wrong(r, NULL, "out of memory");
	r->worst = ST_NOMEM;
	return false;
}

static void
warn(struct reading *r, const char *name, const char *text)
{
	struct err said;

	(void)err_fail(&said, ST_OK, "%s", text);
	options_say(r->c, OPTIONS_WARNING, r->object, name, &said);
}

/* ---- values ---- */

static lz_str
string_of(const json_t *value)
{
	return lz_strn(json_string_value(value), json_string_length(value));
}

static bool
copy_text(struct reading *r, lz_str text, lz_str *out)
{
	*out = arena_copy(r->c->memory, text);
	return out->ptr != NULL || nomem(r);
}

static bool
is_unlimited(const json_t *value)
{
	return json_is_null(value) ||
	       (json_is_string(value) && str_is(string_of(value), "unlimited"));
}

static bool
is_name_text(lz_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
			return false;
	}
	return s.len > 0 && str_is_utf8(s);
}

static bool
read_name(struct reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_string(value))
		return wrong(r, name, "%s is not a text", rule_describe(value, text));
	if (json_string_length(value) > KEY_NAME_BYTES)
		return wrong(r, name, "is longer than %d bytes", KEY_NAME_BYTES);
	if (!is_name_text(string_of(value)))
		return wrong(r, name, "is empty or holds control characters");
	return copy_text(r, string_of(value), &r->out->name);
}

static bool
note_unlimited(struct reading *r, const char *name)
{
	r->out->unlimited |= UINT32_C(1) << key_counter(name);
	return true;
}

static bool
read_count(struct reading *r, const char *name, const json_t *value)
{
	json_int_t n = json_integer_value(value);
	char text[80];

	if (is_unlimited(value))
		return note_unlimited(r, name);
	if (!json_is_integer(value) || n < 0 || n > COUNT_MAX)
		return wrong(r, name,
		    "%s is not a whole number from 0 to %d, or \"unlimited\"",
		    rule_describe(value, text), COUNT_MAX);
	*key_counter_of(r->out, key_counter(name)) = n;
	return true;
}

static bool
read_burst(struct reading *r, const char *name, const json_t *value)
{
	json_int_t n = json_integer_value(value);
	char text[80];

	if (!json_is_integer(value) || n < 1 || n > COUNT_MAX)
		return wrong(r, name, "%s is not a whole number from 1 to %d",
		    rule_describe(value, text), COUNT_MAX);
	r->out->rate_burst = n;
	return true;
}

static bool
read_strategy(struct reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_string(value))
		return wrong(r, name, "%s is not the name of a router",
		    rule_describe(value, text));
	if (json_string_length(value) == 0 || json_string_length(value) > STRATEGY_BYTES)
		return wrong(
		    r, name, "the name of a router has 1 to %d bytes", STRATEGY_BYTES);
	return copy_text(r, string_of(value), &r->out->routing_strategy);
}

static bool
read_owner(struct reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_string(value) || !key_is_profile_name(string_of(value)))
		return wrong(r, name,
		    "%s is not the name of an %s: 1 to %d of a-z, 0-9 and -",
		    rule_describe(value, text), name, KEY_PROFILE_BYTES);
	return copy_text(r, string_of(value),
	    strcmp(name, "assistant") == 0 ? &r->out->assistant : &r->out->organization);
}

static bool
read_model(struct reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_string(value) || !is_name_text(string_of(value)) ||
	    json_string_length(value) > MODEL_BYTES ||
	    str_find(string_of(value), '*') >= 0)
		return wrong(
		    r, name, "%s is not the name of a model", rule_describe(value, text));
	return copy_text(r, string_of(value), &r->out->default_model);
}

/* ---- lists ---- */

static bool
read_model_name(struct reading *r, const char *name, const json_t *item, lz_str *out)
{
	lz_str s = string_of(item);
	ptrdiff_t star = str_find(s, '*');
	char text[80];

	if (!json_is_string(item) || s.len == 0 || s.len > MODEL_BYTES ||
	    !is_name_text(s))
		return wrong(
		    r, name, "%s is not the name of a model", rule_describe(item, text));
	if (star >= 0 && (size_t)star != s.len - 1)
		return wrong(r, name, "%s: a * may only stand at the end",
		    rule_describe(item, text));
	return copy_text(r, s, out);
}

static bool
read_allowlist(struct reading *r, const char *name, const json_t *value)
{
	size_t n = json_array_size(value);
	char text[80];
	lz_str *allow;

	if (!json_is_array(value))
		return wrong(r, name, "%s is not a list of model names",
		    rule_describe(value, text));
	if (n > KEY_ALLOWED)
		return wrong(
		    r, name, "%zu entries are too many; at most %d", n, KEY_ALLOWED);
	allow = arena_alloc(r->c->memory, (n + 1) * sizeof(*allow));
	if (allow == NULL)
		return nomem(r);
	for (size_t i = 0; i < n; i++) {
		if (!read_model_name(r, name, json_array_get(value, i), &allow[i]))
			return false;
	}
	r->out->has_allowlist = true;
	r->out->allow = allow;
	r->out->allow_count = n;
	return true;
}

static bool
read_guardrails(struct reading *r, const char *name, const json_t *value)
{
	size_t n = json_array_size(value);
	char text[80];
	lz_str *list;

	if (!json_is_array(value))
		return wrong(r, name, "%s is not a list of guardrails' names",
		    rule_describe(value, text));
	if (n > KEY_GUARDRAILS)
		return wrong(
		    r, name, "%zu entries are too many; at most %d", n, KEY_GUARDRAILS);
	list = arena_alloc(r->c->memory, (n + 1) * sizeof(*list));
	if (list == NULL)
		return nomem(r);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(value, i);

		if (!json_is_string(item) || !key_is_profile_name(string_of(item)))
			return wrong(r, name,
			    "%s is not the name of a guardrail: 1 to %d of a-z, 0-9 "
			    "and -",
			    rule_describe(item, text), KEY_PROFILE_BYTES);
		if (!copy_text(r, string_of(item), &list[i]))
			return false;
	}
	r->out->guardrail = list;
	r->out->guardrail_count = n;
	return true;
}

static bool
read_range(struct reading *r, const char *name, const json_t *item)
{
	char text[80];

	if (r->out->ip_count == KEY_IPS)
		return wrong(r, name, "has more than %d entries", KEY_IPS);
	if (!json_is_string(item) || net_range_parse(string_of(item),
					 &r->out->ip[r->out->ip_count], NULL) != ST_OK)
		return wrong(r, name,
		    "%s is not an address range; write 10.0.0.0/8, ::1 or 192.168.1.7",
		    rule_describe(item, text));
	r->out->ip_count++;
	return true;
}

static bool
read_ips(struct reading *r, const char *name, const json_t *value)
{
	if (!json_is_array(value))
		return read_range(r, name, value);
	/* An empty list cannot be told from "all" by who checks it, and would mean the
	 * opposite. */
	if (json_array_size(value) == 0)
		return wrong(
		    r, name, "is empty; leave it out to allow all, or disable the key");
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!read_range(r, name, json_array_get(value, i)))
			return false;
	}
	return true;
}

static bool
read_metadata(struct reading *r, const char *name, const json_t *value)
{
	const char *key;
	json_t *item;
	char text[80];

	if (!json_is_object(value))
		return wrong(
		    r, name, "%s is not a flat map of texts", rule_describe(value, text));
	if (json_object_size(value) > KEY_METADATA)
		return wrong(r, name, "has more than %d members", KEY_METADATA);
	json_object_foreach((json_t *)(uintptr_t)value, key, item)
	{
		if (strlen(key) > METADATA_NAME_BYTES || *key == '\0')
			return wrong(r, name, "a member's name has 1 to %d bytes",
			    METADATA_NAME_BYTES);
		if (!json_is_string(item) ||
		    json_string_length(item) > METADATA_VALUE_BYTES)
			return wrong(r, name, "%s: %s is not a text of at most %d bytes",
			    key, rule_describe(item, text), METADATA_VALUE_BYTES);
	}
	r->out->metadata = value;
	return true;
}

/* ---- budgets ---- */

static int
by_size(const void *a, const void *b)
{
	return *(const uint8_t *)a - *(const uint8_t *)b;
}

static bool
add_alert(struct reading *r, const char *name, const json_t *item, struct key_budget *b)
{
	json_int_t n = json_integer_value(item);
	char text[80];

	if (!json_is_integer(item) || n < 1 || n > 100)
		return wrong(r, name, "%s is not a whole number from 1 to 100",
		    rule_describe(item, text));
	for (unsigned i = 0; i < b->alert_count; i++) {
		if (b->alert_pct[i] == n)
			return wrong(r, name, "%d is there twice", (int)n);
	}
	if (b->alert_count == KEY_ALERTS)
		return wrong(r, name, "has more than %d entries", KEY_ALERTS);
	b->alert_pct[b->alert_count++] = (uint8_t)n;
	return true;
}

static bool
set_alerts(struct reading *r, const char *name, const json_t *value, struct key_budget *b)
{
	if (value == NULL || json_is_null(value))
		return true;
	if (!json_is_array(value))
		return add_alert(r, name, value, b);
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!add_alert(r, name, json_array_get(value, i), b))
			return false;
	}
	qsort(b->alert_pct, b->alert_count, 1, by_size);
	return true;
}

static bool
add_budget(struct reading *r, const char *name, const struct key_budget *b)
{
	for (size_t i = 0; i < r->out->budget_count; i++) {
		if (r->out->budget[i].period == b->period)
			return wrong(r, name, "there are two budgets for a %s",
			    key_period_name(b->period));
	}
	if (r->out->budget_count == KEY_BUDGETS)
		return wrong(r, name, "has more than %d entries", KEY_BUDGETS);
	r->out->budget[r->out->budget_count++] = *b;
	return true;
}

static bool
read_monthly(struct reading *r, const char *name, const json_t *value)
{
	struct key_budget b = { .period = PERIOD_MONTH };
	struct err why;

	if (is_unlimited(value))
		return note_unlimited(r, name);
	if (key_money_parse(value, &b.limit_nano_eur, &why) != ST_OK)
		return wrong(r, name, "%s, or \"unlimited\"", why.text);
	return add_budget(r, name, &b);
}

static bool
read_alerts(struct reading *r, const char *name, const json_t *value)
{
	struct key_budget unused = { .period = PERIOD_MONTH };

	if (r->out->budget_count > 0)
		return set_alerts(r, name, value, &r->out->budget[0]);
	if (!set_alerts(r, name, value, &unused))
		return false;
	warn(r, name, "has no effect without budget_monthly_eur");
	return true;
}

static bool
read_period(
    struct reading *r, const char *name, const json_t *value, enum key_period *out)
{
	char text[80];

	for (unsigned p = 0; json_is_string(value) && p < PERIOD_KINDS; p++) {
		if (str_is(string_of(value), period_names[p])) {
			*out = (enum key_period)p;
			return true;
		}
	}
	return wrong(r, name,
	    "period: %s is not a choice; it must be one of day, week, month",
	    value != NULL ? rule_describe(value, text) : "nothing");
}

static bool
read_budget(struct reading *r, const char *name, const json_t *item)
{
	static const char *const known[] = { "period", "eur", "alert_pct", NULL };
	const json_t *eur = json_object_get(item, "eur");
	struct key_budget b = { .period = PERIOD_DAY };
	struct err why;
	const char *key;
	json_t *inner;
	char text[80];

	if (!json_is_object(item))
		return wrong(r, name, "%s is not a budget; write { period: day, eur: 5 }",
		    rule_describe(item, text));
	json_object_foreach((json_t *)(uintptr_t)item, key, inner)
	{
		const char *near = options_nearest(lz_strz(key), known);

		if (near == NULL || strcmp(near, key) != 0)
			return wrong(r, name,
			    "the member %s is not known; a budget has period, eur and "
			    "alert_pct",
			    key);
	}
	if (!read_period(r, name, json_object_get(item, "period"), &b.period))
		return false;
	if (eur == NULL)
		return wrong(r, name, "eur is missing; write { period: day, eur: 5 }");
	if (key_money_parse(eur, &b.limit_nano_eur, &why) != ST_OK)
		return wrong(r, name, "eur: %s", why.text);
	return set_alerts(r, name, json_object_get(item, "alert_pct"), &b) &&
	       add_budget(r, name, &b);
}

static bool
read_budgets(struct reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_array(value))
		return wrong(
		    r, name, "%s is not a list of budgets", rule_describe(value, text));
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!read_budget(r, name, json_array_get(value, i)))
			return false;
	}
	return true;
}

/* ---- the rest ---- */

static bool
read_expiry(struct reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_string(value) ||
	    !options_date(string_of(value), &r->out->expires_at_unix_ms))
		return wrong(r, name,
		    "%s is not a date; write 2027-03-01 or 2027-03-01T12:00:00Z",
		    rule_describe(value, text));
	/* 0 means never. */
	if (r->out->expires_at_unix_ms == 0)
		r->out->expires_at_unix_ms = 1;
	if (r->out->expires_at_unix_ms <= clock_unix_ms())
		warn(r, name, "lies in the past: the key is refused");
	return true;
}

static bool
read_log(struct reading *r, const char *name, const json_t *value)
{
	int at =
	    json_is_string(value) ? rule_choice("full|meta|off", string_of(value)) : -1;
	char text[80];

	if (at < 0)
		return wrong(r, name,
		    "%s is not a choice; it must be one of full, meta, off",
		    rule_describe(value, text));
	r->out->log_content = (enum key_log)(LOG_CONTENT_FULL + at);
	return true;
}

static bool
read_show(struct reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_boolean(value))
		return wrong(
		    r, name, "%s is not true or false", rule_describe(value, text));
	r->out->show_budget = json_is_true(value);
	return true;
}

/* ---- the object ---- */

static bool
is_ignored(const struct reading *r, const char *name)
{
	for (const char *const *p = r->c->ignore; p != NULL && *p != NULL; p++) {
		if (strcmp(*p, name) == 0)
			return true;
	}
	return false;
}

static const char *const level_names[] = {
	[KEY_LEVEL_KEY] = "a key",
	[KEY_LEVEL_ASSISTANT] = "an assistant",
	[KEY_LEVEL_ORGANIZATION] = "an organization",
};

static bool
has_level(const struct reading *r, size_t member)
{
	return (members[member].levels & 1u << r->level) != 0;
}

static void
check_known(struct reading *r, const char *name)
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
	if (is_ignored(r, name))
		return;
	if (whose != NULL) {
		(void)wrong(r, name, "is a setting of %s, not of %s", whose,
		    level_names[r->level]);
		return;
	}
	near = options_nearest(lz_strz(name), names);
	if (near == NULL)
		near = options_nearest(lz_strz(name), r->c->ignore);
	if (near != NULL)
		(void)wrong(r, name, "is not known; did you mean \"%s\"?", near);
	else
		(void)wrong(r, name, "is not a setting of %s", level_names[r->level]);
}

static bool
goes_on(const struct reading *r)
{
	return r->worst == ST_OK || (r->c->report != NULL && r->worst != ST_NOMEM);
}

enum status
profile_settings_read(enum key_level level, const json_t *object,
    const struct options_context *c, struct key_settings *out, struct err *e)
{
	struct reading r = { level, c, object, out, e, ST_OK };
	const char *name;
	json_t *value;

	memset(out, 0, sizeof(*out));
	out->rate_limit = out->rate_burst = out->max_in_flight = -1;
	out->max_output_tokens = out->tokens_per_minute = -1;
	if (!json_is_object(object)) {
		(void)wrong(&r, NULL, "%s is written as a map of its settings",
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

const char *
key_period_name(enum key_period p)
{
	return p < PERIOD_KINDS ? period_names[p] : "?";
}

enum status
key_money_parse(const json_t *number, int64_t *nano, struct err *e)
{
	char text[80];

	if (!json_is_number(number) || !options_nano(number, nano))
		return err_fail(e, ST_INVALID,
		    "%s is not an amount in euro; write a number from 0 to 1000000000 "
		    "with at most 9 decimal "
		    "places",
		    number != NULL ? rule_describe(number, text) : "nothing");
	return ST_OK;
}
