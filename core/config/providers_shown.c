/* providers_shown.c - the file's providers told to others: as JSON Schema, and as they
 * are used.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "config/build.h"

/* All plugins' options together: which plugin a provider names is not known to a schema.
 */
static void
add_plugin_options(json_t *properties)
{
	const struct part_ops *ops = part_get_ops();
	const struct part_info *info;

	for (size_t i = 0; ops != NULL && (info = ops->at(i)) != NULL; i++) {
		json_t *schema, *own;

		if (strcmp(info->kind, "provider") != 0)
			continue;
		schema =
		    options_schema(info->options, info->option_count, info->option_size);
		own = json_object_get(schema, "properties");
		(void)json_object_update_missing(properties, own);
		json_decref(schema);
	}
}

json_t *
providers_schema(void)
{
	json_t *object =
	    options_schema(provider_rows, provider_row_count, sizeof(lz_option));
	json_t *properties = json_object_get(object, "properties");
	json_t *list = json_object_get(properties, "models");
	json_t *item =
	    json_pack("{s:[o,o]}", "anyOf", json_pack("{s:s}", "type", "string"),
		options_schema(model_rows, model_row_count, sizeof(lz_option)));

	(void)json_object_set_new(list, "items", item);
	add_plugin_options(properties);
	(void)json_object_set_new(object, "type", json_pack("[ss]", "object", "null"));
	return json_pack("{s:s, s:s, s:{s:s}, s:o}", "type", "object", "description",
	    "providers by name", "propertyNames", "pattern", "^[a-z0-9-]{1,64}$",
	    "additionalProperties", object);
}

/* Values that may be secrets are shown as what they refer to. */
static json_t *
headers_shown(const json_t *headers)
{
	json_t *out = json_object();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)headers, name, value)
	{
		bool is_reference =
		    options_is_reference(lz_strz(json_string_value(value)));

		(void)json_object_set_new(
		    out, name, is_reference ? json_incref(value) : json_string("***"));
	}
	return out;
}

/* http://user:password@host shows no password. */
static json_t *
proxy_shown(const json_t *proxy)
{
	lz_str text =
	    json_is_string(proxy) ? lz_strz(json_string_value(proxy)) : STR_NONE;

	return str_find(text, '@') >= 0 ? json_string("***")
					: json_incref((json_t *)(uintptr_t)proxy);
}

static json_t *
provider_shown(const struct provider *p, const json_t *object)
{
	json_t *out =
	    options_shown(provider_rows, provider_row_count, sizeof(lz_option), object);
	json_t *own = options_shown(
	    p->info->options, p->info->option_count, p->info->option_size, object);
	const json_t *headers = json_object_get(object, "headers");
	const json_t *proxy = json_object_get(object, "proxy");

	(void)json_object_update(out, own);
	json_decref(own);
	(void)json_object_set_new(out, "plugin", json_string(p->info->name));
	if (!options_is_reference(json_get_str(object, "base_url")))
		(void)json_object_set_new(
		    out, "base_url", json_stringn(p->base_url.ptr, p->base_url.len));
	(void)json_object_set_new(out, "test", json_boolean(p->is_test));
	if (headers != NULL)
		(void)json_object_set_new(out, "headers", headers_shown(headers));
	if (proxy != NULL)
		(void)json_object_set_new(out, "proxy", proxy_shown(proxy));
	return out;
}

json_t *
providers_shown(const struct config *c)
{
	const json_t *written = json_object_get(c->tree, "providers");
	json_t *out = json_object();

	for (size_t i = 0; i < c->provider_count; i++) {
		const struct provider *p = &c->provider[i];

		(void)json_object_set_new(out, p->name.ptr,
		    provider_shown(p, json_object_get(written, p->name.ptr)));
	}
	return out;
}
