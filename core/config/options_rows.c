/* options_rows.c - are option rows themselves sound? Asked of every plugin before it is
 * used.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <math.h>

#include "base/json.h"
#include "config/rules.h"

static enum status
check_name(const lz_option *row, struct err *e)
{
	const char *p = row->name;

	if (p == NULL || !islower((unsigned char)*p))
		return err_fail(e, ST_INVALID,
		    "an option has no name that begins with a small letter");
	for (; *p != '\0'; p++) {
		if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) &&
		    *p != '_')
			return err_fail(e, ST_INVALID,
			    "option %s: a name is made of a-z, 0-9 and _", row->name);
	}
	if (p - row->name > 64)
		return err_fail(e, ST_INVALID,
		    "option %s: the name is longer than 64 bytes", row->name);
	return ST_OK;
}

static bool
rule_fits(const lz_option *row)
{
	json_t *schema;
	bool is_object;

	switch (row->type) {
	case LZ_BOOL_OPTION:
		return row->rule == NULL;
	case LZ_INT_OPTION:
		return row->rule == NULL || rule_is(row, "duration") ||
		       rule_is(row, "bytes");
	case LZ_REAL_OPTION:
		return row->rule == NULL || rule_is(row, "nano");
	case LZ_TEXT_OPTION:
		return row->rule == NULL || rule_find(row->rule) != NULL;
	case LZ_CHOICE_OPTION:
		return row->rule != NULL && row->rule[0] != '\0';
	case LZ_LIST_OPTION:
		return row->rule == NULL || row->rule[0] != '\0';
	default:
		break;
	}
	if (row->rule == NULL)
		return true;
	schema = json_parse(lz_strz(row->rule), NULL);
	is_object = json_is_object(schema);
	json_decref(schema);
	return is_object;
}

static enum status
check_row(const lz_option *row, struct err *e)
{
	if (check_name(row, e) != ST_OK)
		return ST_INVALID;
	if (row->type >= OPTION_TYPES)
		return err_fail(e, ST_INVALID, "option %s: there is no type %u",
		    row->name, row->type);
	if (row->help == NULL || row->help[0] == '\0')
		return err_fail(e, ST_INVALID, "option %s: has no help text", row->name);
	if (!rule_fits(row))
		return err_fail(e, ST_INVALID,
		    "option %s: the rule \"%s\" does not fit its type", row->name,
		    row->rule != NULL ? row->rule : "");
	if (isnan(row->min) || isnan(row->max) || row->min > row->max)
		return err_fail(
		    e, ST_INVALID, "option %s: its least is above its most", row->name);
	return ST_OK;
}

static enum status
check_default(const lz_option *row, struct err *e)
{
	struct arena *memory;
	struct options_context c = { .is_offline = true };
	enum status st;

	if (row->otherwise == NULL)
		return ST_OK;
	memory = arena_new(1 << 20);
	if (memory == NULL)
		return err_fail(e, ST_NOMEM, "out of memory");
	c.memory = memory;
	st = options_check(row, 1, sizeof(*row), NULL, &c, e);
	arena_free(memory);
	if (st != ST_OK)
		err_prefix(
		    e, "the default of option %s is refused by its own rule", row->name);
	return st;
}

enum status
options_check_rows(const lz_option *rows, uint32_t count, uint32_t stride, struct err *e)
{
	if (count > 0 && stride < sizeof(lz_option))
		return err_fail(
		    e, ST_INVALID, "rows of %u bytes are smaller than an option", stride);
	for (uint32_t i = 0; i < count; i++) {
		const lz_option *row = options_row(rows, stride, i);
		enum status st = check_row(row, e);

		if (st == ST_OK)
			st = check_default(row, e);
		if (st != ST_OK)
			return st;
		for (uint32_t k = 0; k < i; k++) {
			if (strcmp(row->name, options_row(rows, stride, k)->name) == 0)
				return err_fail(e, ST_INVALID,
				    "option %s: there are two of that name", row->name);
		}
	}
	return ST_OK;
}
