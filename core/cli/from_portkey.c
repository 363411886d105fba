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
#include <string.h>

#include "base/json.h"
#include "cli/from_portkey.h"

enum {
	WEIGHT_MOST = 1000000
};

/* ---- members ---- */

#define CACHE "has no twin: answers are not cached; cache them in the application"
#define STATUS                                                                           \
	"has no twin: which failures go to the next is the gateway's rule: 408, 429, "   \
	"5xx, timeouts and broken connections"
#define VENDOR                                                                           \
	"belongs to a vendor that no plugin here speaks to; put a server that speaks "   \
	"OpenAI's dialect before it"

static const struct from_member members[] = {
	PORTKEY_TAKEN("strategy"),
	PORTKEY_TAKEN("targets"),
	PORTKEY_TAKEN("provider"),
	PORTKEY_TAKEN("virtual_key"),
	PORTKEY_TAKEN("api_key"),
	PORTKEY_TAKEN("weight"),
	PORTKEY_TAKEN("name"),
	PORTKEY_TAKEN("override_params"),
	PORTKEY_TAKEN("retry"),
	PORTKEY_TAKEN("request_timeout"),
	PORTKEY_TAKEN("custom_host"),
	PORTKEY_TAKEN("resource_name"),
	PORTKEY_TAKEN("azure_resource_name"),
	PORTKEY_TAKEN("deployment_id"),
	PORTKEY_TAKEN("azure_deployment_id"),
	PORTKEY_TAKEN("api_version"),
	PORTKEY_TAKEN("azure_api_version"),
	PORTKEY_TAKEN("openai_organization"),
	PORTKEY_TAKEN("openai_project"),
	{ "azure_model_name", "is not needed: the deployment's name says it; write "
			      "base_model to the deployment for its prices" },
	{ "strict_open_ai_compliance", FROM_ALWAYS },
	{ "cache", CACHE },
	{ "on_status_codes", STATUS },
	PORTKEY_TAKEN("input_guardrails"),
	PORTKEY_TAKEN("output_guardrails"),
	PORTKEY_TAKEN("before_request_hooks"),
	PORTKEY_TAKEN("after_request_hooks"),
	{ "forward_headers",
	    "has no twin: clients' headers do not reach providers; write "
	    "a provider's headers" },
	{ "default_params", PORTKEY_PARAMS },
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
	PORTKEY_TAKEN("mode"),
	PORTKEY_TAKEN("default"),
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
	PORTKEY_TAKEN("attempts"),
	{ "on_status_codes", STATUS },
	{ "use_retry_after_header", FROM_ALWAYS },
	{ NULL, NULL },
};

/* Members may be written either way: virtual_key, virtualKey. */
const char *
portkey_written(const json_t *object, const char *name, char out[FROM_NAME])
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

const char *
portkey_text(struct from *f, const json_t *object, const char *name, const char *where)
{
	char other[FROM_NAME];

	return from_text(f, object, portkey_written(object, name, other), where);
}

json_t *
portkey_value(const json_t *object, const char *name)
{
	char other[FROM_NAME];

	return json_object_get(object, portkey_written(object, name, other));
}

/* from_members(), for members that are written either way. */
void
portkey_members(struct from *f, const json_t *object, const char *where,
    const struct from_member *table)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		const struct from_member *row = table;
		char other[FROM_NAME];

		while (row->name != NULL && strcmp(row->name, name) != 0 &&
		       strcmp(portkey_written(NULL, row->name, other), name) != 0)
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

static void walk_node(struct portkey_walk *w, const json_t *node, const char *where);

/* false: said. */
static bool
read_mode(struct from *f, const json_t *node, const char *where, enum mode *out)
{
	const json_t *strategy = portkey_value(node, "strategy");
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
			portkey_members(f, strategy, inner, strategy_members);
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
read_retry(struct portkey_walk *w, const json_t *node, const char *where)
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
	portkey_members(w->f, retry, inner, retry_members);
}

/* ---- nodes ---- */

/* What a child gets of its parent's share. */
static double
share_of(struct portkey_walk *w, const json_t *child, const char *where, enum mode mode,
    size_t i)
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
walk_targets(
    struct portkey_walk *w, const json_t *list, const char *where, enum mode mode)
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
		if (mode == FALLBACK && i > 0 && portkey_value(child, "targets") != NULL)
			from_say(w->f, FROM_NO_TWIN, child, NULL, inner,
			    "stands behind others: its targets are asked one after the "
			    "other and not by their weights");
		if (mode == LOADBALANCE && portkey_value(child, "targets") != NULL &&
		    share > 0)
			from_say(w->f, FROM_NO_TWIN, child, NULL, inner,
			    "is a tree of its own: its targets of weight 0 come after "
			    "all others of the name");
		w->share = share_of(w, child, inner, mode, i);
		if (mode == CONDITIONAL) {
			const char *own = portkey_text(w->f, child, "name", inner);

			w->name = own != NULL ? own : name;
		}
		walk_node(w, child, inner);
		w->share = share;
		w->name = name;
	}
}

static void
walk_node(struct portkey_walk *w, const json_t *node, const char *where)
{
	char other[FROM_NAME];
	const json_t *list = from_list(w->f, node, "targets", where);
	enum mode mode;

	if (!read_mode(w->f, node, where, &mode))
		return;
	read_retry(w, node, where);
	if (*where == '\0')
		(void)from_number(w->f, node,
		    portkey_written(node, "request_timeout", other), where, 0,
		    &w->timeout_ms);
	portkey_guardrails(w->f, node, where);
	portkey_members(w->f, node, where, members);
	if (json_array_size(list) > 0) {
		double ms;

		if (*where != '\0' &&
		    from_number(w->f, node,
			portkey_written(node, "request_timeout", other), where, 0, &ms))
			from_say(w->f, FROM_NO_TWIN, node, NULL, where,
			    "request_timeout is for its targets there; write it to each");
		walk_targets(w, list, where, mode);
	} else if (list != NULL) {
		from_say(w->f, FROM_ERROR, node, "targets", where, "is empty");
	} else if (mode != SINGLE) {
		from_say(w->f, FROM_ERROR, node, NULL, where,
		    "targets is missing; a strategy has some");
	} else {
		portkey_target(w, node, where);
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
conclude(struct portkey_walk *w)
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
	struct portkey_walk w = { .f = f, .share = 1, .retries = -1 };
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
