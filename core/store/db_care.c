/* db_care.c - backup and check.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "base/crypto.h"
#include "store/db_internal.h"
#include "store/file.h"
#include "store/segment.h"

/* ---- backup ---- */

enum {
	KEYRING_BYTES = 4096
};

/* One file, so that a copy of it is whole: no log beside it, and no files of content. */
static enum status
copy_into(struct db *from, struct db *to, struct err *e)
{
	sqlite3_backup *b = sqlite3_backup_init(to->sql, "main", from->sql, "main");
	int code;

	if (b == NULL)
		return err_fail(e, ST_IO, "%s: cannot be copied: %s", from->path,
		    sqlite3_errmsg(to->sql));
	/* All in one step: a read transaction, in which writers go on. */
	code = sqlite3_backup_step(b, -1);
	(void)sqlite3_backup_finish(b);
	if (code == SQLITE_DONE)
		code = sqlite3_exec(
		    to->sql, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		return db_content_unpack(from, to, e);
	return err_fail(e, (code & 0xff) == SQLITE_FULL ? ST_FULL : ST_IO,
	    "%s: cannot be copied: %s", from->path, sqlite3_errstr(code));
}

/* The database at `part`, which exists and is empty. */
static enum status
copy_database(struct db *d, const char *part, struct err *e)
{
	struct db *to = db_new(part, e);
	enum status st;

	if (to == NULL)
		return ST_NOMEM;
	if (sqlite3_open_v2(part, &to->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK)
		st = err_fail(
		    e, ST_IO, "%s: cannot be opened: %s", part, sqlite3_errmsg(to->sql));
	else
		st = copy_into(d, to, e);
	db_close(to);
	return st;
}

static enum status
copy_keyring(const char *from, const char *to, struct err *e)
{
	uint8_t bytes[KEYRING_BYTES];
	size_t len;
	enum status st = file_read(from, bytes, sizeof(bytes), &len, NULL, e);

	if (st == ST_OK)
		st = file_create(to, bytes, len, e);
	crypto_wipe(bytes, sizeof(bytes));
	return st;
}

struct backup_names {
	char part[DB_PATH_BYTES], keyring[DB_PATH_BYTES], dir[DB_PATH_BYTES];
};

static enum status
set_names(struct backup_names *n, const char *to, struct err *e)
{
	const char *slash = strrchr(to, '/');

	if (to[0] == '\0')
		return err_fail(
		    e, ST_INVALID, "backup: the path is empty; it must name a new file");
	if (strlen(to) + sizeof(".keyring") > DB_PATH_BYTES)
		return err_fail(e, ST_LIMIT, "%.200s...: the path is too long", to);
	(void)snprintf(n->part, sizeof(n->part), "%s.part", to);
	(void)snprintf(n->keyring, sizeof(n->keyring), "%s.keyring", to);
	if (slash == NULL)
		(void)snprintf(n->dir, sizeof(n->dir), ".");
	else
		(void)snprintf(n->dir, sizeof(n->dir), "%.*s",
		    slash == to ? 1 : (int)(slash - to), to);
	return ST_OK;
}

/* The name is taken first, by an empty file, and gets the whole copy at the end: a backup
 * that was killed cannot be mistaken for one. */
enum status
db_backup(struct db *d, const char *to, const char *keyring, struct err *e)
{
	struct backup_names n;
	enum status st = set_names(&n, to, e);

	if (st == ST_OK)
		st = file_create(to, "", 0, e);
	if (st != ST_OK)
		return st;
	if (keyring != NULL) {
		st = copy_keyring(keyring, n.keyring, e);
		if (st != ST_OK) {
			(void)io.unlink(to);
			return st;
		}
	}
	(void)io.unlink(n.part);
	st = file_create(n.part, "", 0, e);
	if (st == ST_OK)
		st = copy_database(d, n.part, e);
	if (st == ST_OK && io.rename(n.part, to) != 0)
		st = err_fail(e, ST_IO, "%s: cannot be written: %s", to, strerror(errno));
	if (st == ST_OK)
		return segment_sync_dir(n.dir, e);
	(void)io.unlink(n.part);
	(void)io.unlink(to);
	if (keyring != NULL)
		(void)io.unlink(n.keyring);
	return st;
}

/* ---- check ---- */

static void PRINTF_LIKE(2, 3) note_problem(struct db_check *out, const char *fmt, ...)
{
	va_list args;

	if (out->first_problem[0] != '\0')
		return;
	va_start(args, fmt);
	(void)vsnprintf(out->first_problem, sizeof(out->first_problem), fmt, args);
	va_end(args);
}

static enum status
count_rows(struct db *d, struct db_check *out, struct err *e)
{
	const struct {
		const char *sql;
		int64_t *to;
	} row[] = {
		{ "SELECT count(*) FROM virtual_key", &out->keys },
		{ "SELECT count(*) FROM trace", &out->traces },
		{ "SELECT count(*) FROM charge", &out->charges },
		{ "SELECT count(*) FROM reservation WHERE NOT is_settled",
		    &out->open_reservations },
	};
	enum status st = ST_OK;

	for (size_t i = 0; st == ST_OK && i < sizeof(row) / sizeof(*row); i++)
		st = db_ask(d, row[i].sql, row[i].to, e);
	return st;
}

/* "ok", or what is wrong first. */
static enum status
check_integrity(struct db *d, struct db_check *out, struct err *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = ST_OK;
	const char *text;

	if (sqlite3_prepare_v2(d->sql, "PRAGMA integrity_check(1)", -1, &s, NULL) !=
	    SQLITE_OK)
		return db_fail(d, e, "check it");
	if (sqlite3_step(s) != SQLITE_ROW) {
		st = db_fail(d, e, "check it");
	} else {
		text = (const char *)sqlite3_column_text(s, 0);
		if (text == NULL || strcmp(text, "ok") != 0)
			note_problem(
			    out, "integrity: %s", text == NULL ? "no answer" : text);
	}
	(void)sqlite3_finalize(s);
	return st;
}

static enum status
check_references(struct db *d, struct db_check *out, struct err *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = ST_OK;
	int code;

	if (sqlite3_prepare_v2(d->sql, "PRAGMA foreign_key_check", -1, &s, NULL) !=
	    SQLITE_OK)
		return db_fail(d, e, "check references");
	code = sqlite3_step(s);
	if (code == SQLITE_ROW)
		note_problem(out, "references: a row of %s has no parent in %s",
		    (const char *)sqlite3_column_text(s, 0),
		    (const char *)sqlite3_column_text(s, 2));
	else if (code != SQLITE_DONE)
		st = db_fail(d, e, "check references");
	(void)sqlite3_finalize(s);
	return st;
}

/* Per budget: what its charges sum up to beside what is written. Sums by list first, so
 * that a charge is read once however many budgets it has. */
static const char spend_query[] =
    "WITH by_set AS (SELECT scope_set AS id, sum(cost_nano_eur) AS cost FROM charge "
    "  WHERE scope_set IS NOT NULL GROUP BY scope_set),"
    "charged AS (SELECT i.scope AS scope, i.period AS period, sum(b.cost) AS cost "
    "  FROM by_set b JOIN scope_item i ON i.set_id = b.id GROUP BY i.scope, i.period),"
    "both AS (SELECT scope, period, cost, 0 AS spent FROM charged WHERE cost IS NOT NULL "
    "  UNION ALL SELECT scope, period, pruned_nano_eur, spent_nano_eur FROM "
    "budget_spend) "
    "SELECT scope, period, sum(cost), sum(spent) FROM both GROUP BY scope, period "
    "HAVING sum(cost) <> sum(spent)";

static enum status
check_spend(struct db *d, struct db_check *out, struct err *e)
{
	sqlite3_stmt *s = NULL;
	enum status st;

	if (sqlite3_prepare_v2(d->sql, spend_query, -1, &s, NULL) != SQLITE_OK)
		return db_fail(d, e, "compare spend with charges");
	while ((st = db_next(d, s, "compare spend with charges", e)) == ST_OK) {
		out->spend_differs++;
		note_problem(out,
		    "budget %s %s: %lld nano-EUR are charged, %lld are spent",
		    (const char *)sqlite3_column_text(s, 0),
		    (const char *)sqlite3_column_text(s, 1),
		    (long long)sqlite3_column_int64(s, 2),
		    (long long)sqlite3_column_int64(s, 3));
	}
	(void)sqlite3_finalize(s);
	return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status
check_content(struct db *d, struct db_check *out, struct err *e)
{
	struct err missing;
	enum status st = db_content_check(d, &missing);

	if (st == ST_NOT_FOUND)
		note_problem(out, "%s", missing.text);
	else if (st != ST_OK && e != NULL)
		*e = missing;
	return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status
db_check(struct db *d, struct db_check *out, struct err *e)
{
	enum status st;

	*out = (struct db_check){ 0 };
	/* First, so that a damaged file is a finding rather than a failure to count. */
	st = check_integrity(d, out, e);
	if (st == ST_OK && out->first_problem[0] != '\0')
		return ST_OK;
	if (st == ST_OK)
		st = count_rows(d, out, e);
	if (st == ST_OK)
		st = check_references(d, out, e);
	if (st == ST_OK)
		st = check_spend(d, out, e);
	return st == ST_OK ? check_content(d, out, e) : st;
}
