/* call.c - one attempt: build by the provider, send, take the answer, say how it ended.
 *
 * The provider's component is visited for what it says differently from OpenAI; a member
 * it leaves NULL is dialect.c's. Nothing here decides about money or about who is next:
 * the attempt's fields say what happened, settle and policy read them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "call/call.h"

#include "base/metric.h"
#include "call/attempt.h"
#include "request/live.h"

int64_t
call_now_us(const struct call *c)
{
	return loop_now(c->r->worker->loop)->mono_us;
}

void
call_start(void)
{
	static const char *const outcomes[] = { /* by LZ_UPSTREAM_* */
		"ok", "caller", "credentials", "rate", "quota", "context", "filtered",
		"down", "unable"
	};

	metric_label_names(
	    METRIC_ATTEMPTS, outcomes, sizeof outcomes / sizeof outcomes[0]);
}

/* ---- how it ended ---- */

static void
ended(struct call *c, const char *end, int32_t blame)
{
	struct attempt *a = c->a;

	a->end = end;
	a->blame = blame;
	a->ended_us = call_now_us(c);
	c->is_over = true;
	metric_add_label(METRIC_ATTEMPTS,
	    blame >= 0 && blame <= LZ_UPSTREAM_UNABLE ? (unsigned)blame
						      : LZ_UPSTREAM_DOWN,
	    1);
}

enum step
call_failed(struct call *c, const char *end, int32_t blame, lz_str message)
{
	bool is_fault = blame == LZ_UPSTREAM_DOWN;

	ended(c, end, blame);
	c->a->message = message;
	live_ended(c->a->live, c->a->ended_us, is_fault, c->r->is_stream, -1, -1, 0);
	return STEP_RETRY;
}

enum step
call_fault(struct call *c, const lz_fault *f, const char *end)
{
	struct attempt *a = c->a;

	a->code = f->code.len > 0 ? arena_copy(c->r->arena, f->code) : STR_NONE;
	a->param = f->param.len > 0 ? arena_copy(c->r->arena, f->param) : STR_NONE;
	a->retry_after_ms = f->retry_after_ms;
	if (f->status >= 400 && f->status < 500)
		a->status = f->status;
	return call_failed(c, end, f->upstream, arena_copy(c->r->arena, f->message));
}

void
call_succeeded(struct call *c)
{
	struct attempt *a = c->a;
	int64_t ttft = a->first_token_us > 0 ? a->first_token_us - a->sent_us
					     : a->first_byte_us - a->sent_us;

	ended(c, "ok", LZ_UPSTREAM_OK);
	if (a->first_token_us > 0)
		metric_time(METRIC_TTFT_TIME, ttft);
	live_ended(a->live, a->ended_us, false, c->r->is_stream,
	    a->first_byte_us > 0 ? ttft : -1, a->ended_us - a->sent_us, a->usage.output);
}

static void
close_call(struct call *c)
{
	visit_end_all(c->visit);
	c->visit = NULL;
	stream_stop(c);
	buf_free(&c->body);
	json_decref(c->emitted);
	c->emitted = NULL;
}

void
call_finish(struct call *c, enum step s)
{
	struct request *r = c->r;

	r->waited_us += c->a->ended_us - c->a->sent_us;
	close_call(c);
	request_go_on(r, s);
}

/* ---- the answer's way in ---- */

static void
got_head(void *arg, int status, const lz_header *h, size_t n)
{
	struct call *c = arg;
	lz_str type;

	c->status = c->a->status = status;
	c->a->first_byte_us = call_now_us(c);
	for (size_t i = 0; i < n && c->field_count < CALL_FIELDS; i++) {
		lz_str name = arena_copy(c->r->arena, h[i].name),
		       value = arena_copy(c->r->arena, h[i].value);

		if (name.ptr != NULL && value.ptr != NULL)
			c->field[c->field_count++] = lz_head(name, value);
	}
	type = call_field(c, "content-type");
	if (status < 400 && c->r->is_stream &&
	    (c->table->framing != LZ_SSE || str_starts(type, "text/event-stream")))
		stream_begin(c);
}

static void
got_data(void *arg, lz_str bytes)
{
	struct call *c = arg;

	if (c->is_over)
		return;
	if (c->is_stream) {
		stream_data(c, bytes);
		return;
	}
	upstream_alive(c->upstream);
	buf_add_str(&c->body, bytes);
}

static int32_t
blame_of_end(enum upstream_end end)
{
	return end == UPSTREAM_TOO_LARGE ? LZ_UPSTREAM_UNABLE : LZ_UPSTREAM_DOWN;
}

static enum step
whole_ended(struct call *c, const struct upstream_result *res)
{
	if (res->end != UPSTREAM_DONE)
		return call_failed(c, upstream_end_name(res->end), blame_of_end(res->end),
		    STR_LIT("the provider did not answer"));
	if (c->body.failed)
		return call_failed(c, upstream_end_name(UPSTREAM_TOO_LARGE),
		    LZ_UPSTREAM_UNABLE,
		    STR_LIT("the provider's answer is larger than limits.answer_bytes"));
	return answer_whole(c);
}

static void
got_end(void *arg, const struct upstream_result *res)
{
	struct call *c = arg;
	enum step s;

	c->upstream = NULL;
	c->a->was_sent = res->was_sent;
	if (c->is_over) /* the stream's own end came first and waits for nothing but this
			 */
		s = c->ended;
	else if (c->is_stream)
		s = stream_end(c, res);
	else
		s = whole_ended(c, res);
	call_finish(c, s);
}

static const struct upstream_ops ops = { got_head, got_data, got_end };

/* ---- sending ---- */

static unsigned
or_else(unsigned value, unsigned otherwise)
{
	return value > 0 ? value : otherwise;
}

/* Streams may take as long as tokens come; whole answers have the request's deadline. */
static void
set_deadlines(struct call *c, struct upstream_request *q, unsigned built_ms)
{
	const struct config *cfg = c->r->config;
	const struct provider *p = c->a->target->provider;
	int64_t left_ms = (c->r->deadline_us - call_now_us(c)) / 1000;

	q->connect_timeout_ms = or_else(p->connect_timeout_ms, 10000);
	q->first_byte_timeout_ms =
	    or_else(p->first_byte_timeout_ms, cfg->first_byte_timeout_ms);
	q->idle_timeout_ms = or_else(p->idle_timeout_ms, cfg->idle_timeout_ms);
	if (left_ms < 1)
		left_ms = 1;
	if (q->first_byte_timeout_ms == 0 || q->first_byte_timeout_ms > left_ms)
		q->first_byte_timeout_ms = (unsigned)left_ms;
	q->total_timeout_ms = c->r->is_stream ? 0 : (unsigned)left_ms;
	if (built_ms > 0 && (q->total_timeout_ms == 0 || built_ms < q->total_timeout_ms))
		q->total_timeout_ms = built_ms;
}

static enum step
send_built(struct call *c, const lz_http *built)
{
	const struct provider *p = c->a->target->provider;
	struct upstream_request q = { .wants_http2 = p->wants_http2, .proxy = p->proxy };
	struct err e = { "out of memory" };

	if (dialect_complete(c, built, p->base_url.ptr, &q) != ST_OK)
		return request_fail(c->r, FAULT_OVERLOADED, NULL, "out of memory");
	set_deadlines(c, &q, built->timeout_ms);
	q.max_answer_bytes = c->r->is_stream ? 0 : c->body.max_bytes;
	c->a->sent_us = call_now_us(c);
	c->upstream = upstream_send(c->r->worker->upstream, &q, &ops, c, &e);
	if (c->upstream == NULL)
		return call_failed(c, "not_sent", LZ_UPSTREAM_UNABLE,
		    arena_copy(c->r->arena, lz_strz(e.text)));
	return STEP_WAIT;
}

/* build() said something: send, answer at once, or fail. */
static enum step
built(struct call *c, int32_t result, const lz_http *http)
{
	const lz_fault *f = visit_fault(c->visit);

	if (result == LZ_OK)
		return send_built(c, http);
	if (result == LZ_ANSWERED && c->r->is_stream)
		return stream_answered(c);
	if (result == LZ_ANSWERED)
		return answer_framed(c);
	if (c->r->has_begun)
		return stream_fail(c, "plugin", LZ_UPSTREAM_DOWN,
		    f != NULL ? f->message : STR_LIT("the provider failed"));
	if (f != NULL)
		return call_fault(c, f, "refused");
	return call_failed(c, "plugin", LZ_UPSTREAM_UNABLE,
	    STR_LIT("the provider's plugin could not build the request"));
}

/* What the first entry cannot answer by returning, it answers here: the same thing,
 * later. */
struct building {
	struct call *call;
	lz_http http;
};

static void
build_came_home(void *arg, int32_t result)
{
	struct building *b = arg;
	enum step s = built(b->call, result, &b->http);

	if (s != STEP_WAIT)
		call_finish(b->call, s);
}

static void
on_emit(void *arg, const json_t *j)
{
	struct call *c = arg;

	if (c->r->is_stream)
		stream_emit(c, j);
	else
		answer_emit(c, j);
}

static void
on_usage(void *arg, const lz_usage *u)
{
	struct attempt *a = ((struct call *)arg)->a;

	a->usage = (struct record_usage){ u->input, u->cache_read, u->cache_write,
		u->output, u->reasoning };
	a->has_usage = true;
}

static const struct visit_provider_ops provider_ops = { on_emit, on_usage };

/* Does a limit have to travel? Only when the caller's own is above the bound, or a budget
 * counts on it. */
static void
decide_limit(struct request *r, struct attempt *a)
{
	int64_t model = a->target->model->max_output_tokens;
	int64_t asked = r->max_tokens > 0 ? r->max_tokens : model;
	lz_budget b = { .size = sizeof b };
	bool binds = asked < 0 || a->output_bound < asked;
	bool is_limited = r->output_limit >= 0 || r->max_tokens > 0;

	a->lowers_output =
	    binds && (is_limited || (!r->is_stream && r->ops->budget(r, LZ_OF_KEY, &b)));
	r->max_tokens_sent = a->lowers_output ? a->output_bound : -1;
}

enum step
call_attempt(struct request *r)
{
	struct attempt *a = request_attempt(r);
	struct call *c = arena_alloc(r->arena, sizeof *c);
	struct building *b = arena_alloc(r->arena, sizeof *b);
	int32_t result;
	enum step s;

	if (c == NULL || b == NULL)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	c->r = r;
	c->a = a;
	c->ended = STEP_WAIT;
	a->call = c;
	a->sent_us = call_now_us(c);
	buf_init(&c->body, (size_t)r->config->limits.answer_bytes);
	decide_limit(r, a);
	c->visit = visit_provider(r, a, &provider_ops, c);
	if (c->visit == NULL)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	c->table = visit_provider_table(c->visit);
	*b = (struct building){ c, lz_http_to("POST", a->target->provider->base_url) };
	result = visit_build(c->visit, &b->http, build_came_home, b);
	if (result == LZ_PENDING)
		return STEP_WAIT;
	s = built(c, result, &b->http);
	if (s != STEP_WAIT)
		close_call(c);
	return s;
}

void
call_cancel(struct request *r)
{
	struct attempt *a;
	struct call *c;

	if (r->attempt_count == 0)
		return;
	a = request_attempt(r);
	c = a->call;
	if (c == NULL || c->visit == NULL)
		return;
	if (c->upstream != NULL)
		a->was_sent = true; /* nobody can say how far it got */
	upstream_cancel(c->upstream);
	c->upstream = NULL;
	if (!c->is_over) {
		ended(c, "client_gone", LZ_UPSTREAM_OK);
		live_dropped(a->live);
	}
	r->waited_us += a->ended_us - a->sent_us;
	close_call(c);
}

void
call_drained(struct request *r)
{
	struct call *c = r->attempt_count > 0 ? request_attempt(r)->call : NULL;

	if (c == NULL || !c->is_paused || c->upstream == NULL)
		return;
	c->is_paused = false;
	upstream_resume(c->upstream);
}
