/* model_index.c - the index from a name to its targets, and the lists that are made with
 * it.
 *
 * A name is looked up once per request, so the index is a hash table of groups: one slot
 * per name, whose targets stand next to each other in a list of pointers. There are two:
 * names of `models:`, which go before everything, and plain ones, which provider/model
 * still reaches when a name of `models:` has taken their place. Tables are built once and
 * never written again; nothing that a client sends is ever stored in them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/build.h"

#include <stdlib.h>

#include "base/json.h"

enum {
	STANDING_FROM = 32 /* targets: a shorter list is as quickly read through */
};

static size_t
hash_of(lz_str name)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ (unsigned char)name.ptr[i]) * 0x100000001b3u;
	return (size_t)(h ^ (h >> 32));
}

static struct model_name *
slot_of(const struct model_table *t, lz_str name)
{
	size_t i = hash_of(name) & (t->cap - 1);

	while (t->slot[i].id.ptr != NULL && !str_eq(t->slot[i].id, name))
		i = (i + 1) & (t->cap - 1);
	return &t->slot[i];
}

static bool
make_table(struct build *b, struct model_table *t, size_t names)
{
	size_t cap;

	for (cap = 16; cap < 2 * names; cap *= 2)
		;
	t->slot = build_alloc(b, cap * sizeof(*t->slot));
	t->cap = t->slot != NULL ? cap : 0;
	return t->slot != NULL;
}

static int
compare(lz_str a, lz_str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int d = memcmp(a.ptr, b.ptr, n);

	return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

/* By name, and within a name in file order. */
static int
by_name(const void *a, const void *b)
{
	const struct target *x = *(const struct target *const *)a,
			    *y = *(const struct target *const *)b;
	int d = compare(x->model->id, y->model->id);

	return d != 0 ? d : (x > y) - (x < y);
}

/* "local/foo" where `local` is a provider would mean two things. */
static void
check_name(struct build *b, const struct target *t)
{
	lz_str id = t->model->id;
	ptrdiff_t slash = str_find(id, '/');
	lz_str before = slash < 0 ? STR_NONE : str_cut(id, 0, (size_t)slash);
	lz_str name = t->provider->name;

	if (str_is(before, "latenza"))
		build_wrong(b, "providers", json_object_get(b->c->tree, "providers"),
		    name.ptr,
		    "the model \"%.*s\": names that begin with latenza/ are the "
		    "gateway's own",
		    STR_ARG(id));
	else if (slash >= 0 && provider_named(b->c, before) != NULL)
		build_wrong(b, "providers", json_object_get(b->c->tree, "providers"),
		    name.ptr,
		    "the model \"%.*s\" could also be a model of the provider \"%.*s\"; "
		    "rename the provider",
		    STR_ARG(id), STR_ARG(before));
}

/* Targets of providers, grouped by name. */
static void
index_plain(struct build *b, struct model_table *table, size_t count)
{
	struct config *c = b->c;
	const struct target **order = build_alloc(b, (count + 1) * sizeof(*order));

	if (order == NULL || !make_table(b, table, count))
		return;
	for (size_t i = 0; i < count; i++) {
		order[i] = &c->target[i];
		check_name(b, &c->target[i]);
	}
	qsort(order, count, sizeof(*order), by_name);
	for (size_t i = 0; i < count; i++) {
		struct model_name *s = slot_of(table, order[i]->model->id);

		if (s->count++ == 0) {
			s->id = order[i]->model->id;
			s->target = &order[i];
		}
	}
}

/* Names of `models:`; also one whose deployments were all left out, so that it means
 * nothing rather than something else. */
static void
index_public(struct build *b, struct model_index *x)
{
	if (x->given_count == 0 || !make_table(b, &x->public, x->given_count))
		return;
	for (size_t i = 0; i < x->given_count; i++)
		*slot_of(&x->public, x->given[i].id) = x->given[i];
}

const struct model_name *
models_find(const struct model_table *t, lz_str name)
{
	const struct model_name *s = t->cap > 0 ? slot_of(t, name) : NULL;

	return s != NULL && s->id.ptr != NULL ? s : NULL;
}

const struct target *
models_target_at(const struct model_name *s, const struct provider *p)
{
	for (size_t i = 0; s != NULL && i < s->count; i++) {
		if (s->target[i]->provider == p)
			return s->target[i];
	}
	return NULL;
}

/* ---- one model under several names ---- */

static bool
is_digits(lz_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	}
	return true;
}

/* "gpt-4o" of "gpt-4o-2024-08-06", "claude-haiku-4-5" of "claude-haiku-4-5-20251001";
 * absent: it has no date. */
static lz_str
without_date(lz_str id)
{
	size_t n = id.len;

	if (n > 9 && id.ptr[n - 9] == '-' && is_digits(str_cut(id, n - 8, n)))
		return str_cut(id, 0, n - 9);
	if (n > 11 && id.ptr[n - 11] == '-' && id.ptr[n - 6] == '-' &&
	    id.ptr[n - 3] == '-' && is_digits(str_cut(id, n - 10, n - 6)) &&
	    is_digits(str_cut(id, n - 5, n - 3)) && is_digits(str_cut(id, n - 2, n)))
		return str_cut(id, 0, n - 11);
	return STR_NONE;
}

static bool
costs_the_same(const struct model_facts *a, const struct model_facts *b)
{
	return a->price_input == b->price_input && a->price_output == b->price_output &&
	       a->price_cache_read == b->price_cache_read &&
	       a->price_cache_write == b->price_cache_write &&
	       a->price_cache_write_1h == b->price_cache_write_1h &&
	       a->tier_count == b->tier_count &&
	       (a->tier_count == 0 ||
		   memcmp(a->tier, b->tier, a->tier_count * sizeof(*a->tier)) == 0);
}

/* Chains have one link: a twin has none. */
static void
set_twin(const struct config *c, struct target *t, lz_str name)
{
	const struct target *other =
	    models_target_at(models_find(&c->models->plain, name), t->provider);

	if (name.len > 0 && other != NULL && other != t && other->twin == NULL &&
	    other->is_any && costs_the_same(t->model, other->model))
		t->twin = other;
}

static void
find_twins(struct config *c)
{
	for (size_t i = 0; i < c->target_count; i++) {
		struct target *t = &c->target[i];

		if (t->is_deployment || !str_eq(t->upstream_model, t->model->id))
			set_twin(c, t, t->upstream_model);
	}
	for (size_t i = 0; i < c->target_count; i++) {
		if (c->target[i].twin == NULL)
			set_twin(c, &c->target[i], without_date(c->target[i].model->id));
	}
}

/* ---- the lists ---- */

static void
list_any(struct build *b)
{
	struct config *c = b->c;

	c->any = build_alloc(b, (c->target_count + 1) * sizeof(*c->any));
	if (c->any == NULL)
		return;
	for (size_t i = 0; i < c->target_count; i++) {
		struct target *t = &c->target[i];

		t->is_any &= !t->is_shadowed && !t->model->is_embedding;
		if (t->is_any)
			c->any[c->any_count++] = t;
	}
}

static void
list_names(struct build *b, size_t plain)
{
	struct config *c = b->c;
	const struct model_index *x = c->models;
	struct model_name *list =
	    build_alloc(b, (x->given_count + plain + 1) * sizeof(*list));

	c->name = list;
	for (size_t i = 0; list != NULL && i < x->given_count; i++) {
		if (x->given[i].count > 0)
			list[c->name_count++] = x->given[i];
	}
	for (size_t i = 0; list != NULL && i < plain; i++) {
		const struct model_name *s =
		    models_find(&x->plain, c->target[i].model->id);

		if (s != NULL && s->target[0] == &c->target[i] &&
		    !c->target[i].is_shadowed)
			list[c->name_count++] = *s;
	}
}

/* NULL where a list is short, or memory is out: then it is read through. */
static struct config_standing *
standing_of(struct build *b, size_t count)
{
	struct config_standing *s;

	if (count <= STANDING_FROM)
		return NULL;
	s = build_alloc(b, sizeof(*s));
	if (s == NULL)
		return NULL;
	atomic_flag_clear(&s->is_busy);
	s->order = build_alloc(b, count * sizeof(*s->order));
	return s->order != NULL ? s : NULL;
}

static void
give_standings(struct build *b, const struct model_table *t)
{
	for (size_t i = 0; i < t->cap; i++)
		t->slot[i].standing = standing_of(b, t->slot[i].count);
}

void
models_finish(struct build *b)
{
	struct config *c = b->c;
	struct model_index *x = c->models;
	size_t plain = c->target_count;

	if (x == NULL || c->target == NULL)
		return;
	while (plain > 0 && c->target[plain - 1].is_deployment)
		plain--;
	index_plain(b, &x->plain, plain);
	index_public(b, x);
	give_standings(b, &x->plain);
	give_standings(b, &x->public);
	for (size_t i = 0; i < plain; i++)
		c->target[i].is_shadowed =
		    models_find(&x->public, c->target[i].model->id) != NULL;
	list_any(b);
	b->c->any_standing = standing_of(b, b->c->any_count);
	find_twins(c);
	list_names(b, plain);
}
