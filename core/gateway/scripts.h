/* scripts.h - scripts join the registry.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_SCRIPTS_H
#define GATEWAY_SCRIPTS_H

/* From here on a configuration may have `policies`. After registry_start(). [start] */
void scripts_start(void);

#endif
