/* arena.h - memory that dies with a request.
 *
 * Nothing is freed piecemeal; what outlives the request is copied by whoever keeps it. An
 * arena has a maximum, and reaching it is NULL, never growth without end. One thread at a
 * time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/status.h"
#include "base/str.h"

struct arena;

/* max_bytes: all that may be handed out. owned: arena_free(). NULL: out of memory. */
struct arena *arena_new(size_t max_bytes);
/* The same for what mostly stays below a kilobyte and lives as short as a call. */
struct arena *arena_new_small(size_t max_bytes);
void arena_free(struct arena *a);  /* NULL is fine */
void arena_reset(struct arena *a); /* forgets everything, keeps the first block */
/* Zeroed, aligned for anything; NULL when the maximum is reached or memory is out. */
void *arena_alloc(struct arena *a, size_t n);
/* The same, with whatever stood there. */
void *arena_room(struct arena *a, size_t n);
/* A NUL-terminated copy; STR_NONE when out of memory. */
lz_str arena_copy(struct arena *a, lz_str s);
/* The two texts as one, and a number in decimal: a request writes many, and vsnprintf()
 * costs ten times as much. */
lz_str arena_join(struct arena *a, lz_str first, lz_str second);
lz_str arena_int(struct arena *a, int64_t v);
lz_str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
size_t arena_used(const struct arena *a);

#endif
