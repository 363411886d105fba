/* guardrail.h - what `guardrail list` and `check` say alike. Private to cli/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_GUARDRAIL_H
#define CLI_GUARDRAIL_H

#include <jansson.h>
#include "base/buf.h"

/* row: as guardrail.list answers it. "everything, organization acme, key backend",
 * "nobody". */
void guardrail_holders(const json_t *row, struct buf *out);
const char *guardrail_phases(const json_t *row); /* "request, response" */

#endif
