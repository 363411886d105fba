/* jscan.h - one strict pass over a JSON text without building anything.
 *
 * It validates the whole grammar (RFC 8259, UTF-8, surrogates, number ranges, depth,
 * member counts, nothing after the end) and reports the top-level members as ranges, so
 * that routing reads what it needs, `model` is rewritten by splicing, and an unchanged
 * body goes on byte for byte. What a translation or guardrail needs beyond that is
 * jansson's work (base/json.h). Constant memory; no allocation.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_JSCAN_H
#define BASE_JSCAN_H

#include "base/status.h"
#include "base/str.h"

enum {
	JSCAN_MEMBERS = 64,  /* top-level members of a request; more is refused */
	JSCAN_DEPTH = 64,    /* open brackets at once: 64 are refused, 63 are fine */
	JSCAN_KEYS = 50000,  /* object members in all */
	JSCAN_ITEMS = 500000 /* array items in all */
};

enum jscan_type {
	JSCAN_NULL,
	JSCAN_FALSE,
	JSCAN_TRUE,
	JSCAN_NUMBER,
	JSCAN_STRING,
	JSCAN_ARRAY,
	JSCAN_OBJECT
};

struct jscan_member {
	lz_str key;   /* without quotes, as written */
	lz_str value; /* the value's text; a string's includes its quotes */
	enum jscan_type type;
	bool has_escape; /* of a string value */
	/* Strings inside it that are media: of more than 256 bytes, where a URL is wanted
	 * (the keys that jscan.c lists), "data:" and the type of an image, a sound, a
	 * film or a PDF in front. What says so anywhere else is a text to who reads it.
	 */
	uint32_t media_items;
	uint32_t media_bytes; /* of all of them */
	/* A key inside it is "type", or is written with an escape and may be: without
	 * one, no part is of another kind than text. */
	bool has_type;
};

struct jscan {
	size_t count;
	struct jscan_member member[JSCAN_MEMBERS];
};

/* The top-level object's members. ST_INVALID with a sentence that names the byte offset:
 * not JSON, not an object, a duplicate top-level key, an escaped or NUL-holding key, an
 * integer or real out of range, bytes after the end. ST_LIMIT: too deep, too many
 * members. text: borrowed, and the ranges point into it. [any] */
enum status jscan_object(lz_str text, struct jscan *out, struct err *e) MUST_CHECK;
/* The same with as many array items as there are, for texts that are only looked through,
 * and whose bytes are bounded: vectors. [any] */
enum status jscan_object_of_any_size(
    lz_str text, struct jscan *out, struct err *e) MUST_CHECK;
/* Any JSON value, validated only (JSONTestSuite). */
enum status jscan_value(lz_str text, struct err *e) MUST_CHECK;

/* NULL: absent. */
const struct jscan_member *jscan_find(const struct jscan *s, const char *key);
/* An integer without fraction or exponent that fits; false otherwise. */
bool jscan_int(const struct jscan_member *m, int64_t *out);
/* The decoded string. Without escapes it is a view into the text; else it is written to
 * `room`, which must hold value.len bytes. false: not a string. */
bool jscan_string(const struct jscan_member *m, char *room, lz_str *out);
/* Looks up one member inside an object's text without validating it again: for values
 * that jscan_object passed. Later duplicates win; nothing is counted (media_items is 0).
 * false: absent or no object. */
bool jscan_inner(lz_str object, const char *key, struct jscan_member *out);
/* The members of such a text one after the other. *rest is the object's text at first,
 * then what is left of it. false: there are no more. */
bool jscan_next(lz_str *rest, struct jscan_member *out);
/* Several of them in one walk: out[i] is the last that is called name[i], with a
 * value.ptr of NULL when there is none. */
void jscan_pick(
    lz_str object, const char *const *name, size_t n, struct jscan_member *out);
/* The items of such an array's text one after the other, like jscan_next(). */
bool jscan_next_item(lz_str *rest, lz_str *item);
/* Is a key, as written, this name? */
bool jscan_key_is(lz_str key, const char *name);
/* The strings of such a text one after the other, keys and values, without quotes and as
 * written. *rest is moved behind each. */
bool jscan_next_string(lz_str *rest, lz_str *out);

#endif
