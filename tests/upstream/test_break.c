/* test_break.c - providers that break off or talk nonsense, at every byte.
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

/* Providers that talk nonsense. */

static void
storm(struct line *l)
{
	size_t i;

	while (hear(l)) {
		for (i = 0; i < l->p->number; i++)
			say(l, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
		say(l, ok_text);
	}
}

static void
test_a_few_interim_heads_are_skipped_and_a_storm_is_a_bad_answer(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, storm, NULL);
	b.p->number = INTERIM_HEADS_MOST;
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	assert_int_equal(g.status, 200);
	assert_int_equal(g.heads, 1);
	assert_int_equal(g.header_count, 1);
	got_free(&g);
	b.p->number = INTERIM_HEADS_MOST + 1;
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_BAD);
	assert_int_equal(g.heads, 0);
	got_free(&g);
	bench_close(&b);
}

static void
endless_fields(struct line *l)
{
	unsigned i;

	if (!hear(l))
		return;
	say(l, "HTTP/1.1 200 OK\r\n");
	for (i = 0; i < 100000 && !atomic_load(&l->p->is_over); i++)
		say(l, "X-Filler: 0123456789012345678901234567890123456789\r\n");
}

static void
endless_line(struct line *l)
{
	unsigned i;

	if (!hear(l))
		return;
	say(l, "HTTP/1.1 200 OK\r\nX-Filler: ");
	for (i = 0; i < 100000 && !atomic_load(&l->p->is_over); i++)
		say(l, "0123456789012345678901234567890123456789");
}

static void
test_a_head_without_end_is_a_bad_answer(void **state)
{
	void (*scripts[])(struct line * l) = { endless_fields, endless_line };
	struct bench b;
	struct got g;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		bench_open(&b, scripts[i], NULL);
		call_post(&b, &g, "{}");
		assert_end(&g, UPSTREAM_BAD);
		assert_int_equal(g.heads, 0);
		got_free(&g);
		bench_close(&b);
	}
}

static void
test_answers_that_are_not_what_was_asked_for_are_bad(void **state)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "
		"2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Encoding: identity, br\r\nContent-Length: "
		"2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: "
		"upgrade\r\n\r\nok",
		"HTTP/1.1 999999 What\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"{\"error\":\"this is no HTTP\"}",
		"\r\n\r\n\r\n",
	};
	struct bench b;
	struct got g;
	size_t i;

	(void)state;
	bench_open(&b, answer_text_and_close, NULL);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		b.p->text = texts[i];
		call_post(&b, &g, "{}");
		if (g.r.end != UPSTREAM_BAD)
			fail_msg(
			    "row %zu: %s, %s", i, upstream_end_name(g.r.end), g.r.detail);
		assert_int_equal(g.heads, 0);
		assert_int_equal(g.datas, 0);
		got_free(&g);
	}
	b.p->text = "HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\nContent-Length: "
		    "2\r\n\r\nok";
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	got_free(&g);
	bench_close(&b);
}

static void
test_a_redirect_is_shown_and_not_followed(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text =
	    "HTTP/1.1 307 Elsewhere\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n";
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	assert_int_equal(g.status, 307);
	assert_int_equal(atomic_load(&b.p->requests), 1);
	got_free(&g);
	bench_close(&b);
}

static void
many_fields(struct line *l)
{
	char line[40];
	unsigned i;

	while (hear(l)) {
		say(l, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
		for (i = 1; i < 3 * UPSTREAM_FIELDS; i++) {
			(void)snprintf(line, sizeof(line), "X-%u: %u\r\n", i, i);
			say(l, line);
		}
		say(l, "\r\n");
	}
}

static void
test_no_more_than_64_fields_are_shown(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, many_fields, NULL);
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	assert_int_equal(g.header_count, UPSTREAM_FIELDS);
	assert_string_equal(header_of(&g, "x-63"), "63");
	got_free(&g);
	bench_close(&b);
}

static void
test_an_answer_larger_than_allowed_is_cut_off(void **state)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: "
		"11\r\n\r\n01234567890",
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n01234567890",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: "
		"chunked\r\n\r\n5\r\n01234\r\n6\r\n567890\r\n0\r\n\r\n"
	};
	struct bench b;
	struct got g;
	char url[64];
	size_t i;

	(void)state;
	bench_open(&b, answer_text_and_close, NULL);
	for (i = 0; i < 3; i++) {
		struct upstream_request q = post(&b, url, "{}");

		b.p->text = texts[i];
		q.max_answer_bytes = 10;
		call(&b, &g, &q);
		assert_end(&g, UPSTREAM_TOO_LARGE);
		assert_true(g.body.len <= 10);
		got_free(&g);
		q.max_answer_bytes = 11;
		call(&b, &g, &q);
		assert_end(&g, UPSTREAM_DONE);
		assert_body(&g, "01234567890");
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
		cmocka_unit_test(
		    test_a_few_interim_heads_are_skipped_and_a_storm_is_a_bad_answer),
		cmocka_unit_test(test_a_head_without_end_is_a_bad_answer),
		cmocka_unit_test(test_answers_that_are_not_what_was_asked_for_are_bad),
		cmocka_unit_test(test_a_redirect_is_shown_and_not_followed),
		cmocka_unit_test(test_no_more_than_64_fields_are_shown),
		cmocka_unit_test(test_an_answer_larger_than_allowed_is_cut_off),
	};

	return run_suite("break", tests, sizeof(tests) / sizeof(tests[0]));
}
