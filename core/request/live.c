/* live.c - the registry of live cells, and the breaker's arithmetic.
 *
 * A cell is found once per target and remembered in the target; the registry's lock is
 * taken only then. Averages are exponential with a weight of 1/8: fast enough to see a
 * provider slow down within a dozen calls.
 *
 * SPDX-License-Identifier: MIT
 */
#include "request/live.h"

#include <pthread.h>
#include <stdio.h>
#include "base/mem.h"
#include "base/tell.h"

enum {
	BUCKETS = 1024, /* power of two */
	BREAKER_FAILURES = 5,
	BREAKER_OPEN_US = 1000 * 1000, /* at first; twice as long after each probe that
					  failed */
	BREAKER_OPEN_MAX_US = 30 * 1000 * 1000,
	LAST_RESORT_US = 100 * 1000, /* after the last failure, when nobody is healthy */
	RETRY = 1000,                /* of the budget, what one retry costs */
	RETRY_EARNED = 100,          /* by each first attempt */
	RETRIES_MAX = 10 * RETRY,
	PROBE_LIMIT_US = 30 * 1000 * 1000 /* a probe that never came home does not keep
					     the breaker shut for ever */
};

struct node {
	struct node *next;
	struct live live;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *bucket[BUCKETS];
static _Atomic uint64_t changes = 1;
static struct live
    spare; /* shared by all when memory is out: wrong averages, right answers */

static unsigned
hash_name(const char *s)
{
	unsigned h = 2166136261u;

	while (*s != 0)
		h = (h ^ (unsigned char)*s++) * 16777619u;
	return h & (BUCKETS - 1);
}

/* A cell is of what the provider serves, under whatever names that is asked for. A model
 * that nobody listed is known by "provider/model": such names are the callers' own, so
 * they share the provider's cell, and callers cannot grow the registry. */
static void
cell_name(const struct target *t, char *out, size_t n)
{
	lz_str provider = t->provider->name, id = t->model->id;
	lz_str model = t->upstream_model.len > 0 ? t->upstream_model : id;
	bool is_made = id.len > provider.len && id.ptr[provider.len] == '/' &&
		       str_eq(str_cut(id, 0, provider.len), provider);

	if (is_made)
		snprintf(out, n, "%.*s", STR_ARG(provider));
	else
		snprintf(out, n, "%.*s/%.*s", STR_ARG(provider), STR_ARG(model));
}

struct live *
live_of(const struct target *t)
{
	struct target *mine =
	    (struct target *)(uintptr_t)t; /* the one member that is set after the fact */
	struct live *l = atomic_load_explicit(&mine->live, memory_order_acquire);
	char name[sizeof l->name];
	struct node *n;
	unsigned h;

	if (l != NULL)
		return l;
	cell_name(t, name, sizeof name);
	h = hash_name(name);
	pthread_mutex_lock(&lock);
	for (n = bucket[h]; n != NULL && strcmp(n->live.name, name) != 0; n = n->next)
		;
	if (n == NULL && (n = mem_zalloc(sizeof *n)) != NULL) {
		n->live.retries = RETRIES_MAX;
		snprintf(n->live.name, sizeof n->live.name, "%s", name);
		n->next = bucket[h];
		bucket[h] = n;
	}
	pthread_mutex_unlock(&lock);
	l = n != NULL ? &n->live : &spare;
	if (n != NULL)
		atomic_store_explicit(&mine->live, l, memory_order_release);
	return l;
}

uint64_t
live_changes(void)
{
	return atomic_load_explicit(&changes, memory_order_acquire);
}

static bool
is_probed(struct live *l, int64_t now_us)
{
	int64_t since = atomic_load_explicit(&l->probe_us, memory_order_relaxed);

	return since != 0 && now_us - since < PROBE_LIMIT_US;
}

bool
live_is_healthy(struct live *l, int64_t now_us)
{
	int64_t until = live_open_until_us(l);

	if (until == 0)
		return true;
	return now_us >= until && !is_probed(l, now_us);
}

bool
live_is_last_resort(struct live *l, int64_t now_us)
{
	int64_t shut = atomic_load_explicit(&l->shut_us, memory_order_relaxed);

	return now_us - shut >= LAST_RESORT_US && !is_probed(l, now_us);
}

int64_t
live_open_until_us(struct live *l)
{
	return atomic_load_explicit(&l->open_until_us, memory_order_relaxed);
}

/* What is earned beyond the most is lost. */
static void
earn(struct live *l)
{
	int32_t old = atomic_load_explicit(&l->retries, memory_order_relaxed);

	if (old < RETRIES_MAX)
		atomic_store_explicit(
		    &l->retries, old + RETRY_EARNED, memory_order_relaxed);
}

static bool
spend(struct live *l)
{
	int32_t old = atomic_load_explicit(&l->retries, memory_order_relaxed);

	do {
		if (old < RETRY)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
	    &l->retries, &old, old - RETRY, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static bool
has_failed(const struct live *l)
{
	return atomic_load_explicit(&l->failures, memory_order_relaxed) > 0;
}

bool
live_may_retry(struct live *l, int64_t now_us)
{
	return !has_failed(l) || !is_probed(l, now_us) ||
	       atomic_load_explicit(&l->retries, memory_order_relaxed) >= RETRY;
}

static bool
claim_probe(struct live *l, int64_t now_us)
{
	int64_t since = atomic_load_explicit(&l->probe_us, memory_order_relaxed);

	return (since == 0 || now_us - since >= PROBE_LIMIT_US) &&
	       atomic_compare_exchange_strong(&l->probe_us, &since, now_us);
}

enum live_start
live_begin(struct live *l, int64_t now_us, bool is_retry)
{
	bool is_probe = live_open_until_us(l) != 0;

	if (is_probe) {
		if (!claim_probe(l, now_us))
			return LIVE_BUSY;
	} else if (!is_retry) {
		earn(l);
	} else if (has_failed(l) && !spend(l)) {
		if (!claim_probe(l, now_us))
			return LIVE_NO_RETRIES;
		is_probe = true;
	}
	atomic_fetch_add_explicit(&l->in_flight, 1, memory_order_relaxed);
	return is_probe ? LIVE_PROBES : LIVE_BEGUN;
}

static void
note_success(struct live *l)
{
	atomic_store_explicit(&l->failures, 0, memory_order_relaxed);
	if (live_open_until_us(l) == 0)
		return;
	if (atomic_exchange_explicit(&l->open_until_us, 0, memory_order_relaxed) != 0) {
		atomic_fetch_add_explicit(&changes, 1, memory_order_release);
		tell(TELL_PROVIDER_UP, "target=%s", l->name);
	}
}

void
live_probe_answers(struct live *l)
{
	note_success(l);
	atomic_store_explicit(&l->probe_us, 0, memory_order_relaxed);
}

void
live_probe_ended(struct live *l, int64_t now_us, bool has_failed)
{
	int64_t open_us = atomic_load_explicit(&l->open_us, memory_order_relaxed) * 2;

	/* One that probed because retries were spent leaves a closed breaker closed. */
	if (has_failed && open_us > 0 && live_open_until_us(l) != 0) {
		if (open_us > BREAKER_OPEN_MAX_US)
			open_us = BREAKER_OPEN_MAX_US;
		atomic_store_explicit(&l->open_us, open_us, memory_order_relaxed);
		atomic_store_explicit(&l->shut_us, now_us, memory_order_relaxed);
		atomic_store_explicit(
		    &l->open_until_us, now_us + open_us, memory_order_relaxed);
	}
	atomic_store_explicit(&l->probe_us, 0, memory_order_relaxed);
}

static void
average(_Atomic uint64_t *cell, int64_t value)
{
	uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
	uint64_t v = value < 0 ? 0 : (uint64_t)value;

	atomic_store_explicit(
	    cell, old == 0 ? v : old - old / 8 + v / 8, memory_order_relaxed);
}

static void
note_sample(struct live *l, unsigned mode, int64_t now_us)
{
	atomic_fetch_add_explicit(&l->samples[mode], 1, memory_order_relaxed);
	atomic_store_explicit(&l->measured_us[mode], now_us, memory_order_relaxed);
}

/* Attempts that were under way when it opened fail too, and say nothing new. */
static void
note_failure(struct live *l, int64_t now_us)
{
	uint32_t n = atomic_fetch_add_explicit(&l->failures, 1, memory_order_relaxed) + 1;
	int64_t closed = 0;

	if (n < BREAKER_FAILURES || live_open_until_us(l) != 0)
		return;
	atomic_store_explicit(&l->open_us, BREAKER_OPEN_US, memory_order_relaxed);
	atomic_store_explicit(&l->shut_us, now_us, memory_order_relaxed);
	if (atomic_compare_exchange_strong(
		&l->open_until_us, &closed, now_us + BREAKER_OPEN_US)) {
		atomic_fetch_add_explicit(&changes, 1, memory_order_release);
		tell(TELL_PROVIDER_DOWN, "target=%s failures=%u", l->name, n);
	}
}

void
live_ended(struct live *l, int64_t now_us, bool is_fault, bool is_stream, int64_t ttft_us,
    int64_t total_us, int64_t output_tokens)
{
	unsigned mode = is_stream ? 1 : 0;
	uint32_t rate = atomic_load_explicit(&l->error_permille, memory_order_relaxed);

	atomic_fetch_sub_explicit(&l->in_flight, 1, memory_order_relaxed);
	rate = rate - rate / 8 + (is_fault ? 125 : 0);
	atomic_store_explicit(
	    &l->error_permille, rate > 1000 ? 1000 : rate, memory_order_relaxed);
	if (is_fault) {
		note_failure(l, now_us);
		return;
	}
	note_success(l);
	if (ttft_us >= 0)
		average(&l->ttft_us[mode], ttft_us);
	if (total_us < 0)
		return;
	average(&l->total_us[mode], total_us);
	if (output_tokens > 0 && ttft_us >= 0)
		average(&l->us_per_token[mode], (total_us - ttft_us) / output_tokens);
	note_sample(l, mode, now_us);
}

/* In thousandths of a token: a prompt without a cached one is a 0 that counts. */
static void
average_tokens(_Atomic uint64_t *cell, int64_t tokens, bool is_first)
{
	uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
	uint64_t v = tokens > 0 && tokens < INT32_MAX ? (uint64_t)tokens * 1000 : 0;

	atomic_store_explicit(
	    cell, is_first ? v : old - old / 8 + v / 8, memory_order_relaxed);
}

void
live_used(struct live *l, int64_t prompt_tokens, int64_t cached_tokens)
{
	bool is_first =
	    atomic_load_explicit(&l->prompt_tokens, memory_order_relaxed) == 0;

	average_tokens(&l->prompt_tokens, prompt_tokens, is_first);
	average_tokens(&l->cached_tokens, cached_tokens, is_first);
}

static void
raise_average(_Atomic uint64_t *cell, int64_t value)
{
	if (value > 0 &&
	    atomic_load_explicit(cell, memory_order_relaxed) < (uint64_t)value)
		average(cell, value);
}

void
live_overtaken(struct live *l, int64_t now_us, bool is_stream, int64_t elapsed_us)
{
	unsigned mode = is_stream ? 1 : 0;

	raise_average(&l->ttft_us[mode], elapsed_us);
	raise_average(&l->total_us[mode], elapsed_us);
	note_sample(l, mode, now_us);
	note_failure(l, now_us);
}

void
live_dropped(struct live *l)
{
	atomic_fetch_sub_explicit(&l->in_flight, 1, memory_order_relaxed);
}

void
live_each(void (*fn)(void *arg, struct live *l), void *arg)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct node *n;

		pthread_mutex_lock(&lock);
		n = bucket[i];
		pthread_mutex_unlock(&lock);
		for (; n != NULL; n = n->next) /* nodes are only ever added, in front */
			fn(arg, &n->live);
	}
}
