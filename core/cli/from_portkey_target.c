/* from_portkey_target.c - a target of a Portkey config: whom it names, with which key,
 * and the provider that it becomes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/from_portkey.h"

/* ---- vendors ---- */

static const struct from_vendor vendors[] = {
	{ .name = "openai", .plugin = "openai" },
	{ .name = "azure-openai", .preset = "azure", .needs_url = true },
	{ .name = "anthropic", .plugin = "anthropic" },
	{ .name = "mistral-ai", .plugin = "mistral" },
	{ .name = "google", .preset = "google" },
	{ .name = "groq", .preset = "groq" },
	{ .name = "deepseek", .preset = "deepseek" },
	{ .name = "x-ai", .preset = "xai" },
	{ .name = "together-ai", .preset = "together" },
	{ .name = "openrouter", .preset = "openrouter" },
	{ .name = "fireworks-ai", .preset = "fireworks" },
	{ .name = "cerebras", .preset = "cerebras" },
	{ .name = "perplexity-ai", .preset = "perplexity" },
	{ .name = "nvidia", .preset = "nvidia" },
	{ .name = "ollama", .preset = "ollama", .suffix = "/v1" },
	{ .name = "deepinfra",
	    .plugin = "compatible",
	    .base_url = "https://api.deepinfra.com/v1/openai" },
	{ .name = "sambanova",
	    .plugin = "compatible",
	    .base_url = "https://api.sambanova.ai/v1" },
	{ .name = "moonshot",
	    .plugin = "compatible",
	    .base_url = "https://api.moonshot.ai/v1" },
	{ .name = "azure-ai", .plugin = "compatible", .needs_url = true },
	{ .name = "bedrock" },
	{ .name = "sagemaker" },
	{ .name = "vertex-ai" },
	{ .name = "cohere", .instead = "https://api.cohere.ai/compatibility/v1" },
	{ .name = "anyscale" },
	{ .name = "palm" },
	{ .name = "huggingface",
	    .instead = "https://router.huggingface.co/v1, or a dedicated endpoint's "
		       "address with /v1 behind it" },
	{ .name = "replicate" },
	{ .name = "workers-ai",
	    .instead = "https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1" },
	{ .name = "stability-ai" },
	{ .name = "ai21" },
	{ .name = "reka-ai" },
	{ .name = "triton" },
	{ .name = "voyage" },
	{ .name = "jina" },
	{ .name = "nomic" },
	{ .name = "dashscope",
	    .instead = "https://dashscope.aliyuncs.com/compatible-mode/v1" },
	{ .name = "github", .instead = "https://models.github.ai/inference" },
	{ .name = "predibase" },
	{ .name = "zhipu" },
	{ .name = "novita-ai", .instead = "https://api.novita.ai/openai" },
	{ .name = NULL },
};
/* An address of one's own, or one that no preset knows. */
static const struct from_vendor alike = {
	.name = "openai", .plugin = "compatible", .needs_url = true
};

/* ---- a target ---- */

struct target {
	struct portkey_walk *w;
	const json_t *node;
	const char *where;
	char credential[FROM_VALUE]; /* name of a virtual key, "" */
	char model[FROM_VALUE];      /* "": callers say it */
	const struct from_vendor *vendor;
	const char *slug; /* what the provider is called */
};

/* "@openai-prod/gpt-4o", "@openai-prod", "gpt-4o". */
static void
split_model(struct target *t, const char *text)
{
	const char *slash = strchr(text, '/');

	if (*text != '@') {
		(void)snprintf(t->model, sizeof(t->model), "%s", text);
		return;
	}
	(void)snprintf(t->credential, sizeof(t->credential), "%.*s",
	    (int)(slash != NULL ? slash - text - 1 : (ptrdiff_t)strlen(text) - 1),
	    text + 1);
	if (slash != NULL)
		(void)snprintf(t->model, sizeof(t->model), "%s", slash + 1);
}

static void
read_override(struct target *t)
{
	struct from *f = t->w->f;
	char other[FROM_NAME], inner[FROM_WHERE + 32];
	const char *member = portkey_written(t->node, "override_params", other), *name;
	const json_t *params = from_map(f, t->node, member, t->where);
	const char *text;
	json_t *value;

	(void)snprintf(inner, sizeof(inner), "%s%s%s", t->where,
	    *t->where != '\0' ? "." : "", member);
	text = from_text(f, params, "model", inner);
	if (text != NULL)
		split_model(t, text);
	json_object_foreach((json_t *)(uintptr_t)params, name, value)
	{
		if (strcmp(name, "model") != 0 && !from_is_empty(value))
			from_say(
			    f, FROM_NO_TWIN, params, name, inner, "%s", PORTKEY_PARAMS);
	}
}

/* The vendor whose name the virtual key's begins with, as Portkey proposes it. */
static const struct from_vendor *
vendor_of_slug(const char *slug)
{
	const struct from_vendor *best = NULL;

	for (const struct from_vendor *v = vendors; v->name != NULL; v++) {
		size_t n = strlen(v->name);

		if (strncmp(slug, v->name, n) == 0 &&
		    (slug[n] == '-' || slug[n] == '\0') &&
		    (best == NULL || n > strlen(best->name)))
			best = v;
	}
	return best;
}

static const struct from_vendor *
vendor_of_credential(struct target *t)
{
	const json_t *known = json_object_get(t->w->f->access, t->credential);
	lz_str name = json_get_str(known, "provider");

	if (name.len > 0)
		return from_vendor(vendors, name.ptr);
	return vendor_of_slug(t->credential);
}

/* false: said. */
static bool
find_vendor(struct target *t)
{
	struct from *f = t->w->f;
	const char *given = portkey_text(f, t->node, "provider", t->where);
	const char *key = portkey_text(f, t->node, "virtual_key", t->where);
	bool is_named = given != NULL && *given != '@';

	if (given != NULL && *given == '@')
		split_model(t, given);
	if (key != NULL)
		(void)snprintf(t->credential, sizeof(t->credential), "%s", key);
	if (is_named)
		t->vendor = from_vendor(vendors, given);
	else if (t->credential[0] != '\0')
		t->vendor = vendor_of_credential(t);
	if (given == NULL && t->credential[0] == '\0') {
		if (json_object_size(t->node) == 0 ||
		    portkey_value(t->node, "custom_host") == NULL) {
			from_say(f, FROM_ERROR, t->node, NULL, t->where,
			    "names neither provider nor virtual_key, and no targets");
			return false;
		}
		t->vendor = &alike;
	}
	if (t->vendor != NULL && (t->vendor->plugin != NULL || t->vendor->preset != NULL))
		return true;
	if (t->vendor != NULL || is_named)
		from_say_nobody(f, t->node, is_named ? "provider" : NULL, t->where,
		    is_named ? given : t->credential,
		    t->vendor != NULL ? t->vendor->name : given, t->vendor);
	else
		from_say(f, FROM_NO_TWIN, t->node, NULL, t->where,
		    "is left out: the virtual key \"%s\" does not say whose it is; give "
		    "Portkey's list of virtual keys as --keys FILE",
		    t->credential);
	return false;
}

/* What the list of virtual keys knows of the credential, else the target itself. */
static const char *
detail(struct target *t, const char *name, const char *azure_name)
{
	const json_t *known = json_object_get(t->w->f->access, t->credential);
	const json_t *config = json_object_get(known, "model_config");
	const char *text = portkey_text(t->w->f, t->node, azure_name, t->where);

	if (text == NULL)
		text = portkey_text(t->w->f, t->node, name, t->where);
	if (text == NULL)
		text = portkey_text(t->w->f, config, name, t->where);
	return text;
}

/* false: said. */
static bool
set_azure(struct target *t, char url[FROM_VALUE], json_t *provider)
{
	const char *resource = detail(t, "resource_name", "azure_resource_name");
	const char *version = detail(t, "api_version", "azure_api_version");
	const char *deployment = detail(t, "deployment_id", "azure_deployment_id");

	if (deployment == NULL)
		deployment = detail(t, "deployment_name", "azure_deployment_name");
	if (deployment != NULL)
		(void)snprintf(t->model, sizeof(t->model), "%s", deployment);
	if (version != NULL)
		(void)json_object_set_new(
		    provider, "url_query", json_pack("{s:s}", "api-version", version));
	if (*url != '\0')
		return true;
	for (const char *p = resource; p != NULL && *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && *p != '-')
			resource = NULL;
	}
	if (resource == NULL || *resource == '\0') {
		from_say(t->w->f, FROM_NO_TWIN, t->node, NULL, t->where,
		    "is left out: the name of its Azure resource is not known; give "
		    "Portkey's list of virtual keys as --keys FILE, or write the "
		    "target's "
		    "resource_name");
		return false;
	}
	(void)snprintf(url, FROM_VALUE, "https://%.200s.openai.azure.com", resource);
	return true;
}

static void
set_credentials(struct target *t, json_t *provider)
{
	struct from *f = t->w->f;
	char other[FROM_NAME], value[FROM_VALUE], slug[FROM_NAME];
	const char *member = portkey_written(t->node, "api_key", other);
	const char *key = from_text(f, t->node, member, t->where);

	if (key != NULL && from_is_no_key(key))
		return;
	if (key != NULL) {
		from_secret(f, t->node, member, t->where, key, t->slug, value);
	} else if (t->credential[0] != '\0') {
		/* The same virtual key is the same variable. */
		char identity[FROM_VALUE + 2];
		const char *variable;
		bool is_new;

		from_slug(t->credential, "", slug);
		if (str_ends(lz_strz(slug), "-key"))
			slug[strlen(slug) - 4] = '\0';
		(void)snprintf(identity, sizeof(identity), "@%s", t->credential);
		variable = from_variable(f, identity, slug, &is_new);
		if (is_new)
			from_say(f, FROM_REMARK, t->node, NULL, t->where,
			    "Portkey holds the secret of the virtual key \"%s\"; set %s "
			    "in the gateway's environment to it",
			    t->credential, variable);
		(void)snprintf(value, sizeof(value), "env:%s", variable);
	} else {
		return;
	}
	(void)json_object_set_new(provider, "api_keys", json_pack("[s]", value));
}

static void
set_rest(struct target *t, json_t *provider)
{
	static const struct {
		const char *member, *header;
	} rows[] = { { "openai_organization", "OpenAI-Organization" },
		{ "openai_project", "OpenAI-Project" } };
	struct from *f = t->w->f;
	json_t *headers = json_object();
	char other[FROM_NAME];
	double ms;

	for (size_t i = 0; i < 2; i++) {
		const char *text = portkey_text(f, t->node, rows[i].member, t->where);

		if (text != NULL)
			(void)json_object_set_new(
			    headers, rows[i].header, json_string(text));
	}
	if (json_object_size(headers) > 0)
		(void)json_object_set(provider, "headers", headers);
	json_decref(headers);
	if (*t->where != '\0' &&
	    from_number(f, t->node, portkey_written(t->node, "request_timeout", other),
		t->where, 0, &ms))
		(void)json_object_set_new(provider, "first_byte_timeout_ms",
		    json_integer((json_int_t)fmin(fmax(ms, 100), 3600000)));
}

/* The provider of the target; NULL: said. */
static const char *
provider_of(struct target *t)
{
	struct from *f = t->w->f;
	char other[FROM_NAME], url[FROM_VALUE] = "";
	const char *member = portkey_written(t->node, "custom_host", other);
	const char *host = from_text(f, t->node, member, t->where);
	const struct from_vendor *v = t->vendor;
	json_t *provider;

	if (host != NULL)
		(void)snprintf(url, sizeof(url), "%s", host);
	if (host != NULL && v->plugin != NULL && strcmp(v->plugin, "openai") == 0)
		v = &alike;
	provider = json_object();
	if ((v->preset != NULL && strcmp(v->preset, "azure") == 0 &&
		!set_azure(t, url, provider)) ||
	    !from_address(f, t->node, host != NULL ? member : NULL, t->where, v,
		*url != '\0' ? url : NULL, provider)) {
		json_decref(provider);
		return NULL;
	}
	t->slug = t->credential[0] != '\0' ? t->credential
		  : v->preset != NULL      ? v->preset
					   : v->plugin;
	set_credentials(t, provider);
	set_rest(t, provider);
	return from_provider(f, t->slug, provider);
}

void
portkey_target(struct portkey_walk *w, const json_t *node, const char *where)
{
	struct target t = { .w = w, .node = node, .where = where };
	const char *provider;

	read_override(&t);
	if (!find_vendor(&t) || (provider = provider_of(&t)) == NULL)
		return;
	if (t.model[0] != '\0' && (!from_is_name(w->f, node, NULL, where, w->name) ||
				      !from_is_name(w->f, node, NULL, where, t.model)))
		return;
	if (t.model[0] != '\0') {
		from_deployment(w->f, w->name, provider, t.model, w->share, NULL);
		return;
	}
	from_say(w->f, FROM_NO_TWIN, node, NULL, where,
	    "leaves the model to callers, who ask for %s/MODEL here, or for a model's "
	    "own "
	    "name; weights and order hold for names in models:, so add the models there",
	    provider);
}
