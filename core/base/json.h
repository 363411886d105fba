/* json.h - jansson behind its fences: duplicates refused, depth and size checked first,
 * seeded hash.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

void json_start(void); /* seeds the hash, seats the allocator. [start] */
/* A tree of any JSON value; NULL with a sentence otherwise. owned: json_decref(). [any]
 */
json_t *json_parse(lz_str text, struct err *e);
/* Compact, key order kept, appended to out. false: out of memory or over its maximum. */
bool json_print(const json_t *j, struct buf *out);
/* NULL-tolerant readers. The strings are borrowed from the tree. */
lz_str json_get_str(const json_t *object, const char *key); /* absent: STR_NONE */
int64_t json_get_int(const json_t *object, const char *key, int64_t otherwise);
bool json_get_bool(const json_t *object, const char *key, bool otherwise);

#endif
