/* fuzz_http1.c - a request's head: the same verdict whole and in pieces, nothing outside
 * its bounds; and what is taken has one reading, which a reader that knows no strictness
 * shares.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "base/buf.h"
#include "net/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	SINGLE_BYTES = 600 /* longer heads are not fed byte by byte */
};

struct outcome {
	enum http_verdict verdict;
	struct http_refusal why;
	size_t used;
	struct http_head head; /* points into `bytes`, and to `field` */
	struct http_field field[HTTP_FIELDS];
	char *bytes;
};

/* Each look sees memory that ends where its bytes do. */
static void
read_head(struct outcome *o, const char *data, size_t size, size_t step)
{
	size_t n = 0, searched = 0;

	o->verdict = HTTP_MORE;
	o->why = (struct http_refusal){ 0, NULL };
	o->used = 0;
	o->bytes = NULL;
	o->head.field = o->field;
	while (n < size && o->verdict == HTTP_MORE) {
		n = size - n < step ? size : n + step;
		free(o->bytes);
		o->bytes = malloc(n);
		must(o->bytes != NULL);
		memcpy(o->bytes, data, n);
		o->verdict = http1_parse_head(
		    o->bytes, n, HTTP_HEAD_BYTES, &searched, &o->head, &o->used, &o->why);
	}
	must(o->verdict != HTTP_BAD || (o->why.status >= 400 && o->why.why != NULL));
	must(o->verdict != HTTP_DONE || (o->used > 0 && o->used <= size));
}

/* ---- the other reader: lines by CR LF, the name before the first colon ---- */

static lz_str
next_line(lz_str *rest)
{
	size_t n = 0;
	lz_str line;

	while (n + 1 < rest->len && !(rest->ptr[n] == '\r' && rest->ptr[n + 1] == '\n'))
		n++;
	must(n + 1 < rest->len);
	line = lz_strn(rest->ptr, n);
	*rest = str_cut(*rest, n + 2, rest->len);
	return line;
}

static void
check_no_control(lz_str line)
{
	size_t i;

	for (i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.ptr[i];

		must((c >= 0x20 && c != 0x7f) || c == '\t');
	}
}

static void
check_field(const struct http_field *f, lz_str line)
{
	ptrdiff_t colon = str_find(line, ':');

	must(colon > 0);
	check_no_control(line);
	must(http1_field_is_clean(f));
	must(str_eq(f->name, str_cut(line, 0, (size_t)colon)));
	must(str_eq(f->value, str_trim(str_cut(line, (size_t)colon + 1, line.len))));
}

/* What frames the body, from the fields alone. */
static void
check_framing(const struct http_head *h)
{
	unsigned lengths = http1_field_count(h, "content-length");
	unsigned codings = http1_field_count(h, "transfer-encoding");
	const lz_str *coding = http1_field(h, "transfer-encoding");
	int64_t length = -1;

	must(lengths + codings <= 1);
	must(http1_field_count(h, "host") <= 1);
	must(http1_field_count(h, "host") == 1 || h->minor == 0);
	if (lengths == 1)
		must(str_to_int(*http1_field(h, "content-length"), INT64_MAX, &length));
	must(length == h->content_length);
	must(h->is_chunked == (codings == 1));
	must(coding == NULL || str_is_nocase(*coding, "chunked"));
	must(!(h->keep_alive && h->wants_close));
}

static void
check_head(const struct outcome *o)
{
	const struct http_head *h = &o->head;
	lz_str rest = lz_strn(o->bytes, o->used), line;
	size_t i;

	line = next_line(&rest);
	if (line.len == 0)
		line = next_line(&rest);
	check_no_control(line);
	must(h->path.len > 0 && h->path.ptr[0] == '/');
	must(str_ends(line, h->minor == 1 ? " HTTP/1.1" : " HTTP/1.0"));
	for (i = 0; i < h->field_count; i++)
		check_field(&h->field[i], next_line(&rest));
	must(next_line(&rest).len == 0 && rest.len == 0);
	check_framing(h);
}

/* ---- written again, it reads the same ---- */

static void
write_head(struct buf *b, const struct outcome *o)
{
	const struct http_head *h = &o->head;
	lz_str bytes = lz_strn(o->bytes, o->used), line = next_line(&bytes);
	size_t i;

	if (line.len == 0)
		line = next_line(&bytes);
	buf_add_str(b, str_cut(line, 0, (size_t)str_find(line, ' ') + 1));
	buf_add_str(b, h->path);
	if (h->query.len > 0) {
		buf_add_char(b, '?');
		buf_add_str(b, h->query);
	}
	buf_addf(b, " HTTP/1.%u\r\n", h->minor);
	for (i = 0; i < h->field_count; i++) {
		buf_add_str(b, h->field[i].name);
		buf_add_char(b, ':');
		buf_add_str(b, h->field[i].value);
		buf_add(b, "\r\n", 2);
	}
	buf_add(b, "\r\n", 2);
}

static void
compare_heads(const struct http_head *a, const struct http_head *b)
{
	size_t i;

	must(a->method == b->method && a->minor == b->minor);
	must(str_eq(a->path, b->path) && str_eq(a->query, b->query));
	must(str_eq(a->host, b->host));
	must(a->is_chunked == b->is_chunked && a->keep_alive == b->keep_alive &&
	     a->wants_close == b->wants_close &&
	     a->expects_continue == b->expects_continue &&
	     a->content_length == b->content_length && a->field_count == b->field_count);
	for (i = 0; i < a->field_count; i++)
		must(str_eq(a->field[i].name, b->field[i].name) &&
		     str_eq(a->field[i].value, b->field[i].value));
}

static void
check_round_trip(const struct outcome *o)
{
	static struct outcome again;
	struct buf b;

	buf_init(&b, 2 * HTTP_HEAD_BYTES);
	write_head(&b, o);
	must(!b.failed);
	read_head(&again, b.ptr, b.len, b.len);
	must(again.verdict == HTTP_DONE && again.used == b.len);
	compare_heads(&o->head, &again.head);
	free(again.bytes);
	buf_free(&b);
}

static void
check_pieces(const struct outcome *whole, const char *data, size_t size, size_t step)
{
	static struct outcome pieces;

	read_head(&pieces, data, size, step);
	must(whole->verdict == pieces.verdict && whole->used == pieces.used);
	if (whole->verdict == HTTP_DONE)
		compare_heads(&whole->head, &pieces.head);
	free(pieces.bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct outcome whole;
	const char *bytes = (const char *)data;

	if (size == 0 || size > HTTP_HEAD_BYTES)
		return 0;
	read_head(&whole, bytes, size, size);
	if (whole.verdict == HTTP_DONE) {
		check_head(&whole);
		check_round_trip(&whole);
	}
	check_pieces(&whole, bytes, size, 1 + size / 7);
	if (size <= SINGLE_BYTES)
		check_pieces(&whole, bytes, size, 1);
	free(whole.bytes);
	return 0;
}
