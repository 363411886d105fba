/* test_clock.c - the source of time and how dates are written.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"

static void
at_seven(struct moment *m)
{
	m->mono_us = 7;
	m->unix_ms = 7000;
}

static void
a_test_sets_the_time_and_gives_it_back(void **state)
{
	struct moment m;

	(void)state;
	clock_set_source(at_seven);
	clock_read(&m);
	assert_int_equal(m.mono_us, 7);
	assert_int_equal(m.unix_ms, 7000);
	assert_int_equal(clock_mono_us(), 7);
	assert_int_equal(clock_unix_ms(), 7000);
	clock_set_source(NULL);
	clock_read(&m);
	assert_true(m.unix_ms > 1700000000000);
	assert_true(clock_mono_us() >= m.mono_us);
	assert_true(clock_unix_ms() >= m.unix_ms);
}

static void
expect_date(int64_t unix_ms, const char *text)
{
	char out[25];

	clock_format(unix_ms, out);
	assert_string_equal(out, text);
}

static void
dates_are_utc_with_milliseconds(void **state)
{
	(void)state;
	expect_date(0, "1970-01-01T00:00:00.000Z");
	expect_date(1795363270123, "2026-11-22T16:01:10.123Z");
	expect_date(951782399999, "2000-02-28T23:59:59.999Z");
	expect_date(951782400000, "2000-02-29T00:00:00.000Z");
	expect_date(-1, "1969-12-31T23:59:59.999Z");
	expect_date(-2203891200001, "1900-02-28T23:59:59.999Z");
	expect_date(-2203891200000, "1900-03-01T00:00:00.000Z");
}

static void
years_that_do_not_fit_are_held_at_the_ends(void **state)
{
	(void)state;
	expect_date(INT64_MIN, "0000-01-01T00:00:00.000Z");
	expect_date(INT64_MAX, "9999-12-31T23:59:59.999Z");
}

static void
dates_agree_with_the_c_library(void **state)
{
	uint64_t random = 88172645463325252u;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		int64_t ms, seconds;
		char expected[80];
		time_t t;
		struct tm tm;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		ms = (int64_t)(random % 315569519999999u) - 62167219200000;
		if (ms > 253402300799999)
			continue;
		seconds = ms / 1000 - (ms % 1000 < 0);
		t = (time_t)seconds;
		gmtime_r(&t, &tm);
		(void)snprintf(expected, sizeof(expected),
		    "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		    (int)(ms - seconds * 1000));
		expect_date(ms, expected);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_test_sets_the_time_and_gives_it_back),
		cmocka_unit_test(dates_are_utc_with_milliseconds),
		cmocka_unit_test(years_that_do_not_fit_are_held_at_the_ends),
		cmocka_unit_test(dates_agree_with_the_c_library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
