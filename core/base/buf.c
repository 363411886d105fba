/* buf.c - appending to a buffer that knows its maximum.
 *
 * Everything goes through buf_room(), which is the one place that grows and the one that
 * refuses.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/buf.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/plain.h"

enum {
	FIRST_BYTES = 256,
	NANO_PLACES = 9
};

void
buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){ .max_bytes = max_bytes };
}

void
buf_free(struct buf *b)
{
	mem_free(b->ptr);
	buf_init(b, b->max_bytes);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

/* Doubles, so that n appends copy O(n) bytes, but asks for no more than the maximum and
 * one byte, which the NUL of vsnprintf() may take: a formatted text that fits exactly
 * must not be refused for it. */
static bool
grow(struct buf *b, size_t need)
{
	size_t cap = b->cap > 0 ? b->cap : FIRST_BYTES;
	char *p;

	while (cap < need && cap <= b->max_bytes / 2)
		cap *= 2;
	if (cap < need || cap > b->max_bytes)
		cap = b->max_bytes;
	if (cap == SIZE_MAX)
		return false;
	p = mem_realloc(b->ptr, cap + 1);
	if (p == NULL)
		return false;
	b->ptr = p;
	b->cap = cap;
	return true;
}

char *
buf_room(struct buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n <= b->cap - b->len && b->ptr != NULL)
		return b->ptr + b->len;
	if (n > b->max_bytes - b->len || !grow(b, b->len + n)) {
		b->failed = true;
		return NULL;
	}
	return b->ptr + b->len;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	char *to;

	if (n == 0)
		return;
	to = buf_room(b, n);
	if (to == NULL)
		return;
	memcpy(to, p, n);
	b->len += n;
}

void
buf_add_str(struct buf *b, lz_str s)
{
	buf_add(b, s.ptr, s.len);
}

void
buf_add_z(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

/* Writes v so that it ends before `end`; returns where it begins. */
static char *
put_digits(char *end, uint64_t v)
{
	do {
		*--end = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return end;
}

/* -INT64_MIN is no int64_t. */
static uint64_t
magnitude(int64_t v)
{
	return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

void
buf_add_int(struct buf *b, int64_t v)
{
	char text[STR_INT_CHARS];

	buf_add_str(b, str_from_int(v, text));
}

void
buf_add_nano(struct buf *b, int64_t nano)
{
	/* sign, the digits, leading zeros of a small fraction, the point */
	char text[STR_INT_CHARS + NANO_PLACES + 2], *end = text + sizeof(text), *p = end;
	uint64_t whole = magnitude(nano) / 1000000000,
		 rest = magnitude(nano) % 1000000000;

	if (rest > 0) {
		p = put_digits(end, rest);
		while (end - p < NANO_PLACES)
			*--p = '0';
		while (end[-1] == '0')
			end--;
		*--p = '.';
	}
	p = put_digits(p, whole);
	if (nano < 0)
		*--p = '-';
	buf_add(b, p, (size_t)(end - p));
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list args;
	char *to;
	int n;

	/* A first try into what is there; most texts fit. */
	to = buf_room(b, 0);
	if (to == NULL)
		return;
	va_start(args, fmt);
	n = vsnprintf(to, b->cap - b->len + 1, fmt, args);
	va_end(args);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if ((size_t)n > b->cap - b->len) {
		to = buf_room(b, (size_t)n);
		if (to == NULL)
			return;
		va_start(args, fmt);
		(void)vsnprintf(to, (size_t)n + 1, fmt, args);
		va_end(args);
	}
	b->len += (size_t)n;
}

/* A control character, quote or backslash. */
static void
add_escape(struct buf *b, char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char names[] = { ['\b'] = 'b',
		['\t'] = 't',
		['\n'] = 'n',
		['\f'] = 'f',
		['\r'] = 'r',
		['"'] = '"',
		['\\'] = '\\' };
	unsigned char u = (unsigned char)c;
	char text[6] = { '\\', 'u', '0', '0', hex[u >> 4], hex[u & 15] };

	if (u < sizeof(names) && names[u] != 0) {
		text[1] = names[u];
		buf_add(b, text, 2);
		return;
	}
	buf_add(b, text, sizeof(text));
}

/* A run of bytes that are not ASCII, or U+FFFD for one byte that is no part of a
 * character. Returns what follows. */
static const char *
add_wide(struct buf *b, const char *p, const char *end)
{
	const char *from = p;
	size_t n;

	while (p < end && (unsigned char)*p >= 0x80) {
		n = str_utf8_step(p, (size_t)(end - p));
		if (n == 0)
			break;
		p += n;
	}
	buf_add(b, from, (size_t)(p - from));
	if (p < end && (unsigned char)*p >= 0x80) {
		buf_add(b, "\xef\xbf\xbd", 3);
		p++;
	}
	return p;
}

void
buf_add_json(struct buf *b, lz_str s)
{
	const char *p = s.ptr, *end = s.len > 0 ? p + s.len : p, *run;
	size_t was = b->len;

	if (s.len > SIZE_MAX - 2 || buf_room(b, s.len + 2) == NULL) {
		b->failed = true;
		return;
	}
	buf_add_char(b, '"');
	while (p < end && !b->failed) {
		run = p;
		p = plain_skip(p, end);
		buf_add(b, run, (size_t)(p - run));
		if (p == end)
			break;
		if ((unsigned char)*p >= 0x80)
			p = add_wide(b, p, end);
		else
			add_escape(b, *p++);
	}
	buf_add_char(b, '"');
	if (b->failed)
		b->len = was;
}

void
buf_take(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->ptr, b->ptr + n, b->len);
}

void
buf_add_percent(struct buf *b, lz_str s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || (c != '\0' && strchr("-._~", c) != NULL)) {
			buf_add_char(b, (char)c);
			continue;
		}
		buf_add_char(b, '%');
		buf_add_char(b, hex[c >> 4]);
		buf_add_char(b, hex[c & 15]);
	}
}
