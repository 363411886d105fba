/* anthropic.c - Anthropic's Messages API behind OpenAI's chat completions.
 *
 * request.c makes the request, answer.c and stream.c translate what comes back, fault.c
 * says whose fault a refusal is. README.md has the rules as tables; what a rule leaves
 * out is told to the caller by lz->dropped(), what cannot be served is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "anthropic.h"

static const lz_option options[] = {
	LZ_OPT_CHOICE(struct anthropic, thinking, "auto", "auto|budget|adaptive|never",
	    "how reasoning_effort is sent; auto: as the model's generation takes it"),
	LZ_OPT_TEXT(struct anthropic, beta, "", "header", "sent as anthropic-beta"),
};
static const lz_provider provider = {
	.size = sizeof(provider),
	.needs = LZ_NEEDS_BODY,
	.framing = LZ_SSE,
	.routes = "chat",
	.build = request_build,
	.reply = answer_reply,
	.event = stream_event,
	.end = stream_end,
	.classify = fault_classify,
	.base_url = "https://api.anthropic.com/v1",
};
static const lz_component parts[] = { {
    .kind = LZ_PROVIDER,
    .name = "anthropic",
    .summary = "Anthropic's Messages API",
    .vtable = &provider,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct anthropic),
} };
LZ_PLUGIN("anthropic", "0.1.0", "MIT", parts)
