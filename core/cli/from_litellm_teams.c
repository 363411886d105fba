/* from_litellm_teams.c - teams of LiteLLM, which become organisations: their budget and
 * their models bind all of their keys, there and here.
 *
 * Rows of its table of teams stand beside those of keys, or hold their keys themselves. A
 * team that only its keys name becomes an organisation without limits of its own, so that
 * what its keys spend is counted together.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/from_litellm.h"
#include "cli/out.h"

enum {
	NAME_BYTES = 200
};

#define PEOPLE "has no twin: people do not log in here; clients have keys"

static const struct from_member members[] = {
	{ "team_id", NULL },
	{ "team_alias", NULL },
	{ "max_budget", NULL },
	{ "soft_budget", NULL },
	{ "budget_duration", NULL },
	{ "spend", NULL },
	{ "models", NULL },
	{ "tpm_limit", NULL },
	{ "rpm_limit", NULL },
	{ "max_parallel_requests", NULL },
	{ "blocked", NULL },
	{ "keys", NULL },
	{ "created_at", NULL },
	{ "updated_at", NULL },
	{ "budget_reset_at", NULL },
	{ "model_spend", NULL },
	{ "organization_id", "has no twin: a team is an organisation here, and there is "
			     "nothing above; write the narrower of both limits to it" },
	{ "metadata",
	    "has no twin for an organisation but its guardrails; write it to its "
	    "keys" },
	{ "admins", PEOPLE },
	{ "members", PEOPLE },
	{ "members_with_roles", PEOPLE },
	{ "members_count", PEOPLE },
	{ "team_memberships", PEOPLE },
	{ "team_member_permissions", PEOPLE },
	{ "default_team_member_models", PEOPLE },
	{ "model_max_budget", "has no twin: a budget is for all models; make a key for "
			      "each model" },
	{ "budget_limits", "was not converted; write budgets to the organisation" },
	{ "model_id", "leads to a table that was not exported" },
	{ "litellm_model_table", "has no twin; write the names to models:" },
	{ "router_settings", "has no twin but routing_strategy; write that to the "
			     "organisation" },
	{ "object_permission_id", "leads to a table that was not exported" },
	{ "object_permission", "has no twin in this release" },
	{ "access_group_ids", "leads to a table that was not exported; write its models "
			      "to model_allowlist" },
	{ "policies", "has no twin in this release" },
	{ NULL, NULL },
};

bool
litellm_is_team(const json_t *row)
{
	return json_is_object(row) && json_object_get(row, "token") == NULL &&
	       json_object_get(row, "team_id") != NULL;
}

/* `default` is there already, and means those who have no team. */
static void
choose_name(const struct from *f, const char *text, char out[FROM_NAME + 16])
{
	char stem[FROM_NAME];

	from_slug(text, "", stem);
	stem[FROM_NAME - 12] = '\0';
	if (strcmp(stem, "default") == 0)
		(void)snprintf(stem, sizeof(stem), "team-default");
	(void)snprintf(out, FROM_NAME + 16, "%s", stem);
	for (unsigned i = 2; json_object_get(f->organizations, out) != NULL; i++)
		(void)snprintf(out, FROM_NAME + 16, "%s-%u", stem, i);
}

/* object: taken. */
static void
note(struct from *f, json_t *teams, const char *id, const char *title, bool is_known,
    json_t *object)
{
	char name[FROM_NAME + 16], shown[NAME_BYTES];

	choose_name(f, title != NULL && *title != '\0' ? title : id, name);
	if (title != NULL && *title != '\0')
		(void)json_object_set_new(object, "name",
		    json_string(out_safe(title, NAME_BYTES / 2, shown, sizeof(shown))));
	(void)json_object_set_new(f->organizations, name, object);
	(void)json_object_set_new(teams, id,
	    json_pack("{s:s, s:b}", "organization", name, "is_known", is_known));
}

static void
set_counts(struct litellm_row *r)
{
	litellm_count(r, "rpm_limit", "rate_limit");
	litellm_count(r, "tpm_limit", "tokens_per_minute");
	litellm_count(r, "max_parallel_requests", "max_in_flight");
	if (json_object_size(r->out) > 0)
		from_say(r->f, FROM_NO_TWIN, r->object, NULL, r->where,
		    "limits of requests and tokens are for all keys of the team together "
		    "there; here each of its keys may have as much: write less to its "
		    "keys");
}

static void
convert_team(struct litellm_row *r, json_t *teams)
{
	const char *id = from_text(r->f, r->object, "team_id", r->where);
	const char *alias = from_text(r->f, r->object, "team_alias", r->where);

	if (id == NULL || *id == '\0' || json_object_get(teams, id) != NULL) {
		from_say(r->f, FROM_ERROR, r->object, id != NULL ? "team_id" : NULL,
		    r->where,
		    id == NULL || *id == '\0' ? "team_id is missing" : "is there twice");
		return;
	}
	from_members(r->f, r->object, r->where, members);
	if (json_is_true(json_object_get(r->object, "blocked"))) {
		(void)json_object_set_new(
		    teams, id, json_pack("{s:b}", "is_blocked", true));
		return;
	}
	set_counts(r);
	litellm_budget(r);
	litellm_models(r);
	litellm_name_guardrails(
	    r, json_object_get(json_object_get(r->object, "metadata"), "guardrails"));
	note(r->f, teams, id, alias, true, json_incref(r->out));
}

static void
convert_list(
    struct from *f, const json_t *list, const char *title, bool only_teams, json_t *teams)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct litellm_row r = { .f = f,
			.object = json_array_get(list, i),
			.what = "team",
			.out = json_object() };

		(void)snprintf(r.where, sizeof(r.where), "%s[%zu]", title, i);
		if (litellm_is_team(r.object))
			convert_team(&r, teams);
		else if (only_teams)
			from_say(f, FROM_ERROR, list, NULL, r.where,
			    "is not a team; a row has team_id, models, max_budget, ...");
		json_decref(r.out);
	}
}

void
litellm_teams(struct from *f, json_t *teams)
{
	if (json_is_array(f->root)) {
		convert_list(f, f->root, "keys", false, teams);
		return;
	}
	convert_list(f, from_list(f, f->root, "teams", ""), "teams", true, teams);
	convert_list(f, json_object_get(f->root, "keys"), "keys", false, teams);
}

const json_t *
litellm_team_of(struct litellm_row *key, json_t *teams)
{
	const char *id = json_string_value(json_object_get(key->object, "team_id"));
	const char *alias = json_string_value(json_object_get(key->object, "team_alias"));

	if (id == NULL || *id == '\0') {
		(void)from_text(key->f, key->object, "team_id", key->where);
		return NULL;
	}
	if (json_object_get(teams, id) == NULL) {
		note(key->f, teams, id, alias, false, json_object());
		from_say(key->f, FROM_NO_TWIN, key->object, "team_id", key->where,
		    "the team's own models, limits and budget are not in the export and "
		    "do not hold here; write them to organizations.%s",
		    json_get_str(json_object_get(teams, id), "organization").ptr);
	}
	return json_object_get(teams, id);
}
