/* guard_host.h - one shipped guardrail at a time under the SDK's fake host, `host`.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_GUARD_HOST_H
#define TESTS_GUARD_HOST_H

#include "guard_scene.h"

static struct testhost *host;

/* The guardrail NAME with these options, as JSON, instead of the last one. */
static inline void
guard_use(const char *name, const char *options)
{
	testhost_free(host);
	host = guard_open(name, options);
	assert_non_null(host);
}

/* The same of one that asks a service. more: further members, each with a comma before it
 */
static inline void
guard_use_url(const char *name, const char *url, const char *more)
{
	char options[600];

	(void)snprintf(options, sizeof(options), "{\"url\":\"%s\"%s}", url, more);
	guard_use(name, options);
}

static inline int
tear_down(void **state)
{
	(void)state;
	testhost_free(host);
	host = NULL;
	return 0;
}

/* These options are refused in a sentence that has `words` in it. */
static inline void
assert_refused(const char *name, const char *options, const char *words)
{
	const char *why = guard_refusal(name, options);

	if (why == NULL || strstr(why, words) == NULL)
		fail_msg("%s: '%s'", options, why != NULL ? why : "taken");
}

#endif
