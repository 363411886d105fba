/* match.c - Lua's patterns in counted steps.
 *
 * A backtracking matcher: there is no bound on what a pattern may cost but the one that
 * is counted here. Whoever looks at the end of the text says so (at_end()), which is all
 * that the third answer needs. The one shortcut: when a pattern that begins with a
 * repeated item, as in "[%w]+@", matches nowhere from the beginning of a run of such
 * characters, it does not from inside that run either, so looking for it is linear where
 * it would be quadratic.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/match.h"

#include <ctype.h>
#include <stdio.h>

enum {
	ESCAPE = '%'
};
enum {
	MEMO_UNKNOWN,
	MEMO_YES,
	MEMO_NO
};

static const char *go(struct match *m, const char *s, const char *p);

/* ---- failing, counting, looking at the end ---- */

static const char *
fail(struct match *m, const char *why)
{
	if (m->error[0] == '\0')
		(void)snprintf(m->error, sizeof(m->error), "%s", why);
	return NULL;
}

static bool
has_failed(const struct match *m)
{
	return m->error[0] != '\0';
}

static bool
count(struct match *m, size_t n)
{
	m->steps += n;
	if (m->steps <= m->step_limit)
		return true;
	(void)fail(m, "pattern too expensive");
	return false;
}

static bool
at_end(struct match *m, const char *s)
{
	if (s < m->text_end)
		return false;
	m->touched_end = true;
	return true;
}

/* ---- one character ---- */

static bool
is_of_class(int c, int class)
{
	bool is;

	switch (tolower(class)) {
	case 'a':
		is = isalpha(c);
		break;
	case 'c':
		is = iscntrl(c);
		break;
	case 'd':
		is = isdigit(c);
		break;
	case 'g':
		is = isgraph(c);
		break;
	case 'l':
		is = islower(c);
		break;
	case 'p':
		is = ispunct(c);
		break;
	case 's':
		is = isspace(c);
		break;
	case 'u':
		is = isupper(c);
		break;
	case 'w':
		is = isalnum(c);
		break;
	case 'x':
		is = isxdigit(c);
		break;
	case 'z': /* of Lua 5.1; the stock library still has it */
		is = c == 0;
		break;
	default:
		return class == c;
	}
	return isupper(class) ? !is : is;
}

/* The item that begins at p ends where? NULL: it does not. */
static const char *
item_end(struct match *m, const char *p)
{
	char c = *p++;

	if (c == ESCAPE) {
		if (p == m->pattern_end)
			return fail(m, "malformed pattern (ends with '%')");
		return p + 1;
	}
	if (c != '[')
		return p;
	if (p < m->pattern_end && *p == '^')
		p++;
	do { /* a ] in the first place stands for itself */
		if (p == m->pattern_end)
			return fail(m, "malformed pattern (missing ']')");
		c = *p++;
		if (c == ESCAPE) {
			if (p == m->pattern_end)
				return fail(m, "malformed pattern (missing ']')");
			p++;
		}
	} while (p == m->pattern_end || *p != ']');
	return p + 1;
}

/* set: at its [; last: at its ]. */
static bool
is_in_set(struct match *m, int c, const char *set, const char *last)
{
	bool wanted = true;

	m->steps += (uint64_t)(last - set) / 4;
	set++;
	if (*set == '^') {
		wanted = false;
		set++;
	}
	for (; set < last; set++) {
		if (*set == ESCAPE) {
			set++;
			if (is_of_class(c, (unsigned char)*set))
				return wanted;
		} else if (set[1] == '-' && set + 2 < last) {
			if ((unsigned char)set[0] <= c && c <= (unsigned char)set[2])
				return wanted;
			set += 2;
		} else if ((unsigned char)*set == c) {
			return wanted;
		}
	}
	return !wanted;
}

/* Is the character at s, which is not the end, one of item p..end? */
static bool
is_one(struct match *m, const char *s, const char *p, const char *end)
{
	int c = (unsigned char)*s;

	switch (*p) {
	case '.':
		return true;
	case ESCAPE:
		return is_of_class(c, (unsigned char)p[1]);
	case '[':
		return is_in_set(m, c, p, end - 1);
	default:
		return (unsigned char)*p == c;
	}
}

static bool
is_one_here(struct match *m, const char *s, const char *p, const char *end)
{
	return !at_end(m, s) && is_one(m, s, p, end);
}

/* The same of the leading item, whose answers are remembered. */
static bool
is_first(struct match *m, const char *s)
{
	unsigned char *memo = &m->memo[(unsigned char)*s];

	if (*memo == MEMO_UNKNOWN)
		*memo = is_one(m, s, m->first, m->first_end) ? MEMO_YES : MEMO_NO;
	return *memo == MEMO_YES;
}

/* ---- repeated items ---- */

static const char *
as_many_as_possible(struct match *m, const char *s, const char *p, const char *end)
{
	ptrdiff_t n = 0;

	if (p == m->first)
		while (s + n < m->text_end && is_first(m, s + n))
			n++;
	else
		while (s + n < m->text_end && is_one(m, s + n, p, end))
			n++;
	(void)at_end(m, s + n);
	if (!count(m, (size_t)n))
		return NULL;
	for (; n >= 0; n--) {
		const char *found = go(m, s + n, end + 1);

		if (found != NULL || has_failed(m))
			return found;
	}
	return NULL;
}

static const char *
as_few_as_possible(struct match *m, const char *s, const char *p, const char *end)
{
	for (;;) {
		const char *found = go(m, s, end + 1);

		if (found != NULL || has_failed(m))
			return found;
		if (!is_one_here(m, s, p, end))
			return NULL;
		s++;
	}
}

/* ---- captures ---- */

static const char *
open_capture(struct match *m, const char *s, const char *p, ptrdiff_t what)
{
	const char *found;

	if (m->captures >= MATCH_CAPTURES)
		return fail(m, "too many captures");
	m->capture[m->captures].at = s;
	m->capture[m->captures].len = what;
	m->captures++;
	found = go(m, s, p);
	if (found == NULL)
		m->captures--;
	return found;
}

static const char *
close_capture(struct match *m, const char *s, const char *p)
{
	size_t i = m->captures;
	const char *found;

	while (i > 0 && m->capture[i - 1].len != MATCH_UNFINISHED)
		i--;
	if (i == 0)
		return fail(m, "invalid pattern capture");
	m->capture[i - 1].len = s - m->capture[i - 1].at;
	found = go(m, s, p);
	if (found == NULL)
		m->capture[i - 1].len = MATCH_UNFINISHED;
	return found;
}

/* %1: the same text again. NULL: it is not there. */
static const char *
same_again(struct match *m, const char *s, int digit)
{
	size_t i = (size_t)(digit - '1');
	const struct match_capture *c;

	if (digit == '0' || i >= m->captures || m->capture[i].len == MATCH_UNFINISHED) {
		if (!has_failed(m))
			(void)snprintf(m->error, sizeof(m->error),
			    "invalid capture index %%%d", digit - '0');
		return NULL;
	}
	c = &m->capture[i];
	/* A position is as long as nothing can be: it never comes again. */
	if (c->len == MATCH_POSITION)
		return NULL;
	if (c->len > m->text_end - s) {
		m->touched_end = true;
		return NULL;
	}
	if (!count(m, (size_t)c->len / 8) || memcmp(c->at, s, (size_t)c->len) != 0)
		return NULL;
	return s + c->len;
}

/* ---- %b and %f ---- */

static const char *
balanced(struct match *m, const char *s, const char *p)
{
	int depth = 1;

	if (p + 1 >= m->pattern_end)
		return fail(m, "malformed pattern (missing arguments to '%b')");
	if (at_end(m, s) || *s != *p)
		return NULL;
	for (s++; !at_end(m, s); s++) {
		if (!count(m, 1))
			return NULL;
		if (*s == p[1]) {
			if (--depth == 0)
				return s + 1;
		} else if (*s == p[0]) {
			depth++;
		}
	}
	return NULL;
}

/* p: behind %f. Where its set ends, if s is at such a frontier. */
static const char *
frontier(struct match *m, const char *s, const char *p)
{
	int before = s > m->text ? (unsigned char)s[-1] : m->before;
	const char *end;
	int here;

	if (p >= m->pattern_end || *p != '[')
		return fail(m, "missing '[' after '%f' in pattern");
	end = item_end(m, p);
	if (end == NULL)
		return NULL;
	if (is_in_set(m, before, p, end - 1))
		return NULL;
	here = at_end(m, s) ? '\0' : (unsigned char)*s;
	return is_in_set(m, here, p, end - 1) ? end : NULL;
}

/* ---- all of it ---- */

/* What an item stands for, where it is neither capture nor anchor. *s and *p move on;
 * false: the answer is *s. */
static bool
take_item(struct match *m, const char **s, const char **p)
{
	const char *end = item_end(m, *p);
	char suffix;

	if (end == NULL) {
		*s = NULL;
		return false;
	}
	suffix = end < m->pattern_end ? *end : '\0';
	switch (suffix) {
	case '?':
		if (is_one_here(m, *s, *p, end)) {
			const char *found = go(m, *s + 1, end + 1);

			if (found != NULL || has_failed(m)) {
				*s = found;
				return false;
			}
		}
		*p = end + 1;
		return true;
	case '+':
		*s = is_one_here(m, *s, *p, end) ? as_many_as_possible(m, *s + 1, *p, end)
						 : NULL;
		return false;
	case '*':
		*s = as_many_as_possible(m, *s, *p, end);
		return false;
	case '-':
		*s = as_few_as_possible(m, *s, *p, end);
		return false;
	default:
		if (!is_one_here(m, *s, *p, end)) {
			*s = NULL;
			return false;
		}
		++*s;
		*p = end;
		return true;
	}
}

/* %b, %f, %1. As take_item(). is_ours: it was one of these. */
static bool
take_escape(struct match *m, const char **s, const char **p, bool *is_ours)
{
	const char *code = *p + 1, *next;

	*is_ours = code < m->pattern_end &&
		   (*code == 'b' || *code == 'f' || isdigit((unsigned char)*code));
	if (!*is_ours)
		return true;
	if (*code == 'f') {
		next = frontier(m, *s, code + 1);
		if (next != NULL)
			*p = next;
		else
			*s = NULL;
		return next != NULL;
	}
	*s = *code == 'b' ? balanced(m, *s, code + 1)
			  : same_again(m, *s, (unsigned char)*code);
	*p = *code == 'b' ? code + 3 : code + 1;
	return *s != NULL;
}

static const char *
walk(struct match *m, const char *s, const char *p)
{
	bool is_escape;

	while (p != m->pattern_end) {
		if (!count(m, 1))
			return NULL;
		if (*p == '(')
			return p + 1 < m->pattern_end && p[1] == ')'
				   ? open_capture(m, s, p + 2, MATCH_POSITION)
				   : open_capture(m, s, p + 1, MATCH_UNFINISHED);
		if (*p == ')')
			return close_capture(m, s, p + 1);
		if (*p == '$' && p + 1 == m->pattern_end)
			return at_end(m, s) ? s : NULL;
		is_escape = false;
		if (*p == ESCAPE && !take_escape(m, &s, &p, &is_escape))
			return s;
		if (!is_escape && !take_item(m, &s, &p))
			return s;
	}
	return s;
}

/* Where the rest of the pattern, from p on, ends if it matches at s; else NULL. */
static const char *
go(struct match *m, const char *s, const char *p)
{
	const char *found;

	if (m->depth++ == MATCH_DEPTH) {
		m->depth--;
		return fail(m, "pattern too complex");
	}
	found = walk(m, s, p);
	m->depth--;
	return found;
}

/* ---- from outside ---- */

static bool
has_back_reference(lz_str pattern)
{
	for (size_t i = 0; i + 1 < pattern.len; i++)
		if (pattern.ptr[i] == ESCAPE && isdigit((unsigned char)pattern.ptr[++i]))
			return true;
	return false;
}

static void
look_at_first(struct match *m, lz_str pattern)
{
	const char *p = m->pattern, *end;
	char suffix;

	while (p < m->pattern_end && *p == '(')
		p++;
	if (p - m->pattern > MATCH_CAPTURES) /* is said wherever it is tried */
		return;
	if (p == m->pattern_end || *p == ')' || *p == '$' ||
	    (*p == ESCAPE && p + 1 < m->pattern_end &&
		(p[1] == 'b' || p[1] == 'f' || isdigit((unsigned char)p[1]))))
		return;
	end = item_end(m, p);
	m->error[0] = '\0'; /* it is said when it is met */
	if (end == NULL)
		return;
	suffix = end < m->pattern_end ? *end : '\0';
	m->first = p;
	m->first_end = end;
	m->is_needed = suffix != '*' && suffix != '?' && suffix != '-';
	m->is_run = (suffix == '*' || suffix == '+' || suffix == '-') &&
		    !has_back_reference(pattern);
	memset(m->memo, MEMO_UNKNOWN, sizeof(m->memo));
}

void
match_begin(struct match *m, lz_str text, lz_str pattern)
{
	m->text = text.ptr != NULL ? text.ptr : "";
	m->text_end = m->text + text.len;
	m->is_anchored = pattern.len > 0 && pattern.ptr[0] == '^';
	m->pattern = (pattern.ptr != NULL ? pattern.ptr : "") + m->is_anchored;
	m->pattern_end = m->pattern + pattern.len - m->is_anchored;
	m->is_open = false;
	m->before = 0;
	m->step_limit = UINT64_MAX;
	m->steps = 0;
	m->captures = 0;
	m->end = NULL;
	m->error[0] = '\0';
	m->depth = 0;
	m->first = m->first_end = NULL;
	m->is_needed = m->is_run = false;
	m->touched_end = false;
	look_at_first(m, pattern);
}

enum match_answer
match_at(struct match *m, const char *at)
{
	const char *found;

	m->captures = 0;
	m->touched_end = false;
	if (m->is_needed && (at_end(m, at) || !is_first(m, at))) {
		m->steps++;
		return m->is_open && m->touched_end ? MATCH_UNDECIDED : MATCH_NO;
	}
	found = go(m, at, m->pattern);
	if (has_failed(m))
		return MATCH_FAILED;
	if (m->is_open && m->touched_end)
		return MATCH_UNDECIDED;
	m->end = found;
	return found != NULL ? MATCH_YES : MATCH_NO;
}

const char *
match_next(struct match *m, const char *at)
{
	const char *end = at;

	if (at == m->text_end)
		return at + 1;
	/* The attempt at `at` tried the rest of the pattern at every place that an
	 * attempt inside this run would. */
	while (m->is_run && end < m->text_end && is_first(m, end))
		end++;
	if (end == at)
		end++;
	/* And where the leading item is not, nothing begins. */
	while (m->is_needed && end < m->text_end && !is_first(m, end))
		end++;
	m->steps += (uint64_t)(end - at);
	return end;
}

const char *
match_plain(lz_str text, const char *from, lz_str what)
{
	size_t left = (size_t)(text.ptr + text.len - from);

	return what.len == 0 ? from : memmem(from, left, what.ptr, what.len);
}

bool
match_is_plain(lz_str pattern)
{
	for (size_t i = 0; i < pattern.len; i++)
		if (pattern.ptr[i] != '\0' &&
		    strchr("^$*+?.([%-", pattern.ptr[i]) != NULL)
			return false;
	return true;
}
