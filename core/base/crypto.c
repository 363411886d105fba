/* crypto.c - hashes, random bytes, key texts.
 *
 * SPDX-License-Identifier: MIT
 */
/* SHA-256 is used through its low-level functions, which OpenSSL 3 marks as deprecated,
 * because the two others cost more than the hash itself: EVP_MAC must fetch, duplicate
 * and free a context on the heap for each run, and EVP_Q_digest() looks the algorithm up
 * under a lock that all workers share. README.md has the figures. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/crypto.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include "base/mem.h"

#if defined(__x86_64__) && !defined(BASE_PORTABLE)
#include <nmmintrin.h>
#define CRC32C_SSE42 1
#endif

enum {
	BLOCK_BYTES = 64, /* of SHA-256 */
	PREFIX_CHARS = 8,
	RANDOM_CHARS = 32,
	CHECKSUM_CHARS = 6,
	BASE = 62
};

static const char digits[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char live_prefix[] = "lz_live_", test_prefix[] = "lz_test_";

/* ---- hashes ---- */

struct crypto_hmac_key {
	SHA256_CTX inner, outer; /* after the padded key */
};

void
crypto_sha256(lz_str data, uint8_t out[CRYPTO_HASH_BYTES])
{
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, data.ptr, data.len);
	SHA256_Final(out, &ctx);
	crypto_wipe(&ctx, sizeof(ctx));
}

static void
start_state(SHA256_CTX *ctx, const uint8_t key[BLOCK_BYTES], uint8_t pad)
{
	uint8_t block[BLOCK_BYTES];

	for (size_t i = 0; i < BLOCK_BYTES; i++)
		block[i] = key[i] ^ pad;
	SHA256_Init(ctx);
	SHA256_Update(ctx, block, sizeof(block));
	crypto_wipe(block, sizeof(block));
}

/* RFC 2104: a key longer than a block is hashed first, a shorter one filled up with
 * zeros. */
static void
hmac_start(struct crypto_hmac_key *k, lz_str key)
{
	uint8_t padded[BLOCK_BYTES] = { 0 };

	if (key.len > BLOCK_BYTES)
		crypto_sha256(key, padded);
	else if (key.len > 0)
		memcpy(padded, key.ptr, key.len);
	start_state(&k->inner, padded, 0x36);
	start_state(&k->outer, padded, 0x5c);
	crypto_wipe(padded, sizeof(padded));
}

struct crypto_hmac_key *
crypto_hmac_prepare(lz_str key)
{
	struct crypto_hmac_key *k = mem_alloc(sizeof(*k));

	if (k != NULL)
		hmac_start(k, key);
	return k;
}

void
crypto_hmac_forget(struct crypto_hmac_key *k)
{
	if (k == NULL)
		return;
	crypto_wipe(k, sizeof(*k));
	mem_free(k);
}

void
crypto_hmac_run(
    const struct crypto_hmac_key *k, lz_str data, uint8_t out[CRYPTO_HASH_BYTES])
{
	SHA256_CTX ctx = k->inner;

	SHA256_Update(&ctx, data.ptr, data.len);
	SHA256_Final(out, &ctx);
	ctx = k->outer;
	SHA256_Update(&ctx, out, CRYPTO_HASH_BYTES);
	SHA256_Final(out, &ctx);
	crypto_wipe(&ctx, sizeof(ctx));
}

void
crypto_hmac(lz_str key, lz_str data, uint8_t out[CRYPTO_HASH_BYTES])
{
	struct crypto_hmac_key k;

	hmac_start(&k, key);
	crypto_hmac_run(&k, data, out);
	crypto_wipe(&k, sizeof(k));
}

bool
crypto_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void
crypto_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

/* ---- random ---- */

void
crypto_random(void *out, size_t n)
{
	uint8_t *p = out;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		/* A gateway that mints guessable keys is worse than none. */
		must(got > 0);
		p += got;
		n -= (size_t)got;
	}
}

/* ---- checksums ---- */

/* Reflected CRCs, four bits a step: a table that can be read, for texts of a few bytes
 * and for processors without the instruction. */
static const uint32_t crc32_table[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
	0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344,
	0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };

static const uint32_t crc32c_table[16] = { 0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
	0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17,
	0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 };

static uint32_t
crc_by_table(const uint32_t table[16], uint32_t crc, const uint8_t *p, size_t n)
{
	for (; n > 0; n--) {
		crc ^= *p++;
		crc = table[crc & 15] ^ (crc >> 4);
		crc = table[crc & 15] ^ (crc >> 4);
	}
	return crc;
}

uint32_t
crypto_crc32(lz_str data)
{
	return ~crc_by_table(crc32_table, ~0u, (const uint8_t *)data.ptr, data.len);
}

#ifdef CRC32C_SSE42
__attribute__((target("sse4.2"))) static uint32_t
crc32c_by_instruction(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t wide = crc, w;

	for (; n >= sizeof(w); n -= sizeof(w), p += sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		wide = _mm_crc32_u64(wide, w);
	}
	crc = (uint32_t)wide;
	for (; n > 0; n--)
		crc = _mm_crc32_u8(crc, *p++);
	return crc;
}
#endif

uint32_t
crypto_crc32c(uint32_t crc, const void *p, size_t n)
{
#ifdef CRC32C_SSE42
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc32c_by_instruction(~crc, p, n);
#endif
	return ~crc_by_table(crc32c_table, ~crc, p, n);
}

/* ---- hexadecimal ---- */

void
crypto_hex(const uint8_t *p, size_t n, char *out)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = hex[p[i] >> 4];
		*out++ = hex[p[i] & 15];
	}
	*out = '\0';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
crypto_unhex(lz_str hex, uint8_t *out, size_t n)
{
	if (hex.len / 2 != n || hex.len % 2 != 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = hex_value(hex.ptr[2 * i]), low = hex_value(hex.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* ---- keys ---- */

/* Six random bits a character; the two values beyond 61 are drawn again, so that no
 * character is likelier. */
static void
put_random_digits(char *out)
{
	uint8_t pool[RANDOM_CHARS];
	size_t count = 0;

	while (count < RANDOM_CHARS) {
		crypto_random(pool, sizeof(pool));
		for (size_t i = 0; i < sizeof(pool) && count < RANDOM_CHARS; i++) {
			if ((pool[i] & 63) < BASE)
				out[count++] = digits[pool[i] & 63];
		}
	}
	crypto_wipe(pool, sizeof(pool));
}

/* 62^6 exceeds 2^32, so that six digits always suffice. */
static void
put_checksum(lz_str before, char *out)
{
	uint32_t crc = crypto_crc32(before);

	for (int i = CHECKSUM_CHARS - 1; i >= 0; i--, crc /= BASE)
		out[i] = digits[crc % BASE];
}

void
crypto_key_mint(bool is_test, char out[CRYPTO_KEY_CHARS + 1])
{
	memcpy(out, is_test ? test_prefix : live_prefix, PREFIX_CHARS);
	put_random_digits(out + PREFIX_CHARS);
	put_checksum(
	    lz_strn(out, PREFIX_CHARS + RANDOM_CHARS), out + PREFIX_CHARS + RANDOM_CHARS);
	out[CRYPTO_KEY_CHARS] = '\0';
}

static bool
is_key_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool
crypto_key_is_wellformed(lz_str text)
{
	char checksum[CHECKSUM_CHARS];

	if (text.len != CRYPTO_KEY_CHARS)
		return false;
	if (!str_starts(text, live_prefix) && !str_starts(text, test_prefix))
		return false;
	for (size_t i = PREFIX_CHARS; i < text.len; i++) {
		if (!is_key_digit(text.ptr[i]))
			return false;
	}
	put_checksum(str_cut(text, 0, PREFIX_CHARS + RANDOM_CHARS), checksum);
	return memcmp(checksum, text.ptr + PREFIX_CHARS + RANDOM_CHARS, CHECKSUM_CHARS) ==
	       0;
}
