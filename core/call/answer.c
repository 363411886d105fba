/* answer.c - answers that come whole: passed on as they are, or translated by the
 * provider's reply().
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "call/attempt.h"

/* Takes the text over: the request owns it from here on. */
static enum step
hand_over(struct call *c, struct buf *text)
{
	struct request *r = c->r;

	r->answer = *text;
	buf_init(text, text->max_bytes);
	r->answer_status = 200;
	r->finish = dialect_string_after(buf_str(&r->answer), "\"finish_reason\"");
	c->a->delivered_bytes =
	    (int64_t)dialect_string_after(buf_str(&r->answer), "\"content\"").len;
	call_succeeded(c);
	return STEP_DONE;
}

static void
fill_reply(const struct call *c, lz_reply *out)
{
	*out = (lz_reply){ .size = sizeof *out,
		.status = c->status,
		.body = buf_str(&c->body),
		.headers = c->field,
		.header_count = c->field_count };
}

static enum step
refused(struct call *c)
{
	lz_reply reply;
	lz_fault f;

	dialect_judge(c, &f);
	fill_reply(c, &reply);
	if (c->table->classify != NULL)
		visit_classify(c->visit, &reply, &f);
	return call_fault(c, &f, "refused");
}

static enum step
translated(struct call *c)
{
	const lz_fault *f;
	lz_reply reply;
	int32_t result;

	fill_reply(c, &reply);
	result = visit_reply(c->visit, &reply);
	f = visit_fault(c->visit);
	if (result != LZ_OK && f != NULL)
		return call_fault(c, f, "refused");
	if (result != LZ_OK)
		return call_failed(c, "bad_answer", LZ_UPSTREAM_DOWN,
		    STR_LIT("the provider's answer could not be translated"));
	return answer_framed(c);
}

enum step
answer_whole(struct call *c)
{
	struct jscan scan;
	const struct jscan_member *m;

	if (c->status >= 400)
		return refused(c);
	if (c->status < 200 || c->status >= 300)
		return call_failed(c, "redirect", LZ_UPSTREAM_UNABLE,
		    STR_LIT("the provider answered with a redirect"));
	if (c->table->reply != NULL && !c->r->is_stream)
		return translated(c);
	if (jscan_object(buf_str(&c->body), &scan, NULL) != ST_OK)
		return call_failed(c, "bad_answer", LZ_UPSTREAM_DOWN,
		    STR_LIT("the provider's answer is not JSON"));
	m = jscan_find(&scan, "error");
	if (m != NULL && m->type == JSCAN_OBJECT) { /* an error under a 200 */
		c->status = 502;
		return refused(c);
	}
	if (c->r->is_stream)
		return call_failed(c, "bad_answer", LZ_UPSTREAM_UNABLE,
		    STR_LIT("the provider answered a stream with a whole document"));
	m = jscan_find(&scan, "choices");
	if (m == NULL || m->type != JSCAN_ARRAY)
		return call_failed(c, "bad_answer", LZ_UPSTREAM_DOWN,
		    STR_LIT("the provider's answer has no choices"));
	m = jscan_find(&scan, "usage");
	c->a->has_usage =
	    m != NULL && m->type == JSCAN_OBJECT && dialect_usage(m->value, &c->a->usage);
	return hand_over(c, &c->body);
}

/* ---- what a translation leaves to the host: the frame of an OpenAI answer ---- */

void
answer_default_string(json_t *j, const char *key, lz_str value)
{
	if (json_object_get(j, key) == NULL)
		json_object_set_new(j, key, json_stringn(value.ptr, value.len));
}

void
answer_default(json_t *j, const char *key, json_t *value)
{
	if (json_object_get(j, key) == NULL)
		json_object_set(j, key, value);
	json_decref(value);
}

json_t *
answer_usage(const struct record_usage *u)
{
	int64_t prompt = u->input + u->cache_read + u->cache_write;

	return json_pack("{s:I, s:I, s:I, s:{s:I}, s:{s:I}}", "prompt_tokens",
	    (json_int_t)prompt, "completion_tokens", (json_int_t)u->output,
	    "total_tokens", (json_int_t)(prompt + u->output), "prompt_tokens_details",
	    "cached_tokens", (json_int_t)u->cache_read, "completion_tokens_details",
	    "reasoning_tokens", (json_int_t)u->reasoning);
}

void
answer_emit(struct call *c, const json_t *j)
{
	json_decref(c->emitted);
	c->emitted = json_deep_copy(j);
}

enum step
answer_framed(struct call *c)
{
	struct request *r = c->r;
	json_t *j = c->emitted, *choice, *message;
	struct buf text;
	size_t i;
	bool is_printed;

	if (j == NULL)
		return call_failed(c, "no_answer", LZ_UPSTREAM_DOWN,
		    STR_LIT("the provider gave no answer"));
	answer_default_string(j, "id", arena_printf(r->arena, "chatcmpl-%s", r->id_hex));
	answer_default_string(j, "object", STR_LIT("chat.completion"));
	answer_default(j, "created", json_integer(r->began.unix_ms / 1000));
	answer_default_string(j, "model", c->a->target->upstream_model);
	json_array_foreach(json_object_get(j, "choices"), i, choice)
	{
		answer_default(choice, "index", json_integer((json_int_t)i));
		answer_default(choice, "logprobs", json_null());
		message = json_object_get(choice, "message");
		answer_default_string(message, "role", STR_LIT("assistant"));
		answer_default(message, "content", json_null());
		answer_default(message, "refusal", json_null());
	}
	if (c->a->has_usage)
		answer_default(j, "usage", answer_usage(&c->a->usage));
	buf_init(&text, (size_t)r->config->limits.answer_bytes);
	is_printed = json_print(j, &text);
	if (!is_printed) {
		buf_free(&text);
		return call_failed(c, "bad_answer", LZ_UPSTREAM_UNABLE,
		    STR_LIT("the provider's answer is larger than limits.answer_bytes"));
	}
	return hand_over(c, &text);
}
