/* candidates.c - the filters: every target that could serve the request passes them, in
 * the fault table's order.
 *
 * A candidate that fails keeps the reason of the first filter it met. When nobody is left
 * the caller hears of the last filter that somebody still reached: it is the one that
 * emptied the list.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include "policy/bounds.h"
#include "policy/policy.h"
#include "policy/standing.h"
#include "policy/weights.h"
#include "request/live.h"

enum {
	NEAR_NAMES = 3,
	NEAR_LOOKED_AT = 16
};

struct filters {
	struct request *r;
	bool (*allows)(const struct request *r, lz_str model);
	bool is_test_key, has_budget;
	int64_t left_nano; /* of the tightest budget; INT64_MAX without one */
};

static bool
context_is_too_small(const struct request *r, const struct model_facts *m)
{
	int64_t output = r->max_tokens > 0 ? r->max_tokens : 0;

	if (m->context_window <= 0)
		return false;
	if (r->kind == REQUEST_EMBEDDINGS) /* each text has a window of its own */
		return r->longest_input > m->context_window;
	return r->prompt_tokens + output > m->context_window;
}

static bool
is_of_kind(const struct request *r, const struct target *t)
{
	return (t->model->is_any_mode ||
		   t->model->is_embedding == (r->kind == REQUEST_EMBEDDINGS)) &&
	       config_serves(t->provider, request_kind(r)->name);
}

static enum exclusion
judge(struct filters *f, struct candidate *c)
{
	struct request *r = f->r;
	const struct target *t = c->target;

	if (!is_of_kind(r, t))
		return EXCLUDED_KIND;
	if (f->is_test_key && !t->provider->is_test)
		return EXCLUDED_TEST;
	if (!f->allows(r, t->model->id))
		return EXCLUDED_NOT_ALLOWED;
	if (f->has_budget && c->bound_nano_eur < 0)
		return EXCLUDED_UNPRICED;
	if (t->model->knows_capabilities &&
	    (r->capabilities & ~(t->model->capabilities | (uint32_t)LZ_CAN_STREAM)) != 0)
		return EXCLUDED_CAPABILITY;
	if (context_is_too_small(r, t->model))
		return EXCLUDED_CONTEXT;
	if (c->bound_nano_eur > f->left_nano)
		return EXCLUDED_BUDGET;
	if (!live_is_healthy(live_of(t), loop_now(r->worker->loop)->mono_us))
		return EXCLUDED_HEALTH;
	return EXCLUDED_NOT;
}

/* How far along the filters a reason stands: the furthest one decides the answer. */
static unsigned
depth(enum exclusion x)
{
	static const enum exclusion order[] = { EXCLUDED_KIND, EXCLUDED_TEST,
		EXCLUDED_NOT_ALLOWED, EXCLUDED_UNPRICED, EXCLUDED_CAPABILITY,
		EXCLUDED_CONTEXT, EXCLUDED_BUDGET, EXCLUDED_HEALTH };

	for (unsigned i = 0; i < sizeof order / sizeof order[0]; i++)
		if (order[i] == x)
			return i + 1;
	return 0;
}

/* Would somebody fit into what is unspent if nobody else held anything? */
static bool
only_others_are_in_the_way(struct request *r, int64_t unspent)
{

	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate c = r->candidate[i];

		if (c.excluded != EXCLUDED_BUDGET)
			continue;
		bounds_set(r, &c, unspent);
		if (c.bound_nano_eur <= unspent)
			return true;
	}
	return false;
}

static enum step
fail_budget(struct request *r)
{
	lz_budget free = { .size = sizeof free }, unspent = { .size = sizeof unspent };

	(void)r->ops->budget(r, REQUEST_ANY_UNSPENT, &unspent);
	if (r->ops->budget(r, REQUEST_ANY_BUDGET, &free) && free.reserved > 0 &&
	    only_others_are_in_the_way(r, unspent.limit - unspent.spent))
		return request_fail(r, FAULT_BUDGET_RESERVED, NULL,
		    "the rest of the budget of %.*s is held by requests in flight; try "
		    "again in a moment",
		    STR_ARG(request_owner(r, free.scope)));
	return request_fail(r, FAULT_BUDGET_SPENT, NULL,
	    "the budget of %.*s does not cover the request; it is reset at unix time "
	    "%" PRId64,
	    STR_ARG(request_owner(r, unspent.scope)), unspent.resets_at_unix);
}

static enum step
fail_excluded(struct request *r, enum exclusion x)
{
	switch (x) {
	case EXCLUDED_TEST:
		return request_fail(r, FAULT_MODEL_NOT_ALLOWED, "model",
		    "a test key reaches only providers marked 'test: true'; '%.*s' is "
		    "served by others",
		    STR_ARG(r->model));
	case EXCLUDED_NOT_ALLOWED:
		return request_fail(r, FAULT_MODEL_NOT_ALLOWED, "model",
		    "this key may not use the model '%.*s'", STR_ARG(r->model));
	case EXCLUDED_UNPRICED:
		return request_fail(r, FAULT_MODEL_UNPRICED, "model",
		    "'%.*s' has no known price, and a budget binds this key",
		    STR_ARG(r->model));
	case EXCLUDED_CAPABILITY:
		return request_fail(r, FAULT_UNSUPPORTED_CAPABILITY, r->capability_param,
		    "no model that '%.*s' may be served by can do what '%s' asks for",
		    STR_ARG(r->model), r->capability_param);
	case EXCLUDED_CONTEXT:
		return request_fail(r, FAULT_CONTEXT_LENGTH, request_kind(r)->input,
		    "about %" PRId64
		    " tokens of input are too long for every candidate for '%.*s'",
		    r->kind == REQUEST_EMBEDDINGS ? r->longest_input : r->prompt_tokens,
		    STR_ARG(r->model));
	case EXCLUDED_BUDGET:
		return fail_budget(r);
	case EXCLUDED_KIND:
		return request_fail(r, FAULT_UNSUPPORTED_CAPABILITY, "model",
		    "'%.*s' is not %s, or its provider has no %.*s", STR_ARG(r->model),
		    request_kind(r)->model, STR_ARG(request_kind(r)->name));
	default:
		must(!"a reason to be out that no filter gives");
		return STEP_FAULT;
	}
}

static enum step
fail_unknown(const struct filters *f)
{
	struct request *r = f->r;
	lz_str near[NEAR_LOOKED_AT];
	size_t n = config_near_models(r->config, r->model, near, NEAR_LOOKED_AT),
	       told = 0;
	struct buf names;
	enum step s;

	buf_init(&names, 800);
	for (size_t i = 0; i < n && told < NEAR_NAMES; i++) {
		if (f->allows(r, near[i])) /* others are no help, and not its business */
			buf_addf(&names, "%s'%.*s'",
			    told++ > 0 ? ", " : "; did you mean ", STR_ARG(near[i]));
	}
	s = request_fail(r, FAULT_MODEL_NOT_FOUND, "model",
	    "the model '%.*s' does not exist here%.*s", STR_ARG(r->model),
	    STR_ARG(buf_str(&names)));
	buf_free(&names);
	return s;
}

/* Is the same model there under a name that may be used? */
static bool
is_double(const struct filters *f, const struct target *t)
{
	return t->twin != NULL && f->allows(f->r, t->twin->model->id);
}

/* More targets than there is room for: who may not be used gives way. */
static bool
gives_way(const struct filters *f, const struct target *t)
{
	return f->r->config->any_count > REQUEST_CANDIDATES &&
	       ((f->is_test_key && !t->provider->is_test) ||
		   !f->allows(f->r, t->model->id));
}

/* What its vendor ends is no choice of ours, unless the key may use nothing else. */
static size_t
find_ending(const struct filters *f, const struct target **out, size_t most)
{
	const struct config *c = f->r->config;
	size_t n = 0;

	for (size_t i = 0; i < c->any_count; i++)
		if (f->allows(f->r, c->any[i]->model->id))
			return 0;
	for (size_t i = 0; i < c->target_count && n < most; i++) {
		const struct target *t = &c->target[i];

		if (t->model->is_deprecated && !t->is_shadowed &&
		    !t->model->is_embedding && !is_double(f, t) &&
		    f->allows(f->r, t->model->id))
			out[n++] = t;
	}
	return n;
}

/* latenza/<strategy> stands for every model, each once; any other name for those that
 * carry it. */
static const struct model_name *
list_of(const struct request *r, struct model_name *every)
{
	const struct config *c = r->config;

	if (!str_starts(r->model, "latenza/"))
		return config_name(c, r->model);
	*every = (struct model_name){
		.target = c->any, .count = c->any_count, .standing = c->any_standing
	};
	return every;
}

static size_t
drop_doubles(const struct filters *f, const struct target **t, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (!is_double(f, t[i]) && !gives_way(f, t[i]))
			t[kept++] = t[i];
	}
	return kept;
}

/* "provider/model". */
static size_t
find_one(struct request *r, const struct target **out)
{
	struct target *made = arena_alloc(r->arena, sizeof *made);

	return made != NULL ? config_targets(r->config, r->model, out, REQUEST_CANDIDATES,
				  made, r->arena)
			    : 0;
}

/* left_out: NULL: all are wanted. */
static size_t
find_targets(struct filters *f, const struct target **out, size_t most, size_t *left_out)
{
	struct request *r = f->r;
	struct model_name every, whole;
	const struct model_name *list = list_of(r, &every);
	size_t n, ignored;

	if (list == NULL)
		return find_one(r, out);
	if (left_out == NULL) {
		whole = *list;
		whole.standing = NULL;
		list = &whole;
		left_out = &ignored;
	}
	n = standing_pick(list, out, most, left_out, !r->is_dry_run);
	if (list->target == r->config->any) {
		size_t ending = find_ending(f, out, most);

		if (ending > 0) {
			*left_out = 0;
			return ending;
		}
		return drop_doubles(f, out, n);
	}
	weights_order(out, n, !r->is_dry_run);
	return n;
}

static bool
is_anyone_left(const struct request *r)
{
	for (size_t i = 0; i < r->candidate_count; i++)
		if (r->candidate[i].excluded == EXCLUDED_NOT)
			return true;
	return false;
}

/* Fills the table. left_out: as find_targets() has it. */
static enum step
judge_all(struct filters *f, size_t *left_out)
{
	struct request *r = f->r;
	const struct target *target[REQUEST_CANDIDATES];
	size_t n = find_targets(f, target, REQUEST_CANDIDATES, left_out);
	enum exclusion last = EXCLUDED_KIND;

	if (n == 0)
		return fail_unknown(f);
	r->candidate = arena_alloc(r->arena, n * sizeof *r->candidate);
	if (r->candidate == NULL)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	r->candidate_count = n;
	bounds_look(r, target, n);
	for (size_t i = 0; i < n; i++) {
		struct candidate *c = &r->candidate[i];

		c->target = target[i];
		bounds_set(r, c, f->left_nano);
		c->excluded = judge(f, c);
		if (depth(c->excluded) > depth(last))
			last = c->excluded;
	}
	/* Who is only unhealthy may be well again in a moment: next.c knows. */
	return is_anyone_left(r) || last == EXCLUDED_HEALTH ? STEP_NEXT
							    : fail_excluded(r, last);
}

enum step
policy_candidates(struct request *r,
    bool (*allows)(const struct request *r, lz_str model), bool is_test_key,
    bool has_budget)
{
	struct filters f = { r, allows, is_test_key, has_budget, INT64_MAX };
	size_t left_out = 0;
	enum step s;

	if (has_budget)
		f.left_nano = bounds_left(r);
	s = judge_all(&f, &left_out);
	if (left_out == 0 || is_anyone_left(r)) {
		r->candidates_left_out = left_out;
		return s;
	}
	r->fault = FAULT_NONE; /* whom the dead may still change */
	return judge_all(&f, NULL);
}
