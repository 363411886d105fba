/* provider_h2.c - the little of HTTP/2 that a misbehaving provider needs: frames.
 *
 * Heads of requests are not decoded, only counted; answers use HPACK's static table and
 * literals. A well-behaved server is nghttpd's affair (test_http2_server.c).
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

enum {
	FRAME_HEAD = 9,
	MAX_STREAMS_SETTING = 3
};

static uint32_t
get32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

void
h2_say(struct line *l, enum h2_type type, unsigned flags, uint32_t stream, const void *p,
    size_t n)
{
	char frame[FRAME_HEAD + 16384];

	assert_true(n <= 16384);
	frame[0] = (char)(n >> 16);
	frame[1] = (char)(n >> 8);
	frame[2] = (char)n;
	frame[3] = (char)type;
	frame[4] = (char)flags;
	frame[5] = (char)(stream >> 24);
	frame[6] = (char)(stream >> 16);
	frame[7] = (char)(stream >> 8);
	frame[8] = (char)stream;
	if (n > 0)
		memcpy(frame + FRAME_HEAD, p, n);
	say_n(l, frame, FRAME_HEAD + n);
}

static bool
have(struct line *l, size_t n)
{
	while (l->in.len < n)
		if (!line_more(l))
			return false;
	return true;
}

bool
h2_begin(struct line *l, unsigned max_streams)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	char setting[6] = { 0, MAX_STREAMS_SETTING, 0, 0, (char)(max_streams >> 8),
		(char)max_streams };

	if (!have(l, 24))
		return false;
	assert_memory_equal(l->in.ptr, preface, 24);
	buf_take(&l->in, 24);
	h2_say(l, H2_SETTINGS, 0, 0, setting, max_streams > 0 ? 6 : 0);
	return true;
}

static void
answer_housekeeping(struct line *l, const struct h2_frame *f)
{
	char update[4] = { (char)(f->len >> 24), (char)(f->len >> 16),
		(char)(f->len >> 8), (char)f->len };

	if (f->type == H2_SETTINGS && (f->flags & H2_ACK) == 0)
		h2_say(l, H2_SETTINGS, H2_ACK, 0, NULL, 0);
	if (f->type == H2_PING && (f->flags & H2_ACK) == 0)
		h2_say(l, H2_PING, H2_ACK, 0, l->body.ptr, 8);
	if (f->type == H2_DATA && f->len > 0) {
		h2_say(l, H2_WINDOW_UPDATE, 0, 0, update, 4);
		if ((f->flags & H2_END_STREAM) == 0)
			h2_say(l, H2_WINDOW_UPDATE, 0, f->stream, update, 4);
	}
}

bool
h2_hear(struct line *l, struct h2_frame *f)
{
	if (!have(l, FRAME_HEAD))
		return false;
	f->len = get32(l->in.ptr) >> 8;
	f->type = (enum h2_type)l->in.ptr[3];
	f->flags = (unsigned char)l->in.ptr[4];
	f->stream = get32(l->in.ptr + 5) & 0x7fffffff;
	if (!have(l, FRAME_HEAD + f->len))
		return false;
	buf_reset(&l->body);
	buf_add(&l->body, l->in.ptr + FRAME_HEAD, f->len);
	buf_take(&l->in, FRAME_HEAD + f->len);
	if (f->type == H2_HEADERS)
		atomic_fetch_add(&l->p->requests, 1);
	answer_housekeeping(l, f);
	return true;
}

bool
h2_hear_request(struct line *l, uint32_t *stream)
{
	struct h2_frame f;

	do
		if (!h2_hear(l, &f))
			return false;
	while ((f.type != H2_HEADERS && f.type != H2_DATA) ||
	       (f.flags & H2_END_STREAM) == 0);
	*stream = f.stream;
	return true;
}

void
h2_head(struct line *l, uint32_t stream, unsigned flags, const char *fields)
{
	char block[8192];
	size_t n = 0;

	block[n++] = (char)0x88;  /* :status 200 */
	while (*fields != '\0') { /* "name\0value\0": literal, never indexed */
		unsigned i;

		block[n++] = 0x10;
		for (i = 0; i < 2; i++) {
			size_t len = strlen(fields);

			assert_true(len < 127);
			block[n++] = (char)len;
			memcpy(block + n, fields, len);
			n += len;
			fields += len + 1;
		}
	}
	h2_say(l, H2_HEADERS, flags | H2_END_HEADERS, stream, block, n);
}

void
h2_data(struct line *l, uint32_t stream, unsigned flags, const char *text)
{
	h2_say(l, H2_DATA, flags, stream, text, strlen(text));
}

void
h2_ok(struct line *l, uint32_t stream)
{
	h2_head(l, stream, 0, "");
	h2_data(l, stream, H2_END_STREAM, "ok");
}

void
h2_reset(struct line *l, uint32_t stream, unsigned code)
{
	char payload[4] = { 0, 0, 0, (char)code };

	h2_say(l, H2_RST_STREAM, 0, stream, payload, 4);
}

void
h2_goaway(struct line *l, uint32_t last, unsigned code)
{
	char payload[8] = { 0, 0, (char)(last >> 8), (char)last, 0, 0, 0, (char)code };

	h2_say(l, H2_GOAWAY, 0, 0, payload, 8);
}
