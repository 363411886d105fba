/* jtree.c - a tree of jansson's from a text that jscan_value() passed.
 *
 * Not jansson's own reader: that of 2.14 asserts, and so ends the process, when memory
 * runs out while it copies a token aside (lex_save() takes a failed append for
 * impossible). Since the text is known to be JSON, what is left to do is small; it also
 * takes half the time.
 *
 * Recursion is as deep as the text, which is 63 brackets at most.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"

#include <locale.h>
#include <stdlib.h>

#include "base/jscan.h"
#include "base/jtext.h"
#include "base/mem.h"
#include "base/plain.h"

enum {
	SHORT_BYTES = 128, /* of what is decoded on the stack */
	SHOWN_BYTES = 64   /* of a key, in a sentence */
};

struct tree {
	const char *start, *p, *end;
	bool is_refused; /* and e says why; else a failure is a lack of memory */
	struct err *e;
};

/* A string as it is meant. */
struct decoded {
	lz_str text;
	char room[SHORT_BYTES], *heap; /* where it was put together, if it had to be */
};

static json_t *build(struct tree *t);

/* t->p is at the opening quote; it moves behind the string. */
static bool
decode(struct tree *t, struct decoded *d)
{
	struct jscan_member m = { .type = JSCAN_STRING };
	const char *open = t->p++;
	char *room = d->room;

	d->heap = NULL;
	while (*(t->p = plain_to_quote(t->p, t->end)) != '"') {
		m.has_escape = true;
		t->p += 2;
	}
	m.value = lz_strn(open, (size_t)(++t->p - open));
	if (m.has_escape && m.value.len > sizeof(d->room)) {
		room = d->heap = mem_alloc(m.value.len);
		if (room == NULL)
			return false;
	}
	return jscan_string(&m, room, &d->text);
}

static json_t *
build_string(struct tree *t)
{
	struct decoded d;
	json_t *j = NULL;

	if (decode(t, &d))
		j = json_stringn_nocheck(d.text.ptr, d.text.len);
	mem_free(d.heap);
	return j;
}

/* strtod() reads what the locale would write. */
static json_t *
real_of(char *copy, lz_str text)
{
	char *point;

	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	point = strchr(copy, '.');
	if (point != NULL)
		*point = *localeconv()->decimal_point;
	return json_real(strtod(copy, NULL));
}

static json_t *
build_real(lz_str text)
{
	char room[SHORT_BYTES], *heap;
	json_t *j;

	if (text.len < sizeof(room))
		return real_of(room, text);
	heap = mem_alloc(text.len + 1);
	if (heap == NULL)
		return NULL;
	j = real_of(heap, text);
	mem_free(heap);
	return j;
}

static bool
is_number_byte(char c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' ||
	       c == 'E';
}

static json_t *
build_number(struct tree *t)
{
	struct jscan_member m = { .type = JSCAN_NUMBER };
	const char *from = t->p;
	int64_t v;

	while (t->p < t->end && is_number_byte(*t->p))
		t->p++;
	m.value = lz_strn(from, (size_t)(t->p - from));
	return jscan_int(&m, &v) ? json_integer(v) : build_real(m.value);
}

/* The next byte that is no blank; in a text that was passed there is one. */
static char
next(struct tree *t)
{
	t->p = jtext_skip_blanks(t->p, t->end);
	return *t->p;
}

/* Behind a value: moves behind the comma, or behind the bracket that closes. */
static bool
has_more(struct tree *t)
{
	bool is_comma = next(t) == ',';

	t->p++;
	return is_comma;
}

static json_t *
build_array(struct tree *t)
{
	json_t *list = json_array();

	t->p++;
	if (next(t) == ']') {
		t->p++;
		return list;
	}
	do {
		if (json_array_append_new(list, build(t)) != 0) {
			json_decref(list);
			return NULL;
		}
	} while (has_more(t));
	return list;
}

static bool
refuse_twice(struct tree *t, const char *at, lz_str key)
{
	t->is_refused = true;
	(void)err_fail(t->e, ST_INVALID,
	    "JSON at byte %zu: duplicate object key \"%.*s\"", (size_t)(at - t->start),
	    STR_ARG(str_cut(key, 0, SHOWN_BYTES)));
	return false;
}

static bool
add_member(struct tree *t, json_t *object)
{
	struct decoded key;
	bool is_added = false;
	const char *at;

	(void)next(t);
	at = t->p;
	if (decode(t, &key)) {
		(void)next(t);
		t->p++; /* the colon */
		is_added = json_object_getn(object, key.text.ptr, key.text.len) != NULL
			       ? refuse_twice(t, at, key.text)
			       : json_object_setn_new_nocheck(
				     object, key.text.ptr, key.text.len, build(t)) == 0;
	}
	mem_free(key.heap);
	return is_added;
}

static json_t *
build_object(struct tree *t)
{
	json_t *object = json_object();

	t->p++;
	if (next(t) == '}') {
		t->p++;
		return object;
	}
	do {
		if (object == NULL || !add_member(t, object)) {
			json_decref(object);
			return NULL;
		}
	} while (has_more(t));
	return object;
}

static json_t *
build_word(struct tree *t, size_t n, json_t *j)
{
	t->p += n;
	return j;
}

static json_t *
build(struct tree *t)
{
	switch (next(t)) {
	case '{':
		return build_object(t);
	case '[':
		return build_array(t);
	case '"':
		return build_string(t);
	case 't':
		return build_word(t, 4, json_true());
	case 'f':
		return build_word(t, 5, json_false());
	case 'n':
		return build_word(t, 4, json_null());
	default:
		return build_number(t);
	}
}

json_t *
json_parse(lz_str text, struct err *e)
{
	struct tree t = {
		.start = text.ptr, .p = text.ptr, .end = text.ptr + text.len, .e = e
	};
	json_t *j;

	if (jscan_value(text, e) != ST_OK)
		return NULL;
	j = build(&t);
	if (j == NULL && !t.is_refused) {
		json_note_dry();
		(void)err_fail(e, ST_NOMEM, "JSON: out of memory");
	}
	return j;
}
