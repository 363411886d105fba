/* content_file.c - the numbered files that prompts and answers are appended to.
 *
 * Which bytes of them count is said by rows of the database. What was appended and has no
 * row yet is cut off when its transaction fails, or at the next start.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/content_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

enum {
	FILE_BYTES = 64 << 20,
	WIPE_BYTES = 4096
};
/* So that what is pruned leaves the disk soon, however little is written. */
static const int64_t FILE_US = INT64_C(3600) * 1000000;

void
content_files_init(struct content_files *f, const char *path)
{
	*f = (struct content_files){ .fd = -1, .wiped_fd = -1, .first = 1, .next = 1 };
	(void)snprintf(f->dir, sizeof(f->dir), "%s-content", path);
}

static void
close_last(struct content_files *f)
{
	if (f->fd >= 0)
		(void)io.close(f->fd);
	f->fd = -1;
}

void
content_files_close(struct content_files *f)
{
	close_last(f);
	if (f->wiped_fd >= 0)
		(void)io.close(f->wiped_fd);
	f->wiped_fd = -1;
}

static void
path_of(const struct content_files *f, uint32_t number, char out[CONTENT_PATH_BYTES])
{
	(void)snprintf(out, CONTENT_PATH_BYTES, "%s/%" PRIu32, f->dir, number);
}

static enum status
fail(const char *path, const char *what, struct err *e)
{
	return err_fail(e,
	    errno == ENOENT                      ? ST_NOT_FOUND
	    : errno == ENOSPC || errno == EDQUOT ? ST_FULL
						 : ST_IO,
	    "%s: cannot be %s: %s", path, what, strerror(errno));
}

/* Its number, if it is a file of ours. */
static bool
parse_name(const char *name, uint32_t *number)
{
	char again[16];
	int64_t n;

	if (!str_to_int(lz_strz(name), UINT32_MAX - 1, &n) || n < 1)
		return false;
	*number = (uint32_t)n;
	(void)snprintf(again, sizeof(again), "%" PRIu32, *number);
	return strcmp(again, name) == 0;
}

enum status
content_files_look(struct content_files *f,
    enum status (*fn)(void *arg, uint32_t number, struct err *e), void *arg,
    struct err *e)
{
	uint32_t number, first = 0;
	enum status st = ST_OK;
	struct dirent *entry;
	DIR *d = opendir(f->dir);

	if (d == NULL)
		return errno == ENOENT ? ST_OK : fail(f->dir, "listed", e);
	while (st == ST_OK && (errno = 0, entry = readdir(d)) != NULL) {
		if (!parse_name(entry->d_name, &number))
			continue;
		if (first == 0 || number < first)
			first = number;
		if (number >= f->next)
			f->next = number + 1;
		st = fn(arg, number, e);
	}
	if (st == ST_OK && errno != 0)
		st = fail(f->dir, "listed", e);
	(void)closedir(d);
	f->first = first == 0 ? f->next : first;
	return st;
}

/* ---- appending ---- */

static bool
is_due(const struct content_files *f)
{
	return f->fd < 0 || f->end >= FILE_BYTES ||
	       clock_mono_us() - f->opened_at_us >= FILE_US;
}

static enum status
open_next(struct content_files *f, struct err *e)
{
	char path[CONTENT_PATH_BYTES];

	close_last(f);
	path_of(f, f->next, path);
	if (io.mkdir(f->dir, 0700) != 0 && errno != EEXIST)
		return fail(f->dir, "created", e);
	f->fd = io.open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);
	if (f->fd < 0)
		return fail(path, "created", e);
	f->number = f->next++;
	f->end = f->sure = 0;
	f->opened_at_us = clock_mono_us();
	return ST_OK;
}

static enum status
write_all(struct content_files *f, lz_str bytes, struct err *e)
{
	char path[CONTENT_PATH_BYTES];
	ssize_t done;

	while (bytes.len > 0) {
		done = io.write(f->fd, bytes.ptr, bytes.len);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			path_of(f, f->number, path);
			return fail(path, "written", e);
		}
		f->end += (uint64_t)done;
		bytes = str_cut(bytes, (size_t)done, bytes.len);
	}
	return ST_OK;
}

enum status
content_files_append(
    struct content_files *f, lz_str bytes, uint32_t *number, uint64_t *at, struct err *e)
{
	enum status st = is_due(f) ? open_next(f, e) : ST_OK;

	if (st != ST_OK)
		return st;
	*number = f->number;
	*at = f->end;
	return write_all(f, bytes, e);
}

void
content_files_keep(struct content_files *f)
{
	f->sure = f->end;
}

/* A file that cannot be cut is left to the next start. */
void
content_files_undo(struct content_files *f)
{
	if (f->fd < 0 || f->end == f->sure)
		return;
	if (io.ftruncate(f->fd, (off_t)f->sure) == 0)
		f->end = f->sure;
	else
		close_last(f);
}

/* ---- reading, cutting, removing ---- */

static enum status
read_at(int fd, const char *path, char *to, size_t n, uint64_t at, struct err *e)
{
	ssize_t got;

	while (n > 0) {
		got = io.pread(fd, to, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(path, "read", e);
		if (got == 0)
			return err_fail(e, ST_NOT_FOUND, "%s: ends too early", path);
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return ST_OK;
}

enum status
content_files_read(const struct content_files *f, uint32_t number, uint64_t at, void *to,
    size_t n, struct err *e)
{
	char path[CONTENT_PATH_BYTES];
	enum status st;
	int fd;

	path_of(f, number, path);
	fd = io.open(path, O_RDONLY, 0);
	if (fd < 0)
		return fail(path, "opened", e);
	st = read_at(fd, path, to, n, at, e);
	(void)io.close(fd);
	return st;
}

enum status
content_files_size(
    const struct content_files *f, uint32_t number, uint64_t *bytes, struct err *e)
{
	char path[CONTENT_PATH_BYTES];
	struct stat st;

	*bytes = 0;
	path_of(f, number, path);
	if (stat(path, &st) == 0)
		*bytes = (uint64_t)st.st_size;
	else if (errno != ENOENT)
		return fail(path, "looked at", e);
	return ST_OK;
}

enum status
content_files_cut(
    const struct content_files *f, uint32_t number, uint64_t bytes, struct err *e)
{
	char path[CONTENT_PATH_BYTES];
	enum status st = ST_OK;
	int fd;

	path_of(f, number, path);
	fd = io.open(path, O_WRONLY, 0);
	if (fd < 0)
		return fail(path, "opened", e);
	if (io.ftruncate(fd, (off_t)bytes) != 0)
		st = fail(path, "cut", e);
	(void)io.close(fd);
	return st;
}

enum status
content_files_remove(const struct content_files *f, uint32_t number, struct err *e)
{
	char path[CONTENT_PATH_BYTES];

	path_of(f, number, path);
	if (io.unlink(path) != 0 && errno != ENOENT)
		return fail(path, "deleted", e);
	return ST_OK;
}

/* ---- wiping ---- */

enum status
content_files_wiped(struct content_files *f, struct err *e)
{
	char path[CONTENT_PATH_BYTES];
	enum status st = ST_OK;

	if (f->wiped_fd < 0)
		return ST_OK;
	path_of(f, f->wiped, path);
	if (io.fdatasync(f->wiped_fd) != 0)
		st = fail(path, "made durable", e);
	(void)io.close(f->wiped_fd);
	f->wiped_fd = -1;
	return st;
}

/* One file after the other, so that each is synced once. */
static enum status
open_to_wipe(struct content_files *f, uint32_t number, struct err *e)
{
	char path[CONTENT_PATH_BYTES];
	enum status st;

	if (f->wiped_fd >= 0 && f->wiped == number)
		return ST_OK;
	st = content_files_wiped(f, e);
	if (st != ST_OK)
		return st;
	path_of(f, number, path);
	f->wiped_fd = io.open(path, O_WRONLY, 0);
	f->wiped = number;
	return f->wiped_fd >= 0 ? ST_OK : fail(path, "opened", e);
}

enum status
content_files_wipe(
    struct content_files *f, uint32_t number, uint64_t at, size_t n, struct err *e)
{
	static const char zeros[WIPE_BYTES];
	char path[CONTENT_PATH_BYTES];
	enum status st = open_to_wipe(f, number, e);
	ssize_t done;

	if (st != ST_OK)
		return st;
	path_of(f, number, path);
	if (lseek(f->wiped_fd, (off_t)at, SEEK_SET) < 0)
		return fail(path, "written", e);
	while (n > 0) {
		done = io.write(f->wiped_fd, zeros, n < WIPE_BYTES ? n : WIPE_BYTES);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return fail(path, "written", e);
		n -= (size_t)done;
	}
	return ST_OK;
}
