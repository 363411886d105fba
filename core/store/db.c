/* db.c - a SQLite connection: its statements, what they are given and answer,
 * transactions.
 *
 * A transaction adds up in memory what many records do to one row; db_commit() writes
 * that first, and a rollback forgets it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/mem.h"
#include "store/db_internal.h"

/* ---- the connection ---- */

struct db *
db_new(const char *path, struct err *e)
{
	struct db *d = mem_zalloc(sizeof(*d));

	if (d == NULL) {
		(void)err_fail(e, ST_NOMEM, "%s: out of memory", path);
		return NULL;
	}
	(void)snprintf(d->path, sizeof(d->path), "%s", path);
	db_scope_init(d);
	db_pending_init(d);
	db_content_init(d);
	return d;
}

void
db_close(struct db *d)
{
	if (d == NULL)
		return;
	for (int i = 0; i < DB_STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(d->statement[i]);
	must(sqlite3_close(d->sql) == SQLITE_OK);
	db_content_free(d);
	db_pending_free(d);
	db_scope_free(d);
	mem_free(d);
}

/* ---- statements ---- */

static const char *const statement_text[] = {
#define DB_STATEMENT_TEXT(id, sql) [DB_##id] = (sql),
	DB_STATEMENTS(DB_STATEMENT_TEXT)
#undef DB_STATEMENT_TEXT
};

enum status
db_status_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return ST_NOMEM;
	case SQLITE_FULL:
		return ST_FULL;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ST_AGAIN;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
		return ST_IO;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return ST_DENIED;
	default:
		return ST_INVALID;
	}
}

enum status
db_fail(struct db *d, struct err *e, const char *what)
{
	int code = sqlite3_extended_errcode(d->sql), kind = code & 0xff;

	d->has_refused = d->has_refused || kind == SQLITE_CONSTRAINT ||
			 kind == SQLITE_MISMATCH || kind == SQLITE_TOOBIG;

	return err_fail(e, db_status_of(code), "%s: cannot %s: %s (SQLite %d)", d->path,
	    what, sqlite3_errmsg(d->sql), code);
}

sqlite3_stmt *
db_statement(struct db *d, enum db_statement which, struct err *e)
{
	sqlite3_stmt **s = &d->statement[which];

	if (*s == NULL && sqlite3_prepare_v3(d->sql, statement_text[which], -1,
			      SQLITE_PREPARE_PERSISTENT, s, NULL) != SQLITE_OK)
		(void)db_fail(d, e, "prepare a statement");
	return *s;
}

enum status
db_run(struct db *d, sqlite3_stmt *s, const char *what, struct err *e)
{
	enum status st = ST_OK;

	/* A PRAGMA may answer with a row. */
	int code = sqlite3_step(s);

	if (code != SQLITE_DONE && code != SQLITE_ROW)
		st = db_fail(d, e, what);
	(void)sqlite3_reset(s);
	return st;
}

enum status
db_do(struct db *d, enum db_statement which, const char *what, struct err *e)
{
	sqlite3_stmt *s = db_statement(d, which, e);

	return s == NULL ? db_status_of(sqlite3_errcode(d->sql)) : db_run(d, s, what, e);
}

enum status
db_next(struct db *d, sqlite3_stmt *s, const char *what, struct err *e)
{
	int code = sqlite3_step(s);
	enum status st;

	if (code == SQLITE_ROW)
		return ST_OK;
	st = code == SQLITE_DONE ? ST_NOT_FOUND : db_fail(d, e, what);
	(void)sqlite3_reset(s);
	return st;
}

enum status
db_exec(struct db *d, const char *sql, const char *what, struct err *e)
{
	return sqlite3_exec(d->sql, sql, NULL, NULL, NULL) == SQLITE_OK
		   ? ST_OK
		   : db_fail(d, e, what);
}

enum status
db_ask(struct db *d, const char *sql, int64_t *out, struct err *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = ST_OK;

	if (sqlite3_prepare_v2(d->sql, sql, -1, &s, NULL) != SQLITE_OK)
		return db_fail(d, e, "read it");
	if (sqlite3_step(s) == SQLITE_ROW)
		*out = sqlite3_column_int64(s, 0);
	else
		st = db_fail(d, e, "read it");
	(void)sqlite3_finalize(s);
	return st;
}

/* Binding fails only for an index that does not exist, which is our bug, or for lack of
 * memory, which borrowed values do not need. */
void
db_bind_int(struct db_cursor *c, int64_t v)
{
	must(sqlite3_bind_int64(c->s, ++c->at, v) == SQLITE_OK);
}

void
db_bind_known(struct db_cursor *c, int64_t v)
{
	if (v < 0)
		must(sqlite3_bind_null(c->s, ++c->at) == SQLITE_OK);
	else
		db_bind_int(c, v);
}

void
db_bind_str(struct db_cursor *c, lz_str s)
{
	int code;

	c->at++;
	if (s.ptr == NULL)
		code = sqlite3_bind_null(c->s, c->at);
	else
		code = sqlite3_bind_text64(
		    c->s, c->at, s.ptr, s.len, SQLITE_STATIC, SQLITE_UTF8);
	must(code == SQLITE_OK);
}

void
db_bind_blob(struct db_cursor *c, lz_str s)
{
	int code;

	c->at++;
	if (s.ptr == NULL)
		code = sqlite3_bind_null(c->s, c->at);
	else
		code = sqlite3_bind_blob64(c->s, c->at, s.ptr, s.len, SQLITE_STATIC);
	must(code == SQLITE_OK);
}

void
db_bind_id(struct db_cursor *c, const uint8_t id[RECORD_ID_BYTES])
{
	db_bind_blob(c, lz_strn((const char *)id, RECORD_ID_BYTES));
}

void
db_bind_first_id(struct db_cursor *c, int64_t unix_ms, uint8_t room[DB_ID_TIME_BYTES])
{
	const int64_t max = ((int64_t)1 << (8 * DB_ID_TIME_BYTES)) - 1;
	int64_t ms = unix_ms < 0 ? 0 : unix_ms > max ? max : unix_ms;

	for (int i = 0; i < DB_ID_TIME_BYTES; i++)
		room[i] = (uint8_t)(ms >> (8 * (DB_ID_TIME_BYTES - 1 - i)));
	db_bind_blob(c, lz_strn((const char *)room, DB_ID_TIME_BYTES));
}

int64_t
db_read_int(struct db_cursor *c)
{
	return sqlite3_column_int64(c->s, c->at++);
}

int64_t
db_read_known(struct db_cursor *c)
{
	if (sqlite3_column_type(c->s, c->at) != SQLITE_NULL)
		return db_read_int(c);
	c->at++;
	return -1;
}

lz_str
db_read_str(struct db_cursor *c)
{
	int at = c->at++;
	const char *p;

	if (sqlite3_column_type(c->s, at) == SQLITE_NULL)
		return STR_NONE;
	/* An empty blob reads as NULL, but it is there. */
	p = sqlite3_column_blob(c->s, at);
	return lz_strn(p == NULL ? "" : p, (size_t)sqlite3_column_bytes(c->s, at));
}

bool
db_read_id(struct db_cursor *c, uint8_t id[RECORD_ID_BYTES])
{
	lz_str s = db_read_str(c);

	if (s.len != RECORD_ID_BYTES)
		return false;
	memcpy(id, s.ptr, RECORD_ID_BYTES);
	return true;
}

enum status
db_run_for(struct db *d, enum db_statement which, const uint8_t id[RECORD_ID_BYTES],
    struct err *e)
{
	struct db_cursor c = { db_statement(d, which, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, id);
	return db_run(d, c.s, "change what a trace has", e);
}

enum status
db_next_number(struct db *d, struct db_cursor *c, int64_t *out, struct err *e)
{
	enum status st = db_next(d, c->s, "read it", e);

	*out = 0;
	if (st == ST_NOT_FOUND)
		return ST_OK;
	if (st == ST_OK)
		*out = sqlite3_column_int64(c->s, 0);
	(void)sqlite3_reset(c->s);
	return st;
}

/* ---- transactions ---- */

enum status
db_begin(struct db *d, struct err *e)
{
	enum status st;

	must(!d->is_open);
	d->has_refused = false;
	st = db_do(d, DB_BEGIN, "begin a transaction", e);
	d->is_open = st == ST_OK;
	return st;
}

/* The safety level cannot change inside a transaction. So what must be durable is
 * committed as usual, and then a mark at level FULL: its sync covers the whole log before
 * it. */
static enum status
make_durable(struct db *d, struct err *e)
{
	enum status st = db_do(d, DB_SYNC_FULL, "make a commit durable", e), back;

	if (st == ST_OK)
		st = db_do(d, DB_SYNC_MARK, "make a commit durable", e);
	back = db_do(d, DB_SYNC_NORMAL, "make a commit durable", e);
	return st == ST_OK ? back : st;
}

enum status
db_commit(struct db *d, bool durable, struct err *e)
{
	enum status st;

	must(d->is_open);
	st = db_pending_write(d, e);
	if (st == ST_OK)
		st = db_content_write(d, e);
	if (st == ST_OK)
		st = db_spend_write(d, e); /* last: what is pending may add a list */
	if (st == ST_OK)
		st = db_do(d, DB_COMMIT, "commit", e);
	if (st != ST_OK) {
		db_rollback(d);
		return st;
	}
	d->is_open = false;
	db_pending_forget(d);
	db_content_forget(d, true);
	db_scope_forget(d, true);
	return durable ? make_durable(d, e) : ST_OK;
}

void
db_rollback(struct db *d)
{
	/* SQLite may have rolled back by itself: a full disk, no memory. */
	if (!sqlite3_get_autocommit(d->sql))
		(void)db_do(d, DB_ROLLBACK, "roll back", NULL);
	d->is_open = false;
	db_pending_forget(d);
	db_content_forget(d, false);
	db_scope_forget(d, false);
}

bool
db_has_refused(const struct db *d)
{
	return d->has_refused;
}

void
db_checkpoint(struct db *d)
{
	must(!d->is_open);
	(void)sqlite3_wal_checkpoint_v2(
	    d->sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}
