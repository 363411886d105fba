/* plugin_fixture.h - compiles plugins for tests, into a directory that only we may write.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_PLUGIN_FIXTURE_H
#define TESTS_PLUGIN_FIXTURE_H

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

static char fixture_dir[PATH_MAX];

static const char *
fixture_env(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v != NULL && *v != '\0' ? v : otherwise;
}

static inline void
fixture_start(void)
{
	(void)snprintf(fixture_dir, sizeof(fixture_dir), "%s/latenza-plugins-XXXXXX",
	    fixture_env("TMPDIR", "/tmp"));
	if (mkdtemp(fixture_dir) == NULL)
		abort();
}

static inline void
fixture_stop(void)
{
	char command[PATH_MAX + 16];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", fixture_dir);
	if (system(command) != 0)
		abort();
}

static inline const char *
fixture_path(const char *name)
{
	static char path[4][PATH_MAX + 64];
	static unsigned turn;
	char *p = path[turn++ % 4];

	if (snprintf(p, sizeof(path[0]), "%s/%s", fixture_dir, name) >=
	    (int)sizeof(path[0]))
		abort();
	return p;
}

/* Compiles sources of the tree, blanks between them, to NAME.so in the directory; flags
 * may hold -D and -l. The sanitizers of the test's own build are not wanted in the
 * plugin: they would have to be first in the process. */
static inline const char *
fixture_compile(const char *source, const char *name, const char *flags)
{
	const char *out = fixture_path(name);
	char command[4 * PATH_MAX];

	(void)snprintf(command, sizeof(command),
	    "cd '%s' && %s -std=c11 -D_DEFAULT_SOURCE -O1 -g -fPIC -shared "
	    "-fvisibility=hidden -Isdk -Iplugins/ask -Iplugins/scan -Iplugins/text "
	    "-o '%s' %s %s",
	    fixture_env("srcdir", "."), fixture_env("CC", "cc"), out, source, flags);
	if (system(command) != 0)
		fail_msg("cannot compile %s", source);
	return out;
}

#endif
