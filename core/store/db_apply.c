/* db_apply.c - the spool's records become rows: charges and traces, and how far the spool
 * was read.
 *
 * Invariants, at every commit: a charge exists once per (trace, attempt); the spend of a
 * budget is the sum of the charges that name it, and of those that were pruned; a trace
 * exists once per id.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/metric.h"
#include "store/db_internal.h"

/* ---- charges ---- */

static enum status
insert_charge(struct db *d, const struct record_settle *r, int64_t set_id, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_CHARGE_ADD, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, r->trace_id);
	db_bind_int(&c, r->attempt);
	db_bind_int(&c, r->state);
	db_bind_int(&c, r->at_unix_ms);
	db_bind_known(&c, r->cost_nano_eur);
	db_bind_int(&c, r->usage.input);
	db_bind_int(&c, r->usage.cache_read);
	db_bind_int(&c, r->usage.cache_write);
	db_bind_int(&c, r->usage.output);
	db_bind_int(&c, r->usage.reasoning);
	db_bind_known(&c, r->price_input);
	db_bind_known(&c, r->price_cache_read);
	db_bind_known(&c, r->price_cache_write);
	db_bind_known(&c, r->price_output);
	db_bind_known(&c, r->fx_nano);
	db_bind_str(&c, r->fx_date);
	db_bind_str(&c, r->key);
	db_bind_str(&c, r->provider);
	db_bind_str(&c, r->model);
	db_bind_known(&c, set_id == 0 ? -1 : set_id);
	return db_run(d, c.s, "write a charge", e);
}

enum status
db_charge(struct db *d, const struct record_settle *r, struct db_set *set, struct err *e)
{
	enum status st = insert_charge(d, r, set == NULL ? 0 : set->id, e);

	if (st != ST_OK || sqlite3_changes(d->sql) == 0)
		return st;
	if (set != NULL && r->cost_nano_eur > 0)
		set->spent = db_add_capped(set->spent, r->cost_nano_eur);
	return ST_OK;
}

static enum status
apply_settle(struct db *d, const struct record_settle *r, struct err *e)
{
	struct db_set *set;
	enum status st = db_pending_settle(d, r, e);

	if (st == ST_OK)
		st = db_scope_get(d, r->scope, r->scope_count, &set, e);
	return st == ST_OK ? db_charge(d, r, set, e) : st;
}

/* ---- traces ---- */

static enum status
insert_trace(struct db *d, const struct record_trace *t, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_TRACE_ADD, e), 0 };
	const lz_str text[] = { t->route, t->code, t->finish, t->key, t->organization,
		t->assistant, t->user, t->session, t->model_asked, t->model, t->provider,
		t->strategy, t->metadata, t->attempt_list, t->guardrails };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, t->trace_id);
	db_bind_int(&c, t->at_unix_ms);
	db_bind_int(&c, t->total_us);
	db_bind_int(&c, t->overhead_us);
	db_bind_known(&c, t->ttft_us);
	db_bind_known(&c, t->cost_nano_eur);
	db_bind_int(&c, t->usage.input);
	db_bind_int(&c, t->usage.cache_read);
	db_bind_int(&c, t->usage.cache_write);
	db_bind_int(&c, t->usage.output);
	db_bind_int(&c, t->usage.reasoning);
	db_bind_int(&c, t->flags);
	db_bind_int(&c, t->status);
	db_bind_int(&c, t->attempts);
	for (size_t i = 0; i < sizeof(text) / sizeof(*text); i++)
		db_bind_str(&c, text[i]);
	db_bind_blob(&c, t->verdicts);
	return db_run(d, c.s, "write a trace", e);
}

static enum status
apply_trace(struct db *d, const struct record_trace *t, struct err *e)
{
	enum status st = db_pending_trace(d, t, e);

	return st == ST_OK ? insert_trace(d, t, e) : st;
}

/* ---- records ---- */

enum status
db_apply(struct db *d, const struct record *r, struct err *e)
{
	must(d->is_open);
	if (r->type == RECORD_SETTLE || r->type == RECORD_TRACE)
		metric_add(METRIC_DB_ROWS, 1);
	switch (r->type) {
	case RECORD_RESERVE:
		return db_pending_reserve(d, &r->reserve, e);
	case RECORD_SETTLE:
		return apply_settle(d, &r->settle, e);
	case RECORD_TRACE:
		return apply_trace(d, &r->trace, e);
	case RECORD_FOLLOWS:
		return ST_OK;
	case RECORD_RAISE:
		return db_pending_raise(d, &r->raise, e);
	}
	return err_fail(
	    e, ST_INVALID, "%s: a record of unknown type %d", d->path, (int)r->type);
}

/* ---- pruning, positions ---- */

enum status
db_charge_prune(struct db *d, const uint8_t id[RECORD_ID_BYTES], struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_CHARGE_SUMS, e), 0 };
	struct db_cursor row;
	struct db_set *set;
	enum status st;
	int64_t cost;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, id);
	while ((st = db_next(d, c.s, "read charges", e)) == ST_OK) {
		row = (struct db_cursor){ c.s, 0 };
		st = db_scope_get_list(d, db_read_str(&row), &set, e);
		if (st != ST_OK)
			break;
		cost = db_read_known(&row);
		if (cost > 0)
			set->pruned = db_add_capped(set->pruned, cost);
	}
	(void)sqlite3_reset(c.s);
	return st == ST_NOT_FOUND ? db_run_for(d, DB_CHARGE_REMOVE, id, e) : st;
}

enum status
db_position_set(struct db *d, lz_str segment, uint64_t offset, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_POSITION_SET, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, segment);
	db_bind_int(&c, (int64_t)offset);
	return db_run(d, c.s, "write the spool's position", e);
}

enum status
db_position_get(
    struct db *d, lz_str segment, uint64_t *offset, bool *is_known, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_POSITION_GET, e), 0 };
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, segment);
	st = db_next(d, c.s, "read the spool's position", e);
	if (st != ST_OK && st != ST_NOT_FOUND)
		return st;
	*is_known = st == ST_OK;
	*offset = st == ST_OK ? (uint64_t)sqlite3_column_int64(c.s, 0) : 0;
	(void)sqlite3_reset(c.s);
	return ST_OK;
}

enum status
db_position_forget(struct db *d, lz_str segment, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_POSITION_FORGET, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, segment);
	return db_run(d, c.s, "forget the spool's position", e);
}

enum status
db_position_clear(struct db *d, struct err *e)
{
	return db_do(d, DB_POSITION_CLEAR, "forget the spool's positions", e);
}
