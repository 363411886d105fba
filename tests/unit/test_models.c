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
	size_t i, sources = json_array_size(json_object_get(j, "sources"));
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
		if (json_object_get(m, "price_input_per_mtok") == NULL ||
		    json_object_get(m, "price_output_per_mtok") == NULL ||
		    json_object_get(m, "price_date") == NULL ||
		    json_array_size(source) == 0)
			fail_msg("%s: has no price, no date or no source", id);
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
	json_decref(j);
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
		cmocka_unit_test(prices_of_six_decimals_are_exact_in_pico_usd),
		cmocka_unit_test(
		    a_providers_own_list_replaces_the_catalogues_and_knows_its_facts),
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
