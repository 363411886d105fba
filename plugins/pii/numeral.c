/* numeral.c - reads digits and letters as people group them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pii.h"

/* A few bytes: quicker than strchr(). */
static int
is_one_of(unsigned char c, const char *set)
{
	while (*set != 0 && (unsigned char)*set != c)
		set++;
	return *set != 0;
}

/* Where the next digit is, behind at most `most` separators; `at` itself if there is
 * none. */
static size_t
next_digit(
    const struct scan_form *f, size_t at, const char *seps, size_t most, int *is_open)
{
	size_t p = at;

	while (p - at < most && is_one_of(scan_at(f, p), seps))
		p++;
	*is_open = scan_is_open(f, p);
	return scan_is(scan_at(f, p), SCAN_DIGIT) ? p : at;
}

static void
numeral_read(const struct scan_form *f, size_t at, const char *seps, size_t most,
    struct numeral *n)
{
	n->n = 0;
	n->is_open = 0;
	while (n->n < NUMERAL_MAX) {
		size_t p =
		    scan_is(scan_at(f, at), SCAN_DIGIT)
			? at
			: next_digit(f, at, seps, n->n > 0 ? most : 0, &n->is_open);

		if (!scan_is(scan_at(f, p), SCAN_DIGIT))
			return;
		n->is_open = 0;
		n->digit[n->n] = f->s[p] - '0';
		n->sep[n->n] = p > at ? f->s[at] : 0;
		at = p + 1;
		n->end[n->n++] = at;
	}
}

const struct numeral *
numeral_at(struct start *s)
{
	if (!s->has_numeral)
		numeral_read(s->f, s->at, " -.", 1, &s->numeral);
	s->has_numeral = 1;
	return &s->numeral;
}

void
numeral_read_loosely(const struct scan_form *f, size_t at, struct numeral *n)
{
	numeral_read(f, at, " -./()", 3, n);
}

int
numeral_ends(const struct scan_form *f, const struct numeral *n, unsigned k)
{
	if (k == 0 || n->n < k || (n->n > k && n->sep[k] != ' '))
		return 0;
	return !scan_is(scan_at(f, n->end[k - 1]), SCAN_ALNUM);
}

int
numeral_is(const struct numeral *n, unsigned k, const char *groups, const char *seps)
{
	unsigned left = 0;
	unsigned char first = 0;

	for (unsigned i = 0; i < k; i++) {
		if (left == 0) {
			if (*groups == 0)
				return 0;
			left = (unsigned)(*groups - '0');
			groups += groups[1] == '-' ? 2 : 1;
			if (i > 0 && !is_one_of(n->sep[i], seps))
				return 0;
			if (i > 0 && first != 0 && n->sep[i] != first)
				return 0;
			first = i > 0 ? n->sep[i] : 0;
		} else if (n->sep[i] != 0) {
			return 0;
		}
		left--;
	}
	return left == 0 && *groups == 0;
}

int
numeral_is_bare(const struct numeral *n, unsigned k)
{
	for (unsigned i = 1; i < k; i++)
		if (n->sep[i] != 0)
			return 0;
	return 1;
}

size_t
symbols_read(const struct scan_form *f, size_t at, size_t max, const char *seps,
    unsigned char *out, size_t *to, int *is_open)
{
	size_t n = 0;

	*is_open = 0;
	*to = at;
	while (n < max) {
		if (n > 0 && is_one_of(scan_at(f, at), seps))
			at++;
		if (!scan_is(scan_at(f, at), SCAN_ALNUM)) {
			*is_open = scan_is_open(f, at);
			return n;
		}
		out[n++] = scan_upper(f->s[at++]);
		*to = at;
	}
	return n;
}

enum scan_verdict
ends_at(const struct scan_form *f, size_t to)
{
	if (scan_is_open(f, to))
		return SCAN_OPEN;
	return scan_is(scan_at(f, to), SCAN_ALNUM) ? SCAN_NO : SCAN_YES;
}
