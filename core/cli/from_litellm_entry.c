/* from_litellm_entry.c - one deployment of model_list: its provider, its model, its
 * share.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/from_litellm.h"

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
	{ "cache_creation_input_token_cost_above_1hr", NULL },
	LITELLM_TIERS,
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
	    "hold for keys and organizations here, not for a model: name them "
	    "there, under guardrails:" },
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

/* A member of the credential that the entry names, else of the entry itself. */
static const char *
param(struct litellm_entry *e, const char *name, const json_t **holder)
{
	*holder = e->params;
	if (from_is_empty(json_object_get(e->params, name)) && e->credential != NULL &&
	    !from_is_empty(json_object_get(e->credential, name)))
		*holder = e->credential;
	return from_text(e->l->f, *holder, name, e->where);
}

static const char *
address_of(struct litellm_entry *e, const json_t **holder, const char **member)
{
	const char *url = param(e, "api_base", holder);

	*member = "api_base";
	if (url != NULL)
		return url;
	*member = "base_url";
	return param(e, "base_url", holder);
}

static bool
find_credential(struct litellm_entry *e)
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

/* The resource alone: what follows it is the preset's. */
static void
cut_azure(char *url)
{
	char *path = strstr(url, "/openai");

	if (path != NULL && (path[7] == '/' || path[7] == '\0'))
		*path = '\0';
}

static void
set_key(
    struct litellm_entry *e, const struct from_vendor *v, bool has_url, json_t *provider)
{
	const json_t *holder;
	const char *key = param(e, "api_key", &holder);
	char value[FROM_VALUE];

	if (key != NULL && from_is_no_key(key))
		return;
	if (key != NULL) {
		from_secret(e->l->f, holder, "api_key", e->where, key,
		    v != e->vendor ? "compatible" : v->name, value);
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
add_headers(struct litellm_entry *e, const char *member, json_t *headers)
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
set_headers(struct litellm_entry *e, json_t *provider)
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
set_version(struct litellm_entry *e, json_t *provider)
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
set_rest(struct litellm_entry *e, json_t *provider)
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
provider_of(struct litellm_entry *e)
{
	const json_t *holder;
	const char *member, *given = address_of(e, &holder, &member);
	const struct from_vendor *v = litellm_vendor_at(e, given);
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
/* ---- the entry as a deployment ---- */

static void
add_share(struct litellm_entry *e, const char *name, json_t *d)
{
	double n;
	bool is_outside = json_object_get(e->params, name) == NULL;

	if (from_number(
		e->l->f, is_outside ? e->object : e->params, name, e->where, 0, &n))
		(void)json_object_set_new(d, name, json_real(n));
}

static void
note_groups(struct litellm_entry *e, const char *public_name)
{
	const json_t *groups =
	    from_list(e->l->f, e->info, "access_groups", e->info_where);
	const json_t *one;
	size_t i;

	json_array_foreach(groups, i, one)
	{
		const char *name = json_string_value(one);

		if (name != NULL)
			(void)json_array_append_new(
			    json_list_in(e->l->access, name), json_string(public_name));
	}
}

/* A wildcard serves whatever is asked for: so does a provider of that name here. */
static void
add_wildcard(struct litellm_entry *e, const char *name, const char *provider)
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
add_entry(struct litellm_entry *e, const char *name)
{
	const char *provider;
	json_t *d, *facts;

	if (!find_credential(e) || !litellm_find_vendor(e))
		return;
	facts = litellm_facts(e);
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
	(void)json_array_append_new(json_list_in(e->l->groups, name), d);
}

void
litellm_entry(struct litellm *l, const json_t *list, size_t i)
{
	struct litellm_entry e = { .l = l, .object = json_array_get(list, i) };
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
	litellm_tell_facts(&e);
}
