/* upstream_curl.h - what the files of the libcurl engine share; nobody else includes it.
 *
 *   upstream_curl.c	the door of upstream.h: a call's life, and its clocks
 *   upstream_send.c	a request becomes settings of an easy handle
 *   upstream_head.c	and its head a text, or a list
 *   upstream_answer.c	libcurl's callbacks: head, body, and what its error codes mean
 *   upstream_tell.c	users are told what came, and the end of a turn
 *   upstream_shard.c	multi handles on the loop, and where a call goes
 *   upstream_sock.c	their sockets
 *
 * The rule that keeps them simple: nothing of the user's ever runs inside libcurl.
 * libcurl's callbacks only note and gather; upstream_tell() tells the user afterwards. So
 * a user may cancel, pause and send from any callback, and no handle is ever removed or
 * resumed from inside libcurl, where that is forbidden.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_UPSTREAM_CURL_H
#define NET_UPSTREAM_CURL_H

#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/buf.h"
#include "net/upstream.h"

enum {
	SHARDS_MAX = 64,     /* above 64 * shard_active calls the shards grow instead */
	ORIGIN_BUCKETS = 64, /* powers of two */
	PORT_BUCKETS = 256,
	GATHER_BYTES =
	    256 * 1024, /* of one call in one turn; above it libcurl has to wait */
	HELD_BYTES = 4 * 1024 * 1024, /* of a call that cannot make libcurl wait */
	SPARE_BUFFERS = 8,            /* gathering buffers kept for the next turn */
	SPARE_BYTES = 64 * 1024,      /* and the largest that is kept */
	INTERIM_HEADS = 8,            /* 1xx answers before the real one */
	URL_BYTES = 8192,
	TRIES_MAX = 4,          /* sockets of one connecting call that are remembered */
	JOIN_BYTES = 16 * 1024, /* a body in several parts up to here leaves with the
				   head, in one write */
	BLOCK_KEPT_BYTES = 8 * 1024 /* of a resting handle's block */
};

/* Where calls go to: what connections may be shared by. Lives while a call or a socket
 * names it. */
struct origin {
	struct origin *next; /* in its bucket */
	uint64_t hash;       /* of scheme, authority, proxy and protocol; a collision only
				misleads a hint */
	unsigned refs;
	bool is_shared;               /* several calls per connection: HTTP/2 */
	unsigned open[SHARDS_MAX];    /* connections */
	unsigned idle[SHARDS_MAX];    /* of them, waiting for a call */
	unsigned waiting[SHARDS_MAX]; /* calls that look for a connection */
};

/* One multi handle. With more than about 256 transfers libcurl becomes slow: it walks its
 * lists. */
struct shard {
	struct upstream *u;
	CURLM *multi;
	unsigned index;
	unsigned active;     /* calls */
	unsigned open, idle; /* connections; of them, known to be of use to a next call */
	struct loop_timer timer;
	bool is_kicked; /* libcurl wants to run before the loop sleeps */
};

/* A socket of libcurl's on the loop. At first it is tentative: libcurl says when to watch
 * it and when to forget it. A connection that carried a request is lasting: it stays
 * watched for reading while it rests, which saves two epoll_ctl per call and shows at
 * once when the other side closes it or talks out of turn. */
struct sock {
	struct event readable, writable;
	struct shard *shard;
	curl_socket_t fd;
	int wants; /* CURL_POLL_IN, _OUT or both; 0: libcurl does not wait for it */
	bool is_reading, is_writing;

	struct origin *origin;       /* lasting; NULL: tentative */
	struct upstream_call *users; /* HTTP/1.1: one at most */
	int port;                    /* local: how a reused connection is recognised */
	struct sock *port_next;
	struct sock *idle_prev, *idle_next;
	int64_t idle_since_us;
	bool is_idle;
	bool is_http2; /* may talk while it rests */
};

enum verb {
	VERB_NONE, /* nothing set yet */
	VERB_GET,
	VERB_HEAD,
	VERB_POST,
	VERB_OTHER, /* another name, no body */
	VERB_OTHER_BODY
};

/* An easy handle and what it was told last: only differences are set again. */
struct handle {
	CURL *easy;
	CURLU *url;          /* parsed once for all calls to it */
	struct buf url_text; /* what it was parsed from, NUL-terminated */
	struct buf target;   /* of the URL: what a head of one text begins with */
	char *block;         /* head and joined body of the call at hand */
	size_t block_room, block_secret; /* the first block_secret bytes hold headers */
	enum verb verb;
	bool is_http2, has_proxy;
	long buffer_bytes; /* CURLOPT_BUFFERSIZE; 0: libcurl's own */
	bool has_target;   /* libcurl has a copy of the head */
	char error[CURL_ERROR_SIZE];
};

enum call_phase {
	PHASE_CONNECT,    /* nothing of the request is written */
	PHASE_FIRST_BYTE, /* it is being written, or the answer waited for */
	PHASE_BODY        /* the head of the answer is complete */
};

struct upstream_call {
	struct handle h; /* outlives the call */
	struct upstream *u;
	struct upstream_call *prev, *next; /* in u->calls; resting: in u->resting */
	struct upstream_call *ready_prev,
	    *ready_next; /* in u->ready_first .. ready_last */
	struct shard *shard;
	struct origin *origin;
	struct sock *sock;
	struct upstream_call *sock_next; /* in sock->users */
	curl_socket_t tries[TRIES_MAX];  /* sockets opened for it, the latest at [(tried -
					    1) % TRIES_MAX] */
	unsigned tried;
	const struct upstream_ops *ops;
	void *arg;

	enum call_phase phase;
	bool is_waiting; /* counted in origin->waiting */
	bool is_ready;   /* in the list of those with something to tell */
	bool is_paused;  /* by the user */
	bool is_held;    /* by us: GATHER_BYTES */
	bool is_over;    /* libcurl is done with it */
	bool is_ending;  /* its done() runs */
	bool is_tls, is_head_request, has_head, has_failed;
	bool is_http2; /* the answer came so: libcurl must not be paused */
	enum upstream_end
	    failure;     /* if has_failed: libcurl's own code is of no interest then */
	const char *why; /* static */
	CURLcode code;

	lz_str part[UPSTREAM_PARTS]; /* what libcurl has still to read */
	size_t part_count, part_at;
	size_t sent_bytes; /* of body, once all is sent */

	struct buf head, body; /* gathered, not told yet */
	unsigned interim_heads;
	int status;
	size_t answer_bytes, max_answer_bytes;

	struct loop_timer phase_timer, total_timer;
	int64_t limit_us[PHASE_BODY + 1]; /* of each phase; 0: none */
	int64_t moved_us; /* the last progress that the phase's clock honours */
	int64_t began_us, connected_us, head_us; /* -1: not reached */
};

struct upstream {
	struct loop *loop;
	struct upstream_options o;
	CURLSH *share; /* names and TLS sessions, between the shards of this thread */
	struct upstream_call *calls, *resting;
	struct upstream_call *ready_first, *ready_last;
	struct upstream_call
	    *current; /* whose callback runs; NULL once it is cancelled */
	unsigned active, rests;

	struct shard *shard[SHARDS_MAX];
	unsigned shards, kicked;
	struct origin *origin[ORIGIN_BUCKETS];
	struct sock **sock; /* by file descriptor */
	size_t sock_room;
	struct sock *port[PORT_BUCKETS];     /* lasting ones */
	struct sock *idle_first, *idle_last; /* the longest idle first */
	struct loop_timer sweep;
	struct buf spare[SPARE_BUFFERS];
	unsigned spares;

	struct loop_later later;
	struct loop_task task;
	bool is_later, is_posted; /* which of the two are queued */
	bool is_turning, is_telling, is_dead;
};

/* upstream_head.c */

/* How libcurl is told a head, and the bytes that takes at the front of the block. */
struct head_plan {
	bool is_target; /* one text; or a list */
	bool has_agent, has_accept;
	size_t nodes, texts;
};

bool head_is_token(lz_str s);
/* After h->url was set: makes what its heads begin with. ST_NOMEM */
enum status head_begin(struct handle *h) MUST_CHECK;
/* ST_INVALID: a field that cannot be sent. */
enum status head_plan(struct head_plan *p, const struct handle *h,
    const struct upstream_request *q, struct err *e) MUST_CHECK;
/* h->block has room for what was planned; libcurl reads it until the call ends. length:
 * of the body; -1: there is none. */
CURLcode head_set(struct handle *h, const struct head_plan *p,
    const struct upstream_request *q, int64_t length);
void head_rest(struct handle *h);

/* upstream_send.c */

/* Makes c->h a handle with all the settings that never change. ST_NOMEM */
enum status handle_open(struct upstream_call *c) MUST_CHECK;
void handle_close(struct handle *h);
/* Sets what is this request's own. ST_INVALID: a method, header or body that cannot be
 * sent; ST_NOMEM. */
enum status handle_prepare(
    struct upstream_call *c, const struct upstream_request *q, struct err *e) MUST_CHECK;
/* The answer begins: what was only needed for sending is given back. Never inside
 * libcurl. */
void handle_sent(struct upstream_call *c);
/* Forgets the request: what may be secret is wiped, large memory given back. */
void handle_rest(struct handle *h);
/* scheme://authority of the URL, if it is one. */
lz_str url_origin(lz_str url);

/* upstream_answer.c */

CURLcode answer_seat(struct upstream_call *c); /* this file's callbacks into the handle */
/* The fields of the gathered head; names become lower case in place. */
size_t answer_fields(struct upstream_call *c, lz_header out[UPSTREAM_FIELDS]);
void answer_result(struct upstream_call *c, struct upstream_result *r);

/* upstream_sock.c */

/* A reference: origin_unref(). NULL: out of memory. */
struct origin *origin_get(struct upstream *u, uint64_t hash, bool is_shared);
void origin_unref(struct upstream *u, struct origin *o);
struct sock *sock_find(const struct upstream *u, curl_socket_t fd);
struct sock *sock_new(struct shard *s, curl_socket_t fd); /* NULL: out of memory */
void sock_free(struct sock *k);                           /* NULL is fine */
/* Idempotent; false: the event library has no memory. */
bool sock_watch_reading(struct sock *k, bool on);
bool sock_watch_writing(struct sock *k, bool on);
/* The call's new connection becomes lasting; NULL: not found, or out of memory. */
struct sock *sock_adopt(struct upstream_call *c, int port);
struct sock *sock_by_port(const struct upstream_call *c, int port);
/* Closed by the other side, or with bytes waiting that nobody asked for? */
bool sock_is_unfit(const struct sock *k);
void sock_leave(struct upstream_call *c); /* c->sock has one user less */
void sock_rest(struct sock *k);           /* if it is lasting and nobody uses it */
void sock_unrest(struct sock *k);
void sock_retire(struct sock *k); /* ends a resting connection */

/* upstream_shard.c */

CURLcode shard_seat(struct upstream_call *c); /* this file's callbacks into the handle */
/* Hands the call of c->origin to libcurl. ST_NOMEM */
enum status shard_add(struct upstream_call *c) MUST_CHECK;
/* Takes it back, finished or not. Never inside libcurl. */
void shard_remove(struct upstream_call *c);
/* libcurl is about to write the request on the connection with this local port. false: it
 * was kept and is unfit. */
bool shard_connected(struct upstream_call *c, int port);
void shard_on_readable(evutil_socket_t fd, short what, void *sock);
void shard_on_writable(evutil_socket_t fd, short what, void *sock);
void shard_on_sweep(void *upstream); /* connections that rested for too long */
void shards_run_kicked(struct upstream *u);
void shards_free(struct upstream *u);

/* upstream_tell.c */

/* A gathering buffer, with memory from earlier if some is left. */
void upstream_borrow(struct upstream *u, struct buf *b, size_t max_bytes);
void upstream_give_back(struct upstream *u, struct buf *b);
void upstream_ready(struct upstream_call *c); /* there is something to tell */
void upstream_unready(struct upstream_call *c);
/* The call ends so, as soon as libcurl is out of the way; the first reason stands. */
void upstream_fail(struct upstream_call *c, enum upstream_end end, const char *why);
/* Runs the users' callbacks. Never inside libcurl. */
void upstream_tell(struct upstream *u);
/* shards_run_kicked() and upstream_tell(), before the loop sleeps. */
void upstream_kick(struct upstream *u);
void upstream_free_if_dead(struct upstream *u);

/* upstream_curl.c */

int64_t upstream_now_us(const struct upstream *u);
/* libcurl is done with the call. Never inside libcurl. */
void upstream_over(struct upstream_call *c, CURLcode code);
/* The call has come so far, and its clock starts anew. false: no memory for the clock,
 * the call fails. */
bool upstream_enter(struct upstream_call *c, enum call_phase phase);
/* libcurl may go on reading the answer. Never inside libcurl. */
void upstream_let_go(struct upstream_call *c);
/* From any state: out of libcurl, out of every list, to rest. */
void upstream_release(struct upstream_call *c);
/* Did an allocation of libcurl's fail on this thread since it was last asked? */
bool upstream_ran_dry(void);

#endif
