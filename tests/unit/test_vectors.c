/* test_vectors.c - vectors reach the caller written as it asked, whatever the provider
 * wrote, and only when there is one for each text.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include "call/attempt.h"

static struct loop *loop;
static struct worker worker;
static struct config config;
static struct target target;

struct fixture {
	struct request r;
	struct call c;
	struct buf text;
};

/* An answer that came for `inputs` texts. */
static struct fixture *
make(const char *text, int64_t inputs, bool wants_base64)
{
	struct arena *arena = arena_new(REQUEST_ARENA_BYTES);
	struct fixture *f = arena_alloc(arena, sizeof *f);

	f->r.arena = arena;
	f->r.config = &config;
	f->r.worker = &worker;
	f->r.kind = REQUEST_EMBEDDINGS;
	f->r.inputs = inputs;
	f->r.wants_base64 = wants_base64;
	assert_true(request_may_add_attempt(&f->r));
	request_add_attempt(&f->r);
	f->r.attempt[0]->target = &target;
	f->c.r = &f->r;
	f->c.a = f->r.attempt[0];
	buf_init(&f->text, 1 << 24);
	buf_add_z(&f->text, text);
	return f;
}

static void
drop(struct fixture *f)
{
	buf_free(&f->text);
	buf_free(&f->r.answer);
	arena_free(f->r.arena);
}

static enum step
take(struct fixture *f)
{
	struct jscan scan;

	assert_int_equal(jscan_object_of_any_size(buf_str(&f->text), &scan, NULL), ST_OK);
	return vectors_taken(&f->c, &f->text, &scan);
}

static void
expect(const char *came, int64_t inputs, bool wants_base64, const char *goes)
{
	struct fixture *f = make(came, inputs, wants_base64);

	assert_int_equal(take(f), STEP_DONE);
	if (!str_is(buf_str(&f->r.answer), goes))
		fail_msg("%s became %.*s", came, STR_ARG(buf_str(&f->r.answer)));
	assert_int_equal(f->r.answer_status, 200);
	drop(f);
}

#define TWO(first, second)                                                               \
	"{ \"object\":\"list\", \"data\" : [ {\"index\":0,\"embedding\":" first "}, "    \
	"{\"embedding\":" second ",\"x\":[\"]\"],\"index\":1} ],\"usage\":null}\n"
#define NUMBERS  TWO("[ 1, -0.5 , 3.1415926535e0]", "[0.1]")
#define PACKED   TWO("\"AACAPwAAAL/bD0lA\"", "\"zczMPQ==\"")
#define UNPACKED TWO("[1,-0.5,3.14159274]", "[0.100000001]")

static void
vectors_that_are_as_asked_pass_byte_for_byte(void **state)
{
	(void)state;
	expect(NUMBERS, 2, false, NUMBERS);
	expect(PACKED, 2, true, PACKED);
}

static void
numbers_become_base64_for_who_asked_for_it(void **state)
{
	(void)state;
	expect(NUMBERS, 2, true, PACKED);
	expect(UNPACKED, 2, true, PACKED);
}

static void
base64_that_nobody_asked_for_becomes_numbers(void **state)
{
	(void)state;
	expect(PACKED, 2, false, UNPACKED);
}

static void
answers_may_mix_both(void **state)
{
	(void)state;
	expect(TWO("[1]", "\"AACAPw==\""), 2, true, TWO("\"AACAPw==\"", "\"AACAPw==\""));
	expect(TWO("[1]", "\"AACAPw==\""), 2, false, TWO("[1]", "[1]"));
}

/* Each is refused whichever way the caller wanted it. */
static void
what_is_not_a_vector_for_each_text_is_a_failed_attempt(void **state)
{
	static const struct {
		const char *text;
		int64_t inputs;
	} cases[] = {
		{ "{}", 1 },
		{ "{\"data\":null}", 1 },
		{ "{\"data\":{}}", 1 },
		{ "{\"data\":[]}", 1 },
		{ "{\"data\":[1]}", 1 },
		{ "{\"data\":[{}]}", 1 },
		{ "{\"data\":[{\"embedding\":null}]}", 1 },
		{ "{\"data\":[{\"embedding\":[]}]}", 1 },
		{ "{\"data\":[{\"embedding\":\"\"}]}", 1 },
		{ "{\"data\":[{\"embedding\":[1]}]}", 2 },
		{ "{\"data\":[{\"embedding\":[1]},{\"embedding\":[1]}]}", 1 },
		{ "{\"choices\":[{\"message\":{\"content\":\"hi\"}}]}", 1 },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
		struct fixture *f =
		    make(cases[i / 2].text, cases[i / 2].inputs, i % 2 == 1);

		assert_int_equal(take(f), STEP_RETRY);
		assert_int_equal(f->c.a->blame, LZ_UPSTREAM_DOWN);
		assert_string_equal(f->c.a->end, "bad_answer");
		drop(f);
	}
}

static void
what_cannot_be_rewritten_is_a_failed_attempt(void **state)
{
	static const struct {
		const char *text;
		bool wants_base64;
	} cases[] = {
		{ "{\"data\":[{\"embedding\":[1,\"2\"]}]}", true },
		{ "{\"data\":[{\"embedding\":[1,null]}]}", true },
		{ "{\"data\":[{\"embedding\":[[1]]}]}", true },
		{ "{\"data\":[{\"embedding\":[1e39]}]}", true },
		{ "{\"data\":[{\"embedding\":\"AACAPw=\"}]}", false },
		{ "{\"data\":[{\"embedding\":\"AACA\"}]}", false },
		{ "{\"data\":[{\"embedding\":\"AADAfw==\"}]}", false }, /* no number */
		{ "{\"data\":[{\"embedding\":\"AACAfw==\"}]}", false }, /* infinite */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fixture *f = make(cases[i].text, 1, cases[i].wants_base64);

		assert_int_equal(take(f), STEP_RETRY);
		drop(f);
	}
}

static void
a_million_numbers_are_an_answer(void **state)
{
	static const char start[] = "{\"data\":[{\"embedding\":\"AAAAAAAAAD8AAIC/";
	struct fixture *f = make("{\"data\":[{\"embedding\":[0", 1, true);

	(void)state;
	for (int i = 1; i < 1000000; i++)
		buf_add_z(&f->text, i % 2 != 0 ? ",0.5" : ",-1");
	buf_add_z(&f->text, "]}]}");
	assert_int_equal(take(f), STEP_DONE);
	assert_true(f->r.answer.len > 4000000 / 3 * 4);
	assert_memory_equal(f->r.answer.ptr, start, sizeof start - 1);
	drop(f);
}

/* ---- off the loop ---- */

static enum step came;
static unsigned comings;

static void
attempt_over(struct request *r, struct attempt *a, enum step s)
{
	(void)r;
	(void)a;
	came = s;
	comings++;
	loop_stop(loop);
}

static void
too_late(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* An answer of 100,000 numbers, taken by a worker with a pool. */
static struct fixture *
begin_a_large_one(const char *last)
{
	static const struct request_ops ops = { .attempt_over = attempt_over };
	struct fixture *f = make("{\"data\":[{\"embedding\":[0", 1, true);
	struct err e;

	worker.pool = pool_new(1, 4, &e);
	assert_non_null(worker.pool);
	f->r.ops = &ops;
	comings = 0;
	for (int i = 1; i < 100000; i++)
		buf_add_z(&f->text, ",0.5");
	buf_add_z(&f->text, last);
	assert_int_equal(take(f), STEP_WAIT);
	assert_int_equal(f->text.len, 0);
	return f;
}

static void
run_for(int64_t us)
{
	struct loop_timer timer = { 0 };

	assert_int_equal(loop_timer_set(loop, &timer, us, too_late, NULL), ST_OK);
	loop_run(loop);
	loop_timer_cancel(loop, &timer);
}

static void
end_the_pool(struct fixture *f)
{
	pool_free(worker.pool);
	worker.pool = NULL;
	drop(f);
}

static void
many_vectors_are_rewritten_off_the_loop(void **state)
{
	struct fixture *f = begin_a_large_one("]}]}");

	(void)state;
	run_for(20 * 1000 * 1000);
	assert_int_equal(comings, 1);
	assert_int_equal(came, STEP_DONE);
	assert_int_equal(f->r.answer_status, 200);
	assert_int_equal(f->r.answer.len, 22 + 2 + (400000 + 2) / 3 * 4 + 3);
	end_the_pool(f);
	f = begin_a_large_one(",null]}]}");
	run_for(20 * 1000 * 1000);
	assert_int_equal(comings, 1);
	assert_int_equal(came, STEP_RETRY);
	end_the_pool(f);
}

static void
who_waits_no_more_hears_nothing(void **state)
{
	struct fixture *f = begin_a_large_one("]}]}");

	(void)state;
	vectors_forget(&f->c);
	pool_free(worker.pool); /* the job has run; its way home has not */
	worker.pool = NULL;
	drop(f);
	run_for(1000);
	assert_int_equal(comings, 0);
}

static void
the_largest_answer_grows_with_the_texts(void **state)
{
	struct fixture *f = make("", 0, false);

	(void)state;
	config.limits.answer_bytes = 1000;
	assert_int_equal(call_answer_max(&f->r), 1000);
	f->r.inputs = 2048;
	assert_int_equal(call_answer_max(&f->r), 1000 + 2048 * CALL_VECTOR_BYTES);
	drop(f);
}

static int
set_up(void **state)
{
	static struct provider provider;
	static struct model_facts facts;
	struct err e;

	(void)state;
	loop_start();
	target = (struct target){
		.provider = &provider, .model = &facts, .upstream_model = STR_LIT("up")
	};
	loop = loop_new(&e);
	worker.loop = loop;
	return loop != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_that_are_as_asked_pass_byte_for_byte),
		cmocka_unit_test(numbers_become_base64_for_who_asked_for_it),
		cmocka_unit_test(base64_that_nobody_asked_for_becomes_numbers),
		cmocka_unit_test(answers_may_mix_both),
		cmocka_unit_test(what_is_not_a_vector_for_each_text_is_a_failed_attempt),
		cmocka_unit_test(what_cannot_be_rewritten_is_a_failed_attempt),
		cmocka_unit_test(a_million_numbers_are_an_answer),
		cmocka_unit_test(many_vectors_are_rewritten_off_the_loop),
		cmocka_unit_test(who_waits_no_more_hears_nothing),
		cmocka_unit_test(the_largest_answer_grows_with_the_texts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
