/* rules.h - what the rules of option rows mean. Private to config/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_RULES_H
#define CONFIG_RULES_H

#include "config/options.h"

enum {
	OPTION_TYPES = LZ_JSON_OPTION + 1
};

/* A rule for one string: its name in rows, the check, what the sentence says, and its
 * JSON Schema. */
struct text_rule {
	const char *name;
	bool (*check)(lz_str text);
	const char *wanted;           /* "is not ...": NULL: every text is fine */
	const char *pattern, *format; /* JSON Schema keywords; may be NULL */
	bool takes_integer;           /* 8080 for "8080" */
	bool is_secret;               /* never shown */
};

/* NULL: none of that name; a rule may then be a list of choices. */
const struct text_rule *rule_find(const char *name);
/* Position of the text among "a|b|c"; -1: it is not there. */
int rule_choice(const char *choices, lz_str text);
/* The i-th of "a|b|c"; absent past the end. */
lz_str rule_choice_at(const char *choices, unsigned i);
/* names: ends with NULL; NULL: there are none. */
bool rule_is_one_of(const char *name, const char *const *names);
/* The row's default as the file would have it; owned; NULL: there is none ("" or
 * required), or out of memory. */
json_t *rule_default(const lz_option *row);
static inline bool
rule_is(const lz_option *row, const char *name)
{
	return row->rule != NULL && strcmp(row->rule, name) == 0;
}
/* Is what it says never shown? */
static inline bool
rule_is_secret(const lz_option *row)
{
	const struct text_rule *rule = rule_find(row->rule);

	return rule != NULL && rule->is_secret;
}
/* The value, short enough for a sentence: `"12 x"`, `a list`. */
const char *rule_describe(const json_t *value, char out[80]);

#endif
