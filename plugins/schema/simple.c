/* simple.c - types, constants, numbers, strings.
 *
 * SPDX-License-Identifier: MIT
 */
#include "validate.h"

#include <math.h>
#include <stdio.h>

enum {
	MATCH_KILOBYTES = 4096, /* of one run of an expression */
	LIST_BYTES = 120        /* of the values of an enum, in a sentence */
};

/* ---- types ---- */

static const char *const type_names[] = { "null", "a boolean", "an integer", "a number",
	"a string", "an array", "an object" };

unsigned
types_of(const lz_json *j)
{
	static const unsigned types[] = { [LZ_NULL] = TYPE_NULL,
		[LZ_BOOL] = TYPE_BOOLEAN,
		[LZ_INT] = TYPE_INTEGER | TYPE_NUMBER,
		[LZ_REAL] = TYPE_NUMBER,
		[LZ_STRING] = TYPE_STRING,
		[LZ_ARRAY] = TYPE_ARRAY,
		[LZ_OBJECT] = TYPE_OBJECT };
	int32_t type = lz->json_type(j);

	return types[type] | (type == LZ_REAL && json_is_whole(j) ? TYPE_INTEGER : 0u);
}

static void
print_types(unsigned types, char *out, size_t room)
{
	size_t n = 0;

	*out = '\0';
	for (unsigned i = 0; i < 7; i++) {
		if ((types & 1u << i) == 0)
			continue;
		types &= ~(1u << i);
		n += (size_t)snprintf(out + n, room - n, "%s%s",
		    n == 0       ? ""
		    : types == 0 ? " or "
				 : ", ",
		    type_names[i]);
	}
}

/* The one word for what it is. */
static const char *
name_of(unsigned types)
{
	for (unsigned i = 0; i < 7; i++)
		if ((types & 1u << i) != 0)
			return type_names[i];
	return "nothing";
}

bool
check_type(struct run *v, const struct schema *s, unsigned types, const struct place *at)
{
	char wanted[120];

	if (s->types == 0 || (s->types & types) != 0)
		return true;
	if (v->quiet > 0)
		return false;
	print_types(s->types, wanted, sizeof(wanted));
	return run_wrong(v, at, "is %s; wanted %s", name_of(types), wanted);
}

/* ---- values ---- */

bool
run_is_same(struct run *v, const lz_json *a, const lz_json *b)
{
	return json_same(a, b, &v->steps, v->max_steps);
}

/* A value of the schema, cut. */
static void
print_value(struct run *v, const lz_json *value, char out[LIST_BYTES])
{
	lz_str text = lz->json_text(v->c, value);
	size_t n = text.len;

	if (n < LIST_BYTES) {
		(void)snprintf(out, LIST_BYTES, "%.*s", (int)n, text.ptr);
		return;
	}
	for (n = LIST_BYTES - 4; n > 0 && ((uint8_t)text.ptr[n] & 0xc0) == 0x80; n--)
		;
	(void)snprintf(out, LIST_BYTES, "%.*s...", (int)n, text.ptr);
}

bool
check_values(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	char list[LIST_BYTES];

	if (s->constant != NULL && !run_is_same(v, s->constant, j)) {
		if (v->quiet > 0 || !run_may_go_on(v))
			return false;
		print_value(v, s->constant, list);
		return run_wrong(
		    v, at, "is not the only value that is allowed, %s", list);
	}
	if (s->choices == NULL)
		return true;
	for (size_t i = 0; i < lz->json_len(s->choices); i++)
		if (run_is_same(v, lz->json_item(s->choices, i, NULL), j))
			return true;
	if (v->quiet > 0 || !run_may_go_on(v))
		return false;
	print_value(v, s->choices, list);
	return run_wrong(v, at, "is none of the values that are allowed, %s", list);
}

/* ---- numbers ---- */

static bool
is_multiple(const lz_json *j, const lz_json *of)
{
	double q, d;

	if (lz->json_type(j) == LZ_INT && lz->json_type(of) == LZ_INT)
		return lz->json_int(j, 0) % lz->json_int(of, 1) == 0;
	q = lz->json_num(j, 0) / lz->json_num(of, 1);
	if (!isfinite(q))
		return fmod(lz->json_num(j, 0), lz->json_num(of, 1)) == 0;
	/* 0.3 is three times 0.1, whatever a double says. */
	d = fabs(q - round(q));
	return d <= 1e-9 * (fabs(q) > 1 ? fabs(q) : 1) && d < 0.25;
}

bool
check_number(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	if (s->minimum != NULL && json_compare(j, s->minimum) < 0)
		return run_wrong(
		    v, at, "is less than %.17g", lz->json_num(s->minimum, 0));
	if (s->maximum != NULL && json_compare(j, s->maximum) > 0)
		return run_wrong(
		    v, at, "is more than %.17g", lz->json_num(s->maximum, 0));
	if (s->above != NULL && json_compare(j, s->above) <= 0)
		return run_wrong(v, at, "is not above %.17g", lz->json_num(s->above, 0));
	if (s->below != NULL && json_compare(j, s->below) >= 0)
		return run_wrong(v, at, "is not below %.17g", lz->json_num(s->below, 0));
	if (s->multiple != NULL && !is_multiple(j, s->multiple))
		return run_wrong(
		    v, at, "is no multiple of %.17g", lz->json_num(s->multiple, 1));
	return true;
}

/* ---- strings ---- */

/* Each item of an expression that is tried is a step. */
static int
count_item(pcre2_callout_block *block, void *arg)
{
	struct run *v = arg;

	(void)block;
	return ++v->steps > v->max_steps ? PCRE2_ERROR_MATCHLIMIT : 0;
}

static bool
begin_matching(struct run *v)
{
	if (v->match != NULL)
		return true;
	v->match = pcre2_match_data_create(1, NULL);
	v->limits = pcre2_match_context_create(NULL);
	if (v->match == NULL || v->limits == NULL)
		return run_stop(v, LZ_E_NOMEM);
	(void)pcre2_set_callout(v->limits, count_item, v);
	(void)pcre2_set_heap_limit(v->limits, MATCH_KILOBYTES);
	return true;
}

bool
run_matches(struct run *v, const pcre2_code *pattern, lz_str s)
{
	size_t lines = s.len / 64;
	int rc;

	/* What one item reads is not told: at worst all of the text from each of its
	 * places. */
	v->steps += lines < UINT32_MAX ? (int64_t)(lines * lines) : INT64_MAX / 2;
	if (!run_step(v) || !begin_matching(v))
		return false;
	rc = pcre2_match(pattern, (PCRE2_SPTR)(s.ptr != NULL ? s.ptr : ""), s.len, 0,
	    PCRE2_NO_UTF_CHECK, v->match, v->limits);
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		return run_stop(v, rc == PCRE2_ERROR_NOMEMORY ? LZ_E_NOMEM : LZ_E_LIMIT);
	return rc >= 0;
}

static size_t
characters(lz_str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((uint8_t)s.ptr[i] & 0xc0) != 0x80;
	return n;
}

bool
check_count(struct run *v, const struct count *c, size_t n, const char *what,
    const struct place *at)
{
	if (n < c->min)
		return run_wrong(
		    v, at, "has %zu %s; wanted at least %zu", n, what, c->min);
	if (n > c->max)
		return run_wrong(
		    v, at, "has %zu %s; wanted at most %zu", n, what, c->max);
	return true;
}

bool
check_string(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	lz_str text = lz->json_str(j, lz_strz(""));

	if ((s->length.min > 0 || s->length.max < SIZE_MAX) &&
	    !check_count(v, &s->length, characters(text), "characters", at))
		return false;
	if (s->pattern == NULL || run_matches(v, s->pattern, text))
		return true;
	return run_wrong(v, at, "does not match its pattern");
}
