/* tally.c - a small chained hash of addresses, as large as there are addresses connected.
 *
 * Servers on several threads count in one, under its lock: twice in a connection's life,
 * and only where a limit is set.
 *
 * The hash is seeded, so that nobody chooses addresses (of an IPv6 prefix, say) that
 * share a chain.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/tally.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/crypto.h"
#include "base/mem.h"

enum {
	CHAINS = 4096
};

struct tally_entry {
	struct tally *tally;
	struct tally_entry *next, **link;
	uint8_t address[16];
	unsigned count;
};

struct tally {
	atomic_uint refs;
	pthread_mutex_t lock;
	uint64_t seed[2];
	struct tally_entry *chain[CHAINS];
};

struct tally *
tally_new(void)
{
	struct tally *t = mem_zalloc(sizeof(*t));

	if (t == NULL)
		return NULL;
	atomic_init(&t->refs, 1);
	(void)pthread_mutex_init(&t->lock, NULL);
	crypto_random(t->seed, sizeof(t->seed));
	return t;
}

struct tally *
tally_ref(struct tally *t)
{
	(void)atomic_fetch_add(&t->refs, 1);
	return t;
}

void
tally_unref(struct tally *t)
{
	struct tally_entry *entry, *next;
	size_t i;

	if (t == NULL || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	for (i = 0; i < CHAINS; i++) {
		for (entry = t->chain[i]; entry != NULL; entry = next) {
			next = entry->next;
			mem_free(entry);
		}
	}
	(void)pthread_mutex_destroy(&t->lock);
	mem_free(t);
}

static struct tally_entry **
chain_of(struct tally *t, const uint8_t address[16])
{
	uint64_t half[2], h;

	memcpy(half, address, sizeof(half));
	h = (half[0] ^ t->seed[0]) * 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 29) ^ half[1] ^ t->seed[1]) * 0xbf58476d1ce4e5b9u;
	return &t->chain[(h >> 40) % CHAINS];
}

static struct tally_entry *
add_entry(struct tally *t, struct tally_entry **chain, const uint8_t address[16])
{
	struct tally_entry *entry = mem_zalloc(sizeof(*entry));

	if (entry == NULL)
		return NULL;
	entry->tally = t;
	memcpy(entry->address, address, sizeof(entry->address));
	entry->next = *chain;
	entry->link = chain;
	if (entry->next != NULL)
		entry->next->link = &entry->next;
	*chain = entry;
	return entry;
}

static struct tally_entry *
join(struct tally *t, const uint8_t address[16], unsigned max)
{
	struct tally_entry **chain = chain_of(t, address);
	struct tally_entry *entry = *chain;

	while (
	    entry != NULL && memcmp(entry->address, address, sizeof(entry->address)) != 0)
		entry = entry->next;
	if (entry == NULL)
		entry = add_entry(t, chain, address);
	if (entry == NULL || entry->count >= max)
		return NULL;
	entry->count++;
	return entry;
}

struct tally_entry *
tally_join(struct tally *t, const uint8_t address[16], unsigned max)
{
	struct tally_entry *entry;

	(void)pthread_mutex_lock(&t->lock);
	entry = join(t, address, max);
	(void)pthread_mutex_unlock(&t->lock);
	return entry;
}

static void
leave(struct tally_entry *entry)
{
	if (--entry->count > 0)
		return;
	*entry->link = entry->next;
	if (entry->next != NULL)
		entry->next->link = entry->link;
	mem_free(entry);
}

void
tally_leave(struct tally_entry *entry)
{
	struct tally *t;

	if (entry == NULL)
		return;
	t = entry->tally;
	(void)pthread_mutex_lock(&t->lock);
	leave(entry);
	(void)pthread_mutex_unlock(&t->lock);
}
