/* parameters.c - members of a request that are not allowed, and numbers within bounds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "limits.h"

#include <stdio.h>

/* Without these there is no request to speak of. */
static int
is_needed(lz_str name)
{
	static const char *const needed[] = { "model", "messages", "input", "prompt" };

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (lz_eq(name, needed[i]))
			return 1;
	return 0;
}

static int32_t
check_denied(struct job *j)
{
	lz_str name;

	for (size_t i = 0, n = lz->json_len(j->body); i < n; i++) {
		const lz_json *value = lz->json_item(j->body, i, &name);

		if (is_needed(name) || lz->json_type(value) == LZ_NULL ||
		    !is_listed(&j->g->parameters_denied, name))
			continue;
		if (j->g->excess == REFUSE)
			return refuse(j->c, "limits.parameter",
			    "'%.*s' is not allowed here.", shown(name), name.ptr);
		if (job_edit(j) == NULL ||
		    lz->json_set(j->c, j->edit, name, NULL) != LZ_OK)
			return LZ_E_NOMEM;
	}
	return LZ_OK;
}

static const lz_json *
member(const lz_json *object, lz_str wanted)
{
	size_t i = 0, n = lz->json_len(object);

	for (; i < n; i++) {
		lz_str name;

		(void)lz->json_item(object, i, &name);
		if (name.len == wanted.len && memcmp(name.ptr, wanted.ptr, name.len) == 0)
			break;
	}
	return i < n ? lz->json_item(object, i, NULL) : NULL;
}

/* A whole number stays one. */
static lz_json *
number(lz_call *c, double v)
{
	if (v > -1e15 && v < 1e15 && v == (double)(int64_t)v)
		return lz->json_of_int(c, (int64_t)v);
	return lz->json_of_num(c, v);
}

static int32_t
check_bound(struct job *j, const struct bound *b)
{
	const lz_json *value = member(j->body, b->name);
	int32_t type = lz->json_type(value);
	double v = lz->json_num(value, 0), wanted;

	if (value == NULL || type == LZ_NULL)
		return LZ_OK;
	if (type != LZ_INT && type != LZ_REAL)
		return refuse(j->c, "limits.bounds", "'%.*s' must be a number.",
		    shown(b->name), b->name.ptr);
	wanted = b->has_min && v < b->min   ? b->min
		 : b->has_max && v > b->max ? b->max
					    : v;
	if (v >= wanted && v <= wanted)
		return LZ_OK;
	if (j->g->excess == REFUSE)
		return refuse(j->c, "limits.bounds",
		    "'%.*s' is %.15g; %.15g is the %s allowed.", shown(b->name),
		    b->name.ptr, v, wanted, v < wanted ? "least" : "most");
	if (job_edit(j) == NULL ||
	    lz->json_set(j->c, j->edit, b->name, number(j->c, wanted)) != LZ_OK)
		return LZ_E_NOMEM;
	return LZ_OK;
}

int32_t
check_parameters(struct job *j)
{
	int32_t result = j->g->parameters_denied.count > 0 ? check_denied(j) : LZ_OK;

	for (size_t i = 0; result == LZ_OK && i < j->g->bound_count; i++)
		if (!is_listed(&j->g->parameters_denied, j->g->bound[i].name))
			result = check_bound(j, &j->g->bound[i]);
	return result;
}

/* ---- the option ---- */

static int
wrong(char *err, size_t err_len, lz_str name, const char *why)
{
	(void)snprintf(err, err_len, "parameters.%.*s: %s", shown(name), name.ptr, why);
	return 0;
}

static int
bound_read(struct bound *b, const lz_json *value, char *err, size_t err_len)
{
	lz_str name;

	for (size_t i = 0, n = lz->json_len(value); i < n; i++) {
		const lz_json *v = lz->json_item(value, i, &name);
		int32_t type = lz->json_type(v);

		if (!lz_eq(name, "min") && !lz_eq(name, "max"))
			return wrong(
			    err, err_len, b->name, "has min and max, and nothing else");
		if (type != LZ_INT && type != LZ_REAL)
			return wrong(err, err_len, b->name, "min and max are numbers");
		if (lz_eq(name, "min")) {
			b->has_min = 1;
			b->min = lz->json_num(v, 0);
		} else {
			b->has_max = 1;
			b->max = lz->json_num(v, 0);
		}
	}
	if (!b->has_min && !b->has_max)
		return wrong(
		    err, err_len, b->name, "must be an object with min, max, or both");
	if (b->has_min && b->has_max && b->min > b->max)
		return wrong(err, err_len, b->name, "min is above max");
	return 1;
}

int
bounds_read(struct limits *g, char *err, size_t err_len)
{
	size_t n = lz->json_len(g->parameters);

	if (n > BOUNDS_MAX) {
		(void)snprintf(err, err_len, "parameters: %zu are too many; at most %d",
		    n, BOUNDS_MAX);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		struct bound *b = &g->bound[g->bound_count];
		const lz_json *value = lz->json_item(g->parameters, i, &b->name);

		if (!bound_read(b, value, err, err_len))
			return 0;
		g->bound_count++;
	}
	return 1;
}
