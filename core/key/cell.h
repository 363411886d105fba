/* cell.h - private to the ledger: budgets, and the cell of each for the period at hand.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_CELL_H
#define KEY_CELL_H

#include <pthread.h>
#include <stdalign.h>
#include "key/ledger.h"

enum {
	CELL_LINE = 64
};

/* One period of one kind; shared by all its cells, kept as long as the ledger (430 of 56
 * bytes a year). */
struct span {
	struct period at;
	struct span *before;
};

/* What all workers write: one cache line, nobody else's. */
struct cell {
	alignas(CELL_LINE) _Atomic int64_t spent;
	_Atomic int64_t used; /* spent + reserved */
	_Atomic uint32_t
	    pins; /* reservations made here, and those who are just looking */
	_Atomic uint8_t told_pct; /* thresholds up to here were told */
	atomic_bool told_exceeded;
	const struct span *span; /* constant while pinned */
	struct budget *budget;
	struct cell *next; /* of the same budget; constant once linked */
	void *memory;      /* what the allocator gave */
};
_Static_assert(sizeof(struct cell) == CELL_LINE, "a cell is one cache line");

/* A sum that the database knew for a period that has not begun. */
struct foreseen {
	struct foreseen *next;
	int64_t spent;
	char label[sizeof(((struct period *)NULL)->label)];
};

struct budget {
	struct ledger *ledger;
	_Atomic(struct cell *) cell; /* of the current period */
	_Atomic int64_t limit;       /* -1: none */
	_Atomic uint64_t alerts;     /* thresholds: a byte each, rising; 0 ends them */
	struct cell *cells;          /* all of this budget; under ledger->rolling */
	struct foreseen *foreseen;   /* under ledger->rolling */
	uint64_t number;             /* order of making: the ledger order */
	enum key_period kind;
	size_t scope_len;
	char scope[];
};

struct ledger {
	pthread_mutex_t
	    rolling; /* taken when a period begins, once per budget; never to reserve */
	struct span *span[PERIOD_KINDS]; /* newest first; under rolling */
	struct budget **slot;            /* open addressing by scope and kind. [main] */
	size_t mask, count;
};

/* The cell of the period that holds `now`, or of the later one that was reached before:
 * periods never go back. Pinned: cell_unpin(). NULL: out of memory. [any] */
struct cell *cell_pin(struct budget *b, int64_t now_unix_ms);
/* The same for the cell at hand, whatever the time. */
struct cell *cell_pin_current(struct budget *b);
void cell_unpin(struct cell *c);
/* The period of a kind at hand. NULL: out of memory. [main] */
const struct span *cell_span(struct ledger *l, enum key_period kind, int64_t now_unix_ms);
/* Gives a new budget its first cell. false: out of memory. [main] */
bool cell_first(struct budget *b, int64_t now_unix_ms);
void cell_raise(struct cell *c, int64_t spent); /* to at least `spent` */

/* Tells the thresholds between the last one told and what `spent` reaches. [worker] */
void cell_tell_reached(struct cell *c, int64_t spent);
/* Tells, once a period, that the budget refuses. [worker] */
void cell_tell_exceeded(struct cell *c);
/* Passes over in silence what is reached already: it was told before a restart. [main] */
void cell_mark_reached(struct cell *c);
/* What is told counts from here: the limit was raised. [main] */
void cell_forget_told(struct cell *c);

#endif
