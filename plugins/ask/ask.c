/* ask.c - a question in JSON, and what came of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ask.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	LINE_BYTES = 100,
	RETRY_MOST_S = 86400 /* who says a day means something else */
};

int32_t
ask_bearer(lz_str token, char **out)
{
	static const char bearer[] = "Bearer ";
	const size_t n = sizeof(bearer) - 1;

	*out = NULL;
	if (token.len == 0)
		return LZ_OK;
	*out = malloc(n + token.len + 1);
	if (*out == NULL)
		return LZ_E_NOMEM;
	memcpy(*out, bearer, n);
	memcpy(*out + n, token.ptr, token.len);
	(*out)[n + token.len] = '\0';
	return LZ_OK;
}

int32_t
ask(const struct ask *a, lz_call *c, lz_str body, const lz_header *more,
    size_t more_count, lz_reply_fn *fn, void *ud)
{
	lz_header header[ASK_HEADERS + 2];
	lz_http q = lz_http_to("POST", a->url);
	int32_t rc;

	header[q.header_count++] =
	    lz_head(lz_strz("content-type"), lz_strz("application/json"));
	for (size_t i = 0; i < more_count; i++)
		header[q.header_count++] = more[i];
	if (a->authorization != NULL)
		header[q.header_count++] =
		    lz_head(lz_strz("authorization"), lz_strz(a->authorization));
	q.headers = header;
	q.body = body;
	q.timeout_ms = (uint32_t)a->timeout_ms;
	rc = lz->http(c, &q, fn, ud);
	return rc == LZ_OK ? LZ_PENDING : rc;
}

static void
pass_on_retry_after(lz_call *c, const lz_reply *r)
{
	for (size_t i = 0; i < r->header_count; i++) {
		char text[12];
		long seconds;

		if (!lz_eq(r->headers[i].name, "retry-after") ||
		    r->headers[i].value.len >= sizeof(text))
			continue;
		memcpy(text, r->headers[i].value.ptr, r->headers[i].value.len);
		text[r->headers[i].value.len] = '\0';
		seconds = strtol(text, NULL, 10);
		if (seconds > 0 && seconds < RETRY_MOST_S)
			lz->retry_after(c, (uint32_t)seconds * 1000);
	}
}

int32_t
ask_answered(lz_call *c, const lz_reply *r, const char *who)
{
	char line[LINE_BYTES];

	if (r->error == LZ_E_GONE || (r->error == LZ_OK && r->status == 200))
		return r->error;
	if (r->error == LZ_OK)
		(void)snprintf(line, sizeof(line), "%s answered with status %d", who,
		    (int)r->status);
	else
		(void)snprintf(line, sizeof(line), "%s%s", who,
		    r->error == LZ_E_TIMEOUT ? " took longer than timeout_ms"
		    : r->error == LZ_E_LIMIT ? "'s answer is too long"
					     : " could not be asked");
	lz->log(c, LZ_WARN, lz_strz(line));
	if (r->error != LZ_OK)
		return r->error;
	if (r->status != 429 && r->status != 503)
		return LZ_E_FAIL;
	pass_on_retry_after(c, r);
	return LZ_E_RETRY;
}

int32_t
ask_wrong(lz_call *c, const char *what)
{
	lz->log(c, LZ_WARN, lz_strz(what));
	return LZ_E_FAIL;
}

int32_t
ask_too_long(lz_call *c)
{
	lz->log(c, LZ_WARN, lz_strz("the texts have more than max_bytes"));
	return LZ_E_LIMIT;
}
