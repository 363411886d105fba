/* visit.c - the life of a visit: entering a component, waiting for it, its one end.
 *
 * A visit has calls: pick(), build(), or one reply(), event(), end(), classify() after
 * the other. A call is closed when its function returned or, for LZ_PENDING, when
 * finish() was heard or the visit was ended: what it asked for is cancelled then, and its
 * callbacks hear LZ_E_GONE. Closing runs code of the plugin, which may make the caller
 * end the visit from inside: so is_over is looked at after each, and nothing is freed
 * while a function of the plugin is on the stack.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/visit.h"

#include "base/log.h"
#include "base/mem.h"
#include "plugin/enter.h"

/* Start-up state. */
static void (*request_released)(struct request *r);

void
visit_on_release(void (*released)(struct request *r))
{
	request_released = released;
}

/* ---- entering and leaving ---- */

struct visit *
visit_here(lz_call *c)
{
	struct visit *v = visit_behind(c);

	if (v == NULL || pthread_equal(v->thread, pthread_self()))
		return visit_of(c);
	log_error("plugin.wrong_thread", "plugin=%s component=%s",
	    v->component->plugin->name, v->component->info.name);
	return NULL;
}

static bool
is_quiet(struct visit *v)
{
	return v->op == NULL && !token_is_awaited(v);
}

void
visit_end_what_was_asked_for(struct visit *v)
{
	loop_timer_cancel(v->loop, &v->deadline);
	later_cancel(v);
	token_release(v);
	/* What a pool thread still holds may look at the call's memory. */
	if (is_quiet(v))
		memory_reset(&v->scratch);
}

/* ---- the end ---- */

static void
free_visit(struct visit *v)
{
	struct request *r = v->r;
	bool is_outliving = v->is_outliving;

	json_decref(v->body);
	json_decref(v->edit);
	json_decref(v->tool_calls);
	memory_reset(&v->scratch);
	memory_reset(&v->keep);
	memory_reset(&v->said);
	must(r->holds > 0);
	r->holds--;
	if (is_outliving && r->holds == 0 && r->is_finished && request_released != NULL)
		request_released(r);
}

/* false: something is still held elsewhere; it comes home by visit_settle(). */
static bool
end_visit(struct visit *v)
{
	if (v->is_ending)
		return false;
	v->is_ending = true;
	visit_close(v);
	v->is_ending = false;
	if (!is_quiet(v) || v->is_settling)
		return false;
	free_visit(v);
	return true;
}

void
visit_end_all(struct visit *v)
{
	if (v == NULL)
		return;
	v->is_over = true;
	v->done = NULL;
	v->ops = NULL;
	if (v->depth > 0 || !end_visit(v))
		v->is_outliving = true;
}

void
visit_abandon(struct visit *v)
{
	if (!v->is_pending)
		return;
	v->is_pending = false;
	v->done = NULL;
	visit_close(v);
}

bool
visit_has_work(const struct visit *v)
{
	return v->op != NULL;
}

static void
deliver_done(struct visit *v)
{
	visit_done_fn *done = v->done;
	void *arg = v->done_arg;
	int32_t result;

	v->is_pending = false;
	visit_close(v);
	if (v->is_over) {
		(void)end_visit(v);
		return;
	}
	result = v->judge(v, v->result);
	v->done = NULL;
	if (done != NULL)
		done(arg, result); /* which may end the visit */
}

void
visit_settle(struct visit *v)
{
	if (v->depth > 0 || v->is_settling || v->is_ending)
		return;
	if (v->is_over) {
		(void)end_visit(v);
		return;
	}
	if (!v->is_pending)
		return;
	if (!v->has_result && !is_quiet(v))
		return;
	if (!v->has_result) {
		log_error("plugin.hangs",
		    "plugin=%s component=%s why=\"LZ_PENDING, and nothing under way that "
		    "could finish it\"",
		    v->component->plugin->name, v->component->info.name);
		v->result = LZ_E_FAIL;
	}
	deliver_done(v);
}

void
visit_pause(struct visit *v)
{
	v->is_paused = true;
}

void
visit_go_on(struct visit *v)
{
	v->is_paused = false;
	later_go_on(v);
	visit_settle(v);
}

static void
settle_now(void *arg)
{
	struct visit *v = arg;

	v->is_settling = false;
	visit_settle(v);
}

void
visit_settle_later(struct visit *v)
{
	if (v->is_settling)
		return;
	v->is_settling = true;
	loop_later(v->loop, &v->later_node, settle_now, v);
}

/* ---- starting ---- */

struct visit *
visit_new(struct request *r, const struct part *part)
{
	struct visit *v = arena_room(r->arena, sizeof(*v));

	if (v == NULL)
		return NULL;
	memset(v, 0, offsetof(struct visit, later_node));
	v->r = r;
	v->component = part->info->component;
	v->self = part->instance;
	v->loop = r->worker->loop;
	v->thread = pthread_self();
	v->now = &v->keep;
	v->document = &r->body;
	v->output_limit = -1;
	r->holds++;
	return v;
}

static json_t *
parse_body(const struct visit *v, struct err *why)
{
	if (v->document == NULL)
		return NULL;
	if (v->document->len <= VISIT_TREE_BYTES)
		return json_parse(buf_str(v->document), why);
	(void)err_fail(why, ST_LIMIT, "the body is too large to be read here");
	return NULL;
}

/* jansson's copy of an object leaves out what it has no memory for. */
json_t *
visit_copy(const json_t *j)
{
	json_t *copy;

	(void)json_ran_dry();
	copy = json_deep_copy(j);
	if (!json_ran_dry())
		return copy;
	json_note_dry();
	json_decref(copy);
	return NULL;
}

static bool
make_body(struct visit *v, struct err *why)
{
	if (v->body == NULL)
		v->body = parse_body(v, why);
	return v->body != NULL;
}

static bool
make_edit(struct visit *v, struct err *why)
{
	if (v->edit == NULL)
		v->edit = v->body != NULL ? visit_copy(v->body) : parse_body(v, why);
	return v->edit != NULL;
}

json_t *
visit_body(struct visit *v)
{
	(void)make_body(v, NULL);
	return v->body;
}

json_t *
visit_edit(struct visit *v)
{
	(void)make_edit(v, NULL);
	return v->edit;
}

/* The scanner lets pass what a tree cannot hold: a member that is there twice, further
 * down. */
int32_t
visit_unreadable(struct visit *v, const struct err *why)
{
	lz_fault f = { .size = sizeof(f), .upstream = LZ_UPSTREAM_CALLER, .status = 400 };

	f.message = lz_strz(why->text);
	offer_take_fault(v, &f, &v->fault);
	v->has_fault = true;
	return LZ_E_INVALID;
}

static int32_t
build(struct visit *v, bool body, bool edit)
{
	struct err why = { "out of memory" };

	(void)json_ran_dry();
	if ((body && !make_body(v, &why)) || (edit && !make_edit(v, &why)))
		return json_ran_dry() ? LZ_E_NOMEM : visit_unreadable(v, &why);
	return LZ_OK;
}

/* What `needs` says is built before the component is called: here when it is small, in
 * the pool when not. */
static int32_t
prepare(struct visit *v, uint32_t needs)
{
	bool wants_body = (needs & LZ_NEEDS_BODY) != 0 && v->body == NULL;
	bool wants_edit = (needs & LZ_NEEDS_EDIT) != 0 && v->edit == NULL;

	if ((!wants_body && !wants_edit) || v->document == NULL)
		return LZ_OK;
	if (v->document->len > VISIT_TREE_BYTES)
		return later_parse(v, wants_body, wants_edit);
	return build(v, wants_body, wants_edit);
}

int32_t
visit_ended_inside(struct visit *v)
{
	visit_settle_later(v);
	return LZ_E_GONE;
}

int32_t
visit_came_back(struct visit *v, int32_t result)
{
	if (result == LZ_OK && json_ran_dry()) /* an edit may lack something */
		result = LZ_E_NOMEM;
	if (v->is_over)
		return visit_ended_inside(v);
	if (result == LZ_PENDING) {
		v->is_pending = true;
		/* finish() was called already, or nothing is under way: done may not run
		 * from in here. */
		if (v->has_result || is_quiet(v))
			visit_settle_later(v);
		return LZ_PENDING;
	}
	visit_close(v);
	return v->is_over ? visit_ended_inside(v) : v->judge(v, result);
}

int32_t
visit_start(struct visit *v, uint32_t phase, struct memory *memory, uint32_t needs)
{
	int32_t result;

	visit_begin(v, phase, memory);
	result = prepare(v, needs);
	return visit_came_back(v, result == LZ_OK ? v->first(v) : result);
}

int32_t
visit_judge(const struct visit *v, int32_t result, uint32_t decisions)
{
	if (result <= LZ_OK || (result < 32 && (decisions & 1u << result) != 0))
		return result;
	log_error("plugin.bad_result", "plugin=%s component=%s result=%d",
	    v->component->plugin->name, v->component->info.name, (int)result);
	return LZ_E_FAIL;
}

static void
too_late(void *arg)
{
	struct visit *v = arg;

	v->result = LZ_E_TIMEOUT;
	v->has_result = true;
	visit_settle(v);
}

void
visit_set_deadline(struct visit *v, unsigned ms)
{
	int64_t us = INT64_C(1000) * ms;
	int64_t left = v->r->deadline_us - loop_now(v->loop)->mono_us;

	/* A stream that has begun has left the request's deadline behind. */
	if (v->r->deadline_us > 0 && !v->r->has_begun && left < us)
		us = left > 0 ? left : 0;
	if (loop_timer_set(v->loop, &v->deadline, us, too_late, v) == ST_OK)
		return;
	v->result = LZ_E_NOMEM;
	v->has_result = true;
	visit_settle_later(v);
}
