/* stalling.c - a router that holds its worker for 50 ms, which nobody should do.
 *
 * SPDX-License-Identifier: MIT
 */
#include <unistd.h>

#include <latenza/plugin.h>

static int32_t
pick(void *self, lz_call *c)
{
	(void)self;
	(void)c;
	usleep(50000);
	return LZ_OK;
}

static const lz_router router = { .size = sizeof(router), .pick = pick };
static const lz_component parts[] = { { .kind = LZ_ROUTER,
    .name = "stalling",
    .summary = "Holds its worker",
    .vtable = &router } };
LZ_PLUGIN("test.stalling", "1.0.0", "MIT", parts)
