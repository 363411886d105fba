/* content_file.h - the numbered files that prompts and answers are appended to.
 *
 * Private to store/. One thread at a time, as the database they belong to.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_CONTENT_FILE_H
#define STORE_CONTENT_FILE_H

#include "base/status.h"
#include "base/str.h"

enum {
	CONTENT_DIR_BYTES = 4096 + 16, /* a database's path and "-content" */
	CONTENT_PATH_BYTES = CONTENT_DIR_BYTES + 24
};

struct content_files {
	char dir[CONTENT_DIR_BYTES];
	uint32_t first, next; /* numbers: of the oldest file that may be there, of the
				 next new one; files count from 1 */
	int fd;               /* that is appended to; -1: none */
	uint32_t number;      /* of that one */
	uint64_t end, sure;   /* of it: where it ends, and ended at the last keep() */
	int64_t opened_at_us;
	int wiped_fd; /* that was wiped in, to be made durable; -1: none */
	uint32_t wiped;
};

/* Beside the database at `path`; touches nothing. */
void content_files_init(struct content_files *f, const char *path);
void content_files_close(struct content_files *f);
/* Sees what is there: fn is told of every file. ST_OK also when there is no directory. */
enum status content_files_look(struct content_files *f,
    enum status (*fn)(void *arg, uint32_t number, struct err *e), void *arg,
    struct err *e) MUST_CHECK;

/* Appends, to a new file if the last one is large or old. *number, *at: where it is. */
enum status content_files_append(struct content_files *f, lz_str bytes, uint32_t *number,
    uint64_t *at, struct err *e) MUST_CHECK;
void content_files_keep(struct content_files *f); /* what was appended stands in rows */
void content_files_undo(struct content_files *f); /* it does not, and is cut off */

/* ST_NOT_FOUND: it is not there, or not all of it. */
enum status content_files_read(const struct content_files *f, uint32_t number,
    uint64_t at, void *to, size_t n, struct err *e) MUST_CHECK;
/* 0: there is none. */
enum status content_files_size(const struct content_files *f, uint32_t number,
    uint64_t *bytes, struct err *e) MUST_CHECK;
enum status content_files_cut(const struct content_files *f, uint32_t number,
    uint64_t bytes, struct err *e) MUST_CHECK;
/* ST_OK also when there is none. */
enum status content_files_remove(
    const struct content_files *f, uint32_t number, struct err *e) MUST_CHECK;
/* Zeros over these bytes, durable after content_files_wiped(). */
enum status content_files_wipe(struct content_files *f, uint32_t number, uint64_t at,
    size_t n, struct err *e) MUST_CHECK;
enum status content_files_wiped(struct content_files *f, struct err *e) MUST_CHECK;

#endif
