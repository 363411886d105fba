/* test_read.c - what a chat request says, and what is refused by name.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include "request/request.h"

static struct config config = { .timeout_ms = 60000 };

/* A request whose body is `text`; the caller frees it with drop(). */
static struct request *
make(const char *text)
{
	struct arena *a = arena_new(REQUEST_ARENA_BYTES);
	struct request *r = arena_alloc(a, sizeof *r);

	r->arena = a;
	r->config = &config;
	buf_init(&r->body, 1 << 20);
	buf_add_z(&r->body, text);
	return r;
}

static void
drop(struct request *r)
{
	buf_free(&r->body);
	arena_free(r->arena);
}

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void
nonsense_is_refused_by_the_name_of_its_member(void **state)
{
	static const struct {
		const char *body, *param;
	} cases[] = {
		{ "{" MESSAGES "}", "model" },
		{ "{\"model\":null," MESSAGES "}", "model" },
		{ "{\"model\":5," MESSAGES "}", "model" },
		{ "{\"model\":\"\"," MESSAGES "}", "model" },
		{ "{\"model\":\"../x\"," MESSAGES "}", "model" },
		{ "{\"model\":\"a//b\"," MESSAGES "}", "model" },
		{ "{\"model\":\"a b\"," MESSAGES "}", "model" },
		{ "{\"model\":\"a\\u0000b\"," MESSAGES "}", "model" },
		{ "{\"model\":\"a?b\"," MESSAGES "}", "model" },
		{ "{\"model\":\"m\"}", "messages" },
		{ "{\"model\":\"m\",\"messages\":{}}", "messages" },
		{ "{\"model\":\"m\",\"messages\":[]}", "messages" },
		{ "{\"model\":\"m\",\"messages\":[ \n]}", "messages" },
		{ "{\"model\":\"m\",\"stream\":1," MESSAGES "}", "stream" },
		{ "{\"model\":\"m\",\"stream_options\":{}," MESSAGES "}",
		    "stream_options" },
		{ "{\"model\":\"m\",\"stream\":true,\"stream_options\":[]," MESSAGES "}",
		    "stream_options" },
		{ "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_"
		  "usage\":1}," MESSAGES "}",
		    "stream_options.include_usage" },
		{ "{\"model\":\"m\",\"max_tokens\":0," MESSAGES "}", "max_tokens" },
		{ "{\"model\":\"m\",\"max_tokens\":-1," MESSAGES "}", "max_tokens" },
		{ "{\"model\":\"m\",\"max_tokens\":\"5\"," MESSAGES "}", "max_tokens" },
		{ "{\"model\":\"m\",\"max_tokens\":1.5," MESSAGES "}", "max_tokens" },
		{ "{\"model\":\"m\",\"max_completion_tokens\":{}," MESSAGES "}",
		    "max_completion_tokens" },
		{ "{\"model\":\"m\",\"n\":0," MESSAGES "}", "n" },
		{ "{\"model\":\"m\",\"n\":129," MESSAGES "}", "n" },
		{ "{\"model\":\"m\",\"tools\":{}," MESSAGES "}", "tools" },
		{ "{\"model\":\"m\",\"response_format\":\"json\"," MESSAGES "}",
		    "response_format" },
		{ "{\"model\":\"m\",\"user\":7," MESSAGES "}", "user" },
		{ "{\"model\":\"m\",\"metadata\":[]," MESSAGES "}", "metadata" },
		{ "{\"model\":\"m\",\"metadata\":{\"a\":1}," MESSAGES "}", "metadata" },
		{ "{\"model\":\"m\",\"metadata\":{\"a\":{}}," MESSAGES "}", "metadata" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct request *r = make(cases[i].body);

		if (request_read(r) != STEP_FAULT || r->fault != FAULT_BAD_REQUEST ||
		    !str_is(r->fault_param, cases[i].param))
			fail_msg("%s: param %.*s, %.*s", cases[i].body,
			    STR_ARG(r->fault_param), STR_ARG(r->fault_message));
		drop(r);
	}
}

static void
what_is_not_json_or_says_a_member_twice_is_refused(void **state)
{
	static const char *const cases[] = { "", "null", "[]", "{\"model\":\"m\"",
		"{\"model\":\"a\",\"model\":\"b\"," MESSAGES "}",
		"{\"model\":\"m\"," MESSAGES "}x",
		"{\"mod\\u0065l\":\"m\"," MESSAGES "}" };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct request *r = make(cases[i]);

		if (request_read(r) != STEP_FAULT || r->fault != FAULT_BAD_REQUEST)
			fail_msg("accepted: %s", cases[i]);
		drop(r);
	}
}

static void
parts_other_than_text_are_told_by_whole_strings(void **state)
{
	static const struct {
		const char *content;
		uint32_t capabilities;
	} cases[] = {
		{ "\"about \\\"image_url\\\" and \\\"type\\\"\"", 0 },
		{ "[{\"type\":\"text\",\"text\":\"image_url\\\\\"}]", 0 },
		{ "[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x\"}}]",
		    LZ_CAN_VISION },
		{ "[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"input_audio\",\"input_"
		  "audio\":{}}]",
		    LZ_CAN_AUDIO },
		{ "[{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}}]", LZ_CAN_FILES },
		{ "[{\"type\":\"file\",\"file\":{\"file_data\":\"f\"}}]", LZ_CAN_FILES },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[256];
		struct request *r;

		snprintf(text, sizeof text,
		    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":%s}]}",
		    cases[i].content);
		r = make(text);
		assert_int_equal(request_read(r), STEP_NEXT);
		assert_int_equal(r->capabilities, cases[i].capabilities);
		drop(r);
	}
}

static void
null_means_not_given(void **state)
{
	struct request *r = make("{\"model\":\"m\",\"stream\":null,\"stream_options\":"
				 "null,\"max_tokens\":null,\"n\":null,"
				 "\"tools\":null,\"response_format\":null,\"user\":null,"
				 "\"metadata\":null," MESSAGES "}");

	(void)state;
	assert_int_equal(request_read(r), STEP_NEXT);
	assert_false(r->is_stream);
	assert_int_equal(r->max_tokens, -1);
	assert_int_equal(r->choices, 1);
	assert_null(r->metadata.ptr);
	drop(r);
}

static void
the_lower_of_two_output_limits_counts(void **state)
{
	struct request *r = make(
	    "{\"model\":\"m\",\"max_tokens\":50,\"max_completion_tokens\":20," MESSAGES
	    "}");

	(void)state;
	assert_int_equal(request_read(r), STEP_NEXT);
	assert_int_equal(r->max_tokens, 20);
	drop(r);
}

static void
capabilities_are_told_from_parts_and_not_from_what_a_prompt_talks_about(void **state)
{
	struct request *r =
	    make("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
		 "[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x.example/"
		 "a.png\"}}]}]}");

	(void)state;
	assert_int_equal(request_read(r), STEP_NEXT);
	assert_int_equal(r->capabilities, LZ_CAN_VISION);
	drop(r);
	r = make("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
		 "[{\"type\":\"text\",\"text\":\"say \\\"image_url\\\" please\"}]}]}");
	assert_int_equal(request_read(r), STEP_NEXT);
	assert_int_equal(r->capabilities, 0);
	drop(r);
}

static void
an_inline_image_counts_as_an_item_and_not_by_its_bytes(void **state)
{
	char body[20000] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
			   "\"content\":[{\"type\":\"image_url\",\"image_url\":"
			   "{\"url\":\"data:image/png;base64,";
	struct request *r;

	(void)state;
	for (int i = 0; i < 1000; i++)
		strcat(body, "AAAAAAAAAA");
	strcat(body, "\"}}]}]}");
	r = make(body);
	assert_int_equal(request_read(r), STEP_NEXT);
	assert_true(r->prompt_bound < 3000);
	assert_true(r->prompt_bound >= 2000);
	drop(r);
}

static void
the_bound_of_a_prompt_is_never_below_its_bytes(void **state)
{
	struct request *r =
	    make("{\"model\":\"m\"," MESSAGES
		 ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}");

	(void)state;
	assert_int_equal(request_read(r), STEP_NEXT);
	assert_true(r->prompt_bound >=
		    (int64_t)strlen("[{\"role\":\"user\",\"content\":\"hi\"}]") + 40);
	assert_int_equal(r->capabilities, LZ_CAN_TOOLS);
	drop(r);
}

/* What a member's bytes may become of a prompt is at least what they weigh, whatever they
 * say they are. */
static void
no_text_weighs_less_for_what_it_begins_with(void **state)
{
	enum {
		LONG = 10000
	};
	static const char *const cases[][2] = {
		{ "\"messages\":[{\"role\":\"user\",\"content\":\"data:", "\"}]" },
		{ "\"messages\":[{\"content\":\"data:image/png;base64,", "\"}]" },
		{ "\"messages\":[{\"content\":[{\"type\":\"file\",\"file\":{\"file_"
		  "data\":"
		  "\"data:text/plain;base64,",
		    "\"}}]}]" },
		{ "\"messages\":[1],\"prediction\":{\"content\":\"", "\"}" },
		{ "\"messages\":[1],\"documents\":[\"", "\"]" },
		{ "\"messages\":[1],\"tools\":[{\"", "\":1}]" },
	};
	char *body = malloc(2 * LONG);

	(void)state;
	assert_non_null(body);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct request *r;
		size_t n =
		    (size_t)snprintf(body, 2 * LONG, "{\"model\":\"m\",%s", cases[i][0]);

		memset(body + n, 'x', LONG);
		(void)snprintf(body + n + LONG, LONG - n, "%s}", cases[i][1]);
		r = make(body);
		assert_int_equal(request_read(r), STEP_NEXT);
		assert_true(r->prompt_bound >= LONG);
		drop(r);
	}
	free(body);
}

/* ---- embeddings ---- */

static void
texts_are_counted_whatever_form_they_have(void **state)
{
	static const struct {
		const char *input;
		int64_t inputs, tokens, bound, longest;
	} cases[] = {
		{ "\"twelve bytes\"", 1, 3, 14, 1 },
		{ "\"\"", 1, 1, 2, 0 },
		{ "[\"a\", \"sixteen bytes...\"]", 2, 5, 3 + 18, 2 },
		{ "[1,2,3]", 1, 3, 5, 3 },
		{ "[ [1,2] , [3],[4,5,6,4294967295] ]", 3, 7, 4 + 3 + 6, 4 },
		{ "[\"[1,2\",\"]\"]", 2, 2, 6 + 3, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char body[200];
		struct request *r;

		(void)snprintf(
		    body, sizeof body, "{\"model\":\"m\",\"input\":%s}", cases[i].input);
		r = make(body);
		assert_int_equal(request_read_embeddings(r), STEP_NEXT);
		assert_int_equal(r->inputs, cases[i].inputs);
		assert_int_equal(r->prompt_tokens, cases[i].tokens);
		assert_int_equal(r->prompt_bound, cases[i].bound);
		assert_int_equal(r->longest_input, cases[i].longest);
		assert_false(r->wants_base64 || r->is_stream);
		drop(r);
	}
}

static void
what_is_no_text_is_refused_by_the_name_of_its_member(void **state)
{
	static const struct {
		const char *members, *param;
	} cases[] = {
		{ "\"user\":\"u\"", "input" },
		{ "\"input\":null", "input" },
		{ "\"input\":5", "input" },
		{ "\"input\":{}", "input" },
		{ "\"input\":[]", "input" },
		{ "\"input\":[[]]", "input" },
		{ "\"input\":[[1],[]]", "input" },
		{ "\"input\":[null]", "input" },
		{ "\"input\":[\"a\",1]", "input" },
		{ "\"input\":[1,\"a\"]", "input" },
		{ "\"input\":[[1],\"a\"]", "input" },
		{ "\"input\":[[\"a\"]]", "input" },
		{ "\"input\":[1.5]", "input" },
		{ "\"input\":[-1]", "input" },
		{ "\"input\":[1e3]", "input" },
		{ "\"input\":[12345678901]", "input" },
		{ "\"input\":\"a\",\"encoding_format\":\"int8\"", "encoding_format" },
		{ "\"input\":\"a\",\"encoding_format\":1", "encoding_format" },
		{ "\"input\":\"a\",\"dimensions\":0", "dimensions" },
		{ "\"input\":\"a\",\"dimensions\":\"3\"", "dimensions" },
		{ "\"input\":\"a\",\"user\":1", "user" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char body[200];
		struct request *r;

		(void)snprintf(
		    body, sizeof body, "{\"model\":\"m\",%s}", cases[i].members);
		r = make(body);
		if (request_read_embeddings(r) != STEP_FAULT ||
		    r->fault != FAULT_BAD_REQUEST ||
		    !str_is(r->fault_param, cases[i].param))
			fail_msg("%s: param %.*s, %.*s", body, STR_ARG(r->fault_param),
			    STR_ARG(r->fault_message));
		drop(r);
	}
}

static void
a_list_holds_2048_texts_at_most(void **state)
{
	struct request *r;

	(void)state;
	for (size_t n = 2048; n <= 2049; n++) {
		r = make("{\"model\":\"m\",\"encoding_format\":\"base64\","
			 "\"dimensions\":null,\"input\":[\"a\"");
		for (size_t i = 1; i < n; i++)
			buf_add_z(&r->body, ",\"b\"");
		buf_add_z(&r->body, "]}");
		assert_int_equal(
		    request_read_embeddings(r), n == 2048 ? STEP_NEXT : STEP_FAULT);
		assert_int_equal(r->inputs, 2048);
		assert_int_equal(r->wants_base64, n == 2048);
		drop(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonsense_is_refused_by_the_name_of_its_member),
		cmocka_unit_test(what_is_not_json_or_says_a_member_twice_is_refused),
		cmocka_unit_test(parts_other_than_text_are_told_by_whole_strings),
		cmocka_unit_test(null_means_not_given),
		cmocka_unit_test(the_lower_of_two_output_limits_counts),
		cmocka_unit_test(
		    capabilities_are_told_from_parts_and_not_from_what_a_prompt_talks_about),
		cmocka_unit_test(an_inline_image_counts_as_an_item_and_not_by_its_bytes),
		cmocka_unit_test(the_bound_of_a_prompt_is_never_below_its_bytes),
		cmocka_unit_test(no_text_weighs_less_for_what_it_begins_with),
		cmocka_unit_test(texts_are_counted_whatever_form_they_have),
		cmocka_unit_test(what_is_no_text_is_refused_by_the_name_of_its_member),
		cmocka_unit_test(a_list_holds_2048_texts_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
