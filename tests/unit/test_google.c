/* test_google.c - google speaks Gemini: requests as Google wants them, answers as OpenAI
 * gives them, and what one side has no word for is refused or told.
 *
 * SPDX-License-Identifier: MIT
 */
#include "visit_scene.h"

#define HI              "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define HI_OUT          "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]"
#define USER(parts)     "{\"messages\":[{\"role\":\"user\",\"content\":[" parts "]}]}"
#define USER_OUT(parts) "{\"contents\":[{\"role\":\"user\",\"parts\":[" parts "]}]}"

static json_t *
parsed(const char *text)
{
	struct err e = { "" };
	json_t *j = json_parse(lz_strz(text), &e);

	if (j == NULL)
		fail_msg("%s: %s", text, e.text);
	return j;
}

static void
same(const json_t *got, const char *wanted, const char *what)
{
	json_t *w = parsed(wanted);

	if (!json_equal(got, w))
		fail_msg("%s\ngot    %s\nwanted %s", what, json_dumps(got, 0), wanted);
	json_decref(w);
}

static void
open_scene(struct scene *s, const char *model, json_t *options)
{
	scene_open(s, scene_part("provider", "google", options));
	s->target[0].upstream_model = lz_strz(model);
}

/* What is sent for this; LZ_OK or < 0. */
static int32_t
ask(struct scene *s, const char *model, const char *body)
{
	open_scene(s, model, json_object());
	scene_body(s, body, strlen(body));
	return scene_build(s);
}

static json_t *
sent(const struct scene *s)
{
	struct err e = { "" };
	json_t *j = json_parse(s->http.body, &e);

	assert_non_null(j);
	return j;
}

/* ---- requests ---- */

static const struct row {
	const char *name, *model, *body, *wanted, *dropped;
} rows[] = {
	{ "text", "gemini-2.5-flash", "{\"model\":\"x\"," HI "}", "{" HI_OUT "}", "" },
	{ "what leads is the system's", "gemini-2.5-flash",
	    "{\"messages\":[{\"role\":\"system\",\"content\":\"a\"},{\"role\":"
	    "\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":"
	    "\"user\",\"content\":\"hi\"}]}",
	    "{\"systemInstruction\":{\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]}"
	    "," HI_OUT "}",
	    "" },
	{ "later it is a turn", "gemini-2.5-flash",
	    "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"system\","
	    "\"content\":\"s\"}]}",
	    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{\"role\":"
	    "\"user\",\"parts\":[{\"text\":\"s\"}]}]}",
	    "messages.role" },
	{ "alone it is asked", "gemini-2.5-flash",
	    "{\"messages\":[{\"role\":\"system\",\"content\":\"hi\"}]}", "{" HI_OUT "}",
	    "" },
	{ "members of generationConfig", "gemini-2.5-flash",
	    "{" HI ",\"temperature\":0.5,\"top_p\":1,\"top_k\":3,\"seed\":7,"
	    "\"presence_penalty\":1.5,\"frequency_penalty\":-1,\"stop\":\"x\",\"n\":2,"
	    "\"logprobs\":true,\"top_logprobs\":4,\"response_format\":{\"type\":"
	    "\"json_object\"},\"user\":\"u\",\"stream\":false,\"logit_bias\":{},"
	    "\"metadata\":{\"a\":\"b\"},\"store\":false,\"service_tier\":\"auto\"}",
	    "{" HI_OUT ",\"generationConfig\":{\"temperature\":0.5,\"topP\":1,\"topK\":3,"
	    "\"seed\":7,\"presencePenalty\":1.5,\"frequencyPenalty\":-1,"
	    "\"stopSequences\":[\"x\"],\"candidateCount\":2,\"responseLogprobs\":true,"
	    "\"logprobs\":4,\"responseMimeType\":\"application/json\"}}",
	    "" },
	{ "what says nothing", "gemini-2.5-flash",
	    "{" HI ",\"temperature\":null,\"stop\":null,\"tools\":[],\"tool_choice\":"
	    "\"auto\",\"n\":1,\"response_format\":{\"type\":\"text\"},\"top_logprobs\":0,"
	    "\"logprobs\":false,\"modalities\":[\"text\"]}",
	    "{" HI_OUT "}", "" },
	{ "a schema", "gemini-2.5-flash",
	    "{" HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
	    "\"name\":\"n\",\"strict\":true,\"schema\":{\"type\":\"object\","
	    "\"additionalProperties\":false}}}}",
	    "{" HI_OUT ",\"generationConfig\":{\"responseMimeType\":\"application/json\","
	    "\"responseJsonSchema\":{\"type\":\"object\",\"additionalProperties\":false}}"
	    "}",
	    "" },
	{ "what has no twin is told", "gemini-2.5-flash",
	    "{" HI ",\"parallel_tool_calls\":false,\"verbosity\":\"low\",\"store\":true,"
	    "\"service_tier\":\"flex\",\"unheard\":1}",
	    "{" HI_OUT "}", "parallel_tool_calls,verbosity,store,service_tier,unheard" },
	{ "tools", "gemini-2.5-flash",
	    "{" HI ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
	    "\"description\":\"d\",\"parameters\":{\"type\":\"object\",\"$defs\":{}}}},{"
	    "\"type\":\"function\",\"function\":{\"name\":\"g\",\"strict\":true,"
	    "\"description\":null}}],\"tool_choice\":\"required\"}",
	    "{" HI_OUT ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\","
	    "\"description\":\"d\",\"parametersJsonSchema\":{\"type\":\"object\","
	    "\"$defs\":{}}},{\"name\":\"g\"}]}],\"toolConfig\":{"
	    "\"functionCallingConfig\":{\"mode\":\"ANY\"}}}",
	    "tools.strict" },
	{ "thinking by budget", "gemini-2.5-flash",
	    "{" HI ",\"reasoning_effort\":\"low\"}",
	    "{" HI_OUT
	    ",\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":1024,"
	    "\"includeThoughts\":true}}}",
	    "" },
	{ "no thinking", "gemini-2.5-flash", "{" HI ",\"reasoning_effort\":\"none\"}",
	    "{" HI_OUT
	    ",\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":0}}}",
	    "" },
	{ "a model that cannot but think", "gemini-2.5-pro",
	    "{" HI ",\"reasoning_effort\":\"none\"}",
	    "{" HI_OUT
	    ",\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":128}}}",
	    "reasoning_effort" },
	{ "thinking by level", "gemini-3-flash-preview",
	    "{" HI ",\"reasoning_effort\":\"medium\"}",
	    "{" HI_OUT ",\"generationConfig\":{\"thinkingConfig\":{\"thinkingLevel\":"
	    "\"medium\",\"includeThoughts\":true}}}",
	    "" },
	{ "a level that it lacks", "gemini-3.1-pro-preview",
	    "{" HI ",\"reasoning_effort\":\"minimal\"}",
	    "{" HI_OUT ",\"generationConfig\":{\"thinkingConfig\":{\"thinkingLevel\":"
	    "\"low\",\"includeThoughts\":true}}}",
	    "reasoning_effort" },
	{ "a model that does not think", "gemini-2.0-flash",
	    "{" HI ",\"reasoning_effort\":\"high\"}", "{" HI_OUT "}",
	    "reasoning_effort" },
	{ "the newest is asked by level", "gemini-flash-latest",
	    "{" HI ",\"reasoning_effort\":\"high\"}",
	    "{" HI_OUT ",\"generationConfig\":{\"thinkingConfig\":{\"thinkingLevel\":"
	    "\"high\",\"includeThoughts\":true}}}",
	    "" },
	{ "pictures, sounds, files", "gemini-2.5-flash",
	    USER("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
		 "png;base64,AA==\"}},"
		 "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://a/"
		 "b.jpg?x=1\",\"detail\":\"low\"}},"
		 "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://a/b\"}},"
		 "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"BB\",\"format\":"
		 "\"wav\"}},"
		 "{\"type\":\"file\",\"file\":{\"filename\":\"x.pdf\",\"file_data\":"
		 "\"data:application/pdf;base64,CC\"}},"
		 "{\"type\":\"file\",\"file\":{\"filename\":\"x.pdf\",\"file_data\":"
		 "\"DD\"}}"),
	    USER_OUT("{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AA==\"}},"
		     "{\"fileData\":{\"fileUri\":\"https://a/"
		     "b.jpg?x=1\",\"mimeType\":\"image/jpeg\"}},"
		     "{\"fileData\":{\"fileUri\":\"https://a/b\"}},"
		     "{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"BB\"}},"
		     "{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":\"CC\"}"
		     "},"
		     "{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":\"DD\"}"
		     "}"),
	    "image_url.detail" },
	{ "calls, their results, and their signatures", "gemini-3-pro-preview",
	    "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
	    "\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"type\":"
	    "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1.0}\"}"
	    ",\"extra_content\":{\"google\":{\"thought_signature\":\"sig\"}}},{\"id\":"
	    "\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":"
	    "\"\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":"
	    "\"{\\\"x\\\":1}\"},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":[{"
	    "\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},{"
	    "\"role\":\"user\",\"content\":\"go\"}]}",
	    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{\"role\":"
	    "\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":1.0},"
	    "\"id\":\"c1\"},\"thoughtSignature\":\"sig\"},{\"functionCall\":{\"name\":"
	    "\"g\",\"args\":{},\"id\":\"c2\"}}]},{\"role\":\"user\",\"parts\":[{"
	    "\"functionResponse\":{\"name\":\"g\",\"response\":{\"output\":"
	    "\"{\\\"x\\\":1}\"},\"id\":\"c2\"}},{\"functionResponse\":{\"name\":\"f\","
	    "\"response\":{\"output\":\"ab\"},\"id\":\"c1\"}}]},{\"role\":\"user\","
	    "\"parts\":[{\"text\":\"go\"}]}]}",
	    "" },
	{ "another's calls pass Gemini 3 unsigned", "gemini-3-pro-preview",
	    "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
	    "\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
	    "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{"
	    "\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r\"}]}",
	    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{\"role\":"
	    "\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{},\"id\":"
	    "\"c1\"},\"thoughtSignature\":\"skip_thought_signature_validator\"}]},{"
	    "\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"f\","
	    "\"response\":{\"output\":\"r\"},\"id\":\"c1\"}}]}]}",
	    "" },
	{ "a text's signature goes back to it", "gemini-3-pro-preview",
	    "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
	    "\"assistant\",\"content\":\"t\",\"reasoning_content\":\"r\","
	    "\"extra_content\":{\"google\":{\"thought_signature\":\"sig\"}}},{\"role\":"
	    "\"user\",\"content\":\"go\"}]}",
	    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{\"role\":"
	    "\"model\",\"parts\":[{\"text\":\"t\",\"thoughtSignature\":\"sig\"}]},{"
	    "\"role\":\"user\",\"parts\":[{\"text\":\"go\"}]}]}",
	    "" },
};

static void
requests_are_said_in_googles_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene s;
		json_t *got;

		if (ask(&s, rows[i].model, rows[i].body) != LZ_OK)
			fail_msg("%s: refused", rows[i].name);
		got = sent(&s);
		same(got, rows[i].wanted, rows[i].name);
		if (!str_is(s.r.attempt[0]->dropped, rows[i].dropped))
			fail_msg("%s: dropped %.*s", rows[i].name,
			    STR_ARG(s.r.attempt[0]->dropped));
		json_decref(got);
		scene_close(&s);
	}
}

static void
what_gemini_cannot_do_is_refused_by_name(void **state)
{
	static const struct {
		const char *body, *param;
		int32_t upstream;
	} refused[] = {
		{ "{" HI ",\"logit_bias\":{\"5\":1}}", "logit_bias", LZ_UPSTREAM_UNABLE },
		{ "{" HI ",\"functions\":[{\"name\":\"f\"}]}", "functions",
		    LZ_UPSTREAM_UNABLE },
		{ "{" HI ",\"web_search_options\":{\"a\":1}}", "web_search_options",
		    LZ_UPSTREAM_UNABLE },
		{ "{" HI ",\"modalities\":[\"text\",\"audio\"]}", "modalities",
		    LZ_UPSTREAM_UNABLE },
		{ "{" HI ",\"n\":9}", "n", LZ_UPSTREAM_UNABLE },
		{ "{" HI ",\"tools\":[{\"type\":\"custom\"}]}", "tools",
		    LZ_UPSTREAM_UNABLE },
		{ "{" HI ",\"tools\":[{\"type\":\"function\"}]}", "tools",
		    LZ_UPSTREAM_CALLER },
		{ "{" HI ",\"response_format\":{\"type\":\"grammar\"}}",
		    "response_format", LZ_UPSTREAM_UNABLE },
		{ "{" HI ",\"temperature\":\"hot\"}", "temperature", LZ_UPSTREAM_CALLER },
		{ "{" HI ",\"seed\":1.5}", "seed", LZ_UPSTREAM_CALLER },
		{ "{" HI ",\"stop\":5}", "stop", LZ_UPSTREAM_CALLER },
		{ "{" HI ",\"logprobs\":1}", "logprobs", LZ_UPSTREAM_CALLER },
		{ "{" HI ",\"reasoning_effort\":\"wild\"}", "reasoning_effort",
		    LZ_UPSTREAM_CALLER },
		{ "{" HI
		  ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"
		  "],\"tool_choice\":\"perhaps\"}",
		    "tool_choice", LZ_UPSTREAM_CALLER },
		{ "{\"messages\":[{\"role\":\"oracle\",\"content\":\"x\"}]}", "messages",
		    LZ_UPSTREAM_CALLER },
		{ "{\"messages\":[1,null,[]]}", "messages", LZ_UPSTREAM_CALLER },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":5}]}", "messages",
		    LZ_UPSTREAM_CALLER },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}", "messages",
		    LZ_UPSTREAM_UNABLE },
		{ "{\"messages\":[{\"role\":\"tool\",\"tool_call_id\":\"x\",\"content\":"
		  "\"y\"}]}",
		    "messages", LZ_UPSTREAM_CALLER },
		{ "{\"messages\":[{\"role\":\"function\",\"name\":\"f\",\"content\":"
		  "\"y\"}]}",
		    "messages", LZ_UPSTREAM_UNABLE },
		{ "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\","
		  "\"function\":{\"name\":\"f\",\"arguments\":\"no JSON\"}}]}]}",
		    "messages", LZ_UPSTREAM_UNABLE },
		{ USER(
		      "{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://a/b.png\"}"
		      "}"),
		    "messages", LZ_UPSTREAM_UNABLE },
		{ USER("{\"type\":\"image_url\",\"image_url\":{\"url\":\"gs://a/"
		       "b.png\"}}"),
		    "messages", LZ_UPSTREAM_UNABLE },
		{ USER("{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://"
		       "generativelanguage.googleapis.com/v1beta/files/x\"}}"),
		    "messages", LZ_UPSTREAM_UNABLE },
		{ USER("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
		       "png,AA\"}}"),
		    "messages", LZ_UPSTREAM_CALLER },
		{ USER("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:;base64,"
		       "AA\"}"
		       "}"),
		    "messages", LZ_UPSTREAM_CALLER },
		{ USER("{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}"),
		    "messages", LZ_UPSTREAM_UNABLE },
		{ USER("{\"type\":\"hologram\"}"), "messages", LZ_UPSTREAM_UNABLE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct scene s;
		const lz_fault *f;

		assert_true(ask(&s, "gemini-2.5-flash", refused[i].body) < 0);
		f = visit_fault(s.visit);
		if (f == NULL || !str_is(f->param, refused[i].param) ||
		    f->upstream != refused[i].upstream || f->status != 400 ||
		    f->message.len == 0)
			fail_msg("%s: %s", refused[i].body,
			    f == NULL ? "no fault" : f->message.ptr);
		scene_close(&s);
	}
}

static void
the_address_holds_the_model_and_the_key_is_a_header(void **state)
{
	static const char *const models[][2] = {
		{ "gemini-2.5-flash", "http://base/models/gemini-2.5-flash" },
		{ "tunedModels/my-1", "http://base/tunedModels/my-1" },
		{ "models/gemini-3-pro", "http://base/models/gemini-3-pro" },
	};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (int is_stream = 0; is_stream < 2; is_stream++) {
			char url[200];
			struct scene s;

			open_scene(&s, models[i][0], json_object());
			s.r.is_stream = is_stream;
			assert_int_equal(scene_build(&s), LZ_OK);
			(void)snprintf(url, sizeof(url), "%s:%s", models[i][1],
			    is_stream ? "streamGenerateContent?alt=sse"
				      : "generateContent");
			assert_true(str_is(s.http.url, url));
			assert_int_equal(s.http.header_count, 2);
			assert_true(lz_eq(s.http.headers[1].name, "x-goog-api-key"));
			assert_true(lz_eq(s.http.headers[1].value, "sk-test"));
			scene_close(&s);
		}
}

/* The caller's own limit, or what a budget leaves; none when nobody has one. */
static void
the_limit_that_has_to_be_sent_is_sent(void **state)
{
	static const struct {
		int64_t asked, bound;
		bool lowers;
		int64_t wanted;
	} limits[] = { { -1, 4096, false, -1 }, { 70, 4096, false, 70 },
		{ 70, 50, true, 50 }, { -1, 50, true, 50 } };

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct scene s;
		json_t *got;

		open_scene(&s, "gemini-2.5-flash", json_object());
		s.r.max_tokens = limits[i].asked;
		s.r.attempt[0]->output_bound = limits[i].bound;
		s.r.attempt[0]->lowers_output = limits[i].lowers;
		assert_int_equal(scene_build(&s), LZ_OK);
		got = sent(&s);
		if (limits[i].wanted < 0)
			assert_null(json_object_get(got, "generationConfig"));
		else
			assert_int_equal(json_integer_value(json_object_get(
					     json_object_get(got, "generationConfig"),
					     "maxOutputTokens")),
			    limits[i].wanted);
		json_decref(got);
		scene_close(&s);
	}
}

static void
options_open_files_and_set_filters(void **state)
{
	static const char body[] = USER("{\"type\":\"image_url\",\"image_url\":{\"url\":"
					"\"gs://a/b.png\"}}");
	struct scene s;
	json_t *got;

	(void)state;
	open_scene(&s, "gemini-2.5-flash",
	    json_pack("{s:b,s:s}", "account_files", 1, "safety", "high"));
	scene_body(&s, body, strlen(body));
	assert_int_equal(scene_build(&s), LZ_OK);
	got = sent(&s);
	same(json_object_get(
		 json_array_get(json_object_get(got, "safetySettings"), 3), "threshold"),
	    "\"BLOCK_ONLY_HIGH\"", "safety");
	same(json_object_get(got, "contents"),
	    "[{\"role\":\"user\",\"parts\":[{\"fileData\":{\"fileUri\":\"gs://a/b.png\","
	    "\"mimeType\":\"image/png\"}}]}]",
	    "gs");
	json_decref(got);
	scene_close(&s);
}

/* As many calls as a large body holds: a look for each result at each call would take
 * seconds. Counted by what comes out, and by the suite's patience. */
static void
many_results_find_their_calls(void **state)
{
	enum {
		CALLS = 3000
	};
	json_t *calls = json_array(), *messages = json_array(), *got, *body;
	const json_t *results;
	char id[32], name[32], *text;
	struct scene s;

	(void)state;
	for (int i = 0; i < CALLS; i++) {
		(void)snprintf(id, sizeof(id), "c%d", i);
		(void)snprintf(name, sizeof(name), "f%d", i);
		json_array_append_new(
		    calls, json_pack("{s:s,s:s,s:{s:s,s:s}}", "id", id, "type",
			       "function", "function", "name", name, "arguments", "{}"));
	}
	json_array_append_new(
	    messages, json_pack("{s:s,s:o}", "role", "assistant", "tool_calls", calls));
	for (int i = CALLS - 1; i >= 0; i--) {
		(void)snprintf(id, sizeof(id), "c%d", i);
		json_array_append_new(messages, json_pack("{s:s,s:s,s:s}", "role", "tool",
						    "tool_call_id", id, "content", "r"));
	}
	body = json_pack("{s:o}", "messages", messages);
	text = json_dumps(body, 0);
	open_scene(&s, "gemini-2.5-flash", json_object());
	scene_body(&s, text, strlen(text));
	assert_int_equal(scene_build_and_wait(&s), LZ_OK);
	got = sent(&s);
	results =
	    json_object_get(json_array_get(json_object_get(got, "contents"), 1), "parts");
	assert_int_equal(json_array_size(results), CALLS);
	for (int i = 0; i < CALLS; i++) {
		const json_t *result = json_object_get(
		    json_array_get(results, (size_t)i), "functionResponse");

		(void)snprintf(name, sizeof(name), "f%d", CALLS - 1 - i);
		assert_string_equal(
		    json_string_value(json_object_get(result, "name")), name);
	}
	json_decref(got);
	json_decref(body);
	mem_free(text);
	scene_close(&s);
}

/* ---- whole answers ---- */

static int32_t
reply(struct scene *s, const char *body)
{
	lz_reply r = { .size = sizeof(r), .status = 200, .body = lz_strz(body) };

	return visit_reply(s->visit, &r);
}

#define ONE(parts, finish)                                                               \
	"{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[" parts "]},"      \
	"\"finishReason\":\"" finish "\"}]}"

static const struct {
	const char *body, *wanted;
} answers[] = {
	{ ONE("{\"text\":\"a\"},{\"text\":\"\"},{\"text\":\"b\"}", "STOP"),
	    "[{\"index\":0,\"message\":{\"content\":\"ab\"},\"finish_reason\":\"stop\"}"
	    "]" },
	{ ONE("{\"text\":\"t\",\"thought\":true},{\"text\":\"a\",\"thoughtSignature\":"
	      "\"s\"}",
	      "MAX_TOKENS"),
	    "[{\"index\":0,\"message\":{\"content\":\"a\",\"reasoning_content\":\"t\","
	    "\"extra_content\":{\"google\":{\"thought_signature\":\"s\"}}},"
	    "\"finish_reason\":\"length\"}]" },
	{ ONE("{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":null},\"id\":\"i1\"},"
	      "\"thoughtSignature\":\"s\"},{\"functionCall\":{\"name\":\"g\",\"id\":"
	      "\"i2\"}}",
	      "STOP"),
	    "[{\"index\":0,\"message\":{\"tool_calls\":[{\"id\":\"i1\",\"type\":"
	    "\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
	    "\"{\\\"a\\\":null}\"},\"extra_content\":{\"google\":{\"thought_signature\":"
	    "\"s\"}}},{\"id\":\"i2\",\"type\":\"function\",\"function\":{\"name\":\"g\","
	    "\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]" },
	{ "{\"candidates\":[{\"content\":{},\"finishReason\":\"SAFETY\"}]}",
	    "[{\"index\":0,\"message\":{\"content\":\"\"},\"finish_reason\":"
	    "\"content_filter\"}]" },
	{ "{\"candidates\":[{\"finishReason\":\"MAX_TOKENS\",\"index\":0}]}",
	    "[{\"index\":0,\"message\":{\"content\":\"\"},\"finish_reason\":\"length\"}"
	    "]" },
	{ "{\"promptFeedback\":{\"blockReason\":\"OTHER\"}}",
	    "[{\"index\":0,\"message\":{\"content\":\"\"},\"finish_reason\":"
	    "\"content_filter\"}]" },
	{ ONE("{\"text\":\"a\"}", "SOMETHING_NEW"),
	    "[{\"index\":0,\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}"
	    "]" },
	{ ONE("{\"text\":\"a\"}", "MALFORMED_FUNCTION_CALL"),
	    "[{\"index\":0,\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}"
	    "]" },
	{ ONE("{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AA\"}}", "STOP"),
	    "[{\"index\":0,\"message\":{\"content\":\"\",\"images\":[{\"type\":"
	    "\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AA\"}}]},"
	    "\"finish_reason\":\"stop\"}]" },
	{ "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"index\":1,"
	  "\"finishReason\":\"STOP\"},{\"content\":{\"parts\":[{\"text\":\"b\"}]},"
	  "\"index\":0,\"finishReason\":\"STOP\",\"logprobsResult\":{"
	  "\"chosenCandidates\":[{\"token\":\"b\",\"logProbability\":-0.5}],"
	  "\"topCandidates\":[{\"candidates\":[{\"token\":\"b\",\"logProbability\":"
	  "-0.5}]}]}}]}",
	    "[{\"index\":1,\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"},{"
	    "\"index\":0,\"message\":{\"content\":\"b\"},\"logprobs\":{\"content\":[{"
	    "\"token\":\"b\",\"logprob\":-0.5,\"bytes\":null,\"top_logprobs\":[{"
	    "\"token\":\"b\",\"logprob\":-0.5,\"bytes\":null}]}],\"refusal\":null},"
	    "\"finish_reason\":\"stop\"}]" },
};

static void
answers_are_openais(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct scene s;

		assert_int_equal(ask(&s, "gemini-2.5-flash", "{" HI "}"), LZ_OK);
		if (reply(&s, answers[i].body) != LZ_OK)
			fail_msg("%s", answers[i].body);
		same(json_object_get(scene_emitted(&s, 0), "choices"), answers[i].wanted,
		    answers[i].body);
		scene_close(&s);
	}
}

static void
ids_of_calls_are_made_when_there_is_none(void **state)
{
	static const char body[] =
	    ONE("{\"functionCall\":{\"name\":\"f\"}},{\"functionCall\":{\"name\":\"f\"}}",
		"STOP");
	const json_t *calls;
	const char *a, *b;
	struct scene s;

	(void)state;
	assert_int_equal(ask(&s, "gemini-2.5-flash", "{" HI "}"), LZ_OK);
	assert_int_equal(reply(&s, body), LZ_OK);
	calls = json_object_get(
	    json_object_get(
		json_array_get(json_object_get(scene_emitted(&s, 0), "choices"), 0),
		"message"),
	    "tool_calls");
	a = json_string_value(json_object_get(json_array_get(calls, 0), "id"));
	b = json_string_value(json_object_get(json_array_get(calls, 1), "id"));
	assert_int_equal(strncmp(a, "call_", 5), 0);
	assert_int_equal(strlen(a), 29);
	assert_string_not_equal(a, b);
	scene_close(&s);
}

static void
what_is_no_answer_fails(void **state)
{
	static const struct {
		const char *body;
		int32_t upstream; /* 0: no word of its own */
	} bad[] = {
		{ "no JSON", 0 },
		{ "[]", 0 },
		{ "{\"this\":[]}", 0 },
		{ "{\"candidates\":[{\"index\":8}]}", 0 },
		{ "{\"candidates\":[{\"index\":-1}]}", 0 },
		{ ONE("{\"functionCall\":{\"args\":{}}}", "STOP"), 0 },
		{ ONE("{\"functionCall\":{\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":"
		      "\"$.a\",\"stringValue\":\"x\"}]}}",
		      "STOP"),
		    0 },
		{ ONE("{\"functionCall\":{\"name\":\"f\",\"willContinue\":true}}",
		      "STOP"),
		    0 },
		{ "{\"candidates\":[{\"finishReason\":\"MALFORMED_FUNCTION_CALL\"}]}",
		    LZ_UPSTREAM_UNABLE },
		{ "{\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\"}}",
		    LZ_UPSTREAM_DOWN },
		{ "[{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\"}}]",
		    LZ_UPSTREAM_RATE },
		{ "{\"error\":{\"code\":403,\"status\":\"A_NEW_ONE\"}}",
		    LZ_UPSTREAM_AUTH },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct scene s;
		const lz_fault *f;

		assert_int_equal(ask(&s, "gemini-2.5-flash", "{" HI "}"), LZ_OK);
		assert_true(reply(&s, bad[i].body) < 0);
		f = visit_fault(s.visit);
		if ((f != NULL ? f->upstream : 0) != bad[i].upstream)
			fail_msg("%s", bad[i].body);
		assert_int_equal(json_array_size(s.emitted), 0);
		scene_close(&s);
	}
}

#define USED(counts)                                                                     \
	"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},"                  \
	"\"finishReason\":\"STOP\"}],\"usageMetadata\":{" counts "}}"

static void
usage_falls_into_disjoint_parts(void **state)
{
	static const struct {
		const char *body;
		lz_usage wanted; /* size 0: none is told */
	} used[] = {
		{ USED("\"promptTokenCount\":10,\"candidatesTokenCount\":5,"
		       "\"totalTokenCount\":15"),
		    { 1, 0, 10, 0, 0, 5, 0, 0 } },
		{ USED("\"promptTokenCount\":10,\"cachedContentTokenCount\":4,"
		       "\"toolUsePromptTokenCount\":3,\"candidatesTokenCount\":5,"
		       "\"thoughtsTokenCount\":7,\"totalTokenCount\":25"),
		    { 1, 0, 9, 4, 0, 12, 7, 0 } },
		{ USED("\"promptTokenCount\":10,\"totalTokenCount\":15"),
		    { 1, 0, 10, 0, 0, 5, 0, 0 } },
		{ USED("\"promptTokenCount\":10"), { 0 } },
		{ USED("\"trafficType\":\"x\""), { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++) {
		const lz_usage *w = &used[i].wanted;
		struct scene s;

		assert_int_equal(ask(&s, "gemini-2.5-flash", "{" HI "}"), LZ_OK);
		assert_int_equal(reply(&s, used[i].body), LZ_OK);
		assert_int_equal(s.usage.size > 0, w->size > 0);
		assert_int_equal(s.usage.input, w->input);
		assert_int_equal(s.usage.cache_read, w->cache_read);
		assert_int_equal(s.usage.output, w->output);
		assert_int_equal(s.usage.reasoning, w->reasoning);
		scene_close(&s);
	}
}

/* ---- streams ---- */

static void
open_stream(struct scene *s)
{
	open_scene(s, "gemini-2.5-flash", json_object());
	s->r.is_stream = true;
	assert_int_equal(scene_build(s), LZ_OK);
}

static int32_t
event(struct scene *s, const char *data)
{
	return visit_event(s->visit, STR_LIT("message"), lz_strz(data));
}

#define PIECE(parts, more)                                                               \
	"{\"candidates\":[{\"content\":{\"parts\":[" parts "]}" more "}]}"

static void
a_stream_comes_piece_by_piece_and_its_finish_at_the_end(void **state)
{
	static const char *const wanted[] = {
		"[{\"index\":0,\"delta\":{\"reasoning_content\":\"t\"}}]",
		"[{\"index\":0,\"delta\":{\"content\":\"a\"}}]",
		"[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\","
		"\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}"
		"}]}}]",
		"[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"y\","
		"\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}"
		"}]}}]",
		"[{\"index\":0,\"delta\":{\"extra_content\":{\"google\":{"
		"\"thought_signature\":\"s\"}}}}]",
		"[{\"index\":0,\"finish_reason\":\"tool_calls\"}]",
	};
	struct scene s;

	(void)state;
	open_stream(&s);
	assert_int_equal(
	    event(&s, PIECE("{\"text\":\"t\",\"thought\":true}", "")), LZ_OK);
	/* Older servers say it with every piece. */
	assert_int_equal(
	    event(&s, PIECE("{\"text\":\"a\"}", ",\"finishReason\":\"STOP\"")), LZ_OK);
	assert_int_equal(
	    event(&s, PIECE("{\"functionCall\":{\"name\":\"f\",\"id\":\"x\"}}", "")),
	    LZ_OK);
	assert_int_equal(
	    event(&s, PIECE("{\"functionCall\":{\"name\":\"g\",\"id\":\"y\"}}", "")),
	    LZ_OK);
	assert_int_equal(event(&s, PIECE("{\"text\":\"\",\"thoughtSignature\":\"s\"}",
				       ",\"finishReason\":\"STOP\"")),
	    LZ_OK);
	assert_int_equal(
	    event(&s, PIECE("{\"text\":\"\"}", ",\"finishReason\":\"STOP\"")), LZ_OK);
	assert_int_equal(json_array_size(s.emitted), 5);
	assert_int_equal(visit_end(s.visit, 1), LZ_OK);
	assert_int_equal(json_array_size(s.emitted), 6);
	for (size_t i = 0; i < 6; i++)
		same(
		    json_object_get(scene_emitted(&s, i), "choices"), wanted[i], "chunk");
	scene_close(&s);
}

static void
a_stream_without_a_finish_was_cut(void **state)
{
	static const struct {
		const char *data;
		int32_t clean, wanted;
	} cuts[] = {
		{ NULL, 1, -1 },
		{ PIECE("{\"text\":\"a\"}", ""), 1, -1 },
		{ PIECE("{\"text\":\"a\"}", ",\"finishReason\":\"STOP\""), 0, -1 },
		{ PIECE("{\"text\":\"a\"}", ",\"finishReason\":\"STOP\""), 1, 0 },
		{ "{\"candidates\":[{\"index\":0,\"finishReason\":\"STOP\"},{\"index\":1}"
		  "]}",
		    1, -1 },
		{ "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}", 1, 0 },
		{ "{\"candidates\":[{\"finishReason\":\"MALFORMED_FUNCTION_CALL\"}]}", 1,
		    -1 },
		{ "{\"usageMetadata\":{}}", 1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct scene s;
		int32_t result;

		open_stream(&s);
		if (cuts[i].data != NULL)
			assert_int_equal(event(&s, cuts[i].data), LZ_OK);
		result = visit_end(s.visit, cuts[i].clean);
		if ((result < 0) != (cuts[i].wanted < 0))
			fail_msg("row %zu: %d", i, (int)result);
		scene_close(&s);
	}
}

static void
an_error_in_mid_stream_ends_it(void **state)
{
	struct scene s;

	(void)state;
	open_stream(&s);
	assert_int_equal(event(&s, PIECE("{\"text\":\"a\"}", "")), LZ_OK);
	assert_true(
	    event(&s, "{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\","
		      "\"message\":\"slow down\"}}") < 0);
	assert_int_equal(visit_fault(s.visit)->upstream, LZ_UPSTREAM_RATE);
	assert_true(str_is(visit_fault(s.visit)->message, "slow down"));
	scene_close(&s);
	open_stream(&s);
	assert_true(event(&s, "half a docu") < 0);
	scene_close(&s);
}

/* The first pieces count the prompt alone; told like that, a cut answer would be free. */
static void
usage_in_a_stream_is_told_when_it_counts_the_answer(void **state)
{
	struct scene s;

	(void)state;
	open_stream(&s);
	assert_int_equal(event(&s, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":"
				   "\"a\"}]}}],\"usageMetadata\":{\"promptTokenCount\":9,"
				   "\"totalTokenCount\":9}}"),
	    LZ_OK);
	assert_int_equal(s.usage.size, 0);
	assert_int_equal(
	    event(&s, "{\"usageMetadata\":{\"promptTokenCount\":9,"
		      "\"candidatesTokenCount\":3,\"thoughtsTokenCount\":2}}"),
	    LZ_OK);
	assert_int_equal(s.usage.output, 5);
	assert_int_equal(event(&s, "{\"usageMetadata\":{\"promptTokenCount\":11,"
				   "\"candidatesTokenCount\":4}}"),
	    LZ_OK);
	assert_int_equal(s.usage.input, 11);
	assert_int_equal(s.usage.output, 6);
	assert_int_equal(s.usage.reasoning, 2);
	scene_close(&s);
}

/* ---- refusals ---- */

static void
errors_are_blamed_on_who_made_them(void **state)
{
	static const struct {
		int32_t status;
		const char *body;
		int32_t upstream;
		unsigned retry_after_ms;
		const char *code;
	} faults[] = {
		{ 400, "{\"error\":{\"code\":400,\"status\":\"INVALID_ARGUMENT\"}}",
		    LZ_UPSTREAM_CALLER, 0, "" },
		{ 400,
		    "{\"error\":{\"code\":400,\"status\":\"INVALID_ARGUMENT\","
		    "\"details\":"
		    "[{\"reason\":\"API_KEY_INVALID\"}]}}",
		    LZ_UPSTREAM_AUTH, 0, "" },
		{ 400,
		    "{\"error\":{\"status\":\"INVALID_ARGUMENT\",\"message\":\"The input "
		    "token count (2) exceeds the maximum number of tokens allowed "
		    "(1).\"}}",
		    LZ_UPSTREAM_CONTEXT, 0, "context_length_exceeded" },
		{ 400, "[{\"error\":{\"status\":\"FAILED_PRECONDITION\"}}]",
		    LZ_UPSTREAM_UNABLE, 0, "" },
		{ 404, "{\"error\":{\"status\":\"NOT_FOUND\"}}", LZ_UPSTREAM_UNABLE, 0,
		    "model_not_found" },
		{ 429,
		    "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{"
		    "\"violations\":[{\"quotaId\":\"RequestsPerMinute\"}]},{"
		    "\"retryDelay\":\"34.4s\"}]}}",
		    LZ_UPSTREAM_RATE, 34400, "" },
		{ 429,
		    "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{"
		    "\"retryDelay\":\"99999999999999999999s\"},{\"violations\":[{"
		    "\"quotaId\":\"RequestsPerDay-FreeTier\"}]}]}}",
		    LZ_UPSTREAM_QUOTA, 300000, "" },
		{ 429,
		    "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{"
		    "\"retryDelay\":\"soon\"}]}}",
		    LZ_UPSTREAM_RATE, 0, "" },
		{ 503, "{\"error\":{\"status\":\"UNAVAILABLE\"}}", LZ_UPSTREAM_DOWN, 0,
		    "" },
		/* The host's own judgement stands. */
		{ 503, "<html>", LZ_UPSTREAM_DOWN, 0, "" },
		{ 418, "{\"error\":\"teapot\"}", LZ_UPSTREAM_CALLER, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		lz_reply r = { .size = sizeof(r), .status = faults[i].status };
		lz_fault f = { .size = sizeof(f), .upstream = LZ_UPSTREAM_CALLER };
		struct scene s;

		r.body = lz_strz(faults[i].body);
		if (faults[i].status >= 500)
			f.upstream = LZ_UPSTREAM_DOWN;
		assert_int_equal(ask(&s, "gemini-2.5-flash", "{" HI "}"), LZ_OK);
		assert_int_equal(visit_classify(s.visit, &r, &f), LZ_OK);
		if (f.upstream != faults[i].upstream ||
		    f.retry_after_ms != faults[i].retry_after_ms ||
		    !str_is(f.code, faults[i].code))
			fail_msg("%s: %d, %u ms", faults[i].body, (int)f.upstream,
			    f.retry_after_ms);
		scene_close(&s);
	}
}

/* ---- vectors ---- */

static int32_t
embed(struct scene *s, const char *body, json_t *options)
{
	open_scene(s, "gemini-embedding-001", options);
	s->r.kind = REQUEST_EMBEDDINGS;
	s->r.prompt_tokens = 6;
	scene_body(s, body, strlen(body));
	return scene_build(s);
}

static void
one_text_and_several_are_embedded(void **state)
{
	struct scene s;
	json_t *got;

	(void)state;
	assert_int_equal(embed(&s,
			     "{\"model\":\"x\",\"input\":\"a\",\"dimensions\":2,"
			     "\"encoding_format\":\"base64\",\"user\":\"u\",\"odd\":1}",
			     json_pack("{s:s}", "embedding_task", "clustering")),
	    LZ_OK);
	got = sent(&s);
	same(got,
	    "{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"taskType\":\"CLUSTERING\","
	    "\"outputDimensionality\":2}",
	    "one");
	assert_true(
	    str_is(s.http.url, "http://base/models/gemini-embedding-001:embedContent"));
	assert_true(str_is(s.r.attempt[0]->dropped, "odd"));
	assert_int_equal(reply(&s, "{\"embedding\":{\"values\":[0.5,1]}}"), LZ_OK);
	same(scene_emitted(&s, 0),
	    "{\"data\":[{\"embedding\":[0.5,1]}],\"usage\":{\"prompt_tokens\":6,"
	    "\"total_tokens\":6}}",
	    "one's answer");
	assert_int_equal(s.usage.size, 0);
	json_decref(got);
	scene_close(&s);

	assert_int_equal(
	    embed(&s, "{\"input\":[\"a\",\"b\"],\"task_type\":\"retrieval_query\"}",
		json_object()),
	    LZ_OK);
	got = sent(&s);
	same(got,
	    "{\"requests\":[{\"model\":\"models/gemini-embedding-001\",\"content\":{"
	    "\"parts\":[{\"text\":\"a\"}]},\"taskType\":\"RETRIEVAL_QUERY\"},{\"model\":"
	    "\"models/gemini-embedding-001\",\"content\":{\"parts\":[{\"text\":\"b\"}]},"
	    "\"taskType\":\"RETRIEVAL_QUERY\"}]}",
	    "two");
	assert_true(str_is(
	    s.http.url, "http://base/models/gemini-embedding-001:batchEmbedContents"));
	assert_int_equal(reply(&s, "{\"embeddings\":[{\"values\":[1]},{\"values\":[2]}],"
				   "\"usageMetadata\":{\"promptTokenCount\":3}}"),
	    LZ_OK);
	same(scene_emitted(&s, 0), "{\"data\":[{\"embedding\":[1]},{\"embedding\":[2]}]}",
	    "two's answer");
	assert_int_equal(s.usage.input, 3);
	json_decref(got);
	scene_close(&s);
}

static void
tokens_and_unknown_tasks_are_not_embedded(void **state)
{
	static const struct {
		const char *body, *param;
		int32_t upstream;
	} refused[] = {
		{ "{\"input\":[1,2]}", "input", LZ_UPSTREAM_UNABLE },
		{ "{\"input\":[[1],[2]]}", "input", LZ_UPSTREAM_UNABLE },
		{ "{\"input\":\"a\",\"task_type\":\"GUESS\"}", "task_type",
		    LZ_UPSTREAM_CALLER },
		{ "{\"input\":\"a\",\"task_type\":7}", "task_type", LZ_UPSTREAM_CALLER },
	};
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_true(embed(&s, refused[i].body, json_object()) < 0);
		assert_true(str_is(visit_fault(s.visit)->param, refused[i].param));
		assert_int_equal(visit_fault(s.visit)->upstream, refused[i].upstream);
		scene_close(&s);
	}
	assert_int_equal(embed(&s, "{\"input\":\"a\"}", json_object()), LZ_OK);
	assert_true(reply(&s, "{\"embeddings\":[{\"values\":7}]}") < 0);
	scene_close(&s);
}

static int
start(void **state)
{
	(void)state;
	return scene_start() != 0 ? -1
				  : scene_open_plugin("plugins/google/*.c", "google.so",
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
		cmocka_unit_test(requests_are_said_in_googles_words),
		cmocka_unit_test(what_gemini_cannot_do_is_refused_by_name),
		cmocka_unit_test(the_address_holds_the_model_and_the_key_is_a_header),
		cmocka_unit_test(the_limit_that_has_to_be_sent_is_sent),
		cmocka_unit_test(options_open_files_and_set_filters),
		cmocka_unit_test(many_results_find_their_calls),
		cmocka_unit_test(answers_are_openais),
		cmocka_unit_test(ids_of_calls_are_made_when_there_is_none),
		cmocka_unit_test(what_is_no_answer_fails),
		cmocka_unit_test(usage_falls_into_disjoint_parts),
		cmocka_unit_test(a_stream_comes_piece_by_piece_and_its_finish_at_the_end),
		cmocka_unit_test(a_stream_without_a_finish_was_cut),
		cmocka_unit_test(an_error_in_mid_stream_ends_it),
		cmocka_unit_test(usage_in_a_stream_is_told_when_it_counts_the_answer),
		cmocka_unit_test(errors_are_blamed_on_who_made_them),
		cmocka_unit_test(one_text_and_several_are_embedded),
		cmocka_unit_test(tokens_and_unknown_tasks_are_not_embedded),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
