/* mistral.h - what the files of this plugin share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MISTRAL_H
#define MISTRAL_H

#include <latenza/plugin.h>

#include "text.h"

static inline lz_str
text_at(const lz_json *j, const char *pointer)
{
	return lz->json_str(lz->json_at(j, pointer), lz_strn(NULL, 0));
}

static inline int
is_type_at(const lz_json *j, const char *pointer, const char *type)
{
	return lz_eq(text_at(j, pointer), type);
}

/* Appends to an array of our own. */
static inline void
append(lz_call *c, lz_json *array, const lz_json *item)
{
	(void)lz->json_put(c, array, "/-", item);
}

static inline void
set(lz_call *c, lz_json *object, const char *name, const lz_json *value)
{
	(void)lz->json_set(c, object, lz_strz(name), value);
}

/* Several strings as one, for as long as the call. */
static inline void
join(lz_call *c, struct text *t, lz_str s)
{
	text_add(c, t, s, lz->alloc);
}

/* ---- request.c, messages.c ---- */
int32_t build_chat(lz_call *c, lz_http *out);
int32_t build_embeddings(lz_call *c, lz_http *out);

enum {
	ID_BYTES = 9 /* of tool calls: letters and digits */
};
struct id {
	lz_str theirs;
	char ours[ID_BYTES];
};
/* A hash of s as such an id; another for each round. */
void id_shorten(lz_str s, uint64_t round, char out[ID_BYTES]);
/* What making one request needs; lives in lz->alloc(). */
struct job {
	lz_call *c;
	const lz_json *body;
	lz_json *out;
	int32_t result; /* what lz->fail() said; LZ_OK: go on */
	int can_reason; /* thinking may stand in the history */
	int has_tools;  /* some are left */
	/* Ids of tool calls, by what the caller calls them and by what goes out. */
	struct id **by_theirs, **by_ours;
	size_t id_count, id_room;
};
/* This target cannot do what is asked: another may. Sets j->result. */
void refuse(struct job *j, const char *param, const char *why);
lz_json *messages_of(struct job *j, const lz_json *messages);

/* ---- answer.c ---- */
int32_t answer_reply(void *self, lz_call *c, const lz_reply *r);
int32_t answer_event(void *self, lz_call *c, lz_str name, lz_str data);

/* ---- error.c ---- */
int32_t error_classify(void *self, lz_call *c, const lz_reply *r, lz_fault *out);
/* A fault of a body, whatever its shape; out keeps what the body does not say. */
void error_read(lz_call *c, const lz_json *body, lz_fault *out);
/* Is it an error, inside a 200? */
int error_is(const lz_json *body);

#endif
