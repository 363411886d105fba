/* attempts.c - the attempts of a request, two at once when one is hedged.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/attempts.h"

#include "base/metric.h"
#include "call/call.h"
#include "key/stage.h"
#include "policy/policy.h"
#include "request/live.h"

static void hedge_late(void *arg);

void
attempts_take_back(struct request *r)
{
	struct attempt *a = request_attempt(r);

	a->candidate->excluded = EXCLUDED_BUDGET;
	request_drop_attempt(a);
	r->attempt_count--;
	r->fault = FAULT_NONE;
}

enum step
attempts_make(struct request *r)
{
	enum step s = call_attempt(r);
	int64_t after_us = (int64_t)r->config->hedge_after_ms * 1000;

	if (s == STEP_DONE) {
		attempts_answers(r, request_attempt(r));
		return STEP_NEXT;
	}
	if (s == STEP_WAIT && after_us > 0 &&
	    loop_timer_set(r->worker->loop, &r->timer, after_us, hedge_late, r) != ST_OK)
		log_warn("hedge.no_memory", "request=%s", r->id_hex);
	return s;
}

/* A second attempt that could not be: the first goes on alone. */
static void
forget_hedge(struct request *r)
{
	r->fault = FAULT_NONE;
	r->fault_message = STR_NONE;
}

static void
hedge_reserved(void *arg, enum status st)
{
	struct request *r = arg;
	struct attempt *a = request_attempt(r);
	enum step s;

	if (st != ST_OK) {
		(void)key_reserve_failed(r);
		request_drop_attempt(a);
		a->is_under_way = false;
		a->again_us = INT64_MAX;
		forget_hedge(r);
		if (!request_is_under_way(r)) /* the first has failed meanwhile */
			request_go_on(r, STEP_RETRY);
		return;
	}
	s = call_attempt(r);
	if (s != STEP_WAIT)
		r->ops->attempt_over(r, a, s);
}

/* Nothing has come yet: the next candidate is asked as well. */
static void
hedge_late(void *arg)
{
	struct request *r = arg;

	struct candidate *c;

	if (r->has_begun || r->calls != 1 || !policy_hedge(r))
		return;
	c = request_attempt(r)->candidate;
	if (key_reserve(r) == STEP_BARRIER) {
		metric_add(METRIC_HEDGES, 1);
		loop_barrier(r->worker->loop, &r->wait, hedge_reserved, r);
		return;
	}
	attempts_take_back(r);
	forget_hedge(r);
	c->excluded = EXCLUDED_NOT; /* alone it may be affordable */
}

/* Was it asked first, and brought not a byte? Then that much is known of it. */
static void
note_overtaken(const struct request *r, struct attempt *a, const struct attempt *by)
{
	int64_t now_us = loop_now(r->worker->loop)->mono_us;

	if (a->number > by->number || !a->is_live || a->first_byte_us != 0)
		return;
	request_probe_ended(a, now_us, true);
	live_overtaken(a->live, now_us, r->is_stream, now_us - a->sent_us);
}

/* Whoever else is under way is given up, and owes what it may have used. */
void
attempts_answers(struct request *r, struct attempt *one)
{
	if (r->answering == one)
		return;
	r->answering = one;
	r->max_tokens_sent = one->lowers_output ? one->output_bound : -1;
	loop_timer_cancel(r->worker->loop, &r->timer);
	for (unsigned i = 0; i < r->attempt_count; i++) {
		struct attempt *a = r->attempt[i];

		if (a == one || !a->is_under_way)
			continue;
		loop_barrier_cancel(r->worker->loop, &r->wait);
		note_overtaken(r, a, one);
		call_cancel(a, "overtaken");
		request_drop_attempt(a);
		a->is_under_way = false;
		key_settle(r, a);
		loop_want_flush(r->worker->loop);
	}
}

void
attempts_over(struct request *r, struct attempt *a, enum step s)
{
	a->is_under_way = false;
	if (s != STEP_RETRY) {
		attempts_answers(r, a);
		request_go_on(r, s == STEP_DONE ? STEP_NEXT : s);
		return;
	}
	key_settle(r, a);
	if (request_is_under_way(r)) /* the other one may still answer */
		return;
	loop_timer_cancel(r->worker->loop, &r->timer);
	request_go_on(r, s);
}
