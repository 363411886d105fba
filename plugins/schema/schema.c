/* schema.c - a guardrail: the answer has to match a JSON Schema.
 *
 * compile.c reads schemas, validate.c applies them, check.c decides; see README.md.
 *
 * SPDX-License-Identifier: MIT
 */
#include "schema.h"

#include <stdio.h>

static int32_t
init(void *self, char *err, size_t err_len)
{
	struct guard *g = self;
	char why[WHY_BYTES];
	int32_t rc;

	if (g->schema == NULL)
		return LZ_OK;
	rc = schema_compile(g->schema, true, &g->compiled, why, sizeof(why));
	if (rc != LZ_OK)
		(void)snprintf(err, err_len, "schema: %s", why);
	return rc;
}

static void
fini(void *self)
{
	struct guard *g = self;

	schema_free(g->compiled);
}

static const lz_option options[] = {
	LZ_OPT_JSON(struct guard, schema, NULL,
	    "what the answer has to match; absent: what response_format asks for"),
	LZ_OPT_CHOICE(struct guard, action, "block", "block|flag",
	    "what an answer that does not match leads to"),
	LZ_OPT_BOOL(struct guard, repair, "false",
	    "ask once more before that, and say what is wrong"),
	LZ_OPT_BOOL(
	    struct guard, unwrap, "false", "take JSON out of a Markdown fence around it"),
	LZ_OPT_BOOL(struct guard, tools, "false",
	    "arguments of tool calls have to match the parameters that were declared"),
	LZ_OPT_INT(struct guard, max_steps, "100000", 1000, 100000000, NULL,
	    "schemas applied, values compared, items of expressions tried; more is an "
	    "error"),
};
static const lz_guardrail guardrail = {
	.size = sizeof(guardrail),
	.phases = LZ_REQUEST | LZ_RESPONSE,
	.needs = LZ_NEEDS_TEXTS | LZ_NEEDS_BODY,
	.check = guard_check,
};
static const lz_component parts[] = { {
    .kind = LZ_GUARDRAIL,
    .name = "schema",
    .summary = "Answers match a JSON Schema",
    .vtable = &guardrail,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct guard),
    .init = init,
    .fini = fini,
} };
LZ_PLUGIN("schema", "0.1.0", "MIT", parts)
