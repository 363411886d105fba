/* answer.c - a whole answer of Anthropic's as OpenAI's.
 *
 * Texts are joined, tools become calls. Thinking is shown as reasoning_content, and kept
 * with its signature in extra_content.anthropic of the call that it led to, else of the
 * message: message.c puts it back when the client sends it along.
 *
 * SPDX-License-Identifier: MIT
 */
#include "answer.h"

/* An answer under way. */
struct answer {
	lz_call *c;
	lz_json *message;
	lz_json *calls, *blocks, *citations; /* NULL: none yet */
	size_t text_bytes;
};

lz_str
answer_word(const lz_json *j, const char *pointer)
{
	return lz->json_str(lz->json_at(j, pointer), lz_strz(""));
}

static const struct {
	const char *anthropic, *openai;
} reasons[] = {
	{ "end_turn", "stop" },
	{ "stop_sequence", "stop" },
	{ "pause_turn", "stop" },
	{ "tool_use", "tool_calls" },
	{ "max_tokens", "length" },
	{ "model_context_window_exceeded", "length" },
	{ "refusal", "content_filter" },
};

lz_str
answer_finish(lz_str stop_reason)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (lz_eq(stop_reason, reasons[i].anthropic))
			return lz_strz(reasons[i].openai);
	return lz_strz("stop");
}

void
answer_usage(const lz_json *usage, lz_usage *out)
{
	out->input = lz->json_int(lz->json_at(usage, "/input_tokens"), out->input);
	out->output = lz->json_int(lz->json_at(usage, "/output_tokens"), out->output);
	out->cache_read =
	    lz->json_int(lz->json_at(usage, "/cache_read_input_tokens"), out->cache_read);
	out->cache_write = lz->json_int(
	    lz->json_at(usage, "/cache_creation_input_tokens"), out->cache_write);
	out->cache_write_1h =
	    lz->json_int(lz->json_at(usage, "/cache_creation/ephemeral_1h_input_tokens"),
		out->cache_write_1h);
	out->reasoning = lz->json_int(
	    lz->json_at(usage, "/output_tokens_details/thinking_tokens"), out->reasoning);
}

static void
set_text(lz_call *c, lz_json *object, const char *key, lz_str s)
{
	(void)lz->json_set(c, object, lz_strz(key), lz->json_of_str(c, s));
}

lz_json *
answer_thought(lz_call *c, lz_str text, lz_str signature, size_t at)
{
	lz_json *block = lz->json_new(c, LZ_OBJECT);
	int is_redacted = signature.ptr == NULL;

	if (at > 0)
		(void)lz->json_set(
		    c, block, lz_strz("at"), lz->json_of_int(c, (int64_t)at));
	set_text(
	    c, block, "type", lz_strz(is_redacted ? "redacted_thinking" : "thinking"));
	set_text(c, block, is_redacted ? "data" : "thinking", text);
	if (!is_redacted)
		set_text(c, block, "signature", signature);
	return block;
}

/* ---- texts ---- */

/* All texts of a kind as one; a single one is not copied. NULL: there is none. */
static const lz_json *
joined(lz_call *c, const lz_json *content, const char *type, const char *pointer)
{
	const lz_json *first = NULL;
	size_t n = lz->json_len(content), bytes = 0, count = 0, at = 0;
	char *all;

	for (size_t i = 0; i < n; i++) {
		const lz_json *block = lz->json_item(content, i, NULL);

		if (!lz_eq(answer_word(block, "/type"), type))
			continue;
		bytes += answer_word(block, pointer).len;
		if (count++ == 0)
			first = lz->json_at(block, pointer);
	}
	all = count > 1 ? lz->alloc(c, bytes + 1) : NULL;
	for (size_t i = 0; i < n && all != NULL; i++) {
		const lz_json *block = lz->json_item(content, i, NULL);
		lz_str s = answer_word(block, pointer);

		if (!lz_eq(answer_word(block, "/type"), type) || s.len == 0)
			continue;
		memcpy(all + at, s.ptr, s.len);
		at += s.len;
	}
	return all != NULL ? lz->json_of_str(c, lz_strn(all, at)) : first;
}

/* ---- blocks ---- */

static void
append(lz_call *c, lz_json **list, const lz_json *value)
{
	if (*list == NULL)
		*list = lz->json_new(c, LZ_ARRAY);
	(void)lz->json_put(c, *list, "/-", value);
}

static void
take_text(struct answer *a, const lz_json *block)
{
	const lz_json *citations = lz->json_at(block, "/citations");

	a->text_bytes += answer_word(block, "/text").len;
	for (size_t i = 0, n = lz->json_len(citations); i < n; i++)
		append(a->c, &a->citations, lz->json_item(citations, i, NULL));
}

static void
take_thinking(struct answer *a, const lz_json *block)
{
	lz_str signature = answer_word(block, "/signature");

	if (signature.len > 0)
		append(a->c, &a->blocks,
		    answer_thought(
			a->c, answer_word(block, "/thinking"), signature, a->text_bytes));
}

static void
take_redacted(struct answer *a, const lz_json *block)
{
	append(a->c, &a->blocks,
	    answer_thought(
		a->c, answer_word(block, "/data"), lz_strn(NULL, 0), a->text_bytes));
}

static void
take_tool(struct answer *a, const lz_json *block)
{
	lz_json *call = lz->json_new(a->c, LZ_OBJECT);
	lz_str input = lz->json_text(a->c, lz->json_at(block, "/input"));

	set_text(a->c, call, "id", answer_word(block, "/id"));
	set_text(a->c, call, "type", lz_strz("function"));
	(void)lz->json_put(a->c, call, "/function/name", lz->json_at(block, "/name"));
	(void)lz->json_put(a->c, call, "/function/arguments",
	    lz->json_of_str(a->c, input.len > 0 ? input : lz_strz("{}")));
	if (a->blocks != NULL)
		(void)lz->json_put(
		    a->c, call, "/extra_content/anthropic/blocks", a->blocks);
	a->blocks = NULL;
	append(a->c, &a->calls, call);
}

static const struct {
	const char *type;
	void (*take)(struct answer *a, const lz_json *block);
} kinds[] = {
	{ "text", take_text },
	{ "tool_use", take_tool },
	{ "thinking", take_thinking },
	{ "redacted_thinking", take_redacted },
};

static void
take_content(struct answer *a, const lz_json *content)
{
	for (size_t i = 0, n = lz->json_len(content); i < n; i++) {
		const lz_json *block = lz->json_item(content, i, NULL);

		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			if (lz_eq(answer_word(block, "/type"), kinds[k].type))
				kinds[k].take(a, block);
	}
}

static void
fill_message(struct answer *a, const lz_json *reply)
{
	const lz_json *content = lz->json_at(reply, "/content");
	const lz_json *why = lz->json_at(reply, "/stop_details/explanation");
	lz_json *m = a->message;

	(void)lz->json_put(a->c, m, "/content", joined(a->c, content, "text", "/text"));
	if (lz_eq(answer_word(reply, "/stop_reason"), "refusal"))
		(void)lz->json_put(a->c, m, "/refusal", why);
	(void)lz->json_put(a->c, m, "/reasoning_content",
	    joined(a->c, content, "thinking", "/thinking"));
	take_content(a, content);
	(void)lz->json_put(a->c, m, "/tool_calls", a->calls);
	(void)lz->json_put(a->c, m, "/extra_content/anthropic/blocks", a->blocks);
	(void)lz->json_put(a->c, m, "/extra_content/anthropic/citations", a->citations);
}

int32_t
answer_reply(void *self, lz_call *c, const lz_reply *r)
{
	const lz_json *reply = lz->json_parse(c, r->body);
	struct answer a = { .c = c, .message = lz->json_new(c, LZ_OBJECT) };
	lz_json *out = lz->json_new(c, LZ_OBJECT);
	lz_usage usage = { .size = sizeof(usage) };

	(void)self;
	if (lz->json_type(lz->json_at(reply, "/error")) == LZ_OBJECT)
		return fault_say(c, lz->json_at(reply, "/error"));
	if (lz->json_type(lz->json_at(reply, "/content")) != LZ_ARRAY)
		return LZ_E_FAIL;
	fill_message(&a, reply);
	(void)lz->json_put(c, out, "/choices/0/message", a.message);
	(void)lz->json_put(c, out, "/choices/0/finish_reason",
	    lz->json_of_str(c, answer_finish(answer_word(reply, "/stop_reason"))));
	if (lz->json_type(lz->json_at(reply, "/usage")) == LZ_OBJECT) {
		answer_usage(lz->json_at(reply, "/usage"), &usage);
		(void)lz->usage(c, &usage);
	}
	return lz->emit(c, out);
}
