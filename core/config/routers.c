/* routers.c - one instance of every router component that is open, named as it is and
 * with its defaults; those that the file names, with their options; and which of them is
 * the default.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/json.h"
#include "config/instance.h"

enum {
	ROUTERS_MAX = 200,
	WHERE_BYTES = 100
};

static const char *const usual = "balanced";

static bool
is_router(const struct part_info *info)
{
	return strcmp(info->kind, "router") == 0;
}

static bool
is_named_before(const struct part_ops *ops, const struct part_info *info)
{
	const struct part_info *other;

	for (size_t i = 0; (other = ops->at(i)) != NULL && other != info; i++) {
		if (is_router(other) && strcmp(other->name, info->name) == 0)
			return true;
	}
	return false;
}

/* ---- one instance ---- */

static size_t
place_before(const struct build *b, const struct instance *m)
{
	const struct config *before = b->o->before;
	size_t i = 0;

	while (before != NULL && i < before->router_count &&
	       strcmp(before->router[i]->name, m->name) != 0)
		i++;
	return i;
}

static void
add_part(struct build *b, const json_t *root, const struct instance *m)
{
	const struct config *before = b->o->before;
	size_t at = place_before(b, m);
	bool is_known = before != NULL && at < before->router_count;
	struct config *c = b->c;
	struct part *part;

	c->strategy[c->strategy_count++] = lz_strz(m->name);
	part = instance_make(b, root, m, is_known ? before->router[at] : NULL,
	    is_known ? before->router_digest[at] : NULL);
	if (part == NULL)
		return;
	memcpy(c->router_digest[c->router_count], m->digest, sizeof(m->digest));
	c->router[c->router_count++] = part;
}

/* ---- of every component one ---- */

static void
add_component(struct build *b, const json_t *root, const struct part_info *info)
{
	struct options_context silent = { .memory = b->c->memory, .keep = b->c->keep };
	struct instance m = { .info = info, .name = info->name, .where = "routers" };
	struct err why = { "" };

	m.own = json_object();
	if (instance_check(&m, NULL, &silent, &why) == ST_OK)
		add_part(b, root, &m);
	json_decref(m.own);
	/* One with options that must be set is there for those who name it. */
}

/* ---- those that the file names ---- */

static void
add_named(struct build *b, const json_t *root, const char *name, const json_t *object)
{
	static const char *const ours[] = { "use", NULL };
	char where[WHERE_BYTES];
	struct instance m = { .name = name, .where = where, .object = object };
	struct options_context c;

	(void)snprintf(where, sizeof(where), "routers.%s", name);
	m.info = instance_find(b, "router", where, object);
	if (m.info == NULL)
		return;
	c = build_context(b, where);
	c.ignore = ours;
	m.own = instance_own(b, object, ours);
	if (instance_check(&m, object, &c, NULL) == ST_OK)
		add_part(b, root, &m);
	json_decref(m.own);
}

static void
add_all_named(struct build *b, const json_t *root)
{
	const json_t *routers = build_object(b, root, "routers");
	const char *name;
	json_t *value;

	if (routers == NULL && json_object_get(root, "routers") != NULL)
		build_wrong(b, NULL, root, "routers", "is not a map of routers");
	json_object_foreach((json_t *)(uintptr_t)routers, name, value)
	{
		const json_t *object = build_object(b, routers, name);

		if (!instance_name_is_fine(b, "routers", "router", routers, name))
			continue;
		if (object == NULL)
			build_wrong(b, "routers", routers, name,
			    "is not a map; write { use: NAME }");
		else if (b->c->strategy_count == ROUTERS_MAX)
			build_wrong(b, "routers", routers, name,
			    "there are more than %d routers", ROUTERS_MAX);
		else
			add_named(b, root, name, object);
	}
}

/* ---- asked for by name ---- */

static const char *
nearest(struct build *b, lz_str name)
{
	const char **names = build_alloc(b, (b->c->strategy_count + 1) * sizeof(*names));

	for (size_t i = 0; names != NULL && i < b->c->strategy_count; i++)
		names[i] = b->c->strategy[i].ptr;
	return names != NULL ? options_nearest(name, names) : NULL;
}

/* A named one that was refused has had its sentence. */
static bool
was_refused(const struct build *b, lz_str name)
{
	return json_object_getn(
		   json_object_get(b->c->tree, "routers"), name.ptr, name.len) != NULL;
}

bool
routers_check(struct build *b, const char *where, const json_t *object,
    const char *member, lz_str name)
{
	const char *near;

	if (config_has_strategy(b->c, name) || was_refused(b, name))
		return true;
	near = nearest(b, name);
	if (near != NULL)
		build_wrong(b, where, object, member,
		    "there is no router \"%.*s\"; did you mean \"%s\"?", STR_ARG(name),
		    near);
	else
		build_wrong(b, where, object, member,
		    "there is no router \"%.*s\" among the plugins or under routers",
		    STR_ARG(name));
	return false;
}

/* What nobody asked for may be absent: then requests go in the order that models are
 * listed in. */
static void
settle_default(struct build *b, const json_t *root)
{
	struct config *c = b->c;

	if (c->default_strategy.len > 0)
		(void)routers_check(b, "routing", json_object_get(root, "routing"),
		    "default", c->default_strategy);
	else if (config_has_strategy(c, lz_strz(usual)))
		c->default_strategy = lz_strz(usual);
	else
		c->default_strategy = STR_NONE;
}

void
routers_read(struct build *b, const json_t *root)
{
	const struct part_ops *ops = part_get_ops();
	const struct part_info *info;

	b->c->router = build_alloc(b, ROUTERS_MAX * sizeof(*b->c->router));
	b->c->router_digest = build_alloc(b, ROUTERS_MAX * CRYPTO_HASH_BYTES);
	b->c->strategy = build_alloc(b, ROUTERS_MAX * sizeof(*b->c->strategy));
	if (b->is_out_of_memory)
		return;
	for (size_t i = 0; ops != NULL && (info = ops->at(i)) != NULL; i++) {
		if (!is_router(info))
			continue;
		if (is_named_before(ops, info))
			build_wrong(b, NULL, root, "plugins",
			    "two plugins offer a router \"%s\"; the second is of %s",
			    info->name, info->plugin);
		else if (b->c->strategy_count == ROUTERS_MAX)
			build_wrong(b, NULL, root, "plugins",
			    "there are more than %d routers", ROUTERS_MAX);
		else
			add_component(b, root, info);
	}
	add_all_named(b, root);
	settle_default(b, root);
}

/* ---- told to others ---- */

json_t *
routers_schema(void)
{
	static const char use[] =
	    "{\"type\":\"string\",\"description\":\"the router of a "
	    "plugin\"}";
	const struct part_ops *ops = part_get_ops();
	json_t *properties = json_object();
	const struct part_info *info;

	(void)json_object_set_new(properties, "use", json_parse(lz_strz(use), NULL));
	/* All routers' options together: which one an entry uses is not known to a
	 * schema. */
	for (size_t i = 0; ops != NULL && (info = ops->at(i)) != NULL; i++) {
		json_t *schema;

		if (!is_router(info))
			continue;
		schema =
		    options_schema(info->options, info->option_count, info->option_size);
		(void)json_object_update_missing(
		    properties, json_object_get(schema, "properties"));
		json_decref(schema);
	}
	return json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:o, s:[s], s:b}}", "type",
	    "object", "description", "routers with options of their own, by name",
	    "propertyNames", "pattern", "^[a-z0-9-]{1,64}$", "additionalProperties",
	    "type", "object", "properties", properties, "required", "use",
	    "additionalProperties", 0);
}

json_t *
routers_shown(const struct config *c)
{
	const json_t *written = json_object_get(c->tree, "routers");
	json_t *out = json_object_size(written) > 0 ? json_object() : NULL;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)written, name, value)
	{
		lz_str use = json_get_str(value, "use"), near;
		const struct part_info *info =
		    instance_component(c, "router", use, &near);
		json_t *one = info != NULL
				  ? options_shown(info->options, info->option_count,
					info->option_size, value)
				  : json_object();

		(void)json_object_set_new(one, "use", json_stringn(use.ptr, use.len));
		(void)json_object_set_new(out, name, one);
	}
	return out;
}
