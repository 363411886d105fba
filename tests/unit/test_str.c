/* test_str.c - views of bytes, UTF-8, names that look alike, and the sentences of struct
 * err.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/status.h"
#include "base/str.h"

static void
absent_and_empty_strings_compare_equal(void **state)
{
	(void)state;
	assert_true(str_eq(STR_NONE, STR_LIT("")));
	assert_true(str_is(STR_NONE, ""));
	assert_false(str_is(STR_NONE, "a"));
	assert_true(str_starts(STR_NONE, ""));
	assert_true(str_ends(STR_NONE, ""));
	assert_false(str_starts(STR_NONE, "a"));
	assert_int_equal(str_find(STR_NONE, 'a'), -1);
	assert_null(str_cut(STR_NONE, 1, 2).ptr);
	assert_int_equal(str_trim(STR_NONE).len, 0);
	assert_true(str_is_utf8(STR_NONE));
}

static void
case_is_folded_for_ascii_only(void **state)
{
	(void)state;
	assert_true(str_is_nocase(STR_LIT("Content-LENGTH"), "content-length"));
	assert_false(str_is_nocase(STR_LIT("content-length"), "content-lengt"));
	assert_false(str_is_nocase(STR_LIT("content"), "content-length"));
	assert_false(str_is_nocase(STR_LIT("["), "{"));
	assert_false(str_is_nocase(STR_LIT("\xc3\x84"), "\xc3\xa4"));
	assert_false(str_is_nocase(STR_LIT("a\0b"), "a"));
}

static void
prefixes_suffixes_and_cuts_stay_inside(void **state)
{
	lz_str s = STR_LIT("gpt-4.1-mini");

	(void)state;
	assert_true(str_starts(s, "gpt-"));
	assert_false(str_starts(s, "gpt-4.1-mini-2"));
	assert_true(str_ends(s, "mini"));
	assert_false(str_ends(STR_LIT("i"), "mini"));
	assert_true(str_is(str_cut(s, 4, 7), "4.1"));
	assert_true(str_is(str_cut(s, 8, SIZE_MAX), "mini"));
	assert_true(str_is(str_cut(s, 9, 3), ""));
	assert_true(str_is(str_trim(STR_LIT(" \t a b\t ")), "a b"));
	assert_true(str_is(str_trim(STR_LIT(" \t ")), ""));
	assert_int_equal(str_find(s, '-'), 3);
	assert_int_equal(str_find(s, 'z'), -1);
}

static void
integers_are_digits_within_their_maximum(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1.0",
		"101", "9223372036854775808", "99999999999999999999999" };
	int64_t v = -1;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(str_to_int(lz_strz(bad[i]), 100, &v));
	assert_false(str_to_int(STR_LIT("9223372036854775808"), INT64_MAX, &v));
	assert_int_equal(v, -1);
	assert_true(str_to_int(STR_LIT("100"), 100, &v));
	assert_int_equal(v, 100);
	assert_true(str_to_int(STR_LIT("0000"), 0, &v));
	assert_int_equal(v, 0);
	assert_true(str_to_int(STR_LIT("9223372036854775807"), INT64_MAX, &v));
	assert_true(v == INT64_MAX);
}

static void
a_pattern_ends_in_one_star_at_most(void **state)
{
	(void)state;
	assert_true(str_matches(STR_LIT("gpt-4.1"), STR_LIT("gpt-*")));
	assert_true(str_matches(STR_LIT("gpt-"), STR_LIT("gpt-*")));
	assert_true(str_matches(STR_LIT("anything"), STR_LIT("*")));
	assert_true(str_matches(STR_LIT(""), STR_LIT("*")));
	assert_false(str_matches(STR_LIT("gp"), STR_LIT("gpt-*")));
	assert_false(str_matches(STR_LIT("gpt-4.1"), STR_LIT("gpt-4")));
	assert_false(str_matches(STR_LIT("gpt-4.1"), STR_LIT("*-4.1")));
	assert_true(str_matches(STR_LIT("*-4.1"), STR_LIT("*-4.1")));
	assert_false(str_matches(STR_LIT("x"), STR_LIT("")));
}

static void
utf8_is_what_unicode_says_and_nothing_else(void **state)
{
	static const char *const good[] = { "", "plain ascii, longer than eight bytes",
		"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
		"\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
		"eight ch\xc3\xa4r\xe2\x82\xac eight more and \xf0\x9f\x98\x80" };
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2",
		"\xc2 ", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe1\x80", "\xe1\x80 ",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
		"\xf1\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
		"12345678\xe2\x82" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(str_is_utf8(lz_strz(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(str_is_utf8(lz_strz(bad[i])));
}

/* All code points, encoded by the definition. */
static void
every_code_point_but_surrogates_is_one_step(void **state)
{
	(void)state;
	for (uint32_t c = 0x80; c < 0x110000; c++) {
		char p[4] = { (char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3f)),
			(char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f)) };
		size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		bool is_surrogate = c >= 0xd800 && c < 0xe000;

		if (n == 3)
			p[1] = (char)(0xe0 | c >> 12);
		if (n == 2)
			p[2] = (char)(0xc0 | c >> 6);
		assert_int_equal(str_utf8_step(p + 4 - n, n), is_surrogate ? 0 : n);
		assert_int_equal(str_utf8_step(p + 4 - n, n - 1), 0);
	}
	assert_int_equal(str_utf8_step("", 0), 0);
}

static void
typing_mistakes_are_one_edit_away(void **state)
{
	char name[80];

	(void)state;
	memset(name, 'a', sizeof(name));
	assert_int_equal(str_distance(STR_LIT("model"), STR_LIT("model"), 2), 0);
	assert_int_equal(str_distance(STR_LIT("modle"), STR_LIT("model"), 2), 1);
	assert_int_equal(str_distance(STR_LIT("mdoel"), STR_LIT("model"), 2), 1);
	assert_int_equal(str_distance(STR_LIT("mode"), STR_LIT("model"), 2), 1);
	assert_int_equal(str_distance(STR_LIT("modell"), STR_LIT("model"), 2), 1);
	assert_int_equal(str_distance(STR_LIT("listn"), STR_LIT("listen"), 2), 1);
	assert_int_equal(str_distance(STR_LIT("kitten"), STR_LIT("sitting"), 3), 3);
	assert_int_equal(str_distance(STR_LIT("kitten"), STR_LIT("sitting"), 2), 3);
	assert_int_equal(str_distance(STR_LIT("kitten"), STR_LIT("sitting"), 1), 2);
	assert_int_equal(str_distance(STR_LIT(""), STR_LIT("ab"), 2), 2);
	assert_int_equal(str_distance(STR_NONE, STR_NONE, 2), 0);
	assert_int_equal(str_distance(STR_LIT("abcdef"), STR_LIT("uvwxyz"), 2), 3);
	assert_int_equal(str_distance(lz_strn(name, 80), lz_strn(name, 80), 2), 3);
	assert_int_equal(str_distance(lz_strn(name, 64), lz_strn(name, 63), 2), 1);
}

static void
an_error_sentence_gets_prefixes_and_is_cut_between_characters(void **state)
{
	char most[512];
	struct err e;

	(void)state;
	assert_int_equal(err_fail(&e, ST_LIMIT, "got %d", 7), ST_LIMIT);
	err_prefix(&e, "file:%d", 3);
	assert_string_equal(e.text, "file:3: got 7");

	memset(most, 'a', sizeof(most));
	memcpy(most + sizeof(e.text) - 2, "\xe2\x82\xac", 4);
	assert_int_equal(err_fail(&e, ST_INVALID, "%s", most), ST_INVALID);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 2);
	err_prefix(&e, "a");
	assert_true(str_starts(lz_strz(e.text), "a: aaa"));
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);

	assert_int_equal(err_fail(NULL, ST_IO, "nobody listens"), ST_IO);
	assert_int_equal(err_fail(&e, ST_IO, "a %s c", "b\n\x1b[2J"), ST_IO);
	assert_string_equal(e.text, "a b  [2J c");
	err_prefix(NULL, "nobody");
}

static void
every_status_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(status_name(ST_OK), "ok");
	for (int st = ST_OK; st <= ST_TIMEOUT; st++)
		assert_true(strlen(status_name((enum status)st)) > 1);
	assert_string_equal(status_name((enum status)99), "unknown status");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absent_and_empty_strings_compare_equal),
		cmocka_unit_test(case_is_folded_for_ascii_only),
		cmocka_unit_test(prefixes_suffixes_and_cuts_stay_inside),
		cmocka_unit_test(integers_are_digits_within_their_maximum),
		cmocka_unit_test(a_pattern_ends_in_one_star_at_most),
		cmocka_unit_test(utf8_is_what_unicode_says_and_nothing_else),
		cmocka_unit_test(every_code_point_but_surrogates_is_one_step),
		cmocka_unit_test(typing_mistakes_are_one_edit_away),
		cmocka_unit_test(
		    an_error_sentence_gets_prefixes_and_is_cut_between_characters),
		cmocka_unit_test(every_status_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
