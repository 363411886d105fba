/* anthropic.h - what the files of this plugin share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ANTHROPIC_H
#define ANTHROPIC_H

#include <latenza/plugin.h>

enum { /* option thinking, in this order */
	THINKING_BY_MODEL,
	THINKING_BUDGET,
	THINKING_ADAPTIVE,
	THINKING_NEVER
};

struct anthropic {
	int32_t thinking;
	lz_str beta;
};

/* ---- request.c: OpenAI's request as Anthropic's ---- */
int32_t request_build(void *self, lz_call *c, lz_http *out);

/* ---- thinking.c ---- */
/* 46 for claude-opus-4-6, 30 for claude-3-opus-20240229; 0: the name does not say. */
int thinking_generation(lz_str model);

/* ---- answer.c: whole answers ---- */
int32_t answer_reply(void *self, lz_call *c, const lz_reply *r);

/* ---- stream.c: streamed ones ---- */
int32_t stream_event(void *self, lz_call *c, lz_str name, lz_str data);
int32_t stream_end(void *self, lz_call *c, int32_t clean);

/* ---- fault.c: whose fault a refusal is ---- */
int32_t fault_classify(void *self, lz_call *c, const lz_reply *r, lz_fault *out);
/* An error object inside a 200, {"type","message"}; returns what fail() returns. */
int32_t fault_say(lz_call *c, const lz_json *error);

#endif
