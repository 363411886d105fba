/* router.c - the smallest router: targets of one region first, the others behind them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <latenza/plugin.h>

struct options {
	lz_str region;
};

static int
is_near(const struct options *r, const lz_target *t)
{
	return t->region.len == r->region.len &&
	       memcmp(t->region.ptr, r->region.ptr, r->region.len) == 0;
}

static int32_t
pick(void *self, lz_call *c)
{
	const struct options *r = self;

	for (int far = 0; far <= 1; far++)
		for (size_t i = 0; i < lz->targets(c); i++)
			if (is_near(r, lz->target(c, i)) != far)
				(void)lz->prefer(
				    c, i, far, lz_strz(far ? "elsewhere" : "near"));
	return LZ_OK;
}

static const lz_option options[] = {
	LZ_OPT_TEXT(struct options, region, "eu", NULL, "the region to prefer"),
};
static const lz_router router = { .size = sizeof(router), .pick = pick };
static const lz_component parts[] = { {
    .kind = LZ_ROUTER,
    .name = "near",
    .summary = "Targets of one region first",
    .vtable = &router,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct options),
} };
LZ_PLUGIN("acme.near", "1.0.0", "MIT", parts)
