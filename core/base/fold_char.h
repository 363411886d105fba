/* fold_char.h - what one character becomes in the plain form. Private to base/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_FOLD_CHAR_H
#define BASE_FOLD_CHAR_H

#include <stddef.h>
#include <stdint.h>

enum {
	FOLD_CHARS = 32 /* more than the longest that one becomes: 18, of U+FDFA */
};

/* Writes what `c` becomes and returns how many characters that is; 0: it is not seen. A
 * blank stands for every white space. [any] */
size_t fold_char(int32_t c, int32_t out[FOLD_CHARS]);
/* The character that two become where they stand side by side: Hangul's; 0: they stay
 * two. */
int32_t fold_join(int32_t first, int32_t second);
/* May what follows `c` still join it? */
int fold_may_join(int32_t c);

/* A character that looks like one of ASCII. */
struct fold_alike {
	uint16_t from;
	char to;
};
extern const struct fold_alike fold_alikes[];
extern const size_t fold_alike_count;

#endif
