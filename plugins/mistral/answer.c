/* answer.c - what comes back: thinking apart from text, calls with all their members,
 * usage where OpenAI has it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mistral.h"

/* What one answer, or chunk, is made of. */
struct making {
	lz_call *c;
	const lz_json *body;
	int is_chunk;
};

/* ---- usage ---- */

/* Cached tokens are counted in the prompt's. */
static void
tell_usage(lz_call *c, const lz_json *body)
{
	const lz_json *usage = lz->json_at(body, "/usage");
	lz_usage u = { .size = sizeof(u) };
	int64_t prompt = lz->json_int(lz->json_at(usage, "/prompt_tokens"), 0);

	if (lz->json_type(usage) != LZ_OBJECT)
		return;
	u.cache_read = lz->json_int(lz->json_at(usage, "/num_cached_tokens"),
	    lz->json_int(lz->json_at(usage, "/prompt_tokens_details/cached_tokens"), 0));
	if (u.cache_read > prompt)
		u.cache_read = prompt;
	u.input = prompt - u.cache_read;
	u.output = lz->json_int(lz->json_at(usage, "/completion_tokens"), 0);
	(void)lz->usage(c, &u);
}

/* ---- content ---- */

/* What a list of chunks says, by kind. */
struct said {
	struct text text, thinking;
	const lz_json *signature;
};

static void
read_chunk(lz_call *c, const lz_json *chunk, struct said *out)
{
	const lz_json *inner = lz->json_at(chunk, "/thinking");
	const lz_json *signature = lz->json_at(chunk, "/signature");

	if (!is_type_at(chunk, "/type", "thinking")) {
		join(c, &out->text, text_at(chunk, "/text"));
		return;
	}
	join(c, &out->thinking, lz->json_str(inner, lz_strn(NULL, 0)));
	for (size_t i = 0, n = lz->json_len(inner); i < n; i++)
		join(c, &out->thinking, text_at(lz->json_item(inner, i, NULL), "/text"));
	if (lz->json_type(signature) == LZ_STRING)
		out->signature = signature;
}

static void
put_signature(lz_call *c, lz_json *message, const lz_json *signature)
{
	lz_json *extra = lz->json_new(c, LZ_OBJECT), *mine = lz->json_new(c, LZ_OBJECT);

	set(c, mine, "signature", signature);
	set(c, extra, "mistral", mine);
	set(c, message, "extra_content", extra);
}

/* 0: out of memory. */
static int
put_content(lz_call *c, lz_json *message, const lz_json *content)
{
	struct said said = { { NULL, 0, 0, 0 }, { NULL, 0, 0, 0 }, NULL };

	if (lz->json_type(content) != LZ_ARRAY) {
		if (content != NULL)
			set(c, message, "content", content);
		return 1;
	}
	for (size_t i = 0, n = lz->json_len(content); i < n; i++)
		read_chunk(c, lz->json_item(content, i, NULL), &said);
	if (said.text.len > 0 || said.thinking.len == 0)
		set(c, message, "content", lz->json_of_str(c, text_str(&said.text)));
	if (said.thinking.len > 0)
		set(c, message, "reasoning_content",
		    lz->json_of_str(c, text_str(&said.thinking)));
	if (said.signature != NULL)
		put_signature(c, message, said.signature);
	return !said.text.has_failed && !said.thinking.has_failed;
}

/* ---- tool calls ---- */

/* For a call that came without one: of the answer's id, and its place in it. */
static const lz_json *
made_id(const struct making *m, int64_t index)
{
	char id[ID_BYTES];

	id_shorten(text_at(m->body, "/id"), (uint64_t)index + 1, id);
	return lz->json_of_str(m->c, lz_strn(id, ID_BYTES));
}

static const lz_json *
arguments_of(lz_call *c, const lz_json *call)
{
	const lz_json *arguments = lz->json_at(call, "/function/arguments");

	if (lz->json_type(arguments) == LZ_OBJECT)
		return lz->json_of_str(c, lz->json_text(c, arguments));
	return lz->json_type(arguments) == LZ_STRING ? arguments
						     : lz->json_of_str(c, lz_strz(""));
}

/* A call that begins has a name; what follows of it in a stream has none. */
static lz_json *
call_of(const struct making *m, const lz_json *call, int64_t index)
{
	lz_call *c = m->c;
	const lz_json *id = lz->json_at(call, "/id");
	lz_str name = text_at(call, "/function/name"), word = text_at(call, "/id");
	lz_json *copy = lz->json_new(c, LZ_OBJECT),
		*function = lz->json_new(c, LZ_OBJECT);

	index = lz->json_int(lz->json_at(call, "/index"), index);
	if (m->is_chunk)
		set(c, copy, "index", lz->json_of_int(c, index));
	if (name.len > 0) {
		if (word.len == 0 || lz_eq(word, "null")) /* as its schema has it */
			id = made_id(m, index);
		set(c, copy, "id", id);
		set(c, copy, "type", lz->json_of_str(c, lz_strz("function")));
		set(c, function, "name", lz->json_of_str(c, name));
	}
	set(c, function, "arguments", arguments_of(c, call));
	set(c, copy, "function", function);
	return copy;
}

/* How many there are. */
static size_t
put_calls(const struct making *m, lz_json *message, const lz_json *calls)
{
	size_t n = lz->json_type(calls) == LZ_ARRAY ? lz->json_len(calls) : 0;
	lz_json *list;

	if (n == 0)
		return 0;
	list = lz->json_new(m->c, LZ_ARRAY);
	for (size_t i = 0; i < n; i++)
		append(m->c, list, call_of(m, lz->json_item(calls, i, NULL), (int64_t)i));
	set(m->c, message, "tool_calls", list);
	return n;
}

/* ---- choices ---- */

/* OpenAI's word; absent: the answer failed. */
static lz_str
finish_of(lz_str said, int has_calls)
{
	static const char *const same[] = { "length", "tool_calls", "content_filter" };

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (lz_eq(said, same[i]))
			return said;
	if (lz_eq(said, "model_length"))
		return lz_strz("length");
	if (lz_eq(said, "error"))
		return lz_strn(NULL, 0);
	return lz_strz(has_calls ? "tool_calls" : "stop");
}

static int32_t
fail_down(lz_call *c, const char *why)
{
	lz_fault f = {
		.size = sizeof(f), .upstream = LZ_UPSTREAM_DOWN, .message = lz_strz(why)
	};

	return lz->fail(c, &f);
}

static int32_t
put_finish(lz_call *c, lz_json *out, const lz_json *choice, int has_calls)
{
	lz_str said = text_at(choice, "/finish_reason"), word;

	if (said.ptr == NULL)
		return LZ_OK;
	word = finish_of(said, has_calls);
	if (word.ptr == NULL)
		return fail_down(c, "the model ended in an error");
	set(c, out, "finish_reason", lz->json_of_str(c, word));
	return LZ_OK;
}

static int32_t
put_choice(const struct making *m, lz_json *list, const lz_json *choice)
{
	lz_call *c = m->c;
	const lz_json *from = lz->json_at(choice, m->is_chunk ? "/delta" : "/message");
	const lz_json *content = lz->json_at(from, "/content");
	lz_json *out = lz->json_new(c, LZ_OBJECT), *message = lz->json_new(c, LZ_OBJECT);
	size_t calls = put_calls(m, message, lz->json_at(from, "/tool_calls"));

	set(c, out, "index", lz->json_at(choice, "/index"));
	if (lz->json_at(from, "/role") != NULL)
		set(c, message, "role", lz->json_at(from, "/role"));
	if (calls > 0 && lz->json_str(content, lz_strz("")).len == 0 &&
	    lz->json_type(content) != LZ_ARRAY)
		content = NULL; /* "" beside calls is null */
	if (!put_content(c, message, content))
		return LZ_E_NOMEM;
	set(c, out, m->is_chunk ? "delta" : "message", message);
	append(c, list, out);
	return put_finish(c, out, choice, calls > 0);
}

/* ---- the whole ---- */

/* A stream's id and time are the host's: its own last chunks carry them too. */
static void
put_head(const struct making *m, lz_json *out)
{
	static const char *const same[] = { "model", "object", "id", "created" };
	size_t n = m->is_chunk ? 2 : 4;

	for (size_t i = 0; i < n; i++) {
		char pointer[16] = "/";
		const lz_json *value = lz->json_at(m->body, strcat(pointer, same[i]));

		if (value != NULL)
			set(m->c, out, same[i], value);
	}
}

static int32_t
emit(const struct making *m)
{
	const lz_json *choices = lz->json_at(m->body, "/choices");
	lz_json *out = lz->json_new(m->c, LZ_OBJECT),
		*list = lz->json_new(m->c, LZ_ARRAY);

	put_head(m, out);
	for (size_t i = 0, n = lz->json_len(choices); i < n; i++) {
		int32_t result = put_choice(m, list, lz->json_item(choices, i, NULL));

		if (result != LZ_OK)
			return result;
	}
	set(m->c, out, "choices", list);
	return lz->emit(m->c, out);
}

static int32_t
fail_with(lz_call *c, const lz_json *body)
{
	lz_fault f = { .size = sizeof(f),
		.upstream = LZ_UPSTREAM_DOWN,
		.message = lz_strz("the provider's answer is an error") };

	error_read(c, body, &f);
	return lz->fail(c, &f);
}

/* Vectors come as OpenAI's do, and are many: nobody here looks at them. */
int32_t
answer_reply(void *self, lz_call *c, const lz_reply *r)
{
	const lz_json *body;

	(void)self;
	if (lz_eq(lz->request(c)->route, "embeddings"))
		return LZ_AS_IT_CAME;
	body = lz->json_parse(c, r->body);
	if (error_is(body))
		return fail_with(c, body);
	if (lz->json_len(lz->json_at(body, "/choices")) == 0)
		return fail_down(c, "the provider's answer has no choices");
	tell_usage(c, body);
	return emit(&(struct making){ c, body, 0 });
}

int32_t
answer_event(void *self, lz_call *c, lz_str name, lz_str data)
{
	const lz_json *body = lz->json_parse(c, data);

	(void)self;
	(void)name;
	if (body == NULL)
		return LZ_E_FAIL;
	if (error_is(body))
		return fail_with(c, body);
	tell_usage(c, body);
	if (lz->json_len(lz->json_at(body, "/choices")) == 0)
		return LZ_OK;
	return emit(&(struct making){ c, body, 1 });
}
