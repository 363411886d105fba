/* limit.c - the generic cell rate algorithm: a leaky bucket that is one number.
 *
 * Exact at every edge (a fixed window lets twice the rate through around its end), fair
 * in the long run, and it says when to come again without counting anything. The words
 * are shared by all workers; a compare-and-swap is all there is.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/limit.h"

__extension__ typedef __int128 wide;

static const int64_t minute_ns = INT64_C(60) * 1000 * 1000 * 1000;
/* An interval is 36 years at most and the clock 146, so that sums stay in 64 bits. */
static const int64_t longest_ns = INT64_MAX / 8;
static const int64_t latest_ns = INT64_MAX / 2;

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* How long n things last at the rate. */
static int64_t
span_ns(int64_t n, int64_t per_minute)
{
	wide ns = (wide)n * minute_ns / per_minute;

	if (ns > longest_ns)
		return longest_ns;
	return ns < -longest_ns ? -longest_ns : (int64_t)ns;
}

static int64_t
now_ns(int64_t now_us)
{
	return least(now_us, latest_ns / 1000) * 1000;
}

static int64_t
us_up(int64_t ns)
{
	return ns / 1000 + (ns % 1000 != 0);
}

/* Moves *word ahead by `step` if it then lies at most `window` after now. *tat becomes
 * where it lies afterwards, or would lie. A word further ahead than the window is one of
 * a longer burst, or of a clock that has jumped: it is pulled back also when this is
 * refused, or it would stay ahead of every later now. */
static bool
advance(_Atomic int64_t *word, int64_t step, int64_t window, int64_t now, int64_t *tat)
{
	int64_t before = atomic_load_explicit(word, memory_order_relaxed), from;
	bool fits;

	do {
		from = most(now, least(before, now + window));
		*tat = from + step;
		fits = *tat <= now + window;
		if (!fits && from == before)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(word, &before, fits ? *tat : from,
	    memory_order_relaxed, memory_order_relaxed));
	return fits;
}

void
limit_take(struct limit_rate *r, int64_t per_minute, int64_t burst, int64_t now_us,
    struct limit_verdict *out)
{
	int64_t now = now_ns(now_us), step, window, tat, ahead;

	if (per_minute <= 0) {
		*out = (struct limit_verdict){
			.reset_us = us_up(minute_ns),
			.retry_after_us = us_up(minute_ns),
		};
		return;
	}
	burst = most(burst, 1);
	step = most(minute_ns / per_minute, 1);
	window = burst > longest_ns / step ? longest_ns : burst * step;
	out->is_allowed = advance(&r->tat_ns, step, window, now, &tat);
	ahead = out->is_allowed ? tat - now : tat - step - now;
	out->remaining = least((window - ahead) / step, burst);
	out->reset_us = us_up(ahead);
	out->retry_after_us = out->is_allowed ? 0 : us_up(tat - window - now);
}

bool
limit_tokens_take(struct limit_tokens *t, int64_t per_minute, int64_t tokens,
    int64_t now_us, int64_t *retry_after_us)
{
	int64_t now = now_ns(now_us), tat;

	*retry_after_us = -1;
	if (per_minute <= 0 || tokens > per_minute)
		return false;
	if (advance(
		&t->tat_ns, span_ns(most(tokens, 0), per_minute), minute_ns, now, &tat)) {
		*retry_after_us = 0;
		return true;
	}
	*retry_after_us = us_up(tat - minute_ns - now);
	return false;
}

void
limit_tokens_correct(struct limit_tokens *t, int64_t per_minute, int64_t by_tokens)
{
	if (per_minute > 0)
		atomic_fetch_add_explicit(
		    &t->tat_ns, span_ns(by_tokens, per_minute), memory_order_relaxed);
}
