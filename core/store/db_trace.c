/* db_trace.c - traces: listing and showing.
 *
 * A list is ordered by the time a request came, which ids begin with and their index
 * gives; a tail is ordered by when rows were written, which the rowid gives. Other
 * filters are asked of each row on the way: an index on every field would cost each
 * request more than a list costs the one who asks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/buf.h"
#include "store/db_internal.h"
#include "store/verdict.h"

enum {
	LIST_ROWS = 50,
	QUERY_BYTES = 4096
};

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
	t->guardrails = db_read_str(&c);
	t->verdicts = db_read_str(&c);
	return is_ours;
}

/* CHARGE_COLUMNS. The budgets stay behind: spend has added them up. */
static bool
read_charge(sqlite3_stmt *s, struct record_settle *out)
{
	struct db_cursor c = { s, 0 };
	bool is_ours;

	*out = (struct record_settle){ 0 };
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
	return err_fail(e, ST_INVALID,
	    "%s: a row has no proper trace id; `latenza db check` says more", d->path);
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

/* A JSON string is compared as its text, a number as it is written, a truth value as true
 * or false. */
#define METADATA_HAS                                                                     \
	" AND CASE WHEN json_valid(metadata) THEN EXISTS (SELECT 1 FROM "                \
	"json_each(metadata) j "                                                         \
	"WHERE j.key = ?"
#define METADATA_VALUE                                                                   \
	" AND CASE j.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' "            \
	"ELSE CAST(j.value AS TEXT) END = ?"

/* One verdict that is of that guardrail, and is that one: in the bytes, or, in a row of
 * before, in the JSON. */
#define VERDICT_HAS                                                                      \
	" AND CASE WHEN verdicts IS NOT NULL THEN has_verdict(verdicts, ?, ?) "          \
	"WHEN json_valid(guardrails) THEN EXISTS (SELECT 1 FROM "                        \
	"json_each(guardrails) v WHERE true"
#define VERDICT_OF " AND json_extract(guardrails, v.fullkey || '.guardrail') = ?"
#define VERDICT_IS " AND json_extract(guardrails, v.fullkey || '.verdict') = ?"

static bool
is_any_or(sqlite3_value *wanted, const char *is, size_t n)
{
	return sqlite3_value_type(wanted) == SQLITE_NULL ||
	       ((size_t)sqlite3_value_bytes(wanted) == n &&
		   memcmp(sqlite3_value_blob(wanted), is, n) == 0);
}

/* has_verdict(verdicts, guardrail, verdict): NULL stands for any. */
static void
has_verdict(sqlite3_context *context, int count, sqlite3_value **arg)
{
	struct record_verdict v;
	lz_str rest =
	    lz_strn(sqlite3_value_blob(arg[0]), (size_t)sqlite3_value_bytes(arg[0]));
	bool found = false;

	(void)count;
	while (!found && verdicts_read(&rest, &v))
		found = is_any_or(arg[1], v.guardrail.ptr, v.guardrail.len) &&
			is_any_or(
			    arg[2], verdict_names[v.what], strlen(verdict_names[v.what]));
	sqlite3_result_int(context, found);
}

enum status
db_trace_functions(struct db *d, struct err *e)
{
	if (sqlite3_create_function_v2(d->sql, "has_verdict", 3,
		SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, has_verdict, NULL, NULL,
		NULL) != SQLITE_OK)
		return db_fail(d, e, "set it up");
	return ST_OK;
}

static void
write_verdict_query(struct buf *q, const struct db_trace_filter *f)
{
	if (f->guardrail.ptr == NULL && f->verdict.ptr == NULL)
		return;
	buf_add_z(q, VERDICT_HAS);
	if (f->guardrail.ptr != NULL)
		buf_add_z(q, VERDICT_OF);
	if (f->verdict.ptr != NULL)
		buf_add_z(q, VERDICT_IS);
	buf_add_z(q, ") ELSE false END");
}

static void
write_query(struct buf *q, const struct db_trace_filter *f,
    const struct text_filter *text, size_t n)
{
	const char *order = f->oldest_first ? "" : " DESC";

	buf_add_z(q, "SELECT rowid, " TRACE_COLUMNS " FROM trace WHERE true");
	if (f->since_unix_ms != 0)
		buf_add_z(q, " AND id >= ?");
	if (f->until_unix_ms != 0)
		buf_add_z(q, " AND id < ?");
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
	write_verdict_query(q, f);
	if (f->errors_only)
		buf_add_z(q, " AND (status >= 400 OR code IS NOT NULL)");
	if (f->after_rowid == 0)
		buf_addf(q, " ORDER BY id%s LIMIT ?", order);
	else
		buf_addf(q, " ORDER BY rowid%s LIMIT ?", order);
	buf_add_char(q, '\0');
}

/* In the order of write_query(); `first` is borrowed until the rows are read. */
static void
bind_query(sqlite3_stmt *s, const struct db_trace_filter *f,
    const struct text_filter *text, size_t n, uint8_t first[2][DB_ID_TIME_BYTES])
{
	struct db_cursor c = { s, 0 };

	if (f->since_unix_ms != 0)
		db_bind_first_id(&c, f->since_unix_ms, first[0]);
	if (f->until_unix_ms != 0)
		db_bind_first_id(&c, f->until_unix_ms, first[1]);
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
	if (f->guardrail.ptr != NULL || f->verdict.ptr != NULL) {
		db_bind_str(&c, f->guardrail);
		db_bind_str(&c, f->verdict);
	}
	if (f->guardrail.ptr != NULL)
		db_bind_str(&c, f->guardrail);
	if (f->verdict.ptr != NULL)
		db_bind_str(&c, f->verdict);
	db_bind_int(&c, f->limit > 0 ? f->limit : LIST_ROWS);
}

static enum status
each_row(struct db *d, sqlite3_stmt *s, bool (*fn)(void *arg, const struct db_trace *t),
    void *arg, struct err *e)
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
		{ " AND organization = ?", f->organization },
		{ " AND assistant = ?", f->assistant },
		{ " AND provider = ?", f->provider },
		{ " AND user = ?", f->user },
		{ " AND session = ?", f->session },
		{ " AND code = ?", f->code },
		{ " AND ? IN (model, model_asked)", f->model },
	};
	const size_t n = sizeof(text) / sizeof(*text);
	uint8_t first[2][DB_ID_TIME_BYTES];
	char room[QUERY_BYTES];
	struct buf q = { .ptr = room, .cap = sizeof(room), .max_bytes = sizeof(room) };
	sqlite3_stmt *s = NULL;
	enum status st;

	write_query(&q, f, text, n);
	must(!q.failed);
	if (sqlite3_prepare_v2(d->sql, q.ptr, -1, &s, NULL) != SQLITE_OK)
		return db_fail(d, e, "read traces");
	bind_query(s, f, text, n, first);
	st = each_row(d, s, fn, arg, e);
	(void)sqlite3_finalize(s);
	return st;
}

/* ---- one trace ---- */

/* The first and the last id that begin with these digits; dashes, as UUIDs have them, are
 * passed over. */
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
		high[n / 2] = (uint8_t)((high[n / 2] & ~(0xfu << shift)) |
					(unsigned)(at - digits) << shift);
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
		    "trace \"%.*s\": an id is up to 32 hexadecimal digits; the first few "
		    "are enough",
		    STR_ARG(hex));
	db_bind_id(c, low);
	db_bind_id(c, high);
	st = db_next(d, c->s, "read a trace", e);
	if (st == ST_NOT_FOUND)
		return err_fail(e, ST_NOT_FOUND,
		    "trace \"%.*s\": there is none that begins so", STR_ARG(hex));
	if (st != ST_OK)
		return st;
	rowid = sqlite3_column_int64(c->s, 0);
	st = db_next(d, c->s, "read a trace", e);
	if (st == ST_OK)
		return err_fail(e, ST_INVALID,
		    "trace \"%.*s\": several begin so; give more digits", STR_ARG(hex));
	if (st != ST_NOT_FOUND)
		return st;
	/* Back to the one row there is. */
	st = db_next(d, c->s, "read a trace", e);
	must(st != ST_OK || sqlite3_column_int64(c->s, 0) == rowid);
	return st;
}

enum status
db_trace_show(struct db *d, lz_str id_hex,
    void (*fn)(void *arg, const struct db_trace *t, lz_str request, lz_str answer,
	lz_str candidates),
    void *arg, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_TRACE_BETWEEN, e), 0 };
	struct db_trace one;
	struct content text;
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	st = find_one(d, id_hex, &c, e);
	if (st == ST_OK && !read_trace(c.s, &one))
		st = damaged(d, e);
	if (st == ST_OK)
		st = db_content_find(d, one.t.trace_id, &text, e);
	if (st == ST_OK)
		fn(arg, &one, text.request, text.answer, text.candidates);
	db_content_done(d);
	(void)sqlite3_reset(c.s);
	return st;
}
