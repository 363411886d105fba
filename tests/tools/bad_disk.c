/* bad_disk.c - a disk that misbehaves when it is told to; loaded before the gateway
 * (LD_PRELOAD).
 *
 * BAD_DISK names the directory it stands for, BAD_DISK_SWITCH a file of two letters that
 * is read at every call:
 *   how    o in order, f full, s full after half a write, r read-only, e input/output
 *          error, l slow
 *   which  a all files, s the spool's, d the database's
 * Full is what a file system means by it: what stands may be overwritten and cut, nothing
 * grows and nothing is made.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(type, name, ...)                                                            \
	static type (*real)(__VA_ARGS__);                                                \
	if (real == NULL)                                                                \
	*(void **)&real = dlsym(RTLD_NEXT, name)

enum {
	WRITE_US = 20000,
	SYNC_US = 200000
};

static char
letter(int which)
{
	static const volatile char *state;
	const char *path = getenv("BAD_DISK_SWITCH");
	void *map;
	int fd;

	if (state == NULL && path != NULL) {
		fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
		map = fd < 0 ? MAP_FAILED : mmap(NULL, 2, PROT_READ, MAP_SHARED, fd, 0);
		if (map != MAP_FAILED)
			state = map;
	}
	return state == NULL ? 'o' : state[which];
}

/* How the disk is for this file; 'o' for one that is none of its. */
static char
how_for(const char *path)
{
	const char *dir = getenv("BAD_DISK");
	char how = letter(0), which = letter(1);
	bool is_spool = strstr(path, "/spool") != NULL;
	bool is_db = strstr(path, "/latenza.db") != NULL;

	if (how == 'o' || dir == NULL || strncmp(path, dir, strlen(dir)) != 0)
		return 'o';
	return which == 'a' || (which == 's' && is_spool) || (which == 'd' && is_db)
		   ? how
		   : 'o';
}

static char
how_for_fd(int fd)
{
	char link[64], path[4096];
	ssize_t n;

	if (letter(0) == 'o')
		return 'o';
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return how_for(path);
}

/* How many of n bytes at `at` are taken; -1 and errno: none. */
static ssize_t
taken(int fd, off_t at, size_t n)
{
	static __thread bool was_short;
	char how = how_for_fd(fd);
	struct stat st;

	if (how == 'l')
		(void)usleep(WRITE_US);
	if (how == 'r' || how == 'e') {
		errno = how == 'r' ? EROFS : EIO;
		return -1;
	}
	if (how != 'f' && how != 's')
		return (ssize_t)n;
	if (fstat(fd, &st) != 0 || at + (off_t)n <= st.st_size)
		return (ssize_t)n;
	was_short = how == 's' && !was_short && n > 1;
	if (was_short)
		return (ssize_t)(n / 2);
	errno = ENOSPC;
	return -1;
}

static off_t
place(int fd)
{
	struct stat st;

	if ((fcntl(fd, F_GETFL) & O_APPEND) != 0 && fstat(fd, &st) == 0)
		return st.st_size;
	return lseek(fd, 0, SEEK_CUR);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	REAL(ssize_t, "write", int, const void *, size_t);
	ssize_t most = letter(0) == 'o' ? (ssize_t)n : taken(fd, place(fd), n);

	return most < 0 ? -1 : real(fd, p, (size_t)most);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
	ssize_t most = letter(0) == 'o' ? (ssize_t)n : taken(fd, at, n);

	return most < 0 ? -1 : real(fd, p, (size_t)most, at);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return pwrite64(fd, p, n, at);
}

/* What changes no byte: refused only by a disk that takes nothing. */
static bool
is_refused(char how)
{
	if (how != 'r' && how != 'e')
		return false;
	errno = how == 'r' ? EROFS : EIO;
	return true;
}

int
ftruncate64(int fd, off64_t n)
{
	REAL(int, "ftruncate64", int, off64_t);

	return is_refused(how_for_fd(fd)) ? -1 : real(fd, n);
}

int
ftruncate(int fd, off_t n)
{
	return ftruncate64(fd, n);
}

static int
before_sync(int fd)
{
	char how = how_for_fd(fd);

	if (how == 'l')
		(void)usleep(SYNC_US);
	if (how == 'e')
		errno = EIO;
	return how == 'e' ? -1 : 0;
}

int
fsync(int fd)
{
	REAL(int, "fsync", int);

	return before_sync(fd) != 0 ? -1 : real(fd);
}

int
fdatasync(int fd)
{
	REAL(int, "fdatasync", int);

	return before_sync(fd) != 0 ? -1 : real(fd);
}

static int
open_it(const char *path, int flags, mode_t mode)
{
	REAL(int, "open64", const char *, int, ...);
	char how = how_for(path);
	bool writes = (flags & O_ACCMODE) != O_RDONLY;
	bool is_new = (flags & O_CREAT) != 0 && access(path, F_OK) != 0;

	if ((writes || is_new) && is_refused(how))
		return -1;
	if (is_new && (how == 'f' || how == 's')) {
		errno = ENOSPC;
		return -1;
	}
	return real(path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
	va_end(more);
	return open_it(path, flags, mode);
}

int
open(const char *path, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
	va_end(more);
	return open_it(path, flags, mode);
}

int
unlink(const char *path)
{
	REAL(int, "unlink", const char *);

	return is_refused(how_for(path)) ? -1 : real(path);
}

int
rename(const char *from, const char *to)
{
	REAL(int, "rename", const char *, const char *);

	return is_refused(how_for(from)) ? -1 : real(from, to);
}
