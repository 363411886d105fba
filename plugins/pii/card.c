/* card.c - payment cards: 13 to 19 digits that an issuer gives out and Luhn's sum agrees
 * with.
 *
 * Without the issuers' ranges every tenth long number would be a card.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pii.h"

enum {
	CARD_MIN = 13,
	CARD_MAX = 19
};

/* ISO/IEC 7812 ranges by the first four digits. lengths: a bit for each. */
#define L(n)    (1u << (n))
#define L_16    L(16)
#define L_16_19 (L(16) | L(17) | L(18) | L(19))
#define L_14_19 (L(14) | L(15) | L_16_19)
#define L_13_19 (L(13) | L_14_19)
static const struct {
	unsigned short from, to;
	uint32_t lengths;
} issuers[] = {
	{ 2200, 2204, L_16_19 },                        /* Mir */
	{ 2221, 2720, L_16 },                           /* Mastercard */
	{ 3000, 3059, L_14_19 },                        /* Diners Club */
	{ 3095, 3095, L_14_19 }, { 3400, 3499, L(15) }, /* American Express */
	{ 3528, 3589, L_16_19 },                        /* JCB */
	{ 3600, 3699, L_14_19 },                        /* Diners Club */
	{ 3700, 3799, L(15) },                          /* American Express */
	{ 3800, 3999, L_14_19 },                        /* Diners Club */
	{ 4000, 4999, L(13) | L(16) | L(18) | L(19) },  /* Visa */
	{ 5000, 5099, L_13_19 },                        /* Maestro and others */
	{ 5100, 5599, L_16 },                           /* Mastercard */
	{ 5600, 5899, L_13_19 },                        /* Maestro */
	{ 6000, 6999, L_13_19 }, /* Maestro, Discover, UnionPay, RuPay */
	{ 8100, 8299, L_16_19 }, /* UnionPay, RuPay */
	{ 9792, 9792, L_16 },    /* Troy */
};

static uint32_t
lengths_of(const struct numeral *n)
{
	unsigned first =
	    n->digit[0] * 1000u + n->digit[1] * 100u + n->digit[2] * 10u + n->digit[3];

	for (size_t i = 0; i < sizeof(issuers) / sizeof(issuers[0]); i++)
		if (first >= issuers[i].from && first <= issuers[i].to)
			return issuers[i].lengths;
	return 0;
}

static int
has_luhn(const struct numeral *n, unsigned k)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < k; i++) {
		unsigned d = n->digit[k - 1 - i] * (1u + i % 2);

		sum += d > 9 ? d - 9 : d;
	}
	return sum % 10 == 0;
}

/* A dot between digits is a card's only in groups of four and more, else a fraction's. */
static int
is_grouped(const struct numeral *n, unsigned k)
{
	unsigned group = 0;

	for (unsigned i = 0; i < k; i++) {
		if (n->sep[i] == '.' && group < 4)
			return 0;
		group = n->sep[i] != 0 ? 1 : group + 1;
	}
	return 1;
}

enum scan_verdict
card_find(struct start *s, size_t *to)
{
	const struct numeral *n = numeral_at(s);
	int is_glued = is_letter_before(s->f, s->at);
	uint32_t lengths;

	if (n->is_open)
		return SCAN_OPEN;
	if (n->n < CARD_MIN || (lengths = lengths_of(n)) == 0)
		return SCAN_NO;
	for (unsigned k = n->n < CARD_MAX ? n->n : CARD_MAX; k >= CARD_MIN; k--) {
		if ((lengths & L(k)) == 0 || (k < n->n && n->sep[k] == 0))
			continue;
		if (is_glued && scan_is(scan_at(s->f, n->end[k - 1]), SCAN_LETTER))
			continue;
		if (!has_luhn(n, k) || !is_grouped(n, k))
			continue;
		*to = n->end[k - 1];
		return SCAN_YES;
	}
	return SCAN_NO;
}
