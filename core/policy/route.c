/* route.c - the profile, and the router's order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/visit.h"
#include "policy/bounds.h"
#include "policy/policy.h"
#include "request/credential.h"
#include "request/live.h"
#include "request/sticky.h"

static enum step
set_strategy(struct request *r, lz_str name, const char *param)
{
	r->router = config_router(r->config, name);
	r->strategy = name;
	if (r->router != NULL)
		return STEP_NEXT;
	if (param != NULL)
		return request_fail(r, FAULT_BAD_REQUEST, param,
		    "'%s' names no routing strategy: there is no '%.*s'", param,
		    STR_ARG(name));
	/* Named by key or file and gone since: candidates are tried as listed, which is
	 * still an answer. */
	return STEP_NEXT;
}

enum step
policy_profile(struct request *r)
{
	if (str_starts(r->model, "latenza/")) {
		lz_str name = str_cut(r->model, strlen("latenza/"), r->model.len);

		if (config_router(r->config, name) == NULL)
			return request_fail(r, FAULT_MODEL_NOT_FOUND, "model",
			    "there is no routing strategy '%.*s'", STR_ARG(name));
		if (r->kind == REQUEST_EMBEDDINGS)
			return request_fail(r, FAULT_UNSUPPORTED_CAPABILITY, "model",
			    "embeddings need a model by its name: vectors of different "
			    "models cannot be compared");
		return set_strategy(r, name, "model");
	}
	if (r->strategy_asked.ptr != NULL)
		return set_strategy(r, r->strategy_asked, "x-latenza-strategy");
	if (r->strategy.ptr != NULL) /* the key's, left here by the key stage */
		return set_strategy(r, r->strategy, NULL);
	r->is_default_strategy = true;
	return set_strategy(r, r->config->default_strategy, NULL);
}

/* Who is not preferred is not tried, unless nobody is: then the list's order stands. */
static void
settle_order(struct request *r)
{
	unsigned rank = 0;
	bool is_any = false;

	for (size_t i = 0; i < r->candidate_count; i++)
		is_any |=
		    r->candidate[i].excluded == EXCLUDED_NOT && r->candidate[i].rank > 0;
	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];

		if (c->excluded != EXCLUDED_NOT)
			continue;
		if (is_any && c->rank == 0)
			c->excluded = EXCLUDED_ROUTER;
		else if (!is_any)
			c->rank = ++rank;
	}
}

/* Before what the router said. */
static void
say(const struct request *r, struct candidate *c, lz_str word)
{
	if (c->why.len > 0)
		c->why = arena_join(r->arena, STR_LIT("; "), c->why);
	c->why = arena_join(r->arena, word, c->why);
}

/* ---- sessions that stay where they were ---- */

static void
mark_sticky(struct request *r)
{
	int64_t now_us = loop_now(r->worker->loop)->mono_us;

	if (r->config->sticky_ms == 0)
		return;
	r->session_hash = sticky_session(r);
	for (size_t i = 0; r->session_hash != 0 && i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];

		c->is_sticky = sticky_is_at(
		    r->session_hash, c->target, now_us, r->config->sticky_ms);
	}
}

/* Where the session was served last comes first, if it may serve and is well; the
 * router's order stands behind it. */
static void
prefer_sticky(struct request *r)
{
	int64_t now_us = loop_now(r->worker->loop)->mono_us;
	struct candidate *first = NULL;

	for (size_t i = 0; first == NULL && i < r->candidate_count; i++)
		if (r->candidate[i].is_sticky &&
		    r->candidate[i].excluded == EXCLUDED_NOT &&
		    live_is_healthy(live_of(r->candidate[i].target), now_us))
			first = &r->candidate[i];
	for (size_t i = 0; first != NULL && i < r->candidate_count; i++)
		if (r->candidate[i].excluded == EXCLUDED_NOT &&
		    r->candidate[i].rank < first->rank)
			r->candidate[i].rank++;
	if (first == NULL || first->rank == 1)
		return;
	first->rank = 1;
	say(r, first, STR_LIT("sticky session"));
}

void
policy_served(struct request *r)
{
	if (r->session_hash != 0)
		sticky_set(r->session_hash, request_attempt(r)->target,
		    loop_now(r->worker->loop)->mono_us);
}

/* ---- who has no key at present ---- */

/* by_rank: room for all; ranks count from 1 without a gap. Returns the highest. */
static size_t
sort_ranked(struct request *r, struct candidate **by_rank)
{
	size_t n = 0;

	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];

		if (c->excluded != EXCLUDED_NOT)
			continue;
		by_rank[c->rank] = c;
		n = c->rank > n ? c->rank : n;
	}
	return n;
}

/* next.c tries them after the others; the table says so, and why. */
static void
put_resting_last(struct request *r)
{
	int64_t now_us = loop_now(r->worker->loop)->mono_us;
	struct candidate **by_rank;
	unsigned rank = 0;
	size_t resting = 0, n;

	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];

		c->is_resting = c->excluded == EXCLUDED_NOT &&
				!credential_is_ready(c->target, now_us);
		resting += c->is_resting;
	}
	by_rank = resting > 0
		      ? arena_alloc(r->arena, (r->candidate_count + 1) * sizeof(*by_rank))
		      : NULL;
	if (by_rank == NULL)
		return;
	n = sort_ranked(r, by_rank);
	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 1; i <= n; i++)
			if (by_rank[i]->is_resting == (pass == 1))
				by_rank[i]->rank = ++rank;
	for (size_t i = 1; i <= n; i++)
		if (by_rank[i]->is_resting)
			say(r, by_rank[i], STR_LIT("all its keys rest"));
}

/* The router said something; its visit ends here, whatever it was. */
static enum step
routed(struct request *r, int32_t result, struct visit *v, int64_t limit_before)
{
	lz_str code, message;

	settle_order(r);
	prefer_sticky(r);
	put_resting_last(r);
	if (r->output_limit != limit_before)
		bounds_renew(r);
	if (result != LZ_BLOCK) {
		visit_end_all(v);
		return STEP_NEXT;
	}
	visit_reason(v, &code, &message);
	request_fail(r, FAULT_CONTENT_POLICY, NULL,
	    "the routing policy '%.*s' refused the request%s%.*s", STR_ARG(r->strategy),
	    message.len > 0 ? ": " : "", STR_ARG(message));
	visit_end_all(v);
	return STEP_FAULT;
}

static void
came_home(void *arg, int32_t result)
{
	struct request *r = arg;
	struct visit *v = r->router_visit;

	r->router_visit = NULL;
	request_go_on(r, routed(r, result, v, INT64_MIN));
}

static bool
has_any_left(const struct request *r)
{
	for (size_t i = 0; i < r->candidate_count; i++)
		if (r->candidate[i].excluded == EXCLUDED_NOT)
			return true;
	return false;
}

/* Whoever gave a name's deployments different shares wants them, unless somebody asked
 * for a strategy. */
static bool
weights_decide(const struct request *r)
{
	const struct target *first = r->candidate[0].target;

	if (!r->is_default_strategy || !first->is_deployment)
		return false;
	for (size_t i = 1; i < r->candidate_count; i++) {
		double by = r->candidate[i].target->weight - first->weight;

		if (by > 0 || by < 0)
			return true;
	}
	return false;
}

enum step
policy_route(struct request *r)
{
	struct visit *v = NULL;
	int32_t result = LZ_OK;
	int64_t limit = r->output_limit;

	mark_sticky(r);
	if (weights_decide(r)) {
		r->router = NULL;
		r->strategy = STR_LIT("weights");
	}
	if (r->router != NULL && has_any_left(r))
		result = visit_route(r, came_home, r, &v);
	if (result != LZ_PENDING)
		return routed(r, result, v, limit);
	r->router_visit = v;
	return STEP_WAIT;
}

void
policy_cancel(struct request *r)
{
	visit_end_all(r->router_visit);
	r->router_visit = NULL;
}
