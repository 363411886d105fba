/* hook.c - a guardrail that lives elsewhere: asked by HTTP, its answer done here.
 *
 * question.c puts the question together, sign.c signs it, answer.c reads what comes back;
 * README.md is the protocol.
 *
 * SPDX-License-Identifier: MIT
 */
#include "hook.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	HEADERS = 6,
	TIMESTAMP_BYTES = 24
};

static void
answered(lz_call *c, const lz_reply *r, void *ud)
{
	(void)ud;
	lz->finish(c, answer_of(c, r));
}

static int32_t
check(void *self, lz_call *c)
{
	const struct hook *h = self;
	char id[ID_BYTES], timestamp[TIMESTAMP_BYTES], signature[SIGNATURE_BYTES];
	lz_http q = lz_http_to("POST", h->url);
	lz_header header[HEADERS];
	int32_t rc = question_of(h, c, &q.body);

	if (rc != LZ_OK)
		return rc;
	sign_id(id);
	(void)snprintf(
	    timestamp, sizeof(timestamp), "%lld", (long long)(lz->now_unix_ms() / 1000));
	header[q.header_count++] =
	    lz_head(lz_strz("content-type"), lz_strz("application/json"));
	header[q.header_count++] = lz_head(lz_strz("webhook-id"), lz_strz(id));
	header[q.header_count++] =
	    lz_head(lz_strz("webhook-timestamp"), lz_strz(timestamp));
	if (h->key != NULL) {
		rc = sign(h, c, id, timestamp, q.body, signature);
		if (rc != LZ_OK)
			return rc;
		header[q.header_count++] =
		    lz_head(lz_strz("webhook-signature"), lz_strz(signature));
	}
	if (h->authorization != NULL)
		header[q.header_count++] =
		    lz_head(lz_strz("authorization"), lz_strz(h->authorization));
	q.headers = header;
	q.timeout_ms = (uint32_t)h->timeout_ms;
	rc = lz->http(c, &q, answered, NULL);
	return rc == LZ_OK ? LZ_PENDING : rc;
}

static void
fini(void *self)
{
	struct hook *h = self;

	free(h->key);
	free(h->authorization);
}

static int32_t
init(void *self, char *err, size_t err_len)
{
	static const char bearer[] = "Bearer ";
	struct hook *h = self;
	int32_t rc = sign_key(h, err, err_len);

	if (rc == LZ_OK && h->token.len > 0) {
		h->authorization = malloc(sizeof(bearer) + h->token.len);
		if (h->authorization == NULL) {
			rc = LZ_E_NOMEM;
		} else {
			memcpy(h->authorization, bearer, sizeof(bearer) - 1);
			memcpy(h->authorization + sizeof(bearer) - 1, h->token.ptr,
			    h->token.len);
			h->authorization[sizeof(bearer) - 1 + h->token.len] = '\0';
		}
	}
	if (rc != LZ_OK)
		fini(h);
	return rc;
}

static const lz_option options[] = {
	LZ_OPT_TEXT(struct hook, url, NULL, "url", "where the hook is"),
	LZ_OPT_TEXT(struct hook, secret, "", "secret",
	    "signs each question: whsec_ and base64, or any bytes"),
	LZ_OPT_TEXT(struct hook, token, "", "secret", "sent as a bearer token"),
	LZ_OPT_INT(struct hook, timeout_ms, "1500", 1, 600000, "duration",
	    "how long the hook may take"),
	LZ_OPT_INT(struct hook, max_bytes, "1MB", 1024, 16777216, "bytes",
	    "more text than that in one check is an error"),
};
static const lz_guardrail guardrail = {
	.size = sizeof(guardrail),
	.phases = LZ_REQUEST | LZ_RESPONSE,
	.needs = LZ_NEEDS_TEXTS,
	.check = check,
};
static const lz_component parts[] = { {
    .kind = LZ_GUARDRAIL,
    .name = "hook",
    .summary = "Ask a guardrail of your own by HTTP",
    .vtable = &guardrail,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct hook),
    .init = init,
    .fini = fini,
} };
LZ_PLUGIN("hook", "0.1.0", "MIT", parts)
