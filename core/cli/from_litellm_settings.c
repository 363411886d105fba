/* from_litellm_settings.c - everything of a config.yaml but model_list: routing, limits,
 * the master key, and what has no twin.
 *
 * Retries, timeouts and fallbacks may stand under router_settings and litellm_settings;
 * the router's go first, as they do there.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/json.h"
#include "cli/from_litellm.h"

enum {
	SHORT_SECRET = 16,
	HOURS_A_DAY = 24
};

/* ---- strategies ---- */

static const struct {
	const char *name, *router; /* NULL: shares by weight, no router */
	const char *says;          /* NULL: it is the same */
} strategies[] = {
	{ "simple-shuffle", NULL, NULL },
	{ "cost-based-routing", "cheapest", NULL },
	{ "latency-based-routing", "fastest", NULL },
	{ "least-busy", NULL,
	    "has no twin: deployments take their shares by weight; routing.default: "
	    "fastest goes by measured times" },
	{ "usage-based-routing", NULL,
	    "has no twin: deployments take their shares by weight, and one that is at "
	    "its limit is left alone for as long as it says" },
	{ "usage-based-routing-v2", NULL,
	    "has no twin: deployments take their shares by weight, and one that is at "
	    "its limit is left alone for as long as it says" },
};

void
litellm_strategy(struct litellm *l)
{
	struct from *f = l->f;
	const json_t *router = from_map(f, f->root, "router_settings", "");
	const char *name = from_text(f, router, "routing_strategy", "router_settings");

	if (json_object_get(router, "routing_strategy") != NULL && name == NULL)
		return;
	name = name != NULL ? name : "simple-shuffle";
	for (size_t i = 0; i < sizeof(strategies) / sizeof(strategies[0]); i++) {
		if (strcmp(name, strategies[i].name) != 0)
			continue;
		f->has_shares = strategies[i].router == NULL;
		if (!f->has_shares)
			(void)json_object_set_new(
			    f->routing, "default", json_string(strategies[i].router));
		if (strategies[i].says != NULL)
			from_say(f, FROM_NO_TWIN, router, "routing_strategy",
			    "router_settings", "%s %s", name, strategies[i].says);
		return;
	}
	from_say(f, FROM_ERROR, router, "routing_strategy", "router_settings",
	    "\"%s\" is not a strategy of LiteLLM; it has simple-shuffle, least-busy, "
	    "latency-based-routing, cost-based-routing, usage-based-routing and "
	    "usage-based-routing-v2",
	    name);
}

/* ---- fallbacks ---- */

struct settings {
	struct from *f;
	const json_t *router, *module, *general;
	size_t longest; /* list of fallbacks */
};

/* The deployments of `from` after those of `to`, in their order. */
static void
append_group(struct from *f, const char *to, const json_t *deployments)
{
	const json_t *d;
	size_t i;

	json_array_foreach(deployments, i, d)
	{
		json_t *facts = json_deep_copy(d);

		(void)json_object_del(facts, "provider");
		(void)json_object_del(facts, "model");
		(void)json_object_del(facts, "weight");
		from_deployment(f, to, json_string_value(json_object_get(d, "provider")),
		    json_string_value(json_object_get(d, "model")), 0, facts);
	}
}

static const json_t *
deployments_of(const json_t *models, const char *name)
{
	return json_object_get(json_object_get(models, name), "to");
}

/* Said by its mode, else by its name: a name is of chat models or of embedding models. */
static bool
makes_vectors(const json_t *deployments)
{
	const json_t *first = json_array_get(deployments, 0);
	const char *mode = json_string_value(json_object_get(first, "mode"));
	const char *model = json_string_value(json_object_get(first, "model"));

	if (mode != NULL)
		return strcmp(mode, "embedding") == 0;
	return model != NULL && strstr(model, "embed") != NULL;
}

/* before: names as they were before any got fallbacks: a fallback's own do not follow. */
static void
add_fallbacks(struct settings *s, const json_t *before, const char *name,
    const json_t *list, const json_t *holder, const char *where)
{
	const json_t *one;
	size_t i;

	if (!json_is_array(list)) {
		from_say(s->f, FROM_ERROR, holder, name, where, "is not a list of names");
		return;
	}
	if (deployments_of(before, name) == NULL) {
		from_say(s->f, FROM_NO_TWIN, holder, name, where,
		    "is not a name of model_list that was converted; its fallbacks were "
		    "left out");
		return;
	}
	if (json_array_size(list) > s->longest)
		s->longest = json_array_size(list);
	json_array_foreach(list, i, one)
	{
		const char *other = json_string_value(one);
		const json_t *to = other != NULL ? deployments_of(before, other) : NULL;

		if (to != NULL &&
		    makes_vectors(to) != makes_vectors(deployments_of(before, name)))
			from_say(s->f, FROM_NO_TWIN, holder, name, where,
			    "the fallback \"%s\" of \"%s\" was left out: a name is of "
			    "chat "
			    "models or of embedding models",
			    other, name);
		else if (to != NULL && strcmp(other, name) != 0)
			append_group(s->f, name, to);
		else if (to == NULL)
			from_say(s->f, FROM_NO_TWIN, holder, name, where,
			    "the fallback \"%s\" is not a name of model_list that was "
			    "converted; it was left out",
			    other != NULL ? other : "that is not a text");
	}
}

static void
read_fallback_list(struct settings *s, const json_t *before, const json_t *section,
    const char *member, const char *title, json_t *seen)
{
	const json_t *list = from_list(s->f, section, member, title), *one, *names;
	char where[FROM_WHERE];
	const char *name;
	size_t i;

	json_array_foreach(list, i, one)
	{
		(void)snprintf(where, sizeof(where), "%s.%s[%zu]", title, member, i);
		if (!json_is_object(one))
			from_say(s->f, FROM_ERROR, section, member, title,
			    "entry %zu is not a map { NAME: [NAME, ...] }", i);
		json_object_foreach((json_t *)(uintptr_t)one, name, names)
		{
			add_fallbacks(s, before, name, names, one, where);
			(void)json_object_set_new(seen, name, json_true());
		}
	}
}

static void
read_default_fallbacks(struct settings *s, const json_t *before, const json_t *section,
    const char *title, const json_t *seen)
{
	const json_t *list = from_list(s->f, section, "default_fallbacks", title);
	char where[FROM_WHERE];
	const char *name;
	json_t *ignored;

	if (json_array_size(list) == 0)
		return;
	(void)snprintf(where, sizeof(where), "%s.default_fallbacks", title);
	json_object_foreach((json_t *)(uintptr_t)before, name, ignored)
	{
		if (json_object_get(seen, name) == NULL)
			add_fallbacks(s, before, name, list, section, where);
	}
}

static void
read_fallbacks(struct settings *s)
{
	json_t *before = json_deep_copy(s->f->models), *seen = json_object();
	static const char *const members[] = { "fallbacks", "context_window_fallbacks",
		NULL };

	for (size_t i = 0; members[i] != NULL; i++) {
		const json_t *held = json_object_get(s->router, members[i]);
		bool is_routers = !from_is_empty(held);

		if (is_routers && !from_is_empty(json_object_get(s->module, members[i])))
			from_say(s->f, FROM_NO_TWIN, s->module, members[i],
			    "litellm_settings",
			    "was left out: router_settings has %s of its own",
			    members[i]);
		read_fallback_list(s, before, is_routers ? s->router : s->module,
		    members[i], is_routers ? "router_settings" : "litellm_settings",
		    seen);
		if (i == 1 && json_array_size(json_object_get(
				  is_routers ? s->router : s->module, members[i])) > 0)
			from_say(s->f, FROM_REMARK, is_routers ? s->router : s->module,
			    members[i],
			    is_routers ? "router_settings" : "litellm_settings",
			    "stand behind the others, as fallbacks do: a prompt that is "
			    "too long for those goes to them, and so does a request "
			    "whose other deployments fail");
	}
	read_default_fallbacks(s, before, s->router, "router_settings", seen);
	read_default_fallbacks(s, before, s->module, "litellm_settings", seen);
	if (s->longest > 0 && !s->f->has_shares)
		from_say(s->f, FROM_NO_TWIN, s->f->root, "router_settings", "",
		    "names with fallbacks go by weights and not by routing.default; a "
		    "key's routing_strategy goes before both");
	json_decref(before);
	json_decref(seen);
}

/* ---- aliases ---- */

static void
add_alias(struct settings *s, const json_t *map, const char *where, const char *alias,
    const json_t *value)
{
	const json_t *to;
	const char *name = json_string_value(
	    json_is_object(value) ? json_object_get(value, "model") : value);

	if (name == NULL) {
		from_say(s->f, FROM_ERROR, map, alias, where,
		    "is neither a name nor a map with model");
		return;
	}
	if (json_is_true(json_object_get(value, "hidden")))
		from_say(s->f, FROM_NO_TWIN, map, alias, where,
		    "is listed by /v1/models to those who may use it; it cannot be "
		    "hidden");
	to = deployments_of(s->f->models, name);
	if (to != NULL && !from_is_name(s->f, map, alias, where, alias))
		return;
	if (to == NULL || deployments_of(s->f->models, alias) != NULL) {
		from_say(s->f, FROM_NO_TWIN, map, alias, where,
		    to == NULL ? "leads to \"%s\", which is not a name that was "
				 "converted; it was left out"
			       : "is a name of its own already; the alias of \"%s\" was "
				 "left out",
		    name);
		return;
	}
	(void)json_object_set_new(
	    s->f->models, alias, json_pack("{s:o}", "to", json_deep_copy(to)));
}

static void
read_aliases(
    struct settings *s, const json_t *section, const char *member, const char *title)
{
	const json_t *map = from_map(s->f, section, member, title);
	char where[FROM_WHERE];
	const char *alias;
	json_t *value;

	(void)snprintf(where, sizeof(where), "%s.%s", title, member);
	json_object_foreach((json_t *)(uintptr_t)map, alias, value)
	{
		add_alias(s, map, where, alias, value);
	}
}

/* ---- retries, time ---- */

static void
read_retries(struct settings *s)
{
	bool is_routers = json_object_get(s->router, "num_retries") != NULL;
	const json_t *section = is_routers ? s->router : s->module;
	const char *title = is_routers ? "router_settings" : "litellm_settings";
	double n;

	if (from_number(s->f, section, "num_retries", title, 0, &n))
		from_attempts(
		    s->f, section, "num_retries", title, n + 1 + (double)s->longest);
	else if (s->longest > 2)
		from_attempts(
		    s->f, s->f->root, NULL, "fallbacks", 1 + (double)s->longest);
}

static void
read_timeout(struct settings *s)
{
	double seconds;

	if (from_number(s->f, s->router, "timeout", "router_settings", 0, &seconds))
		from_timeout(
		    s->f, s->router, "timeout", "router_settings", seconds * 1000);
	else if (from_number(
		     s->f, s->module, "request_timeout", "litellm_settings", 0, &seconds))
		from_timeout(s->f, s->module, "request_timeout", "litellm_settings",
		    seconds * 1000);
}

/* ---- general_settings ---- */

static void
read_master_key(struct settings *s)
{
	struct from *f = s->f;
	const char *text = from_text(f, s->general, "master_key", "general_settings");
	char value[FROM_VALUE], hex[2 * CRYPTO_HASH_BYTES + 1];
	uint8_t hash[CRYPTO_HASH_BYTES];
	json_t *key;

	if (text == NULL || *text == '\0')
		return;
	key = json_pack("{s:s}", "name", "Master key of LiteLLM");
	if (from_reference(f, text, value)) {
		(void)json_object_set_new(key, "secret", json_string(value));
	} else {
		crypto_sha256(lz_strz(text), hash);
		crypto_hex(hash, sizeof(hash), hex);
		(void)json_object_set_new(key, "secret_sha256", json_string(hex));
	}
	(void)json_object_set_new(f->keys, "master", key);
	from_say(f, FROM_REMARK, s->general, "master_key", "general_settings",
	    "became the key `master`, which sends requests without a limit and manages "
	    "nothing%s; roll it or remove it when nobody sends it any more",
	    strncmp(value, "env:", 4) != 0 && strlen(text) < SHORT_SECRET
		? ", and is short enough to be guessed"
		: "");
}

static void
read_limits(struct settings *s)
{
	const char *kept = from_text(
	    s->f, s->general, "maximum_spend_logs_retention_period", "general_settings");
	double n, days = 0;
	char *end = NULL;

	if (from_number(s->f, s->general, "global_max_parallel_requests",
		"general_settings", 1, &n))
		(void)json_object_set_new(s->f->limits, "in_flight",
		    json_integer((json_int_t)fmin(n, 1000000)));
	if (!json_is_true(json_object_get(s->general, "store_prompts_in_spend_logs")))
		(void)json_object_set_new(s->f->log, "content", json_string("meta"));
	if (kept == NULL)
		return;
	days = strtod(kept, &end);
	if (strcmp(end, "h") == 0)
		days /= HOURS_A_DAY;
	if (strcmp(end, "w") == 0)
		days *= 7;
	if ((strcmp(end, "d") != 0 && strcmp(end, "h") != 0 && strcmp(end, "w") != 0) ||
	    !(days >= 1 && days <= 3660))
		from_say(s->f, FROM_NO_TWIN, s->general,
		    "maximum_spend_logs_retention_period", "general_settings",
		    "\"%s\" is not a time from 1d to 3660d; write retention.traces",
		    kept);
	else
		(void)json_object_set_new(
		    s->f->retention, "traces", json_sprintf("%ldd", lround(days)));
}

/* ---- what has no twin ---- */

#define ALWAYS "is always so here; there is nothing to set"
#define HEALTH                                                                           \
	"is decided by the gateway: who fails rests, longer each time, beginning with "  \
	"routing.backoff_ms"
#define REDIS   "has no twin: one process holds all state, without Redis"
#define CACHING "has no twin: answers are not cached; cache them in the application"
#define ON_KEYS "has no twin for all keys at once; write it to each key"

static const struct from_member router_members[] = {
	{ "routing_strategy", NULL },
	{ "model_group_alias", NULL },
	{ "fallbacks", NULL },
	{ "context_window_fallbacks", NULL },
	{ "default_fallbacks", NULL },
	{ "num_retries", NULL },
	{ "timeout", NULL },
	{ "content_policy_fallbacks", "has no twin: a refusal for its content is the "
				      "answer; ask another model from "
				      "the application" },
	{ "stream_timeout", "has no limit of its own here; "
			    "routing.first_byte_timeout_ms is for streams and whole "
			    "answers" },
	{ "routing_strategy_args", "has no twin; routers are used with their defaults" },
	{ "max_fallbacks", "has no twin; routing.attempts limits them" },
	{ "retry_after", "has no twin; routing.backoff_ms is the first wait, and a "
			 "provider's Retry-After goes before" },
	{ "retry_policy", "has no twin; which failures go to the next is the gateway's "
			  "rule, and routing.attempts limits them" },
	{ "model_group_retry_policy", "has no twin; routing.attempts is for all names" },
	{ "allowed_fails", HEALTH },
	{ "allowed_fails_policy", HEALTH },
	{ "cooldown_time", HEALTH },
	{ "disable_cooldowns", "has no twin; a target that fails always rests" },
	{ "enable_pre_call_checks", FROM_ALWAYS },
	{ "optional_pre_call_checks",
	    "has no twin but routing.sticky_ms, which keeps a session where it was "
	    "served" },
	{ "enable_tag_filtering", "has no twin; give each tag a name in models:" },
	{ "tag_filtering_match_any", "has no twin; give each tag a name in models:" },
	{ "default_max_parallel_requests",
	    "is not limited for deployments; write max_in_flight to keys" },
	{ "default_litellm_params", "is not added to requests; callers send it" },
	{ "provider_budget_config", "has no twin; write budgets to keys" },
	{ "redis_host", REDIS },
	{ "redis_port", REDIS },
	{ "redis_password", REDIS },
	{ "redis_url", REDIS },
	{ "redis_db", REDIS },
	{ "cache_responses", CACHING },
	{ "cache_kwargs", CACHING },
	{ "caching_groups", CACHING },
	{ "debug_level", "has no twin for routing alone; log.level: debug logs more" },
	{ "set_verbose", "has no twin; log.level: debug logs more" },
	{ "ignore_invalid_deployments",
	    "has no twin: a wrong configuration is refused as a whole; optional: true "
	    "lets a provider go without its secret" },
	{ NULL, NULL },
};

static const struct from_member module_members[] = {
	{ "num_retries", NULL },
	{ "request_timeout", NULL },
	{ "fallbacks", NULL },
	{ "context_window_fallbacks", NULL },
	{ "default_fallbacks", NULL },
	{ "model_alias_map", NULL },
	{ "content_policy_fallbacks", "has no twin: a refusal for its content is the "
				      "answer; ask another model from "
				      "the application" },
	{ "drop_params", "is not general here: what a provider does not take is listed "
			 "under its drop:, as the presets do" },
	{ "modify_params", "has no twin; requests are translated and not mended" },
	{ "allowed_fails", HEALTH },
	{ "cooldown_time", HEALTH },
	{ "success_callback", LITELLM_LOGGING },
	{ "failure_callback", LITELLM_LOGGING },
	{ "callbacks", NULL },
	{ "output_parse_pii", NULL },
	{ "presidio_logging_only", NULL },
	{ "prompt_injection_params", "were not converted; write options to a guardrail "
				     "with use: injection" },
	{ "service_callbacks", LITELLM_LOGGING },
	{ "langfuse_default_tags", LITELLM_LOGGING },
	{ "turn_off_message_logging", "is log.content: meta or off here" },
	{ "redact_user_api_key_info", FROM_ALWAYS },
	{ "cache", CACHING },
	{ "cache_params", CACHING },
	{ "max_budget", ON_KEYS },
	{ "budget_duration", ON_KEYS },
	{ "max_user_budget", ON_KEYS },
	{ "internal_user_budget_duration", ON_KEYS },
	{ "max_internal_user_budget", ON_KEYS },
	{ "default_internal_user_params", ON_KEYS },
	{ "default_key_generate_params", ON_KEYS },
	{ "upperbound_key_generate_params", ON_KEYS },
	{ "key_generation_settings", ON_KEYS },
	{ "default_team_settings", ON_KEYS },
	{ "json_logs", FROM_ALWAYS },
	{ "set_verbose", "has no twin; log.level: debug logs more" },
	{ "force_ipv4", "has no twin; let the system's resolver prefer IPv4" },
	{ "ssl_verify", "has no twin: certificates are always checked; name your own "
			"under a provider's ca_file" },
	{ "telemetry", "has no twin: nothing is sent to anybody" },
	{ "enable_json_schema_validation", "has no twin; check answers where they are "
					   "used" },
	{ "guardrails", NULL },
	{ "mcp_aliases", "has no twin: MCP is not served" },
	{ NULL, NULL },
};

static const struct from_member general_members[] = {
	{ "master_key", NULL },
	{ "global_max_parallel_requests", NULL },
	{ "store_prompts_in_spend_logs", NULL },
	{ "maximum_spend_logs_retention_period", NULL },
	{ "maximum_spend_logs_retention_interval", FROM_ALWAYS },
	{ "database_url", "has no twin: keys, traces and spend are in `data`; bring keys "
			  "over with --keys" },
	{ "database_connection_pool_limit", "has no twin: there is no database server" },
	{ "database_connection_timeout", "has no twin: there is no database server" },
	{ "store_model_in_db", "has no twin: models stand in this file; those of the "
			       "database were not converted" },
	{ "allow_requests_on_db_unavailable",
	    "has no twin: there is no database server" },
	{ "disable_spend_logs", "has no twin; log.content: off keeps no texts" },
	{ "disable_spend_updates", "has no twin: what is spent is always counted" },
	{ "disable_master_key_return", FROM_ALWAYS },
	{ "max_parallel_requests",
	    "is not limited for deployments; write max_in_flight to keys" },
	{ "completion_model", "has no twin: callers name a model" },
	{ "alerting", LITELLM_LOGGING },
	{ "alerting_threshold", LITELLM_LOGGING },
	{ "alert_types", LITELLM_LOGGING },
	{ "alerting_args", LITELLM_LOGGING },
	{ "background_health_checks", "has no twin: requests show who is healthy; "
				      "`latenza provider test` asks" },
	{ "health_check_interval", "has no twin: requests show who is healthy" },
	{ "custom_auth", "has no twin; give clients keys" },
	{ "enable_jwt_auth", "has no twin; give clients keys" },
	{ "litellm_jwtauth", "has no twin; give clients keys" },
	{ "allowed_routes", "has no twin: every key may use all of /v1" },
	{ "pass_through_endpoints", "has no twin; only /v1 is served" },
	{ "forward_client_headers_to_llm_api",
	    "has no twin: clients' headers do not reach providers; write a provider's "
	    "headers" },
	{ "enforce_user_param", "has no twin; check it in the application" },
	{ "key_management_system", "has no twin; secrets come from env:, file: or "
				   "credential:" },
	{ "key_management_settings", "has no twin; secrets come from env:, file: or "
				     "credential:" },
	{ "proxy_batch_write_at", "has no twin: spend is written before an answer ends" },
	{ "proxy_budget_rescheduler_min_time", FROM_ALWAYS },
	{ "proxy_budget_rescheduler_max_time", FROM_ALWAYS },
	{ "infer_model_from_keys", "has no twin: `latenza init` without --from reads the "
				   "environment" },
	{ "allowed_ips", "has no twin for all keys at once; write allowed_ips to keys" },
	{ "max_request_size_mb", "is limits.body_bytes here" },
	{ NULL, NULL },
};

static const struct from_member sections[] = {
	{ "model_list", NULL },
	{ "router_settings", NULL },
	{ "litellm_settings", NULL },
	{ "general_settings", NULL },
	{ "credential_list", NULL },
	{ "environment_variables",
	    "was not copied: set these variables in the gateway's environment" },
	{ "include", "was not followed; put what those files say into one and convert "
		     "that" },
	{ "guardrails", NULL },
	{ "mcp_servers", "has no twin: MCP is not served" },
	{ "mcp_tools", "has no twin: MCP is not served" },
	{ "search_tools", "has no twin: such tools are called by the application" },
	{ "vector_store_registry", "has no twin: ask the store from the application" },
	{ "prompts", "has no twin: prompts are the application's" },
	{ "callback_settings", LITELLM_LOGGING },
	{ "assistant_settings", "has no twin; only /v1/chat/completions and "
				"/v1/embeddings are served" },
	{ "files_settings", "has no twin: files are not served" },
	{ "finetune_settings", "has no twin: fine-tuning is not served" },
	{ NULL, NULL },
};

void
litellm_settings(struct litellm *l)
{
	struct from *f = l->f;
	struct settings s = { .f = f,
		.router = json_object_get(f->root, "router_settings"),
		.module = from_map(f, f->root, "litellm_settings", ""),
		.general = from_map(f, f->root, "general_settings", "") };

	read_fallbacks(&s);
	read_aliases(&s, s.router, "model_group_alias", "router_settings");
	read_aliases(&s, s.module, "model_alias_map", "litellm_settings");
	read_retries(&s);
	read_timeout(&s);
	read_master_key(&s);
	read_limits(&s);
	from_members(f, f->root, "", sections);
	from_members(f, s.router, "router_settings", router_members);
	from_members(f, s.module, "litellm_settings", module_members);
	from_members(f, s.general, "general_settings", general_members);
}
