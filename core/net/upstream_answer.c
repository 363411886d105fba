/* upstream_answer.c - libcurl's callbacks during a transfer, and what its error codes
 * mean to us.
 *
 * The callbacks refuse what a provider has no business to send: endless heads, encodings
 * that nobody asked for, two lengths. And they keep libcurl from its own idea of help: it
 * sends a request again, without a word, when a kept connection closes under it, and an
 * answer that is paid by the token is then paid twice. No option of 7.88.1 switches that
 * off; but it asks CURLOPT_PREREQFUNCTION before each writing, and the second time we say
 * no.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/upstream_curl.h"

#include "base/mem.h"

/* What a code means before any of the request was written, and after. The second column
 * says "stale" where libcurl had begun to connect anew. Codes that are not here: a broken
 * connection. */
static const struct {
	CURLcode code;
	enum upstream_end before, after;
} ends[] = {
	{ CURLE_OK, UPSTREAM_BAD, UPSTREAM_DONE },
	{ CURLE_COULDNT_RESOLVE_HOST, UPSTREAM_NO_NAME, UPSTREAM_STALE },
	{ CURLE_COULDNT_RESOLVE_PROXY, UPSTREAM_NO_NAME, UPSTREAM_STALE },
	{ CURLE_COULDNT_CONNECT, UPSTREAM_REFUSED, UPSTREAM_STALE },
	{ CURLE_OPERATION_TIMEDOUT, UPSTREAM_CONNECT_TIMEOUT, UPSTREAM_RESET },
	{ CURLE_SSL_CONNECT_ERROR, UPSTREAM_TLS, UPSTREAM_TLS },
	{ CURLE_SSL_CERTPROBLEM, UPSTREAM_TLS, UPSTREAM_TLS },
	{ CURLE_SSL_CIPHER, UPSTREAM_TLS, UPSTREAM_TLS },
	{ CURLE_PEER_FAILED_VERIFICATION, UPSTREAM_TLS, UPSTREAM_TLS },
	{ CURLE_SSL_CACERT_BADFILE, UPSTREAM_TLS, UPSTREAM_TLS },
	{ CURLE_SSL_ISSUER_ERROR, UPSTREAM_TLS, UPSTREAM_TLS },
	{ CURLE_SSL_INVALIDCERTSTATUS, UPSTREAM_TLS, UPSTREAM_TLS },
	{ CURLE_SSL_CLIENTCERT, UPSTREAM_TLS, UPSTREAM_TLS },
	{ CURLE_URL_MALFORMAT, UPSTREAM_BAD, UPSTREAM_BAD },
	{ CURLE_UNSUPPORTED_PROTOCOL, UPSTREAM_BAD, UPSTREAM_BAD },
	{ CURLE_WEIRD_SERVER_REPLY, UPSTREAM_BAD, UPSTREAM_BAD },
	{ CURLE_BAD_CONTENT_ENCODING, UPSTREAM_BAD, UPSTREAM_BAD },
	{ CURLE_FILESIZE_EXCEEDED, UPSTREAM_BAD, UPSTREAM_BAD },
	{ CURLE_OUT_OF_MEMORY, UPSTREAM_NOMEM, UPSTREAM_NOMEM },
	{ CURLE_FAILED_INIT, UPSTREAM_NOMEM, UPSTREAM_NOMEM },
};

/* The head. */

/* The next line of a head, without its end; false after the last. */
static bool
next_line(lz_str head, size_t *at, char **line, size_t *len)
{
	const char *end;

	if (*at >= head.len)
		return false;
	*line = (char *)head.ptr + *at;
	end = memchr(*line, '\n', head.len - *at);
	*len = end != NULL ? (size_t)(end - *line) : head.len - *at;
	*at += *len + 1;
	if (*len > 0 && (*line)[*len - 1] == '\r')
		(*len)--;
	return *len > 0;
}

/* A line as a field, its name folded to lower case; false: it is none. */
static bool
split_field(char *line, size_t len, lz_header *out)
{
	char *colon = memchr(line, ':', len);
	size_t i, n;

	if (colon == NULL || colon == line)
		return false;
	n = (size_t)(colon - line);
	for (i = 0; i < n; i++)
		if (line[i] >= 'A' && line[i] <= 'Z')
			line[i] = (char)(line[i] + ('a' - 'A'));
	out->name = lz_strn(line, n);
	out->value = str_trim(lz_strn(colon + 1, len - n - 1));
	return true;
}

size_t
answer_fields(struct upstream_call *c, lz_header out[UPSTREAM_FIELDS])
{
	lz_str head = buf_str(&c->head);
	size_t at = 0, len, n = 0;
	char *line;

	(void)next_line(head, &at, &line, &len); /* the status line */
	while (n < UPSTREAM_FIELDS && next_line(head, &at, &line, &len))
		if (split_field(line, len, &out[n]))
			n++;
	return n;
}

static bool
refuse(struct upstream_call *c, enum upstream_end end, const char *why)
{
	upstream_fail(c, end, why);
	return false;
}

/* *length: the Content-Length seen before, -1 if none. */
static bool
check_length(struct upstream_call *c, lz_str value, int64_t *length)
{
	int64_t n;

	if (!str_to_int(value, INT64_MAX, &n) || (*length >= 0 && *length != n))
		return refuse(c, UPSTREAM_BAD,
		    "the answer's content-length is no number, or there are two");
	*length = n;
	if (c->max_answer_bytes > 0 && !c->is_head_request &&
	    (uint64_t)n > c->max_answer_bytes)
		return refuse(c, UPSTREAM_TOO_LARGE,
		    "the answer announces more bytes than are allowed");
	return true;
}

static bool
check_field(struct upstream_call *c, const lz_header *h, int64_t *length)
{
	if (str_is(h->name, "content-encoding") && !str_is_nocase(h->value, "identity"))
		return refuse(
		    c, UPSTREAM_BAD, "the answer is compressed, which was not asked for");
	/* libcurl would unpack "gzip, chunked", however large it becomes. */
	if (str_is(h->name, "transfer-encoding") && !str_is_nocase(h->value, "chunked") &&
	    !str_is_nocase(h->value, "identity"))
		return refuse(c, UPSTREAM_BAD,
		    "the answer has a transfer-encoding other than chunked");
	if (str_is(h->name, "content-length"))
		return check_length(c, h->value, length);
	return true;
}

static bool
check_fields(struct upstream_call *c)
{
	lz_str head = buf_str(&c->head);
	int64_t length = -1;
	size_t at = 0, len;
	lz_header h;
	char *line;

	(void)next_line(head, &at, &line, &len);
	while (next_line(head, &at, &line, &len)) {
		if (*line == ' ' || *line == '\t')
			return refuse(
			    c, UPSTREAM_BAD, "the answer's head has a folded line");
		if (split_field(line, len, &h) && !check_field(c, &h, &length))
			return false;
	}
	return true;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200" */
static int
status_of(lz_str head)
{
	ptrdiff_t blank = str_find(head, ' ');
	int64_t status;

	if (!str_starts(head, "HTTP/") || blank < 0 ||
	    !str_to_int(
		str_cut(head, (size_t)blank + 1, (size_t)blank + 4), 999, &status))
		return 0;
	return (int)status;
}

static bool
head_complete(struct upstream_call *c)
{
	int status = status_of(buf_str(&c->head));

	if (status < 100 || status == 101)
		return refuse(
		    c, UPSTREAM_BAD, "the answer has no status that was asked for");
	if (status < 200) {
		buf_reset(&c->head);
		return ++c->interim_heads <= INTERIM_HEADS ||
		       refuse(c, UPSTREAM_BAD,
			   "the answer never gets past its interim heads");
	}
	c->status = status;
	if (!check_fields(c))
		return false;
	c->head_us = upstream_now_us(c->u);
	c->has_head = true;
	c->is_http2 = c->origin->is_shared && str_starts(buf_str(&c->head), "HTTP/2");
	upstream_ready(c);
	return upstream_enter(c, PHASE_BODY);
}

static size_t
on_header(char *line, size_t size, size_t n, void *arg)
{
	struct upstream_call *c = arg;

	n *= size;
	if (c->phase == PHASE_BODY)
		return n; /* a trailer: nobody asked for it */
	if (c->head.ptr == NULL)
		upstream_borrow(c->u, &c->head, UPSTREAM_HEAD_BYTES);
	if (c->head.len + n > UPSTREAM_HEAD_BYTES)
		return refuse(
		    c, UPSTREAM_BAD, "the answer's head is longer than 65536 bytes");
	buf_add(&c->head, line, n);
	if (c->head.failed)
		return refuse(c, UPSTREAM_NOMEM, "out of memory for the answer's head");
	if (*line != '\r' && *line != '\n')
		return n;
	return head_complete(c) ? n : 0;
}

/* The body. */

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct upstream_call *c = arg;
	size_t most = GATHER_BYTES;

	n *= size;
	if (c->is_http2)
		most = HELD_BYTES;
	else if (c->is_paused)
		return CURL_WRITEFUNC_PAUSE;
	if (c->body.len > 0 && c->body.len + n > most) {
		if (c->is_http2)
			return refuse(c, UPSTREAM_TOO_LARGE,
			    "the answer is not taken as fast as HTTP/2 brings it");
		c->is_held = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (c->max_answer_bytes > 0 && n > c->max_answer_bytes - c->answer_bytes)
		return refuse(
		    c, UPSTREAM_TOO_LARGE, "the answer has more bytes than are allowed");
	if (c->body.ptr == NULL)
		upstream_borrow(c->u, &c->body, most);
	buf_add(&c->body, p, n);
	if (c->body.failed)
		return refuse(c, UPSTREAM_NOMEM, "out of memory for the answer's body");
	c->answer_bytes += n;
	upstream_ready(c);
	return n;
}

/* The request. */

static int
on_request(void *arg, char *peer, char *local, int peer_port, int port)
{
	struct upstream_call *c = arg;

	(void)peer;
	(void)local;
	(void)peer_port;
	if (c->phase != PHASE_CONNECT) {
		upstream_fail(c, UPSTREAM_STALE,
		    "the kept connection was closed before any answer");
		return CURL_PREREQFUNC_ABORT;
	}
	if (!shard_connected(c, port)) {
		upstream_fail(c, UPSTREAM_STALE,
		    "the kept connection was closed, or spoke out of turn");
		return CURL_PREREQFUNC_ABORT;
	}
	c->connected_us = upstream_now_us(c->u);
	return upstream_enter(c, PHASE_FIRST_BYTE) ? CURL_PREREQFUNC_OK
						   : CURL_PREREQFUNC_ABORT;
}

/* As many bytes of the parts as fit. */
static size_t
on_read(char *out, size_t size, size_t n, void *arg)
{
	struct upstream_call *c = arg;
	size_t at = 0, room = size * n;

	while (at < room && c->part_at < c->part_count) {
		lz_str *part = &c->part[c->part_at];
		size_t take = part->len < room - at ? part->len : room - at;

		if (take > 0)
			memcpy(out + at, part->ptr, take);
		*part = str_cut(*part, take, part->len);
		at += take;
		if (part->len == 0)
			c->part_at++;
	}
	c->moved_us = upstream_now_us(c->u);
	return at;
}

/* The second fence against sending again: a body that has begun cannot be begun anew. */
static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	(void)arg;
	(void)offset;
	(void)origin;
	return CURL_SEEKFUNC_FAIL;
}

CURLcode
answer_seat(struct upstream_call *c)
{
	CURL *easy = c->h.easy;
	CURLcode rc = CURLE_OK;

	rc |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	rc |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, c);
	rc |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	rc |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
	rc |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
	rc |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, c);
	rc |= curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	rc |= curl_easy_setopt(easy, CURLOPT_READDATA, c);
	rc |= curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	rc |= curl_easy_setopt(easy, CURLOPT_SEEKDATA, c);
	return rc;
}

/* The end. */

static enum upstream_end
end_of(const struct upstream_call *c)
{
	bool is_sent = c->phase != PHASE_CONNECT;
	size_t i;

	if (c->has_failed)
		return c->failure;
	/* Closed inside the head: libcurl is content with what it has of it. */
	if (c->code == CURLE_OK && c->phase == PHASE_FIRST_BYTE)
		return UPSTREAM_RESET;
	/* 7.88.1 has one code for both, and only its sentence says that the chunks were
	 * nonsense. */
	if (c->code == CURLE_RECV_ERROR && strstr(c->h.error, "chunked-encoding") != NULL)
		return UPSTREAM_BAD;
	/* It counts the kept connections that closed under a handle, over all calls, and
	 * at every sixth gives up before it asks us. */
	if (c->code == CURLE_SEND_ERROR &&
	    str_starts(lz_strz(c->h.error), "Connection died"))
		return UPSTREAM_STALE;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends[i].code == c->code)
			return is_sent ? ends[i].after : ends[i].before;
	return is_sent ? UPSTREAM_RESET : UPSTREAM_REFUSED;
}

/* Plain connections count their bytes; under TLS an unfinished record may have left all
 * the same. */
static bool
was_sent(const struct upstream_call *c)
{
	long bytes = 0;

	if (c->phase == PHASE_CONNECT)
		return false;
	return c->is_tls ||
	       curl_easy_getinfo(c->h.easy, CURLINFO_REQUEST_SIZE, &bytes) != CURLE_OK ||
	       bytes > 0;
}

/* One line of plain characters, cut where it gets too long. */
static void
put_detail(char *out, size_t room, const char *text)
{
	size_t i;

	for (i = 0; i + 1 < room && text[i] != '\0'; i++)
		out[i] = (char)(text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?');
	out[i] = '\0';
}

static int64_t
since(const struct upstream_call *c, int64_t at_us)
{
	return at_us < 0 ? -1 : at_us - c->began_us;
}

void
answer_result(struct upstream_call *c, struct upstream_result *r)
{
	const char *detail =
	    c->h.error[0] != '\0' ? c->h.error : curl_easy_strerror(c->code);

	*r = (struct upstream_result){ .end = end_of(c), .status = c->status };
	r->was_sent = was_sent(c);
	r->connect_us = since(c, c->connected_us);
	r->first_byte_us = since(c, c->head_us);
	r->total_us = since(c, upstream_now_us(c->u));
	if (c->code == CURLE_OK)
		detail = "the connection was closed inside the answer's head";
	if (r->end != UPSTREAM_DONE)
		put_detail(r->detail, sizeof(r->detail), c->has_failed ? c->why : detail);
}
