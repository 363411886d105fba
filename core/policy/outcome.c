/* outcome.c - what the caller is told when no attempt is left.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policy/outcome.h"

#include "request/live.h"

/* What the attempts ended in, counted by what the caller may be told of it. */
struct story {
	unsigned rate, credentials, late, retry_ms;
};

/* Of its target, which may have been asked more than once. */
static bool
is_last_word(const struct request *r, const struct attempt *a)
{
	for (unsigned i = a->number + 1; i < r->attempt_count; i++)
		if (r->attempt[i]->target == a->target)
			return false;
	return true;
}

static struct story
story_of(const struct request *r)
{
	struct story s = { 0, 0, 0, 0 };

	for (unsigned i = 0; i < r->attempt_count; i++) {
		const struct attempt *a = r->attempt[i];

		s.rate += a->blame == LZ_UPSTREAM_RATE;
		s.credentials +=
		    a->blame == LZ_UPSTREAM_AUTH || a->blame == LZ_UPSTREAM_QUOTA;
		s.late += a->end != NULL && strstr(a->end, "timeout") != NULL;
		if (is_last_word(r, a) && a->retry_after_ms > 0 &&
		    (s.retry_ms == 0 || a->retry_after_ms < s.retry_ms))
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

static const struct attempt *
latest_callers(const struct request *r)
{
	for (unsigned i = r->attempt_count; i-- > 0;)
		if (is_callers(r->attempt[i]))
			return r->attempt[i];
	return NULL;
}

/* Somebody answered, and a guardrail wanted another answer. */
static enum step
fail_unwanted(struct request *r)
{
	r->refused_by = r->again_by;
	return request_fail(r, FAULT_CONTENT_POLICY, NULL,
	    "the guardrail '%.*s' wanted another answer, and no attempt is left",
	    STR_ARG(r->again_by));
}

enum step
outcome_fail(struct request *r)
{
	const struct attempt *last = request_attempt(r), *told = latest_callers(r);
	struct story s = story_of(r);

	if (r->again_by.ptr != NULL && last->blame == LZ_UPSTREAM_OK)
		return fail_unwanted(r);
	if (told != NULL)
		return fail_refused(r, told);
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

/* Until the first breaker lets a probe through. */
static unsigned
retry_after_s(const struct request *r)
{
	int64_t now = loop_now(r->worker->loop)->mono_us, least = INT64_MAX;

	for (size_t i = 0; i < r->candidate_count; i++) {
		const struct candidate *c = &r->candidate[i];
		int64_t until = c->excluded == EXCLUDED_HEALTH
				    ? live_open_until_us(live_of(c->target)) - now
				    : INT64_MAX;

		if (until < least)
			least = until;
	}
	return least > 0 && least < INT64_MAX ? (unsigned)((least + 999999) / 1000000)
					      : 1;
}

enum step
outcome_unhealthy(struct request *r)
{
	r->retry_after_s = retry_after_s(r);
	return request_fail(r, FAULT_NO_PROVIDER, NULL,
	    "no provider of '%.*s' is healthy at present; try again in a moment",
	    STR_ARG(r->model));
}
