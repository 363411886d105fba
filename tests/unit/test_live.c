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
	target = (struct target){ &provider, &facts, STR_LIT("m"), NULL };
	return live_of(&target);
}

static void
attempt(struct live *l, int64_t now_us, bool is_fault)
{
	live_began(l, now_us);
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
	int64_t later = 12 * second_us;

	(void)state;
	open_it(l, second_us);
	assert_false(live_is_healthy(l, second_us + 9 * second_us));
	assert_true(live_is_healthy(l, later));
	live_began(l, later);
	assert_false(live_is_healthy(l, later)); /* one is out */
	live_ended(l, later, true, false, -1, -1, 0);
	assert_false(live_is_healthy(l, later + second_us)); /* and failed */
	assert_true(live_is_healthy(l, later + 11 * second_us));
	attempt(l, later + 11 * second_us, false);
	assert_true(live_is_healthy(l, later + 11 * second_us));
	assert_int_equal(l->open_until_us, 0);
}

static void
a_probe_that_was_given_up_leaves_its_place(void **state)
{
	struct live *l = fresh();

	(void)state;
	open_it(l, second_us);
	live_began(l, 12 * second_us);
	live_dropped(l);
	assert_true(live_is_healthy(l, 12 * second_us));
}

static void
a_probe_that_never_came_home_does_not_shut_it_for_ever(void **state)
{
	struct live *l = fresh();

	(void)state;
	open_it(l, second_us);
	live_began(l, 12 * second_us);
	assert_false(live_is_healthy(l, 41 * second_us));
	assert_true(live_is_healthy(l, 43 * second_us));
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
	live_began(l, second_us);
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
	struct target x = { &p, &a, STR_LIT("a"), NULL },
		      y = { &p, &b, STR_LIT("b"), NULL };

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
		cmocka_unit_test(a_probe_that_was_given_up_leaves_its_place),
		cmocka_unit_test(a_probe_that_never_came_home_does_not_shut_it_for_ever),
		cmocka_unit_test(averages_are_of_what_was_told),
		cmocka_unit_test(models_that_nobody_listed_share_their_providers_cell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
