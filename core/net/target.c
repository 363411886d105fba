/* target.c - one spelling for each path, one grammar for each host.
 *
 * Paths are never decoded here. Of the escapes that steer a path only %2F is let through,
 * since OpenAI's SDKs write the slash of a model's name so; it is judged as the slash it
 * stands for, and routes compare the text as it came, so no fixed path can be reached by
 * it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/target.h"

enum {
	PORT_DIGITS = 5,
	PORT_MAX = 65535
};

#define TOK    BYTE_TOKEN
#define SEG    BYTE_PATH
#define LETTER (TOK | SEG | BYTE_HOST | BYTE_PLAIN)
#define HEXLET (LETTER | BYTE_LITERAL | BYTE_HEX)
/* clang-format off */
const unsigned char byte_kinds[256] = {
	['!'] = TOK | SEG, ['#'] = TOK, ['$'] = TOK | SEG, ['%'] = TOK, ['&'] = TOK | SEG,
	['\''] = TOK | SEG, ['('] = SEG, [')'] = SEG, ['*'] = TOK | SEG, ['+'] = TOK | SEG,
	[','] = SEG, ['-'] = LETTER, ['.'] = LETTER | BYTE_LITERAL, ['/'] = SEG,
	[':'] = SEG | BYTE_LITERAL, [';'] = SEG, ['='] = SEG, ['@'] = SEG, ['^'] = TOK,
	['_'] = LETTER, ['`'] = TOK, ['|'] = TOK, ['~'] = TOK | SEG | BYTE_PLAIN,
	['0'] = HEXLET, ['1'] = HEXLET, ['2'] = HEXLET, ['3'] = HEXLET, ['4'] = HEXLET,
	['5'] = HEXLET, ['6'] = HEXLET, ['7'] = HEXLET, ['8'] = HEXLET, ['9'] = HEXLET,
	['A'] = HEXLET, ['B'] = HEXLET, ['C'] = HEXLET, ['D'] = HEXLET, ['E'] = HEXLET,
	['F'] = HEXLET, ['G'] = LETTER, ['H'] = LETTER, ['I'] = LETTER, ['J'] = LETTER,
	['K'] = LETTER, ['L'] = LETTER, ['M'] = LETTER, ['N'] = LETTER, ['O'] = LETTER,
	['P'] = LETTER, ['Q'] = LETTER, ['R'] = LETTER, ['S'] = LETTER, ['T'] = LETTER,
	['U'] = LETTER, ['V'] = LETTER, ['W'] = LETTER, ['X'] = LETTER, ['Y'] = LETTER,
	['Z'] = LETTER,
	['a'] = HEXLET, ['b'] = HEXLET, ['c'] = HEXLET, ['d'] = HEXLET, ['e'] = HEXLET,
	['f'] = HEXLET, ['g'] = LETTER, ['h'] = LETTER, ['i'] = LETTER, ['j'] = LETTER,
	['k'] = LETTER, ['l'] = LETTER, ['m'] = LETTER, ['n'] = LETTER, ['o'] = LETTER,
	['p'] = LETTER, ['q'] = LETTER, ['r'] = LETTER, ['s'] = LETTER, ['t'] = LETTER,
	['u'] = LETTER, ['v'] = LETTER, ['w'] = LETTER, ['x'] = LETTER, ['y'] = LETTER,
	['z'] = LETTER,
};
/* clang-format on */

bool
bytes_are(lz_str s, unsigned char what)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (!byte_is(s.ptr[i], what))
			return false;
	}
	return true;
}

bool
bytes_equal_folded(lz_str a, lz_str b)
{
	size_t i;

	if (a.len != b.len)
		return false;
	for (i = 0; i < a.len; i++) {
		if (byte_lower(a.ptr[i]) != byte_lower(b.ptr[i]))
			return false;
	}
	return true;
}

/* Paths. */

/* An escape may stand for a blank or a reserved character, not for what has a plain
 * spelling, nor for what steers a path: the separators of either kind, dots, another
 * percent sign, control bytes, anything beyond ASCII. */
static bool
escape_is_harmless(char high, char low)
{
	static const char hex[] = "0123456789abcdef";
	const char *h = strchr(hex, byte_lower(high)), *l = strchr(hex, byte_lower(low));
	unsigned char c =
	    (unsigned char)(((unsigned)(h - hex) << 4) | (unsigned)(l - hex));

	return c >= 0x20 && c < 0x7f && !byte_is((char)c, BYTE_PLAIN) && c != '/' &&
	       c != '\\' && c != '%';
}

/* Is it one or more dots, maybe with parameters ("..;x") that some readers cut off before
 * they look? */
static bool
segment_is_dots(const char *p, const char *end)
{
	size_t dots = 0;

	for (; p < end && *p == '.'; p++)
		dots++;
	return dots > 0 && (p == end || *p == ';');
}

static bool
is_slash_escape(const char *p)
{
	return p[1] == '2' && byte_lower(p[2]) == 'f';
}

/* How many bytes the character at p takes; 0: it may not stand in a path. */
static size_t
path_step(const char *p, const char *end)
{
	if (*p != '%')
		return byte_is(*p, BYTE_PATH) ? 1 : 0;
	if (end - p < 3 || !byte_is(p[1], BYTE_HEX) || !byte_is(p[2], BYTE_HEX))
		return 0;
	return is_slash_escape(p) || escape_is_harmless(p[1], p[2]) ? 3 : 0;
}

bool
target_path_is_canonical(lz_str path)
{
	const char *p = path.ptr, *end = p + path.len, *segment = p + 1;
	size_t step;

	for (; p < end; p += step) {
		step = path_step(p, end);
		if (step == 0)
			return false;
		if (p == path.ptr || (*p != '/' && (step == 1 || !is_slash_escape(p))))
			continue;
		if (p == segment || segment_is_dots(segment, p))
			return false;
		segment = p + step;
	}
	return !segment_is_dots(segment, end);
}

bool
target_query_is_clean(lz_str query)
{
	size_t i;

	for (i = 0; i < query.len; i++) {
		unsigned char c = (unsigned char)query.ptr[i];

		if (c <= 0x20 || c >= 0x7f || c == '#')
			return false;
	}
	return true;
}

/* Host. */

static bool
port_is_valid(lz_str port)
{
	int64_t n;

	return port.len <= PORT_DIGITS && str_to_int(port, PORT_MAX, &n);
}

bool
target_authority_is_valid(lz_str a)
{
	const char *end = a.ptr + a.len;
	const char *after;
	lz_str name;

	if (a.len > 0 && a.ptr[0] == '[') {
		after = memchr(a.ptr, ']', a.len);
		if (after == NULL)
			return false;
		name = lz_strn(a.ptr + 1, (size_t)(after - a.ptr) - 1);
		if (name.len == 0 || !bytes_are(name, BYTE_LITERAL))
			return false;
		after++;
	} else {
		after = memchr(a.ptr, ':', a.len);
		if (after == NULL)
			after = end;
		name = lz_strn(a.ptr, (size_t)(after - a.ptr));
		if (name.len == 0 || !bytes_are(name, BYTE_HOST))
			return false;
	}
	return after == end || (*after == ':' && port_is_valid(lz_strn(after + 1,
						     (size_t)(end - after) - 1)));
}

/* The authority must be the Host field's, which the caller compares when it knows the
 * fields. */
bool
target_cut_authority(lz_str *target, lz_str *authority)
{
	static const char *const schemes[] = { "http://", "https://" };
	size_t i, n;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		n = strlen(schemes[i]);
		if (target->len > n &&
		    bytes_equal_folded(lz_strn(target->ptr, n), lz_strn(schemes[i], n))) {
			lz_str rest = lz_strn(target->ptr + n, target->len - n);
			const char *slash = memchr(rest.ptr, '/', rest.len);

			if (slash == NULL)
				return false;
			*authority = lz_strn(rest.ptr, (size_t)(slash - rest.ptr));
			*target = lz_strn(slash, rest.len - authority->len);
			return true;
		}
	}
	return false;
}
