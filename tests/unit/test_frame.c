/* test_frame.c - streams of JSON fall into the same events wherever their bytes are cut.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "plugin/frame.h"

struct heard {
	struct buf text; /* all events, with bars between */
	unsigned stop_after;
	unsigned count;
};

static bool
hear(void *arg, const struct sse_event *ev)
{
	struct heard *h = arg;

	buf_add_str(&h->text, ev->data);
	buf_add_char(&h->text, '|');
	return ++h->count != h->stop_after;
}

/* Feeds `in` in pieces of `step` bytes. */
static enum status
feed(uint32_t framing, const char *in, size_t step, struct heard *h, bool *is_whole)
{
	lz_str rest = lz_strz(in);
	enum status st = ST_OK;
	struct frame f;

	frame_init(&f, framing, 1000);
	while (rest.len > 0 && st == ST_OK) {
		st = frame_feed(&f, str_cut(rest, 0, step), hear, h);
		rest = str_cut(rest, step, rest.len);
	}
	*is_whole = frame_end(&f, hear, h);
	frame_free(&f);
	return st;
}

static void
assert_events(uint32_t framing, const char *in, const char *wanted, bool wanted_whole)
{
	for (size_t step = 1; step <= strlen(in) + 1; step++) {
		struct heard h = { .stop_after = 0 };
		bool is_whole;

		buf_init(&h.text, 1 << 16);
		assert_int_equal(feed(framing, in, step, &h, &is_whole), ST_OK);
		assert_int_equal(is_whole, wanted_whole);
		buf_add_char(&h.text, '\0');
		assert_string_equal(h.text.ptr, wanted);
		buf_free(&h.text);
	}
}

static void
lines_are_events_and_blank_ones_are_not(void **state)
{
	(void)state;
	assert_events(LZ_JSON_LINES, "{\"a\":1}\n\r\n  \n{\"b\":\"x\"}\n",
	    "{\"a\":1}|{\"b\":\"x\"}|", true);
	assert_events(LZ_JSON_LINES, "{\"a\":1}\n{\"last\":true}",
	    "{\"a\":1}|{\"last\":true}|", true);
	assert_events(LZ_JSON_LINES, "", "", true);
}

static void
an_arrays_objects_are_events_as_soon_as_they_are_whole(void **state)
{
	(void)state;
	assert_events(LZ_JSON_ARRAY,
	    "[{\"a\":[1,{\"b\":2}]}\n,\r\n{\"c\":\"]},{[\\\"}\"} , [1,2]\n]\n",
	    "{\"a\":[1,{\"b\":2}]}|{\"c\":\"]},{[\\\"}\"}|[1,2]|", true);
	assert_events(LZ_JSON_ARRAY, " {\"error\":{\"code\":400}} \n",
	    "{\"error\":{\"code\":400}}|", true);
	assert_events(LZ_JSON_ARRAY, "[]", "", true);
}

static void
an_array_that_stops_half_way_is_told_from_a_whole_one(void **state)
{
	(void)state;
	assert_events(LZ_JSON_ARRAY, "[{\"a\":1}", "{\"a\":1}|", false);
	assert_events(LZ_JSON_ARRAY, "[{\"a\":1},{\"b\"", "{\"a\":1}|", false);
}

static void
what_is_no_array_of_objects_is_refused(void **state)
{
	static const char *const texts[] = { "[1]", "\"x\"", "[{}] {}", "null", "<html>",
		",", "]", "[\"a\"]" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct heard h = { .stop_after = 0 };
		bool is_whole;

		buf_init(&h.text, 1 << 16);
		assert_int_equal(
		    feed(LZ_JSON_ARRAY, texts[i], 1, &h, &is_whole), ST_INVALID);
		buf_free(&h.text);
	}
}

static void
an_event_that_is_too_large_is_refused_however_it_comes(void **state)
{
	static const uint32_t framings[] = { LZ_JSON_LINES, LZ_JSON_ARRAY };
	char large[3000];

	(void)state;
	(void)snprintf(large, sizeof(large), "[{\"a\":\"%02000d\"}]\n", 0);
	for (size_t i = 0; i < 2; i++) {
		struct heard h = { .stop_after = 0 };
		bool is_whole;

		buf_init(&h.text, 1 << 16);
		assert_int_equal(feed(framings[i], large, 700, &h, &is_whole), ST_LIMIT);
		assert_int_equal(h.count, 0);
		buf_free(&h.text);
	}
}

static void
who_says_stop_hears_no_more(void **state)
{
	struct heard h = { .stop_after = 1 };
	bool is_whole;

	(void)state;
	buf_init(&h.text, 1 << 16);
	assert_int_equal(feed(LZ_JSON_LINES, "{}\n{}\n{}\n", 100, &h, &is_whole), ST_OK);
	assert_int_equal(h.count, 1);
	buf_free(&h.text);
}

static void
event_streams_are_left_to_their_own_parser(void **state)
{
	(void)state;
	assert_events(LZ_SSE, "data: {\"a\":1}\n\n", "{\"a\":1}|", true);
	assert_events(LZ_SSE, "data: {\"a\":1}\n\ndata: {", "{\"a\":1}|", false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_events_and_blank_ones_are_not),
		cmocka_unit_test(an_arrays_objects_are_events_as_soon_as_they_are_whole),
		cmocka_unit_test(an_array_that_stops_half_way_is_told_from_a_whole_one),
		cmocka_unit_test(what_is_no_array_of_objects_is_refused),
		cmocka_unit_test(an_event_that_is_too_large_is_refused_however_it_comes),
		cmocka_unit_test(who_says_stop_hears_no_more),
		cmocka_unit_test(event_streams_are_left_to_their_own_parser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
