/* fuzz_guard.c - a stream through a chain of guardrails: the bytes are a play as
 * tests/guard_play.h reads it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>

#include "guard_play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
play_give_up(const char *why)
{
	(void)fprintf(stderr, "%s\n", why);
	abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct play p;

	play_set_up();
	play_read(&p, data, size);
	play_compare(&p);
	return 0;
}
