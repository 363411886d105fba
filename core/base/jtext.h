/* jtext.h - blanks and escapes of JSON, for the scan and for the readers of what it
 * passed.
 *
 * Private to base/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_JTEXT_H
#define BASE_JTEXT_H

#include <stdbool.h>
#include <stddef.h>

static inline bool
jtext_is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *
jtext_skip_blanks(const char *p, const char *end)
{
	while (p < end && jtext_is_blank(*p))
		p++;
	return p;
}

/* Four hexadecimal digits at p; -1 if they are not there. */
static inline int
jtext_hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return v;
}

/* The character behind \u at p ("uXXXX", two of them for a pair), its length in *n; -1:
 * no digits, -2: half a pair. */
static inline int
jtext_unicode_escape(const char *p, const char *end, size_t *n)
{
	int high = jtext_hex4(p + 1, end), low;

	*n = 5;
	if (high < 0xd800 || high > 0xdfff)
		return high;
	if (high > 0xdbff || end - p < 7 || p[5] != '\\' || p[6] != 'u')
		return -2;
	low = jtext_hex4(p + 7, end);
	if (low < 0xdc00 || low > 0xdfff)
		return -2;
	*n = 11;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* What stands for the byte after a backslash; 0 if it is none of the short escapes. */
static inline char
jtext_short_escape(char c)
{
	switch (c) {
	case '"':
	case '\\':
	case '/':
		return c;
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return 0;
	}
}

#endif
