/* loop.h - one thread's event loop: turns, timers, the barrier, work from other threads.
 *
 * A turn is: wait for events, run their callbacks, run expired timers and posted tasks,
 * flush (one write to the spool), run what waited at the barrier, free what was put off.
 * Only net/ sees libevent; other rooms see this.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/clock.h"
#include "base/status.h"

struct loop;
typedef void loop_fn(void *arg);

/* Before the first loop: libevent allocates through base/mem.h. [start] */
void loop_start(void);
struct loop *loop_new(struct err *e); /* owned: loop_free() */
/* After loop_run(): runs what loop_post() holds, for who must not be gone by then. */
void loop_run_posted(struct loop *l);
/* After loop_run(); runs what loop_post() and loop_later() still hold. */
void loop_free(struct loop *l);
/* Until loop_stop(). The calling thread becomes the loop's own. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l); /* [any] ends after the current turn */
const struct moment *loop_now(const struct loop *l); /* read once per turn */
struct event_base *loop_base(struct loop *l);        /* for net/ only */

/* A timer lives inside its owner's struct, zeroed before first use. Setting it again
 * moves it. It fires once, at the earliest in the next turn, after that turn's events.
 * ST_NOMEM: only when it was not set before. */
struct loop_timer {
	int64_t due_us; /* monotonic */
	size_t place;   /* in the heap, from 1; 0: not set */
	loop_fn *fn;
	void *arg;
};
enum status loop_timer_set(struct loop *l, struct loop_timer *t, int64_t after_us,
    loop_fn *fn, void *arg) MUST_CHECK;
/* Not set: nothing happens. */
void loop_timer_cancel(struct loop *l, struct loop_timer *t);

/* Runs fn at the end of this turn, in the order of the calls: for freeing what callers
 * further up may still look at. The node lives in the object. */
struct loop_later {
	struct loop_later *next;
	loop_fn *fn;
	void *arg;
};
void loop_later(struct loop *l, struct loop_later *node, loop_fn *fn, void *arg);

/* [any] Runs fn on the loop's thread in one of its next turns. The node is the caller's
 * until fn runs. */
struct loop_task {
	struct loop_task *next;
	loop_fn *fn;
	void *arg;
};
void loop_post(struct loop *l, struct loop_task *t, loop_fn *fn, void *arg);

/* The barrier: fn runs at the end of this turn, after the flush, with its result: ST_OK
 * means that all that was appended to the spool before loop_barrier() is written.
 * Upstream sends and last bytes wait here. A wait may be withdrawn with
 * loop_barrier_cancel(). The node lives in the caller's object, zeroed before first use.
 * What fn appends to the spool is flushed before anything that waits for it, in the same
 * turn. */
struct loop_wait {
	struct loop_wait *next, **link;
	void (*fn)(void *arg, enum status flushed);
	void *arg;
};
void loop_barrier(struct loop *l, struct loop_wait *w,
    void (*fn)(void *arg, enum status flushed), void *arg);
void loop_barrier_cancel(struct loop *l, struct loop_wait *w);
/* Who writes the spool: called at the end of a turn in which somebody waits or asked by
 * loop_want_flush(). */
void loop_set_flush(struct loop *l, enum status (*flush)(void *arg), void *arg);
/* Nobody waits, but write at the end of this turn. */
void loop_want_flush(struct loop *l);

#endif
