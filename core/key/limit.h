/* limit.h - rates in one atomic word each: GCRA for requests, the same arithmetic for
 * tokens.
 *
 * The word is the theoretical arrival time (TAT): the instant at which all that was let
 * through would have been earned at the even rate. It lies at most one burst ahead of
 * now; what is behind now counts as now. Time is monotonic, in nanoseconds inside, so
 * that a rate's interval is exact enough at a million a minute.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_LIMIT_H
#define KEY_LIMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct limit_rate {
	_Atomic int64_t tat_ns;
};

struct limit_verdict {
	bool is_allowed;
	int64_t remaining;      /* requests that would be let through at once now */
	int64_t reset_us;       /* until the whole burst is available again */
	int64_t retry_after_us; /* when refused; else 0 */
};
/* per_minute requests a minute, `burst` at once (>= 1). per_minute 0 refuses all.
 * [worker] */
void limit_take(struct limit_rate *r, int64_t per_minute, int64_t burst, int64_t now_us,
    struct limit_verdict *out);

/* Tokens per minute: taken before the call by estimate, corrected after it. A whole
 * minute's worth is let through at once. */
struct limit_tokens {
	_Atomic int64_t tat_ns;
};
/* false: *retry_after_us says when it would fit; -1: never, because it is more than a
 * whole minute's worth. [worker] */
bool limit_tokens_take(struct limit_tokens *t, int64_t per_minute, int64_t tokens,
    int64_t now_us, int64_t *retry_after_us);
/* Books what the estimate missed; negative gives back. [worker] */
void limit_tokens_correct(struct limit_tokens *t, int64_t per_minute, int64_t by_tokens);

#endif
