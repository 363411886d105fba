/* message.h - an answer on its way back, for answer.c and message.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GOOGLE_MESSAGE_H
#define GOOGLE_MESSAGE_H

#include "google.h"

struct finish {
	const char *reason, *twin;
	int32_t fault; /* LZ_UPSTREAM_*, when nothing came with it; 0: that is fine */
};

struct choice {
	const struct finish *finish; /* NULL: not yet */
	unsigned calls;
	int is_seen, has_content;
};

/* As Google counts; UNKNOWN: not said. */
struct counts {
	int64_t prompt, candidates, thoughts, total, cached, tools;
};

struct answer {
	lz_call *c;
	int is_stream;
	int is_blocked; /* the prompt was */
	int is_short;   /* of memory: something is missing */
	int is_broken;  /* something in it cannot be shown as OpenAI would */
	struct choice choice[CHOICES_MAX];
	struct counts counts;
};

/* object[key] = value; nothing if that is NULL. */
void message_set(lz_call *c, lz_json *object, const char *key, const lz_json *value);
/* Makes the list when it is NULL. */
void message_append(lz_call *c, lz_json **list, const lz_json *value);
/* What the parts hold, as a message or a delta; choice learns of it. */
lz_json *message_of(struct answer *a, struct choice *choice, const lz_json *parts);
/* NULL: there are none. */
const lz_json *logprobs_of(lz_call *c, const lz_json *result);

#endif
