/* ledger_play_requests.h - the requests of a play, from their key to their trace, on both
 * sides: reservation, top-up, and all the ways in which an attempt may end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_LEDGER_PLAY_REQUESTS_H
#define TESTS_LEDGER_PLAY_REQUESTS_H

#include "ledger_play_owners.h"
#include "trace/trace.h"

/* ---- a request ---- */

static inline struct play_request *
play_of(const struct play_slot *s)
{
	return &play.request[s->number];
}

static inline void
play_free_slot(struct play_slot *s)
{
	key_let_go(&s->r);
	s->number = -1;
	s->waits = false;
}

/* Settled is settled: its trace, and the key's place in flight. */
static inline void
play_end_request(struct play_slot *s)
{
	struct record_trace t;

	trace_record(&s->r, &t);
	PLAY_MUST(spool_trace(s->r.worker->spool, &t) == ST_OK);
	play_of(s)->is_trace_put = true;
	key_release(&s->r);
	play_free_slot(s);
}

static inline struct key *
play_find_key(int key)
{
	return (struct key *)(uintptr_t)keys_get(play.keys, play_id(key));
}

/* false: what the key belongs to is not there, and the request was refused. */
static inline bool
play_begin(struct play_slot *s, int key)
{
	bool has_owners = play.is_there[PLAY_ORGANIZATION] &&
			  (key != 0 || play.is_there[PLAY_ASSISTANT]);
	struct key *k = play_find_key(key);

	struct arena *arena = s->r.arena;
	uint64_t number = play.number;

	s->number = play.requests++;
	arena_reset(arena);
	memset(&s->x, 0, sizeof s->x);
	memset(&s->r, 0, sizeof s->r);
	s->r.arena = arena;
	s->r.worker = &play.worker[(s - play.slot) % PLAY_WORKERS];
	*play_of(s) = (struct play_request){ .worker = s->r.worker->number };
	s->r.x = &s->x;
	s->r.config = &play_config;
	s->r.began = *loop_now(play.loop);
	s->r.max_tokens = -1;
	s->r.choices = 1;
	s->r.prompt_tokens = PLAY_PROMPT_TOKENS;
	s->r.prompt_bound = 400;
	s->r.rate_limit = -1;
	s->r.model = STR_LIT("gpt-4o");
	memcpy(s->r.id, &number, sizeof number);
	memcpy(s->r.id + 8, &s->number, sizeof s->number);
	(void)snprintf(s->r.id_hex, sizeof s->r.id_hex, "%lu-%d", play.number, s->number);
	key_ref(k);
	if (key_take(&s->r, k) == STEP_NEXT) {
		PLAY_MUST(has_owners);
		return true;
	}
	PLAY_MUST(!has_owners && s->r.fault == FAULT_INVALID_KEY && s->r.key == NULL);
	key_unref(k);
	play.tally[PLAY_REFUSED_OWNER]++;
	play.requests--; /* nobody hears of it but the caller */
	s->number = -1;
	return false;
}

static inline bool
play_binds(const struct key_terms *t, int b)
{
	for (size_t i = 0; i < t->budget_count; i++)
		if (t->budget[i] == play_budget(b))
			return true;
	return false;
}

/* What the model says of a reservation, and where it would stand. */
static inline enum model_verdict
play_model_reserve(
    const struct key_terms *t, struct model_attempt *m, int request, int64_t nano)
{
	enum model_verdict all = MODEL_ADMITS, keys = MODEL_ADMITS, one;

	*m = (struct model_attempt){ .request = request, .bound = nano };
	for (int b = 0; b < MODEL_BUDGETS; b++) {
		if (!play_binds(t, b))
			continue;
		play_look(b);
		m->in[m->count] = &model.budget[b].period[model.budget[b].at];
		one = model_judge(&model.budget[b], m->in[m->count], nano);
		m->count++;
		all |= one;
		if (b / 2 < PLAY_KEYS)
			keys |= one;
	}
	play.tally[PLAY_BOUND_ABOVE] += all != MODEL_ADMITS && keys == MODEL_ADMITS;
	return all;
}

static inline bool
play_is_verdict(enum step step, enum fault fault, enum model_verdict want)
{
	if (want == MODEL_ADMITS)
		return step == STEP_BARRIER;
	/* Two budgets may refuse for two reasons; either is true. */
	return step == STEP_FAULT &&
	       (((want & MODEL_WAIT) != 0 && fault == FAULT_BUDGET_RESERVED) ||
		   ((want & MODEL_SPENT) != 0 && fault == FAULT_BUDGET_SPENT));
}

/* The next attempt of a request, the first or after a failed one. */
static inline void
play_attempt(struct play_slot *s)
{
	struct model_attempt *m = &model.attempt[model.attempts];
	struct attempt *a;
	int64_t bound = play_number() * 8, input = bound / (1 + play_byte() % 8);
	enum model_verdict want = play_model_reserve(s->r.terms, m, s->number, bound);
	enum step step;

	PLAY_MUST(request_may_add_attempt(&s->r));
	a = request_add_attempt(&s->r);
	*a = (struct attempt){ .number = a->number,
		.candidate = &play_candidate,
		.target = &play_target,
		.bound_nano_eur = bound,
		.input_nano_eur = input,
		.output_bound = 500,
		.cost_nano_eur = -1 };
	m->input = input;
	step = key_reserve(&s->r);
	PLAY_SAY("request %d, attempt %u: %lld of which input %lld: step %d, fault %d",
	    s->number, a->number, (long long)bound, (long long)input, (int)step,
	    (int)s->r.fault);
	if (step == STEP_FAULT && s->r.fault == FAULT_STORAGE_FULL) {
		PLAY_MUST(want == MODEL_ADMITS && play.has_failed[s->r.worker->number]);
		want = MODEL_WAIT;
		play.tally[PLAY_REFUSED_STORAGE]++;
	} else {
		PLAY_MUST(play_is_verdict(step, s->r.fault, want));
		play.tally[want == MODEL_ADMITS               ? PLAY_ADMITTED
			   : s->r.fault == FAULT_BUDGET_SPENT ? PLAY_REFUSED_SPENT
							      : PLAY_REFUSED_WAIT]++;
	}
	if (want != MODEL_ADMITS) {
		s->r.attempt_count--;
		play_end_request(s);
		return;
	}
	model.attempts++;
	s->at[a->number] = m;
	m->is_open = true;
	model_hold(m, bound);
	s->waits = true;
}

static inline void
play_new_request(struct play_slot *s)
{
	int key = (int)(play_byte() % PLAY_KEYS);
	bool is_spent = false;
	enum step step;

	if (!play.is_there[key] || play.requests == PLAY_REQUESTS ||
	    model.attempts == MODEL_ATTEMPTS)
		return;
	if (!play_begin(s, key))
		return;
	for (int b = 0; b < MODEL_BUDGETS; b++) {
		struct model_budget *m = &model.budget[b];

		if (!play_binds(s->r.terms, b))
			continue;
		play_look(b);
		is_spent |= m->limit >= 0 && m->period[m->at].spent >= m->limit;
	}
	step = key_admit(&s->r);
	PLAY_SAY("request %d of key %d: step %d", s->number, key, (int)step);
	PLAY_MUST((step == STEP_FAULT) == is_spent);
	if (is_spent) {
		PLAY_MUST(s->r.fault == FAULT_BUDGET_SPENT);
		play_end_request(s);
		return;
	}
	play_attempt(s);
}

/* ---- how attempts end ---- */

static inline int64_t
play_uncertain(int64_t bound, int64_t input)
{
	switch (play_config.ledger_uncertain) {
	case DB_UNCERTAIN_BOUND:
		return bound;
	case DB_UNCERTAIN_ZERO:
		return 0;
	default:
		return input;
	}
}

static inline int64_t
play_uncertain_lost(const struct model_attempt *m)
{
	return play_uncertain(m->bound_written, m->input);
}

static inline int64_t
play_price(int64_t input, int64_t output)
{
	return input * PLAY_INPUT_PRICE + output * PLAY_OUTPUT_PRICE;
}

enum play_end {
	PLAY_SAID_USAGE,
	PLAY_SAID_NOTHING, /* delivered, without usage */
	PLAY_EMPTY,        /* a whole answer of nothing, without usage */
	PLAY_USED_NOTHING, /* usage of zero: a value */
	PLAY_LIED,         /* usage below zero */
	PLAY_LIMITED,      /* 429 */
	PLAY_BROKE,        /* 500 */
	PLAY_GATEWAY,      /* 502: nobody knows */
	PLAY_SILENT,       /* sent, and nothing came */
	PLAY_UNSENT,
	PLAY_ENDS
};

/* Writes the end into the attempt; returns what it owes. */
static inline int64_t
play_end_attempt(struct attempt *a, const struct model_attempt *m, enum play_end end)
{
	int64_t in = play_byte(), out = play_byte();

	a->was_sent = end != PLAY_UNSENT;
	a->end = "ok";
	a->status = 200;
	switch (end) {
	case PLAY_SAID_USAGE:
	case PLAY_USED_NOTHING:
		a->has_usage = true;
		if (end == PLAY_USED_NOTHING)
			return 0;
		a->usage.input = in;
		a->usage.output = out;
		return play_price(in, out);
	case PLAY_SAID_NOTHING:
		a->delivered_bytes = 1 + out;
		a->delivered_events = 1;
		return play_price(PLAY_PROMPT_TOKENS, (1 + out + 3) / 4);
	case PLAY_EMPTY:
		return play_price(PLAY_PROMPT_TOKENS, 0);
	case PLAY_LIED:
		a->has_usage = true;
		a->usage.input = -1 - in;
		a->usage.output = out;
		return play_price(PLAY_PROMPT_TOKENS, out);
	default:
		break;
	}
	a->end = "failed";
	a->status = end == PLAY_LIMITED   ? 429
		    : end == PLAY_BROKE   ? 500
		    : end == PLAY_GATEWAY ? 502
					  : 0;
	return end == PLAY_GATEWAY || end == PLAY_SILENT
		   ? play_uncertain(m->bound, m->input)
		   : 0;
}

/* Ends the attempt at hand: the request goes on with another provider, or ends. */
static inline void
play_settle(struct play_slot *s)
{
	struct attempt *a = request_attempt(&s->r);
	struct model_attempt *m = s->at[a->number];
	enum play_end end = (enum play_end)(play_byte() % PLAY_ENDS);
	bool fails_over = play_byte() % 2 == 0 && end >= PLAY_LIMITED && !s->waits &&
			  s->r.attempt_count < REQUEST_ATTEMPTS &&
			  model.attempts < MODEL_ATTEMPTS;
	int64_t owes;

	/* A client that leaves while its reservation waits to be written: nothing was
	 * sent. */
	if (s->waits) {
		end = PLAY_UNSENT;
		s->waits = false;
	}
	owes = play_end_attempt(a, m, end);
	PLAY_SAY("request %d, attempt %u ends (%d), owes %lld%s", s->number, a->number,
	    (int)end, (long long)owes, fails_over ? ", fails over" : "");
	key_settle(&s->r, a);
	PLAY_MUST(!a->is_open && a->cost_nano_eur == owes);
	key_settle(&s->r, a); /* again: nothing happens */
	play.tally[PLAY_OVERSPENT] += owes > m->held;
	play.tally[PLAY_FAILED_OVER] += fails_over;
	model_settle(m, owes);
	if (fails_over)
		play_attempt(s);
	else
		play_end_request(s);
}

static inline void
play_top_up(struct play_slot *s)
{
	struct attempt *a = request_attempt(&s->r);
	struct model_attempt *m = s->at[a->number];
	int64_t nano = play_number() * 2;
	bool want = true, did;

	for (int i = 0; i < m->count; i++)
		for (int b = 0; b < MODEL_BUDGETS; b++)
			if (m->in[i] >= model.budget[b].period &&
			    m->in[i] < model.budget[b].period + MODEL_PERIODS)
				want &= model_judge(&model.budget[b], m->in[i], nano) ==
					MODEL_ADMITS;
	PLAY_SAY("request %d: %lld more", s->number, (long long)nano);
	did = key_top_up(&s->r, nano);
	PLAY_MUST(did == want || (want && play.has_failed[s->r.worker->number]));
	if (!did)
		return;
	play.tally[PLAY_TOPPED_UP]++;
	model_hold(m, nano);
	m->bound += nano;
}

#endif
