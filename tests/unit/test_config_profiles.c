/* test_config_profiles.c - organizations, assistants and named routers in the file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config_fixture.h"

static const char providers[] =
    "providers: {echo: {models: [{id: gpt-4o, price_input_per_mtok: 1, "
    "price_output_per_mtok: 1}]}}\nfx: {eur_per_usd: 0.92, date: 2026-11-20}\n";

static struct config *
load_with_providers(const char *text)
{
	char whole[8192];

	(void)snprintf(whole, sizeof(whole), "%s%s", providers, text);
	return load_fine(whole);
}

static void
organizations_hold_assistants_and_keys_name_them(void **state)
{
	const struct config_profile *acme, *support;
	struct config *c = load_with_providers(
	    "organizations:\n"
	    "  acme:\n"
	    "    routing_strategy: balanced\n"
	    "    budgets: [ { period: month, eur: 2000, alert_pct: [50, 80, 100] } ]\n"
	    "    assistants: { support: { routing_strategy: cheapest, model_allowlist: "
	    "[gpt-4o], default_model: gpt-4o, rate_limit: 60 } }\n"
	    "  bare:\n"
	    "keys:\n"
	    "  backend: { organization: acme, assistant: support, secret: "
	    "sk-0123456789abcdef, rate_limit: 120 }\n"
	    "  free: { secret: sk-0123456789abcdeg, rate_limit: unlimited }\n");

	(void)state;
	assert_int_equal(c->profile_count, 3);
	acme = config_profile(c, STR_LIT("acme"), STR_NONE);
	support = config_profile(c, STR_LIT("acme"), STR_LIT("support"));
	assert_non_null(acme);
	assert_non_null(support);
	assert_non_null(config_profile(c, STR_LIT("bare"), STR_NONE));
	assert_null(config_profile(c, STR_LIT("support"), STR_NONE));
	assert_int_equal(acme->line, 4);
	assert_int_equal(acme->settings.budget[0].limit_nano_eur, INT64_C(2000000000000));
	assert_null(json_object_get(acme->tree, "assistants"));
	assert_non_null(json_object_get(acme->tree, "budgets"));
	assert_true(str_is(support->settings.default_model, "gpt-4o"));
	assert_int_equal(support->settings.rate_limit, 60);
	assert_true(str_is(c->key[0].settings.organization, "acme"));
	assert_true(str_is(c->key[0].settings.assistant, "support"));
	assert_int_equal(c->warning_count, 2); /* literal secrets */
	drop(c);
}

static void
refused_with(const char *text, const char *sentence)
{
	char whole[8192];

	(void)snprintf(whole, sizeof(whole), "%s%s", providers, text);
	expect_refusal(whole, sentence);
}

#define ORGS(text) "organizations: {" text "}\n"
#define KEY(text)  "keys: {k: {secret: sk-0123456789abcdef, " text "}}\n"

static void
nonsense_in_organizations_is_named_with_its_line(void **state)
{
	static const struct {
		const char *text, *sentence;
	} cases[] = {
		{ "organizations: []\n",
		    "latenza.yaml:3: organizations: is not a map of organizations" },
		{ "organizations: 5\n", "organizations: is not a map of organizations" },
		{ ORGS("Acme: {}"), "organizations.Acme: the name of an organization is "
				    "made of a-z, 0-9 and -" },
		{ ORGS("'a/b': {}"), "organizations.a/b: the name of an organization" },
		{ ORGS("acme: 5"), "organizations.acme: is not a map of settings" },
		{ ORGS("acme: {rate_limit: many}"),
		    "organizations.acme.rate_limit: \"many\" is not a whole number" },
		{ ORGS("acme: {rate_limits: 5}"),
		    "organizations.acme.rate_limits: is not known; did you mean "
		    "\"rate_limit\"?" },
		{ ORGS("acme: {colour: red}"),
		    "organizations.acme.colour: is not a setting of an organization" },
		{ ORGS("acme: {expires_at: 2027-01-01}"),
		    "organizations.acme.expires_at: is a setting of a key, not of an "
		    "organization" },
		{ ORGS("acme: {default_model: gpt-4o}"),
		    "organizations.acme.default_model: is a setting of an assistant, not "
		    "of an organization" },
		{ ORGS("acme: {secret: x}"), "organizations.acme.secret: is not" },
		{ ORGS("acme: {guardrails: [pii]}"),
		    "organizations.acme.guardrails: there is no \"pii\" under "
		    "guardrails" },
		{ ORGS("acme: {routing_strategy: blanced}"),
		    "organizations.acme.routing_strategy: there is no router "
		    "\"blanced\"; did you mean \"balanced\"?" },
		{ ORGS("acme: {budgets: [{period: year, eur: 1}]}"),
		    "organizations.acme.budgets: period: \"year\" is not a choice" },
		{ ORGS("acme: {log_content: full}") "log: {content: meta}\n",
		    "organizations.acme.log_content: is more than log.content" },
		{ ORGS("acme: {assistants: [a]}"),
		    "organizations.acme.assistants: is not a map of assistants" },
		{ ORGS("acme: {assistants: {'a b': {}}}"),
		    "organizations.acme.a b: the name of an assistant is made of" },
		{ ORGS("acme: {assistants: {a: 5}}"),
		    "organizations.acme.a: is not a map of settings" },
		{ ORGS("acme: {assistants: {a: {max_in_flight: -1}}}"),
		    "organizations.acme.assistants.a.max_in_flight: -1 is not" },
		{ ORGS("acme: {assistants: {a: {assistants: {}}}}"),
		    "organizations.acme.assistants.a.assistants: is not" },
		{ ORGS("acme: {assistants: {a: {default_model: 'gpt-*'}}}"),
		    "organizations.acme.assistants.a.default_model: \"gpt-*\" is not the "
		    "name of a model" },
		{ ORGS("acme: {assistants: {a: {default_model: 7}}}"),
		    "default_model: 7 is not the name of a model" },
		{ ORGS("acme: {model_allowlist: [other], assistants: {a: {default_model: "
		       "gpt-4o}}}"),
		    "organizations.acme.assistants.a.default_model: \"gpt-4o\" is not in "
		    "the model_allowlist here or above" },
		/* one level under another */
		{ ORGS(
		      "acme: {rate_limit: 60, assistants: {a: {rate_limit: unlimited}}}"),
		    "organizations.acme.assistants.a.rate_limit: \"unlimited\" is not "
		    "possible here: organizations.acme has a limit" },
		{ ORGS("acme: {log_content: off, assistants: {a: {log_content: meta}}}"),
		    "organizations.acme.assistants.a.log_content: is more than "
		    "organizations.acme keeps" },
		{ ORGS("acme: {max_in_flight: 6}")
			KEY("organization: acme, max_in_flight: "
			    "unlimited"),
		    "keys.k.max_in_flight: \"unlimited\" is not possible here: "
		    "organizations.acme has a limit" },
		{ ORGS("acme: {budget_monthly_eur: 6}")
			KEY("organization: acme, budget_monthly_eur: unlimited"),
		    "keys.k.budget_monthly_eur: \"unlimited\" is not possible here" },
		{ ORGS("acme: {assistants: {a: {tokens_per_minute: 6}}}") KEY(
		      "organization: acme, assistant: a, tokens_per_minute: unlimited"),
		    "keys.k.tokens_per_minute: \"unlimited\" is not possible here: "
		    "organizations.acme.assistants.a has a limit" },
		{ ORGS("default: {max_output_tokens: 6}") KEY("max_output_tokens: "
							      "unlimited"),
		    "organizations.default has a limit" },
		{ KEY("organization: acme"),
		    "keys.k.organization: there is no \"acme\" under organizations" },
		{ KEY("assistant: a"), "keys.k.assistant: there is no \"a\" under "
				       "organizations.default.assistants" },
		{ ORGS("acme: {}, other: {assistants: {a: {}}}")
			KEY("organization: acme, assistant: a"),
		    "keys.k.assistant: there is no \"a\" under "
		    "organizations.acme.assistants" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused_with(cases[i].text, cases[i].sentence);
}

static void
all_that_is_wrong_is_told_at_once(void **state)
{
	(void)state;
	refused_with(ORGS("acme: {rate_limit: x, assistants: {a: {rate_limit: y}}}")
			 KEY("organization: acme, assistant: a, rate_limit: z"),
	    "organizations.acme.rate_limit");
	assert_non_null(strstr(told.ptr, "organizations.acme.assistants.a.rate_limit"));
	assert_non_null(strstr(told.ptr, "keys.k.rate_limit"));
	assert_null(strstr(told.ptr, "there is no"));
}

static void
a_number_takes_the_place_of_a_number_and_unlimited_stands_where_none_is(void **state)
{
	struct config *c = load_with_providers(
	    "organizations: {acme: {rate_limit: 60, max_in_flight: unlimited}}\n" KEY(
		"organization: acme, rate_limit: 120, max_in_flight: unlimited"));

	(void)state;
	assert_int_equal(c->key[0].settings.rate_limit, 120);
	drop(c);
}

static void
the_schema_knows_them_and_the_file_is_shown_as_used(void **state)
{
	struct config *c = load_with_providers(
	    "routers: {deep: {use: weighted, depth: 7}}\n"
	    "organizations: {acme: {rate_limit: 5, assistants: {a: {rate_limit: 4}}}}\n");
	json_t *schema = config_schema(), *shown = config_shown(c);
	json_t *properties = json_object_get(schema, "properties"), *again;
	struct err e = { "" };

	(void)state;
	assert_non_null(json_object_get(properties, "organizations"));
	assert_non_null(json_object_get(properties, "routers"));
	if (options_match(schema, shown, &e) != ST_OK)
		fail_msg("%s", e.text);
	again = json_object_get(json_object_get(shown, "routers"), "deep");
	assert_int_equal(json_integer_value(json_object_get(again, "depth")), 7);
	assert_true(str_is(json_get_str(again, "use"), "weighted"));
	again = json_object_get(json_object_get(shown, "organizations"), "acme");
	assert_int_equal(json_integer_value(json_object_get(again, "rate_limit")), 5);
	json_decref(schema);
	json_decref(shown);
	drop(c);
}

/* ---- routers ---- */

static void
a_named_router_has_options_of_its_own_and_is_a_strategy_everywhere(void **state)
{
	struct config *c = load_with_providers(
	    "routers: {deep: {use: weighted, depth: 7}, plain: {use: cheapest}}\n"
	    "routing: {default: deep}\n"
	    "organizations: {acme: {routing_strategy: plain}}\n" KEY(
		"routing_strategy: deep, organization: acme"));
	const struct part *deep = config_router(c, STR_LIT("deep"));

	(void)state;
	assert_int_equal(c->router_count, 5);
	assert_non_null(deep);
	assert_string_equal(deep->info->name, "weighted");
	assert_int_equal(json_integer_value(json_object_get(deep->options, "depth")), 7);
	assert_null(json_object_get(deep->options, "use"));
	assert_string_equal(config_router(c, STR_LIT("plain"))->info->name, "cheapest");
	assert_true(str_is(c->default_strategy, "deep"));
	assert_true(config_has_strategy(c, STR_LIT("deep")));
	assert_false(config_has_strategy(c, STR_LIT("deeper")));
	drop(c);
}

static void
nonsense_in_routers_is_named(void **state)
{
	static const struct {
		const char *text, *sentence;
	} cases[] = {
		{ "routers: [x]\n", "latenza.yaml:3: routers: is not a map of routers" },
		{ "routers: {x: 5}\n", "routers.x: is not a map; write { use: NAME }" },
		{ "routers: {x: {}}\n", "routers.x: use is missing; write use: NAME" },
		{ "routers: {x: {use: 5}}\n", "routers.x.use: is not a name" },
		{ "routers: {x: {use: wieghted}}\n",
		    "routers.x.use: there is no router \"wieghted\"; did you mean "
		    "\"weighted\"?" },
		{ "routers: {x: {use: openai}}\n",
		    "routers.x.use: there is no router \"openai\" among the plugins" },
		{ "routers: {x: {use: 'lua:canary'}}\n",
		    "routers.x.use: there is no router \"lua:canary\" among the scripts "
		    "that "
		    "policies names" },
		{ "routers: {x: {use: weighted, depth: 99}}\n",
		    "routers.x.depth: 99 is out of range" },
		{ "routers: {x: {use: weighted, deepth: 1}}\n",
		    "routers.x.deepth: is not known; did you mean \"depth\"?" },
		{ "routers: {x: {use: cheapest, depth: 1}}\n",
		    "routers.x.depth: is not" },
		{ "routers: {x: {use: weighted, token: 'env:LZ_UNSET'}}\n",
		    "routers.x.token: the environment variable LZ_UNSET is not set" },
		{ "routers: {balanced: {use: weighted}}\n",
		    "routers.balanced: is a router of the plugins already" },
		{ "routers: {X y: {use: weighted}}\n",
		    "routers.X y: a router's name is made of a-z, 0-9 and -" },
		{ "routers: {deep: {use: weighted}}\nrouting: {default: deap}\n",
		    "routing.default: there is no router \"deap\"; did you mean "
		    "\"deep\"?" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused_with(cases[i].text, cases[i].sentence);
	/* One mistake is told once, also when others refer to it. */
	refused_with("routers: {x: {use: weighted, depth: 99}}\nrouting: {default: x}\n",
	    "routers.x.depth");
	assert_null(strstr(told.ptr, "routing.default"));
}

static void
a_named_router_is_kept_while_its_options_are_the_same(void **state)
{
	struct config *a = load_with_providers("routers: {deep: {use: weighted}}\n"), *b;
	char text[1024];

	(void)state;
	(void)snprintf(text, sizeof(text),
	    "%srouters: {deep: {use: weighted, depth: 3}}\n", providers);
	b = load_with((struct config_options){ .before = a }, text);
	assert_non_null(b);
	assert_ptr_equal(config_router(a, STR_LIT("deep")),
	    config_router(b, STR_LIT("deep"))); /* 3 is the default */
	drop(a);
	(void)snprintf(text, sizeof(text),
	    "%srouters: {deep: {use: weighted, depth: 4}}\n", providers);
	a = load_with((struct config_options){ .before = b }, text);
	assert_non_null(a);
	assert_ptr_not_equal(
	    config_router(a, STR_LIT("deep")), config_router(b, STR_LIT("deep")));
	assert_ptr_equal(
	    config_router(a, STR_LIT("weighted")), config_router(b, STR_LIT("weighted")));
	drop(b);
	drop(a);
}

static void
offline_the_names_of_strategies_are_known(void **state)
{
	struct config *c = load_with((struct config_options){ .is_offline = true },
	    "routers: {deep: {use: weighted}}\nrouting: {default: deep}\n");

	(void)state;
	assert_non_null(c);
	assert_true(config_has_strategy(c, STR_LIT("deep")));
	assert_true(config_has_strategy(c, STR_LIT("balanced")));
	assert_int_equal(c->router_count, 0);
	drop(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(organizations_hold_assistants_and_keys_name_them),
		cmocka_unit_test(nonsense_in_organizations_is_named_with_its_line),
		cmocka_unit_test(all_that_is_wrong_is_told_at_once),
		cmocka_unit_test(
		    a_number_takes_the_place_of_a_number_and_unlimited_stands_where_none_is),
		cmocka_unit_test(the_schema_knows_them_and_the_file_is_shown_as_used),
		cmocka_unit_test(
		    a_named_router_has_options_of_its_own_and_is_a_strategy_everywhere),
		cmocka_unit_test(nonsense_in_routers_is_named),
		cmocka_unit_test(a_named_router_is_kept_while_its_options_are_the_same),
		cmocka_unit_test(offline_the_names_of_strategies_are_known),
	};

	return cmocka_run_group_tests(tests, config_set_up, config_tear_down);
}
