/* options_schema.c - option rows told to others: as JSON Schema, and as the values in
 * use; and the reverse, a value held against a small JSON Schema.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/json.h"
#include "config/rules.h"

/* ---- rows to JSON Schema (2020-12) ---- */

static void
add_limits(json_t *s, const lz_option *row, const char *least, const char *most)
{
	if (row->min >= row->max)
		return;
	if (floor(row->min) == row->min && floor(row->max) == row->max &&
	    fabs(row->max) < 9e15) {
		(void)json_object_set_new(s, least, json_integer((json_int_t)row->min));
		(void)json_object_set_new(s, most, json_integer((json_int_t)row->max));
	} else {
		(void)json_object_set_new(s, least, json_real(row->min));
		(void)json_object_set_new(s, most, json_real(row->max));
	}
}

static json_t *
schema_of_choices(const char *choices)
{
	json_t *list = json_array();
	lz_str choice;

	for (unsigned i = 0; (choice = rule_choice_at(choices, i)).ptr != NULL; i++)
		(void)json_array_append_new(list, json_stringn(choice.ptr, choice.len));
	return json_pack("{s:s, s:o}", "type", "string", "enum", list);
}

static json_t *
schema_of_text(const lz_option *row)
{
	const struct text_rule *rule = rule_find(row->rule);
	json_t *s = json_pack("{s:s}", "type", "string");

	if (rule == NULL)
		return s;
	if (rule->takes_integer)
		(void)json_object_set_new(
		    s, "type", json_pack("[ss]", "string", "integer"));
	/* A reference such as env:NAME is a right value everywhere: no pattern for it. */
	if (rule->format != NULL)
		(void)json_object_set_new(s, "format", json_string(rule->format));
	if (rule_is_secret(row))
		(void)json_object_set_new(s, "writeOnly", json_true());
	return s;
}

static json_t *
schema_of_int(const lz_option *row)
{
	json_t *s;

	if (row->rule == NULL) {
		s = json_pack("{s:s}", "type", "integer");
		add_limits(s, row, "minimum", "maximum");
		return s;
	}
	s = json_pack("{s:[ss], s:s}", "type", "integer", "string", "pattern",
	    rule_is(row, "bytes")
		? "^([0-9]+ *(B|KB|MB|GB|KiB|MiB|GiB)?|env:.+|file:.+|\\$\\{.+\\})$"
		: "^([0-9]+ *(ms|s|m|h|d|w)?|env:.+|file:.+|\\$\\{.+\\})$");
	add_limits(s, row, "minimum", "maximum");
	return s;
}

static json_t *
schema_of_real(const lz_option *row)
{
	json_t *s = json_pack("{s:s}", "type", "number");

	add_limits(s, row, "minimum", "maximum");
	return s;
}

static json_t *
schema_of_list(const lz_option *row)
{
	bool is_choice = row->rule != NULL && rule_find(row->rule) == NULL;
	json_t *item = is_choice ? schema_of_choices(row->rule) : schema_of_text(row);
	json_t *list = json_pack("{s:s, s:O}", "type", "array", "items", item);

	add_limits(list, row, "minItems", "maxItems");
	return json_pack("{s:[oo]}", "anyOf", list, item);
}

static json_t *
schema_of_row(const lz_option *row)
{
	json_t *s;

	switch (row->type) {
	case LZ_BOOL_OPTION:
		return json_pack("{s:s}", "type", "boolean");
	case LZ_INT_OPTION:
		return schema_of_int(row);
	case LZ_REAL_OPTION:
		return schema_of_real(row);
	case LZ_TEXT_OPTION:
		return schema_of_text(row);
	case LZ_CHOICE_OPTION:
		return schema_of_choices(row->rule);
	case LZ_LIST_OPTION:
		return schema_of_list(row);
	default:
		break;
	}
	s = row->rule != NULL ? json_parse(lz_strz(row->rule), NULL) : NULL;
	return s != NULL ? s : json_object();
}

json_t *
options_schema(const lz_option *rows, uint32_t count, uint32_t stride)
{
	json_t *properties = json_object(), *required = json_array();
	json_t *s;

	for (uint32_t i = 0; i < count; i++) {
		const lz_option *row = options_row(rows, stride, i);
		json_t *otherwise = rule_default(row);

		s = schema_of_row(row);
		(void)json_object_set_new(s, "description", json_string(row->help));
		if (otherwise != NULL)
			(void)json_object_set_new(s, "default", otherwise);
		(void)json_object_set_new(properties, row->name, s);
		if (row->otherwise == NULL)
			(void)json_array_append_new(required, json_string(row->name));
	}
	s = json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties,
	    "additionalProperties", 0);
	if (json_array_size(required) > 0)
		(void)json_object_set(s, "required", required);
	json_decref(required);
	return s;
}

/* ---- rows and an object to what is in use ---- */

static json_t *
masked(const json_t *value)
{
	lz_str text = lz_strn(json_string_value(value), json_string_length(value));

	if (json_is_string(value) && options_is_reference(text))
		return json_incref((json_t *)(uintptr_t)value);
	return json_string("***");
}

static json_t *
shown_secret(const json_t *value)
{
	json_t *list, *item;
	size_t i;

	if (!json_is_array(value))
		return masked(value);
	list = json_array();
	json_array_foreach((json_t *)(uintptr_t)value, i, item)
	{
		(void)json_array_append_new(list, masked(item));
	}
	return list;
}

json_t *
options_shown(
    const lz_option *rows, uint32_t count, uint32_t stride, const json_t *object)
{
	json_t *out = json_object();

	for (uint32_t i = 0; i < count; i++) {
		const lz_option *row = options_row(rows, stride, i);
		const json_t *value = json_object_get(object, row->name);
		json_t *shown;

		if (value == NULL || json_is_null(value))
			shown = rule_default(row);
		else if (rule_is_secret(row))
			shown = shown_secret(value);
		else
			shown = json_deep_copy(value);
		if (shown != NULL)
			(void)json_object_set_new(out, row->name, shown);
	}
	return out;
}

/* ---- a value held against a schema ---- */

enum {
	MATCH_DEPTH = 32
};

static const struct {
	const char *name;
	json_type type;
} type_names[] = {
	{ "object", JSON_OBJECT },
	{ "array", JSON_ARRAY },
	{ "string", JSON_STRING },
	{ "integer", JSON_INTEGER },
	{ "number", JSON_REAL },
	{ "number", JSON_INTEGER },
	{ "boolean", JSON_TRUE },
	{ "boolean", JSON_FALSE },
	{ "null", JSON_NULL },
};

static bool
is_of_type(const json_t *value, const char *name)
{
	for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
		if (json_typeof(value) == type_names[i].type &&
		    strcmp(type_names[i].name, name) == 0)
			return true;
	}
	return false;
}

static enum status
match_type(const json_t *type, const json_t *value, struct err *e)
{
	const char *first =
	    json_string_value(json_is_array(type) ? json_array_get(type, 0) : type);
	char text[80];

	if (first == NULL || is_of_type(value, first))
		return ST_OK;
	for (size_t i = 1; i < json_array_size(type); i++) {
		const char *name = json_string_value(json_array_get(type, i));

		if (name != NULL && is_of_type(value, name))
			return ST_OK;
	}
	return err_fail(
	    e, ST_INVALID, "%s is not of the type %s", rule_describe(value, text), first);
}

static enum status
match_enum(const json_t *list, const json_t *value, struct err *e)
{
	char text[80];

	for (size_t i = 0; i < json_array_size(list); i++) {
		if (json_equal(json_array_get(list, i), value))
			return ST_OK;
	}
	return err_fail(e, ST_INVALID, "%s is not one of the values that are possible",
	    rule_describe(value, text));
}

static size_t
size_of(const json_t *value)
{
	return json_is_array(value) ? json_array_size(value) : json_string_length(value);
}

static const struct {
	const char *least, *most;
	bool is_size; /* of an array or a string, not the number itself */
	json_type type;
} bounds[] = {
	{ "minimum", "maximum", false, JSON_INTEGER },
	{ "minimum", "maximum", false, JSON_REAL },
	{ "minItems", "maxItems", true, JSON_ARRAY },
	{ "minLength", "maxLength", true, JSON_STRING },
};

static enum status
match_bounds(const json_t *schema, const json_t *value, struct err *e)
{
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		const json_t *least = json_object_get(schema, bounds[i].least);
		const json_t *most = json_object_get(schema, bounds[i].most);
		double v =
		    bounds[i].is_size ? (double)size_of(value) : json_number_value(value);

		if (json_typeof(value) != bounds[i].type)
			continue;
		if (json_is_number(least) && v < json_number_value(least))
			return err_fail(e, ST_INVALID, "%.15g is below the least, %.15g",
			    v, json_number_value(least));
		if (json_is_number(most) && v > json_number_value(most))
			return err_fail(e, ST_INVALID, "%.15g is above the most, %.15g",
			    v, json_number_value(most));
	}
	return ST_OK;
}

static enum status match(
    const json_t *schema, const json_t *value, unsigned depth, struct err *e);

static enum status
match_members(const json_t *schema, const json_t *value, unsigned depth, struct err *e)
{
	const json_t *properties = json_object_get(schema, "properties");
	const json_t *others = json_object_get(schema, "additionalProperties");
	const json_t *required = json_object_get(schema, "required");
	const char *name;
	json_t *inner;

	for (size_t i = 0; i < json_array_size(required); i++) {
		name = json_string_value(json_array_get(required, i));
		if (name != NULL && json_object_get(value, name) == NULL)
			return err_fail(e, ST_INVALID, "the member %s is missing", name);
	}
	json_object_foreach((json_t *)(uintptr_t)value, name, inner)
	{
		const json_t *rule = json_object_get(properties, name);

		if (rule == NULL)
			rule = others;
		if (json_is_false(rule))
			return err_fail(
			    e, ST_INVALID, "the member %s is not known", name);
		if (rule != NULL && match(rule, inner, depth, e) != ST_OK) {
			err_prefix(e, "%s", name);
			return ST_INVALID;
		}
	}
	return ST_OK;
}

static enum status
match_items(const json_t *schema, const json_t *value, unsigned depth, struct err *e)
{
	const json_t *items = json_object_get(schema, "items");
	json_t *inner;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)value, i, inner)
	{
		if (items != NULL && match(items, inner, depth, e) != ST_OK) {
			err_prefix(e, "item %zu", i);
			return ST_INVALID;
		}
	}
	return ST_OK;
}

static enum status
match(const json_t *schema, const json_t *value, unsigned depth, struct err *e)
{
	const json_t *type = json_object_get(schema, "type");
	const json_t *list = json_object_get(schema, "enum");
	const json_t *constant = json_object_get(schema, "const");

	if (depth == MATCH_DEPTH)
		return err_fail(e, ST_INVALID, "is nested too deeply");
	if (json_is_false(schema))
		return err_fail(e, ST_INVALID, "nothing is allowed here");
	if (type != NULL && match_type(type, value, e) != ST_OK)
		return ST_INVALID;
	if (list != NULL && match_enum(list, value, e) != ST_OK)
		return ST_INVALID;
	if (constant != NULL && !json_equal(constant, value))
		return err_fail(e, ST_INVALID, "is not the one value that is possible");
	if (match_bounds(schema, value, e) != ST_OK)
		return ST_INVALID;
	if (json_is_object(value))
		return match_members(schema, value, depth + 1, e);
	return match_items(schema, value, depth + 1, e);
}

enum status
options_match(const json_t *schema, const json_t *value, struct err *e)
{
	return match(schema, value, 0, e);
}
