/* names.c - the names of members that a schema mentions, and what hangs on them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "compile.h"

#include <stdlib.h>

static int
by_key(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
	int order = n > 0 ? memcmp(x->key.ptr, y->key.ptr, n) : 0;

	return order != 0 ? order : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

static size_t
index_of(const struct schema *s, lz_str key)
{
	const struct name wanted = { .key = key };
	const struct name *found =
	    s->name_count > 0
		? bsearch(&wanted, s->names, s->name_count, sizeof(wanted), by_key)
		: NULL;

	return found != NULL ? (size_t)(found - s->names) : SIZE_MAX;
}

/* The four keywords that mention names. */
struct mentions {
	const lz_json *properties, *required, *needed, *schemas;
	size_t count, dependencies;
};

static bool
are_strings(struct compiler *k, const lz_json *list, const struct place *at)
{
	if (lz->json_type(list) != LZ_ARRAY)
		return compile_wrong(k, at, "has to be a list of names");
	for (size_t i = 0; i < lz->json_len(list); i++)
		if (lz->json_type(lz->json_item(list, i, NULL)) != LZ_STRING)
			return compile_wrong(k, at, "has to be a list of names");
	return true;
}

static bool
find_mentions(
    struct compiler *k, const lz_json *json, const struct place *at, struct mentions *m)
{
	struct place p = place_member(at, lz_strz("properties"));
	struct place r = place_member(at, lz_strz("required"));
	struct place d = place_member(at, lz_strz("dependentRequired"));
	struct place s = place_member(at, lz_strz("dependentSchemas"));

	m->properties = lz->json_at(json, "/properties");
	m->required = lz->json_at(json, "/required");
	m->needed = lz->json_at(json, "/dependentRequired");
	m->schemas = lz->json_at(json, "/dependentSchemas");
	if ((m->properties != NULL && !compile_is_map(k, m->properties, &p)) ||
	    (m->required != NULL && !are_strings(k, m->required, &r)) ||
	    (m->needed != NULL && !compile_is_map(k, m->needed, &d)) ||
	    (m->schemas != NULL && !compile_is_map(k, m->schemas, &s)))
		return false;
	m->count = lz->json_len(m->properties) + lz->json_len(m->required) +
		   lz->json_len(m->needed) + lz->json_len(m->schemas);
	m->dependencies = lz->json_len(m->schemas);
	for (size_t i = 0; i < lz->json_len(m->needed); i++) {
		lz_str key;
		const lz_json *list = lz->json_item(m->needed, i, &key);
		struct place there = place_member(&d, key);

		if (!are_strings(k, list, &there))
			return false;
		m->count += lz->json_len(list);
		m->dependencies += lz->json_len(list);
	}
	return true;
}

static void
add_name(struct schema *s, lz_str key)
{
	s->names[s->name_count++].key = key;
}

static void
add_keys(struct schema *s, const lz_json *map)
{
	for (size_t i = 0; i < lz->json_len(map); i++) {
		lz_str key;

		(void)lz->json_item(map, i, &key);
		add_name(s, key);
	}
}

static void
add_strings(struct schema *s, const lz_json *list)
{
	for (size_t i = 0; i < lz->json_len(list); i++)
		add_name(s, lz->json_str(lz->json_item(list, i, NULL), lz_strz("")));
}

/* All that are mentioned, sorted, each once. */
static void
set_names(struct schema *s, const struct mentions *m)
{
	size_t kept = 0;

	add_keys(s, m->properties);
	add_strings(s, m->required);
	add_keys(s, m->needed);
	add_keys(s, m->schemas);
	for (size_t i = 0; i < lz->json_len(m->needed); i++)
		add_strings(s, lz->json_item(m->needed, i, NULL));
	qsort(s->names, s->name_count, sizeof(*s->names), by_key);
	for (size_t i = 0; i < s->name_count; i++)
		if (i == 0 || by_key(&s->names[i], &s->names[kept - 1]) != 0)
			s->names[kept++] = s->names[i];
	s->name_count = kept;
}

static bool
set_properties(struct compiler *k, struct schema *s, const struct mentions *m,
    const struct place *at)
{
	struct place here = place_member(at, lz_strz("properties"));

	for (size_t i = 0; i < lz->json_len(m->properties); i++) {
		lz_str key;
		const lz_json *inner = lz->json_item(m->properties, i, &key);
		struct place there = place_member(&here, key);
		const struct schema *of = compile_schema(k, inner, &there);

		if (of == NULL)
			return false;
		s->names[index_of(s, key)].schema = of;
	}
	for (size_t i = 0; i < lz->json_len(m->required); i++) {
		lz_str key =
		    lz->json_str(lz->json_item(m->required, i, NULL), lz_strz(""));

		s->names[index_of(s, key)].is_required = true;
	}
	return true;
}

static bool
set_dependencies(struct compiler *k, struct schema *s, const struct mentions *m,
    const struct place *at)
{
	struct place here = place_member(at, lz_strz("dependentSchemas"));

	for (size_t i = 0; i < lz->json_len(m->needed); i++) {
		lz_str key;
		const lz_json *list = lz->json_item(m->needed, i, &key);

		for (size_t n = 0; n < lz->json_len(list); n++)
			s->dependencies[s->dependency_count++] =
			    (struct dependency){ index_of(s, key),
				    index_of(s, lz->json_str(lz->json_item(list, n, NULL),
						    lz_strz(""))),
				    NULL };
	}
	for (size_t i = 0; i < lz->json_len(m->schemas); i++) {
		lz_str key;
		const lz_json *inner = lz->json_item(m->schemas, i, &key);
		struct place there = place_member(&here, key);
		const struct schema *of = compile_schema(k, inner, &there);

		if (of == NULL)
			return false;
		s->dependencies[s->dependency_count++] =
		    (struct dependency){ index_of(s, key), SIZE_MAX, of };
	}
	return true;
}

bool
read_names(
    struct compiler *k, struct schema *s, const lz_json *json, const struct place *at)
{
	struct mentions m = { NULL, NULL, NULL, NULL, 0, 0 };

	if (!find_mentions(k, json, at, &m))
		return false;
	if (m.count == 0)
		return true;
	s->names = compile_keep(k->out, m.count * sizeof(*s->names));
	s->dependencies = compile_keep(k->out, m.dependencies * sizeof(*s->dependencies));
	if (s->names == NULL || s->dependencies == NULL)
		return compile_no_memory(k, at);
	set_names(s, &m);
	return set_properties(k, s, &m, at) && set_dependencies(k, s, &m, at);
}
