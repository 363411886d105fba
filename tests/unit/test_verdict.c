/* test_verdict.c - guardrails' verdicts as bytes and as JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store_fixture.h"

#include "store/verdict.h"

static const struct record_verdict said[] = {
	{ .guardrail = { "pii", sizeof("pii") - 1 }, .what = VERDICT_PASS },
	{ .guardrail = { "a-name-of-many-letters", sizeof("a-name-of-many-letters") - 1 },
	    .codes = { "pii.email,pii.card", sizeof("pii.email,pii.card") - 1 },
	    .took_us = 127,
	    .what = VERDICT_MASK,
	    .is_monitor = true },
	{ .guardrail = { "slow", sizeof("slow") - 1 },
	    .took_us = 128,
	    .what = VERDICT_ERROR,
	    .is_answer = true },
	{ .guardrail = { "slower", sizeof("slower") - 1 },
	    .took_us = INT64_MAX,
	    .what = VERDICT_BLOCK,
	    .codes = { "\"quoted\"", sizeof("\"quoted\"") - 1 },
	    .is_answer = true,
	    .is_monitor = true },
};
enum {
	SAID = sizeof(said) / sizeof(*said)
};

static void
verdicts_come_back_as_they_were(void **state)
{
	struct arena *a = arena_new(1 << 16);
	struct record_verdict v;
	lz_str rest = verdicts_write(a, said, SAID);

	(void)state;
	assert_null(verdicts_write(a, said, 0).ptr);
	assert_int_equal(verdicts_write(a, said, 1).len, 1 + 3 + 3);
	for (size_t i = 0; i < SAID; i++) {
		assert_true(verdicts_read(&rest, &v));
		assert_true(str_eq(v.guardrail, said[i].guardrail));
		assert_true(str_eq(v.codes, said[i].codes));
		assert_int_equal(v.what, said[i].what);
		assert_true(v.took_us == said[i].took_us);
		assert_int_equal(v.is_answer, said[i].is_answer);
		assert_int_equal(v.is_monitor, said[i].is_monitor);
	}
	assert_false(verdicts_read(&rest, &v));
	arena_free(a);
}

static void
verdicts_are_shown_as_json(void **state)
{
	struct arena *a = arena_new(1 << 16);
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	verdicts_print(verdicts_write(a, said + 1, 2), &out);
	buf_add_char(&out, '\0');
	assert_string_equal(out.ptr,
	    "[{\"guardrail\":\"a-name-of-many-letters\",\"phase\":\"request\","
	    "\"verdict\":\"mask\",\"codes\":[\"pii.email\",\"pii.card\"],"
	    "\"mode\":\"monitor\",\"ms\":0.127},"
	    "{\"guardrail\":\"slow\",\"phase\":\"response\",\"verdict\":\"error\","
	    "\"codes\":[],\"mode\":\"enforce\",\"ms\":0.128}]");
	buf_free(&out);
	arena_free(a);
}

static void
verdicts_that_were_cut_or_changed_end_there(void **state)
{
	struct arena *a = arena_new(1 << 16);
	lz_str all = verdicts_write(a, said, SAID), rest;
	struct record_verdict v;
	size_t n;
	char *p;

	(void)state;
	for (size_t cut = 0; cut < all.len; cut++) {
		rest = str_cut(all, 0, cut);
		for (n = 0; verdicts_read(&rest, &v); n++)
			assert_true(str_eq(v.guardrail, said[n].guardrail));
		assert_true(n < SAID);
	}
	p = (char *)(uintptr_t)all.ptr;
	p[1] = (char)0x47; /* a head that nobody wrote */
	assert_false(verdicts_read(&all, &v));
	p[1] = (char)0x07; /* no such verdict */
	assert_false(verdicts_read(&all, &v));
	arena_free(a);
}

/* Room for all that may hold: where it is too little, those that say nothing give way. */
static void
of_too_many_verdicts_those_that_say_something_stay(void **state)
{
	static struct record_verdict many[1000];
	struct arena *a = arena_new(1 << 20);
	struct record_verdict v;
	lz_str rest;

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		many[i] = said[i == 500];
	rest = verdicts_write(a, many, 1000);
	assert_true(verdicts_read(&rest, &v));
	assert_int_equal(v.what, VERDICT_MASK);
	assert_false(verdicts_read(&rest, &v));
	assert_null(verdicts_write(a, many, 500).ptr);
	arena_free(a);
}

#define TEST(name) cmocka_unit_test(name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(verdicts_come_back_as_they_were),
		TEST(verdicts_are_shown_as_json),
		TEST(verdicts_that_were_cut_or_changed_end_there),
		TEST(of_too_many_verdicts_those_that_say_something_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
