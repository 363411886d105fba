/* json.h - jansson's trees behind fences: one strict reader, duplicates refused, seeded
 * hash.
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
/* Did an allocation of jansson's fail on this thread since it was last asked? Then a tree
 * built meanwhile may lack something. */
bool json_ran_dry(void);
void json_note_dry(void); /* the tree lacks something because of another's allocation */
/* The list, the object, that is called so in it, made where there is nothing. Borrowed:
 * not by json_object_set_new(), which ends what it has no memory for. NULL: out of
 * memory, or the object is; what is put into that does nothing. */
json_t *json_list_in(json_t *object, const char *name);
json_t *json_object_in(json_t *object, const char *name);
/* Compact, key order kept, appended to out. false: out of memory or over its maximum. */
bool json_print(const json_t *j, struct buf *out);
/* NULL-tolerant readers. The strings are borrowed from the tree. */
lz_str json_get_str(const json_t *object, const char *key); /* absent: STR_NONE */
int64_t json_get_int(const json_t *object, const char *key, int64_t otherwise);
bool json_get_bool(const json_t *object, const char *key, bool otherwise);

#endif
