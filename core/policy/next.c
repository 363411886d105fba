/* next.c - which candidate gets the next attempt, and with which credential.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policy/bounds.h"
#include "policy/outcome.h"
#include "policy/policy.h"
#include "request/live.h"

/* The same target with its next credential, when the last attempt died of its credential
 * or of that one's rate. */
static struct candidate *
next_credential(struct request *r, unsigned *index)
{
	const struct attempt *last;
	size_t count;

	if (r->attempt_count == 0)
		return NULL;
	last = request_attempt(r);
	if (last->candidate->excluded != EXCLUDED_NOT) /* it does not fit any more */
		return NULL;
	count = last->target->provider->api_key_count;
	if (last->blame != LZ_UPSTREAM_AUTH && last->blame != LZ_UPSTREAM_RATE &&
	    last->blame != LZ_UPSTREAM_QUOTA)
		return NULL;
	for (unsigned used = 0, i = 0; i < r->attempt_count; i++) {
		used += r->attempt[i].target == last->target;
		if (used >= count)
			return NULL;
	}
	*index = (last->credential_index + 1) % (unsigned)count;
	return last->candidate;
}

static struct candidate *
best_left(struct request *r)
{
	int64_t now = loop_now(r->worker->loop)->mono_us;
	struct candidate *best = NULL;

	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];

		if (c->excluded != EXCLUDED_NOT)
			continue;
		if (r->attempt_count > 0 && !live_is_healthy(live_of(c->target), now)) {
			c->excluded = EXCLUDED_HEALTH;
			continue;
		}
		if (best == NULL || c->rank < best->rank)
			best = c;
	}
	return best;
}

static lz_str
credential(const struct provider *p, unsigned i)
{
	return p->api_key_count > 0 ? p->api_keys[i % p->api_key_count] : STR_NONE;
}

static void
open_attempt(struct request *r, struct candidate *c, unsigned index)
{
	struct attempt *a = &r->attempt[r->attempt_count];

	memset(a, 0, sizeof *a);
	a->number = r->attempt_count++;
	a->candidate = c;
	a->target = c->target;
	a->live = live_of(c->target);
	live_began(a->live, loop_now(r->worker->loop)->mono_us);
	a->is_live = true;
	a->credential_index = index;
	a->credential = credential(c->target->provider, index);
	a->bound_nano_eur = c->bound_nano_eur;
	a->input_nano_eur = c->input_nano_eur;
	a->output_bound = c->output_bound;
	a->began_us = loop_now(r->worker->loop)->mono_us;
	a->cost_nano_eur = -1;
}

/* The caller's fault is nobody else's to mend. */
static bool
may_try_again(const struct request *r)
{
	const struct attempt *last = &r->attempt[r->attempt_count - 1];
	unsigned most = r->config->attempts < REQUEST_ATTEMPTS ? r->config->attempts
							       : REQUEST_ATTEMPTS;

	if (r->attempt_count >= most ||
	    loop_now(r->worker->loop)->mono_us >= r->deadline_us)
		return false;
	return last->blame != LZ_UPSTREAM_CALLER && last->blame != LZ_UPSTREAM_FILTERED;
}

enum step
policy_next(struct request *r)
{
	struct candidate *c;
	unsigned index = 0;

	if (r->attempt_count > 0 && !may_try_again(r))
		return outcome_fail(r);
	if (r->attempt_count > 0)
		bounds_renew(r);
	c = next_credential(r, &index);
	if (c == NULL) {
		if (r->attempt_count > 0)
			request_attempt(r)->candidate->excluded = EXCLUDED_TRIED;
		c = best_left(r);
		if (c != NULL && c->target->provider->api_key_count > 1)
			index = atomic_fetch_add_explicit(
				    &live_of(c->target)->next_credential, 1,
				    memory_order_relaxed) %
				(unsigned)c->target->provider->api_key_count;
	}
	if (c == NULL && r->attempt_count > 0)
		return outcome_fail(r);
	if (c == NULL)
		return request_fail(r, FAULT_NO_PROVIDER, NULL,
		    "no provider of '%.*s' is healthy at present", STR_ARG(r->model));
	open_attempt(r, c, index);
	return STEP_NEXT;
}
