/* from_tree.c - reading another gateway's configuration: members by kind, with their
 * place in every sentence.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "cli/from.h"
#include "config/options.h"
#include "config/yaml.h"

enum {
	SAID_BYTES = 900,
	VARIABLE_BYTES = 128
};

static unsigned
line_of(const struct from *f, const json_t *object, const char *member)
{
	unsigned line = yaml_line(f->source, object, member);

	return line > 0 ? line : yaml_line(f->source, object, NULL);
}

void
from_say(struct from *f, enum from_kind kind, const json_t *object, const char *member,
    const char *where, const char *fmt, ...)
{
	char what[SAID_BYTES], whole[SAID_BYTES + FROM_WHERE + 200];
	unsigned line = line_of(f, object, member);
	const char *dot = *where != '\0' && member != NULL ? "." : "";
	va_list args;
	int n;

	va_start(args, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	n = snprintf(whole, sizeof(whole), "%s:%u: ", f->path, line > 0 ? line : 1);
	if (n > 0 && (size_t)n < sizeof(whole))
		(void)snprintf(whole + n, sizeof(whole) - (size_t)n, "%s%s%.100s%s%s",
		    where, dot, member != NULL ? member : "",
		    *where != '\0' || member != NULL ? ": " : "", what);
	/* What was cut in the middle of a character is no text any more. */
	for (size_t len = strlen(whole); len > 0 && !str_is_utf8(lz_strz(whole)); len--)
		whole[len - 1] = '\0';
	(void)json_array_append_new(f->said[kind], json_string(whole));
}

static const json_t *
member_of(const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);

	return json_is_null(value) ? NULL : value;
}

/* ---- references ---- */

static bool
is_variable(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return false;
	}
	return n > 0 && n < VARIABLE_BYTES && !isdigit((unsigned char)s[0]);
}

/* A secret may begin with a dollar sign: what is no capital letter is no variable. */
static bool
is_dollar_variable(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (islower((unsigned char)s[i]))
			return false;
	}
	return is_variable(s, n);
}

/* os.environ/NAME, and $NAME, ${NAME}: where the name is. 0: no reference. */
static size_t
variable_in(const struct from *f, const char *text, const char **name)
{
	size_t n = strlen(text);

	if (strncmp(text, "os.environ/", 11) == 0) {
		*name = text + 11;
		return is_variable(text + 11, n - 11) ? n - 11 : 0;
	}
	if (!f->has_dollars || n < 2 || text[0] != '$')
		return 0;
	if (n > 3 && text[1] == '{' && text[n - 1] == '}') {
		*name = text + 2;
		return is_dollar_variable(text + 2, n - 3) ? n - 3 : 0;
	}
	*name = text + 1;
	return is_dollar_variable(text + 1, n - 1) ? n - 1 : 0;
}

/* ---- members ---- */

const char *
from_text(struct from *f, const json_t *object, const char *member, const char *where)
{
	const json_t *value = member_of(object, member);
	const char *text = json_string_value(value), *name;

	if (value == NULL)
		return NULL;
	if (text == NULL)
		from_say(f, FROM_ERROR, object, member, where, "is not a text");
	else if (strlen(text) != json_string_length(value))
		from_say(f, FROM_ERROR, object, member, where, "holds a NUL character");
	else if (options_is_reference(lz_strz(text)) && variable_in(f, text, &name) == 0)
		from_say(f, FROM_ERROR, object, member, where,
		    "begins as a reference of ours (env:, file:, credential:, ${...}); "
		    "write it out");
	else
		return text;
	return NULL;
}

const json_t *
from_map(struct from *f, const json_t *object, const char *member, const char *where)
{
	const json_t *value = member_of(object, member);

	if (value == NULL || json_is_object(value))
		return value;
	from_say(f, FROM_ERROR, object, member, where, "is not a map");
	return NULL;
}

const json_t *
from_list(struct from *f, const json_t *object, const char *member, const char *where)
{
	const json_t *value = member_of(object, member);

	if (value == NULL || json_is_array(value))
		return value;
	from_say(f, FROM_ERROR, object, member, where, "is not a list");
	return NULL;
}

bool
from_number(struct from *f, const json_t *object, const char *member, const char *where,
    double least, double *out)
{
	const json_t *value = member_of(object, member);
	const char *text = json_string_value(value);
	double number = json_number_value(value);
	char *end = NULL;

	if (value == NULL)
		return false;
	if (text != NULL)
		number = strtod(text, &end);
	if ((text == NULL && !json_is_number(value)) ||
	    (text != NULL && (*text == '\0' || *end != '\0')) || !isfinite(number)) {
		from_say(f, FROM_ERROR, object, member, where, "is not a number%s",
		    text != NULL && strncmp(text, "os.environ/", 11) == 0
			? "; write the number itself, a converter cannot read it from "
			  "there"
			: "");
		return false;
	}
	if (number < least) {
		from_say(f, FROM_ERROR, object, member, where, "is less than %g", least);
		return false;
	}
	*out = number;
	return true;
}

bool
from_is_empty(const json_t *value)
{
	return value == NULL || json_is_null(value) || json_is_false(value) ||
	       (json_is_string(value) && json_string_length(value) == 0) ||
	       (json_is_array(value) && json_array_size(value) == 0) ||
	       (json_is_object(value) && json_object_size(value) == 0);
}

static const struct from_member *
find_member(const struct from_member *table, const char *name)
{
	for (; table->name != NULL; table++) {
		if (strcmp(table->name, name) == 0)
			return table;
	}
	return NULL;
}

void
from_say_member(struct from *f, const json_t *object, const char *member,
    const char *where, const struct from_member *known)
{
	if (from_is_empty(json_object_get(object, member)) ||
	    (known != NULL && known->name != NULL && known->says == NULL))
		return;
	if (known == NULL || known->name == NULL)
		from_say(f, FROM_NO_TWIN, object, member, where,
		    "is not known to this converter; `latenza config schema` shows "
		    "whether there is something like it");
	else
		from_say(f,
		    strcmp(known->says, FROM_ALWAYS) == 0 ? FROM_REMARK : FROM_NO_TWIN,
		    object, member, where, "%s", known->says);
}

void
from_members(struct from *f, const json_t *object, const char *where,
    const struct from_member *table)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		from_say_member(f, object, name, where, find_member(table, name));
	}
}

/* ---- references and secrets ---- */

bool
from_reference(struct from *f, const char *text, char out[FROM_VALUE])
{
	const char *name = text;
	size_t n = variable_in(f, text, &name);

	if (n == 0) {
		(void)snprintf(out, FROM_VALUE, "%s", text);
		return false;
	}
	(void)snprintf(out, FROM_VALUE, "env:%.*s", (int)n, name);
	(void)json_object_set_new(f->variables, out + 4, json_true());
	return true;
}

void
from_note_variables(struct from *f, const json_t *value)
{
	const char *text = json_string_value(value), *name;
	char ignored[FROM_VALUE];
	json_t *inner;
	size_t i;

	if (text != NULL)
		(void)from_reference(f, text, ignored);
	json_object_foreach((json_t *)(uintptr_t)value, name, inner)
	{
		from_note_variables(f, inner);
	}
	json_array_foreach(value, i, inner) from_note_variables(f, inner);
}

bool
from_is_no_key(const char *text)
{
	static const char *const words[] = { "none", "null", "empty", "dummy", "fake",
		"no-key", "not-needed", "not-required", "anything", "sk-no-key-required",
		NULL };

	for (size_t i = 0; words[i] != NULL; i++) {
		if (str_is_nocase(lz_strz(text), words[i]))
			return true;
	}
	return *text == '\0';
}

/* A variable that nothing else uses, after the name: "openai" -> OPENAI_KEY. */
static void
new_variable(struct from *f, const char *name, char out[FROM_VALUE])
{
	char stem[VARIABLE_BYTES];
	size_t n = 0;

	for (; name[n] != '\0' && n + 16 < sizeof(stem); n++)
		stem[n] = isalnum((unsigned char)name[n])
			      ? (char)toupper((unsigned char)name[n])
			      : '_';
	stem[n] = '\0';
	(void)snprintf(out, FROM_VALUE, "%s%s_KEY",
	    isdigit((unsigned char)stem[0]) ? "K" : "", stem);
	for (unsigned i = 2; json_object_get(f->variables, out) != NULL; i++)
		(void)snprintf(out, FROM_VALUE, "%s%s_KEY_%u",
		    isdigit((unsigned char)stem[0]) ? "K" : "", stem, i);
	(void)json_object_set_new(f->variables, out, json_true());
}

const char *
from_variable(struct from *f, const char *identity, const char *name, bool *is_new)
{
	const char *known = json_string_value(json_object_get(f->literals, identity));
	char variable[FROM_VALUE];

	*is_new = known == NULL;
	if (known != NULL)
		return known;
	new_variable(f, name, variable);
	(void)json_object_set_new(f->literals, identity, json_string(variable));
	known = json_string_value(json_object_get(f->literals, identity));
	return known != NULL ? known : "KEY"; /* out of memory */
}

void
from_secret(struct from *f, const json_t *object, const char *member, const char *where,
    const char *text, const char *name, char out[FROM_VALUE])
{
	const char *variable;
	bool is_new;

	if (from_reference(f, text, out))
		return;
	variable = from_variable(f, text, name, &is_new);
	from_say(f, FROM_REMARK, object, member, where,
	    "is written out there and was not copied; set %s in the gateway's "
	    "environment to it",
	    variable);
	(void)snprintf(out, FROM_VALUE, "env:%s", variable);
}

bool
from_is_header(struct from *f, const json_t *object, const char *member,
    const char *where, const char *name)
{
	bool is_fine = *name != '\0';

	for (const char *p = name; *p != '\0'; p++)
		is_fine = is_fine && (isalnum((unsigned char)*p) ||
					 strchr("!#$%&'*+-.^_`|~", *p) != NULL);
	if (!is_fine)
		from_say(f, FROM_ERROR, object, member, where,
		    "is not a name that a header field may have");
	return is_fine;
}

void
from_slug(const char *text, const char *more, char out[FROM_NAME])
{
	size_t n = 0;

	for (; *text != '\0' && n + 1 < FROM_NAME - 8; text++) {
		char ch = (char)tolower((unsigned char)*text);

		if ((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') ||
		    strchr(more, ch) != NULL)
			out[n++] = ch;
		else if (n > 0 && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n > 0 && out[n - 1] == '-')
		n--;
	out[n] = '\0';
	if (n == 0)
		(void)snprintf(out, FROM_NAME, "unnamed");
}
