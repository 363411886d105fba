/* asker.c - a router that writes into the trace who it was told is asking.
 *
 * SPDX-License-Identifier: MIT
 */
#include <latenza/plugin.h>

static void
note(lz_call *c, const char *name, lz_str value)
{
	(void)lz->tag(c, lz_strz(name), value.ptr != NULL ? value : lz_strz("(absent)"));
}

static int32_t
pick(void *self, lz_call *c)
{
	const lz_request *r = lz->request(c);

	(void)self;
	note(c, "seen-key", r->key);
	note(c, "seen-organization", r->organization);
	note(c, "seen-team", lz->metadata(c, lz_strz("key.team")));
	note(c, "seen-forged", lz->metadata(c, lz_strz("key.forged")));
	return LZ_OK;
}

static const lz_router router = { .size = sizeof(router), .pick = pick };
static const lz_component parts[] = { {
    .kind = LZ_ROUTER,
    .name = "asker",
    .summary = "Notes who asks",
    .vtable = &router,
} };
LZ_PLUGIN("test.asker", "1.0.0", "MIT", parts)
