/* test_http2.c - HTTP/2 over TLS, and what a provider may do to its streams and
 * connections: no call becomes two requests, and none waits for another.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

static struct tls *tls;

static void
open_h2(struct bench *b, void (*script)(struct line *l))
{
	struct upstream_options o = { .ca_file = tls_ca(tls) };

	bench_open_tls(b, script, &o, tls);
}

static struct upstream_request
ask(const struct bench *b, char url[64], const char *body)
{
	struct upstream_request q = post(b, url, body);

	q.wants_http2 = true;
	return q;
}

static void
call_h2(struct bench *b, struct got *g)
{
	char url[64];
	struct upstream_request q = ask(b, url, "{}");

	call(b, g, &q);
}

static void
answer_all(struct line *l)
{
	uint32_t stream;

	if (!h2_begin(l, 100))
		return;
	while (h2_hear_request(l, &stream))
		h2_ok(l, stream);
}

static void
test_calls_in_a_row_use_one_connection(void **state)
{
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	open_h2(&b, answer_all);
	for (i = 0; i < 20; i++) {
		call_h2(&b, &g);
		assert_end(&g, UPSTREAM_DONE);
		assert_int_equal(g.status, 200);
		assert_body(&g, "ok");
		got_free(&g);
	}
	assert_int_equal(atomic_load(&b.p->lines), 1);
	assert_int_equal(atomic_load(&b.p->requests), 20);
	engine->balance(b.u);
	bench_close(&b);
}

enum {
	MANY = 64
};

/* Answers when all are there, the last first. */
static void
answer_together(struct line *l)
{
	uint32_t stream[MANY];
	unsigned n;

	if (!h2_begin(l, 100))
		return;
	for (n = 0; n < MANY; n++)
		if (!h2_hear_request(l, &stream[n]))
			return;
	while (n-- > 0)
		h2_ok(l, stream[n]);
	wait_for_close(l);
}

static void
send_many(struct bench *b, struct got *g, unsigned n, const struct upstream_request *q)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		got_init(&g[i], b);
		send_call(&g[i], q);
	}
}

static void
test_64_calls_at_once_share_one_connection(void **state)
{
	struct got g[MANY];
	struct bench b;
	char url[64];
	struct upstream_request q;
	unsigned i;

	(void)state;
	open_h2(&b, answer_together);
	q = ask(&b, url, "{}");
	send_many(&b, g, MANY, &q);
	bench_run(&b, MANY);
	for (i = 0; i < MANY; i++) {
		assert_end(&g[i], UPSTREAM_DONE);
		assert_body(&g[i], "ok");
		got_free(&g[i]);
	}
	assert_int_equal(atomic_load(&b.p->lines), 1);
	engine->balance(b.u);
	bench_close(&b);
}

/* What a provider does to a request, by p->mode. */
enum deed {
	RESET_INTERNAL,
	RESET_REFUSED,
	RESET_CANCEL,
	RESET_HTTP_1_1,
	RESET_IN_BODY,
	GOAWAY_BEFORE, /* the stream is beyond the last */
	GOAWAY_ERROR,
	GOAWAY_IN_BODY,
	CUT_BEFORE,
	CUT_IN_BODY,
	LENGTH_SHORT,
	LENGTH_LONG,
	NONSENSE,
	COMPRESSED,
	DEEDS
};

static void
do_deed(struct line *l, enum deed deed, uint32_t stream)
{
	static const char short_length[] = "content-length\0"
					   "5\0";
	static const char long_length[] = "content-length\0"
					  "1\0";
	static const char gzip[] = "content-encoding\0"
				   "gzip\0";

	switch (deed) {
	case RESET_INTERNAL:
		h2_reset(l, stream, H2_INTERNAL_ERROR);
		return;
	case RESET_REFUSED:
		h2_reset(l, stream, H2_REFUSED_STREAM);
		return;
	case RESET_CANCEL:
		h2_reset(l, stream, H2_CANCEL);
		return;
	case RESET_HTTP_1_1:
		h2_reset(l, stream, H2_HTTP_1_1_REQUIRED);
		return;
	case RESET_IN_BODY:
		h2_head(l, stream, 0, "");
		h2_data(l, stream, 0, "o");
		h2_reset(l, stream, H2_INTERNAL_ERROR);
		return;
	case GOAWAY_BEFORE:
		h2_goaway(l, stream > 2 ? stream - 2 : 0, H2_NO_ERROR);
		return;
	case GOAWAY_ERROR:
		h2_goaway(l, 0, H2_ENHANCE_YOUR_CALM);
		return;
	case GOAWAY_IN_BODY:
		h2_head(l, stream, 0, "");
		h2_data(l, stream, 0, "o");
		h2_goaway(l, stream, H2_INTERNAL_ERROR);
		slam(l);
		(void)shutdown(l->fd, SHUT_RDWR);
		return;
	case CUT_BEFORE:
		(void)shutdown(l->fd, SHUT_RDWR);
		return;
	case CUT_IN_BODY:
		h2_head(l, stream, 0, "");
		h2_data(l, stream, 0, "o");
		(void)shutdown(l->fd, SHUT_RDWR);
		return;
	case LENGTH_SHORT:
		h2_head(l, stream, 0, short_length);
		h2_data(l, stream, H2_END_STREAM, "ok");
		return;
	case LENGTH_LONG:
		h2_head(l, stream, 0, long_length);
		h2_data(l, stream, H2_END_STREAM, "ok");
		return;
	case NONSENSE:
		h2_say(l, H2_DATA, 0, 0, "nonsense", 8);
		return;
	case COMPRESSED:
		h2_head(l, stream, 0, gzip);
		h2_data(l, stream, H2_END_STREAM, "ok");
		return;
	case DEEDS:
		return;
	}
}

/* p->number requests of each connection are answered, then the deed is done. */
static void
answer_then_deed(struct line *l)
{
	uint32_t stream;
	size_t i;

	if (!h2_begin(l, 100))
		return;
	for (i = 0; h2_hear_request(l, &stream); i++) {
		if (i < l->p->number)
			h2_ok(l, stream);
		else
			do_deed(l, (enum deed)l->p->mode, stream);
	}
}

static const char *const deed_names[DEEDS] = { "reset internal", "reset refused",
	"reset cancel", "reset http/1.1", "reset in body", "goaway before",
	"goaway error", "goaway in body", "cut before", "cut in body", "length short",
	"length long", "nonsense", "compressed" };

static void
check_deed(const struct got *g, enum deed deed, unsigned kept)
{
	bool has_body =
	    deed == RESET_IN_BODY || deed == GOAWAY_IN_BODY || deed == CUT_IN_BODY;

	if (g->r.end == UPSTREAM_DONE)
		fail_msg("%s, kept %u: done", deed_names[deed], kept);
	if (getenv("SHOW") != NULL)
		print_message("%s, kept %u: %s, sent %d, status %d, %zu bytes: %s\n",
		    deed_names[deed], kept, upstream_end_name(g->r.end), g->r.was_sent,
		    g->r.status, g->body.len, g->r.detail);
	assert_true(g->r.was_sent);
	assert_int_equal(g->dones, 1);
	if (has_body)
		assert_int_equal(g->r.end, UPSTREAM_RESET);
	if (deed == COMPRESSED)
		assert_int_equal(g->r.end, UPSTREAM_BAD);
	else if (g->r.end != UPSTREAM_STALE)
		assert_int_equal(g->r.end, UPSTREAM_RESET);
}

static void
test_whatever_breaks_a_stream_its_request_is_not_sent_again(void **state)
{
	struct bench b;
	struct got g;
	unsigned deed, kept, i;

	(void)state;
	for (deed = 0; deed < DEEDS; deed++) {
		for (kept = 0; kept < 2; kept++) {
			open_h2(&b, answer_then_deed);
			b.p->mode = deed;
			b.p->number = kept;
			for (i = 0; i < kept; i++) {
				call_h2(&b, &g);
				assert_end(&g, UPSTREAM_DONE);
				got_free(&g);
			}
			call_h2(&b, &g);
			check_deed(&g, (enum deed)deed, kept);
			got_free(&g);
			bench_rest(&b, 5);
			assert_int_equal(atomic_load(&b.p->requests), kept + 1);
			engine->balance(b.u);
			bench_close(&b);
		}
	}
}

/* Connections that end while nobody uses them. */

static void
answer_one_and_goaway(struct line *l)
{
	uint32_t stream;
	unsigned mode;

	if (!h2_begin(l, 100) || !h2_hear_request(l, &stream))
		return;
	mode = l->p->mode; /* the answered test may set the next one */
	h2_ok(l, stream);
	if (mode != 1)
		h2_goaway(l, stream, H2_NO_ERROR);
	if (mode != 0)
		(void)shutdown(l->fd, SHUT_WR);
	atomic_fetch_add(&l->p->gate, 1);
	wait_for_close(l);
}

static void
test_a_connection_that_said_goodbye_at_rest_is_not_asked_again(void **state)
{
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	open_h2(&b, answer_one_and_goaway);
	for (b.p->mode = 0; b.p->mode < 3; b.p->mode++) {
		for (i = 0; i < 4; i++) {
			call_h2(&b, &g);
			if (g.r.end != UPSTREAM_DONE)
				fail_msg("mode %u, call %u: %s, %s", b.p->mode, i,
				    upstream_end_name(g.r.end), g.r.detail);
			got_free(&g);
			bench_await(&b, &b.p->gate, b.calls);
			bench_rest(&b, 10);
		}
	}
	engine->balance(b.u);
	bench_close(&b);
}

/* The first connection says goodbye with two requests there, tells that at the gate, and
 * answers them later. */
static void
goaway_and_answer(struct line *l)
{
	uint32_t stream[2];
	unsigned i;

	if (l->nth > 1) {
		answer_all(l);
		return;
	}
	if (!h2_begin(l, 100))
		return;
	for (i = 0; i < 2; i++)
		if (!h2_hear_request(l, &stream[i]))
			return;
	h2_goaway(l, stream[0] > stream[1] ? stream[0] : stream[1], H2_NO_ERROR);
	atomic_store(&l->p->gate, 1);
	while (atomic_load(&l->p->gate) == 1)
		nap_ms(1);
	for (i = 0; i < 2; i++)
		h2_ok(l, stream[i]);
	wait_for_close(l);
}

static void
test_a_goodbye_lets_the_calls_under_way_end_and_takes_no_new_one(void **state)
{
	struct got old[2], new[2];
	struct bench b;
	char url[64];
	struct upstream_request q;
	unsigned i;

	(void)state;
	open_h2(&b, goaway_and_answer);
	q = ask(&b, url, "{}");
	send_many(&b, old, 2, &q);
	bench_await(&b, &b.p->gate, 1);
	bench_rest(&b, 5);
	send_many(&b, new, 2, &q);
	bench_run(&b, 2);
	assert_int_equal(old[0].dones + old[1].dones, 0);
	atomic_store(&b.p->gate, 2);
	bench_run(&b, 2);
	for (i = 0; i < 2; i++) {
		assert_end(&old[i], UPSTREAM_DONE);
		assert_body(&old[i], "ok");
		assert_end(&new[i], UPSTREAM_DONE);
		got_free(&old[i]);
		got_free(&new[i]);
	}
	assert_true(atomic_load(&b.p->lines) >= 2);
	assert_int_equal(atomic_load(&b.p->requests), 4);
	engine->balance(b.u);
	bench_close(&b);
}

/* Many calls, one connection. */

static void
hear_many_and_cut(struct line *l)
{
	uint32_t stream;
	size_t i;

	if (!h2_begin(l, 100))
		return;
	for (i = 0; i < l->p->number; i++)
		if (!h2_hear_request(l, &stream))
			return;
	if (l->p->mode == 1)
		h2_goaway(l, 0, H2_NO_ERROR);
	if (l->p->mode == 2)
		slam(l);
}

static void
test_a_connection_that_breaks_ends_each_of_its_calls_once(void **state)
{
	enum {
		CALLS = 20
	};
	struct got g[CALLS];
	struct bench b;
	char url[64];
	struct upstream_request q;
	unsigned i, mode;

	(void)state;
	for (mode = 0; mode < 3; mode++) {
		open_h2(&b, hear_many_and_cut);
		b.p->number = CALLS;
		b.p->mode = mode;
		q = ask(&b, url, "{}");
		send_many(&b, g, CALLS, &q);
		bench_run(&b, CALLS);
		bench_rest(&b, 5);
		for (i = 0; i < CALLS; i++) {
			assert_int_equal(g[i].dones, 1);
			if (g[i].r.end != UPSTREAM_STALE)
				assert_end(&g[i], UPSTREAM_RESET);
			assert_true(g[i].r.was_sent);
			got_free(&g[i]);
		}
		assert_int_equal(atomic_load(&b.p->requests), CALLS);
		assert_int_equal(atomic_load(&b.p->lines), 1);
		engine->balance(b.u);
		bench_close(&b);
	}
}

/* Answers when nothing more comes. */
static void
answer_some_at_a_time(struct line *l)
{
	struct pollfd pfd = { .fd = l->fd, .events = POLLIN };
	uint32_t stream[MANY];
	struct h2_frame f;
	size_t opened = 0, n = 0;

	if (!h2_begin(l, (unsigned)l->p->number))
		return;
	for (;;) {
		if (n > 0 && l->in.len == 0 && poll(&pfd, 1, 5) == 0)
			for (; n > 0; opened--)
				h2_ok(l, stream[--n]);
		if (!h2_hear(l, &f))
			return;
		if (f.type == H2_HEADERS && ++opened > l->p->number)
			atomic_store(&l->p->gate, 1);
		if (f.type == H2_DATA && (f.flags & H2_END_STREAM) != 0)
			stream[n++] = f.stream;
	}
}

static void
test_no_more_streams_are_opened_than_the_provider_takes(void **state)
{
	struct got g[MANY];
	struct bench b;
	char url[64];
	struct upstream_request q;
	unsigned i;

	(void)state;
	open_h2(&b, answer_some_at_a_time);
	b.p->number = 4;
	q = ask(&b, url, "{}");
	call_h2(&b, &g[0]); /* the settings are known */
	got_free(&g[0]);
	send_many(&b, g, MANY, &q);
	bench_run(&b, MANY);
	for (i = 0; i < MANY; i++) {
		assert_end(&g[i], UPSTREAM_DONE);
		got_free(&g[i]);
	}
	assert_int_equal(atomic_load(&b.p->requests), MANY + 1);
	assert_int_equal(atomic_load(&b.p->gate), 0);
	engine->balance(b.u);
	bench_close(&b);
}

/* The first request is answered without end, as far as windows let it; all others at
 * once. */
static void
flood_the_first(struct line *l)
{
	static const char zeros[16384];
	uint32_t stream, first;
	size_t i;

	if (!h2_begin(l, 100) || !h2_hear_request(l, &first))
		return;
	h2_head(l, first, 0, "");
	atomic_store(&l->p->gate, 1);
	for (i = 0; i < l->p->number; i++)
		h2_say(l, H2_DATA, 0, first, zeros, sizeof(zeros));
	while (h2_hear_request(l, &stream))
		h2_ok(l, stream);
}

static void
call_five_beside_a_paused_one(struct bench *b, const struct upstream_request *q)
{
	struct got g;
	unsigned i;

	for (i = 0; i < 5; i++) {
		call(b, &g, q);
		if (g.r.end != UPSTREAM_DONE)
			fail_msg("call %u beside a paused one: %s", i,
			    upstream_end_name(g.r.end));
		got_free(&g);
	}
}

static void
test_a_paused_call_holds_up_no_other_of_its_connection(void **state)
{
	struct got slow;
	struct bench b;
	char url[64];
	struct upstream_request q;

	(void)state;
	open_h2(&b, flood_the_first);
	b.p->number = 200; /* 3 MB */
	q = ask(&b, url, "{}");
	got_init(&slow, &b);
	send_call(&slow, &q);
	upstream_pause(slow.call);
	bench_await(&b, &b.p->gate, 1);
	q.first_byte_timeout_ms = 3000;
	call_five_beside_a_paused_one(&b, &q);
	assert_int_equal(slow.datas, 0);
	assert_int_equal(atomic_load(&b.p->lines), 1);
	upstream_resume(slow.call);
	while (slow.body.len < b.p->number * 16384)
		bench_rest(&b, 1);
	b.left = 2;
	cancel(&slow);
	b.left = 0;
	got_free(&slow);
	engine->balance(b.u);
	bench_close(&b);
}

static void
test_what_a_paused_call_may_leave_lying_is_bounded(void **state)
{
	struct got slow;
	struct bench b;
	char url[64];
	struct upstream_request q;

	(void)state;
	open_h2(&b, flood_the_first);
	b.p->number = 400; /* 6 MB */
	q = ask(&b, url, "{}");
	got_init(&slow, &b);
	send_call(&slow, &q);
	upstream_pause(slow.call);
	bench_run(&b, 1);
	assert_end(&slow, UPSTREAM_TOO_LARGE);
	assert_int_equal(slow.datas, 0);
	got_free(&slow);
	engine->balance(b.u);
	bench_close(&b);
}

/* Begins every answer and notes resets; the second call's answer ends at the first. */
static void
hear_resets(struct line *l)
{
	struct h2_frame f;

	if (!h2_begin(l, 100))
		return;
	while (h2_hear(l, &f)) {
		if (f.type == H2_RST_STREAM)
			atomic_fetch_add(&l->p->gate, 1);
		if (f.type == H2_RST_STREAM && f.stream == 1)
			h2_data(l, 3, H2_END_STREAM, "ok");
		if (f.type == H2_DATA && (f.flags & H2_END_STREAM) != 0)
			h2_head(l, f.stream, 0, "");
	}
	atomic_fetch_add(&l->p->gate, 100);
}

static void
test_a_cancelled_call_is_told_and_its_neighbour_lives(void **state)
{
	struct got a, g;
	struct bench b;
	char url[64];
	struct upstream_request q;

	(void)state;
	open_h2(&b, hear_resets);
	q = ask(&b, url, "{}");
	got_init(&a, &b);
	send_call(&a, &q);
	bench_await(&b, &b.p->requests, 1);
	got_init(&g, &b);
	send_call(&g, &q);
	while (a.heads == 0 || g.heads == 0)
		bench_rest(&b, 1);
	b.left = 2;
	cancel(&a);
	b.left = 0;
	bench_run(&b, 1);
	assert_end(&g, UPSTREAM_DONE);
	assert_body(&g, "ok");
	assert_int_equal(atomic_load(&b.p->gate), 1);
	assert_int_equal(atomic_load(&b.p->lines), 1);
	got_free(&a);
	got_free(&g);
	engine->balance(b.u);
	bench_close(&b);
}

/* Else it goes on making tokens for nobody. */
static void
test_a_provider_is_told_at_once_that_its_only_call_was_cancelled(void **state)
{
	struct got g;
	struct bench b;
	char url[64];
	struct upstream_request q;
	unsigned i;

	(void)state;
	open_h2(&b, hear_resets);
	q = ask(&b, url, "{}");
	for (i = 0; i < 3; i++) {
		unsigned before = atomic_load(&b.p->gate);

		got_init(&g, &b);
		send_call(&g, &q);
		bench_await(&b, &b.p->requests, i + 1);
		while (g.heads == 0)
			bench_rest(&b, 1);
		b.left = 2;
		cancel(&g);
		b.left = 0;
		bench_await(&b, &b.p->gate, before + 1);
		bench_rest(&b, 2);
		got_free(&g);
	}
	engine->balance(b.u);
	bench_close(&b);
}

/* Floods. */

enum flood {
	INTERIM_STORM,
	ENDLESS_CONTINUATION,
	ENDLESS_FIELDS,
	PINGS,
	SETTINGS,
	FLOODS
};

static void
say_interim(struct line *l, uint32_t stream)
{
	static const char block[] = "\x08\x03"
				    "103";

	h2_say(l, H2_HEADERS, H2_END_HEADERS, stream, block, 5);
}

static void
say_flood(struct line *l, enum flood flood, uint32_t stream, unsigned i)
{
	static char filler[8000];
	static const char settings[6] = { 0, 3, 0, 0, 0, 99 };
	static const char block[1] = { (char)0x88 };

	switch (flood) {
	case INTERIM_STORM:
		say_interim(l, stream);
		break;
	case ENDLESS_CONTINUATION:
		if (i == 0)
			h2_say(l, H2_HEADERS, 0, stream, block, 1);
		h2_say(l, H2_CONTINUATION, 0, stream, "\x10\x01x\x01y", 5);
		break;
	case ENDLESS_FIELDS:
		if (i == 0)
			h2_say(l, H2_HEADERS, 0, stream, block, 1);
		memset(filler, 'a', sizeof(filler));
		/* literal, name of 1, value of 7,900: 0x7f and 7,773 in base 128 */
		memcpy(filler, "\x10\x01x\x7f\xdd\x3c", 6);
		h2_say(l, H2_CONTINUATION, 0, stream, filler, 6 + 7900);
		break;
	case PINGS:
		h2_say(l, H2_PING, 0, 0, "12345678", 8);
		break;
	case SETTINGS:
		h2_say(l, H2_SETTINGS, 0, 0, settings, 6);
		break;
	case FLOODS:
		break;
	}
}

static void
flood(struct line *l)
{
	uint32_t stream;
	unsigned i;

	if (!h2_begin(l, 100) || !h2_hear_request(l, &stream))
		return;
	for (i = 0; i < 20000 && !atomic_load(&l->p->is_over); i++)
		say_flood(l, (enum flood)l->p->mode, stream, i);
}

static void
test_floods_end_the_call_in_time_and_bounded_memory(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	for (unsigned mode = 0; mode < FLOODS; mode++) {
		open_h2(&b, flood);
		b.p->mode = mode;
		q = ask(&b, url, "{}");
		q.first_byte_timeout_ms = 500;
		call(&b, &g, &q);
		if (getenv("SHOW") != NULL)
			print_message("flood %u: %s, %s, %lld us\n", mode,
			    upstream_end_name(g.r.end), g.r.detail,
			    (long long)g.r.total_us);
		assert_true(g.r.end != UPSTREAM_DONE);
		assert_int_equal(g.heads, 0);
		got_free(&g);
		engine->balance(b.u);
		bench_close(&b);
	}
}

static void
answer_with_trailer(struct line *l)
{
	uint32_t stream;

	if (!h2_begin(l, 100))
		return;
	while (h2_hear_request(l, &stream)) {
		say_interim(l, stream);
		h2_head(l, stream, 0, "x-a\0b\0");
		h2_data(l, stream, 0, "hello");
		h2_say(l, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, stream,
		    "\x10\x03x-t\x01u", 7);
	}
}

static void
test_interim_heads_and_trailers_are_not_shown(void **state)
{
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	open_h2(&b, answer_with_trailer);
	for (i = 0; i < 3; i++) {
		call_h2(&b, &g);
		assert_end(&g, UPSTREAM_DONE);
		assert_int_equal(g.header_count, 1);
		assert_string_equal(header_of(&g, "x-a"), "b");
		assert_body(&g, "hello");
		got_free(&g);
	}
	bench_close(&b);
}

static void
test_a_provider_without_http2_is_spoken_to_in_http1(void **state)
{
	struct tls *old = tls_new(false);
	struct upstream_options o = { .ca_file = tls_ca(old) };
	struct got g[3];
	struct bench b;
	char url[64];
	struct upstream_request q;
	unsigned i;

	(void)state;
	bench_open_tls(&b, answer_text, &o, old);
	b.p->text = ok_text;
	q = ask(&b, url, "{}");
	send_many(&b, g, 3, &q);
	bench_run(&b, 3);
	for (i = 0; i < 3; i++) {
		assert_end(&g[i], UPSTREAM_DONE);
		assert_body(&g[i], "ok");
		got_free(&g[i]);
	}
	assert_int_equal(atomic_load(&b.p->requests), 3);
	engine->balance(b.u);
	bench_close(&b);
	tls_free(old);
}

static int
begin(void **state)
{
	(void)state;
	if (engine->can & CAN_HTTP2)
		tls = tls_new(true);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	if (tls != NULL)
		tls_free(tls);
	tls = NULL;
	return 0;
}

#define with_tls(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		with_tls(test_calls_in_a_row_use_one_connection),
		with_tls(test_64_calls_at_once_share_one_connection),
		with_tls(test_whatever_breaks_a_stream_its_request_is_not_sent_again),
		with_tls(test_a_connection_that_said_goodbye_at_rest_is_not_asked_again),
		with_tls(
		    test_a_goodbye_lets_the_calls_under_way_end_and_takes_no_new_one),
		with_tls(test_a_connection_that_breaks_ends_each_of_its_calls_once),
		with_tls(test_no_more_streams_are_opened_than_the_provider_takes),
		with_tls(test_a_paused_call_holds_up_no_other_of_its_connection),
		with_tls(test_what_a_paused_call_may_leave_lying_is_bounded),
		with_tls(test_a_cancelled_call_is_told_and_its_neighbour_lives),
		with_tls(
		    test_a_provider_is_told_at_once_that_its_only_call_was_cancelled),
		with_tls(test_floods_end_the_call_in_time_and_bounded_memory),
		with_tls(test_interim_heads_and_trailers_are_not_shown),
		with_tls(test_a_provider_without_http2_is_spoken_to_in_http1),
	};

	return run_suite("http2", tests, sizeof(tests) / sizeof(tests[0]));
}
