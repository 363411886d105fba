/* test_out.c - money, times and foreign text as people read them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cli/out.h"

static void
assert_money(int64_t nano_eur, const char *wanted)
{
	char text[40];

	assert_string_equal(out_money(nano_eur, text), wanted);
}

static void
money_shows_cents_and_finer_digits_where_there_are_some(void **state)
{
	(void)state;
	assert_money(0, "\xe2\x82\xac"
			"0.00");
	assert_money(250000000000, "\xe2\x82\xac"
				   "250.00");
	assert_money(1234567000, "\xe2\x82\xac"
				 "1.234567");
	assert_money(1230000000, "\xe2\x82\xac"
				 "1.23");
	assert_money(8500, "\xe2\x82\xac"
			   "0.000009");
	assert_money(499, "<\xe2\x82\xac"
			  "0.000001");
	assert_money(-1, "-");
}

static void
money_of_any_size_is_shown(void **state)
{
	(void)state;
	assert_money(INT64_MAX - 500, "\xe2\x82\xac"
				      "9223372036.854775");
	assert_money(INT64_MAX, "\xe2\x82\xac"
				"9223372036.854776");
}

static void
times_have_a_unit_that_fits(void **state)
{
	char text[40];

	(void)state;
	assert_string_equal(out_ms(0.04, text), "0.0 ms");
	assert_string_equal(out_ms(999.94, text), "999.9 ms");
	assert_string_equal(out_ms(61250, text), "61.25 s");
	assert_string_equal(out_ms(-1, text), "-");
}

static void
assert_safe(const char *from, unsigned columns, const char *wanted)
{
	char text[64];

	assert_string_equal(out_safe(from, columns, text, sizeof(text)), wanted);
}

static void
no_control_character_reaches_a_terminal(void **state)
{
	(void)state;
	assert_safe("a\033[31mred", 20, "a?[31mred");
	assert_safe("line\nnext\ttab", 20, "line next tab");
	assert_safe("bell\a del\x7f", 20, "bell? del?");
	assert_safe("c1 \xc2\x9b"
		    "31m",
	    20, "c1 ?31m");
	assert_safe("bad \xff\xfe", 20, "bad ??");
	assert_safe("fine \xc3\xa9\xe2\x82\xac", 20, "fine \xc3\xa9\xe2\x82\xac");
}

static void
long_text_is_cut_between_characters(void **state)
{
	char small[8];

	(void)state;
	assert_safe("abcdef", 3, "abc");
	assert_safe(
	    "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 2, "\xe2\x82\xac\xe2\x82\xac");
	assert_string_equal(
	    out_safe("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 9, small, sizeof(small)),
	    "\xe2\x82\xac\xe2\x82\xac");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(money_shows_cents_and_finer_digits_where_there_are_some),
		cmocka_unit_test(money_of_any_size_is_shown),
		cmocka_unit_test(times_have_a_unit_that_fits),
		cmocka_unit_test(no_control_character_reaches_a_terminal),
		cmocka_unit_test(long_text_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
