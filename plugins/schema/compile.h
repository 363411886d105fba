/* compile.h - what the files that read a schema share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SCHEMA_COMPILE_H
#define SCHEMA_COMPILE_H

#include "schema.h"

/* A schema that is being read. */
struct compiler {
	struct compiled *out;
	const lz_json *root;
	bool is_strict;
	struct known *known; /* a hash table */
	size_t known_count, known_room;
	unsigned depth, expressions;
	char *err;
	size_t err_len;
	int32_t error; /* LZ_E_* */
};

/* ---- compile.c ---- */

/* Zeroed; NULL: out of memory. Lives as long as the compiled schema. */
void *compile_keep(struct compiled *c, size_t n);
/* Takes the expression, even on failure. false: out of memory */
bool compile_keep_code(struct compiled *c, pcre2_code *code);
/* Notes the first thing that is wrong. false, always */
bool compile_wrong(struct compiler *k, const struct place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool compile_no_memory(struct compiler *k, const struct place *at);
/* The schema that stands there; NULL: something is wrong. */
const struct schema *compile_schema(
    struct compiler *k, const lz_json *json, const struct place *at);

/* ---- keywords.c, names.c: false when something is wrong ---- */

/* An object? */
bool compile_is_map(struct compiler *k, const lz_json *value, const struct place *at);
bool read_keyword(struct compiler *k, struct schema *s, lz_str key, const lz_json *value,
    const struct place *at);
/* properties, required, dependentRequired, dependentSchemas */
bool read_names(
    struct compiler *k, struct schema *s, const lz_json *json, const struct place *at);

#endif
