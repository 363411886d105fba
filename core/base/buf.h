/* buf.h - a growing run of bytes that knows its maximum.
 *
 * A buffer cannot be made without a maximum. An append that does not fit sets `failed`
 * and changes nothing else, and every later append is refused, so that a writer may
 * append many times and look once.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/status.h"
#include "base/str.h"

struct buf {
	char *ptr;
	size_t len, cap, max_bytes;
	bool failed;
};

void buf_init(struct buf *b, size_t max_bytes); /* allocates nothing yet */
void buf_free(struct buf *b);  /* and leaves it empty with the same maximum */
void buf_reset(struct buf *b); /* empty, memory kept, `failed` cleared */
/* Makes room for n more bytes and returns where they go; NULL and `failed` when it
 * cannot. */
char *buf_room(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, lz_str s);
void buf_add_z(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_add_int(struct buf *b, int64_t v); /* decimal */
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The string as a JSON string, quotes included; invalid UTF-8 becomes U+FFFD. */
void buf_add_json(struct buf *b, lz_str s);
/* As one segment of a URL: all but letters, digits and -._~ as %XX. */
void buf_add_percent(struct buf *b, lz_str s);
/* Nano-units as a decimal of the unit: 1500000000 -> "1.5", -1 -> "-0.000000001". */
void buf_add_nano(struct buf *b, int64_t nano);
/* Drops the first n bytes. */
void buf_take(struct buf *b, size_t n);
static inline lz_str
buf_str(const struct buf *b)
{
	return lz_strn(b->ptr, b->len);
}

#endif
