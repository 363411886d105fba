/* test_pii.c - personal data is found by its rules and nothing else is, in both forms of
 * a text, across parts and wherever a stream is cut; placeholders are stable and come
 * back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard_scene.h"

struct row {
	const char *text, *wanted; /* wanted NULL: passes */
};

static void
check_rows(const char *kind, const struct row *rows, size_t n)
{
	char options[100];
	struct testhost *h;

	(void)snprintf(options, sizeof(options), "{\"kinds\":[\"%s\"]}", kind);
	h = guard_open("pii", options);
	for (size_t i = 0; i < n; i++) {
		assert_becomes(h, rows[i].text,
		    rows[i].wanted != NULL ? rows[i].wanted : rows[i].text);
		testhost_begin(h);
		assert_cuts(h, rows[i].text, NULL, 20);
	}
	testhost_free(h);
}
#define CHECK_ROWS(kind, rows) check_rows(kind, rows, sizeof(rows) / sizeof((rows)[0]))

static void
email_addresses(void **state)
{
	static const struct row rows[] = {
		{ "mail john.doe+x@example.com now", "mail [EMAIL_1] now" },
		{ "<a_b-c@d-e.co.uk>, \"x@y.io\", 'q@z.fr'.",
		    "<[EMAIL_1]>, \"[EMAIL_2]\", '[EMAIL_3]'." },
		{ "mailto:john@x.com?subject=1", "mailto:[EMAIL_1]?subject=1" },
		{ "john@x.com. Next", "[EMAIL_1]. Next" },
		{ "john@x.com.7", "[EMAIL_1].7" },
		{ "john%40x.com", "[EMAIL_1]" },
		{ "j\xc3\xb6rg@ex\xc3\xa4mple.de", "[EMAIL_1]" },
		{ "\xe8\xaf\xb7\xe8\x81\x94z@x.com\xe8\xb0\xa2",
		    "\xe8\xaf\xb7\xe8\x81\x94[EMAIL_1]\xe8\xb0\xa2" },
		{ "john@x.com jane@x.com JOHN@X.COM", "[EMAIL_1] [EMAIL_2] [EMAIL_1]" },
		{ "john@mail.museum john@xn--p1ai.xn--p1ai", "[EMAIL_1] [EMAIL_2]" },
		{ "foo@bar", NULL },
		{ "a@b.c", NULL },
		{ "not@an.email1", NULL },
		{ "a..b@x", NULL },
		{ "@decorator and user@", NULL },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@x."
		  "com",
		    NULL }, /* 65 bytes before the @ */
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@x."
		  "com",
		    "[EMAIL_1]" },
	};

	(void)state;
	CHECK_ROWS("email", rows);
}

static void
payment_cards(void **state)
{
	static const struct row rows[] = {
		{ "4111111111111111", "[CARD_1]" },
		{ "4111 1111 1111 1111", "[CARD_1]" },
		{ "4111-1111-1111-1111", "[CARD_1]" },
		{ "4111.1111.1111.1111", "[CARD_1]" },
		{ "4111\xc2\xa0"
		  "1111\xc2\xa0"
		  "1111\xc2\xa0"
		  "1111",
		    "[CARD_1]" },
		{ "4111 1111\n1111 1111", "[CARD_1]" },
		{ "id 12 4111 1111 1111 1111 22", "id 12 [CARD_1] 22" },
		{ "378282246310005 5500005555555559 30569309025904",
		    "[CARD_1] [CARD_2] [CARD_3]" },
		{ "6011000990139424 3530111333300000 4222222222222 6205500000000000004",
		    "[CARD_1] [CARD_2] [CARD_3] [CARD_4]" },
		{ "card4111111111111111, 4111111111111111is",
		    "card[CARD_1], [CARD_1]is" },
		{ "x4111111111111111x", NULL },
		{ "4111111111111112", NULL },
		{ "41111111111111111111", NULL },
		{ "1234567812345670", NULL }, /* Luhn, but nobody's range */
		{ "3.14159265358979", NULL },
		{ "0.4111111111111111", NULL },
		{ "1700000000000000000", NULL },
	};

	(void)state;
	CHECK_ROWS("card", rows);
}

static void
ibans(void **state)
{
	static const struct row rows[] = {
		{ "DE89370400440532013000", "[IBAN_1]" },
		{ "DE89 3704 0044 0532 0130 00 thanks", "[IBAN_1] thanks" },
		{ "de89-3704-0044-0532-0130-00", "[IBAN_1]" },
		{ "FR1420041010050500013M02606 GB29NWBK60161331926819",
		    "[IBAN_1] [IBAN_2]" },
		{ "ES9121000418450200051332 IT60X0542811101000000123456",
		    "[IBAN_1] [IBAN_2]" },
		{ "MT84MALT011000012345MTLCAST001S NO9386011117947",
		    "[IBAN_1] [IBAN_2]" },
		{ "DE89370400440532013001", NULL },
		{ "DE8937040044053201300", NULL },   /* too short */
		{ "DE893704004405320130000", NULL }, /* too long */
		{ "QQ89370400440532013000", NULL },
		{ "XDE89370400440532013000", NULL },
	};

	(void)state;
	CHECK_ROWS("iban", rows);
}

static void
ip_addresses(void **state)
{
	static const struct row rows[] = {
		{ "from 192.168.1.1, 8.8.8.8:53 and 10.0.0.0/8.",
		    "from [IP_1], [IP_2]:53 and [IP_3]/8." },
		{ "fe80::1 and [2001:db8::8a2e:370:7334]:443.",
		    "[IP_1] and [[IP_2]]:443." },
		{ "2001:0db8:85a3:0000:0000:8a2e:0370:7334", "[IP_1]" },
		{ "::ffff:192.0.2.1", "[IP_1]" },
		{ "127.0.0.1 0.0.0.0 255.255.255.255 ::1 ::", NULL },
		{ "1.2.3.4.5 v1.2.3.4 version 1.2.3.4 256.1.1.1 1.2.3", NULL },
		{ "std::vector a::b c::d() 12:30:45 00:1b:44:11:3a:b7", NULL },
	};

	(void)state;
	CHECK_ROWS("ip", rows);
}

static void
telephone_numbers(void **state)
{
	static const struct row rows[] = {
		{ "+33 1 23 45 67 89 12 people", "[PHONE_1] 12 people" },
		{ "+1 (415) 555-2671, (415) 555-2671, 415-555-2671",
		    "[PHONE_1], [PHONE_2], [PHONE_2]" },
		{ "+44 (0)20 7946 0958 or 0044 20 7946 0958", "[PHONE_1] or [PHONE_2]" },
		{ "+(33) 6 12 34 56 78", "[PHONE_1]" },
		{ "06 12 34 56 78, 0612345678, 06.12.34.56.78",
		    "[PHONE_1], [PHONE_1], [PHONE_1]" },
		{ "0612345678 0698765432", "[PHONE_1] [PHONE_2]" },
		{ "020 7946 0958; 07700 900123; 030/12345678; (030) 1234567",
		    "[PHONE_1]; [PHONE_2]; [PHONE_3]; [PHONE_4]" },
		{ "612 34 56 78", "[PHONE_1]" },
		{ "Tel: 612345678", "Tel: [PHONE_1]" },
		{ "call me at 4155552671", "call me at [PHONE_1]" },
		{ "612345678 and 4155552671", NULL },
		{ "01/02/2024 10:30, 01-02-2024-0005, 2024-10-12", NULL },
		{ "650 000 000 euros, 1,234,567,890", NULL },
		{ "+1 and +12 34", NULL },
		{ "ratio 0.123456789", NULL },
	};

	(void)state;
	CHECK_ROWS("phone", rows);
}

static void
numbers_of_states(void **state)
{
	static const struct row nir[] = {
		{ "184127645108946", "[FR_NIR_1]" },
		{ "1 84 12 76 451 089 46", "[FR_NIR_1]" },
		{ "2 55 08 2A 004 001 95", NULL },
		{ "184127645108947", NULL },
		{ "1841376451089464", NULL },
	};
	static const struct row ssn[] = {
		{ "536-22-1234", "[US_SSN_1]" },
		{ "SSN: 536221234, or 536 22 1234", "SSN: [US_SSN_1], or [US_SSN_1]" },
		{ "536221234 or 536 22 1234", NULL },
		{ "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000", NULL },
		{ "536-22-12345", NULL },
		{ "1536-22-1234", NULL },
	};
	static const struct row nhs[] = {
		{ "943 476 5919", "[UK_NHS_1]" },
		{ "NHS no. 9434765919", "NHS no. [UK_NHS_1]" },
		{ "NHS 943-476-5919", "NHS [UK_NHS_1]" },
		{ "9434765919", NULL },
		{ "943 476 5918", NULL },
	};
	static const struct row nino[] = {
		{ "AB123456C", "[UK_NINO_1]" },
		{ "AB 12 34 56 C", "[UK_NINO_1]" },
		{ "ab123456c.", "[UK_NINO_1]." },
		{ "QQ123456C GB123456A AO123456A AB123456E AB1234567", NULL },
	};
	static const struct row tax[] = {
		{ "86095742719", "[DE_TAX_ID_1]" },
		{ "47 036 892 816", "[DE_TAX_ID_1]" },
		{ "65929970489", "[DE_TAX_ID_1]" },
		{ "86095742718", NULL },
		{ "12345678903", NULL }, /* no digit is there twice */
		{ "01234567890", NULL },
	};

	(void)state;
	CHECK_ROWS("fr_nir", nir);
	CHECK_ROWS("us_ssn", ssn);
	CHECK_ROWS("uk_nhs", nhs);
	CHECK_ROWS("uk_nino", nino);
	CHECK_ROWS("de_tax_id", tax);
}

static void
numbers_with_a_letter(void **state)
{
	static const struct row dni[] = {
		{ "12345678Z", "[ES_DNI_1]" },
		{ "12345678-z", "[ES_DNI_1]" },
		{ "12.345.678-Z", "[ES_DNI_1]" },
		{ "12345678A", NULL },
		{ "12345678Zx", NULL },
	};
	static const struct row nie[] = {
		{ "X1234567L", "[ES_NIE_1]" },
		{ "X-1234567-L, Z1234567R", "[ES_NIE_1], [ES_NIE_2]" },
		{ "X1234567M W1234567L", NULL },
	};
	static const struct row cf[] = {
		{ "RSSMRA85T10A562S", "[IT_CF_1]" },
		{ "rssmra85t10a562s", "[IT_CF_1]" },
		{ "RSSMRA85T10A562T", NULL },
		{ "RSSMRA85F10A562S", NULL }, /* no month F */
		{ "XRSSMRA85T10A562S", NULL },
	};

	(void)state;
	CHECK_ROWS("es_dni", dni);
	CHECK_ROWS("es_nie", nie);
	CHECK_ROWS("it_cf", cf);
}

/* Corsica's departments. */
static void
a_nir_may_have_a_letter(void **state)
{
	struct testhost *h = guard_open("pii", "{\"kinds\":[\"fr_nir\"]}");
	uint64_t number = 2550819004001u;
	char text[40];

	(void)state;
	(void)snprintf(
	    text, sizeof(text), "2 55 08 2A 004 001 %02u", (unsigned)(97 - number % 97));
	assert_becomes(h, text, "[FR_NIR_1]");
	testhost_free(h);
}

/* What people write every day, with every kind looked for. */
static void
ordinary_texts_pass(void **state)
{
	static const char *const texts[] = {
		"550e8400-e29b-41d4-a716-446655440000",
		/* By chance the beginning is a card, an IBAN. */
		"41111111-1111-4008-a716-446655440000, "
		"{be784300-7547-4034-a716-446655440000}",
		"da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"d41d8cd98f00b204e9800998ecf8427e",
		"2024-10-12T10:30:00.123456Z",
		"The 2nd of 100 000 000 people paid 1.234.567,89 at 12:30, see "
		"10.1000/182.",
		"for (i = 0; i < 1000000; i++) x[i] = 0x1f; // a::b, v2.10.3",
		"ISBN 978-3-16-148410-0, order 2024-000123, room 12-34",
		"{\"id\":1234567,\"t\":1700000000,\"v\":[1,2,3,4,5,6,7,8,9]}",
		"data:image/"
		"png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQ",
	};
	struct testhost *h = guard_open("pii", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_passes(h, texts[i]);
	testhost_free(h);
}

/* ---- both forms ---- */

static void
other_digits_and_what_nobody_sees_hide_nothing(void **state)
{
	static const struct row rows[] = {
		{ "\xef\xbc\x94\xef\xbc\x91\xef\xbc\x91\xef\xbc\x91 1111 1111 1111!",
		    "[CARD_1]!" },
		{ "\xd9\xa4\xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1\xd9"
		  "\xa1"
		  "\xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1",
		    "[CARD_1]" },
		{ "41\xe2\x80\x8b"
		  "11 1111\xc2\xad 1111 1111",
		    "[CARD_1]" },
		/* Seen in the text as it is written, and not in the plain form. */
		{ "4111 1111 1111 1111\xe2\x80\x8b"
		  "5",
		    "[CARD_1]\xe2\x80\x8b"
		    "5" },
		{ "jo\xe2\x81\xa0hn\xef\xbc\xa0x.com", "[EMAIL_1]" },
		/* All is shown backwards: 4111 1111 1111 1111 */
		{ "\xe2\x80\xae"
		  "1111 1111 1111 1114\xe2\x80\xac",
		    "[CARD_1]" },
	};
	struct testhost *h = guard_open("pii", NULL);

	(void)state;
	/* A match that ends inside of what one character became. */
	assert_cuts(h,
	    "at ::\xe2\x80\xae"
	    "1111\xe2\x80\xac\xe2\x80\x8b",
	    NULL, 50);
	testhost_begin(h);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_becomes(h, rows[i].text, rows[i].wanted);
		testhost_begin(h);
		assert_cuts(h, rows[i].text, NULL, 50);
	}
	testhost_free(h);
}

/* \u{41} of the corpus' notation, as UTF-8. Returns what follows. */
static const char *
unescape(const char *s, char **out)
{
	unsigned long c = strtoul(s + 3, NULL, 16);
	char *p = *out;

	if (c < 0x80) {
		*p++ = (char)c;
	} else if (c < 0x800) {
		*p++ = (char)(0xc0 | c >> 6);
		*p++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*p++ = (char)(0xe0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 0x3f));
		*p++ = (char)(0x80 | (c & 0x3f));
	} else {
		*p++ = (char)(0xf0 | c >> 18);
		*p++ = (char)(0x80 | (c >> 12 & 0x3f));
		*p++ = (char)(0x80 | (c >> 6 & 0x3f));
		*p++ = (char)(0x80 | (c & 0x3f));
	}
	*out = p;
	return strchr(s, '}') + 1;
}

static void
every_card_of_the_evasion_corpus_is_caught(void **state)
{
	char path[PATH_MAX], line[4000], text[4000];
	struct testhost *h;
	size_t cards = 0;
	FILE *f;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/guardrail-evasion/cases.tsv",
	    fixture_env("LATENZA_CORPORA", "../shared/corpora"));
	f = fopen(path, "r");
	if (f == NULL)
		skip();
	h = guard_open("pii", "{\"kinds\":[\"card\"]}");
	while (fgets(line, sizeof(line), f) != NULL) {
		char *out = text;
		const char *in = strchr(line, '\t');

		if (strncmp(line, "card ", 5) != 0 ||
		    strncmp(line, "card split", 10) == 0)
			continue;
		for (in = strchr(in + 1, '\t') + 1; *in != '\t';)
			if (in[0] == '\\' && in[1] == 'u')
				in = unescape(in, &out);
			else
				*out++ = *in++;
		*out = '\0';
		assert_becomes(h, text, "[CARD_1]");
		testhost_begin(h);
		assert_cuts(h, text, NULL, 100);
		cards++;
	}
	(void)fclose(f);
	testhost_free(h);
	assert_true(cards >= 4);
}

/* ---- what becomes of a match ---- */

static void
the_same_value_has_one_place_in_a_request_and_comes_back(void **state)
{
	struct testhost *h = guard_open("pii", "{\"restore\":true}");
	const struct testhost_result *r;

	(void)state;
	testhost_add_text(h, "user", "I am John@x.com, card 4111 1111 1111 1111");
	testhost_add_text(h, "tool", "jane@x.com john@x.com 4111-1111-1111-1111")->kind =
	    LZ_TOOL_RESULT;
	r = testhost_check(h, LZ_REQUEST);
	assert_str_is(r->texts[0], "I am [EMAIL_1], card [CARD_1]", "the prompt");
	assert_str_is(r->texts[1], "[EMAIL_2] [EMAIL_1] [CARD_1]", "the tool's result");
	testhost_add_text(h, "assistant",
	    "Write to [EMAIL_1] or [EMAIL_2], not [EMAIL_9] or [x], new@x.com [CARD_1");
	r = testhost_check(h, LZ_RESPONSE);
	assert_str_is(r->texts[2],
	    "Write to [EMAIL_1] or [EMAIL_2], not [EMAIL_9] or [x], [EMAIL_3] [CARD_1",
	    "the answer");
	assert_str_is(r->revealed[2],
	    "Write to John@x.com or jane@x.com, not [EMAIL_9] or [x], [EMAIL_3] [CARD_1",
	    "the answer for the caller");
	testhost_begin(h);
	r = testhost_answer(h, "[EMAIL_1] of another request");
	assert_str_is(r->revealed[0], "[EMAIL_1] of another request", "another request");
	testhost_free(h);
}

static void
a_value_can_be_masked_in_other_ways(void **state)
{
	struct testhost *h = guard_open("pii", "{\"mask_with\":\"kind\"}");

	(void)state;
	assert_becomes(h, "a@b.co and c@d.org", "[EMAIL] and [EMAIL]");
	testhost_free(h);
	h = guard_open("pii", "{\"mask_with\":\"stars\"}");
	assert_becomes(h, "a@b.co, j\xc3\xb6@b.co", "******, *******");
	testhost_free(h);
	assert_non_null(
	    guard_refusal("pii", "{\"restore\":true,\"mask_with\":\"stars\"}"));
	assert_non_null(guard_refusal("pii", "{\"restore\":true,\"action\":\"flag\"}"));
	assert_non_null(guard_refusal("pii", "{\"kinds\":[\"shoe_size\"]}"));
	assert_null(
	    guard_refusal("pii", "{\"kinds\":[\"ip\",\"it_cf\"],\"action\":\"flag\"}"));
}

static void
a_flag_changes_nothing_and_a_block_refuses(void **state)
{
	static const char text[] = "mail a@b.co, card 4111 1111 1111 1111";
	struct testhost *h = guard_open("pii", "{\"action\":\"flag\"}");
	const struct testhost_result *r = testhost_prompt(h, text);

	(void)state;
	assert_int_equal(r->verdict, LZ_FLAG);
	assert_str_is(r->texts[0], text, text);
	assert_true(testhost_found(r, "pii.email") && testhost_found(r, "pii.card"));
	assert_true(testhost_metric(h, "found") == 2);
	testhost_free(h);
	h = guard_open("pii", "{\"action\":\"block\"}");
	assert_int_equal(testhost_prompt(h, text)->verdict, LZ_BLOCK);
	assert_int_equal(testhost_prompt(h, "nothing")->verdict, LZ_OK);
	testhost_free(h);
}

static void
what_is_allowed_stays(void **state)
{
	struct testhost *h =
	    guard_open("pii", "{\"allow\":[\"help@acme.eu\",\"example.com\","
			      "\"*.corp.example\",\"+33 1 23 45 67 89\"]}");

	(void)state;
	assert_becomes(h,
	    "Help@acme.eu me@acme.eu a@example.com a@mail.example.com "
	    "a@x.corp.example a@corp.example +33123456789 +33123456780",
	    "Help@acme.eu [EMAIL_1] a@example.com [EMAIL_2] "
	    "a@x.corp.example [EMAIL_3] +33123456789 [PHONE_1]");
	testhost_free(h);
}

static void
many_values_have_as_many_places(void **state)
{
	enum {
		MANY = 20000
	};
	struct testhost *h = guard_open("pii", "{\"kinds\":[\"email\"]}");
	char *text = malloc(MANY * 16), *wanted = malloc(MANY * 16);
	size_t n = 0, w = 0;

	(void)state;
	assert_true(text != NULL && wanted != NULL);
	for (unsigned i = 0; i < MANY; i++) {
		n += (size_t)sprintf(text + n, "a%u@b.co ", i % (MANY / 2));
		w += (size_t)sprintf(wanted + w, "[EMAIL_%u] ", 1 + i % (MANY / 2));
	}
	assert_true(testhost_prompt(h, text)->texts[0].len == w);
	testhost_begin(h);
	assert_memory_equal(testhost_prompt(h, text)->texts[0].ptr, wanted, w);
	testhost_free(h);
	free(text);
	free(wanted);
}

/* ---- streams ---- */

static const char *const pieces[] = { "john@x.com", "a.b+c@d-e.co.uk",
	"4111 1111 1111 1111", "4111-1111", "378282246310005",
	"DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "192.168.1.1", "fe80::1",
	"2001:db8::8a2e:370:7334", "+33 1 23 45 67 89", "(415) 555-2671", "415-555-2671",
	"06 12 34 56 78", "0612345678", "536-22-1234", "SSN 536221234", "943 476 5919",
	"AB 12 34 56 C", "86095742719", "12345678Z", "X1234567L", "RSSMRA85T10A562S",
	"1 84 12 76 451 089 46", "[EMAIL_1]", "hello world", "tel", "nhs", "12", "0", "+",
	"a", "--", "%40", "::", "\xef\xbc\x91\xef\xbc\x92", "\xd9\xa4\xd9\xa1",
	"www.example.com/path" };

/* Property: whatever stands next to whatever, the cuts do not matter. */
static void
mixed_texts_give_the_same_wherever_they_are_cut(void **state)
{
	static const char *const options[] = { NULL, "{\"action\":\"flag\"}",
		"{\"action\":\"block\"}", "{\"allow\":[\"x.com\",\"0612345678\"]}" };
	struct guard_dice dice = { 20260101 };
	char text[2000];

	(void)state;
	for (size_t o = 0; o < sizeof(options) / sizeof(options[0]); o++) {
		struct testhost *h = guard_open("pii", options[o]);

		for (int i = 0; i < 40; i++) {
			guard_mix(&dice, pieces, sizeof(pieces) / sizeof(pieces[0]), text,
			    sizeof(text));
			testhost_begin(h);
			assert_cuts(h, text, NULL, 5);
		}
		testhost_free(h);
	}
}

static void
cuts_let_no_byte_of_a_blocked_value_out(void **state)
{
	struct testhost *h = guard_open("pii", "{\"action\":\"block\"}");

	(void)state;
	assert_cuts(h, "The card of the customer is 4111 1111 1111 1111, she said.",
	    "4111 1111 1111 1111", 1000);
	testhost_begin(h);
	assert_cuts(h, "Write to him: john.doe@example.com, please.",
	    "john.doe@example.com", 3000);
	testhost_begin(h);
	assert_cuts(h, "IBAN is DE89 3704 0044 0532 0130 00 at his bank",
	    "DE89 3704 0044 0532 0130 00", 1000);
	testhost_free(h);
}

static void
cuts_give_the_whole_texts_result(void **state)
{
	struct testhost *h = guard_open("pii", NULL);

	(void)state;
	assert_cuts(h,
	    "john@x.com, 4111-1111-1111-1111 (06 12 34 56 78): fe80::1 AB 12 34 56 C "
	    "jane@x.com",
	    NULL, 7000);
	testhost_free(h);
}

/* What may still become a match is short, so what is held is. */
static void
what_is_held_is_bounded(void **state)
{
	struct testhost *h = guard_open("pii", NULL);
	char text[20001];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_true(testhost_stream_every(h, lz_strz(text), 7)->most_held <= 80);
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = "1234 "[i % 5];
	testhost_begin(h);
	assert_true(testhost_stream_every(h, lz_strz(text), 7)->most_held <= 80);
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = "a@b."[i % 4];
	testhost_begin(h);
	assert_true(testhost_stream_every(h, lz_strz(text), 7)->most_held <= 400);
	testhost_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(email_addresses),
		cmocka_unit_test(payment_cards),
		cmocka_unit_test(ibans),
		cmocka_unit_test(ip_addresses),
		cmocka_unit_test(telephone_numbers),
		cmocka_unit_test(numbers_of_states),
		cmocka_unit_test(numbers_with_a_letter),
		cmocka_unit_test(a_nir_may_have_a_letter),
		cmocka_unit_test(ordinary_texts_pass),
		cmocka_unit_test(other_digits_and_what_nobody_sees_hide_nothing),
		cmocka_unit_test(every_card_of_the_evasion_corpus_is_caught),
		cmocka_unit_test(
		    the_same_value_has_one_place_in_a_request_and_comes_back),
		cmocka_unit_test(a_value_can_be_masked_in_other_ways),
		cmocka_unit_test(a_flag_changes_nothing_and_a_block_refuses),
		cmocka_unit_test(what_is_allowed_stays),
		cmocka_unit_test(many_values_have_as_many_places),
		cmocka_unit_test(mixed_texts_give_the_same_wherever_they_are_cut),
		cmocka_unit_test(cuts_let_no_byte_of_a_blocked_value_out),
		cmocka_unit_test(cuts_give_the_whole_texts_result),
		cmocka_unit_test(what_is_held_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
