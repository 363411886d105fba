/* from_portkey.c - a gateway config of Portkey: a tree of strategies over targets.
 *
 * A config there stands beside the model that a caller asks for; here callers ask for a
 * name. So the config becomes a name in `models:`, called as the config or as its file,
 * over all targets that say their model; targets that leave it to callers become
 * providers alone. A tree is made flat: whoever is only asked after others has weight 0.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/from.h"

enum {
	WEIGHT_MOST = 1000000
};

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
	{ .name = "cohere" },
	{ .name = "anyscale" },
	{ .name = "palm" },
	{ .name = "huggingface" },
	{ .name = "replicate" },
	{ .name = "workers-ai" },
	{ .name = "stability-ai" },
	{ .name = "ai21" },
	{ .name = "reka-ai" },
	{ .name = "triton" },
	{ .name = "voyage" },
	{ .name = "jina" },
	{ .name = "nomic" },
	{ .name = "dashscope" },
	{ .name = "github" },
	{ .name = "predibase" },
	{ .name = "zhipu" },
	{ .name = "novita-ai" },
	{ .name = NULL },
};
/* An address of one's own, or one that no preset knows. */
static const struct from_vendor alike = {
	.name = "openai", .plugin = "compatible", .needs_url = true
};

/* ---- members ---- */

#define GUARDRAIL "do not exist in this release; check prompts in the application"
#define HOOK      "has no twin in this release; do it in the application"
#define PARAMS    "is sent with every request there and not here; callers send it themselves"
#define CACHE     "has no twin: answers are not cached; cache them in the application"
#define STATUS                                                                           \
	"has no twin: which failures go to the next is the gateway's rule: 408, 429, "   \
	"5xx, timeouts and broken connections"
#define VENDOR                                                                           \
	"belongs to a vendor that no plugin here speaks to; put a server that speaks "   \
	"OpenAI's dialect before it"
#define TAKEN(name)                                                                      \
	{                                                                                \
		name, NULL                                                               \
	}

static const struct from_member members[] = {
	TAKEN("strategy"),
	TAKEN("targets"),
	TAKEN("provider"),
	TAKEN("virtual_key"),
	TAKEN("api_key"),
	TAKEN("weight"),
	TAKEN("name"),
	TAKEN("override_params"),
	TAKEN("retry"),
	TAKEN("request_timeout"),
	TAKEN("custom_host"),
	TAKEN("resource_name"),
	TAKEN("azure_resource_name"),
	TAKEN("deployment_id"),
	TAKEN("azure_deployment_id"),
	TAKEN("api_version"),
	TAKEN("azure_api_version"),
	TAKEN("openai_organization"),
	TAKEN("openai_project"),
	{ "azure_model_name", "is not needed: the deployment's name says it; write "
			      "base_model to the deployment for its prices" },
	{ "strict_open_ai_compliance", FROM_ALWAYS },
	{ "cache", CACHE },
	{ "on_status_codes", STATUS },
	{ "input_guardrails", GUARDRAIL },
	{ "output_guardrails", GUARDRAIL },
	{ "before_request_hooks", HOOK },
	{ "after_request_hooks", HOOK },
	{ "forward_headers",
	    "has no twin: clients' headers do not reach providers; write "
	    "a provider's headers" },
	{ "default_params", PARAMS },
	{ "metadata", "is sent by callers as x-latenza-metadata, or written to a key" },
	{ "prompt_id", "has no twin: prompts are the application's" },
	{ "cb_config", "is decided by the gateway: who fails rests, longer each time, "
		       "beginning with routing.backoff_ms" },
	{ "vertex_project_id", VENDOR },
	{ "vertex_region", VENDOR },
	{ "vertex_service_account_json", VENDOR },
	{ "aws_access_key_id", VENDOR },
	{ "aws_secret_access_key", VENDOR },
	{ "aws_session_token", VENDOR },
	{ "aws_region", VENDOR },
	{ NULL, NULL },
};

static const struct from_member strategy_members[] = {
	TAKEN("mode"),
	TAKEN("default"),
	{ "on_status_codes", STATUS },
	{ "conditions", "has no twin in this release: each target that has a name is a "
			"name in models:; choose in the application" },
	{ "sticky", "is routing.sticky_ms here, by x-latenza-session" },
	{ "sticky_session", "is routing.sticky_ms here, by x-latenza-session" },
	{ "cb_config", "is decided by the gateway: who fails rests, longer each time, "
		       "beginning with routing.backoff_ms" },
	{ NULL, NULL },
};

static const struct from_member retry_members[] = {
	TAKEN("attempts"),
	{ "on_status_codes", STATUS },
	{ "use_retry_after_header", FROM_ALWAYS },
	{ NULL, NULL },
};

/* Members may be written either way: virtual_key, virtualKey. */
static const char *
written(const json_t *object, const char *name, char out[FROM_NAME])
{
	size_t n = 0;

	if (json_object_get(object, name) != NULL)
		return name;
	for (; *name != '\0' && n + 1 < FROM_NAME; name++) {
		if (*name == '_' && name[1] != '\0')
			out[n++] = (char)toupper((unsigned char)*++name);
		else
			out[n++] = *name;
	}
	out[n] = '\0';
	return out;
}

static const char *
text_of(struct from *f, const json_t *object, const char *name, const char *where)
{
	char other[FROM_NAME];

	return from_text(f, object, written(object, name, other), where);
}

static json_t *
value_of(const json_t *object, const char *name)
{
	char other[FROM_NAME];

	return json_object_get(object, written(object, name, other));
}

/* from_members(), for members that are written either way. */
static void
tell_members(struct from *f, const json_t *object, const char *where,
    const struct from_member *table)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		const struct from_member *row = table;
		char other[FROM_NAME];

		while (row->name != NULL && strcmp(row->name, name) != 0 &&
		       strcmp(written(NULL, row->name, other), name) != 0)
			row++;
		from_say_member(f, object, name, where, row);
	}
}

/* ---- the tree ---- */

enum mode {
	SINGLE,
	LOADBALANCE,
	FALLBACK,
	CONDITIONAL
};
static const char *const modes[] = { "single", "loadbalance", "fallback", "conditional" };

struct walk {
	struct from *f;
	const char *name; /* in models:; the config's, or a target's of conditions */
	double share;     /* of what comes first; 0: only after others */
	double retries, timeout_ms;
};

static void walk_node(struct walk *w, const json_t *node, const char *where);

/* false: said. */
static bool
read_mode(struct from *f, const json_t *node, const char *where, enum mode *out)
{
	const json_t *strategy = value_of(node, "strategy");
	char inner[FROM_WHERE + 16];
	const char *text;

	*out = SINGLE;
	if (strategy == NULL || json_is_null(strategy))
		return true;
	if (!json_is_object(strategy)) {
		from_say(f, FROM_ERROR, node, "strategy", where, "is not a map");
		return false;
	}
	(void)snprintf(
	    inner, sizeof(inner), "%s%sstrategy", where, *where != '\0' ? "." : "");
	text = from_text(f, strategy, "mode", inner);
	for (size_t i = 0; text != NULL && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(text, modes[i]) == 0) {
			*out = (enum mode)i;
			tell_members(f, strategy, inner, strategy_members);
			return true;
		}
	}
	if (text != NULL || from_is_empty(json_object_get(strategy, "mode")))
		from_say(f, FROM_ERROR, strategy, text != NULL ? "mode" : NULL, inner,
		    text != NULL ? "\"%.60s\" is not a strategy of Portkey; it has "
				   "single, loadbalance, fallback and conditional"
				 : "mode is missing%.0s",
		    text != NULL ? text : "");
	return false;
}

static void
read_retry(struct walk *w, const json_t *node, const char *where)
{
	const json_t *retry = from_map(w->f, node, "retry", where);
	char inner[FROM_WHERE + 16];
	double n;

	(void)snprintf(
	    inner, sizeof(inner), "%s%sretry", where, *where != '\0' ? "." : "");
	if (retry == NULL)
		return;
	if (from_number(w->f, retry, "attempts", inner, 0, &n))
		w->retries = fmax(w->retries, n);
	tell_members(w->f, retry, inner, retry_members);
}

/* ---- a target ---- */

struct target {
	struct walk *w;
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
	const char *member = written(t->node, "override_params", other), *name;
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
			from_say(f, FROM_NO_TWIN, params, name, inner, "%s", PARAMS);
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
	const char *given = text_of(f, t->node, "provider", t->where);
	const char *key = text_of(f, t->node, "virtual_key", t->where);

	if (given != NULL && *given == '@')
		split_model(t, given);
	if (key != NULL)
		(void)snprintf(t->credential, sizeof(t->credential), "%s", key);
	if (given != NULL && *given != '@')
		t->vendor = from_vendor(vendors, given);
	else if (t->credential[0] != '\0')
		t->vendor = vendor_of_credential(t);
	if (given == NULL && t->credential[0] == '\0') {
		if (json_object_size(t->node) == 0 ||
		    value_of(t->node, "custom_host") == NULL) {
			from_say(f, FROM_ERROR, t->node, NULL, t->where,
			    "names neither provider nor virtual_key, and no targets");
			return false;
		}
		t->vendor = &alike;
	}
	if (t->vendor != NULL && (t->vendor->plugin != NULL || t->vendor->preset != NULL))
		return true;
	from_say(f, FROM_NO_TWIN, t->node,
	    given != NULL && *given != '@' ? "provider" : NULL, t->where,
	    t->vendor != NULL || (given != NULL && *given != '@')
		? "is left out: no plugin here speaks to \"%s\"; put a server that "
		  "speaks "
		  "OpenAI's dialect before it, as plugin: compatible"
		: "is left out: the virtual key \"%s\" does not say whose it is; give "
		  "Portkey's list of virtual keys as --keys FILE",
	    t->vendor != NULL ? t->vendor->name
			      : (given != NULL && *given != '@' ? given : t->credential));
	return false;
}

/* What the list of virtual keys knows of the credential, else the target itself. */
static const char *
detail(struct target *t, const char *name, const char *azure_name)
{
	const json_t *known = json_object_get(t->w->f->access, t->credential);
	const json_t *config = json_object_get(known, "model_config");
	const char *text = text_of(t->w->f, t->node, azure_name, t->where);

	if (text == NULL)
		text = text_of(t->w->f, t->node, name, t->where);
	if (text == NULL)
		text = text_of(t->w->f, config, name, t->where);
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
	const char *member = written(t->node, "api_key", other);
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
		const char *text = text_of(f, t->node, rows[i].member, t->where);

		if (text != NULL)
			(void)json_object_set_new(
			    headers, rows[i].header, json_string(text));
	}
	if (json_object_size(headers) > 0)
		(void)json_object_set(provider, "headers", headers);
	json_decref(headers);
	if (*t->where != '\0' &&
	    from_number(
		f, t->node, written(t->node, "request_timeout", other), t->where, 0, &ms))
		(void)json_object_set_new(provider, "first_byte_timeout_ms",
		    json_integer((json_int_t)fmin(fmax(ms, 100), 3600000)));
}

/* The provider of the target; NULL: said. */
static const char *
provider_of(struct target *t)
{
	struct from *f = t->w->f;
	char other[FROM_NAME], url[FROM_VALUE] = "";
	const char *member = written(t->node, "custom_host", other);
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

static void
add_target(struct walk *w, const json_t *node, const char *where)
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

/* ---- nodes ---- */

/* What a child gets of its parent's share. */
static double
share_of(struct walk *w, const json_t *child, const char *where, enum mode mode, size_t i)
{
	double weight = 1;
	bool has_weight = from_number(w->f, child, "weight", where, 0, &weight);

	if (has_weight && weight > WEIGHT_MOST)
		from_say(w->f, FROM_ERROR, child, "weight", where, "is more than %d",
		    WEIGHT_MOST);
	if (mode == FALLBACK && i > 0)
		return 0;
	if (mode == LOADBALANCE)
		return fmin(w->share * weight, WEIGHT_MOST);
	if (has_weight && mode == SINGLE)
		from_say(w->f, FROM_NO_TWIN, child, "weight", where,
		    "means nothing outside of loadbalance");
	return w->share;
}

static void
walk_targets(struct walk *w, const json_t *list, const char *where, enum mode mode)
{
	const double share = w->share;
	const char *const name = w->name;
	const json_t *child;
	size_t i;

	json_array_foreach(list, i, child)
	{
		char inner[FROM_WHERE];

		(void)snprintf(inner, sizeof(inner), "%s%stargets[%zu]", where,
		    *where != '\0' ? "." : "", i);
		if (!json_is_object(child)) {
			from_say(w->f, FROM_ERROR, list, NULL, inner, "is not a map");
			continue;
		}
		if (mode == FALLBACK && i > 0 && value_of(child, "targets") != NULL)
			from_say(w->f, FROM_NO_TWIN, child, NULL, inner,
			    "stands behind others: its targets are asked one after the "
			    "other and not by their weights");
		if (mode == LOADBALANCE && value_of(child, "targets") != NULL &&
		    share > 0)
			from_say(w->f, FROM_NO_TWIN, child, NULL, inner,
			    "is a tree of its own: its targets of weight 0 come after "
			    "all others of the name");
		w->share = share_of(w, child, inner, mode, i);
		if (mode == CONDITIONAL) {
			const char *own = text_of(w->f, child, "name", inner);

			w->name = own != NULL ? own : name;
		}
		walk_node(w, child, inner);
		w->share = share;
		w->name = name;
	}
}

static void
walk_node(struct walk *w, const json_t *node, const char *where)
{
	char other[FROM_NAME];
	const json_t *list = from_list(w->f, node, "targets", where);
	enum mode mode;

	if (!read_mode(w->f, node, where, &mode))
		return;
	read_retry(w, node, where);
	if (*where == '\0')
		(void)from_number(w->f, node, written(node, "request_timeout", other),
		    where, 0, &w->timeout_ms);
	tell_members(w->f, node, where, members);
	if (json_array_size(list) > 0) {
		double ms;

		if (*where != '\0' &&
		    from_number(w->f, node, written(node, "request_timeout", other),
			where, 0, &ms))
			from_say(w->f, FROM_NO_TWIN, node, NULL, where,
			    "request_timeout is for its targets there; write it to each");
		walk_targets(w, list, where, mode);
	} else if (list != NULL) {
		from_say(w->f, FROM_ERROR, node, "targets", where, "is empty");
	} else if (mode != SINGLE) {
		from_say(w->f, FROM_ERROR, node, NULL, where,
		    "targets is missing; a strategy has some");
	} else {
		add_target(w, node, where);
	}
}

/* ---- the config ---- */

/* Answers of Portkey's API wrap it: { data: { config: ... } }. */
static const json_t *
unwrap(const json_t *root, const char **name)
{
	static const char *const wraps[] = { "data", "config", NULL };

	for (size_t i = 0; wraps[i] != NULL; i++) {
		const json_t *inner = json_object_get(root, wraps[i]);

		*name = json_string_value(json_object_get(root, "slug")) != NULL
			    ? json_string_value(json_object_get(root, "slug"))
			    : *name;
		if (json_is_object(inner))
			root = inner;
	}
	return root;
}

/* The file's name without folder and ending. */
static void
stem_of(const char *path, char out[FROM_NAME])
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	const char *dot = strrchr(name, '.');
	char stem[FROM_NAME];

	(void)snprintf(stem, sizeof(stem), "%.*s",
	    dot != NULL && dot > name ? (int)(dot - name) : FROM_NAME - 1, name);
	from_slug(stem, "_.", out);
}

static size_t
most_deployments(const json_t *models)
{
	size_t most = 0;
	const char *name;
	json_t *model;

	json_object_foreach((json_t *)(uintptr_t)models, name, model)
	{
		size_t n = json_array_size(json_object_get(model, "to"));

		most = n > most ? n : most;
	}
	return most;
}

static void
conclude(struct walk *w)
{
	double attempts = w->retries >= 0 ? w->retries + 1 : 0;
	struct from *f = w->f;
	size_t most = most_deployments(f->models);
	const char *name;
	json_t *ignored;

	if (most > 1)
		attempts = fmax(attempts, 1) + (double)most - 1;
	if (attempts > 0)
		from_attempts(f, f->root, NULL, "retry.attempts", attempts);
	if (w->timeout_ms > 0)
		from_timeout(f, f->root, NULL, "request_timeout", w->timeout_ms);
	f->has_shares = json_object_size(f->models) > 0;
	json_object_foreach(f->models, name, ignored)
	{
		from_say(f, FROM_REMARK, f->root, NULL, "",
		    "callers ask for the model \"%s\" where they sent this config", name);
	}
	from_say(f, FROM_REMARK, f->root, NULL, "",
	    "keys of Portkey's cannot be taken over, since it does not show their hash: "
	    "make new ones with `latenza key create`");
}

void
from_portkey(struct from *f)
{
	char stem[FROM_NAME];
	struct walk w = { .f = f, .share = 1, .retries = -1 };
	const json_t *config;

	f->has_dollars = true;
	from_note_variables(f, f->root);
	stem_of(f->path, stem);
	w.name = stem;
	config = unwrap(f->root, &w.name);
	if (json_is_object(config) && json_object_size(config) > 0)
		walk_node(&w, config, "");
	else
		from_say(f, FROM_ERROR, f->root, NULL, "",
		    "is not a config of Portkey: it must be a map with strategy and "
		    "targets, or with provider");
	if (json_array_size(f->said[FROM_ERROR]) == 0)
		conclude(&w);
}

/* ---- its list of virtual keys: what each is for ---- */

static const struct from_member key_members[] = {
	TAKEN("slug"),
	TAKEN("name"),
	TAKEN("provider"),
	TAKEN("ai_provider_name"),
	TAKEN("ai_provider_id"),
	TAKEN("model_config"),
	TAKEN("object"),
	TAKEN("id"),
	TAKEN("note"),
	TAKEN("status"),
	TAKEN("created_at"),
	TAKEN("last_updated_at"),
	TAKEN("masked_api_key"),
	TAKEN("workspace_id"),
	TAKEN("organisation_id"),
	TAKEN("reset_usage"),
	{ "usage_limits", "limits a vendor's key; here budgets stand on clients' keys" },
	{ "rate_limits", "limits a vendor's key; here limits stand on clients' keys" },
	{ "expires_at", "has no twin for a vendor's key; take it out of api_keys when it "
			"ends" },
	{ NULL, NULL },
};

static void
read_key(struct from *f, const json_t *list, size_t i)
{
	const json_t *row = json_array_get(list, i);
	char where[FROM_WHERE];
	const char *slug, *vendor;
	json_t *known;

	(void)snprintf(where, sizeof(where), "data[%zu]", i);
	slug = from_text(f, row, "slug", where);
	if (slug == NULL) {
		from_say(f, FROM_ERROR, list, NULL, where,
		    "is not a virtual key: it has no slug");
		return;
	}
	vendor = from_text(f, row, "provider", where);
	if (vendor == NULL)
		vendor = from_text(f, row, "ai_provider_name", where);
	known = json_object();
	if (vendor != NULL)
		(void)json_object_set_new(known, "provider", json_string(vendor));
	if (json_is_object(json_object_get(row, "model_config")))
		(void)json_object_set(
		    known, "model_config", json_object_get(row, "model_config"));
	(void)json_object_set_new(f->access, slug, known);
	tell_members(f, row, where, key_members);
}

void
from_portkey_keys(struct from *f)
{
	const json_t *list =
	    json_is_object(f->root) ? json_object_get(f->root, "data") : f->root;

	f->access = json_object();
	if (!json_is_array(list))
		from_say(f, FROM_ERROR, f->root, NULL, "",
		    "holds no virtual keys; it must be the list that Portkey's API "
		    "answers with: a list, or a map with data");
	for (size_t i = 0; i < json_array_size(list); i++)
		read_key(f, list, i);
}
