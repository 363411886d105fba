/* admit.c - may this key make this request now: rate, concurrency, money, tokens, model.
 *
 * The cheap and the most frequent refusals come first. Nothing here is undone by the next
 * refusal but the place in flight and the tokens, which key_release() gives back at the
 * request's end however it ends.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/stage.h"

#include "base/tell.h"
#include "key/euro.h"

static unsigned
seconds_up(int64_t us)
{
	int64_t s = us / 1000000 + (us % 1000000 != 0);

	return s < 1 ? 1 : s > 3600 ? 3600 : (unsigned)s;
}

static enum step
check_rate(struct request *r)
{
	const struct key_terms *t = r->terms;
	struct limit_verdict v;

	r->rate_limit = r->rate_remaining = r->rate_reset_ms = -1;
	if (t->rate_limit < 0)
		return STEP_NEXT;
	limit_take(&r->key->live->rate, t->rate_limit, t->rate_burst,
	    loop_now(r->worker->loop)->mono_us, &v);
	r->rate_limit = t->rate_limit;
	r->rate_remaining = v.remaining;
	r->rate_reset_ms = v.reset_us / 1000 + (v.reset_us % 1000 != 0);
	if (v.is_allowed)
		return STEP_NEXT;
	tell(TELL_RATE_LIMITED, "key=%s rate_limit=%lld", r->key->id.ptr,
	    (long long)t->rate_limit);
	r->retry_after_s = seconds_up(v.retry_after_us);
	return request_fail(r, FAULT_RATE_LIMIT, NULL,
	    "this key may make %lld requests per minute; the next one is due in %u s",
	    (long long)t->rate_limit, r->retry_after_s);
}

static enum step
check_concurrency(struct request *r)
{
	int64_t most = r->terms->max_in_flight;
	int32_t before = atomic_fetch_add(&r->key->live->in_flight, 1);

	if (most < 0 || before < most) {
		r->counts_in_flight = true;
		return STEP_NEXT;
	}
	atomic_fetch_sub(&r->key->live->in_flight, 1);
	tell(TELL_CONCURRENCY, "key=%s max_in_flight=%lld", r->key->id.ptr,
	    (long long)most);
	r->retry_after_s = 1;
	return request_fail(r, FAULT_RATE_LIMIT, NULL,
	    "this key may have %lld requests in flight, and it has; wait for one to end",
	    (long long)most);
}

/* What is spent can be read; whether this request still fits, key_reserve() decides. */
static enum step
check_budgets(struct request *r)
{
	const struct key_terms *t = r->terms;
	int64_t now = loop_now(r->worker->loop)->unix_ms;

	for (size_t i = 0; i < t->budget_count; i++)
		if (ledger_is_spent(t->budget[i], now))
			return euro_refuse(r, t->budget[i], FAULT_BUDGET_SPENT);
	return STEP_NEXT;
}

/* What the request will probably count: the prompt, and the answer as far as the caller
 * set its length. Only the prompt alone can be too much for ever; a generous max_tokens
 * is booked as the rest of the minute. */
static int64_t
tokens_expected(const struct request *r, int64_t per_minute)
{
	int64_t most = r->terms->max_output_tokens;
	int64_t output = r->max_tokens > 0 ? r->max_tokens : 0;
	int64_t prompt = r->prompt_tokens > 0 ? r->prompt_tokens : 0, rest;

	if (most >= 0 && output > most)
		output = most;
	rest = per_minute > prompt ? per_minute - prompt : 0;
	if (r->choices > 1 && output > rest / r->choices)
		output = rest;
	else if (r->choices > 1)
		output *= r->choices;
	return prompt + (output < rest ? output : rest);
}

static enum step
check_tokens(struct request *r)
{
	int64_t per_minute = r->terms->tokens_per_minute, retry_us;
	int64_t tokens;

	if (per_minute < 0)
		return STEP_NEXT;
	tokens = tokens_expected(r, per_minute);
	if (limit_tokens_take(&r->key->live->tokens, per_minute, tokens,
		loop_now(r->worker->loop)->mono_us, &retry_us)) {
		r->tokens_held = tokens;
		return STEP_NEXT;
	}
	tell(TELL_RATE_LIMITED, "key=%s tokens_per_minute=%lld", r->key->id.ptr,
	    (long long)per_minute);
	if (retry_us < 0) {
		r->retry_after_s = 60;
		return request_fail(r, FAULT_RATE_LIMIT, NULL,
		    "this request has about %lld tokens, and this key may use %lld per "
		    "minute; "
		    "send less at once",
		    (long long)tokens, (long long)per_minute);
	}
	r->retry_after_s = seconds_up(retry_us);
	return request_fail(r, FAULT_RATE_LIMIT, NULL,
	    "this key may use %lld tokens per minute; this request fits in %u s",
	    (long long)per_minute, r->retry_after_s);
}

/* max_output_tokens: 0 of a key or of who is above it. */
static enum step
check_output(struct request *r)
{
	if (r->terms->max_output_tokens != 0)
		return STEP_NEXT;
	return request_fail(r, FAULT_BUDGET_SPENT, NULL,
	    "this key may have 0 tokens of output (max_output_tokens), so none of its "
	    "requests is served");
}

enum step
key_check_model(struct request *r)
{
	if (r->model.ptr == NULL || key_allows(r, r->model))
		return STEP_NEXT;
	return request_fail(r, FAULT_MODEL_NOT_ALLOWED, "model",
	    "this key may not use the model '%.*s'; GET /v1/models lists those it may",
	    STR_ARG(str_cut(r->model, 0, 100)));
}

/* A dry run shows the table of a name that may not be used, too. */
static enum step
check_model_now(struct request *r)
{
	return r->is_dry_run ? STEP_NEXT : key_check_model(r);
}

enum step
key_admit(struct request *r)
{
	static enum step (*const checks[])(struct request * r) = {
		check_output,
		check_rate,
		check_concurrency,
		check_budgets,
		check_tokens,
		check_model_now,
	};
	enum step s = STEP_NEXT;

	if (r->asked != NULL)
		return check_output(r);
	for (size_t i = 0; s == STEP_NEXT && i < sizeof(checks) / sizeof(checks[0]); i++)
		s = checks[i](r);
	return s;
}
