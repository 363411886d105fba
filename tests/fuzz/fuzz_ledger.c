/* fuzz_ledger.c - operations on the ledger and all that stands behind it, compared with a
 * model of it: the bytes are a play as tests/ledger_play.h reads it.
 *
 * Each is played without books. With files, mover, recovery and database a play takes
 * five times as long: libFuzzer plays one in BOOKS_EVERY so, which the bytes decide in a
 * way that no mutation can steer; of a corpus that is replayed, every one is.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ledger_play.h"

enum {
	BYTES_MOST = 600, /* longer plays are slower and have no more to say */
	BOOKS_EVERY = 64
};

static unsigned books_every = 1;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
play_give_up(const char *why)
{
	(void)fprintf(stderr, "%s\n", why);
	abort();
}

/* Only libFuzzer calls it. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	books_every = BOOKS_EVERY;
	return 0;
}

static void
end(void)
{
	play_tear_down();
}

/* FNV-1a */
static unsigned
hash(const uint8_t *data, size_t size)
{
	uint32_t h = UINT32_C(2166136261);

	for (size_t i = 0; i < size; i++)
		h = (h ^ data[i]) * UINT32_C(16777619);
	return h ^ h >> 16;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_set_up;

	if (!is_set_up) {
		play_set_up();
		(void)atexit(end);
		is_set_up = true;
	}
	if (size > BYTES_MOST)
		size = BYTES_MOST;
	play_bytes(data, size, false);
	if (hash(data, size) % books_every == 0)
		play_bytes(data, size, true);
	return 0;
}
