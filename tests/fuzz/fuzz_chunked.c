/* fuzz_chunked.c - a chunked body, whole, in pieces and byte by byte: the same verdict
 * and the same bytes as a reader finds that has all of it before it and goes by lines.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "base/buf.h"
#include "net/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	BODY_BYTES = 1 << 16,
	SINGLE_BYTES = 512 /* longer ones are not fed byte by byte */
};

struct outcome {
	enum http_verdict verdict;
	size_t used;
	struct buf body;
};

/* ---- the reference ---- */

struct model {
	lz_str rest;
	size_t overhead, total;
	struct outcome *o;
};

static bool
is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* HTTP_MORE: the line has no end yet. HTTP_BAD: a lone CR or LF, a control byte, or more
 * framing than a body may have. */
static enum http_verdict
take_line(struct model *m, lz_str *line)
{
	size_t n = 0;

	while (n < m->rest.len && !is_control(m->rest.ptr[n]))
		n++;
	if (m->overhead + n > HTTP_HEAD_BYTES + m->total + 1)
		return HTTP_BAD;
	if (n == m->rest.len || (n + 1 == m->rest.len && m->rest.ptr[n] == '\r'))
		return HTTP_MORE;
	if (m->rest.ptr[n] != '\r' || m->rest.ptr[n + 1] != '\n')
		return HTTP_BAD;
	*line = lz_strn(m->rest.ptr, n);
	m->rest = str_cut(m->rest, n + 2, m->rest.len);
	m->overhead += n + 2;
	return m->overhead > HTTP_HEAD_BYTES + m->total + 1 ? HTTP_BAD : HTTP_DONE;
}

static bool
parse_size(lz_str line, size_t *size)
{
	ptrdiff_t semicolon = str_find(line, ';');
	lz_str number = semicolon < 0 ? line : str_cut(line, 0, (size_t)semicolon);
	char digits[9] = "";
	char *end;

	if (number.len == 0 || number.len > 8)
		return false;
	memcpy(digits, number.ptr, number.len);
	if (strspn(digits, "0123456789abcdefABCDEF") != number.len)
		return false;
	*size = strtoul(digits, &end, 16);
	return semicolon < 0 || line.len - (size_t)semicolon - 1 <= 64;
}

static bool
is_trailer(lz_str line)
{
	static const char *const never[] = { "content-length", "transfer-encoding",
		"host", "authorization" };
	static const char marks[] = "!#$%&'*+-.^_`|~";
	ptrdiff_t colon = str_find(line, ':');
	size_t i;

	if (colon <= 0)
		return false;
	for (i = 0; i < (size_t)colon; i++) {
		char c = line.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || (c != '\0' && strchr(marks, c))))
			return false;
	}
	for (i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (str_is_nocase(str_cut(line, 0, (size_t)colon), never[i]))
			return false;
	}
	return true;
}

static enum http_verdict
take_trailers(struct model *m)
{
	enum http_verdict v;
	lz_str line;

	while ((v = take_line(m, &line)) == HTTP_DONE && line.len > 0) {
		if (!is_trailer(line))
			return HTTP_BAD;
	}
	return v;
}

/* One chunk. *is_last: it was the one of size 0. */
static enum http_verdict
take_chunk(struct model *m, bool *is_last)
{
	enum http_verdict v;
	size_t size, here;
	lz_str line;

	*is_last = false;
	v = take_line(m, &line);
	if (v != HTTP_DONE)
		return v;
	if (!parse_size(line, &size))
		return HTTP_BAD;
	if (size == 0) {
		*is_last = true;
		return take_trailers(m);
	}
	here = size < m->rest.len ? size : m->rest.len;
	buf_add(&m->o->body, m->rest.ptr, here);
	m->rest = str_cut(m->rest, here, m->rest.len);
	m->total += here;
	if (here < size)
		return HTTP_MORE;
	v = take_line(m, &line);
	return v == HTTP_DONE && line.len > 0 ? HTTP_BAD : v;
}

static void
read_by_lines(struct outcome *o, lz_str data)
{
	struct model m = { .rest = data, .o = o };
	bool is_last;

	do
		o->verdict = take_chunk(&m, &is_last);
	while (o->verdict == HTTP_DONE && !is_last);
	o->used = data.len - m.rest.len;
}

/* ---- the real one ---- */

/* cut 0: one piece; 1: byte by byte; else pieces end behind bytes divisible by it. Each
 * piece of a short body is memory of its own. */
static size_t
piece_from(lz_str data, size_t at, unsigned cut)
{
	size_t to = at + 1;

	while (to < data.len && cut != 1 &&
	       (cut == 0 || (unsigned char)data.ptr[to - 1] % cut != 0))
		to++;
	return to - at;
}

static enum http_verdict
feed(struct outcome *o, struct http_chunked *c, const char *piece, size_t len)
{
	struct http_refusal why = { 0, NULL };
	enum http_verdict v;
	size_t at = 0, used;
	lz_str run;

	do {
		v = http1_chunked(c, piece + at, len - at, &used, &run, &why);
		if (v == HTTP_BAD) {
			must(why.status == 400 && why.why != NULL);
			return v;
		}
		must(used <= len - at);
		must(run.len == 0 ||
		     (run.ptr >= piece && run.ptr + run.len <= piece + len));
		buf_add_str(&o->body, run);
		at += used;
		o->used += used;
	} while (v == HTTP_MORE && at < len);
	return v;
}

static void
read_in_pieces(struct outcome *o, lz_str data, unsigned cut)
{
	struct http_chunked c;
	size_t at = 0;

	memset(&c, 0, sizeof(c));
	o->verdict = HTTP_MORE;
	while (at < data.len && o->verdict == HTTP_MORE) {
		size_t n = piece_from(data, at, cut);
		const char *from = data.ptr + at;
		char *own = data.len <= SINGLE_BYTES ? malloc(n) : NULL;

		if (own != NULL)
			from = memcpy(own, from, n);
		o->verdict = feed(o, &c, from, n);
		free(own);
		at += n;
	}
	must(c.total == o->body.len || o->verdict == HTTP_BAD);
	must(c.overhead <= HTTP_HEAD_BYTES + c.total + 2);
}

/* A line that is wrong is refused by the real one at its first wrong byte, by the
 * reference when it is whole. */
static void
compare(const struct outcome *real, const struct outcome *model)
{
	if (model->verdict == HTTP_MORE) {
		must(real->verdict != HTTP_DONE);
		return;
	}
	must(real->verdict == model->verdict);
	if (model->verdict == HTTP_DONE)
		must(real->used == model->used);
	must(real->verdict == HTTP_BAD ||
	     str_eq(buf_str(&real->body), buf_str(&model->body)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned cuts[] = { 0, 13, 5, 1 };
	lz_str bytes = lz_strn((const char *)data, size);
	struct outcome model, whole, real;
	size_t i, n = sizeof(cuts) / sizeof(cuts[0]) - (size > SINGLE_BYTES);

	if (size == 0 || size > BODY_BYTES)
		return 0;
	buf_init(&model.body, BODY_BYTES);
	read_by_lines(&model, bytes);
	for (i = 0; i < n; i++) {
		struct outcome *o = i == 0 ? &whole : &real;

		*o = (struct outcome){ .used = 0 };
		buf_init(&o->body, BODY_BYTES);
		read_in_pieces(o, bytes, cuts[i]);
		compare(o, &model);
		must(o->verdict == whole.verdict);
		if (i > 0)
			buf_free(&o->body);
	}
	buf_free(&whole.body);
	buf_free(&model.body);
	return 0;
}
