/* stream.c - streamed answers: events in, events out, and exactly one honest end.
 *
 * The three ends: done (a finish_reason came; [DONE] is held until the trace is written),
 * error (an error object, no [DONE]), cut (the connection aborts). Start-up events, the
 * ones before any content, are held back, so that an error inside a 200 can still fail
 * over; from the first content on the client has the stream and nothing is tried again.
 *
 * Each event is scanned once, strictly, before it goes on: for an error, for usage, for
 * what the text weighs. All events of one readable event leave in one write.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "call/attempt.h"

enum {
	OUT_BYTES = 4 << 20,        /* events waiting for one flush */
	ANSWER_TEXT_BYTES = 262144, /* of an answer kept for the trace */
	PING_US =
	    15 * 1000 *
	    1000, /* a comment keeps proxies in between from cutting a silent stream */
	LINGER_US = 250 * 1000 /* after [DONE], for the transport to end and the
				  connection to be kept */
};

/* What one chunk says, as ranges of its text. */
struct chunk {
	struct jscan scan;
	lz_str choices, usage;
	bool has_error, is_usage_only;
	bool has_substance; /* content, a tool call, a refusal, a finish: the client has
			       something to see */
	bool has_finish;
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
	if (goes_on || c->is_paused || c->upstream == NULL)
		return;
	c->is_paused = true;
	upstream_pause(c->upstream);
}

static void
on_ping(void *arg)
{
	struct call *c = arg;

	if (c->is_over || c->r->x == NULL)
		return;
	if (exchange_unsent(c->r->x) == 0)
		exchange_write(c->r->x, STR_LIT(": ping\n\n"));
	arm_ping(c);
}

static void
put_event(struct buf *out, lz_str data)
{
	buf_add_z(out, "data: ");
	buf_add_str(out, data);
	buf_add_z(out, "\n\n");
}

/* ---- what a chunk says ---- */

static void
weigh(struct call *c, struct chunk *k)
{
	static const char *const texts[] = { "\"content\"", "\"reasoning_content\"",
		"\"reasoning\"", "\"refusal\"" };
	struct request *r = c->r;
	lz_str finish = dialect_string_after(k->choices, "\"finish_reason\"");

	for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		lz_str s = dialect_string_after(k->choices, texts[i]);

		if (s.ptr == NULL)
			continue;
		k->has_substance = true;
		c->a->delivered_bytes += (int64_t)s.len;
		if (i == 0 && r->log_content == LOG_CONTENT_FULL &&
		    !r->answer_text.failed)
			buf_add_str(&r->answer_text, s);
	}
	if (memmem(k->choices.ptr, k->choices.len, "\"tool_calls\"", 12) != NULL) {
		k->has_substance = c->has_tool_calls = true;
		c->a->delivered_bytes += (int64_t)k->choices.len / 2;
		if (r->log_content == LOG_CONTENT_FULL && !r->answer_tools.failed) {
			buf_add_z(&r->answer_tools, r->answer_tools.len > 0 ? "," : "");
			buf_add_str(&r->answer_tools, k->choices);
		}
	}
	if (finish.ptr != NULL) {
		k->has_finish = k->has_substance = c->has_finish = true;
		r->finish = arena_copy(r->arena, finish);
	}
	c->a->delivered_events += k->has_substance;
}

static enum status
read_chunk(struct call *c, lz_str data, struct chunk *k)
{
	const struct jscan_member *m;
	enum status st = jscan_object(data, &k->scan, NULL);

	k->choices = k->usage = STR_NONE;
	k->has_error = k->is_usage_only = k->has_substance = k->has_finish = false;
	if (st != ST_OK)
		return st;
	m = jscan_find(&k->scan, "error");
	k->has_error = m != NULL && m->type != JSCAN_NULL && m->type != JSCAN_FALSE;
	m = jscan_find(&k->scan, "usage");
	if (m != NULL && m->type == JSCAN_OBJECT)
		k->usage = m->value;
	m = jscan_find(&k->scan, "choices");
	if (m != NULL && m->type == JSCAN_ARRAY)
		k->choices = m->value;
	if (k->choices.len > 2)
		weigh(c, k);
	else
		k->is_usage_only = k->usage.ptr != NULL;
	return ST_OK;
}

/* ---- money while it runs ---- */

/* The estimate of what has been delivered nears what was reserved: more is asked for
 * before it is passed. */
static bool
keep_funded(struct call *c)
{
	struct attempt *a = c->a;
	int64_t tokens = a->delivered_bytes / 4 > a->delivered_events
			     ? a->delivered_bytes / 4
			     : a->delivered_events;
	int64_t bound = a->output_bound * c->r->choices, more;

	if (a->bound_nano_eur <= 0 || tokens < bound - bound / 8)
		return true;
	more = (a->bound_nano_eur - a->input_nano_eur) / 2 + 1;
	if (!c->r->ops->top_up(c->r, more))
		return tokens < bound; /* nothing is left: the rest of the bound may still
					  be used */
	a->output_bound += a->output_bound / 2 + 1;
	return true;
}

/* ---- ends ---- */

static enum step
say_error(struct call *c, const char *end, lz_str message, const char *code)
{
	struct request *r = c->r;

	buf_add_z(&c->out, "data: {\"error\":{\"message\":");
	buf_add_json(&c->out, message);
	buf_add_z(&c->out, ",\"type\":\"upstream_error\",\"param\":null,\"code\":\"");
	buf_add_z(&c->out, code);
	buf_add_z(&c->out, "\"}}\n\n");
	r->last_bytes = arena_copy(r->arena, buf_str(&c->out));
	buf_reset(&c->out);
	r->ends_in_error = true;
	r->is_cut = r->last_bytes.ptr == NULL;
	r->fault = FAULT_ALL_ATTEMPTS;
	r->fault_message = message;
	r->fault_code = lz_strz(code);
	call_failed(c, end, LZ_UPSTREAM_DOWN, message);
	return STEP_DONE;
}

enum step
stream_fail(struct call *c, const char *end, int32_t blame, lz_str message)
{
	if (!c->r->has_begun)
		return call_failed(c, end, blame, message);
	return say_error(c, end, message, "stream_interrupted");
}

/* A provider that ended properly without saying why gets the reason that its content
 * implies. */
static void
imply_finish(struct call *c)
{
	struct request *r = c->r;

	r->finish = c->has_tool_calls ? STR_LIT("tool_calls") : STR_LIT("stop");
	buf_addf(&c->out,
	    "data: "
	    "{\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion.chunk\",\"created\":%"
	    "lld,\"model\":",
	    r->id_hex, (long long)(r->began.unix_ms / 1000));
	buf_add_json(&c->out, c->a->target->upstream_model);
	buf_add_z(&c->out, ",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,"
			   "\"finish_reason\":");
	buf_add_json(&c->out, r->finish);
	buf_add_z(&c->out, "}]}\n\n");
}

/* The usage chunk of a translated stream; pass-through streams brought their own. */
static void
make_usage_chunk(struct call *c)
{
	struct request *r = c->r;
	json_t *usage = answer_usage(&c->a->usage);
	struct buf b;

	buf_init(&b, 8192);
	buf_addf(&b,
	    "{\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion.chunk\",\"created\":%"
	    "lld,\"model\":",
	    r->id_hex, (long long)(r->began.unix_ms / 1000));
	buf_add_json(&b, c->a->target->upstream_model);
	buf_add_z(&b, ",\"choices\":[],\"usage\":");
	if (json_print(usage, &b)) {
		buf_add_char(&b, '}');
		r->usage_chunk = arena_copy(r->arena, buf_str(&b));
	}
	buf_free(&b);
	json_decref(usage);
}

static enum step
complete(struct call *c)
{
	struct request *r = c->r;

	begin(c);
	if (!c->has_finish)
		imply_finish(c);
	if ((c->table->event != NULL || c->is_answered) && r->wants_usage_chunk &&
	    c->a->has_usage)
		make_usage_chunk(c);
	r->last_bytes = c->out.failed ? STR_NONE : arena_copy(r->arena, buf_str(&c->out));
	buf_reset(&c->out);
	r->is_cut = r->last_bytes.ptr == NULL;
	call_succeeded(c);
	return STEP_DONE;
}

static void
lingered(void *arg)
{
	struct call *c = arg;

	upstream_cancel(c->upstream);
	c->upstream = NULL;
	call_finish(c, c->ended);
}

/* Nothing more is taken; the end waits for the transport a moment, so that the connection
 * can be kept. */
static void
close_stream(struct call *c, enum step s)
{
	c->ended = s;
	c->is_over = true;
	if (loop_timer_set(c->r->worker->loop, &c->linger,
		s == STEP_DONE && c->has_done ? LINGER_US : 0, lingered, c) != ST_OK)
		lingered(c);
}

/* ---- in: events as they are ---- */

static void
keep_usage(struct call *c, const struct chunk *k)
{
	if (k->usage.ptr != NULL && dialect_usage(k->usage, &c->a->usage))
		c->a->has_usage = true;
}

static bool
pass_error(struct call *c, lz_str data)
{
	lz_fault f;

	buf_reset(&c->body);
	buf_add_str(&c->body, data);
	c->status = 502;
	dialect_judge(c, &f);
	if (!c->r->has_begun) {
		lz_reply reply = {
			.size = sizeof reply, .status = c->status, .body = data
		};

		if (c->table->classify != NULL)
			visit_classify(c->visit, &reply, &f);
		close_stream(c, call_fault(c, &f, "error_event"));
		return false;
	}
	close_stream(c, say_error(c, "error_event", f.message, "upstream_error"));
	return false;
}

/* One chunk of OpenAI's shape on its way out. false: the stream is over. */
static bool
pass_chunk(struct call *c, lz_str data)
{
	struct request *r = c->r;
	struct chunk k;

	if (read_chunk(c, data, &k) != ST_OK) {
		close_stream(
		    c, stream_fail(c, "bad_event", LZ_UPSTREAM_DOWN,
			   STR_LIT("the provider sent an event that is not JSON")));
		return false;
	}
	if (k.has_error)
		return pass_error(c, data);
	keep_usage(c, &k);
	if (k.is_usage_only) { /* it leaves with [DONE], if the caller asked */
		r->usage_chunk =
		    r->wants_usage_chunk ? arena_copy(r->arena, data) : STR_NONE;
		return true;
	}
	put_event(&c->out, data);
	if (k.has_substance && c->a->first_token_us == 0)
		c->a->first_token_us = call_now_us(c);
	if (k.has_substance || c->out.len > CALL_HELD_BYTES)
		begin(c);
	if (!keep_funded(c)) {
		close_stream(
		    c, say_error(c, "budget",
			   STR_LIT("the key's budget is spent; the stream ends here"),
			   "insufficient_quota"));
		return false;
	}
	return true;
}

static bool
on_event(void *arg, const struct sse_event *ev)
{
	struct call *c = arg;
	const lz_fault *f;
	int32_t result;

	if (c->upstream != NULL)
		upstream_alive(c->upstream);
	if (ev->data.len == 0)
		return true; /* an empty data line makes SDKs throw */
	if (str_is(ev->data, "[DONE]")) {
		c->has_done = true;
		if (c->table->event == NULL)
			close_stream(c, complete(c));
		return c->table->event != NULL;
	}
	if (c->table->event == NULL)
		return pass_chunk(c, ev->data);
	result = visit_event(c->visit, ev->name, ev->data);
	if (c->is_over)
		return false;
	if (result == LZ_OK)
		return true;
	f = visit_fault(c->visit);
	if (!c->r->has_begun && f != NULL)
		close_stream(c, call_fault(c, f, "error_event"));
	else
		close_stream(c,
		    stream_fail(c, "bad_event", LZ_UPSTREAM_DOWN,
			f != NULL
			    ? f->message
			    : STR_LIT(
				  "the provider sent an event that could not be read")));
	return false;
}

void
stream_begin(struct call *c)
{
	if (c->is_stream)
		return;
	c->is_stream = true;
	sse_init(&c->sse, SSE_EVENT_BYTES);
	buf_init(&c->out, OUT_BYTES);
	buf_init(&c->r->answer_text, ANSWER_TEXT_BYTES);
	buf_init(&c->r->answer_tools, ANSWER_TEXT_BYTES);
}

void
stream_data(struct call *c, lz_str bytes)
{
	enum status st;

	c->is_feeding = true;
	st = sse_feed(&c->sse, bytes, on_event, c);
	c->is_feeding = false;
	if (c->is_over)
		return; /* what is in out goes with the last bytes */
	if (st != ST_OK || c->out.failed) {
		close_stream(
		    c, stream_fail(c, "too_large", LZ_UPSTREAM_DOWN,
			   STR_LIT("the provider sent an event that is too large")));
		return;
	}
	flush(c);
}

enum step
stream_end(struct call *c, const struct upstream_result *res)
{
	bool clean = res->end == UPSTREAM_DONE;

	if (c->table->end != NULL)
		clean = visit_end(c->visit, clean) == LZ_OK;
	else
		clean = clean && (c->has_done || c->has_finish);
	if (clean)
		return complete(c);
	return stream_fail(c,
	    res->end == UPSTREAM_DONE ? "cut" : upstream_end_name(res->end),
	    LZ_UPSTREAM_DOWN, STR_LIT("the provider's stream was interrupted"));
}

/* ---- in: chunks that a plugin translated ---- */

void
stream_emit(struct call *c, const json_t *emitted)
{
	struct request *r = c->r;
	json_t *j, *choice, *delta;
	struct buf text;
	size_t i;

	if (c->is_over)
		return;
	stream_begin(c);
	j = json_deep_copy(emitted);
	answer_default_string(j, "id", arena_printf(r->arena, "chatcmpl-%s", r->id_hex));
	answer_default_string(j, "object", STR_LIT("chat.completion.chunk"));
	answer_default(j, "created", json_integer(r->began.unix_ms / 1000));
	answer_default_string(j, "model", c->a->target->upstream_model);
	json_array_foreach(json_object_get(j, "choices"), i, choice)
	{
		answer_default(choice, "index", json_integer((json_int_t)i));
		answer_default(choice, "delta", json_object());
		answer_default(choice, "logprobs", json_null());
		answer_default(choice, "finish_reason", json_null());
		delta = json_object_get(choice, "delta");
		if (!c->sent_role)
			answer_default_string(delta, "role", STR_LIT("assistant"));
	}
	c->sent_role = true;
	buf_init(&text, SSE_EVENT_BYTES);
	if (json_print(j, &text) && pass_chunk(c, buf_str(&text)) && !c->is_feeding)
		flush(c);
	buf_free(&text);
	json_decref(j);
}

enum step
stream_answered(struct call *c)
{
	if (c->is_over)
		return c->ended;
	stream_begin(c);
	c->is_answered = true;
	return complete(c);
}

void
stream_stop(struct call *c)
{
	struct loop *l = c->r->worker->loop;

	loop_timer_cancel(l, &c->ping);
	loop_timer_cancel(l, &c->linger);
	if (!c->is_stream)
		return;
	sse_free(&c->sse);
	buf_free(&c->out);
}
