/* db_profile.c - organisations and assistants as rows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/db_internal.h"

enum status
db_profile_put(struct db *d, const struct db_profile *p, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_PROFILE_PUT, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, p->id);
	db_bind_str(&c, p->settings.ptr == NULL ? STR_LIT("{}") : p->settings);
	db_bind_str(&c, p->source.ptr == NULL ? STR_LIT("") : p->source);
	db_bind_int(&c, p->is_disabled);
	db_bind_int(&c, p->created_unix_ms);
	db_bind_int(&c, p->changed_unix_ms);
	return db_run(d, c.s, "write an organization", e);
}

enum status
db_profile_remove(struct db *d, lz_str id, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_PROFILE_REMOVE, e), 0 };
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, id);
	st = db_run(d, c.s, "remove an organization", e);
	if (st == ST_OK && sqlite3_changes(d->sql) == 0)
		return err_fail(e, ST_NOT_FOUND, "organization \"%.*s\": does not exist",
		    STR_ARG(id));
	return st;
}

enum status
db_profile_each(struct db *d, bool (*fn)(void *arg, const struct db_profile *p),
    void *arg, struct err *e)
{
	sqlite3_stmt *s = db_statement(d, DB_PROFILE_EACH, e);
	enum status st;

	if (s == NULL)
		return ST_NOMEM;
	while ((st = db_next(d, s, "read organizations", e)) == ST_OK) {
		struct db_cursor c = { s, 0 };
		struct db_profile p = { .id = db_read_str(&c) };

		p.settings = db_read_str(&c);
		p.source = db_read_str(&c);
		p.is_disabled = db_read_int(&c) != 0;
		p.created_unix_ms = db_read_int(&c);
		p.changed_unix_ms = db_read_int(&c);
		if (!fn(arg, &p)) {
			(void)sqlite3_reset(s);
			return ST_OK;
		}
	}
	return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status
db_profile_keys(
    struct db *d, lz_str organization, lz_str assistant, int64_t *keys, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_PROFILE_KEYS, e), 0 };
	struct db_cursor row = { c.s, 0 };
	enum status st;

	*keys = 0;
	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, organization);
	db_bind_str(&c, assistant);
	st = db_next(d, c.s, "count an organization's keys", e);
	if (st != ST_OK)
		return st;
	*keys = db_read_int(&row);
	(void)sqlite3_reset(c.s);
	return ST_OK;
}
