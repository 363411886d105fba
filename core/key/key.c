/* key.c - a key as workers see it: one piece of memory, never written after it is
 * published but for its count.
 *
 * Settings are parsed into an arena of their own kind of size (8 KiB at least); a hundred
 * thousand keys are better kept as exactly what they are.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/key.h"

#include <stddef.h>
#include "base/mem.h"

struct kept {
	struct grace_item leaving;
	struct key key;
	json_t *metadata; /* what settings.metadata points to */
	lz_str allow[];   /* then the strings */
};

static struct kept *
kept_of(struct key *k)
{
	return (struct kept *)(void *)((char *)k - offsetof(struct kept, key));
}

static size_t
text_bytes(const struct key_wanted *w, const struct key_settings *s)
{
	size_t n = w->id.len + s->name.len + s->routing_strategy.len + 3;

	for (size_t i = 0; i < s->allow_count; i++)
		n += s->allow[i].len + 1;
	return n;
}

/* A NUL-terminated copy at *to, which moves on. */
static lz_str
keep(char **to, lz_str s)
{
	lz_str kept = lz_strn(*to, s.len);

	if (s.ptr == NULL)
		return s;
	if (s.len > 0)
		memcpy(*to, s.ptr, s.len);
	(*to)[s.len] = '\0';
	*to += s.len + 1;
	return kept;
}

static void
copy_settings(struct kept *kept, const struct key_settings *s, char *text)
{
	struct key_settings *to = &kept->key.settings;

	*to = *s;
	to->name = keep(&text, s->name);
	to->routing_strategy = keep(&text, s->routing_strategy);
	for (size_t i = 0; i < s->allow_count; i++)
		kept->allow[i] = keep(&text, s->allow[i]);
	to->allow = kept->allow;
	to->metadata = kept->metadata;
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
	size_t lists = settings->allow_count * sizeof(lz_str);
	struct kept *kept = mem_zalloc(sizeof(*kept) + lists + text_bytes(w, settings));
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
	text = (char *)(kept->allow + settings->allow_count);
	k->id = keep(&text, w->id);
	copy_settings(kept, settings, text);
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
