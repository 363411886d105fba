/* mem.h - the allocator, with a seam: tests make the k-th allocation fail.
 *
 * Everything in core/ allocates here and nowhere else, and main.c points libcurl, SQLite,
 * jansson and libevent here too (mem_seat_libraries in each library's room).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t n);  /* owned: mem_free(); NULL when out of memory. [any] */
void *mem_zalloc(size_t n); /* the same, zeroed */
void *mem_calloc(size_t count, size_t n); /* the same, overflow checked */
void *mem_realloc(void *p, size_t n);     /* as realloc(); on failure p stays valid */
void mem_free(void *p);                   /* NULL is fine */
char *mem_dup(const char *p, size_t n);   /* a NUL-terminated copy, owned */
char *mem_strdup(const char *s);          /* the same for a C string; NULL in, NULL out */

/* The seam. `fail` is asked before each allocation and may answer true. NULL: never.
 * [start] */
void mem_set_fault(int (*fail)(size_t n, void *arg), void *arg);

#endif
