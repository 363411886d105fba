/* provider.c - providers: build(), which may wait, then reply(), event(), end() and
 * classify(), which may not.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/enter.h"

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
	visit_close(v);
	if (v->is_over)
		return visit_ended_inside(v);
	return visit_judge(v, result, 1u << decision);
}

static bool
answer_begins(struct visit *v, bool is_there)
{
	if (!is_there)
		return false;
	visit_begin(v, LZ_RESPONSE, &v->scratch);
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
