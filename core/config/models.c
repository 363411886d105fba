/* models.c - what a model's name may mean: the targets of every name, found without
 * allocating.
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

/* ---- targets of one provider ---- */

static size_t
vendor_models(const struct catalogue *k, lz_str vendor)
{
	size_t n = 0;

	for (size_t i = 0; i < k->row_count; i++)
		n += str_eq(k->row[i].facts.vendor, vendor);
	return n;
}

/* How many targets may come of a provider's object at most. */
static size_t
targets_of(const struct catalogue *k, const char *name, const json_t *object)
{
	const json_t *list = json_object_get(object, "models");
	lz_str plugin = json_get_str(object, "plugin");
	size_t n = json_array_size(list) + 1;

	if (plugin.ptr == NULL && json_object_get(object, "preset") != NULL)
		n += k->row_count; /* of a plugin that the preset names */
	else
		n += vendor_models(k, plugin.ptr != NULL ? plugin : lz_strz(name));
	for (size_t i = 0; i < json_array_size(list); i++)
		n += json_array_size(json_object_get(json_array_get(list, i), "aliases"));
	return n;
}

void
models_begin(struct build *b, const json_t *providers)
{
	struct model_index *x = build_alloc(b, sizeof(*x));
	const char *name;
	json_t *object;
	size_t room = 1 + names_count(json_object_get(b->c->tree, "models"));

	if (x == NULL)
		return;
	b->c->models = x;
	catalogue_read(b, &x->catalogue);
	json_object_foreach((json_t *)(uintptr_t)providers, name, object)
	{
		room += targets_of(&x->catalogue, name, object);
	}
	x->target_room = room;
	b->c->target = build_alloc(b, room * sizeof(*b->c->target));
}

static bool
has_target(const struct config *c, const struct provider *p, lz_str id)
{
	for (size_t i = c->target_count; i > 0 && c->target[i - 1].provider == p; i--) {
		if (str_eq(c->target[i - 1].model->id, id))
			return true;
	}
	return false;
}

struct target *
models_add_target(
    struct build *b, const struct provider *p, const struct catalogue_row *row)
{
	struct target *t = &b->c->target[b->c->target_count++];
	struct model_facts *free_facts;

	must(b->c->target_count <= b->c->models->target_room);
	*t = (struct target){ .provider = p,
		.model = &row->facts,
		.upstream_model = row->upstream_model,
		.weight = 1,
		.is_any = true };
	if (t->upstream_model.len == 0)
		t->upstream_model = row->facts.id;
	if (!p->is_free)
		return t;
	free_facts = build_alloc(b, sizeof(*free_facts));
	if (free_facts == NULL)
		return t;
	*free_facts = row->facts;
	free_facts->price_input = free_facts->price_output = 0;
	free_facts->price_cache_read = free_facts->price_cache_write = 0;
	free_facts->price_cache_write_1h = 0;
	free_facts->tier_count = 0;
	t->model = free_facts;
	return t;
}

static void
add_catalogue(struct build *b, const struct provider *p, lz_str vendor)
{
	const struct catalogue *k = &b->c->models->catalogue;

	for (size_t i = 0; i < k->row_count; i++) {
		const struct model_facts *f = &k->row[i].facts;

		if (str_eq(f->vendor, vendor) && !has_target(b->c, p, f->id))
			models_add_target(b, p, &k->row[i])->is_any = !f->is_deprecated;
	}
}

static void
add_row(struct build *b, const struct provider *p, const struct catalogue_row *row,
    const json_t *item, const char *where)
{
	if (has_target(b->c, p, row->facts.id))
		build_wrong(b, where, item, NULL, "the model \"%.*s\" is listed twice",
		    STR_ARG(row->facts.id));
	else
		(void)models_add_target(b, p, row);
}

static void
add_aliases(struct build *b, const struct provider *p, const struct catalogue_row *row,
    const json_t *item, const char *where)
{
	struct catalogue_row *named =
	    build_alloc(b, (row->aliases.count + 1) * sizeof(*named));

	for (size_t i = 0; named != NULL && i < row->aliases.count; i++) {
		named[i] = *row;
		named[i].facts.id = row->aliases.items[i];
		add_row(b, p, &named[i], item, where);
	}
}

/* One item of `models`: a name or an object of facts. */
static void
add_listed(
    struct build *b, const struct provider *p, const json_t *item, const char *where)
{
	const struct catalogue_row *known;
	lz_str vendor = lz_strz(p->info->name);
	struct catalogue_row *row = build_alloc(b, sizeof(*row));
	json_t *object;
	lz_str id;

	if (row == NULL)
		return;
	object = json_is_string(item) ? json_pack("{s:O}", "id", item)
				      : json_incref((json_t *)(uintptr_t)item);
	if (object == NULL || json_array_append_new(b->c->keep, object) != 0 ||
	    (object != item &&
		!yaml_set_line(b->source, object, yaml_line(b->source, item, NULL)))) {
		b->is_out_of_memory = true;
		return;
	}
	id = json_get_str(object, "id");
	known =
	    id.ptr != NULL ? catalogue_find(&b->c->models->catalogue, vendor, id) : NULL;
	if (!model_read(b, object, where, known, row) || id.ptr == NULL)
		return;
	add_row(b, p, row, item, where);
	add_aliases(b, p, row, item, where);
}

void
models_add(
    struct build *b, const struct provider *p, const json_t *list, const char *where)
{
	lz_str vendor = lz_strz(p->info->name);
	bool wants_catalogue = list == NULL;

	if (b->c->target == NULL)
		return;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);

		if (json_is_string(item) && str_is(lz_strz(json_string_value(item)), "*"))
			wants_catalogue = true;
		else
			add_listed(b, p, item, where);
	}
	if (wants_catalogue)
		add_catalogue(b, p, vendor);
}

/* ---- the index ---- */

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

const struct provider *
provider_named(const struct config *c, lz_str name)
{
	for (size_t i = 0; i < c->provider_count; i++) {
		if (str_eq(c->provider[i].name, name))
			return &c->provider[i];
	}
	return NULL;
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

static const struct model_name *
find_name(const struct model_table *t, lz_str name)
{
	const struct model_name *s = t->cap > 0 ? slot_of(t, name) : NULL;

	return s != NULL && s->id.ptr != NULL ? s : NULL;
}

static const struct target *
target_at(const struct model_name *s, const struct provider *p)
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
	    target_at(find_name(&c->models->plain, name), t->provider);

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
		const struct model_name *s = find_name(&x->plain, c->target[i].model->id);

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
		    find_name(&x->public, c->target[i].model->id) != NULL;
	list_any(b);
	b->c->any_standing = standing_of(b, b->c->any_count);
	find_twins(c);
	list_names(b, plain);
}

/* ---- looking up ---- */

/* What is known of a model that its provider does not list. */
static const struct catalogue_row *
known_row(const struct config *c, const struct provider *p, lz_str model)
{
	return catalogue_find(&c->models->catalogue, lz_strz(p->info->name), model);
}

/* The facts that a deployment of it was given. */
static const struct model_facts *
deployed_facts(const struct config *c, const struct provider *p, lz_str model)
{
	for (size_t i = c->target_count; i > 0 && c->target[i - 1].is_deployment; i--) {
		if (c->target[i - 1].provider == p &&
		    str_eq(c->target[i - 1].upstream_model, model))
			return c->target[i - 1].model;
	}
	return NULL;
}

/* A target that nobody listed: provider/model. */
static bool
make_target(const struct config *c, const struct provider *p, lz_str asked, lz_str rest,
    struct target *made, struct arena *memory)
{
	const struct catalogue_row *known = known_row(c, p, rest);
	const struct model_facts *deployed =
	    known == NULL ? deployed_facts(c, p, rest) : NULL;
	struct model_facts *f = arena_alloc(memory, sizeof(*f));

	if (f == NULL)
		return false;
	*f = (struct model_facts){ .context_window = -1,
		.max_output_tokens = -1,
		.price_input = -1,
		.price_output = -1,
		.price_cache_read = -1,
		.price_cache_write = -1,
		.price_cache_write_1h = -1,
		.quality = -1,
		.is_any_mode = true };
	if (known != NULL)
		*f = known->facts;
	else if (deployed != NULL)
		*f = *deployed;
	/* What nobody described has no other name than the whole one: allowlists are held
	 * against it. */
	if (known == NULL)
		f->id = arena_copy(memory, asked);
	if (p->is_free)
		f->price_input = f->price_output = f->price_cache_read =
		    f->price_cache_write = f->price_cache_write_1h = 0;
	if (p->is_free)
		f->tier_count = 0;
	*made = (struct target){ .provider = p,
		.model = f,
		.weight = 1,
		.upstream_model =
		    known != NULL ? known->upstream_model : arena_copy(memory, rest) };
	return f->id.ptr != NULL && made->upstream_model.ptr != NULL;
}

const struct target *
models_listed(const struct config *c, const struct provider *p, lz_str id)
{
	for (size_t i = 0; i < c->target_count && !c->target[i].is_deployment; i++) {
		if (c->target[i].provider == p && str_eq(c->target[i].model->id, id))
			return &c->target[i];
	}
	return NULL;
}

static size_t
targets_by_provider(const struct config *c, lz_str asked, const struct target **out,
    struct target *made, struct arena *memory)
{
	ptrdiff_t slash = str_find(asked, '/');
	const struct provider *p;
	lz_str rest;

	if (slash <= 0 || (size_t)slash + 1 >= asked.len)
		return 0;
	p = provider_named(c, str_cut(asked, 0, (size_t)slash));
	if (p == NULL)
		return 0;
	rest = str_cut(asked, (size_t)slash + 1, asked.len);
	out[0] = target_at(find_name(&c->models->plain, rest), p);
	if (out[0] != NULL)
		return 1;
	if (made == NULL || memory == NULL ||
	    !make_target(c, p, asked, rest, made, memory))
		return 0;
	out[0] = made;
	return 1;
}

const struct model_name *
config_name(const struct config *c, lz_str model)
{
	const struct model_name *s =
	    c->models != NULL ? find_name(&c->models->public, model) : NULL;

	return s == NULL && c->models != NULL ? find_name(&c->models->plain, model) : s;
}

size_t
config_targets(const struct config *c, lz_str model, const struct target **out,
    size_t max, struct target *made, struct arena *memory)
{
	const struct model_name *s = config_name(c, model);
	size_t n;

	if (model.len == 0 || max == 0)
		return 0;
	if (s == NULL)
		return targets_by_provider(c, model, out, made, memory);
	n = s->count < max ? s->count : max;
	if (n > 0)
		memcpy(out, s->target, n * sizeof(const struct target *));
	return n;
}

/* ---- near names ---- */

enum {
	NEAR_EDITS = 4
};

/* Keeps `out` sorted by distance, at most max. Returns how many there are. */
static size_t
keep_nearest(
    lz_str *out, unsigned *distance, size_t n, size_t max, lz_str name, unsigned d)
{
	size_t at = n;

	while (at > 0 && distance[at - 1] > d)
		at--;
	if (at >= max)
		return n;
	n = n < max ? n + 1 : max;
	for (size_t i = n - 1; i > at; i--) {
		out[i] = out[i - 1];
		distance[i] = distance[i - 1];
	}
	out[at] = name;
	distance[at] = d;
	return n;
}

size_t
config_near_models(const struct config *c, lz_str model, lz_str *out, size_t max)
{
	enum {
		MOST = 16
	};
	unsigned distance[MOST];
	size_t n = 0;

	if (max > MOST)
		max = MOST;
	for (size_t i = 0; i < c->name_count; i++) {
		lz_str name = c->name[i].id;
		unsigned d = str_distance(model, name, NEAR_EDITS);

		/* "gpt-4" is near "gpt-4o-2024-08-06" for a person, whatever the edits.
		 */
		if (d > NEAR_EDITS && model.len >= 4 && name.len > model.len &&
		    memcmp(name.ptr, model.ptr, model.len) == 0)
			d = NEAR_EDITS;
		if (d <= NEAR_EDITS && d < model.len)
			n = keep_nearest(out, distance, n, max, name, d);
	}
	return n;
}

bool
config_serves(const struct provider *p, lz_str route)
{
	const char *words = p->info != NULL ? p->info->routes : NULL;
	lz_str rest = words != NULL ? lz_strz(words) : STR_LIT("chat");

	while (rest.len > 0) {
		ptrdiff_t blank = str_find(rest, ' ');
		size_t n = blank < 0 ? rest.len : (size_t)blank;

		if (str_eq(str_cut(rest, 0, n), route))
			return true;
		rest = str_trim(str_cut(rest, n, rest.len));
	}
	return false;
}

bool
config_has_strategy(const struct config *c, lz_str name)
{
	for (size_t i = 0; i < c->strategy_count; i++) {
		if (str_eq(name, c->strategy[i]))
			return true;
	}
	return false;
}

const struct part *
config_router(const struct config *c, lz_str name)
{
	for (size_t i = 0; i < c->router_count; i++) {
		if (str_is(name, c->router[i]->name))
			return c->router[i];
	}
	return NULL;
}
