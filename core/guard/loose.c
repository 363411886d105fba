/* loose.c - what readers of JSON forgive that the scanner does not.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/loose.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind the string that begins at `at`; 0: it is not closed. */
static size_t
string_end(lz_str s, size_t at)
{
	for (at++; at < s.len && s.ptr[at] != '"'; at++)
		at += s.ptr[at] == '\\';
	return at < s.len ? at + 1 : 0;
}

/* Behind the word that begins at `at`; 0: it is none of JSON's. */
static size_t
word_end(lz_str s, size_t at)
{
	static const char *const words[] = { "true", "false", "null", "NaN", "Infinity" };

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_starts(str_cut(s, at, s.len), words[i]))
			return at + strlen(words[i]);
	return 0;
}

bool
loose_is_json(lz_str text)
{
	static const char marks[] = "{}[],:+-.0123456789eE \t\r\n";
	size_t at = 0;

	while (at < text.len && is_blank(text.ptr[at]))
		at++;
	if (at == text.len || (text.ptr[at] != '{' && text.ptr[at] != '['))
		return false;
	while (at < text.len) {
		char c = text.ptr[at];
		size_t end = at + 1;

		if (c == '"')
			end = string_end(text, at);
		else if (memchr(marks, c, sizeof(marks) - 1) == NULL)
			end = word_end(text, at);
		if (end == 0)
			return false;
		at = end;
	}
	return true;
}
