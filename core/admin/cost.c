/* cost.c - what a usage costs at a model: the same prices and the same sum that a request
 * there would be charged by.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/rows.h"

#include "base/json.h"
#include "trace/cost.h"

enum {
	COST_ARENA = 1 << 20
};

static const int64_t tokens_max = INT64_C(1) << 40;

/* One bucket of a charge's tokens; absent: none. */
static enum status
read_tokens(const json_t *tokens, const char *bucket, int64_t *out, struct err *e)
{
	const json_t *value = json_object_get(tokens, bucket);

	*out = value == NULL            ? 0
	       : json_is_integer(value) ? json_integer_value(value)
					: -1;
	return *out >= 0 && *out <= tokens_max
		   ? ST_OK
		   : err_fail(e, ST_INVALID, "tokens.%s: must be an integer of 0 to %lld",
			 bucket, (long long)tokens_max);
}

static enum status
read_usage(const json_t *tokens, struct record_usage *u, struct err *e)
{
	enum status st = read_tokens(tokens, "input", &u->input, e);

	if (st == ST_OK)
		st = read_tokens(tokens, "cache_read", &u->cache_read, e);
	if (st == ST_OK)
		st = read_tokens(tokens, "cache_write", &u->cache_write, e);
	return st == ST_OK ? read_tokens(tokens, "output", &u->output, e) : st;
}

static void
add_target(const struct config *config, const struct target *t,
    const struct record_usage *u, json_t *list)
{
	int64_t prompt = u->input + u->cache_read + u->cache_write;
	json_t *one = json_object();
	struct price price;

	row_set_str(one, "provider", t->provider->name);
	row_set_str(one, "model", t->model->id);
	row_set_str(one, "upstream_model", t->upstream_model);
	row_set_nano(one, "cost_nano_eur",
	    cost_price(config, t, prompt, &price) ? cost_nano_eur(&price, u) : -1);
	json_array_append_new(list, one);
}

static bool
is_meant(const struct target *t, const json_t *args)
{
	lz_str upstream = json_get_str(args, "upstream_model");

	return str_eq(t->provider->name, json_get_str(args, "provider")) &&
	       str_eq(t->model->id, json_get_str(args, "model")) &&
	       (upstream.ptr == NULL || str_eq(t->upstream_model, upstream));
}

/* Whoever serves the name, or provider/model. */
static enum status
add_named(const struct config *config, lz_str model, const struct record_usage *u,
    json_t *list, struct err *e)
{
	const struct model_name *name = config_name(config, model);
	struct arena *memory;
	const struct target *one;
	struct target made;

	for (size_t i = 0; name != NULL && i < name->count; i++)
		add_target(config, name->target[i], u, list);
	if (name != NULL)
		return ST_OK;
	memory = arena_new(COST_ARENA);
	if (memory == NULL)
		return err_fail(e, ST_NOMEM, "model.cost: out of memory");
	if (config_targets(config, model, &one, 1, &made, memory) > 0)
		add_target(config, one, u, list);
	arena_free(memory);
	return ST_OK;
}

/* An empty list: the configuration has nobody of that name. */
enum status
model_cost(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	json_t *list = json_list_in(result, "targets");
	const struct config *config = c->config;
	struct record_usage u = { .input = 0 };

	if (config == NULL)
		return err_fail(e, ST_NOT_FOUND,
		    "configuration: none is loaded; name it with -c FILE");
	if (read_usage(json_object_get(args, "tokens"), &u, e) != ST_OK)
		return ST_INVALID;
	if (json_get_str(args, "provider").ptr == NULL)
		return add_named(config, json_get_str(args, "model"), &u, list, e);
	for (size_t i = 0; i < config->target_count; i++)
		if (is_meant(&config->target[i], args))
			add_target(config, &config->target[i], &u, list);
	return ST_OK;
}
