/* budget.c - `budget list`: all budgets there are, with what is spent of each.
 *
 * What is declared and what is stored is read here; where a gateway runs, it adds what is
 * held by calls under way (add_live), and what it knows to be spent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/rows.h"

#include "base/json.h"
#include "key/profiles.h"

#include <stdio.h>

enum {
	SETTINGS_BYTES = 1 << 20,
	SCOPE_BYTES = COMMAND_ID_BYTES + COMMAND_PROFILE_BYTES + 32
};

struct gathering {
	struct command_context *c;
	struct arena *memory;
	json_t *list;
	lz_str wanted; /* what a scope begins with; absent: all */
};

static void
add(struct gathering *g, const char *scope, const struct key_settings *s,
    bool only_if_used)
{
	if (g->wanted.ptr != NULL && !str_starts(lz_strz(scope), g->wanted.ptr))
		return;
	for (size_t i = 0; i < s->budget_count; i++) {
		json_t *row = row_budget(
		    g->c->db, lz_strz(scope), &s->budget[i], g->c->now_unix_ms);

		if (only_if_used && json_get_int(row, "spent_nano_eur", 0) == 0) {
			json_decref(row);
			continue;
		}
		json_object_set_new(row, "reserved_nano_eur", json_integer(0));
		json_array_append_new(g->list, row);
	}
}

/* Settings of a row; false: it stands in nobody's way, db_check is for what is broken. */
static bool
parse(struct gathering *g, enum key_level level, lz_str text, struct key_settings *s)
{
	json_t *settings = json_parse(text, NULL);
	bool is_fine;

	arena_reset(g->memory);
	is_fine = settings != NULL && profile_settings_parse(level, settings, "settings",
					  g->memory, s, NULL) == ST_OK;
	json_decref(settings);
	return is_fine;
}

static bool
left_the_file(lz_str source, bool is_disabled)
{
	return is_disabled && str_is(source, "file");
}

static bool
add_profile(void *arg, const struct db_profile *p)
{
	bool is_assistant = str_find(p->id, '/') >= 0;
	const char *kind = is_assistant ? "assistant" : "org";
	struct gathering *g = arg;
	char scope[SCOPE_BYTES];
	struct key_settings s;

	if (left_the_file(p->source, p->is_disabled) ||
	    !parse(g, is_assistant ? KEY_LEVEL_ASSISTANT : KEY_LEVEL_ORGANIZATION,
		p->settings, &s))
		return true;
	snprintf(scope, sizeof(scope), "%s:%.*s", kind, STR_ARG(p->id));
	add(g, scope, &s, false);
	snprintf(scope, sizeof(scope), "test-%s:%.*s", kind, STR_ARG(p->id));
	add(g, scope, &s, true);
	return true;
}

static bool
add_key(void *arg, const struct db_key *k)
{
	struct gathering *g = arg;
	char scope[SCOPE_BYTES];
	struct key_settings s;

	if (left_the_file(k->source, k->is_disabled) ||
	    !parse(g, KEY_LEVEL_KEY, k->settings, &s))
		return true;
	snprintf(
	    scope, sizeof(scope), "%s:%.*s", k->is_test ? "test" : "key", STR_ARG(k->id));
	add(g, scope, &s, false);
	return true;
}

enum status
budget_list(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	struct gathering g = { .c = c,
		.memory = arena_new(SETTINGS_BYTES),
		.list = json_list_in(result, "budgets"),
		.wanted = json_get_str(args, "scope") };
	enum status st;

	if (g.memory == NULL)
		return err_fail(e, ST_NOMEM, "budget: out of memory");
	st = db_profile_each(c->db, add_profile, &g, e);
	if (st == ST_OK)
		st = db_key_each(c->db, add_key, &g, e);
	arena_free(g.memory);
	return st;
}

void
budget_add_live(const struct command_gateway *g, json_t *result)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(result, "budgets"), i, row)
	{
		g->budget_live(g->arg, row);
	}
}
