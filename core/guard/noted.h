/* noted.h - a verdict's row, its time and its count: what every check leaves, and so
 * without a function of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_NOTED_H
#define GUARD_NOTED_H

#include "base/metric.h"
#include "guard/chain.h"

/* On the request, or on the answer; NULL: none yet. */
static inline struct record_verdict **
noted_place(struct guard *g, uint32_t phase)
{
	return &g->verdict[phase == LZ_RESPONSE];
}

static inline struct record_verdict *
noted_new(struct guards *all, struct guard *g, uint32_t phase)
{
	struct record_verdict *v = &all->r->verdict[all->r->verdict_count++];

	v->guardrail = g->row->name;
	v->codes = STR_NONE;
	v->took_us = 0;
	v->checks = 0;
	v->what = VERDICT_PASS;
	v->is_answer = phase == LZ_RESPONSE;
	v->is_monitor = g->row->is_monitor;
	*noted_place(g, phase) = v;
	return v;
}

static inline struct record_verdict *
noted_verdict(struct guards *all, struct guard *g, uint32_t phase)
{
	struct record_verdict *v = *noted_place(g, phase);

	return v != NULL ? v : noted_new(all, g, phase);
}

static inline void
noted_time(const struct guards *all, struct record_verdict *v, int64_t came_us)
{
	if (came_us > all->asked_us)
		v->took_us += came_us - all->asked_us;
	v->checks++;
}

/* What a command tries counts for nobody: false. */
static inline bool
noted_count(const struct request *r, const struct guardrail *row, enum verdict_kind d)
{
	if (r->asked != NULL)
		return false;
	metric_add_named(row->counted_as, d, 1);
	return true;
}

/* g, which was asked and came at once, found nothing and asks for nothing, as most do
 * most of the time. Who is asked next of the document begins when this one ended: nothing
 * else is done in between. */
static inline void
noted_pass(struct guards *all, struct guard *g, uint32_t phase)
{
	struct record_verdict *v = *noted_place(g, phase);

	if (v == NULL) {
		v = noted_new(all, g, phase);
		(void)noted_count(all->r, g->row, VERDICT_PASS);
	}
	noted_time(all, v, all->came_us);
	all->check.now_us = all->came_us;
}

#endif
