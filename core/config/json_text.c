/* json_text.c - JSON as libyaml can read it.
 *
 * YAML 1.2 contains JSON, but libyaml reads 1.1: it refuses escaped surrogate pairs (an
 * emoji as most programs write it), some characters as they stand, and takes U+0085,
 * U+2028 and U+2029 for line ends. In a text that is JSON every backslash stands in a
 * double-quoted string, so these few are written so that both mean the same. No line
 * begins or ends by it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "base/jscan.h"
#include "config/yaml.h"

enum {
	PAIR_BYTES = 12 /* \ud83d\ude00 */
};

static unsigned
hex4(const char *p)
{
	char digits[5] = { p[0], p[1], p[2], p[3], '\0' };

	return (unsigned)strtoul(digits, NULL, 16);
}

/* p is at a backslash of a text that passed the scan, so that pairs are whole. Returns
 * how many bytes were taken. */
static size_t
add_escape(struct buf *out, const char *p)
{
	unsigned high = p[1] == 'u' ? hex4(p + 2) : 0, c;

	if (high < 0xd800 || high > 0xdbff) {
		buf_add(out, p, 2);
		return 2;
	}
	c = 0x10000 + ((high - 0xd800) << 10) + (hex4(p + 8) - 0xdc00);
	buf_addf(out, "\\U%08x", c);
	return PAIR_BYTES;
}

/* Below U+10000; the length of others says enough. */
static unsigned
code_of(const char *p, size_t n)
{
	const unsigned char *c = (const unsigned char *)p;

	if (n == 2)
		return (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu);
	if (n == 3)
		return (c[0] & 0x0fu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
	return c[0];
}

static bool
is_odd(unsigned c)
{
	return (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

static size_t
add_wide(struct buf *out, const char *p, size_t left)
{
	size_t n = (unsigned char)*p == 0x7f ? 1 : str_utf8_step(p, left);

	if (n < 4 && is_odd(code_of(p, n)))
		buf_addf(out, "\\u%04x", code_of(p, n));
	else
		buf_add(out, p, n);
	return n;
}

bool
yaml_is_json(lz_str text)
{
	size_t at = 0;

	while (at < text.len && memchr(" \t\r\n", text.ptr[at], 4) != NULL)
		at++;
	return at < text.len && memchr("{[\"", text.ptr[at], 3) != NULL &&
	       jscan_value(text, NULL) == ST_OK;
}

void
yaml_from_json(lz_str text, struct buf *out)
{
	const char *p = text.ptr, *end = p + text.len;

	while (p < end) {
		const char *from = p;

		while (p < end && *p != '\\' && (unsigned char)*p < 0x7f)
			p++;
		buf_add(out, from, (size_t)(p - from));
		if (p < end)
			p += *p == '\\' ? add_escape(out, p)
					: add_wide(out, p, (size_t)(end - p));
	}
}
