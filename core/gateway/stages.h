/* stages.h - the way of a request: the stage table, and who runs it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_STAGES_H
#define GATEWAY_STAGES_H

#include "gateway/routes.h"
#include "request/request.h"

extern const struct request_ops stages_ops;

/* Starts the stages of r->route. The request may be gone when it returns. */
void stages_start(struct request *r);
/* Ends a request whose stages never began: refused early (key, route, content type), or
 * answered by a route without stages. Trace when its key is known, then the answer. */
void stages_end(struct request *r);
/* The client left: whatever runs is cancelled, settled and traced. */
void stages_client_gone(struct request *r);

#endif
