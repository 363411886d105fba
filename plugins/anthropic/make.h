/* make.h - a request under way: what request.c, message.c and thinking.c share.
 *
 * Values are made bottom-up and linked last: what already has an owner costs the host a
 * look for circles. A value that could not be made is noted in `failed` and looked at
 * once, at the end; what cannot be served is noted by make_refuse(), the first one
 * counts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ANTHROPIC_MAKE_H
#define ANTHROPIC_MAKE_H

#include "anthropic.h"

struct making {
	lz_call *c;
	const struct anthropic *self;
	const lz_json *body; /* the caller's */
	lz_json *out;
	int64_t max_tokens;
	int generation; /* thinking_generation() of the model */
	int failed;     /* out of memory */
	lz_fault fault; /* upstream LZ_UPSTREAM_OK: none */

	/* message.c */
	lz_json *system, *messages;
	lz_json *blocks;   /* of the turn at hand */
	const char *role;  /* its role; NULL: none yet */
	int has_tool_use;  /* somewhere in the conversation */
	int lacks_signed;  /* the last assistant's turn called tools, and its thinking
			      did not come back with it */
	int ends_in_tools; /* the last message is a tool's result */
};

/* ---- request.c ---- */
lz_json *make_object(struct making *m);
lz_json *make_array(struct making *m);
lz_json *make_text(struct making *m, lz_str s);
lz_json *make_int(struct making *m, int64_t v);
/* value NULL: it could not be made. */
void make_set(struct making *m, lz_json *object, const char *key, const lz_json *value);
void make_add(struct making *m, lz_json *array, const lz_json *value);
/* upstream: LZ_UPSTREAM_CALLER, the request is wrong; LZ_UPSTREAM_UNABLE, it is not for
 * this vendor. */
void make_refuse(
    struct making *m, int32_t upstream, const char *param, const char *message);
void make_dropped(struct making *m, const char *param);
const lz_json *make_asked(const struct making *m, const char *pointer); /* no null */
lz_str make_word(const lz_json *j); /* "" for what is no string */

/* ---- message.c ---- */
void message_all(struct making *m);
lz_json *message_block(struct making *m, const char *type);
/* cache_control, as the caller wrote it beside `from`. */
void message_mark(struct making *m, lz_json *block, const lz_json *from);
/* Tools that the conversation used and the caller does not declare any more: Anthropic
 * wants them named. */
void message_declare_used(struct making *m, lz_json *tools);

/* ---- tools.c ---- */
/* tools and tool_choice. *choice: as it is sent, or NULL. */
void tools_set(struct making *m, lz_json **choice);

/* ---- part.c ---- */
void part_content(struct making *m, lz_json *blocks, const lz_json *content);
void part_text(
    struct making *m, lz_json *blocks, const lz_json *text, const lz_json *marked);
int part_is_blank(lz_str s);

/* ---- thinking.c ---- */
/* thinking, output_config.effort, and the sampling that they exclude. choice: tool_choice
 * as it will be sent, or NULL. */
void thinking_set(struct making *m, lz_json *output_config, const lz_json *choice);

#endif
