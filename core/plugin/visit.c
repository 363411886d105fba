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

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "plugin/host.h"

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
	struct visit *v = visit_of(c);

	if (v == NULL || pthread_equal(v->thread, pthread_self()))
		return v;
	log_error("plugin.wrong_thread", "plugin=%s component=%s",
	    v->component->plugin->name, v->component->info.name);
	return NULL;
}

void
visit_enter_at(struct visit *v, int64_t now_us)
{
	if (v->depth++ > 0)
		return;
	v->before = host_enter(v->component->plugin);
	v->entered_us = now_us != 0 ? now_us : clock_mono_us();
	(void)json_ran_dry(); /* from here on it is about what the plugin builds */
	value_forget();
}

void
visit_enter(struct visit *v)
{
	visit_enter_at(v, 0);
}

void
visit_leave(struct visit *v)
{
	int64_t us;

	if (--v->depth > 0)
		return;
	v->left_us = clock_mono_us();
	us = v->left_us - v->entered_us;
	host_leave(v->before);
	if (us > PLUGIN_STALL_US)
		meter_stall(v->component->plugin, v->component->info.name, us);
}

static lz_call *
call_of(struct visit *v)
{
	return (lz_call *)(void *)v;
}

static bool
is_quiet(struct visit *v)
{
	return v->op == NULL && !token_is_awaited(v);
}

/* Most calls ask for nothing that would have to end with them. */
static bool
asked_for_nothing(const struct visit *v)
{
	return v->op == NULL && !v->took_token && v->deadline.place == 0 &&
	       memory_is_unused(&v->scratch);
}

/* A new call begins. memory: what lives as long as the visit (build), or this call only.
 */
static void
begin(struct visit *v, uint32_t phase, struct memory *memory)
{
	v->calls++;
	v->is_closed = false;
	v->has_result = false;
	v->has_fault = false;
	v->now = memory;
	v->phase = phase;
	v->is_shown = false;
}

static void
end_what_was_asked_for(struct visit *v)
{
	loop_timer_cancel(v->loop, &v->deadline);
	later_cancel(v);
	token_release(v);
	/* What a pool thread still holds may look at the call's memory. */
	if (is_quiet(v))
		memory_reset(&v->scratch);
}

static inline void
close_call(struct visit *v)
{
	v->is_closed = true;
	if (!asked_for_nothing(v))
		end_what_was_asked_for(v);
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
	close_call(v);
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
	close_call(v);
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
	close_call(v);
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
	v->now_us = 0; /* a tree takes its time */
	if (v->document->len > VISIT_TREE_BYTES)
		return later_parse(v, wants_body, wants_edit);
	return build(v, wants_body, wants_edit);
}

/* The caller ended the visit from inside its own call: it is still on the stack, and so
 * may the request be. */
static int32_t
ended_inside(struct visit *v)
{
	visit_settle_later(v);
	return LZ_E_GONE;
}

int32_t
visit_start(struct visit *v, uint32_t phase, struct memory *memory, uint32_t needs)
{
	int32_t result;

	begin(v, phase, memory);
	result = prepare(v, needs);
	if (result == LZ_OK)
		result = v->first(v);
	if (result == LZ_OK && json_ran_dry()) /* an edit may lack something */
		result = LZ_E_NOMEM;
	if (v->is_over)
		return ended_inside(v);
	if (result == LZ_PENDING) {
		v->is_pending = true;
		/* finish() was called already, or nothing is under way: done may not run
		 * from in here. */
		if (v->has_result || is_quiet(v))
			visit_settle_later(v);
		return LZ_PENDING;
	}
	close_call(v);
	return v->is_over ? ended_inside(v) : v->judge(v, result);
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

/* ---- routers ---- */

static int32_t
enter_pick(struct visit *v)
{
	int32_t result;

	visit_enter(v);
	result = v->component->table.router.pick(v->self, call_of(v));
	visit_leave(v);
	return result;
}

static void
take_order(struct visit *v)
{
	struct request *r = v->r;

	for (size_t i = 0; i < v->preference_count; i++) {
		const struct preference *p = &v->preference[i];
		struct candidate *c = v->candidate[p->target];

		c->rank = (unsigned)i + 1;
		c->score = p->score;
		c->why = p->why.len > 0 ? arena_copy(r->arena, p->why) : STR_NONE;
	}
	if (v->output_limit > 0 &&
	    (r->output_limit < 0 || v->output_limit < r->output_limit))
		r->output_limit = v->output_limit;
}

/* A router that fails takes nothing with it: the candidates stay as they were listed. */
static int32_t
judge_pick(struct visit *v, int32_t result)
{
	result = visit_judge(v, result, 1u << LZ_BLOCK);
	if (result == LZ_OK)
		take_order(v);
	else if (result < LZ_OK)
		log_warn("router.failed", "router=%s plugin=%s error=%d request=%s",
		    v->component->info.name, v->component->plugin->name, (int)result,
		    v->r->id_hex);
	return result;
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

int32_t
visit_route(struct request *r, visit_done_fn *done, void *arg, struct visit **out)
{
	struct visit *v = visit_new(r, r->router);
	int32_t result;

	*out = v;
	if (v == NULL)
		return LZ_E_NOMEM;
	v->first = enter_pick;
	v->judge = judge_pick;
	v->done = done;
	v->done_arg = arg;
	result = visit_start(v, LZ_REQUEST, &v->keep, v->component->table.router.needs);
	if (result == LZ_PENDING && !v->has_result)
		visit_set_deadline(v, VISIT_ROUTE_MS);
	return result;
}

void
visit_reason(const struct visit *v, lz_str *code, lz_str *message)
{
	*code = v->reason_code;
	*message = v->reason_message;
}

/* ---- providers ---- */

static int32_t
enter_build(struct visit *v)
{
	int32_t result;

	visit_enter(v);
	result = v->component->table.provider.build(v->self, call_of(v), v->http);
	visit_leave(v);
	return result;
}

static int32_t
judge_build(struct visit *v, int32_t result)
{
	return visit_judge(v, result, 1u << LZ_ANSWERED);
}

struct visit *
visit_provider(
    struct request *r, struct attempt *a, const struct visit_provider_ops *ops, void *arg)
{
	struct visit *v = visit_new(r, a->target->provider->part);

	if (v == NULL)
		return NULL;
	v->attempt = a;
	v->ops = ops;
	v->ops_arg = arg;
	v->first = enter_build;
	v->judge = judge_build;
	return v;
}

const lz_provider *
visit_provider_table(const struct visit *v)
{
	return &v->component->table.provider;
}

int32_t
visit_build(struct visit *v, lz_http *out, visit_done_fn *done, void *arg)
{
	const lz_provider *p = &v->component->table.provider;

	if (p->build == NULL)
		return LZ_OK;
	v->http = out;
	v->done = done;
	v->done_arg = arg;
	return visit_start(v, LZ_REQUEST, &v->keep, p->needs);
}

lz_str
visit_limit_name(const struct visit *v)
{
	return v->limit_name;
}

size_t
visit_left_out(const struct visit *v, const lz_str **names)
{
	*names = v->left_out;
	return v->left_out_count;
}

/* After reply(), event(), end(), classify(): there is no "later" for these. */
static int32_t
finished(struct visit *v, int32_t result, int32_t decision)
{
	visit_leave(v);
	close_call(v);
	if (v->is_over)
		return ended_inside(v);
	return visit_judge(v, result, 1u << decision);
}

static bool
answer_begins(struct visit *v, bool is_there)
{
	if (!is_there)
		return false;
	begin(v, LZ_RESPONSE, &v->scratch);
	visit_enter(v);
	return true;
}

int32_t
visit_reply(struct visit *v, const lz_reply *r)
{
	const lz_provider *p = &v->component->table.provider;

	if (!answer_begins(v, p->reply != NULL))
		return LZ_OK;
	return finished(v, p->reply(v->self, call_of(v), r), LZ_AS_IT_CAME);
}

int32_t
visit_event(struct visit *v, lz_str name, lz_str data)
{
	const lz_provider *p = &v->component->table.provider;

	if (!answer_begins(v, p->event != NULL))
		return LZ_OK;
	return finished(v, p->event(v->self, call_of(v), name, data), LZ_OK);
}

int32_t
visit_end(struct visit *v, int32_t clean)
{
	const lz_provider *p = &v->component->table.provider;

	if (!answer_begins(v, p->end != NULL))
		return LZ_OK;
	return finished(v, p->end(v->self, call_of(v), clean), LZ_OK);
}

int32_t
visit_classify(struct visit *v, const lz_reply *r, lz_fault *io)
{
	const lz_provider *p = &v->component->table.provider;
	lz_fault said = *io;
	int32_t result;

	if (!answer_begins(v, p->classify != NULL))
		return LZ_OK;
	result = p->classify(v->self, call_of(v), r, &said);
	if (result == LZ_OK) {
		/* Blame that does not exist leaves the host's own; texts live in the
		 * call's memory, which ends here. */
		if (said.upstream <= LZ_UPSTREAM_OK || said.upstream > LZ_UPSTREAM_UNABLE)
			said.upstream = io->upstream;
		offer_take_fault(v, &said, io);
	}
	return finished(v, result, LZ_OK);
}

const lz_fault *
visit_fault(const struct visit *v)
{
	return v->has_fault ? &v->fault : NULL;
}
