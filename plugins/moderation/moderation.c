/* moderation.c - a guardrail that asks an OpenAI-compatible moderation endpoint.
 *
 * Inputs go out in batches, a few at a time. The first that says block, or that fails,
 * decides; what is under way then is cancelled by the host.
 *
 * SPDX-License-Identifier: MIT
 */
#include "moderation.h"

#include <stdlib.h>

enum {
	AT_ONCE = 4 /* batches under way */
};

struct asking {
	const struct moderation *m;
	struct inputs in;
	size_t next; /* input that has not been sent */
	unsigned under_way;
	int32_t verdict;
	bool is_over;
};

struct batch {
	struct asking *a;
	size_t count;
};

static void answered(lz_call *c, const lz_reply *r, void *ud);

static lz_str
body_of(const struct asking *a, lz_call *c, size_t count)
{
	lz_json *body = lz->json_new(c, LZ_OBJECT), *list = lz->json_new(c, LZ_ARRAY);
	lz_str none = { NULL, 0 };

	for (size_t i = 0; i < count; i++)
		if (lz->json_put(c, list, "/-",
			lz->json_of_str(c, a->in.item[a->next + i])) != LZ_OK)
			return none;
	if (a->m->model.len > 0 && lz->json_set(c, body, lz_strz("model"),
				       lz->json_of_str(c, a->m->model)) != LZ_OK)
		return none;
	if (lz->json_set(c, body, lz_strz("input"), list) != LZ_OK)
		return none;
	return lz->json_text(c, body);
}

static int32_t
send_batch(struct asking *a, lz_call *c)
{
	size_t left = a->in.count - a->next;
	size_t count = left < (size_t)a->m->batch ? left : (size_t)a->m->batch;
	struct batch *b = lz->alloc(c, sizeof(*b));
	const struct ask q = { a->m->url, a->m->authorization, a->m->timeout_ms };
	lz_str body = body_of(a, c, count);
	int32_t rc;

	if (b == NULL || body.ptr == NULL)
		return LZ_E_NOMEM;
	*b = (struct batch){ a, count };
	rc = ask(&q, c, body, NULL, 0, answered, b);
	if (rc != LZ_PENDING)
		return rc;
	a->next += count;
	a->under_way++;
	return LZ_OK;
}

static int32_t
send_more(struct asking *a, lz_call *c)
{
	int32_t rc = LZ_OK;

	while (rc == LZ_OK && a->under_way < AT_ONCE && a->next < a->in.count)
		rc = send_batch(a, c);
	return rc;
}

static void
answered(lz_call *c, const lz_reply *r, void *ud)
{
	const struct batch *b = ud;
	struct asking *a = b->a;
	int32_t one;

	a->under_way--;
	if (a->is_over)
		return;
	one = verdict_of(a->m, c, r, b->count);
	if (one == LZ_FLAG)
		a->verdict = LZ_FLAG;
	if (one == LZ_OK || one == LZ_FLAG) {
		one = send_more(a, c);
		if (one == LZ_OK && a->under_way > 0)
			return;
	}
	a->is_over = true;
	lz->finish(c, one == LZ_OK ? a->verdict : one);
}

static int32_t
check(void *self, lz_call *c)
{
	struct asking *a = lz->alloc(c, sizeof(*a));
	int32_t rc;

	if (a == NULL)
		return LZ_E_NOMEM;
	a->m = self;
	rc = inputs_of(a->m, c, &a->in);
	if (rc != LZ_OK || a->in.count == 0)
		return rc;
	rc = send_more(a, c);
	if (rc == LZ_OK)
		return LZ_PENDING;
	a->is_over = true; /* of what was sent, the answers do not matter */
	return rc;
}

static int32_t
init(void *self, char *err, size_t err_len)
{
	struct moderation *m = self;
	int32_t rc = verdict_vet(m, err, err_len);

	return rc == LZ_OK ? ask_bearer(m->api_key, &m->authorization) : rc;
}

static void
fini(void *self)
{
	struct moderation *m = self;

	free(m->authorization);
}

static const lz_option options[] = {
	LZ_OPT_TEXT(struct moderation, url, NULL, "url",
	    "the endpoint, whole: https://HOST/v1/moderations"),
	LZ_OPT_TEXT(struct moderation, api_key, "", "token",
	    "sent as a bearer token; may be absent"),
	LZ_OPT_TEXT(struct moderation, model, "", NULL,
	    "the model to ask for; absent: the service's own choice"),
	LZ_OPT_REAL(struct moderation, limit, "0", 0, 1,
	    "the score from which a category holds; 0: as the service judges"),
	LZ_OPT_JSON(struct moderation, thresholds, "{\"type\":\"object\"}",
	    "the same for single categories: a map of category and score"),
	LZ_OPT_LIST(struct moderation, block, "[\"*\"]", NULL,
	    "categories that refuse; a name may end in *"),
	LZ_OPT_LIST(struct moderation, flag, "[]", NULL,
	    "categories that are only noted; a name may end in *"),
	LZ_OPT_CHOICE(struct moderation, texts, "all", "all|last_user",
	    "what is sent of a request"),
	LZ_OPT_CHOICE(struct moderation, form, "written", "written|plain|both",
	    "texts as they are written, normalised, or both where they differ"),
	LZ_OPT_INT(struct moderation, timeout_ms, "1500", 1, 600000, "duration",
	    "how long one answer of the service may take"),
	LZ_OPT_INT(struct moderation, chunk_bytes, "8KB", 1024, 1048576, "bytes",
	    "longer texts are sent in pieces of so much"),
	LZ_OPT_INT(
	    struct moderation, batch, "32", 1, 1000, NULL, "inputs in one request"),
	LZ_OPT_INT(struct moderation, max_bytes, "1MB", 1024, 33554432, "bytes",
	    "more text than that in one check is an error"),
};
static const lz_guardrail guardrail = {
	.size = sizeof(guardrail),
	.phases = LZ_REQUEST | LZ_RESPONSE,
	.needs = LZ_NEEDS_TEXTS,
	.check = check,
};
static const lz_component parts[] = { {
    .kind = LZ_GUARDRAIL,
    .name = "moderation",
    .summary = "Ask an OpenAI-compatible moderation endpoint",
    .vtable = &guardrail,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct moderation),
    .init = init,
    .fini = fini,
} };
LZ_PLUGIN("moderation", "0.1.0", "MIT", parts)
