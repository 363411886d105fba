/* test_spool.c - the append-only file, and what it does when the device does not.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store_fixture.h"

#include <errno.h>

#include "base/mem.h"
#include "base/metric.h"
#include "store/spool.h"

static struct spool *spool;

/* What the device does from now on: each write fails (error), or takes at most `most`
 * bytes. */
static struct {
	int write_error, truncate_error, sync_error, open_error;
	size_t most;
	int writes, interrupts, syncs;
} device;

static ssize_t
bad_write(int fd, const void *p, size_t n)
{
	device.writes++;
	if (device.interrupts > 0) {
		device.interrupts--;
		errno = EINTR;
		return -1;
	}
	/* A full disk takes some and refuses the rest. */
	if (device.write_error != 0 && device.most == 0) {
		errno = device.write_error;
		return -1;
	}
	if (device.most > 0 && n > device.most)
		n = device.most;
	if (device.write_error != 0)
		device.most = 0;
	return system_io.write(fd, p, n);
}

static int
bad_ftruncate(int fd, off_t n)
{
	if (device.truncate_error != 0) {
		errno = device.truncate_error;
		return -1;
	}
	return system_io.ftruncate(fd, n);
}

static int
bad_fdatasync(int fd)
{
	device.syncs++;
	if (device.sync_error != 0) {
		errno = device.sync_error;
		return -1;
	}
	return system_io.fdatasync(fd);
}

static int
bad_open(const char *path, int flags, mode_t mode)
{
	if (device.open_error != 0 && (flags & O_CREAT) != 0) {
		errno = device.open_error;
		return -1;
	}
	return system_io.open(path, flags, mode);
}

static int64_t now_us;

static void
test_clock(struct moment *m)
{
	m->mono_us = now_us;
	m->unix_ms = 0;
}

static int
set_up_sized(size_t segment_bytes, size_t buffer_bytes)
{
	struct spool_options o = {
		.dir = test_dir,
		.worker = 4,
		.boot = 17,
		.segment_bytes = segment_bytes,
		.buffer_bytes = buffer_bytes,
	};
	struct err e;

	memset(&device, 0, sizeof(device));
	now_us = 1000000;
	clock_set_source(test_clock);
	io.write = bad_write;
	io.ftruncate = bad_ftruncate;
	io.fdatasync = bad_fdatasync;
	io.open = bad_open;
	spool = spool_open(&o, &e);
	return spool == NULL;
}

static int
set_up(void **state)
{
	return fixture_set_up(state) != 0 || set_up_sized(16 << 20, 1 << 20) != 0;
}

static int
set_up_small_segments(void **state)
{
	return fixture_set_up(state) != 0 || set_up_sized(800, 1 << 20) != 0;
}

static int
set_up_small_buffer(void **state)
{
	return fixture_set_up(state) != 0 || set_up_sized(16 << 20, 2000) != 0;
}

static int
tear_down(void **state)
{
	memset(&device, 0, sizeof(device));
	spool_close(spool);
	return fixture_tear_down(state);
}

static enum status
reserve(uint64_t number)
{
	struct record_reserve r = make_reserve(number, 0);

	return spool_reserve(spool, &r);
}

static enum status
settle(uint64_t number)
{
	struct record_settle s = make_settle(number, 0, 5);

	return spool_settle(spool, &s);
}

static enum status
trace(uint64_t number)
{
	struct record_trace t = make_trace(number, 1, 5);

	return spool_trace(spool, &t);
}

/* "R1 S1 T1 " of a file, by type and number, "F800 " of a segment that follows one of 800
 * bytes; every byte must belong to a record. */
static const char *
letters(const char *name)
{
	static const char letter[] = "?RSTF";
	static char text[4000], room[1 << 20];
	size_t n = read_whole(in_dir(name), room, sizeof(room)), used, at = 0;
	lz_str rest = lz_strn(room, n);
	struct record r;

	text[0] = '\0';
	while (rest.len > 0) {
		assert_int_equal(record_get(rest, &r, &used), ST_OK);
		/* the id comes first in every record */
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%c%u ",
		    letter[r.type],
		    r.type == RECORD_FOLLOWS ? (unsigned)r.follows.bytes
					     : r.reserve.trace_id[15]);
		rest = str_cut(rest, used, rest.len);
	}
	return text;
}

static void
what_is_flushed_is_in_the_file_and_nothing_else(void **state)
{
	uint64_t bytes;
	uint32_t seq;
	struct stat st;

	(void)state;
	assert_int_equal(reserve(1), ST_OK);
	assert_string_equal(letters("4.17.0"), "");
	assert_true(spool_has_unwritten(spool));
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_false(spool_has_unwritten(spool));
	assert_int_equal(settle(1), ST_OK);
	assert_int_equal(trace(1), ST_OK);
	assert_string_equal(letters("4.17.0"), "R1 ");
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_string_equal(letters("4.17.0"), "R1 S1 T1 ");
	spool_position(spool, &seq, &bytes);
	assert_int_equal(stat(in_dir("4.17.0"), &st), 0);
	assert_int_equal(seq, 0);
	assert_int_equal(bytes, st.st_size);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
a_turn_is_one_write_and_an_empty_turn_is_none(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 50; i++) {
		assert_int_equal(settle(i), ST_OK);
		assert_int_equal(trace(i), ST_OK);
	}
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_int_equal(device.writes, 1);
}

static void
an_interrupted_or_short_write_goes_on(void **state)
{
	(void)state;
	device.interrupts = 3;
	device.most = 100;
	assert_int_equal(reserve(1), ST_OK);
	assert_int_equal(settle(2), ST_OK);
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_string_equal(letters("4.17.0"), "R1 S2 ");
}

static void
a_full_device_undoes_the_write_and_drops_reservations_only(void **state)
{
	uint64_t before, after;
	uint32_t seq;

	(void)state;
	assert_int_equal(settle(1), ST_OK);
	assert_int_equal(spool_flush(spool), ST_OK);
	spool_position(spool, &seq, &before);
	device.write_error = ENOSPC;
	device.most = 150;
	assert_int_equal(reserve(2), ST_OK);
	assert_int_equal(settle(3), ST_OK);
	assert_int_equal(reserve(4), ST_OK);
	assert_int_equal(trace(3), ST_OK);
	assert_int_equal(spool_flush(spool), ST_FULL);
	assert_string_equal(letters("4.17.0"), "S1 ");
	spool_position(spool, &seq, &after);
	assert_int_equal(before, after);
	assert_true(spool_has_unwritten(spool));
	now_us += 100000;
	assert_int_equal(spool_flush(spool), ST_FULL);
	device.write_error = 0;
	now_us += 100000;
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_string_equal(letters("4.17.0"), "S1 S3 T3 ");
}

static void
a_failing_device_says_io(void **state)
{
	int64_t failures = metric_sum(METRIC_SPOOL_FAILURES);

	(void)state;
	device.write_error = EIO;
	assert_int_equal(trace(1), ST_OK);
	assert_int_equal(spool_health(spool), ST_OK);
	assert_int_equal(spool_flush(spool), ST_IO);
	assert_int_equal(spool_health(spool), ST_IO);
	device.write_error = EDQUOT;
	now_us += 100000;
	assert_int_equal(spool_flush(spool), ST_FULL);
	assert_int_equal(metric_sum(METRIC_SPOOL_FAILURES), failures + 2);
}

static void
while_the_device_fails_reservations_are_refused_and_one_probes_it(void **state)
{
	(void)state;
	device.write_error = ENOSPC;
	assert_int_equal(reserve(1), ST_OK);
	assert_int_equal(spool_flush(spool), ST_FULL);
	assert_false(spool_has_unwritten(spool));
	assert_int_equal(reserve(2), ST_FULL);
	assert_int_equal(settle(9), ST_OK);
	assert_int_equal(spool_flush(spool), ST_FULL);
	now_us += 99999;
	assert_int_equal(reserve(3), ST_FULL);
	now_us += 1;
	assert_int_equal(reserve(4), ST_OK);
	assert_int_equal(spool_flush(spool), ST_FULL);
	assert_int_equal(reserve(5), ST_FULL);
	now_us += 100000;
	device.write_error = 0;
	assert_int_equal(reserve(6), ST_OK);
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_int_equal(reserve(7), ST_OK);
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_string_equal(letters("4.17.0"), "S9 R6 R7 ");
}

static void
a_device_that_fails_is_not_tried_at_every_turn(void **state)
{
	(void)state;
	device.write_error = ENOSPC;
	assert_int_equal(settle(1), ST_OK);
	assert_int_equal(spool_flush(spool), ST_FULL);
	device.writes = 0;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(spool_flush(spool), ST_FULL);
	assert_int_equal(device.writes, 0);
	device.write_error = 0;
	spool_retry(spool);
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_int_equal(spool_health(spool), ST_OK);
	assert_string_equal(letters("4.17.0"), "S1 ");
}

/* Requests that are refused meanwhile leave traces, and may be many. */
static void
while_the_device_fails_settlements_keep_their_place(void **state)
{
	struct record_trace refused = make_trace(1, 1, 0);
	unsigned traces = 0, settled = 0;

	(void)state;
	device.write_error = ENOSPC;
	assert_int_equal(settle(1), ST_OK);
	assert_int_equal(spool_flush(spool), ST_FULL);
	while (spool_trace(spool, &refused) == ST_OK)
		traces++;
	assert_int_equal(spool_trace(spool, &refused), ST_FULL);
	while (settle(2) == ST_OK && trace(2) == ST_OK)
		settled++;
	assert_true(traces > 0 && settled > 0);
	device.write_error = 0;
	now_us += 100000;
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_int_equal(spool_trace(spool, &refused), ST_OK);
}

static void
nothing_is_written_behind_a_tail_that_cannot_be_cut(void **state)
{
	(void)state;
	device.write_error = EIO;
	device.most = 150;
	device.truncate_error = EIO;
	assert_int_equal(settle(1), ST_OK);
	assert_int_equal(spool_flush(spool), ST_IO);
	device.write_error = 0;
	now_us += 100000;
	assert_int_equal(spool_flush(spool), ST_IO);
	device.truncate_error = 0;
	now_us += 100000;
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_string_equal(letters("4.17.0"), "S1 ");
}

static void
a_full_buffer_refuses_and_takes_again_after_a_flush(void **state)
{
	unsigned taken = 0;

	(void)state;
	while (settle(taken) == ST_OK)
		taken++;
	assert_true(taken > 3);
	assert_int_equal(settle(taken), ST_NOMEM);
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_int_equal(settle(taken), ST_OK);
}

/* Fails every allocation. */
static int
no_memory(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return 1;
}

static void
what_a_turn_settles_and_traces_needs_no_memory(void **state)
{
	(void)state;
	mem_set_fault(no_memory, NULL);
	for (unsigned i = 1; i <= 20; i++) {
		assert_int_equal(reserve(i), ST_OK);
		assert_int_equal(settle(i), ST_OK);
		assert_int_equal(trace(i), ST_OK);
	}
	assert_int_equal(spool_flush(spool), ST_OK);
	mem_set_fault(NULL, NULL);
}

static struct record_trace
make_retold(uint64_t number)
{
	struct record_trace t = make_trace(number, 1, 5);

	t.status = 503;
	t.code = STR_LIT("storage_full");
	return t;
}

static int
status_in_file(uint64_t number)
{
	static char room[1 << 20];
	size_t n = read_whole(in_dir("4.17.0"), room, sizeof(room)), used;
	int status = -1;
	struct record r;

	for (lz_str rest = lz_strn(room, n); rest.len > 0;
	     rest = str_cut(rest, used, rest.len)) {
		assert_int_equal(record_get(rest, &r, &used), ST_OK);
		if (r.type == RECORD_TRACE && r.trace.trace_id[15] == number)
			status = r.trace.status;
	}
	return status;
}

static void
a_trace_that_waits_is_told_anew_and_one_that_was_written_is_not(void **state)
{
	struct record_trace of_1 = make_retold(1), of_2 = make_retold(2);

	(void)state;
	assert_int_equal(trace(1), ST_OK);
	assert_int_equal(spool_flush(spool), ST_OK);
	device.write_error = ENOSPC;
	assert_int_equal(settle(2), ST_OK);
	assert_int_equal(trace(2), ST_OK);
	assert_int_equal(settle(3), ST_OK);
	assert_int_equal(trace(3), ST_OK);
	assert_int_equal(spool_flush(spool), ST_FULL);
	assert_int_equal(spool_retrace(spool, &of_1), ST_NOT_FOUND);
	assert_int_equal(spool_retrace(spool, &of_2), ST_OK);
	device.write_error = 0;
	now_us += 100000;
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_string_equal(letters("4.17.0"), "T1 S2 S3 T3 T2 ");
	assert_int_equal(status_in_file(1), 200);
	assert_int_equal(status_in_file(2), 503);
	assert_int_equal(status_in_file(3), 200);
}

/* It stays as it was where there is no room for another one. */
static void
a_trace_that_cannot_be_told_anew_stays(void **state)
{
	struct record_trace anew = make_retold(1);

	(void)state;
	assert_int_equal(trace(1), ST_OK);
	while (settle(2) == ST_OK)
		;
	assert_int_equal(spool_retrace(spool, &anew), ST_NOMEM);
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_int_equal(status_in_file(1), 200);
}

static void
a_record_that_is_too_large_is_our_callers_fault(void **state)
{
	static char room[9000];
	struct record_reserve r = make_reserve(1, 0);

	(void)state;
	memset(room, 'k', sizeof(room));
	r.key = lz_strn(room, sizeof(room));
	assert_int_equal(spool_reserve(spool, &r), ST_INVALID);
	assert_int_equal(reserve(1), ST_OK);
}

static void
a_full_segment_is_followed_by_the_next(void **state)
{
	struct segment name;
	uint64_t bytes;
	uint32_t seq;

	(void)state;
	for (uint64_t i = 1; i <= 3; i++) {
		for (int k = 0; k < 4; k++)
			assert_int_equal(settle(i), ST_OK);
		assert_int_equal(spool_flush(spool), ST_OK);
	}
	assert_string_equal(letters("4.17.0"), "S1 S1 S1 S1 ");
	assert_string_equal(letters("4.17.1"), "F868 S2 S2 S2 S2 ");
	assert_string_equal(letters("4.17.2"), "F885 S3 S3 S3 S3 ");
	spool_position(spool, &seq, &bytes);
	assert_int_equal(seq, 2);
	spool_segment(spool, seq, &name);
	assert_int_equal(name.worker, 4);
	assert_int_equal(name.boot, 17);
	assert_int_equal(name.seq, 2);
	device.syncs = 0;
	assert_int_equal(spool_sync(spool), ST_OK);
	assert_int_equal(device.syncs, 3);
	assert_int_equal(spool_sync(spool), ST_OK);
	assert_int_equal(device.syncs, 4);
}

static void
without_a_next_segment_the_old_one_grows(void **state)
{
	(void)state;
	for (int k = 0; k < 4; k++)
		assert_int_equal(settle(1), ST_OK);
	assert_int_equal(spool_flush(spool), ST_OK);
	device.open_error = EMFILE;
	assert_int_equal(settle(2), ST_OK);
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_string_equal(letters("4.17.0"), "S1 S1 S1 S1 S2 ");
	device.open_error = 0;
	assert_int_equal(settle(3), ST_OK);
	assert_int_equal(spool_flush(spool), ST_OK);
	assert_string_equal(letters("4.17.1"), "F1085 S3 ");
}

static void
many_segments_between_two_syncs_are_all_synced(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 40; i++) {
		for (int k = 0; k < 4; k++)
			assert_int_equal(settle(i), ST_OK);
		assert_int_equal(spool_flush(spool), ST_OK);
	}
	assert_int_equal(spool_sync(spool), ST_OK);
	assert_int_equal(device.syncs, 40);
}

static void
a_sync_that_fails_says_so(void **state)
{
	(void)state;
	assert_int_equal(settle(1), ST_OK);
	assert_int_equal(spool_flush(spool), ST_OK);
	device.sync_error = EIO;
	assert_int_equal(spool_sync(spool), ST_IO);
	device.sync_error = 0;
	assert_int_equal(spool_sync(spool), ST_OK);
}

static void
a_segment_that_exists_is_never_written_over(void **state)
{
	struct spool_options o = {
		.dir = test_dir,
		.worker = 4,
		.boot = 17,
		.segment_bytes = 1000,
		.buffer_bytes = 1000,
	};
	struct err e;

	(void)state;
	assert_null(spool_open(&o, &e));
	assert_non_null(strstr(e.text, "4.17.0"));
	assert_non_null(strstr(e.text, "File exists"));
}

static void
a_name_is_a_segment_only_if_it_is_written_as_one(void **state)
{
	static const char *const bad[] = { "", "4", "4.17", "4.17.", "4.17.0.1",
		"4.17.00", "04.17.0", "-4.17.0", "4.17.0 ", "4.17.x", "4.17.0.damaged",
		".17.0", "4294967296.1.1", "1.99999999999999999999.1" };
	struct segment s;

	(void)state;
	assert_true(segment_parse("4.17.0", &s));
	assert_int_equal(s.boot, 17);
	assert_true(segment_parse("4294967295.9223372036854775807.4294967295", &s));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(segment_parse(bad[i], &s));
}

static void
segments_are_listed_boot_by_boot_and_in_order(void **state)
{
	static const char *const files[] = { "1.18.10", "1.18.9", "0.18.2", "5.3.1",
		"notes", "0.18.1.damaged" };
	static const char *const order[] = { "5.3.1", "4.17.0", "0.18.2", "1.18.9",
		"1.18.10" };
	char name[SEGMENT_NAME_BYTES];
	struct segment *list;
	struct err e;
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		write_file(in_dir(files[i]), "", 0);
	assert_int_equal(segment_list(test_dir, &list, &count, &e), ST_OK);
	assert_int_equal(count, 5);
	for (size_t i = 0; i < count; i++) {
		segment_name(&list[i], name);
		assert_string_equal(name, order[i]);
	}
	mem_free(list);
	assert_int_equal(segment_list(in_dir("absent"), &list, &count, &e), ST_IO);
	assert_non_null(strstr(e.text, "absent"));
}

#define TEST_WITH(name, up) cmocka_unit_test_setup_teardown(name, up, tear_down)
#define TEST(name)          TEST_WITH(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_flushed_is_in_the_file_and_nothing_else),
		TEST(a_turn_is_one_write_and_an_empty_turn_is_none),
		TEST(an_interrupted_or_short_write_goes_on),
		TEST(a_full_device_undoes_the_write_and_drops_reservations_only),
		TEST(a_failing_device_says_io),
		TEST(while_the_device_fails_reservations_are_refused_and_one_probes_it),
		TEST(a_device_that_fails_is_not_tried_at_every_turn),
		TEST_WITH(while_the_device_fails_settlements_keep_their_place,
		    set_up_small_buffer),
		TEST(nothing_is_written_behind_a_tail_that_cannot_be_cut),
		TEST_WITH(a_full_buffer_refuses_and_takes_again_after_a_flush,
		    set_up_small_buffer),
		TEST(what_a_turn_settles_and_traces_needs_no_memory),
		TEST(a_trace_that_waits_is_told_anew_and_one_that_was_written_is_not),
		TEST_WITH(a_trace_that_cannot_be_told_anew_stays, set_up_small_buffer),
		TEST(a_record_that_is_too_large_is_our_callers_fault),
		TEST_WITH(a_full_segment_is_followed_by_the_next, set_up_small_segments),
		TEST_WITH(
		    without_a_next_segment_the_old_one_grows, set_up_small_segments),
		TEST_WITH(many_segments_between_two_syncs_are_all_synced,
		    set_up_small_segments),
		TEST(a_sync_that_fails_says_so),
		TEST(a_segment_that_exists_is_never_written_over),
		TEST(a_name_is_a_segment_only_if_it_is_written_as_one),
		TEST(segments_are_listed_boot_by_boot_and_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
