/* test_moderation.c - what is asked of a moderation endpoint, what its answers lead to,
 * and that an answer which is not understood never is a pass.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard_host.h"

#include <stdbool.h>

#define URL "https://judge.test/v1/moderations"

static void
use(const char *more)
{
	guard_use_url("moderation", URL, more);
}

#define RESULT(flagged, hate, score)                                                     \
	"{\"flagged\":" flagged ",\"categories\":{\"hate\":" hate                        \
	",\"sexual/minors\":false},\"category_scores\":{\"hate\":" score                 \
	",\"sexual/minors\":0.01}}"
#define ONE(result) "{\"id\":\"m\",\"model\":\"x\",\"results\":[" result "]}"
#define CLEAN       RESULT("false", "false", "0.1")
#define HATE        RESULT("true", "true", "0.8")

static const struct testhost_result *
ask(const char *answer)
{
	testhost_script(host, URL, 200, answer, 20);
	return testhost_prompt(host, "some text");
}

static void
assert_sent(const struct testhost_result *r, size_t i, const char *body)
{
	assert_true(i < r->sent_count);
	if (r->sent[i].body.len != strlen(body) ||
	    memcmp(r->sent[i].body.ptr, body, strlen(body)) != 0)
		fail_msg("'%.*s', not '%s'", (int)r->sent[i].body.len,
		    r->sent[i].body.ptr, body);
}

/* ---- what is asked ---- */

static void
the_text_goes_to_the_url_as_openai_has_it(void **state)
{
	const struct testhost_result *r;

	(void)state;
	use(",\"api_key\":\"sk-x\",\"model\":\"omni\",\"timeout_ms\":300");
	r = ask(ONE(CLEAN));
	assert_int_equal(r->verdict, LZ_OK);
	assert_int_equal(r->sent_count, 1);
	assert_true(lz_eq(r->sent[0].url, URL) && lz_eq(r->sent[0].method, "POST"));
	assert_int_equal(r->sent[0].timeout_ms, 300);
	assert_true(lz_eq(testhost_header(&r->sent[0], "authorization"), "Bearer sk-x"));
	assert_true(
	    lz_eq(testhost_header(&r->sent[0], "content-type"), "application/json"));
	assert_sent(r, 0, "{\"model\":\"omni\",\"input\":[\"some text\"]}");
	use("");
	r = ask(ONE(CLEAN));
	assert_sent(r, 0, "{\"input\":[\"some text\"]}");
	assert_null(testhost_header(&r->sent[0], "authorization").ptr);
}

static void
conversation(void)
{
	testhost_begin(host);
	testhost_add_text(host, "system", "be \"kind\"")->message = 0;
	testhost_add_text(host, "user", "first")->message = 1;
	testhost_add_text(host, "assistant", "answer")->message = 2;
	testhost_add_text(host, "user", "last")->message = 3;
	testhost_add_text(host, "user", "part")->message = 3;
	testhost_add_text(host, "tool", "result")->message = 4;
}

static void
all_texts_or_the_last_users_are_sent(void **state)
{
	(void)state;
	use("");
	testhost_script(
	    host, URL, 200, ONE(CLEAN "," CLEAN "," CLEAN "," CLEAN "," CLEAN), 1);
	conversation();
	assert_sent(testhost_check(host, LZ_REQUEST), 0,
	    "{\"input\":[\"be \\\"kind\\\"\",\"first\",\"answer\",\"last\\npart\","
	    "\"result\"]}");
	use(",\"texts\":\"last_user\"");
	testhost_script(host, URL, 200, ONE(CLEAN), 1);
	conversation();
	assert_sent(testhost_check(host, LZ_REQUEST), 0, "{\"input\":[\"last\\npart\"]}");
	/* Answers are sent all the same. */
	assert_sent(testhost_answer(host, "said"), 0, "{\"input\":[\"said\"]}");
	use("");
	testhost_begin(host);
	assert_int_equal(testhost_check(host, LZ_REQUEST)->sent_count, 0);
}

static void
the_plain_form_is_sent_where_it_is_wanted(void **state)
{
	(void)state;
	use(",\"form\":\"plain\"");
	testhost_script(host, URL, 200, ONE(CLEAN), 1);
	assert_sent(
	    testhost_prompt(host, "h\u200ba\u200bte"), 0, "{\"input\":[\"hate\"]}");
	use(",\"form\":\"both\"");
	testhost_script(host, URL, 200, ONE(CLEAN "," CLEAN), 1);
	assert_sent(testhost_prompt(host, "h\u200bate"), 0,
	    "{\"input\":[\"h\u200bate\",\"hate\"]}");
	testhost_script(host, URL, 200, ONE(CLEAN), 1);
	assert_sent(testhost_prompt(host, "hate"), 0, "{\"input\":[\"hate\"]}");
}

static void
what_is_long_is_cut_between_words_and_overlaps(void **state)
{
	static char text[3100];
	const struct testhost_result *r;
	size_t n = 0;

	(void)state;
	use(",\"chunk_bytes\":1024,\"batch\":1");
	for (int i = 0; n + 8 < sizeof(text); i++)
		n += (size_t)sprintf(text + n, "word%03d ", i);
	testhost_script(host, URL, 200, ONE(CLEAN), 5);
	r = testhost_prompt(host, text);
	assert_int_equal(r->verdict, LZ_OK);
	assert_int_equal(r->sent_count, 4);
	for (size_t i = 0; i < r->sent_count; i++) {
		lz_str body = r->sent[i].body;

		assert_true(body.len < 1024 + 16);
		assert_memory_equal(body.ptr, "{\"input\":[\"word", 15);
	}
	/* Each word is whole in one of them, and so is what stands around a cut. */
	for (int i = 0; i + 10 < (int)n / 8; i++) {
		char wanted[90];
		bool is_there = false;

		memcpy(wanted, text + 8 * i, 80);
		wanted[80] = '\0';
		for (size_t k = 0; k < r->sent_count; k++)
			is_there |= memmem(r->sent[k].body.ptr, r->sent[k].body.len,
					wanted, 80) != NULL;
		assert_true(is_there);
	}
	use(",\"chunk_bytes\":1024");
	memset(text, 0, sizeof(text));
	for (n = 0; n + 4 < 2000; n += 3)
		memcpy(text + n, "\u20ac", 3);
	testhost_script(host, URL, 200, ONE(CLEAN "," CLEAN "," CLEAN), 1);
	r = testhost_prompt(host, text); /* no blank, no half character */
	assert_int_equal(r->verdict, LZ_OK);
	use(",\"max_bytes\":1024");
	r = testhost_prompt(host, text);
	assert_int_equal(r->verdict, LZ_E_LIMIT);
	assert_int_equal(r->sent_count, 0);
}

static void
batches_go_a_few_at_a_time_and_a_block_ends_it(void **state)
{
	const struct testhost_result *r;

	(void)state;
	use(",\"batch\":1");
	testhost_script(host, URL, 200, ONE(CLEAN), 100);
	testhost_script(host, URL, 200, ONE(HATE), 20);
	testhost_script(host, URL, 200, ONE(CLEAN), 100);
	testhost_begin(host);
	for (unsigned i = 0; i < 12; i++)
		testhost_add_text(host, "user", "text")->message = i;
	r = testhost_check(host, LZ_REQUEST);
	assert_int_equal(r->verdict, LZ_BLOCK);
	assert_int_equal(r->sent_count, 4);
	assert_int_equal(r->elapsed_ms, 20);
	use(",\"batch\":5,\"flag\":[\"hate\"],\"block\":[]");
	testhost_script(
	    host, URL, 200, ONE(CLEAN "," CLEAN "," CLEAN "," HATE "," CLEAN), 9);
	testhost_script(
	    host, URL, 200, ONE(CLEAN "," CLEAN "," CLEAN "," CLEAN "," CLEAN), 9);
	testhost_script(host, URL, 200, ONE(CLEAN "," CLEAN), 9);
	testhost_begin(host);
	for (unsigned i = 0; i < 12; i++)
		testhost_add_text(host, "user", "text")->message = i;
	r = testhost_check(host, LZ_REQUEST);
	assert_int_equal(r->verdict, LZ_FLAG);
	assert_int_equal(r->sent_count, 3);
	assert_true(testhost_found(r, "moderation.hate"));
}

/* ---- what comes of an answer ---- */

static void
the_services_own_judgement_counts_without_a_limit(void **state)
{
	const struct testhost_result *r;

	(void)state;
	use("");
	assert_int_equal(ask(ONE(CLEAN))->verdict, LZ_OK);
	r = ask(ONE(HATE));
	assert_int_equal(r->verdict, LZ_BLOCK);
	assert_int_equal(r->finding_count, 1);
	assert_true(testhost_found(r, "moderation.hate"));
	assert_true(lz_eq(r->findings[0].message, "the moderation service found 'hate'"));
	/* Scores need not be there; a category may be nobody's. */
	assert_int_equal(
	    ask(ONE("{\"flagged\":false,\"categories\":{}}"))->verdict, LZ_OK);
	r = ask(ONE("{\"flagged\":true,\"categories\":{}}"));
	assert_int_equal(r->verdict, LZ_BLOCK);
	assert_true(testhost_found(r, "moderation.flagged"));
	r = ask(ONE("{\"flagged\":true,\"categories\":{\"a, b\\u00e9\":true}}"));
	assert_true(testhost_found(r, "moderation.a__b__"));
}

static void
limits_and_thresholds_are_ours(void **state)
{
	(void)state;
	use(",\"limit\":0.5");
	assert_int_equal(ask(ONE(RESULT("true", "true", "0.49")))->verdict, LZ_OK);
	assert_int_equal(ask(ONE(RESULT("false", "false", "0.5")))->verdict, LZ_BLOCK);
	use(",\"limit\":0.9,\"thresholds\":{\"hate\":0.2}");
	assert_int_equal(ask(ONE(RESULT("false", "false", "0.2")))->verdict, LZ_BLOCK);
	use(",\"thresholds\":{\"sexual/minors\":0.005}");
	assert_true(testhost_found(ask(ONE(CLEAN)), "moderation.sexual/minors"));
	use(",\"thresholds\":{\"hat\":0.2}");
	assert_int_equal(ask(ONE(CLEAN))->verdict, LZ_E_FAIL);
	assert_non_null(strstr(testhost_log(host), "thresholds names a category"));
}

static void
lists_say_who_blocks_and_who_flags(void **state)
{
	static const struct {
		const char *lists;
		int32_t verdict;
	} rows[] = { { ",\"flag\":[\"hate\"]", LZ_FLAG },
		{ ",\"block\":[\"hate\"],\"flag\":[\"*\"]", LZ_BLOCK },
		{ ",\"block\":[\"ha*\"],\"flag\":[\"*\"]", LZ_BLOCK },
		{ ",\"block\":[\"*\"],\"flag\":[\"hate\",\"x\"]", LZ_FLAG },
		{ ",\"block\":[\"hate\"],\"flag\":[\"hate\"]", LZ_BLOCK },
		{ ",\"block\":[\"violence\"]", LZ_OK },
		{ ",\"block\":[\"sexual*\"],\"flag\":[]", LZ_OK },
		{ ",\"block\":[],\"flag\":[]", LZ_OK } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		use(rows[i].lists);
		if (ask(ONE(HATE))->verdict != rows[i].verdict)
			fail_msg("%s", rows[i].lists);
	}
}

static void
what_is_not_understood_is_an_error(void **state)
{
	static const char *const rows[] = { "", "no", "{}", "[]", "null",
		"{\"results\":{}}", "{\"results\":[]}", ONE(CLEAN "," CLEAN), ONE("1"),
		ONE("{}"), ONE("{\"flagged\":false}"), ONE("{\"categories\":{}}"),
		ONE("{\"flagged\":0,\"categories\":{}}"),
		ONE("{\"flagged\":false,\"categories\":[]}"),
		ONE("{\"flagged\":false,\"categories\":{\"hate\":0}}"),
		ONE("{\"flagged\":false,\"categories\":{},\"category_scores\":{\"hate\":"
		    "0.9}}") };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		use("");
		if (ask(rows[i])->verdict != LZ_E_FAIL)
			fail_msg("%s", rows[i]);
		assert_non_null(strstr(testhost_log(host), "warn: "));
	}
	use(",\"limit\":0.5");
	assert_int_equal(
	    ask(ONE("{\"flagged\":false,\"categories\":{\"hate\":false}}"))->verdict,
	    LZ_E_FAIL);
	assert_int_equal(
	    ask(ONE("{\"flagged\":false,\"categories\":{},\"category_scores\":"
		    "{\"hate\":\"0.9\"}}"))
		->verdict,
	    LZ_E_FAIL);
}

static void
failures_have_their_names(void **state)
{
	static const struct {
		int32_t status, verdict;
	} rows[] = { { 429, LZ_E_RETRY }, { 503, LZ_E_RETRY }, { 500, LZ_E_FAIL },
		{ 401, LZ_E_FAIL }, { 302, LZ_E_FAIL }, { 204, LZ_E_FAIL } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		use("");
		testhost_script(host, URL, rows[i].status, ONE(CLEAN), 1);
		assert_int_equal(testhost_prompt(host, "x")->verdict, rows[i].verdict);
		assert_non_null(strstr(testhost_log(host), "with status"));
		assert_null(strstr(testhost_log(host), "judge.test"));
	}
	use("");
	testhost_script_error(host, URL, LZ_E_TIMEOUT, 1500);
	assert_int_equal(testhost_prompt(host, "x")->verdict, LZ_E_TIMEOUT);
	use("");
	testhost_script_error(host, URL, LZ_E_FAIL, 3);
	assert_int_equal(testhost_prompt(host, "x")->verdict, LZ_E_FAIL);
	use("");
	testhost_script(host, URL, 200, ONE(CLEAN), 500);
	testhost_leave_after(host, 100);
	assert_int_equal(testhost_prompt(host, "x")->verdict, LZ_E_GONE);
}

static void
bad_options_are_told(void **state)
{
	(void)state;
	assert_refused("moderation", "{}", "url");
	assert_refused("moderation", "{\"url\":\"judge\"}", "url");
	assert_refused("moderation", "{\"url\":\"" URL "\",\"limit\":2}", "limit");
	assert_refused(
	    "moderation", "{\"url\":\"" URL "\",\"block\":[\"a b\"]}", "block[0]");
	assert_refused(
	    "moderation", "{\"url\":\"" URL "\",\"flag\":[\"a\",\"\"]}", "flag[1]");
	assert_refused(
	    "moderation", "{\"url\":\"" URL "\",\"flag\":[\"a*b\"]}", "flag[0]");
	assert_refused("moderation",
	    "{\"url\":\"" URL "\",\"thresholds\":{\"hate\":\"1\"}}", "thresholds.hate");
	assert_refused("moderation", "{\"url\":\"" URL "\",\"thresholds\":{\"hate\":0}}",
	    "thresholds.hate");
	assert_refused("moderation", "{\"url\":\"" URL "\",\"thresholds\":{\"h*\":1}}",
	    "thresholds.h*");
	assert_refused(
	    "moderation", "{\"url\":\"" URL "\",\"thresholds\":[]}", "thresholds");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
		    the_text_goes_to_the_url_as_openai_has_it, tear_down),
		cmocka_unit_test_teardown(
		    all_texts_or_the_last_users_are_sent, tear_down),
		cmocka_unit_test_teardown(
		    the_plain_form_is_sent_where_it_is_wanted, tear_down),
		cmocka_unit_test_teardown(
		    what_is_long_is_cut_between_words_and_overlaps, tear_down),
		cmocka_unit_test_teardown(
		    batches_go_a_few_at_a_time_and_a_block_ends_it, tear_down),
		cmocka_unit_test_teardown(
		    the_services_own_judgement_counts_without_a_limit, tear_down),
		cmocka_unit_test_teardown(limits_and_thresholds_are_ours, tear_down),
		cmocka_unit_test_teardown(lists_say_who_blocks_and_who_flags, tear_down),
		cmocka_unit_test_teardown(what_is_not_understood_is_an_error, tear_down),
		cmocka_unit_test_teardown(failures_have_their_names, tear_down),
		cmocka_unit_test_teardown(bad_options_are_told, tear_down),
	};

	return cmocka_run_group_tests_name("moderation", tests, NULL, NULL);
}
