/* providers_settle.c - what the gateway owns of a provider: its address, its keys, the
 * headers and the members that it sends or leaves out.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/providers_read.h"

#include <stdio.h>

#include "base/json.h"
#include "config/rules.h"

enum {
	HEADERS_MAX = 32,
	HEADER_BYTES = 8192,
	KEYS_PER_PROVIDER = 100,
	PATH_MAX_BYTES = 256,
	QUERY_BYTES = 1024,
	DROP_MAX = 32
};

/* ---- address and keys ---- */

static bool
is_web(lz_str url)
{
	return str_starts(url, "http://") || str_starts(url, "https://");
}

static lz_str
without_slashes(struct provider_reading *r, lz_str s)
{
	size_t n = s.len;
	lz_str cut;

	while (n > 0 && s.ptr[n - 1] == '/')
		n--;
	if (n == s.len)
		return s;
	cut = arena_copy(r->b->c->memory, str_cut(s, 0, n));
	if (cut.ptr == NULL)
		r->b->is_out_of_memory = true;
	return cut;
}

static void
check_url(struct provider_reading *r, lz_str url)
{
	if (r->b->o->is_offline && options_is_reference(url))
		return;
	if (!rule_find("url")->check(url))
		WRONG(r, "base_url",
		    "\"%.*s\" is not a URL; write http://host/path or https://host/path",
		    STR_ARG(str_cut(url, 0, 100)));
	else if (str_find(url, '?') >= 0 || str_find(url, '#') >= 0 ||
		 str_find(url, '@') >= 0)
		WRONG(r, "base_url",
		    "holds a query, a fragment or a user; it is only where the API "
		    "begins");
}

static void
settle_url(struct provider_reading *r)
{
	lz_str url = r->v.base_url, usual = lz_strz(r->p->info->base_url);

	if (url.len == 0 && usual.len == 0) {
		WRONG(r, NULL,
		    "base_url is missing, and the provider %s has none of its own; write "
		    "base_url: http://host:port/v1",
		    r->p->info->name);
		return;
	}
	/* What a plugin brings along need not be of the web: echo's answers come from
	 * itself. */
	if (url.len == 0 || str_eq(url, usual))
		url = usual;
	else
		check_url(r, url);
	r->p->base_url = without_slashes(r, url);
	r->p->is_local_only = url.ptr == usual.ptr && !is_web(url);
}

/* The variable that the vendor's key is usually in. */
static lz_str
usual_variable(const struct provider_reading *r)
{
	if (r->preset != NULL)
		return json_get_str(r->preset, "env");
	return r->vendor != NULL ? r->vendor->env : STR_NONE;
}

/* Keys that are not named come from the vendor's usual variable, and only go to the
 * vendor itself. */
static void
settle_keys(struct provider_reading *r)
{
	const json_t *given = json_object_get(r->object, "api_keys");
	struct options_context c = build_context(r->b, r->where);
	struct err why = { "" };
	bool is_literal;
	lz_str *key, name, variable = usual_variable(r);

	r->p->api_keys = r->v.api_keys.items;
	r->p->api_key_count = r->v.api_keys.count;
	if (r->p->api_key_count > KEYS_PER_PROVIDER)
		WRONG(r, "api_keys", "has more than %d keys", KEYS_PER_PROVIDER);
	for (size_t i = 0; i < r->p->api_key_count; i++) {
		if (r->v.api_keys.items[i].len == 0)
			WRONG(r, "api_keys", "a key is empty");
	}
	if ((given != NULL && !json_is_null(given)) || variable.ptr == NULL ||
	    r->has_own_url || r->b->o->is_offline)
		return;
	key = build_alloc(r->b, sizeof(*key));
	name = arena_printf(r->b->c->memory, "env:%.*s", STR_ARG(variable));
	if (key == NULL || name.ptr == NULL)
		return;
	if (options_resolve(name, r->b->c->memory, key, &is_literal, &why) == ST_OK) {
		if (!str_is_field_value(*key))
			WRONG(r, NULL,
			    "%.*s, which is its key, holds a control character, such as "
			    "a newline: no header can carry it",
			    STR_ARG(variable));
		r->p->api_keys = key;
		r->p->api_key_count = 1;
		return;
	}
	(void)err_fail(&why, ST_NOT_FOUND,
	    "api_keys is missing, and %.*s is not set; write api_keys: [env:NAME]",
	    STR_ARG(variable));
	options_say(&c, OPTIONS_UNSET, r->object, NULL, &why);
}

static void
make_credentials(struct provider_reading *r)
{
	r->p->credential =
	    build_alloc(r->b, (r->p->api_key_count + 1) * sizeof(*r->p->credential));
}

static bool
is_token(lz_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.ptr[i];

		if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
			(ch >= '0' && ch <= '9')) &&
		    (ch == '\0' || strchr("!#$%&'*+-.^_`|~", ch) == NULL))
			return false;
	}
	return s.len > 0;
}

/* What belongs to the connection or to the body is not for a file to say. */
static bool
is_transports(lz_str name)
{
	static const char *const names[] = { "host", "connection", "content-length",
		"transfer-encoding", "upgrade", "te", "trailer", "keep-alive",
		"proxy-connection", "expect" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (str_is_nocase(name, names[i]))
			return true;
	}
	return false;
}

static void
settle_headers(struct provider_reading *r)
{
	const json_t *headers = (const json_t *)(const void *)r->v.headers;
	char where[PROVIDER_WHERE_BYTES + 16];
	struct options_context c;
	lz_header *h;
	const char *name;
	json_t *value;

	(void)snprintf(where, sizeof(where), "%s.headers", r->where);
	c = build_context(r->b, where);
	h = build_alloc(r->b, (json_object_size(headers) + 1) * sizeof(*h));
	if (headers == NULL || h == NULL ||
	    (c.ignore = build_names(r->b, headers)) == NULL)
		return;
	if (json_object_size(headers) > HEADERS_MAX)
		WRONG(r, "headers", "has more than %d fields", HEADERS_MAX);
	r->p->headers = h;
	json_object_foreach((json_t *)(uintptr_t)headers, name, value)
	{
		lz_option row = { name, "a header field", NULL, NULL, 0, 0,
			LZ_TEXT_OPTION, offsetof(lz_header, value) };

		h->name = lz_strz(name);
		if (!is_token(h->name) || is_transports(h->name))
			build_wrong(r->b, where, headers, name,
			    "is not a header field that can be set");
		else if (build_apply(&row, 1, headers, h, &c) &&
			 (!str_is_field_value(h->value) || h->value.len > HEADER_BYTES))
			build_wrong(r->b, where, headers, name,
			    "holds a control character or is longer than %d bytes",
			    HEADER_BYTES);
		h++;
		r->p->header_count++;
	}
}

/* ---- the way to it ---- */

static void
settle_path(struct provider_reading *r)
{
	lz_str path = without_slashes(r, r->v.url_path);

	r->p->path = path;
	if (path.len == 0)
		return;
	if (path.ptr[0] != '/' || path.len > PATH_MAX_BYTES)
		WRONG(r, "url_path", "must begin with / and have at most %d bytes",
		    PATH_MAX_BYTES);
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] <= ' ' || path.ptr[i] >= 0x7f || path.ptr[i] == '?' ||
		    path.ptr[i] == '#') {
			WRONG(r, "url_path",
			    "holds a character that a path does not; what follows a ? is "
			    "written under url_query");
			return;
		}
}

static void
settle_query(struct provider_reading *r)
{
	const json_t *query = (const json_t *)(const void *)r->v.url_query;
	const char *name;
	json_t *value;
	struct buf b;

	buf_init(&b, QUERY_BYTES);
	json_object_foreach((json_t *)(uintptr_t)query, name, value)
	{
		buf_add_char(&b, b.len == 0 ? '?' : '&');
		buf_add_percent(&b, lz_strz(name));
		buf_add_char(&b, '=');
		buf_add_percent(&b, lz_strz(json_string_value(value)));
	}
	if (b.failed)
		WRONG(r, "url_query", "is longer than %d bytes", QUERY_BYTES);
	else if (b.len > 0)
		r->p->query = arena_copy(r->b->c->memory, buf_str(&b));
	buf_free(&b);
}

/* What a request is not one without, and what the gateway itself puts there. */
static bool
is_needed(lz_str member)
{
	static const char *const names[] = { "model", "messages", "input", "stream",
		"max_tokens", "max_completion_tokens", NULL };

	for (size_t i = 0; names[i] != NULL; i++)
		if (str_is(member, names[i]))
			return true;
	return false;
}

static void
settle_drop(struct provider_reading *r)
{
	r->p->drop = r->v.drop.items;
	r->p->drop_count = r->v.drop.count;
	if (r->p->drop_count > DROP_MAX)
		WRONG(r, "drop", "has more than %d members", DROP_MAX);
	for (size_t i = 0; i < r->p->drop_count; i++)
		if (r->p->drop[i].len == 0 || is_needed(r->p->drop[i]))
			WRONG(r, "drop", "\"%.*s\" cannot be left out",
			    STR_ARG(str_cut(r->p->drop[i], 0, 100)));
}

static void
settle_auth(struct provider_reading *r)
{
	lz_str name = r->v.auth_header;

	r->p->auth_header = name;
	if (name.len > 0 && (!is_token(name) || is_transports(name)))
		WRONG(r, "auth_header", "is not a header field that can be set");
}

static void
settle_rest(struct provider_reading *r)
{
	struct provider *p = r->p;
	lz_str ca_file = build_path(r->b, r->v.ca_file);

	p->region = r->v.region;
	p->is_free = r->v.price == 1;
	p->wants_http2 = r->v.http2 != 0;
	p->is_test = r->v.test != 0;
	if (json_object_get(r->object, "test") == NULL && r->vendor != NULL)
		p->is_test = r->vendor->is_test;
	p->proxy = r->v.proxy.len > 0 ? r->v.proxy.ptr : NULL;
	p->ca_file = ca_file.len > 0 ? ca_file.ptr : NULL;
	p->connect_timeout_ms = (unsigned)r->v.connect_timeout_ms;
	p->first_byte_timeout_ms = (unsigned)r->v.first_byte_timeout_ms;
	p->idle_timeout_ms = (unsigned)r->v.idle_timeout_ms;
}

void
provider_settle(struct provider_reading *r)
{
	settle_url(r);
	settle_keys(r);
	make_credentials(r);
	settle_headers(r);
	settle_path(r);
	settle_query(r);
	settle_auth(r);
	settle_drop(r);
	settle_rest(r);
}
