/* metric.c - cells for every thread, and their sum as Prometheus text.
 *
 * Each thread adds to cells of its own; a reader adds up what it finds. A sum taken while
 * others count is one that held at no single moment, but no count is ever lost or goes
 * down, which is all that Prometheus asks for. A histogram's row uses the label cells for
 * its buckets, not cumulated, and the last of them for its sum.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/metric.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>

/* Upper bounds in microseconds, about 2.2 times apart. Our own part of a request lies in
 * the first five; the others reach from a cached answer to the longest stream. */
static const int64_t bounds_us[] = { 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000,
	25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
	25000000, 50000000, 100000000, 250000000, 600000000 };

enum {
	BOUNDS = sizeof(bounds_us) / sizeof(*bounds_us),
	SUM_CELL = METRIC_LABELS - 1
};
_Static_assert(
    BOUNDS + 1 < METRIC_LABELS, "a histogram's buckets and sum fit into a row's cells");

struct cells {
	alignas(64) _Atomic int64_t of[METRIC_COUNT][METRIC_LABELS];
	alignas(64) _Atomic int64_t named[METRIC_NAMES][METRIC_NAME_LABELS];
};

static const struct {
	const char *name, *label, *help;
	enum metric_kind kind;
} rows[METRIC_COUNT] = {
#define METRIC_ROW(id, kind, name, label, help)                                          \
	[METRIC_##id] = { name, label, help, kind },
	METRIC_ROWS(METRIC_ROW)
#undef METRIC_ROW
};

static const char *const kind_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_NANO] = "counter",
	[METRIC_SECONDS] = "histogram",
	[METRIC_NAMED] = "counter",
};

static struct {
	const char *const *names;
	unsigned count;
} labels[METRIC_COUNT];

static char known[METRIC_NAMES][METRIC_NAME_BYTES + 1] = { "_other" };
static _Atomic unsigned known_count = 1; /* a name is whole before it is counted here */

/* The kernel gives a thread's pages when it first counts. Slot 0 belongs to all who did
 * not ask for their own. */
static struct cells threads[METRIC_THREADS];
static _Atomic unsigned threads_used = 1;
static _Thread_local struct cells *mine = &threads[0];

/* ---- counting ---- */

void
metric_thread_start(void)
{
	unsigned slot;

	if (mine != &threads[0])
		return;
	slot = atomic_fetch_add_explicit(&threads_used, 1, memory_order_relaxed);
	if (slot < METRIC_THREADS)
		mine = &threads[slot];
}

static inline void
add(enum metric m, size_t cell, int64_t by)
{
	atomic_fetch_add_explicit(&mine->of[m][cell], by, memory_order_relaxed);
}

void
metric_add(enum metric m, int64_t by)
{
	add(m, 0, by);
}

void
metric_add_label(enum metric m, unsigned label, int64_t by)
{
	must(label < METRIC_LABELS);
	add(m, label, by);
}

void
metric_time(enum metric m, int64_t us)
{
	size_t low = 0, high = BOUNDS;

	if (us < 0)
		us = 0;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (us <= bounds_us[middle])
			high = middle;
		else
			low = middle + 1;
	}
	add(m, low, 1);
	add(m, SUM_CELL, us);
}

unsigned
metric_name(lz_str name)
{
	unsigned used = atomic_load_explicit(&known_count, memory_order_relaxed);

	must(name.len <= METRIC_NAME_BYTES);
	for (unsigned i = 1; i < used; i++)
		if (str_is(name, known[i]))
			return i;
	if (used == METRIC_NAMES)
		return 0;
	memcpy(known[used], name.ptr, name.len);
	atomic_store_explicit(&known_count, used + 1, memory_order_release);
	return used;
}

void
metric_add_named(unsigned name, unsigned label, int64_t by)
{
	must(name < METRIC_NAMES && label < METRIC_NAME_LABELS);
	atomic_fetch_add_explicit(&mine->named[name][label], by, memory_order_relaxed);
}

void
metric_label_names(enum metric m, const char *const *names, unsigned count)
{
	must(
	    rows[m].label != NULL &&
	    count <= (rows[m].kind == METRIC_NAMED ? METRIC_NAME_LABELS : METRIC_LABELS));
	labels[m].names = names;
	labels[m].count = count;
}

/* ---- reading ---- */

static unsigned
thread_count(void)
{
	unsigned used = atomic_load_explicit(&threads_used, memory_order_relaxed);

	return used < METRIC_THREADS ? used : METRIC_THREADS;
}

static int64_t
cell_sum(enum metric m, size_t cell)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < thread_count(); i++)
		sum +=
		    atomic_load_explicit(&threads[i].of[m][cell], memory_order_relaxed);
	return sum;
}

static int64_t
named_sum(unsigned name, unsigned label)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < thread_count(); i++)
		sum += atomic_load_explicit(
		    &threads[i].named[name][label], memory_order_relaxed);
	return sum;
}

int64_t
metric_sum(enum metric m)
{
	size_t cells = rows[m].kind == METRIC_SECONDS ? BOUNDS + 1 : METRIC_LABELS;
	int64_t sum = 0;

	for (size_t i = 0; i < cells; i++)
		sum += cell_sum(m, i);
	return sum;
}

/* In a help text backslash and newline are escaped, in a label's value the quote too. */
static void
add_escaped(struct buf *out, const char *text, bool is_value)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n') {
			buf_add_z(out, "\\n");
			continue;
		}
		if (*text == '\\' || (*text == '"' && is_value))
			buf_add_char(out, '\\');
		buf_add_char(out, *text);
	}
}

static void
add_head(struct buf *out, enum metric m)
{
	buf_add_z(out, "# HELP ");
	buf_add_z(out, rows[m].name);
	buf_add_char(out, ' ');
	add_escaped(out, rows[m].help, false);
	buf_add_z(out, "\n# TYPE ");
	buf_add_z(out, rows[m].name);
	buf_add_char(out, ' ');
	buf_add_z(out, kind_names[rows[m].kind]);
	buf_add_char(out, '\n');
}

static void
add_value(struct buf *out, enum metric m, int64_t v)
{
	buf_add_char(out, ' ');
	if (rows[m].kind == METRIC_NANO)
		buf_add_nano(out, v);
	else
		buf_add_int(out, v);
	buf_add_char(out, '\n');
}

static void
add_label(struct buf *out, const char *label, const char *value)
{
	buf_add_z(out, label);
	buf_add_z(out, "=\"");
	add_escaped(out, value, true);
	buf_add_char(out, '"');
}

/* One number for each name and value of the label; those of no name once they counted
 * something. */
static void
add_named_samples(struct buf *out, enum metric m)
{
	unsigned used = atomic_load_explicit(&known_count, memory_order_acquire);

	for (unsigned name = 0; name < used; name++) {
		for (unsigned i = 0; i < labels[m].count; i++) {
			int64_t v = named_sum(name, i);

			if (name == 0 && v == 0)
				continue;
			buf_add_z(out, rows[m].name);
			buf_add_char(out, '{');
			add_label(out, "guardrail", known[name]);
			buf_add_char(out, ',');
			add_label(out, rows[m].label, labels[m].names[i]);
			buf_add_char(out, '}');
			add_value(out, m, v);
		}
	}
}

/* One number, or one for each value of the label. A value whose name nobody registered
 * shows as its number, and only once it counted something. */
static void
add_samples(struct buf *out, enum metric m)
{
	char number[12];

	if (rows[m].label == NULL) {
		buf_add_z(out, rows[m].name);
		add_value(out, m, metric_sum(m));
		return;
	}
	for (unsigned i = 0; i < METRIC_LABELS; i++) {
		int64_t v = cell_sum(m, i);
		bool has_name = i < labels[m].count && labels[m].names[i] != NULL;

		if (!has_name && v == 0)
			continue;
		buf_add_z(out, rows[m].name);
		buf_add_char(out, '{');
		(void)snprintf(number, sizeof(number), "%u", i);
		add_label(out, rows[m].label, has_name ? labels[m].names[i] : number);
		buf_add_char(out, '}');
		add_value(out, m, v);
	}
}

static void
add_us_as_seconds(struct buf *out, int64_t us)
{
	/* 290,000 years of microseconds fit as nanoseconds only in part; a sum of times
	 * does not wrap there. */
	if (us <= INT64_MAX / 1000)
		buf_add_nano(out, us * 1000);
	else
		buf_add_int(out, us / 1000000);
}

/* _count is the sum of the buckets that were just printed, so that it equals the last one
 * even while others count, as the format demands. */
static void
add_histogram(struct buf *out, enum metric m)
{
	int64_t count = 0;

	for (size_t i = 0; i <= BOUNDS; i++) {
		count += cell_sum(m, i);
		buf_add_z(out, rows[m].name);
		buf_add_z(out, "_bucket{le=\"");
		if (i < BOUNDS)
			add_us_as_seconds(out, bounds_us[i]);
		else
			buf_add_z(out, "+Inf");
		buf_add_z(out, "\"} ");
		buf_add_int(out, count);
		buf_add_char(out, '\n');
	}
	buf_add_z(out, rows[m].name);
	buf_add_z(out, "_sum ");
	add_us_as_seconds(out, cell_sum(m, SUM_CELL));
	buf_add_char(out, '\n');
	buf_add_z(out, rows[m].name);
	buf_add_z(out, "_count ");
	buf_add_int(out, count);
	buf_add_char(out, '\n');
}

void
metric_print(struct buf *out)
{
	for (enum metric m = 0; m < METRIC_COUNT; m++) {
		add_head(out, m);
		if (rows[m].kind == METRIC_SECONDS)
			add_histogram(out, m);
		else if (rows[m].kind == METRIC_NAMED)
			add_named_samples(out, m);
		else
			add_samples(out, m);
	}
}
