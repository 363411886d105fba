/* source.h - a script's source, from what the operator has to what workers load.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_SOURCE_H
#define LUA_SOURCE_H

#include "lua/inside.h"

/* Is it small enough, and are its modules' names such? */
enum status source_check(const struct script_source *q, struct err *e) MUST_CHECK;
/* Fills in s->part: the script and its modules, whose files are named as they lie beside
 * it. Goes on to the next file behind an error, which s->wrongs hears, if there is one.
 */
enum status source_compile(
    struct script *s, const struct script_source *q, struct err *e) MUST_CHECK;
/* Fills in s->grant. */
enum status source_grants(
    struct script *s, const struct script_source *q, struct err *e) MUST_CHECK;
/* Fills in s->digest, of the source, its modules, s->grant and s->limits. */
enum status source_digest(
    struct script *s, const struct script_source *q, struct err *e) MUST_CHECK;

#endif
