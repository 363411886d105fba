/* scripts.h - scripts join the registry.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_SCRIPTS_H
#define GATEWAY_SCRIPTS_H

#include "config/policy.h"
#include "lua/script.h"

/* From here on a configuration may have `policies`. After registry_start(). [start] */
void scripts_start(void);
/* What the terms come to for who runs the script. */
void scripts_limits(const struct policy_terms *t, struct script_limits *out);

#endif
