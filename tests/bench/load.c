/* load.c - loads a gateway with chat requests and says what became of them, for
 * tests/bench.
 *
 * usage: load --port N [--model NAME] [--key SECRET] [--conns N] [--body BYTES]
 *             [--seconds S | --count N] [--rate R] [--stream 1] [--hold 1]
 *             [--text WORDS]
 *
 * Without --rate each connection sends its next request when it has the answer. With it
 * requests come R a second by a fixed plan, and latency counts from when the plan wanted
 * them sent: what waits for a connection has waited. The first tenth of the time is not
 * counted into latencies. --stream asks for a stream; delays of events are taken from
 * the time mock.c wrote into them. --hold opens one stream per connection, prints a line
 * when each has its first event, and keeps them open until standard input ends. --text
 * is what the body repeats, without quotes and backslashes. Prints one line of JSON. One
 * thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>
#include <errno.h>
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
	HEAD_BYTES = 4096,
	READ_BYTES = 128 * 1024,
	NS_PER_S = 1000000000,
	/* A histogram of 64 steps in each power of two: values are within 1.6 %. */
	STEP_BITS = 6,
	STEPS = 1 << STEP_BITS
};

static const int64_t give_up_ns = 5 * (int64_t)NS_PER_S; /* after the end */

struct histogram {
	uint64_t of[64 * STEPS], n;
};

struct conn {
	int fd;
	bool is_busy, is_chunked, has_first;
	int status; /* 0: in the head */
	size_t sent, head_len;
	char head[HEAD_BYTES], tail[5]; /* the last bytes, where a chunked body ends */
	int64_t since_ns, left;
};

static struct {
	const char *model, *key, *text;
	long port, conns, body, count;
	double seconds, rate;
	bool is_stream, is_hold;
} o = { .model = "bench",
	.key = "none",
	.text = "what a piece of work is a man ",
	.conns = 64,
	.body = 1024,
	.seconds = 5 };

static struct histogram latency, delay;
static uint64_t good, bad, began, events;
static char *request, why[200];
static size_t request_len;
static int epoll_fd;
static int64_t start_ns, counted_ns, end_ns;
static struct conn *conn;
static long *idle, idle_count, busy_count, with_first;

static int64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * (int64_t)NS_PER_S + t.tv_nsec;
}

/* ---- histograms ---- */

static void
note(struct histogram *h, int64_t ns)
{
	uint64_t v = ns > STEPS ? (uint64_t)ns : STEPS;
	int power = 63 - __builtin_clzll(v);

	h->of[power * STEPS + (int)(v >> (power - STEP_BITS) & (STEPS - 1))]++;
	h->n++;
}

static double
quantile_us(const struct histogram *h, double q)
{
	uint64_t wanted = (uint64_t)(q * (double)h->n), seen = 0;

	for (int i = 0; i < 64 * STEPS; i++) {
		int power = i / STEPS;

		seen += h->of[i];
		if (seen > wanted)
			return (double)((UINT64_C(1) << power) +
					((uint64_t)(i % STEPS) << (power - STEP_BITS))) /
			       1000;
	}
	return 0;
}

/* ---- connections ---- */

static void
connect_to(struct conn *c)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)o.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
	int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0) {
		perror("load: connect");
		exit(1);
	}
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

static void
send_rest(struct conn *c)
{
	while (c->sent < request_len) {
		ssize_t n = send(c->fd, request + c->sent, request_len - c->sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			return;
		c->sent += (size_t)n;
	}
}

static bool
is_over(void)
{
	return o.count > 0 ? began >= (uint64_t)o.count : now_ns() >= end_ns;
}

static void
begin(struct conn *c, int64_t since_ns)
{
	c->is_busy = true;
	c->is_chunked = c->has_first = false;
	c->status = 0;
	c->sent = c->head_len = 0;
	c->left = -1;
	memset(c->tail, 0, sizeof c->tail);
	c->since_ns = since_ns;
	began++;
	busy_count++;
	send_rest(c);
}

static void
end(struct conn *c, bool is_good)
{
	int64_t now = now_ns();

	c->is_busy = false;
	busy_count--;
	if (is_good && c->since_ns >= counted_ns)
		note(&latency, now - c->since_ns);
	*(is_good ? &good : &bad) += 1;
	if (o.rate == 0 && !o.is_hold && !is_over())
		begin(c, now);
	else
		idle[idle_count++] = c - conn;
}

static void
lost(struct conn *c)
{
	(void)close(c->fd);
	if (c->is_busy && why[0] == '\0')
		(void)snprintf(why, sizeof why, "the connection was closed");
	connect_to(c);
	if (c->is_busy)
		end(c, false);
}

/* ---- answers ---- */

/* Takes the head's bytes; returns how many of the n were the head's. */
static size_t
take_head(struct conn *c, const char *p, size_t n)
{
	size_t room = HEAD_BYTES - 1 - c->head_len, had = c->head_len;
	char *found;

	memcpy(c->head + had, p, n < room ? n : room);
	c->head_len += n < room ? n : room;
	c->head[c->head_len] = '\0';
	found = strstr(c->head, "\r\n\r\n");
	if (found == NULL)
		return n;
	found[2] = '\0';
	c->status = atoi(c->head + 9);
	if (c->status != 200 && why[0] == '\0')
		(void)snprintf(why, sizeof why, "%.150s", c->head);
	c->is_chunked = strcasestr(c->head, "\ntransfer-encoding:") != NULL;
	if (!c->is_chunked) {
		char *length = strcasestr(c->head, "\ncontent-length:");

		c->left = length != NULL ? atoll(length + 16) : 0;
	}
	return (size_t)(found + 4 - c->head) - had;
}

static void
note_events(struct conn *c, const char *p, size_t n, int64_t now)
{
	const char *to = p + n;

	while ((p = memmem(p, (size_t)(to - p), "\"t\":", 4)) != NULL) {
		p += 4;
		events++;
		if (!c->has_first) {
			c->has_first = true;
			with_first++;
		}
		if (c->since_ns >= counted_ns)
			note(&delay, now - strtoll(p, NULL, 10));
	}
}

static void
keep_tail(struct conn *c, const char *p, size_t n)
{
	size_t kept = sizeof c->tail;

	if (n >= kept) {
		memcpy(c->tail, p + n - kept, kept);
		return;
	}
	memmove(c->tail, c->tail + n, kept - n);
	memcpy(c->tail + kept - n, p, n);
}

static void
take(struct conn *c, const char *p, size_t n, int64_t now)
{
	if (c->status == 0) {
		size_t used = take_head(c, p, n);

		p += used;
		n -= used;
		if (c->status == 0)
			return;
	}
	if (c->is_chunked) {
		note_events(c, p, n, now);
		keep_tail(c, p, n);
		if (memcmp(c->tail, "0\r\n\r\n", sizeof c->tail) == 0)
			end(c, c->status == 200);
	} else {
		c->left -= (int64_t)n;
		if (c->left <= 0)
			end(c, c->status == 200);
	}
}

static void
on_event(struct conn *c, uint32_t what)
{
	static char scratch[READ_BYTES + 1];

	if (c->is_busy && (what & EPOLLOUT))
		send_rest(c);
	while (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t n = recv(c->fd, scratch, READ_BYTES, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			lost(c);
			return;
		}
		scratch[n] = '\0';
		if (c->is_busy)
			take(c, scratch, (size_t)n, now_ns());
	}
}

/* ---- the run ---- */

static void
make_request(void)
{
	char *body = malloc((size_t)o.body + 512);
	int n;

	if (body == NULL)
		abort();
	n = sprintf(body,
	    "{\"model\":\"%.100s\",%s\"max_tokens\":128,\"temperature\":0.7,\"messages\":"
	    "[{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"},"
	    "{\"role\":\"user\",\"content\":\"",
	    o.model, o.is_stream ? "\"stream\":true," : "");
	for (const char *at = o.text; n + 4 < o.body; n++) {
		body[n] = *at++;
		if (*at == '\0')
			at = o.text;
	}
	n += sprintf(body + n, "\"}]}");
	request = malloc((size_t)n + 1024);
	if (request == NULL)
		abort();
	request_len = (size_t)sprintf(request,
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
	    "application/json\r\nAuthorization: Bearer %.200s\r\nContent-Length: "
	    "%d\r\n\r\n",
	    o.key, n);
	memcpy(request + request_len, body, (size_t)n);
	request_len += (size_t)n;
	free(body);
}

static void
read_options(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i], *v = argv[i + 1];

		if (strcmp(name, "--port") == 0)
			o.port = atol(v);
		else if (strcmp(name, "--model") == 0)
			o.model = v;
		else if (strcmp(name, "--key") == 0)
			o.key = v;
		else if (strcmp(name, "--text") == 0 && v[0] != '\0')
			o.text = v;
		else if (strcmp(name, "--conns") == 0)
			o.conns = atol(v);
		else if (strcmp(name, "--body") == 0)
			o.body = atol(v);
		else if (strcmp(name, "--count") == 0)
			o.count = atol(v);
		else if (strcmp(name, "--seconds") == 0)
			o.seconds = atof(v);
		else if (strcmp(name, "--rate") == 0)
			o.rate = atof(v);
		else if (strcmp(name, "--stream") == 0)
			o.is_stream = atol(v) != 0;
		else if (strcmp(name, "--hold") == 0)
			o.is_stream = o.is_hold = atol(v) != 0;
		else {
			(void)fprintf(stderr, "load: %s: unknown option\n", name);
			exit(2);
		}
	}
}

/* When request number `began` is to be sent. */
static int64_t
planned_ns(void)
{
	return start_ns + (int64_t)((double)began * NS_PER_S / o.rate);
}

static void
begin_planned(void)
{
	while (idle_count > 0 && !is_over() && planned_ns() <= now_ns())
		begin(&conn[idle[--idle_count]], planned_ns());
}

static void
turn(void)
{
	struct timespec most = { .tv_nsec = o.rate > 0 ? 50000 : 100000000 };
	struct epoll_event ready[TURN_EVENTS];
	int n = epoll_pwait2(epoll_fd, ready, TURN_EVENTS, &most, NULL);

	for (int i = 0; i < n; i++)
		on_event(ready[i].data.ptr, ready[i].events);
}

static void
hold(void)
{
	char byte;

	while (with_first < o.conns && now_ns() < end_ns + give_up_ns)
		turn();
	printf("%ld\n", with_first);
	(void)fflush(stdout);
	(void)!read(STDIN_FILENO, &byte, 1);
	exit(with_first == o.conns ? 0 : 1);
}

static void
run(void)
{
	start_ns = now_ns();
	end_ns = start_ns + (int64_t)(o.seconds * NS_PER_S);
	counted_ns = o.count > 0 ? start_ns : start_ns + (end_ns - start_ns) / 10;
	for (long i = 0; i < o.conns; i++) {
		if (o.rate == 0 && !is_over())
			begin(&conn[i], now_ns());
		else
			idle[idle_count++] = i;
	}
	if (o.is_hold)
		hold();
	while (busy_count > 0 || !is_over()) {
		if (o.count == 0 && now_ns() > end_ns + give_up_ns)
			break;
		if (o.rate > 0)
			begin_planned();
		turn();
	}
}

int
main(int argc, char **argv)
{
	struct rlimit files;
	double seconds;

	read_options(argc, argv);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	make_request();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	conn = calloc((size_t)o.conns, sizeof *conn);
	idle = calloc((size_t)o.conns, sizeof *idle);
	if (epoll_fd < 0 || conn == NULL || idle == NULL)
		abort();
	for (long i = 0; i < o.conns; i++)
		connect_to(&conn[i]);
	run();
	seconds = (double)(now_ns() - start_ns) / NS_PER_S;
	printf(
	    "{\"good\":%llu,\"bad\":%llu,\"rate\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
	    "\"events\":%llu,\"delay_p50_us\":%.1f,\"delay_p99_us\":%.1f}\n",
	    (unsigned long long)good, (unsigned long long)bad, (double)good / seconds,
	    quantile_us(&latency, 0.5), quantile_us(&latency, 0.99),
	    (unsigned long long)events, quantile_us(&delay, 0.5),
	    quantile_us(&delay, 0.99));
	if (why[0] != '\0')
		(void)fprintf(stderr, "load: first failure: %s\n", why);
	return bad > 0 ? 1 : 0;
}
