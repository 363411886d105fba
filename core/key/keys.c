/* keys.c - the keys there are: put, removed, listed by [main]; found by workers.
 *
 * Two ways lead to a key. From its secret: HMAC with the pepper for keys that we minted
 * or that the file gives in clear, SHA-256 for those imported as such; the index knows
 * both. From its id: a table of [main]'s own, which also keeps what belongs to the id and
 * not to its settings (the live state), so that a reload gives nobody a fresh burst.
 *
 * A change is built whole first and published last, in an order that leaves no instant
 * without the key: the new one is added before the old one is dropped.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "key/index.h"
#include "key/key.h"
#include "key/purse.h"

enum {
	FIRST_NAMES = 64,
	BRIEF_MS = 10 * 60 * 1000,
	SETTINGS_BYTES = 4 << 20 /* of one key while it is parsed */
};

struct named {
	struct key_live *live; /* NULL: empty slot */
	struct key *key;       /* NULL: removed */
	size_t hash;           /* of the id: most strangers are told without reading it */
};

struct keys {
	struct crypto_hmac_key *pepper;
	struct ledger *ledger;
	struct grace *grace;
	struct index *index;
	struct profiles *profiles;
	struct arena *scratch;
	struct named *name; /* open addressing by id */
	size_t mask, ids, count;
	atomic_size_t imported; /* keys with a SHA-256 */
};

struct keys *
keys_new(const uint8_t pepper[32], struct ledger *ledger, struct loop *const *loops,
    unsigned loop_count)
{
	struct keys *k = mem_zalloc(sizeof(*k));

	if (k == NULL)
		return NULL;
	k->ledger = ledger;
	k->pepper = crypto_hmac_prepare(lz_strn((const char *)pepper, 32));
	k->grace = grace_new(loops, loop_count);
	k->index = k->grace != NULL ? index_new(k->grace) : NULL;
	k->profiles = k->grace != NULL ? profiles_new(ledger, k->grace) : NULL;
	k->scratch = arena_new(SETTINGS_BYTES);
	k->name = mem_calloc(FIRST_NAMES, sizeof(*k->name));
	k->mask = FIRST_NAMES - 1;
	if (k->pepper != NULL && k->index != NULL && k->profiles != NULL &&
	    k->scratch != NULL && k->name != NULL)
		return k;
	keys_free(k);
	return NULL;
}

void
keys_free(struct keys *k)
{
	if (k == NULL)
		return;
	grace_free(k->grace);
	for (size_t i = 0; k->name != NULL && i <= k->mask; i++) {
		key_unref(k->name[i].key);
		mem_free(k->name[i].live);
	}
	mem_free(k->name);
	index_free(k->index);
	profiles_free(k->profiles);
	arena_free(k->scratch);
	if (k->pepper != NULL)
		crypto_hmac_forget(k->pepper);
	mem_free(k);
}

void
keys_hash(const uint8_t pepper[32], lz_str secret, uint8_t out[CRYPTO_HASH_BYTES])
{
	crypto_hmac(lz_strn((const char *)pepper, 32), secret, out);
}

/* ---- by secret ---- */

/* The secret before a roll works for a while longer. */
static bool
is_current(const struct key *key, const uint8_t *digest, int64_t now_unix_ms)
{
	if (key->has_hash && crypto_equal(key->hash, digest, CRYPTO_HASH_BYTES))
		return true;
	return now_unix_ms < key->old_until_unix_ms;
}

struct key *
keys_find(struct keys *k, lz_str secret, int64_t now_unix_ms)
{
	uint8_t digest[CRYPTO_HASH_BYTES];
	struct key *key;

	if (secret.len == 0 || secret.len > KEYS_SECRET_BYTES)
		return NULL;
	crypto_hmac_run(k->pepper, secret, digest);
	key = index_find(k->index, INDEX_HMAC, digest);
	if (key != NULL && !is_current(key, digest, now_unix_ms))
		key = NULL;
	else if (key == NULL && atomic_load(&k->imported) > 0) {
		crypto_sha256(secret, digest);
		key = index_find(k->index, INDEX_SHA256, digest);
	}
	if (key != NULL)
		key_ref(key);
	return key;
}

/* ---- by id ---- */

/* FNV-1a. Ids come from the operator, not from callers. */
static size_t
hash(lz_str id)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < id.len; i++)
		h = (h ^ (unsigned char)id.ptr[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 32);
}

/* Where the id is, or would be. */
static struct named *
place(const struct keys *k, lz_str id, size_t h)
{
	size_t i = h & k->mask;

	while (k->name[i].live != NULL &&
	       (k->name[i].hash != h || !str_is(id, k->name[i].live->id)))
		i = (i + 1) & k->mask;
	return &k->name[i];
}

static bool
make_room_for_id(struct keys *k)
{
	size_t mask = k->mask * 2 + 1;
	struct named *name;

	if (k->ids < (k->mask + 1) / 4 * 3)
		return true;
	name = mem_calloc(mask + 1, sizeof(*name));
	if (name == NULL)
		return false;
	for (size_t from = 0; from <= k->mask; from++) {
		size_t to = k->name[from].hash & mask;

		if (k->name[from].live == NULL)
			continue;
		while (name[to].live != NULL)
			to = (to + 1) & mask;
		name[to] = k->name[from];
	}
	mem_free(k->name);
	k->name = name;
	k->mask = mask;
	return true;
}

/* The slot of the id, with its live state; made at first sight. NULL: out of memory. */
static struct named *
named(struct keys *k, lz_str id)
{
	size_t h = hash(id);
	struct named *at = place(k, id, h);

	if (at->live != NULL)
		return at;
	if (!make_room_for_id(k))
		return NULL;
	at = place(k, id, h);
	at->live = mem_zalloc(sizeof(*at->live) + id.len + 1);
	if (at->live == NULL)
		return NULL;
	memcpy(at->live->id, id.ptr, id.len);
	at->hash = h;
	k->ids++;
	return at;
}

const struct key *
keys_get(struct keys *k, lz_str id)
{
	return place(k, id, hash(id))->key;
}

struct profiles *
keys_profiles(struct keys *k)
{
	return k->profiles;
}

size_t
keys_count(const struct keys *k)
{
	return k->count;
}

static int
compare_ids(const void *a, const void *b)
{
	const struct key *x = *(const struct key *const *)a,
			 *y = *(const struct key *const *)b;

	return strcmp(x->id.ptr, y->id.ptr); /* key_new() ends them with NUL */
}

void
keys_each(struct keys *k, bool (*fn)(void *arg, const struct key *key), void *arg)
{
	const struct key **all = mem_calloc(k->count + 1, sizeof(*all));
	size_t n = 0;

	for (size_t i = 0; i <= k->mask; i++) {
		const struct key *key = k->name[i].key;

		if (key != NULL && all != NULL)
			all[n++] = key;
		else if (key != NULL && !fn(arg, key))
			return; /* no memory to sort them: as they come */
	}
	if (all == NULL)
		return;
	qsort(all, n, sizeof(*all), compare_ids);
	for (size_t i = 0; i < n && fn(arg, all[i]); i++)
		;
	mem_free(all);
}

/* ---- changes ---- */

static enum status
fill(struct purse *p, struct keys *k, const struct key_wanted *w,
    const struct key_settings *settings, struct err *e)
{
	char scope[KEYS_ID_BYTES + 8];

	snprintf(
	    scope, sizeof(scope), "%s:%.*s", w->is_test ? "test" : "key", STR_ARG(w->id));
	return purse_fill(p, k->ledger, scope, settings, e);
}

static void
hand_over(const struct purse *p, struct key *key, const struct key *old)
{
	purse_set_limits(
	    p, old != NULL ? old->budget : NULL, old != NULL ? old->budget_count : 0);
	memcpy(key->budget, p->budget, sizeof(key->budget));
	key->budget_count = p->count;
}

/* Whether somebody stands in those places, the request finds out. */
static bool
join(struct keys *k, struct key *key)
{
	const struct key_settings *s = &key->settings;
	lz_str organization =
	    s->organization.len > 0 ? s->organization : STR_LIT(PROFILES_DEFAULT);

	key->organization = profiles_place(k->profiles, organization, STR_NONE);
	if (s->assistant.len > 0)
		key->assistant = profiles_place(k->profiles, organization, s->assistant);
	return key->organization != NULL &&
	       (key->assistant != NULL || s->assistant.len == 0);
}

static enum status
check_digest(struct keys *k, const struct key_wanted *w, enum index_by by,
    const uint8_t *digest, struct err *e)
{
	const struct key *other =
	    digest != NULL ? index_find(k->index, by, digest) : NULL;

	if (other == NULL || str_eq(other->id, w->id))
		return ST_OK;
	return err_fail(e, ST_EXISTS,
	    "key %.*s: has the same secret as key %.*s; a secret belongs to one key",
	    STR_ARG(w->id), STR_ARG(other->id));
}

static enum status
check(struct keys *k, const struct key_wanted *w, struct err *e)
{
	enum status st;

	if (w->id.len == 0 || w->id.len > KEYS_ID_BYTES ||
	    memchr(w->id.ptr, '\0', w->id.len))
		return err_fail(e, ST_INVALID,
		    "key: an id of %zu bytes; 1 to %d are possible", w->id.len,
		    KEYS_ID_BYTES);
	if (keys_get(k, w->id) == NULL &&
	    (k->count >= KEYS_MOST || k->ids >= KEYS_IDS_MOST))
		return err_fail(e, ST_LIMIT,
		    "key %.*s: there are %zu keys already, the most possible",
		    STR_ARG(w->id), k->count);
	st = check_digest(k, w, INDEX_HMAC, w->hash, e);
	if (st == ST_OK)
		st = check_digest(k, w, INDEX_HMAC, w->old_hash, e);
	if (st == ST_OK)
		st = check_digest(k, w, INDEX_SHA256, w->sha256, e);
	return st;
}

static void
unpublish(struct keys *k, struct key *key)
{
	index_drop(k->index, key);
	if (key->has_sha256)
		atomic_fetch_sub(&k->imported, 1);
	k->count--;
	key_leave(key, k->grace);
}

/* Is it made for a moment, as `provider test` does it? Then its end is news to nobody. */
static bool
is_brief(const struct key *key)
{
	int64_t end = key->settings.expires_at_unix_ms;

	return end > 0 && end - clock_unix_ms() <= BRIEF_MS;
}

static void
publish(struct keys *k, struct named *at, struct key *key)
{
	struct key *old = at->key;

	key->live = at->live;
	if (old == NULL ||
	    old->settings.expires_at_unix_ms != key->settings.expires_at_unix_ms)
		atomic_store(&at->live->told_expiring, is_brief(key));
	if (key->has_sha256)
		atomic_fetch_add(&k->imported, 1);
	index_add(k->index, key);
	k->count++;
	at->key = key;
	if (old != NULL)
		unpublish(k, old);
}

enum status
keys_put(struct keys *k, const struct key_wanted *w, struct err *e)
{
	char where[KEYS_ID_BYTES + 8];
	struct key_settings settings;
	struct purse purse;
	struct named *at;
	struct key *key;
	enum status st = check(k, w, e);

	if (st != ST_OK)
		return st;
	arena_reset(k->scratch);
	snprintf(where, sizeof(where), "keys.%.*s", STR_ARG(w->id));
	st = key_settings_parse(w->settings, where, NULL, k->scratch, NULL, &settings, e);
	if (st == ST_OK)
		st = fill(&purse, k, w, &settings, e);
	if (st != ST_OK)
		return st;
	at = index_make_room(k->index) ? named(k, w->id) : NULL;
	key = at != NULL ? key_new(w, &settings) : NULL;
	if (key == NULL || !join(k, key)) {
		key_unref(key);
		return err_fail(e, ST_NOMEM, "key %.*s: out of memory", STR_ARG(w->id));
	}
	hand_over(&purse, key, at->key);
	publish(k, at, key);
	return ST_OK;
}

enum status
keys_remove(struct keys *k, lz_str id)
{
	struct named *at = place(k, id, hash(id));
	struct key *key = at->key;

	if (key == NULL)
		return ST_NOT_FOUND;
	at->key = NULL;
	unpublish(k, key);
	return ST_OK;
}
