/* site.c - the smallest site: one page under /hello/ on the admin listener.
 *
 * SPDX-License-Identifier: MIT
 */
#include <latenza/plugin.h>

static const char page[] =
    "<!doctype html><title>Hello</title><p>Hello from a plugin.</p>\n";

static const lz_file files[] = {
	{ "index.html", "text/html; charset=utf-8", "hello-1", page, sizeof(page) - 1,
	    0 },
};
static const lz_site site = { sizeof(site), sizeof(lz_file),
	sizeof(files) / sizeof(files[0]), files };
static const lz_component parts[] = { {
    .kind = LZ_SITE,
    .name = "hello",
    .summary = "A page that says hello",
    .vtable = &site,
} };
LZ_PLUGIN("acme.hello", "1.0.0", "MIT", parts)
