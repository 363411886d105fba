/* config_parts.h - made-up plugins, for who loads configurations without real ones.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_CONFIG_PARTS_H
#define TESTS_CONFIG_PARTS_H

#include <string.h>

#include "base/mem.h"
#include "config/config.h"

struct fancy {
	int64_t depth;
	lz_str token;
};

static const lz_option fancy_rows[] = {
	LZ_OPT_INT(struct fancy, depth, "3", 1, 9, NULL, "how deep"),
	LZ_OPT_TEXT(struct fancy, token, "", "secret", "a token of its own"),
};

#define FAKE(kind_, name_, url)                                                          \
	{                                                                                \
		.kind = kind_, .name = name_, .summary = "made up", .plugin = name_,     \
		.base_url = url, .has_host = true                                        \
	}
static const struct part_info fake_parts[] = {
	FAKE("provider", "openai", "https://api.openai.com/v1"),
	FAKE("provider", "anthropic", "https://api.anthropic.com"),
	FAKE("provider", "compatible", NULL),
	FAKE("provider", "echo", "echo:"),
	{ .kind = "provider",
	    .name = "fancy",
	    .summary = "made up",
	    .plugin = "fancy",
	    .options = fancy_rows,
	    .option_count = 2,
	    .option_size = sizeof(lz_option),
	    .has_host = true },
	FAKE("router", "cheapest", NULL),
	FAKE("router", "balanced", NULL),
	{ .kind = "router",
	    .name = "weighted",
	    .summary = "made up",
	    .plugin = "weighted",
	    .options = fancy_rows,
	    .option_count = 2,
	    .option_size = sizeof(lz_option),
	    .has_host = true },
	FAKE("guardrail", "pii", NULL),
};

static unsigned fake_made, fake_destroyed, fake_opened;
static bool fake_refuses; /* the next make() fails */

static inline enum status
fake_open(const struct part_want *want, size_t count, bool strict, struct err *e)
{
	(void)strict;
	fake_opened++;
	for (size_t i = 0; i < count; i++) {
		if (str_is(want[i].path, "missing"))
			return err_fail(e, ST_NOT_FOUND,
			    "plugin missing: there is no file of that name");
	}
	return ST_OK;
}

static inline const struct part_info *
fake_at(size_t i)
{
	return i < sizeof(fake_parts) / sizeof(fake_parts[0]) ? &fake_parts[i] : NULL;
}

static inline const struct part_info *
fake_find(const char *kind, lz_str name, lz_str *near)
{
	const struct part_info *info;

	if (near != NULL)
		*near = STR_NONE;
	for (size_t i = 0; (info = fake_at(i)) != NULL; i++) {
		if (strcmp(info->kind, kind) != 0)
			continue;
		if (str_is(name, info->name))
			return info;
		if (near != NULL && str_distance(name, lz_strz(info->name), 2) <= 2)
			*near = lz_strz(info->name);
	}
	return NULL;
}

static inline struct part *
fake_make(const struct part_info *info, const char *name, const json_t *options,
    const char *where, struct err *e)
{
	struct part *p;

	if (fake_refuses) {
		(void)err_fail(e, ST_INVALID, "%s: does not start today", where);
		return NULL;
	}
	p = mem_zalloc(sizeof(*p));
	if (p == NULL) {
		(void)err_fail(e, ST_NOMEM, "%s: out of memory", where);
		return NULL;
	}
	atomic_init(&p->refs, 1);
	p->info = info;
	p->name = mem_strdup(name);
	p->options = json_deep_copy(options);
	fake_made++;
	return p;
}

static inline void
fake_destroy(struct part *p)
{
	fake_destroyed++;
	json_decref(p->options);
	mem_free(p->name);
	mem_free(p);
}

static const struct part_ops fake_ops = { fake_open, fake_find, fake_at, fake_make,
	fake_destroy };

#endif
