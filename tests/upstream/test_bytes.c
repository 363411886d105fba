/* test_bytes.c - a few answers, cut, broken off and cancelled at every one of their
 * bytes, on new and on kept connections, plain and under TLS.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

static const char whole[] = "hello, world";

static const struct answer {
	const char *text;
	bool is_until_close; /* the body ends with the connection */
} answers[] = {
	{ "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 12\r\n\r\nhello, world", false },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nT: u\r\n\r\n",
	    false },
	{ "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
	  "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world",
	    false },
	{ "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello, world", true },
};

enum {
	ANSWERS = sizeof(answers) / sizeof(answers[0])
};

/* How a connection ends, behind p->number bytes of the answer. */
enum ending {
	FIN,
	RST,
	GOODBYE, /* TLS says so, then a FIN */
	ENDINGS
};

enum {
	KEPT = 8 /* not the first answer of the connection, but the second */
};

static void
end_at_byte(struct line *l)
{
	unsigned mode = l->p->mode;

	if (mode & KEPT) {
		if (!hear(l))
			return;
		say(l, ok_text);
	}
	if (!hear(l))
		return;
	say_n(l, l->p->text, l->p->number);
	if ((mode & ~(unsigned)KEPT) == GOODBYE)
		say_goodbye(l);
	if ((mode & ~(unsigned)KEPT) == RST)
		slam(l);
}

static size_t
head_bytes(const struct answer *a)
{
	const char *end = strstr(a->text, "\r\n\r\n") + 4;

	if (strncmp(a->text + 9, "103", 3) == 0)
		end = strstr(end, "\r\n\r\n") + 4;
	return (size_t)(end - a->text);
}

static size_t
first_line_bytes(const struct answer *a)
{
	return (size_t)(strchr(a->text, '\n') - a->text) + 1;
}

/* The bytes up to which nobody can tell an answer from something that is no HTTP. */
static bool
is_inside_a_status_line(const struct answer *a, size_t n)
{
	const char *line = a->text, *next = strstr(a->text + 4, "HTTP/");

	if (next != NULL && n >= (size_t)(next - a->text))
		line = next;
	return a->text + n < strstr(line, "\r\n") + 2;
}

/* A provider's ending, seen by us. Several are right where the bytes do not decide. */
static bool
is_right(const struct answer *a, enum upstream_end end, size_t n, unsigned mode)
{
	size_t head = head_bytes(a), total = strlen(a->text);
	unsigned ending = mode & ~(unsigned)KEPT;

	if (n == total && !a->is_until_close)
		return end == UPSTREAM_DONE;
	/* The very last byte of chunks says nothing any more. */
	if (n + 1 == total && strstr(a->text, "chunked") != NULL)
		return end == UPSTREAM_DONE || end == UPSTREAM_RESET;
	/* Under TLS, libcurl does not tell a FIN alone from an end that was said. Who
	 * reads the answer sees that JSON or a stream of events has no end. */
	if (n >= head && a->is_until_close && ending != RST)
		return end == UPSTREAM_DONE;
	if (n == 0 && (mode & KEPT))
		return end == UPSTREAM_STALE;
	if (n < first_line_bytes(a) && (mode & KEPT) && end == UPSTREAM_STALE)
		return true;
	if (n < head && is_inside_a_status_line(a, n) && end == UPSTREAM_BAD)
		return true;
	return end == UPSTREAM_RESET;
}

static void
check_break(
    const struct answer *a, const struct got *g, size_t n, unsigned mode, bool is_tls)
{
	size_t head = head_bytes(a), total = strlen(a->text);

	if (!is_right(a, g->r.end, n, mode))
		fail_msg("answer %td, %zu of %zu bytes, mode %u, tls %d: %s, %s",
		    a - answers, n, total, mode, is_tls, upstream_end_name(g->r.end),
		    g->r.detail);
	assert_int_equal(g->heads, n >= head);
	assert_true(g->r.was_sent);
	assert_true(g->body.len <= strlen(whole));
	if (g->body.len > 0)
		assert_memory_equal(g->body.ptr, whole, g->body.len);
	if (g->r.end == UPSTREAM_DONE && !a->is_until_close)
		assert_int_equal(g->body.len, strlen(whole));
}

static void
break_everywhere(const struct answer *a, unsigned mode, struct tls *tls)
{
	struct upstream_options o = { .ca_file = tls != NULL ? tls_ca(tls) : NULL };
	size_t total = strlen(a->text);
	struct bench b;
	struct got g;

	bench_open_tls(&b, end_at_byte, &o, tls);
	b.p->text = a->text;
	b.p->mode = mode;
	for (b.p->number = 0; b.p->number <= total; b.p->number++) {
		if (mode & KEPT) {
			call_post(&b, &g, "{}");
			assert_end(&g, UPSTREAM_DONE);
			got_free(&g);
		}
		call_post(&b, &g, "{}");
		check_break(a, &g, b.p->number, mode, tls != NULL);
		got_free(&g);
		provider_await_quiet(b.p);
	}
	assert_int_equal(atomic_load(&b.p->lines), total + 1);
	assert_int_equal(atomic_load(&b.p->requests), b.calls);
	engine->balance(b.u);
	bench_close(&b);
}

static void
test_a_connection_that_ends_at_any_byte_is_never_a_whole_answer(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < ANSWERS; i++) {
		break_everywhere(&answers[i], FIN, NULL);
		break_everywhere(&answers[i], RST, NULL);
	}
}

static void
test_a_kept_connection_that_ends_at_any_byte_is_asked_once(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < ANSWERS; i++) {
		break_everywhere(&answers[i], FIN | KEPT, NULL);
		break_everywhere(&answers[i], RST | KEPT, NULL);
	}
}

static void
test_tls_that_ends_at_any_byte_is_never_a_whole_answer(void **state)
{
	struct tls *tls;
	unsigned i, ending;

	(void)state;
	need(CAN_TLS);
	tls = tls_new(false);
	for (i = 0; i < ANSWERS; i++)
		for (ending = FIN; ending < ENDINGS; ending++)
			break_everywhere(&answers[i], ending, tls);
	break_everywhere(&answers[0], FIN | KEPT, tls);
	break_everywhere(&answers[0], RST | KEPT, tls);
	tls_free(tls);
}

/* Cut, not broken. */

static void
say_in_two(struct line *l)
{
	while (hear(l)) {
		size_t cut = l->p->number;

		say_n(l, l->p->text, cut);
		nap_ms(1);
		say(l, l->p->text + cut);
		if (l->p->mode)
			return;
	}
}

static void
test_an_answer_cut_in_two_anywhere_is_the_same_answer(void **state)
{
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	for (i = 0; i < ANSWERS; i++) {
		bench_open(&b, say_in_two, NULL);
		b.p->text = answers[i].text;
		b.p->mode = answers[i].is_until_close;
		for (b.p->number = 0; b.p->number < strlen(b.p->text); b.p->number++) {
			call_post(&b, &g, "{}");
			assert_end(&g, UPSTREAM_DONE);
			assert_int_equal(g.status, 200);
			assert_int_equal(g.header_count, 1 + (i == 0));
			assert_body(&g, whole);
			got_free(&g);
		}
		bench_close(&b);
	}
}

static void
say_byte_by_byte(struct line *l)
{
	const char *p;

	if (!hear(l))
		return;
	for (p = l->p->text; *p != '\0'; p++) {
		say_n(l, p, 1);
		nap_ms(1);
	}
	say_goodbye(l);
}

static void
test_an_answer_that_comes_byte_by_byte_is_the_same_answer(void **state)
{
	struct tls *tls;
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	tls = engine->can & CAN_TLS ? tls_new(false) : NULL;
	for (i = 0; i < 2 * ANSWERS; i++) {
		struct upstream_options o = { .ca_file = tls ? tls_ca(tls) : NULL };

		bench_open_tls(&b, say_byte_by_byte, &o, i < ANSWERS ? NULL : tls);
		b.p->text = answers[i % ANSWERS].text;
		call_post(&b, &g, "{}");
		assert_end(&g, UPSTREAM_DONE);
		assert_body(&g, whole);
		got_free(&g);
		bench_close(&b);
	}
	if (tls != NULL)
		tls_free(tls);
}

/* Left by us. */

static void
say_up_to_and_wait(struct line *l)
{
	if (!hear(l))
		return;
	say_n(l, l->p->text, l->p->number);
	atomic_fetch_add(&l->p->gate, 1);
	wait_for_close(l);
}

static void
cancel_at(struct bench *b, size_t n, bool is_paused)
{
	char url[64];
	struct upstream_request q = post(b, url, "{}");
	unsigned before = atomic_load(&b->p->gate), heads, datas;
	struct got g;

	b->p->number = n;
	got_init(&g, b);
	send_call(&g, &q);
	if (is_paused)
		upstream_pause(g.call);
	bench_await(b, &b->p->gate, before + 1);
	bench_rest(b, 1);
	heads = g.heads;
	datas = g.datas;
	b->left = 2;
	cancel(&g);
	b->left = 0;
	provider_await_quiet(b->p);
	bench_rest(b, 1);
	assert_int_equal(g.heads, heads);
	assert_int_equal(g.datas, datas);
	if (is_paused)
		assert_int_equal(datas, 0);
	assert_int_equal(g.dones, 0);
	got_free(&g);
}

static void
test_a_call_can_be_cancelled_at_every_byte_of_its_answer(void **state)
{
	struct bench b;
	unsigned i;
	size_t n;

	(void)state;
	for (i = 0; i < ANSWERS; i++) {
		bench_open(&b, say_up_to_and_wait, NULL);
		b.p->text = answers[i].text;
		for (n = 0; n < strlen(b.p->text); n++)
			cancel_at(&b, n, n % 2 == 1);
		engine->balance(b.u);
		bench_close(&b);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_connection_that_ends_at_any_byte_is_never_a_whole_answer),
		cmocka_unit_test(
		    test_a_kept_connection_that_ends_at_any_byte_is_asked_once),
		cmocka_unit_test(test_tls_that_ends_at_any_byte_is_never_a_whole_answer),
		cmocka_unit_test(test_an_answer_cut_in_two_anywhere_is_the_same_answer),
		cmocka_unit_test(
		    test_an_answer_that_comes_byte_by_byte_is_the_same_answer),
		cmocka_unit_test(
		    test_a_call_can_be_cancelled_at_every_byte_of_its_answer),
	};

	return run_suite("bytes", tests, sizeof(tests) / sizeof(tests[0]));
}
