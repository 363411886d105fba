/* test_standing.c - of a long list a request looks at the living and, in turn, the dead.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policy_scene.h"
#include "policy/standing.h"

enum {
	MANY = 40
};

static struct target many[MANY];
static const struct target *list_of_many[MANY], *order[MANY];
static struct config_standing standing;
static struct model_name list = {
	.target = list_of_many, .count = MANY, .standing = &standing
};
static const struct target *picked[MANY];
static size_t left_out;

/* The scene's first provider at many models; all alive, and new in each test. */
static void
set_many(void)
{
	static char name[MANY][32];
	static struct model_facts facts[MANY];
	static unsigned scenes;

	set_scene();
	scenes++;
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "many-%u-%u", scenes, i);
		facts[i] = model[0];
		facts[i].id = lz_strz(name[i]);
		many[i].provider = &provider[0];
		many[i].model = &facts[i];
		many[i].upstream_model = facts[i].id;
		atomic_store(&many[i].live, NULL);
		list_of_many[i] = &many[i];
	}
	standing = (struct config_standing){ .order = order };
	atomic_flag_clear(&standing.is_busy);
	config.any = list_of_many;
	config.any_count = MANY;
	config.any_standing = &standing;
}

static void
kill_but(unsigned a, unsigned b)
{
	for (unsigned i = 0; i < MANY; i++)
		if (i != a && i != b)
			fail_five_times(live_of(&many[i]));
}

static size_t
pick(void)
{
	return standing_pick(&list, picked, MANY, &left_out, true);
}

static void
the_living_are_taken_in_their_order_and_the_dead_in_turn(void **state)
{
	bool was_seen[MANY] = { false };

	(void)state;
	set_many();
	assert_int_equal(pick(), MANY);
	assert_int_equal(left_out, 0);
	kill_but(7, 30);
	for (unsigned i = 0; i < MANY - 2; i++) {
		assert_int_equal(pick(), 3);
		assert_int_equal(left_out, MANY - 3);
		assert_ptr_equal(picked[0], &many[7]);
		assert_ptr_equal(picked[1], &many[30]);
		was_seen[picked[2] - many] = true;
	}
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(was_seen[i], i != 7 && i != 30);
}

static void
who_only_looks_finds_whom_the_next_request_finds(void **state)
{
	const struct target *next;

	(void)state;
	set_many();
	kill_but(7, 30);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(standing_pick(&list, picked, MANY, &left_out, false), 3);
		next = picked[2];
		assert_int_equal(standing_pick(&list, picked, MANY, &left_out, false), 3);
		assert_ptr_equal(picked[2], next);
		assert_int_equal(pick(), 3);
		assert_ptr_equal(picked[2], next);
	}
}

static void
who_is_well_again_is_among_the_living_at_once(void **state)
{
	(void)state;
	set_many();
	kill_but(7, 30);
	assert_int_equal(pick(), 3);
	live_ended(live_of(&many[0]), 0, false, false, 1, 1, 1);
	assert_int_equal(pick(), 4);
	assert_ptr_equal(picked[0], &many[0]);
}

static void
nobody_waits_for_a_list_that_is_taken(void **state)
{
	(void)state;
	set_many();
	kill_but(7, 30);
	(void)atomic_flag_test_and_set(&standing.is_busy);
	assert_int_equal(pick(), MANY);
	assert_int_equal(left_out, 0);
}

static void
the_table_says_how_many_were_left_out(void **state)
{
	struct buf out;

	(void)state;
	set_many();
	kill_but(7, 30);
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(r->candidate_count, 3);
	buf_init(&out, 65536);
	policy_table(r, &out);
	buf_add_char(&out, '\0');
	assert_non_null(strstr(out.ptr, ",{\"excluded\":\"unhealthy\",\"more\":37}]"));
	buf_free(&out);
}

static void
when_no_living_one_will_do_all_are_looked_at(void **state)
{
	(void)state;
	set_many();
	kill_but(7, 7);
	forbidden = many[7].model->id.ptr;
	assert_int_equal(
	    find(), STEP_NEXT); /* one of the others may be well in a moment */
	assert_int_equal(r->fault, FAULT_NONE);
	assert_int_equal(r->candidate_count, MANY);
	assert_int_equal(r->candidates_left_out, 0);
	assert_int_equal(r->candidate[7].excluded, EXCLUDED_NOT_ALLOWED);
	fail_five_times(live_of(&many[7]));
	forbidden = NULL;
	assert_int_equal(find(), STEP_NEXT);
	assert_int_equal(r->candidate_count, MANY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_living_are_taken_in_their_order_and_the_dead_in_turn),
		cmocka_unit_test(who_only_looks_finds_whom_the_next_request_finds),
		cmocka_unit_test(who_is_well_again_is_among_the_living_at_once),
		cmocka_unit_test(nobody_waits_for_a_list_that_is_taken),
		cmocka_unit_test(the_table_says_how_many_were_left_out),
		cmocka_unit_test(when_no_living_one_will_do_all_are_looked_at),
	};

	return cmocka_run_group_tests(tests, scene_start, scene_stop);
}
