/* test_states.c - a call cancelled, out of time, or freed with its engine, in every state
 * it can be in.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

enum where {
	LOOKING_UP,
	CONNECTING,
	SHAKING_HANDS,
	SENDING,
	AWAITING,
	INSIDE_THE_HEAD,
	INSIDE_THE_BODY,
	PAUSED,
	ON_A_KEPT_CONNECTION,
	STATES
};

enum way {
	CANCELLED,
	OUT_OF_TIME,
	FREED,
	WAYS
};

static const char *const names[STATES] = { "looking up", "connecting", "shaking hands",
	"sending", "awaiting", "inside the head", "inside the body", "paused",
	"on a kept connection" };

/* Goes as far as the state needs, says so at the gate, and waits. */
static void
go_as_far(struct line *l)
{
	enum where where = (enum where)l->p->mode;

	if (where == STATES) { /* behind them all */
		while (hear(l))
			say(l, ok_text);
		return;
	}
	if (where == ON_A_KEPT_CONNECTION) {
		if (!hear(l))
			return;
		say(l, ok_text);
	}
	if (where == SENDING) {
		(void)hear_something(l);
		atomic_store(&l->p->gate, 1);
		while (atomic_load(&l->p->gate) == 1)
			nap_ms(1);
		wait_for_close(l);
		return;
	}
	if (where > SENDING && !hear(l))
		return;
	if (where == INSIDE_THE_HEAD)
		say(l, "HTTP/1.1 200 OK\r\nX-A: ");
	if (where == INSIDE_THE_BODY || where == PAUSED)
		say(l, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
	atomic_store(&l->p->gate, 1);
	wait_for_close(l);
}

struct scene {
	struct bench b;
	struct got g;
	struct full_port full;
	struct upstream_request q;
	char url[64], *big;
	uint16_t port;
};

static void
aim(struct scene *s, enum where where)
{
	const char *base = "http://127.0.0.1";
	unsigned port = s->b.p->port;

	if (where == LOOKING_UP)
		base = "http://slow.test";
	if (where == SHAKING_HANDS)
		base = "https://127.0.0.1";
	if (where == CONNECTING)
		port = s->full.port;
	s->q = post(&s->b, s->url, "{}");
	s->q.url = lz_strn(
	    s->url, (size_t)snprintf(s->url, sizeof(s->url), "%s:%u/", base, port));
	if (where == SENDING)
		s->q.part[0] = lz_strn(s->big, 8 << 20);
}

static void
bring_there(struct scene *s, enum where where, enum way way)
{
	struct got g;

	aim(s, where);
	if (where == ON_A_KEPT_CONNECTION) {
		call(&s->b, &g, &s->q);
		assert_end(&g, UPSTREAM_DONE);
		got_free(&g);
	}
	if (way == OUT_OF_TIME)
		s->q.total_timeout_ms = 300;
	if (where == LOOKING_UP)
		names_slow(way == OUT_OF_TIME ? 900 : 80);
	got_init(&s->g, &s->b);
	send_call(&s->g, &s->q);
	if (where == PAUSED)
		upstream_pause(s->g.call);
	while (where > CONNECTING && s->g.dones == 0 && atomic_load(&s->b.p->gate) == 0)
		bench_rest(&s->b, 1);
	if (s->g.dones == 0)
		bench_rest(&s->b, 2);
}

static void
end_it(struct scene *s, enum where where, enum way way)
{
	unsigned heads = s->g.heads, datas = s->g.datas;

	if (way == OUT_OF_TIME) {
		if (s->g.dones == 0)
			bench_run(&s->b, 1);
		assert_end(&s->g, UPSTREAM_TOTAL_TIMEOUT);
		if (where <= SHAKING_HANDS)
			assert_false(s->g.r.was_sent);
		else if (atomic_load(&s->b.p->requests) > 0)
			assert_true(s->g.r.was_sent);
	} else if (way == CANCELLED) {
		s->b.left = 2;
		cancel(&s->g);
		s->b.left = 0;
		assert_int_equal(s->g.heads, heads);
		assert_int_equal(s->g.datas, datas);
		assert_int_equal(s->g.dones, 0);
	}
	if (way != FREED) {
		assert_int_equal(upstream_active(s->b.u), 0);
		engine->balance(s->b.u);
		atomic_store(&s->b.p->gate, 2);
		provider_await_quiet(s->b.p);
	}
	if (where == PAUSED)
		assert_int_equal(s->g.datas, 0);
}

/* Whatever state it was left in, its handle serves a whole answer and a stream. */
static void
go_on_behind_it(struct scene *s)
{
	static const size_t most[] = { 1000, 0, 1000 };

	s->b.p->mode = STATES;
	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		struct got g;
		struct upstream_request q = post(&s->b, s->url, "{}");

		q.max_answer_bytes = most[i];
		call(&s->b, &g, &q);
		assert_end(&g, UPSTREAM_DONE);
		got_free(&g);
	}
}

static void
run_scene(enum where where, enum way way)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->big = calloc(1, 8 << 20);
	full_port_open(&s->full);
	bench_open(&s->b, go_as_far, NULL);
	s->b.p->mode = where;
	bring_there(s, where, way);
	end_it(s, where, way);
	if (way != FREED)
		go_on_behind_it(s);
	bench_close(&s->b);
	if (way == FREED)
		assert_int_equal(s->g.dones, 0);
	if (where == LOOKING_UP)
		nap_ms(way == OUT_OF_TIME ? 900 : 150); /* the resolver's thread */
	full_port_close(&s->full);
	got_free(&s->g);
	free(s->big);
	free(s);
}

static void
run_all(enum way way)
{
	unsigned where;

	for (where = 0; where < STATES; where++) {
		if (where == SHAKING_HANDS && (engine->can & CAN_TLS) == 0)
			continue;
		if (getenv("SHOW") != NULL)
			print_message("# %s\n", names[where]);
		run_scene((enum where)where, way);
	}
}

static void
test_a_call_can_be_cancelled_in_every_state(void **state)
{
	(void)state;
	run_all(CANCELLED);
}

static void
test_a_call_runs_out_of_time_in_every_state(void **state)
{
	(void)state;
	run_all(OUT_OF_TIME);
}

static void
test_an_engine_can_be_freed_with_a_call_in_every_state(void **state)
{
	(void)state;
	run_all(FREED);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_call_can_be_cancelled_in_every_state),
		cmocka_unit_test(test_a_call_runs_out_of_time_in_every_state),
		cmocka_unit_test(test_an_engine_can_be_freed_with_a_call_in_every_state),
	};

	return run_suite("states", tests, sizeof(tests) / sizeof(tests[0]));
}
