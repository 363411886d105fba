/* explain.h - a request that a command asks about: who would serve it, under which key,
 * without its secret and without calling anybody.
 *
 * It crosses the same stages on a worker as any other, up to "explain"; rate, concurrency
 * and tokens are not used up, and it leaves no trace.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_EXPLAIN_H
#define GATEWAY_EXPLAIN_H

#include "request/request.h"

/* The body has been read: what a header would have said is said now. [worker] */
void explanation_begins(struct request *r);
/* The request is over: its answer, or its refusal, goes to who waits. [worker] */
void explanation_ends(struct request *r);

#endif
