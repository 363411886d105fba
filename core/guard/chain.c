/* chain.c - the guardrails of a request: which of them hold, one of them being asked,
 * what it was shown, and their end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/noted.h"
#include "guard/plain.h"

#include "base/mem.h"

/* ---- which of them hold ---- */

static bool
has(const struct guards *all, const struct guardrail *row)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->guard[i].row == row)
			return true;
	return false;
}

static inline void
add(struct guards *all, const struct guardrail *row)
{
	all->guard[all->count++] = (struct guard){ .row = row };
	all->phases |= row->phases;
}

static size_t
count_of(const struct request *r, const struct guard_names *lists, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < r->config->guardrail_count; i++)
		count += r->config->guardrail[i].is_default;
	for (size_t i = 0; i < n; i++)
		count += lists[i].count;
	return count;
}

static enum step
add_named(struct guards *all, const struct guard_names *names)
{
	struct request *r = all->r;

	for (size_t i = 0; i < names->count; i++) {
		const struct guardrail *row = config_guardrail(r->config, names->name[i]);

		if (row == NULL)
			return request_fail(r, FAULT_POLICY, NULL,
			    "the guardrail '%.*s' that holds for this key is not "
			    "configured any more",
			    STR_ARG(names->name[i]));
		if (!has(all, row))
			add(all, row);
	}
	return STEP_NEXT;
}

/* NULL: out of memory. */
static struct guards *
make(struct request *r, size_t count)
{
	struct guards *all = arena_alloc(r->arena, sizeof(*all));

	if (all != NULL)
		all->guard = arena_room(r->arena, count * sizeof(*all->guard));
	r->verdict = arena_room(r->arena, 2 * count * sizeof(*r->verdict));
	if (all == NULL || all->guard == NULL || r->verdict == NULL)
		return NULL;
	all->r = r;
	return all;
}

enum step
guard_choose(struct request *r, const struct guard_names *lists, size_t n)
{
	const struct guardrail *row = r->config->guardrail;
	const struct guardrail *end = row + r->config->guardrail_count;
	size_t count = count_of(r, lists, n);
	struct guards *all;
	enum step s = STEP_NEXT;

	if (count == 0)
		return STEP_NEXT;
	all = make(r, count);
	if (all == NULL)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	for (; row < end; row++)
		if (row->is_default)
			add(all, row);
	for (size_t i = 0; i < n && s == STEP_NEXT; i++)
		s = add_named(all, &lists[i]);
	if (s == STEP_NEXT)
		r->guards = all;
	return s;
}

enum step
guard_choose_only(struct request *r, const struct guard_names *names)
{
	struct guards *all = make(r, names->count);
	enum step s;

	if (all == NULL)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	s = add_named(all, names);
	if (s == STEP_NEXT)
		r->guards = all;
	return s;
}

void
guard_watch(struct request *r, const struct guard_watch *w)
{
	r->guards->watch = w;
}

bool
guard_looks_at(const struct request *r, uint32_t phase)
{
	return r->guards != NULL && (r->guards->phases & phase) != 0;
}

bool
guard_holds_answers(const struct request *r)
{
	return guard_looks_at(r, LZ_RESPONSE);
}

bool
guard_has_rerouted(const struct request *r)
{
	return r->guards != NULL && r->guards->is_rerouted;
}

bool
guard_has_judged(const struct request *r, const struct guard_names *lists, size_t n)
{
	return r->guards != NULL ? r->guards->has_judged : count_of(r, lists, n) == 0;
}

bool
guard_has_judged_answer(const struct request *r)
{
	return !guard_holds_answers(r) || r->guards->has_judged_answer;
}

/* ---- asked ---- */

/* A client may leave its request less time than a guardrail would have had. */
static int64_t
cut_us(const struct request *r, const struct guard *g)
{
	int64_t left = r->deadline_us - loop_now(r->worker->loop)->mono_us;

	if (r->deadline_us == 0 || r->has_begun ||
	    left >= INT64_C(1000) * g->row->deadline_ms)
		return 0;
	return left > 1 ? left : 1;
}

static RARE struct visit *
first_blank(struct guards *all, struct guard *g)
{
	all->blank = visit_guardrail(all->r, g->row->part);
	if (all->blank == NULL)
		all->asked_us = all->came_us = 0;
	return all->blank;
}

/* NULL: out of memory. */
static inline struct visit *
blank_for(struct guards *all, struct guard *g)
{
	if (all->blank == NULL)
		return first_blank(all, g);
	visit_hand_on(all->blank, g->row->part);
	return all->blank;
}

static RARE void
late_or_failed(struct guards *all, struct guard *g, int32_t result)
{
	all->cut_us = cut_us(all->r, g); /* of the same turn */
	if (result != LZ_PENDING)
		return;
	all->asked = g;
	all->came_us = 0;
	if (all->asked_us == 0) /* a tree is built first */
		all->asked_us = clock_mono_us();
}

/* true: it passed, and has used nothing that would have to be looked after. */
static inline bool
ask(struct guards *all, struct guard *g, int32_t *result)
{
	struct visit *v = g->visit != NULL ? g->visit : blank_for(all, g);

	all->cut_us = 0;
	*result = LZ_E_NOMEM;
	if (v == NULL)
		return false;
	all->check.deadline_ms = g->row->deadline_ms;
	*result = visit_check(v, &all->check);
	all->asked_us = visit_entered_us(v);
	all->came_us = visit_left_us(v);
	if (*result == LZ_OK && !visit_is_used(v))
		return true;
	if (g->visit == NULL)
		all->blank = NULL;
	g->visit = v;
	if (*result < LZ_OK || *result == LZ_PENDING)
		late_or_failed(all, g, *result);
	return false;
}

int32_t
chain_ask(struct guards *all, struct guard *g)
{
	int32_t result;

	(void)ask(all, g, &result);
	return result;
}

int32_t
chain_ask_on(struct guards *all)
{
	const uint32_t phase = all->check.phase;
	int32_t result = LZ_OK;

	for (; all->done < all->count; all->done++) {
		struct guard *g = chain_at(all, phase, all->done);

		if ((g->row->phases & phase) == 0)
			continue;
		if (!ask(all, g, &result) || all->has_document)
			break;
		noted_pass(all, g, phase);
	}
	return result;
}

void
chain_abandon(struct guards *all)
{
	if (all->asked == NULL)
		return;
	visit_abandon(all->asked->visit);
	all->asked = NULL;
}

/* ---- what it was shown ---- */

struct showing *
chain_show(size_t max_bytes)
{
	struct showing *s = mem_zalloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->arena = arena_new(max_bytes);
	if (s->arena != NULL)
		return s;
	mem_free(s);
	return NULL;
}

bool
chain_is_looked_at(const struct guards *all)
{
	if (all->has_left_work || all->folding > 0)
		return true;
	for (size_t i = 0; i < all->count; i++)
		if (all->guard[i].visit != NULL && visit_has_work(all->guard[i].visit))
			return true;
	return false;
}

static void
forget(struct showing *s)
{
	arena_free(s->arena);
	mem_free(s);
}

void
chain_unshow(struct guards *all, struct showing *s)
{
	if (s == NULL)
		return;
	if (!chain_is_looked_at(all)) {
		forget(s);
		return;
	}
	s->next = all->looked_at;
	all->looked_at = s;
}

/* ---- over ---- */

/* Of a stream its own end has dropped them. */
static void
drop_job(struct guards *all)
{
	plain_drop(all->job);
	all->job = NULL;
	loop_timer_cancel(all->r->worker->loop, &all->timer);
}

static void
end_visit(struct guards *all, struct guard *g)
{
	if (g->visit == NULL)
		return;
	all->has_left_work |= visit_has_work(g->visit);
	visit_end_all(g->visit);
	g->visit = NULL;
}

void
guard_cancel(struct request *r)
{
	struct guards *all = r->guards;

	if (all == NULL || all->asked == NULL)
		return;
	end_visit(all, all->asked);
	all->asked = NULL;
}

void
guard_end(struct request *r)
{
	struct guards *all = r->guards;

	if (all == NULL)
		return;
	drop_job(all);
	for (struct guard *g = all->guard, *end = g + all->count; g < end; g++)
		end_visit(all, g);
	visit_end_all(all->blank);
	all->blank = NULL;
	all->asked = NULL;
}

static void
free_all(struct retired *old)
{
	while (old != NULL) {
		struct retired *next = old->next;

		buf_free(&old->bytes);
		mem_free(old);
		old = next;
	}
}

void
guard_free(struct request *r)
{
	struct guards *all = r->guards;

	if (all == NULL)
		return;
	if (all->showing != NULL)
		forget(all->showing);
	for (struct showing *s = all->looked_at, *next; s != NULL; s = next) {
		next = s->next;
		forget(s);
	}
	if (all->has_shown)
		buf_free(&all->shown);
	free_all(all->retired);
	free_all(all->spare);
}
