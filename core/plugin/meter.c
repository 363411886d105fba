/* meter.c - metrics of plugins: named at init(), counted from any thread, printed beside
 * the gateway's own.
 *
 * The core's metrics are rows known when it is compiled; these come with a plugin and go
 * never, like the plugin itself. Each has a few shards, so that threads that count the
 * same thing do not fight for one cache line.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "plugin/host.h"

enum {
	METERS = 256,
	SHARDS = 8,
	NAME_BYTES = 160,
	HELP_BYTES = 200,
	TELL_US = 60 * 1000 * 1000
};

/* Milliseconds as well as bytes and scores end up here: the bounds are wide. */
static const double bounds[] = { 0.001, 0.01, 0.1, 0.5, 1, 5, 10, 50, 100, 500, 1000,
	10000, 100000 };
enum {
	BOUNDS = sizeof(bounds) / sizeof(bounds[0])
};

struct shard {
	_Alignas(64) _Atomic double sum;
	_Atomic uint64_t bucket[BOUNDS + 1];
};

struct meter {
	int32_t kind;
	char name[NAME_BYTES];
	char help[HELP_BYTES];
	struct shard shard[SHARDS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for adding */
static struct meter *_Atomic meters[METERS];
static atomic_uint meter_count;

static void
add_double(_Atomic double *cell, double by)
{
	double old = atomic_load_explicit(cell, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(
	    cell, &old, old + by, memory_order_relaxed, memory_order_relaxed))
		;
}

static unsigned
my_shard(void)
{
	static atomic_uint next;
	static _Thread_local unsigned mine; /* index + 1 */

	if (mine == 0)
		mine =
		    atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % SHARDS +
		    1;
	return mine - 1;
}

/* latenza_plugin_<plugin>_<name>, with `_total` behind counters, and only what Prometheus
 * allows in a name. */
static void
full_name(char *out, const char *plugin, int32_t kind, const char *name)
{
	bool is_counter = kind == LZ_COUNTER && !str_ends(lz_strz(name), "_total");

	(void)snprintf(out, NAME_BYTES, "latenza_plugin_%s_%s%s", plugin, name,
	    is_counter ? "_total" : "");
	for (char *p = out; *p != '\0'; p++)
		if (*p == '.' || *p == '-' || *p == ':')
			*p = '_';
}

static struct meter *
meter_new(int32_t kind, const char *name, const char *help)
{
	struct meter *m = mem_zalloc(sizeof(*m));

	if (m == NULL)
		return NULL;
	m->kind = kind;
	(void)snprintf(m->name, sizeof(m->name), "%s", name);
	(void)snprintf(m->help, sizeof(m->help), "%s", help);
	for (size_t i = 0; m->help[i] != '\0'; i++)
		if (m->help[i] == '\\')
			m->help[i] = '/';
	return m;
}

uint32_t
meter_add(const char *plugin, int32_t kind, const char *name, const char *help)
{
	char full[NAME_BYTES];
	struct meter *m = NULL;
	uint32_t id, n;

	if (!plugin_name_is_sane(name) || !plugin_text_is_sane(help, PLUGIN_TEXT_BYTES) ||
	    kind < LZ_COUNTER || kind > LZ_HISTOGRAM)
		return 0;
	full_name(full, plugin, kind, name);
	(void)pthread_mutex_lock(&lock);
	n = atomic_load(&meter_count);
	for (id = 1; id <= n && strcmp(meters[id - 1]->name, full) != 0; id++)
		;
	if (id > n) {
		m = n < METERS ? meter_new(kind, full, help) : NULL;
		if (m != NULL) {
			meters[n] = m;
			atomic_store(&meter_count, n + 1);
		} else {
			id = 0;
		}
	}
	(void)pthread_mutex_unlock(&lock);
	return id;
}

static void
note_in_bucket(struct meter *m, double value)
{
	size_t b = 0;

	while (b < BOUNDS && value > bounds[b])
		b++;
	(void)atomic_fetch_add_explicit(
	    &m->shard[my_shard()].bucket[b], 1, memory_order_relaxed);
}

void
meter_observe(uint32_t id, double value)
{
	struct meter *m;

	if (id == 0 || id > atomic_load_explicit(&meter_count, memory_order_acquire) ||
	    !isfinite(value))
		return;
	m = meters[id - 1];
	if (m->kind == LZ_COUNTER && value < 0)
		return;
	if (m->kind == LZ_GAUGE) { /* a gauge is set, not added to: one shard */
		atomic_store_explicit(&m->shard[0].sum, value, memory_order_relaxed);
		return;
	}
	if (m->kind == LZ_HISTOGRAM)
		note_in_bucket(m, value);
	add_double(&m->shard[my_shard()].sum, value);
}

/* ---- printing ---- */

static double
sum_of(struct meter *m)
{
	double sum = 0;

	for (size_t i = 0; i < SHARDS; i++)
		sum += atomic_load_explicit(&m->shard[i].sum, memory_order_relaxed);
	return sum;
}

static void
print_histogram(struct buf *out, struct meter *m)
{
	uint64_t count = 0;

	for (size_t b = 0; b <= BOUNDS; b++) {
		for (size_t i = 0; i < SHARDS; i++)
			count += atomic_load_explicit(
			    &m->shard[i].bucket[b], memory_order_relaxed);
		if (b < BOUNDS)
			buf_addf(out, "%s_bucket{le=\"%g\"} %llu\n", m->name, bounds[b],
			    (unsigned long long)count);
		else
			buf_addf(out, "%s_bucket{le=\"+Inf\"} %llu\n", m->name,
			    (unsigned long long)count);
	}
	buf_addf(out, "%s_sum %.15g\n%s_count %llu\n", m->name, sum_of(m), m->name,
	    (unsigned long long)count);
}

static void
print_meter(struct buf *out, struct meter *m)
{
	static const char *const kinds[] = { "counter", "gauge", "histogram" };

	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
	    kinds[m->kind]);
	if (m->kind == LZ_HISTOGRAM)
		print_histogram(out, m);
	else
		buf_addf(out, "%s %.15g\n", m->name, sum_of(m));
}

static void
print_stalls(struct buf *out)
{
	buf_addf(out,
	    "# HELP latenza_plugin_stalls_total Calls of a plugin that held a thread for "
	    "more than %d ms\n"
	    "# TYPE latenza_plugin_stalls_total counter\n",
	    PLUGIN_STALL_US / 1000);
	for (struct plugin *p = registry_plugins(); p != NULL; p = p->next)
		buf_addf(out, "latenza_plugin_stalls_total{plugin=\"%s\"} %llu\n",
		    p->name, (unsigned long long)atomic_load(&p->stalls));
	buf_add_z(out,
	    "# HELP latenza_plugin_stall_seconds_total Time that those calls took\n"
	    "# TYPE latenza_plugin_stall_seconds_total counter\n");
	for (struct plugin *p = registry_plugins(); p != NULL; p = p->next)
		buf_addf(out, "latenza_plugin_stall_seconds_total{plugin=\"%s\"} %.6f\n",
		    p->name, (double)atomic_load(&p->stalled_us) / 1e6);
}

void
meter_print(struct buf *out)
{
	unsigned n = atomic_load_explicit(&meter_count, memory_order_acquire);

	if (registry_plugins() != NULL)
		print_stalls(out);
	for (unsigned i = 0; i < n; i++)
		print_meter(out, meters[i]);
}

/* ---- the stall meter ---- */

RARE void
meter_stall(const struct plugin *stalled, const char *component, int64_t us)
{
	struct plugin *p = (struct plugin *)(uintptr_t)
	    stalled; /* the counters are what changes in one */
	int64_t now = clock_mono_us(), told = atomic_load(&p->stall_told_us);

	(void)atomic_fetch_add_explicit(&p->stalls, 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(
	    &p->stalled_us, (uint64_t)us, memory_order_relaxed);
	if (told != 0 && now - told < TELL_US)
		return;
	if (atomic_compare_exchange_strong(&p->stall_told_us, &told, now))
		log_warn("plugin.stall", "plugin=%s component=%s ms=%lld", p->name,
		    component, (long long)(us / 1000));
}
