/* stream.c - streamed answers: events in, events out, and exactly one honest end.
 *
 * The three ends: done (a finish_reason came; [DONE] is held until the trace is written),
 * error (an error object, no [DONE]), cut (the connection aborts). Start-up events, the
 * ones before any content, are held back, so that an error inside a 200 can still fail
 * over; from the first content on the client has the stream and nothing is tried again.
 *
 * An end is decided once: is_over is set with it, and whatever still calls from further
 * down (a feed, a plugin) finds it set. All events of one readable event leave in one
 * write.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include "base/json.h"
#include "call/attempt.h"

enum {
	OUT_BYTES = 4 << 20, /* events waiting for one flush */
	/* Unsent, of a plugin that goes on within one call: nobody can hold it up. */
	AHEAD_BYTES = 8 << 20,
	LAST_BYTES = 64 << 10,      /* what may wait for the trace; the rest goes ahead */
	ANSWER_TEXT_BYTES = 262144, /* of an answer kept for the trace */
	/* A comment keeps proxies in between from cutting a silent stream. */
	PING_US = 15 * 1000 * 1000,
	/* After [DONE], for the transport to end and the connection to be kept. */
	LINGER_US = 250 * 1000
};

/* ---- out ---- */

static void on_ping(void *arg);

static void
arm_ping(struct call *c)
{
	if (loop_timer_set(c->r->worker->loop, &c->ping, PING_US, on_ping, c) != ST_OK)
		return; /* no memory for a timer: the stream goes on without pings */
}

static void
begin(struct call *c)
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

static void
flush(struct call *c)
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
static void
make_one_line(char *p, size_t n)
{
	char *end = p + n;

	while (n > 0 && (p = memchr(p, '\n', (size_t)(end - p))) != NULL)
		*p++ = ' ';
}

static void
put_event(const struct call *c, lz_str data, struct buf *out)
{
	size_t at;

	buf_add_z(out, "data: ");
	at = out->len;
	tools_put(c, data, out);
	if (!out->failed)
		make_one_line(out->ptr + at, out->len - at);
	buf_add_z(out, "\n\n");
}

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
static bool
keep_funded(struct call *c)
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
		flush(c);
	buf_init(&body, LAST_BYTES);
	request_fault_body(r, &body);
	tools_begin(c);
	put_event(
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

static enum step
out_of_money(struct call *c)
{
	begin(c);
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
	begin(c);
	if (c->out.len > LAST_BYTES)
		flush(c);
	imply_finish(c);
	if (c->a->has_usage)
		make_usage_chunk(c, &c->a->usage);
	c->r->usage_chunk = c->usage_chunk;
	hold_last(c);
	call_succeeded(c);
	return STEP_DONE;
}

/* A guardrail refused what was to go out. Of what is held nothing leaves. */
static enum step
filtered(struct call *c)
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
static enum step
conclude(struct call *c)
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
		return filtered(c);
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
static void
close_stream(struct call *c, enum step s)
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
		close_stream(c, stream_fail(c, "error_event", f.upstream, f.message));
	else
		close_stream(c, call_fault(c, &f, "error_event"));
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
		close_stream(
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
			make_one_line(
			    (char *)(uintptr_t)c->usage_chunk.ptr, c->usage_chunk.len);
		}
		return;
	}
	if (k.has_substance)
		r->ops->answers(r, c->a);
	if (!keep_funded(c)) {
		c->a->delivered_bytes = bytes;
		c->a->delivered_events = events;
		close_stream(c, out_of_money(c));
		return;
	}
	if (k.has_substance && c->a->first_token_us == 0)
		c->a->first_token_us = call_now_us(c);
	if (c->guarded != NULL) {
		guarded_take(c, data);
		return;
	}
	put_event(c, data, &c->out);
	if (k.has_substance || c->out.len > CALL_HELD_BYTES)
		begin(c);
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
		close_stream(c, call_fault(c, f, "error_event"));
	else
		close_stream(
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
		close_stream(c, conclude(c));
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
		close_stream(c, stream_fail(c, "out_of_memory", LZ_UPSTREAM_UNABLE,
				    STR_LIT("the gateway is out of memory")));
}

void
stream_has_content(struct call *c)
{
	begin(c);
}

void
stream_flush(struct call *c)
{
	flush(c);
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
		close_stream(c, filtered(c));
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
		s = ran == GUARD_REFUSED ? filtered(c) : conclude(c);
		if (s == STEP_WAIT)
			return;
		c->ended = s;
		c->is_over = true;
		call_stop(c);
		return;
	}
	flush(c);
	/* More may have come before the provider was held up. */
	if (check_what_came(c) && !c->is_checking) {
		flush(c);
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
		flush(c);
		return;
	}
	buf_reset(&c->out);
	close_stream(c,
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
		return waits_or_ends(c, conclude(c));
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
	close_stream(c, stream_fail(c, "too_fast", LZ_UPSTREAM_UNABLE,
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
		close_stream(c, stream_fail(c, "out_of_memory", LZ_UPSTREAM_UNABLE,
				    STR_LIT("the gateway is out of memory")));
	else if (json_print(j, &text))
		pass_chunk(c, buf_str(&text));
	else
		close_stream(c, stream_fail(c, "too_large", LZ_UPSTREAM_UNABLE,
				    STR_LIT("the provider's chunk is too large")));
	if (!c->is_over && !c->is_feeding && check_what_came(c))
		flush(c);
	buf_free(&text);
	json_decref(j);
	return !c->is_over;
}

enum step
stream_answered(struct call *c)
{
	stream_begin(c);
	return c->is_over ? c->ended : waits_or_ends(c, conclude(c));
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
