/* test_live.c - breakers and averages of targets, at times of our choosing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include "request/live.h"

static const int64_t second_us = 1000000;
static struct provider provider;
static struct model_facts facts;
static struct target target;

static struct live *
fresh(void)
{
	static char name[32];
	static unsigned count;

	(void)snprintf(name, sizeof(name), "live-%u", count++);
	provider.name = lz_strz(name);
	facts.id = STR_LIT("m");
	target = (struct target){
		.provider = &provider, .model = &facts, .upstream_model = STR_LIT("m")
	};
	return live_of(&target);
}

static void
attempt(struct live *l, int64_t now_us, bool is_fault)
{
	enum live_start start = live_begin(l, now_us, false);

	assert_in_range(start, LIVE_BEGUN, LIVE_PROBES);
	if (start == LIVE_PROBES)
		live_probe_ended(l, now_us, is_fault);
	live_ended(
	    l, now_us, is_fault, false, is_fault ? -1 : 1000, is_fault ? -1 : 11000, 10);
}

static void
open_it(struct live *l, int64_t now_us)
{
	for (unsigned i = 0; i < 5; i++) {
		assert_true(live_is_healthy(l, now_us));
		attempt(l, now_us, true);
	}
	assert_false(live_is_healthy(l, now_us));
}

static void
five_failures_in_a_row_open_it_and_a_success_between_does_not(void **state)
{
	struct live *l = fresh();

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		attempt(l, second_us, i % 5 != 4);
	assert_true(live_is_healthy(l, second_us));
	open_it(l, second_us);
	assert_int_equal(l->in_flight, 0);
}

static void
after_a_while_one_probe_is_let_through(void **state)
{
	struct live *l = fresh();
	int64_t at = 2 * second_us;

	(void)state;
	open_it(l, second_us);
	assert_false(live_is_healthy(l, at - 1));
	assert_true(live_is_healthy(l, at));
	assert_int_equal(live_begin(l, at, false), LIVE_PROBES);
	assert_false(live_is_healthy(l, at)); /* one is out */
	assert_int_equal(live_begin(l, at, false), LIVE_BUSY);
	live_probe_ended(l, at, false);
	live_ended(l, at, false, false, -1, -1, 0);
	assert_true(live_is_healthy(l, at));
	assert_int_equal(live_open_until_us(l), 0);
	assert_int_equal(l->in_flight, 0);
}

static void
each_probe_that_fails_doubles_the_time_until_the_next_up_to_half_a_minute(void **state)
{
	static const int64_t seconds[] = { 2, 4, 8, 16, 30, 30 };
	struct live *l = fresh();
	int64_t at = second_us;

	(void)state;
	open_it(l, at);
	at += second_us;
	for (unsigned i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		attempt(l, at, true);
		assert_false(live_is_healthy(l, at + seconds[i] * second_us - 1));
		assert_true(live_is_healthy(l, at + seconds[i] * second_us));
		at += seconds[i] * second_us;
	}
	attempt(l, at, false);
	open_it(l, at); /* a success forgets it all */
	assert_true(live_is_healthy(l, at + second_us));
}

static void
what_was_under_way_when_it_opened_neither_shuts_it_longer_nor_takes_a_probes_place(
    void **state)
{
	struct live *l = fresh();

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(live_begin(l, second_us, false), LIVE_BEGUN);
	open_it(l, second_us);
	live_ended(l, second_us + second_us / 2, true, false, -1, -1, 0);
	assert_true(live_is_healthy(l, 2 * second_us));
	assert_int_equal(live_begin(l, 2 * second_us, false), LIVE_PROBES);
	live_dropped(l);
	assert_int_equal(live_begin(l, 2 * second_us, false), LIVE_BUSY);
	live_ended(l, 2 * second_us, true, false, -1, -1, 0);
	assert_int_equal(live_begin(l, 2 * second_us, false), LIVE_BUSY);
}

static void
when_nobody_else_is_left_it_is_probed_ten_times_a_second(void **state)
{
	struct live *l = fresh();

	(void)state;
	open_it(l, second_us);
	assert_false(live_is_last_resort(l, second_us + second_us / 10 - 1));
	assert_true(live_is_last_resort(l, second_us + second_us / 10));
	assert_int_equal(live_begin(l, second_us + second_us / 10, false), LIVE_PROBES);
	assert_false(live_is_last_resort(l, 3 * second_us));
	live_probe_ended(l, 3 * second_us, true);
	assert_false(live_is_last_resort(l, 3 * second_us));
	assert_true(live_is_last_resort(l, 3 * second_us + second_us / 10));
}

static void
a_probe_that_was_given_up_leaves_its_place(void **state)
{
	struct live *l = fresh();

	(void)state;
	open_it(l, second_us);
	assert_int_equal(live_begin(l, 12 * second_us, false), LIVE_PROBES);
	live_probe_ended(l, 12 * second_us, false);
	live_dropped(l);
	assert_true(live_is_healthy(l, 12 * second_us));
}

static void
a_probe_that_never_came_home_does_not_shut_it_for_ever(void **state)
{
	struct live *l = fresh();

	(void)state;
	open_it(l, second_us);
	assert_int_equal(live_begin(l, 12 * second_us, false), LIVE_PROBES);
	assert_false(live_is_healthy(l, 41 * second_us));
	assert_true(live_is_healthy(l, 43 * second_us));
	assert_int_equal(live_begin(l, 43 * second_us, false), LIVE_PROBES);
}

/* Begins and ends one without a word on health. */
static enum live_start
retry(struct live *l)
{
	enum live_start start = live_begin(l, second_us, true);

	if (start == LIVE_BEGUN)
		live_dropped(l);
	return start;
}

static void
beyond_the_budget_retries_go_one_at_a_time_until_one_brings_something(void **state)
{
	struct live *l = fresh();

	(void)state;
	attempt(l, second_us, true);
	while (retry(l) == LIVE_BEGUN)
		;
	assert_int_equal(retry(l), LIVE_NO_RETRIES);
	assert_false(live_may_retry(l, second_us));
	live_probe_ended(l, second_us, true);
	live_dropped(l);
	assert_true(live_may_retry(l, second_us));
	assert_int_equal(retry(l), LIVE_PROBES);
	live_probe_answers(l); /* and goes on, as streams do */
	assert_int_equal(retry(l), LIVE_BEGUN);
}

static void
a_stream_that_probes_closes_the_breaker_when_it_begins(void **state)
{
	struct live *l = fresh();

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		attempt(l, second_us, true);
	assert_int_equal(live_begin(l, 3 * second_us, false), LIVE_PROBES);
	assert_false(live_is_healthy(l, 3 * second_us));
	live_probe_answers(l);
	assert_true(live_is_healthy(l, 3 * second_us));
	assert_int_equal(live_begin(l, 3 * second_us, false), LIVE_BEGUN);
}

static void
retries_at_a_target_that_fails_are_a_tenth_of_what_it_is_asked_first_and_ten(void **state)
{
	struct live *l = fresh();
	unsigned retries = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) /* it is well: they are free */
		assert_int_equal(retry(l), LIVE_BEGUN);
	attempt(l, second_us, true);
	while (retry(l) == LIVE_BEGUN)
		retries++;
	assert_int_equal(retries, 10);
	live_probe_ended(l, second_us, false); /* the eleventh */
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(live_begin(l, second_us, false), LIVE_BEGUN);
		live_dropped(l);
	}
	while (retry(l) == LIVE_BEGUN)
		retries++;
	assert_int_equal(retries, 12);
	live_probe_ended(l, second_us, false);
	attempt(l, second_us, false);
	assert_int_equal(retry(l), LIVE_BEGUN);
}

static void
averages_are_of_what_was_told(void **state)
{
	struct live *l = fresh();

	(void)state;
	attempt(l, second_us, false);
	assert_int_equal(l->samples[0], 1);
	assert_int_equal(l->ttft_us[0], 1000);
	assert_int_equal(l->us_per_token[0], 1000);
	/* One that lives, but whose time says nothing. */
	assert_int_equal(live_begin(l, second_us, false), LIVE_BEGUN);
	live_ended(l, second_us, false, false, -1, -1, 0);
	assert_int_equal(l->samples[0], 1);
	assert_int_equal(l->samples[1], 0);
}

static void
models_that_nobody_listed_share_their_providers_cell(void **state)
{
	struct provider p = { .name = STR_LIT("shared") };
	struct model_facts a = { .id = STR_LIT("shared/a") },
			   b = { .id = STR_LIT("shared/b") };
	struct target x = { .provider = &p, .model = &a, .upstream_model = STR_LIT("a") },
		      y = { .provider = &p, .model = &b, .upstream_model = STR_LIT("b") };

	(void)state;
	assert_ptr_equal(live_of(&x), live_of(&y));
	assert_string_equal(live_of(&x)->name, "shared");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    five_failures_in_a_row_open_it_and_a_success_between_does_not),
		cmocka_unit_test(after_a_while_one_probe_is_let_through),
		cmocka_unit_test(
		    each_probe_that_fails_doubles_the_time_until_the_next_up_to_half_a_minute),
		cmocka_unit_test(
		    what_was_under_way_when_it_opened_neither_shuts_it_longer_nor_takes_a_probes_place),
		cmocka_unit_test(
		    when_nobody_else_is_left_it_is_probed_ten_times_a_second),
		cmocka_unit_test(
		    beyond_the_budget_retries_go_one_at_a_time_until_one_brings_something),
		cmocka_unit_test(a_stream_that_probes_closes_the_breaker_when_it_begins),
		cmocka_unit_test(
		    retries_at_a_target_that_fails_are_a_tenth_of_what_it_is_asked_first_and_ten),
		cmocka_unit_test(a_probe_that_was_given_up_leaves_its_place),
		cmocka_unit_test(a_probe_that_never_came_home_does_not_shut_it_for_ever),
		cmocka_unit_test(averages_are_of_what_was_told),
		cmocka_unit_test(models_that_nobody_listed_share_their_providers_cell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
