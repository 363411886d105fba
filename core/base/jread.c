/* jread.c - reads the ranges that jscan_object() found: integers, strings, members
 * further in.
 *
 * Nothing is validated again. A text that did not pass gives wrong answers here, but is
 * not read beyond its end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/jscan.h"

#include "base/jtext.h"
#include "base/plain.h"

const struct jscan_member *
jscan_find(const struct jscan *s, const char *key)
{
	const lz_str name = lz_strz(key);

	for (size_t i = 0; i < s->count; i++) {
		if (str_eq(s->member[i].key, name))
			return &s->member[i];
	}
	return NULL;
}

bool
jscan_int(const struct jscan_member *m, int64_t *out)
{
	bool is_negative =
	    m->type == JSCAN_NUMBER && m->value.len > 0 && m->value.ptr[0] == '-';
	int64_t v = 0;

	if (m->type != JSCAN_NUMBER)
		return false;
	for (size_t i = is_negative; i < m->value.len; i++) {
		int digit = m->value.ptr[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, digit, &v))
			return false;
	}
	/* Counted downwards, because INT64_MIN has no positive twin. */
	if (!is_negative && v == INT64_MIN)
		return false;
	*out = is_negative ? v : -v;
	return true;
}

static size_t
put_utf8(char *out, int c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Decodes the escape at *p into out[4] and moves *p behind it. What is no escape, which
 * no text that passed the scan contains, comes out as it stands. */
static size_t
decode_escape(const char **p, const char *end, char out[4])
{
	const char *at = *p + 1;
	size_t n;
	int c;

	if (at < end && jtext_short_escape(*at) != 0) {
		out[0] = jtext_short_escape(*at);
		*p = at + 1;
		return 1;
	}
	c = at < end && *at == 'u' ? jtext_unicode_escape(at, end, &n) : -1;
	if (c < 0) {
		out[0] = *(*p)++;
		return 1;
	}
	*p = at + n;
	return put_utf8(out, c);
}

bool
jscan_string(const struct jscan_member *m, char *room, lz_str *out)
{
	const char *p, *end;
	size_t n = 0;

	if (m->type != JSCAN_STRING || m->value.len < 2)
		return false;
	p = m->value.ptr + 1;
	end = m->value.ptr + m->value.len - 1;
	*out = lz_strn(p, (size_t)(end - p));
	if (!m->has_escape)
		return true;
	while (p < end) {
		char c[4];
		size_t len;

		if (*p != '\\') {
			room[n++] = *p++;
			continue;
		}
		len = decode_escape(&p, end, c);
		memcpy(room + n, c, len);
		n += len;
	}
	*out = lz_strn(room, n);
	return true;
}

/* A nested key may have escapes. */
bool
jscan_key_is(lz_str key, const char *name)
{
	const char *p = key.ptr, *end = p + key.len;
	size_t left = strlen(name);

	if (left == key.len)
		return left == 0 || (*p == *name && memcmp(p, name, left) == 0);

	while (p < end) {
		char c[4];
		size_t n = 1;

		c[0] = *p;
		if (*p == '\\')
			n = decode_escape(&p, end, c);
		else
			p++;
		if (n > left || memcmp(c, name, n) != 0)
			return false;
		name += n;
		left -= n;
	}
	return left == 0;
}

/* Behind the string that begins at p; `end` if it is not closed. */
static const char *
skip_string(const char *p, const char *end)
{
	for (p++; (p = plain_to_quote(p, end)) < end;) {
		if (*p == '"')
			return p + 1;
		p += end - p > 1 ? 2 : 1; /* with what is escaped */
	}
	return end;
}

/* Behind the value that begins at p. */
static const char *
skip_value(const char *p, const char *end)
{
	unsigned depth = 0;

	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
		} else if (depth == 0 &&
			   (*p == ',' || *p == '}' || *p == ']' || jtext_is_blank(*p))) {
			break;
		} else {
			depth += *p == '{' || *p == '[';
			depth -= *p == '}' || *p == ']';
			p++;
		}
		if (depth == 0 && (p[-1] == '"' || p[-1] == '}' || p[-1] == ']'))
			break;
	}
	return p;
}

static enum jscan_type
type_of(char c)
{
	switch (c) {
	case '"':
		return JSCAN_STRING;
	case '{':
		return JSCAN_OBJECT;
	case '[':
		return JSCAN_ARRAY;
	case 't':
		return JSCAN_TRUE;
	case 'f':
		return JSCAN_FALSE;
	case 'n':
		return JSCAN_NULL;
	default:
		return JSCAN_NUMBER;
	}
}

static struct jscan_member
inner_member(lz_str key, const char *from, const char *to)
{
	struct jscan_member m = { .key = key,
		.value = lz_strn(from, (size_t)(to - from)),
		.type = type_of(*from) };

	m.has_escape = m.type == JSCAN_STRING && memchr(from, '\\', m.value.len) != NULL;
	return m;
}

bool
jscan_next(lz_str *rest, struct jscan_member *out)
{
	const char *p = rest->ptr, *end = p + rest->len, *value;
	lz_str key;

	p = jtext_skip_blanks(p, end);
	if (p == end || (*p != '{' && *p != ','))
		return false;
	p = jtext_skip_blanks(p + 1, end);
	if (p == end || *p != '"')
		return false;
	value = skip_string(p, end);
	key = str_cut(lz_strn(p, (size_t)(value - p)), 1, (size_t)(value - p) - 1);
	value = jtext_skip_blanks(value, end);
	if (value == end || *value != ':')
		return false;
	value = jtext_skip_blanks(value + 1, end);
	if (value == end)
		return false;
	p = skip_value(value, end);
	*out = inner_member(key, value, p);
	*rest = lz_strn(p, (size_t)(end - p));
	return true;
}

bool
jscan_inner(lz_str object, const char *key, struct jscan_member *out)
{
	struct jscan_member m;
	bool is_found = false;

	while (jscan_next(&object, &m)) {
		if (jscan_key_is(m.key, key)) {
			*out = m;
			is_found = true;
		}
	}
	return is_found;
}

void
jscan_pick(lz_str object, const char *const *name, size_t n, struct jscan_member *out)
{
	struct jscan_member m;

	for (size_t i = 0; i < n; i++)
		out[i] = (struct jscan_member){ .value = STR_NONE };
	while (jscan_next(&object, &m)) {
		for (size_t i = 0; i < n; i++) {
			if (jscan_key_is(m.key, name[i])) {
				out[i] = m;
				break;
			}
		}
	}
}

bool
jscan_next_item(lz_str *rest, lz_str *item)
{
	const char *p = rest->ptr, *end = p + rest->len, *value;

	p = jtext_skip_blanks(p, end);
	if (p == end || (*p != '[' && *p != ','))
		return false;
	value = jtext_skip_blanks(p + 1, end);
	if (value == end || *value == ']')
		return false;
	p = skip_value(value, end);
	*item = lz_strn(value, (size_t)(p - value));
	*rest = lz_strn(p, (size_t)(end - p));
	return true;
}

bool
jscan_next_string(lz_str *rest, lz_str *out)
{
	const char *end = rest->ptr + rest->len, *open, *behind;

	open = rest->len > 0 ? memchr(rest->ptr, '"', rest->len) : NULL;
	if (open == NULL)
		return false;
	behind = skip_string(open, end);
	*out = str_cut(
	    lz_strn(open, (size_t)(behind - open)), 1, (size_t)(behind - open) - 1);
	*rest = lz_strn(behind, (size_t)(end - behind));
	return true;
}
