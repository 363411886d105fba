/* pack.h - private to key/: settings with what they point to, as one piece of memory.
 *
 * Settings are parsed into an arena of their own kind of size (8 KiB at least); a hundred
 * thousand of them are better kept as exactly what they are.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_PACK_H
#define KEY_PACK_H

#include "config/keyset.h"

/* Room for the strings and the lists of s. */
size_t pack_bytes(const struct key_settings *s);
/* Copies s; what it points to goes into memory, which is aligned for a pointer and has
 * pack_bytes(). metadata stays the caller's. */
void pack_settings(struct key_settings *to, const struct key_settings *s, void *memory);
/* A NUL-terminated copy at *to, which moves on. Absent stays absent. */
lz_str pack_text(char **to, lz_str s);

#endif
