/* inside.h - what the files of gateway/ ask of the whole.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_INSIDE_H
#define GATEWAY_INSIDE_H

#include "gateway/gateway.h"

unsigned inside_worker_count(const struct gateway *g);    /* [any] */
struct keys *inside_keys(struct gateway *g);              /* [any] */
bool inside_is_ready(struct gateway *g, struct err *why); /* [any] */
/* Was the last reload refused, and why? [any] */
bool inside_config_refused(struct gateway *g, struct err *why);
void inside_drained(struct request *r);

#endif
