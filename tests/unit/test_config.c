/* test_config.c - the whole file: what it may say, what it may not, and what a reload
 * keeps.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "config/yaml.h"

static void
an_empty_file_has_the_published_defaults(void **state)
{
	struct config *c = load_fine("");
	char text[64];

	(void)state;
	net_addr_format(&c->listen[0], text, sizeof(text));
	assert_string_equal(text, "127.0.0.1:8080");
	assert_int_equal(c->listen_count, 1);
	assert_false(c->has_admin);
	assert_int_equal(c->limits.body_bytes, 32 << 20);
	assert_int_equal(c->limits.in_flight, 10000);
	assert_int_equal(c->limits.head_bytes, 16384);
	assert_int_equal(c->limits.connections, 10000);
	assert_int_equal(c->limits.connections_per_address, 0);
	assert_int_equal(c->limits.answer_bytes, 4 << 20);
	assert_int_equal(c->limits.head_timeout_ms, 10000);
	assert_int_equal(c->limits.body_timeout_ms, 10000);
	assert_int_equal(c->limits.idle_timeout_ms, 75000);
	assert_int_equal(c->limits.write_timeout_ms, 30000);
	assert_true(str_is(c->data, "/var/lib/latenza"));
	assert_int_equal(c->fx_nano_eur_per_usd, 0);
	assert_true(c->plugin_files_strict);
	assert_int_equal(c->workers, 0);
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_int_equal(c->log_content, LOG_CONTENT_FULL);
	assert_true(str_is(c->default_strategy, "balanced"));
	assert_int_equal(c->attempts, 3);
	assert_int_equal(c->timeout_ms, 60000);
	assert_int_equal(c->first_byte_timeout_ms, 30000);
	assert_int_equal(c->idle_timeout_ms, 60000);
	assert_true(c->keep_traces_ms == 90 * INT64_C(86400000));
	assert_true(c->keep_content_ms == 7 * INT64_C(86400000));
	assert_int_equal(c->ledger_uncertain, 0);
	assert_int_equal(c->ledger_sync_ms, 50);
	assert_true(str_is(c->timezone, "UTC"));
	assert_int_equal(c->router_count, 3);
	assert_int_equal(c->provider_count, 0);
	expect_warning(c, "latenza.yaml:1: providers: there are none");
	drop(c);
}

static const char whole[] =
    "listen: ['127.0.0.1:0', '[::1]:8080', 9090]\n"
    "trusted_proxies: [10.0.0.0/8, '::1']\n"
    "limits: { body_bytes: 1MiB, in_flight: 7, head_timeout_ms: 2s }\n"
    "admin: { listen: 127.0.0.1:8081 }\n"
    "data: data\n"
    "secrets: { master: env:LZ_KEY }\n"
    "fx: { eur_per_usd: 0.92, date: 2026-11-20 }\n"
    "plugins: [openai, { path: ./x.so, sha256: "
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 }]\n"
    "plugin_files: warn\n"
    "workers: 2\n"
    "log: { level: warn, content: meta }\n"
    "ledger: { uncertain: bound, sync_ms: 0 }\n"
    "retention: { traces: 30d, content: 1d }\n"
    "routing: { default: cheapest, attempts: 2, timeout_ms: 5s, first_byte_timeout_ms: "
    "1s, "
    "idle_timeout_ms: 3s }\n"
    "providers:\n"
    "  openai: { api_keys: [env:LZ_KEY, '${LZ_KEY}'] }\n"
    "  local: { plugin: compatible, base_url: 'http://vllm:8000/v1/', price: free, test: "
    "true,\n"
    "    http2: true, proxy: 'http://p:3128', ca_file: ca.pem, region: eu, "
    "connect_timeout_ms: 2s,\n"
    "    headers: { x-team: search, x-secret: env:LZ_KEY },\n"
    "    models: [ { id: Qwen/Qwen2.5-7B, context_window: 32768 } ] }\n"
    "  deep: { plugin: fancy, base_url: 'https://d.eu', depth: 5, token: env:LZ_KEY, "
    "models: [d1] }\n"
    "  echo:\n"
    "keys:\n"
    "  backend: { name: Production backend, rate_limit: 120, secret: env:LZ_KEY }\n"
    "  legacy: { secret_sha256: "
    "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\", test: true "
    "}\n";

static void
everything_that_can_be_said_is_understood(void **state)
{
	struct config *c =
	    load_with((struct config_options){ .path = "/etc/x/latenza.yaml" }, whole);
	const struct provider *p;

	(void)state;
	if (c == NULL)
		fail_msg("%s", told.ptr);
	assert_int_equal(c->warning_count, 0);
	assert_int_equal(c->listen_count, 3);
	assert_int_equal(net_addr_port(&c->listen[2]), 9090);
	assert_int_equal(c->trusted_proxy_count, 2);
	assert_int_equal(c->limits.body_bytes, 1 << 20);
	assert_int_equal(c->limits.head_timeout_ms, 2000);
	assert_true(c->has_admin);
	assert_true(str_is(c->data, "/etc/x/data"));
	assert_true(str_is(c->master_secret, "sk-canary-0123456789"));
	assert_int_equal(c->fx_nano_eur_per_usd, 920000000);
	assert_true(str_is(c->fx_date, "2026-11-20"));
	assert_false(c->plugin_files_strict);
	assert_int_equal(c->workers, 2);
	assert_int_equal(c->log_level, LOG_LEVEL_WARN);
	assert_int_equal(c->log_content, LOG_CONTENT_META);
	assert_int_equal(c->ledger_uncertain, 1);
	assert_int_equal(c->ledger_sync_ms, 0);
	assert_true(str_is(c->default_strategy, "cheapest"));
	assert_int_equal(c->attempts, 2);
	assert_int_equal(c->idle_timeout_ms, 3000);
	assert_int_equal(c->provider_count, 4);

	p = &c->provider[0];
	assert_true(str_is(p->name, "openai"));
	assert_true(str_is(p->base_url, "https://api.openai.com/v1"));
	assert_int_equal(p->api_key_count, 2);
	assert_true(str_is(p->api_keys[1], "sk-canary-0123456789"));
	assert_false(p->is_test);

	p = &c->provider[1];
	assert_int_equal(p->line, 17);
	assert_true(str_is(p->base_url, "http://vllm:8000/v1"));
	assert_true(p->is_free && p->is_test && p->wants_http2 && !p->is_local_only);
	assert_string_equal(p->proxy, "http://p:3128");
	assert_string_equal(p->ca_file, "/etc/x/ca.pem");
	assert_true(str_is(p->region, "eu"));
	assert_int_equal(p->connect_timeout_ms, 2000);
	assert_int_equal(p->header_count, 2);
	assert_true(str_is(p->headers[1].name, "x-secret"));
	assert_true(str_is(p->headers[1].value, "sk-canary-0123456789"));

	p = &c->provider[2];
	assert_string_equal(p->part->name, "deep");
	assert_int_equal(json_get_int(p->part->options, "depth", 0), 5);
	assert_null(json_object_get(p->part->options, "base_url"));

	p = &c->provider[3];
	assert_true(str_is(p->base_url, "echo:"));
	assert_true(p->is_test && p->is_local_only);

	assert_int_equal(c->key_count, 2);
	assert_true(str_is(c->key[0].id, "backend"));
	assert_true(str_is(c->key[0].secret, "sk-canary-0123456789"));
	assert_int_equal(c->key[0].settings.rate_limit, 120);
	assert_null(json_object_get(c->key[0].tree, "secret"));
	assert_int_equal(c->key[0].line, 24);
	assert_true(c->key[1].has_sha256 && c->key[1].is_test);
	assert_int_equal(json_object_size(c->key[1].tree), 0);
	drop(c);
}

static void
json_says_the_same(void **state)
{
	struct config *c = load_fine("{\"listen\": \"127.0.0.1:1\", \"providers\": "
				     "{\"echo\": {}}, \"keys\": {\"a\": {\"secret\": "
				     "\"env:LZ_KEY\"}}}");

	(void)state;
	assert_int_equal(c->provider_count, 1);
	assert_int_equal(c->key_count, 1);
	drop(c);
}

static void
the_command_line_replaces_listen_and_adds_plugins(void **state)
{
	struct part_want want = { .path = STR_LIT("extra"), .is_named_by_person = true };
	struct config *c = load_with(
	    (struct config_options){
		.listen = "127.0.0.1:7", .plugins = &want, .plugin_count = 1 },
	    "listen: 0.0.0.0:8080\n");

	(void)state;
	assert_non_null(c);
	assert_int_equal(net_addr_port(&c->listen[0]), 7);
	drop(c);
	assert_null(load_with((struct config_options){ .listen = "nowhere" }, ""));
	assert_non_null(strstr(told.ptr, "--listen"));
	fake_opened = 0;
	drop(load_with((struct config_options){ .path = NULL }, "plugins: []\n"));
	assert_int_equal(fake_opened, 0); /* none, which is not the same as all */
}

static void
nonsense_is_named_with_its_line(void **state)
{
	static const struct {
		const char *yaml, *sentence;
	} cases[] = {
		{ "[]", "latenza.yaml:1: the file is not a map" },
		{ "just words", "the file is not a map" },
		{ "a: [", "not YAML" },
		{ "listen: nowhere", "latenza.yaml:1: listen: \"nowhere\" is not an "
				     "address; write 127.0.0.1:8080" },
		{ "listen: []", "listen: 0 addresses; it must be 1 to 8" },
		{ "listen: 70000", "listen: 70000 is not an address" },
		{ "listen: [1, 2, 3, 4, 5, 6, 7, 8, 9]", "listen: 9 addresses" },
		{ "\nlisten: {a: 1}", "latenza.yaml:2: listen: a map is not" },
		{ "trusted_proxies: [all]",
		    "trusted_proxies: \"all\" is not an address range" },
		{ "data: ''", "data: is empty" },
		{ "data: 5", "data: 5 is not a text" },
		{ "workers: 1000",
		    "workers: 1000 is out of range; it must be from 0 to 256" },
		{ "worker: 1", "worker: is not known; did you mean \"workers\"?" },
		{ "provider: {}", "provider: is not known; did you mean \"providers\"?" },
		{ "colour: 1", "colour: is not known here" },
		{ "limits: 5", "latenza.yaml:1: limits: 5 is not a map" },
		{ "limits:\n  body_byts: 1", "latenza.yaml:2: limits.body_byts: is not "
					     "known; did you mean \"body_bytes\"?" },
		{ "limits:\n  body_bytes: huge",
		    "latenza.yaml:2: limits.body_bytes: \"huge\" is not a size" },
		{ "limits: {in_flight: 0}", "limits.in_flight: 0 is out of range" },
		{ "limits: {head_timeout_ms: 1ms}",
		    "limits.head_timeout_ms: \"1ms\" is out of range" },
		{ "admin: {}",
		    "admin.listen: is missing; it is where /metrics is served" },
		{ "admin: {listen: 0.0.0.0:8081}",
		    "admin.listen: other machines reach this address" },
		{ "{listen: 127.0.0.1:5, admin: {listen: 127.0.0.1:5}}",
		    "admin.listen: is the address of listen too" },
		{ "secrets: {master: env:LZ_UNSET}",
		    "secrets.master: the environment variable LZ_UNSET is not set" },
		{ "fx: {eur_per_usd: 0}", "fx.eur_per_usd: 0 is out of range" },
		{ "fx: {eur_per_usd: 0.9212345678}",
		    "fx.eur_per_usd: 0.9212345678 is not a number of at most 9" },
		{ "fx: {date: 2026-11-20}", "fx.eur_per_usd: is missing" },
		{ "fx: {eur_per_usd: 0.92, date: yesterday}",
		    "fx.date: \"yesterday\" is not a date" },
		{ "plugins: openai", "plugins: \"openai\" is not of the type array" },
		{ "plugins: [1]", "plugins: item 0: 1 is not of the type string" },
		{ "plugins: [{sha256: x}]",
		    "plugins: item 0: the member path is missing" },
		{ "plugins: [{path: x, sha: y}]",
		    "plugins: item 0: the member sha is not known" },
		{ "plugins: [{path: x, sha256: "
		  "zz86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}]",
		    "plugins: item 0 is not a plugin" },
		{ "plugins: [missing]", "latenza.yaml:1: plugins: plugin missing: there "
					"is no file of that name" },
		{ "plugin_files: lax", "plugin_files: \"lax\" is not a choice; it must "
				       "be one of strict, warn" },
		{ "log: {level: loud}", "log.level: \"loud\" is not a choice; it must be "
					"one of debug, info, warn, error" },
		{ "log: {content: no}", "log.content: \"no\" is not a choice" },
		{ "ledger: {uncertain: half}",
		    "ledger.uncertain: \"half\" is not a choice" },
		{ "ledger: {timezone: Nowhere/City}",
		    "ledger.timezone: \"Nowhere/City\" is not a time zone" },
		{ "retention: {traces: 1m}", "retention.traces: \"1m\" is out of range" },
		{ "retention: {traces: 1d, content: 2d}",
		    "retention.content: is longer than traces" },
		{ "routing: {default: blanced}",
		    "routing.default: there is no router \"blanced\"; did you mean "
		    "\"balanced\"?" },
		{ "routing: {default: chaos}",
		    "routing.default: there is no router \"chaos\" among the plugins" },
		{ "routing: {attempts: 0}", "routing.attempts: 0 is out of range" },
		/* of later releases */
		{ "tls: {cert: x}", "latenza.yaml:1: tls: this release does not have it "
				    "yet; let a proxy in front end TLS" },
		{ "guardrails: []", "guardrails: is not a map of guardrails" },
		{ "guardrails: {Pii: {use: x}}",
		    "guardrails.Pii: a guardrail's name is made of a-z, 0-9 and -" },
		{ "guardrails: {a: 5}", "guardrails.a: is not a map" },
		{ "guardrails: {a: {}}", "guardrails.a: use is missing" },
		{ "guardrails: {a: {use: 5}}", "guardrails.a.use: is not a name" },
		{ "guardrails: {a: {use: nobody}}",
		    "guardrails.a.use: there is no guardrail \"nobody\"" },
		{ "policies: {}", "policies: is not a list of at most 200 scripts" },
		{ "sinks: {}", "sinks: this release does not have it yet" },
		/* providers */
		{ "providers: []", "providers: is not a map of providers" },
		{ "providers: {x: {preset: azure}}",
		    "providers.x.preset: azure has no address that is everybody's" },
		{ "providers: {x: {preset: azzure}}",
		    "providers.x.preset: there is no preset \"azzure\"; there are "
		    "openai, " },
		{ "providers: {x: {preset: 7}}", "providers.x.preset: " },
		{ "providers: {x: {preset: [groq]}}", "providers.x.preset: " },
		{ "providers: {x: {preset: groq, max_tokens_fild: x}}",
		    "providers.x.max_tokens_fild: " },
		{ "providers: {x: {preset: groq, url_path: v1}}",
		    "providers.x.url_path: must begin with /" },
		{ "providers: {x: {preset: groq, url_path: \"/a?b\"}}",
		    "providers.x.url_path: holds a character that a path does not" },
		{ "providers: {x: {preset: groq, url_query: {a: 1}}}",
		    "providers.x.url_query" },
		{ "providers: {x: {preset: groq, url_query: abc}}",
		    "providers.x.url_query" },
		{ "providers: {x: {preset: groq, auth_header: \"a b\"}}",
		    "providers.x.auth_header: is not a header field that can be set" },
		{ "providers: {x: {preset: groq, auth_header: Host}}",
		    "providers.x.auth_header: is not a header field that can be set" },
		{ "providers: {x: {preset: groq, drop: [model]}}",
		    "providers.x.drop: \"model\" cannot be left out" },
		{ "providers: {x: {preset: groq, drop: [\"\"]}}",
		    "providers.x.drop: \"\" cannot be left out" },
		{ "providers: {Open_AI: {}}",
		    "providers.Open_AI: a provider's name is made of a-z, 0-9 and -" },
		{ "providers: {latenza: {}}", "providers.latenza: the name is reserved" },
		{ "providers: {echo: 5}", "providers.echo: is not a map" },
		{ "providers:\n  opnai: {}",
		    "latenza.yaml:2: providers.opnai: no plugin offers the provider "
		    "\"opnai\"; did you mean \"openai\"" },
		{ "providers: {x: {plugin: pii}}",
		    "providers.x.plugin: no plugin offers the provider \"pii\"" },
		{ "providers: {mine: {}}", "providers.mine: no plugin offers the "
					   "provider \"mine\"; write plugin: NAME" },
		{ "providers: {x: {plugin: compatible}}",
		    "providers.x: base_url is missing, and the provider compatible has "
		    "none" },
		{ "providers: {x: {plugin: compatible, base_url: vllm}}",
		    "base_url: \"vllm\" is not a URL" },
		{ "providers: {x: {plugin: compatible, base_url: 'echo:'}}",
		    "is not a URL" },
		{ "providers: {x: {plugin: compatible, base_url: 'http://a@b/v1'}}",
		    "holds a query, a fragment or a user" },
		{ "providers: {x: {plugin: compatible, base_url: 'http://a/v1?x'}}",
		    "holds a query" },
		{ "providers:\n  openai:\n",
		    "latenza.yaml:2: providers.openai: api_keys is missing, and "
		    "OPENAI_API_KEY is not set" },
		{ "providers: {openai: {api_keys: [env:LZ_UNSET]}}",
		    "providers.openai.api_keys: the environment variable LZ_UNSET" },
		{ "providers: {openai: {api_keys: ['']}}",
		    "providers.openai.api_keys: a key is empty" },
		{ "providers: {openai: {api_keys: {}}}",
		    "providers.openai.api_keys: a map is not a text" },
		{ "providers: {echo: {price: cheap}}",
		    "providers.echo.price: \"cheap\" is not a choice; it must be one of "
		    "listed, free" },
		{ "providers: {echo: {test: maybe}}",
		    "providers.echo.test: \"maybe\" is not a yes or no" },
		{ "providers: {echo: {proxy: me}}",
		    "providers.echo.proxy: \"me\" is not a proxy's URL" },
		{ "providers: {echo: {idle_timeout_ms: 2h}}",
		    "providers.echo.idle_timeout_ms: \"2h\" is out of range" },
		{ "providers: {echo: {headers: [a]}}",
		    "providers.echo.headers: a list is not of the type object" },
		{ "providers: {echo: {headers: {'a b': c}}}",
		    "providers.echo.headers.a b: is not a header field" },
		{ "providers: {echo: {headers: {Host: c}}}",
		    "providers.echo.headers.Host: is not a header field that can be "
		    "set" },
		{ "providers: {echo: {headers: {a: \"b\\r\\nc: d\"}}}",
		    "providers.echo.headers.a: holds a control character" },
		{ "providers: {echo: {headers: {a: env:LZ_UNSET}}}",
		    "providers.echo.headers.a: the environment variable" },
		{ "providers: {echo: {api_key: x}}",
		    "providers.echo.api_key: is not known; did you mean \"api_keys\"?" },
		{ "providers:\n  f: {plugin: fancy, base_url: 'http://a',\n    depth: "
		  "10}",
		    "latenza.yaml:3: providers.f.depth: 10 is out of range" },
		{ "providers: {f: {plugin: fancy, base_url: 'http://a', dpeth: 1}}",
		    "providers.f.dpeth: is not known; did you mean \"depth\"?" },
		{ "providers: {echo: {depth: 1}}",
		    "providers.echo.depth: is not known here" },
		/* their models */
		{ "providers: {echo: {models: echo-1}}",
		    "providers.echo.models: \"echo-1\" is not of the type array" },
		{ "providers: {echo: {models: [1]}}",
		    "providers.echo.models: item 0: 1 is not of the type string" },
		{ "providers:\n  echo:\n    models:\n    - {context_window: 5}",
		    "latenza.yaml:4: providers.echo.models.id: is missing" },
		{ "providers: {echo: {models: [{id: a, context: 5}]}}",
		    "providers.echo.models.context: is not known" },
		{ "providers: {echo: {models: [{id: a, context_window: 0}]}}",
		    "models.context_window: 0 is out of range" },
		{ "providers: {echo: {models: [{id: a, price_input_per_mtok: -1}]}}",
		    "price_input_per_mtok: -1 is out of range" },
		{ "providers: {echo: {models: [{id: a, capabilities: [fly]}]}}",
		    "models.capabilities: \"fly\" is not a choice" },
		{ "providers: {echo: {models: [{id: a, quality: 50}]}}",
		    "models.quality: 50 is out of range; it must be from 0 to 1" },
		{ "providers: {echo: {models: [{id: a, mode: dance}]}}",
		    "models.mode: \"dance\" is not a choice" },
		{ "providers: {echo: {models: [{id: 'a b'}]}}",
		    "models.id: a model's name has 1 to 200 bytes and no blanks" },
		{ "providers: {echo: {models: ['a*']}}", "a model's name holds no *" },
		{ "providers: {echo: {models: [a, a]}}",
		    "the model \"a\" is listed twice" },
		{ "providers: {echo: {models: [latenza/x]}}",
		    "names that begin with latenza/ are the gateway's own" },
		{ "providers: {echo: {models: [echo/x]}}",
		    "the model \"echo/x\" could also be a model of the provider "
		    "\"echo\"" },
		{ "providers: {echo: {models: [{id: a, aliases: [a]}]}}",
		    "providers.echo.models.aliases: \"a\" is the model's name already" },
		{ "providers: {echo: {models: [{id: a, aliases: ['b c']}]}}",
		    "models.aliases: a model's name has 1 to 200 bytes and no blanks" },
		{ "providers: {echo: {models: [{id: a, aliases: [b]}, b]}}",
		    "the model \"b\" is listed twice" },
		{ "providers: {echo: {models: [{id: a, aliases: {}}]}}",
		    "models.aliases: a map is not" },
		{ "providers: {echo: {models: [{id: a, base_model: gpt-five}]}}",
		    "models.base_model: the catalogue knows no model \"gpt-five\"" },
		{ "providers: {echo: {models: [{id: a, base_model: x}, {id: b, quality: "
		  "7}]}}",
		    "models.quality: 7 is out of range" },
		{ "providers: {echo: {models: [{id: a, base_model: x, quality: 7}]}}",
		    "models.quality: 7 is out of range" },
		{ "providers: {echo: {models: [{id: a, deprecated: soon}]}}",
		    "models.deprecated: \"soon\" is not" },
		{ "providers: {echo: {models: [{id: a, vendor: openai}]}}",
		    "models.vendor: is not known" },
		{ "providers: {echo: {models: [{id: a, price_tiers: 5}]}}",
		    "models.price_tiers: 5 is not of the type array" },
		{ "providers: {echo: {models: [{id: a, price_tiers: [{}]}]}}",
		    "models.price_tiers: item 0: the member above is missing" },
		{ "providers: {echo: {models: [{id: a, price_tiers: [{above: 5}]}]}}",
		    "models.price_tiers: item 0: has no price" },
		{ "providers: {echo: {models: [{id: a, price_tiers: [{above: 0, "
		  "price_input_per_mtok: 1}]}]}}",
		    "models.price_tiers: item 0" },
		{ "providers: {echo: {models: [{id: a, price_tiers: [{above: 5, "
		  "price_input_per_mtok: -1}]}]}}",
		    "models.price_tiers: item 0" },
		{ "providers: {echo: {models: [{id: a, price_tiers: [{above: 5, input: "
		  "1}]}]}}",
		    "models.price_tiers: item 0" },
		{ "providers: {echo: {models: [{id: a, price_tiers: [{above: 5, "
		  "price_input_per_mtok: 1}, {above: 5, price_input_per_mtok: 2}]}]}}",
		    "models.price_tiers: item 1: above, 5, is not more than" },
		/* public names */
		{ "models: []", "latenza.yaml:1: models: is not a map of" },
		{ "models: gpt-4o", "models: is not a map of" },
		{ "models: {a: b}", "models.a: is not a map; write a: { to: [" },
		{ "models: {a: {}}", "models.a.to: names no deployment; write to: [" },
		{ "models: {a: {to: []}}", "models.a.to: names no deployment" },
		{ "models: {a: {to: {provider: echo, model: m}}}",
		    "models.a.to: a map is not of the type array" },
		{ "models: {a: {to: [echo/m]}}", "models.a.to: item 0" },
		{ "models: {a: {tto: []}}",
		    "models.a.tto: is not known; did you mean \"to\"?" },
		{ "models: {'a b': {to: []}}",
		    "models.a b: a model's name has 1 to 200" },
		{ "models: {'a*': {to: []}}", "models.a*: a model's name holds no *" },
		{ "models: {latenza/x: {to: []}}",
		    "models.latenza/x: names that begin with latenza/" },
		{ "providers: {echo: {}}\nmodels: {echo/x: {to: []}}",
		    "latenza.yaml:2: models.echo/x: could also be a model of the "
		    "provider \"echo\"" },
		{ "providers: {echo: {}}\nmodels:\n  a:\n    to:\n    - {provider: ecko, "
		  "model: m}",
		    "latenza.yaml:5: models.a.provider: there is no provider \"ecko\"; "
		    "did "
		    "you mean \"echo\"?" },
		{ "providers: {echo: {}}\nmodels: {a: {to: [{model: m}]}}",
		    "models.a.provider: is missing" },
		{ "providers: {echo: {}}\nmodels: {a: {to: [{provider: echo}]}}",
		    "models.a.model: is missing" },
		{ "providers: {echo: {}}\nmodels: {a: {to: [{provider: echo, model: "
		  "''}]}}",
		    "models.a.model: a model's name has 1 to 200" },
		{ "providers: {echo: {}}\nmodels: {a: {to: [{provider: echo, model: m, "
		  "weight: -1}]}}",
		    "models.a.weight: -1 is out of range" },
		{ "providers: {echo: {}}\nmodels: {a: {to: [{provider: echo, model: m, "
		  "weight: heavy}]}}",
		    "models.a.weight: \"heavy\" is not a number" },
		{ "providers: {echo: {}}\nmodels: {a: {to: [{provider: echo, model: m, "
		  "weigth: 2}]}}",
		    "models.a.weigth: is not known; did you mean \"weight\"?" },
		{ "providers: {echo: {}}\nmodels: {a: {to: [{provider: echo, model: m, "
		  "id: x}]}}",
		    "models.a.id: is not known" },
		{ "providers: {echo: {}}\nmodels: {a: {to: [{provider: echo, model: m, "
		  "quality: 7}]}}",
		    "models.a.quality: 7 is out of range" },
		{ "providers: {echo: {}}\nmodels: {a: {to: [{provider: echo, model: m}, "
		  "{provider: echo, model: m}]}}",
		    "models.a: the model \"m\" of echo is there twice" },
		{ "providers: {echo: {}}\nmodels: {a: {to: [{provider: echo, model: "
		  "echo-1}, {provider: echo, model: echo-embed}]}}",
		    "models.a: a name is of chat models or of embedding models" },
		/* keys */
		{ "keys: []", "keys: is not a map of keys" },
		{ "keys: {A: {}}", "keys.A: a key's id is made of a-z" },
		{ "keys: {a: x}", "keys.a: is not a map of settings" },
		{ "keys:\n  a: {}",
		    "latenza.yaml:2: keys.a: has neither secret nor secret_sha256" },
		{ "keys: {a: {secret: env:LZ_UNSET}}",
		    "keys.a.secret: the environment variable LZ_UNSET is not set" },
		{ "keys: {a: {secret: short}}",
		    "keys.a.secret: has 5 bytes; a key has 16 to 512" },
		{ "keys: {a: {secret: 'sixteen bytes and blanks'}}",
		    "keys.a.secret: holds blanks" },
		{ "keys: {a: {secret: lz_live_00000000000000000000000000000000000000}}",
		    "its checksum is wrong" },
		{ "keys: {a: {secret: env:LZ_KEY, test: true}}",
		    "keys.a.test: is for secret_sha256" },
		{ "keys: {a: {secret_sha256: abc}}",
		    "keys.a.secret_sha256: \"abc\" is not a SHA-256 digest" },
		{ "keys: {a: {secret: env:LZ_KEY}, b: {secret: env:LZ_KEY}}",
		    "keys.b: has the same secret as keys.a" },
		{ "keys: {a: {secret: env:LZ_KEY, rate_limit: x}}",
		    "keys.a.rate_limit: \"x\" is not a whole number" },
		{ "keys: {a: {secret: env:LZ_KEY, rate_limt: 1}}",
		    "keys.a.rate_limt: is not known; did you mean \"rate_limit\"?" },
		{ "keys: {a: {secert: env:LZ_KEY}}",
		    "keys.a.secert: is not known; did you mean \"secret\"?" },
		{ "keys: {a: {secret: env:LZ_KEY, routing_strategy: chaos}}",
		    "keys.a.routing_strategy: there is no router \"chaos\"" },
		{ "keys: {a: {secret: env:LZ_KEY, organization: acme}}",
		    "keys.a.organization: there is no \"acme\" under organizations" },
		{ "{log: {content: meta}, keys: {a: {secret: env:LZ_KEY, log_content: "
		  "full}}}",
		    "keys.a.log_content: is more than log.content" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_refusal(cases[i].yaml, cases[i].sentence);
	expect_refusal(
	    "keys: {a: {secret: env:LZ_KEY, secret_sha256: "
	    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}}",
	    "keys.a: has both secret and secret_sha256");
}

static void
all_errors_of_a_file_are_told_each_on_its_line(void **state)
{
	static const char *const lines[] = { "latenza.yaml:1: listen:",
		"latenza.yaml:3: limits.body_bytes:", "latenza.yaml:4: limits.in_flight:",
		"latenza.yaml:7: providers.a.plugin:",
		"latenza.yaml:9: providers.b.headers.host:",
		"latenza.yaml:11: keys.k.rate_limit:",
		"latenza.yaml:12: keys.k.budget_monthly_eur:", "latenza.yaml:13: tls:" };
	size_t errors = 0;

	(void)state;
	assert_null(load("listen: nowhere\nlimits:\n  body_bytes: x\n  in_flight: "
			 "y\nproviders:\n  a:\n    plugin: nobody\n"
			 "  b: {plugin: echo, headers: {\n    host: x}}\nkeys:\n  k: "
			 "{secret: env:LZ_KEY, rate_limit: -1,\n"
			 "    budget_monthly_eur: x}\ntls: {}\n"));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (strstr(told.ptr, lines[i]) == NULL)
			fail_msg("no line \"%s\" in: %s", lines[i], told.ptr);
	}
	for (const char *p = told.ptr; (p = strchr(p, '\n')) != NULL; p++)
		errors++;
	if (errors != sizeof(lines) / sizeof(lines[0]))
		fail_msg("%s", told.ptr);
}

static void
literal_secrets_work_and_are_warned_of_without_showing_them(void **state)
{
	struct config *c = load_fine(
	    "providers:\n  openai:\n    api_keys: [literal-canary]\nkeys:\n  a:\n"
	    "    secret: literal-canary-0123\n");

	(void)state;
	assert_int_equal(c->warning_count, 2);
	expect_warning(
	    c, "latenza.yaml:3: providers.openai.api_keys: is written in the file");
	expect_warning(c, "latenza.yaml:6: keys.a.secret: is written in the file");
	for (size_t i = 0; i < c->warning_count; i++)
		assert_null(strstr(c->warning[i], "canary"));
	drop(c);
}

static void
optional_objects_without_their_secret_are_left_out(void **state)
{
	struct config *c = load_fine("providers:\n  openai: { api_keys: [env:LZ_UNSET], "
				     "optional: true }\n  echo:\nkeys:\n"
				     "  a: { secret: env:LZ_UNSET, optional: true }\n");

	(void)state;
	assert_int_equal(c->provider_count, 1);
	assert_int_equal(c->key_count, 0);
	expect_warning(c, "latenza.yaml:2: providers.openai.api_keys: the environment "
			  "variable LZ_UNSET is not set; it is "
			  "optional and left out");
	expect_warning(c, "keys.a.secret: the environment variable LZ_UNSET");
	drop(c);
	c = load_fine("providers:\n  openai: { optional: true }\n");
	assert_int_equal(c->provider_count, 0);
	drop(c);
	/* Only an unset secret is forgiven. */
	expect_refusal(
	    "providers: {openai: {api_keys: [env:LZ_UNSET], optional: true, region: 5}}",
	    "region: 5 is not a text");
}

static void
a_vendors_own_variable_goes_to_the_vendor_only(void **state)
{
	struct config *c;

	(void)state;
	(void)setenv("OPENAI_API_KEY", "sk-vendor", 1);
	c = load_fine("providers: {openai: {}, other: {plugin: openai, base_url: "
		      "'http://127.0.0.1:1/v1'}}");
	assert_int_equal(c->provider[0].api_key_count, 1);
	assert_true(str_is(c->provider[0].api_keys[0], "sk-vendor"));
	assert_int_equal(c->provider[1].api_key_count, 0);
	drop(c);
	(void)unsetenv("OPENAI_API_KEY");
}

static void
offline_checks_form_and_resolves_nothing(void **state)
{
	unsigned made = fake_made;
	struct config *c = load_with((struct config_options){ .is_offline = true },
	    "listen: env:L\nworkers: env:W\nsecrets: {master: "
	    "file:/nonexistent}\nproviders:\n"
	    "  openai: {}\n  local: {plugin: compatible, base_url: env:URL, api_keys: "
	    "[env:K]}\n"
	    "keys: {a: {secret: env:A, routing_strategy: balanced}, b: {secret: "
	    "env:A}}\n");

	(void)state;
	if (c == NULL)
		fail_msg("%s", told.ptr);
	assert_int_equal(fake_made, made);
	assert_null(c->provider[0].part);
	assert_non_null(c->provider[0].info);
	drop(c);
	assert_null(
	    load_with((struct config_options){ .is_offline = true }, "workers: x"));
}

static void
a_complaint_is_one_line_and_has_its_place(void **state)
{
	(void)state;
	expect_refusal("listen: \"a\\nb\\e[2J\"\nproviders: {}\n", "a b [2J");
	expect_refusal("TRUE", "latenza.yaml:1: the file is not a map");
}

static void
a_plugin_that_does_not_start_is_an_error_of_its_provider(void **state)
{
	(void)state;
	fake_refuses = true;
	expect_refusal("plugins: []\nproviders:\n  echo: {}\n",
	    "latenza.yaml:3: providers.echo: does not start today");
	fake_refuses = false;
}

static void
paths_start_at_the_files_folder(void **state)
{
	char folder[] = "/tmp/latenza-config-XXXXXX", path[80], secret[80];
	struct config_options o = { .path = path };
	struct err e = { "" };
	struct config *c;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/latenza.yaml", folder);
	(void)snprintf(secret, sizeof(secret), "%s/key", folder);
	f = fopen(path, "w");
	(void)fputs("data: d\nproviders:\n  openai: {api_keys: file:key}\n"
		    "  f: {plugin: fancy, base_url: 'http://a', token: file:key}\n",
	    f);
	(void)fclose(f);
	f = fopen(secret, "w");
	(void)fputs("sk-from-file\n", f);
	(void)fclose(f);
	(void)chmod(secret, 0600);
	c = config_load(&o, NULL, &e);
	if (c == NULL)
		fail_msg("%s", e.text);
	assert_true(str_is(c->provider[0].api_keys[0], "sk-from-file"));
	assert_int_equal(c->data.len, strlen(folder) + 2);
	assert_string_equal(c->path, path);
	(void)snprintf(path + strlen(path), 1, "%s", "");
	{
		char wanted[100];

		(void)snprintf(wanted, sizeof(wanted), "file:%s", secret);
		assert_true(
		    str_is(json_get_str(c->provider[1].part->options, "token"), wanted));
	}
	drop(c);
	(void)unlink(path);
	(void)unlink(secret);
	assert_null(config_load(&o, NULL, &e));
	assert_non_null(strstr(e.text, "latenza.yaml: cannot be opened: No such file"));
	o.path = folder;
	assert_null(config_load(&o, NULL, &e));
	assert_non_null(strstr(e.text, "cannot be read: Is a directory"));
	(void)rmdir(folder);
}

/* ---- reload ---- */

static void
parts_whose_inputs_are_the_same_are_shared_with_the_configuration_before(void **state)
{
	static const char text[] = "providers:\n  f: {plugin: fancy, base_url: "
				   "'http://a', token: env:LZ_KEY}\n  echo: {}\n";
	struct config *a = load_fine(text), *b, *c;

	(void)state;
	b = load_with((struct config_options){ .before = a },
	    "providers:\n  f: {plugin: fancy, base_url: 'http://b', token: env:LZ_KEY, "
	    "depth: 3}\n  echo: {}\n");
	assert_non_null(b);
	assert_ptr_equal(
	    a->provider[0].part, b->provider[0].part); /* depth: 3 is its default */
	assert_ptr_equal(a->provider[1].part, b->provider[1].part);
	assert_ptr_equal(a->router[0], b->router[0]);
	(void)setenv("LZ_KEY", "sk-canary-another-one", 1);
	c = load_with((struct config_options){ .before = b }, text);
	(void)setenv("LZ_KEY", "sk-canary-0123456789", 1);
	assert_non_null(c);
	assert_ptr_not_equal(
	    b->provider[0].part, c->provider[0].part); /* its secret changed */
	assert_ptr_equal(b->provider[1].part, c->provider[1].part);
	drop(a);
	drop(b);
	assert_string_equal(c->provider[1].part->name, "echo");
	drop(c);
}

static void
a_wrong_file_gives_back_all_it_made(void **state)
{
	unsigned alive = fake_made - fake_destroyed;

	(void)state;
	expect_refusal("providers: {echo: {}, f: {plugin: fancy, base_url: "
		       "'http://a'}}\nkeys: {a: {}}\n",
	    "keys.a");
	assert_int_equal(fake_made - fake_destroyed, alive);
}

static void *
let_go(void *arg)
{
	config_unref(arg);
	return NULL;
}

static void
the_last_reference_may_fall_on_any_thread_and_parts_die_on_main(void **state)
{
	unsigned destroyed;
	pthread_t thread;
	struct config *c = load_fine("providers: {echo: {}}");

	(void)state;
	config_ref(c);
	config_unref(c);
	destroyed = fake_destroyed;
	assert_int_equal(pthread_create(&thread, NULL, let_go, c), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(fake_destroyed, destroyed);
	config_reap();
	assert_int_equal(fake_destroyed, destroyed + 4);
	config_reap();
}

static void
expect_diff(const char *from, const char *to, const char *wanted)
{
	struct config *a = load_fine(from), *b = load_fine(to);
	struct buf out;

	buf_init(&out, 1 << 16);
	config_diff(a, b, &out);
	buf_add_char(&out, '\0');
	assert_string_equal(out.ptr, wanted);
	buf_free(&out);
	drop(a);
	drop(b);
}

static void
a_diff_tells_what_a_reload_would_change_without_a_secret(void **state)
{
	static const char base[] = "providers: {echo: {}}\nkeys: {backend: {secret: "
				   "env:LZ_KEY, rate_limit: 120}}\n";

	(void)state;
	expect_diff(base, base, "");
	expect_diff(base,
	    "providers: {echo: {}}\nkeys: {backend: {secret: env:LZ_KEY, rate_limit: "
	    "60}}\n",
	    "~ keys.backend.rate_limit 120 -> 60\n");
	expect_diff(base,
	    "providers: {echo: {}, local: {plugin: compatible, base_url: "
	    "'http://a'}}\nkeys: {backend: {secret: env:LZ_KEY, "
	    "rate_limit: 120}}\nlimits: {in_flight: 5}\n",
	    "~ limits.in_flight 10000 -> 5\n+ providers.local\n");
	expect_diff(base, "providers: {echo: {}}\n", "- keys.backend\n");
	expect_diff("providers: {openai: {api_keys: [canary-1]}}\nkeys: {k: {secret: "
		    "canary-0123456789-1}}\n",
	    "providers: {openai: {api_keys: [canary-2]}}\nkeys: {k: {secret: "
	    "canary-0123456789-2}}\n",
	    "~ providers.openai.api_keys (a secret changed)\n~ keys.k (its secret "
	    "changed)\n");
}

/* ---- told to others ---- */

static void
what_is_shown_holds_no_secret(void **state)
{
	struct config *c = load_fine(
	    "secrets: {master: literal-canary}\nproviders:\n"
	    "  openai: {api_keys: [literal-canary, env:LZ_KEY], headers: {x-a: "
	    "literal-canary, x-b: "
	    "env:LZ_KEY}, proxy: 'http://u:canary@p:1'}\n"
	    "  f: {plugin: fancy, base_url: 'http://a', token: literal-canary}\n"
	    "keys: {a: {secret: literal-canary-0123}}\n");
	json_t *shown = config_shown(c);
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	assert_true(json_print(shown, &text));
	buf_add_char(&text, '\0');
	assert_null(strstr(text.ptr, "canary"));
	assert_non_null(strstr(text.ptr, "[\"***\",\"env:LZ_KEY\"]"));
	assert_non_null(strstr(text.ptr, "\"x-b\":\"env:LZ_KEY\""));
	assert_non_null(strstr(text.ptr, "\"depth\":3"));
	assert_non_null(strstr(text.ptr, "\"listen\":[\"127.0.0.1:8080\"]"));
	assert_non_null(strstr(text.ptr, "\"default\":\"balanced\""));
	assert_non_null(strstr(text.ptr, "\"body_bytes\":\"32MiB\""));
	assert_non_null(strstr(text.ptr, "\"base_url\":\"https://api.openai.com/v1\""));
	buf_free(&text);
	json_decref(shown);
	drop(c);
}

static void
the_schema_is_of_the_same_rows(void **state)
{
	json_t *s = config_schema();
	const json_t *p = json_object_get(s, "properties");
	const json_t *provider =
	    json_object_get(json_object_get(p, "providers"), "additionalProperties");
	const json_t *key =
	    json_object_get(json_object_get(p, "keys"), "additionalProperties");

	(void)state;
	assert_true(str_starts(
	    json_get_str(s, "$schema"), "https://json-schema.org/draft/2020-12"));
	assert_non_null(json_object_get(p, "listen"));
	assert_non_null(json_object_get(
	    json_object_get(json_object_get(p, "limits"), "properties"), "body_bytes"));
	assert_non_null(
	    json_object_get(json_object_get(provider, "properties"), "base_url"));
	assert_non_null(
	    json_object_get(json_object_get(provider, "properties"), "depth"));
	assert_non_null(json_object_get(json_object_get(key, "properties"), "secret"));
	assert_non_null(
	    json_object_get(json_object_get(key, "properties"), "rate_limit"));
	assert_non_null(json_object_get(p, "guardrails"));
	json_decref(s);
}

/* Every file that loads satisfies the schema that editors get, as far as we can match it
 * ourselves. */
static void
what_loads_fits_the_schema(void **state)
{
	struct yaml_source *source;
	json_t *file = yaml_parse(lz_strz(whole), "f", &source, NULL),
	       *schema = config_schema();
	struct err e = { "" };

	(void)state;
	assert_non_null(file);
	if (options_match(schema, file, &e) != ST_OK)
		fail_msg("%s", e.text);
	json_decref(file);
	json_decref(schema);
	yaml_source_free(source);
}

static void
warnings_point_at_what_may_not_be_meant(void **state)
{
	struct config *c =
	    load_fine("fx: {eur_per_usd: 0.9}\nproviders:\n  echo:\n    models:\n"
		      "    - {id: m, context_window: 100, max_output_tokens: 200, "
		      "price_input_per_mtok: 1}\n"
		      "keys: {a: {secret: env:LZ_KEY, model_allowlist: [mm, gpt-4o, "
		      "'gpt-4*', 'm*', 'echo/*', '*', 'x*', 'other/*', "
		      "latenza/balanced], "
		      "expires_at: 2001-01-01}}\n");

	(void)state;
	expect_warning(c, "latenza.yaml:1: fx: has no date");
	expect_warning(c, "latenza.yaml:5: providers.echo.models.max_output_tokens: 200 "
			  "is larger than context_window, 100");
	expect_warning(c, "has only one of price_input_per_mtok");
	expect_warning(c, "keys.a.expires_at: lies in the past");
	expect_warning(
	    c, "keys.a.model_allowlist: no provider serves \"mm\"; did you mean \"m\"?");
	expect_warning(c, "keys.a.model_allowlist: no provider serves \"x*\"");
	expect_warning(c, "keys.a.model_allowlist: no provider serves \"other/*\"");
	assert_int_equal(c->warning_count, 7);
	drop(c);
	c = load_fine("providers: {echo: {}}\nkeys: {a: {secret: env:LZ_KEY, "
		      "budget_monthly_eur: 5}}\n");
	expect_warning(c, "has a budget in euro, and fx.eur_per_usd is not given");
	drop(c);
}

static void
the_file_is_looked_for_in_order(void **state)
{
	char folder[] = "/tmp/latenza-find-XXXXXX", before[4096], out[1024], path[64];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	(void)unsetenv("LATENZA_CONFIG");
	(void)setenv("XDG_CONFIG_HOME", folder, 1);
	assert_true(config_find("given.yaml", out, sizeof(out)));
	assert_string_equal(out, "given.yaml");
	if (access("/etc/latenza/latenza.yaml", F_OK) != 0) {
		assert_false(config_find(NULL, out, sizeof(out)));
		assert_non_null(strstr(out, "./latenza.yaml, "));
		assert_non_null(
		    strstr(out, "/latenza/latenza.yaml, /etc/latenza/latenza.yaml"));
	}
	(void)snprintf(path, sizeof(path), "%s/latenza", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)close(open("latenza/latenza.yaml", O_CREAT | O_WRONLY, 0600));
	assert_true(config_find(NULL, out, sizeof(out)));
	assert_true(str_ends(lz_strz(out), "/latenza/latenza.yaml"));
	(void)close(open("latenza.yaml", O_CREAT | O_WRONLY, 0600));
	assert_true(config_find(NULL, out, sizeof(out)));
	assert_string_equal(out, "./latenza.yaml");
	(void)setenv("LATENZA_CONFIG", "/from/the/environment", 1);
	assert_true(config_find(NULL, out, sizeof(out)));
	assert_string_equal(out, "/from/the/environment");
	(void)unsetenv("LATENZA_CONFIG");
	(void)unsetenv("XDG_CONFIG_HOME");
	(void)unlink("latenza.yaml");
	(void)unlink("latenza/latenza.yaml");
	(void)rmdir("latenza");
	assert_int_equal(chdir(before), 0);
	(void)rmdir(folder);
}

static int
fail_at(size_t n, void *arg)
{
	unsigned *left = arg;

	(void)n;
	return (*left)-- == 0;
}

/* Memory may run out anywhere: an answer, nothing leaked, nothing crashed. */
static void
memory_that_runs_out_is_answered_wherever_it_does(void **state)
{
	struct config_options o = {
		.text = STR_LIT(
		    "providers: {echo: {models: [echo-1, {id: x, aliases: "
		    "[y], price_tiers: [{above: 5, price_input_per_mtok: 1}]}]}}\n"
		    "models: {m: {to: [{provider: echo, model: echo-1}]}}\n"
		    "keys: {a: {secret: env:LZ_KEY, budget_monthly_eur: 5}}\n")
	};
	bool was_whole = false;

	(void)state;
	for (unsigned k = 0; !was_whole; k += k < 400 ? 1 : 97) {
		unsigned left = k;
		struct err e = { "" };
		struct config *c;

		mem_set_fault(fail_at, &left);
		c = config_load(&o, NULL, &e);
		mem_set_fault(NULL, NULL);
		if (c == NULL)
			assert_string_not_equal(e.text, "");
		was_whole = left <= k; /* else it wrapped: one allocation failed */
		drop(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_has_the_published_defaults),
		cmocka_unit_test(everything_that_can_be_said_is_understood),
		cmocka_unit_test(json_says_the_same),
		cmocka_unit_test(the_command_line_replaces_listen_and_adds_plugins),
		cmocka_unit_test(nonsense_is_named_with_its_line),
		cmocka_unit_test(all_errors_of_a_file_are_told_each_on_its_line),
		cmocka_unit_test(
		    literal_secrets_work_and_are_warned_of_without_showing_them),
		cmocka_unit_test(optional_objects_without_their_secret_are_left_out),
		cmocka_unit_test(a_vendors_own_variable_goes_to_the_vendor_only),
		cmocka_unit_test(offline_checks_form_and_resolves_nothing),
		cmocka_unit_test(a_complaint_is_one_line_and_has_its_place),
		cmocka_unit_test(
		    a_plugin_that_does_not_start_is_an_error_of_its_provider),
		cmocka_unit_test(paths_start_at_the_files_folder),
		cmocka_unit_test(
		    parts_whose_inputs_are_the_same_are_shared_with_the_configuration_before),
		cmocka_unit_test(a_wrong_file_gives_back_all_it_made),
		cmocka_unit_test(
		    the_last_reference_may_fall_on_any_thread_and_parts_die_on_main),
		cmocka_unit_test(
		    a_diff_tells_what_a_reload_would_change_without_a_secret),
		cmocka_unit_test(what_is_shown_holds_no_secret),
		cmocka_unit_test(the_schema_is_of_the_same_rows),
		cmocka_unit_test(what_loads_fits_the_schema),
		cmocka_unit_test(warnings_point_at_what_may_not_be_meant),
		cmocka_unit_test(the_file_is_looked_for_in_order),
		cmocka_unit_test(memory_that_runs_out_is_answered_wherever_it_does),
	};

	return cmocka_run_group_tests(tests, config_set_up, config_tear_down);
}
