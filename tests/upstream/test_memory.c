/* test_memory.c - what a stream at rest costs, in bytes of the heap: plain, under TLS,
 * over HTTP/2, and with all the certificates of a system to trust.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

#include <malloc.h>

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

enum {
	STREAMS = 200
};

struct row {
	unsigned need;
	bool has_many_certificates;
	size_t most; /* bytes per stream */
};

static void
begin_and_rest(struct line *l)
{
	if (hear(l))
		say(l, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		       "5\r\nhello\r\n");
	wait_for_close(l);
}

static void
begin_all_and_rest(struct line *l)
{
	uint32_t stream;

	if (!h2_begin(l, 2 * STREAMS))
		return;
	while (h2_hear_request(l, &stream)) {
		h2_head(l, stream, 0, "");
		h2_data(l, stream, 0, "hello");
	}
}

/* The provider is another process, so that this heap is the engine's alone. */
static pid_t
fork_provider(struct provider *p, void (*script)(struct line *l), struct tls *tls)
{
	int ends[2];
	pid_t pid;

	memset(p, 0, sizeof(*p));
	p->tls = tls;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		uint16_t port = provider_start(script, tls)->port;

		if (write(ends[1], &port, sizeof(port)) != (ssize_t)sizeof(port))
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_true(pid > 0);
	assert_int_equal(read(ends[0], &p->port, sizeof(p->port)), sizeof(p->port));
	(void)close(ends[0]);
	(void)close(ends[1]);
	return pid;
}

static size_t
heap(void)
{
	return mallinfo2().uordblks;
}

static size_t
bytes_per_stream(struct bench *b, bool is_http2)
{
	static struct got g[STREAMS];
	struct upstream_request q;
	char url[64];
	size_t before;
	unsigned i;

	q = post(b, url, "{\"stream\":true}");
	q.wants_http2 = is_http2;
	before = heap();
	for (i = 0; i < STREAMS; i++) {
		got_init(&g[i], b);
		send_call(&g[i], &q);
		while (g[i].datas == 0 && g[i].dones == 0)
			bench_rest(b, 1);
		assert_int_equal(g[i].dones, 0);
		assert_body(&g[i], "hello");
		got_free(&g[i]);
	}
	return (heap() - before) / STREAMS;
}

static void
check_row(const struct row *row)
{
	static struct provider p;
	bool is_http2 = (row->need & CAN_HTTP2) != 0;
	struct tls *tls = (row->need & CAN_TLS) != 0 ? tls_new(is_http2) : NULL;
	struct upstream_options o = { .ca_file = tls != NULL ? tls_ca(tls) : NULL };
	struct bench b = { .p = &p };
	struct err e;
	size_t bytes;
	pid_t pid =
	    fork_provider(&p, is_http2 ? begin_all_and_rest : begin_and_rest, tls);

	if (row->has_many_certificates)
		tls_trust_more(tls, SYSTEM_CA);
	b.loop = loop_new(&e);
	assert_non_null(b.loop);
	b.u = engine->open(b.loop, &o, &e);
	assert_non_null(b.u);
	bytes = bytes_per_stream(&b, is_http2);
	upstream_free(b.u);
	loop_free(b.loop);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	if (tls != NULL)
		tls_free(tls);
	print_message("# %zu bytes per stream\n", bytes);
	if (bytes > row->most)
		fail_msg("%zu bytes per stream; %zu are allowed", bytes, row->most);
}

/* Not under a sanitizer's allocator. */
static bool
heap_is_counted(void)
{
	size_t before = heap();
	void *p = mem_alloc(50000);
	bool is_counted = heap() > before;

	mem_free(p);
	return is_counted;
}

static void
run_row(const struct row *row)
{
	need(row->need);
	if (!heap_is_counted())
		skip();
	check_row(row);
}

static void
test_a_plain_stream_at_rest(void **state)
{
	static const struct row row = { 0, false, 20 * 1024 };

	(void)state;
	run_row(&row);
}

static void
test_a_tls_stream_at_rest(void **state)
{
	static const struct row row = { CAN_TLS, false, 75 * 1024 };

	(void)state;
	run_row(&row);
}

static void
test_an_http2_stream_at_rest(void **state)
{
	static const struct row row = { CAN_TLS | CAN_HTTP2, false, 40 * 1024 };

	(void)state;
	run_row(&row);
}

/* Parsed for each connection, they cost 900 KB and 22 ms of the loop. */
static void
test_the_certificates_of_a_system_are_not_kept_by_every_stream(void **state)
{
	static const struct row row = { CAN_TLS, true, 80 * 1024 };

	(void)state;
	if (access(SYSTEM_CA, R_OK) != 0)
		skip();
	run_row(&row);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plain_stream_at_rest),
		cmocka_unit_test(test_a_tls_stream_at_rest),
		cmocka_unit_test(test_an_http2_stream_at_rest),
		cmocka_unit_test(
		    test_the_certificates_of_a_system_are_not_kept_by_every_stream),
	};

	return run_suite("memory", tests, sizeof(tests) / sizeof(tests[0]));
}
