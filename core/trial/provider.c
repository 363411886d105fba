/* provider.c - one attempt of a provider: the request that it builds, made whole as the
 * gateway does it, and what it says of the answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trial/inside.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"

enum {
	ATTEMPT_MS = 60000,
	BODY_BYTES = 64 << 20
};
#define BASE_URL "http://test.invalid/v1"

/* ---- the functions of the table ---- */

static struct trial *
provider_call(lz_call *lc, const char *function, bool in_build)
{
	struct trial *c = trial_here(lc, function);

	if (c == NULL)
		return NULL;
	if (strcmp(c->h->component.kind, LZ_PROVIDER) != 0)
		trial_problem(c->h, "%s() is for providers", function);
	else if (in_build && !c->is_building)
		trial_problem(c->h, "%s() outside of build()", function);
	else
		return c;
	return NULL;
}

static const lz_target *
host_chosen(lz_call *lc)
{
	struct trial *c = provider_call(lc, "chosen", false);

	return c == NULL ? NULL : &c->targets[0];
}

static lz_str
host_credential(lz_call *lc)
{
	struct trial *c = provider_call(lc, "credential", false);

	return c == NULL ? STR_NONE
			 : trial_region_copy(&c->region, lz_strz(c->h->credential));
}

static lz_str
printed(struct testhost *h, const json_t *j)
{
	struct buf b;
	lz_str s;

	buf_init(&b, BODY_BYTES);
	if (!json_print(j, &b))
		abort();
	s = trial_copy(h, buf_str(&b));
	buf_free(&b);
	return s;
}

static int32_t
host_emit(lz_call *lc, const lz_json *j)
{
	struct trial *c = provider_call(lc, "emit", false);
	const json_t *value = (const json_t *)(const void *)j;
	struct said *s;

	if (c == NULL || !json_is_object(value))
		return LZ_E_INVALID; /* as the gateway does; the answer fails by it */
	s = &c->h->said;
	LIST_ADD(s->emitted, s->result.emitted_count, printed(c->h, value));
	return LZ_OK;
}

static int32_t
host_usage(lz_call *lc, const lz_usage *u)
{
	struct trial *c = provider_call(lc, "usage", false);

	if (c == NULL)
		return LZ_E_INVALID;
	if (u == NULL || u->size < sizeof(*u) || u->input < 0 || u->output < 0 ||
	    u->cache_read < 0 || u->cache_write < 0 || u->reasoning > u->output) {
		trial_problem(c->h,
		    "usage() without size, with a number below 0, or with more "
		    "reasoning than output");
		return LZ_E_INVALID;
	}
	c->h->said.result.usage = *u;
	return LZ_OK;
}

static int32_t
host_limit_as(lz_call *lc, lz_str name)
{
	struct trial *c = provider_call(lc, "limit_as", true);

	if (c == NULL || name.len == 0)
		return LZ_E_INVALID;
	c->h->said.result.limit_as = trial_copy(c->h, name);
	return LZ_OK;
}

static int32_t
host_leave_out(lz_call *lc, lz_str member)
{
	struct trial *c = provider_call(lc, "leave_out", true);
	struct said *s;

	if (c == NULL)
		return LZ_E_INVALID;
	s = &c->h->said;
	if (member.len == 0 || s->left_out_count == VISIT_LEFT_OUT) {
		trial_problem(c->h, "leave_out() of nothing, or of more than %d names",
		    VISIT_LEFT_OUT);
		return LZ_E_LIMIT;
	}
	s->left_out[s->left_out_count++] = trial_copy(c->h, member);
	return LZ_OK;
}

static int32_t
host_dropped(lz_call *lc, lz_str param)
{
	struct trial *c = provider_call(lc, "dropped", true);
	struct said *s;

	if (c == NULL || param.len == 0)
		return LZ_E_INVALID;
	s = &c->h->said;
	LIST_ADD(s->dropped, s->result.dropped_count, trial_copy(c->h, param));
	return LZ_OK;
}

static void
take_fault(struct testhost *h, const lz_fault *f)
{
	lz_fault *out = &h->said.result.fault;

	if (f->upstream < LZ_UPSTREAM_OK || f->upstream > LZ_UPSTREAM_UNABLE)
		trial_problem(h, "a fault of upstream %d", (int)f->upstream);
	*out = *f;
	out->code = trial_copy(h, f->code);
	out->message = trial_copy(h, f->message);
	out->param = trial_copy(h, f->param);
}

static int32_t
host_fail(lz_call *lc, const lz_fault *f)
{
	struct trial *c = provider_call(lc, "fail", false);

	if (c == NULL)
		return LZ_E_INVALID;
	if (f == NULL || f->size < sizeof(*f) || f->upstream == LZ_UPSTREAM_OK) {
		trial_problem(c->h, "fail() without a fault, its size or its upstream");
		return LZ_E_FAIL;
	}
	take_fault(c->h, f);
	return LZ_E_FAIL;
}

void
trial_fill_provider(lz_host *t)
{
	t->chosen = host_chosen;
	t->credential = host_credential;
	t->emit = host_emit;
	t->usage = host_usage;
	t->limit_as = host_limit_as;
	t->leave_out = host_leave_out;
	t->dropped = host_dropped;
	t->fail = host_fail;
}

/* ---- the request as the gateway makes it whole ---- */

static void
leave_out(json_t *message, const struct said *s)
{
	json_t *call;
	size_t i;

	for (size_t k = 0; k < s->left_out_count; k++) {
		(void)json_object_deln(message, s->left_out[k].ptr, s->left_out[k].len);
		json_array_foreach(json_object_get(message, "tool_calls"), i, call)(void)
		    json_object_deln(call, s->left_out[k].ptr, s->left_out[k].len);
	}
}

static void
set_limit(json_t *body, const struct trial *c)
{
	static const char *const names[] = { "max_completion_tokens", "max_tokens" };
	lz_str as = c->h->said.result.limit_as;
	int64_t limit = c->request.output_limit;
	const char *name = NULL;

	for (size_t i = 0; i < 2; i++) {
		const json_t *v = json_object_get(body, names[i]);

		if (!json_is_integer(v))
			continue;
		if (limit < 0 || json_integer_value(v) < limit)
			limit = json_integer_value(v);
		name = names[i];
	}
	if (limit > c->request.output_bound)
		limit = c->request.output_bound;
	if (limit < 0)
		return;
	if (as.len > 0)
		for (size_t i = 0; i < 2; i++)
			(void)json_object_del(body, names[i]);
	else
		as = lz_strz(name != NULL ? name : "max_completion_tokens");
	(void)json_object_setn_new(body, as.ptr, as.len, json_integer(limit));
}

/* The caller's body for this target. */
static lz_str
made_body(struct trial *c)
{
	json_t *body = json_deep_copy(c->edit != NULL ? c->edit : c->body), *message;
	const lz_target *t = &c->targets[0];
	lz_str text;
	size_t i;

	if (body == NULL)
		return STR_NONE;
	(void)json_object_set_new(
	    body, "model", json_stringn(t->upstream_model.ptr, t->upstream_model.len));
	set_limit(body, c);
	if (json_is_true(json_object_get(body, "stream"))) {
		json_t *options = json_object_get(body, "stream_options");

		if (!json_is_object(options))
			(void)json_object_del(body, "stream_options");
		options = json_object_in(body, "stream_options");
		(void)json_object_set_new(options, "include_usage", json_true());
	}
	json_array_foreach(json_object_get(body, "messages"), i, message)
	    leave_out(message, &c->h->said);
	text = printed(c->h, body);
	json_decref(body);
	return text;
}

static void
take_headers(struct trial *c, const lz_http *out, lz_http *whole)
{
	struct testhost *h = c->h;
	size_t n = out->header_count > 0 ? out->header_count : 2;
	lz_header *head = arena_alloc(h->said.memory, n * sizeof(*head));

	if (head == NULL)
		abort();
	for (size_t i = 0; i < out->header_count; i++)
		head[i] = lz_head(trial_copy(h, out->headers[i].name),
		    trial_copy(h, out->headers[i].value));
	if (out->header_count == 0) {
		head[0] = lz_head(STR_LIT("content-type"), STR_LIT("application/json"));
		head[1] = lz_head(STR_LIT("authorization"),
		    arena_printf(h->said.memory, "Bearer %s", h->credential));
	}
	whole->headers = head;
	whole->header_count = n;
}

static void
take_http(struct trial *c, const lz_http *out, lz_str base)
{
	struct testhost *h = c->h;
	lz_http *whole = &h->said.result.http;

	*whole = *out;
	whole->method = trial_copy(h, out->method);
	whole->url = out->url.ptr != base.ptr ? trial_copy(h, out->url)
					      : arena_join(h->said.memory, base,
						    str_is(c->request.route, "embeddings")
							? STR_LIT("/embeddings")
							: STR_LIT("/chat/completions"));
	take_headers(c, out, whole);
	whole->body = out->body.ptr != NULL ? trial_copy(h, out->body) : made_body(c);
}

/* ---- an attempt ---- */

static bool
is_provider(struct testhost *h)
{
	trial_forget(h);
	if (strcmp(h->component.kind, LZ_PROVIDER) == 0)
		return true;
	trial_problem(h, "a %s is asked to serve an attempt", h->component.kind);
	return false;
}

static struct trial *
begin(struct testhost *h)
{
	struct trial *c;

	if (h->target_count == 0)
		(void)testhost_add_target(h, "test", "test-model");
	c = trial_begin(h, LZ_REQUEST, ATTEMPT_MS);
	c->targets = trial_region_alloc(&c->region, sizeof(*c->targets));
	if (c->targets == NULL)
		abort();
	*c->targets = *h->targets[0];
	c->targets->provider = trial_region_copy(&c->region, c->targets->provider);
	c->targets->model = trial_region_copy(&c->region, c->targets->model);
	c->targets->upstream_model =
	    trial_region_copy(&c->region, c->targets->upstream_model);
	c->targets->region = trial_region_copy(&c->region, c->targets->region);
	return c;
}

static int32_t
run_build(struct trial *c, void *arg)
{
	return c->h->table.provider.build(c->h->self, (lz_call *)(void *)c, arg);
}

const struct testhost_result *
testhost_build(struct testhost *h)
{
	const char *base = h->table.provider.base_url;
	lz_http out;
	struct trial *c;
	lz_str url;
	int32_t verdict = LZ_OK;

	if (!is_provider(h))
		return trial_result(h, LZ_E_INVALID);
	trial_region_retire(&h->keep);
	h->slot = NULL;
	c = begin(h);
	url = trial_region_copy(&c->region, lz_strz(base != NULL ? base : BASE_URL));
	out = lz_http_to("POST", url);
	c->is_building = true;
	if (h->table.provider.build != NULL)
		verdict =
		    trial_run(c, run_build, &out, 1U << LZ_PENDING | 1U << LZ_ANSWERED);
	if (verdict == LZ_OK)
		take_http(c, &out, url);
	trial_end(c);
	return trial_result(h, verdict);
}

/* What came back: shown as a view that ends with the call. */
struct came {
	lz_reply reply;
	lz_str name, data;
	int32_t clean;
	lz_fault fault;
};

static int32_t
run_reply(struct trial *c, void *arg)
{
	struct came *came = arg;

	return c->h->table.provider.reply(c->h->self, (lz_call *)(void *)c, &came->reply);
}

static int32_t
run_event(struct trial *c, void *arg)
{
	struct came *came = arg;

	return c->h->table.provider.event(
	    c->h->self, (lz_call *)(void *)c, came->name, came->data);
}

static int32_t
run_end(struct trial *c, void *arg)
{
	struct came *came = arg;

	return c->h->table.provider.end(c->h->self, (lz_call *)(void *)c, came->clean);
}

static int32_t
run_classify(struct trial *c, void *arg)
{
	struct came *came = arg;

	return c->h->table.provider.classify(
	    c->h->self, (lz_call *)(void *)c, &came->reply, &came->fault);
}

static const lz_header content_type[] = { { { "content-type", 12 },
    { "application/json", 16 } } };

static void
show_reply(struct trial *c, struct came *came, int32_t status, const char *body)
{
	came->reply = (lz_reply){ .size = sizeof(came->reply),
		.status = status,
		.error = status == 0 ? LZ_E_FAIL : LZ_OK,
		.headers = content_type,
		.header_count = 1 };
	came->reply.body = trial_region_show(&c->region, lz_strz(body));
}

static const struct testhost_result *
finished(struct trial *c, int32_t (*run)(struct trial *c, void *arg), struct came *came,
    unsigned allowed)
{
	struct testhost *h = c->h;
	int32_t verdict = trial_run(c, run, came, allowed);

	if (came->fault.size != 0)
		take_fault(h, &came->fault);
	trial_end(c);
	return trial_result(h, verdict);
}

static bool
has(struct testhost *h, bool has_function, const char *function)
{
	if (!is_provider(h))
		return false;
	if (!has_function)
		trial_problem(h,
		    "the provider has no %s(): the gateway does it as OpenAI does",
		    function);
	return has_function;
}

const struct testhost_result *
testhost_reply(struct testhost *h, int32_t status, const char *body)
{
	struct came came = { 0 };
	struct trial *c;

	if (!has(h, h->table.provider.reply != NULL, "reply"))
		return trial_result(h, LZ_E_INVALID);
	c = begin(h);
	show_reply(c, &came, status, body);
	return finished(c, run_reply, &came, 1U << LZ_AS_IT_CAME);
}

const struct testhost_result *
testhost_event(struct testhost *h, const char *name, const char *data)
{
	struct came came = { 0 };
	struct trial *c;

	if (!has(h, h->table.provider.event != NULL, "event"))
		return trial_result(h, LZ_E_INVALID);
	c = begin(h);
	came.name = trial_region_copy(&c->region, lz_strz(name));
	came.data = trial_region_show(&c->region, lz_strz(data));
	return finished(c, run_event, &came, 0);
}

const struct testhost_result *
testhost_end(struct testhost *h, int32_t clean)
{
	struct came came = { .clean = clean };

	if (!has(h, h->table.provider.end != NULL, "end"))
		return trial_result(h, LZ_E_INVALID);
	return finished(begin(h), run_end, &came, 0);
}

/* As the gateway judges a status before it asks. */
static int32_t
upstream_of(int32_t status)
{
	static const struct {
		int32_t status, upstream;
	} rows[] = { { 401, LZ_UPSTREAM_AUTH }, { 403, LZ_UPSTREAM_AUTH },
		{ 429, LZ_UPSTREAM_RATE }, { 402, LZ_UPSTREAM_QUOTA },
		{ 408, LZ_UPSTREAM_DOWN } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == status)
			return rows[i].upstream;
	return status >= 400 && status < 500 ? LZ_UPSTREAM_CALLER : LZ_UPSTREAM_DOWN;
}

const struct testhost_result *
testhost_classify(struct testhost *h, int32_t status, const char *body)
{
	struct came came = { 0 };
	struct trial *c;

	if (!has(h, h->table.provider.classify != NULL, "classify"))
		return trial_result(h, LZ_E_INVALID);
	c = begin(h);
	show_reply(c, &came, status, body);
	came.fault.size = sizeof(came.fault);
	came.fault.upstream = upstream_of(status);
	return finished(c, run_classify, &came, 0);
}

lz_str
testhost_header(const lz_http *q, const char *name)
{
	for (size_t i = 0; i < q->header_count; i++)
		if (str_is_nocase(q->headers[i].name, name))
			return q->headers[i].value;
	return STR_NONE;
}
