/* texts.h - the texts that a guardrail is shown, and what it asked to be done to them.
 *
 * A text is a prompt, an answer, a tool's argument or result, wherever the JSON of an
 * endpoint has it. guard/ finds the texts and carries out what was asked; plugin/ shows
 * them to a component and notes here what it says, checked: offsets lie inside the text,
 * at characters, behind what is out already, and edits do not overlap. [worker]
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REQUEST_TEXTS_H
#define REQUEST_TEXTS_H

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

/* Bytes [from, to) of a text, and what stands there instead. */
struct text_edit {
	size_t from, to;
	lz_str with;
	bool is_reveal; /* for the client's eyes only */
};

struct text_edits {
	struct text_edit *item; /* by rising `from` */
	size_t count, room;
};

struct text_source; /* guard/'s: where in a document it stands */

struct text {
	lz_text shown; /* `plain` is made when it is asked for: text_plain() */
	bool has_plain;
	size_t decided; /* what of it `plain` speaks for; SIZE_MAX: nobody asked */
	const uint32_t *origin; /* of `plain`, its length and one entries; NULL: it is
				   the text itself */
	struct text_edits edits;
	size_t hold_from; /* SIZE_MAX: nothing is held */
	/* What the client sees instead of parts of it; no guardrail, trace or log does.
	 */
	struct text_edits marks;
	struct text_source *source;
	bool is_changed;
};

struct texts {
	struct arena *arena; /* borrowed; what is noted lives in it */
	struct text *item;
	size_t count, room;
};

enum {
	TEXT_NO_MESSAGE = -1 /* lz_text.message of what belongs to none: all bits set */
};

/* A new one at the end, zeroed but for its size; NULL: out of memory. */
struct text *texts_add(struct texts *t);
/* The list goes on elsewhere: what was shown of it stays as it is. false: out of memory.
 */
bool texts_move(struct texts *t);
/* Forgets what was asked of them. */
void texts_begin_check(struct texts *t);

/* lz->replace(), lz->reveal(): LZ_OK, LZ_E_INVALID, LZ_E_NOMEM. `with` is copied. */
int32_t text_replace(struct texts *all, struct text *t, size_t from, size_t to,
    lz_str with, bool is_reveal);
/* lz->hold(). On a text that is final nothing can be held: LZ_OK, and nothing happens. */
int32_t text_hold(struct text *t, size_t from);
/* The normalised form: lz_text.plain is filled in. false: out of memory. */
bool text_plain(struct texts *all, struct text *t);
/* lz->origin() */
size_t text_origin(const struct text *t, size_t at);
/* Is it the beginning of a character, or the end? */
bool text_is_edge(lz_str s, size_t at);

/* The first `upto` bytes of a text with the edits that lie in them carried out, from
 * `start` on: appended to what? A view in the arena, with the marks that lie in it moved
 * along into *marks (of the text before and those that the edits make). STR_NONE: out of
 * memory. */
lz_str text_apply(struct texts *all, const struct text *t, size_t start, size_t upto,
    struct text_edits *marks);
/* Notes one more edit in the order of the list. false: out of memory. */
bool text_edits_add(struct arena *a, struct text_edits *list, struct text_edit e);
/* text[from, to) as the client sees it: with the marks that begin there. STR_NONE: out of
 * memory. */
lz_str text_revealed(
    struct arena *a, lz_str text, const struct text_edits *marks, size_t from, size_t to);

#endif
