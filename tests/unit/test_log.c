/* test_log.c - one line per failure, whoever reads it and whatever is in it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tell.h"

static char written[LOG_LINE_BYTES + 100];
static int writes;

static ssize_t
keep(int fd, const void *p, size_t n)
{
	if (fd != STDERR_FILENO)
		return write(fd, p, n);
	assert_in_range(n, 1, LOG_LINE_BYTES);
	memcpy(written, p, n);
	written[n] = '\0';
	writes++;
	return (ssize_t)n;
}

static void
at_a_known_time(struct moment *m)
{
	m->mono_us = 0;
	m->unix_ms = 1795363270123;
}

static int
start(void **state)
{
	(void)state;
	io.write = keep;
	clock_set_source(at_a_known_time);
	log_set_level(LOG_LEVEL_DEBUG);
	writes = 0;
	written[0] = '\0';
	return 0;
}

static void
the_journal_gets_a_priority_and_no_time(void **state)
{
	(void)state;
	log_set_format(LOG_FORMAT_JOURNAL);
	log_error("spool.write", "path=%s why=\"%s\"", "/a", "no space left");
	assert_string_equal(written, "<3>spool.write path=/a why=\"no space left\"\n");
	log_warn("a.b", "c=1");
	assert_string_equal(written, "<4>a.b c=1\n");
	log_info("a.b", "c=1");
	assert_string_equal(written, "<6>a.b c=1\n");
	log_debug("a.b", "%s", "");
	assert_string_equal(written, "<7>a.b\n");
	assert_int_equal(writes, 4);
}

static void
a_terminal_gets_a_time_and_a_level(void **state)
{
	(void)state;
	log_set_format(LOG_FORMAT_TERMINAL);
	log_warn("a.b", "c=1");
	assert_string_equal(written, "2026-11-22T16:01:10.123Z warn  a.b c=1\n");
	log_error("a.b", "c=1");
	assert_string_equal(written, "2026-11-22T16:01:10.123Z error a.b c=1\n");
}

static void
expect_pairs(const char *json)
{
	char expected[LOG_LINE_BYTES];

	(void)snprintf(expected, sizeof(expected),
	    "{\"time\":\"2026-11-22T16:01:10.123Z\",\"level\":\"info\",\"event\":\"a.b\"%"
	    "s}\n",
	    json);
	assert_string_equal(written, expected);
}

static void
pairs_become_json_members(void **state)
{
	(void)state;
	log_set_format(LOG_FORMAT_JSON);
	log_info("a.b", "%s", "");
	expect_pairs("");
	log_info("a.b", "n=%d  s=x", 7);
	expect_pairs(",\"n\":\"7\",\"s\":\"x\"");
	log_info("a.b", "why=\"%s\" line=3", "the key \"model\" stands twice; a=b");
	expect_pairs(
	    ",\"why\":\"the key \\\"model\\\" stands twice; a=b\",\"line\":\"3\"");
	log_info("a.b", "path=/with a blank n=1");
	expect_pairs(",\"path\":\"/with a blank\",\"n\":\"1\"");
	log_info("a.b", "words first n=1");
	expect_pairs(",\"note\":\"words first\",\"n\":\"1\"");
	log_info("a.b", "e= q=\"\" open=\"x");
	expect_pairs(",\"e\":\"\",\"q\":\"\",\"open\":\"\\\"x\"");
}

static void
nothing_in_a_value_can_begin_a_line_or_steer_a_terminal(void **state)
{
	static const char evil[] = "a\n<0>fake \x1b[31m\x7f\r\xc2\x9b"
				   "31m \xff \xc3\xbc\t";

	(void)state;
	log_set_format(LOG_FORMAT_TERMINAL);
	log_info("a.b", "v=\"%s\"", evil);
	assert_string_equal(written, "2026-11-22T16:01:10.123Z info  a.b v=\"a\\n<0>fake "
				     "\\x1b[31m\\x7f\\x0d\\x9b31m "
				     "\\xff \xc3\xbc\\x09\"\n");
	log_set_format(LOG_FORMAT_JSON);
	log_info("a.b", "v=\"%s\"", evil);
	expect_pairs(
	    ",\"v\":\"a\\n<0>fake \\u001b[31m\\u007f\\u000d\\u009b31m \xef\xbf\xbd "
	    "\xc3\xbc\\u0009\"");
}

static void
expect_valid_json(void)
{
	json_t *j = json_loads(written, 0, NULL);

	if (j == NULL)
		fail_msg("not JSON: %s", written);
	json_decref(j);
}

/* Of each length around the limit, in each form, with characters and escapes that a cut
 * could split. */
static void
a_long_line_is_cut_and_stays_one_valid_line(void **state)
{
	static const char *const fills[] = { "x", "\xe2\x82\xac", "\n", "\"", "k=v " };

	(void)state;
	for (size_t f = 0; f < sizeof(fills) / sizeof(*fills); f++) {
		char text[2000] = "";
		size_t step = strlen(fills[f]);

		for (size_t n = 0; n + step < 1200; n += step) {
			memcpy(text + n, fills[f], step);
			if (n < 400)
				continue;
			text[n + step] = '\0';
			log_set_format(LOG_FORMAT_JSON);
			log_info("a.b", "v=\"%s\" w=1", text);
			assert_int_equal(written[strlen(written) - 1], '\n');
			expect_valid_json();
			log_set_format(LOG_FORMAT_JOURNAL);
			log_info("a.b", "v=\"%s\" w=1", text);
			assert_ptr_equal(
			    strchr(written, '\n'), written + strlen(written) - 1);
			assert_true(str_is_utf8(lz_strz(written)));
		}
	}
}

static void
a_level_below_the_least_is_not_written(void **state)
{
	enum log_level level = LOG_LEVEL_INFO;

	(void)state;
	log_set_level(LOG_LEVEL_WARN);
	log_info("a.b", "c=1");
	assert_int_equal(writes, 0);
	log_warn("a.b", "c=1");
	assert_int_equal(writes, 1);
	assert_true(log_level_parse("debug", &level));
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_true(log_level_parse("error", &level));
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_false(log_level_parse("verbose", &level));
	assert_false(log_level_parse("", &level));
	assert_int_equal(level, LOG_LEVEL_ERROR);
}

static void
an_event_is_a_line_of_its_rows_level(void **state)
{
	(void)state;
	log_set_format(LOG_FORMAT_JOURNAL);
	tell(TELL_PROVIDER_CREDENTIALS, "provider=%s", "openai");
	assert_string_equal(written, "<3>provider.credentials provider=openai\n");
	tell(TELL_BUDGET_RESET, "key=%s", "k1");
	assert_string_equal(written, "<6>budget.reset key=k1\n");
}

/* stderr becomes a file, which JOURNAL_STREAM then names or not. */
static void
the_form_follows_from_what_stderr_is(void **state)
{
	int saved = dup(STDERR_FILENO), fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct stat st;
	char name[64];

	(void)state;
	assert_true(saved >= 0 && fd >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(
	    name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);

	setenv("JOURNAL_STREAM", name, 1);
	log_set_format(LOG_FORMAT_AUTO);
	log_info("a.b", "c=1");
	assert_string_equal(written, "<6>a.b c=1\n");

	setenv("JOURNAL_STREAM", "1:2",
	    1); /* of a parent whose stderr we do not have any more */
	log_set_format(LOG_FORMAT_AUTO);
	log_info("a.b", "c=1");
	expect_pairs(",\"c\":\"1\"");

	unsetenv("JOURNAL_STREAM");
	log_set_format(LOG_FORMAT_AUTO);
	log_info("a.b", "c=1");
	expect_pairs(",\"c\":\"1\"");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
}

static void
a_terminal_is_coloured_unless_no_color_is_set(void **state)
{
	int saved = dup(STDERR_FILENO), pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC),
	    tty;

	(void)state;
	if (pty < 0 || grantpt(pty) != 0 || unlockpt(pty) != 0)
		skip();
	tty = open(ptsname(pty), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0)
		skip();
	dup2(tty, STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	log_set_format(LOG_FORMAT_AUTO);
	log_warn("a.b", "c=1");
	assert_string_equal(
	    written, "2026-11-22T16:01:10.123Z \033[33mwarn\033[0m  a.b c=1\n");
	setenv("NO_COLOR", "1", 1);
	log_set_format(LOG_FORMAT_AUTO);
	log_warn("a.b", "c=1");
	assert_string_equal(written, "2026-11-22T16:01:10.123Z warn  a.b c=1\n");
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	log_set_format(LOG_FORMAT_AUTO);
	log_warn("a.b", "c=1");
	assert_string_equal(written, "2026-11-22T16:01:10.123Z warn  a.b c=1\n");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(tty);
	close(pty);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_journal_gets_a_priority_and_no_time, start),
		cmocka_unit_test_setup(a_terminal_gets_a_time_and_a_level, start),
		cmocka_unit_test_setup(pairs_become_json_members, start),
		cmocka_unit_test_setup(
		    nothing_in_a_value_can_begin_a_line_or_steer_a_terminal, start),
		cmocka_unit_test_setup(
		    a_long_line_is_cut_and_stays_one_valid_line, start),
		cmocka_unit_test_setup(a_level_below_the_least_is_not_written, start),
		cmocka_unit_test_setup(an_event_is_a_line_of_its_rows_level, start),
		cmocka_unit_test_setup(the_form_follows_from_what_stderr_is, start),
		cmocka_unit_test_setup(
		    a_terminal_is_coloured_unless_no_color_is_set, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
