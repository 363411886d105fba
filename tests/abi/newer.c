/* newer.c - a plugin of a later SDK: every struct that it gives has more members than
 * ours, and there is a kind beside ours that nobody knows yet.
 *
 * SPDX-License-Identifier: MIT
 */
#include <latenza/plugin.h>

struct more {
	const void *a, *b;
	uint64_t c;
};
struct own {
	int64_t first, second;
};
#define MORE                                                                             \
	{                                                                                \
		"later", "later", UINT64_MAX                                             \
	}

struct newer_option {
	lz_option known;
	struct more later;
};
struct newer_router {
	lz_router known;
	struct more later;
};
struct newer_component {
	lz_component known;
	struct more later;
};
struct newer_plugin {
	lz_plugin known;
	struct more later;
};

static int32_t
pick(void *self, lz_call *c)
{
	(void)self;
	(void)c;
	return LZ_OK;
}

static const struct newer_option options[] = {
	{ LZ_OPT_INT(struct own, first, "1111", 0, 9999, NULL, "one"), MORE },
	{ LZ_OPT_INT(struct own, second, "2222", 0, 9999, NULL, "two"), MORE },
};
static const struct newer_router router = {
	{ .size = sizeof(struct newer_router), .pick = pick }, MORE
};
#define PART(KIND, NAME)                                                                 \
	{                                                                                \
		{ .kind = KIND,                                                          \
			.name = NAME,                                                    \
			.summary = "x",                                                  \
			.vtable = &router,                                               \
			.options = &options[0].known,                                    \
			.option_count = 2,                                               \
			.option_size = sizeof(options[0]),                               \
			.instance_size = sizeof(struct own) },                           \
		    MORE                                                                 \
	}
static const struct newer_component parts[] = { PART("teleporter/7", "newer-first"),
	PART(LZ_ROUTER, "newer-second") };
static const struct newer_plugin plugin = {
	{ LZ_MAGIC, sizeof(struct newer_plugin), LZ_ABI_MAJOR, LZ_ABI_MINOR, "newer",
	    "1.0.0", "MIT", &parts[0].known, sizeof(parts[0]), 2, 0, 0 },
	MORE
};
const lz_host *lz;

const lz_plugin *
latenza_plugin_v0(const lz_host *host)
{
	lz = host;
	return &plugin.known;
}
