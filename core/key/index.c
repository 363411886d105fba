/* index.c - an open-addressing table of atomic pointers, at most half full.
 *
 * Digests are uniform already, so their first bytes are the hash. A key stands in a slot
 * for each of its digests; a slot says only which key, and the comparison with the key's
 * own digests, in constant time, decides.
 *
 * One writer, many readers. Adding stores a pointer into a free slot behind all that a
 * search meets; dropping puts a mark there that readers step over; neither moves
 * anything. So a key that is added anew before it is dropped is found by every reader,
 * wherever it stands. Marked slots are not used again: when slots run out, a table of the
 * right size is filled without them and published, and the old one goes when every loop
 * has passed a turn (grace.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/index.h"

#include "base/mem.h"

enum {
	FIRST_SLOTS = 64,
	DIGESTS = 3 /* most slots of one key */
};

#define DROPPED ((struct key *)(uintptr_t)1)

struct table {
	struct grace_item leaving;
	size_t mask;
	size_t taken; /* slots that are not NULL */
	_Atomic(struct key *) slot[];
};

struct index {
	_Atomic(struct table *) table;
	struct grace *grace;
	size_t keys;
};

static struct table *
table_new(size_t slots)
{
	struct table *t = mem_zalloc(sizeof(*t) + slots * sizeof(t->slot[0]));

	if (t != NULL)
		t->mask = slots - 1;
	return t;
}

static void
table_leave(struct grace_item *item)
{
	mem_free(item); /* the first member */
}

struct index *
index_new(struct grace *grace)
{
	struct index *ix = mem_zalloc(sizeof(*ix));
	struct table *t = table_new(FIRST_SLOTS);

	if (ix == NULL || t == NULL) {
		mem_free(ix);
		mem_free(t);
		return NULL;
	}
	ix->grace = grace;
	atomic_store(&ix->table, t);
	return ix;
}

void
index_free(struct index *ix)
{
	if (ix == NULL)
		return;
	mem_free(atomic_load(&ix->table));
	mem_free(ix);
}

static size_t
start_of(const uint8_t *digest)
{
	size_t h;

	memcpy(&h, digest, sizeof(h));
	return h;
}

static bool
has_digest(const struct key *k, enum index_by by, const uint8_t *digest)
{
	if (by == INDEX_SHA256)
		return k->has_sha256 &&
		       crypto_equal(k->sha256, digest, CRYPTO_HASH_BYTES);
	return (k->has_hash && crypto_equal(k->hash, digest, CRYPTO_HASH_BYTES)) ||
	       (k->has_old_hash && crypto_equal(k->old_hash, digest, CRYPTO_HASH_BYTES));
}

struct key *
index_find(
    const struct index *ix, enum index_by by, const uint8_t digest[CRYPTO_HASH_BYTES])
{
	const struct table *t = atomic_load_explicit(&ix->table, memory_order_acquire);
	struct key *k;

	for (size_t i = start_of(digest) & t->mask;; i = (i + 1) & t->mask) {
		k = atomic_load_explicit(&t->slot[i], memory_order_acquire);
		if (k == NULL || (k != DROPPED && has_digest(k, by, digest)))
			return k;
	}
}

static size_t
digests_of(const struct key *k, const uint8_t *digest[DIGESTS])
{
	size_t n = 0;

	if (k->has_hash)
		digest[n++] = k->hash;
	if (k->has_sha256)
		digest[n++] = k->sha256;
	if (k->has_old_hash)
		digest[n++] = k->old_hash;
	return n;
}

/* Puts the key where a search for the digest finds it: a slot that it has for another
 * digest will do. A dropped slot will not: a reader may have stepped over it already, and
 * would then miss the key when its old slot, further on, is dropped. */
static void
add(struct table *t, struct key *key, const uint8_t *digest)
{
	size_t i = start_of(digest) & t->mask;
	struct key *k;

	while ((k = atomic_load(&t->slot[i])) != NULL) {
		if (k == key)
			return;
		i = (i + 1) & t->mask;
	}
	t->taken++;
	atomic_store_explicit(&t->slot[i], key, memory_order_release);
}

static void
add_all(struct table *t, struct key *key)
{
	const uint8_t *digest[DIGESTS];
	size_t n = digests_of(key, digest);

	for (size_t i = 0; i < n; i++)
		add(t, key, digest[i]);
}

void
index_add(struct index *ix, struct key *key)
{
	add_all(atomic_load(&ix->table), key);
	ix->keys++;
}

void
index_drop(struct index *ix, const struct key *key)
{
	struct table *t = atomic_load(&ix->table);
	const uint8_t *digest[DIGESTS];
	size_t n = digests_of(key, digest);
	struct key *k;

	for (size_t d = 0; d < n; d++) {
		size_t i = start_of(digest[d]) & t->mask;

		for (; (k = atomic_load(&t->slot[i])) != NULL; i = (i + 1) & t->mask)
			if (k == key)
				atomic_store(&t->slot[i], DROPPED);
	}
	ix->keys--;
}

bool
index_make_room(struct index *ix)
{
	struct table *old = atomic_load(&ix->table), *t;
	size_t slots = FIRST_SLOTS;

	if ((old->taken + DIGESTS) * 2 <= old->mask + 1)
		return true;
	/* Sized for the keys there are: marks of dropped ones do not make it grow. */
	while (slots < (ix->keys + 1) * DIGESTS * 2)
		slots *= 2;
	t = table_new(slots);
	if (t == NULL)
		return false;
	for (size_t i = 0; i <= old->mask; i++) {
		struct key *k = atomic_load(&old->slot[i]);

		if (k != NULL && k != DROPPED)
			add_all(t, k);
	}
	atomic_store_explicit(&ix->table, t, memory_order_release);
	grace_put(ix->grace, &old->leaving, table_leave);
	return true;
}
