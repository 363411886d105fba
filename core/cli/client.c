/* client.c - one HTTP request to a gateway on this machine, for samples and tests. Not
 * for providers: those are net/upstream's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/serve.h"

#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http1.h"
#include "net/server.h"

enum {
	WAIT_S = 90,
	ANSWER_BYTES = 16 << 20,
	READ_BYTES = 65536,
	OPEN_FILES = 16
};

/* An address to listen on is not always one to connect to. */
static void
make_reachable(struct net_addr *a)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a->sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a->sa;

	if (a->sa.ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_ANY))
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (a->sa.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		v6->sin6_addr = in6addr_loopback;
}

static int
connect_to(const char *at, struct err *e)
{
	const struct timeval wait = { .tv_sec = WAIT_S };
	struct net_addr a;
	int fd;

	if (net_addr_parse(lz_strz(at), &a, e) != ST_OK)
		return -1;
	make_reachable(&a);
	fd = socket(a.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
	    connect(fd, (struct sockaddr *)&a.sa, a.len) == 0)
		return fd;
	(void)err_fail(e, ST_IO, "%s: %s", at, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool
send_all(int fd, const struct buf *out)
{
	for (size_t at = 0; at < out->len;) {
		ssize_t n = send(fd, out->ptr + at, out->len - at, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		at += n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* Reads to the end of the connection. What came before an error counts: a stream may be
 * cut. */
static void
read_all(int fd, struct buf *in)
{
	for (;;) {
		char *room = buf_room(in, READ_BYTES);
		ssize_t n = room == NULL ? -1 : recv(fd, room, READ_BYTES, 0);

		if (n == 0 || (n < 0 && (room == NULL || errno != EINTR)))
			return;
		in->len += n > 0 ? (size_t)n : 0;
	}
}

/* The value of a field in an answer's head, which is ours and well-formed. */
static lz_str
head_field(lz_str head, const char *name)
{
	size_t n = strlen(name);

	for (size_t at = 0; at + n + 2 < head.len;) {
		const char *line = head.ptr + at;
		const char *end = memchr(line, '\n', head.len - at);
		size_t len = end == NULL ? head.len - at : (size_t)(end - line);

		if (len > n && line[n] == ':' && strncasecmp(line, name, n) == 0) {
			lz_str value = str_trim(lz_strn(line + n + 1, len - n - 1));

			return str_ends(value, "\r")
				   ? str_trim(str_cut(value, 0, value.len - 1))
				   : value;
		}
		at += len + 1;
	}
	return STR_NONE;
}

static void
take_body(lz_str head, lz_str rest, struct buf *out)
{
	struct http_chunked c = { 0 };
	struct http_refusal why;
	size_t at = 0, used;
	lz_str piece;

	if (!str_is_nocase(head_field(head, "transfer-encoding"), "chunked")) {
		buf_add_str(out, rest);
		return;
	}
	while (at < rest.len) {
		enum http_verdict v =
		    http1_chunked(&c, rest.ptr + at, rest.len - at, &used, &piece, &why);

		buf_add_str(out, piece);
		at += used;
		if (v != HTTP_MORE || (used == 0 && piece.len == 0))
			return;
	}
}

/* "HTTP/1.1 200 ..." */
static bool
read_status(lz_str wire, int *status)
{
	int n = 0;

	if (!str_starts(wire, "HTTP/1.") || wire.len < 12 || wire.ptr[8] != ' ')
		return false;
	for (size_t i = 9; i < 12; i++) {
		if (wire.ptr[i] < '0' || wire.ptr[i] > '9')
			return false;
		n = n * 10 + (wire.ptr[i] - '0');
	}
	*status = n;
	return true;
}

static enum status
read_answer(lz_str wire, struct client_answer *out, struct err *e)
{
	const char *end =
	    wire.len == 0 ? NULL : memmem(wire.ptr, wire.len, "\r\n\r\n", 4);
	lz_str head, id;

	if (end == NULL || !read_status(wire, &out->status))
		return err_fail(
		    e, ST_IO, "the gateway closed the connection without an answer");
	head = str_cut(wire, 0, (size_t)(end - wire.ptr) + 2);
	id = head_field(head, "x-request-id");
	snprintf(out->request_id, sizeof(out->request_id), "%.*s", STR_ARG(id));
	take_body(head, str_cut(wire, head.len + 2, wire.len), &out->body);
	return ST_OK;
}

enum status
client_post(const char *at, const char *path, const char *key, const char *body,
    struct client_answer *out, struct err *e)
{
	int64_t began_us = clock_mono_us();
	struct buf wire;
	enum status st;
	int fd = connect_to(at, e);

	*out = (struct client_answer){ 0 };
	buf_init(&out->body, ANSWER_BYTES);
	if (fd < 0)
		return ST_IO;
	buf_init(&wire, ANSWER_BYTES);
	buf_addf(&wire,
	    "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
	    "Connection: close\r\nContent-Length: %zu\r\n",
	    path, at, strlen(body));
	if (key != NULL)
		buf_addf(&wire, "Authorization: Bearer %s\r\n", key);
	buf_addf(&wire, "\r\n%s", body);
	if (wire.failed || !send_all(fd, &wire)) {
		st = err_fail(e, ST_IO, "%s: the request could not be sent", at);
	} else {
		buf_reset(&wire);
		read_all(fd, &wire);
		st = read_answer(buf_str(&wire), out, e);
	}
	out->ms = (double)(clock_mono_us() - began_us) / 1000;
	buf_free(&wire);
	close(fd);
	return st;
}

/* ---- temporary directories ---- */

enum status
serve_temporary(char *out, size_t n, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(out, n, "%s/latenza-XXXXXX", tmp != NULL && *tmp == '/' ? tmp : "/tmp");
	if (mkdtemp(out) == NULL)
		return err_fail(e, ST_IO, "%s: no temporary directory could be made: %s",
		    out, strerror(errno));
	return ST_OK;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	(void)remove(path);
	return 0;
}

void
serve_remove(const char *dir)
{
	(void)nftw(dir, remove_one, OPEN_FILES, FTW_DEPTH | FTW_PHYS);
}
