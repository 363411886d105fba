/* from_litellm.h - between the files that convert a configuration of LiteLLM. Private to
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_FROM_LITELLM_H
#define CLI_FROM_LITELLM_H

#include "cli/from.h"

#define LITELLM_LOGGING                                                                  \
	"has no twin: traces are kept by the gateway, and /metrics is Prometheus'"

/* Thousands of tokens above which prices may be others; and the members for them. */
#define LITELLM_TIER_1 128
#define LITELLM_TIER_2 200
#define LITELLM_TIER_3 272
#define LITELLM_TIER(n)                                                                  \
	{ "input_cost_per_token_above_" n "k_tokens", NULL },                            \
	    { "output_cost_per_token_above_" n "k_tokens", NULL },                       \
	    { "cache_read_input_token_cost_above_" n "k_tokens", NULL },                 \
	{                                                                                \
		"cache_creation_input_token_cost_above_" n "k_tokens", NULL              \
	}
#define LITELLM_TIERS LITELLM_TIER("128"), LITELLM_TIER("200"), LITELLM_TIER("272")

struct litellm {
	struct from *f;
	json_t *groups;      /* deployments by model_name, in the order of the file */
	json_t *access;      /* access groups: lists of model_names */
	json_t *credentials; /* values by credential_name */
	char where[FROM_WHERE / 4]; /* model_list[3] */
};

/* An entry of model_list. */
struct litellm_entry {
	struct litellm *l;
	const json_t *object, *params, *info, *credential;
	char where[FROM_WHERE];      /* of litellm_params */
	char info_where[FROM_WHERE]; /* of model_info */
	const struct from_vendor *vendor;
	char model[FROM_VALUE];
};

/* ---- from_litellm_vendors.c ---- */
/* Sets vendor and model. false: said. */
bool litellm_find_vendor(struct litellm_entry *e);
/* An address of one's own under openai/ is somebody who resembles OpenAI. */
const struct from_vendor *litellm_vendor_at(
    const struct litellm_entry *e, const char *url);

/* ---- from_litellm_entry.c ---- */
void litellm_entry(struct litellm *l, const json_t *list, size_t i);

/* ---- from_litellm_facts.c ---- */
/* owned; NULL: its mode is not served, which was said. */
json_t *litellm_facts(struct litellm_entry *e);
/* Says what of model_info has no twin. */
void litellm_tell_facts(struct litellm_entry *e);

/* ---- from_litellm_settings.c ---- */
/* Says whether weights are used at all. */
void litellm_strategy(struct litellm *l);
/* Everything else but model_list. */
void litellm_settings(struct litellm *l);

/* ---- from_litellm_guardrails.c ---- */
void litellm_guardrails(struct from *f);

/* ---- from_litellm_limits.c ---- */
/* A row of the export: a key or a team, and what it becomes. */
struct litellm_row {
	struct from *f;
	const json_t *object;
	char where[FROM_WHERE];
	const char *what; /* "key", "team" */
	json_t *out;
	bool has_team; /* of a key: its team's own limits are known */
};
/* Each sets members of `out` by members of `object`, or says why not. */
void litellm_budget(struct litellm_row *r);
void litellm_count(struct litellm_row *r, const char *theirs, const char *ours);
void litellm_models(struct litellm_row *r);

/* Those that the list names, once they were converted: from_litellm_guardrails.c. */
void litellm_name_guardrails(struct litellm_row *r, const json_t *list);
/* The same for `permissions`, { NAME: true }, which the old form is switched by. */
void litellm_switch_guardrails(struct litellm_row *r);

/* ---- from_litellm_teams.c ---- */
/* Of every row that is a team: an organisation in f->organizations. teams: team_id ->
 * { organization, is_known, is_blocked }. */
void litellm_teams(struct from *f, json_t *teams);
bool litellm_is_team(const json_t *row);
/* The same for the team of a key, which is made if it is not there. NULL: it has none. */
const json_t *litellm_team_of(struct litellm_row *key, json_t *teams);

#endif
