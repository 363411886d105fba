/* bench.c - a loop, an engine, and calls that remember what they were told.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

static void
on_watchdog(void *arg)
{
	(void)arg;
	fail_msg("nothing happened for %d s", WATCHDOG_US / 1000000);
}

void
do_nothing(void *arg)
{
	(void)arg;
}

void
bench_open_tls(struct bench *b, void (*script)(struct line *l),
    const struct upstream_options *o, struct tls *tls)
{
	static const struct upstream_options plain;
	struct err e;

	memset(b, 0, sizeof(*b));
	names_slow(0);
	b->p = provider_start(script, tls);
	b->loop = loop_new(&e);
	assert_non_null(b->loop);
	b->u = engine->open(b->loop, o != NULL ? o : &plain, &e);
	assert_non_null(b->u);
	assert_int_equal(
	    loop_timer_set(b->loop, &b->watchdog, WATCHDOG_US, on_watchdog, b), ST_OK);
}

void
bench_open(
    struct bench *b, void (*script)(struct line *l), const struct upstream_options *o)
{
	bench_open_tls(b, script, o, NULL);
}

void
bench_close(struct bench *b)
{
	unsigned requests = atomic_load(&b->p->requests);

	if (requests > b->calls)
		fail_msg("%u calls became %u requests", b->calls, requests);
	upstream_free(b->u);
	loop_free(b->loop);
	provider_stop(b->p);
}

void
bench_run(struct bench *b, unsigned calls)
{
	b->left += calls;
	loop_post(b->loop, &b->task, do_nothing, NULL);
	loop_run(b->loop);
}

void
one_less(struct bench *b)
{
	if (--b->left == 0)
		loop_stop(b->loop);
}

static void
stop_loop(void *arg)
{
	struct bench *b = arg;

	loop_stop(b->loop);
}

void
bench_rest(struct bench *b, unsigned ms)
{
	assert_int_equal(
	    loop_timer_set(b->loop, &b->timer, (int64_t)ms * 1000, stop_loop, b), ST_OK);
	loop_post(b->loop, &b->task, do_nothing, NULL);
	loop_run(b->loop);
}

void
bench_await(struct bench *b, atomic_uint *what, unsigned value)
{
	while (atomic_load(what) < value)
		bench_rest(b, 1);
}

void
cancel(struct got *g)
{
	upstream_cancel(g->call);
	g->call = NULL;
	g->is_cancelled = true;
	one_less(g->b);
}

void
on_head(void *arg, int status, const lz_header *h, size_t n)
{
	struct got *g = arg;
	size_t i;

	g->heads++;
	g->status = status;
	g->header_count = n;
	buf_reset(&g->text);
	assert_non_null(buf_room(&g->text, 2 * UPSTREAM_HEAD_BYTES));
	for (i = 0; i < n; i++) {
		g->header[i].name = lz_strn(g->text.ptr + g->text.len, h[i].name.len);
		buf_add_str(&g->text, h[i].name);
		g->header[i].value = lz_strn(g->text.ptr + g->text.len, h[i].value.len);
		buf_add_str(&g->text, h[i].value);
	}
	if (g->cancel_in_head)
		cancel(g);
}

static void
on_resume(void *arg)
{
	struct got *g = arg;

	if (g->call != NULL)
		upstream_resume(g->call);
}

static void
on_data(void *arg, lz_str bytes)
{
	struct got *g = arg;

	assert_int_equal(g->heads, 1);
	assert_true(bytes.len > 0);
	g->datas++;
	buf_add_str(&g->body, bytes);
	if (g->alive_left > 0) {
		g->alive_left--;
		upstream_alive(g->call);
	}
	if (g->cancel_in_data) {
		cancel(g);
		assert_memory_equal(
		    bytes.ptr, g->body.ptr + g->body.len - bytes.len, bytes.len);
	}
	if (g->pause_in_data) {
		upstream_pause(g->call);
		assert_int_equal(
		    loop_timer_set(g->b->loop, &g->timer, 500, on_resume, g), ST_OK);
	}
}

void
on_done(void *arg, const struct upstream_result *r)
{
	struct got *g = arg;

	assert_int_equal(g->dones, 0);
	assert_false(g->is_cancelled);
	g->dones++;
	g->r = *r;
	loop_timer_cancel(g->b->loop, &g->timer);
	if (g->cancel_in_done)
		upstream_cancel(g->call);
	g->call = NULL;
	one_less(g->b);
}

const struct upstream_ops ops = { .head = on_head, .data = on_data, .done = on_done };

void
got_init(struct got *g, struct bench *b)
{
	memset(g, 0, sizeof(*g));
	g->b = b;
	buf_init(&g->text, 4 * UPSTREAM_HEAD_BYTES);
	buf_init(&g->body, REQUEST_BYTES);
}

void
got_free(struct got *g)
{
	buf_free(&g->text);
	buf_free(&g->body);
}

lz_str
url_of(const struct bench *b, char out[64])
{
	const char *base = b->p->tls != NULL ? "https://127.0.0.1" : "http://127.0.0.1";

	return lz_strn(out, (size_t)snprintf(out, 64, "%s:%u/v1/chat", base, b->p->port));
}

struct upstream_request
post(const struct bench *b, char url[64], const char *body)
{
	struct upstream_request q = {
		.method = "POST", .url = url_of(b, url), .part_count = 1
	};

	q.part[0] = lz_strz(body);
	return q;
}

void
send_call(struct got *g, const struct upstream_request *q)
{
	struct err e = { "" };

	g->call = upstream_send(g->b->u, q, &ops, g, &e);
	if (g->call == NULL)
		fail_msg("upstream_send: %s", e.text);
	g->b->calls++;
}

void
call(struct bench *b, struct got *g, const struct upstream_request *q)
{
	got_init(g, b);
	send_call(g, q);
	bench_run(b, 1);
}

void
call_post(struct bench *b, struct got *g, const char *body)
{
	char url[64];
	struct upstream_request q = post(b, url, body);

	call(b, g, &q);
}

const char *
header_of(struct got *g, const char *name)
{
	static char value[256];
	size_t i;

	for (i = 0; i < g->header_count; i++) {
		if (!str_is(g->header[i].name, name))
			continue;
		(void)snprintf(value, sizeof(value), "%.*s", STR_ARG(g->header[i].value));
		return value;
	}
	return NULL;
}
