/* test_nonsense.c - providers that talk nonsense: storms, endless heads, lying lengths.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

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

/* Lengths that lie. */

static void
test_lengths_that_are_no_lengths_are_bad_answers(void **state)
{
	static const char *const lengths[] = { "-1", "+2", "0x2", "2,2", "2, 3", "2 2",
		"2;", "99999999999999999999999", "9223372036854775808", "1e1", "two" };
	struct bench b;
	struct got g;
	char text[200];
	size_t i;

	(void)state;
	bench_open(&b, answer_text_and_close, NULL);
	b.p->text = text;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		(void)snprintf(text, sizeof(text),
		    "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\nok", lengths[i]);
		call_post(&b, &g, "{}");
		if (g.r.end != UPSTREAM_BAD)
			fail_msg("%s: %s", lengths[i], upstream_end_name(g.r.end));
		assert_int_equal(g.datas, 0);
		got_free(&g);
		provider_await_quiet(b.p); /* nobody reads `text` any more */
	}
	bench_close(&b);
}

static void
test_chunks_that_lie_are_never_a_whole_answer(void **state)
{
	static const char *const bodies[] = { "-3\r\nabc\r\n0\r\n\r\n",
		"+3\r\nabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n",
		"g\r\nabc\r\n0\r\n\r\n", "\r\n3\r\nabc\r\n0\r\n\r\n",
		"ffffffffffffffff1\r\nabc\r\n0\r\n\r\n",
		"ffffffffffffffff\r\nabc\r\n0\r\n\r\n", "2\r\nabc\r\n0\r\n\r\n",
		"3\r\nabc0\r\n\r\n", "3\r\nabc\r\n", "3\r\nabc\r\n0", "" };
	struct bench b;
	struct got g;
	char text[200];
	size_t i;

	(void)state;
	bench_open(&b, answer_text_and_close, NULL);
	b.p->text = text;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		(void)snprintf(text, sizeof(text),
		    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s", bodies[i]);
		call_post(&b, &g, "{}");
		if (g.r.end != UPSTREAM_BAD && g.r.end != UPSTREAM_RESET)
			fail_msg("%s: %s", bodies[i], upstream_end_name(g.r.end));
		assert_int_equal(g.status, 200);
		got_free(&g);
		provider_await_quiet(b.p); /* nobody reads `text` any more */
	}
	bench_close(&b);
}

/* More than was announced is nobody's: not this call's, not the next one's. */
static void
test_bytes_behind_an_answer_are_dropped_with_the_connection(void **state)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokSTRAY",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"2\r\nok\r\n0\r\n\r\nSTRAY",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n"
		"\r\n2\r\nok\r\n0\r\n\r\nSTRAY",
	};
	struct bench b;
	struct got g;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		bench_open(&b, answer_text, NULL);
		b.p->text = texts[i];
		for (k = 0; k < 3; k++) {
			call_post(&b, &g, "{}");
			assert_end(&g, UPSTREAM_DONE);
			assert_body(&g, "ok");
			got_free(&g);
		}
		/* libcurl forgets what came behind chunks in the same read. */
		if (i == 0)
			assert_int_equal(atomic_load(&b.p->lines), 3);
		engine->balance(b.u);
		bench_close(&b);
	}
}

static void
test_heads_that_are_no_heads_are_bad_answers(void **state)
{
	static const char *const texts[] = {
		"HTTP/1.1 000 Zero\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 99 Low\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 2 Short\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 -20 Minus\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 1000 Long\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 abc Word\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/3.1 200 Version\r\nContent-Length: 2\r\n\r\nok",
		"HTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		" HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\nok",
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
			fail_msg("%s: %s", texts[i], upstream_end_name(g.r.end));
		got_free(&g);
	}
	bench_close(&b);
}

/* Interim heads that never end: neither many, nor large, nor slow ones. */
enum {
	MANY_HEADS,
	LARGE_HEADS,
	SLOW_HEAD,
	STORMS
};

static void
say_large_fields(struct line *l)
{
	char filler[3000];
	unsigned i;

	memset(filler, 'x', sizeof(filler));
	for (i = 0; i < 40; i++) {
		say(l, "X-Large: ");
		say_n(l, filler, sizeof(filler));
		say(l, "\r\n");
	}
}

static void
endless_storm(struct line *l)
{
	if (!hear(l))
		return;
	say(l, "HTTP/1.1 102 Processing\r\n");
	while (atomic_load(&l->p->gate) == 0) {
		if (l->p->mode == LARGE_HEADS)
			say_large_fields(l);
		say(l, "X-A: b\r\n");
		nap_ms(l->p->mode == SLOW_HEAD ? 20 : 1);
		if (l->p->mode != SLOW_HEAD)
			say(l, "\r\nHTTP/1.1 102 Processing\r\n");
	}
}

static void
test_interim_heads_that_never_end_are_ended(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;
	unsigned mode;

	(void)state;
	for (mode = 0; mode < STORMS; mode++) {
		bench_open(&b, endless_storm, NULL);
		b.p->mode = mode;
		q = post(&b, url, "{}");
		q.first_byte_timeout_ms = 200;
		call(&b, &g, &q);
		assert_end(
		    &g, mode == SLOW_HEAD ? UPSTREAM_FIRST_BYTE_TIMEOUT : UPSTREAM_BAD);
		assert_int_equal(g.heads, 0);
		atomic_store(&b.p->gate, 1);
		got_free(&g);
		engine->balance(b.u);
		bench_close(&b);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_few_interim_heads_are_skipped_and_a_storm_is_a_bad_answer),
		cmocka_unit_test(test_a_head_without_end_is_a_bad_answer),
		cmocka_unit_test(test_answers_that_are_not_what_was_asked_for_are_bad),
		cmocka_unit_test(test_a_redirect_is_shown_and_not_followed),
		cmocka_unit_test(test_no_more_than_64_fields_are_shown),
		cmocka_unit_test(test_an_answer_larger_than_allowed_is_cut_off),
		cmocka_unit_test(test_lengths_that_are_no_lengths_are_bad_answers),
		cmocka_unit_test(test_chunks_that_lie_are_never_a_whole_answer),
		cmocka_unit_test(
		    test_bytes_behind_an_answer_are_dropped_with_the_connection),
		cmocka_unit_test(test_heads_that_are_no_heads_are_bad_answers),
		cmocka_unit_test(test_interim_heads_that_never_end_are_ended),
	};

	return run_suite("nonsense", tests, sizeof(tests) / sizeof(tests[0]));
}
