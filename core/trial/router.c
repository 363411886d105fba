/* router.c - targets shown to a router, and the order that it gives them; batches of
 * events for a sink.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trial/inside.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
	PICK_MS = 200,
	DELIVER_MS = 10000
};

static size_t
host_targets(lz_call *lc)
{
	struct trial *c = trial_here(lc, "targets");

	return c == NULL ? 0 : c->h->target_count;
}

static const lz_target *
host_target(lz_call *lc, size_t i)
{
	struct trial *c = trial_here(lc, "target");

	return c == NULL || i >= c->h->target_count ? NULL : &c->targets[i];
}

static int32_t
host_prefer(lz_call *lc, size_t i, double score, lz_str why)
{
	struct trial *c = trial_here(lc, "prefer");
	struct testhost_preference p = { i, score, why };
	struct said *s;

	if (c == NULL)
		return LZ_E_INVALID;
	s = &c->h->said;
	if (i >= c->h->target_count) {
		trial_problem(c->h, "prefer(%zu): there is no such target", i);
		return LZ_E_INVALID;
	}
	for (size_t k = 0; k < s->result.preference_count; k++) {
		if (s->preferences[k].target == i) {
			trial_problem(c->h, "prefer(%zu) twice", i);
			return LZ_E_INVALID;
		}
	}
	p.why = trial_copy(c->h, why);
	LIST_ADD(s->preferences, s->result.preference_count, p);
	return LZ_OK;
}

void
trial_fill_router(lz_host *t)
{
	t->targets = host_targets;
	t->target = host_target;
	t->prefer = host_prefer;
}

lz_target *
testhost_add_target(struct testhost *h, const char *provider, const char *model)
{
	lz_target *t = mem_zalloc(sizeof(*t));

	if (t == NULL)
		abort();
	*t = (lz_target){ .size = sizeof(*t),
		.healthy = 1,
		.provider = lz_strz(provider),
		.model = lz_strz(model),
		.upstream_model = lz_strz(model),
		.context_tokens = 128000,
		.max_output_tokens = 16384,
		.cost_estimate = -1,
		.weight = 1,
		.quality = -1,
		.ttft_ms = -1,
		.ms_per_token = -1,
		.latency_ms = -1,
		.error_rate = -1,
		.load = -1,
		.silent_ms = -1 };
	LIST_ADD(h->targets, h->target_count, t);
	return t;
}

static void
show_targets(struct trial *c)
{
	struct testhost *h = c->h;

	c->targets =
	    trial_region_alloc(&c->region, (h->target_count + 1) * sizeof(*c->targets));
	if (c->targets == NULL)
		abort();
	for (size_t i = 0; i < h->target_count; i++) {
		lz_target *t = &c->targets[i];

		*t = *h->targets[i];
		t->provider = trial_region_copy(&c->region, t->provider);
		t->model = trial_region_copy(&c->region, t->model);
		t->upstream_model = trial_region_copy(&c->region, t->upstream_model);
		t->region = trial_region_copy(&c->region, t->region);
	}
}

static int32_t
run_pick(struct trial *c, void *arg)
{
	(void)arg;
	return c->h->table.router.pick(c->h->self, (lz_call *)(void *)c);
}

const struct testhost_result *
testhost_pick(struct testhost *h)
{
	struct trial *c;
	int32_t verdict;

	trial_forget(h);
	if (strcmp(h->component.kind, LZ_ROUTER) != 0) {
		trial_problem(h, "a %s is asked to pick", h->component.kind);
		return trial_result(h, LZ_E_INVALID);
	}
	c = trial_begin(h, LZ_REQUEST, PICK_MS);
	show_targets(c);
	verdict = trial_run(c, run_pick, NULL, 1U << LZ_BLOCK | 1U << LZ_PENDING);
	trial_end(c);
	return trial_result(h, verdict);
}

static int32_t
run_deliver(struct trial *c, void *arg)
{
	(void)arg;
	return c->h->table.sink.deliver(c->h->self, (lz_call *)(void *)c);
}

const struct testhost_result *
testhost_deliver(struct testhost *h)
{
	struct trial *c;
	int32_t verdict;

	trial_forget(h);
	if (strcmp(h->component.kind, LZ_SINK) != 0) {
		trial_problem(h, "a %s is asked to deliver", h->component.kind);
		return trial_result(h, LZ_E_INVALID);
	}
	c = trial_begin(h, 0, DELIVER_MS);
	verdict = trial_run(c, run_deliver, NULL, 1U << LZ_PENDING);
	trial_end(c);
	return trial_result(h, verdict);
}
