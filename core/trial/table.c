/* table.c - the host table: services, and what a call may ask about its request. Texts,
 * targets and answers are in the files of their kinds; JSON is the gateway's own
 * (plugin/value.c).
 *
 * SPDX-License-Identifier: MIT
 */
#include "trial/inside.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "base/fold.h"
#include "base/json.h"
#include "base/mem.h"

enum {
	HEADER_SECRETS = 6,
	SHARED = 64
};

static const void *
host_extension(const char *id)
{
	(void)id;
	return NULL;
}

static void
host_log(lz_call *lc, int32_t level, lz_str text)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	struct testhost *h = lc != NULL ? trial_of(lc)->h : trial_now();

	if (level < LZ_DEBUG || level > LZ_ERROR)
		trial_problem(h, "log() with level %d", (int)level);
	else if (h != NULL)
		buf_addf(&h->log, "%s: %.*s\n", names[level], STR_ARG(text));
}

/* ---- metrics ---- */

static uint32_t
host_metric(int32_t kind, const char *name, const char *help)
{
	struct testhost *h = trial_now();
	struct gauge g = { .kind = kind };

	if (h == NULL)
		return 0;
	if (h->self == NULL || h->call != NULL)
		trial_problem(h, "metric() outside of init()");
	if (kind < LZ_COUNTER || kind > LZ_HISTOGRAM || !plugin_name_is_sane(name) ||
	    help == NULL || *help == '\0') {
		trial_problem(
		    h, "metric(): the kind or the name is not one, or help is missing");
		return 0;
	}
	for (size_t i = 0; i < h->gauge_count; i++)
		if (strcmp(h->gauges[i].name, name) == 0)
			return (uint32_t)i + 1;
	g.name = mem_strdup(name);
	LIST_ADD(h->gauges, h->gauge_count, g);
	return (uint32_t)h->gauge_count;
}

static void
host_observe(uint32_t metric, double value)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct testhost *h = trial_now();

	if (h == NULL || metric == 0 || metric > h->gauge_count)
		return;
	(void)pthread_mutex_lock(&lock);
	if (h->gauges[metric - 1].kind == LZ_GAUGE)
		h->gauges[metric - 1].value = value;
	else
		h->gauges[metric - 1].value += value;
	(void)pthread_mutex_unlock(&lock);
}

/* ---- small services ---- */

static int64_t
host_now_unix_ms(void)
{
	const struct testhost *h = trial_now();

	return h != NULL ? h->now_ms : 0;
}

static int32_t
host_hmac(lz_str key, lz_str data, uint8_t out[32])
{
	crypto_hmac(key, data, out);
	return LZ_OK;
}

static int64_t
host_shared_add(lz_str key, int64_t by, uint32_t ttl_s)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct {
		char *key;
		int64_t value, ends_ms;
	} cells[SHARED];
	int64_t now = host_now_unix_ms(), value = by;
	size_t i;

	(void)pthread_mutex_lock(&lock);
	for (i = 0; i + 1 < SHARED && cells[i].key != NULL && !str_is(key, cells[i].key);
	     i++)
		;
	if (cells[i].key == NULL)
		cells[i].key = mem_dup(key.ptr, key.len);
	if (cells[i].ends_ms != 0 && now >= cells[i].ends_ms)
		cells[i].value = cells[i].ends_ms = 0;
	if (cells[i].value == 0 && cells[i].ends_ms == 0 && ttl_s > 0)
		cells[i].ends_ms = now + (int64_t)ttl_s * 1000;
	value = cells[i].value += by;
	(void)pthread_mutex_unlock(&lock);
	return value;
}

/* ---- the call at hand ---- */

static const lz_request *
host_request(lz_call *lc)
{
	struct trial *c = trial_here(lc, "request");

	return c == NULL || strcmp(c->h->component.kind, LZ_SINK) == 0 ? NULL
								       : &c->request;
}

static lz_str
value_of_pair(struct trial *c, const struct pair *p, size_t count, lz_str name)
{
	for (size_t i = 0; i < count; i++)
		if (str_is(name, p[i].name))
			return trial_region_copy(&c->region, lz_strz(p[i].value));
	return STR_NONE;
}

static lz_str
host_header(lz_call *lc, lz_str name)
{
	static const char *const secret[HEADER_SECRETS] = { "authorization",
		"proxy-authorization", "cookie", "x-api-key", "api-key",
		"x-goog-api-key" };
	struct trial *c = trial_here(lc, "header");

	if (c == NULL)
		return STR_NONE;
	for (size_t i = 0; i < HEADER_SECRETS; i++)
		if (str_is(name, secret[i]))
			return STR_NONE;
	return value_of_pair(c, c->h->headers, c->h->header_count, name);
}

static lz_str
host_metadata(lz_call *lc, lz_str key)
{
	struct trial *c = trial_here(lc, "metadata");

	return c == NULL ? STR_NONE
			 : value_of_pair(c, c->h->metadata, c->h->metadata_count, key);
}

static int32_t
host_tag(lz_call *lc, lz_str key, lz_str value)
{
	struct trial *c = trial_here(lc, "tag");
	struct pair p;

	if (c == NULL || key.len == 0)
		return LZ_E_INVALID;
	p.name = mem_dup(key.ptr, key.len);
	p.value = mem_dup(value.ptr, value.len);
	LIST_ADD(c->h->tags, c->h->tag_count, p);
	return LZ_OK;
}

static int32_t
host_budget(lz_call *lc, uint32_t scope, lz_budget *out)
{
	struct trial *c = trial_here(lc, "budget");

	if (c == NULL || scope > LZ_OF_ORGANIZATION || c->h->budget[scope].size == 0)
		return LZ_E_INVALID;
	*out = c->h->budget[scope];
	return LZ_OK;
}

static void *
host_alloc(lz_call *lc, size_t n)
{
	struct trial *c = trial_here(lc, "alloc");

	return c == NULL ? NULL : trial_region_alloc(&c->region, n);
}

static void *
host_keep(lz_call *lc, size_t n)
{
	struct trial *c = trial_here(lc, "keep");

	return c == NULL ? NULL : trial_region_alloc(&c->h->keep, n);
}

static void **
host_slot(lz_call *lc)
{
	struct trial *c = trial_here(lc, "slot");

	return c == NULL ? NULL : &c->h->slot;
}

static void
host_reason(lz_call *lc, lz_str code, lz_str message)
{
	struct trial *c = trial_here(lc, "reason");
	struct testhost_finding f;
	struct said *s;

	if (c == NULL)
		return;
	if (!str_is_utf8(code) || !str_is_utf8(message) || code.len == 0)
		trial_problem(c->h, "reason() whose code is empty, or that is not UTF-8");
	s = &c->h->said;
	for (size_t i = 0; i < s->result.finding_count; i++)
		if (str_eq(s->findings[i].code, code) &&
		    str_eq(s->findings[i].message, message))
			return;
	f.code = trial_copy(c->h, code);
	f.message = trial_copy(c->h, message);
	LIST_ADD(s->findings, s->result.finding_count, f);
}

static void
host_retry_after(lz_call *lc, uint32_t ms)
{
	struct trial *c = trial_here(lc, "retry_after");

	if (c != NULL)
		c->retry_after_ms = ms;
}

static int32_t
host_limit_output(lz_call *lc, int64_t tokens)
{
	struct trial *c = trial_here(lc, "limit_output");
	int64_t *limit;

	if (c == NULL || tokens < 0)
		return LZ_E_INVALID;
	limit = &c->h->said.result.output_limit;
	if (*limit < 0 || tokens < *limit)
		*limit = tokens;
	return LZ_OK;
}

/* ---- bodies ---- */

static lz_str
host_raw(lz_call *lc)
{
	struct trial *c = trial_here(lc, "raw");

	return c == NULL || c->h->body == NULL
		   ? STR_NONE
		   : trial_region_show(&c->region, lz_strz(c->h->body));
}

static const lz_json *
host_body(lz_call *lc)
{
	struct trial *c = trial_here(lc, "body");

	if (c == NULL)
		return NULL;
	return (const lz_json *)(const void *)(c->edit != NULL ? c->edit : c->body);
}

static lz_json *
host_edit(lz_call *lc)
{
	struct trial *c = trial_here(lc, "edit");

	if (c == NULL || c->body == NULL)
		return NULL;
	if (strcmp(c->h->component.kind, LZ_ROUTER) == 0 ||
	    strcmp(c->h->component.kind, LZ_SINK) == 0) {
		trial_problem(c->h, "edit(): a router or sink reads the body only");
		return NULL;
	}
	if (c->edit == NULL)
		c->edit = json_deep_copy(c->body);
	return (lz_json *)(void *)c->edit;
}

const lz_host *
trial_table(void)
{
	static lz_host t;

	if (t.size != 0)
		return &t;
	t = (lz_host){ .size = sizeof(t),
		.abi_major = LZ_ABI_MAJOR,
		.abi_minor = LZ_ABI_MINOR,
		.version = LATENZA_VERSION,
		.extension = host_extension,
		.log = host_log,
		.metric = host_metric,
		.observe = host_observe,
		.now_unix_ms = host_now_unix_ms,
		.random = crypto_random,
		.hmac_sha256 = host_hmac,
		.plain = fold_plain,
		.request = host_request,
		.header = host_header,
		.metadata = host_metadata,
		.tag = host_tag,
		.budget = host_budget,
		.shared_add = host_shared_add,
		.alloc = host_alloc,
		.keep = host_keep,
		.slot = host_slot,
		.reason = host_reason,
		.retry_after = host_retry_after,
		.raw = host_raw,
		.body = host_body,
		.edit = host_edit,
		.limit_output = host_limit_output };
	value_fill(&t);
	trial_fill_later(&t);
	trial_fill_guardrail(&t);
	trial_fill_router(&t);
	trial_fill_provider(&t);
	return &t;
}
