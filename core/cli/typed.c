/* typed.c - options of a component as a command line gives them: --option NAME=VALUE.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/json.h"
#include "cli/command.h"
#include "config/options.h"

static const lz_option *
row_named(const lz_option *rows, uint32_t count, uint32_t size, const char *name)
{
	for (uint32_t i = 0; i < count; i++) {
		const lz_option *o = options_row(rows, size, i);

		if (strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

/* "a,b" for a list. */
static json_t *
list_of(const char *text)
{
	json_t *list = json_array();

	for (;;) {
		size_t n = strcspn(text, ",");

		(void)json_array_append_new(list, json_stringn(text, n));
		if (text[n] == '\0')
			return list;
		text += n + 1;
	}
}

/* Texts and choices are as they are typed; the others JSON, or what a file would say. */
static json_t *
typed_value(const lz_option *o, const char *text)
{
	json_t *j;

	if (o != NULL && (o->type == LZ_TEXT_OPTION || o->type == LZ_CHOICE_OPTION))
		return json_string(text);
	j = json_parse(lz_strz(text), NULL);
	if (j != NULL)
		return j;
	return o != NULL && o->type == LZ_LIST_OPTION ? list_of(text) : json_string(text);
}

json_t *
cli_typed_options(
    const struct cli *c, const lz_option *rows, uint32_t count, uint32_t size)
{
	json_t *out = json_object();
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(c->options, "option"), name, value)(
	    void) json_object_set_new(out, name,
	    typed_value(row_named(rows, count, size, name), json_string_value(value)));
	return out;
}
