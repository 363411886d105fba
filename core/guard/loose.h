/* loose.h - what readers of JSON forgive that the scanner does not.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_LOOSE_H
#define GUARD_LOOSE_H

#include "base/str.h"

/* Is there a reader that makes an object or a list of it? They take numbers of any size,
 * NaN, half a surrogate, a comma too many, any depth: so nothing is asked but that
 * strings are closed, and that no text stands outside of them. */
bool loose_is_json(lz_str text);

#endif
