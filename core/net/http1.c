/* http1.c - strict request heads.
 *
 * What is accepted has exactly one reading. Where RFC 9112 lets a server repair, ignore
 * or guess, this one refuses, because a proxy in front may have repaired, ignored or
 * guessed differently, and the difference is a hidden request. A head is looked at twice:
 * for its end, as the bytes come, and whole, once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/http1.h"

#include "net/scan.h"
#include "net/target.h"

enum {
	LENGTH_DIGITS = 15
};

static enum http_verdict
refuse(struct http_refusal *why, int status, const char *sentence)
{
	why->status = status;
	why->why = sentence;
	return HTTP_BAD;
}

/* Optional white space is blanks and tabs, nothing else. */
static lz_str
trim(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return lz_strn(p, (size_t)(end - p));
}

/* The fields that decide how the message is framed and where it belongs. */

static enum http_verdict
take_host(struct http_head *h, lz_str value, struct http_refusal *why)
{
	if (h->host.ptr != NULL)
		return refuse(why, 400, "The request has more than one Host field.");
	if (value.len == 0 || !target_authority_is_valid(value))
		return refuse(why, 400,
		    "The Host field is not a host name or address with an optional "
		    "port.");
	h->host = value;
	return HTTP_DONE;
}

static enum http_verdict
take_length(struct http_head *h, lz_str value, struct http_refusal *why)
{
	if (h->content_length >= 0)
		return refuse(
		    why, 400, "The request has more than one Content-Length field.");
	if (value.len > LENGTH_DIGITS ||
	    !str_to_int(value, INT64_MAX, &h->content_length))
		return refuse(
		    why, 400, "Content-Length must be one number of 1 to 15 digits.");
	return HTTP_DONE;
}

static enum http_verdict
take_coding(struct http_head *h, lz_str value, struct http_refusal *why)
{
	if (h->is_chunked)
		return refuse(
		    why, 400, "The request has more than one Transfer-Encoding field.");
	if (!str_is_nocase(value, "chunked"))
		return refuse(why, 400, "Transfer-Encoding must be exactly \"chunked\".");
	h->is_chunked = true;
	return HTTP_DONE;
}

static enum http_verdict
take_expect(struct http_head *h, lz_str value, struct http_refusal *why)
{
	if (h->expects_continue || !str_is_nocase(value, "100-continue"))
		return refuse(why, 417,
		    "The only expectation that is understood is \"100-continue\".");
	h->expects_continue = true;
	return HTTP_DONE;
}

/* "close" wins wherever it stands; names of other fields have no effect on them. */
static enum http_verdict
take_connection(struct http_head *h, lz_str value, struct http_refusal *why)
{
	const char *p = value.ptr, *end = p + value.len;

	(void)why;
	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma != NULL ? comma : end;
		lz_str word = trim(p, stop);

		if (str_is_nocase(word, "close"))
			h->wants_close = true;
		else if (str_is_nocase(word, "keep-alive"))
			h->keep_alive = true;
		p = comma != NULL ? comma + 1 : end;
	}
	return HTTP_DONE;
}

static const struct framing_field {
	lz_str name;
	enum http_verdict (*take)(
	    struct http_head *h, lz_str value, struct http_refusal *why);
} framing_fields[] = {
	{ { "host", 4 }, take_host },
	{ { "expect", 6 }, take_expect },
	{ { "connection", 10 }, take_connection },
	{ { "content-length", 14 }, take_length },
	{ { "transfer-encoding", 17 }, take_coding },
};

/* "Transfer_Encoding", "content.length": tokens, but some readers take them for what they
 * look like. */
static bool
looks_like_framing(lz_str name)
{
	static const char *const words[] = { "contentlength", "transferencoding" };
	char bare[20];
	size_t i, n = 0;

	for (i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
			if (n == sizeof(bare))
				return false;
			bare[n++] = c;
		}
	}
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (str_is(lz_strn(bare, n), words[i]))
			return true;
	}
	return false;
}

static enum http_verdict
take_field(struct http_head *h, const struct http_field *f, struct http_refusal *why)
{
	size_t i;

	for (i = 0; i < sizeof(framing_fields) / sizeof(framing_fields[0]); i++) {
		if (str_eq(f->name, framing_fields[i].name))
			return framing_fields[i].take(h, f->value, why);
	}
	/* Both words are long and begin with c or t: nearly every name is done here. */
	if (f->name.len >= 13 && looks_like_framing(f->name))
		return refuse(why, 400,
		    "A field name imitates Content-Length or Transfer-Encoding.");
	return HTTP_DONE;
}

/* Folds the name at p to lower case and returns the byte after it. */
static char *
fold_name(char *p, const char *end)
{
	for (; p < end && byte_is(*p, BYTE_TOKEN); p++)
		*p = byte_lower(*p);
	return p;
}

static enum http_verdict
parse_fields(char *p, char *end, struct http_head *h, struct http_refusal *why)
{
	while (*p != '\r') {
		struct http_field *f = &h->field[h->field_count];
		char *colon = fold_name(p, end);
		const char *stop;

		if (colon == p || *colon != ':')
			return refuse(
			    why, 400, "A field name is not a token followed by a colon.");
		stop = scan_control(colon + 1, end);
		if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n')
			return refuse(
			    why, 400, "A field has a control character in its value.");
		if (h->field_count == HTTP_FIELDS)
			return refuse(
			    why, 431, "The request has more than 100 header fields.");
		f->name = lz_strn(p, (size_t)(colon - p));
		f->value = trim(colon + 1, stop);
		h->field_count++;
		if (take_field(h, f, why) == HTTP_BAD)
			return HTTP_BAD;
		p += (stop - p) + 2;
	}
	/* The end was found as CR LF CR LF, so that a CR here with something else behind
	 * it is a stray one. */
	if (end - p != 2 || p[1] != '\n')
		return refuse(why, 400, "The request's head has a CR that ends no line.");
	return HTTP_DONE;
}

/* The request line. */

static const lz_str methods[] = {
	[HTTP_GET] = { "GET", 3 },
	[HTTP_HEAD] = { "HEAD", 4 },
	[HTTP_POST] = { "POST", 4 },
	[HTTP_PUT] = { "PUT", 3 },
	[HTTP_PATCH] = { "PATCH", 5 },
	[HTTP_DELETE] = { "DELETE", 6 },
	[HTTP_OPTIONS] = { "OPTIONS", 7 },
};

static enum http_verdict
parse_method(lz_str word, struct http_head *h, struct http_refusal *why)
{
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (str_eq(word, methods[i])) {
			h->method = (enum http_method)i;
			return HTTP_DONE;
		}
	}
	if (word.len == 0 || !bytes_are(word, BYTE_TOKEN))
		return refuse(why, 400, "The request line does not begin with a method.");
	return refuse(why, 405, "The method is not supported.");
}

static enum http_verdict
parse_version(lz_str word, struct http_head *h, struct http_refusal *why)
{
	if (str_is(word, "HTTP/1.1"))
		h->minor = 1;
	else if (str_is(word, "HTTP/1.0"))
		h->minor = 0;
	else if (word.len == 8 && str_starts(word, "HTTP/"))
		return refuse(
		    why, 505, "The protocol version must be HTTP/1.1 or HTTP/1.0.");
	else
		return refuse(why, 400, "The request line does not end with HTTP/1.1.");
	return HTTP_DONE;
}

static enum http_verdict
parse_target(
    lz_str target, struct http_head *h, lz_str *authority, struct http_refusal *why)
{
	ptrdiff_t mark;

	if (target.len > HTTP_TARGET_BYTES)
		return refuse(
		    why, 431, "The request's target is longer than 4096 bytes.");
	if (target.len == 0 ||
	    (target.ptr[0] != '/' && !target_cut_authority(&target, authority)))
		return refuse(why, 400, "The request's target is not a path.");
	mark = str_find(target, '?');
	h->path = mark < 0 ? target : lz_strn(target.ptr, (size_t)mark);
	h->query = mark < 0 ? lz_strn(target.ptr + target.len, 0)
			    : str_cut(target, (size_t)mark + 1, target.len);
	if (!target_path_is_canonical(h->path) || !target_query_is_clean(h->query))
		return refuse(why, 400,
		    "The request's path is not in its plain form, or holds bytes that "
		    "must be encoded.");
	return HTTP_DONE;
}

/* *line: where the request line begins; it is left behind its CR LF. */
static enum http_verdict
parse_request_line(char **line, const char *end, struct http_head *h, lz_str *authority,
    struct http_refusal *why)
{
	char *p = *line;
	const char *stop = scan_control(p, end), *first, *second;

	if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n')
		return refuse(
		    why, 400, "The request line has a control character in it.");
	first = memchr(p, ' ', (size_t)(stop - p));
	second =
	    first == NULL ? NULL : memchr(first + 1, ' ', (size_t)(stop - first) - 1);
	if (second == NULL)
		return refuse(
		    why, 400, "The request line is not \"METHOD target HTTP/1.1\".");
	if (parse_version(lz_strn(second + 1, (size_t)(stop - second) - 1), h, why) ==
		HTTP_BAD ||
	    parse_method(lz_strn(p, (size_t)(first - p)), h, why) == HTTP_BAD ||
	    parse_target(lz_strn(first + 1, (size_t)(second - first) - 1), h, authority,
		why) == HTTP_BAD)
		return HTTP_BAD;
	*line = p + (stop - p) + 2;
	return HTTP_DONE;
}

/* What the fields say together. */
static enum http_verdict
judge(struct http_head *h, lz_str authority, struct http_refusal *why)
{
	bool has_body = h->is_chunked || h->content_length > 0;

	if (h->host.ptr == NULL && h->minor == 1)
		return refuse(why, 400, "The request has no Host field.");
	if (authority.ptr != NULL &&
	    (h->host.ptr == NULL || !bytes_equal_folded(authority, h->host)))
		return refuse(why, 400,
		    "The request's target and its Host field name different hosts.");
	if (h->is_chunked && h->content_length >= 0)
		return refuse(why, 400,
		    "The request has both Content-Length and Transfer-Encoding.");
	if (h->is_chunked && h->minor == 0)
		return refuse(why, 400, "HTTP/1.0 has no Transfer-Encoding.");
	if (has_body &&
	    (h->method == HTTP_GET || h->method == HTTP_HEAD || h->method == HTTP_DELETE))
		return refuse(
		    why, 400, "A GET, HEAD or DELETE request must not have a body.");
	if (h->wants_close)
		h->keep_alive = false;
	else if (h->minor == 1)
		h->keep_alive = true;
	if (h->minor == 0 || !has_body)
		h->expects_continue = false;
	return HTTP_DONE;
}

/* The end of the head. */

/* A method begins with a capital letter. What does not is no HTTP: a TLS hello, line
 * noise. Told at once, because it may never send the line end that the search waits for.
 */
static bool
begins_like_http(const char *data, size_t len)
{
	if (len > 0 && data[0] == '\r') {
		if (len > 1 && data[1] != '\n')
			return false;
		if (len < 3)
			return true;
		data += 2;
	} else if (len == 0) {
		return true;
	}
	return data[0] >= 'A' && data[0] <= 'Z';
}

/* Looks for CR LF CR LF from *searched on. *end: behind it. */
static enum http_verdict
find_end(
    const char *data, size_t len, size_t *searched, size_t *end, struct http_refusal *why)
{
	const char *lf;

	if (*searched < 3 && !begins_like_http(data, len))
		return refuse(why, 400, "This is not an HTTP/1.1 request.");
	while ((lf = memchr(data + *searched, '\n', len - *searched)) != NULL) {
		size_t at = (size_t)(lf - data);

		if (at == 0 || data[at - 1] != '\r')
			return refuse(why, 400, "A line does not end with CR LF.");
		*searched = at + 1;
		if (at > 3 && data[at - 2] == '\n') {
			*end = at + 1;
			return HTTP_DONE;
		}
	}
	*searched = len;
	return HTTP_MORE;
}

enum http_verdict
http1_parse_head(char *data, size_t len, size_t max_bytes, size_t *searched,
    struct http_head *head, size_t *used, struct http_refusal *why)
{
	lz_str authority = STR_NONE;
	enum http_verdict found;
	size_t end = len;
	char *p = data;

	found = find_end(data, len, searched, &end, why);
	if (found == HTTP_BAD)
		return HTTP_BAD;
	if (found == HTTP_MORE ? len >= max_bytes : end > max_bytes)
		return refuse(why, 431, "The request's head is too large.");
	if (found == HTTP_MORE)
		return HTTP_MORE;
	head->host = STR_NONE;
	head->is_chunked = head->keep_alive = head->wants_close = head->expects_continue =
	    false;
	head->content_length = -1;
	head->field_count = 0;
	if (*p == '\r')
		p += 2;
	if (parse_request_line(&p, data + end, head, &authority, why) == HTTP_BAD ||
	    parse_fields(p, data + end, head, why) == HTTP_BAD ||
	    judge(head, authority, why) == HTTP_BAD)
		return HTTP_BAD;
	*used = end;
	return HTTP_DONE;
}

/* Readers. */

const lz_str *
http1_field(const struct http_head *h, const char *name)
{
	lz_str wanted = lz_strz(name);
	size_t i;

	for (i = 0; i < h->field_count; i++) {
		if (str_eq(h->field[i].name, wanted))
			return &h->field[i].value;
	}
	return NULL;
}

unsigned
http1_field_count(const struct http_head *h, const char *name)
{
	lz_str wanted = lz_strz(name);
	unsigned count = 0;
	size_t i;

	for (i = 0; i < h->field_count; i++)
		count += str_eq(h->field[i].name, wanted);
	return count;
}

bool
http1_field_is_clean(const struct http_field *f)
{
	const char *end = f->value.ptr + f->value.len;

	return f->name.len > 0 && bytes_are(f->name, BYTE_TOKEN) &&
	       (f->value.len == 0 || scan_control(f->value.ptr, end) == end);
}

static const struct reason {
	int status;
	const char *text;
} reasons[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 304, "Not Modified" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 413, "Content Too Large" },
	{ 415, "Unsupported Media Type" },
	{ 417, "Expectation Failed" },
	{ 422, "Unprocessable Content" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
};

const char *
http1_reason(int status)
{
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status)
			return reasons[i].text;
	}
	return "Unknown";
}
