/* upstream_head.c - the head of a request, as libcurl is told it.
 *
 * libcurl formats a head byte by byte, a hundred instructions each, but for the request
 * target, which it copies. So where it may, a head is that: path and query, "HTTP/1.1"
 * and every field. Behind a target libcurl writes " HTTP/1.1" in any case; that is why
 * User-Agent comes last, where it reads as one more product (RFC 9110, 10.1.5). What
 * libcurl would say of its own accord is then left out by a list that never changes.
 *
 * Over HTTP/2 and through a proxy a target has to be one, and a Host or User-Agent of the
 * caller's stays as it is: those heads are a list, built in one block of ours, which
 * libcurl only reads. It looks a dozen names up in a list, and each costs it every item;
 * so fields that it does not care for are one item, with line ends inside.
 *
 * Names and values were checked to hold no line end of their own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/upstream_curl.h"

#define LENGTH   "Content-Length: "
#define AGENT    "User-Agent: latenza/" LATENZA_VERSION
#define ANY_TYPE "Accept: */*"
#define LINE_END "\r\n"

/* The wire's own fields: a second voice about framing is how requests get smuggled. */
static const char *const reserved[] = {
	"accept-encoding",
	"connection",
	"content-length",
	"expect",
	"keep-alive",
	"proxy-connection",
	"te",
	"trailer",
	"transfer-encoding",
	"upgrade",
};

/* What ends every list, and all of it behind a target that holds the fields: libcurl adds
 * none of these then. It only reads them. */
static struct curl_slist no_expect = { (char *)"Expect:", NULL };
static struct curl_slist no_type = { (char *)"Content-Type:", &no_expect };
static struct curl_slist no_length = { (char *)"Content-Length:", &no_type };
static struct curl_slist no_accept = { (char *)"Accept:", &no_length };
static struct curl_slist no_host = { (char *)"Host:", &no_accept };

/* What may stand on the wire. */

/* RFC 9110: token. The bits are those of ! # $ % & ' * + - . 0-9 | A-Z ^ _ ` a-z | ~ */
bool
head_is_token(lz_str s)
{
	static const uint64_t allowed[2] = { 0x03ff6cfa00000000u, 0x57ffffffc7fffffeu };
	size_t i;

	for (i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c >= 0x80 || (allowed[c / 64] >> (c % 64) & 1) == 0)
			return false;
	}
	return s.len > 0;
}

static enum status
check_header(const lz_header *h, struct err *e)
{
	size_t i;

	if (!head_is_token(h->name))
		return err_fail(e, ST_INVALID,
		    "request header: a name of %zu bytes is no token; letters, digits "
		    "and '-' are allowed",
		    h->name.len);
	if (!str_is_field_value(h->value))
		return err_fail(e, ST_INVALID,
		    "request header %.*s: the value holds a control character; CR, LF "
		    "and NUL cannot be sent",
		    STR_ARG(h->name));
	for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (str_is_nocase(h->name, reserved[i]))
			return err_fail(e, ST_INVALID,
			    "request header %s: belongs to the connection; leave it to "
			    "the gateway",
			    reserved[i]);
	return ST_OK;
}

/* What goes before the fields, once for all calls to one URL. */

static bool
add_part(struct handle *h, const char *before, CURLUPart part, unsigned flags)
{
	char *text = NULL;
	CURLUcode rc = curl_url_get(h->url, part, &text, flags);

	if (rc == CURLUE_OK) {
		buf_add_z(&h->target, before);
		buf_add_z(&h->target, text);
	}
	curl_free(text);
	return rc != CURLUE_OUT_OF_MEMORY;
}

enum status
head_begin(struct handle *h)
{
	bool is_whole;

	buf_reset(&h->target);
	is_whole = add_part(h, "", CURLUPART_PATH, CURLU_URLENCODE) &&
		   add_part(h, "?", CURLUPART_QUERY, 0);
	buf_add_z(&h->target, " HTTP/1.1" LINE_END);
	is_whole = is_whole && add_part(h, "Host: ", CURLUPART_HOST, 0) &&
		   add_part(h, ":", CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
	return is_whole && !h->target.failed ? ST_OK : ST_NOMEM;
}

enum status
head_plan(struct head_plan *p, const struct handle *h, const struct upstream_request *q,
    struct err *e)
{
	bool has_host = false;
	enum status st;
	size_t i;

	*p = (struct head_plan){ .texts = 1 };
	for (i = 0; i < q->header_count; i++) {
		st = check_header(&q->headers[i], e);
		if (st != ST_OK)
			return st;
		p->texts += q->headers[i].name.len + q->headers[i].value.len + 4;
		has_host |= str_is_nocase(q->headers[i].name, "host");
		p->has_agent |= str_is_nocase(q->headers[i].name, "user-agent");
		p->has_accept |= str_is_nocase(q->headers[i].name, "accept");
	}
	p->texts +=
	    sizeof(LINE_END ANY_TYPE LINE_END LENGTH LINE_END AGENT) + STR_INT_CHARS;
	p->is_target = !has_host && !p->has_agent && !q->wants_http2 && q->proxy == NULL;
	if (p->is_target)
		p->texts += h->target.len;
	else
		p->nodes = (q->header_count + 1) * sizeof(struct curl_slist);
	return ST_OK;
}

static char *
put(char *at, lz_str s)
{
	if (s.len > 0)
		memcpy(at, s.ptr, s.len);
	return at + s.len;
}

/* All of it in one text. */

static CURLcode
set_target(struct handle *h, const struct head_plan *p, const struct upstream_request *q,
    int64_t length)
{
	char *at = put(h->block, buf_str(&h->target)), digits[STR_INT_CHARS];
	CURLcode rc = CURLE_OK;
	size_t i;

	if (!p->has_accept)
		at = put(at, STR_LIT(LINE_END ANY_TYPE));
	for (i = 0; i < q->header_count; i++) {
		at = put(at, STR_LIT(LINE_END));
		at = put(at, q->headers[i].name);
		at = put(at, q->headers[i].value.len > 0 ? STR_LIT(": ") : STR_LIT(":"));
		at = put(at, q->headers[i].value);
	}
	if (length >= 0) {
		at = put(at, STR_LIT(LINE_END LENGTH));
		at = put(at, str_from_int(length, digits));
	}
	at = put(at, STR_LIT(LINE_END AGENT));
	*at = '\0';
	h->has_target = true;
	rc |= curl_easy_setopt(h->easy, CURLOPT_REQUEST_TARGET, h->block);
	rc |= curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, &no_host);
	return rc;
}

void
head_rest(struct handle *h)
{
	/* libcurl's copy holds the credential. */
	if (h->has_target)
		(void)curl_easy_setopt(h->easy, CURLOPT_REQUEST_TARGET, NULL);
	h->has_target = false;
}

/* A list. */

/* libcurl has its own word about these two. It takes "Name:" for "do not send Name"; an
 * empty value is "Name;". So an empty field cannot begin an item with others. */
static bool
is_own_item(const lz_header *h)
{
	return h->value.len == 0 || str_is_nocase(h->name, "accept") ||
	       str_is_nocase(h->name, "host");
}

static char *
put_header(char *at, const lz_header *h)
{
	at = put(at, h->name);
	if (h->value.len > 0)
		at = put(at, STR_LIT(": "));
	else
		*at++ = ';';
	return put(at, h->value);
}

/* The fields that share an item; NULL: there are none. */
static struct curl_slist *
put_shared(struct curl_slist *node, char **at, const struct head_plan *p,
    const struct upstream_request *q)
{
	char *from = *at;
	size_t i;

	for (i = 0; i < q->header_count; i++) {
		if (is_own_item(&q->headers[i]))
			continue;
		if (*at != from)
			*at = put(*at, STR_LIT(LINE_END));
		*at = put_header(*at, &q->headers[i]);
	}
	if (!p->has_agent) {
		if (*at != from)
			*at = put(*at, STR_LIT(LINE_END));
		*at = put(*at, STR_LIT(AGENT));
	}
	if (*at == from)
		return NULL;
	*(*at)++ = '\0';
	node->data = from;
	return node;
}

static CURLcode
set_list(struct handle *h, const struct head_plan *p, const struct upstream_request *q)
{
	struct curl_slist *node = (struct curl_slist *)(void *)h->block;
	struct curl_slist *list = &no_type, *shared;
	char *at = h->block + p->nodes;
	size_t i;

	for (i = 0; i < q->header_count; i++) {
		if (!is_own_item(&q->headers[i]))
			continue;
		*node = (struct curl_slist){ at, list };
		list = node++;
		at = put_header(at, &q->headers[i]);
		*at++ = '\0';
	}
	shared = put_shared(node, &at, p, q);
	if (shared != NULL) {
		shared->next = list;
		list = shared;
	}
	return curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, list);
}

CURLcode
head_set(struct handle *h, const struct head_plan *p, const struct upstream_request *q,
    int64_t length)
{
	return p->is_target ? set_target(h, p, q, length) : set_list(h, p, q);
}
