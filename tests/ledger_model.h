/* ledger_model.h - the ledger in plain words: what tests/ledger_play.h compares the real
 * one with.
 *
 * A budget is a list of periods with two sums each; an attempt remembers which of them it
 * was written into; a crash forgets the sums and adds them up again from what had been
 * written. No atomics, no reuse, no storage: slow, and short enough to be believed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_LEDGER_MODEL_H
#define TESTS_LEDGER_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	MODEL_PERIODS = 1100,
	MODEL_BUDGETS = 8,
	MODEL_ATTEMPTS = 512,
	MODEL_LABEL = 24
};

enum model_verdict {
	MODEL_ADMITS = 0,
	MODEL_WAIT = 1, /* only others' reservations stand in the way */
	MODEL_SPENT = 2
};

struct model_label {
	char text[MODEL_LABEL]; /* as the real one says it */
	int order;              /* its digits: of a kind, the later one's are more */
};

struct model_period {
	struct model_label label;
	int64_t spent, held;
};

struct model_budget {
	int64_t limit; /* -1: none */
	int kind, count, at;
	struct model_period period[MODEL_PERIODS];
};

struct model_attempt {
	struct model_period *in[MODEL_BUDGETS];
	int count, request;
	bool is_open, is_reserve_dropped, is_reserve_written, is_settled,
	    is_settle_written;
	int64_t held, bound, bound_written, input, owes;
};

static struct model {
	struct model_budget budget[MODEL_BUDGETS];
	struct model_attempt attempt[MODEL_ATTEMPTS];
	int attempts;
} model;

static inline void
model_start(void)
{
	for (int b = 0; b < MODEL_BUDGETS; b++)
		model.budget[b].count = model.budget[b].at = 0;
	model.attempts = 0;
}

static inline struct model_period *
model_period(struct model_budget *b, const struct model_label *label)
{
	for (int i = 0; i < b->count; i++)
		if (b->period[i].label.order == label->order)
			return &b->period[i];
	b->period[b->count] = (struct model_period){ .label = *label };
	return &b->period[b->count++];
}

/* The period at hand: of `today`, or of the latest day that a budget of this kind has
 * seen. */
static inline struct model_period *
model_at(struct model_budget *b, const struct model_label *today)
{
	if (today->order <= b->period[b->at].label.order)
		return &b->period[b->at];
	for (int i = 0; i < MODEL_BUDGETS; i++) {
		struct model_budget *o = &model.budget[i];

		if (o->kind == b->kind && o->period[o->at].label.order > today->order)
			today = &o->period[o->at].label;
	}
	b->at = (int)(model_period(b, today) - b->period);
	return &b->period[b->at];
}

static inline enum model_verdict
model_judge(const struct model_budget *b, const struct model_period *p, int64_t nano)
{
	if (nano == 0 || b->limit < 0 || p->spent + p->held + nano <= b->limit)
		return MODEL_ADMITS;
	return p->spent + nano > b->limit ? MODEL_SPENT : MODEL_WAIT;
}

static inline void
model_hold(struct model_attempt *a, int64_t nano)
{
	for (int i = 0; i < a->count; i++)
		a->in[i]->held += nano;
	a->held += nano;
}

static inline void
model_settle(struct model_attempt *a, int64_t owes)
{
	for (int i = 0; i < a->count; i++) {
		a->in[i]->held -= a->held;
		a->in[i]->spent += owes;
	}
	a->is_open = false;
	a->is_settled = true;
	a->owes = owes;
}

/* Only what was written counts; of what was written but not settled, `uncertain` says
 * what it owes. Every budget begins anew with the period of `now`. */
static inline void
model_crash(int64_t (*uncertain)(const struct model_attempt *a),
    const struct model_label *(*now)(int kind))
{
	for (int b = 0; b < MODEL_BUDGETS; b++) {
		struct model_budget *o = &model.budget[b];

		for (int i = 0; i < o->count; i++)
			o->period[i].spent = o->period[i].held = 0;
		o->at = (int)(model_period(o, now(o->kind)) - o->period);
	}
	for (int i = 0; i < model.attempts; i++) {
		struct model_attempt *a = &model.attempt[i];

		if (!a->is_settle_written)
			a->owes = a->is_reserve_written ? uncertain(a) : 0;
		a->is_settle_written = a->is_settle_written || a->is_reserve_written;
		a->is_reserve_dropped = !a->is_reserve_written;
		a->is_open = a->is_settled = false;
		for (int k = 0; k < a->count; k++)
			a->in[k]->spent += a->owes;
	}
}

#endif
