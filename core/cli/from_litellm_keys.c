/* from_litellm_keys.c - virtual keys of LiteLLM, as the rows of its table of verification
 * tokens say: known by the SHA-256 of their secret, which is what that table holds.
 *
 * Money there is in USD and periods are any length; here it is EUR per calendar day, week
 * or month. Whatever cannot be the same becomes the narrower, and is said: a conversion
 * never lets a key spend more.
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
	COUNT_MAX = 1000000000,
	ALLOW_MAX = 1000,
	METADATA_BYTES = 512,
	METADATA_NAME_BYTES = 64,
	NAME_BYTES = 200,
	SEEN_DAYS_A_MONTH = 31
};

extern const char models_json[];
extern const size_t models_json_len;

bool
litellm_is_catalogued(const char *id)
{
	json_t *all = json_parse(lz_strn(models_json, models_json_len), NULL);
	const json_t *row;
	bool is_there = false;
	size_t i;

	json_array_foreach(json_object_get(all, "models"), i, row)
	{
		is_there = is_there || str_is(json_get_str(row, "id"), id);
	}
	json_decref(all);
	return is_there;
}

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
	{ "permissions", "has no twin; a key sends requests and nothing else" },
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

struct row {
	struct from *f;
	const json_t *object;
	char where[FROM_WHERE];
	json_t *key;
};

/* ---- who it is ---- */

/* The hash as the table holds it, or of a token that was exported as it is. false: said.
 */
static bool
set_secret(struct row *r)
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
	(void)json_object_set_new(r->key, "secret_sha256", json_string(hex));
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
is_there_already(const struct row *r)
{
	lz_str mine = json_get_str(r->key, "secret_sha256");
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
choose_id(const struct row *r, const char *name, char out[FROM_NAME + 16])
{
	lz_str hex = json_get_str(r->key, "secret_sha256");
	char stem[FROM_NAME];

	if (name != NULL)
		from_slug(name, "_.", stem);
	else
		(void)snprintf(stem, sizeof(stem), "key-%.8s", hex.ptr);
	(void)snprintf(out, FROM_NAME + 16, "%s", stem);
	for (unsigned i = 2; json_object_get(r->f->keys, out) != NULL; i++)
		(void)snprintf(out, FROM_NAME + 16, "%s-%u", stem, i);
}

/* ---- money ---- */

struct period {
	const char *name; /* day, week, month */
	double share;     /* of the amount */
	bool is_same;
};

/* "30d", "1mo": days. 0: none, below 0: unreadable. */
static double
days_of(const char *text)
{
	static const struct {
		const char *unit;
		double days;
	} units[] = { { "s", 1.0 / 86400 }, { "m", 1.0 / 1440 }, { "h", 1.0 / 24 },
		{ "d", 1 }, { "w", 7 }, { "mo", 30 } };
	static const struct {
		const char *word;
		double days;
	} words[] = { { "daily", 1 }, { "weekly", 7 }, { "monthly", 30 } };
	char *end = NULL;
	double n = strtod(text, &end);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i].word) == 0)
			return words[i].days;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (end != text && strcmp(end, units[i].unit) == 0 && n > 0)
			return n * units[i].days;
	}
	return -1;
}

static bool
is_about(double a, double b)
{
	return fabs(a - b) < 1e-6;
}

/* The shortest calendar period that is not shorter; a share of what lasts longer. */
static struct period
period_of(double days)
{
	if (days <= 1)
		return (struct period){ "day", 1, is_about(days, 1) };
	if (days <= 7)
		return (struct period){ "week", 1, is_about(days, 7) };
	if (days <= SEEN_DAYS_A_MONTH)
		return (struct period){ "month", 1, days >= 28 };
	return (struct period){ "month", 30 / days, false };
}

/* Down to a cent, or to what is left below one. */
static double
eur_of(double usd)
{
	double eur = usd * FROM_EUR_PER_USD, cents = floor(eur * 100 + 1e-9) / 100;

	return cents > 0 ? cents : floor(eur * 1e6 + 1e-9) / 1e6;
}

static void
set_money(struct row *r, const struct period *p, double usd, double soft_usd)
{
	double eur = fmin(eur_of(usd * p->share), COUNT_MAX);
	int pct = soft_usd > 0 && usd > 0 ? (int)(100 * soft_usd / usd) : 0;
	json_t *budget = json_pack("{s:s, s:f}", "period", p->name, "eur", eur);

	if (pct >= 1 && pct <= 100)
		(void)json_object_set_new(budget, "alert_pct", json_pack("[i]", pct));
	if (strcmp(p->name, "month") != 0) {
		(void)json_object_set_new(r->key, "budgets", json_pack("[o]", budget));
		return;
	}
	(void)json_object_set_new(r->key, "budget_monthly_eur", json_real(eur));
	if (pct >= 1 && pct <= 100)
		(void)json_object_set_new(r->key, "budget_alert_pct", json_integer(pct));
	json_decref(budget);
}

static void
set_budget(struct row *r)
{
	const char *text = from_text(r->f, r->object, "budget_duration", r->where);
	double usd, soft = 0, spent = 0, days;
	struct period p;

	(void)from_number(r->f, r->object, "soft_budget", r->where, 0, &soft);
	if (!from_number(r->f, r->object, "max_budget", r->where, 0, &usd))
		return;
	if (text == NULL) {
		(void)from_number(r->f, r->object, "spend", r->where, 0, &spent);
		p = (struct period){ "month", 1, false };
		set_money(r, &p, fmax(usd - spent, 0), 0);
		from_say(r->f, FROM_NO_TWIN, r->object, "max_budget", r->where,
		    "is for the key's whole life there; here what is left of it is a "
		    "month's budget: disable the key when it is spent, or write what a "
		    "month may cost");
		return;
	}
	days = days_of(text);
	if (days <= 0) {
		from_say(r->f, FROM_ERROR, r->object, "budget_duration", r->where,
		    "\"%s\" is not a time such as 30d, 24h or 1mo", text);
		return;
	}
	p = period_of(days);
	set_money(r, &p, usd, soft);
	if (!p.is_same)
		from_say(r->f, FROM_NO_TWIN, r->object, "budget_duration", r->where,
		    "%s is not a calendar day, week or month; the budget is for a %s, "
		    "and not larger than it was",
		    text, p.name);
}

/* ---- limits ---- */

static void
set_count(struct row *r, const char *theirs, const char *ours)
{
	double n;

	if (from_number(r->f, r->object, theirs, r->where, 0, &n))
		(void)json_object_set_new(
		    r->key, ours, json_integer((json_int_t)fmin(n, COUNT_MAX)));
}

/* "2027-03-01 12:00:00.25+00:00" -> "2027-03-01T12:00:00Z". */
static void
set_expiry(struct row *r)
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
		(void)json_object_set_new(r->key, "expires_at", json_string(out));
	else
		from_say(r->f, FROM_ERROR, r->object, "expires", r->where,
		    "is not a date and time in UTC");
}

/* ---- models ---- */

/* What an entry of `models` allows, into out. false: everything. */
static bool
add_allowed(struct row *r, const char *name, json_t *out)
{
	const json_t *group = json_object_get(r->f->access, name), *one;
	const char *star = strchr(name, '*');
	size_t i;

	if (strcmp(name, "*") == 0 || strcmp(name, "all-proxy-models") == 0)
		return false;
	if (strcmp(name, "no-default-models") == 0)
		return true;
	if (strcmp(name, "all-team-models") == 0)
		from_say(r->f, FROM_NO_TWIN, r->object, "models", r->where,
		    "all-team-models: the team's models are not in the export, so this "
		    "allows nothing; list them in model_allowlist");
	else if (star != NULL && star[1] != '\0')
		from_say(r->f, FROM_NO_TWIN, r->object, "models", r->where,
		    "\"%s\" was left out: a * may only stand at the end; list the models",
		    name);
	else if (group == NULL)
		(void)json_array_append_new(out, json_string(name));
	json_array_foreach(group, i, one)(void)
	    json_array_append(out, (json_t *)(uintptr_t)one);
	return true;
}

/* A name with a star at its end is what is asked for; what serves it is known by the
 * model's own name. */
static void
note_wildcard(struct row *r, const json_t *allowed)
{
	const json_t *one;
	size_t i;

	json_array_foreach(allowed, i, one)
	{
		const char *name = json_string_value(one);

		if (strchr(name, '/') != NULL &&
		    json_object_get(r->f->models, name) == NULL)
			from_say(r->f, FROM_NO_TWIN, r->object, "models", r->where,
			    "\"%s\" is held against the model's own name, too; add the "
			    "names of those that the catalogue knows to model_allowlist",
			    name);
	}
}

static bool
is_model(const char *name)
{
	if (name == NULL || *name == '\0' || strlen(name) > NAME_BYTES)
		return false;
	for (; *name != '\0'; name++) {
		if ((unsigned char)*name < ' ' || *name == 0x7f)
			return false;
	}
	return true;
}

static void
set_models(struct row *r)
{
	const json_t *list = from_list(r->f, r->object, "models", r->where), *one;
	json_t *allowed = json_array();
	bool is_narrow = json_array_size(list) > 0;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (!is_model(json_string_value(one)))
			from_say(r->f, FROM_ERROR, r->object, "models", r->where,
			    "entry %zu is not a name", i);
		else if (!add_allowed(r, json_string_value(one), allowed))
			is_narrow = false;
	}
	if (json_array_size(allowed) > ALLOW_MAX)
		from_say(r->f, FROM_ERROR, r->object, "models", r->where,
		    "lists more than %d models", ALLOW_MAX);
	if (is_narrow) {
		note_wildcard(r, allowed);
		(void)json_object_set(r->key, "model_allowlist", allowed);
	}
	json_decref(allowed);
}

/* ---- whose it is ---- */

static void
add_metadata(struct row *r, json_t *out, const char *name, const json_t *value)
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
set_metadata(struct row *r)
{
	static const char *const owners[] = { "user_id", "team_id", "organization_id",
		"project_id", "agent_id", NULL };
	const json_t *given = from_map(r->f, r->object, "metadata", r->where);
	json_t *out = json_object(), *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)given, name, value)
	{
		add_metadata(r, out, name, value);
	}
	for (size_t i = 0; owners[i] != NULL; i++)
		add_metadata(r, out, owners[i], json_object_get(r->object, owners[i]));
	if (json_object_size(out) > 0)
		(void)json_object_set(r->key, "metadata", out);
	json_decref(out);
	if (!from_is_empty(json_object_get(r->object, "team_id")))
		from_say(r->f, FROM_NO_TWIN, r->object, "team_id", r->where,
		    "the team's own models, limits and budget are not in the export and "
		    "do not hold for this key; write them to the key");
}

/* ---- one row, all of them ---- */

static void
convert_row(struct row *r)
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
	choose_id(r, alias, id);
	alias = alias != NULL ? alias : name;
	if (alias != NULL && *alias != '\0')
		(void)json_object_set_new(r->key, "name",
		    json_string(out_safe(alias, NAME_BYTES / 2, shown, sizeof(shown))));
	set_count(r, "rpm_limit", "rate_limit");
	set_count(r, "tpm_limit", "tokens_per_minute");
	set_count(r, "max_parallel_requests", "max_in_flight");
	set_budget(r);
	set_models(r);
	set_expiry(r);
	set_metadata(r);
	from_members(r->f, r->object, r->where, members);
	(void)json_object_set(r->f->keys, id, r->key);
}

void
from_litellm_keys(struct from *f)
{
	const json_t *list =
	    json_is_object(f->root) ? json_object_get(f->root, "keys") : f->root;
	struct row r = { .f = f };

	if (json_is_object(f->root) && json_object_get(f->root, "token") != NULL) {
		r.object = f->root;
		(void)snprintf(r.where, sizeof(r.where), "key");
		r.key = json_object();
		convert_row(&r);
		json_decref(r.key);
		return;
	}
	if (!json_is_array(list)) {
		from_say(f, FROM_ERROR, f->root, NULL, "",
		    "holds no keys; it must be rows of LiteLLM_VerificationToken: a "
		    "list, a map with keys, or one row per line");
		return;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		r.object = json_array_get(list, i);
		(void)snprintf(r.where, sizeof(r.where), "keys[%zu]", i);
		r.key = json_object();
		if (json_is_object(r.object))
			convert_row(&r);
		else
			from_say(f, FROM_ERROR, list, NULL, r.where,
			    "is not a map; a row has token, models, max_budget, ...");
		json_decref(r.key);
	}
	if (json_object_size(f->keys) > 0)
		from_say(f, FROM_REMARK, f->root, NULL, "",
		    "what keys have spent there is not carried over, and USD became EUR "
		    "at %g",
		    FROM_EUR_PER_USD);
}
