/* terms.c - a key under its assistant and its organisation, once per request.
 *
 * Nothing is computed when a profile changes: a request takes the three as they stand and
 * keeps them, so one change of an organisation is one pointer, whatever the number of its
 * keys, and a request that began before it ends by the terms it began with.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/terms.h"

#include "base/metric.h"
#include "key/stage.h"

enum {
	LEVELS = KEY_LEVELS
};

/* The settings, nearest first. */
struct levels {
	const struct key_settings *of[LEVELS];
	size_t count;
};

static int64_t
nearest(const struct levels *l, unsigned counter)
{
	for (size_t i = 0; i < l->count; i++) {
		int64_t n =
		    *key_counter_of((struct key_settings *)(uintptr_t)l->of[i], counter);

		if (n >= 0)
			return n;
	}
	return -1;
}

/* A burst goes with the rate that it was written for: one above the level that sets the
 * rate says nothing. */
static int64_t
burst(const struct levels *l)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->of[i]->rate_burst > 0)
			return l->of[i]->rate_burst;
		if (l->of[i]->rate_limit >= 0)
			return l->of[i]->rate_limit;
	}
	return -1;
}

static enum key_log
log_content(const struct levels *l, enum key_log file)
{
	enum key_log least = file == LOG_CONTENT_INHERIT ? LOG_CONTENT_FULL : file;

	_Static_assert(
	    LOG_CONTENT_FULL < LOG_CONTENT_META && LOG_CONTENT_META < LOG_CONTENT_OFF,
	    "in order of how little is kept");
	for (size_t i = 0; i < l->count; i++)
		if (l->of[i]->log_content > least)
			least = l->of[i]->log_content;
	return least;
}

static void
add_budgets(
    struct key_terms *t, struct budget *const *budgets, size_t count, uint8_t whose)
{
	for (size_t n = 0; n < count; n++) {
		size_t i = t->budget_count++;

		must(i < LEDGER_SCOPES);
		for (; i > 0 && ledger_compare(t->budget[i - 1], budgets[n]) > 0; i--) {
			t->budget[i] = t->budget[i - 1];
			t->whose[i] = t->whose[i - 1];
		}
		t->budget[i] = budgets[n];
		t->whose[i] = whose;
	}
}

static void
add_profile(struct key_terms *t, const struct profile *p, bool is_test, uint8_t whose)
{
	add_budgets(t, p->budget[is_test], p->budget_count, whose);
}

static void
settle(struct request *r, const struct key *k, struct key_terms *t)
{
	struct levels l = { { &k->settings }, 1 };

	if (t->assistant != NULL)
		l.of[l.count++] = &t->assistant->settings;
	l.of[l.count++] = &t->organization->settings;
	t->rate_limit = nearest(&l, KEY_RATE_LIMIT);
	t->max_in_flight = nearest(&l, KEY_MAX_IN_FLIGHT);
	t->max_output_tokens = nearest(&l, KEY_MAX_OUTPUT_TOKENS);
	t->tokens_per_minute = nearest(&l, KEY_TOKENS_PER_MINUTE);
	t->rate_burst = burst(&l);
	t->log_content = log_content(&l, r->config->log_content);
	for (size_t i = 0; i < l.count && t->routing_strategy.len == 0; i++)
		t->routing_strategy = l.of[i]->routing_strategy;
	for (size_t i = l.count; i-- > 0;)
		if (l.of[i]->guardrail_count > 0)
			t->guardrails[t->guardrail_lists++] =
			    (struct guard_names){ l.of[i]->guardrail,
				    l.of[i]->guardrail_count };
	if (t->assistant != NULL)
		t->default_model = t->assistant->settings.default_model;
	add_budgets(t, k->budget, k->budget_count, LZ_OF_KEY);
	if (t->assistant != NULL)
		add_profile(t, t->assistant, k->is_test, LZ_OF_ASSISTANT);
	add_profile(t, t->organization, k->is_test, LZ_OF_ORGANIZATION);
}

/* ---- taken and given back ---- */

static void
drop(struct key_terms *t)
{
	profile_unref(t->organization);
	profile_unref(t->assistant);
}

static enum step
refuse(struct request *r, struct key_terms *t, const struct profile *p, const char *what,
    const char *id)
{
	bool is_disabled = p != NULL;

	drop(t);
	metric_add(METRIC_UNAUTHENTICATED, 1);
	return request_fail(r, FAULT_INVALID_KEY, NULL, "the %s '%s' of this API key %s",
	    what, id, is_disabled ? "is disabled" : "does not exist any more");
}

enum step
key_take(struct request *r, struct key *k)
{
	struct key_terms *t = arena_alloc(r->arena, sizeof(*t));

	if (t == NULL)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	t->organization = profile_take(k->organization);
	if (k->assistant != NULL)
		t->assistant = profile_take(k->assistant);
	if (t->organization == NULL || t->organization->is_disabled)
		return refuse(r, t, t->organization, "organization", k->organization->id);
	if (k->assistant != NULL && (t->assistant == NULL || t->assistant->is_disabled))
		return refuse(r, t, t->assistant, "assistant", k->assistant->id);
	settle(r, k, t);
	r->key = k;
	r->terms = t;
	r->caller = (struct caller){ .key = k->id,
		.organization = t->organization->organization,
		.assistant = t->assistant != NULL ? t->assistant->assistant : STR_NONE,
		.metadata = k->settings.metadata,
		.is_test = k->is_test };
	r->log_content = t->log_content;
	r->default_model = t->default_model;
	return STEP_NEXT;
}

void
key_let_go(struct request *r)
{
	key_unref(r->key);
	if (r->terms != NULL)
		drop(r->terms);
	r->key = NULL;
	r->terms = NULL;
}

/* ---- asked by others ---- */

bool
key_allows(const struct request *r, lz_str model)
{
	const struct key_terms *t = r->terms;

	return str_starts(model, "latenza/") ||
	       (key_settings_allow(&r->key->settings, model) &&
		   (t->assistant == NULL ||
		       key_settings_allow(&t->assistant->settings, model)) &&
		   key_settings_allow(&t->organization->settings, model));
}

int
terms_tightest(struct request *r, uint32_t scope, bool by_spent, struct budget_view *out)
{
	int64_t now = loop_now(r->worker->loop)->unix_ms, least = INT64_MAX;
	const struct key_terms *t = r->terms;
	int at = -1;

	for (size_t i = 0; t != NULL && i < t->budget_count; i++) {
		struct budget_view v;
		int64_t left;

		if (scope != REQUEST_ANY_BUDGET && t->whose[i] != scope)
			continue;
		ledger_view(t->budget[i], now, &v);
		left = v.limit_nano_eur - v.spent_nano_eur;
		left -= by_spent ? 0 : v.reserved_nano_eur;
		if (v.limit_nano_eur < 0 || (at >= 0 && left >= least))
			continue;
		least = left;
		at = (int)i;
		*out = v;
	}
	return at;
}
