/* whole.c - guardrails over what is there as a whole: a request, and an answer that was
 * not streamed.
 *
 * The texts are found when the first guardrail asks for them, and stay: each guardrail
 * sees them as the ones before it left them. The document itself is written anew after
 * each change, so that raw() and body() say the same as the texts; who changes it as a
 * tree has its texts found again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/plain.h"

#include "base/json.h"
#include "base/mem.h"
#include "request/read.h"
#include "request/view.h"

enum {
	ARENA_TIMES = 12, /* of the document: decoded, normalised with its map, edited */
	ARENA_BYTES = 4 << 20,
	SPARE = 4 /* documents that are replaced before it is looked at again */
};

/* ---- the document ---- */

static enum document_kind
kind_of(const struct guards *all, uint32_t phase)
{
	static const enum document_kind kinds[] = {
		[REQUEST_CHAT] = DOCUMENT_CHAT, [REQUEST_EMBEDDINGS] = DOCUMENT_EMBEDDINGS
	};

	return phase == LZ_RESPONSE ? DOCUMENT_ANSWER : kinds[all->r->kind];
}

static bool
make_showing(struct guards *all)
{
	if (all->showing == NULL)
		all->showing = chain_show(ARENA_TIMES * all->bytes->len + ARENA_BYTES);
	return all->showing != NULL;
}

static struct texts *
make_texts(void *arg)
{
	struct guards *all = arg;

	if (all->has_document) {
		texts_begin_check(&all->document.texts);
		return &all->document.texts;
	}
	if (!make_showing(all) ||
	    document_read(&all->document, kind_of(all, all->check.phase),
		buf_str(all->bytes), all->showing->arena) != ST_OK)
		return NULL;
	all->has_document = true;
	return &all->document.texts;
}

/* Makes sure that retire() has room; false: out of memory. */
static bool
may_retire(struct guards *all)
{
	unsigned n = 0;

	for (const struct retired *old = all->spare; old != NULL; old = old->next)
		n++;
	for (; n < SPARE; n++) {
		struct retired *old = mem_zalloc(sizeof(*old));

		if (old == NULL)
			return false;
		old->next = all->spare;
		all->spare = old;
	}
	return true;
}

/* It stays until the request ends, and the buffer is empty. */
static void
retire(struct guards *all, struct buf *b)
{
	struct retired *old = all->spare;

	if (b->ptr == NULL)
		return;
	must(old != NULL);
	all->spare = old->next;
	old->bytes = *b;
	old->next = all->retired;
	all->retired = old;
	*b = (struct buf){ .max_bytes = b->max_bytes };
}

/* What the guardrails to come see of the document. */
static bool
show_changed(struct guards *all, struct buf *new)
{
	if (new->failed || !may_retire(all)) {
		buf_free(new);
		return false;
	}
	if (all->has_shown)
		retire(all, &all->shown);
	all->shown = *new;
	all->has_shown = true;
	all->is_light = false;
	all->bytes = &all->shown;
	return true;
}

static size_t
room_for(const struct guards *all)
{
	return (size_t)all->r->config->limits.body_bytes +
	       (size_t)all->r->config->limits.answer_bytes;
}

/* A tree that the guardrail edited takes the document's place. */
static bool
take_tree(struct guards *all, const json_t *tree)
{
	struct jscan scan;
	struct buf new;

	buf_init(&new, room_for(all));
	if (!json_is_object(tree) || !json_print(tree, &new) ||
	    jscan_object(buf_str(&new), &scan, NULL) != ST_OK) {
		buf_free(&new);
		return false;
	}
	all->has_document = false;
	return show_changed(all, &new);
}

static bool
take_edits(struct guards *all)
{
	struct buf new;

	if (document_apply(&all->document) != ST_OK)
		return false;
	buf_init(&new, room_for(all));
	if (document_write(&all->document, false, &new) != ST_OK) {
		buf_free(&new);
		return false;
	}
	return show_changed(all, &new);
}

static void
tell_edits(struct guards *all, struct guard *g, const json_t *tree)
{
	const struct texts *texts = &all->document.texts;

	for (size_t i = 0; all->has_document && i < texts->count; i++)
		chain_tell_edits(all, g, &texts->item[i], SIZE_MAX);
	if (tree != NULL)
		chain_tell_tree(all, g);
}

static bool
has_edits(const struct guards *all)
{
	for (size_t i = 0; all->has_document && i < all->document.texts.count; i++)
		if (all->document.texts.item[i].edits.count > 0)
			return true;
	return false;
}

/* ---- from one to the next ---- */

static void came_home(void *arg, int32_t result);

/* Numbers in place of texts cannot be read here, and are text to the model; of a text
 * that is there twice nobody knows which one the model reads. */
static bool
is_unreadable(struct guards *all, const struct guard *g)
{
	const struct document *d = &all->document;

	if (!all->has_document || g->row->is_monitor)
		return false;
	if (d->has_numbers)
		request_fail(all->r, FAULT_BAD_REQUEST, "input",
		    "'input' holds token ids, which the guardrail '%.*s' cannot read; "
		    "send texts",
		    STR_ARG(g->row->name));
	else if (d->has_unread)
		request_fail(all->r,
		    all->check.phase == LZ_REQUEST ? FAULT_BAD_REQUEST : FAULT_POLICY,
		    NULL,
		    "there is a file of text that is not UTF-8 in base64, which the "
		    "guardrail "
		    "'%.*s' cannot read; name the type of other files in their data URL",
		    STR_ARG(g->row->name));
	else if (d->has_twice && all->check.phase == LZ_REQUEST)
		request_fail(all->r, FAULT_BAD_REQUEST, "messages",
		    "a message has its 'role', or a part its 'text' or 'type', twice, "
		    "which the "
		    "guardrail '%.*s' cannot read; send one",
		    STR_ARG(g->row->name));
	else if (d->has_twice)
		request_fail(all->r, FAULT_POLICY, NULL,
		    "the answer has a 'role', 'text' or 'type' twice, which the "
		    "guardrail '%.*s' cannot read",
		    STR_ARG(g->row->name));
	return d->has_numbers || d->has_unread || d->has_twice;
}

static enum ruling
rule(struct guards *all, struct guard *g, int32_t result)
{
	const json_t *tree = g->visit != NULL ? visit_edited(g->visit) : NULL;
	bool edits = has_edits(all);
	enum ruling ruling;

	if (is_unreadable(all, g))
		return RULED_REFUSE;
	if (result >= LZ_OK && all->watch != NULL)
		tell_edits(all, g, tree);
	/* What is done to them from here on, a thread of the pool does not see. */
	if (all->has_document && g->visit != NULL && visit_has_work(g->visit) &&
	    !texts_move(&all->document.texts)) {
		request_fail(all->r, FAULT_OVERLOADED, NULL, "out of memory");
		return RULED_REFUSE;
	}
	ruling = chain_rule(all, g, result, edits || tree != NULL);
	if (ruling == RULED_PASS && tree != NULL && !take_tree(all, tree))
		ruling = chain_failed(
		    all, g, all->check.phase, "made something of it that is no document");
	else if (ruling == RULED_PASS && edits && !take_edits(all))
		ruling = chain_failed(
		    all, g, all->check.phase, "changed more than there is room for");
	if (all->has_document)
		texts_begin_check(&all->document.texts);
	/* The others are asked all the same: the answer becomes a part of the request. */
	if (ruling == RULED_AGAIN && all->again == NULL)
		all->again = g;
	return ruling == RULED_AGAIN ? RULED_IGNORE : ruling;
}

/* ---- large texts, which are folded elsewhere first ---- */

static void came_plain(void *arg, bool is_fine);
static void too_late(void *arg);

static bool
set_deadline(struct guards *all)
{
	struct request *r = all->r;
	int64_t left = r->deadline_us - loop_now(r->worker->loop)->mono_us;

	if (r->deadline_us == 0)
		return true;
	return loop_timer_set(r->worker->loop, &all->timer, left > 0 ? left : 0, too_late,
		   all) == ST_OK;
}

static bool
is_heavy(struct guards *all)
{
	if (all->r->worker->pool == NULL || all->is_light)
		return false;
	all->is_light = !(all->has_document ? plain_is_much(&all->document.texts)
					    : plain_is_much_of(buf_str(all->bytes)));
	return !all->is_light;
}

/* false: r->fault is set. */
static bool
send_to_pool(struct guards *all, uint32_t phase)
{
	if (!make_showing(all) || !set_deadline(all)) {
		request_fail(all->r, FAULT_OVERLOADED, NULL, "out of memory");
		return false;
	}
	all->check.phase = phase;
	all->job = all->has_document
		       ? plain_texts(all, &all->document.texts, came_plain, all)
		       : plain_document(all, kind_of(all, phase), buf_str(all->bytes),
			     all->showing->arena, came_plain, all);
	if (all->job == NULL)
		loop_timer_cancel(all->r->worker->loop, &all->timer);
	return all->job != NULL;
}

/* Asks until one waits or refuses, or all have spoken. */
static enum ruling
go(struct guards *all, uint32_t phase, bool *waits)
{
	enum ruling ruling;
	int32_t result;

	*waits = false;
	all->check = (struct visit_check){
		.phase = phase, .texts = make_texts, .done = came_home, .arg = all
	};
	while (chain_next(all, phase) != NULL) {
		if (is_heavy(all)) {
			*waits = send_to_pool(all, phase);
			return *waits ? RULED_PASS : RULED_REFUSE;
		}
		all->check.document = all->bytes;
		result = chain_ask_on(all);
		if (all->done == all->count)
			break;
		if (result == LZ_PENDING) {
			*waits = true;
			return RULED_PASS;
		}
		ruling = rule(all, chain_at(all, all->check.phase, all->done), result);
		all->done++;
		if (ruling == RULED_REFUSE)
			return ruling;
	}
	return all->again != NULL ? RULED_AGAIN : RULED_PASS;
}

static void
begin(struct guards *all, const struct buf *bytes)
{
	chain_unshow(all, all->showing);
	all->showing = NULL;
	all->has_document = false;
	all->has_shown = false;
	all->is_light = false;
	all->bytes = bytes;
	all->done = 0;
	all->again = NULL;
}

/* ---- requests ---- */

/* What a guardrail changed is read again like what a client sent. That it is streamed or
 * not was promised already. */
static enum step
read_again(struct request *r)
{
	lz_str model = r->model;
	bool is_rerouted = guard_has_rerouted(r), was_stream = r->is_stream;
	enum step s;

	r->model = STR_NONE;
	s = request_read_again(r);
	if (s != STEP_NEXT) {
		r->fault = FAULT_POLICY;
		r->fault_param = STR_NONE;
		return s;
	}
	if (request_view_keep_tags(r) != ST_OK)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	if (r->is_stream != was_stream)
		return request_fail(r, FAULT_POLICY, NULL,
		    "a guardrail changed whether the answer is streamed");
	if (is_rerouted) {
		r->model = model;
	} else if (!str_eq(r->model, model)) {
		r->guards->is_rerouted = true;
		if (r->model_asked.ptr == NULL)
			r->model_asked = model;
	}
	return STEP_NEXT;
}

static enum step
request_ruled(struct guards *all, enum ruling ruling)
{
	struct request *r = all->r;

	if (ruling == RULED_REFUSE)
		return STEP_FAULT;
	all->has_judged = true;
	if (!all->has_shown)
		return STEP_NEXT;
	retire(all, &r->body);
	r->body = all->shown;
	all->has_shown = false;
	all->has_document = false;
	all->bytes = &r->body;
	return request_scan_for(r, read_again);
}

enum step
guard_request(struct request *r)
{
	struct guards *all = r->guards;
	enum ruling ruling;
	bool waits;

	if (all == NULL)
		return STEP_NEXT;
	begin(all, &r->body);
	ruling = go(all, LZ_REQUEST, &waits);
	return waits ? STEP_WAIT : request_ruled(all, ruling);
}

/* ---- answers ---- */

/* The client's version, and, where they differ, the one for the trace. */
static enum step
write_answer(struct guards *all)
{
	struct request *r = all->r;
	struct buf client;

	all->has_judged_answer = true;
	if (!all->has_shown)
		return STEP_DONE;
	buf_init(&client, room_for(all));
	if (all->has_document && document_write(&all->document, true, &client) != ST_OK) {
		buf_free(&client);
		all->has_judged_answer = false;
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	}
	retire(all, &r->answer);
	all->has_shown = false;
	if (client.len == 0) {
		r->answer = all->shown;
		return STEP_DONE;
	}
	r->answer = client;
	r->answer_for_trace = all->shown;
	return STEP_DONE;
}

/* Who answered may be asked at once. */
static enum step
read_turns(struct request *r)
{
	enum step s = read_again(r);

	if (s != STEP_NEXT)
		return s;
	request_attempt(r)->again_us = 1;
	return STEP_RETRY;
}

/* The caller's messages, the answer as the guardrails left it, and what is wrong with it:
 * one more attempt. */
static enum step
ask_again(struct guards *all)
{
	struct guard *g = all->again;
	struct request *r = all->r;
	const struct visit_reason *said;
	size_t n = visit_reasons(g->visit, &said);
	lz_str why = n > 0 ? said[n - 1].message : STR_NONE;
	struct buf body;

	buf_init(&body, room_for(all));
	if (why.len == 0 || !may_retire(all) ||
	    !document_add_turns(buf_str(&r->body), buf_str(all->bytes), why, &body)) {
		buf_free(&body);
		all->asked_us = all->came_us = 0; /* the last one's */
		if (chain_failed(all, g, LZ_RESPONSE,
			"wanted another attempt that cannot be made") == RULED_REFUSE)
			return STEP_FAULT;
		return write_answer(all);
	}
	if (all->has_shown)
		retire(all, &all->shown);
	all->has_shown = false;
	retire(all, &r->body);
	r->body = body;
	retire(all, &r->answer);
	r->again_by = g->row->name;
	return request_scan_for(r, read_turns);
}

static enum step
answer_ruled(struct guards *all, enum ruling ruling)
{
	if (ruling == RULED_AGAIN)
		return ask_again(all);
	return ruling != RULED_REFUSE ? write_answer(all) : STEP_FAULT;
}

enum step
guard_answer(struct request *r)
{
	struct guards *all = r->guards;
	enum ruling ruling;
	bool waits;

	if (!guard_holds_answers(r) || r->has_begun || r->kind == REQUEST_EMBEDDINGS ||
	    r->is_stream)
		return STEP_DONE;
	begin(all, &r->answer);
	ruling = go(all, LZ_RESPONSE, &waits);
	return waits ? STEP_WAIT : answer_ruled(all, ruling);
}

/* Its i-th has spoken: on to those behind it, or to what comes of all. */
static void
go_on(struct guards *all, enum ruling ruling, bool has_spoken)
{
	uint32_t phase = all->check.phase;
	bool waits = false;

	if (ruling != RULED_REFUSE) {
		all->done += has_spoken;
		ruling = go(all, phase, &waits);
	}
	if (!waits)
		request_go_on(all->r, phase == LZ_REQUEST ? request_ruled(all, ruling)
							  : answer_ruled(all, ruling));
}

static void
came_home(void *arg, int32_t result)
{
	struct guards *all = arg;

	go_on(all, rule(all, chain_at(all, all->check.phase, all->done), result), true);
}

static void
came_plain(void *arg, bool is_fine)
{
	struct guards *all = arg;
	struct guard *g = chain_at(all, all->check.phase, all->done);

	all->job = NULL;
	loop_timer_cancel(all->r->worker->loop, &all->timer);
	if (is_fine)
		go_on(all, RULED_PASS, false);
	else
		go_on(all,
		    chain_failed(all, g, all->check.phase, "had no memory for the texts"),
		    true);
}

/* Nobody would hear in time what comes of it. */
static void
too_late(void *arg)
{
	struct guards *all = arg;

	plain_drop(all->job);
	all->job = NULL;
	request_fail(all->r, FAULT_OVERLOADED, NULL,
	    "the request's time was over before its texts could be shown to guardrails");
	go_on(all, RULED_REFUSE, false);
}
