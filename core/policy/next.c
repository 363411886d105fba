/* next.c - which candidate gets the next attempt, and with which credential.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policy/bounds.h"
#include "policy/outcome.h"
#include "policy/policy.h"
#include "request/credential.h"
#include "request/live.h"

static int64_t
now_us(const struct request *r)
{
	return loop_now(r->worker->loop)->mono_us;
}

static bool
is_credentials(int32_t blame)
{
	return blame == LZ_UPSTREAM_AUTH || blame == LZ_UPSTREAM_QUOTA;
}

/* The same target with another credential, when the last attempt died of its credential
 * or of that one's rate. */
static struct candidate *
same_again(struct request *r)
{
	const struct attempt *last;

	if (r->attempt_count == 0)
		return NULL;
	last = request_attempt(r);
	if (last->candidate->excluded != EXCLUDED_NOT) /* it does not fit any more */
		return NULL;
	if (!is_credentials(last->blame) && last->blame != LZ_UPSTREAM_RATE)
		return NULL;
	return credential_has_another(r, last->target, now_us(r)) ? last->candidate
								  : NULL;
}

/* Whose credentials all rest comes last, and is tried rather than nobody. */
static struct candidate *
best_left(struct request *r)
{
	struct candidate *best = NULL;
	bool best_is_ready = false, is_ready;

	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];

		if (c->excluded != EXCLUDED_NOT)
			continue;
		if (r->attempt_count > 0 &&
		    !live_is_healthy(live_of(c->target), now_us(r))) {
			c->excluded = EXCLUDED_HEALTH;
			continue;
		}
		is_ready = credential_is_ready(c->target, now_us(r));
		if (best == NULL || is_ready > best_is_ready ||
		    (is_ready == best_is_ready && c->rank < best->rank)) {
			best = c;
			best_is_ready = is_ready;
		}
	}
	return best;
}

static void
open_attempt(struct request *r, struct candidate *c)
{
	struct attempt *a = &r->attempt[r->attempt_count];

	memset(a, 0, sizeof *a);
	a->number = r->attempt_count++;
	a->candidate = c;
	a->target = c->target;
	a->live = live_of(c->target);
	live_began(a->live, now_us(r));
	a->is_live = true;
	credential_take(r, a, now_us(r));
	a->bound_nano_eur = c->bound_nano_eur;
	a->input_nano_eur = c->input_nano_eur;
	a->output_bound = c->output_bound;
	a->began_us = now_us(r);
	a->cost_nano_eur = -1;
}

/* Attempts by which routing.attempts is used up. A credential that is dead says nothing
 * of the target: the next one takes its place. */
static unsigned
counted_attempts(const struct request *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->attempt_count; i++)
		n += !is_credentials(r->attempt[i].blame) ||
		     r->attempt[i].target->provider->api_key_count < 2;
	return n;
}

/* The caller's fault is nobody else's to mend. */
static bool
may_try_again(const struct request *r)
{
	const struct attempt *last = &r->attempt[r->attempt_count - 1];

	if (r->attempt_count >= REQUEST_ATTEMPTS ||
	    counted_attempts(r) >= r->config->attempts || now_us(r) >= r->deadline_us)
		return false;
	return last->blame != LZ_UPSTREAM_CALLER && last->blame != LZ_UPSTREAM_FILTERED;
}

enum step
policy_next(struct request *r)
{
	struct candidate *c;

	if (r->attempt_count > 0 && !may_try_again(r))
		return outcome_fail(r);
	if (r->attempt_count > 0)
		bounds_renew(r);
	c = same_again(r);
	if (c == NULL) {
		if (r->attempt_count > 0)
			request_attempt(r)->candidate->excluded = EXCLUDED_TRIED;
		c = best_left(r);
	}
	if (c == NULL && r->attempt_count > 0)
		return outcome_fail(r);
	if (c == NULL)
		return request_fail(r, FAULT_NO_PROVIDER, NULL,
		    "no provider of '%.*s' is healthy at present", STR_ARG(r->model));
	open_attempt(r, c);
	return STEP_NEXT;
}
