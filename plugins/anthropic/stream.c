/* stream.c - Anthropic's events as OpenAI's chunks.
 *
 * Blocks come one after the other, never interleaved. Text, thinking and the pieces of a
 * tool's arguments go on as they come; what must survive as a whole (thinking with its
 * signature, citations) is gathered and leaves with the tool's call that it led to, else
 * with the finish_reason. Gathered text grows in lz->keep(), doubling, so that a long
 * thought costs its length and not its square.
 *
 * SPDX-License-Identifier: MIT
 */
#include "answer.h"
#include "text.h"

enum block {
	BLOCK_OTHER, /* what has no twin */
	BLOCK_TEXT,
	BLOCK_THINKING,
	BLOCK_TOOL
};

struct flow {
	lz_usage usage;
	enum block block;
	int64_t tools;       /* begun so far */
	int has_arguments;   /* of the tool at hand, some went out */
	int is_finished;     /* a finish_reason went out */
	int has_stopped;     /* message_stop came */
	int is_out;          /* of memory */
	size_t text_bytes;   /* that went out */
	struct text input;   /* of the tool at hand, as its block began; JSON */
	struct text thought; /* the block of thinking at hand */
	struct text signature;
	struct text blocks, citations; /* gathered: JSON, with commas between */
};

static void
append(lz_call *c, struct flow *f, struct text *t, lz_str s)
{
	text_add(c, t, s, lz->keep);
	f->is_out |= t->has_failed;
}

static void
gather(lz_call *c, struct flow *f, struct text *list, const lz_json *value)
{
	lz_str s = lz->json_text(c, value);

	f->is_out |= s.ptr == NULL;
	if (list->len > 0)
		append(c, f, list, lz_strz(","));
	append(c, f, list, s);
}

/* What was gathered, at `pointer` of the chunk; then there is none. */
static void
release(
    lz_call *c, struct flow *f, struct text *list, lz_json *chunk, const char *pointer)
{
	struct text whole = { .ptr = NULL };

	if (list->len == 0)
		return;
	append(c, f, &whole, lz_strz("["));
	append(c, f, &whole, text_str(list));
	append(c, f, &whole, lz_strz("]"));
	(void)lz->json_put(c, chunk, pointer, lz->json_parse(c, text_str(&whole)));
	list->len = 0;
}

static int32_t
emit_one(lz_call *c, const char *pointer, const lz_json *value)
{
	lz_json *chunk = lz->json_new(c, LZ_OBJECT);

	if (lz->json_put(c, chunk, pointer, value) != LZ_OK)
		return LZ_E_NOMEM;
	return lz->emit(c, chunk);
}

/* ---- tools ---- */

static int32_t
emit_arguments(lz_call *c, struct flow *f, const lz_json *piece)
{
	lz_json *chunk = lz->json_new(c, LZ_OBJECT);

	(void)lz->json_put(c, chunk, "/choices/0/delta/tool_calls/0/index",
	    lz->json_of_int(c, f->tools - 1));
	(void)lz->json_put(
	    c, chunk, "/choices/0/delta/tool_calls/0/function/arguments", piece);
	f->has_arguments = 1;
	return lz->emit(c, chunk);
}

static int32_t
begin_tool(lz_call *c, struct flow *f, const lz_json *block)
{
	const lz_json *input = lz->json_at(block, "/input");
	lz_json *chunk = lz->json_new(c, LZ_OBJECT), *call = lz->json_new(c, LZ_OBJECT);

	(void)lz->json_put(c, call, "/index", lz->json_of_int(c, f->tools++));
	(void)lz->json_put(c, call, "/id", lz->json_at(block, "/id"));
	(void)lz->json_put(c, call, "/type", lz->json_of_str(c, lz_strz("function")));
	(void)lz->json_put(c, call, "/function/name", lz->json_at(block, "/name"));
	(void)lz->json_put(
	    c, call, "/function/arguments", lz->json_of_str(c, lz_strz("")));
	release(c, f, &f->blocks, call, "/extra_content/anthropic/blocks");
	(void)lz->json_put(c, chunk, "/choices/0/delta/tool_calls/-", call);
	f->has_arguments = 0;
	f->input.len = 0;
	if (lz->json_len(input) > 0)
		append(c, f, &f->input, lz->json_text(c, input));
	return lz->emit(c, chunk);
}

/* Arguments that never came in pieces: those of the block's beginning, or none. */
static int32_t
end_tool(lz_call *c, struct flow *f)
{
	if (f->has_arguments)
		return LZ_OK;
	return emit_arguments(c, f,
	    lz->json_of_str(c, f->input.len > 0 ? text_str(&f->input) : lz_strz("{}")));
}

/* ---- blocks ---- */

static int32_t
say_text(lz_call *c, struct flow *f, const lz_json *text)
{
	size_t n = lz->json_str(text, lz_strz("")).len;

	f->text_bytes += n;
	return n > 0 ? emit_one(c, "/choices/0/delta/content", text) : LZ_OK;
}

static int32_t
say_thinking(lz_call *c, struct flow *f, const lz_json *text)
{
	lz_str s = lz->json_str(text, lz_strz(""));

	append(c, f, &f->thought, s);
	return s.len > 0 ? emit_one(c, "/choices/0/delta/reasoning_content", text)
			 : LZ_OK;
}

static int32_t
begin_block(lz_call *c, struct flow *f, const lz_json *data)
{
	const lz_json *block = lz->json_at(data, "/content_block");
	lz_str type = answer_word(block, "/type");

	f->block = BLOCK_OTHER;
	if (lz_eq(type, "text")) {
		f->block = BLOCK_TEXT;
		return say_text(c, f, lz->json_at(block, "/text"));
	}
	if (lz_eq(type, "tool_use")) {
		f->block = BLOCK_TOOL;
		return begin_tool(c, f, block);
	}
	if (lz_eq(type, "thinking")) {
		f->block = BLOCK_THINKING;
		f->thought.len = f->signature.len = 0;
		append(c, f, &f->signature, answer_word(block, "/signature"));
		return say_thinking(c, f, lz->json_at(block, "/thinking"));
	}
	if (lz_eq(type, "redacted_thinking"))
		gather(c, f, &f->blocks,
		    answer_thought(
			c, answer_word(block, "/data"), lz_strn(NULL, 0), f->text_bytes));
	return LZ_OK;
}

static int32_t
take_delta(lz_call *c, struct flow *f, const lz_json *data)
{
	const lz_json *delta = lz->json_at(data, "/delta");
	lz_str type = answer_word(delta, "/type");

	if (lz_eq(type, "text_delta"))
		return say_text(c, f, lz->json_at(delta, "/text"));
	if (lz_eq(type, "thinking_delta"))
		return say_thinking(c, f, lz->json_at(delta, "/thinking"));
	if (lz_eq(type, "signature_delta"))
		append(c, f, &f->signature, answer_word(delta, "/signature"));
	if (lz_eq(type, "citations_delta"))
		gather(c, f, &f->citations, lz->json_at(delta, "/citation"));
	if (lz_eq(type, "input_json_delta") && f->block == BLOCK_TOOL &&
	    answer_word(delta, "/partial_json").len > 0)
		return emit_arguments(c, f, lz->json_at(delta, "/partial_json"));
	return LZ_OK;
}

static int32_t
end_block(lz_call *c, struct flow *f, const lz_json *data)
{
	enum block block = f->block;

	(void)data;
	f->block = BLOCK_OTHER;
	if (block == BLOCK_TOOL)
		return end_tool(c, f);
	if (block == BLOCK_THINKING && f->signature.len > 0)
		gather(c, f, &f->blocks,
		    answer_thought(c, text_str(&f->thought), text_str(&f->signature),
			f->text_bytes));
	return LZ_OK;
}

/* ---- the message ---- */

static int32_t
take_usage(lz_call *c, struct flow *f, const lz_json *usage)
{
	if (lz->json_type(usage) != LZ_OBJECT)
		return LZ_OK;
	answer_usage(usage, &f->usage);
	return lz->usage(c, &f->usage);
}

static int32_t
begin_message(lz_call *c, struct flow *f, const lz_json *data)
{
	return take_usage(c, f, lz->json_at(data, "/message/usage"));
}

static int32_t
take_message_delta(lz_call *c, struct flow *f, const lz_json *data)
{
	lz_str reason = answer_word(data, "/delta/stop_reason");
	int32_t result = take_usage(c, f, lz->json_at(data, "/usage"));
	lz_json *chunk;

	if (result != LZ_OK || reason.len == 0 || f->is_finished)
		return result;
	chunk = lz->json_new(c, LZ_OBJECT);
	release(
	    c, f, &f->blocks, chunk, "/choices/0/delta/extra_content/anthropic/blocks");
	release(c, f, &f->citations, chunk,
	    "/choices/0/delta/extra_content/anthropic/citations");
	if (lz_eq(reason, "refusal"))
		(void)lz->json_put(c, chunk, "/choices/0/delta/refusal",
		    lz->json_at(data, "/delta/stop_details/explanation"));
	(void)lz->json_put(c, chunk, "/choices/0/finish_reason",
	    lz->json_of_str(c, answer_finish(reason)));
	f->is_finished = 1;
	return lz->emit(c, chunk);
}

static int32_t
end_message(lz_call *c, struct flow *f, const lz_json *data)
{
	(void)c;
	(void)data;
	f->has_stopped = 1;
	return LZ_OK;
}

static int32_t
take_error(lz_call *c, struct flow *f, const lz_json *data)
{
	(void)f;
	return fault_say(c, lz->json_at(data, "/error"));
}

/* The most frequent first; what is not here says nothing that OpenAI has. */
static const struct {
	const char *name;
	int32_t (*take)(lz_call *c, struct flow *f, const lz_json *data);
} events[] = {
	{ "content_block_delta", take_delta },
	{ "content_block_start", begin_block },
	{ "content_block_stop", end_block },
	{ "message_start", begin_message },
	{ "message_delta", take_message_delta },
	{ "message_stop", end_message },
	{ "error", take_error },
};

static struct flow *
flow_of(lz_call *c)
{
	struct flow **slot = (struct flow **)lz->slot(c);

	if (*slot == NULL)
		*slot = lz->keep(c, sizeof(**slot));
	if (*slot != NULL)
		(*slot)->usage.size = sizeof((*slot)->usage);
	return *slot;
}

int32_t
stream_event(void *self, lz_call *c, lz_str name, lz_str data)
{
	const lz_json *j = lz->json_parse(c, data);
	struct flow *f = flow_of(c);
	int32_t result = LZ_OK;

	(void)self;
	if (f == NULL || lz->json_type(j) != LZ_OBJECT)
		return LZ_E_FAIL;
	if (name.len == 0 || lz_eq(name, "message")) /* a proxy lost it */
		name = answer_word(j, "/type");
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (lz_eq(name, events[i].name)) {
			result = events[i].take(c, f, j);
			break;
		}
	return f->is_out ? LZ_E_NOMEM : result;
}

int32_t
stream_end(void *self, lz_call *c, int32_t clean)
{
	struct flow *f = flow_of(c);

	(void)self;
	return clean && f != NULL && (f->has_stopped || f->is_finished) ? LZ_OK
									: LZ_E_FAIL;
}
