/* test_storage.c - the spool on its way into the database, with and without somebody
 * pulling the plug.
 *
 * The kill test is the promise of the ledger: a child reserves, settles and traces as
 * workers do and notes in shared memory what was flushed; it is killed with SIGKILL at a
 * random instant; recovery may be killed, too. Then every request of every life must be
 * what its notes allow, and spend must be the sum of the charges. LATENZA_KILLS=1000
 * kills more often; LATENZA_BENCH=100000 measures the cost of that many requests.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lives.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/metric.h"

enum {
	WORKERS = 2,
	KILLS = 30
};

static struct datadir dir;
/* Quick, so that the tests are; what costs are measured with is what a gateway has. */
static unsigned sync_ms = 5, batch_ms = 2;
static size_t queue_bytes = 1 << 20;

static struct storage *
open_storage(struct err *e)
{
	struct storage_options o = {
		.data = &dir,
		.sync_ms = sync_ms,
		.batch_ms = batch_ms,
		.uncertain = DB_UNCERTAIN_INPUT,
		.content_queue_bytes = queue_bytes,
	};
	enum status st = datadir_open(in_dir("data"), DATADIR_SERVE, &dir, e);

	if (st == ST_OK) {
		struct storage *s = storage_open(&o, e);

		if (s != NULL)
			return s;
	}
	print_error("%s\n", e->text);
	return NULL;
}

static struct spool *
open_spool(unsigned worker, size_t segment_bytes)
{
	struct spool_options o = {
		.dir = in_dir("data/spool"),
		.worker = worker,
		.boot = dir.boot,
		.segment_bytes = segment_bytes,
		.buffer_bytes = 8 << 20,
	};
	struct err e;
	struct spool *s;

	s = spool_open(&o, &e);
	if (s == NULL)
		print_error("%s\n", e.text);
	assert_non_null(s);
	return s;
}

/* A gateway's store, as main.c runs it. */
struct house {
	struct storage *storage;
	struct spool *spool[WORKERS];
};

static void
start_house(struct house *h, size_t segment_bytes)
{
	struct err e;

	h->storage = open_storage(&e);
	assert_non_null(h->storage);
	for (unsigned i = 0; i < WORKERS; i++)
		h->spool[i] = open_spool(i, segment_bytes);
	assert_int_equal(storage_start(h->storage, h->spool, WORKERS, &e), ST_OK);
}

static void
stop_house(struct house *h)
{
	storage_stop(h->storage);
	for (unsigned i = 0; i < WORKERS; i++)
		spool_close(h->spool[i]);
	datadir_close(&dir);
}

static void
write_request(struct spool *s, uint64_t number, int64_t cost)
{
	struct record_reserve r = make_reserve(number, 0);
	struct record_settle c = make_settle(number, 0, cost);
	struct record_trace t = make_trace(number, 1, cost);

	assert_int_equal(spool_reserve(s, &r), ST_OK);
	assert_int_equal(spool_flush(s), ST_OK);
	assert_int_equal(spool_settle(s, &c), ST_OK);
	assert_int_equal(spool_trace(s, &t), ST_OK);
	assert_int_equal(spool_flush(s), ST_OK);
}

static void
check_db(void *arg, struct db *d)
{
	struct err e;

	assert_int_equal(db_check(d, arg, &e), ST_OK);
}

static void
what_was_flushed_is_in_the_database_when_a_call_runs(void **state)
{
	struct db_check check;
	struct house h;

	(void)state;
	start_house(&h, 16 << 20);
	for (uint64_t i = 0; i < 500; i++)
		write_request(h.spool[i % WORKERS], i, 10);
	storage_call(h.storage, check_db, &check);
	assert_string_equal(check.first_problem, "");
	assert_int_equal(check.traces, 500);
	assert_int_equal(check.charges, 500);
	assert_int_equal(check.open_reservations, 0);
	assert_int_equal(storage_health(h.storage, NULL), ST_OK);
	stop_house(&h);
}

static void
stopping_leaves_an_empty_spool_and_no_log(void **state)
{
	struct house h;

	(void)state;
	start_house(&h, 16 << 20);
	for (uint64_t i = 0; i < 100; i++)
		write_request(h.spool[0], i, 10);
	stop_house(&h);
	assert_int_equal(count_files(in_dir("data/spool")), 0);
	assert_int_equal(access(in_dir("data/latenza.db-wal"), F_OK), -1);
	start_house(&h, 16 << 20);
	stop_house(&h);
	assert_int_equal(count_files(in_dir("data/spool")), 0);
}

static void
finished_segments_are_deleted_while_the_gateway_runs(void **state)
{
	struct db_check check;
	struct house h;

	(void)state;
	start_house(&h, 20000);
	for (uint64_t i = 0; i < 2000; i++)
		write_request(h.spool[0], i, 7);
	storage_call(h.storage, check_db, &check);
	assert_int_equal(check.traces, 2000);
	assert_string_equal(check.first_problem, "");
	/* the current segment of each worker */
	assert_int_equal(count_files(in_dir("data/spool")), WORKERS);
	stop_house(&h);
}

static void
note_spent(void *arg, struct db *d)
{
	*(int64_t *)arg = spent(d);
}

static void
spend_is_there_after_a_restart(void **state)
{
	struct house h;
	int64_t nano;
	struct err e;

	(void)state;
	start_house(&h, 16 << 20);
	for (uint64_t i = 0; i < 10; i++)
		write_request(h.spool[0], i, 1000);
	storage_call(h.storage, note_spent, &nano);
	assert_int_equal(nano, 10000);
	stop_house(&h);
	h.storage = open_storage(&e);
	assert_non_null(h.storage);
	assert_int_equal(spent(storage_db(h.storage)), 10000);
	storage_stop(h.storage);
	datadir_close(&dir);
}

/* ---- content ---- */

static void
see_content(
    void *arg, const struct db_trace *t, lz_str request, lz_str answer, lz_str candidates)
{
	(void)t;
	assert_true(str_is(request, "{\"q\":1}"));
	assert_true(str_is(answer, "yes"));
	assert_null(candidates.ptr);
	*(bool *)arg = true;
}

static void
show_first(void *arg, struct db *d)
{
	struct record_trace t = make_trace(0, 1, 0);
	char hex[2 * RECORD_ID_BYTES + 1];
	struct err e;

	crypto_hex(t.trace_id, RECORD_ID_BYTES, hex);
	assert_int_equal(db_trace_show(d, lz_strz(hex), see_content, arg, &e), ST_OK);
}

static void
content_arrives_and_a_full_queue_says_no(void **state)
{
	struct record_trace t = make_trace(0, 1, 0);
	char *large = calloc(1, 2 << 20);
	struct house h;
	bool seen = false;

	(void)state;
	start_house(&h, 16 << 20);
	assert_true(storage_offer_content(h.storage, t.trace_id, t.at_unix_ms,
	    STR_LIT("{\"q\":1}"), STR_LIT("yes"), STR_NONE));
	assert_false(storage_offer_content(h.storage, t.trace_id, t.at_unix_ms,
	    lz_strn(large, 2 << 20), STR_NONE, STR_NONE));
	write_request(h.spool[0], 0, 5);
	storage_call(h.storage, show_first, &seen);
	assert_true(seen);
	stop_house(&h);
	free(large);
}

/* ---- a database that fails ---- */

static atomic_bool is_memory_out;
static pthread_t main_thread;

static int
refuse_others(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return atomic_load(&is_memory_out) && !pthread_equal(pthread_self(), main_thread);
}

static void
a_failing_database_is_tried_again_and_told(void **state)
{
	struct timespec tick = { 0, 2000000 };
	struct db_check check;
	struct house h;
	struct err e = { "" };
	int waited = 0;

	(void)state;
	main_thread = pthread_self();
	atomic_store(&is_memory_out, false);
	mem_set_fault(refuse_others, NULL);
	start_house(&h, 16 << 20);
	write_request(h.spool[0], 0, 5);
	storage_call(h.storage, check_db, &check);
	assert_int_equal(check.traces, 1);
	atomic_store(&is_memory_out, true);
	for (uint64_t i = 1; i < 300; i++)
		write_request(h.spool[i % WORKERS], i, 5);
	while (storage_health(h.storage, &e) == ST_OK && waited++ < 2000)
		(void)nanosleep(&tick, NULL);
	assert_string_not_equal(e.text, "");
	atomic_store(&is_memory_out, false);
	storage_call(h.storage, check_db, &check);
	assert_int_equal(storage_health(h.storage, NULL), ST_OK);
	assert_int_equal(check.traces, 300);
	assert_int_equal(check.charges, 300);
	assert_string_equal(check.first_problem, "");
	stop_house(&h);
}

/* ---- retention ---- */

static _Atomic int64_t day_ms;

static void
move_clock(struct moment *m)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	m->unix_ms = 1795363200000 + day_ms;
	m->mono_us = t.tv_sec * 1000000 + t.tv_nsec / 1000 + 1000 * day_ms;
}

static void
old_traces_go_and_their_money_stays(void **state)
{
	struct timespec tick = { 0, 2000000 };
	struct db_check check;
	struct house h;
	int64_t nano;

	(void)state;
	day_ms = 0;
	clock_set_source(move_clock);
	start_house(&h, 16 << 20);
	for (uint64_t i = 0; i < 3000; i++)
		write_request(h.spool[0], i, 11);
	storage_call(h.storage, check_db, &check);
	assert_int_equal(check.traces, 3000);
	storage_set_retention(h.storage, 86400000, 86400000);
	day_ms = 3 * 86400000;
	for (int i = 0; i < 2000; i++) {
		storage_call(h.storage, check_db, &check);
		if (check.traces == 0)
			break;
		(void)nanosleep(&tick, NULL);
	}
	assert_int_equal(check.traces, 0);
	assert_int_equal(check.charges, 0);
	assert_string_equal(check.first_problem, "");
	storage_call(h.storage, note_spent, &nano);
	assert_int_equal(nano, 3000 * 11);
	stop_house(&h);
}

/* ---- damage ---- */

/* A spool that a killed gateway left: `count` requests in one segment, of which the fifth
 * cost `fifth`. */
static void
write_segment(unsigned count, int64_t fifth)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	for (unsigned i = 0; i < count; i++) {
		int64_t cost = i == 4 ? fifth : 10;
		struct record_reserve r = make_reserve(i, 0);
		struct record_settle c = make_settle(i, 0, cost);
		struct record_trace t = make_trace(i, 1, cost);

		assert_true(record_put_reserve(&b, &r));
		assert_true(record_put_settle(&b, &c));
		assert_true(record_put_trace(&b, &t));
	}
	write_file(in_dir("data/spool/0.7.3"), b.ptr, b.len);
	buf_free(&b);
}

static void
leave_segment(unsigned count)
{
	assert_int_equal(mkdir(in_dir("data"), 0700), 0);
	assert_int_equal(mkdir(in_dir("data/spool"), 0700), 0);
	write_segment(count, 10);
}

static void
recover_and_check(struct db_check *check)
{
	struct storage *s;
	struct err e;

	s = open_storage(&e);
	assert_non_null(s);
	assert_int_equal(db_check(storage_db(s), check, &e), ST_OK);
	assert_string_equal(check->first_problem, "");
	assert_int_equal(check->open_reservations, 0);
	storage_stop(s);
	datadir_close(&dir);
}

static void
a_torn_tail_is_cut_wherever_it_is(void **state)
{
	struct db_check check;
	struct stat st;
	off_t whole;

	(void)state;
	leave_segment(3);
	assert_int_equal(stat(in_dir("data/spool/0.7.3"), &st), 0);
	whole = st.st_size;
	for (off_t cut = 0; cut < whole; cut += 37) {
		assert_int_equal(
		    nftw(in_dir("data"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
		leave_segment(3);
		assert_int_equal(truncate(in_dir("data/spool/0.7.3"), cut), 0);
		recover_and_check(&check);
		/* each request that was reserved is charged once and traced once */
		assert_int_equal(check.charges, check.traces);
		assert_int_equal(check.traces,
		    (3 * cut + whole / 3 * 2) / whole < 3 ? check.traces : 3);
		assert_int_equal(count_files(in_dir("data/spool")), 0);
	}
}

static void
zeros_behind_the_last_record_are_a_torn_tail(void **state)
{
	struct db_check check;
	struct stat st;

	(void)state;
	leave_segment(3);
	assert_int_equal(stat(in_dir("data/spool/0.7.3"), &st), 0);
	assert_int_equal(truncate(in_dir("data/spool/0.7.3"), st.st_size + 70000), 0);
	recover_and_check(&check);
	assert_int_equal(check.traces, 3);
	assert_int_equal(count_files(in_dir("data/spool")), 0);
}

static void
damage_in_the_middle_is_kept_aside(void **state)
{
	char bytes[65536];
	struct db_check check;
	size_t n, one, kept;

	(void)state;
	leave_segment(9);
	n = read_whole(in_dir("data/spool/0.7.3"), bytes, sizeof(bytes));
	one = n / 9;
	bytes[3 * one + 20] ^= 1;
	write_file(in_dir("data/spool/0.7.3"), bytes, n);
	recover_and_check(&check);
	assert_int_equal(check.traces, 3);
	assert_int_equal(check.charges, 3);
	assert_int_equal(count_files(in_dir("data/spool")), 1);
	kept = read_whole(in_dir("data/spool/0.7.3.damaged"), bytes, sizeof(bytes));
	assert_int_equal(kept, n - 3 * one);
	/* and the next start does not stumble over it */
	recover_and_check(&check);
	assert_int_equal(check.traces, 3);
}

static void
a_damaged_length_does_not_hide_what_follows(void **state)
{
	char bytes[65536];
	struct db_check check;
	size_t n, one;

	(void)state;
	leave_segment(9);
	n = read_whole(in_dir("data/spool/0.7.3"), bytes, sizeof(bytes));
	one = n / 9;
	/* the last request's first record claims more than is left */
	bytes[8 * one + 1] = 0x1f;
	write_file(in_dir("data/spool/0.7.3"), bytes, n);
	recover_and_check(&check);
	assert_int_equal(check.traces, 8);
	assert_int_equal(access(in_dir("data/spool/0.7.3.damaged"), F_OK), 0);
}

static void
a_segment_that_was_replayed_before_is_not_replayed_again(void **state)
{
	struct db_check check;
	char bytes[65536];
	size_t n;

	(void)state;
	leave_segment(9);
	n = read_whole(in_dir("data/spool/0.7.3"), bytes, sizeof(bytes));
	recover_and_check(&check);
	assert_int_equal(check.charges, 9);
	/* deleted, and then back after a power loss, with its position forgotten */
	write_file(in_dir("data/spool/0.7.3"), bytes, n);
	recover_and_check(&check);
	assert_int_equal(check.charges, 9);
	assert_int_equal(check.traces, 9);
}

/* ---- a run of segments ---- */

enum {
	CHAIN = 3,
	EACH = 3 /* requests of a segment */
};

static const char *const chain[CHAIN] = { "data/spool/0.7.3", "data/spool/0.7.4",
	"data/spool/0.7.5" };

static size_t
length_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(in_dir(name), &st), 0);
	return (size_t)st.st_size;
}

static void
put_request(struct buf *b, uint64_t number)
{
	struct record_reserve r = make_reserve(number, 0);
	struct record_settle c = make_settle(number, 0, 10);
	struct record_trace t = make_trace(number, 1, 10);

	assert_true(record_put_reserve(b, &r));
	assert_true(record_put_settle(b, &c));
	assert_true(record_put_trace(b, &t));
}

/* Three segments of one worker, each of which says how long the one before it is, and one
 * of its neighbour. */
static void
leave_chain(void)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_int_equal(mkdir(in_dir("data"), 0700), 0);
	assert_int_equal(mkdir(in_dir("data/spool"), 0700), 0);
	for (unsigned i = 0; i < CHAIN; i++) {
		struct record_follows follows = { .bytes = (int64_t)b.len };

		buf_reset(&b);
		if (i > 0)
			assert_true(record_put_follows(&b, &follows));
		for (unsigned k = 0; k < EACH; k++)
			put_request(&b, EACH * i + k);
		write_file(in_dir(chain[i]), b.ptr, b.len);
	}
	buf_reset(&b);
	put_request(&b, EACH * CHAIN);
	write_file(in_dir("data/spool/1.7.0"), b.ptr, b.len);
	buf_free(&b);
}

/* What follows what is lost is kept for a person, whole, and nobody is charged for it;
 * the next start does not come back to it. */
static void
assert_set_aside(int64_t traces, unsigned from, const size_t was[CHAIN])
{
	struct db_check check;
	char name[64];

	for (int start = 0; start < 2; start++) {
		recover_and_check(&check);
		assert_int_equal(check.traces, traces);
		assert_int_equal(check.charges, traces);
		assert_int_equal(count_files(in_dir("data/spool")), CHAIN - from);
		for (unsigned i = from; i < CHAIN; i++) {
			(void)snprintf(name, sizeof(name), "%s.damaged", chain[i]);
			assert_int_equal(length_of(name), was[i]);
		}
	}
}

static void
segments_that_follow_each_other_are_all_applied(void **state)
{
	struct db_check check;

	(void)state;
	leave_chain();
	recover_and_check(&check);
	assert_int_equal(check.traces, CHAIN * EACH + 1);
	assert_int_equal(check.charges, CHAIN * EACH + 1);
	assert_int_equal(count_files(in_dir("data/spool")), 0);
}

static void
all_that_follows_a_lost_end_is_set_aside(void **state)
{
	size_t was[CHAIN];

	(void)state;
	leave_chain();
	for (unsigned i = 0; i < CHAIN; i++)
		was[i] = length_of(chain[i]);
	/* the last request's trace is torn: its charge is known, so it gets one */
	assert_int_equal(truncate(in_dir(chain[0]), (off_t)was[0] - 5), 0);
	assert_set_aside(EACH + 1, 1, was);
}

static void
all_that_follows_a_lost_segment_is_set_aside(void **state)
{
	size_t was[CHAIN];

	(void)state;
	leave_chain();
	for (unsigned i = 0; i < CHAIN; i++)
		was[i] = length_of(chain[i]);
	assert_int_equal(unlink(in_dir(chain[1])), 0);
	assert_set_aside(EACH + 1, 2, was);
}

/* ---- a device that fails while a store recovers ---- */

static int reads_left; /* until one fails */
static int errno_of_read;

static ssize_t
bad_pread(int fd, void *p, size_t n, off_t at)
{
	if (reads_left-- != 0)
		return system_io.pread(fd, p, n, at);
	errno = errno_of_read;
	return -1;
}

static ssize_t
halting_pread(int fd, void *p, size_t n, off_t at)
{
	if (reads_left++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	return system_io.pread(fd, p, n < 700 ? n : 700, at);
}

static void
recovery_takes_what_comes_in_pieces(void **state)
{
	struct db_check check;

	(void)state;
	leave_chain();
	reads_left = 0;
	io.pread = halting_pread;
	recover_and_check(&check);
	assert_true(reads_left > 2 * (CHAIN + 1));
	assert_int_equal(check.traces, CHAIN * EACH + 1);
	assert_int_equal(count_files(in_dir("data/spool")), 0);
}

/* Whichever read fails: the start fails and names the segment, and the next one finds all
 * of it. */
static void
a_segment_that_cannot_be_read_stops_the_start_and_is_not_lost(void **state)
{
	struct db_check check;
	unsigned failed = 0;
	struct storage *s;

	(void)state;
	for (int k = 0;; k++) {
		struct storage_options o = { .data = &dir,
			.uncertain = DB_UNCERTAIN_INPUT,
			.content_queue_bytes = 1 << 20 };
		struct err e = { "" };

		leave_chain();
		reads_left = k;
		errno_of_read = EIO;
		io.pread = bad_pread;
		assert_int_equal(
		    datadir_open(in_dir("data"), DATADIR_SERVE, &dir, &e), ST_OK);
		s = storage_open(&o, &e);
		io.pread = system_io.pread;
		if (s != NULL)
			break;
		failed++;
		assert_non_null(strstr(e.text, ".7."));
		assert_non_null(strstr(e.text, "cannot be read at"));
		datadir_close(&dir);
		recover_and_check(&check);
		assert_int_equal(check.traces, CHAIN * EACH + 1);
		assert_int_equal(check.charges, CHAIN * EACH + 1);
		assert_int_equal(
		    nftw(in_dir("data"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	}
	storage_stop(s);
	datadir_close(&dir);
	assert_true(failed >= CHAIN + 1);
}

static int unlinks_left;

static int
bad_unlink(const char *path)
{
	if (strstr(path, "/spool/") == NULL || unlinks_left-- != 0)
		return system_io.unlink(path);
	errno = EPERM;
	return -1;
}

/* What was applied is not applied again, though its segment could not go. */
static void
a_segment_that_cannot_be_deleted_is_not_charged_twice(void **state)
{
	struct db_check check;

	(void)state;
	for (int k = 0; k < CHAIN + 1; k++) {
		struct storage_options o = { .data = &dir,
			.uncertain = DB_UNCERTAIN_INPUT,
			.content_queue_bytes = 1 << 20 };
		struct err e = { "" };

		leave_chain();
		unlinks_left = k;
		io.unlink = bad_unlink;
		assert_int_equal(
		    datadir_open(in_dir("data"), DATADIR_SERVE, &dir, &e), ST_OK);
		assert_null(storage_open(&o, &e));
		io.unlink = system_io.unlink;
		assert_non_null(strstr(e.text, "cannot be deleted"));
		datadir_close(&dir);
		recover_and_check(&check);
		assert_int_equal(check.traces, CHAIN * EACH + 1);
		assert_int_equal(check.charges, CHAIN * EACH + 1);
		assert_int_equal(count_files(in_dir("data/spool")), 0);
		assert_int_equal(
		    nftw(in_dir("data"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	}
}

/* ---- a record that is never accepted ---- */

/* As an operator's trigger, or an index gone bad, would. */
static void
refuse_some(void *arg, struct db *d)
{
	char path[600];
	sqlite3 *sql;

	(void)d;
	(void)snprintf(path, sizeof(path), "%s", in_dir("data/latenza.db"));
	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sql, arg, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(sql), SQLITE_OK);
}

static char refuse_charges[] = "CREATE TRIGGER no BEFORE INSERT ON charge WHEN "
			       "NEW.cost_nano_eur = 666 BEGIN SELECT "
			       "RAISE(ABORT, 'not this one'); END";
static char accept_charges[] = "DROP TRIGGER no";

static void
a_record_that_is_never_accepted_is_set_aside(void **state)
{
	int64_t refused = metric_sum(METRIC_DB_REFUSED);
	struct db_check check;
	struct house h;
	struct stat st;

	(void)state;
	start_house(&h, 16 << 20);
	storage_call(h.storage, refuse_some, refuse_charges);
	for (uint64_t i = 0; i < 100; i++)
		write_request(h.spool[i % WORKERS], i, i == 40 || i == 61 ? 666 : 5);
	storage_call(h.storage, check_db, &check);
	assert_int_equal(storage_health(h.storage, NULL), ST_OK);
	assert_string_equal(check.first_problem, "");
	assert_int_equal(check.traces, 100);
	assert_int_equal(check.charges, 98);
	assert_int_equal(metric_sum(METRIC_DB_REFUSED), refused + 2);
	assert_int_equal(stat(in_dir("data/spool/0.1.0.refused"), &st), 0);
	write_request(h.spool[0], 100, 5);
	storage_call(h.storage, check_db, &check);
	assert_int_equal(check.traces, 101);
	storage_call(h.storage, refuse_some, accept_charges);
	stop_house(&h);
	/* what was set aside is a segment: under a segment's name it is moved, too */
	assert_int_equal(
	    rename(in_dir("data/spool/0.1.0.refused"), in_dir("data/spool/0.1.0")), 0);
	assert_int_equal(
	    rename(in_dir("data/spool/1.1.0.refused"), in_dir("data/spool/1.1.0")), 0);
	recover_and_check(&check);
	assert_int_equal(check.charges, 101);
}

static void
recovery_sets_aside_what_is_never_accepted(void **state)
{
	struct db_check check;
	struct stat st;
	struct house h;

	(void)state;
	start_house(&h, 16 << 20);
	storage_call(h.storage, refuse_some, refuse_charges);
	stop_house(&h);
	write_segment(9, 666);
	recover_and_check(&check);
	/* the attempt whose settlement was refused is uncertain */
	assert_int_equal(check.charges, 9);
	assert_int_equal(check.traces, 9);
	assert_int_equal(stat(in_dir("data/spool/0.7.3.refused"), &st), 0);
}

/* ---- kill -9 ---- */

/* A worker's loop: each turn takes some requests a step further, flushes once, and then
 * tells. */
static void
work_turn(struct spool *s, struct life *lives, uint32_t *seed)
{
	enum known now[LIVES];

	for (int i = 0; i < LIVES; i++) {
		struct life *l = &lives[i];

		now[i] = NOTHING;
		if (l->turns-- > 0)
			continue;
		l->turns = dice(seed, 4);
		if (l->step == DONE)
			life_begin(l, seed);
		now[i] = step_request(s, l);
	}
	must(spool_flush(s) == ST_OK);
	for (int i = 0; i < LIVES; i++) {
		if (now[i] == NOTHING)
			continue;
		lives[i].step = (uint8_t)now[i];
		atomic_store(&notes->known[lives[i].number], (uint8_t)now[i]);
	}
}

/* Some of them have a pack of their own. */
static void
offer_text(struct storage *s, uint32_t *seed)
{
	static char text[100000];
	struct record_trace t = make_trace(dice(seed, 1000), 1, 0);

	memset(text, 'q', sizeof(text));
	(void)storage_offer_content(s, t.trace_id, t.at_unix_ms,
	    lz_strn(text, dice(seed, 50) == 0 ? sizeof(text) : 2000), STR_NONE, STR_NONE);
}

static _Noreturn void
live_until_killed(uint32_t seed)
{
	struct life lives[WORKERS][LIVES] = { 0 };
	struct house h;
	struct timespec rest = { 0, 50000 };

	start_house(&h, 30000);
	for (unsigned w = 0; w < WORKERS; w++) {
		for (int i = 0; i < LIVES; i++)
			lives[w][i].step = DONE;
	}
	for (;;) {
		for (unsigned w = 0; w < WORKERS; w++)
			work_turn(h.spool[w], lives[w], &seed);
		if (dice(&seed, 4) == 0)
			offer_text(h.storage, &seed);
		if (dice(&seed, 8) == 0)
			(void)nanosleep(&rest, NULL);
	}
}

static _Noreturn void
recover_until_killed(void)
{
	struct err e;
	struct storage *s = open_storage(&e);

	must(s != NULL);
	storage_stop(s);
	_exit(0);
}

static void
kill_after(pid_t pid, uint32_t us)
{
	struct timespec t = { 0, (long)us * 1000 };
	int status;

	assert_true(pid > 0);
	(void)nanosleep(&t, NULL);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		assert_int_equal(WTERMSIG(status), SIGKILL);
	else
		assert_int_equal(WEXITSTATUS(status), 0);
}

static int64_t
bytes_in(const char *path)
{
	char name[1024];
	struct dirent *entry;
	struct stat st;
	int64_t sum = 0;
	DIR *d = opendir(path);

	while (d != NULL && (entry = readdir(d)) != NULL) {
		(void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (stat(name, &st) == 0 && S_ISREG(st.st_mode))
			sum += st.st_size;
	}
	if (d != NULL)
		assert_int_equal(closedir(d), 0);
	return sum;
}

/* Rows and files of content say the same: no text is lost, none is unknown. */
static void
judge_content(struct db *d)
{
	const char *path = in_dir("data/latenza.db");
	struct db_check check;
	sqlite3_stmt *row;
	sqlite3 *sql;
	struct err e;

	assert_int_equal(db_check(d, &check, &e), ST_OK);
	assert_string_equal(check.first_problem, "");
	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(
			     sql, "SELECT sum(bytes) FROM content_pack", -1, &row, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	assert_int_equal(
	    sqlite3_column_int64(row, 0), bytes_in(in_dir("data/latenza.db-content")));
	assert_int_equal(sqlite3_finalize(row), SQLITE_OK);
	assert_int_equal(sqlite3_close(sql), SQLITE_OK);
}

static void
recover_and_judge(struct verdict *v)
{
	struct err e;
	struct storage *s = open_storage(&e);

	assert_non_null(s);
	judge(storage_db(s), v);
	judge_content(storage_db(s));
	storage_stop(s);
	datadir_close(&dir);
}

static unsigned
from_environment(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* Until the child's gateway works, or it ended: a slow machine, or a sanitizer, is given
 * its time. */
static void
await_work(pid_t pid, uint64_t requests_before)
{
	struct timespec rest = { 0, 500000 };
	siginfo_t ended = { 0 };

	while (atomic_load(&notes->next) == requests_before && ended.si_pid == 0) {
		(void)nanosleep(&rest, NULL);
		assert_int_equal(
		    waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
	}
}

static void
kill_9_at_any_instant_loses_nothing_and_charges_nothing_twice(void **state)
{
	unsigned kills = from_environment("LATENZA_KILLS", KILLS);
	uint32_t seed = from_environment("LATENZA_SEED", (uint32_t)time(NULL));
	struct verdict v = { 0 };
	pid_t pid;

	(void)state;
	notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(notes != MAP_FAILED);
	print_message("LATENZA_SEED=%u\n", seed);
	for (unsigned i = 0; i < kills && atomic_load(&notes->next) < REQUESTS * 3 / 4;
	     i++) {
		uint64_t before = atomic_load(&notes->next);

		pid = fork();
		if (pid == 0)
			live_until_killed(dice(&seed, 1 << 24));
		/* some are killed while they start */
		if (i % 4 != 0)
			await_work(pid, before);
		kill_after(pid, 5000 + dice(&seed, 30000));
		if (dice(&seed, 2) == 0) {
			pid = fork();
			if (pid == 0)
				recover_until_killed();
			kill_after(pid, dice(&seed, 25000));
		}
		if (i % 5 == 4 || i + 1 == kills)
			recover_and_judge(&v);
	}
	print_message("%llu requests: %u reserved, %u failed over, %u again, %u done\n",
	    (unsigned long long)v.requests, v.by_end[RESERVED], v.by_end[FAILED],
	    v.by_end[AGAIN], v.by_end[DONE]);
	assert_true(v.by_end[DONE] > 0);
	assert_int_equal(munmap(notes, sizeof(*notes)), 0);
}

/* ---- what it costs ---- */

static int64_t
cpu_us(int who)
{
	struct rusage u;

	assert_int_equal(getrusage(who, &u), 0);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
	       u.ru_stime.tv_usec;
}

/* `late`: how many requests a reservation is ahead of its settlement. */
static void
measure(const char *what, unsigned count, unsigned late, bool has_content)
{
	static char prompt[1024], answer[800];
	int64_t worker_us, all_us;
	struct db_check check;
	struct house h;
	struct err e;

	start_house(&h, 16 << 20);
	all_us = cpu_us(RUSAGE_SELF);
	worker_us = cpu_us(RUSAGE_THREAD);
	for (unsigned i = 0; i < count + late; i++) {
		struct record_reserve r = make_reserve(i, 0);
		struct record_settle c = make_settle(i - late, 0, 10);
		struct record_trace t = make_trace(i - late, 1, 10);

		if (i < count)
			assert_int_equal(spool_reserve(h.spool[0], &r), ST_OK);
		if (i >= late) {
			assert_int_equal(spool_settle(h.spool[0], &c), ST_OK);
			assert_int_equal(spool_trace(h.spool[0], &t), ST_OK);
			if (has_content)
				assert_true(storage_offer_content(h.storage, t.trace_id,
				    t.at_unix_ms, lz_strn(prompt, sizeof(prompt)),
				    lz_strn(answer, sizeof(answer)), STR_NONE));
		}
		/* a loop turn that carries eight requests */
		if (i % 8 == 7)
			assert_int_equal(spool_flush(h.spool[0]), ST_OK);
		/* 20,000 requests a second at most, so that batches have the size they
		 * have in life */
		if (i % 1000 == 999)
			(void)usleep(50000);
	}
	assert_int_equal(spool_flush(h.spool[0]), ST_OK);
	worker_us = cpu_us(RUSAGE_THREAD) - worker_us;
	storage_call(h.storage, note_spent, &(int64_t){ 0 });
	all_us = cpu_us(RUSAGE_SELF) - all_us;
	print_message("%s: worker %.2f us, storage %.2f us of CPU per request\n", what,
	    (double)worker_us / count, (double)(all_us - worker_us) / count);
	stop_house(&h);
	h.storage = open_storage(&e);
	assert_int_equal(db_check(storage_db(h.storage), &check, &e), ST_OK);
	assert_int_equal(check.charges, count);
	storage_stop(h.storage);
	datadir_close(&dir);
}

static void
cost_of_a_short_request(void **state)
{
	unsigned count = from_environment("LATENZA_BENCH", 0);

	(void)state;
	if (count == 0)
		skip();
	sync_ms = 50;
	batch_ms = 100;
	measure("settled in the batch of its reservation", count, 0, false);
}

static void
cost_of_content(void **state)
{
	unsigned count = from_environment("LATENZA_BENCH", 0);

	(void)state;
	if (count == 0)
		skip();
	sync_ms = 50;
	batch_ms = 100;
	queue_bytes = 32 << 20;
	measure("the same with 1,824 bytes of content", count, 0, true);
}

static void
cost_of_a_long_request(void **state)
{
	unsigned count = from_environment("LATENZA_BENCH", 0);

	(void)state;
	if (count == 0)
		skip();
	measure("settled in a later batch", count, 5000, false);
}

#define TEST(name)                                                                       \
	cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_flushed_is_in_the_database_when_a_call_runs),
		TEST(stopping_leaves_an_empty_spool_and_no_log),
		TEST(finished_segments_are_deleted_while_the_gateway_runs),
		TEST(spend_is_there_after_a_restart),
		TEST(content_arrives_and_a_full_queue_says_no),
		TEST(a_failing_database_is_tried_again_and_told),
		TEST(old_traces_go_and_their_money_stays),
		TEST(a_torn_tail_is_cut_wherever_it_is),
		TEST(zeros_behind_the_last_record_are_a_torn_tail),
		TEST(damage_in_the_middle_is_kept_aside),
		TEST(a_damaged_length_does_not_hide_what_follows),
		TEST(a_segment_that_was_replayed_before_is_not_replayed_again),
		TEST(segments_that_follow_each_other_are_all_applied),
		TEST(all_that_follows_a_lost_end_is_set_aside),
		TEST(all_that_follows_a_lost_segment_is_set_aside),
		TEST(recovery_takes_what_comes_in_pieces),
		TEST(a_segment_that_cannot_be_read_stops_the_start_and_is_not_lost),
		TEST(a_segment_that_cannot_be_deleted_is_not_charged_twice),
		TEST(a_record_that_is_never_accepted_is_set_aside),
		TEST(recovery_sets_aside_what_is_never_accepted),
		TEST(kill_9_at_any_instant_loses_nothing_and_charges_nothing_twice),
		TEST(cost_of_a_short_request),
		TEST(cost_of_content),
		TEST(cost_of_a_long_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
