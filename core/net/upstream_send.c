/* upstream_send.c - a request becomes settings of an easy handle.
 *
 * Handles are used again and again: what never changes is set once, what is a request's
 * own is set each time, and the little between them only when it differs from the last
 * request.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/upstream_curl.h"

#include "base/mem.h"

enum {
	/* One per transfer, for what is received. */
	BUFFER_BYTES = 16 * 1024,
	/* A stream keeps its own, at rest too, and its events are a few hundred bytes
	 * each. Not over HTTP/2, where libcurl sets aside what does not fit. */
	STREAM_BUFFER_BYTES = 2 * 1024,
	/* One per transfer that reads its body in pieces or speaks TLS; see
	 * handle_sent(). A quarter of it made 100 KB bodies a third dearer. */
	UPLOAD_BUFFER_BYTES = 64 * 1024,
	CONNECTION_LIFE_S = 600, /* so that a provider's new addresses are found */
	KEEPALIVE_IDLE_S = 60,
	KEEPALIVE_STEP_S = 20,
	CONNECT_BACKSTOP_MS = 3600 * 1000 /* our own timer is the one that counts */
};

static const struct {
	CURLoption option;
	long value;
} constants[] = {
	{ CURLOPT_NOSIGNAL, 1 },
	{ CURLOPT_FOLLOWLOCATION, 0 },
	{ CURLOPT_HTTP09_ALLOWED, 0 },
	{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
	{ CURLOPT_NETRC, CURL_NETRC_IGNORED },
	{ CURLOPT_SSL_VERIFYPEER, 1 },
	{ CURLOPT_SSL_VERIFYHOST, 2 },
	{ CURLOPT_PROXY_SSL_VERIFYPEER, 1 },
	{ CURLOPT_PROXY_SSL_VERIFYHOST, 2 },
	{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
	{ CURLOPT_SUPPRESS_CONNECT_HEADERS, 1 },
	{ CURLOPT_NOPROGRESS, 1 },
	{ CURLOPT_TCP_NODELAY, 1 },
	{ CURLOPT_TCP_KEEPALIVE, 1 },
	{ CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
	{ CURLOPT_TCP_KEEPINTVL, KEEPALIVE_STEP_S },
	{ CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S },
	{ CURLOPT_CONNECTTIMEOUT_MS, CONNECT_BACKSTOP_MS },
	{ CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES },
	/* Ending a transfer whose name is still looked up would otherwise wait for the
	   look-up, loop and all. */
	{ CURLOPT_QUICK_EXIT, 1 },
};

/* With a folder of certificates beside the file, as Debian builds it, libcurl parses them
 * all for each connection: 22 ms, and 900 KB that stay. With the file alone it keeps what
 * it parsed. */
static CURLcode
forget_ca_folder(const struct upstream_call *c, CURL *easy)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
	CURLcode rc = CURLE_OK;

	if (c->u->o.ca_file == NULL &&
	    (v->age < CURLVERSION_SEVENTH || v->cainfo == NULL))
		return CURLE_OK; /* the folder is all there is */
	rc |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	rc |= curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
	return rc;
}

enum status
handle_open(struct upstream_call *c)
{
	CURL *easy = curl_easy_init();
	long idle_s = (long)((c->u->o.idle_ms + 999) / 1000);
	CURLcode rc = CURLE_OK;
	size_t i;

	c->h.easy = easy;
	c->h.url = curl_url();
	buf_init(&c->h.url_text, URL_BYTES);
	buf_init(&c->h.target, (size_t)2 * URL_BYTES);
	if (easy == NULL || c->h.url == NULL)
		return ST_NOMEM;
	for (i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		rc |= curl_easy_setopt(easy, constants[i].option, constants[i].value);
	rc |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	/* Both must be set, or the environment is asked. */
	rc |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	rc |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	rc |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, idle_s);
	rc |= curl_easy_setopt(easy, CURLOPT_SHARE, c->u->share);
	rc |= curl_easy_setopt(easy, CURLOPT_PRIVATE, c);
	rc |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, c->h.error);
	if (c->u->o.ca_file != NULL) {
		rc |= curl_easy_setopt(easy, CURLOPT_CAINFO, c->u->o.ca_file);
		rc |= curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, c->u->o.ca_file);
	}
	rc |= forget_ca_folder(c, easy);
	rc |= shard_seat(c);
	rc |= answer_seat(c);
	return rc == CURLE_OK ? ST_OK : ST_NOMEM;
}

void
handle_close(struct handle *h)
{
	curl_easy_cleanup(h->easy);
	curl_url_cleanup(h->url);
	buf_free(&h->url_text);
	buf_free(&h->target);
	mem_free(h->block);
	*h = (struct handle){ 0 };
}

static void
wipe_block(struct handle *h)
{
	if (h->block != NULL)
		explicit_bzero(h->block, h->block_secret);
	h->block_secret = 0;
}

static void
drop_block(struct handle *h)
{
	wipe_block(h);
	mem_free(h->block);
	h->block = NULL;
	h->block_room = 0;
}

void
handle_rest(struct handle *h)
{
	head_rest(h);
	wipe_block(h);
	h->error[0] = '\0';
	if (h->block_room > BLOCK_KEPT_BYTES)
		drop_block(h);
}

/* libcurl 7.88.1 keeps its upload buffer to the transfer's end, which for a stream may be
 * long; naming the size anew frees it. When all is written, nothing points into it, nor
 * into a joined body; a head may still be looked into, unless libcurl has a copy. */
void
handle_sent(struct upstream_call *c)
{
	curl_off_t sent = 0;

	if (c->sent_bytes == 0 ||
	    curl_easy_getinfo(c->h.easy, CURLINFO_SIZE_UPLOAD_T, &sent) != CURLE_OK ||
	    (size_t)sent != c->sent_bytes)
		return;
	(void)curl_easy_setopt(
	    c->h.easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_BYTES);
	if (c->max_answer_bytes == 0 && c->h.has_target)
		drop_block(&c->h);
}

lz_str
url_origin(lz_str url)
{
	size_t i = str_starts(url, "https://") ? 8 : str_starts(url, "http://") ? 7 : 0;

	if (i == 0)
		return STR_NONE;
	while (i < url.len && url.ptr[i] != '/' && url.ptr[i] != '?' && url.ptr[i] != '#')
		i++;
	return str_cut(url, 0, i);
}

static enum status
check_url(lz_str url, struct err *e)
{
	lz_str origin = url_origin(url);
	size_t i;

	if (origin.len == 0 || str_ends(origin, "/") || str_ends(origin, ":0"))
		return err_fail(e, ST_INVALID,
		    "url: names no host; expected http(s)://host[:port]/path");
	if (url.len >= URL_BYTES)
		return err_fail(e, ST_INVALID, "url: %zu bytes long; at most %d are sent",
		    url.len, URL_BYTES - 1);
	for (i = 0; i < url.len; i++)
		if (url.ptr[i] <= ' ' || url.ptr[i] >= 0x7f)
			return err_fail(e, ST_INVALID,
			    "url: byte %zu is not allowed; it has to be percent-encoded",
			    i);
	return ST_OK;
}

/* Parsing costs libcurl a seventh of a small call, so it is done once for all calls of a
 * handle to one URL. */
static enum status
set_url(struct handle *h, lz_str url, struct err *e)
{
	enum status st;
	CURLUcode bad;

	if (h->url_text.len == url.len + 1 &&
	    memcmp(h->url_text.ptr, url.ptr, url.len) == 0)
		return ST_OK;
	buf_reset(&h->url_text);
	st = check_url(url, e);
	if (st != ST_OK)
		return st;
	buf_add_str(&h->url_text, url);
	buf_add_char(&h->url_text, '\0');
	if (h->url_text.failed)
		return err_fail(e, ST_NOMEM, "request: out of memory");
	bad = curl_url_set(h->url, CURLUPART_URL, h->url_text.ptr, 0);
	if (bad == CURLUE_OK &&
	    curl_easy_setopt(h->easy, CURLOPT_URL, h->url_text.ptr) == CURLE_OK &&
	    curl_easy_setopt(h->easy, CURLOPT_CURLU, h->url) == CURLE_OK &&
	    head_begin(h) == ST_OK)
		return ST_OK;
	buf_reset(&h->url_text);
	if (bad == CURLUE_OK || bad == CURLUE_OUT_OF_MEMORY)
		return err_fail(e, ST_NOMEM, "request: out of memory");
	return err_fail(e, ST_INVALID, "url: %s; expected http(s)://host[:port]/path",
	    curl_url_strerror(bad));
}

static size_t
body_bytes(const struct upstream_request *q)
{
	size_t i, n = 0;

	for (i = 0; i < q->part_count; i++)
		n += q->part[i].len;
	return n;
}

/* The block: what the head needs | joined body. */
static bool
make_block(struct handle *h, const struct head_plan *p, size_t joined)
{
	size_t need = p->nodes + p->texts + joined;

	h->block_secret = p->nodes + p->texts;
	if (need <= h->block_room)
		return true;
	mem_free(h->block);
	h->block_room = 0;
	h->block = mem_alloc(need);
	if (h->block == NULL)
		return false;
	h->block_room = need;
	return true;
}

/* Settings of one request. */

static enum verb
verb_of(const char *method, bool has_body)
{
	if (strcmp(method, "GET") == 0)
		return VERB_GET;
	if (strcmp(method, "HEAD") == 0)
		return VERB_HEAD;
	if (strcmp(method, "POST") == 0)
		return VERB_POST;
	return has_body ? VERB_OTHER_BODY : VERB_OTHER;
}

static CURLcode
set_verb(struct handle *h, enum verb verb, const char *method)
{
	bool is_other = verb == VERB_OTHER || verb == VERB_OTHER_BODY;
	CURLcode rc = CURLE_OK;

	if (verb == h->verb && !is_other)
		return CURLE_OK;
	rc |= curl_easy_setopt(h->easy, CURLOPT_CUSTOMREQUEST, is_other ? method : NULL);
	if (verb == VERB_HEAD)
		rc |= curl_easy_setopt(h->easy, CURLOPT_NOBODY, 1L);
	else if (verb == VERB_POST || verb == VERB_OTHER_BODY)
		rc |= curl_easy_setopt(h->easy, CURLOPT_POST, 1L);
	else
		rc |= curl_easy_setopt(h->easy, CURLOPT_HTTPGET, 1L);
	h->verb = rc == CURLE_OK ? verb : VERB_NONE;
	return rc;
}

/* One part is lent as it is, a few small ones are joined: both leave with the head in one
 * write. What is larger libcurl reads part by part. */
static CURLcode
set_body(
    struct upstream_call *c, const struct upstream_request *q, size_t bytes, char *joined)
{
	const char *fields = q->part_count == 0   ? ""
			     : q->part_count == 1 ? q->part[0].ptr
						  : joined;
	bool is_read = bytes > JOIN_BYTES;
	CURLcode rc = CURLE_OK;
	size_t i;

	for (i = 0; i < q->part_count; i++) {
		if (is_read)
			c->part[i] = q->part[i];
		else if (q->part_count > 1 && q->part[i].len > 0)
			joined = mempcpy(joined, q->part[i].ptr, q->part[i].len);
	}
	c->part_count = is_read ? q->part_count : 0;
	if (bytes == 0)
		fields = "";
	rc |= curl_easy_setopt(c->h.easy, CURLOPT_POSTFIELDS, is_read ? NULL : fields);
	rc |= curl_easy_setopt(c->h.easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)bytes);
	return rc;
}

static CURLcode
set_route(struct handle *h, const struct upstream_request *q)
{
	CURLcode rc = CURLE_OK;

	if (q->wants_http2 != h->is_http2) {
		h->is_http2 = q->wants_http2;
		rc |= curl_easy_setopt(h->easy, CURLOPT_HTTP_VERSION,
		    (long)(q->wants_http2 ? CURL_HTTP_VERSION_2TLS
					  : CURL_HTTP_VERSION_1_1));
		/* Without it 64 calls at once opened 64 HTTP/2 connections. */
		rc |= curl_easy_setopt(h->easy, CURLOPT_PIPEWAIT, (long)q->wants_http2);
	}
	if (q->proxy != NULL || h->has_proxy) {
		h->has_proxy = q->proxy != NULL;
		rc |= curl_easy_setopt(
		    h->easy, CURLOPT_PROXY, h->has_proxy ? q->proxy : "");
	}
	return rc;
}

/* A transfer that broke off early may have left its buffer in the handle: libcurl refuses
 * another size then, and either will do. */
static void
set_buffer(struct handle *h, const struct upstream_request *q)
{
	bool is_small = q->max_answer_bytes == 0 && !q->wants_http2;
	long bytes = is_small ? STREAM_BUFFER_BYTES : BUFFER_BYTES;

	if (bytes != h->buffer_bytes &&
	    curl_easy_setopt(h->easy, CURLOPT_BUFFERSIZE, bytes) == CURLE_OK)
		h->buffer_bytes = bytes;
}

static enum status
set_all(struct upstream_call *c, const struct upstream_request *q,
    const struct head_plan *p, size_t bytes)
{
	enum verb verb = verb_of(q->method, bytes > 0);
	bool has_body = verb == VERB_POST || verb == VERB_OTHER_BODY;
	CURLcode rc = CURLE_OK;

	rc |= head_set(&c->h, p, q, has_body ? (int64_t)bytes : -1);
	c->sent_bytes = bytes;
	if (has_body)
		rc |= set_body(c, q, bytes, c->h.block + c->h.block_secret);
	rc |= set_verb(&c->h, verb, q->method);
	rc |= set_route(&c->h, q);
	set_buffer(&c->h, q);
	return rc == CURLE_OK ? ST_OK : ST_NOMEM;
}

enum status
handle_prepare(struct upstream_call *c, const struct upstream_request *q, struct err *e)
{
	size_t bytes = body_bytes(q);
	struct head_plan plan;
	enum status st;

	if (q->method == NULL || !head_is_token(lz_strz(q->method)) ||
	    q->part_count > UPSTREAM_PARTS)
		return err_fail(e, ST_INVALID,
		    "request: no method that can be sent, or more than %d parts of body",
		    UPSTREAM_PARTS);
	c->is_head_request = strcmp(q->method, "HEAD") == 0;
	if (bytes > 0 && (c->is_head_request || strcmp(q->method, "GET") == 0))
		return err_fail(e, ST_INVALID, "request: a %s has no body; got %zu bytes",
		    q->method, bytes);
	c->is_tls = str_starts(q->url, "https:");
	st = set_url(&c->h, q->url, e);
	if (st == ST_OK)
		st = head_plan(&plan, &c->h, q, e);
	if (st != ST_OK)
		return st;
	if (!make_block(
		&c->h, &plan, q->part_count > 1 && bytes <= JOIN_BYTES ? bytes : 0) ||
	    set_all(c, q, &plan, bytes) != ST_OK)
		return err_fail(e, ST_NOMEM, "request: out of memory");
	return ST_OK;
}
