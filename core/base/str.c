/* str.c - what is done with views of bytes.
 *
 * ASCII only where case matters: header names, option names and hosts are ASCII, and the
 * user's locale must not decide what a header is called.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/str.h"

#include <stdint.h>

/* Names are short; what is longer is nobody's typing mistake. */
enum {
	DISTANCE_CHARS = 64
};

static inline unsigned char
fold(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? (unsigned char)(u + ('a' - 'A')) : u;
}

bool
str_is_nocase(lz_str a, const char *b)
{
	size_t i;

	for (i = 0; i < a.len; i++) {
		if (b[i] == '\0' || fold(a.ptr[i]) != fold(b[i]))
			return false;
	}
	return b[i] == '\0';
}

bool
str_starts(lz_str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return n == 0 || (s.len >= n && memcmp(s.ptr, prefix, n) == 0);
}

bool
str_ends(lz_str s, const char *suffix)
{
	size_t n = strlen(suffix);

	return n == 0 || (s.len >= n && memcmp(s.ptr + s.len - n, suffix, n) == 0);
}

lz_str
str_cut(lz_str s, size_t from, size_t to)
{
	if (s.ptr == NULL)
		return s;
	if (to > s.len)
		to = s.len;
	if (from > to)
		from = to;
	return lz_strn(s.ptr + from, to - from);
}

lz_str
str_trim(lz_str s)
{
	while (s.len > 0 && (*s.ptr == ' ' || *s.ptr == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

ptrdiff_t
str_find(lz_str s, char c)
{
	const char *at = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;

	return at != NULL ? at - s.ptr : -1;
}

bool
str_to_int(lz_str s, int64_t max, int64_t *out)
{
	int64_t v = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		int digit = s.ptr[i] - '0';

		if (digit < 0 || digit > 9)
			return false;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return false;
		if (v > max)
			return false;
	}
	*out = v;
	return true;
}

lz_str
str_from_int(int64_t v, char room[STR_INT_CHARS])
{
	/* -INT64_MIN is no int64_t. */
	uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	char *end = room + STR_INT_CHARS, *p = end;

	do {
		*--p = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (v < 0)
		*--p = '-';
	return lz_strn(p, (size_t)(end - p));
}

bool
str_matches(lz_str s, lz_str pattern)
{
	if (pattern.len == 0 || pattern.ptr[pattern.len - 1] != '*')
		return str_eq(s, pattern);
	pattern.len--;
	return s.len >= pattern.len && str_eq(str_cut(s, 0, pattern.len), pattern);
}

static inline bool
is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* The second byte's range does all the work: it excludes overlong forms (c0, c1, e0 80,
 * f0 80), the surrogates (ed a0) and what lies above U+10FFFF (f4 90). Unicode, table
 * 3-7. */
size_t
str_utf8_step(const char *p, size_t n)
{
	unsigned char c = n > 0 ? (unsigned char)p[0] : 0xff;
	unsigned char second = n > 1 ? (unsigned char)p[1] : 0;
	unsigned char low = 0x80, high = 0xbf;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return n > 1 && is_continuation(p[1]) ? 2 : 0;
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	if (second < low || second > high)
		return 0;
	if ((c & 0xf0) == 0xe0)
		return n > 2 && is_continuation(p[2]) ? 3 : 0;
	if (c >= 0xf0 && c <= 0xf4)
		return n > 3 && is_continuation(p[2]) && is_continuation(p[3]) ? 4 : 0;
	return 0;
}

bool
str_is_field_value(lz_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

bool
str_is_utf8(lz_str s)
{
	const char *p = s.ptr, *end;

	if (s.len == 0)
		return true; /* ptr may be NULL, to which not even 0 may be added */
	end = p + s.len;
	while (p < end) {
		uint64_t w;
		size_t n;

		while (end - p >= 8) {
			memcpy(&w, p, sizeof(w));
			if ((w & 0x8080808080808080u) != 0)
				break;
			p += 8;
		}
		if (p == end)
			break;
		n = str_utf8_step(p, (size_t)(end - p));
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

static inline unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Three rows of the usual matrix; a swap of two neighbours counts as one edit, because it
 * is one slip of the fingers (`modle`). */
unsigned
str_distance(lz_str a, lz_str b, unsigned limit)
{
	unsigned rows[3][DISTANCE_CHARS + 1];
	size_t gap = a.len > b.len ? a.len - b.len : b.len - a.len;

	if (gap > limit || a.len > DISTANCE_CHARS || b.len > DISTANCE_CHARS)
		return limit + 1;
	for (size_t j = 0; j <= b.len; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a.len; i++) {
		const unsigned *before = rows[(i + 1) % 3], *up = rows[(i - 1) % 3];
		unsigned *row = rows[i % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b.len; j++) {
			unsigned change = a.ptr[i - 1] != b.ptr[j - 1];

			row[j] = least(least(up[j], row[j - 1]) + 1, up[j - 1] + change);
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] &&
			    a.ptr[i - 2] == b.ptr[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return least(rows[a.len % 3][b.len], limit + 1);
}
