/* test_testhost.c - the fake host keeps the gateway's promises, and catches a plugin that
 * breaks its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin_fixture.h"

#include <latenza/testhost.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

static const char *sample;
static char problems[4000];

static void
note_problem(void *arg, const char *sentence)
{
	size_t n = strlen(problems);

	(void)arg;
	(void)snprintf(problems + n, sizeof(problems) - n, "%s\n", sentence);
}

static int
start(void **state)
{
	(void)state;
	problems[0] = '\0';
	testhost_on_problem(note_problem, NULL);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	testhost_on_problem(NULL, NULL);
	return 0;
}

static void
assert_text(lz_str s, const char *wanted)
{
	char got[400];

	(void)snprintf(got, sizeof(got), "%.*s", (int)s.len, s.ptr != NULL ? s.ptr : "");
	assert_string_equal(got, wanted);
}

static void
assert_said(const char *words)
{
	if (strstr(problems, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", problems, words);
	assert_non_null(strstr(problems, "latenza.sample, "));
}

/* ---- guardrails ---- */

static void
a_prompt_is_masked_and_the_finding_counted_once(void **state)
{
	struct testhost *h = testhost_new(sample, "digits", NULL);
	const struct testhost_result *r =
	    testhost_prompt(h, "call 12345 or 67890, room 12");

	(void)state;
	assert_int_equal(r->verdict, LZ_OK);
	assert_text(r->texts[0], "call # or #, room 12");
	assert_int_equal(r->finding_count, 1);
	assert_true(testhost_found(r, "digits.run"));
	assert_false(testhost_found(r, "digits.other"));
	assert_true(testhost_metric(h, "runs_found") == 2);
	testhost_free(h);
	assert_string_equal(problems, "");
}

static void
messages_have_roles_kinds_and_an_order(void **state)
{
	struct testhost *h = testhost_new(sample, "digits", "{\"least\":2}");
	const struct testhost_result *r;

	(void)state;
	(void)testhost_add_text(h, "system", "be 100 % kind");
	testhost_add_text(h, "tool", "found 42")->kind = LZ_TOOL_RESULT;
	(void)testhost_add_text(h, "user", "");
	r = testhost_check(h, LZ_REQUEST);
	assert_int_equal(r->text_count, 3);
	assert_text(r->texts[0], "be # % kind");
	assert_text(r->texts[1], "found #");
	assert_text(r->texts[2], "");
	testhost_free(h);
	assert_string_equal(problems, "");
}

static void
options_are_refused_in_the_gateways_words(void **state)
{
	(void)state;
	assert_null(testhost_refusal(sample, "digits", "{\"least\":100}"));
	assert_non_null(
	    strstr(testhost_refusal(sample, "digits", "{\"least\":0}"), "least"));
	assert_non_null(
	    strstr(testhost_refusal(sample, "digits", "{\"lest\":5}"), "least"));
	assert_non_null(
	    strstr(testhost_refusal(sample, "digits", "{\"action\":\"burn\"}"), "mask"));
	assert_non_null(strstr(
	    testhost_refusal(sample, "digits", "{\"least\":13}"), "13 brings bad luck"));
	assert_non_null(strstr(testhost_refusal(sample, "remote", NULL), "url"));
	assert_non_null(testhost_refusal(sample, "digits", "{"));
	assert_non_null(strstr(testhost_refusal(sample, "absent", NULL), "absent"));
	assert_non_null(testhost_refusal("/nowhere.so", NULL, NULL));
	assert_non_null(strstr(testhost_refusal(sample, NULL, NULL), "name one"));
}

static void
a_stream_gives_the_whole_texts_result_wherever_it_is_cut(void **state)
{
	static const char text[] =
	    "a 1234 b 12 c 987654321987654321 \xc3\xa9\xc3\xa9 77777";
	static const size_t cuts[] = { 3, 5, 40 };
	struct testhost *h = testhost_new(sample, "digits", NULL);
	const struct testhost_result *r = testhost_stream(h, lz_strz(text), cuts, 3);

	(void)state;
	assert_text(r->texts[0], "a # b 12 c # \xc3\xa9\xc3\xa9 #");
	assert_int_equal(r->verdict, LZ_OK);
	assert_true(r->most_held >= 3);
	assert_int_equal(testhost_cuts(h, text, "987654321987654321", 2000, 1), 0);
	testhost_free(h);
	h = testhost_new(sample, "digits", "{\"action\":\"flag\"}");
	assert_int_equal(testhost_cuts(h, text, NULL, 500, 2), 0);
	assert_int_equal(testhost_stream_every(h, lz_strz(text), 1)->verdict, LZ_FLAG);
	testhost_free(h);
	assert_string_equal(problems, "");
}

static void
no_byte_of_a_blocked_match_has_left(void **state)
{
	static const char text[] = "my number is 1234567 thanks";
	struct testhost *h = testhost_new(sample, "digits", "{\"action\":\"block\"}");
	const struct testhost_result *r;

	(void)state;
	r = testhost_stream_every(h, lz_strz(text), 1);
	assert_int_equal(r->verdict, LZ_BLOCK);
	assert_int_equal(r->released, strlen("my number is "));
	assert_text(r->texts[0], "my number is ");
	assert_int_equal(testhost_cuts(h, text, "1234567", 2000, 3), 0);
	testhost_free(h);
	assert_string_equal(problems, "");
}

static void
by_default_the_overlap_stays_back_and_reveal_is_for_the_caller(void **state)
{
	struct testhost *h = testhost_new(sample, "word", NULL);
	const struct testhost_result *r =
	    testhost_stream_every(h, lz_strz("oh hello, [NAME]"), 2);

	(void)state;
	assert_text(r->texts[0], "oh HELLO, [NAME]");
	assert_text(r->revealed[0], "oh HELLO, [Anna]");
	assert_int_equal(
	    testhost_cuts(h, "hello hellohello hell [NAME] hello", NULL, 1000, 1), 0);
	testhost_free(h);
	assert_string_equal(problems, "");
}

static void
a_text_is_shown_in_its_plain_form_too(void **state)
{
	static const char text[] = "a s\xe2\x80\x8b\xd0\xb5\xd1\x81ret, a secret";
	struct testhost *h = testhost_new(sample, "folded", NULL);

	(void)state;
	assert_text(testhost_prompt(h, text)->texts[0], "a ***, a ***");
	assert_int_equal(testhost_cuts(h, text, "secret", 1000, 1), 0);
	testhost_free(h);
	assert_string_equal(problems, "");
}

/* ---- later ---- */

static void
http_is_answered_by_the_script_and_time_is_virtual(void **state)
{
	static const char options[] = "{\"url\":\"http://judge.test/v1\"}";
	struct testhost *h = testhost_new(sample, "remote", options);
	const struct testhost_result *r;

	(void)state;
	testhost_script(h, "http://judge.test/", 503, "", 50);
	testhost_script_error(h, "http://judge.test/", LZ_E_TIMEOUT, 300);
	testhost_script(h, "http://judge.test/", 200, "{\"flagged\":true}", 20);
	r = testhost_prompt(h, "is \"this\" bad?");
	assert_int_equal(r->verdict, LZ_BLOCK);
	assert_int_equal(r->sent_count, 3);
	assert_text(r->sent[0].body, "\"is \\\"this\\\" bad?\"");
	assert_int_equal(r->elapsed_ms, 50 + 100 + 300 + 100 + 20);
	assert_int_equal(testhost_prompt(h, "again")->sent_count, 1);
	testhost_free(h);
	assert_string_equal(problems, "");
}

static void
a_deadline_and_a_caller_who_leaves_end_the_call(void **state)
{
	struct testhost *h =
	    testhost_new(sample, "remote", "{\"url\":\"http://judge.test/\"}");
	const struct testhost_result *r;

	(void)state;
	testhost_script(h, "http://judge.test/", 200, "{}", 5000);
	r = testhost_prompt(h, "x");
	assert_int_equal(r->verdict, LZ_E_TIMEOUT);
	assert_int_equal(r->elapsed_ms, 2000);
	testhost_leave_after(h, 30);
	r = testhost_prompt(h, "x");
	assert_int_equal(r->verdict, LZ_E_GONE);
	assert_int_equal(r->elapsed_ms, 30);
	assert_int_equal(r->entries, 2); /* check, and the callback that hears of it */
	testhost_free(h);
	assert_string_equal(problems, "");
}

static void
a_thread_of_the_plugins_own_posts(void **state)
{
	struct testhost *h = testhost_new(sample, "poster", NULL);

	(void)state;
	for (int i = 0; i < 50; i++)
		assert_int_equal(testhost_prompt(h, "x")->verdict, LZ_FLAG);
	testhost_free(h);
	assert_string_equal(problems, "");
}

/* ---- the other kinds ---- */

static void
a_routers_order_is_told(void **state)
{
	struct testhost *h = testhost_new(sample, "first", NULL);
	const struct testhost_result *r;

	(void)state;
	testhost_add_target(h, "slow", "m")->ttft_ms = 900;
	testhost_add_target(h, "sick", "m")->healthy = 0;
	testhost_add_target(h, "fast", "m")->ttft_ms = 100;
	r = testhost_pick(h);
	assert_int_equal(r->verdict, LZ_OK);
	assert_int_equal(r->preference_count, 3);
	assert_int_equal(r->preferences[0].target, 2);
	assert_int_equal(r->preferences[1].target, 0);
	assert_int_equal(r->preferences[2].target, 1);
	assert_text(r->preferences[0].why, "fast");
	testhost_free(h);
	assert_string_equal(problems, "");
}

static void
an_attempt_is_built_answered_and_judged(void **state)
{
	struct testhost *h = testhost_new(sample, "vendor", NULL);
	const struct testhost_result *r;

	(void)state;
	testhost_set_credential(h, "sk-mine");
	testhost_set_body(h, "{\"model\":\"x\",\"max_tokens\":9000,\"stream\":true,"
			     "\"messages\":[]}");
	r = testhost_build(h);
	assert_int_equal(r->verdict, LZ_OK);
	assert_text(r->http.url, "http://test.invalid/v1/chat/completions");
	assert_text(testhost_header(&r->http, "X-Key"), "sk-mine");
	assert_null(testhost_header(&r->http, "authorization").ptr);
	assert_text(r->http.body,
	    "{\"model\":\"test-model\",\"stream\":true,\"messages\":[],\"most\":4096,"
	    "\"stream_options\":{\"include_usage\":true}}");
	assert_text(r->dropped[0], "seed");
	r = testhost_event(h, "", "Hi");
	assert_text(r->emitted[0], "{\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}");
	assert_int_equal(r->usage.output, 1);
	assert_int_equal(testhost_event(h, "", "!")->usage.output, 2);
	r = testhost_event(h, "error", "");
	assert_int_equal(r->verdict, LZ_E_FAIL);
	assert_int_equal(r->fault.upstream, LZ_UPSTREAM_DOWN);
	assert_int_equal(testhost_classify(h, 529, "")->fault.upstream, LZ_UPSTREAM_RATE);
	assert_int_equal(testhost_classify(h, 401, "")->fault.upstream, LZ_UPSTREAM_AUTH);
	testhost_free(h);
	assert_string_equal(problems, "");
}

static void
a_sink_gets_a_batch(void **state)
{
	struct testhost *h = testhost_new(sample, "teller", NULL);

	(void)state;
	testhost_set_body(h, "[{\"type\":\"budget.spent\"}]");
	assert_int_equal(testhost_deliver(h)->verdict, LZ_OK);
	assert_string_equal(testhost_log(h), "info: budget.spent\n");
	testhost_set_body(h, "[{},{}]");
	assert_int_equal(testhost_deliver(h)->verdict, LZ_E_RETRY);
	testhost_free(h);
	assert_string_equal(problems, "");
}

/* ---- broken promises ---- */

static struct testhost *
liar(const char *how)
{
	char options[100];

	problems[0] = '\0';
	(void)snprintf(options, sizeof(options), "{\"how\":\"%s\"}", how);
	return testhost_new(sample, "liar", options);
}

static void
assert_caught(const char *how, const char *text, const char *words)
{
	struct testhost *h = liar(how);

	(void)testhost_prompt(h, text);
	assert_said(words);
	(void)testhost_prompt(h, text); /* and the host goes on */
	testhost_free(h);
}

static void
a_broken_promise_is_a_problem_that_names_it(void **state)
{
	(void)state;
	assert_caught("finish-twice", "x", "finish() twice");
	assert_caught("nothing-under-way", "x", "nothing under way");
	assert_caught("edit-overlaps", "xxxxxx", "overlaps another");
	assert_caught("edit-outside", "x", "outside of the text");
	assert_caught("cut-character", "\xc3\xa9", "cuts a character");
	assert_caught("wrong-thread", "x", "alloc() from a thread");
	assert_caught("bad-result", "x", "77 is not a decision");
	assert_caught("unscripted", "x", "http://nobody.test/, and no script");
	assert_caught("metric-late", "x", "outside of init()");
	assert_caught("wrong-kind", "x", "credential() is for providers");
	assert_caught("late-finish", "x", "did not return LZ_PENDING");
}

static void
a_call_that_was_kept_is_a_problem(void **state)
{
	struct testhost *h = liar("keep-call");

	(void)state;
	(void)testhost_prompt(h, "x");
	assert_string_equal(problems, "");
	(void)testhost_prompt(h, "x");
	assert_said("text() with a call that is over");
	testhost_free(h);
}

static void
what_depends_on_the_cuts_or_leaks_is_a_problem(void **state)
{
	struct testhost *h = liar("cut-dependent");

	(void)state;
	assert_true(testhost_cuts(h, "some words", NULL, 50, 1) > 0);
	assert_said("not the whole text's");
	testhost_free(h);
	h = liar("leak");
	assert_true(testhost_cuts(h, "the secret is out", "secret", 50, 1) > 0);
	assert_said("gone out when the stream was blocked");
	testhost_free(h);
	h = liar("edit-seen");
	(void)testhost_stream_every(h, lz_strz("some words"), 3);
	assert_said("out already");
	testhost_free(h);
	h = liar("edit-across");
	(void)testhost_stream_every(h, lz_strz("some words"), 3);
	assert_said("across");
	testhost_free(h);
}

/* How a child ends that asks twice. */
static int
ends_with(const char *how, bool is_to_abort)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct testhost *h;

		(void)!freopen("/dev/null", "w", stderr);
		(void)signal(SIGSEGV, SIG_DFL); /* not the test program's */
		testhost_on_problem(is_to_abort ? NULL : note_problem, NULL);
		h = liar(how);
		(void)testhost_prompt(h, "abc");
		(void)testhost_prompt(h, "abc");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
memory_of_an_ended_call_cannot_be_read(void **state)
{
	static const char *const ways[] = { "keep-view", "keep-memory", "read-beyond" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		int status = ends_with(ways[i], false);

		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			fail_msg("%s was not found", ways[i]);
	}
}

static void
without_a_handler_a_problem_ends_the_test(void **state)
{
	int status = ends_with("finish-twice", true);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_prompt_is_masked_and_the_finding_counted_once, start, stop),
		cmocka_unit_test_setup_teardown(
		    messages_have_roles_kinds_and_an_order, start, stop),
		cmocka_unit_test_setup_teardown(
		    options_are_refused_in_the_gateways_words, start, stop),
		cmocka_unit_test_setup_teardown(
		    a_stream_gives_the_whole_texts_result_wherever_it_is_cut, start,
		    stop),
		cmocka_unit_test_setup_teardown(
		    no_byte_of_a_blocked_match_has_left, start, stop),
		cmocka_unit_test_setup_teardown(
		    by_default_the_overlap_stays_back_and_reveal_is_for_the_caller, start,
		    stop),
		cmocka_unit_test_setup_teardown(
		    a_text_is_shown_in_its_plain_form_too, start, stop),
		cmocka_unit_test_setup_teardown(
		    http_is_answered_by_the_script_and_time_is_virtual, start, stop),
		cmocka_unit_test_setup_teardown(
		    a_deadline_and_a_caller_who_leaves_end_the_call, start, stop),
		cmocka_unit_test_setup_teardown(
		    a_thread_of_the_plugins_own_posts, start, stop),
		cmocka_unit_test_setup_teardown(a_routers_order_is_told, start, stop),
		cmocka_unit_test_setup_teardown(
		    an_attempt_is_built_answered_and_judged, start, stop),
		cmocka_unit_test_setup_teardown(a_sink_gets_a_batch, start, stop),
		cmocka_unit_test_setup_teardown(
		    a_broken_promise_is_a_problem_that_names_it, start, stop),
		cmocka_unit_test_setup_teardown(
		    a_call_that_was_kept_is_a_problem, start, stop),
		cmocka_unit_test_setup_teardown(
		    what_depends_on_the_cuts_or_leaks_is_a_problem, start, stop),
		cmocka_unit_test_setup_teardown(
		    memory_of_an_ended_call_cannot_be_read, start, stop),
		cmocka_unit_test_setup_teardown(
		    without_a_handler_a_problem_ends_the_test, start, stop),
	};
	int failed;

	fixture_start();
	sample = fixture_compile("tests/abi/sample.c", "sample.so", "-pthread");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	fixture_stop();
	return failed;
}
