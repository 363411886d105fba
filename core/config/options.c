/* options.c - an object of the file to the members of a struct, by rows.
 *
 * One setter per type of option. All of them check first and store last, and store
 * nothing when there is no instance, so that the same code validates, loads and proves
 * the defaults of a plugin. A string may refer to the environment or a file wherever a
 * string or a number is wanted; inside JSON options it is left alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/options.h"

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/rules.h"
#include "config/yaml.h"

enum {
	LIST_ITEMS = 10000
};

struct reading {
	const lz_option *rows;
	uint32_t count, stride;
	const struct options_context *c;
	const json_t *object;
	void *self; /* NULL: check only */
	struct err *e;
	enum status worst;
};

/* ---- telling ---- */

void
options_say(const struct options_context *c, enum options_severity how,
    const json_t *object, const char *member, struct err *e)
{
	const char *where = c->where != NULL ? c->where : "";
	unsigned line = yaml_line(c->source, object, member);

	if (line == 0)
		line = yaml_line(c->source, object, NULL);
	if (member != NULL)
		err_prefix(e, "%s%s%s", where, *where != '\0' ? "." : "", member);
	else if (*where != '\0')
		err_prefix(e, "%s", where);
	if (c->source != NULL && line != 0)
		err_prefix(e, "%s:%u", yaml_file(c->source), line);
	else if (c->source != NULL)
		err_prefix(e, "%s", yaml_file(c->source));
	if (c->report != NULL)
		c->report(c->report_arg, how, e->text);
}

static void
tell_sentence(
    struct reading *r, enum options_severity how, const char *member, struct err *said)
{
	options_say(r->c, how, r->object, member, said);
	if (how == OPTIONS_WARNING)
		return;
	if (r->worst == ST_OK && r->e != NULL)
		*r->e = *said;
	if (r->worst == ST_OK || r->worst == ST_NOT_FOUND)
		r->worst = how == OPTIONS_UNSET ? ST_NOT_FOUND : ST_INVALID;
}

static bool wrong(struct reading *r, const char *member, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static bool
wrong(struct reading *r, const char *member, const char *fmt, ...)
{
	struct err said;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(said.text, sizeof(said.text), fmt, args);
	va_end(args);
	tell_sentence(r, OPTIONS_ERROR, member, &said);
	return false;
}

/* What came is not shown where a secret is wanted. */
static bool
wrong_type(
    struct reading *r, const lz_option *row, const json_t *value, const char *wanted)
{
	char text[80];
	bool is_hidden = rule_is_secret(row) && json_is_string(value);

	return wrong(r, row->name, "%s is not %s",
	    is_hidden ? "this" : rule_describe(value, text), wanted);
}

static bool
nomem(struct reading *r)
{
	struct err said;

	(void)err_fail(&said, ST_NOMEM, "out of memory");
	tell_sentence(r, OPTIONS_ERROR, NULL, &said);
	r->worst = ST_NOMEM;
	return false;
}

/* ---- storing ---- */

static void
store(const struct reading *r, const lz_option *row, const void *value, size_t n)
{
	if (r->self != NULL)
		memcpy((char *)r->self + row->offset, value, n);
}

/* Notes the value as it is used. Takes the reference. */
static bool
resolved(struct reading *r, const lz_option *row, json_t *value)
{
	if (value == NULL)
		return nomem(r);
	if (r->c->resolved == NULL)
		json_decref(value);
	else if (json_object_set_new(r->c->resolved, row->name, value) != 0)
		return nomem(r);
	return true;
}

/* ---- references ---- */

/* Resolves one string. false: told. */
static bool
dereference(struct reading *r, const lz_option *row, const json_t *string, lz_str *out,
    bool *is_literal)
{
	lz_str text = lz_strn(json_string_value(string), json_string_length(string));
	struct err why = { "" };
	enum status st;

	*is_literal = !options_is_reference(text);
	if (*is_literal || r->c->is_offline) {
		*out = arena_copy(r->c->memory, text);
		return out->ptr != NULL || nomem(r);
	}
	text = options_absolute(text, r->c->folder, r->c->memory);
	st = options_resolve(text, r->c->memory, out, is_literal, &why);
	if (st == ST_OK && r->c->found != NULL)
		r->c->found(r->c->report_arg, *out);
	if (st == ST_OK)
		return true;
	if (st == ST_NOMEM)
		return nomem(r);
	tell_sentence(
	    r, st == ST_NOT_FOUND ? OPTIONS_UNSET : OPTIONS_ERROR, row->name, &why);
	return false;
}

/* A number or a bool that stands elsewhere: `workers: env:WORKERS`. NULL: told, or
 * offline and not to be had. */
static json_t *
dereference_scalar(struct reading *r, const lz_option *row, const json_t *string)
{
	struct yaml_source *source;
	bool is_literal;
	lz_str text;
	json_t *j;

	if (r->c->is_offline || !dereference(r, row, string, &text, &is_literal))
		return NULL;
	j = yaml_parse(text, row->name, &source, NULL);
	yaml_source_free(source);
	if (j == NULL)
		(void)wrong(r, row->name, "what it refers to is not a value");
	return j;
}

/* ---- the types ---- */

static bool
set_bool(struct reading *r, const lz_option *row, const json_t *value)
{
	int32_t v = json_is_true(value);

	if (!json_is_boolean(value))
		return wrong_type(r, row, value, "a yes or no; write true or false");
	store(r, row, &v, sizeof(v));
	return resolved(r, row, json_boolean(v));
}

static bool
in_range(struct reading *r, const lz_option *row, double v, const json_t *value)
{
	char text[80];

	if (row->min >= row->max || (v >= row->min && v <= row->max))
		return true;
	return wrong(r, row->name, "%s is out of range; it must be from %.15g to %.15g",
	    rule_describe(value, text), row->min, row->max);
}

static bool
set_int(struct reading *r, const lz_option *row, const json_t *value)
{
	lz_str text = lz_strn(json_string_value(value), json_string_length(value));
	int64_t v = json_integer_value(value);

	if (rule_is(row, "duration")) {
		if (!json_is_integer(value) && !options_duration(text, &v))
			return wrong_type(r, row, value,
			    "a duration; write 250ms, 30s, 5m, 24h, 90d or milliseconds");
	} else if (rule_is(row, "bytes")) {
		if (!json_is_integer(value) && !options_bytes(text, &v))
			return wrong_type(r, row, value,
			    "a size; write 32MiB, 1GB or a number of bytes");
	} else if (!json_is_integer(value)) {
		return wrong_type(r, row, value, "a whole number");
	}
	if (!in_range(r, row, (double)v, value))
		return false;
	store(r, row, &v, sizeof(v));
	return resolved(r, row, json_integer(v));
}

static bool
set_real(struct reading *r, const lz_option *row, const json_t *value)
{
	double v = json_number_value(value);
	int64_t nano;

	if (!json_is_number(value))
		return wrong_type(r, row, value, "a number");
	if (!in_range(r, row, v, value))
		return false;
	if (rule_is(row, "nano")) {
		if (!options_nano(value, &nano))
			return wrong_type(
			    r, row, value, "a number of at most 9 decimal places");
		store(r, row, &nano, sizeof(nano));
	} else {
		store(r, row, &v, sizeof(v));
	}
	return resolved(r, row, json_real(v));
}

/* One string of a text or list option, resolved and checked by the row's rule. */
static bool
read_text(struct reading *r, const lz_option *row, const json_t *value, lz_str *out)
{
	const struct text_rule *rule = rule_find(row->rule);
	bool is_literal;

	if (json_is_integer(value) && rule != NULL && rule->takes_integer) {
		*out = arena_printf(
		    r->c->memory, "%lld", (long long)json_integer_value(value));
		if (out->ptr == NULL)
			return nomem(r);
		return rule->check(*out) || wrong_type(r, row, value, rule->wanted);
	}
	if (!json_is_string(value))
		return wrong_type(r, row, value,
		    json_is_object(value) || json_is_array(value)
			? "a text"
			: "a text; put it in quotes");
	if (!dereference(r, row, value, out, &is_literal))
		return false;
	if (rule_is_secret(row) && is_literal && out->len > 0) {
		struct err said = {
			"is written in the file; env:NAME, file:PATH or credential:NAME "
			"keeps secrets out of it"
		};

		tell_sentence(r, OPTIONS_WARNING, row->name, &said);
	}
	if (r->c->is_offline && !is_literal)
		return true;
	if (rule != NULL && rule->check != NULL && !rule->check(*out))
		return wrong_type(r, row, value, rule->wanted);
	return true;
}

static bool
set_text(struct reading *r, const lz_option *row, const json_t *value)
{
	lz_str text;

	if (!read_text(r, row, value, &text))
		return false;
	store(r, row, &text, sizeof(text));
	return resolved(r, row, json_stringn(text.ptr, text.len));
}

static bool
wrong_choice(struct reading *r, const lz_option *row, const json_t *value)
{
	char list[200], text[80];
	size_t n = 0;
	lz_str choice;

	for (unsigned i = 0; (choice = rule_choice_at(row->rule, i)).ptr != NULL; i++) {
		int put = snprintf(list + n, sizeof(list) - n, "%s%.*s",
		    i > 0 ? ", " : "", STR_ARG(choice));

		if (put < 0 || (size_t)put >= sizeof(list) - n)
			break;
		n += (size_t)put;
	}
	return wrong(r, row->name, "%s is not a choice; it must be one of %s",
	    rule_describe(value, text), list);
}

static bool
set_choice(struct reading *r, const lz_option *row, const json_t *value)
{
	int32_t at = -1;
	bool is_literal;
	lz_str text;

	if (json_is_string(value)) {
		if (!dereference(r, row, value, &text, &is_literal))
			return false;
		if (r->c->is_offline && !is_literal)
			return true;
		at = rule_choice(row->rule, text);
	}
	if (at < 0)
		return wrong_choice(r, row, value);
	store(r, row, &at, sizeof(at));
	return resolved(r, row, json_stringn(text.ptr, text.len));
}

static bool
read_items(struct reading *r, const lz_option *row, const json_t *array, lz_str *items,
    json_t *texts)
{
	bool is_choice = row->rule != NULL && rule_find(row->rule) == NULL;

	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *item = json_array_get(array, i);

		if (!read_text(r, row, item, &items[i]))
			return false;
		if (is_choice && rule_choice(row->rule, items[i]) < 0)
			return wrong_choice(r, row, item);
		if (json_array_append_new(
			texts, json_stringn(items[i].ptr, items[i].len)) != 0)
			return nomem(r);
	}
	return true;
}

static bool
check_length(struct reading *r, const lz_option *row, size_t n)
{
	if (n > LIST_ITEMS)
		return wrong(
		    r, row->name, "%zu items are too many; at most %d", n, LIST_ITEMS);
	if (row->min < row->max && ((double)n < row->min || (double)n > row->max))
		return wrong(r, row->name, "%zu items; it must be from %.15g to %.15g", n,
		    row->min, row->max);
	return true;
}

/* A single string is a list of one. */
static bool
set_list(struct reading *r, const lz_option *row, const json_t *value)
{
	json_t *array, *texts = json_array();
	lz_list list = { NULL, 0 };
	bool is_fine;
	lz_str *items;

	if (json_is_array(value))
		array = json_incref((json_t *)(uintptr_t)value);
	else
		array = json_pack("[O]", value);
	list.count = json_array_size(array);
	if (array == NULL || texts == NULL) {
		is_fine = nomem(r);
	} else if ((is_fine = check_length(r, row, list.count)) == true) {
		items = arena_alloc(r->c->memory, (list.count + 1) * sizeof(*items));
		list.items = items;
		is_fine =
		    items != NULL ? read_items(r, row, array, items, texts) : nomem(r);
	}
	if (is_fine) {
		store(r, row, &list, sizeof(list));
		is_fine = resolved(r, row, json_incref(texts));
	}
	json_decref(texts);
	json_decref(array);
	return is_fine;
}

static bool
set_json(struct reading *r, const lz_option *row, const json_t *value)
{
	json_t *schema = row->rule != NULL ? json_parse(lz_strz(row->rule), NULL) : NULL;
	struct err why = { "" };
	enum status st = ST_OK;

	if (schema != NULL)
		st = options_match(schema, value, &why);
	json_decref(schema);
	if (st != ST_OK)
		return wrong(r, row->name, "%s", why.text);
	if (r->self != NULL &&
	    json_array_append(r->c->keep, (json_t *)(uintptr_t)value) != 0)
		return nomem(r);
	store(r, row, &value, sizeof(value));
	return resolved(r, row, json_incref((json_t *)(uintptr_t)value));
}

typedef bool set_fn(struct reading *r, const lz_option *row, const json_t *value);

static set_fn *const setters[] = {
	[LZ_BOOL_OPTION] = set_bool,
	[LZ_INT_OPTION] = set_int,
	[LZ_REAL_OPTION] = set_real,
	[LZ_TEXT_OPTION] = set_text,
	[LZ_CHOICE_OPTION] = set_choice,
	[LZ_LIST_OPTION] = set_list,
	[LZ_JSON_OPTION] = set_json,
};

enum {
	TYPES = sizeof(setters) / sizeof(setters[0])
};
_Static_assert((int)TYPES == (int)OPTION_TYPES, "a setter for every type of option");

/* ---- rows ---- */

static bool
is_scalar_type(const lz_option *row)
{
	return row->type == LZ_BOOL_OPTION || row->type == LZ_INT_OPTION ||
	       row->type == LZ_REAL_OPTION;
}

static void
set_value(struct reading *r, const lz_option *row, const json_t *value)
{
	lz_str text = lz_strn(json_string_value(value), json_string_length(value));
	json_t *elsewhere;

	if (!is_scalar_type(row) || !json_is_string(value) ||
	    !options_is_reference(text)) {
		(void)setters[row->type](r, row, value);
		return;
	}
	elsewhere = dereference_scalar(r, row, value);
	if (elsewhere != NULL)
		(void)setters[row->type](r, row, elsewhere);
	json_decref(elsewhere);
}

static void
apply_row(struct reading *r, const lz_option *row)
{
	const json_t *value = json_object_get(r->object, row->name);
	json_t *otherwise;

	if (row->type >= OPTION_TYPES) {
		(void)wrong(
		    r, row->name, "its row has a type that this gateway does not know");
		return;
	}
	if (value != NULL && !json_is_null(value)) {
		set_value(r, row, value);
		return;
	}
	if (row->otherwise == NULL) {
		(void)wrong(r, row->name, "is missing; it is %s", row->help);
		return;
	}
	if (row->otherwise[0] == '\0')
		return;
	otherwise = rule_default(row);
	if (otherwise == NULL)
		(void)nomem(r);
	else
		(void)setters[row->type](r, row, otherwise);
	json_decref(otherwise);
}

static bool
is_row(const struct reading *r, const char *name)
{
	for (uint32_t i = 0; i < r->count; i++) {
		if (strcmp(options_row(r->rows, r->stride, i)->name, name) == 0)
			return true;
	}
	return false;
}

bool
options_is_ignored(const struct options_context *c, const char *name)
{
	return rule_is_one_of(name, c->ignore);
}

const char *
options_nearest(lz_str name, const char *const *names)
{
	unsigned limit = name.len < 4 ? 1 : name.len < 8 ? 2 : 3;
	const char *near = NULL;

	for (; names != NULL && *names != NULL; names++) {
		unsigned d = str_distance(name, lz_strz(*names), limit);

		if (d <= limit) {
			near = *names;
			if (d == 0)
				break;
			limit = d - 1;
		}
	}
	return near;
}

static void
unknown_member(struct reading *r, const char *name)
{
	const char **names = mem_calloc(r->count + 1, sizeof(*names));
	const char *near, *other;

	if (names == NULL) {
		(void)nomem(r);
		return;
	}
	for (uint32_t i = 0; i < r->count; i++)
		names[i] = options_row(r->rows, r->stride, i)->name;
	near = options_nearest(lz_strz(name), names);
	other = options_nearest(lz_strz(name), r->c->ignore);
	if (near == NULL)
		near = other;
	if (near != NULL)
		(void)wrong(r, name, "is not known; did you mean \"%s\"?", near);
	else
		(void)wrong(r, name, "is not known here");
	mem_free(names);
}

static void
check_members(struct reading *r)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)r->object, name, value)
	{
		if (r->worst != ST_OK && r->c->report == NULL)
			return;
		if (!is_row(r, name) && !options_is_ignored(r->c, name))
			unknown_member(r, name);
	}
}

enum status
options_apply(const lz_option *rows, uint32_t count, uint32_t stride,
    const json_t *object, void *self, const struct options_context *c, struct err *e)
{
	struct reading r = { rows, count, stride, c, object, self, e, ST_OK };
	char text[80];

	if (object != NULL && !json_is_null(object) && !json_is_object(object)) {
		(void)wrong(&r, NULL, "%s is not a map", rule_describe(object, text));
		return r.worst;
	}
	check_members(&r);
	for (uint32_t i = 0; i < count; i++) {
		if (r.worst == ST_NOMEM || (r.worst != ST_OK && c->report == NULL))
			break;
		apply_row(&r, options_row(rows, stride, i));
	}
	return r.worst;
}

enum status
options_check(const lz_option *rows, uint32_t count, uint32_t stride,
    const json_t *object, const struct options_context *c, struct err *e)
{
	return options_apply(rows, count, stride, object, NULL, c, e);
}
