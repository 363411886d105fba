/* check.h - what check.c and check_calls.c tell each other.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIAL_CHECK_H
#define TRIAL_CHECK_H

#include "plugin/host.h"
#include "trial/trial.h"

/* Some values for the options that have no default. owned */
json_t *check_samples(const struct part_info *info);
/* Calls the component under the fake host, and tells what it broke. */
void check_calls(const struct talk *t, const char *path, const struct part_info *info);

#endif
