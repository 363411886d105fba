/* test_next.c - who gets the next attempt, when, and what is told when nobody is left.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policy_scene.h"

static void
fail_attempt(int32_t blame, int status)
{
	struct attempt *a = request_attempt(r);

	a->blame = blame;
	a->status = status;
	a->end = blame == LZ_UPSTREAM_DOWN ? "reset" : "refused";
	a->message = STR_LIT("no");
	a->ended_us = loop_now(loop)->mono_us;
	request_probe_ended(a, a->ended_us, blame == LZ_UPSTREAM_DOWN);
	request_drop_attempt(a);
}

static void
ranked(void)
{
	assert_int_equal(find(), STEP_NEXT);
	for (unsigned i = 0; i < TARGETS; i++)
		r->candidate[i].rank = TARGETS - i;
}

static void
attempts_follow_the_order_and_end_at_their_number(void **state)
{
	(void)state;
	set_scene();
	ranked();
	config.attempts = 2;
	assert_int_equal(policy_next(r), STEP_NEXT);
	assert_ptr_equal(request_attempt(r)->target, &target[2]);
	fail_attempt(LZ_UPSTREAM_DOWN, 500);
	assert_int_equal(policy_next(r), STEP_NEXT);
	assert_ptr_equal(request_attempt(r)->target, &target[1]);
	fail_attempt(LZ_UPSTREAM_DOWN, 500);
	assert_int_equal(policy_next(r), STEP_FAULT);
	assert_int_equal(r->fault, FAULT_ALL_ATTEMPTS);
	assert_int_equal(atomic_load(&live_of(&target[2])->in_flight), 0);
}

static void
a_credential_that_failed_is_changed_at_the_same_target(void **state)
{
	static const lz_str keys[] = { { "a", 1 }, { "b", 1 } };

	(void)state;
	set_scene();
	ranked();
	provider[2].api_keys = keys;
	provider[2].api_key_count = 2;
	config.attempts = 8;
	assert_int_equal(policy_next(r), STEP_NEXT);
	fail_attempt(LZ_UPSTREAM_AUTH, 401);
	assert_int_equal(policy_next(r), STEP_NEXT);
	assert_ptr_equal(request_attempt(r)->target, &target[2]);
	assert_false(str_eq(r->attempt[0]->credential, r->attempt[1]->credential));
	fail_attempt(LZ_UPSTREAM_RATE, 429);
	assert_int_equal(policy_next(r), STEP_NEXT);
	assert_ptr_equal(request_attempt(r)->target, &target[1]);
	fail_attempt(LZ_UPSTREAM_AUTH, 403);
	assert_int_equal(policy_next(r), STEP_NEXT);
	fail_attempt(LZ_UPSTREAM_AUTH, 401);
	assert_int_equal(policy_next(r), STEP_FAULT);
	assert_int_equal(r->fault, FAULT_ALL_ATTEMPTS);
}

static void
a_target_passed_over_for_its_price_is_not_taken_for_its_credential(void **state)
{
	static const lz_str keys[] = { { "a", 1 }, { "b", 1 } };

	(void)state;
	set_scene();
	ranked();
	provider[2].api_keys = keys;
	provider[2].api_key_count = 2;
	assert_int_equal(policy_next(r), STEP_NEXT);
	fail_attempt(LZ_UPSTREAM_RATE, 429);
	r->candidate[2].excluded = EXCLUDED_BUDGET;
	assert_int_equal(policy_next(r), STEP_NEXT);
	assert_ptr_equal(request_attempt(r)->target, &target[1]);
	fail_attempt(LZ_UPSTREAM_DOWN, 0);
}

static void
what_the_attempts_ended_in_is_what_the_caller_hears(void **state)
{
	static const struct {
		int32_t blame;
		int status;
		const char *end;
		enum fault fault;
		int shown; /* 0: the row's own */
	} cases[] = {
		{ LZ_UPSTREAM_CALLER, 400, "refused", FAULT_UPSTREAM_REFUSED, 400 },
		{ LZ_UPSTREAM_CALLER, 422, "refused", FAULT_UPSTREAM_REFUSED, 422 },
		{ LZ_UPSTREAM_CALLER, 413, "refused", FAULT_UPSTREAM_REFUSED, 413 },
		{ LZ_UPSTREAM_CALLER, 405, "refused", FAULT_UPSTREAM_REFUSED, 400 },
		{ LZ_UPSTREAM_CALLER, 200, "refused", FAULT_UPSTREAM_REFUSED, 400 },
		{ LZ_UPSTREAM_CONTEXT, 400, "refused", FAULT_CONTEXT_LENGTH, 0 },
		{ LZ_UPSTREAM_FILTERED, 200, "refused", FAULT_UPSTREAM_REFUSED, 400 },
		{ LZ_UPSTREAM_UNABLE, 404, "refused", FAULT_UPSTREAM_REFUSED, 404 },
		{ LZ_UPSTREAM_UNABLE, 200, "too_large", FAULT_ALL_ATTEMPTS, 0 },
		{ LZ_UPSTREAM_UNABLE, 302, "redirect", FAULT_ALL_ATTEMPTS, 0 },
		{ LZ_UPSTREAM_UNABLE, 0, "not_sent", FAULT_ALL_ATTEMPTS, 0 },
		{ LZ_UPSTREAM_RATE, 429, "refused", FAULT_UPSTREAM_RATE, 0 },
		{ LZ_UPSTREAM_AUTH, 401, "refused", FAULT_UPSTREAM_CREDENTIALS, 0 },
		{ LZ_UPSTREAM_QUOTA, 429, "refused", FAULT_UPSTREAM_CREDENTIALS, 0 },
		{ LZ_UPSTREAM_DOWN, 0, "idle_timeout", FAULT_UPSTREAM_TIMEOUT, 0 },
		{ LZ_UPSTREAM_DOWN, 500, "refused", FAULT_ALL_ATTEMPTS, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		set_scene();
		config.any_count = 1;
		assert_int_equal(find(), STEP_NEXT);
		assert_int_equal(policy_next(r), STEP_NEXT);
		fail_attempt(cases[i].blame, cases[i].status);
		request_attempt(r)->end = cases[i].end;
		assert_int_equal(policy_next(r), STEP_FAULT);
		assert_int_equal(r->fault, cases[i].fault);
		assert_int_equal(r->fault_status, cases[i].shown);
	}
}

/* ---- waiting ---- */

/* The stage waits; runs the loop until it goes on. */
static void
wait_until(enum step s)
{
	assert_int_equal(policy_next(r), STEP_WAIT);
	loop_run(loop);
	assert_int_equal(went_on, s);
}

static void
begin_alone(void)
{
	set_scene();
	config.any_count = 1;
	config.retry_wait_ms = 1000;
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(policy_next(r), STEP_NEXT);
}

static void
when_no_other_is_left_the_same_target_is_asked_again_after_a_back_off(void **state)
{
	int64_t failed_us;

	(void)state;
	begin_alone();
	fail_attempt(LZ_UPSTREAM_DOWN, 500);
	failed_us = r->attempt[0]->ended_us;
	wait_until(STEP_NEXT);
	assert_int_equal(r->attempt_count, 2);
	assert_in_range(r->attempt[1]->began_us - failed_us, 1000, 500 * 1000);
	assert_true(r->waited_us >= 1000);
	fail_attempt(LZ_UPSTREAM_DOWN, 500);
	/* Twice as long, and at random between a half and the whole of it. */
	wait_until(STEP_NEXT);
	assert_in_range(r->attempt[1]->again_us - r->attempt[1]->ended_us, 2000, 4000);
	fail_attempt(LZ_UPSTREAM_DOWN, 500);
	assert_int_equal(policy_next(r), STEP_FAULT);
	assert_int_equal(r->fault, FAULT_ALL_ATTEMPTS);
}

static void
a_retry_after_is_a_floor_and_what_is_too_long_is_told_instead(void **state)
{
	(void)state;
	begin_alone();
	fail_attempt(LZ_UPSTREAM_RATE, 429);
	request_attempt(r)->retry_after_ms = 20;
	wait_until(STEP_NEXT);
	assert_in_range(
	    r->attempt[1]->began_us - r->attempt[0]->ended_us, 20 * 1000, 900 * 1000);
	fail_attempt(LZ_UPSTREAM_RATE, 429);
	request_attempt(r)->retry_after_ms = 7000;
	assert_int_equal(policy_next(r), STEP_FAULT);
	assert_int_equal(r->fault, FAULT_UPSTREAM_RATE);
	assert_int_equal(r->retry_after_s, 7);
}

static void
nothing_is_waited_for_beyond_the_deadline_nor_when_waiting_is_off(void **state)
{
	(void)state;
	begin_alone();
	fail_attempt(LZ_UPSTREAM_DOWN, 500);
	r->deadline_us = loop_now(loop)->mono_us + 1;
	assert_int_equal(policy_next(r), STEP_FAULT);
	begin_alone();
	config.retry_wait_ms = 0;
	fail_attempt(LZ_UPSTREAM_DOWN, 500);
	assert_int_equal(policy_next(r), STEP_FAULT);
	assert_int_equal(r->fault, FAULT_ALL_ATTEMPTS);
}

static void
what_cannot_go_better_is_not_asked_again(void **state)
{
	static const int32_t blames[] = { LZ_UPSTREAM_AUTH, LZ_UPSTREAM_QUOTA,
		LZ_UPSTREAM_UNABLE, LZ_UPSTREAM_CONTEXT, LZ_UPSTREAM_CALLER,
		LZ_UPSTREAM_FILTERED };

	(void)state;
	for (size_t i = 0; i < sizeof blames / sizeof blames[0]; i++) {
		begin_alone();
		fail_attempt(blames[i], 400);
		assert_int_equal(policy_next(r), STEP_FAULT);
		assert_int_equal(r->attempt_count, 1);
	}
}

static void
a_prompt_too_long_for_one_goes_to_a_larger_window_only(void **state)
{
	(void)state;
	set_scene();
	model[0].context_window = 20000;
	ranked();
	assert_int_equal(policy_next(r), STEP_NEXT);
	assert_ptr_equal(request_attempt(r)->target, &target[2]);
	fail_attempt(LZ_UPSTREAM_CONTEXT, 400);
	assert_int_equal(policy_next(r), STEP_NEXT);
	assert_ptr_equal(request_attempt(r)->target, &target[0]);
	assert_int_equal(r->candidate[1].excluded, EXCLUDED_CONTEXT);
	fail_attempt(LZ_UPSTREAM_CONTEXT, 400);
	assert_int_equal(policy_next(r), STEP_FAULT);
	assert_int_equal(r->fault, FAULT_CONTEXT_LENGTH);
}

static void
when_nobody_is_healthy_one_is_probed_before_its_time_and_the_others_wait(void **state)
{
	(void)state;
	set_scene();
	config.retry_wait_ms = 1000;
	for (unsigned i = 0; i < TARGETS; i++)
		break_down(i);
	assert_int_equal(find(), STEP_NEXT);
	wait_until(STEP_NEXT); /* a tenth of a second later */
	assert_true(request_attempt(r)->is_probe);
	assert_in_range(r->waited_us, 90 * 1000, 700 * 1000);
	request_probe_ended(request_attempt(r), loop_now(loop)->mono_us, false);
	request_drop_attempt(request_attempt(r));
}

static void
who_waited_in_vain_hears_when_to_come_again(void **state)
{
	(void)state;
	set_scene();
	config.any_count = 1;
	config.retry_wait_ms = 150;
	break_down(0);
	assert_int_equal(live_begin(live_of(&target[0]), loop_now(loop)->mono_us, false),
	    LIVE_PROBES); /* somebody else's, and it hangs */
	assert_int_equal(find(), STEP_NEXT);
	wait_until(STEP_FAULT);
	assert_int_equal(r->fault, FAULT_NO_PROVIDER);
	assert_int_equal(r->retry_after_s, 1);
	assert_int_equal(r->attempt_count, 0);
}

/* Somebody's retry is under way as a probe: the budget is spent. */
static void
spend_retries(struct live *l)
{
	enum live_start start = LIVE_BEGUN;

	live_ended(l, 0, true, false, -1, -1, 0);
	for (unsigned i = 0; start == LIVE_BEGUN; i++) {
		assert_true(i <= 10);
		start = live_begin(l, loop_now(loop)->mono_us, true);
	}
	assert_int_equal(start, LIVE_PROBES);
}

static void
probe_answers(void *arg)
{
	live_probe_answers(arg);
}

static void
first_fails_and_second_has_no_retries(void)
{
	set_scene();
	config.any_count = 2;
	config.retry_wait_ms = 1000;
	spend_retries(live_of(&target[1]));
	assert_int_equal(find(), STEP_NEXT);
	for (unsigned i = 0; i < 2; i++)
		r->candidate[i].rank = i + 1;
	assert_int_equal(policy_next(r), STEP_NEXT);
	fail_attempt(LZ_UPSTREAM_UNABLE, 404);
}

static void
retries_beyond_the_budget_wait_for_the_one_that_probes(void **state)
{
	struct loop_timer timer = { 0 };

	(void)state;
	first_fails_and_second_has_no_retries();
	assert_int_equal(
	    loop_timer_set(loop, &timer, 60 * 1000, probe_answers, live_of(&target[1])),
	    ST_OK);
	wait_until(STEP_NEXT);
	assert_ptr_equal(request_attempt(r)->target, &target[1]);
	assert_false(request_attempt(r)->is_probe);
	request_drop_attempt(request_attempt(r));
}

static void
a_probe_that_hangs_is_not_waited_for_longer_than_a_second(void **state)
{
	(void)state;
	first_fails_and_second_has_no_retries();
	wait_until(STEP_FAULT);
	assert_int_equal(r->candidate[1].excluded, EXCLUDED_RETRIES);
	assert_int_equal(r->attempt_count, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attempts_follow_the_order_and_end_at_their_number),
		cmocka_unit_test(a_credential_that_failed_is_changed_at_the_same_target),
		cmocka_unit_test(
		    a_target_passed_over_for_its_price_is_not_taken_for_its_credential),
		cmocka_unit_test(what_the_attempts_ended_in_is_what_the_caller_hears),
		cmocka_unit_test(
		    when_no_other_is_left_the_same_target_is_asked_again_after_a_back_off),
		cmocka_unit_test(
		    a_retry_after_is_a_floor_and_what_is_too_long_is_told_instead),
		cmocka_unit_test(
		    nothing_is_waited_for_beyond_the_deadline_nor_when_waiting_is_off),
		cmocka_unit_test(what_cannot_go_better_is_not_asked_again),
		cmocka_unit_test(a_prompt_too_long_for_one_goes_to_a_larger_window_only),
		cmocka_unit_test(
		    when_nobody_is_healthy_one_is_probed_before_its_time_and_the_others_wait),
		cmocka_unit_test(who_waited_in_vain_hears_when_to_come_again),
		cmocka_unit_test(retries_beyond_the_budget_wait_for_the_one_that_probes),
		cmocka_unit_test(
		    a_probe_that_hangs_is_not_waited_for_longer_than_a_second),
	};

	return cmocka_run_group_tests(tests, scene_start, scene_stop);
}
