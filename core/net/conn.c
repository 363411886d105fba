/* conn.c - one connection: its events, its states, its deadlines, its end.
 *
 * Reading stays armed for the connection's life, so that a client that leaves is noticed
 * while its answer is being waited for. There is one timer per connection, moved only
 * when a deadline comes nearer: a request on a kept connection touches no heap.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/conn.h"

#include <errno.h>
#include <event2/event.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/metric.h"

enum {
	RATE_GRACE_US = 5 * 1000000,
	LINGER_US = 2 * 1000000,
	LOOK_AGAIN_US = 60 * 1000000
};

static void on_event(evutil_socket_t fd, short what, void *arg);
static void on_write_event(evutil_socket_t fd, short what, void *arg);
static void on_timer(void *arg);

/* Events. */

void
conn_watch(struct conn *c, short what)
{
	if (c->watched == what)
		return;
	if (c->watched != 0)
		(void)event_del(&c->reading);
	c->watched = what;
	if (what == 0)
		return;
	(void)event_assign(&c->reading, loop_base(c->s->loop), c->fd,
	    (short)(what | EV_PERSIST), on_event, c);
	if (event_add(&c->reading, NULL) != 0)
		conn_break(c);
}

/* Through the event that is assigned once and for all: `reading` may be assigned anew
 * before it runs. */
void
conn_poke(struct conn *c)
{
	event_active(&c->writing, EV_TIMEOUT, 0);
}

void
conn_break(struct conn *c)
{
	if (c->is_broken)
		return;
	c->is_broken = true;
	conn_poke(c);
}

/* Deadlines. */

static int64_t
body_due(const struct conn *c)
{
	const struct server_limits *l = c->s->limits;
	int64_t silence = c->moved_us + l->body_timeout_us;
	int64_t rate;

	if (l->body_min_rate == 0)
		return silence;
	rate = c->since_us + RATE_GRACE_US +
	       (int64_t)(c->talk->x.body.len * (uint64_t)1000000 /
			 (uint64_t)l->body_min_rate);
	return rate < silence ? rate : silence;
}

/* When the connection has waited too long for what its state waits for. INT64_MAX: it may
 * wait for ever, which is so only while the answer is being made. */
static int64_t
due_of(const struct conn *c)
{
	const struct server_limits *l = c->s->limits;

	switch (c->state) {
	case CONN_HEAD:
		return c->since_us +
		       (c->is_idle ? l->idle_timeout_us : l->head_timeout_us);
	case CONN_BODY:
		return body_due(c);
	case CONN_BUSY:
	case CONN_FLUSH:
		return c->is_writing ? c->moved_us + l->write_timeout_us : INT64_MAX;
	case CONN_LINGER:
		return c->since_us + LINGER_US;
	case CONN_CLOSED:
		break;
	}
	return INT64_MAX;
}

/* The timer is set all the connection's life, so setting it again needs no memory. */
static void
set_timer(struct conn *c, int64_t due_us)
{
	int64_t left = due_us - loop_now(c->s->loop)->mono_us;

	if (loop_timer_set(c->s->loop, &c->timer,
		left < LOOK_AGAIN_US ? left : LOOK_AGAIN_US, on_timer, c) != ST_OK)
		conn_break(c);
}

void
conn_watch_timer(struct conn *c)
{
	int64_t due = due_of(c);

	if (c->timer.place == 0 || due < c->timer.due_us)
		set_timer(c, due);
}

void
conn_set_idle(struct conn *c, bool is_idle)
{
	struct server *s = c->s;

	if (c->is_idle == is_idle)
		return;
	TAILQ_REMOVE(c->is_idle ? &s->idle : &s->active, c, link);
	c->is_idle = is_idle;
	TAILQ_INSERT_TAIL(is_idle ? &s->idle : &s->active, c, link);
}

void
conn_enter(struct conn *c, enum conn_state state)
{
	c->state = state;
	c->since_us = c->moved_us = loop_now(c->s->loop)->mono_us;
	conn_watch_timer(c);
}

/* The end. */

static void
free_conn(void *arg)
{
	struct conn *c = arg;

	buf_free(&c->in);
	buf_free(&c->out);
	mem_free(c);
}

/* Tells the user, if it knows of the exchange, that nobody waits for the answer any more.
 */
static void
drop_talk(struct conn *c)
{
	struct talk *t = c->talk;

	if (t == NULL)
		return;
	talk_end(t);
	if (t->is_shown && c->s->ops.gone != NULL)
		c->s->ops.gone(c->s->arg, &t->x);
}

void
conn_close(struct conn *c)
{
	struct server *s = c->s;

	if (c->state == CONN_CLOSED)
		return;
	c->state = CONN_CLOSED;
	drop_talk(c);
	conn_watch(c, 0);
	(void)event_del(&c->writing);
	loop_timer_cancel(s->loop, &c->timer);
	(void)io.close(c->fd);
	TAILQ_REMOVE(c->is_idle ? &s->idle : &s->active, c, link);
	tally_leave(c->tally);
	loop_later(s->loop, &c->later, free_conn, c);
	server_count_out(s);
}

void
conn_reset(struct conn *c)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	if (c->state != CONN_CLOSED)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	conn_close(c);
}

/* Closing with unread bytes would be a RST, which may overtake the answer and destroy it
 * in the client's hands. So the sending side ends first, and what comes is dropped until
 * the client has had its chance. */
static void
linger(struct conn *c)
{
	(void)shutdown(c->fd, SHUT_WR);
	buf_free(&c->in);
	c->searched = 0;
	conn_enter(c, CONN_LINGER);
	conn_watch(c, EV_READ);
}

size_t
conn_kept(const struct conn *c)
{
	return c->is_digesting ? c->behind : c->in.len;
}

void
conn_next(struct conn *c)
{
	bool has_more = conn_kept(c) > 0;

	if (c->is_broken || (c->must_close && (!c->must_linger || c->is_half)) ||
	    (!has_more && (c->is_half || c->s->is_draining))) {
		conn_close(c);
		return;
	}
	if (c->must_close) {
		linger(c);
		return;
	}
	buf_free(&c->out);
	conn_set_idle(c, !has_more);
	conn_enter(c, CONN_HEAD);
	if (!c->is_half)
		conn_watch(c, EV_READ);
	if (has_more && !c->is_digesting)
		conn_poke(c);
}

/* The exchange is its user's to answer; what still comes of the body is kept from it. */
static void
tell_body_failed(struct conn *c, const struct http_refusal *why)
{
	struct talk *t = c->talk;

	metric_add(METRIC_HTTP_REFUSED, 1);
	c->must_close = c->must_linger = true;
	buf_free(&t->x.body);
	conn_enter(c, CONN_BUSY);
	c->s->ops.body_failed(c->s->arg, &t->x, why);
}

void
conn_fail(struct conn *c, int status, const char *sentence)
{
	struct http_refusal why = { .status = status, .why = sentence };

	if (c->talk != NULL && c->talk->is_shown && c->s->ops.body_failed != NULL) {
		tell_body_failed(c, &why);
		return;
	}
	drop_talk(c);
	conn_refuse(c, &why);
}

static void
on_timer(void *arg)
{
	struct conn *c = arg;
	int64_t due = due_of(c);

	if (due > loop_now(c->s->loop)->mono_us)
		set_timer(c, due);
	else if (c->state == CONN_HEAD && c->in.len > 0)
		conn_fail(c, 408, "The request's head did not come in time.");
	else if (c->state == CONN_BODY)
		conn_fail(c, 408, "The request's body did not come in time.");
	else if (c->state == CONN_BUSY || c->state == CONN_FLUSH)
		conn_reset(c);
	else
		conn_close(c);
	if (c->state != CONN_CLOSED)
		conn_watch_timer(c);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	if ((what & EV_CLOSED) != 0)
		conn_take_fin(c);
	else
		conn_read(c);
}

/* EV_TIMEOUT is a poke: nothing of ours has a timeout in libevent. */
static void
on_write_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	if (c->is_broken)
		conn_close(c);
	else if ((what & EV_TIMEOUT) != 0 && c->state == CONN_HEAD && c->in.len > 0)
		conn_digest_kept(c);
	if ((what & EV_WRITE) != 0 && c->state != CONN_CLOSED)
		conn_on_writable(c);
}

/* The beginning. */

enum status
conn_new(struct server *s, int fd, const struct net_addr *peer, struct tally_entry *tally)
{
	struct conn *c = mem_zalloc(sizeof(*c));

	if (c == NULL) {
		(void)io.close(fd);
		return ST_NOMEM;
	}
	c->s = s;
	c->fd = fd;
	c->peer = *peer;
	c->tally = tally;
	c->is_idle = true;
	/* Behind a request that was read from scratch memory up to that much may have to
	 * be kept. */
	buf_init(&c->in, CONN_SCRATCH_BYTES);
	buf_init(&c->out, CONN_OUT_BYTES);
	c->since_us = c->moved_us = loop_now(s->loop)->mono_us;
	(void)event_assign(&c->writing, loop_base(s->loop), fd, EV_WRITE | EV_PERSIST,
	    on_write_event, c);
	conn_watch(c, EV_READ);
	conn_watch_timer(c);
	if (!c->is_broken) {
		TAILQ_INSERT_TAIL(&s->idle, c, link);
		return ST_OK;
	}
	conn_watch(c, 0);
	(void)event_del(&c->writing);
	loop_timer_cancel(s->loop, &c->timer);
	(void)io.close(fd);
	mem_free(c);
	return ST_NOMEM;
}
