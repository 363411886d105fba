/* names.h - which members of a document are no text: names, ids, media, and what a vendor
 * signed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_NAMES_H
#define GUARD_NAMES_H

#include "base/str.h"

enum {
	NAME_BYTES = 128 /* of a key, or the name of a tool; what is longer is a text */
};

/* Keys are as written, without their quotes: escapes are no way around. */
/* Its value is no text as long as it looks like a name. */
bool names_no_text(lz_str key);
/* A data URL may stand there: the file that is in it may be a text. */
bool names_a_file(lz_str key);
/* Of a part of a message, whose text is elsewhere: a `text` of it nobody reads. */
bool names_media(lz_str type);
bool names_reasoning(lz_str key);
/* Does a message's role, as written and without its quotes, stand for somebody? */
bool names_a_role(lz_str role);
/* Does a string, as written and without its quotes, look like a name, an id, a URL or
 * base64? Then it has no blank, nothing but ASCII, nobody's address, and at most `max`
 * bytes. */
bool names_look_like(lz_str raw, size_t max);

#endif
