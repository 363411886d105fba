/* trace.h - stage 4: what is remembered of a request, and what is counted.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRACE_TRACE_H
#define TRACE_TRACE_H

#include "request/request.h"

/* Sums the attempts, fills the record. All attempts are settled. Strings live in the
 * request. */
void trace_record(struct request *r, struct record_trace *out);
/* Once per request, when it is sure what its client is told. */
void trace_count(const struct request *r);
/* The guardrails' verdicts as JSON text: [{"guardrail","phase","verdict","codes","mode",
 * "ms"}]. */
void trace_verdicts(const struct request *r, struct buf *out);
/* Sum over attempts; -1 when one has no price. */
int64_t trace_cost(const struct request *r);
/* Offers prompt, answer and candidate table for storage, as r->log_content allows.
 * `candidates` is policy's JSON text. */
void trace_offer_content(struct request *r, lz_str candidates);

#endif
