/* loop.c - turns, timers, the barrier and work from other threads, over libevent.
 *
 * libevent waits for sockets and for one timeout; everything else is ours, because it
 * must happen in a known order: a turn's callbacks, then timers, tasks, the barrier, and
 * only then the freeing of what callbacks may still have pointed at. Time is read at the
 * first loop_now() of a turn, that is after the wait.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	LOOP_ROUNDS = 8, /* of the barrier in one turn; what is left waits for the next */
	HEAP_FIRST = 64
};

struct loop {
	struct event_base *base;
	struct event alarm, wake;
	int wake_fd;
	_Atomic(struct loop_task *) posted; /* newest first */
	atomic_bool is_stopping;

	struct moment now;
	bool is_stale; /* `now` is of an earlier turn */

	struct loop_timer **heap; /* heap[1] is due first */
	size_t timers, room;
	int64_t alarm_us; /* what libevent was told; INT64_MAX: nothing */

	struct loop_wait *waits, **last_wait; /* for the next flush */
	struct loop_wait *batch;              /* flushed, being run */
	enum status (*flush)(void *arg);
	void *flush_arg;
	bool wants_flush;

	struct loop_later *laters, **last_later;
};

/* Time. */

const struct moment *
loop_now(const struct loop *l)
{
	struct loop *cache = (struct loop *)
	    l; /* logically const: the first asker of a turn reads the clock */

	if (l->is_stale) {
		clock_read(&cache->now);
		cache->is_stale = false;
	}
	return &l->now;
}

/* Timers: a binary heap by due time. Each timer knows its place, so moving and cancelling
 * need no search. */

static void
heap_put(struct loop *l, size_t place, struct loop_timer *t)
{
	l->heap[place] = t;
	t->place = place;
}

static void
heap_rise(struct loop *l, size_t place, struct loop_timer *t)
{
	while (place > 1 && l->heap[place / 2]->due_us > t->due_us) {
		heap_put(l, place, l->heap[place / 2]);
		place /= 2;
	}
	heap_put(l, place, t);
}

static void
heap_sink(struct loop *l, size_t place, struct loop_timer *t)
{
	size_t child;

	while ((child = place * 2) <= l->timers) {
		if (child < l->timers &&
		    l->heap[child + 1]->due_us < l->heap[child]->due_us)
			child++;
		if (l->heap[child]->due_us >= t->due_us)
			break;
		heap_put(l, place, l->heap[child]);
		place = child;
	}
	heap_put(l, place, t);
}

static bool
heap_grow(struct loop *l)
{
	size_t room = l->room > 0 ? l->room * 2 : HEAP_FIRST;
	struct loop_timer **heap =
	    mem_realloc(l->heap, (room + 1) * sizeof(struct loop_timer *));

	if (heap == NULL)
		return false;
	l->heap = heap;
	l->room = room;
	return true;
}

/* Never due in the turn that sets it, so that a timer which sets itself to 0 cannot hold
 * the turn. */
enum status
loop_timer_set(
    struct loop *l, struct loop_timer *t, int64_t after_us, loop_fn *fn, void *arg)
{
	int64_t now = loop_now(l)->mono_us;
	int64_t before = t->due_us;
	size_t place = t->place;

	if (place == 0 && l->timers == l->room && !heap_grow(l))
		return ST_NOMEM;
	if (after_us < 1)
		after_us = 1;
	t->due_us = after_us < INT64_MAX - now ? now + after_us : INT64_MAX;
	t->fn = fn;
	t->arg = arg;
	if (place == 0)
		heap_rise(l, ++l->timers, t);
	else if (t->due_us < before)
		heap_rise(l, place, t);
	else
		heap_sink(l, place, t);
	return ST_OK;
}

void
loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
	size_t place = t->place;
	struct loop_timer *last;

	if (place == 0)
		return;
	t->place = 0;
	last = l->heap[l->timers--];
	if (last == t)
		return;
	if (place > 1 && l->heap[place / 2]->due_us > last->due_us)
		heap_rise(l, place, last);
	else
		heap_sink(l, place, last);
}

static void
run_timers(struct loop *l)
{
	int64_t now;
	struct loop_timer *t;

	if (l->timers == 0)
		return;
	now = loop_now(l)->mono_us;
	while (l->timers > 0 && (t = l->heap[1])->due_us <= now) {
		loop_timer_cancel(l, t);
		t->fn(t->arg);
	}
}

/* Tells libevent of the first timer, but only when it is earlier than what it knows: a
 * wake-up too many now and then is cheaper than moving the timeout in every turn. */
static void
set_alarm(struct loop *l)
{
	struct timeval tv;
	int64_t left;

	if (l->timers == 0 || l->heap[1]->due_us >= l->alarm_us)
		return;
	left = l->heap[1]->due_us - loop_now(l)->mono_us;
	if (left < 1)
		left = 1;
	tv.tv_sec = (time_t)(left / 1000000);
	tv.tv_usec = (suseconds_t)(left % 1000000);
	if (event_add(&l->alarm, &tv) == 0)
		l->alarm_us = l->heap[1]->due_us;
	else
		log_error("net.alarm", "error=\"the event library refused a timeout\"");
}

static void
on_alarm(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	l->alarm_us = INT64_MAX;
}

/* Work from other threads: a stack that anybody may push on, and that the loop takes
 * whole. */

static void
wake_up(struct loop *l)
{
	uint64_t one = 1;

	/* EAGAIN means that the counter is full: the loop is being woken already. */
	while (io.write(l->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	(void)arg;
	while (io.read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

void
loop_post(struct loop *l, struct loop_task *t, loop_fn *fn, void *arg)
{
	struct loop_task *head = atomic_load(&l->posted);

	t->fn = fn;
	t->arg = arg;
	do
		t->next = head;
	while (!atomic_compare_exchange_weak(&l->posted, &head, t));
	if (head == NULL)
		wake_up(l);
}

static void
run_tasks(struct loop *l)
{
	struct loop_task *newest, *oldest = NULL, *next;

	if (atomic_load(&l->posted) == NULL)
		return;
	for (newest = atomic_exchange(&l->posted, NULL); newest != NULL; newest = next) {
		next = newest->next;
		newest->next = oldest;
		oldest = newest;
	}
	for (; oldest != NULL; oldest = next) {
		next = oldest->next;
		oldest->fn(oldest->arg);
	}
}

void
loop_stop(struct loop *l)
{
	atomic_store(&l->is_stopping, true);
	wake_up(l);
}

/* The barrier. */

void
loop_barrier(struct loop *l, struct loop_wait *w,
    void (*fn)(void *arg, enum status flushed), void *arg)
{
	w->fn = fn;
	w->arg = arg;
	w->next = NULL;
	w->link = l->last_wait;
	*l->last_wait = w;
	l->last_wait = &w->next;
}

void
loop_barrier_cancel(struct loop *l, struct loop_wait *w)
{
	if (w->link == NULL)
		return;
	*w->link = w->next;
	if (w->next != NULL)
		w->next->link = w->link;
	else if (l->last_wait == &w->next)
		l->last_wait = w->link;
	w->link = NULL;
}

void
loop_set_flush(struct loop *l, enum status (*flush)(void *arg), void *arg)
{
	l->flush = flush;
	l->flush_arg = arg;
}

void
loop_want_flush(struct loop *l)
{
	l->wants_flush = true;
}

static bool
is_flush_due(const struct loop *l)
{
	return l->waits != NULL || l->wants_flush;
}

/* One flush, and the waits that were queued before it. What those append or queue is
 * another round's. */
static void
barrier_round(struct loop *l)
{
	enum status flushed;
	struct loop_wait *w;

	l->batch = l->waits;
	if (l->batch != NULL)
		l->batch->link = &l->batch;
	l->waits = NULL;
	l->last_wait = &l->waits;
	l->wants_flush = false;
	flushed = l->flush != NULL ? l->flush(l->flush_arg) : ST_OK;
	while ((w = l->batch) != NULL) {
		loop_barrier_cancel(l, w);
		w->fn(w->arg, flushed);
	}
}

static void
run_barrier(struct loop *l)
{
	unsigned rounds;

	for (rounds = 0; rounds < LOOP_ROUNDS && is_flush_due(l); rounds++)
		barrier_round(l);
}

/* The end of a turn. */

void
loop_later(struct loop *l, struct loop_later *node, loop_fn *fn, void *arg)
{
	node->fn = fn;
	node->arg = arg;
	node->next = NULL;
	*l->last_later = node;
	l->last_later = &node->next;
}

static void
run_laters(struct loop *l)
{
	struct loop_later *node;

	while ((node = l->laters) != NULL) {
		l->laters = node->next;
		if (l->laters == NULL)
			l->last_later = &l->laters;
		node->fn(node->arg);
	}
}

static void
turn(struct loop *l)
{
	int flags = EVLOOP_ONCE;

	if (is_flush_due(l))
		flags |= EVLOOP_NONBLOCK;
	l->is_stale = true;
	set_alarm(l);
	l->is_stale = true;
	if (event_base_loop(l->base, flags) < 0)
		log_error("net.loop", "error=\"the event library cannot wait\" errno=%d",
		    errno);
	run_timers(l);
	run_tasks(l);
	run_barrier(l);
	run_laters(l);
}

void
loop_run(struct loop *l)
{
	while (!atomic_load(&l->is_stopping))
		turn(l);
	atomic_store(&l->is_stopping, false);
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

/* Life. */

void
loop_start(void)
{
	event_set_mem_functions(mem_alloc, mem_realloc, mem_free);
}

static struct event_base *
open_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config != NULL &&
	    event_config_set_flag(config,
		EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0)
		base = event_base_new_with_config(config);
	if (config != NULL)
		event_config_free(config);
	return base;
}

static enum status
open_wake(struct loop *l)
{
	static const struct timeval far_off = { .tv_sec = 1000000 };

	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake_fd < 0)
		return ST_IO;
	if (event_assign(&l->alarm, l->base, -1, 0, on_alarm, l) != 0 ||
	    event_assign(
		&l->wake, l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l) != 0 ||
	    event_add(&l->wake, NULL) != 0)
		return ST_NOMEM;
	/* libevent keeps room for as many timeouts as there ever were at once. So there
	 * is room for the alarm from now on, and setting it needs no memory. */
	if (event_add(&l->alarm, &far_off) != 0)
		return ST_NOMEM;
	(void)event_del(&l->alarm);
	return ST_OK;
}

struct loop *
loop_new(struct err *e)
{
	struct loop *l = mem_zalloc(sizeof(*l));

	if (l == NULL) {
		(void)err_fail(e, ST_NOMEM, "event loop: out of memory");
		return NULL;
	}
	l->wake_fd = -1;
	l->is_stale = true;
	l->alarm_us = INT64_MAX;
	l->last_wait = &l->waits;
	l->last_later = &l->laters;
	l->base = open_base();
	if (l->base == NULL || open_wake(l) != ST_OK) {
		(void)err_fail(e, ST_IO,
		    "event loop: cannot be opened, errno %d; more file descriptors or "
		    "memory are needed",
		    errno);
		loop_free(l);
		return NULL;
	}
	return l;
}

void
loop_run_posted(struct loop *l)
{
	if (l != NULL)
		run_tasks(l);
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	run_tasks(l);
	run_laters(l);
	if (l->wake_fd >= 0) {
		(void)event_del(&l->wake);
		(void)event_del(&l->alarm);
		(void)io.close(l->wake_fd);
	}
	if (l->base != NULL)
		event_base_free(l->base);
	mem_free(l->heap);
	mem_free(l);
}
