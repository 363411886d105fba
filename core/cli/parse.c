/* parse.c - argv against the table: GNU long options, one-letter ones, did-you-mean.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/command.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/out.h"
#include "config/options.h"

enum {
	NEAR_EDITS = 3 /* a name further away is another name, not a slip */
};

/* The best of the names offered so far. */
struct nearest {
	const char *name;
	unsigned edits;
};

static void
consider(struct nearest *n, const char *typed, const char *name)
{
	unsigned edits = str_distance(lz_strz(typed), lz_strz(name), NEAR_EDITS);

	if (edits <= NEAR_EDITS && (n->name == NULL || edits < n->edits)) {
		n->name = name;
		n->edits = edits;
	}
}

/* "latenza: PROBLEM "WHAT"; did you mean …" and where to read on. near: NULL if nothing
 * is. */
static int
usage(const char *problem, const char *what, const struct nearest *near, const char *see)
{
	if (near != NULL && near->name != NULL)
		out_error(
		    "%s \"%.200s\"; did you mean \"%s\"?", problem, what, near->name);
	else
		out_error("%s \"%.200s\"", problem, what);
	fprintf(stderr, "Try `latenza %s%s--help`.\n", see, *see == '\0' ? "" : " ");
	return CLI_USAGE;
}

/* ---- which command ---- */

/* Is `name` "WORD" or "WORD ..."? */
static bool
is_noun(const char *name, const char *word)
{
	size_t n = strlen(word);

	return strncmp(name, word, n) == 0 && (name[n] == ' ' || name[n] == '\0');
}

static const struct cli_command *
find_command(const char *noun, const char *verb, unsigned *words)
{
	size_t count;
	const struct cli_command *rows = cli_commands(&count);

	for (size_t i = 0; i < count; i++) {
		const char *blank = strchr(rows[i].name, ' ');

		*words = blank == NULL ? 1 : 2;
		if (blank == NULL ? strcmp(rows[i].name, noun) == 0
				  : verb != NULL && is_noun(rows[i].name, noun) &&
					strcmp(blank + 1, verb) == 0)
			return &rows[i];
	}
	return NULL;
}

static int
unknown_command(const char *noun, const char *verb)
{
	size_t count;
	const struct cli_command *rows = cli_commands(&count);
	struct nearest near = { 0 };
	char typed[200];
	bool has_noun = false;

	for (size_t i = 0; i < count; i++)
		has_noun = has_noun || is_noun(rows[i].name, noun);
	snprintf(typed, sizeof(typed), "%s%s%s", noun, verb != NULL ? " " : "",
	    verb != NULL ? verb : "");
	for (size_t i = 0; i < count; i++)
		consider(&near, typed, rows[i].name);
	return usage("there is no command", typed, &near, has_noun ? noun : "");
}

/* ---- options ---- */

static const struct cli_option *
option_in(const struct cli_option *list, const char *name, size_t n, char letter)
{
	for (; list->name != NULL; list++) {
		if (letter != 0
			? list->letter == letter
			: strlen(list->name) == n && strncmp(list->name, name, n) == 0)
			return list;
	}
	return NULL;
}

static const struct cli_option *
option_find(const struct cli *c, const char *name, size_t n, char letter)
{
	const struct cli_option *o = option_in(c->command->options, name, n, letter);

	return o != NULL ? o : option_in(cli_common, name, n, letter);
}

static int
unknown_option(const struct cli *c, const char *typed)
{
	const struct cli_option *lists[] = { c->command->options, cli_common };
	struct nearest near = { 0 };
	char name[60], with_dashes[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(typed, "="), typed);
	for (size_t i = 0; strncmp(name, "--", 2) == 0 && i < 2; i++)
		for (const struct cli_option *o = lists[i]; o->name != NULL; o++)
			consider(&near, name + 2, o->name);
	if (near.name != NULL) {
		snprintf(with_dashes, sizeof(with_dashes), "--%s", near.name);
		near.name = with_dashes;
	}
	return usage("there is no option", name, &near, c->command->name);
}

static json_t *
read_integer(const char *text)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	return end == text || *end != '\0' || errno != 0 ? NULL : json_integer(v);
}

static json_t *
read_number(const char *text)
{
	json_t *whole = read_integer(text);
	char *end;
	double v;

	if (whole != NULL)
		return whole;
	v = strtod(text, &end);
	return end == text || *end != '\0' || !isfinite(v) ? NULL : json_real(v);
}

/* Appends the parts of "a,b" to what the option holds already. */
static json_t *
read_list(const json_t *before, const char *text)
{
	json_t *list = before == NULL ? json_array() : json_deep_copy(before);

	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, ",");

		if (n > 0)
			json_array_append_new(list, json_stringn(p, n));
		p += n + (p[n] == ',');
	}
	return list;
}

static json_t *
read_pairs(const json_t *before, const char *text)
{
	const char *equals = strchr(text, '=');
	json_t *pairs;
	char name[200];

	if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof(name))
		return NULL;
	pairs = before == NULL ? json_object() : json_deep_copy(before);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
	json_object_set_new(pairs, name, json_string(equals + 1));
	return pairs;
}

static json_t *
read_value(const struct cli *c, const struct cli_option *o, const char *text)
{
	bool is_unlimited = strcmp(text, "unlimited") == 0;
	int64_t ms;

	switch (o->kind) {
	case OPTION_SWITCH:
		return json_true();
	case OPTION_TEXT:
		return json_string(text);
	case OPTION_INTEGER:
		return read_integer(text);
	case OPTION_NUMBER:
		return read_number(text);
	case OPTION_LIMIT:
		return is_unlimited ? json_string(text) : read_integer(text);
	case OPTION_BUDGET:
		return is_unlimited ? json_string(text) : read_number(text);
	case OPTION_DURATION:
		return options_duration(lz_strz(text), &ms) ? json_integer(ms) : NULL;
	case OPTION_LIST:
		return read_list(json_object_get(c->options, o->name), text);
	case OPTION_PAIRS:
		return read_pairs(json_object_get(c->options, o->name), text);
	}
	return NULL;
}

static const char *
kind_wants(enum option_kind kind)
{
	switch (kind) {
	case OPTION_INTEGER:
		return "an integer";
	case OPTION_NUMBER:
		return "a number";
	case OPTION_LIMIT:
		return "an integer or \"unlimited\"";
	case OPTION_BUDGET:
		return "a number or \"unlimited\"";
	case OPTION_DURATION:
		return "a time such as 30s, 15m, 24h or 7d";
	case OPTION_PAIRS:
		return "NAME=VALUE";
	default:
		return "text in UTF-8";
	}
}

/* Does the option hold a pair of that name already? */
static bool
is_pair_there(const struct cli *c, const struct cli_option *o, const char *text)
{
	return o->kind == OPTION_PAIRS &&
	       json_object_getn(json_object_get(c->options, o->name), text,
		   strcspn(text, "=")) != NULL;
}

static int
set_option(struct cli *c, const struct cli_option *o, const char *text)
{
	bool may_repeat =
	    o->kind == OPTION_LIST || o->kind == OPTION_PAIRS || o->kind == OPTION_SWITCH;
	json_t *value;

	if (!may_repeat && json_object_get(c->options, o->name) != NULL) {
		out_error("--%s: is given twice; give it once", o->name);
		return CLI_USAGE;
	}
	if (is_pair_there(c, o, text)) {
		out_error("--%s: \"%.*s\" is given twice; give it once", o->name,
		    (int)strcspn(text, "="), text);
		return CLI_USAGE;
	}
	if (!str_is_utf8(lz_strz(text))) {
		out_error("--%s: \"%.100s\" is not text in UTF-8", o->name, text);
		return CLI_USAGE;
	}
	value = read_value(c, o, text);
	if (value == NULL || json_object_set_new(c->options, o->name, value) != 0) {
		out_error(
		    "--%s: \"%.100s\" is not %s", o->name, text, kind_wants(o->kind));
		return CLI_USAGE;
	}
	return CLI_DONE;
}

/* Reads the option at argv[*at], and its value, which may be the next word. */
static int
read_option(struct cli *c, int argc, char **argv, int *at)
{
	const char *word = argv[*at], *value = NULL;
	bool is_long = word[1] == '-';
	size_t n = is_long ? strcspn(word + 2, "=") : 1;
	const struct cli_option *o =
	    is_long ? option_find(c, word + 2, n, 0) : option_find(c, NULL, 0, word[1]);

	if (o == NULL)
		return unknown_option(c, word);
	if (is_long && word[2 + n] == '=')
		value = word + 2 + n + 1;
	else if (!is_long && word[2] != '\0')
		value = word + 2;
	if (o->kind == OPTION_SWITCH) {
		if (value != NULL)
			return usage("takes no value:", word, NULL, c->command->name);
		return set_option(c, o, "");
	}
	if (value == NULL && *at + 1 < argc)
		value = argv[++*at];
	if (value == NULL)
		return usage("needs a value:", word, NULL, c->command->name);
	return set_option(c, o, value);
}

static int
check_operands(const struct cli *c)
{
	const struct cli_command *row = c->command;

	if (c->operand_count >= row->least && c->operand_count <= row->most)
		return CLI_DONE;
	if (c->operand_count > row->most)
		return usage("there is nothing to do with", c->operand[row->most], NULL,
		    row->name);
	return usage("something is missing:", row->operands, NULL, row->name);
}

static int
check_output(struct cli *c)
{
	const char *output = cli_text(c, "output");

	if (output != NULL && strcmp(output, "json") != 0 &&
	    strcmp(output, "text") != 0) {
		out_error("--output: \"%.60s\" is not text or json", output);
		return CLI_USAGE;
	}
	c->wants_json = output != NULL && strcmp(output, "json") == 0;
	return CLI_DONE;
}

static int
read_words(struct cli *c, int argc, char **argv, int at)
{
	bool takes_options = true;
	int code;

	for (; at < argc; at++) {
		if (takes_options && strcmp(argv[at], "--") == 0) {
			takes_options = false;
		} else if (takes_options && argv[at][0] == '-' && argv[at][1] != '\0') {
			code = read_option(c, argc, argv, &at);
			if (code != CLI_DONE)
				return code;
		} else if (c->operand_count < CLI_OPERANDS) {
			c->operand[c->operand_count++] = argv[at];
		} else {
			return usage("too many words:", argv[at], NULL, c->command->name);
		}
	}
	code = check_output(c);
	if (code != CLI_DONE || c->wants_help || cli_has(c, "help"))
		return code;
	return check_operands(c);
}

static bool
is_option(const char *word)
{
	return word == NULL || word[0] == '-';
}

int
cli_parse(struct cli *c, int argc, char **argv)
{
	const char *noun = argc > 1 ? argv[1] : NULL, *verb = argc > 2 ? argv[2] : NULL;
	unsigned words;

	c->options = json_object();
	if (is_option(noun))
		return noun == NULL ? CLI_DONE
				    : usage("a command is wanted before", noun, NULL, "");
	if (is_option(verb))
		verb = NULL;
	c->command = find_command(noun, verb, &words);
	if (c->command == NULL)
		return unknown_command(noun, verb);
	return read_words(c, argc, argv, 1 + (int)words);
}

bool
cli_has(const struct cli *c, const char *option)
{
	return json_object_get(c->options, option) != NULL;
}

const char *
cli_text(const struct cli *c, const char *option)
{
	return json_string_value(json_object_get(c->options, option));
}

int64_t
cli_integer(const struct cli *c, const char *option, int64_t otherwise)
{
	return json_get_int(c->options, option, otherwise);
}
