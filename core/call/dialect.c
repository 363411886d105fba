/* dialect.c - OpenAI's wire as the default: what a provider plugin leaves empty is done
 * here.
 *
 * The body is not decoded: model, output limit and stream_options are spliced into the
 * caller's bytes as ranges, so a hundred kilobytes of prompt cost a pointer. What was
 * scanned is what is sent.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include "call/attempt.h"

enum {
	EDITS = 4,
	RETRY_AFTER_MOST_MS = 300000
};

/* One replaced range of the body. */
struct edit {
	lz_str where; /* inside the body; empty range: insertion */
	lz_str with;
};

lz_str
call_field(const struct call *c, const char *name)
{
	for (size_t i = 0; i < c->field_count; i++)
		if (lz_eq(c->field[i].name, name))
			return c->field[i].value;
	return STR_NONE;
}

static lz_str
quoted(struct request *r, lz_str s)
{
	struct buf b;
	lz_str copy;

	buf_init(&b, s.len * 6 + 3);
	buf_add_json(&b, s);
	copy = b.failed ? STR_NONE : arena_copy(r->arena, buf_str(&b));
	buf_free(&b);
	return copy;
}

/* A new member goes right behind the opening brace. */
static lz_str
after_brace(struct request *r)
{
	const char *brace = memchr(r->body.ptr, '{', r->body.len);

	return lz_strn(brace + 1, 0);
}

static void
edit_model(struct call *c, struct edit *e, size_t *n)
{
	const struct jscan_member *m = jscan_find(&c->r->scan, "model");

	if (str_eq(c->r->model, c->a->target->upstream_model))
		return;
	e[*n].where = m->value;
	e[*n].with = quoted(c->r, c->a->target->upstream_model);
	(*n)++;
}

static const struct jscan_member *
given(const struct request *r, const char *name)
{
	const struct jscan_member *m = jscan_find(&r->scan, name);

	return m != NULL && m->type != JSCAN_NULL ? m : NULL;
}

/* A limit is sent only when a budget or the key binds, never above what was reserved. A
 * provider that wants the limit under another name (lz->limit_as) gets the caller's own
 * under that name too. */
static void
edit_limit(struct call *c, struct edit *e, size_t *n)
{
	struct request *r = c->r;
	lz_str name = visit_limit_name(c->visit);
	const struct jscan_member *m = given(r, "max_completion_tokens");

	if (m == NULL)
		m = given(r, "max_tokens");
	if (m == NULL) /* a null is replaced, not said twice */
		m = jscan_find(&r->scan, "max_tokens");
	if (m != NULL && name.ptr != NULL && !str_eq(name, m->key)) {
		e[*n].where = m->key;
		e[(*n)++].with = name;
	}
	if (!c->a->lowers_output)
		return;
	if (m != NULL) {
		e[*n].where = m->value;
		e[*n].with =
		    arena_printf(r->arena, "%lld", (long long)c->a->output_bound);
	} else {
		if (name.ptr == NULL)
			name = STR_LIT("max_tokens");
		e[*n].where = after_brace(r);
		e[*n].with = arena_printf(r->arena, "\"%.*s\":%lld,", STR_ARG(name),
		    (long long)c->a->output_bound);
	}
	(*n)++;
}

/* The gateway always asks for usage; the chunk is withheld from callers who did not. */
static void
edit_usage(struct call *c, struct edit *e, size_t *n)
{
	static const char asked[] = "{\"include_usage\":true}";
	struct request *r = c->r;
	const struct jscan_member *m = jscan_find(&r->scan, "stream_options");

	if (!r->is_stream || r->wants_usage_chunk)
		return;
	if (m != NULL) {
		e[*n].where = m->value;
		e[*n].with = STR_LIT(asked);
	} else {
		e[*n].where = after_brace(r);
		e[*n].with = STR_LIT("\"stream_options\":{\"include_usage\":true},");
	}
	(*n)++;
}

static int
by_place(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	return x->where.ptr < y->where.ptr ? -1 : x->where.ptr > y->where.ptr;
}

static enum status
splice(struct call *c, struct upstream_request *q)
{
	struct edit e[EDITS];
	size_t n = 0;
	const char *at = c->r->body.ptr;
	const char *end = at + c->r->body.len;

	edit_model(c, e, &n);
	edit_limit(c, e, &n);
	edit_usage(c, e, &n);
	qsort(e, n, sizeof e[0], by_place);
	for (size_t i = 0; i < n; i++) {
		if (e[i].with.ptr == NULL)
			return ST_NOMEM;
		q->part[q->part_count++] = lz_strn(at, (size_t)(e[i].where.ptr - at));
		q->part[q->part_count++] = e[i].with;
		at = e[i].where.ptr + e[i].where.len;
	}
	q->part[q->part_count++] = lz_strn(at, (size_t)(end - at));
	return ST_OK;
}

/* The provider's own headers come first, then the operator's; content-type and the bearer
 * only when build() set none. */
static enum status
complete_headers(struct call *c, const lz_http *built, struct upstream_request *q)
{
	struct request *r = c->r;
	const struct provider *p = c->a->target->provider;
	size_t n = 0;
	lz_header *h = arena_alloc(
	    r->arena, (built->header_count + p->header_count + 3) * sizeof *h);

	if (h == NULL)
		return ST_NOMEM;
	for (size_t i = 0; i < built->header_count; i++)
		h[n++] = built->headers[i];
	if (built->header_count == 0) {
		h[n++] = lz_head(STR_LIT("content-type"), STR_LIT("application/json"));
		if (c->a->credential.len > 0) {
			lz_str v =
			    arena_join(r->arena, STR_LIT("Bearer "), c->a->credential);

			if (v.ptr == NULL)
				return ST_NOMEM;
			h[n++] = lz_head(STR_LIT("authorization"), v);
		}
	}
	for (size_t i = 0; i < p->header_count; i++)
		h[n++] = p->headers[i];
	q->headers = h;
	q->header_count = n;
	return ST_OK;
}

enum status
dialect_complete(struct call *c, const lz_http *built, const char *base_url_sent,
    struct upstream_request *q)
{
	struct request *r = c->r;
	enum status st = complete_headers(c, built, q);

	if (st != ST_OK)
		return st;
	q->method = "POST"; /* the one method of the routes there are; a plugin's GET
			       would carry no body */
	q->url = built->url;
	if (built->url.ptr == base_url_sent)
		q->url = arena_join(r->arena, built->url, STR_LIT("/chat/completions"));
	if (q->url.ptr == NULL)
		return ST_NOMEM;
	if (built->body.ptr != NULL) {
		q->part[q->part_count++] = built->body;
		return ST_OK;
	}
	return splice(c, q);
}

/* ---- answers ---- */

lz_str
dialect_string_after(lz_str text, const char *word)
{
	const char *end = text.ptr + text.len, *at;
	lz_str rest, s;

	at = text.len > 0 ? memmem(text.ptr, text.len, word, strlen(word)) : NULL;
	if (at == NULL)
		return STR_NONE;
	for (at += strlen(word); at < end && (*at == ' ' || *at == ':' || *at == '\t');
	     at++)
		;
	if (at >= end || *at != '"')
		return STR_NONE;
	rest = lz_strn(at, (size_t)(end - at));
	return jscan_next_string(&rest, &s) && s.len > 0 ? s : STR_NONE;
}

/* One member of a usage object. */
struct count {
	const char *name;
	bool is_there;
	int64_t value;  /* 0 when it is no integer */
	lz_str details; /* its text, when it is an object */
};

static void
read_counts(lz_str object, struct count *count, size_t n)
{
	struct jscan_member m;

	while (jscan_next(&object, &m))
		for (size_t i = 0; i < n; i++) {
			if (!jscan_key_is(m.key, count[i].name))
				continue;
			count[i].is_there = true;
			if (!jscan_int(&m, &count[i].value))
				count[i].value = 0;
			count[i].details = m.type == JSCAN_OBJECT ? m.value : STR_NONE;
		}
}

bool
dialect_usage(lz_str object, struct record_usage *out)
{
	enum {
		PROMPT,
		COMPLETION,
		PROMPT_DETAILS,
		COMPLETION_DETAILS,
		COUNTS
	};
	struct count all[COUNTS] = { [PROMPT] = { .name = "prompt_tokens" },
		[COMPLETION] = { .name = "completion_tokens" },
		[PROMPT_DETAILS] = { .name = "prompt_tokens_details" },
		[COMPLETION_DETAILS] = { .name = "completion_tokens_details" } };
	struct count cache[] = { { .name = "cached_tokens" },
		{ .name = "cache_write_tokens" } };
	struct count reasoning = { .name = "reasoning_tokens" };

	read_counts(object, all, COUNTS);
	if (!all[PROMPT].is_there && !all[COMPLETION].is_there)
		return false;
	read_counts(all[PROMPT_DETAILS].details, cache, 2);
	read_counts(all[COMPLETION_DETAILS].details, &reasoning, 1);
	memset(out, 0, sizeof *out);
	out->output = all[COMPLETION].value;
	out->reasoning = reasoning.value;
	out->cache_read = cache[0].value;
	out->cache_write = cache[1].value;
	out->input = all[PROMPT].value - out->cache_read - out->cache_write;
	if (out->input < 0) /* a provider that does not count its cache in: take its words
			       as disjoint */
		out->input = all[PROMPT].value;
	return true;
}

static int32_t
blame_of(int status)
{
	switch (status) {
	case 401:
	case 403:
		return LZ_UPSTREAM_AUTH;
	case 402:
		return LZ_UPSTREAM_QUOTA;
	case 429:
		return LZ_UPSTREAM_RATE;
	case 408:
	case 409:
	case 425:
		return LZ_UPSTREAM_DOWN;
	default:
		return status >= 400 && status < 500 ? LZ_UPSTREAM_CALLER
						     : LZ_UPSTREAM_DOWN;
	}
}

static unsigned
retry_after_ms(const struct call *c)
{
	lz_str ms = call_field(c, "retry-after-ms"), s = call_field(c, "retry-after");
	int64_t v = 0;

	if (ms.ptr != NULL && str_to_int(ms, INT32_MAX, &v))
		;
	else if (s.ptr != NULL && str_to_int(s, INT32_MAX / 1000, &v))
		v *= 1000;
	return (unsigned)(v > RETRY_AFTER_MOST_MS ? RETRY_AFTER_MOST_MS : v);
}

/* A member of the error object, decoded into the arena; absent otherwise. */
static lz_str
error_text(struct call *c, lz_str object, const char *name)
{
	struct jscan_member m;
	char *room;
	lz_str s;

	if (!jscan_inner(object, name, &m) || m.type != JSCAN_STRING)
		return STR_NONE;
	room = arena_alloc(c->r->arena, m.value.len + 1);
	if (room == NULL || !jscan_string(&m, room, &s))
		return STR_NONE;
	return s.ptr == room ? s : arena_copy(c->r->arena, s);
}

void
dialect_judge(struct call *c, lz_fault *out)
{
	struct jscan scan;
	const struct jscan_member *m;

	memset(out, 0, sizeof *out);
	out->size = sizeof *out;
	out->upstream = blame_of(c->status);
	out->retry_after_ms = retry_after_ms(c);
	out->status =
	    out->upstream == LZ_UPSTREAM_CALLER || out->upstream == LZ_UPSTREAM_UNABLE
		? c->status
		: 0;
	out->message = arena_printf(c->r->arena, "the provider answered %d", c->status);
	if (jscan_object(buf_str(&c->body), &scan, NULL) != ST_OK)
		return;
	m = jscan_find(&scan, "error");
	if (m == NULL)
		return;
	if (m->type == JSCAN_OBJECT) {
		lz_str message = error_text(c, m->value, "message");

		out->code = error_text(c, m->value, "code");
		out->param = error_text(c, m->value, "param");
		if (message.ptr != NULL)
			out->message = message;
	}
	if (lz_eq(out->code, "context_length_exceeded"))
		out->upstream = LZ_UPSTREAM_CONTEXT;
	else if (lz_eq(
		     out->code, "model_not_found")) /* here; another target may have it */
		out->upstream = LZ_UPSTREAM_UNABLE;
	else if (lz_eq(out->code, "insufficient_quota"))
		out->upstream = LZ_UPSTREAM_QUOTA;
	else if (lz_eq(out->code, "content_policy_violation") ||
		 lz_eq(out->code, "content_filter"))
		out->upstream = LZ_UPSTREAM_FILTERED;
}
