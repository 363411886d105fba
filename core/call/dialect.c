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
	EDITS = 5 + JSCAN_MEMBERS / 2, /* what is put in, and what is left out */
	URL_BYTES = 8192
};

/* One replaced range of the body. */
struct edit {
	lz_str where; /* inside the body; empty range: insertion */
	lz_str with;
};

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
replace(struct edit *e, size_t *n, lz_str where, lz_str with)
{
	e[*n].where = where;
	e[(*n)++].with = with;
}

static void
insert(struct call *c, struct edit *e, size_t *n, lz_str member)
{
	replace(e, n, after_brace(c->r), member);
}

/* As it is written: a guardrail may have chosen another than the body names. */
static bool
says(const struct jscan_member *m, lz_str name)
{
	return m->type == JSCAN_STRING && !m->has_escape &&
	       str_eq(str_cut(m->value, 1, m->value.len - 1), name);
}

static void
edit_model(struct call *c, struct edit *e, size_t *n)
{
	const struct jscan_member *m = jscan_find(c->r->scan, "model");
	lz_str name = c->a->target->upstream_model;

	if (m == NULL) { /* the caller left it to its assistant */
		name = quoted(c->r, name);
		insert(c, e, n,
		    name.ptr != NULL
			? arena_printf(c->r->arena, "\"model\":%.*s,", STR_ARG(name))
			: STR_NONE);
	} else if (!says(m, name)) {
		replace(e, n, m->value, quoted(c->r, name));
	}
}

/* From behind the key's opening quote to the end of the value. */
static lz_str
member_text(const struct jscan_member *m)
{
	return lz_strn(m->key.ptr, (size_t)(m->value.ptr + m->value.len - m->key.ptr));
}

/* "name":value, */
static lz_str
new_member(struct arena *a, lz_str name, lz_str value)
{
	lz_str key = arena_join(a, STR_LIT("\""), name);

	return arena_join(
	    a, arena_join(a, key, STR_LIT("\":")), arena_join(a, value, STR_LIT(",")));
}

/* A limit is sent only when a budget or the key binds, never above what was reserved. A
 * provider that wants the limit under another name (lz->limit_as) gets the caller's own
 * under that name too. Two names stand for it, and the caller may have used both, or said
 * null: whatever came, one of them carries the limit, once, and the other says nothing
 * else. */
static void
edit_limit(struct call *c, struct edit *e, size_t *n)
{
	static const char *const names[] = { "max_completion_tokens", "max_tokens" };
	struct request *r = c->r;
	const struct jscan_member *m[2] = { jscan_find(r->scan, names[0]),
		jscan_find(r->scan, names[1]) };
	bool is_said[2] = { m[0] != NULL && m[0]->type != JSCAN_NULL,
		m[1] != NULL && m[1]->type != JSCAN_NULL };
	lz_str name = visit_limit_name(c->visit), value;
	unsigned at = is_said[0] || m[1] == NULL ? 0 : 1; /* the member that carries it */

	if (name.ptr != NULL)
		for (unsigned i = 0; i < 2; i++)
			if (m[i] != NULL && str_eq(name, m[i]->key))
				at = i;
	if (!c->a->lowers_output && !is_said[0] && !is_said[1])
		return;
	value =
	    arena_int(r->arena, c->a->lowers_output ? c->a->output_bound : r->max_tokens);
	if (m[at] == NULL) {
		insert(c, e, n,
		    new_member(
			r->arena, name.ptr != NULL ? name : lz_strz(names[1]), value));
		return;
	}
	if (name.ptr == NULL)
		name = m[at]->key;
	if (!str_eq(name, m[at]->key))
		replace(e, n, member_text(m[at]),
		    arena_printf(r->arena, "%.*s\":%.*s", STR_ARG(name), STR_ARG(value)));
	else if (!str_eq(value, m[at]->value))
		replace(e, n, m[at]->value, value);
	if (is_said[1 - at])
		replace(e, n, m[1 - at]->value, STR_LIT("null"));
}

static bool
is_dropped(const struct call *c, lz_str key)
{
	const struct provider *p = c->a->target->provider;

	for (size_t i = 0; i < p->drop_count; i++)
		if (str_eq(p->drop[i], key))
			return true;
	return false;
}

/* The caller hears of it, unless it said nothing, or what the gateway sees to itself. */
static void
tell_dropped(struct call *c, const struct jscan_member *m)
{
	lz_str *list = &c->a->dropped, longer;

	if (m->type == JSCAN_NULL || m->type == JSCAN_FALSE ||
	    jscan_key_is(m->key, "stream_options"))
		return;
	longer = arena_printf(c->r->arena, "%.*s%s%.*s", STR_ARG(*list),
	    list->len > 0 ? "," : "", STR_ARG(m->key));
	if (longer.ptr != NULL)
		*list = longer;
}

static const char *
end_of(const struct jscan_member *m)
{
	return m->value.ptr + m->value.len;
}

/* What the provider does not take goes, each run of it with one comma: the one before, or
 * when nothing stays before it, the one behind. */
static void
edit_dropped(struct call *c, struct edit *e, size_t *n)
{
	const struct jscan *s = c->r->scan;
	const char *kept = NULL, *from, *to;
	size_t i = 0, first;

	while (i < s->count) {
		first = i;
		while (i < s->count && is_dropped(c, s->member[i].key))
			tell_dropped(c, &s->member[i++]);
		if (i > first) {
			from = kept != NULL ? kept : s->member[first].key.ptr - 1;
			to = kept != NULL || i == s->count ? end_of(&s->member[i - 1])
							   : s->member[i].key.ptr - 1;
			replace(e, n, lz_strn(from, (size_t)(to - from)), STR_LIT(""));
		}
		if (i < s->count)
			kept = end_of(&s->member[i++]);
	}
}

/* The gateway always asks for usage; the chunk is withheld from callers who did not. */
static void
edit_usage(struct call *c, struct edit *e, size_t *n)
{
	struct request *r = c->r;
	const struct jscan_member *m = jscan_find(r->scan, "stream_options");
	struct jscan_member asked;
	lz_str inside;

	if (!r->is_stream || r->wants_usage_chunk ||
	    is_dropped(c, STR_LIT("stream_options")))
		return;
	if (m == NULL) {
		insert(c, e, n, STR_LIT("\"stream_options\":{\"include_usage\":true},"));
		return;
	}
	if (m->type != JSCAN_OBJECT) {
		replace(e, n, m->value, STR_LIT("{\"include_usage\":true}"));
		return;
	}
	if (jscan_inner(m->value, "include_usage", &asked)) {
		replace(e, n, asked.value, STR_LIT("true"));
		return;
	}
	inside = str_cut(m->value, 1, m->value.len - 1);
	replace(e, n, str_cut(inside, 0, 0),
	    str_trim(inside).len > 0 ? STR_LIT("\"include_usage\":true,")
				     : STR_LIT("\"include_usage\":true"));
}

/* ---- what a provider does not take of messages ---- */

static bool
is_left_out(const struct call *c, lz_str key)
{
	const lz_str *names;
	size_t n = visit_left_out(c->visit, &names);

	for (size_t i = 0; i < n; i++)
		if (str_eq(names[i], key))
			return true;
	return false;
}

static void add_lightened(const struct call *c, struct buf *out, lz_str list);

static void
add_light_object(const struct call *c, struct buf *out, lz_str object)
{
	struct jscan_member m;
	bool is_first = true;

	buf_add_char(out, '{');
	while (jscan_next(&object, &m)) {
		if (is_left_out(c, m.key))
			continue;
		buf_add_z(out, is_first ? "\"" : ",\"");
		buf_add_str(out, m.key);
		buf_add_z(out, "\":");
		if (m.type == JSCAN_ARRAY && jscan_key_is(m.key, "tool_calls"))
			add_lightened(c, out, m.value);
		else
			buf_add_str(out, m.value);
		is_first = false;
	}
	buf_add_char(out, '}');
}

/* Messages, or the tool calls of one. */
static void
add_lightened(const struct call *c, struct buf *out, lz_str list)
{
	bool is_first = true;
	lz_str item;

	buf_add_char(out, '[');
	while (jscan_next_item(&list, &item)) {
		if (!is_first)
			buf_add_char(out, ',');
		if (item.ptr[0] == '{')
			add_light_object(c, out, item);
		else
			buf_add_str(out, item);
		is_first = false;
	}
	buf_add_char(out, ']');
}

/* A name that is nowhere in the text as a key would be is left out already. */
static bool
holds_any(const struct call *c, lz_str text)
{
	const lz_str *names;
	size_t n = visit_left_out(c->visit, &names);

	for (size_t i = 0; i < n; i++)
		if (memmem(text.ptr, text.len, names[i].ptr, names[i].len) != NULL)
			return true;
	return false;
}

static void
edit_messages(struct call *c, struct edit *e, size_t *n)
{
	const struct jscan_member *m = jscan_find(c->r->scan, "messages");
	struct buf light;

	if (m == NULL || m->type != JSCAN_ARRAY || !holds_any(c, m->value))
		return;
	buf_init(&light, m->value.len + 2);
	add_lightened(c, &light, m->value);
	replace(e, n, m->value,
	    light.failed ? STR_NONE : arena_copy(c->r->arena, buf_str(&light)));
	buf_free(&light);
}

static int
by_place(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	if (x->where.ptr != y->where.ptr)
		return x->where.ptr < y->where.ptr ? -1 : 1;
	return (x->where.len > 0) - (y->where.len > 0); /* what is put in, first */
}

/* More pieces than one call takes. */
static enum status
join(struct call *c, lz_str *part, size_t n, struct upstream_request *q)
{
	size_t bytes = 0, at = 0;
	char *p;

	for (size_t i = 0; i < n; i++)
		bytes += part[i].len;
	p = arena_alloc(c->r->arena, bytes + 1);
	if (p == NULL)
		return ST_NOMEM;
	for (size_t i = 0; i < n; at += part[i++].len)
		if (part[i].len > 0)
			memcpy(p + at, part[i].ptr, part[i].len);
	q->part[q->part_count++] = lz_strn(p, bytes);
	return ST_OK;
}

static enum status
splice(struct call *c, struct upstream_request *q)
{
	struct edit e[EDITS];
	lz_str part[2 * EDITS + 1];
	size_t n = 0, parts = 0;
	const char *at = c->r->body.ptr;
	const char *end = at + c->r->body.len;

	edit_model(c, e, &n);
	if (c->r->kind == REQUEST_CHAT) {
		edit_limit(c, e, &n);
		edit_usage(c, e, &n);
		edit_messages(c, e, &n);
	}
	if (c->a->target->provider->drop_count > 0)
		edit_dropped(c, e, &n);
	qsort(e, n, sizeof e[0], by_place);
	for (size_t i = 0; i < n; i++) {
		if (e[i].with.ptr == NULL)
			return ST_NOMEM;
		part[parts++] = lz_strn(at, (size_t)(e[i].where.ptr - at));
		part[parts++] = e[i].with;
		at = e[i].where.ptr + e[i].where.len;
	}
	part[parts++] = lz_strn(at, (size_t)(end - at));
	if (parts > UPSTREAM_PARTS)
		return join(c, part, parts, q);
	for (size_t i = 0; i < parts; i++)
		q->part[q->part_count++] = part[i];
	return ST_OK;
}

static lz_header
credential_field(const struct call *c)
{
	lz_str name = c->a->target->provider->auth_header;

	if (name.len > 0)
		return lz_head(name, c->a->credential);
	return lz_head(STR_LIT("authorization"),
	    arena_join(c->r->arena, STR_LIT("Bearer "), c->a->credential));
}

/* base_url, the provider's path with the model in its place, the route, the query. */
static lz_str
make_url(const struct call *c, lz_str base_url)
{
	static const char word[] = "{model}";
	const struct provider *p = c->a->target->provider;
	lz_str route = request_kind(c->r)->path, path = p->path, url;
	struct buf b;

	if (path.len == 0 && p->query.len == 0)
		return arena_join(c->r->arena, base_url, route);
	buf_init(&b, URL_BYTES);
	buf_add_str(&b, base_url);
	for (size_t i = 0; i < path.len; i++) {
		if (!str_starts(str_cut(path, i, path.len), word)) {
			buf_add_char(&b, path.ptr[i]);
			continue;
		}
		buf_add_percent(&b, c->a->target->upstream_model);
		i += sizeof(word) - 2;
	}
	buf_add_str(&b, route);
	buf_add_str(&b, p->query);
	url = b.failed ? STR_NONE : arena_copy(c->r->arena, buf_str(&b));
	buf_free(&b);
	return url;
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
			h[n] = credential_field(c);
			if (h[n++].value.ptr == NULL)
				return ST_NOMEM;
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
	enum status st = complete_headers(c, built, q);

	if (st != ST_OK)
		return st;
	q->method = "POST"; /* the one method of the routes there are; a plugin's GET
			       would carry no body */
	q->url = built->url;
	if (built->url.ptr == base_url_sent)
		q->url = make_url(c, built->url);
	if (q->url.ptr == NULL)
		return ST_NOMEM;
	if (built->body.ptr != NULL) {
		q->part[q->part_count++] = built->body;
		return ST_OK;
	}
	return splice(c, q);
}
