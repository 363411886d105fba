/* fake.h - a host for scripts that are tested: everything a script may ask for comes from
 * one JSON document, and everything it did is told in another.
 *
 * The document of a visit:
 *
 * - options: as the file would have them
 * - phase: "request" (the default) or "response"
 * - text, texts: one text, or [{ text, role, kind, name }]
 * - stream_every: the first text arrives in pieces of so many bytes
 * - stream_cuts: ... or is cut at these offsets, ascending
 * - body: req.body
 * - targets: of a router: [{ provider, model, region, healthy, cost_eur, ... }]
 * - headers, metadata, key_metadata
 * - id, route, model, key, assistant, organization, user, session, prompt_tokens,
 *   max_output_tokens, stream
 * - budgets: { organization: { limit_eur, spent_eur, reserved_eur, resets_at } }
 * - http: { URL: { status, body, headers } }; what is not listed is not reached
 * - now: unix seconds
 *
 * What comes back:
 *
 * - verdict: "pass", "block", "flag", "use_model", or "error" with `error`
 * - code, message: of the verdict
 * - text, texts: as they go on; of a stream: all that left
 * - edits: unless it was a stream: [{ text, from, to, with }], bytes from 0
 * - order, chosen: of targets: [ "provider/model" ], and their places from 0
 * - tags, output_limit, body, calls: [{ method, url, body }], log: []
 * - checks, turns: calls of check(), and callbacks that it waited for
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_FAKE_H
#define LUA_FAKE_H

#include <jansson.h>
#include "lua/script.h"

struct fake;

/* base: the real host's table, whose JSON is taken. owned. NULL: out of memory. */
struct fake *fake_new(const lz_host *base);
void fake_free(struct fake *f); /* NULL is fine */
/* One visit; of a stream one per piece. Counters and what was logged in f stay. document:
 * borrowed. The result is owned; NULL: the document is wrong, e. One thread at a time. */
json_t *fake_visit(
    struct fake *f, struct script *s, const json_t *document, struct err *e) MUST_CHECK;
/* From here on scripts may call every address: what answers is the document. Without,
 * they need the grants that they would need in a gateway. */
void fake_grant_all(struct fake *f);
/* The time that its visits took, without what shows and tells them; on the wall's clock.
 */
int64_t fake_spent_ns(const struct fake *f);
/* The call and the table of visits that fake_visit() makes; for scripts that test. */
lz_call *fake_call(struct fake *f);
void fake_take(lz_call *c, json_t *j); /* taken: lives as long as the host */
const lz_host *fake_host(struct fake *f);

#endif
