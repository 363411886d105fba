/* config_fixture.h - what the tests of config/ share: a text loaded against made-up
 * plugins.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_CONFIG_FIXTURE_H
#define TESTS_CONFIG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/config.h"

/* ---- made-up plugins ---- */

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

/* ---- loading ---- */

static struct buf told; /* every error of the last load */

static inline struct config *
load_with(struct config_options o, const char *text)
{
	struct err e = { "" };
	struct config *c;

	o.text = lz_strz(text);
	if (o.path == NULL)
		o.path = "latenza.yaml";
	buf_free(&told);
	buf_init(&told, 1 << 20);
	c = config_load(&o, &told, &e);
	buf_add_char(&told, '\0');
	if (c == NULL)
		assert_string_not_equal(e.text, "");
	return c;
}

static inline struct config *
load(const char *text)
{
	return load_with((struct config_options){ .path = NULL }, text);
}

static inline void
drop(struct config *c)
{
	config_unref(c);
	config_reap();
}

static inline struct config *
load_fine(const char *text)
{
	struct config *c = load(text);

	if (c == NULL)
		fail_msg("refused: %s", told.ptr);
	return c;
}

static inline void
expect_warning(const struct config *c, const char *part)
{
	for (size_t i = 0; i < c->warning_count; i++) {
		if (strstr(c->warning[i], part) != NULL)
			return;
	}
	fail_msg("no warning says \"%s\"; %zu warnings, the first: %s", part,
	    c->warning_count, c->warning_count > 0 ? c->warning[0] : "");
}

static inline void
expect_refusal(const char *text, const char *sentence)
{
	struct config *c = load(text);

	if (c != NULL)
		fail_msg("accepted: %s", text);
	if (strstr(told.ptr, sentence) == NULL)
		fail_msg("\"%s\" is not said; told: %s", sentence, told.ptr);
}

static inline int
config_set_up(void **state)
{
	(void)state;
	json_start();
	part_set_ops(&fake_ops);
	(void)unsetenv("OPENAI_API_KEY");
	(void)setenv("LZ_KEY", "sk-canary-0123456789", 1);
	return 0;
}

static inline int
config_tear_down(void **state)
{
	(void)state;
	buf_free(&told);
	assert_int_equal(fake_made, fake_destroyed);
	return 0;
}

#endif
