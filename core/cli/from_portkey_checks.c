/* from_portkey_checks.c - checks of Portkey that have a twin among ours: words and
 * expressions that must not be there, or are replaced; an answer's schema, a request's
 * length and model; a service that is asked.
 *
 * A check there says what has to be true, so most say what must be found: "contains all
 * of these words". Guardrails here look for what must not be. A check turns into an
 * instance where it says that, and is told where it does not.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/from_portkey.h"
#include "config/options.h"

/* ---- instances ---- */

static json_t *
add_instance(const struct portkey_hook *h, const char *use, bool only_tells)
{
	char name[FROM_GUARDRAIL];
	json_t *one =
	    from_guardrail(h->f, h->name, use, json_pack("[s]", h->phase), name);

	if (h->is_async || only_tells)
		(void)json_object_set_new(one, "mode", json_string("monitor"));
	from_say(h->f, FROM_REMARK, h->object, NULL, h->where,
	    "became guardrails.%s, which holds for nobody yet: write its name to the "
	    "guardrails of the keys or organizations that used this config",
	    name);
	return one;
}

/* entries: taken. */
static json_t *
add_patterns(
    const struct portkey_hook *h, const char *list, json_t *entries, const char *action)
{
	json_t *one = add_instance(h, "patterns", false);

	(void)json_object_set_new(one, "action", json_string(action));
	(void)json_object_set_new(one, list, entries);
	return one;
}

static const char *
action_of(const struct portkey_hook *h)
{
	return h->denies ? "block" : "flag";
}

/* ---- checks ---- */

#define PATTERN "write what must not be there to a guardrail with use: patterns"

static void
say_other(const struct portkey_hook *h, const json_t *check, const char *member,
    const char *where)
{
	from_say(h->f, FROM_NO_TWIN, check, member, where,
	    "wants something to be there, and was left out; " PATTERN);
}

/* The expression; NULL: said. */
static const char *
rule_of(const struct portkey_hook *h, const json_t *check, const char *where)
{
	const char *rule = from_text(h->f, check, "rule", where), *end;

	if (rule == NULL || *rule == '\0') {
		from_say(h->f, FROM_ERROR, check, NULL, where, "has no rule");
		return NULL;
	}
	end = strrchr(rule, '/');
	if (*rule == '/' && end > rule &&
	    strspn(end + 1, "dgimsuvy") == strlen(end + 1)) {
		from_say(h->f, FROM_NO_TWIN, check, "rule", where,
		    "is written between slashes, and was left out; write the expression "
		    "alone, (?i) before it where it had the flag i");
		return NULL;
	}
	return rule;
}

/* { rule, not } */
static void
convert_regex(const struct portkey_hook *h, const json_t *check, const char *where)
{
	static const struct from_member members[] = { PORTKEY_TAKEN("rule"),
		PORTKEY_TAKEN("not"), { NULL, NULL } };
	const char *rule = rule_of(h, check, where);
	json_t *one;

	portkey_members(h->f, check, where, members);
	if (rule == NULL)
		return;
	if (!json_is_true(json_object_get(check, "not"))) {
		say_other(h, check, "rule", where);
		return;
	}
	one = add_patterns(h, "expressions", json_pack("[s]", rule), action_of(h));
	(void)json_object_set_new(one, "ignore_case", json_false());
}

/* { rule, redactText } */
static void
convert_replace(const struct portkey_hook *h, const json_t *check, const char *where)
{
	static const struct from_member members[] = { PORTKEY_TAKEN("rule"),
		PORTKEY_TAKEN("redact_text"), { NULL, NULL } };
	const char *rule = rule_of(h, check, where);
	const char *with = portkey_text(h->f, check, "redact_text", where);
	json_t *one;

	portkey_members(h->f, check, where, members);
	if (rule == NULL)
		return;
	one = add_patterns(h, "expressions", json_pack("[s]", rule), "mask");
	(void)json_object_set_new(one, "ignore_case", json_false());
	if (with != NULL)
		(void)json_object_set_new(one, "replacement", json_string(with));
}

static bool
is_word(const json_t *word)
{
	const char *text = json_string_value(word);

	return text != NULL && *text != '\0' &&
	       strlen(text) == json_string_length(word) &&
	       !options_is_reference(lz_strz(text));
}

/* { operator, words } */
static void
convert_words(const struct portkey_hook *h, const json_t *check, const char *where)
{
	static const struct from_member members[] = { PORTKEY_TAKEN("operator"),
		PORTKEY_TAKEN("words"), { NULL, NULL } };
	const char *wanted = from_text(h->f, check, "operator", where);
	const json_t *words = from_list(h->f, check, "words", where), *word;
	json_t *list, *one;
	size_t i;

	portkey_members(h->f, check, where, members);
	if (json_array_size(words) == 0) {
		from_say(h->f, FROM_ERROR, check, NULL, where, "has no words");
		return;
	}
	if (wanted == NULL || strcmp(wanted, "none") != 0) {
		say_other(h, check, wanted != NULL ? "operator" : NULL, where);
		return;
	}
	list = json_array();
	json_array_foreach(words, i, word)
	{
		if (is_word(word))
			(void)json_array_append(list, (json_t *)(uintptr_t)word);
		else
			from_say(h->f, FROM_ERROR, check, "words", where,
			    "the %zu. is not a word, or begins as a reference of ours "
			    "(env:, "
			    "file:, credential:, ${...})",
			    i + 1);
	}
	one = add_patterns(h, "words", list, action_of(h));
	/* There a word is found inside of longer ones, too. */
	(void)json_object_set_new(one, "whole_words", json_false());
}

/* Is the check the other way round? Then it has no twin, and that is said. */
static bool
is_reversed(const struct portkey_hook *h, const json_t *check, const char *where)
{
	if (!json_is_true(json_object_get(check, "not")))
		return false;
	from_say(h->f, FROM_NO_TWIN, check, "not", where,
	    "has no twin, and the check was left out");
	return true;
}

/* Is it of the phase that its twin looks at? Said if not. */
static bool
is_of(const struct portkey_hook *h, const json_t *check, const char *where,
    const char *phase)
{
	if (strcmp(h->phase, phase) == 0)
		return true;
	from_say(h->f, FROM_NO_TWIN, check, NULL, where,
	    "was left out: its twin looks at %ss and nothing else", phase);
	return false;
}

/* { schema } */
static void
convert_schema(const struct portkey_hook *h, const json_t *check, const char *where)
{
	static const struct from_member members[] = { PORTKEY_TAKEN("schema"),
		PORTKEY_TAKEN("not"), { NULL, NULL } };
	const json_t *schema = from_map(h->f, check, "schema", where);
	json_t *one;

	portkey_members(h->f, check, where, members);
	if (json_object_size(schema) == 0) {
		from_say(h->f, FROM_ERROR, check, NULL, where, "has no schema");
		return;
	}
	if (!is_of(h, check, where, "response") || is_reversed(h, check, where))
		return;
	one = add_instance(h, "schema", false);
	(void)json_object_set_new(one, "action", json_string(action_of(h)));
	(void)json_object_set_new(one, "unwrap", json_true());
	(void)json_object_set(one, "schema", (json_t *)(uintptr_t)schema);
	from_say(h->f, FROM_REMARK, check, "schema", where,
	    "the whole answer has to be JSON that matches, alone or in one fence; there "
	    "any piece of it that matched was enough");
}

/* { minCharacters, maxCharacters } */
static void
convert_length(const struct portkey_hook *h, const json_t *check, const char *where)
{
	static const struct from_member members[] = { PORTKEY_TAKEN("min_characters"),
		PORTKEY_TAKEN("max_characters"), PORTKEY_TAKEN("not"), { NULL, NULL } };
	char least_room[FROM_NAME], most_room[FROM_NAME];
	const char *least_name = portkey_written(check, "min_characters", least_room);
	const char *most_name = portkey_written(check, "max_characters", most_room);
	double least = 0, most = 0;

	portkey_members(h->f, check, where, members);
	(void)from_number(h->f, check, least_name, where, 0, &least);
	if (!from_number(h->f, check, most_name, where, 1, &most)) {
		from_say(h->f, FROM_NO_TWIN, check, NULL, where,
		    "has no maxCharacters, and was left out: a text is never too short "
		    "here");
		return;
	}
	if (!is_of(h, check, where, "request") || is_reversed(h, check, where))
		return;
	if (least > 0)
		from_say(h->f, FROM_NO_TWIN, check, least_name, where,
		    "was left out: a text is never too short here");
	(void)json_object_set_new(add_instance(h, "limits", !h->denies), "max_text_bytes",
	    json_integer((json_int_t)most));
	from_say(h->f, FROM_REMARK, check, most_name, where,
	    "became max_text_bytes: bytes of all texts of a request together, there "
	    "characters of the last message; a longer conversation wants a larger one");
}

/* The texts of a list, as they are; NULL: said. owned */
static json_t *
names_of(const struct portkey_hook *h, const json_t *check, const char *where)
{
	const json_t *list = from_list(h->f, check, "models", where), *one;
	json_t *names = json_array();
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (is_word(one) && strchr(json_string_value(one), '*') != NULL)
			from_say(h->f, FROM_NO_TWIN, check, "models", where,
			    "the %zu. was left out: a * is any text here, and none there",
			    i + 1);
		else if (is_word(one))
			(void)json_array_append(names, (json_t *)(uintptr_t)one);
		else
			from_say(h->f, FROM_ERROR, check, "models", where,
			    "the %zu. is no name of a model", i + 1);
	}
	if (json_array_size(names) > 0)
		return names;
	if (list == NULL || json_array_size(list) == 0)
		from_say(h->f, FROM_ERROR, check, NULL, where, "has no models");
	json_decref(names);
	return NULL;
}

/* { models, not } */
static void
convert_models(const struct portkey_hook *h, const json_t *check, const char *where)
{
	static const struct from_member members[] = { PORTKEY_TAKEN("models"),
		PORTKEY_TAKEN("not"), PORTKEY_TAKEN("metadata_rules"), { NULL, NULL } };
	char written[FROM_NAME];
	const char *rules = portkey_written(check, "metadata_rules", written);
	bool denies = json_is_true(json_object_get(check, "not"));
	json_t *names;

	portkey_members(h->f, check, where, members);
	if (!from_is_empty(json_object_get(check, rules))) {
		from_say(h->f, FROM_NO_TWIN, check, rules, where,
		    "the check was left out: which models are allowed does not depend on "
		    "metadata here; write model_allowlist to keys");
		return;
	}
	if (!is_of(h, check, where, "request"))
		return;
	names = names_of(h, check, where);
	if (names != NULL)
		(void)json_object_set_new(add_instance(h, "limits", !h->denies),
		    denies ? "models_denied" : "models", names);
}

/* A map, or the text of one. owned */
static json_t *
headers_of(const struct portkey_hook *h, const json_t *check, const char *where)
{
	json_t *value = json_object_get(check, "headers"), *read = NULL;

	if (json_is_object(value))
		return json_incref(value);
	if (json_is_string(value) && json_string_length(value) > 0)
		read = json_parse(
		    lz_strn(json_string_value(value), json_string_length(value)), NULL);
	if (!json_is_object(read) && !from_is_empty(value))
		from_say(h->f, FROM_ERROR, check, "headers", where,
		    "is neither a map nor the text of one");
	if (json_is_object(read))
		return read;
	json_decref(read);
	return json_object();
}

/* There it is 3 seconds where nothing is said. */
static void
set_timeout(
    const struct portkey_hook *h, const json_t *check, const char *where, json_t *one)
{
	enum {
		USUAL_MS = 3000,
		DEADLINE_MAX_MS = 60000
	};
	double ms = USUAL_MS;

	(void)from_number(h->f, check, "timeout", where, 1, &ms);
	if (ms > DEADLINE_MAX_MS) {
		from_say(h->f, FROM_NO_TWIN, check, "timeout", where,
		    "became %d ms, the longest that a guardrail may take",
		    DEADLINE_MAX_MS);
		ms = DEADLINE_MAX_MS;
	}
	(void)json_object_set_new(one, "timeout_ms", json_integer((json_int_t)ms));
	(void)json_object_set_new(one, "deadline_ms", json_integer((json_int_t)ms));
}

/* { webhookURL, headers, timeout } */
static void
convert_webhook(const struct portkey_hook *h, const json_t *check, const char *where)
{
	static const struct from_member members[] = { PORTKEY_TAKEN("webhookURL"),
		PORTKEY_TAKEN("headers"), PORTKEY_TAKEN("timeout"),
		{ "fail_on_error", FROM_ALWAYS }, { NULL, NULL } };
	const char *url = from_text(h->f, check, "webhookURL", where);
	json_t *headers, *one;

	portkey_members(h->f, check, where, members);
	if (url == NULL) {
		from_say(h->f, FROM_ERROR, check, NULL, where, "has no webhookURL");
		return;
	}
	one = add_instance(h, "hook", !h->denies);
	(void)from_endpoint(h->f, check, "webhookURL", where, url, "", one);
	set_timeout(h, check, where, one);
	headers = headers_of(h, check, where);
	from_hook_headers(h->f, headers, check, "headers", where, h->name, one);
	json_decref(headers);
	from_say(h->f, FROM_NO_TWIN, check, "webhookURL", where,
	    "became use: hook, which asks and is answered in other words, and fails "
	    "where "
	    "nobody answers in time: until the service speaks as the manual of the "
	    "plugin hook says, %s",
	    h->denies ? "all is refused for which it holds"
		      : "its verdicts are failures, and it changes nothing");
}

static const struct {
	const char *name;
	void (*convert)(
	    const struct portkey_hook *h, const json_t *check, const char *where);
} twins[] = {
	{ "default.regexMatch", convert_regex },
	{ "default.regexReplace", convert_replace },
	{ "default.contains", convert_words },
	{ "default.jsonSchema", convert_schema },
	{ "default.characterCount", convert_length },
	{ "default.modelWhitelist", convert_models },
	{ "default.webhook", convert_webhook },
};

void
portkey_check(const struct portkey_hook *h, const char *id, const json_t *check,
    const struct portkey_place *p)
{
	char where[FROM_WHERE + FROM_NAME + 1];

	(void)snprintf(where, sizeof(where), "%s.%.60s", p->where, p->parameters);
	for (size_t i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
		if (strcmp(twins[i].name, id) != 0)
			continue;
		if (json_is_object(check))
			twins[i].convert(h, check, where);
		else
			from_say(h->f, FROM_ERROR, p->object, NULL, where,
			    "is not a map of parameters");
		return;
	}
	from_say(h->f, FROM_NO_TWIN, p->object, p->member, p->where,
	    "has no twin and was left out; what it stopped is not stopped here. A plugin "
	    "or a script under guardrails: may do it");
}
