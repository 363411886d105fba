/* purse.c - the budgets of a key, an assistant, an organisation: found, and given limits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/purse.h"

static void
add(struct purse *p, struct budget *b, const struct key_budget *set)
{
	size_t i = 0;

	while (i < p->count && ledger_compare(p->budget[i], b) < 0)
		i++;
	if (i < p->count && p->budget[i] == b) {
		if (set->limit_nano_eur < p->set[i]->limit_nano_eur)
			p->set[i] = set;
		return;
	}
	memmove(&p->budget[i + 1], &p->budget[i], (p->count - i) * sizeof(p->budget[0]));
	memmove(&p->set[i + 1], &p->set[i], (p->count - i) * sizeof(p->set[0]));
	p->budget[i] = b;
	p->set[i] = set;
	p->count++;
}

enum status
purse_fill(struct purse *p, struct ledger *l, const char *scope,
    const struct key_settings *s, struct err *e)
{
	p->count = 0;
	for (size_t i = 0; i < s->budget_count; i++) {
		const struct key_budget *set = &s->budget[i];
		struct budget *b = ledger_budget(l, lz_strz(scope), set->period, e);

		if (b == NULL)
			return ST_NOMEM;
		add(p, b, set);
	}
	return ST_OK;
}

static bool
holds(const struct purse *p, const struct budget *b)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->budget[i] == b)
			return true;
	}
	return false;
}

void
purse_set_limits(const struct purse *p, struct budget *const *old, size_t old_count)
{
	for (size_t i = 0; i < old_count; i++) {
		if (!holds(p, old[i]))
			ledger_set_limit(old[i], -1, NULL, 0);
	}
	for (size_t i = 0; i < p->count; i++)
		ledger_set_limit(p->budget[i], p->set[i]->limit_nano_eur,
		    p->set[i]->alert_pct, p->set[i]->alert_count);
}
