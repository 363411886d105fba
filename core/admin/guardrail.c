/* guardrail.c - commands over guardrails: what each does and for whom it holds; what they
 * make of a text.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/rows.h"

#include <stdio.h>

#include "base/json.h"

/* ---- who names them ---- */

/* The list of those who name `name` in that place; a name that nothing stands for any
 * more has a row too. */
static void
note_name(json_t *rows, const char *name, const char *place, lz_str who)
{
	bool is_new = json_object_get(rows, name) == NULL;
	json_t *row = json_object_in(rows, name);

	if (is_new) {
		row_set_str(row, "guardrail", lz_strz(name));
		(void)json_object_set_new(row, "component", json_null());
	}
	(void)json_array_append_new(
	    json_list_in(row, place), json_stringn(who.ptr, who.len));
}

static void
note_settings(json_t *rows, const char *place, lz_str who, lz_str settings)
{
	json_t *tree = json_parse(settings, NULL);
	const json_t *name;
	size_t i;

	json_array_foreach(json_object_get(tree, "guardrails"), i, name)
	{
		if (json_is_string(name))
			note_name(rows, json_string_value(name), place, who);
	}
	json_decref(tree);
}

static bool
note_key(void *arg, const struct db_key *k)
{
	if (!k->is_disabled)
		note_settings(arg, "keys", k->id, k->settings);
	return true;
}

static bool
note_profile(void *arg, const struct db_profile *p)
{
	const char *place = str_find(p->id, '/') < 0 ? "organizations" : "assistants";

	if (!p->is_disabled)
		note_settings(arg, place, p->id, p->settings);
	return true;
}

/* ---- the list ---- */

static void
add_row(json_t *rows, const struct guardrail *g)
{
	json_t *row = json_object();

	config_guardrail_facts(g, row);
	(void)json_list_in(row, "organizations");
	(void)json_list_in(row, "assistants");
	(void)json_list_in(row, "keys");
	(void)json_object_set_new(rows, g->name.ptr, row);
}

static json_t *
rows_of(const struct config *c)
{
	json_t *rows = json_object();

	for (size_t i = 0; c != NULL && i < c->guardrail_count; i++)
		add_row(rows, &c->guardrail[i]);
	return rows;
}

/* What a file names is there, or it would have been refused. */
static void
note_all(json_t *rows, const char *place, lz_str who, const struct key_settings *s)
{
	for (size_t i = 0; i < s->guardrail_count; i++)
		note_name(rows, s->guardrail[i].ptr, place, who);
}

static void
note_file(json_t *rows, const struct config *c)
{
	char name[2 * KEY_PROFILE_BYTES + 2];

	for (size_t i = 0; c != NULL && i < c->profile_count; i++) {
		const struct config_profile *p = &c->profile[i];

		(void)snprintf(name, sizeof(name), "%.*s/%.*s", STR_ARG(p->organization),
		    STR_ARG(p->assistant));
		if (p->assistant.ptr == NULL)
			note_all(rows, "organizations", p->organization, &p->settings);
		else
			note_all(rows, "assistants", lz_strz(name), &p->settings);
	}
	for (size_t i = 0; c != NULL && i < c->key_count; i++)
		note_all(rows, "keys", c->key[i].id, &c->key[i].settings);
}

static void
list_rows(json_t *rows, json_t *list)
{
	const char *name;
	json_t *row;

	json_object_foreach(rows, name, row)(void) json_array_append(list, row);
	json_decref(rows);
}

json_t *
command_file_guardrails(const struct config *c)
{
	json_t *rows = rows_of(c), *list = json_array();

	note_file(rows, c);
	list_rows(rows, list);
	return list;
}

enum status
guardrail_list(
    struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	json_t *list = json_list_in(result, "guardrails"), *rows = rows_of(c->config);
	enum status st = ST_OK;

	(void)args;
	if (c->db == NULL) {
		note_file(rows, c->config);
	} else {
		st = db_profile_each(c->db, note_profile, rows, e);
		if (st == ST_OK)
			st = db_key_each(c->db, note_key, rows, e);
	}
	list_rows(rows, list);
	return st;
}

/* ---- what they make of a text ---- */

static enum status
check_names(
    const struct command_context *c, const json_t *names, bool is_answer, struct err *e)
{
	const char *of = is_answer ? "responses" : "requests";
	const json_t *one;
	size_t i;

	if (json_is_array(names) && json_array_size(names) == 0)
		return err_fail(e, ST_INVALID,
		    "names: is empty; leave it out to ask all "
		    "that hold");
	if (json_array_size(names) > GUARDRAILS)
		return err_fail(
		    e, ST_INVALID, "names: are more than %d guardrails", GUARDRAILS);
	json_array_foreach(names, i, one)
	{
		const struct guardrail *g;
		lz_str name;

		if (!json_is_string(one))
			return err_fail(e, ST_INVALID, "names: must be strings");
		name = lz_strz(json_string_value(one));
		g = config_guardrail(c->config, name);
		if (g == NULL)
			return err_fail(e, ST_NOT_FOUND,
			    "guardrail \"%.*s\": there is none; `latenza guardrail list` "
			    "shows them",
			    STR_ARG(str_cut(name, 0, 100)));
		if ((g->phases & (is_answer ? LZ_RESPONSE : LZ_REQUEST)) == 0)
			return err_fail(e, ST_INVALID,
			    "guardrail \"%.*s\": does not look at %s", STR_ARG(name), of);
	}
	return ST_OK;
}

static enum status
check_text(const json_t *args, bool is_answer, struct err *e)
{
	const json_t *body = json_object_get(args, "body");
	const json_t *text = json_object_get(args, "text");

	if ((body == NULL) == (text == NULL))
		return err_fail(
		    e, ST_INVALID, "a text or a body is to be judged, and not both");
	if (text != NULL && json_string_length(text) == 0)
		return err_fail(e, ST_INVALID, "text: is empty");
	if (body != NULL && is_answer && !json_is_array(json_object_get(body, "choices")))
		return err_fail(e, ST_INVALID,
		    "body: is no answer of a chat completion: it has no \"choices\"");
	return ST_OK;
}

static enum status
check_stream(const json_t *args, bool is_answer, struct err *e)
{
	if (json_object_get(args, "stream_every") == NULL)
		return ST_OK;
	if (json_get_int(args, "stream_every", 0) < 1 ||
	    json_get_int(args, "stream_every", 0) > 1 << 20)
		return err_fail(
		    e, ST_INVALID, "stream_every: must be 1 to 1048576 bytes");
	if (!is_answer)
		return err_fail(
		    e, ST_INVALID, "stream_every: only a response is streamed");
	if (json_object_get(args, "text") == NULL)
		return err_fail(e, ST_INVALID, "stream_every: cuts a text, not a body");
	return ST_OK;
}

enum status
guardrail_check_test(struct command_context *c, const json_t *args, struct err *e)
{
	lz_str phase = json_get_str(args, "phase");
	bool is_answer = str_is(phase, "response");
	enum status st;

	if (phase.ptr != NULL && !is_answer && !str_is(phase, "request"))
		return err_fail(e, ST_INVALID,
		    "phase: \"%.*s\" is not request or response",
		    STR_ARG(str_cut(phase, 0, 100)));
	st = check_names(c, json_object_get(args, "names"), is_answer, e);
	if (st == ST_OK)
		st = check_text(args, is_answer, e);
	return st == ST_OK ? check_stream(args, is_answer, e) : st;
}

void
guardrail_test(const struct command_gateway *g, const json_t *args,
    command_heard_fn *heard, void *arg)
{
	g->guard_test(g->arg, args, heard, arg);
}
