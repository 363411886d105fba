/* upstream.h - calls to providers, behind one narrow door: send, cancel, pause, resume.
 *
 * The engine is libcurl multi on the worker's loop. Rules it keeps (core/net/README.md
 * has the measurements): a request is written to the wire at most once (libcurl's silent
 * re-send is switched off), no redirects, no proxies from the environment, no Expect, TLS
 * verified, own timers, at most 256 transfers per shard. Callbacks never run inside
 * upstream_send(), _cancel(), _pause() or _resume(). All [worker].
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_UPSTREAM_H
#define NET_UPSTREAM_H

#include "base/str.h"
#include "net/loop.h"

enum {
	UPSTREAM_PARTS = 10,
	UPSTREAM_HEAD_BYTES = 65536, /* of an answer's head */
	UPSTREAM_FIELDS = 64         /* of an answer, shown to the caller */
};

struct upstream;
struct upstream_call;

struct upstream_options {
	const char *ca_file;   /* NULL: the system's; borrowed until upstream_free() */
	unsigned idle_ms;      /* an idle connection is closed after; 0: 60,000 */
	unsigned shard_active; /* transfers per shard; 0: 256 */
	size_t max_idle;       /* idle connections kept per shard; 0: 512 */
};

struct upstream_request {
	const char *method; /* static; GET and HEAD have no body */
	lz_str url;         /* http:// or https://; copied */
	/* Copied; no control characters inside, and none of the fields that frame the
	 * message (content-length, transfer-encoding, connection, accept-encoding ...).
	 * Host, Accept and User-Agent are the gateway's own unless they are here. */
	const lz_header *headers;
	size_t header_count;
	/* The body, concatenated; borrowed until done() or upstream_cancel(). */
	lz_str part[UPSTREAM_PARTS];
	size_t part_count;
	bool wants_http2;
	const char *proxy;           /* NULL: none; borrowed as the parts */
	unsigned connect_timeout_ms; /* name look-up, TCP and TLS; 0: 10,000 */
	/* From the request's beginning, or its latest piece if the body is large, to the
	 * end of the answer's head; 0: none. */
	unsigned first_byte_timeout_ms;
	/* Longest silence in the answer's body, see upstream_alive(); 0: none. Not
	 * counted while paused. */
	unsigned idle_timeout_ms;
	unsigned total_timeout_ms; /* 0: none */
	size_t max_answer_bytes;   /* of the body; 0: no limit, a stream, for which little
				      memory is kept */
};

enum upstream_end {
	UPSTREAM_DONE,    /* the transport ended properly */
	UPSTREAM_NO_NAME, /* DNS */
	UPSTREAM_REFUSED, /* no connection */
	UPSTREAM_TLS,     /* certificate, handshake */
	UPSTREAM_STALE,   /* a kept connection closed under the request, before a line of
			     an answer */
	UPSTREAM_RESET,   /* the connection broke, before the answer or inside it */
	UPSTREAM_CONNECT_TIMEOUT,
	UPSTREAM_FIRST_BYTE_TIMEOUT,
	UPSTREAM_IDLE_TIMEOUT,
	UPSTREAM_TOTAL_TIMEOUT,
	UPSTREAM_BAD, /* not HTTP, endless head, two lengths, encoding not asked for */
	UPSTREAM_TOO_LARGE,
	UPSTREAM_NOMEM
};
/* "connection_refused", for traces. [any] */
const char *upstream_end_name(enum upstream_end end);

struct upstream_result {
	enum upstream_end end;
	/* A byte of the request may have reached the provider. false is certain. */
	bool was_sent;
	int status; /* 0: no head arrived */
	/* From upstream_send(); -1: not reached. */
	int64_t connect_us, first_byte_us, total_us;
	char detail[120]; /* for logs: no secrets; empty if done */
};

struct upstream_ops {
	/* The answer's head; 1xx are not shown. Names in lower case; views live during
	 * the call. */
	void (*head)(void *arg, int status, const lz_header *h, size_t n);
	/* All body bytes of one readable event, at least one; they live during the call.
	 */
	void (*data)(void *arg, lz_str bytes);
	/* The end, exactly once, unless cancelled. The call is gone when it returns.
	 * While paused only a failure ends a call that has bytes left. */
	void (*done)(void *arg, const struct upstream_result *r);
};

/* All but new and free may be called from any callback, for any call. */

struct upstream *upstream_new(
    struct loop *l, const struct upstream_options *o, struct err *e);
/* Cancels what is left. Before loop_free(), and not from a callback. */
void upstream_free(struct upstream *u);
/* Starts a call: the connection is looked for and, when one is idle, the request written,
 * before the loop sleeps. NULL with a sentence: out of memory, or a method, URL, header
 * or body that cannot be sent. */
struct upstream_call *upstream_send(struct upstream *u, const struct upstream_request *q,
    const struct upstream_ops *ops, void *arg, struct err *e);
void upstream_cancel(struct upstream_call *c); /* no callback follows; NULL is fine */
/* No more data() until resumed; TCP back-pressure does the rest. */
void upstream_pause(struct upstream_call *c);
void upstream_resume(struct upstream_call *c);
/* The answer moves: restarts the idle clock. (Comments of an event stream do not count,
 * so data() alone does not.) */
void upstream_alive(struct upstream_call *c);
/* Once per process, before threads. [start] */
enum status upstream_start(struct err *e) MUST_CHECK;
unsigned upstream_active(const struct upstream *u);

#endif
