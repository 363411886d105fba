/* test_dialect.c - what is spliced into a request, and what is read in an answer.
 *
 * Requests are scanned as the gateway scans them; what would be sent is put together and
 * read again by jansson, which knows nothing of ranges.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include "call/attempt.h"
#include "plugin/host.h"

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"h\\u0069 \\\"{[\"}]"

static struct loop *loop;
static struct worker worker;
static struct config config = { .timeout_ms = 60000 };
static struct provider provider;
static struct model_facts facts;
static struct target target;
static struct visit visit;

struct fixture {
	struct request r;
	struct call c;
};

static struct fixture *
make(void)
{
	struct arena *arena = arena_new(REQUEST_ARENA_BYTES);
	struct fixture *f = arena_alloc(arena, sizeof *f);

	provider.base_url = STR_LIT("http://base/v1");
	target = (struct target){ .provider = &provider,
		.model = &facts,
		.upstream_model = STR_LIT("up\"stream") };
	f->r.arena = arena;
	f->r.config = &config;
	f->r.worker = &worker;
	f->r.log_content = LOG_CONTENT_FULL;
	f->r.choices = 1;
	assert_true(request_may_add_attempt(&f->r));
	request_add_attempt(&f->r);
	f->r.attempt[0]->target = &target;
	f->c.r = &f->r;
	f->c.a = f->r.attempt[0];
	f->c.visit = &visit;
	buf_init(&f->c.body, 1 << 20);
	buf_init(&f->r.answer_text, 1 << 20);
	buf_init(&f->r.answer_tools, 1 << 20);
	visit.limit_name = STR_NONE;
	return f;
}

static void
drop(struct fixture *f)
{
	buf_free(&f->r.body);
	buf_free(&f->c.body);
	buf_free(&f->r.answer_text);
	buf_free(&f->r.answer_tools);
	arena_free(f->r.arena);
}

/* ---- requests ---- */

/* The body that would be sent. owned: json_decref() */
static json_t *
sent(struct fixture *f)
{
	lz_http built = lz_http_to("POST", provider.base_url);
	struct upstream_request q = { .part_count = 0 };
	struct buf whole;
	json_error_t why;
	json_t *j;

	assert_int_equal(
	    dialect_complete(&f->c, &built, provider.base_url.ptr, &q), ST_OK);
	assert_true(q.part_count <= UPSTREAM_PARTS);
	assert_true(str_is(q.url, "http://base/v1/chat/completions"));
	buf_init(&whole, 1 << 20);
	for (size_t i = 0; i < q.part_count; i++)
		buf_add_str(&whole, q.part[i]);
	j = json_loadb(whole.ptr, whole.len, JSON_REJECT_DUPLICATES, &why);
	if (j == NULL)
		fail_msg("%s in %.*s", why.text, (int)whole.len, whole.ptr);
	buf_free(&whole);
	return j;
}

/* One way to write a request, and one thing that the gateway wants of it. */
struct writing {
	const char *model, *older, *newer, *stream, *renamed;
	bool lowers;
};

static void
write_body(struct fixture *f, const struct writing *w)
{
	buf_init(&f->r.body, 4096);
	buf_addf(&f->r.body,
	    " {%s \"model\" : %s%s,\"keep\":[1,{\"max_tokens\":7}]%s," MESSAGES "}\n",
	    w->older, w->model, w->newer, w->stream);
	assert_int_equal(request_read(&f->r), STEP_NEXT);
}

static int64_t
number_at(const json_t *j, const char *name)
{
	const json_t *v = json_object_get(j, name);

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

static void
check_limit(const struct writing *w, const json_t *j, int64_t asked, int64_t bound)
{
	int64_t newer = number_at(j, "max_completion_tokens"),
		older = number_at(j, "max_tokens"),
		other = number_at(j, "max_output_tokens");
	int64_t wanted = w->lowers ? bound : asked, found = -1;
	unsigned carriers = 0;

	carriers += newer >= 0;
	carriers += older >= 0;
	carriers += other >= 0;
	found = newer >= 0 ? newer : older >= 0 ? older : other;
	assert_int_equal(carriers, wanted >= 0);
	assert_int_equal(found, wanted);
	if (wanted >= 0 && w->renamed != NULL)
		assert_int_equal(number_at(j, w->renamed), wanted);
}

static void
check(const struct writing *w)
{
	struct fixture *f = make();
	json_t *j, *content;
	int64_t bound = 30;

	write_body(f, w);
	f->c.a->lowers_output = w->lowers;
	f->c.a->output_bound = bound;
	visit.limit_name = w->renamed != NULL ? lz_strz(w->renamed) : STR_NONE;
	j = sent(f);
	assert_string_equal(json_string_value(json_object_get(j, "model")), "up\"stream");
	check_limit(w, j, f->r.max_tokens, bound);
	assert_int_equal(json_is_true(json_object_get(
			     json_object_get(j, "stream_options"), "include_usage")),
	    f->r.is_stream);
	if (strstr(w->stream, "\"x\"") != NULL)
		assert_int_equal(number_at(json_object_get(j, "stream_options"), "x"), 5);
	content =
	    json_object_get(json_array_get(json_object_get(j, "messages"), 0), "content");
	assert_string_equal(json_string_value(content), "hi \"{[");
	assert_int_equal(json_array_size(json_object_get(j, "keep")), 2);
	json_decref(j);
	drop(f);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
whatever_is_spliced_the_body_says_each_thing_once(void **state)
{
	static const char *const models[] = { "\"m\"", "\"a\\u0062\\\"c\"" };
	static const char *const older[] = { "", "\"max_tokens\":null,",
		"\"max_tokens\" : 100 ," };
	static const char *const newer[] = { "", ",\"max_completion_tokens\":null",
		",\"max_completion_tokens\":50" };
	static const char *const streams[] = { "", ",\"stream\":false",
		",\"stream\":true", ",\"stream\":true,\"stream_options\":null",
		",\"stream\":true,\"stream_options\":{ }",
		",\"stream\":true,\"stream_options\":{\"x\":5}",
		",\"stream\":true,\"stream_options\":{\"x\":5,\"include_usage\":false}",
		",\"stream\":true,\"stream_options\":{\"include_usage\":null,\"x\":5}",
		",\"stream_options\":{\"include_usage\":true,\"x\":5},\"stream\":true" };
	static const char *const names[] = { NULL, "max_tokens", "max_completion_tokens",
		"max_output_tokens" };
	unsigned count = 0;

	(void)state;
	for (size_t m = 0; m < COUNT(models); m++)
		for (size_t o = 0; o < COUNT(older); o++)
			for (size_t n = 0; n < COUNT(newer); n++)
				for (size_t s = 0; s < COUNT(streams); s++)
					for (size_t k = 0; k < 2 * COUNT(names); k++) {
						struct writing w = { models[m], older[o],
							newer[n], streams[s],
							names[k / 2], k % 2 == 1 };

						check(&w);
						count++;
					}
	assert_int_equal(count, 2 * 3 * 3 * 9 * 8);
}

static void
a_body_that_needs_nothing_goes_as_it_came(void **state)
{
	static const char body[] = "{\"model\":\"m\"," MESSAGES ",\"max_tokens\":5}";
	lz_http built = lz_http_to("POST", STR_LIT("http://base/v1"));
	struct upstream_request q = { .part_count = 0 };
	struct fixture *f = make();

	(void)state;
	target.upstream_model = STR_LIT("m");
	buf_init(&f->r.body, 4096);
	buf_add_z(&f->r.body, body);
	assert_int_equal(request_read(&f->r), STEP_NEXT);
	assert_int_equal(dialect_complete(&f->c, &built, NULL, &q), ST_OK);
	assert_int_equal(q.part_count, 1);
	assert_ptr_equal(q.part[0].ptr, f->r.body.ptr);
	assert_int_equal(q.part[0].len, sizeof body - 1);
	drop(f);
}

/* What is left of the messages when a provider takes no extra_content. */
static void
expect_messages(const char *given, const char *left)
{
	struct fixture *f = make();
	json_t *j, *expected = json_loads(left, JSON_DECODE_ANY, NULL);

	visit.left_out[0] = STR_LIT("extra_content");
	visit.left_out[1] = STR_LIT("reasoning_content");
	visit.left_out_count = 2;
	buf_init(&f->r.body, 4096);
	buf_addf(
	    &f->r.body, "{\"model\":\"m\",\"messages\" : %s,\"extra_content\":1}", given);
	assert_int_equal(request_read(&f->r), STEP_NEXT);
	j = sent(f);
	assert_true(json_equal(json_object_get(j, "messages"), expected));
	assert_int_equal(number_at(j, "extra_content"), 1);
	json_decref(expected);
	json_decref(j);
	visit.left_out_count = 0;
	drop(f);
}

static void
what_a_provider_does_not_take_of_messages_is_left_out_there_and_nowhere_else(void **state)
{
	(void)state;
	expect_messages(
	    "[{\"extra_content\":{\"a\":[1]},\"role\":\"assistant\",\"content\":null,"
	    "\"reasoning_content\":\"x\",\"tool_calls\":[{\"id\":\"1\",\"extra_content\":"
	    "2,"
	    "\"function\":{\"arguments\":\"{\\\"extra_content\\\":1}\"}} , "
	    "{\"id\":\"2\"}]}]",
	    "[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\","
	    "\"function\":"
	    "{\"arguments\":\"{\\\"extra_content\\\":1}\"}},{\"id\":\"2\"}]}]");
	expect_messages("[ {\"role\":\"user\" , "
			"\"content\":[{\"type\":\"text\",\"text\":\"extra_content\"}]},"
			"{\"role\":\"user\",\"content\":\"x\",\"extra_content\":null}]",
	    "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"extra_"
	    "content\"}]},"
	    "{\"role\":\"user\",\"content\":\"x\"}]");
}

static void
embeddings_go_to_their_own_path_with_their_model_and_nothing_else(void **state)
{
	static const char body[] = "{\"model\":\"m\",\"input\":[\"a\"]}";
	lz_http built = lz_http_to("POST", STR_LIT("http://base/v1"));
	struct upstream_request q = { .part_count = 0 };
	struct fixture *f = make();

	(void)state;
	f->r.kind = REQUEST_EMBEDDINGS;
	f->r.output_limit = 5;
	f->c.a->lowers_output = true;
	buf_init(&f->r.body, 4096);
	buf_add_z(&f->r.body, body);
	assert_int_equal(request_read_embeddings(&f->r), STEP_NEXT);
	assert_int_equal(dialect_complete(&f->c, &built, built.url.ptr, &q), ST_OK);
	assert_true(str_is(q.url, "http://base/v1/embeddings"));
	assert_int_equal(q.part_count, 3);
	assert_true(str_is(q.part[1], "\"up\\\"stream\""));
	assert_true(str_is(q.part[2], ",\"input\":[\"a\"]}"));
	drop(f);
}

static void
the_credential_is_sent_unless_the_plugin_made_its_own_headers(void **state)
{
	static const lz_header own[] = { { { "x-own", 5 }, { "1", 1 } } };
	lz_http built = lz_http_to("POST", STR_LIT("http://base/v1"));
	struct upstream_request q = { .part_count = 0 };
	struct fixture *f = make();

	(void)state;
	f->c.a->credential = STR_LIT("sk-1");
	built.body = STR_LIT("{}");
	assert_int_equal(dialect_complete(&f->c, &built, NULL, &q), ST_OK);
	assert_int_equal(q.header_count, 2);
	assert_true(str_is(q.headers[1].value, "Bearer sk-1"));
	assert_true(q.part_count == 1 && str_is(q.part[0], "{}"));
	built.headers = own;
	built.header_count = 1;
	q.part_count = 0;
	assert_int_equal(dialect_complete(&f->c, &built, NULL, &q), ST_OK);
	assert_int_equal(q.header_count, 1);
	drop(f);
}

/* ---- usage ---- */

static void
usage_falls_into_disjoint_buckets(void **state)
{
	static const struct {
		const char *text;
		bool is_usage;
		struct record_usage u;
	} cases[] = {
		{ "{}", false, { 0, 0, 0, 0, 0 } },
		{ "{\"total_tokens\":3}", false, { 0, 0, 0, 0, 0 } },
		{ "{\"prompt_tokens\":null}", false, { 0, 0, 0, 0, 0 } },
		{ "{\"prompt_tokens\":7,\"completion_tokens\":5}", true,
		    { 7, 0, 0, 5, 0 } },
		{ "{\"prompt_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":4,"
		  "\"cache_write_tokens\":2},\"completion_tokens\":5,"
		  "\"completion_tokens_details\":{\"reasoning_tokens\":3}}",
		    true, { 1, 4, 2, 5, 3 } },
		{ "{\"prompt_tokens\":7,\"prompt_tokens_details\":null,"
		  "\"completion_tokens\":5,\"completion_tokens_details\":[]}",
		    true, { 7, 0, 0, 5, 0 } },
		/* A cache that is not counted in. */
		{ "{\"prompt_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":9}}",
		    true, { 3, 9, 0, 0, 0 } },
		/* What cannot be true is settle's to judge. */
		{ "{\"prompt_tokens\":-3,\"completion_tokens\":1}", true,
		    { -3, 0, 0, 1, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct record_usage u = { 0, 0, 0, 0, 0 };

		assert_int_equal(
		    chunk_usage(lz_strz(cases[i].text), &u), cases[i].is_usage);
		if (cases[i].is_usage)
			assert_memory_equal(&u, &cases[i].u, sizeof u);
	}
}

/* ---- chunks ---- */

static void
read_one(struct fixture *f, const char *text, struct chunk *k)
{
	assert_int_equal(chunk_read(&f->c, lz_strz(text), k), ST_OK);
}

#define CALLS(choice, calls)                                                             \
	"{\"choices\":[{\"index\":" choice ",\"delta\":{\"tool_calls\":[" calls "]}}]}"
#define CALL(index) "{\"id\":\"index\",\"index\": " index " ,\"function\":{\"index\":7}}"

static void
tool_calls_are_numbered_from_0_in_each_choice(void **state)
{
	static const struct {
		const char *comes, *goes;
	} chunks[] = {
		{ CALLS("0", CALL("1")), CALLS("0", CALL("0")) },
		{ CALLS("0", CALL("1")), CALLS("0", CALL("0")) },
		{ CALLS("0", CALL("5") "," CALL("1")),
		    CALLS("0", CALL("1") "," CALL("0")) },
		{ CALLS("1", CALL("0")), CALLS("1", CALL("0")) },
		{ CALLS("1", CALL("5")), CALLS("1", CALL("1")) },
		{ CALLS("0", "{},5,null,[],{ }"), CALLS("0", "{},5,null,[],{ }") },
		{ "{\"choices\":[]}", "{\"choices\":[]}" },
		{ CALLS("0", CALL("9")), CALLS("0", CALL("2")) },
	};
	struct fixture *f = make();
	struct buf out;
	struct chunk k;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < COUNT(chunks); i++) {
		read_one(f, chunks[i].comes, &k);
		buf_reset(&out);
		tools_put(&f->c, lz_strz(chunks[i].comes), &out);
		if (!str_is(buf_str(&out), chunks[i].goes))
			fail_msg(
			    "%s became %.*s", chunks[i].comes, STR_ARG(buf_str(&out)));
	}
	buf_free(&out);
	drop(f);
}

#define CALL_OF(n, members) "{\"index\":" #n "," members "}"
#define NAMED(id, name)     "\"id\":\"" id "\",\"function\":{\"name\":\"" name "\"}"
#define NAME(name)          "\"function\":{\"name\":\"" name "\"}"
#define MORE                "\"function\":{\"name\":\"\",\"arguments\":\"x\"}"

/* Each line is a stream: the pieces in its order, and the place that each should get. */
static void
calls_without_a_number_of_their_own_are_told_apart(void **state)
{
	static const struct {
		const char *comes, *goes;
	} streams[] = {
		/* No numbers: an id begins, and goes on, a call. */
		{ "{" NAMED("a", "f") "},{" MORE "},{" NAMED("b", "f") "},{" MORE "}",
		    CALL_OF(0, NAMED("a", "f")) "," CALL_OF(0, MORE) "," CALL_OF(
			1, NAMED("b", "f")) "," CALL_OF(1, MORE) },
		{ "{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"a\"," MORE "}",
		    CALL_OF(0, "\"id\":\"a\"") "," CALL_OF(1, "\"id\":\"b\"") "," CALL_OF(
			0, "\"id\":\"a\"," MORE) },
		/* Neither numbers nor ids: a name does. */
		{ "{" NAME("f") "},{" MORE "},{" NAME("f") "}",
		    CALL_OF(0, NAME("f")) "," CALL_OF(0, MORE) "," CALL_OF(
			1, NAME("f")) },
		/* What is no number is none. */
		{ "{\"index\":null," NAME("f") "},{\"index\":\"1\"," NAME("g") "}",
		    CALL_OF(0, NAME("f")) "," CALL_OF(1, NAME("g")) },
		/* All have number 0. */
		{ CALL_OF(0, NAMED("a", "f")) "," CALL_OF(0, MORE) "," CALL_OF(
		      0, NAMED("b", "f")) "," CALL_OF(0, MORE),
		    CALL_OF(0, NAMED("a", "f")) "," CALL_OF(0, MORE) "," CALL_OF(
			1, NAMED("b", "f")) "," CALL_OF(1, MORE) },
		/* A name, or a new id, with every piece. */
		{ CALL_OF(0, NAMED("a", "f")) "," CALL_OF(0, NAMED("a", "f")) "," CALL_OF(
		      0, NAME("f")) "," CALL_OF(0, "\"id\":\"c\"," MORE),
		    CALL_OF(0, NAMED("a", "f")) "," CALL_OF(
			0, NAMED("a", "f")) "," CALL_OF(0, NAME("f")) "," CALL_OF(0,
			"\"id\":\"c\"," MORE) },
	};
	struct buf text, out;
	struct chunk k;

	(void)state;
	buf_init(&text, 4096);
	buf_init(&out, 4096);
	for (size_t i = 0; i < COUNT(streams); i++) {
		struct fixture *f = make();

		buf_reset(&text);
		buf_reset(&out);
		buf_addf(&text, CALLS("0", "%s"), streams[i].comes);
		buf_add_char(&text, '\0');
		read_one(f, text.ptr, &k);
		tools_put(&f->c, lz_strz(text.ptr), &out);
		buf_reset(&text);
		buf_addf(&text, CALLS("0", "%s"), streams[i].goes);
		if (!str_eq(buf_str(&out), buf_str(&text)))
			fail_msg(
			    "%s became %.*s", streams[i].comes, STR_ARG(buf_str(&out)));
		drop(f);
	}
	buf_free(&text);
	buf_free(&out);
}

/* As Gemini sends them: number 0, empty ids, and the name in each piece. */
static void
arguments_that_cannot_go_on_are_another_calls(void **state)
{
	static const struct {
		const char *arguments; /* as a piece has them, escaped */
		int place;
	} pieces[] = {
		{ "{}", 0 },
		{ "{\\\"a\\\":\\\"}\\\\\\\"\\\"}", 1 },
		{ " \\u007b", 2 },
		{ "}", 2 },
		/* What stands there goes on, or nothing comes. */
		{ "{\\\"a\\\":\\\"{}", 3 },
		{ "{}\\\\", 3 },
		{ "\\\"{}", 3 },
		{ "\\u0022}", 3 },
		{ "", 3 },
		{ "\\n", 3 },
		{ "[{}", 4 },
		{ "{}", 4 },
	};
	struct fixture *f = make();
	struct buf text;

	(void)state;
	buf_init(&text, 4096);
	for (size_t i = 0; i < COUNT(pieces); i++) {
		buf_reset(&text);
		buf_addf(&text,
		    CALL_OF(0, "\"id\":\"\",\"function\":{\"name\":\"f\","
			       "\"arguments\":\"%s\"}"),
		    pieces[i].arguments);
		assert_int_equal(tools_place(&f->c, 0, buf_str(&text)), pieces[i].place);
	}
	/* What a custom tool takes need not be JSON. */
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(tools_place(&f->c, 1,
				     STR_LIT(CALL_OF(0, "\"custom\":{\"name\":\"f\","
							"\"arguments\":\"{}\"}"))),
		    0);
	buf_free(&text);
	drop(f);
}

/* As vLLM sent the call that tool_choice named: name and a new id with each piece. */
static void
arguments_that_are_open_go_on_whatever_the_id(void **state)
{
	static const struct {
		const char *id, *arguments;
		int place;
	} pieces[] = {
		{ "a", "", 0 },
		{ "b", "{\\\"a\\\":\\\"", 1 }, /* nothing was open */
		{ "c", "}", 1 },
		{ "d", "\\\"", 1 },
		{ "e", "}", 1 },
		{ "f", "", 1 }, /* its ids say nothing */
		{ "g", "{}", 2 },
		{ "h", "", 3 },
		{ "b", "", 1 },
		{ "h", "{", 3 },
		{ "i", "}", 3 },
	};
	struct fixture *f = make();
	struct buf text;

	(void)state;
	buf_init(&text, 4096);
	for (size_t i = 0; i < COUNT(pieces); i++) {
		buf_reset(&text);
		buf_addf(&text,
		    CALL_OF(0, "\"id\":\"%s\",\"function\":{\"name\":\"f\","
			       "\"arguments\":\"%s\"}"),
		    pieces[i].id, pieces[i].arguments);
		assert_int_equal(tools_place(&f->c, 0, buf_str(&text)), pieces[i].place);
	}
	buf_free(&text);
	drop(f);
}

static void
what_has_no_room_in_the_table_of_tools_keeps_its_number(void **state)
{
	struct fixture *f = make();
	struct buf text, out;
	struct chunk k;

	(void)state;
	buf_init(&text, 1 << 16);
	buf_init(&out, 1 << 16);
	for (unsigned i = 0; i < 140; i++) {
		buf_reset(&text);
		buf_reset(&out);
		buf_addf(&text, CALLS("0", "{\"index\":%u}"), i + 1);
		assert_int_equal(chunk_read(&f->c, buf_str(&text), &k), ST_OK);
		tools_put(&f->c, buf_str(&text), &out);
		buf_reset(&text);
		buf_addf(&text, CALLS("0", "{\"index\":%u}"), i < 128 ? i : i + 1);
		assert_true(str_eq(buf_str(&out), buf_str(&text)));
	}
	buf_free(&text);
	buf_free(&out);
	drop(f);
}

/* As some send whole calls: all of them in one chunk. */
static void
all_calls_that_have_room_are_numbered_in_one_chunk(void **state)
{
	struct fixture *f = make();
	struct buf text, calls, out;
	struct chunk k;

	(void)state;
	buf_init(&text, 1 << 16);
	buf_init(&calls, 1 << 16);
	buf_init(&out, 1 << 16);
	for (unsigned i = 0; i < 140; i++)
		buf_addf(&calls, "%s{\"index\":%u}", i > 0 ? "," : "", i + 1);
	buf_addf(&text, CALLS("0", "%.*s"), STR_ARG(buf_str(&calls)));
	assert_int_equal(chunk_read(&f->c, buf_str(&text), &k), ST_OK);
	tools_put(&f->c, buf_str(&text), &out);
	buf_reset(&text);
	buf_reset(&calls);
	for (unsigned i = 0; i < 140; i++)
		buf_addf(
		    &calls, "%s{\"index\":%u}", i > 0 ? "," : "", i < 128 ? i : i + 1);
	buf_addf(&text, CALLS("0", "%.*s"), STR_ARG(buf_str(&calls)));
	assert_true(str_eq(buf_str(&out), buf_str(&text)));
	buf_free(&text);
	buf_free(&calls);
	buf_free(&out);
	drop(f);
}

/* Else a provider could have memory taken for each of 128 of them. */
static void
an_id_that_is_too_long_tells_no_calls_apart(void **state)
{
	struct fixture *f = make();
	struct buf text, out;
	struct chunk k;

	(void)state;
	buf_init(&text, 4096);
	buf_init(&out, 4096);
	for (int i = 0; i < 2; i++) {
		buf_reset(&text);
		buf_reset(&out);
		buf_addf(&text,
		    CALLS("0", "{\"index\":0,\"id\":\"%0300d\"," NAME("f") "}"), i);
		assert_int_equal(chunk_read(&f->c, buf_str(&text), &k), ST_OK);
		tools_put(&f->c, buf_str(&text), &out);
		assert_true(str_eq(buf_str(&out), buf_str(&text)));
	}
	buf_free(&text);
	buf_free(&out);
	drop(f);
}

static bool
take_any(void *arg, unsigned choice, lz_str delta)
{
	(void)arg;
	(void)choice;
	return delta.len > 0;
}

/* 128 calls of four megabytes would be half a gigabyte of one stream. */
static void
calls_that_grow_are_bounded_together(void **state)
{
	struct growing_calls g = { .arena = arena_new(1 << 20) };
	struct buf piece;

	(void)state;
	buf_init(&piece, 1 << 20);
	buf_addf(&piece, "{\"function\":{\"arguments\":\"%0*d\"}}", 1 << 19, 0);
	assert_false(piece.failed);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 32; i++)
			growing_take(&g, round, (int64_t)i % 8, buf_str(&piece));
		assert_false(g.has_failed);
		growing_complete(&g, -1, take_any, NULL);
		assert_int_equal(g.bytes, 0);
	}
	for (unsigned i = 0; i < 33; i++) {
		assert_false(g.has_failed);
		growing_take(&g, 2, (int64_t)i % 8, buf_str(&piece));
	}
	assert_true(g.has_failed);
	growing_free(&g);
	buf_free(&piece);
	arena_free(g.arena);
}

static void
text_is_weighed_as_it_would_be_decoded(void **state)
{
	struct fixture *f = make();
	struct chunk k;

	(void)state;
	read_one(f, "{\"choices\":[{\"delta\":{\"content\":\"a\\n\\\"\\u4e2d\"}}]}", &k);
	assert_true(k.has_substance);
	assert_int_equal(f->c.a->delivered_bytes, 1 + 1 + 1 + 3);
	assert_int_equal(f->c.a->delivered_events, 1);
	assert_true(str_is(buf_str(&f->r.answer_text), "a\\n\\\"\\u4e2d"));
	drop(f);
}

static void
what_shows_nothing_weighs_nothing(void **state)
{
	static const char *const cases[] = {
		"{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}",
		"{\"choices\":[{\"delta\":{\"content\":null,\"tool_calls\":null}}]}",
		"{\"choices\":[{\"delta\":{\"tool_calls\":[ ]},\"finish_reason\":null}]}",
		"{\"choices\":[{\"index\":0}]}",
		"{\"choices\":[],\"prompt_filter_results\":[{\"content\":\"x\"}]}",
		"{\"type\":\"ping\"}",
	};
	struct fixture *f = make();
	struct chunk k;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		read_one(f, cases[i], &k);
		assert_false(k.has_substance || k.is_usage_only);
	}
	assert_int_equal(f->c.a->delivered_bytes, 0);
	assert_int_equal(f->c.a->delivered_events, 0);
	drop(f);
}

static void
logprobs_in_front_hide_no_content(void **state)
{
	struct fixture *f = make();
	struct chunk k;

	(void)state;
	read_one(f,
	    "{\"choices\":[{\"logprobs\":{\"content\":[{\"token\":\"no\"}]},"
	    "\"delta\":{\"content\":\"yes\"}}]}",
	    &k);
	assert_true(k.has_substance);
	assert_true(str_is(buf_str(&f->r.answer_text), "yes"));
	drop(f);
}

static void
choices_end_one_by_one(void **state)
{
	struct fixture *f = make();
	struct chunk k;

	(void)state;
	assert_false(chunk_all_finished(&f->c));
	read_one(f,
	    "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}},"
	    "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}",
	    &k);
	assert_int_equal(f->c.choice[0], CHOICE_SEEN | CHOICE_HAS_TOOLS);
	assert_int_equal(f->c.choice[1], CHOICE_SEEN);
	read_one(f, "{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}", &k);
	assert_false(chunk_all_finished(&f->c));
	read_one(f, "{\"choices\":[{\"index\":1,\"finish_reason\":\"length\"}]}", &k);
	assert_true(chunk_all_finished(&f->c));
	assert_true(str_is(f->r.finish, "stop"));
	/* Numbers beyond what may be asked for are read and forgotten. */
	read_one(f, "{\"choices\":[{\"index\":-1},{\"index\":128},{\"index\":1e9}]}", &k);
	drop(f);
}

static void
errors_and_usage_are_told_apart(void **state)
{
	struct fixture *f = make();
	struct chunk k;

	(void)state;
	read_one(f, "{\"error\":null,\"choices\":[],\"usage\":{\"a\":1}}", &k);
	assert_true(k.error.ptr == NULL && k.is_usage_only);
	assert_true(str_is(k.usage, "{\"a\":1}"));
	read_one(f, "{\"error\":\"busy\"}", &k);
	assert_true(str_is(k.error, "\"busy\""));
	assert_int_equal(chunk_read(&f->c, STR_LIT("[1]"), &k), ST_INVALID);
	assert_int_equal(chunk_read(&f->c, STR_LIT("{\"a\":1} x"), &k), ST_INVALID);
	drop(f);
}

/* ---- verdicts ---- */

static void
judge(struct fixture *f, int status, const char *body, lz_fault *out)
{
	f->c.status = status;
	buf_reset(&f->c.body);
	buf_add_z(&f->c.body, body);
	verdict_judge(&f->c, out);
}

static void
blame_follows_status_and_code(void **state)
{
	static const struct {
		int status;
		const char *body;
		int32_t blame, shown;
	} cases[] = {
		{ 400, "", LZ_UPSTREAM_CALLER, 400 },
		{ 401, "{}", LZ_UPSTREAM_AUTH, 0 },
		{ 402, "", LZ_UPSTREAM_QUOTA, 0 },
		{ 403, "", LZ_UPSTREAM_AUTH, 0 },
		{ 404, "", LZ_UPSTREAM_UNABLE, 404 },
		{ 404, "{\"error\":{\"code\":\"model_not_found\"}}", LZ_UPSTREAM_UNABLE,
		    404 },
		{ 408, "", LZ_UPSTREAM_DOWN, 0 },
		{ 429, "", LZ_UPSTREAM_RATE, 0 },
		{ 429, "{\"error\":{\"code\":\"insufficient_quota\"}}", LZ_UPSTREAM_QUOTA,
		    0 },
		{ 400, "{\"error\":{\"code\":\"context_length_exceeded\"}}",
		    LZ_UPSTREAM_CONTEXT, 0 },
		{ 400, "{\"error\":{\"code\":\"content_filter\"}}", LZ_UPSTREAM_FILTERED,
		    0 },
		{ 500, "not json", LZ_UPSTREAM_DOWN, 0 },
		{ 503, "[]", LZ_UPSTREAM_DOWN, 0 },
		{ 529, "", LZ_UPSTREAM_DOWN, 0 },
	};
	struct fixture *f = make();
	lz_fault v;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		judge(f, cases[i].status, cases[i].body, &v);
		assert_int_equal(v.upstream, cases[i].blame);
		assert_int_equal(v.status, cases[i].shown);
		assert_true(v.message.len > 0);
	}
	judge(f, 400, "{\"error\":{\"message\":\"say \\\"x\\\"\",\"param\":\"n\"}}", &v);
	assert_true(str_is(v.message, "say \"x\"") && str_is(v.param, "n"));
	judge(f, 400, "{\"error\":\"plain\"}", &v);
	assert_true(str_is(v.message, "plain"));
	drop(f);
}

static void
an_error_inside_a_success_stands_for_a_status(void **state)
{
	(void)state;
	assert_int_equal(verdict_status(STR_LIT("{\"code\":429}")), 429);
	assert_int_equal(verdict_status(STR_LIT("{\"code\":\"x\",\"status\":503}")), 503);
	assert_int_equal(verdict_status(STR_LIT("{\"code\":200}")), 500);
	assert_int_equal(verdict_status(STR_LIT("{\"code\":99999999999999999999}")), 500);
	assert_int_equal(verdict_status(STR_LIT("\"busy\"")), 500);
}

static void
any_retry_after_is_a_bounded_time(void **state)
{
	static const struct {
		const char *name, *value;
		unsigned least_ms, most_ms;
	} cases[] = {
		{ "retry-after", "7", 7000, 7000 },
		{ "retry-after", "0", 0, 0 },
		{ "retry-after", "300", 300000, 300000 },
		{ "retry-after", "31536000", 300000, 300000 },
		{ "retry-after", "99999999999999999999999", 300000, 300000 },
		{ "retry-after", "-5", 0, 0 },
		{ "retry-after", "", 0, 0 },
		{ "retry-after", "soon", 0, 0 },
		{ "retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", 0, 0 },
		{ "retry-after", "Wed, 21 Oct 2099 07:28:00 GMT", 300000, 300000 },
		{ "retry-after-ms", "1500", 1500, 1500 },
		{ "retry-after-ms", "9999999", 300000, 300000 },
	};
	struct fixture *f = make();
	lz_fault v;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		lz_header field =
		    lz_head(lz_strz(cases[i].name), lz_strz(cases[i].value));

		f->c.field = &field;
		f->c.field_count = 1;
		judge(f, 429, "", &v);
		assert_in_range(v.retry_after_ms, cases[i].least_ms, cases[i].most_ms);
	}
	drop(f);
}

static int
start(void **state)
{
	struct err e = { "" };

	(void)state;
	loop_start();
	loop = loop_new(&e);
	worker.loop = loop;
	return loop != NULL ? 0 : -1;
}

static int
stop(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

/* ---- what a provider does not take ---- */

static const char *const dropped_members[] = { "\"user\":\"u\"", "\"seed\" : 7",
	"\"store\":false", "\"logit_bias\":{\"a\":[1,\"}\"]}" };

/* Every order of four members around two that stay, every set of them left out. */
static void
what_a_provider_does_not_take_is_left_out_wherever_it_stands(void **state)
{
	static const lz_str names[] = { { "user", 4 }, { "seed", 4 }, { "store", 5 },
		{ "logit_bias", 10 } };
	lz_str drop_list[4];

	(void)state;
	for (unsigned order = 0; order < 6 * 6; order++)
		for (unsigned set = 0; set < 16; set++) {
			struct fixture *f = make();
			const char *member[6] = { "\"model\":\"m\"", MESSAGES };
			json_t *j;
			size_t n = 0;

			for (unsigned i = 0; i < 4; i++)
				member[2 + i] = dropped_members[(i + order) % 4];
			for (unsigned i = 0; i < 4; i++)
				if ((set & (1u << i)) != 0)
					drop_list[n++] = names[i];
			provider.drop = drop_list;
			provider.drop_count = n;
			buf_init(&f->r.body, 4096);
			buf_addf(&f->r.body, "{ ");
			for (unsigned i = 0; i < 6; i++) /* the two that stay, anywhere */
				buf_addf(&f->r.body, "%s%s", i > 0 ? " , " : "",
				    member[(i + order / 6) % 6]);
			buf_addf(&f->r.body, "%s\n}",
			    order % 2 == 0 ? "" : ",\"stream\":true");
			assert_int_equal(request_read(&f->r), STEP_NEXT);
			j = sent(f);
			for (unsigned i = 0; i < 4; i++)
				assert_int_equal(json_object_get(j, names[i].ptr) == NULL,
				    (set & (1u << i)) != 0);
			assert_string_equal(
			    json_string_value(json_object_get(j, "model")), "up\"stream");
			assert_int_equal(
			    json_array_size(json_object_get(j, "messages")), 1);
			/* What was off anyway is no loss. */
			assert_int_equal(
			    f->r.attempt[0]->dropped.len == 0, (set & ~4u) == 0);
			json_decref(j);
			drop(f);
		}
	provider.drop_count = 0;
}

static void
usage_is_not_asked_of_who_does_not_know_the_question(void **state)
{
	static const lz_str list[] = { { "stream_options", 14 } };
	static const char *const bodies[] = { "{\"stream\":true,\"model\":\"m\"," MESSAGES
					      "}",
		"{\"stream_options\":{\"include_usage\":true},\"stream\":true,\"model\":"
		"\"m\"," MESSAGES "}" };

	(void)state;
	provider.drop = list;
	provider.drop_count = 1;
	for (size_t i = 0; i < 2; i++) {
		struct fixture *f = make();
		json_t *j;

		buf_init(&f->r.body, 4096);
		buf_add_z(&f->r.body, bodies[i]);
		assert_int_equal(request_read(&f->r), STEP_NEXT);
		j = sent(f);
		assert_null(json_object_get(j, "stream_options"));
		assert_int_equal(f->r.attempt[0]->dropped.len, 0);
		json_decref(j);
		drop(f);
	}
	provider.drop_count = 0;
}

static void
the_model_stands_in_the_path_escaped_and_the_query_behind(void **state)
{
	struct fixture *f = make();
	lz_http built = lz_http_to("POST", provider.base_url);
	struct upstream_request q = { .part_count = 0 };

	(void)state;
	provider.path = STR_LIT("/d/{model}/x{model");
	provider.query = STR_LIT("?api-version=2");
	provider.auth_header = STR_LIT("api-key");
	f->r.attempt[0]->credential = STR_LIT("secret");
	buf_init(&f->r.body, 4096);
	buf_add_z(&f->r.body, "{\"model\":\"m\"," MESSAGES "}");
	assert_int_equal(request_read(&f->r), STEP_NEXT);
	assert_int_equal(
	    dialect_complete(&f->c, &built, provider.base_url.ptr, &q), ST_OK);
	assert_true(str_is(q.url,
	    "http://base/v1/d/up%22stream/x{model/chat/completions?api-version=2"));
	assert_int_equal(q.header_count, 2);
	assert_true(str_is(q.headers[1].name, "api-key"));
	assert_true(str_is(q.headers[1].value, "secret"));
	provider.path = provider.query = provider.auth_header = STR_NONE;
	drop(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_a_provider_does_not_take_is_left_out_wherever_it_stands),
		cmocka_unit_test(usage_is_not_asked_of_who_does_not_know_the_question),
		cmocka_unit_test(
		    the_model_stands_in_the_path_escaped_and_the_query_behind),
		cmocka_unit_test(whatever_is_spliced_the_body_says_each_thing_once),
		cmocka_unit_test(a_body_that_needs_nothing_goes_as_it_came),
		cmocka_unit_test(
		    what_a_provider_does_not_take_of_messages_is_left_out_there_and_nowhere_else),
		cmocka_unit_test(
		    embeddings_go_to_their_own_path_with_their_model_and_nothing_else),
		cmocka_unit_test(
		    the_credential_is_sent_unless_the_plugin_made_its_own_headers),
		cmocka_unit_test(usage_falls_into_disjoint_buckets),
		cmocka_unit_test(tool_calls_are_numbered_from_0_in_each_choice),
		cmocka_unit_test(calls_without_a_number_of_their_own_are_told_apart),
		cmocka_unit_test(arguments_that_cannot_go_on_are_another_calls),
		cmocka_unit_test(arguments_that_are_open_go_on_whatever_the_id),
		cmocka_unit_test(calls_that_grow_are_bounded_together),
		cmocka_unit_test(what_has_no_room_in_the_table_of_tools_keeps_its_number),
		cmocka_unit_test(all_calls_that_have_room_are_numbered_in_one_chunk),
		cmocka_unit_test(an_id_that_is_too_long_tells_no_calls_apart),
		cmocka_unit_test(text_is_weighed_as_it_would_be_decoded),
		cmocka_unit_test(what_shows_nothing_weighs_nothing),
		cmocka_unit_test(logprobs_in_front_hide_no_content),
		cmocka_unit_test(choices_end_one_by_one),
		cmocka_unit_test(errors_and_usage_are_told_apart),
		cmocka_unit_test(blame_follows_status_and_code),
		cmocka_unit_test(an_error_inside_a_success_stands_for_a_status),
		cmocka_unit_test(any_retry_after_is_a_bounded_time),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
