/* compose.c - what echo says: the last message again, or a call of a tool, within the
 * request's limits.
 *
 * Tokens are bytes / 4, rounded up, so that cost and limits can be computed by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "echo.h"
#include "text.h"

enum {
	BYTES_PER_TOKEN = 4,
	STOPS_MAX = 4,
	CHOICES_MAX = 128,
	SCHEMA_DEPTH = 8,
	SCHEMA_MEMBERS = 32
};

/* ---- text ---- */

static void
append(lz_call *c, struct text *t, lz_str s)
{
	text_add(c, t, s, lz->keep);
}

/* A message's content: a string, or a list of parts of which the texts count. */
static void
append_content(lz_call *c, struct text *t, const lz_json *content)
{
	if (lz->json_type(content) == LZ_STRING)
		append(c, t, lz->json_str(content, lz_strz("")));
	for (size_t i = 0, n = lz->json_len(content); i < n; i++) {
		const lz_json *part = lz->json_item(content, i, NULL);

		append(c, t, lz->json_str(lz->json_at(part, "/text"), lz_strz("")));
	}
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

size_t
text_cut(lz_str s, size_t at)
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
	a->text.len = text_cut(a->text, (size_t)limit * BYTES_PER_TOKEN);
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

	text.len = text_cut(text, 40);
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
	struct text t = { .ptr = NULL };

	append(c, &t, lz_strz("The tool said: "));
	append_content(c, &t, lz->json_at(message, "/content"));
	a->text = text_str(&t);
	return !t.has_failed;
}

static int
repeat(lz_call *c, struct answer *a, const lz_json *messages)
{
	struct text t = { .ptr = NULL };

	append_content(c, &t, lz->json_at(last_message(messages, "user"), "/content"));
	if (t.len == 0)
		append(c, &t, lz_strz("(nothing to repeat)"));
	a->text = text_str(&t);
	return !t.has_failed;
}

int
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
	    a->model->does == CUT ? text_cut(a->text, a->text.len / 2) : a->text.len;
	a->usage.size = sizeof(a->usage);
	a->usage.input = prompt_tokens(messages);
	a->usage.output = tokens_of((int64_t)a->text.len) * a->choices;
	return 1;
}
