/* base64.h - RFC 4648's alphabet with +, / and padding.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Appends the text of n bytes; out->failed says whether it fitted. */
void base64_encode(const void *p, size_t n, struct buf *out);
/* Appends the bytes. false: it is not base64, padded to whole groups of four, or it does
 * not fit (out->failed). */
bool base64_decode(lz_str text, struct buf *out) MUST_CHECK;

#endif
