/* content.h - a conversation on its way out, for content.c and parts.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GOOGLE_CONTENT_H
#define GOOGLE_CONTENT_H

#include "google.h"

/* One call of the history. */
struct known {
	lz_str id, name;
};

struct conversation {
	struct work *w;
	lz_json *system; /* parts; NULL: none yet */
	lz_json *contents;
	lz_json *parts;   /* of the content at hand */
	lz_json *last;    /* of these */
	lz_json *results; /* parts of the last content, if results of tools are in it */
	struct known *table; /* open addressing; size is a power of 2 */
	size_t size;
	uint32_t seed;
};

/* ---- content.c ---- */
/* The messages are wrong; or another provider could serve them. */
void content_wrong(struct conversation *v, const char *message);
void content_unable(struct conversation *v, const char *message);

/* ---- parts.c: of the content at hand, v->parts ---- */
lz_json *part_new(struct conversation *v);
/* A part that says nothing is none. */
void part_text(struct conversation *v, const lz_json *text);
/* A message's content: a text, or a list of parts. */
void parts_of(struct conversation *v, const lz_json *content);

#endif
