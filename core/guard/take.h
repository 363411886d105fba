/* take.h - strings of a document become texts: one each, or several that are one; numbers
 * and files, too. Each is a segment: where it stands, and where it ends in its text.
 *
 * Strings come raw, with their quotes, out of bytes that the scanner has passed. What
 * lacks memory says so in the walk and takes nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_TAKE_H
#define GUARD_TAKE_H

#include "guard/segment.h"

enum {
	TAKE_CALLS = 128 /* tool calls whose names are remembered for their results */
};

/* What is known of the place that the walk is at. */
struct place {
	uint32_t kind, message, choice;
	lz_str role, name;
	lz_str logprobs;
};

struct walk {
	struct document *d;
	struct {
		lz_str id, name;
	} call[TAKE_CALLS];
	size_t call_count;
	bool is_dry;
};

/* A text that grows part by part: `begun` is its place in the list, -1: there is none. */
struct joining {
	ptrdiff_t begun;
	struct buf text;
};

/* Without its quotes; as it is written. */
static inline lz_str
take_inside(lz_str raw)
{
	return str_cut(raw, 1, raw.len - 1);
}

/* What a string says; "" where memory lacks. */
lz_str take_decoded(struct walk *w, lz_str raw);
/* One string, one text; an empty one says nothing. in: the arguments that it stands in;
 * NULL: none. */
void take_string(struct walk *w, const struct place *p, lz_str raw, struct container *in);
/* A number that is long enough to be somebody's. What is made of it is a string. */
void take_number(struct walk *w, const struct place *p, lz_str raw, struct container *in);
/* A file of text is shown as one. false: the string is none. */
bool take_attached(struct walk *w, const struct place *p, lz_str raw, bool is_file);
/* A string goes on with the text that joins them. */
void take_part(struct walk *w, const struct place *p, lz_str raw, struct joining *j);
void take_parts_end(struct walk *w, struct joining *j);

#endif
