/* value.c - the JSON functions of the host table. Inside the host an lz_json is jansson's
 * json_t.
 *
 * Every function takes NULL and gives NULL or the fallback, so that a plugin reads a
 * document without a check between. What a plugin made is let go at the end of its call;
 * what it overwrote stays until then too, because it may hold a pointer into it.
 *
 * Writing through a path copies what is shared. A value is the plugin's own to write into
 * when it has one owner only, or when a function here made it for the plugin: that is
 * what memory_has_made() knows. Everything else on the path came by const reference, is
 * copied one level deep and put in its place.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/host.h"

enum {
	POINTER_STEPS = 64, /* as deep as a text may be */
	KEY_BYTES = 256,    /* of one step of a pointer */
	TEXT_BYTES = 64 << 20
};

/* value_item() walks an object member by member; jansson's objects have no index. What
 * was found last is remembered per thread, and forgotten whenever a tree may have
 * changed: before each call and at each write. */
static _Thread_local struct {
	const json_t *object;
	size_t at;
	void *iter;
} walk;

void
value_forget(void)
{
	walk.object = NULL;
}

static json_t *
tree_of(const lz_json *j)
{
	return (json_t *)(uintptr_t)j;
}

static lz_json *
value_of(json_t *j)
{
	return (lz_json *)(void *)j;
}

/* ---- reading ---- */

/* Decodes the next step of an RFC 6901 pointer: "~1" is a slash, "~0" a tilde. false:
 * malformed, or there is none. */
static bool
next_step(const char **pointer, char *key, size_t *len)
{
	const char *p = *pointer;
	size_t n = 0;

	if (*p++ != '/')
		return false;
	for (; *p != '\0' && *p != '/'; p++) {
		char c = *p;

		if (c == '~') {
			if (p[1] != '0' && p[1] != '1')
				return false;
			c = *++p == '0' ? '~' : '/';
		}
		if (n + 1 >= KEY_BYTES)
			return false;
		key[n++] = c;
	}
	key[n] = '\0';
	*len = n;
	*pointer = p;
	return true;
}

/* "0" or digits without a leading zero. */
static bool
step_index(const char *key, size_t len, size_t *index)
{
	int64_t v;

	if ((len > 1 && key[0] == '0') || !str_to_int(lz_strn(key, len), INT32_MAX, &v))
		return false;
	*index = (size_t)v;
	return true;
}

static json_t *
child(const json_t *j, const char *key, size_t len)
{
	size_t i;

	if (json_is_object(j))
		return json_object_getn(j, key, len);
	if (json_is_array(j) && step_index(key, len, &i))
		return json_array_get(j, i);
	return NULL;
}

static const lz_json *
value_at(const lz_json *value, const char *pointer)
{
	const json_t *j = tree_of(value);
	char key[KEY_BYTES];
	size_t len;

	if (pointer == NULL)
		return NULL;
	while (j != NULL && *pointer != '\0') {
		if (!next_step(&pointer, key, &len))
			return NULL;
		j = child(j, key, len);
	}
	return (const lz_json *)(const void *)j;
}

static void *
iter_at(json_t *object, size_t i)
{
	void *iter;
	size_t at = 0;

	if (walk.object == object && walk.at <= i) {
		iter = walk.iter;
		at = walk.at;
	} else {
		iter = json_object_iter(object);
	}
	for (; at < i && iter != NULL; at++)
		iter = json_object_iter_next(object, iter);
	walk.object = iter != NULL ? object : NULL;
	walk.at = i;
	walk.iter = iter;
	return iter;
}

static const lz_json *
value_item(const lz_json *value, size_t i, lz_str *key)
{
	json_t *j = tree_of(value);
	void *iter;

	if (key != NULL)
		*key = STR_NONE;
	if (json_is_array(j))
		return value_of(json_array_get(j, i));
	if (!json_is_object(j) || i >= json_object_size(j))
		return NULL;
	iter = iter_at(j, i);
	if (iter == NULL)
		return NULL;
	if (key != NULL)
		*key =
		    lz_strn(json_object_iter_key(iter), json_object_iter_key_len(iter));
	return value_of(json_object_iter_value(iter));
}

static size_t
value_len(const lz_json *value)
{
	const json_t *j = tree_of(value);

	return json_is_array(j) ? json_array_size(j) : json_object_size(j);
}

static int32_t
value_type(const lz_json *value)
{
	const json_t *j = tree_of(value);

	switch (j != NULL ? json_typeof(j) : JSON_NULL) {
	case JSON_OBJECT:
		return LZ_OBJECT;
	case JSON_ARRAY:
		return LZ_ARRAY;
	case JSON_STRING:
		return LZ_STRING;
	case JSON_INTEGER:
		return LZ_INT;
	case JSON_REAL:
		return LZ_REAL;
	case JSON_TRUE:
	case JSON_FALSE:
		return LZ_BOOL;
	case JSON_NULL:
		break;
	}
	return LZ_NULL;
}

static lz_str
value_str(const lz_json *value, lz_str otherwise)
{
	const json_t *j = tree_of(value);

	return json_is_string(j) ? lz_strn(json_string_value(j), json_string_length(j))
				 : otherwise;
}

static int64_t
value_int(const lz_json *value, int64_t otherwise)
{
	const json_t *j = tree_of(value);
	double d = json_is_real(j) ? json_real_value(j) : 0.5;

	if (json_is_integer(j))
		return json_integer_value(j);
	/* 7.0 is seven to whoever wrote it; 2^53 bounds what a double says exactly. */
	if (d >= -9007199254740992.0 && d <= 9007199254740992.0 &&
	    d == (double)(int64_t)d)
		return (int64_t)d;
	return otherwise;
}

static double
value_num(const lz_json *value, double otherwise)
{
	const json_t *j = tree_of(value);

	return json_is_number(j) ? json_number_value(j) : otherwise;
}

static int32_t
value_bool(const lz_json *value, int32_t otherwise)
{
	const json_t *j = tree_of(value);

	return json_is_boolean(j) ? json_is_true(j) : otherwise;
}

/* ---- making ---- */

static lz_json *
made(lz_call *c, json_t *j)
{
	if (c == NULL) {
		json_decref(j);
		return NULL;
	}
	return memory_own_json(visit_of(c)->now, j, OWNED_MADE) ? value_of(j) : NULL;
}

static lz_json *
value_of_text(lz_call *c, lz_str text)
{
	return c != NULL && text.ptr != NULL ? made(c, json_parse(text, NULL)) : NULL;
}

static lz_str
value_to_text(lz_call *c, const lz_json *value)
{
	struct buf out;

	if (c == NULL || value == NULL)
		return STR_NONE;
	buf_init(&out, TEXT_BYTES);
	if (!json_print(tree_of(value), &out)) {
		buf_free(&out);
		return STR_NONE;
	}
	if (!memory_own(visit_of(c)->now, out.ptr))
		return STR_NONE;
	return buf_str(&out);
}

static lz_json *
value_new(lz_call *c, int32_t type)
{
	switch (type) {
	case LZ_OBJECT:
		return made(c, json_object());
	case LZ_ARRAY:
		return made(c, json_array());
	case LZ_NULL:
		return made(c, json_null());
	default:
		return NULL;
	}
}

static lz_json *
value_of_str(lz_call *c, lz_str s)
{
	return s.ptr != NULL ? made(c, json_stringn(s.ptr, s.len)) : NULL;
}

static lz_json *
value_of_int(lz_call *c, int64_t v)
{
	return made(c, json_integer(v));
}

static lz_json *
value_of_num(lz_call *c, double v)
{
	return made(c, json_real(v));
}

static lz_json *
value_of_bool(lz_call *c, int32_t v)
{
	return made(c, json_boolean(v));
}

/* ---- writing ---- */

static bool
holds(const json_t *j, const json_t *wanted, unsigned depth)
{
	const char *key;
	json_t *inner;
	size_t i;

	if (j == wanted)
		return true;
	if (depth == 0)
		return true; /* too deep to tell, and too deep to print */
	json_array_foreach(j, i, inner)
	{
		if (holds(inner, wanted, depth - 1))
			return true;
	}
	json_object_foreach((json_t *)(uintptr_t)j, key, inner)
	{
		if (holds(inner, wanted, depth - 1))
			return true;
	}
	return false;
}

/* Would `into` become a part of itself? Only what has a second owner can be inside
 * another value. */
static bool
makes_circle(const json_t *into, const json_t *value)
{
	if (!json_is_object(value) && !json_is_array(value))
		return false;
	return into == value ||
	       (into->refcount > 1 && holds(value, into, 4 * POINTER_STEPS));
}

/* What is about to lose its place stays until the call ends: the plugin may have looked
 * at it. */
static bool
keep_old(struct visit *v, json_t *old)
{
	return old == NULL || memory_own_json(v->now, json_incref(old), OWNED_KEPT);
}

static int32_t
set_member(struct visit *v, json_t *object, const char *key, size_t len, json_t *value)
{
	json_t *old = json_object_getn(object, key, len);

	if (!keep_old(v, old))
		return LZ_E_NOMEM;
	if (value == NULL)
		return old == NULL || json_object_deln(object, key, len) == 0 ? LZ_OK
									      : LZ_E_FAIL;
	return json_object_setn(object, key, len, value) == 0 ? LZ_OK : LZ_E_INVALID;
}

static int32_t
set_item(struct visit *v, json_t *array, const char *key, size_t len, json_t *value)
{
	size_t i = json_array_size(array);

	if (!(len == 1 && key[0] == '-') && !step_index(key, len, &i))
		return LZ_E_INVALID;
	if (!keep_old(v, json_array_get(array, i)))
		return LZ_E_NOMEM;
	if (value == NULL)
		return i >= json_array_size(array) || json_array_remove(array, i) == 0
			   ? LZ_OK
			   : LZ_E_FAIL;
	if (i == json_array_size(array))
		return json_array_append(array, value) == 0 ? LZ_OK : LZ_E_NOMEM;
	return json_array_set(array, i, value) == 0 ? LZ_OK : LZ_E_INVALID;
}

static int32_t
set_child(struct visit *v, json_t *into, const char *key, size_t len, json_t *value)
{
	if (value != NULL && makes_circle(into, value))
		return LZ_E_INVALID;
	if (json_is_object(into))
		return set_member(v, into, key, len, value);
	if (json_is_array(into))
		return set_item(v, into, key, len, value);
	return LZ_E_INVALID;
}

static bool
is_own(const struct visit *v, const json_t *j)
{
	return j->refcount == 1 || memory_has_made(v->now, j) ||
	       memory_has_made(&v->keep, j);
}

/* The container at `key` in `into`, the plugin's own to write into: made when missing,
 * copied when shared. */
static int32_t
descend(struct visit *v, json_t *into, const char *key, size_t len, const char *rest,
    json_t **out)
{
	json_t *next = child(into, key, len), *mine;
	int32_t result;

	if (next != NULL && !json_is_object(next) && !json_is_array(next))
		return LZ_E_INVALID;
	if (next != NULL && is_own(v, next)) {
		*out = next;
		return LZ_OK;
	}
	if (next != NULL)
		mine = json_copy(next);
	else
		mine = (rest[1] == '0' || rest[1] == '-') &&
			       (rest[2] == '\0' || rest[2] == '/')
			   ? json_array()
			   : json_object();
	if (mine == NULL)
		return LZ_E_NOMEM;
	result = set_child(v, into, key, len, mine);
	json_decref(mine);
	*out = mine; /* into holds it, if it was set */
	return result;
}

/* Removing what is not there is no error, and makes no path to it. */
static bool
is_absent(const json_t *root, const char *pointer)
{
	return value_at((const lz_json *)(const void *)root, pointer) == NULL;
}

static int32_t
put(struct visit *v, json_t *root, const char *pointer, json_t *value)
{
	const json_t *path[POINTER_STEPS];
	json_t *into = root;
	char key[KEY_BYTES];
	size_t len, depth = 0;
	int32_t result;

	for (;;) {
		if (depth == POINTER_STEPS || !next_step(&pointer, key, &len))
			return LZ_E_INVALID;
		path[depth++] = into;
		if (*pointer == '\0')
			break;
		result = descend(v, into, key, len, pointer, &into);
		if (result != LZ_OK)
			return result;
	}
	for (size_t i = 0; value != NULL && i < depth; i++)
		if (makes_circle(path[i], value))
			return LZ_E_INVALID;
	return set_child(v, into, key, len, value);
}

static int32_t
value_put(lz_call *c, lz_json *root, const char *pointer, const lz_json *value)
{
	json_t *j = tree_of(root);

	if (c == NULL || j == NULL || pointer == NULL || *pointer == '\0')
		return LZ_E_INVALID;
	value_forget();
	if (value == NULL && is_absent(j, pointer))
		return LZ_OK;
	return put(visit_of(c), j, pointer, tree_of(value));
}

static int32_t
value_set(lz_call *c, lz_json *object, lz_str key, const lz_json *value)
{
	json_t *j = tree_of(object);

	if (c == NULL || !json_is_object(j) || key.ptr == NULL ||
	    str_find(key, '\0') >= 0)
		return LZ_E_INVALID;
	value_forget();
	return set_child(visit_of(c), j, key.ptr, key.len, tree_of(value));
}

void
value_fill(lz_host *h)
{
	h->json_parse = value_of_text;
	h->json_at = value_at;
	h->json_item = value_item;
	h->json_len = value_len;
	h->json_type = value_type;
	h->json_str = value_str;
	h->json_int = value_int;
	h->json_num = value_num;
	h->json_bool = value_bool;
	h->json_text = value_to_text;
	h->json_new = value_new;
	h->json_of_str = value_of_str;
	h->json_of_int = value_of_int;
	h->json_of_num = value_of_num;
	h->json_of_bool = value_of_bool;
	h->json_set = value_set;
	h->json_put = value_put;
}
