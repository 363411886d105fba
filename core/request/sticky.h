/* sticky.h - where each session was served last: providers keep a prompt's beginning warm
 * for who comes back, and that is worth more than most differences of price.
 *
 * One table for all workers, of a fixed size, without locks; it survives reloads and is
 * forgotten by restarts. A session that another one pushed out is routed like a new one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REQUEST_STICKY_H
#define REQUEST_STICKY_H

#include "request/request.h"

/* The request's session: x-latenza-session, else its body's prompt_cache_key, of this key
 * and model name. 0: it names none. */
uint64_t sticky_session(const struct request *r);
/* The session was served by this target just now. [any] */
void sticky_set(uint64_t session, const struct target *t, int64_t now_us);
/* Was it served there last, at most ms ago? [any] */
bool sticky_is_at(uint64_t session, const struct target *t, int64_t now_us, int64_t ms);

#endif
