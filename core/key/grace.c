/* grace.c - one round of tasks through all loops at a time, for everything that was put
 * since the last round.
 *
 * A reload that replaces 100,000 keys costs a task per loop, not a task per key and loop,
 * and no memory at all: the nodes are in the items, the tasks in struct grace.
 *
 * The loops hold pointers to the tasks while a round runs. If grace_free() comes in the
 * middle of one, nobody looks any more, so the items go at once, but the struct waits for
 * its last task.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/grace.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "base/mem.h"

struct grace {
	pthread_mutex_t lock;       /* of what follows */
	struct grace_item *waiting; /* for the next round */
	struct grace_item *passing; /* for the end of this one */
	bool is_running, is_closed;
	atomic_uint left; /* loops that have not passed a turn in this round */
	struct loop *const *loops;
	unsigned loop_count;
	struct loop_task task[];
};

struct grace *
grace_new(struct loop *const *loops, unsigned loop_count)
{
	struct grace *g = mem_zalloc(sizeof(*g) + loop_count * sizeof(g->task[0]));

	if (g == NULL)
		return NULL;
	pthread_mutex_init(&g->lock, NULL);
	g->loops = loops;
	g->loop_count = loop_count;
	return g;
}

static void
destroy(struct grace *g)
{
	pthread_mutex_destroy(&g->lock);
	mem_free(g);
}

static void
run(struct grace_item *item)
{
	while (item != NULL) {
		struct grace_item *next = item->next;

		item->fn(item);
		item = next;
	}
}

static void passed(void *arg);

/* Under the lock. Every task of the round before has run. */
static void
start_round(struct grace *g)
{
	g->is_running = true;
	g->passing = g->waiting;
	g->waiting = NULL;
	atomic_store(&g->left, g->loop_count);
	for (unsigned i = 0; i < g->loop_count; i++)
		loop_post(g->loops[i], &g->task[i], passed, g);
}

static void
end_round(struct grace *g)
{
	struct grace_item *done;
	bool is_closed;

	pthread_mutex_lock(&g->lock);
	is_closed = g->is_closed;
	done = g->passing;
	g->passing = NULL;
	g->is_running = false;
	if (g->waiting != NULL && !is_closed)
		start_round(g);
	pthread_mutex_unlock(&g->lock);
	run(done);
	if (is_closed)
		destroy(g);
}

static void
passed(void *arg)
{
	struct grace *g = arg;

	if (atomic_fetch_sub(&g->left, 1) == 1)
		end_round(g);
}

void
grace_put(struct grace *g, struct grace_item *item, void (*fn)(struct grace_item *item))
{
	item->fn = fn;
	if (g->loop_count == 0) {
		fn(item);
		return;
	}
	pthread_mutex_lock(&g->lock);
	item->next = g->waiting;
	g->waiting = item;
	if (!g->is_running)
		start_round(g);
	pthread_mutex_unlock(&g->lock);
}

void
grace_free(struct grace *g)
{
	struct grace_item *passing, *waiting;
	bool is_running;

	if (g == NULL)
		return;
	pthread_mutex_lock(&g->lock);
	passing = g->passing;
	waiting = g->waiting;
	g->passing = g->waiting = NULL;
	is_running = g->is_running;
	g->is_closed = true;
	pthread_mutex_unlock(&g->lock);
	run(passing);
	run(waiting);
	if (!is_running)
		destroy(g);
}
