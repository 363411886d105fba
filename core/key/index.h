/* index.h - private to keys: from a digest to the key that has it, read by workers
 * without a lock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_INDEX_H
#define KEY_INDEX_H

#include "key/grace.h"
#include "key/keys.h"

enum index_by {
	INDEX_HMAC, /* hash, old_hash */
	INDEX_SHA256
};

struct index;

struct index *index_new(struct grace *grace); /* grace: borrowed. NULL: out of memory */
void index_free(struct index *ix);            /* the keys are not touched */
/* NULL: none. The key lives until the caller's loop ends its turn, or as long as a
 * reference. [worker] */
struct key *index_find(
    const struct index *ix, enum index_by by, const uint8_t digest[CRYPTO_HASH_BYTES]);
/* Makes room for one more key. false: out of memory. [main] */
bool index_make_room(struct index *ix);
void index_add(struct index *ix, struct key *key); /* after index_make_room(). [main] */
void index_drop(struct index *ix, const struct key *key); /* [main] */

#endif
