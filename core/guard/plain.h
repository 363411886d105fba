/* plain.h - texts in their plain form before a guardrail is asked: where they are much,
 * a thread of the pool finds and folds them, so that nobody else's request waits.
 *
 * A component may ask for a text's plain form at any time, on the worker. What is small
 * is made then; what would hold the worker up is there before the component is entered.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_PLAIN_H
#define GUARD_PLAIN_H

#include "guard/chain.h"

struct plain_job;
/* is_fine: all of them are plain; false: memory was out, or one of them is too large. */
typedef void plain_done_fn(void *arg, bool is_fine);

/* Would it hold a worker up to find and fold the texts of these bytes (JSON)? [any] */
bool plain_is_much_of(lz_str bytes);
/* ... to fold those of the texts that have no plain form yet? [any] */
bool plain_is_much(const struct texts *t);

/* Has them folded: `done` follows, from an event. The list, its arena and what it points
 * at are the pool's until then, or until the request's memory goes. NULL: it cannot be
 * had done; r->fault is set. */
struct plain_job *plain_texts(
    struct guards *all, const struct texts *t, plain_done_fn *done, void *arg);
/* The same of a document whose texts are found first. When it is fine `done` finds them
 * in all->document. bytes: borrowed until the request's memory goes. */
struct plain_job *plain_document(struct guards *all, enum document_kind kind,
    lz_str bytes, struct arena *a, plain_done_fn *done, void *arg);
/* Nobody waits for it any more: `done` does not run. The job stays with the request until
 * it comes home. NULL is fine. */
void plain_drop(struct plain_job *j);

#endif
