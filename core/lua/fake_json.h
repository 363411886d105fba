/* fake_json.h - the functions that make JSON, of the host for tests.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_FAKE_JSON_H
#define LUA_FAKE_JSON_H

#include "base/arena.h"
#include "base/json.h"

void fake_json_fill(lz_host *h);
/* What a call's values live in: fake.c's. */
json_t *fake_keep(lz_call *c);
struct arena *fake_memory(lz_call *c);

#endif
