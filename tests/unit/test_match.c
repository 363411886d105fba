/* test_match.c - Lua's patterns: as the stock library on whatever it answers, bounded
 * where it is not, and undecided where more text could change the answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "match_twin.h"

enum {
	PAIRS = 10000,
	PAIRS_FULL = 1000000,
	OUT_BYTES = 4096
};

static lua_State *L;
static unsigned
rounds(void)
{
	const char *full = getenv("LATENZA_FULL");

	return full != NULL && *full == '1' ? PAIRS_FULL : PAIRS;
}

static void
answers_are_those_of_the_stock_library(void **state)
{
	struct buf ours, stock;
	char pattern[256], text[TWIN_TEXT_MAX];
	unsigned compared = 0;

	(void)state;
	buf_init(&ours, OUT_BYTES);
	buf_init(&stock, OUT_BYTES);
	for (unsigned i = 0; i < rounds(); i++) {
		lz_str p = lz_strn(pattern, twin_pattern(pattern)),
		       t = lz_strn(text, twin_text(text));

		buf_reset(&ours);
		buf_reset(&stock);
		if (!twin_ours(t, p, &ours))
			continue;
		/* A plain pattern is no pattern to find(). */
		if (match_is_plain(p))
			continue;
		twin_stock(L, t, p, &stock);
		compared++;
		if (!str_eq(buf_str(&ours), buf_str(&stock)))
			fail_msg("find(\"%.*s\", \"%.*s\"): \"%.*s\", stock \"%.*s\"",
			    STR_ARG(t), STR_ARG(p), STR_ARG(buf_str(&ours)),
			    STR_ARG(buf_str(&stock)));
	}
	buf_free(&ours);
	buf_free(&stock);
	assert_true(compared > rounds() / 2);
}

/* Whatever follows, what was decided before the place that is held stays as it was. */
static void
what_is_decided_of_an_open_text_no_longer_text_changes(void **state)
{
	struct buf before, after;
	char pattern[256], text[TWIN_TEXT_MAX];
	unsigned decided = 0;

	(void)state;
	buf_init(&before, OUT_BYTES);
	buf_init(&after, OUT_BYTES);
	for (unsigned i = 0; i < rounds(); i++) {
		lz_str p = lz_strn(pattern, twin_pattern(pattern)),
		       t = lz_strn(text, twin_text(text));
		size_t cut = twin_below((unsigned)t.len + 1), held, end;

		buf_reset(&before);
		buf_reset(&after);
		if (!twin_open_text(str_cut(t, 0, cut), p, true, &before, &held) ||
		    !twin_open_text(t, p, false, &after, &end))
			continue;
		decided += held > 0;
		if (after.len < before.len ||
		    memcmp(before.ptr != NULL ? before.ptr : "",
			after.ptr != NULL ? after.ptr : "", before.len) != 0)
			fail_msg(
			    "\"%.*s\" of \"%.*s\" cut at %zu: \"%.*s\", whole \"%.*s\"",
			    STR_ARG(p), STR_ARG(t), cut, STR_ARG(buf_str(&before)),
			    STR_ARG(buf_str(&after)));
		/* And no match of the whole begins before the held place unless it was
		 * found. */
		if (after.len > before.len && (size_t)atoi(after.ptr + before.len) < held)
			fail_msg("\"%.*s\" of \"%.*s\" cut at %zu held from %zu: whole "
				 "\"%.*s\"",
			    STR_ARG(p), STR_ARG(t), cut, held, STR_ARG(buf_str(&after)));
	}
	buf_free(&before);
	buf_free(&after);
	assert_true(decided > rounds() / 4);
}

static void
looking_for_a_run_of_characters_is_linear(void **state)
{
	static char text[200000];
	struct match m;
	const char *at = text;

	(void)state;
	memset(text, 'a', sizeof(text));
	match_begin(&m, lz_strn(text, sizeof(text)), lz_strz("[%w._-]+@%w+"));
	while (match_at(&m, at) == MATCH_NO && at < m.text_end)
		at = match_next(&m, at);
	assert_int_equal(m.error[0], '\0');
	assert_true(m.steps < 20 * sizeof(text));
}

static void
the_limit_ends_what_would_not_end(void **state)
{
	struct match m;

	(void)state;
	match_begin(&m,
	    lz_strz("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	    lz_strz("a-a-a-a-a-a-a-a-b"));
	m.step_limit = 200000;
	assert_int_equal(match_at(&m, m.text), MATCH_FAILED);
	assert_string_equal(m.error, "pattern too expensive");
	assert_true(m.steps < 201000);
}

static int
open_twin(void **state)
{
	const char *given = getenv("LATENZA_SEED");

	(void)state;
	twin_seed = given != NULL && *given != '\0' ? strtoull(given, NULL, 10)
						    : 88172645463325252u;
	L = twin_open();
	return L != NULL ? 0 : -1;
}

static int
close_twin(void **state)
{
	(void)state;
	lua_close(L);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_those_of_the_stock_library),
		cmocka_unit_test(what_is_decided_of_an_open_text_no_longer_text_changes),
		cmocka_unit_test(looking_for_a_run_of_characters_is_linear),
		cmocka_unit_test(the_limit_ends_what_would_not_end),
	};

	return cmocka_run_group_tests_name("match", tests, open_twin, close_twin);
}
