/* models.c - what a model's name may mean: the targets of every name, found without
 * allocating.
 *
 * A name is looked up once per request, so the index is a hash table of groups: one slot
 * per name, whose targets stand next to each other in `order`. The table is built once
 * and never written again; nothing that a client sends is ever stored in it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/build.h"

#include <stdlib.h>

#include "base/json.h"

struct model_slot {
	lz_str name; /* absent: empty */
	const struct target *const *first;
	size_t count;
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

	return json_array_size(list) +
	       vendor_models(k, plugin.ptr != NULL ? plugin : lz_strz(name)) + 1;
}

void
models_begin(struct build *b, const json_t *providers)
{
	struct model_index *x = build_alloc(b, sizeof(*x));
	const char *name;
	json_t *object;
	size_t room = 1;

	if (x == NULL)
		return;
	b->c->models = x;
	catalogue_read(b, &x->catalogue);
	json_object_foreach((json_t *)(uintptr_t)providers, name, object)
	{
		room += targets_of(&x->catalogue, name, object);
	}
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

static void
add_target(struct build *b, const struct provider *p, const struct catalogue_row *row)
{
	struct target *t = &b->c->target[b->c->target_count++];
	struct model_facts *free_facts;

	*t = (struct target){
		.provider = p, .model = &row->facts, .upstream_model = row->upstream_model
	};
	if (t->upstream_model.len == 0)
		t->upstream_model = row->facts.id;
	if (!p->is_free)
		return;
	free_facts = build_alloc(b, sizeof(*free_facts));
	if (free_facts == NULL)
		return;
	*free_facts = row->facts;
	free_facts->price_input = free_facts->price_output = 0;
	free_facts->price_cache_read = free_facts->price_cache_write = 0;
	t->model = free_facts;
}

static void
add_catalogue(struct build *b, const struct provider *p, lz_str vendor)
{
	const struct catalogue *k = &b->c->models->catalogue;

	for (size_t i = 0; i < k->row_count; i++) {
		if (str_eq(k->row[i].facts.vendor, vendor) &&
		    !has_target(b->c, p, k->row[i].facts.id))
			add_target(b, p, &k->row[i]);
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
	if (has_target(b->c, p, id))
		build_wrong(b, where, item, NULL, "the model \"%.*s\" is listed twice",
		    STR_ARG(id));
	else
		add_target(b, p, row);
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

static struct model_slot *
slot_of(const struct model_index *x, lz_str name)
{
	size_t i = hash_of(name) & (x->cap - 1);

	while (x->slot[i].name.ptr != NULL && !str_eq(x->slot[i].name, name))
		i = (i + 1) & (x->cap - 1);
	return &x->slot[i];
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

static const struct provider *
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

void
models_finish(struct build *b)
{
	struct config *c = b->c;
	struct model_index *x = c->models;

	if (x == NULL || c->target == NULL)
		return;
	for (x->cap = 16; x->cap < 2 * c->target_count; x->cap *= 2)
		;
	x->slot = build_alloc(b, x->cap * sizeof(*x->slot));
	x->order = build_alloc(b, (c->target_count + 1) * sizeof(const struct target *));
	if (x->slot == NULL || x->order == NULL)
		return;
	for (size_t i = 0; i < c->target_count; i++) {
		x->order[i] = &c->target[i];
		check_name(b, &c->target[i]);
	}
	qsort(x->order, c->target_count, sizeof(const struct target *), by_name);
	for (size_t i = 0; i < c->target_count; i++) {
		struct model_slot *s = slot_of(x, x->order[i]->model->id);

		if (s->count++ == 0) {
			s->name = x->order[i]->model->id;
			s->first = &x->order[i];
		}
	}
}

/* ---- looking up ---- */

/* A target that nobody listed: provider/model. */
static bool
make_target(const struct config *c, const struct provider *p, lz_str asked, lz_str rest,
    struct target *made, struct arena *memory)
{
	const struct catalogue_row *known =
	    catalogue_find(&c->models->catalogue, lz_strz(p->info->name), rest);
	struct model_facts *f = arena_alloc(memory, sizeof(*f));

	if (f == NULL)
		return false;
	/* What nobody described has no other name than the whole one: allowlists are held
	 * against it. */
	*f = (struct model_facts){ .id = arena_copy(memory, asked),
		.context_window = -1,
		.max_output_tokens = -1,
		.price_input = -1,
		.price_output = -1,
		.price_cache_read = -1,
		.price_cache_write = -1,
		.quality = -1,
		.is_any_mode = true };
	if (known != NULL)
		*f = known->facts;
	if (p->is_free)
		f->price_input = f->price_output = f->price_cache_read =
		    f->price_cache_write = 0;
	*made = (struct target){ .provider = p,
		.model = f,
		.upstream_model =
		    known != NULL ? known->upstream_model : arena_copy(memory, rest) };
	return f->id.ptr != NULL && made->upstream_model.ptr != NULL;
}

static size_t
targets_by_provider(const struct config *c, lz_str asked, const struct target **out,
    struct target *made, struct arena *memory)
{
	ptrdiff_t slash = str_find(asked, '/');
	const struct model_slot *s;
	const struct provider *p;
	lz_str rest;

	if (slash <= 0 || (size_t)slash + 1 >= asked.len)
		return 0;
	p = provider_named(c, str_cut(asked, 0, (size_t)slash));
	if (p == NULL)
		return 0;
	rest = str_cut(asked, (size_t)slash + 1, asked.len);
	s = slot_of(c->models, rest);
	for (size_t i = 0; i < s->count; i++) {
		if (s->first[i]->provider == p) {
			out[0] = s->first[i];
			return 1;
		}
	}
	if (made == NULL || memory == NULL ||
	    !make_target(c, p, asked, rest, made, memory))
		return 0;
	out[0] = made;
	return 1;
}

size_t
config_targets(const struct config *c, lz_str model, const struct target **out,
    size_t max, struct target *made, struct arena *memory)
{
	const struct model_slot *s;
	size_t n;

	if (model.len == 0 || max == 0)
		return 0;
	s = slot_of(c->models, model);
	if (s->count == 0)
		return targets_by_provider(c, model, out, made, memory);
	n = s->count < max ? s->count : max;
	memcpy(out, s->first, n * sizeof(const struct target *));
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
	for (size_t i = 0; i < c->target_count; i++) {
		lz_str name = c->models->order[i]->model->id;
		unsigned d;

		if (i > 0 && str_eq(name, c->models->order[i - 1]->model->id))
			continue;
		d = str_distance(model, name, NEAR_EDITS);
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

const struct part *
config_router(const struct config *c, lz_str name)
{
	for (size_t i = 0; i < c->router_count; i++) {
		if (str_is(name, c->router[i]->name))
			return c->router[i];
	}
	return NULL;
}
