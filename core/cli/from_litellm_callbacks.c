/* from_litellm_callbacks.c - guardrails of LiteLLM's old form: names of callbacks, in
 * litellm_settings.guardrails, as { NAME: { callbacks, default_on } }, or in
 * litellm_settings.callbacks, where they hold for every request.
 *
 * All of them look at requests.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/from_litellm_guardrail.h"

/* ---- callbacks ---- */

static bool
is_only_logged(const struct litellm_guardrail *e, const json_t *settings)
{
	return json_is_true(json_object_get(e->params, "logging_only")) ||
	       json_is_true(json_object_get(settings, "presidio_logging_only"));
}

static void
personal(const struct litellm_guardrail *e)
{
	const json_t *settings = json_object_get(e->f->root, "litellm_settings");

	if (is_only_logged(e, settings)) {
		from_say(e->f, FROM_NO_TWIN, e->params, e->member, e->where,
		    "masks what is logged and nothing else, and was left out: here a "
		    "trace keeps what the model was sent");
		return;
	}
	litellm_mask_personal(e);
	litellm_restore(e, settings, "litellm_settings");
}

static void
secrets(const struct litellm_guardrail *e)
{
	(void)litellm_add_guardrail(e, "secrets", "mask");
}

static void
injection(const struct litellm_guardrail *e)
{
	(void)litellm_add_guardrail(e, "injection", "block");
	from_say(e->f, FROM_REMARK, e->params, e->member, e->where,
	    "became use: injection, which goes by signs of its own; no model is asked");
}

/* Those that stop something; whoever is not among them tells of requests. */
static const struct {
	const char *name;
	void (*convert)(const struct litellm_guardrail *e); /* NULL: no twin */
} callbacks[] = {
	{ "presidio", personal },
	{ "hide_secrets", secrets },
	{ "openai_moderations", litellm_ask_openai },
	{ "detect_prompt_injection", injection },
	{ "lakera_prompt_injection", NULL },
	{ "aporia_prompt_injection", NULL },
	{ "llamaguard_moderations", NULL },
	{ "llmguard_moderations", NULL },
	{ "google_text_moderation", NULL },
	{ "azure_content_safety", NULL },
	{ "banned_keywords", NULL },
	{ "blocked_user_check", NULL },
};

/* false: it is none that is known to stop something. */
static bool
convert(const struct litellm_guardrail *e, const char *callback)
{
	for (size_t i = 0; i < sizeof(callbacks) / sizeof(callbacks[0]); i++) {
		if (strcmp(callbacks[i].name, callback) != 0)
			continue;
		if (callbacks[i].convert != NULL)
			callbacks[i].convert(e);
		else
			from_say(e->f, FROM_NO_TWIN, e->params, "callbacks", e->where,
			    "%s " LITELLM_NO_GUARDRAIL, callback);
		return true;
	}
	return false;
}

/* ---- litellm_settings.guardrails ---- */

static void
tell_roles(const struct litellm_guardrail *e)
{
	const json_t *roles = json_object_get(e->params, "enabled_roles");

	if (json_array_size(roles) > 0 && json_array_size(roles) < 3)
		from_say(e->f, FROM_REMARK, e->params, "enabled_roles", e->where,
		    "messages of all roles are judged here");
}

static void
read_item(struct litellm_guardrail *e)
{
	static const struct from_member members[] = {
		{ "callbacks", NULL },
		{ "default_on", NULL },
		{ "logging_only", NULL },
		{ "enabled_roles", NULL },
		{ "callback_args",
		    "was not converted; write what they say to the options "
		    "of the guardrails that were" },
		{ NULL, NULL },
	};
	const json_t *list = from_list(e->f, e->params, "callbacks", e->where), *one;
	size_t i;

	from_members(e->f, e->params, e->where, members);
	if (json_array_size(list) == 0)
		from_say(e->f, FROM_ERROR, e->params, NULL, e->where, "has no callbacks");
	tell_roles(e);
	json_array_foreach(list, i, one)
	{
		const char *callback = json_string_value(one);

		if (callback == NULL)
			from_say(e->f, FROM_ERROR, e->params, "callbacks", e->where,
			    "the %zu. is not a text", i + 1);
		else if (!convert(e, callback))
			from_say(e->f, FROM_NO_TWIN, e->params, "callbacks", e->where,
			    "\"%.100s\" " LITELLM_NO_GUARDRAIL, callback);
	}
	litellm_tell_for_whom(e, e->name);
}

static void
read_items(struct from *f, const json_t *object, const char *outer)
{
	const char *name;
	json_t *params;

	json_object_foreach((json_t *)(uintptr_t)object, name, params)
	{
		struct litellm_guardrail e = {
			.f = f, .object = object, .params = params, .name = name
		};

		(void)snprintf(e.outer, sizeof(e.outer), "%s", outer);
		(void)snprintf(e.where, sizeof(e.where), "%s.%.100s", outer, name);
		if (from_map(f, object, name, outer) == NULL) {
			from_say(f, FROM_ERROR, object, NULL, e.where,
			    "is not a map; write { callbacks: [...], default_on: true }");
			continue;
		}
		e.is_default = json_is_true(json_object_get(params, "default_on"));
		e.on = json_pack("[s]", "request");
		e.mine = json_array();
		read_item(&e);
		json_decref(e.on);
		json_decref(e.mine);
	}
}

/* ---- litellm_settings.callbacks ---- */

/* One with a dot in its name is somebody's own code, and may have refused. */
static void
read_callback(struct from *f, const json_t *settings, const char *callback)
{
	struct litellm_guardrail e = { .f = f,
		.object = settings,
		.params = settings,
		.name = callback,
		.where = "litellm_settings",
		.on = json_pack("[s]", "request"),
		.mine = json_array(),
		.is_default = true,
		.member = "callbacks" };

	if (!convert(&e, callback))
		from_say(f, FROM_NO_TWIN, settings, "callbacks", e.where, "%.100s %s",
		    callback,
		    strchr(callback, '.') != NULL ? LITELLM_NO_GUARDRAIL
						  : LITELLM_LOGGING);
	json_decref(e.on);
	json_decref(e.mine);
}

/* It says what becomes of what Presidio masked; without one it says nothing. */
static void
tell_unused(struct from *f, const json_t *settings)
{
	const char *name;
	json_t *one;

	json_object_foreach(f->guardrails, name, one)
	{
		if (json_is_true(json_object_get(one, "restore")))
			return;
	}
	if (json_is_true(json_object_get(settings, "output_parse_pii")))
		from_say(f, FROM_NO_TWIN, settings, "output_parse_pii",
		    "litellm_settings",
		    "was left out: there is no guardrail here whose masks it would "
		    "take off");
}

void
litellm_callbacks(struct from *f)
{
	const json_t *settings = json_object_get(f->root, "litellm_settings");
	const json_t *list = from_list(f, settings, "guardrails", "litellm_settings"),
		     *given = json_object_get(settings, "callbacks"), *one;
	char outer[FROM_WHERE / 2];
	size_t i;

	json_array_foreach(list, i, one)
	{
		(void)snprintf(
		    outer, sizeof(outer), "litellm_settings.guardrails[%zu]", i);
		if (json_object_get(one, "guardrail_name") != NULL)
			litellm_read_guardrail(f, list, one, outer);
		else if (json_object_size(one) > 0)
			read_items(f, one, outer);
		else
			from_say(f, FROM_ERROR, list, NULL, outer,
			    "is not { NAME: { callbacks: [...] } }");
	}
	if (json_is_string(given))
		read_callback(f, settings, json_string_value(given));
	json_array_foreach(given, i, one)
	{
		if (json_is_string(one))
			read_callback(f, settings, json_string_value(one));
		else
			from_say(f, FROM_NO_TWIN, settings, "callbacks",
			    "litellm_settings", LITELLM_LOGGING);
	}
	tell_unused(f, settings);
}
