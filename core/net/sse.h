/* sse.h - text/event-stream, parsed incrementally by the WHATWG algorithm.
 *
 * Events come out the same however the bytes are cut. Bounded: an event larger than the
 * maximum is an error.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_SSE_H
#define NET_SSE_H

#include "base/buf.h"

enum {
	SSE_EVENT_BYTES = 1 << 20
};

/* Zeroed or after sse_free(): empty. The fields are sse.c's own. */
struct sse {
	struct buf line; /* an unfinished line from earlier bytes */
	struct buf data; /* data of the event at hand, unless it is one line that still
			    stands in the fed bytes */
	lz_str first;    /* that line's data */
	size_t max_bytes;
	unsigned flags;
	unsigned bom; /* bytes of a byte order mark matched at the very beginning */
	size_t name_len, id_len;
	char name_room[64]; /* event names longer than this are cut */
	char id_room[128];  /* so are ids */
};

struct sse_event {
	lz_str name; /* "message" when not given */
	lz_str data; /* lines joined by \n; may be empty */
	lz_str id;   /* last event id */
};

void sse_init(struct sse *s, size_t max_event_bytes);
void sse_free(struct sse *s);
/* Calls fn for each event that these bytes complete, in order; the views live during the
 * call. fn returns false to stop (the rest of the bytes is dropped). ST_LIMIT: an event
 * is too large; ST_NOMEM. */
enum status sse_feed(struct sse *s, lz_str bytes,
    bool (*fn)(void *arg, const struct sse_event *ev), void *arg) MUST_CHECK;
/* Is there an unfinished event: a name, data or part of a line since the last blank line?
 */
bool sse_is_pending(const struct sse *s);
/* Did a line begin with a brace? It is no field, so it was ignored; but whoever sends one
 * meant to say something, as a rule an error. */
bool sse_has_stray(const struct sse *s);

#endif
