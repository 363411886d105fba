/* attempts.h - private to gateway/: the attempts of a request, between the stage table
 * and call/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_ATTEMPTS_H
#define GATEWAY_ATTEMPTS_H

#include "request/request.h"

/* The row of the stage table: makes the latest attempt, and lets a slow one have company.
 */
enum step attempts_make(struct request *r);
/* The attempt that could not be paid is none. */
void attempts_take_back(struct request *r);
/* request_ops: the client gets this one's answer; one is over. */
void attempts_answers(struct request *r, struct attempt *one);
void attempts_over(struct request *r, struct attempt *a, enum step s);

#endif
