/* profiles.c - organisations and assistants: from rows and from the file into force.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/profiles.h"

#include "base/json.h"
#include "base/tell.h"

enum {
	ID_BYTES = PROFILES_ID_BYTES + 1
};

static lz_str
id_of(const struct config_profile *p, char out[ID_BYTES])
{
	(void)snprintf(out, ID_BYTES, "%.*s%s%.*s", STR_ARG(p->organization),
	    p->assistant.len > 0 ? "/" : "", STR_ARG(p->assistant));
	return lz_strz(out);
}

static const char *
word(lz_str id)
{
	return str_find(id, '/') >= 0 ? "assistant" : "organization";
}

/* ---- rows ---- */

static enum status
publish_row(struct gateway *g, const struct db_profile *row, struct err *e)
{
	struct profile_wanted w = { .is_disabled = row->is_disabled };
	json_t *settings;
	enum status st = publish_settings(row->settings, &settings, e);

	w.settings = settings;
	if (st == ST_OK)
		st = profiles_split(row->id, &w.organization, &w.assistant)
			 ? profiles_put(keys_profiles(g->keys), &w, e)
			 : ST_INVALID;
	if (st != ST_OK)
		err_prefix(e, "%s '%.*s'", word(row->id), STR_ARG(row->id));
	json_decref(settings);
	return st;
}

struct loading {
	struct gateway *g;
	struct err *e;
	enum status st;
};

static bool
load_row(void *arg, const struct db_profile *row)
{
	struct loading *l = arg;

	if (!str_is(row->source, "file"))
		l->st = publish_row(l->g, row, l->e);
	return l->st == ST_OK;
}

enum status
profiles_load(struct gateway *g, struct db *db, struct err *e)
{
	struct loading l = { g, e, ST_OK };
	enum status st = db_profile_each(db, load_row, &l, e);

	return st == ST_OK ? l.st : st;
}

enum status
gateway_profile_changed(
    struct gateway *g, lz_str id, const struct db_profile *row, struct err *e)
{
	const struct profile *now = profiles_get(keys_profiles(g->keys), id);

	if (now != NULL && now->is_from_file)
		return err_fail(e, ST_DENIED,
		    "%s '%.*s' is owned by the configuration file; change it there",
		    word(id), STR_ARG(id));
	return row != NULL ? publish_row(g, row, e)
			   : profiles_remove(keys_profiles(g->keys), id);
}

/* ---- the file's ---- */

/* `default` without settings of its own was made by nobody. */
static bool
was_made_by_command(const struct profile *now)
{
	return now != NULL && !now->is_from_file && !now->is_built_in;
}

static enum status
check_file(struct gateway *g, struct err *e)
{
	const struct config *c = g->config;
	char id[ID_BYTES];

	for (size_t i = 0; i < c->profile_count; i++)
		if (was_made_by_command(
			profiles_get(keys_profiles(g->keys), id_of(&c->profile[i], id))))
			return err_fail(e, ST_EXISTS,
			    "%s:%u: %s '%s': one of this name was made by command; "
			    "rename or remove one of them",
			    c->path != NULL ? c->path : "(configuration)",
			    c->profile[i].line, word(lz_strz(id)), id);
	return ST_OK;
}

static void
withdraw_missing(struct gateway *g, const struct config *before)
{
	char id[ID_BYTES];

	for (size_t i = 0; before != NULL && i < before->profile_count; i++) {
		const struct config_profile *p = &before->profile[i];

		if (config_profile(g->config, p->organization, p->assistant) == NULL &&
		    profiles_remove(keys_profiles(g->keys), id_of(p, id)) == ST_OK)
			log_info("profile.disabled", "%s=%s reason=\"left the file\"",
			    word(lz_strz(id)), id);
	}
}

enum status
profiles_of_file(struct gateway *g, const struct config *before, struct err *e)
{
	const struct config *c = g->config;
	enum status st = check_file(g, e);

	if (st != ST_OK)
		return st;
	withdraw_missing(g, before);
	for (size_t i = 0; st == ST_OK && i < c->profile_count; i++) {
		const struct config_profile *p = &c->profile[i];
		struct profile_wanted w = { .organization = p->organization,
			.assistant = p->assistant,
			.settings = p->tree,
			.is_from_file = true };

		st = profiles_put(keys_profiles(g->keys), &w, e);
	}
	return st;
}

/* ---- remembered ---- */

static enum status
remember_one(struct db *db, const struct config_profile *p, struct err *e)
{
	char id[ID_BYTES];
	struct buf settings;
	struct db_profile row = { .id = id_of(p, id),
		.source = STR_LIT("file"),
		.created_unix_ms = clock_unix_ms(),
		.changed_unix_ms = clock_unix_ms() };
	enum status st = ST_NOMEM;

	buf_init(&settings, 1 << 20);
	if (json_print(p->tree, &settings)) {
		row.settings = buf_str(&settings);
		st = db_profile_put(db, &row, e);
	} else {
		(void)err_fail(e, st, "organizations: out of memory");
	}
	buf_free(&settings);
	return st;
}

/* Rows that left the file, copied: the database may not be written while it is read. */
struct stale {
	const struct config *c;
	struct arena *memory;
	struct stale_row *first;
	bool is_out_of_memory;
};
struct stale_row {
	struct db_profile row;
	struct stale_row *next;
};

static bool
find_stale(void *arg, const struct db_profile *row)
{
	struct stale *s = arg;
	lz_str organization, assistant;
	struct stale_row *copy;

	if (!str_is(row->source, "file") || row->is_disabled ||
	    !profiles_split(row->id, &organization, &assistant) ||
	    config_profile(s->c, organization, assistant) != NULL)
		return true;
	copy = arena_alloc(s->memory, sizeof(*copy));
	s->is_out_of_memory = copy == NULL;
	if (copy == NULL)
		return false;
	copy->row = *row;
	copy->row.id = arena_copy(s->memory, row->id);
	copy->row.settings = arena_copy(s->memory, row->settings);
	copy->row.source = STR_LIT("file");
	copy->row.is_disabled = true;
	copy->row.changed_unix_ms = clock_unix_ms();
	copy->next = s->first;
	s->first = copy;
	s->is_out_of_memory = copy->row.id.ptr == NULL || copy->row.settings.ptr == NULL;
	return !s->is_out_of_memory;
}

static enum status
disable_stale(struct gateway *g, struct db *db, struct err *e)
{
	struct stale s = { .c = g->config, .memory = arena_new(64 << 20) };
	enum status st = ST_NOMEM;

	if (s.memory != NULL)
		st = db_profile_each(db, find_stale, &s, e);
	if (s.memory == NULL || s.is_out_of_memory)
		st = err_fail(e, ST_NOMEM, "organizations: out of memory");
	for (struct stale_row *r = s.first; st == ST_OK && r != NULL; r = r->next)
		st = db_profile_put(db, &r->row, e);
	arena_free(s.memory);
	return st;
}

enum status
profiles_remember(struct gateway *g, struct db *db, struct err *e)
{
	enum status st = ST_OK;

	for (size_t i = 0; st == ST_OK && i < g->config->profile_count; i++)
		st = remember_one(db, &g->config->profile[i], e);
	return st == ST_OK ? disable_stale(g, db, e) : st;
}
