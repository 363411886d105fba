/* routers.c - one instance of every router component that is open, named as it is and
 * with its defaults; those that the file names, with their options; and which of them is
 * the default.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/crypto.h"
#include "base/json.h"
#include "config/build.h"

enum {
	ROUTERS_MAX = 200,
	WHERE_BYTES = 100,
	DIGEST_BYTES = 1 << 20
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

/* A router that is about to be made. */
struct making {
	const struct part_info *info;
	const char *name, *where;
	const json_t
	    *object; /* as the file has it, for places; NULL: a component's own */
	json_t *own; /* its options alone */
	uint8_t digest[CRYPTO_HASH_BYTES];
};

static struct part *
part_of_before(const struct build *b, const struct making *m)
{
	const struct config *before = b->o->before;

	for (size_t i = 0; before != NULL && i < before->router_count; i++) {
		if (before->router[i]->info == m->info &&
		    strcmp(before->router[i]->name, m->name) == 0 &&
		    memcmp(before->router_digest[i], m->digest, sizeof(m->digest)) == 0)
			return before->router[i];
	}
	return NULL;
}

static void
add_part(struct build *b, const json_t *root, const struct making *m)
{
	struct config *c = b->c;
	struct options_context told = build_context(b, NULL);
	struct err why = { "" };
	struct part *part;

	c->strategy[c->strategy_count++] = lz_strz(m->name);
	if (b->o->is_offline)
		return;
	part = part_of_before(b, m);
	if (part != NULL)
		part_ref(part);
	else
		part = part_get_ops()->make(m->info, m->name, m->own, m->where, &why);
	if (part == NULL && m->object != NULL)
		options_say(&told, OPTIONS_ERROR, m->object, NULL, &why);
	else if (part == NULL)
		build_wrong(b, NULL, root, "plugins", "%s", why.text);
	if (part == NULL)
		return;
	memcpy(c->router_digest[c->router_count], m->digest, sizeof(m->digest));
	c->router[c->router_count++] = part;
}

/* Are the options right? Notes what they come to. */
static enum status
check_options(
    struct making *m, const json_t *object, struct options_context *c, struct err *e)
{
	json_t *resolved = json_object();
	struct buf text;
	enum status st;

	c->resolved = resolved;
	st = options_check(
	    m->info->options, m->info->option_count, m->info->option_size, object, c, e);
	buf_init(&text, DIGEST_BYTES);
	if (st == ST_OK && json_print(resolved, &text))
		crypto_sha256(buf_str(&text), m->digest);
	else if (st == ST_OK)
		st = ST_NOMEM;
	if (text.ptr != NULL)
		crypto_wipe(text.ptr, text.len);
	buf_free(&text);
	json_decref(resolved);
	return st;
}

/* ---- of every component one ---- */

static void
add_component(struct build *b, const json_t *root, const struct part_info *info)
{
	struct options_context silent = { .memory = b->c->memory, .keep = b->c->keep };
	struct making m = { .info = info, .name = info->name, .where = "routers" };
	struct err why = { "" };

	m.own = json_object();
	if (check_options(&m, NULL, &silent, &why) == ST_OK)
		add_part(b, root, &m);
	json_decref(m.own);
	/* One with options that must be set is there for those who name it. */
}

/* ---- those that the file names ---- */

static const struct part_info *
find_component(struct build *b, const char *where, const json_t *object)
{
	const struct part_ops *ops = part_get_ops();
	lz_str use = json_get_str(object, "use"), near = STR_NONE;
	const struct part_info *info = NULL;

	if (use.ptr == NULL)
		build_wrong(b, where, object,
		    json_object_get(object, "use") != NULL ? "use" : NULL,
		    "%s; write use: NAME, a router of the plugins",
		    json_object_get(object, "use") != NULL ? "is not a name"
							   : "use is missing");
	else if (str_starts(use, "lua:"))
		build_wrong(b, where, object, "use",
		    "this release does not have scripts yet; name a router of the "
		    "plugins");
	else if (ops == NULL || (info = ops->find("router", use, &near)) == NULL)
		build_wrong(b, where, object, "use",
		    near.ptr != NULL
			? "there is no router \"%.*s\"; did you mean \"%.*s\"?"
			: "there is no router \"%.*s\" among the plugins%.*s",
		    STR_ARG(str_cut(use, 0, 100)), STR_ARG(near));
	return info;
}

/* The router's own members; file: paths made absolute, since its maker does not know the
 * file's folder. NULL is noted. */
static json_t *
own_members(struct build *b, const json_t *object)
{
	json_t *own = json_object();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		lz_str text =
		    lz_strn(json_string_value(value), json_string_length(value));

		if (strcmp(name, "use") == 0)
			continue;
		if (!json_is_string(value)) {
			(void)json_object_set(own, name, value);
			continue;
		}
		text = options_absolute(text, b->folder, b->c->memory);
		(void)json_object_set_new(
		    own, name, json_stringn(text.ptr != NULL ? text.ptr : "", text.len));
	}
	b->is_out_of_memory |= own == NULL;
	return own;
}

static void
add_named(struct build *b, const json_t *root, const char *name, const json_t *object)
{
	static const char *const ours[] = { "use", NULL };
	char where[WHERE_BYTES];
	struct making m = { .name = name, .where = where, .object = object };
	struct options_context c;

	(void)snprintf(where, sizeof(where), "routers.%s", name);
	m.info = find_component(b, where, object);
	if (m.info == NULL)
		return;
	c = build_context(b, where);
	c.ignore = ours;
	m.own = own_members(b, object);
	if (check_options(&m, object, &c, NULL) == ST_OK)
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
		const struct part_ops *ops = part_get_ops();
		const json_t *object = build_object(b, routers, name);

		if (!build_is_slug(lz_strz(name), false))
			build_wrong(b, "routers", routers, name,
			    "a router's name is made of a-z, 0-9 and -, at most %d",
			    SLUG_BYTES);
		else if (ops != NULL && ops->find("router", lz_strz(name), NULL) != NULL)
			build_wrong(b, "routers", routers, name,
			    "is a router of the plugins already; give this one another "
			    "name");
		else if (object == NULL)
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
		lz_str use = json_get_str(value, "use");
		const struct part_info *info = part_get_ops()->find("router", use, NULL);
		json_t *one = info != NULL
				  ? options_shown(info->options, info->option_count,
					info->option_size, value)
				  : json_object();

		(void)json_object_set_new(one, "use", json_stringn(use.ptr, use.len));
		(void)json_object_set_new(out, name, one);
	}
	return out;
}
