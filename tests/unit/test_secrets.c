/* test_secrets.c - keys are found by their shapes, values by the word before them, and
 * what only looks random is left alone, wherever a stream is cut.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard_scene.h"

#define ALNUM36 "0123456789abcdefghijABCDEFGHIJ012345"
#define HEX32   "0123456789abcdef0123456789abcdef"
#define JWT     "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
/* Nothing here is anybody's key; in two halves, so that no scanner takes them for one. */
static const char *const keys[][2] = {
	{ "sk-proj-abcDEF123_abcDEF123-abcDEF123"
	  "abcDEF123abcDEF123abc",
	    "secrets.openai" },
	{ "sk-abcdefghij0123456789"
	  "ABCDEFGHIJabcdefghij01234567",
	    "secrets.openai" },
	{ "sk-ant-api03-abcDEF123_abcDEF123-abcDEF123"
	  "abcDEF123AA",
	    "secrets.anthropic" },
	{ "sk-or-v1-" HEX32 HEX32, "secrets.openrouter" },
	{ "AKIA"
	  "IOSFODNN7EXAMPLE",
	    "secrets.aws" },
	{ "ASIA"
	  "IOSFODNN7EXAMPLE",
	    "secrets.aws" },
	{ "ghp_" ALNUM36, "secrets.github" },
	{ "gho_" ALNUM36, "secrets.github" },
	{ "github_pat_"
	  "11ABCDEFG0abcdefghijkl_" ALNUM36 "ABCDEFGHIJKLMNOPQRSTUVW",
	    "secrets.github" },
	{ "glpat-"
	  "abcdefghij0123456789",
	    "secrets.gitlab" },
	{ "xoxb-"
	  "123456789012-abcdefghijkl",
	    "secrets.slack" },
	{ "xapp-"
	  "1-A0123456789-0123456789-abcdef",
	    "secrets.slack" },
	{ "sk_live_"
	  "0123456789abcdefABCDEFGH",
	    "secrets.stripe" },
	{ "rk_test_"
	  "0123456789abcdefABCDEFGH",
	    "secrets.stripe" },
	{ "whsec_"
	  "0123456789abcdefABCDEFGH01234567",
	    "secrets.stripe" },
	{ "AIza"
	  "SyA1234567890abcdefghijklmnopqrstuv",
	    "secrets.google" },
	{ "GOCSPX-"
	  "0123456789abcdefABCDEFGH_-ab",
	    "secrets.google" },
	{ "abc8Q~"
	  "abcdefghijklmnopqrstuvwxyz0123456789",
	    "secrets.azure" },
	{ "npm_" ALNUM36, "secrets.npm" },
	{ "pypi-AgE"
	  "IcHlwaS5vcmcCJ" ALNUM36,
	    "secrets.pypi" },
	{ "SG."
	  "abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
	    "secrets.sendgrid" },
	{ "SK" HEX32, "secrets.twilio" },
	{ "hf_"
	  "abcdefghijklmnopqrstuvwxyzABCDEFGH",
	    "secrets.huggingface" },
	{ "gsk_" ALNUM36 "0123456789abcdef", "secrets.groq" },
	{ "lz_live_"
	  "0123456789abcdefghijklmnopqrstuvABCDEF",
	    "secrets.latenza" },
	{ "lz_test_"
	  "0123456789abcdefghijklmnopqrstuvABCDEF",
	    "secrets.latenza" },
	{ JWT, "secrets.jwt" },
	{ "-----BEGIN RSA PRIVATE "
	  "KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
	    "secrets.private_key" },
};
enum {
	KEYS = sizeof(keys) / sizeof(keys[0])
};

/* ---- shapes ---- */

static void
keys_of_vendors_are_found_and_named(void **state)
{
	struct testhost *h = guard_open("secrets", NULL);
	char text[1000];

	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		(void)snprintf(text, sizeof(text), "use (%s), then", keys[i][0]);
		assert_becomes(h, text, "use ([SECRET]), then");
		testhost_begin(h);
		assert_true(testhost_found(testhost_prompt(h, text), keys[i][1]));
		testhost_begin(h);
		assert_cuts(h, text, NULL, 20);
	}
	testhost_free(h);
}

/* What stands next to a key, or is appended to it, does not hide it; nothing shorter is
 * one. */
static void
a_key_is_a_key_wherever_it_stands(void **state)
{
	struct testhost *h = guard_open("secrets", NULL);

	(void)state;
	assert_becomes(h, "GITHUB_TOKEN=ghp_" ALNUM36, "GITHUB_TOKEN=[SECRET]");
	assert_becomes(h,
	    "https://x/?k=AKIA"
	    "IOSFODNN7EXAMPLE&b",
	    "https://x/?k=[SECRET]&b");
	assert_becomes(h, "ghp_" ALNUM36 "appended", "[SECRET]");
	assert_becomes(h, "_ghp_" ALNUM36 "_", "_[SECRET]_");
	assert_becomes(h, "\xef\xbd\x87hp_" ALNUM36, "[SECRET]"); /* a wide g */
	assert_becomes(h, "gh\xe2\x80\x8bp_" ALNUM36, "[SECRET]");
	assert_passes(
	    h, "ghp_0123 sk-short sk_live_ AKIA AKIAIOSFODNN hf_model npm_config");
	assert_passes(h, "the risk-free task-based sk-learn-style approach");
	assert_passes(h, "SKIP AC adapters, ACCEPT, SG.1, key-value");
	testhost_free(h);
}

static void
tokens_have_a_head_that_names_an_algorithm(void **state)
{
	struct testhost *h = guard_open("secrets", NULL);

	(void)state;
	assert_becomes(h, "Cookie: t=" JWT "; x", "Cookie: t=[SECRET]; x");
	assert_becomes(h, JWT ".", "[SECRET].");
	/* {"alg":"none"}: no signature */
	assert_becomes(h, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "[SECRET]");
	/* Five parts: encrypted. */
	assert_becomes(h, "eyJhbGciOiJSU0EifQ.QQ.QQ.QQ.QQ!", "[SECRET]!");
	/* {"nope":1}; not JSON; two parts */
	assert_passes(h, "eyJub3BlIjoxfQ.eyJzdWIiOiIxIn0.abc");
	assert_passes(h, "eyJhbGciOiJIUzI1.eyJzdWIiOiIxIn0.abc");
	assert_passes(h, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0");
	testhost_free(h);
}

static void
private_keys_are_found_in_every_spelling(void **state)
{
	static const char *const labels[] = { "", "RSA ", "EC ", "DSA ", "OPENSSH ",
		"ENCRYPTED " };
	struct testhost *h = guard_open("secrets", NULL);
	char text[400];

	(void)state;
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		for (size_t k = 0; k < 3; k++) {
			static const char *const lines[] = { "\n", "\\n", " " };

			(void)snprintf(text, sizeof(text),
			    "a -----BEGIN %sPRIVATE KEY-----%sProc-Type: "
			    "4,ENCRYPTED%sMIIE+/0="
			    "%s-----END %sPRIVATE KEY----- b",
			    labels[i], lines[k], lines[k], lines[k], labels[i]);
			assert_becomes(h, text, "a [SECRET] b");
			testhost_begin(h);
			assert_cuts(h, text, "MIIE+/0=", 10);
		}
	}
	assert_becomes(h,
	    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nxyz=\n-----END PGP PRIVATE KEY "
	    "BLOCK-----",
	    "[SECRET]");
	/* Cut off, by whoever pasted it. */
	assert_becomes(h, "-----BEGIN PRIVATE KEY-----\nMIIEow", "[SECRET]");
	assert_passes(h, "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----");
	assert_passes(h, "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----");
	assert_passes(h, "----- begin private key -----");
	testhost_free(h);
}

/* ---- words and URLs ---- */

static void
a_word_announces_a_secret(void **state)
{
	static const char *const rows[][2] = {
		{ "password: hunter22", "password: [SECRET]" },
		{ "My password is Passw0rd!, ok", "My password is [SECRET], ok" },
		{ "DB_PASSWORD=s3cr3t-pa55.", "DB_PASSWORD=[SECRET]." },
		{ "{\"api_key\": \"a1b2c3d4e5f6\"}", "{\"api_key\": \"[SECRET]\"}" },
		{ "'client-secret' => 'a1b2(c3)d4e5'", "'client-secret' => '[SECRET]'" },
		{ "access token := `a1b2c3d4e5f6`", "access token := `[SECRET]`" },
		{ "Authorization: Bearer abcdef1234567890",
		    "Authorization: Bearer [SECRET]" },
		{ "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		    "aws_secret_access_key = [SECRET]" },
		{ "AccountKey=abcd1234+/abcd1234==;Endpoint",
		    "AccountKey=[SECRET];Endpoint" },
		{ "postgres://user:s3cr3t@db.example.com/x",
		    "postgres://user:[SECRET]@db.example.com/x" },
		{ "redis://:pa55@[::1]:6379", "redis://:[SECRET]@[::1]:6379" },
	};
	struct testhost *h = guard_open("secrets", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_becomes(h, rows[i][0], rows[i][1]);
		testhost_begin(h);
		assert_cuts(h, rows[i][0], NULL, 30);
	}
	testhost_free(h);
}

static void
ordinary_texts_pass(void **state)
{
	static const char *const texts[] = {
		"550e8400-e29b-41d4-a716-446655440000",
		"commit da39a3ee5e6b4b0d3255bfef95601890afd80709, md5 "
		"d41d8cd98f00b204e980",
		"data:image/"
		"png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQ",
		"token = os.environ[\"API_KEY1\"]; password=getpass2(); x = tokens[123]",
		"secret: ${SECRET_1A}, {{ token_2b }}, <password1234>",
		"password: ********, password: changeme, token: abc",
		"\"max_tokens\": 4096000, \"completion_tokens\": 12345678",
		"The password must have 8 characters and 1 digit. The token is required.",
		"http://host:8080/a@b https://u:${PW}@h/ https://example.com:443",
		"Basic income is a policy; the bearer of this letter",
	};
	struct testhost *h = guard_open("secrets", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_passes(h, texts[i]);
	testhost_free(h);
}

static void
thresholds_decide_what_is_a_value(void **state)
{
	struct testhost *h = guard_open("secrets", "{\"entropy\":3.5,\"min_length\":16}");

	(void)state;
	assert_passes(h, "password: hunter22");
	assert_passes(h, "password: a1a1a1a1a1a1a1a1a1a1");
	assert_becomes(h, "password: a1b2c3d4e5f6g7h8", "password: [SECRET]");
	testhost_free(h);
	/* 16 different characters are 4 bits each, no more and no less. */
	h = guard_open("secrets", "{\"entropy\":4}");
	assert_becomes(h, "token: a1b2c3d4e5f6g7h8", "token: [SECRET]");
	testhost_free(h);
	h = guard_open("secrets", "{\"entropy\":4.01}");
	assert_passes(h, "token: a1b2c3d4e5f6g7h8");
	testhost_free(h);
	assert_non_null(guard_refusal("secrets", "{\"entropy\":9}"));
	assert_non_null(guard_refusal("secrets", "{\"kinds\":[\"diary\"]}"));
}

/* ---- what becomes of a match ---- */

static void
options_say_what_is_looked_for_and_what_becomes_of_it(void **state)
{
	static const char text[] = "ghp_" ALNUM36 " password: hunter22";
	struct testhost *h = guard_open("secrets", "{\"kinds\":[\"generic\"]}");

	(void)state;
	assert_becomes(h, text, "ghp_" ALNUM36 " password: [SECRET]");
	testhost_free(h);
	h = guard_open("secrets", "{\"action\":\"flag\"}");
	testhost_begin(h);
	assert_int_equal(testhost_prompt(h, text)->verdict, LZ_FLAG);
	assert_passes(h, text);
	testhost_free(h);
	h = guard_open("secrets", "{\"action\":\"block\"}");
	assert_int_equal(testhost_prompt(h, text)->verdict, LZ_BLOCK);
	assert_int_equal(testhost_prompt(h, "none")->verdict, LZ_OK);
	testhost_free(h);
	h = guard_open("secrets", "{\"allow\":[\"hunter22\"]}");
	assert_becomes(h, text, "[SECRET] password: hunter22");
	testhost_free(h);
}

/* ---- streams ---- */

static void
mixed_texts_give_the_same_wherever_they_are_cut(void **state)
{
	static const char *const others[] = { "sk-", "eyJ", "-----BEGIN ", "-----",
		"token=", "is", "password: hunter22", "\"api_key\":\"a1b2c3d4e5f6\"",
		"password", "Bearer abcdef1234567890",
		"postgres://user:s3cr3t@db.example.com/x", "://u:p@h", "hello world",
		"a1b2c3d4e5", "\xef\xbd\x93k-", "secret" };
	enum {
		OTHERS = sizeof(others) / sizeof(others[0])
	};
	static const char *const options[] = { NULL, "{\"action\":\"flag\"}",
		"{\"action\":\"block\"}", "{\"allow\":[\"hunter22\",\"a1b2c3d4e5\"]}" };
	const char *pieces[KEYS + OTHERS];
	struct guard_dice dice = { 20260102 };
	char text[4000];

	(void)state;
	for (size_t i = 0; i < KEYS; i++)
		pieces[i] = keys[i][0];
	memcpy(pieces + KEYS, others, sizeof(others));
	for (size_t o = 0; o < sizeof(options) / sizeof(options[0]); o++) {
		struct testhost *h = guard_open("secrets", options[o]);

		for (int i = 0; i < 40; i++) {
			guard_mix(&dice, pieces, KEYS + OTHERS, text, sizeof(text));
			testhost_begin(h);
			assert_cuts(h, text, NULL, 5);
		}
		testhost_free(h);
	}
}

static void
cuts_let_no_byte_of_a_blocked_secret_out(void **state)
{
	struct testhost *h = guard_open("secrets", "{\"action\":\"block\"}");

	(void)state;
	assert_cuts(h, "Your key is ghp_" ALNUM36 ", keep it.", "ghp_" ALNUM36, 1000);
	testhost_begin(h);
	assert_cuts(h, "the token " JWT " was sent", JWT, 1000);
	testhost_begin(h);
	assert_cuts(h, "password: hunter22, he said", "hunter22", 1000);
	testhost_free(h);
}

static void
cuts_give_the_whole_texts_result(void **state)
{
	struct testhost *h = guard_open("secrets", NULL);

	(void)state;
	assert_cuts(h,
	    "psql postgres://app:s3cr3t@db/x; password is Passw0rd! AKIAIOSFODNN7EXAMPLE "
	    "eyJ.",
	    NULL, 7000);
	testhost_free(h);
}

/* A key of a megabyte is taken in pieces: nothing of it stays, and little is held. */
static void
what_is_held_is_bounded(void **state)
{
	enum {
		LONG = 100000
	};
	struct testhost *h = guard_open("secrets", NULL);
	char *text = malloc(LONG + 1);
	const struct testhost_result *r;

	(void)state;
	assert_non_null(text);
	memset(text, 'a', LONG);
	text[LONG] = '\0';
	memcpy(text, "ghp_", 4);
	r = testhost_stream_every(h, lz_strz(text), 1000);
	assert_true(r->most_held <= 6000);
	assert_memory_equal(r->texts[0].ptr, "[SECRET]", 8);
	memcpy(text, "-----BEGIN PRIVATE KEY-----", 27);
	testhost_begin(h);
	r = testhost_stream_every(h, lz_strz(text), 1000);
	assert_true(r->most_held <= 18000);
	assert_memory_equal(r->texts[0].ptr, "[SECRET]", 8);
	testhost_free(h);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_vendors_are_found_and_named),
		cmocka_unit_test(a_key_is_a_key_wherever_it_stands),
		cmocka_unit_test(tokens_have_a_head_that_names_an_algorithm),
		cmocka_unit_test(private_keys_are_found_in_every_spelling),
		cmocka_unit_test(a_word_announces_a_secret),
		cmocka_unit_test(ordinary_texts_pass),
		cmocka_unit_test(thresholds_decide_what_is_a_value),
		cmocka_unit_test(options_say_what_is_looked_for_and_what_becomes_of_it),
		cmocka_unit_test(mixed_texts_give_the_same_wherever_they_are_cut),
		cmocka_unit_test(cuts_let_no_byte_of_a_blocked_secret_out),
		cmocka_unit_test(cuts_give_the_whole_texts_result),
		cmocka_unit_test(what_is_held_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
