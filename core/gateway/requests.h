/* requests.h - requests are born from exchanges and die after their trace.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_REQUESTS_H
#define GATEWAY_REQUESTS_H

#include "request/request.h"

/* The server's calls for the data plane; arg is the struct worker. */
extern const struct server_ops requests_ops;

void requests_free(struct request *r);

#endif
