/* test_datadir.c - one process per data directory, a number per start, and the keyring.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store_fixture.h"

#include <errno.h>
#include <sys/wait.h>

#include "store/datadir.h"
#include "store/db.h"
#include "store/file.h"

static struct datadir dir;
static struct err e;

static enum status
open_dir(const char *name)
{
	return datadir_open(in_dir(name), DATADIR_SERVE, &dir, &e);
}

static void
assert_said(const char *part)
{
	if (strstr(e.text, part) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", part, e.text);
}

static mode_t
mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(in_dir(name), &st), 0);
	return st.st_mode & 07777;
}

static void
what_is_missing_is_made_for_the_owner_alone(void **state)
{
	mode_t was = umask(0);

	(void)state;
	assert_int_equal(open_dir("a/b/data//"), ST_OK);
	(void)umask(was);
	assert_string_equal(dir.path, in_dir("a/b/data"));
	assert_int_equal(mode_of("a/b"), 0700);
	assert_int_equal(mode_of("a/b/data"), 0700);
	assert_int_equal(mode_of("a/b/data/spool"), 0700);
	assert_int_equal(mode_of("a/b/data/boot"), 0600);
	assert_int_equal(mode_of("a/b/data/latenza.lock"), 0600);
	datadir_close(&dir);
}

static void
every_start_has_a_higher_number(void **state)
{
	(void)state;
	for (uint64_t i = 1; i < 4; i++) {
		assert_int_equal(open_dir("data"), ST_OK);
		assert_int_equal(dir.boot, i);
		datadir_close(&dir);
	}
}

static void
a_lost_number_is_counted_on_from_the_spool(void **state)
{
	(void)state;
	assert_int_equal(open_dir("data"), ST_OK);
	datadir_close(&dir);
	write_file(in_dir("data/spool/2.41.0"), "", 0);
	assert_int_equal(unlink(in_dir("data/boot")), 0);
	assert_int_equal(open_dir("data"), ST_OK);
	assert_int_equal(dir.boot, 42);
	datadir_close(&dir);
}

static void
a_number_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = { "", "x\n", "-1\n", "12 \n", "1\n2\n",
		"99999999999999999999\n",
		"a line that is far longer than any number could ever be" };

	(void)state;
	assert_int_equal(open_dir("data"), ST_OK);
	datadir_close(&dir);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		write_file(in_dir("data/boot"), bad[i], strlen(bad[i]));
		assert_int_not_equal(open_dir("data"), ST_OK);
		assert_said("data/boot");
	}
}

static int
wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
a_second_process_is_told_who_has_it(void **state)
{
	char pid_text[32];
	pid_t pid;

	(void)state;
	assert_int_equal(open_dir("data"), ST_OK);
	(void)snprintf(pid_text, sizeof(pid_text), "process %ld ", (long)getpid());
	pid = fork();
	if (pid == 0) {
		struct datadir other;
		enum datadir_use uses[] = { DATADIR_SERVE, DATADIR_COMMAND };

		for (int i = 0; i < 2; i++) {
			if (datadir_open(in_dir("data"), uses[i], &other, &e) !=
			    ST_EXISTS)
				_exit(1);
			if (strstr(e.text, pid_text) == NULL)
				_exit(2);
		}
		_exit(0);
	}
	assert_int_equal(wait_for(pid), 0);
	datadir_close(&dir);
	assert_int_equal(datadir_open(in_dir("data"), DATADIR_COMMAND, &dir, &e), ST_OK);
	assert_int_equal(dir.boot, 0);
	datadir_close(&dir);
}

static void
a_command_makes_no_directory(void **state)
{
	(void)state;
	assert_int_equal(
	    datadir_open(in_dir("absent"), DATADIR_COMMAND, &dir, &e), ST_NOT_FOUND);
	assert_said("absent");
	assert_int_equal(access(in_dir("absent"), F_OK), -1);
}

static void
a_directory_that_others_may_write_to_is_refused(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_dir("data"), 0700), 0);
	assert_int_equal(chmod(in_dir("data"), 0777), 0);
	assert_int_equal(open_dir("data"), ST_DENIED);
	assert_said("0777");
	assert_said("chmod o-w");
}

static void
a_path_that_is_no_directory_is_told(void **state)
{
	char path[5000];

	(void)state;
	write_file(in_dir("file"), "", 0);
	assert_int_equal(open_dir("file"), ST_INVALID);
	assert_said("not a directory");
	assert_int_equal(open_dir("file/data"), ST_IO);
	assert_said("Not a directory");
	assert_int_equal(datadir_open("", DATADIR_SERVE, &dir, &e), ST_INVALID);
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(datadir_open(path, DATADIR_SERVE, &dir, &e), ST_LIMIT);
	assert_said("4999");
}

static int
full_fsync(int fd)
{
	(void)fd;
	errno = ENOSPC;
	return -1;
}

static void
a_start_whose_number_cannot_be_kept_is_none(void **state)
{
	(void)state;
	assert_int_equal(open_dir("data"), ST_OK);
	datadir_close(&dir);
	io.fsync = full_fsync;
	assert_int_equal(open_dir("data"), ST_IO);
	assert_said("boot.new");
	assert_said("No space left");
	io = system_io;
	assert_int_equal(open_dir("data"), ST_OK);
	assert_int_equal(dir.boot, 2);
	datadir_close(&dir);
}

/* ---- small files, whatever fails ---- */

static unsigned turn; /* of the calls that go wrong now and then */

static ssize_t
halting_write(int fd, const void *p, size_t n)
{
	if (turn++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	return system_io.write(fd, p, n > 1 ? 1 : n);
}

static ssize_t
halting_read(int fd, void *p, size_t n)
{
	if (turn++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	return system_io.read(fd, p, n > 1 ? 1 : n);
}

static ssize_t
full_write(int fd, const void *p, size_t n)
{
	if (turn++ == 0)
		return system_io.write(fd, p, n - 1);
	errno = ENOSPC;
	return -1;
}

static ssize_t
no_write(int fd, const void *p, size_t n)
{
	(void)fd;
	(void)p;
	(void)n;
	return 0;
}

static ssize_t
bad_read(int fd, void *p, size_t n)
{
	(void)fd;
	(void)p;
	(void)n;
	errno = EIO;
	return -1;
}

static int
bad_close(int fd)
{
	(void)system_io.close(fd);
	errno = EIO;
	return -1;
}

static int
bad_rename(const char *from, const char *to)
{
	(void)from;
	(void)to;
	errno = EPERM;
	return -1;
}

static int
bad_unlink(const char *path)
{
	(void)path;
	errno = EACCES;
	return -1;
}

static void
assert_file(const char *name, const char *text)
{
	char bytes[100];
	size_t n = 0;

	assert_int_equal(
	    file_read(in_dir(name), bytes, sizeof(bytes), &n, NULL, &e), ST_OK);
	assert_true(str_is(lz_strn(bytes, n), text));
}

static void
a_file_that_cannot_be_replaced_is_as_it_was(void **state)
{
	static const struct {
		const char *said;
		enum status st;
		struct io_calls bad;
	} rows[] = {
		{ "No space left", ST_FULL, { .write = full_write } },
		{ "nothing was taken", ST_FULL, { .write = no_write } },
		{ "fsync: No space left", ST_IO, { .fsync = full_fsync } },
		{ "close: ", ST_IO, { .close = bad_close } },
		{ "cannot be replaced", ST_IO, { .rename = bad_rename } },
		{ "cannot be removed", ST_IO, { .unlink = bad_unlink } },
	};

	(void)state;
	assert_int_equal(mkdir(in_dir("d"), 0700), 0);
	assert_int_equal(file_replace(in_dir("d"), "f", "old", 3, &e), ST_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct io_calls *bad = &rows[i].bad;

		turn = 0;
		io.write = bad->write != NULL ? bad->write : io.write;
		io.fsync = bad->fsync != NULL ? bad->fsync : io.fsync;
		io.close = bad->close != NULL ? bad->close : io.close;
		io.rename = bad->rename != NULL ? bad->rename : io.rename;
		io.unlink = bad->unlink != NULL ? bad->unlink : io.unlink;
		e.text[0] = '\0';
		assert_int_equal(
		    file_replace(in_dir("d"), "f", "newer", 5, &e), rows[i].st);
		io = system_io;
		assert_said(rows[i].said);
		assert_file("d/f", "old");
		assert_int_equal(count_files(in_dir("d")), 1);
	}
	/* a left-over of a start that was killed is in nobody's way */
	write_file(in_dir("d/f.new"), "half", 4);
	assert_int_equal(file_replace(in_dir("d"), "f", "newer", 5, &e), ST_OK);
	assert_file("d/f", "newer");
	assert_int_equal(count_files(in_dir("d")), 1);
}

static void
a_small_file_is_whole_though_it_comes_and_goes_byte_by_byte(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_dir("d"), 0700), 0);
	turn = 0;
	io.write = halting_write;
	io.read = halting_read;
	assert_int_equal(file_replace(in_dir("d"), "f", "text", 4, &e), ST_OK);
	assert_true(turn >= 8);
	assert_file("d/f", "text");
	assert_true(turn >= 16);
}

static void
a_file_that_cannot_be_read_or_is_too_large_is_told(void **state)
{
	char bytes[4];
	size_t n;

	(void)state;
	write_file(in_dir("f"), "text", 4);
	io.read = bad_read;
	assert_int_equal(
	    file_read(in_dir("f"), bytes, sizeof(bytes), &n, NULL, &e), ST_IO);
	assert_said("cannot be read");
	io = system_io;
	assert_int_equal(file_read(in_dir("f"), bytes, 3, &n, NULL, &e), ST_LIMIT);
	assert_said("larger than the 3 bytes");
	assert_int_equal(
	    file_read(in_dir("f"), bytes, sizeof(bytes), &n, NULL, &e), ST_OK);
}

static void
a_file_name_that_does_not_fit_is_told(void **state)
{
	char out[40];

	(void)state;
	assert_int_equal(open_dir("data"), ST_OK);
	assert_int_equal(
	    datadir_file(&dir, "a-name-that-is-too-long-for-it", out, sizeof(out)),
	    ST_LIMIT);
	datadir_close(&dir);
}

/* ---- keyring ---- */

static int
set_up_open(void **state)
{
	return fixture_set_up(state) != 0 || open_dir("data") != ST_OK;
}

static int
tear_down_open(void **state)
{
	datadir_close(&dir);
	return fixture_tear_down(state);
}

static void
a_keyring_is_made_once(void **state)
{
	struct keyring first, again;
	uint8_t zeros[32] = { 0 };
	mode_t was = umask(0);

	(void)state;
	assert_int_equal(keyring_open(&dir, &first, &e), ST_OK);
	(void)umask(was);
	assert_int_equal(mode_of("data/keyring"), 0600);
	assert_memory_not_equal(first.pepper, zeros, 32);
	assert_memory_not_equal(first.pepper, first.master, 32);
	assert_int_equal(keyring_open(&dir, &again, &e), ST_OK);
	assert_memory_equal(&first, &again, sizeof(first));
}

static void
a_keyring_that_others_may_read_is_refused(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0660, 0601 };
	struct keyring k;

	(void)state;
	assert_int_equal(keyring_open(&dir, &k, &e), ST_OK);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		assert_int_equal(chmod(in_dir("data/keyring"), modes[i]), 0);
		assert_int_equal(keyring_open(&dir, &k, &e), ST_DENIED);
		assert_said("chmod 600");
	}
}

static void
a_keyring_that_is_not_whole_is_refused_and_left_alone(void **state)
{
	uint8_t bytes[100] = { 0 }, again[100];
	struct keyring k;
	size_t n;

	(void)state;
	assert_int_equal(keyring_open(&dir, &k, &e), ST_OK);
	n = read_whole(in_dir("data/keyring"), bytes, sizeof(bytes));
	for (size_t cut = 0; cut < n; cut++) {
		write_file(in_dir("data/keyring"), bytes, cut);
		assert_int_equal(keyring_open(&dir, &k, &e), ST_INVALID);
		assert_said("backup");
		assert_int_equal(
		    read_whole(in_dir("data/keyring"), again, sizeof(again)), cut);
	}
	write_file(in_dir("data/keyring"), bytes, n + 1);
	assert_int_equal(keyring_open(&dir, &k, &e), ST_LIMIT);
	for (size_t i = 0; i < n; i++) {
		bytes[i] ^= 4;
		write_file(in_dir("data/keyring"), bytes, n);
		assert_int_equal(keyring_open(&dir, &k, &e), ST_INVALID);
		bytes[i] ^= 4;
	}
	write_file(in_dir("data/keyring"), bytes, n);
	assert_int_equal(keyring_open(&dir, &k, &e), ST_OK);
}

static void
a_keyring_that_is_no_file_is_refused(void **state)
{
	struct keyring k;

	(void)state;
	assert_int_equal(mkfifo(in_dir("data/keyring"), 0600), 0);
	assert_int_equal(keyring_open(&dir, &k, &e), ST_INVALID);
	assert_said("regular file");
	assert_int_equal(unlink(in_dir("data/keyring")), 0);
	assert_int_equal(symlink("/etc/passwd", in_dir("data/keyring")), 0);
	assert_int_equal(keyring_open(&dir, &k, &e), ST_IO);
}

static void
put_key(const char *path, lz_str hash)
{
	struct db *db = db_open(path, DB_CREATE, &e);
	struct db_key k = { .id = STR_LIT("backend"), .hash = hash, .sha256 = STR_NONE };

	assert_non_null(db);
	if (hash.ptr == NULL)
		k.sha256 = STR_LIT("0123456789abcdef0123456789abcdef");
	assert_int_equal(db_key_put(db, &k, &e), ST_OK);
	db_close(db);
}

static void
a_lost_keyring_is_not_replaced_while_keys_need_it(void **state)
{
	struct keyring k;

	(void)state;
	/* an imported key is known by its plain hash */
	put_key(in_dir("data/latenza.db"), STR_NONE);
	assert_int_equal(keyring_open(&dir, &k, &e), ST_OK);
	assert_int_equal(unlink(in_dir("data/keyring")), 0);
	put_key(in_dir("data/latenza.db"), STR_LIT("0123456789abcdef0123456789abcdef"));
	assert_int_equal(keyring_open(&dir, &k, &e), ST_NOT_FOUND);
	assert_said("keyring");
	assert_said("backup");
	assert_int_equal(access(in_dir("data/keyring"), F_OK), -1);
}

#define TEST(name)                                                                       \
	cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
#define TEST_OPEN(name) cmocka_unit_test_setup_teardown(name, set_up_open, tear_down_open)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_missing_is_made_for_the_owner_alone),
		TEST(every_start_has_a_higher_number),
		TEST(a_lost_number_is_counted_on_from_the_spool),
		TEST(a_number_that_is_none_is_refused),
		TEST(a_second_process_is_told_who_has_it),
		TEST(a_command_makes_no_directory),
		TEST(a_directory_that_others_may_write_to_is_refused),
		TEST(a_path_that_is_no_directory_is_told),
		TEST(a_start_whose_number_cannot_be_kept_is_none),
		TEST(a_file_that_cannot_be_replaced_is_as_it_was),
		TEST(a_small_file_is_whole_though_it_comes_and_goes_byte_by_byte),
		TEST(a_file_that_cannot_be_read_or_is_too_large_is_told),
		TEST(a_file_name_that_does_not_fit_is_told),
		TEST_OPEN(a_keyring_is_made_once),
		TEST_OPEN(a_keyring_that_others_may_read_is_refused),
		TEST_OPEN(a_keyring_that_is_not_whole_is_refused_and_left_alone),
		TEST_OPEN(a_keyring_that_is_no_file_is_refused),
		TEST_OPEN(a_lost_keyring_is_not_replaced_while_keys_need_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
