/* db_internal.h - what the db_*.c files share: the connection, its statements, binding
 * and reading rows.
 *
 * Private to store/; the only header that includes sqlite3.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_DB_INTERNAL_H
#define STORE_DB_INTERNAL_H

#include <sqlite3.h>

#include "store/db.h"
#include "store/content.h"
#include "store/content_file.h"
#include "store/db_sql.h"
#include "store/table.h"

enum {
	DB_PATH_BYTES = 4096,
	DB_ID_TIME_BYTES = 6,           /* at the beginning of an id: Unix milliseconds */
	DB_APPLICATION_ID = 0x4c544e5a, /* "LTNZ" */
	DB_BUSY_MS = 5000
};

enum db_statement {
#define DB_STATEMENT_ID(id, sql) DB_##id,
	DB_STATEMENTS(DB_STATEMENT_ID)
#undef DB_STATEMENT_ID
	DB_STATEMENT_COUNT
};

/* A list of budgets that charges share: its row, and what this transaction adds to it. */
struct db_set {
	int64_t id;            /* 0: not asked for yet */
	int64_t spent, pruned; /* nano-EUR */
};

struct db_attempt;

struct db {
	sqlite3 *sql;
	char path[DB_PATH_BYTES];
	bool is_open;     /* a transaction of ours */
	bool has_refused; /* in it, a row was not accepted */
	sqlite3_stmt *statement[DB_STATEMENT_COUNT];

	struct table sets; /* list of budgets -> struct db_set; ids outlive a commit, not
			      a rollback */
	/* Of this transaction only, see db_pending.c: */
	struct table requests; /* trace id -> struct db_request */
	struct db_attempt *attempt;
	uint32_t attempt_count, attempt_cap;
	struct buf reserves; /* encoded reservations that are not settled yet */

	/* Prompts and answers, see db_content.c: */
	struct content_files files;
	bool has_looked; /* db_content_recover() was done */
	struct buf pack; /* of this transaction, not written yet */
	uint8_t pack_first[RECORD_ID_BYTES], pack_last[RECORD_ID_BYTES]; /* its ids */
	struct buf read;                                                 /* a pack */
};

/* Without a connection yet. owned: db_close(). NULL: out of memory. */
struct db *db_new(const char *path, struct err *e);
enum status db_status_of(int code); /* of a SQLite result */
/* Fails with the connection's last error: "<path>: cannot <what>: <why>". */
enum status db_fail(struct db *d, struct err *e, const char *what);
/* The statement, reset and ready to bind. NULL with a sentence. */
sqlite3_stmt *db_statement(struct db *d, enum db_statement which, struct err *e);
/* Steps a statement that returns no rows, and resets it. */
enum status db_run(struct db *d, sqlite3_stmt *s, const char *what, struct err *e);
/* The same for one that has no parameters. */
enum status db_do(struct db *d, enum db_statement which, const char *what, struct err *e);
/* One step of a reading statement: ST_OK a row, ST_NOT_FOUND the end (and reset), else
 * failed (and reset). */
enum status db_next(struct db *d, sqlite3_stmt *s, const char *what, struct err *e);
/* Several statements of plain SQL. */
enum status db_exec(struct db *d, const char *sql, const char *what, struct err *e);
/* The one integer that a PRAGMA or a query answers. */
enum status db_ask(struct db *d, const char *sql, int64_t *out, struct err *e);

/* Binds parameters, or reads columns, one after the other. What is bound is borrowed
 * until the statement is reset. */
struct db_cursor {
	sqlite3_stmt *s;
	int at;
};
void db_bind_int(struct db_cursor *c, int64_t v);
void db_bind_known(struct db_cursor *c, int64_t v); /* negative: NULL */
void db_bind_str(struct db_cursor *c, lz_str s);    /* absent: NULL */
void db_bind_blob(struct db_cursor *c, lz_str s);
/* What every id of a request that came at this time or later is not below, whatever
 * follows its first bytes. `room` is borrowed until the statement was run. */
void db_bind_first_id(
    struct db_cursor *c, int64_t unix_ms, uint8_t room[DB_ID_TIME_BYTES]);
void db_bind_id(struct db_cursor *c, const uint8_t id[RECORD_ID_BYTES]);
int64_t db_read_int(struct db_cursor *c);
int64_t db_read_known(struct db_cursor *c); /* NULL: -1 */
lz_str db_read_str(struct db_cursor *c);    /* text or blob; NULL: STR_NONE */
bool db_read_id(struct db_cursor *c, uint8_t id[RECORD_ID_BYTES]);

/* Runs a statement whose one parameter is a trace's id. */
enum status db_run_for(struct db *d, enum db_statement which,
    const uint8_t id[RECORD_ID_BYTES], struct err *e);
/* The first column of the one row that a bound statement finds; 0 when it finds none. */
enum status db_next_number(
    struct db *d, struct db_cursor *c, int64_t *out, struct err *e);

/* db_scope.c. Entries are valid until the next call of either. */
void db_scope_init(struct db *d);
void db_scope_free(struct db *d);
void db_scope_forget(struct db *d, bool is_committed); /* a transaction ended */
/* The entry of these budgets, with the id of its row. *out NULL: there are none. */
enum status db_scope_get(struct db *d, const struct record_scope *scope, uint8_t count,
    struct db_set **out, struct err *e) MUST_CHECK;
/* The same for a list as scope_set has it. */
enum status db_scope_get_list(
    struct db *d, lz_str list, struct db_set **out, struct err *e) MUST_CHECK;
/* Before a commit: writes what the lists were charged, once per budget. */
enum status db_spend_write(struct db *d, struct err *e) MUST_CHECK;
int64_t db_add_capped(int64_t a, int64_t b);

/* db_trace.c: what its queries ask beside SQL's own. */
enum status db_trace_functions(struct db *d, struct err *e) MUST_CHECK;

/* db_pending.c */
void db_pending_init(struct db *d);
void db_pending_free(struct db *d);
void db_pending_forget(struct db *d); /* a transaction ended */
enum status db_pending_reserve(
    struct db *d, const struct record_reserve *r, struct err *e) MUST_CHECK;
enum status db_pending_raise(
    struct db *d, const struct record_raise *r, struct err *e) MUST_CHECK;
enum status db_pending_settle(
    struct db *d, const struct record_settle *r, struct err *e) MUST_CHECK;
enum status db_pending_trace(
    struct db *d, const struct record_trace *t, struct err *e) MUST_CHECK;
enum status db_pending_write(
    struct db *d, struct err *e) MUST_CHECK; /* before a commit */

/* db_content.c */
void db_content_init(struct db *d);
void db_content_free(struct db *d);
enum status db_content_write(
    struct db *d, struct err *e) MUST_CHECK;             /* before a commit */
void db_content_forget(struct db *d, bool is_committed); /* a transaction ended */
/* The texts of a trace; absent ones: STR_NONE. Borrowed until db_content_done(). */
enum status db_content_find(struct db *d, const uint8_t id[RECORD_ID_BYTES],
    struct content *out, struct err *e) MUST_CHECK;
void db_content_done(struct db *d);
/* In a transaction: all texts of a person's traces. What stood in files is gone for good
 * when it returns, whatever becomes of the transaction. */
enum status db_content_erase(struct db *d, lz_str user, struct err *e) MUST_CHECK;
/* In a transaction: at most so many of the oldest texts, and packs of them. */
enum status db_content_prune(struct db *d, int64_t before_unix_ms, int64_t rows,
    int64_t *count, struct err *e) MUST_CHECK;
/* Between transactions: deletes the files of which nothing is left. */
enum status db_content_sweep(struct db *d, struct err *e) MUST_CHECK;
/* ST_NOT_FOUND with a sentence: a file lacks what rows name. */
enum status db_content_check(struct db *d, struct err *e) MUST_CHECK;
/* Texts in files become rows of `to`, a copy of the database. */
enum status db_content_unpack(struct db *from, struct db *to, struct err *e) MUST_CHECK;

/* db_apply.c: writes the charge and adds its cost to `set` (NULL: no budgets), unless the
 * attempt was charged before. */
enum status db_charge(struct db *d, const struct record_settle *r, struct db_set *set,
    struct err *e) MUST_CHECK;
/* The charges of a trace go; what they had cost is carried in their budgets. */
enum status db_charge_prune(
    struct db *d, const uint8_t id[RECORD_ID_BYTES], struct err *e) MUST_CHECK;

/* Schema: brings the connection's database from its version to the newest. */
enum status db_migrate(struct db *d, struct err *e) MUST_CHECK;

#endif
