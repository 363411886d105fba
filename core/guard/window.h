/* window.h - one guardrail's sight of one channel of an answer that grows.
 *
 * A window holds what the guardrail let through last, as context; what it held; what is
 * new. It moves on by what the guardrail lets through, and its marks move with the text.
 * [worker]
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_WINDOW_H
#define GUARD_WINDOW_H

#include "base/buf.h"
#include "request/texts.h"

struct window {
	struct buf text;         /* context, held, new */
	size_t seen;             /* bytes of it that are out */
	size_t passed;           /* a watcher's: bytes of it that have gone on */
	struct text_edits marks; /* what the client will see instead; kept */
	bool has_new;
	bool is_final;      /* nothing follows */
	bool is_over;       /* ... and that was shown */
	struct text *shown; /* in this round; NULL: not shown */
};

/* Appends what the window before let through, with the marks in it, which are copied to
 * `kept` (NULL: there are none). false: out of memory. */
bool window_take(
    struct window *w, struct arena *kept, lz_str text, const struct text_edits *marks);
/* As much of the window as may go on: up to what is held, and no edit, no mark and no
 * character in two. t: as it was shown; overlap: bytes that stay where nothing is said.
 */
size_t window_release(const struct window *w, const struct text *t, uint32_t overlap);
/* The window goes on by `end` bytes; `out` is what became of those behind `seen`. What
 * the guardrail is to see of them again, `context` bytes, is kept as it went out. false:
 * out of memory. */
bool window_move(struct window *w, size_t end, lz_str out, uint32_t context);

#endif
