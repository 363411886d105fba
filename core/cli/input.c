/* input.c - files that a command is given.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"

/* A pipe that nobody writes to is at its end at once: opening it does not wait. */
static FILE *
open_file(const char *path, bool *is_pipe)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat is;
	FILE *f;

	if (fd < 0)
		return NULL;
	(void)fcntl(fd, F_SETFL, 0);
	*is_pipe = fstat(fd, &is) == 0 && S_ISFIFO(is.st_mode);
	f = fdopen(fd, "r");
	if (f == NULL)
		(void)close(fd);
	return f;
}

enum status
input_file(const char *path, struct buf *out, struct err *e)
{
	bool is_pipe = false;
	FILE *f = strcmp(path, "-") == 0 ? stdin : open_file(path, &is_pipe);
	size_t n;

	if (f == NULL)
		return err_fail(e, ST_IO, "%s: %s", path, strerror(errno));
	do {
		char *room = buf_room(out, 4096);

		n = room == NULL ? 0 : fread(room, 1, 4096, f);
		out->len += n;
	} while (n > 0);
	n = ferror(f) ? (size_t)errno : 0;
	if (f != stdin)
		fclose(f);
	if (n != 0)
		return err_fail(
		    e, ST_IO, "%s: cannot be read: %s", path, strerror((int)n));
	if (is_pipe && out->len == 0 && !out->failed)
		return err_fail(e, ST_IO, "%s: nothing came through this pipe", path);
	return out->failed ? err_fail(e, ST_LIMIT, "%s: larger than %zu bytes", path,
				 out->max_bytes)
			   : ST_OK;
}
