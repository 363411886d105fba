/* routers.c - one instance of every router component that is open, and which of them is
 * the default.
 *
 * This release has no named routers with options of their own: an instance is made with
 * defaults and named as its component.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/build.h"

enum {
	ROUTERS_MAX = 200
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

static struct part *
part_of_before(const struct build *b, const struct part_info *info)
{
	const struct config *before = b->o->before;

	for (size_t i = 0; before != NULL && i < before->router_count; i++) {
		if (before->router[i]->info == info)
			return before->router[i];
	}
	return NULL;
}

static void
add_router(struct build *b, const json_t *root, const struct part_info *info)
{
	struct options_context silent = { .memory = b->c->memory, .keep = b->c->keep };
	struct part *part = part_of_before(b, info);
	struct err why = { "" };
	json_t *none;

	if (part != NULL) {
		part_ref(part);
		b->c->router[b->c->router_count++] = part;
		return;
	}
	if (options_check(info->options, info->option_count, info->option_size, NULL,
		&silent, &why) != ST_OK) {
		build_warn(b, NULL, root, "plugins",
		    "the router %s cannot be used: it has options without a default, and "
		    "this release has no "
		    "named routers yet",
		    info->name);
		return;
	}
	if (b->o->is_offline)
		return;
	none = json_object();
	part = part_get_ops()->make(info, info->name, none, "routers", &why);
	json_decref(none);
	if (part == NULL)
		build_wrong(b, NULL, root, "plugins", "%s", why.text);
	else
		b->c->router[b->c->router_count++] = part;
}

bool
routers_check(struct build *b, const char *where, const json_t *object,
    const char *member, lz_str name)
{
	const struct part_ops *ops = part_get_ops();
	lz_str near = STR_NONE;

	if (ops != NULL && ops->find("router", name, &near) != NULL)
		return true;
	if (near.ptr != NULL)
		build_wrong(b, where, object, member,
		    "there is no router \"%.*s\"; did you mean \"%.*s\"?", STR_ARG(name),
		    STR_ARG(near));
	else
		build_wrong(b, where, object, member,
		    "there is no router \"%.*s\" among the plugins", STR_ARG(name));
	return false;
}

/* What nobody asked for may be absent: then requests go in the order that models are
 * listed in. */
static void
settle_default(struct build *b, const json_t *root)
{
	struct config *c = b->c;
	const struct part_ops *ops = part_get_ops();

	if (c->default_strategy.len > 0)
		(void)routers_check(b, "routing", json_object_get(root, "routing"),
		    "default", c->default_strategy);
	else if (ops != NULL && ops->find("router", lz_strz(usual), NULL) != NULL)
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
	if (b->c->router == NULL)
		return;
	for (size_t i = 0; ops != NULL && (info = ops->at(i)) != NULL; i++) {
		if (!is_router(info))
			continue;
		if (is_named_before(ops, info))
			build_wrong(b, NULL, root, "plugins",
			    "two plugins offer a router \"%s\"; the second is of %s",
			    info->name, info->plugin);
		else if (b->c->router_count == ROUTERS_MAX)
			build_wrong(b, NULL, root, "plugins",
			    "there are more than %d routers", ROUTERS_MAX);
		else
			add_router(b, root, info);
	}
	settle_default(b, root);
}
