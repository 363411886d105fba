/* test_patterns.c - listed words and expressions: found as written and in disguise, each
 * with its own consequence, and the same however a stream is cut.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin_fixture.h"

#include <latenza/testhost.h>
#include <stdbool.h>
#include <sys/stat.h>

static struct testhost *host;
static char told[2000];

static const char *
plugin(void)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/plugins/.libs/patterns.so",
	    fixture_env("builddir", "."));
	return path;
}

static void
note(void *arg, const char *sentence)
{
	(void)arg;
	(void)snprintf(told, sizeof(told), "%s", sentence);
}

static void
use(const char *options)
{
	testhost_free(host);
	host = testhost_new(plugin(), "patterns", options);
	assert_non_null(host);
}

static int
tear_down(void **state)
{
	(void)state;
	testhost_on_problem(NULL, NULL);
	testhost_free(host);
	host = NULL;
	return 0;
}

static void
assert_verdict(const char *text, int32_t want)
{
	const struct testhost_result *r = testhost_prompt(host, text);

	if (r->verdict != want)
		fail_msg("'%s': %d, not %d", text, (int)r->verdict, (int)want);
}

static void
assert_becomes(const char *text, const char *want)
{
	const struct testhost_result *r = testhost_answer(host, text);

	assert_int_equal(r->verdict, LZ_OK);
	if (r->texts[0].len != strlen(want) ||
	    memcmp(r->texts[0].ptr, want, r->texts[0].len) != 0)
		fail_msg("'%s': '%.*s', not '%s'", text, (int)r->texts[0].len,
		    r->texts[0].ptr, want);
}

static void
assert_refused(const char *options, const char *words)
{
	const char *why = testhost_refusal(plugin(), "patterns", options);

	if (why == NULL || strstr(why, words) == NULL)
		fail_msg("%s: '%s' does not say '%s'", options,
		    why != NULL ? why : "taken", words);
}

/* ---- words
 * ------------------------------------------------------------------------------ */

static void
words_are_found_whole_and_in_any_case(void **state)
{
	(void)state;
	use("{\"words\":[\"cat\",\"Straße\",\"new  york\",\"σας\",\"猫\",\"c++\"]}");
	assert_verdict("the Cat sat", LZ_BLOCK);
	assert_verdict("cat", LZ_BLOCK);
	assert_verdict("(cat)", LZ_BLOCK);
	assert_verdict("concatenate", LZ_OK);
	assert_verdict("cats", LZ_OK);
	assert_verdict("cat_5", LZ_OK);
	assert_verdict("la STRAßE!", LZ_BLOCK);
	assert_verdict("in New\n York", LZ_BLOCK);
	assert_verdict("ΣΑΣ", LZ_BLOCK);
	assert_verdict("黒猫が", LZ_BLOCK);
	assert_verdict("I like C++14", LZ_BLOCK);
	assert_verdict("objc++", LZ_OK);
	assert_verdict("", LZ_OK);
	use("{\"words\":[\"cat\"],\"whole_words\":false,\"ignore_case\":false}");
	assert_verdict("concatenate", LZ_BLOCK);
	assert_verdict("Cat", LZ_OK);
}

static void
disguise_does_not_help(void **state)
{
	(void)state;
	use("{\"words\":[\"ignore previous instructions\"],"
	    "\"expressions\":[\"\\\\b(?:\\\\d[ -]?){15}\\\\d\\\\b\"]}");
	assert_verdict("IGNORE PREVIOUS INSTRUCTIONS", LZ_BLOCK);
	assert_verdict("іgnоrе рrеvіоus іnstruсtіоns", LZ_BLOCK);
	assert_verdict("i\u200bgno\u2060re prev\u0301ious in\u00adstructions", LZ_BLOCK);
	assert_verdict("ignore\u00a0previous\r\ninstructions", LZ_BLOCK);
	assert_verdict("\u202esnoitcurtsni suoiverp erongi\u202c", LZ_BLOCK);
	assert_verdict("٤١١١١١١١١١١١١١١١", LZ_BLOCK);
	assert_verdict("4111‑1111‑1111‑1111", LZ_BLOCK);
	assert_verdict("ignore the previous instructions", LZ_OK);
	assert_verdict("411111111111111", LZ_OK);
}

static void
a_word_that_is_not_ascii_is_found_in_disguise_too(void **state)
{
	(void)state;
	use("{\"words\":[\"résumé\",\"пароль\",\"Straße\"],\"code\":\"w\"}");
	assert_verdict("my résumé", LZ_BLOCK);
	assert_verdict("my RÉSUMÉ", LZ_BLOCK);
	assert_verdict("my re\u0301sume\u0301", LZ_BLOCK);
	assert_verdict("my résumе́", LZ_BLOCK); /* a Cyrillic letter */
	assert_verdict("my r\u200bésumé", LZ_BLOCK);
	assert_verdict("𝐫ésumé", LZ_BLOCK);
	assert_verdict("ПАРОЛЬ", LZ_BLOCK);
	assert_verdict("п\u200bароль", LZ_BLOCK);
	assert_verdict("pаrоль", LZ_OK); /* other letters that do not look like them */
	assert_verdict("ſtraße", LZ_BLOCK);
	/* Who lists an accent did not list the word without one. */
	assert_verdict("to resume", LZ_OK);
	assert_verdict("déjà vu, RESUME it", LZ_OK);
	/* Found as written and in disguise it is one finding, and one mask. */
	use("{\"words\":[\"résumé\"],\"code\":\"w\",\"action\":\"mask\",\"replacement\":"
	    "\"*\"}");
	assert_becomes("a résumé, a r\u200bésumé, resume", "a *, a *, resume");
	assert_int_equal(
	    testhost_cuts(host, "é résumé ré\u200bsumé resume e", NULL, 1000, 1), 0);
}

static void
a_mask_takes_all_of_the_disguise_away(void **state)
{
	(void)state;
	use("{\"words\":[\"fig\",\"secret\"],\"action\":\"mask\",\"replacement\":\"*\","
	    "\"whole_words\":false}");
	assert_becomes("a secret b", "a * b");
	assert_becomes("a s\u200be\u0301c\u200dret\u0301\u200b b", "a * b");
	assert_becomes("a ѕесrеt b secret", "a * b *");
	assert_becomes("\ufb01g x", "* x");
	assert_becomes("\ufb01\ufb01gx", "\ufb01*x");
	assert_becomes("x\u202eterces\u202cy", "x*y");
	assert_becomes("secretsecret", "**");
	assert_becomes(
	    "\U0001d42c\U0001d41e\U0001d41c\U0001d42b\U0001d41e\U0001d42d", "*");
}

static void
every_entry_has_its_own_consequence(void **state)
{
	const struct testhost_result *r;

	(void)state;
	use("{\"words\":[\"plain\",{\"word\":\"soft\",\"action\":\"flag\",\"code\":"
	    "\"tone\"},"
	    "{\"word\":\"part\",\"whole_word\":false,\"action\":\"mask\",\"replacement\":"
	    "\"<p>\"}],"
	    "\"expressions\":[{\"pattern\":\"k\\\\d+\",\"code\":\"kay\",\"action\":"
	    "\"mask\"}],"
	    "\"code\":\"house\",\"replacement\":\"#\"}");
	r = testhost_prompt(host, "very plain");
	assert_int_equal(r->verdict, LZ_BLOCK);
	assert_true(testhost_found(r, "house"));
	r = testhost_prompt(host, "soft, soft");
	assert_int_equal(r->verdict, LZ_FLAG);
	assert_int_equal(r->finding_count, 1);
	assert_true(testhost_found(r, "tone"));
	r = testhost_prompt(host, "apartK12 soft");
	assert_int_equal(r->verdict, LZ_FLAG);
	assert_true(testhost_found(r, "tone") && testhost_found(r, "kay") &&
		    testhost_found(r, "house"));
	assert_int_equal(r->texts[0].len, strlen("a<p># soft"));
	assert_memory_equal(r->texts[0].ptr, "a<p># soft", r->texts[0].len);
	testhost_begin(host);
	(void)testhost_add_text(host, "system", "nothing");
	(void)testhost_add_text(host, "user", "plain");
	assert_int_equal(testhost_check(host, LZ_REQUEST)->verdict, LZ_BLOCK);
}

static void
masks_that_overlap_are_one(void **state)
{
	(void)state;
	use("{\"words\":[{\"word\":\"abcd\",\"replacement\":\"1\"},"
	    "{\"word\":\"cdef\",\"replacement\":\"2\"},{\"word\":\"bc\",\"replacement\":"
	    "\"3\"},"
	    "{\"word\":\"abc\",\"replacement\":\"4\"}],"
	    "\"action\":\"mask\",\"whole_words\":false}");
	assert_becomes("abcdefg", "1g");
	assert_becomes("xbcdef", "x3");
	assert_becomes("abcdcdefabc", "124");
}

static void
words_come_from_a_file(void **state)
{
	char options[PATH_MAX + 100];
	const char *path = fixture_path("words");
	FILE *f = fopen(path, "w");
	int i;

	(void)state;
	assert_non_null(f);
	(void)fputs("# comment\r\n\n  first phrase \r\nsecond\n", f);
	for (i = 0; i < 50000; i++)
		(void)fprintf(f, "word%dx\n", i * 7);
	(void)fputs("last", f);
	(void)fclose(f);
	(void)snprintf(options, sizeof(options), "{\"words_file\":\"%s\"}", path);
	use(options);
	assert_verdict("a FIRST phrase", LZ_BLOCK);
	assert_verdict("second", LZ_BLOCK);
	assert_verdict("last", LZ_BLOCK);
	assert_verdict("word349993x word7", LZ_BLOCK);
	assert_verdict("word349994x word1x # comment", LZ_OK);
	f = fopen(path, "w");
	(void)fputs("fine\n\xff\xfe\n", f);
	(void)fclose(f);
	assert_refused(options, "words[2]: the word is not UTF-8");
	assert_refused("{\"words_file\":\"/nowhere/at/all\"}",
	    "/nowhere/at/all: No such file or directory");
	assert_refused("{\"words_file\":\"/\"}", "words_file: /: is no regular file");
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(options, "words: is no regular file"); /* and nobody waits */
	assert_int_equal(remove(path), 0);
}

/* ---- expressions
 * ------------------------------------------------------------------------ */

static void
expressions_know_unicode(void **state)
{
	(void)state;
	use("{\"expressions\":[\"\\\\bpro?jet\\\\w*é\\\\b\",\"(?-i)ABC\",\"^start\","
	    "\"end$\","
	    "\"(?<=id: )\\\\p{L}{3}\"]}");
	assert_verdict("le PROJETÉ", LZ_BLOCK);
	assert_verdict("abc", LZ_OK);
	assert_verdict("xABC", LZ_BLOCK);
	assert_verdict("a start", LZ_OK);
	assert_verdict("Start a", LZ_BLOCK);
	assert_verdict("end of", LZ_OK);
	assert_verdict("the end", LZ_BLOCK);
	assert_verdict("id: äöü", LZ_BLOCK);
	assert_verdict("äöü", LZ_OK);
}

static void
a_search_without_end_is_an_error(void **state)
{
	static const char text[] =
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";

	(void)state;
	use("{\"expressions\":[\"(a+)+$\"],\"match_limit\":1000}");
	assert_verdict(text, LZ_E_FAIL);
	assert_non_null(strstr(testhost_log(host), "match_limit reached"));
	assert_verdict("aaa", LZ_BLOCK);
	use("{\"expressions\":[\"(*NO_JIT)(?:a|b(?R)?)+$\"],\"depth_limit\":10}");
	assert_verdict("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb!", LZ_E_FAIL);
	assert_non_null(strstr(testhost_log(host), "depth_limit reached"));
}

static void
bad_options_are_told_with_their_place(void **state)
{
	(void)state;
	testhost_on_problem(note, NULL);
	assert_refused("{\"words\":[\"a\",5]}", "words[1]: a word or a map");
	assert_refused("{\"words\":[\" \\t\"]}", "words[0]: the word is empty");
	assert_refused(
	    "{\"words\":[{\"code\":\"x\"}]}", "words[0]: word: a text is wanted");
	assert_refused("{\"words\":[{\"word\":\"x\",\"cod\":\"y\"}]}",
	    "words[0]: cod: no such member; there are word");
	assert_refused("{\"words\":[{\"word\":\"x\",\"action\":\"kill\"}]}",
	    "words[0]: action: one of block, mask, flag");
	assert_refused("{\"words\":[{\"word\":\"x\",\"whole_word\":1}]}",
	    "whole_word: true or false");
	assert_refused("{\"words\":[{\"word\":\"x\",\"code\":\"\"}]}", "code: empty");
	assert_refused("{\"expressions\":[\"fine\",\"b(a\"]}",
	    "expressions[1]: pattern: missing closing parenthesis at offset 3");
	assert_refused("{\"expressions\":[{\"pattern\":\"a\",\"replacement\":5}]}",
	    "expressions[0]: replacement: a text is wanted");
	assert_refused("{\"expressions\":[\"a\\\\Kb\"]}", "\\K is not taken");
	assert_refused("{\"expressions\":[\"a\\\\Cb\"]}", "expressions[0]: pattern: ");
	assert_refused("{\"expressions\":[\"(?<=a{61})b\"]}", "looks 61 characters back");
	assert_refused("{\"expressions\":[\"\"]}", "pattern: empty");
	assert_refused("{\"words\":\"a\"}", "words");
	assert_null(
	    testhost_refusal(plugin(), "patterns", "{\"expressions\":[\"\\\\\\\\K\"]}"));
}

/* ---- streams
 * ---------------------------------------------------------------------------- */

static void
a_stream_gives_the_result_of_the_whole_text(void **state)
{
	static const struct {
		const char *options, *text, *secret;
	} rows[] = {
		{ "{\"words\":[\"secret plan\"]}", "this is the secret plan of all",
		    "secret plan" },
		{ "{\"words\":[\"secret plan\"]}", "no sec\u200bret pla\u0301n",
		    "sec\u200bret pla" },
		{ "{\"words\":[\"secret plan\"]}", "secret planet, secret, plan", NULL },
		{ "{\"words\":[\"secret plan\"]}", "a \u202enalp terces\u202c b",
		    "nalp terces" },
		{ "{\"words\":[\"foo\",\"bar\"],\"action\":\"mask\"}",
		    "foo bar foobar foo\u0301 fоо ｆｏｏ bar", NULL },
		/* What a mask leaves behind is what the next match sees before it. */
		{ "{\"words\":[{\"word\":\"foo\",\"whole_word\":false},\"bar\"],"
		  "\"expressions\":[\"(?<=o)x\",\"(?<=\\\\])y\",\"\\\\bz\"],\"action\":"
		  "\"mask\"}",
		    "foobar foox fooy fooz oox ]y yz foofoobarx", NULL },
		{ "{\"words\":[{\"word\":\"foo\",\"whole_word\":false}],"
		  "\"expressions\":[\"^bar\",\"(?<=foo)q\"],\"action\":\"mask\","
		  "\"replacement\":\"\"}",
		    "foofoobar fooq", NULL },
		{ "{\"expressions\":[\"a+b?\",\"\\\\d{3}-\\\\d{4}\"],\"action\":"
		  "\"mask\"}",
		    "aaaa aaab abab 555-123 555-12345 a", NULL },
		{ "{\"expressions\":[\"end$\",\"\\\\bkey=(?!test)\\\\w+\"],\"action\":"
		  "\"mask\"}",
		    "end key=test key=tes key=live99 the end", NULL },
		{ "{\"expressions\":[{\"pattern\":\"b.*?e\",\"action\":\"flag\",\"code\":"
		  "\"long\"},"
		  "{\"pattern\":\"cc\",\"action\":\"mask\"}]}",
		    "abccccde cc bxxcc", NULL },
		{ "{\"expressions\":[\"sk-[a-z0-9]{8,}\"]}", "key: sk-abcdefgh12345 end",
		    "sk-abcdefgh" },
		{ "{\"words\":[{\"word\":\"aa\",\"action\":\"mask\",\"whole_word\":false}"
		  ","
		  "{\"word\":\"aaab\",\"action\":\"flag\",\"code\":\"f\"}]}",
		    "aaa aaab aaaaab", NULL },
		{ "{\"words\":[\"fi\",\"한글\"],\"whole_words\":false,\"action\":"
		  "\"mask\"}",
		    "ﬁﬁ x\ufb03y 한글 \u1112\u1161\u11ab\u1100\u1173\u11af 한글",
		    NULL },
		{ "{\"words\":[\"b\"],\"action\":\"mask\",\"replacement\":\"é\"}",
		    "b b\u0301b ab b-b", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		use(rows[i].options);
		assert_int_equal(
		    testhost_cuts(host, rows[i].text, rows[i].secret, 1000, i), 0);
	}
}

static uint32_t noise_state = 7;

static uint32_t
noise(uint32_t below)
{
	noise_state = noise_state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)noise_state * below >> 32);
}

/* Words and texts of few letters, so that they meet in all ways there are. */
static void
noise_gives_the_result_of_the_whole_text(void **state)
{
	static const char *const pieces[] = { "a", "b", "c", " ", "-", "ab", "\u0430",
		"a\u0301", "\u200b", "\ufb01", "\u2060", "\n", "é" };
	static const char *const expressions[] = { "\\\\ba+b", "(?<!b)c", "a.*c",
		"a.*?b\\\\b", "(?<=[ab]{2})-", "b$", "^.b", "a(?!b)", "(?:ab)+",
		"\\\\W{2,}" };
	static const char *const actions[] = { "mask", "flag", "block", "mask" };
	static const char *const masks[] = { "a", "-", "", "b c" };
	char options[1000], text[300];
	int round;

	(void)state;
	for (round = 0; round < 600; round++) {
		/* Of a text that is blocked no other code is promised. */
		bool may_block = round % 4 == 0;
		int n = snprintf(options, sizeof(options), "{\"words\":["), i;

		for (i = 0; i < 3; i++) {
			const char *const letters[] = { "a", "ab", "ba", "abc", "b c",
				"aa", "fi" };

			n += snprintf(options + n, sizeof(options) - (size_t)n,
			    "%s{\"word\":\"%s\",\"whole_word\":%s,\"action\":\"%s\","
			    "\"code\":\"%s%d\","
			    "\"replacement\":\"%s\"}",
			    i > 0 ? "," : "", letters[noise(7)],
			    noise(2) ? "true" : "false",
			    actions[noise(may_block ? 4 : 2)], may_block ? "x" : "w",
			    may_block ? 0 : i, masks[noise(4)]);
		}
		n += snprintf(
		    options + n, sizeof(options) - (size_t)n, "],\"expressions\":[");
		for (i = 0; i < 2; i++)
			n += snprintf(options + n, sizeof(options) - (size_t)n,
			    "%s{\"pattern\":\"%s\",\"action\":\"%s\",\"code\":\"%s%d\","
			    "\"replacement\":"
			    "\"%s\"}",
			    i > 0 ? "," : "", expressions[noise(10)],
			    actions[noise(may_block ? 4 : 2)], may_block ? "x" : "e",
			    may_block ? 0 : i, masks[noise(4)]);
		(void)snprintf(options + n, sizeof(options) - (size_t)n, "]}");
		text[0] = '\0';
		for (i = (int)noise(40); i >= 0; i--)
			strcat(text, pieces[noise(sizeof(pieces) / sizeof(pieces[0]))]);
		if (getenv("SHOW"))
			print_message("%s\n'%s'\n", options, text);
		use(options);
		if (testhost_cuts(host, text, NULL, 20, (uint64_t)round) != 0)
			fail_msg("%s\n'%s'", options, text);
	}
}

static void
what_is_held_is_no_more_than_what_may_match(void **state)
{
	const struct testhost_result *r;
	static char text[100001];

	(void)state;
	use("{\"expressions\":[\"key-[a-f]{4}\"],\"words\":[\"forbidden\"]}");
	r = testhost_stream_every(
	    host, lz_strz("key-abcg forbid key-x kkkk fforbidde"), 1);
	assert_int_equal(r->verdict, LZ_OK);
	assert_int_equal(r->most_held, 7);
	use("{\"expressions\":[\"x[^y]*y\"]}");
	memset(text, 'z', 100000);
	text[10] = 'x';
	testhost_on_problem(note, NULL);
	r = testhost_stream_every(host, lz_strz(text), 5000);
	assert_int_equal(r->verdict, LZ_E_LIMIT);
	assert_int_equal(r->released, 10);
	/* Whole, it is just a long text. */
	assert_int_equal(testhost_answer(host, text)->verdict, LZ_OK);
	text[99999] = 'y';
	assert_int_equal(testhost_answer(host, text)->verdict, LZ_BLOCK);
}

static void
without_a_list_all_texts_pass_and_the_log_says_so(void **state)
{
	(void)state;
	use("{}");
	assert_verdict("anything", LZ_OK);
	assert_non_null(strstr(testhost_log(host), "nothing to look for"));
}

static int
make_folder(void **state)
{
	(void)state;
	fixture_start();
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	fixture_stop();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
		    words_are_found_whole_and_in_any_case, tear_down),
		cmocka_unit_test_teardown(disguise_does_not_help, tear_down),
		cmocka_unit_test_teardown(
		    a_word_that_is_not_ascii_is_found_in_disguise_too, tear_down),
		cmocka_unit_test_teardown(
		    a_mask_takes_all_of_the_disguise_away, tear_down),
		cmocka_unit_test_teardown(every_entry_has_its_own_consequence, tear_down),
		cmocka_unit_test_teardown(masks_that_overlap_are_one, tear_down),
		cmocka_unit_test_teardown(words_come_from_a_file, tear_down),
		cmocka_unit_test_teardown(expressions_know_unicode, tear_down),
		cmocka_unit_test_teardown(a_search_without_end_is_an_error, tear_down),
		cmocka_unit_test_teardown(
		    bad_options_are_told_with_their_place, tear_down),
		cmocka_unit_test_teardown(
		    a_stream_gives_the_result_of_the_whole_text, tear_down),
		cmocka_unit_test_teardown(
		    noise_gives_the_result_of_the_whole_text, tear_down),
		cmocka_unit_test_teardown(
		    without_a_list_all_texts_pass_and_the_log_says_so, tear_down),
		cmocka_unit_test_teardown(
		    what_is_held_is_no_more_than_what_may_match, tear_down),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
