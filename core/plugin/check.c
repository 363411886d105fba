/* check.c - guardrails: the texts that they are shown, and what they say of them.
 *
 * A guardrail has one visit per request, so that its slot holds over prompt, answer and
 * every piece of a stream; each check is a call of that visit. Edits are noted in the
 * texts and carried out by guard/, when it is known what the check came to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/calls.h"
#include "plugin/enter.h"

/* ---- entering ---- */

static inline int32_t
enter_at(struct visit *v, int64_t now_us)
{
	int32_t result;

	visit_enter_at(v, now_us);
	result = v->component->table.guardrail.check(v->self, call_of(v));
	visit_leave(v);
	return result;
}

static int32_t
enter_check(struct visit *v)
{
	return enter_at(v, 0);
}

/* Who was not shown everything has not said anything. */
static int32_t
judge_check(struct visit *v, int32_t result)
{
	uint32_t decisions = 1u << LZ_BLOCK | 1u << LZ_FLAG;

	if (v->check->phase == LZ_REQUEST)
		decisions |= 1u << LZ_REROUTE;
	else if (v->document != NULL)
		decisions |= 1u << LZ_AGAIN;
	result = visit_judge(v, result, decisions);
	if (result >= LZ_OK && v->lacks_texts)
		return LZ_E_NOMEM;
	return result;
}

const lz_guardrail *
visit_guardrail_table(const struct part *part)
{
	const struct component *c = part->info->component;

	return &c->table.guardrail;
}

struct visit *
visit_guardrail(struct request *r, const struct part *part)
{
	struct visit *v = visit_new(r, part);

	if (v == NULL)
		return NULL;
	v->first = enter_check;
	v->judge = judge_check;
	return v;
}

static RARE void
forget_last(struct visit *v)
{
	json_decref(v->body);
	json_decref(v->edit);
	json_decref(v->tool_calls);
	v->body = v->edit = v->tool_calls = NULL;
	v->texts = NULL;
	v->lacks_texts = false;
	v->reasons = 0;
	v->output_limit = -1;
	if (v->reason != NULL) {
		memory_reset(&v->said);
		v->reason = NULL;
	}
}

static RARE int32_t
wait(struct visit *v)
{
	v->is_used = true;
	v->done = v->check->done;
	v->done_arg = v->check->arg;
	if (!v->has_result)
		visit_set_deadline(v, v->check->deadline_ms);
	return LZ_PENDING;
}

/* A tree takes its time: the clock is read anew. */
static RARE int32_t
start_with_tree(struct visit *v, uint32_t needs)
{
	v->is_used = true;
	v->entered_us = v->left_us = 0;
	return visit_start(v, v->check->phase, &v->scratch, needs);
}

static inline int32_t
start(struct visit *v)
{
	int32_t result;

	visit_begin(v, v->check->phase, &v->scratch);
	result = enter_at(v, v->check->now_us);
	if (result != LZ_OK || v->is_used)
		return visit_came_back(v, result);
	v->is_closed = true;
	return LZ_OK;
}

int32_t
visit_check(struct visit *v, const struct visit_check *q)
{
	uint32_t needs = v->component->table.guardrail.needs &
			 (uint32_t)(LZ_NEEDS_BODY | LZ_NEEDS_EDIT);
	int32_t result;

	if (v->is_used)
		forget_last(v);
	v->check = q;
	v->document = q->document;
	result = needs == 0 ? start(v) : start_with_tree(v, needs);
	return result == LZ_PENDING ? wait(v) : result;
}

/* ---- what it said ---- */

void
check_reason(struct visit *v, lz_str code, lz_str message)
{
	struct visit_reason *said;

	if (v->reasons == VISIT_REASONS)
		return;
	if (v->reason == NULL)
		v->reason = memory_alloc(&v->said, VISIT_REASONS * sizeof(*v->reason));
	if (v->reason == NULL)
		return;
	said = &v->reason[v->reasons++];
	said->code = offer_keep_text(&v->said, code, PLUGIN_NAME_BYTES);
	said->message = offer_keep_text(&v->said, message, OFFER_REASON_BYTES);
}

size_t
visit_reasons(const struct visit *v, const struct visit_reason **out)
{
	*out = v->reason;
	return v->reasons;
}

bool
visit_is_used(const struct visit *v)
{
	return v->is_used;
}

bool
visit_said_nothing(const struct visit *v)
{
	return !v->is_used || (v->reasons == 0 && v->output_limit < 0 && v->op == NULL);
}

bool
visit_is_blank(const struct visit *v)
{
	return !v->is_used || (!v->is_slot_shown && !v->took_token && v->body == NULL &&
				  v->edit == NULL && memory_is_unused(&v->keep) &&
				  memory_is_unused(&v->scratch) &&
				  memory_is_unused(&v->said) && !v->is_settling);
}

void
visit_hand_on(struct visit *v, const struct part *part)
{
	if (v->is_used)
		forget_last(v);
	v->is_used = false;
	v->component = part->info->component;
	v->self = part->instance;
}

const json_t *
visit_edited(const struct visit *v)
{
	if (v->edit == NULL || (v->body != NULL && json_equal(v->body, v->edit)))
		return NULL;
	return v->edit;
}

int64_t
visit_entered_us(const struct visit *v)
{
	return v->entered_us;
}

int64_t
visit_left_us(const struct visit *v)
{
	return v->left_us;
}

int64_t
visit_output_limit(const struct visit *v)
{
	return v->output_limit;
}

/* ---- what it is shown ---- */

static struct visit *
checking(lz_call *c)
{
	struct visit *v = visit_here(c);

	return v != NULL && v->check != NULL && !v->is_closed && !v->is_over ? v : NULL;
}

static struct texts *
texts_of(lz_call *c)
{
	struct visit *v = checking(c);

	if (v == NULL || v->lacks_texts)
		return NULL;
	if (v->texts == NULL)
		v->texts = v->check->texts(v->check->arg);
	v->lacks_texts = v->texts == NULL;
	return v->texts;
}

static struct text *
text_of(lz_call *c, size_t i)
{
	struct texts *all = texts_of(c);

	return all != NULL && i < all->count ? &all->item[i] : NULL;
}

static size_t
offer_texts(lz_call *c)
{
	struct texts *all = texts_of(c);

	return all != NULL ? all->count : 0;
}

static const lz_text *
offer_text(lz_call *c, size_t i)
{
	struct text *t = text_of(c, i);

	if (t == NULL)
		return NULL;
	if (!text_plain(visit_of(c)->texts, t))
		visit_of(c)->lacks_texts = true;
	return &t->shown;
}

bool
check_has_edits(const struct visit *v)
{
	for (size_t i = 0; v->texts != NULL && i < v->texts->count; i++)
		if (v->texts->item[i].edits.count > 0)
			return true;
	return false;
}

static int32_t
change(lz_call *c, size_t i, size_t from, size_t to, lz_str with, bool is_reveal)
{
	struct text *t = text_of(c, i);
	struct visit *v = visit_of(c);
	int32_t result;

	if (t == NULL || v->edit != NULL || (is_reveal && v->check->phase != LZ_RESPONSE))
		return LZ_E_INVALID;
	result = text_replace(v->texts, t, from, to, with, is_reveal);
	v->lacks_texts |= result == LZ_E_NOMEM; /* what it wanted cannot be done */
	return result;
}

static int32_t
offer_replace(lz_call *c, size_t i, size_t from, size_t to, lz_str with)
{
	return change(c, i, from, to, with, false);
}

static int32_t
offer_reveal(lz_call *c, size_t i, size_t from, size_t to, lz_str with)
{
	return change(c, i, from, to, with, true);
}

static int32_t
offer_hold(lz_call *c, size_t i, size_t from)
{
	struct text *t = text_of(c, i);

	return t != NULL ? text_hold(t, from) : LZ_E_INVALID;
}

static size_t
offer_origin(lz_call *c, size_t i, size_t at)
{
	struct text *t = text_of(c, i);

	return t != NULL ? text_origin(t, at) : at;
}

struct calling {
	json_t *list;
	bool has_failed;
};

static void
add_delta(void *arg, uint32_t choice, lz_str delta)
{
	struct calling *k = arg;
	json_t *message = json_parse(delta, NULL);

	k->has_failed |= message == NULL || !calls_add(k->list, choice, message);
	json_decref(message);
}

/* Of a stream. owned; NULL: none, or no memory */
static json_t *
calls_of_check(const struct visit_check *q)
{
	struct calling k = { .list = json_array() };

	k.has_failed = k.list == NULL || !q->calls(q->arg, add_delta, &k);
	if (!k.has_failed && json_array_size(k.list) > 0)
		return k.list;
	json_decref(k.list);
	return NULL;
}

static const lz_json *
offer_tool_calls(lz_call *c)
{
	struct visit *v = checking(c);

	if (v == NULL || v->check->phase != LZ_RESPONSE)
		return NULL;
	if (v->tool_calls == NULL)
		v->tool_calls = v->check->calls != NULL ? calls_of_check(v->check)
							: calls_of_answer(visit_body(v));
	return (const lz_json *)(const void *)v->tool_calls;
}

void
check_fill(lz_host *h)
{
	h->tool_calls = offer_tool_calls;
	h->texts = offer_texts;
	h->text = offer_text;
	h->replace = offer_replace;
	h->reveal = offer_reveal;
	h->hold = offer_hold;
	h->origin = offer_origin;
}
