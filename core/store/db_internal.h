/* db_internal.h - what the db_*.c files share: the connection, its statements, binding and reading rows.
 *
 * Private to store/; the only header that includes sqlite3.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_DB_INTERNAL_H
#define STORE_DB_INTERNAL_H

#include <sqlite3.h>

#include "store/db.h"
#include "store/table.h"

enum {
	DB_PATH_BYTES = 4096,
	DB_APPLICATION_ID = 0x4c544e5a, /* "LTNZ" */
	DB_BUSY_MS = 5000
};

#define KEY_COLUMNS \
	"id, name, hint, hash, sha256, old_hash, old_until_unix_ms, settings, source, is_test, " \
	"is_disabled, created_unix_ms, changed_unix_ms"
#define CHARGE_COLUMNS \
	"trace_id, attempt, state, at_unix_ms, cost_nano_eur, input, cache_read, cache_write, output, " \
	"reasoning, price_input, price_cache_read, price_cache_write, price_output, fx_nano, fx_date, " \
	"key, provider, model, scope_set"
#define TRACE_COLUMNS \
	"id, at_unix_ms, total_us, overhead_us, ttft_us, cost_nano_eur, input, cache_read, " \
	"cache_write, output, reasoning, flags, status, attempts, route, code, finish, key, " \
	"organization, assistant, user, session, model_asked, model, provider, strategy, metadata, " \
	"attempt_list"

/* Every statement that is prepared once and kept. Parameters are bound in the order of their first mention. */
#define DB_STATEMENTS(X) \
	X(BEGIN, "BEGIN IMMEDIATE") \
	X(COMMIT, "COMMIT") \
	X(ROLLBACK, "ROLLBACK") \
	X(SYNC_NORMAL, "PRAGMA synchronous = NORMAL") \
	X(SYNC_FULL, "PRAGMA synchronous = FULL") \
	X(SYNC_MARK, "UPDATE durable SET commits = commits + 1") \
	X(KEY_PUT, \
	    "INSERT INTO virtual_key (" KEY_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) " \
	    "ON CONFLICT (id) DO UPDATE SET name = excluded.name, hint = excluded.hint, " \
	    "hash = excluded.hash, sha256 = excluded.sha256, old_hash = excluded.old_hash, " \
	    "old_until_unix_ms = excluded.old_until_unix_ms, settings = excluded.settings, " \
	    "source = excluded.source, is_test = excluded.is_test, " \
	    "is_disabled = excluded.is_disabled, created_unix_ms = excluded.created_unix_ms, " \
	    "changed_unix_ms = excluded.changed_unix_ms") \
	X(KEY_SAME_SECRET, \
	    "SELECT id FROM virtual_key WHERE id <> ?1 AND (hash IN (?2, ?4) OR " \
	    "old_hash IN (?2, ?4) OR sha256 = ?3) LIMIT 1") \
	X(KEY_REMOVE, "DELETE FROM virtual_key WHERE id = ?") \
	X(KEY_EACH, "SELECT " KEY_COLUMNS " FROM virtual_key ORDER BY created_unix_ms, id") \
	X(SPEND_EACH, "SELECT scope, period, spent_nano_eur FROM budget_spend ORDER BY scope, period") \
	X(SPEND_GET, "SELECT spent_nano_eur FROM budget_spend WHERE scope = ? AND period = ?") \
	/* Saturates: an impossible sum must not become a REAL, which the column refuses for ever. */ \
	X(SPEND_ADD, \
	    "INSERT INTO budget_spend (scope, period, spent_nano_eur, pruned_nano_eur) " \
	    "VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET " \
	    "spent_nano_eur = min(spent_nano_eur, 9223372036854775807 - ?3) + ?3, " \
	    "pruned_nano_eur = min(pruned_nano_eur, 9223372036854775807 - ?4) + ?4") \
	X(SET_FIND, "SELECT id FROM scope_set WHERE list = ?") \
	X(SET_ADD, "INSERT INTO scope_set (list) VALUES (?)") \
	X(SET_ITEM_ADD, "INSERT INTO scope_item (set_id, position, scope, period) VALUES (?,?,?,?)") \
	X(CHARGE_ADD, \
	    "INSERT INTO charge (" CHARGE_COLUMNS ") " \
	    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING") \
	X(CHARGE_EACH, \
	    "SELECT " CHARGE_COLUMNS " FROM charge WHERE trace_id = ? ORDER BY attempt") \
	X(CHARGE_SUMS, \
	    "SELECT s.list, c.cost_nano_eur FROM charge c JOIN scope_set s ON s.id = c.scope_set " \
	    "WHERE c.trace_id = ?") \
	X(CHARGE_REMOVE, "DELETE FROM charge WHERE trace_id = ?") \
	X(OPEN_ADD, \
	    "INSERT OR REPLACE INTO reservation (trace_id, attempt, is_settled, is_traced, " \
	    "at_unix_ms, bound_nano_eur, input_nano_eur, key, provider, model, scope_set) " \
	    "VALUES (?,?,?,?,?,?,?,?,?,?,?)") \
	X(OPEN_SETTLED, "UPDATE reservation SET is_settled = 1 WHERE trace_id = ? AND attempt = ?") \
	X(OPEN_REMOVE, "DELETE FROM reservation WHERE trace_id = ? AND attempt = ?") \
	X(OPEN_TRACED, "UPDATE reservation SET is_traced = 1 WHERE trace_id = ?") \
	X(OPEN_DONE, "DELETE FROM reservation WHERE trace_id = ? AND is_settled AND is_traced") \
	X(OPEN_EACH, \
	    "SELECT r.trace_id, r.attempt, r.at_unix_ms, r.bound_nano_eur, r.input_nano_eur, r.key, " \
	    "r.provider, r.model, r.scope_set, s.list FROM reservation r " \
	    "LEFT JOIN scope_set s ON s.id = r.scope_set WHERE NOT r.is_settled") \
	X(OPEN_CLEAR, "DELETE FROM reservation") \
	/* The columns beside max(attempt) are those of the row that has it. */ \
	X(TRACE_INTERRUPTED, \
	    "WITH lost AS (SELECT trace_id AS id, max(attempt), key, provider, model, " \
	    "(SELECT min(f.at_unix_ms) FROM reservation f WHERE f.trace_id = r.trace_id) AS at " \
	    "FROM reservation r WHERE NOT is_traced GROUP BY trace_id), " \
	    "paid AS (SELECT trace_id AS id, count(*) AS attempts, min(at_unix_ms) AS at, " \
	    "CASE WHEN count(*) = count(cost_nano_eur) THEN sum(cost_nano_eur) END AS cost, " \
	    "sum(input) AS input, sum(cache_read) AS cache_read, sum(cache_write) AS cache_write, " \
	    "sum(output) AS output, sum(reasoning) AS reasoning, " \
	    "json_group_array(json_object('provider', provider, 'model', model, 'end', " \
	    "CASE state WHEN 1 THEN 'ok' WHEN 2 THEN 'estimated' WHEN 3 THEN 'released' " \
	    "WHEN 4 THEN 'uncertain' ELSE 'unpriced' END, 'cost_nano_eur', cost_nano_eur)) AS list " \
	    "FROM charge WHERE trace_id IN (SELECT id FROM lost) GROUP BY trace_id) " \
	    "INSERT INTO trace (" TRACE_COLUMNS ") " \
	    "SELECT lost.id, min(lost.at, paid.at), 0, 0, NULL, paid.cost, paid.input, " \
	    "paid.cache_read, paid.cache_write, paid.output, paid.reasoning, ?1, 0, paid.attempts, " \
	    "NULL, 'interrupted', NULL, lost.key, NULL, NULL, NULL, NULL, NULL, lost.model, " \
	    "lost.provider, NULL, NULL, paid.list FROM lost JOIN paid USING (id) " \
	    "WHERE true ON CONFLICT DO NOTHING") \
	X(POSITION_SET, \
	    "INSERT INTO spool_position (segment, offset) VALUES (?, ?) " \
	    "ON CONFLICT DO UPDATE SET offset = excluded.offset") \
	X(POSITION_GET, "SELECT offset FROM spool_position WHERE segment = ?") \
	X(POSITION_FORGET, "DELETE FROM spool_position WHERE segment = ?") \
	X(POSITION_CLEAR, "DELETE FROM spool_position") \
	X(TRACE_ADD, \
	    "INSERT INTO trace (" TRACE_COLUMNS ") " \
	    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING") \
	X(TRACE_BETWEEN, \
	    "SELECT rowid, " TRACE_COLUMNS " FROM trace WHERE id >= ? AND id <= ? LIMIT 2") \
	X(TRACE_OLD, "SELECT rowid, id FROM trace WHERE at_unix_ms < ? ORDER BY at_unix_ms LIMIT ?") \
	X(TRACE_REMOVE, "DELETE FROM trace WHERE rowid = ?") \
	X(TRACE_FORGET, \
	    "UPDATE trace SET user = NULL, session = NULL, metadata = NULL WHERE user = ?") \
	X(CONTENT_PUT, \
	    "INSERT INTO content (trace_id, at_unix_ms, request, answer, candidates) " \
	    "VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET request = excluded.request, " \
	    "answer = excluded.answer, candidates = excluded.candidates") \
	X(CONTENT_GET, "SELECT request, answer, candidates FROM content WHERE trace_id = ?") \
	X(CONTENT_OLD, \
	    "DELETE FROM content WHERE rowid IN (SELECT rowid FROM content WHERE at_unix_ms < ? " \
	    "ORDER BY at_unix_ms LIMIT ?)") \
	X(CONTENT_FORGET, \
	    "DELETE FROM content WHERE trace_id IN (SELECT id FROM trace WHERE user = ?)") \
	X(VACUUM_SOME, "PRAGMA incremental_vacuum(256)")

enum db_statement {
#define DB_STATEMENT_ID(id, sql) DB_##id,
	DB_STATEMENTS(DB_STATEMENT_ID)
#undef DB_STATEMENT_ID
	DB_STATEMENT_COUNT
};

/* A list of budgets that charges share: its row, and what this transaction adds to it. */
struct db_set {
	int64_t id;	       /* 0: not asked for yet */
	int64_t spent, pruned; /* nano-EUR */
};

struct db_attempt;

struct db {
	sqlite3 *sql;
	char path[DB_PATH_BYTES];
	bool is_open; /* a transaction of ours */
	sqlite3_stmt *statement[DB_STATEMENT_COUNT];

	struct table sets; /* scope list -> struct db_set; ids outlive a commit, not a rollback */
	/* Of this transaction only: */
	struct table requests; /* trace id -> struct db_request */
	struct db_attempt *attempt;
	uint32_t attempt_count, attempt_cap;
	struct buf reserves; /* encoded reservations that are not settled yet */
};

/* Fails with the connection's last error: "<path>: cannot <what>: <why>". */
enum status db_fail(struct db *d, struct err *e, const char *what);
/* The statement, reset and ready to bind. NULL with a sentence. */
sqlite3_stmt *db_statement(struct db *d, enum db_statement which, struct err *e);
/* Steps a statement that returns no rows, and resets it. */
enum status db_run(struct db *d, sqlite3_stmt *s, const char *what, struct err *e);
/* The same for one that has no parameters. */
enum status db_do(struct db *d, enum db_statement which, const char *what, struct err *e);
/* One step of a reading statement: ST_OK a row, ST_NOT_FOUND the end (and reset), else failed (and reset). */
enum status db_next(struct db *d, sqlite3_stmt *s, const char *what, struct err *e);
/* Several statements of plain SQL. */
enum status db_exec(struct db *d, const char *sql, const char *what, struct err *e);
/* The one integer that a PRAGMA or a query answers. */
enum status db_ask(struct db *d, const char *sql, int64_t *out, struct err *e);

/* Binds parameters, or reads columns, one after the other. What is bound is borrowed until the statement is reset. */
struct db_cursor {
	sqlite3_stmt *s;
	int at;
};
void db_bind_int(struct db_cursor *c, int64_t v);
void db_bind_known(struct db_cursor *c, int64_t v); /* negative: NULL */
void db_bind_str(struct db_cursor *c, lz_str s);    /* absent: NULL */
void db_bind_blob(struct db_cursor *c, lz_str s);
void db_bind_id(struct db_cursor *c, const uint8_t id[RECORD_ID_BYTES]);
int64_t db_read_int(struct db_cursor *c);
int64_t db_read_known(struct db_cursor *c); /* NULL: -1 */
lz_str db_read_str(struct db_cursor *c);    /* text or blob; NULL: STR_NONE */
bool db_read_id(struct db_cursor *c, uint8_t id[RECORD_ID_BYTES]);

/* What a transaction added up in memory: db_money.c keeps it, db_commit() and db_rollback() end it. */
enum status db_money_write(struct db *d, struct err *e) MUST_CHECK;
void db_money_forget(struct db *d, bool is_committed);
void db_money_init(struct db *d);
void db_money_free(struct db *d);
/* The charges of a trace are going away: carries their cost into `pruned`. */
enum status db_money_prune(struct db *d, const uint8_t id[RECORD_ID_BYTES], struct err *e) MUST_CHECK;

/* Schema: brings the connection's database from its version to the newest. */
enum status db_migrate(struct db *d, struct err *e) MUST_CHECK;

#endif
