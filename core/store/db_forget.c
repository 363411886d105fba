/* db_forget.c - erasing a person, and deleting what is older than it is to be kept.
 *
 * Neither changes what anybody has spent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/db_internal.h"

/* ---- a person ---- */

static enum status
forget_user(struct db *d, lz_str user, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_TRACE_FORGET, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, user);
	return db_run(d, c.s, "forget a user", e);
}

enum status
db_trace_erase(struct db *d, lz_str user, int64_t *count, struct err *e)
{
	enum status st;

	*count = 0;
	if (user.len == 0)
		return err_fail(e, ST_INVALID,
		    "erase: no user is named; give the name as traces show it");
	st = db_content_recover(d, e);
	if (st == ST_OK)
		st = db_begin(d, e);
	if (st != ST_OK)
		return st;
	st = db_content_erase(d, user, e);
	if (st == ST_OK)
		st = forget_user(d, user, e);
	if (st != ST_OK) {
		db_rollback(d);
		return st;
	}
	*count = sqlite3_changes64(d->sql);
	st = db_commit(d, true, e);
	/* The log still has the old pages; if a reader holds it, the next checkpoint
	 * takes them. */
	if (st == ST_OK)
		db_checkpoint(d);
	return st;
}

/* ---- age ---- */

/* Takes one old trace away; what it cost stays in its budgets. */
static enum status
prune_trace(struct db *d, int64_t rowid, const uint8_t id[RECORD_ID_BYTES], struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_TRACE_REMOVE, e), 0 };
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_int(&c, rowid);
	st = db_run(d, c.s, "delete an old trace", e);
	return st == ST_OK ? db_charge_prune(d, id, e) : st;
}

struct old_trace {
	int64_t rowid;
	uint8_t id[RECORD_ID_BYTES];
};

enum {
	PRUNE_AT_ONCE = 256
};

/* Up to `rows` of the oldest, read before the first is deleted: a cursor must not walk
 * what changes under it. */
static enum status
find_old(struct db *d, int64_t before, int64_t rows, struct old_trace *out,
    int64_t *count, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_TRACE_OLD, e), 0 }, row;
	uint8_t first[DB_ID_TIME_BYTES];
	enum status st;

	*count = 0;
	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_first_id(&c, before, first);
	db_bind_int(&c, rows);
	while ((st = db_next(d, c.s, "find old traces", e)) == ST_OK) {
		row = (struct db_cursor){ c.s, 0 };
		out[*count].rowid = db_read_int(&row);
		if (!db_read_id(&row, out[*count].id)) {
			(void)sqlite3_reset(c.s);
			return err_fail(
			    e, ST_INVALID, "%s: a row has no proper trace id", d->path);
		}
		++*count;
	}
	return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status
prune_traces(struct db *d, int64_t before, int64_t rows, int64_t *count, struct err *e)
{
	struct old_trace old[PRUNE_AT_ONCE];
	int64_t found;
	enum status st;

	*count = 0;
	do {
		found = rows - *count < PRUNE_AT_ONCE ? rows - *count : PRUNE_AT_ONCE;
		st = find_old(d, before, found, old, &found, e);
		for (int64_t i = 0; st == ST_OK && i < found; i++)
			st = prune_trace(d, old[i].rowid, old[i].id, e);
		*count += found;
	} while (st == ST_OK && found == PRUNE_AT_ONCE && *count < rows);
	return st;
}

enum status
db_prune(struct db *d, int64_t traces_before_unix_ms, int64_t content_before_unix_ms,
    int64_t rows, bool *more, struct err *e)
{
	int64_t traces = 0, contents = 0, content_before = content_before_unix_ms;
	enum status st = db_begin(d, e);

	*more = false;
	if (st != ST_OK)
		return st;
	if (content_before < traces_before_unix_ms)
		content_before = traces_before_unix_ms; /* no content without its trace */
	st = prune_traces(d, traces_before_unix_ms, rows, &traces, e);
	if (st == ST_OK)
		st = db_content_prune(d, content_before, rows, &contents, e);
	if (st != ST_OK) {
		db_rollback(d);
		return st;
	}
	st = db_commit(d, false, e);
	*more = st == ST_OK && (traces >= rows || contents >= rows);
	if (st == ST_OK && contents > 0)
		st = db_content_sweep(d, e);
	/* Gives pages back to the file system, some at a time. */
	if (st == ST_OK && traces + contents > 0)
		st = db_do(d, DB_VACUUM_SOME, "shrink the file", e);
	return st;
}
