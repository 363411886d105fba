/* err.c - the sentence behind a failure, the names of the statuses, and the end of the
 * road for our own bugs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

static const char *const status_names[] = {
	[ST_OK] = "ok",
	[ST_NOMEM] = "no memory",
	[ST_INVALID] = "invalid",
	[ST_LIMIT] = "limit reached",
	[ST_IO] = "input/output error",
	[ST_FULL] = "no space",
	[ST_NOT_FOUND] = "not found",
	[ST_EXISTS] = "exists already",
	[ST_AGAIN] = "not now",
	[ST_DENIED] = "denied",
	[ST_GONE] = "gone",
	[ST_TIMEOUT] = "timed out",
};

/* A sentence that was cut in the middle of a character would make a client's JSON carry a
 * U+FFFD. */
static void
trim_cut_character(char *text)
{
	size_t len = strlen(text), from = len;

	while (from > 0 && ((unsigned char)text[from - 1] & 0xc0) == 0x80)
		from--;
	if (from > 0 && (unsigned char)text[from - 1] >= 0xc0)
		from--;
	if (from < len && str_utf8_step(text + from, len - from) == 0)
		text[from] = '\0';
}

/* A sentence is one line, whatever names and values are quoted in it. */
static void
join_lines(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
	}
}

enum status
err_fail(struct err *e, enum status st, const char *fmt, ...)
{
	va_list args;
	int n;

	if (e == NULL)
		return st;
	va_start(args, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, args);
	va_end(args);
	if (n >= (int)sizeof(e->text))
		trim_cut_character(e->text);
	join_lines(e->text);
	return st;
}

void
err_prefix(struct err *e, const char *fmt, ...)
{
	struct err was;
	va_list args;
	int n;

	if (e == NULL)
		return;
	was = *e;
	va_start(args, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, args);
	va_end(args);
	if (n < 0)
		n = 0;
	if ((size_t)n < sizeof(e->text))
		n += snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", was.text);
	if ((size_t)n >= sizeof(e->text))
		trim_cut_character(e->text);
	join_lines(e->text);
}

const char *
status_name(enum status st)
{
	if ((size_t)st >= sizeof(status_names) / sizeof(*status_names))
		return "unknown status";
	return status_names[st];
}

void
must_fail(const char *file, int line, const char *expression)
{
	log_error(
	    "base.must", "file=%s line=%d expression=\"%s\"", file, line, expression);
	abort();
}
