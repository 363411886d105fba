/* test_loop.c - turns, timers, the barrier, work from other threads.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/loop.h"

enum {
	TIMERS = 500,
	POSTS = 1000,
	POSTERS = 4
};

static struct loop *loop;
static char notes[256]; /* what ran, in order: one letter each */
static size_t noted;

static struct moment test_time;

static void
read_test_time(struct moment *m)
{
	*m = test_time;
}

static int
set_up(void **state)
{
	struct err e;

	(void)state;
	noted = 0;
	notes[0] = '\0';
	loop = loop_new(&e);
	return loop == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	loop_free(loop);
	clock_set_source(NULL);
	mem_set_fault(NULL, NULL);
	return 0;
}

static void
note(char c)
{
	assert_true(noted < sizeof(notes) - 1);
	notes[noted++] = c;
	notes[noted] = '\0';
}

/* arg: a letter */
static void
note_it(void *arg)
{
	note(*(const char *)arg);
}

static void
stop(void *arg)
{
	(void)arg;
	note('!');
	loop_stop(loop);
}

static void
set(struct loop_timer *t, int64_t after_us, loop_fn *fn, const void *arg)
{
	assert_int_equal(
	    loop_timer_set(loop, t, after_us, fn, (void *)(uintptr_t)arg), ST_OK);
}

static void
timers_fire_in_the_order_of_their_due_times(void **state)
{
	struct loop_timer a = { 0 }, b = { 0 }, c = { 0 }, end = { 0 };

	(void)state;
	set(&end, 4000, stop, NULL);
	set(&c, 3000, note_it, "c");
	set(&a, 1000, note_it, "a");
	set(&b, 2000, note_it, "b");
	loop_run(loop);
	assert_string_equal(notes, "abc!");
}

static void
a_timer_set_again_moves_and_one_cancelled_is_silent(void **state)
{
	struct loop_timer a = { 0 }, b = { 0 }, c = { 0 }, end = { 0 };

	(void)state;
	set(&a, 1000, note_it, "a");
	set(&b, 2000, note_it, "b");
	set(&c, 1500, note_it, "c");
	set(&end, 4000, stop, NULL);
	set(&a, 3000, note_it, "A");
	loop_timer_cancel(loop, &c);
	loop_timer_cancel(loop, &c);
	assert_int_equal(c.place, 0);
	loop_run(loop);
	assert_string_equal(notes, "bA!");
	assert_int_equal(a.place, 0);
}

static int64_t last_due;
static unsigned fired;

static void
check_order(void *arg)
{
	const struct loop_timer *t = arg;

	assert_true(t->due_us >= last_due);
	last_due = t->due_us;
	if (++fired == TIMERS / 2)
		loop_stop(loop);
}

static void
many_timers_set_moved_and_cancelled_at_random_keep_their_order(void **state)
{
	static struct loop_timer timer[TIMERS];
	unsigned i;

	(void)state;
	srand(1);
	last_due = 0;
	fired = 0;
	for (i = 0; i < TIMERS; i++)
		set(&timer[i], rand() % 20000, check_order, &timer[i]);
	for (i = 0; i < TIMERS; i++)
		set(&timer[rand() % TIMERS], rand() % 20000, check_order, &timer[0]);
	for (i = 0; i < TIMERS; i++)
		timer[i].arg = &timer[i];
	for (i = 0; i < TIMERS; i += 2)
		loop_timer_cancel(loop, &timer[i]);
	loop_run(loop);
	assert_int_equal(fired, TIMERS / 2);
}

static unsigned rearmed;

static void
rearm(void *arg)
{
	struct loop_timer *t = arg;

	if (++rearmed == 100)
		loop_stop(loop);
	else
		set(t, 0, rearm, t);
}

static void
a_timer_that_sets_itself_to_nothing_does_not_hold_the_turn(void **state)
{
	struct loop_timer t = { 0 }, other = { 0 };

	(void)state;
	rearmed = 0;
	set(&t, 0, rearm, &t);
	set(&other, 1, note_it, "o");
	loop_run(loop);
	assert_int_equal(rearmed, 100);
	assert_string_equal(notes, "o");
}

static struct loop_task wake;

static void
nothing(void *arg)
{
	(void)arg;
}

/* libevent sleeps by the real clock: who moves a test's clock wakes the loop. */
static void
advance(void *arg)
{
	test_time.mono_us += *(int64_t *)arg;
	loop_post(loop, &wake, nothing, NULL);
}

static void
an_injected_clock_decides_what_is_due(void **state)
{
	int64_t an_hour = 3600 * (int64_t)1000000, a_bit = 1;
	struct loop_timer hour = { 0 }, next = { 0 };
	struct loop_task task;

	(void)state;
	test_time.mono_us = 1000;
	clock_set_source(read_test_time);
	set(&hour, an_hour, stop, NULL);
	set(&next, an_hour + 1, stop, NULL);
	loop_post(loop, &task, advance, &an_hour);
	loop_run(loop);
	assert_string_equal(notes, "!");
	loop_post(loop, &task, advance, &a_bit);
	loop_run(loop);
	assert_string_equal(notes, "!!");
}

static void
look_twice(void *arg)
{
	int64_t first = loop_now(loop)->mono_us;

	(void)arg;
	test_time.mono_us += 5;
	assert_int_equal(loop_now(loop)->mono_us, first);
	loop_stop(loop);
}

static void
time_stands_still_within_a_turn(void **state)
{
	struct loop_timer t = { 0 };

	(void)state;
	test_time.mono_us = 1000;
	clock_set_source(read_test_time);
	set(&t, 1, look_twice, NULL);
	test_time.mono_us += 1;
	loop_run(loop);
}

/* The barrier. */

static unsigned flushes;
static enum status flush_says;

static enum status
flush(void *arg)
{
	(void)arg;
	flushes++;
	note('F');
	return flush_says;
}

static void
on_flushed(void *arg, enum status flushed)
{
	assert_int_equal(flushed, flush_says);
	note(*(const char *)arg);
}

static struct loop_wait wait_a, wait_b, wait_c;

static void
wait_for(struct loop_wait *w, const char *letter)
{
	loop_barrier(loop, w, on_flushed, (void *)(uintptr_t)letter);
}

static void
queue_two_waits(void *arg)
{
	(void)arg;
	wait_for(&wait_a, "a");
	wait_for(&wait_b, "b");
	note('q');
	loop_stop(loop);
}

static void
with_flush(enum status says)
{
	flushes = 0;
	flush_says = says;
	loop_set_flush(loop, flush, NULL);
}

static void
waits_run_after_one_flush_with_its_result(void **state)
{
	struct loop_task t;

	(void)state;
	with_flush(ST_FULL);
	loop_post(loop, &t, queue_two_waits, NULL);
	loop_run(loop);
	assert_string_equal(notes, "qFab");
}

static void
a_turn_in_which_nobody_waits_does_not_flush(void **state)
{
	struct loop_task t;

	(void)state;
	with_flush(ST_OK);
	loop_post(loop, &t, stop, NULL);
	loop_run(loop);
	assert_int_equal(flushes, 0);
}

static void
want_and_stop(void *arg)
{
	(void)arg;
	loop_want_flush(loop);
	loop_want_flush(loop);
	loop_stop(loop);
}

static void
a_flush_can_be_wanted_without_waiting(void **state)
{
	struct loop_task t;

	(void)state;
	with_flush(ST_OK);
	loop_post(loop, &t, want_and_stop, NULL);
	loop_run(loop);
	assert_int_equal(flushes, 1);
}

static void
wait_again(void *arg, enum status flushed)
{
	(void)arg;
	(void)flushed;
	note('1');
	wait_for(&wait_b, "2");
}

static void
queue_chain(void *arg)
{
	(void)arg;
	loop_barrier(loop, &wait_a, wait_again, NULL);
	loop_stop(loop);
}

static void
what_a_wait_queues_gets_a_flush_of_its_own_in_the_same_turn(void **state)
{
	struct loop_task t;

	(void)state;
	with_flush(ST_OK);
	loop_post(loop, &t, queue_chain, NULL);
	loop_run(loop);
	assert_string_equal(notes, "F1F2");
}

static unsigned rounds;

static void
wait_forever(void *arg, enum status flushed)
{
	(void)arg;
	(void)flushed;
	if (++rounds < 100)
		loop_barrier(loop, &wait_a, wait_forever, NULL);
	else
		loop_stop(loop);
}

static void
queue_endless(void *arg)
{
	(void)arg;
	loop_barrier(loop, &wait_a, wait_forever, NULL);
}

/* Would hang if a turn that left waits behind went to sleep. */
static void
waits_without_end_go_on_in_the_next_turns_without_sleeping(void **state)
{
	struct loop_task t;

	(void)state;
	rounds = 0;
	with_flush(ST_OK);
	loop_post(loop, &t, queue_endless, NULL);
	loop_run(loop);
	assert_int_equal(rounds, 100);
}

static void
cancel_the_others(void *arg, enum status flushed)
{
	(void)arg;
	(void)flushed;
	note('x');
	loop_barrier_cancel(loop, &wait_b);
	loop_barrier_cancel(loop, &wait_a);
}

static void
queue_cancelled(void *arg)
{
	(void)arg;
	wait_for(&wait_c, "c");
	loop_barrier(loop, &wait_a, cancel_the_others, NULL);
	wait_for(&wait_b, "b");
	loop_barrier_cancel(loop, &wait_c);
	loop_stop(loop);
}

static void
a_wait_withdrawn_before_or_after_the_flush_does_not_run(void **state)
{
	struct loop_task t;
	struct loop_wait never = { 0 };

	(void)state;
	with_flush(ST_OK);
	loop_barrier_cancel(loop, &never);
	loop_post(loop, &t, queue_cancelled, NULL);
	loop_run(loop);
	assert_string_equal(notes, "Fx");
	/* The list is sound: more can be queued. */
	loop_post(loop, &t, queue_two_waits, NULL);
	loop_run(loop);
	assert_string_equal(notes, "FxqFab");
}

/* Later. */

static struct loop_later later_a, later_b;

static void
put_off(void *arg)
{
	(void)arg;
	loop_later(loop, &later_a, note_it, (void *)(uintptr_t) "a");
	loop_later(loop, &later_b, note_it, (void *)(uintptr_t) "b");
	wait_for(&wait_a, "w");
	note('p');
	loop_stop(loop);
}

static void
what_was_put_off_runs_in_order_at_the_turns_very_end(void **state)
{
	struct loop_task t;

	(void)state;
	with_flush(ST_OK);
	loop_post(loop, &t, put_off, NULL);
	loop_run(loop);
	assert_string_equal(notes, "pFwab");
}

static void
freeing_the_loop_runs_what_was_posted_and_put_off(void **state)
{
	struct loop *own = loop_new(NULL);
	struct loop_task t;
	struct loop_later l;

	(void)state;
	assert_non_null(own);
	loop_later(own, &l, note_it, (void *)(uintptr_t) "l");
	loop_post(own, &t, note_it, (void *)(uintptr_t) "t");
	loop_free(own);
	assert_string_equal(notes, "tl");
}

/* Other threads. */

static unsigned arrived;

static void
arrive(void *arg)
{
	(void)arg;
	if (++arrived == POSTS * POSTERS)
		loop_stop(loop);
}

static void *
post_many(void *arg)
{
	struct loop_task *t = arg;
	unsigned i;

	for (i = 0; i < POSTS; i++)
		loop_post(loop, &t[i], arrive, NULL);
	return NULL;
}

static void
every_task_of_every_thread_arrives_once(void **state)
{
	static struct loop_task task[POSTERS][POSTS];
	pthread_t thread[POSTERS];
	unsigned i;

	(void)state;
	arrived = 0;
	for (i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, post_many, task[i]), 0);
	loop_run(loop);
	for (i = 0; i < POSTERS; i++)
		(void)pthread_join(thread[i], NULL);
	assert_int_equal(arrived, POSTS * POSTERS);
}

static void
tasks_of_one_thread_keep_their_order(void **state)
{
	struct loop_task a, b, c;

	(void)state;
	loop_post(loop, &a, note_it, (void *)(uintptr_t) "a");
	loop_post(loop, &b, note_it, (void *)(uintptr_t) "b");
	loop_post(loop, &c, stop, NULL);
	loop_run(loop);
	assert_string_equal(notes, "ab!");
}

static int
refuse_all(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return 1;
}

static void
without_memory_a_timer_is_refused_and_no_loop_is_made(void **state)
{
	struct loop_timer t = { 0 };
	struct err e = { .text = "" };

	(void)state;
	mem_set_fault(refuse_all, NULL);
	assert_int_equal(loop_timer_set(loop, &t, 1, stop, NULL), ST_NOMEM);
	assert_int_equal(t.place, 0);
	assert_null(loop_new(&e));
	assert_true(e.text[0] != '\0');
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(timers_fire_in_the_order_of_their_due_times),
		TEST(a_timer_set_again_moves_and_one_cancelled_is_silent),
		TEST(many_timers_set_moved_and_cancelled_at_random_keep_their_order),
		TEST(a_timer_that_sets_itself_to_nothing_does_not_hold_the_turn),
		TEST(an_injected_clock_decides_what_is_due),
		TEST(time_stands_still_within_a_turn),
		TEST(waits_run_after_one_flush_with_its_result),
		TEST(a_turn_in_which_nobody_waits_does_not_flush),
		TEST(a_flush_can_be_wanted_without_waiting),
		TEST(what_a_wait_queues_gets_a_flush_of_its_own_in_the_same_turn),
		TEST(waits_without_end_go_on_in_the_next_turns_without_sleeping),
		TEST(a_wait_withdrawn_before_or_after_the_flush_does_not_run),
		TEST(what_was_put_off_runs_in_order_at_the_turns_very_end),
		TEST(freeing_the_loop_runs_what_was_posted_and_put_off),
		TEST(every_task_of_every_thread_arrives_once),
		TEST(tasks_of_one_thread_keep_their_order),
		TEST(without_memory_a_timer_is_refused_and_no_loop_is_made),
	};

	loop_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
