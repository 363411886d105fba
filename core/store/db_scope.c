/* db_scope.c - budgets: the lists of them that charges share, and what is spent.
 *
 * A charge names its budgets by one small number, the row of a list: there are few
 * different lists (a key's, in a month), and a charge row stays as slim as if it had
 * none. A transaction adds up per list in memory, and db_spend_write() turns that into
 * one write per budget.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/db_internal.h"

enum {
	SETS_KEPT = 50000, /* lists remembered from one transaction to the next */
	SETS_MAX = 200000,
	LIST_BYTES = RECORD_BYTES + 256
};

void
db_scope_init(struct db *d)
{
	table_init(&d->sets, sizeof(struct db_set), SETS_MAX);
}

void
db_scope_free(struct db *d)
{
	table_free(&d->sets);
}

void
db_scope_forget(struct db *d, bool is_committed)
{
	if (!is_committed || d->sets.count > SETS_KEPT)
		table_reset(
		    &d->sets); /* ids that were made may be gone with the transaction */
}

/* ---- lists ---- */

int64_t
db_add_capped(int64_t a, int64_t b)
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

	if (colon < 0 ||
	    !str_to_int(str_cut(*list, 0, (size_t)colon), (int64_t)list->len, &len))
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

	for (int i = 0;
	     st == ST_OK && take_item(&list, &scope) && take_item(&list, &period); i++) {
		c = (struct db_cursor){ db_statement(d, DB_SET_ITEM_ADD, e), 0 };
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

enum status
db_scope_get_list(struct db *d, lz_str list, struct db_set **out, struct err *e)
{
	struct db_set *set = table_put(&d->sets, list);

	if (set == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory for budgets", d->path);
	*out = set;
	return set->id > 0 ? ST_OK : find_set(d, list, &set->id, e);
}

enum status
db_scope_get(struct db *d, const struct record_scope *scope, uint8_t count,
    struct db_set **out, struct err *e)
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
		return err_fail(
		    e, ST_INVALID, "%s: the names of budgets are too long", d->path);
	return db_scope_get_list(d, buf_str(&list), out, e);
}

/* ---- spend ---- */

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
		s->spent = db_add_capped(s->spent, set->spent);
		s->pruned = db_add_capped(s->pruned, set->pruned);
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
enum status
db_spend_write(struct db *d, struct err *e)
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
			st = err_fail(
			    e, ST_NOMEM, "%s: out of memory for budgets", d->path);
		set->spent = set->pruned = 0;
	}
	for (uint32_t i = 0; st == ST_OK && i < spends.count; i++)
		st = add_spend(d, table_key(&spends, i), table_value(&spends, i), e);
	table_free(&spends);
	return st;
}

enum status
db_spend_each(struct db *d,
    bool (*fn)(void *arg, lz_str scope, lz_str period, int64_t spent_nano_eur), void *arg,
    struct err *e)
{
	sqlite3_stmt *s = db_statement(d, DB_SPEND_EACH, e);
	lz_str scope, period;
	struct db_cursor c;
	enum status st;

	if (s == NULL)
		return ST_NOMEM;
	while ((st = db_next(d, s, "read spend", e)) == ST_OK) {
		c = (struct db_cursor){ s, 0 };
		scope = db_read_str(&c);
		period = db_read_str(&c);
		if (!fn(arg, scope, period, db_read_int(&c))) {
			(void)sqlite3_reset(s);
			return ST_OK;
		}
	}
	return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status
db_spend_get(struct db *d, lz_str scope, lz_str period, int64_t *nano, struct err *e)
{
	struct db_cursor c = { db_statement(d, DB_SPEND_GET, e), 0 };

	if (c.s == NULL)
		return ST_NOMEM;
	db_bind_str(&c, scope);
	db_bind_str(&c, period);
	return db_next_number(d, &c, nano, e);
}
