/* file.h - small files of the data directory: read whole, replaced whole.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include <sys/types.h>

#include "base/status.h"

/* Reads a regular file of at most `size` bytes. `mode` may be NULL; else the file's
 * permissions. ST_NOT_FOUND, ST_LIMIT when larger, ST_INVALID when it is no regular file,
 * ST_IO. */
enum status file_read(const char *path, void *out, size_t size, size_t *len, mode_t *mode,
    struct err *e) MUST_CHECK;
/* DIR/NAME gets these contents, mode 0600 whatever the umask, in one step: after a crash
 * it is the old file or the new one. Durable when ST_OK. */
enum status file_replace(
    const char *dir, const char *name, const void *p, size_t n, struct err *e) MUST_CHECK;
/* A new file, mode 0600, with these contents, durable but for its name. ST_EXISTS. */
enum status file_create(
    const char *path, const void *p, size_t n, struct err *e) MUST_CHECK;

#endif
