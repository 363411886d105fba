/* test_content.c - the queue of prompts and answers: what is taken out is what was put
 * in, in the order of ids, and its memory is used again.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include "store/content.h"

enum {
	ITEMS = 3000,
	LARGEST = 40000, /* of a text: also such that get an allocation of their own */
	QUEUE_BYTES = 32 << 20
};

static char letters[LARGEST];
static unsigned allocations;
static size_t refused_bytes; /* allocations of at least so many fail; 0: none */

static int
count(size_t n, void *arg)
{
	(void)arg;
	allocations++;
	return refused_bytes > 0 && n >= refused_bytes;
}

/* The n-th text, told apart from its neighbours by where it begins. */
static lz_str
text(unsigned n, size_t bytes)
{
	size_t from = n % 26;

	return lz_strn(letters + from, bytes < LARGEST - from ? bytes : LARGEST - from);
}

static size_t
bytes_of(unsigned n)
{
	return n % 97 == 0 ? LARGEST : n * 37 % 3000;
}

static bool
offer(struct content_queue *q, unsigned n, size_t bytes)
{
	struct content c = { .at_unix_ms = n,
		.request = text(n, bytes),
		.answer = n % 3 == 0 ? STR_NONE : text(n + 1, bytes / 2),
		.candidates = STR_LIT("[]") };

	c.id[0] = (uint8_t)(n >> 8);
	c.id[1] = (uint8_t)n;
	return content_offer(q, &c);
}

static void
assert_is(const struct content *c, unsigned n)
{
	lz_str answer = n % 3 == 0 ? STR_NONE : text(n + 1, bytes_of(n) / 2);

	assert_int_equal(c->id[0] << 8 | c->id[1], n);
	assert_int_equal(c->at_unix_ms, n);
	assert_true(str_eq(c->request, text(n, bytes_of(n))));
	assert_int_equal(c->answer.ptr == NULL, answer.ptr == NULL);
	assert_true(str_eq(c->answer, answer));
	assert_true(str_is(c->candidates, "[]"));
}

static unsigned
done_all(struct content_queue *q, struct content *c)
{
	struct content *next;
	unsigned n = 0;

	for (; c != NULL; c = next, n++) {
		next = c->next;
		content_done(q, c);
	}
	return n;
}

static int
set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < LARGEST; i++)
		letters[i] = (char)('a' + i % 26);
	allocations = 0;
	refused_bytes = 0;
	mem_set_fault(count, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	mem_set_fault(NULL, NULL);
	return 0;
}

static void
what_comes_out_is_what_was_put_in_by_id(void **state)
{
	struct content_queue q;
	struct content *c, *all;
	unsigned n = 0;

	(void)state;
	content_init(&q, QUEUE_BYTES);
	assert_null(content_take(&q));
	for (unsigned i = 0; i < ITEMS; i++)
		assert_true(offer(&q, i * 7 % ITEMS, bytes_of(i * 7 % ITEMS)));
	all = content_take(&q);
	for (c = all; c != NULL; c = c->next)
		assert_is(c, n++);
	assert_int_equal(n, ITEMS);
	assert_int_equal(done_all(&q, all), ITEMS);
	assert_int_equal(q.bytes, 0);
	content_free(&q);
}

/* Put in while others are out, taken back in any order. */
static void
pages_are_used_again(void **state)
{
	struct content_queue q;
	struct content *a, *b;
	unsigned before = 0;

	(void)state;
	content_init(&q, QUEUE_BYTES);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 200; i++)
			assert_true(offer(&q, i, 2000));
		a = content_take(&q);
		for (unsigned i = 0; i < 100; i++)
			assert_true(offer(&q, i, 2000));
		b = content_take(&q);
		assert_int_equal(
		    done_all(&q, round % 2 == 0 ? a : b), round % 2 == 0 ? 200 : 100);
		assert_int_equal(
		    done_all(&q, round % 2 == 0 ? b : a), round % 2 == 0 ? 100 : 200);
		if (round == 2)
			before = allocations;
	}
	assert_int_equal(allocations, before); /* none since */
	assert_int_equal(q.bytes, 0);
	content_free(&q);
}

static void
no_more_is_taken_than_the_maximum(void **state)
{
	struct content_queue q;
	unsigned n = 0;

	(void)state;
	content_init(&q, 100000);
	while (offer(&q, n, 1000))
		n++;
	assert_true(n > 50 && n < 100);
	assert_false(offer(&q, n, 20000)); /* one with its own allocation */
	assert_int_equal(done_all(&q, content_take(&q)), n);
	assert_true(offer(&q, 0, 20000));
	content_free(&q); /* with what it holds */
}

static void
without_memory_it_says_no_and_goes_on(void **state)
{
	struct content_queue q;

	(void)state;
	content_init(&q, QUEUE_BYTES);
	refused_bytes = 1;
	assert_false(offer(&q, 1, 100));
	assert_false(offer(&q, 1, 20000));
	assert_int_equal(q.bytes, 0);
	refused_bytes = 0;
	assert_true(offer(&q, 1, 100));
	refused_bytes = 1;
	assert_true(offer(&q, 2, 100)); /* on the page that is there */
	assert_false(offer(&q, 3, 20000));
	refused_bytes = 0;
	assert_int_equal(done_all(&q, content_take(&q)), 2);
	content_free(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    what_comes_out_is_what_was_put_in_by_id, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pages_are_used_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    no_more_is_taken_than_the_maximum, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    without_memory_it_says_no_and_goes_on, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
