/* db_pending.c - requests between their reservation and their trace, in memory and in
 * `reservation`.
 *
 * A transaction remembers what it saw of each request. A reservation that is settled and
 * traced in the transaction that brought it touches no table; what is left is written
 * just before the commit. So the table holds an attempt from the first commit after its
 * reservation until it is settled and its request is traced, and recovery finds there
 * what a crash left without either.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "store/db_internal.h"

enum {
	REQUESTS_MAX = 1 << 20,
	ATTEMPTS_MAX = 1 << 20,
	RESERVES_BYTES =
	    256 << 20 /* of one transaction; the caller commits long before */
};

/* What one transaction saw of a request. */
struct db_request {
	uint32_t last; /* index + 1 of its newest attempt; 0: none */
	bool is_new; /* its first record came in this transaction: no row of it exists */
	bool is_traced;
	uint8_t attempts; /* as its trace says */
};

struct db_attempt {
	uint8_t id[RECORD_ID_BYTES];
	uint8_t number;
	bool is_reserved; /* here, in this transaction */
	bool is_settled;
	uint32_t before;   /* index + 1 of the same request's attempt before it */
	size_t reserve_at; /* in db->reserves, if is_reserved */
};

void
db_pending_init(struct db *d)
{
	table_init(&d->requests, sizeof(struct db_request), REQUESTS_MAX);
	buf_init(&d->reserves, RESERVES_BYTES);
}

void
db_pending_free(struct db *d)
{
	table_free(&d->requests);
	buf_free(&d->reserves);
	mem_free(d->attempt);
}

void
db_pending_forget(struct db *d)
{
	table_reset(&d->requests);
	buf_reset(&d->reserves);
	d->attempt_count = 0;
}

/* ---- what the transaction saw ---- */

static struct db_request *
request_of(struct db *d, const uint8_t id[RECORD_ID_BYTES], bool is_first_record)
{
	uint32_t count = d->requests.count;
	struct db_request *q =
	    table_put(&d->requests, lz_strn((const char *)id, RECORD_ID_BYTES));

	if (q != NULL && d->requests.count > count)
		q->is_new = is_first_record;
	return q;
}

static struct db_attempt *
find_attempt(struct db *d, const struct db_request *q, uint8_t number)
{
	for (uint32_t i = q->last; i != 0; i = d->attempt[i - 1].before) {
		if (d->attempt[i - 1].number == number)
			return &d->attempt[i - 1];
	}
	return NULL;
}

static struct db_attempt *
add_attempt(
    struct db *d, struct db_request *q, const uint8_t id[RECORD_ID_BYTES], uint8_t number)
{
	struct db_attempt *more, *a;
	uint32_t cap;

	if (d->attempt_count == d->attempt_cap) {
		cap = d->attempt_cap == 0 ? 64 : 2 * d->attempt_cap;
		more = cap > ATTEMPTS_MAX ? NULL
					  : mem_realloc(d->attempt, cap * sizeof(*more));
		if (more == NULL)
			return NULL;
		d->attempt = more;
		d->attempt_cap = cap;
	}
	a = &d->attempt[d->attempt_count++];
	*a = (struct db_attempt){ .number = number, .before = q->last };
	memcpy(a->id, id, RECORD_ID_BYTES);
	q->last = d->attempt_count;
	return a;
}

static enum status
no_memory(struct db *d, struct err *e)
{
	return err_fail(e, ST_NOMEM, "%s: out of memory for a batch of records", d->path);
}

enum status
db_pending_reserve(struct db *d, const struct record_reserve *r, struct err *e)
{
	struct db_request *q = request_of(d, r->trace_id, r->attempt == 0);
	struct db_attempt *a;

	if (q == NULL)
		return no_memory(d, e);
	if (find_attempt(d, q, r->attempt) != NULL)
		return ST_OK; /* the same again */
	a = add_attempt(d, q, r->trace_id, r->attempt);
	if (a == NULL)
		return no_memory(d, e);
	a->is_reserved = true;
	a->reserve_at = d->reserves.len;
	return record_put_reserve(&d->reserves, r) ? ST_OK : no_memory(d, e);
}

/* Reserved in this transaction: the reservation is written anew, with the larger bound.
 */
static enum status
raise_here(struct db *d, struct db_attempt *a, int64_t bound, struct err *e)
{
	lz_str bytes = str_cut(buf_str(&d->reserves), a->reserve_at, d->reserves.len);
	char copy[RECORD_BYTES];
	struct record r;
	size_t used;

	(void)record_peek(bytes, &used);
	memcpy(copy, bytes.ptr, used); /* the buffer may move */
	must(record_get(lz_strn(copy, used), &r, &used) == ST_OK);
	if (bound > r.reserve.bound_nano_eur)
		r.reserve.bound_nano_eur = bound;
	a->reserve_at = d->reserves.len;
	return record_put_reserve(&d->reserves, &r.reserve) ? ST_OK : no_memory(d, e);
}

enum status
db_pending_raise(struct db *d, const struct record_raise *r, struct err *e)
{
	const struct db_request *q =
	    table_get(&d->requests, lz_strn((const char *)r->trace_id, RECORD_ID_BYTES));
	struct db_attempt *a = q != NULL ? find_attempt(d, q, r->attempt) : NULL;
	struct db_cursor c;

	if (a != NULL && a->is_reserved)
		return raise_here(d, a, r->bound_nano_eur, e);
	c = (struct db_cursor){ db_statement(d, DB_OPEN_RAISE, e), 0 };
	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, r->trace_id);
	db_bind_int(&c, r->attempt);
	db_bind_int(&c, r->bound_nano_eur);
	return db_run(d, c.s, "raise a reservation", e);
}

enum status
db_pending_settle(struct db *d, const struct record_settle *r, struct err *e)
{
	struct db_request *q = request_of(d, r->trace_id, false);
	struct db_attempt *a;

	if (q == NULL)
		return no_memory(d, e);
	a = find_attempt(d, q, r->attempt);
	if (a == NULL)
		a = add_attempt(d, q, r->trace_id, r->attempt);
	if (a == NULL)
		return no_memory(d, e);
	a->is_settled = true;
	return ST_OK;
}

enum status
db_pending_trace(struct db *d, const struct record_trace *t, struct err *e)
{
	struct db_request *q = request_of(d, t->trace_id, t->attempts == 0);

	if (q == NULL)
		return no_memory(d, e);
	q->is_traced = true;
	q->attempts = t->attempts;
	return ST_OK;
}

/* ---- what is left at its end ---- */

static enum status
insert_open(struct db *d, const struct db_attempt *a, const struct record_reserve *r,
    bool is_traced, struct err *e)
{
	struct db_set *set;
	struct db_cursor c;
	enum status st = db_scope_get(d, r->scope, r->scope_count, &set, e);

	if (st != ST_OK)
		return st;
	c = (struct db_cursor){ db_statement(d, DB_OPEN_ADD, e), 0 };
	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, a->id);
	db_bind_int(&c, a->number);
	db_bind_int(&c, a->is_settled);
	db_bind_int(&c, is_traced);
	db_bind_int(&c, r->at_unix_ms);
	db_bind_int(&c, r->bound_nano_eur);
	db_bind_int(&c, r->input_nano_eur);
	db_bind_str(&c, r->key);
	db_bind_str(&c, r->provider);
	db_bind_str(&c, r->model);
	db_bind_known(&c, set == NULL ? -1 : set->id);
	return db_run(d, c.s, "write a reservation", e);
}

static enum status
run_for_attempt(
    struct db *d, enum db_statement which, const struct db_attempt *a, struct err *e)
{
	struct db_cursor c = { db_statement(d, which, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, a->id);
	db_bind_int(&c, a->number);
	return db_run(d, c.s, "settle a reservation", e);
}

/* Settled here, reserved in an earlier transaction (or never, by a caller's fault: then
 * the row is made, so that recovery sees a charge without a trace). */
static enum status
settle_row(struct db *d, const struct db_attempt *a, struct err *e)
{
	struct record_reserve none = { .at_unix_ms = INT64_MAX };
	enum status st = run_for_attempt(d, DB_OPEN_SETTLED, a, e);

	if (st != ST_OK || sqlite3_changes(d->sql) > 0)
		return st;
	return insert_open(d, a, &none, false, e);
}

static enum status
write_reserved(struct db *d, const struct db_attempt *a, bool is_traced, struct err *e)
{
	lz_str bytes = str_cut(buf_str(&d->reserves), a->reserve_at, d->reserves.len);
	struct record r;
	size_t used;

	must(record_get(bytes, &r, &used) == ST_OK);
	return insert_open(d, a, &r.reserve, is_traced, e);
}

/* No trace yet: every attempt keeps a row. A row that a late attempt had left goes. */
static enum status
write_untraced(struct db *d, const uint8_t *id, const struct db_request *q, struct err *e)
{
	enum status st = ST_OK;
	const struct db_attempt *a;

	for (uint32_t i = q->last; st == ST_OK && i != 0; i = a->before) {
		a = &d->attempt[i - 1];
		st =
		    a->is_reserved ? write_reserved(d, a, false, e) : settle_row(d, a, e);
	}
	return st == ST_OK && !q->is_new ? db_run_for(d, DB_OPEN_DONE, id, e) : st;
}

/* The trace came: what is settled goes. Rows of attempts that are not settled stay until
 * they are. */
static enum status
write_traced(struct db *d, const uint8_t *id, const struct db_request *q, struct err *e)
{
	enum status st = ST_OK;
	const struct db_attempt *a;
	int known = 0;

	for (uint32_t i = q->last; st == ST_OK && i != 0; i = a->before) {
		a = &d->attempt[i - 1];
		if (!a->is_settled)
			st = write_reserved(d, a, true, e);
		else if (!a->is_reserved)
			st = run_for_attempt(d, DB_OPEN_REMOVE, a, e);
		known++;
	}
	/* The usual case: all its attempts were seen here, so no row can be left. */
	if (st != ST_OK || q->is_new || known >= q->attempts)
		return st;
	st = db_run_for(d, DB_OPEN_TRACED, id, e);
	return st == ST_OK ? db_run_for(d, DB_OPEN_DONE, id, e) : st;
}

static enum status
write_request(struct db *d, lz_str key, const struct db_request *q, struct err *e)
{
	const uint8_t *id = (const uint8_t *)key.ptr;

	return q->is_traced ? write_traced(d, id, q, e) : write_untraced(d, id, q, e);
}

enum status
db_pending_write(struct db *d, struct err *e)
{
	enum status st = ST_OK;

	for (uint32_t i = 0; st == ST_OK && i < d->requests.count; i++)
		st = write_request(
		    d, table_key(&d->requests, i), table_value(&d->requests, i), e);
	return st;
}

/* ---- after a crash ---- */

static int64_t
uncertain_cost(enum db_uncertain how, int64_t bound, int64_t input)
{
	switch (how) {
	case DB_UNCERTAIN_INPUT:
		return input;
	case DB_UNCERTAIN_BOUND:
		return bound;
	case DB_UNCERTAIN_ZERO:
		break;
	}
	return 0;
}

/* Charges the open reservation that the cursor stands on. */
static enum status
charge_open(struct db *d, struct db_cursor *c, enum db_uncertain how, int64_t now_unix_ms,
    struct err *e)
{
	struct record_settle r = { .state = CHARGE_UNCERTAIN,
		.price_input = -1,
		.price_cache_read = -1,
		.price_cache_write = -1,
		.price_output = -1,
		.fx_nano = -1 };
	struct db_set *set = NULL;
	enum status st = ST_OK;
	int64_t bound, input;
	lz_str list;

	if (!db_read_id(c, r.trace_id))
		return err_fail(
		    e, ST_INVALID, "%s: a reservation has no proper trace id", d->path);
	r.attempt = (uint8_t)db_read_int(c);
	r.at_unix_ms = now_unix_ms;
	c->at++; /* when it was reserved */
	bound = db_read_int(c);
	input = db_read_int(c);
	r.cost_nano_eur = uncertain_cost(how, bound, input);
	r.key = db_read_str(c);
	r.provider = db_read_str(c);
	r.model = db_read_str(c);
	c->at++; /* the list's id */
	list = db_read_str(c);
	if (list.ptr != NULL)
		st = db_scope_get_list(d, list, &set, e);
	return st == ST_OK ? db_charge(d, &r, set, e) : st;
}

static enum status
charge_all_open(struct db *d, enum db_uncertain how, int64_t now_unix_ms, int64_t *count,
    struct err *e)
{
	sqlite3_stmt *s = db_statement(d, DB_OPEN_EACH, e);
	struct db_cursor c;
	enum status st;

	if (s == NULL)
		return ST_NOMEM;
	while ((st = db_next(d, s, "read reservations", e)) == ST_OK) {
		c = (struct db_cursor){ s, 0 };
		st = charge_open(d, &c, how, now_unix_ms, e);
		if (st != ST_OK)
			break;
		++*count;
	}
	(void)sqlite3_reset(s);
	return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status
db_settle_open(struct db *d, enum db_uncertain how, int64_t now_unix_ms, int64_t *count,
    struct err *e)
{
	struct db_cursor c;
	enum status st;

	must(d->is_open && d->requests.count == 0);
	*count = 0;
	st = charge_all_open(d, how, now_unix_ms, count, e);
	if (st != ST_OK)
		return st;
	c = (struct db_cursor){ db_statement(d, DB_TRACE_INTERRUPTED, e), 0 };
	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_int(&c, TRACE_INTERRUPTED);
	st = db_run(d, c.s, "write the traces of interrupted requests", e);
	return st == ST_OK ? db_do(d, DB_OPEN_CLEAR, "close reservations", e) : st;
}
