/* status.h - what a function that can fail returns, and how it says why.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum status {
	ST_OK = 0,
	ST_NOMEM,   /* an allocation failed, or a bounded buffer is full */
	ST_INVALID, /* the input is wrong; struct err says what and where */
	ST_LIMIT,   /* a configured maximum was reached */
	ST_IO,      /* the system refused: see struct err */
	ST_FULL,    /* no space on the storage device */
	ST_NOT_FOUND,
	ST_EXISTS,
	ST_AGAIN, /* not now; the caller is told when */
	ST_DENIED,
	ST_GONE, /* the other side left */
	ST_TIMEOUT
};

#define MUST_CHECK __attribute__((warn_unused_result))
/* Called so rarely that it is not put into who calls it, which would save registers for
 * it every time. */
#define RARE                   __attribute__((noinline, cold))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* One sentence for a person: "<subject>: <what is wrong>; <what would be right>". Callers
 * put it on the stack; no allocation on the error path. Passing NULL is allowed
 * everywhere. */
struct err {
	char text[400];
};

/* Writes the sentence and returns `st`, so that a failure is one statement. What is
 * quoted in it begins no new line and steers no terminal: control bytes become blanks.
 * [any] */
enum status err_fail(struct err *e, enum status st, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* Puts "prefix: " before what is there already; truncates at the end. [any] */
void err_prefix(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A word for logs: "ok", "no memory", ... [any] */
const char *status_name(enum status st);

/* For our own bugs only: logs file, line and expression, then aborts. Bad input never
 * gets here. */
#define must(cond) ((cond) ? (void)0 : must_fail(__FILE__, __LINE__, #cond))
_Noreturn void must_fail(const char *file, int line, const char *expression);

#endif
