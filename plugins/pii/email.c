/* email.c - e-mail addresses: a local part of up to 64 bytes, @ (or %40), a domain that
 * ends in letters.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pii.h"

enum {
	LABEL_MAX = 63,
	DOMAIN_MAX = 253
};

static int
is_label_byte(unsigned char c)
{
	return scan_is(c, SCAN_ALNUM | SCAN_TAIL) || c == '-' || (c >= 0xc3 && c <= 0xdf);
}

/* How long the @ at `at` is; 0: there is none. */
static size_t
at_sign(const struct scan_form *f, size_t at, int *is_open)
{
	static const char coded[] = "%40";
	size_t k;

	*is_open = 0;
	if (scan_at(f, at) == '@')
		return 1;
	for (k = 0; k < 3 && scan_at(f, at + k) == (unsigned char)coded[k];)
		k++;
	*is_open = k < 3 && scan_is_open(f, at + k);
	return k == 3 ? 3 : 0;
}

/* Behind the @ of the local part at `at`. */
static enum scan_verdict
local_part(const struct scan_form *f, size_t at, size_t *to)
{
	size_t p = at, sign;
	int is_open;

	for (; p - at <= MAIL_LOCAL_MAX; p++) {
		sign = at_sign(f, p, &is_open);
		if (sign > 0 && f->s[p - 1] != '.') {
			*to = p + sign;
			return SCAN_YES;
		}
		if (is_open)
			return SCAN_OPEN;
		if (!scan_is(scan_at(f, p), SCAN_WORD))
			return SCAN_NO;
		if (f->s[p] == '.' && p > at && f->s[p - 1] == '.')
			return SCAN_NO;
	}
	return SCAN_NO;
}

/* Is f->s[from..to) a label that a domain can end in? */
static int
is_top(const struct scan_form *f, size_t from, size_t to)
{
	size_t others = 0;

	if (to - from >= 6 && scan_lower(f->s[from]) == 'x' &&
	    scan_lower(f->s[from + 1]) == 'n' && f->s[from + 2] == '-' &&
	    f->s[from + 3] == '-')
		return 1;
	for (size_t p = from; p < to; p++)
		others += f->s[p] < 0x80 && !scan_is(f->s[p], SCAN_LETTER);
	return others == 0 && to - from >= 2;
}

enum scan_verdict
email_find(struct start *s, size_t *to)
{
	const struct scan_form *f = s->f;
	size_t from, p, labels = 0, good = 0;
	enum scan_verdict v = local_part(f, s->at, &from);

	if (v != SCAN_YES)
		return v;
	for (p = from; p - from <= DOMAIN_MAX;) {
		size_t label = p;

		while (p - label <= LABEL_MAX && is_label_byte(scan_at(f, p)))
			p++;
		if (scan_is_open(f, p))
			return SCAN_OPEN;
		if (p == label || p - label > LABEL_MAX || f->s[label] == '-')
			break;
		while (f->s[p - 1] == '-')
			p--;
		if (++labels >= 2 && is_top(f, label, p))
			good = p;
		if (scan_at(f, p) != '.')
			break;
		if (scan_is_open(f, ++p))
			return SCAN_OPEN;
	}
	*to = good;
	return good > 0 ? SCAN_YES : SCAN_NO;
}
