/* chain.c - the guardrails of a request, asked one after the other; their verdicts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/plain.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/metric.h"
#include "base/tell.h"

enum {
	GUARDS_MAX = 64,
	CODES_BYTES = 200,
	MESSAGE_BYTES = 400
};

void
guard_start(void)
{
	metric_label_names(METRIC_GUARDRAIL_VERDICTS, verdict_names, VERDICTS);
}

const char *const *
guard_verdicts(size_t *count)
{
	*count = VERDICTS;
	return verdict_names;
}

/* ---- which of them hold ---- */

static bool
has(const struct guards *all, const struct guardrail *row)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->guard[i].row == row)
			return true;
	return false;
}

static void
add(struct guards *all, const struct guardrail *row)
{
	all->guard[all->count++].row = row;
	all->has_answers |= (row->phases & LZ_RESPONSE) != 0;
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
		all->guard = arena_alloc(r->arena, count * sizeof(*all->guard));
	r->verdict = arena_room(r->arena, 2 * count * sizeof(*r->verdict));
	if (all == NULL || all->guard == NULL || r->verdict == NULL)
		return NULL;
	all->r = r;
	return all;
}

enum step
guard_choose(struct request *r, const struct guard_names *lists, size_t n)
{
	size_t count = count_of(r, lists, n);
	struct guards *all;
	enum step s = STEP_NEXT;

	if (count == 0)
		return STEP_NEXT;
	all = make(r, count);
	if (all == NULL)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	for (size_t i = 0; i < r->config->guardrail_count; i++)
		if (r->config->guardrail[i].is_default)
			add(all, &r->config->guardrail[i]);
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
	for (size_t i = 0; r->guards != NULL && i < r->guards->count; i++)
		if ((r->guards->guard[i].row->phases & phase) != 0)
			return true;
	return false;
}

bool
guard_holds_answers(const struct request *r)
{
	return r->guards != NULL && r->guards->has_answers;
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

static bool
give_visit(struct guards *all, struct guard *g)
{
	g->visit = all->blank;
	all->blank = NULL;
	if (g->visit != NULL)
		visit_hand_on(g->visit, g->row->part);
	else
		g->visit = visit_guardrail(all->r, g->row->part);
	return g->visit != NULL;
}

int32_t
chain_ask(struct guards *all, struct guard *g, uint32_t phase, const struct buf *document,
    struct texts *(*texts)(void *arg), void *texts_arg, visit_done_fn *done,
    void *done_arg)
{
	int32_t result;

	/* First: what its failing comes to is looked up by it. */
	all->check = (struct visit_check){ phase, g->row->deadline_ms,
		document != NULL ? all->now_us : 0, document, texts, texts_arg,
		document == NULL ? all->stream_calls : NULL };
	all->asked_us = all->came_us = all->now_us = 0;
	all->cut_us = 0;
	if (g->visit == NULL && !give_visit(all, g))
		return LZ_E_NOMEM;
	all->asked = g;
	result = visit_check(g->visit, &all->check, done, done_arg);
	all->asked_us = visit_entered_us(g->visit);
	/* Of the same turn, as if it had been asked for before. */
	if (result < LZ_OK || result == LZ_PENDING)
		all->cut_us = cut_us(all->r, g);
	if (result != LZ_PENDING) {
		all->asked = NULL;
		all->came_us = visit_left_us(g->visit);
	} else if (all->asked_us == 0) { /* a tree is built first */
		all->asked_us = clock_mono_us();
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

/* ---- its verdict ---- */

static struct record_verdict *
verdict_of(struct guards *all, struct guard *g, uint32_t phase)
{
	struct record_verdict **place = &g->verdict[phase == LZ_RESPONSE], *v = *place;

	if (v != NULL)
		return v;
	v = &all->r->verdict[all->r->verdict_count++];
	*v = (struct record_verdict){ .guardrail = g->row->name,
		.what = VERDICT_PASS,
		.is_answer = phase == LZ_RESPONSE,
		.is_monitor = g->row->is_monitor };
	*place = v;
	return v;
}

static bool
has_code(lz_str codes, lz_str code)
{
	while (codes.len > 0) {
		ptrdiff_t comma = str_find(codes, ',');
		size_t end = comma < 0 ? codes.len : (size_t)comma;

		if (str_eq(str_cut(codes, 0, end), code))
			return true;
		codes = str_cut(codes, end + 1, codes.len);
	}
	return false;
}

/* Codes are for machines: plain characters, no commas, each once. */
static void
add_codes(struct request *r, struct record_verdict *v, const struct visit_reason *said,
    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		lz_str code = said[i].code, joined;

		if (code.len == 0 || str_find(code, ',') >= 0 ||
		    v->codes.len + code.len + 1 > CODES_BYTES || has_code(v->codes, code))
			continue;
		joined = v->codes.len > 0 ? arena_join(r->arena, v->codes, STR_LIT(","))
					  : STR_LIT("");
		joined = arena_join(r->arena, joined, code);
		if (joined.ptr != NULL)
			v->codes = joined;
	}
}

static void
note_reasons(struct guards *all, struct record_verdict *v, const struct visit *visit)
{
	const struct visit_reason *said;
	size_t n = visit_reasons(visit, &said);

	add_codes(all->r, v, said, n);
	for (size_t i = 0; all->watch != NULL && i < n; i++)
		all->watch->said(all->watch->arg, v, said[i].code, said[i].message);
}

void
chain_tell_edits(struct guards *all, struct guard *g, const struct text *t, size_t end)
{
	const struct guard_watch *w = all->watch;
	const struct record_verdict *v;

	if (t->edits.count == 0)
		return;
	v = verdict_of(all, g, all->check.phase);
	for (size_t i = 0; i < t->edits.count; i++) {
		const struct text_edit *edit = &t->edits.item[i];

		if (edit->from < end)
			w->edited(w->arg, v, str_cut(t->shown.text, edit->from, edit->to),
			    edit->with, edit->is_reveal);
	}
}

void
chain_tell_tree(struct guards *all, struct guard *g)
{
	const struct guard_watch *w = all->watch;

	w->edited(
	    w->arg, verdict_of(all, g, all->check.phase), STR_NONE, STR_NONE, false);
}

/* What a command tries counts for nobody. */
static void
publish(const struct request *r, const struct guardrail *row,
    const struct record_verdict *v, enum verdict_kind d)
{
	if (r->asked != NULL)
		return;
	metric_add_named(row->counted_as, d, 1);
	if (d == VERDICT_BLOCK || d == VERDICT_FLAG || d == VERDICT_ERROR)
		tell(d == VERDICT_FLAG    ? TELL_GUARDRAIL_FLAGGED
		     : d == VERDICT_BLOCK ? TELL_GUARDRAIL_BLOCKED
					  : TELL_GUARDRAIL_FAILED,
		    "request=%s guardrail=%.*s phase=%s mode=%s codes=\"%.*s\"",
		    r->id_hex, STR_ARG(v->guardrail),
		    v->is_answer ? "response" : "request",
		    v->is_monitor ? "monitor" : "enforce", STR_ARG(v->codes));
}

static void
note_time(const struct guards *all, struct record_verdict *v)
{
	int64_t came_us = all->came_us;

	if (came_us == 0 && all->asked_us > 0)
		came_us = clock_mono_us();
	if (came_us > all->asked_us)
		v->took_us += came_us - all->asked_us;
	v->checks++;
}

/* A stream is judged many times: the gravest counts. */
static void
note(struct guards *all, struct guard *g, uint32_t phase, enum verdict_kind d)
{
	struct record_verdict *v = verdict_of(all, g, phase);
	note_time(all, v);
	if (v->what < d)
		v->what = d;
	if (g->visit != NULL)
		note_reasons(all, v, g->visit);
	if (v->checks == 1 || d != VERDICT_PASS)
		publish(all->r, g->row, v, d);
}

static lz_str
last_message(const struct guard *g)
{
	const struct visit_reason *said = NULL; /* gcc 12 with LTO asks for it */
	size_t n = g->visit != NULL ? visit_reasons(g->visit, &said) : 0;

	while (n-- > 0)
		if (said[n].message.len > 0)
			return str_cut(said[n].message, 0, MESSAGE_BYTES);
	return STR_NONE;
}

static enum ruling
refuse(struct guards *all, struct guard *g, uint32_t phase)
{
	struct request *r = all->r;
	lz_str why = last_message(g);

	request_fail(r, FAULT_CONTENT_POLICY, NULL,
	    "the guardrail '%.*s' refused the %s%s%.*s", STR_ARG(g->row->name),
	    phase == LZ_REQUEST ? "request" : "answer", why.len > 0 ? ": " : "",
	    STR_ARG(why));
	r->refused_by = g->row->name;
	return RULED_REFUSE;
}

/* `on_error: open` is for guardrails that cannot answer, and no way around one that was
 * not given the time: then the clock of whoever asks would decide. What it waits for is
 * cut a little before its own time is. */
static bool
was_cut(const struct guards *all)
{
	return all->cut_us > 0 && all->asked_us > 0 &&
	       2 * (clock_mono_us() - all->asked_us) >= all->cut_us;
}

enum ruling
chain_failed(struct guards *all, struct guard *g, uint32_t phase, const char *why)
{
	bool is_cut = was_cut(all);

	note(all, g, phase, VERDICT_ERROR);
	if (all->watch != NULL)
		all->watch->said(
		    all->watch->arg, verdict_of(all, g, phase), STR_NONE, lz_strz(why));
	if (g->row->is_monitor || (g->row->is_open && !is_cut))
		return RULED_IGNORE;
	request_fail(all->r, FAULT_POLICY, NULL, "the guardrail '%.*s' %s%s",
	    STR_ARG(g->row->name), why,
	    is_cut ? "; the request left it less time than its deadline_ms" : "");
	all->r->refused_by = g->row->name;
	return RULED_REFUSE;
}

static const char *
why_of(int32_t error)
{
	switch (error) {
	case LZ_E_TIMEOUT:
		return "took too long";
	case LZ_E_NOMEM:
		return "ran out of memory";
	case LZ_E_LIMIT:
		return "reached a limit";
	default:
		return "failed";
	}
}

static lz_str
last_code(const struct guard *g)
{
	const struct visit_reason *said;
	size_t n = visit_reasons(g->visit, &said);

	return n > 0 ? said[n - 1].code : STR_NONE;
}

static enum ruling
reroute(struct guards *all, struct guard *g)
{
	struct request *r = all->r;
	lz_str model = last_code(g), copy;

	if (model.len == 0 || !request_model_is_sane(model))
		return chain_failed(
		    all, g, LZ_REQUEST, "named no model to serve the request with");
	copy = arena_copy(r->arena, model);
	if (copy.ptr == NULL)
		return chain_failed(all, g, LZ_REQUEST, why_of(LZ_E_NOMEM));
	if (r->model_asked.ptr == NULL)
		r->model_asked = r->model;
	r->model = copy;
	all->is_rerouted = true;
	return RULED_PASS;
}

static void
lower_output(struct guards *all, const struct guard *g)
{
	struct request *r = all->r;
	int64_t limit = visit_output_limit(g->visit);

	if (limit > 0 && (r->output_limit < 0 || limit < r->output_limit))
		r->output_limit = limit;
}

static enum verdict_kind
decision_of(int32_t result, bool edits)
{
	switch (result) {
	case LZ_BLOCK:
		return VERDICT_BLOCK;
	case LZ_REROUTE:
		return VERDICT_REROUTE;
	case LZ_AGAIN:
		return VERDICT_AGAIN;
	case LZ_FLAG:
		return edits ? VERDICT_MASK : VERDICT_FLAG;
	default:
		return edits ? VERDICT_MASK : VERDICT_PASS;
	}
}

/* It found nothing and asks for nothing, as most do most of the time. Who is asked next
 * of the document begins when this one ended: nothing else is done in between. */
static enum ruling
passed(struct guards *all, struct guard *g)
{
	struct record_verdict *v = verdict_of(all, g, all->check.phase);

	note_time(all, v);
	if (v->checks == 1 && all->r->asked == NULL)
		metric_add_named(g->row->counted_as, VERDICT_PASS, 1);
	all->now_us = all->came_us;
	if (all->came_us > 0 && all->blank == NULL && visit_is_blank(g->visit)) {
		all->blank = g->visit;
		g->visit = NULL;
	}
	return g->row->is_monitor ? RULED_IGNORE : RULED_PASS;
}

enum ruling
chain_rule(struct guards *all, struct guard *g, int32_t result, bool edits)
{
	uint32_t phase = all->check.phase;

	all->asked = NULL;
	if (result == LZ_OK && !edits && visit_said_nothing(g->visit))
		return passed(all, g);
	if (result < LZ_OK)
		return chain_failed(all, g, phase, why_of(result));
	note(all, g, phase, decision_of(result, edits));
	if (g->row->is_monitor)
		return RULED_IGNORE;
	if (result == LZ_BLOCK)
		return refuse(all, g, phase);
	if (phase == LZ_REQUEST)
		lower_output(all, g);
	if (result == LZ_REROUTE)
		return reroute(all, g);
	return result == LZ_AGAIN ? RULED_AGAIN : RULED_PASS;
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
	for (size_t i = 0; i < all->count; i++)
		end_visit(all, &all->guard[i]);
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
