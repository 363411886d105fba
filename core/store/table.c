/* table.c - open addressing over an array of entries.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/table.h"

#include "base/mem.h"

enum {
	FIRST_ENTRIES = 64,
	KEY_BYTES_MAX =
	    64 << 20 /* all keys together; far above max entries times what a key has */
};

struct table_key {
	uint32_t hash, len;
	size_t at;
};

void
table_init(struct table *t, size_t value_bytes, uint32_t max)
{
	*t = (struct table){ .value_bytes = (value_bytes + 7) & ~(size_t)7, .max = max };
	buf_init(&t->bytes, KEY_BYTES_MAX);
}

void
table_free(struct table *t)
{
	mem_free(t->slot);
	mem_free(t->key);
	mem_free(t->value);
	buf_free(&t->bytes);
	table_init(t, t->value_bytes, t->max);
}

void
table_reset(struct table *t)
{
	if (t->count > 0)
		memset(t->slot, 0, t->slot_count * sizeof(*t->slot));
	t->count = 0;
	buf_reset(&t->bytes);
}

/* FNV-1a, with the high bits folded in: the slots are taken from the low ones. */
static uint32_t
hash_of(lz_str key)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ (unsigned char)key.ptr[i]) * 0x100000001b3u;
	return (uint32_t)(h ^ h >> 32);
}

void *
table_value(const struct table *t, uint32_t i)
{
	return t->value + i * t->value_bytes;
}

lz_str
table_key(const struct table *t, uint32_t i)
{
	return lz_strn(t->bytes.ptr + t->key[i].at, t->key[i].len);
}

/* The slot of the key, or the free one where it belongs. */
static uint32_t *
find_slot(const struct table *t, lz_str key, uint32_t hash)
{
	uint32_t at = hash & (t->slot_count - 1), i;

	while (t->slot[at] != 0) {
		i = t->slot[at] - 1;
		if (t->key[i].hash == hash && str_eq(table_key(t, i), key))
			break;
		at = (at + 1) & (t->slot_count - 1);
	}
	return &t->slot[at];
}

void *
table_get(const struct table *t, lz_str key)
{
	uint32_t *slot;

	if (t->count == 0)
		return NULL;
	slot = find_slot(t, key, hash_of(key));
	return *slot == 0 ? NULL : table_value(t, *slot - 1);
}

static bool
grow(struct table *t)
{
	uint32_t cap = t->cap == 0 ? FIRST_ENTRIES : 2 * t->cap, slots = 2 * cap;
	struct table_key *key = mem_realloc(t->key, cap * sizeof(*key));
	char *value;
	uint32_t *slot;

	if (key == NULL)
		return false;
	t->key = key;
	value = mem_realloc(t->value, cap * t->value_bytes);
	if (value == NULL)
		return false;
	t->value = value;
	slot = mem_calloc(slots, sizeof(*slot));
	if (slot == NULL)
		return false;
	mem_free(t->slot);
	t->slot = slot;
	t->slot_count = slots;
	t->cap = cap;
	for (uint32_t i = 0; i < t->count; i++)
		*find_slot(t, table_key(t, i), t->key[i].hash) = i + 1;
	return true;
}

void *
table_put(struct table *t, lz_str key)
{
	uint32_t hash = hash_of(key), *slot;
	size_t at = t->bytes.len;

	if (t->count > 0 && (slot = find_slot(t, key, hash), *slot != 0))
		return table_value(t, *slot - 1);
	if (t->count >= t->max || (t->count == t->cap && !grow(t)))
		return NULL;
	buf_add_str(&t->bytes, key);
	if (t->bytes.failed) {
		t->bytes.failed = false;
		return NULL;
	}
	t->key[t->count] = (struct table_key){ hash, (uint32_t)key.len, at };
	memset(table_value(t, t->count), 0, t->value_bytes);
	slot = find_slot(t, key, hash);
	*slot = t->count + 1;
	return table_value(t, t->count++);
}
