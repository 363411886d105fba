/* config_fixture.h - what the tests of config/ share: a text loaded against made-up
 * plugins, and what is said of it.
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
#include <unistd.h>

#include "base/json.h"
#include "config_parts.h"

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
