/* test_cost.c - tokens times price: exact, rounded up, never wrapped.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "trace/cost.h"

/* "0.1234" with `scale` decimals to a whole number, exactly. */
static int64_t
decimal(const char *text, int scale)
{
	int64_t v = 0;
	int seen = -1;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '.') {
			seen = 0;
			continue;
		}
		v = v * 10 + (*p - '0');
		seen += seen >= 0;
	}
	for (int i = seen < 0 ? 0 : seen; i < scale; i++)
		v *= 10;
	assert_true(seen <= scale);
	return v;
}

static void
every_case_of_the_corpus_costs_what_exact_decimals_say(void **state)
{
	const char *root = getenv("srcdir");
	char path[4096], line[300];
	unsigned cases = 0;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/data/money/cases.tsv",
	    root != NULL ? root : ".");
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg(
		    "%s cannot be opened; run from the top folder or set srcdir", path);
	assert_non_null(fgets(line, sizeof(line), f));
	while (fgets(line, sizeof(line), f) != NULL) {
		char in[40], out[40], unit[8], rate[40];
		long long tokens_in, tokens_out, want;
		struct record_usage u = { .input = 0 };
		struct price p = { .cache_read = -1, .cache_write = -1 };

		assert_int_equal(sscanf(line, "%39s %39s %7s %39s %lld %lld %lld", in,
				     out, unit, rate, &tokens_in, &tokens_out, &want),
		    7);
		/* per million tokens: 1e12 pico per unit / 1e6 tokens */
		p.input = decimal(in, 6);
		p.output = decimal(out, 6);
		p.nano_eur_per_unit = decimal(rate, 9);
		u.input = tokens_in;
		u.output = tokens_out;
		assert_int_equal(cost_nano_eur(&p, &u), want);
		cases++;
	}
	fclose(f);
	assert_true(cases >= 27);
}

static void
four_buckets_are_added_before_the_one_rounding(void **state)
{
	struct price p = { .input = 100,
		.cache_read = 10,
		.cache_write = 125,
		.output = 400,
		.nano_eur_per_unit = 1000000000 };
	struct record_usage u = {
		.input = 3, .cache_read = 5, .cache_write = 7, .output = 2, .reasoning = 1
	};

	(void)state;
	/* 300 + 50 + 875 + 800 pico = 2.025 nano */
	assert_int_equal(cost_nano_eur(&p, &u), 3);
	u = (struct record_usage){ .input = 10 };
	assert_int_equal(cost_nano_eur(&p, &u), 1);
	u.input = 11;
	assert_int_equal(cost_nano_eur(&p, &u), 2);
}

static void
unknown_cache_prices_count_as_the_inputs(void **state)
{
	struct price p = { .input = 1000000,
		.cache_read = -1,
		.cache_write = -1,
		.output = 0,
		.nano_eur_per_unit = 1000000000 };
	struct record_usage u = { .cache_read = 2, .cache_write = 3 };

	(void)state;
	assert_int_equal(cost_nano_eur(&p, &u), 5000);
	p.cache_read = 0;
	assert_int_equal(cost_nano_eur(&p, &u), 3000);
}

static void
writes_of_an_hour_and_of_minutes_have_one_price_between_theirs(void **state)
{
	static const struct {
		int64_t writes, of_an_hour, price;
	} cases[] = {
		{ 100, 0, 1250 },
		{ 100, 100, 2000 },
		{ 100, 50, 1625 },
		{ 3, 1, 1500 },
		{ 7, 1, 1358 }, /* 1357.1...: up */
		{ 0, 0, 1250 },
		{ 5, 6, 1250 },
		{ 5, -1, 1250 },
		{ INT64_MAX, INT64_MAX, 2000 },
	};
	struct price p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		p = (struct price){
			.input = 1000, .cache_write = 1250, .cache_write_1h = 2000
		};
		cost_average_writes(&p, cases[i].writes, cases[i].of_an_hour);
		assert_int_equal(p.cache_write, cases[i].price);
	}
	p = (struct price){ .input = 1000, .cache_write = -1, .cache_write_1h = 2000 };
	cost_average_writes(&p, 2, 1);
	assert_int_equal(p.cache_write, 1500);
	p = (struct price){ .input = 1000, .cache_write = 1250, .cache_write_1h = -1 };
	cost_average_writes(&p, 2, 1);
	assert_int_equal(p.cache_write, 1250);
}

static void
tokens_below_zero_cost_nothing_and_take_nothing_off(void **state)
{
	struct price p = { 1000, 1000, 1000, 1000, 1000, 1000000000 };
	struct record_usage u = {
		.input = -5, .cache_read = INT64_MIN, .cache_write = -1, .output = 1000
	};

	(void)state;
	assert_int_equal(cost_nano_eur(&p, &u), 1000);
}

static void
what_does_not_fit_is_the_largest_number(void **state)
{
	struct price p = { INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
		INT64_MAX };
	struct record_usage u = { INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, 0 };

	(void)state;
	assert_int_equal(cost_nano_eur(&p, &u), INT64_MAX);
	/* Just beyond 64 bits after the division, far below 128 before it. */
	p = (struct price){ .input = 1000000000000, .nano_eur_per_unit = 1 };
	u = (struct record_usage){ .input = INT64_MAX };
	assert_int_equal(cost_nano_eur(&p, &u), INT64_MAX);
	u.input = INT64_MAX - 1;
	assert_int_equal(cost_nano_eur(&p, &u), INT64_MAX - 1);
	p.nano_eur_per_unit = 2;
	assert_int_equal(cost_nano_eur(&p, &u), INT64_MAX);
}

static void
about_four_bytes_make_a_token(void **state)
{
	(void)state;
	assert_int_equal(cost_tokens_of_bytes(0), 0);
	assert_int_equal(cost_tokens_of_bytes(-7), 0);
	assert_int_equal(cost_tokens_of_bytes(1), 1);
	assert_int_equal(cost_tokens_of_bytes(4), 1);
	assert_int_equal(cost_tokens_of_bytes(5), 2);
	assert_int_equal(cost_tokens_of_bytes(INT64_MAX), INT64_MAX / 4 + 1);
}

static void
a_price_needs_both_prices_and_an_exchange_rate(void **state)
{
	struct config c = { .fx_nano_eur_per_usd = 920000000 };
	struct provider paid = { .is_free = false }, gratis = { .is_free = true };
	struct model_facts m = { .price_input = 150000,
		.price_output = 600000,
		.price_cache_read = 75000,
		.price_cache_write = -1 };
	struct target t = { .provider = &paid, .model = &m };
	struct price p;

	(void)state;
	assert_true(cost_price(&c, &t, 0, &p));
	assert_int_equal(p.input, 150000);
	assert_int_equal(p.output, 600000);
	assert_int_equal(p.cache_read, 75000);
	assert_int_equal(p.cache_write, -1);
	assert_int_equal(p.nano_eur_per_unit, 920000000);
	m.price_output = -1;
	assert_false(cost_price(&c, &t, 0, &p));
	m.is_embedding = true;
	assert_true(cost_price(&c, &t, 0, &p));
	assert_int_equal(p.output, 0);
	m.price_input = -1;
	assert_false(cost_price(&c, &t, 0, &p));
	m.price_input = m.price_output = 1;
	c.fx_nano_eur_per_usd = 0;
	assert_false(cost_price(&c, &t, 0, &p));
	t.provider = &gratis;
	assert_true(cost_price(&c, &t, 0, &p));
	assert_int_equal(p.input + p.output + p.cache_read + p.cache_write, 0);
}

static void
a_long_prompt_is_at_its_tiers_prices(void **state)
{
	static const struct price_tier tiers[] = { { 200000, 6000000, 22500000, 600000,
						       -1, -1 },
		{ 500000, 1000000, 30000000, 100000, 9000000, -1 } };
	struct config c = { .fx_nano_eur_per_usd = 1000000000 };
	struct provider paid = { .is_free = false }, gratis = { .is_free = true };
	struct model_facts m = { .price_input = 3000000,
		.price_output = 15000000,
		.price_cache_read = 300000,
		.price_cache_write = -1,
		.tier = tiers,
		.tier_count = 2 };
	struct target t = { .provider = &paid, .model = &m };
	static const struct {
		int64_t prompt, input, output, dearest_input, dearest_output;
	} cases[] = {
		{ 0, 3000000, 15000000, 3000000, 15000000 },
		{ 200000, 3000000, 15000000, 3000000, 15000000 },
		{ 200001, 6000000, 22500000, 6000000, 22500000 },
		{ 500000, 6000000, 22500000, 6000000, 22500000 },
		/* A tier may be cheaper: what is reserved is the dearest on the way. */
		{ 500001, 1000000, 30000000, 6000000, 30000000 },
		{ INT64_MAX, 1000000, 30000000, 6000000, 30000000 },
	};
	struct price p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(cost_price(&c, &t, cases[i].prompt, &p));
		assert_int_equal(p.input, cases[i].input);
		assert_int_equal(p.output, cases[i].output);
		assert_true(cost_price_at_most(&c, &t, cases[i].prompt, &p));
		assert_int_equal(p.input, cases[i].dearest_input);
		assert_int_equal(p.output, cases[i].dearest_output);
	}
	assert_int_equal(p.cache_write, 9000000);
	m.price_input = -1; /* a tier alone is no price */
	assert_false(cost_price(&c, &t, 300000, &p));
	assert_false(cost_price_at_most(&c, &t, 300000, &p));
	t.provider = &gratis;
	assert_true(cost_price(&c, &t, 300000, &p));
	assert_int_equal(p.input + p.output, 0);
	assert_true(cost_price_at_most(&c, &t, 300000, &p));
	assert_int_equal(p.input + p.output, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_of_the_corpus_costs_what_exact_decimals_say),
		cmocka_unit_test(four_buckets_are_added_before_the_one_rounding),
		cmocka_unit_test(unknown_cache_prices_count_as_the_inputs),
		cmocka_unit_test(
		    writes_of_an_hour_and_of_minutes_have_one_price_between_theirs),
		cmocka_unit_test(tokens_below_zero_cost_nothing_and_take_nothing_off),
		cmocka_unit_test(what_does_not_fit_is_the_largest_number),
		cmocka_unit_test(about_four_bytes_make_a_token),
		cmocka_unit_test(a_price_needs_both_prices_and_an_exchange_rate),
		cmocka_unit_test(a_long_prompt_is_at_its_tiers_prices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
