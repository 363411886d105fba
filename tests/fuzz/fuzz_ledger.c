/* fuzz_ledger.c - operations on the ledger and all that stands behind it, compared with a
 * model of it: the bytes are a play as tests/ledger_play.h reads it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ledger_play.h"

enum {
	BYTES_MOST = 600 /* longer plays are slower and have no more to say */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
play_give_up(const char *why)
{
	(void)fprintf(stderr, "%s\n", why);
	abort();
}

static void
end(void)
{
	play_tear_down();
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
	play_bytes(data, size < BYTES_MOST ? size : BYTES_MOST);
	return 0;
}
