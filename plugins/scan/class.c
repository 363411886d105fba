/* class.c - the table that one pass over a text asks for every byte, and looking back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scan.h"

/* A letter of two bytes (Latin, Greek, Cyrillic, Hebrew, Arabic) begins with c3..df. */
#define IS_DIGIT(c)  ((c) >= '0' && (c) <= '9')
#define IS_LETTER(c) (((c) | 0x20) >= 'a' && ((c) | 0x20) <= 'z' && (c) < 0x80)
#define IS_HEX(c)                                                                        \
	(IS_DIGIT(c) || (((c) | 0x20) >= 'a' && ((c) | 0x20) <= 'f' && (c) < 0x80))
#define IS_MARK(c)                                                                       \
	((c) == '.' || (c) == '_' || (c) == '%' || (c) == '+' || (c) == '-' ||           \
	    (c) == '\'')
#define IS_TAIL(c) ((c) >= 0x80 && (c) <= 0xbf)
#define IS_WORD(c)                                                                       \
	(IS_DIGIT(c) || IS_LETTER(c) || IS_MARK(c) || ((c) >= 0x80 && (c) <= 0xbf) ||    \
	    ((c) >= 0xc3 && (c) <= 0xdf))
#define IS_START(c) ((c) == '(' || (c) == ':' || (c) == '[')
#define C(c)                                                                             \
	((IS_DIGIT(c) ? SCAN_DIGIT : 0) | (IS_LETTER(c) ? SCAN_LETTER : 0) |             \
	    (IS_HEX(c) ? SCAN_HEX : 0) | (IS_WORD(c) ? SCAN_WORD : 0) |                  \
	    (IS_TAIL(c) ? SCAN_TAIL : 0) | (IS_START(c) ? SCAN_START : 0))
#define C4(c)  C(c), C((c) + 1), C((c) + 2), C((c) + 3)
#define C16(c) C4(c), C4((c) + 4), C4((c) + 8), C4((c) + 12)
#define C64(c) C16(c), C16((c) + 16), C16((c) + 32), C16((c) + 48)

const unsigned char scan_class[256] = { C64(0), C64(64), C64(128), C64(192) };

static int
begins_with(const unsigned char *p, const unsigned char *end, const char *word)
{
	while (*word != 0 && p < end && scan_lower(*p) == (unsigned char)*word)
		p++, word++;
	return *word == 0;
}

size_t
scan_behind(const struct scan_form *f, size_t at, size_t want, unsigned char *out)
{
	size_t here = at - f->floor < want ? at - f->floor : want;
	size_t there = f->behind_len < want - here ? f->behind_len : want - here;

	memcpy(out, f->behind + f->behind_len - there, there);
	memcpy(out + there, f->s + at - here, here);
	return there + here;
}

int
scan_has_word(
    const struct scan_form *f, size_t at, size_t reach, const char *const *words)
{
	unsigned char b[SCAN_BEHIND] = { 0 }, before = 0;
	size_t n = scan_behind(f, at, reach, b);

	for (size_t k = 0; k < n; before = b[k++]) {
		if (!scan_is(b[k], SCAN_LETTER) || scan_is(before, SCAN_ALNUM))
			continue;
		for (const char *const *w = words; *w != NULL; w++)
			if (scan_lower(b[k]) == (unsigned char)**w &&
			    begins_with(b + k, b + n, *w))
				return 1;
	}
	return 0;
}
