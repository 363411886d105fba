/* policy_costs.c - what requests did cost beside what another model would have cost for
 * the same usage.
 *
 * Exact: the tokens and the charge of the attempt that answered, as the trace has them,
 * and the other's cost of these tokens, by the sum that the gateway itself charges by.
 * Assumed, and told as such: that the other model would have read and written as many
 * tokens, and found as many in its cache; and that its prices were those of the
 * configuration today. Attempts that failed are on neither side.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "cli/backend.h"
#include "cli/out.h"
#include "cli/policy.h"

static const char *const gap_names[POLICY_COST_GAPS] = { "no_charge", "no_price",
	"several_prices" };
static const char *const gap_words[POLICY_COST_GAPS] = {
	"nobody answered, or for an unknown price",
	"the configuration has no price for the other model",
	"several could have served the other model, at different prices"
};
static const char assumed[] = "the other model would have read, cached and written as "
			      "many tokens, at today's prices";

/* The charge of the attempt that answered. NULL: none that is known. */
static const json_t *
charge_of(const json_t *trace)
{
	const json_t *one, *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(trace, "charges"), i, one)
	{
		const char *state = out_text(one, "state");

		if ((strcmp(state, "actual") == 0 || strcmp(state, "estimated") == 0) &&
		    out_nano(one, "cost_nano_eur") >= 0)
			found = one;
	}
	return found;
}

/* What the charge's tokens cost today at each that whom may mean. owned; NULL: it was
 * said what is wrong. */
static json_t *
costs_at(const struct cli *c, const json_t *charge, const json_t *whom)
{
	static const char *const same[] = { "provider", "model", "upstream_model" };
	json_t *args = json_object(), *result = NULL, *list;

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (json_is_string(json_object_get(whom, same[i])))
			json_object_set(args, same[i], json_object_get(whom, same[i]));
	json_object_set(args, "tokens", json_object_get(charge, "tokens"));
	(void)backend_run(c, "model.cost", args, &result);
	list = json_incref(json_object_get(result, "targets"));
	json_decref(result);
	return list;
}

/* Below zero: -1 - enum policy_cost_gap. */
static int64_t
one_cost(const json_t *costs)
{
	int64_t cost = -1 - POLICY_COST_NO_PRICE;
	const json_t *one;
	size_t i;

	json_array_foreach(costs, i, one)
	{
		int64_t other = out_nano(one, "cost_nano_eur");

		if (other < 0)
			return -1 - POLICY_COST_NO_PRICE;
		cost = i == 0 || cost == other ? other : -1 - POLICY_COST_SEVERAL;
	}
	return cost;
}

/* A charge says which name was served, not by which of its deployments. */
static bool
has_cost(const json_t *costs, int64_t nano)
{
	const json_t *one;
	size_t i;

	json_array_foreach(
	    costs, i, one) if (out_nano(one, "cost_nano_eur") == nano) return true;
	return false;
}

bool
policy_costs_add(
    struct policy_costs *p, const struct cli *c, const json_t *trace, const json_t *whom)
{
	const json_t *charge = charge_of(trace);
	int64_t did = out_nano(charge, "cost_nano_eur"), would;
	json_t *there, *here = NULL;

	if (charge == NULL) {
		p->gap[POLICY_COST_NO_CHARGE]++;
		return true;
	}
	there = costs_at(c, charge, whom);
	would = one_cost(there);
	if (there != NULL && would < 0) {
		p->gap[-1 - would]++;
	} else if (there != NULL && (here = costs_at(c, charge, charge)) != NULL) {
		p->compared++;
		p->did_nano_eur += did;
		p->would_nano_eur += would;
		p->estimated += strcmp(out_text(charge, "state"), "estimated") == 0;
		p->repriced += !has_cost(here, did);
	}
	json_decref(there);
	json_decref(here);
	return there != NULL && (would < 0 || here != NULL);
}

json_t *
policy_costs_json(const struct policy_costs *p)
{
	json_t *j = json_pack("{s:i, s:I, s:I, s:I, s:i, s:i, s:s}", "compared",
	    (int)p->compared, "did_cost_nano_eur", (json_int_t)p->did_nano_eur,
	    "would_cost_nano_eur", (json_int_t)p->would_nano_eur, "difference_nano_eur",
	    (json_int_t)(p->would_nano_eur - p->did_nano_eur), "usage_estimated",
	    (int)p->estimated, "price_changed", (int)p->repriced, "assumed", assumed);
	json_t *gaps = json_object();

	for (int i = 0; i < POLICY_COST_GAPS; i++)
		json_object_set_new(gaps, gap_names[i], json_integer((int)p->gap[i]));
	json_object_set_new(j, "not_compared", gaps);
	return j;
}

void
policy_costs_print(const struct policy_costs *p)
{
	if (p->compared > 0) {
		printf("  cost       %.9f EUR did, %.9f EUR would: %+.9f EUR, of %u\n",
		    (double)p->did_nano_eur / 1e9, (double)p->would_nano_eur / 1e9,
		    (double)(p->would_nano_eur - p->did_nano_eur) / 1e9, p->compared);
		printf("             assumed: %s\n", assumed);
	}
	if (p->estimated > 0)
		printf("             %u: no provider counted their tokens, the gateway "
		       "estimated them\n",
		    p->estimated);
	if (p->repriced > 0)
		printf("             %u: what served them has another price today, or "
		       "none\n",
		    p->repriced);
	for (int i = 0; i < POLICY_COST_GAPS; i++)
		if (p->gap[i] > 0)
			printf("             not compared: %u: %s\n", p->gap[i],
			    gap_words[i]);
}
