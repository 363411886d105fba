/* mem.c - malloc with a seam for tests.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One load and one branch that is never taken: what the seam costs a process that is no
 * test. */
static int (*fault)(size_t n, void *arg);
static void *fault_arg;

static inline bool
is_refused(size_t n)
{
	return __builtin_expect(fault != NULL, 0) && fault(n, fault_arg) != 0;
}

/* malloc(0) may be NULL, which here would read as "out of memory"; realloc(p, 0) may
 * free. */
static inline size_t
at_least_one(size_t n)
{
	return n > 0 ? n : 1;
}

void *
mem_alloc(size_t n)
{
	return is_refused(n) ? NULL : malloc(at_least_one(n));
}

/* glibc keeps freed blocks of up to so many bytes at hand for each thread. Its malloc()
 * looks there first, its calloc() never does (2.36), so that of blocks that are only
 * asked for cleared, every one goes the long way, both ways. */
enum {
	AT_HAND_BYTES = 1032
};

void *
mem_zalloc(size_t n)
{
	void *p;

	if (is_refused(n))
		return NULL;
	if (n > AT_HAND_BYTES)
		return calloc(1, n);
	p = malloc(at_least_one(n));
	/* Or gcc makes a calloc() of the two. */
	__asm__("" : "+r"(p));
	return p != NULL ? memset(p, 0, n) : NULL;
}

void *
mem_calloc(size_t count, size_t n)
{
	size_t total;

	if (__builtin_mul_overflow(count, n, &total))
		return NULL;
	return mem_zalloc(total);
}

void *
mem_realloc(void *p, size_t n)
{
	return is_refused(n) ? NULL : realloc(p, at_least_one(n));
}

/* Two of three that libcurl frees are NULL, some sixty a transfer. */
void
mem_free(void *p)
{
	if (p != NULL)
		free(p);
}

char *
mem_dup(const char *p, size_t n)
{
	char *copy;

	if (n == SIZE_MAX)
		return NULL;
	copy = mem_alloc(n + 1);
	if (copy == NULL)
		return NULL;
	if (n > 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

char *
mem_strdup(const char *s)
{
	return s == NULL ? NULL : mem_dup(s, strlen(s));
}

void
mem_set_fault(int (*fail)(size_t n, void *arg), void *arg)
{
	fault_arg = arg;
	fault = fail;
}
