/* providers.c - the file's providers: what the gateway owns of each, and the plugin's
 * part.
 *
 * A provider's object holds two kinds of members: the gateway's own rows below, and the
 * plugin's rows, which go to whoever makes parts. An instance is kept over a reload when
 * the plugin's component and its options as used, secrets included, are the same as
 * before; a digest of them is compared.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/crypto.h"
#include "base/json.h"
#include "config/build.h"
#include "config/presets.h"

struct values {
	lz_str plugin, preset, base_url, url_path, auth_header, region, proxy, ca_file;
	lz_list api_keys, drop;
	const lz_json *models, *headers, *url_query;
	int32_t price, test, http2, optional;
	int64_t connect_timeout_ms, first_byte_timeout_ms, idle_timeout_ms;
};

enum {
	HEADERS_MAX = 32,
	HEADER_BYTES = 8192,
	KEYS_PER_PROVIDER = 100,
	PATH_MAX_BYTES = 256,
	QUERY_BYTES = 1024,
	DROP_MAX = 32,
	HOUR_MS = 3600000,
	WHERE_BYTES = 160
};

#define V struct values
const lz_option provider_rows[] = {
	LZ_OPT_TEXT(V, plugin, "", NULL,
	    "the plugin's component; absent: the provider's own name"),
	LZ_OPT_TEXT(V, preset, "", NULL,
	    "a vendor that speaks OpenAI's dialect: its address and its ways, where "
	    "nothing else is said here"),
	LZ_OPT_TEXT(V, base_url, "", NULL,
	    "where the provider's API begins; absent: the vendor's own"),
	LZ_OPT_LIST(V, api_keys, "[]", "secret", "keys at the provider; they take turns"),
	LZ_OPT_JSON(V, models,
	    "{\"type\":\"array\",\"maxItems\":10000,\"items\":{\"type\":[\"string\","
	    "\"object\"]}}",
	    "what it serves: names, or facts; \"*\" stands for the catalogue's; absent: "
	    "the catalogue's"),
	LZ_OPT_CHOICE(
	    V, price, "listed", "listed|free", "free: nothing it serves costs anything"),
	LZ_OPT_JSON(V, headers,
	    "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}",
	    "header fields that are sent with every call; values may be references"),
	LZ_OPT_TEXT(V, url_path, "", NULL,
	    "between base_url and /chat/completions; {model} stands for the model"),
	LZ_OPT_JSON(V, url_query,
	    "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}",
	    "what is asked behind the path: api-version: 2024-10-21"),
	LZ_OPT_TEXT(V, auth_header, "", NULL,
	    "the header field that is the key; absent: authorization: Bearer KEY"),
	LZ_OPT_LIST(V, drop, "[]", NULL,
	    "members of a request that it does not take: left out, and the caller is "
	    "told"),
	LZ_OPT_TEXT(V, region, "", NULL, "where it works, for routers"),
	LZ_OPT_BOOL(
	    V, test, "false", "reached by lz_test_ keys; true by default for echo"),
	LZ_OPT_BOOL(V, http2, "false", "speak HTTP/2 with it"),
	LZ_OPT_TEXT(V, proxy, "", "proxy", "go through this proxy"),
	LZ_OPT_TEXT(
	    V, ca_file, "", NULL, "certificates to trust instead of the system's"),
	LZ_OPT_INT(
	    V, connect_timeout_ms, "0", 0, HOUR_MS, "duration", "0: the gateway's own"),
	LZ_OPT_INT(V, first_byte_timeout_ms, "0", 0, HOUR_MS, "duration",
	    "0: routing.first_byte_timeout_ms"),
	LZ_OPT_INT(V, idle_timeout_ms, "0", 0, HOUR_MS, "duration",
	    "0: routing.idle_timeout_ms"),
	LZ_OPT_BOOL(V, optional, "false",
	    "leave it out, with a warning, when a secret of it is unset"),
};
#undef V

enum {
	ROWS = sizeof(provider_rows) / sizeof(provider_rows[0])
};
const uint32_t provider_row_count = ROWS;

struct reading {
	struct build *b;
	const json_t *object;
	char where[WHERE_BYTES];
	struct values v;
	struct provider *p;
	const struct vendor *vendor; /* NULL: the catalogue does not know the plugin */
	json_t *preset;              /* NULL: none; owned */
	bool has_own_url;            /* the file's, not the preset's */
	json_t *own;                 /* the plugin's members */
};

#define WRONG(r, member, ...)                                                            \
	build_wrong((r)->b, (r)->where, (r)->object, (member), __VA_ARGS__)

/* ---- the plugin ---- */

static bool
is_row(const char *name)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (strcmp(provider_rows[i].name, name) == 0)
			return true;
	}
	return false;
}

/* false: told. */
static bool
find_preset(struct reading *r)
{
	lz_str name = json_get_str(r->object, "preset");
	const json_t *given = json_object_get(r->object, "preset");
	char names[400];
	json_t *all;

	r->has_own_url = json_get_str(r->object, "base_url").len > 0;
	if (given != NULL && !json_is_null(given) && name.ptr == NULL) {
		WRONG(r, "preset", "is not a text; write preset: NAME");
		return false;
	}
	if (name.len == 0)
		return true;
	all = presets_load();
	r->preset = json_incref(json_object_getn(all, name.ptr, name.len));
	presets_names(all, names, sizeof(names));
	json_decref(all);
	if (r->preset == NULL)
		WRONG(r, "preset", "there is no preset \"%.*s\"; there are %s",
		    STR_ARG(str_cut(name, 0, 100)), names);
	else if (!r->has_own_url && json_get_str(r->preset, "base_url_env").len > 0)
		WRONG(r, "preset",
		    "%.*s has no address that is everybody's; write base_url: "
		    "https://...",
		    STR_ARG(name));
	else
		return true;
	return false;
}

static bool
find_plugin(struct reading *r)
{
	lz_str name = json_get_str(r->object, "plugin"), near = STR_NONE;
	const char *member = name.ptr != NULL ? "plugin" : NULL;

	if (name.ptr == NULL)
		name = r->preset != NULL ? presets_plugin(r->preset) : r->p->name;
	r->p->info =
	    part_get_ops() != NULL ? part_get_ops()->find("provider", name, &near) : NULL;
	if (r->p->info != NULL) {
		r->vendor = catalogue_vendor(
		    &r->b->c->models->catalogue, lz_strz(r->p->info->name));
		return true;
	}
	if (near.ptr != NULL)
		WRONG(r, member,
		    "no plugin offers the provider \"%.*s\"; did you mean \"%.*s\"?",
		    STR_ARG(name), STR_ARG(near));
	else
		WRONG(r, member, "no plugin offers the provider \"%.*s\"; %s",
		    STR_ARG(name),
		    member == NULL
			? "write plugin: NAME, `latenza plugin list` shows them"
			: "`latenza plugin list` shows what there is");
	return false;
}

/* The members that are the plugin's, file: paths made absolute: its maker does not know
 * the file's folder. */
static json_t *
own_members(struct reading *r)
{
	json_t *own = json_object();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)r->object, name, value)
	{
		lz_str text =
		    lz_strn(json_string_value(value), json_string_length(value));
		json_t *copy = NULL;

		if (is_row(name))
			continue;
		if (json_is_string(value)) {
			text = options_absolute(text, r->b->folder, r->b->c->memory);
			copy = json_stringn(text.ptr != NULL ? text.ptr : "", text.len);
		}
		(void)json_object_set_new(
		    own, name, copy != NULL ? copy : json_incref(value));
	}
	return own;
}

static void
digest_of(json_t *resolved, uint8_t out[CRYPTO_HASH_BYTES])
{
	struct buf text;

	buf_init(&text, 16 << 20);
	(void)json_print(resolved, &text);
	crypto_sha256(buf_str(&text), out);
	crypto_wipe(text.ptr, text.len);
	buf_free(&text);
}

/* The names of the plugin's options, which the gateway's pass leaves alone;
 * NULL-terminated. */
static const char **
plugin_names(struct reading *r)
{
	const struct part_info *info = r->p->info;
	const char **names = build_alloc(r->b, (info->option_count + 1) * sizeof(*names));

	if (names == NULL)
		return NULL;
	for (uint32_t i = 0; i < info->option_count; i++) {
		names[i] = options_row(info->options, info->option_size, i)->name;
		if (is_row(names[i]))
			WRONG(r, NULL,
			    "the plugin %s has an option %s of its own, which is the "
			    "gateway's name",
			    info->name, names[i]);
	}
	return names;
}

static void
read_values(struct reading *r)
{
	struct options_context c = build_context(r->b, r->where);

	c.ignore = plugin_names(r);
	if (c.ignore != NULL)
		(void)build_apply(provider_rows, ROWS, r->object, &r->v, &c);
}

/* Checks the plugin's options where they stand, so that errors have their line. Members
 * that nobody knows were told by the gateway's pass. */
static void
read_own(struct reading *r)
{
	const struct part_info *info = r->p->info;
	struct options_context c = build_context(r->b, r->where);
	json_t *resolved = json_object();

	r->own = own_members(r);
	c.ignore = build_names(r->b, r->object);
	if (c.ignore == NULL || resolved == NULL || r->own == NULL) {
		r->b->is_out_of_memory = true;
		json_decref(resolved);
		return;
	}
	c.resolved = resolved;
	if (options_check(info->options, info->option_count, info->option_size, r->object,
		&c, NULL) == ST_OK)
		digest_of(resolved, r->p->options_digest);
	json_decref(resolved);
}

/* ---- the gateway's part ---- */

static bool
is_web(lz_str url)
{
	return str_starts(url, "http://") || str_starts(url, "https://");
}

static lz_str
without_slashes(struct reading *r, lz_str s)
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
check_url(struct reading *r, lz_str url)
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
settle_url(struct reading *r)
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
usual_variable(const struct reading *r)
{
	if (r->preset != NULL)
		return json_get_str(r->preset, "env");
	return r->vendor != NULL ? r->vendor->env : STR_NONE;
}

/* Keys that are not named come from the vendor's usual variable, and only go to the
 * vendor itself. */
static void
settle_keys(struct reading *r)
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
make_credentials(struct reading *r)
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

static bool
is_field_value(lz_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (((unsigned char)s.ptr[i] < ' ' && s.ptr[i] != '\t') ||
		    s.ptr[i] == 0x7f)
			return false;
	}
	return s.len <= HEADER_BYTES;
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
settle_headers(struct reading *r)
{
	const json_t *headers = (const json_t *)(const void *)r->v.headers;
	char where[WHERE_BYTES + 16];
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
			 !is_field_value(h->value))
			build_wrong(r->b, where, headers, name,
			    "holds a control character or is longer than %d bytes",
			    HEADER_BYTES);
		h++;
		r->p->header_count++;
	}
}

/* ---- the way to it ---- */

static void
settle_path(struct reading *r)
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
settle_query(struct reading *r)
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
settle_drop(struct reading *r)
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
settle_auth(struct reading *r)
{
	lz_str name = r->v.auth_header;

	r->p->auth_header = name;
	if (name.len > 0 && (!is_token(name) || is_transports(name)))
		WRONG(r, "auth_header", "is not a header field that can be set");
}

static void
settle_rest(struct reading *r)
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

/* ---- the instance ---- */

static struct part *
part_of_before(const struct reading *r)
{
	const struct config *before = r->b->o->before;

	for (size_t i = 0; before != NULL && i < before->provider_count; i++) {
		const struct provider *p = &before->provider[i];

		if (str_eq(p->name, r->p->name) && p->info == r->p->info &&
		    p->part != NULL &&
		    memcmp(p->options_digest, r->p->options_digest,
			sizeof(p->options_digest)) == 0)
			return p->part;
	}
	return NULL;
}

static void
make_part(struct reading *r)
{
	struct options_context c = build_context(r->b, NULL);
	struct err why = { "" };

	if (r->b->o->is_offline)
		return;
	r->p->part = part_of_before(r);
	if (r->p->part != NULL) {
		part_ref(r->p->part);
		return;
	}
	r->p->part =
	    part_get_ops()->make(r->p->info, r->p->name.ptr, r->own, r->where, &why);
	/* The maker's sentence begins with the place already. */
	if (r->p->part == NULL)
		options_say(&c, OPTIONS_ERROR, r->object, NULL, &why);
}

/* ---- one provider, all of them ---- */

static bool
check_name(struct build *b, const json_t *providers, const char *name)
{
	if (!build_is_slug(lz_strz(name), false))
		build_wrong(b, "providers", providers, name,
		    "a provider's name is made of a-z, 0-9 and -, at most %d",
		    SLUG_BYTES);
	else if (strcmp(name, "latenza") == 0)
		build_wrong(b, "providers", providers, name, "the name is reserved");
	else
		return true;
	return false;
}

/* true: the provider is complete. false: it is wrong, or optional and left out. */
static bool
read_provider(struct build *b, const char *name, const json_t *object, struct provider *p)
{
	struct reading *r = build_alloc(b, sizeof(*r));
	size_t mark = b->complaint_count;
	bool is_fine;

	if (r == NULL)
		return false;
	*r = (struct reading){ .b = b, .object = object, .p = p };
	(void)snprintf(r->where, sizeof(r->where), "providers.%s", name);
	*p = (struct provider){ .name = lz_strz(name),
		.line = yaml_line(b->source, object, NULL) };
	if (!find_preset(r) || !find_plugin(r)) {
		json_decref(r->preset);
		return false;
	}
	if (r->preset != NULL) /* the tree is ours, and shows what is used */
		presets_apply((json_t *)(uintptr_t)object, r->preset, p->info);
	read_values(r);
	read_own(r);
	settle_url(r);
	settle_keys(r);
	make_credentials(r);
	settle_headers(r);
	settle_path(r);
	settle_query(r);
	settle_auth(r);
	settle_drop(r);
	settle_rest(r);
	is_fine = build_errors_since(b, mark) == 0;
	if (is_fine)
		make_part(r);
	else if (r->v.optional)
		(void)build_forgive(b, mark);
	json_decref(r->own);
	json_decref(r->preset);
	return is_fine && (p->part != NULL || b->o->is_offline);
}

void
providers_read(struct build *b, const json_t *providers)
{
	size_t room = json_object_size(providers);
	struct config *c = b->c;
	const char *name;
	json_t *value;

	if (room > PROVIDERS_MAX) {
		build_wrong(b, "providers", providers, NULL, "there are more than %d",
		    PROVIDERS_MAX);
		return;
	}
	models_begin(b, providers);
	c->provider = build_alloc(b, (room + 1) * sizeof(*c->provider));
	if (c->models == NULL || c->provider == NULL)
		return;
	json_object_foreach((json_t *)(uintptr_t)providers, name, value)
	{
		struct provider *p = &c->provider[c->provider_count];
		const json_t *object = build_object(b, providers, name);
		char where[WHERE_BYTES];

		if (!check_name(b, providers, name))
			continue;
		if (object == NULL) {
			build_wrong(b, "providers", providers, name,
			    "is not a map; write %s: {}", name);
			continue;
		}
		if (!read_provider(b, name, object, p))
			continue;
		c->provider_count++; /* from now on its part is the configuration's to
					give back */
		(void)snprintf(where, sizeof(where), "providers.%s.models", name);
		models_add(b, p, json_object_get(object, "models"), where);
	}
}
