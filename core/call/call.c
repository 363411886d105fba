/* call.c - one attempt: build by the provider, send, take the answer.
 *
 * The provider's component is visited for what it says differently from OpenAI; a member
 * it leaves NULL is dialect.c's. Nothing here decides about money or about who is next:
 * the attempt's fields say what happened, settle and policy read them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "call/call.h"

#include "base/json.h"
#include "call/attempt.h"

enum {
	CONNECT_MS = 10000,
	LOOK_AGAIN_US = 600 * 1000 * 1000,
	GRACE_US = 20000 /* so that upstream's own clocks, which know more, are first */
};

int64_t
call_now_us(const struct call *c)
{
	return loop_now(c->r->worker->loop)->mono_us;
}

/* ---- who is waited for ---- */

static void
hold_up(struct call *c)
{
	if (c->upstream != NULL)
		upstream_pause(c->upstream);
	else
		visit_pause(c->visit);
}

/* Unless somebody else still holds it up. */
static void
let_go(struct call *c)
{
	if (c->is_paused || c->is_checking)
		return;
	if (c->upstream != NULL) /* it was sent, so the plugin waits for nothing else */
		upstream_resume(c->upstream);
	else if (c->visit != NULL)
		visit_go_on(c->visit);
}

void
call_pause(struct call *c)
{
	c->is_paused = true;
	hold_up(c);
}

void
call_hold_up(struct call *c)
{
	c->is_checking = true;
	hold_up(c);
}

void
call_go_on(struct call *c)
{
	c->is_checking = false;
	let_go(c);
}

static void
close_call(struct call *c)
{
	loop_timer_cancel(c->r->worker->loop, &c->limit);
	visit_end_all(c->visit);
	c->visit = NULL;
	vectors_forget(c);
	stream_stop(c);
	buf_free(&c->body);
	json_decref(c->emitted);
	c->emitted = NULL;
}

/* Up to here somebody else was waited for, also for a connection that lingered. */
static void
stop_waiting(struct call *c)
{
	if (--c->r->calls == 0)
		c->r->waited_us += call_now_us(c) - c->r->calls_since_us;
	close_call(c);
}

/* From now on a provider is waited for; what came before was our own work. */
static void
wait_from_now(struct call *c)
{
	c->a->sent_us = call_now_us(c);
	if (c->r->calls == 1)
		c->r->calls_since_us = c->a->sent_us;
}

void
call_finish(struct call *c, enum step s)
{
	struct request *r = c->r;

	stop_waiting(c);
	r->ops->attempt_over(r, c->a, s);
}

/* The call may be under way: nobody can say how far it got. */
static void
cancel_upstream(struct call *c)
{
	if (c->upstream == NULL)
		return;
	c->a->was_sent = true;
	upstream_cancel(c->upstream);
	c->upstream = NULL;
}

void
call_stop(struct call *c)
{
	cancel_upstream(c);
	call_finish(c, c->ended);
}

static void
out_of_time(void *arg)
{
	struct call *c = arg;

	if (c->r->has_begun) { /* it stays set: a stream's end moves it */
		enum status st = loop_timer_set(
		    c->r->worker->loop, &c->limit, LOOK_AGAIN_US, out_of_time, c);

		must(st == ST_OK);
		return;
	}
	cancel_upstream(c);
	call_finish(
	    c, call_failed(c, upstream_end_name(UPSTREAM_TOTAL_TIMEOUT), LZ_UPSTREAM_DOWN,
		   STR_LIT("the provider did not answer in time")));
}

/* ---- the answer's way in ---- */

lz_str
call_field(const struct call *c, const char *name)
{
	for (size_t i = 0; i < c->field_count; i++)
		if (lz_eq(c->field[i].name, name))
			return c->field[i].value;
	return STR_NONE;
}

static bool
is_event_stream(lz_str type)
{
	static const char wanted[] = "text/event-stream";

	return str_is_nocase(str_cut(type, 0, sizeof(wanted) - 1), wanted);
}

static lz_str
keep(char **room, lz_str s)
{
	char *p = *room;

	*room = mempcpy(p, s.ptr, s.len);
	*(*room)++ = '\0';
	return lz_strn(p, s.len);
}

/* In one piece: providers send twenty, and a stream keeps them. Without memory it has
 * none. */
static void
keep_fields(struct call *c, const lz_header *h, size_t n)
{
	size_t bytes = n * sizeof *h;
	char *room;

	for (size_t i = 0; i < n; i++)
		bytes += h[i].name.len + h[i].value.len + 2;
	c->field = arena_room(c->r->arena, bytes);
	if (c->field == NULL)
		return;
	room = (char *)(c->field + n);
	for (size_t i = 0; i < n; i++) {
		lz_str name = keep(&room, h[i].name);

		c->field[i] = lz_head(name, keep(&room, h[i].value));
	}
	c->field_count = n;
}

static void
got_head(void *arg, int status, const lz_header *h, size_t n)
{
	struct call *c = arg;

	c->status = c->a->status = status;
	c->a->first_byte_us = call_now_us(c);
	keep_fields(c, h, n < CALL_FIELDS ? n : CALL_FIELDS);
	if (status >= 400)
		buf_init(&c->body, CALL_ERROR_BYTES);
	else if (status < 300 && c->r->is_stream &&
		 (c->table->framing != LZ_SSE ||
		     is_event_stream(call_field(c, "content-type"))))
		stream_begin(c);
}

static enum step
too_large(struct call *c)
{
	return call_failed(c, upstream_end_name(UPSTREAM_TOO_LARGE), LZ_UPSTREAM_UNABLE,
	    STR_LIT("the provider's answer is larger than limits.answer_bytes"));
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
	if (!c->body.failed)
		return;
	cancel_upstream(c);
	call_finish(c, c->status >= 400 ? answer_refused(c) : too_large(c));
}

static int32_t
blame_of_end(enum upstream_end end)
{
	return end == UPSTREAM_TOO_LARGE || end == UPSTREAM_NOMEM ? LZ_UPSTREAM_UNABLE
								  : LZ_UPSTREAM_DOWN;
}

static enum step
whole_ended(struct call *c, const struct upstream_result *res)
{
	if (c->status >= 400) /* that much is certain, however it went on */
		return answer_refused(c);
	if (res->end != UPSTREAM_DONE)
		return call_failed(c, upstream_end_name(res->end), blame_of_end(res->end),
		    STR_LIT("the provider did not answer"));
	return answer_whole(c);
}

static void
got_end(void *arg, const struct upstream_result *res)
{
	struct call *c = arg;
	enum step s = c->ended; /* a stream's own end may have come first */

	c->upstream = NULL;
	c->a->was_sent = res->was_sent;
	if (!c->is_over)
		s = c->is_stream ? stream_end(c, res) : whole_ended(c, res);
	if (s != STEP_WAIT)
		call_finish(c, s);
}

static const struct upstream_ops ops = { got_head, got_data, got_end };

/* ---- sending ---- */

static unsigned
or_else(unsigned value, unsigned otherwise)
{
	return value > 0 ? value : otherwise;
}

static int64_t
left_ms(const struct call *c)
{
	int64_t ms = (c->r->deadline_us - call_now_us(c)) / 1000;

	return ms < 1 ? 1 : ms;
}

static unsigned
first_byte_ms(const struct call *c)
{
	return or_else(c->a->target->provider->first_byte_timeout_ms,
	    c->r->config->first_byte_timeout_ms);
}

static unsigned
at_most(unsigned ms, int64_t most)
{
	return ms == 0 || ms > most ? (unsigned)most : ms;
}

/* Streams may take as long as tokens come, within reason; whole answers have the
 * request's deadline. */
static void
set_deadlines(struct call *c, struct upstream_request *q, unsigned built_ms)
{
	const struct provider *p = c->a->target->provider;
	int64_t left = left_ms(c);

	q->connect_timeout_ms = at_most(or_else(p->connect_timeout_ms, CONNECT_MS), left);
	q->first_byte_timeout_ms = at_most(first_byte_ms(c), left);
	q->idle_timeout_ms = or_else(p->idle_timeout_ms, c->r->config->idle_timeout_ms);
	q->total_timeout_ms =
	    at_most(built_ms, c->r->is_stream ? c->r->config->stream_timeout_ms : left);
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
	wait_from_now(c);
	c->upstream = upstream_send(c->r->worker->upstream, &q, &ops, c, &e);
	if (c->upstream == NULL)
		return call_failed(c, "not_sent", LZ_UPSTREAM_UNABLE, lz_strz(e.text));
	return STEP_WAIT;
}

/* build() said something: send, answer at once, or fail. */
static enum step
built(struct call *c, int32_t result, const lz_http *http)
{
	const lz_fault *f = visit_fault(c->visit);

	if (c->is_over) /* what it emitted ended it already */
		return c->ended;
	if (result == LZ_OK && json_ran_dry()) /* something may be missing in it */
		return call_failed(c, "out_of_memory", LZ_UPSTREAM_UNABLE,
		    STR_LIT("the gateway is out of memory"));
	if (result == LZ_OK)
		return send_built(c, http);
	if (result == LZ_ANSWERED && c->r->is_stream)
		return stream_answered(c);
	if (result == LZ_ANSWERED)
		return answer_framed(c);
	if (c->r->has_begun)
		return stream_fail(c, "plugin",
		    f != NULL ? f->upstream : LZ_UPSTREAM_DOWN,
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

static int32_t
on_emit(void *arg, const json_t *j)
{
	struct call *c = arg;

	if (c->r->is_stream)
		return stream_emit(c, j) ? LZ_OK : LZ_E_GONE;
	answer_emit(c, j);
	return LZ_OK;
}

static void
on_usage(void *arg, const lz_usage *u)
{
	struct attempt *a = ((struct call *)arg)->a;

	a->usage = (struct record_usage){ u->input, u->cache_read, u->cache_write,
		u->output, u->reasoning };
	a->cache_write_1h = u->cache_write_1h;
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
	bool binds = r->kind == REQUEST_CHAT && (asked < 0 || a->output_bound < asked);
	bool is_limited = r->output_limit >= 0 || r->max_tokens > 0;
	/* A stream is paid for while it runs, as far as it is seen. */
	bool is_unseen = !r->is_stream || request_may_think_unseen(r, a->target->model);

	a->lowers_output =
	    binds &&
	    (is_limited || (is_unseen && r->ops->budget(r, REQUEST_ANY_BUDGET, &b)));
}

size_t
call_answer_max(const struct request *r)
{
	size_t most = (size_t)r->config->limits.answer_bytes;

	return most + (size_t)r->inputs * CALL_VECTOR_BYTES;
}

static struct call *
call_new(struct request *r, struct attempt *a)
{
	struct call *c = arena_alloc(r->arena, sizeof *c);

	if (c == NULL)
		return NULL;
	c->r = r;
	c->a = a;
	c->ended = STEP_WAIT;
	c->answer_id = arena_join(r->arena, STR_LIT("chatcmpl-"), lz_strz(r->id_hex));
	buf_init(&c->body, call_answer_max(r));
	c->visit = visit_provider(r, a, &provider_ops, c);
	if (c->visit == NULL || c->answer_id.ptr == NULL) {
		visit_end_all(c->visit);
		return NULL;
	}
	c->table = visit_provider_table(c->visit);
	a->call = c;
	return c;
}

/* The deadline holds until the client sees the first byte, whatever is waited for: a
 * plugin that thinks, a connection, a head, a stream's first content. */
static enum step
start(struct call *c, struct building *b)
{
	int64_t left_us = left_ms(c) * 1000 + GRACE_US;
	int32_t result;

	c->is_hurried = left_ms(c) < first_byte_ms(c) / 2;
	if (loop_timer_set(c->r->worker->loop, &c->limit, left_us, out_of_time, c) !=
	    ST_OK)
		return request_fail(c->r, FAULT_OVERLOADED, NULL, "out of memory");
	(void)json_ran_dry();
	result = visit_build(c->visit, &b->http, build_came_home, b);
	return result == LZ_PENDING ? STEP_WAIT : built(c, result, &b->http);
}

enum step
call_attempt(struct request *r)
{
	struct attempt *a = request_attempt(r);
	struct building *b = arena_alloc(r->arena, sizeof *b);
	struct call *c = b != NULL ? call_new(r, a) : NULL;
	enum step s;

	if (c == NULL)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	r->calls++;
	wait_from_now(c);
	decide_limit(r, a);
	*b = (struct building){ c, lz_http_to("POST", a->target->provider->base_url) };
	s = start(c, b);
	if (s != STEP_WAIT) {
		r->calls--;
		close_call(c);
	}
	return s;
}

void
call_cancel(struct attempt *a, const char *end)
{
	struct call *c = a->call;

	if (c == NULL || c->visit == NULL)
		return;
	if (!c->is_over || c->ended == STEP_WAIT)
		call_given_up(c, end);
	cancel_upstream(c);
	stop_waiting(c);
}

void
call_drained(struct request *r)
{
	struct call *c = r->attempt_count > 0 ? request_attempt(r)->call : NULL;

	if (c == NULL || !c->is_paused)
		return;
	c->is_paused = false;
	let_go(c);
}
