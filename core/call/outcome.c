/* outcome.c - how an attempt ended: its fields say it to settle and policy, the metrics,
 * and the live cells of the provider and its credential learn from it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/metric.h"
#include "call/attempt.h"
#include "request/credential.h"
#include "request/live.h"
#include "request/view.h"

enum {
	GIVEN_UP = LZ_UPSTREAM_UNABLE + 1, /* an outcome for metrics alone */
	MESSAGE_BYTES = 512,
	WORD_BYTES = 128
};

void
call_start(void)
{
	static const char *const outcomes[] = { /* by LZ_UPSTREAM_*, GIVEN_UP */
		"ok", "caller", "credentials", "rate", "quota", "context", "filtered",
		"down", "unable", "given_up"
	};

	metric_label_names(
	    METRIC_ATTEMPTS, outcomes, sizeof outcomes / sizeof outcomes[0]);
}

/* What the answer was made without stands in the trace too; metadata that is full already
 * has no room for it. */
static void
note_dropped(struct call *c)
{
	if (c->a->dropped.len > 0 &&
	    request_view_tag(c->r, STR_LIT("latenza.dropped"), c->a->dropped) != ST_OK)
		return;
}

static void
ended(struct call *c, const char *end, int32_t blame, unsigned outcome)
{
	struct attempt *a = c->a;

	if (blame == LZ_UPSTREAM_OK || c->r->has_begun)
		note_dropped(c);
	a->end = end;
	a->blame = blame;
	a->ended_us = call_now_us(c);
	c->is_over = true;
	metric_add_label(METRIC_ATTEMPTS, outcome, 1);
}

/* A caller in a hurry says nothing about a provider, nor does a failure on our side of
 * the wire: what a plugin refused before it was sent is none of either. */
static void
learn(struct call *c, const char *end)
{
	struct attempt *a = c->a;
	bool is_fault = a->blame == LZ_UPSTREAM_DOWN;

	request_probe_ended(a, a->ended_us, is_fault);
	if ((is_fault && c->is_hurried && strstr(end, "timeout") != NULL) ||
	    (!is_fault && a->first_byte_us == 0))
		request_drop_attempt(a);
	else if (a->is_live)
		live_ended(a->live, a->ended_us, is_fault, c->r->is_stream, -1, -1, 0);
	a->is_live = false;
}

enum step
call_failed(struct call *c, const char *end, int32_t blame, lz_str message)
{
	if (blame <= LZ_UPSTREAM_OK || blame > LZ_UPSTREAM_UNABLE)
		blame = LZ_UPSTREAM_DOWN;
	ended(c, end, blame, (unsigned)blame);
	c->a->message = verdict_words(c, message, MESSAGE_BYTES);
	if (c->a->message.len == 0)
		c->a->message = STR_LIT("the provider gave no reason");
	learn(c, end);
	credential_ended(c->a, c->a->ended_us);
	return STEP_RETRY;
}

/* A code or the name of a member; longer than such words are, it is neither. */
static lz_str
word(struct call *c, lz_str said)
{
	lz_str shown = said.len > 0 && said.len <= WORD_BYTES
			   ? verdict_words(c, said, WORD_BYTES)
			   : STR_NONE;

	return shown.len > 0 ? shown : STR_NONE;
}

enum step
call_fault(struct call *c, const lz_fault *f, const char *end)
{
	struct attempt *a = c->a;

	a->code = word(c, f->code);
	a->param = word(c, f->param);
	a->retry_after_ms = f->retry_after_ms;
	if (f->status >= 400 && f->status < 500)
		a->status = f->status;
	return call_failed(c, end, f->upstream, f->message);
}

void
call_given_up(struct call *c, const char *end)
{
	ended(c, end, LZ_UPSTREAM_OK, GIVEN_UP);
	request_drop_attempt(c->a);
}

void
call_succeeded(struct call *c)
{
	struct attempt *a = c->a;
	int64_t first = a->first_token_us > 0 ? a->first_token_us : a->first_byte_us;

	ended(c, "ok", LZ_UPSTREAM_OK, LZ_UPSTREAM_OK);
	request_probe_ended(a, a->ended_us, false);
	if (a->has_usage)
		live_used(a->live,
		    a->usage.input + a->usage.cache_read + a->usage.cache_write,
		    a->usage.cache_read);
	if (a->first_token_us > 0)
		metric_time(METRIC_TTFT_TIME, first - a->sent_us);
	if (a->is_live)
		live_ended(a->live, a->ended_us, false, c->r->is_stream,
		    first > 0 ? first - a->sent_us : -1, a->ended_us - a->sent_us,
		    a->usage.output);
	a->is_live = false;
	credential_ended(a, a->ended_us);
}
