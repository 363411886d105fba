/* guardrail.c - texts shown to a guardrail, its edits made, and an answer that grows.
 *
 * A stream is what arrived so far: the end of what the caller has (context), what is
 * held, what is new. What check() leaves before the hold point goes out, edited; the rest
 * is shown again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trial/guardrail.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "plugin/calls.h"

enum {
	DEADLINE_MS = 2000,
	HELD_BYTES = 64 << 10, /* a gateway's on_error decides when more is held */
	OUT_BYTES = 64 << 20
};
static const unsigned request_decisions =
    1U << LZ_BLOCK | 1U << LZ_FLAG | 1U << LZ_PENDING | 1U << LZ_REROUTE;
static const unsigned answer_decisions =
    1U << LZ_BLOCK | 1U << LZ_FLAG | 1U << LZ_PENDING | 1U << LZ_AGAIN;
static const unsigned stream_decisions =
    1U << LZ_BLOCK | 1U << LZ_FLAG | 1U << LZ_PENDING;

bool
trial_at_character(lz_str s, size_t at)
{
	return at >= s.len || ((unsigned char)s.ptr[at] & 0xc0) != 0x80;
}

/* ---- the functions of the table ---- */

static struct trial *
guardrail_call(lz_call *lc, const char *function)
{
	struct trial *c = trial_here(lc, function);

	if (c != NULL && strcmp(c->h->component.kind, LZ_GUARDRAIL) != 0) {
		trial_problem(c->h, "%s() is for guardrails", function);
		return NULL;
	}
	return c;
}

static size_t
host_texts(lz_call *lc)
{
	struct trial *c = guardrail_call(lc, "texts");

	return c == NULL ? 0 : c->text_count;
}

static const lz_text *
host_text(lz_call *lc, size_t i)
{
	struct trial *c = guardrail_call(lc, "text");

	return c == NULL || i >= c->text_count ? NULL : &c->texts[i];
}

/* A stream's were set; those of a whole answer are in it. */
static const lz_json *
host_tool_calls(lz_call *lc)
{
	struct trial *c = guardrail_call(lc, "tool_calls");

	if (c == NULL || c->request.phase != LZ_RESPONSE)
		return NULL;
	if (c->calls == NULL)
		c->calls = c->body != NULL       ? calls_of_answer(c->body)
			   : c->h->calls != NULL ? json_parse(lz_strz(c->h->calls), NULL)
						 : NULL;
	return (const lz_json *)(const void *)c->calls;
}

static size_t
host_origin(lz_call *lc, size_t i, size_t at)
{
	struct trial *c = guardrail_call(lc, "origin");

	if (c == NULL || i >= c->text_count)
		return 0;
	return fold_origin(&c->fold[i], at);
}

static int32_t
host_hold(lz_call *lc, size_t i, size_t from)
{
	struct trial *c = guardrail_call(lc, "hold");

	if (c == NULL || i >= c->text_count || from > c->texts[i].text.len) {
		if (c != NULL)
			trial_problem(
			    c->h, "hold(%zu, %zu): there is no such place", i, from);
		return LZ_E_INVALID;
	}
	if (from < c->texts[i].seen)
		trial_problem(c->h, "hold(%zu, %zu): the first %u bytes are out already",
		    i, from, c->texts[i].seen);
	if (from < c->hold[i])
		c->hold[i] = from;
	return LZ_OK;
}

static const char *
wrong_with_edit(const struct trial *c, const struct edit *e)
{
	const lz_text *t = &c->texts[e->text];

	if (e->to > t->text.len)
		return "lies outside of the text";
	if (e->from > e->to)
		return "ends before it begins";
	if (e->from < t->seen)
		return "lies in what is out already";
	if (!trial_at_character(t->text, e->from) || !trial_at_character(t->text, e->to))
		return "cuts a character";
	if (!str_is_utf8(e->with))
		return "is not UTF-8";
	if (!t->final && c->hold[e->text] != SIZE_MAX && e->from < c->hold[e->text] &&
	    e->to > c->hold[e->text])
		return "lies across the hold point";
	for (size_t i = 0; i < c->h->said.edit_count; i++) {
		const struct edit *o = &c->h->said.edits[i];

		if (o->text == e->text && e->from < o->to && o->from < e->to)
			return "overlaps another";
	}
	return NULL;
}

static int32_t
add_edit(struct trial *c, struct edit e, const char *function)
{
	const char *wrong;

	if (c == NULL)
		return LZ_E_INVALID;
	if (e.text >= c->text_count) {
		trial_problem(c->h, "%s(): there is no text %zu", function, e.text);
		return LZ_E_INVALID;
	}
	/* What was found inside of one character comes from nowhere else. */
	if (e.from == e.to)
		return LZ_E_INVALID;
	wrong = c->edit != NULL ? "comes beside edit()"
		: e.is_reveal && c->request.phase != LZ_RESPONSE
		    ? "is for the caller of an answer"
		    : wrong_with_edit(c, &e);
	if (wrong != NULL) {
		trial_problem(c->h, "%s(%zu, %zu, %zu): the edit %s", function, e.text,
		    e.from, e.to, wrong);
		return LZ_E_INVALID;
	}
	e.with = trial_copy(c->h, e.with);
	LIST_ADD(c->h->said.edits, c->h->said.edit_count, e);
	return LZ_OK;
}

static int32_t
host_replace(lz_call *lc, size_t i, size_t from, size_t to, lz_str with)
{
	return add_edit(guardrail_call(lc, "replace"),
	    (struct edit){ i, from, to, with, false }, "replace");
}

static int32_t
host_reveal(lz_call *lc, size_t i, size_t from, size_t to, lz_str with)
{
	return add_edit(guardrail_call(lc, "reveal"),
	    (struct edit){ i, from, to, with, true }, "reveal");
}

void
trial_fill_guardrail(lz_host *t)
{
	t->texts = host_texts;
	t->text = host_text;
	t->origin = host_origin;
	t->tool_calls = host_tool_calls;
	t->hold = host_hold;
	t->replace = host_replace;
	t->reveal = host_reveal;
}

/* ---- edits ---- */

static int
edit_order(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	if (x->text != y->text)
		return x->text < y->text ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

static void
sort_edits(struct said *s)
{
	if (s->edit_count > 1)
		qsort(s->edits, s->edit_count, sizeof(*s->edits), edit_order);
}

/* The bytes [from, to) of text i with its edits, and reveals if they are wanted. */
static void
add_edited(
    struct trial *c, size_t i, size_t from, size_t to, bool is_revealed, struct buf *out)
{
	const struct said *s = &c->h->said;
	lz_str text = c->texts[i].text;

	for (size_t k = 0; k < s->edit_count; k++) {
		const struct edit *e = &s->edits[k];

		if (e->text != i || e->from < from || e->to > to ||
		    (e->is_reveal && !is_revealed))
			continue;
		buf_add(out, text.ptr + from, e->from - from);
		buf_add_str(out, e->with);
		from = e->to;
	}
	if (to > from)
		buf_add(out, text.ptr + from, to - from);
}

static lz_str
edited(struct trial *c, size_t i, bool is_revealed)
{
	struct buf out;
	lz_str copy;

	buf_init(&out, OUT_BYTES);
	add_edited(c, i, 0, c->texts[i].text.len, is_revealed, &out);
	copy = trial_copy(c->h, out.len == 0 ? STR_LIT("") : buf_str(&out));
	buf_free(&out);
	return copy;
}

static void
take_texts(struct trial *c)
{
	struct said *s = &c->h->said;
	size_t n = 0;

	sort_edits(s);
	for (size_t i = 0; i < c->text_count; i++) {
		LIST_ADD(s->texts, s->result.text_count, edited(c, i, false));
		LIST_ADD(s->revealed, n, edited(c, i, true));
	}
}

/* ---- a check ---- */

static int32_t
run_check(struct trial *c, void *arg)
{
	(void)arg;
	return c->h->table.guardrail.check(c->h->self, (lz_call *)(void *)c);
}

static lz_str
plain_of(struct trial *c, size_t i)
{
	struct fold *f = &c->fold[i];

	fold_init(f, OUT_BYTES);
	if (fold_text(f, c->texts[i].text, c->texts[i].final != 0) != ST_OK)
		abort();
	/* A text that is plain already is its own plain form. */
	return f->plain.ptr == f->text.ptr ? c->texts[i].text
					   : trial_region_show(&c->region, f->plain);
}

/* A call that is shown copies of these texts. */
static struct trial *
begin(struct testhost *h, uint32_t phase, const lz_text *texts, size_t count)
{
	struct trial *c = trial_begin(h, phase, DEADLINE_MS);

	c->texts = trial_region_alloc(&c->region, (count + 1) * sizeof(*texts));
	c->hold = mem_calloc(count + 1, sizeof(*c->hold));
	c->fold = mem_calloc(count + 1, sizeof(*c->fold));
	if (c->texts == NULL || c->hold == NULL || c->fold == NULL)
		abort();
	c->text_count = count;
	for (size_t i = 0; i < count; i++) {
		c->texts[i] = texts[i];
		c->texts[i].role = trial_region_copy(&c->region, texts[i].role);
		c->texts[i].name = trial_region_copy(&c->region, texts[i].name);
		c->texts[i].text = trial_region_show(&c->region, texts[i].text);
		c->texts[i].plain = plain_of(c, i);
		c->hold[i] = SIZE_MAX;
	}
	return c;
}

static bool
is_guardrail(struct testhost *h, uint32_t phase)
{
	if (strcmp(h->component.kind, LZ_GUARDRAIL) != 0)
		trial_problem(h, "a %s is asked for a check", h->component.kind);
	else if ((h->table.guardrail.phases & phase) == 0)
		trial_problem(h, "the guardrail does not look at %s; its phases say so",
		    phase == LZ_REQUEST ? "requests" : "answers");
	else
		return true;
	return false;
}

const struct testhost_result *
testhost_check(struct testhost *h, uint32_t phase)
{
	struct trial *c;
	int32_t verdict;

	trial_forget(h);
	if (!is_guardrail(h, phase))
		return trial_result(h, LZ_E_INVALID);
	c = begin(h, phase, h->texts, h->text_count);
	verdict = trial_run(c, run_check, NULL,
	    phase == LZ_REQUEST ? request_decisions : answer_decisions);
	take_texts(c);
	trial_end(c);
	return trial_result(h, verdict);
}

lz_text *
testhost_add_text(struct testhost *h, const char *role, const char *text)
{
	lz_text t = { .size = sizeof(t), .kind = LZ_PROSE, .final = 1 };

	t.message = (uint32_t)h->text_count;
	t.role = lz_strz(role);
	t.text = lz_strz(text);
	LIST_ADD(h->texts, h->text_count, t);
	return &h->texts[h->text_count - 1];
}

static const struct testhost_result *
check_one(struct testhost *h, uint32_t phase, const char *role, const char *text)
{
	testhost_begin(h);
	(void)testhost_add_text(h, role, text);
	return testhost_check(h, phase);
}

const struct testhost_result *
testhost_prompt(struct testhost *h, const char *text)
{
	return check_one(h, LZ_REQUEST, "user", text);
}

const struct testhost_result *
testhost_answer(struct testhost *h, const char *text)
{
	return check_one(h, LZ_RESPONSE, "assistant", text);
}

/* ---- a growing text ---- */

struct growth {
	struct testhost *h;
	lz_str text;     /* all of it */
	size_t out_to;   /* of text: gone out */
	struct buf out;  /* what the caller has */
	struct buf seen; /* the same with reveals */
	int32_t verdict;
};

/* How much of what is out is shown: what the guardrail wants, in whole characters. */
static size_t
context_of(const struct growth *g)
{
	size_t context = g->h->table.guardrail.context;
	lz_str out = buf_str(&g->out);

	if (context > out.len)
		context = out.len;
	while (context < out.len && !trial_at_character(out, out.len - context))
		context++;
	return context;
}

/* Where what stays back begins, after a check of text 0. */
static size_t
hold_point(struct trial *c)
{
	const struct said *s = &c->h->said;
	const lz_text *t = &c->texts[0];
	size_t hold = c->hold[0], overlap = c->h->table.guardrail.overlap;

	if (t->final)
		return t->text.len;
	if (hold == SIZE_MAX)
		hold = t->text.len > overlap ? t->text.len - overlap : 0;
	if (hold > c->fold[0].decided)
		hold = c->fold[0].decided; /* `plain` does not speak for what is behind */
	if (hold < t->seen)
		hold = t->seen;
	for (size_t i = 0; i < s->edit_count; i++) {
		const struct edit *e = &s->edits[i];

		if (e->from >= hold || e->to <= hold)
			continue;
		if (hold == c->hold[0])
			trial_problem(c->h, "hold(0, %zu): an edit lies across it", hold);
		hold = e->from; /* by default it stays whole, and is asked about again */
	}
	while (hold > t->seen && !trial_at_character(t->text, hold))
		hold--;
	return hold;
}

static void
release(struct growth *g, struct trial *c, size_t arrived)
{
	struct said *s = &g->h->said;
	const lz_text *t = &c->texts[0];
	size_t hold, held;

	sort_edits(s);
	hold = hold_point(c);
	add_edited(c, 0, t->seen, hold, false, &g->out);
	add_edited(c, 0, t->seen, hold, true, &g->seen);
	g->out_to += hold - t->seen;
	held = arrived - g->out_to;
	if (held > s->result.most_held)
		s->result.most_held = held;
	if (held > HELD_BYTES)
		g->verdict = LZ_E_LIMIT;
}

static void
grow(struct growth *g, size_t arrived)
{
	lz_text t = { .size = sizeof(t), .role = STR_LIT("assistant") };
	size_t context = context_of(g);
	struct buf shown;
	struct trial *c;
	int32_t verdict;

	buf_init(&shown, OUT_BYTES);
	buf_add_str(&shown, str_cut(buf_str(&g->out), g->out.len - context, g->out.len));
	buf_add_str(&shown, str_cut(g->text, g->out_to, arrived));
	t.seen = (uint32_t)context;
	t.final = arrived == g->text.len;
	t.text = shown.len == 0 ? STR_LIT("") : buf_str(&shown);
	g->h->said.edit_count = 0;
	c = begin(g->h, LZ_RESPONSE, &t, 1);
	buf_free(&shown);
	verdict = trial_run(c, run_check, NULL, stream_decisions);
	if (verdict == LZ_BLOCK || verdict < 0) {
		g->verdict = verdict;
	} else {
		if (verdict == LZ_FLAG)
			g->verdict = LZ_FLAG;
		release(g, c, arrived);
	}
	trial_end(c);
}

const struct testhost_result *
trial_stream(
    struct testhost *h, lz_str text, size_t (*next)(void *arg, size_t arrived), void *arg)
{
	struct growth g = { .h = h, .text = text };
	struct said *s = &h->said;
	size_t arrived = 0, n = 0;

	trial_forget(h);
	if (!is_guardrail(h, LZ_RESPONSE))
		return trial_result(h, LZ_E_INVALID);
	if (h->table.guardrail.streams == 0) {
		trial_problem(
		    h, "the guardrail does not work on a growing text: streams is 0");
		return trial_result(h, LZ_E_INVALID);
	}
	testhost_begin(h);
	h->request.stream = 1;
	buf_init(&g.out, OUT_BYTES);
	buf_init(&g.seen, OUT_BYTES);
	do {
		arrived = next(arg, arrived);
		while (!trial_at_character(text, arrived))
			arrived++;
		if (arrived > text.len)
			arrived = text.len;
		grow(&g, arrived);
	} while (arrived < text.len && g.verdict != LZ_BLOCK && g.verdict >= 0);
	s->result.released = g.out_to;
	LIST_ADD(s->texts, s->result.text_count,
	    trial_copy(h, g.out.len == 0 ? STR_LIT("") : buf_str(&g.out)));
	LIST_ADD(s->revealed, n,
	    trial_copy(h, g.seen.len == 0 ? STR_LIT("") : buf_str(&g.seen)));
	buf_free(&g.out);
	buf_free(&g.seen);
	return trial_result(h, g.verdict);
}
