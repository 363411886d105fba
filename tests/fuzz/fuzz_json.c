/* fuzz_json.c - the scanner, its readers and jansson: they agree on what is JSON and on
 * what it says, and what we print reads back as what it was.
 *
 * Asked of jansson directly, because json_parse() asks the scanner first.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "base/jscan.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
has_byte(lz_str text, char c)
{
	return str_find(text, c) >= 0;
}

/* ---- the readers against the tree ---- */

static void compare(lz_str text, const json_t *tree);

static void
compare_string(const struct jscan_member *m, const json_t *value)
{
	char *room = malloc(m->value.len);
	lz_str text;

	must(room != NULL);
	must(jscan_string(m, room, &text));
	must(json_is_string(value) && text.len == json_string_length(value));
	must(text.len == 0 || memcmp(text.ptr, json_string_value(value), text.len) == 0);
	free(room);
}

static void
compare_number(const struct jscan_member *m, const json_t *value)
{
	int64_t n;

	if (jscan_int(m, &n))
		must(json_is_integer(value) && json_integer_value(value) == n);
	else
		must(json_is_real(value));
}

static void
compare_value(const struct jscan_member *m, const json_t *value)
{
	switch (m->type) {
	case JSCAN_NULL:
		must(json_is_null(value));
		break;
	case JSCAN_FALSE:
		must(json_is_false(value));
		break;
	case JSCAN_TRUE:
		must(json_is_true(value));
		break;
	case JSCAN_NUMBER:
		compare_number(m, value);
		break;
	case JSCAN_STRING:
		compare_string(m, value);
		break;
	case JSCAN_ARRAY:
	case JSCAN_OBJECT:
		compare(m->value, value);
	}
}

static void
compare_object(lz_str text, const json_t *tree)
{
	const char *key;
	json_t *value;
	struct jscan_member m;
	lz_str rest = text;
	size_t n = 0;

	while (jscan_next(&rest, &m))
		n++;
	must(json_is_object(tree) && n == json_object_size(tree));
	json_object_foreach((json_t *)(uintptr_t)tree, key, value)
	{
		must(jscan_inner(text, key, &m));
		must(jscan_key_is(m.key, key));
		compare_value(&m, value);
	}
}

/* An item as the member of an object around it: members know their types. */
static void
compare_item(lz_str item, const json_t *value)
{
	struct jscan_member m;
	struct buf b;

	buf_init(&b, item.len + 8);
	buf_add(&b, "{\"\":", 4);
	buf_add_str(&b, item);
	buf_add_char(&b, '}');
	must(jscan_inner(buf_str(&b), "", &m) && str_eq(m.value, item));
	compare_value(&m, value);
	buf_free(&b);
}

static void
compare(lz_str text, const json_t *tree)
{
	lz_str rest = text, item;
	size_t n = 0;

	if (json_is_object(tree)) {
		compare_object(text, tree);
		return;
	}
	must(json_is_array(tree));
	while (jscan_next_item(&rest, &item))
		compare_item(item, json_array_get(tree, n++));
	must(n == json_array_size(tree));
}

/* Strings in all: keys and values. */
static size_t
count_strings(const json_t *tree)
{
	const char *key;
	json_t *value;
	size_t i, n = json_is_string(tree);

	json_object_foreach((json_t *)(uintptr_t)tree, key, value)
	{
		n += 1 + count_strings(value);
	}
	json_array_foreach((json_t *)(uintptr_t)tree, i, value)
	{
		n += count_strings(value);
	}
	return n;
}

static void
check_strings(lz_str text, const json_t *tree)
{
	size_t n = 0;
	lz_str s;

	while (jscan_next_string(&text, &s))
		n++;
	must(n == count_strings(tree));
}

/* ---- the request's door ---- */

static bool
is_member_policy(lz_str text, const json_t *tree)
{
	return json_object_size(tree) > JSCAN_MEMBERS || has_byte(text, '\\');
}

/* Not strndup(): under strict_string_checks it wants a NUL behind the whole input. */
static char *
copy_of(lz_str s)
{
	char *copy = malloc(s.len + 1);

	must(copy != NULL);
	memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return copy;
}

static void
check_request(lz_str text, const json_t *tree)
{
	static struct jscan s;
	enum status st = jscan_object(text, &s, NULL);

	if (!json_is_object(tree)) {
		must(st != ST_OK);
		return;
	}
	must(st == ST_OK || is_member_policy(text, tree));
	for (size_t i = 0; st == ST_OK && i < s.count; i++) {
		const struct jscan_member *m = &s.member[i];
		char *key = copy_of(m->key);

		must(m->key.ptr > text.ptr && m->value.len > 0 &&
		     m->value.ptr + m->value.len < text.ptr + text.len);
		compare_value(m, json_object_get(tree, key));
		free(key);
	}
	must(st != ST_OK || s.count == json_object_size(tree));
}

/* ---- printing ---- */

static void
check_printing(const json_t *tree)
{
	struct buf once, twice;
	json_t *again;

	buf_init(&once, 64 << 20);
	buf_init(&twice, 64 << 20);
	must(json_print(tree, &once));
	again = json_parse(buf_str(&once), NULL);
	must(again != NULL && json_equal(tree, again));
	must(json_print(again, &twice) && str_eq(buf_str(&once), buf_str(&twice)));
	json_decref(again);
	buf_free(&once);
	buf_free(&twice);
}

/* Of texts that no scan passed, the readers may say anything, but they must come to an
 * end and stay inside. */
static void
read_unchecked(lz_str text)
{
	struct jscan_member m;
	lz_str rest, item;

	for (rest = text; jscan_next(&rest, &m);)
		(void)jscan_key_is(m.key, "model");
	for (rest = text; jscan_next_item(&rest, &item);)
		;
	for (rest = text; jscan_next_string(&rest, &item);)
		;
	(void)jscan_inner(text, "a", &m);
}

/* What jansson takes and the scanner does not: more levels, members and items than are
 * let in, and a NUL byte behind a number. */
static void
check_verdicts(lz_str text, const json_t *tree, enum status st, const json_error_t *why)
{
	if (st == ST_OK)
		must(tree != NULL || json_error_code(why) == json_error_duplicate_key);
	else if (tree != NULL)
		must(st == ST_LIMIT || has_byte(text, '\0'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	lz_str text = lz_strn((const char *)data, size);
	static struct jscan s;
	json_error_t why;
	enum status st;
	json_t *tree;

	st = jscan_value(text, NULL);
	tree = json_loadb((const char *)data, size,
	    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
	check_verdicts(text, tree, st, &why);
	must(jscan_object(text, &s, NULL) != ST_OK || st == ST_OK);
	if (st == ST_OK && tree != NULL) {
		if (json_is_object(tree) || json_is_array(tree))
			compare(text, tree);
		check_request(text, tree);
		check_strings(text, tree);
		check_printing(tree);
	}
	read_unchecked(text);
	json_decref(tree);
	return 0;
}
