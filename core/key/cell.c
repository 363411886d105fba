/* cell.c - one cell per budget and period, and how a period gives way to the next.
 *
 * The cell at hand is found without a lock. Whoever uses one pins it and then looks
 * whether it is still the one at hand; if not, it lets go and looks again. When a period
 * has ended, the first to notice makes the next cell under the ledger's lock and
 * publishes it whole. The old cell stays for the reservations that pin it.
 *
 * Cells are never freed while the ledger lives, only used again: by their own budget,
 * when they are not at hand and nobody pins them. So a pointer that was read a moment too
 * early still points to a cell, the worst that can happen to it is a pin and an unpin,
 * and no grace period has to be guessed. A budget whose calls end within a period has two
 * cells for ever. The check after the pin and the check of the pins before reuse need one
 * total order, hence sequentially consistent atomics throughout.
 *
 * Invariant: of one budget's cells only the one at hand takes new reservations, and its
 * period is the latest.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/cell.h"

#include "base/mem.h"
#include "base/tell.h"

__extension__ typedef __int128 wide;

struct cell *
cell_pin_current(struct budget *b)
{
	for (;;) {
		struct cell *c = atomic_load(&b->cell);

		atomic_fetch_add(&c->pins, 1);
		if (atomic_load(&b->cell) == c)
			return c;
		atomic_fetch_sub(&c->pins, 1);
	}
}

void
cell_unpin(struct cell *c)
{
	atomic_fetch_sub(&c->pins, 1);
}

/* The span that `now` falls into, or the latest one known. NULL: out of memory. */
static const struct span *
span_at(struct ledger *l, enum key_period kind, int64_t now)
{
	struct span *latest = l->span[kind], *s;

	if (latest != NULL && now < latest->at.end_unix_ms)
		return latest;
	s = mem_zalloc(sizeof(*s));
	if (s == NULL)
		return NULL;
	period_at(kind, now, &s->at);
	s->before = latest;
	l->span[kind] = s;
	return s;
}

const struct span *
cell_span(struct ledger *l, enum key_period kind, int64_t now_unix_ms)
{
	const struct span *s;

	pthread_mutex_lock(&l->rolling);
	s = span_at(l, kind, now_unix_ms);
	pthread_mutex_unlock(&l->rolling);
	return s;
}

static struct cell *
cell_new(struct budget *b)
{
	char *memory = mem_zalloc(sizeof(struct cell) + CELL_LINE - 1);
	struct cell *c;

	if (memory == NULL)
		return NULL;
	c = (void *)(memory + (CELL_LINE - (uintptr_t)memory % CELL_LINE) % CELL_LINE);
	c->memory = memory;
	c->budget = b;
	c->next = b->cells;
	b->cells = c;
	return c;
}

static struct cell *
cell_spare(struct budget *b)
{
	for (struct cell *c = b->cells; c != NULL; c = c->next)
		if (c != atomic_load(&b->cell) && atomic_load(&c->pins) == 0)
			return c;
	return cell_new(b);
}

void
cell_raise(struct cell *c, int64_t spent)
{
	int64_t before = atomic_load(&c->spent);

	while (spent > before)
		if (atomic_compare_exchange_weak(&c->spent, &before, spent)) {
			atomic_fetch_add(&c->used, spent - before);
			break;
		}
}

/* What the database knew for this period; sums of periods that have passed meanwhile go
 * too. */
static int64_t
take_foreseen(struct budget *b, const char *label)
{
	struct foreseen **at = &b->foreseen;
	int64_t spent = 0;

	while (*at != NULL) {
		struct foreseen *f = *at;
		int order = strcmp(f->label, label);

		if (order > 0) {
			at = &f->next;
			continue;
		}
		if (order == 0)
			spent = f->spent;
		*at = f->next;
		mem_free(f);
	}
	return spent;
}

/* Makes a cell for the span and puts it at hand. Under the lock. */
static bool
begin(struct budget *b, const struct span *span)
{
	struct cell *c = cell_spare(b);
	int64_t spent;

	if (c == NULL)
		return false;
	spent = take_foreseen(b, span->at.label);
	atomic_store(&c->spent, spent);
	atomic_store(&c->used, spent);
	c->span = span;
	cell_forget_told(c);
	atomic_store(&b->cell, c);
	return true;
}

bool
cell_first(struct budget *b, int64_t now_unix_ms)
{
	const struct span *span;
	bool ok;

	pthread_mutex_lock(&b->ledger->rolling);
	span = span_at(b->ledger, b->kind, now_unix_ms);
	ok = span != NULL && begin(b, span);
	pthread_mutex_unlock(&b->ledger->rolling);
	return ok;
}

/* Goes on to the period of `now`, unless somebody else did meanwhile. false: out of
 * memory. */
static bool
roll(struct budget *b, int64_t now)
{
	struct ledger *l = b->ledger;
	const struct span *span = NULL;
	struct cell *old;
	bool ok = true, had_told = false;

	pthread_mutex_lock(&l->rolling);
	old = atomic_load(&b->cell);
	if (now >= old->span->at.end_unix_ms) {
		had_told =
		    atomic_load(&old->told_pct) > 0 || atomic_load(&old->told_exceeded);
		span = span_at(l, b->kind, now);
		ok = span != NULL && begin(b, span);
	}
	pthread_mutex_unlock(&l->rolling);
	if (ok && had_told)
		tell(TELL_BUDGET_RESET, "scope=%s period=%s", b->scope, span->at.label);
	return ok;
}

struct cell *
cell_pin(struct budget *b, int64_t now_unix_ms)
{
	for (;;) {
		struct cell *c = cell_pin_current(b);

		if (now_unix_ms < c->span->at.end_unix_ms)
			return c;
		cell_unpin(c);
		if (!roll(b, now_unix_ms))
			return NULL;
	}
}

static unsigned
per_cent(int64_t spent, int64_t limit)
{
	if (limit <= 0)
		return 0;
	if (spent >= limit)
		return 100;
	return spent > 0 ? (unsigned)((wide)spent * 100 / limit) : 0;
}

/* The highest threshold that is reached; 0: none. */
static uint8_t
reached(uint64_t alerts, unsigned pct)
{
	uint8_t highest = 0;

	for (; alerts != 0 && (alerts & 0xff) <= pct; alerts >>= 8)
		highest = (uint8_t)(alerts & 0xff);
	return highest;
}

static void
tell_threshold(const struct cell *c, unsigned threshold, int64_t spent, int64_t limit)
{
	tell(TELL_BUDGET_THRESHOLD,
	    "scope=%s period=%s threshold_pct=%u spent_nano_eur=%lld limit_nano_eur=%lld",
	    c->budget->scope, c->span->at.label, threshold, (long long)spent,
	    (long long)limit);
}

void
cell_tell_reached(struct cell *c, int64_t spent)
{
	int64_t limit = atomic_load(&c->budget->limit);
	uint64_t alerts = atomic_load(&c->budget->alerts);
	uint8_t highest = reached(alerts, per_cent(spent, limit));
	uint8_t before = atomic_load(&c->told_pct);

	do {
		if (highest <= before)
			return;
	} while (!atomic_compare_exchange_weak(&c->told_pct, &before, highest));
	for (; alerts != 0 && (alerts & 0xff) <= highest; alerts >>= 8)
		if ((alerts & 0xff) > before)
			tell_threshold(c, (unsigned)(alerts & 0xff), spent, limit);
}

void
cell_mark_reached(struct cell *c)
{
	int64_t spent = atomic_load(&c->spent), limit = atomic_load(&c->budget->limit);
	uint8_t now = reached(atomic_load(&c->budget->alerts), per_cent(spent, limit));

	if (now > atomic_load(&c->told_pct))
		atomic_store(&c->told_pct, now);
	if (limit > 0 && spent >= limit)
		atomic_store(&c->told_exceeded, true);
}

void
cell_forget_told(struct cell *c)
{
	atomic_store(&c->told_pct, 0);
	atomic_store(&c->told_exceeded, false);
	cell_mark_reached(c);
}

void
cell_tell_exceeded(struct cell *c)
{
	if (atomic_load(&c->told_exceeded) || atomic_exchange(&c->told_exceeded, true))
		return;
	tell(TELL_BUDGET_EXCEEDED,
	    "scope=%s period=%s spent_nano_eur=%lld limit_nano_eur=%lld",
	    c->budget->scope, c->span->at.label, (long long)atomic_load(&c->spent),
	    (long long)atomic_load(&c->budget->limit));
}
