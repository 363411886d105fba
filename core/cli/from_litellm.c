/* from_litellm.c - a config.yaml of the LiteLLM proxy: its groups of deployments as
 * names.
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
	json_t *models;
	bool is_new;

	if (json_object_size(facts) == 0)
		return;
	is_new = json_object_get(provider, "models") == NULL;
	models = json_list_in(provider, "models");
	if (is_new)
		(void)json_array_append_new(models, json_string("*"));
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
		litellm_entry(l, list, i);
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
			litellm_guardrails(f);
			litellm_settings(&l);
		}
	}
	f->access = json_incref(l.access);
	json_decref(l.groups);
	json_decref(l.access);
	json_decref(l.credentials);
}
