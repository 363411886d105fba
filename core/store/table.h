/* table.h - a small map from bytes to fixed-size values, in the order of insertion: what
 * a batch adds up in.
 *
 * Nothing is removed but everything at once. One thread at a time. Private to store/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include "base/buf.h"

struct table_key;

struct table {
	size_t value_bytes; /* of one value; at most 8-aligned */
	uint32_t max;       /* entries */
	uint32_t count, cap;
	uint32_t slot_count; /* a power of two, at least twice cap */
	uint32_t *slot;      /* 0: free, else index + 1 */
	struct table_key *key;
	char *value;
	struct buf bytes; /* of the keys */
};

void table_init(struct table *t, size_t value_bytes, uint32_t max);
void table_free(struct table *t);
void table_reset(struct table *t); /* empty, memory kept */
/* The value, which a later table_put() may move; NULL when there is none. */
void *table_get(const struct table *t, lz_str key);
/* The same, made zeroed if there is none. NULL: out of memory, or `max` is reached. */
void *table_put(struct table *t, lz_str key);
/* By insertion order, i < count. The key is valid until the next table_put(). */
void *table_value(const struct table *t, uint32_t i);
lz_str table_key(const struct table *t, uint32_t i);

#endif
