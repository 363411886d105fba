/* test_jscan.c - the strict pass: what it takes, what it refuses and says, what it
 * reports.
 *
 * The cases of JSONTestSuite (github.com/nst/JSONTestSuite) are run when LATENZA_CORPORA
 * names a directory that has them; our own cover each rule without it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/jscan.h"
#include "base/json.h"
#include "base/mem.h"

/* ---- the grammar ---- */

static void
expect_scan(lz_str text, enum status expected, const char *why)
{
	/* A copy of just that length, so that the sanitizer sees a byte read too many. */
	char *copy = malloc(text.len > 0 ? text.len : 1);
	struct err e = { "" };
	enum status st;

	memcpy(copy, text.ptr, text.len);
	st = jscan_value(lz_strn(copy, text.len), &e);
	free(copy);
	if (st != expected || strstr(e.text, why) == NULL)
		fail_msg("%.*s: %s, \"%s\"", STR_ARG(text), status_name(st), e.text);
}

static void
every_kind_of_value_is_taken(void **state)
{
	static const char *const good[] = { "null", "true", "false", "0", "-0", "12",
		"-1.5e+3", "1E5", "0.5", "1e-400", "\"\"", "[]", "{}", " [ ] ",
		"\t\r\n{ }\n", "[1,[2,{\"a\":[]}],\"x\"]",
		"{\"a\":{\"a\":{}},\"b\":[[[]]]}", "{\"a\":1,\"b\":{\"a\":1,\"a\":2}}",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "\"\\ud83d\\ude00\"",
		"\"\\u0000\"", "\"\x7f\xc2\x80\xed\x9f\xbf\xf4\x8f\xbf\xbf\"",
		"9223372036854775807", "-9223372036854775808", "[[[[]],[]],[]]" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		expect_scan(lz_strz(good[i]), ST_OK, "");
}

static void
what_is_no_json_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "byte 0: no value" },
		{ "  ", "byte 2: no value" },
		{ "nul", "byte 0: an unknown word" },
		{ "nan", "unknown word" },
		{ "True", "byte 0: unexpected 'T'; expected a value" },
		{ "truex", "byte 4: unexpected 'x'; expected nothing" },
		{ "[1,]", "byte 3: unexpected ']'; expected a value" },
		{ "[,1]", "byte 1: unexpected ','" },
		{ "[1 2]", "byte 3: unexpected '2'; expected ',' or ']'" },
		{ "[1}", "byte 2: unexpected '}'; expected ',' or ']'" },
		{ "{\"a\":1]", "byte 6: unexpected ']'; expected ',' or '}'" },
		{ "[", "byte 1: the text ends" },
		{ "{", "byte 1: the text ends; expected a key" },
		{ "{\"a\"", "byte 4: the text ends; expected ':'" },
		{ "{\"a\":", "byte 5: the text ends; expected a value" },
		{ "{\"a\":1", "byte 6: the text ends" },
		{ "{\"a\":1,}", "byte 7: unexpected '}'; expected a key" },
		{ "{a:1}", "byte 1: unexpected 'a'; expected a key in double quotes" },
		{ "{'a':1}", "byte 1: unexpected '''" },
		{ "{\"a\" 1}", "byte 5: unexpected '1'; expected ':'" },
		{ "{1:1}", "expected a key" },
		{ "[1] [2]", "byte 4: unexpected '[';" },
		{ "]", "expected a value" },
		{ "\xef\xbb\xbf{}", "byte 0: unexpected byte 0xef" },
		{ "/* */ 1", "unexpected '/'" },
		{ "[\x0b]", "unexpected byte 0x0b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		expect_scan(lz_strz(rows[i].text), ST_INVALID, rows[i].why);
	expect_scan(STR_LIT("[1]\0"), ST_INVALID, "byte 3: unexpected byte 0x00");
	expect_scan(STR_LIT("\0"), ST_INVALID, "byte 0: unexpected byte 0x00");
}

static void
strings_are_strict(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "\"abc", "byte 0: a string that begins here is not closed" },
		{ "\"abc\\\"", "byte 0: a string that begins here is not closed" },
		{ "\"a\nb\"", "byte 2: a control character" },
		{ "\"\\x41\"", "byte 1: unknown escape" },
		{ "\"\\u12g4\"", "byte 1: \\u without" },
		{ "\"\\u12", "\\u without" },
		{ "\"\\", "byte 1: the text ends inside a string" },
		{ "\"\\ud800\"", "byte 1: half of a surrogate pair" },
		{ "\"\\udc00\"", "half of a surrogate pair" },
		{ "\"\\ud800\\n\"", "half of a surrogate pair" },
		{ "\"\\ud800\\u0041\"", "half of a surrogate pair" },
		{ "\"\\ud800\\ud800\"", "half of a surrogate pair" },
		{ "\"\\ud800\\u", "half of a surrogate pair" },
		{ "\"\\ud800\\udc0", "half of a surrogate pair" },
		{ "\"gr\xfc\xdf\"", "byte 3: bytes that are not UTF-8" },
		{ "\"\xc0\xaf\"", "not UTF-8" },
		{ "\"\xed\xa0\x80\"", "not UTF-8" },
		{ "\"\xe2\x82\"", "not UTF-8" },
		{ "\"\xe2\x82", "not UTF-8" },
		{ "{\"a\\u0000b\":1}", "byte 1: a key that holds \\u0000" },
		{ "[{\"x\":{\"\\u0000\":1}}]", "byte 7: a key that holds \\u0000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		expect_scan(lz_strz(rows[i].text), ST_INVALID, rows[i].why);
	expect_scan(STR_LIT("\"a\0b\""), ST_INVALID, "byte 2: a control character");
}

/* The wide loop takes 8 or 16 bytes at once: each kind of byte at each place of a text.
 */
static void
a_byte_that_ends_or_spoils_a_string_is_seen_wherever_it_stands(void **state)
{
	(void)state;
	for (size_t len = 1; len < 40; len++) {
		for (size_t at = 0; at < len; at++) {
			char text[44];

			memset(text, 'x', sizeof(text));
			text[0] = '"';
			text[len + 1] = '"';
			expect_scan(lz_strn(text, len + 2), ST_OK, "");
			text[at + 1] = 0x1f;
			expect_scan(lz_strn(text, len + 2), ST_INVALID, "control");
			text[at + 1] = (char)0x80;
			expect_scan(lz_strn(text, len + 2), ST_INVALID, "UTF-8");
			text[at + 1] = '\\';
			expect_scan(lz_strn(text, len + 2), ST_INVALID, "");
			text[at + 1] = '"';
			expect_scan(lz_strn(text, at + 2), ST_OK, "");
		}
	}
}

static void
numbers_are_strict(void **state)
{
	static const char *const bad[] = { "-", "+1", "01", "-01", "00", "1.", ".5",
		"-.5", "1.e5", "1e", "1e+", "1E-", "0x10", "1_000", "1e5.5", "--1",
		"Infinity", "-Infinity", "1.5." };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect_scan(lz_strz(bad[i]), ST_INVALID, "JSON at byte");
}

static void
numbers_that_a_64_bit_reader_changes_are_refused(void **state)
{
	static const char *const integers[] = { "9223372036854775808",
		"-9223372036854775809", "99999999999999999999",
		"[18446744073709551615]" };
	static const char *const reals[] = { "1e309", "1e400", "-1e400",
		"[1e99999999999999999999]", "1.7976931348623159e308",
		"17976931348623159e292", "0.00017976931348623159e312",
		"179769313486231590000e288" };
	static const char *const fit[] = { "1.7976931348623157e308",
		"1.7976931348623158e308", "0e99999999999999999999", "0.000e400",
		"0.001e310", "1e-99999999999999999999", "1000000000000000000000000.0",
		"9223372036854775808.0", "9e18", "10e307" };

	(void)state;
	for (size_t i = 0; i < sizeof(integers) / sizeof(*integers); i++)
		expect_scan(
		    lz_strz(integers[i]), ST_INVALID, "an integer beyond 64 bits");
	for (size_t i = 0; i < sizeof(reals) / sizeof(*reals); i++)
		expect_scan(lz_strz(reals[i]), ST_INVALID, "too large for a double");
	for (size_t i = 0; i < sizeof(fit) / sizeof(*fit); i++)
		expect_scan(lz_strz(fit[i]), ST_OK, "");
}

/* The last double and the first number that rounds beyond it, all 309 digits, and a
 * million zeros. */
static void
the_edge_of_the_doubles_is_exact(void **state)
{
	static const char edge[] =
	    "17976931348623158079372897140530341507993413271003782693617377898044"
	    "49682927647509466490179775872070963302864166928879109465555478519404"
	    "02630657488671505820681908902000708383676273854845817711531764475730"
	    "27006985557136695962284291481986083493647529271907416844436551070434"
	    "2711559699508093042880177904174497792";
	struct buf b;

	(void)state;
	assert_int_equal(sizeof(edge) - 1, 309);
	buf_init(&b, 4 << 20);
	buf_addf(&b, "%s.0", edge);
	expect_scan(buf_str(&b), ST_INVALID, "too large");
	b.ptr[308] = '1';
	expect_scan(buf_str(&b), ST_OK, "");
	buf_reset(&b);
	buf_add_z(&b, "0.");
	for (int i = 0; i < 1000000; i++)
		buf_add_char(&b, '0');
	buf_add_z(&b, "1e1000309");
	expect_scan(buf_str(&b), ST_OK, "");
	b.len -= 2;
	buf_add_z(&b, "10"); /* one place more */
	expect_scan(buf_str(&b), ST_INVALID, "too large");
	buf_reset(&b);
	buf_add_z(&b, "1");
	for (int i = 0; i < 1000000; i++)
		buf_add_char(&b, '0');
	buf_add_z(&b, ".5");
	expect_scan(buf_str(&b), ST_INVALID, "too large");
	buf_add_z(&b, "e-1000000");
	expect_scan(buf_str(&b), ST_OK, "");
	buf_free(&b);
}

/* ---- limits ---- */

static void
add_times(struct buf *b, const char *s, size_t n)
{
	while (n-- > 0)
		buf_add_z(b, s);
}

static void
sixty_three_levels_are_taken_and_sixty_four_refused(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	for (size_t depth = 62; depth <= 66; depth++) {
		enum status st = depth < 64 ? ST_OK : ST_LIMIT;

		buf_reset(&b);
		add_times(&b, "[", depth);
		add_times(&b, "]", depth);
		expect_scan(buf_str(&b), st, st == ST_OK ? "" : "byte 63: 64 brackets");
		buf_reset(&b);
		add_times(&b, "{\"a\":", depth);
		buf_add_z(&b, "1");
		add_times(&b, "}", depth);
		expect_scan(buf_str(&b), st, "");
	}
	buf_free(&b);
}

/* A scan that recursed would need megabytes of the stack, which main() holds at 256 KB.
 */
static int
count_allocation(size_t n, void *arg)
{
	unsigned *count = arg;

	(void)n;
	++*count;
	return 0;
}

/* Neither the scan nor the reader of trees, which asks it first, allocates a byte; that
 * the stack does not grow is seen by its size here (shrink_stack()). */
static void
a_hundred_thousand_levels_are_refused_at_once(void **state)
{
	unsigned allocations = 0;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	add_times(&b, "[", 100000);
	expect_scan(buf_str(&b), ST_LIMIT, "byte 63: 64 brackets");
	mem_set_fault(count_allocation, &allocations);
	assert_int_equal(jscan_value(buf_str(&b), NULL), ST_LIMIT);
	assert_null(json_parse(buf_str(&b), NULL));
	mem_set_fault(NULL, NULL);
	assert_int_equal(allocations, 0);
	buf_reset(&b);
	add_times(&b, "{\"a\":[", 100000);
	expect_scan(buf_str(&b), ST_LIMIT, "64 brackets");
	buf_free(&b);
}

static void
members_and_items_are_counted(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4 << 20);
	buf_add_z(&b, "[0");
	add_times(&b, ",0", JSCAN_ITEMS - 1);
	buf_add_z(&b, "]");
	expect_scan(buf_str(&b), ST_OK, "");
	b.len--;
	buf_add_z(&b, ",0]");
	expect_scan(buf_str(&b), ST_LIMIT, "more than 500,000 array items");

	buf_reset(&b);
	buf_add_z(&b, "{\"k\":0");
	add_times(&b, ",\"k\":0", JSCAN_KEYS - 1);
	buf_add_z(&b, "}");
	expect_scan(buf_str(&b), ST_OK, "");
	b.len--;
	buf_add_z(&b, ",\"k\":0}");
	expect_scan(buf_str(&b), ST_LIMIT, "more than 50,000 object members");
	buf_free(&b);
}

/* ---- the top-level object ---- */

static void
expect_object(lz_str text, enum status expected, const char *why)
{
	struct err e = { "" };
	struct jscan s;
	enum status st = jscan_object(text, &s, &e);

	if (st != expected || strstr(e.text, why) == NULL)
		fail_msg("%.*s: %s, \"%s\"", STR_ARG(text), status_name(st), e.text);
	assert_int_equal(jscan_object(text, &s, NULL), expected);
}

static void
a_request_is_an_object_with_unambiguous_keys(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "no value" },
		{ "[]", "byte 0: unexpected '['; expected an object" },
		{ "\"x\"", "expected an object" },
		{ "null", "expected an object" },
		{ "{", "expected a key" },
		{ "{}}", "byte 2: unexpected '}'" },
		{ "{} {}", "expected nothing after the value" },
		{ "{\"a\":1 \"b\":2}", "expected ',' or '}'" },
		{ "{\"a\":1,}", "expected a key" },
		{ "{\"model\":\"a\",\"model\":\"b\"}",
		    "byte 13: the key \"model\" stands twice" },
		{ "{\"model\":\"a\",\"mod\\u0065l\":\"b\"}",
		    "byte 13: a top-level key with a backslash" },
		{ "{\"a\\u0000\":1}", "\\u0000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		expect_object(lz_strz(rows[i].text), ST_INVALID, rows[i].why);
	expect_object(STR_LIT("{}\0"), ST_INVALID, "byte 2: unexpected byte 0x00");
	expect_object(STR_LIT(" {} \n"), ST_OK, "");
	expect_object(
	    STR_LIT("{\"Model\":1,\"model\":{\"model\":1,\"model\":2}}"), ST_OK, "");
}

/* A caller's key may be long, and in any script: what is shown of it stays text. */
static void
a_long_key_that_stands_twice_is_shown_up_to_a_whole_character(void **state)
{
	static const char sixty_three[] =
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	char text[400], said[100];

	(void)state;
	assert_int_equal(strlen(sixty_three), 63);
	(void)snprintf(text, sizeof(text), "{\"%s\xc3\xa9y\":1,\"%s\xc3\xa9y\":2}",
	    sixty_three, sixty_three);
	(void)snprintf(said, sizeof(said), "the key \"%s\" stands twice", sixty_three);
	expect_object(lz_strz(text), ST_INVALID, said);
	(void)snprintf(text, sizeof(text), "{\"%sx\xc3\xa9\":1,\"%sx\xc3\xa9\":2}",
	    sixty_three, sixty_three);
	(void)snprintf(said, sizeof(said), "the key \"%sx\" stands twice", sixty_three);
	expect_object(lz_strz(text), ST_INVALID, said);
}

static void
a_text_that_places_cannot_count_is_refused_unread(void **state)
{
	lz_str text = lz_strn("{}", (size_t)UINT32_MAX + 1);
	struct err e = { "" };
	struct jscan s;

	(void)state;
	assert_int_equal(jscan_value(text, &e), ST_LIMIT);
	assert_non_null(strstr(e.text, "more than 4 GiB"));
	assert_int_equal(jscan_object(text, &s, &e), ST_LIMIT);
}

static void
sixty_four_members_are_taken_and_one_more_refused(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	buf_add_z(&b, "{\"a\":0");
	for (int i = 1; i < JSCAN_MEMBERS; i++)
		buf_addf(&b, ",\"k%d\":0", i);
	buf_add_z(&b, "}");
	expect_object(buf_str(&b), ST_OK, "");
	b.len--;
	buf_add_z(&b, ",\"z\":0}");
	expect_object(buf_str(&b), ST_LIMIT, "more than 64 top-level members");
	buf_free(&b);
}

static void
depth_counts_the_object_itself(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	for (size_t depth = 61; depth <= 64; depth++) {
		buf_reset(&b);
		buf_add_z(&b, "{\"a\":");
		add_times(&b, "[", depth);
		add_times(&b, "]", depth);
		buf_add_z(&b, "}");
		expect_object(buf_str(&b), depth < 63 ? ST_OK : ST_LIMIT, "");
	}
	buf_free(&b);
}

static void
members_are_ranges_of_the_text(void **state)
{
	static const char text[] =
	    " {\"model\" : \"gpt\\u002d4\" ,\"n\":-12,\"messages\":[ {\"role\":"
	    "\"user\",\"content\":\"hello\"} ],\"stream\":true,\"stop\":null,"
	    "\"user\":{\"a\":[false]},\"t\":0.5,\"plain\":\"x\",\"no\":false} ";
	static const struct {
		const char *key, *value;
		enum jscan_type type;
		bool has_escape;
	} rows[] = {
		{ "model", "\"gpt\\u002d4\"", JSCAN_STRING, true },
		{ "n", "-12", JSCAN_NUMBER, false },
		{ "messages", "[ {\"role\":\"user\",\"content\":\"hello\"} ]",
		    JSCAN_ARRAY, false },
		{ "stream", "true", JSCAN_TRUE, false },
		{ "stop", "null", JSCAN_NULL, false },
		{ "user", "{\"a\":[false]}", JSCAN_OBJECT, false },
		{ "t", "0.5", JSCAN_NUMBER, false },
		{ "plain", "\"x\"", JSCAN_STRING, false },
		{ "no", "false", JSCAN_FALSE, false },
	};
	struct jscan s;
	struct err e;

	(void)state;
	assert_int_equal(jscan_object(lz_strz(text), &s, &e), ST_OK);
	assert_int_equal(s.count, sizeof(rows) / sizeof(*rows));
	for (size_t i = 0; i < s.count; i++) {
		const struct jscan_member *m = &s.member[i];

		assert_true(str_is(m->key, rows[i].key));
		assert_true(str_is(m->value, rows[i].value));
		assert_true(m->value.ptr > text && m->value.ptr < text + sizeof(text));
		assert_int_equal(m->type, rows[i].type);
		assert_int_equal(m->has_escape, rows[i].has_escape);
		assert_int_equal(m->media_bytes, 0);
		assert_int_equal(m->media_items, 0);
		assert_ptr_equal(jscan_find(&s, rows[i].key), m);
	}
	assert_null(jscan_find(&s, "mode"));
	assert_null(jscan_find(&s, "models"));
}

/* Adds ,"key":before, `head`, as many x as make it `len` bytes, and `behind`. */
static void
add_long(struct buf *b, const char *key, const char *before, const char *head, size_t len,
    const char *behind)
{
	buf_addf(b, ",\"%s\":%s\"%s", key, before, head);
	add_times(b, "x", len - strlen(head));
	buf_addf(b, "\"%s", behind);
}

static void
media_are_items_where_urls_stand(void **state)
{
	static const char png[] = "data:image/png;base64,";
	struct jscan s;
	struct buf b;
	struct err e;

	(void)state;
	buf_init(&b, 10000);
	buf_add_z(&b, "{\"first\":0");
	add_long(&b, "url", "", png, 256, "");
	add_long(&b, "image_url", "", "data:image\\/png;base64,", 257, "");
	add_long(&b, "a", "{\"file_data\":", "data:application/pdf;base64,", 300, "}");
	add_long(&b, "b", "[{\"url\":", "data:audio/wav;base64,", 400, ",\"c\":\"y\"}]");
	/* Texts, whatever they begin with. */
	add_long(&b, "content", "", png, 300, "");
	add_long(&b, "file_url", "", "data:text/plain;base64,", 300, "");
	add_long(&b, "list", "[{\"url\":1},", png, 300, "]");
	buf_add_char(&b, '}');
	assert_int_equal(jscan_object(buf_str(&b), &s, &e), ST_OK);
	for (size_t i = 0; i < s.count; i++) {
		static const uint32_t items[] = { 0, 0, 1, 1, 1, 0, 0, 0 },
				      bytes[] = { 0, 0, 257, 300, 400, 0, 0, 0 };

		assert_int_equal(s.member[i].media_items, items[i]);
		assert_int_equal(s.member[i].media_bytes, bytes[i]);
	}
	buf_free(&b);
}

/* ---- readers ---- */

static struct jscan_member
member_of(const char *value, struct buf *keep)
{
	struct jscan s;

	buf_reset(keep);
	buf_addf(keep, "{\"k\":%s}", value);
	assert_int_equal(jscan_object(buf_str(keep), &s, NULL), ST_OK);
	return s.member[0];
}

static void
an_integer_is_read_exactly_or_not_at_all(void **state)
{
	static const struct {
		const char *text;
		int64_t v;
	} rows[] = { { "0", 0 }, { "-0", 0 }, { "7", 7 }, { "-12", -12 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN } };
	static const char *const others[] = { "1.0", "1e2", "\"1\"", "true", "null",
		"[1]" };
	struct jscan_member m;
	int64_t v = 5;
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		m = member_of(rows[i].text, &b);
		assert_true(jscan_int(&m, &v));
		assert_true(v == rows[i].v);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		m = member_of(others[i], &b);
		v = 5;
		assert_false(jscan_int(&m, &v));
		assert_int_equal(v, 5);
	}
	m.type = JSCAN_NUMBER;
	m.value = STR_LIT("9223372036854775808");
	assert_false(jscan_int(&m, &v));
	buf_free(&b);
}

static void
a_string_is_a_view_or_decoded(void **state)
{
	static const char text[] =
	    "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\u0000z\"";
	static const char decoded[] =
	    "a\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0z";
	struct jscan_member m;
	char room[100];
	struct buf b;
	lz_str s;

	(void)state;
	buf_init(&b, 1000);
	m = member_of("\"plain\"", &b);
	assert_true(jscan_string(&m, NULL, &s));
	assert_ptr_equal(s.ptr, m.value.ptr + 1);
	assert_true(str_is(s, "plain"));
	m = member_of("\"\"", &b);
	assert_true(jscan_string(&m, NULL, &s));
	assert_int_equal(s.len, 0);
	m = member_of(text, &b);
	assert_true(jscan_string(&m, room, &s));
	assert_true(str_eq(s, lz_strn(decoded, sizeof(decoded) - 1)));
	m = member_of("1", &b);
	assert_false(jscan_string(&m, room, &s));
	buf_free(&b);
}

static void
expect_inner(const char *object, const char *key, const char *value)
{
	struct jscan_member m;
	bool is_found = jscan_inner(lz_strz(object), key, &m);

	assert_int_equal(is_found, value != NULL);
	if (value != NULL)
		assert_true(str_is(m.value, value));
}

static void
an_inner_member_is_found_and_the_last_of_duplicates_wins(void **state)
{
	static const char object[] =
	    " { \"a\" : 1 ,\"b\":{\"a\":2,\"x\":[\"}\",\"\\\"\",{}]}, \"c\\\"d\":"
	    "\"s\\\\\" ,\"a\":[1,{\"z\":\"]\"}],\"\\u0065\":true,\"last\":null}";

	(void)state;
	expect_inner(object, "a", "[1,{\"z\":\"]\"}]");
	expect_inner(object, "b", "{\"a\":2,\"x\":[\"}\",\"\\\"\",{}]}");
	expect_inner(object, "c\"d", "\"s\\\\\"");
	expect_inner(object, "e", "true");
	expect_inner(object, "last", "null");
	expect_inner(object, "x", NULL);
	expect_inner(object, "", NULL);
	expect_inner("{\"\":-1.5e3}", "", "-1.5e3");
	expect_inner("{}", "a", NULL);
	expect_inner("[\"a\",1]", "a", NULL);
	expect_inner("", "a", NULL);
}

static void
inner_members_come_one_after_the_other_as_written(void **state)
{
	static const char *const expected[][2] = { { "a", "1" },
		{ "b\\\"", "{\"a\":[2,\"}\"]}" }, { "", "\"\\\\\"" }, { "a", "null" } };
	lz_str rest = lz_strz(" { \"a\" : 1 ,\"b\\\"\":{\"a\":[2,\"}\"]} , \"\":\"\\\\\""
			      ",\"a\":null } ");
	struct jscan_member m;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		assert_true(jscan_next(&rest, &m));
		assert_true(str_is(m.key, expected[i][0]));
		assert_true(str_is(m.value, expected[i][1]));
	}
	assert_false(jscan_next(&rest, &m));
	assert_true(jscan_key_is(STR_LIT("b\\\""), "b\""));
	assert_false(jscan_key_is(STR_LIT("ab"), "a"));
	assert_false(jscan_key_is(STR_LIT("ab"), "ac"));
}

static void
several_members_are_picked_in_one_walk(void **state)
{
	static const char *const names[] = { "b", "x", "a" };
	struct jscan_member m[3];

	(void)state;
	jscan_pick(STR_LIT("{\"a\":1,\"b\":[],\"\\u0061\":\"2\"}"), names, 3, m);
	assert_true(str_is(m[0].value, "[]"));
	assert_null(m[1].value.ptr);
	assert_int_equal(m[1].type, JSCAN_NULL);
	assert_true(str_is(m[2].value, "\"2\""));
	jscan_pick(STR_LIT("[1]"), names, 3, m);
	assert_null(m[0].value.ptr);
	jscan_pick(STR_NONE, names, 3, m);
	assert_null(m[2].value.ptr);
}

static void
items_come_one_after_the_other(void **state)
{
	static const char *const expected[] = { "1", "{\"a\":[\"]\"]}", "[]", "\",\"",
		"null" };
	lz_str rest = lz_strz(" [ 1 ,{\"a\":[\"]\"]},[] , \",\",null ] "), item;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		assert_true(jscan_next_item(&rest, &item));
		assert_true(str_is(item, expected[i]));
	}
	assert_false(jscan_next_item(&rest, &item));
	rest = STR_LIT(" [ ] ");
	assert_false(jscan_next_item(&rest, &item));
	rest = STR_LIT("{\"a\":1}");
	assert_false(jscan_next_item(&rest, &item));
	rest = STR_NONE;
	assert_false(jscan_next_item(&rest, &item));
}

static void
strings_come_one_after_the_other_keys_and_values(void **state)
{
	static const char *const expected[] = { "role", "h\xc3\xa4ll\xc3\xb6 \\\"x\\\\",
		"", "0123456789abcdef0123456789abcdef\\n", "last" };
	lz_str rest = lz_strz("[{\"role\":\"h\xc3\xa4ll\xc3\xb6 \\\"x\\\\\",\"\":["
			      "\"0123456789abcdef0123456789abcdef\\n\",1]},\"last\"]");
	lz_str s;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		assert_true(jscan_next_string(&rest, &s));
		assert_true(str_is(s, expected[i]));
	}
	assert_false(jscan_next_string(&rest, &s));
	rest = STR_NONE;
	assert_false(jscan_next_string(&rest, &s));
}

static void
a_key_called_type_is_noticed_at_any_depth_but_in_no_value(void **state)
{
	static const struct {
		const char *text;
		bool has_type;
	} cases[] = { { "{\"m\":[{\"a\":[{\"type\":1}]}],\"n\":{}}", true },
		{ "{\"m\":[{\"t\\u0079pe\":1}]}", true },
		{ "{\"m\":[{\"a\":\"type\"}],\"type\":{}}", false },
		{ "{\"m\":{\"types\":1}}", false } };
	struct jscan s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(jscan_object(lz_strz(cases[i].text), &s, NULL), ST_OK);
		assert_int_equal(s.member[0].has_type, cases[i].has_type);
		if (s.count > 1)
			assert_false(s.member[1].has_type);
	}
}

/* jscan_inner() is for texts that passed, but a caller's mistake must not read beyond the
 * text. */
static void
an_inner_look_up_stays_inside_whatever_it_is_given(void **state)
{
	static const char text[] = "{\"a\\u00e9\":[{\"b\":\"c\\\"\"}],\"d\":-1.5}";

	(void)state;
	for (size_t n = 0; n <= sizeof(text); n++) {
		for (int c = 0; c < 128; c++) {
			char *copy = malloc(n > 0 ? n : 1);
			struct jscan_member m;
			lz_str rest, s;

			memcpy(copy, text, n);
			if (n > 0)
				copy[n - 1] = (char)c;
			for (rest = lz_strn(copy, n); jscan_next_string(&rest, &s);)
				assert_in_range((uintptr_t)s.ptr + s.len, (uintptr_t)copy,
				    (uintptr_t)copy + n);
			if (jscan_inner(lz_strn(copy, n), "d", &m))
				assert_in_range((uintptr_t)m.value.ptr, (uintptr_t)copy,
				    (uintptr_t)copy + n);
			free(copy);
		}
	}
}

/* ---- corpora and noise ---- */

/* Changed and cut texts: whatever jscan_object() says, it must not read outside, and what
 * it takes, jscan_value() takes. */
static void
noise_is_never_read_beyond_its_end(void **state)
{
	static const char text[] = "{\"model\":\"a\\u00e9\",\"messages\":[{\"role\":"
				   "\"user\",\"content\":\"h\xc3\xa4\"},"
				   "[1.5e3,-0,true,null]],\"n\":12345}";
	uint64_t random = 88172645463325252u;
	char copy[sizeof(text)];

	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct jscan s;
		size_t n;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		memcpy(copy, text, sizeof(text));
		n = sizeof(text) - 1 - (random >> 60 == 0 ? random % sizeof(text) : 0);
		copy[random % sizeof(text)] = (char)(random >> 20);
		copy[(random >> 8) % sizeof(text)] = text[(random >> 16) % sizeof(text)];
		if (jscan_object(lz_strn(copy, n), &s, NULL) == ST_OK)
			assert_int_equal(jscan_value(lz_strn(copy, n), NULL), ST_OK);
	}
}

static bool
read_whole(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	buf_reset(out);
	if (f == NULL)
		return false;
	while ((n = fread(buf_room(out, 65536), 1, 65536, f)) > 0)
		out->len += n;
	(void)fclose(f);
	return true;
}

/* What RFC 8259 takes and our policy refuses: a NUL in a key everywhere, a key twice
 * where a tree is built. Nothing else is; README.md lists the same. */
enum policy {
	TAKEN,
	REFUSED_IN_A_TREE,
	REFUSED
};

static enum policy
policy_of(const char *name)
{
	static const struct {
		const char *name;
		enum policy policy;
	} rows[] = {
		{ "y_object_escaped_null_in_key.json", REFUSED },
		{ "y_object_duplicated_key.json", REFUSED_IN_A_TREE },
		{ "y_object_duplicated_key_and_value.json", REFUSED_IN_A_TREE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (strcmp(name, rows[i].name) == 0)
			return rows[i].policy;
	}
	return TAKEN;
}

/* The same text as a member of a request. */
static enum status
scan_in_request(lz_str text)
{
	static struct jscan s;
	enum status st;
	struct buf b;

	buf_init(&b, text.len + 16);
	buf_add_z(&b, "{\"x\":");
	buf_add_str(&b, text);
	buf_add_char(&b, '}');
	st = jscan_object(buf_str(&b), &s, NULL);
	buf_free(&b);
	return st;
}

static bool
has_tree(lz_str text)
{
	json_t *tree = json_parse(text, NULL);
	bool is_there = tree != NULL;

	json_decref(tree);
	return is_there;
}

/* The three ways to read JSON: scanned, in a request, as a tree. */
static void
expect_suite(const char *name, lz_str text)
{
	bool is_scanned = jscan_value(text, NULL) == ST_OK;
	bool is_request = scan_in_request(text) == ST_OK;
	bool is_tree = has_tree(text);
	char kind = name[1] == '_' ? name[0] : 'i';

	if (kind == 'n' && (is_scanned || is_request || is_tree))
		fail_msg("%s: is taken", name);
	if (kind == 'y' && is_scanned != (policy_of(name) != REFUSED))
		fail_msg("%s: scan", name);
	if (kind == 'y' && is_request != (policy_of(name) != REFUSED))
		fail_msg("%s: request", name);
	if (kind == 'y' && is_tree != (policy_of(name) == TAKEN))
		fail_msg("%s: tree", name);
	if (is_tree && !is_scanned)
		fail_msg("%s: a tree of what the scan refused", name);
}

/* Feeds every file of the folder to expect_suite(). Returns how many there were of the
 * three kinds, y, n and others. */
static bool
each_file(const char *folder, unsigned count[3])
{
	const char *corpora = getenv("LATENZA_CORPORA");
	char path[512];
	struct dirent *entry;
	struct buf b;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/JSONTestSuite/%s",
	    corpora != NULL ? corpora : "/nowhere", folder);
	dir = opendir(path);
	if (dir == NULL) {
		print_message("LATENZA_CORPORA holds no JSONTestSuite/%s\n", folder);
		return false;
	}
	buf_init(&b, 4 << 20);
	while ((entry = readdir(dir)) != NULL) {
		(void)snprintf(path, sizeof(path), "%s/JSONTestSuite/%s/%s", corpora,
		    folder, entry->d_name);
		if (entry->d_name[0] == '.' || !read_whole(path, &b))
			continue;
		expect_suite(entry->d_name, buf_str(&b));
		count[entry->d_name[1] != '_'   ? 2
		      : entry->d_name[0] == 'y' ? 0
		      : entry->d_name[0] == 'n' ? 1
						: 2]++;
	}
	(void)closedir(dir);
	buf_free(&b);
	return true;
}

static void
json_test_suite_agrees(void **state)
{
	unsigned count[3] = { 0, 0, 0 };

	(void)state;
	if (!each_file("test_parsing", count))
		skip();
	print_message("y_ %u, n_ %u, i_ %u\n", count[0], count[1], count[2]);
	assert_true(count[0] >= 95 && count[1] >= 188 && count[2] >= 35);
}

/* Texts that parsers take for different things: read or refused, but never by one way
 * what another refuses as no JSON. */
static void
json_test_suite_transforms_are_read_alike(void **state)
{
	unsigned count[3] = { 0, 0, 0 };

	(void)state;
	if (!each_file("test_transform", count))
		skip();
	assert_true(count[2] >= 20);
}

/* So that a scan which recursed would be seen. */
static int
shrink_stack(void **state)
{
	struct rlimit r = { 256 << 10, 256 << 10 };

	(void)state;
	json_start();
	return setrlimit(RLIMIT_STACK, &r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_value_is_taken),
		cmocka_unit_test(what_is_no_json_is_refused_with_its_place),
		cmocka_unit_test(strings_are_strict),
		cmocka_unit_test(
		    a_byte_that_ends_or_spoils_a_string_is_seen_wherever_it_stands),
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(numbers_that_a_64_bit_reader_changes_are_refused),
		cmocka_unit_test(the_edge_of_the_doubles_is_exact),
		cmocka_unit_test(sixty_three_levels_are_taken_and_sixty_four_refused),
		cmocka_unit_test(a_hundred_thousand_levels_are_refused_at_once),
		cmocka_unit_test(members_and_items_are_counted),
		cmocka_unit_test(a_request_is_an_object_with_unambiguous_keys),
		cmocka_unit_test(
		    a_long_key_that_stands_twice_is_shown_up_to_a_whole_character),
		cmocka_unit_test(a_text_that_places_cannot_count_is_refused_unread),
		cmocka_unit_test(sixty_four_members_are_taken_and_one_more_refused),
		cmocka_unit_test(depth_counts_the_object_itself),
		cmocka_unit_test(members_are_ranges_of_the_text),
		cmocka_unit_test(media_are_items_where_urls_stand),
		cmocka_unit_test(an_integer_is_read_exactly_or_not_at_all),
		cmocka_unit_test(a_string_is_a_view_or_decoded),
		cmocka_unit_test(
		    an_inner_member_is_found_and_the_last_of_duplicates_wins),
		cmocka_unit_test(inner_members_come_one_after_the_other_as_written),
		cmocka_unit_test(several_members_are_picked_in_one_walk),
		cmocka_unit_test(items_come_one_after_the_other),
		cmocka_unit_test(strings_come_one_after_the_other_keys_and_values),
		cmocka_unit_test(
		    a_key_called_type_is_noticed_at_any_depth_but_in_no_value),
		cmocka_unit_test(an_inner_look_up_stays_inside_whatever_it_is_given),
		cmocka_unit_test(noise_is_never_read_beyond_its_end),
		cmocka_unit_test(json_test_suite_agrees),
		cmocka_unit_test(json_test_suite_transforms_are_read_alike),
	};

	return cmocka_run_group_tests(tests, shrink_stack, NULL);
}
