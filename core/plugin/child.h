/* child.h - work done in a child process, which speaks a line at a time.
 *
 * What crashes, loops or exits there does so alone, and is told as a sentence.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLUGIN_CHILD_H
#define PLUGIN_CHILD_H

#include "base/status.h"

struct talk {
	int fd; /* the child's end */
};

enum child_mark {
	CHILD_DOES = '@', /* what it is about to do: said if it does not come back */
	CHILD_PASSED = '+',
	CHILD_WARNED = '?',
	CHILD_FAILED = '-',
	CHILD_DONE = '.' /* the end; the host's own */
};

typedef void child_work_fn(const struct talk *t, const void *what);
/* what: CHILD_PASSED, CHILD_WARNED or CHILD_FAILED. */
typedef void child_say_fn(void *arg, enum child_mark mark, const char *sentence);

/* In the child: one line, cut at 600 bytes. */
void child_tell(const struct talk *t, enum child_mark mark, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* Runs work(t, what) in a child, with a process group of its own and max_ms of time, and
 * passes on what it tells. Number of failures, its own end included; -1: no child could
 * be made. [main] */
int child_run(
    child_work_fn *work, const void *what, unsigned max_ms, child_say_fn *say, void *arg);

#endif
