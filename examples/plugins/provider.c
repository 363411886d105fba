/* provider.c - the smallest provider: a server that speaks OpenAI, but takes its key in a
 * header of its own.
 *
 * Everything that is not said here the host does as OpenAI does it: the path, the body,
 * the stream, the errors.
 *
 * SPDX-License-Identifier: MIT
 */
#include <latenza/plugin.h>

static int32_t
build(void *self, lz_call *c, lz_http *out)
{
	lz_header *h = lz->alloc(c, 2 * sizeof(*h));

	(void)self;
	if (h == NULL)
		return LZ_E_NOMEM;
	h[0] = lz_head(lz_strz("content-type"), lz_strz("application/json"));
	h[1] = lz_head(lz_strz("x-acme-key"), lz->credential(c));
	out->headers = h;
	out->header_count = 2;
	return LZ_OK;
}

static const lz_provider provider = { .size = sizeof(provider), .build = build };
static const lz_component parts[] = { {
    .kind = LZ_PROVIDER,
    .name = "acme",
    .summary = "Acme's models",
    .vtable = &provider,
} };
LZ_PLUGIN("acme.provider", "1.0.0", "MIT", parts)
