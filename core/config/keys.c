/* keys.c - the keys that the file declares: their secret, and the settings that keyset.c
 * knows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/json.h"
#include "config/build.h"

struct values {
	lz_str secret, secret_sha256;
	int32_t test, optional;
};

enum {
	SECRET_LEAST = 16,
	SECRET_MOST = 512,
	WHERE_BYTES = 200
};

#define V struct values
static const lz_option rows[] = {
	LZ_OPT_TEXT(V, secret, "", "secret", "the key's text, as clients send it"),
	LZ_OPT_TEXT(V, secret_sha256, "", "digest",
	    "its SHA-256 instead, for keys of another gateway"),
	LZ_OPT_BOOL(
	    V, test, "false", "a key known by its digest reaches test providers only"),
	LZ_OPT_BOOL(V, optional, "false",
	    "leave it out, with a warning, when its secret is unset"),
};
#undef V

enum {
	ROWS = sizeof(rows) / sizeof(rows[0])
};

/* The gateway's members, for the parser of settings; and the settings, for the rows
 * above. */
static const char *const own_names[] = { "secret", "secret_sha256", "test", "optional",
	NULL };

static bool
is_sendable(lz_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] <= ' ' || (unsigned char)s.ptr[i] >= 0x7f)
			return false;
	}
	return true;
}

static void
check_secret(struct build *b, const char *where, const json_t *object, lz_str s)
{
	bool is_ours = str_starts(s, "lz_live_") || str_starts(s, "lz_test_");

	if (b->o->is_offline && options_is_reference(s))
		return;
	if (s.len < SECRET_LEAST || s.len > SECRET_MOST)
		build_wrong(b, where, object, "secret",
		    "has %zu bytes; a key has %d to %d", s.len, SECRET_LEAST,
		    SECRET_MOST);
	else if (!is_sendable(s))
		build_wrong(b, where, object, "secret",
		    "holds blanks or characters that a header cannot carry");
	else if (is_ours && !crypto_key_is_wellformed(s))
		build_wrong(b, where, object, "secret",
		    "begins as a key of ours and its checksum is wrong; was it copied "
		    "whole?");
}

static void
settle_secret(struct build *b, const char *where, const json_t *object,
    const struct values *v, struct config_key *k)
{
	bool has_text = v->secret.ptr != NULL, has_digest = v->secret_sha256.ptr != NULL;

	if (has_text == has_digest) {
		build_wrong(b, where, object, NULL,
		    "%s; write secret: env:NAME, or secret_sha256 with 64 digits",
		    has_text ? "has both secret and secret_sha256"
			     : "has neither secret nor secret_sha256");
		return;
	}
	k->is_test = v->test != 0;
	if (has_digest) {
		k->has_sha256 =
		    crypto_unhex(v->secret_sha256, k->sha256, sizeof(k->sha256));
		return;
	}
	check_secret(b, where, object, v->secret);
	if (v->test && !str_starts(v->secret, "lz_test_"))
		build_wrong(b, where, object, "test",
		    "is for secret_sha256; a test key's text begins with lz_test_");
	k->secret = v->secret;
	k->is_test = str_starts(v->secret, "lz_test_");
}

/* The settings alone, as the other rooms store and parse them again. */
static const json_t *
settings_tree(struct build *b, const json_t *object)
{
	json_t *copy = json_deep_copy(object);

	for (const char *const *p = own_names; *p != NULL; p++)
		(void)json_object_del(copy, *p);
	if (copy == NULL || json_array_append_new(b->c->keep, copy) != 0)
		b->is_out_of_memory = true;
	return copy;
}

/* "gpt-4" or "local/" with a star behind: does any name here or in the catalogue begin
 * so, or may one at a provider? */
static bool
knows_any_of(const struct build *b, lz_str pattern)
{
	const struct config *c = b->c;
	const struct catalogue *k = &c->models->catalogue;
	ptrdiff_t slash = str_find(pattern, '/');

	for (size_t i = 0; i < k->row_count; i++)
		if (str_matches(k->row[i].facts.id, pattern))
			return true;
	for (size_t i = 0; i < c->target_count; i++)
		if (str_matches(c->target[i].model->id, pattern))
			return true;
	for (size_t i = 0; i < c->provider_count; i++) {
		lz_str name = c->provider[i].name;

		if (slash >= 0 ? str_eq(str_cut(pattern, 0, (size_t)slash), name)
			       : str_matches(name, pattern))
			return true;
	}
	return false;
}

/* A name that nobody knows may be a typing mistake; one that only no provider serves yet
 * may be meant. */
bool
keys_knows_model(const struct build *b, lz_str name)
{
	const struct config *c = b->c;
	const struct catalogue *k = &c->models->catalogue;
	const struct target *found;
	struct target made;
	struct arena *memory;
	bool is_known;

	if (c->models == NULL || c->models->plain.cap == 0 ||
	    str_starts(name, "latenza/"))
		return true;
	if (str_ends(name, "*"))
		return knows_any_of(b, name);
	for (size_t i = 0; i < k->row_count; i++) {
		if (str_eq(k->row[i].facts.id, name))
			return true;
	}
	memory = arena_new(65536);
	is_known =
	    memory == NULL || config_targets(c, name, &found, 1, &made, memory) > 0;
	arena_free(memory);
	return is_known;
}

static void
check_allowlist(struct build *b, const char *where, const json_t *object,
    const struct key_settings *s)
{
	for (size_t i = 0; i < s->allow_count; i++) {
		lz_str near;

		if (keys_knows_model(b, s->allow[i]))
			continue;
		if (config_near_models(b->c, s->allow[i], &near, 1) > 0)
			build_warn(b, where, object, "model_allowlist",
			    "no provider serves \"%.*s\"; did you mean \"%.*s\"?",
			    STR_ARG(s->allow[i]), STR_ARG(near));
		else
			build_warn(b, where, object, "model_allowlist",
			    "no provider serves \"%.*s\"", STR_ARG(s->allow[i]));
	}
}

void
keys_check_settings(struct build *b, const char *where, const json_t *object,
    const struct key_settings *s)
{
	if (s->routing_strategy.len > 0)
		(void)routers_check(
		    b, where, object, "routing_strategy", s->routing_strategy);
	check_allowlist(b, where, object, s);
	guardrails_check_names(b, where, object, s);
	if (s->log_content != LOG_CONTENT_INHERIT && s->log_content < b->c->log_content)
		build_wrong(b, where, object, "log_content",
		    "is more than log.content; it may only be lowered");
	if (s->budget_count > 0 && b->c->fx_nano_eur_per_usd == 0)
		build_warn(b, where, object, NULL,
		    "has a budget in euro, and fx.eur_per_usd is not given: models with "
		    "a price in USD are refused "
		    "to it");
}

void
keys_check_under(struct build *b, const char *where, const json_t *object,
    const struct key_settings *s, const struct key_settings *above, const char *what)
{
	struct err why;
	unsigned at = 0;
	const char *member;

	while ((member = key_settings_clash(s, above, what, &at, &why)) != NULL)
		build_wrong(b, where, object, member, "%s", why.text);
}

/* The key's organisation and assistant are those of this file: what a command made is not
 * known here, and would not be there on another machine. */
static void
check_owners(struct build *b, const char *where, const json_t *object,
    const struct key_settings *s)
{
	lz_str name = s->organization.len > 0 ? s->organization : STR_LIT("default");
	const struct config_profile *organization = config_profile(b->c, name, STR_NONE);
	const struct config_profile *assistant = NULL;
	char what[WHERE_BYTES];

	if (s->assistant.len > 0)
		assistant = config_profile(b->c, name, s->assistant);
	if (organization == NULL && !str_is(name, "default"))
		build_wrong(b, where, object, "organization",
		    "there is no \"%.*s\" under organizations", STR_ARG(name));
	else if (assistant == NULL && s->assistant.len > 0)
		build_wrong(b, where, object, "assistant",
		    "there is no \"%.*s\" under organizations.%.*s.assistants",
		    STR_ARG(s->assistant), STR_ARG(name));
	(void)snprintf(what, sizeof(what), "organizations.%.*s", STR_ARG(name));
	if (organization != NULL)
		keys_check_under(b, where, object, s, &organization->settings, what);
	(void)snprintf(what, sizeof(what), "organizations.%.*s.assistants.%.*s",
	    STR_ARG(name), STR_ARG(s->assistant));
	if (assistant != NULL)
		keys_check_under(b, where, object, s, &assistant->settings, what);
}

static void
check_all(struct build *b, const char *where, const json_t *object,
    const struct key_settings *s)
{
	keys_check_settings(b, where, object, s);
	check_owners(b, where, object, s);
}

static bool
read_key(struct build *b, const char *id, const json_t *object, struct config_key *k)
{
	size_t mark = b->complaint_count;
	struct values v = { .test = 0 };
	char where[WHERE_BYTES];
	struct options_context c;
	bool is_fine;

	(void)snprintf(where, sizeof(where), "keys.%s", id);
	c = build_context(b, where);
	memset(k, 0, sizeof(*k));
	k->id = lz_strz(id);
	k->line = yaml_line(b->source, object, NULL);
	c.ignore =
	    build_names(b, object); /* unknown ones are told by the settings' parser */
	if (c.ignore == NULL)
		return false;
	is_fine = build_apply(rows, ROWS, object, &v, &c);
	c.ignore = own_names;
	if (key_settings_read(object, &c, &k->settings, NULL) == ST_OK)
		check_all(b, where, object, &k->settings);
	if (is_fine)
		settle_secret(b, where, object, &v, k);
	k->tree = settings_tree(b, object);
	if (k->settings.metadata != NULL)
		k->settings.metadata = json_object_get(k->tree, "metadata");
	if (build_errors_since(b, mark) == 0)
		return true;
	if (v.optional)
		(void)build_forgive(b, mark);
	return false;
}

/* ---- two keys with one secret would be one name for two things ---- */

struct secret_hash {
	uint8_t sha256[CRYPTO_HASH_BYTES];
	const struct config_key *key;
};

static int
by_hash(const void *a, const void *b)
{
	const struct secret_hash *x = a, *y = b;
	int d = memcmp(x->sha256, y->sha256, sizeof(x->sha256));

	return d != 0 ? d : (x->key > y->key) - (x->key < y->key);
}

static void
check_secrets_differ(struct build *b, const json_t *keys)
{
	const struct config *c = b->c;
	struct secret_hash *all = build_alloc(b, (c->key_count + 1) * sizeof(*all));
	size_t n = 0;

	if (all == NULL)
		return;
	for (size_t i = 0; i < c->key_count; i++) {
		const struct config_key *k = &c->key[i];

		if (b->o->is_offline && !k->has_sha256 && options_is_reference(k->secret))
			continue;
		all[n].key = k;
		if (k->has_sha256)
			memcpy(all[n].sha256, k->sha256, sizeof(k->sha256));
		else
			crypto_sha256(k->secret, all[n].sha256);
		n++;
	}
	qsort(all, n, sizeof(*all), by_hash);
	for (size_t i = 1; i < n; i++) {
		if (memcmp(all[i].sha256, all[i - 1].sha256, CRYPTO_HASH_BYTES) == 0)
			build_wrong(b, "keys", keys, all[i].key->id.ptr,
			    "has the same secret as keys.%.*s",
			    STR_ARG(all[i - 1].key->id));
	}
}

void
keys_read(struct build *b, const json_t *keys)
{
	size_t room = json_object_size(keys);
	struct config *c = b->c;
	const char *id;
	json_t *value;

	if (room > KEYS_MAX) {
		build_wrong(b, "keys", keys, NULL,
		    "there are more than %d; make them by command", KEYS_MAX);
		return;
	}
	c->key = build_alloc(b, (room + 1) * sizeof(*c->key));
	if (c->key == NULL)
		return;
	json_object_foreach((json_t *)(uintptr_t)keys, id, value)
	{
		const json_t *object = build_object(b, keys, id);

		if (!build_is_slug(lz_strz(id), true))
			build_wrong(b, "keys", keys, id,
			    "a key's id is made of a-z, 0-9, -, _ and ., at most %d",
			    SLUG_BYTES);
		else if (object == NULL)
			build_wrong(b, "keys", keys, id, "is not a map of settings");
		else
			c->key_count += read_key(b, id, object, &c->key[c->key_count]);
	}
	check_secrets_differ(b, keys);
}

/* ---- told to others ---- */

json_t *
keys_file_schema(void)
{
	json_t *object = key_settings_schema(KEY_LEVEL_KEY);
	json_t *own = options_schema(rows, ROWS, sizeof(lz_option));

	(void)json_object_update(
	    json_object_get(object, "properties"), json_object_get(own, "properties"));
	json_decref(own);
	return json_pack("{s:s, s:s, s:{s:s}, s:o}", "type", "object", "description",
	    "virtual keys by id", "propertyNames", "pattern", "^[a-z0-9._-]{1,64}$",
	    "additionalProperties", object);
}

static json_t *
key_shown(const json_t *object)
{
	json_t *out = json_deep_copy(object);
	json_t *own = options_shown(rows, ROWS, sizeof(lz_option), object);
	const json_t *secret = json_object_get(own, "secret");

	if (secret != NULL)
		(void)json_object_set(out, "secret", (json_t *)(uintptr_t)secret);
	json_decref(own);
	return out;
}

json_t *
keys_shown(const struct config *c)
{
	const json_t *written = json_object_get(c->tree, "keys");
	json_t *out = json_object();

	for (size_t i = 0; i < c->key_count; i++) {
		const char *id = c->key[i].id.ptr;

		(void)json_object_set_new(
		    out, id, key_shown(json_object_get(written, id)));
	}
	return out;
}
