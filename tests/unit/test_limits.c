/* test_limits.c - each limit refuses with its own code and sentence what is above it and
 * nothing else, or changes what can be changed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard_scene.h"

#define ASK "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

/* What the guardrail makes of this request. */
static const struct testhost_result *
judge(struct testhost *h, const char *body, const char *text)
{
	testhost_begin(h);
	testhost_set_body(h, body);
	(void)testhost_add_text(h, "user", text);
	return testhost_check(h, LZ_REQUEST);
}

static void
assert_refused(const struct testhost_result *r, const char *code, const char *sentence)
{
	assert_int_equal(r->verdict, LZ_BLOCK);
	assert_int_equal(r->finding_count, 1);
	assert_str_is(r->findings[0].code, code, "the code");
	assert_str_is(r->findings[0].message, sentence, "the sentence");
}

static void
each_size_has_its_limit(void **state)
{
	struct testhost *h =
	    guard_open("limits", "{\"max_prompt_tokens\":100,\"max_messages\":2,\"max_"
				 "text_bytes\":10,\"max_tools\":1}");
	lz_request *q = testhost_request(h);

	(void)state;
	q->prompt_tokens = 100;
	assert_int_equal(
	    judge(h, "{\"messages\":[1,2],\"tools\":[{}]}", "0123456789")->verdict,
	    LZ_OK);
	assert_refused(judge(h, "{\"messages\":[1,2,3]}", "x"), "limits.messages",
	    "The request has 3 messages; 2 are allowed.");
	assert_refused(judge(h, "{}", "0123456789a"), "limits.text_bytes",
	    "The request has 11 bytes of text; 10 are allowed.");
	assert_refused(judge(h, "{\"tools\":[{}],\"functions\":[{}]}", "x"),
	    "limits.tools", "The request has 2 tools; 1 are allowed.");
	q->prompt_tokens = 101;
	assert_refused(judge(h, "{}", "x"), "limits.prompt_tokens",
	    "The request has about 101 tokens; 100 are allowed.");
	testhost_free(h);
}

static void
models_are_listed_with_stars(void **state)
{
	struct testhost *h = guard_open("limits",
	    "{\"models\":[\"gpt-*\",\"*mini*\"],\"models_denied\":[\"gpt-4*o\"]}");
	static const struct {
		const char *model;
		int32_t verdict;
	} rows[] = { { "gpt-5", LZ_OK }, { "gpt-", LZ_OK }, { "o4-mini-high", LZ_OK },
		{ "gpt-4-o", LZ_BLOCK }, { "gpt-4-o1", LZ_OK }, { "GPT-5", LZ_BLOCK },
		{ "agpt-5", LZ_BLOCK }, { "", LZ_BLOCK } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		testhost_request(h)->model = lz_strz(rows[i].model);
		assert_int_equal(judge(h, "{}", "x")->verdict, rows[i].verdict);
	}
	/* A name that is cut is cut between characters. */
	testhost_request(h)->model = lz_strz(
	    "0123456789012345678901234567890123456789012345678901234567890123456789"
	    "01234567890123456789012345678\xc3\xa9xyz");
	assert_refused(judge(h, "{}", "x"), "limits.model",
	    "The model "
	    "'0123456789012345678901234567890123456789012345678901234567890123456789"
	    "01234567890123456789012345678' is not allowed here.");
	testhost_request(h)->model = lz_strz("claude");
	assert_refused(judge(h, "{}", "x"), "limits.model",
	    "The model 'claude' is not allowed here.");
	testhost_free(h);
}

static void
output_is_limited_for_who_sets_no_limit(void **state)
{
	struct testhost *h = guard_open("limits", "{\"max_output_tokens\":500}");
	const struct testhost_result *r;

	(void)state;
	testhost_request(h)->max_output_tokens = -1;
	r = judge(h, "{}", "x");
	assert_int_equal(r->verdict, LZ_OK);
	assert_int_equal(r->output_limit, 500);
	testhost_request(h)->max_output_tokens = 500;
	r = judge(h, "{}", "x");
	assert_int_equal(r->verdict, LZ_OK);
	assert_true(r->output_limit < 0);
	testhost_request(h)->max_output_tokens = 501;
	assert_refused(judge(h, "{}", "x"), "limits.output_tokens",
	    "The request asks for 501 tokens of output; 500 are allowed.");
	testhost_free(h);
	h = guard_open("limits", "{\"max_output_tokens\":500,\"excess\":\"change\"}");
	testhost_request(h)->max_output_tokens = 501;
	r = judge(h, "{}", "x");
	assert_int_equal(r->verdict, LZ_OK);
	assert_int_equal(r->output_limit, 500);
	testhost_free(h);
}

static void
parameters_are_refused_by_name_and_by_number(void **state)
{
	struct testhost *h =
	    guard_open("limits", "{\"parameters_denied\":[\"*logprobs\",\"m*\"],"
				 "\"parameters\":{\"temperature\":{\"min\":0.5,\"max\":1}"
				 ",\"n\":{\"max\":1}}}");

	(void)state;
	/* messages and model match m*, and are no parameters. */
	assert_int_equal(
	    judge(h, "{\"model\":\"m\"," ASK ",\"temperature\":0.5,\"n\":1}", "x")
		->verdict,
	    LZ_OK);
	assert_int_equal(
	    judge(h, "{\"logprobs\":null,\"temperature\":null,\"top_p\":9}", "x")
		->verdict,
	    LZ_OK);
	assert_refused(judge(h, "{\"top_logprobs\":2}", "x"), "limits.parameter",
	    "'top_logprobs' is not allowed here.");
	assert_refused(judge(h, "{\"metadata\":{}}", "x"), "limits.parameter",
	    "'metadata' is not allowed here.");
	assert_refused(judge(h, "{\"temperature\":1.5}", "x"), "limits.bounds",
	    "'temperature' is 1.5; 1 is the most allowed.");
	assert_refused(judge(h, "{\"temperature\":0.25}", "x"), "limits.bounds",
	    "'temperature' is 0.25; 0.5 is the least allowed.");
	assert_refused(
	    judge(h, "{\"n\":\"2\"}", "x"), "limits.bounds", "'n' must be a number.");
	testhost_free(h);
}

static void
tools_are_known_by_name_or_type(void **state)
{
	struct testhost *h =
	    guard_open("limits", "{\"tools\":[\"get_*\",\"web_search\",\"sql\"],\"tools_"
				 "denied\":[\"get_secret*\"]}");

	(void)state;
	assert_int_equal(judge(h,
			     "{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
			     "\"get_x\"}},{\"type\":\"web_search\"},{\"type\":\"custom\","
			     "\"custom\":{\"name\":\"sql\"}}],\"functions\":[{\"name\":"
			     "\"get_y\"}]}",
			     "x")
			     ->verdict,
	    LZ_OK);
	assert_refused(
	    judge(h,
		"{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"rm\"}}]}",
		"x"),
	    "limits.tool", "The tool 'rm' is not allowed here.");
	assert_refused(judge(h, "{\"functions\":[{\"name\":\"get_secrets\"}]}", "x"),
	    "limits.tool", "The tool 'get_secrets' is not allowed here.");
	assert_refused(judge(h, "{\"tools\":[{}]}", "x"), "limits.tool",
	    "The tool '' is not allowed here.");
	/* Whoever takes it may go by any of its names. */
	assert_refused(judge(h,
			   "{\"tools\":[{\"type\":\"shell\",\"function\":{\"name\":"
			   "\"get_x\"},\"name\":\"sql\"}]}",
			   "x"),
	    "limits.tool", "The tool 'shell' is not allowed here.");
	assert_refused(judge(h,
			   "{\"tools\":[{\"type\":\"custom\",\"function\":{\"name\":"
			   "\"get_x\"},\"custom\":{\"name\":\"rm\"}}]}",
			   "x"),
	    "limits.tool", "The tool 'rm' is not allowed here.");
	testhost_free(h);
}

static void
options_are_refused_by_name(void **state)
{
	(void)state;
	assert_non_null(
	    strstr(guard_refusal("limits", "{\"parameters\":{\"n\":{\"most\":1}}}"),
		"parameters.n: has min and max, and nothing else"));
	assert_non_null(
	    strstr(guard_refusal("limits", "{\"parameters\":{\"n\":{\"max\":\"1\"}}}"),
		"parameters.n: min and max are numbers"));
	assert_non_null(strstr(guard_refusal("limits", "{\"parameters\":{\"n\":1}}"),
	    "parameters.n: must be an object"));
	assert_non_null(strstr(
	    guard_refusal("limits", "{\"parameters\":{\"n\":{\"min\":2,\"max\":1}}}"),
	    "parameters.n: min is above max"));
	assert_non_null(guard_refusal("limits", "{\"parameters\":[1]}"));
	assert_non_null(guard_refusal("limits", "{\"max_messages\":-1}"));
	assert_null(guard_refusal("limits", "{\"max_text_bytes\":\"64KiB\"}"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_size_has_its_limit),
		cmocka_unit_test(models_are_listed_with_stars),
		cmocka_unit_test(output_is_limited_for_who_sets_no_limit),
		cmocka_unit_test(parameters_are_refused_by_name_and_by_number),
		cmocka_unit_test(tools_are_known_by_name_or_type),
		cmocka_unit_test(options_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
