/* test_candidates.c - who may serve a request: each filter, the answer when nobody may,
 * and bounds that follow the money that is left.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policy/bounds.h"
#include "policy/weights.h"
#include "policy_scene.h"
#include "trace/cost.h"

static void
expect_fault(enum fault f)
{
	assert_int_equal(find(), STEP_FAULT);
	assert_int_equal(r->fault, f);
	assert_true(r->fault_message.len > 0);
}

static void
expect_only_the_last(enum exclusion why)
{
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(r->candidate_count, TARGETS);
	assert_int_equal(r->candidate[0].excluded, why);
	assert_int_equal(r->candidate[1].excluded, why);
	assert_int_equal(r->candidate[2].excluded, EXCLUDED_NOT);
}

/* ---- filters, and what is said when nobody is left ---- */

static void
everybody_may_serve_who_is_not_filtered(void **state)
{
	(void)state;
	set_scene();
	assert_int_equal(find(), STEP_NEXT);
	for (unsigned i = 0; i < TARGETS; i++)
		assert_int_equal(r->candidate[i].excluded, EXCLUDED_NOT);
}

static void
embedding_models_do_not_chat(void **state)
{
	(void)state;
	set_scene();
	model[0].is_embedding = model[1].is_embedding = true;
	expect_only_the_last(EXCLUDED_KIND);
	model[2].is_embedding = true;
	expect_fault(FAULT_UNSUPPORTED_CAPABILITY);
	assert_true(str_is(r->fault_param, "model"));
}

static void
set_embeddings_scene(void)
{
	static const struct part_info info = { .routes = "chat embeddings" };

	set_scene();
	r->kind = REQUEST_EMBEDDINGS;
	r->inputs = 3;
	r->longest_input = 40;
	for (unsigned i = 0; i < TARGETS; i++) {
		model[i].is_embedding = true;
		provider[i].info = &info;
	}
}

static void
chat_models_and_plugins_without_embeddings_make_none(void **state)
{
	static const struct part_info chats = { .routes = NULL };

	(void)state;
	set_embeddings_scene();
	assert_int_equal(find(), STEP_NEXT);
	model[0].is_embedding = false;
	provider[1].info = &chats;
	expect_only_the_last(EXCLUDED_KIND);
	model[2].is_embedding = false;
	expect_fault(FAULT_UNSUPPORTED_CAPABILITY);
	model[2].is_any_mode = true; /* nobody described it */
	expect_only_the_last(EXCLUDED_KIND);
}

static void
embeddings_reserve_their_texts_and_no_output(void **state)
{
	(void)state;
	set_embeddings_scene();
	r->output_limit = 500;
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(r->candidate[0].output_bound, 0);
	assert_int_equal(r->candidate[0].bound_nano_eur, 100 * 1000);
	assert_int_equal(r->candidate[0].estimate_nano_eur, 25 * 1000);
	has_budget = true;
	budget.limit = 100 * 1000 - 1;
	expect_fault(FAULT_BUDGET_SPENT);
}

static void
each_text_has_a_window_of_its_own(void **state)
{
	(void)state;
	set_embeddings_scene();
	r->prompt_tokens = 100000;
	r->longest_input = 10000;
	assert_int_equal(find(), STEP_NEXT);
	r->longest_input = 10001;
	expect_fault(FAULT_CONTEXT_LENGTH);
	assert_true(str_is(r->fault_param, "input"));
}

static void
a_test_key_reaches_test_providers_only(void **state)
{
	(void)state;
	set_scene();
	is_test_key = true;
	provider[2].is_test = true;
	expect_only_the_last(EXCLUDED_TEST);
	provider[2].is_test = false;
	expect_fault(FAULT_MODEL_NOT_ALLOWED);
}

static void
the_allowlist_is_asked_for_every_candidate(void **state)
{
	(void)state;
	set_scene();
	forbidden = "m0";
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(r->candidate[0].excluded, EXCLUDED_NOT_ALLOWED);
	config.any_count = 1;
	expect_fault(FAULT_MODEL_NOT_ALLOWED);
}

static void
without_a_price_there_is_no_serving_a_budget(void **state)
{
	(void)state;
	set_scene();
	model[0].price_output = model[1].price_input = -1;
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(r->candidate[0].excluded, EXCLUDED_NOT);
	assert_int_equal(r->candidate[0].bound_nano_eur, -1);
	has_budget = true;
	expect_only_the_last(EXCLUDED_UNPRICED);
	model[2].price_input = -1;
	expect_fault(FAULT_MODEL_UNPRICED);
}

static void
what_is_asked_for_must_be_known_to_be_possible(void **state)
{
	(void)state;
	set_scene();
	r->capabilities = LZ_CAN_TOOLS | LZ_CAN_STREAM;
	model[0].knows_capabilities = model[1].knows_capabilities = true;
	model[1].capabilities = LZ_CAN_VISION;
	expect_only_the_last(EXCLUDED_CAPABILITY); /* of the last nothing is known */
	model[2].knows_capabilities = true;
	expect_fault(FAULT_UNSUPPORTED_CAPABILITY);
	assert_true(str_is(r->fault_param, "tools"));
	model[2].capabilities = LZ_CAN_TOOLS;
	assert_int_equal(find(), STEP_NEXT);
}

static void
prompt_and_answer_must_fit_the_window(void **state)
{
	(void)state;
	set_scene();
	r->prompt_tokens = 5000;
	r->max_tokens = 5001;
	model[2].context_window = -1;
	expect_only_the_last(EXCLUDED_CONTEXT);
	r->max_tokens = 5000;
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(r->candidate[0].excluded, EXCLUDED_NOT);
	r->prompt_tokens = 10001;
	config.any_count = 2;
	expect_fault(FAULT_CONTEXT_LENGTH);
}

static void
who_is_down_is_passed_over(void **state)
{
	(void)state;
	set_scene();
	break_down(0);
	break_down(1);
	expect_only_the_last(EXCLUDED_HEALTH);
	break_down(2); /* who waits for whom is next.c's */
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(r->candidate[2].excluded, EXCLUDED_HEALTH);
}

static void
the_filter_that_emptied_the_list_is_the_one_that_is_told(void **state)
{
	(void)state;
	set_scene();
	forbidden = "m0";
	r->capabilities = LZ_CAN_TOOLS;
	model[1].knows_capabilities = true;
	r->prompt_tokens = 20000;
	expect_fault(FAULT_CONTEXT_LENGTH); /* as far as m2 came */
	model[2].knows_capabilities = true;
	expect_fault(FAULT_UNSUPPORTED_CAPABILITY);
}

/* ---- bounds ---- */

static void
expect_bounds(int64_t output, int64_t nano)
{
	assert_int_equal(r->candidate[0].output_bound, output);
	assert_int_equal(r->candidate[0].bound_nano_eur, nano);
}

static void
the_output_bound_is_the_least_that_somebody_said(void **state)
{
	(void)state;
	set_scene();
	assert_int_equal(find(), STEP_NEXT);
	expect_bounds(1000, 100 * 1000 + 1000 * 2000);
	model[0].max_output_tokens = -1;
	assert_int_equal(find(), STEP_NEXT);
	expect_bounds(4096, 100 * 1000 + 4096 * 2000);
	r->output_limit = 300;
	assert_int_equal(find(), STEP_NEXT);
	expect_bounds(300, 100 * 1000 + 300 * 2000);
	r->max_tokens = 50;
	r->choices = 2;
	assert_int_equal(find(), STEP_NEXT);
	expect_bounds(50, 100 * 1000 + 2 * 50 * 2000);
}

static void
the_bound_expects_the_dearest_of_prices_for_a_prompt(void **state)
{
	(void)state;
	set_scene();
	model[0].price_cache_write = 1250000;
	assert_int_equal(find(), STEP_NEXT);
	expect_bounds(1000, 100 * 1250 + 1000 * 2000);
	model[0].price_cache_write_1h = 2000000;
	assert_int_equal(find(), STEP_NEXT);
	expect_bounds(1000, 100 * 1250 + 1000 * 2000);
}

static void
what_may_be_cached_for_an_hour_is_bounded_so(void **state)
{
	static const struct {
		const char *body;
		int64_t input;
	} cases[] = {
		{ "{\"messages\":[]}", 1250 },
		{ "{\"cache_control\":{\"ttl\":\"1h\"}}", 2000 },
		{ "{\"c\\u0061che_control\":{}}", 2000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_scene();
		model[0].price_cache_write = 1250000;
		model[0].price_cache_write_1h = 2000000;
		buf_init(&r->body, 100);
		buf_add_z(&r->body, cases[i].body);
		assert_int_equal(find(), STEP_NEXT);
		expect_bounds(1000, 100 * cases[i].input + 1000 * 2000);
		buf_free(&r->body);
		r->may_cache_1h = false;
	}
}

/* For any money that is left: the bound fits, and one token more would not. */
static void
a_budget_shrinks_the_bound_to_what_is_affordable(void **state)
{
	int64_t shrunk = 0;

	(void)state;
	set_scene();
	has_budget = true;
	model[0].price_output = 1999999;
	config.any_count = 1;
	for (int64_t left = 132001; left < 2200000; left += 9973) {
		const struct candidate *c;

		budget.spent = budget.limit - left - 7;
		budget.reserved = 7;
		r->fault = FAULT_NONE;
		if (find() != STEP_NEXT) {
			assert_int_equal(r->fault, FAULT_BUDGET_SPENT);
			assert_true(left < 100 * 1000 + 16 * 2000);
			continue;
		}
		c = &r->candidate[0];
		assert_true(c->bound_nano_eur <= left);
		assert_true(c->output_bound >= 16);
		if (c->output_bound < 1000)
			assert_true(c->bound_nano_eur + 2 * 2000 > left);
		shrunk += c->output_bound < 1000;
	}
	assert_true(shrunk > 100);
}

static void
waiting_is_advised_only_where_it_can_help(void **state)
{
	(void)state;
	set_scene();
	has_budget = true;
	budget.reserved = budget.limit - 1000;
	expect_fault(FAULT_BUDGET_RESERVED);
	budget.spent = budget.limit - 2000;
	budget.reserved = 1000;
	expect_fault(FAULT_BUDGET_SPENT);
}

static void
huge_numbers_do_not_wrap(void **state)
{
	(void)state;
	set_scene();
	has_budget = true;
	budget.limit = INT64_MAX;
	model[0].price_output = INT64_C(1000000000000000);
	r->max_tokens = INT32_MAX;
	r->choices = 128;
	model[0].context_window = model[1].context_window = -1;
	assert_int_equal(find(), STEP_NEXT);
	assert_true(r->candidate[0].bound_nano_eur > 0);
	assert_true(r->candidate[0].output_bound > 0);
}

static void
the_bound_is_at_the_dearest_tier_that_the_prompt_can_reach(void **state)
{
	static const struct price_tier tier = { 50, 3000000, 4000000, -1, -1, -1 };

	(void)state;
	set_scene();
	r->max_tokens = 10;
	for (unsigned i = 0; i < TARGETS; i++) {
		model[i].tier = &tier;
		model[i].tier_count = 1;
	}
	/* 25 tokens by estimate, and no more than 100: the tier may be reached. */
	assert_int_equal(find(), STEP_NEXT);
	expect_bounds(10, 100 * 3000 + 10 * 4000);
	assert_int_equal(r->candidate[0].input_nano_eur, 25 * 1000);
	assert_int_equal(r->candidate[0].estimate_nano_eur, 25 * 1000 + 10 * 2000);
	r->prompt_bound = 50;
	assert_int_equal(find(), STEP_NEXT);
	expect_bounds(10, 50 * 1000 + 10 * 2000);
	r->prompt_tokens = 51;
	r->prompt_bound = 204;
	assert_int_equal(find(), STEP_NEXT);
	expect_bounds(10, 204 * 3000 + 10 * 4000);
	assert_int_equal(r->candidate[0].estimate_nano_eur, 51 * 3000 + 10 * 4000);
	/* What a budget affords is counted at the same prices. */
	has_budget = true;
	budget.limit = 204 * 3000 + 20 * 4000;
	r->max_tokens = 1000;
	assert_int_equal(find(), STEP_NEXT);
	expect_bounds(20, 204 * 3000 + 20 * 4000);
}

/* ---- the same model under several names ---- */

static void
a_model_with_two_names_is_a_candidate_once(void **state)
{
	(void)state;
	set_scene();
	target[1].twin = &target[0];
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(r->candidate_count, 2);
	assert_ptr_equal(r->candidate[1].target, &target[2]);
	/* Where only the other name is allowed, that is the one. */
	forbidden = "m0";
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(r->candidate_count, TARGETS);
	assert_int_equal(r->candidate[0].excluded, EXCLUDED_NOT_ALLOWED);
	assert_int_equal(r->candidate[1].excluded, EXCLUDED_NOT);
	target[1].twin = NULL;
}

/* ---- weights ---- */

static const struct target *deployment[TARGETS];

static void
set_weights(double a, double b, double c)
{
	const double weight[TARGETS] = { a, b, c };

	set_scene();
	for (unsigned i = 0; i < TARGETS; i++) {
		target[i].is_deployment = true;
		target[i].weight = weight[i];
		atomic_store(&target[i].turn, 0);
	}
}

static void
draw_weights(unsigned first[TARGETS], unsigned second[TARGETS])
{
	const struct target *t[TARGETS] = { &target[0], &target[1], &target[2] };
	unsigned seen = 0;

	weights_order(t, TARGETS, true);
	for (unsigned i = 0; i < TARGETS; i++)
		seen |= 1u << (t[i] - target);
	assert_int_equal(seen, 7); /* nobody is lost */
	first[t[0] - target]++;
	second[t[1] - target]++;
	deployment[0] = t[0];
	deployment[2] = t[2];
}

static void
shares_hold_over_every_row_of_requests(void **state)
{
	unsigned first[TARGETS] = { 0 }, second[TARGETS] = { 0 };

	(void)state;
	set_weights(3, 1, 0);
	for (unsigned n = 1; n <= 4000; n++) {
		draw_weights(first, second);
		assert_ptr_equal(deployment[2], &target[2]); /* 0: after the others */
		assert_in_range(4 * first[0] + 12, 3 * n, 3 * n + 24);
	}
	assert_int_equal(second[0] + second[1], 4000);
	memset(first, 0, sizeof(first));
	memset(second, 0, sizeof(second));
	set_weights(1, 1, 2);
	for (unsigned n = 0; n < 4000; n++)
		draw_weights(first, second);
	assert_in_range(first[0], 998, 1002);
	assert_in_range(first[1], 998, 1002);
	/* Second place: 1/4 * 1/3 + 1/2 * 1/2 for the first two, the rest for the third.
	 */
	assert_in_range(second[0], 1233, 1433);
	assert_in_range(second[1], 1233, 1433);
	assert_in_range(second[2], 1233, 1433);
}

static void
who_only_looks_takes_nobodys_turn(void **state)
{
	const struct target *first[TARGETS], *t[TARGETS];

	(void)state;
	set_weights(1, 1, 1);
	for (unsigned n = 0; n < 20; n++) {
		for (unsigned i = 0; i < TARGETS; i++)
			first[i] = t[i] = &target[i];
		weights_order(first, TARGETS, false);
		weights_order(t, TARGETS, n % 2 == 0);
		assert_memory_equal(first, t, sizeof(t));
	}
	assert_int_equal(atomic_load(&target[0].turn), 10);
}

static void
without_weights_the_order_is_the_files(void **state)
{
	const struct target *t[TARGETS] = { &target[0], &target[1], &target[2] };

	(void)state;
	set_weights(0, 0, 0);
	for (unsigned n = 0; n < 10; n++) {
		weights_order(t, TARGETS, true);
		assert_ptr_equal(t[0], &target[0]);
		assert_ptr_equal(t[2], &target[2]);
	}
	set_weights(1, 5, 5);
	for (unsigned i = 0; i < TARGETS; i++)
		target[i].is_deployment = false;
	for (unsigned n = 0; n < 10; n++) {
		weights_order(t, TARGETS, true);
		assert_ptr_equal(t[0], &target[0]);
		assert_ptr_equal(t[2], &target[2]);
	}
	weights_order(t, 0, true);
	weights_order(t, 1, true);
}

static void
the_estimate_reads_as_much_from_a_cache_as_prompts_there_did(void **state)
{
	(void)state;
	set_scene();
	model[0].price_cache_read = 100000;
	r->prompt_tokens = 1000;
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(r->candidate[0].estimate_nano_eur, 1000 * 1000 + 512 * 2000);
	live_used(live_of(&target[0]), 2000, 1500);
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(
	    r->candidate[0].estimate_nano_eur, 250 * 1000 + 750 * 100 + 512 * 2000);
	r->max_tokens = 10;
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(
	    r->candidate[0].estimate_nano_eur, 250 * 1000 + 750 * 100 + 10 * 2000);
	for (unsigned i = 0; i < 100; i++) /* nothing is cached any more */
		live_used(live_of(&target[0]), 2000, 0);
	assert_int_equal(find(), STEP_NEXT);
	assert_in_range(
	    r->candidate[0].estimate_nano_eur, 1000 * 1000, 1020 * 1000 + 10 * 2000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_may_serve_who_is_not_filtered),
		cmocka_unit_test(embedding_models_do_not_chat),
		cmocka_unit_test(chat_models_and_plugins_without_embeddings_make_none),
		cmocka_unit_test(embeddings_reserve_their_texts_and_no_output),
		cmocka_unit_test(each_text_has_a_window_of_its_own),
		cmocka_unit_test(a_test_key_reaches_test_providers_only),
		cmocka_unit_test(the_allowlist_is_asked_for_every_candidate),
		cmocka_unit_test(without_a_price_there_is_no_serving_a_budget),
		cmocka_unit_test(what_is_asked_for_must_be_known_to_be_possible),
		cmocka_unit_test(prompt_and_answer_must_fit_the_window),
		cmocka_unit_test(who_is_down_is_passed_over),
		cmocka_unit_test(
		    the_filter_that_emptied_the_list_is_the_one_that_is_told),
		cmocka_unit_test(the_output_bound_is_the_least_that_somebody_said),
		cmocka_unit_test(what_may_be_cached_for_an_hour_is_bounded_so),
		cmocka_unit_test(the_bound_expects_the_dearest_of_prices_for_a_prompt),
		cmocka_unit_test(
		    the_bound_is_at_the_dearest_tier_that_the_prompt_can_reach),
		cmocka_unit_test(a_model_with_two_names_is_a_candidate_once),
		cmocka_unit_test(shares_hold_over_every_row_of_requests),
		cmocka_unit_test(who_only_looks_takes_nobodys_turn),
		cmocka_unit_test(without_weights_the_order_is_the_files),
		cmocka_unit_test(a_budget_shrinks_the_bound_to_what_is_affordable),
		cmocka_unit_test(waiting_is_advised_only_where_it_can_help),
		cmocka_unit_test(huge_numbers_do_not_wrap),
		cmocka_unit_test(
		    the_estimate_reads_as_much_from_a_cache_as_prompts_there_did),
	};

	return cmocka_run_group_tests(tests, scene_start, scene_stop);
}
