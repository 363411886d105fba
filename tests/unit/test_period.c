/* test_period.c - days, weeks and months of budgets in time zones that make it hard.
 *
 * The cases are in tests/data/periods: instants around the ends of periods, from the time
 * zone database itself. A zone that this machine does not have is passed over.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "key/ledger.h"

static FILE *
open_data(const char *name)
{
	const char *root = getenv("srcdir");
	char path[4096], line[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/data/periods/%s",
	    root != NULL ? root : ".", name);
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg(
		    "%s cannot be opened; run from the top folder or set srcdir", path);
	assert_non_null(fgets(line, sizeof(line), f)); /* the heading */
	return f;
}

static bool
go_to(const char *zone)
{
	char path[300];

	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zone);
	if (strcmp(zone, "UTC") != 0 && access(path, R_OK) != 0)
		return false;
	setenv("TZ", zone, 1);
	tzset();
	return true;
}

static void
months_begin_and_end_where_eleven_zones_say(void **state)
{
	FILE *f = open_data("months.tsv");
	char line[300];

	(void)state;
	while (fgets(line, sizeof(line), f) != NULL) {
		char zone[64], utc[64], month[16], label[32];
		long long unix_s, end_s;
		struct period p;

		assert_int_equal(sscanf(line, "%63s %lld %63s %15s %lld", zone, &unix_s,
				     utc, month, &end_s),
		    5);
		if (!go_to(zone))
			continue;
		snprintf(label, sizeof(label), "month:%s", month);
		for (int ms = 0; ms < 1000; ms += 999) {
			period_at(PERIOD_MONTH, unix_s * 1000 + ms, &p);
			assert_string_equal(p.label, label);
			assert_int_equal(p.end_unix_ms, end_s * 1000);
		}
		/* The end is the next one's first millisecond, and not this one's. */
		period_at(PERIOD_MONTH, end_s * 1000 - 1, &p);
		assert_string_equal(p.label, label);
		period_at(PERIOD_MONTH, end_s * 1000, &p);
		assert_string_not_equal(p.label, label);
		assert_int_equal(p.start_unix_ms, end_s * 1000);
	}
	fclose(f);
}

static void
days_weeks_and_months_survive_missing_and_double_midnights(void **state)
{
	FILE *f = open_data("all_kinds.tsv");
	char line[300];

	(void)state;
	while (fgets(line, sizeof(line), f) != NULL) {
		char kind[16], zone[64], label[32];
		long long unix_s, start_s, end_s;
		enum key_period k;
		struct period p;

		assert_int_equal(sscanf(line, "%15s %63s %lld %31s %lld %lld", kind, zone,
				     &unix_s, label, &start_s, &end_s),
		    6);
		k = kind[0] == 'd'   ? PERIOD_DAY
		    : kind[0] == 'w' ? PERIOD_WEEK
				     : PERIOD_MONTH;
		if (!go_to(zone))
			continue;
		period_at(k, unix_s * 1000, &p);
		assert_string_equal(p.label, label);
		assert_int_equal(p.start_unix_ms, start_s * 1000);
		assert_int_equal(p.end_unix_ms, end_s * 1000);
	}
	fclose(f);
}

/* Newfoundland set its clocks back at 00:01 until 2011, so that the evening before came
 * back: dates are not even in order there, periods must be. */
static void
periods_follow_each_other_without_gap_or_overlap(void **state)
{
	static const char *const zones[] = { "UTC", "America/St_Johns",
		"America/Santiago", "Pacific/Apia", "Europe/Rome", "Africa/Casablanca",
		"XYZ+24:59", "XYZ-24:59" };
	const int64_t from = INT64_C(1230768000),
		      until = INT64_C(1341100800); /* 2009-01 .. 2012-07 */

	(void)state;
	for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
		if (zones[z][0] != 'X' && !go_to(zones[z]))
			continue;
		setenv("TZ", zones[z], 1);
		tzset();
		for (unsigned kind = 0; kind < PERIOD_KINDS; kind++) {
			struct period p, next, inside;

			period_at((enum key_period)kind, from * 1000, &p);
			while (p.end_unix_ms < until * 1000) {
				int64_t middle = p.start_unix_ms +
						 (p.end_unix_ms - p.start_unix_ms) / 2;

				assert_true(p.start_unix_ms < p.end_unix_ms);
				period_at((enum key_period)kind, middle, &inside);
				assert_string_equal(inside.label, p.label);
				period_at((enum key_period)kind, p.end_unix_ms, &next);
				assert_int_equal(next.start_unix_ms, p.end_unix_ms);
				assert_true(strcmp(next.label, p.label) > 0);
				p = next;
			}
		}
	}
}

/* The same hours, minute by minute: an instant lies in its own period, and dates that
 * come back do not bring a period back. */
static void
an_evening_that_comes_twice_belongs_to_one_day(void **state)
{
	/* 2010-11-07 00:01 became 2010-11-06 23:01 */
	const int64_t from = INT64_C(1289073600), until = from + 12 * 3600;

	(void)state;
	if (!go_to("America/St_Johns"))
		skip();
	for (unsigned kind = 0; kind < PERIOD_KINDS; kind++) {
		int64_t last_start_ms = INT64_MIN;

		for (int64_t s = from; s < until; s += 30) {
			struct period p;

			period_at((enum key_period)kind, s * 1000, &p);
			assert_true(p.start_unix_ms <= s * 1000);
			assert_true(s * 1000 < p.end_unix_ms);
			assert_true(p.start_unix_ms >= last_start_ms);
			last_start_ms = p.start_unix_ms;
		}
	}
}

static void
no_instant_is_out_of_range(void **state)
{
	static const int64_t odd[] = { INT64_MIN, -1, 0, INT64_MAX / 2, INT64_MAX };

	(void)state;
	go_to("UTC");
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		for (unsigned kind = 0; kind < PERIOD_KINDS; kind++) {
			struct period p;

			period_at((enum key_period)kind, odd[i], &p);
			assert_true(p.start_unix_ms < p.end_unix_ms);
			assert_true(strlen(p.label) < sizeof(p.label));
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(months_begin_and_end_where_eleven_zones_say),
		cmocka_unit_test(
		    days_weeks_and_months_survive_missing_and_double_midnights),
		cmocka_unit_test(periods_follow_each_other_without_gap_or_overlap),
		cmocka_unit_test(an_evening_that_comes_twice_belongs_to_one_day),
		cmocka_unit_test(no_instant_is_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
