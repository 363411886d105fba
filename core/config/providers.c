/* providers.c - the file's providers: what each is read from, and its plugin's part.
 *
 * A provider's object holds two kinds of members: the gateway's own rows below, which
 * providers_settle.c looks into, and the plugin's rows, which go to whoever makes parts.
 * An instance is kept over a reload when the plugin's component and its options as used,
 * secrets included, are the same as before; a digest of them is compared.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/crypto.h"
#include "base/json.h"
#include "config/presets.h"
#include "config/providers_read.h"

enum {
	HOUR_MS = 3600000
};

#define V struct provider_values
const lz_option provider_rows[] = {
	LZ_OPT_TEXT(V, plugin, "", NULL,
	    "the plugin's component; absent: the provider's own name"),
	LZ_OPT_TEXT(V, preset, "", NULL,
	    "a vendor that speaks OpenAI's dialect: its address and its ways, where "
	    "nothing else is said here"),
	LZ_OPT_TEXT(V, base_url, "", NULL,
	    "where the provider's API begins; absent: the vendor's own"),
	LZ_OPT_LIST(V, api_keys, "[]", "token", "keys at the provider; they take turns"),
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
find_preset(struct provider_reading *r)
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
find_plugin(struct provider_reading *r)
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
own_members(struct provider_reading *r)
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
plugin_names(struct provider_reading *r)
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
read_values(struct provider_reading *r)
{
	struct options_context c = build_context(r->b, r->where);

	c.ignore = plugin_names(r);
	if (c.ignore != NULL)
		(void)build_apply(provider_rows, ROWS, r->object, &r->v, &c);
}

/* Checks the plugin's options where they stand, so that errors have their line. Members
 * that nobody knows were told by the gateway's pass. */
static void
read_own(struct provider_reading *r)
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

/* ---- the instance ---- */

static struct part *
part_of_before(const struct provider_reading *r)
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
make_part(struct provider_reading *r)
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
	struct provider_reading *r = build_alloc(b, sizeof(*r));
	size_t mark = b->complaint_count;
	bool is_fine;

	if (r == NULL)
		return false;
	*r = (struct provider_reading){ .b = b, .object = object, .p = p };
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
	provider_settle(r);
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
		char where[PROVIDER_WHERE_BYTES];

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
