/* project.h - files that `plugin new`, `policy new` and `policy init` write: templates
 * that the program carries, under new names. Private to cli/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_PROJECT_H
#define CLI_PROJECT_H

#include "base/buf.h"
#include "base/status.h"

enum {
	PROJECT_FILE_BYTES = 64 << 10,
	PROJECT_FILES = 8,
	PROJECT_PATH_BYTES = 4096
};

/* What was written, to be removed when something fails. */
struct project_files {
	char path[PROJECT_FILES][PROJECT_PATH_BYTES];
	unsigned count;
};

/* What stands instead of each `from`. */
struct project_change {
	char from[64];
	const char *before, *name, *after;
};

/* A template that the build carries, by the name of its file. */
const char *project_template(const char *file);
void project_add(
    struct buf *out, const char *text, const struct project_change *c, size_t count);
/* Writes a new file; one that is there is left alone. ST_IO, ST_NOMEM */
enum status project_write(struct project_files *p, const char *path, const struct buf *b,
    struct err *e) MUST_CHECK;
void project_take_back(const struct project_files *p);

#endif
