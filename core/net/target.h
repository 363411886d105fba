/* target.h - request targets and hosts, and what each byte may be. Private to net/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_TARGET_H
#define NET_TARGET_H

#include "base/str.h"

/* What each byte may be. */
enum {
	BYTE_TOKEN = 1,   /* in field names and methods */
	BYTE_PATH = 2,    /* in a path, '%' apart */
	BYTE_HOST = 4,    /* in a name or an IPv4 address */
	BYTE_LITERAL = 8, /* inside the brackets of an IPv6 address */
	BYTE_HEX = 16,
	BYTE_PLAIN = 32 /* unreserved: percent-encoding it only hides something */
};
extern const unsigned char byte_kinds[256];

static inline bool
byte_is(char c, unsigned char what)
{
	return (byte_kinds[(unsigned char)c] & what) != 0;
}

static inline char
byte_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool bytes_are(lz_str s, unsigned char what);
bool bytes_equal_folded(lz_str a, lz_str b);

/* Does the path say what it means, so that no two readers split or join its segments
 * differently? It begins with '/'. */
bool target_path_is_canonical(lz_str path);
bool target_query_is_clean(lz_str query);
/* A host name or address with an optional port. */
bool target_authority_is_valid(lz_str authority);
/* Cuts "http://authority" off an absolute target; false if there is none. */
bool target_cut_authority(lz_str *target, lz_str *authority);

#endif
