/* keyset_values.c - the members of a key's settings, value by value: texts, numbers,
 * lists.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/keyset_read.h"

#include "base/clock.h"

enum {
	COUNT_MAX = 1000000000,
	MODEL_BYTES = 200,
	STRATEGY_BYTES = 64,
	METADATA_NAME_BYTES = 64,
	METADATA_VALUE_BYTES = 512
};

lz_str
key_string(const json_t *value)
{
	return lz_strn(json_string_value(value), json_string_length(value));
}

bool
key_copy(struct key_reading *r, lz_str text, lz_str *out)
{
	*out = arena_copy(r->c->memory, text);
	return out->ptr != NULL || key_nomem(r);
}

bool
key_is_unlimited(const json_t *value)
{
	return json_is_null(value) ||
	       (json_is_string(value) && str_is(key_string(value), "unlimited"));
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

bool
key_read_name(struct key_reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_string(value))
		return key_wrong(r, name, "%s is not a text", rule_describe(value, text));
	if (json_string_length(value) > KEY_NAME_BYTES)
		return key_wrong(r, name, "is longer than %d bytes", KEY_NAME_BYTES);
	if (!is_name_text(key_string(value)))
		return key_wrong(r, name, "is empty or holds control characters");
	return key_copy(r, key_string(value), &r->out->name);
}

bool
key_note_unlimited(struct key_reading *r, const char *name)
{
	r->out->unlimited |= UINT32_C(1) << key_counter(name);
	return true;
}

bool
key_read_count(struct key_reading *r, const char *name, const json_t *value)
{
	json_int_t n = json_integer_value(value);
	char text[80];

	if (key_is_unlimited(value))
		return key_note_unlimited(r, name);
	if (!json_is_integer(value) || n < 0 || n > COUNT_MAX)
		return key_wrong(r, name,
		    "%s is not a whole number from 0 to %d, or \"unlimited\"",
		    rule_describe(value, text), COUNT_MAX);
	*key_counter_of(r->out, key_counter(name)) = n;
	return true;
}

bool
key_read_burst(struct key_reading *r, const char *name, const json_t *value)
{
	json_int_t n = json_integer_value(value);
	char text[80];

	if (!json_is_integer(value) || n < 1 || n > COUNT_MAX)
		return key_wrong(r, name, "%s is not a whole number from 1 to %d",
		    rule_describe(value, text), COUNT_MAX);
	r->out->rate_burst = n;
	return true;
}

bool
key_read_strategy(struct key_reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_string(value))
		return key_wrong(r, name, "%s is not the name of a router",
		    rule_describe(value, text));
	if (json_string_length(value) == 0 || json_string_length(value) > STRATEGY_BYTES)
		return key_wrong(
		    r, name, "the name of a router has 1 to %d bytes", STRATEGY_BYTES);
	return key_copy(r, key_string(value), &r->out->routing_strategy);
}

bool
key_read_owner(struct key_reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_string(value) || !key_is_profile_name(key_string(value)))
		return key_wrong(r, name,
		    "%s is not the name of an %s: 1 to %d of a-z, 0-9 and -",
		    rule_describe(value, text), name, KEY_PROFILE_BYTES);
	return key_copy(r, key_string(value),
	    strcmp(name, "assistant") == 0 ? &r->out->assistant : &r->out->organization);
}

bool
key_read_model(struct key_reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_string(value) || !is_name_text(key_string(value)) ||
	    json_string_length(value) > MODEL_BYTES ||
	    str_find(key_string(value), '*') >= 0)
		return key_wrong(
		    r, name, "%s is not the name of a model", rule_describe(value, text));
	return key_copy(r, key_string(value), &r->out->default_model);
}

/* ---- lists ---- */

static bool
read_model_name(struct key_reading *r, const char *name, const json_t *item, lz_str *out)
{
	lz_str s = key_string(item);
	ptrdiff_t star = str_find(s, '*');
	char text[80];

	if (!json_is_string(item) || s.len == 0 || s.len > MODEL_BYTES ||
	    !is_name_text(s))
		return key_wrong(
		    r, name, "%s is not the name of a model", rule_describe(item, text));
	if (star >= 0 && (size_t)star != s.len - 1)
		return key_wrong(r, name, "%s: a * may only stand at the end",
		    rule_describe(item, text));
	return key_copy(r, s, out);
}

bool
key_read_allowlist(struct key_reading *r, const char *name, const json_t *value)
{
	size_t n = json_array_size(value);
	char text[80];
	lz_str *allow;

	if (!json_is_array(value))
		return key_wrong(r, name, "%s is not a list of model names",
		    rule_describe(value, text));
	if (n > KEY_ALLOWED)
		return key_wrong(
		    r, name, "%zu entries are too many; at most %d", n, KEY_ALLOWED);
	allow = arena_alloc(r->c->memory, (n + 1) * sizeof(*allow));
	if (allow == NULL)
		return key_nomem(r);
	for (size_t i = 0; i < n; i++) {
		if (!read_model_name(r, name, json_array_get(value, i), &allow[i]))
			return false;
	}
	r->out->has_allowlist = true;
	r->out->allow = allow;
	r->out->allow_count = n;
	return true;
}

bool
key_read_guardrails(struct key_reading *r, const char *name, const json_t *value)
{
	size_t n = json_array_size(value);
	char text[80];
	lz_str *list;

	if (!json_is_array(value))
		return key_wrong(r, name, "%s is not a list of guardrails' names",
		    rule_describe(value, text));
	if (n > KEY_GUARDRAILS)
		return key_wrong(
		    r, name, "%zu entries are too many; at most %d", n, KEY_GUARDRAILS);
	list = arena_alloc(r->c->memory, (n + 1) * sizeof(*list));
	if (list == NULL)
		return key_nomem(r);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(value, i);

		if (!json_is_string(item) || !key_is_profile_name(key_string(item)))
			return key_wrong(r, name,
			    "%s is not the name of a guardrail: 1 to %d of a-z, 0-9 "
			    "and -",
			    rule_describe(item, text), KEY_PROFILE_BYTES);
		if (!key_copy(r, key_string(item), &list[i]))
			return false;
	}
	r->out->guardrail = list;
	r->out->guardrail_count = n;
	return true;
}

static bool
read_range(struct key_reading *r, const char *name, const json_t *item)
{
	char text[80];

	if (r->out->ip_count == KEY_IPS)
		return key_wrong(r, name, "has more than %d entries", KEY_IPS);
	if (!json_is_string(item) || net_range_parse(key_string(item),
					 &r->out->ip[r->out->ip_count], NULL) != ST_OK)
		return key_wrong(r, name,
		    "%s is not an address range; write 10.0.0.0/8, ::1 or 192.168.1.7",
		    rule_describe(item, text));
	r->out->ip_count++;
	return true;
}

bool
key_read_ips(struct key_reading *r, const char *name, const json_t *value)
{
	if (!json_is_array(value))
		return read_range(r, name, value);
	/* An empty list cannot be told from "all" by who checks it, and would mean the
	 * opposite. */
	if (json_array_size(value) == 0)
		return key_wrong(
		    r, name, "is empty; leave it out to allow all, or disable the key");
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!read_range(r, name, json_array_get(value, i)))
			return false;
	}
	return true;
}

bool
key_read_metadata(struct key_reading *r, const char *name, const json_t *value)
{
	const char *key;
	json_t *item;
	char text[80];

	if (!json_is_object(value))
		return key_wrong(
		    r, name, "%s is not a flat map of texts", rule_describe(value, text));
	if (json_object_size(value) > KEY_METADATA)
		return key_wrong(r, name, "has more than %d members", KEY_METADATA);
	json_object_foreach((json_t *)(uintptr_t)value, key, item)
	{
		if (strlen(key) > METADATA_NAME_BYTES || *key == '\0')
			return key_wrong(r, name, "a member's name has 1 to %d bytes",
			    METADATA_NAME_BYTES);
		if (!json_is_string(item) ||
		    json_string_length(item) > METADATA_VALUE_BYTES)
			return key_wrong(r, name,
			    "%s: %s is not a text of at most %d bytes", key,
			    rule_describe(item, text), METADATA_VALUE_BYTES);
	}
	r->out->metadata = value;
	return true;
}

/* ---- the rest ---- */

bool
key_read_expiry(struct key_reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_string(value) ||
	    !options_date(key_string(value), &r->out->expires_at_unix_ms))
		return key_wrong(r, name,
		    "%s is not a date; write 2027-03-01 or 2027-03-01T12:00:00Z",
		    rule_describe(value, text));
	/* 0 means never. */
	if (r->out->expires_at_unix_ms == 0)
		r->out->expires_at_unix_ms = 1;
	if (r->out->expires_at_unix_ms <= clock_unix_ms())
		key_warn(r, name, "lies in the past: the key is refused");
	return true;
}

bool
key_read_log(struct key_reading *r, const char *name, const json_t *value)
{
	int at =
	    json_is_string(value) ? rule_choice("full|meta|off", key_string(value)) : -1;
	char text[80];

	if (at < 0)
		return key_wrong(r, name,
		    "%s is not a choice; it must be one of full, meta, off",
		    rule_describe(value, text));
	r->out->log_content = (enum key_log)(LOG_CONTENT_FULL + at);
	return true;
}

bool
key_read_show(struct key_reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_boolean(value))
		return key_wrong(
		    r, name, "%s is not true or false", rule_describe(value, text));
	r->out->show_budget = json_is_true(value);
	return true;
}
