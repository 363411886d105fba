/* sink.c - the smallest sink: says each batch of events in the gateway's log.
 *
 * SPDX-License-Identifier: MIT
 */
#include <latenza/plugin.h>

static int32_t
deliver(void *self, lz_call *c)
{
	(void)self;
	lz->log(c, LZ_INFO, lz->json_text(c, lz->body(c)));
	return LZ_OK;
}

static const lz_sink sink = { .size = sizeof(sink), .max_batch = 10, .deliver = deliver };
static const lz_component parts[] = { {
    .kind = LZ_SINK,
    .name = "log",
    .summary = "Events into the gateway's log",
    .vtable = &sink,
} };
LZ_PLUGIN("acme.log", "1.0.0", "MIT", parts)
