/* texts.c - what guardrails asked to be done to texts: checked, noted, carried out.
 *
 * SPDX-License-Identifier: MIT
 */
#include "request/texts.h"

#include "base/buf.h"
#include "base/fold.h"

enum {
	FIRST_ROOM = 8,
	EDITS_MAX = 1 << 16, /* of one text in one check */
	/* No character becomes more than 18 (NFKC), and hardly any more than 4. */
	PLAIN_TIMES = 18,
	PLAIN_BYTES = 1024
};

/* ---- lists ---- */

struct text *
texts_add(struct texts *t)
{
	struct text *new;

	if (t->count == t->room) {
		size_t room = t->room > 0 ? 2 * t->room : FIRST_ROOM;
		struct text *item = arena_room(t->arena, room * sizeof(*item));

		if (item == NULL)
			return NULL;
		if (t->count > 0)
			memcpy(item, t->item, t->count * sizeof(*item));
		t->item = item;
		t->room = room;
	}
	new = &t->item[t->count++];
	*new = (struct text){ .shown = { .size = sizeof(new->shown) },
		.decided = SIZE_MAX,
		.hold_from = SIZE_MAX };
	return new;
}

bool
texts_move(struct texts *t)
{
	struct text *item;

	if (t->count == 0)
		return true;
	item = arena_room(t->arena, t->room * sizeof(*item));
	if (item == NULL)
		return false;
	memcpy(item, t->item, t->count * sizeof(*item));
	t->item = item;
	return true;
}

void
texts_begin_check(struct texts *t)
{
	for (size_t i = 0; i < t->count; i++) {
		t->item[i].edits.count = 0;
		t->item[i].hold_from = SIZE_MAX;
	}
}

bool
text_edits_add(struct arena *a, struct text_edits *list, struct text_edit e)
{
	size_t i;

	if (list->count == list->room) {
		size_t room = list->room > 0 ? 2 * list->room : FIRST_ROOM;
		struct text_edit *item = arena_room(a, room * sizeof(*item));

		if (item == NULL)
			return false;
		if (list->count > 0)
			memcpy(item, list->item, list->count * sizeof(*item));
		list->item = item;
		list->room = room;
	}
	for (i = list->count++; i > 0 && list->item[i - 1].from > e.from; i--)
		list->item[i] = list->item[i - 1];
	list->item[i] = e;
	return true;
}

/* ---- asked ---- */

bool
text_is_edge(lz_str s, size_t at)
{
	return at == s.len || (at < s.len && ((unsigned char)s.ptr[at] & 0xc0) != 0x80);
}

/* Do bytes [from, to) touch an edit that is there? */
static bool
overlaps(const struct text_edits *edits, size_t from, size_t to)
{
	size_t low = 0, high = edits->count;

	while (low < high) { /* the first that ends behind `from` */
		size_t mid = (low + high) / 2;

		if (edits->item[mid].to <= from)
			low = mid + 1;
		else
			high = mid;
	}
	return low < edits->count && edits->item[low].from < to;
}

int32_t
text_replace(struct texts *all, struct text *t, size_t from, size_t to, lz_str with,
    bool is_reveal)
{
	lz_str text = t->shown.text, copy = STR_NONE;

	if (from >= to || to > text.len || from < t->shown.seen ||
	    !text_is_edge(text, from) || !text_is_edge(text, to) ||
	    (with.len > 0 && (with.ptr == NULL || !str_is_utf8(with))) ||
	    (t->hold_from > from && t->hold_from < to) || overlaps(&t->edits, from, to))
		return LZ_E_INVALID;
	if (t->edits.count == EDITS_MAX)
		return LZ_E_LIMIT;
	if (with.len > 0)
		copy = arena_copy(all->arena, with);
	if ((with.len > 0 && copy.ptr == NULL) ||
	    !text_edits_add(
		all->arena, &t->edits, (struct text_edit){ from, to, copy, is_reveal }))
		return LZ_E_NOMEM;
	return LZ_OK;
}

int32_t
text_hold(struct text *t, size_t from)
{
	if (from < t->shown.seen || from > t->shown.text.len)
		return LZ_E_INVALID;
	if (t->shown.final == 0 && from < t->hold_from)
		t->hold_from = from;
	return LZ_OK;
}

/* ---- the normalised form ---- */

/* What folded to something else: copied, with the map as an array. */
static bool
keep_plain(struct texts *all, struct text *t, const struct fold *f)
{
	size_t n = f->plain.len;
	uint32_t *origin = arena_room(all->arena, (n + 1) * sizeof(*origin));

	t->shown.plain = n > 0 ? arena_copy(all->arena, f->plain) : STR_LIT("");
	if (origin == NULL || t->shown.plain.ptr == NULL) {
		t->shown.plain = STR_NONE;
		return false;
	}
	fold_origins(f, origin);
	t->origin = origin;
	return true;
}

bool
text_plain(struct texts *all, struct text *t)
{
	struct fold f;
	bool is_fine = true;

	if (t->has_plain)
		return true;
	fold_init(&f, PLAIN_TIMES * t->shown.text.len + PLAIN_BYTES);
	if (fold_text(&f, t->shown.text, t->shown.final != 0) != ST_OK) {
		fold_free(&f);
		return false;
	}
	t->origin = NULL;
	t->decided = f.decided;
	t->shown.plain = t->shown.text;
	if (f.plain.ptr != t->shown.text.ptr || f.plain.len != t->shown.text.len)
		is_fine = keep_plain(all, t, &f);
	fold_free(&f);
	t->has_plain = is_fine;
	return is_fine;
}

size_t
text_origin(const struct text *t, size_t at)
{
	if (t->origin == NULL || t->shown.plain.ptr == NULL)
		return at < t->shown.text.len ? at : t->shown.text.len;
	return t->origin[at < t->shown.plain.len ? at : t->shown.plain.len];
}

/* ---- carried out ---- */

/* Where a byte of the text before stands after it; false: an edit took it away. */
struct moving {
	const struct text_edits *edits;
	size_t next;     /* edit */
	ptrdiff_t shift; /* by those before it */
};

/* A mark that was there: moved along, or gone with what it stood on. */
static bool
move_mark(struct moving *m, struct text_edit *mark)
{
	for (; m->next < m->edits->count; m->next++) {
		const struct text_edit *e = &m->edits->item[m->next];

		if (e->from >= mark->to)
			break;
		if (e->to > mark->from)
			return false;
		if (!e->is_reveal)
			m->shift += (ptrdiff_t)e->with.len - (ptrdiff_t)(e->to - e->from);
	}
	mark->from = (size_t)((ptrdiff_t)mark->from + m->shift);
	mark->to = (size_t)((ptrdiff_t)mark->to + m->shift);
	return true;
}

static bool
move_marks(struct texts *all, const struct text *t, size_t start, size_t upto,
    struct text_edits *out)
{
	struct moving m = { &t->edits, 0, -(ptrdiff_t)start };

	for (size_t i = 0; i < t->marks.count; i++) {
		struct text_edit mark = t->marks.item[i];

		if (mark.from < start || mark.to > upto)
			continue;
		if (move_mark(&m, &mark) && !text_edits_add(all->arena, out, mark))
			return false;
	}
	return true;
}

lz_str
text_apply(struct texts *all, const struct text *t, size_t start, size_t upto,
    struct text_edits *marks)
{
	lz_str text = t->shown.text;
	struct buf b;
	size_t at = start;
	bool is_fine;

	if (t->edits.count == 0 && t->marks.count == 0)
		return upto > start ? str_cut(text, start, upto) : STR_LIT("");
	is_fine = move_marks(all, t, start, upto, marks);
	buf_init(&b, SIZE_MAX);
	for (size_t i = 0; i < t->edits.count && t->edits.item[i].to <= upto; i++) {
		const struct text_edit *e = &t->edits.item[i];

		buf_add(&b, text.ptr + at, e->from - at);
		at = e->from;
		if (e->is_reveal) {
			struct text_edit mark = { b.len, b.len + e->to - e->from, e->with,
				true };

			is_fine &= text_edits_add(all->arena, marks, mark);
			continue;
		}
		buf_add_str(&b, e->with);
		at = e->to;
	}
	buf_add(&b, text.ptr + at, upto - at);
	is_fine &= !b.failed;
	text = b.len > 0 ? arena_copy(all->arena, buf_str(&b)) : STR_LIT("");
	buf_free(&b);
	return is_fine ? text : STR_NONE;
}

lz_str
text_revealed(
    struct arena *a, lz_str text, const struct text_edits *marks, size_t from, size_t to)
{
	struct buf b;
	size_t at = from;
	lz_str out;

	if (marks->count == 0)
		return to > from ? str_cut(text, from, to) : STR_LIT("");
	buf_init(&b, SIZE_MAX);
	for (size_t i = 0; i < marks->count; i++) {
		const struct text_edit *m = &marks->item[i];

		if (m->from >= to)
			break;
		if (m->to <= from)
			continue;
		if (m->from >= at)
			buf_add(&b, text.ptr + at, m->from - at);
		if (m->from >= from)
			buf_add_str(&b, m->with);
		at = m->to < to ? m->to : to;
	}
	buf_add(&b, text.ptr + at, to - at);
	out =
	    b.failed ? STR_NONE : (b.len > 0 ? arena_copy(a, buf_str(&b)) : STR_LIT(""));
	buf_free(&b);
	return out;
}
