/* content_pack.h - prompts and answers as bytes: records, one behind the other.
 *
 * Private to store/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_CONTENT_PACK_H
#define STORE_CONTENT_PACK_H

#include "base/buf.h"
#include "store/content.h"

enum {
	CONTENT_HEAD_BYTES = 48 /* of a record, before its texts */
};

size_t content_pack_bytes(const struct content *c); /* of its record */
/* Appends the record; out of memory or too large: b->failed. */
void content_pack_add(struct buf *b, const struct content *c);
/* Takes the next sound record of *rest; what was wiped or damaged is passed over. *bytes:
 * of its record, whose end is where *rest begins now. Views into *rest. false: none. */
bool content_pack_next(lz_str *rest, struct content *out, size_t *bytes);

#endif
