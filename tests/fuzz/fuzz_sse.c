/* fuzz_sse.c - an event stream, whole and cut at places that the input chooses: the same
 * events.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "net/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	EVENT_BYTES = 512
};

static bool
write_down(void *arg, const struct sse_event *ev)
{
	struct buf *b = arg;

	must(str_is_utf8(ev->data));
	buf_addf(b, "%zu %zu %zu ", ev->name.len, ev->data.len, ev->id.len);
	buf_add_str(b, ev->name);
	buf_add_str(b, ev->data);
	buf_add_str(b, ev->id);
	return true;
}

/* cut: pieces end where a byte of the input is divisible by it; 0: one piece. */
static enum status
feed(const uint8_t *data, size_t size, unsigned cut, struct buf *events)
{
	struct sse s;
	enum status st = ST_OK;
	size_t from = 0, to;

	sse_init(&s, EVENT_BYTES);
	while (from < size && st == ST_OK) {
		char *piece;

		to = from + 1;
		while (to < size && (cut == 0 || data[to] % cut != 0))
			to++;
		piece = malloc(to - from);
		must(piece != NULL);
		memcpy(piece, data + from, to - from);
		st = sse_feed(&s, lz_strn(piece, to - from), write_down, events);
		free(piece);
		from = to;
	}
	sse_free(&s);
	return st;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, cut;
	unsigned by;

	if (size > 1 << 16)
		return 0;
	buf_init(&whole, 1 << 20);
	buf_init(&cut, 1 << 20);
	for (by = 0; by < 5; by++) {
		struct buf *b = by == 0 ? &whole : &cut;
		enum status st;

		buf_reset(b);
		st = feed(data, size, by, b);
		must(st == ST_OK || st == ST_LIMIT);
		must(by == 0 || whole.failed || cut.failed ||
		     str_eq(buf_str(&whole), buf_str(&cut)));
	}
	buf_free(&whole);
	buf_free(&cut);
	return 0;
}
