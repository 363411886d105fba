/* test_db_content.c - prompts and answers in files beside the database: they come back as
 * they were, go when they are to go, and no byte stays that nobody knows of.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store_fixture.h"

#include <errno.h>
#include <sqlite3.h>

#include "base/crypto.h"
#include "store/db.h"

enum {
	LARGE = 300000
};

static struct db *db;
static struct err e;
static char large[LARGE];

static int
set_up(void **state)
{
	memset(large, 'x', sizeof(large));
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
assert_ok(enum status st)
{
	if (st != ST_OK)
		fail_msg("%s: %s", status_name(st), e.text);
}

static int64_t
sql_number(const char *text)
{
	sqlite3_stmt *s;
	sqlite3 *c;
	int64_t v;

	assert_int_equal(sqlite3_open(in_dir("latenza.db"), &c), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(c, text, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int64(s, 0);
	assert_int_equal(sqlite3_finalize(s), SQLITE_OK);
	assert_int_equal(sqlite3_close(c), SQLITE_OK);
	return v;
}

static void
reopen(void)
{
	db_close(db);
	db = db_open(in_dir("latenza.db"), DB_OPEN, &e);
	assert_non_null(db);
	assert_ok(db_content_recover(db, &e));
}

/* ---- putting and showing ---- */

static enum status
try_put(uint64_t n, lz_str request, lz_str answer)
{
	struct record_trace t = make_trace(n, 0, 0);

	return db_content_put(
	    db, t.trace_id, t.at_unix_ms, request, answer, STR_NONE, &e);
}

static void
put(uint64_t n, lz_str request, lz_str answer)
{
	struct record r = { .type = RECORD_TRACE, .trace = make_trace(n, 0, 0) };

	r.trace.user = n % 2 == 0 ? STR_LIT("alice") : STR_LIT("bob");
	assert_ok(db_apply(db, &r, &e));
	assert_ok(try_put(n, request, answer));
}

/* "prompt N", "answer N" of so many traces, each in a transaction of its own or all in
 * one. */
static void
put_many(uint64_t from, uint64_t to, bool in_one)
{
	char request[32], answer[32];

	if (in_one)
		assert_ok(db_begin(db, &e));
	for (uint64_t i = from; i < to; i++) {
		(void)snprintf(request, sizeof(request), "prompt %d", (int)i);
		(void)snprintf(answer, sizeof(answer), "answer %d", (int)i);
		if (!in_one)
			assert_ok(db_begin(db, &e));
		put(i, lz_strz(request), lz_strz(answer));
		if (!in_one)
			assert_ok(db_commit(db, false, &e));
	}
	if (in_one)
		assert_ok(db_commit(db, false, &e));
}

struct shown {
	bool has_request, has_answer;
	char request[LARGE + 1], answer[64];
};
static struct shown shown;

static void
keep_shown(
    void *arg, const struct db_trace *t, lz_str request, lz_str answer, lz_str candidates)
{
	(void)arg;
	(void)t;
	assert_null(candidates.ptr);
	shown.has_request = request.ptr != NULL;
	shown.has_answer = answer.ptr != NULL;
	assert_true(request.len < sizeof(shown.request));
	(void)snprintf(shown.request, sizeof(shown.request), "%.*s", STR_ARG(request));
	(void)snprintf(shown.answer, sizeof(shown.answer), "%.*s", STR_ARG(answer));
}

static void
show(uint64_t n)
{
	struct record_trace t = make_trace(n, 0, 0);
	char hex[2 * RECORD_ID_BYTES + 1];

	crypto_hex(t.trace_id, RECORD_ID_BYTES, hex);
	assert_ok(db_trace_show(db, lz_strz(hex), keep_shown, NULL, &e));
}

static void
assert_has(uint64_t n)
{
	char request[32], answer[32];

	(void)snprintf(request, sizeof(request), "prompt %d", (int)n);
	(void)snprintf(answer, sizeof(answer), "answer %d", (int)n);
	show(n);
	assert_string_equal(shown.request, request);
	assert_string_equal(shown.answer, answer);
}

static void
assert_has_not(uint64_t n)
{
	show(n);
	assert_false(shown.has_request);
	assert_false(shown.has_answer);
}

static uint64_t
size_of(const char *name)
{
	struct stat st;

	return stat(in_dir(name), &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void
texts_come_back_as_they_were(void **state)
{
	(void)state;
	put_many(0, 100, true);
	put_many(100, 110, false);
	assert_ok(db_begin(db, &e));
	put(200, STR_NONE, STR_LIT(""));
	put(201, lz_strn(large, sizeof(large)), STR_LIT("after it"));
	put(202, STR_LIT("next"), STR_NONE);
	assert_ok(db_commit(db, false, &e));
	for (int again = 0; again < 2; again++) {
		for (uint64_t i = 0; i < 110; i++)
			assert_has(i);
		show(200);
		assert_false(shown.has_request);
		assert_true(shown.has_answer);
		assert_string_equal(shown.answer, "");
		show(201);
		assert_int_equal(strlen(shown.request), LARGE);
		assert_string_equal(shown.answer, "after it");
		show(202);
		assert_string_equal(shown.request, "next");
		assert_false(shown.has_answer);
		reopen();
	}
	/* 100 in one, 10 alone, and the large one alone between two */
	assert_int_equal(sql_number("SELECT count(*) FROM content_pack"), 1 + 10 + 3);
	assert_int_equal(sql_number("SELECT count(*) FROM content"), 0);
}

/* A stream of an hour ends together with an answer of a second. */
static void
texts_of_times_far_apart_are_found(void **state)
{
	const uint64_t hour = 3600000;

	(void)state;
	assert_ok(db_begin(db, &e));
	for (uint64_t i = 5; i > 0; i--)
		put(i * hour, STR_LIT("long"), STR_NONE);
	put(5 * hour + 9000, STR_LIT("short"), STR_NONE);
	put(9000, STR_LIT("old"), STR_NONE);
	assert_ok(db_commit(db, false, &e));
	for (uint64_t i = 1; i <= 5; i++) {
		show(i * hour);
		assert_string_equal(shown.request, "long");
	}
	show(5 * hour + 9000);
	assert_string_equal(shown.request, "short");
	show(9000);
	assert_string_equal(shown.request, "old");
	assert_int_equal(sql_number("SELECT count(*) FROM content_pack"), 7);
}

static void
the_newest_is_shown_of_what_was_put_twice(void **state)
{
	(void)state;
	assert_ok(db_begin(db, &e));
	put(1, STR_LIT("first"), STR_NONE);
	assert_ok(db_commit(db, false, &e));
	assert_ok(db_begin(db, &e));
	put(1, STR_LIT("second"), STR_NONE);
	assert_ok(db_commit(db, false, &e));
	show(1);
	assert_string_equal(shown.request, "second");
}

/* ---- failing ---- */

static void
what_is_rolled_back_leaves_no_byte(void **state)
{
	uint64_t before;

	(void)state;
	put_many(0, 10, true);
	before = size_of("latenza.db-content/1");
	assert_true(before > 0);
	assert_ok(db_begin(db, &e));
	put(20, lz_strn(large, sizeof(large)), STR_NONE);
	put(21, STR_LIT("small"), STR_NONE); /* the large one is written for it */
	assert_true(size_of("latenza.db-content/1") > before);
	db_rollback(db);
	assert_int_equal(size_of("latenza.db-content/1"), before);
	put_many(30, 40, true);
	for (uint64_t i = 0; i < 10; i++)
		assert_has(i);
	for (uint64_t i = 30; i < 40; i++)
		assert_has(i);
}

static ssize_t
write_half(int fd, const void *p, size_t n)
{
	static bool is_second;

	is_second = !is_second;
	if (is_second)
		return system_io.write(fd, p, n / 2);
	errno = ENOSPC;
	return -1;
}

static void
a_full_disk_costs_what_could_not_be_written(void **state)
{
	uint64_t before;

	(void)state;
	put_many(0, 10, true);
	before = size_of("latenza.db-content/1");
	assert_ok(db_begin(db, &e));
	put(20, STR_LIT("q"), STR_NONE);
	io.write = write_half;
	assert_int_equal(db_commit(db, false, &e), ST_FULL);
	io = system_io;
	assert_non_null(strstr(e.text, "latenza.db-content/1: cannot be written"));
	assert_int_equal(size_of("latenza.db-content/1"), before);
	put_many(30, 40, true);
	assert_has(9);
	assert_has(35);
}

static int
fail_alloc(size_t n, void *arg)
{
	(void)n;
	return --*(int *)arg < 0;
}

/* Whichever allocation fails: the texts are there, or the transaction is not. */
static void
without_memory_nothing_is_half_done(void **state)
{
	enum status st;
	int left, k;

	(void)state;
	put_many(0, 2, true);
	for (k = 0;; k++) {
		uint64_t n = 100 + (uint64_t)k;

		left = k;
		mem_set_fault(fail_alloc, &left);
		st = db_begin(db, &e);
		if (st == ST_OK) {
			st = try_put(n, lz_strn(large, 70000), STR_LIT("a"));
			if (st == ST_OK)
				st = db_commit(db, false, &e);
			else
				db_rollback(db);
		}
		mem_set_fault(NULL, NULL);
		if (left >= 0)
			break;
		put_many(1000 + n, 1001 + n, true);
		assert_has(1000 + n);
	}
	assert_ok(st);
	assert_true(k > 0);
	assert_has(1);
	assert_int_equal(size_of("latenza.db-content/1"),
	    sql_number("SELECT max(offset + bytes) FROM content_pack"));
}

/* ---- what a killed run left ---- */

static void
bytes_without_a_row_are_cut_off(void **state)
{
	uint64_t before;
	int fd;

	(void)state;
	put_many(0, 10, true);
	before = size_of("latenza.db-content/1");
	fd = open(in_dir("latenza.db-content/1"), O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "a secret", 8), 8);
	assert_int_equal(close(fd), 0);
	write_file(in_dir("latenza.db-content/7"), "a secret", 8);
	write_file(in_dir("latenza.db-content/not ours"), "his", 3);
	reopen();
	assert_int_equal(size_of("latenza.db-content/1"), before);
	assert_int_equal(access(in_dir("latenza.db-content/7"), F_OK), -1);
	assert_int_equal(size_of("latenza.db-content/not ours"), 3);
	put_many(10, 20, true);
	for (uint64_t i = 0; i < 20; i++)
		assert_has(i);
}

static void
rows_of_lost_bytes_are_forgotten(void **state)
{
	struct db_check check;

	(void)state;
	put_many(0, 10, false);
	reopen();
	put_many(10, 20, false); /* another file */
	assert_int_equal(truncate(in_dir("latenza.db-content/1"),
			     (off_t)size_of("latenza.db-content/1") - 1),
	    0);
	assert_ok(db_check(db, &check, &e));
	assert_non_null(strstr(check.first_problem, "latenza.db-content/1 has"));
	assert_int_equal(unlink(in_dir("latenza.db-content/2")), 0);
	reopen();
	assert_ok(db_check(db, &check, &e));
	assert_string_equal(check.first_problem, "");
	assert_has(8);
	assert_has_not(9);
	assert_has_not(10);
	put_many(30, 31, true);
	assert_has(30);
}

static void
a_damaged_text_is_not_shown_and_hides_no_other(void **state)
{
	int fd;

	(void)state;
	put_many(0, 3, true);
	fd = open(in_dir("latenza.db-content/1"), O_WRONLY);
	/* within the texts of the second of three records of the same size */
	assert_int_equal(
	    pwrite(fd, "?", 1, (off_t)size_of("latenza.db-content/1") * 2 / 3 - 1), 1);
	assert_int_equal(close(fd), 0);
	assert_has(0);
	assert_has_not(1);
	assert_has(2);
}

/* ---- going ---- */

static void
texts_go_with_their_age_and_files_with_their_last_text(void **state)
{
	int64_t t0 = make_trace(0, 0, 0).at_unix_ms;
	bool more;

	(void)state;
	put_many(0, 100, false);
	reopen(); /* begins another file */
	put_many(100, 200, false);
	assert_int_equal(sql_number("SELECT max(file) FROM content_pack"), 2);
	assert_ok(db_prune(db, 0, t0 + 50, 1000, &more, &e));
	assert_false(more);
	assert_has_not(49);
	assert_has(50);
	assert_int_equal(access(in_dir("latenza.db-content/1"), F_OK), 0);
	do
		assert_ok(db_prune(db, 0, t0 + 150, 30, &more, &e));
	while (more);
	assert_has_not(149);
	assert_has(150);
	assert_int_equal(access(in_dir("latenza.db-content/1"), F_OK), -1);
	assert_ok(db_prune(db, 0, t0 + 1000, 1000, &more, &e));
	assert_int_equal(sql_number("SELECT count(*) FROM content_pack"), 0);
	/* it is appended to, until the next start */
	put_many(300, 301, true);
	assert_has(300);
	assert_ok(db_prune(db, 0, t0 + 1000, 1000, &more, &e));
	reopen();
	assert_int_equal(count_files(in_dir("latenza.db-content")), 0);
}

static void
erasing_wipes_one_persons_texts_only(void **state)
{
	static char bytes[1 << 20];
	char word[32];
	int64_t count;
	size_t n;

	(void)state;
	put_many(0, 50, true);
	put_many(50, 60, false);
	assert_ok(db_trace_erase(db, STR_LIT("alice"), &count, &e));
	assert_int_equal(count, 30);
	n = read_whole(in_dir("latenza.db-content/1"), bytes, sizeof(bytes));
	for (uint64_t i = 0; i < 60; i++) {
		(void)snprintf(word, sizeof(word), "answer %d", (int)i);
		if (i % 2 == 0) {
			assert_has_not(i);
			if (i >= 10)
				assert_null(memmem(bytes, n, word, strlen(word)));
		} else {
			assert_has(i);
			assert_non_null(memmem(bytes, n, word, strlen(word)));
		}
	}
	put_many(60, 62, true);
	assert_has(60);
}

static int
fail_sync(int fd)
{
	(void)fd;
	errno = EIO;
	return -1;
}

static void
what_cannot_be_wiped_for_good_is_told(void **state)
{
	int64_t count;

	(void)state;
	put_many(0, 4, true);
	io.fdatasync = fail_sync;
	assert_int_equal(db_trace_erase(db, STR_LIT("alice"), &count, &e), ST_IO);
	io = system_io;
	assert_non_null(strstr(e.text, "latenza.db-content/1: cannot be made durable"));
	assert_ok(db_trace_erase(db, STR_LIT("alice"), &count, &e));
	assert_int_equal(count, 2);
	assert_has(1);
}

/* ---- backup ---- */

static void
a_backup_holds_the_texts_itself(void **state)
{
	int64_t t0 = make_trace(0, 0, 0).at_unix_ms, count;
	struct db *live = db;
	bool more;

	(void)state;
	put_many(0, 100, true);
	put_many(100, 110, false);
	assert_ok(db_begin(db, &e));
	put(200, lz_strn(large, sizeof(large)), STR_NONE);
	assert_ok(db_commit(db, false, &e));
	assert_ok(db_backup(db, in_dir("backup.db"), NULL, &e));
	db = db_open(in_dir("backup.db"), DB_OPEN, &e);
	assert_non_null(db);
	for (uint64_t i = 0; i < 110; i++)
		assert_has(i);
	show(200);
	assert_int_equal(strlen(shown.request), LARGE);
	assert_ok(db_trace_erase(db, STR_LIT("alice"), &count, &e));
	assert_has_not(8);
	assert_has(9);
	assert_ok(db_prune(db, 0, t0 + 50, 1000, &more, &e));
	assert_has_not(49);
	assert_has(51);
	assert_int_equal(access(in_dir("backup.db-content"), F_OK), -1);
	db_close(db);
	db = live;
	assert_has(8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(texts_come_back_as_they_were),
		TEST(texts_of_times_far_apart_are_found),
		TEST(the_newest_is_shown_of_what_was_put_twice),
		TEST(what_is_rolled_back_leaves_no_byte),
		TEST(a_full_disk_costs_what_could_not_be_written),
		TEST(without_memory_nothing_is_half_done),
		TEST(bytes_without_a_row_are_cut_off),
		TEST(rows_of_lost_bytes_are_forgotten),
		TEST(a_damaged_text_is_not_shown_and_hides_no_other),
		TEST(texts_go_with_their_age_and_files_with_their_last_text),
		TEST(erasing_wipes_one_persons_texts_only),
		TEST(what_cannot_be_wiped_for_good_is_told),
		TEST(a_backup_holds_the_texts_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
