/* answer.c - what an answer may not carry: an image whose address takes data along, and
 * text that nobody sees.
 *
 * A client that shows Markdown fetches images by itself, so an answer that was made to
 * contain one tells whoever owns the address. Everything here is decided by where it
 * begins, so that a stream is held from there and no further.
 *
 * SPDX-License-Identifier: MIT
 */
#include "injection.h"

enum {
	ALT_BYTES = 512,
	URL_BYTES = 4096,
	VALUE_BYTES =
	    24, /* a value in the query, or a part of the path, that carries data */
	QUERY_BYTES = 80,
	PART_BYTES = 40
};

static bool
starts(lz_str s, const char *with)
{
	size_t n = strlen(with);

	if (s.len < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = s.ptr[i];

		if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != with[i])
			return false;
	}
	return true;
}

static lz_str
behind(lz_str s, size_t n)
{
	return lz_strn(s.ptr + n, s.len - n);
}

/* ---- an address ---- */

/* The host of what stands behind "//", without user and port. */
static lz_str
host_of(lz_str s)
{
	size_t n = 0, from = 0;

	while (n < s.len && s.ptr[n] != '/' && s.ptr[n] != '?' && s.ptr[n] != '#') {
		if (s.ptr[n] == '@')
			from = n + 1;
		n++;
	}
	s = lz_strn(s.ptr + from, n - from);
	for (n = 0; n < s.len && s.ptr[n] != ':'; n++)
		;
	return lz_strn(s.ptr, n);
}

/* A host of the list, or one below it. */
static bool
is_allowed(lz_str host, const lz_list *allowed)
{
	for (size_t i = 0; i < allowed->count; i++) {
		lz_str a = allowed->items[i], tail;

		if (a.len == 0 || host.len < a.len)
			continue;
		tail = behind(host, host.len - a.len);
		for (size_t k = 0; k <= a.len; k++) {
			if (k == a.len &&
			    (host.len == a.len || host.ptr[host.len - a.len - 1] == '.'))
				return true;
			if (k == a.len || (tail.ptr[k] | 32) != (a.ptr[k] | 32))
				break;
		}
	}
	return false;
}

/* Does a part of the path look like data: long, and of letters, digits and - _ = % alone?
 */
static bool
has_long_part(lz_str path)
{
	size_t run = 0;

	for (size_t i = 0; i < path.len; i++) {
		char c = path.ptr[i];

		run = c == '/' || c == '.' ? 0 : run + 1;
		if (run >= PART_BYTES)
			return true;
	}
	return false;
}

static bool
carries_data(lz_str url, const lz_list *allowed)
{
	size_t scheme = starts(url, "https://")  ? 8
			: starts(url, "http://") ? 7
			: starts(url, "//")      ? 2
						 : 0;
	size_t at = 0, value = 0, longest = 0;
	lz_str host, rest;

	if (scheme == 0)
		return false;
	rest = behind(url, scheme);
	host = host_of(rest);
	if (is_allowed(host, allowed))
		return false;
	while (at < rest.len && rest.ptr[at] != '?' && rest.ptr[at] != '#')
		at++;
	if (has_long_part(lz_strn(rest.ptr, at)))
		return true;
	rest = behind(rest, at);
	for (at = 0; at < rest.len; at++) {
		bool is_edge = rest.ptr[at] == '=' || rest.ptr[at] == '&' ||
			       rest.ptr[at] == ';' || rest.ptr[at] == '?' ||
			       rest.ptr[at] == '#';

		value = is_edge ? 0 : value + 1;
		longest = value > longest ? value : longest;
	}
	return longest >= VALUE_BYTES || rest.len >= QUERY_BYTES;
}

/* ---- where it stands ---- */

static const struct look open_look = { true, 0, SIGNS };
static const struct look nothing = { false, 0, SIGNS };

/* ![alt](address "title") */
static struct look
look_image(lz_str s, bool is_final, const lz_list *allowed)
{
	size_t at = 2, from;

	if (s.len < 2)
		return is_final ? nothing : open_look;
	if (s.ptr[1] != '[')
		return nothing;
	while (at < s.len && s.ptr[at] != ']' && at < ALT_BYTES)
		at++;
	if (at == ALT_BYTES)
		return nothing;
	if (at + 1 >= s.len)
		return is_final ? nothing : open_look;
	if (s.ptr[at + 1] != '(')
		return nothing;
	for (at += 2;
	     at < s.len && (s.ptr[at] == ' ' || s.ptr[at] == '<' || s.ptr[at] == '\n');)
		at++;
	from = at;
	while (at < s.len && s.ptr[at] != ')' && s.ptr[at] != ' ' && s.ptr[at] != '>' &&
	       s.ptr[at] != '\n' && at - from < URL_BYTES)
		at++;
	if (at == s.len && !is_final)
		return open_look;
	if (!carries_data(lz_strn(s.ptr + from, at - from), allowed))
		return nothing;
	return (struct look){ false, at, EXFILTRATION };
}

/* <img ... src="address"> */
static struct look
look_element(lz_str s, bool is_final, const lz_list *allowed)
{
	size_t at = 0, from;

	while (
	    at < 5 && at < s.len &&
	    (at == 4 ? s.ptr[at] <= ' ' || s.ptr[at] == '/'
		     : starts(behind(s, at), (const char *[]){ "<", "i", "m", "g" }[at])))
		at++;
	if (at < 5)
		return at == s.len && !is_final ? open_look : nothing;
	while (at < s.len && s.ptr[at] != '>' && at < URL_BYTES)
		at++;
	if (at == s.len && !is_final)
		return open_look;
	s.len = at;
	for (at = 0; at < s.len; at++) {
		if (!starts(behind(s, at), "src"))
			continue;
		for (from = at + 3;
		     from < s.len && (s.ptr[from] == ' ' || s.ptr[from] == '=' ||
					 s.ptr[from] == '"' || s.ptr[from] == '\'');)
			from++;
		for (at = from; at < s.len && s.ptr[at] != '"' && s.ptr[at] != '\'' &&
				s.ptr[at] > ' ';)
			at++;
		if (carries_data(lz_strn(s.ptr + from, at - from), allowed))
			return (struct look){ false, s.len, EXFILTRATION };
	}
	return nothing;
}

static bool
is_tag(uint32_t c)
{
	return (c >= 0xe0020 && c <= 0xe007e) || (c >= 0xe0100 && c <= 0xe01ef);
}

/* Four tag characters in a row, the first of which is here, that are no flag of a region.
 */
static struct look
look_tags(lz_str text, size_t begin, bool is_final)
{
	const char *p = text.ptr + begin, *end = text.ptr + text.len;
	bool is_flag = begin >= 4 && memcmp(p - 4, "\xf0\x9f\x8f\xb4", 4) == 0;
	size_t count = 0, n;

	if (begin >= 4 && is_tag(char_at(p - 4, p, &n)))
		return nothing;
	while (p < end && count < (is_flag ? 7 : 4)) {
		if (!is_tag(char_at(p, end, &n)))
			return nothing;
		p += n;
		count++;
	}
	if (count < (is_flag ? 7 : 4))
		return is_final ? nothing : open_look;
	return (struct look){ false, (size_t)(p - text.ptr) - begin, HIDDEN };
}

struct look
answer_look(lz_str text, size_t at, bool is_final, const lz_list *allowed)
{
	lz_str s = behind(text, at);

	switch ((unsigned char)*s.ptr) {
	case '!':
		return look_image(s, is_final, allowed);
	case '<':
		return look_element(s, is_final, allowed);
	case 0xf3: /* planes 12 to 15: tags and variation selectors are in 14 */
		return s.len >= 2 && (unsigned char)s.ptr[1] == 0xa0
			   ? look_tags(text, at, is_final)
			   : nothing;
	default:
		return nothing;
	}
}
