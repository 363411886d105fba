/* test_flow.c - pause, resume and cancel, in every state.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

/* Back-pressure. */

enum {
	FLOOD_BYTES = 5 << 20
};

static void
flood(struct line *l)
{
	char piece[8192];
	size_t i, sent;

	while (hear(l)) {
		(void)snprintf(piece, sizeof(piece),
		    "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", FLOOD_BYTES);
		say(l, piece);
		for (sent = 0; sent < FLOOD_BYTES; sent += sizeof(piece)) {
			for (i = 0; i < sizeof(piece); i++)
				piece[i] = (char)((sent + i) * 31 >> 3);
			say_n(l, piece, sizeof(piece));
		}
	}
}

static void
assert_flood(const struct got *g)
{
	size_t i;

	assert_int_equal(g->body.len, FLOOD_BYTES);
	for (i = 0; i < FLOOD_BYTES; i++)
		if (g->body.ptr[i] != (char)(i * 31 >> 3))
			fail_msg("byte %zu is wrong", i);
}

static void
test_5_mb_survive_a_pause_after_every_piece(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	bench_open(&b, flood, NULL);
	q = post(&b, url, "{}");
	got_init(&g, &b);
	g.pause_in_data = true;
	send_call(&g, &q);
	bench_run(&b, 1);
	assert_end(&g, UPSTREAM_DONE);
	assert_flood(&g);
	got_free(&g);
	bench_close(&b);
}

static void
test_a_paused_answer_waits_and_its_silence_is_not_counted(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;
	size_t before;

	(void)state;
	bench_open(&b, flood, NULL);
	q = post(&b, url, "{}");
	q.idle_timeout_ms = 60;
	got_init(&g, &b);
	g.alive_left = UINT32_MAX;
	send_call(&g, &q);
	upstream_pause(g.call); /* before there is a connection */
	bench_rest(&b, 150);
	assert_int_equal(g.heads, 1);
	assert_int_equal(g.datas, 0);
	upstream_resume(g.call);
	assert_int_equal(g.datas, 0); /* never inside */
	bench_rest(&b, 1);
	assert_true(g.datas > 0);
	upstream_pause(g.call);
	before = g.body.len;
	bench_rest(&b, 150);
	assert_int_equal(g.body.len, before);
	assert_int_equal(g.dones, 0);
	upstream_resume(g.call);
	bench_run(&b, 1);
	assert_end(&g, UPSTREAM_DONE);
	assert_flood(&g);
	got_free(&g);
	bench_close(&b);
}

static void
test_the_total_limit_ends_a_paused_answer_too(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	bench_open(&b, flood, NULL);
	q = post(&b, url, "{}");
	q.total_timeout_ms = 80;
	got_init(&g, &b);
	send_call(&g, &q);
	upstream_pause(g.call);
	bench_run(&b, 1);
	assert_end(&g, UPSTREAM_TOTAL_TIMEOUT);
	assert_int_equal(g.datas, 0);
	got_free(&g);
	bench_close(&b);
}

/* Cancelling. */

static void
cancel_later(void *arg)
{
	cancel(arg);
}

static void
cancel_after(struct bench *b, struct got *g, unsigned ms)
{
	char url[64];
	struct upstream_request q = post(b, url, "{}");

	got_init(g, b);
	send_call(g, &q);
	assert_int_equal(
	    loop_timer_set(b->loop, &g->timer, (int64_t)ms * 1000, cancel_later, g),
	    ST_OK);
	bench_run(b, 1);
	bench_rest(b, 20);
	assert_int_equal(g->dones, 0);
	assert_int_equal(upstream_active(b->u), 0);
}

static void
test_a_call_can_be_cancelled_before_it_connects(void **state)
{
	struct full_port f;
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	full_port_open(&f);
	bench_open(&b, answer_text, NULL);
	b.p->text = ok_text;
	q = post(&b, url, "{}");
	got_init(&g, &b);
	b.left = 2;
	send_call(&g, &q); /* in the turn that sends it */
	cancel(&g);
	bench_rest(&b, 20);
	assert_int_equal(g.heads + g.dones, 0);
	assert_int_equal(atomic_load(&b.p->requests), 0);
	got_free(&g);

	b.left = 0; /* while it connects */
	b.p->port = f.port;
	cancel_after(&b, &g, 30);
	got_free(&g);
	b.p->port = 0;
	upstream_cancel(NULL);
	upstream_free(b.u);
	loop_free(b.loop);
	full_port_close(&f);
	{
		struct sockaddr_in sa;
		socklen_t len = sizeof(sa);

		assert_int_equal(getsockname(b.p->fd, (struct sockaddr *)&sa, &len), 0);
		b.p->port = ntohs(sa.sin_port);
	}
	provider_stop(b.p);
}

static void
test_a_call_can_be_cancelled_while_the_answer_is_awaited(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, never_answer, NULL);
	cancel_after(&b, &g, 50);
	assert_int_equal(atomic_load(&b.p->requests), 1);
	assert_int_equal(g.heads, 0);
	provider_await_quiet(b.p); /* it sees that we left */
	got_free(&g);
	bench_close(&b);
}

static void
half_a_head(struct line *l)
{
	if (hear(l)) {
		say(l, "HTTP/1.1 200 OK\r\nX: ");
		wait_for_close(l);
	}
}

static void
test_a_call_can_be_cancelled_inside_the_head_and_inside_the_body(void **state)
{
	void (*scripts[])(struct line * l) = { half_a_head, drip };
	struct bench b;
	struct got g;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		bench_open(&b, scripts[i], NULL);
		cancel_after(&b, &g, 60);
		assert_int_equal(g.heads, i);
		got_free(&g);
		bench_close(&b);
	}
}

static void
test_a_call_can_be_cancelled_by_its_own_callbacks(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;
	unsigned i;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = ok_text;
	q = post(&b, url, "{}");
	for (i = 0; i < 3; i++) {
		got_init(&g, &b);
		g.cancel_in_head = i == 0;
		g.cancel_in_data = i == 1;
		g.cancel_in_done = i == 2;
		send_call(&g, &q);
		bench_run(&b, 1);
		bench_rest(&b, 10);
		assert_int_equal(g.heads, 1);
		assert_int_equal(g.datas, i > 0);
		assert_int_equal(g.dones, i > 1);
		assert_int_equal(upstream_active(b.u), 0);
		got_free(&g);
	}
	bench_close(&b);
}

struct pair {
	struct got a, b;
	struct upstream_request q;
};

static void
cancel_the_other_and_send_again(void *arg, lz_str bytes)
{
	struct pair *pair = arg;

	(void)bytes;
	cancel(&pair->b);
	cancel(&pair->a);
	got_free(&pair->a);
	got_init(&pair->a, pair->b.b);
	send_call(&pair->a, &pair->q);
}

static void
test_a_callback_may_cancel_another_call_and_send_a_new_one(void **state)
{
	static const struct upstream_ops wild = {
		.head = on_head, .data = cancel_the_other_and_send_again, .done = on_done
	};
	struct pair pair;
	struct bench b;
	struct err e;
	char url[64];

	(void)state;
	bench_open(&b, answer_echo, NULL);
	got_init(&pair.a, &b);
	got_init(&pair.b, &b);
	pair.q = post(&b, url, "again");
	pair.a.call = upstream_send(b.u, &pair.q, &wild, &pair, &e);
	pair.b.call = upstream_send(b.u, &pair.q, &ops, &pair.b, &e);
	b.calls += 2;
	upstream_pause(pair.b.call); /* so that it cannot end by itself */
	bench_run(&b, 3);
	assert_true(pair.b.is_cancelled);
	assert_end(&pair.a, UPSTREAM_DONE);
	assert_body(&pair.a, "again");
	got_free(&pair.a);
	got_free(&pair.b);
	bench_close(&b);
}

static void
test_the_engine_can_be_freed_with_calls_in_every_state(void **state)
{
	struct bench b;
	struct got g[12];
	char url[64];
	struct upstream_request q;
	unsigned i;

	(void)state;
	bench_open(&b, drip, NULL);
	q = post(&b, url, "{}");
	for (i = 0; i < 12; i++)
		got_init(&g[i], &b);
	for (i = 0; i < 8; i++)
		send_call(&g[i], &q);
	b.left = 100;
	bench_rest(&b, 60);
	for (i = 8; i < 12; i++)
		send_call(&g[i], &q);
	upstream_pause(g[1].call);
	upstream_resume(g[1].call);
	upstream_pause(g[2].call);
	bench_close(&b);
	for (i = 0; i < 12; i++) {
		assert_int_equal(g[i].dones, 0);
		got_free(&g[i]);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_5_mb_survive_a_pause_after_every_piece),
		cmocka_unit_test(
		    test_a_paused_answer_waits_and_its_silence_is_not_counted),
		cmocka_unit_test(test_the_total_limit_ends_a_paused_answer_too),
		cmocka_unit_test(test_a_call_can_be_cancelled_before_it_connects),
		cmocka_unit_test(
		    test_a_call_can_be_cancelled_while_the_answer_is_awaited),
		cmocka_unit_test(
		    test_a_call_can_be_cancelled_inside_the_head_and_inside_the_body),
		cmocka_unit_test(test_a_call_can_be_cancelled_by_its_own_callbacks),
		cmocka_unit_test(
		    test_a_callback_may_cancel_another_call_and_send_a_new_one),
		cmocka_unit_test(test_the_engine_can_be_freed_with_calls_in_every_state),
	};

	return run_suite("flow", tests, sizeof(tests) / sizeof(tests[0]));
}
