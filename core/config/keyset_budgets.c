/* keyset_budgets.c - budgets of a key's settings: euro by period, and when to tell.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/keyset_read.h"

#include <stdlib.h>

#include "config/rules.h"

static const char *const period_names[] = {
	[PERIOD_DAY] = "day", [PERIOD_WEEK] = "week", [PERIOD_MONTH] = "month"
};

static int
by_size(const void *a, const void *b)
{
	return *(const uint8_t *)a - *(const uint8_t *)b;
}

static bool
add_alert(
    struct key_reading *r, const char *name, const json_t *item, struct key_budget *b)
{
	json_int_t n = json_integer_value(item);
	char text[80];

	if (!json_is_integer(item) || n < 1 || n > 100)
		return key_wrong(r, name, "%s is not a whole number from 1 to 100",
		    rule_describe(item, text));
	for (unsigned i = 0; i < b->alert_count; i++) {
		if (b->alert_pct[i] == n)
			return key_wrong(r, name, "%d is there twice", (int)n);
	}
	if (b->alert_count == KEY_ALERTS)
		return key_wrong(r, name, "has more than %d entries", KEY_ALERTS);
	b->alert_pct[b->alert_count++] = (uint8_t)n;
	return true;
}

static bool
set_alerts(
    struct key_reading *r, const char *name, const json_t *value, struct key_budget *b)
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
add_budget(struct key_reading *r, const char *name, const struct key_budget *b)
{
	for (size_t i = 0; i < r->out->budget_count; i++) {
		if (r->out->budget[i].period == b->period)
			return key_wrong(r, name, "there are two budgets for a %s",
			    key_period_name(b->period));
	}
	if (r->out->budget_count == KEY_BUDGETS)
		return key_wrong(r, name, "has more than %d entries", KEY_BUDGETS);
	r->out->budget[r->out->budget_count++] = *b;
	return true;
}

bool
key_read_monthly(struct key_reading *r, const char *name, const json_t *value)
{
	struct key_budget b = { .period = PERIOD_MONTH };
	struct err why;

	if (key_is_unlimited(value))
		return key_note_unlimited(r, name);
	if (key_money_parse(value, &b.limit_nano_eur, &why) != ST_OK)
		return key_wrong(r, name, "%s, or \"unlimited\"", why.text);
	return add_budget(r, name, &b);
}

bool
key_read_alerts(struct key_reading *r, const char *name, const json_t *value)
{
	struct key_budget unused = { .period = PERIOD_MONTH };

	if (r->out->budget_count > 0)
		return set_alerts(r, name, value, &r->out->budget[0]);
	if (!set_alerts(r, name, value, &unused))
		return false;
	key_warn(r, name, "has no effect without budget_monthly_eur");
	return true;
}

static bool
read_period(
    struct key_reading *r, const char *name, const json_t *value, enum key_period *out)
{
	char text[80];

	for (unsigned p = 0; json_is_string(value) && p < PERIOD_KINDS; p++) {
		if (str_is(key_string(value), period_names[p])) {
			*out = (enum key_period)p;
			return true;
		}
	}
	return key_wrong(r, name,
	    "period: %s is not a choice; it must be one of day, week, month",
	    value != NULL ? rule_describe(value, text) : "nothing");
}

static bool
read_budget(struct key_reading *r, const char *name, const json_t *item)
{
	static const char *const known[] = { "period", "eur", "alert_pct", NULL };
	const json_t *eur = json_object_get(item, "eur");
	struct key_budget b = { .period = PERIOD_DAY };
	struct err why;
	const char *key;
	json_t *inner;
	char text[80];

	if (!json_is_object(item))
		return key_wrong(r, name,
		    "%s is not a budget; write { period: day, eur: 5 }",
		    rule_describe(item, text));
	json_object_foreach((json_t *)(uintptr_t)item, key, inner)
	{
		if (!rule_is_one_of(key, known))
			return key_wrong(r, name,
			    "the member %s is not known; a budget has period, eur and "
			    "alert_pct",
			    key);
	}
	if (!read_period(r, name, json_object_get(item, "period"), &b.period))
		return false;
	if (eur == NULL)
		return key_wrong(
		    r, name, "eur is missing; write { period: day, eur: 5 }");
	if (key_money_parse(eur, &b.limit_nano_eur, &why) != ST_OK)
		return key_wrong(r, name, "eur: %s", why.text);
	return set_alerts(r, name, json_object_get(item, "alert_pct"), &b) &&
	       add_budget(r, name, &b);
}

bool
key_read_budgets(struct key_reading *r, const char *name, const json_t *value)
{
	char text[80];

	if (!json_is_array(value))
		return key_wrong(
		    r, name, "%s is not a list of budgets", rule_describe(value, text));
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!read_budget(r, name, json_array_get(value, i)))
			return false;
	}
	return true;
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
