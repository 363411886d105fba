/* json.c - trees of JSON, kept by jansson and written by us.
 *
 * Reading is jtree.c. Writing: jansson 2.14 prints 0.1 as 0.10000000000000001 and takes
 * twice as long (README.md, "Decisions").
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/jscan.h"
#include "base/mem.h"

/* What was parsed is at most JSCAN_DEPTH deep; what a plugin builds around it may add
 * some levels. */
enum {
	PRINT_DEPTH = 4 * JSCAN_DEPTH
};

/* jansson's setters say little, and builders of a large answer ask each of them nothing:
 * whoever gives such a tree away asks once, at its end. */
static _Thread_local bool ran_dry;

static void *
noted_alloc(size_t n)
{
	void *p = mem_alloc(n);

	if (p == NULL)
		ran_dry = true;
	return p;
}

void
json_start(void)
{
	size_t seed;

	crypto_random(&seed, sizeof(seed));
	/* 0 would make jansson look for a seed itself. */
	json_object_seed(seed | 1);
	json_set_alloc_funcs(noted_alloc, mem_free);
}

void
json_note_dry(void)
{
	ran_dry = true;
}

bool
json_ran_dry(void)
{
	bool was = ran_dry;

	ran_dry = false;
	return was;
}

/* Who has no room for it gives it back: from then on there is none. */
static json_t *
put_in(json_t *object, const char *name, json_t *fresh)
{
	return json_object_set_new(object, name, fresh) == 0 ? fresh : NULL;
}

json_t *
json_list_in(json_t *object, const char *name)
{
	json_t *there = json_object_get(object, name);

	return there != NULL ? there : put_in(object, name, json_array());
}

json_t *
json_object_in(json_t *object, const char *name)
{
	json_t *there = json_object_get(object, name);

	return there != NULL ? there : put_in(object, name, json_object());
}

/* ---- printing ---- */

static bool print(const json_t *j, struct buf *out, unsigned depth);

/* The shortest of 15, 16 or 17 digits that reads back as the same number; 17 do. */
static void
print_real(double v, struct buf *out)
{
	char text[32];
	bool is_plain = true;

	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	for (char *p = text; *p != '\0'; p++) {
		if (strchr("0123456789+-e", *p) == NULL)
			*p = '.'; /* whatever the locale writes there */
		if (*p == '.' || *p == 'e')
			is_plain = false;
	}
	buf_add_z(out, text);
	if (is_plain)
		buf_add(out, ".0", 2); /* a real stays a real */
}

static lz_str
string_of(const json_t *j)
{
	return lz_strn(json_string_value(j), json_string_length(j));
}

static bool
print_array(const json_t *j, struct buf *out, unsigned depth)
{
	size_t n = json_array_size(j);

	buf_add_char(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		if (!print(json_array_get(j, i), out, depth))
			return false;
	}
	buf_add_char(out, ']');
	return !out->failed;
}

static bool
print_object(const json_t *j, struct buf *out, unsigned depth)
{
	json_t *object = (json_t *)(uintptr_t)
	    j; /* json_object_iter() lacks a const; it changes nothing */
	bool is_first = true;

	buf_add_char(out, '{');
	for (void *i = json_object_iter(object); i != NULL;
	     i = json_object_iter_next(object, i)) {
		if (!is_first)
			buf_add_char(out, ',');
		is_first = false;
		buf_add_json(out, lz_strz(json_object_iter_key(i)));
		buf_add_char(out, ':');
		if (!print(json_object_iter_value(i), out, depth))
			return false;
	}
	buf_add_char(out, '}');
	return !out->failed;
}

static bool
print(const json_t *j, struct buf *out, unsigned depth)
{
	if (j == NULL || depth == 0)
		return false;
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return print_object(j, out, depth - 1);
	case JSON_ARRAY:
		return print_array(j, out, depth - 1);
	case JSON_STRING:
		buf_add_json(out, string_of(j));
		break;
	case JSON_INTEGER:
		buf_add_int(out, json_integer_value(j));
		break;
	case JSON_REAL:
		print_real(json_real_value(j), out);
		break;
	case JSON_TRUE:
		buf_add_z(out, "true");
		break;
	case JSON_FALSE:
		buf_add_z(out, "false");
		break;
	case JSON_NULL:
		buf_add_z(out, "null");
		break;
	}
	return !out->failed;
}

bool
json_print(const json_t *j, struct buf *out)
{
	size_t was = out->len;

	if (print(j, out, PRINT_DEPTH))
		return true;
	out->len = was;
	out->failed = true;
	return false;
}

/* ---- reading a tree ---- */

lz_str
json_get_str(const json_t *object, const char *key)
{
	const json_t *j = json_object_get(object, key);

	return json_is_string(j) ? string_of(j) : STR_NONE;
}

int64_t
json_get_int(const json_t *object, const char *key, int64_t otherwise)
{
	const json_t *j = json_object_get(object, key);

	return json_is_integer(j) ? json_integer_value(j) : otherwise;
}

bool
json_get_bool(const json_t *object, const char *key, bool otherwise)
{
	const json_t *j = json_object_get(object, key);

	return json_is_boolean(j) ? json_is_true(j) : otherwise;
}
