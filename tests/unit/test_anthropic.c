/* test_anthropic.c - Anthropic's plugin by its rules: what is carried, told and refused,
 * generation by generation; garbage from both sides; and memory that runs out. What its
 * wire is like as a whole is tests/e2e/test_wires.py.
 *
 * SPDX-License-Identifier: MIT
 */
#include "visit_scene.h"

#include "request/view.h"

#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

#define TWO_TOOLS                                                                        \
	"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"type\":"    \
	"\"function\",\"function\":{\"name\":\"g\"}}]"

/* Opens a scene for `model` and builds the request of `body`. */
static int32_t
build(struct scene *s, const char *model, const char *body)
{
	scene_open(s, scene_part("provider", "anthropic", json_object()));
	s->target[0].upstream_model = lz_strz(model);
	s->r.attempt[0]->output_bound = 40000;
	scene_body(s, body, strlen(body));
	return scene_build(s);
}

/* What the request says at a path of members, as JSON; "-": nothing. */
static void
at(const struct scene *s, const char *path, char *out, size_t n)
{
	json_t *all = json_parse(s->http.body, NULL), *j = all;
	char name[64];
	char *text = NULL;

	assert_non_null(all);
	while (*path != '\0') {
		size_t len = strcspn(path, ".");

		(void)snprintf(name, sizeof(name), "%.*s", (int)len, path);
		j = json_object_get(j, name);
		path += len + (path[len] == '.');
	}
	if (j != NULL)
		text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
	(void)snprintf(out, n, "%s", text != NULL ? text : "-");
	free(text);
	json_decref(all);
}

/* Members of a request; where to look, and what must stand there; what is told. */
static const struct {
	const char *model, *members, *path, *wanted, *dropped;
} rows[] = {
	/* reasoning_effort */
	{ "claude-3-5-sonnet-20241022", "\"reasoning_effort\":\"high\"", "thinking", "-",
	    "reasoning_effort" },
	{ "claude-3-opus-20240229", "\"reasoning_effort\":\"none\"", "thinking", "-",
	    "" },
	{ "claude-3-7-sonnet-20250219", "\"reasoning_effort\":\"minimal\"", "thinking",
	    "{\"type\":\"enabled\",\"budget_tokens\":1024}", "" },
	{ "claude-sonnet-4-20250514", "\"reasoning_effort\":\"low\"", "thinking",
	    "{\"type\":\"enabled\",\"budget_tokens\":2048}", "" },
	{ "claude-haiku-4-5-20251001", "\"reasoning_effort\":\"xhigh\"", "thinking",
	    "{\"type\":\"enabled\",\"budget_tokens\":30000}", "" },
	{ "claude-opus-4-6", "\"reasoning_effort\":\"medium\"", "thinking",
	    "{\"type\":\"adaptive\"}", "" },
	{ "claude-opus-4-6", "\"reasoning_effort\":\"xhigh\"", "output_config",
	    "{\"effort\":\"max\"}", "" },
	{ "claude-opus-5", "\"reasoning_effort\":\"xhigh\"", "output_config",
	    "{\"effort\":\"xhigh\"}", "" },
	{ "anthropic.claude-fable-5-1-v1", "\"reasoning_effort\":\"minimal\"",
	    "output_config", "{\"effort\":\"low\"}", "" },
	{ "our-own", "\"reasoning_effort\":\"max\"", "output_config",
	    "{\"effort\":\"max\"}", "" },
	{ "claude-sonnet-5", "\"reasoning_effort\":\"none\"", "thinking",
	    "{\"type\":\"disabled\"}", "" },
	{ "claude-sonnet-5", "\"reasoning_effort\":null", "thinking", "-", "" },
	{ "claude-sonnet-5",
	    "\"reasoning_effort\":\"low\",\"tool_choice\":\"required\",\"tools\":[{"
	    "\"type\":\"function\",\"function\":{\"name\":\"f\"}}]",
	    "thinking", "-", "reasoning_effort" },
	{ "claude-opus-4-1",
	    "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":5000},"
	    "\"reasoning_effort\":\"low\"",
	    "thinking", "{\"type\":\"enabled\",\"budget_tokens\":5000}", "" },
	/* sampling */
	{ "claude-3-haiku-20240307", "\"temperature\":1.7,\"top_p\":0.5", "temperature",
	    "1", "temperature" },
	{ "claude-3-haiku-20240307", "\"temperature\":0.25,\"top_p\":0.5", "top_p", "0.5",
	    "" },
	{ "claude-opus-4-1", "\"temperature\":0.25,\"top_p\":0.5", "top_p", "-",
	    "top_p" },
	{ "claude-opus-4-1", "\"top_p\":0.5,\"top_k\":9", "top_k", "9", "" },
	{ "claude-opus-4-7", "\"temperature\":0.25,\"top_p\":1,\"top_k\":9",
	    "temperature", "-", "temperature,top_k" },
	{ "claude-opus-4-5", "\"temperature\":0.25,\"reasoning_effort\":\"low\"",
	    "temperature", "-", "temperature" },
	/* tools */
	{ "claude-opus-4-5", "\"tools\":[],\"tool_choice\":\"auto\"", "tool_choice", "-",
	    "" },
	{ "claude-opus-4-0",
	    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
	    "\"strict\":true}}]",
	    "tools",
	    "[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}]",
	    "tools.strict" },
	{ "claude-opus-4-5",
	    "\"parallel_tool_calls\":false,\"tools\":[{\"type\":\"function\","
	    "\"function\":"
	    "{\"name\":\"f\"},\"cache_control\":{\"type\":\"ephemeral\"}}]",
	    "tool_choice", "{\"type\":\"auto\",\"disable_parallel_tool_use\":true}", "" },
	{ "claude-opus-4-5",
	    TWO_TOOLS ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{"
		      "\"mode\":\"required\",\"tools\":[{\"type\":\"function\","
		      "\"function\":{\"name\":\"g\"}}]}}",
	    "tools",
	    "[{\"name\":\"g\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}]",
	    "" },
	{ "claude-opus-4-5",
	    TWO_TOOLS ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{"
		      "\"mode\":\"required\",\"tools\":[{\"type\":\"function\","
		      "\"function\":{\"name\":\"g\"}}]}}",
	    "tool_choice", "{\"type\":\"any\"}", "" },
	/* the rest */
	{ "claude-opus-4-5", "\"max_tokens\":7", "max_tokens", "40000", "" },
	{ "claude-opus-4-5", "\"stop\":\"END\"", "stop_sequences", "[\"END\"]", "" },
	{ "claude-opus-4-5", "\"stop\":[\"\\n\"]", "stop_sequences", "-", "stop" },
	{ "claude-opus-4-5", "\"safety_identifier\":\"s\",\"user\":\"u\"", "metadata",
	    "{\"user_id\":\"u\"}", "" },
	{ "claude-opus-4-5", "\"safety_identifier\":\"s\"", "metadata",
	    "{\"user_id\":\"s\"}", "" },
	{ "claude-opus-4-5", "\"service_tier\":\"default\"", "service_tier",
	    "\"standard_only\"", "" },
	{ "claude-opus-4-5", "\"service_tier\":\"flex\"", "service_tier", "-",
	    "service_tier" },
	{ "claude-opus-4-5", "\"cache_control\":{\"type\":\"ephemeral\"}",
	    "cache_control", "{\"type\":\"ephemeral\"}", "" },
	{ "claude-opus-4-5", "\"response_format\":{\"type\":\"text\"}", "output_config",
	    "-", "" },
	{ "claude-opus-4-5",
	    "\"seed\":0,\"presence_penalty\":0.0,\"frequency_penalty\":0.1,\"store\":"
	    "false,\"n\":1,\"logprobs\":false,\"logit_bias\":{},\"modalities\":["
	    "\"text\"],"
	    "\"verbosity\":\"medium\",\"metadata\":{\"a\":\"b\"},\"prompt_cache_key\":"
	    "\"k\",\"unheard_of\":[1],\"prediction\":null",
	    "stream", "false", "seed,frequency_penalty,prompt_cache_key,unheard_of" },
};

static void
a_request_says_what_the_table_says(void **state)
{
	char body[2000], found[500];
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		lz_str told;

		(void)snprintf(body, sizeof(body), "{" HI ",%s}", rows[i].members);
		assert_int_equal(build(&s, rows[i].model, body), LZ_OK);
		at(&s, rows[i].path, found, sizeof(found));
		told = s.r.attempt[0]->dropped;
		if (strcmp(found, rows[i].wanted) != 0 || !str_is(told, rows[i].dropped))
			fail_msg("%s, %s: %s is %s, and %.*s is told", rows[i].model,
			    rows[i].members, rows[i].path, found, STR_ARG(told));
		scene_close(&s);
	}
}

/* The list is as long as a tag of the trace may be, names nothing twice, and only what a
 * header can carry. */
static void
a_text_file_goes_in_as_what_it_says(void **state)
{
	static const struct {
		const char *base64, *text;
	} cases[] = {
		{ "", "" },
		{ "YQ==", "a" },
		{ "YWI=", "ab" },
		{ "YWJj", "abc" },
		{ "YWJjZA", "abcd" },
		{ "w7wgIj4+Pw==", "\xc3\xbc \">>?" },
	};
	char body[600];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const json_t *document;
		struct scene s;
		json_t *all;

		(void)snprintf(body, sizeof(body),
		    "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\","
		    "\"file\":{\"filename\":\"n.txt\",\"file_data\":"
		    "\"data:text/plain;charset=utf-8;base64,%s\"}},"
		    "{\"type\":\"text\",\"text\":\"sum up\"}]}]}",
		    cases[i].base64);
		assert_int_equal(build(&s, "claude-opus-4-5", body), LZ_OK);
		all = json_parse(s.http.body, NULL);
		document = json_array_get(
		    json_object_get(
			json_array_get(json_object_get(all, "messages"), 0), "content"),
		    0);
		assert_string_equal(
		    json_string_value(json_object_get(document, "type")), "document");
		assert_string_equal(
		    json_string_value(json_object_get(document, "title")), "n.txt");
		document = json_object_get(document, "source");
		assert_string_equal(
		    json_string_value(json_object_get(document, "type")), "text");
		assert_string_equal(
		    json_string_value(json_object_get(document, "media_type")),
		    "text/plain");
		assert_string_equal(
		    json_string_value(json_object_get(document, "data")), cases[i].text);
		json_decref(all);
		scene_close(&s);
	}
}

static void
a_list_of_what_is_told_is_bounded(void **state)
{
	char body[8000];
	int n = snprintf(body, sizeof(body), "{" HI ",\"a,b\":1,\"c d\":1,\"\":1");
	struct scene s;
	lz_str told;

	(void)state;
	for (int i = 0; i < 100; i++)
		n += snprintf(
		    body + n, sizeof(body) - (size_t)n, ",\"unheard_of_%02d\":1", i);
	(void)snprintf(body + n, sizeof(body) - (size_t)n, "}");
	assert_int_equal(build(&s, "claude-opus-4-5", body), LZ_OK);
	told = s.r.attempt[0]->dropped;
	assert_in_range(told.len, 480, 512);
	assert_true(str_starts(told, "unheard_of_00,unheard_of_01,"));
	assert_int_equal(request_view_tag(&s.r, STR_LIT("told"), told), ST_OK);
	scene_close(&s);
}

/* Members, or with "messages" those instead of one user's word. */
static const struct {
	const char *members, *param;
	int32_t upstream;
} refused[] = {
	{ HI ",\"n\":2", "n", LZ_UPSTREAM_UNABLE },
	{ HI ",\"logprobs\":true", "logprobs", LZ_UPSTREAM_UNABLE },
	{ HI ",\"top_logprobs\":3", "top_logprobs", LZ_UPSTREAM_UNABLE },
	{ HI ",\"logit_bias\":{\"1\":2}", "logit_bias", LZ_UPSTREAM_UNABLE },
	{ HI ",\"audio\":{}", "audio", LZ_UPSTREAM_UNABLE },
	{ HI ",\"modalities\":[\"text\",\"audio\"]", "modalities", LZ_UPSTREAM_UNABLE },
	{ HI ",\"functions\":[{}]", "functions", LZ_UPSTREAM_UNABLE },
	{ HI ",\"web_search_options\":{}", "web_search_options", LZ_UPSTREAM_UNABLE },
	{ HI ",\"response_format\":{\"type\":\"json_object\"}", "response_format",
	    LZ_UPSTREAM_UNABLE },
	{ HI ",\"response_format\":{\"type\":\"json_schema\"}", "response_format",
	    LZ_UPSTREAM_CALLER },
	{ HI ",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"x\"}}]", "tools",
	    LZ_UPSTREAM_UNABLE },
	{ HI ",\"tools\":[7]", "tools", LZ_UPSTREAM_UNABLE },
	{ HI ",\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"sometimes\"",
	    "tool_choice", LZ_UPSTREAM_UNABLE },
	{ HI "," TWO_TOOLS ",\"tool_choice\":{\"type\":\"allowed_tools\","
	     "\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"type\":\"function\","
	     "\"function\":{\"name\":\"h\"}}]}}",
	    "tool_choice", LZ_UPSTREAM_CALLER },
	{ HI "," TWO_TOOLS ",\"tool_choice\":{\"type\":\"allowed_tools\","
	     "\"allowed_tools\":{\"mode\":\"maybe\"}}",
	    "tool_choice", LZ_UPSTREAM_UNABLE },
	{ HI ",\"reasoning_effort\":\"very\"", "reasoning_effort", LZ_UPSTREAM_CALLER },
	{ HI ",\"reasoning_effort\":3", "reasoning_effort", LZ_UPSTREAM_CALLER },
	{ HI ",\"stop\":[5]", "stop", LZ_UPSTREAM_CALLER },
	{ HI ",\"temperature\":\"hot\"", "temperature", LZ_UPSTREAM_CALLER },
	{ HI ",\"top_p\":[]", "top_p", LZ_UPSTREAM_CALLER },
	{ HI ",\"user\":5", "user", LZ_UPSTREAM_CALLER },
	{ HI ",\"parallel_tool_calls\":\"no\"", "parallel_tool_calls",
	    LZ_UPSTREAM_CALLER },
	{ HI ",\"thinking\":true", "thinking", LZ_UPSTREAM_CALLER },
	{ "\"messages\":[]", "messages", LZ_UPSTREAM_CALLER },
	{ "\"messages\":[{\"role\":\"user\",\"content\":\" \\n\"}]", "messages",
	    LZ_UPSTREAM_CALLER },
	{ "\"messages\":[7]", "messages", LZ_UPSTREAM_CALLER },
	{ "\"messages\":[{\"role\":\"narrator\",\"content\":\"x\"}]", "messages",
	    LZ_UPSTREAM_CALLER },
	{ "\"messages\":[{\"role\":\"user\",\"content\":{}}]", "messages",
	    LZ_UPSTREAM_CALLER },
	{ "\"messages\":[{\"role\":\"function\",\"name\":\"f\",\"content\":\"x\"}]",
	    "messages", LZ_UPSTREAM_UNABLE },
	{ "\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]", "messages",
	    LZ_UPSTREAM_CALLER },
	{ "\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\"}]}]",
	    "messages", LZ_UPSTREAM_UNABLE },
#define PART(p) "\"messages\":[{\"role\":\"user\",\"content\":[" p "]}]"
	{ PART("{\"type\":\"input_audio\"}"), "messages", LZ_UPSTREAM_UNABLE },
	{ PART("{}"), "messages", LZ_UPSTREAM_UNABLE },
	{ PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"ftp://x\"}}"),
	    "messages", LZ_UPSTREAM_CALLER },
	{ PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:,x\"}}"),
	    "messages", LZ_UPSTREAM_CALLER },
	{ PART("{\"type\":\"image_url\"}"), "messages", LZ_UPSTREAM_CALLER },
	{ PART("{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}"), "messages",
	    LZ_UPSTREAM_UNABLE },
	{ PART("{\"type\":\"file\",\"file\":{\"file_data\":\"data:text/csv;base64,"
	       "YQ==\"}}"),
	    "messages", LZ_UPSTREAM_UNABLE },
	/* no base64; base64 of no UTF-8 */
	{ PART("{\"type\":\"file\",\"file\":{\"file_data\":\"data:text/plain;base64,"
	       "Y!==\"}}"),
	    "messages", LZ_UPSTREAM_UNABLE },
	{ PART("{\"type\":\"file\",\"file\":{\"file_data\":\"data:text/plain;base64,"
	       "/w==\"}}"),
	    "messages", LZ_UPSTREAM_UNABLE },
};

static void
what_cannot_be_served_is_refused_by_name(void **state)
{
	char body[500];
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const lz_fault *f;

		(void)snprintf(body, sizeof(body), "{%s}", refused[i].members);
		if (build(&s, "claude-opus-4-5", body) == LZ_OK)
			fail_msg("%s: was built", body);
		f = visit_fault(s.visit);
		assert_non_null(f);
		if (!str_is(f->param, refused[i].param) ||
		    f->upstream != refused[i].upstream || f->status != 400)
			fail_msg("%s: %.*s, %d, %d", body, STR_ARG(f->param),
			    (int)f->upstream, (int)f->status);
		assert_true(f->message.len > 0);
		scene_close(&s);
	}
}

static void
options_choose_how_to_think_and_add_a_header(void **state)
{
	static const char body[] = "{" HI ",\"reasoning_effort\":\"low\"}";
	static const struct {
		const char *option, *wanted;
	} ways[] = {
		{ "budget", "{\"type\":\"enabled\",\"budget_tokens\":2048}" },
		{ "adaptive", "{\"type\":\"adaptive\"}" },
		{ "never", "-" },
	};
	char found[200];
	struct scene s;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		scene_open(&s, scene_part("provider", "anthropic",
				   json_pack("{s:s,s:s}", "thinking", ways[i].option,
				       "beta", "files-1")));
		s.target[0].upstream_model = STR_LIT("any");
		scene_body(&s, body, sizeof(body) - 1);
		assert_int_equal(scene_build(&s), LZ_OK);
		at(&s, "thinking", found, sizeof(found));
		assert_string_equal(found, ways[i].wanted);
		assert_true(str_is(s.http.url, "http://base/messages"));
		assert_int_equal(s.http.header_count, 4);
		assert_true(str_is(s.http.headers[2].name, "x-api-key"));
		assert_true(str_is(s.http.headers[2].value, "sk-test"));
		assert_true(str_is(s.http.headers[3].name, "anthropic-beta"));
		assert_true(str_is(s.http.headers[3].value, "files-1"));
		scene_close(&s);
	}
}

/* ---- answers ---- */

static int32_t
event(struct scene *s, const char *name, const char *data)
{
	return visit_event(s->visit, lz_strz(name), lz_strz(data));
}

static void
garbage_for_answers_is_an_error_or_nothing(void **state)
{
	static const char *const replies[] = { "", "[]", "7", "{}", "{\"content\":{}}",
		"{\"content\":null}", "<html>" };
	static const struct {
		const char *name, *data;
		int32_t result;
	} events[] = {
		{ "content_block_delta", "{", LZ_E_FAIL },
		{ "content_block_delta", "[]", LZ_E_FAIL },
		{ "content_block_delta", "{}", LZ_OK },
		{ "content_block_delta", "{\"delta\":{\"type\":\"text_delta\"}}", LZ_OK },
		{ "content_block_delta",
		    "{\"delta\":{\"type\":\"text_delta\",\"text\":7}}", LZ_OK },
		{ "content_block_delta",
		    "{\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}",
		    LZ_OK },
		{ "content_block_delta",
		    "{\"delta\":{\"type\":\"signature_delta\",\"signature\":\"x\"}}",
		    LZ_OK },
		{ "content_block_stop", "{}", LZ_OK },
		{ "content_block_start", "{\"content_block\":{\"type\":\"new_kind\"}}",
		    LZ_OK },
		{ "content_block_start", "{}", LZ_OK },
		{ "message_start", "{\"message\":[]}", LZ_OK },
		{ "message_delta", "{\"delta\":{},\"usage\":null}", LZ_OK },
		{ "unheard_of", "{}", LZ_OK },
	};
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "claude-opus-4-5", "{" HI "}"), LZ_OK);
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		lz_reply r = { .size = sizeof(r), .status = 200 };

		r.body = lz_strz(replies[i]);
		assert_true(visit_reply(s.visit, &r) < 0);
	}
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		assert_int_equal(
		    event(&s, events[i].name, events[i].data), events[i].result);
	assert_int_equal(json_array_size(s.emitted), 0);
	assert_int_equal(visit_end(s.visit, 1), LZ_E_FAIL);
	scene_close(&s);
}

static void
a_stream_is_whole_only_when_it_said_so(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "claude-opus-4-5", "{" HI ",\"stream\":true}"), LZ_OK);
	assert_int_equal(event(&s, "message_delta",
			     "{\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
			     "\"input_tokens\":3,\"cache_read_input_tokens\":4,\"cache_"
			     "creation_input_tokens\":5,\"cache_creation\":{"
			     "\"ephemeral_5m_input_tokens\":3,\"ephemeral_1h_input_"
			     "tokens\":2},\"output_tokens\":6}}"),
	    LZ_OK);
	assert_int_equal(json_array_size(s.emitted), 1);
	assert_int_equal(s.usage.input, 3);
	assert_int_equal(s.usage.cache_read, 4);
	assert_int_equal(s.usage.cache_write, 5);
	assert_int_equal(s.usage.cache_write_1h, 2);
	assert_int_equal(s.usage.output, 6);
	assert_int_equal(event(&s, "message_delta",
			     "{\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{"
			     "\"output_tokens\":8}}"),
	    LZ_OK);
	assert_int_equal(json_array_size(s.emitted), 1); /* one end */
	assert_int_equal(s.usage.output, 8);
	assert_int_equal(visit_end(s.visit, 0), LZ_E_FAIL);
	assert_int_equal(visit_end(s.visit, 1), LZ_OK);
	scene_close(&s);
}

/* ---- whose fault ---- */

static void
errors_are_judged_by_type_sentence_and_header(void **state)
{
	static const struct {
		int status;
		const char *type, *message, *reset;
		int32_t upstream;
		uint32_t least_ms, most_ms;
	} cases[] = {
		{ 400, "invalid_request_error", "no", "-", LZ_UPSTREAM_CALLER, 0, 0 },
		{ 400, "invalid_request_error", "prompt is too long: 3 > 2", "-",
		    LZ_UPSTREAM_CONTEXT, 0, 0 },
		{ 400, "invalid_request_error",
		    "input length and `max_tokens` exceed context limit: 1 + 2 > 2", "-",
		    LZ_UPSTREAM_CONTEXT, 0, 0 },
		{ 400, "invalid_request_error", "Your credit balance is too low", "-",
		    LZ_UPSTREAM_QUOTA, 0, 0 },
		{ 404, "not_found_error", "model: x", "-", LZ_UPSTREAM_UNABLE, 0, 0 },
		{ 529, "overloaded_error", "Overloaded", "-", LZ_UPSTREAM_DOWN, 0, 0 },
		{ 500, "unheard_of", "x", "-", LZ_UPSTREAM_DOWN, 0, 0 },
		{ 429, "rate_limit_error", "x", "2099-01-01T00:00:00Z", LZ_UPSTREAM_RATE,
		    300000, 300000 },
		{ 429, "rate_limit_error", "x", "2020-02-29T12:30:00Z", LZ_UPSTREAM_RATE,
		    0, 0 },
		{ 429, "rate_limit_error", "x", "2099-13-01T00:00:00Z", LZ_UPSTREAM_RATE,
		    0, 0 },
		{ 429, "rate_limit_error", "x", "soon", LZ_UPSTREAM_RATE, 0, 0 },
		{ 429, "rate_limit_error", "x", NULL, LZ_UPSTREAM_RATE, 8000, 10000 },
	};
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "claude-opus-4-5", "{" HI "}"), LZ_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lz_fault f = { .size = sizeof(f), .upstream = LZ_UPSTREAM_DOWN };
		time_t soon = (time_t)(clock_unix_ms() / 1000 + 10);
		struct tm t;
		char body[300], at_10_s[40];
		lz_header h[2];
		lz_reply r = { .size = sizeof(r), .status = cases[i].status };

		(void)strftime(
		    at_10_s, sizeof(at_10_s), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&soon, &t));
		h[0] = lz_head(
		    STR_LIT("anthropic-ratelimit-tokens-remaining"), STR_LIT("0"));
		h[1] = lz_head(STR_LIT("anthropic-ratelimit-tokens-reset"),
		    lz_strz(cases[i].reset != NULL ? cases[i].reset : at_10_s));
		(void)snprintf(body, sizeof(body),
		    "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"%s\"}}",
		    cases[i].type, cases[i].message);
		r.body = lz_strz(body);
		r.headers = h;
		r.header_count = 2;
		assert_int_equal(visit_classify(s.visit, &r, &f), LZ_OK);
		assert_int_equal(f.upstream, cases[i].upstream);
		assert_in_range(f.retry_after_ms, cases[i].least_ms, cases[i].most_ms);
	}
	scene_close(&s);
}

/* ---- memory ---- */

static int64_t allocations_left = -1;

static int
fail_once(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return allocations_left >= 0 && allocations_left-- == 0;
}

/* A request with something of everything, whose k-th allocation fails. Its body, owned,
 * NULL: there is none. */
static char *
built_short_of_memory(int64_t k)
{
	static const char body[] =
	    "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\","
	    "\"content\":[{\"type\":\"text\",\"text\":\"u\"}]},{\"role\":\"system\","
	    "\"content\":\"m\"},{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a.b\","
	    "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}]},{\"role\":"
	    "\"tool\",\"tool_call_id\":\"a.b\",\"content\":\"r\"}],\"stop\":\"x\","
	    "\"user\":\"u\",\"reasoning_effort\":\"high\"}";
	struct scene s;
	int32_t result;
	char *out = NULL;

	scene_open(&s, scene_part("provider", "anthropic", json_object()));
	s.target[0].upstream_model = STR_LIT("claude-opus-4-6");
	scene_body(&s, body, sizeof(body) - 1);
	s.visit = visit_provider(&s.r, s.r.attempt[0], scene_ops(), &s);
	assert_non_null(s.visit);
	s.http = lz_http_to("POST", STR_LIT("http://base"));
	(void)json_ran_dry();
	allocations_left = k;
	result = visit_build(s.visit, &s.http, scene_on_done, &s);
	if (!json_ran_dry() && result == LZ_OK) { /* call/ looks at both */
		/* not strndup(), which strict_string_checks wants a NUL for */
		out = calloc(1, s.http.body.len + 1);
		assert_non_null(out);
		memcpy(out, s.http.body.ptr, s.http.body.len);
	}
	scene_close(&s);
	return out;
}

/* What memory could not hold is no request: it is all there, or there is none. */
static void
a_request_is_whole_or_none_whichever_allocation_fails(void **state)
{
	char *whole = built_short_of_memory(-1), *other;
	unsigned none = 0;

	(void)state;
	assert_non_null(whole);
	mem_set_fault(fail_once, NULL);
	for (int64_t k = 0; allocations_left < 0; k++) {
		other = built_short_of_memory(k);
		if (other != NULL)
			assert_string_equal(other, whole);
		none += other == NULL;
		free(other);
	}
	mem_set_fault(NULL, NULL);
	assert_true(none > 20);
	free(whole);
}

static int
start(void **state)
{
	(void)state;
	return scene_start() != 0 ? -1
				  : scene_open_plugin("plugins/anthropic/*.c",
					"anthropic.so", "-Wall -Wextra");
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
		cmocka_unit_test(a_request_says_what_the_table_says),
		cmocka_unit_test(a_text_file_goes_in_as_what_it_says),
		cmocka_unit_test(a_list_of_what_is_told_is_bounded),
		cmocka_unit_test(what_cannot_be_served_is_refused_by_name),
		cmocka_unit_test(options_choose_how_to_think_and_add_a_header),
		cmocka_unit_test(garbage_for_answers_is_an_error_or_nothing),
		cmocka_unit_test(a_stream_is_whole_only_when_it_said_so),
		cmocka_unit_test(errors_are_judged_by_type_sentence_and_header),
		cmocka_unit_test(a_request_is_whole_or_none_whichever_allocation_fails),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
