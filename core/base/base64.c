/* base64.c - three bytes are four characters, both ways.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			      "0123456789+/";

enum {
	IN = 3,
	OUT = 4,
	NO_LETTER = 64
};

static void
encode_group(const unsigned char *p, size_t n, char *out)
{
	uint32_t bits =
	    (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);

	out[0] = letters[bits >> 18 & 63];
	out[1] = letters[bits >> 12 & 63];
	out[2] = n > 1 ? letters[bits >> 6 & 63] : '=';
	out[3] = n > 2 ? letters[bits & 63] : '=';
}

void
base64_encode(const void *p, size_t n, struct buf *out)
{
	const unsigned char *from = p;
	char *to = buf_room(out, (n + IN - 1) / IN * OUT);

	if (to == NULL)
		return;
	for (size_t i = 0; i < n; i += IN, to += OUT)
		encode_group(from + i, n - i, to);
	out->len += (n + IN - 1) / IN * OUT;
}

static uint32_t
value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0') + 52;
	return c == '+' ? 62 : c == '/' ? 63 : NO_LETTER;
}

/* The first n characters of a group; the others are padding. */
static bool
decode_group(const char *p, size_t n, unsigned char *out)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < OUT; i++) {
		uint32_t v = i < n ? value_of(p[i]) : 0;

		if (v == NO_LETTER)
			return false;
		bits = bits << 6 | v;
	}
	for (size_t i = 0; i + 1 < n; i++)
		out[i] = (unsigned char)(bits >> (16 - 8 * i));
	return true;
}

bool
base64_decode(lz_str text, struct buf *out)
{
	size_t padding = 0;
	unsigned char *to;

	if (text.len % OUT != 0)
		return false;
	if (text.len == 0)
		return true;
	while (
	    padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	to = (unsigned char *)buf_room(out, text.len / OUT * IN);
	if (to == NULL)
		return false;
	for (size_t i = 0; i < text.len; i += OUT, to += IN) {
		bool is_last = i + OUT == text.len;

		if (!decode_group(text.ptr + i, is_last ? OUT - padding : OUT, to))
			return false;
	}
	out->len += text.len / OUT * IN - padding;
	return true;
}
