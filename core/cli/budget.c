/* budget.c - `latenza budget list`: money, whosever it is.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/backend.h"
#include "cli/out.h"

#include "base/json.h"

static void
add_row(struct out_table *t, const json_t *row)
{
	int64_t limit = out_nano(row, "limit_nano_eur");
	int64_t spent = out_nano(row, "spent_nano_eur");
	int64_t reserved = out_nano(row, "reserved_nano_eur");
	char money[40];

	out_cell(t, "%s", out_text(row, "scope"));
	out_cell(t, "%s", out_text(row, "current"));
	out_cell(t, "%s", out_money(spent, money));
	out_cell(t, "%s", out_money(reserved, money));
	out_cell(t, "%s", out_money(limit, money));
	if (limit > 0)
		out_cell(t, "%.1f %%", (double)spent * 100 / (double)limit);
	else
		out_cell(t, "-");
	out_cell(t, "%s", out_text(row, "resets_at"));
}

int
budget_list_run(struct cli *c)
{
	static const char *const titles[] = { "SCOPE", "PERIOD", ">SPENT", ">RESERVED",
		">LIMIT", ">USED", "RESETS", NULL };
	json_t *result = NULL, *args = json_object(), *row;
	struct out_table t;
	size_t i;
	int code;

	if (c->operand_count > 0)
		json_object_set_new(args, "scope", json_string(c->operand[0]));
	code = backend_run(c, "budget.list", args, &result);
	if (code == CLI_DONE && c->wants_json) {
		out_json(json_object_get(result, "budgets"));
	} else if (code == CLI_DONE) {
		out_table(&t, titles);
		json_array_foreach(json_object_get(result, "budgets"), i, row)
		{
			add_row(&t, row);
		}
		out_print(&t);
	}
	json_decref(result);
	return code;
}
