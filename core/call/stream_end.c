/* stream_end.c - the one honest end of a streamed answer, and the money that brings it
 * forward.
 *
 * The three ends: done (a finish_reason came; [DONE] is held until the trace is written),
 * error (an error object, no [DONE]), cut (the connection aborts). An end is decided
 * once: is_over is set with it, and whatever still calls from further down (a feed, a
 * plugin) finds it set.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include "base/json.h"
#include "call/attempt.h"

enum {
	LAST_BYTES = 64 << 10, /* what may wait for the trace; the rest goes ahead */
	/* After [DONE], for the transport to end and the connection to be kept. */
	LINGER_US = 250 * 1000
};

/* ---- money while it runs ---- */

static int64_t
tokens_delivered(const struct attempt *a)
{
	int64_t by_bytes = a->delivered_bytes / 4;

	return by_bytes > a->delivered_events ? by_bytes : a->delivered_events;
}

/* More money for a part of the bound again: a half, or as much as there is. */
static bool
top_up(struct call *c)
{
	struct attempt *a = c->a;
	int64_t output_nano = a->bound_nano_eur - a->input_nano_eur;

	for (int64_t part = 2; part <= 128; part *= 8) {
		int64_t tokens = a->output_bound / part;

		if (tokens < 1)
			return false;
		/* The prompt's share is in it too: rounded up, and never too little. */
		if (!c->r->ops->top_up(c->r, output_nano / part + 1))
			continue;
		a->output_bound += tokens;
		return true;
	}
	return false;
}

/* The estimate of what has been delivered nears what was reserved: more is asked for
 * before it is passed. When nothing is left, the rest of the bound may still be used; and
 * where the provider knows the limit, it is believed to keep it until it is off by more
 * than an estimate can be. */
bool
stream_is_funded(struct call *c)
{
	struct attempt *a = c->a;
	int64_t tokens = tokens_delivered(a), bound = a->output_bound * c->r->choices;
	bool is_told = a->lowers_output || c->r->max_tokens > 0;

	if (a->bound_nano_eur <= 0 || tokens < bound - bound / 8)
		return true;
	return top_up(c) || tokens <= (is_told ? 2 * bound : bound);
}

/* ---- ends ---- */

static void
hold_last(struct call *c)
{
	struct request *r = c->r;

	r->last_bytes = c->out.failed ? STR_NONE : arena_copy(r->arena, buf_str(&c->out));
	r->is_cut = r->last_bytes.ptr == NULL;
	buf_reset(&c->out);
}

/* The attempt's own end is noted already, and r->fault says why. */
static enum step
say_fault(struct call *c)
{
	struct request *r = c->r;
	char room[REQUEST_SHORT_BYTES];
	struct buf body;

	if (c->out.len > LAST_BYTES)
		stream_flush(c);
	buf_init(&body, LAST_BYTES);
	request_fault_body(r, &body);
	tools_begin(c);
	stream_put(
	    c, body.failed ? request_fault_short(r, room) : buf_str(&body), &c->out);
	buf_free(&body);
	r->ends_in_error = true;
	hold_last(c);
	return STEP_DONE;
}

static enum step
say_error(struct call *c, enum fault f, lz_str message)
{
	request_fail(c->r, f, NULL, "%.*s", STR_ARG(message));
	return say_fault(c);
}

static enum fault
fault_of(const char *end, int32_t blame)
{
	if (strstr(end, "timeout") != NULL)
		return FAULT_UPSTREAM_TIMEOUT;
	if (blame == LZ_UPSTREAM_RATE)
		return FAULT_UPSTREAM_RATE;
	return FAULT_STREAM_INTERRUPTED;
}

enum step
stream_fail(struct call *c, const char *end, int32_t blame, lz_str message)
{
	enum step s = call_failed(c, end, blame, message);

	return c->r->has_begun ? say_error(c, fault_of(end, c->a->blame), c->a->message)
			       : s;
}

enum step
stream_out_of_money(struct call *c)
{
	stream_has_content(c);
	call_given_up(c, "budget");
	return say_error(c, FAULT_BUDGET_SPENT,
	    STR_LIT("this key's budget is spent; the stream ends here"));
}

static void
add_chunk_head(struct call *c, struct buf *b)
{
	buf_add_z(b, "{\"id\":");
	buf_add_json(b, c->answer_id);
	buf_addf(b,
	    ",\"object\":\"chat.completion.chunk\",\"created\":%" PRId64 ",\"model\":",
	    c->r->began.unix_ms / 1000);
	buf_add_json(b, c->a->target->upstream_model);
}

/* A provider that ended properly without saying why gets the reasons that its content
 * implies. */
static void
imply_finish(struct call *c)
{
	for (unsigned i = 0; i < CALL_CHOICES; i++) {
		uint8_t known = c->choice[i];
		lz_str reason = (known & CHOICE_HAS_TOOLS) != 0 ? STR_LIT("tool_calls")
								: STR_LIT("stop");

		if (known == 0 || (known & CHOICE_IS_FINISHED) != 0)
			continue;
		buf_add_z(&c->out, "data: ");
		add_chunk_head(c, &c->out);
		buf_addf(&c->out,
		    ",\"choices\":[{\"index\":%u,\"delta\":{},\"logprobs\":null,"
		    "\"finish_reason\":",
		    i);
		buf_add_json(&c->out, reason);
		buf_add_z(&c->out, "}]}\n\n");
		if (c->r->finish.ptr == NULL)
			c->r->finish = reason;
	}
}

/* For who asked, when the provider did not bring one of its own. */
static void
make_usage_chunk(struct call *c, const struct record_usage *u)
{
	struct request *r = c->r;
	json_t *usage;
	struct buf b;

	if (!r->wants_usage_chunk || c->usage_chunk.ptr != NULL)
		return;
	usage = shape_usage(u);
	buf_init(&b, 8192);
	add_chunk_head(c, &b);
	buf_add_z(&b, ",\"choices\":[],\"usage\":");
	if (json_print(usage, &b)) {
		buf_add_char(&b, '}');
		c->usage_chunk = arena_copy(r->arena, buf_str(&b));
	}
	buf_free(&b);
	json_decref(usage);
}

static bool
has_any(const struct call *c)
{
	return c->a->delivered_events > 0 || c->r->has_begun;
}

static enum step
complete(struct call *c)
{
	if (!has_any(c))
		return stream_fail(c, "no_answer", LZ_UPSTREAM_DOWN,
		    STR_LIT("the provider ended a stream that held nothing"));
	stream_has_content(c);
	if (c->out.len > LAST_BYTES)
		stream_flush(c);
	imply_finish(c);
	if (c->a->has_usage)
		make_usage_chunk(c, &c->a->usage);
	c->r->usage_chunk = c->usage_chunk;
	hold_last(c);
	call_succeeded(c);
	return STEP_DONE;
}

/* A guardrail refused what was to go out. Of what is held nothing leaves. */
enum step
stream_filtered(struct call *c)
{
	struct request *r = c->r;
	struct record_usage u;

	call_given_up(c, "guardrail");
	if (!r->has_begun)
		return STEP_FAULT;
	if (r->fault != FAULT_CONTENT_POLICY)
		return say_fault(c);
	guarded_end_filtered(c);
	u = c->a->usage;
	if (!c->a->has_usage)
		u = (struct record_usage){ .input = r->prompt_tokens,
			.output = tokens_delivered(c->a) };
	make_usage_chunk(c, &u);
	r->usage_chunk = c->usage_chunk;
	hold_last(c);
	return STEP_DONE;
}

/* Nothing more comes of the provider's. What guardrails still hold is shown to them as
 * final. STEP_WAIT: stream_checked() follows. */
enum step
stream_conclude(struct call *c)
{
	if (c->guarded == NULL || !has_any(c))
		return complete(c);
	if (c->is_checking) { /* then it is their turn again */
		c->is_concluding = true;
		return STEP_WAIT;
	}
	switch (guarded_run(c, true)) {
	case GUARD_WAITS:
		c->is_concluding = true;
		call_hold_up(c);
		return STEP_WAIT;
	case GUARD_REFUSED:
		return stream_filtered(c);
	default:
		return complete(c);
	}
}

static void
lingered(void *arg)
{
	call_stop(arg);
}

/* Nothing more is taken; the end waits for the transport a moment, so that the connection
 * can be kept. The timer is the one that was set when the attempt began: moving it needs
 * no memory. */
void
stream_close(struct call *c, enum step s)
{
	int64_t after_us = s == STEP_DONE && c->has_done ? LINGER_US : 0;
	enum status st;

	c->ended = s;
	c->is_over = true;
	if (s == STEP_WAIT) /* for a guardrail: the deadline stays */
		return;
	st = loop_timer_set(c->r->worker->loop, &c->limit, after_us, lingered, c);
	must(st == ST_OK);
}
