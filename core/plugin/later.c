/* later.c - what a plugin asks for and hears of later: HTTP callouts, offloaded work,
 * timers, posts.
 *
 * Each is an `op` in its visit's list, and its callback runs exactly once: with the
 * result, or with LZ_E_GONE when the call ended first. Callbacks come from the loop,
 * never from inside the function that asked. What a pool thread or a posting thread holds
 * cannot be cancelled, only marked; the visit stays until it comes home.
 *
 * While the visit is paused nothing is called back: what came home stays in the list with
 * its turn, and is called in that order when the visit goes on.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "base/mem.h"
#include "net/upstream.h"
#include "plugin/enter.h"

enum {
	HTTP_REPLY_BYTES = 4 << 20,
	HTTP_BODY_BYTES = 32 << 20,
	HTTP_HEADERS = 64,
	HTTP_TIMEOUT_MS = 10000, /* when neither the plugin nor the request says one */
	AFTER_MAX_MS = 24 * 3600 * 1000
};

struct op {
	struct op *next, **link;
	struct visit *v;
	enum op_kind kind;
	atomic_bool is_gone; /* read by the pool's thread */
	unsigned call;       /* the entry it belongs to */
	uint64_t turn;       /* came home while the visit was paused; 0: it did not */
	int32_t error;       /* of http, once it is home */
	union {
		lz_reply_fn *reply;
		lz_call_fn *call;
	} fn;
	lz_task_fn *work;
	void *ud;
	struct loop_timer timer;
	struct pool_job job;
	struct loop_task task;
	/* http */
	struct upstream_call *upstream;
	char *body;
	struct arena *memory; /* the reply's headers */
	lz_header *header;
	size_t header_count;
	int status;
	struct buf reply;
	int64_t began_us;
	/* parse */
	lz_str text; /* stays until the request ends */
	bool wants_body, wants_edit;
	json_t *tree, *copy;
	bool is_dry; /* memory ran out for them */
	struct err why;
};

static struct op *
op_new(struct visit *v, enum op_kind kind, void *ud)
{
	struct op *o = mem_zalloc(sizeof(*o));

	if (o == NULL)
		return NULL;
	o->v = v;
	o->kind = kind;
	o->call = v->calls;
	o->ud = ud;
	buf_init(&o->reply, HTTP_REPLY_BYTES);
	return o;
}

static void
op_add(struct op *o)
{
	struct visit *v = o->v;

	o->next = v->op;
	if (o->next != NULL)
		o->next->link = &o->next;
	o->link = &v->op;
	v->op = o;
	v->op_count++;
}

static void
op_remove(struct op *o)
{
	if (o->link == NULL)
		return;
	*o->link = o->next;
	if (o->next != NULL)
		o->next->link = o->link;
	o->link = NULL;
	o->v->op_count--;
}

static void
op_free(struct op *o)
{
	if (o == NULL)
		return;
	op_remove(o);
	buf_free(&o->reply);
	mem_free(o->body);
	arena_free(o->memory);
	json_decref(o->tree);
	json_decref(o->copy);
	mem_free(o);
}

/* May v ask for one more? */
static int32_t
may_ask(const struct visit *v)
{
	if (v == NULL)
		return LZ_E_INVALID;
	if (v->is_closed || v->is_over)
		return LZ_E_GONE;
	return v->op_count < VISIT_OPS ? LZ_OK : LZ_E_LIMIT;
}

static int32_t
outcome(struct op *o)
{
	return atomic_load_explicit(&o->is_gone, memory_order_relaxed) ? LZ_E_GONE
								       : LZ_OK;
}

/* Runs the callback of offload, after and post. The visit lives; visit_settle() is the
 * caller's. */
static void
deliver_call(struct op *o)
{
	struct visit *v = o->v;

	visit_enter(v);
	o->fn.call((lz_call *)(void *)v, outcome(o), o->ud);
	visit_leave(v);
}

static void
deliver_reply(struct op *o)
{
	struct visit *v = o->v;
	lz_reply r = { .size = sizeof(r), .error = o->error, .status = o->status };

	r.elapsed_ms = (uint32_t)((loop_now(v->loop)->mono_us - o->began_us) / 1000);
	r.body = buf_str(&o->reply);
	r.headers = o->header;
	r.header_count = o->header_count;
	visit_enter(v);
	o->fn.reply((lz_call *)(void *)v, &r, o->ud);
	visit_leave(v);
}

/* The callback, once; o is gone when it returns. What a pool thread still had when its
 * call was over may come home in the middle of the next one, which it has no say in. */
static void
deliver(struct op *o)
{
	struct visit *v = o->v;
	bool was_closed = v->is_closed;

	op_remove(o);
	v->is_closed |= o->call != v->calls;
	if (o->kind == OP_POST)
		token_post_home(v);
	if (o->kind == OP_HTTP)
		deliver_reply(o);
	else
		deliver_call(o);
	v->is_closed = was_closed;
	op_free(o);
}

/* It happened: the callback runs now, or when the visit goes on. */
static void
come_home(struct op *o)
{
	struct visit *v = o->v;

	if (v->is_paused && outcome(o) == LZ_OK) {
		o->turn = ++v->turns;
		if (o->link == NULL)
			op_add(o);
		return;
	}
	deliver(o);
	visit_settle(v);
}

static struct op *
next_in_turn(const struct visit *v)
{
	struct op *first = NULL;

	for (struct op *o = v->op; o != NULL; o = o->next)
		if (o->turn > 0 && (first == NULL || o->turn < first->turn))
			first = o;
	return first;
}

void
later_go_on(struct visit *v)
{
	struct op *o;

	while (!v->is_paused && !v->is_over && !v->has_result &&
	       (o = next_in_turn(v)) != NULL)
		deliver(o);
}

/* ---- lz->after() ---- */

static void
timer_due(void *arg)
{
	come_home(arg);
}

int32_t
later_after(lz_call *c, uint32_t ms, lz_call_fn *fn, void *ud)
{
	struct visit *v = visit_here(c);
	int32_t result = may_ask(v);
	struct op *o;

	if (result != LZ_OK)
		return result;
	if (fn == NULL || ms > AFTER_MAX_MS)
		return LZ_E_INVALID;
	o = op_new(v, OP_AFTER, ud);
	if (o == NULL)
		return LZ_E_NOMEM;
	o->fn.call = fn;
	if (loop_timer_set(v->loop, &o->timer, (int64_t)ms * 1000, timer_due, o) !=
	    ST_OK) {
		op_free(o);
		return LZ_E_NOMEM;
	}
	op_add(o);
	return LZ_OK;
}

/* ---- lz->offload() ---- */

static void
offload_work(void *arg)
{
	struct op *o = arg;
	const struct plugin *before;

	if (outcome(o) != LZ_OK)
		return;
	before = host_enter(o->v->component->plugin);
	o->work(o->ud);
	host_leave(before);
}

static void
offload_home(void *arg)
{
	come_home(arg);
}

static enum status
send_to_pool(struct op *o, void (*work)(void *arg), loop_fn *home)
{
	struct worker *w = o->v->r->worker;

	o->job =
	    (struct pool_job){ .work = work, .home = home, .arg = o, .loop = o->v->loop };
	return w->pool != NULL ? pool_run(w->pool, &o->job) : ST_LIMIT;
}

int32_t
later_offload(lz_call *c, lz_task_fn *work, lz_call_fn *fn, void *ud)
{
	struct visit *v = visit_here(c);
	int32_t result = may_ask(v);
	struct op *o;

	if (result != LZ_OK)
		return result;
	if (work == NULL || fn == NULL)
		return LZ_E_INVALID;
	o = op_new(v, OP_OFFLOAD, ud);
	if (o == NULL)
		return LZ_E_NOMEM;
	o->work = work;
	o->fn.call = fn;
	if (send_to_pool(o, offload_work, offload_home) != ST_OK) {
		op_free(o);
		return LZ_E_LIMIT;
	}
	op_add(o);
	return LZ_OK;
}

/* ---- the host's own: large bodies become trees off the loop ---- */

static void
parse_work(void *arg)
{
	struct op *o = arg;

	if (outcome(o) != LZ_OK)
		return;
	(void)json_ran_dry();
	o->tree = json_parse(o->text, &o->why);
	if (o->tree != NULL && o->wants_body && o->wants_edit)
		o->copy = visit_copy(o->tree);
	o->is_dry = json_ran_dry();
}

static void
take_trees(struct op *o)
{
	struct visit *v = o->v;

	if (o->wants_body) {
		v->body = o->tree;
		v->edit = o->copy;
	} else {
		v->edit = o->tree;
	}
	o->tree = o->copy = NULL;
}

static void
parse_home(void *arg)
{
	struct op *o = arg;
	struct visit *v = o->v;
	int32_t result;

	op_remove(o);
	if (outcome(o) == LZ_OK) {
		if (o->is_dry) {
			result = LZ_E_NOMEM;
		} else if (o->tree != NULL) {
			take_trees(o);
			result = v->first(v);
		} else {
			result = visit_unreadable(v, &o->why);
		}
		if (result !=
		    LZ_PENDING) { /* else finish() may have been called already */
			v->result = result;
			v->has_result = true;
		}
	}
	op_free(o);
	visit_settle(v);
}

int32_t
later_parse(struct visit *v, bool wants_body, bool wants_edit)
{
	struct op *o = op_new(v, OP_PARSE, NULL);

	if (o == NULL)
		return LZ_E_NOMEM;
	o->text = buf_str(v->document);
	o->wants_body = wants_body;
	o->wants_edit = wants_edit;
	if (send_to_pool(o, parse_work, parse_home) != ST_OK) {
		op_free(o);
		return LZ_E_LIMIT;
	}
	op_add(o);
	return LZ_PENDING;
}

/* ---- lz->http() ---- */

static void
http_head(void *arg, int status, const lz_header *h, size_t n)
{
	struct op *o = arg;

	o->status = status;
	o->memory = arena_new((size_t)UPSTREAM_HEAD_BYTES * 2);
	o->header = o->memory != NULL && n > 0
			? arena_alloc(o->memory, n * sizeof(*o->header))
			: NULL;
	for (size_t i = 0; o->header != NULL && i < n; i++) {
		lz_str name = arena_copy(o->memory, h[i].name),
		       value = arena_copy(o->memory, h[i].value);

		if (name.ptr != NULL && value.ptr != NULL)
			o->header[o->header_count++] = lz_head(name, value);
	}
}

static void
http_data(void *arg, lz_str bytes)
{
	struct op *o = arg;

	upstream_alive(o->upstream);
	buf_add_str(&o->reply, bytes);
}

static int32_t
error_of_end(enum upstream_end end)
{
	switch (end) {
	case UPSTREAM_DONE:
		return LZ_OK;
	case UPSTREAM_CONNECT_TIMEOUT:
	case UPSTREAM_FIRST_BYTE_TIMEOUT:
	case UPSTREAM_IDLE_TIMEOUT:
	case UPSTREAM_TOTAL_TIMEOUT:
		return LZ_E_TIMEOUT;
	case UPSTREAM_TOO_LARGE:
		return LZ_E_LIMIT;
	case UPSTREAM_NOMEM:
		return LZ_E_NOMEM;
	default:
		return LZ_E_FAIL;
	}
}

static void
http_done(void *arg, const struct upstream_result *result)
{
	struct op *o = arg;

	o->upstream = NULL;
	o->error = o->reply.failed ? LZ_E_NOMEM : error_of_end(result->end);
	come_home(o);
}

static const struct upstream_ops http_ops = { http_head, http_data, http_done };

/* Methods are static strings down there. NULL: none that we speak. */
static const char *
method_of(lz_str m)
{
	static const char *const known[] = { "GET", "POST", "PUT", "PATCH", "DELETE",
		"HEAD" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (str_is(m, known[i]))
			return known[i];
	return NULL;
}

static unsigned
timeout_of(const struct visit *v, uint32_t wanted_ms)
{
	int64_t left_ms = HTTP_TIMEOUT_MS;

	if (v->r->deadline_us > 0)
		left_ms = (v->r->deadline_us - loop_now(v->loop)->mono_us) / 1000;
	if (wanted_ms > 0 && wanted_ms < left_ms)
		left_ms = wanted_ms;
	return left_ms < 1 ? 1 : (unsigned)left_ms;
}

static int32_t
http_send(struct op *o, const lz_http *q)
{
	struct upstream_request u = { .method = method_of(q->method), .url = q->url };
	struct err e;

	u.headers = q->headers;
	u.header_count = q->header_count;
	u.total_timeout_ms = timeout_of(o->v, q->timeout_ms);
	u.max_answer_bytes = HTTP_REPLY_BYTES;
	if (q->body.len > 0) {
		o->body = mem_dup(q->body.ptr, q->body.len);
		if (o->body == NULL)
			return LZ_E_NOMEM;
		u.part[u.part_count++] = lz_strn(o->body, q->body.len);
	}
	o->began_us = loop_now(o->v->loop)->mono_us;
	o->upstream = upstream_send(o->v->r->worker->upstream, &u, &http_ops, o, &e);
	return o->upstream != NULL ? LZ_OK : LZ_E_INVALID;
}

int32_t
later_http(lz_call *c, const lz_http *q, lz_reply_fn *fn, void *ud)
{
	struct visit *v = visit_here(c);
	int32_t result = may_ask(v);
	struct op *o;

	if (result != LZ_OK)
		return result;
	if (q == NULL || fn == NULL || method_of(q->method) == NULL ||
	    q->body.len > HTTP_BODY_BYTES || q->header_count > HTTP_HEADERS ||
	    (q->header_count > 0 && q->headers == NULL))
		return LZ_E_INVALID;
	o = op_new(v, OP_HTTP, ud);
	if (o == NULL)
		return LZ_E_NOMEM;
	o->fn.reply = fn;
	result = http_send(o, q);
	if (result != LZ_OK) {
		op_free(o);
		return result;
	}
	op_add(o);
	return LZ_OK;
}

/* ---- lz->post(): made by the posting thread, under the tokens' lock ---- */

static void
post_home(void *arg)
{
	struct op *o = arg;
	struct visit *v = o->v;

	if (v->is_closed || v->is_over || o->call != v->calls)
		atomic_store_explicit(&o->is_gone, true, memory_order_relaxed);
	come_home(o);
}

struct op *
later_post_new(struct visit *v, lz_call_fn *fn, void *ud)
{
	struct op *o = op_new(v, OP_POST, ud);

	if (o != NULL)
		o->fn.call = fn;
	return o;
}

void
later_post_run(struct op *o)
{
	loop_post(o->v->loop, &o->task, post_home, o);
}

/* ---- the end ---- */

static bool
is_held_elsewhere(const struct op *o)
{
	return o->turn == 0 && (o->kind == OP_OFFLOAD || o->kind == OP_PARSE);
}

void
later_cancel(struct visit *v)
{
	struct op *o = v->op;

	while (o != NULL) {
		if (is_held_elsewhere(o)) {
			atomic_store_explicit(&o->is_gone, true, memory_order_relaxed);
			o = o->next;
			continue;
		}
		/* A callback may change the list: start over after each. What is asked
		 * for meanwhile is refused. */
		atomic_store_explicit(&o->is_gone, true, memory_order_relaxed);
		o->error = LZ_E_GONE;
		loop_timer_cancel(v->loop, &o->timer);
		upstream_cancel(o->upstream);
		deliver(o);
		o = v->op;
	}
}
