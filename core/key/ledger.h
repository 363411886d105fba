/* ledger.h - money, exactly: reserve before the call, settle after it, never past the
 * limit.
 *
 * A budget is one scope ("key:backend") and one kind of period. Its cell for the current
 * period holds spent and used (= spent + reserved) as atomics; a reservation is one
 * compare-and-swap per budget, in ledger order, undone on the first refusal. A
 * reservation belongs to the cell in which it was made, also after midnight. Nothing here
 * writes storage: the stage appends the spool records.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_LEDGER_H
#define KEY_LEDGER_H

#include <stdatomic.h>
#include "base/clock.h"
#include "config/keyset.h"
#include "store/record.h"

struct ledger;
struct budget;
struct cell;

enum {
	LEDGER_SCOPES = RECORD_SCOPES,
	LEDGER_SCOPE_BYTES = 250,
	LEDGER_BUDGETS = 8000000 /* scopes times kinds of period, ever */
};

/* A million euro. No attempt costs more: a larger bound is refused, a larger charge is
 * booked as this much. Thousands of them fit into 64 bits, so that sums cannot wrap. */
#define LEDGER_AMOUNT_MAX INT64_C(1000000000000000)

struct ledger *ledger_new(void); /* owned: ledger_free() */
void ledger_free(struct ledger *l);
/* The budget of a scope and period kind; made at first asking, kept for ever, found again
 * after reloads. Without limit until ledger_set_limit(); spent of the current period
 * comes from ledger_load(). NULL with a sentence: out of memory, or the scope is too
 * long. [main] */
struct budget *ledger_budget(
    struct ledger *l, lz_str scope, enum key_period period, struct err *e);
/* The same, but never made: NULL when there is none. [main] */
struct budget *ledger_find(struct ledger *l, lz_str scope, enum key_period period);
/* Sets the limit (-1: none any more) and the alert thresholds, per cents in rising order.
 * [main] */
void ledger_set_limit(struct budget *b, int64_t limit_nano_eur, const uint8_t *alert_pct,
    size_t alert_count);
/* At start, and when a budget is made later: what the database says. Only raises; before
 * or after ledger_budget(). Rows of past periods and of unknown kinds are left alone; one
 * of a period yet to come (the clock went back) is kept for it. ST_NOMEM. [main] */
enum status ledger_load(
    struct ledger *l, lz_str scope, lz_str period, int64_t spent_nano_eur);
/* A total order over budgets: budget arrays given to reserve are sorted by it. */
int ledger_compare(const struct budget *a, const struct budget *b);

struct reservation {
	struct cell *cell[LEDGER_SCOPES];
	size_t count;
	int64_t nano_eur;
};
/* ST_OK. ST_DENIED: *who's budget is spent, or so far that this cannot fit any more:
 * waiting does not help within its period. ST_LIMIT: only others' reservations stand in
 * the way. ST_NOMEM: a period began and there is no memory for its cell. nano_eur 0
 * reserves nothing but still pins the periods. [worker] */
enum status ledger_reserve(struct budget *const *budgets, size_t count, int64_t nano_eur,
    int64_t now_unix_ms, struct reservation *out, struct budget **who) MUST_CHECK;
/* Grows a reservation. false: no room. [worker] */
bool ledger_top_up(struct reservation *r, int64_t nano_eur);
/* Takes back what the last top-up added. [worker] */
void ledger_top_down(struct reservation *r, int64_t nano_eur);
/* Ends it: charges `nano_eur` (0: releases) in its own periods. What exceeds the
 * reservation is booked and counted as overspend. Tells thresholds. Again: nothing
 * happens. [worker] */
void ledger_settle(struct reservation *r, int64_t nano_eur);
/* A request was turned away because this budget is spent: tells it, once a period.
 * [worker] */
void ledger_refused(struct budget *b, int64_t now_unix_ms);
/* Names for the spool record of this reservation, while it lasts. Returns how many. The
 * views live as long as the ledger. */
uint8_t ledger_scopes(
    const struct reservation *r, struct record_scope out[RECORD_SCOPES]);

struct budget_view {
	lz_str scope;
	enum key_period period;
	int64_t limit_nano_eur, spent_nano_eur, reserved_nano_eur; /* limit -1: none */
	int64_t resets_at_unix_ms;
};
void ledger_view(
    struct budget *b, int64_t now_unix_ms, struct budget_view *out); /* [any] */
bool ledger_is_spent(
    struct budget *b, int64_t now_unix_ms); /* limit reached by what is spent. [worker] */
/* Σ reserved over all cells; 0 when nothing is in flight. [main], tests */
int64_t ledger_reserved_total(struct ledger *l);

/* ---- periods (period.c): in the process's time zone (TZ, from ledger.timezone, set
 * before threads start) ---- */
struct period {
	int64_t start_unix_ms, end_unix_ms; /* the end is the next one's start */
	char label[24]; /* "month:2026-11", "day:2026-11-22", "week:2026-W47" */
};
/* Instants before 1970 count as 1970, beyond the year 9892 as that. [any] */
void period_at(enum key_period kind, int64_t unix_ms, struct period *out);

#endif
