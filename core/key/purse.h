/* purse.h - private to key/: from the budgets that settings name to those of the ledger.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_PURSE_H
#define KEY_PURSE_H

#include "key/ledger.h"

/* The budgets of one scope, one per kind of period, in ledger order: where the settings
 * name a period twice, the lower limit binds. */
struct purse {
	struct budget *budget[KEY_BUDGETS];
	const struct key_budget *set[KEY_BUDGETS];
	size_t count;
};

/* Finds or makes the budgets that s names. ST_NOMEM. [main] */
enum status purse_fill(struct purse *p, struct ledger *l, const char *scope,
    const struct key_settings *s, struct err *e) MUST_CHECK;
/* Sets their limits, and lifts those of `old` that are not among them. [main] */
void purse_set_limits(const struct purse *p, struct budget *const *old, size_t old_count);

#endif
