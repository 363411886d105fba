/* test_sse.c - event streams, whole, byte by byte and cut anywhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "net/sse.h"

enum {
	SPLITS = 200
};

/* Events as text: <name|data|id> for each. */
static struct buf seen;
static lz_str fed; /* the bytes of the sse_feed() that runs */
static unsigned in_place;

static bool
write_down(void *arg, const struct sse_event *ev)
{
	(void)arg;
	buf_addf(&seen, "<%.*s|", STR_ARG(ev->name));
	buf_add_str(&seen, ev->data);
	buf_addf(&seen, "|%.*s>", STR_ARG(ev->id));
	in_place += ev->data.ptr >= fed.ptr && ev->data.ptr <= fed.ptr + fed.len;
	return true;
}

/* LATENZA_SEED repeats a run. */
static int
choose_splits(void **state)
{
	const char *given = getenv("LATENZA_SEED");
	unsigned seed =
	    given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);

	(void)state;
	print_message("random splits: LATENZA_SEED=%u\n", seed);
	srand(seed);
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	buf_init(&seen, 16 << 20);
	in_place = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	mem_set_fault(NULL, NULL);
	buf_free(&seen);
	return 0;
}

/* Each piece lives in memory of its own size, so that ASan sees a view that outlives it.
 */
static enum status
feed_piece(struct sse *s, const char *p, size_t n)
{
	char *own = malloc(n + 1);
	enum status st;

	assert_non_null(own);
	memcpy(own, p, n);
	fed = lz_strn(own, n);
	st = sse_feed(s, fed, write_down, NULL);
	memset(own, '#', n);
	free(own);
	return st;
}

/* step 0: pieces of random sizes. */
static enum status
feed(lz_str wire, size_t step, size_t max_bytes, bool *is_pending)
{
	struct sse s;
	enum status st = ST_OK;
	size_t at = 0, n;

	buf_reset(&seen);
	sse_init(&s, max_bytes);
	while (at < wire.len && st == ST_OK) {
		n = step > 0 ? step
			     : 1 + (size_t)rand() % (wire.len < 4096 ? wire.len : 4096);
		if (n > wire.len - at)
			n = wire.len - at;
		st = feed_piece(&s, wire.ptr + at, n);
		at += n;
	}
	*is_pending = sse_is_pending(&s);
	sse_free(&s);
	return st;
}

/* Whole, byte by byte, and at random splits: the same events and the same end. */
static void
check(const char *id, lz_str wire, enum status wanted, lz_str events)
{
	bool is_pending, was_pending = false;
	unsigned i;

	for (i = 0; i < SPLITS + 2; i++) {
		size_t step = i == 0 ? wire.len : i == 1 ? 1 : 0;

		if (feed(wire, step, SSE_EVENT_BYTES, &is_pending) != wanted)
			fail_msg("%s: wrong end, step %zu", id, step);
		if (!str_eq(buf_str(&seen), events))
			fail_msg("%s: step %zu: %.*s, not %.*s", id, step,
			    STR_ARG(buf_str(&seen)), STR_ARG(events));
		if (i > 0 && wanted == ST_OK && is_pending != was_pending)
			fail_msg("%s: pending differs, step %zu", id, step);
		was_pending = is_pending;
	}
}

static void
the_algorithm_is_followed_however_the_bytes_are_cut(void **state)
{
	static const struct {
		const char *wire, *events;
	} rows[] = {
		{ "data: a\n\n", "<message|a|>" },
		{ "data: a\r\n\r\n", "<message|a|>" },
		{ "data: a\r\r", "<message|a|>" },
		{ "data: a\r\rdata: b\n\ndata: c\r\n\r\n",
		    "<message|a|><message|b|><message|c|>" },
		{ "data: a\r\n\rdata: b\n\r\n", "<message|a|><message|b|>" },
		{ "\xef\xbb\xbf"
		  "data: a\n\n",
		    "<message|a|>" },
		{ "\xef\xbb\xbf\xef\xbb\xbf"
		  "data: a\n\ndata: b\n\n",
		    "<message|b|>" },
		{ "\xef\xbb"
		  "data: a\n\ndata: b\n\n",
		    "<message|b|>" },
		{ "\xef\n\ndata: b\n\n", "<message|b|>" },
		{ "data: a\n\ndata: b", "<message|a|>" },
		{ "data: a\n\ndata: b\n", "<message|a|>" },
		{ "data:  a\n\n", "<message| a|>" },
		{ "data:\ta\n\n", "<message|\ta|>" },
		{ "data:a\n\n", "<message|a|>" },
		{ "data:\n\n", "<message||>" },
		{ "data\n\n", "<message||>" },
		{ "data\ndata\n\n", "<message|\n|>" },
		{ "data: a\ndata: b\ndata:\n\n", "<message|a\nb\n|>" },
		{ "data: a:b: c\n\n", "<message|a:b: c|>" },
		{ "DATA: a\n data: b\ndata : c\n\ndata: d\n\n", "<message|d|>" },
		{ ": comment\n:\ndata: a\n:data: b\n\n", "<message|a|>" },
		{ "event: x\ndata: a\n\ndata: b\n\n", "<x|a|><message|b|>" },
		{ "event:\ndata: a\n\n", "<message|a|>" },
		{ "event: x\n\ndata: a\n\n", "<message|a|>" },
		{ "data: a\nevent: y\nevent: z\n\n", "<z|a|>" },
		{ "id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
		    "<message|a|1><message|b|1><message|c|>" },
		{ "retry: 10\nretry: x\ndata: a\n\n", "<message|a|>" },
		{ "\n\n\r\r\n\n", "" },
		{ "data: [DONE]\n\n", "<message|[DONE]|>" },
		{ "data: ok\xe2\x80\xa6\xf0\x9f\x98\x80\n\n",
		    "<message|ok\xe2\x80\xa6\xf0\x9f\x98\x80|>" },
		{ "data: \xc0\xaf\n\n", "<message|\xef\xbf\xbd\xef\xbf\xbd|>" },
		{ "data: \xed\xa0\x80\n\n",
		    "<message|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|>" },
		{ "data: \xf0\x9f\x98\n\n", "<message|\xef\xbf\xbd|>" },
		/* the first and the last character of three and of four bytes, and their
		   neighbours that are none */
		{ "data: \xe0\xa0\x80\n\n", "<message|\xe0\xa0\x80|>" },
		{ "data: \xe0\x9f\xbf\n\n",
		    "<message|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|>" },
		{ "data: \xf4\x8f\xbf\xbf\n\n", "<message|\xf4\x8f\xbf\xbf|>" },
		{ "data: \xf4\x90\x80\x80\n\n",
		    "<message|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|>" },
		{ "data: a\ndata: \xe2\x82\ndata: \xf5z\n\n",
		    "<message|a\n\xef\xbf\xbd\n\xef\xbf\xbdz|>" },
	};
	char id[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(id, sizeof(id), "row %zu", i);
		check(id, lz_strz(rows[i].wire), ST_OK, lz_strz(rows[i].events));
	}
}

static void
an_id_with_a_nul_is_ignored(void **state)
{
	(void)state;
	check("id", STR_LIT("id: 1\ndata: a\n\nid: 2\0x\ndata: b\n\n"), ST_OK,
	    STR_LIT("<message|a|1><message|b|1>"));
}

static void
names_and_ids_that_are_too_long_are_cut(void **state)
{
	struct buf wire;
	bool is_pending;

	(void)state;
	buf_init(&wire, 4096);
	buf_add_z(&wire, "event: ");
	memset(buf_room(&wire, 300), 'n', 300);
	wire.len += 300;
	buf_add_z(&wire, "\nid: ");
	memset(buf_room(&wire, 300), 'i', 300);
	wire.len += 300;
	buf_add_z(&wire, "\ndata: a\n\n");
	assert_int_equal(feed(buf_str(&wire), 7, SSE_EVENT_BYTES, &is_pending), ST_OK);
	assert_int_equal(seen.len, 64 + 1 + 128 + 4);
	buf_free(&wire);
}

static void
an_event_that_stands_whole_in_the_bytes_is_not_copied(void **state)
{
	bool is_pending;

	(void)state;
	assert_int_equal(
	    feed(STR_LIT("data: a\n\nevent: x\ndata: b\n\n"), 1000, 100, &is_pending),
	    ST_OK);
	assert_int_equal(in_place, 2);
	in_place = 0;
	assert_int_equal(
	    feed(STR_LIT("data: a\n\ndata: b\n\n"), 4, 100, &is_pending), ST_OK);
	assert_int_equal(in_place, 0);
}

static void
what_is_unfinished_is_pending(void **state)
{
	static const struct {
		const char *wire;
		bool is_pending;
	} rows[] = {
		{ "", false },
		{ "data: a\n\n", false },
		{ "data: a\r\r", false },
		{ "data: a\n\n: ping\n", false },
		{ "data: a\n", true },
		{ "da", true },
		{ "event: x\n", true },
		{ "data: a\n\nd", true },
		{ "data\n", true },
		{ "\xef\xbb", true },
		{ "\xef\xbb\xbf", false },
	};
	bool is_pending;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    feed(lz_strz(rows[i].wire), 100, 100, &is_pending), ST_OK);
		if (is_pending != rows[i].is_pending)
			fail_msg("%s", rows[i].wire);
	}
}

static bool
go_on(void *arg, const struct sse_event *ev)
{
	(void)ev;
	++*(unsigned *)arg;
	return true;
}

/* A provider that breaks off with a bare document, not in an event: it is no field, so no
 * event shows it. */
static void
a_line_that_begins_with_a_brace_is_noticed(void **state)
{
	static const struct {
		const char *wire;
		bool has_stray;
	} rows[] = {
		{ "data: {\"a\":1}\n\n", false },
		{ "data: a\n\n: {\nid: {\n\n", false },
		{ " {\n", false },
		{ "data: a\n\n{\n  \"error\": {}\n}", true },
		{ "data: a\n\n{\"error\":{}}", true },
		{ "data: a\n{\n\n", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int is_cut = 0; is_cut < 2; is_cut++) {
			lz_str wire = lz_strz(rows[i].wire);
			unsigned count = 0;
			struct sse s;

			sse_init(&s, 100);
			for (size_t at = 0; at < wire.len; at += is_cut ? 1 : wire.len)
				assert_int_equal(
				    sse_feed(&s,
					str_cut(wire, at, is_cut ? at + 1 : wire.len),
					go_on, &count),
				    ST_OK);
			if (sse_has_stray(&s) != rows[i].has_stray)
				fail_msg("%s", rows[i].wire);
			sse_free(&s);
		}
}

static bool
stop_at_once(void *arg, const struct sse_event *ev)
{
	(void)ev;
	++*(unsigned *)arg;
	return false;
}

static void
the_reader_may_stop_in_the_middle(void **state)
{
	unsigned count = 0;
	struct sse s;

	(void)state;
	sse_init(&s, 100);
	assert_int_equal(sse_feed(&s, STR_LIT("data: a\n\ndata: b\n\ndata: c\n"),
			     stop_at_once, &count),
	    ST_OK);
	assert_int_equal(count, 1);
	assert_false(sse_is_pending(&s));
	sse_free(&s);
}

static void
nothing_fed_changes_nothing(void **state)
{
	struct sse s;

	(void)state;
	sse_init(&s, 100);
	assert_int_equal(sse_feed(&s, STR_NONE, write_down, NULL), ST_OK);
	assert_false(sse_is_pending(&s));
	assert_int_equal(sse_feed(&s, STR_LIT("data: a"), write_down, NULL), ST_OK);
	assert_int_equal(sse_feed(&s, STR_NONE, write_down, NULL), ST_OK);
	assert_true(sse_is_pending(&s));
	assert_int_equal(seen.len, 0);
	assert_int_equal(sse_feed(&s, STR_LIT("\n\n"), write_down, NULL), ST_OK);
	assert_true(str_is(buf_str(&seen), "<message|a|>"));
	sse_free(&s);
}

static lz_str
filled(struct buf *b, const char *before, size_t n, const char *after)
{
	buf_reset(b);
	buf_add_z(b, before);
	memset(buf_room(b, n), 'x', n);
	b->len += n;
	buf_add_z(b, after);
	return buf_str(b);
}

static void
events_and_lines_have_a_maximum_wherever_they_are_cut(void **state)
{
	static const size_t steps[] = { 1, 3, 50, 1000 };
	struct buf wire;
	bool is_pending;
	size_t i;

	(void)state;
	buf_init(&wire, 4096);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_int_equal(
		    feed(filled(&wire, "data: ", 94, "\n\n"), steps[i], 100, &is_pending),
		    ST_OK);
		assert_int_equal(
		    feed(filled(&wire, "data: ", 95, "\n\n"), steps[i], 100, &is_pending),
		    ST_LIMIT);
		assert_int_equal(
		    feed(filled(&wire, ":", 200, ""), steps[i], 100, &is_pending),
		    ST_LIMIT);
		assert_int_equal(
		    feed(filled(&wire, "data: a\ndata: ", 94, "\ndata: 3456\n\n"),
			steps[i], 100, &is_pending),
		    ST_LIMIT);
		assert_int_equal(
		    feed(filled(&wire, "data: a\ndata: ", 94, "\ndata: 345\n\n"),
			steps[i], 100, &is_pending),
		    ST_OK);
	}
	buf_free(&wire);
}

static unsigned allocations_left;

static int
fail_later(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return allocations_left-- == 0;
}

static void
without_memory_the_stream_ends_with_that_status(void **state)
{
	unsigned count = 0, k;
	struct sse s;

	(void)state;
	for (k = 0; k < 2; k++) {
		sse_init(&s, 100);
		allocations_left = k;
		mem_set_fault(fail_later, NULL);
		assert_int_equal(
		    sse_feed(&s, STR_LIT("data: a\ndata: b\nda"), stop_at_once, &count),
		    ST_NOMEM);
		mem_set_fault(NULL, NULL);
		sse_free(&s);
	}
}

/* The corpus, where there is one. */

/* What is too large to be written down: an event of 1.1 MB, which is refused. */
static void
run_generated(const char *id)
{
	struct buf wire;

	assert_string_equal(id, "huge-event");
	buf_init(&wire, 2 << 20);
	check(id, filled(&wire, "data: ", 1100000, "\n\n"), ST_LIMIT, STR_NONE);
	buf_free(&wire);
}

static void
run_case(json_t *c)
{
	const char *id = json_string_value(json_object_get(c, "id"));
	const char *hex = json_string_value(json_object_get(c, "wire_hex"));
	json_t *event;
	struct buf wanted;
	size_t i, n = hex != NULL ? strlen(hex) / 2 : 0;
	uint8_t *wire = malloc(n + 1);

	if (hex == NULL) {
		free(wire);
		run_generated(id);
		return;
	}
	assert_true(crypto_unhex(lz_strz(hex), wire, n));
	buf_init(&wanted, 1 << 20);
	json_array_foreach(json_object_get(c, "events"), i, event)
	{
		buf_addf(
		    &wanted, "<%s|", json_string_value(json_object_get(event, "event")));
		buf_add(&wanted, json_string_value(json_object_get(event, "data")),
		    json_string_length(json_object_get(event, "data")));
		buf_addf(
		    &wanted, "|%s>", json_string_value(json_object_get(event, "id")));
	}
	check(id, lz_strn((const char *)wire, n), ST_OK, buf_str(&wanted));
	buf_free(&wanted);
	free(wire);
}

static void
the_corpus_passes(void **state)
{
	const char *corpora = getenv("LATENZA_CORPORA");
	char path[512], *line = NULL;
	size_t room = 0;
	unsigned count = 0;
	FILE *f;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/sse/cases.jsonl",
	    corpora != NULL ? corpora : "/nowhere");
	f = fopen(path, "r");
	if (f == NULL) {
		print_message("LATENZA_CORPORA holds no sse/cases.jsonl\n");
		skip();
	}
	while (getline(&line, &room, f) > 0) {
		json_t *c = json_loads(line, 0, NULL);

		assert_non_null(c);
		run_case(c);
		json_decref(c);
		count++;
	}
	assert_true(count > 0);
	print_message("%u cases, each in %d ways\n", count, SPLITS + 2);
	free(line);
	(void)fclose(f);
}

static void
an_event_of_more_than_a_megabyte_ends_the_stream(void **state)
{
	struct buf wire;
	bool is_pending;

	(void)state;
	buf_init(&wire, 2 << 20);
	(void)filled(&wire, "data: ", 1100000, "\n\n");
	assert_int_equal(
	    feed(buf_str(&wire), wire.len, SSE_EVENT_BYTES, &is_pending), ST_LIMIT);
	assert_int_equal(feed(buf_str(&wire), 0, SSE_EVENT_BYTES, &is_pending), ST_LIMIT);
	assert_int_equal(
	    feed(buf_str(&wire), 16384, SSE_EVENT_BYTES, &is_pending), ST_LIMIT);
	assert_int_equal(seen.len, 0);
	buf_free(&wire);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(the_algorithm_is_followed_however_the_bytes_are_cut),
		TEST(an_id_with_a_nul_is_ignored),
		TEST(names_and_ids_that_are_too_long_are_cut),
		TEST(an_event_that_stands_whole_in_the_bytes_is_not_copied),
		TEST(what_is_unfinished_is_pending),
		TEST(a_line_that_begins_with_a_brace_is_noticed),
		TEST(the_reader_may_stop_in_the_middle),
		TEST(nothing_fed_changes_nothing),
		TEST(events_and_lines_have_a_maximum_wherever_they_are_cut),
		TEST(without_memory_the_stream_ends_with_that_status),
		TEST(the_corpus_passes),
		TEST(an_event_of_more_than_a_megabyte_ends_the_stream),
	};

	return cmocka_run_group_tests(tests, choose_splits, NULL);
}
