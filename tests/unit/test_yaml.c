/* test_yaml.c - the core schema of YAML 1.2, lines, and everything that is refused with
 * one.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "config/yaml.h"

static void
expect(const char *yaml, const char *json)
{
	struct yaml_source *source;
	struct err e = { "" };
	json_t *j = yaml_parse(lz_strz(yaml), "f.yaml", &source, &e);
	struct buf text;

	if (j == NULL)
		fail_msg("%s: %s", yaml, e.text);
	buf_init(&text, 1 << 20);
	assert_true(json_print(j, &text));
	buf_add_char(&text, '\0');
	assert_string_equal(text.ptr, json);
	buf_free(&text);
	json_decref(j);
	yaml_source_free(source);
}

static void
refuse_text(lz_str yaml, const char *sentence)
{
	struct yaml_source *source;
	struct err e = { "" };
	json_t *j = yaml_parse(yaml, "f.yaml", &source, &e);

	assert_null(j);
	assert_null(source);
	if (strstr(e.text, sentence) == NULL)
		fail_msg("\"%s\" is not said: %s", sentence, e.text);
}

static void
refuse(const char *yaml, const char *sentence)
{
	refuse_text(lz_strz(yaml), sentence);
}

static void
scalars_mean_what_the_core_schema_says(void **state)
{
	static const struct {
		const char *yaml, *json;
	} rows[] = {
		{ "no", "\"no\"" },
		{ "[yes, on, off, y, n, Yes]",
		    "[\"yes\",\"on\",\"off\",\"y\",\"n\",\"Yes\"]" },
		{ "[true, True, FALSE, tRue]", "[true,true,false,\"tRue\"]" },
		{ "[null, ~, Null, nULL, '']", "[null,null,null,\"nULL\",\"\"]" },
		{ "[1, -1, +1, 007, 0x1F, 0o17, 0b1, 1_000]",
		    "[1,-1,1,7,31,15,\"0b1\",\"1_000\"]" },
		{ "[1.5, .5, 1., 1e3, -1.5E-2, '1.5', 1.2.3, ., 1e]",
		    "[1.5,0.5,1.0,1000.0,-0.015,\"1.5\",\"1.2.3\",\".\",\"1e\"]" },
		{ "[2026-11-20, 12:30:45, 10.0.0.0/8]",
		    "[\"2026-11-20\",\"12:30:45\",\"10.0.0.0/8\"]" },
		{ "a:", "{\"a\":null}" },
		{ "", "null" },
		{ "# only a comment\n", "null" },
		{ "{\"a\": [1, {\"b\": \"\\u00e9\"}]}",
		    "{\"a\":[1,{\"b\":\"\303\251\"}]}" },
		{ "a: |\n  x\n  y\nb: >\n  x\n  y\n",
		    "{\"a\":\"x\\ny\\n\",\"b\":\"x y\\n\"}" },
		{ "1: x\ntrue: y\n", "{\"1\":\"x\",\"true\":\"y\"}" },
		{ "---\na: 1\n...\n", "{\"a\":1}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i].yaml, rows[i].json);
}

static void
what_could_mean_two_things_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *yaml, *sentence;
	} rows[] = {
		{ "a: 1\nb: 2\na: 3\n",
		    "f.yaml:3: \"a\" is there twice, first on line 1" },
		{ "{\"a\": 1, \"a\": 2}", "\"a\" is there twice" },
		{ "a: !!str 1\n",
		    "f.yaml:1: tags (tag:yaml.org,2002:str) are not supported" },
		{ "a:\n  !x b: 1\n", "f.yaml:2: tags" },
		{ "a: &x {b: 1}\nc:\n  <<: *x\n",
		    "f.yaml:3: merge keys (<<) are not supported" },
		{ "a: 1\n---\nb: 2\n", "f.yaml:2: a second document begins" },
		{ "? [a]\n: 1\n", "f.yaml:1: a key must be a word" },
		{ "? *x\n: 1\n", "a key must be a word" },
		{ "'': 1\n", "a key is empty" },
		{ "a: [1\n", "not YAML" },
		{ "a: 1\n b: 2\n", "f.yaml:2: not YAML" },
		{ "\ta: 1\n", "f.yaml:1: not YAML" },
		{ "a: *nobody\n", "*nobody: there is no &nobody before it" },
		{ "a: &a [*a]\n", "*a stands inside what it stands for" },
		{ "a: 99999999999999999999\n",
		    "f.yaml:1: the number 99999999999999999999 is too large" },
		{ "a: 1e999\n", "the number 1e999 is too large" },
		{ "a: .inf\n", ".inf is not a number that can be used here" },
		{ "a: -.NaN\n", "-.NaN is not a number" },
		{ "a: \"x\\0y\"\n", "a string holds a NUL byte" },
		{ "\"x\\0y\": 1\n", "a key holds a NUL byte" },
		{ "%YAML 3.0\n---\na: 1\n", "not YAML" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		refuse(rows[i].yaml, rows[i].sentence);
	refuse_text(STR_LIT("a: \xff\n"), "is not UTF-8");
}

static void
aliases_copy_what_they_stand_for(void **state)
{
	(void)state;
	expect("a: &x {k: [1, true]}\nb: *x\nc: [*x, *x]\n",
	    "{\"a\":{\"k\":[1,true]},\"b\":{\"k\":[1,true]},\"c\":[{\"k\":[1,true]},{"
	    "\"k\":[1,true]}]}");
	expect("a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}");
}

static void
what_an_alias_stands_for_may_be_of_any_kind(void **state)
{
	(void)state;
	expect("a: &x null\nb: *x\nc: &y true\nd: [*y, &z 1.5, *z]\n",
	    "{\"a\":null,\"b\":null,\"c\":true,\"d\":[true,1.5,1.5]}");
	expect("a: &x [1, [], {k: [v]}]\nb: *x\nc: &e {}\nd: *e\n",
	    "{\"a\":[1,[],{\"k\":[\"v\"]}],\"b\":[1,[],{\"k\":[\"v\"]}],\"c\":{},"
	    "\"d\":{}}");
}

/* What is wrong in a copy is named where it was written; the copy, where it is used. */
static void
a_copy_has_the_line_of_its_alias_and_its_members_their_own(void **state)
{
	struct yaml_source *source;
	json_t *root = yaml_parse(
	    STR_LIT("a: &x\n  k: 1\n  l: [2]\nb:\n  c: *x\n"), "f.yaml", &source, NULL);
	const json_t *copy;

	(void)state;
	assert_non_null(root);
	copy = json_object_get(json_object_get(root, "b"), "c");
	assert_ptr_not_equal(copy, json_object_get(root, "a"));
	assert_int_equal(yaml_line(source, copy, NULL), 5);
	assert_int_equal(yaml_line(source, copy, "k"), 2);
	assert_int_equal(yaml_line(source, copy, "l"), 3);
	json_decref(root);
	yaml_source_free(source);
}

static void
a_thousand_anchors_are_taken_and_one_more_refused(void **state)
{
	struct yaml_source *source;
	struct buf text;
	json_t *j;

	(void)state;
	buf_init(&text, 1 << 20);
	for (int i = 0; i < 1000; i++)
		buf_addf(&text, "- &a%d x\n", i);
	j = yaml_parse(buf_str(&text), "f.yaml", &source, NULL);
	assert_int_equal(json_array_size(j), 1000);
	json_decref(j);
	yaml_source_free(source);
	buf_add_z(&text, "- &one_more x\n");
	refuse_text(buf_str(&text), "f.yaml:1001: more than 1000 anchors");
	buf_free(&text);
}

static void
a_billion_laughs_end_early(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_add_z(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 12; i++) {
		buf_addf(&text, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_addf(&text, "%s*a%d", k > 0 ? "," : "", i - 1);
		buf_add_z(&text, "]\n");
	}
	refuse_text(buf_str(&text), "aliases expand to more than 10000 values");
	buf_free(&text);
}

static void
depth_and_size_have_a_most(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 4 << 20);
	for (int i = 0; i < 1000000; i++)
		buf_add_char(&text, '[');
	refuse_text(buf_str(&text), "more than 64 levels");
	buf_reset(&text);
	for (int i = 0; i < 500000; i++)
		buf_add_z(&text, "- ");
	refuse_text(buf_str(&text), "more than 64 levels");
	buf_reset(&text);
	for (int i = 0; i < 200000; i++)
		buf_add_z(&text, "a: 1\n ");
	refuse_text(buf_str(&text), "larger than 1 MiB");
	buf_free(&text);
}

static void
lines_are_known_of_members_and_nodes(void **state)
{
	struct yaml_source *source;
	json_t *root = yaml_parse(
	    STR_LIT("a: 1\nb:\n  c: true\n  d:\n    - x\n    - y\ne: {f: null}\n"),
	    "f.yaml", &source, NULL);
	const json_t *b = json_object_get(root, "b");

	(void)state;
	assert_non_null(root);
	assert_int_equal(yaml_line(source, root, "a"), 1);
	assert_int_equal(yaml_line(source, root, "b"), 2);
	assert_int_equal(yaml_line(source, b, NULL), 2); /* where its key stands */
	assert_int_equal(yaml_line(source, b, "c"), 3);
	assert_int_equal(yaml_line(source, b, "d"), 4);
	assert_int_equal(
	    yaml_line(source, json_array_get(json_object_get(b, "d"), 1), NULL), 6);
	assert_int_equal(yaml_line(source, json_object_get(root, "e"), "f"), 7);
	assert_int_equal(yaml_line(source, root, "nothing"), 0);
	assert_int_equal(yaml_line(source, json_null(), NULL), 0);
	assert_string_equal(yaml_file(source), "f.yaml");
	json_decref(root);
	yaml_source_free(source);
}

/* Whatever is cut off or flipped: an answer, never a crash. Sanitizers make this test
 * worth more. */
static void
broken_texts_are_answered(void **state)
{
	static const char whole[] = "a: &x {b: [1, 'two', \"thr\\x41ee\", |\n k], c: "
				    "*x}\nd: >-\n  e\n# f\n? g\n: h\n...\n";
	char text[sizeof(whole)];

	(void)state;
	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		for (int flip = 0; flip < 8; flip++) {
			struct yaml_source *source;
			json_t *j;

			memcpy(text, whole, sizeof(whole));
			text[n] = (char)(text[n] ^ (1 << flip));
			j = yaml_parse(
			    lz_strn(text, sizeof(whole) - 1), "f", &source, NULL);
			json_decref(j);
			yaml_source_free(source);
			j = yaml_parse(lz_strn(text, n), "f", &source, NULL);
			json_decref(j);
			yaml_source_free(source);
		}
	}
}

static void
json_is_read_as_json(void **state)
{
	struct yaml_source *source;
	lz_str text = STR_LIT("{\n \"a\": \"\xe2\x80\xa8\xc2\x85\",\n \"b\": 1}\n");
	json_t *root;

	(void)state;
	expect("{\"a\": \"\\ud83d\\ude00\\\\ud83d\"}",
	    "{\"a\":\"\xf0\x9f\x98\x80\\\\ud83d\"}");
	expect("{\"a\": \"\\uDBFF\\uDFFF\"}", "{\"a\":\"\xf4\x8f\xbf\xbf\"}");
	expect("{\"\\ud83d\\ude00\": \"\\u00e9\\/\"}",
	    "{\"\xf0\x9f\x98\x80\":\"\xc3\xa9/\"}");
	expect("{\"a\": \" \x7f\xc2\x9f\xef\xbb\xbf\xef\xbf\xbf \"}",
	    "{\"a\":\" \x7f\xc2\x9f\xef\xbb\xbf\xef\xbf\xbf \"}");
	expect("[\"\xe2\x80\xa8\"]", "[\"\xe2\x80\xa8\"]");
	expect("\"\xc2\x85x\"", "\"\xc2\x85x\"");
	/* Elsewhere a backslash is one, and half a pair is nothing. */
	expect("a: '\\ud83d\\ude00'", "{\"a\":\"\\\\ud83d\\\\ude00\"}");
	refuse("{\"a\": \"\\ud83d\"}", "f.yaml:1: not YAML");
	root = yaml_parse(text, "f.yaml", &source, NULL);
	assert_non_null(root);
	assert_string_equal(
	    json_string_value(json_object_get(root, "a")), "\xe2\x80\xa8\xc2\x85");
	assert_int_equal(yaml_line(source, root, "b"), 3);
	json_decref(root);
	yaml_source_free(source);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars_mean_what_the_core_schema_says),
		cmocka_unit_test(what_could_mean_two_things_is_refused_with_its_line),
		cmocka_unit_test(aliases_copy_what_they_stand_for),
		cmocka_unit_test(what_an_alias_stands_for_may_be_of_any_kind),
		cmocka_unit_test(
		    a_copy_has_the_line_of_its_alias_and_its_members_their_own),
		cmocka_unit_test(a_thousand_anchors_are_taken_and_one_more_refused),
		cmocka_unit_test(a_billion_laughs_end_early),
		cmocka_unit_test(depth_and_size_have_a_most),
		cmocka_unit_test(lines_are_known_of_members_and_nodes),
		cmocka_unit_test(broken_texts_are_answered),
		cmocka_unit_test(json_is_read_as_json),
	};

	json_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
