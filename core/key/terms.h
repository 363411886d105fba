/* terms.h - what holds for a request: of each limit the nearest level's, of budgets and
 * allowlists all that the key, its assistant and its organisation have.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_TERMS_H
#define KEY_TERMS_H

#include "guard/guard.h"
#include "key/keys.h"
#include "request/request.h"

struct key_terms {                                /* in the request's arena */
	struct profile *organization, *assistant; /* references; assistant NULL: none */
	int64_t rate_limit, rate_burst, max_in_flight, max_output_tokens,
	    tokens_per_minute;                     /* -1: none */
	lz_str routing_strategy;                   /* absent: nobody says one */
	lz_str default_model;                      /* absent: none */
	enum key_log log_content;                  /* the least that a level keeps */
	struct guard_names guardrails[KEY_LEVELS]; /* from the organisation down */
	size_t guardrail_lists;
	struct budget *budget[LEDGER_SCOPES]; /* in ledger order */
	uint8_t whose[LEDGER_SCOPES];         /* LZ_OF_* */
	size_t budget_count;
};

/* Takes the key, whose reference becomes the request's, with its organisation and its
 * assistant as they are now: sets r->key, r->terms, r->caller and r->log_content.
 * STEP_FAULT, and the reference stays the caller's: one of them is not there or disabled,
 * or out of memory. [worker] */
enum step key_take(struct request *r, struct key *k);
/* Gives up what key_take() took. [worker] */
void key_let_go(struct request *r);
/* Of the budgets of `scope` (LZ_OF_*, REQUEST_ANY_BUDGET) the one with the least left,
 * by_spent: by what is spent
 * alone. -1: there is none. */
int terms_tightest(
    struct request *r, uint32_t scope, bool by_spent, struct budget_view *out);

#endif
