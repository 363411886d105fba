/* guard_scene.h - a shipped guardrail under the SDK's fake host, and what it makes of a
 * text.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_GUARD_SCENE_H
#define TESTS_GUARD_SCENE_H

#include "plugin_fixture.h"

#include <latenza/testhost.h>

/* The guardrail NAME of build/plugins with these options, as JSON. owned */
static inline struct testhost *
guard_open(const char *name, const char *options)
{
	char file[PATH_MAX];

	(void)snprintf(file, sizeof(file), "%s/plugins/.libs/%s.so",
	    fixture_env("builddir", "."), name);
	return testhost_new(file, name, options);
}

/* Why these options are refused; NULL: they are not. */
static inline const char *
guard_refusal(const char *name, const char *options)
{
	char file[PATH_MAX];

	(void)snprintf(file, sizeof(file), "%s/plugins/.libs/%s.so",
	    fixture_env("builddir", "."), name);
	return testhost_refusal(file, name, options);
}

static inline void
assert_str_is(lz_str s, const char *wanted, const char *of)
{
	if (s.len != strlen(wanted) || memcmp(s.ptr, wanted, s.len) != 0)
		fail_msg(
		    "\"%s\" became \"%.*s\", not \"%s\"", of, (int)s.len, s.ptr, wanted);
}

/* A prompt becomes this one, in a request of its own. */
static inline void
assert_becomes(struct testhost *h, const char *text, const char *wanted)
{
	testhost_begin(h);
	assert_str_is(testhost_prompt(h, text)->texts[0], wanted, text);
}

/* Nothing is found in it. */
static inline void
assert_passes(struct testhost *h, const char *text)
{
	assert_becomes(h, text, text);
}

/* splits random ways to cut it, and all of 1 to 8 bytes, give the whole text's result.
 * LATENZA_CUTS_STEP: only every so manyth, where all is slow. */
static inline void
assert_cuts(struct testhost *h, const char *text, const char *secret, size_t splits)
{
	splits /= strtoul(fixture_env("LATENZA_CUTS_STEP", "1"), NULL, 10);
	assert_int_equal(testhost_cuts(h, text, secret, splits, 7), 0);
}

/* What tests mix texts of. */
struct guard_dice {
	uint64_t state;
};
static inline size_t
guard_roll(struct guard_dice *d, size_t sides)
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 7;
	d->state ^= d->state << 17;
	return (size_t)(d->state % sides);
}

/* Pieces in a random order, between two of them one of the separators. */
static inline void
guard_mix(
    struct guard_dice *d, const char *const *pieces, size_t n, char *out, size_t room)
{
	static const char *const between[] = { " ", ", ", "", "\n", " - ", "(", ")", ".",
		"x", "7", ":", "[", "  ", "@", "\xc3\xa9", "\xe2\x80\x8b" };
	size_t len = 0;

	out[0] = '\0';
	for (size_t k = 1 + guard_roll(d, 8); k > 0; k--) {
		int m = snprintf(out + len, room - len, "%s%s", pieces[guard_roll(d, n)],
		    between[guard_roll(d, sizeof(between) / sizeof(between[0]))]);

		if (m < 0 || (size_t)m >= room - len) {
			out[len] = '\0';
			return;
		}
		len += (size_t)m;
	}
}

#endif
