/* profile_rules.c - what settings of an organisation, an assistant or a key may say under
 * those above them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/profile.h"

#include "base/json.h"

enum status
profile_parse(const struct db_profile *row, struct arena *memory,
    struct key_settings *out, struct err *e)
{
	json_t *settings = json_parse(row->settings, e);
	enum status st = ST_INVALID;

	if (settings != NULL)
		st = profile_settings_parse(profile_is_assistant(row->id)
						? KEY_LEVEL_ASSISTANT
						: KEY_LEVEL_ORGANIZATION,
		    settings, profile_word(row->id), memory, out, e);
	json_decref(settings);
	return st;
}

/* Settings of one that may be above others: the file's, or a row's. *is_there false:
 * there is none, or it is disabled. */
static enum status
settings_of(struct command_context *c, lz_str id, struct arena *memory,
    struct key_settings *out, bool *is_there, struct err *e)
{
	const struct config_profile *p = profile_declared(c, id);
	struct db_profile row;
	enum status st;

	*is_there = p != NULL;
	if (p != NULL)
		*out = p->settings;
	if (p != NULL || c->db == NULL)
		return ST_OK;
	st = profile_find(c->db, id, memory, &row, e);
	if (st == ST_NOT_FOUND)
		return ST_OK;
	if (st == ST_OK)
		st = profile_parse(&row, memory, out, e);
	*is_there = st == ST_OK && !(str_is(row.source, "file") && row.is_disabled);
	return st;
}

/* One level above s. Without a database only the file's are known. */
static enum status
check_under(struct command_context *c, const char *where, const struct key_settings *s,
    lz_str id, struct arena *memory, struct err *e)
{
	lz_str what = arena_printf(memory, "%s %.*s", profile_word(id), STR_ARG(id));
	struct key_settings above;
	bool is_there = false;
	const char *member;
	unsigned at = 0;
	struct err why;
	enum status st = settings_of(c, id, memory, &above, &is_there, e);

	if (st != ST_OK)
		return st;
	if (!is_there && (c->db == NULL || str_is(id, PROFILES_DEFAULT)))
		return ST_OK;
	if (!is_there)
		return err_fail(e, ST_NOT_FOUND,
		    "%s: there is no %s \"%.*s\"; make it with `latenza %s create %.*s`",
		    where, profile_word(id), STR_ARG(id),
		    profile_is_assistant(id) ? "assistant" : "org", STR_ARG(id));
	member = key_settings_clash(s, &above,
	    what.ptr != NULL ? what.ptr
			     : "the level "
			       "above",
	    &at, &why);
	if (member == NULL)
		return ST_OK;
	return err_fail(e, ST_INVALID, "%s.%s: %s", where, member, why.text);
}

enum status
profile_check_key(struct command_context *c, const struct key_settings *s,
    struct arena *memory, struct err *e)
{
	lz_str organization =
	    s->organization.len > 0 ? s->organization : STR_LIT(PROFILES_DEFAULT);
	enum status st = check_under(c, "key", s, organization, memory, e);

	if (st == ST_OK && s->assistant.len > 0)
		st = check_under(c, "key", s,
		    arena_printf(memory, "%.*s/%.*s", STR_ARG(organization),
			STR_ARG(s->assistant)),
		    memory, e);
	return st;
}

static enum status
check_strategy(const struct command_context *c, const char *where,
    const struct key_settings *s, struct err *e)
{
	if (s->routing_strategy.ptr == NULL || c->config == NULL ||
	    config_has_strategy(c->config, s->routing_strategy))
		return ST_OK;
	return err_fail(e, ST_INVALID,
	    "%s.routing_strategy: there is no router \"%.*s\"; `latenza plugin list` "
	    "shows them",
	    where, STR_ARG(s->routing_strategy));
}

enum status
profile_check_guardrails(const struct command_context *c, const char *where,
    const struct key_settings *s, struct err *e)
{
	for (size_t i = 0; c->config != NULL && i < s->guardrail_count; i++)
		if (config_guardrail(c->config, s->guardrail[i]) == NULL)
			return err_fail(e, ST_INVALID,
			    "%s.guardrails: there is no \"%.*s\" under guardrails of "
			    "the configuration",
			    where, STR_ARG(s->guardrail[i]));
	return ST_OK;
}

enum status
profile_check(struct command_context *c, lz_str id, const json_t *settings,
    struct arena *memory, struct err *e)
{
	enum key_level level =
	    profile_is_assistant(id) ? KEY_LEVEL_ASSISTANT : KEY_LEVEL_ORGANIZATION;
	lz_str organization, assistant;
	struct key_settings s;
	enum status st =
	    profile_settings_parse(level, settings, profile_word(id), memory, &s, e);

	if (st == ST_OK)
		st = check_strategy(c, profile_word(id), &s, e);
	if (st == ST_OK)
		st = profile_check_guardrails(c, profile_word(id), &s, e);
	(void)profiles_split(id, &organization, &assistant);
	if (st == ST_OK && profile_is_assistant(id))
		st = check_under(c, "assistant", &s, organization, memory, e);
	if (st == ST_OK && s.default_model.ptr != NULL &&
	    !key_settings_allow(&s, s.default_model))
		st = err_fail(e, ST_INVALID,
		    "assistant.default_model: \"%.*s\" is not in its model_allowlist",
		    STR_ARG(s.default_model));
	return st;
}
