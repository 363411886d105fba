/* from_litellm.c - a config.yaml of the LiteLLM proxy: its deployments, and what it says
 * of serving them.
 *
 * A deployment there is an entry of model_list; entries of one model_name are a group.
 * Here a group is a name in `models:`, an entry one of its deployments, and entries whose
 * address and credentials are alike share a provider. Fallbacks become deployments of
 * weight 0 of the same name, after the others.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/json.h"
#include "cli/from.h"
#include "cli/from_litellm.h"

enum {
	WEIGHT_MOST = 1000000
};

/* ---- vendors, as the part of a model's name before its first slash ---- */

#define NOBODY                                                                           \
	{                                                                                \
		NULL                                                                     \
	}
static const struct from_vendor vendors[] = {
	{ .name = "openai", .plugin = "openai", .key_variable = "OPENAI_API_KEY" },
	{ .name = "azure",
	    .preset = "azure",
	    .key_variable = "AZURE_API_KEY",
	    .url_variable = "AZURE_API_BASE",
	    .needs_url = true },
	{ .name = "anthropic",
	    .plugin = "anthropic",
	    .key_variable = "ANTHROPIC_API_KEY" },
	{ .name = "mistral", .plugin = "mistral", .key_variable = "MISTRAL_API_KEY" },
	{ .name = "codestral",
	    .plugin = "mistral",
	    .base_url = "https://codestral.mistral.ai/v1",
	    .key_variable = "CODESTRAL_API_KEY" },
	{ .name = "gemini", .preset = "google", .key_variable = "GEMINI_API_KEY" },
	{ .name = "groq", .preset = "groq", .key_variable = "GROQ_API_KEY" },
	{ .name = "deepseek", .preset = "deepseek", .key_variable = "DEEPSEEK_API_KEY" },
	{ .name = "xai", .preset = "xai", .key_variable = "XAI_API_KEY" },
	{ .name = "together_ai",
	    .preset = "together",
	    .key_variable = "TOGETHERAI_API_KEY" },
	{ .name = "openrouter",
	    .preset = "openrouter",
	    .key_variable = "OPENROUTER_API_KEY" },
	{ .name = "fireworks_ai",
	    .preset = "fireworks",
	    .key_variable = "FIREWORKS_AI_API_KEY" },
	{ .name = "cerebras", .preset = "cerebras", .key_variable = "CEREBRAS_API_KEY" },
	{ .name = "perplexity",
	    .preset = "perplexity",
	    .key_variable = "PERPLEXITYAI_API_KEY" },
	{ .name = "nvidia_nim",
	    .preset = "nvidia",
	    .key_variable = "NVIDIA_NIM_API_KEY" },
	{ .name = "ollama", .preset = "ollama", .suffix = "/v1" },
	{ .name = "ollama_chat", .preset = "ollama", .suffix = "/v1" },
	{ .name = "hosted_vllm", .preset = "vllm" },
	{ .name = "vllm", .preset = "vllm" },
	{ .name = "lm_studio", .preset = "lmstudio" },
	{ .name = "deepinfra",
	    .plugin = "compatible",
	    .base_url = "https://api.deepinfra.com/v1/openai",
	    .key_variable = "DEEPINFRA_API_KEY" },
	{ .name = "sambanova",
	    .plugin = "compatible",
	    .base_url = "https://api.sambanova.ai/v1",
	    .key_variable = "SAMBANOVA_API_KEY" },
	{ .name = "moonshot",
	    .plugin = "compatible",
	    .base_url = "https://api.moonshot.ai/v1",
	    .key_variable = "MOONSHOT_API_KEY" },
	{ .name = "azure_ai",
	    .plugin = "compatible",
	    .key_variable = "AZURE_AI_API_KEY",
	    .url_variable = "AZURE_AI_API_BASE",
	    .needs_url = true },
	{ .name = "openai_like", .plugin = "compatible", .needs_url = true },
	{ .name = "custom_openai", .plugin = "compatible", .needs_url = true },
	{ .name = "litellm_proxy",
	    .plugin = "compatible",
	    .key_variable = "LITELLM_PROXY_API_KEY",
	    .url_variable = "LITELLM_PROXY_API_BASE",
	    .needs_url = true },
	{ .name = "llamafile", .plugin = "compatible", .needs_url = true },
	{ .name = "xinference", .plugin = "compatible", .needs_url = true },
	{ .name = "bedrock" },
	{ .name = "sagemaker" },
	{ .name = "sagemaker_chat" },
	{ .name = "vertex_ai" },
	{ .name = "vertex_ai_beta" },
	{ .name = "cohere" },
	{ .name = "cohere_chat" },
	{ .name = "huggingface" },
	{ .name = "replicate" },
	{ .name = "watsonx" },
	{ .name = "databricks" },
	{ .name = "snowflake" },
	{ .name = "oci" },
	{ .name = "ai21" },
	{ .name = "ai21_chat" },
	{ .name = "nlp_cloud" },
	{ .name = "baseten" },
	{ .name = "petals" },
	{ .name = "predibase" },
	{ .name = "triton" },
	{ .name = "voyage" },
	{ .name = "jina_ai" },
	{ .name = "cloudflare" },
	{ .name = "github" },
	{ .name = "github_copilot" },
	{ .name = "text-completion-openai" },
	{ .name = "azure_text" },
	{ .name = NULL },
};

/* An address of one's own under openai/ is somebody who resembles OpenAI. */
static const struct from_vendor alike = { .name = "openai", .plugin = "compatible" };
static const char *const openai_url = "https://api.openai.com/v1";

/* Names without a vendor, by how they begin. */
static const struct {
	const char *begins, *vendor;
} bare[] = { { "gpt-", "openai" }, { "chatgpt-", "openai" }, { "o1", "openai" },
	{ "o3", "openai" }, { "o4", "openai" }, { "ft:gpt-", "openai" },
	{ "text-embedding-", "openai" }, { "claude-", "anthropic" },
	{ "command", "cohere" } };

/* ---- what else may stand with a deployment ---- */

#define PARAM_SENT                                                                       \
	"is sent with every request there and not here; callers send it themselves"

static const struct from_member params[] = {
	{ "model", NULL },
	{ "custom_llm_provider", NULL },
	{ "api_base", NULL },
	{ "base_url", NULL },
	{ "api_key", NULL },
	{ "api_version", NULL },
	{ "organization", NULL },
	{ "extra_headers", NULL },
	{ "headers", NULL },
	{ "litellm_credential_name", NULL },
	{ "weight", NULL },
	{ "order", NULL },
	{ "rpm", NULL },
	{ "tpm", NULL },
	{ "timeout", NULL },
	{ "input_cost_per_token", NULL },
	{ "output_cost_per_token", NULL },
	{ "cache_read_input_token_cost", NULL },
	{ "cache_creation_input_token_cost", NULL },
	{ "additional_drop_params", NULL },
	{ "region_name", NULL },
	{ "stream_timeout", "has no limit of its own here; a provider's "
			    "first_byte_timeout_ms is for streams and whole answers" },
	{ "max_retries", "is not set for one deployment; routing.attempts counts all" },
	{ "num_retries", "is not set for one deployment; routing.attempts counts all" },
	{ "max_parallel_requests",
	    "is not limited for one deployment; write max_in_flight to keys" },
	{ "cooldown_time",
	    "is decided by the gateway: who fails rests, longer each time, "
	    "beginning with routing.backoff_ms" },
	{ "max_budget", "is not limited for one deployment; write budgets to keys" },
	{ "budget_duration", "goes with max_budget; write budgets to keys" },
	{ "azure_ad_token", "is not sent; give the deployment an API key" },
	{ "tenant_id", "needs a login at Entra ID; give the deployment an API key" },
	{ "client_id", "needs a login at Entra ID; give the deployment an API key" },
	{ "client_secret", "needs a login at Entra ID; give the deployment an API key" },
	{ "mock_response", "has no twin; the plugin echo answers without a provider" },
	{ "tags", "do not route here; give each tag a name in models:" },
	{ "guardrails",
	    "do not exist in this release; check prompts in the application" },
	{ "cache_control_injection_points", "is left to callers" },
	{ "use_in_pass_through", "has no twin; requests go through /v1" },
	{ "drop_params", "is not general here; list members under the provider's drop:" },
	{ "merge_reasoning_content_in_choices", "is left to callers" },
	{ "temperature", PARAM_SENT },
	{ "top_p", PARAM_SENT },
	{ "max_tokens", PARAM_SENT },
	{ "max_completion_tokens", PARAM_SENT },
	{ "seed", PARAM_SENT },
	{ "stop", PARAM_SENT },
	{ "n", PARAM_SENT },
	{ "presence_penalty", PARAM_SENT },
	{ "frequency_penalty", PARAM_SENT },
	{ "logit_bias", PARAM_SENT },
	{ "response_format", PARAM_SENT },
	{ "reasoning_effort", PARAM_SENT },
	{ "thinking", PARAM_SENT },
	{ "extra_body", PARAM_SENT },
	{ "user", PARAM_SENT },
	{ NULL, NULL },
};

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
	{ "supports_function_calling", NULL },
	{ "supports_vision", NULL },
	{ "max_tokens", "means different things there; write context_window and "
			"max_output_tokens to the deployment" },
	{ "id", "is not needed: a deployment is its provider and its model" },
	{ "team_id", "does not bind a model here; use the keys' model_allowlist" },
	{ NULL, NULL },
};

static const struct from_member entries[] = {
	{ "model_name", NULL },
	{ "litellm_params", NULL },
	{ "model_info", NULL },
	{ "rpm", NULL },
	{ "tpm", NULL },
	{ "weight", NULL },
	{ NULL, NULL },
};

/* ---- one deployment ---- */

struct entry {
	struct litellm *l;
	const json_t *object, *params, *info, *credential;
	char where[FROM_WHERE];      /* of litellm_params */
	char info_where[FROM_WHERE]; /* of model_info */
	const struct from_vendor *vendor;
	char model[FROM_VALUE];
};

/* A member of the credential that the entry names, else of the entry itself. */
static const char *
param(struct entry *e, const char *name, const json_t **holder)
{
	*holder = e->params;
	if (from_is_empty(json_object_get(e->params, name)) && e->credential != NULL &&
	    !from_is_empty(json_object_get(e->credential, name)))
		*holder = e->credential;
	return from_text(e->l->f, *holder, name, e->where);
}

static const char *
address_of(struct entry *e, const json_t **holder, const char **member)
{
	const char *url = param(e, "api_base", holder);

	*member = "api_base";
	if (url != NULL)
		return url;
	*member = "base_url";
	return param(e, "base_url", holder);
}

static bool
find_credential(struct entry *e)
{
	const char *name =
	    from_text(e->l->f, e->params, "litellm_credential_name", e->where);

	if (name == NULL)
		return true;
	e->credential = json_object_get(e->l->credentials, name);
	if (e->credential == NULL)
		from_say(e->l->f, FROM_ERROR, e->params, "litellm_credential_name",
		    e->where, "credential_list has no \"%s\"", name);
	return e->credential != NULL;
}

/* Splits VENDOR/MODEL. false: said. */
static bool
find_vendor(struct entry *e)
{
	struct from *f = e->l->f;
	const char *text = from_text(f, e->params, "model", e->where), *slash;
	const char *given = from_text(f, e->params, "custom_llm_provider", e->where);
	char name[FROM_NAME] = "";

	if (text == NULL || *text == '\0') {
		if (json_object_get(e->params, "model") == NULL || text != NULL)
			from_say(f, FROM_ERROR, e->params, NULL, e->where,
			    "model is missing; it names VENDOR/MODEL");
		return false;
	}
	slash = strchr(text, '/');
	if (given != NULL)
		(void)snprintf(name, sizeof(name), "%s", given);
	else if (slash != NULL)
		(void)snprintf(name, sizeof(name), "%.*s", (int)(slash - text), text);
	for (size_t i = 0; *name == '\0' && i < sizeof(bare) / sizeof(bare[0]); i++) {
		if (strncmp(text, bare[i].begins, strlen(bare[i].begins)) == 0)
			(void)snprintf(name, sizeof(name), "%s", bare[i].vendor);
	}
	e->vendor = from_vendor(vendors, name);
	if (slash != NULL && strncmp(text, name, strlen(name)) == 0 &&
	    text[strlen(name)] == '/')
		text += strlen(name) + 1;
	(void)snprintf(e->model, sizeof(e->model), "%s", text);
	if (e->vendor != NULL && (e->vendor->plugin != NULL || e->vendor->preset != NULL))
		return true;
	from_say(f, FROM_NO_TWIN, e->params, "model", e->where,
	    "\"%s\" is left out: no plugin here speaks to %s; put a server that speaks "
	    "OpenAI's dialect before it, as plugin: compatible",
	    text, *name != '\0' ? name : "whom it names");
	return false;
}

static const struct from_vendor *
vendor_at(const struct entry *e, const char *url)
{
	if (url == NULL || strcmp(e->vendor->name, "openai") != 0 ||
	    strncmp(url, openai_url, strlen(openai_url)) == 0)
		return e->vendor;
	return &alike;
}

/* The resource alone: what follows it is the preset's. */
static void
cut_azure(char *url)
{
	char *path = strstr(url, "/openai");

	if (path != NULL && (path[7] == '/' || path[7] == '\0'))
		*path = '\0';
}

static void
set_key(struct entry *e, const struct from_vendor *v, bool has_url, json_t *provider)
{
	const json_t *holder;
	const char *key = param(e, "api_key", &holder);
	char value[FROM_VALUE];

	if (key != NULL && from_is_no_key(key))
		return;
	if (key != NULL) {
		from_secret(e->l->f, holder, "api_key", e->where, key,
		    v == &alike ? "compatible" : v->name, value);
	} else if (v->key_variable != NULL && (!has_url || v->needs_url)) {
		(void)snprintf(value, sizeof(value), "env:%s", v->key_variable);
		(void)json_object_set_new(
		    e->l->f->variables, v->key_variable, json_true());
	} else {
		return;
	}
	(void)json_object_set_new(provider, "api_keys", json_pack("[s]", value));
}

/* A header that carries a credential is a secret. */
static bool
is_secret_header(const char *name)
{
	static const char *const parts[] = { "auth", "key", "token", "secret", "cookie",
		NULL };
	char lower[FROM_NAME];

	from_slug(name, "", lower);
	for (size_t i = 0; parts[i] != NULL; i++) {
		if (strstr(lower, parts[i]) != NULL)
			return true;
	}
	return false;
}

static void
add_headers(struct entry *e, const char *member, json_t *headers)
{
	const json_t *given = from_map(e->l->f, e->params, member, e->where);
	char where[FROM_WHERE + 16], value[FROM_VALUE];
	const char *name;
	json_t *ignored;

	(void)snprintf(where, sizeof(where), "%s.%s", e->where, member);
	json_object_foreach((json_t *)(uintptr_t)given, name, ignored)
	{
		const char *text = from_text(e->l->f, given, name, where);

		if (text == NULL || !from_is_header(e->l->f, given, name, where, name))
			continue;
		if (is_secret_header(name))
			from_secret(e->l->f, given, name, where, text, name, value);
		else
			(void)from_reference(e->l->f, text, value);
		(void)json_object_set_new(headers, name, json_string(value));
	}
}

static void
set_headers(struct entry *e, json_t *provider)
{
	json_t *headers = json_object();
	const json_t *several = json_object_get(e->params, "organization");
	const json_t *holder;

	if (json_is_array(several)) {
		from_say(e->l->f, FROM_NO_TWIN, e->params, "organization", e->where,
		    "is a list; write a provider for each, with the header "
		    "OpenAI-Organization");
	} else {
		const char *organization = param(e, "organization", &holder);
		char value[FROM_VALUE];

		if (organization != NULL) {
			(void)from_reference(e->l->f, organization, value);
			(void)json_object_set_new(
			    headers, "OpenAI-Organization", json_string(value));
		}
	}
	add_headers(e, "extra_headers", headers);
	add_headers(e, "headers", headers);
	if (json_object_size(headers) > 0)
		(void)json_object_set(provider, "headers", headers);
	json_decref(headers);
}

static void
set_version(struct entry *e, json_t *provider)
{
	const json_t *holder;
	const char *version = param(e, "api_version", &holder);
	char value[FROM_VALUE];

	if (version == NULL || strcmp(e->vendor->name, "azure") != 0)
		return;
	if (from_reference(e->l->f, version, value))
		from_say(e->l->f, FROM_NO_TWIN, holder, "api_version", e->where,
		    "cannot come from the environment; write it under url_query");
	else
		(void)json_object_set_new(
		    provider, "url_query", json_pack("{s:s}", "api-version", value));
}

static void
set_rest(struct entry *e, json_t *provider)
{
	const json_t *drop =
	    from_list(e->l->f, e->params, "additional_drop_params", e->where);
	double seconds;

	for (size_t i = 0; i < json_array_size(drop); i++) {
		if (!json_is_string(json_array_get(drop, i)))
			from_say(e->l->f, FROM_ERROR, e->params, "additional_drop_params",
			    e->where, "entry %zu is not the name of a member", i);
	}
	if (json_array_size(drop) > 0)
		(void)json_object_set(provider, "drop", (json_t *)(uintptr_t)drop);
	if (from_number(e->l->f, e->params, "timeout", e->where, 0, &seconds))
		(void)json_object_set_new(provider, "first_byte_timeout_ms",
		    json_integer((json_int_t)fmin(fmax(seconds * 1000, 100), 3600000)));
	if (from_text(e->l->f, e->params, "region_name", e->where) != NULL)
		(void)json_object_set(
		    provider, "region", json_object_get(e->params, "region_name"));
}

/* The provider of the entry; NULL: said. */
static const char *
provider_of(struct entry *e)
{
	const json_t *holder;
	const char *member, *given = address_of(e, &holder, &member);
	const struct from_vendor *v = vendor_at(e, given);
	char url[FROM_VALUE];
	json_t *provider;

	if (given != NULL) {
		(void)snprintf(url, sizeof(url), "%s", given);
		if (strcmp(v->name, "azure") == 0)
			cut_azure(url);
	}
	provider = json_object();
	if (!from_address(e->l->f, holder, member, e->where, v,
		given == NULL || (v->plugin != NULL && strcmp(v->plugin, "openai") == 0)
		    ? NULL
		    : url,
		provider)) {
		json_decref(provider);
		return NULL;
	}
	set_key(e, v, given != NULL && v != e->vendor, provider);
	set_version(e, provider);
	set_headers(e, provider);
	set_rest(e, provider);
	return from_provider(
	    e->l->f, v->preset != NULL ? v->preset : v->plugin, provider);
}

/* ---- facts ---- */

static void
set_price(struct entry *e, const char *theirs, const char *ours, json_t *facts)
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
set_count(struct entry *e, const char *theirs, const char *ours, json_t *facts)
{
	double n;

	if (from_number(e->l->f, e->info, theirs, e->info_where, 1, &n))
		(void)json_object_set_new(facts, ours, json_integer((json_int_t)n));
}

static void
set_base(struct entry *e, json_t *facts)
{
	const char *base = from_text(e->l->f, e->info, "base_model", e->info_where);
	const char *slash;

	if (base == NULL)
		return;
	slash = strrchr(base, '/');
	base = slash != NULL ? slash + 1 : base;
	if (litellm_is_catalogued(base))
		(void)json_object_set_new(facts, "base_model", json_string(base));
	else
		from_say(e->l->f, FROM_NO_TWIN, e->info, "base_model", e->info_where,
		    "the catalogue does not know \"%s\"; write prices to the deployment",
		    base);
}

/* false: it is a mode that is not served, which was said. */
static bool
set_mode(struct entry *e, json_t *facts)
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

static json_t *
facts_of(struct entry *e)
{
	json_t *facts = json_object();

	if (!set_mode(e, facts)) {
		json_decref(facts);
		return NULL;
	}
	set_base(e, facts);
	set_price(e, "input_cost_per_token", "price_input_per_mtok", facts);
	set_price(e, "output_cost_per_token", "price_output_per_mtok", facts);
	set_price(e, "cache_read_input_token_cost", "price_cached_input_per_mtok", facts);
	set_price(
	    e, "cache_creation_input_token_cost", "price_cache_write_per_mtok", facts);
	set_count(e, "max_input_tokens", "context_window", facts);
	set_count(e, "max_output_tokens", "max_output_tokens", facts);
	return facts;
}

/* ---- the entry as a deployment ---- */

static void
add_share(struct entry *e, const char *name, json_t *d)
{
	double n;
	bool is_outside = json_object_get(e->params, name) == NULL;

	if (from_number(
		e->l->f, is_outside ? e->object : e->params, name, e->where, 0, &n))
		(void)json_object_set_new(d, name, json_real(n));
}

static void
note_groups(struct entry *e, const char *public_name)
{
	const json_t *groups =
	    from_list(e->l->f, e->info, "access_groups", e->info_where);
	const json_t *one;
	size_t i;

	json_array_foreach(groups, i, one)
	{
		const char *name = json_string_value(one);
		json_t *members;

		if (name == NULL)
			continue;
		members = json_object_get(e->l->access, name);
		if (members == NULL) {
			members = json_array();
			(void)json_object_set_new(e->l->access, name, members);
		}
		(void)json_array_append_new(members, json_string(public_name));
	}
}

/* A wildcard serves whatever is asked for: so does a provider of that name here. */
static void
add_wildcard(struct entry *e, const char *name, const char *provider)
{
	size_t n = strlen(name);
	bool is_same = n > 2 && strcmp(name + n - 2, "/*") == 0 &&
		       strlen(provider) == n - 2 && strncmp(name, provider, n - 2) == 0;

	from_say(e->l->f, is_same ? FROM_REMARK : FROM_NO_TWIN, e->object, "model_name",
	    e->l->where, "\"%s\" needs no entry: every model of it answers as %s/MODEL%s",
	    name, provider,
	    is_same ? "" : "; callers that use other names need one under models:");
}

static void
add_entry(struct entry *e, const char *name)
{
	const char *provider;
	json_t *d, *facts, *group;

	if (!find_credential(e) || !find_vendor(e))
		return;
	facts = facts_of(e);
	provider = facts != NULL ? provider_of(e) : NULL;
	if (provider == NULL) {
		json_decref(facts);
		return;
	}
	if (strchr(e->model, '*') != NULL || strchr(name, '*') != NULL) {
		add_wildcard(e, name, provider);
		json_decref(facts);
		return;
	}
	if (!from_is_name(e->l->f, e->params, "model", e->where, e->model)) {
		json_decref(facts);
		return;
	}
	note_groups(e, name);
	d = json_pack(
	    "{s:s, s:s, s:o}", "provider", provider, "model", e->model, "facts", facts);
	add_share(e, "weight", d);
	add_share(e, "rpm", d);
	add_share(e, "tpm", d);
	add_share(e, "order", d);
	group = json_object_get(e->l->groups, name);
	if (group == NULL) {
		group = json_array();
		(void)json_object_set_new(e->l->groups, name, group);
	}
	(void)json_array_append_new(group, d);
}

static void
read_entry(struct litellm *l, const json_t *list, size_t i)
{
	struct entry e = { .l = l, .object = json_array_get(list, i) };
	const char *name;

	(void)snprintf(l->where, sizeof(l->where), "model_list[%zu]", i);
	(void)snprintf(e.where, sizeof(e.where), "%s.litellm_params", l->where);
	(void)snprintf(e.info_where, sizeof(e.info_where), "%s.model_info", l->where);
	if (!json_is_object(e.object)) {
		from_say(l->f, FROM_ERROR, list, NULL, l->where, "is not a map");
		return;
	}
	name = from_text(l->f, e.object, "model_name", l->where);
	e.params = from_map(l->f, e.object, "litellm_params", l->where);
	e.info = from_map(l->f, e.object, "model_info", l->where);
	if (name == NULL || *name == '\0' || e.params == NULL) {
		if (json_object_get(e.object, "model_name") == NULL ||
		    json_object_get(e.object, "litellm_params") == NULL)
			from_say(l->f, FROM_ERROR, e.object, NULL, l->where,
			    "%s is missing; an entry has model_name and litellm_params",
			    name == NULL ? "model_name" : "litellm_params");
		return;
	}
	add_entry(&e, name);
	from_members(l->f, e.object, l->where, entries);
	if (e.vendor != NULL && (e.vendor->plugin != NULL || e.vendor->preset != NULL))
		from_members(l->f, e.params, e.where, params);
	from_members(l->f, e.info, e.info_where, infos);
}

/* ---- the groups as names ---- */

static const char *
share_of(const json_t *group)
{
	static const char *const shares[] = { "weight", "rpm", "tpm", NULL };
	const json_t *d;
	size_t i;

	for (size_t k = 0; shares[k] != NULL; k++) {
		json_array_foreach(group, i, d)
		{
			if (json_object_get(d, shares[k]) != NULL)
				return shares[k];
		}
	}
	return NULL;
}

static double
least_order(const json_t *group)
{
	double least = HUGE_VAL;
	const json_t *d;
	size_t i;

	json_array_foreach(group, i, d)
	{
		const json_t *order = json_object_get(d, "order");

		if (order != NULL && json_number_value(order) < least)
			least = json_number_value(order);
	}
	return least;
}

/* Shares have a most; tokens per minute may be more. */
static double
scale_of(const json_t *group, const char *share)
{
	double most = 0;
	const json_t *d;
	size_t i;

	json_array_foreach(group, i, d)
	{
		const json_t *given = json_object_get(d, share);

		most = fmax(most, given != NULL ? json_number_value(given) : 0);
	}
	return most > WEIGHT_MOST ? WEIGHT_MOST / most : 1;
}

static double
order_of(const json_t *d, double otherwise)
{
	const json_t *order = json_object_get(d, "order");

	return order != NULL ? json_number_value(order) : otherwise;
}

/* Those of the least order with their shares, then the others one after the other. */
static void
add_group(struct from *f, const char *name, const json_t *group)
{
	/* One alone has it all; a router has no use for them, there and here. */
	const char *share =
	    json_array_size(group) > 1 && f->has_shares ? share_of(group) : NULL;
	double least = least_order(group), at = least;
	double scale = share != NULL ? scale_of(group, share) : 1;

	for (size_t round = 0; round <= json_array_size(group); round++) {
		double next = HUGE_VAL;
		const json_t *d;
		size_t i;

		json_array_foreach(group, i, d)
		{
			double order = order_of(d, least);
			const json_t *given =
			    share != NULL ? json_object_get(d, share) : NULL;
			double weight = share == NULL ? 1 : json_number_value(given);

			if (order > at && order < next)
				next = order;
			if (order < at || order > at)
				continue;
			from_deployment(f, name,
			    json_string_value(json_object_get(d, "provider")),
			    json_string_value(json_object_get(d, "model")),
			    at > least ? 0 : weight * scale,
			    json_deep_copy(json_object_get(d, "facts")));
		}
		if (next == HUGE_VAL)
			return;
		at = next;
	}
}

/* openai/gpt-4o means that model here anyway, if openai is what serves it alone. */
static bool
is_plain_name(const char *name, const json_t *group)
{
	const json_t *d = json_array_get(group, 0);
	char whole[2 * FROM_VALUE];

	(void)snprintf(whole, sizeof(whole), "%s/%s",
	    json_string_value(json_object_get(d, "provider")),
	    json_string_value(json_object_get(d, "model")));
	return json_array_size(group) == 1 && strcmp(whole, name) == 0;
}

/* What is known of such a model stands with its provider, beside the catalogue's. */
static void
keep_facts(struct from *f, const json_t *d)
{
	json_t *facts = json_object_get(d, "facts");
	json_t *provider = json_object_get(f->providers, json_get_str(d, "provider").ptr);
	json_t *models = json_object_get(provider, "models");

	if (json_object_size(facts) == 0)
		return;
	if (models == NULL) {
		models = json_pack("[s]", "*");
		(void)json_object_set_new(provider, "models", models);
	}
	facts = json_deep_copy(facts);
	(void)json_object_set(facts, "id", json_object_get(d, "model"));
	(void)json_array_append_new(models, facts);
}

static void
add_groups(struct litellm *l)
{
	const char *name;
	json_t *group;

	json_object_foreach(l->groups, name, group)
	{
		const char *share = share_of(group);

		if (!from_is_name(l->f, l->f->root, "model_list", "", name))
			continue;
		if (is_plain_name(name, group)) {
			keep_facts(l->f, json_array_get(group, 0));
			continue;
		}
		if (share != NULL && strcmp(share, "weight") != 0)
			from_say(l->f, FROM_NO_TWIN, l->f->root, "model_list", "",
			    "%s of \"%s\" limits nothing here, it is a share of the "
			    "requests; limits stand on keys, and a provider's own 429 "
			    "is waited for",
			    share, name);
		add_group(l->f, name, group);
	}
}

/* No provider may be called as what stands before the slash of a name. */
static void
reserve_name(struct from *f, const char *name)
{
	const char *slash = name != NULL ? strchr(name, '/') : NULL;
	char before[FROM_NAME];

	if (slash == NULL || strchr(name, '*') != NULL ||
	    (size_t)(slash - name) >= sizeof(before))
		return;
	(void)snprintf(before, sizeof(before), "%.*s", (int)(slash - name), name);
	(void)json_object_set_new(f->reserved, before, json_true());
}

/* Does the entry give a name to what it means here anyway: openai/x for openai/x? */
static bool
says_itself(const json_t *entry)
{
	lz_str name = json_get_str(entry, "model_name");
	const json_t *p = json_object_get(entry, "litellm_params");

	return name.len > 0 && str_eq(name, json_get_str(p, "model")) &&
	       json_object_get(p, "api_base") == NULL;
}

static void
reserve_names(struct from *f, const json_t *list)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		if (!says_itself(entry))
			reserve_name(
			    f, json_string_value(json_object_get(entry, "model_name")));
	}
}

static void
read_credentials(struct litellm *l)
{
	const json_t *list = from_list(l->f, l->f->root, "credential_list", "");
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		char where[FROM_WHERE];
		const char *name;
		const json_t *values;

		(void)snprintf(where, sizeof(where), "credential_list[%zu]", i);
		name = from_text(l->f, one, "credential_name", where);
		values = from_map(l->f, one, "credential_values", where);
		if (name != NULL && values != NULL)
			(void)json_object_set(
			    l->credentials, name, (json_t *)(uintptr_t)values);
		else
			from_say(l->f, FROM_ERROR, list, NULL, where,
			    "has not both credential_name and credential_values");
	}
}

static bool
read_models(struct litellm *l)
{
	const json_t *list = from_list(l->f, l->f->root, "model_list", "");

	if (json_array_size(list) == 0) {
		if (list != NULL || json_object_get(l->f->root, "model_list") == NULL)
			from_say(l->f, FROM_ERROR, l->f->root,
			    list != NULL ? "model_list" : NULL, "",
			    "%s; a config.yaml of LiteLLM lists its deployments there",
			    list != NULL ? "is empty" : "model_list is missing");
		return false;
	}
	reserve_names(l->f, list);
	read_credentials(l);
	for (size_t i = 0; i < json_array_size(list); i++)
		read_entry(l, list, i);
	return true;
}

void
from_litellm(struct from *f)
{
	struct litellm l = { .f = f,
		.groups = json_object(),
		.access = json_object(),
		.credentials = json_object() };

	if (!json_is_object(f->root)) {
		from_say(f, FROM_ERROR, f->root, NULL, "",
		    "is not a map; a config.yaml of LiteLLM has model_list (give an "
		    "export of keys as --keys FILE)");
	} else {
		from_note_variables(f, f->root);
		if (read_models(&l)) {
			litellm_strategy(&l);
			add_groups(&l);
			litellm_settings(&l);
		}
	}
	f->access = json_incref(l.access);
	json_decref(l.groups);
	json_decref(l.access);
	json_decref(l.credentials);
}
