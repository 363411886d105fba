/* file.c - small files of the data directory.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "store/segment.h"

enum {
	PATH_BYTES = 4096
};

static enum status
read_open_file(
    int fd, const char *path, void *out, size_t size, size_t *len, struct err *e)
{
	char *p = out;
	char more;
	ssize_t n;

	*len = 0;
	do {
		n = *len < size ? io.read(fd, p + *len, size - *len)
				: io.read(fd, &more, 1);
		if (n < 0 && errno != EINTR)
			return err_fail(
			    e, ST_IO, "%s: cannot be read: %s", path, strerror(errno));
		if (n > 0 && *len == size)
			return err_fail(e, ST_LIMIT,
			    "%s: is larger than the %zu bytes it should have", path,
			    size);
		if (n > 0)
			*len += (size_t)n;
	} while (n != 0);
	return ST_OK;
}

enum status
file_read(
    const char *path, void *out, size_t size, size_t *len, mode_t *mode, struct err *e)
{
	struct stat st;
	enum status result;
	/* O_NONBLOCK: a FIFO in its place must not stop the start. */
	int fd = io.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (fd < 0)
		return err_fail(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO,
		    "%s: cannot be opened: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0)
		result = err_fail(e, ST_IO, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		result = err_fail(e, ST_INVALID, "%s: is not a regular file", path);
	else
		result = read_open_file(fd, path, out, size, len, e);
	(void)io.close(fd);
	if (result == ST_OK && mode != NULL)
		*mode = st.st_mode & 07777u;
	return result;
}

static enum status
fill(int fd, const char *path, const char *p, size_t n, struct err *e)
{
	ssize_t done;

	if (fchmod(fd, 0600) != 0)
		return err_fail(e, ST_IO, "%s: chmod: %s", path, strerror(errno));
	while (n > 0) {
		done = io.write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return err_fail(e, done == 0 || errno == ENOSPC ? ST_FULL : ST_IO,
			    "%s: cannot be written: %s", path,
			    done == 0 ? "nothing was taken" : strerror(errno));
		p += done;
		n -= (size_t)done;
	}
	if (io.fsync(fd) != 0)
		return err_fail(e, ST_IO, "%s: fsync: %s", path, strerror(errno));
	return ST_OK;
}

enum status
file_create(const char *path, const void *p, size_t n, struct err *e)
{
	enum status st;
	int fd = io.open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd < 0 && errno == EEXIST)
		return err_fail(e, ST_EXISTS, "%s: exists already", path);
	if (fd < 0)
		return err_fail(
		    e, ST_IO, "%s: cannot be created: %s", path, strerror(errno));
	st = fill(fd, path, p, n, e);
	if (io.close(fd) != 0 && st == ST_OK)
		st = err_fail(e, ST_IO, "%s: close: %s", path, strerror(errno));
	if (st != ST_OK)
		(void)io.unlink(path);
	return st;
}

enum status
file_replace(const char *dir, const char *name, const void *p, size_t n, struct err *e)
{
	char path[PATH_BYTES], fresh[PATH_BYTES];
	enum status st;
	int len = snprintf(fresh, sizeof(fresh), "%s/%s.new", dir, name);

	if (len < 0 || (size_t)len >= sizeof(fresh))
		return err_fail(e, ST_LIMIT, "%s: the path is too long", dir);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (io.unlink(fresh) != 0 && errno != ENOENT)
		return err_fail(
		    e, ST_IO, "%s: cannot be removed: %s", fresh, strerror(errno));
	st = file_create(fresh, p, n, e);
	if (st != ST_OK)
		return st;
	if (io.rename(fresh, path) != 0) {
		st = err_fail(
		    e, ST_IO, "%s: cannot be replaced: %s", path, strerror(errno));
		(void)io.unlink(fresh);
		return st;
	}
	return segment_sync_dir(dir, e);
}
