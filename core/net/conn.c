/* conn.c - one connection: its bytes in, its states, its deadlines, its end.
 *
 * Reading stays armed for the connection's life, so that a client that leaves is noticed
 * while its answer is being waited for. A request that comes whole costs one recv() into
 * the server's scratch memory and is parsed there; only what is incomplete is copied. One
 * timer per connection, moved only when a deadline comes nearer: a request on a kept
 * connection touches no heap.
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
	DIRECT_BYTES = 16384, /* a body that lacks more is read into its place */
	DIRECT_STEP = 262144,
	RATE_GRACE_US = 5 * 1000000,
	LINGER_US = 2 * 1000000,
	LINGER_BYTES = 1 << 20,
	LOOK_AGAIN_US = 60 * 1000000
};

static void on_event(evutil_socket_t fd, short what, void *arg);
static void on_write_event(evutil_socket_t fd, short what, void *arg);
static void on_timer(void *arg);

/* Events. */

/* EV_READ: bytes or a FIN. EV_CLOSED: only a FIN, while there is no room for more bytes.
 * 0: nothing. */
static void
watch(struct conn *c, short what)
{
	if (c->watched == what)
		return;
	if (c->watched != 0)
		(void)event_del(&c->reading);
	c->watched = what;
	if (what == 0)
		return;
	/* Cannot fail but for memory, and then a deadline or a write ends the connection.
	 */
	(void)event_assign(&c->reading, loop_base(c->s->loop), c->fd,
	    (short)(what | EV_PERSIST), on_event, c);
	if (event_add(&c->reading, NULL) != 0)
		c->is_broken = true;
}

/* Through the event that is assigned once and for all: `reading` may be assigned anew
 * before it runs. */
void
conn_poke(struct conn *c)
{
	event_active(&c->writing, EV_TIMEOUT, 0);
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
		c->is_broken = true;
}

void
conn_watch_timer(struct conn *c)
{
	int64_t due = due_of(c);

	if (c->timer.place == 0 || due < c->timer.due_us)
		set_timer(c, due);
}

static void
make_idle(struct conn *c, bool is_idle)
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
	watch(c, 0);
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
	watch(c, EV_READ);
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
	make_idle(c, !has_more);
	conn_enter(c, CONN_HEAD);
	if (!c->is_half)
		watch(c, EV_READ);
	if (has_more && !c->is_digesting)
		conn_poke(c);
}

static void
refuse(struct conn *c, int status, const char *sentence)
{
	struct http_refusal why = { .status = status, .why = sentence };

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
		refuse(c, 408, "The request's head did not come in time.");
	else if (c->state == CONN_BODY)
		refuse(c, 408, "The request's body did not come in time.");
	else if (c->state == CONN_BUSY || c->state == CONN_FLUSH)
		conn_reset(c);
	else
		conn_close(c);
	if (c->state != CONN_CLOSED)
		conn_watch_timer(c);
}

/* Requests. */

static lz_str
moved(lz_str s, const char *from, const char *to)
{
	return s.ptr == NULL ? s : lz_strn(to + (s.ptr - from), s.len);
}

/* Gives the exchange its own copy of the head's bytes and of as many fields as there are.
 */
static bool
copy_head(struct talk *t, const struct http_head *h, const char *bytes, size_t len)
{
	struct http_head *to = &t->x.head;
	char *room = buf_room(&t->head, len);
	size_t i;

	if (room == NULL)
		return false;
	memcpy(room, bytes, len);
	t->head.len = len;
	memcpy(to, h, offsetof(struct http_head, field));
	to->path = moved(h->path, bytes, room);
	to->query = moved(h->query, bytes, room);
	to->host = moved(h->host, bytes, room);
	for (i = 0; i < h->field_count; i++) {
		to->field[i].name = moved(h->field[i].name, bytes, room);
		to->field[i].value = moved(h->field[i].value, bytes, room);
	}
	return true;
}

/* The request is whole. behind: bytes of others that came with it. */
static void
hand_up(struct conn *c, size_t behind)
{
	struct talk *t = c->talk;

	c->behind = behind;
	if (behind > c->s->limits->head_bytes) {
		refuse(c, 400, "Too much was sent ahead of the answer.");
		return;
	}
	conn_enter(c, CONN_BUSY);
	t->is_shown = true;
	c->s->ops.request(c->s->arg, &t->x);
}

static void
begin_body(struct conn *c, size_t at_hand)
{
	struct server *s = c->s;
	struct talk *t = c->talk;
	struct http_head *h = &t->x.head;
	bool goes_on = true;

	buf_init(&t->x.body,
	    h->is_chunked ? s->limits->body_bytes : (size_t)h->content_length);
	conn_enter(c, CONN_BODY);
	if (s->ops.head != NULL) {
		t->is_shown = true;
		goes_on = s->ops.head(s->arg, &t->x);
		must(goes_on || t->x.is_over);
	}
	if (c->state == CONN_BODY && h->expects_continue && at_hand == 0)
		conn_continue(c);
}

static void
begin_request(struct conn *c, const char *bytes, size_t used, size_t behind)
{
	const struct http_head *h = &c->s->head;

	make_idle(c, false);
	c->searched = 0;
	c->must_close = c->must_linger = false;
	if (h->content_length > (int64_t)c->s->limits->body_bytes) {
		refuse(c, 413, "The request's body is too large.");
		return;
	}
	c->talk = talk_new(c);
	if (c->talk == NULL || !copy_head(c->talk, h, bytes, used)) {
		refuse(c, 503, "The gateway is out of memory.");
		return;
	}
	if (h->is_chunked || h->content_length > 0)
		begin_body(c, behind);
	else
		hand_up(c, behind);
}

/* Returns how many bytes were used; 0: more are needed, or the connection is done with.
 */
static size_t
take_head(struct conn *c, char *p, size_t len)
{
	struct server *s = c->s;
	struct http_refusal why;
	size_t used = 0;

	switch (http1_parse_head(
	    p, len, s->limits->head_bytes, &c->searched, &s->head, &used, &why)) {
	case HTTP_DONE:
		begin_request(c, p, used, len - used);
		return used;
	case HTTP_MORE:
		return 0;
	case HTTP_BAD:
		break;
	}
	conn_refuse(c, &why);
	return 0;
}

static bool
body_is_whole(const struct talk *t)
{
	return !t->x.head.is_chunked && t->x.body.len == (size_t)t->x.head.content_length;
}

static size_t
take_sized(struct conn *c, const char *p, size_t len)
{
	struct talk *t = c->talk;
	size_t left = (size_t)t->x.head.content_length - t->x.body.len;
	size_t n = len < left ? len : left;

	buf_add(&t->x.body, p, n);
	if (t->x.body.failed)
		refuse(c, 503, "The gateway is out of memory.");
	else if (body_is_whole(t))
		hand_up(c, len - n);
	return n;
}

static size_t
take_chunked(struct conn *c, const char *p, size_t len)
{
	struct talk *t = c->talk;
	struct http_refusal why;
	size_t at = 0, used;
	lz_str run;

	do {
		enum http_verdict v =
		    http1_chunked(&t->chunked, p + at, len - at, &used, &run, &why);

		if (v == HTTP_BAD) {
			refuse(c, why.status, why.why);
			return len;
		}
		at += used;
		if (run.len > c->s->limits->body_bytes - t->x.body.len) {
			refuse(c, 413, "The request's body is too large.");
			return len;
		}
		buf_add_str(&t->x.body, run);
		if (t->x.body.failed) {
			refuse(c, 503, "The gateway is out of memory.");
			return len;
		}
		if (v == HTTP_DONE) {
			hand_up(c, len - at);
			return at;
		}
	} while (at < len);
	return at;
}

/* Uses what can be used of the bytes at hand and returns how many that were. Several
 * requests may be among them; hand_up() sees to it that they are few. */
static size_t
digest(struct conn *c, char *p, size_t len)
{
	size_t at = 0, used = 1;

	c->is_digesting = true;
	while (at < len && used > 0) {
		if (c->state == CONN_HEAD) {
			if (c->searched == 0)
				c->began = *loop_now(c->s->loop);
			make_idle(c, false);
			used = take_head(c, p + at, len - at);
		} else if (c->state == CONN_BODY) {
			c->moved_us = loop_now(c->s->loop)->mono_us;
			used = c->talk->x.head.is_chunked
				   ? take_chunked(c, p + at, len - at)
				   : take_sized(c, p + at, len - at);
		} else {
			break;
		}
		at += used;
	}
	c->is_digesting = false;
	return at;
}

/* After the bytes at hand are used: what does the connection wait for now? */
static void
settle(struct conn *c)
{
	if (c->state != CONN_HEAD)
		return;
	if (c->is_half || (c->in.len == 0 && c->s->is_draining)) {
		conn_close(c);
		return;
	}
	make_idle(c, c->in.len == 0);
	/* A head's deadline counts from its first byte, not from the wait before it. */
	if (c->in.len > 0)
		c->since_us = c->began.mono_us;
	conn_watch_timer(c);
}

static void
digest_kept(struct conn *c)
{
	size_t used = digest(c, c->in.ptr, c->in.len);

	if (c->state == CONN_CLOSED || c->state == CONN_LINGER)
		return;
	buf_take(&c->in, used);
	if (c->in.len == 0)
		buf_free(&c->in);
	settle(c);
}

static void
digest_fresh(struct conn *c, char *p, size_t len)
{
	size_t used = digest(c, p, len);

	if (c->state == CONN_CLOSED || c->state == CONN_LINGER)
		return;
	buf_add(&c->in, p + used, len - used);
	if (c->in.failed) {
		conn_close(c);
		return;
	}
	settle(c);
}

/* Reading. */

/* The client will send no more. Whether it still reads cannot be seen in a FIN: see
 * half_close_us. */
static void
take_fin(struct conn *c)
{
	int64_t now = loop_now(c->s->loop)->mono_us;

	if (c->state == CONN_BODY) {
		c->is_half = true;
		refuse(c, 400, "The request's body is shorter than announced.");
	} else if (c->state == CONN_FLUSH ||
		   (c->state == CONN_BUSY &&
		       now - c->since_us < c->s->limits->half_close_us)) {
		c->is_half = true;
		watch(c, 0);
	} else {
		conn_close(c);
	}
}

/* Reads n bytes to p. 0: nothing came, or the connection has ended. */
static size_t
receive(struct conn *c, char *p, size_t n)
{
	ssize_t got;

	do
		got = io.recv(c->fd, p, n, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		return (size_t)got;
	if (got == 0)
		take_fin(c);
	else if (errno != EAGAIN && errno != EWOULDBLOCK)
		conn_close(c);
	return 0;
}

static void
read_head(struct conn *c)
{
	size_t n;

	if (c->in.len == 0) {
		n = receive(c, c->s->scratch, CONN_SCRATCH_BYTES);
		if (n > 0)
			digest_fresh(c, c->s->scratch, n);
		return;
	}
	/* A part of a head waits: more is put behind it, up to what a head may have. */
	n = c->in.len < c->s->limits->head_bytes ? c->s->limits->head_bytes - c->in.len
						 : 0;
	if (n > 0) {
		n = receive(
		    c, c->s->scratch, n < CONN_SCRATCH_BYTES ? n : CONN_SCRATCH_BYTES);
		if (n == 0)
			return;
		buf_add(&c->in, c->s->scratch, n);
	}
	if (c->in.failed)
		conn_close(c);
	else
		digest_kept(c);
}

static void
read_body(struct conn *c)
{
	struct talk *t = c->talk;
	size_t left =
	    t->x.head.is_chunked ? 0 : (size_t)t->x.head.content_length - t->x.body.len;
	char *room;
	size_t n;

	if (left < DIRECT_BYTES) {
		n = receive(c, c->s->scratch, CONN_SCRATCH_BYTES);
		if (n > 0)
			digest_fresh(c, c->s->scratch, n);
		return;
	}
	n = left < DIRECT_STEP ? left : DIRECT_STEP;
	room = buf_room(&t->x.body, n);
	if (room == NULL) {
		refuse(c, 503, "The gateway is out of memory.");
		return;
	}
	n = receive(c, room, n);
	if (n == 0)
		return;
	t->x.body.len += n;
	c->moved_us = loop_now(c->s->loop)->mono_us;
	if (body_is_whole(t))
		hand_up(c, 0);
}

/* While an answer is being made: the next request's bytes are kept, up to a head's size.
 */
static void
read_ahead(struct conn *c)
{
	size_t room, n;

	if (c->in.len >= c->s->limits->head_bytes) {
		watch(c, EV_CLOSED);
		return;
	}
	room = c->s->limits->head_bytes - c->in.len;
	n = receive(
	    c, c->s->scratch, room < CONN_SCRATCH_BYTES ? room : CONN_SCRATCH_BYTES);
	if (n == 0)
		return;
	buf_add(&c->in, c->s->scratch, n);
	if (c->in.failed)
		conn_close(c);
}

static void
read_and_drop(struct conn *c)
{
	size_t n = receive(c, c->s->scratch, CONN_SCRATCH_BYTES);

	c->searched += n;
	if (c->state == CONN_LINGER && c->searched > LINGER_BYTES)
		conn_close(c);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	if ((what & EV_CLOSED) != 0) {
		take_fin(c);
		return;
	}
	switch (c->state) {
	case CONN_HEAD:
		read_head(c);
		break;
	case CONN_BODY:
		read_body(c);
		break;
	case CONN_BUSY:
	case CONN_FLUSH:
		read_ahead(c);
		break;
	case CONN_LINGER:
		read_and_drop(c);
		break;
	case CONN_CLOSED:
		break;
	}
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
		digest_kept(c);
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
	if (loop_timer_set(s->loop, &c->timer, s->limits->idle_timeout_us, on_timer, c) !=
		ST_OK ||
	    event_assign(&c->writing, loop_base(s->loop), fd, EV_WRITE | EV_PERSIST,
		on_write_event, c) != 0)
		goto fail;
	watch(c, EV_READ);
	if (c->is_broken)
		goto fail;
	TAILQ_INSERT_TAIL(&s->idle, c, link);
	return ST_OK;
fail:
	loop_timer_cancel(s->loop, &c->timer);
	(void)io.close(fd);
	mem_free(c);
	return ST_NOMEM;
}
