/* from_litellm_guardrails.c - guardrails of LiteLLM: entries, their phases, their twins
 * among ours, and for whom they hold.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/from_litellm_guardrail.h"

#define NAMED_BY                                                                         \
	"at the keys and organizations for which it is to hold, under guardrails:"

/* ---- instances ---- */

json_t *
litellm_add_guardrail(
    const struct litellm_guardrail *e, const char *use, const char *action)
{
	char name[FROM_GUARDRAIL];
	json_t *one;

	one = from_guardrail(e->f, e->name, use, json_incref(e->on), name);
	if (e->is_default)
		(void)json_object_set_new(one, "default_on", json_true());
	if (action != NULL)
		(void)json_object_set_new(one, "action", json_string(action));
	(void)json_array_append_new(
	    json_list_in(e->f->guarded, e->name), json_string(name));
	(void)json_array_append_new(e->mine, json_string(name));
	return one;
}

bool
litellm_has_text(const json_t *list, const char *text)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (strcmp(json_string_value(one), text) == 0)
			return true;
	}
	return false;
}

/* ---- an entry ---- */

static const struct {
	const char *name;
	void (*convert)(const struct litellm_guardrail *e);
} twins[] = {
	{ "presidio", litellm_find_personal },
	{ "hide-secrets", litellm_find_secrets },
	{ "litellm_content_filter", litellm_find_words },
	{ "openai_moderation", litellm_ask_moderation },
	{ "generic_guardrail_api", litellm_ask_hook },
};

static void
add_phase(struct litellm_guardrail *e, const char *mode)
{
	const char *phase = NULL;

	if (strcmp(mode, "pre_call") == 0 || strcmp(mode, "during_call") == 0)
		phase = "request";
	else if (strcmp(mode, "post_call") == 0)
		phase = "response";
	if (phase == NULL)
		from_say(e->f, FROM_NO_TWIN, e->params, "mode", e->where,
		    "%s was left out: requests and responses are judged here", mode);
	else if (!litellm_has_text(e->on, phase))
		(void)json_array_append_new(e->on, json_string(phase));
}

/* false: nothing is left, or said. */
static bool
read_mode(struct litellm_guardrail *e)
{
	const json_t *mode = json_object_get(e->params, "mode"), *one;
	size_t i;

	if (json_is_string(mode)) {
		add_phase(e, json_string_value(mode));
	} else if (json_is_array(mode)) {
		json_array_foreach(mode, i, one)
		{
			if (json_is_string(one))
				add_phase(e, json_string_value(one));
		}
	} else {
		from_say(e->f, FROM_NO_TWIN, e->params, mode != NULL ? "mode" : NULL,
		    e->where,
		    "the guardrail was left out: its mode is not one of pre_call, "
		    "during_call, post_call");
	}
	return json_array_size(e->on) > 0;
}

void
litellm_tell_for_whom(const struct litellm_guardrail *e, const char *member)
{
	if (e->is_default || json_array_size(e->mine) == 0)
		return;
	from_say(e->f, FROM_REMARK, e->object, member, e->outer,
	    "is not default_on, and callers cannot ask for it here: write its name "
	    "" NAMED_BY);
}

static void
convert(struct litellm_guardrail *e)
{
	const char *kind = from_text(e->f, e->params, "guardrail", e->where);

	for (size_t i = 0; kind != NULL && i < sizeof(twins) / sizeof(twins[0]); i++) {
		if (strcmp(twins[i].name, kind) != 0)
			continue;
		if (read_mode(e))
			twins[i].convert(e);
		litellm_tell_for_whom(e, "guardrail_name");
		return;
	}
	from_say(e->f, FROM_NO_TWIN, e->params, kind != NULL ? "guardrail" : NULL,
	    e->where, LITELLM_NO_GUARDRAIL);
}

void
litellm_read_guardrail(
    struct from *f, const json_t *list, const json_t *object, const char *outer)
{
	static const struct from_member members[] = { { "guardrail_name", NULL },
		{ "litellm_params", NULL },
		{ "guardrail_info", "has no twin: it was for those who list guardrails" },
		{ NULL, NULL } };
	struct litellm_guardrail e = { .f = f, .object = object };

	(void)snprintf(e.outer, sizeof(e.outer), "%s", outer);
	(void)snprintf(e.where, sizeof(e.where), "%s.litellm_params", e.outer);
	e.name = from_text(f, e.object, "guardrail_name", e.outer);
	e.params = from_map(f, e.object, "litellm_params", e.outer);
	if (e.name == NULL || e.params == NULL) {
		from_say(f, FROM_ERROR, list, NULL, e.outer,
		    "has not both guardrail_name and litellm_params");
		return;
	}
	from_members(f, e.object, e.outer, members);
	e.is_default = json_is_true(json_object_get(e.params, "default_on"));
	e.on = json_array();
	e.mine = json_array();
	convert(&e);
	json_decref(e.on);
	json_decref(e.mine);
}

void
litellm_guardrails(struct from *f)
{
	const json_t *list = from_list(f, f->root, "guardrails", "");
	char outer[FROM_WHERE / 2];

	for (size_t i = 0; i < json_array_size(list); i++) {
		(void)snprintf(outer, sizeof(outer), "guardrails[%zu]", i);
		litellm_read_guardrail(f, list, json_array_get(list, i), outer);
	}
	litellm_callbacks(f);
}

/* ---- who names them ---- */

/* Those that theirs became, after what the row names already. */
static void
name_guardrails(struct litellm_row *r, const json_t *names)
{
	json_t *mine = json_object_get(r->out, "guardrails");
	const json_t *name;
	size_t i;

	if (mine == NULL && json_array_size(names) > 0) {
		mine = json_array();
		(void)json_object_set_new(r->out, "guardrails", mine);
	}
	json_array_foreach(names, i, name)
	{
		if (!litellm_has_text(mine, json_string_value(name)))
			(void)json_array_append(mine, (json_t *)(uintptr_t)name);
	}
}

void
litellm_name_guardrails(struct litellm_row *r, const json_t *list)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *theirs = json_string_value(one);
		const json_t *names =
		    theirs != NULL ? json_object_get(r->f->guarded, theirs) : NULL;

		if (names == NULL)
			from_say(r->f, FROM_NO_TWIN, r->object, "metadata", r->where,
			    "the guardrail \"%.100s\" was not converted, and does not "
			    "hold for this %s",
			    theirs != NULL ? theirs : "?", r->what);
		name_guardrails(r, names);
	}
}

void
litellm_switch_guardrails(struct litellm_row *r)
{
	const json_t *map = from_map(r->f, r->object, "permissions", r->where);
	const char *theirs;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)map, theirs, value)
	{
		const json_t *names = json_object_get(r->f->guarded, theirs);

		if (names != NULL && json_is_true(value))
			name_guardrails(r, names);
		else if (names != NULL)
			from_say(r->f, FROM_NO_TWIN, r->object, "permissions", r->where,
			    "the guardrail \"%.100s\" is not switched off for one %s: "
			    "where it is default_on it holds for all",
			    theirs, r->what);
		else
			from_say(r->f, FROM_NO_TWIN, r->object, "permissions", r->where,
			    "\"%.100s\" has no twin; a %s sends requests and nothing "
			    "else",
			    theirs, r->what);
	}
}
