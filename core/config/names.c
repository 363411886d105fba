/* names.c - the section `models`: public names over weighted deployments.
 *
 * A name is the canonical id of its deployments: allowlists, traces and spend know it and
 * not what a provider calls the model. It goes before a name of the catalogue and takes
 * its place, so that what is written here is all that the name can mean.
 *
 * A deployment's facts start from what its provider lists or the catalogue knows of the
 * model, or of base_model, or, since a deployment may be called anything, of the public
 * name itself; facts that are written beside it go before.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "config/build.h"

#include <stdio.h>

struct deployment {
	lz_str provider, model;
	double weight;
};
struct public_name {
	const lz_json *to;
};

enum {
	NAMES_MAX = 10000,
	DEPLOYMENTS_MAX = 100,
	WHERE_BYTES = 240
};

static const lz_option name_rows[] = {
	LZ_OPT_JSON(struct public_name, to,
	    "{\"type\":\"array\",\"maxItems\":100,\"items\":{\"type\":"
	    "\"object\"}}",
	    "its deployments: { provider, model, weight }"),
};
static const lz_option deployment_rows[] = {
	LZ_OPT_TEXT(struct deployment, provider, NULL, NULL, "one of providers"),
	LZ_OPT_TEXT(
	    struct deployment, model, NULL, NULL, "what the provider calls the model"),
	LZ_OPT_REAL(struct deployment, weight, "1", 0, 1000000,
	    "its share among deployments that are otherwise equal; 0: only after the "
	    "others"),
};

enum {
	NAME_ROWS = sizeof(name_rows) / sizeof(name_rows[0]),
	DEPLOYMENT_ROWS = sizeof(deployment_rows) / sizeof(deployment_rows[0])
};

/* One name while it is read. */
struct naming {
	struct build *b;
	lz_str id;
	char where[WHERE_BYTES];
	struct model_name *out;
	const struct target **target;
};

size_t
names_count(const json_t *models)
{
	const char *name;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)(uintptr_t)models, name, value)
	{
		size_t listed = json_array_size(json_object_get(value, "to"));

		n += listed < DEPLOYMENTS_MAX ? listed : DEPLOYMENTS_MAX;
	}
	return n;
}

/* ---- facts ---- */

/* The names of facts, which the first pass leaves alone: id and upstream_model are said
 * in other words here. */
static const char **
fact_names(struct build *b)
{
	const char **names = build_alloc(b, (model_row_count + 1) * sizeof(*names));
	size_t n = 0;

	for (uint32_t i = 0; names != NULL && i < model_row_count; i++) {
		const char *name = model_rows[i].name;

		if (strcmp(name, "id") != 0 && strcmp(name, "upstream_model") != 0 &&
		    strcmp(name, "aliases") != 0)
			names[n++] = name;
	}
	return names;
}

/* The deployment as an object of facts under the public name. */
static json_t *
facts_object(struct naming *g, const json_t *item)
{
	json_t *facts = build_copy(g->b, item, model_is_row);

	if (facts == NULL ||
	    json_object_set_new(facts, "id", json_stringn(g->id.ptr, g->id.len)) != 0) {
		g->b->is_out_of_memory = true;
		return NULL;
	}
	return facts;
}

/* What is known of the model before its own facts are read; NULL: nothing. */
static const struct catalogue_row *
known_of(struct naming *g, const struct provider *p, lz_str model)
{
	const struct catalogue *k = &g->b->c->models->catalogue;
	const struct target *listed = models_listed(g->b->c, p, model);
	lz_str vendor = lz_strz(p->info->name);
	const struct catalogue_row *row;
	struct catalogue_row *copy;

	if (listed == NULL) {
		row = catalogue_find(k, vendor, model);
		return row != NULL ? row : catalogue_find(k, vendor, g->id);
	}
	copy = build_alloc(g->b, sizeof(*copy));
	if (copy != NULL)
		*copy = (struct catalogue_row){ *listed->model, listed->upstream_model,
			{ 0 } };
	return copy;
}

/* ---- one deployment ---- */

/* NULL: told, or left out with its optional provider. */
static const struct provider *
find_provider(struct naming *g, const json_t *item, lz_str name)
{
	const struct config *c = g->b->c;
	const struct provider *p = provider_named(c, name);
	const json_t *written = json_object_get(c->tree, "providers");
	const char **names;
	const char *near;

	if (p != NULL)
		return p;
	if (json_object_getn(written, name.ptr, name.len) != NULL) {
		build_warn(g->b, g->where, item, NULL,
		    "is left out with its provider %.*s", STR_ARG(name));
		return NULL;
	}
	names = build_names(g->b, written);
	near = names != NULL ? options_nearest(name, names) : NULL;
	if (near != NULL)
		build_wrong(g->b, g->where, item, "provider",
		    "there is no provider \"%.*s\"; did you mean \"%s\"?", STR_ARG(name),
		    near);
	else
		build_wrong(g->b, g->where, item, "provider",
		    "there is no provider \"%.*s\"", STR_ARG(name));
	return NULL;
}

static bool
is_there(const struct naming *g, const struct provider *p, lz_str model)
{
	for (size_t i = 0; i < g->out->count; i++) {
		if (g->target[i]->provider == p &&
		    str_eq(g->target[i]->upstream_model, model))
			return true;
	}
	return false;
}

static void
add_deployment(struct naming *g, const struct provider *p, const json_t *item,
    const struct deployment *d)
{
	const struct catalogue_row *known = known_of(g, p, d->model);
	struct catalogue_row *row = build_alloc(g->b, sizeof(*row));
	const json_t *facts = facts_object(g, item);
	const struct target *listed = models_listed(g->b->c, p, d->model);
	struct target *t;

	if (row == NULL || facts == NULL ||
	    !model_read(g->b, facts, g->where, known, row))
		return;
	row->upstream_model = listed != NULL ? listed->upstream_model : d->model;
	if (is_there(g, p, row->upstream_model)) {
		build_wrong(g->b, g->where, item, NULL,
		    "the model \"%.*s\" of %.*s is there twice; give it more weight",
		    STR_ARG(d->model), STR_ARG(p->name));
		return;
	}
	if (g->out->count > 0 &&
	    g->target[0]->model->is_embedding != row->facts.is_embedding) {
		build_wrong(g->b, g->where, item, NULL,
		    "a name is of chat models or of embedding models, not of both");
		return;
	}
	t = models_add_target(g->b, p, row);
	t->is_deployment = true;
	t->weight = d->weight;
	g->target[g->out->count++] = t;
}

static void
read_deployment(struct naming *g, const json_t *item)
{
	struct options_context c = build_context(g->b, g->where);
	struct deployment d = { .weight = 1 };
	const struct provider *p;

	c.ignore = fact_names(g->b);
	if (c.ignore == NULL ||
	    !build_apply(deployment_rows, DEPLOYMENT_ROWS, item, &d, &c))
		return;
	if (!model_check_name(g->b, g->where, item, "model", d.model))
		return;
	p = find_provider(g, item, d.provider);
	if (p != NULL)
		add_deployment(g, p, item, &d);
}

/* ---- names ---- */

static bool
check_name(struct build *b, const json_t *models, lz_str id)
{
	ptrdiff_t slash = str_find(id, '/');
	lz_str before = slash < 0 ? STR_NONE : str_cut(id, 0, (size_t)slash);

	if (!model_check_name(b, "models", models, id.ptr, id))
		return false;
	if (str_is(before, "latenza"))
		build_wrong(b, "models", models, id.ptr,
		    "names that begin with latenza/ are the gateway's own");
	else if (slash >= 0 && provider_named(b->c, before) != NULL)
		build_wrong(b, "models", models, id.ptr,
		    "could also be a model of the provider \"%.*s\"; write another name",
		    STR_ARG(before));
	else
		return true;
	return false;
}

static void
read_name(struct build *b, const json_t *models, lz_str id, const json_t *object,
    struct model_name *out)
{
	struct naming *g = build_alloc(b, sizeof(*g));
	struct options_context c;
	struct public_name n = { NULL };
	const json_t *to;

	if (g == NULL)
		return;
	*g = (struct naming){ .b = b, .id = id, .out = out };
	(void)snprintf(g->where, sizeof(g->where), "models.%.*s", STR_ARG(id));
	c = build_context(b, g->where);
	if (!build_apply(name_rows, NAME_ROWS, object, &n, &c))
		return;
	to = (const json_t *)(const void *)n.to;
	if (json_array_size(to) == 0) {
		build_wrong(b, g->where, object, "to",
		    "names no deployment; write to: [ { provider: NAME, model: MODEL } "
		    "]");
		return;
	}
	g->target = build_alloc(b, json_array_size(to) * sizeof(*g->target));
	out->target = g->target;
	for (size_t i = 0; g->target != NULL && i < json_array_size(to); i++)
		read_deployment(g, json_array_get(to, i));
	if (out->count == 0)
		build_warn(b, "models", models, id.ptr, "no deployment of it is left");
}

void
names_read(struct build *b, const json_t *models)
{
	struct model_index *x = b->c->models;
	const char *name;
	json_t *value;

	if (models == NULL || json_is_null(models) || x == NULL || b->c->target == NULL)
		return;
	if (!json_is_object(models) || json_object_size(models) > NAMES_MAX) {
		build_wrong(b, NULL, b->c->tree, "models",
		    "is not a map of at most %d public names; write models: { NAME: { "
		    "to: [ { provider: NAME, model: MODEL } ] } }",
		    NAMES_MAX);
		return;
	}
	x->given = build_alloc(b, (json_object_size(models) + 1) * sizeof(*x->given));
	if (x->given == NULL)
		return;
	json_object_foreach((json_t *)(uintptr_t)models, name, value)
	{
		struct model_name *out = &x->given[x->given_count];

		if (!check_name(b, models, lz_strz(name)))
			continue;
		if (!json_is_object(value)) {
			build_wrong(b, "models", models, name,
			    "is not a map; write %s: { to: [ { provider: NAME, model: "
			    "MODEL } ] }",
			    name);
			continue;
		}
		out->id = lz_strz(name);
		x->given_count++;
		read_name(b, models, out->id, value, out);
	}
}

/* ---- told to others ---- */

json_t *
names_schema(void)
{
	json_t *object = options_schema(name_rows, NAME_ROWS, sizeof(lz_option));
	json_t *item =
	    options_schema(deployment_rows, DEPLOYMENT_ROWS, sizeof(lz_option));
	json_t *facts = options_schema(model_rows, model_row_count, sizeof(lz_option));
	json_t *properties = json_object_get(facts, "properties");

	(void)json_object_del(properties, "id");
	(void)json_object_del(properties, "upstream_model");
	(void)json_object_del(properties, "aliases");
	(void)json_object_update_missing(json_object_get(item, "properties"), properties);
	json_decref(facts);
	(void)json_object_set_new(
	    json_object_get(json_object_get(object, "properties"), "to"), "items", item);
	(void)json_object_set_new(object, "required", json_pack("[s]", "to"));
	return json_pack("{s:[s,s], s:s, s:o}", "type", "object", "null", "description",
	    "public names over weighted deployments", "additionalProperties", object);
}

json_t *
names_shown(const struct config *c)
{
	const json_t *written = json_object_get(c->tree, "models");
	json_t *out = json_object();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)written, name, value)
	{
		(void)json_object_set_new(out, name, json_deep_copy(value));
	}
	return out;
}
