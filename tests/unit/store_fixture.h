/* store_fixture.h - what the tests of store/ share: a directory that goes away, and
 * records to put in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/record.h"

static char test_dir[64];
static struct io_calls system_io;

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st;
	(void)flag;
	(void)where;
	return remove(path);
}

static inline int
fixture_set_up(void **state)
{
	(void)state;
	/* What the tests provoke is no news for the one who runs them. */
	log_set_level(getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR + 1);
	system_io = io;
	(void)snprintf(test_dir, sizeof(test_dir), "/tmp/latenza-test-XXXXXX");
	return mkdtemp(test_dir) == NULL;
}

static inline int
fixture_tear_down(void **state)
{
	(void)state;
	io = system_io;
	mem_set_fault(NULL, NULL);
	clock_set_source(NULL);
	return nftw(test_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "<test_dir>/<name>", in one of a few places that take turns. */
static inline const char *
in_dir(const char *name)
{
	static char path[8][512];
	static unsigned turn;
	char *p = path[turn++ % 8];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", test_dir, name);
	return p;
}

static inline void
write_file(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	assert_int_equal(close(fd), 0);
}

static inline size_t
read_whole(const char *path, void *p, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, p, size);
	assert_true(n >= 0);
	assert_int_equal(close(fd), 0);
	return (size_t)n;
}

static inline unsigned
count_files(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;
	struct dirent *entry;

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL)
		n += entry->d_name[0] != '.';
	assert_int_equal(closedir(d), 0);
	return n;
}

/* Time-ordered, as the gateway's ids are. */
static inline void
make_id(uint8_t id[RECORD_ID_BYTES], int64_t at_unix_ms, uint64_t number)
{
	for (int i = 0; i < 6; i++)
		id[i] = (uint8_t)(at_unix_ms >> (8 * (5 - i)));
	id[6] = id[7] = 0x70;
	for (int i = 0; i < 8; i++)
		id[8 + i] = (uint8_t)(number >> (8 * (7 - i)));
}

static const struct record_scope test_scopes[] = {
	{ { "key:backend", 11 }, { "month:2026-11", 13 } },
	{ { "org:default", 11 }, { "month:2026-11", 13 } },
};

static inline struct record_reserve
make_reserve(uint64_t number, uint8_t attempt)
{
	struct record_reserve r = {
		.attempt = attempt,
		.at_unix_ms = 1795363200000 + (int64_t)number,
		.bound_nano_eur = 9000,
		.input_nano_eur = 700,
		.key = STR_LIT("backend"),
		.provider = STR_LIT("openai"),
		.model = STR_LIT("gpt-4o"),
		.scope_count = 2,
		.scope = { test_scopes[0], test_scopes[1] },
	};

	make_id(r.trace_id, r.at_unix_ms, number);
	return r;
}

static inline struct record_settle
make_settle(uint64_t number, uint8_t attempt, int64_t cost)
{
	struct record_settle s = {
		.attempt = attempt,
		.state = CHARGE_ACTUAL,
		.at_unix_ms = 1795363200500 + (int64_t)number,
		.cost_nano_eur = cost,
		.usage = { 120, 30, 0, 45, 5 },
		.price_input = 2500000,
		.price_cache_read = 1250000,
		.price_cache_write = -1,
		.price_output = 10000000,
		.fx_nano = 920000000,
		.fx_date = STR_LIT("2026-11-20"),
		.key = STR_LIT("backend"),
		.provider = STR_LIT("openai"),
		.model = STR_LIT("gpt-4o"),
		.scope_count = 2,
		.scope = { test_scopes[0], test_scopes[1] },
	};

	make_id(s.trace_id, 1795363200000 + (int64_t)number, number);
	return s;
}

static inline struct record_trace
make_trace(uint64_t number, uint8_t attempts, int64_t cost)
{
	struct record_trace t = {
		.at_unix_ms = 1795363200000 + (int64_t)number,
		.total_us = 812345,
		.overhead_us = 143,
		.ttft_us = 210000,
		.cost_nano_eur = cost,
		.usage = { 120, 30, 0, 45, 5 },
		.flags = TRACE_STREAM,
		.status = 200,
		.attempts = attempts,
		.route = STR_LIT("chat"),
		.finish = STR_LIT("stop"),
		.key = STR_LIT("backend"),
		.organization = STR_LIT("default"),
		.user = STR_LIT("alice"),
		.session = STR_LIT("s-1"),
		.model_asked = STR_LIT("gpt-4o"),
		.model = STR_LIT("gpt-4o"),
		.provider = STR_LIT("openai"),
		.strategy = STR_LIT("balanced"),
		.metadata = STR_LIT("{\"team\":\"search\",\"beta\":true,\"n\":3}"),
		.attempt_list = STR_LIT(
		    "[{\"provider\":\"openai\",\"model\":\"gpt-4o\",\"status\":200,"
		    "\"end\":\"ok\",\"ms\":812,\"ttft_ms\":210,\"cost_nano_eur\":5000}]"),
	};

	make_id(t.trace_id, t.at_unix_ms, number);
	return t;
}

#endif
