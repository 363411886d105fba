/* offer.c - what the host table offers about the call at hand: the request, its targets,
 * what a plugin says of them.
 *
 * Every function takes NULL for the call and anything for the rest. What a function does
 * not fit (a router's prefer() in a provider) is LZ_E_INVALID, not a crash.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/log.h"
#include "plugin/host.h"
#include "request/view.h"

enum {
	WHY_BYTES = 200,
	LIMIT_NAME_BYTES = 64,
	DROPPED_NAME_BYTES = 64,
	DROPPED_BYTES = 512, /* as long as a tag of the trace may be */
	FAULT_BYTES = 4096
};

lz_str
offer_keep_text(struct memory *m, lz_str s, size_t max)
{
	char *p;

	if (s.ptr == NULL || s.len == 0)
		return STR_NONE;
	if (s.len > max) {
		s.len = max;
		while (s.len > 0 && ((unsigned char)s.ptr[s.len] & 0xc0) == 0x80)
			s.len--;
	}
	if (!str_is_utf8(s))
		return STR_NONE;
	p = memory_alloc(m, s.len);
	if (p == NULL)
		return STR_NONE;
	memcpy(p, s.ptr, s.len);
	return lz_strn(p, s.len);
}

/* ---- the request ---- */

/* When it is asked for, once in a call: many do not ask. */
static void
show(struct visit *v)
{
	v->is_shown = true;
	request_view(v->r, &v->shown, v->phase);
	if (v->attempt == NULL)
		return;
	v->shown.attempt = v->attempt->number;
	v->shown.output_bound = v->attempt->output_bound;
	v->shown.output_limit =
	    v->attempt->lowers_output ? v->attempt->output_bound : v->r->max_tokens;
}

static const lz_request *
offer_request(lz_call *c)
{
	struct visit *v = visit_of(c);

	if (v == NULL)
		return NULL;
	if (!v->is_shown)
		show(v);
	return &v->shown;
}

static lz_str
offer_header(lz_call *c, lz_str name)
{
	return c != NULL ? request_view_header(visit_of(c)->r, name) : STR_NONE;
}

static lz_str
offer_metadata(lz_call *c, lz_str key)
{
	struct visit *v = visit_of(c);

	/* An empty request for memory is how the arena comes to be. */
	if (v == NULL || memory_alloc(v->now, 1) == NULL)
		return STR_NONE;
	return request_view_metadata(v->r, key, v->now->arena);
}

static int32_t
result_of(enum status st)
{
	switch (st) {
	case ST_OK:
		return LZ_OK;
	case ST_NOMEM:
		return LZ_E_NOMEM;
	case ST_LIMIT:
		return LZ_E_LIMIT;
	default:
		return LZ_E_INVALID;
	}
}

static int32_t
offer_tag(lz_call *c, lz_str key, lz_str value)
{
	struct visit *v = visit_here(c);

	return v != NULL ? result_of(request_view_tag(v->r, key, value)) : LZ_E_INVALID;
}

static int32_t
offer_budget(lz_call *c, uint32_t scope, lz_budget *out)
{
	struct visit *v = visit_here(c);

	if (v == NULL || out == NULL || scope > LZ_OF_ORGANIZATION || v->r->ops == NULL ||
	    v->r->ops->budget == NULL)
		return LZ_E_INVALID;
	return v->r->ops->budget(v->r, scope, out) ? LZ_OK : LZ_E_INVALID;
}

static lz_str
offer_raw(lz_call *c)
{
	const struct buf *document = c != NULL ? visit_of(c)->document : NULL;

	return document != NULL ? buf_str(document) : STR_NONE;
}

static const lz_json *
offer_body(lz_call *c)
{
	struct visit *v = visit_here(c);

	return v != NULL ? (const lz_json *)(const void *)visit_body(v) : NULL;
}

static lz_json *
offer_edit(lz_call *c)
{
	struct visit *v = visit_here(c);

	/* A text is changed in one way or in the other, not in both at once. */
	if (v == NULL || v->is_closed || (v->attempt == NULL && v->check == NULL) ||
	    check_has_edits(v))
		return NULL;
	return (lz_json *)(void *)visit_edit(v);
}

/* ---- memory ---- */

static void *
offer_alloc(lz_call *c, size_t n)
{
	struct visit *v = visit_here(c);

	return v != NULL ? memory_alloc(v->now, n) : NULL;
}

static void *
offer_keep(lz_call *c, size_t n)
{
	struct visit *v = visit_here(c);

	return v != NULL ? memory_alloc(&v->keep, n) : NULL;
}

static void **
offer_slot(lz_call *c)
{
	if (c == NULL)
		return NULL;
	visit_of(c)->is_slot_shown = true;
	return &visit_of(c)->slot;
}

static void
offer_reason(lz_call *c, lz_str code, lz_str message)
{
	struct visit *v = visit_here(c);

	if (v == NULL || v->is_over || v->is_closed)
		return;
	if (v->check != NULL) {
		check_reason(v, code, message);
		return;
	}
	if (v->reasons == VISIT_REASONS)
		return;
	v->reasons++;
	v->reason_code = offer_keep_text(&v->keep, code, PLUGIN_NAME_BYTES);
	v->reason_message = offer_keep_text(&v->keep, message, OFFER_REASON_BYTES);
}

/* For sinks, which have no host yet; here so that no plugin calls a NULL. */
static void
offer_retry_after(lz_call *c, uint32_t ms)
{
	(void)c;
	(void)ms;
}

static int32_t
offer_finish(lz_call *c, int32_t result)
{
	struct visit *v = visit_here(c);

	if (v == NULL)
		return LZ_E_INVALID;
	if (v->is_closed || v->is_over)
		return LZ_E_GONE;
	if (v->has_result || result == LZ_PENDING)
		return LZ_E_INVALID;
	v->result = result;
	v->has_result = true;
	return LZ_OK;
}

/* ---- routers ---- */

static bool
make_targets(struct visit *v)
{
	struct request *r = v->r;
	size_t n = r->candidate_count;

	if (v->has_targets || v->lacks_targets)
		return v->has_targets;
	v->target = memory_alloc(&v->keep, n * sizeof(*v->target));
	v->candidate = memory_alloc(&v->keep, n * sizeof(*v->candidate));
	v->preference = memory_alloc(&v->keep, n * sizeof(*v->preference));
	/* For good: a router that counted none may not meet them later. */
	v->lacks_targets =
	    v->target == NULL || v->candidate == NULL || v->preference == NULL;
	if (v->lacks_targets)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (r->candidate[i].excluded != EXCLUDED_NOT)
			continue;
		v->candidate[v->target_count] = &r->candidate[i];
		request_view_target(r, &r->candidate[i], &v->target[v->target_count++]);
	}
	v->has_targets = true;
	return true;
}

/* Only in a router: a provider has its target already. */
static struct visit *
router_of(lz_call *c)
{
	struct visit *v = visit_here(c);

	return v != NULL && v->attempt == NULL && v->check == NULL && make_targets(v)
		   ? v
		   : NULL;
}

static size_t
offer_targets(lz_call *c)
{
	struct visit *v = router_of(c);

	return v != NULL ? v->target_count : 0;
}

static const lz_target *
offer_target(lz_call *c, size_t i)
{
	struct visit *v = router_of(c);

	return v != NULL && i < v->target_count ? &v->target[i] : NULL;
}

static int32_t
offer_prefer(lz_call *c, size_t i, double score, lz_str why)
{
	struct visit *v = router_of(c);

	if (v == NULL || i >= v->target_count)
		return LZ_E_INVALID;
	if (v->is_closed || v->is_over)
		return LZ_E_GONE;
	for (size_t k = 0; k < v->preference_count; k++)
		if (v->preference[k].target == i)
			return LZ_E_INVALID;
	v->preference[v->preference_count++] = (struct preference){ .target = i,
		.score = isfinite(score) ? score : 0,
		.why = offer_keep_text(&v->keep, why, WHY_BYTES) };
	return LZ_OK;
}

static int32_t
offer_limit_output(lz_call *c, int64_t tokens)
{
	struct visit *v = visit_here(c);

	if (v == NULL || v->attempt != NULL || tokens < 1)
		return LZ_E_INVALID;
	if (v->is_closed || v->is_over)
		return LZ_E_GONE;
	if (v->output_limit < 0 || tokens < v->output_limit)
		v->output_limit = tokens;
	return LZ_OK;
}

/* ---- providers ---- */

static struct visit *
provider_of(lz_call *c)
{
	struct visit *v = visit_here(c);

	return v != NULL && v->attempt != NULL ? v : NULL;
}

static const lz_target *
offer_chosen(lz_call *c)
{
	struct visit *v = provider_of(c);

	if (v == NULL)
		return NULL;
	if (!v->is_chosen_shown)
		request_view_target(v->r, v->attempt->candidate, &v->chosen);
	v->is_chosen_shown = true;
	return &v->chosen;
}

static lz_str
offer_credential(lz_call *c)
{
	struct visit *v = provider_of(c);

	return v != NULL ? v->attempt->credential : STR_NONE;
}

static int32_t
offer_emit(lz_call *c, const lz_json *j)
{
	struct visit *v = provider_of(c);
	int32_t result;

	if (v == NULL || !json_is_object((const json_t *)(const void *)j))
		return LZ_E_INVALID;
	if (v->is_closed || v->is_over)
		return LZ_E_GONE;
	result = v->ops->emit(v->ops_arg, (const json_t *)(const void *)j);
	return v->is_over ? LZ_E_GONE : result;
}

static int64_t
at_least_0(int64_t n)
{
	return n > 0 ? n : 0;
}

static int32_t
offer_usage(lz_call *c, const lz_usage *u)
{
	struct visit *v = provider_of(c);
	lz_usage mine = { .size = sizeof(mine) };

	if (v == NULL || u == NULL || !LZ_HAS(u, reasoning))
		return LZ_E_INVALID;
	if (v->is_closed || v->is_over)
		return LZ_E_GONE;
	mine.input = at_least_0(u->input);
	mine.cache_read = at_least_0(u->cache_read);
	mine.cache_write = at_least_0(u->cache_write);
	mine.output = at_least_0(u->output);
	mine.reasoning = at_least_0(u->reasoning);
	mine.cache_write_1h =
	    LZ_HAS(u, cache_write_1h) ? at_least_0(u->cache_write_1h) : 0;
	v->ops->usage(v->ops_arg, &mine);
	return v->is_over ? LZ_E_GONE : LZ_OK;
}

static int32_t
offer_limit_as(lz_call *c, lz_str name)
{
	struct visit *v = provider_of(c);

	if (v == NULL || name.len == 0 || name.len > LIMIT_NAME_BYTES)
		return LZ_E_INVALID;
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] < ' ' || name.ptr[i] == '"' || name.ptr[i] == '\\' ||
		    name.ptr[i] == 0x7f)
			return LZ_E_INVALID; /* it is spliced into a body as it stands */
	v->limit_name = offer_keep_text(&v->keep, name, LIMIT_NAME_BYTES);
	return v->limit_name.ptr != NULL ? LZ_OK : LZ_E_NOMEM;
}

static int32_t
offer_leave_out(lz_call *c, lz_str member)
{
	struct visit *v = provider_of(c);
	lz_str kept;

	if (v == NULL || member.len == 0 || member.len > LIMIT_NAME_BYTES)
		return LZ_E_INVALID;
	if (v->left_out_count == VISIT_LEFT_OUT)
		return LZ_E_LIMIT;
	kept = offer_keep_text(&v->keep, member, LIMIT_NAME_BYTES);
	if (kept.ptr == NULL)
		return LZ_E_NOMEM;
	v->left_out[v->left_out_count++] = kept;
	return LZ_OK;
}

static bool
is_parameter(lz_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f || s.ptr[i] == ',')
			return false;
	return s.len > 0 && s.len <= DROPPED_NAME_BYTES;
}

/* Is it in the list "a,b"? */
static bool
is_listed(lz_str list, lz_str name)
{
	while (list.len > 0) {
		ptrdiff_t comma = str_find(list, ',');
		size_t end = comma < 0 ? list.len : (size_t)comma;

		if (str_eq(str_cut(list, 0, end), name))
			return true;
		list = str_cut(list, comma < 0 ? end : end + 1, list.len);
	}
	return false;
}

static int32_t
offer_dropped(lz_call *c, lz_str param)
{
	struct visit *v = provider_of(c);
	lz_str *list, longer;

	if (v == NULL || !is_parameter(param))
		return LZ_E_INVALID;
	list = &v->attempt->dropped;
	if (is_listed(*list, param))
		return LZ_OK;
	if (list->len + param.len + 1 > DROPPED_BYTES)
		return LZ_E_LIMIT;
	longer = arena_printf(v->r->arena, "%.*s%s%.*s", STR_ARG(*list),
	    list->len > 0 ? "," : "", STR_ARG(param));
	if (longer.ptr == NULL)
		return LZ_E_NOMEM;
	*list = longer;
	return LZ_OK;
}

void
offer_take_fault(struct visit *v, const lz_fault *said, lz_fault *out)
{
	lz_fault f = { .size = sizeof(f), .retry_after_ms = said->retry_after_ms };

	f.upstream = LZ_UPSTREAM_DOWN;
	if (said->upstream > LZ_UPSTREAM_OK && said->upstream <= LZ_UPSTREAM_UNABLE)
		f.upstream = said->upstream;
	f.status = said->status >= 400 && said->status < 600 ? said->status : 0;
	f.code = offer_keep_text(&v->keep, said->code, FAULT_BYTES);
	f.message = offer_keep_text(&v->keep, said->message, FAULT_BYTES);
	f.param = offer_keep_text(&v->keep, said->param, FAULT_BYTES);
	*out = f;
}

static int32_t
offer_fail(lz_call *c, const lz_fault *f)
{
	struct visit *v = provider_of(c);

	if (v == NULL || f == NULL || !LZ_HAS(f, param))
		return LZ_E_INVALID;
	if (v->is_closed || v->is_over)
		return LZ_E_GONE;
	offer_take_fault(v, f, &v->fault);
	v->has_fault = true;
	return LZ_E_FAIL;
}

void
offer_fill(lz_host *h)
{
	h->request = offer_request;
	h->header = offer_header;
	h->metadata = offer_metadata;
	h->tag = offer_tag;
	h->budget = offer_budget;
	h->alloc = offer_alloc;
	h->keep = offer_keep;
	h->slot = offer_slot;
	h->reason = offer_reason;
	h->retry_after = offer_retry_after;
	h->raw = offer_raw;
	h->body = offer_body;
	h->edit = offer_edit;
	check_fill(h);
	h->limit_output = offer_limit_output;
	h->targets = offer_targets;
	h->target = offer_target;
	h->prefer = offer_prefer;
	h->chosen = offer_chosen;
	h->credential = offer_credential;
	h->emit = offer_emit;
	h->usage = offer_usage;
	h->limit_as = offer_limit_as;
	h->leave_out = offer_leave_out;
	h->dropped = offer_dropped;
	h->fail = offer_fail;
	h->http = later_http;
	h->offload = later_offload;
	h->after = later_after;
	h->finish = offer_finish;
	h->token = token_take;
	h->post = token_post;
}
