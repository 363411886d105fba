/* test_crypto.c - published vectors for every hash, and the shape of our keys.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/crypto.h"
#include "base/mem.h"

static void
expect_hash(const uint8_t hash[CRYPTO_HASH_BYTES], const char *hex)
{
	char text[2 * CRYPTO_HASH_BYTES + 1];

	crypto_hex(hash, CRYPTO_HASH_BYTES, text);
	assert_string_equal(text, hex);
}

static void
sha256_agrees_with_fips_180(void **state)
{
	uint8_t hash[CRYPTO_HASH_BYTES];

	(void)state;
	crypto_sha256(STR_NONE, hash);
	expect_hash(
	    hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	crypto_sha256(STR_LIT("abc"), hash);
	expect_hash(
	    hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231, cases 1, 2, 6 and 7: keys shorter and longer than a block. */
static void
hmac_agrees_with_rfc_4231_prepared_or_not(void **state)
{
	char ones[20], long_key[131];
	const struct {
		lz_str key, data;
		const char *hex;
	} rows[] = {
		{ lz_strn(ones, 20), STR_LIT("Hi There"),
		    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ STR_LIT("Jefe"), STR_LIT("what do ya want for nothing?"),
		    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ lz_strn(long_key, 131),
		    STR_LIT("Test Using Larger Than Block-Size Key - Hash Key First"),
		    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
		{ lz_strn(long_key, 131),
		    STR_LIT("This is a test using a larger than block-size key and a "
			    "larger than "
			    "block-size data. The key needs to be hashed before being "
			    "used by "
			    "the HMAC algorithm."),
		    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
		{ STR_NONE, STR_NONE,
		    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad" },
	};

	(void)state;
	memset(ones, 0x0b, sizeof(ones));
	memset(long_key, 0xaa, sizeof(long_key));
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct crypto_hmac_key *k = crypto_hmac_prepare(rows[i].key);
		uint8_t hash[CRYPTO_HASH_BYTES];

		crypto_hmac(rows[i].key, rows[i].data, hash);
		expect_hash(hash, rows[i].hex);
		for (int again = 0; again < 2; again++) {
			memset(hash, 0, sizeof(hash));
			crypto_hmac_run(k, rows[i].data, hash);
			expect_hash(hash, rows[i].hex);
		}
		crypto_hmac_forget(k);
	}
	crypto_hmac_forget(NULL);
}

static void
the_checksums_agree_with_their_check_values(void **state)
{
	(void)state;
	assert_int_equal(crypto_crc32(STR_LIT("123456789")), 0xcbf43926);
	assert_int_equal(crypto_crc32(STR_NONE), 0);
	assert_int_equal(crypto_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crypto_crc32c(0, "", 0), 0);
}

/* RFC 3720, B.4: 32 bytes of zeros, ones and counting. */
static void
crc32c_agrees_with_iscsi(void **state)
{
	uint8_t p[32] = { 0 };

	(void)state;
	assert_int_equal(crypto_crc32c(0, p, 32), 0x8a9136aa);
	memset(p, 0xff, 32);
	assert_int_equal(crypto_crc32c(0, p, 32), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		p[i] = i;
	assert_int_equal(crypto_crc32c(0, p, 32), 0x46dd794e);
}

static uint32_t
crc32c_bit_by_bit(const uint8_t *p, size_t n)
{
	uint32_t crc = ~0u;

	for (; n > 0; n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ ((crc & 1) ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void
crc32c_is_the_same_at_every_length_address_and_split(void **state)
{
	uint8_t p[80];

	(void)state;
	crypto_random(p, sizeof(p));
	for (size_t from = 0; from < 9; from++) {
		for (size_t n = 0; n + from <= sizeof(p); n++) {
			uint32_t expected = crc32c_bit_by_bit(p + from, n);
			uint32_t half = crypto_crc32c(0, p + from, n / 3);

			assert_int_equal(crypto_crc32c(0, p + from, n), expected);
			assert_int_equal(
			    crypto_crc32c(half, p + from + n / 3, n - n / 3), expected);
		}
	}
}

static void
hexadecimal_is_exactly_as_long_as_asked(void **state)
{
	uint8_t p[2] = { 7, 7 };

	(void)state;
	assert_true(crypto_unhex(STR_LIT("00aF"), p, 2));
	assert_int_equal(p[0], 0);
	assert_int_equal(p[1], 0xaf);
	assert_false(crypto_unhex(STR_LIT("00a"), p, 2));
	assert_false(crypto_unhex(STR_LIT("00aff"), p, 2));
	assert_false(crypto_unhex(STR_LIT("00afff"), p, 2));
	assert_false(crypto_unhex(STR_LIT("00ag"), p, 2));
	assert_false(crypto_unhex(STR_LIT(""), p, 2));
	assert_true(crypto_unhex(STR_NONE, p, 0));
}

static void
equality_and_wiping_do_what_they_say(void **state)
{
	char a[4] = "abc", b[4] = "abd";

	(void)state;
	assert_true(crypto_equal(a, "abc", 4));
	assert_false(crypto_equal(a, b, 4));
	assert_true(crypto_equal(a, b, 2));
	assert_true(crypto_equal(a, b, 0));
	crypto_wipe(a, sizeof(a));
	assert_memory_equal(a, "\0\0\0\0", 4);
}

static void
a_minted_key_is_wellformed_and_like_no_other(void **state)
{
	char one[CRYPTO_KEY_CHARS + 1], other[CRYPTO_KEY_CHARS + 1];

	(void)state;
	for (int i = 0; i < 100; i++) {
		crypto_key_mint(i % 2, one);
		crypto_key_mint(i % 2, other);
		assert_int_equal(strlen(one), CRYPTO_KEY_CHARS);
		assert_true(str_starts(lz_strz(one), i % 2 ? "lz_test_" : "lz_live_"));
		assert_true(crypto_key_is_wellformed(lz_strz(one)));
		assert_string_not_equal(one, other);
	}
}

/* Made by hand from the header's description: zlib.crc32 and base 62. */
static void
the_checksum_is_what_the_header_documents(void **state)
{
	(void)state;
	assert_true(crypto_key_is_wellformed(
	    STR_LIT("lz_live_000000000000000000000000000000002NHCmP")));
	assert_true(crypto_key_is_wellformed(
	    STR_LIT("lz_test_0123456789ABCDEFGHIJKLMNOPQRSTUV3kxcU3")));
}

static void
every_single_typing_mistake_is_noticed(void **state)
{
	static const char others[] = "0Aaz_-. \x01\xc3";
	char key[CRYPTO_KEY_CHARS + 1], wrong[CRYPTO_KEY_CHARS + 1];

	(void)state;
	crypto_key_mint(false, key);
	for (size_t i = 0; i < CRYPTO_KEY_CHARS; i++) {
		for (size_t k = 0; k < sizeof(others); k++) {
			if (key[i] == others[k])
				continue;
			memcpy(wrong, key, sizeof(wrong));
			wrong[i] = others[k];
			assert_false(
			    crypto_key_is_wellformed(lz_strn(wrong, CRYPTO_KEY_CHARS)));
		}
	}
	assert_false(crypto_key_is_wellformed(lz_strn(key, CRYPTO_KEY_CHARS - 1)));
	assert_false(crypto_key_is_wellformed(lz_strn(key, CRYPTO_KEY_CHARS + 1)));
	assert_false(crypto_key_is_wellformed(STR_NONE));
}

/* 62 characters, 64,000 draws: a character's share varies by about 32 from its 1,032; six
 * times that is no chance. Taking a byte modulo 62 would give the first eight characters
 * 1,250. */
static void
no_character_of_a_key_is_likelier_than_another(void **state)
{
	unsigned count[256] = { 0 };
	char key[CRYPTO_KEY_CHARS + 1];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		crypto_key_mint(false, key);
		for (size_t k = 8; k < 40; k++)
			count[(unsigned char)key[k]]++;
	}
	for (size_t c = 0; c < 256; c++) {
		if (count[c] > 0)
			assert_in_range(count[c], 840, 1224);
	}
}

static int
refuse_all(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return 1;
}

static void
a_key_that_finds_no_memory_is_null(void **state)
{
	(void)state;
	mem_set_fault(refuse_all, NULL);
	assert_null(crypto_hmac_prepare(STR_LIT("k")));
	mem_set_fault(NULL, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_agrees_with_fips_180),
		cmocka_unit_test(hmac_agrees_with_rfc_4231_prepared_or_not),
		cmocka_unit_test(the_checksums_agree_with_their_check_values),
		cmocka_unit_test(crc32c_agrees_with_iscsi),
		cmocka_unit_test(crc32c_is_the_same_at_every_length_address_and_split),
		cmocka_unit_test(hexadecimal_is_exactly_as_long_as_asked),
		cmocka_unit_test(equality_and_wiping_do_what_they_say),
		cmocka_unit_test(a_minted_key_is_wellformed_and_like_no_other),
		cmocka_unit_test(the_checksum_is_what_the_header_documents),
		cmocka_unit_test(every_single_typing_mistake_is_noticed),
		cmocka_unit_test(no_character_of_a_key_is_likelier_than_another),
		cmocka_unit_test(a_key_that_finds_no_memory_is_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
