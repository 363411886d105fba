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
	BREAKER_OPEN_US = 10 * 1000 * 1000,
	PROBE_LIMIT_US = 30 * 1000 * 1000 /* a probe that never came home does not keep
					     the breaker shut for ever */
};

struct node {
	struct node *next;
	struct live live;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *bucket[BUCKETS];
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

/* A model that nobody listed is known by "provider/model": such names are the callers'
 * own, so they share the provider's cell, and callers cannot grow the registry. */
static void
cell_name(const struct target *t, char *out, size_t n)
{
	lz_str provider = t->provider->name, id = t->model->id;
	bool is_made = id.len > provider.len && id.ptr[provider.len] == '/' &&
		       str_eq(str_cut(id, 0, provider.len), provider);

	if (is_made)
		snprintf(out, n, "%.*s", STR_ARG(provider));
	else
		snprintf(out, n, "%.*s/%.*s", STR_ARG(provider), STR_ARG(id));
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

bool
live_is_healthy(struct live *l, int64_t now_us)
{
	int64_t until = atomic_load_explicit(&l->open_until_us, memory_order_relaxed);
	int64_t probe;

	if (until == 0)
		return true;
	if (now_us < until)
		return false;
	probe = atomic_load_explicit(&l->probe_us, memory_order_relaxed);
	if (probe != 0 && now_us - probe < PROBE_LIMIT_US)
		return false;
	return true;
}

void
live_began(struct live *l, int64_t now_us)
{
	atomic_fetch_add_explicit(&l->in_flight, 1, memory_order_relaxed);
	if (atomic_load_explicit(&l->open_until_us, memory_order_relaxed) != 0)
		atomic_store_explicit(&l->probe_us, now_us, memory_order_relaxed);
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
note_failure(struct live *l, int64_t now_us)
{
	uint32_t n = atomic_fetch_add_explicit(&l->failures, 1, memory_order_relaxed) + 1;

	if (n < BREAKER_FAILURES)
		return;
	if (atomic_exchange_explicit(
		&l->open_until_us, now_us + BREAKER_OPEN_US, memory_order_relaxed) == 0)
		tell(TELL_PROVIDER_DOWN, "target=%s failures=%u", l->name, n);
	atomic_store_explicit(&l->probe_us, 0, memory_order_relaxed);
}

static void
note_success(struct live *l)
{
	atomic_store_explicit(&l->failures, 0, memory_order_relaxed);
	if (atomic_load_explicit(&l->open_until_us, memory_order_relaxed) == 0)
		return;
	if (atomic_exchange_explicit(&l->open_until_us, 0, memory_order_relaxed) != 0)
		tell(TELL_PROVIDER_UP, "target=%s", l->name);
	atomic_store_explicit(&l->probe_us, 0, memory_order_relaxed);
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
	atomic_fetch_add_explicit(&l->samples[mode], 1, memory_order_relaxed);
}

void
live_dropped(struct live *l)
{
	atomic_fetch_sub_explicit(&l->in_flight, 1, memory_order_relaxed);
	atomic_store_explicit(&l->probe_us, 0, memory_order_relaxed);
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
