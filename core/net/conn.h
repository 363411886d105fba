/* conn.h - what the server's four files share: the server, its connections, and their
 * exchanges. Private to net/.
 *
 * server.c accepts and counts, conn.c keeps states and deadlines, intake.c reads,
 * answer.c writes. A connection is in one state at a time, and the state alone says what
 * bytes, silence and a FIN mean.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <event2/event_struct.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "net/server.h"
#include "net/tally.h"

enum {
	CONN_SCRATCH_BYTES = 65536, /* read at once, at most */
	CONN_OUT_BYTES = 64 << 20,  /* unsent, at most; what a user writes that does not
				       listen to "full" */
	CONN_PARTS = 4              /* of one sendmsg(); the first is what waited */
};

enum conn_state {
	CONN_HEAD,   /* no request, or a part of its head */
	CONN_BODY,   /* the head was read */
	CONN_BUSY,   /* the request was handed up; no answer, or a part of it */
	CONN_FLUSH,  /* the answer is whole, some of it is unsent */
	CONN_LINGER, /* shut for writing; what still comes is dropped for a while */
	CONN_CLOSED  /* freed at the end of the turn */
};

/* An exchange and what only the server needs of it. */
struct talk {
	struct exchange x; /* first: the two are one to the user */
	struct conn *c;    /* NULL: over */
	struct server *s;
	struct buf head; /* x.head's fields, and the bytes that they point into */
	struct http_chunked chunked;
	bool is_shown;                           /* head() or request() was called */
	bool is_stream, is_chunked, has_no_body; /* of the answer */
	struct loop_later later;
	struct talk *next; /* when free */
};

struct conn {
	struct server *s;
	TAILQ_ENTRY(conn) link; /* among the server's idle or active */
	int fd;
	enum conn_state state;
	bool is_idle;    /* which list it is in */
	bool is_writing; /* EV_WRITE is armed */
	bool is_broken;  /* something failed under a caller; the loop ends the connection
			    soon */
	bool is_half;    /* the client has sent its FIN, and may still read */
	bool is_digesting; /* inside conn.c's loop over requests at hand */
	bool must_close;   /* after this answer */
	bool must_linger;  /* and the client may still be sending */
	bool was_full;     /* exchange_write() said so; drained() is owed */
	short watched;     /* what `reading` waits for */
	struct event reading, writing;
	struct loop_timer timer;
	struct moment began; /* of the head at hand */
	int64_t since_us;    /* the state's beginning */
	int64_t moved_us;    /* the last byte read or sent */
	struct talk *talk;   /* BODY and BUSY have one */
	struct buf in;       /* what came and is not used yet */
	size_t behind;       /* while digesting: bytes at hand behind this request */
	size_t searched;     /* of `in`, for the head's end; in LINGER: bytes dropped */
	struct buf out;
	size_t sent; /* of `out` */
	struct net_addr peer;
	struct tally_entry *tally;
	struct loop_later later;
};

TAILQ_HEAD(conn_list, conn);

struct listener {
	struct server *s;
	struct event accepting;
	int fd;
	struct listener *next;
};

struct server {
	struct loop *loop;
	const struct server_limits *limits;
	struct server_ops ops;
	void *arg;
	struct listener *listeners;
	struct loop_timer pause;
	bool is_paused; /* accepting waits for file descriptors or memory */
	bool is_full;   /* accepting waits for a connection to end */
	struct conn_list idle, active; /* idle: longest first */
	unsigned connections;
	struct tally *tally;
	struct talk *free_talks;
	unsigned free_count;
	char *scratch;         /* CONN_SCRATCH_BYTES */
	struct http_head head; /* as parsed, before an exchange copies what it needs */
	struct http_field field[HTTP_FIELDS]; /* its fields */
	struct buf text; /* an answer's head while it is put together */
	char date[32];
	int64_t date_s;
	bool is_draining;
	loop_fn *drained;
	void *drained_arg;
	struct loop_later tell, bury;
	int64_t warned_us; /* when the log last heard of a pause in accepting */
};

/* server.c */
void server_count_out(struct server *s); /* a connection ended */
struct talk *talk_new(struct conn *c);
void talk_end(struct talk *t); /* over: memory goes back at the end of the turn */
const char *server_date(struct server *s);

/* conn.c */
/* Takes the file descriptor. ST_NOMEM: it is closed. */
enum status conn_new(struct server *s, int fd, const struct net_addr *peer,
    struct tally_entry *tally) MUST_CHECK;
void conn_close(struct conn *c); /* with gone(), if something was going on */
void conn_reset(struct conn *c); /* the same, and the client sees a RST */
/* What came is not to be served, and the client is told why: by the exchange's user if
 * there is one that can, else by the server. */
void conn_fail(struct conn *c, int status, const char *sentence);
void conn_enter(struct conn *c, enum conn_state state);
void conn_set_idle(struct conn *c, bool is_idle);
/* EV_READ: bytes or a FIN. EV_CLOSED: only a FIN, while there is no room for more bytes.
 * 0: nothing. */
void conn_watch(struct conn *c, short what);
void conn_watch_timer(struct conn *c); /* its deadline may have come nearer */
/* Bytes of later requests that are here already. */
size_t conn_kept(const struct conn *c);
/* Looks soon, and from the loop, at what is kept or broken. */
void conn_poke(struct conn *c);
/* Something failed under a caller who does not expect the connection to end: it swallows
 * what is still written, and ends soon. */
void conn_break(struct conn *c);
/* The answer is sent: closes, or waits for another request. */
void conn_next(struct conn *c);

/* intake.c */
void conn_read(struct conn *c); /* something can be read */
void conn_digest_kept(struct conn *c);
void conn_take_fin(struct conn *c);

/* answer.c */
size_t conn_unsent(const struct conn *c);
/* Sends or keeps part[1] to part[count - 1]; part[0] is its own to fill in. */
void conn_write(struct conn *c, struct iovec part[CONN_PARTS], int count);
void conn_on_writable(struct conn *c);
/* Answers, then closes. */
void conn_refuse(struct conn *c, const struct http_refusal *why);
void conn_continue(struct conn *c); /* 100 */

#endif
