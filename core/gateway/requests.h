/* requests.h - requests are born from exchanges and die after their trace.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_REQUESTS_H
#define GATEWAY_REQUESTS_H

#include "request/request.h"

/* The server's calls for the data plane; arg is the struct worker. */
extern const struct server_ops requests_ops;

/* A request that began at `began`. x NULL: no client waits for it. NULL: out of memory.
 */
struct request *requests_make(
    struct worker *w, struct exchange *x, const struct moment *began);
/* The answer is out and the trace offered: frees the request, as soon as no work
 * elsewhere refers to it any more. */
void requests_done(struct request *r);
/* Such work came home after the request was over. */
void requests_let_go(struct request *r);
void requests_start(void); /* [start] */

#endif
