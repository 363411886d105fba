/* caller.c - HTTP as a strict client reads it, and what an answer is worth.
 *
 * SPDX-License-Identifier: MIT
 */
#include "faults/caller.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	LATE_S = 20 /* of silence; nothing of ours waits for as long */
};

enum verdict
wrong(struct reply *r, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(r->why, sizeof(r->why), fmt, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof(r->why))
		(void)snprintf(r->why + n, sizeof(r->why) - (size_t)n,
		    "; status %d, %zu bytes: %.300s", r->status, r->body_len,
		    r->body == NULL ? "" : r->body);
	return VERDICT_WRONG;
}

/* ---- sockets ---- */

static int
open_socket(int family)
{
	const struct timeval late = { .tv_sec = LATE_S };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &late, sizeof(late));
	return fd;
}

static int
connect_or_close(int fd, const void *sa, socklen_t len)
{
	if (connect(fd, sa, len) == 0)
		return fd;
	close(fd);
	return -1;
}

int
caller_connect(unsigned port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((in_port_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };

	return connect_or_close(open_socket(AF_INET), &sa, sizeof(sa));
}

int
caller_connect_control(const char *data)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/latenza.sock", data);
	return connect_or_close(open_socket(AF_UNIX), &sa, sizeof(sa));
}

void
caller_close(struct reply *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

void
caller_reset(struct reply *r)
{
	const struct linger now = { .l_onoff = 1 };

	if (r->fd >= 0)
		(void)setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	caller_close(r);
}

/* ---- reading ---- */

/* Is the chunked body at `p` complete? Decodes what is there. */
static bool
dechunk(struct reply *r, const char *p)
{
	char *out = r->decoded;

	for (;;) {
		char *end;
		size_t n = strtoul(p, &end, 16);
		size_t left = r->len - (size_t)(end - r->wire);

		*out = '\0';
		r->body_len = (size_t)(out - r->decoded);
		if (end == p || left < 2 || memcmp(end, "\r\n", 2) != 0)
			return false;
		if (n == 0)
			return left >= 4 && memcmp(end, "\r\n\r\n", 4) == 0;
		left -= 2;
		p = end + 2;
		memcpy(out, p, n < left ? n : left);
		if (left < n + 2) {
			out[n < left ? n : left] = '\0';
			return false;
		}
		out += n;
		p += n + 2;
	}
}

static const char *
field(const struct reply *r, const char *end, const char *name)
{
	const char *at = strcasestr(r->wire, name);

	return at != NULL && at < end ? at + strlen(name) : NULL;
}

/* Takes apart what has come. true: the answer is complete. */
static bool
parse(struct reply *r)
{
	const char *end = strstr(r->wire, "\r\n\r\n"), *length, *id;
	size_t have, want;

	if (end == NULL || sscanf(r->wire, "HTTP/1.1 %d ", &r->status) != 1)
		return false;
	r->body = r->decoded;
	id = field(r, end, "\r\nx-request-id: ");
	if (id != NULL)
		(void)snprintf(r->id, sizeof(r->id), "%.32s", id);
	if (field(r, end, "\r\ntransfer-encoding: chunked") != NULL)
		return dechunk(r, end + 4);
	length = field(r, end, "\r\ncontent-length:");
	want = length != NULL ? strtoul(length, NULL, 10) : 0;
	have = r->len - (size_t)(end + 4 - r->wire);
	r->body_len = have < want ? have : want;
	memcpy(r->decoded, end + 4, r->body_len);
	r->decoded[r->body_len] = '\0';
	return length != NULL && have >= want;
}

static void
read_reply(struct reply *r, const char *until)
{
	while (!r->is_complete && r->len < CALLER_BYTES) {
		ssize_t n = recv(r->fd, r->wire + r->len, CALLER_BYTES - r->len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		r->is_late = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
		if (n <= 0)
			return;
		r->len += (size_t)n;
		r->wire[r->len] = '\0';
		r->is_complete = parse(r);
		if (until != NULL && strstr(r->wire, until) != NULL)
			return;
	}
}

void
caller_ask(struct reply *r, int fd, const char *method, const char *path, const char *key,
    const char *body, const char *until)
{
	size_t len = body == NULL ? 0 : strlen(body), at = 0;
	char *text;
	int n;

	r->fd = fd;
	r->len = r->body_len = 0;
	r->status = 0;
	r->body = NULL;
	r->wire[0] = r->decoded[0] = r->id[0] = r->why[0] = '\0';
	r->is_complete = r->is_late = false;
	if (fd < 0)
		return;
	n = asprintf(&text,
	    "%s %s HTTP/1.1\r\nHost: here\r\nConnection: close\r\n%s%s%s"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    method, path, key == NULL ? "" : "Authorization: Bearer ",
	    key == NULL ? "" : key, key == NULL ? "" : "\r\n", len,
	    body == NULL ? "" : body);
	if (n < 0)
		abort();
	/* Who answers early may close before all is read: what came still counts. */
	while (at < (size_t)n) {
		ssize_t sent = send(fd, text + at, (size_t)n - at, MSG_NOSIGNAL);

		if (sent <= 0)
			break;
		at += (size_t)sent;
	}
	free(text);
	read_reply(r, until);
	if (until == NULL)
		caller_close(r);
}

/* ---- judging ---- */

/* What all answers have in common; VERDICT_RIGHT: go on. */
static enum verdict
judge_whole(struct reply *r)
{
	if (r->is_late)
		return wrong(r, "no end in %d s", LATE_S);
	return r->is_complete ? VERDICT_RIGHT : VERDICT_CUT;
}

static bool
is_error(const struct reply *r)
{
	/* Without memory for an object, a sentence. */
	if (r->status == 503 && strstr(r->wire, "content-type: text/plain") != NULL)
		return r->body_len > 0;
	return r->status >= 400 && strncmp(r->body, "{\"error\":{", 10) == 0 &&
	       strstr(r->body, "\"message\":\"") != NULL &&
	       r->body[r->body_len - 1] == '}';
}

enum verdict
caller_judge(struct reply *r, int status, const char *holds)
{
	enum verdict v = judge_whole(r);

	if (v != VERDICT_RIGHT)
		return v;
	if (r->status / 100 == 2 && status / 100 > 2)
		return wrong(r, "succeeded");
	if ((status == 0 ? r->status / 100 == 2 : r->status == status) &&
	    strstr(r->body, holds) != NULL)
		return VERDICT_RIGHT;
	return r->status >= 500 ? VERDICT_FAILED : wrong(r, "not what was asked for");
}

enum verdict
caller_judge_command(struct reply *r, const char *holds)
{
	enum verdict v = judge_whole(r);

	if (v != VERDICT_RIGHT)
		return v;
	if (strncmp(r->body, "{\"status\":\"ok\",", 15) == 0)
		return strstr(r->body, holds) != NULL
			   ? VERDICT_RIGHT
			   : wrong(r, "does not hold %s", holds);
	return is_error(r) || strstr(r->body, "\"error\":\"") != NULL
		   ? VERDICT_FAILED
		   : wrong(r, "no reason is given");
}

#define TOOL_CALL "\"name\":\"look\",\"arguments\":\"{\\\"a\\\":1}\""

enum verdict
caller_judge_chat(struct reply *r, const char *text)
{
	enum verdict v = judge_whole(r);
	char content[128];

	if (v != VERDICT_RIGHT)
		return v;
	if (r->status != 200)
		return is_error(r) ? VERDICT_FAILED : wrong(r, "not an error object");
	(void)snprintf(
	    content, sizeof(content), "\"content\":\"%s\"", text == NULL ? "" : text);
	if (strstr(r->body, text == NULL ? TOOL_CALL : content) == NULL ||
	    strstr(r->body, "\"total_tokens\":12") == NULL ||
	    r->body[r->body_len - 1] != '}' || strstr(r->body, "\"error\"") != NULL)
		return wrong(r, "a 200 that is not the answer");
	return VERDICT_RIGHT;
}

/* Puts together what the pieces' member `name` holds. */
static void
gather(const struct reply *r, const char *name, char *out, size_t n)
{
	char wanted[32];
	const char *p = r->body;
	size_t at = 0;

	(void)snprintf(wanted, sizeof(wanted), "\"%s\":\"", name);
	while (p != NULL && (p = strstr(p, wanted)) != NULL) {
		p += strlen(wanted);
		while (*p != '\0' && *p != '"' && at < n - 1) {
			p += *p == '\\';
			out[at++] = *p++;
		}
	}
	out[at] = '\0';
}

enum verdict
caller_judge_stream(struct reply *r, const char *text)
{
	char got[256];
	bool is_done, has_error;

	if (r->is_late)
		return wrong(r, "no end in %d s", LATE_S);
	if (r->status != 0 && r->status != 200)
		return !r->is_complete ? VERDICT_CUT
		       : is_error(r)   ? VERDICT_FAILED
				       : wrong(r, "not an error object");
	if (r->status == 0)
		return VERDICT_CUT;
	gather(r, text == NULL ? "arguments" : "content", got, sizeof(got));
	is_done = strstr(r->body, "data: [DONE]") != NULL;
	has_error = strstr(r->body, "data: {\"error\":") != NULL;
	if (is_done && has_error)
		return wrong(r, "an error and [DONE]");
	if (is_done && strcmp(got, text == NULL ? "{\"a\":1}" : text) != 0)
		return wrong(r, "[DONE] behind something else (%s)", got);
	if (!is_done && !has_error && strstr(r->body, "\"finish_reason\":\"") != NULL &&
	    r->is_complete)
		return wrong(r, "a finish without [DONE]");
	if (is_done)
		return VERDICT_RIGHT;
	if (has_error)
		return VERDICT_FAILED;
	return r->is_complete ? wrong(r, "ended as if nothing were missing")
			      : VERDICT_CUT;
}
