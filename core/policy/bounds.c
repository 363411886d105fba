/* bounds.c - the most that an attempt can cost, from prices and limits.
 *
 * The bound is what is reserved, so it has to hold: every byte of the prompt at the
 * dearest price that a prompt's token can have, in the dearest tier that so many tokens
 * can reach, and every token of output that the provider may make.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policy/bounds.h"

#include "request/live.h"
#include "trace/cost.h"

enum {
	DEFAULT_OUTPUT = 4096, /* when neither caller, model nor key says less */
	LEAST_OUTPUT = 16,     /* a budget that leaves less has nothing left */
	LIKELY_OUTPUT = 512,
	THOUSAND = 1000
};

int64_t
bounds_left(struct request *r)
{
	lz_budget b = { .size = sizeof b };

	return r->ops->budget(r, REQUEST_ANY_BUDGET, &b) ? b.limit - b.spent - b.reserved
							 : INT64_MAX;
}

static int64_t
least(int64_t a, int64_t b) /* of two limits, -1 being none */
{
	if (a < 0)
		return b;
	return b < 0 || a < b ? a : b;
}

static int64_t
cost_of(const struct price *p, int64_t input, int64_t output)
{
	struct record_usage u = { .input = input, .output = output };

	return cost_nano_eur(p, &u);
}

/* Nobody knows beforehand how much of a prompt will be written to a cache. */
static int64_t
cost_at_most(
    const struct request *r, const struct price *p, int64_t input, int64_t output)
{
	struct price dearest = *p;

	if (dearest.cache_write > dearest.input)
		dearest.input = dearest.cache_write;
	if (r->may_cache_1h && dearest.cache_write_1h > dearest.input)
		dearest.input = dearest.cache_write_1h;
	return cost_of(&dearest, input, output);
}

/* Tokens of output per choice that left_nano pays for behind the prompt. */
static int64_t
affordable(const struct request *r, const struct price *p, int64_t left_nano)
{
	int64_t left = left_nano - cost_at_most(r, p, r->prompt_bound, 0);
	int64_t per_1000 = cost_of(p, 0, THOUSAND * r->choices);

	if (left <= 0 || per_1000 <= 0)
		return 0;
	if (left > INT64_MAX / THOUSAND)
		return left / (per_1000 / THOUSAND + 1);
	return left * THOUSAND / per_1000;
}

static int64_t
output_wanted(const struct request *r, const struct model_facts *m)
{
	int64_t out = least(r->max_tokens, r->output_limit);

	if (r->kind == REQUEST_EMBEDDINGS) /* vectors are no tokens */
		return 0;
	return out < 0 ? least(m->max_output_tokens, DEFAULT_OUTPUT) : out;
}

/* What it will probably use: as much of its prompt from the provider's cache as prompts
 * there had lately, and an answer of the same length everywhere, so that who was asked
 * before does not look cheaper than who was not. */
static struct record_usage
probable(const struct request *r, const struct candidate *c)
{
	struct live *l = live_of(c->target);
	uint64_t prompt = atomic_load_explicit(&l->prompt_tokens, memory_order_relaxed);
	uint64_t cached = atomic_load_explicit(&l->cached_tokens, memory_order_relaxed);
	int64_t output =
	    c->output_bound < LIKELY_OUTPUT ? c->output_bound : LIKELY_OUTPUT;
	struct record_usage u = { .input = r->prompt_tokens,
		.output = output * r->choices };

	if (cached > 0) {
		double share = cached < prompt ? (double)cached / (double)prompt : 1;

		u.cache_read = (int64_t)((double)u.input * share);
		u.input -= u.cache_read;
	}
	return u;
}

/* Whoever wants it writes "cache_control", or hides a letter of that in an escape. */
static bool
may_ask_for_caching(lz_str body)
{
	static const char word[] = "cache_control", escape[] = "\\u";

	return body.len > 0 &&
	       (memmem(body.ptr, body.len, word, sizeof(word) - 1) != NULL ||
		   memmem(body.ptr, body.len, escape, sizeof(escape) - 1) != NULL);
}

void
bounds_look(struct request *r, const struct target *const *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (t[i]->model->price_cache_write_1h > t[i]->model->price_cache_write) {
			r->may_cache_1h = may_ask_for_caching(buf_str(&r->body));
			return;
		}
}

/* Is as much left for others? */
static bool
fits_easily(
    const struct request *r, const struct price *p, int64_t output, int64_t left_nano)
{
	return cost_at_most(r, p, r->prompt_bound, output * r->choices) <= left_nano / 2;
}

void
bounds_set(const struct request *r, struct candidate *c, int64_t left_nano)
{
	const struct model_facts *m = c->target->model;
	int64_t out = output_wanted(r, m), fits;
	struct record_usage likely;
	struct price p, most;

	c->output_bound = out;
	c->bound_nano_eur = c->input_nano_eur = c->estimate_nano_eur = -1;
	if (!cost_price(r->config, c->target, r->prompt_tokens, &p) ||
	    !cost_price_at_most(r->config, c->target, r->prompt_bound, &most))
		return;
	c->input_nano_eur = cost_of(&p, r->prompt_tokens, 0);
	if (left_nano != INT64_MAX && request_may_think_unseen(r, m) &&
	    fits_easily(r, &most, m->max_output_tokens, left_nano))
		c->output_bound = out = m->max_output_tokens;
	c->bound_nano_eur = cost_at_most(r, &most, r->prompt_bound, out * r->choices);
	fits = c->bound_nano_eur > left_nano ? affordable(r, &most, left_nano) : out;
	if (fits >= LEAST_OUTPUT && fits < out) {
		c->output_bound = fits;
		c->bound_nano_eur =
		    cost_at_most(r, &most, r->prompt_bound, fits * r->choices);
	}
	likely = probable(r, c);
	c->estimate_nano_eur = cost_nano_eur(&p, &likely);
}

bool
bounds_are_cut(const struct request *r, const struct candidate *c)
{
	return c->output_bound < output_wanted(r, c->target->model);
}

void
bounds_renew(struct request *r)
{
	int64_t left = bounds_left(r);

	for (size_t i = 0; i < r->candidate_count; i++) {
		struct candidate *c = &r->candidate[i];

		if (c->excluded == EXCLUDED_NOT)
			bounds_set(r, c, left);
	}
}
