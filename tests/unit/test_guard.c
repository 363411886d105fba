/* test_guard.c - random streams through random chains of guardrails, cut at random, come
 * to what the whole text comes to; and what must not happen while a guardrail is waited
 * for.
 *
 * LATENZA_PLAY_SEED   the first play's seed; else the date of this test
 * LATENZA_PLAY_COUNT  how many plays; else 10,000
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "guard_play.h"

enum {
	BYTES_MOST = 300
};

static const uint64_t default_seed = 20261130;
static const long default_count = 10000;
static uint64_t seed;

static void
play_give_up(const char *why)
{
	fail_msg("%s\n\tLATENZA_PLAY_SEED=%llu LATENZA_PLAY_COUNT=1 plays it again", why,
	    (unsigned long long)seed);
}

/* splitmix64 */
static uint64_t
random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static long long
number_of(const char *name, long long otherwise)
{
	const char *v = getenv(name);

	return v != NULL && *v != '\0' ? atoll(v) : otherwise;
}

static void
a_cut_stream_comes_to_what_the_whole_text_comes_to(void **state)
{
	static struct play p;
	long long count = number_of("LATENZA_PLAY_COUNT", default_count);
	uint64_t first =
	    (uint64_t)number_of("LATENZA_PLAY_SEED", (long long)default_seed);

	(void)state;
	for (long long k = 0; k < count; k++) {
		uint8_t bytes[BYTES_MOST];
		uint64_t dice = seed = first + (uint64_t)k;
		size_t n = 20 + random_next(&dice) % (BYTES_MOST - 20);

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(random_next(&dice) >> 32);
		play_read(&p, bytes, n);
		play_compare(&p);
	}
}

static int
start(void **state)
{
	(void)state;
	play_set_up();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_stream_comes_to_what_the_whole_text_comes_to),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
