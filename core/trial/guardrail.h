/* guardrail.h - a growing answer, cut as the caller says.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIAL_GUARDRAIL_H
#define TRIAL_GUARDRAIL_H

#include "trial/inside.h"

bool trial_at_character(
    lz_str s, size_t at); /* a character begins there, or the end is */
/* next: how far the text has arrived after `arrived`; more than that. */
const struct testhost_result *trial_stream(struct testhost *h, lz_str text,
    size_t (*next)(void *arg, size_t arrived), void *arg);

#endif
