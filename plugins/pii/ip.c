/* ip.c - IPv4 and IPv6 addresses, but for those that name no machine of anybody's:
 * loopback, unspecified, broadcast.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>

#include "pii.h"

enum {
	V6_MAX = 45
};

/* Up to three digits; -1: none, or above 255. */
static int
octet(const struct scan_form *f, size_t at, size_t *to)
{
	int v = 0;

	for (*to = at; *to - at < 3 && scan_is(scan_at(f, *to), SCAN_DIGIT); ++*to)
		v = v * 10 + f->s[*to] - '0';
	return *to == at || v > 255 ? -1 : v;
}

enum scan_verdict
ipv4_find(struct start *s, size_t *to)
{
	const struct scan_form *f = s->f;
	static const char *const versions[] = { "version", "release", NULL };
	size_t p = s->at;
	int first = 0, all = 0, sum = 0;

	for (int k = 0; k < 4; k++) {
		int v;

		if (k > 0 && scan_at(f, p++) != '.')
			return scan_is_open(f, p - 1) ? SCAN_OPEN : SCAN_NO;
		v = octet(f, p, &p);
		if (scan_is_open(f, p))
			return SCAN_OPEN;
		if (v < 0)
			return SCAN_NO;
		first = k == 0 ? v : first;
		all |= v;
		sum += v;
	}
	/* A fifth number makes it something else; a sentence's end does not. */
	if (scan_is(scan_at(f, p), SCAN_ALNUM) ||
	    (scan_at(f, p) == '.' && scan_is(scan_at(f, p + 1), SCAN_DIGIT)))
		return SCAN_NO;
	if (scan_at(f, p) == '.' && scan_is_open(f, p + 1))
		return SCAN_OPEN;
	if (first == 127 || all == 0 || sum == 4 * 255 ||
	    scan_has_word(f, s->at, 12, versions))
		return SCAN_NO;
	*to = p;
	return SCAN_YES;
}

/* C++'s a::b is an address too. Who means one writes a digit, or four groups. */
static int
is_meant(const char *text)
{
	int colons = 0, digits = 0;

	for (; *text != 0; text++) {
		colons += *text == ':';
		digits += *text >= '0' && *text <= '9';
	}
	return digits > 0 || colons >= 4;
}

static int
is_address(const char *text)
{
	static const struct in6_addr loopback = { { { [15] = 1 } } };
	static const struct in6_addr any;
	struct in6_addr a;

	return inet_pton(AF_INET6, text, &a) == 1 &&
	       memcmp(&a, &loopback, sizeof(a)) != 0 &&
	       memcmp(&a, &any, sizeof(a)) != 0 && is_meant(text);
}

enum scan_verdict
ipv6_find(struct start *s, size_t *to)
{
	const struct scan_form *f = s->f;
	char text[V6_MAX + 2];
	size_t n = 0, group = 0;
	int colons = 0;
	unsigned char before = scan_before(f, s->at, 1);

	if (before == ':' || before == '.')
		return SCAN_NO;
	for (;; n++) {
		unsigned char c = scan_at(f, s->at + n);

		if (scan_is_open(f, s->at + n))
			return SCAN_OPEN;
		if (!scan_is(c, SCAN_HEX) && c != ':' && (c != '.' || colons == 0))
			break;
		group = c == ':' || c == '.' ? 0 : group + 1;
		colons += c == ':';
		if (group > 4 || n > V6_MAX)
			return SCAN_NO;
		text[n] = (char)c;
	}
	if (colons < 2 || scan_is(scan_at(f, s->at + n), SCAN_ALNUM))
		return SCAN_NO;
	/* What ends a sentence or a clause. */
	while (
	    n > 1 && (text[n - 1] == '.' || (text[n - 1] == ':' && text[n - 2] != ':')))
		n--;
	text[n] = 0;
	*to = s->at + n;
	return is_address(text) ? SCAN_YES : SCAN_NO;
}
