/* route.c - the profile, the router's order, and which candidate an attempt gets.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/visit.h"
#include "policy/bounds.h"
#include "policy/policy.h"
#include "request/live.h"

static enum step
set_strategy(struct request *r, lz_str name, const char *param)
{
	r->router = config_router(r->config, name);
	r->strategy = name;
	if (r->router != NULL)
		return STEP_NEXT;
	if (param != NULL)
		return request_fail(r, FAULT_BAD_REQUEST, param,
		    "'%s' names no routing strategy: there is no '%.*s'", param,
		    STR_ARG(name));
	/* Named by key or file and gone since: candidates are tried as listed, which is
	 * still an answer. */
	return STEP_NEXT;
}

enum step
policy_profile(struct request *r)
{
	if (str_starts(r->model, "latenza/")) {
		lz_str name = str_cut(r->model, strlen("latenza/"), r->model.len);

		if (config_router(r->config, name) == NULL)
			return request_fail(r, FAULT_MODEL_NOT_FOUND, "model",
			    "there is no routing strategy '%.*s'", STR_ARG(name));
		if (r->kind == REQUEST_EMBEDDINGS)
			return request_fail(r, FAULT_UNSUPPORTED_CAPABILITY, "model",
			    "embeddings need a model by its name: vectors of different "
			    "models cannot be compared");
		return set_strategy(r, name, "model");
	}
	if (r->strategy_asked.ptr != NULL)
		return set_strategy(r, r->strategy_asked, "x-latenza-strategy");
	if (r->strategy.ptr != NULL) /* the key's, left here by the key stage */
		return set_strategy(r, r->strategy, NULL);
	return set_strategy(r, r->config->default_strategy, NULL);
}

/* Who is not preferred is not tried, unless nobody is: then the list's order stands. */
static void
settle_order(struct request *r)
{
	unsigned rank = 0;
	bool is_any = false;

	for (size_t i = 0; i < r->candidate_count; i++)
		is_any |=
		    r->candidate[i].excluded == EXCLUDED_NOT && r->candidate[i].rank > 0;
	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];

		if (c->excluded != EXCLUDED_NOT)
			continue;
		if (is_any && c->rank == 0)
			c->excluded = EXCLUDED_ROUTER;
		else if (!is_any)
			c->rank = ++rank;
	}
}

/* Money may have gone elsewhere since, and the router may have lowered the limit. */
static void
renew_bounds(struct request *r)
{
	int64_t left = bounds_left(r);

	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];

		if (c->excluded == EXCLUDED_NOT)
			bounds_set(r, c, left);
	}
}

/* The router said something; its visit ends here, whatever it was. */
static enum step
routed(struct request *r, int32_t result, struct visit *v, int64_t limit_before)
{
	lz_str code, message;

	settle_order(r);
	if (r->output_limit != limit_before)
		renew_bounds(r);
	if (result != LZ_BLOCK) {
		visit_end_all(v);
		return STEP_NEXT;
	}
	visit_reason(v, &code, &message);
	request_fail(r, FAULT_CONTENT_POLICY, NULL,
	    "the routing policy '%.*s' refused the request%s%.*s", STR_ARG(r->strategy),
	    message.len > 0 ? ": " : "", STR_ARG(message));
	visit_end_all(v);
	return STEP_FAULT;
}

static void
came_home(void *arg, int32_t result)
{
	struct request *r = arg;
	struct visit *v = r->router_visit;

	r->router_visit = NULL;
	request_go_on(r, routed(r, result, v, INT64_MIN));
}

enum step
policy_route(struct request *r)
{
	struct visit *v = NULL;
	int32_t result = LZ_OK;
	int64_t limit = r->output_limit;

	if (r->router != NULL)
		result = visit_route(r, came_home, r, &v);
	if (result != LZ_PENDING)
		return routed(r, result, v, limit);
	r->router_visit = v;
	return STEP_WAIT;
}

void
policy_cancel(struct request *r)
{
	visit_end_all(r->router_visit);
	r->router_visit = NULL;
}

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

/* What the attempts ended in, counted by what the caller may be told of it. */
struct story {
	unsigned rate, credentials, late, retry_ms;
};

static struct story
story_of(const struct request *r)
{
	struct story s = { 0, 0, 0, 0 };

	for (unsigned i = 0; i < r->attempt_count; i++) {
		const struct attempt *a = &r->attempt[i];

		s.rate += a->blame == LZ_UPSTREAM_RATE;
		s.credentials +=
		    a->blame == LZ_UPSTREAM_AUTH || a->blame == LZ_UPSTREAM_QUOTA;
		s.late += a->end != NULL && strstr(a->end, "timeout") != NULL;
		if (a->retry_after_ms > s.retry_ms)
			s.retry_ms = a->retry_after_ms;
	}
	return s;
}

/* Did the provider refuse the request itself? What a target could not do for reasons of
 * its own (an answer too large, a redirect) is none of the caller's. */
static bool
is_callers(const struct attempt *a)
{
	switch (a->blame) {
	case LZ_UPSTREAM_CALLER:
	case LZ_UPSTREAM_CONTEXT:
	case LZ_UPSTREAM_FILTERED:
		return true;
	default:
		return a->blame == LZ_UPSTREAM_UNABLE && a->status >= 400 &&
		       a->status < 500;
	}
}

/* A status that tells the caller about its request, and not about the gateway's key or
 * rate at the provider. */
static int
callers_status(int status)
{
	static const int shown[] = { 404, 413, 415, 422, 451 };

	for (unsigned i = 0; i < sizeof shown / sizeof shown[0]; i++)
		if (shown[i] == status)
			return status;
	return fault_row(FAULT_UPSTREAM_REFUSED)->status;
}

static enum step
fail_refused(struct request *r, const struct attempt *a)
{
	if (a->blame == LZ_UPSTREAM_CONTEXT) {
		request_fail(r, FAULT_CONTEXT_LENGTH, NULL, "%.*s", STR_ARG(a->message));
	} else {
		request_fail(
		    r, FAULT_UPSTREAM_REFUSED, NULL, "%.*s", STR_ARG(a->message));
		r->fault_status = callers_status(a->status);
		r->fault_code = a->code;
	}
	r->fault_param = a->param;
	return STEP_FAULT;
}

/* What to tell the caller when no attempt is left: the attempts' own story, the most
 * telling first. */
static enum step
fail_attempts(struct request *r)
{
	const struct attempt *last = request_attempt(r);
	struct story s = story_of(r);

	if (is_callers(last))
		return fail_refused(r, last);
	if (s.rate == r->attempt_count) {
		r->retry_after_s = s.retry_ms == 0       ? 1
				   : s.retry_ms >= 60000 ? 60
							 : (s.retry_ms + 999) / 1000;
		return request_fail(r, FAULT_UPSTREAM_RATE, NULL,
		    "every provider of '%.*s' is limiting its rate", STR_ARG(r->model));
	}
	if (s.credentials == r->attempt_count)
		return request_fail(r, FAULT_UPSTREAM_CREDENTIALS, NULL,
		    "the provider refused the gateway's own credentials; tell the "
		    "gateway's operator");
	if (s.late == r->attempt_count)
		return request_fail(r, FAULT_UPSTREAM_TIMEOUT, NULL,
		    "no provider of '%.*s' answered in time", STR_ARG(r->model));
	return request_fail(r, FAULT_ALL_ATTEMPTS, NULL,
	    "all %u attempts failed; the last one at %.*s: %s", r->attempt_count,
	    STR_ARG(last->target->provider->name),
	    last->end != NULL ? last->end : "no answer");
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
		return fail_attempts(r);
	if (r->attempt_count > 0)
		renew_bounds(r);
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
		return fail_attempts(r);
	if (c == NULL)
		return request_fail(r, FAULT_NO_PROVIDER, NULL,
		    "no provider of '%.*s' is healthy at present", STR_ARG(r->model));
	open_attempt(r, c, index);
	return STEP_NEXT;
}
