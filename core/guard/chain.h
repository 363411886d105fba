/* chain.h - what the files of guard/ share: the guardrails of one request, one of them
 * being asked, and its verdict.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_CHAIN_H
#define GUARD_CHAIN_H

#include "guard/document.h"
#include "guard/guard.h"
#include "plugin/visit.h"

/* Memory of texts that are shown. A plugin's pool thread may still look at them when
 * their check is over: then it stays until the request ends. */
struct showing {
	struct arena *arena;
	struct showing *next;
};

/* A document that was replaced, and that a plugin's pool thread may still look at. */
struct retired {
	struct buf bytes;
	struct retired *next;
};

struct plain_job; /* plain.h */

struct guard {
	const struct guardrail *row;
	struct visit *visit; /* NULL: not asked yet, or it kept nothing */
	struct record_verdict
	    *verdict[2]; /* on the request, on the answer; NULL: not asked */
};

struct guards {
	struct request *r;
	struct guard *guard; /* in the order of requests */
	size_t count;
	const struct guard_watch *watch; /* NULL: nobody */
	uint32_t phases;                 /* that one of them looks at */
	bool is_rerouted;
	bool has_judged, has_judged_answer; /* all of them, and it may be kept */
	/* the check under way */
	struct visit_check check;  /* set for each round; its deadline by chain_ask() */
	int64_t asked_us, came_us; /* came_us 0: it waits, or was not entered */
	struct visit *blank;       /* for who is asked next; NULL: none */
	struct guard *asked;       /* NULL: none */
	int64_t cut_us; /* what the request's deadline left it, if less than its own; 0:
			   not */
	/* a request, or a whole answer, under way */
	struct showing *showing; /* of the document; NULL: none yet */
	struct document document;
	bool has_document, is_dry;
	const struct buf *bytes; /* of it; what raw() and body() show */
	struct buf shown;        /* the document as the guardrails before left it */
	bool has_shown;
	bool is_light;           /* its texts hold nobody up, wherever they are folded */
	struct plain_job *job;   /* ... is under way for it; NULL: none */
	struct loop_timer timer; /* of the job */
	size_t done;             /* guardrails that have been asked */
	struct guard *again;     /* the first that wants another attempt; NULL: none */
	struct retired *retired, *spare;
	struct showing *looked_at; /* perhaps */
	bool has_left_work;        /* a visit that ended left some in the pool */
	unsigned folding;          /* plain_job that have not come home */
	/* Of a stream, set by it: visit_check's. */
	bool (*stream_calls)(void *arg,
	    void (*each)(void *each_arg, uint32_t choice, lz_str delta), void *each_arg);
};

/* What comes of a check. */
enum ruling {
	RULED_PASS,   /* and its edits hold */
	RULED_IGNORE, /* its edits do not */
	RULED_REFUSE, /* r->fault is set */
	RULED_AGAIN
};

/* Asks g; all->check says of what. Its result, or LZ_PENDING: check.done follows. */
int32_t chain_ask(struct guards *all, struct guard *g);
/* The i-th in the order of the phase, whether it looks at it or not. */
static inline struct guard *
chain_at(const struct guards *all, uint32_t phase, size_t i)
{
	return &all->guard[phase == LZ_REQUEST ? i : all->count - 1 - i];
}
/* The next that looks at the document, from all->done on, which becomes its place; NULL:
 * there is none. */
static inline struct guard *
chain_next(struct guards *all, uint32_t phase)
{
	for (; all->done < all->count; all->done++) {
		struct guard *g = chain_at(all, phase, all->done);

		if ((g->row->phases & phase) != 0)
			return g;
	}
	return NULL;
}
/* Asks from that one on, as long as they pass and use nothing that would have to be
 * looked after; of those, the verdict is noted. The result of the one that did not, which
 * is at all->done; or there is none left. */
int32_t chain_ask_on(struct guards *all);
/* Tells who watches (somebody does) of the edits of a text that begin before `end`. */
void chain_tell_edits(
    struct guards *all, struct guard *g, const struct text *t, size_t end);
/* ... that it edited the document as a tree. */
void chain_tell_tree(struct guards *all, struct guard *g);
/* Nobody waits for the check under way any more; who was asked may be asked again. */
void chain_abandon(struct guards *all);
/* Memory for texts; NULL: there is none. chain_unshow() gives it back; NULL is fine. */
struct showing *chain_show(size_t max_bytes);
void chain_unshow(struct guards *all, struct showing *s);
/* May a thread of the pool still look at what a check was shown? */
bool chain_is_looked_at(const struct guards *all);
/* Notes the verdict, tells, and says what comes of it. edits: it asked for some. */
enum ruling chain_rule(struct guards *all, struct guard *g, int32_t result, bool edits);
/* The guardrail failed in a way of ours, perhaps before it was asked. */
enum ruling chain_failed(
    struct guards *all, struct guard *g, uint32_t phase, const char *why);

#endif
