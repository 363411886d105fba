/* stream.c - streamed answers: events in, events out. How one ends is stream_end.c's.
 *
 * Start-up events, the ones before any content, are held back, so that an error inside a
 * 200 can still fail over; from the first content on the client has the stream and
 * nothing is tried again. All events of one readable event leave in one write.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "call/attempt.h"

enum {
	OUT_BYTES = 4 << 20, /* events waiting for one flush */
	/* Unsent, of a plugin that goes on within one call: nobody can hold it up. */
	AHEAD_BYTES = 8 << 20,
	ANSWER_TEXT_BYTES = 262144, /* of an answer kept for the trace */
	/* A comment keeps proxies in between from cutting a silent stream. */
	PING_US = 15 * 1000 * 1000
};

/* ---- out ---- */

static void on_ping(void *arg);

static void
arm_ping(struct call *c)
{
	if (loop_timer_set(c->r->worker->loop, &c->ping, PING_US, on_ping, c) != ST_OK)
		return; /* no memory for a timer: the stream goes on without pings */
}

void
stream_has_content(struct call *c)
{
	struct request *r = c->r;

	if (r->has_begun)
		return;
	r->ops->answers(r, c->a);
	request_probe_answers(c->a);
	r->has_begun = true;
	r->answer_status = 200;
	r->ops->begin_stream(r);
	arm_ping(c);
}

void
stream_flush(struct call *c)
{
	struct request *r = c->r;
	bool goes_on;

	if (c->out.len == 0 || !r->has_begun || r->x == NULL)
		return;
	goes_on = exchange_write(r->x, buf_str(&c->out));
	buf_reset(&c->out);
	if (!goes_on)
		call_pause(c);
}

static void
on_ping(void *arg)
{
	struct call *c = arg;

	if (c->is_over || c->r->x == NULL)
		return;
	if (exchange_unsent(c->r->x) == 0)
		(void)exchange_write(c->r->x, STR_LIT(": ping\n\n"));
	arm_ping(c);
}

/* JSON that came in several data lines leaves in one: between its values a line's end is
 * a blank, and inside them there is none. */
void
stream_make_one_line(char *p, size_t n)
{
	char *end = p + n;

	while (n > 0 && (p = memchr(p, '\n', (size_t)(end - p))) != NULL)
		*p++ = ' ';
}

void
stream_put(const struct call *c, lz_str data, struct buf *out)
{
	size_t at;

	buf_add_z(out, "data: ");
	at = out->len;
	tools_put(c, data, out);
	if (!out->failed)
		stream_make_one_line(out->ptr + at, out->len - at);
	buf_add_z(out, "\n\n");
}

/* ---- in: events as they are ---- */

/* An error inside a 200 stands for a status of its own. */
static void
pass_error(struct call *c, lz_str data, lz_str error)
{
	lz_reply reply = { .size = sizeof reply, .body = data };
	lz_fault f;

	buf_reset(&c->body);
	buf_add_str(&c->body, data);
	c->status = c->a->status = verdict_status(error);
	reply.status = c->status;
	verdict_judge(c, &f);
	if (c->table->classify != NULL && c->table->event == NULL)
		(void)visit_classify(c->visit, &reply, &f);
	if (c->r->has_begun)
		stream_close(c, stream_fail(c, "error_event", f.upstream, f.message));
	else
		stream_close(c, call_fault(c, &f, "error_event"));
}

/* One chunk of OpenAI's shape on its way out. The one that there is no money for stays
 * here, and weighs nothing. */
static void
pass_chunk(struct call *c, lz_str data)
{
	struct request *r = c->r;
	int64_t bytes = c->a->delivered_bytes, events = c->a->delivered_events;
	struct chunk k;

	if (chunk_read(c, data, &k) != ST_OK) {
		stream_close(
		    c, stream_fail(c, "bad_event", LZ_UPSTREAM_DOWN,
			   STR_LIT("the provider sent an event that is not JSON")));
		return;
	}
	if (k.error.ptr != NULL) {
		pass_error(c, data, k.error);
		return;
	}
	if (k.usage.ptr != NULL && chunk_usage(k.usage, &c->a->usage))
		c->a->has_usage = true;
	if (k.is_usage_only) { /* it leaves with [DONE], if the caller asked */
		if (r->wants_usage_chunk && c->guarded == NULL) {
			c->usage_chunk = arena_copy(r->arena, data);
			stream_make_one_line(
			    (char *)(uintptr_t)c->usage_chunk.ptr, c->usage_chunk.len);
		}
		return;
	}
	if (k.has_substance)
		r->ops->answers(r, c->a);
	if (!stream_is_funded(c)) {
		c->a->delivered_bytes = bytes;
		c->a->delivered_events = events;
		stream_close(c, stream_out_of_money(c));
		return;
	}
	if (k.has_substance && c->a->first_token_us == 0)
		c->a->first_token_us = call_now_us(c);
	if (c->guarded != NULL) {
		guarded_take(c, data);
		return;
	}
	stream_put(c, data, &c->out);
	if (k.has_substance || c->out.len > CALL_HELD_BYTES)
		stream_has_content(c);
}

static void
translate(struct call *c, const struct sse_event *ev)
{
	int32_t result = visit_event(c->visit, ev->name, ev->data);
	const lz_fault *f;

	if (c->is_over || result == LZ_OK)
		return;
	f = visit_fault(c->visit);
	if (!c->r->has_begun && f != NULL)
		stream_close(c, call_fault(c, f, "error_event"));
	else
		stream_close(
		    c, stream_fail(c, f != NULL ? "error_event" : "bad_event",
			   f != NULL ? f->upstream : LZ_UPSTREAM_DOWN,
			   f != NULL ? f->message
				     : STR_LIT("the provider sent an event that could "
					       "not be read")));
}

/* Once the client has seen something only content counts: a provider that pings for ever
 * is silent. Until then the request's deadline is near enough. brought: events of content
 * before this one. */
static void
note_alive(struct call *c, int64_t brought)
{
	bool is_content = c->a->delivered_events != brought;

	if (c->upstream != NULL && (is_content || !c->r->has_begun))
		upstream_alive(c->upstream);
}

static bool
on_event(void *arg, const struct sse_event *ev)
{
	struct call *c = arg;
	int64_t brought = c->a->delivered_events;

	if (ev->data.len == 0)
		return true; /* an empty data line makes SDKs throw */
	if (str_is(ev->data, "[DONE]")) {
		c->has_done = true;
		if (c->table->event != NULL) /* the plugin's end() decides */
			return true;
		stream_close(c, stream_conclude(c));
	} else if (c->table->event != NULL) {
		translate(c, ev);
	} else {
		pass_chunk(c, ev->data);
	}
	note_alive(c, brought);
	return !c->is_over;
}

void
stream_begin(struct call *c)
{
	struct request *r = c->r;

	if (c->is_stream)
		return;
	c->is_stream = true;
	frame_init(&c->frame, c->table->framing, SSE_EVENT_BYTES);
	buf_init(&c->out, OUT_BYTES);
	buf_free(&r->answer_text);
	buf_free(&r->answer_tools);
	buf_init(&r->answer_text, ANSWER_TEXT_BYTES);
	buf_init(&r->answer_tools, ANSWER_TEXT_BYTES);
	if (guard_holds_answers(r) && !guarded_begin(c))
		stream_close(c, stream_fail(c, "out_of_memory", LZ_UPSTREAM_UNABLE,
				    STR_LIT("the gateway is out of memory")));
}

/* What came is shown to the guardrails, and what they let through goes out. false: the
 * stream is over. */
static bool
check_what_came(struct call *c)
{
	/* Before there is something to see another attempt may still take its place. */
	if (c->guarded == NULL || c->is_checking || c->a->delivered_events == 0)
		return true;
	switch (guarded_run(c, false)) {
	case GUARD_WAITS:
		call_hold_up(c);
		return true;
	case GUARD_REFUSED:
		stream_close(c, stream_filtered(c));
		return false;
	default:
		return true;
	}
}

/* From an event, and from nobody's feed: the call may end here. */
void
stream_checked(struct call *c)
{
	enum guard_run ran;
	enum step s;

	if (c->is_over && !c->is_concluding)
		return;
	ran = guarded_run(c, false);
	c->is_checking = ran == GUARD_WAITS;
	if (c->is_checking)
		return;
	if (ran == GUARD_REFUSED || c->is_concluding) {
		s = ran == GUARD_REFUSED ? stream_filtered(c) : stream_conclude(c);
		if (s == STEP_WAIT)
			return;
		c->ended = s;
		c->is_over = true;
		call_stop(c);
		return;
	}
	stream_flush(c);
	/* More may have come before the provider was held up. */
	if (check_what_came(c) && !c->is_checking) {
		stream_flush(c);
		call_go_on(c);
	}
}

void
stream_data(struct call *c, lz_str bytes)
{
	enum status st;

	c->is_feeding = true;
	st = frame_feed(&c->frame, bytes, on_event, c);
	c->is_feeding = false;
	if (c->is_over)
		return; /* what is in out goes with the last bytes */
	if (st == ST_OK && !check_what_came(c))
		return;
	if (st == ST_OK && !c->out.failed) {
		stream_flush(c);
		return;
	}
	buf_reset(&c->out);
	stream_close(c,
	    stream_fail(c, st == ST_INVALID ? "bad_event" : "too_large", LZ_UPSTREAM_DOWN,
		STR_LIT("the provider sent an event that is too large or out of place")));
}

/* After the transport ended properly: is the answer whole? */
static bool
is_whole(struct call *c, bool is_clean)
{
	bool is_framed = frame_end(&c->frame, on_event, c);

	if (c->is_over)
		return false;
	/* Half an event of SSE is none; half a line, or an array that was not closed, is
	 * an answer that was not. Nor was one whose provider broke off with a bare
	 * document: an error that it did not put into an event. */
	is_clean = is_clean && (is_framed || c->table->framing == LZ_SSE) &&
		   !frame_has_stray(&c->frame);
	if (c->table->end != NULL)
		return visit_end(c->visit, is_clean) == LZ_OK;
	return is_clean && (c->has_done || chunk_all_finished(c));
}

/* While a guardrail is waited for, nothing more is taken. */
static enum step
waits_or_ends(struct call *c, enum step s)
{
	c->is_over |= s == STEP_WAIT;
	c->ended = s;
	return s;
}

enum step
stream_end(struct call *c, const struct upstream_result *res)
{
	bool has_come_whole = is_whole(c, res->end == UPSTREAM_DONE);
	const lz_fault *f = visit_fault(c->visit);

	if (c->is_over) /* in its last event, or in what end() emitted */
		return c->ended;
	if (has_come_whole)
		return waits_or_ends(c, stream_conclude(c));
	if (c->table->end != NULL && f != NULL)
		return c->r->has_begun ? stream_fail(c, "cut", f->upstream, f->message)
				       : call_fault(c, f, "cut");
	return stream_fail(c,
	    res->end == UPSTREAM_DONE ? "cut" : upstream_end_name(res->end),
	    res->end == UPSTREAM_NOMEM ? LZ_UPSTREAM_UNABLE : LZ_UPSTREAM_DOWN,
	    STR_LIT("the provider's stream was interrupted"));
}

/* ---- in: chunks that a plugin translated ---- */

/* Does the client keep up? One call of a plugin may be ahead of it by so much. */
static bool
is_taken(struct call *c)
{
	if (c->r->x == NULL || exchange_unsent(c->r->x) <= AHEAD_BYTES)
		return true;
	stream_close(c, stream_fail(c, "too_fast", LZ_UPSTREAM_UNABLE,
			    STR_LIT("the provider's plugin wrote more at once than the "
				    "client takes")));
	return false;
}

bool
stream_emit(struct call *c, const json_t *emitted)
{
	json_t *j;
	struct buf text;

	if (c->is_over || !is_taken(c))
		return false;
	stream_begin(c);
	if (c->is_over)
		return false;
	j = shape_chunk(c, json_deep_copy(emitted));
	buf_init(&text, SSE_EVENT_BYTES);
	if (json_ran_dry())
		stream_close(c, stream_fail(c, "out_of_memory", LZ_UPSTREAM_UNABLE,
				    STR_LIT("the gateway is out of memory")));
	else if (json_print(j, &text))
		pass_chunk(c, buf_str(&text));
	else
		stream_close(c, stream_fail(c, "too_large", LZ_UPSTREAM_UNABLE,
				    STR_LIT("the provider's chunk is too large")));
	if (!c->is_over && !c->is_feeding && check_what_came(c))
		stream_flush(c);
	buf_free(&text);
	json_decref(j);
	return !c->is_over;
}

enum step
stream_answered(struct call *c)
{
	stream_begin(c);
	return c->is_over ? c->ended : waits_or_ends(c, stream_conclude(c));
}

void
stream_stop(struct call *c)
{
	loop_timer_cancel(c->r->worker->loop, &c->ping);
	guarded_free(c);
	if (!c->is_stream)
		return;
	frame_free(&c->frame);
	buf_free(&c->out);
}
