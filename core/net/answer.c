/* answer.c - what goes out: heads, whole answers, streams, refusals.
 *
 * Everything is tried at once: head and body, or a chunk's size, data and line end, leave
 * in one sendmsg(). What the socket does not take waits in the connection's buffer, and
 * only then is EV_WRITE armed. A failed write ends nothing here, because the user is
 * further up the stack: the connection is marked broken, swallows what follows, and the
 * loop ends it from its own event.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/metric.h"
#include "net/conn.h"

enum {
	KEPT_OUT_BYTES = 16384,
	SIZE_LINE = 20, /* "ffffffffffffffff\r\n" */
	REFUSAL_BYTES = 16384
};

static struct talk *
talk_of(struct exchange *x)
{
	return (struct talk *)x;
}

static struct iovec
part_of(lz_str s)
{
	return (struct iovec){ .iov_base = (void *)(uintptr_t)s.ptr, .iov_len = s.len };
}

/* Sending. */

size_t
conn_unsent(const struct conn *c)
{
	return c->out.len - c->sent;
}

/* Returns what the socket took, 0 when it takes nothing now. */
static size_t
send_parts(struct conn *c, struct iovec *part, int count)
{
	struct msghdr m = { .msg_iov = part, .msg_iovlen = (size_t)count };
	ssize_t n;

	do
		n = io.sendmsg(c->fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		conn_break(c);
	return 0;
}

static void
out_drop(struct conn *c, size_t n)
{
	c->sent += n;
	if (c->sent < c->out.len)
		return;
	c->sent = 0;
	if (c->out.cap > KEPT_OUT_BYTES || c->state == CONN_FLUSH)
		buf_free(&c->out);
	else
		buf_reset(&c->out);
}

/* Moves what waits to the buffer's front once that is less than what went before it, so
 * that the copying stays proportional to the sending. */
static void
out_compact(struct conn *c)
{
	if (c->sent > 0 && c->sent >= c->out.len - c->sent) {
		buf_take(&c->out, c->sent);
		c->sent = 0;
	}
}

/* Keeps what is left of the parts after the first `taken` bytes. */
static void
out_keep(struct conn *c, const struct iovec *part, int count, size_t taken)
{
	int i;

	out_compact(c);
	for (i = 0; i < count; i++) {
		size_t skip = taken < part[i].iov_len ? taken : part[i].iov_len;

		taken -= skip;
		if (skip < part[i].iov_len)
			buf_add(&c->out, (const char *)part[i].iov_base + skip,
			    part[i].iov_len - skip);
	}
	if (c->out.failed)
		conn_break(c);
}

static void
arm_writing(struct conn *c)
{
	if (c->is_writing)
		return;
	if (event_add(&c->writing, NULL) != 0) {
		conn_break(c);
		return;
	}
	c->is_writing = true;
	c->moved_us = loop_now(c->s->loop)->mono_us;
	conn_watch_timer(c);
}

void
conn_write(struct conn *c, struct iovec part[CONN_PARTS], int count)
{
	size_t waiting = conn_unsent(c), taken = 0;

	if (c->is_broken)
		return;
	if (!c->is_writing) {
		part[0] = part_of(lz_strn(c->out.ptr + c->sent, waiting));
		taken = waiting > 0 ? send_parts(c, part, count)
				    : send_parts(c, part + 1, count - 1);
		if (c->is_broken)
			return;
	}
	if (taken < waiting) {
		out_drop(c, taken);
		taken = 0;
	} else if (waiting > 0) {
		out_drop(c, waiting);
		taken -= waiting;
	}
	out_keep(c, part + 1, count - 1, taken);
	if (conn_unsent(c) > 0)
		arm_writing(c);
}

static void
write_one(struct conn *c, lz_str bytes)
{
	struct iovec part[CONN_PARTS];

	part[1] = part_of(bytes);
	conn_write(c, part, 2);
}

void
conn_on_writable(struct conn *c)
{
	struct iovec part = part_of(lz_strn(c->out.ptr + c->sent, conn_unsent(c)));
	size_t n = send_parts(c, &part, 1);

	if (c->is_broken) {
		conn_close(c);
		return;
	}
	if (n > 0) {
		c->moved_us = loop_now(c->s->loop)->mono_us;
		out_drop(c, n);
	}
	if (conn_unsent(c) == 0) {
		(void)event_del(&c->writing);
		c->is_writing = false;
	}
	if (c->state == CONN_FLUSH && conn_unsent(c) == 0) {
		conn_next(c);
	} else if (c->was_full && conn_unsent(c) < c->s->limits->out_low_bytes) {
		c->was_full = false;
		if (c->talk != NULL && c->s->ops.drained != NULL)
			c->s->ops.drained(c->s->arg, &c->talk->x);
	}
}

/* The answer is whole as far as its maker is concerned. */
static void
answered(struct conn *c)
{
	if (c->talk != NULL)
		talk_end(c->talk);
	c->was_full = false;
	conn_enter(c, CONN_FLUSH);
	if (conn_unsent(c) == 0 && !c->is_broken)
		conn_next(c);
}

/* Heads. */

static void
add_status(struct buf *b, struct server *s, int status)
{
	buf_reset(b);
	buf_add_z(b, "HTTP/1.1 ");
	buf_add_int(b, status);
	buf_add_char(b, ' ');
	buf_add_z(b, http1_reason(status));
	buf_add_z(b, "\r\ndate: ");
	buf_add_z(b, server_date(s));
	buf_add_z(b, "\r\n");
}

static char *
put(char *at, lz_str s)
{
	if (s.len > 0)
		memcpy(at, s.ptr, s.len);
	return at + s.len;
}

static void
add_fields(struct buf *b, const struct http_field *f, size_t n)
{
	size_t i, bytes;
	char *at;

	for (i = 0; i < n; i++) {
		if (!http1_field_is_clean(&f[i]))
			continue;
		bytes = f[i].name.len + f[i].value.len + 4;
		at = buf_room(b, bytes);
		if (at == NULL)
			return;
		at = put(at, f[i].name);
		at = put(at, STR_LIT(": "));
		at = put(at, f[i].value);
		(void)put(at, STR_LIT("\r\n"));
		b->len += bytes;
	}
}

static void
add_length(struct buf *b, size_t n)
{
	buf_add_z(b, "content-length: ");
	buf_add_int(b, (int64_t)n);
	buf_add_z(b, "\r\n");
}

/* Decides, once per answer, whether the connection goes on, and says so. */
static void
add_connection(struct buf *b, struct conn *c, const struct http_head *h)
{
	if (c->state == CONN_BODY)
		c->must_close = c->must_linger = true;
	if (!h->keep_alive || c->s->is_draining || (c->is_half && conn_kept(c) == 0))
		c->must_close = true;
	if (c->must_close && conn_kept(c) > 0)
		c->must_linger = true;
	if (c->must_close)
		buf_add_z(b, "connection: close\r\n");
	else if (h->minor == 0)
		buf_add_z(b, "connection: keep-alive\r\n");
}

static bool
status_has_no_body(int status)
{
	return status == 204 || status == 304;
}

/* Whole answers. */

void
exchange_reply(
    struct exchange *x, int status, const struct http_field *f, size_t n, lz_str body)
{
	struct talk *t = talk_of(x);
	struct conn *c = t->c;
	struct buf *b;
	struct iovec part[CONN_PARTS];

	if (x->is_over)
		return;
	must(!t->is_stream);
	b = &c->s->text;
	add_status(b, c->s, status);
	add_fields(b, f, n);
	if (!status_has_no_body(status))
		add_length(b, body.len);
	add_connection(b, c, &x->head);
	buf_add(b, "\r\n", 2);
	if (b->failed) {
		exchange_cut(x);
		return;
	}
	part[1] = part_of(buf_str(b));
	part[2] = part_of(body);
	conn_write(c, part,
	    x->head.method == HTTP_HEAD || status_has_no_body(status) || body.len == 0
		? 2
		: 3);
	answered(c);
}

void
conn_refuse(struct conn *c, const struct http_refusal *why)
{
	struct server *s = c->s;
	struct buf *b = &s->text;
	struct buf body, fields;
	struct iovec part[CONN_PARTS];
	bool is_plain;
	lz_str text;

	metric_add(METRIC_HTTP_REFUSED, 1);
	buf_init(&body, REFUSAL_BYTES);
	buf_init(&fields, REFUSAL_BYTES);
	if (s->ops.refuse != NULL)
		s->ops.refuse(s->arg, why, &body, &fields);
	is_plain = body.failed || body.len == 0;
	text = is_plain ? lz_strz(why->why) : buf_str(&body);
	add_status(b, s, why->status);
	if (!fields.failed)
		buf_add_str(b, buf_str(&fields));
	if (text.len > 0)
		buf_add_z(b, is_plain ? "content-type: text/plain\r\n"
				      : "content-type: application/json\r\n");
	add_length(b, text.len);
	buf_add_z(b, "connection: close\r\n\r\n");
	c->must_close = c->must_linger = true;
	part[1] = part_of(buf_str(b));
	part[2] = part_of(text);
	if (!b->failed)
		conn_write(c, part, 3);
	buf_free(&body);
	buf_free(&fields);
	if (b->failed)
		conn_close(c);
	else
		answered(c);
}

void
conn_continue(struct conn *c)
{
	write_one(c, STR_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* Streams. */

void
exchange_begin(struct exchange *x, int status, const struct http_field *f, size_t n)
{
	struct talk *t = talk_of(x);
	struct conn *c = t->c;
	struct buf *b;

	if (x->is_over)
		return;
	must(!t->is_stream);
	t->is_stream = true;
	t->is_chunked = x->head.minor == 1;
	t->has_no_body = x->head.method == HTTP_HEAD || status_has_no_body(status);
	if (!t->is_chunked)
		c->must_close = true;
	b = &c->s->text;
	add_status(b, c->s, status);
	add_fields(b, f, n);
	if (t->is_chunked && !status_has_no_body(status))
		buf_add_z(b, "transfer-encoding: chunked\r\n");
	add_connection(b, c, &x->head);
	buf_add(b, "\r\n", 2);
	if (!c->is_broken)
		buf_add_str(&c->out, buf_str(b));
	if (b->failed || c->out.failed)
		conn_break(c);
}

/* "1f\r\n" into line; returns its length. */
static size_t
size_line(size_t n, char line[SIZE_LINE])
{
	size_t digits = 1, i;

	while (digits < 16 && n >> (4 * digits) != 0)
		digits++;
	for (i = 0; i < digits; i++)
		line[i] = "0123456789abcdef"[(n >> (4 * (digits - 1 - i))) & 15];
	line[digits] = '\r';
	line[digits + 1] = '\n';
	return digits + 2;
}

static void
write_piece(struct talk *t, lz_str bytes, lz_str after)
{
	char line[SIZE_LINE];
	struct iovec part[CONN_PARTS];
	int count = 1;

	if (t->has_no_body) {
		exchange_flush(&t->x);
		return;
	}
	if (t->is_chunked && bytes.len > 0)
		part[count++] = part_of(lz_strn(line, size_line(bytes.len, line)));
	if (bytes.len > 0)
		part[count++] = part_of(bytes);
	if (t->is_chunked)
		part[count++] = part_of(after);
	if (count > 1)
		conn_write(t->c, part, count);
}

bool
exchange_write(struct exchange *x, lz_str bytes)
{
	struct talk *t = talk_of(x);

	if (x->is_over)
		return true;
	must(t->is_stream);
	if (bytes.len > 0)
		write_piece(t, bytes, STR_LIT("\r\n"));
	if (conn_unsent(t->c) <= t->c->s->limits->out_high_bytes)
		return true;
	t->c->was_full = true;
	return false;
}

void
exchange_flush(struct exchange *x)
{
	struct conn *c = talk_of(x)->c;
	struct iovec part[CONN_PARTS];

	if (!x->is_over && conn_unsent(c) > 0)
		conn_write(c, part, 1);
}

void
exchange_finish(struct exchange *x, lz_str last)
{
	struct talk *t = talk_of(x);
	struct conn *c = t->c;

	if (x->is_over)
		return;
	must(t->is_stream);
	write_piece(
	    t, last, last.len > 0 ? STR_LIT("\r\n0\r\n\r\n") : STR_LIT("0\r\n\r\n"));
	exchange_flush(x);
	answered(c);
}

void
exchange_end(struct exchange *x)
{
	exchange_finish(x, STR_NONE);
}

void
exchange_cut(struct exchange *x)
{
	struct talk *t = talk_of(x);
	struct conn *c = t->c;

	if (x->is_over)
		return;
	talk_end(t);
	conn_reset(c);
}

size_t
exchange_unsent(const struct exchange *x)
{
	const struct talk *t = (const struct talk *)x;

	return x->is_over ? 0 : conn_unsent(t->c);
}

void
exchange_drop_body(struct exchange *x)
{
	buf_free(&x->body);
}
