/* test_server.c - the HTTP server from the outside: real sockets, an injected clock,
 * failing system calls.
 *
 * The server runs on a thread of its own; tests speak to it as clients, and reach into
 * its thread by posting tasks. Its clock stands still until a test moves it, so no
 * deadline depends on how fast the machine is. Waits have a generous maximum, which only
 * a failing test ever reaches.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/metric.h"
#include "net/server.h"

enum {
	SECOND = 1000000,
	PATIENCE_S = 20,
	ROOM = 4 << 20
};

#define HOST       "Host: t\r\n"
#define DATE       "date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
#define DATE_LATER "date: Tue, 14 Nov 2023 22:13:21 GMT\r\n"
#define GET(path)  "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define ECHO(length, body)                                                               \
	"POST /echo HTTP/1.1\r\n" HOST "Content-Length: " length "\r\n\r\n" body
#define ECHOED(length, body)                                                             \
	"HTTP/1.1 200 OK\r\n" DATE "content-length: " length "\r\n\r\n" body

#define ECHOED_LATER(length, body)                                                       \
	"HTTP/1.1 200 OK\r\n" DATE_LATER "content-length: " length "\r\n\r\n" body

/* The server's side. */

static struct loop *loop;
static struct server *server;
static struct server_limits limits;
static pthread_t thread;
static unsigned port;
static atomic_llong mono_us;
static sem_t arrived, left, room_again, done;
static struct exchange *held;
static atomic_uint requests, gone_count;
static int failed_status;     /* what on_body_failed() heard */
static atomic_bool is_inside; /* an exchange_*() call */
static char text[ROOM];       /* what a client read */

static void
read_test_time(struct moment *m)
{
	m->mono_us = atomic_load(&mono_us);
	m->unix_ms = 1700000000000 + (m->mono_us - SECOND) / 1000;
}

static void
await(sem_t *s)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += PATIENCE_S;
	while (sem_timedwait(s, &t) != 0) {
		if (errno != EINTR)
			fail_msg("waited in vain");
	}
}

static bool
on_head(void *arg, struct exchange *x)
{
	(void)arg;
	if (!str_is(x->head.path, "/deny"))
		return true;
	exchange_reply(x, 401, NULL, 0, STR_LIT("no"));
	return false;
}

static void
stream(struct exchange *x)
{
	exchange_begin(x, 200, NULL, 0);
	(void)exchange_write(x, STR_LIT("one"));
	(void)exchange_write(x, STR_NONE);
	(void)exchange_write(x, STR_LIT("two, of sixteen."));
	exchange_finish(x, STR_LIT("end"));
}

static void
dirty(struct exchange *x)
{
	const struct http_field f[] = {
		{ STR_LIT("x-good"), STR_LIT("1") },
		{ STR_LIT("x-evil"), STR_LIT("1\r\nset-cookie: a") },
		{ STR_LIT("x-late"), STR_LIT("2") },
	};

	exchange_reply(x, 200, f, 3, STR_NONE);
}

static void
on_request(void *arg, struct exchange *x)
{
	(void)arg;
	atomic_fetch_add(&requests, 1);
	if (str_is(x->head.path, "/echo"))
		exchange_reply(x, 200, NULL, 0, buf_str(&x->body));
	else if (str_is(x->head.path, "/stream"))
		stream(x);
	else if (str_is(x->head.path, "/empty"))
		exchange_reply(x, 204, NULL, 0, STR_LIT("never sent"));
	else if (str_is(x->head.path, "/dirty"))
		dirty(x);
	else if (str_is(x->head.path, "/hold")) {
		held = x;
		(void)sem_post(&arrived);
	} else
		exchange_reply(x, 404, NULL, 0, STR_LIT("?"));
}

static void
on_gone(void *arg, struct exchange *x)
{
	(void)arg;
	assert_true(x->is_over);
	assert_false(atomic_load(&is_inside));
	exchange_reply(x, 200, NULL, 0, STR_LIT("too late, and ignored"));
	if (x == held)
		held = NULL;
	atomic_fetch_add(&gone_count, 1);
	(void)sem_post(&left);
}

static void
on_drained(void *arg, struct exchange *x)
{
	(void)arg;
	(void)x;
	(void)sem_post(&room_again);
}

static void
on_refuse(void *arg, const struct http_refusal *why, struct buf *body, struct buf *fields)
{
	(void)arg;
	(void)why;
	buf_add_z(body, "{}");
	buf_add_z(fields, "x-request-id: 1\r\n");
}

static void *
run_loop(void *arg)
{
	(void)arg;
	loop_run(loop);
	return NULL;
}

struct errand {
	struct loop_task task;
	void (*fn)(void);
};

static void
run_errand(void *arg)
{
	struct errand *e = arg;

	e->fn();
	(void)sem_post(&done);
}

/* Runs fn on the server's thread and waits until it has. */
static void
there(void (*fn)(void))
{
	struct errand e = { .fn = fn };

	loop_post(loop, &e.task, run_errand, &e);
	await(&done);
}

static void
nothing(void)
{
}

/* Events and timers of the turns up to now are over when this returns. */
static void
settle(void)
{
	there(nothing);
	there(nothing);
}

static void
advance(int64_t us)
{
	atomic_fetch_add(&mono_us, us);
	settle();
}

static unsigned counted;

static void
count_connections(void)
{
	counted = server_connections(server);
}

static unsigned
connections(void)
{
	there(count_connections);
	return counted;
}

/* A user that answers for bodies that fail: now, or, for /hold, when the test lets it. */
static void
on_body_failed(void *arg, struct exchange *x, const struct http_refusal *why)
{
	const struct http_field f = { STR_LIT("x-user"), STR_LIT("1") };

	(void)arg;
	assert_false(x->is_over);
	assert_int_equal(x->body.len, 0);
	failed_status = why->status;
	if (str_is(x->head.path, "/hold")) {
		held = x;
		(void)sem_post(&arrived);
	} else
		exchange_reply(x, why->status, &f, 1, lz_strz(why->why));
}

static int
start_server(const struct server_ops *ops)
{
	struct net_addr a;
	struct err e;
	int fd;

	atomic_store(&mono_us, SECOND);
	atomic_store(&requests, 0);
	atomic_store(&gone_count, 0);
	held = NULL;
	server_limits_default(&limits);
	if (sem_init(&arrived, 0, 0) != 0 || sem_init(&left, 0, 0) != 0 ||
	    sem_init(&room_again, 0, 0) != 0 || sem_init(&done, 0, 0) != 0)
		return 1;
	if (net_addr_parse(STR_LIT("127.0.0.1:0"), &a, &e) != ST_OK ||
	    (fd = server_socket(&a, false, &e)) < 0)
		return 1;
	(void)getsockname(fd, (struct sockaddr *)&a.sa, &a.len);
	port = net_addr_port(&a);
	loop = loop_new(&e);
	server = loop == NULL ? NULL : server_new(loop, &limits, ops, NULL);
	if (server == NULL || server_listen(server, fd, &e) != ST_OK)
		return 1;
	return pthread_create(&thread, NULL, run_loop, NULL);
}

static int
set_up(void **state)
{
	static const struct server_ops ops = { .head = on_head,
		.request = on_request,
		.gone = on_gone,
		.drained = on_drained,
		.refuse = on_refuse };

	(void)state;
	return start_server(&ops);
}

static int
set_up_answering(void **state)
{
	static const struct server_ops ops = { on_head, on_request, on_gone, on_drained,
		on_refuse, on_body_failed };

	(void)state;
	return start_server(&ops);
}

static void
free_server(void)
{
	server_free(server);
	server = NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	if (server != NULL)
		there(free_server);
	loop_stop(loop);
	(void)pthread_join(thread, NULL);
	loop_free(loop);
	assert_int_equal(metric_sum(METRIC_CONNECTIONS), 0);
	return 0;
}

/* System calls, counted and made to fail. */

static struct io_calls real;
static atomic_uint recvs, sends;
static atomic_int accept_fails, send_fails; /* errno of the next ones; 0: none */
static atomic_size_t send_most; /* bytes per sendmsg(); 0: as many as there are */

static ssize_t
counted_recv(int fd, void *p, size_t n, int flags)
{
	atomic_fetch_add(&recvs, 1);
	return real.recv(fd, p, n, flags);
}

static ssize_t
counted_sendmsg(int fd, const struct msghdr *m, int flags)
{
	size_t most = atomic_load(&send_most);
	struct msghdr one = { .msg_iovlen = 1 };
	struct iovec v;
	size_t i;

	atomic_fetch_add(&sends, 1);
	if (atomic_load(&send_fails) != 0) {
		errno = atomic_load(&send_fails);
		return -1;
	}
	if (most == 0)
		return real.sendmsg(fd, m, flags);
	for (i = 0; i + 1 < m->msg_iovlen && m->msg_iov[i].iov_len == 0; i++)
		;
	v = m->msg_iov[i];
	v.iov_len = v.iov_len < most ? v.iov_len : most;
	one.msg_iov = &v;
	return real.sendmsg(fd, &one, flags);
}

static int
failing_accept(int fd, struct sockaddr *a, socklen_t *len)
{
	int error = atomic_exchange(&accept_fails, 0);

	if (error == 0)
		return real.accept(fd, a, len);
	errno = error;
	return -1;
}

/* The client's side. */

static int
client(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void
say_n(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		assert_true(sent > 0);
		p += sent;
		n -= (size_t)sent;
	}
}

static void
say(int fd, const char *what)
{
	say_n(fd, what, strlen(what));
}

/* Reads exactly n bytes into `text`; fewer only when the server closes first. */
static size_t
hear(int fd, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = recv(fd, text + got, n - got, 0);

		if (r <= 0)
			break;
		got += (size_t)r;
	}
	text[got] = '\0';
	return got;
}

static void
hears(int fd, const char *wanted)
{
	(void)hear(fd, strlen(wanted));
	assert_string_equal(text, wanted);
}

/* Nothing more comes, and the server closes. */
static void
hears_the_end(int fd)
{
	char c;

	assert_int_equal(recv(fd, &c, 1, 0), 0);
}

static void
hears_a_reset(int fd)
{
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text), 0)) > 0)
		;
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
}

static void
hears_refusal(int fd, const char *status_line)
{
	(void)hear(fd, sizeof(text) - 1);
	assert_memory_equal(text, status_line, strlen(status_line));
	assert_non_null(strstr(text, "connection: close\r\n"));
	assert_non_null(strstr(text, "x-request-id: 1\r\n"));
	assert_non_null(strstr(text, "content-type: application/json\r\n"));
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n{}");
}

static void
one_shot(const char *request, const char *answer)
{
	int fd = client();

	say(fd, request);
	hears(fd, answer);
	(void)close(fd);
}

static int
ask_and_hold(void)
{
	int fd = client();

	say(fd, GET("/hold"));
	await(&arrived);
	return fd;
}

/* What tests do on the server's thread. */

static void
reply_held(void)
{
	struct exchange *x = held;

	exchange_reply(x, 200, NULL, 0, STR_LIT("held"));
	assert_true(x->is_over);
	exchange_reply(x, 500, NULL, 0, STR_LIT("again"));
	exchange_cut(x);
}

static void
cut_held(void)
{
	exchange_cut(held);
}

static void
begin_held(void)
{
	exchange_begin(held, 200, NULL, 0);
}

static void
flush_held(void)
{
	exchange_flush(held);
}

static void
end_held(void)
{
	exchange_end(held);
}

static bool write_said;

static void
write_held(void)
{
	atomic_store(&is_inside, true);
	write_said = exchange_write(held, STR_LIT("0123456789"));
	atomic_store(&is_inside, false);
}

#define HELD "HTTP/1.1 200 OK\r\n" DATE "content-length: 4\r\n\r\nheld"

/* Requests. */

static void
requests_on_one_connection_are_answered_one_after_the_other(void **state)
{
	int fd = client();

	(void)state;
	say(fd, ECHO("5", "hello"));
	hears(fd, ECHOED("5", "hello"));
	say(fd, GET("/echo"));
	hears(fd, ECHOED("0", ""));
	say(fd, GET("/none"));
	hears(fd, "HTTP/1.1 404 Not Found\r\n" DATE "content-length: 1\r\n\r\n?");
	(void)close(fd);
}

static void
a_request_in_single_bytes_is_read_as_a_whole_one(void **state)
{
	static const char fixed[] = ECHO("5", "hello");
	static const char chunked[] =
	    "POST /echo HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
	int fd = client();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(fixed) - 1; i++) {
		say_n(fd, fixed + i, 1);
		settle();
	}
	hears(fd, ECHOED("5", "hello"));
	for (i = 0; i < sizeof(chunked) - 1; i++) {
		say_n(fd, chunked + i, 1);
		settle();
	}
	hears(fd, ECHOED("5", "hello"));
	(void)close(fd);
}

static void
pipelined_requests_are_answered_in_their_order(void **state)
{
	(void)state;
	one_shot(ECHO("1", "a") ECHO("2", "bb") GET("/none") ECHO("3", "ccc"),
	    ECHOED("1", "a")
		ECHOED("2", "bb") "HTTP/1.1 404 Not Found\r\n" DATE
				  "content-length: 1\r\n\r\n?" ECHOED("3", "ccc"));
}

static void
what_comes_while_a_request_is_served_waits(void **state)
{
	int fd = client();

	(void)state;
	say(fd, GET("/hold") ECHO("5", "hel"));
	await(&arrived);
	say(fd, "lo" GET("/hold"));
	settle();
	assert_int_equal(atomic_load(&requests), 1);
	there(reply_held);
	await(&arrived);
	there(reply_held);
	hears(fd, HELD ECHOED("5", "hello") HELD);
	(void)close(fd);
}

static void
a_large_body_arrives_whole(void **state)
{
	size_t n = 3 << 20, i;
	char *body = malloc(n);
	char head[100], wanted[200];
	int fd = client(), len;

	(void)state;
	for (i = 0; i < n; i++)
		body[i] = (char)(i * 7 + i / 1000);
	len = snprintf(head, sizeof(head),
	    "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", n);
	say_n(fd, head, (size_t)len);
	say_n(fd, body, n);
	len = snprintf(wanted, sizeof(wanted),
	    "HTTP/1.1 200 OK\r\n" DATE "content-length: %zu\r\n\r\n", n);
	assert_int_equal(hear(fd, (size_t)len + n), (size_t)len + n);
	assert_memory_equal(text, wanted, (size_t)len);
	assert_memory_equal(text + len, body, n);
	free(body);
	(void)close(fd);
}

static void
a_client_that_expects_a_100_gets_it_before_its_body_is_read(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "POST /echo HTTP/1.1\r\n" HOST
		"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	hears(fd, "HTTP/1.1 100 Continue\r\n\r\n");
	say(fd, "ok");
	hears(fd, ECHOED("2", "ok"));
	(void)close(fd);
	one_shot("POST /echo HTTP/1.1\r\n" HOST
		 "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
	    ECHOED("2", "ok"));
}

static void
a_request_refused_at_its_head_gets_no_100_and_its_body_is_not_waited_for(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "POST /deny HTTP/1.1\r\n" HOST
		"Expect: 100-continue\r\nContent-Length: 200\r\n\r\n");
	hears(fd, "HTTP/1.1 401 Unauthorized\r\n" DATE
		  "content-length: 2\r\nconnection: close\r\n\r\nno");
	hears_the_end(fd);
	(void)close(fd);
	assert_int_equal(atomic_load(&requests), 0);
	assert_int_equal(atomic_load(&gone_count), 0);
}

static void
an_answer_survives_what_the_client_still_sends(void **state)
{
	static char junk[300000];
	int fd = client();

	(void)state;
	say(fd, "POST /deny HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n");
	say_n(fd, junk, sizeof(junk));
	hears(fd, "HTTP/1.1 401 Unauthorized\r\n" DATE
		  "content-length: 2\r\nconnection: close\r\n\r\nno");
	hears_the_end(fd);
	(void)close(fd);
}

static void
who_sends_without_end_after_an_answer_is_cut_off(void **state)
{
	static char junk[65536];
	int fd = client();
	size_t sent = 0;
	ssize_t n = 1;

	(void)state;
	say(fd, "POST /deny HTTP/1.1\r\n" HOST "Content-Length: 30000000\r\n\r\n");
	while (n > 0 && sent < 100 << 20) {
		n = send(fd, junk, sizeof(junk), MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
	}
	assert_true(sent < 100 << 20);
	(void)close(fd);
	/* And one that sends nothing more, but stays. */
	fd = client();
	say(fd, "POST /deny HTTP/1.1\r\n" HOST "Content-Length: 30000000\r\n\r\n");
	hears(fd, "HTTP/1.1 401 Unauthorized\r\n" DATE
		  "content-length: 2\r\nconnection: close\r\n\r\nno");
	hears_the_end(fd);
	settle();
	assert_int_equal(connections(), 1);
	advance(3 * SECOND);
	assert_int_equal(connections(), 0);
	(void)close(fd);
}

/* Refusals. */

static void
a_malformed_request_is_answered_counted_and_closed(void **state)
{
	int64_t before = metric_sum(METRIC_HTTP_REFUSED);
	int fd = client();

	(void)state;
	say(fd, "GET /echo HTTP/1.1\r\n\r\n" GET("/echo"));
	hears_refusal(fd, "HTTP/1.1 400 Bad Request\r\n");
	(void)close(fd);
	assert_int_equal(metric_sum(METRIC_HTTP_REFUSED), before + 1);
	assert_int_equal(atomic_load(&requests), 0);
}

static void
a_body_that_is_too_large_is_refused_before_it_is_read(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 33554433\r\n\r\n");
	hears_refusal(fd, "HTTP/1.1 413 Content Too Large\r\n");
	(void)close(fd);
	assert_int_equal(atomic_load(&gone_count), 1);
	assert_int_equal(atomic_load(&requests), 0);
}

static void
no_hundred_continue_invites_a_body_that_is_too_large(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "POST /echo HTTP/1.1\r\n" HOST
		"Expect: 100-continue\r\nContent-Length: 33554433\r\n\r\n");
	hears_refusal(fd, "HTTP/1.1 413 Content Too Large\r\n");
	(void)close(fd);
}

/* The clock stands still: no deadline helps. */
static void
a_chunk_that_is_too_large_is_refused_by_its_size_alone(void **state)
{
	static const char *const sizes[] = { "5\r\n", "5;a=b\r\n", "ffffffff\r\n",
		"2\r\nab\r\n3\r\n", "1000" };

	(void)state;
	limits.body_bytes = 4;
	settle();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd = client();

		say(fd,
		    "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
		say(fd, sizes[i]);
		hears_refusal(fd, "HTTP/1.1 413 Content Too Large\r\n");
		(void)close(fd);
	}
}

/* Bodies that fail in the hands of a user that answers for it. */

static void
hears_user(int fd, const char *status_line)
{
	(void)hear(fd, sizeof(text) - 1);
	assert_memory_equal(text, status_line, strlen(status_line));
	assert_non_null(strstr(text, "x-user: 1\r\n"));
	assert_non_null(strstr(text, "connection: close\r\n"));
	assert_null(strstr(text, "x-request-id"));
	(void)close(fd);
	assert_int_equal(atomic_load(&gone_count), 0);
	assert_int_equal(atomic_load(&requests), 0);
}

#define POSTS(path, fields) "POST " path " HTTP/1.1\r\n" HOST fields "\r\n\r\n"

static void
a_user_answers_for_a_body_that_is_wrong_and_hears_why(void **state)
{
	static const struct {
		const char *sent;
		int status;
		const char *line;
	} rows[] = {
		{ POSTS("/echo", "Content-Length: 33554433"), 413, "HTTP/1.1 413 " },
		{ POSTS("/echo", "Transfer-Encoding: chunked") "2000001\r\n", 413,
		    "HTTP/1.1 413 " },
		{ POSTS("/echo", "Transfer-Encoding: chunked") "3\r\nabcd\r\n", 400,
		    "HTTP/1.1 400 " },
		{ POSTS("/echo", "Transfer-Encoding: chunked") "x", 400,
		    "HTTP/1.1 400 " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t before = metric_sum(METRIC_HTTP_REFUSED);
		int fd = client();

		say(fd, rows[i].sent);
		hears_user(fd, rows[i].line);
		assert_int_equal(failed_status, rows[i].status);
		assert_int_equal(metric_sum(METRIC_HTTP_REFUSED), before + 1);
	}
}

static void
a_user_answers_for_a_body_that_is_late_or_cut_short(void **state)
{
	int fd = client();

	(void)state;
	say(fd, POSTS("/echo", "Content-Length: 50000") "abc");
	settle();
	advance(11 * SECOND);
	hears_user(fd, "HTTP/1.1 408 ");
	assert_int_equal(failed_status, 408);
	fd = client();
	say(fd, POSTS("/echo", "Content-Length: 5") "abc");
	(void)shutdown(fd, SHUT_WR);
	hears_user(fd, "HTTP/1.1 400 ");
	assert_int_equal(failed_status, 400);
}

static void
let_go(void)
{
	exchange_reply(held, 413, NULL, 0, STR_LIT("at last"));
}

/* What the client goes on sending is neither body nor another request, and no deadline
 * of the body's ends the wait. */
static void
a_user_may_answer_later_for_a_body_that_failed(void **state)
{
	int fd = client();

	(void)state;
	say(fd,
	    POSTS("/hold", "Transfer-Encoding: chunked") "ffffff00\r\nabc" GET("/echo"));
	await(&arrived);
	say(fd, GET("/echo"));
	settle();
	advance(60 * SECOND);
	assert_false(held->is_over);
	there(let_go);
	(void)hear(fd, sizeof(text) - 1);
	assert_memory_equal(text, "HTTP/1.1 413 ", 13);
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\nat last");
	(void)close(fd);
	assert_int_equal(atomic_load(&requests), 0);
	assert_int_equal(atomic_load(&gone_count), 0);
}

static void
a_client_may_leave_before_it_hears_why_its_body_failed(void **state)
{
	int fd = client();

	(void)state;
	say(fd, POSTS("/hold", "Content-Length: 33554433"));
	await(&arrived);
	advance(SECOND);
	(void)close(fd);
	await(&left);
	assert_int_equal(atomic_load(&gone_count), 1);
}

static void
a_chunked_body_is_refused_once_it_is_too_large(void **state)
{
	int fd = client();

	(void)state;
	limits.body_bytes = 4;
	settle();
	say(fd, "POST /echo HTTP/1.1\r\n" HOST
		"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
	hears_refusal(fd, "HTTP/1.1 413 Content Too Large\r\n");
	(void)close(fd);
	assert_int_equal(atomic_load(&gone_count), 1);
	one_shot("POST /echo HTTP/1.1\r\n" HOST
		 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
	    ECHOED("4", "abcd"));
}

static void
broken_chunks_are_refused_and_their_user_told(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "POST /echo HTTP/1.1\r\n" HOST
		"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n");
	hears_refusal(fd, "HTTP/1.1 400 Bad Request\r\n");
	(void)close(fd);
	assert_int_equal(atomic_load(&gone_count), 1);
	assert_int_equal(atomic_load(&requests), 0);
}

static void
a_body_that_ends_early_is_refused_and_its_user_told(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabc");
	(void)shutdown(fd, SHUT_WR);
	hears_refusal(fd, "HTTP/1.1 400 Bad Request\r\n");
	(void)close(fd);
	assert_int_equal(atomic_load(&gone_count), 1);
}

static void
a_flood_of_pipelined_requests_is_refused_before_the_first_is_served(void **state)
{
	struct buf flood;
	unsigned i;
	int fd = client();

	(void)state;
	buf_init(&flood, 1 << 20);
	for (i = 0; i < 2000; i++)
		buf_add_z(&flood, GET("/echo"));
	say_n(fd, flood.ptr, flood.len);
	hears_refusal(fd, "HTTP/1.1 400 Bad Request\r\n");
	assert_int_equal(atomic_load(&requests), 0);
	buf_free(&flood);
	(void)close(fd);
}

/* Answers. */

static void
a_head_request_gets_the_length_but_no_body(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "HEAD /none HTTP/1.1\r\n" HOST "\r\n" GET("/none"));
	hears(fd, "HTTP/1.1 404 Not Found\r\n" DATE "content-length: 1\r\n\r\n"
		  "HTTP/1.1 404 Not Found\r\n" DATE "content-length: 1\r\n\r\n?");
	say(fd, "HEAD /stream HTTP/1.1\r\n" HOST "\r\n" GET("/none"));
	hears(fd, "HTTP/1.1 200 OK\r\n" DATE "transfer-encoding: chunked\r\n\r\n"
		  "HTTP/1.1 404 Not Found\r\n" DATE "content-length: 1\r\n\r\n?");
	(void)close(fd);
}

static void
a_204_has_neither_body_nor_length(void **state)
{
	(void)state;
	one_shot(GET("/empty") GET("/echo"),
	    "HTTP/1.1 204 No Content\r\n" DATE "\r\n" ECHOED("0", ""));
}

static void
a_field_that_would_break_the_head_is_left_out(void **state)
{
	(void)state;
	one_shot(GET("/dirty"), "HTTP/1.1 200 OK\r\n" DATE
				"x-good: 1\r\nx-late: 2\r\ncontent-length: 0\r\n\r\n");
}

static void
a_stream_is_chunked_piece_by_piece(void **state)
{
	(void)state;
	one_shot(GET("/stream") GET("/echo"),
	    "HTTP/1.1 200 OK\r\n" DATE "transfer-encoding: chunked\r\n\r\n"
	    "3\r\none\r\n10\r\ntwo, of sixteen.\r\n3\r\nend\r\n0\r\n\r\n" ECHOED(
		"0", ""));
}

static void
http_1_0_is_answered_in_its_own_way(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "GET /none HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	hears(fd, "HTTP/1.1 404 Not Found\r\n" DATE
		  "content-length: 1\r\nconnection: keep-alive\r\n\r\n?");
	say(fd, "GET /none HTTP/1.0\r\n\r\n");
	hears(fd, "HTTP/1.1 404 Not Found\r\n" DATE
		  "content-length: 1\r\nconnection: close\r\n\r\n?");
	hears_the_end(fd);
	(void)close(fd);
	fd = client();
	say(fd, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	hears(fd,
	    "HTTP/1.1 200 OK\r\n" DATE "connection: close\r\n\r\nonetwo, of sixteen.end");
	hears_the_end(fd);
	(void)close(fd);
}

static void
who_asks_for_it_is_closed_after_the_answer(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "GET /echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	hears(fd,
	    "HTTP/1.1 200 OK\r\n" DATE "content-length: 0\r\nconnection: close\r\n\r\n");
	hears_the_end(fd);
	(void)close(fd);
}

static void
a_flushed_head_arrives_before_any_piece(void **state)
{
	int fd = ask_and_hold();

	(void)state;
	there(begin_held);
	there(flush_held);
	hears(fd, "HTTP/1.1 200 OK\r\n" DATE "transfer-encoding: chunked\r\n\r\n");
	there(write_held);
	assert_true(write_said);
	there(end_held);
	hears(fd, "a\r\n0123456789\r\n0\r\n\r\n");
	(void)close(fd);
}

/* What a request costs. */

static void
a_kept_connection_costs_one_recv_and_one_sendmsg_per_request(void **state)
{
	int fd = client();
	unsigned i, before_recvs, before_sends;

	(void)state;
	say(fd, ECHO("5", "hello"));
	hears(fd, ECHOED("5", "hello"));
	before_recvs = atomic_load(&recvs);
	before_sends = atomic_load(&sends);
	for (i = 0; i < 50; i++) {
		say(fd, ECHO("5", "hello"));
		hears(fd, ECHOED("5", "hello"));
	}
	assert_int_equal(atomic_load(&recvs) - before_recvs, 50);
	assert_int_equal(atomic_load(&sends) - before_sends, 50);
	(void)close(fd);
}

static void
a_stream_costs_one_sendmsg_per_piece(void **state)
{
	unsigned before = atomic_load(&sends);

	(void)state;
	one_shot(GET("/stream"),
	    "HTTP/1.1 200 OK\r\n" DATE "transfer-encoding: chunked\r\n\r\n"
	    "3\r\none\r\n10\r\ntwo, of sixteen.\r\n3\r\nend\r\n0\r\n\r\n");
	assert_int_equal(atomic_load(&sends) - before, 3);
}

static void
answers_are_the_same_when_the_socket_takes_little(void **state)
{
	size_t most;

	(void)state;
	for (most = 1; most < 40; most += 7) {
		atomic_store(&send_most, most);
		a_stream_is_chunked_piece_by_piece(state);
		pipelined_requests_are_answered_in_their_order(state);
		a_204_has_neither_body_nor_length(state);
	}
	atomic_store(&send_most, 0);
}

/* Clients that leave. */

static void
a_client_that_leaves_while_it_waits_is_noticed(void **state)
{
	int fd = ask_and_hold();

	(void)state;
	advance(SECOND);
	(void)close(fd);
	await(&left);
	assert_int_equal(atomic_load(&gone_count), 1);
}

static void
a_client_that_resets_is_noticed_at_once(void **state)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	int fd = ask_and_hold();

	(void)state;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)close(fd);
	await(&left);
}

static void
a_client_that_leaves_in_the_middle_of_a_stream_is_noticed(void **state)
{
	int fd = ask_and_hold();

	(void)state;
	there(begin_held);
	there(write_held);
	(void)hear(fd, 20);
	advance(SECOND);
	(void)close(fd);
	await(&left);
}

static void
a_client_that_only_ends_its_sending_is_answered(void **state)
{
	int fd = client();

	(void)state;
	say(fd, GET("/hold"));
	(void)shutdown(fd, SHUT_WR);
	await(&arrived);
	settle();
	advance(SECOND);
	there(reply_held);
	hears(fd, "HTTP/1.1 200 OK\r\n" DATE_LATER
		  "content-length: 4\r\nconnection: close\r\n\r\nheld");
	hears_the_end(fd);
	(void)close(fd);
	assert_int_equal(atomic_load(&gone_count), 0);
}

static void
pipelined_requests_before_a_fin_are_all_answered(void **state)
{
	int fd = client();

	(void)state;
	say(fd, GET("/hold") ECHO("1", "a") ECHO("1", "b"));
	(void)shutdown(fd, SHUT_WR);
	await(&arrived);
	settle();
	there(reply_held);
	hears(fd, HELD ECHOED("1", "a"));
	(void)hear(fd, sizeof(text) - 1);
	assert_non_null(strstr(text, "\r\n\r\nb"));
	(void)close(fd);
}

static void
without_a_half_close_window_a_fin_means_that_the_client_left(void **state)
{
	int fd = client();

	(void)state;
	limits.half_close_us = 0;
	settle();
	say(fd, GET("/hold"));
	(void)shutdown(fd, SHUT_WR);
	await(&left);
	(void)close(fd);
}

static void
who_sent_much_ahead_and_leaves_is_noticed_too(void **state)
{
	static char junk[40000];
	int fd = ask_and_hold();

	(void)state;
	memset(junk, 'x', sizeof(junk));
	say_n(fd, junk, sizeof(junk));
	settle();
	assert_int_equal(atomic_load(&gone_count), 0);
	advance(SECOND);
	(void)close(fd);
	await(&left);
}

static void
a_failed_write_ends_the_exchange_but_not_inside_the_call(void **state)
{
	int fd = ask_and_hold();

	(void)state;
	atomic_store(&send_fails, EPIPE);
	there(begin_held);
	there(write_held);
	await(&left);
	atomic_store(&send_fails, 0);
	(void)close(fd);
}

static void
a_cut_stream_is_seen_as_broken(void **state)
{
	int fd = ask_and_hold();

	(void)state;
	there(begin_held);
	there(write_held);
	there(cut_held);
	hears_a_reset(fd);
	(void)close(fd);
	assert_int_equal(atomic_load(&gone_count), 0);
}

/* Slow readers. */

static size_t written;

/* Writes until exchange_write() says "full". */
static void
fill_held(void)
{
	static const char piece[16384];

	do
		written += sizeof(piece);
	while (exchange_write(held, lz_strn(piece, sizeof(piece))) && written < 64 << 20);
	assert_true(exchange_unsent(held) > limits.out_high_bytes);
}

static void
a_slow_reader_holds_the_writer_back_until_it_reads(void **state)
{
	int fd = ask_and_hold();
	size_t chunks, wanted;

	(void)state;
	written = 0;
	there(begin_held);
	there(fill_held);
	assert_true(written < 32 << 20);
	chunks = written / 16384;
	wanted = strlen("HTTP/1.1 200 OK\r\n" DATE "transfer-encoding: chunked\r\n\r\n") +
		 chunks * (16384 + 4 + 2 + 2);
	while (wanted > 0) {
		size_t n =
		    hear(fd, wanted < sizeof(text) - 1 ? wanted : sizeof(text) - 1);

		assert_true(n > 0);
		wanted -= n;
	}
	await(&room_again);
	there(end_held);
	hears(fd, "0\r\n\r\n");
	(void)close(fd);
}

static void
a_client_that_takes_nothing_for_too_long_is_dropped(void **state)
{
	int fd = ask_and_hold();

	(void)state;
	written = 0;
	there(begin_held);
	there(fill_held);
	advance(29 * SECOND);
	assert_int_equal(atomic_load(&gone_count), 0);
	advance(2 * SECOND);
	await(&left);
	hears_a_reset(fd);
	(void)close(fd);
}

static void
an_answer_may_take_for_ever_to_be_made(void **state)
{
	int fd = ask_and_hold();

	(void)state;
	advance(3600 * (int64_t)SECOND);
	assert_int_equal(atomic_load(&gone_count), 0);
	there(reply_held);
	assert_true(hear(fd, 20) == 20);
	(void)close(fd);
}

/* Slow senders. */

static void
a_head_that_does_not_come_in_time_is_refused(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "GET /echo HTTP/1.1\r\nHos");
	settle();
	advance(9 * SECOND);
	say(fd, "t: t\r\nX-Slow");
	settle();
	advance(2 * SECOND);
	hears_refusal(fd, "HTTP/1.1 408 Request Timeout\r\n");
	(void)close(fd);
}

static void
an_idle_connection_is_closed_without_a_word(void **state)
{
	int fd = client(), fresh = client();

	(void)state;
	say(fd, GET("/echo"));
	hears(fd, ECHOED("0", ""));
	advance(74 * SECOND);
	assert_int_equal(connections(), 2);
	advance(2 * SECOND);
	hears_the_end(fd);
	hears_the_end(fresh);
	(void)close(fd);
	(void)close(fresh);
}

static void
a_body_that_stops_is_refused_and_its_user_told(void **state)
{
	int fd = client();

	(void)state;
	limits.body_min_rate = 0;
	settle();
	say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 50000\r\n\r\nabc");
	settle();
	advance(9 * SECOND);
	say(fd, "d");
	settle();
	advance(9 * SECOND);
	assert_int_equal(atomic_load(&gone_count), 0);
	advance(2 * SECOND);
	hears_refusal(fd, "HTTP/1.1 408 Request Timeout\r\n");
	assert_int_equal(atomic_load(&gone_count), 1);
	(void)close(fd);
}

static void
a_body_that_trickles_is_refused(void **state)
{
	static char some[5000];
	int fd = client(), i;

	(void)state;
	say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5000\r\n\r\n");
	say_n(fd, some, 2048);
	settle();
	for (i = 0; i < 6; i++) {
		say(fd, "x");
		settle();
		advance(SECOND);
	}
	assert_int_equal(atomic_load(&gone_count), 0);
	say(fd, "x");
	settle();
	advance(2 * SECOND);
	hears_refusal(fd, "HTTP/1.1 408 Request Timeout\r\n");
	(void)close(fd);
}

/* Connections. */

static void
without_file_descriptors_accepting_pauses_and_goes_on(void **state)
{
	int64_t before = metric_sum(METRIC_ACCEPT_PAUSED);
	int fd;

	(void)state;
	atomic_store(&accept_fails, EMFILE);
	fd = client();
	while (metric_sum(METRIC_ACCEPT_PAUSED) == before)
		settle();
	assert_int_equal(connections(), 0);
	say(fd, GET("/echo"));
	advance(SECOND);
	hears(fd, ECHOED_LATER("0", ""));
	assert_int_equal(metric_sum(METRIC_ACCEPT_PAUSED), before + 1);
	(void)close(fd);
}

static void
a_connection_that_fails_while_it_is_accepted_harms_no_other(void **state)
{
	int64_t before = metric_sum(METRIC_ACCEPT_PAUSED);

	(void)state;
	atomic_store(&accept_fails, ECONNABORTED);
	one_shot(GET("/echo"), ECHOED("0", ""));
	assert_int_equal(metric_sum(METRIC_ACCEPT_PAUSED), before);
}

static void
a_full_server_closes_its_oldest_idle_connection_for_a_new_one(void **state)
{
	int a, b, c;

	(void)state;
	limits.connections = 2;
	settle();
	a = client();
	say(a, GET("/echo"));
	hears(a, ECHOED("0", ""));
	b = client();
	say(b, GET("/echo"));
	hears(b, ECHOED("0", ""));
	say(a, GET("/echo"));
	hears(a, ECHOED("0", ""));
	c = client();
	say(c, GET("/echo"));
	hears(c, ECHOED("0", ""));
	hears_the_end(b);
	say(a, GET("/echo"));
	hears(a, ECHOED("0", ""));
	(void)close(a);
	(void)close(b);
	(void)close(c);
}

static sem_t is_held, may_go_on;

static void
hold_the_loop(void *arg)
{
	(void)arg;
	(void)sem_post(&is_held);
	(void)sem_wait(&may_go_on);
}

/* The loop finds a new client and, behind it, the request of its oldest connection. */
static void
a_connection_whose_request_is_there_is_not_idle(void **state)
{
	int asking, idle, newest;
	struct loop_task task;

	(void)state;
	limits.connections = 2;
	settle();
	asking = client();
	say(asking, GET("/echo"));
	hears(asking, ECHOED("0", ""));
	idle = client();
	say(idle, GET("/echo"));
	hears(idle, ECHOED("0", ""));
	(void)sem_init(&is_held, 0, 0);
	(void)sem_init(&may_go_on, 0, 0);
	loop_post(loop, &task, hold_the_loop, NULL);
	(void)sem_wait(&is_held);
	newest = client();
	say(asking, GET("/echo"));
	(void)sem_post(&may_go_on);
	hears(asking, ECHOED("0", ""));
	hears_the_end(idle);
	say(newest, GET("/echo"));
	hears(newest, ECHOED("0", ""));
	(void)close(asking);
	(void)close(idle);
	(void)close(newest);
}

static void
a_full_server_with_nothing_idle_lets_new_clients_wait(void **state)
{
	int a, b;

	(void)state;
	limits.connections = 1;
	settle();
	a = ask_and_hold();
	b = client();
	say(b, GET("/echo"));
	settle();
	assert_int_equal(connections(), 1);
	assert_int_equal(atomic_load(&requests), 1);
	there(reply_held);
	hears(a, HELD);
	(void)close(a);
	hears(b, ECHOED("0", ""));
	(void)close(b);
}

static void
one_address_cannot_take_more_than_its_share(void **state)
{
	int a, b, c;

	(void)state;
	limits.per_address = 2;
	settle();
	a = client();
	b = client();
	say(a, GET("/echo"));
	hears(a, ECHOED("0", ""));
	say(b, GET("/echo"));
	hears(b, ECHOED("0", ""));
	c = client();
	hears_the_end(c);
	(void)close(c);
	(void)close(b);
	while (connections() > 1)
		settle();
	one_shot(GET("/echo"), ECHOED("0", ""));
	(void)close(a);
}

static sem_t drained;

static void
on_all_gone(void *arg)
{
	(void)arg;
	(void)sem_post(&drained);
}

static void
drain(void)
{
	server_drain(server, on_all_gone, NULL);
}

static void
draining_answers_what_is_going_on_and_closes_the_rest(void **state)
{
	int idle = client(), busy, partial = client(), refused;

	(void)state;
	(void)sem_init(&drained, 0, 0);
	say(idle, GET("/echo"));
	hears(idle, ECHOED("0", ""));
	say(partial, "GET /echo HTTP/1.1\r\n");
	busy = ask_and_hold();
	settle();
	there(drain);
	hears_the_end(idle);
	say(partial, HOST "\r\n");
	hears(partial,
	    "HTTP/1.1 200 OK\r\n" DATE "content-length: 0\r\nconnection: close\r\n\r\n");
	hears_the_end(partial);
	assert_int_equal(sem_trywait(&drained), -1);
	there(reply_held);
	hears(busy, "HTTP/1.1 200 OK\r\n" DATE
		    "content-length: 4\r\nconnection: close\r\n\r\nheld");
	hears_the_end(busy);
	await(&drained);
	refused = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(
	    connect(refused,
		(struct sockaddr *)&(struct sockaddr_in){ .sin_family = AF_INET,
		    .sin_port = htons((uint16_t)port),
		    .sin_addr = { htonl(INADDR_LOOPBACK) } },
		sizeof(struct sockaddr_in)),
	    -1);
	(void)close(refused);
	(void)close(idle);
	(void)close(partial);
	(void)close(busy);
}

static void
draining_an_empty_server_is_over_at_once(void **state)
{
	(void)state;
	(void)sem_init(&drained, 0, 0);
	there(drain);
	await(&drained);
}

static void
freeing_the_server_tells_the_users_of_open_exchanges(void **state)
{
	int fd = ask_and_hold();

	(void)state;
	there(free_server);
	await(&left);
	hears_a_reset(fd);
	(void)close(fd);
}

/* Out of memory. */

static atomic_int allocations_left = -1;

static int
fail_once(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return atomic_load(&allocations_left) >= 0 &&
	       atomic_fetch_sub(&allocations_left, 1) == 0;
}

static void
any_allocation_may_fail_and_the_server_goes_on(void **state)
{
	static const char request[] =
	    "POST /echo HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET("/stream");
	int k, fd;

	(void)state;
	for (k = 0; k < 16; k++) {
		atomic_store(&allocations_left, k);
		fd = client();
		say_n(fd, request, 30);
		settle();
		(void)send(fd, request + 30, sizeof(request) - 31, MSG_NOSIGNAL);
		(void)shutdown(fd, SHUT_WR);
		/* Accepting may have paused. */
		advance(SECOND);
		(void)hear(fd, sizeof(text) - 1);
		atomic_store(&allocations_left, -1);
		(void)close(fd);
	}
	fd = client();
	say(fd, GET("/none"));
	assert_true(hear(fd, 20) == 20);
	assert_memory_equal(text, "HTTP/1.1 404", 12);
	(void)close(fd);
}

#define TEST(f)           cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TEST_ANSWERING(f) cmocka_unit_test_setup_teardown(f, set_up_answering, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(requests_on_one_connection_are_answered_one_after_the_other),
		TEST(a_request_in_single_bytes_is_read_as_a_whole_one),
		TEST(pipelined_requests_are_answered_in_their_order),
		TEST(what_comes_while_a_request_is_served_waits),
		TEST(a_large_body_arrives_whole),
		TEST(a_client_that_expects_a_100_gets_it_before_its_body_is_read),
		TEST(
		    a_request_refused_at_its_head_gets_no_100_and_its_body_is_not_waited_for),
		TEST(an_answer_survives_what_the_client_still_sends),
		TEST(who_sends_without_end_after_an_answer_is_cut_off),
		TEST(a_malformed_request_is_answered_counted_and_closed),
		TEST(a_body_that_is_too_large_is_refused_before_it_is_read),
		TEST(a_chunked_body_is_refused_once_it_is_too_large),
		TEST(no_hundred_continue_invites_a_body_that_is_too_large),
		TEST(a_chunk_that_is_too_large_is_refused_by_its_size_alone),
		TEST_ANSWERING(a_user_answers_for_a_body_that_is_wrong_and_hears_why),
		TEST_ANSWERING(a_user_answers_for_a_body_that_is_late_or_cut_short),
		TEST_ANSWERING(a_user_may_answer_later_for_a_body_that_failed),
		TEST_ANSWERING(a_client_may_leave_before_it_hears_why_its_body_failed),
		TEST(broken_chunks_are_refused_and_their_user_told),
		TEST(a_body_that_ends_early_is_refused_and_its_user_told),
		TEST(a_flood_of_pipelined_requests_is_refused_before_the_first_is_served),
		TEST(a_head_request_gets_the_length_but_no_body),
		TEST(a_204_has_neither_body_nor_length),
		TEST(a_field_that_would_break_the_head_is_left_out),
		TEST(a_stream_is_chunked_piece_by_piece),
		TEST(http_1_0_is_answered_in_its_own_way),
		TEST(who_asks_for_it_is_closed_after_the_answer),
		TEST(a_flushed_head_arrives_before_any_piece),
		TEST(a_kept_connection_costs_one_recv_and_one_sendmsg_per_request),
		TEST(a_stream_costs_one_sendmsg_per_piece),
		TEST(answers_are_the_same_when_the_socket_takes_little),
		TEST(a_client_that_leaves_while_it_waits_is_noticed),
		TEST(a_client_that_resets_is_noticed_at_once),
		TEST(a_client_that_leaves_in_the_middle_of_a_stream_is_noticed),
		TEST(a_client_that_only_ends_its_sending_is_answered),
		TEST(pipelined_requests_before_a_fin_are_all_answered),
		TEST(without_a_half_close_window_a_fin_means_that_the_client_left),
		TEST(who_sent_much_ahead_and_leaves_is_noticed_too),
		TEST(a_failed_write_ends_the_exchange_but_not_inside_the_call),
		TEST(a_cut_stream_is_seen_as_broken),
		TEST(a_slow_reader_holds_the_writer_back_until_it_reads),
		TEST(a_client_that_takes_nothing_for_too_long_is_dropped),
		TEST(an_answer_may_take_for_ever_to_be_made),
		TEST(a_head_that_does_not_come_in_time_is_refused),
		TEST(an_idle_connection_is_closed_without_a_word),
		TEST(a_body_that_stops_is_refused_and_its_user_told),
		TEST(a_body_that_trickles_is_refused),
		TEST(without_file_descriptors_accepting_pauses_and_goes_on),
		TEST(a_connection_that_fails_while_it_is_accepted_harms_no_other),
		TEST(a_full_server_closes_its_oldest_idle_connection_for_a_new_one),
		TEST(a_connection_whose_request_is_there_is_not_idle),
		TEST(a_full_server_with_nothing_idle_lets_new_clients_wait),
		TEST(one_address_cannot_take_more_than_its_share),
		TEST(draining_answers_what_is_going_on_and_closes_the_rest),
		TEST(draining_an_empty_server_is_over_at_once),
		TEST(freeing_the_server_tells_the_users_of_open_exchanges),
		TEST(any_allocation_may_fail_and_the_server_goes_on),
	};

	loop_start();
	metric_thread_start();
	real = io;
	io.recv = counted_recv;
	io.sendmsg = counted_sendmsg;
	io.accept = failing_accept;
	mem_set_fault(fail_once, NULL);
	clock_set_source(read_test_time);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
