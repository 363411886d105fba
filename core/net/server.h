/* server.h - the HTTP/1.1 server on a loop: connections in, exchanges up, answers out.
 *
 * One request at a time per connection; pipelined bytes wait. It owns limits and
 * deadlines of the wire (head, body rate, idle, write stall), back-pressure towards a
 * slow reader, and it notices at once when a client leaves. It knows nothing of keys or
 * JSON. All functions [worker], that is on the thread of the loop, unless said.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include "base/buf.h"
#include "net/addr.h"
#include "net/http1.h"
#include "net/loop.h"

/* Of one server, that is of one worker. */
struct server_limits {
	size_t head_bytes;     /* 16 KiB */
	size_t body_bytes;     /* 32 MiB */
	size_t out_high_bytes; /* 256 KiB: exchange_write() says "full" above it */
	size_t out_low_bytes;  /* 64 KiB: drained() is called below it */
	unsigned connections;  /* 10,000; above it the oldest idle one makes room */
	/* Connections from one address, to this server and those it shares the count
	 * with; 0: no limit. */
	unsigned per_address;
	int64_t head_timeout_us;  /* first byte of a head to its end, 10 s, absolute */
	int64_t body_timeout_us;  /* longest silence between body bytes, 10 s */
	size_t body_min_rate;     /* bytes per second after a grace of 5 s, 1,024 */
	int64_t idle_timeout_us;  /* keep-alive, 75 s */
	int64_t write_timeout_us; /* client takes nothing, 30 s */
	/* A FIN this soon behind a request only ends the sending, 50 ms. Later, or with
	 * 0, it means that the client has left. */
	int64_t half_close_us;
};
void server_limits_default(struct server_limits *l);

/* One request and its answer. It lives until gone(), or to the end of the turn in which
 * it is over. */
struct exchange {
	struct http_head head;
	struct buf body; /* complete when request() runs; may be moved away by its user */
	struct net_addr peer;
	struct moment began; /* first byte of the head */
	void *user;          /* the user's own */
	bool is_over; /* answered whole, cut or gone: nothing may be written any more */
};

/* What the server calls. `arg` is what server_new() got. */
struct server_ops {
	/* The head is here, a body is announced. true: read it, then request(). false:
	 * answered already with exchange_reply(); the unread body ends the connection.
	 * NULL: true. */
	bool (*head)(void *arg, struct exchange *x);
	/* Everything is here. Answer now or later. */
	void (*request)(void *arg, struct exchange *x);
	/* The client left or took nothing for too long, after head() or request() and
	 * before the answer was whole. x dies when this returns, and nothing can be
	 * written any more. Never called inside exchange_*(), nor for what is_over
	 * already. */
	void (*gone)(void *arg, struct exchange *x);
	/* Unsent bytes fell below out_low_bytes after exchange_write() said full. */
	void (*drained)(void *arg, struct exchange *x);
	/* The wire was wrong before there was an exchange to speak of: fill in the body
	 * of the error answer (content type application/json). NULL: empty body. */
	void (*refuse)(void *arg, const struct http_refusal *why, struct buf *body,
	    struct buf *extra_headers);
	/* After head(): the body will never be whole. It was malformed, too large, too
	 * slow or cut short; `why` has the status that says so. Answer now or later, as
	 * after request(), or go on with an answer that is on its way; the connection
	 * ends with it. x->body is empty. NULL: gone(), and the server answers as it does
	 * before head(). */
	void (*body_failed)(
	    void *arg, struct exchange *x, const struct http_refusal *why);
};

struct server;
/* limits: borrowed until server_free(); may be changed between turns. */
struct server *server_new(struct loop *l, const struct server_limits *limits,
    const struct server_ops *ops, void *arg);
/* Takes a listening, non-blocking socket (closed at the end). May be called for several
 * sockets. */
enum status server_listen(struct server *s, int fd, struct err *e) MUST_CHECK;
/* per_address counts together with another server's, which may be on another thread.
 * Before either listens. false: out of memory. */
bool server_share(struct server *s, struct server *with) MUST_CHECK;
/* Stops accepting and keep-alive; `done` runs when the last connection has gone. */
void server_drain(struct server *s, loop_fn *done, void *arg);
void server_free(struct server *s); /* cuts what is left (gone() is called) */
unsigned server_connections(const struct server *s);

/* A whole answer. Fields that the server adds itself: Date, Content-Length, Connection.
 * body is copied or written before it returns. status 204 and HEAD answers carry no body.
 * A field that could break the head (CR, LF, other control bytes) is left out. Ends the
 * exchange. */
void exchange_reply(
    struct exchange *x, int status, const struct http_field *f, size_t n, lz_str body);
/* A streamed answer: head now, then pieces (chunked; for HTTP/1.0 delimited by close),
 * then end or cut. Nothing is written to the socket before the first exchange_write() or
 * exchange_flush(), so that head and first bytes share a packet. */
void exchange_begin(struct exchange *x, int status, const struct http_field *f, size_t n);
/* true: keep going; false: more than out_high_bytes wait, stop until drained(). The bytes
 * are copied or sent. One call is one chunk and, when the socket takes it, one system
 * call. */
bool exchange_write(struct exchange *x, lz_str bytes);
/* Sends the head alone, when the first bytes are far off. */
void exchange_flush(struct exchange *x);
void exchange_end(struct exchange *x); /* the proper end */
/* The last piece and the proper end in one system call. */
void exchange_finish(struct exchange *x, lz_str last);
void exchange_cut(struct exchange
	*x); /* ends the connection at once, improperly (RST): a stream that was cut */
size_t exchange_unsent(const struct exchange *x);
/* Forgets the body's memory: once the provider has it, or nobody will ask. */
void exchange_drop_body(struct exchange *x);

#endif
