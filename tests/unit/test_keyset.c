/* test_keyset.c - the settings of a virtual key: the product page's, and nonsense in
 * every member.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "config/keyset.h"
#include "config/yaml.h"

static struct arena *memory;
static json_t *tree; /* of the last parse: settings point into it */

static enum status
parse(const char *yaml, struct key_settings *out, struct err *e)
{
	struct yaml_source *source;
	enum status st;

	json_decref(tree);
	tree = yaml_parse(lz_strz(yaml), "key.json", &source, e);
	if (tree == NULL)
		fail_msg("%s: %s", yaml, e->text);
	st = key_settings_parse(tree, "key", NULL, memory, source, out, e);
	yaml_source_free(source);
	return st;
}

static struct key_settings
fine(const char *yaml)
{
	struct err e = { "" };
	struct key_settings s;

	if (parse(yaml, &s, &e) != ST_OK)
		fail_msg("%s: %s", yaml, e.text);
	return s;
}

static void
the_product_pages_key_is_taken_as_it_stands(void **state)
{
	struct key_settings s = fine(
	    "{ \"name\": \"Production backend\", \"rate_limit\": 120, "
	    "\"routing_strategy\": \"balanced\",\n  \"model_allowlist\": [\"gpt-4o\", "
	    "\"claude-3-5-sonnet\"], \"budget_monthly_eur\": 250, \"budget_alert_pct\": "
	    "80 }\n");

	(void)state;
	assert_true(str_is(s.name, "Production backend"));
	assert_int_equal(s.rate_limit, 120);
	assert_int_equal(s.rate_burst, -1);
	assert_true(str_is(s.routing_strategy, "balanced"));
	assert_true(s.has_allowlist);
	assert_int_equal(s.allow_count, 2);
	assert_true(str_is(s.allow[1], "claude-3-5-sonnet"));
	assert_int_equal(s.budget_count, 1);
	assert_int_equal(s.budget[0].period, PERIOD_MONTH);
	assert_int_equal(s.budget[0].limit_nano_eur, 250000000000);
	assert_int_equal(s.budget[0].alert_count, 1);
	assert_int_equal(s.budget[0].alert_pct[0], 80);
	assert_int_equal(s.max_in_flight, -1);
	assert_int_equal(s.expires_at_unix_ms, 0);
}

static void
absent_null_and_unlimited_are_no_limit_and_zero_is_one(void **state)
{
	static const char *const none[] = { "{}",
		"{rate_limit: null, max_in_flight: ~, tokens_per_minute: null, "
		"max_output_tokens: null, "
		"model_allowlist: null, budget_monthly_eur: null, organization: null, "
		"budgets: null}",
		"{rate_limit: unlimited, max_in_flight: unlimited, tokens_per_minute: "
		"unlimited, "
		"max_output_tokens: unlimited, budget_monthly_eur: unlimited}" };
	struct key_settings s;

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		s = fine(none[i]);
		assert_int_equal(s.rate_limit, -1);
		assert_int_equal(s.max_in_flight, -1);
		assert_int_equal(s.tokens_per_minute, -1);
		assert_int_equal(s.max_output_tokens, -1);
		assert_false(s.has_allowlist);
		assert_int_equal(s.budget_count, 0);
	}
	s = fine("{rate_limit: 0, max_in_flight: 0, tokens_per_minute: 0, "
		 "budget_monthly_eur: 0, model_allowlist: []}");
	assert_int_equal(s.rate_limit, 0);
	assert_int_equal(s.max_in_flight, 0);
	assert_int_equal(s.tokens_per_minute, 0);
	assert_int_equal(s.budget_count, 1);
	assert_int_equal(s.budget[0].limit_nano_eur, 0);
	assert_true(s.has_allowlist);
	assert_int_equal(s.allow_count, 0);
}

static void
every_member_lands_where_it_belongs(void **state)
{
	struct key_settings s =
	    fine("name: é\nrate_limit: 60\nrate_burst: 5\nmax_in_flight: 3\n"
		 "max_output_tokens: 1000\ntokens_per_minute: 90000\n"
		 "model_allowlist: ['gpt-*', '*']\nbudget_monthly_eur: "
		 "0.5\nbudget_alert_pct: [100, 50]\n"
		 "budgets: [{period: day, eur: 5.25, alert_pct: [90, 10]}, {period: "
		 "week, eur: 20}]\n"
		 "expires_at: 2027-03-01\nmetadata: {team: search}\nlog_content: meta\n"
		 "allowed_ips: [10.0.0.0/8, '::1']\nshow_budget: true\n");

	(void)state;
	assert_int_equal(s.rate_burst, 5);
	assert_int_equal(s.max_in_flight, 3);
	assert_int_equal(s.max_output_tokens, 1000);
	assert_int_equal(s.tokens_per_minute, 90000);
	assert_int_equal(s.budget_count, 3);
	assert_int_equal(s.budget[0].limit_nano_eur, 500000000);
	assert_int_equal(s.budget[0].alert_pct[0], 50);
	assert_int_equal(s.budget[0].alert_pct[1], 100);
	assert_int_equal(s.budget[1].period, PERIOD_DAY);
	assert_int_equal(s.budget[1].limit_nano_eur, 5250000000);
	assert_int_equal(s.budget[1].alert_pct[0], 10);
	assert_int_equal(s.budget[2].alert_count, 0);
	assert_true(s.expires_at_unix_ms == 1803859200000);
	assert_true(str_is(json_get_str(s.metadata, "team"), "search"));
	assert_int_equal(s.log_content, LOG_CONTENT_META);
	assert_int_equal(s.ip_count, 2);
	assert_true(s.show_budget);
}

static void
nonsense_in_every_member_is_named(void **state)
{
	static const struct {
		const char *yaml, *sentence;
	} cases[] = {
		{ "[]", "key: a key is written as a map" },
		{ "name: 5", "key.json:1: key.name: 5 is not a text" },
		{ "name: ''", "key.name: is empty or holds control" },
		{ "name: \"a\\tb\"", "key.name: is empty or holds control" },
		{ "rate_limit: -1", "key.rate_limit: -1 is not a whole number from 0 to "
				    "1000000000, or \"unlimited\"" },
		{ "rate_limit: many", "key.rate_limit: \"many\" is not a whole number" },
		{ "rate_limit: 1.5", "key.rate_limit: 1.5 is not" },
		{ "rate_limit: 1000000001", "key.rate_limit: 1000000001 is not" },
		{ "rate_limit: true", "key.rate_limit: true is not" },
		{ "rate_burst: 0", "key.rate_burst: 0 is not a whole number from 1" },
		{ "rate_burst: unlimited", "key.rate_burst: \"unlimited\" is not" },
		{ "max_in_flight: '3'", "key.max_in_flight: \"3\" is not" },
		{ "max_output_tokens: []", "key.max_output_tokens: a list is not" },
		{ "tokens_per_minute: {}", "key.tokens_per_minute: a map is not" },
		{ "routing_strategy: 1",
		    "key.routing_strategy: 1 is not the name of a router" },
		{ "routing_strategy: ''",
		    "key.routing_strategy: the name of a router has 1 to" },
		{ "model_allowlist: gpt-4o",
		    "key.model_allowlist: \"gpt-4o\" is not a list" },
		{ "model_allowlist: [1]",
		    "key.model_allowlist: 1 is not the name of a model" },
		{ "model_allowlist: ['']", "key.model_allowlist: \"\" is not the name" },
		{ "model_allowlist: ['a*b']",
		    "key.model_allowlist: \"a*b\": a * may only stand at the end" },
		{ "budget_monthly_eur: -5",
		    "key.budget_monthly_eur: -5 is not an amount in euro" },
		{ "budget_monthly_eur: '250'",
		    "key.budget_monthly_eur: \"250\" is not an amount" },
		{ "budget_monthly_eur: 0.0000000001",
		    "key.budget_monthly_eur: 1e-10 is not an amount" },
		{ "budget_monthly_eur: 1000000001",
		    "key.budget_monthly_eur: 1000000001 is not" },
		{ "{budget_monthly_eur: 1, budget_alert_pct: 0}",
		    "key.budget_alert_pct: 0 is not a whole number from 1 to 100" },
		{ "{budget_monthly_eur: 1, budget_alert_pct: 101}",
		    "key.budget_alert_pct: 101 is not" },
		{ "{budget_monthly_eur: 1, budget_alert_pct: [80, 80]}",
		    "key.budget_alert_pct: 80 is there twice" },
		{ "{budget_monthly_eur: 1, budget_alert_pct: [1,2,3,4,5,6,7,8,9]}",
		    "key.budget_alert_pct: has more than 8" },
		{ "budget_alert_pct: high", "key.budget_alert_pct: \"high\" is not" },
		{ "budgets: 5", "key.budgets: 5 is not a list" },
		{ "budgets: [5]", "key.budgets: 5 is not a budget" },
		{ "budgets: [{eur: 5}]", "key.budgets: period: nothing is not a choice" },
		{ "budgets: [{period: year, eur: 5}]",
		    "key.budgets: period: \"year\" is not a choice; it must be one of "
		    "day, week" },
		{ "budgets: [{period: day}]", "key.budgets: eur is missing" },
		{ "budgets: [{period: day, eur: lots}]",
		    "key.budgets: eur: \"lots\" is not an amount" },
		{ "budgets: [{period: day, eur: 5, alert: 1}]",
		    "key.budgets: the member alert is not known" },
		{ "budgets: [{period: day, eur: 5, alert_pct: x}]",
		    "key.budgets: \"x\" is not a whole number" },
		{ "budgets: [{period: day, eur: 5}, {period: day, eur: 6}]",
		    "key.budgets: there are two budgets for a day" },
		{ "{budget_monthly_eur: 1, budgets: [{period: month, eur: 5}]}",
		    "key.budgets: there are two budgets for a month" },
		{ "expires_at: soon",
		    "key.expires_at: \"soon\" is not a date; write 2027-03-01" },
		{ "expires_at: 2027", "key.expires_at: 2027 is not a date" },
		{ "metadata: x", "key.metadata: \"x\" is not a flat map" },
		{ "metadata: {a: 1}", "key.metadata: a: 1 is not a text" },
		{ "metadata: {a: {b: c}}", "key.metadata: a: a map is not a text" },
		{ "log_content: none", "key.log_content: \"none\" is not a choice; it "
				       "must be one of full, meta, off" },
		{ "allowed_ips: 5", "key.allowed_ips: 5 is not an address range" },
		{ "allowed_ips: [10.0.0.0/33]",
		    "key.allowed_ips: \"10.0.0.0/33\" is not an address range" },
		{ "allowed_ips: []", "key.allowed_ips: is empty" },
		{ "show_budget: 1", "key.show_budget: 1 is not true or false" },
		{ "organization: Acme", "key.organization: \"Acme\" is not the name of "
					"an organization: 1 to 64 of a-z, 0-9 and -" },
		{ "organization: ''", "key.organization: \"\" is not the name" },
		{ "organization: 5", "key.organization: 5 is not the name" },
		{ "assistant: acme/support", "key.assistant: \"acme/support\" is not the "
					     "name of an assistant" },
		{ "assistant: [support]", "key.assistant: a list is not the name" },
		{ "default_model: gpt-4o",
		    "key.default_model: is a setting of an assistant, not of a key" },
		{ "guardrails: pii",
		    "key.guardrails: \"pii\" is not a list of guardrails' names" },
		{ "guardrails: [Pii!]",
		    "key.guardrails: \"Pii!\" is not the name of a guardrail" },
		{ "guardrails: [5]", "key.guardrails: 5 is not the name of a guardrail" },
		{ "rate_limits: 5",
		    "key.rate_limits: is not known; did you mean \"rate_limit\"?" },
		{ "colour: red", "key.json:1: key.colour: is not a setting of a key" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = { "" };
		struct key_settings s;

		if (parse(cases[i].yaml, &s, &e) == ST_OK)
			fail_msg("accepted: %s", cases[i].yaml);
		if (strstr(e.text, cases[i].sentence) == NULL)
			fail_msg("%s: \"%s\" is not said: %s", cases[i].yaml,
			    cases[i].sentence, e.text);
	}
}

static void
lists_have_a_most(void **state)
{
	static const struct {
		const char *begin, *sentence;
		unsigned count;
	} cases[] = {
		{ "model_allowlist: [", "1001 entries are too many; at most 1000", 1001 },
		{ "allowed_ips: [", "has more than 64 entries", 65 },
	};
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = { "" };
		struct key_settings s;

		buf_reset(&text);
		buf_add_z(&text, cases[i].begin);
		for (unsigned k = 0; k < cases[i].count; k++)
			buf_add_z(&text, k > 0 ? ", '10.0.0.1'" : "'10.0.0.1'");
		buf_add(&text, "]", 2);
		assert_int_not_equal(parse(text.ptr, &s, &e), ST_OK);
		assert_non_null(strstr(e.text, cases[i].sentence));
	}
	buf_reset(&text);
	buf_add_z(&text, "metadata: {");
	for (unsigned k = 0; k < 17; k++)
		buf_addf(&text, "k%u: v, ", k);
	buf_add(&text, "}", 2);
	{
		struct err e = { "" };
		struct key_settings s;

		assert_int_not_equal(parse(text.ptr, &s, &e), ST_OK);
		assert_non_null(strstr(e.text, "metadata: has more than 16 members"));
	}
	buf_free(&text);
}

static void
what_the_caller_handles_is_ignored_and_still_suggested(void **state)
{
	static const char *const ignore[] = { "secret", NULL };
	struct err e = { "" };
	struct key_settings s;
	json_t *j = json_pack("{s:s, s:i}", "secret", "x", "rate_limit", 1);

	(void)state;
	assert_int_equal(
	    key_settings_parse(j, "keys.a", ignore, memory, NULL, &s, &e), ST_OK);
	assert_int_equal(s.rate_limit, 1);
	json_decref(j);
	j = json_pack("{s:s}", "secert", "x");
	assert_int_equal(
	    key_settings_parse(j, "keys.a", ignore, memory, NULL, &s, &e), ST_INVALID);
	assert_string_equal(
	    e.text, "keys.a.secert: is not known; did you mean \"secret\"?");
	json_decref(j);
}

static void
count_reports(void *arg, enum options_severity how, const char *sentence)
{
	unsigned *n = arg;

	(void)sentence;
	n[how]++;
}

static void
a_report_hears_every_error_and_warning(void **state)
{
	unsigned n[3] = { 0, 0, 0 };
	struct options_context c = {
		.memory = memory, .where = "k", .report = count_reports, .report_arg = n
	};
	json_t *j = json_pack("{s:i, s:s, s:s, s:i}", "rate_limit", -1, "name", "",
	    "expires_at", "2001-01-01", "budget_alert_pct", 50);
	struct key_settings s;
	struct err e = { "" };

	(void)state;
	assert_int_equal(key_settings_read(j, &c, &s, &e), ST_INVALID);
	assert_int_equal(n[OPTIONS_ERROR], 2);
	assert_int_equal(n[OPTIONS_WARNING], 2); /* expired; alerts without a budget */
	json_decref(j);
}

static void
the_schema_has_every_member_and_the_page_fits(void **state)
{
	json_t *s = key_settings_schema(KEY_LEVEL_KEY);
	const json_t *p = json_object_get(s, "properties");
	struct err e = { "" };
	json_t *key = json_pack("{s:s, s:i, s:s, s:[s], s:f, s:i}", "name", "x",
	    "rate_limit", 120, "routing_strategy", "balanced", "model_allowlist",
	    "gpt-4o", "budget_monthly_eur", 250.5, "budget_alert_pct", 80);

	(void)state;
	assert_int_equal(json_object_size(p), 19);
	assert_non_null(json_object_get(p, "guardrails"));
	if (options_match(s, key, &e) != ST_OK)
		fail_msg("%s", e.text);
	json_decref(key);
	json_decref(s);
}

static void
periods_have_names(void **state)
{
	(void)state;
	assert_string_equal(key_period_name(PERIOD_DAY), "day");
	assert_string_equal(key_period_name(PERIOD_WEEK), "week");
	assert_string_equal(key_period_name(PERIOD_MONTH), "month");
}

static int
set_up(void **state)
{
	(void)state;
	memory = arena_new(16 << 20);
	return memory == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	json_decref(tree);
	arena_free(memory);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_product_pages_key_is_taken_as_it_stands),
		cmocka_unit_test(absent_null_and_unlimited_are_no_limit_and_zero_is_one),
		cmocka_unit_test(every_member_lands_where_it_belongs),
		cmocka_unit_test(nonsense_in_every_member_is_named),
		cmocka_unit_test(lists_have_a_most),
		cmocka_unit_test(what_the_caller_handles_is_ignored_and_still_suggested),
		cmocka_unit_test(a_report_hears_every_error_and_warning),
		cmocka_unit_test(the_schema_has_every_member_and_the_page_fits),
		cmocka_unit_test(periods_have_names),
	};

	json_start();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
