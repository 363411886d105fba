/* limits.h - what the files of this plugin share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIMITS_H
#define LIMITS_H

#include <latenza/plugin.h>

enum {
	REFUSE,
	CHANGE
};

/* A number that a parameter may have. */
struct bound {
	lz_str name;
	double min, max;
	int has_min, has_max;
};
enum {
	BOUNDS_MAX = 64
};

struct limits {
	int64_t max_prompt_tokens, max_output_tokens, max_messages, max_text_bytes,
	    max_tools;
	lz_list tools, tools_denied, models, models_denied, parameters_denied;
	const lz_json *parameters;
	int32_t excess;
	size_t bound_count;
	struct bound bound[BOUNDS_MAX];
};

/* One check. edit is there once something is to be changed. */
struct job {
	const struct limits *g;
	lz_call *c;
	const lz_json *body;
	lz_json *edit;
};

/* How much of a name a sentence has: whole characters, 100 bytes at most. */
int shown(lz_str name);
/* Says why and gives LZ_BLOCK. */
int32_t refuse(lz_call *c, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Does the name match one of the patterns, in which * is any text? */
int is_listed(const lz_list *patterns, lz_str name);
/* The body that is to be changed; NULL: it cannot be, and the reason is said. */
lz_json *job_edit(struct job *j);

/* Each: LZ_OK, or what refuse() gave; LZ_E_NOMEM. */
int32_t check_parameters(struct job *j);
int32_t check_tools(struct job *j);

/* Reads `parameters`. 0: it is wrong, and err says why. */
int bounds_read(struct limits *g, char *err, size_t err_len);

#endif
