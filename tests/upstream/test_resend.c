/* test_resend.c - no request is written twice, whatever the provider does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

/* Kept connections that are closed: no request is written twice. */

enum awkward {
	CLOSE,
	RESET,
	PART_CLOSE,
	PART_RESET,
	IDLE_CLOSE,
	IDLE_STRAY,
	STRAY_AT_ONCE,
	AWKWARD
};

/* The first request of a line is answered; then the moment of p->number. */
static void
awkward(struct line *l)
{
	enum awkward moment = (enum awkward)l->p->number;
	struct pollfd pfd = { .fd = l->fd, .events = POLLIN };

	if (!hear(l))
		return;
	if (moment == STRAY_AT_ONCE) {
		say(l, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 "
		       "OK\r\nContent-Length: 6\r\n\r\nstolen");
		(void)hear(l);
		return;
	}
	say(l, ok_text);
	if (moment == IDLE_CLOSE)
		return;
	if (moment == IDLE_STRAY) {
		nap_ms(10);
		say(l, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen");
		atomic_fetch_add(&l->p->gate, 1);
		(void)hear(l);
		return;
	}
	if (moment == PART_CLOSE || moment == PART_RESET) {
		(void)poll(&pfd, 1,
		    -1); /* the request is in the kernel, unread: closing resets */
		if (recv(l->fd, &pfd.revents, 1, MSG_PEEK) > 0)
			atomic_fetch_add(&l->p->requests, 1);
	} else {
		(void)hear(l);
	}
	if (moment == RESET || moment == PART_RESET)
		slam(l);
}

static const char *const awkward_methods[] = { "POST", "GET", "HEAD", "BIG", "PARTS" };

static struct upstream_request
awkward_request(const struct bench *b, char url[64], const char *kind, const char *big)
{
	struct upstream_request q = post(b, url, "");

	q.method = strcmp(kind, "BIG") == 0 || strcmp(kind, "PARTS") == 0 ? "POST" : kind;
	if (strcmp(kind, "POST") == 0)
		q.part[0] = lz_strz("{}");
	else if (strcmp(kind, "BIG") == 0)
		q.part[0] = lz_strn(big, 1 << 20);
	else if (strcmp(kind, "PARTS") == 0) {
		q.part_count = 3;
		q.part[0] = q.part[1] = q.part[2] = lz_strn(big, 9000);
	}
	return q;
}

/* What a line does at rest is done before the next call. */
static void
let_it_happen(struct bench *b, enum awkward moment)
{
	if (moment == IDLE_CLOSE)
		provider_await_quiet(b->p);
	if (moment == IDLE_STRAY)
		bench_await(b, &b->p->gate, atomic_load(&b->p->lines));
	if (moment >= IDLE_CLOSE)
		bench_rest(b, 1);
}

static void
no_request_is_written_twice(struct tls *tls)
{
	struct upstream_options o = { .ca_file = tls != NULL ? tls_ca(tls) : NULL };
	char *big = calloc(1, 1 << 20);
	struct bench b;
	struct got g;
	char url[64];
	unsigned moment, kind, i, stale, resets;

	for (moment = 0; moment < AWKWARD; moment++) {
		for (kind = 0; kind < 5; kind++) {
			bench_open_tls(&b, awkward, &o, tls);
			b.p->number = moment;
			stale = resets = 0;
			for (i = 0; i < 6; i++) {
				struct upstream_request q = awkward_request(
				    &b, url, i == 0 ? "GET" : awkward_methods[kind], big);

				call(&b, &g, &q);
				if (g.r.end == UPSTREAM_DONE &&
				    strcmp(q.method, "HEAD") != 0)
					assert_body(&g, "ok");
				else if (g.r.end != UPSTREAM_DONE)
					assert_int_equal(g.heads, 0);
				stale += g.r.end == UPSTREAM_STALE;
				resets += g.r.end == UPSTREAM_RESET;
				got_free(&g);
				let_it_happen(&b, (enum awkward)moment);
			}
			if (atomic_load(&b.p->requests) > 6)
				fail_msg("moment %u, %s: 6 calls became %u requests",
				    moment, awkward_methods[kind],
				    atomic_load(&b.p->requests));
			if (moment < IDLE_CLOSE && stale + resets == 0)
				fail_msg("moment %u, %s: nobody noticed", moment,
				    awkward_methods[kind]);
			if (moment < IDLE_CLOSE && kind < 3 && stale == 0)
				fail_msg("moment %u, %s: not stale", moment,
				    awkward_methods[kind]);
			/* After a HEAD the stray bytes are a body that libcurl drops: the
			 * connection lives. */
			if (moment >= IDLE_CLOSE && (moment == IDLE_CLOSE || kind != 2))
				assert_int_equal(stale + resets, 0);
			bench_close(&b);
		}
	}
	free(big);
}

static void
test_no_request_is_written_twice_when_kept_connections_close(void **state)
{
	(void)state;
	no_request_is_written_twice(NULL);
}

static void
test_nor_under_tls(void **state)
{
	struct tls *tls;

	(void)state;
	need(CAN_TLS);
	tls = tls_new(false);
	no_request_is_written_twice(tls);
	tls_free(tls);
}

static void
stray_behind(struct line *l)
{
	if (!hear(l))
		return;
	say(l, ok_text);
	while (atomic_load(&l->p->gate) == 0)
		nap_ms(1);
	say(l, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen");
	atomic_store(&l->p->gate, 2);
	wait_for_close(l);
}

static void
let_it_stray(struct bench *b)
{
	atomic_store(&b->p->gate, 1);
	while (atomic_load(&b->p->gate) != 2)
		nap_ms(1);
	nap_ms(10);
}

static void
stray_and_send(void *arg)
{
	struct got *g = arg;
	char url[64];
	struct upstream_request q = post(g->b, url, "{}");

	let_it_stray(g->b);
	send_call(g, &q);
}

static void
test_bytes_that_nobody_asked_for_are_never_the_next_callers_answer(void **state)
{
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		bench_open(&b, stray_behind, NULL);
		call_post(&b, &g, "{}");
		assert_end(&g, UPSTREAM_DONE);
		got_free(&g);
		got_init(&g, &b);
		if (i == 0)
			let_it_stray(&b); /* the loop sees them when it wakes */
		else
			assert_int_equal(
			    loop_timer_set(b.loop, &g.timer, 1, stray_and_send, &g),
			    ST_OK);
		if (i == 0)
			call_post(&b, &g, "{}");
		else
			bench_run(&b, 1); /* they come in the turn that sends */
		assert_end(&g, i == 0 ? UPSTREAM_DONE : UPSTREAM_STALE);
		if (i == 0)
			assert_body(&g, "ok"); /* of a new connection */
		else
			assert_false(g.r.was_sent);
		assert_int_equal(g.datas, i == 0);
		got_free(&g);
		bench_close(&b);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_no_request_is_written_twice_when_kept_connections_close),
		cmocka_unit_test(test_nor_under_tls),
		cmocka_unit_test(
		    test_bytes_that_nobody_asked_for_are_never_the_next_callers_answer),
	};

	return run_suite("resend", tests, sizeof(tests) / sizeof(tests[0]));
}
