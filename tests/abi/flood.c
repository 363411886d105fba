/* flood.c - a provider that writes 64 MiB within one call, or as much as is taken: what
 * bounds it is the host.
 *
 * SPDX-License-Identifier: MIT
 */
#include <latenza/plugin.h>

enum {
	CHUNKS = 1024,
	CHUNK_BYTES = 65536
};

static int32_t
build(void *self, lz_call *c, lz_http *out)
{
	char *text = lz->alloc(c, CHUNK_BYTES);
	lz_json *chunk = lz->json_new(c, LZ_OBJECT);
	int32_t result = LZ_OK;

	(void)self;
	(void)out;
	if (text == NULL)
		return LZ_E_NOMEM;
	memset(text, 'x', CHUNK_BYTES);
	(void)lz->json_put(c, chunk, "/choices/0/delta/content",
	    lz->json_of_str(c, lz_strn(text, CHUNK_BYTES)));
	for (int i = 0; i < CHUNKS && result == LZ_OK; i++)
		result = lz->emit(c, chunk);
	return result == LZ_OK ? LZ_ANSWERED : result;
}

static const lz_provider provider = { .size = sizeof(provider), .build = build };
static const lz_component parts[] = { {
    .kind = LZ_PROVIDER,
    .name = "flood",
    .summary = "Writes and writes",
    .vtable = &provider,
} };
LZ_PLUGIN("test.flood", "1.0.0", "MIT", parts)
