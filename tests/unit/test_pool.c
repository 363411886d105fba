/* test_pool.c - threads for what would hold a loop up.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "net/pool.h"

enum {
	JOBS = 200
};

static struct loop *loop;
static atomic_uint worked;
static unsigned came_home;
static pthread_t main_thread;
static sem_t gate;

static int
set_up(void **state)
{
	(void)state;
	loop = loop_new(NULL);
	main_thread = pthread_self();
	atomic_store(&worked, 0);
	came_home = 0;
	return loop == NULL || sem_init(&gate, 0, 0) != 0;
}

static int
tear_down(void **state)
{
	(void)state;
	loop_free(loop);
	mem_set_fault(NULL, NULL);
	return sem_destroy(&gate);
}

static void
work(void *arg)
{
	(void)arg;
	assert_false(pthread_equal(pthread_self(), main_thread));
	atomic_fetch_add(&worked, 1);
}

static void
work_when_let(void *arg)
{
	(void)sem_wait(&gate);
	work(arg);
}

/* arg: how many there are in all */
static void
home(void *arg)
{
	assert_true(pthread_equal(pthread_self(), main_thread));
	if (++came_home == *(unsigned *)arg)
		loop_stop(loop);
}

static struct pool_job
job(void (*fn)(void *arg), unsigned *count)
{
	return (struct pool_job){ .work = fn, .home = home, .arg = count, .loop = loop };
}

static void
jobs_run_on_other_threads_and_come_home_to_their_loop(void **state)
{
	static struct pool_job jobs[JOBS];
	unsigned count = JOBS, i;
	struct pool *p = pool_new(3, JOBS, NULL);

	(void)state;
	assert_non_null(p);
	for (i = 0; i < JOBS; i++) {
		jobs[i] = job(work, &count);
		assert_int_equal(pool_run(p, &jobs[i]), ST_OK);
	}
	loop_run(loop);
	assert_int_equal(came_home, JOBS);
	assert_int_equal(atomic_load(&worked), JOBS);
	pool_free(p);
}

static void
a_full_queue_refuses_and_what_it_holds_still_runs_at_the_end(void **state)
{
	struct pool_job jobs[4];
	unsigned count = 3, i, queued = 0;
	struct pool *p = pool_new(1, 2, NULL);

	(void)state;
	assert_non_null(p);
	for (i = 0; i < 4; i++)
		jobs[i] = job(work_when_let, &count);
	/* The thread takes one off the queue when it gets to it; then two more fit. */
	while (queued < 3) {
		if (pool_run(p, &jobs[queued]) == ST_OK)
			queued++;
	}
	assert_int_equal(pool_run(p, &jobs[3]), ST_LIMIT);
	for (i = 0; i < 3; i++)
		(void)sem_post(&gate);
	pool_free(p);
	assert_int_equal(atomic_load(&worked), 3);
	loop_run(loop);
	assert_int_equal(came_home, 3);
}

static int
refuse_all(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return 1;
}

static void
without_memory_there_is_a_sentence_and_no_pool(void **state)
{
	struct err e = { .text = "" };

	(void)state;
	mem_set_fault(refuse_all, NULL);
	assert_null(pool_new(1, 1, &e));
	assert_true(e.text[0] != '\0');
	pool_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(jobs_run_on_other_threads_and_come_home_to_their_loop),
		TEST(a_full_queue_refuses_and_what_it_holds_still_runs_at_the_end),
		TEST(without_memory_there_is_a_sentence_and_no_pool),
	};

	loop_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
