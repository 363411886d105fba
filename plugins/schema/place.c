/* place.c - where we are in a value, and small services on JSON values.
 *
 * SPDX-License-Identifier: MIT
 */
#include "schema.h"

#include <math.h>
#include <stdio.h>

enum {
	KEY_BYTES = 100 /* of a key that is looked up by a pointer */
};

struct place
place_member(const struct place *parent, lz_str key)
{
	return (struct place){ parent, key, 0, parent->depth + 1 };
}

struct place
place_item(const struct place *parent, size_t index)
{
	return (struct place){ parent, { NULL, 0 }, index, parent->depth + 1 };
}

/* ---- printing ---- */

struct printing {
	char *out;
	size_t len;
	bool is_full;
};

static void
put(struct printing *p, const char *bytes, size_t n)
{
	if (p->is_full || p->len + n + 4 > POINTER_BYTES) { /* room for "..." */
		p->is_full = true;
		return;
	}
	memcpy(p->out + p->len, bytes, n);
	p->len += n;
}

/* One character of a key; control characters would break the line. */
static void
put_character(struct printing *p, const char *at, size_t n)
{
	if (*at == '~')
		put(p, "~0", 2);
	else if (*at == '/')
		put(p, "~1", 2);
	else if ((uint8_t)*at < 0x20)
		put(p, "?", 1);
	else
		put(p, at, n);
}

static void
print_step(struct printing *p, const struct place *at)
{
	char number[24];

	if (at->parent == NULL)
		return;
	print_step(p, at->parent);
	put(p, "/", 1);
	if (at->key.ptr == NULL) {
		int n = snprintf(number, sizeof(number), "%zu", at->index);

		put(p, number, (size_t)n);
		return;
	}
	for (size_t i = 0; i < at->key.len;) {
		size_t n = 1;

		while (
		    i + n < at->key.len && ((uint8_t)at->key.ptr[i + n] & 0xc0) == 0x80)
			n++;
		put_character(p, at->key.ptr + i, n);
		i += n;
	}
}

void
place_print(const struct place *at, char out[POINTER_BYTES])
{
	struct printing p = { out, 0, false };

	if (at->parent == NULL) {
		(void)snprintf(out, POINTER_BYTES, "(root)");
		return;
	}
	print_step(&p, at);
	if (p.is_full) {
		memcpy(out + p.len, "...", 3);
		p.len += 3;
	}
	out[p.len] = '\0';
}

void
sentence_end(char *sentence, size_t room)
{
	size_t n = strlen(sentence), from = n;

	if (n + 1 < room)
		return;
	while (from > 0 && ((uint8_t)sentence[from - 1] & 0xc0) == 0x80)
		from--;
	if (from > 0 && (uint8_t)sentence[from - 1] >= 0xc0)
		sentence[from - 1] = '\0';
}

/* ---- members ---- */

const lz_json *
json_member(const lz_json *object, lz_str key)
{
	char pointer[2 * KEY_BYTES + 2] = "/";
	size_t n = 1;

	if (lz->json_type(object) != LZ_OBJECT)
		return NULL;
	if (key.len > KEY_BYTES) {
		for (size_t i = 0; i < lz->json_len(object); i++) {
			lz_str name;

			(void)lz->json_item(object, i, &name);
			if (name.len == key.len &&
			    memcmp(name.ptr, key.ptr, key.len) == 0)
				return lz->json_item(object, i, NULL);
		}
		return NULL;
	}
	for (size_t i = 0; i < key.len; i++) {
		char ch = key.ptr[i];

		if (ch == '/' || ch == '~') {
			pointer[n++] = '~';
			ch = ch == '/' ? '1' : '0';
		}
		pointer[n++] = ch;
	}
	pointer[n] = '\0';
	return lz->json_at(object, pointer);
}

/* ---- numbers ---- */

bool
json_is_whole(const lz_json *j)
{
	double d;

	if (lz->json_type(j) == LZ_INT)
		return true;
	d = lz->json_num(j, 0.5);
	return floor(d) == d;
}

int
json_compare(const lz_json *a, const lz_json *b)
{
	double x, y;

	if (lz->json_type(a) == LZ_INT && lz->json_type(b) == LZ_INT) {
		int64_t i = lz->json_int(a, 0), k = lz->json_int(b, 0);

		return (i > k) - (i < k);
	}
	x = lz->json_num(a, 0);
	y = lz->json_num(b, 0);
	return (x > y) - (x < y);
}

/* ---- equality ---- */

static bool
is_number(int32_t type)
{
	return type == LZ_INT || type == LZ_REAL;
}

static bool
same_members(const lz_json *a, const lz_json *b, int64_t *steps, int64_t most)
{
	for (size_t i = 0; i < lz->json_len(a); i++) {
		lz_str key;
		const lz_json *mine = lz->json_item(a, i, &key),
			      *other = json_member(b, key);

		if (other == NULL || !json_same(mine, other, steps, most))
			return false;
	}
	return true;
}

bool
json_same(const lz_json *a, const lz_json *b, int64_t *steps, int64_t most)
{
	int32_t type = lz->json_type(a);
	lz_str empty = lz_strz(""), s, t;

	if (++*steps > most)
		return false;
	if (is_number(type) && is_number(lz->json_type(b)))
		return json_compare(a, b) == 0;
	if (type != lz->json_type(b))
		return false;
	switch (type) {
	case LZ_BOOL:
		return lz->json_bool(a, 0) == lz->json_bool(b, 0);
	case LZ_STRING:
		s = lz->json_str(a, empty);
		t = lz->json_str(b, empty);
		return s.len == t.len && memcmp(s.ptr, t.ptr, s.len) == 0;
	case LZ_ARRAY:
		if (lz->json_len(a) != lz->json_len(b))
			return false;
		for (size_t i = 0; i < lz->json_len(a); i++)
			if (!json_same(lz->json_item(a, i, NULL),
				lz->json_item(b, i, NULL), steps, most))
				return false;
		return true;
	case LZ_OBJECT:
		return lz->json_len(a) == lz->json_len(b) &&
		       same_members(a, b, steps, most);
	default:
		return true; /* null */
	}
}
