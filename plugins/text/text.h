/* text.h - a text that grows, in memory of the host's: what providers share that put
 * several strings together. What was outgrown stays where it is until that memory goes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEXT_H
#define TEXT_H

#include <latenza/plugin.h>

enum {
	TEXT_ROOM = 256 /* more than is asked for, at least */
};

/* Zeroed: empty. */
struct text {
	char *ptr;
	size_t len, room;
	int has_failed; /* out of memory once: it is not all there */
};

/* [worker] Adds s, in memory of lz->alloc: the call's, or of lz->keep: the attempt's. */
static inline void
text_add(lz_call *c, struct text *t, lz_str s, void *(*memory)(lz_call *c, size_t n))
{
	if (s.len > t->room - t->len) {
		size_t room = (t->len + s.len) * 2 + TEXT_ROOM;
		char *p = memory(c, room);

		if (p == NULL) {
			t->has_failed = 1;
			return;
		}
		if (t->len > 0)
			memcpy(p, t->ptr, t->len);
		t->ptr = p;
		t->room = room;
	}
	if (s.len > 0)
		memcpy(t->ptr + t->len, s.ptr, s.len);
	t->len += s.len;
}

/* Never absent. */
static inline lz_str
text_str(const struct text *t)
{
	return lz_strn(t->len > 0 ? t->ptr : "", t->len);
}

#endif
