/* provider.c - one thread per connection; what is asked is looked for in the text.
 *
 * SPDX-License-Identifier: MIT
 */
#include "faults/provider.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	REQUEST_BYTES = 1 << 20,
	ANSWER_BYTES = 4096
};

struct ask {
	int fd;
	char *text; /* head and body, NUL-terminated */
	size_t len;
	bool is_stream, is_fresh;
};

/* ---- in ---- */

static bool
read_more(struct ask *a)
{
	ssize_t n = recv(a->fd, a->text + a->len, REQUEST_BYTES - a->len, 0);

	if (n <= 0)
		return false;
	a->len += (size_t)n;
	a->text[a->len] = '\0';
	return true;
}

static bool
read_request(struct ask *a)
{
	const char *end, *length;
	size_t whole;

	a->len = 0;
	a->text[0] = '\0';
	while ((end = strstr(a->text, "\r\n\r\n")) == NULL) {
		if (!read_more(a))
			return false;
	}
	length = strcasestr(a->text, "\r\ncontent-length:");
	whole = (size_t)(end - a->text) + 4;
	if (length != NULL && length < end)
		whole += strtoul(length + 17, NULL, 10);
	while (a->len < whole) {
		if (!read_more(a))
			return false;
	}
	a->is_stream = strstr(a->text, "\"stream\":true") != NULL;
	a->is_fresh = strstr(a->text, "fresh") != NULL;
	return true;
}

static bool
is_model(const struct ask *a, const char *model)
{
	char wanted[64];

	(void)snprintf(wanted, sizeof(wanted), "\"model\":\"%s\"", model);
	return strstr(a->text, wanted) != NULL;
}

/* ---- out ---- */

static void
say(const struct ask *a, const char *fmt, ...)
{
	char text[ANSWER_BYTES];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)!send(a->fd, text, (size_t)n, MSG_NOSIGNAL);
}

static void
say_whole(const struct ask *a, int status, const char *body)
{
	say(a,
	    "HTTP/1.1 %d Scripted\r\nContent-Type: application/json\r\n%s"
	    "Content-Length: %zu\r\n\r\n%s",
	    status, a->is_fresh ? "Connection: close\r\n" : "", strlen(body), body);
}

static void
say_stream_head(const struct ask *a)
{
	say(a,
	    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%s"
	    "Transfer-Encoding: chunked\r\n\r\n",
	    a->is_fresh ? "Connection: close\r\n" : "");
}

static void
say_event(const struct ask *a, const char *data)
{
	say(a, "%zx\r\ndata: %s\n\n\r\n", strlen(data) + 8, data);
}

#define EVENT_HEAD                                                                       \
	"{\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":"  \
	"\"m\","

static void
say_piece(const struct ask *a, const char *delta, const char *finish)
{
	char data[1024];

	(void)snprintf(data, sizeof(data),
	    EVENT_HEAD "\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":%s}]}",
	    delta, finish);
	say_event(a, data);
}

static void
end_stream(const struct ask *a, const char *finish)
{
	say_piece(a, "{}", finish);
	say_event(a, EVENT_HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":7,"
				"\"completion_tokens\":5,\"total_tokens\":12}}");
	say_event(a, "[DONE]");
	say(a, "0\r\n\r\n");
}

#define WHOLE(message, finish)                                                           \
	"{\"id\":\"c-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\","  \
	"\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"," message         \
	"},\"finish_reason\":\"" finish "\"}],\"usage\":{\"prompt_tokens\":7,"           \
	"\"completion_tokens\":5,\"total_tokens\":12}}"
#define TOOL_HEAD                                                                        \
	"\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\","          \
	"\"function\":{\"name\":\"look\",\"arguments\":"

static void
serve_text(const struct ask *a)
{
	if (strstr(a->text, PROVIDER_PLEA) != NULL) {
		say_whole(
		    a, 200, WHOLE("\"content\":\"" PROVIDER_OTHERWISE "\"", "stop"));
		return;
	}
	if (!a->is_stream) {
		say_whole(a, 200, WHOLE("\"content\":\"" PROVIDER_TEXT "\"", "stop"));
		return;
	}
	say_stream_head(a);
	say_piece(a, "{\"role\":\"assistant\",\"content\":\"\"}", "null");
	say_piece(a, "{\"content\":\"one \"}", "null");
	say_piece(a, "{\"content\":\"two \"}", "null");
	say_piece(a, "{\"content\":\"three\"}", "null");
	end_stream(a, "\"stop\"");
}

static void
serve_tools(const struct ask *a)
{
	if (!a->is_stream) {
		say_whole(a, 200,
		    WHOLE("\"content\":null," TOOL_HEAD "\"{\\\"a\\\":1}\"}}]",
			"tool_calls"));
		return;
	}
	say_stream_head(a);
	say_piece(
	    a, "{\"role\":\"assistant\",\"content\":null," TOOL_HEAD "\"\"}}]}", "null");
	say_piece(a,
	    "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\"\"}}]"
	    "}",
	    "null");
	say_piece(a,
	    "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]}",
	    "null");
	end_stream(a, "\"tool_calls\"");
}

static void
serve_first_piece(const struct ask *a)
{
	say_stream_head(a);
	say_piece(a, "{\"role\":\"assistant\",\"content\":\"one \"}", "null");
}

/* Closes so that the other side sees a reset. */
static void
reset(const struct ask *a)
{
	const struct linger now = { .l_onoff = 1 };

	if (a->is_stream)
		serve_first_piece(a);
	/* What was sent may be thrown away by the reset; so it is given the time of a
	 * round trip, without which the scene would be another one, not a wrong one. */
	usleep(2000);
	(void)setsockopt(a->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void
wait_for_the_end(const struct ask *a)
{
	char c;

	serve_first_piece(a);
	(void)!recv(a->fd, &c, 1, 0);
}

/* false: the connection is to be closed. */
static bool
serve(struct ask *a)
{
	if (!read_request(a))
		return false;
	if (is_model(a, "spare") && strncmp(a->text, "POST /a/", 8) == 0) {
		say_whole(a, 503,
		    "{\"error\":{\"message\":\"busy\",\"type\":\"server_error\"}}");
		return true;
	}
	if (is_model(a, "reset")) {
		reset(a);
		return false;
	}
	if (is_model(a, "slow")) {
		wait_for_the_end(a);
		return false;
	}
	if (is_model(a, "tools"))
		serve_tools(a);
	else
		serve_text(a);
	return !a->is_fresh;
}

static void *
run_connection(void *arg)
{
	struct ask a = { .fd = (int)(intptr_t)arg };
	int on = 1;

	a.text = malloc(REQUEST_BYTES + 1);
	(void)setsockopt(a.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	while (a.text != NULL && serve(&a))
		;
	close(a.fd);
	free(a.text);
	return NULL;
}

static void
run(int listener)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			continue;
		if (pthread_create(&thread, NULL, run_connection, (void *)(intptr_t)fd) !=
		    0)
			close(fd);
		else
			pthread_detach(thread);
	}
}

unsigned
provider_start(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t parent = getpid();

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    listen(fd, 1024) != 0 || getsockname(fd, (struct sockaddr *)&sa, &len) != 0) {
		perror("provider");
		exit(1);
	}
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			run(fd);
		_exit(0);
	}
	close(fd);
	return ntohs(sa.sin_port);
}
