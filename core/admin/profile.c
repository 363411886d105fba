/* profile.c - commands over organisations and assistants: made, changed, shown, disabled,
 * removed.
 *
 * One family for both: an assistant is named "acme/support". What the configuration file
 * declares is shown and never changed here: the file would undo it at the next reload.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/profile.h"

#include "base/json.h"
#include <stdio.h>

enum {
	PROFILE_ARENA_BYTES = 1 << 20
};

bool
profile_is_assistant(lz_str id)
{
	return str_find(id, '/') >= 0;
}

const char *
profile_word(lz_str id)
{
	return profile_is_assistant(id) ? "assistant" : "organization";
}

/* ---- found ---- */

struct found {
	struct arena *memory;
	lz_str wanted;
	struct db_profile row;
	bool is_found, is_out_of_memory;
};

static bool
copy_if_wanted(void *arg, const struct db_profile *p)
{
	struct found *f = arg;

	if (!str_eq(p->id, f->wanted))
		return true;
	f->row = *p;
	f->row.id = arena_copy(f->memory, p->id);
	f->row.settings = arena_copy(f->memory, p->settings);
	f->row.source = arena_copy(f->memory, p->source);
	f->is_found = true;
	f->is_out_of_memory = f->row.id.ptr == NULL || f->row.settings.ptr == NULL ||
			      f->row.source.ptr == NULL;
	return false;
}

enum status
profile_find(
    struct db *db, lz_str id, struct arena *memory, struct db_profile *out, struct err *e)
{
	struct found f = { .memory = memory, .wanted = id };
	enum status st = db_profile_each(db, copy_if_wanted, &f, e);

	if (st != ST_OK)
		return st;
	if (f.is_out_of_memory)
		return err_fail(e, ST_NOMEM, "%s \"%.*s\": out of memory",
		    profile_word(id), STR_ARG(id));
	if (!f.is_found)
		return err_fail(e, ST_NOT_FOUND,
		    "%s \"%.*s\": there is none; `latenza %s list` shows them",
		    profile_word(id), STR_ARG(str_cut(id, 0, 140)),
		    profile_is_assistant(id) ? "assistant" : "org");
	*out = f.row;
	return ST_OK;
}

const struct config_profile *
profile_declared(const struct command_context *c, lz_str id)
{
	lz_str organization, assistant;

	if (c->config == NULL || !profiles_split(id, &organization, &assistant))
		return NULL;
	return config_profile(c->config, organization, assistant);
}

/* "latenza.yaml:12" */
static lz_str
place_of(
    const struct command_context *c, const struct config_profile *p, struct arena *memory)
{
	return arena_printf(memory, "%s:%u",
	    c->config->path != NULL ? c->config->path : "(configuration)", p->line);
}

static enum status
refuse_the_files(
    struct command_context *c, lz_str id, struct arena *memory, struct err *e)
{
	const struct config_profile *p = profile_declared(c, id);

	if (p == NULL)
		return ST_OK;
	return err_fail(e, ST_DENIED,
	    "%s \"%.*s\": %.*s declares it; change it there and run `latenza reload`",
	    profile_word(id), STR_ARG(id), STR_ARG(place_of(c, p, memory)));
}

/* Finds one that commands may change. */
static enum status
find_own(struct command_context *c, lz_str id, struct arena *memory, struct db_profile *p,
    struct err *e)
{
	enum status st = refuse_the_files(c, id, memory, e);

	if (st == ST_OK)
		st = profile_find(c->db, id, memory, p, e);
	/* Without the file at hand its rows are still the file's. */
	if (st == ST_OK && str_is(p->source, "file") && !p->is_disabled)
		return err_fail(e, ST_DENIED,
		    "%s \"%.*s\": the configuration file declares it; change it there "
		    "and run `latenza reload`",
		    profile_word(id), STR_ARG(id));
	return st;
}

/* ---- what is shown ---- */

static void
add_budget(struct db *db, lz_str id, const struct key_budget *b, int64_t now_unix_ms,
    json_t *list)
{
	char scope[PROFILES_ID_BYTES + 32];

	snprintf(scope, sizeof(scope), "%s:%.*s",
	    profile_is_assistant(id) ? "assistant" : "org", STR_ARG(id));
	json_array_append_new(list, row_budget(db, lz_strz(scope), b, now_unix_ms));
}

static void
show_budgets(struct db *db, const struct db_profile *p, int64_t now_unix_ms, json_t *out)
{
	struct arena *memory = arena_new(PROFILE_ARENA_BYTES);
	json_t *list = json_list_in(out, "budgets");
	struct key_settings s;

	if (memory == NULL)
		json_note_dry();
	else if (profile_parse(p, memory, &s, NULL) == ST_OK)
		for (size_t i = 0; i < s.budget_count; i++)
			add_budget(db, p->id, &s.budget[i], now_unix_ms, list);
	arena_free(memory);
}

static void
show(struct command_context *c, const struct db_profile *p, json_t *out)
{
	json_t *settings = json_parse(p->settings, NULL);
	const struct config_profile *file = profile_declared(c, p->id);
	lz_str organization, assistant;
	int64_t keys = 0;

	row_set_str(out, "id", p->id);
	row_set_str(out, "name", json_get_str(settings, "name"));
	row_set_str(out, "source", p->source);
	if (file != NULL) {
		struct arena *memory = arena_new(PROFILE_ARENA_BYTES);

		if (memory != NULL)
			row_set_str(out, "declared_at", place_of(c, file, memory));
		arena_free(memory);
	}
	json_object_set_new(out, "disabled", json_boolean(p->is_disabled));
	row_set_time(out, "created_at", p->created_unix_ms);
	row_set_time(out, "changed_at", p->changed_unix_ms);
	(void)profiles_split(p->id, &organization, &assistant);
	if (db_profile_keys(c->db, organization, assistant, &keys, NULL) == ST_OK)
		json_object_set_new(out, "keys", json_integer(keys));
	show_budgets(c->db, p, c->now_unix_ms, out);
	json_object_set_new(out, "settings", settings != NULL ? settings : json_object());
}

/* ---- written ---- */

static enum status
put(struct command_context *c, const struct db_profile *p, struct err *e)
{
	enum status st = json_ran_dry() ? err_fail(e, ST_NOMEM, "%s: out of memory",
					      profile_word(p->id))
					: db_begin(c->db, e);

	if (st != ST_OK)
		return st;
	st = db_profile_put(c->db, p, e);
	if (st == ST_OK)
		st = db_commit(c->db, true, e);
	if (st != ST_OK) {
		db_rollback(c->db);
		return st;
	}
	snprintf(c->changed_profile, sizeof(c->changed_profile), "%.*s", STR_ARG(p->id));
	return ST_OK;
}

static enum status
check_id(lz_str id, bool wants_assistant, struct err *e)
{
	lz_str organization, assistant;

	if (profiles_split(id, &organization, &assistant) &&
	    profile_is_assistant(id) == wants_assistant)
		return ST_OK;
	if (wants_assistant)
		return err_fail(e, ST_INVALID,
		    "assistant: \"%.*s\" must be ORGANIZATION/NAME, each 1 to %d of a-z, "
		    "0-9 and -",
		    STR_ARG(str_cut(id, 0, 140)), KEY_PROFILE_BYTES);
	return err_fail(e, ST_INVALID,
	    "organization: \"%.*s\" must be 1 to %d of a-z, 0-9 and -",
	    STR_ARG(str_cut(id, 0, 140)), KEY_PROFILE_BYTES);
}

static enum status
write_settings(struct command_context *c, struct db_profile *row, const json_t *settings,
    struct arena *memory, json_t *result, struct err *e)
{
	struct buf text;
	enum status st = profile_check(c, row->id, settings, memory, e);

	buf_init(&text, PROFILE_ARENA_BYTES);
	if (st == ST_OK && !json_print(settings, &text))
		st = err_fail(e, ST_NOMEM,
		    "%s: out of memory, or its settings are too large",
		    profile_word(row->id));
	if (st == ST_OK) {
		row->settings = buf_str(&text);
		row->changed_unix_ms = c->now_unix_ms;
		show(c, row, result);
		st = put(c, row, e);
	}
	if (st != ST_OK)
		json_object_clear(result);
	buf_free(&text);
	return st;
}

static enum status
create(struct command_context *c, lz_str id, const json_t *args, struct arena *memory,
    json_t *result, struct err *e)
{
	struct db_profile row = {
		.id = id, .source = STR_LIT("command"), .created_unix_ms = c->now_unix_ms
	};
	struct db_profile old;
	enum status st = refuse_the_files(c, id, memory, e);

	if (st != ST_OK)
		return st;
	st = profile_find(c->db, id, memory, &old, e);
	/* One that left the file is history; its name may be used again. */
	if (st == ST_OK && !(str_is(old.source, "file") && old.is_disabled))
		return err_fail(e, ST_EXISTS,
		    "%s \"%.*s\": exists already; change it with `latenza %s set %.*s`",
		    profile_word(id), STR_ARG(id),
		    profile_is_assistant(id) ? "assistant" : "org", STR_ARG(id));
	if (st != ST_OK && st != ST_NOT_FOUND)
		return st;
	return write_settings(
	    c, &row, json_object_get(args, "settings"), memory, result, e);
}

/* The row's settings, with the new members in place; null takes one away. owned. */
static json_t *
merged(const struct db_profile *row, const json_t *change, struct err *e)
{
	json_t *all = json_parse(row->settings, e), *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)change, name, value)
	{
		if (json_is_null(value))
			(void)json_object_del(all, name);
		else
			(void)json_object_set(all, name, value);
	}
	return all;
}

static enum status
change(struct command_context *c, lz_str id, const json_t *args, struct arena *memory,
    json_t *result, struct err *e)
{
	const json_t *settings = json_object_get(args, "settings");
	struct db_profile row;
	enum status st = find_own(c, id, memory, &row, e);
	json_t *all;

	if (st != ST_OK)
		return st;
	if (str_is(row.source, "file"))
		return err_fail(e, ST_DENIED,
		    "%s \"%.*s\": left the configuration file and is disabled; make it "
		    "anew with `create`",
		    profile_word(id), STR_ARG(id));
	/* A member that is taken away must be one, too. */
	st = profile_check(c, id, settings, memory, e);
	if (st != ST_OK)
		return st;
	all = merged(&row, settings, e);
	if (all == NULL)
		return ST_NOMEM;
	st = write_settings(c, &row, all, memory, result, e);
	json_decref(all);
	return st;
}

typedef enum status verb_fn(struct command_context *c, lz_str id, const json_t *args,
    struct arena *memory, json_t *result, struct err *e);

/* "org.create" and "assistant.create" are one function; who asks says which. */
static bool
wants_assistant(const struct command_context *c)
{
	return str_starts(lz_strz(c->row->name), "assistant.");
}

static enum status
run(struct command_context *c, const json_t *args, verb_fn *fn, json_t *result,
    struct err *e)
{
	struct arena *memory = arena_new(PROFILE_ARENA_BYTES);
	lz_str id = json_get_str(args, "id");
	enum status st = check_id(id, wants_assistant(c), e);

	if (memory == NULL)
		st = err_fail(e, ST_NOMEM, "%s: out of memory", profile_word(id));
	if (st == ST_OK)
		st = fn(c, id, args, memory, result, e);
	arena_free(memory);
	return st;
}

static enum status
precheck(struct command_context *c, lz_str id, const json_t *args, struct arena *memory,
    json_t *result, struct err *e)
{
	enum status st = refuse_the_files(c, id, memory, e);

	(void)result;
	return st == ST_OK
		   ? profile_check(c, id, json_object_get(args, "settings"), memory, e)
		   : st;
}

enum status
profile_precheck(struct command_context *c, const json_t *args, struct err *e)
{
	return run(c, args, precheck, NULL, e);
}

enum status
profile_create(
    struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	return run(c, args, create, result, e);
}

enum status
profile_set(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	return run(c, args, change, result, e);
}

/* ---- read ---- */

/* A row is copied out before its own statements run: show() asks the database, too. */
struct ids {
	struct arena *memory;
	struct id {
		struct id *next;
		struct db_profile row;
	} * first, **last;
	bool wants_assistants, is_out_of_memory;
};

static bool
note_row(void *arg, const struct db_profile *p)
{
	struct ids *ids = arg;
	struct id *one;

	if (profile_is_assistant(p->id) != ids->wants_assistants)
		return true;
	one = arena_alloc(ids->memory, sizeof(*one));
	ids->is_out_of_memory = one == NULL;
	if (one == NULL)
		return false;
	one->row = *p;
	one->row.id = arena_copy(ids->memory, p->id);
	one->row.settings = arena_copy(ids->memory, p->settings);
	one->row.source = arena_copy(ids->memory, p->source);
	ids->is_out_of_memory = one->row.id.ptr == NULL || one->row.settings.ptr == NULL;
	*ids->last = one;
	ids->last = &one->next;
	return !ids->is_out_of_memory;
}

enum status
profile_list(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	struct ids ids = { .memory = arena_new(64 << 20),
		.wants_assistants = wants_assistant(c) };
	json_t *list =
	    json_list_in(result, ids.wants_assistants ? "assistants" : "organizations");
	enum status st = ST_NOMEM;

	(void)args;
	ids.last = &ids.first;
	if (ids.memory != NULL)
		st = db_profile_each(c->db, note_row, &ids, e);
	if (ids.memory == NULL || ids.is_out_of_memory)
		st = err_fail(e, ST_NOMEM, "organizations: out of memory");
	for (struct id *one = ids.first; st == ST_OK && one != NULL; one = one->next) {
		json_t *shown = json_object();

		show(c, &one->row, shown);
		json_array_append_new(list, shown);
	}
	arena_free(ids.memory);
	return st;
}

static enum status
show_one(struct command_context *c, lz_str id, const json_t *args, struct arena *memory,
    json_t *result, struct err *e)
{
	struct db_profile row;
	enum status st = profile_find(c->db, id, memory, &row, e);

	(void)args;
	if (st == ST_OK)
		show(c, &row, result);
	return st;
}

enum status
profile_show(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	return run(c, args, show_one, result, e);
}

/* ---- the end of one ---- */

static enum status
disable(struct command_context *c, lz_str id, const json_t *args, struct arena *memory,
    json_t *result, struct err *e)
{
	struct db_profile row = { .is_disabled = false };
	enum status st = find_own(c, id, memory, &row, e);

	if (st == ST_OK && str_is(row.source, "file"))
		st = err_fail(e, ST_DENIED,
		    "%s \"%.*s\": left the configuration file and stays disabled; make "
		    "it anew with `create`",
		    profile_word(id), STR_ARG(id));
	if (st == ST_OK) {
		row.is_disabled = json_get_bool(args, "disabled", true);
		row.changed_unix_ms = c->now_unix_ms;
		show(c, &row, result);
		st = put(c, &row, e);
	}
	if (st != ST_OK)
		json_object_clear(result);
	return st;
}

enum status
profile_disable(
    struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	return run(c, args, disable, result, e);
}

static bool
is_inside(void *arg, const struct db_profile *p)
{
	struct found *f = arg;

	f->is_found |= str_starts(p->id, f->wanted.ptr) &&
		       !(str_is(p->source, "file") && p->is_disabled);
	return !f->is_found;
}

/* Who still belongs to it would be refused; but `default` is always there. */
static enum status
check_empty(struct command_context *c, lz_str id, struct arena *memory, struct err *e)
{
	struct found f = { .wanted = arena_printf(memory, "%.*s/", STR_ARG(id)) };
	lz_str organization, assistant;
	int64_t keys = 0;
	enum status st;

	(void)profiles_split(id, &organization, &assistant);
	st = db_profile_keys(c->db, organization, assistant, &keys, e);
	if (st == ST_OK && keys > 0 && !str_is(id, PROFILES_DEFAULT))
		return err_fail(e, ST_DENIED,
		    "%s \"%.*s\": %lld keys belong to it; remove them first, or disable "
		    "it",
		    profile_word(id), STR_ARG(id), (long long)keys);
	if (st == ST_OK && f.wanted.ptr != NULL)
		st = db_profile_each(c->db, is_inside, &f, e);
	if (st == ST_OK && f.is_found)
		return err_fail(e, ST_DENIED,
		    "organization \"%.*s\": has assistants; remove them first",
		    STR_ARG(id));
	return st;
}

static enum status
remove_one(struct command_context *c, lz_str id, const json_t *args, struct arena *memory,
    json_t *result, struct err *e)
{
	struct db_profile row;
	enum status st = find_own(c, id, memory, &row, e);

	(void)args;
	if (st == ST_OK)
		st = check_empty(c, id, memory, e);
	if (st == ST_OK)
		st = db_begin(c->db, e);
	if (st != ST_OK)
		return st;
	st = db_profile_remove(c->db, id, e);
	if (st == ST_OK)
		st = db_commit(c->db, true, e);
	if (st != ST_OK) {
		db_rollback(c->db);
		return st;
	}
	row_set_str(result, "removed", id);
	if (!str_is(row.source, "file")) /* else it was not in force any more */
		snprintf(
		    c->changed_profile, sizeof(c->changed_profile), "%.*s", STR_ARG(id));
	return ST_OK;
}

enum status
profile_remove(
    struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	return run(c, args, remove_one, result, e);
}
