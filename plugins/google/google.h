/* google.h - what the files of google/ share: one translation under way.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GOOGLE_GOOGLE_H
#define GOOGLE_GOOGLE_H

#include <latenza/plugin.h>

struct google {
	int32_t safety;         /* SAFETY_* */
	int32_t embedding_task; /* 0: none is named */
	int32_t account_files;  /* callers may name files of the account */
};

enum {
	CHOICES_MAX = 8, /* of candidateCount */
	/* Generations of models, as 10 times their version. */
	GENERATION_NONE = 0, /* no Gemini: it does not think */
	GENERATION_THINKS = 25,
	GENERATION_LEVELS = 30 /* thinks by level, and wants its signatures back */
};

/* A request on its way out. Everything in it lives as long as the call. */
struct work {
	const struct google *self;
	lz_call *c;
	const lz_json *body; /* as the caller sent it */
	lz_json *out;        /* as Gemini wants it */
	lz_json *config;     /* generationConfig; NULL: nothing in it yet */
	int generation;      /* of the model */
	int thinks;          /* it does */
	int is_short;        /* of memory: something is missing in out */
	int32_t refused;     /* 0, or what lz->fail() returned */
};

/* ---- google.c: helpers of all ---- */
lz_json *work_object(struct work *w);
lz_json *work_array(struct work *w);
/* object[key] = value; NULL is out of memory. */
void work_set(struct work *w, lz_json *object, const char *key, const lz_json *value);
void work_set_str(struct work *w, lz_json *object, const char *key, lz_str value);
void work_set_word(struct work *w, lz_json *object, const char *key, const char *value);
void work_append(struct work *w, lz_json *array, const lz_json *value);
lz_json *work_config(struct work *w); /* generationConfig, made when first asked for */
/* Refuses the request; the first refusal counts. upstream: LZ_UPSTREAM_CALLER, it is
 * wrong; LZ_UPSTREAM_UNABLE, another provider can. */
void work_refuse(
    struct work *w, int32_t upstream, const char *param, const char *message);
/* This was left out, or made less: README.md says so of each, and the caller is told. */
void work_drop(struct work *w, lz_str name);
int work_goes_on(const struct work *w);
/* A member's string; absent: there is none. */
lz_str string_at(const lz_json *j, const char *pointer);
int has_prefix(lz_str s, const char *prefix);
int contains(lz_str s, const char *word);

/* ---- request.c: what is asked of a chat ---- */
void request_translate(struct work *w);

/* ---- content.c: the conversation ---- */
void content_translate(struct work *w, const lz_json *messages);

/* ---- answer.c: what comes back ---- */
int32_t answer_reply(lz_call *c, const lz_json *answer);
int32_t answer_event(lz_call *c, lz_str data);
int32_t answer_end(lz_call *c, int32_t clean);

/* ---- embed.c ---- */
/* Fills in out's body; many: one request for several texts. */
void embed_translate(struct work *w, lz_str model, int *many);
int32_t embed_reply(lz_call *c, const lz_json *answer);

/* ---- fault.c: whose fault an error is ---- */
/* Corrects out by an error of Google's: {"error":{}}, or a list that holds one. */
void fault_read(const lz_json *body, lz_fault *out);
/* The error in a body, or NULL. */
const lz_json *fault_find(const lz_json *body);
/* An error inside a 200: ends the attempt. */
int32_t fault_fail(lz_call *c, const lz_json *body);

#endif
