/* test_base64.c - both ways, against RFC 4648's own vectors and every byte there is.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/base64.h"

static void
the_rfcs_examples_go_both_ways(void **state)
{
	static const struct {
		const char *plain, *text;
	} cases[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" } };
	struct buf b;

	(void)state;
	buf_init(&b, 64);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		buf_reset(&b);
		base64_encode(cases[i].plain, strlen(cases[i].plain), &b);
		assert_true(str_is(buf_str(&b), cases[i].text));
		buf_reset(&b);
		assert_true(base64_decode(lz_strz(cases[i].text), &b));
		assert_true(str_is(buf_str(&b), cases[i].plain));
	}
	buf_free(&b);
}

static void
every_byte_and_every_length_come_back(void **state)
{
	unsigned char bytes[512];
	struct buf text, back;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 167 + 3);
	buf_init(&text, 1024);
	buf_init(&back, 1024);
	for (size_t n = 0; n <= sizeof bytes; n++) {
		buf_reset(&text);
		buf_reset(&back);
		base64_encode(bytes, n, &text);
		assert_int_equal(text.len, (n + 2) / 3 * 4);
		assert_true(base64_decode(buf_str(&text), &back));
		assert_int_equal(back.len, n);
		if (n > 0)
			assert_memory_equal(back.ptr, bytes, n);
	}
	buf_free(&text);
	buf_free(&back);
}

static void
what_is_not_base64_is_refused(void **state)
{
	static const char *const cases[] = { "A", "AA", "AAA", "AAAAA",
		"====", "A===", "AA=A", "AAA=AAAA", "AA==AAAA", "AA A", "AAA\n", "AA-_",
		"AAA*" };
	struct buf b;

	(void)state;
	buf_init(&b, 64);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (base64_decode(lz_strz(cases[i]), &b))
			fail_msg("accepted: %s", cases[i]);
	buf_free(&b);
}

static void
what_does_not_fit_says_so(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 7);
	base64_encode("foobar", 6, &b);
	assert_true(b.failed && b.len == 0);
	buf_free(&b);
	buf_init(&b, 5);
	assert_false(base64_decode(STR_LIT("Zm9vYmFy"), &b));
	assert_true(b.failed);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rfcs_examples_go_both_ways),
		cmocka_unit_test(every_byte_and_every_length_come_back),
		cmocka_unit_test(what_is_not_base64_is_refused),
		cmocka_unit_test(what_does_not_fit_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
