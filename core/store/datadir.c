/* datadir.c - the data directory: who owns it, and which run this is.
 *
 * One process owns a data directory, by flock on latenza.lock, which the kernel takes
 * back however the process ends. The boot number names this run's spool segments; it is
 * durable before it is used, so that no two runs share a name.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "store/file.h"
#include "store/segment.h"

enum {
	PATH_BYTES = 4096
};

enum status
datadir_file(const struct datadir *d, const char *name, char *out, size_t n)
{
	int len = snprintf(out, n, "%s/%s", d->path, name);

	return len > 0 && (size_t)len < n ? ST_OK : ST_LIMIT;
}

/* Makes one directory, and its name durable: what is in it is worth nothing without. */
static enum status
make_directory(const char *path, struct err *e)
{
	char parent[PATH_BYTES];
	const char *slash = strrchr(path, '/');

	if (io.mkdir(path, 0700) != 0) {
		if (errno == EEXIST)
			return ST_OK;
		return err_fail(e, ST_IO,
		    "%s: directory cannot be made: %s; make it, or choose another "
		    "`data`",
		    path, strerror(errno));
	}
	if (slash == NULL)
		(void)snprintf(parent, sizeof(parent), ".");
	else
		(void)snprintf(parent, sizeof(parent), "%.*s",
		    slash == path ? 1 : (int)(slash - path), path);
	return segment_sync_dir(parent, e);
}

/* Makes every directory of the path that is missing. Those that exist are not touched. */
static enum status
make_directories(const char *path, struct err *e)
{
	char part[PATH_BYTES];
	size_t len = strlen(path);
	enum status st = ST_OK;

	for (size_t i = 1; st == ST_OK && i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		st = make_directory(part, e);
	}
	return st;
}

static enum status
check_directory(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		if (errno == ENOENT)
			return err_fail(e, ST_NOT_FOUND,
			    "%s: data directory does not exist; `latenza init` or "
			    "`latenza serve` makes it",
			    path);
		return err_fail(e, ST_IO, "%s: data directory cannot be used: %s", path,
		    strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return err_fail(
		    e, ST_INVALID, "%s: is not a directory; `data` must name one", path);
	if ((st.st_mode & S_IWOTH) != 0)
		return err_fail(e, ST_DENIED,
		    "%s: mode %04o lets everybody replace its files; chmod o-w it", path,
		    (unsigned)st.st_mode & 07777u);
	return ST_OK;
}

/* Whose the lock is, for a person: the file's first line. */
static void
read_owner(int fd, char out[24])
{
	ssize_t n = io.pread(fd, out, 23, 0);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	if (out[0] == '\0')
		(void)snprintf(out, 24, "unknown");
}

/* For a person, too: a pid that could not be written costs nothing but a worse sentence.
 */
static void
write_owner(int fd)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (io.ftruncate(fd, 0) == 0 && io.write(fd, text, (size_t)n) != n)
		(void)io.ftruncate(fd, 0);
}

static enum status
take_lock(struct datadir *d, struct err *e)
{
	char path[PATH_BYTES], owner[24];
	enum status st;

	if (datadir_file(d, "latenza.lock", path, sizeof(path)) != ST_OK)
		return err_fail(e, ST_LIMIT, "%s: the path is too long", d->path);
	d->lock_fd = io.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (d->lock_fd < 0)
		return err_fail(e, ST_IO,
		    "%s: cannot be opened: %s; the data directory must be writable for "
		    "this user",
		    path, strerror(errno));
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) == 0) {
		write_owner(d->lock_fd);
		return ST_OK;
	}
	if (errno == EWOULDBLOCK) {
		read_owner(d->lock_fd, owner);
		st = err_fail(e, ST_EXISTS,
		    "%s: process %s uses this data directory; stop it, or choose another "
		    "`data`",
		    d->path, owner);
	} else {
		st = err_fail(e, ST_IO,
		    "%s: flock: %s; the file system must support locks", path,
		    strerror(errno));
	}
	(void)io.close(d->lock_fd);
	d->lock_fd = -1;
	return st;
}

static enum status
make_spool(const struct datadir *d, char path[PATH_BYTES], struct err *e)
{
	if (datadir_file(d, "spool", path, PATH_BYTES) != ST_OK)
		return err_fail(e, ST_LIMIT, "%s: the path is too long", d->path);
	return make_directory(path, e);
}

/* The highest boot number that a segment still bears, for a boot file that was lost. */
static enum status
highest_in_spool(const char *path, uint64_t *boot, struct err *e)
{
	struct segment *list;
	enum status st;
	size_t count;

	st = segment_list(path, &list, &count, e);
	if (st != ST_OK)
		return st;
	for (size_t i = 0; i < count; i++) {
		if (list[i].boot > *boot)
			*boot = list[i].boot;
	}
	mem_free(list);
	return ST_OK;
}

/* The number in the boot file; 0 when there is none. */
static enum status
read_boot(const char *path, uint64_t *boot, struct err *e)
{
	char text[32];
	lz_str line = { text, 0 };
	int64_t number;
	enum status st = file_read(path, text, sizeof(text), &line.len, NULL, e);

	if (st == ST_NOT_FOUND) {
		*boot = 0;
		return ST_OK;
	}
	if (st != ST_OK)
		return st;
	if (line.len > 0 && text[line.len - 1] == '\n')
		line.len--;
	if (!str_to_int(line, INT64_MAX - 1, &number))
		return err_fail(e, ST_INVALID,
		    "%s: expected the number of the last start, got %zu other bytes; "
		    "remove the file to count on "
		    "from the spool",
		    path, line.len);
	*boot = (uint64_t)number;
	return ST_OK;
}

static enum status
count_boot(struct datadir *d, struct err *e)
{
	char path[PATH_BYTES], spool[PATH_BYTES], text[32];
	uint64_t last = 0, spooled = 0;
	enum status st;
	int n;

	if (datadir_file(d, "boot", path, sizeof(path)) != ST_OK)
		return err_fail(e, ST_LIMIT, "%s: the path is too long", d->path);
	st = read_boot(path, &last, e);
	if (st == ST_OK)
		st = make_spool(d, spool, e);
	if (st == ST_OK)
		st = highest_in_spool(spool, &spooled, e);
	if (st != ST_OK)
		return st;
	d->boot = (last > spooled ? last : spooled) + 1;
	n = snprintf(text, sizeof(text), "%" PRIu64 "\n", d->boot);
	return file_replace(d->path, "boot", text, (size_t)n, e);
}

/* The path without the slashes at its end. */
static enum status
set_path(struct datadir *d, const char *path, struct err *e)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len == 0)
		return err_fail(
		    e, ST_INVALID, "data: the path is empty; it must name a directory");
	if (len >= sizeof(d->path))
		return err_fail(e, ST_LIMIT,
		    "data: the path has %zu bytes; at most %zu are possible", len,
		    sizeof(d->path) - 1);
	memcpy(d->path, path, len);
	d->path[len] = '\0';
	return ST_OK;
}

enum status
datadir_open(const char *path, enum datadir_use use, struct datadir *out, struct err *e)
{
	enum status st;

	*out = (struct datadir){ .lock_fd = -1 };
	st = set_path(out, path, e);
	if (st == ST_OK && use == DATADIR_SERVE)
		st = make_directories(out->path, e);
	if (st == ST_OK)
		st = check_directory(out->path, e);
	if (st == ST_OK)
		st = take_lock(out, e);
	if (st == ST_OK && use == DATADIR_SERVE)
		st = count_boot(out, e);
	if (st != ST_OK)
		datadir_close(out);
	return st;
}

void
datadir_close(struct datadir *d)
{
	if (d->lock_fd >= 0)
		(void)io.close(d->lock_fd);
	d->lock_fd = -1;
}
