/* ids_letters.c - national identifiers with letters: France, Spain, Italy, the United
 * Kingdom's NINO.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pii.h"

static unsigned
number_of(const unsigned char *s, size_t n)
{
	unsigned v = 0;

	for (size_t i = 0; i < n; i++)
		v = v * 10 + s[i] - '0';
	return v;
}

static int
are_digits(const unsigned char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!scan_is(s[i], SCAN_DIGIT))
			return 0;
	return 1;
}

/* ---- France: numéro d'inscription au répertoire ---- */

enum {
	NIR_LENGTH = 15
};

static int
is_nir_month(unsigned m)
{
	return (m >= 1 && m <= 12) || (m >= 20 && m <= 42) || m >= 50;
}

/* Corsica's 2A and 2B count as 19 and 18. */
static int
has_nir_key(unsigned char *c)
{
	uint64_t v = 0;

	if (c[6] == 'A' || c[6] == 'B') {
		c[6] = c[6] == 'A' ? '9' : '8';
		c[5] = '1';
	}
	for (size_t i = 0; i < 13; i++)
		v = v * 10 + c[i] - '0';
	return 97 - v % 97 == number_of(c + 13, 2);
}

/* Can this be the beginning of one? */
static int
is_nir_so_far(const unsigned char *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!scan_is(c[i], SCAN_DIGIT) &&
		    (i != 6 || c[5] != '2' || (c[6] != 'A' && c[6] != 'B')))
			return 0;
	if (n > 0 && (c[0] == '0' || c[0] == '5' || c[0] == '6' || c[0] == '9'))
		return 0;
	return n < 5 || is_nir_month(number_of(c + 3, 2));
}

enum scan_verdict
fr_nir_find(struct start *s, size_t *to)
{
	unsigned char c[NIR_LENGTH];
	int is_open;
	size_t n = symbols_read(s->f, s->at, NIR_LENGTH, " -", c, to, &is_open);
	enum scan_verdict v;

	if (!is_nir_so_far(c, n))
		return SCAN_NO;
	if (n < NIR_LENGTH)
		return is_open ? SCAN_OPEN : SCAN_NO;
	v = ends_at(s->f, *to);
	return v == SCAN_YES && !has_nir_key(c) ? SCAN_NO : v;
}

/* ---- Spain: DNI and NIE ---- */

static int
has_dni_letter(unsigned number, unsigned char letter)
{
	return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == (char)letter;
}

/* 12345678Z, 12345678-Z, 12.345.678-Z */
enum scan_verdict
es_dni_find(struct start *s, size_t *to)
{
	const struct numeral *n = numeral_at(s);
	unsigned number = 0;
	enum scan_verdict v;

	if (n->is_open)
		return SCAN_OPEN;
	if (n->n != 8 || (!numeral_is_bare(n, 8) && !numeral_is(n, 8, "2-3-3", ".")))
		return SCAN_NO;
	*to = n->end[7];
	*to += scan_at(s->f, *to) == '-';
	for (unsigned i = 0; i < 8; i++)
		number = number * 10 + n->digit[i];
	if (!has_dni_letter(number, scan_upper(scan_at(s->f, *to))))
		return SCAN_NO;
	v = ends_at(s->f, ++*to);
	return v;
}

/* X1234567L, X-1234567-L */
enum scan_verdict
es_nie_find(struct start *s, size_t *to)
{
	unsigned char c[9];
	int is_open;
	size_t n = symbols_read(s->f, s->at, 9, "-", c, to, &is_open);
	enum scan_verdict v;

	if (n == 0 || c[0] < 'X' || c[0] > 'Z' || !are_digits(c + 1, n < 8 ? n - 1 : 7))
		return SCAN_NO;
	if (n < 9)
		return is_open ? SCAN_OPEN : SCAN_NO;
	v = ends_at(s->f, *to);
	if (v != SCAN_YES)
		return v;
	return has_dni_letter((c[0] - 'X') * 10000000u + number_of(c + 1, 7), c[8])
		   ? SCAN_YES
		   : SCAN_NO;
}

/* ---- United Kingdom: national insurance number, which has no check digit ---- */

static int
is_nino_prefix(unsigned char a, unsigned char b)
{
	static const char never[][3] = { "BG", "GB", "KN", "NK", "NT", "TN", "ZZ" };

	if (strchr("DFIQUV", a) != NULL || strchr("DFIOQUV", b) != NULL)
		return 0;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (a == (unsigned char)never[i][0] && b == (unsigned char)never[i][1])
			return 0;
	return 1;
}

/* AB123456C, AB 12 34 56 C */
enum scan_verdict
uk_nino_find(struct start *s, size_t *to)
{
	unsigned char c[9];
	int is_open;
	size_t n = symbols_read(s->f, s->at, 9, " -", c, to, &is_open);

	if (n == 0 || !scan_is(c[0], SCAN_LETTER) ||
	    (n > 1 && !scan_is(c[1], SCAN_LETTER)))
		return SCAN_NO;
	if (n > 1 && !is_nino_prefix(c[0], c[1]))
		return SCAN_NO;
	if (n > 2 && !are_digits(c + 2, n < 9 ? n - 2 : 6))
		return SCAN_NO;
	if (n < 9)
		return is_open ? SCAN_OPEN : SCAN_NO;
	return c[8] < 'A' || c[8] > 'D' ? SCAN_NO : ends_at(s->f, *to);
}

/* ---- Italy: codice fiscale ---- */

enum {
	CF_LENGTH = 16
};

/* a: a letter; 0: a digit, or the letter that stands for it when two people share one */
static const char cf_shape[CF_LENGTH + 1] = "aaaaaa00a00a000a";

static int
is_cf_so_far(const unsigned char *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (cf_shape[i] == 'a' && !scan_is(c[i], SCAN_LETTER))
			return 0;
		if (cf_shape[i] == '0' && !scan_is(c[i], SCAN_DIGIT) &&
		    strchr("LMNPQRSTUV", c[i]) == NULL)
			return 0;
	}
	return n < 9 || strchr("ABCDEHLMPRST", c[8]) != NULL;
}

static int
has_cf_letter(const unsigned char *c)
{
	/* What a digit or a letter counts at the first, third, ... place. */
	static const unsigned char odd[26] = { 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4,
		18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23 };
	unsigned sum = 0;

	for (size_t i = 0; i < CF_LENGTH - 1; i++) {
		unsigned v = c[i] - (scan_is(c[i], SCAN_DIGIT) ? 48u : 65u);

		sum += i % 2 == 0 ? odd[v] : v;
	}
	return 'A' + sum % 26 == c[CF_LENGTH - 1];
}

enum scan_verdict
it_cf_find(struct start *s, size_t *to)
{
	unsigned char c[CF_LENGTH];
	int is_open;
	size_t n = symbols_read(s->f, s->at, CF_LENGTH, "", c, to, &is_open);
	enum scan_verdict v;

	if (!is_cf_so_far(c, n))
		return SCAN_NO;
	if (n < CF_LENGTH)
		return is_open ? SCAN_OPEN : SCAN_NO;
	v = ends_at(s->f, *to);
	return v == SCAN_YES && !has_cf_letter(c) ? SCAN_NO : v;
}
