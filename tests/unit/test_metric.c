/* test_metric.c - counting in threads, and the text that Prometheus reads.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metric.h"

/* The metrics are the process's: each test uses a row of its own. */

static char *
printed(struct buf *b)
{
	buf_init(b, 1 << 20);
	metric_print(b);
	buf_add_char(b, '\0');
	assert_false(b->failed);
	return b->ptr;
}

static void
expect_line(const char *line)
{
	struct buf b;
	char *text = printed(&b), whole[200];

	(void)snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (strstr(text, whole) == NULL)
		fail_msg("no line %s in:\n%s", line, text);
	buf_free(&b);
}

static void *
count_to_10000(void *arg)
{
	if (arg != NULL)
		metric_thread_start();
	for (int i = 0; i < 10000; i++) {
		metric_add(METRIC_DB_ROWS, 1);
		metric_add(METRIC_IN_FLIGHT, 1);
		metric_add(METRIC_IN_FLIGHT, -1);
	}
	return NULL;
}

static void
no_count_of_any_thread_is_lost_with_or_without_cells_of_its_own(void **state)
{
	pthread_t threads[8];
	char own;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_to_10000,
				     i % 2 ? &own : NULL),
		    0);
	for (size_t i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metric_sum(METRIC_DB_ROWS), 80000);
	assert_int_equal(metric_sum(METRIC_IN_FLIGHT), 0);
	expect_line("latenza_db_rows_total 80000");
	expect_line("latenza_requests_in_flight 0");
}

static void *
start_and_count(void *arg)
{
	(void)arg;
	metric_thread_start();
	metric_thread_start();
	metric_add(METRIC_DB_FAILURES, 1);
	return NULL;
}

static void
more_threads_than_cells_share_the_first(void **state)
{
	(void)state;
	for (int i = 0; i < METRIC_THREADS + 20; i++) {
		pthread_t t;

		assert_int_equal(pthread_create(&t, NULL, start_and_count, NULL), 0);
		pthread_join(t, NULL);
	}
	assert_int_equal(metric_sum(METRIC_DB_FAILURES), METRIC_THREADS + 20);
}

static void
a_label_shows_its_names_and_escapes_them(void **state)
{
	static const char *const names[] = { "ok", "quo\"te", "back\\slash", "new\nline",
		NULL };

	(void)state;
	metric_label_names(METRIC_ATTEMPTS, names, 5);
	metric_add_label(METRIC_ATTEMPTS, 1, 2);
	metric_add_label(METRIC_ATTEMPTS, 47, 5);
	expect_line("latenza_attempts_total{outcome=\"ok\"} 0");
	expect_line("latenza_attempts_total{outcome=\"quo\\\"te\"} 2");
	expect_line("latenza_attempts_total{outcome=\"back\\\\slash\"} 0");
	expect_line("latenza_attempts_total{outcome=\"new\\nline\"} 0");
	expect_line("latenza_attempts_total{outcome=\"47\"} 5");
	assert_int_equal(metric_sum(METRIC_ATTEMPTS), 7);
}

static void
a_label_without_names_shows_what_it_counted(void **state)
{
	struct buf b;

	(void)state;
	assert_null(strstr(printed(&b), "latenza_requests_total{"));
	buf_free(&b);
	metric_add_label(METRIC_REQUESTS, 0, 1);
	expect_line("latenza_requests_total{outcome=\"0\"} 1");
}

static void
expect_verdicts(const char *name, const char *verdict, int count)
{
	char line[200];

	(void)snprintf(line, sizeof(line),
	    "latenza_guardrail_verdicts_total{guardrail=\"%s\",verdict=\"%s\"} %d", name,
	    verdict, count);
	expect_line(line);
}

static void
a_named_row_counts_each_name_and_those_that_are_too_many_together(void **state)
{
	static const char *const labels[] = { "pass", "block" };
	char name[METRIC_NAME_BYTES + 1];
	unsigned pii = metric_name(lz_strz("pii"));
	struct buf b;

	(void)state;
	metric_label_names(METRIC_GUARDRAIL_VERDICTS, labels, 2);
	metric_add_named(pii, 1, 2);
	assert_int_equal(metric_name(lz_strz("pii")), pii);
	expect_verdicts("pii", "pass", 0);
	expect_verdicts("pii", "block", 2);
	memset(name, 'l', METRIC_NAME_BYTES);
	name[METRIC_NAME_BYTES] = '\0';
	metric_add_named(metric_name(lz_strz(name)), 0, 1);
	expect_verdicts(name, "pass", 1);
	assert_null(strstr(printed(&b), "_other"));
	buf_free(&b);
	for (int i = 0; i < METRIC_NAMES; i++) {
		(void)snprintf(name, sizeof(name), "guardrail-%d", i);
		metric_add_named(metric_name(lz_strz(name)), 0, 1);
	}
	/* Of all but the first and the two before, three were too many. */
	expect_verdicts("guardrail-508", "pass", 1);
	expect_verdicts("_other", "pass", 3);
	assert_int_equal(metric_name(lz_strz("guardrail-509")), 0);
	assert_int_equal(metric_name(lz_strz("pii")), pii);
}

static void
nano_units_are_shown_in_units(void **state)
{
	(void)state;
	metric_add(METRIC_COST, 1500000001);
	expect_line("latenza_cost_eur_total 1.500000001");
	expect_line("# TYPE latenza_cost_eur_total counter");
	metric_add(METRIC_OVERSPEND, 12);
	expect_line("latenza_overspend_nano_eur_total 12");
}

static void
a_histogram_is_cumulative_and_in_seconds(void **state)
{
	(void)state;
	metric_time(METRIC_TTFT_TIME, -5);
	metric_time(METRIC_TTFT_TIME, 100);
	metric_time(METRIC_TTFT_TIME, 101);
	metric_time(METRIC_TTFT_TIME, 600000000);
	metric_time(METRIC_TTFT_TIME, 600000001);
	assert_int_equal(metric_sum(METRIC_TTFT_TIME), 5);
	expect_line("# TYPE latenza_time_to_first_token_seconds histogram");
	expect_line("latenza_time_to_first_token_seconds_bucket{le=\"0.000025\"} 1");
	expect_line("latenza_time_to_first_token_seconds_bucket{le=\"0.0001\"} 2");
	expect_line("latenza_time_to_first_token_seconds_bucket{le=\"0.00025\"} 3");
	expect_line("latenza_time_to_first_token_seconds_bucket{le=\"250\"} 3");
	expect_line("latenza_time_to_first_token_seconds_bucket{le=\"600\"} 4");
	expect_line("latenza_time_to_first_token_seconds_bucket{le=\"+Inf\"} 5");
	expect_line("latenza_time_to_first_token_seconds_sum 1200.000202");
	expect_line("latenza_time_to_first_token_seconds_count 5");
}

/* Each line is a comment or `name[{label="value"}] number`, and each name has its help
 * and type before it. */
static void
the_text_is_well_formed(void **state)
{
	struct buf b;
	char *text = printed(&b), *rest = NULL, name[100] = "";
	int rows = 0;

	(void)state;
	assert_int_equal(text[strlen(text) - 1], '\n');
	for (char *line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *blank = strrchr(line, ' '), *end;

		assert_non_null(blank);
		if (sscanf(line, "# HELP %99s", name) == 1) {
			rows++;
			assert_true(strlen(line) > strlen("# HELP  ") + strlen(name));
			assert_null(strstr(blank, "total"));
			continue;
		}
		if (line[0] == '#') {
			assert_memory_equal(line + strlen("# TYPE "), name, strlen(name));
			continue;
		}
		assert_memory_equal(line, name, strlen(name));
		assert_memory_equal(name, "latenza_", 8);
		(void)strtod(blank + 1, &end);
		assert_int_equal(*end, '\0');
		*blank = '\0';
		assert_true(strchr(line, '{') == NULL || line[strlen(line) - 1] == '}');
	}
	assert_int_equal(rows, METRIC_COUNT);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    no_count_of_any_thread_is_lost_with_or_without_cells_of_its_own),
		cmocka_unit_test(more_threads_than_cells_share_the_first),
		cmocka_unit_test(a_label_without_names_shows_what_it_counted),
		cmocka_unit_test(a_label_shows_its_names_and_escapes_them),
		cmocka_unit_test(
		    a_named_row_counts_each_name_and_those_that_are_too_many_together),
		cmocka_unit_test(nano_units_are_shown_in_units),
		cmocka_unit_test(a_histogram_is_cumulative_and_in_seconds),
		cmocka_unit_test(the_text_is_well_formed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
