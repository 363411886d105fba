/* trial.h - components in a fake host, for the command line: `plugin check` and `plugin
 * run`. Tests of authors use latenza/testhost.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIAL_TRIAL_H
#define TRIAL_TRIAL_H

#include <jansson.h>
#include "base/status.h"
#include "base/str.h"
#include "plugin/child.h"

struct testhost;

/* testhost_new() with a reason instead of a problem. kind: "guardrail", ...; may be NULL,
 * as component may: then there must be one only. options: borrowed, may be NULL. The
 * plugin's `lz` is the fake host's from here on: not in a process that serves. [main] */
struct testhost *trial_new(const char *file, const char *kind, const char *component,
    const json_t *options, struct err *e) MUST_CHECK;
const lz_component *trial_component(const struct testhost *h);
const lz_plugin *trial_plugin(const struct testhost *h);

/* `latenza plugin check`: in a child process with a time limit, looks at the file, what
 * it exports and needs, its tables; gives every option what it may and may not be; makes
 * and destroys 1,000 instances of each component; calls each in a fake host, streams cut
 * in many ways; and tells each finding as a sentence. Number of failures. path: a name
 * does as well. [main] */
int trial_check(const char *path, child_say_fn *say, void *arg);

#endif
