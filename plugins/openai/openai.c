/* openai.c - OpenAI's own API: its headers, the name of its output limit, and whose fault
 * its refusals are.
 *
 * Everything else about the wire is what the host does anyway. Nothing here builds a
 * tree: the body goes through as it came, so a long prompt costs no more here than at a
 * server that merely resembles OpenAI.
 *
 * SPDX-License-Identifier: MIT
 */
#include <latenza/plugin.h>

struct openai {
	lz_str organization, project;
};

enum {
	HEADERS = 4
};

static int
has_prefix(lz_str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.len >= n && memcmp(s.ptr, prefix, n) == 0;
}

/* o1, o3-mini, gpt-5, gpt-5.1 ...: these refuse max_tokens with a 400. "gpt-4o" and
 * "omni-..." are not meant. */
static int
wants_new_limit(lz_str model)
{
	int generation = 0;

	if (model.len >= 2 && model.ptr[0] == 'o' && model.ptr[1] >= '1' &&
	    model.ptr[1] <= '9')
		return 1;
	if (!has_prefix(model, "gpt-"))
		return 0;
	for (size_t i = strlen("gpt-"); i < model.len && model.ptr[i] >= '0' &&
					model.ptr[i] <= '9' && generation < 100;
	     i++)
		generation = generation * 10 + (model.ptr[i] - '0');
	return generation >= 5;
}

static int
says_its_model(lz_str name)
{
	return has_prefix(name, "gpt-") || wants_new_limit(name);
}

/* A deployment may be called anything ("prod-5"): then the name that requests use for it
 * decides, and what is known of the model behind both, which reasons or does not. */
static int
is_of_new_kind(const lz_target *t)
{
	if (says_its_model(t->upstream_model))
		return wants_new_limit(t->upstream_model);
	if (says_its_model(t->model))
		return wants_new_limit(t->model);
	return (t->capabilities & LZ_CAN_REASON) != 0;
}

static lz_str
bearer(lz_call *c)
{
	static const char word[] = "Bearer ";
	lz_str key = lz->credential(c);
	char *p = lz->alloc(c, sizeof(word) - 1 + key.len);

	if (p == NULL)
		return lz_strn(NULL, 0);
	memcpy(p, word, sizeof(word) - 1);
	memcpy(p + sizeof(word) - 1, key.ptr != NULL ? key.ptr : "", key.len);
	return lz_strn(p, sizeof(word) - 1 + key.len);
}

/* Headers are all or nothing: without an organization or a project the host's own two are
 * right. */
static int32_t
add_headers(const struct openai *o, lz_call *c, lz_http *out)
{
	lz_header *h = lz->alloc(c, HEADERS * sizeof(*h));
	lz_str authorization = bearer(c);
	size_t n = 0;

	if (h == NULL || authorization.ptr == NULL)
		return LZ_E_NOMEM;
	h[n++] = lz_head(lz_strz("content-type"), lz_strz("application/json"));
	h[n++] = lz_head(lz_strz("authorization"), authorization);
	if (o->organization.len > 0)
		h[n++] = lz_head(lz_strz("openai-organization"), o->organization);
	if (o->project.len > 0)
		h[n++] = lz_head(lz_strz("openai-project"), o->project);
	out->headers = h;
	out->header_count = n;
	return LZ_OK;
}

static int32_t
build(void *self, lz_call *c, lz_http *out)
{
	const struct openai *o = self;
	const lz_target *target = lz->chosen(c);

	/* What other providers' turns carry for their own next one: OpenAI refuses
	 * members of messages that it does not know. */
	(void)lz->leave_out(c, lz_strz("extra_content"));
	(void)lz->leave_out(c, lz_strz("reasoning_content"));
	if (target != NULL && is_of_new_kind(target))
		(void)lz->limit_as(c, lz_strz("max_completion_tokens"));
	if (o->organization.len == 0 && o->project.len == 0)
		return LZ_OK;
	return add_headers(o, c, out);
}

/* Codes that say more than the status. */
static const struct {
	const char *code;
	int32_t upstream;
} codes[] = {
	{ "insufficient_quota", LZ_UPSTREAM_QUOTA },
	{ "billing_hard_limit_reached", LZ_UPSTREAM_QUOTA },
	{ "billing_not_active", LZ_UPSTREAM_QUOTA },
	{ "context_length_exceeded", LZ_UPSTREAM_CONTEXT },
	{ "string_above_max_length", LZ_UPSTREAM_CONTEXT },
	{ "content_policy_violation", LZ_UPSTREAM_FILTERED },
	{ "content_filter", LZ_UPSTREAM_FILTERED },
	{ "invalid_api_key", LZ_UPSTREAM_AUTH },
	{ "account_deactivated", LZ_UPSTREAM_AUTH },
	{ "model_not_found", LZ_UPSTREAM_UNABLE },
	{ "DeploymentNotFound", LZ_UPSTREAM_UNABLE }, /* Azure's word for it */
};

static int32_t
classify(void *self, lz_call *c, const lz_reply *r, lz_fault *out)
{
	const lz_json *error = lz->json_at(lz->json_parse(c, r->body), "/error");
	lz_str message = lz->json_str(lz->json_at(error, "/message"), lz_strz(""));
	lz_str code = lz->json_str(lz->json_at(error, "/code"),
	    lz->json_str(lz->json_at(error, "/type"), lz_strz("")));

	(void)self;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (lz_eq(code, codes[i].code))
			out->upstream = codes[i].upstream;
	/* A 429 that no waiting cures: the request alone is more than the account may
	 * send in a minute. */
	if (r->status == 429 && has_prefix(message, "Request too large"))
		out->upstream = LZ_UPSTREAM_UNABLE;
	return LZ_OK;
}

static const lz_option options[] = {
	LZ_OPT_TEXT(
	    struct openai, organization, "", "header", "sent as openai-organization"),
	LZ_OPT_TEXT(struct openai, project, "", "header", "sent as openai-project"),
};
static const lz_provider provider = {
	.size = sizeof(provider),
	.framing = LZ_SSE,
	.routes = "chat embeddings",
	.build = build,
	.classify = classify,
	.base_url = "https://api.openai.com/v1",
};
static const lz_component parts[] = { {
    .kind = LZ_PROVIDER,
    .name = "openai",
    .summary = "OpenAI",
    .vtable = &provider,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct openai),
} };
LZ_PLUGIN("openai", "0.1.0", "MIT", parts)
