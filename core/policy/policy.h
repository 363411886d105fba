/* policy.h - stage 2: which profile applies, which models may serve, in which order.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "request/request.h"

/* The strategy (header, model name "latenza/<strategy>", key, file; the first that is
 * set) and the output limit. 400. */
enum step policy_profile(struct request *r);
/* Candidates with their bounds, and the reason of every exclusion. When all are out the
 * answer is that of the filter that emptied the list: unknown 404, not allowed 403, no
 * price 403, capability 400, context 400, budget 429, health 503. `allows` is key/'s.
 * STEP_NEXT or STEP_FAULT. */
enum step policy_candidates(struct request *r,
    bool (*allows)(const struct request *r, lz_str model), bool is_test_key,
    bool has_budget);
/* Asks the router for an order. STEP_NEXT, STEP_WAIT or STEP_FAULT. */
enum step policy_route(struct request *r);
/* Opens the next attempt (r->attempt[]) with the best candidate left, or fails with what
 * the attempts ended in. */
enum step policy_next(struct request *r);
/* The same for a second attempt beside one that is under way, at another candidate that
 * has not failed. false: there is none. */
bool policy_hedge(struct request *r);
void policy_served(struct request *r); /* the attempt that answers did */
void policy_cancel(struct request *r); /* the request ends while the router thinks */

/* The candidate table as JSON text for the trace:
 * [{"provider","model","excluded","rank","score","why"}]; what was left out of a long
 * list is its last element, {"excluded","more"}. */
void policy_table(const struct request *r, struct buf *out);
/* The same as the answer of a dry run: {"object":"latenza.route","model","strategy",
 * "prompt_tokens","candidates","guardrails","refused"}; with "model_asked" where a
 * guardrail chose another model; refused: the fault that a real request would have met,
 * with the "guardrail" that refused it, or null. */
void policy_explain(const struct request *r, struct buf *out);

#endif
