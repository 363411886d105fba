/* stages.c - the way of a request. Start reading here.
 *
 * A chat completion crosses the rows below from top to bottom. Each row is one function
 * of another room over struct request; it returns what comes next, and this file alone
 * moves the request from row to row:
 *
 *   request scan        the body's JSON, in one pass; a large one's off the loop
 *           read        what it says
 *   key     admit       rate, concurrency, budget spent, tokens, allowlist
 *   policy  guardrails  which hold; they see the request, and may change or refuse it
 *           again       the allowlist, for who was sent to another model
 *           profile     which strategy applies
 *           candidates  every target through the filters, with its reason
 *           route       the router orders who is left
 *           explain     a dry run ends here: the table is its answer
 *   call    next        who gets the next attempt  <- a failed one comes back here
 *           reserve     money set aside in the ledger and written to the spool
 *           attempt     the provider is called; a slow one may get company
 *   policy  answer      guardrails see it; a stream's they have seen as it grew
 *   trace   (end)       settle, record, spool, and only then the last byte
 *
 * Authentication comes before the table, while the body has not been read (requests.c).
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/stages.h"

#include "base/metric.h"
#include "call/call.h"
#include "gateway/answer.h"
#include "gateway/asked.h"
#include "gateway/attempts.h"
#include "gateway/gateway.h"
#include "gateway/requests.h"
#include "guard/document.h"
#include "guard/guard.h"
#include "key/stage.h"
#include "policy/policy.h"
#include "request/view.h"
#include "trace/trace.h"

enum {
	EXPLAIN_BYTES = 1 << 20
};

static enum step read_body(struct request *r);
static enum step admit(struct request *r);
static enum step guardrails(struct request *r);
static enum step again(struct request *r);
static enum step candidates(struct request *r);
static enum step explain(struct request *r);
static enum step reserve(struct request *r);

const struct stage stages_call[] = {
	{ "scan", request_scan, NULL },
	{ "read", read_body, NULL },
	{ "admit", admit, NULL },
	{ "guardrails", guardrails, NULL },
	{ "again", again, NULL },
	{ "profile", policy_profile, NULL },
	{ "candidates", candidates, NULL },
	{ "route", policy_route, NULL },
	{ "explain", explain, NULL },
	{ "next", policy_next, NULL },
	{ "reserve", reserve, key_reserve_failed },
	{ "attempt", attempts_make, NULL },
	{ "answer", guard_answer, NULL },
	{ NULL, NULL, NULL },
};

/* ---- rows that need two rooms, or a choice ---- */

static enum step
read_body(struct request *r)
{
	enum step s =
	    r->kind == REQUEST_EMBEDDINGS ? request_read_embeddings(r) : request_read(r);

	if (r->asked != NULL)
		asked_read(r);
	return s;
}

static enum step
admit(struct request *r)
{
	const struct key_terms *t = r->terms;

	r->strategy = t->routing_strategy;
	r->shows_budget = r->key->settings.show_budget;
	r->output_limit = t->max_output_tokens;
	return key_admit(r);
}

/* For dry runs, which get as far as here with a name that may not be used. */
static bool
allows_what_is_asked(const struct request *r, lz_str model)
{
	return key_allows(r, r->model) && key_allows(r, model);
}

static enum step
guardrails(struct request *r)
{
	const struct key_terms *t = r->terms;
	enum step s = guard_choose(r, t->guardrails, t->guardrail_lists);

	return s == STEP_NEXT ? guard_request(r) : s;
}

/* A dry run goes on to the table, which says that the name may not be used. */
static enum step
again(struct request *r)
{
	return guard_has_rerouted(r) && !r->is_dry_run ? key_check_model(r) : STEP_NEXT;
}

static enum step
candidates(struct request *r)
{
	enum step s =
	    policy_candidates(r, r->is_dry_run ? allows_what_is_asked : key_allows,
		r->caller.is_test, r->terms->budget_count > 0);

	if (s != STEP_FAULT || !r->is_dry_run)
		return s;
	if (!key_allows(r, r->model)) { /* which a real request hears first */
		r->fault = FAULT_NONE;
		(void)key_check_model(r);
	}
	return r->candidate_count > 0 ? explain(r) : s;
}

/* A dry run ends here: the table is its answer, with what a real request would have been
 * refused for. */
static enum step
explain(struct request *r)
{
	struct buf table;

	if (!r->is_dry_run)
		return STEP_NEXT;
	buf_init(&table, EXPLAIN_BYTES);
	policy_explain(r, &table);
	r->fault = FAULT_NONE;
	r->fault_status = 0;
	answer_json(r, 200, &table);
	return r->fault == FAULT_NONE ? STEP_DONE : STEP_FAULT;
}

/* What a guardrail refused has no candidates, and the table of a dry run says why. */
static void
explain_refusal(struct request *r)
{
	if (r->is_dry_run && r->refused_by.ptr != NULL && r->fault != FAULT_NONE)
		(void)explain(r);
}

static bool
is_budget_fault(enum fault f)
{
	return f == FAULT_BUDGET_SPENT || f == FAULT_BUDGET_RESERVED;
}

static unsigned
row_of(const struct request *r, enum step (*run)(struct request *r))
{
	unsigned i = 0;

	while (r->route->stages[i].run != run) {
		must(r->route->stages[i].run != NULL);
		i++;
	}
	return i;
}

/* A candidate whose bound does not fit is passed over while a cheaper one may. When
 * nobody is left, the budget is why. */
static enum step
reserve(struct request *r)
{
	enum step s = key_reserve(r);

	while (s == STEP_FAULT && is_budget_fault(r->fault)) {
		enum fault why = r->fault;
		lz_str message = r->fault_message;

		attempts_take_back(r);
		s = policy_next(r);
		if (s == STEP_WAIT) /* it goes on behind that row */
			r->stage = row_of(r, policy_next);
		else if (s == STEP_NEXT)
			s = key_reserve(r);
		else if (r->fault == FAULT_NO_PROVIDER) {
			r->fault = why;
			r->fault_message = message;
			return s;
		}
	}
	return s;
}

/* ---- from row to row ---- */

static void end(struct request *r);
static void move(struct request *r, enum step s);

static void
flushed(void *arg, enum status st)
{
	struct request *r = arg;
	const struct stage *stage = &r->route->stages[r->stage];

	move(r, st == ST_OK ? STEP_NEXT : stage->unflushed(r));
}

/* Runs rows until one waits or the request ends. */
static void
move(struct request *r, enum step s)
{
	for (;;) {
		switch (s) {
		case STEP_NEXT:
			r->stage++;
			break;
		case STEP_RETRY:
			request_attempt(r)->is_under_way = false;
			key_settle(r, request_attempt(r));
			r->answering = NULL;
			r->stage = row_of(r, policy_next);
			break;
		case STEP_BARRIER:
			loop_barrier(r->worker->loop, &r->wait, flushed, r);
			return;
		case STEP_WAIT:
			return;
		case STEP_FAULT:
			explain_refusal(r);
			end(r);
			return;
		case STEP_DONE:
			end(r);
			return;
		}
		must(r->route->stages[r->stage].run != NULL);
		s = r->route->stages[r->stage].run(r);
	}
}

static void
begin_stream(struct request *r)
{
	answer_begin(r);
}

const struct request_ops stages_ops = { move, attempts_over, attempts_answers,
	begin_stream, key_top_up, key_budget, requests_let_go };

void
stages_start(struct request *r)
{
	r->stage = 0;
	move(r, r->route->stages[0].run(r));
}

/* ---- the end: settle, trace, spool, last byte ---- */

/* What guardrails refused, have not seen, or were still looking at is nobody's to keep.
 */
static void
forget_unjudged(struct request *r)
{
	const struct key_terms *t = r->terms;

	if (t == NULL || !guard_has_judged(r, t->guardrails, t->guardrail_lists)) {
		if (r->log_content == LOG_CONTENT_FULL)
			r->log_content = LOG_CONTENT_META;
		r->metadata = r->metadata_headers;
		if (request_view_keep_tags(r) != ST_OK)
			log_warn(
			    "trace.tags", "request=%s why=\"out of memory\"", r->id_hex);
		if (!document_is_name(r->user))
			r->user = r->user_header;
	}
	if (r->fault != FAULT_NONE && !guard_has_judged_answer(r))
		r->answer.len = 0;
}

static void
offer_content(struct request *r)
{
	struct buf table;

	if (r->log_content == LOG_CONTENT_OFF || r->key == NULL)
		return;
	buf_init(&table, 65536);
	if (r->candidate_count > 0)
		policy_table(r, &table);
	trace_offer_content(r, table.failed ? STR_NONE : buf_str(&table));
	buf_free(&table);
}

static void
make_record(struct request *r, struct record_trace *t)
{
	trace_record(r, t);
	t->route = lz_strz(r->route->name);
}

/* What could not be written was not acknowledged: the client is not told that all is
 * well, and the trace says what it was told. The records stay in the spool's memory and
 * are written when the device takes them. */
static void
refuse_unwritten(struct request *r)
{
	struct record_trace t;
	enum status st;

	if (r->fault != FAULT_NONE || r->x == NULL)
		return;
	request_fail(r, FAULT_STORAGE_FULL, NULL,
	    "the gateway cannot write to its storage; nothing was lost, try again later");
	if (r->has_begun)
		r->is_cut = true;
	make_record(r, &t);
	st = spool_retrace(r->worker->spool, &t);
	if (st != ST_OK && st != ST_NOT_FOUND) /* there: one that could not be appended */
		log_warn("trace.stale", "request=%s", r->id_hex);
}

static void
written(void *arg, enum status st)
{
	struct request *r = arg;

	if (st != ST_OK)
		refuse_unwritten(r);
	trace_count(r);
	if (r->x != NULL)
		answer_send(r);
	offer_content(r);
	requests_done(r);
}

static void
record(struct request *r)
{
	struct record_trace t;
	enum status st;

	make_record(r, &t);
	st = spool_trace(r->worker->spool, &t);
	if (st == ST_OK)
		return;
	metric_add(METRIC_TRACES_DROPPED, 1);
	if (st == ST_NOMEM || st == ST_INVALID) /* else the spool said why, once */
		log_error("trace.unwritten", "request=%s", r->id_hex);
}

static void
end(struct request *r)
{
	must(!r->is_finished);
	r->is_finished = true;
	guard_end(r);
	loop_timer_cancel(r->worker->loop, &r->timer);
	for (unsigned i = 0; i < r->attempt_count; i++) {
		r->attempt[i]->is_under_way = false;
		request_drop_attempt(r->attempt[i]); /* one that never came to be sent */
		key_settle(r, r->attempt[i]);
	}
	if (r->asked != NULL) {
		asked_ends(r);
		requests_done(r);
		return;
	}
	if (r->key == NULL) {
		if (r->x != NULL)
			answer_send(r);
		requests_done(r);
		return;
	}
	if (r->fault == FAULT_NONE && r->answering != NULL)
		policy_served(r);
	forget_unjudged(r);
	record(r);
	key_release(r);
	loop_barrier(r->worker->loop, &r->wait, written, r);
}

void
stages_end(struct request *r)
{
	end(r);
}

void
stages_client_gone(struct request *r)
{
	r->x = NULL;
	if (r->is_finished) /* it only waited for the barrier */
		return;
	loop_barrier_cancel(r->worker->loop, &r->wait);
	policy_cancel(r);
	guard_cancel(r);
	for (unsigned i = 0; i < r->attempt_count; i++)
		call_cancel(r->attempt[i], "client_gone");
	request_fail(r, FAULT_CLIENT_GONE, NULL, "the client left");
	end(r);
}
