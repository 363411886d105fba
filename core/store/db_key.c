/* db_key.c - virtual keys as rows.
 *
 * Two keys never share a secret: the one that comes second is refused, never silently
 * swapped for the first.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/db_internal.h"

/* Names the key that has one of these secrets already, if there is one. */
static enum status
check_secret(struct db *d, const struct db_key *k, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_KEY_SAME_SECRET, e), 0 };
	struct db_cursor row = { c.s, 0 };
	enum status st;
	lz_str other;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, k->id);
	db_bind_blob(&c, k->hash);
	db_bind_blob(&c, k->sha256);
	db_bind_blob(&c, k->old_hash);
	st = db_next(d, c.s, "look for the same secret", e);
	if (st == ST_NOT_FOUND)
		return ST_OK;
	if (st != ST_OK)
		return st;
	other = db_read_str(&row);
	st = err_fail(e, ST_EXISTS,
	    "key \"%.*s\": has the same secret as key \"%.*s\"; every key needs its own",
	    STR_ARG(k->id), STR_ARG(other));
	(void)sqlite3_reset(c.s);
	return st;
}

static bool
is_hash(lz_str s)
{
	return s.ptr == NULL || s.len == 32;
}

/* What the table demands, said before SQLite says it in its own words. */
static enum status
check_key(const struct db_key *k, struct err *e)
{
	if (k->id.len == 0)
		return err_fail(e, ST_INVALID, "key: has no id; a slug is needed");
	if (!is_hash(k->hash) || !is_hash(k->sha256) || !is_hash(k->old_hash))
		return err_fail(e, ST_INVALID, "key \"%.*s\": a hash must have 32 bytes",
		    STR_ARG(k->id));
	return ST_OK;
}

static lz_str
or_empty(lz_str s)
{
	return s.ptr == NULL ? STR_LIT("") : s;
}

static enum status
put(struct db *d, const struct db_key *k, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_KEY_PUT, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, k->id);
	db_bind_str(&c, or_empty(k->name));
	db_bind_str(&c, or_empty(k->hint));
	db_bind_blob(&c, k->hash);
	db_bind_blob(&c, k->sha256);
	db_bind_blob(&c, k->old_hash);
	db_bind_int(&c, k->old_until_unix_ms);
	db_bind_str(&c, k->settings.ptr == NULL ? STR_LIT("{}") : k->settings);
	db_bind_str(&c, or_empty(k->source));
	db_bind_int(&c, k->is_test);
	db_bind_int(&c, k->is_disabled);
	db_bind_int(&c, k->created_unix_ms);
	db_bind_int(&c, k->changed_unix_ms);
	return db_run(d, c.s, "write a key", e);
}

enum status
db_key_put(struct db *d, const struct db_key *k, struct err *e)
{
	enum status st = check_key(k, e);

	if (st == ST_OK)
		st = check_secret(d, k, e);
	return st == ST_OK ? put(d, k, e) : st;
}

enum status
db_key_remove(struct db *d, lz_str id, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_KEY_REMOVE, e), 0 };
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, id);
	st = db_run(d, c.s, "remove a key", e);
	if (st == ST_OK && sqlite3_changes(d->sql) == 0)
		return err_fail(
		    e, ST_NOT_FOUND, "key \"%.*s\": does not exist", STR_ARG(id));
	return st;
}

static void
read_key(sqlite3_stmt *s, struct db_key *k)
{
	struct db_cursor c = { s, 0 };

	k->id = db_read_str(&c);
	k->name = db_read_str(&c);
	k->hint = db_read_str(&c);
	k->hash = db_read_str(&c);
	k->sha256 = db_read_str(&c);
	k->old_hash = db_read_str(&c);
	k->old_until_unix_ms = db_read_int(&c);
	k->settings = db_read_str(&c);
	k->source = db_read_str(&c);
	k->is_test = db_read_int(&c) != 0;
	k->is_disabled = db_read_int(&c) != 0;
	k->created_unix_ms = db_read_int(&c);
	k->changed_unix_ms = db_read_int(&c);
}

enum status
db_key_each(
    struct db *d, bool (*fn)(void *arg, const struct db_key *k), void *arg, struct err *e)
{
	sqlite3_stmt *s = db_statement(d, DB_KEY_EACH, e);
	struct db_key k;
	enum status st;

	if (s == NULL)
		return ST_NOMEM;
	while ((st = db_next(d, s, "read keys", e)) == ST_OK) {
		read_key(s, &k);
		if (!fn(arg, &k)) {
			(void)sqlite3_reset(s);
			return ST_OK;
		}
	}
	return st == ST_NOT_FOUND ? ST_OK : st;
}
