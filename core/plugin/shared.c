/* shared.c - lz->shared_add(): named counters that all workers, and all plugins, share.
 *
 * A counter lives for ttl_s seconds after its first addition, then starts again from 0.
 * One lock per bunch of names; the number of names is bounded, and when there is no room
 * for another, additions to new names count nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>

#include "base/mem.h"
#include "plugin/host.h"

enum {
	BUNCHES = 64, /* a power of two */
	COUNTERS_PER_BUNCH = 1024,
	KEY_BYTES = 200
};

struct counter {
	struct counter *next;
	int64_t value, ends_us; /* ends 0: never */
	uint16_t key_len;
	char key[];
};

struct bunch {
	pthread_mutex_t lock;
	struct counter *first;
	unsigned count;
};

static struct bunch bunches[BUNCHES] = { [0 ... BUNCHES - 1] = {
					     PTHREAD_MUTEX_INITIALIZER, NULL, 0 } };

static struct bunch *
bunch_of(lz_str key)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ (unsigned char)key.ptr[i]) * 16777619u;
	return &bunches[(h ^ h >> 16) & (BUNCHES - 1)];
}

/* The counter of that name; what has ended on the way to it is thrown out. */
static struct counter *
find(struct bunch *b, lz_str key, int64_t now)
{
	struct counter **link = &b->first, *c, *found = NULL;

	while ((c = *link) != NULL) {
		if (c->ends_us != 0 && c->ends_us <= now) {
			*link = c->next;
			mem_free(c);
			b->count--;
			continue;
		}
		if (str_eq(lz_strn(c->key, c->key_len), key))
			found = c;
		link = &c->next;
	}
	return found;
}

static struct counter *
add(struct bunch *b, lz_str key, uint32_t ttl_s, int64_t now)
{
	struct counter *c =
	    b->count < COUNTERS_PER_BUNCH ? mem_zalloc(sizeof(*c) + key.len) : NULL;

	if (c == NULL)
		return NULL;
	memcpy(c->key, key.ptr, key.len);
	c->key_len = (uint16_t)key.len;
	c->ends_us = ttl_s > 0 ? now + (int64_t)ttl_s * 1000000 : 0;
	c->next = b->first;
	b->first = c;
	b->count++;
	return c;
}

int64_t
shared_add(lz_str key, int64_t by, uint32_t ttl_s)
{
	int64_t now = clock_mono_us(), value = 0;
	struct counter *c;
	struct bunch *b;

	if (key.ptr == NULL || key.len == 0 || key.len > KEY_BYTES)
		return 0;
	b = bunch_of(key);
	(void)pthread_mutex_lock(&b->lock);
	c = find(b, key, now);
	if (c == NULL && by != 0) /* adding nothing is looking */
		c = add(b, key, ttl_s, now);
	if (c != NULL && !__builtin_add_overflow(c->value, by, &value))
		c->value = value;
	value = c != NULL ? c->value : 0;
	(void)pthread_mutex_unlock(&b->lock);
	return value;
}
