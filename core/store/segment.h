/* segment.h - the spool's files by name: WORKER.BOOT.SEQ, three decimal numbers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "base/status.h"

enum {
	SEGMENT_NAME_BYTES = 48,  /* 10 + 1 + 20 + 1 + 10 digits and the NUL */
	SEGMENT_PATH_BYTES = 4096 /* directory and name */
};

struct segment {
	unsigned worker;
	uint64_t boot;
	uint32_t seq;
};

void segment_name(const struct segment *s, char out[SEGMENT_NAME_BYTES]);
bool segment_parse(
    const char *name, struct segment *out); /* exactly what segment_name() writes */
/* "DIR/NAME" and a suffix that may be empty. ST_LIMIT when too long. */
enum status segment_path(const char *dir, const struct segment *s, const char *suffix,
    char out[SEGMENT_PATH_BYTES]) MUST_CHECK;
/* The segments in a directory: of earlier boots first, then by worker and sequence, which
 * keeps each worker's order. Other files are passed over. *out: owned, mem_free(). */
enum status segment_list(
    const char *dir, struct segment **out, size_t *count, struct err *e) MUST_CHECK;
/* Makes creations, renames and deletions in a directory durable. */
enum status segment_sync_dir(const char *dir, struct err *e) MUST_CHECK;

#endif
