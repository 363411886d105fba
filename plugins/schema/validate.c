/* validate.c - does a value match? If not: where, and what was wanted.
 *
 * Each schema that is applied, each value that is compared and each expression that is
 * run is a step, and there are only so many: a schema that refers to itself, or doubles
 * with each level, ends.
 *
 * SPDX-License-Identifier: MIT
 */
#include "validate.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- telling ---- */

bool
run_wrong(struct run *v, const struct place *at, const char *format, ...)
{
	char pointer[POINTER_BYTES];
	va_list args;
	int n;

	if (v->quiet > 0)
		return false;
	place_print(at, pointer);
	v->why_depth = at->depth;
	n = snprintf(v->why, WHY_BYTES, "%s: ", pointer);
	va_start(args, format);
	(void)vsnprintf(v->why + n, WHY_BYTES - (size_t)n, format, args);
	va_end(args);
	sentence_end(v->why, WHY_BYTES);
	return false;
}

bool
run_stop(struct run *v, int32_t error)
{
	v->error = error;
	return false;
}

bool
run_may_go_on(struct run *v)
{
	if (v->error == LZ_OK && v->steps > v->max_steps)
		v->error = LZ_E_LIMIT;
	return v->error == LZ_OK;
}

bool
run_step(struct run *v)
{
	v->steps++;
	return run_may_go_on(v);
}

/* ---- combinations ---- */

/* How many of them match, at most `enough`. What was said of the one that came furthest
 * is kept, where that is further than here. */
static size_t
count_matches(struct run *v, const struct schemas *list, const lz_json *j,
    const struct place *at, size_t enough)
{
	char best[WHY_BYTES];
	unsigned best_depth = at->depth;
	size_t n = 0;

	for (size_t i = 0; v->error == LZ_OK && n < enough && i < list->count; i++) {
		if (run_apply(v, list->item[i], j, at)) {
			n++;
		} else if (v->error == LZ_OK && v->quiet == 0 &&
			   v->why_depth > best_depth) {
			memcpy(best, v->why, sizeof(best));
			best_depth = v->why_depth;
		}
	}
	v->why_depth = best_depth;
	if (best_depth > at->depth)
		memcpy(v->why, best, sizeof(best));
	return n;
}

static bool
none_matches(struct run *v, const char *keyword, size_t count, const struct place *at)
{
	if (v->error != LZ_OK || v->quiet > 0 || v->why_depth > at->depth)
		return false;
	return run_wrong(v, at, "matches none of the %zu schemas of %s", count, keyword);
}

static bool
check_any(struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	return s->any.count == 0 || count_matches(v, &s->any, j, at, 1) > 0 ||
	       none_matches(v, "anyOf", s->any.count, at);
}

static bool
check_one(struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	size_t n;

	if (s->one.count == 0)
		return true;
	n = count_matches(v, &s->one, j, at, 2);
	if (v->error != LZ_OK)
		return false;
	if (n == 0)
		return none_matches(v, "oneOf", s->one.count, at);
	return n == 1 ||
	       run_wrong(v, at, "matches more than one of the schemas of oneOf");
}

static bool
holds_quietly(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	bool result;

	v->quiet++;
	result = run_apply(v, s, j, at);
	v->quiet--;
	return result;
}

static bool
check_not(struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	bool result;

	if (s->negated == NULL)
		return true;
	result = holds_quietly(v, s->negated, j, at);
	if (v->error != LZ_OK)
		return false;
	return !result || run_wrong(v, at, "matches what `not` forbids");
}

static bool
check_condition(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	const struct schema *then;

	if (s->condition == NULL)
		return true;
	then = holds_quietly(v, s->condition, j, at) ? s->then : s->otherwise;
	return v->error == LZ_OK && (then == NULL || run_apply(v, then, j, at));
}

static bool
check_all(struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	for (size_t i = 0; i < s->all.count; i++)
		if (!run_apply(v, s->all.item[i], j, at))
			return false;
	return s->ref == NULL || run_apply(v, s->ref, j, at);
}

/* ---- a schema ---- */

static bool
check_kind(struct run *v, const struct schema *s, unsigned types, const lz_json *j,
    const struct place *at)
{
	if ((types & TYPE_OBJECT) != 0)
		return check_object(v, s, j, at);
	if ((types & TYPE_ARRAY) != 0)
		return check_array(v, s, j, at);
	if ((types & TYPE_STRING) != 0)
		return check_string(v, s, j, at);
	return (types & TYPE_NUMBER) == 0 || check_number(v, s, j, at);
}

bool
run_apply(struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	unsigned types;
	bool result;

	if (!run_step(v))
		return false;
	if (v->depth == DEPTH)
		return run_stop(v, LZ_E_LIMIT);
	if (s->is_never)
		return run_wrong(v, at, "is not allowed");
	v->depth++;
	types = types_of(j);
	result = check_type(v, s, types, at) && check_values(v, s, j, at) &&
		 check_kind(v, s, types, j, at) && check_all(v, s, j, at) &&
		 check_any(v, s, j, at) && check_one(v, s, j, at) &&
		 check_not(v, s, j, at) && check_condition(v, s, j, at);
	v->depth--;
	return result && run_may_go_on(v);
}

int32_t
schema_validate(const struct compiled *s, lz_call *c, const lz_json *value,
    int64_t max_steps, char why[WHY_BYTES])
{
	struct run v = { .c = c, .max_steps = max_steps, .why = why };
	struct place top = { NULL, { NULL, 0 }, 0, 0 };
	bool result;

	*why = '\0';
	result = run_apply(&v, schema_root(s), value, &top);
	pcre2_match_data_free(v.match);
	pcre2_match_context_free(v.limits);
	if (v.error != LZ_OK)
		return v.error;
	return result ? LZ_OK : LZ_BLOCK;
}
