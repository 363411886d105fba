/* reserve.c - money is set aside for an attempt before its provider hears of it.
 *
 * Ledger first, then spool: what the ledger refuses leaves no record, and what the spool
 * refuses is given back. A record is appended for an attempt that no budget binds too:
 * after a crash it is how the attempt is known.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/stage.h"

#include "key/euro.h"

static int64_t
now_of(const struct request *r)
{
	return loop_now(r->worker->loop)->unix_ms;
}

static int64_t
at_least_zero(int64_t n)
{
	return n > 0 ? n : 0;
}

static enum status
append(struct request *r, const struct attempt *a, const struct reservation *held)
{
	struct record_reserve record = {
		.attempt = (uint8_t)a->number,
		.at_unix_ms = now_of(r),
		.bound_nano_eur = at_least_zero(a->bound_nano_eur),
		.input_nano_eur = at_least_zero(a->input_nano_eur),
		.key = r->key->id,
		.provider = a->target->provider->name,
		.model = a->target->model->id,
	};

	memcpy(record.trace_id, r->id, sizeof(record.trace_id));
	record.scope_count = ledger_scopes(held, record.scope);
	return spool_reserve(r->worker->spool, &record);
}

static enum step
refuse(struct request *r, enum status st, struct budget *who)
{
	if (st == ST_NOMEM)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	return euro_refuse(
	    r, who, st == ST_LIMIT ? FAULT_BUDGET_RESERVED : FAULT_BUDGET_SPENT);
}

static enum step
refuse_for_storage(struct request *r)
{
	return request_fail(r, FAULT_STORAGE_FULL, NULL,
	    "the gateway cannot write its ledger at present, so it calls no provider; "
	    "try again later");
}

enum step
key_reserve(struct request *r)
{
	struct attempt *a = request_attempt(r);
	struct reservation *held = arena_alloc(r->arena, sizeof(*held));
	const struct key_terms *t = r->terms;
	struct budget *who = NULL;
	enum status st;

	if (held == NULL)
		return refuse(r, ST_NOMEM, NULL);
	/* policy/ passes such candidates over; money is not lost for a mistake there. */
	if (a->bound_nano_eur < 0 && t->budget_count > 0)
		return request_fail(r, FAULT_MODEL_UNPRICED, "model",
		    "a budget binds this key, and the model '%.*s' has no price to hold "
		    "against it",
		    STR_ARG(a->target->model->id));
	st = ledger_reserve(t->budget, t->budget_count, at_least_zero(a->bound_nano_eur),
	    now_of(r), held, &who);
	if (st != ST_OK)
		return refuse(r, st, who);
	if (append(r, a, held) != ST_OK) {
		ledger_settle(held, 0);
		return refuse_for_storage(r);
	}
	a->reservation = held;
	a->is_open = true;
	return STEP_BARRIER;
}

enum step
key_reserve_failed(struct request *r)
{
	struct attempt *a = request_attempt(r);

	ledger_settle(a->reservation, 0);
	a->is_open = false;
	a->state = CHARGE_RELEASED;
	a->cost_nano_eur = 0;
	return refuse_for_storage(r);
}

/* After a crash the attempt is charged by what the spool says it may owe, so it says it
 * before more is delivered. */
static enum status
append_raise(struct request *r, const struct attempt *a, int64_t bound)
{
	struct record_raise record = {
		.attempt = (uint8_t)a->number,
		.bound_nano_eur = bound,
	};

	memcpy(record.trace_id, r->id, sizeof(record.trace_id));
	loop_want_flush(r->worker->loop);
	return spool_raise(r->worker->spool, &record);
}

bool
key_top_up(struct request *r, int64_t nano_eur)
{
	struct attempt *a = request_attempt(r);
	int64_t bound;

	if (!a->is_open || !ledger_top_up(a->reservation, nano_eur))
		return false;
	bound = at_least_zero(a->bound_nano_eur) + at_least_zero(nano_eur);
	if (nano_eur > 0 && append_raise(r, a, bound) != ST_OK) {
		ledger_top_down(a->reservation, nano_eur);
		return false;
	}
	if (a->bound_nano_eur >= 0)
		a->bound_nano_eur = bound;
	return true;
}

bool
key_budget(struct request *r, uint32_t scope, lz_budget *out)
{
	bool by_spent = scope == REQUEST_ANY_UNSPENT;
	struct budget_view v;
	int at = terms_tightest(r, by_spent ? REQUEST_ANY_BUDGET : scope, by_spent, &v);

	if (at < 0)
		return false;
	out->scope = r->terms->whose[at];
	out->limit = v.limit_nano_eur;
	out->spent = v.spent_nano_eur;
	out->reserved = v.reserved_nano_eur;
	out->resets_at_unix = v.resets_at_unix_ms / 1000;
	return true;
}
