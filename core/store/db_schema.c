/* db_schema.c - the tables, as the list of steps that led to them.
 *
 * A step is never changed once it was released: a database that was made by it must be
 * what a new one becomes. Money is nano-EUR; NULL where it is unknown, never 0. Times are
 * Unix milliseconds.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "store/db_internal.h"

static const char version_1[] =
    "CREATE TABLE virtual_key ("
    "  id TEXT NOT NULL PRIMARY KEY,"
    "  name TEXT NOT NULL,"
    "  hint TEXT NOT NULL,"
    "  hash BLOB UNIQUE CHECK (length(hash) = 32),"
    "  sha256 BLOB UNIQUE CHECK (length(sha256) = 32),"
    "  old_hash BLOB UNIQUE CHECK (length(old_hash) = 32)," /* before a roll */
    "  old_until_unix_ms INTEGER NOT NULL,"
    "  settings TEXT NOT NULL," /* JSON */
    "  source TEXT NOT NULL,"
    "  is_test INTEGER NOT NULL,"
    "  is_disabled INTEGER NOT NULL,"
    "  created_unix_ms INTEGER NOT NULL,"
    "  changed_unix_ms INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"

    /* spent = sum of the charges that name it + what pruned charges had cost. */
    "CREATE TABLE budget_spend ("
    "  scope TEXT NOT NULL,"
    "  period TEXT NOT NULL,"
    "  spent_nano_eur INTEGER NOT NULL,"
    "  pruned_nano_eur INTEGER NOT NULL,"
    "  PRIMARY KEY (scope, period)"
    ") STRICT, WITHOUT ROWID;"

    /* The few different lists of budgets that charges touch, so that a charge holds one
       small number. */
    "CREATE TABLE scope_set ("
    "  id INTEGER PRIMARY KEY,"
    "  list TEXT NOT NULL UNIQUE" /* "LENGTH:scope,LENGTH:period,..." */
    ") STRICT;"
    "CREATE TABLE scope_item ("
    "  set_id INTEGER NOT NULL REFERENCES scope_set (id),"
    "  position INTEGER NOT NULL,"
    "  scope TEXT NOT NULL,"
    "  period TEXT NOT NULL,"
    "  PRIMARY KEY (set_id, position)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE charge ("
    "  trace_id BLOB NOT NULL,"
    "  attempt INTEGER NOT NULL,"
    "  state INTEGER NOT NULL," /* enum charge_state */
    "  at_unix_ms INTEGER NOT NULL,"
    "  cost_nano_eur INTEGER," /* NULL: no price */
    "  input INTEGER NOT NULL,"
    "  cache_read INTEGER NOT NULL,"
    "  cache_write INTEGER NOT NULL,"
    "  output INTEGER NOT NULL,"
    "  reasoning INTEGER NOT NULL,"
    "  price_input INTEGER," /* pico-USD per token */
    "  price_cache_read INTEGER,"
    "  price_cache_write INTEGER,"
    "  price_output INTEGER,"
    "  fx_nano INTEGER," /* nano-EUR per USD */
    "  fx_date TEXT,"
    "  key TEXT,"
    "  provider TEXT,"
    "  model TEXT,"
    "  scope_set INTEGER REFERENCES scope_set (id),"
    "  PRIMARY KEY (trace_id, attempt)"
    ") STRICT, WITHOUT ROWID;"

    /* Requests whose trace was not written yet, and late attempts of those whose trace
       was. */
    "CREATE TABLE reservation ("
    "  trace_id BLOB NOT NULL,"
    "  attempt INTEGER NOT NULL,"
    "  is_settled INTEGER NOT NULL,"
    "  is_traced INTEGER NOT NULL,"
    "  at_unix_ms INTEGER NOT NULL,"
    "  bound_nano_eur INTEGER NOT NULL,"
    "  input_nano_eur INTEGER NOT NULL,"
    "  key TEXT,"
    "  provider TEXT,"
    "  model TEXT,"
    "  scope_set INTEGER REFERENCES scope_set (id),"
    "  PRIMARY KEY (trace_id, attempt)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE spool_position ("
    "  segment TEXT NOT NULL PRIMARY KEY,"
    "  offset INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE trace ("
    "  rowid INTEGER PRIMARY KEY," /* the order of writing */
    "  id BLOB NOT NULL UNIQUE,"
    "  at_unix_ms INTEGER NOT NULL,"
    "  total_us INTEGER NOT NULL,"
    "  overhead_us INTEGER NOT NULL,"
    "  ttft_us INTEGER,"
    "  cost_nano_eur INTEGER,"
    "  input INTEGER NOT NULL,"
    "  cache_read INTEGER NOT NULL,"
    "  cache_write INTEGER NOT NULL,"
    "  output INTEGER NOT NULL,"
    "  reasoning INTEGER NOT NULL,"
    "  flags INTEGER NOT NULL," /* TRACE_* */
    "  status INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL,"
    "  route TEXT,"
    "  code TEXT,"
    "  finish TEXT,"
    "  key TEXT,"
    "  organization TEXT,"
    "  assistant TEXT,"
    "  user TEXT,"
    "  session TEXT,"
    "  model_asked TEXT,"
    "  model TEXT,"
    "  provider TEXT,"
    "  strategy TEXT,"
    "  metadata TEXT,"    /* JSON object */
    "  attempt_list TEXT" /* JSON array */
    ") STRICT;"
    "CREATE INDEX trace_at ON trace (at_unix_ms);"

    "CREATE TABLE content ("
    "  rowid INTEGER PRIMARY KEY,"
    "  trace_id BLOB NOT NULL UNIQUE,"
    "  at_unix_ms INTEGER NOT NULL,"
    "  request TEXT,"
    "  answer TEXT,"
    "  candidates TEXT"
    ") STRICT;"
    "CREATE INDEX content_at ON content (at_unix_ms);"

    /* A row to write when a commit must reach the disk: see db_commit(). */
    "CREATE TABLE durable (commits INTEGER NOT NULL) STRICT;"
    "INSERT INTO durable (commits) VALUES (0);";

/* Ids begin with the millisecond their request came, and have an index: a second one by
 * time would say nothing else. */
static const char version_2[] = "DROP INDEX trace_at;"
				"DROP INDEX content_at;";

/* What keys inherit; what they spend together stands in budget_spend, as ever. */
static const char version_3[] =
    "CREATE TABLE profile ("
    "  id TEXT NOT NULL PRIMARY KEY," /* "acme", "acme/support" */
    "  settings TEXT NOT NULL,"       /* JSON */
    "  source TEXT NOT NULL,"
    "  is_disabled INTEGER NOT NULL,"
    "  created_unix_ms INTEGER NOT NULL,"
    "  changed_unix_ms INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;";

static const char version_4[] =
    "ALTER TABLE trace ADD COLUMN guardrails TEXT;"; /* JSON array */

/* Prompts and answers stand in files, see db_content.c: a row is a run of them. */
static const char version_5[] =
    "CREATE TABLE content_pack ("
    "  file INTEGER NOT NULL," /* its number */
    "  offset INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL,"
    "  first_id BLOB NOT NULL," /* of its traces */
    "  last_id BLOB NOT NULL,"
    "  PRIMARY KEY (file, offset)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX content_pack_last ON content_pack (last_id);";

/* What a row of before has as JSON in `guardrails`, see verdict.h. */
static const char version_6[] = "ALTER TABLE trace ADD COLUMN verdicts BLOB;";

/* Step i brings version i to version i + 1. */
static const char *const steps[] = { version_1, version_2, version_3, version_4,
	version_5, version_6 };

int
db_schema_version(void)
{
	return (int)(sizeof(steps) / sizeof(*steps));
}

static enum status
migrate_from(struct db *d, int version, struct err *e)
{
	char text[40];
	enum status st = ST_OK;

	for (int i = version; st == ST_OK && i < db_schema_version(); i++)
		st = db_exec(d, steps[i], "bring the schema up to date", e);
	if (st != ST_OK)
		return st;
	(void)snprintf(
	    text, sizeof(text), "PRAGMA user_version = %d", db_schema_version());
	return db_exec(d, text, "set the schema version", e);
}

/* One transaction for all steps: a crash leaves the old version or the new one. */
enum status
db_migrate(struct db *d, struct err *e)
{
	enum status st = db_begin(d, e);
	int64_t version;

	if (st != ST_OK)
		return st;
	st = db_ask(d, "PRAGMA user_version", &version, e);
	if (st == ST_OK)
		st = migrate_from(d, (int)version, e);
	if (st == ST_OK)
		return db_commit(d, false, e);
	db_rollback(d);
	return st;
}
