/* fold_char.c - one character and what a reader sees in it.
 *
 * Tables before the library: what Unicode has no equivalence for, or one that nobody
 * would read (a bracketed letter becomes three characters), is a row here or in
 * fold_alike.c. The rest is NFKC, character by character.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/fold_char.h"

#include <stdbool.h>
#include <utf8proc.h>

/* Characters in a row that stand for ASCII in a row. Ordered. */
static const struct row {
	int32_t first, last;
	char to;
} rows[] = {
	{ 0x2460, 0x2468, '1' },   /* circled digits */
	{ 0x2474, 0x247c, '1' },   /* in brackets */
	{ 0x2488, 0x2490, '1' },   /* with a full stop */
	{ 0x249c, 0x24b5, 'a' },   /* letters in brackets */
	{ 0x24f5, 0x24fd, '1' },   /* double circled */
	{ 0x24ff, 0x24ff, '0' },   /* white on black */
	{ 0x2776, 0x277e, '1' },   /* the same */
	{ 0x2780, 0x2788, '1' },   /* circled, sans serif */
	{ 0x278a, 0x2792, '1' },   /* the same, white on black */
	{ 0x1f101, 0x1f10a, '0' }, /* with a comma */
	{ 0x1f110, 0x1f129, 'A' }, /* capitals in brackets */
	{ 0x1f150, 0x1f169, 'A' }, /* in black circles */
	{ 0x1f170, 0x1f189, 'A' }, /* in black squares */
	{ 0x1f1e6, 0x1f1ff, 'A' }, /* regional indicators: flags */
	{ 0xe0020, 0xe007e, ' ' }, /* tags */
	{ 0xe0110, 0xe016e,
	    ' ' }, /* variation selectors that number a byte, from 16 on */
};

static char
row_of(int32_t c)
{
	size_t low = 0, high = sizeof(rows) / sizeof(rows[0]);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c > rows[middle].last)
			low = middle + 1;
		else if (c < rows[middle].first)
			high = middle;
		else
			return (char)(rows[middle].to + (c - rows[middle].first));
	}
	return 0;
}

static char
alike_of(int32_t c)
{
	size_t low = 0, high = fold_alike_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c > fold_alikes[middle].from)
			low = middle + 1;
		else if (c < fold_alikes[middle].from)
			high = middle;
		else
			return fold_alikes[middle].to;
	}
	return 0;
}

static bool
is_space(int32_t c, utf8proc_propval_t category)
{
	return (c >= '\t' && c <= '\r') || c == 0x85 || c == 0x2800 ||
	       category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
	       category == UTF8PROC_CATEGORY_ZP;
}

static bool
is_unseen(const utf8proc_property_t *p)
{
	return p->ignorable || p->category == UTF8PROC_CATEGORY_CC ||
	       p->category == UTF8PROC_CATEGORY_CF ||
	       p->category == UTF8PROC_CATEGORY_MN || p->category == UTF8PROC_CATEGORY_ME;
}

/* Decimal digits of a script lie ten in a row, rows of ten side by side. */
static int32_t
digit_of(int32_t c)
{
	int32_t first = c;

	while (utf8proc_get_property(first - 1)->category == UTF8PROC_CATEGORY_ND)
		first--;
	return '0' + (c - first) % 10;
}

/* One that NFKC has no more to say about. */
static size_t
fold_one(int32_t c, int32_t *out)
{
	const utf8proc_property_t *p;
	char alike;

	if (c > ' ' && c < 0x7f) {
		*out = c;
		return 1;
	}
	p = utf8proc_get_property(c);
	if (is_space(c, p->category))
		*out = ' ';
	else if (is_unseen(p))
		return 0;
	else if (p->category == UTF8PROC_CATEGORY_ND)
		*out = digit_of(c);
	else if ((alike = alike_of(c)) != 0)
		*out = alike;
	else
		*out = c;
	return 1;
}

/* Ideographs and syllables: most of a text in Chinese or Korean, and as plain as can be.
 */
static bool
is_plain_east(int32_t c)
{
	return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7a3) ||
	       (c >= 0x3400 && c <= 0x4dbf);
}

size_t
fold_char(int32_t c, int32_t out[FOLD_CHARS])
{
	int32_t parts[FOLD_CHARS];
	utf8proc_ssize_t count, i;
	int boundary = 0;
	size_t n = 0;
	char sure;

	if (is_plain_east(c)) {
		out[0] = c;
		return 1;
	}
	sure = c >= 0x80 ? row_of(c) : 0;
	if (sure == 0 && c >= 0x80)
		sure = alike_of(c);
	if (sure != 0) {
		out[0] = sure;
		return 1;
	}
	count = utf8proc_decompose_char(
	    c, parts, FOLD_CHARS, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
	if (count <= 0 || count > FOLD_CHARS) {
		out[0] = c;
		return 1;
	}
	for (i = 0; i < count; i++)
		n += fold_one(parts[i], &out[n]);
	if (n > 1) {
		count = utf8proc_normalize_utf32(
		    out, (utf8proc_ssize_t)n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
		n = count > 0 ? (size_t)count : n;
	}
	return n;
}

/* Hangul's arithmetic: 19 leading consonants, 21 vowels, 27 trailing consonants or none.
 */
enum {
	LEAD = 0x1100,
	LEADS = 19,
	VOWEL = 0x1161,
	VOWELS = 21,
	TRAIL = 0x11a7,
	TRAILS = 28,
	SYLLABLE = 0xac00
};

static bool
is_lead(int32_t c)
{
	return c >= LEAD && c < LEAD + LEADS;
}

static bool
is_open_syllable(int32_t c)
{
	return c >= SYLLABLE && c < SYLLABLE + LEADS * VOWELS * TRAILS &&
	       (c - SYLLABLE) % TRAILS == 0;
}

int
fold_may_join(int32_t c)
{
	return is_lead(c) || is_open_syllable(c);
}

int32_t
fold_join(int32_t first, int32_t second)
{
	if (is_lead(first) && second >= VOWEL && second < VOWEL + VOWELS)
		return SYLLABLE + ((first - LEAD) * VOWELS + second - VOWEL) * TRAILS;
	if (is_open_syllable(first) && second > TRAIL && second < TRAIL + TRAILS)
		return first + second - TRAIL;
	return 0;
}
