/* suite.h - the contract of net/upstream.h as a suite that any engine can be put into.
 *
 * engine.c lists the engines; every program of this folder runs its tests for each of
 * them. Nothing but engine.c and test_libcurl.c knows what an engine is made of.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef UPSTREAM_SUITE_H
#define UPSTREAM_SUITE_H

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
#include "net/upstream.h"

enum {
	REQUEST_BYTES = 16 << 20,
	WATCHDOG_US = 60 * 1000 * 1000,
	LINES_MAX = 8192,
	INTERIM_HEADS_MOST = 8 /* of an answer, before its real head */
};

/* engine.c */

enum {
	CAN_TLS = 1,
	CAN_HTTP2 = 2,
	CAN_PROXY = 4
};

struct engine {
	const char *name;
	unsigned can;
	struct upstream *(*open)(
	    struct loop *l, const struct upstream_options *o, struct err *e);
	/* Fails the test when the engine's books do not balance. No call is under way. */
	void (*balance)(const struct upstream *u);
};
extern const struct engine *engine; /* the one under test */
#define need(what)                                                                       \
	do {                                                                             \
		if ((engine->can & (what)) != (what))                                    \
			skip();                                                          \
	} while (0)
int run_suite(const char *name, const struct CMUnitTest *tests, size_t n);

/* provider.c: a thread per connection; each runs the script. */

struct provider;
struct tls;

struct line {
	struct provider *p;
	pthread_t thread;
	int fd;
	void *tls;       /* NULL: plain */
	unsigned nth;    /* from 1 */
	struct buf in;   /* what was read and not used */
	struct buf head; /* of the last request */
	struct buf body;
};

struct provider {
	int fd;
	uint16_t port;
	pthread_t thread;
	struct tls *tls; /* NULL: plain */
	/* The test may set these at any time, and lines read them: what is set before a
	 * request is sent holds when it is heard. */
	void (*_Atomic script)(struct line *l);
	const char *_Atomic text; /* for scripts; what it points to lies still */
	atomic_size_t number;
	atomic_uint mode;
	/* open: lines whose script still runs. requests: that began to arrive. */
	atomic_uint lines, open, requests, gate;
	atomic_bool is_over;
	struct line line[LINES_MAX];
};

struct provider *provider_start(void (*script)(struct line *l), struct tls *tls);
/* Cuts what is open and waits for every thread. */
void provider_stop(struct provider *p);
/* Waits until every script has ended: the other side closed all connections. */
void provider_await_quiet(struct provider *p);
int listen_somewhere(uint16_t *port, int backlog);
int dial(uint16_t port, int flags);
void nap_ms(unsigned ms);

/* For scripts. */
bool line_more(struct line *l);
/* Waits for a request to begin and counts it. */
bool hear_something(struct line *l);
/* One whole request into l->head and l->body. */
bool hear(struct line *l);
size_t announced_length(const char *head);
void say_n(struct line *l, const char *p, size_t n);
void say(struct line *l, const char *text);
/* The connection will break with a reset instead of a close. */
void slam(struct line *l);
void wait_for_close(struct line *l);

extern const char ok_text[];      /* 200, "ok" */
void answer_text(struct line *l); /* every request with p->text */
void answer_text_and_close(struct line *l);
void answer_echo(struct line *l);      /* with the request's body */
void answer_head_back(struct line *l); /* with the request's head */
void never_answer(struct line *l);

void drip(struct line *l); /* ten bytes, one every 40 ms */

/* A listener that nobody accepts on, and whose queue is full: connecting to it hangs. */
struct full_port {
	int listener, fill[16];
	unsigned filled;
	uint16_t port;
};
void full_port_open(struct full_port *f);
void full_port_close(struct full_port *f);

/* names.c: "nobody.test" has no address, "two.test" a dead one first; all others are
 * here. Looking up takes so long: */
void names_slow(unsigned ms);

/* provider_tls.c: TLS for a provider, by OpenSSL, with a certificate of its own. */

/* For 127.0.0.1 and one.test; offers "h2" alone if is_http2. */
struct tls *tls_new(bool is_http2);
void tls_free(struct tls *t);
const char *tls_ca(const struct tls *t); /* a file, for upstream_options.ca_file */
/* Whoever trusts tls_ca() trusts those in the file, too. */
void tls_trust_more(struct tls *t, const char *file);
const char *tls_key(const struct tls *t);
void *tls_accept(struct tls *t, int fd); /* NULL: the handshake failed */
ssize_t tls_recv(void *tls, void *p, size_t n);
ssize_t tls_send(void *tls, const void *p, size_t n);
/* For scripts: says that no more will come, as a TLS end should. */
void say_goodbye(struct line *l);
void tls_close(void *tls); /* NULL is fine */

/* provider_h2.c: frames of HTTP/2, for scripts. */

enum h2_type {
	H2_DATA,
	H2_HEADERS,
	H2_PRIORITY,
	H2_RST_STREAM,
	H2_SETTINGS,
	H2_PUSH_PROMISE,
	H2_PING,
	H2_GOAWAY,
	H2_WINDOW_UPDATE,
	H2_CONTINUATION
};

enum { /* flags, and codes of errors */
	H2_ACK = 1,
	H2_END_STREAM = 1,
	H2_END_HEADERS = 4,
	H2_NO_ERROR = 0,
	H2_INTERNAL_ERROR = 2,
	H2_REFUSED_STREAM = 7,
	H2_CANCEL = 8,
	H2_ENHANCE_YOUR_CALM = 11,
	H2_HTTP_1_1_REQUIRED = 13
};

struct h2_frame {
	enum h2_type type;
	unsigned flags;
	uint32_t stream;
	size_t len; /* of l->body */
};

/* Hears the preface, says the settings; max_streams: 0: none said. */
bool h2_begin(struct line *l, unsigned max_streams);
/* The next frame, its payload in l->body. Requests are counted, settings, pings and data
 * are acknowledged. */
bool h2_hear(struct line *l, struct h2_frame *f);
/* Up to the end of any request. */
bool h2_hear_request(struct line *l, uint32_t *stream);
void h2_say(struct line *l, enum h2_type type, unsigned flags, uint32_t stream,
    const void *p, size_t n);
/* 200, and fields as "name\0value\0", ended by an empty name. */
void h2_head(struct line *l, uint32_t stream, unsigned flags, const char *fields);
void h2_data(struct line *l, uint32_t stream, unsigned flags, const char *text);
void h2_ok(struct line *l, uint32_t stream); /* 200, "ok" */
void h2_reset(struct line *l, uint32_t stream, unsigned code);
void h2_goaway(struct line *l, uint32_t last, unsigned code);

/* bench.c: the gateway's side. */

struct bench {
	struct loop *loop;
	struct upstream *u;
	struct provider *p;
	struct loop_task task;
	struct loop_timer watchdog, timer;
	unsigned left;  /* calls until the loop stops */
	unsigned calls; /* that were sent: no more requests may arrive */
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

/* For calls whose arg is a struct got. */
extern const struct upstream_ops ops;
void on_head(void *arg, int status, const lz_header *h, size_t n);
void on_done(void *arg, const struct upstream_result *r);

void bench_open(
    struct bench *b, void (*script)(struct line *l), const struct upstream_options *o);
/* The provider speaks TLS. */
void bench_open_tls(struct bench *b, void (*script)(struct line *l),
    const struct upstream_options *o, struct tls *tls);
void bench_close(struct bench *b);
/* Runs until `calls` more of them are over. */
void bench_run(struct bench *b, unsigned calls);
void bench_rest(struct bench *b, unsigned ms);
/* Turns the loop until a script has moved it up to there. */
void bench_await(struct bench *b, atomic_uint *what, unsigned value);
void one_less(struct bench *b);

lz_str url_of(const struct bench *b, char out[64]);
struct upstream_request post(const struct bench *b, char url[64], const char *body);
void got_init(struct got *g, struct bench *b);
void got_free(struct got *g);
void send_call(struct got *g, const struct upstream_request *q);
/* One call from beginning to end on a new `g`. */
void call(struct bench *b, struct got *g, const struct upstream_request *q);
void call_post(struct bench *b, struct got *g, const char *body);
void cancel(struct got *g);
void do_nothing(void *arg);
const char *header_of(struct got *g, const char *name);

/* transfers.c: 5,000 calls of `q`, 64 at a time, each with a body of its own; fails
 * unless each gets just that body back. */
void transfer_5000(struct bench *b, const struct upstream_request *q);

#define assert_body(g, text)                                                             \
	do {                                                                             \
		assert_int_equal((g)->body.len, strlen(text));                           \
		assert_memory_equal((g)->body.ptr, text, strlen(text));                  \
	} while (0)

#define assert_end(g, expected)                                                          \
	assert_string_equal(upstream_end_name((g)->r.end), upstream_end_name(expected))

#endif
