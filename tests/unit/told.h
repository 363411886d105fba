/* told.h - for tests: which events were told, read from the log that they become.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_TOLD_H
#define TESTS_TOLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static FILE *told_file;
static int told_stderr;

/* From here on the log goes into a file. */
static inline void
told_start(void)
{
	told_file = tmpfile();
	if (told_file == NULL)
		abort();
	log_set_format(LOG_FORMAT_JSON);
	log_set_level(LOG_LEVEL_DEBUG);
	told_stderr = dup(2);
	(void)dup2(fileno(told_file), 2);
}

static inline void
told_stop(void)
{
	(void)dup2(told_stderr, 2);
	(void)close(told_stderr);
	(void)fclose(told_file);
}

/* How many lines hold both words. */
static inline unsigned
told_count(const char *word, const char *other)
{
	char line[2000];
	unsigned n = 0;

	rewind(told_file);
	while (fgets(line, sizeof(line), told_file) != NULL)
		n += strstr(line, word) != NULL && strstr(line, other) != NULL;
	return n;
}

static inline void
told_forget(void)
{
	if (ftruncate(fileno(told_file), 0) != 0 ||
	    lseek(fileno(told_file), 0, SEEK_SET) != 0)
		abort();
	rewind(told_file);
}

#endif
