/* ruling.c - what a check of a guardrail came to: its verdict noted and told, and what
 * comes of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/noted.h"

#include "base/tell.h"

enum {
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

/* ---- noted ---- */

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
	v = noted_verdict(all, g, all->check.phase);
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
	    w->arg, noted_verdict(all, g, all->check.phase), STR_NONE, STR_NONE, false);
}

static void
publish(const struct request *r, const struct guardrail *row,
    const struct record_verdict *v, enum verdict_kind d)
{
	if (!noted_count(r, row, d))
		return;
	if (d == VERDICT_BLOCK || d == VERDICT_FLAG || d == VERDICT_ERROR)
		tell(d == VERDICT_FLAG    ? TELL_GUARDRAIL_FLAGGED
		     : d == VERDICT_BLOCK ? TELL_GUARDRAIL_BLOCKED
					  : TELL_GUARDRAIL_FAILED,
		    "request=%s guardrail=%.*s phase=%s mode=%s codes=\"%.*s\"",
		    r->id_hex, STR_ARG(v->guardrail),
		    v->is_answer ? "response" : "request",
		    v->is_monitor ? "monitor" : "enforce", STR_ARG(v->codes));
}

/* A stream is judged many times: the gravest counts. */
static void
note(struct guards *all, struct guard *g, uint32_t phase, enum verdict_kind d)
{
	struct record_verdict *v = noted_verdict(all, g, phase);
	int64_t came_us = all->came_us;

	if (came_us == 0 && all->asked_us > 0)
		came_us = clock_mono_us();
	noted_time(all, v, came_us);
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
		all->watch->said(all->watch->arg, noted_verdict(all, g, phase), STR_NONE,
		    lz_strz(why));
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

/* It keeps nothing: its visit goes to who is asked next. */
static enum ruling
passed(struct guards *all, struct guard *g)
{
	noted_pass(all, g, all->check.phase);
	if (g->visit != NULL && all->blank == NULL && visit_is_blank(g->visit)) {
		all->blank = g->visit;
		g->visit = NULL;
	}
	return g->row->is_monitor ? RULED_IGNORE : RULED_PASS;
}

enum ruling
chain_rule(struct guards *all, struct guard *g, int32_t result, bool edits)
{
	uint32_t phase = all->check.phase;
	bool has_waited = all->asked != NULL;

	all->asked = NULL;
	all->check.now_us = 0;
	if (result == LZ_OK && !edits && !has_waited &&
	    (g->visit == NULL || visit_said_nothing(g->visit)))
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
