/* test_models.c - what a model's name may mean, and the catalogue that the program
 * carries.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config_fixture.h"

static const struct target *found[8];
static struct target made;

static size_t
look_up(const struct config *c, const char *name, struct arena *memory)
{
	memset(found, 0, sizeof(found));
	return config_targets(c, lz_strz(name), found, 8, &made, memory);
}

static void
a_catalogue_name_is_served_by_every_provider_of_its_vendor_in_file_order(void **state)
{
	struct config *c =
	    load_fine("providers:\n  b: {plugin: openai, api_keys: [env:LZ_KEY]}\n"
		      "  a: {plugin: openai, api_keys: [env:LZ_KEY]}\n  echo: {}\n");

	(void)state;
	assert_int_equal(look_up(c, "gpt-4o", NULL), 2);
	assert_true(str_is(found[0]->provider->name, "b"));
	assert_true(str_is(found[1]->provider->name, "a"));
	assert_true(str_is(found[0]->model->id, "gpt-4o"));
	assert_true(str_is(found[0]->upstream_model, "gpt-4o"));
	assert_int_equal(config_targets(c, STR_LIT("gpt-4o"), found, 1, &made, NULL), 1);
	assert_int_equal(config_targets(c, STR_LIT("gpt-4o"), found, 0, &made, NULL), 0);
	assert_int_equal(look_up(c, "echo-1", NULL), 1);
	assert_int_equal(
	    look_up(c, "claude-3-5-sonnet", NULL), 0); /* known, but nobody serves it */
	assert_int_equal(look_up(c, "gpt-5o", NULL), 0);
	assert_int_equal(look_up(c, "", NULL), 0);
	drop(c);
}

static void
facts_come_from_the_catalogue(void **state)
{
	struct config *c =
	    load_fine("providers: {openai: {api_keys: [env:LZ_KEY]}, echo: {}}");
	const struct model_facts *m;

	(void)state;
	assert_int_equal(look_up(c, "gpt-4o", NULL), 1);
	m = found[0]->model;
	assert_int_equal(m->context_window, 128000);
	assert_int_equal(m->max_output_tokens, 16384);
	assert_int_equal(m->price_input, 2500000);
	assert_int_equal(m->price_output, 10000000);
	assert_int_equal(m->price_cache_read, 1250000);
	assert_int_equal(m->price_cache_write, -1);
	assert_true(str_is(m->price_date, "2026-09-23"));
	assert_true(m->knows_capabilities);
	assert_int_equal(m->capabilities,
	    LZ_CAN_STREAM | LZ_CAN_TOOLS | LZ_CAN_VISION | LZ_CAN_SCHEMA | LZ_CAN_FILES);
	assert_true(m->quality > 0.1 && m->quality < 0.2);
	assert_false(m->is_embedding);
	assert_int_equal(look_up(c, "gpt-6-sol", NULL), 1);
	assert_false(found[0]->model->knows_capabilities);
	assert_true(found[0]->model->quality < 0);
	assert_int_equal(look_up(c, "text-embedding-3-small", NULL), 1);
	assert_true(found[0]->model->is_embedding);
	assert_int_equal(found[0]->model->price_output, 0);
	assert_int_equal(look_up(c, "echo-1", NULL), 1);
	assert_int_equal(found[0]->model->price_input, 150000);
	assert_int_equal(found[0]->model->context_window, 8192);
	drop(c);
}

/* The data itself: what a hand that edits it may get wrong. */
static void
every_row_of_the_catalogue_makes_sense(void **state)
{
	static const char *const wanted[] = { "openai", "anthropic", "google", "mistral",
		"echo" };
	extern const char models_json[];
	extern const size_t models_json_len;
	struct err e = { "" };
	json_t *j = json_parse(lz_strn(models_json, models_json_len), &e),
	       *models = json_object_get(j, "models");
	const json_t *vendors = json_object_get(j, "vendors");
	size_t i, sources = json_array_size(json_object_get(j, "sources")), unpriced = 0;
	json_t *m;

	(void)state;
	if (j == NULL)
		fail_msg("%s", e.text);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		assert_non_null(json_object_get(vendors, wanted[i]));
	assert_in_range(json_array_size(models), 60, 200);
	json_array_foreach(models, i, m)
	{
		const char *id = json_string_value(json_object_get(m, "id"));
		int64_t context = json_get_int(m, "context_window", -1);
		const json_t *source = json_object_get(m, "source");

		assert_non_null(id);
		if (json_object_get(
			vendors, json_string_value(json_object_get(m, "vendor"))) == NULL)
			fail_msg("%s: no such vendor", id);
		if (context >= 0 && context < json_get_int(m, "max_output_tokens", 0))
			fail_msg(
			    "%s: context_window and max_output_tokens are swapped", id);
		if (json_array_size(source) == 0 ||
		    (json_object_get(m, "price_input_per_mtok") != NULL) !=
			(json_object_get(m, "price_date") != NULL))
			fail_msg("%s: has no source, or a price without a date", id);
		unpriced += json_object_get(m, "price_input_per_mtok") == NULL;
		/* Zero is what a source writes that does not know. */
		if (json_object_get(m, "price_input_per_mtok") != NULL &&
		    json_number_value(json_object_get(m, "price_input_per_mtok")) == 0)
			fail_msg("%s: costs nothing", id);
		for (size_t k = 0; k < json_array_size(source); k++)
			assert_true((size_t)json_integer_value(
					json_array_get(source, k)) < sources);
		for (size_t k = 0; k < i; k++) {
			const json_t *other = json_array_get(models, k);

			if (str_is(json_get_str(other, "id"), id) &&
			    str_eq(
				json_get_str(other, "vendor"), json_get_str(m, "vendor")))
				fail_msg("%s: is there twice", id);
		}
	}
	assert_in_range(unpriced, 0, 3); /* who has none is known to have none */
	assert_in_range(json_get_int(j, "quality_source", -1), 0, (uintmax_t)sources - 1);
	json_decref(j);
}

/* What the program makes of it: every vendor's models through a provider of theirs. */
static void
what_is_known_only_of_a_dated_id_is_asked_for_without_the_date(void **state)
{
	static const struct {
		const char *asked, *upstream;
	} cases[] = {
		{ "claude-3-5-sonnet", "claude-3-5-sonnet-20241022" },
		{ "claude-3-5-sonnet-20240620", "claude-3-5-sonnet-20240620" },
		{ "claude-3-7-sonnet-latest", "claude-3-7-sonnet-20250219" },
		{ "claude-opus-4", "claude-opus-4-20250514" },
		{ "claude-haiku-4-5", "claude-haiku-4-5" },
	};
	struct config *c = load_fine(
	    "providers: {anthropic: {plugin: anthropic, api_keys: [env:LZ_KEY]}}");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(look_up(c, cases[i].asked, NULL), 1);
		/* It is what allowlists and traces call it, too. */
		assert_true(str_is(found[0]->model->id, cases[i].asked));
		assert_true(str_is(found[0]->upstream_model, cases[i].upstream));
		assert_true(found[0]->model->price_input > 0);
	}
	drop(c);
}

static bool
is_dated(const char *id, char *bare)
{
	size_t n = strlen(id);
	const char *form = n > 11 && id[n - 3] == '-' ? "-dddd-dd-dd" : "-dddddddd";
	size_t len = strlen(form);

	for (size_t i = 0; n > len && i < len; i++) {
		char ch = id[n - len + i];

		if (form[i] == 'd' ? ch < '0' || ch > '9' : ch != '-')
			return false;
	}
	(void)snprintf(bare, 100, "%.*s", (int)(n - len), id);
	return n > len;
}

static void
every_dated_id_of_the_catalogue_has_a_name_without_its_date(void **state)
{
	struct config *c = load_fine("providers:\n  openai: {api_keys: [env:LZ_KEY]}\n"
				     "  anthropic: {api_keys: [env:LZ_KEY]}\n");
	unsigned dated = 0;

	(void)state;
	for (size_t i = 0; i < c->target_count; i++) {
		char bare[100];

		if (!is_dated(c->target[i].model->id.ptr, bare))
			continue;
		dated++;
		if (look_up(c, bare, NULL) != 1)
			fail_msg(
			    "%s: nobody answers to %s", c->target[i].model->id.ptr, bare);
	}
	assert_in_range(dated, 35, 100);
	drop(c);
}

static void
tiers_come_from_the_catalogue_and_from_the_file(void **state)
{
	struct config *c = load_fine(
	    "providers:\n  openai: {api_keys: [env:LZ_KEY]}\n"
	    "  own: {plugin: openai, api_keys: [env:LZ_KEY], models: [gpt-5.5,"
	    " {id: gpt-5.4, price_tiers: []}, {id: x, price_input_per_mtok: 1,"
	    " price_output_per_mtok: 4, price_cached_input_per_mtok: 0.5, price_tiers:"
	    " [{above: 10, price_input_per_mtok: 2}, {above: 20, price_output_per_mtok:"
	    " 9.5}]}]}\n");
	const struct price_tier *t;

	(void)state;
	assert_int_equal(look_up(c, "gpt-5.5", NULL), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(found[i]->model->context_window, 1050000);
		assert_int_equal(found[i]->model->tier_count, 1);
		t = &found[i]->model->tier[0];
		assert_int_equal(t->above, 271999);
		assert_int_equal(t->input, 10000000);
		assert_int_equal(t->output, 45000000);
		assert_int_equal(t->cache_read, 1000000);
		assert_int_equal(t->cache_write, -1);
	}
	assert_int_equal(look_up(c, "own/gpt-5.4", NULL), 1);
	assert_int_equal(found[0]->model->tier_count, 0);
	assert_int_equal(look_up(c, "x", NULL), 1);
	assert_int_equal(found[0]->model->tier_count, 2);
	t = found[0]->model->tier;
	/* What a tier does not say is the model's own. */
	assert_int_equal(t[0].input, 2000000);
	assert_int_equal(t[0].output, 4000000);
	assert_int_equal(t[0].cache_read, 500000);
	assert_int_equal(t[1].input, 1000000);
	assert_int_equal(t[1].output, 9500000);
	drop(c);
}

static void
facts_say_where_they_are_from_until_somebody_changes_them(void **state)
{
	struct config *c =
	    load_fine("providers: {openai: {api_keys: [env:LZ_KEY], models: [gpt-4o,"
		      " {id: gpt-4.1, price_input_per_mtok: 1, quality: 0.4}]}}");

	(void)state;
	assert_int_equal(look_up(c, "gpt-4o", NULL), 1);
	assert_true(str_starts(found[0]->model->quality_source, "artificialanalysis"));
	assert_true(str_starts(found[0]->model->price_source, "pydantic/genai-prices"));
	assert_int_equal(look_up(c, "gpt-4.1", NULL), 1);
	assert_null(found[0]->model->quality_source.ptr);
	assert_null(found[0]->model->price_source.ptr);
	assert_null(found[0]->model->price_date.ptr);
	drop(c);
}

static void
a_base_model_lends_its_facts_and_not_its_name(void **state)
{
	struct config *c = load_fine(
	    "providers: {local: {plugin: compatible, base_url: 'http://a', models:"
	    " [{id: sonnet, base_model: claude-3-5-sonnet, quality: 0.5},"
	    " {id: four, base_model: openai/gpt-4o, aliases: [vier]}]}}");

	(void)state;
	assert_int_equal(look_up(c, "sonnet", NULL), 1);
	assert_int_equal(found[0]->model->price_input, 3000000);
	assert_true(found[0]->model->quality == 0.5);
	assert_true(str_is(found[0]->upstream_model, "sonnet"));
	assert_int_equal(look_up(c, "vier", NULL), 1);
	assert_true(str_is(found[0]->model->id, "vier"));
	assert_true(str_is(found[0]->upstream_model, "four"));
	assert_int_equal(found[0]->model->price_input, 2500000);
	drop(c);
}

/* ---- names of `models:` ---- */

static const char azure[] =
    "providers:\n"
    "  azure: {plugin: openai, api_keys: [env:LZ_KEY], base_url: 'http://az',\n"
    "    models: [{id: listed, upstream_model: up, price_input_per_mtok: 7}]}\n"
    "  openai: {api_keys: [env:LZ_KEY]}\n"
    "models:\n"
    "  gpt-4o: { to: [ { provider: azure, model: prod-4o, weight: 3 },"
    " { provider: openai, model: gpt-4o } ] }\n"
    "  other/name: { to: [ { provider: azure, model: listed, quality: 0.9 },"
    " { provider: azure, model: x, weight: 0, base_model: gpt-4.1-mini,"
    " price_output_per_mtok: 9 } ] }\n";

static void
a_public_name_stands_for_its_deployments(void **state)
{
	struct config *c = load_fine(azure);

	(void)state;
	assert_int_equal(look_up(c, "gpt-4o", NULL), 2);
	assert_true(str_is(found[0]->provider->name, "azure"));
	assert_true(str_is(found[0]->upstream_model, "prod-4o"));
	assert_true(str_is(found[0]->model->id, "gpt-4o"));
	assert_true(found[0]->is_deployment && found[0]->weight == 3);
	/* Nobody knows prod-4o: it is what its public name says. */
	assert_int_equal(found[0]->model->price_input, 2500000);
	assert_true(str_is(found[1]->provider->name, "openai"));
	assert_true(found[1]->weight == 1);

	assert_int_equal(look_up(c, "other/name", NULL), 2);
	assert_true(str_is(found[0]->upstream_model, "up"));
	assert_int_equal(found[0]->model->price_input, 7000000);
	assert_true(found[0]->model->quality == 0.9);
	assert_int_equal(found[1]->model->price_input, 400000);
	assert_int_equal(found[1]->model->price_output, 9000000);
	assert_true(found[1]->weight == 0);
	drop(c);
}

static void
a_public_name_takes_the_place_of_the_catalogues(void **state)
{
	struct arena *memory = arena_new(65536);
	struct config *c = load_fine(azure);
	unsigned openai = 0;

	(void)state;
	/* The provider's own is still reached through the provider. */
	assert_int_equal(look_up(c, "openai/gpt-4o", NULL), 1);
	assert_false(found[0]->is_deployment);
	assert_true(found[0]->is_shadowed && !found[0]->is_any);
	/* No strategy goes around the name. */
	for (size_t i = 0; i < c->any_count; i++)
		openai += str_is(c->any[i]->model->id, "gpt-4o");
	assert_int_equal(openai, 2);
	/* What is known of a deployment is known of it under its provider's name. */
	assert_int_equal(look_up(c, "azure/prod-4o", memory), 1);
	assert_ptr_equal(found[0], &made);
	assert_true(str_is(made.model->id, "azure/prod-4o"));
	assert_int_equal(made.model->price_input, 2500000);
	assert_true(str_is(c->name[0].id, "gpt-4o"));
	assert_true(str_is(c->name[1].id, "other/name"));
	for (size_t i = 2; i < c->name_count; i++)
		assert_false(str_is(c->name[i].id, "gpt-4o"));
	drop(c);
	arena_free(memory);
}

static void
a_name_whose_providers_were_left_out_means_nothing_else(void **state)
{
	struct config *c =
	    load_fine("providers:\n  openai: {api_keys: [env:LZ_KEY]}\n"
		      "  eu: {plugin: openai, api_keys: [env:LZ_UNSET], optional: true}\n"
		      "models: {gpt-4o: {to: [{provider: eu, model: gpt-4o}]}}\n");

	(void)state;
	expect_warning(c, "models.gpt-4o: is left out with its provider eu");
	expect_warning(c, "models.gpt-4o: no deployment of it is left");
	assert_int_equal(look_up(c, "gpt-4o", NULL), 0);
	assert_int_equal(look_up(c, "openai/gpt-4o", NULL), 1);
	drop(c);
}

static void
a_strategy_may_choose_every_model_once(void **state)
{
	struct config *c = load_fine(
	    "providers:\n  anthropic: {api_keys: [env:LZ_KEY]}\n"
	    "  openai: {api_keys: [env:LZ_KEY], models: [o1, gpt-3.5-turbo-16k,"
	    " gpt-4o, gpt-4o-2024-05-13, gpt-4o-2024-08-06, text-embedding-3-small]}\n"
	    "models: {smart: {to: [{provider: openai, model: o1}]}}\n");

	(void)state;
	for (size_t i = 0; i < c->any_count; i++) {
		const struct target *t = c->any[i];

		assert_false(t->model->is_embedding);
		if (str_starts(t->provider->name, "anthropic"))
			assert_false(t->model->is_deprecated);
		if (t->twin != NULL)
			assert_null(t->twin->twin);
	}
	assert_int_equal(look_up(c, "smart", NULL), 1);
	assert_true(str_is(found[0]->twin->model->id, "o1"));
	assert_int_equal(look_up(c, "gpt-4o-2024-08-06", NULL), 1);
	assert_true(str_is(found[0]->twin->model->id, "gpt-4o"));
	assert_int_equal(look_up(c, "gpt-4o-2024-05-13", NULL), 1);
	assert_null(found[0]->twin); /* it has its own price */
	drop(c);
}

/* ---- an installation's own catalogue ---- */

static struct config *
load_catalogue(const char *text, bool may_fail)
{
	static char folder[] = "/tmp/lz-catalogue-XXXXXX";
	static bool is_made;
	char path[80];
	struct config *c;
	FILE *f;

	if (!is_made)
		assert_non_null(mkdtemp(folder));
	is_made = true;
	(void)snprintf(path, sizeof(path), "%s/own.yaml", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
	(void)snprintf(path, sizeof(path), "%s/latenza.yaml", folder);
	c = load_with((struct config_options){ .path = path },
	    "catalogue: own.yaml\nproviders:\n  openai: {api_keys: [env:LZ_KEY]}\n"
	    "  anthropic: {api_keys: [env:LZ_KEY]}\n");
	if (c == NULL && !may_fail)
		fail_msg("%s", told.ptr);
	(void)snprintf(path, sizeof(path), "%s/own.yaml", folder);
	(void)unlink(path);
	return c;
}

static void
an_installations_catalogue_goes_before_the_one_that_is_carried(void **state)
{
	struct config *c = load_catalogue(
	    "models:\n"
	    "  - { vendor: openai, id: gpt-4o, price_input_per_mtok: 1.25,"
	    " price_date: 2026-11-01, price_source: our contract }\n"
	    "  - { vendor: openai, id: gpt-7-2027-01-02, aliases: [gpt-7],"
	    " context_window: 500, price: free }\n"
	    "  - { vendor: anthropic, id: claude-3-5-sonnet, quality: 0.25 }\n"
	    "  - { vendor: anthropic, id: claude-opus-4-20250514, quality: 0.75 }\n",
	    false);

	(void)state;
	assert_int_equal(look_up(c, "gpt-4o", NULL), 1);
	assert_int_equal(found[0]->model->price_input, 1250000);
	assert_int_equal(found[0]->model->price_output, 10000000);
	assert_true(str_is(found[0]->model->price_date, "2026-11-01"));
	assert_true(str_is(found[0]->model->price_source, "our contract"));
	assert_int_equal(look_up(c, "gpt-7", NULL), 1);
	assert_int_equal(found[0]->model->price_input, 0);
	assert_true(str_is(found[0]->upstream_model, "gpt-7-2027-01-02"));
	/* An alias becomes a model of its own, still served by what it stood for. */
	assert_int_equal(look_up(c, "claude-3-5-sonnet", NULL), 1);
	assert_true(found[0]->model->quality == 0.25);
	assert_true(str_is(found[0]->upstream_model, "claude-3-5-sonnet-20241022"));
	/* A model that changed keeps its aliases, which change with it. */
	assert_int_equal(look_up(c, "claude-opus-4", NULL), 1);
	assert_true(found[0]->model->quality == 0.75);
	drop(c);
}

static void
nonsense_in_a_catalogue_is_named_with_its_file_and_line(void **state)
{
	static const struct {
		const char *text, *sentence;
	} cases[] = {
		{ "5", "own.yaml" },
		{ "- gpt-4o", "own.yaml:1: is not a list of models; write models:" },
		{ "models: {}", "own.yaml:1: models: is not a list of models" },
		{ "model: []", "own.yaml:1: model: is not known" },
		{ "models:\n- gpt-4o",
		    "models.vendor: is missing or no name; write the plugin" },
		{ "models:\n- {id: x}", "own.yaml:2: models.vendor: is missing" },
		{ "models:\n- {vendor: OPEN AI, id: x}",
		    "models.vendor: is missing or no" },
		{ "models:\n- {vendor: openai}", "own.yaml:2: models.id: is missing" },
		{ "models:\n- {vendor: openai, id: x,\n   price_input: 1}",
		    "own.yaml:3: models.price_input: is not known" },
		{ "models:\n- {vendor: openai, id: x,\n   price_input_per_mtok: -1}",
		    "own.yaml:3: models.price_input_per_mtok: -1 is out of range" },
		{ "models:\n- {vendor: openai, id: x, price_date: soon}",
		    "models.price_date: \"soon\" is not" },
		{ "models:\n- {vendor: openai, id: x, source: [1]}",
		    "models.source: is not known" },
		{ "models: [", "own.yaml" },
		{ "models: []\nmodels: []", "own.yaml:2" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config *c = load_catalogue(cases[i].text, true);

		if (c != NULL)
			fail_msg("accepted: %s", cases[i].text);
		if (strstr(told.ptr, cases[i].sentence) == NULL)
			fail_msg(
			    "\"%s\" is not said; told: %s", cases[i].sentence, told.ptr);
	}
	expect_refusal("catalogue: /nowhere/own.yaml",
	    "latenza.yaml:1: catalogue: /nowhere/own.yaml: cannot be opened");
	expect_refusal("catalogue: [1]", "catalogue: a list is not a text");
}

static void
a_vendor_that_no_plugin_serves_is_warned_of(void **state)
{
	struct config *c = load_catalogue("models:\n"
					  "- {vendor: opnai, id: a, price: free}\n"
					  "- {vendor: google, id: b, price: free}\n"
					  "- {vendor: compatible, id: c, price: free}\n",
	    false);

	(void)state;
	expect_warning(c, "own.yaml:2: models.vendor: no provider's plugin is called "
			  "\"opnai\"; did you mean \"openai\"?");
	for (size_t i = 0; i < c->warning_count; i++)
		assert_null(strstr(c->warning[i], "own.yaml:3"));
	drop(c);
}

static void
prices_of_six_decimals_are_exact_in_pico_usd(void **state)
{
	struct config *c = load_fine(
	    "providers: {echo: {models: [{id: m, price_input_per_mtok: 0.000001, "
	    "price_output_per_mtok: 99999.999999, price_cached_input_per_mtok: 0.075, "
	    "price_cache_write_per_mtok: 0}]}}");

	(void)state;
	assert_int_equal(look_up(c, "m", NULL), 1);
	assert_int_equal(found[0]->model->price_input, 1);
	assert_int_equal(found[0]->model->price_output, 99999999999);
	assert_int_equal(found[0]->model->price_cache_read, 75000);
	assert_int_equal(found[0]->model->price_cache_write, 0);
	drop(c);
}

static void
a_providers_own_list_replaces_the_catalogues_and_knows_its_facts(void **state)
{
	struct config *c = load_fine(
	    "providers:\n  openai:\n    api_keys: [env:LZ_KEY]\n    models:\n    - "
	    "gpt-4o\n"
	    "    - {id: gpt-4.1, price_input_per_mtok: 1, upstream_model: my-41}\n"
	    "    - {id: ft, context_window: 100, capabilities: [tools], quality: 0.5, "
	    "price: free}\n");

	(void)state;
	assert_int_equal(c->target_count, 3);
	assert_int_equal(c->name_count, 3);
	assert_int_equal(look_up(c, "gpt-4o", NULL), 1);
	assert_int_equal(found[0]->model->context_window, 128000);
	assert_int_equal(look_up(c, "gpt-4.1", NULL), 1);
	assert_int_equal(found[0]->model->price_input, 1000000);
	assert_int_equal(found[0]->model->price_output, 8000000);
	assert_true(str_is(found[0]->upstream_model, "my-41"));
	assert_true(found[0]->model->knows_capabilities);
	assert_int_equal(look_up(c, "ft", NULL), 1);
	assert_int_equal(found[0]->model->capabilities, LZ_CAN_TOOLS);
	assert_int_equal(found[0]->model->price_output, 0);
	assert_true(found[0]->model->quality == 0.5);
	assert_int_equal(look_up(c, "gpt-4o-mini", NULL), 0);
	drop(c);
}

static void
a_preset_brings_the_models_of_the_plugin_that_it_names(void **state)
{
	struct config *c = load_fine("providers: {mine: {preset: openai, api_keys: "
				     "[env:LZ_KEY]}, other: {preset: openai, api_keys: "
				     "[env:LZ_KEY], models: [gpt-4o, '*']}}");

	(void)state;
	assert_int_equal(look_up(c, "gpt-4o", NULL), 2);
	assert_int_equal(look_up(c, "mine/gpt-4o-mini", NULL), 1);
	drop(c);
}

static void
a_star_in_the_list_adds_the_catalogues(void **state)
{
	struct config *c = load_fine(
	    "providers: {echo: {models: [{id: echo-1, context_window: 9}, '*', mine]}}");

	(void)state;
	assert_int_equal(look_up(c, "echo-large", NULL), 1);
	assert_int_equal(look_up(c, "mine", NULL), 1);
	assert_int_equal(look_up(c, "echo-1", NULL), 1);
	assert_int_equal(found[0]->model->context_window, 9);
	drop(c);
}

static void
a_free_provider_costs_nothing_whatever_the_catalogue_says(void **state)
{
	struct arena *memory = arena_new(65536);
	struct config *c = load_fine("providers: {openai: {api_keys: [], base_url: "
				     "'http://a/v1', price: free}, x: {plugin: "
				     "openai, api_keys: [env:LZ_KEY]}}");

	(void)state;
	assert_int_equal(look_up(c, "gpt-4o", memory), 2);
	assert_int_equal(found[0]->model->price_input, 0);
	assert_int_equal(found[0]->model->price_cache_read, 0);
	assert_int_equal(found[1]->model->price_input, 2500000);
	assert_int_equal(look_up(c, "openai/nobody-knows", memory), 1);
	assert_int_equal(found[0]->model->price_input, 0);
	drop(c);
	arena_free(memory);
}

static void
a_plugin_serves_the_routes_that_it_names(void **state)
{
	static const struct {
		const char *routes, *asked;
		bool does;
	} cases[] = {
		{ NULL, "chat", true },
		{ NULL, "embeddings", false },
		{ "chat embeddings", "chat", true },
		{ "chat embeddings", "embeddings", true },
		{ " embeddings  models ", "models", true },
		{ "chat embeddings", "embed", false },
		{ "embeddings", "chat", false },
		{ "", "chat", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct part_info info = { .routes = cases[i].routes };
		struct provider p = { .info = &info };

		assert_int_equal(
		    config_serves(&p, lz_strz(cases[i].asked)), cases[i].does);
	}
}

static void
provider_slash_model_reaches_what_nobody_listed(void **state)
{
	struct arena *memory = arena_new(65536);
	struct config *c =
	    load_fine("providers:\n  local: {plugin: compatible, base_url: 'http://a', "
		      "models: [known]}\n"
		      "  openai: {api_keys: [env:LZ_KEY], models: [gpt-4o]}\n");

	(void)state;
	assert_int_equal(look_up(c, "local/known", memory), 1);
	assert_ptr_not_equal(found[0], &made);
	assert_true(str_is(found[0]->model->id, "known"));

	assert_int_equal(look_up(c, "local/Qwen/Qwen2.5", memory), 1);
	assert_ptr_equal(found[0], &made);
	assert_true(str_is(made.upstream_model, "Qwen/Qwen2.5"));
	assert_true(str_is(made.model->id, "local/Qwen/Qwen2.5"));
	assert_true(str_is(made.provider->name, "local"));
	assert_true(made.model->is_any_mode);
	assert_int_equal(made.model->context_window, -1);
	assert_int_equal(made.model->price_input, -1);
	assert_false(made.model->knows_capabilities);

	/* Not listed, but the catalogue knows it. */
	assert_int_equal(look_up(c, "openai/gpt-4.1", memory), 1);
	assert_true(str_is(made.model->id, "gpt-4.1"));
	assert_int_equal(made.model->price_input, 2000000);

	assert_int_equal(look_up(c, "nobody/known", memory), 0);
	assert_int_equal(look_up(c, "local/", memory), 0);
	assert_int_equal(look_up(c, "/known", memory), 0);
	assert_int_equal(look_up(c, "/", memory), 0);
	assert_int_equal(look_up(c, "latenza/balanced", memory), 0);
	drop(c);
	arena_free(memory);
}

static void
a_listed_name_may_hold_a_slash(void **state)
{
	struct config *c = load_fine("providers: {local: {plugin: compatible, base_url: "
				     "'http://a', models: [Qwen/Qwen2.5-7B]}}");

	(void)state;
	assert_int_equal(look_up(c, "Qwen/Qwen2.5-7B", NULL), 1);
	assert_true(str_is(found[0]->upstream_model, "Qwen/Qwen2.5-7B"));
	drop(c);
}

static int
count_allocation(size_t n, void *arg)
{
	(void)n;
	(*(unsigned *)arg)++;
	return 0;
}

static void
a_known_name_is_looked_up_without_an_allocation(void **state)
{
	struct config *c =
	    load_fine("providers: {openai: {api_keys: [env:LZ_KEY]}, echo: {}}");
	unsigned allocations = 0;

	(void)state;
	mem_set_fault(count_allocation, &allocations);
	for (size_t i = 0; i < c->target_count; i++)
		assert_int_equal(
		    config_targets(c, c->target[i].model->id, found, 8, &made, NULL), 1);
	(void)look_up(c, "nobody", NULL);
	mem_set_fault(NULL, NULL);
	assert_int_equal(allocations, 0);
	drop(c);
}

static void
thousands_of_models_are_all_found(void **state)
{
	struct buf text;
	struct config *c;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_add_z(&text, "providers:\n");
	for (int p = 0; p < 3; p++) {
		buf_addf(&text,
		    "  p%d:\n    plugin: compatible\n    base_url: http://a\n    "
		    "models:\n",
		    p);
		for (int i = 0; i < 5000; i++)
			buf_addf(&text, "    - m%d\n", i * (p + 1));
	}
	buf_add_char(&text, '\0');
	c = load_fine(text.ptr);
	assert_int_equal(c->target_count, 15000);
	for (int i = 0; i < 5000; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "m%d", i);
		assert_int_equal(look_up(c, name, NULL), 1 + (i % 2 == 0) + (i % 3 == 0));
	}
	drop(c);
	buf_free(&text);
}

static void
near_names_are_the_nearest_first(void **state)
{
	struct config *c = load_fine("providers: {openai: {api_keys: [env:LZ_KEY]}, x: "
				     "{plugin: openai, api_keys: [env:LZ_KEY]}}");
	lz_str near[3];

	(void)state;
	assert_int_equal(config_near_models(c, STR_LIT("gpt4o"), near, 3), 3);
	assert_true(str_is(near[0], "gpt-4o"));
	assert_false(str_eq(near[0], near[1])); /* one name once, whoever serves it */
	assert_int_equal(config_near_models(c, STR_LIT("gpt4o-mini"), near, 1), 1);
	assert_true(str_is(near[0], "gpt-4o-mini"));
	assert_int_equal(config_near_models(c, STR_LIT("zzzzzzzzzzzzzzzz"), near, 3), 0);
	assert_int_equal(config_near_models(c, STR_LIT(""), near, 3), 0);
	drop(c);
}

static void
routers_are_known_by_name(void **state)
{
	struct config *c = load_fine("");

	(void)state;
	assert_string_equal(config_router(c, STR_LIT("balanced"))->name, "balanced");
	assert_null(config_router(c, STR_LIT("quality")));
	drop(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_catalogue_name_is_served_by_every_provider_of_its_vendor_in_file_order),
		cmocka_unit_test(facts_come_from_the_catalogue),
		cmocka_unit_test(every_row_of_the_catalogue_makes_sense),
		cmocka_unit_test(
		    what_is_known_only_of_a_dated_id_is_asked_for_without_the_date),
		cmocka_unit_test(
		    every_dated_id_of_the_catalogue_has_a_name_without_its_date),
		cmocka_unit_test(tiers_come_from_the_catalogue_and_from_the_file),
		cmocka_unit_test(
		    facts_say_where_they_are_from_until_somebody_changes_them),
		cmocka_unit_test(a_base_model_lends_its_facts_and_not_its_name),
		cmocka_unit_test(a_public_name_stands_for_its_deployments),
		cmocka_unit_test(a_public_name_takes_the_place_of_the_catalogues),
		cmocka_unit_test(a_name_whose_providers_were_left_out_means_nothing_else),
		cmocka_unit_test(a_strategy_may_choose_every_model_once),
		cmocka_unit_test(
		    an_installations_catalogue_goes_before_the_one_that_is_carried),
		cmocka_unit_test(nonsense_in_a_catalogue_is_named_with_its_file_and_line),
		cmocka_unit_test(a_vendor_that_no_plugin_serves_is_warned_of),
		cmocka_unit_test(prices_of_six_decimals_are_exact_in_pico_usd),
		cmocka_unit_test(
		    a_providers_own_list_replaces_the_catalogues_and_knows_its_facts),
		cmocka_unit_test(a_preset_brings_the_models_of_the_plugin_that_it_names),
		cmocka_unit_test(a_star_in_the_list_adds_the_catalogues),
		cmocka_unit_test(
		    a_free_provider_costs_nothing_whatever_the_catalogue_says),
		cmocka_unit_test(a_plugin_serves_the_routes_that_it_names),
		cmocka_unit_test(provider_slash_model_reaches_what_nobody_listed),
		cmocka_unit_test(a_listed_name_may_hold_a_slash),
		cmocka_unit_test(a_known_name_is_looked_up_without_an_allocation),
		cmocka_unit_test(thousands_of_models_are_all_found),
		cmocka_unit_test(near_names_are_the_nearest_first),
		cmocka_unit_test(routers_are_known_by_name),
	};

	return cmocka_run_group_tests(tests, config_set_up, config_tear_down);
}
