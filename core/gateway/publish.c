/* publish.c - which keys are in force: those of the database and those of the file. The
 * organisations and assistants they belong to are profiles.c's.
 *
 * The file's keys are remembered in the database too, so that one that leaves the file is
 * shown as disabled and its history keeps a name.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include "base/json.h"
#include "base/tell.h"
#include "gateway/profiles.h"
#include "gateway/whole.h"

static const uint8_t *
bytes_or_null(lz_str s)
{
	return s.len == CRYPTO_HASH_BYTES ? (const uint8_t *)s.ptr : NULL;
}

enum status
publish_settings(lz_str row, json_t **out, struct err *e)
{
	(void)json_ran_dry();
	*out = json_parse(row, e);
	if (json_ran_dry()) /* what has come may not be all of it */
		return err_fail(e, ST_NOMEM, "out of memory");
	return *out != NULL ? ST_OK : ST_INVALID;
}

static enum status
publish_row(struct gateway *g, const struct db_key *k, struct err *e)
{
	struct key_wanted w = { .id = k->id,
		.is_test = k->is_test,
		.is_disabled = k->is_disabled,
		.hash = bytes_or_null(k->hash),
		.sha256 = bytes_or_null(k->sha256),
		.old_hash = bytes_or_null(k->old_hash),
		.old_until_unix_ms = k->old_until_unix_ms };
	json_t *settings;
	enum status st = publish_settings(k->settings, &settings, e);

	w.settings = settings;
	if (st == ST_OK)
		st = keys_put(g->keys, &w, e);
	if (st != ST_OK)
		err_prefix(e, "key '%.*s'", STR_ARG(k->id));
	json_decref(settings);
	return st;
}

struct loading {
	struct gateway *g;
	struct err *e;
	enum status st;
};

static bool
load_row(void *arg, const struct db_key *k)
{
	struct loading *l = arg;

	if (str_is(k->source, "file"))
		return true;
	l->st = publish_row(l->g, k, l->e);
	return l->st == ST_OK;
}

static bool
load_spend(void *arg, lz_str scope, lz_str period, int64_t spent)
{
	struct loading *l = arg;

	l->st = ledger_load(l->g->ledger, scope, period, spent);
	return l->st == ST_OK;
}

enum status
publish_all(struct gateway *g, struct db *db, struct err *e)
{
	struct loading l = { g, e, ST_OK };
	enum status st = db_spend_each(db, load_spend, &l, e);

	if (st == ST_OK && l.st != ST_OK)
		return err_fail(e, l.st, "ledger: out of memory");
	if (st == ST_OK)
		st = profiles_load(g, db, e);
	if (st == ST_OK)
		st = db_key_each(db, load_row, &l, e);
	if (st == ST_OK)
		st = l.st;
	return st == ST_OK ? publish_file_keys(g, NULL, db, e) : st;
}

enum status
gateway_key_changed(struct gateway *g, lz_str id, const struct db_key *k, struct err *e)
{
	const struct key *now = keys_get(g->keys, id);

	if (now != NULL && now->is_from_file)
		return err_fail(e, ST_DENIED,
		    "key '%.*s' is owned by the configuration file; change it there",
		    STR_ARG(id));
	if (k != NULL)
		return publish_row(g, k, e);
	return keys_remove(g->keys, id);
}

/* ---- the file's ---- */

static enum status
publish_file_key(struct gateway *g, const struct config_key *k, struct err *e)
{
	const struct key *now = keys_get(g->keys, k->id);
	uint8_t hash[CRYPTO_HASH_BYTES];
	struct key_wanted w = { .id = k->id,
		.settings = k->tree,
		.is_test = k->is_test,
		.is_from_file = true };

	if (now != NULL && !now->is_from_file)
		return err_fail(e, ST_EXISTS,
		    "%s:%u: key '%.*s': a key of this id was made by command; rename one "
		    "of them",
		    g->config->path != NULL ? g->config->path : "(configuration)",
		    k->line, STR_ARG(k->id));
	if (k->has_sha256)
		w.sha256 = k->sha256;
	else {
		keys_hash(g->keyring.pepper, k->secret, hash);
		w.hash = hash;
	}
	return keys_put(g->keys, &w, e);
}

static bool
config_has_key(const struct config *c, lz_str id)
{
	for (size_t i = 0; i < c->key_count; i++)
		if (str_eq(c->key[i].id, id))
			return true;
	return false;
}

struct remember {
	struct gateway *g;
	struct err *e;
	enum status st;
};

static enum status
remember_one(struct gateway *g, struct db *db, const struct config_key *k, struct err *e)
{
	struct buf settings;
	struct db_key row = { .id = k->id,
		.name = k->settings.name,
		.hint = STR_LIT("(file)"),
		.source = STR_LIT("file"),
		.is_test = k->is_test,
		.created_unix_ms = clock_unix_ms(),
		.changed_unix_ms = clock_unix_ms() };
	enum status st = ST_NOMEM;

	(void)g;
	buf_init(&settings, 1 << 20);
	if (json_print(k->tree, &settings)) {
		row.settings = buf_str(&settings);
		st = db_key_put(db, &row, e);
	} else {
		(void)err_fail(e, st, "keys: out of memory");
	}
	buf_free(&settings);
	return st;
}

/* Rows of keys that left the file, copied: the database may not be written while it is
 * read. */
struct stale {
	struct gateway *g;
	struct arena *memory;
	struct db_key *row;
	size_t count, room;
	bool is_out_of_memory;
};

static bool
find_stale(void *arg, const struct db_key *k)
{
	struct stale *s = arg;
	struct db_key *row;

	if (!str_is(k->source, "file") || k->is_disabled ||
	    config_has_key(s->g->config, k->id) || s->count == s->room)
		return true;
	row = &s->row[s->count++];
	*row = *k;
	row->id = arena_copy(s->memory, k->id);
	row->name = arena_copy(s->memory, k->name);
	row->settings = arena_copy(s->memory, k->settings);
	row->hint = STR_LIT("(file)");
	row->source = STR_LIT("file");
	row->hash = row->sha256 = row->old_hash = STR_NONE;
	row->is_disabled = true;
	row->changed_unix_ms = clock_unix_ms();
	s->is_out_of_memory = row->id.ptr == NULL || row->settings.ptr == NULL;
	return !s->is_out_of_memory;
}

static enum status
disable_stale(struct gateway *g, struct db *db, struct err *e)
{
	struct stale s = { .g = g, .memory = arena_new(64 << 20), .room = 10000 };
	enum status st = ST_NOMEM;

	s.row = s.memory != NULL ? arena_alloc(s.memory, s.room * sizeof *s.row) : NULL;
	if (s.row != NULL)
		st = db_key_each(db, find_stale, &s, e);
	if (s.row == NULL || s.is_out_of_memory)
		st = err_fail(e, ST_NOMEM, "keys: out of memory");
	for (size_t i = 0; st == ST_OK && i < s.count; i++)
		st = db_key_put(db, &s.row[i], e);
	arena_free(s.memory);
	return st;
}

/* One transaction: the rows of the file's keys, and those that left the file as disabled.
 */
static void
remember(void *arg, struct db *db)
{
	struct remember *m = arg;

	m->st = db_begin(db, m->e);
	if (m->st == ST_OK)
		m->st = profiles_remember(m->g, db, m->e);
	for (size_t i = 0; m->st == ST_OK && i < m->g->config->key_count; i++)
		m->st = remember_one(m->g, db, &m->g->config->key[i], m->e);
	if (m->st == ST_OK)
		m->st = disable_stale(m->g, db, m->e);
	if (m->st == ST_OK)
		m->st = db_commit(db, false, m->e);
	else
		db_rollback(db);
}

static void
withdraw_missing(struct gateway *g, const struct config *before)
{
	for (size_t i = 0; before != NULL && i < before->key_count; i++)
		if (!config_has_key(g->config, before->key[i].id) &&
		    keys_remove(g->keys, before->key[i].id) == ST_OK)
			tell(TELL_KEY_DISABLED, "key=%.*s reason=\"left the file\"",
			    STR_ARG(before->key[i].id));
}

enum status
publish_file_keys(
    struct gateway *g, const struct config *before, struct db *db, struct err *e)
{
	struct remember m = { g, e, ST_OK };
	enum status profiles = profiles_of_file(g, before, e);

	if (profiles != ST_OK)
		return profiles;
	withdraw_missing(g, before); /* first: a key may come back under another id with
					the same secret */
	for (size_t i = 0; i < g->config->key_count; i++) {
		enum status st = publish_file_key(g, &g->config->key[i], e);

		if (st != ST_OK)
			return st;
	}
	if (db != NULL)
		remember(&m, db);
	else
		storage_call(g->storage, remember, &m);
	return m.st;
}
