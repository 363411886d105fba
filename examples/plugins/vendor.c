/* vendor.c - a vendor that is nearly OpenAI: a key and a version in headers of its own,
 * another name for the output limit, no `seed`, its own usage and its own errors.
 *
 * What is not said here the host does as OpenAI does it: path, body, stream, tools.
 *
 * SPDX-License-Identifier: MIT
 */
#include <latenza/plugin.h>

static int32_t
build(void *self, lz_call *c, lz_http *out)
{
	lz_header *h = lz->alloc(c, 3 * sizeof(*h));

	(void)self;
	if (h == NULL)
		return LZ_E_NOMEM;
	h[0] = lz_head(lz_strz("content-type"), lz_strz("application/json"));
	h[1] = lz_head(lz_strz("x-acme-key"), lz->credential(c));
	h[2] = lz_head(lz_strz("acme-version"), lz_strz("2026-01"));
	out->headers = h;
	out->header_count = 3;
	if (lz->json_at(lz->body(c), "/seed") != NULL) {
		lz->json_put(c, lz->edit(c), "/seed", NULL);
		lz->dropped(c, lz_strz("seed"));
	}
	return lz->limit_as(c, lz_strz("output_tokens"));
}

/* The whole answer, or a chunk: OpenAI's, but for {"meter":{"in":7,"cached":2,"out":5}}.
 */
static int32_t
take(lz_call *c, const lz_json *j)
{
	const lz_json *meter = lz->json_at(j, "/meter");
	lz_usage u = { .size = sizeof(u) };

	if (j == NULL)
		return LZ_E_FAIL;
	u.cache_read = lz->json_int(lz->json_at(meter, "/cached"), 0);
	u.input = lz->json_int(lz->json_at(meter, "/in"), 0) - u.cache_read;
	u.output = lz->json_int(lz->json_at(meter, "/out"), 0);
	return meter != NULL && lz->usage(c, &u) < 0 ? LZ_E_FAIL : lz->emit(c, j);
}

static int32_t
reply(void *self, lz_call *c, const lz_reply *r)
{
	(void)self;
	return take(c, lz->json_parse(c, r->body));
}

static int32_t
event(void *self, lz_call *c, lz_str name, lz_str data)
{
	(void)self;
	return lz_eq(name, "ping") ? LZ_OK : take(c, lz->json_parse(c, data));
}

static int32_t
classify(void *self, lz_call *c, const lz_reply *r, lz_fault *out)
{
	const lz_json *body = lz->json_parse(c, r->body);
	lz_str problem = lz->json_str(lz->json_at(body, "/problem"), lz_strz(""));

	(void)self;
	if (lz_eq(problem, "out_of_credit"))
		out->upstream = LZ_UPSTREAM_QUOTA;
	else if (lz_eq(problem, "prompt_too_long"))
		out->upstream = LZ_UPSTREAM_CONTEXT;
	return LZ_OK;
}

static const lz_provider provider = { sizeof(provider), LZ_NEEDS_BODY, LZ_SSE, 0, "chat",
	build, reply, event, NULL, classify, "https://api.acme.test/v1" };
static const lz_component parts[] = { { LZ_PROVIDER, "vendor", "A vendor nearly OpenAI",
    &provider, NULL, 0, 0, 0, 0, NULL, NULL } };
LZ_PLUGIN("acme.vendor", "1.0.0", "MIT", parts)
