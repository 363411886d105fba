/* scan.c - one text in both its forms, from left to right.
 *
 * As written and normalised are looked through side by side; of what they find, the
 * earlier is taken, then the longer, and both go on behind it. So a match is found in
 * whichever form shows it, and edits never overlap. Side by side goes in blocks: what one
 * form finds often never makes the other look through the whole text again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scan.h"

enum {
	BLOCK_BYTES = 256,
	GOES_ON = 100, /* beside LZ_*: not yet at the end */
	HELD = 101
};

struct side {
	struct scan_form f;
	int is_plain;
	size_t at, limit; /* bytes of the form */
	enum scan_verdict verdict;
	struct scan_match m;
	size_t from, to; /* the match in bytes of the text */
};

struct work {
	const struct scan_rules *rules;
	void *job;
	lz_call *c;
	size_t i;
	const lz_text *t;
	struct side side[2];
	size_t sides;
	int is_flagged;
};

static size_t
text_start(const struct work *w, const struct side *s, size_t at)
{
	if (!s->is_plain)
		return at;
	return at < s->f.len ? lz->origin(w->c, w->i, at) : w->t->text.len;
}

/* Behind the character of the text that byte at - 1 of the form is of: it may be several
 * of the form, and goes as a whole. */
static size_t
character_end(const struct work *w, const struct side *s, size_t at)
{
	size_t last;

	if (!s->is_plain || at == 0)
		return at;
	last = text_start(w, s, at - 1);
	while (at < s->f.len && text_start(w, s, at) == last)
		at++;
	return at;
}

/* The first byte of the form that comes of text at or behind `at`. */
static size_t
form_at(const struct work *w, const struct side *s, size_t at)
{
	size_t low = 0, high = s->f.len;

	if (!s->is_plain)
		return at < high ? at : high;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (text_start(w, s, mid) < at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
side_open(struct work *w, lz_str s, int is_plain)
{
	struct side *d = &w->side[w->sides++];

	d->f.s = (const unsigned char *)s.ptr;
	d->f.len = s.len;
	d->f.is_final = w->t->final != 0;
	d->f.floor = 0;
	d->f.behind_len = 0;
	d->is_plain = is_plain;
	d->at = form_at(w, d, w->t->seen);
}

static void
side_look(const struct work *w, struct side *s)
{
	size_t end;

	s->verdict = s->at < s->limit
			 ? w->rules->next(w->job, &s->f, s->at, s->limit, &s->m)
			 : SCAN_NO;
	if (s->verdict == SCAN_NO)
		return;
	s->from = text_start(w, s, s->m.from);
	s->to = (size_t)-1;
	if (s->verdict == SCAN_OPEN)
		return;
	end = character_end(w, s, s->m.to);
	/* Where a character that nobody sees comes next, it goes with the one before it.
	 */
	if (s->is_plain && scan_is_open(&s->f, end))
		s->verdict = SCAN_OPEN;
	else
		s->to = text_start(w, s, end);
}

/* What stands before `to` is now what went out: the bytes up to `from`, then `with`. */
static void
form_edit(struct scan_form *f, size_t from, size_t to, lz_str with)
{
	unsigned char b[SCAN_BEHIND] = { 0 };
	size_t k = with.len < SCAN_BEHIND ? with.len : SCAN_BEHIND;
	size_t n = scan_behind(f, from, SCAN_BEHIND - k, b);

	if (k > 0)
		memcpy(b + n, with.ptr + with.len - k, k);
	memcpy(f->behind, b, n + k);
	f->behind_len = n + k;
	f->floor = to;
}

static int32_t
edit(struct work *w, size_t from, size_t to, int32_t deed, lz_str with)
{
	int32_t e;

	if (deed == SCAN_REVEAL)
		return lz->reveal(w->c, w->i, from, to, with);
	e = lz->replace(w->c, w->i, from, to, with);
	for (size_t k = 0; e >= 0 && k < w->sides; k++) {
		struct side *s = &w->side[k];

		form_edit(&s->f, form_at(w, s, from), form_at(w, s, to), with);
	}
	return e;
}

static int32_t
take(struct work *w, const struct side *s)
{
	size_t from = s->from, to = s->to;
	lz_str with = { NULL, 0 };
	int32_t deed = w->rules->found(
	    w->job, w->c, &s->f, &s->m, lz_strn(w->t->text.ptr + from, to - from), &with);
	int32_t e = LZ_OK;

	if (deed < 0)
		return deed;
	if (deed == SCAN_BLOCK)
		return LZ_BLOCK;
	if (deed == SCAN_FLAG)
		w->is_flagged = 1;
	if (deed == SCAN_REPLACE || deed == SCAN_REVEAL)
		e = edit(w, from, to, deed, with);
	for (size_t k = 0; k < w->sides; k++) {
		size_t at = form_at(w, &w->side[k], to);

		if (w->side[k].at < at)
			w->side[k].at = at;
	}
	return e < 0 ? e : GOES_ON;
}

/* The earlier, then the one that is not certain, then the longer; NULL: neither. */
static struct side *
first_of(struct work *w)
{
	struct side *a = &w->side[0], *b = &w->side[1];

	if (w->sides == 1 || b->verdict == SCAN_NO)
		return a->verdict == SCAN_NO ? NULL : a;
	if (a->verdict == SCAN_NO || b->from < a->from)
		return b;
	return b->from == a->from && b->to > a->to ? b : a;
}

/* All that starts before the sides' limits. */
static int32_t
block(struct work *w)
{
	for (;;) {
		struct side *s;
		int32_t e;

		for (size_t k = 0; k < w->sides; k++)
			side_look(w, &w->side[k]);
		s = first_of(w);
		if (s == NULL)
			return GOES_ON;
		if (s->verdict == SCAN_OPEN) {
			e = lz->hold(w->c, w->i, s->from);
			return e < 0 ? e : HELD;
		}
		e = take(w, s);
		if (e != GOES_ON)
			return e;
	}
}

static int32_t
blocks(struct work *w)
{
	size_t len = w->t->text.len, step = w->sides == 1 ? len : BLOCK_BYTES;

	for (size_t at = w->t->seen; at < len;) {
		int32_t e;

		at = len - at < step ? len : at + step;
		for (size_t k = 0; k < w->sides; k++) {
			struct side *s = &w->side[k];

			s->limit = at == len ? s->f.len : form_at(w, s, at);
		}
		e = block(w);
		if (e != GOES_ON)
			return e;
		for (size_t k = 0; k < w->sides; k++)
			if (w->side[k].at < w->side[k].limit)
				w->side[k].at = w->side[k].limit;
	}
	return GOES_ON;
}

static int32_t
scan_text(struct work *w, size_t i)
{
	lz_str plain;

	w->i = i;
	w->t = lz->text(w->c, i);
	w->sides = 0;
	plain = LZ_HAS(w->t, plain) ? w->t->plain : lz_strn(NULL, 0);
	if (w->t->text.len == 0)
		return GOES_ON;
	side_open(w, w->t->text, 0);
	if (plain.ptr != NULL && plain.ptr != w->t->text.ptr &&
	    (plain.len != w->t->text.len ||
		memcmp(plain.ptr, w->t->text.ptr, plain.len) != 0))
		side_open(w, plain, 1);
	return blocks(w);
}

int32_t
scan_call(const struct scan_rules *rules, void *job, lz_call *c)
{
	struct work w = { .rules = rules, .job = job, .c = c };

	for (size_t i = 0, n = lz->texts(c); i < n; i++) {
		int32_t e = scan_text(&w, i);

		if (e != GOES_ON && e != HELD)
			return e;
	}
	return w.is_flagged ? LZ_FLAG : LZ_OK;
}
