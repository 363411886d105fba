/* scan.h - finds the next byte of a kind, 16 at a time where the processor can. Private
 * to net/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_SCAN_H
#define NET_SCAN_H

#include <stdbool.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Control bytes are what may not stand in a field's value: below 0x20 but for the tab,
 * and 0x7f. */
static inline bool
scan_is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static inline bool
scan_is_line_end(char c)
{
	return c == '\n' || c == '\r';
}

#ifdef __SSE2__
static inline unsigned
scan_mask_control(__m128i v)
{
	__m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
	__m128i tab = _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'));
	__m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}

static inline unsigned
scan_mask_line_end(__m128i v)
{
	__m128i lf = _mm_cmpeq_epi8(v, _mm_set1_epi8('\n'));
	__m128i cr = _mm_cmpeq_epi8(v, _mm_set1_epi8('\r'));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(lf, cr));
}

#define SCAN_WIDE(p, end, mask_of)                                                       \
	for (; (end) - (p) >= 16; (p) += 16) {                                           \
		unsigned mask =                                                          \
		    mask_of(_mm_loadu_si128((const __m128i *)(const void *)(p)));        \
                                                                                         \
		if (mask != 0)                                                           \
			return (p) + __builtin_ctz(mask);                                \
	}
#else
#define SCAN_WIDE(p, end, mask_of)
#endif

/* The first control byte in [p, end), or end. */
static inline const char *
scan_control(const char *p, const char *end)
{
	SCAN_WIDE(p, end, scan_mask_control)
	while (p < end && !scan_is_control(*p))
		p++;
	return p;
}

/* The first CR or LF in [p, end), or end. */
static inline const char *
scan_line_end(const char *p, const char *end)
{
	SCAN_WIDE(p, end, scan_mask_line_end)
	while (p < end && !scan_is_line_end(*p))
		p++;
	return p;
}

#endif
