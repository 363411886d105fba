/* mock.c - a provider that costs as little as a provider can, for tests/bench.
 *
 * usage: mock [--interval-us N] [--events N] [--bytes N]
 *
 * It prints its port and ends when its standard input does. A POST is answered with JSON
 * of --bytes, or, when the body says "stream":true, with --events events --interval-us
 * apart (0: all at once), a usage chunk when one is asked for, and [DONE]. Each event
 * carries "t", CLOCK_MONOTONIC in nanoseconds just before it is written, from which
 * load.c takes its delay. One thread; requests by Content-Length or chunked in one piece.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	TURN_EVENTS = 256,
	EVENT_BYTES = 512,
	READ_BYTES = 256 * 1024,
	NS_PER_S = 1000000000
};

struct client {
	int fd;
	bool is_open, wants_usage;
	char *in, *out;
	size_t in_len, in_room, out_len, out_sent, out_room;
	long next_event; /* of the stream that runs; -1: none */
	int64_t due_ns;
	struct client *next; /* who waits, by time: all wait equally long */
};

static int64_t interval_ns;
static long events = 100;
static size_t json_bytes = 1000;
static char *answer;
static size_t answer_len;
static int epoll_fd;
static struct client *first_waiting, **last_waiting = &first_waiting;

static int64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * (int64_t)NS_PER_S + t.tv_nsec;
}

static void *
room_for(char **p, size_t *room, size_t n)
{
	if (n > *room) {
		*room = n * 2;
		*p = realloc(*p, *room);
		if (*p == NULL)
			abort();
	}
	return *p;
}

static void
watch(struct client *c, uint32_t what, int how)
{
	struct epoll_event e = { .events = what, .data.ptr = c };

	(void)epoll_ctl(epoll_fd, how, c->fd, &e);
}

/* Who waits is freed when its time comes. */
static void
hang_up(struct client *c)
{
	if (c->is_open)
		close(c->fd);
	c->is_open = false;
	if (c->next_event < 0) {
		free(c->in);
		free(c->out);
		free(c);
	}
}

static void
put(struct client *c, const char *p, size_t n)
{
	memcpy(
	    (char *)room_for(&c->out, &c->out_room, c->out_len + n) + c->out_len, p, n);
	c->out_len += n;
}

/* false: the client has gone. */
static bool
flush(struct client *c)
{
	while (c->out_sent < c->out_len) {
		ssize_t n = send(
		    c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
			return true;
		}
		if (n <= 0)
			return false;
		c->out_sent += (size_t)n;
	}
	c->out_len = c->out_sent = 0;
	return true;
}

/* ---- streams ---- */

static void
put_chunk(struct client *c, const char *text)
{
	char size[16];
	int n = snprintf(size, sizeof size, "%zx\r\n", strlen(text));

	put(c, size, (size_t)n);
	put(c, text, strlen(text));
	put(c, "\r\n", 2);
}

static void
put_event(struct client *c)
{
	char text[EVENT_BYTES];
	bool is_last = ++c->next_event == events;

	(void)snprintf(text, sizeof text,
	    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\","
	    "\"created\":1763800000,\"model\":\"bench\",\"system_fingerprint\":\"fp\","
	    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"tok%03ld \"},"
	    "\"logprobs\":null,\"finish_reason\":%s}],\"t\":%lld}\n\n",
	    c->next_event % 1000, is_last ? "\"stop\"" : "null", (long long)now_ns());
	put_chunk(c, text);
	if (!is_last)
		return;
	if (c->wants_usage)
		put_chunk(c, "data: {\"id\":\"chatcmpl-bench\",\"object\":"
			     "\"chat.completion.chunk\",\"created\":1763800000,\"model\":"
			     "\"bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":200,"
			     "\"completion_tokens\":100,\"total_tokens\":300}}\n\n");
	put_chunk(c, "data: [DONE]\n\n");
	put(c, "0\r\n\r\n", 5);
	c->next_event = -1;
}

static void
wait_turn(struct client *c)
{
	c->due_ns = now_ns() + interval_ns;
	c->next = NULL;
	*last_waiting = c;
	last_waiting = &c->next;
}

static void
stream(struct client *c)
{
	static const char head[] =
	    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	    "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

	put(c, head, sizeof head - 1);
	c->next_event = 0;
	do
		put_event(c);
	while (c->next_event >= 0 && interval_ns == 0);
	if (c->next_event >= 0)
		wait_turn(c);
}

/* Those whose time has come; returns how long the next one has, or -1. */
static int64_t
run_waiting(void)
{
	struct client *c;
	int64_t now = now_ns();

	while ((c = first_waiting) != NULL && c->due_ns <= now) {
		first_waiting = c->next;
		if (first_waiting == NULL)
			last_waiting = &first_waiting;
		if (c->is_open) {
			put_event(c);
			if (!flush(c))
				hang_up(c);
			if (c->next_event >= 0)
				wait_turn(c);
		} else {
			c->next_event = -1;
			hang_up(c);
		}
	}
	return first_waiting == NULL ? -1 : first_waiting->due_ns - now;
}

/* ---- requests ---- */

static bool
says(const char *p, size_t n, const char *word)
{
	return memmem(p, n, word, strlen(word)) != NULL;
}

/* A member of ours stands at the front of the body, where load.c and gateways put it. */
static void
serve(struct client *c, const char *body, size_t n)
{
	size_t looked_at = n < 600 ? n : 600;

	c->wants_usage = says(body, looked_at, "include_usage");
	if (says(body, looked_at, "\"stream\":true"))
		stream(c);
	else
		put(c, answer, answer_len);
}

/* The length of the request that lies in c->in whole, with its body's place; 0: not yet.
 */
static size_t
whole_request(struct client *c, size_t *body_at)
{
	char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4), *length;
	size_t n = 0;

	if (end == NULL)
		return 0;
	*end = '\0';
	length = strcasestr(c->in, "\ncontent-length:");
	if (length != NULL)
		n = strtoul(length + 16, NULL, 10);
	*end = '\r';
	*body_at = (size_t)(end + 4 - c->in);
	return c->in_len - *body_at >= n ? *body_at + n : 0;
}

static void
on_readable(struct client *c)
{
	static char scratch[READ_BYTES];
	ssize_t n = recv(c->fd, scratch, sizeof scratch, 0);
	size_t body_at, used;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	memcpy(
	    (char *)room_for(&c->in, &c->in_room, c->in_len + (size_t)n + 1) + c->in_len,
	    scratch, (size_t)n);
	c->in_len += (size_t)n;
	while ((used = whole_request(c, &body_at)) > 0 && c->next_event < 0) {
		serve(c, c->in + body_at, used - body_at);
		memmove(c->in, c->in + used, c->in_len - used);
		c->in_len -= used;
	}
	if (!flush(c))
		hang_up(c);
}

static void
on_acceptable(int listener)
{
	int fd, on = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct client *c = calloc(1, sizeof *c);

		if (c == NULL)
			abort();
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		c->fd = fd;
		c->is_open = true;
		c->next_event = -1;
		watch(c, EPOLLIN, EPOLL_CTL_ADD);
	}
}

static void
on_event(const struct epoll_event *e)
{
	struct client *c = e->data.ptr;

	if (e->events & EPOLLOUT) {
		watch(c, EPOLLIN, EPOLL_CTL_MOD);
		if (!flush(c)) {
			hang_up(c);
			return;
		}
	}
	if (e->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		on_readable(c);
}

/* ---- start ---- */

static void
make_answer(void)
{
	static const char tail[] =
	    "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
	    "\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":100,"
	    "\"total_tokens\":300}}";
	char *body = calloc(1, json_bytes + 1024);
	int n;

	if (body == NULL)
		abort();
	n = sprintf(body,
	    "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":"
	    "1763800000,\"model\":\"bench\",\"choices\":[{\"index\":0,\"message\":"
	    "{\"role\":\"assistant\",\"content\":\"");
	while ((size_t)n + sizeof tail < json_bytes)
		body[n] = "to be or not to be, "[n % 20], n++;
	n += sprintf(body + n, "%s", tail);
	answer = malloc((size_t)n + 200);
	if (answer == NULL)
		abort();
	answer_len = (size_t)sprintf(answer,
	    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
	    "%d\r\n\r\n%s",
	    n, body);
	free(body);
}

static int
listen_somewhere(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
	    listen(fd, 4096) != 0 || getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
		perror("mock: listen");
		exit(1);
	}
	printf("%d\n", ntohs(a.sin_port));
	(void)fflush(stdout);
	return fd;
}

static void
read_options(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		long v = strtol(argv[i + 1], NULL, 10);

		if (strcmp(argv[i], "--interval-us") == 0)
			interval_ns = v * INT64_C(1000);
		else if (strcmp(argv[i], "--events") == 0)
			events = v;
		else if (strcmp(argv[i], "--bytes") == 0)
			json_bytes = (size_t)v;
		else {
			(void)fprintf(stderr, "mock: %s: unknown option\n", argv[i]);
			exit(2);
		}
	}
}

static int
wait_ms(int64_t left_ns)
{
	return left_ns < 0 ? -1 : (int)((left_ns + 999999) / 1000000);
}

int
main(int argc, char **argv)
{
	static char stdin_mark, listener_mark;
	struct epoll_event ready[TURN_EVENTS];
	struct epoll_event on_stdin = { .events = EPOLLIN, .data.ptr = &stdin_mark };
	struct epoll_event on_listener = { .events = EPOLLIN,
		.data.ptr = &listener_mark };
	struct rlimit files;
	int listener, n;

	read_options(argc, argv);
	(void)getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	make_answer();
	listener = listen_somewhere();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &on_listener);
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &on_stdin);
	for (;;) {
		n = epoll_wait(epoll_fd, ready, TURN_EVENTS, wait_ms(run_waiting()));
		for (int i = 0; i < n; i++) {
			if (ready[i].data.ptr == &stdin_mark)
				return 0;
			if (ready[i].data.ptr == &listener_mark)
				on_acceptable(listener);
			else
				on_event(&ready[i]);
		}
	}
}
