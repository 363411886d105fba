/* pool.h - a few threads for what would hold a loop up: large JSON trees, plugins'
 * offloaded work.
 *
 * Bounded queue; results come home to the loop that asked.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_POOL_H
#define NET_POOL_H

#include "net/loop.h"

struct pool;
struct pool_job {
	struct pool_job *next;
	void (*work)(void *arg); /* [any], a pool thread */
	loop_fn *home;           /* on `loop`, after work() */
	void *arg;
	struct loop *loop;
	struct loop_task task;
};
/* owned: pool_free(). [main] */
struct pool *pool_new(unsigned threads, unsigned max_queue, struct err *e);
void pool_free(struct pool *p); /* waits for running jobs; queued ones still run */
/* ST_LIMIT: the queue is full. The job is the caller's until home() ran. [any] */
enum status pool_run(struct pool *p, struct pool_job *j) MUST_CHECK;

#endif
