/* test_json.c - jansson behind its fences.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <float.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"

static int
start(void **state)
{
	(void)state;
	json_start();
	return 0;
}

static void
expect_printed(const char *text, const char *printed)
{
	struct err e;
	struct buf b;
	json_t *j = json_parse(lz_strz(text), &e);

	if (j == NULL)
		fail_msg("%s: %s", text, e.text);
	buf_init(&b, 100000);
	assert_true(json_print(j, &b));
	if (!str_is(buf_str(&b), printed))
		fail_msg("%.*s is not %s", STR_ARG(buf_str(&b)), printed);
	buf_free(&b);
	json_decref(j);
}

static void
what_is_read_is_printed_compactly_in_the_same_order(void **state)
{
	(void)state;
	expect_printed(" { \"b\" : 1 , \"a\" : [ true , false , null ] } ",
	    "{\"b\":1,\"a\":[true,false,null]}");
	expect_printed("[[],{},\"\"]", "[[],{},\"\"]");
	expect_printed("\"a\\u0000\\n\\u00e9\\ud83d\\ude00\"",
	    "\"a\\u0000\\n\xc3\xa9\xf0\x9f\x98\x80\"");
	expect_printed("-9223372036854775808", "-9223372036854775808");
	expect_printed("{\"\":{\"k\\\"\":1}}", "{\"\":{\"k\\\"\":1}}");
}

static void
reals_are_printed_as_people_write_them(void **state)
{
	(void)state;
	expect_printed(
	    "[0.1,0.7,1.0,-0.0,1e20,2.5e-3]", "[0.1,0.7,1.0,-0.0,1e+20,0.0025]");
	expect_printed("[1.7976931348623157e308,5e-324]",
	    "[1.7976931348623157e+308,4.94065645841247e-324]");
	expect_printed("0.30000000000000004", "0.30000000000000004");
	expect_printed("123456789012.125", "123456789012.125");
}

static void
every_real_reads_back_as_itself(void **state)
{
	uint64_t bits = 88172645463325252u;
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (int i = 0; i < 20000; i++) {
		double v, back;
		json_t *j;

		bits ^= bits << 13;
		bits ^= bits >> 7;
		bits ^= bits << 17;
		memcpy(&v, &bits, sizeof(v));
		j = json_real(v); /* NULL for what is no number */
		if (j == NULL)
			continue;
		buf_reset(&b);
		assert_true(json_print(j, &b));
		buf_add_char(&b, '\0');
		back = strtod(b.ptr, NULL);
		assert_memory_equal(&v, &back, sizeof(v));
		json_decref(j);
	}
	buf_free(&b);
}

static void
expect_refused(const char *text, const char *why)
{
	struct err e;

	assert_null(json_parse(lz_strz(text), &e));
	if (strstr(e.text, why) == NULL)
		fail_msg("%s: %s", text, e.text);
	assert_null(json_parse(lz_strz(text), NULL));
}

static void
a_refusal_names_the_place(void **state)
{
	(void)state;
	expect_refused("", "byte 0");
	expect_refused("{\"a\":1,\"a\":2}", "duplicate");
	expect_refused("[{\"x\":{\"a\":1,\"\\u0061\":2}}]", "duplicate");
	expect_refused("[1] x", "byte 4");
	expect_refused("[1e999]", "too large");
	expect_refused("{\"a\\u0000\":1}", "\\u0000");
}

static void
depth_is_refused_before_a_tree_is_built(void **state)
{
	char text[2 * 64 + 1];

	(void)state;
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	text[128] = '\0';
	expect_refused(text, "64 brackets");
	text[127] = '\0';
	expect_printed(text + 1, text + 1);
}

static void
a_printer_that_cannot_go_on_leaves_the_buffer_as_it_was(void **state)
{
	json_t *j = json_pack("{s:s}", "key", "a value of some length"),
	       *deep = json_array();
	struct buf b;

	(void)state;
	buf_init(&b, 20);
	buf_add_z(&b, "x");
	assert_false(json_print(j, &b));
	assert_true(b.failed);
	assert_true(str_is(buf_str(&b), "x"));
	buf_free(&b);
	json_decref(j);

	for (int i = 0; i < 300; i++) {
		json_t *outer = json_array();

		json_array_append_new(outer, deep);
		deep = outer;
	}
	buf_init(&b, 100000);
	assert_false(json_print(deep, &b));
	assert_false(json_print(NULL, &b));
	assert_int_equal(b.len, 0);
	buf_free(&b);
	json_decref(deep);
}

static void
readers_take_what_is_there_and_nothing_else(void **state)
{
	json_t *j = json_parse(
	    STR_LIT("{\"s\":\"a\\u0000b\",\"i\":7,\"r\":1.5,\"t\":true,\"n\":null}"),
	    NULL);

	(void)state;
	assert_true(str_eq(json_get_str(j, "s"), STR_LIT("a\0b")));
	assert_null(json_get_str(j, "i").ptr);
	assert_null(json_get_str(j, "none").ptr);
	assert_null(json_get_str(NULL, "s").ptr);
	assert_int_equal(json_get_int(j, "i", 3), 7);
	assert_int_equal(json_get_int(j, "r", 3), 3);
	assert_int_equal(json_get_int(NULL, "i", 3), 3);
	assert_true(json_get_bool(j, "t", false));
	assert_true(json_get_bool(j, "n", true));
	assert_false(json_get_bool(NULL, "t", false));
	json_decref(j);
}

/* jansson's own reader is the second opinion, where memory does not run out. */
static void
trees_are_those_that_jansson_reads(void **state)
{
	static const char *const texts[] = {
		"-0", "-0.0", "0e0", "1E+2", "12.5e-3", "[]", " [ ] ", "{}", " { } ",
		"[[],[{}],{\"a\":[]}]", "\"\"",
		"\"\\u0000x\\\"\\\\\\/\\b\\f\\n\\r\\t\\u20ac\\ud83d\\ude00\"",
		"{\"\\u00e9\":1,\"e\":{\"\":[1,2.5,\"x\"]},\"f\":[true,false,null]}",
		"9223372036854775807", "-9223372036854775808", "4.9e-324", "1e-999",
		"[ 1 , 2 ,\n3\t]", "{\"k\" : 1 ,\r\n\"l\": \"v\" }",
		"0.1234567890123456789012345678901234567890123456789012345678901234567890"
		"1234567890123456789012345678901234567890123456789012345678901234567890"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct err e = { "" };
		json_t *ours = json_parse(lz_strz(texts[i]), &e);
		json_t *theirs =
		    json_loads(texts[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

		if (theirs == NULL || !json_equal(ours, theirs))
			fail_msg("%s: %s", texts[i], e.text);
		json_decref(ours);
		json_decref(theirs);
	}
}

static int
fail_kth(size_t n, void *arg)
{
	int *left = arg;

	(void)n;
	return --*left == 0;
}

static void
each_failed_allocation_is_a_refusal(void **state)
{
	static const char text[] = "{\"a\":[1,2.5,\"x\",{\"b\":null}],\"c\":\"\\u00e9\"}";
	json_t *j = NULL;
	int k;

	(void)state;
	for (k = 1; j == NULL && k < 1000; k++) {
		struct err e = { "" };
		int left = k;

		mem_set_fault(fail_kth, &left);
		j = json_parse(lz_strz(text), &e);
		mem_set_fault(NULL, NULL);
		assert_string_equal(e.text, j == NULL ? "JSON: out of memory" : "");
	}
	assert_in_range(k, 5, 900);
	json_decref(j);
}

/* For every k of the allocations: what is given is in the object, or nothing is given. */
static void
what_is_made_in_an_object_is_there_or_is_not_given(void **state)
{
	bool is_whole = false;

	(void)state;
	for (int k = 1; !is_whole; k++) {
		json_t *object = json_object(), *one, *list;
		int left = k;

		mem_set_fault(fail_kth, &left);
		one = json_object_in(object, "one");
		list = json_list_in(one, "list");
		(void)json_array_append_new(list, json_true());
		mem_set_fault(NULL, NULL);
		assert_ptr_equal(one, json_object_get(object, "one"));
		assert_ptr_equal(list, json_object_get(one, "list"));
		is_whole = json_array_size(list) == 1 && left > 0;
		if (is_whole)
			assert_ptr_equal(json_list_in(one, "list"), list);
		json_decref(object);
		assert_true(k < 100);
	}
	assert_null(json_list_in(NULL, "list"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_printed_compactly_in_the_same_order),
		cmocka_unit_test(reals_are_printed_as_people_write_them),
		cmocka_unit_test(every_real_reads_back_as_itself),
		cmocka_unit_test(a_refusal_names_the_place),
		cmocka_unit_test(depth_is_refused_before_a_tree_is_built),
		cmocka_unit_test(a_printer_that_cannot_go_on_leaves_the_buffer_as_it_was),
		cmocka_unit_test(readers_take_what_is_there_and_nothing_else),
		cmocka_unit_test(trees_are_those_that_jansson_reads),
		cmocka_unit_test(each_failed_allocation_is_a_refusal),
		cmocka_unit_test(what_is_made_in_an_object_is_there_or_is_not_given),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
