/* test_upstream.c - what every engine behind net/upstream.h promises, against a provider
 * that misbehaves.
 *
 * The provider is a thread on loopback; each of its connections runs a small script.
 * Nothing here knows libcurl, but for the two tests that look at shards.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "net/upstream_curl.h"

enum {
	REQUEST_BYTES = 16 << 20,
	WATCHDOG_US = 30 * 1000 * 1000,
	LINES_MAX = 4096
};

/* The provider. */

struct provider;

struct line {
	struct provider *p;
	pthread_t thread;
	int fd;
	unsigned nth;    /* from 1 */
	struct buf in;   /* what was read and not used */
	struct buf head; /* of the last request */
	struct buf body;
};

struct provider {
	int fd;
	uint16_t port;
	pthread_t thread;
	void (*script)(struct line *l);
	const char *text; /* for scripts */
	size_t number;
	atomic_uint lines, requests, gate;
	atomic_bool is_over;
	struct line line[LINES_MAX];
};

static void
nap_ms(unsigned ms)
{
	(void)usleep(ms * 1000);
}

static bool
line_more(struct line *l)
{
	char *room = buf_room(&l->in, 65536);
	ssize_t n;

	assert_non_null(room);
	n = recv(l->fd, room, 65536, 0);
	if (n > 0)
		l->in.len += (size_t)n;
	return n > 0;
}

/* Waits for a request to begin and counts it. */
static bool
hear_something(struct line *l)
{
	while (l->in.len == 0)
		if (!line_more(l))
			return false;
	atomic_fetch_add(&l->p->requests, 1);
	return true;
}

static size_t
announced_length(const char *head)
{
	const char *field = strcasestr(head, "\r\ncontent-length:");

	return field != NULL ? strtoul(field + 17, NULL, 10) : 0;
}

/* One whole request into l->head and l->body. */
static bool
hear(struct line *l)
{
	size_t head, body;
	char *end;

	buf_reset(&l->head);
	buf_reset(&l->body);
	if (!hear_something(l))
		return false;
	while ((end = memmem(l->in.ptr, l->in.len, "\r\n\r\n", 4)) == NULL)
		if (!line_more(l))
			return false;
	head = (size_t)(end - l->in.ptr) + 4;
	buf_add(&l->head, l->in.ptr, head);
	buf_add_char(&l->head, '\0');
	body = announced_length(l->head.ptr);
	while (l->in.len < head + body)
		if (!line_more(l))
			return false;
	buf_add(&l->body, l->in.ptr + head, body);
	buf_take(&l->in, head + body);
	return true;
}

static void
say_n(struct line *l, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(l->fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		p += sent;
		n -= (size_t)sent;
	}
}

static void
say(struct line *l, const char *text)
{
	say_n(l, text, strlen(text));
}

/* The connection breaks with a reset instead of a close. */
static void
slam(struct line *l)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void
wait_for_close(struct line *l)
{
	while (!atomic_load(&l->p->is_over) && line_more(l))
		buf_reset(&l->in);
}

static void *
line_main(void *arg)
{
	struct line *l = arg;

	l->p->script(l);
	(void)close(l->fd);
	buf_free(&l->in);
	buf_free(&l->head);
	buf_free(&l->body);
	return NULL;
}

static void *
provider_main(void *arg)
{
	struct provider *p = arg;
	struct line *l;
	int fd, yes = 1;

	while ((fd = accept(p->fd, NULL, NULL)) >= 0) {
		unsigned n = atomic_load(&p->lines);

		if (atomic_load(&p->is_over) || n == LINES_MAX) {
			(void)close(fd);
			break;
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		l = &p->line[n];
		*l = (struct line){ .p = p, .fd = fd, .nth = n + 1 };
		buf_init(&l->in, REQUEST_BYTES);
		buf_init(&l->head, REQUEST_BYTES);
		buf_init(&l->body, REQUEST_BYTES);
		atomic_fetch_add(&p->lines, 1);
		assert_int_equal(pthread_create(&l->thread, NULL, line_main, l), 0);
	}
	return NULL;
}

static int
listen_somewhere(uint16_t *port, int backlog)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

static int
dial(uint16_t port, int flags)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	return fd;
}

/* On the heap: a test that fails leaves its threads behind. */
static struct provider *
provider_start(void (*script)(struct line *l))
{
	struct provider *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->script = script;
	p->fd = listen_somewhere(&p->port, 511);
	assert_int_equal(pthread_create(&p->thread, NULL, provider_main, p), 0);
	return p;
}

/* Cuts what is open and waits for every thread. */
static void
provider_stop(struct provider *p)
{
	unsigned i, n;
	int fd;

	atomic_store(&p->is_over, true);
	atomic_store(&p->gate, UINT32_MAX);
	fd = dial(p->port, 0);
	assert_int_equal(pthread_join(p->thread, NULL), 0);
	(void)close(fd);
	(void)close(p->fd);
	n = atomic_load(&p->lines);
	for (i = 0; i < n; i++)
		(void)pthread_join(p->line[i].thread, NULL);
	free(p);
}

/* The gateway's side: a loop, an engine, and calls that remember what they were told. */

struct bench {
	struct loop *loop;
	struct upstream *u;
	struct provider *p;
	struct loop_task task;
	struct loop_timer watchdog, timer;
	unsigned left; /* calls until the loop stops */
};

struct got {
	struct bench *b;
	struct upstream_call *call;
	unsigned heads, datas, dones, alive_left;
	int status;
	lz_header header[UPSTREAM_FIELDS];
	size_t header_count;
	struct buf text, body; /* text: copies that the headers point into */
	struct upstream_result r;
	struct loop_timer timer;
	bool pause_in_data, cancel_in_head, cancel_in_data, cancel_in_done, is_cancelled;
};

static void
on_watchdog(void *arg)
{
	(void)arg;
	fail_msg("nothing happened for %d s", WATCHDOG_US / 1000000);
}

static void
do_nothing(void *arg)
{
	(void)arg;
}

static void
bench_open(
    struct bench *b, void (*script)(struct line *l), const struct upstream_options *o)
{
	static const struct upstream_options plain;
	struct err e;

	memset(b, 0, sizeof(*b));
	b->p = provider_start(script);
	b->loop = loop_new(&e);
	assert_non_null(b->loop);
	b->u = upstream_new(b->loop, o != NULL ? o : &plain, &e);
	assert_non_null(b->u);
	assert_int_equal(
	    loop_timer_set(b->loop, &b->watchdog, WATCHDOG_US, on_watchdog, b), ST_OK);
}

static void
bench_close(struct bench *b)
{
	upstream_free(b->u);
	loop_free(b->loop);
	provider_stop(b->p);
}

/* Runs until `calls` more of them are over. */
static void
bench_run(struct bench *b, unsigned calls)
{
	b->left += calls;
	loop_post(b->loop, &b->task, do_nothing, NULL);
	loop_run(b->loop);
}

static void
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

static void
bench_rest(struct bench *b, unsigned ms)
{
	assert_int_equal(
	    loop_timer_set(b->loop, &b->timer, (int64_t)ms * 1000, stop_loop, b), ST_OK);
	loop_post(b->loop, &b->task, do_nothing, NULL);
	loop_run(b->loop);
}

static void
cancel(struct got *g)
{
	upstream_cancel(g->call);
	g->call = NULL;
	g->is_cancelled = true;
	one_less(g->b);
}

static void
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

static void
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

static const struct upstream_ops ops = {
	.head = on_head, .data = on_data, .done = on_done
};

static void
got_init(struct got *g, struct bench *b)
{
	memset(g, 0, sizeof(*g));
	g->b = b;
	buf_init(&g->text, 4 * UPSTREAM_HEAD_BYTES);
	buf_init(&g->body, REQUEST_BYTES);
}

static void
got_free(struct got *g)
{
	buf_free(&g->text);
	buf_free(&g->body);
}

static lz_str
url_of(const struct bench *b, char out[64])
{
	return lz_strn(
	    out, (size_t)snprintf(out, 64, "http://127.0.0.1:%u/v1/chat", b->p->port));
}

static struct upstream_request
post(const struct bench *b, char url[64], const char *body)
{
	struct upstream_request q = {
		.method = "POST", .url = url_of(b, url), .part_count = 1
	};

	q.part[0] = lz_strz(body);
	return q;
}

static void
send_call(struct got *g, const struct upstream_request *q)
{
	struct err e = { "" };

	g->call = upstream_send(g->b->u, q, &ops, g, &e);
	if (g->call == NULL)
		fail_msg("upstream_send: %s", e.text);
}

/* One call from beginning to end on a new `g`. */
static void
call(struct bench *b, struct got *g, const struct upstream_request *q)
{
	got_init(g, b);
	send_call(g, q);
	bench_run(b, 1);
}

static void
call_post(struct bench *b, struct got *g, const char *body)
{
	char url[64];
	struct upstream_request q = post(b, url, body);

	call(b, g, &q);
}

#define assert_body(g, text)                                                             \
	do {                                                                             \
		assert_int_equal((g)->body.len, strlen(text));                           \
		assert_memory_equal((g)->body.ptr, text, strlen(text));                  \
	} while (0)

#define assert_end(g, expected)                                                          \
	assert_string_equal(upstream_end_name((g)->r.end), upstream_end_name(expected))

static const char *
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

static void
assert_balance(const struct upstream *u)
{
	const struct sock *s;
	const struct origin *o;
	unsigned i, k, idle = 0, counted = 0;

	for (s = u->idle_first; s != NULL; s = s->idle_next) {
		assert_null(s->users);
		assert_false(s->is_http2);
		idle++;
	}
	for (i = 0; i < u->shards; i++) {
		assert_int_equal(u->shard[i]->active, 0);
		counted += u->shard[i]->idle;
		for (k = 0; k < ORIGIN_BUCKETS; k++)
			for (o = u->origin[k]; o != NULL; o = o->next)
				assert_int_equal(o->waiting[i], 0);
	}
	assert_int_equal(counted, idle);
	assert_null(u->calls);
	assert_null(u->ready_first);
}

/* Scripts. */

/* Answers every request with p->text. */
static void
answer_text(struct line *l)
{
	while (hear(l))
		say(l, l->p->text);
}

static void
answer_text_and_close(struct line *l)
{
	if (hear(l))
		say(l, l->p->text);
}

/* Answers with the request: its body. */
static void
answer_echo(struct line *l)
{
	char head[100];

	while (hear(l)) {
		(void)snprintf(head, sizeof(head),
		    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", l->body.len);
		say(l, head);
		say_n(l, l->body.ptr, l->body.len);
	}
}

/* Answers with the request's head. */
static void
answer_head_back(struct line *l)
{
	char head[100];

	while (hear(l)) {
		(void)snprintf(head, sizeof(head),
		    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", l->head.len - 1);
		say(l, head);
		say_n(l, l->head.ptr, l->head.len - 1);
	}
}

static void
never_answer(struct line *l)
{
	if (hear(l))
		wait_for_close(l);
}

static const char ok_text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* What is asked and what is answered. */

static void
test_a_plain_answer_arrives_with_its_head_and_its_bytes(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = "HTTP/1.1 201 Made\r\nX-One:  a b \r\nCONTENT-LENGTH: "
		    "5\r\nEmpty:\r\n\r\nhello";
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	assert_int_equal(g.r.status, 201);
	assert_int_equal(g.status, 201);
	assert_int_equal(g.header_count, 3);
	assert_string_equal(header_of(&g, "x-one"), "a b");
	assert_string_equal(header_of(&g, "content-length"), "5");
	assert_string_equal(header_of(&g, "empty"), "");
	assert_body(&g, "hello");
	assert_true(g.r.was_sent);
	assert_true(g.r.connect_us >= 0 && g.r.first_byte_us >= g.r.connect_us);
	assert_true(g.r.total_us >= g.r.first_byte_us);
	assert_string_equal(g.r.detail, "");
	assert_int_equal(upstream_active(b.u), 0);
	got_free(&g);
	bench_close(&b);
}

static void
test_a_request_carries_its_headers_and_none_that_nobody_asked_for(void **state)
{
	lz_header h[] = { lz_head(lz_strz("Authorization"), lz_strz("Bearer x")),
		lz_head(lz_strz("x-empty"), lz_strz("")),
		lz_head(lz_strz("content-type"), lz_strz("application/json")) };
	struct bench b;
	struct got g;
	char url[64], expected[400];
	struct upstream_request q;

	(void)state;
	bench_open(&b, answer_head_back, NULL);
	q = post(&b, url, "{\"a\":1}");
	q.headers = h;
	q.header_count = 3;
	call(&b, &g, &q);
	(void)snprintf(expected, sizeof(expected),
	    "POST /v1/chat HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: "
	    "*/*\r\nAuthorization: Bearer x\r\nx-empty:\r\n"
	    "content-type: application/json\r\nContent-Length: 7\r\n\r\n",
	    b.p->port);
	assert_body(&g, expected);
	got_free(&g);
	bench_close(&b);
}

static void
test_every_method_is_sent_as_it_is_called(void **state)
{
	static const struct {
		const char *method;
		const char *body;
	} rows[] = { { "POST", "x" }, { "GET", "" }, { "DELETE", "" }, { "POST", "" },
		{ "PUT", "x" }, { "GET", "" }, { "PATCH", "yy" }, { "DELETE", "x" },
		{ "POST", "x" } };
	struct bench b;
	struct got g;
	char url[64], line[40];
	size_t i;

	(void)state;
	bench_open(&b, answer_head_back, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct upstream_request q = post(&b, url, rows[i].body);

		q.method = rows[i].method;
		call(&b, &g, &q);
		assert_end(&g, UPSTREAM_DONE);
		(void)snprintf(
		    line, sizeof(line), "%s /v1/chat HTTP/1.1\r\n", rows[i].method);
		assert_memory_equal(g.body.ptr, line, strlen(line));
		buf_add_char(&g.body, '\0');
		assert_int_equal(announced_length(g.body.ptr), strlen(rows[i].body));
		assert_null(strstr(g.body.ptr, "urlencoded"));
		got_free(&g);
	}
	assert_int_equal(atomic_load(&b.p->lines), 1);
	bench_close(&b);
}

static void
test_a_body_in_parts_arrives_in_one_piece_whatever_its_size(void **state)
{
	static const size_t sizes[] = { 0, 1, 1000, JOIN_BYTES, JOIN_BYTES + 1, 70000,
		3 << 20 };
	char *text = malloc(3 << 20);
	struct bench b;
	struct got g;
	char url[64];
	size_t i, k;

	(void)state;
	for (i = 0; i < 3 << 20; i++)
		text[i] = (char)('a' + i % 23);
	bench_open(&b, answer_echo, NULL);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (k = 1; k <= 3; k++) {
			struct upstream_request q = post(&b, url, "");
			size_t cut = sizes[i] / 3;

			q.part_count = k;
			q.part[0] = lz_strn(text, k == 1 ? sizes[i] : cut);
			q.part[1] = lz_strn(text + cut, k == 2 ? sizes[i] - cut : 0);
			q.part[2] = lz_strn(text + cut, sizes[i] - cut);
			call(&b, &g, &q);
			assert_end(&g, UPSTREAM_DONE);
			assert_int_equal(g.body.len, sizes[i]);
			if (sizes[i] > 0)
				assert_memory_equal(g.body.ptr, text, sizes[i]);
			got_free(&g);
		}
	}
	bench_close(&b);
	free(text);
}

static void
test_a_chunked_answer_arrives_without_its_chunks(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "3\r\nabc\r\n4;x=y\r\ndefg\r\n1\r\nh\r\n0\r\nTrailer: t\r\n\r\n";
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	assert_body(&g, "abcdefgh");
	assert_int_equal(g.datas, 1); /* three pieces, one readable event, one call */
	assert_null(header_of(&g, "trailer"));
	got_free(&g);
	bench_close(&b);
}

static void
test_chunks_that_are_nonsense_are_a_bad_answer(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text =
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzzz\r\n";
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_BAD);
	got_free(&g);
	bench_close(&b);
}

static void
test_answers_without_a_body_end_at_their_head(void **state)
{
	static const char *const texts[] = { "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" };
	struct bench b;
	struct got g;
	char url[64];
	size_t i;

	(void)state;
	bench_open(&b, answer_text, NULL);
	for (i = 0; i < 3; i++) {
		b.p->text = texts[i];
		call_post(&b, &g, "{}");
		assert_end(&g, UPSTREAM_DONE);
		assert_int_equal(g.heads, 1);
		assert_int_equal(g.datas, 0);
		got_free(&g);
	}
	b.p->text = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n";
	for (i = 0; i < 2; i++) {
		struct upstream_request q = post(&b, url, "");

		q.method = "HEAD";
		q.max_answer_bytes = 10;
		call(&b, &g, &q);
		assert_end(&g, UPSTREAM_DONE);
		assert_int_equal(g.datas, 0);
		got_free(&g);
	}
	assert_int_equal(atomic_load(&b.p->lines), 1);
	bench_close(&b);
}

static void
test_a_body_that_ends_with_the_connection_is_whole(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text_and_close, NULL);
	b.p->text = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	assert_body(&g, "until the end");
	got_free(&g);
	bench_close(&b);
}

static void
test_a_hundred_calls_use_one_connection(void **state)
{
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = ok_text;
	for (i = 0; i < 100; i++) {
		call_post(&b, &g, "{}");
		assert_end(&g, UPSTREAM_DONE);
		got_free(&g);
	}
	assert_int_equal(atomic_load(&b.p->lines), 1);
	assert_int_equal(atomic_load(&b.p->requests), 100);
	bench_close(&b);
}

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
	b.p->number = INTERIM_HEADS;
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	assert_int_equal(g.status, 200);
	assert_int_equal(g.heads, 1);
	assert_int_equal(g.header_count, 1);
	got_free(&g);
	b.p->number = INTERIM_HEADS + 1;
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

/* Clocks. */

static void
drip(struct line *l)
{
	size_t i;

	while (hear(l)) {
		say(l, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
		for (i = 0; i < 10; i++) {
			say(l, ".");
			nap_ms(40);
		}
	}
}

static void
test_a_slow_answer_lives_as_long_as_its_reader_says_it_moves(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	bench_open(&b, drip, NULL);
	q = post(&b, url, "{}");
	q.idle_timeout_ms = 150;
	got_init(&g, &b);
	g.alive_left = 10;
	send_call(&g, &q);
	bench_run(&b, 1);
	assert_end(&g, UPSTREAM_DONE);
	assert_body(&g, "..........");
	assert_true(g.datas > 1);
	got_free(&g);

	got_init(&g, &b);
	g.alive_left = 1;
	send_call(&g, &q);
	bench_run(&b, 1);
	assert_end(&g, UPSTREAM_IDLE_TIMEOUT);
	assert_int_equal(g.r.status, 200);
	assert_true(g.body.len > 0 && g.body.len < 10);
	got_free(&g);
	bench_close(&b);
}

static void
test_no_answer_in_time_is_a_first_byte_timeout(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	bench_open(&b, never_answer, NULL);
	q = post(&b, url, "{}");
	q.first_byte_timeout_ms = 60;
	call(&b, &g, &q);
	assert_end(&g, UPSTREAM_FIRST_BYTE_TIMEOUT);
	assert_true(g.r.was_sent);
	assert_true(g.r.total_us >= 60000 && g.r.total_us < 5000000);
	got_free(&g);
	bench_close(&b);
}

/* A listener that nobody accepts on, and whose queue is full: connecting to it hangs. */
struct full_port {
	int listener, fill[16];
	unsigned filled;
	uint16_t port;
};

static void
full_port_open(struct full_port *f)
{
	struct pollfd pfd = { .events = POLLOUT };

	f->listener = listen_somewhere(&f->port, 0);
	for (f->filled = 0; f->filled < 16; f->filled++) {
		f->fill[f->filled] = pfd.fd = dial(f->port, SOCK_NONBLOCK);
		if (poll(&pfd, 1, 100) == 0) {
			f->filled++;
			return;
		}
	}
	fail_msg("the queue of a listener never fills");
}

static void
full_port_close(struct full_port *f)
{
	while (f->filled > 0)
		(void)close(f->fill[--f->filled]);
	(void)close(f->listener);
}

static void
test_a_connection_that_hangs_is_a_connect_timeout(void **state)
{
	struct full_port f;
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	full_port_open(&f);
	bench_open(&b, never_answer, NULL);
	q = post(&b, url, "{}");
	q.url = lz_strn(
	    url, (size_t)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", f.port));
	q.connect_timeout_ms = 80;
	call(&b, &g, &q);
	assert_end(&g, UPSTREAM_CONNECT_TIMEOUT);
	assert_false(g.r.was_sent);
	assert_true(g.r.total_us >= 80000 && g.r.total_us < 5000000);
	got_free(&g);
	bench_close(&b);
	full_port_close(&f);
}

static void
test_the_total_limit_ends_an_answer_that_still_moves(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	bench_open(&b, drip, NULL);
	q = post(&b, url, "{}");
	q.total_timeout_ms = 100;
	q.idle_timeout_ms = 5000;
	got_init(&g, &b);
	g.alive_left = 100;
	send_call(&g, &q);
	bench_run(&b, 1);
	assert_end(&g, UPSTREAM_TOTAL_TIMEOUT);
	got_free(&g);
	bench_close(&b);
}

/* Names. getaddrinfo() of this program is the one that the engine finds. */

static atomic_uint name_ms;

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
    struct addrinfo **out)
{
	static const char *const two[] = { "127.0.0.2", "127.0.0.1" };
	const char *const *ip = two + (strcmp(node, "two.test") != 0);
	size_t room = sizeof(struct addrinfo) + sizeof(struct sockaddr_in);
	struct addrinfo **last = out;

	(void)hints;
	nap_ms(atomic_load(&name_ms));
	*out = NULL;
	if (strcmp(node, "nobody.test") == 0)
		return EAI_NONAME;
	for (; ip < two + 2; ip++) {
		struct addrinfo *a = calloc(1, room);
		struct sockaddr_in *sa = (struct sockaddr_in *)(void *)(a + 1);

		sa->sin_family = AF_INET;
		sa->sin_port = htons((uint16_t)strtoul(service, NULL, 10));
		(void)inet_pton(AF_INET, *ip, &sa->sin_addr);
		a->ai_family = AF_INET;
		a->ai_socktype = SOCK_STREAM;
		a->ai_addr = (struct sockaddr *)sa;
		a->ai_addrlen = sizeof(*sa);
		*last = a;
		last = &a->ai_next;
	}
	return 0;
}

void
freeaddrinfo(struct addrinfo *a)
{
	struct addrinfo *next;

	for (; a != NULL; a = next) {
		next = a->ai_next;
		free(a);
	}
}

static void
call_name(struct bench *b, struct got *g, const char *name, unsigned connect_ms)
{
	char url[64];
	struct upstream_request q = post(b, url, "{}");

	q.url = lz_strn(
	    url, (size_t)snprintf(url, sizeof(url), "http://%s:%u/", name, b->p->port));
	q.connect_timeout_ms = connect_ms;
	call(b, g, &q);
}

static void
test_a_name_that_nobody_has_is_told_from_a_refusal(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = ok_text;
	call_name(&b, &g, "nobody.test", 0);
	assert_end(&g, UPSTREAM_NO_NAME);
	assert_false(g.r.was_sent);
	got_free(&g);
	call_name(&b, &g, "one.test", 0);
	assert_end(&g, UPSTREAM_DONE);
	got_free(&g);
	bench_close(&b);
}

static void
test_a_second_address_is_tried_when_the_first_refuses(void **state)
{
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = ok_text;
	for (i = 0; i < 3; i++) {
		call_name(&b, &g, "two.test", 2000);
		assert_end(&g, UPSTREAM_DONE);
		got_free(&g);
	}
	assert_int_equal(atomic_load(&b.p->lines), 1);
	bench_close(&b);
}

static void
test_a_slow_name_server_is_given_up_with_the_connect_limit(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = ok_text;
	atomic_store(&name_ms, 700);
	call_name(&b, &g, "slow.test", 80);
	assert_end(&g, UPSTREAM_CONNECT_TIMEOUT);
	assert_false(g.r.was_sent);
	assert_true(g.r.total_us <
		    600000); /* and the loop did not wait for the resolver's thread */
	got_free(&g);
	nap_ms(800);
	atomic_store(&name_ms, 0);
	bench_close(&b);
}

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
	assert_int_equal(b.u->shard[0]->open, 0); /* the provider sees it at once */
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
		wait_for_close(l);
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

static void
test_no_request_is_written_twice_when_kept_connections_close(void **state)
{
	char *big = calloc(1, 1 << 20);
	struct bench b;
	struct got g;
	char url[64];
	unsigned moment, kind, i, stale, resets;

	(void)state;
	for (moment = 0; moment < AWKWARD; moment++) {
		for (kind = 0; kind < 5; kind++) {
			bench_open(&b, awkward, NULL);
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
				if (moment >= IDLE_CLOSE)
					bench_rest(&b, 25);
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
			if (moment >= IDLE_CLOSE &&
			    (moment != STRAY_AT_ONCE || kind != 2))
				assert_int_equal(stale + resets, 0);
			bench_close(&b);
		}
	}
	free(big);
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
	assert_balance(k.b.u);
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

/* Whatever happens, the books balance. */

enum {
	SLOTS = 40,
	MOODY_CALLS = 1500
};

static void
say_much(struct line *l)
{
	static const char zeros[100000];

	say(l, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
	say_n(l, zeros, sizeof(zeros));
	say_n(l, zeros, sizeof(zeros));
	say_n(l, zeros, sizeof(zeros));
}

/* false: and then the connection ends. */
static bool
answer_in_a_mood(struct line *l, unsigned mood)
{
	switch (mood) {
	case 0:
		return false;
	case 1:
		slam(l);
		return false;
	case 2:
		say(l, "HTTP/1.1 200 OK\r\nConte");
		slam(l);
		return false;
	case 3:
		say(l,
		    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
		nap_ms(3);
		say(l, "1\r\nd\r\n0\r\n\r\n");
		return true;
	case 4:
		say(l, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
		return false;
	case 5:
		say_much(l);
		return true;
	case 6: /* in one piece: later, it would be the answer to what was asked since */
		say(l, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		       "HTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n");
		return true;
	case 7:
		nap_ms(20);
		say(l, ok_text);
		return true;
	case 8:
		say(l, ok_text);
		return false;
	default:
		say(l, ok_text);
		return true;
	}
}

static void
moody(struct line *l)
{
	unsigned dice = l->nth * 7919;

	do
		dice = dice * 1103515245 + 12345;
	while (hear(l) && answer_in_a_mood(l, dice >> 16 & 15));
}

struct chaos;

struct slot {
	struct chaos *k;
	struct upstream_call *call;
};

struct chaos {
	struct bench b;
	struct slot slot[SLOTS];
	struct upstream_request q;
	struct loop_timer tick;
	unsigned dice, sent, done, cancelled;
	char url[64];
};

static unsigned
roll(struct chaos *k, unsigned sides)
{
	k->dice = k->dice * 1103515245 + 12345;
	return (k->dice >> 16) % sides;
}

static void
move(struct chaos *k)
{
	struct slot *t = &k->slot[roll(k, SLOTS)];
	unsigned what = roll(k, 6);

	if (t->call == NULL)
		return;
	if (what == 0) {
		upstream_cancel(t->call);
		t->call = NULL;
		k->cancelled++;
	} else if (what < 3) {
		upstream_pause(t->call);
	} else {
		upstream_resume(t->call);
	}
}

static void
on_chaos_head(void *arg, int status, const lz_header *h, size_t n)
{
	struct slot *t = arg;

	(void)h;
	(void)n;
	if (status != 200)
		fail_msg("a call got what nobody asked for");
	move(t->k);
}

static void
on_chaos_data(void *arg, lz_str bytes)
{
	struct slot *t = arg;

	(void)bytes;
	move(t->k);
}

static void
on_chaos_done(void *arg, const struct upstream_result *r)
{
	struct slot *t = arg;

	(void)r;
	t->k->done++;
	t->call = NULL;
	move(t->k);
}

static void
on_tick(void *arg)
{
	static const struct upstream_ops wild = { on_chaos_head, on_chaos_data,
		on_chaos_done };
	struct chaos *k = arg;
	struct err e;
	unsigned i;

	for (i = 0; i < SLOTS; i++) {
		struct slot *t = &k->slot[i];

		if (t->call == NULL && k->sent < MOODY_CALLS) {
			t->call = upstream_send(k->b.u, &k->q, &wild, t, &e);
			assert_non_null(t->call);
			k->sent++;
		} else if (t->call != NULL && k->sent == MOODY_CALLS) {
			upstream_resume(t->call);
		}
	}
	for (i = 0; i < 4 && k->sent < MOODY_CALLS; i++)
		move(k);
	if (k->sent == MOODY_CALLS && upstream_active(k->b.u) == 0)
		loop_stop(k->b.loop);
	else
		assert_int_equal(
		    loop_timer_set(k->b.loop, &k->tick, 1000, on_tick, k), ST_OK);
}

static void
test_a_thousand_calls_and_random_moves_leave_the_books_balanced(void **state)
{
	struct upstream_options o = { .shard_active = 16 };
	struct chaos *k = calloc(1, sizeof(*k));

	(void)state;
	bench_open(&k->b, moody, &o);
	for (unsigned i = 0; i < SLOTS; i++)
		k->slot[i].k = k;
	k->q = post(&k->b, k->url, "{}");
	k->q.first_byte_timeout_ms = 1000;
	k->q.total_timeout_ms = 5000;
	assert_int_equal(loop_timer_set(k->b.loop, &k->tick, 1, on_tick, k), ST_OK);
	loop_run(k->b.loop);
	assert_int_equal(k->done + k->cancelled, MOODY_CALLS);
	assert_true(k->done > MOODY_CALLS / 4);
	assert_int_equal(k->b.u->shards, 3);
	assert_balance(k->b.u);
	bench_close(&k->b);
	free(k);
}

/* What cannot be sent. */

static void
refused(struct bench *b, const struct upstream_request *q, const char *why)
{
	struct got g;
	struct err e = { "" };

	got_init(&g, b);
	if (upstream_send(b->u, q, &ops, &g, &e) != NULL)
		fail_msg("was taken: %s %.*s", q->method, STR_ARG(q->url));
	if (strstr(e.text, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.text, why);
	assert_null(strstr(e.text, "secret"));
	assert_int_equal(upstream_active(b->u), 0);
	got_free(&g);
}

static void
test_headers_that_could_split_a_request_are_refused(void **state)
{
	static const struct {
		lz_header h;
		const char *why;
	} rows[] = {
		{ { { "x-a", 3 }, { "secret\r\nx: y", 12 } }, "x-a" },
		{ { { "x-a", 3 }, { "secret\n", 7 } }, "x-a" },
		{ { { "x-a", 3 }, { "sec\0ret", 7 } }, "x-a" },
		{ { { "x a", 3 }, { "v", 1 } }, "token" },
		{ { { "x:a", 3 }, { "v", 1 } }, "token" },
		{ { { "x\r\na", 4 }, { "v", 1 } }, "token" },
		{ { { "", 0 }, { "v", 1 } }, "token" },
		{ { { "Content-Length", 14 }, { "3", 1 } }, "content-length" },
		{ { { "transfer-encoding", 17 }, { "chunked", 7 } },
		    "transfer-encoding" },
		{ { { "accept-encoding", 15 }, { "gzip", 4 } }, "accept-encoding" },
	};
	struct bench b;
	char url[64];
	struct upstream_request q;
	size_t i;

	(void)state;
	bench_open(&b, answer_text, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		q = post(&b, url, "{}");
		q.headers = &rows[i].h;
		q.header_count = 1;
		refused(&b, &q, rows[i].why);
	}
	assert_int_equal(atomic_load(&b.p->requests), 0);
	bench_close(&b);
}

static void
test_urls_and_methods_that_cannot_be_called_are_refused(void **state)
{
	static const char *const urls[] = { "", "file:///etc/passwd", "ftp://h/",
		"HTTP://h/", "http://", "http:///x", "http://h:0/", "http://h:99999/",
		"http://h:x/", "http://h/a b", "http://h/\r\nx", "http://[::1/",
		"https://?x", "gopher://h/", "h", "http://user:secret@/" };
	struct bench b;
	char url[64];
	struct upstream_request q;
	size_t i;

	(void)state;
	bench_open(&b, answer_text, NULL);
	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		q = post(&b, url, "{}");
		q.url = lz_strz(urls[i]);
		refused(&b, &q, "url: ");
	}
	q = post(&b, url, "{}");
	q.method = "PO ST";
	refused(&b, &q, "method");
	q.method = "GET";
	refused(&b, &q, "no body");
	bench_close(&b);
}

/* Proxies. */

static void
test_a_proxy_is_used_only_when_the_request_names_it(void **state)
{
	struct bench b;
	struct got g;
	char url[64], proxy[64], line[100];
	struct upstream_request q;
	unsigned i;
	uint16_t nobody;

	(void)state;
	(void)close(listen_somewhere(&nobody, 1));
	(void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", nobody);
	(void)setenv("http_proxy", proxy, 1);
	(void)setenv("ALL_PROXY", proxy, 1);
	(void)setenv("no_proxy", "*", 1);
	bench_open(&b, answer_head_back, NULL);
	(void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", b.p->port);
	for (i = 0; i < 3; i++) {
		q = post(&b, url, "{}");
		q.proxy = i == 1 ? proxy : NULL;
		if (i == 1)
			q.url = lz_strz("http://far.test/v1");
		call(&b, &g, &q);
		assert_end(&g, UPSTREAM_DONE);
		(void)snprintf(line, sizeof(line), "POST %s HTTP/1.1\r\n",
		    i == 1 ? "http://far.test/v1" : "/v1/chat");
		assert_memory_equal(g.body.ptr, line, strlen(line));
		got_free(&g);
	}
	bench_close(&b);
	(void)unsetenv("http_proxy");
	(void)unsetenv("ALL_PROXY");
	(void)unsetenv("no_proxy");
}

/* TLS, against the server of the openssl command. */

struct tls_server {
	char dir[32], cert[64], key[64];
	uint16_t port;
	pid_t pid;
};

static bool
run_command(const char *command)
{
	return system(command) == 0;
}

static void
wait_for_listener(uint16_t port)
{
	struct pollfd pfd = { .events = POLLOUT };
	unsigned i;

	for (i = 0; i < 200; i++) {
		pfd.fd = dial(port, 0);
		if (poll(&pfd, 1, 100) == 1 && (pfd.revents & (POLLERR | POLLHUP)) == 0) {
			(void)close(pfd.fd);
			return;
		}
		(void)close(pfd.fd);
		nap_ms(20);
	}
	fail_msg("the TLS server never listens");
}

static bool
tls_start(struct tls_server *t)
{
	char command[400], port[8];

	strcpy(t->dir, "/tmp/upstream-tls-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	(void)snprintf(t->cert, sizeof(t->cert), "%s/cert.pem", t->dir);
	(void)snprintf(t->key, sizeof(t->key), "%s/key.pem", t->dir);
	(void)snprintf(command, sizeof(command),
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "
	    "2 "
	    "-subj /CN=here.test -addext subjectAltName=DNS:one.test -keyout %s -out %s "
	    "2>/dev/null",
	    t->key, t->cert);
	if (!run_command(command)) {
		(void)rmdir(t->dir);
		return false;
	}
	(void)close(listen_somewhere(&t->port, 1));
	(void)snprintf(port, sizeof(port), "%u", t->port);
	t->pid = fork();
	if (t->pid == 0) {
		if (freopen("/dev/null", "w", stdout) == NULL ||
		    freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		(void)execlp("openssl", "openssl", "s_server", "-accept", port, "-cert",
		    t->cert, "-key", t->key, "-www", (char *)NULL);
		_exit(127);
	}
	wait_for_listener(t->port);
	return true;
}

static void
tls_stop(struct tls_server *t)
{
	(void)kill(t->pid, SIGKILL);
	(void)waitpid(t->pid, NULL, 0);
	(void)unlink(t->cert);
	(void)unlink(t->key);
	(void)rmdir(t->dir);
}

static void
call_tls(const struct tls_server *t, const char *ca, const char *host, struct got *g)
{
	struct upstream_options o = { .ca_file = ca };
	struct upstream_request q;
	struct bench b;
	char url[64];

	bench_open(&b, never_answer, &o);
	q = post(&b, url, "");
	q.method = "GET";
	q.url = lz_strn(
	    url, (size_t)snprintf(url, sizeof(url), "https://%s:%u/", host, t->port));
	call(&b, g, &q);
	bench_close(&b);
}

static void
test_a_certificate_that_is_not_trusted_ends_the_call_unsent(void **state)
{
	struct tls_server t;
	struct got g;

	(void)state;
	if (!tls_start(&t))
		skip(); /* no openssl command here */
	call_tls(&t, t.cert, "one.test", &g);
	assert_end(&g, UPSTREAM_DONE);
	assert_int_equal(g.status, 200);
	assert_true(g.body.len > 0);
	got_free(&g);
	call_tls(&t, NULL, "one.test", &g); /* not ours to trust */
	assert_end(&g, UPSTREAM_TLS);
	assert_false(g.r.was_sent);
	got_free(&g);
	call_tls(&t, t.cert, "other.test", &g); /* another name */
	assert_end(&g, UPSTREAM_TLS);
	assert_false(g.r.was_sent);
	got_free(&g);
	tls_stop(&t);
}

static void
greet(struct line *l)
{
	say(l, l->p->text);
	wait_for_close(l);
}

static void
test_a_port_that_speaks_no_tls_is_a_tls_failure(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	bench_open(&b, answer_text_and_close, NULL);
	b.p->text = "220 mail ESMTP\r\n";
	b.p->script = storm; /* never hears a whole request: says nothing */
	q = post(&b, url, "{}");
	q.url = lz_strn(
	    url, (size_t)snprintf(url, sizeof(url), "https://127.0.0.1:%u/", b.p->port));
	q.connect_timeout_ms = 100;
	call(&b, &g, &q);
	assert_end(&g, UPSTREAM_CONNECT_TIMEOUT);
	assert_false(g.r.was_sent);
	got_free(&g);
	b.p->script = greet;
	call(&b, &g, &q);
	assert_end(&g, UPSTREAM_TLS);
	assert_false(g.r.was_sent);
	got_free(&g);
	bench_close(&b);
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

static int
start(void **state)
{
	struct err e;

	(void)state;
	(void)signal(SIGPIPE, SIG_DFL); /* nobody may need it ignored */
	return upstream_start(&e) == ST_OK ? 0 : -1;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plain_answer_arrives_with_its_head_and_its_bytes),
		cmocka_unit_test(
		    test_a_request_carries_its_headers_and_none_that_nobody_asked_for),
		cmocka_unit_test(test_every_method_is_sent_as_it_is_called),
		cmocka_unit_test(
		    test_a_body_in_parts_arrives_in_one_piece_whatever_its_size),
		cmocka_unit_test(test_a_chunked_answer_arrives_without_its_chunks),
		cmocka_unit_test(test_chunks_that_are_nonsense_are_a_bad_answer),
		cmocka_unit_test(test_answers_without_a_body_end_at_their_head),
		cmocka_unit_test(test_a_body_that_ends_with_the_connection_is_whole),
		cmocka_unit_test(test_a_hundred_calls_use_one_connection),
		cmocka_unit_test(test_an_idle_connection_is_closed_when_its_time_is_over),
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
		cmocka_unit_test(
		    test_a_slow_answer_lives_as_long_as_its_reader_says_it_moves),
		cmocka_unit_test(test_no_answer_in_time_is_a_first_byte_timeout),
		cmocka_unit_test(test_a_connection_that_hangs_is_a_connect_timeout),
		cmocka_unit_test(test_the_total_limit_ends_an_answer_that_still_moves),
		cmocka_unit_test(test_a_name_that_nobody_has_is_told_from_a_refusal),
		cmocka_unit_test(test_a_second_address_is_tried_when_the_first_refuses),
		cmocka_unit_test(
		    test_a_slow_name_server_is_given_up_with_the_connect_limit),
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
		cmocka_unit_test(
		    test_no_request_is_written_twice_when_kept_connections_close),
		cmocka_unit_test(
		    test_bytes_that_nobody_asked_for_are_never_the_next_callers_answer),
		cmocka_unit_test(
		    test_a_kept_connection_is_looked_at_before_every_request),
		cmocka_unit_test(test_300_calls_at_once_share_two_shards),
		cmocka_unit_test(test_headers_that_could_split_a_request_are_refused),
		cmocka_unit_test(test_urls_and_methods_that_cannot_be_called_are_refused),
		cmocka_unit_test(
		    test_a_thousand_calls_and_random_moves_leave_the_books_balanced),
		cmocka_unit_test(test_a_proxy_is_used_only_when_the_request_names_it),
		cmocka_unit_test(
		    test_a_certificate_that_is_not_trusted_ends_the_call_unsent),
		cmocka_unit_test(test_a_port_that_speaks_no_tls_is_a_tls_failure),
		cmocka_unit_test(
		    test_an_allocation_that_fails_ends_the_call_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
