/* schema.c - the whole file told to others: as a JSON Schema for editors, and as it is
 * used.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/build.h"

json_t *
config_schema(void)
{
	json_t *properties = sections_schema();

	(void)json_object_set_new(properties, "providers", providers_schema());
	(void)json_object_set_new(properties, "models", names_schema());
	(void)json_object_set_new(properties, "routers", routers_schema());
	(void)json_object_set_new(properties, "policies", policies_schema());
	(void)json_object_set_new(properties, "guardrails", guardrails_schema());
	(void)json_object_set_new(properties, "organizations", organizations_schema());
	(void)json_object_set_new(properties, "keys", keys_file_schema());
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:b}", "$schema",
	    "https://json-schema.org/draft/2020-12/schema", "title", "latenza.yaml",
	    "description", "The configuration of a Latenza gateway", "type", "object",
	    "properties", properties, "additionalProperties", 0);
}

/* The addresses in force: --listen may have replaced the file's. */
static json_t *
listen_shown(const struct config *c)
{
	json_t *out = json_array();
	char text[128];

	for (size_t i = 0; i < c->listen_count; i++) {
		net_addr_format(&c->listen[i], text, sizeof(text));
		(void)json_array_append_new(out, json_string(text));
	}
	return out;
}

/* What the file leaves to the gateway, and what the command line took from it. */
static void
show_decided(const struct config *c, json_t *out)
{
	json_t *routing = json_object_get(out, "routing");

	if (c->default_strategy.ptr != NULL)
		(void)json_object_set_new(routing, "default",
		    json_stringn(c->default_strategy.ptr, c->default_strategy.len));
	/* Without a length it is a reference that was not resolved: loaded offline. */
	if (c->listen[0].len > 0)
		(void)json_object_set_new(out, "listen", listen_shown(c));
}

json_t *
config_shown(const struct config *c)
{
	json_t *out = sections_shown(c->tree), *organizations = organizations_shown(c);
	json_t *routers = routers_shown(c), *guardrails = guardrails_shown(c);
	json_t *policies = policies_shown(c);

	show_decided(c, out);
	(void)json_object_set_new(out, "providers", providers_shown(c));
	(void)json_object_set_new(out, "models", names_shown(c));
	if (policies != NULL)
		(void)json_object_set_new(out, "policies", policies);
	if (routers != NULL)
		(void)json_object_set_new(out, "routers", routers);
	if (guardrails != NULL)
		(void)json_object_set_new(out, "guardrails", guardrails);
	if (organizations != NULL)
		(void)json_object_set_new(out, "organizations", organizations);
	(void)json_object_set_new(out, "keys", keys_shown(c));
	return out;
}
