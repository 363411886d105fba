/* attached.h - a file that a document holds, and whose bytes are a text.
 *
 * A text file goes to the model as a text, some providers' plugins decode it themselves:
 * its base64 must not be a way around. Images, sounds, and files of formats that are not
 * plain text (PDF) stay unread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_ATTACHED_H
#define GUARD_ATTACHED_H

#include "base/arena.h"
#include "base/buf.h"

enum attached {
	ATTACHED_NOT,        /* no file, or none of text */
	ATTACHED_PLAIN,      /* a data URL without base64: it says itself what it says */
	ATTACHED_TEXT,       /* *head and *text are set */
	ATTACHED_UNREADABLE, /* a file of text that is not UTF-8, or not in base64 */
	ATTACHED_DRY         /* out of memory */
};

/* What is a string, decoded from its JSON: "data:TYPE;base64,DATA", or, is_file, DATA
 * alone. *head: what stands before DATA, borrowed from value; *text lives in a. */
enum attached attached_read(
    lz_str value, bool is_file, struct arena *a, lz_str *head, lz_str *text);
/* May a JSON string (raw, without its quotes) be a data URL that attached_read() would
 * look into? Images and the like are passed over unread. */
bool attached_may_be(lz_str raw);
/* The file again with another text, as a JSON string. */
void attached_write(lz_str head, lz_str text, struct buf *out);

#endif
