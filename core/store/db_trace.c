/* db_trace.c - traces and their content: listing, showing, forgetting.
 *
 * A list is ordered by the time a request came, which the index gives; a tail is ordered by when rows were
 * written, which the rowid gives. Other filters are asked of each row on the way: an index on every field would
 * cost each request more than a list costs the one who asks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/buf.h"
#include "store/db_internal.h"

enum { LIST_ROWS = 50, QUERY_BYTES = 4096 };

/* ---- content ---- */

enum status
db_content_put(struct db *d, const uint8_t id[RECORD_ID_BYTES], int64_t at_unix_ms, lz_str request,
    lz_str answer, lz_str candidates, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_CONTENT_PUT, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, id);
	db_bind_int(&c, at_unix_ms);
	db_bind_str(&c, request);
	db_bind_str(&c, answer);
	db_bind_str(&c, candidates);
	return db_run(d, c.s, "write content", e);
}

/* ---- reading rows ---- */

static void
read_usage(struct db_cursor *c, struct record_usage *u)
{
	u->input = db_read_int(c);
	u->cache_read = db_read_int(c);
	u->cache_write = db_read_int(c);
	u->output = db_read_int(c);
	u->reasoning = db_read_int(c);
}

/* rowid and TRACE_COLUMNS. false: a row that no version of ours wrote. */
static bool
read_trace(sqlite3_stmt *s, struct db_trace *out)
{
	struct record_trace *t = &out->t;
	struct db_cursor c = { s, 0 };
	bool is_ours;

	out->rowid = db_read_int(&c);
	is_ours = db_read_id(&c, t->trace_id);
	t->at_unix_ms = db_read_int(&c);
	t->total_us = db_read_int(&c);
	t->overhead_us = db_read_int(&c);
	t->ttft_us = db_read_known(&c);
	t->cost_nano_eur = db_read_known(&c);
	read_usage(&c, &t->usage);
	t->flags = (uint32_t)db_read_int(&c);
	t->status = (uint16_t)db_read_int(&c);
	t->attempts = (uint8_t)db_read_int(&c);
	t->route = db_read_str(&c);
	t->code = db_read_str(&c);
	t->finish = db_read_str(&c);
	t->key = db_read_str(&c);
	t->organization = db_read_str(&c);
	t->assistant = db_read_str(&c);
	t->user = db_read_str(&c);
	t->session = db_read_str(&c);
	t->model_asked = db_read_str(&c);
	t->model = db_read_str(&c);
	t->provider = db_read_str(&c);
	t->strategy = db_read_str(&c);
	t->metadata = db_read_str(&c);
	t->attempt_list = db_read_str(&c);
	return is_ours;
}

/* CHARGE_COLUMNS. The budgets stay behind: spend has added them up. */
static bool
read_charge(sqlite3_stmt *s, struct record_settle *out)
{
	struct db_cursor c = { s, 0 };
	bool is_ours;

	*out = (struct record_settle) { 0 };
	is_ours = db_read_id(&c, out->trace_id);
	out->attempt = (uint8_t)db_read_int(&c);
	out->state = (uint8_t)db_read_int(&c);
	out->at_unix_ms = db_read_int(&c);
	out->cost_nano_eur = db_read_known(&c);
	read_usage(&c, &out->usage);
	out->price_input = db_read_known(&c);
	out->price_cache_read = db_read_known(&c);
	out->price_cache_write = db_read_known(&c);
	out->price_output = db_read_known(&c);
	out->fx_nano = db_read_known(&c);
	out->fx_date = db_read_str(&c);
	out->key = db_read_str(&c);
	out->provider = db_read_str(&c);
	out->model = db_read_str(&c);
	return is_ours;
}

static enum status
damaged(struct db *d, struct err *e)
{
	return err_fail(e, ST_INVALID, "%s: a row has no proper trace id; `latenza db check` says more",
	    d->path);
}

enum status
db_charge_each(struct db *d, const uint8_t id[RECORD_ID_BYTES],
    bool (*fn)(void *arg, const struct record_settle *s), void *arg, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_CHARGE_EACH, e), 0 };
	struct record_settle one;
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, id);
	while ((st = db_next(d, c.s, "read charges", e)) == ST_OK) {
		if (!read_charge(c.s, &one))
			st = damaged(d, e);
		if (st != ST_OK || !fn(arg, &one)) {
			(void)sqlite3_reset(c.s);
			return st;
		}
	}
	return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- lists ---- */

/* The filters that compare a column with a text. */
struct text_filter {
	const char *condition;
	lz_str value;
};

/* A JSON string is compared as its text, a number as it is written, a truth value as true or false. */
#define METADATA_HAS \
	" AND CASE WHEN json_valid(metadata) THEN EXISTS (SELECT 1 FROM json_each(metadata) j " \
	"WHERE j.key = ?"
#define METADATA_VALUE \
	" AND CASE j.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' " \
	"ELSE CAST(j.value AS TEXT) END = ?"

static void
write_query(struct buf *q, const struct db_trace_filter *f, const struct text_filter *text, size_t n)
{
	const char *order = f->oldest_first ? "" : " DESC";

	buf_add_z(q, "SELECT rowid, " TRACE_COLUMNS " FROM trace WHERE true");
	if (f->since_unix_ms != 0)
		buf_add_z(q, " AND at_unix_ms >= ?");
	if (f->until_unix_ms != 0)
		buf_add_z(q, " AND at_unix_ms < ?");
	if (f->after_rowid != 0)
		buf_add_z(q, " AND rowid > ?");
	for (size_t i = 0; i < n; i++) {
		if (text[i].value.ptr != NULL)
			buf_add_z(q, text[i].condition);
	}
	if (f->metadata_key.ptr != NULL) {
		buf_add_z(q, METADATA_HAS);
		if (f->metadata_value.ptr != NULL)
			buf_add_z(q, METADATA_VALUE);
		buf_add_z(q, ") ELSE false END");
	}
	if (f->errors_only)
		buf_add_z(q, " AND (status >= 400 OR code IS NOT NULL)");
	if (f->after_rowid == 0)
		buf_addf(q, " ORDER BY at_unix_ms%s, rowid%s LIMIT ?", order, order);
	else
		buf_addf(q, " ORDER BY rowid%s LIMIT ?", order);
	buf_add_char(q, '\0');
}

/* In the order of write_query(). */
static void
bind_query(sqlite3_stmt *s, const struct db_trace_filter *f, const struct text_filter *text, size_t n)
{
	struct db_cursor c = { s, 0 };

	if (f->since_unix_ms != 0)
		db_bind_int(&c, f->since_unix_ms);
	if (f->until_unix_ms != 0)
		db_bind_int(&c, f->until_unix_ms);
	if (f->after_rowid != 0)
		db_bind_int(&c, f->after_rowid);
	for (size_t i = 0; i < n; i++) {
		if (text[i].value.ptr != NULL)
			db_bind_str(&c, text[i].value);
	}
	if (f->metadata_key.ptr != NULL) {
		db_bind_str(&c, f->metadata_key);
		if (f->metadata_value.ptr != NULL)
			db_bind_str(&c, f->metadata_value);
	}
	db_bind_int(&c, f->limit > 0 ? f->limit : LIST_ROWS);
}

static enum status
each_row(struct db *d, sqlite3_stmt *s, bool (*fn)(void *arg, const struct db_trace *t), void *arg,
    struct err *e)
{
	struct db_trace one;
	enum status st;

	while ((st = db_next(d, s, "read traces", e)) == ST_OK) {
		if (!read_trace(s, &one))
			return damaged(d, e);
		if (!fn(arg, &one))
			return ST_OK;
	}
	return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status
db_trace_each(struct db *d, const struct db_trace_filter *f,
    bool (*fn)(void *arg, const struct db_trace *t), void *arg, struct err *e)
{
	const struct text_filter text[] = {
		{ " AND key = ?", f->key },
		{ " AND provider = ?", f->provider },
		{ " AND user = ?", f->user },
		{ " AND session = ?", f->session },
		{ " AND code = ?", f->code },
		{ " AND ? IN (model, model_asked)", f->model },
	};
	const size_t n = sizeof(text) / sizeof(*text);
	char room[QUERY_BYTES];
	struct buf q = { .ptr = room, .cap = sizeof(room), .max_bytes = sizeof(room) };
	sqlite3_stmt *s = NULL;
	enum status st;

	write_query(&q, f, text, n);
	must(!q.failed);
	if (sqlite3_prepare_v2(d->sql, q.ptr, -1, &s, NULL) != SQLITE_OK)
		return db_fail(d, e, "read traces");
	bind_query(s, f, text, n);
	st = each_row(d, s, fn, arg, e);
	(void)sqlite3_finalize(s);
	return st;
}

/* ---- one trace ---- */

/* The first and the last id that begin with these digits; dashes, as UUIDs have them, are passed over. */
static bool
id_range(lz_str hex, uint8_t low[RECORD_ID_BYTES], uint8_t high[RECORD_ID_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	unsigned n = 0, shift;
	const char *at;

	memset(low, 0, RECORD_ID_BYTES);
	memset(high, 0xff, RECORD_ID_BYTES);
	for (size_t i = 0; i < hex.len; i++) {
		char c = hex.ptr[i];

		if (c == '-')
			continue;
		at = memchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c, 16);
		if (at == NULL || n == 2 * RECORD_ID_BYTES)
			return false;
		shift = n % 2 == 0 ? 4 : 0;
		low[n / 2] = (uint8_t)(low[n / 2] | (unsigned)(at - digits) << shift);
		high[n / 2] =
		    (uint8_t)((high[n / 2] & ~(0xfu << shift)) | (unsigned)(at - digits) << shift);
		n++;
	}
	return n > 0;
}

/* The rowid of the one trace in the range, with the statement standing on it. */
static enum status
find_one(struct db *d, lz_str hex, struct db_cursor *c, struct err *e)
{
	uint8_t low[RECORD_ID_BYTES], high[RECORD_ID_BYTES];
	enum status st;
	int64_t rowid;

	if (!id_range(hex, low, high))
		return err_fail(e, ST_INVALID,
		    "trace \"%.*s\": an id is up to 32 hexadecimal digits; the first few are enough",
		    STR_ARG(hex));
	db_bind_id(c, low);
	db_bind_id(c, high);
	st = db_next(d, c->s, "read a trace", e);
	if (st == ST_NOT_FOUND)
		return err_fail(e, ST_NOT_FOUND, "trace \"%.*s\": there is none that begins so",
		    STR_ARG(hex));
	if (st != ST_OK)
		return st;
	rowid = sqlite3_column_int64(c->s, 0);
	st = db_next(d, c->s, "read a trace", e);
	if (st == ST_OK)
		return err_fail(e, ST_INVALID, "trace \"%.*s\": several begin so; give more digits",
		    STR_ARG(hex));
	if (st != ST_NOT_FOUND)
		return st;
	/* Back to the one row there is. */
	st = db_next(d, c->s, "read a trace", e);
	must(st != ST_OK || sqlite3_column_int64(c->s, 0) == rowid);
	return st;
}

/* What a trace has kept of its texts; absent when nothing. The statement stays on the row. */
static enum status
find_content(struct db *d, const uint8_t id[RECORD_ID_BYTES], sqlite3_stmt *s, lz_str out[3], struct err *e)
{
	struct db_cursor c = { s, 0 };
	enum status st;

	for (int i = 0; i < 3; i++)
		out[i] = STR_NONE;
	db_bind_id(&c, id);
	st = db_next(d, s, "read content", e);
	if (st == ST_NOT_FOUND)
		return ST_OK;
	c.at = 0;
	for (int i = 0; st == ST_OK && i < 3; i++)
		out[i] = db_read_str(&c);
	return st;
}

enum status
db_trace_show(struct db *d, lz_str id_hex,
    void (*fn)(void *arg, const struct db_trace *t, lz_str request, lz_str answer, lz_str candidates),
    void *arg, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_TRACE_BETWEEN, e), 0 };
	sqlite3_stmt *content = db_statement(d, DB_CONTENT_GET, e);
	struct db_trace one;
	lz_str text[3];
	enum status st;

	if (c.s == NULL || content == NULL)
		return ST_NOMEM;
	st = find_one(d, id_hex, &c, e);
	if (st == ST_OK && !read_trace(c.s, &one))
		st = damaged(d, e);
	if (st == ST_OK)
		st = find_content(d, one.t.trace_id, content, text, e);
	if (st == ST_OK)
		fn(arg, &one, text[0], text[1], text[2]);
	(void)sqlite3_reset(content);
	(void)sqlite3_reset(c.s);
	return st;
}

/* ---- forgetting ---- */

static enum status
run_for_user(struct db *d, enum db_statement which, lz_str user, struct err *e)
{
	struct db_cursor c = { db_statement(d, which, e), 0 };

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
		return err_fail(e, ST_INVALID, "erase: no user is named; give the name as traces show it");
	st = db_begin(d, e);
	if (st != ST_OK)
		return st;
	st = run_for_user(d, DB_CONTENT_FORGET, user, e);
	if (st == ST_OK)
		st = run_for_user(d, DB_TRACE_FORGET, user, e);
	if (st != ST_OK) {
		db_rollback(d);
		return st;
	}
	*count = sqlite3_changes64(d->sql);
	st = db_commit(d, true, e);
	/* The log still has the old pages; if a reader holds it, the next checkpoint takes them. */
	if (st == ST_OK)
		db_checkpoint(d);
	return st;
}

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
	return st == ST_OK ? db_money_prune(d, id, e) : st;
}

struct old_trace {
	int64_t rowid;
	uint8_t id[RECORD_ID_BYTES];
};

enum { PRUNE_AT_ONCE = 256 };

/* Up to `rows` of the oldest, read before the first is deleted: a cursor must not walk what changes under it. */
static enum status
find_old(struct db *d, int64_t before, int64_t rows, struct old_trace *out, int64_t *count, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_TRACE_OLD, e), 0 }, row;
	enum status st;

	*count = 0;
	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_int(&c, before);
	db_bind_int(&c, rows);
	while ((st = db_next(d, c.s, "find old traces", e)) == ST_OK) {
		row = (struct db_cursor) { c.s, 0 };
		out[*count].rowid = db_read_int(&row);
		if (!db_read_id(&row, out[*count].id)) {
			(void)sqlite3_reset(c.s);
			return damaged(d, e);
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

static enum status
prune_content(struct db *d, int64_t before, int64_t rows, int64_t *count, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_CONTENT_OLD, e), 0 };
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_int(&c, before);
	db_bind_int(&c, rows);
	st = db_run(d, c.s, "delete old content", e);
	*count = sqlite3_changes64(d->sql);
	return st;
}

enum status
db_prune(struct db *d, int64_t traces_before_unix_ms, int64_t content_before_unix_ms, int64_t rows, bool *more,
    struct err *e)
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
		st = prune_content(d, content_before, rows, &contents, e);
	if (st != ST_OK) {
		db_rollback(d);
		return st;
	}
	st = db_commit(d, false, e);
	*more = st == ST_OK && (traces >= rows || contents >= rows);
	/* Gives pages back to the file system, some at a time. */
	if (st == ST_OK && traces + contents > 0)
		st = db_do(d, DB_VACUUM_SOME, "shrink the file", e);
	return st;
}
