/* moderation.h - what the files of this plugin share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MODERATION_H
#define MODERATION_H

#include "ask.h"

#include <stdbool.h>

enum {
	CATEGORY_BYTES = 50 /* of a category's name in a code */
};

struct moderation {
	/* options */
	lz_str url, api_key, model;
	const lz_json *thresholds;
	lz_list block, flag;
	double limit;
	int64_t timeout_ms, chunk_bytes, batch, max_bytes;
	int32_t texts, form;
	/* ours */
	char *authorization; /* of ask_bearer() */
};

enum texts {
	ALL_TEXTS,
	LAST_USER
};

enum form {
	AS_WRITTEN,
	PLAIN,
	BOTH
};

/* ---- inputs.c: texts become inputs of the service ---- */

struct inputs {
	lz_str *item; /* lives as long as the call */
	size_t count, room;
	size_t bytes;
};
/* [worker] LZ_OK; LZ_E_LIMIT: more than max_bytes; LZ_E_NOMEM */
int32_t inputs_of(const struct moderation *m, lz_call *c, struct inputs *out);

/* ---- verdict.c: what the service said ---- */

/* Is every category that `thresholds` and the lists name a sane one? err is written. */
int32_t verdict_vet(const struct moderation *m, char *err, size_t err_len);
/* [worker] Reads the answer about `count` inputs and gives the reasons. LZ_OK, LZ_FLAG,
 * LZ_BLOCK, or LZ_E_*, which is told in the log. */
int32_t verdict_of(
    const struct moderation *m, lz_call *c, const lz_reply *r, size_t count);

#endif
