/* calls.h - the tool calls of an answer as lz->tool_calls() lists them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLUGIN_CALLS_H
#define PLUGIN_CALLS_H

#include <jansson.h>
#include <stdbool.h>

/* Adds those of a message, or of a stream's delta: each a copy of its own with the member
 * `choice`. false: out of memory. */
bool calls_add(json_t *list, json_int_t choice, const json_t *message);
/* Those of a chat completion. owned; NULL: out of memory, or there are none. */
json_t *calls_of_answer(const json_t *answer);

#endif
