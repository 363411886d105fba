/* from_litellm_facts.c - what LiteLLM was told of a model: prices, window, what it can.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/from_litellm.h"
#include "config/presets.h"

extern const char models_json[];
extern const size_t models_json_len;

#define CAPABILITY "is no capability here: nothing is held against the model for it"

static const struct from_member infos[] = {
	{ "mode", NULL },
	{ "base_model", NULL },
	{ "input_cost_per_token", NULL },
	{ "output_cost_per_token", NULL },
	{ "cache_read_input_token_cost", NULL },
	{ "cache_creation_input_token_cost", NULL },
	{ "max_input_tokens", NULL },
	{ "max_output_tokens", NULL },
	{ "access_groups", NULL },
	{ "cache_creation_input_token_cost_above_1hr", NULL },
	LITELLM_TIERS,
	{ "supports_function_calling", NULL },
	{ "supports_vision", NULL },
	{ "supports_response_schema", NULL },
	{ "supports_reasoning", NULL },
	{ "supports_audio_input", NULL },
	{ "supports_pdf_input", NULL },
	{ "supports_native_streaming", NULL },
	{ "supports_parallel_function_calling", CAPABILITY },
	{ "supports_tool_choice", CAPABILITY },
	{ "supports_system_messages", CAPABILITY },
	{ "supports_prompt_caching", CAPABILITY },
	{ "supports_assistant_prefill", CAPABILITY },
	{ "supports_audio_output", CAPABILITY },
	{ "supports_web_search", CAPABILITY },
	{ "supports_computer_use", CAPABILITY },
	{ "supports_url_context", CAPABILITY },
	{ "max_tokens", "means different things there; write context_window and "
			"max_output_tokens to the deployment" },
	{ "id", "is not needed: a deployment is its provider and its model" },
	{ "team_id", "does not bind a model here; use the keys' model_allowlist" },
	{ NULL, NULL },
};

/* ---- what is known already ---- */

/* The catalogue's row; owned. NULL: it knows no such model. vendor NULL: of any. */
static json_t *
catalogued(const char *id, const char *vendor)
{
	json_t *all = json_parse(lz_strn(models_json, models_json_len), NULL);
	json_t *found = NULL;
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(all, "models"), i, row)
	{
		if (found == NULL && str_is(json_get_str(row, "id"), id) &&
		    (vendor == NULL || str_is(json_get_str(row, "vendor"), vendor)))
			found = json_incref(row);
	}
	json_decref(all);
	return found;
}

/* As the gateway will see it: of base_model, else of what its plugin serves by the name.
 */
static json_t *
known_of(const struct litellm_entry *e, const json_t *facts)
{
	lz_str base = json_get_str(facts, "base_model");
	json_t *presets, *known;

	if (base.len > 0)
		return catalogued(base.ptr, NULL);
	if (e->vendor->plugin != NULL)
		return catalogued(e->model, e->vendor->plugin);
	presets = presets_load();
	known = catalogued(
	    e->model, presets_plugin(json_object_get(presets, e->vendor->preset)).ptr);
	json_decref(presets);
	return known;
}

/* ---- facts ---- */

static void
set_price(struct litellm_entry *e, const char *theirs, const char *ours, json_t *facts)
{
	const json_t *holder =
	    json_object_get(e->params, theirs) != NULL ? e->params : e->info;
	double usd;

	if (from_number(e->l->f, holder, theirs,
		holder == e->params ? e->where : e->info_where, 0, &usd))
		(void)json_object_set_new(
		    facts, ours, json_real(round(usd * 1e12) / 1e6));
}

static void
set_count(struct litellm_entry *e, const char *theirs, const char *ours, json_t *facts)
{
	double n;

	if (from_number(e->l->f, e->info, theirs, e->info_where, 1, &n))
		(void)json_object_set_new(facts, ours, json_integer((json_int_t)n));
}

static void
set_base(struct litellm_entry *e, json_t *facts)
{
	const char *base = from_text(e->l->f, e->info, "base_model", e->info_where);
	const char *slash;
	json_t *known;

	if (base == NULL)
		return;
	slash = strrchr(base, '/');
	base = slash != NULL ? slash + 1 : base;
	known = catalogued(base, NULL);
	if (known != NULL)
		(void)json_object_set_new(facts, "base_model", json_string(base));
	else
		from_say(e->l->f, FROM_NO_TWIN, e->info, "base_model", e->info_where,
		    "the catalogue does not know \"%s\"; write prices to the deployment",
		    base);
	json_decref(known);
}

/* false: it is a mode that is not served, which was said. */
static bool
set_mode(struct litellm_entry *e, json_t *facts)
{
	const char *mode = from_text(e->l->f, e->info, "mode", e->info_where);

	if (mode == NULL || strcmp(mode, "chat") == 0)
		return true;
	if (strcmp(mode, "embedding") == 0) {
		(void)json_object_set_new(facts, "mode", json_string("embedding"));
		return true;
	}
	from_say(e->l->f, FROM_NO_TWIN, e->info, "mode", e->info_where,
	    "\"%s\" is left out: /v1/chat/completions and /v1/embeddings are served; "
	    "call its vendor for it",
	    mode);
	return false;
}

/* ---- prices of long prompts ---- */

static const struct {
	const char *theirs, *ours;
} prices[] = {
	{ "input_cost_per_token", "price_input_per_mtok" },
	{ "output_cost_per_token", "price_output_per_mtok" },
	{ "cache_read_input_token_cost", "price_cached_input_per_mtok" },
	{ "cache_creation_input_token_cost", "price_cache_write_per_mtok" },
};

static void
set_tiers(struct litellm_entry *e, json_t *facts)
{
	static const int thousands[] = { LITELLM_TIER_1, LITELLM_TIER_2, LITELLM_TIER_3 };
	json_t *tiers = json_array();

	for (size_t i = 0; i < sizeof(thousands) / sizeof(thousands[0]); i++) {
		json_t *tier = json_object();
		char name[FROM_NAME];

		for (size_t k = 0; k < sizeof(prices) / sizeof(prices[0]); k++) {
			(void)snprintf(name, sizeof(name), "%s_above_%dk_tokens",
			    prices[k].theirs, thousands[i]);
			set_price(e, name, prices[k].ours, tier);
		}
		if (json_object_size(tier) > 0) {
			(void)json_object_set_new(
			    tier, "above", json_integer(thousands[i] * 1000));
			(void)json_array_append(tiers, tier);
		}
		json_decref(tier);
	}
	if (json_array_size(tiers) > 0)
		(void)json_object_set(facts, "price_tiers", tiers);
	json_decref(tiers);
}

/* ---- capabilities ---- */

static const struct {
	const char *flag, *capability;
} flags[] = {
	{ "supports_native_streaming", "streaming" },
	{ "supports_function_calling", "tools" },
	{ "supports_vision", "vision" },
	{ "supports_response_schema", "schema" },
	{ "supports_reasoning", "reasoning" },
	{ "supports_audio_input", "audio" },
	{ "supports_pdf_input", "files" },
};

/* Where it stands in the list; its length: nowhere. */
static size_t
place_of(const json_t *list, const char *capability)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (strcmp(json_string_value(one), capability) == 0)
			break;
	}
	return i;
}

/* Of a model that nobody described nothing is held against it: only what it cannot is
 * news. */
static json_t *
can_already(const struct litellm_entry *e, const json_t *facts)
{
	json_t *known = known_of(e, facts);
	json_t *list = json_deep_copy(json_object_get(known, "capabilities"));

	json_decref(known);
	if (list != NULL)
		return list;
	list = json_array();
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		(void)json_array_append_new(list, json_string(flags[i].capability));
	return list;
}

static void
set_capabilities(struct litellm_entry *e, json_t *facts)
{
	json_t *list = can_already(e, facts);
	bool is_news = false;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		const json_t *flag = json_object_get(e->info, flags[i].flag);
		size_t at = place_of(list, flags[i].capability);
		bool has = at < json_array_size(list);

		if (flag == NULL || json_is_null(flag))
			continue;
		if (!json_is_boolean(flag))
			from_say(e->l->f, FROM_ERROR, e->info, flags[i].flag,
			    e->info_where, "is neither true nor false");
		else if (json_is_true(flag) && !has)
			(void)json_array_append_new(
			    list, json_string(flags[i].capability));
		else if (json_is_false(flag) && has)
			(void)json_array_remove(list, at);
		else
			continue;
		is_news = true;
	}
	if (is_news)
		(void)json_object_set(facts, "capabilities", list);
	json_decref(list);
}

/* ---- all of them ---- */

json_t *
litellm_facts(struct litellm_entry *e)
{
	json_t *facts = json_object();

	if (!set_mode(e, facts)) {
		json_decref(facts);
		return NULL;
	}
	set_base(e, facts);
	for (size_t i = 0; i < sizeof(prices) / sizeof(prices[0]); i++)
		set_price(e, prices[i].theirs, prices[i].ours, facts);
	set_price(e, "cache_creation_input_token_cost_above_1hr",
	    "price_cache_write_1h_per_mtok", facts);
	set_tiers(e, facts);
	set_count(e, "max_input_tokens", "context_window", facts);
	set_count(e, "max_output_tokens", "max_output_tokens", facts);
	set_capabilities(e, facts);
	return facts;
}

void
litellm_tell_facts(struct litellm_entry *e)
{
	from_members(e->l->f, e->info, e->info_where, infos);
}
