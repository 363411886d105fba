/* next.c - who gets the next attempt, with which credential, and when.
 *
 * In this order: the same target with its next credential, when the credential was the
 * reason; the best healthy candidate that has not failed; one that failed, once its
 * back-off is over; and when everybody is unhealthy, one whose breaker may be probed
 * before its time. While only time stands in the way the request waits, within
 * routing.retry_wait_ms and its own deadline. Nothing here is decided by who is asked
 * first: each candidate has passed every filter.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/crypto.h"
#include "policy/bounds.h"
#include "policy/outcome.h"
#include "policy/policy.h"
#include "request/credential.h"
#include "request/live.h"

enum {
	PATIENCE_US = 800 * 1000, /* for somebody to be well again, when nobody is */
	LOOK_US = 50 * 1000       /* and so often it is asked */
};

static int64_t
now_us(const struct request *r)
{
	return loop_now(r->worker->loop)->mono_us;
}

/* ---- what a failure means for those who are left ---- */

static bool
is_credentials(int32_t blame)
{
	return blame == LZ_UPSTREAM_AUTH || blame == LZ_UPSTREAM_QUOTA;
}

/* A credential that is dead says nothing of the target: the next one takes its place. A
 * target that cannot do it, as its plugin knew, was not asked at all. */
static bool
is_free(const struct attempt *a)
{
	if (a->blame == LZ_UPSTREAM_UNABLE)
		return !a->was_sent && !a->is_under_way;
	return is_credentials(a->blame) && a->target->provider->api_key_count > 1;
}

/* Attempts by which routing.attempts is used up. */
static unsigned
counted_attempts(const struct request *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->attempt_count; i++)
		n += !is_free(r->attempt[i]);
	return n;
}

static bool
may_ask_another(const struct request *r)
{
	return r->attempt_count < REQUEST_ATTEMPTS &&
	       counted_attempts(r) < r->config->attempts && now_us(r) < r->deadline_us;
}

/* The caller's fault is nobody else's to mend. */
static bool
is_callers_fault(const struct request *r)
{
	for (unsigned i = 0; i < r->attempt_count; i++)
		if (r->attempt[i]->blame == LZ_UPSTREAM_CALLER ||
		    r->attempt[i]->blame == LZ_UPSTREAM_FILTERED)
			return true;
	return false;
}

/* It may go better in a moment, at the same target and with the same credential. */
static bool
is_passing(const struct attempt *a)
{
	return a->blame == LZ_UPSTREAM_DOWN || a->blame == LZ_UPSTREAM_RATE;
}

/* Between a half and the whole of a time that doubles with each failure there. */
static int64_t
backoff_us(const struct request *r, const struct attempt *a)
{
	int64_t us = (int64_t)r->config->backoff_ms * 1000;
	uint32_t draw;

	for (unsigned i = 0; i < a->number; i++)
		if (r->attempt[i]->candidate == a->candidate)
			us *= 2;
	crypto_random(&draw, sizeof draw);
	return us / 2 + (int64_t)((uint64_t)(us / 2) * draw / UINT32_MAX);
}

/* Retry-After is a floor. What would take longer than a request may wait is not waited
 * for at all. */
static int64_t
again_us(const struct request *r, const struct attempt *a)
{
	int64_t wait_us = backoff_us(r, a), said_us = (int64_t)a->retry_after_ms * 1000;

	if (!is_passing(a))
		return INT64_MAX;
	if (said_us > wait_us)
		wait_us = said_us;
	if (wait_us > (int64_t)r->config->retry_wait_ms * 1000)
		return INT64_MAX;
	return a->ended_us + wait_us;
}

/* The prompt was too long there: only a larger window is worth an attempt. */
static void
exclude_no_larger(struct request *r, const struct attempt *a)
{
	int64_t window = a->target->model->context_window;

	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];
		int64_t its = c->target->model->context_window;

		if (c->excluded == EXCLUDED_NOT && its > 0 && its <= window)
			c->excluded = EXCLUDED_CONTEXT;
	}
}

/* Once per failed attempt. */
static void
note_failures(struct request *r)
{
	for (unsigned i = 0; i < r->attempt_count; i++) {
		struct attempt *a = r->attempt[i];

		if (a->again_us != 0)
			continue;
		a->again_us = again_us(r, a);
		if (a->blame == LZ_UPSTREAM_CONTEXT)
			exclude_no_larger(r, a);
	}
}

/* ---- who can be asked now ---- */

/* The attempt that ended last: of two at once, not always the one that began last. */
static const struct attempt *
latest_over(const struct request *r)
{
	const struct attempt *latest = r->attempt[0];

	for (unsigned i = 1; i < r->attempt_count; i++)
		if (r->attempt[i]->ended_us >= latest->ended_us)
			latest = r->attempt[i];
	return latest;
}

/* The same target with another credential, when the last attempt died of its credential
 * or of that one's rate. */
static struct candidate *
same_again(struct request *r)
{
	const struct attempt *last = latest_over(r);

	if (last->candidate->excluded != EXCLUDED_NOT) /* it does not fit any more */
		return NULL;
	if (!is_credentials(last->blame) && last->blame != LZ_UPSTREAM_RATE)
		return NULL;
	return credential_has_another(r, last->target, now_us(r)) ? last->candidate
								  : NULL;
}

/* The best of those looked at so far. Whose credentials all rest comes last, and is
 * tried rather than nobody. */
struct best {
	struct candidate *candidate; /* NULL: nobody */
	bool is_ready;
};

static void
compare(const struct request *r, struct best *best, struct candidate *c)
{
	bool is_ready = credential_is_ready(c->target, now_us(r));

	if (best->candidate == NULL || is_ready > best->is_ready ||
	    (is_ready == best->is_ready && c->rank < best->candidate->rank))
		*best = (struct best){ c, is_ready };
}

static struct candidate *
best_left(struct request *r)
{
	struct best best = { NULL, false };

	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];

		if (c->excluded != EXCLUDED_NOT)
			continue;
		if (r->attempt_count > 0 &&
		    !live_is_healthy(live_of(c->target), now_us(r)))
			c->excluded = EXCLUDED_HEALTH;
		else
			compare(r, &best, c);
	}
	return best.candidate;
}

static const struct attempt *
last_at(const struct request *r, const struct candidate *c)
{
	for (unsigned i = r->attempt_count; i-- > 0;)
		if (r->attempt[i]->candidate == c)
			return r->attempt[i];
	return NULL;
}

/* When one that failed may be asked again; INT64_MAX: not in this request. */
static int64_t
due_us(const struct request *r, const struct candidate *c)
{
	const struct attempt *a = c->excluded == EXCLUDED_TRIED ? last_at(r, c) : NULL;

	return a != NULL ? a->again_us : INT64_MAX;
}

/* Out for as long as its target does not do better, which others may find out. */
static bool
is_out_for_now(const struct candidate *c)
{
	return c->excluded == EXCLUDED_HEALTH || c->excluded == EXCLUDED_RETRIES;
}

/* May it be asked although its breaker is open, because nobody else is left? */
static bool
is_last_resort(const struct request *r, const struct candidate *c)
{
	struct live *l = live_of(c->target);

	if (c->excluded == EXCLUDED_RETRIES && !live_may_retry(l, now_us(r)))
		return false;
	return live_is_healthy(l, now_us(r)) || live_is_last_resort(l, now_us(r));
}

static struct candidate *
best_again(struct request *r)
{
	struct best best = { NULL, false };

	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];
		bool is_due = is_out_for_now(c) || due_us(r, c) <= now_us(r);

		if (is_due && is_last_resort(r, c))
			compare(r, &best, c);
	}
	return best.candidate;
}

static void
exclude_tried(struct request *r)
{
	for (unsigned i = 0; i < r->attempt_count; i++)
		if (r->attempt[i]->candidate->excluded == EXCLUDED_NOT)
			r->attempt[i]->candidate->excluded = EXCLUDED_TRIED;
}

/* NULL: nobody at present. */
static struct candidate *
choose(struct request *r)
{
	struct candidate *c;

	if (r->attempt_count > 0) {
		c = same_again(r);
		if (c != NULL)
			return c;
		exclude_tried(r);
	}
	c = best_left(r);
	return c != NULL ? c : best_again(r);
}

/* ---- the attempt ---- */

static void
open_attempt(struct request *r, struct candidate *c, bool is_probe)
{
	struct attempt *a = request_add_attempt(r);

	a->candidate = c;
	a->target = c->target;
	a->live = live_of(c->target);
	a->is_live = true;
	a->is_probe = is_probe;
	credential_take(r, a, now_us(r));
	a->bound_nano_eur = c->bound_nano_eur;
	a->input_nano_eur = c->input_nano_eur;
	a->output_bound = c->output_bound;
	a->began_us = now_us(r);
	a->cost_nano_eur = -1;
	a->is_under_way = true;
	c->excluded = EXCLUDED_NOT;
}

/* ---- waiting for somebody ---- */

/* Nobody is healthy: how long that is waited out counts from when it was met first. */
static int64_t
patience_us(struct request *r)
{
	int64_t us = (int64_t)r->config->retry_wait_ms * 1000;

	if (r->patience_us == 0)
		r->patience_us = now_us(r) + (us < PATIENCE_US ? us : PATIENCE_US);
	return r->patience_us;
}

/* When it is worth looking at this one again; INT64_MAX: never. */
static int64_t
look_at_us(struct request *r, const struct candidate *c)
{
	int64_t due = due_us(r, c);

	if (!is_out_for_now(c) && (due > now_us(r) || is_last_resort(r, c)))
		return due;
	return now_us(r) < patience_us(r) ? now_us(r) + LOOK_US : INT64_MAX;
}

static int64_t
look_us(struct request *r)
{
	int64_t at_us = INT64_MAX;

	for (size_t i = 0; i < r->candidate_count; i++) {
		int64_t its = look_at_us(r, &r->candidate[i]);

		if (its < at_us)
			at_us = its;
	}
	return at_us < r->deadline_us ? at_us : INT64_MAX;
}

static enum step
nobody(struct request *r)
{
	if (r->attempt_count > 0)
		return outcome_fail(r);
	return outcome_unhealthy(r);
}

static enum step look(struct request *r);

static void
looked_again(void *arg)
{
	struct request *r = arg;
	enum step s;

	r->waited_us += now_us(r) - r->looking_us;
	s = look(r);
	if (s != STEP_WAIT)
		request_go_on(r, s);
}

static enum step
wait(struct request *r)
{
	int64_t at_us = look_us(r);

	r->looking_us = now_us(r);
	if (at_us == INT64_MAX || loop_timer_set(r->worker->loop, &r->timer,
				      at_us - r->looking_us, looked_again, r) != ST_OK)
		return nobody(r);
	return STEP_WAIT;
}

static bool
try_open(struct request *r, struct candidate *c)
{
	enum live_start start =
	    live_begin(live_of(c->target), now_us(r), r->attempt_count > 0);
	bool has_begun = start == LIVE_BEGUN || start == LIVE_PROBES;

	if (has_begun)
		open_attempt(r, c, start == LIVE_PROBES);
	else
		c->excluded = start == LIVE_BUSY ? EXCLUDED_HEALTH : EXCLUDED_RETRIES;
	return has_begun;
}

static enum step
look(struct request *r)
{
	struct candidate *c;

	if (!request_may_add_attempt(r))
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	while ((c = choose(r)) != NULL) {
		if (try_open(r, c))
			return STEP_NEXT;
	}
	return wait(r);
}

enum step
policy_next(struct request *r)
{
	if (r->attempt_count > 0) {
		if (!may_ask_another(r) || is_callers_fault(r))
			return outcome_fail(r);
		bounds_renew(r);
		note_failures(r);
	}
	return look(r);
}

/* An answer cut short because the first attempt holds the money is no help. */
static bool
open_beside(struct request *r)
{
	struct candidate *c;

	while ((c = best_left(r)) != NULL) {
		if (bounds_are_cut(r, c))
			return false;
		if (try_open(r, c))
			return true;
	}
	return false;
}

bool
policy_hedge(struct request *r)
{
	struct candidate *running = request_attempt(r)->candidate;
	bool has_opened;

	if (!may_ask_another(r) || !request_may_add_attempt(r))
		return false;
	bounds_renew(r);
	exclude_tried(r);
	has_opened = open_beside(r);
	running->excluded = EXCLUDED_NOT;
	return has_opened;
}
