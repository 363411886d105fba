/* test_limit.c - rates: what passes at once, when the next may come, and clocks that
 * jump.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#include "key/limit.h"

static const int64_t second = 1000000;

static bool
take(struct limit_rate *r, int64_t per_minute, int64_t burst, int64_t now_us)
{
	struct limit_verdict v;

	limit_take(r, per_minute, burst, now_us, &v);
	return v.is_allowed;
}

static void
a_rate_of_120_lets_120_through_at_once_and_then_one_every_half_second(void **state)
{
	struct limit_rate r = { 0 };
	struct limit_verdict v;
	int64_t now = 1000 * second;

	(void)state;
	for (int i = 0; i < 120; i++) {
		limit_take(&r, 120, 120, now, &v);
		assert_true(v.is_allowed);
		assert_int_equal(v.remaining, 119 - i);
		assert_int_equal(v.reset_us, (i + 1) * second / 2);
	}
	limit_take(&r, 120, 120, now, &v);
	assert_false(v.is_allowed);
	assert_int_equal(v.remaining, 0);
	assert_int_equal(v.retry_after_us, second / 2);
	assert_int_equal(v.reset_us, 60 * second);
	assert_false(take(&r, 120, 120, now + second / 2 - 1));
	assert_true(take(&r, 120, 120, now + second / 2));
	assert_false(take(&r, 120, 120, now + second / 2));
	/* Half a minute earns half of them. */
	now += second / 2 + 30 * second;
	for (int i = 0; i < 60; i++)
		assert_true(take(&r, 120, 120, now));
	assert_false(take(&r, 120, 120, now));
}

static void
coming_again_when_told_is_let_through(void **state)
{
	(void)state;
	for (int64_t rate = 1; rate < 5000000; rate = rate * 7 / 2 + 1) {
		struct limit_rate r = { 0 };
		struct limit_verdict v;
		int64_t now = 77 * second;

		while (take(&r, rate, 3, now))
			;
		limit_take(&r, rate, 3, now, &v);
		assert_true(v.retry_after_us > 0);
		assert_true(take(&r, rate, 3, now + v.retry_after_us));
	}
}

static void
a_burst_is_what_passes_at_once(void **state)
{
	struct limit_rate r = { 0 };
	int64_t now = 5 * second;

	(void)state;
	assert_true(take(&r, 60, 2, now));
	assert_true(take(&r, 60, 2, now));
	assert_false(take(&r, 60, 2, now));
	assert_true(take(&r, 60, 2, now + second));
	assert_false(take(&r, 60, 2, now + second));
	/* A burst of nothing would let nothing through; the least is one. */
	assert_true(take(&r, 60, 0, now + 100 * second));
	assert_false(take(&r, 60, 0, now + 100 * second));
}

static void
zero_refuses_all(void **state)
{
	struct limit_rate r = { 0 };
	struct limit_verdict v;

	(void)state;
	limit_take(&r, 0, 0, 1000 * second, &v);
	assert_false(v.is_allowed);
	assert_int_equal(v.remaining, 0);
	assert_true(v.retry_after_us > 0);
}

static void
a_clock_that_jumps_back_costs_one_burst_at_most(void **state)
{
	struct limit_rate r = { 0 };
	int64_t now = 100000 * second;

	(void)state;
	for (int i = 0; i < 60; i++)
		assert_true(take(&r, 60, 60, now));
	now = 10 * second;
	assert_false(take(&r, 60, 60, now));
	assert_true(take(&r, 60, 60, now + second));
	for (int i = 0; i < 59; i++)
		assert_true(take(&r, 60, 60, now + 60 * second));
}

static void
a_rate_that_is_changed_holds_from_the_next_request(void **state)
{
	struct limit_rate r = { 0 };
	int64_t now = 1000 * second;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(take(&r, 1000, 1000, now));
	assert_false(take(&r, 1, 1, now));
	/* From 1000 to 1 a minute: what was used is forgiven but for the new burst. */
	assert_true(take(&r, 1, 1, now + 60 * second));
	/* And back: the one request was a whole minute's worth, so the first is due in 60
	 * ms. */
	assert_false(take(&r, 1000, 1000, now + 60 * second));
	assert_true(take(&r, 1000, 1000, now + 60 * second + 60000));
}

static void
extreme_rates_and_bursts_do_not_overflow(void **state)
{
	static const int64_t odd[] = { 1, 2, 1000000000, INT64_MAX / 2, INT64_MAX };
	struct limit_verdict v;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < 5; j++)
			for (size_t k = 0; k < 5; k++) {
				struct limit_rate r = { 0 };

				limit_take(&r, odd[i], odd[j], odd[k], &v);
				assert_true(v.is_allowed);
				assert_true(v.remaining >= 0 && v.remaining <= odd[j]);
				assert_true(v.reset_us >= 0);
			}
}

struct hammer {
	struct limit_rate *rate;
	int64_t allowed;
};

static void *
hammer(void *arg)
{
	struct hammer *h = arg;

	for (int i = 0; i < 20000; i++)
		h->allowed += take(h->rate, 600, 600, 50 * second + i);
	return NULL;
}

static void
eight_threads_get_no_more_than_one_would(void **state)
{
	struct limit_rate r = { 0 };
	struct hammer h[8];
	pthread_t t[8];
	int64_t sum = 0;

	(void)state;
	for (int i = 0; i < 8; i++) {
		h[i] = (struct hammer){ &r, 0 };
		assert_int_equal(pthread_create(&t[i], NULL, hammer, &h[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], NULL);
		sum += h[i].allowed;
	}
	/* 20 ms earn nothing at one per 100 ms. */
	assert_int_equal(sum, 600);
}

static void
tokens_are_taken_by_estimate_and_corrected(void **state)
{
	struct limit_tokens t = { 0 };
	int64_t now = 1000 * second, retry;

	(void)state;
	assert_true(limit_tokens_take(&t, 1000, 900, now, &retry));
	assert_false(limit_tokens_take(&t, 1000, 200, now, &retry));
	assert_int_equal(retry, 6 * second);
	/* Only 100 were used. */
	limit_tokens_correct(&t, 1000, -800);
	assert_true(limit_tokens_take(&t, 1000, 900, now, &retry));
	assert_false(limit_tokens_take(&t, 1000, 1, now, &retry));
	/* 400 more than thought: the debt is paid before the next. */
	limit_tokens_correct(&t, 1000, 400);
	assert_false(limit_tokens_take(&t, 1000, 1, now, &retry));
	assert_true(limit_tokens_take(&t, 1000, 1, now + 60 * second, &retry));
}

static void
more_tokens_than_a_minute_has_never_fit(void **state)
{
	struct limit_tokens t = { 0 };
	int64_t retry;

	(void)state;
	assert_false(limit_tokens_take(&t, 1000, 1001, second, &retry));
	assert_int_equal(retry, -1);
	assert_false(limit_tokens_take(&t, 0, 0, second, &retry));
	assert_int_equal(retry, -1);
	assert_true(limit_tokens_take(&t, 1000, 1000, second, &retry));
	limit_tokens_correct(&t, 0, 5); /* a key whose limit became 0 meanwhile */
	limit_tokens_correct(&t, 1, INT64_MAX);
	limit_tokens_correct(&t, 1, INT64_MIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_rate_of_120_lets_120_through_at_once_and_then_one_every_half_second),
		cmocka_unit_test(coming_again_when_told_is_let_through),
		cmocka_unit_test(a_burst_is_what_passes_at_once),
		cmocka_unit_test(zero_refuses_all),
		cmocka_unit_test(a_clock_that_jumps_back_costs_one_burst_at_most),
		cmocka_unit_test(a_rate_that_is_changed_holds_from_the_next_request),
		cmocka_unit_test(extreme_rates_and_bursts_do_not_overflow),
		cmocka_unit_test(eight_threads_get_no_more_than_one_would),
		cmocka_unit_test(tokens_are_taken_by_estimate_and_corrected),
		cmocka_unit_test(more_tokens_than_a_minute_has_never_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
