/* test_http2_server.c - HTTP/2 with servers that none of us wrote: nghttpd, and nghttpx
 * in front of the scripted provider. Without them (package nghttp2) these tests are
 * skipped.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

#include <dirent.h>

/* Servers. */

struct server {
	struct tls *tls;
	uint16_t port;
	pid_t pid;
};

static void
await_listener(uint16_t port)
{
	struct pollfd pfd = { .events = POLLOUT };
	unsigned i;

	for (i = 0; i < 500; i++) {
		pfd.fd = dial(port, 0);
		if (poll(&pfd, 1, 100) == 1 && (pfd.revents & (POLLERR | POLLHUP)) == 0) {
			(void)close(pfd.fd);
			return;
		}
		(void)close(pfd.fd);
		nap_ms(10);
	}
	fail_msg("the server never listens");
}

static void
run_server(struct server *s, const char *const argv[])
{
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		if (freopen("/dev/null", "w", stdout) == NULL ||
		    freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		(void)execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	await_listener(s->port);
}

static bool
is_installed(const char *program)
{
	char command[100];

	(void)snprintf(
	    command, sizeof(command), "command -v %s >/dev/null 2>&1", program);
	return system(command) == 0;
}

static void
nghttpd_start(struct server *s)
{
	char port[8];

	s->tls = tls_new(true);
	(void)close(listen_somewhere(&s->port, 1));
	(void)snprintf(port, sizeof(port), "%u", s->port);
	run_server(s, (const char *const[]){ "nghttpd", "--address=127.0.0.1",
			  "--echo-upload", port, tls_key(s->tls), tls_ca(s->tls), NULL });
}

static void
nghttpx_start(struct server *s, uint16_t behind)
{
	char front[60], back[60];

	s->tls = tls_new(true);
	(void)close(listen_somewhere(&s->port, 1));
	(void)snprintf(front, sizeof(front), "--frontend=127.0.0.1,%u", s->port);
	(void)snprintf(back, sizeof(back), "--backend=127.0.0.1,%u", behind);
	run_server(
	    s, (const char *const[]){ "nghttpx", "--conf=/dev/null", front, back,
		   "--single-process", "--workers=1", "--backend-connect-timeout=2",
		   tls_key(s->tls), tls_ca(s->tls), NULL });
}

static void
server_stop(struct server *s)
{
	(void)kill(s->pid, SIGKILL);
	(void)waitpid(s->pid, NULL, 0);
	tls_free(s->tls);
}

static struct upstream_request
ask(const struct server *s, char url[64], const char *body)
{
	struct upstream_request q = {
		.method = "POST", .part_count = 1, .wants_http2 = true
	};

	q.url =
	    lz_strn(url, (size_t)snprintf(url, 64, "https://127.0.0.1:%u/echo", s->port));
	q.part[0] = lz_strz(body);
	return q;
}

/* A bench whose provider is only used by nghttpx, if at all. */
static void
open_to(struct bench *b, const struct server *s, void (*script)(struct line *l))
{
	struct upstream_options o = { .ca_file = tls_ca(s->tls) };

	bench_open(b, script, &o);
}

static unsigned
open_sockets(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *d;
	char path[300], target[100];
	unsigned n = 0;

	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		ssize_t len;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%s", d->d_name);
		len = readlink(path, target, sizeof(target));
		n += len > 7 && memcmp(target, "socket:", 7) == 0;
	}
	(void)closedir(dir);
	return n;
}

static void
test_5000_transfers_share_a_few_connections_and_none_gets_anothers(void **state)
{
	struct server s;
	struct bench b;
	struct upstream_request q;
	char url[64];
	unsigned before;

	(void)state;
	need(CAN_HTTP2);
	if (!is_installed("nghttpd"))
		skip();
	nghttpd_start(&s);
	open_to(&b, &s, never_answer);
	before = open_sockets();
	q = ask(&s, url, "");
	transfer_5000(&b, &q);
	assert_true(open_sockets() - before <= 5); /* an engine may have its own */
	engine->balance(b.u);
	bench_close(&b);
	server_stop(&s);
}

static void
test_a_large_body_goes_and_comes_back(void **state)
{
	char *big = malloc(3 << 20);
	struct server s;
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;
	size_t i;

	(void)state;
	need(CAN_HTTP2);
	if (!is_installed("nghttpd"))
		skip();
	for (i = 0; i < 3 << 20; i++)
		big[i] = (char)(i * 31 >> 4);
	nghttpd_start(&s);
	open_to(&b, &s, never_answer);
	q = ask(&s, url, "");
	q.part_count = 2;
	q.part[0] = lz_strn(big, 1 << 20);
	q.part[1] = lz_strn(big + (1 << 20), 2 << 20);
	call(&b, &g, &q);
	assert_end(&g, UPSTREAM_DONE);
	assert_int_equal(g.body.len, 3 << 20);
	assert_memory_equal(g.body.ptr, big, 3 << 20);
	got_free(&g);
	engine->balance(b.u);
	bench_close(&b);
	server_stop(&s);
	free(big);
}

/* nghttpx speaks HTTP/2 to us, and HTTP/1.1 to the provider. */

static void
begin_and_break(struct line *l)
{
	if (!hear(l))
		return;
	say(l, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
	nap_ms(200); /* what a busy nghttpx has not read by then is lost with the line */
	slam(l);
}

static void
test_a_proxy_whose_backend_breaks_is_a_reset_asked_once(void **state)
{
	struct server s;
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;
	unsigned i;

	(void)state;
	need(CAN_HTTP2);
	if (!is_installed("nghttpx"))
		skip();
	s.tls = NULL;
	{
		struct provider *p = provider_start(begin_and_break, NULL);

		nghttpx_start(&s, p->port);
		open_to(&b, &s, never_answer);
		q = ask(&s, url, "{}");
		for (i = 0; i < 3; i++) {
			call(&b, &g, &q);
			assert_end(&g, UPSTREAM_RESET);
			assert_int_equal(g.status, 200);
			got_free(&g);
			assert_int_equal(atomic_load(&p->requests), i + 1);
		}
		p->script = answer_text;
		p->text = ok_text;
		call(&b, &g, &q);
		assert_end(&g, UPSTREAM_DONE);
		assert_body(&g, "ok");
		got_free(&g);
		engine->balance(b.u);
		bench_close(&b);
		server_stop(&s);
		provider_stop(p);
	}
}

/* SIGQUIT: nghttpx says goodbye, lets the calls end, and goes. */
static void
answer_at_the_gate(struct line *l)
{
	while (hear(l)) {
		while (atomic_load(&l->p->gate) == 0)
			nap_ms(1);
		say(l, l->p->text);
	}
}

static void
test_a_proxy_that_goes_lets_its_calls_end(void **state)
{
	enum {
		CALLS = 10
	};
	struct provider *p;
	struct server s;
	struct bench b;
	struct got g[CALLS];
	char url[64];
	struct upstream_request q;
	unsigned i;

	(void)state;
	need(CAN_HTTP2);
	if (!is_installed("nghttpx"))
		skip();
	p = provider_start(answer_at_the_gate, NULL);
	p->text = ok_text;
	nghttpx_start(&s, p->port);
	open_to(&b, &s, never_answer);
	q = ask(&s, url, "{}");
	for (i = 0; i < CALLS; i++) {
		got_init(&g[i], &b);
		send_call(&g[i], &q);
	}
	bench_await(&b, &p->requests, CALLS);
	(void)kill(s.pid, SIGQUIT);
	bench_rest(&b, 50);
	atomic_store(&p->gate, 1);
	bench_run(&b, CALLS);
	for (i = 0; i < CALLS; i++) {
		assert_end(&g[i], UPSTREAM_DONE);
		assert_body(&g[i], "ok");
		got_free(&g[i]);
	}
	assert_int_equal(atomic_load(&p->requests), CALLS);
	engine->balance(b.u);
	bench_close(&b);
	server_stop(&s);
	provider_stop(p);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_5000_transfers_share_a_few_connections_and_none_gets_anothers),
		cmocka_unit_test(test_a_large_body_goes_and_comes_back),
		cmocka_unit_test(test_a_proxy_whose_backend_breaks_is_a_reset_asked_once),
		cmocka_unit_test(test_a_proxy_that_goes_lets_its_calls_end),
	};

	return run_suite("http2_server", tests, sizeof(tests) / sizeof(tests[0]));
}
