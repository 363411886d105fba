/* crypto.h - hashes, random bytes and the shape of our keys. The only room that includes
 * OpenSSL but net/tls.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/status.h"
#include "base/str.h"

/* The text of a key of ours:
 *     "lz_live_" or "lz_test_", 32 random characters of [0-9A-Za-z], 6 of checksum.
 * The checksum is the IEEE CRC-32 (zlib's) of the 40 characters
 * before it, as a number in base 62 with the digits 0-9A-Za-z, most significant first,
 * filled up with '0'. It tells typing mistakes without a look-up and lets secret scanners
 * be sure; it protects nothing. As a regular expression: lz_(live|test)_[0-9A-Za-z]{38}
 */
enum {
	CRYPTO_HASH_BYTES = 32,
	CRYPTO_KEY_CHARS = 46
};

void crypto_sha256(lz_str data, uint8_t out[CRYPTO_HASH_BYTES]); /* [any] */
/* HMAC-SHA256. [any] */
void crypto_hmac(lz_str key, lz_str data, uint8_t out[CRYPTO_HASH_BYTES]);
/* The same with a key prepared once: the two compression states after the padded key. */
struct crypto_hmac_key;
struct crypto_hmac_key *crypto_hmac_prepare(lz_str key); /* owned: crypto_hmac_forget() */
void crypto_hmac_forget(struct crypto_hmac_key *k);
/* [any] */
void crypto_hmac_run(
    const struct crypto_hmac_key *k, lz_str data, uint8_t out[CRYPTO_HASH_BYTES]);
bool crypto_equal(const void *a, const void *b, size_t n); /* constant time */
/* By getrandom(); aborts if the system has none. [any] */
void crypto_random(void *out, size_t n);
uint32_t crypto_crc32(lz_str data); /* IEEE, for key checksums */
/* Castagnoli, for the spool. Start with 0, go on with what the last call returned. */
uint32_t crypto_crc32c(uint32_t crc, const void *p, size_t n);
void crypto_hex(const uint8_t *p, size_t n, char *out); /* out[2 * n + 1] */
bool crypto_unhex(lz_str hex, uint8_t *out, size_t n);  /* exactly 2 * n digits */
void crypto_wipe(void *p, size_t n);

/* Mints "lz_live_..." or "lz_test_...". [any] */
void crypto_key_mint(bool is_test, char out[CRYPTO_KEY_CHARS + 1]);
/* Has the text the shape of a key of ours with a right checksum? Typos are told without a
 * look-up. */
bool crypto_key_is_wellformed(lz_str text);

#endif
