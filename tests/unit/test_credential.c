/* test_credential.c - turns and rests of a provider's keys, at times of our choosing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include "request/credential.h"
#include "request/live.h"

enum {
	KEYS = 3
};

static const int64_t second_us = 1000000;
static const lz_str keys[KEYS] = { { "sk-one", 6 }, { "sk-two", 6 }, { "sk-three", 8 } };
static _Atomic(void *) cells[KEYS];
static struct provider provider;
static struct model_facts facts[2];
static struct target target[2];
static struct request request;
static struct request *const r = &request;

/* A provider that nobody heard of, with two models and `count` keys. */
static void
set_scene(size_t count)
{
	static char name[32];
	static unsigned scenes;

	(void)snprintf(name, sizeof(name), "credential-%u", scenes++);
	provider = (struct provider){ .name = lz_strz(name),
		.api_keys = keys,
		.api_key_count = count,
		.credential = cells };
	for (size_t i = 0; i < KEYS; i++)
		atomic_store(&cells[i], NULL);
	for (size_t i = 0; i < 2; i++) {
		facts[i].id = i == 0 ? STR_LIT("m") : STR_LIT("n");
		target[i] = (struct target){ .provider = &provider,
			.model = &facts[i],
			.upstream_model = facts[i].id };
	}
	r->attempt_count = 0;
	if (r->arena == NULL)
		r->arena = arena_new(REQUEST_ARENA_BYTES);
	assert_non_null(r->arena);
}

/* A new attempt of the request at hand; which key it got. */
static unsigned
take(const struct target *t, int64_t now_us)
{
	struct attempt *a;

	assert_true(request_may_add_attempt(r));
	a = request_add_attempt(r);
	a->target = t;
	a->live = live_of(t);
	a->began_us = now_us;
	credential_take(r, a, now_us);
	return a->credential_index;
}

static void
end(int32_t blame, int status, unsigned retry_after_ms, int64_t now_us)
{
	struct attempt *a = request_attempt(r);

	a->blame = blame;
	a->status = status;
	a->retry_after_ms = retry_after_ms;
	credential_ended(a, now_us);
}

/* A request of one attempt that ends like this. */
static unsigned
serve(const struct target *t, int32_t blame, int status, int64_t now_us)
{
	unsigned i;

	r->attempt_count = 0;
	i = take(t, now_us);
	end(blame, status, 0, now_us);
	return i;
}

/* How often each key is taken by `requests` requests that all go well. */
static void
count_turns(const struct target *t, unsigned requests, int64_t now_us, unsigned n[KEYS])
{
	memset(n, 0, KEYS * sizeof(*n));
	for (unsigned i = 0; i < requests; i++)
		n[serve(t, LZ_UPSTREAM_OK, 200, now_us)]++;
}

/* Takes turns until the key comes that is meant, and lets that attempt end like this. */
static void
refuse(const struct target *t, unsigned key, int32_t blame, int status, unsigned retry_ms,
    int64_t now_us)
{
	for (unsigned tries = 0; tries < 100; tries++) {
		r->attempt_count = 0;
		if (take(t, now_us) == key) {
			end(blame, status, retry_ms, now_us);
			return;
		}
		end(LZ_UPSTREAM_OK, 200, 0, now_us);
	}
	fail_msg("key %u has no turn", key);
}

static void
healthy_keys_take_equal_turns(void **state)
{
	unsigned n[KEYS];

	(void)state;
	set_scene(KEYS);
	count_turns(&target[0], 300, second_us, n);
	for (size_t i = 0; i < KEYS; i++)
		assert_int_equal(n[i], 100);
}

static void
a_dead_key_rests_everywhere_and_the_others_share_its_turns(void **state)
{
	unsigned n[KEYS];

	(void)state;
	set_scene(KEYS);
	refuse(&target[0], 1, LZ_UPSTREAM_AUTH, 401, 0, second_us);
	for (size_t i = 0; i < 2; i++) {
		count_turns(&target[i], 100, 2 * second_us, n);
		assert_int_equal(n[0], 50);
		assert_int_equal(n[1], 0);
		assert_int_equal(n[2], 50);
	}
}

static void
a_rest_ends_with_one_probe_and_doubles_when_that_fails(void **state)
{
	int64_t now = second_us;
	unsigned n[KEYS];

	(void)state;
	set_scene(2);
	refuse(&target[0], 0, LZ_UPSTREAM_AUTH, 401, 0, now);
	now += 61 * second_us;
	refuse(&target[0], 0, LZ_UPSTREAM_AUTH, 401, 0, now);
	now += 61 * second_us; /* a second rest is longer */
	count_turns(&target[0], 10, now, n);
	assert_int_equal(n[0], 0);
	now += 60 * second_us;
	r->attempt_count = 0;
	while (take(&target[0], now) != 0)
		r->attempt_count = 0;
	/* One is out: nobody else goes that way until it is home. */
	{
		struct attempt probe = *r->attempt[0];

		for (unsigned i = 0; i < 10; i++)
			assert_int_equal(serve(&target[0], LZ_UPSTREAM_OK, 200, now), 1);
		*r->attempt[0] = probe;
		r->attempt_count = 1;
	}
	end(LZ_UPSTREAM_OK, 200, 0, now);
	count_turns(&target[0], 10, now, n);
	assert_int_equal(n[0], 5);
}

static void
a_probe_that_never_came_home_is_not_waited_for_for_ever(void **state)
{
	int64_t now = second_us;

	(void)state;
	set_scene(2);
	refuse(&target[0], 0, LZ_UPSTREAM_QUOTA, 429, 0, now);
	now += 61 * second_us;
	r->attempt_count = 0;
	while (take(&target[0], now) != 0)
		r->attempt_count = 0;
	refuse(&target[0], 0, LZ_UPSTREAM_OK, 200, 0, now + 11 * second_us);
}

static void
a_rate_rests_a_key_at_one_model_for_as_long_as_was_said(void **state)
{
	int64_t now = second_us;
	unsigned n[KEYS];

	(void)state;
	set_scene(2);
	refuse(&target[0], 0, LZ_UPSTREAM_RATE, 429, 7000, now);
	count_turns(&target[1], 10, now, n); /* the other model */
	assert_int_equal(n[0], 5);
	count_turns(&target[0], 10, now + 7 * second_us - 1, n);
	assert_int_equal(n[0], 0);
	count_turns(&target[0], 10, now + 7 * second_us, n);
	assert_int_equal(n[0], 5);
}

static void
a_rate_rests_a_minute_at_most_and_a_second_when_nothing_is_said(void **state)
{
	int64_t now = second_us;
	unsigned n[KEYS];

	(void)state;
	set_scene(2);
	refuse(&target[0], 0, LZ_UPSTREAM_RATE, 429, 3600000, now);
	count_turns(&target[0], 10, now + 60 * second_us, n);
	assert_int_equal(n[0], 5);
	now += 100 * second_us;
	refuse(&target[0], 1, LZ_UPSTREAM_RATE, 429, 0, now);
	count_turns(&target[0], 10, now + second_us - 1, n);
	assert_int_equal(n[1], 0);
	count_turns(&target[0], 10, now + second_us, n);
	assert_int_equal(n[1], 5);
}

static void
a_403_rests_a_key_at_that_model_alone(void **state)
{
	unsigned n[KEYS];

	(void)state;
	set_scene(2);
	refuse(&target[0], 0, LZ_UPSTREAM_AUTH, 403, 0, second_us);
	count_turns(&target[0], 10, 30 * second_us, n);
	assert_int_equal(n[0], 0);
	count_turns(&target[1], 10, 30 * second_us, n);
	assert_int_equal(n[0], 5);
}

static void
fifty_refusals_at_once_are_one(void **state)
{
	struct attempt out[50];
	int64_t now = second_us;

	(void)state;
	set_scene(1);
	for (unsigned i = 0; i < 50; i++) {
		r->attempt_count = 0;
		(void)take(&target[0], now);
		out[i] = *r->attempt[0];
	}
	for (unsigned i = 0; i < 50; i++) {
		*r->attempt[0] = out[i];
		end(LZ_UPSTREAM_AUTH, 401, 0, now + 1 + i);
	}
	assert_false(credential_is_ready(&target[0], now + 59 * second_us));
	assert_true(credential_is_ready(&target[0], now + 61 * second_us));
}

static void
an_answer_that_was_asked_for_before_the_refusal_does_not_wake_a_key(void **state)
{
	struct attempt early;

	(void)state;
	set_scene(1);
	(void)take(&target[0], second_us);
	early = *r->attempt[0];
	(void)serve(&target[0], LZ_UPSTREAM_AUTH, 401, 2 * second_us);
	*r->attempt[0] = early;
	end(LZ_UPSTREAM_OK, 200, 0, 3 * second_us);
	assert_false(credential_is_ready(&target[0], 4 * second_us));
	(void)serve(
	    &target[0], LZ_UPSTREAM_OK, 200, 4 * second_us); /* tried all the same */
	assert_true(credential_is_ready(&target[0], 4 * second_us));
}

static void
a_request_tries_each_key_once_and_a_resting_one_only_when_all_rest(void **state)
{
	bool seen[KEYS] = { false };

	(void)state;
	set_scene(KEYS);
	for (unsigned i = 0; i < KEYS; i++) {
		assert_true(credential_has_another(r, &target[0], second_us));
		seen[take(&target[0], second_us)] = true;
		end(LZ_UPSTREAM_RATE, 429, 1000 * (i + 1), second_us);
	}
	assert_true(seen[0] && seen[1] && seen[2]);
	assert_false(credential_has_another(r, &target[0], second_us));
	assert_false(credential_is_ready(&target[0], second_us));
	/* The next request gets the one whose rest is over first. */
	request.attempt_count = 0;
	{
		unsigned first = r->attempt[0]->credential_index;

		assert_int_equal(take(&target[0], second_us), first);
	}
}

static void
other_failures_say_nothing_of_a_key(void **state)
{
	static const int32_t blames[] = { LZ_UPSTREAM_CALLER, LZ_UPSTREAM_CONTEXT,
		LZ_UPSTREAM_FILTERED, LZ_UPSTREAM_DOWN, LZ_UPSTREAM_UNABLE };

	(void)state;
	set_scene(1);
	for (size_t i = 0; i < sizeof(blames) / sizeof(blames[0]); i++) {
		(void)serve(&target[0], blames[i], 500, second_us);
		assert_true(credential_is_ready(&target[0], second_us));
	}
}

static void
a_key_keeps_its_story_over_a_reload_and_a_new_one_has_none(void **state)
{
	static const lz_str changed[] = { { "sk-new", 6 }, { "sk-one", 6 } };
	static _Atomic(void *) fresh[2];
	unsigned n[KEYS];

	(void)state;
	set_scene(2);
	refuse(&target[0], 0, LZ_UPSTREAM_AUTH, 401, 0, second_us);
	provider.api_keys = changed;
	provider.credential = fresh;
	atomic_store(&target[0].live, NULL);
	count_turns(&target[0], 10, 2 * second_us, n);
	assert_int_equal(n[0], 10);
	assert_int_equal(n[1], 0);
}

static void
a_provider_without_keys_is_always_ready(void **state)
{
	(void)state;
	set_scene(0);
	assert_int_equal(take(&target[0], second_us), 0);
	end(LZ_UPSTREAM_AUTH, 401, 0, second_us);
	assert_true(credential_is_ready(&target[0], second_us));
	assert_false(credential_has_another(r, &target[0], second_us));
	assert_null(r->attempt[0]->credential.ptr);
}

static void
what_a_key_is_called_is_not_the_key(void **state)
{
	char one[CREDENTIAL_PRINT_BYTES], two[CREDENTIAL_PRINT_BYTES];

	(void)state;
	credential_print(keys[0], one);
	credential_print(keys[1], two);
	assert_int_equal(strlen(one), CREDENTIAL_PRINT_BYTES - 1);
	assert_string_not_equal(one, two);
	assert_null(strstr(one, "sk"));
	credential_print(keys[0], two);
	assert_string_equal(one, two);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy_keys_take_equal_turns),
		cmocka_unit_test(
		    a_dead_key_rests_everywhere_and_the_others_share_its_turns),
		cmocka_unit_test(a_rest_ends_with_one_probe_and_doubles_when_that_fails),
		cmocka_unit_test(a_probe_that_never_came_home_is_not_waited_for_for_ever),
		cmocka_unit_test(a_rate_rests_a_key_at_one_model_for_as_long_as_was_said),
		cmocka_unit_test(
		    a_rate_rests_a_minute_at_most_and_a_second_when_nothing_is_said),
		cmocka_unit_test(a_403_rests_a_key_at_that_model_alone),
		cmocka_unit_test(fifty_refusals_at_once_are_one),
		cmocka_unit_test(
		    an_answer_that_was_asked_for_before_the_refusal_does_not_wake_a_key),
		cmocka_unit_test(
		    a_request_tries_each_key_once_and_a_resting_one_only_when_all_rest),
		cmocka_unit_test(other_failures_say_nothing_of_a_key),
		cmocka_unit_test(
		    a_key_keeps_its_story_over_a_reload_and_a_new_one_has_none),
		cmocka_unit_test(a_provider_without_keys_is_always_ready),
		cmocka_unit_test(what_a_key_is_called_is_not_the_key),
	};

	return cmocka_run_group_tests_name("credential", tests, NULL, NULL);
}
