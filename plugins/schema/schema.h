/* schema.h - what the files of this plugin share: schemas, read once and applied often.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SCHEMA_H
#define SCHEMA_H

#include <latenza/plugin.h>
#include <stdbool.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
	WHY_BYTES = 500,     /* of a sentence, with its NUL */
	POINTER_BYTES = 200, /* of the JSON pointer in it */
	DEPTH = 200,         /* schemas inside of schemas, as they are read and applied */
	NODES = 20000,       /* schemas in one */
	EXPRESSIONS = 200,   /* in one; each takes up to 0.3 ms to read */
	PATTERN_BYTES = 4096
};

/* ---- place.c: where we are, and small services on JSON values ---- */

/* A step down from its parent; the root has none. On the stack. */
struct place {
	const struct place *parent;
	lz_str key;   /* ptr NULL: an item */
	size_t index; /* of the item */
	unsigned depth;
};
struct place place_member(const struct place *parent, lz_str key);
struct place place_item(const struct place *parent, size_t index);
/* Writes the JSON pointer, "(root)" for none; what does not fit is left out. */
void place_print(const struct place *at, char out[POINTER_BYTES]);
/* A sentence that filled its room may end inside of a character: not any more. */
void sentence_end(char *sentence, size_t room);
/* The member of that name; NULL: there is none. */
const lz_json *json_member(const lz_json *object, lz_str key);
/* Are they the same as JSON Schema has it: 1 is 1.0, members in any order? steps is
 * raised by what it cost; beyond `most` the answer means nothing. */
bool json_same(const lz_json *a, const lz_json *b, int64_t *steps, int64_t most);
/* -1, 0, 1 of two numbers. */
int json_compare(const lz_json *a, const lz_json *b);
/* Is it a number without a fraction? */
bool json_is_whole(const lz_json *j);

/* ---- a schema ---- */

enum {
	TYPE_NULL = 1,
	TYPE_BOOLEAN = 2,
	TYPE_INTEGER = 4,
	TYPE_NUMBER = 8,
	TYPE_STRING = 16,
	TYPE_ARRAY = 32,
	TYPE_OBJECT = 64
};

struct count {
	size_t min, max; /* max SIZE_MAX: none */
};

struct schemas {
	const struct schema **item;
	size_t count;
};

/* A name that `properties`, `required` or a dependency mentions. */
struct name {
	lz_str key;
	const struct schema *schema; /* NULL: none */
	bool is_required;
};

struct dependency {
	size_t of;                   /* if this name is there, ... */
	size_t needs;                /* ... this one has to be; SIZE_MAX: none */
	const struct schema *schema; /* ... and this has to hold; NULL: none */
};

struct by_pattern {
	const pcre2_code *pattern;
	const struct schema *schema;
};

/* One schema. What is NULL, 0 or empty was not said. */
struct schema {
	bool is_never; /* false */
	bool is_unique;
	unsigned types; /* TYPE_* */
	const lz_json *constant, *choices;
	const lz_json *minimum, *maximum, *above, *below, *multiple;
	struct count length, items_count, members_count, contains_count;
	const pcre2_code *pattern;
	struct name *names; /* sorted */
	size_t name_count;
	struct dependency *dependencies;
	size_t dependency_count;
	struct by_pattern *patterns;
	size_t pattern_count;
	const struct schema *additional, *property_names;
	const struct schema *items, *contains;
	struct schemas prefix, all, any, one;
	const struct schema *negated, *condition, *then, *otherwise, *ref;
};

/* ---- compile.c ---- */

struct compiled;
/* Reads a schema, whose values have to stay as long. is_strict: keywords that nobody
 * knows are an error, too, but for "x-...". LZ_OK: *out is owned: schema_free();
 * LZ_E_INVALID: err says where and what; LZ_E_NOMEM: err says so. */
int32_t schema_compile(const lz_json *root, bool is_strict, struct compiled **out,
    char *err, size_t err_len);
void schema_free(struct compiled *c);
const struct schema *schema_root(const struct compiled *c);

/* ---- validate.c ---- */

/* Does the value match? LZ_OK, LZ_BLOCK (it does not: why says where and what was
 * wanted), LZ_E_LIMIT, LZ_E_NOMEM. c: the call at hand. */
int32_t schema_validate(const struct compiled *s, lz_call *c, const lz_json *value,
    int64_t max_steps, char why[WHY_BYTES]);

/* ---- check.c ---- */

struct guard {
	/* options */
	const lz_json *schema;
	int64_t max_steps;
	int32_t action, repair, unwrap, tools;
	/* ours */
	struct compiled *compiled; /* of `schema`; NULL: the request's counts */
};

enum action {
	BLOCK,
	FLAG
};

int32_t guard_check(void *self, lz_call *c);

#endif
