/* test_break.c - providers that break off.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

/* Providers that break off. */

static void
test_nobody_listening_is_refused_and_nothing_was_sent(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;
	uint16_t port;

	(void)state;
	bench_open(&b, never_answer, NULL);
	(void)close(listen_somewhere(&port, 1));
	q = post(&b, url, "{}");
	q.url = lz_strn(
	    url, (size_t)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port));
	call(&b, &g, &q);
	assert_end(&g, UPSTREAM_REFUSED);
	assert_false(g.r.was_sent);
	assert_int_equal(g.r.status, 0);
	assert_int_equal(g.r.connect_us, -1);
	assert_true(strlen(g.r.detail) > 0);
	got_free(&g);
	bench_close(&b);
}

static void
hear_and_slam(struct line *l)
{
	if (hear(l))
		slam(l);
}

static void
hear_and_close(struct line *l)
{
	(void)hear(l);
}

static void
test_a_connection_that_breaks_before_the_head_is_a_reset(void **state)
{
	void (*scripts[])(struct line * l) = { hear_and_slam, hear_and_close };
	struct bench b;
	struct got g;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		bench_open(&b, scripts[i], NULL);
		call_post(&b, &g, "{}");
		assert_end(&g, UPSTREAM_RESET);
		assert_true(g.r.was_sent);
		assert_int_equal(g.heads, 0);
		assert_int_equal(atomic_load(&b.p->requests), 1);
		got_free(&g);
		bench_close(&b);
	}
}

/* Odd lines close, even ones reset, after the p->number-th byte of the answer. */
static void
break_at_byte(struct line *l)
{
	if (!hear(l))
		return;
	say_n(l, l->p->text, l->p->number);
	if (l->nth % 2 == 0)
		slam(l);
}

static void
test_a_connection_that_breaks_inside_the_head_is_a_reset_at_every_byte(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\n";
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	bench_open(&b, break_at_byte, NULL);
	b.p->text = head;
	for (i = 0; i < 2 * (sizeof(head) - 1); i++) {
		b.p->number = i / 2;
		call_post(&b, &g, "{}");
		/* What never became a status line may as well not have been HTTP. */
		if (g.r.end != UPSTREAM_BAD || i / 2 > 17)
			assert_end(&g, UPSTREAM_RESET);
		assert_true(g.r.was_sent);
		assert_int_equal(g.heads, 0);
		got_free(&g);
	}
	assert_int_equal(atomic_load(&b.p->requests), i);
	bench_close(&b);
}

static void
test_a_connection_that_breaks_inside_the_body_is_a_reset(void **state)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc"
	};
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	bench_open(&b, break_at_byte, NULL);
	for (i = 0; i < 6; i++) {
		b.p->text = texts[i / 2];
		b.p->number = strlen(texts[i / 2]);
		call_post(&b, &g, "{}");
		assert_end(&g, UPSTREAM_RESET);
		assert_int_equal(g.heads, 1);
		assert_int_equal(g.r.status, 200);
		assert_body(&g, "abc");
		got_free(&g);
	}
	bench_close(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_listening_is_refused_and_nothing_was_sent),
		cmocka_unit_test(
		    test_a_connection_that_breaks_before_the_head_is_a_reset),
		cmocka_unit_test(
		    test_a_connection_that_breaks_inside_the_head_is_a_reset_at_every_byte),
		cmocka_unit_test(
		    test_a_connection_that_breaks_inside_the_body_is_a_reset),
	};

	return run_suite("break", tests, sizeof(tests) / sizeof(tests[0]));
}
