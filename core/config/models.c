/* models.c - the targets of each provider, in file order: what it lists, and what the
 * catalogue knows of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/build.h"

#include "base/json.h"

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
	model_make_free(free_facts);
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

const struct provider *
provider_named(const struct config *c, lz_str name)
{
	for (size_t i = 0; i < c->provider_count; i++) {
		if (str_eq(c->provider[i].name, name))
			return &c->provider[i];
	}
	return NULL;
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
