/* test_wire.c - what stands on the wire, and what never gets there.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

/* What is asked and what is answered. */

static void
test_a_plain_answer_arrives_with_its_head_and_its_bytes(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = "HTTP/1.1 201 Made\r\nX-One:  a b \r\nCONTENT-LENGTH: "
		    "5\r\nEmpty:\r\n\r\nhello";
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	assert_int_equal(g.r.status, 201);
	assert_int_equal(g.status, 201);
	assert_int_equal(g.header_count, 3);
	assert_string_equal(header_of(&g, "x-one"), "a b");
	assert_string_equal(header_of(&g, "content-length"), "5");
	assert_string_equal(header_of(&g, "empty"), "");
	assert_body(&g, "hello");
	assert_true(g.r.was_sent);
	assert_true(g.r.connect_us >= 0 && g.r.first_byte_us >= g.r.connect_us);
	assert_true(g.r.total_us >= g.r.first_byte_us);
	assert_string_equal(g.r.detail, "");
	assert_int_equal(upstream_active(b.u), 0);
	got_free(&g);
	bench_close(&b);
}

static void
test_a_request_carries_its_headers_and_none_that_nobody_asked_for(void **state)
{
	lz_header h[] = { lz_head(lz_strz("Authorization"), lz_strz("Bearer x")),
		lz_head(lz_strz("x-empty"), lz_strz("")),
		lz_head(lz_strz("content-type"), lz_strz("application/json")) };
	struct bench b;
	struct got g;
	char url[64], expected[400];
	struct upstream_request q;

	(void)state;
	bench_open(&b, answer_head_back, NULL);
	q = post(&b, url, "{\"a\":1}");
	q.headers = h;
	q.header_count = 3;
	call(&b, &g, &q);
	(void)snprintf(expected, sizeof(expected),
	    "POST /v1/chat HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: "
	    "*/*\r\nAuthorization: Bearer x\r\nx-empty:\r\n"
	    "content-type: application/json\r\nContent-Length: 7\r\n"
	    "User-Agent: latenza/" LATENZA_VERSION " HTTP/1.1\r\n\r\n",
	    b.p->port);
	assert_body(&g, expected);
	got_free(&g);
	bench_close(&b);
}

/* The lines of a head that the URL decides, and no others. */
static void
keep_urls_lines(struct buf *head, struct buf *kept)
{
	buf_add_char(head, '\0');
	for (char *at = head->ptr, *end; (end = strstr(at, "\r\n")) != NULL; at = end + 2)
		if (at == head->ptr || strncmp(at, "Host:", 5) == 0 ||
		    strncmp(at, "Authorization:", 14) == 0)
			buf_add(kept, at, (size_t)(end + 2 - at));
}

/* A head is one text, or a list from which libcurl makes it, as with a User-Agent of the
 * caller's: nobody sees a difference. */
static void
test_what_a_url_says_is_said_as_libcurl_says_it(void **state)
{
	static const char *const urls[] = { "http://127.0.0.1:%u", "http://127.0.0.1:%u/",
		"http://127.0.0.1:%u?a=b", "http://127.0.0.1:%u/?",
		"http://127.0.0.1:%u/v1/chat?x=1&y=2%%20#z",
		"http://127.0.0.1:%u/a//b/../c/./d%%2f%%00{}|^~`\"<>",
		"http://localhost:%u/%%C3%%A9", "http://LOCALHOST:%u/V1",
		"http://user:pa%%20ss@127.0.0.1:%u/v1", "http://0x7f.1:%u/",
		"http://2130706433:%u/x", "http://127.0.0.1.:%u/",
		"http://%%31%%32%%37.0.0.1:%u/x", "http://127.0.0.1:0%u/x" };
	lz_header h[] = { lz_head(lz_strz("Authorization-Kind"), lz_strz("none")),
		lz_head(lz_strz("user-agent"), lz_strz("somebody")) };
	struct bench b;
	struct buf as_text, as_list;
	struct upstream_request q;
	struct got g;
	char url[64], other[160];

	(void)state;
	bench_open(&b, answer_head_back, NULL);
	buf_init(&as_text, 1 << 16);
	buf_init(&as_list, 1 << 16);
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		q = post(&b, url, "{}");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(other, sizeof(other), urls[i], b.p->port);
#pragma GCC diagnostic pop
		q.url = lz_strz(other);
		q.headers = h;
		for (size_t n = 1; n <= 2; n++) {
			q.header_count = n;
			call(&b, &g, &q);
			assert_end(&g, UPSTREAM_DONE);
			keep_urls_lines(&g.body, n == 1 ? &as_text : &as_list);
			assert_int_equal(strstr(g.body.ptr, "latenza") == NULL, n == 2);
			got_free(&g);
		}
		buf_add_char(&as_text, '\0');
		buf_add_char(&as_list, '\0');
		assert_string_equal(as_text.ptr, as_list.ptr);
		assert_non_null(strstr(as_text.ptr, "Host: "));
		buf_reset(&as_text);
		buf_reset(&as_list);
	}
	buf_free(&as_text);
	buf_free(&as_list);
	bench_close(&b);
}

static void
test_what_the_engine_would_write_itself_is_said_once(void **state)
{
	lz_header h[] = { lz_head(lz_strz("x-empty"), lz_strz("")),
		lz_head(lz_strz("Host"), lz_strz("other")),
		lz_head(lz_strz("x-a"), lz_strz("1")),
		lz_head(lz_strz("ACCEPT"), lz_strz("text/event-stream")),
		lz_head(lz_strz("x-a"), lz_strz("2")) };
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	bench_open(&b, answer_head_back, NULL);
	q = post(&b, url, "{}");
	q.headers = h;
	q.header_count = 5;
	call(&b, &g, &q);
	assert_body(&g,
	    "POST /v1/chat HTTP/1.1\r\nHost: other\r\nx-a: 1\r\nx-a: 2\r\nUser-Agent: "
	    "latenza/" LATENZA_VERSION "\r\n"
	    "ACCEPT: text/event-stream\r\nx-empty:\r\nContent-Length: 2\r\n\r\n");
	got_free(&g);
	h[1] = lz_head(lz_strz("user-agent"), lz_strz(""));
	q.header_count = 2; /* and none that could share an item */
	call(&b, &g, &q);
	assert_true(str_ends(buf_str(&g.body),
	    "\r\nuser-agent:\r\nx-empty:\r\nContent-Length: 2\r\n\r\n"));
	got_free(&g);
	h[1] = lz_head(lz_strz("accept"), lz_strz("text/plain"));
	call(&b, &g, &q);
	buf_add_char(&g.body, '\0');
	assert_null(strstr(g.body.ptr, "*/*"));
	assert_non_null(
	    strstr(g.body.ptr, "\r\nx-empty:\r\naccept: text/plain\r\nContent-Length: "));
	got_free(&g);
	bench_close(&b);
}

static void
test_every_method_is_sent_as_it_is_called(void **state)
{
	static const struct {
		const char *method;
		const char *body;
	} rows[] = { { "POST", "x" }, { "GET", "" }, { "DELETE", "" }, { "POST", "" },
		{ "PUT", "x" }, { "GET", "" }, { "PATCH", "yy" }, { "DELETE", "x" },
		{ "POST", "x" } };
	struct bench b;
	struct got g;
	char url[64], line[40];
	size_t i;

	(void)state;
	bench_open(&b, answer_head_back, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct upstream_request q = post(&b, url, rows[i].body);

		q.method = rows[i].method;
		call(&b, &g, &q);
		assert_end(&g, UPSTREAM_DONE);
		(void)snprintf(
		    line, sizeof(line), "%s /v1/chat HTTP/1.1\r\n", rows[i].method);
		assert_memory_equal(g.body.ptr, line, strlen(line));
		buf_add_char(&g.body, '\0');
		assert_int_equal(announced_length(g.body.ptr), strlen(rows[i].body));
		assert_null(strstr(g.body.ptr, "urlencoded"));
		got_free(&g);
	}
	assert_int_equal(atomic_load(&b.p->lines), 1);
	bench_close(&b);
}

static void
test_a_body_in_parts_arrives_in_one_piece_whatever_its_size(void **state)
{
	static const size_t sizes[] = { 0, 1, 1000, 16384, 16385, 70000, 3 << 20 };
	char *text = malloc(3 << 20);
	struct bench b;
	struct got g;
	char url[64];
	size_t i, k;

	(void)state;
	for (i = 0; i < 3 << 20; i++)
		text[i] = (char)('a' + i % 23);
	bench_open(&b, answer_echo, NULL);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (k = 1; k <= 3; k++) {
			struct upstream_request q = post(&b, url, "");
			size_t cut = sizes[i] / 3;

			q.part_count = k;
			q.part[0] = lz_strn(text, k == 1 ? sizes[i] : cut);
			q.part[1] = lz_strn(text + cut, k == 2 ? sizes[i] - cut : 0);
			q.part[2] = lz_strn(text + cut, sizes[i] - cut);
			call(&b, &g, &q);
			assert_end(&g, UPSTREAM_DONE);
			assert_int_equal(g.body.len, sizes[i]);
			if (sizes[i] > 0)
				assert_memory_equal(g.body.ptr, text, sizes[i]);
			got_free(&g);
		}
	}
	bench_close(&b);
	free(text);
}

static void
test_a_chunked_answer_arrives_without_its_chunks(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "3\r\nabc\r\n4;x=y\r\ndefg\r\n1\r\nh\r\n0\r\nTrailer: t\r\n\r\n";
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	assert_body(&g, "abcdefgh");
	assert_int_equal(g.datas, 1); /* three pieces, one readable event, one call */
	assert_null(header_of(&g, "trailer"));
	got_free(&g);
	bench_close(&b);
}

static void
test_chunks_that_are_nonsense_are_a_bad_answer(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text =
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzzz\r\n";
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_BAD);
	got_free(&g);
	bench_close(&b);
}

static void
test_answers_without_a_body_end_at_their_head(void **state)
{
	static const char *const texts[] = { "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" };
	struct bench b;
	struct got g;
	char url[64];
	size_t i;

	(void)state;
	bench_open(&b, answer_text, NULL);
	for (i = 0; i < 3; i++) {
		b.p->text = texts[i];
		call_post(&b, &g, "{}");
		assert_end(&g, UPSTREAM_DONE);
		assert_int_equal(g.heads, 1);
		assert_int_equal(g.datas, 0);
		got_free(&g);
	}
	b.p->text = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n";
	for (i = 0; i < 2; i++) {
		struct upstream_request q = post(&b, url, "");

		q.method = "HEAD";
		q.max_answer_bytes = 10;
		call(&b, &g, &q);
		assert_end(&g, UPSTREAM_DONE);
		assert_int_equal(g.datas, 0);
		got_free(&g);
	}
	assert_int_equal(atomic_load(&b.p->lines), 1);
	bench_close(&b);
}

static void
test_a_body_that_ends_with_the_connection_is_whole(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text_and_close, NULL);
	b.p->text = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
	call_post(&b, &g, "{}");
	assert_end(&g, UPSTREAM_DONE);
	assert_body(&g, "until the end");
	got_free(&g);
	bench_close(&b);
}

static void
test_a_hundred_calls_use_one_connection(void **state)
{
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = ok_text;
	for (i = 0; i < 100; i++) {
		call_post(&b, &g, "{}");
		assert_end(&g, UPSTREAM_DONE);
		got_free(&g);
	}
	assert_int_equal(atomic_load(&b.p->lines), 1);
	assert_int_equal(atomic_load(&b.p->requests), 100);
	bench_close(&b);
}

/* What cannot be sent. */

static void
refused(struct bench *b, const struct upstream_request *q, const char *why)
{
	struct got g;
	struct err e = { "" };

	got_init(&g, b);
	if (upstream_send(b->u, q, &ops, &g, &e) != NULL)
		fail_msg("was taken: %s %.*s", q->method, STR_ARG(q->url));
	if (strstr(e.text, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.text, why);
	assert_null(strstr(e.text, "secret"));
	assert_int_equal(upstream_active(b->u), 0);
	got_free(&g);
}

static void
test_headers_that_could_split_a_request_are_refused(void **state)
{
	static const struct {
		lz_header h;
		const char *why;
	} rows[] = {
		{ { { "x-a", 3 }, { "secret\r\nx: y", 12 } }, "x-a" },
		{ { { "x-a", 3 }, { "secret\n", 7 } }, "x-a" },
		{ { { "x-a", 3 }, { "sec\0ret", 7 } }, "x-a" },
		{ { { "x a", 3 }, { "v", 1 } }, "token" },
		{ { { "x:a", 3 }, { "v", 1 } }, "token" },
		{ { { "x\r\na", 4 }, { "v", 1 } }, "token" },
		{ { { "", 0 }, { "v", 1 } }, "token" },
		{ { { "Content-Length", 14 }, { "3", 1 } }, "content-length" },
		{ { { "transfer-encoding", 17 }, { "chunked", 7 } },
		    "transfer-encoding" },
		{ { { "accept-encoding", 15 }, { "gzip", 4 } }, "accept-encoding" },
	};
	struct bench b;
	char url[64];
	struct upstream_request q;
	size_t i;

	(void)state;
	bench_open(&b, answer_text, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		q = post(&b, url, "{}");
		q.headers = &rows[i].h;
		q.header_count = 1;
		refused(&b, &q, rows[i].why);
	}
	assert_int_equal(atomic_load(&b.p->requests), 0);
	bench_close(&b);
}

static void
test_urls_and_methods_that_cannot_be_called_are_refused(void **state)
{
	static const char *const urls[] = { "", "file:///etc/passwd", "ftp://h/",
		"HTTP://h/", "http://", "http:///x", "http://h:0/", "http://h:99999/",
		"http://h:x/", "http://h/a b", "http://h/\r\nx", "http://[::1/",
		"https://?x", "gopher://h/", "h", "http://user:secret@/" };
	struct bench b;
	char url[64];
	struct upstream_request q;
	size_t i;

	(void)state;
	bench_open(&b, answer_text, NULL);
	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		q = post(&b, url, "{}");
		q.url = lz_strz(urls[i]);
		refused(&b, &q, "url: ");
	}
	q = post(&b, url, "{}");
	q.method = "PO ST";
	refused(&b, &q, "method");
	q.method = "GET";
	refused(&b, &q, "no body");
	bench_close(&b);
}

/* Proxies. */

static void
test_a_proxy_is_used_only_when_the_request_names_it(void **state)
{
	struct bench b;
	struct got g;
	char url[64], proxy[64], line[100];
	struct upstream_request q;
	unsigned i;
	uint16_t nobody;

	(void)state;
	(void)close(listen_somewhere(&nobody, 1));
	(void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", nobody);
	(void)setenv("http_proxy", proxy, 1);
	(void)setenv("ALL_PROXY", proxy, 1);
	(void)setenv("no_proxy", "*", 1);
	bench_open(&b, answer_head_back, NULL);
	(void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", b.p->port);
	for (i = 0; i < 3; i++) {
		q = post(&b, url, "{}");
		q.proxy = i == 1 ? proxy : NULL;
		if (i == 1)
			q.url = lz_strz("http://far.test/v1");
		call(&b, &g, &q);
		assert_end(&g, UPSTREAM_DONE);
		(void)snprintf(line, sizeof(line), "POST %s HTTP/1.1\r\n",
		    i == 1 ? "http://far.test/v1" : "/v1/chat");
		assert_memory_equal(g.body.ptr, line, strlen(line));
		got_free(&g);
	}
	bench_close(&b);
	(void)unsetenv("http_proxy");
	(void)unsetenv("ALL_PROXY");
	(void)unsetenv("no_proxy");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plain_answer_arrives_with_its_head_and_its_bytes),
		cmocka_unit_test(
		    test_a_request_carries_its_headers_and_none_that_nobody_asked_for),
		cmocka_unit_test(test_what_a_url_says_is_said_as_libcurl_says_it),
		cmocka_unit_test(test_what_the_engine_would_write_itself_is_said_once),
		cmocka_unit_test(test_every_method_is_sent_as_it_is_called),
		cmocka_unit_test(
		    test_a_body_in_parts_arrives_in_one_piece_whatever_its_size),
		cmocka_unit_test(test_a_chunked_answer_arrives_without_its_chunks),
		cmocka_unit_test(test_chunks_that_are_nonsense_are_a_bad_answer),
		cmocka_unit_test(test_answers_without_a_body_end_at_their_head),
		cmocka_unit_test(test_a_body_that_ends_with_the_connection_is_whole),
		cmocka_unit_test(test_a_hundred_calls_use_one_connection),
		cmocka_unit_test(test_headers_that_could_split_a_request_are_refused),
		cmocka_unit_test(test_urls_and_methods_that_cannot_be_called_are_refused),
		cmocka_unit_test(test_a_proxy_is_used_only_when_the_request_names_it),
	};

	return run_suite("wire", tests, sizeof(tests) / sizeof(tests[0]));
}
