/* answer.h - what whole answers and streams translate alike.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ANTHROPIC_ANSWER_H
#define ANTHROPIC_ANSWER_H

#include "anthropic.h"

lz_str answer_word(const lz_json *j, const char *pointer); /* "" for what is no string */
/* stop_reason in OpenAI's words. */
lz_str answer_finish(lz_str stop_reason);
/* What the object names, the rest stays: a stream says it twice, and the later holds. */
void answer_usage(const lz_json *usage, lz_usage *out);
/* A block of thinking as extra_content keeps it: `at` is the byte of the text before
 * which it stood. signature absent: it is redacted, text is its data. */
lz_json *answer_thought(lz_call *c, lz_str text, lz_str signature, size_t at);

#endif
