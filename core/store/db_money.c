/* db_money.c - the spool's records become rows: reservations, charges, spend.
 *
 * A transaction adds up in memory first. Spend is added per list of budgets and written once per budget; a
 * reservation that is settled and traced in the transaction that brought it touches no table. What is left is
 * written by db_money_write(), just before the commit.
 *
 * Invariants, at every commit: the spend of a budget is the sum of the charges that name it (and of those that
 * were pruned); a charge exists once per (trace, attempt); `reservation` holds an attempt until it is settled
 * and its trace is written, so that recovery finds what a crash left without either.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/mem.h"
#include "base/metric.h"
#include "store/db_internal.h"

enum {
	SETS_KEPT = 50000, /* lists of budgets remembered from one transaction to the next */
	SETS_MAX = 200000,
	REQUESTS_MAX = 1 << 20,
	ATTEMPTS_MAX = 1 << 20,
	RESERVES_BYTES = 256 << 20, /* of one transaction; the caller commits long before */
	LIST_BYTES = RECORD_BYTES + 256
};

/* What one transaction saw of a request. */
struct db_request {
	uint32_t last; /* index + 1 of its newest attempt; 0: none */
	bool is_new;   /* its first record came in this transaction: no row of it exists */
	bool is_traced;
	uint8_t attempts; /* as its trace says */
};

struct db_attempt {
	uint8_t id[RECORD_ID_BYTES];
	uint8_t number;
	bool is_reserved; /* here, in this transaction */
	bool is_settled;
	uint32_t before;    /* index + 1 of the same request's attempt before it */
	size_t reserve_at;  /* in db->reserves, if is_reserved */
};

void
db_money_init(struct db *d)
{
	table_init(&d->sets, sizeof(struct db_set), SETS_MAX);
	table_init(&d->requests, sizeof(struct db_request), REQUESTS_MAX);
	buf_init(&d->reserves, RESERVES_BYTES);
}

void
db_money_free(struct db *d)
{
	table_free(&d->sets);
	table_free(&d->requests);
	buf_free(&d->reserves);
	mem_free(d->attempt);
}

void
db_money_forget(struct db *d, bool is_committed)
{
	table_reset(&d->requests);
	buf_reset(&d->reserves);
	d->attempt_count = 0;
	if (!is_committed || d->sets.count > SETS_KEPT)
		table_reset(&d->sets); /* ids that were made may be gone with the transaction */
}

/* ---- lists of budgets ---- */

static int64_t
add_capped(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static void
add_item(struct buf *b, lz_str s)
{
	buf_add_int(b, (int64_t)s.len);
	buf_add_char(b, ':');
	buf_add_str(b, s);
	buf_add_char(b, ',');
}

/* Takes the first item of "LENGTH:bytes,..."; false at the end. The list is our own. */
static bool
take_item(lz_str *list, lz_str *out)
{
	ptrdiff_t colon = str_find(*list, ':');
	int64_t len;

	if (colon < 0 || !str_to_int(str_cut(*list, 0, (size_t)colon), (int64_t)list->len, &len))
		return false;
	*out = str_cut(*list, (size_t)colon + 1, (size_t)colon + 1 + (size_t)len);
	*list = str_cut(*list, (size_t)colon + 1 + (size_t)len + 1, list->len);
	return true;
}

static enum status
add_set_items(struct db *d, int64_t id, lz_str list, struct err *e)
{
	enum status st = ST_OK;
	lz_str scope, period;
	struct db_cursor c;

	for (int i = 0; st == ST_OK && take_item(&list, &scope) && take_item(&list, &period); i++) {
		c = (struct db_cursor) { db_statement(d, DB_SET_ITEM_ADD, e), 0 };
		if (c.s == NULL)
			return ST_NOMEM;
		db_bind_int(&c, id);
		db_bind_int(&c, i);
		db_bind_str(&c, scope);
		db_bind_str(&c, period);
		st = db_run(d, c.s, "add a list of budgets", e);
	}
	return st;
}

static enum status
add_set(struct db *d, lz_str list, int64_t *id, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_SET_ADD, e), 0 };
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, list);
	st = db_run(d, c.s, "add a list of budgets", e);
	if (st != ST_OK)
		return st;
	*id = sqlite3_last_insert_rowid(d->sql);
	return add_set_items(d, *id, list, e);
}

static enum status
find_set(struct db *d, lz_str list, int64_t *id, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_SET_FIND, e), 0 };
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, list);
	st = db_next(d, c.s, "find a list of budgets", e);
	if (st == ST_NOT_FOUND)
		return add_set(d, list, id, e);
	if (st != ST_OK)
		return st;
	*id = sqlite3_column_int64(c.s, 0);
	(void)sqlite3_reset(c.s);
	return ST_OK;
}

/* The entry of a list, with its row's id. *out is valid until the next call. */
static enum status
get_set(struct db *d, lz_str list, struct db_set **out, struct err *e)
{
	struct db_set *set = table_put(&d->sets, list);

	if (set == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory for budgets", d->path);
	*out = set;
	return set->id > 0 ? ST_OK : find_set(d, list, &set->id, e);
}

static enum status
get_scopes(struct db *d, const struct record_scope *scope, uint8_t count, struct db_set **out,
    struct err *e)
{
	char room[LIST_BYTES];
	struct buf list = { .ptr = room, .cap = sizeof(room), .max_bytes = sizeof(room) };

	*out = NULL;
	if (count == 0)
		return ST_OK;
	for (uint8_t i = 0; i < count; i++) {
		add_item(&list, scope[i].scope);
		add_item(&list, scope[i].period);
	}
	if (list.failed) /* no record is that long */
		return err_fail(e, ST_INVALID, "%s: the names of budgets are too long", d->path);
	return get_set(d, buf_str(&list), out, e);
}

/* ---- what a transaction knows of requests ---- */

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
add_attempt(struct db *d, struct db_request *q, const uint8_t id[RECORD_ID_BYTES], uint8_t number)
{
	struct db_attempt *more, *a;
	uint32_t cap;

	if (d->attempt_count == d->attempt_cap) {
		cap = d->attempt_cap == 0 ? 64 : 2 * d->attempt_cap;
		more = cap > ATTEMPTS_MAX ? NULL : mem_realloc(d->attempt, cap * sizeof(*more));
		if (more == NULL)
			return NULL;
		d->attempt = more;
		d->attempt_cap = cap;
	}
	a = &d->attempt[d->attempt_count++];
	*a = (struct db_attempt) { .number = number, .before = q->last };
	memcpy(a->id, id, RECORD_ID_BYTES);
	q->last = d->attempt_count;
	return a;
}

static enum status
no_memory(struct db *d, struct err *e)
{
	return err_fail(e, ST_NOMEM, "%s: out of memory for a batch of records", d->path);
}

static enum status
apply_reserve(struct db *d, const struct record_reserve *r, struct err *e)
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

/* ---- charges ---- */

static enum status
insert_charge(struct db *d, const struct record_settle *r, int64_t set_id, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_CHARGE_ADD, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, r->trace_id);
	db_bind_int(&c, r->attempt);
	db_bind_int(&c, r->state);
	db_bind_int(&c, r->at_unix_ms);
	db_bind_known(&c, r->cost_nano_eur);
	db_bind_int(&c, r->usage.input);
	db_bind_int(&c, r->usage.cache_read);
	db_bind_int(&c, r->usage.cache_write);
	db_bind_int(&c, r->usage.output);
	db_bind_int(&c, r->usage.reasoning);
	db_bind_known(&c, r->price_input);
	db_bind_known(&c, r->price_cache_read);
	db_bind_known(&c, r->price_cache_write);
	db_bind_known(&c, r->price_output);
	db_bind_known(&c, r->fx_nano);
	db_bind_str(&c, r->fx_date);
	db_bind_str(&c, r->key);
	db_bind_str(&c, r->provider);
	db_bind_str(&c, r->model);
	db_bind_known(&c, set_id == 0 ? -1 : set_id);
	return db_run(d, c.s, "write a charge", e);
}

/* Writes the charge and adds its cost, unless this attempt was charged before. */
static enum status
charge(struct db *d, const struct record_settle *r, struct db_set *set, struct err *e)
{
	enum status st = insert_charge(d, r, set == NULL ? 0 : set->id, e);

	if (st != ST_OK || sqlite3_changes(d->sql) == 0)
		return st;
	if (set != NULL && r->cost_nano_eur > 0)
		set->spent = add_capped(set->spent, r->cost_nano_eur);
	return ST_OK;
}

static enum status
apply_settle(struct db *d, const struct record_settle *r, struct err *e)
{
	struct db_request *q = request_of(d, r->trace_id, false);
	struct db_attempt *a;
	struct db_set *set;
	enum status st;

	if (q == NULL)
		return no_memory(d, e);
	a = find_attempt(d, q, r->attempt);
	if (a == NULL)
		a = add_attempt(d, q, r->trace_id, r->attempt);
	if (a == NULL)
		return no_memory(d, e);
	a->is_settled = true;
	st = get_scopes(d, r->scope, r->scope_count, &set, e);
	return st == ST_OK ? charge(d, r, set, e) : st;
}

/* ---- traces ---- */

static enum status
insert_trace(struct db *d, const struct record_trace *t, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_TRACE_ADD, e), 0 };
	const lz_str text[] = { t->route, t->code, t->finish, t->key, t->organization, t->assistant,
		t->user, t->session, t->model_asked, t->model, t->provider, t->strategy, t->metadata,
		t->attempt_list };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, t->trace_id);
	db_bind_int(&c, t->at_unix_ms);
	db_bind_int(&c, t->total_us);
	db_bind_int(&c, t->overhead_us);
	db_bind_known(&c, t->ttft_us);
	db_bind_known(&c, t->cost_nano_eur);
	db_bind_int(&c, t->usage.input);
	db_bind_int(&c, t->usage.cache_read);
	db_bind_int(&c, t->usage.cache_write);
	db_bind_int(&c, t->usage.output);
	db_bind_int(&c, t->usage.reasoning);
	db_bind_int(&c, t->flags);
	db_bind_int(&c, t->status);
	db_bind_int(&c, t->attempts);
	for (size_t i = 0; i < sizeof(text) / sizeof(*text); i++)
		db_bind_str(&c, text[i]);
	return db_run(d, c.s, "write a trace", e);
}

static enum status
apply_trace(struct db *d, const struct record_trace *t, struct err *e)
{
	struct db_request *q = request_of(d, t->trace_id, t->attempts == 0);

	if (q == NULL)
		return no_memory(d, e);
	q->is_traced = true;
	q->attempts = t->attempts;
	return insert_trace(d, t, e);
}

enum status
db_apply(struct db *d, const struct record *r, struct err *e)
{
	must(d->is_open);
	metric_add(METRIC_DB_ROWS, r->type == RECORD_RESERVE ? 0 : 1);
	switch (r->type) {
	case RECORD_RESERVE:
		return apply_reserve(d, &r->reserve, e);
	case RECORD_SETTLE:
		return apply_settle(d, &r->settle, e);
	case RECORD_TRACE:
		return apply_trace(d, &r->trace, e);
	}
	return err_fail(e, ST_INVALID, "%s: a record of unknown type %d", d->path, (int)r->type);
}

/* ---- the end of a transaction: what is still open ---- */

static enum status
insert_open(struct db *d, const struct db_attempt *a, const struct record_reserve *r, bool is_traced,
    struct err *e)
{
	struct db_set *set;
	struct db_cursor c;
	enum status st = get_scopes(d, r->scope, r->scope_count, &set, e);

	if (st != ST_OK)
		return st;
	c = (struct db_cursor) { db_statement(d, DB_OPEN_ADD, e), 0 };
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
run_with_id(struct db *d, enum db_statement which, const uint8_t id[RECORD_ID_BYTES], struct err *e)
{
	struct db_cursor c = { db_statement(d, which, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, id);
	return db_run(d, c.s, "close a reservation", e);
}

static enum status
run_for_attempt(struct db *d, enum db_statement which, const struct db_attempt *a, struct err *e)
{
	struct db_cursor c = { db_statement(d, which, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, a->id);
	db_bind_int(&c, a->number);
	return db_run(d, c.s, "settle a reservation", e);
}

/* Settled here, reserved in an earlier transaction (or never, by a caller's fault: then the row is made, so that
 * recovery sees a charge without a trace). */
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
		st = a->is_reserved ? write_reserved(d, a, false, e) : settle_row(d, a, e);
	}
	return st == ST_OK && !q->is_new ? run_with_id(d, DB_OPEN_DONE, id, e) : st;
}

/* The trace came: what is settled goes. Rows of attempts that are not settled stay until they are. */
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
	st = run_with_id(d, DB_OPEN_TRACED, id, e);
	return st == ST_OK ? run_with_id(d, DB_OPEN_DONE, id, e) : st;
}

static enum status
write_request(struct db *d, lz_str key, const struct db_request *q, struct err *e)
{
	const uint8_t *id = (const uint8_t *)key.ptr;

	return q->is_traced ? write_traced(d, id, q, e) : write_untraced(d, id, q, e);
}

/* One budget's part of what the lists were charged. */
struct spend {
	int64_t spent, pruned;
};

static enum status
collect_spend(struct table *spends, lz_str list, const struct db_set *set)
{
	lz_str scope, period, whole;
	struct spend *s;

	while (list.len > 0) {
		whole = list;
		must(take_item(&list, &scope) && take_item(&list, &period));
		s = table_put(spends, str_cut(whole, 0, whole.len - list.len));
		if (s == NULL)
			return ST_NOMEM;
		s->spent = add_capped(s->spent, set->spent);
		s->pruned = add_capped(s->pruned, set->pruned);
	}
	return ST_OK;
}

static enum status
add_spend(struct db *d, lz_str pair, const struct spend *s, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_SPEND_ADD, e), 0 };
	lz_str scope, period;

	if (c.s == NULL)
		return ST_NOMEM;
	must(take_item(&pair, &scope) && take_item(&pair, &period));
	db_bind_str(&c, scope);
	db_bind_str(&c, period);
	db_bind_int(&c, s->spent);
	db_bind_int(&c, s->pruned);
	return db_run(d, c.s, "add to a budget's spend", e);
}

/* Lists share budgets: added up by budget first, each is written once. */
static enum status
write_spends(struct db *d, struct err *e)
{
	enum status st = ST_OK;
	struct table spends;
	struct db_set *set;

	table_init(&spends, sizeof(struct spend), SETS_MAX);
	for (uint32_t i = 0; st == ST_OK && i < d->sets.count; i++) {
		set = table_value(&d->sets, i);
		if (set->spent == 0 && set->pruned == 0)
			continue;
		if (collect_spend(&spends, table_key(&d->sets, i), set) != ST_OK)
			st = no_memory(d, e);
		set->spent = set->pruned = 0;
	}
	for (uint32_t i = 0; st == ST_OK && i < spends.count; i++)
		st = add_spend(d, table_key(&spends, i), table_value(&spends, i), e);
	table_free(&spends);
	return st;
}

enum status
db_money_write(struct db *d, struct err *e)
{
	enum status st = ST_OK;

	for (uint32_t i = 0; st == ST_OK && i < d->requests.count; i++)
		st = write_request(d, table_key(&d->requests, i), table_value(&d->requests, i), e);
	return st == ST_OK ? write_spends(d, e) : st;
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
charge_open(struct db *d, struct db_cursor *c, enum db_uncertain how, int64_t now_unix_ms, struct err *e)
{
	struct record_settle r = { .state = CHARGE_UNCERTAIN, .price_input = -1, .price_cache_read = -1,
		.price_cache_write = -1, .price_output = -1, .fx_nano = -1 };
	struct db_set *set = NULL;
	enum status st = ST_OK;
	int64_t bound, input;
	lz_str list;

	if (!db_read_id(c, r.trace_id))
		return err_fail(e, ST_INVALID, "%s: a reservation has no proper trace id", d->path);
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
		st = get_set(d, list, &set, e);
	return st == ST_OK ? charge(d, &r, set, e) : st;
}

static enum status
charge_all_open(struct db *d, enum db_uncertain how, int64_t now_unix_ms, int64_t *count, struct err *e)
{
	sqlite3_stmt *s = db_statement(d, DB_OPEN_EACH, e);
	struct db_cursor c;
	enum status st;

	if (s == NULL)
		return ST_NOMEM;
	while ((st = db_next(d, s, "read reservations", e)) == ST_OK) {
		c = (struct db_cursor) { s, 0 };
		st = charge_open(d, &c, how, now_unix_ms, e);
		if (st != ST_OK)
			break;
		++*count;
	}
	(void)sqlite3_reset(s);
	return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status
db_settle_open(struct db *d, enum db_uncertain how, int64_t now_unix_ms, int64_t *count, struct err *e)
{
	struct db_cursor c;
	enum status st;

	must(d->is_open && d->requests.count == 0);
	*count = 0;
	st = charge_all_open(d, how, now_unix_ms, count, e);
	if (st != ST_OK)
		return st;
	c = (struct db_cursor) { db_statement(d, DB_TRACE_INTERRUPTED, e), 0 };
	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_int(&c, TRACE_INTERRUPTED);
	st = db_run(d, c.s, "write the traces of interrupted requests", e);
	return st == ST_OK ? db_do(d, DB_OPEN_CLEAR, "close reservations", e) : st;
}

enum status
db_money_prune(struct db *d, const uint8_t id[RECORD_ID_BYTES], struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_CHARGE_SUMS, e), 0 };
	struct db_cursor row;
	struct db_set *set;
	enum status st;
	int64_t cost;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_id(&c, id);
	while ((st = db_next(d, c.s, "read charges", e)) == ST_OK) {
		row = (struct db_cursor) { c.s, 0 };
		st = get_set(d, db_read_str(&row), &set, e);
		if (st != ST_OK)
			break;
		cost = db_read_known(&row);
		if (cost > 0)
			set->pruned = add_capped(set->pruned, cost);
	}
	(void)sqlite3_reset(c.s);
	return st == ST_NOT_FOUND ? run_with_id(d, DB_CHARGE_REMOVE, id, e) : st;
}

/* ---- reading spend, and the spool's positions ---- */

enum status
db_spend_each(struct db *d, bool (*fn)(void *arg, lz_str scope, lz_str period, int64_t spent_nano_eur),
    void *arg, struct err *e)
{
	sqlite3_stmt *s = db_statement(d, DB_SPEND_EACH, e);
	lz_str scope, period;
	struct db_cursor c;
	enum status st;

	if (s == NULL)
		return ST_NOMEM;
	while ((st = db_next(d, s, "read spend", e)) == ST_OK) {
		c = (struct db_cursor) { s, 0 };
		scope = db_read_str(&c);
		period = db_read_str(&c);
		if (!fn(arg, scope, period, db_read_int(&c))) {
			(void)sqlite3_reset(s);
			return ST_OK;
		}
	}
	return st == ST_NOT_FOUND ? ST_OK : st;
}

/* The one integer of a row found by texts; 0 when there is none. */
static enum status
get_number(struct db *d, struct db_cursor *c, int64_t *out, struct err *e)
{
	enum status st = db_next(d, c->s, "read it", e);

	*out = 0;
	if (st == ST_NOT_FOUND)
		return ST_OK;
	if (st == ST_OK)
		*out = sqlite3_column_int64(c->s, 0);
	(void)sqlite3_reset(c->s);
	return st;
}

enum status
db_spend_get(struct db *d, lz_str scope, lz_str period, int64_t *nano, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_SPEND_GET, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, scope);
	db_bind_str(&c, period);
	return get_number(d, &c, nano, e);
}

enum status
db_position_set(struct db *d, lz_str segment, uint64_t offset, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_POSITION_SET, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, segment);
	db_bind_int(&c, (int64_t)offset);
	return db_run(d, c.s, "write the spool's position", e);
}

enum status
db_position_get(struct db *d, lz_str segment, uint64_t *offset, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_POSITION_GET, e), 0 };
	int64_t number;
	enum status st;

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, segment);
	st = get_number(d, &c, &number, e);
	if (st == ST_OK)
		*offset = (uint64_t)number;
	return st;
}

enum status
db_position_forget(struct db *d, lz_str segment, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_POSITION_FORGET, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, segment);
	return db_run(d, c.s, "forget the spool's position", e);
}

enum status
db_position_clear(struct db *d, struct err *e)
{
	return db_do(d, DB_POSITION_CLEAR, "forget the spool's positions", e);
}
