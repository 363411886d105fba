/* cost.h - tokens and prices to nano-EUR, exactly, rounded up; no float anywhere.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRACE_COST_H
#define TRACE_COST_H

#include "config/config.h"
#include "store/record.h"

struct price { /* pico-units of a currency per token; -1: unknown */
	int64_t input, cache_read, cache_write, output;
	int64_t cache_write_1h;    /* of what is kept for an hour; -1: as cache_write */
	int64_t nano_eur_per_unit; /* 1 EUR = 1e9 */
};
/* The price of a target under a configuration for a prompt of so many tokens, cached ones
 * included: the whole request is at the prices of the tier that the prompt is in. false:
 * no price (missing, or no exchange rate). A free provider: zeros. */
bool cost_price(const struct config *c, const struct target *t, int64_t prompt_tokens,
    struct price *out);
/* The dearest of each that a prompt of at most so many tokens can be in. */
bool cost_price_at_most(const struct config *c, const struct target *t,
    int64_t prompt_bound, struct price *out);
/* Makes cache_write the average price of `writes` tokens of which `of_an_hour` are kept
 * for an hour, rounded up, so that a charge is its tokens at the prices it names. */
void cost_average_writes(struct price *p, int64_t writes, int64_t of_an_hour);
/* ceil(sum of tokens * price * rate). Saturates at INT64_MAX. Cache prices that are
 * unknown count as the input's. Tokens below zero count as zero. */
int64_t cost_nano_eur(const struct price *p, const struct record_usage *u);
/* About so many tokens in text of so many bytes (4 bytes a token, rounded up). */
int64_t cost_tokens_of_bytes(int64_t bytes);

#endif
