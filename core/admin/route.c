/* route.c - who would serve a request, asked of a running gateway: breakers, averages and
 * budgets are what they are there.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/rows.h"

#include "base/json.h"

enum status
route_explain(
    struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	json_t *table = NULL;
	enum status st;

	if (c->gateway == NULL)
		return err_fail(e, ST_NOT_FOUND,
		    "no gateway serves %s, and only one that runs knows who is well; "
		    "start it with `latenza serve`",
		    c->data->path);
	st = c->gateway->explain(c->gateway->arg, json_get_str(args, "key"),
	    json_object_get(args, "body"), json_get_str(args, "strategy"), &table, e);
	if (st == ST_OK)
		json_object_update(result, table);
	json_decref(table);
	return st;
}
