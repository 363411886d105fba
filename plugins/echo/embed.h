/* embed.h - echo's vectors: what echo.c and embed.c share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ECHO_EMBED_H
#define ECHO_EMBED_H

#include <latenza/plugin.h>

/* Answers a request for embeddings: LZ_ANSWERED, or < 0. [worker] */
int32_t embed_answer(lz_call *c);

#endif
