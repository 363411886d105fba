/* arena.c - blocks that are filled from the front and freed together.
 *
 * The first block comes with the arena in one allocation and survives arena_reset(), so
 * that a connection which serves many small requests asks the allocator for memory once.
 * Later blocks double up to a maximum; what is larger than a block gets its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdio.h>

#include "base/mem.h"

enum {
	FIRST_BYTES = 7680, /* a chat request needs 6 to 7 KB, and so no second block */
	/* With the arena itself not beyond what malloc() keeps at hand (mem.c). */
	SMALL_BYTES = 944,
	BLOCK_BYTES_MAX = 65536 /* of the blocks that are shared */
};

struct block {
	struct block *next; /* older */
	size_t used, size;
	alignas(max_align_t) char bytes[];
};

struct arena {
	struct block *current; /* the newest; the list ends at the first */
	size_t used, max_bytes;
	size_t next_size;
	struct block first; /* must stay the last member: its bytes follow */
};

static struct arena *
make(size_t max_bytes, size_t first_bytes)
{
	size_t room = max_bytes < first_bytes ? max_bytes : first_bytes;
	struct arena *a = mem_alloc(sizeof(*a) + room);

	if (a == NULL)
		return NULL;
	a->max_bytes = max_bytes;
	a->first.next = NULL;
	a->first.size = room;
	a->current = &a->first;
	arena_reset(a);
	return a;
}

struct arena *
arena_new(size_t max_bytes)
{
	return make(max_bytes, FIRST_BYTES);
}

struct arena *
arena_new_small(size_t max_bytes)
{
	return make(max_bytes, SMALL_BYTES);
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	arena_reset(a);
	mem_free(a);
}

void
arena_reset(struct arena *a)
{
	while (a->current != &a->first) {
		struct block *older = a->current->next;

		mem_free(a->current);
		a->current = older;
	}
	a->first.used = 0;
	a->used = 0;
	a->next_size = FIRST_BYTES;
}

/* Makes a block that holds at least n bytes the current one. NULL: out of memory. */
static struct block *
add_block(struct arena *a, size_t n)
{
	size_t size = n > a->next_size ? n : a->next_size;
	struct block *b;

	if (size > SIZE_MAX - sizeof(*b))
		return NULL;
	b = mem_alloc(sizeof(*b) + size);
	if (b == NULL)
		return NULL;
	b->size = size;
	b->used = 0;
	b->next = a->current;
	a->current = b;
	if (a->next_size < BLOCK_BYTES_MAX)
		a->next_size *= 2;
	return b;
}

/* Bytes as they come; NULL when the maximum is reached or memory is out. */
static void *
take(struct arena *a, size_t n)
{
	const size_t align = alignof(max_align_t);
	struct block *b = a->current;
	void *p;

	if (n > a->max_bytes - a->used)
		return NULL;
	n = (n + align - 1) & ~(align - 1);
	if (n > b->size - b->used) {
		b = add_block(a, n);
		if (b == NULL)
			return NULL;
	}
	p = b->bytes + b->used;
	b->used += n;
	/* Rounding up must not carry the sum past the maximum, or the subtraction above
	 * wraps. */
	a->used = n > a->max_bytes - a->used ? a->max_bytes : a->used + n;
	return p;
}

void *
arena_room(struct arena *a, size_t n)
{
	return take(a, n);
}

void *
arena_alloc(struct arena *a, size_t n)
{
	void *p = take(a, n);

	return p != NULL ? memset(p, 0, n) : NULL;
}

lz_str
arena_copy(struct arena *a, lz_str s)
{
	char *p;

	if (s.ptr == NULL || s.len == SIZE_MAX)
		return STR_NONE;
	p = take(a, s.len + 1);
	if (p == NULL)
		return STR_NONE;
	memcpy(p, s.ptr, s.len);
	p[s.len] = '\0';
	return lz_strn(p, s.len);
}

lz_str
arena_join(struct arena *a, lz_str first, lz_str second)
{
	char *p;

	if (first.len >= SIZE_MAX - second.len)
		return STR_NONE;
	p = take(a, first.len + second.len + 1);
	if (p == NULL)
		return STR_NONE;
	if (first.len > 0)
		memcpy(p, first.ptr, first.len);
	if (second.len > 0)
		memcpy(p + first.len, second.ptr, second.len);
	p[first.len + second.len] = '\0';
	return lz_strn(p, first.len + second.len);
}

lz_str
arena_int(struct arena *a, int64_t v)
{
	char text[STR_INT_CHARS];

	return arena_copy(a, str_from_int(v, text));
}

lz_str
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list args;
	char *p;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		return STR_NONE;
	p = take(a, (size_t)n + 1);
	if (p == NULL)
		return STR_NONE;
	va_start(args, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, args);
	va_end(args);
	return lz_strn(p, (size_t)n);
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}
