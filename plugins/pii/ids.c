/* ids.c - national identifiers that are digits: Germany, the United States, the United
 * Kingdom's NHS.
 *
 * What has a strong check digit or a shape of its own stands by itself; the rest needs a
 * word that says what it is.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pii.h"

enum {
	CONTEXT_BYTES = 40
};

/* ---- Germany: Steuer-Identifikationsnummer ---- */

/* ISO 7064 mod 11,10. */
static int
has_mod_11_10(const struct numeral *n)
{
	unsigned product = 10;

	for (unsigned i = 0; i < 10; i++) {
		unsigned sum = (n->digit[i] + product) % 10;

		product = (sum == 0 ? 10 : sum) * 2 % 11;
	}
	return (11 - product) % 10 == n->digit[10];
}

/* Of the first ten digits one is there twice or three times, the others once at most;
 * three of a kind do not stand together. */
static int
has_tax_id_digits(const struct numeral *n)
{
	unsigned count[10] = { 0 }, twice = 0, thrice = 0;

	for (unsigned i = 0; i < 10; i++)
		count[n->digit[i]]++;
	for (unsigned d = 0; d < 10; d++) {
		if (count[d] > 3)
			return 0;
		twice += count[d] == 2;
		thrice += count[d] == 3;
	}
	for (unsigned i = 2; i < 10; i++)
		if (n->digit[i] == n->digit[i - 1] && n->digit[i] == n->digit[i - 2])
			return 0;
	return twice + thrice == 1;
}

enum scan_verdict
de_tax_id_find(struct start *s, size_t *to)
{
	const struct numeral *n = numeral_at(s);

	if (n->is_open)
		return SCAN_OPEN;
	if (!numeral_ends(s->f, n, 11) || n->digit[0] == 0)
		return SCAN_NO;
	if (!numeral_is_bare(n, 11) && !numeral_is(n, 11, "2-3-3-3", " -."))
		return SCAN_NO;
	*to = n->end[10];
	return has_tax_id_digits(n) && has_mod_11_10(n) ? SCAN_YES : SCAN_NO;
}

/* ---- United States: social security number, which has no check digit ---- */

static int
is_given_out(const struct numeral *n)
{
	unsigned area = n->digit[0] * 100u + n->digit[1] * 10u + n->digit[2];
	unsigned group = n->digit[3] * 10u + n->digit[4];
	unsigned serial =
	    n->digit[5] * 1000u + n->digit[6] * 100u + n->digit[7] * 10u + n->digit[8];

	return area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
}

enum scan_verdict
us_ssn_find(struct start *s, size_t *to)
{
	static const char *const words[] = { "ssn", "social security", "social-security",
		NULL };
	const struct numeral *n = numeral_at(s);

	if (n->is_open)
		return SCAN_OPEN;
	if (!numeral_ends(s->f, n, 9) || !is_given_out(n))
		return SCAN_NO;
	*to = n->end[8];
	if (numeral_is(n, 9, "3-2-4", "-"))
		return SCAN_YES;
	if (!numeral_is_bare(n, 9) && !numeral_is(n, 9, "3-2-4", " ."))
		return SCAN_NO;
	return scan_has_word(s->f, s->at, CONTEXT_BYTES, words) ? SCAN_YES : SCAN_NO;
}

/* ---- United Kingdom: NHS number ---- */

static int
has_nhs_check(const struct numeral *n)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < 9; i++)
		sum += n->digit[i] * (10 - i);
	return (11 - sum % 11) % 11 == n->digit[9];
}

enum scan_verdict
uk_nhs_find(struct start *s, size_t *to)
{
	static const char *const words[] = { "nhs", NULL };
	const struct numeral *n = numeral_at(s);

	if (n->is_open)
		return SCAN_OPEN;
	if (!numeral_ends(s->f, n, 10) || !has_nhs_check(n))
		return SCAN_NO;
	*to = n->end[9];
	if (numeral_is(n, 10, "3-3-4", " "))
		return SCAN_YES;
	if (!numeral_is_bare(n, 10) && !numeral_is(n, 10, "3-3-4", "-."))
		return SCAN_NO;
	return scan_has_word(s->f, s->at, CONTEXT_BYTES, words) ? SCAN_YES : SCAN_NO;
}
