/* tell.c - an event becomes a log line of its row's level.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/tell.h"

static const struct {
	const char *name;
	enum log_level level;
} rows[TELL_COUNT] = {
#define TELL_ROW(id, name, level) [TELL_##id] = { name, level },
	TELL_ROWS(TELL_ROW)
#undef TELL_ROW
};

void
tell(enum tell what, const char *fmt, ...)
{
	va_list args;

	must(what < TELL_COUNT);
	va_start(args, fmt);
	log_vline(rows[what].level, rows[what].name, fmt, args);
	va_end(args);
}
