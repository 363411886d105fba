/* cost.c - tokens times price, exactly, rounded up once at the end.
 *
 * Prices are whole pico-units of a currency per token and the exchange rate is whole
 * nano-euro per unit, so a product of the three is whole too, in units of 1e-21 euro;
 * only the last division rounds, and always up. There is no float on the way, and nothing
 * that wraps: what does not fit is INT64_MAX, which no budget admits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trace/cost.h"

__extension__ typedef unsigned __int128 wide;

enum {
	BYTES_PER_TOKEN = 4
};

static const int64_t nano_per_eur = 1000000000;
static const wide pico_per_unit = 1000000000000u;

static wide
times(int64_t tokens, int64_t price)
{
	return tokens > 0 && price > 0 ? (wide)tokens * (wide)price : 0;
}

/* Four products of two positive int64 are below 2^128. */
static wide
pico_units(const struct price *p, const struct record_usage *u)
{
	int64_t cache_read = p->cache_read >= 0 ? p->cache_read : p->input;
	int64_t cache_write = p->cache_write >= 0 ? p->cache_write : p->input;

	return times(u->input, p->input) + times(u->cache_read, cache_read) +
	       times(u->cache_write, cache_write) + times(u->output, p->output);
}

int64_t
cost_nano_eur(const struct price *p, const struct record_usage *u)
{
	wide sum = pico_units(p, u),
	     rate = p->nano_eur_per_unit > 0 ? (wide)p->nano_eur_per_unit : 0;
	wide nano;

	if (rate == 0 || sum == 0)
		return 0;
	/* What overflows here is beyond INT64_MAX after the division as well. */
	if (sum > ((wide)-1 - pico_per_unit) / rate)
		return INT64_MAX;
	nano = (sum * rate + (pico_per_unit - 1u)) / pico_per_unit;
	return nano < (wide)INT64_MAX ? (int64_t)nano : INT64_MAX;
}

void
cost_average_writes(struct price *p, int64_t writes, int64_t of_an_hour)
{
	int64_t brief = p->cache_write >= 0 ? p->cache_write : p->input;
	wide sum, n = writes > 0 ? (wide)writes : 1;

	if (p->cache_write_1h < 0 || of_an_hour <= 0 || of_an_hour > writes)
		return;
	sum = times(writes - of_an_hour, brief) + times(of_an_hour, p->cache_write_1h);
	p->cache_write = (int64_t)((sum + (n - 1u)) / n);
}

/* The first tier's prices, which are those of every prompt that no other tier is for. */
static bool
base_price(const struct config *c, const struct target *t, struct price *out)
{
	const struct model_facts *m = t->model;
	bool is_free = t->provider->is_free;

	*out = (struct price){ .nano_eur_per_unit = nano_per_eur };
	if (is_free)
		return true;
	*out = (struct price){
		.input = m->price_input,
		.cache_read = m->price_cache_read,
		.cache_write = m->price_cache_write,
		.cache_write_1h = m->price_cache_write_1h,
		/* An embedding model puts nothing out, so nobody gives it a price for
		   that. */
		.output = m->price_output < 0 && m->is_embedding ? 0 : m->price_output,
		.nano_eur_per_unit = c->fx_nano_eur_per_usd,
	};
	if (out->input < 0 || out->output < 0)
		return false;
	return out->nano_eur_per_unit > 0;
}

/* Tiers that such a prompt is in or beyond; they rise. */
static size_t
tiers_reached(const struct target *t, int64_t prompt_tokens)
{
	const struct model_facts *m = t->model;
	size_t n = 0;

	while (!t->provider->is_free && n < m->tier_count &&
	       prompt_tokens > m->tier[n].above)
		n++;
	return n;
}

bool
cost_price(const struct config *c, const struct target *t, int64_t prompt_tokens,
    struct price *out)
{
	size_t n = tiers_reached(t, prompt_tokens);
	const struct price_tier *tier = n > 0 ? &t->model->tier[n - 1] : NULL;

	if (!base_price(c, t, out))
		return false;
	if (tier == NULL)
		return true;
	out->input = tier->input;
	out->cache_read = tier->cache_read;
	out->cache_write = tier->cache_write;
	out->cache_write_1h = tier->cache_write_1h;
	out->output = tier->output;
	return true;
}

static void
raise(int64_t *price, int64_t other)
{
	if (other > *price)
		*price = other;
}

bool
cost_price_at_most(const struct config *c, const struct target *t, int64_t prompt_bound,
    struct price *out)
{
	size_t n = tiers_reached(t, prompt_bound);

	if (!base_price(c, t, out))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct price_tier *tier = &t->model->tier[i];

		raise(&out->input, tier->input);
		raise(&out->cache_read, tier->cache_read);
		raise(&out->cache_write, tier->cache_write);
		raise(&out->cache_write_1h, tier->cache_write_1h);
		raise(&out->output, tier->output);
	}
	return true;
}

int64_t
cost_tokens_of_bytes(int64_t bytes)
{
	if (bytes <= 0)
		return 0;
	return bytes / BYTES_PER_TOKEN + (bytes % BYTES_PER_TOKEN != 0);
}
