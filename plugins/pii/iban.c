/* iban.c - IBANs: a country, its length, and 1 modulo 97 (ISO 13616).
 *
 * SPDX-License-Identifier: MIT
 */
#include "pii.h"

enum {
	IBAN_MAX = 34
};

/* Country and length, of the registry of ISO 13616. */
static const char lengths[][5] = { "AD24", "AE23", "AL28", "AT20", "AZ28", "BA20", "BE16",
	"BG22", "BH22", "BI27", "BR29", "BY28", "CH21", "CR22", "CY28", "CZ24", "DE22",
	"DJ27", "DK18", "DO28", "EE20", "EG29", "ES24", "FI18", "FK18", "FO18", "FR27",
	"GB22", "GE22", "GI23", "GL18", "GR27", "GT28", "HN28", "HR21", "HU28", "IE22",
	"IL23", "IQ23", "IS26", "IT27", "JO30", "KW30", "KZ20", "LB28", "LC32", "LI21",
	"LT20", "LU20", "LV21", "LY25", "MC27", "MD24", "ME22", "MK19", "MN20", "MR27",
	"MT31", "MU30", "NI28", "NL18", "NO15", "OM23", "PK24", "PL28", "PS29", "PT25",
	"QA29", "RO24", "RS22", "RU33", "SA24", "SC31", "SD18", "SE24", "SI19", "SK24",
	"SM27", "SO23", "ST25", "SV28", "TL23", "TN24", "TR26", "UA29", "VA22", "VG24",
	"XK20", "YE30" };

/* 0: no such country. */
static size_t
length_of(unsigned char a, unsigned char b)
{
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		if (lengths[i][0] == (char)a && lengths[i][1] == (char)b)
			return (size_t)(lengths[i][2] - '0') * 10 +
			       (size_t)(lengths[i][3] - '0');
	return 0;
}

/* The first four go to the end, a letter is two digits. */
static int
is_one_modulo_97(const unsigned char *s, size_t n)
{
	unsigned r = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = s[(i + 4) % n];

		r = scan_is(c, SCAN_DIGIT) ? r * 10 + c - '0' : r * 100 + c - 'A' + 10;
		r %= 97;
	}
	return r == 1;
}

enum scan_verdict
iban_find(struct start *s, size_t *to)
{
	unsigned char c[IBAN_MAX];
	int is_open;
	size_t n = symbols_read(s->f, s->at, 4, " ", c, to, &is_open), want;
	enum scan_verdict v;

	for (size_t i = 0; i < n; i++)
		if (!scan_is(c[i], i < 2 ? SCAN_LETTER : SCAN_DIGIT))
			return SCAN_NO;
	if (n >= 2 && length_of(c[0], c[1]) == 0)
		return SCAN_NO;
	if (n < 4)
		return is_open ? SCAN_OPEN : SCAN_NO;
	want = length_of(c[0], c[1]);
	n = symbols_read(s->f, s->at, want, " -", c, to, &is_open);
	if (n < want)
		return is_open ? SCAN_OPEN : SCAN_NO;
	v = ends_at(s->f, *to);
	return v == SCAN_YES && !is_one_modulo_97(c, n) ? SCAN_NO : v;
}
