/* test_db.c - the database: which files it accepts, keys, money, traces, care.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store_fixture.h"

#include <sqlite3.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "store/db.h"
#include "store/verdict.h"

static struct db *db;
static struct err e;

static int
set_up(void **state)
{
	if (fixture_set_up(state) != 0)
		return 1;
	db = db_open(in_dir("latenza.db"), DB_CREATE, &e);
	return db == NULL;
}

static int
tear_down(void **state)
{
	db_close(db);
	db = NULL;
	return fixture_tear_down(state);
}

static void
assert_said(const char *part)
{
	if (strstr(e.text, part) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", part, e.text);
}

static void
assert_ok(enum status st)
{
	if (st != ST_OK)
		fail_msg("%s: %s", status_name(st), e.text);
}

/* ---- files ---- */

/* Runs plain SQL on a file, as another program would. */
static void
sql(const char *path, const char *text)
{
	sqlite3 *s;

	assert_int_equal(sqlite3_open(path, &s), SQLITE_OK);
	assert_int_equal(sqlite3_exec(s, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(s), SQLITE_OK);
}

static int64_t
sql_number(const char *path, const char *text)
{
	sqlite3_stmt *s;
	sqlite3 *c;
	int64_t v;

	assert_int_equal(sqlite3_open(path, &c), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(c, text, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int64(s, 0);
	assert_int_equal(sqlite3_finalize(s), SQLITE_OK);
	assert_int_equal(sqlite3_close(c), SQLITE_OK);
	return v;
}

static void
a_new_database_is_ours_and_private(void **state)
{
	const char *path = in_dir("latenza.db");
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_ok(db_position_set(db, STR_LIT("0.1.0"), 1, &e));
	assert_int_equal(stat(in_dir("latenza.db-wal"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(sql_number(path, "PRAGMA application_id"), 0x4c544e5a);
	assert_int_equal(sql_number(path, "PRAGMA user_version"), db_schema_version());
	assert_int_equal(sql_number(path, "PRAGMA auto_vacuum"), 2);
	assert_int_equal(sql_number(path, "SELECT count(*) FROM pragma_table_list WHERE "
					  "schema = 'main' AND strict = 0 "
					  "AND name NOT LIKE 'sqlite%'"),
	    0);
	assert_int_equal(access(in_dir("latenza.db.new"), F_OK), -1);
}

static void
a_database_is_private_whatever_the_umask(void **state)
{
	mode_t was = umask(0);
	struct stat st;
	struct db *other = db_open(in_dir("open.db"), DB_CREATE, &e);

	(void)state;
	(void)umask(was);
	assert_non_null(other);
	assert_int_equal(stat(in_dir("open.db"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	db_close(other);
}

/* The file is refused in every mode with these words, stays byte for byte, and gets no
 * company. */
static void
assert_refused(const char *name, const char *words)
{
	static const enum db_mode modes[] = { DB_CREATE, DB_OPEN, DB_READ };
	static char before[1 << 20], after[1 << 20];
	size_t n = read_whole(in_dir(name), before, sizeof(before));
	unsigned files = count_files(test_dir);

	for (int i = 0; i < 3; i++) {
		assert_null(db_open(in_dir(name), modes[i], &e));
		assert_said(name);
		assert_said(words);
		assert_int_equal(read_whole(in_dir(name), after, sizeof(after)), n);
		assert_memory_equal(before, after, n);
		assert_int_equal(count_files(test_dir), files);
	}
}

static void
a_file_of_another_program_is_refused_and_left_alone(void **state)
{
	char text[5000];

	(void)state;
	sql(in_dir("other.db"),
	    "PRAGMA application_id = 305419896; PRAGMA journal_mode = WAL; "
	    "CREATE TABLE t (a)");
	assert_refused("other.db", "0x12345678");
	assert_said("0x4c544e5a");
	sql(in_dir("plain.db"), "CREATE TABLE t (a)");
	assert_refused("plain.db", "0x00000000");
	memset(text, 'x', sizeof(text));
	write_file(in_dir("text.db"), text, sizeof(text));
	assert_refused("text.db", "not a SQLite database");
	write_file(in_dir("empty.db"), "", 0);
	assert_refused("empty.db", "not a SQLite database");
	write_file(in_dir("short.db"), "SQLite format 3", 16);
	assert_refused("short.db", "not a SQLite database");
}

static void
a_newer_schema_is_refused_and_left_alone(void **state)
{
	char words[64];

	(void)state;
	db_close(db);
	db = NULL;
	sql(in_dir("latenza.db"), "PRAGMA user_version = 4000");
	(void)snprintf(
	    words, sizeof(words), "this program knows version %d", db_schema_version());
	assert_refused("latenza.db", "version 4000");
	assert_said(words);
}

static void
a_newer_schema_that_is_only_in_the_log_is_refused(void **state)
{
	(void)state;
	/* db stays open, so that the log is not moved into the file */
	sql(in_dir("latenza.db"), "PRAGMA user_version = 4000");
	assert_null(db_open(in_dir("latenza.db"), DB_OPEN, &e));
	assert_said("version 4000");
}

static void
what_is_not_there_is_only_made_when_asked(void **state)
{
	(void)state;
	assert_null(db_open(in_dir("absent.db"), DB_OPEN, &e));
	assert_said("absent.db");
	assert_null(db_open(in_dir("absent.db"), DB_READ, &e));
	assert_int_equal(access(in_dir("absent.db"), F_OK), -1);
	assert_null(db_open(in_dir("no/dir/latenza.db"), DB_CREATE, &e));
	assert_said("No such file");
	assert_null(db_open(test_dir, DB_CREATE, &e));
	assert_said("not a regular file");
}

static void
a_creation_that_was_killed_is_begun_again(void **state)
{
	struct db *other;

	(void)state;
	write_file(in_dir("x.db.new"), "half a header", 13);
	write_file(in_dir("x.db.new-journal"), "rubbish", 7);
	other = db_open(in_dir("x.db"), DB_CREATE, &e);
	assert_non_null(other);
	db_close(other);
}

static void
a_reader_writes_nothing(void **state)
{
	struct db_key k = { .id = STR_LIT("a"),
		.hash = STR_LIT("0123456789abcdef0123456789abcdef") };
	struct db *reader = db_open(in_dir("latenza.db"), DB_READ, &e);

	(void)state;
	assert_non_null(reader);
	assert_int_equal(db_key_put(reader, &k, &e), ST_IO);
	assert_said("readonly");
	db_close(reader);
}

/* Counts allocations down and fails one, or all from then on. */
struct famine {
	int left;
	bool lasts;
};

static int
starve(size_t n, void *arg)
{
	struct famine *f = arg;
	int left = f->left--;

	(void)n;
	return f->lasts ? left <= 0 : left == 0;
}

/* Opens, writes and closes. */
static bool
live_through(struct famine f)
{
	struct db_key key = { .id = STR_LIT("a"),
		.hash = STR_LIT("0123456789abcdef0123456789abcdef") };
	struct record r = { .type = RECORD_SETTLE, .settle = make_settle(1, 0, 100) };
	bool is_done = false;
	struct db *d;

	mem_set_fault(starve, &f);
	d = db_open(in_dir("starved.db"), DB_CREATE, &e);
	if (d != NULL && db_begin(d, &e) == ST_OK) {
		if (db_key_put(d, &key, &e) == ST_OK && db_apply(d, &r, &e) == ST_OK)
			is_done = db_commit(d, true, &e) == ST_OK;
		else
			db_rollback(d);
	}
	db_close(d);
	mem_set_fault(NULL, NULL);
	return is_done;
}

/* Whatever failed, what is there is whole. */
static void
check_starved(void)
{
	struct db *d = db_open(in_dir("starved.db"), DB_CREATE, &e);
	struct db_check check;

	assert_non_null(d);
	assert_ok(db_check(d, &check, &e));
	assert_string_equal(check.first_problem, "");
	db_close(d);
}

static void
any_allocation_may_fail(void **state)
{
	bool lives = false;
	int k = 0;

	(void)state;
	/* All of the first, then fewer: there are thousands. SQLite gets on without some,
	 * such as its cache's. */
	for (; !lives; k += 1 + k / 20) {
		if (!live_through((struct famine){ k, false }))
			check_starved();
		if (k % 3 == 0)
			(void)unlink(in_dir("starved.db"));
		lives = live_through((struct famine){ k, true });
		if (!lives)
			check_starved();
	}
	assert_true(k > 200);
}

/* ---- transactions and records ---- */

static void
apply(const struct record *r)
{
	assert_ok(db_apply(db, r, &e));
}

static void
apply_reserve(uint64_t n, uint8_t attempt)
{
	struct record r = { .type = RECORD_RESERVE, .reserve = make_reserve(n, attempt) };

	apply(&r);
}

static void
apply_settle(uint64_t n, uint8_t attempt, int64_t cost)
{
	struct record r = { .type = RECORD_SETTLE,
		.settle = make_settle(n, attempt, cost) };

	apply(&r);
}

static void
apply_trace(uint64_t n, uint8_t attempts, int64_t cost)
{
	struct record r = { .type = RECORD_TRACE,
		.trace = make_trace(n, attempts, cost) };

	apply(&r);
}

static void
begin(void)
{
	assert_ok(db_begin(db, &e));
}

static void
commit(void)
{
	assert_ok(db_commit(db, false, &e));
}

static void
next_transaction(void)
{
	commit();
	begin();
}

static int64_t
spent(int scope)
{
	int64_t nano;

	assert_ok(db_spend_get(
	    db, test_scopes[scope].scope, test_scopes[scope].period, &nano, &e));
	return nano;
}

/* Sound, with this many of each. */
static void
assert_holds(int64_t traces, int64_t charges, int64_t open)
{
	struct db_check check;

	assert_ok(db_check(db, &check, &e));
	assert_string_equal(check.first_problem, "");
	assert_int_equal(check.spend_differs, 0);
	assert_int_equal(check.traces, traces);
	assert_int_equal(check.charges, charges);
	assert_int_equal(check.open_reservations, open);
}

static int64_t
reservation_rows(void)
{
	return sql_number(in_dir("latenza.db"), "SELECT count(*) FROM reservation");
}

static void
a_settled_attempt_is_spent_in_every_budget(void **state)
{
	(void)state;
	begin();
	apply_reserve(1, 0);
	apply_settle(1, 0, 5000);
	apply_trace(1, 1, 5000);
	apply_reserve(2, 0);
	apply_settle(2, 0, 300);
	apply_trace(2, 1, 300);
	commit();
	assert_int_equal(spent(0), 5300);
	assert_int_equal(spent(1), 5300);
	assert_holds(2, 2, 0);
	assert_int_equal(reservation_rows(), 0);
}

static void
budgets_that_lists_share_get_what_all_lists_cost(void **state)
{
	struct record r = { .type = RECORD_SETTLE };
	int64_t nano;

	(void)state;
	begin();
	for (uint64_t i = 0; i < 30; i++) {
		char key[16];

		r.settle = make_settle(i, 0, 100);
		(void)snprintf(key, sizeof(key), "key:%llu", (unsigned long long)i % 3);
		r.settle.scope[0].scope = lz_strz(key);
		r.settle.scope_count = i % 2 == 0 ? 2 : 1;
		apply(&r);
		if (i % 7 == 6)
			next_transaction();
	}
	commit();
	assert_int_equal(spent(1), 1500);
	assert_ok(db_spend_get(db, STR_LIT("key:2"), test_scopes[0].period, &nano, &e));
	assert_int_equal(nano, 1000);
	assert_holds(0, 30, 0);
}

static void
an_attempt_is_charged_once_however_often_it_is_settled(void **state)
{
	(void)state;
	begin();
	apply_settle(1, 0, 5000);
	apply_settle(1, 0, 5000);
	next_transaction();
	apply_settle(1, 0, 7000);
	apply_settle(1, 1, 40);
	apply_trace(1, 2, 5040);
	apply_trace(1, 2, 5040);
	commit();
	assert_int_equal(spent(0), 5040);
	assert_holds(1, 2, 0);
}

static void
a_rolled_back_transaction_leaves_nothing(void **state)
{
	(void)state;
	begin();
	apply_reserve(1, 0);
	apply_settle(1, 0, 5000);
	apply_trace(1, 1, 5000);
	apply_reserve(2, 0);
	db_rollback(db);
	assert_int_equal(spent(0), 0);
	assert_holds(0, 0, 0);
	/* the list of budgets that was made in it is made again */
	begin();
	apply_settle(1, 0, 60);
	commit();
	assert_int_equal(spent(0), 60);
	assert_holds(0, 1, 0);
}

static void
reservations_are_open_until_settled_and_kept_until_traced(void **state)
{
	(void)state;
	begin();
	apply_reserve(1, 0);
	next_transaction();
	assert_int_equal(reservation_rows(), 0 + 1);
	apply_settle(1, 0, 10);
	commit();
	assert_holds(0, 1, 0);
	assert_int_equal(reservation_rows(), 1);
	begin();
	apply_reserve(1, 1);
	commit();
	assert_holds(0, 1, 1);
	begin();
	apply_settle(1, 1, 10);
	apply_trace(1, 2, 20);
	commit();
	assert_holds(1, 2, 0);
	assert_int_equal(reservation_rows(), 0);
}

static void
an_attempt_that_settles_after_the_trace_is_charged(void **state)
{
	(void)state;
	begin();
	apply_reserve(1, 0);
	apply_reserve(1, 1);
	apply_settle(1, 0, 10);
	apply_trace(1, 2, 10);
	commit();
	assert_holds(1, 1, 1);
	begin();
	apply_settle(1, 1, 30);
	commit();
	assert_holds(1, 2, 0);
	assert_int_equal(spent(0), 40);
	assert_int_equal(reservation_rows(), 0);
}

/* Whatever the batches are, the end is the same. */
static void
batches_of_any_size_come_to_the_same_end(void **state)
{
	(void)state;
	for (unsigned cuts = 0; cuts < 1u << 7; cuts++) {
		uint64_t n = cuts + 1;

		begin();
		apply_reserve(n, 0);
		if (cuts & 1)
			next_transaction();
		apply_settle(n, 0, 1);
		if (cuts & 2)
			next_transaction();
		apply_reserve(n, 1);
		if (cuts & 4)
			next_transaction();
		apply_reserve(n, 2);
		if (cuts & 8)
			next_transaction();
		apply_settle(n, 2, 1);
		if (cuts & 16)
			next_transaction();
		if (cuts & 32)
			apply_settle(n, 1, 1);
		apply_trace(n, 3, 3);
		if (cuts & 64)
			next_transaction();
		if (!(cuts & 32))
			apply_settle(n, 1, 1);
		commit();
		assert_int_equal(reservation_rows(), 0);
	}
	assert_holds(128, 3 * 128, 0);
	assert_int_equal(spent(0), 3 * 128);
}

static void
released_and_unpriced_attempts_cost_nothing_and_are_kept(void **state)
{
	struct record r = { .type = RECORD_SETTLE, .settle = make_settle(1, 0, 0) };

	(void)state;
	begin();
	r.settle.state = CHARGE_RELEASED;
	apply(&r);
	r.settle = make_settle(2, 0, -1);
	r.settle.state = CHARGE_UNPRICED;
	apply(&r);
	commit();
	assert_int_equal(spent(0), 0);
	assert_holds(0, 2, 0);
	assert_int_equal(
	    sql_number(in_dir("latenza.db"),
		"SELECT count(*) FROM charge WHERE cost_nano_eur IS NULL AND state = 5"),
	    1);
}

static void
an_impossible_sum_stays_at_the_largest_number(void **state)
{
	(void)state;
	begin();
	apply_settle(1, 0, INT64_MAX);
	apply_settle(2, 0, INT64_MAX);
	next_transaction();
	apply_settle(3, 0, INT64_MAX);
	commit();
	assert_int_equal(spent(0), INT64_MAX);
}

static void
names_with_separators_are_told_apart(void **state)
{
	struct record r = { .type = RECORD_SETTLE };
	static const struct record_scope odd[] = {
		{ { "a,1:b", 5 }, { "p", 1 } },
		{ { "a", 1 }, { "b,1:p", 5 } },
		{ { "", 0 }, { "", 0 } },
	};
	int64_t nano;

	(void)state;
	begin();
	for (unsigned i = 0; i < 3; i++) {
		r.settle = make_settle(i, 0, 10 + i);
		r.settle.scope_count = 1;
		r.settle.scope[0] = odd[i];
		apply(&r);
	}
	commit();
	for (unsigned i = 0; i < 3; i++) {
		assert_ok(db_spend_get(db, odd[i].scope, odd[i].period, &nano, &e));
		assert_int_equal(nano, 10 + i);
	}
	assert_holds(0, 3, 0);
}

struct sums {
	int count;
	int64_t nano;
};

static bool
add_spend(void *arg, lz_str scope, lz_str period, int64_t nano)
{
	struct sums *s = arg;

	assert_true(str_starts(scope, "key:") || str_starts(scope, "org:"));
	assert_true(str_is(period, "month:2026-11"));
	s->nano += nano;
	return ++s->count < 2;
}

static void
spend_is_listed_until_the_caller_has_enough(void **state)
{
	struct record r = { .type = RECORD_SETTLE, .settle = make_settle(2, 0, 50) };
	struct sums s = { 0 };

	(void)state;
	r.settle.scope[0].scope = STR_LIT("key:other");
	begin();
	apply_settle(1, 0, 10);
	apply(&r);
	commit();
	assert_ok(db_spend_each(db, add_spend, &s, &e));
	assert_int_equal(s.count, 2);
	assert_int_equal(s.nano, 10 + 50);
}

static void
positions_are_kept_and_forgotten(void **state)
{
	uint64_t at;
	bool is_known;

	(void)state;
	assert_ok(db_position_get(db, STR_LIT("0.1.0"), &at, &is_known, &e));
	assert_int_equal(at, 0);
	assert_ok(db_position_set(db, STR_LIT("0.1.0"), 4711, &e));
	assert_ok(db_position_set(db, STR_LIT("0.1.0"), 4712, &e));
	assert_ok(db_position_set(db, STR_LIT("1.1.0"), 5, &e));
	assert_ok(db_position_get(db, STR_LIT("0.1.0"), &at, &is_known, &e));
	assert_true(is_known);
	assert_int_equal(at, 4712);
	assert_ok(db_position_forget(db, STR_LIT("0.1.0"), &e));
	assert_ok(db_position_get(db, STR_LIT("0.1.0"), &at, &is_known, &e));
	assert_int_equal(at, 0);
	assert_ok(db_position_clear(db, &e));
	assert_ok(db_position_get(db, STR_LIT("1.1.0"), &at, &is_known, &e));
	assert_false(is_known);
	assert_int_equal(at, 0);
}

/* ---- what a crash left ---- */

static struct db_trace shown;
static char shown_text[3][64];
static char shown_list[512], shown_code[32];

static void
keep_shown(
    void *arg, const struct db_trace *t, lz_str request, lz_str answer, lz_str candidates)
{
	lz_str text[] = { request, answer, candidates };

	(void)arg;
	shown = *t;
	for (int i = 0; i < 3; i++)
		(void)snprintf(
		    shown_text[i], sizeof(shown_text[i]), "%.*s", STR_ARG(text[i]));
	(void)snprintf(
	    shown_list, sizeof(shown_list), "%.*s", STR_ARG(t->t.attempt_list));
	(void)snprintf(shown_code, sizeof(shown_code), "%.*s", STR_ARG(t->t.code));
}

static void
put(uint64_t n, lz_str request, lz_str answer, lz_str candidates)
{
	struct record_trace t = make_trace(n, 0, 0);

	assert_ok(db_content_put(
	    db, t.trace_id, t.at_unix_ms, request, answer, candidates, &e));
}

static void
put_text(uint64_t n, lz_str request, lz_str answer, lz_str candidates)
{
	begin();
	put(n, request, answer, candidates);
	commit();
}

static enum status
show(uint64_t n, size_t digits)
{
	struct record_trace t = make_trace(n, 0, 0);
	char hex[2 * RECORD_ID_BYTES + 1];

	crypto_hex(t.trace_id, RECORD_ID_BYTES, hex);
	return db_trace_show(db, lz_strn(hex, digits), keep_shown, NULL, &e);
}

static void
settle_open(enum db_uncertain how, int64_t expected)
{
	int64_t count;

	begin();
	assert_ok(db_settle_open(db, how, 1795370000000, &count, &e));
	commit();
	assert_int_equal(count, expected);
}

static void
an_open_reservation_is_charged_as_the_option_says(void **state)
{
	static const int64_t cost[] = { 700, 9000, 0 };

	(void)state;
	for (unsigned how = DB_UNCERTAIN_INPUT; how <= DB_UNCERTAIN_ZERO; how++) {
		int64_t before = spent(0);

		begin();
		apply_reserve(how, 0);
		commit();
		settle_open((enum db_uncertain)how, 1);
		assert_int_equal(spent(0) - before, cost[how]);
		assert_ok(show(how, 32));
		assert_int_equal(shown.t.flags, TRACE_INTERRUPTED);
		assert_string_equal(shown_code, "interrupted");
		assert_int_equal(shown.t.cost_nano_eur, cost[how]);
		assert_int_equal(shown.t.attempts, 1);
		assert_int_equal(shown.t.at_unix_ms, make_reserve(how, 0).at_unix_ms);
	}
	settle_open(DB_UNCERTAIN_BOUND, 0);
	assert_holds(3, 3, 0);
}

static void
apply_raise(uint64_t n, int64_t bound)
{
	struct record r = { .type = RECORD_RAISE, .raise = { .bound_nano_eur = bound } };
	struct record_reserve reserved = make_reserve(n, 0);

	memcpy(r.raise.trace_id, reserved.trace_id, RECORD_ID_BYTES);
	assert_ok(db_apply(db, &r, &e));
}

static void
a_raised_reservation_is_charged_by_its_last_bound(void **state)
{
	(void)state;
	begin();
	apply_reserve(1, 0);
	apply_raise(1, 9500);
	apply_raise(1, 9400); /* never lowered */
	apply_reserve(2, 0);
	commit();
	begin();
	apply_raise(2, 10000);
	apply_raise(3, 77); /* of a reservation that was not written: nobody's */
	commit();
	begin();
	apply_raise(2, 10001);
	commit();
	settle_open(DB_UNCERTAIN_BOUND, 2);
	assert_int_equal(spent(0), 9500 + 10001);
	assert_holds(2, 2, 0);
}

static void
an_interrupted_request_has_one_trace_of_all_its_attempts(void **state)
{
	(void)state;
	begin();
	apply_reserve(1, 0);
	apply_settle(1, 0, 10);
	apply_reserve(1, 1);
	commit();
	settle_open(DB_UNCERTAIN_INPUT, 1);
	assert_holds(1, 2, 0);
	assert_ok(show(1, 32));
	assert_int_equal(shown.t.attempts, 2);
	assert_int_equal(shown.t.cost_nano_eur, 710);
	assert_int_equal(shown.t.usage.input, 120);
	assert_string_equal(shown_list, "[{\"provider\":\"openai\",\"model\":\"gpt-4o\","
					"\"end\":\"ok\",\"cost_nano_eur\":10},"
					"{\"provider\":\"openai\",\"model\":\"gpt-4o\","
					"\"end\":\"uncertain\",\"cost_nano_eur\":700}]");
}

static void
a_charge_without_a_trace_gets_one(void **state)
{
	(void)state;
	begin();
	apply_reserve(1, 0);
	apply_settle(1, 0, 10);
	next_transaction();
	apply_settle(2, 0, 20); /* never reserved */
	commit();
	settle_open(DB_UNCERTAIN_INPUT, 0);
	assert_holds(2, 2, 0);
	assert_int_equal(spent(0), 30);
	assert_ok(show(2, 32));
	assert_int_equal(shown.t.at_unix_ms, make_settle(2, 0, 0).at_unix_ms);
}

static void
a_traced_request_keeps_its_trace_when_an_attempt_was_left_open(void **state)
{
	(void)state;
	begin();
	apply_reserve(1, 0);
	apply_reserve(1, 1);
	apply_settle(1, 0, 10);
	apply_trace(1, 2, 10);
	commit();
	settle_open(DB_UNCERTAIN_INPUT, 1);
	assert_holds(1, 2, 0);
	assert_int_equal(spent(0), 710);
	assert_ok(show(1, 32));
	assert_int_equal(shown.t.flags, TRACE_STREAM);
}

/* ---- keys ---- */

static const lz_str hash_a = { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 32 };
static const lz_str hash_b = { "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 32 };
static const lz_str hash_c = { "cccccccccccccccccccccccccccccccc", 32 };

static struct db_key
make_key(const char *id, int64_t created)
{
	return (struct db_key){
		.id = lz_strz(id),
		.name = STR_LIT("Production backend"),
		.hint = STR_LIT("lz_live_...a1b2"),
		.settings = STR_LIT("{\"rate_limit\":120}"),
		.source = STR_LIT("command"),
		.created_unix_ms = created,
		.changed_unix_ms = created + 1,
	};
}

struct keys {
	char ids[100];
	struct db_key last;
};

static bool
list_key(void *arg, const struct db_key *k)
{
	struct keys *list = arg;
	size_t n = strlen(list->ids);

	(void)snprintf(list->ids + n, sizeof(list->ids) - n, "%.*s ", STR_ARG(k->id));
	list->last = *k;
	if (str_is(k->id, "full")) {
		assert_true(str_eq(k->hash, hash_a));
		assert_true(str_eq(k->sha256, hash_b));
		assert_true(str_eq(k->old_hash, hash_c));
		assert_int_equal(k->old_until_unix_ms, 77);
		assert_true(k->is_test && k->is_disabled);
		assert_true(str_is(k->settings, "{\"rate_limit\":120}"));
		assert_true(str_is(k->name, "Production backend"));
		assert_true(str_is(k->hint, "lz_live_...a1b2"));
		assert_true(str_is(k->source, "command"));
		assert_int_equal(k->changed_unix_ms, 31);
	}
	return !str_is(k->id, "stop");
}

static void
keys_come_back_as_they_were_and_in_order(void **state)
{
	struct keys list = { .ids = "" };
	struct db_key k = make_key("full", 30);

	(void)state;
	k.hash = hash_a;
	k.sha256 = hash_b;
	k.old_hash = hash_c;
	k.old_until_unix_ms = 77;
	k.is_test = k.is_disabled = true;
	assert_ok(db_key_put(db, &k, &e));
	k = make_key("older", 10);
	assert_ok(db_key_put(db, &k, &e));
	k = make_key("b-same-age", 30);
	assert_ok(db_key_put(db, &k, &e));
	k = make_key("stop", 40);
	assert_ok(db_key_put(db, &k, &e));
	k = make_key("never", 50);
	assert_ok(db_key_put(db, &k, &e));
	assert_ok(db_key_each(db, list_key, &list, &e));
	assert_string_equal(list.ids, "older b-same-age full stop ");
	assert_null(list.last.hash.ptr);
}

static void
a_key_is_replaced_by_its_id(void **state)
{
	struct keys list = { .ids = "" };
	struct db_key k = make_key("a", 1);

	(void)state;
	k.hash = hash_a;
	assert_ok(db_key_put(db, &k, &e));
	k.old_hash = hash_a;
	k.hash = hash_b;
	k.is_disabled = true;
	assert_ok(db_key_put(db, &k, &e));
	assert_ok(db_key_each(db, list_key, &list, &e));
	assert_string_equal(list.ids, "a ");
	assert_true(list.last.is_disabled);
}

static void
a_secret_belongs_to_one_key(void **state)
{
	struct db_key k = make_key("first", 1);

	(void)state;
	k.hash = hash_a;
	k.old_hash = hash_b;
	k.sha256 = hash_c;
	assert_ok(db_key_put(db, &k, &e));
	k = make_key("second", 2);
	k.hash = hash_a;
	assert_int_equal(db_key_put(db, &k, &e), ST_EXISTS);
	assert_said("\"second\"");
	assert_said("\"first\"");
	k.hash = hash_b;
	assert_int_equal(db_key_put(db, &k, &e), ST_EXISTS);
	k.hash = STR_NONE;
	k.sha256 = hash_c;
	assert_int_equal(db_key_put(db, &k, &e), ST_EXISTS);
	k.sha256 = STR_NONE;
	k.old_hash = hash_a;
	assert_int_equal(db_key_put(db, &k, &e), ST_EXISTS);
	k.old_hash = STR_NONE;
	assert_ok(db_key_put(db, &k, &e));
	assert_ok(db_key_remove(db, STR_LIT("first"), &e));
	k.hash = hash_a;
	assert_ok(db_key_put(db, &k, &e));
}

static void
a_key_that_is_none_is_refused(void **state)
{
	struct db_key k = make_key("", 1);

	(void)state;
	assert_int_equal(db_key_put(db, &k, &e), ST_INVALID);
	assert_said("no id");
	k = make_key("a", 1);
	k.hash = STR_LIT("short");
	assert_int_equal(db_key_put(db, &k, &e), ST_INVALID);
	assert_said("32 bytes");
	assert_int_equal(db_key_remove(db, STR_LIT("nobody"), &e), ST_NOT_FOUND);
	assert_said("nobody");
}

/* ---- traces ---- */

static lz_str
write_verdicts(unsigned i)
{
	static const char *const lists[] = { NULL, "no json",
		"[\"pii\",{\"guardrail\":1,\"verdict\":[]},null]",
		"[{\"guardrail\":\"pii\",\"verdict\":\"mask\"},"
		"{\"guardrail\":\"words\",\"verdict\":\"pass\"}]",
		"[{\"guardrail\":\"words\",\"verdict\":\"block\"}]", "{}" };

	return i < 6 && lists[i] != NULL ? lz_strz(lists[i]) : STR_NONE;
}

static void
write_traces(unsigned count)
{
	static const struct record_verdict said[] = {
		{ .guardrail = { "words", 5 }, .what = VERDICT_PASS },
		{ .guardrail = { "pii", 3 }, .what = VERDICT_FLAG, .is_answer = true },
	};
	struct arena *a = arena_new(4096);

	assert_non_null(a);
	begin();
	for (unsigned i = 0; i < count; i++) {
		struct record r = { .type = RECORD_TRACE, .trace = make_trace(i, 0, 5) };

		r.trace.user = i % 2 == 0 ? STR_LIT("alice") : STR_LIT("bob");
		r.trace.model = i % 3 == 0 ? STR_LIT("gpt-4o") : STR_LIT("echo-1");
		r.trace.model_asked =
		    i == 1 ? STR_LIT("latenza/cheapest") : r.trace.model;
		r.trace.status = i == 4 ? 429 : 200;
		r.trace.code = i == 5 ? STR_LIT("upstream_timeout") : STR_NONE;
		r.trace.metadata = i == 6   ? STR_NONE
				   : i == 7 ? STR_LIT("no json")
					    : r.trace.metadata;
		r.trace.guardrails = write_verdicts(i);
		if (i == 6)
			r.trace.verdicts = verdicts_write(a, said, 2);
		apply(&r);
	}
	commit();
	arena_free(a);
}

struct numbers {
	char text[400];
	unsigned most;
};

static bool
list_number(void *arg, const struct db_trace *t)
{
	struct numbers *list = arg;
	size_t n = strlen(list->text);

	(void)snprintf(list->text + n, sizeof(list->text) - n, "%u ", t->t.trace_id[15]);
	return list->most == 0 || --list->most > 0;
}

static void
assert_lists(struct db_trace_filter f, const char *expected)
{
	struct numbers list = { .text = "" };

	assert_ok(db_trace_each(db, &f, list_number, &list, &e));
	assert_string_equal(list.text, expected);
}

#define FILTER(...) ((struct db_trace_filter){ __VA_ARGS__ })

static void
traces_are_listed_newest_first_and_by_every_filter(void **state)
{
	int64_t t0 = make_trace(0, 0, 0).at_unix_ms;
	struct numbers three = { "", 3 };
	struct db_trace_filter all = { 0 };

	(void)state;
	write_traces(8);
	assert_lists(FILTER(0), "7 6 5 4 3 2 1 0 ");
	assert_lists(FILTER(.oldest_first = true, .limit = 3), "0 1 2 ");
	assert_lists(FILTER(.user = STR_LIT("bob")), "7 5 3 1 ");
	assert_lists(FILTER(.user = STR_LIT("")), "");
	assert_lists(FILTER(.key = STR_LIT("backend"), .limit = 1), "7 ");
	assert_lists(FILTER(.key = STR_LIT("other")), "");
	assert_lists(FILTER(.model = STR_LIT("gpt-4o")), "6 3 0 ");
	assert_lists(FILTER(.model = STR_LIT("latenza/cheapest")), "1 ");
	assert_lists(
	    FILTER(.provider = STR_LIT("openai"), .session = STR_LIT("s-1"), .limit = 2),
	    "7 6 ");
	assert_lists(FILTER(.code = STR_LIT("upstream_timeout")), "5 ");
	assert_lists(FILTER(.errors_only = true), "5 4 ");
	assert_lists(FILTER(.since_unix_ms = t0 + 2, .until_unix_ms = t0 + 4), "3 2 ");
	assert_lists(FILTER(.after_rowid = 5, .oldest_first = true), "5 6 7 ");
	assert_lists(FILTER(.guardrail = STR_LIT("words")), "6 4 3 ");
	assert_lists(FILTER(.verdict = STR_LIT("mask")), "3 ");
	assert_lists(FILTER(.verdict = STR_LIT("pass")), "6 3 ");
	assert_lists(
	    FILTER(.guardrail = STR_LIT("pii"), .verdict = STR_LIT("flag")), "6 ");
	assert_lists(FILTER(.guardrail = STR_LIT("pii"), .verdict = STR_LIT("pass")), "");
	assert_lists(FILTER(.guardrail = STR_LIT("pi")), "");
	assert_lists(
	    FILTER(.guardrail = STR_LIT("words"), .verdict = STR_LIT("block")), "4 ");
	assert_lists(
	    FILTER(.guardrail = STR_LIT("words"), .verdict = STR_LIT("mask")), "");
	assert_lists(
	    FILTER(.guardrail = STR_LIT("words"), .after_rowid = 1,
		.metadata_key = STR_LIT("team"), .oldest_first = true, .limit = 1),
	    "3 ");
	assert_lists(FILTER(.metadata_key = STR_LIT("team"), .limit = 2), "5 4 ");
	assert_lists(FILTER(.metadata_key = STR_LIT("team"),
			 .metadata_value = STR_LIT("search"), .limit = 1),
	    "5 ");
	assert_lists(FILTER(.metadata_key = STR_LIT("beta"),
			 .metadata_value = STR_LIT("true"), .limit = 1),
	    "5 ");
	assert_lists(FILTER(.metadata_key = STR_LIT("n"), .metadata_value = STR_LIT("3"),
			 .limit = 1),
	    "5 ");
	assert_lists(
	    FILTER(.metadata_key = STR_LIT("n"), .metadata_value = STR_LIT("4")), "");
	assert_lists(FILTER(.metadata_key = STR_LIT("' OR 1 --")), "");
	assert_lists(FILTER(.user = STR_LIT("alice"), .model = STR_LIT("gpt-4o"),
			 .since_unix_ms = t0 + 1, .metadata_key = STR_LIT("team"),
			 .errors_only = true),
	    "");
	assert_ok(db_trace_each(db, &all, list_number, &three, &e));
	assert_string_equal(three.text, "7 6 5 ");
}

/* Version 1 had an index by time beside the one by id, which begins with the time;
 * version 2 had no organisations, version 4 all prompts and answers in rows. */
static void
a_database_of_an_older_version_is_brought_up_to_date(void **state)
{
	const char *path = in_dir("latenza.db");

	(void)state;
	write_traces(3);
	db_close(db);
	sql(path, "CREATE INDEX trace_at ON trace (at_unix_ms);"
		  "CREATE INDEX content_at ON content (at_unix_ms);"
		  "DROP TABLE profile; DROP TABLE content_pack;"
		  "ALTER TABLE trace DROP COLUMN guardrails;"
		  "ALTER TABLE trace DROP COLUMN verdicts;"
		  "INSERT INTO content (trace_id, at_unix_ms, request, answer) "
		  "SELECT id, at_unix_ms, 'a prompt of then', '' FROM trace LIMIT 1;"
		  "PRAGMA user_version = 1");
	assert_null(db_open(path, DB_READ, &e));
	assert_said("its schema is version 1, this program reads version");
	db = db_open(path, DB_OPEN, &e);
	assert_non_null(db);
	assert_int_equal(sql_number(path, "PRAGMA user_version"), db_schema_version());
	assert_int_equal(sql_number(path, "SELECT count(*) FROM sqlite_schema WHERE name "
					  "IN ('trace_at', 'content_at')"),
	    0);
	assert_int_equal(sql_number(path, "SELECT count(*) FROM profile"), 0);
	assert_holds(3, 0, 0);
	assert_ok(show(0, 32));
	assert_string_equal(shown_text[0], "a prompt of then");
}

static void
a_list_walks_the_index(void **state)
{
	sqlite3_stmt *s;
	sqlite3 *c;

	(void)state;
	assert_int_equal(sqlite3_open(in_dir("latenza.db"), &c), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(c,
			     "EXPLAIN QUERY PLAN SELECT rowid, id FROM trace WHERE true "
			     "AND id >= ? "
			     "AND key = ? ORDER BY id DESC LIMIT ?",
			     -1, &s, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	assert_non_null(strstr((const char *)sqlite3_column_text(s, 3),
	    "SEARCH trace USING INDEX sqlite_autoindex_trace_1 (id>?)"));
	assert_int_equal(sqlite3_step(s), SQLITE_DONE);
	assert_int_equal(sqlite3_finalize(s), SQLITE_OK);
	assert_int_equal(sqlite3_close(c), SQLITE_OK);
}

static void
a_trace_is_shown_by_the_first_digits_of_its_id(void **state)
{
	(void)state;
	write_traces(3);
	put_text(1, STR_LIT("{\"q\":1}"), STR_NONE, STR_LIT("[]"));
	assert_ok(show(1, 32));
	assert_string_equal(shown_text[0], "{\"q\":1}");
	assert_string_equal(shown_text[1], "");
	assert_string_equal(shown_text[2], "[]");
	assert_ok(show(1, 12)); /* 48 bits of time, which differ */
	assert_int_equal(shown.t.trace_id[15], 1);
	assert_int_equal(show(1, 5), ST_INVALID);
	assert_said("several");
	assert_int_equal(show(9, 32), ST_NOT_FOUND);
	assert_int_equal(show(1, 0), ST_INVALID);
	assert_int_equal(
	    db_trace_show(db, STR_LIT("xyz"), keep_shown, NULL, &e), ST_INVALID);
	assert_said("hexadecimal");
	assert_int_equal(db_trace_show(db, STR_LIT("000000000000000000000000000000000"),
			     keep_shown, NULL, &e),
	    ST_INVALID);
}

static void
an_id_may_be_written_in_any_usual_way(void **state)
{
	struct record_trace t = make_trace(1, 0, 0);
	char hex[2 * RECORD_ID_BYTES + 1], uuid[64];

	(void)state;
	write_traces(3);
	crypto_hex(t.trace_id, RECORD_ID_BYTES, hex);
	(void)snprintf(uuid, sizeof(uuid), "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8,
	    hex + 12, hex + 16, hex + 20);
	for (char *p = uuid; *p != '\0'; p++)
		*p = (char)(*p >= 'a' ? *p - 32 : *p);
	assert_ok(db_trace_show(db, lz_strz(uuid), keep_shown, NULL, &e));
	assert_int_equal(shown.t.trace_id[15], 1);
}

static bool
count_charge(void *arg, const struct record_settle *s)
{
	struct sums *sums = arg;

	assert_int_equal(s->attempt, sums->count);
	assert_int_equal(s->price_cache_write, -1);
	assert_int_equal(s->price_output, 10000000);
	assert_true(str_is(s->fx_date, "2026-11-20"));
	assert_int_equal(s->usage.reasoning, 5);
	sums->count++;
	sums->nano += s->cost_nano_eur;
	return true;
}

static void
charges_of_a_trace_come_back_as_they_were(void **state)
{
	struct record_trace t = make_trace(1, 0, 0);
	struct sums sums = { 0 };

	(void)state;
	begin();
	apply_settle(1, 1, 20);
	apply_settle(1, 0, -1);
	apply_settle(2, 0, 500);
	commit();
	assert_ok(db_charge_each(db, t.trace_id, count_charge, &sums, &e));
	assert_int_equal(sums.count, 2);
	assert_int_equal(sums.nano, 19);
}

static void
a_person_is_forgotten_and_the_money_stays(void **state)
{
	static char bytes[4 << 20];
	int64_t count;
	size_t n;

	(void)state;
	write_traces(8);
	begin();
	apply_settle(0, 0, 100);
	commit();
	begin();
	put(0, STR_LIT("a secret of hers"), STR_NONE, STR_NONE);
	put(1, STR_LIT("his"), STR_NONE, STR_NONE);
	put(2, STR_LIT("a secret of hers"), STR_LIT("another"), STR_NONE);
	commit();
	put_text(
	    4, STR_LIT("a secret of hers, in a pack of its own"), STR_NONE, STR_NONE);
	assert_ok(db_trace_erase(db, STR_LIT("alice"), &count, &e));
	assert_int_equal(count, 4);
	assert_lists(FILTER(.user = STR_LIT("alice")), "");
	assert_ok(show(0, 32));
	assert_null(shown.t.user.ptr);
	assert_null(shown.t.session.ptr);
	assert_null(shown.t.metadata.ptr);
	assert_string_equal(shown_text[0], "");
	assert_int_equal(spent(0), 100);
	assert_ok(show(1, 32));
	assert_string_equal(shown_text[0], "his");
	/* not a trace of it on the disk either */
	n = read_whole(in_dir("latenza.db"), bytes, sizeof(bytes));
	assert_null(memmem(bytes, n, "a secret of hers", 16));
	assert_null(memmem(bytes, n, "alice", 5));
	n = read_whole(in_dir("latenza.db-wal"), bytes, sizeof(bytes));
	assert_null(memmem(bytes, n, "a secret of hers", 16));
	n = read_whole(in_dir("latenza.db-content/1"), bytes, sizeof(bytes));
	assert_null(memmem(bytes, n, "a secret", 8));
	assert_null(memmem(bytes, n, "another", 7));
	assert_non_null(memmem(bytes, n, "his", 3));
	assert_ok(db_trace_erase(db, STR_LIT("alice"), &count, &e));
	assert_int_equal(count, 0);
	assert_int_equal(db_trace_erase(db, STR_LIT(""), &count, &e), ST_INVALID);
}

static void
old_traces_are_pruned_in_steps(void **state)
{
	int64_t t0 = make_trace(0, 0, 0).at_unix_ms;
	bool more = true;
	int steps = 0;

	(void)state;
	begin();
	for (uint64_t i = 0; i < 1000; i++) {
		apply_settle(i, 0, 3);
		apply_trace(i, 1, 3);
	}
	commit();
	assert_ok(db_prune(db, 0, 0, 100, &more, &e));
	assert_false(more);
	assert_holds(1000, 1000, 0);
	do {
		assert_ok(db_prune(db, t0 + 800, t0, 300, &more, &e));
		assert_int_equal(spent(0), 3000);
		steps++;
	} while (more);
	assert_int_equal(steps, 3);
	assert_holds(200, 200, 0);
	assert_int_equal(sql_number(in_dir("latenza.db"),
			     "SELECT min(pruned_nano_eur) FROM budget_spend"),
	    2400);
	/* a spool that comes back after a power loss may bring an old charge again: it is
	 * spent twice nowhere */
	begin();
	apply_settle(900, 0, 3);
	commit();
	assert_int_equal(spent(0), 3000);
}

/* ---- care ---- */

static void
a_backup_is_whole_and_private(void **state)
{
	struct stat st;
	struct db *copy;

	(void)state;
	write_traces(8);
	begin();
	apply_reserve(1, 0);
	apply_settle(1, 0, 100);
	commit();
	write_file(in_dir("keyring"), "the secrets", 11);
	assert_ok(db_backup(db, in_dir("backup.db"), in_dir("keyring"), &e));
	assert_int_equal(stat(in_dir("backup.db"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(in_dir("backup.db.keyring"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 11);
	assert_int_equal(access(in_dir("backup.db-wal"), F_OK), -1);
	assert_int_equal(access(in_dir("backup.db.part"), F_OK), -1);
	copy = db;
	db = db_open(in_dir("backup.db"), DB_OPEN, &e);
	assert_non_null(db);
	assert_holds(8, 1, 0);
	assert_int_equal(spent(0), 100);
	db_close(db);
	db = copy;
}

static void
a_backup_overwrites_nothing(void **state)
{
	char bytes[100];

	(void)state;
	write_file(in_dir("backup.db"), "mine", 4);
	write_file(in_dir("keyring"), "the secrets", 11);
	assert_int_equal(
	    db_backup(db, in_dir("backup.db"), in_dir("keyring"), &e), ST_EXISTS);
	assert_said("backup.db");
	assert_int_equal(read_whole(in_dir("backup.db"), bytes, sizeof(bytes)), 4);
	assert_int_equal(access(in_dir("backup.db.keyring"), F_OK), -1);
	write_file(in_dir("second.db.keyring"), "old", 3);
	assert_int_equal(
	    db_backup(db, in_dir("second.db"), in_dir("keyring"), &e), ST_EXISTS);
	assert_int_equal(access(in_dir("second.db"), F_OK), -1);
	assert_int_equal(
	    db_backup(db, in_dir("third.db"), in_dir("absent"), &e), ST_NOT_FOUND);
	assert_int_equal(access(in_dir("third.db"), F_OK), -1);
	assert_int_equal(db_backup(db, in_dir("no/such.db"), NULL, &e), ST_IO);
	assert_int_equal(db_backup(db, "", NULL, &e), ST_INVALID);
	assert_ok(db_backup(db, in_dir("fourth.db"), NULL, &e));
}

static void
check_finds_what_is_wrong(void **state)
{
	struct db_check check;

	(void)state;
	begin();
	apply_settle(1, 0, 100);
	apply_reserve(2, 0);
	commit();
	assert_holds(0, 1, 1);
	sql(in_dir("latenza.db"),
	    "UPDATE budget_spend SET spent_nano_eur = 99 WHERE scope = 'key:backend'");
	assert_ok(db_check(db, &check, &e));
	assert_int_equal(check.spend_differs, 1);
	assert_string_equal(check.first_problem,
	    "budget key:backend month:2026-11: 100 nano-EUR are charged, 99 are spent");
	sql(in_dir("latenza.db"), "DELETE FROM budget_spend");
	assert_ok(db_check(db, &check, &e));
	assert_int_equal(check.spend_differs, 2);
	sql(in_dir("latenza.db"),
	    "PRAGMA foreign_keys = OFF; UPDATE charge SET scope_set = 777");
	assert_ok(db_check(db, &check, &e));
	assert_string_equal(check.first_problem,
	    "references: a row of charge has no parent in scope_set");
}

static void
check_finds_a_damaged_page(void **state)
{
	struct db_check check = { 0 };
	struct stat st;
	int fd;

	(void)state;
	write_traces(200);
	db_close(db);
	fd = open(in_dir("latenza.db"), O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t page = 30 * 4096; page < st.st_size; page += 4096)
		assert_int_equal(
		    pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, page), 8);
	assert_int_equal(close(fd), 0);
	db = db_open(in_dir("latenza.db"), DB_READ, &e);
	assert_non_null(db);
	assert_ok(db_check(db, &check, &e));
	assert_string_not_equal(check.first_problem, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_database_is_ours_and_private),
		TEST(a_database_is_private_whatever_the_umask),
		TEST(a_file_of_another_program_is_refused_and_left_alone),
		TEST(a_newer_schema_is_refused_and_left_alone),
		TEST(a_newer_schema_that_is_only_in_the_log_is_refused),
		TEST(a_database_of_an_older_version_is_brought_up_to_date),
		TEST(what_is_not_there_is_only_made_when_asked),
		TEST(a_creation_that_was_killed_is_begun_again),
		TEST(a_reader_writes_nothing),
		TEST(any_allocation_may_fail),
		TEST(a_settled_attempt_is_spent_in_every_budget),
		TEST(budgets_that_lists_share_get_what_all_lists_cost),
		TEST(an_attempt_is_charged_once_however_often_it_is_settled),
		TEST(a_rolled_back_transaction_leaves_nothing),
		TEST(reservations_are_open_until_settled_and_kept_until_traced),
		TEST(an_attempt_that_settles_after_the_trace_is_charged),
		TEST(batches_of_any_size_come_to_the_same_end),
		TEST(released_and_unpriced_attempts_cost_nothing_and_are_kept),
		TEST(an_impossible_sum_stays_at_the_largest_number),
		TEST(names_with_separators_are_told_apart),
		TEST(spend_is_listed_until_the_caller_has_enough),
		TEST(positions_are_kept_and_forgotten),
		TEST(an_open_reservation_is_charged_as_the_option_says),
		TEST(a_raised_reservation_is_charged_by_its_last_bound),
		TEST(an_interrupted_request_has_one_trace_of_all_its_attempts),
		TEST(a_charge_without_a_trace_gets_one),
		TEST(a_traced_request_keeps_its_trace_when_an_attempt_was_left_open),
		TEST(keys_come_back_as_they_were_and_in_order),
		TEST(a_key_is_replaced_by_its_id),
		TEST(a_secret_belongs_to_one_key),
		TEST(a_key_that_is_none_is_refused),
		TEST(traces_are_listed_newest_first_and_by_every_filter),
		TEST(a_list_walks_the_index),
		TEST(a_trace_is_shown_by_the_first_digits_of_its_id),
		TEST(an_id_may_be_written_in_any_usual_way),
		TEST(charges_of_a_trace_come_back_as_they_were),
		TEST(a_person_is_forgotten_and_the_money_stays),
		TEST(old_traces_are_pruned_in_steps),
		TEST(a_backup_is_whole_and_private),
		TEST(a_backup_overwrites_nothing),
		TEST(check_finds_what_is_wrong),
		TEST(check_finds_a_damaged_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
