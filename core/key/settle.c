/* settle.c - what an attempt owes, once it is over; the only writer of charges.
 *
 * Five ways to end (enum charge_state), decided in this order: the provider said what it
 * used; something was delivered, so it used something; it was not sent, or the provider
 * refused it, so it used nothing; else nobody knows. A model without a price is used all
 * the same, and its cost is then unknown, never zero.
 *
 * The order of effects is scopes, ledger, spool: the names must be read while the
 * reservation pins its periods. A settlement that cannot be appended is charged in memory
 * and stays open in the spool, so that a restart finds it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/stage.h"

#include "base/metric.h"
#include "base/tell.h"
#include "store/db.h"
#include "trace/cost.h"

/* No provider counts so many tokens of one request whose model's window is unknown. */
static const int64_t window_max = 100000000;
/* The longest tokens that there are: 128 blanks, in OpenAI's o200k. So what was delivered
 * is at least so many tokens. A lower figure would charge more than a provider counts for
 * texts of blanks and rules. */
static const int64_t bytes_per_token_max = 128;

static bool
was_refused(const struct attempt *a)
{
	if (!a->was_sent)
		return true;
	/* A gateway in between gave up: what stands behind it may be working still. */
	if (a->status == 502 || a->status == 504)
		return false;
	if (a->status >= 300)
		return true;
	/* The refusal came as the first event of a stream that began with 200. */
	return a->status > 0 &&
	       (a->blame == LZ_UPSTREAM_CALLER || a->blame == LZ_UPSTREAM_AUTH ||
		   a->blame == LZ_UPSTREAM_RATE || a->blame == LZ_UPSTREAM_QUOTA ||
		   a->blame == LZ_UPSTREAM_CONTEXT);
}

static bool
was_answered(const struct attempt *a)
{
	return a->delivered_bytes > 0 || a->delivered_events > 0 ||
	       (a->end != NULL && strcmp(a->end, "ok") == 0);
}

static int64_t
tokens_delivered(const struct attempt *a)
{
	int64_t by_bytes = cost_tokens_of_bytes(a->delivered_bytes);

	return by_bytes > a->delivered_events ? by_bytes : a->delivered_events;
}

static struct record_usage
estimate(const struct request *r, const struct attempt *a)
{
	return (struct record_usage){ .input = r->prompt_tokens,
		.output = tokens_delivered(a) };
}

static bool
is_between(int64_t n, int64_t most)
{
	return n >= 0 && n <= most;
}

static int64_t
choices(const struct request *r)
{
	return r->choices > 1 ? r->choices : 1;
}

/* A count that cannot be true is replaced: one below zero by our estimate, one beyond the
 * model's window by the bound that was reserved, one of less than was delivered by the
 * least that it can be. false: it was. */
static bool
make_input_plausible(const struct request *r, int64_t most, struct record_usage *u)
{
	bool is_negative = u->input < 0 || u->cache_read < 0 || u->cache_write < 0;

	if (is_between(u->input, most) && is_between(u->cache_read, most) &&
	    is_between(u->cache_write, most) &&
	    u->input + u->cache_read + u->cache_write <= most)
		return true;
	u->input = is_negative ? r->prompt_tokens : r->prompt_bound;
	u->cache_read = u->cache_write = 0;
	return false;
}

static bool
make_output_plausible(const struct request *r, const struct attempt *a, int64_t most,
    struct record_usage *u)
{
	int64_t least = a->delivered_bytes / bytes_per_token_max;
	bool is_plausible =
	    is_between(u->output, most * choices(r)) && u->output >= least;

	if (!is_plausible && (u->output < 0 || a->output_bound < 0))
		u->output = tokens_delivered(a);
	else if (!is_plausible)
		u->output = u->output < least ? least : a->output_bound * choices(r);
	if (!is_between(u->reasoning, u->output))
		u->reasoning = u->reasoning < 0 ? 0 : u->output;
	return is_plausible;
}

static bool
make_plausible(const struct request *r, const struct attempt *a, struct record_usage *u)
{
	int64_t window = a->target->model->context_window;
	int64_t most = window > 0 && window < window_max ? window : window_max;
	int64_t texts = r->inputs > 1 ? r->inputs : 1; /* each has a window of its own */
	bool input = make_input_plausible(r, most * texts, u);

	return make_output_plausible(r, a, most, u) && input;
}

/* Sets state and usage; the cost comes after. */
static void
judge(const struct request *r, struct attempt *a)
{
	if (a->has_usage) {
		a->state = CHARGE_ACTUAL;
		if (make_plausible(r, a, &a->usage))
			return;
		a->state = CHARGE_ESTIMATED;
		log_warn("money.usage_suspect", "request=%s provider=%.*s model=%.*s",
		    r->id_hex, STR_ARG(a->target->provider->name),
		    STR_ARG(a->target->model->id));
	} else if (was_answered(a)) {
		a->state = CHARGE_ESTIMATED;
		a->usage = estimate(r, a);
	} else {
		a->state = was_refused(a) ? CHARGE_RELEASED : CHARGE_UNCERTAIN;
		a->usage = (struct record_usage){ .input = 0 };
	}
}

static int64_t
uncertain_cost(const struct request *r, const struct attempt *a)
{
	switch (r->config->ledger_uncertain) {
	case DB_UNCERTAIN_BOUND:
		return a->bound_nano_eur;
	case DB_UNCERTAIN_ZERO:
		return 0;
	default:
		return a->input_nano_eur;
	}
}

/* Once per key and model, give or take a collision of their hashes: the log of a busy
 * gateway is for other things. */
static void
tell_unpriced(struct request *r, const struct attempt *a)
{
	lz_str model = a->target->model->id;
	uint64_t bit = UINT64_C(1) << (crypto_crc32(model) & 63);

	if ((atomic_fetch_or(&r->key->live->told_unpriced, bit) & bit) == 0)
		tell(TELL_PRICE_MISSING, "key=%s provider=%.*s model=%.*s",
		    r->key->id.ptr, STR_ARG(a->target->provider->name), STR_ARG(model));
}

static void
set_cost(struct request *r, struct attempt *a, const struct price *price)
{
	if (a->state == CHARGE_RELEASED)
		a->cost_nano_eur = 0;
	else if (price == NULL) {
		a->state = CHARGE_UNPRICED;
		a->cost_nano_eur = -1;
		tell_unpriced(r, a);
	} else if (a->state == CHARGE_UNCERTAIN)
		a->cost_nano_eur = uncertain_cost(r, a) > 0 ? uncertain_cost(r, a) : 0;
	else
		a->cost_nano_eur = cost_nano_eur(price, &a->usage);
	if (a->cost_nano_eur > LEDGER_AMOUNT_MAX)
		a->cost_nano_eur = LEDGER_AMOUNT_MAX;
}

static void
count(const struct request *r, const struct attempt *a)
{
	metric_add(METRIC_TOKENS_INPUT, a->usage.input);
	metric_add(METRIC_TOKENS_CACHE_READ, a->usage.cache_read);
	metric_add(METRIC_TOKENS_CACHE_WRITE, a->usage.cache_write);
	metric_add(METRIC_TOKENS_OUTPUT, a->usage.output);
	if (a->state == CHARGE_ESTIMATED)
		metric_add(METRIC_ESTIMATED, 1);
	if (a->cost_nano_eur > 0 && !r->key->is_test)
		metric_add(METRIC_COST, a->cost_nano_eur);
}

static void
append(struct request *r, const struct attempt *a, const struct price *price,
    struct record_settle *record)
{
	static const struct price unknown = { -1, -1, -1, -1, -1, -1 };
	const struct price *p = price != NULL ? price : &unknown;
	enum status st;

	memcpy(record->trace_id, r->id, sizeof(record->trace_id));
	record->attempt = (uint8_t)a->number;
	record->state = a->state;
	record->at_unix_ms = loop_now(r->worker->loop)->unix_ms;
	record->cost_nano_eur = a->cost_nano_eur;
	record->usage = a->usage;
	record->price_input = p->input;
	record->price_cache_read = p->cache_read;
	record->price_cache_write = p->cache_write;
	record->price_output = p->output;
	record->fx_nano = p->nano_eur_per_unit;
	record->fx_date = price != NULL ? r->config->fx_date : STR_NONE;
	record->key = r->key->id;
	record->provider = a->target->provider->name;
	record->model = a->target->model->id;
	st = spool_settle(r->worker->spool, record);
	if (st != ST_OK)
		log_error("money.settlement_unwritten",
		    "request=%s attempt=%u reason=\"%s\"", r->id_hex, a->number,
		    status_name(st));
	loop_want_flush(r->worker->loop);
}

/* The prompt decides the tier of prices; where nobody counted it, our estimate does. */
static int64_t
prompt_charged(const struct request *r, const struct attempt *a)
{
	const struct record_usage *u = &a->usage;

	if (a->state != CHARGE_ACTUAL && a->state != CHARGE_ESTIMATED)
		return r->prompt_tokens;
	return u->input + u->cache_read + u->cache_write;
}

/* More than there are writes at all cannot be true: then all are. */
static int64_t
writes_of_an_hour(const struct attempt *a)
{
	int64_t writes = a->usage.cache_write;

	return a->cache_write_1h < writes ? a->cache_write_1h : writes;
}

void
key_settle(struct request *r, struct attempt *a)
{
	struct record_settle record = { .attempt = 0 };
	struct price price;
	bool is_priced;

	if (!a->is_open)
		return;
	a->is_open = false;
	judge(r, a);
	is_priced = cost_price(r->config, a->target, prompt_charged(r, a), &price);
	if (is_priced)
		cost_average_writes(&price, a->usage.cache_write, writes_of_an_hour(a));
	set_cost(r, a, is_priced ? &price : NULL);
	record.scope_count = ledger_scopes(a->reservation, record.scope);
	ledger_settle(a->reservation, a->cost_nano_eur);
	append(r, a, is_priced ? &price : NULL, &record);
	count(r, a);
}

/* ---- the request's end ---- */

static int64_t
tokens_used(const struct request *r)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < r->attempt_count; i++) {
		const struct record_usage *u = &r->attempt[i]->usage;

		sum += u->input + u->cache_read + u->cache_write + u->output;
	}
	return sum;
}

/* The budget that refused is the one that has least left. */
static void
tell_refused(struct request *r, int64_t now)
{
	struct budget_view v;
	int at = terms_tightest(r, REQUEST_ANY_BUDGET, true, &v);

	if (at >= 0)
		ledger_refused(r->terms->budget[at], now);
}

void
key_release(struct request *r)
{
	struct key *k = r->key;

	if (k == NULL)
		return;
	if (r->counts_in_flight)
		atomic_fetch_sub(&k->live->in_flight, 1);
	r->counts_in_flight = false;
	if (r->terms->tokens_per_minute >= 0)
		limit_tokens_correct(&k->live->tokens, r->terms->tokens_per_minute,
		    tokens_used(r) - r->tokens_held);
	r->tokens_held = 0;
	if (r->fault == FAULT_BUDGET_SPENT)
		tell_refused(r, loop_now(r->worker->loop)->unix_ms);
}
