/* find.c - one pass over a text: where something may begin, and what is asked there.
 *
 * Most of a text is words without a digit that no @ follows: a run of them costs one look
 * into a table per byte. Only in what is left the kinds are asked, in the order of their
 * table, and the first that says yes has it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pii.h"

enum {
	/* A run is read in pieces, so that it is not read to its end again behind every
	 * match. */
	PIECE_BYTES = 256
};

/* A run, as far as it has to be seen. */
struct run {
	size_t from, to;
	int is_cut;   /* it goes on behind `to`, or may */
	int has_mail; /* an @ may follow */
	unsigned all; /* the classes of its bytes */
	int is_hex;
};

static void
run_read(const struct scan_form *f, size_t at, struct run *r)
{
	const unsigned char *s = f->s + at, *stop = f->s + f->len;
	unsigned all = 0, hex = SCAN_HEX, class;
	size_t p;

	if (f->len - at > PIECE_BYTES)
		stop = s + PIECE_BYTES;
	for (; s < stop && ((class = scan_class[*s]) & SCAN_WORD) != 0; s++) {
		all |= class;
		hex &= class;
	}
	p = (size_t)(s - f->s);
	r->from = at;
	r->to = p;
	r->all = all;
	r->is_hex = hex != 0;
	r->is_cut = p < f->len ? scan_is(f->s[p], SCAN_WORD) : !f->is_final;
	r->has_mail = r->is_cut || scan_at(f, p) == '@' || (all & SCAN_DIGIT) != 0;
}

/* May anything begin in it? Says no only where every kind would. */
static int
is_worth_it(const struct scan_form *f, const struct run *r)
{
	size_t n = r->to - r->from;
	unsigned char next = scan_at(f, r->to);

	if ((r->all & SCAN_DIGIT) != 0 || r->is_cut || next == '@')
		return 1;
	if (next == ':')
		return r->is_hex && n <= 4;
	if (next == '(')
		return f->s[r->to - 1] == '+';
	/* AB 12 34 56 C, also behind a mark: x-AB 12 ... */
	return next == ' ' && n >= 2 &&
	       (scan_is(scan_at(f, r->to + 1), SCAN_DIGIT) || scan_is_open(f, r->to + 1));
}

/* Inside of a word nothing begins, but for digits behind a letter. */
static int
is_inside(unsigned char before, unsigned char c)
{
	unsigned b = scan_class[before];

	return (b & SCAN_ALNUM) != 0 && (scan_class[c] & SCAN_ALNUM) != 0 &&
	       !((b & SCAN_LETTER) != 0 && (scan_class[c] & SCAN_DIGIT) != 0);
}

/* What may begin at `at`; 0: nothing. */
static unsigned
starts_at(const struct scan_form *f, size_t at)
{
	unsigned char c = f->s[at], b;

	if (!scan_is(c, SCAN_ALNUM)) {
		if (c == '+')
			return scan_is(scan_before(f, at, 1), SCAN_ALNUM) ? 0 : AT_PHONE;
		return c >= 0xc3 && c <= 0xdf && !is_letter_before(f, at) ? AT_WIDE : 0;
	}
	b = scan_before(f, at, 1);
	if (is_letter_before(f, at))
		return scan_is(c, SCAN_DIGIT) && b < 0x80 ? GLUED : 0;
	if (scan_is(b, SCAN_DIGIT))
		return 0;
	if (scan_is(c, SCAN_LETTER))
		return AT_LETTER;
	/* Behind 1. and 1, is the rest of a number, behind 1- and 1/ of something longer.
	 */
	if (scan_is(scan_before(f, at, 2), SCAN_DIGIT)) {
		if (b == '.' || b == ',')
			return 0;
		if (b == '-' || b == '/')
			return CONTINUED;
	}
	return AT_DIGIT;
}

static enum scan_verdict
ask(const struct look *l, const struct scan_form *f, size_t at, unsigned starts,
    int has_mail, struct scan_match *m)
{
	struct start s = { .f = f, .at = at };

	m->from = at;
	for (unsigned k = 0; k < KINDS; k++) {
		enum scan_verdict v;

		if ((l->kinds & 1u << k) == 0 || (kinds[k].starts & starts) == 0 ||
		    (k == EMAIL && !has_mail))
			continue;
		v = kinds[k].find(&s, &m->to);
		m->kind = k;
		if (v != SCAN_NO)
			return v;
	}
	return SCAN_NO;
}

/* All starts of the run at *at that lie before limit; *at is then behind it. */
static enum scan_verdict
in_run(const struct look *l, const struct scan_form *f, size_t *at, size_t limit,
    struct scan_match *m)
{
	struct run r;
	unsigned char before = scan_before(f, *at, 1);
	size_t end;

	run_read(f, *at, &r);
	end = r.to < limit ? r.to : limit;
	if (!is_worth_it(f, &r)) {
		*at = end;
		return SCAN_NO;
	}
	for (; *at < end; before = f->s[(*at)++]) {
		unsigned starts = is_inside(before, f->s[*at]) ? 0 : starts_at(f, *at);
		enum scan_verdict v =
		    starts == 0 ? SCAN_NO : ask(l, f, *at, starts, r.has_mail, m);

		if (v != SCAN_NO)
			return v;
	}
	return SCAN_NO;
}

static enum scan_verdict
at_mark(const struct look *l, const struct scan_form *f, size_t at, struct scan_match *m)
{
	enum scan_verdict v;

	if (f->s[at] == '[') {
		const struct name *name;

		m->from = at;
		m->kind = PLACEHOLDER;
		v = placeholder_at(l->names, f, at, &m->to, &name);
		return v;
	}
	if (f->s[at] == '(')
		return ask(l, f, at, AT_PHONE, 0, m);
	if (scan_at(f, at + 1) != ':' && !scan_is_open(f, at + 1))
		return SCAN_NO;
	return scan_is(scan_before(f, at, 1), SCAN_ALNUM) ? SCAN_NO
							  : ask(l, f, at, AT_COLON, 0, m);
}

enum scan_verdict
pii_next(const void *look, const struct scan_form *f, size_t from, size_t limit,
    struct scan_match *m)
{
	const struct look *l = look;
	size_t at = from;

	while (at < limit) {
		unsigned class = scan_class[f->s[at]];
		enum scan_verdict v = SCAN_NO;

		if ((class & SCAN_WORD) != 0)
			v = in_run(l, f, &at, limit, m);
		else if ((class & SCAN_START) != 0)
			v = at_mark(l, f, at++, m);
		else
			at++;
		if (v != SCAN_NO)
			return v;
	}
	return SCAN_NO;
}
