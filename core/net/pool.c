/* pool.c - a bounded queue, a lock and a few threads.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/pool.h"

#include <pthread.h>
#include <signal.h>

#include "base/mem.h"
#include "base/metric.h"

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t news; /* a job came, or the end */
	struct pool_job *first, **last;
	unsigned queued, max_queue;
	bool is_ending;
	unsigned threads;
	pthread_t thread[];
};

/* The next job, or NULL when there is none and none will come. */
static struct pool_job *
take_job(struct pool *p)
{
	struct pool_job *j;

	(void)pthread_mutex_lock(&p->lock);
	while (p->first == NULL && !p->is_ending)
		(void)pthread_cond_wait(&p->news, &p->lock);
	j = p->first;
	if (j != NULL) {
		p->first = j->next;
		if (p->first == NULL)
			p->last = &p->first;
		p->queued--;
	}
	(void)pthread_mutex_unlock(&p->lock);
	return j;
}

static void *
run_thread(void *arg)
{
	struct pool *p = arg;
	struct pool_job *j;

	(void)pthread_setname_np(pthread_self(), "pool");
	metric_thread_start();
	while ((j = take_job(p)) != NULL) {
		j->work(j->arg);
		loop_post(j->loop, &j->task, j->home, j->arg);
	}
	return NULL;
}

enum status
pool_run(struct pool *p, struct pool_job *j)
{
	enum status st = ST_OK;

	j->next = NULL;
	(void)pthread_mutex_lock(&p->lock);
	if (p->queued == p->max_queue || p->is_ending) {
		st = ST_LIMIT;
	} else {
		*p->last = j;
		p->last = &j->next;
		p->queued++;
		(void)pthread_cond_signal(&p->news);
	}
	(void)pthread_mutex_unlock(&p->lock);
	return st;
}

/* Signals belong to the main thread: the pool's threads are born with all of them
 * blocked. */
static bool
start_threads(struct pool *p, unsigned wanted)
{
	sigset_t all, before;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	while (p->threads < wanted &&
	       pthread_create(&p->thread[p->threads], NULL, run_thread, p) == 0)
		p->threads++;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return p->threads == wanted;
}

struct pool *
pool_new(unsigned threads, unsigned max_queue, struct err *e)
{
	struct pool *p = mem_zalloc(sizeof(*p) + threads * sizeof(pthread_t));

	if (p == NULL) {
		(void)err_fail(e, ST_NOMEM, "thread pool: out of memory");
		return NULL;
	}
	/* Cannot fail on Linux with default attributes. */
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->news, NULL);
	p->last = &p->first;
	p->max_queue = max_queue;
	if (!start_threads(p, threads)) {
		(void)err_fail(e, ST_LIMIT,
		    "thread pool: only %u of %u threads could be started; the system's "
		    "limit is reached",
		    p->threads, threads);
		pool_free(p);
		return NULL;
	}
	return p;
}

void
pool_free(struct pool *p)
{
	unsigned i;

	if (p == NULL)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->is_ending = true;
	(void)pthread_cond_broadcast(&p->news);
	(void)pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->threads; i++)
		(void)pthread_join(p->thread[i], NULL);
	(void)pthread_cond_destroy(&p->news);
	(void)pthread_mutex_destroy(&p->lock);
	mem_free(p);
}
