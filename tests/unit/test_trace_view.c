/* test_trace_view.c - a trace as a page: attempts stand where they were in time.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "cli/trace_view.h"

enum {
	PAGE_BYTES = 16384,
	NAME_COLUMNS = 14, /* before a bar */
	CELL_BYTES = 3     /* of a mark in UTF-8 */
};

static char page[PAGE_BYTES];

/* What trace_view() prints of the trace, into `page`. */
static void
view(const char *trace)
{
	struct err e = { "" };
	json_t *j = json_parse(lz_strz(trace), &e);
	int out = dup(STDOUT_FILENO);
	FILE *f = tmpfile();
	size_t n;

	assert_non_null(j);
	assert_non_null(f);
	assert_true(out >= 0);
	(void)fflush(stdout);
	assert_true(dup2(fileno(f), STDOUT_FILENO) >= 0);
	trace_view(j, false);
	(void)fflush(stdout);
	assert_true(dup2(out, STDOUT_FILENO) >= 0);
	(void)close(out);
	rewind(f);
	n = fread(page, 1, sizeof(page) - 1, f);
	page[n] = '\0';
	(void)fclose(f);
	json_decref(j);
}

/* Columns of blanks before the bar of the row that begins with `name`. */
static size_t
begins_at(const char *name)
{
	const char *row = strstr(page, name);

	assert_non_null(row);
	return strspn(row - 2 + NAME_COLUMNS, " ");
}

static size_t
marks_in(const char *name)
{
	const char *p = strstr(page, name) - 2 + NAME_COLUMNS;
	size_t n = 0;

	for (p += strspn(p, " "); (unsigned char)*p == 0xe2; p += CELL_BYTES)
		n++;
	return n;
}

#define TRACE(attempts)                                                                  \
	"{\"id\":\"1\",\"status\":200,\"total_ms\":400.0,\"overhead_ms\":40.0,"          \
	"\"attempts\":[" attempts "]}"
#define ATTEMPT(at, ms)                                                                  \
	"{\"provider\":\"p\",\"model\":\"m\",\"end\":\"ok\",\"status\":200," at          \
	"\"ms\":" ms ",\"ttft_ms\":0,\"cost_nano_eur\":0}"

static void
attempts_stand_where_they_were_sent(void **state)
{
	(void)state;
	view(TRACE(ATTEMPT("\"at_ms\":100.000,", "100.000") "," ATTEMPT(
	    "\"at_ms\":300.000,", "99.999")));
	assert_int_equal(begins_at("attempt 1"), 10);
	assert_int_equal(marks_in("attempt 1"), 10);
	assert_int_equal(begins_at("attempt 2"), 30);
	assert_int_equal(marks_in("attempt 2"), 10);
}

static void
attempts_of_a_trace_that_does_not_say_follow_each_other(void **state)
{
	(void)state;
	view(TRACE(ATTEMPT("", "100") "," ATTEMPT("", "200")));
	assert_int_equal(begins_at("attempt 1"), 4); /* behind the overhead */
	assert_int_equal(begins_at("attempt 2"), 14);
	assert_int_equal(marks_in("attempt 2"), 20);
}

static void
nonsense_in_an_attempt_stays_within_its_columns(void **state)
{
	(void)state;
	view(TRACE(ATTEMPT("\"at_ms\":1e300,", "1e300") "," ATTEMPT(
	    "\"at_ms\":\"x\",", "-5") "," ATTEMPT("\"at_ms\":399.999,", "0.001")));
	assert_int_equal(begins_at("attempt 1"), 39);
	assert_int_equal(marks_in("attempt 1"), 1);
	assert_int_equal(begins_at("attempt 3"), 39);
	assert_int_equal(marks_in("attempt 3"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attempts_stand_where_they_were_sent),
		cmocka_unit_test(attempts_of_a_trace_that_does_not_say_follow_each_other),
		cmocka_unit_test(nonsense_in_an_attempt_stays_within_its_columns),
	};

	json_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
