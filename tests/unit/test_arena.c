/* test_arena.c - memory that dies with a request, and the allocator's seam below it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdalign.h>

#include "base/arena.h"
#include "base/mem.h"

/* Refuses the allocation that counts *arg down to zero. */
static int
fail_kth(size_t n, void *arg)
{
	int *left = arg;

	(void)n;
	return --*left == 0;
}

static int
clear_fault(void **state)
{
	(void)state;
	mem_set_fault(NULL, NULL);
	return 0;
}

static void
memory_is_zeroed_and_aligned_also_after_a_reset(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (size_t n = 1; n < 200; n++) {
			unsigned char *p = arena_alloc(a, n);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xff, n);
		}
		arena_reset(a);
		assert_int_equal(arena_used(a), 0);
	}
	arena_free(a);
}

/* The sizes of what is allocated, the last and their sum. */
static size_t last_bytes, all_bytes;

static int
count_bytes(size_t n, void *arg)
{
	(void)arg;
	last_bytes = n;
	all_bytes += n;
	return 0;
}

static void
a_small_one_is_small_and_grows_like_the_other(void **state)
{
	struct arena *small, *other;
	void *p;

	(void)state;
	mem_set_fault(count_bytes, NULL);
	small = arena_new_small(1 << 20);
	assert_true(last_bytes <= 1032); /* what malloc() keeps at hand */
	other = arena_new(1 << 20);
	assert_true(last_bytes > 7 * 1024 && last_bytes < 8 * 1024);
	all_bytes = 0;
	assert_non_null(arena_alloc(small, 900));
	assert_non_null(arena_alloc(other, 7 * 1024));
	assert_int_equal(all_bytes, 0); /* no block beside the first */
	p = arena_alloc(small, 900);
	assert_non_null(p);
	assert_true(last_bytes > 7 * 1024 && last_bytes < 8 * 1024);
	memset(p, 1, 900);
	arena_reset(small);
	assert_int_equal(arena_used(small), 0);
	all_bytes = 0;
	assert_non_null(arena_alloc(small, 900));
	assert_int_equal(all_bytes, 0);
	arena_free(small);
	small = arena_new_small(100);
	assert_non_null(arena_alloc(small, 100));
	assert_null(arena_alloc(small, 1));
	arena_free(small);
	arena_free(other);
}

static void
what_was_handed_out_stays_where_it_is(void **state)
{
	struct arena *a = arena_new(4 << 20);
	char *at[200];

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		at[i] = arena_alloc(a, i * 100 + 1);
		assert_non_null(at[i]);
		memset(at[i], (int)i, i * 100 + 1);
	}
	for (size_t i = 0; i < 200; i++) {
		assert_int_equal(at[i][0], (char)i);
		assert_int_equal(at[i][i * 100], (char)i);
	}
	arena_free(a);
}

static void
the_maximum_is_reached_and_not_passed(void **state)
{
	struct arena *a = arena_new(100000);
	size_t got = 0;

	(void)state;
	assert_null(arena_alloc(a, 100001));
	assert_null(arena_alloc(a, SIZE_MAX));
	while (arena_alloc(a, 1000) != NULL)
		got += 1000;
	assert_in_range(got, 98000, 100000);
	assert_in_range(arena_used(a), got, 100000);
	arena_reset(a);
	assert_non_null(arena_alloc(a, 100000));
	assert_null(arena_alloc(a, 1));
	arena_free(a);
}

static void
a_tiny_maximum_that_is_no_multiple_of_the_alignment_holds(void **state)
{
	struct arena *a = arena_new(5);

	(void)state;
	assert_non_null(arena_alloc(a, 5));
	assert_null(arena_alloc(a, 1));
	assert_non_null(arena_alloc(a, 0));
	arena_free(a);
	a = arena_new(0);
	assert_null(arena_alloc(a, 1));
	arena_free(a);
}

static void
copies_end_in_nul_and_absent_stays_absent(void **state)
{
	struct arena *a = arena_new(64);
	lz_str s = arena_copy(a, STR_LIT("hi\0there"));

	(void)state;
	assert_int_equal(s.len, 8);
	assert_memory_equal(s.ptr, "hi\0there", 9);
	s = arena_copy(a, STR_LIT(""));
	assert_non_null(s.ptr);
	assert_int_equal(s.len, 0);
	assert_null(arena_copy(a, STR_NONE).ptr);
	assert_null(arena_copy(a, lz_strn("x", SIZE_MAX)).ptr);
	s = arena_printf(a, "%d-%s", 12, "x");
	assert_true(str_is(s, "12-x"));
	assert_int_equal(s.ptr[s.len], '\0');
	assert_null(arena_printf(a, "%99d", 1).ptr);
	arena_free(a);
	arena_free(NULL);
}

static void
each_failed_allocation_is_null_and_the_arena_goes_on(void **state)
{
	(void)state;
	for (int k = 1; k <= 4; k++) {
		int left = k;
		struct arena *a;

		mem_set_fault(fail_kth, &left);
		a = arena_new(1 << 20);
		if (k == 1) {
			assert_null(a);
			continue;
		}
		for (int block = 2; block <= 4; block++) {
			void *p = arena_alloc(a, 100000);

			assert_true((p == NULL) == (block == k));
		}
		assert_non_null(arena_alloc(a, 100));
		arena_free(a);
	}
}

static void
the_allocator_refuses_sizes_that_wrap_and_copies_strings(void **state)
{
	char *s;
	unsigned char *p;
	int left = 1;

	(void)state;
	assert_null(mem_calloc(SIZE_MAX / 2, 3));
	assert_null(mem_dup("x", SIZE_MAX));
	assert_null(mem_strdup(NULL));
	s = mem_strdup("text");
	assert_string_equal(s, "text");
	mem_free(s);
	s = mem_dup(NULL, 0);
	assert_string_equal(s, "");
	mem_free(s);
	p = mem_calloc(0, 8);
	assert_non_null(p);
	p = mem_realloc(p, 0);
	assert_non_null(p);
	mem_set_fault(fail_kth, &left);
	assert_null(mem_realloc(p, 10));
	mem_set_fault(NULL, NULL);
	mem_free(p);
	mem_free(NULL);
}

static void
joined_texts_and_numbers_end_in_nul_and_respect_the_maximum(void **state)
{
	struct arena *a = arena_new(4096), *tiny = arena_new(8);
	lz_str s = arena_join(a, STR_LIT("Bearer "), STR_LIT("sk"));

	(void)state;
	assert_int_equal(s.len, 9);
	assert_string_equal(s.ptr, "Bearer sk");
	assert_string_equal(arena_join(a, STR_NONE, STR_NONE).ptr, "");
	assert_string_equal(arena_int(a, INT64_MIN).ptr, "-9223372036854775808");
	assert_string_equal(arena_int(a, 0).ptr, "0");
	assert_null(arena_join(tiny, STR_LIT("Bearer "), STR_LIT("sk")).ptr);
	assert_null(
	    arena_join(a, (lz_str){ "", SIZE_MAX - 1 }, (lz_str){ "", SIZE_MAX - 1 })
		.ptr);
	arena_free(a);
	arena_free(tiny);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_one_is_small_and_grows_like_the_other),
		cmocka_unit_test(memory_is_zeroed_and_aligned_also_after_a_reset),
		cmocka_unit_test(what_was_handed_out_stays_where_it_is),
		cmocka_unit_test(the_maximum_is_reached_and_not_passed),
		cmocka_unit_test(
		    a_tiny_maximum_that_is_no_multiple_of_the_alignment_holds),
		cmocka_unit_test(copies_end_in_nul_and_absent_stays_absent),
		cmocka_unit_test(
		    joined_texts_and_numbers_end_in_nul_and_respect_the_maximum),
		cmocka_unit_test_teardown(
		    each_failed_allocation_is_null_and_the_arena_goes_on, clear_fault),
		cmocka_unit_test_teardown(
		    the_allocator_refuses_sizes_that_wrap_and_copies_strings,
		    clear_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
