/* grace.h - lets go of what workers read without a lock, once none of them can still be
 * looking at it.
 *
 * A worker looks something up and takes its reference within one callback of its loop. So
 * when every loop has begun another turn since the thing was unpublished, nobody is
 * between the two any more.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_GRACE_H
#define KEY_GRACE_H

#include "net/loop.h"

struct grace;

struct grace_item { /* lives in what is let go of */
	struct grace_item *next;
	void (*fn)(struct grace_item *item);
};

/* loops: borrowed until grace_free(). NULL: out of memory. [main] */
struct grace *grace_new(struct loop *const *loops, unsigned loop_count);
/* Runs what still waits. The loops' threads have ended, the loops are not freed yet. NULL
 * is fine. [main] */
void grace_free(struct grace *g);
/* Calls fn(item) when every loop has passed a turn, on any thread; without loops at once.
 * Unpublish first. [main] */
void grace_put(
    struct grace *g, struct grace_item *item, void (*fn)(struct grace_item *item));

#endif
