/* attached.c - text files in base64, read and written.
 *
 * Decoders differ in what they forgive: white space, the alphabet of URLs, padding that
 * lacks. All of it is forgiven here, so that nobody reads what was not shown; what only
 * some forgive (other characters, data behind the padding) is no file that anybody knows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/attached.h"

#include <strings.h>

#include "base/base64.h"

enum {
	HEAD_BYTES = 64,   /* of a data URL, in which a type that is media's ends */
	PEEK_CHARS = 1024, /* of base64: where bytes that are no text show */
	GROUP = 4,
	CHANCE_BYTES = 9 /* that words, read as base64, give a text: rare from here on */
};
static const char scheme[] = "data:", in_base64[] = ";base64,";

static bool
begins(lz_str s, const char *word)
{
	size_t n = strlen(word);

	return s.len >= n && strncasecmp(s.ptr, word, n) == 0;
}

static bool
contains(lz_str s, const char *word)
{
	for (size_t i = 0; i < s.len; i++)
		if (begins(str_cut(s, i, s.len), word))
			return true;
	return false;
}

/* ---- kinds ---- */

/* Never a text, and large: not even looked into. A blank may hide anything from here. */
static bool
is_media(lz_str type)
{
	for (size_t i = 0; i < type.len && type.ptr[i] != ';' && type.ptr[i] != ','; i++)
		if ((unsigned char)type.ptr[i] <= ' ')
			return false;
	return (begins(type, "image/") && !begins(type, "image/svg")) ||
	       begins(type, "audio/") || begins(type, "video/");
}

/* Bytes that are no text are what is expected of these. */
static bool
is_binary(lz_str type, lz_str bytes)
{
	static const char *const types[] = { "application/pdf", "application/x-pdf",
		"application/zip", "application/msword", "application/vnd.",
		"application/octet-stream" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (begins(type, types[i]))
			return true;
	return is_media(type) ||
	       (type.ptr == NULL && (begins(bytes, "%PDF") || begins(bytes, "PK")));
}

static bool
is_text(lz_str bytes)
{
	return memchr(bytes.ptr, '\0', bytes.len) == NULL && str_is_utf8(bytes);
}

/* Of bytes that may end within a character. */
static bool
begins_like_text(lz_str bytes)
{
	size_t at = 0, step = 1;

	if (memchr(bytes.ptr, '\0', bytes.len) != NULL)
		return false;
	for (; at < bytes.len && step > 0; at += step)
		step = str_utf8_step(bytes.ptr + at, bytes.len - at);
	return step > 0 || bytes.len - at < GROUP;
}

/* ---- base64 ---- */

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_base64_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '-' || c == '_';
}

/* Where its padding begins. */
static size_t
padding_at(lz_str data)
{
	const char *at = memchr(data.ptr, '=', data.len);

	return at != NULL ? (size_t)(at - data.ptr) : data.len;
}

static bool
is_padding(lz_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] != '=' && !is_blank(s.ptr[i]))
			return false;
	return true;
}

/* Of what stands before the padding; false: out of memory. */
static bool
add_forgiven(struct buf *b, lz_str data)
{
	char *to = buf_room(b, data.len + GROUP);
	size_t n = 0;

	if (to == NULL)
		return false;
	for (size_t i = 0, end = padding_at(data); i < end; i++) {
		char c = data.ptr[i];

		if (is_blank(c))
			continue;
		to[n++] = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
	}
	if (n % GROUP == 1 && is_base64_char(to[n - 1])) /* six bits are no byte */
		n--;
	while (n % GROUP != 0)
		to[n++] = '=';
	b->len += n;
	return true;
}

/* false: a character that not every decoder forgives. */
static bool
decode(lz_str data, struct buf *out)
{
	struct buf plain;
	bool is_fine;

	buf_init(&plain, SIZE_MAX);
	is_fine = add_forgiven(&plain, data) && base64_decode(buf_str(&plain), out);
	out->failed |= plain.failed;
	buf_free(&plain);
	return is_fine;
}

/* A look at the beginning spares most files the rest. */
static bool
is_binary_at_once(lz_str type, lz_str data)
{
	struct buf head;
	bool is_one;

	if (data.len <= PEEK_CHARS)
		return false;
	buf_init(&head, PEEK_CHARS);
	is_one = decode(str_cut(data, 0, PEEK_CHARS), &head) && head.len > 0 &&
		 is_binary(type, buf_str(&head)) && !begins_like_text(buf_str(&head));
	buf_free(&head);
	return is_one;
}

/* Some decoders pass over what is no base64: would one of them read a text? Whoever
 * does not look at what a data URL says of itself decodes that of words, too. */
static bool
hides_text(lz_str data, struct buf *bytes)
{
	struct buf only;
	char *to;

	buf_init(&only, SIZE_MAX);
	to = buf_room(&only, data.len);
	for (size_t i = 0; to != NULL && i < data.len; i++)
		if (is_base64_char(data.ptr[i]))
			to[only.len++] = data.ptr[i];
	bytes->failed |= only.failed || !decode(buf_str(&only), bytes);
	buf_free(&only);
	return bytes->len >= CHANCE_BYTES && is_text(buf_str(bytes));
}

/* Of a data URL whose head does not end with ";base64". */
static enum attached
read_words(lz_str head, lz_str data)
{
	enum attached what = ATTACHED_PLAIN;
	struct buf bytes;

	/* Some look for the first comma, some for the last ";base64,". */
	if (str_find(data, '%') >= 0 || contains(head, "base64") ||
	    contains(data, in_base64))
		return ATTACHED_UNREADABLE;
	buf_init(&bytes, SIZE_MAX);
	if (hides_text(data, &bytes))
		what = ATTACHED_UNREADABLE;
	if (bytes.failed)
		what = ATTACHED_DRY;
	buf_free(&bytes);
	return what;
}

/* The only data that is neither base64 nor a data URL: its bytes are elsewhere. No
 * base64 in it reads as a text: two slashes are a byte that UTF-8 has not. */
static bool
is_url(lz_str data)
{
	return begins(data, "https://") || begins(data, "http://");
}

static enum attached
read_data(lz_str type, lz_str data, struct arena *a, lz_str *text)
{
	enum attached what = ATTACHED_NOT;
	struct buf bytes;
	bool is_base64;

	if (is_binary_at_once(type, data))
		return ATTACHED_NOT;
	buf_init(&bytes, SIZE_MAX);
	is_base64 = decode(data, &bytes);
	if (bytes.failed) {
		what = ATTACHED_DRY;
	} else if (!is_base64) {
		what =
		    type.ptr == NULL && is_url(data) ? ATTACHED_NOT : ATTACHED_UNREADABLE;
	} else if (bytes.len > 0 &&
		   !is_padding(str_cut(data, padding_at(data), data.len))) {
		/* Some decoders end there, others go on. */
		what = ATTACHED_UNREADABLE;
	} else if (bytes.len > 0 && is_text(buf_str(&bytes))) {
		*text = arena_copy(a, buf_str(&bytes));
		what = text->ptr != NULL ? ATTACHED_TEXT : ATTACHED_DRY;
	} else if (bytes.len > 0 && !is_binary(type, buf_str(&bytes))) {
		what = ATTACHED_UNREADABLE;
	}
	buf_free(&bytes);
	return what;
}

/* ---- data URLs ---- */

/* As browsers have it, blanks before a URL are none of it, nor are tabs and ends of lines
 * inside. */
static bool
begins_hidden(lz_str value)
{
	size_t at = 0, n = 0;

	while (at < value.len && (unsigned char)value.ptr[at] <= ' ')
		at++;
	for (; at < value.len && scheme[n] != '\0'; at++) {
		char c = value.ptr[at];

		if (c == '\t' || c == '\n' || c == '\r')
			continue;
		if ((c | 0x20) != scheme[n++])
			return false;
	}
	return scheme[n] == '\0';
}

/* Does the head of a data URL, its comma included, say that base64 follows? */
static bool
says_base64(lz_str head)
{
	const size_t n = sizeof(in_base64) - 1;

	return head.len > n && begins(str_cut(head, head.len - n, head.len), in_base64);
}

bool
attached_may_be(lz_str raw)
{
	lz_str type = str_cut(raw, sizeof(scheme) - 1, raw.len),
	       head = str_cut(raw, 0, HEAD_BYTES);

	/* An escape may stand for anything, but a slash's is common. */
	for (size_t i = 0; i < raw.len && i < HEAD_BYTES && raw.ptr[i] != ','; i++)
		if (raw.ptr[i] == '\\' && (i + 1 == raw.len || raw.ptr[++i] != '/'))
			return true;
	if (!begins(raw, scheme))
		return raw.len > 0 && raw.ptr[0] == ' ';
	if (!says_base64(str_cut(head, 0, (size_t)(str_find(head, ',') + 1))))
		return true;
	return !is_media(type) && !begins(type, "image\\/png") &&
	       !begins(type, "image\\/jpeg") && !begins(type, "image\\/webp");
}

enum attached
attached_read(lz_str value, bool is_file, struct arena *a, lz_str *head, lz_str *text)
{
	lz_str type = STR_NONE, data = value;
	ptrdiff_t comma = -1, semicolon;

	*head = STR_LIT("");
	if (begins(value, scheme))
		comma = str_find(value, ',');
	else if (!is_file)
		return begins_hidden(value) ? ATTACHED_UNREADABLE : ATTACHED_NOT;
	if (comma >= 0) {
		*head = str_cut(value, 0, (size_t)comma + 1);
		data = str_cut(value, (size_t)comma + 1, value.len);
		type = str_cut(*head, sizeof(scheme) - 1, (size_t)comma);
		semicolon = str_find(type, ';');
		if (semicolon >= 0)
			type.len = (size_t)semicolon;
		if (!says_base64(*head))
			return read_words(*head, data);
		if (is_media(type) && !is_file)
			return ATTACHED_NOT;
	}
	return read_data(type, data, a, text);
}

void
attached_write(lz_str head, lz_str text, struct buf *out)
{
	struct buf url;

	buf_init(&url, SIZE_MAX);
	buf_add_str(&url, head);
	base64_encode(text.ptr, text.len, &url);
	buf_add_json(out, buf_str(&url));
	out->failed |= url.failed;
	buf_free(&url);
}
