/* route.c - what only a running gateway can answer: who would serve a request, where
 * breakers, averages and budgets are what they are there; and what guardrails make of a
 * text.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/rows.h"

#include "base/json.h"

enum status
gateway_wanted(
    struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	(void)args;
	(void)result;
	return err_fail(e, ST_NOT_FOUND,
	    "no gateway serves %s, and only one that runs can answer this; start it with "
	    "`latenza serve`",
	    c->data->path);
}

void
route_explain(const struct command_gateway *g, const json_t *args,
    command_heard_fn *heard, void *arg)
{
	g->explain(g->arg, args, heard, arg);
}
