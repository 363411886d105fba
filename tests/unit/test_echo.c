/* test_echo.c - echo answers by its rules: whole and as a stream, at once and slowly, and
 * fails when its name says so.
 *
 * SPDX-License-Identifier: MIT
 */
#include "visit_scene.h"

/* One answer of `model` to `body`. */
static int32_t
ask(struct scene *s, const char *model, bool is_stream, const char *body)
{
	scene_open(
	    s, scene_part("provider", "echo",
		   json_pack("{s:s,s:s}", "first_token", "5ms", "next_token", "1ms")));
	s->target[0].upstream_model = lz_strz(model);
	s->r.is_stream = is_stream;
	scene_body(s, body, strlen(body));
	return scene_build_and_wait(s);
}

static const char *
path_text(const json_t *j, const char *a, const char *b)
{
	const json_t *choice = json_array_get(json_object_get(j, "choices"), 0);

	return json_string_value(b != NULL
				     ? json_object_get(json_object_get(choice, a), b)
				     : json_object_get(choice, a));
}

/* The contents of all chunks of choice `index`, joined; and the last finish_reason. */
static void
join(const struct scene *s, int index, char *out, size_t n, const char **finish)
{
	size_t i;
	json_t *chunk;

	out[0] = '\0';
	*finish = NULL;
	json_array_foreach(s->emitted, i, chunk)
	{
		const json_t *choice =
		    json_array_get(json_object_get(chunk, "choices"), 0);
		const char *text = path_text(chunk, "delta", "content");

		if (json_integer_value(json_object_get(choice, "index")) != index)
			continue;
		if (text != NULL)
			strncat(out, text, n - strlen(out) - 1);
		if (path_text(chunk, "finish_reason", NULL) != NULL)
			*finish = path_text(chunk, "finish_reason", NULL);
	}
}

#define ASK                                                                              \
	"{\"model\":\"x\",\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"}," \
	"{\"role\":\"user\",\"content\":\"hello big world\"}]"

static void
a_whole_answer_repeats_the_last_user_message(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(ask(&s, "echo-1", false, ASK "}"), LZ_ANSWERED);
	assert_int_equal(json_array_size(s.emitted), 1);
	assert_string_equal(
	    path_text(scene_emitted(&s, 0), "message", "content"), "hello big world");
	assert_string_equal(
	    path_text(scene_emitted(&s, 0), "finish_reason", NULL), "stop");
	assert_int_equal(s.usage.input, 6);  /* 8 + 15 bytes / 4 */
	assert_int_equal(s.usage.output, 4); /* 15 bytes / 4 */
	scene_close(&s);
}

static void
a_stream_comes_word_by_word_and_says_the_same(void **state)
{
	static const char *const names[] = { "echo-1", "echo-slow" };
	const char *finish;
	char text[100];
	struct scene s;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(ask(&s, names[i], true, ASK "}"), LZ_ANSWERED);
		assert_int_equal(json_array_size(s.emitted), 4);
		join(&s, 0, text, sizeof(text), &finish);
		assert_string_equal(text, "hello big world");
		assert_string_equal(finish, "stop");
		assert_int_equal(s.usage.output, 4);
		scene_close(&s);
	}
}

static void
max_tokens_and_the_reservation_cut_the_answer(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, scene_part("provider", "echo", json_object()));
	s.target[0].upstream_model = STR_LIT("echo-1");
	scene_body(&s, ASK "}", sizeof(ASK "}") - 1);
	s.r.max_tokens = 2;
	assert_int_equal(scene_build(&s), LZ_ANSWERED);
	assert_string_equal(
	    path_text(scene_emitted(&s, 0), "message", "content"), "hello bi");
	assert_string_equal(
	    path_text(scene_emitted(&s, 0), "finish_reason", NULL), "length");
	assert_int_equal(s.usage.output, 2);
	visit_end_all(s.visit);
	s.r.attempt[0]->output_bound = 1;
	assert_int_equal(scene_build(&s), LZ_ANSWERED);
	assert_string_equal(
	    path_text(scene_emitted(&s, 1), "message", "content"), "hell");
	scene_close(&s);
}

static void
n_stop_and_parts_are_obeyed(void **state)
{
	const char *finish;
	char text[100];
	struct scene s;

	(void)state;
	assert_int_equal(
	    ask(&s, "echo-1", true, ASK ",\"n\":2,\"stop\":[\"zzz\",\" world\"]}"),
	    LZ_ANSWERED);
	for (int i = 0; i < 2; i++) {
		join(&s, i, text, sizeof(text), &finish);
		assert_string_equal(text, "hello big");
		assert_string_equal(finish, "stop");
	}
	assert_int_equal(s.usage.output, 6);
	scene_close(&s);
	assert_int_equal(ask(&s, "echo-1", false,
			     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
			     "\"text\",\"text\":\"a\"},"
			     "{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}},{"
			     "\"type\":\"text\",\"text\":\"b\"}]}]}"),
	    LZ_ANSWERED);
	assert_string_equal(path_text(scene_emitted(&s, 0), "message", "content"), "ab");
	scene_close(&s);
}

static void
odd_requests_get_an_answer_too(void **state)
{
	static const char *const bodies[] = { "{}", "{\"messages\":null}",
		"{\"messages\":[]}", "{\"messages\":[1,null,[]]}",
		"{\"messages\":[{\"role\":\"user\"}],\"n\":-1,\"stop\":{}}" };
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_int_equal(ask(&s, "echo-1", i % 2, bodies[i]), LZ_ANSWERED);
		scene_close(&s);
	}
}

static void
characters_are_not_cut(void **state)
{
	static const char body[] =
	    "{\"messages\":[{\"role\":\"user\",\"content\":\"abc\303\251\"}]}";
	struct scene s;

	(void)state;
	scene_open(&s, scene_part("provider", "echo", json_object()));
	s.target[0].upstream_model = STR_LIT("echo-1");
	scene_body(&s, body, sizeof(body) - 1);
	s.r.max_tokens = 1;
	assert_int_equal(scene_build(&s), LZ_ANSWERED);
	assert_string_equal(path_text(scene_emitted(&s, 0), "message", "content"), "abc");
	scene_close(&s);
}

#define TOOLS                                                                            \
	",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\","         \
	"\"parameters\":{\"type\":\"object\","                                           \
	"\"properties\":{\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\"," \
	"\"minimum\":3},"                                                                \
	"\"unit\":{\"type\":\"string\",\"enum\":[\"C\",\"F\"]}}}}}]"

static void
tools_are_called_with_arguments_that_fit_their_schema(void **state)
{
	char arguments[400] = "";
	const json_t *call;
	json_t *chunk;
	struct scene s;
	size_t i;

	(void)state;
	assert_int_equal(ask(&s, "echo-tools", false, ASK TOOLS "}"), LZ_ANSWERED);
	call = json_array_get(
	    json_object_get(
		json_object_get(
		    json_array_get(json_object_get(scene_emitted(&s, 0), "choices"), 0),
		    "message"),
		"tool_calls"),
	    0);
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(call, "function"), "name")),
	    "weather");
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(call, "function"), "arguments")),
	    "{\"city\":\"hello big world\",\"days\":3,\"unit\":\"C\"}");
	assert_null(json_object_get(call, "index"));
	assert_string_equal(
	    path_text(scene_emitted(&s, 0), "finish_reason", NULL), "tool_calls");
	scene_close(&s);

	assert_int_equal(ask(&s, "echo-tools", true, ASK TOOLS "}"), LZ_ANSWERED);
	json_array_foreach(s.emitted, i, chunk)
	{
		const json_t *delta = json_object_get(
		    json_array_get(json_object_get(chunk, "choices"), 0), "delta");
		const json_t *piece =
		    json_array_get(json_object_get(delta, "tool_calls"), 0);

		if (piece == NULL)
			continue;
		assert_int_equal(json_object_get(piece, "id") != NULL, i == 0);
		strcat(arguments, json_string_value(json_object_get(
				      json_object_get(piece, "function"), "arguments")));
	}
	assert_string_equal(
	    arguments, "{\"city\":\"hello big world\",\"days\":3,\"unit\":\"C\"}");
	scene_close(&s);
}

static void
after_a_tools_result_there_is_text(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(ask(&s, "echo-tools", false,
			     "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{"
			     "\"role\":\"tool\",\"content\":\"21 C\"}]" TOOLS "}"),
	    LZ_ANSWERED);
	assert_string_equal(
	    path_text(scene_emitted(&s, 0), "message", "content"), "The tool said: 21 C");
	scene_close(&s);
	assert_int_equal(
	    ask(&s, "echo-tools", false, ASK TOOLS ",\"tool_choice\":\"none\"}"),
	    LZ_ANSWERED);
	assert_string_equal(
	    path_text(scene_emitted(&s, 0), "message", "content"), "hello big world");
	scene_close(&s);
}

static void
models_that_fail_fail_as_their_names_say(void **state)
{
	static const struct {
		const char *model;
		int32_t upstream, status;
	} rows[] = {
		{ "echo-fail-429", LZ_UPSTREAM_RATE, 0 },
		{ "echo-fail-500", LZ_UPSTREAM_DOWN, 0 },
		{ "echo-embed", LZ_UPSTREAM_CALLER, 400 },
		{ "echo-nothing", LZ_UPSTREAM_UNABLE, 404 },
		{ "echo-cut", LZ_UPSTREAM_DOWN, 0 },
	};
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(ask(&s, rows[i].model, false, ASK "}") < 0);
		assert_non_null(visit_fault(s.visit));
		assert_int_equal(visit_fault(s.visit)->upstream, rows[i].upstream);
		assert_int_equal(visit_fault(s.visit)->status, rows[i].status);
		assert_int_equal(json_array_size(s.emitted), 0);
		scene_close(&s);
	}
}

/* Of the i-th vector that was emitted. */
static double
component(const struct scene *s, size_t i, size_t k)
{
	const json_t *item =
	    json_array_get(json_object_get(scene_emitted(s, 0), "data"), i);

	return json_number_value(json_array_get(json_object_get(item, "embedding"), k));
}

static double
likeness(const struct scene *s, size_t a, size_t b)
{
	double sum = 0;

	for (size_t k = 0; k < 256; k++)
		sum += component(s, a, k) * component(s, b, k);
	return sum;
}

static void
embed(struct scene *s, const char *body)
{
	scene_open(s, scene_part("provider", "echo", json_object()));
	s->target[0].upstream_model = STR_LIT("echo-embed");
	s->r.kind = REQUEST_EMBEDDINGS;
	scene_body(s, body, strlen(body));
}

static void
texts_that_share_words_are_near_each_other(void **state)
{
	struct scene s;

	(void)state;
	embed(&s, "{\"model\":\"x\",\"input\":[\"the cat sat down\",\"The CAT, down\","
		  "\"prices rose again\",\"\"]}");
	assert_int_equal(scene_build(&s), LZ_ANSWERED);
	assert_true(likeness(&s, 0, 0) > 0.999 && likeness(&s, 0, 0) < 1.001);
	assert_true(likeness(&s, 0, 1) > 0.6);
	assert_true(likeness(&s, 0, 1) > likeness(&s, 0, 2) + 0.3);
	assert_true(likeness(&s, 3, 3) > 0.999);
	assert_int_equal(s.usage.input, 4 + 4 + 5 + 0);
	assert_int_equal(s.usage.output, 0);
	scene_close(&s);
}

static void
tokens_are_a_text_too_and_dimensions_are_obeyed(void **state)
{
	const json_t *data;
	struct scene s;

	(void)state;
	embed(&s, "{\"model\":\"x\",\"dimensions\":8,\"input\":[1,2,3]}");
	assert_int_equal(scene_build(&s), LZ_ANSWERED);
	data = json_object_get(scene_emitted(&s, 0), "data");
	assert_int_equal(json_array_size(data), 1);
	assert_int_equal(
	    json_array_size(json_object_get(json_array_get(data, 0), "embedding")), 8);
	assert_int_equal(s.usage.input, 3);
	scene_close(&s);
	embed(&s, "{\"model\":\"x\",\"dimensions\":257,\"input\":[[1,2],[3]]}");
	assert_true(scene_build(&s) < 0);
	assert_true(str_is(visit_fault(s.visit)->param, "dimensions"));
	scene_close(&s);
}

static void
a_cut_stream_breaks_off_half_way(void **state)
{
	const char *finish;
	char text[100];
	struct scene s;

	(void)state;
	assert_true(ask(&s, "echo-cut", true, ASK "}") < 0);
	join(&s, 0, text, sizeof(text), &finish);
	assert_string_equal(text, "hello big ");
	assert_null(finish);
	assert_non_null(visit_fault(s.visit));
	scene_close(&s);
}

static void
a_caller_that_leaves_stops_a_slow_answer(void **state)
{
	struct scene s;

	(void)state;
	scene_open(
	    &s, scene_part("provider", "echo", json_pack("{s:s}", "first_token", "10m")));
	s.target[0].upstream_model = STR_LIT("echo-slow");
	assert_int_equal(scene_build(&s), LZ_PENDING);
	visit_end_all(s.visit);
	s.visit = NULL;
	assert_int_equal(json_array_size(s.emitted), 0);
	scene_close(&s);
}

static int
start(void **state)
{
	(void)state;
	return scene_start() != 0 ? -1
				  : scene_open_plugin("plugins/echo/*.c", "echo.so",
					"-Wall -Wextra -lm");
}

static int
stop(void **state)
{
	(void)state;
	return scene_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_answer_repeats_the_last_user_message),
		cmocka_unit_test(a_stream_comes_word_by_word_and_says_the_same),
		cmocka_unit_test(max_tokens_and_the_reservation_cut_the_answer),
		cmocka_unit_test(n_stop_and_parts_are_obeyed),
		cmocka_unit_test(odd_requests_get_an_answer_too),
		cmocka_unit_test(characters_are_not_cut),
		cmocka_unit_test(tools_are_called_with_arguments_that_fit_their_schema),
		cmocka_unit_test(after_a_tools_result_there_is_text),
		cmocka_unit_test(models_that_fail_fail_as_their_names_say),
		cmocka_unit_test(texts_that_share_words_are_near_each_other),
		cmocka_unit_test(tokens_are_a_text_too_and_dimensions_are_obeyed),
		cmocka_unit_test(a_cut_stream_breaks_off_half_way),
		cmocka_unit_test(a_caller_that_leaves_stops_a_slow_answer),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
