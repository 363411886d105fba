/* ask.c - the command's side of the control socket: one request, one answer, blocking.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/control.h"

#include <errno.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/rows.h"
#include "base/io.h"
#include "base/json.h"

enum {
	ANSWER_BYTES = 65 << 20,
	READ_BYTES = 65536,
	WAIT_S = 600 /* a backup of a large database takes its time */
};

static enum status
connect_to(const struct datadir *d, int *fd, struct err *e)
{
	const struct timeval wait = { .tv_sec = WAIT_S };
	struct sockaddr_un sa;
	enum status st;
	int dir_fd, error;

	st = control_address(d, &dir_fd, &sa, e);
	if (st != ST_OK)
		return st == ST_NOT_FOUND ? ST_GONE : st;
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	error =
	    *fd < 0 || connect(*fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ? errno : 0;
	(void)io.close(dir_fd);
	if (error == 0) {
		(void)setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		return ST_OK;
	}
	if (*fd >= 0)
		(void)io.close(*fd);
	if (error == ENOENT || error == ECONNREFUSED)
		return err_fail(e, ST_GONE, "no gateway serves %s", d->path);
	return err_fail(e, error == EACCES ? ST_DENIED : ST_IO,
	    "%s/" CONTROL_SOCKET ": %s", d->path, strerror(error));
}

static enum status
send_all(int fd, const struct buf *out, struct err *e)
{
	for (size_t at = 0; at < out->len;) {
		ssize_t n = io.write(fd, out->ptr + at, out->len - at);

		if (n < 0 && errno != EINTR)
			return err_fail(e, ST_IO, "control socket: cannot be written: %s",
			    strerror(errno));
		at += n > 0 ? (size_t)n : 0;
	}
	return ST_OK;
}

static enum status
read_all(int fd, struct buf *in, struct err *e)
{
	for (;;) {
		char *room = buf_room(in, READ_BYTES);
		ssize_t n;

		if (room == NULL)
			return err_fail(
			    e, ST_LIMIT, "control socket: the answer is too large");
		n = io.read(fd, room, READ_BYTES);
		if (n == 0)
			return ST_OK;
		if (n < 0 && errno != EINTR)
			return err_fail(e, ST_IO, "control socket: cannot be read: %s",
			    strerror(errno));
		in->len += n > 0 ? (size_t)n : 0;
	}
}

/* The status whose name the gateway sent. */
static enum status
status_of(lz_str name)
{
	for (int st = ST_OK; st <= ST_TIMEOUT; st++)
		if (str_is(name, status_name((enum status)st)))
			return (enum status)st;
	return ST_INVALID;
}

static enum status
read_answer(lz_str wire, json_t **result, struct err *e)
{
	const char *end =
	    wire.len == 0 ? NULL : memmem(wire.ptr, wire.len, "\r\n\r\n", 4);
	json_t *all = NULL;
	enum status st;
	size_t head;

	if (end != NULL) {
		head = (size_t)(end - wire.ptr) + 4;
		all = json_parse(str_cut(wire, head, wire.len), NULL);
	}
	if (all == NULL)
		return err_fail(
		    e, ST_IO, "control socket: the gateway ended without a whole answer");
	st = status_of(json_get_str(all, "status"));
	if (st != ST_OK)
		(void)err_fail(e, st, "%.*s", STR_ARG(json_get_str(all, "error")));
	*result = json_incref(json_object_get(all, "result"));
	json_decref(all);
	return st;
}

enum status
control_ask(const struct datadir *d, const char *name, const json_t *args,
    json_t **result, struct err *e)
{
	struct buf body, wire;
	enum status st;
	int fd = -1;

	*result = NULL;
	buf_init(&body, 1 << 20);
	buf_init(&wire, ANSWER_BYTES);
	if (!json_print(args, &body)) {
		st = err_fail(e, ST_LIMIT, "%s: the arguments are too large", name);
		goto out;
	}
	buf_addf(&wire,
	    "POST /command/%s HTTP/1.1\r\nHost: latenza\r\nContent-Type: "
	    "application/json\r\n"
	    "Connection: close\r\nContent-Length: %zu\r\n\r\n",
	    name, body.len);
	buf_add_str(&wire, buf_str(&body));
	st = wire.failed ? err_fail(e, ST_NOMEM, "%s: out of memory", name)
			 : connect_to(d, &fd, e);
	if (st == ST_OK)
		st = send_all(fd, &wire, e);
	buf_reset(&wire);
	if (st == ST_OK)
		st = read_all(fd, &wire, e);
	if (st == ST_OK)
		st = read_answer(buf_str(&wire), result, e);
	if (fd >= 0)
		(void)io.close(fd);
out:
	buf_free(&body);
	buf_free(&wire);
	return st;
}
