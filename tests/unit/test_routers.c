/* test_routers.c - the shipped routers order by what their names say, and say why.
 *
 * SPDX-License-Identifier: MIT
 */
#include "visit_scene.h"

static void
open_router(struct scene *s, const char *name, json_t *options, size_t targets)
{
	scene_open(s, scene_part("router", name, options));
	s->r.attempt_count = 0;
	s->r.candidate_count = targets;
}

/* Ranks as a text: "201" says that the third is tried first. */
static const char *
order(struct scene *s)
{
	static char text[SCENE_TARGETS + 1];

	assert_int_equal(visit_route(&s->r, scene_on_done, s, &s->visit), LZ_OK);
	memset(text, 0, sizeof(text));
	for (size_t i = 0; i < s->r.candidate_count; i++)
		if (s->candidate[i].rank > 0)
			text[s->candidate[i].rank - 1] = (char)('0' + i);
	visit_end_all(s->visit);
	s->visit = NULL;
	return text;
}

static void
set_cost(struct scene *s, size_t i, int64_t nano_eur)
{
	s->candidate[i].estimate_nano_eur = s->candidate[i].bound_nano_eur = nano_eur;
}

/* As after one call of such times. */
static void
measure(struct scene *s, size_t i, int64_t ttft_ms, int64_t ms_per_token, bool is_fault)
{
	struct live *l = live_of(&s->target[i]);
	int64_t now = loop_now(scene_loop)->mono_us;

	assert_in_range(live_begin(l, now, false), LIVE_BEGUN, LIVE_PROBES);
	live_probe_ended(l, now, is_fault);
	live_ended(l, now, is_fault, false, ttft_ms * 1000,
	    (ttft_ms + 100 * ms_per_token) * 1000, 100);
}

static void
cheapest_goes_by_estimated_cost_and_knows_what_has_no_price(void **state)
{
	struct scene s;

	(void)state;
	open_router(&s, "cheapest", json_object(), 4);
	set_cost(&s, 0, 210000);
	set_cost(&s, 2, 20000);
	set_cost(&s, 3, 20000);
	s.facts[3].quality = 0.9;
	assert_string_equal(order(&s), "3201");
	assert_true(lz_eq(s.candidate[0].why, "0.00021 EUR"));
	assert_true(lz_eq(s.candidate[1].why, "no price"));
	scene_close(&s);
}

static void
fastest_adds_first_token_and_tokens_and_pays_for_failures(void **state)
{
	struct scene s;

	(void)state;
	open_router(&s, "fastest", json_pack("{s:f}", "explore", 0.0), 3);
	measure(&s, 0, 100, 20, false); /* 100 + 300 * 20 */
	measure(&s, 1, 900, 2, false);  /* 900 + 300 * 2 */
	assert_string_equal(order(&s), "102");
	assert_true(lz_eq(s.candidate[1].why, "1500 ms expected"));
	assert_true(lz_eq(s.candidate[2].why, "not measured yet"));
	assert_true(s.candidate[2].score >= 6100 && s.candidate[2].score <= 6100);
	s.r.max_tokens = 10; /* a short answer: the first token decides */
	assert_string_equal(order(&s), "012");
	for (int i = 0; i < 4; i++)
		measure(&s, 0, 100, 20, true);
	s.r.max_tokens = -1;
	assert_string_equal(order(&s), "102");
	scene_close(&s);
}

static void
fastest_gives_what_nobody_measured_its_chance(void **state)
{
	struct scene s;

	(void)state;
	open_router(&s, "fastest", json_pack("{s:f}", "explore", 1.0), 2);
	measure(&s, 0, 100, 1, false);
	assert_string_equal(order(&s), "10");
	assert_true(lz_eq(s.candidate[1].why, "not measured lately: tried first"));
	assert_int_equal(
	    live_begin(live_of(&s.target[1]), loop_now(scene_loop)->mono_us, false),
	    LIVE_BEGUN);
	assert_string_equal(order(&s), "01"); /* somebody looks already */
	live_dropped(live_of(&s.target[1]));
	scene_close(&s);
}

static void
fastest_finds_again_what_was_slow_and_has_been_silent_since(void **state)
{
	static const int64_t minute_us = 60 * 1000000;
	struct scene s;
	struct live *slow;

	(void)state;
	open_router(&s, "fastest", json_pack("{s:f}", "explore", 1.0), 2);
	measure(&s, 0, 100, 1, false);
	measure(&s, 1, 9000, 1, false);
	slow = live_of(&s.target[1]);
	atomic_fetch_sub(&slow->measured_us[0], minute_us - 1000000);
	assert_string_equal(order(&s), "01");
	atomic_fetch_sub(&slow->measured_us[0], 2 * 1000000);
	assert_string_equal(order(&s), "10");
	for (int i = 0; i < 60; i++) /* it has recovered */
		measure(&s, 1, 10, 0, false);
	assert_string_equal(order(&s), "10");
	assert_false(lz_eq(s.candidate[1].why, "not measured lately: tried first"));
	scene_close(&s);
}

static void
quality_goes_by_quality_then_cost(void **state)
{
	struct scene s;

	(void)state;
	open_router(&s, "quality", json_object(), 4);
	s.facts[1].quality = 0.7;
	s.facts[2].quality = 0.9;
	s.facts[3].quality = 0.7;
	set_cost(&s, 1, 500);
	set_cost(&s, 3, 100);
	assert_string_equal(order(&s), "2310");
	assert_true(lz_eq(s.candidate[2].why, "quality 0.90"));
	scene_close(&s);
}

static void
balanced_blends_by_its_weights(void **state)
{
	struct scene s;

	(void)state;
	open_router(&s, "balanced",
	    json_pack("{s:f,s:f,s:f}", "cost", 1.0, "latency", 0.0, "quality", 0.0), 2);
	set_cost(&s, 0, 900);
	set_cost(&s, 1, 100);
	s.facts[0].quality = 0.9;
	s.facts[1].quality = 0.1;
	assert_string_equal(order(&s), "10");
	assert_true(lz_eq(s.candidate[0].why, "cost 1.00, latency 0.00, quality 0.00"));
	scene_close(&s);
	open_router(&s, "balanced",
	    json_pack("{s:f,s:f,s:f}", "cost", 0.2, "latency", 0.0, "quality", 0.8), 2);
	set_cost(&s, 0, 900);
	set_cost(&s, 1, 100);
	s.facts[0].quality = 0.9;
	s.facts[1].quality = 0.1;
	assert_string_equal(order(&s), "01");
	assert_true(s.candidate[0].score > 0.199 && s.candidate[0].score < 0.201);
	scene_close(&s);
}

static void
balanced_refuses_weights_that_weigh_nothing(void **state)
{
	const struct part_info *info =
	    part_get_ops()->find("router", STR_LIT("balanced"), NULL);
	json_t *options =
	    json_pack("{s:i,s:i,s:i}", "cost", 0, "latency", 0, "quality", 0);
	struct err e = { "" };

	(void)state;
	assert_null(part_get_ops()->make(info, "b", options, "routers.b", &e));
	assert_non_null(strstr(e.text, "at least one must weigh something"));
	assert_non_null(strstr(e.text, "routers.b"));
	json_decref(options);
}

static void
what_is_unhealthy_comes_last_and_equals_stay_as_listed(void **state)
{
	static const char *const names[] = { "cheapest", "fastest", "quality",
		"balanced" };
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		open_router(&s, names[i], json_object(), 3);
		assert_string_equal(order(&s), "012");
		for (int k = 0; k < 10; k++)
			measure(&s, 0, 1, 1, true);
		assert_string_equal(order(&s), "120");
		s.candidate[1].excluded = EXCLUDED_BUDGET;
		s.candidate[1].rank = 0;
		assert_string_equal(order(&s), "20");
		scene_close(&s);
	}
}

static int
start(void **state)
{
	static const char *const names[] = { "cheapest", "fastest", "balanced",
		"quality" };

	(void)state;
	if (scene_start() != 0)
		return -1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char source[64], file[32];

		(void)snprintf(
		    source, sizeof(source), "plugins/%s/%s.c", names[i], names[i]);
		(void)snprintf(file, sizeof(file), "%s.so", names[i]);
		if (scene_open_plugin(source, file, "-Wall -Wextra") != 0)
			return -1;
	}
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	return scene_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    cheapest_goes_by_estimated_cost_and_knows_what_has_no_price),
		cmocka_unit_test(
		    fastest_adds_first_token_and_tokens_and_pays_for_failures),
		cmocka_unit_test(fastest_gives_what_nobody_measured_its_chance),
		cmocka_unit_test(
		    fastest_finds_again_what_was_slow_and_has_been_silent_since),
		cmocka_unit_test(quality_goes_by_quality_then_cost),
		cmocka_unit_test(balanced_blends_by_its_weights),
		cmocka_unit_test(balanced_refuses_weights_that_weigh_nothing),
		cmocka_unit_test(what_is_unhealthy_comes_last_and_equals_stay_as_listed),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
