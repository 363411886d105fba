/* intake.c - what comes in: heads, bodies, pipelined requests, a FIN.
 *
 * A request that comes whole costs one recv() into the server's scratch memory and is
 * parsed there; only what is incomplete is copied. A large body is read straight into its
 * place.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/conn.h"

#include <errno.h>
#include <event2/event.h>

#include "base/io.h"

enum {
	DIRECT_BYTES = 16384, /* a body that lacks more is read into its place */
	DIRECT_STEP = 262144,
	LINGER_BYTES = 1 << 20
};

static const char too_large[] = "The request's body is too large.";

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
	size_t room_of_fields = h->field_count * sizeof(*h->field), i;
	char *room = buf_room(&t->head, room_of_fields + len);

	if (room == NULL)
		return false;
	t->head.len = room_of_fields + len;
	*to = *h;
	to->field = (struct http_field *)(void *)room; /* as malloc() aligns */
	room += room_of_fields;
	memcpy(room, bytes, len);
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
		conn_fail(c, 400, "Too much was sent ahead of the answer.");
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
	if (c->state != CONN_BODY)
		return;
	if (h->content_length > (int64_t)s->limits->body_bytes)
		conn_fail(c, 413, too_large);
	else if (h->expects_continue && at_hand == 0)
		conn_continue(c);
}

static void
begin_request(struct conn *c, const char *bytes, size_t used, size_t behind)
{
	const struct http_head *h = &c->s->head;

	conn_set_idle(c, false);
	c->searched = 0;
	c->must_close = c->must_linger = false;
	c->talk = talk_new(c);
	if (c->talk == NULL || !copy_head(c->talk, h, bytes, used)) {
		conn_fail(c, 503, "The gateway is out of memory.");
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
		conn_fail(c, 503, "The gateway is out of memory.");
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
			conn_fail(c, why.status, why.why);
			return len;
		}
		at += used;
		/* A chunk counts as soon as its size is known, not when it is here. */
		if (run.len + t->chunked.left >
		    c->s->limits->body_bytes - t->x.body.len) {
			conn_fail(c, 413, too_large);
			return len;
		}
		buf_add_str(&t->x.body, run);
		if (t->x.body.failed) {
			conn_fail(c, 503, "The gateway is out of memory.");
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
			conn_set_idle(c, false);
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
wait_for_more(struct conn *c)
{
	if (c->state != CONN_HEAD)
		return;
	if (c->is_half || (c->in.len == 0 && c->s->is_draining)) {
		conn_close(c);
		return;
	}
	conn_set_idle(c, c->in.len == 0);
	/* A head's deadline counts from its first byte, not from the wait before it. */
	if (c->in.len > 0)
		c->since_us = c->began.mono_us;
	conn_watch_timer(c);
}

void
conn_digest_kept(struct conn *c)
{
	size_t used = digest(c, c->in.ptr, c->in.len);

	if (c->state == CONN_CLOSED || c->state == CONN_LINGER)
		return;
	buf_take(&c->in, used);
	if (c->in.len == 0)
		buf_free(&c->in);
	wait_for_more(c);
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
	wait_for_more(c);
}

/* Reading. */

/* The client will send no more. Whether it still reads cannot be seen in a FIN: see
 * half_close_us. */
void
conn_take_fin(struct conn *c)
{
	int64_t now = loop_now(c->s->loop)->mono_us;

	if (c->state == CONN_BODY) {
		c->is_half = true;
		conn_fail(c, 400, "The request's body is shorter than announced.");
		conn_watch(c, 0);
	} else if (c->state == CONN_FLUSH ||
		   (c->state == CONN_BUSY &&
		       now - c->since_us < c->s->limits->half_close_us)) {
		c->is_half = true;
		conn_watch(c, 0);
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
		conn_take_fin(c);
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
		conn_digest_kept(c);
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
		conn_fail(c, 503, "The gateway is out of memory.");
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
		conn_watch(c, EV_CLOSED);
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

void
conn_read(struct conn *c)
{
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
