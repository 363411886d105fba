/* segment.h - where the strings of a document's texts stand: what document.c finds and
 * splice.c puts back.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_SEGMENT_H
#define GUARD_SEGMENT_H

#include "guard/document.h"

/* Arguments of a tool call: JSON inside a string. */
struct container {
	lz_str raw;     /* in the document, with its quotes */
	lz_str decoded; /* in the arena */
	struct container *next;
};

struct segment {
	lz_str raw; /* a string with its quotes, or a number; in the document, or its
		       container */
	size_t end; /* in the text as it is now */
	struct container *container; /* NULL: it stands in the document */
	lz_str attached;             /* it is base64, behind this; absent: it is not */
};

struct text_source {
	struct segment *item;
	size_t count, room;
	lz_str logprobs; /* of its choice: a value in the document */
};

#endif
