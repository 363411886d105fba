/* catalogue.c - commands over what the configuration holds: models, providers, itself.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/rows.h"

#include <stdio.h>

#include "base/json.h"

enum {
	CATALOGUE_ARENA = 1 << 20,
	NEAR_MAX = 3
};

static const struct {
	uint32_t bit;
	const char *name;
} capability_names[] = {
	{ LZ_CAN_STREAM, "streaming" },
	{ LZ_CAN_TOOLS, "tools" },
	{ LZ_CAN_VISION, "vision" },
	{ LZ_CAN_SCHEMA, "schema" },
	{ LZ_CAN_REASON, "reasoning" },
	{ LZ_CAN_AUDIO, "audio" },
	{ LZ_CAN_FILES, "files" },
};

static enum status
need_config(const struct command_context *c, struct err *e)
{
	return c->config != NULL
		   ? ST_OK
		   : err_fail(e, ST_NOT_FOUND,
			 "configuration: none is loaded; name it with -c FILE");
}

static void
set_known(json_t *out, const char *member, int64_t v)
{
	json_object_set_new(out, member, v < 0 ? json_null() : json_integer(v));
}

/* Pico-USD per token are millionths of USD per million tokens. */
static void
set_price(json_t *out, const char *member, int64_t pico_usd)
{
	json_object_set_new(
	    out, member, pico_usd < 0 ? json_null() : json_real((double)pico_usd / 1e6));
}

static json_t *
capabilities_shown(const struct model_facts *m)
{
	json_t *out = json_array();

	if (!m->knows_capabilities) {
		json_decref(out);
		return json_null();
	}
	for (size_t i = 0; i < sizeof(capability_names) / sizeof(*capability_names); i++)
		if ((m->capabilities & capability_names[i].bit) != 0)
			json_array_append_new(out, json_string(capability_names[i].name));
	return out;
}

static json_t *
tiers_shown(const struct model_facts *m)
{
	json_t *out = json_array();

	for (size_t i = 0; i < m->tier_count; i++) {
		const struct price_tier *t = &m->tier[i];
		json_t *tier = json_object();

		json_object_set_new(tier, "above", json_integer(t->above));
		set_price(tier, "price_input_per_mtok", t->input);
		set_price(tier, "price_cached_input_per_mtok", t->cache_read);
		set_price(tier, "price_cache_write_per_mtok", t->cache_write);
		set_price(tier, "price_cache_write_1h_per_mtok", t->cache_write_1h);
		set_price(tier, "price_output_per_mtok", t->output);
		json_array_append_new(out, tier);
	}
	return out;
}

/* What a request asks for to reach it. */
static void
set_name(json_t *out, const struct target *t)
{
	char name[600];

	if (!t->is_shadowed) {
		row_set_str(out, "name", t->model->id);
		return;
	}
	(void)snprintf(name, sizeof(name), "%.*s/%.*s", STR_ARG(t->provider->name),
	    STR_ARG(t->model->id));
	row_set_str(out, "name", lz_strz(name));
}

static json_t *
target_shown(const struct target *t)
{
	const struct model_facts *m = t->model;
	json_t *out = json_object();

	set_name(out, t);
	row_set_str(out, "model", m->id);
	row_set_str(out, "provider", t->provider->name);
	row_set_str(out, "upstream_model", t->upstream_model);
	if (t->is_deployment)
		json_object_set_new(out, "weight", json_real(t->weight));
	set_known(out, "context_window", m->context_window);
	set_known(out, "max_output_tokens", m->max_output_tokens);
	if (t->provider->is_free) {
		json_object_set_new(out, "price", json_string("free"));
	} else {
		set_price(out, "price_input_per_mtok", m->price_input);
		set_price(out, "price_cached_input_per_mtok", m->price_cache_read);
		set_price(out, "price_cache_write_per_mtok", m->price_cache_write);
		set_price(out, "price_cache_write_1h_per_mtok", m->price_cache_write_1h);
		set_price(out, "price_output_per_mtok", m->price_output);
		json_object_set_new(out, "price_tiers", tiers_shown(m));
		row_set_str(out, "price_date", m->price_date);
		row_set_str(out, "price_source", m->price_source);
	}
	json_object_set_new(out, "embedding", json_boolean(m->is_embedding));
	json_object_set_new(out, "capabilities", capabilities_shown(m));
	json_object_set_new(
	    out, "quality", m->quality < 0 ? json_null() : json_real(m->quality));
	row_set_str(out, "quality_source", m->quality_source);
	json_object_set_new(out, "deprecated", json_boolean(m->is_deprecated));
	return out;
}

enum status
model_list(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	json_t *list = json_list_in(result, "models");
	enum status st = need_config(c, e);

	(void)args;
	if (st != ST_OK)
		return st;
	for (size_t i = 0; i < c->config->name_count; i++)
		for (size_t k = 0; k < c->config->name[i].count; k++)
			json_array_append_new(
			    list, target_shown(c->config->name[i].target[k]));
	for (size_t i = 0; i < c->config->target_count; i++)
		if (c->config->target[i].is_shadowed)
			json_array_append_new(list, target_shown(&c->config->target[i]));
	return ST_OK;
}

static enum status
unknown_model(const struct config *c, lz_str model, struct err *e)
{
	lz_str near[NEAR_MAX];
	size_t n = config_near_models(c, model, near, NEAR_MAX);

	if (n == 0)
		return err_fail(e, ST_NOT_FOUND,
		    "model \"%.*s\": no configured provider has it; `latenza model list` "
		    "shows "
		    "all",
		    STR_ARG(str_cut(model, 0, 100)));
	return err_fail(e, ST_NOT_FOUND,
	    "model \"%.*s\": no configured provider has it; did you mean \"%.*s\"?",
	    STR_ARG(str_cut(model, 0, 100)), STR_ARG(near[0]));
}

/* latenza/<strategy>: whoever may be chosen for it. */
static enum status
show_any(const struct config *c, lz_str model, json_t *list, struct err *e)
{
	lz_str strategy = str_cut(model, strlen("latenza/"), model.len);

	if (config_router(c, strategy) == NULL)
		return err_fail(e, ST_NOT_FOUND,
		    "model \"%.*s\": there is no routing strategy \"%.*s\"",
		    STR_ARG(str_cut(model, 0, 100)), STR_ARG(str_cut(strategy, 0, 100)));
	for (size_t i = 0; i < c->any_count; i++)
		json_array_append_new(list, target_shown(c->any[i]));
	return ST_OK;
}

static enum status
show_named(const struct config *c, lz_str model, json_t *list, struct err *e)
{
	const struct model_name *name = config_name(c, model);
	struct arena *memory = arena_new(CATALOGUE_ARENA);
	const struct target *one;
	struct target made;
	size_t n = 0;

	if (memory == NULL)
		return err_fail(e, ST_NOMEM, "model: out of memory");
	for (; name != NULL && n < name->count; n++)
		json_array_append_new(list, target_shown(name->target[n]));
	if (name == NULL && config_targets(c, model, &one, 1, &made, memory) > 0) {
		json_array_append_new(list, target_shown(one));
		n = 1;
	}
	arena_free(memory);
	return n > 0 ? ST_OK : unknown_model(c, model, e);
}

enum status
model_show(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	lz_str model = json_get_str(args, "model");
	json_t *list = json_list_in(result, "targets");
	enum status st = need_config(c, e);

	if (st != ST_OK)
		return st;
	row_set_str(result, "asked", model);
	return str_starts(model, "latenza/") ? show_any(c->config, model, list, e)
					     : show_named(c->config, model, list, e);
}

/* ---- providers ---- */

static json_t *
provider_shown(const struct config *c, const struct provider *p)
{
	json_t *out = json_object();
	size_t models = 0;

	for (size_t i = 0; i < c->target_count; i++)
		models += c->target[i].provider == p && !c->target[i].is_deployment;
	row_set_str(out, "provider", p->name);
	row_set_str(
	    out, "plugin", p->part == NULL ? STR_NONE : lz_strz(p->part->info->name));
	row_set_str(out, "base_url", p->base_url);
	json_object_set_new(out, "keys", json_integer((json_int_t)p->api_key_count));
	json_object_set_new(out, "models", json_integer((json_int_t)models));
	row_set_str(out, "region", p->region);
	json_object_set_new(out, "test", json_boolean(p->is_test));
	json_object_set_new(out, "free", json_boolean(p->is_free));
	return out;
}

enum status
provider_list(
    struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	json_t *list = json_list_in(result, "providers");
	enum status st = need_config(c, e);

	(void)args;
	if (st != ST_OK)
		return st;
	for (size_t i = 0; i < c->config->provider_count; i++)
		json_array_append_new(
		    list, provider_shown(c->config, &c->config->provider[i]));
	return ST_OK;
}

void
provider_add_live(const struct command_gateway *g, json_t *result)
{
	json_object_set_new(result, "targets", g->provider_live(g->arg));
	json_object_set_new(result, "credentials", g->credential_live(g->arg));
}

/* ---- the configuration itself ---- */

enum status
config_show_used(
    struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	enum status st = need_config(c, e);
	json_t *shown;

	(void)args;
	if (st != ST_OK)
		return st;
	shown = config_shown(c->config);
	if (shown == NULL)
		return err_fail(e, ST_NOMEM, "configuration: out of memory");
	row_set_str(result, "path",
	    c->config->path == NULL ? STR_NONE : lz_strz(c->config->path));
	json_object_set_new(result, "config", shown);
	return ST_OK;
}

enum status
config_changes(
    struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	json_t *report = NULL;
	enum status st;

	(void)args;
	if (c->gateway == NULL)
		return err_fail(e, ST_NOT_FOUND,
		    "config diff: no gateway runs to compare with; name two files "
		    "instead");
	st = c->gateway->diff(c->gateway->arg, &report, e);
	if (report != NULL)
		json_object_update(result, report);
	json_decref(report);
	return st;
}
