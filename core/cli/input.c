/* input.c - files that a command is given.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

enum status
input_file(const char *path, struct buf *out, struct err *e)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	size_t n;

	if (f == NULL)
		return err_fail(e, ST_IO, "%s: %s", path, strerror(errno));
	do {
		char *room = buf_room(out, 4096);

		n = room == NULL ? 0 : fread(room, 1, 4096, f);
		out->len += n;
	} while (n > 0);
	n = (size_t)ferror(f);
	if (f != stdin)
		fclose(f);
	if (n != 0)
		return err_fail(e, ST_IO, "%s: cannot be read", path);
	return out->failed ? err_fail(e, ST_LIMIT, "%s: larger than %zu bytes", path,
				 out->max_bytes)
			   : ST_OK;
}
