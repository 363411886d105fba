/* log.h - one failure, one line: an event name, then key=value.
 *
 * Lines go to stderr: with a <priority> prefix under systemd's journal, as readable text
 * on a terminal, else as JSON lines. Prompts, answers, secrets and header values reach no
 * line at any level.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/status.h"

enum {
	LOG_LINE_BYTES = 1000
};

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR
};

/* event: "room.what", static. fmt: `key=value key="value with blanks"` pairs. Control
 * characters in the result are escaped; a line is cut at 1,000 bytes. [any] */
void log_line(enum log_level level, const char *event, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__) /* an operator must act */
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)  /* degraded, heals itself */
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)  /* life cycle */
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* The same for a function that takes pairs from its own caller. [any] */
void log_vline(enum log_level level, const char *event, const char *fmt, va_list args)
    PRINTF_LIKE(3, 0);

enum log_format {
	LOG_FORMAT_AUTO,     /* asks stderr and the environment at the first line */
	LOG_FORMAT_JOURNAL,  /* <4>room.what key=value */
	LOG_FORMAT_TERMINAL, /* 2026-11-22T16:01:10.123Z warn  room.what key=value */
	LOG_FORMAT_JSON /* {"time":"","level":"warn","event":"room.what","key":"value"} */
};

void log_set_level(enum log_level least);    /* default: info. [any] */
void log_set_format(enum log_format format); /* [start], tests */
bool log_level_parse(const char *name, enum log_level *out);

#endif
