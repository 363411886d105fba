/* io.c - the system's own calls as the first contents of the table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Plugins and the checker child must not inherit what the gateway opened. */
static int
system_open(const char *path, int flags, mode_t mode)
{
	return open(path, flags | O_CLOEXEC, mode);
}

static int
system_accept(int fd, struct sockaddr *a, socklen_t *len)
{
	return accept4(fd, a, len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

struct io_calls io = {
	.open = system_open,
	.close = close,
	.read = read,
	.pread = pread,
	.write = write,
	.writev = writev,
	.fsync = fsync,
	.fdatasync = fdatasync,
	.ftruncate = ftruncate,
	.rename = rename,
	.unlink = unlink,
	.mkdir = mkdir,
	.recv = recv,
	.sendmsg = sendmsg,
	.accept = system_accept,
};
