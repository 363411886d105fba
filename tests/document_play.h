/* document_play.h - a document is read, changed here and there, and written: what was not
 * changed is there to the last byte, what was changed is what was asked for, and nothing
 * else moved.
 *
 * The first byte says what document it is, the second what is changed, the rest is JSON.
 * The includer has play_give_up().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_DOCUMENT_PLAY_H
#define TESTS_DOCUMENT_PLAY_H

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/jscan.h"
#include "base/json.h"
#include "guard/document.h"
#include "guard/loose.h"

enum {
	DOCUMENT_BYTES = 1 << 20
};

static void play_give_up(const char *why);

static inline size_t
document_edge(lz_str s, size_t at)
{
	while (!text_is_edge(s, at))
		at--;
	return at;
}

/* One or two edits; what is put in is no name, and nothing twice. A data URL may become
 * another file by them, or none that can be read; it is left alone. */
static inline void
document_edit(struct texts *all, struct text *t, unsigned *dice)
{
	lz_str s = t->shown.text;
	size_t from = 0, to;
	char with[40];

	if (s.len >= 5 && strncasecmp(s.ptr, "data:", 5) == 0)
		return;
	for (int k = 0; k < 2 && from < s.len; k++) {
		*dice = *dice * 1103515245u + 12345u;
		from = document_edge(s, from + (*dice >> 8) % (s.len - from));
		to = document_edge(s, from + 1 + (*dice >> 16) % (s.len - from));
		if (to <= from)
			return;
		(void)snprintf(
		    with, sizeof(with), "\"Z \xc3\xa9\\\n%u", *dice & 0xffffff);
		if (text_replace(all, t, from, to, lz_strz(with), false) != LZ_OK)
			play_give_up("an edit was refused");
		from = to;
	}
}

static inline void
document_write_all(struct document *d, struct buf *out)
{
	buf_init(out, DOCUMENT_BYTES * 8);
	if (document_write(d, false, out) != ST_OK)
		play_give_up("it could not be written");
}

/* The document without what its strings say. */
static inline json_t *
document_shape(json_t *j)
{
	json_t *out, *value;
	const char *key;
	size_t i;

	if (json_is_string(j))
		return json_string("");
	if (json_is_array(j)) {
		out = json_array();
		json_array_foreach(j, i, value)
		{
			(void)json_array_append_new(out, document_shape(value));
		}
		return out;
	}
	if (!json_is_object(j))
		return json_incref(j);
	/* Keys may be texts: only the values, in order. */
	out = json_array();
	json_object_foreach(j, key, value)
	{
		(void)json_array_append_new(out, document_shape(value));
	}
	return out;
}

static inline void
document_compare_shapes(lz_str before, lz_str after)
{
	json_t *a = json_loadb(before.ptr, before.len, JSON_ALLOW_NUL, NULL);
	json_t *b = json_loadb(after.ptr, after.len, JSON_ALLOW_NUL, NULL);
	json_t *x = a != NULL ? document_shape(a) : NULL;
	json_t *y = b != NULL ? document_shape(b) : NULL;

	if ((a == NULL) != (b == NULL))
		play_give_up("it is no JSON any more");
	/* Members that were there twice are once in a tree. */
	if (x != NULL && !json_equal(x, y) &&
	    json_dumpb(a, NULL, 0, JSON_COMPACT) == before.len)
		play_give_up("something else has moved");
	json_decref(x);
	json_decref(y);
	json_decref(a);
	json_decref(b);
}

/* Arguments that were no JSON may have become some, and are read as such; the blanks or
 * the URL of a file may have become what nobody can read. */
static inline bool
document_has_new_json(const struct document *d)
{
	for (size_t i = 0; i < d->texts.count; i++) {
		const struct text *t = &d->texts.item[i];

		if (t->is_changed && t->shown.kind == LZ_TOOL_ARGUMENTS &&
		    loose_is_json(t->shown.text))
			return true;
	}
	return false;
}

static inline void
document_compare_texts(const struct document *wanted, const struct document *got)
{
	if (document_has_new_json(wanted) || got->has_unread)
		return;
	if (wanted->texts.count != got->texts.count)
		play_give_up("there are more texts, or fewer");
	for (size_t i = 0; i < wanted->texts.count; i++) {
		const lz_text *a = &wanted->texts.item[i].shown;
		const lz_text *b = &got->texts.item[i].shown;

		if (a->kind != b->kind || a->message != b->message)
			play_give_up("a text is of another kind");
		if (!str_eq(a->text, b->text))
			play_give_up("a text is not what it was made");
	}
}

static inline void
document_play(const uint8_t *data, size_t size)
{
	static struct jscan scan;
	struct document d = { .choice = 0 }, again = { .choice = 0 };
	struct arena *a;
	struct buf out;
	unsigned dice;
	lz_str bytes;

	if (size < 2 || size > DOCUMENT_BYTES)
		return;
	bytes = lz_strn((const char *)data + 2, size - 2);
	if (jscan_object(bytes, &scan, NULL) != ST_OK)
		return;
	a = arena_new((size_t)1 << 30);
	if (document_read(&d, data[0] % 4, bytes, a) != ST_OK)
		play_give_up("it could not be read");
	document_write_all(&d, &out);
	if (!str_eq(buf_str(&out), bytes))
		play_give_up("what nobody changed is not the same");
	buf_free(&out);
	dice = data[1];
	for (size_t i = 0; i < d.texts.count; i++)
		if ((dice = dice * 1103515245u + 12345u) & 0x10000)
			document_edit(&d.texts, &d.texts.item[i], &dice);
	if (document_apply(&d) != ST_OK)
		play_give_up("it could not be changed");
	document_write_all(&d, &out);
	if (jscan_value(buf_str(&out), NULL) != ST_OK)
		play_give_up("it is no JSON any more");
	document_compare_shapes(bytes, buf_str(&out));
	if (document_read(&again, data[0] % 4, buf_str(&out), a) != ST_OK)
		play_give_up("it could not be read again");
	document_compare_texts(&d, &again);
	buf_free(&out);
	arena_free(a);
}

#endif
