/* uuid.c - UUIDs, so that no card or IBAN is seen in one: of 1,300 random ones it was
 * one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pii.h"

enum {
	UUID_BYTES = 36
};

/* x: hexadecimal; V: a version, 1 to 8; N: the variant of RFC 9562 */
static const char shape[UUID_BYTES + 1] = "xxxxxxxx-xxxx-Vxxx-Nxxx-xxxxxxxxxxxx";

static int
fits(char wanted, unsigned char c)
{
	switch (wanted) {
	case 'x':
		return scan_is(c, SCAN_HEX);
	case 'V':
		return c >= '1' && c <= '8';
	case 'N':
		return c == '8' || c == '9' || scan_lower(c) == 'a' ||
		       scan_lower(c) == 'b';
	default:
		return c == '-';
	}
}

enum scan_verdict
uuid_find(struct start *s, size_t *to)
{
	for (size_t i = 0; i < UUID_BYTES; i++) {
		if (scan_is_open(s->f, s->at + i))
			return SCAN_OPEN;
		if (!fits(shape[i], scan_at(s->f, s->at + i)))
			return SCAN_NO;
	}
	*to = s->at + UUID_BYTES;
	return ends_at(s->f, *to);
}
