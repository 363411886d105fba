/* fake_json.c - JSON that scripts make while they are tested: jansson's trees, let go
 * with the host.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/fake_json.h"

#include <stdlib.h>

enum {
	TEXT_BYTES = 16 << 20,
	KEY_BYTES = 256
};

static lz_json *
keep(lz_call *c, json_t *j)
{
	if (j != NULL && json_array_append_new(fake_keep(c), j) == 0)
		return (lz_json *)(void *)j;
	return NULL;
}

static json_t *
tree_of(const lz_json *j)
{
	return (json_t *)(uintptr_t)(const void *)j;
}

static lz_json *
parse(lz_call *c, lz_str text)
{
	return keep(c, json_parse(text, NULL));
}

static lz_str
text_of(lz_call *c, const lz_json *j)
{
	struct buf b;
	lz_str copy = STR_NONE;

	buf_init(&b, TEXT_BYTES);
	if (j != NULL && json_print(tree_of(j), &b))
		copy = arena_copy(fake_memory(c), buf_str(&b));
	buf_free(&b);
	return copy;
}

static lz_json *
new_of(lz_call *c, int32_t type)
{
	return keep(c, type == LZ_OBJECT  ? json_object()
		       : type == LZ_ARRAY ? json_array()
					  : json_null());
}

static lz_json *
of_str(lz_call *c, lz_str s)
{
	return keep(c, json_stringn(s.ptr, s.len));
}

static lz_json *
of_int(lz_call *c, int64_t v)
{
	return keep(c, json_integer(v));
}

static lz_json *
of_num(lz_call *c, double v)
{
	return keep(c, json_real(v));
}

static lz_json *
of_bool(lz_call *c, int32_t v)
{
	return keep(c, json_boolean(v));
}

static int32_t
set(lz_call *c, lz_json *object, lz_str key, const lz_json *value)
{
	(void)c;
	if (value == NULL) {
		(void)json_object_deln(tree_of(object), key.ptr, key.len);
		return LZ_OK;
	}
	return json_object_setn(tree_of(object), key.ptr, key.len, tree_of(value)) == 0
		   ? LZ_OK
		   : LZ_E_INVALID;
}

/* The next step of a pointer, unescaped. */
static const char *
step(const char *at, char key[KEY_BYTES], size_t *len)
{
	*len = 0;
	for (at++; *at != '\0' && *at != '/'; at++) {
		char c = *at;

		if (c == '~' && (at[1] == '0' || at[1] == '1'))
			c = *++at == '0' ? '~' : '/';
		if (*len + 1 < KEY_BYTES)
			key[(*len)++] = c;
	}
	key[*len] = '\0';
	return at;
}

static int32_t
put_into(json_t *into, const char *key, size_t len, json_t *value)
{
	size_t i = strcmp(key, "-") == 0 ? json_array_size(into) : strtoul(key, NULL, 10);

	if (json_is_object(into) && value == NULL)
		return json_object_deln(into, key, len) == 0 ? LZ_OK : LZ_OK;
	if (json_is_object(into))
		return json_object_setn(into, key, len, value) == 0 ? LZ_OK
								    : LZ_E_INVALID;
	if (!json_is_array(into) || i > json_array_size(into))
		return LZ_E_INVALID;
	if (value == NULL)
		return json_array_remove(into, i) == 0 ? LZ_OK : LZ_E_INVALID;
	if (i == json_array_size(into))
		return json_array_append(into, value) == 0 ? LZ_OK : LZ_E_NOMEM;
	return json_array_set(into, i, value) == 0 ? LZ_OK : LZ_E_NOMEM;
}

static int32_t
put(lz_call *c, lz_json *root, const char *pointer, const lz_json *value)
{
	json_t *into = tree_of(root), *next;
	char key[KEY_BYTES];
	size_t len;

	(void)c;
	while (*pointer == '/') {
		pointer = step(pointer, key, &len);
		if (*pointer == '\0')
			return put_into(into, key, len, tree_of(value));
		next = json_is_array(into) ? json_array_get(into, strtoul(key, NULL, 10))
					   : json_object_getn(into, key, len);
		if (next == NULL) {
			next = pointer[1] == '0' || pointer[1] == '-' ? json_array()
								      : json_object();
			if (put_into(into, key, len, next) != LZ_OK) {
				json_decref(next);
				return LZ_E_INVALID;
			}
			json_decref(next);
		}
		into = next;
	}
	return LZ_E_INVALID;
}

void
fake_json_fill(lz_host *h)
{
	h->json_parse = parse;
	h->json_text = text_of;
	h->json_new = new_of;
	h->json_of_str = of_str;
	h->json_of_int = of_int;
	h->json_of_num = of_num;
	h->json_of_bool = of_bool;
	h->json_set = set;
	h->json_put = put;
}
