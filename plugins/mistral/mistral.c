/* mistral.c - Mistral's API: OpenAI's dialect behind a closed schema.
 *
 * What a request may say is request.c's table, how messages must look messages.c's; what
 * comes back differently is answer.c's, and the six shapes of an error are error.c's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mistral.h"

static int32_t
build(void *self, lz_call *c, lz_http *out)
{
	(void)self;
	if (lz_eq(lz->request(c)->route, "embeddings"))
		return build_embeddings(c, out);
	return build_chat(c, out);
}

static const lz_provider provider = {
	.size = sizeof(provider),
	.needs = LZ_NEEDS_BODY,
	.framing = LZ_SSE,
	.routes = "chat embeddings",
	.build = build,
	.reply = answer_reply,
	.event = answer_event,
	.classify = error_classify,
	.base_url = "https://api.mistral.ai/v1",
};
static const lz_component parts[] = { {
    .kind = LZ_PROVIDER,
    .name = "mistral",
    .summary = "Mistral",
    .vtable = &provider,
} };
LZ_PLUGIN("mistral", "0.1.0", "MIT", parts)
