/* growing.h - an answer that grows, as stream.c, which takes it in and gives it out, and
 * round.c, which shows it, both see it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_GROWING_H
#define GUARD_GROWING_H

#include "guard/plain.h"
#include "guard/window.h"

struct channel {
	unsigned choice;
	lz_str member;
	uint32_t kind;
	struct buf incoming;   /* the next round's */
	bool is_ending;        /* nothing comes behind it */
	struct window *window; /* one for each guardrail, and the way out */
};

struct piece {
	struct piece *next;
	unsigned choice;
	enum guard_place place;
	size_t stage; /* whose turn it is */
	struct document document;
	size_t first; /* its texts in this round's list */
	bool is_shown;
	bool is_call; /* a tool call, complete */
};

struct guard_stream {
	struct guards *all;
	const struct guard_stream_ops *ops;
	void *arg;
	size_t stages;        /* guardrails that look at answers */
	struct guard **stage; /* in the order of answers */
	bool *is_out;         /* it has failed on too much, and sees no more */
	struct channel *channel;
	size_t channel_count;
	struct piece *piece, **last_piece;
	size_t piece_count;
	size_t at;   /* stage of the round under way */
	bool is_end; /* everything is final */
	bool is_under_way, has_come;
	enum guard_run came;   /* what the check that was waited for came to */
	struct texts texts;    /* of the check under way */
	struct plain_job *job; /* ... which are folded first; NULL: they are not */
	struct showing *round, *pieces;
	struct arena *kept; /* of marks that wait; NULL: there was none yet */
	size_t max_bytes;   /* of a channel that is held whole */
};

/* Whose input goes on before it has been asked. */
static inline bool
growing_only_watches(const struct guard *g)
{
	return g->row->is_monitor || g->row->stream == GUARDRAIL_AFTER;
}

/* A round begins: its memory is there, and what came is its own. false: out of memory. */
bool growing_begin_round(struct guard_stream *s, bool is_end);
/* Moves `text`, with the marks in it, on to the next window. false: out of memory. */
bool growing_pass_on(struct guard_stream *s, struct window *to, lz_str text,
    const struct text_edits *marks);
/* What all have let through goes to s->ops. false: out of memory. */
bool growing_deliver(struct guard_stream *s);

#endif
