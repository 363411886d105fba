/* test_mistral.c - what Mistral's schema does not take, and ids that fit it, in either
 * order; and that nothing a caller or Mistral says ends in a crash.
 *
 * SPDX-License-Identifier: MIT
 */
#include "visit_scene.h"

/* The request that goes out for `body`; NULL: refused. owned */
static json_t *
build(struct scene *s, const char *body)
{
	scene_open(s, scene_part("provider", "mistral", json_object()));
	scene_body(s, body, strlen(body));
	if (scene_build(s) != LZ_OK)
		return NULL;
	return json_parse(s->http.body, NULL);
}

static const char *
id_of(const json_t *sent, size_t message)
{
	const json_t *m = json_array_get(json_object_get(sent, "messages"), message);
	const json_t *call = json_array_get(json_object_get(m, "tool_calls"), 0);

	return json_string_value(call != NULL ? json_object_get(call, "id")
					      : json_object_get(m, "tool_call_id"));
}

#define CALL(id)                                                                         \
	"{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"" id                          \
	"\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}" \
	","                                                                              \
	"{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"x\"}"
#define ASK(messages) "{\"model\":\"m0\",\"messages\":[" messages "]}"

static void
a_long_id_is_the_same_in_every_turn_and_in_call_and_result(void **state)
{
	struct scene s;
	char first[10];
	json_t *sent;

	(void)state;
	sent = build(&s, ASK(CALL("call_abcdefghijkl")));
	assert_int_equal(strlen(id_of(sent, 0)), 9);
	assert_string_equal(id_of(sent, 0), id_of(sent, 1));
	(void)snprintf(first, sizeof(first), "%s", id_of(sent, 0));
	json_decref(sent);
	scene_close(&s);
	sent = build(&s, ASK(CALL("call_abcdefghijkl") "," CALL("toolu_2")));
	assert_string_equal(id_of(sent, 0), first);
	assert_string_not_equal(id_of(sent, 2), first);
	assert_string_equal(id_of(sent, 2), id_of(sent, 3));
	json_decref(sent);
	scene_close(&s);
}

static void
an_id_of_its_own_form_stays(void **state)
{
	struct scene s;
	json_t *sent;

	(void)state;
	sent = build(&s, ASK(CALL("aZ3dE6gH9") "," CALL("short") "," CALL("nine-long")));
	assert_string_equal(id_of(sent, 0), "aZ3dE6gH9");
	assert_string_not_equal(id_of(sent, 2), "short");
	assert_string_not_equal(id_of(sent, 4), "nine-long");
	json_decref(sent);
	scene_close(&s);
}

/* What a long id becomes may be somebody's own already, or come later as one. */
static void
no_two_ids_become_one(void **state)
{
	char hash[10], body[2][1000];
	struct scene s;
	json_t *sent;

	(void)state;
	sent = build(&s, ASK(CALL("call_long")));
	(void)snprintf(hash, sizeof(hash), "%s", id_of(sent, 0));
	json_decref(sent);
	scene_close(&s);
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(body[i], sizeof(body[i]),
		    i == 0 ? "{\"model\":\"m0\",\"messages\":[%s,{\"role\":\"tool\","
			     "\"tool_call_id\":\"%s\",\"content\":\"x\"}]}"
			   : "{\"model\":\"m0\",\"messages\":[{\"role\":\"tool\","
			     "\"tool_call_id\":\"%2$s\",\"content\":\"x\"},{\"role\":"
			     "\"tool\",\"tool_call_id\":\"x\",\"content\":\"x\"},%1$s]}",
		    CALL("call_long"), hash);
		sent = build(&s, body[i]);
		assert_non_null(sent);
		assert_string_not_equal(id_of(sent, 0), id_of(sent, 2));
		assert_string_equal(
		    id_of(sent, i == 0 ? 0 : 2), id_of(sent, i == 0 ? 1 : 3));
		/* Who came first keeps it. */
		assert_string_equal(id_of(sent, 0), hash);
		json_decref(sent);
		scene_close(&s);
	}
}

static void
ten_thousand_ids_are_ten_thousand(void **state)
{
	enum {
		IDS = 10000
	};
	struct scene s;
	struct buf b;
	json_t *sent, *seen = json_object();

	(void)state;
	buf_init(&b, 4 << 20);
	buf_add_z(
	    &b, "{\"model\":\"m0\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}");
	for (unsigned i = 0; i < IDS; i++)
		buf_addf(&b,
		    ",{\"role\":\"tool\",\"tool_call_id\":\"call_%u\",\"content\":\"\"}",
		    i);
	buf_add_z(&b, "]}");
	scene_open(&s, scene_part("provider", "mistral", json_object()));
	buf_free(&s.r.body);
	s.r.body = b;
	assert_int_equal(scene_build_and_wait(&s), LZ_OK);
	sent = json_parse(s.http.body, NULL);
	for (unsigned i = 0; i < IDS; i++)
		(void)json_object_set_new(seen, id_of(sent, i + 1), json_null());
	assert_int_equal(json_object_size(seen), IDS);
	json_decref(sent);
	json_decref(seen);
	scene_close(&s);
}

static void
the_limit_is_the_one_that_has_to_be_sent(void **state)
{
	static const struct {
		int64_t asked, bound;
		bool lowers;
		int64_t sent; /* -1: none */
	} rows[] = { { -1, 4096, false, -1 }, { -1, 100, true, 100 },
		{ 50, 4096, false, 50 }, { 5000, 200, true, 200 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene s;
		json_t *sent;
		const json_t *limit;

		scene_open(&s, scene_part("provider", "mistral", json_object()));
		s.r.max_tokens = rows[i].asked;
		s.r.attempt[0]->output_bound = rows[i].bound;
		s.r.attempt[0]->lowers_output = rows[i].lowers;
		assert_int_equal(scene_build(&s), LZ_OK);
		sent = json_parse(s.http.body, NULL);
		limit = json_object_get(sent, "max_tokens");
		assert_int_equal(
		    limit != NULL ? json_integer_value(limit) : -1, rows[i].sent);
		json_decref(sent);
		scene_close(&s);
	}
}

/* The gateway has read a request before a plugin sees it, but not to its last leaf. */
static void
requests_of_any_shape_are_built_or_refused(void **state)
{
	static const char *const bodies[] = { "{}", "{\"messages\":null}",
		"{\"messages\":{}}", ASK("1"), ASK("null,[],{}"), ASK("{\"role\":1}"),
		ASK("{\"role\":\"user\",\"content\":{}}"),
		ASK("{\"role\":\"user\",\"content\":[1,null,{},{\"type\":\"image_url\"},"
		    "{\"type\":\"file\",\"file\":[]},{\"type\":\"input_audio\"}]}"),
		ASK("{\"role\":\"assistant\",\"tool_calls\":[1,{},{\"function\":1}]}"),
		ASK("{\"role\":\"assistant\",\"tool_calls\":{\"a\":1}}"),
		ASK("{\"role\":\"tool\"}"), ASK("{\"role\":\"tool\",\"tool_call_id\":7}"),
		"{\"messages\":[],\"tools\":{},\"tool_choice\":[]}",
		"{\"messages\":[],\"tools\":[1,{}],\"tool_choice\":{}}",
		"{\"messages\":[],\"response_format\":7,\"prediction\":[]}",
		"{\"messages\":[],\"temperature\":\"hot\",\"seed\":1.5,\"top_p\":[]}",
		"{\"messages\":[],\"modalities\":{\"a\":[]},\"service_tier\":{}}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct scene s;
		json_t *sent = build(&s, bodies[i]);

		if (sent == NULL)
			assert_non_null(visit_fault(s.visit));
		json_decref(sent);
		scene_close(&s);
	}
}

static void
answers_of_any_shape_are_read_or_failures(void **state)
{
	static const char *const bodies[] = {
		"", "{", "[]", "7", "{}", "{\"choices\":{}}", "{\"choices\":[1]}",
		"{\"choices\":[{}]}", "{\"choices\":[{\"message\":{\"content\":{}}}]}",
		"{\"choices\":[{\"message\":{\"content\":[1,{\"type\":\"thinking\"},"
		"{\"type\":\"thinking\",\"thinking\":[1,{}]}]}}]}",
		"{\"choices\":[{\"message\":{\"tool_calls\":[1,{},{\"function\":{"
		"\"name\":"
		"\"f\"}}]},\"finish_reason\":7}]}",
		"{\"usage\":7,\"choices\":[{\"delta\":{\"content\":[]}}]}",
		"{\"usage\":{\"prompt_tokens\":-5,\"num_cached_tokens\":9},\"choices\":[{"
		"}]}",
		"{\"detail\":{}}", "{\"object\":\"error\",\"message\":[]}",
		"{\"object\":\"error\",\"message\":[[],{\"loc\":{}},{\"loc\":[[],{}]}]}"
	};
	struct scene s;

	(void)state;
	json_decref(build(&s, ASK("")));
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		lz_reply reply = {
			.size = sizeof(reply), .status = 200, .body = lz_strz(bodies[i])
		};
		lz_fault fault = { .size = sizeof(fault) };

		(void)visit_reply(s.visit, &reply);
		(void)visit_event(s.visit, STR_NONE, reply.body);
		reply.status = 400;
		assert_int_equal(visit_classify(s.visit, &reply, &fault), LZ_OK);
	}
	assert_true(s.usage.input >= 0 && s.usage.cache_read >= 0);
	scene_close(&s);
}

static void
tokens_to_embed_are_somebody_elses(void **state)
{
	static const char *const bodies[] = { "{\"model\":\"m0\",\"input\":[1,2]}",
		"{\"model\":\"m0\",\"input\":[[1],[2]]}" };
	struct scene s;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		scene_open(&s, scene_part("provider", "mistral", json_object()));
		s.r.kind = REQUEST_EMBEDDINGS;
		scene_body(&s, bodies[i], strlen(bodies[i]));
		assert_true(scene_build(&s) < 0);
		assert_int_equal(visit_fault(s.visit)->upstream, LZ_UPSTREAM_UNABLE);
		assert_true(str_is(visit_fault(s.visit)->param, "input"));
		scene_close(&s);
	}
}

static int
start(void **state)
{
	(void)state;
	return scene_start() != 0 ? -1
				  : scene_open_plugin("plugins/mistral/*.c", "mistral.so",
					"-Wall -Wextra");
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
		cmocka_unit_test(
		    a_long_id_is_the_same_in_every_turn_and_in_call_and_result),
		cmocka_unit_test(an_id_of_its_own_form_stays),
		cmocka_unit_test(no_two_ids_become_one),
		cmocka_unit_test(ten_thousand_ids_are_ten_thousand),
		cmocka_unit_test(the_limit_is_the_one_that_has_to_be_sent),
		cmocka_unit_test(requests_of_any_shape_are_built_or_refused),
		cmocka_unit_test(answers_of_any_shape_are_read_or_failures),
		cmocka_unit_test(tokens_to_embed_are_somebody_elses),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
