/* jscan.c - one strict pass over a JSON text.
 *
 * The pass keeps a pointer, a depth and one bit per open bracket (object or array), so
 * its memory does not depend on the input, and it is a loop, so its stack does not
 * either. What it refuses beyond RFC 8259 is what two parsers might read differently: the
 * gateway checks one reading of a request, and the provider must not find another. Those
 * are duplicate or escaped top-level keys, NUL in any key, surrogates without their half,
 * integers beyond 64 bits, reals beyond a double, and bytes after the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/jscan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/jtext.h"
#include "base/plain.h"

enum {
	MEDIA_BYTES = 256, /* a longer data: URL weighs as an item, not by its bytes */
	REAL_EXPONENT_MAX = 308,
	/* The least number that rounds to infinity, 2^1024 - 2^970, is an integer of 309
	 * digits: what stands behind the 309th decides nothing. */
	REAL_DIGITS = 309
};

struct scan {
	const char *start, *p, *end;
	uint64_t is_object; /* bit n: what bracket n + 1 opened */
	unsigned depth;
	uint32_t keys, items, max_items;
	uint32_t media_bytes, media_items;
	bool has_type, is_at_url;
	enum status failed;
	struct err *e;
};

/* A string as it was found. */
struct piece {
	lz_str text; /* between the quotes */
	bool has_escape, has_nul;
};

/* ---- refusing ---- */

/* Stops the scan; `what` is a complete half sentence. */
static bool
refuse_at(struct scan *s, const char *at, enum status st, const char *what)
{
	s->failed =
	    err_fail(s->e, st, "JSON at byte %zu: %s", (size_t)(at - s->start), what);
	return false;
}

static bool
refuse(struct scan *s, const char *what)
{
	return refuse_at(s, s->p, ST_INVALID, what);
}

/* The same where another byte was expected; names the byte that was found. */
static bool
refuse_byte(struct scan *s, const char *expected)
{
	unsigned char c = s->p < s->end ? (unsigned char)*s->p : 0;
	char what[120];

	if (s->p == s->end)
		(void)snprintf(
		    what, sizeof(what), "the text ends; expected %s", expected);
	else if (c > 0x20 && c < 0x7f)
		(void)snprintf(
		    what, sizeof(what), "unexpected '%c'; expected %s", c, expected);
	else
		(void)snprintf(what, sizeof(what), "unexpected byte 0x%02x; expected %s",
		    c, expected);
	return refuse(s, what);
}

/* ---- blanks ---- */

/* The next byte that is no blank, without taking it; '\0' at the end (and a NUL byte fits
 * nowhere either). */
static inline char
peek(struct scan *s)
{
	s->p = jtext_skip_blanks(s->p, s->end);
	return s->p < s->end ? *s->p : '\0';
}

/* ---- strings ---- */

/* s->p is at a backslash. */
static bool
scan_escape(struct scan *s, struct piece *out)
{
	const char *p = s->p + 1;
	size_t n;
	int c;

	out->has_escape = true;
	if (p == s->end)
		return refuse(s, "the text ends inside a string");
	if (jtext_short_escape(*p) != 0) {
		s->p = p + 1;
		return true;
	}
	if (*p != 'u')
		return refuse(s, "unknown escape in a string; JSON knows \\\" \\\\ \\/ "
				 "\\b \\f \\n \\r \\t \\uXXXX");
	c = jtext_unicode_escape(p, s->end, &n);
	if (c == -1)
		return refuse(s, "\\u without four hexadecimal digits");
	if (c == -2)
		return refuse(
		    s, "half of a surrogate pair; \\ud800 to \\udfff come in twos");
	out->has_nul |= c == 0;
	s->p = p + n;
	return true;
}

/* A run of bytes that are not ASCII. Text in most of the world's languages is little
 * else, so it stays here instead of returning to the caller for each character. */
static bool
scan_wide(struct scan *s)
{
	const char *p = s->p, *end = s->end;

	while (p < end && (unsigned char)*p >= 0x80) {
		size_t n = str_utf8_step(p, (size_t)(end - p));

		if (n == 0)
			return refuse_at(
			    s, p, ST_INVALID, "bytes that are not UTF-8 in a string");
		p += n;
	}
	s->p = p;
	return true;
}

/* s->p is at the opening quote. */
static bool
scan_string(struct scan *s, struct piece *out)
{
	const char *open = s->p++;

	out->has_escape = false;
	out->has_nul = false;
	for (;;) {
		s->p = plain_skip(s->p, s->end);
		if (s->p == s->end)
			return refuse_at(s, open, ST_INVALID,
			    "a string that begins here is not closed");
		if (*s->p == '"')
			break;
		if (*s->p == '\\') {
			if (!scan_escape(s, out))
				return false;
		} else if ((unsigned char)*s->p < 0x20) {
			return refuse(
			    s, "a control character in a string; write it as an escape");
		} else if (!scan_wide(s)) {
			return false;
		}
	}
	out->text = lz_strn(open + 1, (size_t)(s->p - open) - 1);
	s->p++;
	return true;
}

/* Where data: URLs stand: "url", "image_url", "file_data". */
static bool
is_url_key(lz_str key)
{
	return str_ends(key, "url") || str_is(key, "file_data");
}

/* A text may begin like one, and so does a file of text, which the model reads: neither
 * weighs less for it. */
static bool
is_media(lz_str text)
{
	static const char *const kinds[] = { "image/", "image\\/", "audio/", "audio\\/",
		"video/", "video\\/", "application/pdf;", "application\\/pdf;" };

	if (!str_starts(text, "data:"))
		return false;
	text = str_cut(text, strlen("data:"), text.len);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (str_starts(text, kinds[i]))
			return true;
	}
	return false;
}

static bool
scan_text(struct scan *s)
{
	struct piece piece;

	if (!scan_string(s, &piece))
		return false;
	if (s->is_at_url && piece.text.len > MEDIA_BYTES && is_media(piece.text)) {
		s->media_items++;
		s->media_bytes += (uint32_t)piece.text.len;
	}
	return true;
}

/* A member's key and the colon behind it; *key is without quotes. */
static bool
scan_key(struct scan *s, struct piece *key)
{
	const char *at;

	if (peek(s) != '"')
		return refuse_byte(s, "a key in double quotes");
	at = s->p;
	if (++s->keys > JSCAN_KEYS)
		return refuse_at(s, at, ST_LIMIT, "more than 50,000 object members");
	if (!scan_string(s, key))
		return false;
	if (key->has_nul)
		return refuse_at(s, at, ST_INVALID, "a key that holds \\u0000");
	if (peek(s) != ':')
		return refuse_byte(s, "':' after a key");
	s->p++;
	return true;
}

/* ---- numbers ---- */

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

/* Digits without sign and leading zeros, as the grammar has them. */
static bool
fits_int64(const char *p, const char *end, bool is_negative)
{
	const char *most = is_negative ? "9223372036854775808" : "9223372036854775807";

	return end - p < 19 || (end - p == 19 && memcmp(p, most, 19) <= 0);
}

/* The exponent's value, held at a number that no text can make up for with zeros. */
static int64_t
exponent_of(const char *p, const char *end)
{
	const int64_t enough = INT64_C(1) << 40;
	bool is_negative = p < end && *p == '-';
	int64_t v = 0;

	for (p += p < end && !is_digit(*p); p < end; p++) {
		if (v < enough)
			v = v * 10 + (*p - '0');
	}
	return is_negative ? -v : v;
}

/* Does a number of this decimal magnitude, the digits from `p` on, round to infinity?
 * Only those that begin where DBL_MAX does come here. The copy has no point, so the
 * locale has no say. */
static bool
rounds_to_infinity(const char *p, const char *end)
{
	char text[REAL_DIGITS + 8];
	size_t n = 0;

	for (; p < end && n < REAL_DIGITS; p++) {
		if (is_digit(*p))
			text[n++] = *p;
	}
	(void)snprintf(text + n, sizeof(text) - n, "e%d", REAL_EXPONENT_MAX + 1 - (int)n);
	return isinf(strtod(text, NULL));
}

/* digits: the integer part begins; mantissa_end: behind the last digit before the
 * exponent. */
static bool
is_infinite(
    const char *digits, const char *point, const char *mantissa_end, int64_t exponent)
{
	const char *first = digits;
	int64_t place;

	while (first < mantissa_end && (*first == '0' || *first == '.'))
		first++;
	if (first == mantissa_end)
		return false;
	place = first < point ? point - first - 1 : point - first;
	place += exponent;
	if (place != REAL_EXPONENT_MAX)
		return place > REAL_EXPONENT_MAX;
	return rounds_to_infinity(first, mantissa_end);
}

/* s->p is at a minus or a digit. */
static bool
scan_number(struct scan *s)
{
	const char *at = s->p, *digits = at + (*at == '-'), *point, *mantissa_end, *p;

	p = skip_digits(digits, s->end);
	if (p == digits || (*digits == '0' && p - digits > 1))
		return refuse(s, "a number without digits or with a leading zero");
	point = p;
	if (p < s->end && *p == '.') {
		p = skip_digits(p + 1, s->end);
		if (p == point + 1)
			return refuse(s, "a number that ends in its decimal point");
	}
	mantissa_end = p;
	if (p < s->end && (*p == 'e' || *p == 'E')) {
		const char *exponent = p + 1;

		p = exponent +
		    (exponent < s->end && (*exponent == '+' || *exponent == '-'));
		if (skip_digits(p, s->end) == p)
			return refuse(s, "a number whose exponent has no digits");
		p = skip_digits(p, s->end);
		if (is_infinite(digits, point, mantissa_end, exponent_of(exponent, p)))
			return refuse(s, "a number too large for a double");
	} else if (mantissa_end > point) {
		if (is_infinite(digits, point, mantissa_end, 0))
			return refuse(s, "a number too large for a double");
	} else if (!fits_int64(digits, p, digits != at)) {
		return refuse(s, "an integer beyond 64 bits");
	}
	s->p = p;
	return true;
}

/* ---- values ---- */

static bool
scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return refuse(s, "an unknown word; JSON knows true, false and null");
	s->p += n;
	return true;
}

static bool
scan_open(struct scan *s, bool is_object)
{
	uint64_t bit = UINT64_C(1) << s->depth;

	if (s->depth + 1 >= JSCAN_DEPTH)
		return refuse_at(
		    s, s->p, ST_LIMIT, "64 brackets open at once; at most 63 are taken");
	s->is_object = is_object ? s->is_object | bit : s->is_object & ~bit;
	s->depth++;
	s->p++;
	return true;
}

static inline bool
is_in_object(const struct scan *s)
{
	return (s->is_object >> (s->depth - 1) & 1) != 0;
}

static inline char
closing(const struct scan *s)
{
	return is_in_object(s) ? '}' : ']';
}

/* Moves to where the innermost bracket's next value begins. */
static bool
scan_to_value(struct scan *s)
{
	struct piece key = { 0 };

	if (is_in_object(s)) {
		if (!scan_key(s, &key))
			return false;
		s->has_type |= key.has_escape || str_eq(key.text, STR_LIT("type"));
		s->is_at_url = is_url_key(key.text);
		return true;
	}
	if (++s->items > s->max_items)
		return refuse_at(s, s->p, ST_LIMIT, "more than 500,000 array items");
	return true;
}

/* A scalar, or an opening bracket. */
static bool
scan_one(struct scan *s, enum jscan_type *type)
{
	char c = peek(s);

	switch (c) {
	case '"':
		*type = JSCAN_STRING;
		return scan_text(s);
	case '{':
		*type = JSCAN_OBJECT;
		return scan_open(s, true);
	case '[':
		*type = JSCAN_ARRAY;
		return scan_open(s, false);
	case 't':
		*type = JSCAN_TRUE;
		return scan_word(s, "true");
	case 'f':
		*type = JSCAN_FALSE;
		return scan_word(s, "false");
	case 'n':
		*type = JSCAN_NULL;
		return scan_word(s, "null");
	default:
		*type = JSCAN_NUMBER;
		if (c != '-' && !is_digit(c))
			return refuse_byte(s, "a value");
		return scan_number(s);
	}
}

/* Behind a value: closes brackets as long as they end, down to depth `floor`. Stops
 * behind a comma, where another value of the innermost bracket must follow. */
static bool
scan_behind(struct scan *s, unsigned floor)
{
	while (s->depth > floor) {
		char c = peek(s);

		if (c == closing(s)) {
			s->depth--;
			s->p++;
			s->is_at_url = false;
		} else if (c == ',') {
			s->p++;
			return scan_to_value(s);
		} else {
			return refuse_byte(
			    s, is_in_object(s) ? "',' or '}'" : "',' or ']'");
		}
	}
	return true;
}

/* One whole value with all that is nested in it; *type is its own. */
static bool
scan_value(struct scan *s, enum jscan_type *type)
{
	const unsigned floor = s->depth;
	enum jscan_type inner;

	if (!scan_one(s, type))
		return false;
	inner = *type;
	while (s->depth > floor) {
		bool is_fresh = inner >= JSCAN_ARRAY;

		if (is_fresh && peek(s) != closing(s)) {
			if (!scan_to_value(s))
				return false;
		} else if (!scan_behind(s, floor)) {
			return false;
		}
		if (s->depth > floor && !scan_one(s, &inner))
			return false;
	}
	return true;
}

static bool
scan_end(struct scan *s)
{
	(void)peek(s);
	return s->p == s->end || refuse_byte(s, "nothing after the value");
}

/* ---- the two doors ---- */

static bool
scan_start(struct scan *s, lz_str text, struct err *e)
{
	*s = (struct scan){ .start = text.ptr,
		.p = text.ptr,
		.end = text.ptr + text.len,
		.max_items = JSCAN_ITEMS,
		.e = e };
	if (text.len > UINT32_MAX)
		return refuse_at(s, s->p, ST_LIMIT, "more than 4 GiB");
	if (peek(s) == '\0' && s->p == s->end)
		return refuse(s, "no value; the text is empty");
	return true;
}

static bool
refuse_duplicate(struct scan *s, lz_str key)
{
	size_t shown = key.len < 64 ? key.len : 64;
	char what[120];

	while (shown < key.len && shown > 0 &&
	       ((unsigned char)key.ptr[shown] & 0xc0) == 0x80)
		shown--;
	(void)snprintf(
	    what, sizeof(what), "the key \"%.*s\" stands twice", (int)shown, key.ptr);
	return refuse_at(s, key.ptr - 1, ST_INVALID, what);
}

/* The key of a top-level member must mean the same to every reader. */
static bool
add_member(struct scan *s, struct jscan *out, const struct piece *key)
{
	if (key->has_escape)
		return refuse_at(
		    s, key->text.ptr - 1, ST_INVALID, "a top-level key with a backslash");
	for (size_t i = 0; i < out->count; i++) {
		if (str_eq(out->member[i].key, key->text))
			return refuse_duplicate(s, key->text);
	}
	if (out->count == JSCAN_MEMBERS)
		return refuse_at(
		    s, key->text.ptr - 1, ST_LIMIT, "more than 64 top-level members");
	out->member[out->count++] = (struct jscan_member){ .key = key->text };
	return true;
}

static bool
scan_member(struct scan *s, struct jscan *out)
{
	struct jscan_member *m;
	struct piece key;
	const char *from;

	if (!scan_key(s, &key) || !add_member(s, out, &key))
		return false;
	m = &out->member[out->count - 1];
	s->media_bytes = 0;
	s->media_items = 0;
	s->has_type = false;
	s->is_at_url = is_url_key(key.text);
	(void)peek(s);
	from = s->p;
	if (!scan_value(s, &m->type))
		return false;
	m->value = lz_strn(from, (size_t)(s->p - from));
	m->media_bytes = s->media_bytes;
	m->media_items = s->media_items;
	m->has_type = s->has_type;
	m->has_escape =
	    m->type == JSCAN_STRING && memchr(from, '\\', m->value.len) != NULL;
	return true;
}

static bool
scan_object(struct scan *s, struct jscan *out)
{
	char c;

	if (peek(s) != '{')
		return refuse_byte(s, "an object");
	if (!scan_open(s, true))
		return false;
	if (peek(s) == '}') {
		s->p++;
		return scan_end(s);
	}
	do {
		if (!scan_member(s, out))
			return false;
		c = peek(s);
		if (c != ',' && c != '}')
			return refuse_byte(s, "',' or '}'");
		s->p++;
	} while (c == ',');
	return scan_end(s);
}

static enum status
scan_members(lz_str text, uint32_t max_items, struct jscan *out, struct err *e)
{
	struct scan s;

	out->count = 0;
	if (!scan_start(&s, text, e))
		return s.failed;
	s.max_items = max_items;
	return scan_object(&s, out) ? ST_OK : s.failed;
}

enum status
jscan_object(lz_str text, struct jscan *out, struct err *e)
{
	return scan_members(text, JSCAN_ITEMS, out, e);
}

enum status
jscan_object_of_any_size(lz_str text, struct jscan *out, struct err *e)
{
	return scan_members(text, UINT32_MAX, out, e);
}

enum status
jscan_value(lz_str text, struct err *e)
{
	enum jscan_type type;
	struct scan s;

	if (!scan_start(&s, text, e) || !scan_value(&s, &type) || !scan_end(&s))
		return s.failed;
	return ST_OK;
}
