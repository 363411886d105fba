/* from_litellm_find.c - guardrails of LiteLLM that look for something themselves:
 * Presidio, hide-secrets, the built-in content filter.
 *
 * What a twin finds is its own: nothing here recognises a person's name. So each kind of
 * data that nobody here looks for is told by name. One entry may become several
 * instances, because an instance does one thing with what it finds.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "cli/from_litellm_guardrail.h"

enum {
	CODE_BYTES = 60
};

/* "MASK", "BLOCK" in any case; NULL: said. */
static const char *
action_of(const struct litellm_guardrail *e, const json_t *object, const char *member,
    const char *where)
{
	const char *text = from_text(e->f, object, member, where);

	if (text == NULL && json_object_get(object, member) != NULL &&
	    !json_is_null(json_object_get(object, member)))
		return NULL; /* said */
	if (text == NULL || strcasecmp(text, "BLOCK") == 0)
		return "block";
	if (strcasecmp(text, "MASK") == 0)
		return "mask";
	from_say(e->f, FROM_ERROR, object, member, where, "is not MASK or BLOCK");
	return NULL;
}

/* ---- kinds of data ---- */

/* What they call it, what looks for it here, and how that calls it. */
struct kind {
	const char *theirs, *use, *ours;
};

static const struct kind entities[] = {
	{ "EMAIL_ADDRESS", "pii", "email" },
	{ "PHONE_NUMBER", "pii", "phone" },
	{ "IBAN_CODE", "pii", "iban" },
	{ "CREDIT_CARD", "pii", "card" },
	{ "IP_ADDRESS", "pii", "ip" },
	{ "US_SSN", "pii", "us_ssn" },
	{ "UK_NHS", "pii", "uk_nhs" },
	{ "UK_NINO", "pii", "uk_nino" },
	{ "ES_NIF", "pii", "es_dni" },
	{ "ES_NIE", "pii", "es_nie" },
	{ "IT_FISCAL_CODE", "pii", "it_cf" },
	{ NULL, NULL, NULL },
};
static const struct kind prebuilt[] = {
	{ "email", "pii", "email" },
	{ "us_phone", "pii", "phone" },
	{ "iban", "pii", "iban" },
	{ "credit_card", "pii", "card" },
	{ "visa", "pii", "card" },
	{ "mastercard", "pii", "card" },
	{ "amex", "pii", "card" },
	{ "discover", "pii", "card" },
	{ "ipv4", "pii", "ip" },
	{ "ipv6", "pii", "ip" },
	{ "us_ssn", "pii", "us_ssn" },
	{ "aws_access_key", "secrets", "vendor" },
	{ "github_token", "secrets", "vendor" },
	{ "slack_token", "secrets", "vendor" },
	{ "generic_api_key", "secrets", "generic" },
	{ NULL, NULL, NULL },
};

static const struct kind *
find_kind(const struct kind *table, const char *name)
{
	while (table->theirs != NULL && strcmp(table->theirs, name) != 0)
		table++;
	return table->theirs != NULL ? table : NULL;
}

/* wanted: { "pii mask": ["email", ...] } */
static void
want(json_t *wanted, const struct kind *kind, const char *action)
{
	char name[CODE_BYTES];
	json_t *list;

	(void)snprintf(name, sizeof(name), "%s %s", kind->use, action);
	list = json_list_in(wanted, name);
	if (!litellm_has_text(list, kind->ours))
		(void)json_array_append_new(list, json_string(kind->ours));
}

static void
add_wanted(const struct litellm_guardrail *e, json_t *wanted)
{
	const char *name;
	json_t *kinds;

	json_object_foreach(wanted, name, kinds)
	{
		bool is_pii = strncmp(name, "pii ", 4) == 0;
		json_t *one = litellm_add_guardrail(
		    e, is_pii ? "pii" : "secrets", strchr(name, ' ') + 1);

		(void)json_object_set(one, "kinds", kinds);
	}
}

/* ---- presidio ---- */

#define PRESIDIO "has no twin: nothing but the gateway itself looks for personal data"

static const struct from_member presidio_members[] = {
	{ "guardrail", NULL },
	{ "mode", NULL },
	{ "default_on", NULL },
	{ "pii_entities_config", NULL },
	{ "output_parse_pii", NULL },
	{ "presidio_language", "has no twin: what is looked for has a form, whatever the "
			       "language" },
	{ "presidio_analyzer_api_base", PRESIDIO },
	{ "presidio_anonymizer_api_base", PRESIDIO },
	{ "presidio_ad_hoc_recognizers", "was not converted; write its expressions to a "
					 "guardrail with use: patterns" },
	{ "presidio_score_thresholds", "has no twin: check digits decide, or nothing "
				       "does" },
	{ "presidio_filter_scope", "was not converted; write on: [request], [response] "
				   "or both" },
	{ NULL, NULL },
};

static void
read_entities(const struct litellm_guardrail *e, const json_t *map, json_t *wanted)
{
	char where[FROM_WHERE + 32];
	const char *name;
	json_t *value;

	(void)snprintf(where, sizeof(where), "%s.pii_entities_config", e->where);
	json_object_foreach((json_t *)(uintptr_t)map, name, value)
	{
		const struct kind *kind = find_kind(entities, name);
		const char *action = action_of(e, map, name, where);

		if (kind == NULL)
			from_say(e->f, FROM_NO_TWIN, map, name, where,
			    "nobody here looks for that");
		else if (action != NULL)
			want(wanted, kind, action);
	}
}

void
litellm_restore(
    const struct litellm_guardrail *e, const json_t *object, const char *where)
{
	const json_t *name;
	bool has_one = false;
	size_t i;

	if (!json_is_true(json_object_get(object, "output_parse_pii")))
		return;
	json_array_foreach(e->mine, i, name)
	{
		json_t *one = json_object_get(e->f->guardrails, json_string_value(name));

		if (!str_is(json_get_str(one, "action"), "mask"))
			continue;
		(void)json_object_set_new(one, "restore", json_true());
		(void)json_object_set_new(
		    one, "on", json_pack("[ss]", "request", "response"));
		has_one = true;
	}
	if (has_one)
		from_say(e->f, FROM_REMARK, object, "output_parse_pii", where,
		    "became restore; what the model itself writes of that kind is masked "
		    "as well");
}

void
litellm_mask_personal(const struct litellm_guardrail *e)
{
	(void)litellm_add_guardrail(e, "pii", "mask");
	from_say(e->f, FROM_REMARK, e->params, e->member, e->where,
	    "became use: pii, which finds what has a form (addresses, numbers), and no "
	    "names, places or dates");
}

void
litellm_find_personal(const struct litellm_guardrail *e)
{
	const json_t *map = from_map(e->f, e->params, "pii_entities_config", e->where);
	json_t *wanted = json_object();

	from_members(e->f, e->params, e->where, presidio_members);
	if (json_object_size(map) == 0) {
		litellm_mask_personal(e);
	} else {
		read_entities(e, map, wanted);
		add_wanted(e, wanted);
	}
	litellm_restore(e, e->params, e->where);
	json_decref(wanted);
}

/* ---- hide-secrets ---- */

void
litellm_find_secrets(const struct litellm_guardrail *e)
{
	static const struct from_member members[] = {
		{ "guardrail", NULL },
		{ "mode", NULL },
		{ "default_on", NULL },
		{ "detect_secrets_config",
		    "was not converted: write to kinds what is to be looked for, to "
		    "allow what is not" },
		{ NULL, NULL },
	};

	from_members(e->f, e->params, e->where, members);
	(void)litellm_add_guardrail(e, "secrets", "mask");
}

/* ---- the content filter ---- */

/* The instance that does this; made the first time. borrowed */
static json_t *
patterns_of(const struct litellm_guardrail *e)
{
	const json_t *name;
	json_t *one;
	size_t i;

	json_array_foreach(e->mine, i, name)
	{
		one = json_object_get(e->f->guardrails, json_string_value(name));
		if (strcmp(json_get_str(one, "use").ptr, "patterns") == 0)
			return one;
	}
	one = litellm_add_guardrail(e, "patterns", "block");
	/* There a word is found inside of longer ones, too. */
	(void)json_object_set_new(one, "whole_words", json_false());
	return one;
}

static void
add_entry(const struct litellm_guardrail *e, const char *list, const char *member,
    const char *text, const char *code, const char *action)
{
	json_t *entries = json_list_in(patterns_of(e), list), *entry = json_object();
	char slug[FROM_NAME];

	(void)json_object_set_new(entry, member, json_string(text));
	if (code != NULL && *code != '\0') {
		from_slug(code, "_.", slug);
		(void)json_object_set_new(entry, "code", json_string(slug));
	}
	(void)json_object_set_new(entry, "action", json_string(action));
	(void)json_array_append_new(entries, entry);
}

static void
read_pattern(const struct litellm_guardrail *e, const json_t *one, const char *where,
    json_t *wanted)
{
	static const struct from_member members[] = { { "pattern_type", NULL },
		{ "pattern_name", NULL }, { "pattern", NULL }, { "name", NULL },
		{ "action", NULL }, { NULL, NULL } };
	const char *type = from_text(e->f, one, "pattern_type", where);
	const char *name = from_text(e->f, one, "pattern_name", where);
	const char *pattern = from_text(e->f, one, "pattern", where);
	const char *action = action_of(e, one, "action", where);
	const struct kind *kind = name != NULL ? find_kind(prebuilt, name) : NULL;

	from_members(e->f, one, where, members);
	if (action == NULL)
		return;
	if (type != NULL && strcmp(type, "regex") == 0 && pattern != NULL) {
		add_entry(e, "expressions", "pattern", pattern,
		    from_text(e->f, one, "name", where), action);
		return;
	}
	if (kind != NULL)
		want(wanted, kind, action);
	else if (name != NULL)
		from_say(e->f, FROM_NO_TWIN, one, "pattern_name", where,
		    "nobody here looks for that; write its expression to a guardrail "
		    "with "
		    "use: patterns");
	else
		from_say(e->f, FROM_ERROR, one, NULL, where,
		    "is neither pattern_type: prebuilt with pattern_name nor "
		    "pattern_type: regex with pattern");
}

static void
read_word(const struct litellm_guardrail *e, const json_t *one, const char *where)
{
	static const struct from_member members[] = { { "keyword", NULL },
		{ "action", NULL }, { "description", NULL }, { NULL, NULL } };
	const char *word = from_text(e->f, one, "keyword", where);
	const char *action = action_of(e, one, "action", where);

	from_members(e->f, one, where, members);
	if (word == NULL || *word == '\0')
		from_say(e->f, FROM_ERROR, one, NULL, where, "has no keyword");
	else if (action != NULL)
		add_entry(e, "words", "word", word, NULL, action);
}

void
litellm_find_words(const struct litellm_guardrail *e)
{
	static const struct from_member members[] = {
		{ "guardrail", NULL },
		{ "mode", NULL },
		{ "default_on", NULL },
		{ "patterns", NULL },
		{ "blocked_words", NULL },
		{ "blocked_words_file", "was not read: write what it lists to words" },
		{ "categories", "have no twin: nobody here judges what a text is about" },
		{ NULL, NULL },
	};
	const json_t *patterns = from_list(e->f, e->params, "patterns", e->where);
	const json_t *words = from_list(e->f, e->params, "blocked_words", e->where);
	json_t *wanted = json_object();
	char where[FROM_WHERE + 40];
	const json_t *one;
	size_t i;

	from_members(e->f, e->params, e->where, members);
	json_array_foreach(patterns, i, one)
	{
		(void)snprintf(where, sizeof(where), "%s.patterns[%zu]", e->where, i);
		if (json_is_object(one))
			read_pattern(e, one, where, wanted);
		else
			from_say(
			    e->f, FROM_ERROR, e->params, NULL, where, "is not a map");
	}
	json_array_foreach(words, i, one)
	{
		(void)snprintf(
		    where, sizeof(where), "%s.blocked_words[%zu]", e->where, i);
		if (json_is_object(one))
			read_word(e, one, where);
		else
			from_say(
			    e->f, FROM_ERROR, e->params, NULL, where, "is not a map");
	}
	add_wanted(e, wanted);
	json_decref(wanted);
}
