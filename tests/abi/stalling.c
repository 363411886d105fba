/* stalling.c - a router that holds its worker, which nobody should do: for 50 ms, or
 * until a file is there.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <unistd.h>

#include <latenza/plugin.h>

enum {
	LONGEST = 60000 /* of a millisecond */
};

struct stalling {
	lz_str until;
};

static int32_t
pick(void *self, lz_call *c)
{
	const struct stalling *s = self;
	char path[4096];

	(void)c;
	if (s->until.len == 0) {
		usleep(50000);
		return LZ_OK;
	}
	(void)snprintf(path, sizeof(path), "%.*s", (int)s->until.len, s->until.ptr);
	for (int i = 0; i < LONGEST && access(path, F_OK) != 0; i++)
		usleep(1000);
	return LZ_OK;
}

static const lz_option options[] = {
	LZ_OPT_TEXT(struct stalling, until, "", NULL, "hold it until this file is there"),
};
static const lz_router router = { .size = sizeof(router), .pick = pick };
static const lz_component parts[] = { { .kind = LZ_ROUTER,
    .name = "stalling",
    .summary = "Holds its worker",
    .vtable = &router,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct stalling) } };
LZ_PLUGIN("test.stalling", "1.0.0", "MIT", parts)
