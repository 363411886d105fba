/* key.c - commands over virtual keys: minted, imported, shown, rolled, disabled, removed.
 *
 * A secret is made here, handed out once in the answer, and kept as its HMAC only. What
 * the configuration file declares is shown and never changed here: the file would undo it
 * at the next reload.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/rows.h"

#include "base/clock.h"
#include "base/json.h"
#include "key/keys.h"

#include <stdio.h>

enum {
	KEY_ARENA_BYTES = 1 << 20,
	HINT_HEAD = 8, /* "lz_live_" */
	HINT_TAIL = 4
};
static const int64_t keep_old_max_ms = INT64_C(366) * 86400 * 1000;

/* A row of the database, copied out of it. */
struct found_key {
	struct arena *memory;
	lz_str wanted;
	struct db_key row;
	bool is_found, is_out_of_memory;
};

static bool
is_copied(lz_str from, lz_str to)
{
	return from.ptr == NULL || to.ptr != NULL;
}

static bool
copy_if_wanted(void *arg, const struct db_key *k)
{
	struct found_key *f = arg;
	struct db_key *to = &f->row;

	if (!str_eq(k->id, f->wanted))
		return true;
	*to = *k;
	to->id = arena_copy(f->memory, k->id);
	to->name = arena_copy(f->memory, k->name);
	to->hint = arena_copy(f->memory, k->hint);
	to->hash = arena_copy(f->memory, k->hash);
	to->sha256 = arena_copy(f->memory, k->sha256);
	to->old_hash = arena_copy(f->memory, k->old_hash);
	to->settings = arena_copy(f->memory, k->settings);
	to->source = arena_copy(f->memory, k->source);
	f->is_found = true;
	f->is_out_of_memory =
	    !is_copied(k->id, to->id) || !is_copied(k->name, to->name) ||
	    !is_copied(k->hint, to->hint) || !is_copied(k->hash, to->hash) ||
	    !is_copied(k->sha256, to->sha256) || !is_copied(k->old_hash, to->old_hash) ||
	    !is_copied(k->settings, to->settings) || !is_copied(k->source, to->source);
	return false;
}

enum status
key_find(
    struct db *db, lz_str id, struct arena *memory, struct db_key *out, struct err *e)
{
	struct found_key f = { .memory = memory, .wanted = id };
	enum status st = db_key_each(db, copy_if_wanted, &f, e);

	if (st != ST_OK)
		return st;
	if (f.is_out_of_memory)
		return err_fail(e, ST_NOMEM, "key \"%.*s\": out of memory", STR_ARG(id));
	if (!f.is_found)
		return err_fail(e, ST_NOT_FOUND,
		    "key \"%.*s\": there is none; `latenza key list` shows them",
		    STR_ARG(str_cut(id, 0, 100)));
	*out = f.row;
	return ST_OK;
}

static bool
is_of_file(const struct db_key *k)
{
	return str_is(k->source, "file");
}

/* Finds a key that is not the file's; one that left the file is history, and may be
 * removed. */
static enum status
find_removable(struct command_context *c, const json_t *args, struct arena *memory,
    struct db_key *k, struct err *e)
{
	enum status st = key_find(c->db, json_get_str(args, "id"), memory, k, e);

	if (st == ST_OK && is_of_file(k) && !k->is_disabled)
		return err_fail(e, ST_DENIED,
		    "key \"%.*s\": the configuration file declares it; change it there "
		    "and run `latenza reload`",
		    STR_ARG(k->id));
	return st;
}

/* Finds a key that commands may change. */
static enum status
find_own(struct command_context *c, const json_t *args, struct arena *memory,
    struct db_key *k, struct err *e)
{
	enum status st = find_removable(c, args, memory, k, e);

	if (st == ST_OK && is_of_file(k))
		return err_fail(e, ST_DENIED,
		    "key \"%.*s\": left the configuration file and stays disabled; "
		    "declare it there again, or remove it with `latenza key rm %.*s`",
		    STR_ARG(k->id), STR_ARG(k->id));
	return st;
}

static bool
is_same(void *arg, const struct db_key *k)
{
	const struct db_key **wanted = arg;

	if (str_eq(k->id, (*wanted)->id) && str_eq(k->hash, (*wanted)->hash) &&
	    k->changed_unix_ms == (*wanted)->changed_unix_ms)
		*wanted = NULL;
	return *wanted != NULL;
}

/* A commit that failed while it was made durable may stand; also true when nobody can
 * say. */
static bool
is_there(struct db *d, const struct db_key *k)
{
	return db_key_each(d, is_same, &k, NULL) != ST_OK || k == NULL;
}

/* Writes the row, durably, and marks it for publication. What is answered was built
 * before: a secret that cannot be told is not written. */
static enum status
put(struct command_context *c, const struct db_key *k, struct err *e)
{
	enum status st = json_ran_dry() ? err_fail(e, ST_NOMEM, "key: out of memory")
					: db_begin(c->db, e);

	if (st != ST_OK)
		return st;
	st = db_key_put(c->db, k, e);
	if (st == ST_OK) {
		st = db_commit(c->db, true, e);
		if (st != ST_OK && is_there(c->db, k)) {
			err_prefix(e, "key \"%.*s\" was written, but perhaps not durably",
			    STR_ARG(k->id));
			snprintf(c->changed_key, sizeof(c->changed_key), "%.*s",
			    STR_ARG(k->id));
		}
	}
	if (st != ST_OK) {
		db_rollback(c->db);
		return st;
	}
	snprintf(c->changed_key, sizeof(c->changed_key), "%.*s", STR_ARG(k->id));
	return ST_OK;
}

/* ---- what is shown ---- */

json_t *
row_budget(struct db *db, lz_str scope, const struct key_budget *b, int64_t now_unix_ms)
{
	json_t *out = json_object();
	struct period p;
	int64_t spent = 0;

	period_at(b->period, now_unix_ms, &p);
	if (db_spend_get(db, scope, lz_strz(p.label), &spent, NULL) != ST_OK)
		spent = 0;
	row_set_str(out, "scope", scope);
	row_set_str(out, "period", lz_strz(key_period_name(b->period)));
	row_set_str(out, "current", lz_strz(p.label));
	row_set_nano(out, "limit_nano_eur", b->limit_nano_eur);
	row_set_nano(out, "spent_nano_eur", spent);
	row_set_time(out, "resets_at", p.end_unix_ms);
	return out;
}

static void
show_budgets(struct db *db, const struct db_key *k, const json_t *settings,
    int64_t now_unix_ms, json_t *out)
{
	struct arena *memory = arena_new(KEY_ARENA_BYTES);
	json_t *list = json_array();
	char scope[COMMAND_ID_BYTES + 8];
	struct key_settings s;

	/* What a test key spends is play money, in a scope of its own. */
	snprintf(
	    scope, sizeof(scope), "%s:%.*s", k->is_test ? "test" : "key", STR_ARG(k->id));
	if (memory != NULL &&
	    key_settings_parse(settings, "key", NULL, memory, NULL, &s, NULL) == ST_OK)
		for (size_t i = 0; i < s.budget_count; i++)
			json_array_append_new(list,
			    row_budget(db, lz_strz(scope), &s.budget[i], now_unix_ms));
	if (memory == NULL)
		json_note_dry();
	json_object_set_new(out, "budgets", list);
	arena_free(memory);
}

static void
show(struct db *db, const struct db_key *k, int64_t now_unix_ms, json_t *out)
{
	json_t *settings = json_parse(k->settings, NULL);

	row_set_str(out, "id", k->id);
	row_set_str(out, "name", k->name);
	row_set_str(out, "hint", k->hint);
	row_set_str(out, "source", k->source);
	json_object_set_new(out, "test", json_boolean(k->is_test));
	json_object_set_new(out, "disabled", json_boolean(k->is_disabled));
	json_object_set_new(out, "imported", json_boolean(k->sha256.ptr != NULL));
	row_set_time(out, "created_at", k->created_unix_ms);
	row_set_time(out, "changed_at", k->changed_unix_ms);
	if (k->old_hash.ptr != NULL && k->old_until_unix_ms > now_unix_ms)
		row_set_time(out, "old_secret_until", k->old_until_unix_ms);
	if (settings != NULL)
		show_budgets(db, k, settings, now_unix_ms, out);
	json_object_set_new(out, "settings", settings != NULL ? settings : json_object());
}

/* ---- create and import ---- */

static bool
is_slug(lz_str id)
{
	if (id.len == 0 || id.len >= COMMAND_ID_BYTES)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.ptr[i];
		bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!is_word && (i == 0 || (c != '-' && c != '_' && c != '.')))
			return false;
	}
	return true;
}

/* "Production backend (EU)" -> "production-backend-eu"; empty when no letter or digit is
 * left. */
static lz_str
slug_of(lz_str name, char out[COMMAND_ID_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < name.len && n + 2 < COMMAND_ID_BYTES; i++) {
		char c = name.ptr[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[n++] = c;
		else if (n > 0 && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n > 0 && out[n - 1] == '-')
		n--;
	out[n] = '\0';
	return lz_strn(out, n);
}

/* What is about to be written, with room for what it points at. */
struct new_key {
	struct db_key row;
	struct arena *memory;
	struct buf settings;
	char slug[COMMAND_ID_BYTES];
	char secret[CRYPTO_KEY_CHARS + 1];
	char hint[CRYPTO_KEY_CHARS + 1];
	uint8_t hash[CRYPTO_HASH_BYTES];
};

static void
new_key_free(struct new_key *n)
{
	arena_free(n->memory);
	buf_free(&n->settings);
	crypto_wipe(n->secret, sizeof(n->secret));
}

/* Mints a secret into n and says how it may be shown: "lz_live_…a1b2". */
static void
mint(struct new_key *n, const struct keyring *keyring, bool is_test)
{
	crypto_key_mint(is_test, n->secret);
	keys_hash(keyring->pepper, lz_strz(n->secret), n->hash);
	snprintf(n->hint, sizeof(n->hint), "%.*s\xe2\x80\xa6%s", HINT_HEAD, n->secret,
	    n->secret + CRYPTO_KEY_CHARS - HINT_TAIL);
	n->row.hash = lz_strn((const char *)n->hash, sizeof(n->hash));
	n->row.hint = lz_strz(n->hint);
	n->row.sha256 = STR_NONE;
}

static enum status
choose_id(struct command_context *c, const json_t *args, struct new_key *n, struct err *e)
{
	lz_str id = json_get_str(args, "id");
	struct db_key k = { 0 };
	enum status st;

	if (id.ptr == NULL) {
		id = slug_of(n->row.name, n->slug);
		if (id.len == 0)
			return err_fail(e, ST_INVALID,
			    "key: its name \"%.*s\" makes no id; give one with --id",
			    STR_ARG(n->row.name));
	}
	if (!is_slug(id))
		return err_fail(e, ST_INVALID,
		    "id: \"%.*s\" must be 1 to %d of a-z, 0-9, \"-\", \"_\", \".\" and "
		    "begin "
		    "with a letter or digit",
		    STR_ARG(str_cut(id, 0, 60)), COMMAND_ID_BYTES - 1);
	n->row.id = id;
	if (c->db == NULL) /* it is only checked */
		return ST_OK;
	st = key_find(c->db, id, n->memory, &k, e);
	if (st == ST_OK)
		return err_fail(e, ST_EXISTS,
		    "key \"%.*s\": exists already; choose another --id, or change its "
		    "secret with `latenza key roll`",
		    STR_ARG(id));
	return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Everything of a new key but its secret. n is freed by the caller, also on failure. */
static enum status
new_key(struct command_context *c, const json_t *args, struct new_key *n, struct err *e)
{
	const json_t *settings = json_object_get(args, "settings");
	struct key_settings s;
	enum status st;

	*n = (struct new_key){ 0 };
	buf_init(&n->settings, KEY_ARENA_BYTES);
	n->memory = arena_new(KEY_ARENA_BYTES);
	if (n->memory == NULL || !json_print(settings, &n->settings))
		return err_fail(
		    e, ST_NOMEM, "key: out of memory, or its settings are too large");
	st = key_settings_parse(settings, "key", NULL, n->memory, NULL, &s, e);
	if (st != ST_OK)
		return st;
	if (s.routing_strategy.ptr != NULL && c->config != NULL &&
	    !config_has_strategy(c->config, s.routing_strategy))
		return err_fail(e, ST_INVALID,
		    "key.routing_strategy: there is no router \"%.*s\"; `latenza plugin "
		    "list` "
		    "shows them",
		    STR_ARG(s.routing_strategy));
	st = profile_check_guardrails(c, "key", &s, e);
	if (st != ST_OK)
		return st;
	st = profile_check_key(c, &s, n->memory, e);
	if (st != ST_OK)
		return st;
	n->row.name = s.name;
	n->row.settings = buf_str(&n->settings);
	n->row.source = STR_LIT("command");
	n->row.is_test = json_get_bool(args, "test", false);
	n->row.created_unix_ms = n->row.changed_unix_ms = c->now_unix_ms;
	return choose_id(c, args, n, e);
}

enum status
key_create(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	struct new_key n;
	enum status st = new_key(c, args, &n, e);

	if (st == ST_OK) {
		mint(&n, c->keyring, n.row.is_test);
		show(c->db, &n.row, c->now_unix_ms, result);
		row_set_str(result, "secret", lz_strz(n.secret));
		st = put(c, &n.row, e);
	}
	if (st != ST_OK)
		json_object_clear(result);
	new_key_free(&n);
	return st;
}

static enum status
new_import(
    struct command_context *c, const json_t *args, struct new_key *n, struct err *e)
{
	lz_str hex = json_get_str(args, "sha256");
	enum status st = new_key(c, args, n, e);

	if (st == ST_OK && !crypto_unhex(hex, n->hash, sizeof(n->hash)))
		st = err_fail(e, ST_INVALID,
		    "sha256: must be the 64 hexadecimal digits of the secret's SHA-256, "
		    "got %zu characters",
		    hex.len);
	return st;
}

enum status
key_check(struct command_context *c, const json_t *args, struct err *e)
{
	struct new_key n;
	enum status st = new_key(c, args, &n, e);

	new_key_free(&n);
	return st;
}

enum status
key_check_import(struct command_context *c, const json_t *args, struct err *e)
{
	struct new_key n;
	enum status st = new_import(c, args, &n, e);

	new_key_free(&n);
	return st;
}

enum status
key_import(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	lz_str hex = json_get_str(args, "sha256");
	struct new_key n;
	enum status st = new_import(c, args, &n, e);

	if (st == ST_OK) {
		snprintf(n.hint, sizeof(n.hint), "sha256 %.*s\xe2\x80\xa6", HINT_HEAD,
		    hex.ptr);
		n.row.hint = lz_strz(n.hint);
		n.row.sha256 = lz_strn((const char *)n.hash, sizeof(n.hash));
		show(c->db, &n.row, c->now_unix_ms, result);
		st = put(c, &n.row, e);
	}
	if (st != ST_OK)
		json_object_clear(result);
	new_key_free(&n);
	return st;
}

/* ---- the rest of a key's life ---- */

struct listing {
	struct db *db;
	json_t *keys;
	int64_t now_unix_ms;
};

static bool
list_one(void *arg, const struct db_key *k)
{
	struct listing *l = arg;
	json_t *one = json_object();

	show(l->db, k, l->now_unix_ms, one);
	json_array_append_new(l->keys, one);
	return true;
}

enum status
key_list(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	struct listing l = { c->db, json_list_in(result, "keys"), c->now_unix_ms };

	(void)args;
	return db_key_each(c->db, list_one, &l, e);
}

enum status
key_show(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	struct arena *memory = arena_new(KEY_ARENA_BYTES);
	struct db_key k = { 0 };
	enum status st;

	if (memory == NULL)
		return err_fail(e, ST_NOMEM, "key: out of memory");
	st = key_find(c->db, json_get_str(args, "id"), memory, &k, e);
	if (st == ST_OK)
		show(c->db, &k, c->now_unix_ms, result);
	arena_free(memory);
	return st;
}

/* Adds what only memory knows: requests in flight, money reserved, the last use. */
void
key_add_live(const struct command_gateway *g, json_t *result)
{
	lz_str id = json_get_str(result, "id");
	json_t *live = id.ptr == NULL ? NULL : g->key_live(g->arg, id);

	if (live != NULL)
		json_object_set_new(result, "live", live);
}

enum status
key_roll(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	struct new_key n = { .memory = arena_new(KEY_ARENA_BYTES) };
	int64_t keep_ms = json_get_int(args, "keep_old_ms", 0);
	struct db_key k = { 0 };
	enum status st;

	if (n.memory == NULL)
		return err_fail(e, ST_NOMEM, "key: out of memory");
	if (keep_ms < 0 || keep_ms > keep_old_max_ms)
		st = err_fail(e, ST_INVALID,
		    "keep_old_ms: must be 0 to 366 days, got %lld ms",
		    (long long)keep_ms);
	else
		st = find_own(c, args, n.memory, &k, e);
	if (st == ST_OK) {
		n.row = k;
		n.row.old_hash = keep_ms > 0 ? k.hash : STR_NONE;
		n.row.old_until_unix_ms =
		    n.row.old_hash.ptr != NULL ? c->now_unix_ms + keep_ms : 0;
		n.row.changed_unix_ms = c->now_unix_ms;
		mint(&n, c->keyring, n.row.is_test);
		show(c->db, &n.row, c->now_unix_ms, result);
		row_set_str(result, "secret", lz_strz(n.secret));
		st = put(c, &n.row, e);
	}
	if (st != ST_OK)
		json_object_clear(result);
	new_key_free(&n);
	return st;
}

enum status
key_disable(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	struct arena *memory = arena_new(KEY_ARENA_BYTES);
	struct db_key k = { 0 };
	enum status st;

	if (memory == NULL)
		return err_fail(e, ST_NOMEM, "key: out of memory");
	st = find_own(c, args, memory, &k, e);
	if (st == ST_OK) {
		k.is_disabled = json_get_bool(args, "disabled", true);
		k.changed_unix_ms = c->now_unix_ms;
		show(c->db, &k, c->now_unix_ms, result);
		st = put(c, &k, e);
	}
	arena_free(memory);
	return st;
}

/* The key goes; what it spent and its traces stay, known by its id. */
enum status
key_remove(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	struct arena *memory = arena_new(KEY_ARENA_BYTES);
	struct db_key k = { 0 };
	enum status st;

	if (memory == NULL)
		return err_fail(e, ST_NOMEM, "key: out of memory");
	st = find_removable(c, args, memory, &k, e);
	if (st == ST_OK)
		st = db_begin(c->db, e);
	if (st == ST_OK) {
		st = db_key_remove(c->db, k.id, e);
		if (st == ST_OK)
			st = db_commit(c->db, true, e);
		if (st != ST_OK)
			db_rollback(c->db);
	}
	if (st == ST_OK) {
		row_set_str(result, "removed", k.id);
		if (!is_of_file(&k)) /* else it was not in force any more */
			snprintf(c->changed_key, sizeof(c->changed_key), "%.*s",
			    STR_ARG(k.id));
	}
	arena_free(memory);
	return st;
}
