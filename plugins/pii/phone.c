/* phone.c - telephone numbers: international ones, those with a trunk 0, and North
 * America's; others only where a word says what they are.
 *
 * A number's length decides where it ends, so that what is counted next to it stays.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pii.h"

enum {
	E164_MAX = 15,
	E164_MIN = 8,
	CONTEXT_BYTES = 32
};

/* Digits behind the country code, without a trunk 0. What is not here has 6 to 12. */
static const struct {
	const char *code;
	unsigned char min, max;
} countries[] = {
	{ "1", 10, 10 },
	{ "20", 8, 10 },
	{ "27", 9, 9 },
	{ "30", 10, 10 },
	{ "31", 9, 9 },
	{ "32", 8, 9 },
	{ "33", 9, 9 },
	{ "34", 9, 9 },
	{ "351", 9, 9 },
	{ "352", 6, 9 },
	{ "353", 7, 9 },
	{ "358", 6, 11 },
	{ "36", 8, 9 },
	{ "39", 6, 11 },
	{ "40", 9, 9 },
	{ "41", 9, 9 },
	{ "420", 9, 9 },
	{ "421", 9, 9 },
	{ "43", 7, 12 },
	{ "44", 9, 10 },
	{ "45", 8, 8 },
	{ "46", 7, 10 },
	{ "47", 8, 8 },
	{ "48", 9, 9 },
	{ "49", 7, 11 },
	{ "52", 10, 10 },
	{ "55", 10, 11 },
	{ "61", 9, 9 },
	{ "7", 10, 10 },
	{ "81", 9, 10 },
	{ "82", 8, 10 },
	{ "86", 10, 11 },
	{ "90", 10, 10 },
	{ "91", 10, 10 },
};

static int
has_code(const struct numeral *n, unsigned from, const char *code)
{
	for (; *code != 0; code++, from++)
		if (from >= n->n || n->digit[from] != *code - '0')
			return 0;
	return 1;
}

/* How many digits a number of this country may have, counted from the first digit. */
static int
country_lengths(const struct numeral *n, unsigned from, unsigned *min, unsigned *max)
{
	for (size_t i = 0; i < sizeof(countries) / sizeof(countries[0]); i++) {
		unsigned code = (unsigned)strlen(countries[i].code), trunk;

		if (!has_code(n, from, countries[i].code))
			continue;
		code += from;
		trunk = code < n->n && n->digit[code] == 0 && countries[i].code[0] != '1';
		*min = code + countries[i].min;
		*max = code + trunk + countries[i].max;
		return 1;
	}
	*min = from + E164_MIN;
	*max = from + E164_MAX;
	return 0;
}

/* The most groups that make min to max digits. */
static enum scan_verdict
longest(const struct scan_form *f, const struct numeral *n, unsigned min, unsigned max,
    size_t *to)
{
	for (unsigned k = n->n < max ? n->n : max; k >= min; k--) {
		if ((k < n->n && n->sep[k] == 0) ||
		    scan_is(scan_at(f, n->end[k - 1]), SCAN_ALNUM))
			continue;
		*to = n->end[k - 1];
		return SCAN_YES;
	}
	return SCAN_NO;
}

static enum scan_verdict
international(const struct scan_form *f, const struct numeral *n, unsigned from,
    int is_sure, size_t *to)
{
	unsigned min, max;

	if (n->is_open)
		return SCAN_OPEN;
	if (n->n <= from || n->digit[from] == 0)
		return SCAN_NO;
	if (!country_lengths(n, from, &min, &max) && !is_sure)
		return SCAN_NO;
	return longest(f, n, min, max, to);
}

static int
is_nanp(const struct numeral *n, unsigned from)
{
	return n->digit[from] >= 2 && n->digit[from + 3] >= 2;
}

static int
says_phone(const struct scan_form *f, size_t at)
{
	static const char *const words[] = { "phone", "telephone", "telef", "tel.",
		"tel:", "tel ", "t\xc3\xa9l", "mobil", "cell", "call", "fax", "whatsapp",
		"handy", "rufnummer", "portable", "m\xc3\xb3vil", "movil", "sms", NULL };

	return scan_has_word(f, at, CONTEXT_BYTES, words);
}

/* Groups that begin as a date does. */
static int
is_date(const struct numeral *n)
{
	return n->n >= 8 && n->sep[2] != 0 && n->sep[3] == 0 && n->sep[4] != 0 &&
	       n->sep[5] == 0 && n->sep[6] == 0 && n->sep[7] == 0 &&
	       (n->n == 8 || n->sep[8] != 0);
}

/* How many digits a number with a trunk 0 takes; 0: it is none. Ten or eleven in one
 * group, five pairs, or nine to twelve in a few groups with nothing behind them. */
static unsigned
trunk_length(const struct numeral *n)
{
	unsigned groups = 1, first = 1, k;

	while (first < n->n && n->sep[first] == 0)
		first++;
	if (first >= 10)
		return first <= 11 ? first : 0;
	if (n->n >= 10 &&
	    (numeral_is(n, 10, "2-2-2-2-2", " ") || numeral_is(n, 10, "2-2-2-2-2", ".-")))
		return 10;
	/* A group behind it that begins with 0 is the next number. */
	for (k = 1; k < n->n && !(k >= 9 && n->sep[k] != 0 && n->digit[k] == 0); k++)
		groups += n->sep[k] != 0;
	return k < 9 || k > 12 || groups == 1 || groups > 6 || is_date(n) ? 0 : k;
}

static enum scan_verdict
trunk(const struct scan_form *f, const struct numeral *n, size_t *to)
{
	unsigned k;

	if (n->n < 9 || n->digit[1] == 0 || n->sep[1] != 0)
		return SCAN_NO;
	k = trunk_length(n);
	return k == 0 ? SCAN_NO : longest(f, n, k, k, to);
}

static enum scan_verdict
at_zero(struct start *s, size_t *to)
{
	struct numeral n;

	numeral_read_loosely(s->f, s->at, &n);
	if (n.is_open)
		return SCAN_OPEN;
	if (n.n > 2 && n.digit[1] == 0 && n.sep[1] == 0)
		return international(s->f, &n, 2, 0, to);
	return trunk(s->f, &n, to);
}

/* (415) 555-2671; (030) 12345678 */
static enum scan_verdict
at_bracket(struct start *s, size_t *to)
{
	struct numeral n;

	if (scan_is_open(s->f, s->at + 1))
		return SCAN_OPEN;
	numeral_read_loosely(s->f, s->at + 1, &n);
	if (n.n == 0)
		return SCAN_NO;
	if (n.is_open)
		return SCAN_OPEN;
	if (n.n > 3 && n.digit[0] == 0)
		return trunk(s->f, &n, to);
	if (n.n < 10 || n.sep[3] != ')' || n.sep[6] == 0 || !is_nanp(&n, 0))
		return SCAN_NO;
	return longest(s->f, &n, 10, 10, to);
}

/* Without a sign: by shape, or by a word before it. */
static enum scan_verdict
plain_number(struct start *s, size_t *to)
{
	const struct numeral *n = numeral_at(s);
	unsigned lead = n->n >= 11 && n->digit[0] == 1 ? 1 : 0;

	if (n->is_open)
		return SCAN_OPEN;
	if (numeral_ends(s->f, n, 9) && n->digit[0] >= 6) {
		*to = n->end[8];
		if (numeral_is(n, 9, "3-2-2-2", " -") || says_phone(s->f, s->at))
			return SCAN_YES;
	}
	if (!numeral_ends(s->f, n, 10 + lead) || !is_nanp(n, lead))
		return SCAN_NO;
	*to = n->end[9 + lead];
	if (numeral_is(n, 10 + lead, lead ? "1-3-3-4" : "3-3-4", "-."))
		return SCAN_YES;
	return says_phone(s->f, s->at) ? SCAN_YES : SCAN_NO;
}

enum scan_verdict
phone_find(struct start *s, size_t *to)
{
	unsigned char c = scan_at(s->f, s->at);
	struct numeral n;

	if (c == '(')
		return at_bracket(s, to);
	if (c == '0')
		return at_zero(s, to);
	if (c != '+')
		return plain_number(s, to);
	if (scan_is_open(s->f, s->at + 1))
		return SCAN_OPEN;
	/* +(33) too. */
	numeral_read_loosely(s->f, s->at + 1 + (scan_at(s->f, s->at + 1) == '('), &n);
	if (n.n == 0)
		return scan_at(s->f, s->at + 1) == '(' && scan_is_open(s->f, s->at + 2)
			   ? SCAN_OPEN
			   : SCAN_NO;
	return international(s->f, &n, 0, 1, to);
}
