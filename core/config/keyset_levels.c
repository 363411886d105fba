/* keyset_levels.c - settings of a key under those of its assistant and its organisation:
 * what a lower level may say.
 *
 * A limit's number may be replaced by another number, since the nearest level wins; that
 * there is one may not be undone. Budgets and allowlists need no rule: they add up.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/keyset.h"

static const struct {
	const char *name;
	size_t at;
} counters[KEY_COUNTERS] = {
	[KEY_RATE_LIMIT] = { "rate_limit", offsetof(struct key_settings, rate_limit) },
	[KEY_MAX_IN_FLIGHT] = { "max_in_flight",
	    offsetof(struct key_settings, max_in_flight) },
	[KEY_MAX_OUTPUT_TOKENS] = { "max_output_tokens",
	    offsetof(struct key_settings, max_output_tokens) },
	[KEY_TOKENS_PER_MINUTE] = { "tokens_per_minute",
	    offsetof(struct key_settings, tokens_per_minute) },
};
static const char *const monthly = "budget_monthly_eur";

enum key_counter
key_counter(const char *name)
{
	unsigned i = 0;

	while (i < KEY_COUNTERS && strcmp(counters[i].name, name) != 0)
		i++;
	must(i < KEY_COUNTERS || strcmp(name, monthly) == 0);
	return (enum key_counter)i;
}

int64_t *
key_counter_of(struct key_settings *s, unsigned i)
{
	must(i < KEY_COUNTERS);
	return (int64_t *)(void *)((char *)s + counters[i].at);
}

bool
key_is_profile_name(lz_str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-')
			return false;
	}
	return name.len > 0 && name.len <= KEY_PROFILE_BYTES;
}

bool
key_settings_allow(const struct key_settings *s, lz_str model)
{
	for (size_t i = 0; i < s->allow_count; i++) {
		if (str_matches(model, s->allow[i]))
			return true;
	}
	return !s->has_allowlist;
}

static bool
is_limited(const struct key_settings *s, unsigned counter)
{
	if (counter < KEY_COUNTERS)
		return *key_counter_of((struct key_settings *)(uintptr_t)s, counter) >= 0;
	for (size_t i = 0; i < s->budget_count; i++) {
		if (s->budget[i].period == PERIOD_MONTH)
			return true;
	}
	return false;
}

const char *
key_settings_clash(const struct key_settings *s, const struct key_settings *above,
    const char *what, unsigned *at, struct err *e)
{
	for (; *at <= KEY_COUNTERS; ++*at) {
		unsigned i = *at;

		if ((s->unlimited & UINT32_C(1) << i) == 0 || !is_limited(above, i))
			continue;
		++*at;
		(void)err_fail(e, ST_INVALID,
		    "\"unlimited\" is not possible here: %s has a limit; write a number, "
		    "or leave it out",
		    what);
		return i < KEY_COUNTERS ? counters[i].name : monthly;
	}
	if ((*at)++ > KEY_COUNTERS + 1 || s->log_content == LOG_CONTENT_INHERIT ||
	    s->log_content >= above->log_content)
		return NULL;
	(void)err_fail(e, ST_INVALID,
	    "is more than %s keeps; a lower level may only lower it", what);
	return "log_content";
}
