/* test_buf.c - a growing run of bytes that knows its maximum.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

static int
refuse_all(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return 1;
}

static void
appends_follow_each_other(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	buf_add_z(&b, "a");
	buf_add_char(&b, ' ');
	buf_add_str(&b, STR_LIT("b"));
	buf_add_str(&b, STR_NONE);
	buf_addf(&b, " %d %s", 7, "c");
	buf_add(&b, "d\0e", 3);
	assert_true(str_eq(buf_str(&b), STR_LIT("a b 7 cd\0e")));
	buf_take(&b, 2);
	assert_true(str_eq(buf_str(&b), STR_LIT("b 7 cd\0e")));
	buf_take(&b, 99);
	assert_int_equal(b.len, 0);
	buf_free(&b);
	assert_null(b.ptr);
	assert_int_equal(b.max_bytes, 1000);
	buf_take(&b, 1);
}

static void
what_does_not_fit_changes_nothing_and_closes_the_buffer(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_add(&b, "123456789", 9);
	buf_add(&b, "ab", 2);
	assert_true(b.failed);
	assert_int_equal(b.len, 9);
	buf_add_char(&b, 'x');
	assert_int_equal(b.len, 9);
	assert_null(buf_room(&b, 0));
	buf_reset(&b);
	assert_false(b.failed);
	buf_add(&b, "1234567890", 10);
	assert_false(b.failed);
	assert_int_equal(b.len, 10);
	assert_null(buf_room(&b, SIZE_MAX));
	buf_free(&b);
}

static void
a_formatted_text_may_fill_the_buffer_to_the_last_byte(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_addf(&b, "%s", "12345");
	assert_false(b.failed);
	assert_true(str_is(buf_str(&b), "12345"));
	buf_addf(&b, "%s", "");
	assert_false(b.failed);
	buf_addf(&b, "%s", "6");
	assert_true(b.failed);
	assert_int_equal(b.len, 5);
	buf_free(&b);
	buf_init(&b, 100000);
	for (int i = 0; i < 1000; i++)
		buf_addf(&b, "%99d,", i);
	assert_false(b.failed);
	assert_int_equal(b.len, 100000);
	buf_free(&b);
}

static void
an_allocation_that_fails_closes_the_buffer(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	mem_set_fault(refuse_all, NULL);
	buf_add_z(&b, "x");
	mem_set_fault(NULL, NULL);
	assert_true(b.failed);
	assert_int_equal(b.len, 0);
	buf_free(&b);
}

static void
integers_print_as_printf_prints_them(void **state)
{
	static const int64_t values[] = { 0, 1, -1, 9, 10, -10, 99, 100, 12345678901,
		INT64_MAX, INT64_MIN, INT64_MIN + 1 };
	struct buf b;
	char expected[32];

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		(void)snprintf(expected, sizeof(expected), "%" PRId64, values[i]);
		buf_reset(&b);
		buf_add_int(&b, values[i]);
		assert_true(str_is(buf_str(&b), expected));
	}
	buf_free(&b);
}

static void
nano_units_print_as_the_shortest_decimal(void **state)
{
	static const struct {
		int64_t nano;
		const char *text;
	} rows[] = { { 0, "0" }, { 1, "0.000000001" }, { -1, "-0.000000001" },
		{ 1500000000, "1.5" }, { -1500000000, "-1.5" }, { 1000000000, "1" },
		{ 10000000000, "10" }, { 100000000, "0.1" },
		{ 1000000001, "1.000000001" }, { INT64_MAX, "9223372036.854775807" },
		{ INT64_MIN, "-9223372036.854775808" } };
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		buf_reset(&b);
		buf_add_nano(&b, rows[i].nano);
		assert_true(str_is(buf_str(&b), rows[i].text));
	}
	buf_free(&b);
}

static void
expect_json(lz_str text, const char *json)
{
	struct buf b;

	buf_init(&b, 10000);
	buf_add_json(&b, text);
	assert_false(b.failed);
	if (!str_is(buf_str(&b), json))
		fail_msg("%.*s is not %s", STR_ARG(buf_str(&b)), json);
	buf_free(&b);
}

static void
json_strings_are_escaped_and_always_utf8(void **state)
{
	(void)state;
	expect_json(STR_NONE, "\"\"");
	expect_json(STR_LIT("plain"), "\"plain\"");
	expect_json(STR_LIT("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
	expect_json(STR_LIT("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\"");
	expect_json(STR_LIT("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\x7f\"");
	expect_json(STR_LIT("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"),
	    "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
	expect_json(STR_LIT("a\xff"
			    "b"),
	    "\"a\xef\xbf\xbd"
	    "b\"");
	expect_json(STR_LIT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	expect_json(STR_LIT("cut \xe2\x82"), "\"cut \xef\xbf\xbd\xef\xbf\xbd\"");
}

/* The wide loop looks at 8 or 16 bytes at once: each special byte at each place of a long
 * text. */
static void
a_special_byte_is_seen_wherever_it_stands(void **state)
{
	static const char special[] = { '"', '\\', '\n', 0x1f };
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t len = 1; len < 40; len++) {
		for (size_t at = 0; at < len; at++) {
			for (size_t k = 0; k < sizeof(special); k++) {
				char text[40];

				memset(text, at % 2 ? '~' : ' ', len);
				text[at] = special[k];
				buf_reset(&b);
				buf_add_json(&b, lz_strn(text, len));
				assert_int_equal(b.ptr[at + 1], '\\');
				assert_int_equal(
				    b.len, len + (special[k] == 0x1f ? 7 : 3));
			}
		}
	}
	buf_free(&b);
}

static void
a_json_string_that_does_not_fit_leaves_no_half(void **state)
{
	struct buf b;

	(void)state;
	for (size_t max = 3; max < 20; max++) {
		buf_init(&b, max);
		buf_add_z(&b, "abc");
		buf_add_json(&b, STR_LIT("a\n\x01zz"));
		assert_true(b.failed == (max < 16));
		assert_int_equal(b.len, max < 16 ? 3 : 16);
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_follow_each_other),
		cmocka_unit_test(what_does_not_fit_changes_nothing_and_closes_the_buffer),
		cmocka_unit_test(a_formatted_text_may_fill_the_buffer_to_the_last_byte),
		cmocka_unit_test(an_allocation_that_fails_closes_the_buffer),
		cmocka_unit_test(integers_print_as_printf_prints_them),
		cmocka_unit_test(nano_units_print_as_the_shortest_decimal),
		cmocka_unit_test(json_strings_are_escaped_and_always_utf8),
		cmocka_unit_test(a_special_byte_is_seen_wherever_it_stands),
		cmocka_unit_test(a_json_string_that_does_not_fit_leaves_no_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
