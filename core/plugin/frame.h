/* frame.h - how a provider's stream falls into events: the framings of the SDK behind one
 * door.
 *
 * LZ_SSE is net/sse's work. LZ_JSON_LINES: a line is an event, empty ones are none.
 * LZ_JSON_ARRAY: each object (or array) of one large JSON array is an event, given as
 * soon as it is whole; a document that is one object instead of an array is one event.
 * Only brackets and quotes are looked at: whether an event is JSON, its reader will see.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLUGIN_FRAME_H
#define PLUGIN_FRAME_H

#include "net/sse.h"

struct frame {
	uint32_t framing; /* LZ_SSE, ... */
	struct sse sse;
	struct buf piece; /* an unfinished event */
	unsigned depth;   /* open brackets inside it */
	bool is_in_string, is_escaped, has_begun, is_after_array;
};

void frame_init(struct frame *f, uint32_t framing, size_t max_event_bytes);
void frame_free(struct frame *f);
/* As sse_feed(): calls fn for each event that these bytes complete; events of JSON have
 * no name. ST_INVALID: an array that holds something else than objects and arrays, or
 * bytes behind it. */
enum status frame_feed(struct frame *f, lz_str bytes,
    bool (*fn)(void *arg, const struct sse_event *ev), void *arg) MUST_CHECK;
/* The stream is over: a last line needs no newline. false: it ended inside an event. */
bool frame_end(
    struct frame *f, bool (*fn)(void *arg, const struct sse_event *ev), void *arg);

/* A stream of events held a document that is in none of them. */
bool frame_has_stray(const struct frame *f);

#endif
