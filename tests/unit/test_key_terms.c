/* test_key_terms.c - a key under its assistant and its organisation: the nearest limit
 * wins, budgets and allowlists add up, and a refusal says whose.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key_scene.h"

static void
put_profile(const char *organization, const char *assistant, const char *text)
{
	struct err e = { "" };
	json_t *j = json_parse(lz_strz(text), &e);
	struct profile_wanted w = { .organization = lz_strz(organization),
		.assistant = assistant != NULL ? lz_strz(assistant) : STR_NONE,
		.settings = j };

	if (j == NULL || profiles_put(keys_profiles(keys), &w, &e) != ST_OK)
		fail_msg("%s", e.text);
	json_decref(j);
}

/* A key "a" of the assistant support of acme. */
static void
entered_under(const char *organization, const char *assistant, const char *key)
{
	char text[1024];

	put_profile("acme", NULL, organization);
	put_profile("acme", "support", assistant);
	(void)snprintf(text, sizeof(text),
	    "{\"organization\":\"acme\",\"assistant\":\"support\"%s%s",
	    key[1] == '}' ? "" : ",", key + 1);
	entered(text);
}

/* ---- the nearest wins ---- */

static void
the_nearest_level_that_says_a_number_decides(void **state)
{
	(void)state;
	entered_under("{\"rate_limit\":10,\"max_in_flight\":3,\"max_output_tokens\":100,"
		      "\"tokens_per_minute\":1000,\"routing_strategy\":\"quality\"}",
	    "{\"rate_limit\":20,\"max_in_flight\":0}", "{\"rate_limit\":30}");
	assert_int_equal(r->terms->rate_limit, 30);
	assert_int_equal(r->terms->rate_burst, 30);
	assert_int_equal(r->terms->max_in_flight, 0);
	assert_int_equal(r->terms->max_output_tokens, 100);
	assert_int_equal(r->terms->tokens_per_minute, 1000);
	assert_true(str_is(r->terms->routing_strategy, "quality"));
	assert_fault(key_admit(r), FAULT_RATE_LIMIT, "0 requests in flight");
	key_release(r);
	entered_under("{\"max_output_tokens\":0}", "{}", "{}");
	assert_fault(key_admit(r), FAULT_BUDGET_SPENT, "max_output_tokens");
	key_release(r);
	entered_under("{\"max_output_tokens\":0}", "{}", "{\"max_output_tokens\":5}");
	assert_int_equal(key_admit(r), STEP_NEXT);
	key_release(r);
	entered_under("{\"routing_strategy\":\"quality\"}",
	    "{\"routing_strategy\":\"fastest\",\"max_in_flight\":null}", "{}");
	assert_int_equal(r->terms->rate_limit, -1);
	assert_int_equal(r->terms->max_in_flight, -1);
	assert_true(str_is(r->terms->routing_strategy, "fastest"));
	entered_under("{}", "{}", "{\"routing_strategy\":\"cheapest\"}");
	assert_true(str_is(r->terms->routing_strategy, "cheapest"));
	entered_under("{}", "{}", "{}");
	assert_int_equal(r->terms->routing_strategy.len, 0);
}

static void
a_burst_goes_with_the_rate_it_was_written_for(void **state)
{
	(void)state;
	entered_under("{\"rate_limit\":60,\"rate_burst\":5}", "{}", "{}");
	assert_int_equal(r->terms->rate_burst, 5);
	entered_under("{\"rate_limit\":60,\"rate_burst\":5}", "{}", "{\"rate_limit\":9}");
	assert_int_equal(r->terms->rate_burst, 9);
	entered_under("{\"rate_limit\":60}", "{}", "{\"rate_burst\":2}");
	assert_int_equal(r->terms->rate_limit, 60);
	assert_int_equal(r->terms->rate_burst, 2);
}

/* A number above that came after the key was made is still the number. */
static void
unlimited_lifts_no_number_above(void **state)
{
	(void)state;
	entered_under("{\"rate_limit\":10}", "{}", "{\"rate_limit\":\"unlimited\"}");
	assert_int_equal(r->terms->rate_limit, 10);
	entered_under("{\"rate_limit\":\"unlimited\"}", "{}", "{}");
	assert_int_equal(r->terms->rate_limit, -1);
}

static void
every_level_may_lower_what_is_logged_and_none_may_raise_it(void **state)
{
	(void)state;
	entered_under("{}", "{}", "{}");
	assert_int_equal(r->log_content, LOG_CONTENT_FULL);
	entered_under("{\"log_content\":\"meta\"}", "{}", "{\"log_content\":\"full\"}");
	assert_int_equal(r->log_content, LOG_CONTENT_META);
	entered_under("{}", "{\"log_content\":\"off\"}", "{\"log_content\":\"meta\"}");
	assert_int_equal(r->log_content, LOG_CONTENT_OFF);
	config.log_content = LOG_CONTENT_OFF;
	entered_under("{\"log_content\":\"full\"}", "{}", "{}");
	assert_int_equal(r->log_content, LOG_CONTENT_OFF);
}

static void
a_request_knows_whose_it_is_and_takes_its_assistants_model(void **state)
{
	(void)state;
	entered_under("{}", "{\"default_model\":\"gpt-4o\"}", "{}");
	assert_true(str_is(r->caller.organization, "acme"));
	assert_true(str_is(r->caller.assistant, "support"));
	assert_true(str_is(r->default_model, "gpt-4o"));
	entered("{}");
	assert_true(str_is(r->caller.organization, "default"));
	assert_null(r->caller.assistant.ptr);
	assert_null(r->default_model.ptr);
}

/* ---- allowlists intersect ---- */

static void
a_model_must_be_in_every_allowlist(void **state)
{
	(void)state;
	entered_under("{\"model_allowlist\":[\"gpt-*\",\"qwen\"]}", "{}",
	    "{\"model_allowlist\":[\"gpt-4o\",\"claude\"]}");
	assert_true(key_allows(r, STR_LIT("gpt-4o")));
	assert_false(key_allows(r, STR_LIT("gpt-4o-mini"))); /* not the key's */
	assert_false(key_allows(r, STR_LIT("claude")));      /* not the organisation's */
	assert_false(key_allows(r, STR_LIT("qwen")));
	assert_true(key_allows(r, STR_LIT("latenza/cheapest")));
	entered_under("{}", "{\"model_allowlist\":[]}", "{\"model_allowlist\":[\"*\"]}");
	assert_false(key_allows(r, STR_LIT("gpt-4o")));
	assert_fault(key_admit(r), FAULT_MODEL_NOT_ALLOWED, "gpt-4o");
	key_release(r);
}

/* ---- budgets add up ---- */

#define ALL_PERIODS(month)                                                               \
	"{\"budget_monthly_eur\":" month                                                 \
	",\"budgets\":[{\"period\":\"day\",\"eur\":1},{"                                 \
	"\"period\":\"week\",\"eur\":1}]}"

static void
one_reservation_holds_money_of_all_levels_and_periods(void **state)
{
	struct record rec;

	(void)state;
	entered_under(ALL_PERIODS("1"), ALL_PERIODS("1"), ALL_PERIODS("1"));
	assert_int_equal(r->terms->budget_count, 9);
	reserved(2000000, 100000);
	assert_int_equal(month("org:acme").reserved_nano_eur, 2000000);
	assert_int_equal(month("assistant:acme/support").reserved_nano_eur, 2000000);
	assert_int_equal(month("key:a").reserved_nano_eur, 2000000);
	rec = last_record();
	assert_int_equal(rec.reserve.scope_count, 9);
	/* In the order of making, which is the ledger's. */
	assert_true(str_is(rec.reserve.scope[0].scope, "org:acme"));
	assert_true(str_is(rec.reserve.scope[3].scope, "assistant:acme/support"));
	assert_true(str_is(rec.reserve.scope[8].scope, "key:a"));
	assert_true(key_top_up(r, 500000));
	assert_int_equal(month("org:acme").reserved_nano_eur, 2500000);
	request_attempt(r)->has_usage = true;
	request_attempt(r)->usage.input = 700;
	key_settle(r, request_attempt(r));
	assert_int_equal(last_record().settle.scope_count, 9);
	assert_int_equal(month("org:acme").spent_nano_eur, 700000);
	assert_int_equal(month("assistant:acme/support").spent_nano_eur, 700000);
	assert_int_equal(month("key:a").spent_nano_eur, 700000);
	assert_int_equal(ledger_reserved_total(ledger), 0);
}

static void
what_no_level_has_room_for_is_held_of_none(void **state)
{
	(void)state;
	entered_under("{\"budget_monthly_eur\":0.001}", "{\"budget_monthly_eur\":1}",
	    "{\"budget_monthly_eur\":1}");
	assert_int_equal(key_admit(r), STEP_NEXT);
	reserved(700000, 0);
	new_attempt(700000, 0);
	assert_fault(key_reserve(r), FAULT_BUDGET_RESERVED,
	    "the month budget of the organization 'acme', 0.001 EUR, is filled");
	assert_int_equal(month("key:a").reserved_nano_eur, 700000);
	assert_int_equal(month("assistant:acme/support").reserved_nano_eur, 700000);
	r->attempt_count = 1;
	assert_false(key_top_up(r, 400000));
	assert_int_equal(month("key:a").reserved_nano_eur, 700000);
	request_attempt(r)->has_usage = true;
	request_attempt(r)->usage.input = 700;
	key_settle(r, request_attempt(r));
	new_attempt(700000, 0);
	assert_fault(key_reserve(r), FAULT_BUDGET_SPENT,
	    "the month budget of the organization 'acme' is spent");
	assert_int_equal(ledger_reserved_total(ledger), 0);
	key_release(r);
	assert_int_equal(told_count("budget.exceeded", "org:acme"), 1);
	assert_int_equal(told_count("budget.exceeded", "key:a"), 0);
}

static void
a_refusal_says_whose_budget_is_spent(void **state)
{
	(void)state;
	entered_under("{}", "{\"budget_monthly_eur\":0}", "{\"budget_monthly_eur\":1}");
	assert_fault(key_admit(r), FAULT_BUDGET_SPENT,
	    "the month budget of the assistant 'support' is spent");
	key_release(r);
	entered_under("{}", "{}", "{\"budget_monthly_eur\":0}");
	assert_fault(
	    key_admit(r), FAULT_BUDGET_SPENT, "the month budget of this key is spent");
	key_release(r);
	entered_under("{\"budgets\":[{\"period\":\"day\",\"eur\":0}]}", "{}", "{}");
	assert_fault(key_admit(r), FAULT_BUDGET_SPENT,
	    "the day budget of the organization 'acme' is spent");
	key_release(r);
}

static void
two_keys_share_their_organisations_budget_and_its_alerts(void **state)
{
	(void)state;
	put_profile("acme", NULL,
	    "{\"budgets\":[{\"period\":\"month\",\"eur\":0.001,\"alert_pct\":[50,100]}]"
	    "}");
	entered("{\"organization\":\"acme\"}");
	reserved(600000, 0);
	request_attempt(r)->has_usage = true;
	request_attempt(r)->usage.input = 600;
	key_settle(r, request_attempt(r));
	assert_int_equal(told_count("budget.threshold", "scope\":\"org:acme\""), 1);
	put_key("b", "sesame-b", "{\"organization\":\"acme\"}", false, false);
	new_request();
	field("authorization", "Bearer sesame-b");
	assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
	new_attempt(600000, 0);
	assert_fault(key_reserve(r), FAULT_BUDGET_SPENT, "organization 'acme'");
	r->attempt_count = 0;
	reserved(400000, 0);
	request_attempt(r)->has_usage = true;
	request_attempt(r)->usage.input = 400;
	key_settle(r, request_attempt(r));
	assert_int_equal(told_count("budget.exceeded", "org:acme"), 1);
	assert_int_equal(month("org:acme").spent_nano_eur, 1000000);
}

static void
a_model_without_price_is_not_served_when_any_level_has_a_budget(void **state)
{
	(void)state;
	entered_under("{\"budget_monthly_eur\":1}", "{}", "{}");
	new_attempt(-1, -1);
	assert_fault(key_reserve(r), FAULT_MODEL_UNPRICED, "a budget binds this key");
}

static void
test_keys_spend_play_money_at_every_level(void **state)
{
	(void)state;
	put_profile("acme", NULL, "{\"budget_monthly_eur\":0.001}");
	put_key("t", "sesame-t", "{\"organization\":\"acme\",\"budget_monthly_eur\":1}",
	    true, false);
	new_request();
	field("authorization", "Bearer sesame-t");
	assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
	reserved(600000, 0);
	assert_int_equal(month("test-org:acme").reserved_nano_eur, 600000);
	assert_int_equal(month("test:t").reserved_nano_eur, 600000);
	assert_int_equal(month("org:acme").reserved_nano_eur, 0);
	assert_int_equal(month("test-org:acme").limit_nano_eur, 1000000);
	new_attempt(600000, 0);
	assert_fault(key_reserve(r), FAULT_BUDGET_RESERVED,
	    "test month budget of the "
	    "organization 'acme'");
	r->attempt_count = 1;
	key_settle(r, request_attempt(r));
}

static void
plugins_and_policies_see_each_scopes_tightest_budget(void **state)
{
	lz_budget b = { .size = sizeof b };

	(void)state;
	entered_under("{\"budget_monthly_eur\":0.005}",
	    "{\"budgets\":[{\"period\":\"day\",\"eur\":0.003},{\"period\":\"month\","
	    "\"eur\":9}]}",
	    "{}");
	assert_false(key_budget(r, LZ_OF_KEY, &b));
	assert_true(key_budget(r, LZ_OF_ASSISTANT, &b));
	assert_int_equal(b.scope, LZ_OF_ASSISTANT);
	assert_int_equal(b.limit, 3000000);
	assert_true(key_budget(r, LZ_OF_ORGANIZATION, &b));
	assert_int_equal(b.limit, 5000000);
	assert_true(key_budget(r, REQUEST_ANY_BUDGET, &b));
	assert_int_equal(b.scope, LZ_OF_ASSISTANT);
	reserved(2900000, 0);
	assert_true(key_budget(r, REQUEST_ANY_BUDGET, &b));
	assert_int_equal(b.reserved, 2900000);
	key_settle(r, request_attempt(r));
}

/* ---- changes ---- */

static void
a_change_is_for_the_next_request(void **state)
{
	(void)state;
	entered_under("{\"budget_monthly_eur\":1}", "{}", "{}");
	reserved(700000, 0);
	put_profile("acme", NULL, "{}"); /* the budget goes while money is held of it */
	assert_int_equal(r->terms->budget_count, 1);
	request_attempt(r)->has_usage = true;
	request_attempt(r)->usage.input = 700;
	key_settle(r, request_attempt(r));
	assert_int_equal(month("org:acme").spent_nano_eur, 700000);
	assert_int_equal(month("org:acme").limit_nano_eur, -1);
	new_request();
	field("authorization", "Bearer sesame");
	assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
	assert_int_equal(r->terms->budget_count, 0);
	put_profile("acme", NULL, "{\"budget_monthly_eur\":1}");
	assert_int_equal(month("org:acme").spent_nano_eur, 700000); /* not forgotten */
}

static void
keys_of_what_is_disabled_or_gone_are_refused(void **state)
{
	struct err e = { "" };
	json_t *none = json_object();
	struct profile_wanted w = {
		.organization = STR_LIT("acme"), .settings = none, .is_disabled = true
	};

	(void)state;
	put_key("a", "sesame", "{\"organization\":\"acme\",\"assistant\":\"support\"}",
	    false, false);
	for (int i = 0; i < 4; i++) {
		static const char *const says[] = {
			"the organization 'acme' of this API key does not exist any more",
			"the assistant 'acme/support' of this API key does not exist",
			"the organization 'acme' of this API key is disabled",
			"the assistant 'acme/support' of this API key does not exist"
		};

		if (i == 1)
			put_profile("acme", NULL, "{}");
		if (i == 2)
			assert_int_equal(
			    profiles_put(keys_profiles(keys), &w, &e), ST_OK);
		if (i == 3) {
			put_profile("acme", NULL, "{}");
			put_profile("acme", "support", "{}");
			assert_int_equal(
			    profiles_remove(keys_profiles(keys), STR_LIT("acme/support")),
			    ST_OK);
		}
		new_request();
		field("authorization", "Bearer sesame");
		assert_fault(key_authenticate(r, keys), FAULT_INVALID_KEY, says[i]);
		assert_null(r->key);
		assert_null(r->terms);
	}
	json_decref(none);
}

static void
default_is_always_there(void **state)
{
	struct profiles *p = keys_profiles(keys);

	(void)state;
	put_profile("default", NULL, "{\"rate_limit\":7}");
	entered("{}");
	assert_int_equal(r->terms->rate_limit, 7);
	assert_int_equal(profiles_remove(p, STR_LIT("default")), ST_OK);
	entered("{}");
	assert_int_equal(r->terms->rate_limit, -1);
	assert_int_equal(profiles_remove(p, STR_LIT("nobody")), ST_NOT_FOUND);
	assert_int_equal(profiles_remove(p, STR_LIT("no/such/thing")), ST_NOT_FOUND);
}

static void
names_and_settings_are_checked_before_anything_changes(void **state)
{
	static const struct {
		const char *organization, *assistant, *settings;
	} cases[] = { { "Acme", NULL, "{}" }, { "", NULL, "{}" }, { "a/b", NULL, "{}" },
		{ "acme", "", "{}" }, { "acme", "B", "{}" },
		{ "acme", NULL, "{\"rate_limit\":-1}" },
		{ "acme", NULL, "{\"expires_at\":\"2027-01-01\"}" },
		{ "acme", "a", "{\"organization\":\"b\"}" }, { "acme", NULL, "[]" } };

	(void)state;
	put_profile("acme", NULL, "{\"rate_limit\":7}");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = { "" };
		json_t *j = json_parse(lz_strz(cases[i].settings), NULL);
		struct profile_wanted w = { .organization =
						lz_strz(cases[i].organization),
			.assistant = cases[i].assistant != NULL
					 ? lz_strz(cases[i].assistant)
					 : STR_NONE,
			.settings = j };

		assert_int_equal(profiles_put(keys_profiles(keys), &w, &e), ST_INVALID);
		assert_string_not_equal(e.text, "");
		json_decref(j);
	}
	entered("{\"organization\":\"acme\"}");
	assert_int_equal(r->terms->rate_limit, 7);
}

static void
a_thousand_organisations_are_found_by_name(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "org-%d", i);
		put_profile(name, NULL, "{}");
		put_profile(name, "a", "{}");
	}
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "org-%d/a", i);
		assert_non_null(profiles_get(keys_profiles(keys), lz_strz(name)));
	}
	assert_null(profiles_get(keys_profiles(keys), STR_LIT("org-1000")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_nearest_level_that_says_a_number_decides),
		TEST(a_burst_goes_with_the_rate_it_was_written_for),
		TEST(unlimited_lifts_no_number_above),
		TEST(every_level_may_lower_what_is_logged_and_none_may_raise_it),
		TEST(a_request_knows_whose_it_is_and_takes_its_assistants_model),
		TEST(a_model_must_be_in_every_allowlist),
		TEST(one_reservation_holds_money_of_all_levels_and_periods),
		TEST(what_no_level_has_room_for_is_held_of_none),
		TEST(a_refusal_says_whose_budget_is_spent),
		TEST(two_keys_share_their_organisations_budget_and_its_alerts),
		TEST(a_model_without_price_is_not_served_when_any_level_has_a_budget),
		TEST(test_keys_spend_play_money_at_every_level),
		TEST(plugins_and_policies_see_each_scopes_tightest_budget),
		TEST(a_change_is_for_the_next_request),
		TEST(keys_of_what_is_disabled_or_gone_are_refused),
		TEST(default_is_always_there),
		TEST(names_and_settings_are_checked_before_anything_changes),
		TEST(a_thousand_organisations_are_found_by_name),
	};

	json_start();
	loop_start();
	fault_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
