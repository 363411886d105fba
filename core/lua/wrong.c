/* wrong.c - what is wrong with a script that is being loaded: all that can be found, each
 * with its place.
 *
 * Errors follow from each other only where a line was told already: the top level stops
 * at a name that is not there, which names.c found before it ran.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/wrong.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	TOLD_BYTES = 64 << 10
};

void
wrong_begin(struct wrongs *w, const struct script_source *q, struct err *first)
{
	*w = (struct wrongs){ .say = q->wrong, .arg = q->wrong_arg, .first = first };
	buf_init(&w->told, TOLD_BYTES);
}

void
wrong_end(struct wrongs *w)
{
	buf_free(&w->told);
}

/* Did a sentence begin like that? */
static bool
was_told(const struct wrongs *w, lz_str beginning)
{
	lz_str rest = buf_str(&w->told);

	while (rest.len > 0) {
		ptrdiff_t end = str_find(rest, '\n');

		if (rest.len >= beginning.len &&
		    memcmp(rest.ptr, beginning.ptr, beginning.len) == 0)
			return true;
		rest = str_cut(rest, end < 0 ? rest.len : (size_t)end + 1, rest.len);
	}
	return false;
}

void
wrong_say(struct wrongs *w, const char *sentence)
{
	if (was_told(w, lz_strz(sentence)))
		return;
	buf_add_z(&w->told, sentence);
	buf_add_char(&w->told, '\n');
	if (w->count++ == 0)
		(void)err_fail(w->first, ST_INVALID, "%s", sentence);
	if (w->say != NULL)
		w->say(w->arg, sentence);
}

/* "it.lua:12:" of a sentence; absent: it has no place. */
static lz_str
place_of(const char *sentence)
{
	const char *at = strchr(sentence, ':');
	size_t digits = at != NULL ? strspn(at + 1, "0123456789") : 0;

	return digits > 0 && at[1 + digits] == ':'
		   ? lz_strn(sentence, (size_t)(at - sentence) + digits + 2)
		   : STR_NONE;
}

void
wrong_say_unless_told(struct wrongs *w, const char *sentence)
{
	lz_str place = place_of(sentence);

	if (place.ptr == NULL || !was_told(w, place))
		wrong_say(w, sentence);
}

/* ---- places ---- */

static bool
is_of_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_';
}

static unsigned
line_at(const char *text, const char *at)
{
	unsigned line = 1;

	for (const char *p = text; p < at; p++)
		line += *p == '\n';
	return line;
}

/* Where `name =` stands, or ["name"] =, at or after `at`. NULL: nowhere. */
static const char *
set_at(const char *text, const char *at, const char *end, const char *name)
{
	size_t n = strlen(name);

	while ((at = memmem(at, (size_t)(end - at), name, n)) != NULL) {
		const char *after = at + n;

		while (after < end && (*after == ' ' || *after == '\t' || *after == ']' ||
					  *after == '"' || *after == '\''))
			after++;
		if ((at == text || !is_of_word(at[-1])) && after < end && *after == '=' &&
		    (after + 1 == end || after[1] != '='))
			return at;
		at++;
	}
	return NULL;
}

/* The last `return` that begins a line: the table of most scripts stands behind it. */
static const char *
last_return(const char *text, const char *end)
{
	static const char word[] = "return";
	const char *found = NULL, *at = text;

	while ((at = memmem(at, (size_t)(end - at), word, sizeof(word) - 1)) != NULL) {
		if (at == text || at[-1] == '\n')
			found = at;
		at++;
	}
	return found;
}

/* Where the member stands: in the table that the script returns, else wherever it is set
 * first; else where that table begins. in: of a member of a member. 0: not known. */
static unsigned
line_of(const struct script *s, const char *in, const char *name)
{
	const char *text = s->part[0].text, *end = text + s->part[0].text_bytes;
	const char *table = last_return(text, end), *from, *at;

	from = table != NULL ? table : text;
	if (in != NULL && (at = set_at(text, from, end, in)) != NULL)
		from = at;
	at = name != NULL ? set_at(text, from, end, name) : NULL;
	if (at == NULL && name != NULL)
		at = set_at(text, text, end, name);
	if (at == NULL)
		at = table;
	return at != NULL ? line_at(text, at) : 0;
}

static void
vsentence(char *out, size_t n, const struct script *s, const char *in, const char *name,
    const char *fmt, va_list args)
{
	unsigned line = line_of(s, in, name);
	char said[WRONG_BYTES - RUN_FILE_BYTES];

	(void)vsnprintf(said, sizeof(said), fmt, args);
	if (line > 0)
		(void)snprintf(out, n, "%s:%u: %s", s->file, line, said);
	else
		(void)snprintf(out, n, "%s: %s", s->file, said);
}

void
wrong_option(
    char *out, size_t n, const struct script *s, const char *name, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsentence(out, n, s, "options", name, fmt, args);
	va_end(args);
}

void
wrong_tell(struct script *s, const char *name, const char *fmt, ...)
{
	char sentence[WRONG_BYTES];
	va_list args;

	va_start(args, fmt);
	vsentence(sentence, sizeof(sentence), s, NULL, name, fmt, args);
	va_end(args);
	wrong_say(s->wrongs, sentence);
}
