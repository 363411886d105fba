/* fuzz_http1.c - a request, whole and in pieces: the same verdict, the same body, nothing
 * outside its bounds.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "net/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum http_verdict head, body;
	size_t head_bytes, body_bytes;
	uint64_t sum; /* of the body's bytes, by their place */
};

static void
add_run(struct outcome *o, lz_str run)
{
	size_t i;

	for (i = 0; i < run.len; i++)
		o->sum = o->sum * 31 + (unsigned char)run.ptr[i];
	o->body_bytes += run.len;
}

static void
read_body(struct outcome *o, const char *p, size_t len, size_t step)
{
	struct http_chunked c = { 0 };
	struct http_refusal why;
	size_t at = 0, used;
	lz_str run;

	o->body = HTTP_MORE;
	while (at < len && o->body == HTTP_MORE) {
		size_t n = len - at < step ? len - at : step;

		o->body = http1_chunked(&c, p + at, n, &used, &run, &why);
		if (o->body == HTTP_BAD)
			return;
		add_run(o, run);
		at += used;
	}
}

static void
check_head(const struct http_head *h, const char *p, size_t used)
{
	size_t i;

	must(h->path.len > 0 && h->path.ptr[0] == '/');
	must(!h->is_chunked || h->content_length < 0);
	must(h->minor == 0 || h->host.len > 0);
	for (i = 0; i < h->field_count; i++) {
		must(http1_field_is_clean(&h->field[i]));
		must(h->field[i].name.ptr > p);
		must(h->field[i].value.ptr + h->field[i].value.len < p + used);
	}
}

/* Each look sees memory that ends where its bytes do. */
static struct outcome
read_request(const uint8_t *data, size_t size, size_t step)
{
	static struct http_head h;
	struct outcome o = { .head = HTTP_MORE };
	struct http_refusal why = { 0 };
	size_t n = 0, searched = 0;
	char *p = NULL;

	while (n < size && o.head == HTTP_MORE) {
		n = size - n < step ? size : n + step;
		free(p);
		p = malloc(n);
		must(p != NULL);
		memcpy(p, data, n);
		o.head = http1_parse_head(
		    p, n, HTTP_HEAD_BYTES, &searched, &h, &o.head_bytes, &why);
	}
	must(o.head != HTTP_BAD || (why.status >= 400 && why.why != NULL));
	if (o.head == HTTP_DONE) {
		check_head(&h, p, o.head_bytes);
		if (h.is_chunked)
			read_body(&o, (const char *)data + o.head_bytes,
			    size - o.head_bytes, step);
	}
	free(p);
	return o;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, pieces;

	if (size == 0 || size > HTTP_HEAD_BYTES)
		return 0;
	whole = read_request(data, size, size);
	pieces = read_request(data, size, 1 + size / 7);
	must(whole.head == pieces.head);
	if (whole.head == HTTP_DONE) {
		must(whole.head_bytes == pieces.head_bytes);
		must(whole.body == pieces.body);
		must(whole.body == HTTP_BAD ||
		     (whole.body_bytes == pieces.body_bytes && whole.sum == pieces.sum));
	}
	return 0;
}
