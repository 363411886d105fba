/* instance.c - named instances of plugins' components.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/instance.h"

#include "base/json.h"
#include "config/rules.h"

enum {
	DIGEST_BYTES = 1 << 20
};

const struct part_info *
instance_component(const struct config *c, const char *kind, lz_str use, lz_str *near)
{
	const struct part_ops *ops = part_get_ops();

	*near = STR_NONE;
	if (str_starts(use, "lua:"))
		return policies_find(c, kind, use, near);
	return ops != NULL ? ops->find(kind, use, near) : NULL;
}

const struct part_info *
instance_find(struct build *b, const char *kind, const char *where, const json_t *object)
{
	lz_str use = json_get_str(object, "use"), near = STR_NONE;
	const struct part_info *info = NULL;

	if (use.ptr == NULL)
		build_wrong(b, where, object,
		    json_object_get(object, "use") != NULL ? "use" : NULL,
		    "%s; write use: NAME, a %s of the plugins, or lua:NAME of a script",
		    json_object_get(object, "use") != NULL ? "is not a name"
							   : "use is missing",
		    kind);
	else if ((info = instance_component(b->c, kind, use, &near)) == NULL &&
		 !(b->lacks_policies && str_starts(use, "lua:")))
		build_wrong(b, where, object, "use",
		    near.ptr != NULL ? "there is no %s \"%.*s\"; did you mean \"%.*s\"?"
		    : str_starts(use, "lua:")
			? "there is no %s \"%.*s\" among the scripts that policies "
			  "names%.*s"
			: "there is no %s \"%.*s\" among the plugins%.*s",
		    kind, STR_ARG(str_cut(use, 0, 100)), STR_ARG(near));
	return info;
}

json_t *
instance_own(struct build *b, const json_t *object, const char *const *ours)
{
	json_t *own = json_object();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		lz_str text =
		    lz_strn(json_string_value(value), json_string_length(value));

		if (rule_is_one_of(name, ours))
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

enum status
instance_check(
    struct instance *m, const json_t *object, struct options_context *c, struct err *e)
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

struct part *
instance_make(struct build *b, const json_t *root, const struct instance *m,
    struct part *before, const uint8_t *digest_before)
{
	struct options_context told = build_context(b, NULL);
	struct err why = { "" };
	struct part *part;

	if (b->o->is_offline)
		return NULL;
	if (before != NULL && before->info == m->info &&
	    memcmp(digest_before, m->digest, sizeof(m->digest)) == 0) {
		part_ref(before);
		return before;
	}
	part = part_get_ops()->make(m->info, m->name, m->own, m->where, &why);
	if (part == NULL && m->object != NULL)
		options_say(&told, OPTIONS_ERROR, m->object, NULL, &why);
	else if (part == NULL)
		build_wrong(b, NULL, root, "plugins", "%s", why.text);
	return part;
}

bool
instance_name_is_fine(struct build *b, const char *section, const char *what,
    const json_t *map, const char *name)
{
	const struct part_ops *ops = part_get_ops();

	if (!build_is_slug(lz_strz(name), false))
		build_wrong(b, section, map, name,
		    "a %s's name is made of a-z, 0-9 and -, at most %d", what,
		    SLUG_BYTES);
	else if (strcmp(what, "router") == 0 && ops != NULL &&
		 ops->find(what, lz_strz(name), NULL) != NULL)
		build_wrong(b, section, map, name,
		    "is a %s of the plugins already; give this one another name", what);
	else
		return true;
	return false;
}
