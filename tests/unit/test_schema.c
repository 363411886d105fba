/* test_schema.c - answers held against a JSON Schema: 500 values that match or do not,
 * what is said of those that do not, and what comes of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard_scene.h"

#include <jansson.h>
#include <stdbool.h>

static struct testhost *host;

static void
use(const char *options)
{
	testhost_free(host);
	host = guard_open("schema", options);
	assert_non_null(host);
}

static int
tear_down(void **state)
{
	(void)state;
	testhost_free(host);
	host = NULL;
	return 0;
}

/* An answer of one choice, as the gateway shows it: document and text. */
static const struct testhost_result *
answer(const char *text)
{
	json_t *body = json_pack("{s:[{s:i,s:{s:s,s:s},s:s}]}", "choices", "index", 0,
	    "message", "role", "assistant", "content", text, "finish_reason", "stop");
	char *json = json_dumps(body, JSON_COMPACT);

	testhost_begin(host);
	testhost_set_body(host, json);
	free(json);
	json_decref(body);
	(void)testhost_add_text(host, "assistant", text);
	return testhost_check(host, LZ_RESPONSE);
}

static void
assert_says(
    const struct testhost_result *r, int32_t verdict, const char *code, const char *words)
{
	if (r->verdict != verdict)
		fail_msg("%d, not %d", (int)r->verdict, (int)verdict);
	assert_true(testhost_found(r, code));
	if (strncmp(r->findings[0].message.ptr, words, strlen(words)) != 0)
		fail_msg("'%.*s', not '%s'", (int)r->findings[0].message.len,
		    r->findings[0].message.ptr, words);
}

/* ---- every keyword ---- */

static unsigned
try_values(const char *schema, const json_t *values, int32_t want)
{
	size_t i;
	json_t *value;
	unsigned n = 0;

	json_array_foreach(values, i, value)
	{
		char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		const struct testhost_result *r = testhost_answer(host, text);

		if (r->verdict != want)
			fail_msg("%s: %s: %d, not %d", schema, text, (int)r->verdict,
			    (int)want);
		if (want == LZ_BLOCK)
			assert_true(r->finding_count == 1 &&
				    lz_eq(r->findings[0].code, "schema.mismatch") &&
				    r->findings[0].message.len > 8);
		free(text);
		n++;
	}
	return n;
}

static void
each_keyword_does_what_the_specification_says(void **state)
{
	char path[PATH_MAX];
	json_t *groups, *group;
	unsigned n = 0;
	size_t i;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/tests/data/schema/cases.json",
	    fixture_env("srcdir", "."));
	groups = json_load_file(path, 0, NULL);
	assert_non_null(groups);
	json_array_foreach(groups, i, group)
	{
		json_t *options =
		    json_pack("{s:O}", "schema", json_object_get(group, "schema"));
		char *text = json_dumps(options, JSON_COMPACT);

		use(text);
		n += try_values(text, json_object_get(group, "yes"), LZ_OK);
		n += try_values(text, json_object_get(group, "no"), LZ_BLOCK);
		free(text);
		json_decref(options);
	}
	json_decref(groups);
	assert_true(n > 500);
}

/* ---- what is said ---- */

static void
what_is_wrong_is_told_with_its_place(void **state)
{
	static const struct {
		const char *schema, *value, *words;
	} rows[] = {
		{ "{\"type\":\"object\"}", "[]",
		    "(root): is an array; wanted an object" },
		{ "{\"properties\":{\"a\":{\"items\":{\"type\":[\"number\",\"null\"]}}}}",
		    "{\"a\":[1,\"x\"]}", "/a/1: is a string; wanted null or a number" },
		{ "{\"properties\":{\"a/b~\":{\"required\":[\"x\"]}}}", "{\"a/b~\":{}}",
		    "/a~1b~0: lacks 'x'" },
		{ "{\"additionalProperties\":false}", "{\"more\":1}",
		    "/more: is a member that is not allowed" },
		{ "{\"enum\":[\"a\",\"b\"]}", "\"c\"",
		    "(root): is none of the values that are allowed, [\"a\",\"b\"]" },
		{ "{\"const\":3}", "4",
		    "(root): is not the only value that is allowed, 3" },
		{ "{\"minimum\":3}", "2", "(root): is less than 3" },
		{ "{\"exclusiveMaximum\":0.5}", "0.5", "(root): is not below 0.5" },
		{ "{\"multipleOf\":5}", "7", "(root): is no multiple of 5" },
		{ "{\"minLength\":3}", "\"\u00e9\"",
		    "(root): has 1 characters; wanted at least 3" },
		{ "{\"maxItems\":1}", "[1,2]", "(root): has 2 items; wanted at most 1" },
		{ "{\"prefixItems\":[{}],\"items\":false}", "[1,2]",
		    "(root): has 2 items; wanted at most 1" },
		{ "{\"uniqueItems\":true}", "[1,2,1]",
		    "(root): has the same item at 0 and at 2" },
		{ "{\"pattern\":\"^a\"}", "\"b\"", "(root): does not match its pattern" },
		{ "{\"anyOf\":[{\"type\":\"null\"},{\"properties\":{\"a\":{\"type\":"
		  "\"string\"}}}]}",
		    "{\"a\":1}", "/a: is an integer; wanted a string" },
		{ "{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]}", "1",
		    "(root): matches none of the 2 schemas of anyOf" },
		{ "{\"oneOf\":[{},{}]}", "1",
		    "(root): matches more than one of the schemas of oneOf" },
		{ "{\"not\":{}}", "1", "(root): matches what `not` forbids" },
		{ "{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}",
		    "(root): lacks 'b', which 'a' needs" },
		{ "{\"propertyNames\":{\"maxLength\":1}}", "{\"ab\":1}",
		    "/ab: has a name that is not allowed" },
		{ "{\"items\":{\"allOf\":[{\"type\":\"string\"}]}}", "[1]",
		    "/0: is an integer; wanted a string" },
	};
	char options[400];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(
		    options, sizeof(options), "{\"schema\":%s}", rows[i].schema);
		use(options);
		assert_says(testhost_answer(host, rows[i].value), LZ_BLOCK,
		    "schema.mismatch", rows[i].words);
	}
}

static void
a_long_pointer_is_cut_between_characters(void **state)
{
	const struct testhost_result *r;
	char text[3000] = "";

	(void)state;
	use("{\"schema\":{\"additionalProperties\":{\"$ref\":\"#\"},\"type\":\"object\"}"
	    "}");
	for (int i = 0; i < 60; i++)
		strcat(text, "{\"\u00e9\u00e9\u00e9\u00e9\u00e9\":");
	strcat(text, "1");
	for (int i = 0; i < 60; i++)
		strcat(text, "}");
	r = testhost_answer(host, text);
	assert_says(r, LZ_BLOCK, "schema.mismatch", "/\u00e9");
	assert_non_null(strstr(r->findings[0].message.ptr, "...: is an integer"));
}

/* ---- schemas that cannot be used ---- */

static void
a_schema_that_cannot_be_used_is_refused_with_its_place(void **state)
{
	static const char *const rows[][2] = {
		{ "1", "(root): a schema is an object, true or false" },
		{ "{\"type\":\"text\"}", "/type: has to be null, boolean" },
		{ "{\"type\":[]}", "/type: has to be" },
		{ "{\"type\":[\"string\",1]}", "/type: has to be" },
		{ "{\"requierd\":[]}", "/requierd: is no keyword of JSON Schema" },
		{ "{\"properties\":{\"a\":{\"minimum\":\"1\"}}}",
		    "/properties/a/minimum: has to be a number" },
		{ "{\"multipleOf\":0}", "/multipleOf: has to be a number above 0" },
		{ "{\"minLength\":-1}", "/minLength: has to be a whole number" },
		{ "{\"minLength\":1.5}", "/minLength: has to be a whole number" },
		{ "{\"enum\":1}", "/enum: has to be a list of values" },
		{ "{\"required\":\"a\"}", "/required: has to be a list of names" },
		{ "{\"required\":[1]}", "/required: has to be a list of names" },
		{ "{\"properties\":[]}", "/properties: has to be an object" },
		{ "{\"properties\":{\"a\":1}}", "/properties/a: a schema is an object" },
		{ "{\"items\":[{}]}", "/items: a schema is an object" },
		{ "{\"prefixItems\":{}}", "/prefixItems: has to be a list" },
		{ "{\"anyOf\":[]}", "/anyOf: has to be a list of at least one" },
		{ "{\"allOf\":[{},{\"not\":3}]}", "/allOf/1/not: a schema is" },
		{ "{\"uniqueItems\":1}", "/uniqueItems: has to be true or false" },
		{ "{\"pattern\":\"(\"}", "/pattern: does not compile" },
		{ "{\"pattern\":1}", "/pattern: has to be a regular expression" },
		{ "{\"patternProperties\":{\"[\":{}}}",
		    "/patternProperties/[: does not compile" },
		{ "{\"$ref\":\"http://x/y\"}", "/$ref: has to be a local reference" },
		{ "{\"$ref\":\"#name\"}", "/$ref: has to be a local reference" },
		{ "{\"$ref\":\"#/$defs/a\"}", "/$ref: leads to nothing" },
		{ "{\"$ref\":\"#/%zz\"}", "/$ref: has to be a local reference" },
		{ "{\"$defs\":{\"a\":{\"type\":1}}}", "/$defs/a/type: has to be" },
		{ "{\"dependentRequired\":{\"a\":1}}",
		    "/dependentRequired/a: has to be a list of names" },
		{ "{\"unevaluatedProperties\":false}",
		    "/unevaluatedProperties: this keyword is not supported" },
		{ "{\"items\":{\"$dynamicRef\":\"#a\"}}",
		    "/items/$dynamicRef: this keyword is not supported" },
		{ "{\"items\":{\"$id\":\"a\"}}",
		    "/items/$id: is not supported below the root" },
	};
	char options[300], want[300];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why;

		(void)snprintf(options, sizeof(options), "{\"schema\":%s}", rows[i][0]);
		(void)snprintf(want, sizeof(want), "schema: %s", rows[i][1]);
		why = guard_refusal("schema", options);
		if (why == NULL || strstr(why, want) == NULL)
			fail_msg("%s: '%s' does not say '%s'", rows[i][0],
			    why != NULL ? why : "taken", want);
	}
}

static void
a_schema_is_of_bounded_size(void **state)
{
	static char options[1 << 20];
	size_t n = (size_t)sprintf(options, "{\"schema\":{\"allOf\":[");

	(void)state;
	for (int i = 0; i < 201; i++)
		n += (size_t)sprintf(
		    options + n, "%s{\"pattern\":\"a%d\"}", i > 0 ? "," : "", i);
	(void)sprintf(options + n, "]}}");
	assert_non_null(strstr(guard_refusal("schema", options),
	    "/allOf/200/pattern: more than 200 regular expressions"));
	n = (size_t)sprintf(options, "{\"schema\":{\"allOf\":[");
	for (int i = 0; i < 20000; i++)
		n += (size_t)sprintf(options + n, "%s{\"minimum\":1}", i > 0 ? "," : "");
	(void)sprintf(options + n, "]}}");
	assert_non_null(strstr(guard_refusal("schema", options),
	    "/allOf/19999: more than 20000 schemas in one"));
	n = (size_t)sprintf(options, "{\"schema\":{\"pattern\":\"%05000d\"}}", 0);
	assert_non_null(strstr(
	    guard_refusal("schema", options), "/pattern: has more than 4096 bytes"));
	n = (size_t)sprintf(options, "{\"schema\":{\"$ref\":\"#/$defs/0\",\"$defs\":{");
	for (int i = 0; i < 300; i++)
		n += (size_t)sprintf(
		    options + n, "\"%d\":{\"$ref\":\"#/$defs/%d\"},", i, i + 1);
	(void)sprintf(options + n, "\"300\":{}}}}");
	assert_non_null(
	    strstr(guard_refusal("schema", options), "nests deeper than 200 schemas"));
}

static void
work_is_bounded(void **state)
{
	char text[6000] = "[";

	(void)state;
	use("{\"schema\":{\"$ref\":\"#\"}}");
	assert_int_equal(testhost_answer(host, "1")->verdict, LZ_E_LIMIT);
	use("{\"schema\":{\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/b\"},{"
	    "\"$ref\":\"#/$defs/b\"}]},\"b\":{\"anyOf\":[{\"$ref\":\"#/$defs/a\"},{"
	    "\"$ref\":\"#/$defs/a\"}]}},\"$ref\":\"#/$defs/a\"}}");
	assert_int_equal(testhost_answer(host, "1")->verdict, LZ_E_LIMIT);
	use("{\"schema\":{\"not\":{\"$ref\":\"#\"}}}");
	assert_int_equal(testhost_answer(host, "1")->verdict, LZ_E_LIMIT);
	use("{\"schema\":{\"pattern\":\"^(a+)+$\"}}");
	assert_int_equal(
	    testhost_answer(host, "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"")->verdict,
	    LZ_E_LIMIT);
	/* Each of them is cheap enough, and there are many. */
	use("{\"schema\":{\"items\":{\"not\":{\"pattern\":\"^(a|aa)+$\"}}}}");
	assert_int_equal(testhost_answer(host, "[\"aaaaaaaaab\"]")->verdict, LZ_OK);
	for (int i = 0; i < 400; i++)
		strcat(text, i > 0 ? ",\"aaaaaaaaab\"" : "\"aaaaaaaaab\"");
	strcat(text, "]");
	assert_int_equal(testhost_answer(host, text)->verdict, LZ_E_LIMIT);
	use("{\"schema\":{\"uniqueItems\":true},\"max_steps\":100000}");
	strcpy(text, "[");
	for (int i = 0; i < 1000; i++)
		(void)snprintf(text + strlen(text), 6, "%d%s", i, i < 999 ? "," : "]");
	assert_int_equal(testhost_answer(host, text)->verdict, LZ_E_LIMIT);
	assert_non_null(strstr(testhost_log(host), "max_steps"));
}

/* ---- the answer's text ---- */

static void
what_is_no_json_is_said_so(void **state)
{
	(void)state;
	use("{\"schema\":{}}");
	assert_says(testhost_answer(host, "Sure! {}"), LZ_BLOCK, "schema.not_json",
	    "(root): is not JSON");
	assert_says(testhost_answer(host, "{\"a\":1"), LZ_BLOCK, "schema.not_json", "");
	assert_says(testhost_answer(host, "{} {}"), LZ_BLOCK, "schema.not_json", "");
	assert_says(testhost_answer(host, "```json\n{}\n```"), LZ_BLOCK,
	    "schema.not_json", "(root): is not JSON; it stands inside a Markdown fence");
	assert_int_equal(testhost_answer(host, " \n{}\n ")->verdict, LZ_OK);
	use("{\"schema\":{},\"action\":\"flag\"}");
	assert_says(testhost_answer(host, "x"), LZ_FLAG, "schema.not_json", "");
}

static void
a_fence_is_cut_away(void **state)
{
	static const char *const fenced[] = { "```json\n{\"a\":1}\n```",
		"```\n{\"a\":1}```", "\n ```JSON  \n\n {\"a\":1}\n\n``` \n",
		"```{\"a\":1}```" };
	const struct testhost_result *r;

	(void)state;
	use("{\"schema\":{\"required\":[\"a\"]},\"unwrap\":true}");
	for (size_t i = 0; i < sizeof(fenced) / sizeof(fenced[0]); i++) {
		r = answer(fenced[i]);
		assert_int_equal(r->verdict, LZ_OK);
		if (r->texts[0].len != 7 || memcmp(r->texts[0].ptr, "{\"a\":1}", 7) != 0)
			fail_msg("%s: '%.*s'", fenced[i], (int)r->texts[0].len,
			    r->texts[0].ptr);
	}
	r = answer(" {\"a\":1} ");
	assert_int_equal(r->texts[0].len, 9); /* nothing is cut without a fence */
	assert_says(answer("```json\n{}\n```"), LZ_BLOCK, "schema.mismatch", "(root)");
	assert_says(
	    answer("Here: ```json\n{\"a\":1}\n```"), LZ_BLOCK, "schema.not_json", "");
	assert_says(answer("```json\n```"), LZ_BLOCK, "schema.not_json", "");
	assert_says(answer("``````"), LZ_BLOCK, "schema.not_json", "");
	assert_says(answer("```"), LZ_BLOCK, "schema.not_json", "");
	assert_says(answer("`"), LZ_BLOCK, "schema.not_json", "");
}

static void
one_more_attempt_is_asked_for_once(void **state)
{
	const char *body = "{\"choices\":[{\"message\":{\"content\":\"{}\"}}]}";
	const struct testhost_result *r;

	(void)state;
	use("{\"schema\":{\"required\":[\"a\"]},\"repair\":true}");
	testhost_set_body(host, body);
	(void)testhost_add_text(host, "assistant", "{}");
	r = testhost_check(host, LZ_RESPONSE);
	assert_says(r, LZ_AGAIN, "schema.mismatch",
	    "Your last answer does not match the JSON Schema that is asked for, at the "
	    "JSON pointer (root): lacks 'a'. Answer again");
	r = testhost_check(host, LZ_RESPONSE);
	assert_says(r, LZ_BLOCK, "schema.mismatch", "(root): lacks 'a'");
	testhost_begin(host);
	(void)testhost_add_text(host, "assistant", "{}");
	assert_int_equal(testhost_check(host, LZ_RESPONSE)->verdict, LZ_AGAIN);
	/* There is nothing to answer to. */
	testhost_begin(host);
	testhost_set_body(host, "{\"choices\":[{\"message\":{\"content\":\"\"}}]}");
	assert_says(
	    testhost_check(host, LZ_RESPONSE), LZ_BLOCK, "schema.empty", "(root)");
	/* A stream is no document, and cannot be had again. */
	use("{\"schema\":{\"required\":[\"a\"]},\"repair\":true}");
	assert_int_equal(testhost_answer(host, "{}")->verdict, LZ_BLOCK);
}

/* ---- what the request asks for ---- */

static const struct testhost_result *
request(const char *body)
{
	testhost_begin(host);
	testhost_set_body(host, body);
	(void)testhost_add_text(host, "user", "x");
	return testhost_check(host, LZ_REQUEST);
}

static const struct testhost_result *
answered(const char *message)
{
	char body[1000];

	(void)snprintf(body, sizeof(body), "{\"choices\":[{\"message\":%s}]}", message);
	testhost_set_body(host, body);
	return testhost_check(host, LZ_RESPONSE);
}

static void
the_requests_own_schema_counts(void **state)
{
	(void)state;
	use(NULL);
	assert_int_equal(
	    request("{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
		    "\"name\":\"n\",\"schema\":{\"required\":[\"a\"]}}}}")
		->verdict,
	    LZ_OK);
	assert_int_equal(answered("{\"content\":\"{\\\"a\\\":1}\"}")->verdict, LZ_OK);
	assert_says(answered("{\"content\":\"{}\"}"), LZ_BLOCK, "schema.mismatch",
	    "(root): lacks 'a'");
	assert_says(answered("{\"content\":null}"), LZ_BLOCK, "schema.empty",
	    "(root): the answer is empty");
	assert_int_equal(
	    answered("{\"content\":null,\"refusal\":\"no\"}")->verdict, LZ_OK);
	assert_int_equal(answered("{\"content\":[{\"type\":\"text\",\"text\":\"{\\\"a\"},"
				  "{\"type\":\"text\",\"text\":\"\\\":1}\"}]}")
			     ->verdict,
	    LZ_OK);
	assert_int_equal(
	    request("{\"response_format\":{\"type\":\"json_object\"}}")->verdict, LZ_OK);
	assert_int_equal(answered("{\"content\":\"{}\"}")->verdict, LZ_OK);
	assert_int_equal(answered("{\"content\":\"[]\"}")->verdict, LZ_BLOCK);
	assert_int_equal(request("{\"response_format\":{\"type\":\"json_object\","
				 "\"schema\":{\"required\":[\"b\"]}}}")
			     ->verdict,
	    LZ_OK);
	assert_int_equal(answered("{\"content\":\"{}\"}")->verdict, LZ_BLOCK);
	assert_int_equal(
	    request("{\"response_format\":{\"type\":\"text\"}}")->verdict, LZ_OK);
	assert_int_equal(answered("{\"content\":\"hello\"}")->verdict, LZ_OK);
	assert_int_equal(request("{}")->verdict, LZ_OK);
	assert_int_equal(answered("{\"content\":\"hello\"}")->verdict, LZ_OK);
	assert_says(
	    request("{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
		    "\"schema\":{\"unevaluatedItems\":false}}}}"),
	    LZ_BLOCK, "schema.unusable",
	    "the schema of response_format: /unevaluatedItems: this keyword");
	/* A keyword that nobody knows says nothing. */
	assert_int_equal(
	    request("{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
		    "\"schema\":{\"vendor\":1}}}}")
		->verdict,
	    LZ_OK);
	/* Not asked about the request: it cannot know. */
	testhost_begin(host);
	assert_int_equal(answered("{\"content\":\"x\"}")->verdict, LZ_E_FAIL);
}

static void
arguments_match_what_the_tool_declared(void **state)
{
	static const char ask[] =
	    "{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
	    "\"parameters\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":"
	    "\"integer\"}},\"required\":[\"n\"]}}},{\"type\":\"function\",\"function\":{"
	    "\"name\":\"g\"}}],\"functions\":[{\"name\":\"h\",\"parameters\":{\"maxPr"
	    "operties\":0}}]}";
	static const char call[] =
	    "{\"content\":null,\"tool_calls\":[{\"function\":{\"name\":\"%s\","
	    "\"arguments\":\"%s\"}}]}";
	static const struct {
		const char *name, *arguments, *words;
	} rows[] = { { "f", "{\\\"n\\\":1}", NULL }, { "g", "{\\\"x\\\":1}", NULL },
		{ "g", "", NULL },
		{ "f", "{\\\"n\\\":\\\"1\\\"}",
		    "the arguments of 'f': /n: is a string; wanted an integer" },
		{ "f", "", "the arguments of 'f': (root): lacks 'n'" },
		{ "f", "{", "the arguments of 'f' are not JSON" },
		{ "e", "{}", "the tool 'e' that it calls is not declared" } };
	char message[300];

	(void)state;
	use("{\"tools\":true,\"repair\":true}");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(request(ask)->verdict, LZ_OK);
		(void)snprintf(
		    message, sizeof(message), call, rows[i].name, rows[i].arguments);
		if (rows[i].words == NULL)
			assert_int_equal(answered(message)->verdict, LZ_OK);
		else
			assert_says(
			    answered(message), LZ_BLOCK, "schema.tool", rows[i].words);
	}
	assert_int_equal(request(ask)->verdict, LZ_OK);
	assert_says(answered("{\"function_call\":{\"name\":\"h\",\"arguments\":\"{"
			     "\\\"a\\\":1}\"}}"),
	    LZ_BLOCK, "schema.tool", "the arguments of 'h': (root): has 1 members");
	/* Of a stream they are shown without a document, beside the texts in them. */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(request(ask)->verdict, LZ_OK);
		(void)snprintf(message, sizeof(message),
		    "[{\"choice\":1,\"function\":{\"name\":\"%s\",\"arguments\":\"%s\"}}"
		    "]",
		    rows[i].name, rows[i].arguments);
		testhost_set_calls(host, message);
		if (rows[i].words == NULL)
			assert_int_equal(
			    testhost_check(host, LZ_RESPONSE)->verdict, LZ_OK);
		else
			assert_says(testhost_check(host, LZ_RESPONSE), LZ_BLOCK,
			    "schema.tool", rows[i].words);
	}
	assert_says(request("{\"tools\":[{\"function\":{\"name\":\"f\",\"parameters\":{"
			    "\"type\":1}}}]}"),
	    LZ_BLOCK, "schema.unusable", "the parameters of 'f': /type: has to be");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
		    each_keyword_does_what_the_specification_says, tear_down),
		cmocka_unit_test_teardown(
		    what_is_wrong_is_told_with_its_place, tear_down),
		cmocka_unit_test_teardown(
		    a_long_pointer_is_cut_between_characters, tear_down),
		cmocka_unit_test_teardown(
		    a_schema_that_cannot_be_used_is_refused_with_its_place, tear_down),
		cmocka_unit_test_teardown(a_schema_is_of_bounded_size, tear_down),
		cmocka_unit_test_teardown(work_is_bounded, tear_down),
		cmocka_unit_test_teardown(what_is_no_json_is_said_so, tear_down),
		cmocka_unit_test_teardown(a_fence_is_cut_away, tear_down),
		cmocka_unit_test_teardown(one_more_attempt_is_asked_for_once, tear_down),
		cmocka_unit_test_teardown(the_requests_own_schema_counts, tear_down),
		cmocka_unit_test_teardown(
		    arguments_match_what_the_tool_declared, tear_down),
	};

	return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
