/* provider.c - a provider that does what a script says, on a port of loopback.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

void
nap_ms(unsigned ms)
{
	(void)usleep(ms * 1000);
}

bool
line_more(struct line *l)
{
	char *room = buf_room(&l->in, 65536);
	ssize_t n;

	assert_non_null(room);
	n = l->tls != NULL ? tls_recv(l->tls, room, 65536) : recv(l->fd, room, 65536, 0);
	if (n > 0)
		l->in.len += (size_t)n;
	return n > 0;
}

bool
hear_something(struct line *l)
{
	while (l->in.len == 0)
		if (!line_more(l))
			return false;
	atomic_fetch_add(&l->p->requests, 1);
	return true;
}

size_t
announced_length(const char *head)
{
	const char *field = strcasestr(head, "\r\ncontent-length:");

	return field != NULL ? strtoul(field + 17, NULL, 10) : 0;
}

bool
hear(struct line *l)
{
	size_t head, body;
	char *end;

	buf_reset(&l->head);
	buf_reset(&l->body);
	if (!hear_something(l))
		return false;
	while ((end = memmem(l->in.ptr, l->in.len, "\r\n\r\n", 4)) == NULL)
		if (!line_more(l))
			return false;
	head = (size_t)(end - l->in.ptr) + 4;
	buf_add(&l->head, l->in.ptr, head);
	buf_add_char(&l->head, '\0');
	body = announced_length(l->head.ptr);
	while (l->in.len < head + body)
		if (!line_more(l))
			return false;
	buf_add(&l->body, l->in.ptr + head, body);
	buf_take(&l->in, head + body);
	return true;
}

void
say_n(struct line *l, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = l->tls != NULL ? tls_send(l->tls, p, n)
					      : send(l->fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		p += sent;
		n -= (size_t)sent;
	}
}

void
say(struct line *l, const char *text)
{
	say_n(l, text, strlen(text));
}

void
slam(struct line *l)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void
wait_for_close(struct line *l)
{
	while (!atomic_load(&l->p->is_over) && line_more(l))
		buf_reset(&l->in);
}

static void *
line_main(void *arg)
{
	struct line *l = arg;
	/* gcc 12 loads no _Atomic pointer atomically in the very call. */
	void (*script)(struct line * l) = atomic_load(&l->p->script);

	if (l->p->tls != NULL)
		l->tls = tls_accept(l->p->tls, l->fd);
	if (l->p->tls == NULL || l->tls != NULL)
		script(l);
	tls_close(l->tls);
	(void)close(l->fd);
	buf_free(&l->in);
	buf_free(&l->head);
	buf_free(&l->body);
	atomic_fetch_sub(&l->p->open, 1);
	return NULL;
}

static void *
provider_main(void *arg)
{
	struct provider *p = arg;
	struct line *l;
	int fd, yes = 1;

	while ((fd = accept(p->fd, NULL, NULL)) >= 0) {
		unsigned n = atomic_load(&p->lines);

		if (atomic_load(&p->is_over) || n == LINES_MAX) {
			(void)close(fd);
			break;
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		l = &p->line[n];
		*l = (struct line){ .p = p, .fd = fd, .nth = n + 1 };
		buf_init(&l->in, REQUEST_BYTES);
		buf_init(&l->head, REQUEST_BYTES);
		buf_init(&l->body, REQUEST_BYTES);
		atomic_fetch_add(&p->lines, 1);
		atomic_fetch_add(&p->open, 1);
		assert_int_equal(pthread_create(&l->thread, NULL, line_main, l), 0);
	}
	return NULL;
}

int
listen_somewhere(uint16_t *port, int backlog)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

int
dial(uint16_t port, int flags)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	return fd;
}

/* On the heap: a test that fails leaves its threads behind. */
struct provider *
provider_start(void (*script)(struct line *l), struct tls *tls)
{
	struct provider *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->script = script;
	p->tls = tls;
	p->fd = listen_somewhere(&p->port, 511);
	assert_int_equal(pthread_create(&p->thread, NULL, provider_main, p), 0);
	return p;
}

void
provider_await_quiet(struct provider *p)
{
	while (atomic_load(&p->open) > 0)
		(void)usleep(100);
}

void
provider_stop(struct provider *p)
{
	unsigned i, n;
	int fd;

	atomic_store(&p->is_over, true);
	atomic_store(&p->gate, UINT32_MAX);
	fd = dial(p->port, 0);
	assert_int_equal(pthread_join(p->thread, NULL), 0);
	(void)close(fd);
	(void)close(p->fd);
	n = atomic_load(&p->lines);
	for (i = 0; i < n; i++)
		(void)pthread_join(p->line[i].thread, NULL);
	free(p);
}

/* Scripts. */

const char ok_text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

void
answer_text(struct line *l)
{
	while (hear(l))
		say(l, l->p->text);
}

void
answer_text_and_close(struct line *l)
{
	if (hear(l))
		say(l, l->p->text);
}

void
answer_echo(struct line *l)
{
	char head[100];

	while (hear(l)) {
		(void)snprintf(head, sizeof(head),
		    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", l->body.len);
		say(l, head);
		say_n(l, l->body.ptr, l->body.len);
	}
}

void
answer_head_back(struct line *l)
{
	char head[100];

	while (hear(l)) {
		(void)snprintf(head, sizeof(head),
		    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", l->head.len - 1);
		say(l, head);
		say_n(l, l->head.ptr, l->head.len - 1);
	}
}

void
never_answer(struct line *l)
{
	if (hear(l))
		wait_for_close(l);
}

void
drip(struct line *l)
{
	size_t i;

	while (hear(l)) {
		say(l, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
		for (i = 0; i < 10; i++) {
			say(l, ".");
			nap_ms(40);
		}
	}
}

/* A port that takes nobody in. */

void
full_port_open(struct full_port *f)
{
	struct pollfd pfd = { .events = POLLOUT };

	f->listener = listen_somewhere(&f->port, 0);
	for (f->filled = 0; f->filled < 16; f->filled++) {
		f->fill[f->filled] = pfd.fd = dial(f->port, SOCK_NONBLOCK);
		if (poll(&pfd, 1, 100) == 0) {
			f->filled++;
			return;
		}
	}
	fail_msg("the queue of a listener never fills");
}

void
full_port_close(struct full_port *f)
{
	while (f->filled > 0)
		(void)close(f->fill[--f->filled]);
	(void)close(f->listener);
}
