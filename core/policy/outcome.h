/* outcome.h - what the attempts of a request came to.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICY_OUTCOME_H
#define POLICY_OUTCOME_H

#include "request/request.h"

/* Nobody is left to try: the fault is the attempts' own story, the most telling first.
 * At least one attempt was made. STEP_FAULT. */
enum step outcome_fail(struct request *r);
/* No attempt was made: every candidate is unhealthy. STEP_FAULT; the caller is told when
 * to ask again. */
enum step outcome_unhealthy(struct request *r);

#endif
