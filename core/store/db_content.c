/* db_content.c - prompts and answers: packs of them in files, each pack a row.
 *
 * What is put within a transaction goes into a pack in memory; the pack is appended to a
 * file and gets its row when it is full, or before the commit. So a text costs a copy and
 * its share of a write, and rows that the log carries twice stay small. Texts are best
 * effort: a file is not made durable with its rows, and what a power loss took is not
 * found.
 *
 * In the table `content` texts stand as rows: what versions before 5 of the schema wrote,
 * and all texts of a backup, which is one file.
 *
 * Invariant: outside a transaction no file holds bytes without a row, but for what a
 * killed run left, which db_content_recover() cuts off; so what is to be erased is found.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/content_pack.h"
#include "store/db_internal.h"

enum {
	PACK_BYTES = 64 * 1024,        /* a larger text has a pack of its own */
	TEXT_BYTES = 256 * 1024 * 1024 /* at most, of one pack */
};

/* Of one pack, the times of its ids are no farther apart: so a look-up need not search
 * long, and what is older than it is to be kept goes no later than that. */
static const uint64_t SPAN_MS = 10000;

void
db_content_init(struct db *d)
{
	content_files_init(&d->files, d->path);
	buf_init(&d->pack, TEXT_BYTES);
	buf_init(&d->read, TEXT_BYTES);
}

void
db_content_free(struct db *d)
{
	content_files_close(&d->files);
	buf_free(&d->pack);
	buf_free(&d->read);
}

/* ---- putting ---- */

static uint64_t
time_of(const uint8_t id[RECORD_ID_BYTES])
{
	uint64_t ms = 0;

	for (int i = 0; i < DB_ID_TIME_BYTES; i++)
		ms = ms << 8 | id[i];
	return ms;
}

static enum status
add_row(struct db *d, uint32_t number, uint64_t at, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_PACK_ADD, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_int(&c, number);
	db_bind_int(&c, (int64_t)at);
	db_bind_int(&c, (int64_t)d->pack.len);
	db_bind_id(&c, d->pack_first);
	db_bind_id(&c, d->pack_last);
	return db_run(d, c.s, "write content", e);
}

static void
empty_pack(struct db *d)
{
	if (d->pack.cap > 2 * PACK_BYTES)
		buf_free(&d->pack);
	else
		buf_reset(&d->pack);
}

enum status
db_content_write(struct db *d, struct err *e)
{
	uint32_t number;
	uint64_t at;
	enum status st;

	if (d->pack.len == 0)
		return ST_OK;
	st = content_files_append(&d->files, buf_str(&d->pack), &number, &at, e);
	if (st == ST_OK)
		st = add_row(d, number, at, e);
	empty_pack(d);
	return st;
}

void
db_content_forget(struct db *d, bool is_committed)
{
	empty_pack(d);
	if (is_committed)
		content_files_keep(&d->files);
	else
		content_files_undo(&d->files);
}

static bool
fits(const struct db *d, const struct content *c)
{
	uint64_t at = time_of(c->id);

	return d->pack.len + content_pack_bytes(c) <= PACK_BYTES &&
	       at <= time_of(d->pack_first) + SPAN_MS &&
	       time_of(d->pack_last) <= at + SPAN_MS;
}

static void
note_range(struct db *d, const uint8_t id[RECORD_ID_BYTES])
{
	bool is_first = d->pack.len == 0;

	if (is_first || memcmp(id, d->pack_first, RECORD_ID_BYTES) < 0)
		memcpy(d->pack_first, id, RECORD_ID_BYTES);
	if (is_first || memcmp(id, d->pack_last, RECORD_ID_BYTES) > 0)
		memcpy(d->pack_last, id, RECORD_ID_BYTES);
}

enum status
db_content_put(struct db *d, const uint8_t id[RECORD_ID_BYTES], int64_t at_unix_ms,
    lz_str request, lz_str answer, lz_str candidates, struct err *e)
{
	struct content c = { .at_unix_ms = at_unix_ms,
		.request = request,
		.answer = answer,
		.candidates = candidates };
	enum status st = db_content_recover(d, e);

	must(d->is_open);
	memcpy(c.id, id, sizeof(c.id));
	if (st == ST_OK && d->pack.len > 0 && !fits(d, &c))
		st = db_content_write(d, e);
	if (st != ST_OK)
		return st;
	note_range(d, id);
	content_pack_add(&d->pack, &c);
	if (!d->pack.failed)
		return ST_OK;
	empty_pack(d);
	return err_fail(e, ST_NOMEM, "%s: out of memory for content", d->path);
}

/* ---- finding ---- */

struct place {
	int64_t number, at, bytes; /* of a pack, then of a record in it */
};

static bool
is_sound(const struct place *p)
{
	return p->number > 0 && p->number < UINT32_MAX && p->at >= 0 && p->bytes > 0 &&
	       p->bytes <= TEXT_BYTES;
}

/* The whole pack into d->read. ST_NOT_FOUND: the file does not have it (any more). */
static enum status
read_pack(struct db *d, const struct place *p, struct err *e)
{
	char *to;
	enum status st;

	if (!is_sound(p))
		return err_fail(e, ST_NOT_FOUND, "%s: a pack has no place", d->path);
	buf_reset(&d->read);
	to = buf_room(&d->read, (size_t)p->bytes);
	if (to == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory for content", d->path);
	st = content_files_read(
	    &d->files, (uint32_t)p->number, (uint64_t)p->at, to, (size_t)p->bytes, e);
	if (st == ST_OK)
		d->read.len = (size_t)p->bytes;
	return st;
}

/* The record of the trace in a pack; views into d->read. Narrows *p to it. */
static enum status
find_in_pack(struct db *d, const uint8_t id[RECORD_ID_BYTES], struct place *p,
    struct content *out, struct err *e)
{
	enum status st = read_pack(d, p, e);
	lz_str rest = buf_str(&d->read);
	size_t bytes;

	if (st != ST_OK)
		return st;
	while (content_pack_next(&rest, out, &bytes)) {
		if (memcmp(out->id, id, RECORD_ID_BYTES) != 0)
			continue;
		p->at += p->bytes - (int64_t)(rest.len + bytes);
		p->bytes = (int64_t)bytes;
		return ST_OK;
	}
	*out = (struct content){ .request = STR_NONE };
	return ST_NOT_FOUND;
}

/* Among the packs that may have it; the newest first, if it was put twice. */
static enum status
find_packed(struct db *d, const uint8_t id[RECORD_ID_BYTES], struct place *p,
    struct content *out, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_PACK_WITH, e), 0 }, row;
	uint8_t end[DB_ID_TIME_BYTES];
	enum status st, got = ST_NOT_FOUND;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, id);
	db_bind_first_id(&c, (int64_t)(time_of(id) + SPAN_MS + 1), end);
	while ((st = db_next(d, c.s, "find content", e)) == ST_OK) {
		row = (struct db_cursor){ c.s, 0 };
		p->number = db_read_int(&row);
		p->at = db_read_int(&row);
		p->bytes = db_read_int(&row);
		got = find_in_pack(d, id, p, out, e);
		if (got != ST_NOT_FOUND)
			break;
	}
	(void)sqlite3_reset(c.s);
	return st == ST_OK ? got : st;
}

/* The statement stays on the row, whose texts are borrowed. */
static enum status
find_row(
    struct db *d, const uint8_t id[RECORD_ID_BYTES], struct content *out, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_CONTENT_GET, e), 0 };
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, id);
	st = db_next(d, c.s, "read content", e);
	if (st != ST_OK)
		return st;
	c.at = 0;
	out->request = db_read_str(&c);
	out->answer = db_read_str(&c);
	out->candidates = db_read_str(&c);
	return ST_OK;
}

enum status
db_content_find(
    struct db *d, const uint8_t id[RECORD_ID_BYTES], struct content *out, struct err *e)
{
	struct place p;
	enum status st;

	*out = (struct content){ .request = STR_NONE };
	st = find_packed(d, id, &p, out, e);
	if (st == ST_NOT_FOUND)
		st = find_row(d, id, out, e);
	return st == ST_NOT_FOUND ? ST_OK : st;
}

void
db_content_done(struct db *d)
{
	(void)sqlite3_reset(d->statement[DB_CONTENT_GET]);
	buf_free(&d->read);
}

/* ---- erasing ---- */

/* All there is of the trace: what was found is wiped, and is not found again. The
 * record's length stays, so that those behind it are found. */
static enum status
wipe_trace(struct db *d, const uint8_t id[RECORD_ID_BYTES], struct err *e)
{
	const int64_t kept = sizeof(uint32_t);
	struct content found;
	struct place p;
	enum status st;

	while ((st = find_packed(d, id, &p, &found, e)) == ST_OK) {
		st = content_files_wipe(&d->files, (uint32_t)p.number,
		    (uint64_t)(p.at + kept), (size_t)(p.bytes - kept), e);
		if (st != ST_OK)
			return st;
	}
	return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status
wipe_user(struct db *d, lz_str user, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_TRACE_OF, e), 0 }, row;
	uint8_t id[RECORD_ID_BYTES];
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, user);
	while ((st = db_next(d, c.s, "find a user's traces", e)) == ST_OK) {
		row = (struct db_cursor){ c.s, 0 };
		if (db_read_id(&row, id))
			st = wipe_trace(d, id, e);
		if (st != ST_OK)
			break;
	}
	(void)sqlite3_reset(c.s);
	return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status
db_content_erase(struct db *d, lz_str user, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_CONTENT_FORGET, e), 0 };
	enum status st = wipe_user(d, user, e),
		    synced = content_files_wiped(&d->files, e);

	buf_free(&d->read);
	if (st == ST_OK)
		st = synced;
	if (st != ST_OK)
		return st;
	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, user);
	return db_run(d, c.s, "forget a user", e);
}

/* ---- age ---- */

static enum status
delete_older(struct db *d, enum db_statement which, int64_t before, int64_t rows,
    int64_t *count, struct err *e)
{
	struct db_cursor c = { db_statement(d, which, e), 0 };
	uint8_t first[DB_ID_TIME_BYTES];
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_first_id(&c, before, first);
	db_bind_int(&c, rows);
	st = db_run(d, c.s, "delete old content", e);
	*count = sqlite3_changes64(d->sql);
	return st;
}

enum status
db_content_prune(
    struct db *d, int64_t before, int64_t rows, int64_t *count, struct err *e)
{
	int64_t texts = 0, packs = 0;
	enum status st = delete_older(d, DB_CONTENT_OLD, before, rows, &texts, e);

	if (st == ST_OK)
		st = delete_older(d, DB_PACK_OLD, before, rows, &packs, e);
	*count = texts > packs ? texts : packs;
	return st;
}

/* The first number above `after` that a row names; 0: none. */
static enum status
next_number(struct db *d, int64_t after, int64_t *number, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_PACK_NEXT, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_int(&c, after);
	return db_next_number(d, &c, number, e);
}

enum status
db_content_sweep(struct db *d, struct err *e)
{
	struct content_files *f = &d->files;
	int64_t used = 0;
	enum status st = db_content_recover(d, e);

	must(!d->is_open);
	if (st == ST_OK)
		st = next_number(d, 0, &used, e);
	if (used == 0)
		used = f->next;
	for (; st == ST_OK && f->first < used; f->first++) {
		if (f->fd >= 0 && f->first == f->number)
			break;
		st = content_files_remove(f, f->first, e);
		if (st != ST_OK)
			break;
	}
	return st;
}

/* ---- files and rows agree ---- */

static enum status
ask_about(
    struct db *d, enum db_statement which, int64_t number, int64_t *out, struct err *e)
{
	struct db_cursor c = { db_statement(d, which, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_int(&c, number);
	return db_next_number(d, &c, out, e);
}

/* Cuts off what has no row. */
static enum status
cut_file(void *arg, uint32_t number, struct err *e)
{
	struct db *d = arg;
	int64_t end = 0;
	uint64_t bytes = 0;
	enum status st = ask_about(d, DB_PACK_END, number, &end, e);

	if (st == ST_OK && end == 0)
		return content_files_remove(&d->files, number, e);
	if (st == ST_OK)
		st = content_files_size(&d->files, number, &bytes, e);
	if (st == ST_OK && bytes > (uint64_t)end)
		st = content_files_cut(&d->files, number, (uint64_t)end, e);
	return st;
}

/* Deletes the rows of what its file does not have. */
static enum status
drop_lost(struct db *d, int64_t number, struct err *e)
{
	struct db_cursor c;
	uint64_t bytes = 0;
	int64_t end;
	enum status st = ask_about(d, DB_PACK_END, number, &end, e);

	if (st == ST_OK)
		st = content_files_size(&d->files, (uint32_t)number, &bytes, e);
	if (st != ST_OK || (uint64_t)end <= bytes)
		return st;
	c = (struct db_cursor){ db_statement(d, DB_PACK_LOST, e), 0 };
	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_int(&c, number);
	db_bind_int(&c, (int64_t)bytes);
	return db_run(d, c.s, "forget lost content", e);
}

static enum status
each_number(struct db *d, enum status (*fn)(struct db *d, int64_t number, struct err *e),
    struct err *e)
{
	int64_t number = 0;
	enum status st;

	while ((st = next_number(d, number, &number, e)) == ST_OK && number != 0) {
		if (number >= d->files.next && number < UINT32_MAX)
			d->files.next = (uint32_t)number + 1;
		st = fn(d, number, e);
		if (st != ST_OK)
			break;
	}
	return st;
}

enum status
db_content_recover(struct db *d, struct err *e)
{
	enum status st = ST_OK;

	if (d->has_looked)
		return ST_OK;
	st = content_files_look(&d->files, cut_file, d, e);
	if (st == ST_OK)
		st = each_number(d, drop_lost, e);
	d->has_looked = st == ST_OK;
	return st;
}

static enum status
look_at_file(struct db *d, int64_t number, struct err *e)
{
	int64_t end;
	uint64_t bytes = 0;
	enum status st = ask_about(d, DB_PACK_END, number, &end, e);

	if (st == ST_OK)
		st = content_files_size(&d->files, (uint32_t)number, &bytes, e);
	if (st == ST_OK && bytes < (uint64_t)end)
		return err_fail(e, ST_NOT_FOUND,
		    "content: %s/%lld has %llu bytes, of which rows name %lld",
		    d->files.dir, (long long)number, (unsigned long long)bytes,
		    (long long)end);
	return st;
}

enum status
db_content_check(struct db *d, struct err *e)
{
	return each_number(d, look_at_file, e);
}

/* ---- into a backup ---- */

static enum status
put_row(struct db *d, const struct content *t, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_CONTENT_PUT, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, t->id);
	db_bind_int(&c, t->at_unix_ms);
	db_bind_str(&c, t->request);
	db_bind_str(&c, t->answer);
	db_bind_str(&c, t->candidates);
	return db_run(d, c.s, "write content", e);
}

static enum status
unpack(struct db *from, const struct place *p, struct db *to, struct err *e)
{
	enum status st = read_pack(from, p, e);
	lz_str rest = buf_str(&from->read);
	struct content text;
	size_t bytes;

	if (st == ST_NOT_FOUND)
		return ST_OK;
	while (st == ST_OK && content_pack_next(&rest, &text, &bytes))
		st = put_row(to, &text, e);
	return st;
}

static enum status
unpack_all(struct db *from, struct db *to, struct err *e)
{
	struct db_cursor c = { db_statement(to, DB_PACK_EACH, e), 0 }, row;
	struct place p;
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	while ((st = db_next(to, c.s, "read content", e)) == ST_OK) {
		row = (struct db_cursor){ c.s, 0 };
		p.number = db_read_int(&row);
		p.at = db_read_int(&row);
		p.bytes = db_read_int(&row);
		st = unpack(from, &p, to, e);
		if (st != ST_OK)
			break;
	}
	(void)sqlite3_reset(c.s);
	buf_free(&from->read);
	return st == ST_NOT_FOUND ? db_do(to, DB_PACK_CLEAR, "write content", e) : st;
}

enum status
db_content_unpack(struct db *from, struct db *to, struct err *e)
{
	enum status st = db_begin(to, e);

	if (st != ST_OK)
		return st;
	st = unpack_all(from, to, e);
	if (st == ST_OK)
		return db_commit(to, false, e);
	db_rollback(to);
	return st;
}
