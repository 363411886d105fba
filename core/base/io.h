/* io.h - the system calls that can fail for reasons outside the program, behind one
 * table.
 *
 * Tests replace entries to make the k-th read, write, fsync, open or accept fail, be
 * short or be slow. Each entry has the signature, the errno rules and the blocking
 * behaviour of the call it is named after.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

struct io_calls {
	int (*open)(const char *path, int flags, mode_t mode); /* O_CLOEXEC is added */
	int (*close)(int fd);
	ssize_t (*read)(int fd, void *p, size_t n);
	ssize_t (*pread)(int fd, void *p, size_t n, off_t at);
	ssize_t (*write)(int fd, const void *p, size_t n);
	ssize_t (*writev)(int fd, const struct iovec *v, int n);
	int (*fsync)(int fd);
	int (*fdatasync)(int fd);
	int (*ftruncate)(int fd, off_t n);
	int (*rename)(const char *from, const char *to);
	int (*unlink)(const char *path);
	int (*mkdir)(const char *path, mode_t mode);
	ssize_t (*recv)(int fd, void *p, size_t n, int flags);
	ssize_t (*sendmsg)(int fd, const struct msghdr *m, int flags);
	int (*accept)(
	    int fd, struct sockaddr *a, socklen_t *len); /* accept4 NONBLOCK|CLOEXEC */
};

extern struct io_calls
    io; /* starts as the system's own. Only tests write it, before threads start. */

#endif
