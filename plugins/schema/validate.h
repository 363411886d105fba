/* validate.h - what the files that apply a schema share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SCHEMA_VALIDATE_H
#define SCHEMA_VALIDATE_H

#include "schema.h"

/* One value that is held against one schema. */
struct run {
	lz_call *c;
	int64_t steps, max_steps;
	unsigned depth;
	int32_t error; /* LZ_E_* */
	unsigned quiet;
	char *why;
	unsigned why_depth; /* of the place that it is about */
	pcre2_match_data *match;
	pcre2_match_context *limits;
};

/* ---- validate.c ---- */

/* Notes what is wrong and where, unless it is quiet. false, always */
bool run_wrong(struct run *v, const struct place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* It cannot go on. false, always */
bool run_stop(struct run *v, int32_t error);
bool run_may_go_on(struct run *v);
/* One step more; false: it cannot go on. */
bool run_step(struct run *v);
/* Does the value match? false, too, when it cannot go on. */
bool run_apply(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at);

/* ---- simple.c: types, values, numbers, strings ---- */

/* The TYPE_* of what it is; an integer is a number, too. */
unsigned types_of(const lz_json *j);
bool check_type(
    struct run *v, const struct schema *s, unsigned types, const struct place *at);
bool check_values(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at);
bool check_number(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at);
bool check_string(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at);
bool run_matches(struct run *v, const pcre2_code *pattern, lz_str s);
bool run_is_same(struct run *v, const lz_json *a, const lz_json *b);
/* what: "characters", "items", "members" */
bool check_count(struct run *v, const struct count *c, size_t n, const char *what,
    const struct place *at);

/* ---- inner.c ---- */

bool check_array(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at);
bool check_object(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at);

#endif
