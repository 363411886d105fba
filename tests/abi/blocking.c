/* blocking.c - a guardrail that holds its worker for as long as the test says, which
 * nobody should do.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <unistd.h>

#include <latenza/plugin.h>

struct blocking {
	lz_str entered, until; /* files: made when it is entered; waited for */
};

static int32_t
check(void *self, lz_call *c)
{
	const struct blocking *b = self;
	char entered[4096], until[4096];
	FILE *f;

	(void)c;
	(void)snprintf(
	    entered, sizeof(entered), "%.*s", (int)b->entered.len, b->entered.ptr);
	(void)snprintf(until, sizeof(until), "%.*s", (int)b->until.len, b->until.ptr);
	f = fopen(entered, "w");
	if (f == NULL)
		return LZ_E_FAIL;
	(void)fclose(f);
	while (access(until, F_OK) != 0)
		(void)usleep(10000);
	return LZ_OK;
}

static const lz_option options[] = {
	LZ_OPT_TEXT(struct blocking, entered, "", NULL, "a file that says so"),
	LZ_OPT_TEXT(struct blocking, until, "", NULL, "a file that ends it"),
};
static const lz_guardrail guardrail = {
	.size = sizeof(guardrail), .phases = LZ_REQUEST, .check = check
};
static const lz_component parts[] = { { .kind = LZ_GUARDRAIL,
    .name = "blocking",
    .summary = "Holds its worker",
    .vtable = &guardrail,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct blocking) } };
LZ_PLUGIN("test.blocking", "1.0.0", "MIT", parts)
