/* grants.h - which addresses a script may call.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_GRANTS_H
#define LUA_GRANTS_H

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

struct script;
struct grant;

/* Reads "https://host[:port][/path]". Texts live in memory. ST_INVALID says what is
 * wrong. [main] */
enum status grants_read(
    lz_str url, struct arena *memory, struct grant *out, struct err *e) MUST_CHECK;
/* May the script call the URL? false: why says what is missing. [any] */
bool grants_allow(const struct script *s, lz_str url, char *why, size_t n);

#endif
