/* test_hostile.c - files that are no plugin, and plugins that mean no good: each is
 * refused in its own words, and the process goes on.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin_fixture.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "plugin/host.h"
#include "plugin/registry.h"
#include "trial/trial.h"

static const char *const no_dirs[] = { NULL };

static enum status
try_open(const char *path, bool strict, struct err *e)
{
	return registry_open(lz_strz(path), STR_NONE, strict, false, e);
}

/* Opening it fails, and the sentence holds `words`. */
static void
assert_refused(const char *path, const char *words)
{
	struct err e = { "" };

	assert_int_not_equal(try_open(path, false, &e), ST_OK);
	if (strstr(e.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
	assert_non_null(strstr(e.text, ".so"));
}

static const char *
hostile(const char *name)
{
	char flags[100], file[100];

	(void)snprintf(flags, sizeof(flags), "-w -DCASE=%s", name);
	(void)snprintf(file, sizeof(file), "%s.so", name);
	return fixture_compile("tests/abi/hostile.c", file, flags);
}

static void
write_file(const char *path, const void *p, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	close(fd);
	assert_int_equal(chmod(path, mode), 0);
}

static char *
read_file(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	char *p = malloc(1 << 20);

	assert_non_null(f);
	assert_non_null(p);
	*n = fread(p, 1, 1 << 20, f);
	fclose(f);
	return p;
}

/* ---- not a plugin at all ---- */

static void
files_that_are_no_shared_object_are_refused(void **state)
{
	const char *path = fixture_path("text.so");

	(void)state;
	write_file(path,
	    "#!/bin/sh\necho hello, I am longer than an ELF head, which has 64 bytes\n",
	    72, 0755);
	assert_refused(path, "is not a shared object (no ELF head)");
	write_file(path, "", 0, 0755);
	assert_refused(path, "is empty");
	write_file(path, "\177ELF\2\1\1", 7, 0755);
	assert_refused(path, "is cut off");
	assert_refused(fixture_path("absent.so"), "No such file");
}

static void
listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd); /* the file stays */
}

static void
what_is_no_regular_file_is_refused_without_waiting(void **state)
{
	struct err e = { "" };

	(void)state;
	assert_int_equal(mkdir(fixture_path("directory.so"), 0755), 0);
	assert_refused(fixture_path("directory.so"), "is a directory");
	assert_int_equal(mkfifo(fixture_path("pipe.so"), 0600), 0);
	assert_refused(fixture_path("pipe.so"), "is a named pipe");
	assert_int_equal(symlink("GOOD.so", fixture_path("link.so")), 0);
	assert_refused(fixture_path("link.so"), "is a symbolic link");
	listen_at(fixture_path("socket.so"));
	assert_refused(fixture_path("socket.so"), "is a socket");
	assert_int_equal(
	    registry_open(STR_LIT("/dev/null"), STR_NONE, false, true, &e), ST_INVALID);
	assert_non_null(strstr(e.text, "/dev/null: is a device"));
}

static void
a_path_that_leads_nowhere_is_refused(void **state)
{
	char path[PATH_MAX + 8];
	struct err e = { "" };

	(void)state;
	assert_refused("/nonexistent/x.so", "No such file");
	(void)snprintf(path, sizeof(path), "%.4000s/x.so/y.so", fixture_dir);
	assert_refused(path, "x.so");
	memset(path, 'a', sizeof(path) - 1);
	memcpy(path + sizeof(path) - 4, ".so", 4);
	assert_int_equal(try_open(path, false, &e), ST_INVALID);
	assert_non_null(strstr(e.text, "the path has 4103 bytes; 1 to 4095 are allowed"));
	path[300] = '\0'; /* a name longer than any file's */
	path[0] = '/';
	assert_int_equal(try_open(path, false, &e), ST_IO);
	assert_non_null(strstr(e.text, "File name too long"));
	assert_int_equal(
	    registry_open(STR_LIT("/x\0.so"), STR_NONE, false, false, &e), ST_INVALID);
	assert_non_null(strstr(e.text, "the path has 6 bytes"));
}

static void
a_truncated_or_foreign_elf_is_refused_before_it_is_mapped(void **state)
{
	/* Where in the head of a 64-bit ELF, what is written there, what is said of it.
	 */
	static const struct {
		size_t at, count;
		const char *bytes, *words;
	} rows[] = {
		{ 4, 1, "\1", "was built for a 32-bit system" },
		{ 5, 1, "\2", "was built for another processor" },
		{ 16, 1, "\2", "is an ELF file, but no shared object" },
		{ 18, 2, "\x28\0", "was built for another processor (machine 40," },
		{ 39, 1, "\x7f", "is cut off" }, /* segments far away */
		{ 47, 1, "\x7f", "is cut off" }, /* sections, too */
		{ 54, 1, "\1", "its ELF head makes no sense" },
		{ 56, 2, "\0\0", "its ELF head makes no sense (0 segments" },
		{ 56, 2, "\1\1", "its ELF head makes no sense (257 segments" },
		{ 60, 2, "\xff\xff", "is cut off" },
	};
	const char *whole = hostile("GOOD");
	const char *path = fixture_path("cut.so");
	size_t n;
	char *p = read_file(whole, &n);

	(void)state;
	for (size_t cut = 8; cut < n; cut += n / 16) {
		struct err e = { "" };

		write_file(path, p, cut, 0755);
		assert_int_not_equal(try_open(path, false, &e), ST_OK);
		assert_non_null(strstr(e.text, "is cut off"));
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *q = p + rows[i].at;
		char was[2];

		memcpy(was, q, 2);
		memcpy(q, rows[i].bytes, rows[i].count);
		write_file(path, p, n, 0755);
		assert_refused(path, rows[i].words);
		memcpy(q, was, 2);
	}
	assert_int_equal(truncate(path, (256 << 20) + 1), 0); /* a hole, as a rule */
	assert_refused(path, "has 268435457 bytes; a plugin has at most 268435456");
	free(p);
}

/* ---- whose file it is ---- */

static void
a_file_that_others_may_write_is_refused_when_strict_and_told_otherwise(void **state)
{
	const char *path = hostile("GOOD");
	struct err e = { "" };

	(void)state;
	assert_int_equal(chmod(path, 0757), 0);
	assert_int_equal(try_open(path, true, &e), ST_DENIED);
	assert_non_null(strstr(e.text, "may be written by everybody"));
	assert_int_equal(chmod(path, 0775), 0);
	assert_int_equal(try_open(path, true, &e), ST_DENIED);
	assert_non_null(strstr(e.text, "may be written by its group"));
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(chmod(fixture_dir, 0777), 0);
	assert_int_equal(try_open(path, true, &e), ST_DENIED);
	assert_non_null(strstr(e.text, "its directory"));
	assert_int_equal(chmod(fixture_dir, 01777), 0); /* sticky, as /tmp is */
	assert_int_equal(registry_open(lz_strz(path), STR_NONE, true, false, &e), ST_OK);
	assert_int_equal(chmod(fixture_dir, 0700), 0);
	/* Open already: nothing is looked at again. */
	assert_int_equal(try_open(path, true, &e), ST_OK);
}

static void
a_pinned_hash_must_be_the_files(void **state)
{
	const char *path = hostile("WRONG_MAGIC");
	uint8_t hash[CRYPTO_HASH_BYTES];
	char hex[2 * CRYPTO_HASH_BYTES + 1];
	struct err e = { "" };
	size_t n;
	char *p = read_file(path, &n);

	(void)state;
	crypto_sha256(lz_strn(p, n), hash);
	crypto_hex(hash, sizeof(hash), hex);
	free(p);
	/* With the right one it gets as far as its own fault. */
	assert_int_not_equal(
	    registry_open(lz_strz(path), lz_strz(hex), false, false, &e), ST_OK);
	assert_non_null(strstr(e.text, "0xdeadbeef"));
	hex[0] = hex[0] == '0' ? '1' : '0';
	assert_int_equal(
	    registry_open(lz_strz(path), lz_strz(hex), false, false, &e), ST_DENIED);
	assert_non_null(strstr(e.text, "its sha256 is"));
	assert_int_equal(
	    registry_open(lz_strz(path), lz_strz("abc"), false, false, &e), ST_INVALID);
	assert_non_null(strstr(e.text, "is not 64 hexadecimal digits"));
}

/* Puts one file and the other in its place, over and over. */
struct swap {
	const char *good, *bad, *path;
	_Atomic bool is_over;
};

static void *
swap_files(void *arg)
{
	struct swap *s = arg;
	char next[PATH_MAX];

	(void)snprintf(next, sizeof(next), "%.4000s.next", s->path);
	for (unsigned i = 0; !s->is_over; i++) {
		(void)unlink(next); /* of the same file as path, rename() leaves it */
		if (link(i % 2 == 0 ? s->bad : s->good, next) != 0 ||
		    rename(next, s->path) != 0)
			abort();
	}
	return NULL;
}

/* In a child, because what was opened stays. 0: the good one was opened; 1: refused for
 * its hash; else something ran that was not checked. */
static int
open_while_swapped(struct swap *s, const char *hex)
{
	struct err e = { "" };
	pthread_t thread;
	enum status st;

	if (pthread_create(&thread, NULL, swap_files, s) != 0)
		return 3;
	st = registry_open(lz_strz(s->path), lz_strz(hex), false, false, &e);
	s->is_over = true;
	(void)pthread_join(thread, NULL);
	if (st == ST_OK)
		return 0;
	if (strstr(e.text, "its sha256 is") != NULL)
		return 1;
	(void)fprintf(stderr, "%s\n", e.text);
	return 2;
}

static void
what_runs_is_what_was_checked_whoever_swaps_the_file_meanwhile(void **state)
{
	struct swap s = { .path = fixture_path("swapped.so") };
	char good[PATH_MAX], bad[PATH_MAX], hex[2 * CRYPTO_HASH_BYTES + 1];
	uint8_t hash[CRYPTO_HASH_BYTES];
	unsigned how[3] = { 0 };
	size_t n;
	char *p;

	(void)state;
	(void)snprintf(good, sizeof(good), "%s", hostile("UNKNOWN_KIND"));
	(void)snprintf(bad, sizeof(bad), "%s", hostile("CRASHING_CONSTRUCTOR"));
	s.good = good;
	s.bad = bad;
	p = read_file(good, &n);
	crypto_sha256(lz_strn(p, n), hash);
	crypto_hex(hash, sizeof(hash), hex);
	free(p);
	assert_int_equal(link(good, s.path), 0);
	for (int i = 0; i < 40; i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0)
			_exit(open_while_swapped(&s, hex));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_in_range(WEXITSTATUS(status), 0, 1);
		how[WEXITSTATUS(status)]++;
	}
	print_message("opened %u times, refused %u times\n", how[0], how[1]);
}

/* ---- plugins that are wrong ---- */

/* name: of a case of hostile.c */
static const struct wrong {
	const char *name, *words;
} wrong[] = {
	{ "NO_SYMBOL", "has no function latenza_plugin_v0" },
	{ "WRONG_SYMBOL", "was built for ABI 5, this is ABI 0" },
	{ "MISSING_SYMBOL", "needs the symbol 'nobody_has_this'" },
	{ "WRONG_MAGIC", "begins with the magic 0xdeadbeef" },
	{ "WRONG_SIZE", "says that lz_plugin has 12" },
	{ "SMALL_COMPONENTS", "and lz_component 1 bytes" },
	{ "WRONG_MINOR", "and while the ABI is a draft both must be the same" },
	{ "WRONG_MAJOR", "was built for ABI 3" },
	{ "NEEDS_NEWER", "use a newer Latenza" },
	{ "NULL_ENTRY", "its entry refused to start" },
	{ "BAD_NAME", "has no proper name, version or licence" },
	{ "NOT_UTF8", "has no proper name, version or licence" },
	{ "LONG_VERSION", "has no proper name, version or licence" },
	{ "NO_LICENSE", "has no proper name, version or licence" },
	{ "NO_COMPONENTS", "offers 1 components" },
	{ "HUGE_COUNT", "offers 1073741824 components" },
	{ "NO_KIND", "component 0 names no kind" },
	{ "NO_TABLE", "has no table of functions" },
	{ "SMALL_TABLE", "says that its table has 8 bytes" },
	{ "NO_PICK", "it has no pick()" },
	{ "OPTION_OUTSIDE", "option 'number' lies outside the instance" },
	{ "OPTION_TYPE", "option 'number' has the unknown type 99" },
	{ "OPTION_DEFAULT", "number" },
	{ "TWICE", "is there twice" },
};

static void
each_wrong_plugin_has_its_own_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_refused(hostile(wrong[i].name), wrong[i].words);
}

/* What is named without a path is opened without a child first. It stays mapped: a second
 * try hears the same, and one of a file that changed hears that. */
static void
one_named_by_its_name_is_refused_in_the_same_words_as_often_as_it_is_tried(void **state)
{
	static const char *const dirs[] = { fixture_dir, NULL };

	(void)state;
	registry_start(dirs);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		bool is_mapped = strcmp(wrong[i].name, "MISSING_SYMBOL") != 0;
		struct err e = { "" };
		const char *name = wrong[i].name;
		char file[64];

		for (int times = 0; times < 3; times++) {
			assert_int_not_equal(try_open(name, false, &e), ST_OK);
			if (strstr(e.text, wrong[i].words) == NULL)
				fail_msg(
				    "\"%s\" does not say \"%s\"", e.text, wrong[i].words);
		}
		/* As an editor would: the same file, another state. */
		(void)snprintf(file, sizeof(file), "%s.so", name);
		assert_int_equal(chmod(fixture_path(file), 0700), 0);
		assert_int_not_equal(try_open(name, false, &e), ST_OK);
		if (is_mapped)
			assert_non_null(strstr(e.text, "was changed in place after it "
						       "was loaded; restart"));
	}
	registry_start(no_dirs);
}

static void
a_plugin_that_crashes_or_hangs_does_so_in_a_child(void **state)
{
	static const struct {
		const char *name, *words;
	} rows[] = {
		{ "CRASHING_CONSTRUCTOR", "crashed with signal 11" },
		{ "CRASHING_ENTRY", "crashed with signal 7" },
		{ "EXITING_ENTRY", "ended the process (exit status 0)" },
		{ "LOOPING_ENTRY", "did not come back in time" },
		{ "LOOPING_CONSTRUCTOR", "did not come back in time" },
		{ "SILENT_FORK", "ended the process (exit status 3)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_refused(hostile(rows[i].name), rows[i].words);
}

/* ---- plugin check ---- */

struct heard {
	int good, bad, warned;
	char text[8192];
};

static void
hear(void *arg, enum child_mark mark, const char *what)
{
	struct heard *h = arg;

	h->good += mark == CHILD_PASSED;
	h->warned += mark == CHILD_WARNED;
	h->bad += mark == CHILD_FAILED;
	strncat(h->text, what, sizeof(h->text) - strlen(h->text) - 2);
	strcat(h->text, "\n");
}

static void
check_says_one_line_per_check(void **state)
{
	struct heard h = { .text = "" };

	(void)state;
	assert_int_equal(trial_check(hostile("GOOD"), hear, &h), 0);
	assert_int_equal(h.bad, 0);
	assert_true(h.good >= 4);
	assert_non_null(strstr(h.text, "nonsense in its 1 options is refused"));
	assert_non_null(strstr(h.text, "1000 instances made and destroyed"));
}

/* Fails, warns, and says so. */
static void
assert_check(const char *name, int bad, int warned, const char *words)
{
	struct heard h = { .text = "" };

	assert_int_equal(trial_check(hostile(name), hear, &h), bad);
	assert_int_equal(h.warned, warned);
	if (strstr(h.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", h.text, words);
}

static void
check_tells_what_an_instance_leaves_behind(void **state)
{
	(void)state;
	if (mallinfo2().uordblks > 0) /* a sanitizer's allocator does not count */
		assert_check(
		    "LEAKING_INIT", 0, 1, "memory grows by 112 bytes an instance");
	assert_check("OPENING_INIT", 0, 1, "1000 files stay open");
}

static void
check_tells_what_a_file_exports_and_needs(void **state)
{
	struct heard h = { .text = "" };

	(void)state;
	assert_check("MORE_SYMBOLS", 0, 1,
	    "exports 1 more than latenza_plugin_v0: "
	    "more_of_mine; compile with");
	assert_int_equal(trial_check(hostile("GOOD"), hear, &h), 0);
	assert_non_null(strstr(h.text, "exports latenza_plugin_v0 alone"));
	assert_non_null(strstr(h.text, "libraries: needs "));
	h = (struct heard){ .text = "" };
	assert_int_equal(trial_check(fixture_compile("tests/abi/hostile.c", "ours.so",
					 "-w -DCASE=NEEDS_OURS -ljansson"),
			     hear, &h),
	    0);
	assert_int_equal(h.warned, 2); /* it exports something, too */
	assert_non_null(strstr(h.text, "use lz->json_* and lz->http() instead"));
}

static void
check_calls_what_it_made(void **state)
{
	(void)state;
	assert_check("SLOW_CHECK", 0, 1, "held its thread for ");
	assert_check("CUT_DEPENDENT", 1, 0, "not the whole text's");
	assert_check("KEPT_VIEW", 1, 0,
	    "crashed with signal 11 (Segmentation fault) while guardrail 'hostile-guard' "
	    "was asked");
	assert_check("CRASHING_CHECK", 1, 0, "crashed with signal 6");
}

static void
check_tells_what_init_says_and_survives_its_crash(void **state)
{
	struct heard failing = { .text = "" }, mute = { .text = "" },
		     crashing = { .text = "" };

	(void)state;
	assert_int_equal(trial_check(hostile("FAILING_INIT"), hear, &failing), 1);
	assert_non_null(strstr(failing.text, "the moon is in the wrong house"));
	assert_int_equal(trial_check(hostile("MUTE_INIT"), hear, &mute), 1);
	assert_non_null(strstr(mute.text, "it answered 77 and no sentence"));
	assert_int_equal(trial_check(hostile("CRASHING_INIT"), hear, &crashing), 1);
	assert_non_null(strstr(crashing.text, "crashed with signal 6"));
	assert_int_equal(trial_check("/nonexistent/x.so", hear, &crashing), 1);
}

static void
an_unknown_kind_is_skipped(void **state)
{
	struct heard h = { .text = "" };

	(void)state;
	assert_int_equal(trial_check(hostile("UNKNOWN_KIND"), hear, &h), 0);
	assert_non_null(strstr(h.text, "1 of 2 components known here"));
}

/* With GOOD open. */
static void
names_are_taken_once_and_a_file_is_opened_once(void **state)
{
	static const char copy[] = "-w -DCASE=GOOD";
	static const char other[] = "-w -DCASE=GOOD '-DNAME=\"other\"'";
	const char *link_path = fixture_path("linked.so");

	(void)state;
	assert_refused(fixture_compile("tests/abi/hostile.c", "copy.so", copy),
	    "its name 'hostile' is taken by ");
	assert_refused(fixture_compile("tests/abi/hostile.c", "other.so", other),
	    "router 'hostile' is offered by the plugin 'hostile' already");
	assert_int_equal(link(fixture_path("GOOD.so"), link_path), 0);
	assert_refused(link_path, "is open already, as ");
}

static void
a_library_that_is_gone_is_named(void **state)
{
	char flags[PATH_MAX + 64];

	(void)state;
	(void)fixture_compile("tests/abi/hostile.c", "libgone.so",
	    "-w -DCASE=MORE_SYMBOLS -Wl,-soname,libgone.so");
	(void)snprintf(flags, sizeof(flags),
	    "-w -DCASE=GOOD -Wl,--no-as-needed -L'%.4000s' -lgone", fixture_dir);
	(void)fixture_compile("tests/abi/hostile.c", "needs.so", flags);
	assert_int_equal(unlink(fixture_path("libgone.so")), 0);
	assert_refused(fixture_path("needs.so"), "cannot be loaded: libgone.so: ");
}

/* What check hears from a child, the configuration hears in the process. */
static void
a_part_that_does_not_start_says_why_or_that_it_did_not_say(void **state)
{
	static const struct {
		const char *name, *flags, *words;
	} rows[] = {
		{ "failing",
		    "-w -DCASE=FAILING_INIT '-DNAME=\"failing\"' "
		    "'-DPART_NAME=\"failing\"'",
		    "here: router 'failing' does not start: the moon is in the wrong "
		    "house" },
		{ "mute",
		    "-w -DCASE=MUTE_INIT '-DNAME=\"mute\"' "
		    "'-DPART_NAME=\"mute\"'",
		    "here: router 'mute' does not start: it answered 77 and no "
		    "sentence" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct part_ops *ops = part_get_ops();
		const struct part_info *info;
		struct err e = { "" };
		char file[32];

		(void)snprintf(file, sizeof(file), "%s.so", rows[i].name);
		assert_int_equal(
		    try_open(fixture_compile("tests/abi/hostile.c", file, rows[i].flags),
			false, &e),
		    ST_OK);
		info = ops->find("router", lz_strz(rows[i].name), NULL);
		assert_non_null(info);
		assert_null(part_make(info, "it", NULL, "here", &e));
		assert_string_equal(e.text, rows[i].words);
	}
}

/* ---- the header ---- */

static void
the_header_compiles_alone_in_every_dialect_and_has_no_padding(void **state)
{
	static const char *const compilers[] = { "cc -std=c99 -Wpadded -x c",
		"cc -std=c11 -Wpadded -x c", "cc -std=c2x -x c", "c++ -std=c++11 -x c++",
		"c++ -std=c++20 -x c++", "clang-14 -std=c99 -Wpadded -x c",
		"clang-14 -std=c11 -Wpadded -x c", "clang-14 -std=c2x -x c",
		"clang++-14 -std=c++11 -x c++", "clang++-14 -std=c++20 -x c++" };
	const char *tree = fixture_env("srcdir", ".");

	(void)state;
	for (size_t i = 0; i < sizeof(compilers) / sizeof(compilers[0]); i++) {
		char command[2 * PATH_MAX];

		(void)snprintf(command, sizeof(command),
		    "echo '#include <latenza/plugin.h>' | { command -v %.*s >/dev/null "
		    "|| exit 0; "
		    "%s -Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only "
		    "-I'%s/sdk' -; }",
		    (int)strcspn(compilers[i], " "), compilers[i], compilers[i], tree);
		if (system(command) != 0)
			fail_msg("%s", compilers[i]);
	}
}

static int
start(void **state)
{
	(void)state;
	json_start();
	fixture_start();
	registry_start(no_dirs);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	fixture_stop();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_that_are_no_shared_object_are_refused),
		cmocka_unit_test(what_is_no_regular_file_is_refused_without_waiting),
		cmocka_unit_test(a_path_that_leads_nowhere_is_refused),
		cmocka_unit_test(
		    a_truncated_or_foreign_elf_is_refused_before_it_is_mapped),
		cmocka_unit_test(a_pinned_hash_must_be_the_files),
		cmocka_unit_test(
		    what_runs_is_what_was_checked_whoever_swaps_the_file_meanwhile),
		cmocka_unit_test(each_wrong_plugin_has_its_own_sentence),
		cmocka_unit_test(
		    one_named_by_its_name_is_refused_in_the_same_words_as_often_as_it_is_tried),
		cmocka_unit_test(a_plugin_that_crashes_or_hangs_does_so_in_a_child),
		cmocka_unit_test(check_says_one_line_per_check),
		cmocka_unit_test(check_tells_what_an_instance_leaves_behind),
		cmocka_unit_test(check_tells_what_a_file_exports_and_needs),
		cmocka_unit_test(check_calls_what_it_made),
		cmocka_unit_test(check_tells_what_init_says_and_survives_its_crash),
		cmocka_unit_test(an_unknown_kind_is_skipped),
		cmocka_unit_test(a_library_that_is_gone_is_named),
		cmocka_unit_test(
		    the_header_compiles_alone_in_every_dialect_and_has_no_padding),
		/* The last, because what is open stays open, and names are taken once. */
		cmocka_unit_test(
		    a_file_that_others_may_write_is_refused_when_strict_and_told_otherwise),
		cmocka_unit_test(names_are_taken_once_and_a_file_is_opened_once),
		cmocka_unit_test(
		    a_part_that_does_not_start_says_why_or_that_it_did_not_say),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
