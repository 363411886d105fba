/* call.h - stage 3: one attempt at one provider, from the bytes sent to the answer given
 * on.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CALL_CALL_H
#define CALL_CALL_H

#include "request/request.h"

/* Registers the outcomes of latenza_attempts_total. [start] */
void call_start(void);

/* Makes the latest attempt. STEP_WAIT as a rule, and ops->attempt_over() later; or at
 * once:
 *   STEP_DONE   the answer is there: r->answer_* (whole), or streamed but for
 *               r->last_bytes
 *   STEP_RETRY  it failed, a->blame and a->end say how, and the client has seen nothing
 *   STEP_FAULT  the gateway's own fault */
enum step call_attempt(struct request *r);
/* Nobody waits for the attempt any more: the provider's call is cancelled, nothing
 * follows, and it can be settled. end: why, for the trace; static. */
void call_cancel(struct attempt *a, const char *end);
/* The client takes bytes again. */
void call_drained(struct request *r);

#endif
