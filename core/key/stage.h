/* stage.h - stage 1 and the money around each call, as steps of a request.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_STAGE_H
#define KEY_STAGE_H

#include "key/terms.h"
#include "request/request.h"

/* Finds the key that the head names (Authorization: Bearer, x-api-key, api-key,
 * x-goog-api-key: exactly one), checks expiry, disabled, address, and takes it:
 * key_take(). 401. Runs before the body is read. */
enum step key_authenticate(struct request *r, struct keys *keys);
/* The model asked for, against the allowlists. 403. */
enum step key_check_model(struct request *r);
/* No output at all, rate, concurrency, budgets already spent, tokens per minute, the
 * allowlist against the model asked for. 429, 403. A dry run passes the last one, and a
 * command's question all but the first: nobody's rate is used up by it. */
enum step key_admit(struct request *r);
/* Is this name (the model asked for, or a candidate's canonical id) in every allowlist
 * there is: the key's, its assistant's, its organisation's? */
bool key_allows(const struct request *r, lz_str model);
/* Sets money aside for the attempt at hand (a->bound_nano_eur) and appends it to the
 * spool. STEP_BARRIER; STEP_FAULT with BUDGET_SPENT, BUDGET_RESERVED or STORAGE_FULL. */
enum step key_reserve(struct request *r);
/* The spool did not take the reservation: undone. STEP_FAULT STORAGE_FULL. */
enum step key_reserve_failed(struct request *r);
/* The one terminal state of attempt `a`: cost from usage or estimate (a->state,
 * a->cost_nano_eur), ledger, spool. Called once per attempt that is_open; others return
 * at once. */
void key_settle(struct request *r, struct attempt *a);
/* Gives back what the request holds of the key: in-flight place, unused tokens per
 * minute. Once, at its end. */
void key_release(struct request *r);
bool key_top_up(struct request *r, int64_t nano_eur);
bool key_budget(struct request *r, uint32_t scope, lz_budget *out);

#endif
