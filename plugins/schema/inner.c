/* inner.c - arrays and objects.
 *
 * SPDX-License-Identifier: MIT
 */
#include "validate.h"

#include <stdlib.h>

/* ---- arrays ---- */

static bool
check_items(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	size_t n = lz->json_len(j), i = 0;

	for (; i < n && i < s->prefix.count; i++) {
		struct place there = place_item(at, i);

		if (!run_apply(v, s->prefix.item[i], lz->json_item(j, i, NULL), &there))
			return false;
	}
	if (s->items == NULL || i == n)
		return true;
	if (s->items->is_never && s->prefix.count > 0)
		return run_wrong(
		    v, at, "has %zu items; wanted at most %zu", n, s->prefix.count);
	for (; i < n; i++) {
		struct place there = place_item(at, i);

		if (!run_apply(v, s->items, lz->json_item(j, i, NULL), &there))
			return false;
	}
	return true;
}

static bool
check_contains(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	size_t found = 0;

	if (s->contains == NULL)
		return true;
	v->quiet++;
	for (size_t i = 0; v->error == LZ_OK && i < lz->json_len(j); i++) {
		struct place there = place_item(at, i);

		found += run_apply(v, s->contains, lz->json_item(j, i, NULL), &there);
	}
	v->quiet--;
	return v->error == LZ_OK && check_count(v, &s->contains_count, found,
					"items of those in contains", at);
}

static bool
check_unique(struct run *v, const lz_json *j, const struct place *at)
{
	size_t n = lz->json_len(j);

	for (size_t i = 1; i < n; i++) {
		const lz_json *one = lz->json_item(j, i, NULL);

		for (size_t k = 0; k < i; k++) {
			bool same = run_is_same(v, one, lz->json_item(j, k, NULL));

			if (!run_may_go_on(v))
				return false;
			if (same)
				return run_wrong(
				    v, at, "has the same item at %zu and at %zu", k, i);
		}
	}
	return true;
}

bool
check_array(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	return check_count(v, &s->items_count, lz->json_len(j), "items", at) &&
	       check_items(v, s, j, at) && check_contains(v, s, j, at) &&
	       (!s->is_unique || check_unique(v, j, at));
}

/* ---- objects ---- */

struct member {
	lz_str key;
	const lz_json *value;
};

struct object {
	struct member *member;
	size_t count;
	bool *is_there; /* for each name of the schema */
};

static size_t
name_at(const struct schema *s, lz_str key)
{
	size_t low = 0, high = s->name_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		lz_str other = s->names[middle].key;
		size_t n = other.len < key.len ? other.len : key.len;
		int order = n > 0 ? memcmp(other.ptr, key.ptr, n) : 0;

		if (order == 0 && other.len == key.len)
			return middle;
		if (order < 0 || (order == 0 && other.len < key.len))
			low = middle + 1;
		else
			high = middle;
	}
	return SIZE_MAX;
}

static bool
check_member(struct run *v, const struct schema *s, struct object *o,
    const struct member *m, const struct place *at)
{
	struct place there = place_member(at, m->key);
	size_t i = name_at(s, m->key);
	bool is_known = i != SIZE_MAX && s->names[i].schema != NULL;

	if (i != SIZE_MAX)
		o->is_there[i] = true;
	if (is_known && !run_apply(v, s->names[i].schema, m->value, &there))
		return false;
	for (i = 0; i < s->pattern_count; i++) {
		if (!run_matches(v, s->patterns[i].pattern, m->key)) {
			if (v->error != LZ_OK)
				return false;
			continue;
		}
		is_known = true;
		if (!run_apply(v, s->patterns[i].schema, m->value, &there))
			return false;
	}
	if (!is_known && s->additional != NULL) {
		if (s->additional->is_never)
			return run_wrong(v, &there, "is a member that is not allowed");
		if (!run_apply(v, s->additional, m->value, &there))
			return false;
	}
	if (s->property_names == NULL)
		return true;
	if (run_apply(v, s->property_names, lz->json_of_str(v->c, m->key), &there))
		return true;
	return v->error == LZ_OK &&
	       run_wrong(v, &there, "has a name that is not allowed");
}

static bool
check_dependencies(struct run *v, const struct schema *s, const struct object *o,
    const lz_json *j, const struct place *at)
{
	for (size_t i = 0; i < s->dependency_count; i++) {
		const struct dependency *d = &s->dependencies[i];

		if (!o->is_there[d->of])
			continue;
		if (d->needs != SIZE_MAX && !o->is_there[d->needs])
			return run_wrong(v, at, "lacks '%.*s', which '%.*s' needs",
			    (int)s->names[d->needs].key.len, s->names[d->needs].key.ptr,
			    (int)s->names[d->of].key.len, s->names[d->of].key.ptr);
		if (d->schema != NULL && !run_apply(v, d->schema, j, at))
			return false;
	}
	return true;
}

static bool
check_members(struct run *v, const struct schema *s, struct object *o, const lz_json *j,
    const struct place *at)
{
	for (size_t i = 0; i < o->count; i++)
		o->member[i].value = lz->json_item(j, i, &o->member[i].key);
	for (size_t i = 0; i < o->count; i++)
		if (!run_step(v) || !check_member(v, s, o, &o->member[i], at))
			return false;
	for (size_t i = 0; i < s->name_count; i++)
		if (s->names[i].is_required && !o->is_there[i])
			return run_wrong(v, at, "lacks '%.*s'", (int)s->names[i].key.len,
			    s->names[i].key.ptr);
	return check_dependencies(v, s, o, j, at);
}

bool
check_object(
    struct run *v, const struct schema *s, const lz_json *j, const struct place *at)
{
	struct object o = { NULL, lz->json_len(j), NULL };
	bool result = false;

	if (!check_count(v, &s->members_count, o.count, "members", at))
		return false;
	if (s->name_count == 0 && s->pattern_count == 0 && s->additional == NULL &&
	    s->property_names == NULL)
		return true;
	/* Not of the call's memory: an object may be looked at often. */
	o.member = calloc(o.count + 1, sizeof(*o.member));
	o.is_there = calloc(s->name_count + 1, sizeof(*o.is_there));
	if (o.member != NULL && o.is_there != NULL)
		result = check_members(v, s, &o, j, at);
	else
		v->error = LZ_E_NOMEM;
	free(o.member);
	free(o.is_there);
	return result;
}
