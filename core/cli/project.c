/* project.c - templates under new names, written file by file or not at all.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/project.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/templates.h"

const char *
project_template(const char *file)
{
	const struct template *t = templates;

	while (t->file != NULL && strcmp(t->file, file) != 0)
		t++;
	must(t->file != NULL); /* the build lists them */
	return t->text;
}

void
project_add(
    struct buf *out, const char *text, const struct project_change *c, size_t count)
{
	while (*text != '\0') {
		size_t i = 0;

		while (i < count && strncmp(text, c[i].from, strlen(c[i].from)) != 0)
			i++;
		if (i == count) {
			buf_add_char(out, *text++);
			continue;
		}
		buf_addf(out, "%s%s%s", c[i].before, c[i].name, c[i].after);
		text += strlen(c[i].from);
	}
}

static enum status
write_all(int fd, const struct buf *b)
{
	size_t at = 0;

	while (at < b->len) {
		ssize_t n = io.write(fd, b->ptr + at, b->len - at);

		if (n < 0 && errno != EINTR)
			return ST_IO;
		at += n > 0 ? (size_t)n : 0;
	}
	return ST_OK;
}

enum status
project_write(
    struct project_files *p, const char *path, const struct buf *b, struct err *e)
{
	enum status st;
	int fd;

	must(p->count < PROJECT_FILES);
	if (strlen(path) >= PROJECT_PATH_BYTES)
		return err_fail(e, ST_LIMIT, "%.60s...: is too long", path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_fail(e, ST_IO, "%s: %s", path,
		    errno == EEXIST ? "is there already; it is left as it is"
				    : strerror(errno));
	(void)snprintf(p->path[p->count++], PROJECT_PATH_BYTES, "%s", path);
	st = b->failed ? ST_NOMEM : write_all(fd, b);
	if (close(fd) != 0 && st == ST_OK)
		st = ST_IO;
	return st == ST_OK ? ST_OK
			   : err_fail(e, st, "%s: cannot be written: %s", path,
				 st == ST_IO ? strerror(errno) : status_name(st));
}

void
project_take_back(const struct project_files *p)
{
	for (unsigned i = 0; i < p->count; i++)
		(void)unlink(p->path[i]);
}
