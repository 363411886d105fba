/* verdict.h - what guardrails came to in a request: as it is written, and as it is shown.
 *
 * Most say "pass" and nothing else, and a request has two of each guardrail: written,
 * such a one is its name and three bytes. It becomes words when somebody asks for the
 * trace.
 *
 * As bytes: u8 0x81 (the form), then of each verdict u8 what it came to | flags, u8
 * length of the guardrail's name, the name, its microseconds (seven bits a byte, the low
 * ones first; the top bit says that more follow), and where the flags say so u8 length of
 * the codes, the codes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_VERDICT_H
#define STORE_VERDICT_H

#include "base/arena.h"
#include "base/buf.h"

/* The gravest last. These numbers are written: they keep their meaning. */
enum verdict_kind {
	VERDICT_PASS,
	VERDICT_FLAG,
	VERDICT_MASK,
	VERDICT_BLOCK,
	VERDICT_REROUTE,
	VERDICT_AGAIN,
	VERDICT_ERROR,
	VERDICTS
};
/* "pass", "flag", ... */
extern const char *const verdict_names[VERDICTS];

enum {
	VERDICT_NAME_BYTES = 255, /* of a guardrail's name, of its codes: at most */
	VERDICT_LIST_BYTES = 4096 /* of all: half of what a record may have */
};

/* What a guardrail came to, on the request or on the answer. A stream is judged many
 * times: the gravest counts. */
struct record_verdict {
	lz_str guardrail;
	lz_str codes; /* "pii.email,pii.card"; may be absent */
	int64_t took_us;
	unsigned checks; /* is not written */
	enum verdict_kind what;
	bool is_answer;
	bool is_monitor; /* nothing came of it */
};

/* As bytes, in the arena: of all of them, or, where those are too many, of those that had
 * something to say. STR_NONE: there are none, or no memory is left. [any] */
lz_str verdicts_write(struct arena *a, const struct record_verdict *v, size_t count);
/* Takes the next one from the front; *rest is at first all that was written. It points
 * into the bytes. false: that was the last, or what follows was not written by us. [any]
 */
bool verdicts_read(lz_str *rest, struct record_verdict *out);
/* One as a JSON object: {"guardrail","phase","verdict","codes","mode","ms"}; and an array
 * of what was written. */
void verdict_print(const struct record_verdict *v, struct buf *out);
void verdicts_print(lz_str bytes, struct buf *out);

#endif
