/* window.c - text that comes into a window, is let through, and leaves it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/window.h"

bool
window_take(
    struct window *to, struct arena *kept, lz_str text, const struct text_edits *marks)
{
	size_t at = to->text.len;

	for (size_t i = 0; i < marks->count; i++) {
		struct text_edit m = marks->item[i];

		m.from += at;
		m.to += at;
		m.with = m.with.len > 0 ? arena_copy(kept, m.with) : STR_NONE;
		if ((marks->item[i].with.len > 0 && m.with.ptr == NULL) ||
		    !text_edits_add(kept, &to->marks, m))
			return false;
	}
	buf_add_str(&to->text, text);
	to->has_new |= text.len > 0;
	return !to->text.failed;
}

/* The first n bytes are gone: their marks too. */
static void
forget_front(struct window *w, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->marks.count; i++) {
		struct text_edit m = w->marks.item[i];

		if (m.from < n)
			continue;
		m.from -= n;
		m.to -= n;
		w->marks.item[kept++] = m;
	}
	w->marks.count = kept;
}

static size_t
character_before(lz_str s, size_t at)
{
	while (at > 0 && !text_is_edge(s, at))
		at--;
	return at;
}

/* The last place up to `end` that lies inside none of them. */
static size_t
before_all(const struct text_edits *edits, size_t end)
{
	for (size_t i = edits->count; i-- > 0;)
		if (edits->item[i].from < end && edits->item[i].to > end)
			return edits->item[i].from;
	return end;
}

size_t
window_release(const struct window *w, const struct text *t, uint32_t overlap)
{
	size_t len = w->text.len, end, before;

	if (t->shown.final)
		return len;
	end = t->hold_from != SIZE_MAX ? t->hold_from : len > overlap ? len - overlap : 0;
	if (end > t->decided)
		end = t->decided;
	end = character_before(buf_str(&w->text), end);
	do { /* an edit may begin inside of a mark, and the other way round */
		before = end;
		end = before_all(&t->marks, before_all(&t->edits, end));
	} while (end != before);
	return end > w->seen ? end : w->seen;
}

bool
window_move(struct window *w, size_t end, lz_str out, uint32_t context)
{
	bool is_same =
	    out.len == end - w->seen &&
	    (out.len == 0 || memcmp(out.ptr, w->text.ptr + w->seen, out.len) == 0);
	size_t drop;
	struct buf new;

	w->has_new = false;
	if (is_same) {
		drop = end > context ? end - context : 0;
		drop = character_before(buf_str(&w->text), drop);
		w->passed = w->passed > drop ? w->passed - drop : 0;
		forget_front(w, end); /* before `end` they have been passed on */
		for (size_t i = 0; i < w->marks.count; i++) {
			w->marks.item[i].from += end - drop;
			w->marks.item[i].to += end - drop;
		}
		buf_take(&w->text, drop);
		w->seen = end - drop;
		return true;
	}
	buf_init(&new, w->text.max_bytes);
	buf_add(&new, w->text.ptr, w->seen);
	buf_add_str(&new, out);
	drop = new.len > context ? new.len - context : 0;
	drop = character_before(buf_str(&new), drop);
	forget_front(w, end);
	for (size_t i = 0; i < w->marks.count; i++) {
		w->marks.item[i].from += new.len - drop;
		w->marks.item[i].to += new.len - drop;
	}
	w->seen = new.len - drop;
	buf_take(&new, drop);
	buf_add(&new, w->text.ptr + end, w->text.len - end);
	buf_free(&w->text);
	w->text = new;
	return !new.failed;
}
