/* test_ledger_play.c - random sequences of operations on the ledger and all that stands
 * behind it, compared with a model of it.
 *
 * LATENZA_PLAY_SEED   the first sequence's seed; else the date of this test
 * LATENZA_PLAY_COUNT  how many sequences; else 1,500
 * LATENZA_PLAY_TOLD   tells every step
 *
 * A sequence that differs names its own seed; with it and a count of 1 it is played
 * again.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ledger_play.h"

enum {
	BYTES_MOST = 900
};

static const uint64_t default_seed = 20261122;
static const long default_count = 1500;
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

static void
play_seed(void)
{
	uint8_t bytes[BYTES_MOST];
	uint64_t state = seed;
	size_t n = 40 + random_next(&state) % (BYTES_MOST - 40);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(random_next(&state) >> 32);
	play_bytes(bytes, n, true);
	play_bytes(bytes, n, false);
}

static long long
number_of(const char *name, long long otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoll(text, NULL, 10) : otherwise;
}

static void
tell_what_happened(void)
{
	static const char *const name[PLAY_TALLIES] = { "admitted", "refused to wait",
		"refused as spent", "refused by storage", "refused for its owner",
		"bound above the key", "failed over", "overspent", "topped up", "crashes",
		"lost open", "periods" };

	for (int i = 0; i < PLAY_TALLIES; i++) {
		print_message("%s %ld%s", name[i], play.tally[i],
		    i + 1 < PLAY_TALLIES ? ", " : "\n");
		/* A test in which nothing happens proves nothing. */
		assert_true(play.tally[i] > 0);
	}
}

static void
random_sequences_end_as_the_model_says(void **state)
{
	long count = (long)number_of("LATENZA_PLAY_COUNT", default_count);
	long long first = number_of("LATENZA_PLAY_SEED", (long long)default_seed);

	(void)state;
	print_message("seeds %lld to %lld\n", first, first + count - 1);
	play_set_up();
	for (long i = 0; i < count; i++) {
		seed = (uint64_t)(first + i);
		play_seed();
	}
	play_tear_down();
	if (count >= 100)
		tell_what_happened();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_sequences_end_as_the_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
