/* model_lookup.c - what the word of a request means: its targets, found without
 * allocating, or the names that are near it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/build.h"

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
		model_make_free(f);
	*made = (struct target){ .provider = p,
		.model = f,
		.weight = 1,
		.upstream_model =
		    known != NULL ? known->upstream_model : arena_copy(memory, rest) };
	return f->id.ptr != NULL && made->upstream_model.ptr != NULL;
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
	out[0] = models_target_at(models_find(&c->models->plain, rest), p);
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
	    c->models != NULL ? models_find(&c->models->public, model) : NULL;

	return s == NULL && c->models != NULL ? models_find(&c->models->plain, model) : s;
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
