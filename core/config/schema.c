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
	(void)json_object_set_new(properties, "keys", keys_file_schema());
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:b}", "$schema",
	    "https://json-schema.org/draft/2020-12/schema", "title", "latenza.yaml",
	    "description", "The configuration of a Latenza gateway", "type", "object",
	    "properties", properties, "additionalProperties", 0);
}

json_t *
config_shown(const struct config *c)
{
	json_t *out = sections_shown(c->tree);

	(void)json_object_set_new(out, "providers", providers_shown(c));
	(void)json_object_set_new(out, "keys", keys_shown(c));
	return out;
}
