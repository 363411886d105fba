/* from_litellm_limits.c - what a key or a team of LiteLLM may: money, counts, models.
 *
 * Money there is in USD and periods are any length; here it is EUR per calendar day, week
 * or month. Whatever cannot be the same becomes the narrower, and is said: a conversion
 * never lets a key spend more.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/from_litellm.h"

enum {
	COUNT_MAX = 1000000000,
	ALLOW_MAX = 1000,
	NAME_BYTES = 200,
	SEEN_DAYS_A_MONTH = 31
};

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
		return (struct period){ "month", 1, false };
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
set_money(struct litellm_row *r, const struct period *p, double usd, double soft_usd)
{
	double eur = fmin(eur_of(usd * p->share), COUNT_MAX);
	int pct = soft_usd > 0 && usd > 0 ? (int)(100 * soft_usd / usd) : 0;
	json_t *budget = json_pack("{s:s, s:f}", "period", p->name, "eur", eur);

	if (pct >= 1 && pct <= 100)
		(void)json_object_set_new(budget, "alert_pct", json_pack("[i]", pct));
	if (strcmp(p->name, "month") != 0) {
		(void)json_object_set_new(r->out, "budgets", json_pack("[o]", budget));
		return;
	}
	(void)json_object_set_new(r->out, "budget_monthly_eur", json_real(eur));
	if (pct >= 1 && pct <= 100)
		(void)json_object_set_new(r->out, "budget_alert_pct", json_integer(pct));
	json_decref(budget);
}

void
litellm_budget(struct litellm_row *r)
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
		    "is for the %s's whole life there; here what is left of it is a "
		    "month's budget: disable the %s when it is spent, or write what a "
		    "month may cost",
		    r->what, r->what);
		return;
	}
	days = days_of(text);
	if (days <= 0) {
		from_say(r->f, FROM_ERROR, r->object, "budget_duration", r->where,
		    "\"%s\" is not a time such as 30d, 24h or 1mo", text);
		return;
	}
	p = period_of(days);
	p.is_same |= strcmp(text, "1mo") == 0 || strcmp(text, "monthly") == 0;
	set_money(r, &p, usd, soft);
	if (!p.is_same)
		from_say(r->f, FROM_NO_TWIN, r->object, "budget_duration", r->where,
		    "%s is not a calendar day, week or month; the budget is for a %s, "
		    "and not larger than it was",
		    text, p.name);
}

/* ---- limits ---- */

void
litellm_count(struct litellm_row *r, const char *theirs, const char *ours)
{
	double n;

	if (from_number(r->f, r->object, theirs, r->where, 0, &n))
		(void)json_object_set_new(
		    r->out, ours, json_integer((json_int_t)fmin(n, COUNT_MAX)));
}

/* ---- models ---- */

/* What an entry of `models` allows, into out. false: everything. */
static bool
add_allowed(struct litellm_row *r, const char *name, json_t *out)
{
	const json_t *group = json_object_get(r->f->access, name), *one;
	const char *star = strchr(name, '*');
	size_t i;

	if (strcmp(name, "*") == 0 || strcmp(name, "all-proxy-models") == 0)
		return false;
	if (strcmp(name, "no-default-models") == 0)
		return true;
	if (strcmp(name, "all-team-models") == 0 && r->has_team)
		return false; /* the organisation's list holds anyway */
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
note_wildcard(struct litellm_row *r, const json_t *allowed)
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

void
litellm_models(struct litellm_row *r)
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
		(void)json_object_set(r->out, "model_allowlist", allowed);
	}
	json_decref(allowed);
}
