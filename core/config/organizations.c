/* organizations.c - the organisations that the file declares, and the assistants inside
 * them.
 *
 * What a level may not say under the one above it is an error here; what the gateway
 * publishes later from a command is resolved so that it cannot matter (key/terms.c).
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/json.h"
#include "config/build.h"

enum {
	PROFILES_MAX = 10000, /* organisations and assistants together */
	WHERE_BYTES = 200,
	INNER_BYTES = 2 * WHERE_BYTES
};

static const char *const own_names[] = { "assistants", NULL };

/* The settings alone, as the other rooms store and parse them again. */
static const json_t *
settings_tree(struct build *b, const json_t *object)
{
	json_t *copy = json_deep_copy(object);

	(void)json_object_del(copy, "assistants");
	if (copy == NULL || json_array_append_new(b->c->keep, copy) != 0)
		b->is_out_of_memory = true;
	return copy;
}

static void
check_default_model(struct build *b, const char *where, const json_t *object,
    const struct key_settings *s, const struct key_settings *above)
{
	lz_str model = s->default_model;

	if (model.ptr == NULL)
		return;
	if (!keys_knows_model(b, model))
		build_warn(b, where, object, "default_model",
		    "no provider serves \"%.*s\"", STR_ARG(model));
	if (!key_settings_allow(s, model) || !key_settings_allow(above, model))
		build_wrong(b, where, object, "default_model",
		    "\"%.*s\" is not in the model_allowlist here or above",
		    STR_ARG(model));
}

/* Reads one into the next row, also a wrong one: what refers to it is no second mistake.
 * above NULL: an organisation. */
static void
read_profile(struct build *b, const char *where, const json_t *object,
    const struct config_profile *above, const char *above_where)
{
	struct config_profile *p = &b->c->profile[b->c->profile_count++];
	struct options_context c = build_context(b, where);

	c.ignore = above == NULL ? own_names : NULL;
	p->line = yaml_line(b->source, object, NULL);
	p->tree = settings_tree(b, object);
	if (profile_settings_read(
		above == NULL ? KEY_LEVEL_ORGANIZATION : KEY_LEVEL_ASSISTANT, object, &c,
		&p->settings, NULL) == ST_OK) {
		keys_check_settings(b, where, object, &p->settings);
		if (above != NULL)
			keys_check_under(b, where, object, &p->settings, &above->settings,
			    above_where);
		if (above != NULL)
			check_default_model(
			    b, where, object, &p->settings, &above->settings);
	}
}

/* NULL: the name or the value is no good, and that was told. */
static const json_t *
object_of(struct build *b, const char *where, const json_t *map, const char *name,
    const char *what)
{
	const json_t *object = build_object(b, map, name);

	if (!key_is_profile_name(lz_strz(name)))
		build_wrong(b, where, map, name,
		    "the name of an %s is made of a-z, 0-9 and -, at most %d", what,
		    KEY_PROFILE_BYTES);
	else if (object == NULL)
		build_wrong(b, where, map, name, "is not a map of settings");
	else
		return object;
	return NULL;
}

static void
read_assistants(
    struct build *b, const char *above_where, const json_t *organization, size_t above)
{
	const json_t *map = build_object(b, organization, "assistants");
	char where[INNER_BYTES];
	const char *name;
	json_t *value;

	if (map == NULL && json_object_get(organization, "assistants") != NULL)
		build_wrong(b, above_where, organization, "assistants",
		    "is not a map of assistants");
	json_object_foreach((json_t *)(uintptr_t)map, name, value)
	{
		const json_t *object = object_of(b, above_where, map, name, "assistant");
		struct config_profile *p = &b->c->profile[b->c->profile_count];

		(void)snprintf(
		    where, sizeof(where), "%s.assistants.%s", above_where, name);
		if (object == NULL)
			continue;
		p->organization = b->c->profile[above].organization;
		p->assistant = lz_strz(name);
		read_profile(b, where, object, &b->c->profile[above], above_where);
	}
}

static size_t
count(const json_t *organizations)
{
	size_t n = json_object_size(organizations);
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)organizations, name, value)
	{
		n += json_object_size(json_object_get(value, "assistants"));
	}
	return n;
}

void
organizations_read(struct build *b, const json_t *organizations)
{
	size_t room = count(organizations);
	struct config *c = b->c;
	const char *name;
	json_t *value;

	if (room > PROFILES_MAX) {
		build_wrong(b, "organizations", organizations, NULL,
		    "there are more than %d organizations and assistants; make them by "
		    "command",
		    PROFILES_MAX);
		return;
	}
	c->profile = build_alloc(b, (room + 1) * sizeof(*c->profile));
	if (c->profile == NULL)
		return;
	json_object_foreach((json_t *)(uintptr_t)organizations, name, value)
	{
		const json_t *object =
		    object_of(b, "organizations", organizations, name, "organization");
		size_t at = c->profile_count;
		char where[WHERE_BYTES];

		(void)snprintf(where, sizeof(where), "organizations.%s", name);
		if (object == NULL)
			continue;
		c->profile[at].organization = lz_strz(name);
		read_profile(b, where, object, NULL, NULL);
		read_assistants(b, where, object, at);
	}
}

const struct config_profile *
config_profile(const struct config *c, lz_str organization, lz_str assistant)
{
	for (size_t i = 0; i < c->profile_count; i++) {
		const struct config_profile *p = &c->profile[i];

		if (str_eq(p->organization, organization) &&
		    str_eq(p->assistant, assistant))
			return p;
	}
	return NULL;
}

/* ---- told to others ---- */

json_t *
organizations_schema(void)
{
	json_t *object = key_settings_schema(KEY_LEVEL_ORGANIZATION);
	json_t *assistants = json_pack("{s:s, s:s, s:{s:s}, s:o}", "type", "object",
	    "description", "named profiles for keys of the organization", "propertyNames",
	    "pattern", "^[a-z0-9-]{1,64}$", "additionalProperties",
	    key_settings_schema(KEY_LEVEL_ASSISTANT));

	(void)json_object_set_new(
	    json_object_get(object, "properties"), "assistants", assistants);
	return json_pack("{s:s, s:s, s:{s:s}, s:o}", "type", "object", "description",
	    "organizations by name", "propertyNames", "pattern", "^[a-z0-9-]{1,64}$",
	    "additionalProperties", object);
}

json_t *
organizations_shown(const struct config *c)
{
	return json_deep_copy(json_object_get(c->tree, "organizations"));
}
