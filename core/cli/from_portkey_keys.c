/* from_portkey_keys.c - Portkey's list of virtual keys: whose credential each stands for.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "cli/from_portkey.h"

static const struct from_member key_members[] = {
	PORTKEY_TAKEN("slug"),
	PORTKEY_TAKEN("name"),
	PORTKEY_TAKEN("provider"),
	PORTKEY_TAKEN("ai_provider_name"),
	PORTKEY_TAKEN("ai_provider_id"),
	PORTKEY_TAKEN("model_config"),
	PORTKEY_TAKEN("object"),
	PORTKEY_TAKEN("id"),
	PORTKEY_TAKEN("note"),
	PORTKEY_TAKEN("status"),
	PORTKEY_TAKEN("created_at"),
	PORTKEY_TAKEN("last_updated_at"),
	PORTKEY_TAKEN("masked_api_key"),
	PORTKEY_TAKEN("workspace_id"),
	PORTKEY_TAKEN("organisation_id"),
	PORTKEY_TAKEN("reset_usage"),
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
	portkey_members(f, row, where, key_members);
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
