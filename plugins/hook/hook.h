/* hook.h - what the files of this plugin share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef HOOK_H
#define HOOK_H

#include "ask.h"

#include <stdbool.h>

enum {
	ANSWER_BYTES = 2 << 20, /* of the hook's answer */
	EDITS = 10000,          /* in one answer */
	CODE_BYTES = 64,
	MESSAGE_BYTES = 1000,
	ID_BYTES = 4 + 24 + 1,       /* "msg_", hex digits and a NUL */
	SIGNATURE_BYTES = 3 + 44 + 1 /* "v1,", base64 and a NUL */
};

struct hook {
	/* options */
	lz_str url, secret, token;
	int64_t timeout_ms, max_bytes;
	/* ours */
	char *authorization; /* of ask_bearer() */
	uint8_t *key;        /* to sign with; NULL: not signed */
	size_t key_len;
};

/* ---- sign.c: Standard Webhooks ---- */

/* [main] Reads `secret` into `key`. LZ_OK, LZ_E_INVALID (err is written), LZ_E_NOMEM */
int32_t sign_key(struct hook *h, char *err, size_t err_len);
/* [worker] A name of its own for each question. */
void sign_id(char out[ID_BYTES]);
/* [worker] The signature of id, time and body. LZ_OK, LZ_E_NOMEM, LZ_E_* of the host */
int32_t sign(const struct hook *h, lz_call *c, const char *id, const char *timestamp,
    lz_str body, char out[SIGNATURE_BYTES]);

/* ---- question.c ---- */

/* [worker] The JSON that is sent. LZ_OK; LZ_E_LIMIT: longer than max_bytes; LZ_E_NOMEM */
int32_t question_of(const struct hook *h, lz_call *c, lz_str *out);

/* ---- answer.c ---- */

/* [worker] Reads the hook's answer strictly and does what it says. What is wrong is told
 * in the log. */
int32_t answer_of(lz_call *c, const lz_reply *r);

#endif
