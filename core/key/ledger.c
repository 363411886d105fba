/* ledger.c - reserve, top up, settle: all the arithmetic there is with money that is
 * being spent.
 *
 * Every function here is a few additions to the cells that cell.c finds. What makes it
 * exact: `used` is raised by compare-and-swap against the limit and by nothing else
 * before a call, so spent + reserved never passes the limit, whatever the number of
 * workers; and what was reserved is taken from the very cell it was added to.
 *
 * Between two additions others may look. Spent is therefore raised before the reservation
 * is lowered, and a charge beyond its reservation enters `used` first: whoever reads
 * spent and then used never sees reserved below zero.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/cell.h"

#include "base/metric.h"

static int64_t
clamp_amount(int64_t nano)
{
	if (nano < 0)
		return 0;
	return nano < LEDGER_AMOUNT_MAX ? nano : LEDGER_AMOUNT_MAX;
}

/* Adds `nano` to what is used, if the limit admits it. ST_DENIED, ST_LIMIT as
 * ledger_reserve(). */
static enum status
admit(struct cell *c, int64_t nano)
{
	int64_t used = atomic_load(&c->used);

	if (nano == 0)
		return ST_OK;
	if (nano > LEDGER_AMOUNT_MAX)
		return ST_DENIED;
	do {
		int64_t limit = atomic_load(&c->budget->limit);

		if (limit >= 0 && used > limit - nano)
			return atomic_load(&c->spent) > limit - nano ? ST_DENIED
								     : ST_LIMIT;
	} while (!atomic_compare_exchange_weak(&c->used, &used, used + nano));
	return ST_OK;
}

static void
settle_cell(struct cell *c, int64_t reserved, int64_t charged)
{
	int64_t spent;

	if (charged > reserved)
		atomic_fetch_add(&c->used, charged - reserved);
	spent = atomic_fetch_add(&c->spent, charged) + charged;
	if (charged < reserved)
		atomic_fetch_sub(&c->used, reserved - charged);
	if (charged > 0) {
		int64_t limit = atomic_load(&c->budget->limit);

		cell_tell_reached(c, spent);
		if (limit > 0 && spent >= limit)
			cell_tell_exceeded(c);
	}
	cell_unpin(c);
}

static void
finish(struct reservation *r, int64_t charged)
{
	for (size_t i = 0; i < r->count; i++)
		settle_cell(r->cell[i], r->nano_eur, charged);
	*r = (struct reservation){ .count = 0 };
}

enum status
ledger_reserve(struct budget *const *budgets, size_t count, int64_t nano_eur,
    int64_t now_unix_ms, struct reservation *out, struct budget **who)
{
	must(count <= LEDGER_SCOPES);
	nano_eur = nano_eur > 0 ? nano_eur : 0;
	*out = (struct reservation){ .nano_eur = nano_eur };
	for (size_t i = 0; i < count; i++) {
		struct cell *c = cell_pin(budgets[i], now_unix_ms);
		enum status st = c != NULL ? admit(c, nano_eur) : ST_NOMEM;

		if (st == ST_OK) {
			out->cell[out->count++] = c;
			continue;
		}
		*who = budgets[i];
		if (c != NULL)
			cell_unpin(c);
		finish(out, 0);
		return st;
	}
	return ST_OK;
}

bool
ledger_top_up(struct reservation *r, int64_t nano_eur)
{
	if (nano_eur <= 0)
		return true;
	if (nano_eur > LEDGER_AMOUNT_MAX - r->nano_eur)
		return false;
	for (size_t i = 0; i < r->count; i++) {
		if (admit(r->cell[i], nano_eur) == ST_OK)
			continue;
		while (i-- > 0)
			atomic_fetch_sub(&r->cell[i]->used, nano_eur);
		return false;
	}
	r->nano_eur += nano_eur;
	return true;
}

void
ledger_top_down(struct reservation *r, int64_t nano_eur)
{
	if (nano_eur <= 0)
		return;
	must(nano_eur <= r->nano_eur);
	for (size_t i = 0; i < r->count; i++)
		atomic_fetch_sub(&r->cell[i]->used, nano_eur);
	r->nano_eur -= nano_eur;
}

void
ledger_settle(struct reservation *r, int64_t nano_eur)
{
	int64_t charged = clamp_amount(nano_eur);

	if (r->count > 0 && charged > r->nano_eur)
		metric_add(METRIC_OVERSPEND, charged - r->nano_eur);
	finish(r, charged);
}

uint8_t
ledger_scopes(const struct reservation *r, struct record_scope out[RECORD_SCOPES])
{
	for (size_t i = 0; i < r->count; i++) {
		const struct cell *c = r->cell[i];

		out[i].scope = lz_strn(c->budget->scope, c->budget->scope_len);
		out[i].period = lz_strz(c->span->at.label);
	}
	return (uint8_t)r->count;
}

void
ledger_view(struct budget *b, int64_t now_unix_ms, struct budget_view *out)
{
	struct cell *c = cell_pin(b, now_unix_ms);
	int64_t reserved;

	*out = (struct budget_view){
		.scope = lz_strn(b->scope, b->scope_len),
		.period = b->kind,
		.limit_nano_eur = atomic_load(&b->limit),
	};
	/* Without memory the new period has no cell yet, and nothing is spent in it. */
	if (c == NULL)
		return;
	out->spent_nano_eur = atomic_load(&c->spent);
	reserved = atomic_load(&c->used) - out->spent_nano_eur;
	out->reserved_nano_eur = reserved > 0 ? reserved : 0;
	out->resets_at_unix_ms = c->span->at.end_unix_ms;
	cell_unpin(c);
}

bool
ledger_is_spent(struct budget *b, int64_t now_unix_ms)
{
	int64_t limit = atomic_load(&b->limit);
	struct cell *c;
	bool is_spent;

	if (limit < 0)
		return false;
	c = cell_pin(b, now_unix_ms);
	if (c == NULL)
		return false;
	is_spent = atomic_load(&c->spent) >= limit;
	cell_unpin(c);
	return is_spent;
}

void
ledger_refused(struct budget *b, int64_t now_unix_ms)
{
	struct cell *c = cell_pin(b, now_unix_ms);

	if (c == NULL)
		return;
	cell_tell_exceeded(c);
	cell_unpin(c);
}
