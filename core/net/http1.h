/* http1.h - strict HTTP/1.1: heads, chunked bodies, and nothing that a proxy in front
 * could read differently.
 *
 * Pure functions over bytes: no socket, no clock. The rules are reliability's (one CRLF
 * style, no obs-fold, one Host, one Content-Length of 1-15 digits or exactly "chunked",
 * no body on GET/HEAD/DELETE, canonical path ...); there is no lenient switch. Every
 * violation is a refusal and the connection's end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_HTTP1_H
#define NET_HTTP1_H

#include "base/status.h"
#include "base/str.h"

enum {
	HTTP_HEAD_BYTES = 16384, /* default and ceiling of a request head */
	HTTP_FIELDS = 100,
	HTTP_TARGET_BYTES = 4096
};

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OPTIONS
};

struct http_field {
	lz_str name; /* lower case (folded in place) */
	lz_str value;
};

struct http_head {
	enum http_method method;
	lz_str path; /* canonical, begins with '/', percent-decoding never needed: refused
			when it would hide something */
	lz_str query; /* after '?', may be empty */
	lz_str host;
	unsigned minor; /* HTTP/1.minor */
	bool is_chunked, keep_alive, wants_close, expects_continue;
	int64_t content_length; /* -1: none given */
	size_t field_count;
	struct http_field *field; /* room for HTTP_FIELDS while a head is parsed */
};

enum http_verdict {
	HTTP_DONE,
	HTTP_MORE,
	HTTP_BAD /* answer `status`, close */
};

/* Why a message was refused: what the client is told and what is counted. */
struct http_refusal {
	int status;      /* 400, 405, 408, 413, 417, 431, 505 */
	const char *why; /* static sentence */
};

/* Parses one request head at data[0..len). HTTP_DONE: *used bytes belong to it, and head
 * points into data, which must stay. HTTP_MORE: no end yet (and no violation so far).
 * Leading: at most one empty line is skipped. searched: 0 at first, then left alone
 * between calls, so that slow heads cost linear time. [any] */
enum http_verdict http1_parse_head(char *data, size_t len, size_t max_bytes,
    size_t *searched, struct http_head *head, size_t *used, struct http_refusal *why);

/* NULL: absent. Names are given in lower case. */
const lz_str *http1_field(const struct http_head *h, const char *name);
/* How often the field occurs. */
unsigned http1_field_count(const struct http_head *h, const char *name);

/* A chunked body, fed in pieces; zeroed at first. */
struct http_chunked {
	unsigned state;
	unsigned digits;   /* of a size; bytes of an extension or a trailer's name */
	uint64_t left;     /* of the chunk at hand */
	uint64_t total;    /* body bytes so far */
	uint64_t overhead; /* bytes of sizes, extensions and trailers so far; bounded */
	char name[20];     /* the beginning of a trailer's name */
};
/* Consumes from data; *body is the run of body bytes found in this call, maybe none. Call
 * again with what follows *used until it returns HTTP_DONE, or HTTP_MORE with *used ==
 * len. [any] */
enum http_verdict http1_chunked(struct http_chunked *c, const char *data, size_t len,
    size_t *used, lz_str *body, struct http_refusal *why);

const char *http1_reason(int status); /* "Not Found" */
/* May the field be written as it stands: a token, and no CR, LF, NUL or other control
 * byte in the value? */
bool http1_field_is_clean(const struct http_field *f);

#endif
