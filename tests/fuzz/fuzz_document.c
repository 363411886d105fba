/* fuzz_document.c - texts of a document: found, changed, and put back.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "document_play.h"

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
	document_play(data, size);
	return 0;
}
