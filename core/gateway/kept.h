/* kept.h - the last good source of each script, in the data directory, so that a gateway
 * starts when a script's file is broken meanwhile.
 *
 * DATA/policies holds a file for each, called by the hash of the script's path: JSON with
 * its path and its parts, their texts in base64. Each is replaced in one step, so that a
 * crash leaves the old one or the new one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_KEPT_H
#define GATEWAY_KEPT_H

#include "config/config.h"
#include "lua/script.h"

/* The last good one of what lies at `path`, under the limits and grants of `like`; NULL:
 * there is none, or it does not load either. owned. [main] */
struct script *kept_load(
    const char *folder, const char *path, const struct script_source *like);
/* Keeps what serves now and forgets what is in the file no longer. A policy that cannot
 * be kept is a line in the log. folder: DATA/policies, which is made. [main] */
void kept_save(const char *folder, const struct config *c);

#endif
