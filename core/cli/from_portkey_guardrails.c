/* from_portkey_guardrails.c - checks of Portkey that have a twin among ours: words that
 * must not be there, expressions that must not match, and expressions to replace.
 *
 * A check there says what has to be true, so most say what must be found: "contains all
 * of these words". Guardrails here look for what must not be. A check turns into an
 * instance where it says that, and is told where it does not. There guardrails belong to
 * a config; here to keys, organizations, or everything: so each is told to be named.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/from_portkey.h"
#include "config/options.h"

/* One guardrail of a list. */
struct hook {
	struct from *f;
	const json_t *object;
	const char *phase; /* "request", "response" */
	char where[FROM_WHERE], name[FROM_NAME];
	bool denies, is_async;
};

static const char *const flags[] = { "deny", "async", "on_fail", "on_success",
	"on_failure", "id", "name", "type", "checks", "sequential" };

/* ---- instances ---- */

static void
choose_name(const struct from *f, const char *text, char out[FROM_NAME + 16])
{
	char stem[FROM_NAME];

	from_slug(text, "", stem);
	stem[FROM_NAME - 12] = '\0';
	(void)snprintf(out, FROM_NAME + 16, "%s", stem);
	for (unsigned i = 2; json_object_get(f->guardrails, out) != NULL; i++)
		(void)snprintf(out, FROM_NAME + 16, "%s-%u", stem, i);
}

/* entries: taken. */
static json_t *
add_instance(const struct hook *h, const char *list, json_t *entries, const char *action)
{
	json_t *one = json_object();
	char name[FROM_NAME + 16];

	choose_name(h->f, h->name, name);
	(void)json_object_set_new(one, "use", json_string("patterns"));
	(void)json_object_set_new(one, "on", json_pack("[s]", h->phase));
	if (h->is_async)
		(void)json_object_set_new(one, "mode", json_string("monitor"));
	(void)json_object_set_new(one, "action", json_string(action));
	(void)json_object_set_new(one, list, entries);
	(void)json_object_set_new(h->f->guardrails, name, one);
	from_say(h->f, FROM_REMARK, h->object, NULL, h->where,
	    "became guardrails.%s, which holds for nobody yet: write its name to the "
	    "guardrails of the keys or organizations that used this config",
	    name);
	return one;
}

static const char *
action_of(const struct hook *h)
{
	return h->denies ? "block" : "flag";
}

/* ---- checks ---- */

#define PATTERN "write what must not be there to a guardrail with use: patterns"

static void
say_other(
    const struct hook *h, const json_t *check, const char *member, const char *where)
{
	from_say(h->f, FROM_NO_TWIN, check, member, where,
	    "wants something to be there, and was left out; " PATTERN);
}

/* The expression; NULL: said. */
static const char *
rule_of(const struct hook *h, const json_t *check, const char *where)
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
convert_regex(const struct hook *h, const json_t *check, const char *where)
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
	one = add_instance(h, "expressions", json_pack("[s]", rule), action_of(h));
	(void)json_object_set_new(one, "ignore_case", json_false());
}

/* { rule, redactText } */
static void
convert_replace(const struct hook *h, const json_t *check, const char *where)
{
	static const struct from_member members[] = { PORTKEY_TAKEN("rule"),
		PORTKEY_TAKEN("redact_text"), { NULL, NULL } };
	const char *rule = rule_of(h, check, where);
	const char *with = portkey_text(h->f, check, "redact_text", where);
	json_t *one;

	portkey_members(h->f, check, where, members);
	if (rule == NULL)
		return;
	one = add_instance(h, "expressions", json_pack("[s]", rule), "mask");
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
convert_words(const struct hook *h, const json_t *check, const char *where)
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
	one = add_instance(h, "words", list, action_of(h));
	/* There a word is found inside of longer ones, too. */
	(void)json_object_set_new(one, "whole_words", json_false());
}

static const struct {
	const char *name;
	void (*convert)(const struct hook *h, const json_t *check, const char *where);
} twins[] = {
	{ "default.regexMatch", convert_regex },
	{ "default.regexReplace", convert_replace },
	{ "default.contains", convert_words },
};

/* Where a check stands: the member of an object that names it, and its parameters. */
struct place {
	const json_t *object;
	const char *member, *where; /* of the object */
	const char *parameters;     /* under where */
};

static void
convert_check(
    const struct hook *h, const char *id, const json_t *check, const struct place *p)
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

/* ---- a guardrail ---- */

static bool
is_flag(const char *name)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(flags[i], name) == 0)
			return true;
	return false;
}

/* { checks: [ { id, parameters } ] } */
static void
convert_checks(const struct hook *h, const json_t *list)
{
	const json_t *check;
	size_t i;

	json_array_foreach(list, i, check)
	{
		char where[FROM_WHERE + 40];
		const char *id;

		(void)snprintf(where, sizeof(where), "%s.checks[%zu]", h->where, i);
		id = json_is_object(check) ? from_text(h->f, check, "id", where) : NULL;
		if (id == NULL)
			from_say(h->f, FROM_ERROR, h->object, NULL, where, "has no id");
		else
			convert_check(h, id, json_object_get(check, "parameters"),
			    &(struct place){ check, "id", where, "parameters" });
	}
}

static void
convert_hook(struct hook *h)
{
	const char *id = from_text(h->f, h->object, "id", h->where), *name;
	json_t *value;

	from_slug(id != NULL ? id : h->phase, "", h->name);
	h->denies = json_is_true(json_object_get(h->object, "deny"));
	h->is_async = json_is_true(json_object_get(h->object, "async"));
	if (!from_is_empty(json_object_get(h->object, "on_fail")) ||
	    !from_is_empty(json_object_get(h->object, "on_failure")) ||
	    !from_is_empty(json_object_get(h->object, "on_success")))
		from_say(h->f, FROM_NO_TWIN, h->object, NULL, h->where,
		    "on_fail and on_success have no twin: verdicts stand in the trace");
	convert_checks(h, from_list(h->f, h->object, "checks", h->where));
	json_object_foreach((json_t *)(uintptr_t)h->object, name, value)
	{
		if (!is_flag(name))
			convert_check(h, name, value,
			    &(struct place){ h->object, name, h->where, name });
	}
}

void
portkey_guardrails(struct from *f, const json_t *node, const char *where)
{
	static const struct {
		const char *member, *phase;
	} lists[] = { { "input_guardrails", "request" },
		{ "before_request_hooks", "request" },
		{ "output_guardrails", "response" },
		{ "after_request_hooks", "response" } };

	for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++) {
		char written[FROM_NAME];
		const char *member = portkey_written(node, lists[k].member, written);
		const json_t *list = from_list(f, node, member, where), *one;
		size_t i;

		json_array_foreach(list, i, one)
		{
			struct hook h = {
				.f = f, .object = one, .phase = lists[k].phase
			};

			(void)snprintf(h.where, sizeof(h.where), "%.150s%s%s[%zu]", where,
			    *where != '\0' ? "." : "", member, i);
			if (json_is_object(one))
				convert_hook(&h);
			else
				from_say(f,
				    json_is_string(one) ? FROM_NO_TWIN : FROM_ERROR, node,
				    member, where,
				    json_is_string(one)
					? "the %zu. is kept at Portkey, and was left "
					  "out; "
					  "write what it does under guardrails:"
					: "the %zu. is no guardrail",
				    i + 1);
		}
	}
}
