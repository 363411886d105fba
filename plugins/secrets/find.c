/* find.c - one pass over a text: what may begin at the start of a word or a value.
 *
 * SPDX-License-Identifier: MIT
 */
#include "secrets.h"

static int
wants(const struct look *l, unsigned kind)
{
	return (l->kinds & 1u << kind) != 0;
}

/* Bytes that a value may stand behind, and those that no value begins with. */
static const unsigned char is_behind[256] = { [' '] = 1,
	['\t'] = 1,
	['\r'] = 1,
	['\n'] = 1,
	['"'] = 1,
	['\''] = 1,
	['`'] = 1,
	[':'] = 1,
	['='] = 1,
	['>'] = 1 };
static const unsigned char is_no_value[256] = { ['"'] = 1,
	['\''] = 1,
	['`'] = 1,
	[':'] = 1,
	['='] = 1,
	['>'] = 1,
	[','] = 1,
	[';'] = 1,
	[0x7f] = 1 };

static int
is_value_start(unsigned char c, unsigned char before)
{
	return is_behind[before] && c > ' ' && c < 0x80 && !is_no_value[c];
}

/* Behind a word and a blank a value stands only if the word is `is`, `bearer` or `basic`:
 * most of a text ends here. */
static int
is_mere_word(const struct scan_form *f, size_t at)
{
	unsigned char last = scan_before(f, at, 2), other;

	if (scan_before(f, at, 1) != ' ' || !scan_is(last, SCAN_ALNUM))
		return 0;
	other = scan_lower(scan_before(f, at, 3));
	last = scan_lower(last);
	return !((other == 'i' && (last == 's' || last == 'c')) ||
		 (other == 'e' && last == 'r'));
}

/* What has a form of its own. */
static enum scan_verdict
ask_form(const struct look *l, struct pass *pass, const struct scan_form *f, size_t at,
    unsigned char before, struct scan_match *m)
{
	unsigned char c = f->s[at];
	enum scan_verdict v = SCAN_NO;

	if (c == '-' && before != '-' && wants(l, PRIVATE_KEY)) {
		m->kind = PRIVATE_KEY;
		return pem_find(f, at, &m->to);
	}
	if (!scan_is(c, SCAN_ALNUM) || scan_is(before, SCAN_ALNUM))
		return SCAN_NO;
	m->kind = JWT;
	if (c == 'e' && wants(l, JWT))
		v = jwt_find(l, pass, f, at, &m->to);
	return v == SCAN_NO && wants(l, VENDOR) ? vendor_find(l, f, at, m) : v;
}

static enum scan_verdict
ask(const struct look *l, struct pass *pass, const struct scan_form *f, size_t at,
    unsigned char before, struct scan_match *m)
{
	enum scan_verdict v = ask_form(l, pass, f, at, before, m);

	m->from = at;
	if (v != SCAN_NO || !is_value_start(f->s[at], before))
		return v;
	m->kind = URL_PASSWORD;
	if (before == ':' && wants(l, URL_PASSWORD))
		v = url_password_find(f, at, &m->to);
	if (v != SCAN_NO || !wants(l, GENERIC) || is_mere_word(f, at))
		return v;
	m->kind = GENERIC;
	return generic_find(l, pass, f, at, &m->to);
}

enum scan_verdict
secrets_next(const void *look, const struct scan_form *f, size_t from, size_t limit,
    struct scan_match *m)
{
	const struct look *l = look;
	unsigned char before = from < limit ? scan_before(f, from, 1) : 0;
	unsigned class = scan_class[before], last;
	struct pass pass = { { 0, 0 }, { 0, 0 } };

	for (size_t at = from; at < limit; before = f->s[at++]) {
		enum scan_verdict v;

		last = class;
		class = scan_class[f->s[at]];
		/* Inside of a word nothing begins, and nothing begins with a blank. */
		if (((class & SCAN_ALNUM) != 0 && (last & SCAN_ALNUM) != 0) ||
		    f->s[at] == ' ')
			continue;
		v = ask(l, &pass, f, at, before, m);
		if (v != SCAN_NO)
			return v;
	}
	return SCAN_NO;
}
