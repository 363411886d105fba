/* key.c - a key as workers see it: one piece of memory, never written after it is
 * published but for its count.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/key.h"

#include <stddef.h>
#include "base/mem.h"
#include "key/pack.h"

struct kept {
	struct grace_item leaving;
	struct key key;
	json_t *metadata; /* what settings.metadata points to */
	lz_str room[];    /* what the settings point to, then the id */
};

static struct kept *
kept_of(struct key *k)
{
	return (struct kept *)(void *)((char *)k - offsetof(struct kept, key));
}

static bool
copy_digest(uint8_t *to, const uint8_t *from)
{
	if (from != NULL)
		memcpy(to, from, CRYPTO_HASH_BYTES);
	return from != NULL;
}

struct key *
key_new(const struct key_wanted *w, const struct key_settings *settings)
{
	size_t room = pack_bytes(settings);
	struct kept *kept = mem_zalloc(sizeof(*kept) + room + w->id.len + 1);
	struct key *k;
	char *text;

	if (kept == NULL)
		return NULL;
	k = &kept->key;
	atomic_store(&k->refs, 1);
	if (settings->metadata != NULL) {
		kept->metadata = json_deep_copy(settings->metadata);
		if (kept->metadata == NULL) {
			mem_free(kept);
			return NULL;
		}
	}
	pack_settings(&k->settings, settings, kept->room);
	k->settings.metadata = kept->metadata;
	text = (char *)kept->room + room;
	k->id = pack_text(&text, w->id);
	k->is_test = w->is_test;
	k->is_disabled = w->is_disabled;
	k->is_from_file = w->is_from_file;
	k->has_hash = copy_digest(k->hash, w->hash);
	k->has_sha256 = copy_digest(k->sha256, w->sha256);
	k->has_old_hash = copy_digest(k->old_hash, w->old_hash);
	k->old_until_unix_ms = w->old_until_unix_ms;
	return k;
}

void
key_ref(struct key *k)
{
	atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
}

void
key_unref(struct key *k)
{
	if (k == NULL ||
	    atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
		return;
	json_decref(kept_of(k)->metadata);
	mem_free(kept_of(k));
}

static void
left(struct grace_item *item)
{
	key_unref(&((struct kept *)(void *)item)->key);
}

void
key_leave(struct key *k, struct grace *grace)
{
	grace_put(grace, &kept_of(k)->leaving, left);
}
