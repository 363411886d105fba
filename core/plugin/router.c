/* router.c - routers: pick() and the order that it said.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/log.h"
#include "plugin/enter.h"

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
