/* test_key_stage.c - a request before and after its call: who it is, whether it may, what
 * it owes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key_scene.h"

/* ---- authenticate ---- */

static void
a_key_comes_in_any_of_four_fields(void **state)
{
	static const char *const names[] = { "x-api-key", "api-key", "x-goog-api-key" };

	(void)state;
	entered("{}");
	assert_true(str_is(r->key->id, "a"));
	assert_int_equal(atomic_load(&r->key->live->last_used_unix_ms), start_ms);
	for (size_t i = 0; i < 3; i++) {
		new_request();
		field(names[i], "sesame");
		assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
	}
	new_request();
	field("authorization", "bEARER   sesame");
	assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
}

static void
refused(const char *name, const char *value, const char *says)
{
	int64_t before = metric_sum(METRIC_UNAUTHENTICATED);

	new_request();
	if (name != NULL)
		field(name, value);
	assert_fault(key_authenticate(r, keys), FAULT_INVALID_KEY, says);
	assert_null(r->key);
	assert_int_equal(metric_sum(METRIC_UNAUTHENTICATED), before + 1);
	if (value != NULL && strlen(value) > 8)
		assert_null(strstr(r->fault_message.ptr, value));
}

static void
what_is_no_credential_is_refused_with_a_sentence(void **state)
{
	static char long_one[KEYS_SECRET_BYTES + 2];

	(void)state;
	put_key("a", "sesame", "{}", false, false);
	memset(long_one, 'x', sizeof(long_one) - 1);
	refused(NULL, NULL, "no API key was sent");
	refused("authorization", "Basic c2VzYW1lCg==", "not of the scheme Bearer");
	refused("authorization", "sesame", "not of the scheme Bearer");
	refused("authorization", "", "not of the scheme Bearer");
	refused("authorization", "Bearer", "not of the scheme Bearer");
	refused("authorization", "Bearersesame", "not of the scheme Bearer");
	refused("authorization", "Bearer\tsesame", "not of the scheme Bearer");
	refused("authorization", "Bearer ", "empty");
	refused("authorization", "Bearer open sesame", "characters that no key has");
	refused("x-api-key", "", "empty");
	refused("x-api-key", "ses\xc3\xa4me", "characters");
	refused("x-api-key", "ses\x7fme", "characters");
	refused("x-api-key", "ses\tme", "characters");
	refused("x-api-key", long_one, "too long");
	refused("x-api-key", "sesamE", "not known here");
	refused("authorization", "Bearer lz_live_0123456789abcdefghijklmnopqrstuv000000",
	    "mistyped");
	refused("authorization", "Bearer lz_test_", "mistyped");
}

static void
two_credentials_are_one_too_many(void **state)
{
	(void)state;
	put_key("a", "sesame", "{}", false, false);
	new_request();
	field("authorization", "Bearer sesame");
	field("authorization", "Bearer sesame");
	assert_fault(
	    key_authenticate(r, keys), FAULT_INVALID_KEY, "more than one credential");
	new_request();
	field("authorization", "Bearer sesame");
	field("x-goog-api-key", "sesame");
	assert_fault(
	    key_authenticate(r, keys), FAULT_INVALID_KEY, "more than one credential");
	assert_null(strstr(r->fault_message.ptr, "sesame"));
}

static void
a_disabled_or_expired_key_is_refused_and_says_so(void **state)
{
	(void)state;
	put_key("a", "sesame", "{}", false, true);
	refused("x-api-key", "sesame", "disabled");
	put_key("a", "sesame", "{\"expires_at\":\"2026-10-28T00:00:00Z\"}", false, false);
	go_to(start_ms + INT64_C(7) * 86400000 - 1);
	new_request();
	field("x-api-key", "sesame");
	assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
	assert_int_equal(told_count("key.expiring", "2026-10-28"), 1);
	go_to(start_ms + INT64_C(7) * 86400000);
	refused("x-api-key", "sesame", "expired at 2026-10-28T00:00:00.000Z");
	assert_int_equal(told_count("key.expiring", ""), 1);
}

static void
an_expiry_is_announced_in_its_last_week_and_once(void **state)
{
	(void)state;
	put_key("a", "sesame", "{\"expires_at\":\"2026-10-28T00:00:01Z\"}", false, false);
	for (int i = 0; i < 3; i++) {
		go_to(start_ms + i * 1000);
		new_request();
		field("x-api-key", "sesame");
		assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
		assert_int_equal(told_count("key.expiring", ""), i > 0);
	}
}

static void
a_key_that_is_made_for_a_moment_is_not_announced_to_expire(void **state)
{
	static const char *const ends[] = { "2026-10-21T00:10:00Z",
		"2026-10-21T00:10:01Z" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		char text[60], id[2] = { (char)('a' + i), '\0' };

		(void)snprintf(text, sizeof(text), "{\"expires_at\":\"%s\"}", ends[i]);
		put_key(id, id, text, false, false);
		new_request();
		field("x-api-key", id);
		assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
		assert_int_equal(told_count("key.expiring", ""), i);
	}
	/* Who makes it last longer hears of its end. */
	put_key("a", "a", "{\"expires_at\":\"2026-10-22T00:00:00Z\"}", false, false);
	new_request();
	field("x-api-key", "a");
	assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
	assert_int_equal(told_count("key.expiring", ""), 2);
}

static enum step
from(const char *peer, const char *forwarded)
{
	new_request();
	field("x-api-key", "sesame");
	if (forwarded != NULL)
		field("x-forwarded-for", forwarded);
	assert_int_equal(net_addr_parse(lz_strz(peer), &exchange.peer, NULL), ST_OK);
	return key_authenticate(r, keys);
}

static void
a_key_may_be_bound_to_addresses(void **state)
{
	(void)state;
	put_key("a", "sesame", "{\"allowed_ips\":[\"10.1.0.0/16\",\"2001:db8::/32\"]}",
	    false, false);
	assert_int_equal(from("10.1.2.3:1", NULL), STEP_NEXT);
	assert_int_equal(from("[2001:db8::9]:1", NULL), STEP_NEXT);
	assert_int_equal(from("[::ffff:10.1.2.3]:1", NULL), STEP_NEXT);
	assert_fault(
	    from("10.2.0.1:1", NULL), FAULT_INVALID_KEY, "not be used from your address");
	/* Anybody can write this field; only proxies of ours are believed. */
	assert_fault(from("10.2.0.1:1", "10.1.2.3"), FAULT_INVALID_KEY, "your address");
}

static void
behind_trusted_proxies_the_last_untrusted_hop_counts(void **state)
{
	(void)state;
	put_key("a", "sesame", "{\"allowed_ips\":[\"10.1.0.0/16\"]}", false, false);
	assert_int_equal(
	    net_range_parse(STR_LIT("172.16.0.0/12"), &config.trusted_proxy[0], NULL),
	    ST_OK);
	config.trusted_proxy_count = 1;
	assert_int_equal(from("172.16.0.1:1", "10.1.2.3"), STEP_NEXT);
	assert_int_equal(from("172.16.0.1:1", "10.1.2.3:5678, 172.17.0.1"), STEP_NEXT);
	assert_int_equal(
	    from("172.16.0.1:1", "8.8.8.8, 10.1.2.3 ,[::ffff:172.17.0.1]:80, 172.16.0.9"),
	    STEP_NEXT);
	/* A client that writes a hop itself is still the last one that a proxy saw. */
	assert_fault(
	    from("172.16.0.1:1", "10.1.2.3, 8.8.8.8"), FAULT_INVALID_KEY, "your address");
	assert_fault(
	    from("172.16.0.1:1", "10.1.2.3, unknown"), FAULT_INVALID_KEY, "your address");
	assert_fault(
	    from("172.16.0.1:1", "10.1.2.3/8"), FAULT_INVALID_KEY, "your address");
	assert_fault(from("172.16.0.1:1", NULL), FAULT_INVALID_KEY, "your address");
	assert_fault(from("172.16.0.1:1", ", ,"), FAULT_INVALID_KEY, "your address");
	/* Several fields are one list, in order. */
	new_request();
	field("x-api-key", "sesame");
	field("x-forwarded-for", "8.8.8.8");
	field("x-forwarded-for", "10.1.2.3, 172.16.0.4");
	assert_int_equal(
	    net_addr_parse(STR_LIT("172.16.0.1:1"), &exchange.peer, NULL), ST_OK);
	assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
}

static void
a_request_knows_whose_it_is_and_only_once_that_is_certain(void **state)
{
	(void)state;
	put_key("a", "sesame", "{\"metadata\":{\"team\":\"billing\"}}", true, false);
	new_request();
	field("x-api-key", "wrong");
	assert_int_equal(key_authenticate(r, keys), STEP_FAULT);
	assert_null(r->caller.key.ptr);
	assert_null(r->caller.metadata);
	new_request();
	field("x-api-key", "sesame");
	assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
	assert_true(lz_eq(r->caller.key, "a"));
	assert_true(lz_eq(r->caller.organization, "default"));
	assert_true(r->caller.is_test);
	assert_string_equal(
	    json_string_value(json_object_get(r->caller.metadata, "team")), "billing");
}

static void
logging_may_only_be_lowered(void **state)
{
	(void)state;
	entered("{}");
	assert_int_equal(r->log_content, LOG_CONTENT_FULL);
	entered("{\"log_content\":\"off\"}");
	assert_int_equal(r->log_content, LOG_CONTENT_OFF);
	config.log_content = LOG_CONTENT_META;
	entered("{\"log_content\":\"full\"}");
	assert_int_equal(r->log_content, LOG_CONTENT_META);
	config.log_content = LOG_CONTENT_INHERIT;
	entered("{}");
	assert_int_equal(r->log_content, LOG_CONTENT_FULL);
}

/* ---- admit ---- */

static void
a_rate_is_counted_shown_and_refused(void **state)
{
	(void)state;
	entered("{}");
	assert_int_equal(key_admit(r), STEP_NEXT);
	assert_int_equal(r->rate_limit, -1);
	key_release(r);
	for (int i = 0; i < 2; i++) {
		entered("{\"rate_limit\":2}");
		assert_int_equal(key_admit(r), STEP_NEXT);
		key_release(r);
		assert_int_equal(r->rate_limit, 2);
		assert_int_equal(r->rate_remaining, 1 - i);
		assert_int_equal(r->rate_reset_ms, 30000 * (i + 1));
	}
	entered("{\"rate_limit\":2}");
	assert_fault(key_admit(r), FAULT_RATE_LIMIT, "2 requests per minute");
	assert_int_equal(r->retry_after_s, 30);
	assert_int_equal(r->rate_remaining, 0);
	key_release(r);
	assert_int_equal(told_count("quota.rate_limited", "rate_limit"), 1);
	entered("{\"rate_limit\":0}");
	assert_fault(key_admit(r), FAULT_RATE_LIMIT, "0 requests");
	key_release(r);
	assert_int_equal(atomic_load(&r->key->live->in_flight), 0);
}

static void
places_in_flight_are_given_back_once(void **state)
{
	struct key_live *live;

	(void)state;
	entered("{\"max_in_flight\":1}");
	live = r->key->live;
	assert_int_equal(key_admit(r), STEP_NEXT);
	assert_int_equal(atomic_load(&live->in_flight), 1);
	key_release(r);
	key_release(r);
	assert_int_equal(atomic_load(&live->in_flight), 0);
	atomic_store(&live->in_flight, 1);
	entered("{\"max_in_flight\":1}");
	assert_fault(key_admit(r), FAULT_RATE_LIMIT, "in flight");
	key_release(r);
	assert_int_equal(atomic_load(&live->in_flight), 1);
	assert_int_equal(told_count("quota.concurrency", ""), 1);
	atomic_store(&live->in_flight, 0);
}

static void
tokens_are_held_by_estimate_and_settled_by_use(void **state)
{
	static const char text[] =
	    "{\"tokens_per_minute\":1000,\"max_output_tokens\":500}";

	(void)state;
	entered(text);
	r->max_tokens = 4000;
	assert_int_equal(key_admit(r), STEP_NEXT);
	assert_int_equal(r->tokens_held, 600);
	new_attempt(0, 0)->usage = (struct record_usage){ 80, 10, 10, 100, 50 };
	key_release(r); /* 200 used */
	entered(text);
	r->prompt_tokens = 801;
	assert_fault(key_admit(r), FAULT_RATE_LIMIT, "fits in 1 s");
	key_release(r);
	entered(text);
	r->prompt_tokens = 800;
	assert_int_equal(key_admit(r), STEP_NEXT);
	key_release(r); /* nothing used */
	entered(text);
	r->prompt_tokens = 1001;
	assert_fault(key_admit(r), FAULT_RATE_LIMIT, "send less");
	assert_int_equal(r->retry_after_s, 60);
	key_release(r);
	/* Each choice may be as long. */
	go_to(start_ms + 60000);
	entered("{\"tokens_per_minute\":1000}");
	r->max_tokens = 100;
	r->choices = 3;
	assert_int_equal(key_admit(r), STEP_NEXT);
	assert_int_equal(r->tokens_held, 100 + 3 * 100);
	key_release(r);
	/* A generous max_tokens is no reason to be refused for ever. */
	go_to(start_ms + 120000);
	entered("{\"tokens_per_minute\":1000}");
	r->max_tokens = INT32_MAX;
	r->choices = 128;
	assert_int_equal(key_admit(r), STEP_NEXT);
	assert_int_equal(r->tokens_held, 1000);
	key_release(r);
}

static void
only_models_of_the_allowlist_may_be_asked_for(void **state)
{
	(void)state;
	entered("{\"model_allowlist\":[\"gpt-4o\",\"claude-*\"]}");
	assert_int_equal(key_admit(r), STEP_NEXT);
	assert_true(key_allows(r, STR_LIT("claude-3-5-sonnet-20241022")));
	assert_false(key_allows(r, STR_LIT("gpt-4o-mini")));
	assert_true(key_allows(r, STR_LIT("latenza/cheapest")));
	assert_false(key_allows(r, STR_LIT("latenza")));
	r->model = STR_LIT("gpt-4o-mini");
	assert_fault(key_admit(r), FAULT_MODEL_NOT_ALLOWED, "'gpt-4o-mini'");
	assert_true(str_is(r->fault_param, "model"));
	entered("{\"model_allowlist\":[]}");
	assert_fault(key_admit(r), FAULT_MODEL_NOT_ALLOWED, "");
	entered("{}");
	assert_true(key_allows(r, STR_LIT("anything")));
	r->model = STR_NONE; /* a route without one */
	assert_int_equal(key_admit(r), STEP_NEXT);
}

/* ---- money ---- */

static void
a_reservation_is_written_before_the_call(void **state)
{
	struct record rec;

	(void)state;
	entered("{\"budget_monthly_eur\":0.01,\"budgets\":[{\"period\":\"day\",\"eur\":0."
		"005}]}");
	reserved(2000000, 100000);
	assert_int_equal(month("key:a").reserved_nano_eur, 2000000);
	rec = last_record();
	assert_int_equal(rec.type, RECORD_RESERVE);
	assert_memory_equal(rec.reserve.trace_id, r->id, RECORD_ID_BYTES);
	assert_int_equal(rec.reserve.at_unix_ms, start_ms);
	assert_int_equal(rec.reserve.bound_nano_eur, 2000000);
	assert_int_equal(rec.reserve.input_nano_eur, 100000);
	assert_true(str_is(rec.reserve.key, "a"));
	assert_true(str_is(rec.reserve.provider, "openai"));
	assert_true(str_is(rec.reserve.model, "gpt-4o"));
	assert_int_equal(rec.reserve.scope_count, 2);
	assert_true(str_is(rec.reserve.scope[0].scope, "key:a"));
	assert_true(str_is(rec.reserve.scope[0].period, "month:2026-10"));
	assert_true(str_is(rec.reserve.scope[1].period, "day:2026-10-21"));
	key_settle(r, request_attempt(r));
	assert_int_equal(ledger_reserved_total(ledger), 0);
}

static void
an_attempt_that_no_budget_binds_is_written_too(void **state)
{
	struct record rec;

	(void)state;
	entered("{}");
	reserved(-1, -1);
	rec = last_record();
	assert_int_equal(rec.type, RECORD_RESERVE);
	assert_int_equal(rec.reserve.bound_nano_eur, 0);
	assert_int_equal(rec.reserve.input_nano_eur, 0);
	assert_int_equal(rec.reserve.scope_count, 0);
	key_settle(r, request_attempt(r));
	assert_int_equal(last_record().settle.state, CHARGE_RELEASED);
}

static void
a_budget_that_is_filled_is_told_from_one_that_is_spent(void **state)
{
	struct attempt *first;

	(void)state;
	entered("{\"budget_monthly_eur\":0.001}");
	assert_int_equal(key_admit(r), STEP_NEXT);
	first = reserved(700000, 0);
	new_attempt(700000, 0);
	assert_fault(key_reserve(r), FAULT_BUDGET_RESERVED, "0.0007 EUR reserved");
	assert_false(r->attempt[1]->is_open);
	first->has_usage = true;
	first->usage.input = 700;
	key_settle(r, first);
	assert_int_equal(month("key:a").spent_nano_eur, 700000);
	assert_fault(key_reserve(r), FAULT_BUDGET_SPENT,
	    "0.0007 of 0.001 EUR spent; it begins anew at 2026-11-01");
	assert_int_equal(told_count("budget.exceeded", ""), 0);
	key_release(r);
	assert_int_equal(told_count("budget.exceeded", "key:a"), 1);
	/* What is spent to the last is refused before anything else is asked. */
	r->attempt_count = 0;
	first = reserved(300000, 0);
	first->has_usage = true;
	first->usage.input = 300;
	key_settle(r, first);
	assert_fault(key_admit(r), FAULT_BUDGET_SPENT, "month budget");
	key_release(r);
	assert_int_equal(told_count("budget.exceeded", ""), 1);
}

static void
a_model_without_price_is_not_served_on_a_budget(void **state)
{
	(void)state;
	entered("{\"budget_monthly_eur\":1}");
	new_attempt(-1, -1);
	assert_fault(key_reserve(r), FAULT_MODEL_UNPRICED, "'gpt-4o'");
	assert_int_equal(ledger_reserved_total(ledger), 0);
}

static void
storage_that_fails_gives_the_money_back(void **state)
{
	struct attempt *a;

	(void)state;
	entered("{\"budget_monthly_eur\":1}");
	a = reserved(1000, 100);
	assert_fault(key_reserve_failed(r), FAULT_STORAGE_FULL, "calls no provider");
	assert_false(a->is_open);
	assert_int_equal(a->state, CHARGE_RELEASED);
	assert_int_equal(ledger_reserved_total(ledger), 0);
	key_settle(r, a); /* returns at once */
	assert_int_equal(last_record().type, RECORD_RESERVE);
}

static ssize_t
write_nothing(int fd, const void *p, size_t n)
{
	(void)fd;
	(void)p;
	(void)n;
	errno = ENOSPC;
	return -1;
}

static void
while_storage_fails_nothing_is_reserved_and_settlements_wait(void **state)
{
	struct attempt *a;

	(void)state;
	entered("{\"budget_monthly_eur\":1}");
	a = reserved(1000, 100);
	a->was_sent = true;
	assert_int_equal(spool_flush(worker.spool), ST_OK);
	io.write = write_nothing;
	new_attempt(1000, 100);
	assert_int_equal(key_reserve(r), STEP_BARRIER); /* nobody has noticed yet */
	assert_int_not_equal(spool_flush(worker.spool), ST_OK);
	assert_fault(key_reserve_failed(r), FAULT_STORAGE_FULL, "");
	new_attempt(1000, 100);
	assert_fault(key_reserve(r), FAULT_STORAGE_FULL, "cannot write its ledger");
	assert_int_equal(month("key:a").reserved_nano_eur, 1000);
	key_settle(r, a);
	assert_int_equal(month("key:a").spent_nano_eur, 100);
	assert_int_equal(ledger_reserved_total(ledger), 0);
	io = system_io;
	assert_int_equal(last_record().type, RECORD_SETTLE);
}

static int
fail_always(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return 1;
}

static void
without_memory_for_a_new_month_the_request_may_come_again(void **state)
{
	(void)state;
	entered("{\"budget_monthly_eur\":1}");
	go_to(start_ms + INT64_C(20) * 86400000);
	new_attempt(1000, 100);
	mem_set_fault(fail_always, NULL);
	assert_fault(key_reserve(r), FAULT_OVERLOADED, "memory");
	mem_set_fault(NULL, NULL);
	assert_int_equal(key_reserve(r), STEP_BARRIER);
	key_settle(r, request_attempt(r));
}

static void
a_top_up_raises_the_bound_while_there_is_money(void **state)
{
	struct attempt *a;

	(void)state;
	entered("{\"budget_monthly_eur\":0.001}");
	a = reserved(400000, 0);
	assert_true(key_top_up(r, 600000));
	assert_int_equal(a->bound_nano_eur, 1000000);
	assert_false(key_top_up(r, 1));
	key_settle(r, a);
	assert_false(key_top_up(r, 1));
	assert_int_equal(ledger_reserved_total(ledger), 0);
}

static void
a_top_up_is_written_and_given_back_if_it_cannot_be(void **state)
{
	struct attempt *a;
	struct record rec;

	(void)state;
	entered("{\"budget_monthly_eur\":0.001}");
	a = reserved(400000, 0);
	assert_true(key_top_up(r, 100000));
	rec = last_record();
	assert_int_equal(rec.type, RECORD_RAISE);
	assert_memory_equal(rec.raise.trace_id, r->id, RECORD_ID_BYTES);
	assert_int_equal(rec.raise.attempt, a->number);
	assert_int_equal(rec.raise.bound_nano_eur, 500000);
	io.write = write_nothing;
	assert_true(key_top_up(r, 100000)); /* nobody has noticed yet */
	assert_int_not_equal(spool_flush(worker.spool), ST_OK);
	assert_false(key_top_up(r, 100000));
	assert_int_equal(a->bound_nano_eur, 600000);
	assert_int_equal(month("key:a").reserved_nano_eur, 600000);
	io = system_io;
	assert_int_equal(last_record().raise.bound_nano_eur, 600000);
	key_settle(r, a);
	assert_int_equal(ledger_reserved_total(ledger), 0);
}

static void
the_budget_with_least_left_is_shown(void **state)
{
	lz_budget b = { .size = sizeof(b) };

	(void)state;
	entered("{}");
	assert_false(key_budget(r, LZ_OF_KEY, &b));
	entered(
	    "{\"budget_monthly_eur\":1,\"budgets\":[{\"period\":\"day\",\"eur\":0.5}]}");
	assert_false(key_budget(r, LZ_OF_ORGANIZATION, &b));
	assert_true(key_budget(r, LZ_OF_KEY, &b));
	assert_int_equal(b.limit, 500000000);
	assert_int_equal(b.spent, 0);
	assert_int_equal(b.scope, LZ_OF_KEY);
	assert_int_equal(b.size, sizeof(b));
	assert_int_equal(b.resets_at_unix, start_ms / 1000 + 86400);
}

/* ---- settlement ---- */

static struct attempt *
sent(void)
{
	struct attempt *a;

	entered("{\"budget_monthly_eur\":1}");
	a = reserved(3000000, 100000);
	a->was_sent = true;
	return a;
}

static void
assert_charged(struct attempt *a, enum charge_state st, int64_t cost)
{
	int64_t before = month("key:a").spent_nano_eur;
	struct record rec;

	key_settle(r, a);
	assert_int_equal(a->state, st);
	assert_int_equal(a->cost_nano_eur, cost);
	assert_false(a->is_open);
	assert_int_equal(month("key:a").spent_nano_eur - before, cost > 0 ? cost : 0);
	assert_int_equal(ledger_reserved_total(ledger), 0);
	rec = last_record();
	assert_int_equal(rec.type, RECORD_SETTLE);
	assert_int_equal(rec.settle.state, st);
	assert_int_equal(rec.settle.cost_nano_eur, cost);
	assert_int_equal(rec.settle.attempt, a->number);
	assert_memory_equal(&rec.settle.usage, &a->usage, sizeof(a->usage));
	assert_int_equal(rec.settle.scope_count, 1);
	assert_true(str_is(rec.settle.scope[0].period, "month:2026-10"));
	key_settle(r, a); /* once */
	assert_int_equal(month("key:a").spent_nano_eur - before, cost > 0 ? cost : 0);
}

static void
what_the_provider_counted_is_charged(void **state)
{
	int64_t cost = metric_sum(METRIC_COST), tokens = metric_sum(METRIC_TOKENS_OUTPUT);
	struct attempt *a = sent();
	struct record_settle s;

	(void)state;
	a->status = 200;
	a->has_usage = true;
	a->usage = (struct record_usage){ 60, 30, 10, 20, 5 };
	assert_charged(a, CHARGE_ACTUAL, 60000 + 15000 + 10000 + 80000);
	s = last_record().settle;
	assert_int_equal(s.price_input, 1000000);
	assert_int_equal(s.price_output, 4000000);
	assert_int_equal(s.price_cache_read, 500000);
	assert_int_equal(s.price_cache_write, -1);
	assert_int_equal(s.fx_nano, 1000000000);
	assert_true(str_is(s.fx_date, "2026-11-20"));
	assert_int_equal(metric_sum(METRIC_COST) - cost, 165000);
	assert_int_equal(metric_sum(METRIC_TOKENS_OUTPUT) - tokens, 20);
}

static void
what_is_cached_for_an_hour_is_charged_at_its_own_price(void **state)
{
	struct attempt *a = sent();

	(void)state;
	model.price_cache_write = 1250000;
	model.price_cache_write_1h = 2000000;
	a->has_usage = true;
	a->usage = (struct record_usage){ 60, 0, 10, 0, 0 };
	a->cache_write_1h = 4;
	assert_charged(a, CHARGE_ACTUAL, 60000 + 6 * 1250 + 4 * 2000);
	/* The charge is its tokens at the prices that it names. */
	assert_int_equal(last_record().settle.price_cache_write, 1550000);
	a = sent();
	a->has_usage = true;
	a->usage = (struct record_usage){ 60, 0, 10, 0, 0 };
	a->cache_write_1h = 11; /* more than there are: then all of them */
	assert_charged(a, CHARGE_ACTUAL, 60000 + 10 * 2000);
}

static void
usage_of_zero_is_a_value(void **state)
{
	struct attempt *a = sent();

	(void)state;
	a->has_usage = true;
	a->delivered_bytes = 15;
	assert_charged(a, CHARGE_ACTUAL, 0);
}

static void
fewer_tokens_than_any_text_has_are_not_believed(void **state)
{
	struct attempt *a = sent();

	(void)state;
	a->has_usage = true;
	a->delivered_bytes = 3200;
	a->usage.output = 25;
	assert_charged(a, CHARGE_ACTUAL, 25 * 4000);
	a = sent();
	a->has_usage = true;
	a->delivered_bytes = 3200;
	a->usage.output = 24;
	assert_charged(a, CHARGE_ESTIMATED, 25 * 4000);
}

static void
without_usage_what_was_delivered_is_estimated(void **state)
{
	int64_t before = metric_sum(METRIC_ESTIMATED);
	struct attempt *a = sent();

	(void)state;
	a->delivered_bytes = 41;
	a->delivered_events = 3;
	assert_charged(a, CHARGE_ESTIMATED, 100000 + 11 * 4000);
	assert_int_equal(metric_sum(METRIC_ESTIMATED) - before, 1);
	a = sent();
	a->delivered_bytes = 41;
	a->delivered_events = 30;
	assert_charged(a, CHARGE_ESTIMATED, 100000 + 30 * 4000);
	/* Events without a byte of text: calls of tools, say. */
	a = sent();
	a->delivered_events = 2;
	assert_charged(a, CHARGE_ESTIMATED, 100000 + 2 * 4000);
	/* An answer that came whole and was empty still read the prompt. */
	a = sent();
	a->status = 200;
	a->end = "ok";
	assert_charged(a, CHARGE_ESTIMATED, 100000);
}

static void
what_was_not_sent_or_refused_owes_nothing(void **state)
{
	static const int refusals[] = { 302, 400, 401, 404, 413, 422, 429, 500, 503,
		529 };
	struct attempt *a = sent();

	(void)state;
	a->was_sent = false;
	assert_charged(a, CHARGE_RELEASED, 0);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		a = sent();
		a->status = refusals[i];
		a->blame = LZ_UPSTREAM_DOWN;
		assert_charged(a, CHARGE_RELEASED, 0);
	}
}

/* A stream that began with 200, and whose first event said why it is none. */
static void
a_refusal_inside_a_stream_owes_nothing_and_a_failure_does(void **state)
{
	static const int refusals[] = { LZ_UPSTREAM_CALLER, LZ_UPSTREAM_AUTH,
		LZ_UPSTREAM_RATE, LZ_UPSTREAM_QUOTA, LZ_UPSTREAM_CONTEXT };
	static const int failures[] = { LZ_UPSTREAM_DOWN, LZ_UPSTREAM_UNABLE,
		LZ_UPSTREAM_FILTERED };
	struct attempt *a;

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		a = sent();
		a->status = 200;
		a->blame = refusals[i];
		assert_charged(a, CHARGE_RELEASED, 0);
		/* without a status nobody refused anything */
		a = sent();
		a->blame = refusals[i];
		assert_charged(a, CHARGE_UNCERTAIN, 100000);
	}
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		a = sent();
		a->status = 200;
		a->blame = failures[i];
		assert_charged(a, CHARGE_UNCERTAIN, 100000);
	}
}

static void
what_nobody_knows_is_charged_as_the_operator_chose(void **state)
{
	static const int silences[] = { 0, 200, 502, 504 };
	struct attempt *a;

	(void)state;
	for (size_t i = 0; i < sizeof(silences) / sizeof(silences[0]); i++) {
		a = sent();
		a->status = silences[i];
		a->blame = LZ_UPSTREAM_DOWN;
		assert_charged(a, CHARGE_UNCERTAIN, 100000);
	}
	config.ledger_uncertain = DB_UNCERTAIN_BOUND;
	assert_charged(sent(), CHARGE_UNCERTAIN, 3000000);
	config.ledger_uncertain = DB_UNCERTAIN_ZERO;
	assert_charged(sent(), CHARGE_UNCERTAIN, 0);
}

static void
a_missing_price_is_unknown_and_never_zero(void **state)
{
	struct record_settle s;

	(void)state;
	model.price_output = -1;
	for (int i = 0; i < 2; i++) {
		struct attempt *a;

		entered("{}");
		a = reserved(-1, -1);
		a->was_sent = a->has_usage = true;
		a->usage.input = 50;
		key_settle(r, a);
		assert_int_equal(a->state, CHARGE_UNPRICED);
		assert_int_equal(a->cost_nano_eur, -1);
	}
	s = last_record().settle;
	assert_int_equal(s.state, CHARGE_UNPRICED);
	assert_int_equal(s.cost_nano_eur, -1);
	assert_int_equal(s.usage.input, 50);
	assert_int_equal(s.price_input, -1);
	assert_int_equal(s.fx_nano, -1);
	assert_null(s.fx_date.ptr);
	assert_int_equal(told_count("price.missing", "gpt-4o"), 1);
}

/* The prompt that the provider counted decides, cached tokens included. */
static void
a_long_prompt_is_charged_at_its_tier(void **state)
{
	static const struct price_tier tier = { 100, 4000000, 9000000, 1000000, 5000000,
		-1 };
	struct attempt *a;
	struct record_settle s;
	int64_t input = model.price_input;

	(void)state;
	model.tier = &tier;
	model.tier_count = 1;
	a = sent();
	a->has_usage = true;
	a->usage = (struct record_usage){ .input = 60, .cache_read = 41, .output = 1 };
	key_settle(r, a);
	s = last_record().settle;
	assert_int_equal(s.state, CHARGE_ACTUAL);
	assert_int_equal(s.price_input, 4000000);
	assert_int_equal(s.price_output, 9000000);
	assert_int_equal(s.price_cache_read, 1000000);
	assert_int_equal(a->cost_nano_eur,
	    ((60 * 4000 + 41 * 1000 + 9000) * s.fx_nano + 999999999) / 1000000000);
	a = sent();
	a->has_usage = true;
	a->usage = (struct record_usage){ .input = 60, .cache_read = 40, .output = 1 };
	key_settle(r, a);
	assert_int_equal(last_record().settle.price_input, input);
	model.tier_count = 0;
}

static void
counts_that_cannot_be_true_are_replaced(void **state)
{
	struct attempt *a = sent();

	(void)state;
	a->has_usage = true;
	a->delivered_bytes = 40;
	a->usage = (struct record_usage){ -5, 7, 0, -1, -9 };
	assert_charged(a, CHARGE_ESTIMATED, 100000 + 10 * 4000);
	assert_int_equal(a->usage.reasoning, 0);
	/* Beyond the model's window: the bound that was reserved. */
	a = sent();
	a->has_usage = true;
	a->usage = (struct record_usage){ 6000, 5000, 0, 10001, 99999 };
	assert_charged(a, CHARGE_ESTIMATED, 400000 + 500 * 4000);
	assert_int_equal(a->usage.reasoning, 500);
	a = sent();
	a->has_usage = true;
	a->usage = (struct record_usage){ INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
		INT64_MAX };
	assert_charged(a, CHARGE_ESTIMATED, 400000 + 500 * 4000);
	assert_int_equal(told_count("money.usage_suspect", "openai"), 3);
	/* More than was reserved, but possible: booked, and counted. */
	{
		int64_t before = metric_sum(METRIC_OVERSPEND);

		a = sent();
		a->has_usage = true;
		a->usage = (struct record_usage){ .input = 5000 };
		assert_charged(a, CHARGE_ACTUAL, 5000000);
		assert_int_equal(metric_sum(METRIC_OVERSPEND) - before, 2000000);
	}
	/* The window is unknown. */
	model.context_window = -1;
	a = sent();
	a->has_usage = true;
	a->usage = (struct record_usage){ .input = 20000 };
	assert_charged(a, CHARGE_ACTUAL, 20000000);
	a = sent();
	a->has_usage = true;
	a->usage = (struct record_usage){ .input = 100000001 };
	assert_charged(a, CHARGE_ESTIMATED, 400000);
}

static void
each_count_alone_can_make_usage_untrue(void **state)
{
	static const struct record_usage untrue[] = {
		{ .input = 10001 },
		{ .cache_read = 10001 },
		{ .cache_write = 10001 },
		{ .input = 4000, .cache_read = 4000, .cache_write = 4000 },
	};
	static const struct record_usage negative[] = {
		{ .input = -1 },
		{ .input = 5, .cache_read = -1 },
		{ .input = 5, .cache_write = INT64_MIN },
	};
	struct attempt *a;

	(void)state;
	for (size_t i = 0; i < sizeof(untrue) / sizeof(untrue[0]); i++) {
		a = sent();
		a->has_usage = true;
		a->usage = untrue[i];
		assert_charged(a, CHARGE_ESTIMATED, 400000);
	}
	for (size_t i = 0; i < sizeof(negative) / sizeof(negative[0]); i++) {
		a = sent();
		a->has_usage = true;
		a->usage = negative[i];
		assert_charged(a, CHARGE_ESTIMATED, 100000);
	}
	/* Nothing bounded the answer: what was delivered counts. */
	a = sent();
	a->has_usage = true;
	a->output_bound = -1;
	a->delivered_bytes = 40;
	a->usage = (struct record_usage){ .input = 100, .output = 10001 };
	assert_charged(a, CHARGE_ESTIMATED, 100000 + 10 * 4000);
}

static void
a_price_beyond_reason_charges_the_largest_amount(void **state)
{
	struct attempt *a = sent();

	(void)state;
	model.price_input = INT64_MAX / 2;
	a->has_usage = true;
	a->usage = (struct record_usage){ .input = 5000 };
	assert_charged(a, CHARGE_ACTUAL, LEDGER_AMOUNT_MAX);
}

/* A worker whose buffer is full cannot write down what an attempt cost; what it cost is
 * spent all the same, and somebody hears of it. */
static void
a_settlement_that_finds_no_room_is_charged_and_told(void **state)
{
	struct attempt *a = sent();
	int64_t before = month("key:a").spent_nano_eur;
	struct record_trace t = { .status = 200 };

	(void)state;
	a->has_usage = true;
	a->usage = (struct record_usage){ .input = 60, .output = 20 };
	while (spool_trace(worker.spool, &t) == ST_OK)
		;
	key_settle(r, a);
	assert_int_equal(a->state, CHARGE_ACTUAL);
	assert_int_equal(month("key:a").spent_nano_eur - before, 60000 + 80000);
	assert_int_equal(ledger_reserved_total(ledger), 0);
	assert_int_equal(told_count("money.settlement_unwritten", "010203"), 1);
}

static void
a_test_key_pays_with_play_money(void **state)
{
	int64_t cost = metric_sum(METRIC_COST);
	struct attempt *a;

	(void)state;
	put_key("t", "sesame-test", "{\"budget_monthly_eur\":1}", true, false);
	new_request();
	field("x-api-key", "sesame-test");
	assert_int_equal(key_authenticate(r, keys), STEP_NEXT);
	a = reserved(1000000, 0);
	a->has_usage = true;
	a->usage.input = 10;
	key_settle(r, a);
	assert_int_equal(month("test:t").spent_nano_eur, 10000);
	assert_int_equal(metric_sum(METRIC_COST), cost);
	assert_true(str_is(last_record().settle.scope[0].scope, "test:t"));
}

static void
each_attempt_pays_for_itself(void **state)
{
	struct attempt *a, *b;

	(void)state;
	entered("{\"budget_monthly_eur\":1}");
	a = reserved(1000000, 100000);
	a->was_sent = true;
	key_settle(r, a);
	b = reserved(1000000, 100000);
	b->was_sent = b->has_usage = true;
	b->usage.input = 10;
	key_settle(r, b);
	assert_int_equal(month("key:a").spent_nano_eur, 100000 + 10000);
	assert_int_equal(last_record().settle.attempt, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_comes_in_any_of_four_fields),
		TEST(what_is_no_credential_is_refused_with_a_sentence),
		TEST(two_credentials_are_one_too_many),
		TEST(a_disabled_or_expired_key_is_refused_and_says_so),
		TEST(an_expiry_is_announced_in_its_last_week_and_once),
		TEST(a_key_that_is_made_for_a_moment_is_not_announced_to_expire),
		TEST(a_key_may_be_bound_to_addresses),
		TEST(behind_trusted_proxies_the_last_untrusted_hop_counts),
		TEST(a_request_knows_whose_it_is_and_only_once_that_is_certain),
		TEST(logging_may_only_be_lowered),
		TEST(a_rate_is_counted_shown_and_refused),
		TEST(places_in_flight_are_given_back_once),
		TEST(tokens_are_held_by_estimate_and_settled_by_use),
		TEST(only_models_of_the_allowlist_may_be_asked_for),
		TEST(a_reservation_is_written_before_the_call),
		TEST(an_attempt_that_no_budget_binds_is_written_too),
		TEST(a_budget_that_is_filled_is_told_from_one_that_is_spent),
		TEST(a_model_without_price_is_not_served_on_a_budget),
		TEST(storage_that_fails_gives_the_money_back),
		TEST(while_storage_fails_nothing_is_reserved_and_settlements_wait),
		TEST(without_memory_for_a_new_month_the_request_may_come_again),
		TEST(a_top_up_raises_the_bound_while_there_is_money),
		TEST(a_top_up_is_written_and_given_back_if_it_cannot_be),
		TEST(the_budget_with_least_left_is_shown),
		TEST(what_the_provider_counted_is_charged),
		TEST(what_is_cached_for_an_hour_is_charged_at_its_own_price),
		TEST(usage_of_zero_is_a_value),
		TEST(fewer_tokens_than_any_text_has_are_not_believed),
		TEST(without_usage_what_was_delivered_is_estimated),
		TEST(what_was_not_sent_or_refused_owes_nothing),
		TEST(a_refusal_inside_a_stream_owes_nothing_and_a_failure_does),
		TEST(what_nobody_knows_is_charged_as_the_operator_chose),
		TEST(a_missing_price_is_unknown_and_never_zero),
		TEST(a_long_prompt_is_charged_at_its_tier),
		TEST(counts_that_cannot_be_true_are_replaced),
		TEST(each_count_alone_can_make_usage_untrue),
		TEST(a_price_beyond_reason_charges_the_largest_amount),
		TEST(a_settlement_that_finds_no_room_is_charged_and_told),
		TEST(a_test_key_pays_with_play_money),
		TEST(each_attempt_pays_for_itself),
	};

	json_start();
	loop_start();
	fault_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
