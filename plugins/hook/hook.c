/* hook.c - a guardrail that lives elsewhere: asked by HTTP, its answer done here.
 *
 * question.c puts the question together, sign.c signs it, ../ask sends it, answer.c reads
 * what comes back; README.md is the protocol.
 *
 * SPDX-License-Identifier: MIT
 */
#include "hook.h"

#include <stdio.h>
#include <stdlib.h>

enum {
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
	const struct ask a = { h->url, h->authorization, h->timeout_ms };
	char id[ID_BYTES], timestamp[TIMESTAMP_BYTES], signature[SIGNATURE_BYTES];
	lz_header header[ASK_HEADERS];
	size_t count = 0;
	lz_str body;
	int32_t rc = question_of(h, c, &body);

	if (rc != LZ_OK)
		return rc;
	sign_id(id);
	(void)snprintf(
	    timestamp, sizeof(timestamp), "%lld", (long long)(lz->now_unix_ms() / 1000));
	header[count++] = lz_head(lz_strz("webhook-id"), lz_strz(id));
	header[count++] = lz_head(lz_strz("webhook-timestamp"), lz_strz(timestamp));
	if (h->key != NULL) {
		rc = sign(h, c, id, timestamp, body, signature);
		if (rc != LZ_OK)
			return rc;
		header[count++] =
		    lz_head(lz_strz("webhook-signature"), lz_strz(signature));
	}
	return ask(&a, c, body, header, count, answered, NULL);
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
	struct hook *h = self;
	int32_t rc = sign_key(h, err, err_len);

	if (rc == LZ_OK)
		rc = ask_bearer(h->token, &h->authorization);
	if (rc != LZ_OK)
		fini(h);
	return rc;
}

static const lz_option options[] = {
	LZ_OPT_TEXT(struct hook, url, NULL, "url", "where the hook is"),
	LZ_OPT_TEXT(struct hook, secret, "", "secret",
	    "signs each question: whsec_ and base64, or any bytes"),
	LZ_OPT_TEXT(struct hook, token, "", "token", "sent as a bearer token"),
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
