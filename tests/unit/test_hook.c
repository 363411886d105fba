/* test_hook.c - what a hook is asked and how that is signed; that its answer is done to
 * the letter, and that anything else is an error.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard_host.h"

#include <stdbool.h>

#include "base/base64.h"
#include "base/crypto.h"

#define URL "https://hook.test/guard"

static void
use(const char *more)
{
	guard_use_url("hook", URL, more);
}

/* Two texts are shown and the hook answers. */
static const struct testhost_result *
ask(const char *answer)
{
	use("");
	testhost_script(host, URL, 200, answer, 20);
	testhost_add_text(host, "user", "a \u20acbc def")->message = 0;
	testhost_add_text(host, "user", "second")->message = 1;
	return testhost_check(host, LZ_REQUEST);
}

/* ---- what is asked ---- */

static void
it_is_told_who_asks_and_shown_the_texts(void **state)
{
	const struct testhost_result *r;
	lz_text *t;

	(void)state;
	use(",\"token\":\"tok\",\"timeout_ms\":250");
	testhost_script(host, URL, 200, "{\"verdict\":\"pass\"}", 20);
	testhost_request(host)->id = lz_strz("r1");
	testhost_request(host)->route = lz_strz("chat");
	testhost_request(host)->model = lz_strz("m");
	testhost_request(host)->key = lz_strz("k");
	testhost_request(host)->organization = lz_strz("acme");
	testhost_request(host)->assistant = lz_strn(NULL, 0);
	testhost_request(host)->user = lz_strz("u");
	testhost_add_text(host, "user", "say \"hi\"\n")->message = 0;
	t = testhost_add_text(host, "tool", "12");
	t->kind = LZ_TOOL_RESULT;
	t->message = 1;
	t->name = lz_strz("f");
	t = testhost_add_text(host, "system", "beside");
	t->message = UINT32_MAX;
	r = testhost_check(host, LZ_REQUEST);
	assert_int_equal(r->verdict, LZ_OK);
	assert_int_equal(r->sent_count, 1);
	assert_int_equal(r->sent[0].timeout_ms, 250);
	assert_true(lz_eq(testhost_header(&r->sent[0], "authorization"), "Bearer tok"));
	assert_null(testhost_header(&r->sent[0], "webhook-signature").ptr);
	assert_str_is(r->sent[0].body,
	    "{\"id\":\"r1\",\"phase\":\"request\",\"route\":\"chat\",\"model\":\"m\","
	    "\"stream\":false,\"key\":\"k\",\"organization\":\"acme\",\"assistant\":null,"
	    "\"user\":\"u\",\"texts\":["
	    "{\"index\":0,\"message\":0,\"role\":\"user\",\"kind\":\"prose\",\"name\":"
	    "null,\"text\":\"say \\\"hi\\\"\\n\"},"
	    "{\"index\":1,\"message\":1,\"role\":\"tool\",\"kind\":\"tool_result\","
	    "\"name\":\"f\",\"text\":\"12\"},"
	    "{\"index\":2,\"message\":null,\"role\":\"system\",\"kind\":\"prose\","
	    "\"name\":null,\"text\":\"beside\"}]}",
	    "it");
	r = testhost_answer(host, "said");
	assert_non_null(memmem(
	    r->sent[0].body.ptr, r->sent[0].body.len, "\"phase\":\"response\"", 18));
	assert_non_null(memmem(r->sent[0].body.ptr, r->sent[0].body.len,
	    "{\"index\":0,\"choice\":0,\"role\":\"assistant\"", 40));
	use(",\"max_bytes\":1024");
	{
		char text[1100];

		memset(text, 'x', sizeof(text));
		text[1099] = '\0';
		r = testhost_prompt(host, text);
	}
	assert_int_equal(r->verdict, LZ_E_LIMIT);
	assert_int_equal(r->sent_count, 0);
}

/* Signs it once more, from what was sent. */
static void
assert_signed(const struct testhost_result *r, lz_str key)
{
	lz_str id = testhost_header(&r->sent[0], "webhook-id");
	lz_str at = testhost_header(&r->sent[0], "webhook-timestamp");
	lz_str said = testhost_header(&r->sent[0], "webhook-signature");
	char text[2000], want[80] = "v1,";
	uint8_t mac[32];
	struct buf b;
	int n = snprintf(text, sizeof(text), "%.*s.%.*s.%.*s", (int)id.len, id.ptr,
	    (int)at.len, at.ptr, (int)r->sent[0].body.len, r->sent[0].body.ptr);

	assert_true(id.len == 28 && memcmp(id.ptr, "msg_", 4) == 0);
	assert_str_is(at, "1700000000", "it");
	crypto_hmac(key, lz_strn(text, (size_t)n), mac);
	buf_init(&b, 1000);
	base64_encode(mac, sizeof(mac), &b);
	strncat(want, b.ptr, b.len);
	buf_free(&b);
	assert_str_is(said, want, "it");
}

static void
questions_are_signed_as_standard_webhooks_has_it(void **state)
{
	(void)state;
	use(",\"secret\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"");
	testhost_script(host, URL, 200, "{\"verdict\":\"pass\"}", 0);
	assert_signed(testhost_prompt(host, "x"),
	    lz_strn("\x31\xf2\x90\xf6\xbf\x06\x29\x8a\xab\x4f\x08\xd4\x3c\x3f\x08\x2c\xf6"
		    "\x48\xa3\x62\xda\x2d\xa4\xb0",
		24));
	use(",\"secret\":\"plain bytes\"");
	testhost_script(host, URL, 200, "{\"verdict\":\"pass\"}", 0);
	assert_signed(testhost_prompt(host, "x"), lz_strz("plain bytes"));
}

/* ---- what it answers ---- */

static void
verdicts_are_done(void **state)
{
	const struct testhost_result *r;

	(void)state;
	r = ask("{\"verdict\":\"pass\"}");
	assert_true(r->verdict == LZ_OK && r->finding_count == 0);
	r = ask("{\"verdict\":\"pass\",\"code\":null,\"message\":null,\"edits\":null}");
	assert_true(r->verdict == LZ_OK && r->finding_count == 0);
	r = ask("{\"verdict\":\"flag\",\"code\":\"my.code\",\"message\":\"why\"}");
	assert_true(r->verdict == LZ_FLAG && testhost_found(r, "my.code"));
	assert_str_is(r->findings[0].message, "why", "it");
	r = ask("{\"verdict\":\"flag\"}");
	assert_true(r->verdict == LZ_FLAG && testhost_found(r, "hook.flag"));
	r = ask("{\"verdict\":\"block\",\"message\":\"not here\"}");
	assert_true(r->verdict == LZ_BLOCK && testhost_found(r, "hook.block"));
	assert_str_is(r->findings[0].message, "not here", "it");
	r = ask("{\"verdict\":\"mask\",\"code\":\"m\",\"edits\":["
		"{\"index\":0,\"from\":0,\"to\":1,\"with\":\"A\"},"
		"{\"index\":0,\"from\":2,\"to\":4,\"with\":\"\"},"
		"{\"index\":0,\"from\":6,\"to\":9,\"with\":\"xyz\u00e9\"},"
		"{\"index\":1,\"from\":5,\"to\":6,\"with\":\"d!\"}]}");
	assert_true(r->verdict == LZ_OK && testhost_found(r, "m"));
	assert_str_is(r->texts[0], "A c xyz\u00e9", "it");
	assert_str_is(r->texts[1], "second!", "it");
	r = ask("{\"verdict\":\"mask\",\"texts\":[{\"index\":1,\"text\":\"other\"}]}");
	assert_true(r->verdict == LZ_OK && testhost_found(r, "hook.mask"));
	assert_str_is(r->texts[0], "a \u20acbc def", "it");
	assert_str_is(r->texts[1], "other", "it");
	r = ask("{\"verdict\":\"mask\",\"texts\":[]}");
	assert_int_equal(r->verdict, LZ_OK);
}

static void
anything_else_is_an_error(void **state)
{
#define EDITS(rows) "{\"verdict\":\"mask\",\"edits\":[" rows "]}"
#define TEXTS(rows) "{\"verdict\":\"mask\",\"texts\":[" rows "]}"
	static const char *const rows[] = { "", "pass", "\"pass\"", "[]", "{}", "null",
		"{\"verdict\":null}", "{\"verdict\":\"Pass\"}", "{\"verdict\":\"blok\"}",
		"{\"verdict\":1}", "{\"verdict\":[\"pass\"]}",
		"{\"verdict\":\"pass\",\"verdict\":\"block\"}",
		"{\"verdict\":\"pass\"} x", "{\"verdict\":\"pass\",\"more\":1}",
		"{\"verdict\":\"pass\",\"code\":1}",
		"{\"verdict\":\"block\",\"code\":\"a b\"}",
		"{\"verdict\":\"block\",\"code\":\"a,b\"}",
		"{\"verdict\":\"block\",\"code\":\"\u00e9\"}",
		"{\"verdict\":\"block\",\"message\":[]}",
		"{\"verdict\":\"pass\",\"edits\":[]}",
		"{\"verdict\":\"block\",\"texts\":[]}", "{\"verdict\":\"mask\"}",
		"{\"verdict\":\"mask\",\"edits\":[],\"texts\":[]}",
		"{\"verdict\":\"mask\",\"edits\":{}}", EDITS("1"), EDITS("{}"),
		EDITS("{\"index\":0,\"from\":0,\"to\":1}"),
		EDITS("{\"index\":0,\"from\":0,\"to\":1,\"with\":1}"),
		EDITS("{\"index\":0,\"from\":0.0,\"to\":1,\"with\":\"\"}"),
		EDITS("{\"index\":\"0\",\"from\":0,\"to\":1,\"with\":\"\"}"),
		EDITS("{\"index\":2,\"from\":0,\"to\":1,\"with\":\"\"}"),
		EDITS("{\"index\":-1,\"from\":0,\"to\":1,\"with\":\"\"}"),
		EDITS("{\"index\":0,\"from\":-1,\"to\":1,\"with\":\"\"}"),
		EDITS("{\"index\":0,\"from\":2,\"to\":1,\"with\":\"\"}"),
		EDITS("{\"index\":0,\"from\":2,\"to\":2,\"with\":\"x\"}"),
		EDITS("{\"index\":0,\"from\":0,\"to\":10,\"with\":\"\"}"),
		EDITS("{\"index\":0,\"from\":10,\"to\":10,\"with\":\"\"}"),
		EDITS("{\"index\":0,\"from\":9223372036854775807,\"to\":"
		      "9223372036854775807,\"with\":\"\"}"),
		EDITS("{\"index\":0,\"from\":0,\"to\":1,\"with\":\"\",\"x\":1}"),
		EDITS("{\"index\":0,\"from\":0,\"to\":3,\"with\":\"\"},{\"index\":0,"
		      "\"from\":2,\"to\":4,\"with\":\"\"}"),
		EDITS("{\"index\":1,\"from\":0,\"to\":1,\"with\":\"\"},{\"index\":0,"
		      "\"from\":0,\"to\":1,\"with\":\"\"}"),
		TEXTS("{}"), TEXTS("{\"index\":0}"), TEXTS("{\"index\":2,\"text\":\"\"}"),
		TEXTS("{\"index\":0,\"text\":null}"),
		TEXTS("{\"index\":0,\"text\":\"a\"},{\"index\":0,\"text\":\"b\"}"),
		TEXTS("{\"index\":1,\"text\":\"a\"},{\"index\":0,\"text\":\"b\"}") };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct testhost_result *r = ask(rows[i]);

		if (r->verdict != LZ_E_FAIL)
			fail_msg("%s: %d", rows[i], (int)r->verdict);
		assert_non_null(strstr(testhost_log(host), "warn: "));
	}
}

static void
sizes_are_bounded(void **state)
{
	static char answer[3 << 20];
	size_t n;

	(void)state;
	memset(answer, ' ', sizeof(answer) - 1);
	memcpy(answer, "{\"verdict\":\"pass\"}", 18);
	assert_int_equal(ask(answer)->verdict, LZ_E_FAIL);
	(void)snprintf(
	    answer, sizeof(answer), "{\"verdict\":\"block\",\"code\":\"%065d\"}", 1);
	assert_int_equal(ask(answer)->verdict, LZ_E_FAIL);
	(void)snprintf(
	    answer, sizeof(answer), "{\"verdict\":\"block\",\"message\":\"%01001d\"}", 1);
	assert_int_equal(ask(answer)->verdict, LZ_E_FAIL);
	n = (size_t)sprintf(answer, "{\"verdict\":\"mask\",\"edits\":[");
	for (int i = 0; i <= 10000; i++)
		n += (size_t)sprintf(answer + n,
		    "%s{\"index\":0,\"from\":0,\"to\":1,\"with\":\"\"}",
		    i > 0 ? "," : "");
	(void)sprintf(answer + n, "]}");
	assert_int_equal(ask(answer)->verdict, LZ_E_FAIL);
	assert_non_null(strstr(testhost_log(host), "10000 edits"));
}

static void
failures_have_their_names(void **state)
{
	static const struct {
		int32_t status, verdict;
	} rows[] = { { 429, LZ_E_RETRY }, { 503, LZ_E_RETRY }, { 500, LZ_E_FAIL },
		{ 404, LZ_E_FAIL }, { 307, LZ_E_FAIL }, { 201, LZ_E_FAIL } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		use("");
		testhost_script(host, URL, rows[i].status, "{\"verdict\":\"pass\"}", 1);
		assert_int_equal(testhost_prompt(host, "x")->verdict, rows[i].verdict);
		assert_non_null(strstr(testhost_log(host), "with status"));
	}
	use("");
	testhost_script_error(host, URL, LZ_E_TIMEOUT, 1500);
	assert_int_equal(testhost_prompt(host, "x")->verdict, LZ_E_TIMEOUT);
	use("");
	testhost_script_error(host, URL, LZ_E_LIMIT, 5);
	assert_int_equal(testhost_prompt(host, "x")->verdict, LZ_E_LIMIT);
	use("");
	testhost_script(host, URL, 200, "{\"verdict\":\"pass\"}", 500);
	testhost_leave_after(host, 100);
	assert_int_equal(testhost_prompt(host, "x")->verdict, LZ_E_GONE);
}

static void
bad_options_are_told(void **state)
{
	static const char *const rows[][2] = { { "{}", "url" },
		{ "{\"url\":\"hook\"}", "url" },
		{ "{\"url\":\"" URL "\",\"secret\":\"whsec_\"}", "whsec_" },
		{ "{\"url\":\"" URL "\",\"secret\":\"whsec_a!bc\"}", "whsec_" },
		{ "{\"url\":\"" URL "\",\"secret\":\"whsec_AAAAA\"}", "whsec_" },
		{ "{\"url\":\"" URL "\",\"timeout_ms\":0}", "timeout_ms" } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_refused("hook", rows[i][0], rows[i][1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
		    it_is_told_who_asks_and_shown_the_texts, tear_down),
		cmocka_unit_test_teardown(
		    questions_are_signed_as_standard_webhooks_has_it, tear_down),
		cmocka_unit_test_teardown(verdicts_are_done, tear_down),
		cmocka_unit_test_teardown(anything_else_is_an_error, tear_down),
		cmocka_unit_test_teardown(sizes_are_bounded, tear_down),
		cmocka_unit_test_teardown(failures_have_their_names, tear_down),
		cmocka_unit_test_teardown(bad_options_are_told, tear_down),
	};

	return cmocka_run_group_tests_name("hook", tests, NULL, NULL);
}
