/* test_libcurl.c - what is promised by the libcurl engine alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

#include "net/upstream_curl.h"

static void
test_an_idle_connection_is_closed_when_its_time_is_over(void **state)
{
	struct upstream_options o = { .idle_ms = 50 };
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, &o);
	b.p->text = ok_text;
	call_post(&b, &g, "{}");
	got_free(&g);
	assert_int_equal(b.u->shard[0]->open, 1);
	bench_rest(&b, 150);
	assert_int_equal(b.u->shard[0]->open, 0);
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	assert_int_equal(atomic_load(&b.p->lines), 2);
	got_free(&g);
	bench_close(&b);
}

/* A look before each reuse. */

enum {
	CHAINS = 8,
	CHAIN_CALLS = 400
};

static unsigned looks;

static ssize_t
counting_recv(int fd, void *p, size_t n, int flags)
{
	looks += (flags & MSG_PEEK) != 0;
	return recv(fd, p, n, flags);
}

struct chain {
	struct bench b;
	struct upstream_request q;
	unsigned sent, done;
};

static void chain_next(struct chain *k);

static void
ignore_head(void *arg, int status, const lz_header *h, size_t n)
{
	(void)arg;
	(void)h;
	(void)n;
	assert_int_equal(status, 200);
}

static void
ignore_data(void *arg, lz_str bytes)
{
	(void)arg;
	(void)bytes;
}

static void
on_chain_done(void *arg, const struct upstream_result *r)
{
	struct chain *k = arg;

	assert_int_equal(r->end, UPSTREAM_DONE);
	k->done++;
	if (k->sent < CHAIN_CALLS)
		chain_next(k);
	if (k->done == CHAIN_CALLS)
		loop_stop(k->b.loop);
}

static void
chain_next(struct chain *k)
{
	static const struct upstream_ops quiet = { ignore_head, ignore_data,
		on_chain_done };
	struct err e;

	k->sent++;
	k->b.calls++;
	assert_non_null(upstream_send(k->b.u, &k->q, &quiet, k, &e));
}

static void
test_a_kept_connection_is_looked_at_before_every_request(void **state)
{
	struct io_calls real = io;
	struct chain k = { .sent = 0 };
	char url[64];
	unsigned i;

	(void)state;
	bench_open(&k.b, answer_text, NULL);
	k.b.p->text = ok_text;
	k.q = post(&k.b, url, "{}");
	looks = 0;
	io.recv = counting_recv;
	for (i = 0; i < CHAINS; i++)
		chain_next(&k);
	loop_post(k.b.loop, &k.b.task, do_nothing, NULL);
	loop_run(k.b.loop);
	io = real;
	assert_int_equal(atomic_load(&k.b.p->requests), CHAIN_CALLS);
	assert_true(looks >= CHAIN_CALLS - atomic_load(&k.b.p->lines));
	engine->balance(k.b.u);
	bench_close(&k.b);
}

/* Many at once. */

enum {
	MANY = 300
};

/* Answers only when all are there. */
static void
answer_together(struct line *l)
{
	if (!hear(l))
		return;
	atomic_fetch_add(&l->p->gate, 1);
	while (atomic_load(&l->p->gate) < MANY)
		nap_ms(5);
	say(l, ok_text);
	wait_for_close(l);
}

static void
test_300_calls_at_once_share_two_shards(void **state)
{
	struct got *g = calloc(MANY, sizeof(*g));
	struct bench b;
	char url[64];
	struct upstream_request q;
	unsigned i;

	(void)state;
	bench_open(&b, answer_together, NULL);
	q = post(&b, url, "{}");
	for (i = 0; i < MANY; i++) {
		got_init(&g[i], &b);
		send_call(&g[i], &q);
	}
	assert_int_equal(upstream_active(b.u), MANY);
	assert_int_equal(b.u->shards, 2);
	assert_int_equal(b.u->shard[0]->active, 256);
	bench_run(&b, MANY);
	for (i = 0; i < MANY; i++) {
		assert_end(&g[i], UPSTREAM_DONE);
		assert_body(&g[i], "ok");
		got_free(&g[i]);
	}
	assert_int_equal(atomic_load(&b.p->lines), MANY);
	assert_int_equal(b.u->shard[0]->idle + b.u->shard[1]->idle, MANY);
	assert_int_equal(upstream_active(b.u), 0);
	bench_close(&b);
	free(g);
}

/* Memory. */

static _Thread_local unsigned fail_in; /* the provider is spared */

static int
fail_nth(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return fail_in > 0 && --fail_in == 0;
}

/* true: the allocation to fail was reached. */
static bool
call_without_memory(struct bench *b, unsigned nth)
{
	struct upstream_request q;
	struct got g;
	struct err e;
	char url[64];
	bool reached;

	q = post(b, url, "{\"model\":\"m\"}");
	q.first_byte_timeout_ms = 2000;
	q.total_timeout_ms = 3000;
	got_init(&g, b);
	assert_non_null(buf_room(&g.text, 3 * UPSTREAM_HEAD_BYTES));
	assert_non_null(buf_room(&g.body, 4096));
	fail_in = nth;
	g.call = upstream_send(b->u, &q, &ops, &g, &e);
	b->calls++;
	if (g.call != NULL)
		bench_run(b, 1);
	reached = fail_in == 0;
	fail_in = 0;
	assert_int_equal(upstream_active(b->u), 0);
	if (g.dones == 1 && g.r.end == UPSTREAM_DONE)
		assert_body(&g, "ok");
	assert_true(g.r.total_us < 1500000); /* no call waits for its last limit */
	got_free(&g);
	return reached;
}

static void
test_an_allocation_that_fails_ends_the_call_and_nothing_else(void **state)
{
	struct bench b;
	struct got g;
	unsigned nth;
	bool reached = true;

	(void)state;
	mem_set_fault(fail_nth, NULL);
	for (nth = 1; reached; nth++) {
		bench_open(&b, answer_text, NULL);
		b.p->text = ok_text;
		reached = call_without_memory(&b, nth); /* a new connection */
		if (call_without_memory(&b, nth))       /* maybe a kept one */
			reached = true;
		call_post(&b, &g, "{}");
		if (g.r.end != UPSTREAM_DONE)
			fail_msg("after allocation %u: %s, %s", nth,
			    upstream_end_name(g.r.end), g.r.detail);
		got_free(&g);
		bench_close(&b);
	}
	mem_set_fault(NULL, NULL);
	assert_true(nth > 50);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_idle_connection_is_closed_when_its_time_is_over),
		cmocka_unit_test(
		    test_a_kept_connection_is_looked_at_before_every_request),
		cmocka_unit_test(test_300_calls_at_once_share_two_shards),
		cmocka_unit_test(
		    test_an_allocation_that_fails_ends_the_call_and_nothing_else),
	};

	return run_suite("libcurl", tests, sizeof(tests) / sizeof(tests[0]));
}
