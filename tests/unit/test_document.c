/* test_document.c - which texts a document has, and that it is written as it was but for
 * what was changed.
 *
 * LATENZA_PLAY_SEED   the first document's seed; else the date of this test
 * LATENZA_PLAY_COUNT  how many documents; else 3,000
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "document_play.h"
#include "guard/plain.h"

enum {
	WRITTEN_BYTES = 20000,
	MANY = 24000
};

static uint64_t seed;

static void
play_give_up(const char *why)
{
	fail_msg("%s\n\tLATENZA_PLAY_SEED=%llu LATENZA_PLAY_COUNT=1 plays it again", why,
	    (unsigned long long)seed);
}

/* ---- what is a text ---- */

/* The texts of a document, a bar behind each. */
static void
assert_shows(enum document_kind kind, const char *json, const char *wanted)
{
	static struct jscan scan;
	struct document d = { .choice = 0 };
	struct arena *a = arena_new(1 << 20);
	struct buf got;

	buf_init(&got, 1 << 16);
	assert_int_equal(jscan_object(lz_strz(json), &scan, NULL), ST_OK);
	assert_int_equal(document_read(&d, kind, lz_strz(json), a), ST_OK);
	for (size_t i = 0; i < d.texts.count; i++) {
		buf_add_str(&got, d.texts.item[i].shown.text);
		buf_add_char(&got, '|');
	}
	if (!str_eq(buf_str(&got), lz_strz(wanted)))
		fail_msg(
		    "%s\n\tshows %.*s\n\tnot   %s", json, (int)got.len, got.ptr, wanted);
	buf_free(&got);
	arena_free(a);
}

static void
names_ids_and_media_are_no_texts_while_they_look_like_it(void **state)
{
	(void)state;
	assert_shows(DOCUMENT_CHAT,
	    "{\"model\":\"m\",\"user\":\"u-1\",\"messages\":[{\"role\":\"user\","
	    "\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
	    "\"https:\\/\\/x\\/y?z\",\"detail\":\"low\"}},{\"type\":\"text\","
	    "\"text\":\"t\"}]}]}",
	    "t|");
	assert_shows(DOCUMENT_CHAT,
	    "{\"user\":\"a b\",\"messages\":[{\"role\":\"nobody\",\"content\":[{"
	    "\"type\":\"a type\",\"image_url\":{\"url\":\"http://x y\"}}]}]}",
	    "a b|nobody|a type|http://x y|");
	assert_shows(DOCUMENT_CHAT, "{\"service_tier\":{\"said\":[\"x\"]}}", "x|");
	assert_shows(DOCUMENT_CHAT,
	    "{\"response_format\":{\"schema\":{\"required\":[\"a\",\"b c\"],"
	    "\"additionalProperties\":{\"description\":\"d\"},\"a key\":1}}}",
	    "b c|d|a key|");
	assert_shows(
	    DOCUMENT_CHAT, "{\"messages\":[{\"usage\":{\"note\":\"n\"}}]}", "n|");
	assert_shows(DOCUMENT_ANSWER,
	    "{\"choices\":[{\"message\":{\"content\":\"c\"},\"logprobs\":{\"content\":[{"
	    "\"token\":\"c\"}]}}],\"usage\":{\"note\":\"n\"}}",
	    "c|n|");
	assert_shows(DOCUMENT_ANSWER,
	    "{\"choices\":[{\"message\":{\"logprobs\":{\"said\":\"x\"}}}]}", "x|");
	assert_shows(DOCUMENT_CHAT,
	    "{\"user\":\"a@b.eu\",\"model\":\"m@7\",\"metadata\":{\"c@d.eu\":\"\"}}",
	    "a@b.eu|c@d.eu|");
	assert_shows(DOCUMENT_CHAT,
	    "{\"user\":\"a%40b.eu\",\"url\":\"https://x/?to=c%40d.eu&100%\","
	    "\"model\":\"x%40y\",\"id\":\"%\"}",
	    "a%40b.eu|https://x/?to=c%40d.eu&100%|");
}

static void
a_file_of_text_is_a_text(void **state)
{
	(void)state;
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"content\":[{\"type\":\"file\",\"file\":{\"file_data\":"
	    "\"data:text\\/plain;base64,a2VzdHJlbA==\"}},{\"image_url\":{\"url\":"
	    "\"DATA:application/json;x=y;Base64,a2 Vz\\ndHJl\\tbA\"}},"
	    "{\"file_data\":\"a2VzdHJlbA\"},{\"file_data\":\"data:,a b\"}]}]}",
	    "kestrel|kestrel|kestrel|data:,a b|");
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"content\":[{\"url\":\"data:image/png;base64,a2Vz\"},"
	    "{\"file_data\":\"data:application/pdf;base64,JVBERgD/\"},"
	    "{\"file_data\":\"https://x/y\"},{\"file_data\":\"HTTP://x/y?a=b!c\"},"
	    "{\"file_data\":\"data:image/png;base64,iVBORw0KGgo=\"},"
	    "{\"url\":\"https://x/y\"}]}]}",
	    "");
	/* Neither an escape nor a blank makes an image of it. */
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"content\":[{\"url\":\"data:image/"
	    "\\u0073vg+xml;base64,a2Vz\"},"
	    "{\"url\":\"data:image/\\nsvg+xml;base64,a2Vz\"},"
	    "{\"url\":\"data:image\\/svg+xml;base64,a2Vz\"}]}]}",
	    "kes|kes|kes|");
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"content\":[{\"file_id\":\"data:text/plain;base64,a2Vz\"},"
	    "{\"file_id\":\"file-1\"},{\"data\":\"data:;base64,dHJlbA\"},{\"data\":"
	    "\"a2Vz\"},"
	    "{\"url\":\"data:image/png,x\"}]}]}",
	    "kes|trel|data:image/png,x|");
	/* Who takes a file goes by its name, not by the type before its data. */
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"content\":[{\"file_data\":"
	    "\"data:image/png;base64,a2VzdHJlbA==\"}]}]}",
	    "kestrel|");
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"content\":\"data: 50%, base64,\"}]}",
	    "data: 50%, base64,|");
}

static void
assert_is_unread(const char *json, bool is_file)
{
	static struct jscan scan;
	struct document d = { .choice = 0 };
	struct arena *a = arena_new(1 << 20);

	assert_int_equal(jscan_object(lz_strz(json), &scan, NULL), ST_OK);
	assert_int_equal(document_read(&d, DOCUMENT_CHAT, lz_strz(json), a), ST_OK);
	assert_int_equal(d.has_unread, is_file);
	assert_int_equal(d.has_twice, !is_file);
	arena_free(a);
}

static void
what_has_two_readings_is_told(void **state)
{
	(void)state;
	/* Neither UTF-8, nor base64, nor without a NUL; percents hide letters. */
	assert_is_unread("{\"file_data\":\"data:text/plain;base64,a2X/\"}", true);
	assert_is_unread("{\"file_data\":\"data:text/plain;base64,a!b\"}", true);
	assert_is_unread("{\"file_data\":\"data:text/plain;base64,awBl\"}", true);
	assert_is_unread("{\"file_data\":\"awBl\"}", true);
	/* Where the data begins is no matter of taste. */
	assert_is_unread("{\"url\":\"data:text/plain;a=\\\",\\\";base64,a2Vz\"}", true);
	assert_is_unread("{\"url\":\"data:image/png,x;Base64,a2Vz\"}", true);
	assert_is_unread("{\"url\":\"data:image/png;a=,text/plain;base64,a2Vz\"}", true);
	/* What reads URLs as browsers do passes over these blanks. */
	assert_is_unread("{\"url\":\" data:text/plain;base64,a2Vz\"}", true);
	assert_is_unread("{\"url\":\"\\u0001Da\\nta\\t:text/plain;base64,a2Vz\"}", true);
	/* Behind the padding some decoders go on. */
	assert_is_unread("{\"file_data\":\"data:text/plain;base64,YWI=a2V=\"}", true);
	assert_is_unread("{\"file_data\":\"YWJj=a2VzdHJlbA\"}", true);
	/* Others pass over what is no base64, or do not read the head. */
	assert_is_unread("{\"file_data\":\"a2Vz!dHJlbA==\"}", true);
	assert_is_unread("{\"file_data\":\"x:a2VzdHJlbA==\"}", true);
	assert_is_unread("{\"file_data\":\"data:a2VzdHJlbA==\"}", true);
	assert_is_unread("{\"file_data\":\"a2Vz\\u0000dHJlbA==\"}", true);
	assert_is_unread("{\"file_data\":\"ftp://x/y\"}", true);
	assert_is_unread("{\"url\":\"dAta:\"}", true);
	assert_is_unread("{\"url\":\"data:text/plain;base64;a=b,a2VzdHJlbA==\"}", true);
	assert_is_unread("{\"url\":\"data:,a2VzdHJlbCBhbmQ=\"}", true);
	assert_is_unread("{\"url\":\"data:,a2Vz.dHJlbC\u00e9BhbmQ\"}", true);
	assert_is_unread("{\"url\":\"data:text/plain,k%65strel\"}", true);
	assert_is_unread(
	    "{\"messages\":[{\"content\":[{\"text\":\"a\",\"text\":\"b\"}]}]}", false);
	assert_is_unread(
	    "{\"messages\":[{\"role\":\"user\",\"r\\u006fle\":\"system\"}]}", false);
	assert_is_unread("{\"messages\":[{\"content\":[{\"type\":\"text\",\"t\\u0079pe\":"
			 "\"file\",\"text\":\"b\"}]}]}",
	    false);
}

static void
parts_of_a_message_are_one_text(void **state)
{
	(void)state;
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"c\\u006fntent\":[\"a\",{\"t\\u0065xt\":\"b\"},{\"type\":"
	    "\"image_url\"},{\"text\":\"\"},{\"refusal\":\"c\"}]},{\"content\":\"d\"}]}",
	    "abc|d|");
	/* What a provider passes over does not stand between two halves. */
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"content\":[{\"text\":\"a\",\"refusal\":\"x\"},{\"type\":"
	    "\"image_url\",\"text\":\"y\"},{\"type\":\"refusal\",\"text\":\"z\","
	    "\"refusal\":"
	    "\"b\"},{\"text\":\"c\"}]}]}",
	    "abc|x|y|z|");
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"content\":\"a\",\"content\":[{\"text\":\"b\"}]}]}",
	    "a|b|");
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"content\":{\"text\":\"a\"}},\"b\",[\"c\"],[[{\"x\":"
	    "\"d\"}]]]}",
	    "a|b|c|d|");
	assert_shows(DOCUMENT_CHAT, "{\"messages\":{\"content\":\"a\"}}", "a|");
}

static void
parts_of_a_prediction_are_one_text(void **state)
{
	(void)state;
	assert_shows(DOCUMENT_CHAT,
	    "{\"prediction\":{\"type\":\"content\",\"content\":[{\"type\":\"text\","
	    "\"text\":\"kes\"},{\"type\":\"text\",\"text\":\"trel\"}],\"new\":\"n\"}}",
	    "kestrel|n|");
	assert_shows(DOCUMENT_CHAT, "{\"prediction\":[{\"content\":\"a\"}]}", "a|");
}

static void
arguments_are_a_text_for_each_string(void **state)
{
	(void)state;
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"tool_calls\":[{\"id\":\"i\",\"function\":{\"name\":\"f\","
	    "\"arguments\":\"{\\\"k\\\":[\\\"\\\\u0061\\\",1,{\\\"l\\\":\\\"b\\\"}]}\"}},"
	    "{\"custom\":{\"name\":\"g\",\"input\":\"free\"}}]}]}",
	    "k|a|l|b|free|");
	/* A number that may be somebody's is a text as well. */
	assert_shows(DOCUMENT_CHAT,
	    "{\"seed\":12345678,\"messages\":[{\"function_call\":{\"arguments\":"
	    "\"{\\\"k\\\":4111111111111111,\\\"l\\\":[-1234567,123456,1.25e10,true]}\"}}]"
	    "}",
	    "k|4111111111111111|l|-1234567|1.25e10|");
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"function_call\":{\"name\":\"a name\",\"arguments\":\"{no"
	    "\"}}]}",
	    "a name|{no|");
	assert_shows(DOCUMENT_CHAT,
	    "{\"messages\":[{\"tool_calls\":[{\"function\":{\"arguments\":{\"a\":\"b\","
	    "\"n\":12345678}}},\"c\"]},{\"tool_calls\":\"d\"}]}",
	    "b|12345678|c|d|");
}

/* What the scanner refuses and a client's reader takes is read as the client does. */
static void
arguments_that_others_read_are_a_text_for_each_string(void **state)
{
	static const char *const cases[][2] = {
		{ "{\\\"a\\\":\\\"\\\\u006b\\\",\\\"b\\\":123456789012345678901}",
		    "a|k|b|123456789012345678901|" },
		{ "\\n[\\\"\\\\u006b\\\",NaN,-Infinity,1e999,true,false,null,]", "k|" },
		{ "[\\\"\\\\u006b\\\",\\\"\\\\ud800\\\"]", "k|\\ud800|" },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		  "\\\"\\\\u006b"
		  "\\\"]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
		  "]",
		    "k|" },
		/* Texts, and nobody's JSON. */
		{ "{\\\"a\\\":\\\"b", "{\"a\":\"b|" },
		{ "[\\\"a\\\", nobody]", "[\"a\", nobody]|" },
		{ "1, 2, \\\"a\\\"", "1, 2, \"a\"|" },
	};
	char body[500];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(body, sizeof(body),
		    "{\"messages\":[{\"function_call\":{\"arguments\":\"%s\"}}]}",
		    cases[i][0]);
		assert_shows(DOCUMENT_CHAT, body, cases[i][1]);
	}
}

/* ---- written ---- */

static uint64_t
roll(uint64_t sides)
{
	static const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);

	seed = (seed ^ seed >> 30) * UINT64_C(0xbf58476d1ce4e5b9) + odd;
	return (seed >> 32) % sides;
}

static void
add_string(struct buf *b)
{
	static const char *const pieces[] = { "a", "b c", "\\u0065", "\\n", "\\\"",
		"\xc3\xa9", "\\ud83d\\ude00", "\xf0\x9f\x98\x80", "", "word", "{\\\"",
		"\\\\" };

	buf_add_char(b, '"');
	for (uint64_t n = roll(5); n > 0; n--)
		buf_add_z(b, pieces[roll(sizeof(pieces) / sizeof(pieces[0]))]);
	buf_add_char(b, '"');
}

static void
add_value(struct buf *b, unsigned depth)
{
	static const char *const keys[] = { "role", "content", "text", "name",
		"tool_calls", "function", "arguments", "input", "id", "type", "url",
		"messages", "refusal", "reasoning", "logprobs", "choices", "message",
		"custom", "function_call", "data", "other", "an odd key", "usage",
		"c\\u006fntent" };
	uint64_t what = depth == 0 ? 1 + roll(2) : roll(depth > 5 ? 3 : 6);
	bool first = true;

	if (depth == 0 || what > 3) {
		bool is_list = depth > 0 && what == 4;

		buf_add_char(b, is_list ? '[' : '{');
		for (uint64_t n = roll(5); n > 0; n--) {
			uint64_t k = roll(sizeof(keys) / sizeof(keys[0]) - (depth == 0));

			buf_add_z(b, first ? " " : " , ");
			if (!is_list)
				buf_addf(b, "\"%s%.0d\":", keys[k],
				    depth == 0 && k != 11 && k != 15 ? (int)n : 0);
			add_value(b, depth + 1);
			first = false;
		}
		buf_add_char(b, is_list ? ']' : '}');
	} else if (what == 3) {
		struct buf inner;

		buf_init(&inner, WRITTEN_BYTES);
		add_value(&inner, depth + 1);
		if (roll(8) == 0)
			buf_add_char(&inner, '}');
		buf_add_json(b, buf_str(&inner));
		buf_free(&inner);
	} else if (what == 2) {
		buf_add_z(b, roll(2) == 0 ? "null" : "-1.50e3");
	} else {
		add_string(b);
	}
}

static void
what_is_not_changed_is_there_to_the_last_byte(void **state)
{
	const char *n = getenv("LATENZA_PLAY_COUNT"), *from = getenv("LATENZA_PLAY_SEED");
	long count = n != NULL ? atol(n) : 3000;
	uint64_t first = from != NULL ? (uint64_t)atoll(from) : UINT64_C(20261130);

	(void)state;
	for (long k = 0; k < count; k++) {
		struct buf b;

		seed = first + (uint64_t)k;
		buf_init(&b, DOCUMENT_BYTES);
		buf_add_char(&b, (char)(k & 3));
		buf_add_char(&b, (char)(k >> 2));
		add_value(&b, 0);
		seed = first + (uint64_t)k;
		document_play((const uint8_t *)b.ptr, b.len);
		buf_free(&b);
	}
}

/* ---- many ---- */

/* Masks every q of a document that is `item` many times. Whatever is compared with
 * whatever in there would take minutes. */
static void
mask_all(const char *before, const char *item, const char *after)
{
	struct document d = { .choice = 0 };
	struct arena *a = arena_new((size_t)1 << 30);
	struct buf in, out;

	buf_init(&in, 64 << 20);
	buf_add_z(&in, before);
	for (size_t i = 0; i < MANY; i++) {
		buf_add_z(&in, i > 0 ? "," : "");
		buf_add_z(&in, item);
	}
	buf_add_z(&in, after);
	assert_int_equal(document_read(&d, DOCUMENT_CHAT, buf_str(&in), a), ST_OK);
	for (size_t i = 0; i < d.texts.count; i++) {
		struct text *t = &d.texts.item[i];

		for (size_t at = 0; at < t->shown.text.len; at++)
			if (t->shown.text.ptr[at] == 'q')
				assert_int_equal(text_replace(&d.texts, t, at, at + 1,
						     STR_LIT("yy"), false),
				    LZ_OK);
	}
	assert_int_equal(document_apply(&d), ST_OK);
	document_write_all(&d, &out);
	assert_null(memchr(out.ptr, 'q', out.len));
	assert_int_equal(out.len, in.len + MANY);
	assert_int_equal(jscan_value(buf_str(&out), NULL), ST_OK);
	buf_free(&in);
	buf_free(&out);
	arena_free(a);
}

static void
many_parts_and_many_calls_are_written(void **state)
{
	(void)state;
	mask_all("{\"messages\":[{\"content\":[", "{\"text\":\"a q b\"}", "]}]}");
	mask_all("{\"messages\":[{\"tool_calls\":[",
	    "{\"function\":{\"arguments\":\"{\\\"a\\\":\\\"q\\\"}\"}}", "]}]}");
}

/* ---- how much it is ---- */

static bool
is_much(const char *unit, size_t times, size_t shift)
{
	size_t n = strlen(unit), len = shift + n * times;
	char *text = malloc(len + 1);
	bool much;

	memset(text, ' ', shift);
	for (size_t i = 0; i < times; i++)
		memcpy(text + shift + n * i, unit, n);
	much = plain_is_much_of(lz_strn(text, len));
	free(text);
	return much;
}

/* At each place that a word of memory may begin at. */
static void
what_folds_slowly_is_weighed(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < 9; shift++) {
		assert_false(is_much("\xc3\xa9", 8192, shift));
		assert_true(is_much("\xc3\xa9", 8193, shift));
		assert_false(is_much("The e\xcc\x81 is one. ", 8192, shift));
		assert_true(is_much("The e\xcc\x81 is one. ", 8193, shift));
		assert_false(is_much("\\u00e9", 5461, shift)); /* three bytes at most */
		assert_true(is_much("\\u00e9", 5462, shift));
		assert_false(is_much("x]~\177", (256 << 8) - 3, shift));
	}
	assert_false(is_much("x", 256 << 10, 0));
	assert_true(is_much("x", (256 << 10) + 1, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    names_ids_and_media_are_no_texts_while_they_look_like_it),
		cmocka_unit_test(a_file_of_text_is_a_text),
		cmocka_unit_test(what_has_two_readings_is_told),
		cmocka_unit_test(parts_of_a_message_are_one_text),
		cmocka_unit_test(parts_of_a_prediction_are_one_text),
		cmocka_unit_test(arguments_are_a_text_for_each_string),
		cmocka_unit_test(arguments_that_others_read_are_a_text_for_each_string),
		cmocka_unit_test(what_is_not_changed_is_there_to_the_last_byte),
		cmocka_unit_test(many_parts_and_many_calls_are_written),
		cmocka_unit_test(what_folds_slowly_is_weighed),
	};

	json_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
