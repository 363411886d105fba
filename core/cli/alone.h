/* alone.h - a gateway for one command alone, where none runs. Private to cli/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_ALONE_H
#define CLI_ALONE_H

#include "cli/command.h"

/* What is to be done with a gateway; an exit code. at: the first address on which it
 * listens; is_alone: it was started for this, has a data directory of its own, and knows
 * of keys only those of the file. c is about that gateway. */
typedef int alone_fn(const struct cli *c, const char *at, bool is_alone, void *arg);
/* With the gateway that serves the data directory of c, else with one in a child process
 * that ends behind `work`. What work returns, or a code after saying what is wrong. */
int alone_run(const struct cli *c, alone_fn *work, void *arg);

#endif
