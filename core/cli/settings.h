/* settings.h - the settings of a key, an organisation, an assistant, as a command line or
 * a file gives them. Private to cli/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "base/buf.h"
#include "cli/command.h"

enum {
	SETTINGS_BYTES = 1 << 20
};

/* The settings: those of --file, then what options say, then null for each --unset. NULL
 * after printing why. owned. */
json_t *settings_read(const struct cli *c);
/* One "  name   value" line; the settings' members but the name; budgets with what is
 * spent. */
void settings_line(const char *name, const char *value);
void settings_print(const json_t *settings);
void settings_print_budgets(const json_t *object);
/* The first of its budgets, "€1.5 of €20 a month", as a cell. */
struct out_table;
void settings_budget_cell(struct out_table *t, const json_t *object);

#endif
