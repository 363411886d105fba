/* scan.c - looks through a text and its plain form, and decides.
 *
 * A text is gone through in steps, and each step is what a check of a growing stream is:
 * look from `at` to a limit, settle what cannot change any more, go on behind it. What
 * was masked is replaced in what later matches see before them, because that is how a
 * stream shows it. So the whole text and any way to cut it lead to the same result.
 *
 * SPDX-License-Identifier: MIT
 */
#include "patterns.h"

#include <stdlib.h>

enum {
	STEP_BYTES = 4096,
	FOUND_FIRST = 64
};

/* A form of the text: as written, or plain. */
struct form {
	const char *begin; /* what may be looked at starts here, ... */
	const char *ptr;   /* ... byte 0 is here */
	size_t len;
	char *
	    own; /* a copy that masks are written into, CONTEXT bytes in front; or NULL */
	bool is_plain;
};

struct scan {
	const struct patterns *p;
	lz_call *c;
	pcre2_match_data *match;
	uint8_t *told; /* per entry: its reason was given in this call */
	bool is_flagged;
	/* the text at hand */
	size_t text;
	bool is_final;
	struct form form[2];
	size_t forms;
	/* this step: found in bytes of the text */
	struct found *found;
	size_t count, room;
	size_t at, limit;
	bool is_end; /* nothing follows behind limit */
	size_t open; /* from here on something may have begun that is not decided */
	int32_t error;
	/* the form that is looked through */
	const struct form *here;
	size_t one_at, one_end; /* the last origin asked for, and the next greater one */
};

/* ---- plain and text
 * --------------------------------------------------------------------- */

static size_t
origin(const struct scan *s, size_t at)
{
	return lz->origin(s->c, s->text, at);
}

/* The first byte of the form that comes from byte `at` of the text or behind it. */
static size_t
place_in(const struct scan *s, const struct form *f, size_t at)
{
	size_t low = 0, high = f->len;

	if (!f->is_plain)
		return at;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (origin(s, middle) < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* U+202E: what follows is shown, and was read, backwards. */
static bool
is_backwards(const char *p)
{
	return memcmp(p, "\u202e", 3) == 0;
}

/* What was found as it is written, widened to whole characters of the plain form: with
 * the marks above its last letter, and to all of a passage that is shown backwards. */
static struct found
widened(const struct scan *s, struct found f)
{
	const struct form *plain = &s->form[1];
	size_t at = place_in(s, plain, f.from), from = origin(s, at);

	if (from > f.from && at > 0)
		from = origin(s, at - 1);
	if (from >= s->at && from < f.from && f.to - from > 3 &&
	    is_backwards(s->form[0].ptr + from))
		f.from = from;
	at = origin(s, place_in(s, plain, f.to));
	if (at > f.to)
		f.to = at;
	return f;
}

/* Where in the text [from, to) of the form was read from: whole characters of it. */
static struct found
in_text(struct scan *s, struct found f)
{
	size_t low = f.to, high = s->here->len, last;

	if (!s->here->is_plain)
		return s->forms > 1 ? widened(s, f) : f;
	last = origin(s, f.to - 1);
	f.from = origin(s, f.from);
	f.to = origin(s, f.to);
	if (f.to > last)
		return f;
	/* Inside of what one character became: up to its end. */
	if (s->one_at != last || s->one_end == 0) {
		while (low < high) {
			size_t middle = (low + high) / 2;

			if (origin(s, middle) <= last)
				low = middle + 1;
			else
				high = middle;
		}
		s->one_at = last;
		s->one_end = origin(s, low);
	}
	f.to = s->one_end;
	return f;
}

/* ---- finding
 * ---------------------------------------------------------------------------- */

static void
add_found(struct scan *s, struct found f)
{
	if (s->count == s->room) {
		size_t room = s->room > 0 ? s->room * 2 : FOUND_FIRST;
		struct found *p = lz->alloc(s->c, room * sizeof(*p));

		if (p == NULL) {
			s->error = LZ_E_NOMEM;
			return;
		}
		if (s->count > 0)
			memcpy(p, s->found, s->count * sizeof(*p));
		s->found = p;
		s->room = room;
	}
	s->found[s->count++] = f;
}

/* The plain form of a word counts where something else is written: who lists "résumé" did
 * not list "resume". */
static bool
is_disguised(const struct scan *s, struct found in_form, struct found in_text)
{
	size_t n = in_form.to - in_form.from;

	return n != in_text.to - in_text.from ||
	       memcmp(s->here->ptr + in_form.from, s->form[0].ptr + in_text.from, n) != 0;
}

static void
found_or_open(void *arg, struct found f, bool is_open)
{
	struct scan *s = arg;
	const struct entry *e = &s->p->entries[f.entry];
	struct found in_form = f;

	if (e->is_plain && !s->here->is_plain)
		return;
	f = in_text(s, f);
	if (e->is_plain && !is_open && !is_disguised(s, in_form, f))
		return;
	if (e->is_plain)
		f.entry = e->of;
	if (!is_open && (s->is_end || f.to < s->limit))
		add_found(s, f);
	else if (f.from < s->open)
		s->open = f.from;
}

static void
open_from(struct scan *s, size_t at)
{
	if (s->here->is_plain)
		at = origin(s, at);
	if (at < s->open)
		s->open = at;
}

static void
find_expression(struct scan *s, uint32_t i, size_t at, size_t end)
{
	const pcre2_code *code = s->p->entries[i].expression;
	const struct form *f = s->here;
	/* Modulo 2^64: a mask may let the form begin behind byte 0. */
	size_t base = (size_t)(f->ptr - f->begin);
	uint32_t options = PCRE2_NOTEMPTY | (s->is_end ? 0 : PCRE2_PARTIAL_HARD);
	const size_t *range = pcre2_get_ovector_pointer(s->match);

	while (at < end && s->error == 0) {
		int rc = pcre2_match(code, (PCRE2_SPTR)f->begin, end + base, at + base,
		    options, s->match, s->p->limits);
		struct found hit;

		if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
			rc = pcre2_match(code, (PCRE2_SPTR)f->begin, end + base,
			    at + base, options | PCRE2_NO_JIT, s->match, s->p->limits);
		if (rc == PCRE2_ERROR_NOMATCH)
			return;
		if (rc == PCRE2_ERROR_PARTIAL) {
			open_from(s, range[0] - base);
			return;
		}
		if (rc < 0) {
			s->error = rc == PCRE2_ERROR_NOMEMORY ? LZ_E_NOMEM : LZ_E_FAIL;
			lz->log(s->c, LZ_WARN,
			    lz_strz(rc == PCRE2_ERROR_MATCHLIMIT   ? "match_limit reached"
				    : rc == PCRE2_ERROR_DEPTHLIMIT ? "depth_limit reached"
				    : rc == PCRE2_ERROR_HEAPLIMIT
					? "heap_limit reached"
					: "an expression failed"));
			return;
		}
		hit = (struct found){ range[0] - base, range[1] - base, i };
		at = hit.to;
		found_or_open(s, hit, !s->is_end && hit.to == end);
	}
}

/* Everything that is found in the text from `at` to `limit`. */
static void
find(struct scan *s, size_t at, size_t limit, size_t len)
{
	s->count = 0;
	s->at = at;
	s->open = s->limit = limit;
	s->is_end = s->is_final && limit == len;
	for (size_t k = 0; k < s->forms && s->error == 0; k++) {
		const struct form *f = &s->form[k];
		size_t from = place_in(s, f, at);
		size_t end = limit == len ? f->len : place_in(s, f, limit);

		s->here = f;
		s->one_end = 0;
		open_from(
		    s, words_find(s->p->automaton, s->p->entries, s->p->ignore_case,
			   f->begin, f->ptr, from, end, s->is_end, found_or_open, s));
		for (uint32_t i = 0; s->p->has_expressions && i < s->p->count; i++) {
			if (s->p->entries[i].expression != NULL)
				find_expression(s, i, from, end);
		}
	}
}

/* ---- settling
 * --------------------------------------------------------------------------- */

static int
order(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if (x->to != y->to)
		return x->to > y->to ? -1 : 1;
	return x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* Nothing may end inside of what was found: then it is looked at again as a whole. */
static size_t
settled_to(const struct scan *s)
{
	size_t stop = s->open;

	for (size_t i = s->count; i-- > 0;) {
		if (s->found[i].from < stop && s->found[i].to > stop)
			stop = s->found[i].from;
	}
	return stop;
}

/* The first stretch of masks, those that overlap being one; false: there is none before
 * `stop`. */
static bool
first_mask(const struct scan *s, size_t stop, struct found *mask)
{
	bool is_found = false;

	for (size_t i = 0; i < s->count && s->found[i].to <= stop; i++) {
		const struct found *f = &s->found[i];

		if (s->p->entries[f->entry].action != MASK)
			continue;
		if (is_found && f->from >= mask->to)
			break;
		if (!is_found)
			*mask = *f;
		else if (f->to > mask->to)
			mask->to = f->to;
		is_found = true;
	}
	return is_found;
}

static void
tell(struct scan *s, uint32_t i)
{
	const struct entry *e = &s->p->entries[i];

	if (s->told[i])
		return;
	s->told[i] = 1;
	lz->reason(s->c, e->code,
	    lz_strz(e->expression != NULL ? "a listed expression" : "a listed word"));
}

/* Gives the reasons of what begins before `end` and is settled. Blocked: true; by what
 * ends first, and with the reasons of what ended before, as a stream would tell them. */
static bool
judge(struct scan *s, size_t end, size_t stop)
{
	const struct found *block = NULL;
	size_t i;

	for (i = 0; i < s->count && s->found[i].from < end; i++) {
		if (s->p->entries[s->found[i].entry].action == BLOCK &&
		    (block == NULL || s->found[i].to < block->to))
			block = &s->found[i];
	}
	if (block != NULL)
		stop = block->to;
	for (i = 0; i < s->count && s->found[i].from < end; i++) {
		enum action action = s->p->entries[s->found[i].entry].action;

		if (s->found[i].to > stop || action == BLOCK)
			continue;
		tell(s, s->found[i].entry);
		s->is_flagged |= action == FLAG;
	}
	if (block != NULL)
		tell(s, block->entry);
	return block != NULL;
}

/* ---- masking
 * ---------------------------------------------------------------------------- */

/* What stands before byte `to` of the form is from now on what stood before `from`, and
 * then `with`. */
static int32_t
rewrite(struct scan *s, struct form *f, size_t from, size_t to, lz_str with)
{
	char before[CONTEXT];
	size_t kept = (size_t)(f->ptr + from - f->begin), n;

	if (f->own == NULL) {
		f->own = lz->alloc(s->c, CONTEXT + f->len);
		if (f->own == NULL)
			return LZ_E_NOMEM;
		memcpy(f->own + CONTEXT, f->ptr, f->len);
		f->begin = f->own + CONTEXT - (f->ptr - f->begin);
		f->ptr = f->own + CONTEXT;
	}
	if (with.len > CONTEXT)
		with = lz_strn(with.ptr + with.len - CONTEXT, CONTEXT);
	if (kept > CONTEXT - with.len)
		kept = CONTEXT - with.len;
	memcpy(before, f->ptr + from - kept, kept);
	if (with.len > 0)
		memcpy(before + kept, with.ptr, with.len);
	n = kept + with.len;
	memcpy(f->own + CONTEXT + to - n, before, n);
	f->begin = f->ptr + to - n;
	/* Not into the middle of a character. */
	while (n > 0 && ((uint8_t)*f->begin & 0xc0) == 0x80) {
		f->begin++;
		n--;
	}
	return LZ_OK;
}

static int32_t
mask(struct scan *s, struct found m)
{
	lz_str with = s->p->entries[m.entry].replacement;
	int32_t rc = lz->replace(s->c, s->text, m.from, m.to, with);

	for (size_t k = 0; rc == LZ_OK && k < s->forms; k++) {
		struct form *f = &s->form[k];

		rc = rewrite(s, f, place_in(s, f, m.from), place_in(s, f, m.to), with);
	}
	return rc;
}

/* ---- a text
 * ----------------------------------------------------------------------------- */

static void
set_forms(struct scan *s, const lz_text *t)
{
	s->form[0] =
	    (struct form){ .begin = t->text.ptr, .ptr = t->text.ptr, .len = t->text.len };
	s->form[1] = (struct form){ .begin = t->plain.ptr,
		.ptr = t->plain.ptr,
		.len = t->plain.len,
		.is_plain = true };
	s->forms = 1;
	if (t->plain.ptr != NULL &&
	    (t->plain.len != t->text.len ||
		memcmp(t->plain.ptr, t->text.ptr, t->text.len) != 0))
		s->forms = 2;
}

/* The end of a step: between characters. */
static size_t
step_end(lz_str text, size_t at, size_t bytes)
{
	size_t end = bytes < text.len - at ? at + bytes : text.len;

	while (end < text.len && ((uint8_t)text.ptr[end] & 0xc0) == 0x80)
		end++;
	return end;
}

/* What `plain` says nothing about yet must not go out. Where a mask took the end of a
 * passage away, that begins in what is out already. */
static size_t
decided(const struct scan *s, size_t stop)
{
	size_t end = s->forms > 1 ? origin(s, s->form[1].len) : stop;

	if (end < s->at)
		end = s->at;
	return end < stop ? end : stop;
}

static int32_t
check_text(struct scan *s, const lz_text *t)
{
	size_t at = t->seen, bytes = STEP_BYTES, limit;
	struct found m;

	if (t->text.len == 0)
		return LZ_OK;
	s->is_final = t->final;
	set_forms(s, t);
	while (at < t->text.len) {
		size_t stop;

		limit = step_end(t->text, at, bytes);
		find(s, at, limit, t->text.len);
		if (s->error != 0)
			return s->error;
		if (s->count > 1)
			qsort(s->found, s->count, sizeof(*s->found), order);
		if (limit == t->text.len && !s->is_final)
			s->open = decided(s, s->open);
		stop = settled_to(s);
		if (first_mask(s, stop, &m)) {
			if (judge(s, m.to, stop))
				return LZ_BLOCK;
			if (mask(s, m) != LZ_OK)
				return LZ_E_FAIL;
			at = m.to;
			bytes = STEP_BYTES;
			continue;
		}
		if (judge(s, SIZE_MAX, stop))
			return LZ_BLOCK;
		if (limit == t->text.len) {
			if (!s->is_final && stop < limit)
				return lz->hold(s->c, s->text, stop);
			return LZ_OK;
		}
		bytes = STEP_BYTES + 2 * (limit - stop);
		at = stop;
	}
	return LZ_OK;
}

static int32_t
check_texts(struct scan *s)
{
	for (s->text = 0; s->text < lz->texts(s->c); s->text++) {
		int32_t rc = check_text(s, lz->text(s->c, s->text));

		if (rc != LZ_OK)
			return rc;
	}
	return s->is_flagged ? LZ_FLAG : LZ_OK;
}

int32_t
patterns_check(void *self, lz_call *c)
{
	struct scan s = { .p = self, .c = c };
	int32_t rc = LZ_E_NOMEM;

	if (s.p->count == 0) {
		struct patterns *p = self;

		if (!atomic_flag_test_and_set(&p->has_warned))
			lz->log(c, LZ_WARN,
			    lz_strz("nothing to look for: all texts pass; give words, "
				    "words_file or expressions"));
		return LZ_OK;
	}
	s.told = lz->alloc(c, s.p->count);
	if (s.p->has_expressions)
		s.match = pcre2_match_data_create(1, NULL);
	if (s.told != NULL && (s.match != NULL || !s.p->has_expressions))
		rc = check_texts(&s);
	pcre2_match_data_free(s.match);
	return rc;
}
