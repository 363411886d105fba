/* from_litellm_keys.c - virtual keys of LiteLLM, as the rows of its table of verification
 * tokens say: known by the SHA-256 of their secret, which is what that table holds.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/json.h"
#include "cli/from_litellm.h"
#include "cli/out.h"
#include "config/keyset.h"
#include "config/options.h"

enum {
	METADATA_BYTES = 512,
	METADATA_NAME_BYTES = 64,
	NAME_BYTES = 200
};

static const struct from_member members[] = {
	{ "token", NULL },
	{ "key_name", NULL },
	{ "key_alias", NULL },
	{ "max_budget", NULL },
	{ "budget_duration", NULL },
	{ "soft_budget", NULL },
	{ "spend", NULL },
	{ "expires", NULL },
	{ "models", NULL },
	{ "tpm_limit", NULL },
	{ "rpm_limit", NULL },
	{ "max_parallel_requests", NULL },
	{ "blocked", NULL },
	{ "metadata", NULL },
	{ "user_id", NULL },
	{ "team_id", NULL },
	{ "team_alias", NULL },
	{ "organization_id", NULL },
	{ "project_id", NULL },
	{ "agent_id", NULL },
	/* What happened there, and who did it. */
	{ "created_at", NULL },
	{ "created_by", NULL },
	{ "updated_at", NULL },
	{ "updated_by", NULL },
	{ "last_active", NULL },
	{ "budget_reset_at", NULL },
	{ "model_spend", NULL },
	{ "soft_budget_cooldown", NULL },
	{ "rotation_count", NULL },
	{ "last_rotation_at", NULL },
	{ "key_rotation_at", NULL },
	{ "aliases", "has no twin for one key; write the names to models:" },
	{ "config", "has no twin; a key has no configuration of its own" },
	{ "router_settings", "has no twin but routing_strategy; write that to the key" },
	{ "permissions", NULL },
	{ "allowed_routes", "has no twin: every key may use all of /v1" },
	{ "allowed_cache_controls", "has no twin: answers are not cached" },
	{ "model_max_budget", "has no twin: a budget is for all models of a key; make a "
			      "key for each model" },
	{ "budget_limits", "was not converted; write budgets to the key" },
	{ "budget_id", "leads to a table that was not exported; write its limits to the "
		       "key" },
	{ "object_permission_id", "leads to a table that was not exported" },
	{ "access_group_ids", "leads to a table that was not exported; write its models "
			      "to model_allowlist" },
	{ "policies", "has no twin in this release" },
	{ "auto_rotate", "has no twin; roll keys with `latenza key roll`" },
	{ "rotation_interval", "has no twin; roll keys with `latenza key roll`" },
	{ NULL, NULL },
};

/* ---- who it is ---- */

/* The hash as the table holds it, or of a token that was exported as it is. false: said.
 */
static bool
set_secret(struct litellm_row *r)
{
	const char *token = from_text(r->f, r->object, "token", r->where);
	char hex[2 * CRYPTO_HASH_BYTES + 1];
	uint8_t hash[CRYPTO_HASH_BYTES];

	if (token == NULL) {
		if (from_is_empty(json_object_get(r->object, "token")))
			from_say(r->f, FROM_ERROR, r->object, NULL, r->where,
			    "token is missing; a row holds the SHA-256 of a key there");
		return false;
	}
	if (strncmp(token, "sk-", 3) == 0) {
		crypto_sha256(lz_strz(token), hash);
	} else if (!crypto_unhex(lz_strz(token), hash, sizeof(hash))) {
		from_say(r->f, FROM_ERROR, r->object, "token", r->where,
		    "is neither a SHA-256 of 64 hexadecimal digits nor a key that begins "
		    "with sk-");
		return false;
	}
	crypto_hex(hash, sizeof(hash), hex);
	(void)json_object_set_new(r->out, "secret_sha256", json_string(hex));
	return true;
}

/* A key of the environment's is known by its hash if it is set here. */
static bool
has_hash(const json_t *key, lz_str hex)
{
	lz_str secret = json_get_str(key, "secret");
	char mine[2 * CRYPTO_HASH_BYTES + 1];
	uint8_t hash[CRYPTO_HASH_BYTES];
	const char *value;

	if (secret.len == 0)
		return str_eq(json_get_str(key, "secret_sha256"), hex);
	value = str_starts(secret, "env:") ? getenv(secret.ptr + 4) : NULL;
	if (value == NULL)
		return false;
	crypto_sha256(lz_strz(value), hash);
	crypto_hex(hash, sizeof(hash), mine);
	return str_is(hex, mine);
}

static bool
is_there_already(const struct litellm_row *r)
{
	lz_str mine = json_get_str(r->out, "secret_sha256");
	const char *id;
	json_t *other;

	json_object_foreach(r->f->keys, id, other)
	{
		if (has_hash(other, mine))
			return true;
	}
	return false;
}

static void
choose_id(const struct litellm_row *r, const char *name, char out[FROM_NAME + 16])
{
	lz_str hex = json_get_str(r->out, "secret_sha256");
	char stem[FROM_NAME];

	if (name != NULL)
		from_slug(name, "_.", stem);
	else
		(void)snprintf(stem, sizeof(stem), "key-%.8s", hex.ptr);
	(void)snprintf(out, FROM_NAME + 16, "%s", stem);
	for (unsigned i = 2; json_object_get(r->f->keys, out) != NULL; i++)
		(void)snprintf(out, FROM_NAME + 16, "%s-%u", stem, i);
}

/* ---- until when ---- */

/* "2027-03-01 12:00:00.25+00:00" -> "2027-03-01T12:00:00Z". */
static void
set_expiry(struct litellm_row *r)
{
	const char *text = from_text(r->f, r->object, "expires", r->where);
	char out[40];
	int64_t ignored;
	size_t n = 0;

	if (text == NULL || *text == '\0')
		return;
	for (; n < 19 && text[n] != '\0'; n++)
		out[n] = text[n] == ' ' ? 'T' : text[n];
	out[n] = '\0';
	text += n;
	if (n == 19) {
		if (*text == '.')
			for (text++; isdigit((unsigned char)*text);)
				text++;
		if (*text == '\0' || strcmp(text, "+00:00") == 0 ||
		    strcmp(text, "+00") == 0)
			text = "Z";
		(void)snprintf(out + n, sizeof(out) - n, "%.10s", text);
	}
	if (options_date(lz_strz(out), &ignored))
		(void)json_object_set_new(r->out, "expires_at", json_string(out));
	else
		from_say(r->f, FROM_ERROR, r->object, "expires", r->where,
		    "is not a date and time in UTC");
}

/* ---- whose it is ---- */

static void
add_metadata(struct litellm_row *r, json_t *out, const char *name, const json_t *value)
{
	const char *text = json_string_value(value);

	if (from_is_empty(value))
		return;
	if (text != NULL && strlen(text) <= METADATA_BYTES && *name != '\0' &&
	    strlen(name) <= METADATA_NAME_BYTES && json_object_size(out) < KEY_METADATA &&
	    !options_is_reference(lz_strz(text)))
		(void)json_object_set_new(out, name, json_string(text));
	else
		from_say(r->f, FROM_NO_TWIN, r->object, "metadata", r->where,
		    "\"%s\" was left out: metadata is a flat map of short texts here; "
		    "write it as such",
		    name);
}

static void
set_metadata(struct litellm_row *r)
{
	static const char *const owners[] = { "user_id", "organization_id", "project_id",
		"agent_id", NULL };
	const json_t *given = from_map(r->f, r->object, "metadata", r->where);
	json_t *out = json_object(), *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)given, name, value)
	{
		if (strcmp(name, "guardrails") == 0 && json_is_array(value))
			litellm_name_guardrails(r, value);
		else
			add_metadata(r, out, name, value);
	}
	litellm_switch_guardrails(r);
	for (size_t i = 0; owners[i] != NULL; i++)
		add_metadata(r, out, owners[i], json_object_get(r->object, owners[i]));
	if (json_object_size(out) > 0)
		(void)json_object_set(r->out, "metadata", out);
	json_decref(out);
}

/* ---- one row, all of them ---- */

/* There both bind, here the nearer one: the smaller of the two. */
static void
keep_teams_counts(struct litellm_row *r, const json_t *team)
{
	static const char *const counts[] = { "rate_limit", "tokens_per_minute",
		"max_in_flight", NULL };
	const json_t *organization =
	    json_object_get(r->f->organizations, json_get_str(team, "organization").ptr);

	for (size_t i = 0; counts[i] != NULL; i++) {
		json_t *teams = json_object_get(organization, counts[i]);
		const json_t *mine = json_object_get(r->out, counts[i]);

		if (teams != NULL && mine != NULL &&
		    json_integer_value(mine) > json_integer_value(teams))
			(void)json_object_set(r->out, counts[i], teams);
	}
}

/* false: it is blocked, which was said. */
static bool
set_team(struct litellm_row *r, json_t *teams)
{
	const json_t *team = litellm_team_of(r, teams);

	if (team == NULL)
		return true;
	if (json_is_true(json_object_get(team, "is_blocked"))) {
		from_say(r->f, FROM_REMARK, r->object, "team_id", r->where,
		    "the key's team is blocked, and the key was left out: it is refused "
		    "here, too");
		return false;
	}
	r->has_team = json_is_true(json_object_get(team, "is_known"));
	(void)json_object_set(
	    r->out, "organization", json_object_get(team, "organization"));
	return true;
}

static void
convert_row(struct litellm_row *r, json_t *teams)
{
	const char *alias = from_text(r->f, r->object, "key_alias", r->where);
	const char *name = from_text(r->f, r->object, "key_name", r->where);
	char id[FROM_NAME + 16], shown[NAME_BYTES];

	if (!set_secret(r))
		return;
	if (json_is_true(json_object_get(r->object, "blocked"))) {
		from_say(r->f, FROM_REMARK, r->object, "blocked", r->where,
		    "the key is blocked and was left out: it is refused here, too");
		return;
	}
	if (is_there_already(r)) {
		from_say(r->f, FROM_REMARK, r->object, "token", r->where,
		    "is there already; the second was left out");
		return;
	}
	if (!set_team(r, teams))
		return;
	choose_id(r, alias, id);
	alias = alias != NULL ? alias : name;
	if (alias != NULL && *alias != '\0')
		(void)json_object_set_new(r->out, "name",
		    json_string(out_safe(alias, NAME_BYTES / 2, shown, sizeof(shown))));
	litellm_count(r, "rpm_limit", "rate_limit");
	litellm_count(r, "tpm_limit", "tokens_per_minute");
	litellm_count(r, "max_parallel_requests", "max_in_flight");
	keep_teams_counts(r, litellm_team_of(r, teams));
	litellm_budget(r);
	litellm_models(r);
	set_expiry(r);
	set_metadata(r);
	from_members(r->f, r->object, r->where, members);
	(void)json_object_set(r->f->keys, id, r->out);
}

static void
convert_rows(struct from *f, const json_t *list, const char *title, json_t *teams)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct litellm_row r = { .f = f,
			.object = json_array_get(list, i),
			.what = "key",
			.out = json_object() };

		(void)snprintf(r.where, sizeof(r.where), "%s[%zu]", title, i);
		if (!json_is_object(r.object))
			from_say(f, FROM_ERROR, list, NULL, r.where,
			    "is not a map; a row has token, models, max_budget, ...");
		else if (!litellm_is_team(r.object))
			convert_row(&r, teams);
		json_decref(r.out);
	}
}

/* The API's list of teams has each one's keys with it. */
static void
convert_teams_rows(struct from *f, const json_t *list, json_t *teams)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		char title[FROM_NAME];

		(void)snprintf(title, sizeof(title), "teams[%zu].keys", i);
		convert_rows(
		    f, json_object_get(json_array_get(list, i), "keys"), title, teams);
	}
}

void
from_litellm_keys(struct from *f)
{
	bool is_map = json_is_object(f->root);
	bool is_row = is_map && json_object_get(f->root, "token") != NULL;
	json_t *teams = json_object();
	const json_t *list = is_map ? json_object_get(f->root, "keys") : f->root;
	const json_t *of_teams = is_map ? json_object_get(f->root, "teams") : NULL;
	json_t *one = is_row ? json_pack("[O]", f->root) : NULL;

	if (is_row)
		list = one;
	if (!json_is_array(list) && !json_is_array(of_teams))
		from_say(f, FROM_ERROR, f->root, NULL, "",
		    "holds no keys; it must be rows of LiteLLM_VerificationToken, and of "
		    "LiteLLM_TeamTable: a list, a map with keys and teams, or one row "
		    "per line");
	litellm_teams(f, teams);
	convert_rows(f, list, "keys", teams);
	convert_teams_rows(f, of_teams, teams);
	if (json_object_size(f->keys) > 0)
		from_say(f, FROM_REMARK, f->root, NULL, "",
		    "what keys have spent there is not carried over, and USD became EUR "
		    "at %g",
		    FROM_EUR_PER_USD);
	json_decref(one);
	json_decref(teams);
}
