/* test_http1.c - what a request may look like, and all that it may not.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/http1.h"

#define HOST              "Host: gw.test\r\n"
#define GET_WITH(fields)  "GET /healthz HTTP/1.1\r\n" HOST fields "\r\n"
#define POST_WITH(fields) "POST /v1/x HTTP/1.1\r\n" HOST fields "\r\n"
#define GET_PATH(path)    "GET " path " HTTP/1.1\r\n" HOST "\r\n"

static char room[64 * 1024];
static struct http_field head_field[HTTP_FIELDS];
static struct http_head head = { .field = head_field };
static struct http_refusal why;
static size_t used;

/* A row is a string literal: NUL bytes count. */
struct row {
	const char *bytes;
	size_t len;
	int status;
};
#define ROW(literal, status)                                                             \
	{                                                                                \
		literal, sizeof(literal) - 1, status                                     \
	}

static enum http_verdict
parse(const char *bytes, size_t len)
{
	size_t searched = 0;

	assert_true(len <= sizeof(room));
	memcpy(room, bytes, len);
	why = (struct http_refusal){ 0 };
	return http1_parse_head(
	    room, len, HTTP_HEAD_BYTES, &searched, &head, &used, &why);
}

static void
accepted(const char *text)
{
	if (parse(text, strlen(text)) != HTTP_DONE)
		fail_msg("refused (%s): %s", why.why, text);
	assert_int_equal(used, strlen(text));
}

static void
refused(const struct row *r)
{
	if (parse(r->bytes, r->len) != HTTP_BAD)
		fail_msg("not refused: %.*s", (int)r->len, r->bytes);
	if (why.status != r->status || why.why == NULL)
		fail_msg(
		    "%d, not %d: %.*s", why.status, r->status, (int)r->len, r->bytes);
}

static void
all_refused(const struct row *rows, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		refused(&rows[i]);
}
#define ALL_REFUSED(rows) all_refused(rows, sizeof(rows) / sizeof((rows)[0]))

static void
a_plain_request_is_taken_apart(void **state)
{
	(void)state;
	accepted("POST /v1/chat/completions?a=b&c HTTP/1.1\r\nHOST: gw.test:8080\r\n"
		 "Content-Type: application/json\r\nX-Empty:\r\nX-Padded: \t a b \t\r\n"
		 "x-twice: 1\r\nX-Twice: 2\r\nContent-Length: 27\r\n\r\n");
	assert_int_equal(head.method, HTTP_POST);
	assert_true(str_is(head.path, "/v1/chat/completions"));
	assert_true(str_is(head.query, "a=b&c"));
	assert_true(str_is(head.host, "gw.test:8080"));
	assert_int_equal(head.minor, 1);
	assert_true(head.keep_alive);
	assert_false(head.is_chunked);
	assert_int_equal(head.content_length, 27);
	assert_int_equal(head.field_count, 7);
	assert_true(str_is(*http1_field(&head, "content-type"), "application/json"));
	assert_int_equal(http1_field(&head, "x-empty")->len, 0);
	assert_true(str_is(*http1_field(&head, "x-padded"), "a b"));
	assert_true(str_is(*http1_field(&head, "x-twice"), "1"));
	assert_int_equal(http1_field_count(&head, "x-twice"), 2);
	assert_int_equal(http1_field_count(&head, "x-never"), 0);
	assert_null(http1_field(&head, "x-never"));
}

static void
the_other_legal_forms_are_taken(void **state)
{
	(void)state;
	accepted(GET_WITH(""));
	assert_int_equal(head.content_length, -1);
	assert_int_equal(head.query.len, 0);
	accepted("\r\n" GET_WITH(""));
	accepted("GET / HTTP/1.0\r\n\r\n");
	assert_false(head.keep_alive);
	accepted("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
	assert_true(head.keep_alive);
	accepted(GET_WITH("Connection: x, Close ,keep-alive\r\n"));
	assert_false(head.keep_alive);
	accepted(GET_WITH("Connection: authorization\r\nAuthorization: Bearer x\r\n"));
	assert_non_null(http1_field(&head, "authorization"));
	accepted(GET_WITH("Upgrade: websocket\r\nConnection: upgrade\r\n"));
	accepted(GET_WITH("X-Utf8: gr\xc3\xbc\xc3\x9f\r\n"));
	accepted(GET_WITH("Content-Length: 0\r\n"));
	accepted(POST_WITH("Transfer-Encoding: \tCHUNKED \r\n"));
	assert_true(head.is_chunked);
	accepted(POST_WITH("Content-Length: 000000000000027\r\n"));
	assert_int_equal(head.content_length, 27);
	accepted(POST_WITH("Expect: 100-Continue\r\nContent-Length: 2\r\n"));
	assert_true(head.expects_continue);
	accepted(POST_WITH("Expect: 100-continue\r\n"));
	assert_false(head.expects_continue);
	accepted("GET http://gw.TEST/a?b HTTP/1.1\r\n" HOST "\r\n");
	assert_true(str_is(head.path, "/a"));
	accepted("OPTIONS /v1/x HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n");
	assert_true(str_is(head.host, "[2001:db8::1]:80"));
	accepted(GET_PATH("/v1/models/ft:gpt-4o:a@b;c=1,(d)'!$&*+~_"));
	accepted(GET_PATH("/a%20b%3A/c..d/.e/...f/"));
	accepted(GET_PATH("/x?q=%2f..%00{|}//%e9"));
	/* OpenAI's SDKs write the slash of a model's name so; it is judged as a slash. */
	accepted(GET_PATH("/v1/models/latenza%2Fbalanced"));
	assert_true(str_is(head.path, "/v1/models/latenza%2Fbalanced"));
}

static void
a_request_line_that_is_not_exactly_one_is_refused(void **state)
{
	static const struct row rows[] = {
		ROW("GET  /healthz HTTP/1.1\r\n" HOST "\r\n", 400),
		ROW(" GET /healthz HTTP/1.1\r\n" HOST "\r\n", 400),
		ROW("GET /healthz  HTTP/1.1\r\n" HOST "\r\n", 400),
		ROW("GET /healthz HTTP/1.1 \r\n" HOST "\r\n", 400),
		ROW("GET\t/healthz HTTP/1.1\r\n" HOST "\r\n", 400),
		ROW("GET /heal thz HTTP/1.1\r\n" HOST "\r\n", 400),
		ROW("GET /healthz\r\n" HOST "\r\n", 400),
		ROW("GET /healthz \r\n" HOST "\r\n", 400),
		ROW("GET HTTP/1.1\r\n" HOST "\r\n", 400),
		ROW("A\r\n\r\n", 400),
		ROW("G(T /healthz HTTP/1.1\r\n" HOST "\r\n", 400),
		ROW("get /healthz HTTP/1.1\r\n" HOST "\r\n", 400),
		ROW("Get /healthz HTTP/1.1\r\n" HOST "\r\n", 405),
		ROW("TRACE /healthz HTTP/1.1\r\n" HOST "\r\n", 405),
		ROW("CONNECT gw.test:80 HTTP/1.1\r\n" HOST "\r\n", 405),
		ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
		ROW("GET /healthz HTTP/2.0\r\n" HOST "\r\n", 505),
		ROW("GET /healthz HTTP/1.2\r\n" HOST "\r\n", 505),
		ROW("GET /healthz HTTP/0.9\r\n" HOST "\r\n", 505),
		ROW("GET /healthz HTTP/1,1\r\n" HOST "\r\n", 505),
		ROW("GET /healthz http/1.1\r\n" HOST "\r\n", 400),
		ROW("GET /healthz HTTP/1.10\r\n" HOST "\r\n", 400),
		ROW("GET /healthz HTTP/11\r\n" HOST "\r\n", 400),
		ROW("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" GET_WITH(""), 400),
		ROW("\r\n\r\n" GET_WITH(""), 400),
		ROW("\n" GET_WITH(""), 400),
		ROW("\rGET / HTTP/1.1\r\n" HOST "\r\n", 400),
		ROW("GET /health\0z HTTP/1.1\r\n" HOST "\r\n", 400),
		ROW("GET /healthz HTTP/1.1\r\r\n" HOST "\r\n", 400),
		ROW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
	};

	(void)state;
	ALL_REFUSED(rows);
}

static void
a_path_that_two_readers_could_read_differently_is_refused(void **state)
{
	static const char *const paths[] = { "*", "healthz", "//healthz", "/v1//x",
		"/v1/../x", "/..", "/.", "/v1/.", "/v1/./x", "/v1/..;/x", "/..;a=b",
		"/.;/x", "/.../x", "/v1/%2e%2e/x", "/v1/%2E/x", "/v1/..%2fx", "/v1/%2fx",
		"/v1/a%2F..%2Fx", "/v1/a%2F%2Fb", "/v1/x%2f.", "/v1/%5cx", "/v1\\x",
		"/v1/%00", "/v1/%0d%0a", "/v1/%7f", "/v1/%252e", "/v1/%41", "/v1/%7E",
		"/v1/%zz", "/v1/%2", "/v1/%", "/v1/%e9", "/v1/%c0%ae", "/h\xe9",
		"/x#frag", "/x?y#frag", "/x?y=\xe9", "/<x>", "/{x}", "/\"x\"", "/x^",
		"/x|y", "/x`", "/[x]", "file:///etc/passwd", "ftp://gw.test/x",
		"http://gw.test", "http:///x", "http://other.test/x",
		"http://a@gw.test/x", "//gw.test/x" };
	char text[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct row r = { text, 0, 400 };

		r.len = (size_t)snprintf(
		    text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", paths[i]);
		refused(&r);
	}
}

static void
a_field_line_that_is_not_exactly_one_is_refused(void **state)
{
	static const struct row rows[] = {
		ROW(GET_WITH("X-A : b\r\n"), 400),
		ROW(GET_WITH("X A: b\r\n"), 400),
		ROW(GET_WITH("X-A\r\n"), 400),
		ROW(GET_WITH(": b\r\n"), 400),
		ROW(GET_WITH(" X-A: b\r\n"), 400),
		ROW(GET_WITH("X-A: b\r\n c\r\n"), 400),
		ROW(GET_WITH("X-A: b\r\n\tc\r\n"), 400),
		ROW(GET_WITH("X-\xffZ: b\r\n"), 400),
		ROW(GET_WITH("X\0A: b\r\n"), 400),
		ROW(GET_WITH("X-A: a\0b\r\n"), 400),
		ROW(GET_WITH("X-A: a\x01z\r\n"), 400),
		ROW(GET_WITH("X-A: a\x0bz\r\n"), 400),
		ROW(GET_WITH("X-A: a\x1fz\r\n"), 400),
		ROW(GET_WITH("X-A: a\x7fz\r\n"), 400),
		ROW(GET_WITH("X-A: a\rz\r\n"), 400),
		ROW(GET_WITH("X-A: a\nX-B: c\r\n"), 400),
		ROW(GET_WITH("X-A: a\r\r\n"), 400),
		ROW(GET_WITH("X-A: a value of more than sixteen bytes\x7f, and on\r\n"),
		    400),
		ROW(GET_WITH("X-A: a\r\n\n"), 400),
		ROW(GET_WITH("\rX: y\r\n"), 400),
		ROW(GET_WITH("(X): y\r\n"), 400),
		ROW(GET_WITH("X/A: y\r\n"), 400),
		ROW(GET_WITH("X\"A: y\r\n"), 400),
	};

	(void)state;
	ALL_REFUSED(rows);
}

static void
a_host_that_is_missing_doubled_or_no_host_is_refused(void **state)
{
	static const char *const hosts[] = { "", "gw.test, evil.test", "a@gw.test",
		"gw.test/x", "gw test", "gw.test:", "gw.test:80:80", "gw.test:65536",
		"gw.test:http", ":80", "gw.test:-1", "gw.test:000080", "[::1", "[]",
		"[::g]", "::1", "[::1]x", "gw.test#", "gw%2etest", "gw.test\\",
		"g\xc3\xbc.test" };
	static const struct row rows[] = {
		ROW("GET / HTTP/1.1\r\n\r\n", 400),
		ROW(GET_WITH(HOST), 400),
		ROW(GET_WITH("Host: evil.test\r\n"), 400),
		ROW("GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400),
		ROW("GET http://gw.test/ HTTP/1.0\r\n\r\n", 400),
	};
	char text[200];
	size_t i;

	(void)state;
	ALL_REFUSED(rows);
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct row r = { text, 0, 400 };

		r.len = (size_t)snprintf(
		    text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
		refused(&r);
	}
}

static void
framing_that_is_not_one_plain_length_or_chunked_is_refused(void **state)
{
	static const char *const fields[] = {
		"Content-Length: 27\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nContent-Length: 0",
		"Content-Length: 27\r\nContent-Length: 27",
		"Content-Length: 0\r\nContent-Length: 27", "Content-Length: 27,27",
		"Content-Length: +27", "Content-Length: -1", "Content-Length: 0x1b",
		"Content-Length: 27.0", "Content-Length: 2 7", "Content-Length: 27;",
		"Content-Length:", "Content-Length: \"27\"",
		"Content-Length: 1234567890123456", "Content-Length: 0000000000000027",
		"Content-Length: 18446744073709551643", "Content-Length: \xb2\xb7",
		"Content-Length : 27",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
		"Transfer-Encoding: identity", "Transfer-Encoding: xchunked",
		"Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked,gzip",
		"Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked,",
		"Transfer-Encoding: chunked;q=1", "Transfer-Encoding: \"chunked\"",
		"Transfer-Encoding: chun ked",
		"Transfer-Encoding: \x0b"
		"chunked",
		"Transfer-Encoding: \xa0"
		"chunked",
		"Transfer-Encoding:", "Transfer_Encoding: chunked",
		"Transfer.Encoding: chunked", "TransferEncoding: chunked",
		"Transfer--Encoding: chunked", "Content_Length: 27", "ContentLength: 27",
		"Content-Length-: 27", "'Content-Length': 27"
	};
	char text[300];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct row r = { text, 0, 400 };

		r.len = (size_t)snprintf(text, sizeof(text),
		    "POST /v1/x HTTP/1.1\r\n" HOST "%s\r\n\r\n", fields[i]);
		refused(&r);
	}
}

static void
what_only_seems_to_be_framing_is_taken(void **state)
{
	(void)state;
	accepted(POST_WITH(
	    "X-Content-Length: 5\r\nTransfer-Encodings: x\r\nContent-Lengths: 2\r\n"
	    "Content_Length-Of-What-Was-Before: 3\r\n"
	    "Content-Length: 27\r\n"));
}

static void
a_body_where_none_belongs_is_refused(void **state)
{
	static const struct row rows[] = {
		ROW(GET_WITH("Content-Length: 1\r\n"), 400),
		ROW(GET_WITH("Transfer-Encoding: chunked\r\n"), 400),
		ROW("HEAD / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n", 400),
		ROW("DELETE / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n", 400),
		ROW("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400),
	};

	(void)state;
	ALL_REFUSED(rows);
}

static void
an_unknown_expectation_is_refused_as_such(void **state)
{
	static const struct row rows[] = {
		ROW(POST_WITH("Expect: 200-maybe\r\n"), 417),
		ROW(POST_WITH("Expect:\r\n"), 417),
		ROW(POST_WITH("Expect: 100-continue\r\nExpect: 100-continue\r\n"), 417),
	};

	(void)state;
	ALL_REFUSED(rows);
}

/* "GET / HTTP/1.1", Host, n fields "x: y" and, if any, one field of `bytes`. */
static size_t
compose(char *text, size_t fields, size_t bytes)
{
	size_t len = (size_t)sprintf(text, "GET / HTTP/1.1\r\n" HOST), i;

	for (i = 0; i < fields; i++)
		len += (size_t)sprintf(text + len, "x: y\r\n");
	if (bytes > 0) {
		memcpy(text + len, "big: ", 5);
		memset(text + len + 5, 'b', bytes - 7);
		memcpy(text + len + bytes - 2, "\r\n", 2);
		len += bytes;
	}
	return len + (size_t)sprintf(text + len, "\r\n");
}

static void
heads_targets_and_fields_have_maxima(void **state)
{
	static char text[64 * 1024];
	size_t len, fixed;

	(void)state;
	fixed = compose(text, 0, 0);
	assert_int_equal(parse(text, compose(text, HTTP_FIELDS - 1, 0)), HTTP_DONE);
	assert_int_equal(head.field_count, HTTP_FIELDS);
	assert_int_equal(parse(text, compose(text, HTTP_FIELDS, 0)), HTTP_BAD);
	assert_int_equal(why.status, 431);
	assert_int_equal(
	    parse(text, compose(text, 0, HTTP_HEAD_BYTES - fixed)), HTTP_DONE);
	assert_int_equal(
	    parse(text, compose(text, 0, HTTP_HEAD_BYTES - fixed + 1)), HTTP_BAD);
	assert_int_equal(why.status, 431);
	/* No end in sight. */
	memset(text, 'A', sizeof(text));
	assert_int_equal(parse(text, HTTP_HEAD_BYTES - 1), HTTP_MORE);
	assert_int_equal(parse(text, HTTP_HEAD_BYTES), HTTP_BAD);
	assert_int_equal(why.status, 431);
	/* "/aaa..." of 4,096 bytes, then one more. */
	memset(text + 5, 'a', HTTP_TARGET_BYTES);
	memcpy(text, "GET /", 5);
	len = 4 + HTTP_TARGET_BYTES;
	(void)strcpy(text + len, " HTTP/1.1\r\n" HOST "\r\n");
	accepted(text);
	(void)strcpy(text + len, "a HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(parse(text, strlen(text)), HTTP_BAD);
	assert_int_equal(why.status, 431);
}

/* Cut anywhere, a head gives MORE until its last byte, and then the same as whole. */
static void
a_head_in_pieces_is_read_as_a_whole_one(void **state)
{
	static const char text[] =
	    "\r\nPOST /v1/x?y HTTP/1.1\r\nHost: gw.test\r\nA: b\r\n"
	    "Content-Length: 3\r\n\r\n";
	size_t len = sizeof(text) - 1, at, searched = 0;

	(void)state;
	for (at = 0; at < len; at++) {
		memcpy(room, text, at);
		assert_int_equal(http1_parse_head(room, at, HTTP_HEAD_BYTES, &searched,
				     &head, &used, &why),
		    HTTP_MORE);
	}
	memcpy(room, text, len);
	assert_int_equal(
	    http1_parse_head(room, len, HTTP_HEAD_BYTES, &searched, &head, &used, &why),
	    HTTP_DONE);
	assert_int_equal(used, len);
	assert_int_equal(head.content_length, 3);
}

static void
what_follows_a_head_is_not_looked_at(void **state)
{
	static const char text[] = GET_WITH("") "\n\n\xff";

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1), HTTP_DONE);
	assert_int_equal(used, sizeof(text) - 1 - 3);
}

/* Any single byte changed: no crash, and never a second Host or another framing. ASan
 * watches. */
static void
no_byte_anywhere_makes_the_parser_stumble(void **state)
{
	static const char text[] = "POST /v1/x HTTP/1.1\r\nHost: gw.test\r\nA-b: c d\r\n"
				   "Content-Length: 12\r\n\r\n";
	size_t len = sizeof(text) - 1, at, searched;
	char *copy = malloc(len);
	int byte;

	(void)state;
	for (at = 0; at < len; at++) {
		for (byte = 0; byte < 256; byte++) {
			memcpy(copy, text, len);
			copy[at] = (char)byte;
			searched = 0;
			if (http1_parse_head(copy, len, HTTP_HEAD_BYTES, &searched, &head,
				&used, &why) != HTTP_DONE)
				continue;
			assert_false(head.is_chunked);
			assert_true(head.path.ptr[0] == '/');
			assert_true(head.field_count == 3);
		}
	}
	free(copy);
}

/* Chunked bodies. */

static char body[4096];
static size_t body_len;

/* Feeds the text in pieces of `step` bytes. */
static enum http_verdict
feed_chunked(const char *text, size_t len, size_t step)
{
	struct http_chunked c = { 0 };
	enum http_verdict v = HTTP_MORE;
	size_t at = 0, n, took;
	lz_str run;

	body_len = 0;
	while (at < len && v == HTTP_MORE) {
		n = len - at < step ? len - at : step;
		do {
			v = http1_chunked(&c, text + at, n, &took, &run, &why);
			if (v == HTTP_BAD)
				return v;
			if (run.len > 0)
				memcpy(body + body_len, run.ptr, run.len);
			body_len += run.len;
			at += took;
			n -= took;
		} while (v == HTTP_MORE && n > 0);
	}
	used = at;
	return v;
}

static void
chunks_come_out_the_same_however_they_are_cut(void **state)
{
	static const char text[] =
	    "5\r\nhello\r\n1;ext=\"v\"\r\n,\r\n00000006\r\n world\r\n"
	    "0\r\nX-Trailer: a b\r\nOther:\r\n\r\n";
	size_t len = sizeof(text) - 1, step;

	(void)state;
	for (step = 1; step <= len; step++) {
		assert_int_equal(feed_chunked(text, len, step), HTTP_DONE);
		assert_int_equal(used, len);
		assert_int_equal(body_len, 12);
		assert_memory_equal(body, "hello, world", 12);
	}
	assert_int_equal(feed_chunked("0\r\n\r\nGET", 8, 8), HTTP_DONE);
	assert_int_equal(used, 5);
	assert_int_equal(feed_chunked("a\r\n0123456789\r\nA\r\n", 18, 18), HTTP_MORE);
}

static void
chunks_that_are_not_exactly_framed_are_refused(void **state)
{
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	static const char *const rows[] = { " 3\r\n", "3 \r\n", "\t3\r\n", "3\t\r\n",
		"\r\n3\r\n", "g\r\n", "0x3\r\n", "+3\r\n", "-1\r\n", "3,3\r\n", "3_0\r\n",
		"123456789\r\n", "000000003\r\n", "3\n", "3\rx", "3\r\nabc\n",
		"3\r\nabcXX", "3\r\nabcd\r\n", "3\r\nab\r\n", "3;a\rb\r\n",
		"3;a\x01z\r\n", "3;a\n", "3;" X64 "x\r\n", "0\r\n X: y\r\n",
		"0\r\nX : y\r\n", "0\r\nX\r\n", "0\r\n: y\r\n", "0\r\nX: y\n",
		"0\r\nX: \x01\r\n", "0\r\nX: y\r\n z\r\n", "0\r\n\r\r",
		"0\r\nContent-Length: 3\r\n", "0\r\ntransfer-ENCODING: chunked\r\n",
		"0\r\nHost: x\r\n", "0\r\nAuthorization: x\r\n" };
	size_t i, step;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (step = 1; step <= strlen(rows[i]); step++) {
			if (feed_chunked(rows[i], strlen(rows[i]), step) != HTTP_BAD)
				fail_msg("not refused: %s", rows[i]);
			assert_int_equal(why.status, 400);
		}
	}
	assert_int_equal(
	    feed_chunked("3;" X64 "\r\nabc\r\n0\r\n\r\n", 80, 80), HTTP_DONE);
	assert_int_equal(feed_chunked("3\0\r\n", 4, 4), HTTP_BAD);
}

/* Of a name longer than is kept of one, no more is asked than whether it is framing. */
static void
trailers_that_frame_nothing_are_passed_over(void **state)
{
	static const char *const rows[] = { "0\r\nX: y\r\n\r\n",
		"0\r\nTransfer-Encoding-Of-What-Was-Before: chunked\r\n\r\n",
		"0\r\nTransfer-Encodings: x\r\nHosts: y\r\n\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step <= strlen(rows[i]); step++)
			assert_int_equal(
			    feed_chunked(rows[i], strlen(rows[i]), step), HTTP_DONE);
}

/* It is the next request's, however often the body is asked for. */
static void
what_stands_behind_a_body_is_left_where_it_is(void **state)
{
	struct http_chunked c = { 0 };
	lz_str run;
	size_t took;

	(void)state;
	assert_int_equal(
	    http1_chunked(&c, "0\r\n\r\nGET", 8, &took, &run, &why), HTTP_DONE);
	assert_int_equal(took, 5);
	assert_int_equal(http1_chunked(&c, "GET", 3, &took, &run, &why), HTTP_DONE);
	assert_int_equal(took, 0);
	assert_int_equal(run.len, 0);
}

static enum http_verdict
feed_many(struct http_chunked *c, const char *chunk, unsigned times)
{
	enum http_verdict v = HTTP_MORE;
	lz_str run;
	size_t took;

	while (times-- > 0 && v == HTTP_MORE) {
		size_t at = 0, len = strlen(chunk);

		while (at < len && v == HTTP_MORE) {
			v = http1_chunked(c, chunk + at, len - at, &took, &run, &why);
			at += v == HTTP_BAD ? 0 : took;
		}
	}
	return v;
}

static void
a_body_that_is_mostly_framing_is_refused(void **state)
{
	struct http_chunked small = { 0 }, fair = { 0 }, trailers = { 0 };

	(void)state;
	assert_int_equal(
	    feed_many(&small, "1;padding-padding\r\nx\r\n", 100000), HTTP_BAD);
	assert_int_equal(
	    feed_many(&fair, "10\r\n0123456789abcdef\r\n", 100000), HTTP_MORE);
	assert_int_equal(feed_many(&trailers, "0\r\n", 1), HTTP_MORE);
	assert_int_equal(feed_many(&trailers, "a: b\r\n", 100000), HTTP_BAD);
}

static void
only_clean_fields_may_be_written(void **state)
{
	static const struct http_field good = { { "x-a", 3 }, { "b \t\xc3\xbc", 5 } };
	static const struct http_field bad[] = {
		{ { "", 0 }, { "b", 1 } },
		{ { "x a", 3 }, { "b", 1 } },
		{ { "x:", 2 }, { "b", 1 } },
		{ { "x", 1 }, { "b\r\nevil: 1", 10 } },
		{ { "x", 1 }, { "b\0", 2 } },
		{ { "x", 1 }, { "\n", 1 } },
	};
	size_t i;

	(void)state;
	assert_true(http1_field_is_clean(&good));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(http1_field_is_clean(&bad[i]));
}

static void
every_status_has_a_reason(void **state)
{
	(void)state;
	assert_string_equal(http1_reason(404), "Not Found");
	assert_string_equal(http1_reason(299), "Unknown");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_request_is_taken_apart),
		cmocka_unit_test(the_other_legal_forms_are_taken),
		cmocka_unit_test(a_request_line_that_is_not_exactly_one_is_refused),
		cmocka_unit_test(
		    a_path_that_two_readers_could_read_differently_is_refused),
		cmocka_unit_test(a_field_line_that_is_not_exactly_one_is_refused),
		cmocka_unit_test(a_host_that_is_missing_doubled_or_no_host_is_refused),
		cmocka_unit_test(
		    framing_that_is_not_one_plain_length_or_chunked_is_refused),
		cmocka_unit_test(what_only_seems_to_be_framing_is_taken),
		cmocka_unit_test(a_body_where_none_belongs_is_refused),
		cmocka_unit_test(an_unknown_expectation_is_refused_as_such),
		cmocka_unit_test(heads_targets_and_fields_have_maxima),
		cmocka_unit_test(a_head_in_pieces_is_read_as_a_whole_one),
		cmocka_unit_test(what_follows_a_head_is_not_looked_at),
		cmocka_unit_test(no_byte_anywhere_makes_the_parser_stumble),
		cmocka_unit_test(chunks_come_out_the_same_however_they_are_cut),
		cmocka_unit_test(chunks_that_are_not_exactly_framed_are_refused),
		cmocka_unit_test(trailers_that_frame_nothing_are_passed_over),
		cmocka_unit_test(what_stands_behind_a_body_is_left_where_it_is),
		cmocka_unit_test(a_body_that_is_mostly_framing_is_refused),
		cmocka_unit_test(only_clean_fields_may_be_written),
		cmocka_unit_test(every_status_has_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
