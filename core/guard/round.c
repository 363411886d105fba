/* round.c - one round over an answer that grows: what came since the last is shown to
 * each guardrail in turn, and what it lets through is the next one's.
 *
 * A watcher's input goes on before it is asked; its window only remembers. Who holds more
 * than it may has failed, and `on_error` decides.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/growing.h"

enum {
	HELD_BYTES = 64 << 10 /* what one guardrail may keep back of one channel */
};
static const char too_much[] = "held back too much";

/* ---- a check ---- */

static struct texts *
show_texts(void *arg)
{
	struct guard_stream *s = arg;

	return &s->texts;
}

static bool
is_held_whole(const struct guard *g)
{
	return g->row->stream != GUARDRAIL_PIECES;
}

static bool
show_window(struct guard_stream *s, const struct channel *c, struct window *w)
{
	struct text *t = texts_add(&s->texts);

	if (t == NULL)
		return false;
	t->shown.kind = c->kind;
	t->shown.choice = c->choice;
	t->shown.role = STR_LIT("assistant");
	t->shown.seen = (uint32_t)w->seen;
	t->shown.final = w->is_final;
	t->shown.text =
	    w->text.len > 0 ? arena_copy(s->texts.arena, buf_str(&w->text)) : STR_LIT("");
	t->marks = w->marks;
	return t->shown.text.ptr != NULL;
}

static bool
show_piece(struct guard_stream *s, struct piece *p)
{
	p->first = s->texts.count;
	p->is_shown = true;
	for (size_t i = 0; i < p->document.texts.count; i++) {
		struct text *t = texts_add(&s->texts);

		if (t == NULL)
			return false;
		*t = p->document.texts.item[i];
		t->edits = (struct text_edits){ NULL, 0, 0 };
	}
	return true;
}

static bool
is_due(const struct window *w)
{
	return !w->is_over && (w->has_new || w->is_final);
}

/* Puts together what the stage's guardrail has not seen. */
static bool
show_stage(struct guard_stream *s)
{
	bool is_fine = true;

	s->texts = (struct texts){ .arena = s->round->arena };
	for (size_t i = 0; i < s->channel_count; i++) {
		struct channel *c = &s->channel[i];
		struct window *w = &c->window[s->at];

		w->shown = NULL;
		if (!is_due(w))
			continue;
		is_fine &= show_window(s, c, w);
	}
	for (struct piece *p = s->piece; p != NULL; p = p->next) {
		p->is_shown = false;
		if (p->stage == s->at)
			is_fine &= show_piece(s, p);
	}
	if (!is_fine)
		return false;
	/* The list has stopped moving. */
	for (size_t i = 0, at = 0; i < s->channel_count; i++)
		if (is_due(&s->channel[i].window[s->at]))
			s->channel[i].window[s->at].shown = &s->texts.item[at++];
	return true;
}

static bool
has_edits(const struct guard_stream *s)
{
	for (size_t i = 0; i < s->texts.count; i++)
		if (s->texts.item[i].edits.count > 0)
			return true;
	return false;
}

/* ---- carried out ---- */

/* A watcher's input has gone on already; its window only remembers. */
static bool
settle_window(struct guard_stream *s, struct channel *c, struct window *w)
{
	const struct guard *g = s->stage[s->at];
	const lz_guardrail *table = visit_guardrail_table(g->row->part);
	struct text_edits marks = { NULL, 0, 0 };
	bool watches = growing_only_watches(g);
	size_t end = window_release(w, w->shown, table->overlap);
	lz_str out;

	out = text_apply(&s->texts, w->shown, w->seen, end, &marks);
	if (out.ptr == NULL ||
	    (!watches && !growing_pass_on(s, &c->window[s->at + 1], out, &marks)))
		return false;
	if (w->shown->shown.final) {
		w->is_over = true;
		c->window[s->at + 1].is_final = true;
	}
	return window_move(w, end, out, table->context);
}

/* What the guardrail keeps back is more than it may: it has had its say. */
static bool
holds_too_much(const struct window *w, const struct text *t, uint32_t overlap)
{
	return w->text.len - window_release(w, t, overlap) > HELD_BYTES;
}

static void
hold_nothing(struct guard_stream *s)
{
	for (size_t i = 0; i < s->texts.count; i++) {
		s->texts.item[i].hold_from = s->texts.item[i].shown.text.len;
		s->texts.item[i].decided = s->texts.item[i].shown.text.len;
	}
}

static void
drop_edits(struct guard_stream *s)
{
	for (size_t i = 0; i < s->texts.count; i++)
		s->texts.item[i].edits.count = 0;
}

static bool
settle_pieces(struct guard_stream *s)
{
	for (struct piece *p = s->piece; p != NULL; p = p->next) {
		if (!p->is_shown)
			continue;
		for (size_t i = 0; i < p->document.texts.count; i++)
			p->document.texts.item[i].edits =
			    s->texts.item[p->first + i].edits;
		if (document_apply(&p->document) != ST_OK)
			return false;
		p->stage++;
		p->is_shown = false;
	}
	return true;
}

static bool
settle_stage(struct guard_stream *s)
{
	bool is_fine = true;

	for (size_t i = 0; i < s->channel_count; i++) {
		struct channel *c = &s->channel[i];

		if (c->window[s->at].shown != NULL)
			is_fine &= settle_window(s, c, &c->window[s->at]);
		c->window[s->at].shown = NULL;
	}
	return settle_pieces(s) && is_fine;
}

static bool
stage_holds_too_much(const struct guard_stream *s)
{
	const struct guard *g = s->stage[s->at];
	const lz_guardrail *table = visit_guardrail_table(g->row->part);

	for (size_t i = 0; i < s->channel_count; i++) {
		const struct window *w = &s->channel[i].window[s->at];

		if (w->shown != NULL && holds_too_much(w, w->shown, table->overlap))
			return true;
	}
	return false;
}

/* How far the window goes on when the guardrail has had its say. */
static size_t
settles_at(const struct window *w, const struct guard *g)
{
	const lz_guardrail *table = visit_guardrail_table(g->row->part);
	struct text t = *w->shown;

	if (t.shown.final)
		return SIZE_MAX;
	if (growing_only_watches(g))
		t.edits.count = 0;
	return window_release(w, &t, table->overlap);
}

/* Those that lie in what goes on now; the others are asked for again. */
static void
tell_edits(const struct guard_stream *s, struct guard *g)
{
	for (size_t i = 0; i < s->channel_count; i++) {
		const struct window *w = &s->channel[i].window[s->at];

		if (w->shown != NULL)
			chain_tell_edits(s->all, g, w->shown, settles_at(w, g));
	}
	for (const struct piece *p = s->piece; p != NULL; p = p->next)
		for (size_t i = 0; p->is_shown && i < p->document.texts.count; i++)
			chain_tell_edits(
			    s->all, g, &s->texts.item[p->first + i], SIZE_MAX);
}

static void came_home(void *arg, int32_t result);

/* What a watcher would refuse has gone out. */
static bool
refuses(struct guard_stream *s, const struct guard *g, enum ruling ruling)
{
	if (ruling != RULED_REFUSE || !growing_only_watches(g))
		return ruling == RULED_REFUSE;
	s->all->r->fault = FAULT_NONE;
	s->all->r->refused_by = STR_NONE;
	return false;
}

/* false: r->fault is set. */
static bool
rule(struct guard_stream *s, int32_t result)
{
	struct guard *g = s->stage[s->at];
	enum ruling ruling;

	if (result >= LZ_OK && s->all->watch != NULL)
		tell_edits(s, g);
	ruling = chain_rule(s->all, g, result, has_edits(s));
	if (ruling == RULED_IGNORE && !growing_only_watches(g)) {
		hold_nothing(s);
	} else if (ruling != RULED_REFUSE && stage_holds_too_much(s)) {
		ruling = chain_failed(s->all, g, LZ_RESPONSE, too_much);
		if (ruling != RULED_REFUSE)
			hold_nothing(s);
	}
	if (ruling == RULED_IGNORE || growing_only_watches(g))
		drop_edits(s);
	if (refuses(s, g, ruling))
		return false;
	if (settle_stage(s))
		return true;
	request_fail(s->all->r, FAULT_OVERLOADED, NULL, "out of memory");
	return false;
}

/* ---- watchers ---- */

/* What came goes on at once, and stays in the watcher's window too. */
static bool
let_through(struct guard_stream *s)
{
	for (size_t i = 0; i < s->channel_count; i++) {
		struct channel *c = &s->channel[i];
		struct window *w = &c->window[s->at];
		struct text_edits marks = { NULL, 0, 0 };
		size_t from = w->passed > w->seen ? w->passed : w->seen;
		lz_str new = str_cut(buf_str(&w->text), from, w->text.len);

		for (size_t k = 0; k < w->marks.count; k++) {
			struct text_edit m = w->marks.item[k];

			if (m.from < from)
				continue;
			m.from -= from;
			m.to -= from;
			if (!text_edits_add(s->round->arena, &marks, m))
				return false;
		}
		if (new.len > 0 &&
		    !growing_pass_on(s, &c->window[s->at + 1], new, &marks))
			return false;
		w->passed = w->text.len;
		if (w->is_final)
			c->window[s->at + 1].is_final = true;
	}
	return true;
}

/* ---- who has failed on too much ---- */

/* All that it has not let through goes on, and it is not asked again. */
static bool
pass_by(struct guard_stream *s)
{
	if (!let_through(s))
		return false;
	for (size_t i = 0; i < s->channel_count; i++) {
		struct window *w = &s->channel[i].window[s->at];

		buf_reset(&w->text);
		w->marks.count = 0;
		w->seen = w->passed = 0;
		w->has_new = false;
		w->is_over = w->is_final;
	}
	for (struct piece *p = s->piece; p != NULL; p = p->next)
		if (p->stage == s->at)
			p->stage++;
	return true;
}

/* Until the end nobody may wait for more than an answer may have. */
static bool
waits_for_too_much(const struct guard_stream *s)
{
	for (size_t i = 0; i < s->channel_count; i++)
		if (s->channel[i].window[s->at].text.len > s->max_bytes)
			return true;
	return false;
}

/* false: r->fault is set. */
static bool
leave_out(struct guard_stream *s)
{
	struct guard *g = s->stage[s->at];

	if (refuses(s, g, chain_failed(s->all, g, LZ_RESPONSE, too_much)))
		return false;
	s->is_out[s->at] = true;
	return true;
}

/* ---- rounds ---- */

static enum guard_run
out_of_memory(struct guard_stream *s)
{
	request_fail(s->all->r, FAULT_OVERLOADED, NULL, "out of memory");
	return GUARD_REFUSED;
}

static enum guard_run
ask(struct guard_stream *s)
{
	struct guards *all = s->all;
	int32_t result;

	all->check = (struct visit_check){ .phase = LZ_RESPONSE,
		.texts = show_texts,
		.calls = all->stream_calls,
		.done = came_home,
		.arg = s };
	result = chain_ask(all, s->stage[s->at]);
	if (result == LZ_PENDING)
		return GUARD_WAITS;
	return rule(s, result) ? GUARD_RAN : GUARD_REFUSED;
}

/* The stage that was waited for has had its say. */
static void
stage_came(struct guard_stream *s, enum guard_run came)
{
	s->came = came;
	s->at++;
	s->has_come = true;
	s->ops->go_on(s->arg);
}

static void
came_home(void *arg, int32_t result)
{
	struct guard_stream *s = arg;

	stage_came(s, rule(s, result) ? GUARD_RAN : GUARD_REFUSED);
}

/* Who is not shown everything has failed. */
static void
came_plain(void *arg, bool is_fine)
{
	struct guard_stream *s = arg;
	enum guard_run came;

	s->job = NULL;
	s->all->check.phase = LZ_RESPONSE;
	if (is_fine)
		came = ask(s);
	else
		came = rule(s, LZ_E_NOMEM) ? GUARD_RAN : GUARD_REFUSED;
	if (came != GUARD_WAITS)
		stage_came(s, came);
}

/* Much that is new, or held, is folded in the pool. */
static enum guard_run
show_and_ask(struct guard_stream *s)
{
	if (s->all->r->worker->pool == NULL || !plain_is_much(&s->texts))
		return ask(s);
	s->job = plain_texts(s->all, &s->texts, came_plain, s);
	return s->job != NULL ? GUARD_WAITS : GUARD_REFUSED;
}

/* One that is called without a name and without arguments has no text. */
static bool
shows_calls(const struct guard_stream *s)
{
	for (const struct piece *p = s->piece; p != NULL; p = p->next)
		if (p->is_shown && p->is_call)
			return true;
	return false;
}

static enum guard_run
go(struct guard_stream *s)
{
	enum guard_run ran;

	for (; s->at < s->stages; s->at++) {
		struct guard *g = s->stage[s->at];

		if (growing_only_watches(g) && !let_through(s))
			return out_of_memory(s);
		if (!s->is_out[s->at] && is_held_whole(g) && waits_for_too_much(s) &&
		    !leave_out(s))
			return GUARD_REFUSED;
		if (s->is_out[s->at] && !pass_by(s))
			return out_of_memory(s);
		if (s->is_out[s->at] || (is_held_whole(g) && !s->is_end))
			continue;
		if (!show_stage(s))
			return out_of_memory(s);
		if (s->texts.count == 0 && !shows_calls(s) && settle_pieces(s))
			continue;
		ran = show_and_ask(s);
		if (ran != GUARD_RAN)
			return ran;
	}
	return growing_deliver(s) ? GUARD_RAN : out_of_memory(s);
}

enum guard_run
guard_stream_run(struct guard_stream *s, bool is_end)
{
	enum guard_run ran;

	if (s->is_under_way && !s->has_come)
		return GUARD_WAITS;
	if (!s->is_under_way) {
		s->at = 0;
		s->is_end = is_end;
		if (!growing_begin_round(s, is_end))
			return out_of_memory(s);
	}
	ran = s->has_come && s->came == GUARD_REFUSED ? GUARD_REFUSED : go(s);
	s->is_under_way = ran == GUARD_WAITS;
	s->has_come = false;
	return ran;
}
