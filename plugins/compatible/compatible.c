/* compatible.c - any server that speaks OpenAI's chat completions: vLLM, Ollama,
 * llama.cpp, LM Studio, gateways.
 *
 * The host does all of it; what differs from server to server is how the output limit is
 * called.
 *
 * SPDX-License-Identifier: MIT
 */
#include <latenza/plugin.h>

struct compatible {
	int32_t max_tokens_field;
};

enum {
	AS_SENT,
	MAX_TOKENS,
	MAX_COMPLETION_TOKENS
};

static int32_t
build(void *self, lz_call *c, lz_http *out)
{
	const struct compatible *s = self;

	(void)out;
	if (s->max_tokens_field == MAX_TOKENS)
		return lz->limit_as(c, lz_strz("max_tokens"));
	if (s->max_tokens_field == MAX_COMPLETION_TOKENS)
		return lz->limit_as(c, lz_strz("max_completion_tokens"));
	return LZ_OK;
}

static const lz_option options[] = {
	LZ_OPT_CHOICE(struct compatible, max_tokens_field, "as_sent",
	    "as_sent|max_tokens|max_completion_tokens",
	    "what the server calls the output limit; as_sent: what the caller wrote"),
};
static const lz_provider provider = {
	.size = sizeof(provider),
	.framing = LZ_SSE,
	.routes = "chat embeddings",
	.build = build,
};
static const lz_component parts[] = { {
    .kind = LZ_PROVIDER,
    .name = "compatible",
    .summary = "Any server that speaks OpenAI's chat completions or embeddings",
    .vtable = &provider,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct compatible),
} };
LZ_PLUGIN("compatible", "0.1.0", "MIT", parts)
