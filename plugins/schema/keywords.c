/* keywords.c - the keywords of JSON Schema, each with how it is read.
 *
 * SPDX-License-Identifier: MIT
 */
#include "compile.h"

enum {
	REF_BYTES = 1000
};

/* ---- schemas ---- */

typedef bool read_fn(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset);

#define MEMBER(s, offset, type) ((type *)(void *)((char *)(s) + (offset)))

static bool
read_schema(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	const struct schema *inner = compile_schema(k, value, at);

	*MEMBER(s, offset, const struct schema *) = inner;
	return inner != NULL;
}

static bool
read_schemas(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	struct schemas *list = MEMBER(s, offset, struct schemas);
	size_t n = lz->json_len(value);

	if (lz->json_type(value) != LZ_ARRAY || n == 0)
		return compile_wrong(k, at, "has to be a list of at least one schema");
	list->item = compile_keep(k->out, n * sizeof(const struct schema *));
	if (list->item == NULL)
		return compile_no_memory(k, at);
	for (; list->count < n; list->count++) {
		struct place inner = place_item(at, list->count);

		list->item[list->count] =
		    compile_schema(k, lz->json_item(value, list->count, NULL), &inner);
		if (list->item[list->count] == NULL)
			return false;
	}
	return true;
}

static bool
read_number(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	if (lz->json_type(value) != LZ_INT && lz->json_type(value) != LZ_REAL)
		return compile_wrong(k, at, "has to be a number");
	*MEMBER(s, offset, const lz_json *) = value;
	return true;
}

static bool
read_multiple(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	if (!(lz->json_num(value, 0) > 0))
		return compile_wrong(k, at, "has to be a number above 0");
	return read_number(k, s, value, at, offset);
}

static bool
read_count(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	int64_t n = lz->json_int(value, -1);

	if (n < 0)
		return compile_wrong(k, at, "has to be a whole number of at least 0");
	*MEMBER(s, offset, size_t) = (size_t)n;
	return true;
}

static bool
read_value(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	(void)k;
	(void)at;
	*MEMBER(s, offset, const lz_json *) = value;
	return true;
}

static bool
read_enum(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	if (lz->json_type(value) != LZ_ARRAY)
		return compile_wrong(k, at, "has to be a list of values");
	return read_value(k, s, value, at, offset);
}

static bool
read_unique(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	(void)offset;
	if (lz->json_type(value) != LZ_BOOL)
		return compile_wrong(k, at, "has to be true or false");
	s->is_unique = lz->json_bool(value, 0) != 0;
	return true;
}

/* ---- types ---- */

static unsigned
type_of(const lz_json *value)
{
	static const char *const names[] = { "null", "boolean", "integer", "number",
		"string", "array", "object" };
	lz_str s = lz->json_str(value, lz_strz(""));

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (lz_eq(s, names[i]))
			return 1u << i;
	return 0;
}

static bool
read_type(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	unsigned one = type_of(value);
	bool is_list = lz->json_type(value) == LZ_ARRAY && lz->json_len(value) > 0;

	(void)offset;
	s->types = one;
	for (size_t i = 0; is_list && i < lz->json_len(value); i++) {
		one = type_of(lz->json_item(value, i, NULL));
		s->types |= one;
		is_list = one != 0;
	}
	if (one != 0)
		return true;
	return compile_wrong(k, at,
	    "has to be null, boolean, integer, number, string, array, object or a list "
	    "of them");
}

/* ---- patterns ---- */

/* As ECMA-262 means it, as near as PCRE2 comes; it calls out at each item, so that its
 * work can be counted. */
static const pcre2_code *
compile_pattern(struct compiler *k, lz_str text, const struct place *at)
{
	const uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX |
				 PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF |
				 PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;
	int number;
	size_t offset;
	pcre2_code *code;
	PCRE2_UCHAR said[120] = "";

	if (k->expressions++ == EXPRESSIONS) {
		(void)compile_wrong(
		    k, at, "more than %d regular expressions in one", EXPRESSIONS);
		return NULL;
	}
	if (text.len > PATTERN_BYTES) {
		(void)compile_wrong(k, at, "has more than %d bytes", PATTERN_BYTES);
		return NULL;
	}
	code = pcre2_compile(
	    (PCRE2_SPTR)text.ptr, text.len, options, &number, &offset, NULL);
	if (code == NULL) {
		(void)pcre2_get_error_message(number, said, sizeof(said));
		(void)compile_wrong(k, at, "does not compile: %s at byte %zu",
		    (const char *)said, offset);
		return NULL;
	}
	if (compile_keep_code(k->out, code))
		return code;
	(void)compile_no_memory(k, at);
	return NULL;
}

static bool
read_pattern(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	(void)offset;
	if (lz->json_type(value) != LZ_STRING)
		return compile_wrong(k, at, "has to be a regular expression");
	s->pattern = compile_pattern(k, lz->json_str(value, lz_strz("")), at);
	return s->pattern != NULL;
}

bool
compile_is_map(struct compiler *k, const lz_json *value, const struct place *at)
{
	return lz->json_type(value) == LZ_OBJECT ||
	       compile_wrong(k, at, "has to be an object");
}

static bool
read_patterns(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	size_t n = lz->json_len(value);

	(void)offset;
	if (!compile_is_map(k, value, at))
		return false;
	s->patterns = compile_keep(k->out, n * sizeof(*s->patterns));
	if (s->patterns == NULL)
		return compile_no_memory(k, at);
	for (; s->pattern_count < n; s->pattern_count++) {
		struct by_pattern *p = &s->patterns[s->pattern_count];
		lz_str key;
		const lz_json *inner = lz->json_item(value, s->pattern_count, &key);
		struct place there = place_member(at, key);

		p->pattern = compile_pattern(k, key, &there);
		p->schema = p->pattern != NULL ? compile_schema(k, inner, &there) : NULL;
		if (p->schema == NULL)
			return false;
	}
	return true;
}

/* ---- references and what they lead to ---- */

static int
hex(char ch)
{
	return ch >= '0' && ch <= '9'   ? ch - '0'
	       : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
	       : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
					: -1;
}

/* The pointer of "#/...", percent-encoded bytes decoded. */
static bool
pointer_of(lz_str ref, char out[REF_BYTES])
{
	size_t n = 0;

	if (ref.len == 0 || ref.len >= REF_BYTES || ref.ptr[0] != '#' ||
	    (ref.len > 1 && ref.ptr[1] != '/'))
		return false;
	for (size_t i = 1; i < ref.len; i++) {
		int high, low;

		if (ref.ptr[i] != '%') {
			out[n++] = ref.ptr[i];
			continue;
		}
		high = i + 2 < ref.len ? hex(ref.ptr[i + 1]) : -1;
		low = high >= 0 ? hex(ref.ptr[i + 2]) : -1;
		if (low < 0 || high + low == 0)
			return false;
		out[n++] = (char)(high * 16 + low);
		i += 2;
	}
	out[n] = '\0';
	return true;
}

static bool
read_ref(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	const lz_json *target;
	char pointer[REF_BYTES];

	(void)offset;
	if (!pointer_of(lz->json_str(value, lz_strz("")), pointer))
		return compile_wrong(k, at,
		    "has to be a local reference, \"#\" or \"#/$defs/NAME\"; others are "
		    "not followed");
	target = lz->json_at(k->root, pointer);
	if (target == NULL)
		return compile_wrong(k, at, "leads to nothing in this schema");
	s->ref = compile_schema(k, target, at);
	return s->ref != NULL;
}

static bool
read_definitions(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	(void)s;
	(void)offset;
	if (!compile_is_map(k, value, at))
		return false;
	for (size_t i = 0; i < lz->json_len(value); i++) {
		lz_str key;
		const lz_json *inner = lz->json_item(value, i, &key);
		struct place there = place_member(at, key);

		if (compile_schema(k, inner, &there) == NULL)
			return false;
	}
	return true;
}

static bool
read_id(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	(void)s;
	(void)value;
	(void)offset;
	return at->depth == 1 ||
	       compile_wrong(
		   k, at, "is not supported below the root: references are local");
}

static bool
read_unsupported(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	(void)s;
	(void)value;
	(void)offset;
	return compile_wrong(k, at, "this keyword is not supported");
}

static bool
read_nothing(struct compiler *k, struct schema *s, const lz_json *value,
    const struct place *at, size_t offset)
{
	(void)k;
	(void)s;
	(void)value;
	(void)at;
	(void)offset;
	return true;
}

/* ---- keywords ---- */

#define AT(member) offsetof(struct schema, member)

static const struct {
	const char *name;
	read_fn *read;
	size_t offset;
} keywords[] = {
	{ "type", read_type, 0 },
	{ "enum", read_enum, AT(choices) },
	{ "const", read_value, AT(constant) },
	{ "multipleOf", read_multiple, AT(multiple) },
	{ "minimum", read_number, AT(minimum) },
	{ "maximum", read_number, AT(maximum) },
	{ "exclusiveMinimum", read_number, AT(above) },
	{ "exclusiveMaximum", read_number, AT(below) },
	{ "minLength", read_count, AT(length.min) },
	{ "maxLength", read_count, AT(length.max) },
	{ "pattern", read_pattern, 0 },
	{ "items", read_schema, AT(items) },
	{ "prefixItems", read_schemas, AT(prefix) },
	{ "contains", read_schema, AT(contains) },
	{ "minContains", read_count, AT(contains_count.min) },
	{ "maxContains", read_count, AT(contains_count.max) },
	{ "minItems", read_count, AT(items_count.min) },
	{ "maxItems", read_count, AT(items_count.max) },
	{ "uniqueItems", read_unique, 0 },
	{ "minProperties", read_count, AT(members_count.min) },
	{ "maxProperties", read_count, AT(members_count.max) },
	{ "patternProperties", read_patterns, 0 },
	{ "additionalProperties", read_schema, AT(additional) },
	{ "propertyNames", read_schema, AT(property_names) },
	{ "allOf", read_schemas, AT(all) },
	{ "anyOf", read_schemas, AT(any) },
	{ "oneOf", read_schemas, AT(one) },
	{ "not", read_schema, AT(negated) },
	{ "if", read_schema, AT(condition) },
	{ "then", read_schema, AT(then) },
	{ "else", read_schema, AT(otherwise) },
	{ "$ref", read_ref, 0 },
	{ "$defs", read_definitions, 0 },
	{ "definitions", read_definitions, 0 },
	{ "$id", read_id, 0 },
	/* read_names() sees to them */
	{ "properties", read_nothing, 0 },
	{ "required", read_nothing, 0 },
	{ "dependentRequired", read_nothing, 0 },
	{ "dependentSchemas", read_nothing, 0 },
	/* they assert nothing */
	{ "$schema", read_nothing, 0 },
	{ "$comment", read_nothing, 0 },
	{ "title", read_nothing, 0 },
	{ "description", read_nothing, 0 },
	{ "default", read_nothing, 0 },
	{ "examples", read_nothing, 0 },
	{ "deprecated", read_nothing, 0 },
	{ "readOnly", read_nothing, 0 },
	{ "writeOnly", read_nothing, 0 },
	{ "format", read_nothing, 0 },
	{ "contentEncoding", read_nothing, 0 },
	{ "contentMediaType", read_nothing, 0 },
	{ "contentSchema", read_nothing, 0 },
	/* they do, and we do not */
	{ "unevaluatedItems", read_unsupported, 0 },
	{ "unevaluatedProperties", read_unsupported, 0 },
	{ "additionalItems", read_unsupported, 0 },
	{ "dependencies", read_unsupported, 0 },
	{ "$anchor", read_unsupported, 0 },
	{ "$dynamicRef", read_unsupported, 0 },
	{ "$dynamicAnchor", read_unsupported, 0 },
	{ "$recursiveRef", read_unsupported, 0 },
	{ "$recursiveAnchor", read_unsupported, 0 },
};

bool
read_keyword(struct compiler *k, struct schema *s, lz_str key, const lz_json *value,
    const struct place *at)
{
	struct place there = place_member(at, key);

	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (lz_eq(key, keywords[i].name))
			return keywords[i].read(k, s, value, &there, keywords[i].offset);
	if (k->is_strict && !(key.len > 2 && memcmp(key.ptr, "x-", 2) == 0))
		return compile_wrong(k, &there, "is no keyword of JSON Schema");
	return true;
}
