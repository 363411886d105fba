/* str.h - a view of bytes: pointer and length, not NUL-terminated, owned by somebody
 * else.
 *
 * The type is the SDK's lz_str, so that nothing is converted at the plugin boundary.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#define LZ_HOST_SIDE
#include <latenza/plugin.h>
#include <stdbool.h>
#include <string.h>

/* For printf: "%.*s". */
#define STR_ARG(s)       (int)(s).len, (s).ptr ? (s).ptr : ""
#define STR_LIT(literal) ((lz_str){ (literal), sizeof(literal) - 1 })
#define STR_NONE         ((lz_str){ NULL, 0 })

enum {
	STR_INT_CHARS = 20 /* of INT64_MIN, and of UINT64_MAX */
};

static inline bool
str_eq(lz_str a, lz_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool
str_is(lz_str a, const char *b)
{
	return str_eq(a, lz_strz(b));
}

/* ASCII case folded comparison. */
bool str_is_nocase(lz_str a, const char *b);
bool str_starts(lz_str s, const char *prefix);
bool str_ends(lz_str s, const char *suffix);
lz_str str_cut(lz_str s, size_t from, size_t to); /* clamped to the string */
lz_str str_trim(lz_str s);                        /* blanks and tabs at both ends */
/* Position of the byte, or -1. */
ptrdiff_t str_find(lz_str s, char c);
/* Digits only, at least one, no sign, no overflow past `max`; false otherwise. */
bool str_to_int(lz_str s, int64_t max, int64_t *out);
/* v in decimal, written at the end of room: a view into it. */
lz_str str_from_int(int64_t v, char room[STR_INT_CHARS]);
/* Does `s` match `pattern`, which may end in one '*' that stands for any rest? */
bool str_matches(lz_str s, lz_str pattern);
bool str_is_utf8(lz_str s);
/* Can a header field have it as its value? No control character but tabs. */
bool str_is_field_value(lz_str s);
/* Bytes of the well-formed UTF-8 character at p, of which n bytes may be read: 1 to 4; 0
 * if there is none. */
size_t str_utf8_step(const char *p, size_t n);
/* Edits from one name to the other, a swap of neighbours being one; at most `limit` + 1,
 * which names of more than 64 bytes get too. For "did you mean". */
unsigned str_distance(lz_str a, lz_str b, unsigned limit);

#endif
