/* echo.c - a provider without a network: deterministic answers for demos, tests and
 * benchmarks.
 *
 * build() answers by itself (LZ_ANSWERED), at once or, when the model is slow or breaks
 * off, from timers. What a model does is its row in `models`. Tokens are bytes / 4,
 * rounded up, so that cost and limits can be computed by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "embed.h"

enum {
	BYTES_PER_TOKEN = 4,
	PIECES_MAX = 1000,   /* of a stream; longer texts come in longer pieces, */
	PIECE_BYTES = 4096,  /* up to this, and then in more of them */
	STEP_BYTES = 65536,  /* of one callback; the host holds the next one back */
	CHUNK_BYTES = 256,   /* about what a chunk has beside its piece */
	ARGUMENT_PIECE = 12, /* bytes of a tool's arguments per event */
	STOPS_MAX = 4,
	CHOICES_MAX = 128,
	SCHEMA_DEPTH = 8,
	SCHEMA_MEMBERS = 32
};

struct echo {
	int64_t first_token,
	    next_token; /* ms, of echo-slow and of what echo-cut sends before it breaks */
};

enum behaviour {
	REPEAT,
	SLOW,
	CUT,
	TOOLS,
	FAIL_RATE,
	FAIL_DOWN,
	EMBED
};

static const struct model {
	const char *name;
	enum behaviour does;
} models[] = {
	{ "echo-1", REPEAT },
	{ "echo-large", REPEAT },
	{ "echo-slow", SLOW },
	{ "echo-cut", CUT },
	{ "echo-tools", TOOLS },
	{ "echo-fail-429", FAIL_RATE },
	{ "echo-fail-500", FAIL_DOWN },
	{ "echo-embed", EMBED },
};

/* One answer on its way. Lives in lz->keep(): as long as the attempt. */
struct answer {
	const struct echo *self;
	const struct model *model;
	lz_str text; /* the content, or the arguments of the tool */
	lz_str tool; /* name; absent: no tool is called */
	const char *finish;
	int64_t choices;
	size_t at,
	    breaks_at; /* bytes of text that went out; and after how many it breaks off */
	lz_usage usage;
};

/* ---- text ---- */

struct text {
	char *ptr;
	size_t len, room;
};

/* Grows in lz->keep(); what was outgrown stays there until the attempt ends. */
static int
append(lz_call *c, struct text *t, lz_str s)
{
	if (s.len > t->room - t->len) {
		size_t room = (t->len + s.len) * 2 + 256;
		char *p = lz->keep(c, room);

		if (p == NULL)
			return 0;
		if (t->len > 0)
			memcpy(p, t->ptr, t->len);
		t->ptr = p;
		t->room = room;
	}
	if (s.len > 0)
		memcpy(t->ptr + t->len, s.ptr, s.len);
	t->len += s.len;
	return 1;
}

static lz_str
as_str(const struct text *t)
{
	return lz_strn(t->len > 0 ? t->ptr : "", t->len);
}

/* A message's content: a string, or a list of parts of which the texts count. */
static int
append_content(lz_call *c, struct text *t, const lz_json *content)
{
	if (lz->json_type(content) == LZ_STRING)
		return append(c, t, lz->json_str(content, lz_strz("")));
	for (size_t i = 0, n = lz->json_len(content); i < n; i++) {
		const lz_json *part = lz->json_item(content, i, NULL);

		if (!append(c, t, lz->json_str(lz->json_at(part, "/text"), lz_strz(""))))
			return 0;
	}
	return 1;
}

static int64_t
content_bytes(const lz_json *content)
{
	int64_t sum = 0;

	if (lz->json_type(content) == LZ_STRING)
		return (int64_t)lz->json_str(content, lz_strz("")).len;
	for (size_t i = 0, n = lz->json_len(content); i < n; i++)
		sum +=
		    (int64_t)lz
			->json_str(lz->json_at(lz->json_item(content, i, NULL), "/text"),
			    lz_strz(""))
			.len;
	return sum;
}

static int64_t
tokens_of(int64_t bytes)
{
	return (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}

static int64_t
prompt_tokens(const lz_json *messages)
{
	int64_t bytes = 0;

	for (size_t i = 0, n = lz->json_len(messages); i < n; i++)
		bytes += content_bytes(
		    lz->json_at(lz->json_item(messages, i, NULL), "/content"));
	return tokens_of(bytes);
}

static const lz_json *
last_message(const lz_json *messages, const char *role)
{
	for (size_t i = lz->json_len(messages); i > 0; i--) {
		const lz_json *m = lz->json_item(messages, i - 1, NULL);

		if (role == NULL ||
		    lz_eq(lz->json_str(lz->json_at(m, "/role"), lz_strz("")), role))
			return m;
	}
	return NULL;
}

/* Not inside a character. */
static size_t
cut_at(lz_str s, size_t at)
{
	while (at > 0 && at < s.len && ((unsigned char)s.ptr[at] & 0xc0) == 0x80)
		at--;
	return at < s.len ? at : s.len;
}

/* ---- what limits an answer ---- */

static size_t
find(lz_str in, lz_str what)
{
	for (size_t i = 0; what.len > 0 && i + what.len <= in.len; i++)
		if (memcmp(in.ptr + i, what.ptr, what.len) == 0)
			return i;
	return in.len;
}

static void
obey_stop(struct answer *a, const lz_json *stop)
{
	if (lz->json_type(stop) == LZ_STRING)
		a->text.len = find(a->text, lz->json_str(stop, lz_strz("")));
	for (size_t i = 0, n = lz->json_len(stop); i < n && i < STOPS_MAX; i++)
		a->text.len = find(
		    a->text, lz->json_str(lz->json_item(stop, i, NULL), lz_strz("")));
}

/* The caller's own limit, and what was reserved for this attempt. */
static void
obey_limit(lz_call *c, struct answer *a)
{
	const lz_request *r = lz->request(c);
	int64_t limit = r->max_output_tokens;

	if (r->output_bound > 0 && (limit < 0 || r->output_bound < limit))
		limit = r->output_bound;
	if (limit < 0 || tokens_of((int64_t)a->text.len) <= limit)
		return;
	a->text.len = cut_at(a->text, (size_t)limit * BYTES_PER_TOKEN);
	a->finish = "length";
}

/* ---- a tool's arguments, made from its schema ---- */

static lz_json *sample(lz_call *c, const lz_json *schema, lz_str text, int depth);

static lz_json *
sample_object(lz_call *c, const lz_json *schema, lz_str text, int depth)
{
	const lz_json *properties = lz->json_at(schema, "/properties");
	lz_json *object = lz->json_new(c, LZ_OBJECT);
	lz_str key;

	for (size_t i = 0, n = lz->json_len(properties); i < n && i < SCHEMA_MEMBERS;
	     i++) {
		const lz_json *inner = lz->json_item(properties, i, &key);

		(void)lz->json_set(c, object, key, sample(c, inner, text, depth - 1));
	}
	return object;
}

static lz_json *
sample(lz_call *c, const lz_json *schema, lz_str text, int depth)
{
	lz_str type = lz->json_str(lz->json_at(schema, "/type"), lz_strz("string"));
	const lz_json *choice = lz->json_at(schema, "/enum/0");

	if (lz->json_type(lz->json_at(schema, "/type")) == LZ_ARRAY)
		type = lz->json_str(lz->json_at(schema, "/type/0"), type);
	if (choice != NULL)
		return lz->json_parse(c, lz->json_text(c, choice));
	if (lz_eq(type, "object") && depth > 0)
		return sample_object(c, schema, text, depth);
	if (lz_eq(type, "array") || lz_eq(type, "object"))
		return lz->json_new(c, lz_eq(type, "array") ? LZ_ARRAY : LZ_OBJECT);
	if (lz_eq(type, "integer"))
		return lz->json_of_int(
		    c, lz->json_int(lz->json_at(schema, "/minimum"), 1));
	if (lz_eq(type, "number"))
		return lz->json_of_num(
		    c, lz->json_num(lz->json_at(schema, "/minimum"), 1.5));
	if (lz_eq(type, "boolean"))
		return lz->json_of_bool(c, 1);
	if (lz_eq(type, "null"))
		return lz->json_new(c, LZ_NULL);
	return lz->json_of_str(c, text);
}

/* The tool that tool_choice names, else the first. NULL: none is to be called. */
static const lz_json *
chosen_tool(const lz_json *body)
{
	const lz_json *tools = lz->json_at(body, "/tools");
	const lz_json *choice = lz->json_at(body, "/tool_choice");
	lz_str wanted = lz->json_str(lz->json_at(choice, "/function/name"), lz_strz(""));

	if (lz_eq(lz->json_str(choice, lz_strz("")), "none"))
		return NULL;
	for (size_t i = 0, n = lz->json_len(tools); i < n; i++) {
		const lz_json *f =
		    lz->json_at(lz->json_item(tools, i, NULL), "/function");
		lz_str name = lz->json_str(lz->json_at(f, "/name"), lz_strz(""));

		if (name.len > 0 &&
		    (wanted.len == 0 || (wanted.len == name.len &&
					    memcmp(wanted.ptr, name.ptr, name.len) == 0)))
			return f;
	}
	return NULL;
}

/* What the user wrote stands for every string, so that a person sees where it came from.
 */
static int
call_tool(lz_call *c, struct answer *a, const lz_json *tool)
{
	lz_str text = a->text;

	text.len = cut_at(text, 40);
	a->tool = lz->json_str(lz->json_at(tool, "/name"), lz_strz(""));
	a->text = lz->json_text(
	    c, sample_object(c, lz->json_at(tool, "/parameters"), text, SCHEMA_DEPTH));
	a->finish = "tool_calls";
	return a->text.ptr != NULL;
}

/* ---- making the answer ---- */

static int
tool_result(lz_call *c, struct answer *a, const lz_json *message)
{
	struct text t = { NULL, 0, 0 };

	if (!append(c, &t, lz_strz("The tool said: ")) ||
	    !append_content(c, &t, lz->json_at(message, "/content")))
		return 0;
	a->text = as_str(&t);
	return 1;
}

static int
repeat(lz_call *c, struct answer *a, const lz_json *messages)
{
	struct text t = { NULL, 0, 0 };

	if (!append_content(
		c, &t, lz->json_at(last_message(messages, "user"), "/content")))
		return 0;
	if (t.len == 0 && !append(c, &t, lz_strz("(nothing to repeat)")))
		return 0;
	a->text = as_str(&t);
	return 1;
}

/* 0: out of memory. */
static int
compose(lz_call *c, struct answer *a)
{
	const lz_json *body = lz->body(c);
	const lz_json *messages = lz->json_at(body, "/messages");
	const lz_json *last = last_message(messages, NULL);
	const lz_json *tool = a->model->does == TOOLS ? chosen_tool(body) : NULL;
	int is_result =
	    lz_eq(lz->json_str(lz->json_at(last, "/role"), lz_strz("")), "tool");

	if (!repeat(c, a, messages))
		return 0;
	if (tool != NULL && !is_result) {
		if (!call_tool(c, a, tool))
			return 0;
	} else {
		if (a->model->does == TOOLS && is_result && !tool_result(c, a, last))
			return 0;
		obey_stop(a, lz->json_at(body, "/stop"));
		obey_limit(c, a);
	}
	a->choices = lz->json_int(lz->json_at(body, "/n"), 1);
	if (a->choices < 1 || a->choices > CHOICES_MAX)
		a->choices = 1;
	a->breaks_at =
	    a->model->does == CUT ? cut_at(a->text, a->text.len / 2) : a->text.len;
	a->usage.size = sizeof(a->usage);
	a->usage.input = prompt_tokens(messages);
	a->usage.output = tokens_of((int64_t)a->text.len) * a->choices;
	return 1;
}

/* ---- whole answers ---- */

static lz_json *
tool_call(lz_call *c, const struct answer *a, lz_str arguments, int is_first)
{
	lz_json *call = lz->json_new(c, LZ_OBJECT);

	(void)lz->json_put(c, call, "/index", lz->json_of_int(c, 0));
	(void)lz->json_put(c, call, "/function/arguments", lz->json_of_str(c, arguments));
	if (is_first) {
		(void)lz->json_put(
		    c, call, "/id", lz->json_of_str(c, lz_strz("call_echo_1")));
		(void)lz->json_put(
		    c, call, "/type", lz->json_of_str(c, lz_strz("function")));
		(void)lz->json_put(
		    c, call, "/function/name", lz->json_of_str(c, a->tool));
	}
	return call;
}

static int32_t
emit_whole(lz_call *c, const struct answer *a)
{
	lz_json *answer = lz->json_new(c, LZ_OBJECT);

	for (int64_t i = 0; i < a->choices; i++) {
		lz_json *choice = lz->json_new(c, LZ_OBJECT);

		if (a->tool.len > 0) {
			lz_json *call = tool_call(c, a, a->text, 1);

			(void)lz->json_put(
			    c, call, "/index", NULL); /* only deltas have one */
			(void)lz->json_put(c, choice, "/message/tool_calls/0", call);
		} else {
			(void)lz->json_put(
			    c, choice, "/message/content", lz->json_of_str(c, a->text));
		}
		(void)lz->json_put(c, choice, "/index", lz->json_of_int(c, i));
		(void)lz->json_put(
		    c, choice, "/finish_reason", lz->json_of_str(c, lz_strz(a->finish)));
		(void)lz->json_put(c, answer, "/choices/-", choice);
	}
	(void)lz->usage(c, &a->usage);
	return lz->emit(c, answer);
}

/* ---- streams ---- */

/* As much of the text from `at` on, but no half character. */
static lz_str
piece_of(const struct answer *a, size_t most)
{
	lz_str rest = lz_strn(a->text.ptr + a->at, a->text.len - a->at);

	rest.len = cut_at(rest, most);
	return rest;
}

/* A word with the blanks behind it; more words at once when the text is long. */
static lz_str
next_piece(const struct answer *a)
{
	size_t least = a->text.len / PIECES_MAX, end = a->at;

	if (a->tool.len > 0)
		return piece_of(a, ARGUMENT_PIECE);
	do {
		while (end < a->text.len && a->text.ptr[end] != ' ' &&
		       a->text.ptr[end] != '\n')
			end++;
		while (end < a->text.len &&
		       (a->text.ptr[end] == ' ' || a->text.ptr[end] == '\n'))
			end++;
	} while (end < a->text.len && end - a->at < least && end - a->at < PIECE_BYTES);
	return piece_of(a, end - a->at < PIECE_BYTES ? end - a->at : PIECE_BYTES);
}

static int32_t
emit_delta(lz_call *c, const struct answer *a, lz_str piece, const char *finish)
{
	int32_t result = LZ_OK;

	for (int64_t i = 0; i < a->choices && result == LZ_OK; i++) {
		lz_json *chunk = lz->json_new(c, LZ_OBJECT);

		(void)lz->json_put(c, chunk, "/choices/0/index", lz->json_of_int(c, i));
		(void)lz->json_put(
		    c, chunk, "/choices/0/delta", lz->json_new(c, LZ_OBJECT));
		if (finish != NULL)
			(void)lz->json_put(c, chunk, "/choices/0/finish_reason",
			    lz->json_of_str(c, lz_strz(finish)));
		else if (a->tool.len > 0)
			(void)lz->json_put(c, chunk, "/choices/0/delta/tool_calls/0",
			    tool_call(c, a, piece, a->at == 0));
		else
			(void)lz->json_put(c, chunk, "/choices/0/delta/content",
			    lz->json_of_str(c, piece));
		result = lz->emit(c, chunk);
	}
	return result;
}

static int32_t
break_off(lz_call *c)
{
	lz_fault f = { .size = sizeof(f), .upstream = LZ_UPSTREAM_DOWN };

	f.message = lz_strz("echo-cut breaks off, as it always does");
	return lz->fail(c, &f);
}

/* The next piece. LZ_PENDING: there is more; LZ_ANSWERED: that was all; < 0: it broke. */
static int32_t
emit_next(lz_call *c, struct answer *a)
{
	int32_t result = LZ_OK;

	if (a->at < a->breaks_at) {
		lz_str piece = next_piece(a);

		result = emit_delta(c, a, piece, NULL);
		a->at += piece.len;
		if (result == LZ_OK)
			result = LZ_PENDING;
		return result;
	}
	if (a->model->does == CUT)
		return break_off(c);
	(void)lz->usage(c, &a->usage);
	result = emit_delta(c, a, lz_strz(""), a->finish);
	return result == LZ_OK ? LZ_ANSWERED : result;
}

/* As many pieces as one callback may write; results as above. */
static int32_t
emit_some(lz_call *c, struct answer *a)
{
	size_t bytes = 0, at;
	int32_t result;

	do {
		at = a->at;
		result = emit_next(c, a);
		bytes += (a->at - at + CHUNK_BYTES) * (size_t)a->choices;
	} while (result == LZ_PENDING && bytes < STEP_BYTES);
	return result;
}

/* ---- from callbacks: slowly, or as fast as the caller reads ---- */

static int
is_slow(const struct answer *a)
{
	return a->model->does == SLOW || a->model->does == CUT;
}

static void tick(lz_call *c, int32_t error, void *ud);

/* LZ_PENDING: tick() follows. */
static int32_t
go_on(lz_call *c, struct answer *a)
{
	uint32_t ms = is_slow(a) ? (uint32_t)a->self->next_token : 0;
	int32_t result = lz->after(c, ms, tick, a);

	return result == LZ_OK ? LZ_PENDING : result;
}

static void
tick(lz_call *c, int32_t error, void *ud)
{
	struct answer *a = ud;
	int32_t result;

	if (error != LZ_OK)
		return; /* the caller left */
	if (lz->request(c)->stream)
		result = is_slow(a) ? emit_next(c, a) : emit_some(c, a);
	else if (a->model->does == CUT)
		result = break_off(c);
	else
		result = emit_whole(c, a) == LZ_OK ? LZ_ANSWERED : LZ_E_FAIL;
	if (result == LZ_PENDING)
		result = go_on(c, a);
	if (result != LZ_PENDING)
		(void)lz->finish(c, result);
}

static int32_t
answer_fast(lz_call *c, struct answer *a)
{
	int32_t result = emit_some(c, a);

	return result == LZ_PENDING ? go_on(c, a) : result;
}

static int32_t
answer_slowly(lz_call *c, struct answer *a)
{
	int32_t result = lz->after(c, (uint32_t)a->self->first_token, tick, a);

	return result == LZ_OK ? LZ_PENDING : result;
}

/* ---- build ---- */

static int32_t
fail(lz_call *c, int32_t upstream, int32_t status, const char *code, const char *message)
{
	lz_fault f = { .size = sizeof(f), .upstream = upstream, .status = status };

	f.retry_after_ms = upstream == LZ_UPSTREAM_RATE ? 1000 : 0;
	f.code = lz_strz(code);
	f.message = lz_strz(message);
	return lz->fail(c, &f);
}

static const struct model *
find_model(lz_str name)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (lz_eq(name, models[i].name))
			return &models[i];
	return NULL;
}

static int32_t
build(void *self, lz_call *c, lz_http *out)
{
	const struct model *m = find_model(lz->chosen(c)->upstream_model);
	struct answer *a;

	(void)out;
	if (m == NULL)
		return fail(c, LZ_UPSTREAM_UNABLE, 404, "model_not_found",
		    "echo has no such model");
	if (m->does == FAIL_RATE)
		return fail(c, LZ_UPSTREAM_RATE, 0, "rate_limit_exceeded",
		    "echo-fail-429 limits its rate, as it always does");
	if (m->does == FAIL_DOWN)
		return fail(c, LZ_UPSTREAM_DOWN, 0, "server_error",
		    "echo-fail-500 is down, as it always is");
	if ((m->does == EMBED) != lz_eq(lz->request(c)->route, "embeddings"))
		return fail(c, LZ_UPSTREAM_CALLER, 400, NULL,
		    "echo-embed makes embeddings, and the others chat");
	if (m->does == EMBED)
		return embed_answer(c);
	a = lz->keep(c, sizeof(*a));
	if (a == NULL)
		return LZ_E_NOMEM;
	a->self = self;
	a->model = m;
	a->finish = "stop";
	if (!compose(c, a))
		return LZ_E_NOMEM;
	if (is_slow(a))
		return answer_slowly(c, a);
	if (lz->request(c)->stream)
		return answer_fast(c, a);
	return emit_whole(c, a) == LZ_OK ? LZ_ANSWERED : LZ_E_FAIL;
}

static const lz_option options[] = {
	LZ_OPT_INT(struct echo, first_token, "300ms", 0, 600000, "duration",
	    "echo-slow and echo-cut wait so long at first"),
	LZ_OPT_INT(struct echo, next_token, "50ms", 0, 600000, "duration",
	    "and so long between words"),
};
static const lz_provider provider = {
	.size = sizeof(provider),
	.needs = LZ_NEEDS_BODY,
	.routes = "chat embeddings",
	.build = build,
	.base_url = "echo:",
};
static const lz_component parts[] = { {
    .kind = LZ_PROVIDER,
    .name = "echo",
    .summary = "Answers by itself, deterministically: for demos and tests",
    .vtable = &provider,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct echo),
} };
LZ_PLUGIN("echo", "0.1.0", "MIT", parts)
