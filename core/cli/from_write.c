/* from_write.c - a converted configuration as text, with what has no twin in comments.
 *
 * Every text is written plain where nobody can read it as something else, and as a JSON
 * string otherwise, which YAML reads as it is.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/from.h"
#include "cli/out.h"

enum {
	COMMENTS_MAX = 400, /* of one kind: the file has a size that it must keep to */
	COMMENT_BYTES = 2000
};

static bool
is_word(lz_str s)
{
	static const char *const words[] = { "true", "false", "null", "yes", "no", "on",
		"off", "y", "n", NULL };

	for (size_t i = 0; words[i] != NULL; i++) {
		if (str_is_nocase(s, words[i]))
			return true;
	}
	return false;
}

static bool
is_plain(lz_str s)
{
	if (s.len == 0 || is_word(s) ||
	    (!isalpha((unsigned char)s.ptr[0]) && s.ptr[0] != '/' &&
		!str_starts(s, "./")))
		return false;
	for (size_t i = 1; i < s.len; i++) {
		char ch = s.ptr[i];

		if (ch == ':' && (i + 1 == s.len || s.ptr[i + 1] == ' '))
			return false;
		if (!isalnum((unsigned char)ch) &&
		    (ch == '\0' || strchr("_./@+-:", ch) == NULL))
			return false;
	}
	return true;
}

static void
add_text(struct buf *out, lz_str s)
{
	if (is_plain(s))
		buf_add_str(out, s);
	else
		buf_add_json(out, s);
}

/* ---- values ---- */

static void add_flow(struct buf *out, const json_t *value);

static void
add_flow_map(struct buf *out, const json_t *map)
{
	const char *name, *before = "{ ";
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)map, name, value)
	{
		buf_add_z(out, before);
		add_text(out, lz_strz(name));
		buf_add_z(out, ": ");
		add_flow(out, value);
		before = ", ";
	}
	buf_add_z(out, json_object_size(map) > 0 ? " }" : "{}");
}

/* What converting prices left behind the tenth digit is none of them; a number of the
 * source may have more. */
static void
add_real(struct buf *out, double value)
{
	char text[40];

	(void)snprintf(text, sizeof(text), "%.10g", value);
	if (fabs(strtod(text, NULL) - value) > fabs(value) * 1e-12)
		(void)snprintf(text, sizeof(text), "%.17g", value);
	buf_add_z(out, text);
}

static void
add_flow(struct buf *out, const json_t *value)
{
	const json_t *item;
	size_t i;

	if (json_is_string(value)) {
		add_text(
		    out, lz_strn(json_string_value(value), json_string_length(value)));
	} else if (json_is_object(value)) {
		add_flow_map(out, value);
	} else if (json_is_array(value)) {
		buf_add_char(out, '[');
		json_array_foreach(value, i, item)
		{
			buf_add_z(out, i > 0 ? ", " : "");
			add_flow(out, item);
		}
		buf_add_char(out, ']');
	} else if (json_is_real(value)) {
		add_real(out, json_real_value(value));
	} else {
		(void)json_print(value, out);
	}
}

/* A list of maps is a line for each. */
static void
add_member(struct buf *out, const char *name, const json_t *value)
{
	const json_t *item;
	size_t i;

	buf_add_z(out, "    ");
	add_text(out, lz_strz(name));
	if (!json_is_object(json_array_get(value, 0))) {
		buf_add_z(out, ": ");
		add_flow(out, value);
		buf_add_char(out, '\n');
		return;
	}
	buf_add_z(out, ":\n");
	json_array_foreach(value, i, item)
	{
		buf_add_z(out, "    - ");
		add_flow(out, item);
		buf_add_char(out, '\n');
	}
}

static void
add_named(struct buf *out, const char *section, const json_t *objects)
{
	const char *name, *member;
	json_t *object, *value;

	if (json_object_size(objects) == 0)
		return;
	buf_addf(out, "%s:\n", section);
	json_object_foreach((json_t *)(uintptr_t)objects, name, object)
	{
		buf_add_z(out, "  ");
		add_text(out, lz_strz(name));
		buf_add_z(out, json_object_size(object) > 0 ? ":\n" : ": {}\n");
		json_object_foreach(object, member, value)
		{
			add_member(out, member, value);
		}
	}
	buf_add_char(out, '\n');
}

static void
add_section(struct buf *out, const char *name, const json_t *section)
{
	if (json_object_size(section) == 0)
		return;
	buf_addf(out, "%s: ", name);
	add_flow(out, section);
	buf_add_char(out, '\n');
}

/* ---- comments ---- */

/* Nothing of the source may end a comment. */
static void
add_comment(struct buf *out, const char *text)
{
	char line[COMMENT_BYTES];

	buf_addf(out, "# - %s\n", out_safe(text, sizeof(line) - 1, line, sizeof(line)));
}

/* U+2028 and U+2029 end lines of YAML 1.1, which libyaml reads: they become blanks. */
static void
take_separators_away(struct buf *out)
{
	for (size_t i = 0; i + 2 < out->len; i++) {
		if (memcmp(out->ptr + i, "\xe2\x80\xa8", 3) == 0 ||
		    memcmp(out->ptr + i, "\xe2\x80\xa9", 3) == 0)
			memset(out->ptr + i, ' ', 3);
	}
}

static void
add_comments(struct buf *out, const char *title, const json_t *list)
{
	const json_t *line;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	buf_addf(out, "#\n# %s\n", title);
	json_array_foreach(list, i, line)
	{
		if (i == COMMENTS_MAX) {
			buf_addf(out, "# - and %zu more, told by `latenza init`\n",
			    json_array_size(list) - i);
			return;
		}
		add_comment(out, json_string_value(line));
	}
}

/* ---- the file ---- */

/* Without `balanced` nobody chooses among deployments that are alike. */
static void
add_plugins(const struct from *f, struct buf *out)
{
	if (f->plugins == NULL)
		return;
	buf_add_z(out,
	    "# All that are installed but `balanced`, which would choose among "
	    "deployments of equal weight:\n"
	    "# without it they take equal shares, as they did. Weights that differ "
	    "decide "
	    "either way.\n"
	    "plugins: ");
	add_flow(out, f->plugins);
	buf_add_z(out, "\n\n");
}

void
from_write(const struct from *f, const char *listen, const char *data, struct buf *out)
{
	buf_addf(out,
	    "# latenza.yaml, converted from a configuration of %s by `latenza init`.\n"
	    "# `latenza config schema` prints what may stand here; `latenza check` tells "
	    "what is wrong.\n",
	    f->origin);
	add_comments(
	    out, "What has no twin here, and what to do instead:", f->said[FROM_NO_TWIN]);
	add_comments(
	    out, "What was converted, and should be known:", f->said[FROM_REMARK]);
	buf_addf(out,
	    "\nlisten: %s\n"
	    "admin: { listen: 127.0.0.1:8081 }   # /metrics, /healthz, /readyz\n"
	    "data: ",
	    listen);
	add_text(out, lz_strz(data));
	buf_addf(out,
	    "\n\n"
	    "# Prices are in USD; budgets are in EUR. Check the rate from time to time.\n"
	    "fx: { eur_per_usd: %g, date: 2026-11-20 }\n\n",
	    FROM_EUR_PER_USD);
	add_plugins(f, out);
	add_named(out, "providers", f->providers);
	add_named(out, "models", f->models);
	add_named(out, "guardrails", f->guardrails);
	add_section(out, "routing", f->routing);
	add_section(out, "limits", f->limits);
	if (json_object_size(f->log) > 0)
		buf_add_z(out, "# As there: prompts are not kept.\n");
	add_section(out, "log", f->log);
	add_section(out, "retention", f->retention);
	if (json_object_size(f->organizations) + json_object_size(f->keys) > 0)
		buf_add_char(out, '\n');
	if (json_object_size(f->organizations) > 0)
		buf_add_z(out, "# Teams, as they were.\n");
	add_named(out, "organizations", f->organizations);
	if (json_object_size(f->keys) > 0)
		buf_add_z(out,
		    "# Known by their SHA-256 until they are rolled: `latenza key "
		    "roll ID`.\n");
	add_named(out, "keys", f->keys);
	take_separators_away(out);
}
