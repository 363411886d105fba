/* answer.c - answers that come whole: passed on as they are, or translated by the
 * provider's reply().
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "base/jscan.h"
#include "call/attempt.h"

/* Takes the text over: the request owns it from here on. choices: a part of it. */
static enum step
hand_over(struct call *c, struct buf *text, lz_str choices)
{
	struct request *r = c->r;

	chunk_read_whole(c, choices);
	r->answer = *text;
	buf_init(text, text->max_bytes);
	r->answer_status = 200;
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

enum step
answer_refused(struct call *c)
{
	lz_reply reply;
	lz_fault f;

	verdict_judge(c, &f);
	fill_reply(c, &reply);
	if (c->table->classify != NULL)
		(void)visit_classify(c->visit, &reply, &f);
	return call_fault(c, &f, "refused");
}

static enum step
bad_answer(struct call *c, const char *why)
{
	return call_failed(c, "bad_answer", LZ_UPSTREAM_DOWN, lz_strz(why));
}

static enum step passed_on(struct call *c);

static enum step
translated(struct call *c)
{
	const lz_fault *f;
	lz_reply reply;
	int32_t result;

	fill_reply(c, &reply);
	result = visit_reply(c->visit, &reply);
	f = visit_fault(c->visit);
	if (result == LZ_OK)
		return answer_framed(c);
	if (result == LZ_AS_IT_CAME)
		return passed_on(c);
	if (f != NULL)
		return call_fault(c, f, "refused");
	return bad_answer(c, "the provider's answer could not be translated");
}

/* A million numbers are an answer; a million of anything else are none. */
static enum status
scan_answer(const struct call *c, const struct buf *text, struct jscan *scan)
{
	return c->r->kind == REQUEST_EMBEDDINGS
		   ? jscan_object_of_any_size(buf_str(text), scan, NULL)
		   : jscan_object(buf_str(text), scan, NULL);
}

/* OpenAI's own shape, passed on byte for byte. */
static enum step
passed_on(struct call *c)
{
	struct jscan scan;
	const struct jscan_member *m;

	if (scan_answer(c, &c->body, &scan) != ST_OK)
		return bad_answer(c, "the provider's answer is not JSON");
	m = jscan_find(&scan, "error");
	if (m != NULL && m->type == JSCAN_OBJECT) {
		c->status = c->a->status = verdict_status(m->value);
		return answer_refused(c);
	}
	if (c->r->is_stream)
		return call_failed(c, "bad_answer", LZ_UPSTREAM_UNABLE,
		    STR_LIT("the provider answered a stream with a whole document"));
	m = jscan_find(&scan, "usage");
	c->a->has_usage =
	    m != NULL && m->type == JSCAN_OBJECT && chunk_usage(m->value, &c->a->usage);
	if (c->r->kind == REQUEST_EMBEDDINGS)
		return vectors_taken(c, &c->body, &scan);
	m = jscan_find(&scan, "choices");
	if (m == NULL || !chunk_has_items(m))
		return bad_answer(c, "the provider's answer has no choices");
	chunk_note_model(c, jscan_find(&scan, "model"));
	return hand_over(c, &c->body, m->value);
}

enum step
answer_whole(struct call *c)
{
	if (c->status < 200 || c->status >= 300)
		return call_failed(c, "redirect", LZ_UPSTREAM_UNABLE,
		    STR_LIT("the provider answered with a redirect"));
	if (c->table->reply != NULL && !c->r->is_stream)
		return translated(c);
	return passed_on(c);
}

void
answer_emit(struct call *c, const json_t *j)
{
	json_decref(c->emitted);
	c->emitted = json_deep_copy(j);
	/* What the plugin built, too: the host's flag was clear when it was entered. */
	c->has_run_dry |= json_ran_dry();
}

static enum step
out_of_memory(struct call *c)
{
	return call_failed(c, "out_of_memory", LZ_UPSTREAM_UNABLE,
	    STR_LIT("the gateway is out of memory"));
}

enum step
answer_framed(struct call *c)
{
	bool is_chat = c->r->kind == REQUEST_CHAT;
	struct jscan scan;
	struct buf text;
	enum step s;

	if (c->has_run_dry)
		return out_of_memory(c);
	if (!json_is_array(json_object_get(c->emitted, is_chat ? "choices" : "data")))
		return call_failed(c, "no_answer", LZ_UPSTREAM_DOWN,
		    STR_LIT("the provider gave no answer"));
	(void)json_ran_dry();
	c->emitted = is_chat ? shape_answer(c, c->emitted) : shape_vectors(c, c->emitted);
	if (json_ran_dry())
		return out_of_memory(c);
	buf_init(&text, call_answer_max(c->r));
	if (!json_print(c->emitted, &text) || scan_answer(c, &text, &scan) != ST_OK)
		s = call_failed(c, "bad_answer", LZ_UPSTREAM_UNABLE,
		    STR_LIT("the provider's answer is larger than limits.answer_bytes, "
			    "or deeper than JSON may be"));
	else if (is_chat)
		s = hand_over(c, &text, jscan_find(&scan, "choices")->value);
	else
		s = vectors_taken(c, &text, &scan);
	buf_free(&text);
	return s;
}
