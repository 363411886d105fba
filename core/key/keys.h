/* keys.h - virtual keys in memory: found by the hash of their secret, published one by
 * one.
 *
 * Workers look up without a lock; only [main] publishes. A key's settings are immutable
 * and counted; its live state (rate, in-flight, budgets) is kept by id and survives
 * changes of the settings.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_KEYS_H
#define KEY_KEYS_H

#include "base/crypto.h"
#include "config/keyset.h"
#include "key/ledger.h"
#include "key/limit.h"
#include "key/profiles.h"
#include "net/loop.h"

enum {
	KEYS_MOST = 1000000,     /* keys at a time */
	KEYS_IDS_MOST = 4000000, /* ids ever: their live state stays */
	KEYS_ID_BYTES = 200,
	KEYS_SECRET_BYTES = 1024 /* longer ones are nobody's */
};

struct keys;

struct key_live { /* by id; never freed while the process runs */
	struct limit_rate rate;
	struct limit_tokens tokens;
	_Atomic int32_t in_flight;
	_Atomic int32_t told_expiring;
	_Atomic int64_t last_used_unix_ms;
	_Atomic uint64_t
	    told_unpriced; /* models whose missing price was told, a bit per hash */
	char id[];
};

struct key {
	atomic_uint refs;
	lz_str id; /* slug */
	struct key_settings settings;
	bool is_test, is_disabled, is_from_file;
	bool has_hash, has_sha256, has_old_hash;
	uint8_t hash[CRYPTO_HASH_BYTES];   /* HMAC(pepper, secret) */
	uint8_t sha256[CRYPTO_HASH_BYTES]; /* SHA-256 of an imported one */
	uint8_t old_hash[CRYPTO_HASH_BYTES];
	int64_t old_until_unix_ms; /* the old secret works before this instant */
	struct key_live *live;
	struct profile_place *organization, *assistant; /* assistant NULL: none */
	struct budget *budget[KEY_BUDGETS];             /* its own, in ledger order */
	size_t budget_count;
};

/* loops: the workers', for letting go of what they might still be looking at; borrowed
 * until keys_free(), which comes after their threads ended and before loop_free(). NULL:
 * out of memory. [main] */
struct keys *keys_new(const uint8_t pepper[32], struct ledger *ledger,
    struct loop *const *loops, unsigned loop_count);
void keys_free(struct keys *k);
/* The key of a secret as the client sent it, with a reference taken; NULL: none. Disabled
 * and expired keys are found. Cost does not depend on how much of the secret is right:
 * one HMAC, and one SHA-256 more if imported keys exist and the first found nothing.
 * [worker] */
struct key *keys_find(struct keys *k, lz_str secret, int64_t now_unix_ms);
void key_ref(struct key *k);
void key_unref(struct key *k); /* [any]; NULL is fine */

struct key_wanted {
	lz_str id;
	const json_t *settings; /* object as key_settings_parse() takes it; copied */
	bool is_test, is_disabled, is_from_file;
	const uint8_t *hash, *sha256, *old_hash; /* NULL: none */
	int64_t old_until_unix_ms;
};
/* Adds or replaces a key; takes effect with the next request, and not at all on failure.
 * Budgets of scope "key:ID" ("test:ID": play money) are made and given their limits; what
 * they spent before, ledger_load() says. ST_INVALID: id or settings; ST_EXISTS: another
 * key has the same secret; ST_LIMIT: too many; ST_NOMEM. [main] */
enum status keys_put(
    struct keys *k, const struct key_wanted *w, struct err *e) MUST_CHECK;
enum status keys_remove(struct keys *k, lz_str id) MUST_CHECK; /* ST_NOT_FOUND. [main] */
/* All keys, by id. The callback returns false to stop, and may not change the table.
 * [main] */
void keys_each(struct keys *k, bool (*fn)(void *arg, const struct key *key), void *arg);
const struct key *keys_get(struct keys *k, lz_str id); /* until the next change. [main] */
size_t keys_count(const struct keys *k);
/* The organisations and assistants that keys may belong to. */
struct profiles *keys_profiles(struct keys *k);
/* HMAC(pepper, secret): what is stored. [any] */
void keys_hash(const uint8_t pepper[32], lz_str secret, uint8_t out[CRYPTO_HASH_BYTES]);

#endif
