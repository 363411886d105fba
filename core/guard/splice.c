/* splice.c - the texts of a document as guardrails left them: carried out, and put back
 * into its bytes.
 *
 * Segments follow the edits of their text. Changed strings take the place of those that
 * came; everything else stays as it was, to the last blank. A container is written anew
 * when one of its segments changed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/segment.h"

#include <stdlib.h>

#include "base/jscan.h"
#include "guard/attached.h"

/* ---- changed ---- */

/* Where the boundaries of segments stand after the edits: inside one, behind what it put
 * there. Both rise, so that one walk is enough. */
static void
move_ends(struct text_source *s, const struct text_edits *edits)
{
	ptrdiff_t shift = 0;
	size_t next = 0, to = 0; /* of the last edit that began before */

	for (size_t i = 0; i < s->count; i++) {
		size_t at = s->item[i].end;

		for (; next < edits->count && edits->item[next].from < at; next++) {
			const struct text_edit *e = &edits->item[next];

			if (e->is_reveal)
				continue;
			shift += (ptrdiff_t)e->with.len - (ptrdiff_t)(e->to - e->from);
			to = e->to;
		}
		s->item[i].end = (size_t)((ptrdiff_t)(to > at ? to : at) + shift);
	}
}

static enum status
apply(struct document *d, struct text *t)
{
	struct text_edits marks = { NULL, 0, 0 };
	lz_str new = text_apply(&d->texts, t, 0, t->shown.text.len, &marks);

	if (new.ptr == NULL)
		return ST_NOMEM;
	move_ends(t->source, &t->edits);
	t->shown.text = new;
	t->marks = marks;
	t->shown.plain = STR_NONE;
	t->has_plain = false;
	t->origin = NULL;
	t->is_changed = true;
	t->edits.count = 0;
	return ST_OK;
}

enum status
document_apply(struct document *d)
{
	for (size_t i = 0; i < d->texts.count; i++) {
		if (d->texts.item[i].edits.count == 0)
			continue;
		if (apply(d, &d->texts.item[i]) != ST_OK)
			return ST_NOMEM;
	}
	return ST_OK;
}

bool
document_is_changed(const struct document *d)
{
	for (size_t i = 0; i < d->texts.count; i++)
		if (d->texts.item[i].is_changed)
			return true;
	return false;
}

/* ---- put back ---- */

/* A range of bytes and what stands there now. */
struct patch {
	lz_str raw;
	lz_str with; /* JSON */
	struct container *container;
};

struct patches {
	struct arena *arena;
	struct patch *item;
	size_t count, room;
	bool is_for_client, is_dry;
};

static void
add_patch(struct patches *all, struct patch p)
{
	if (all->count == all->room) {
		size_t room = all->room > 0 ? 2 * all->room : 16;
		struct patch *item = arena_room(all->arena, room * sizeof(*item));

		if (item == NULL) {
			all->is_dry = true;
			return;
		}
		if (all->count > 0)
			memcpy(item, all->item, all->count * sizeof(*item));
		all->item = item;
		all->room = room;
	}
	all->item[all->count++] = p;
}

/* attached: see struct segment. */
static lz_str
as_json(struct patches *all, lz_str attached, lz_str text)
{
	struct buf b;
	lz_str out;

	buf_init(&b, SIZE_MAX);
	if (attached.ptr != NULL)
		attached_write(attached, text, &b);
	else
		buf_add_json(&b, text);
	out = b.failed ? STR_NONE : arena_copy(all->arena, buf_str(&b));
	buf_free(&b);
	all->is_dry |= out.ptr == NULL;
	return out;
}

static void
patch_text(struct patches *all, const struct text *t)
{
	struct text_edits marks = { NULL, 0, 0 };
	size_t from = 0;

	if (all->is_for_client)
		marks = t->marks;
	for (size_t i = 0; i < t->source->count; i++) {
		const struct segment *s = &t->source->item[i];
		lz_str text =
		    text_revealed(all->arena, t->shown.text, &marks, from, s->end);

		/* Those that end before what follows are done. */
		for (; marks.count > 0 && marks.item->to <= s->end; marks.count--)
			marks.item++;

		if (text.ptr == NULL)
			all->is_dry = true;
		else
			add_patch(
			    all, (struct patch){ s->raw, as_json(all, s->attached, text),
				     s->container });
		from = s->end;
	}
	if (t->source->logprobs.ptr != NULL)
		add_patch(
		    all, (struct patch){ t->source->logprobs, STR_LIT("null"), NULL });
}

static int
by_place(const void *a, const void *b)
{
	const struct patch *x = a, *y = b;

	return (x->raw.ptr > y->raw.ptr) - (x->raw.ptr < y->raw.ptr);
}

/* Those of the container that lie one behind the other from the first on. */
static void
splice(lz_str bytes, const struct patch *item, size_t count,
    const struct container *inside, struct buf *out)
{
	const char *at = bytes.ptr, *end = bytes.ptr + bytes.len;

	for (size_t i = 0; i < count; i++) {
		const struct patch *p = &item[i];

		if (inside != NULL && p->container != inside)
			break;
		/* One choice's log probabilities are there for each of its texts. */
		if (p->container != inside || p->raw.ptr < at)
			continue;
		buf_add(out, at, (size_t)(p->raw.ptr - at));
		buf_add_str(out, p->with);
		at = p->raw.ptr + p->raw.len;
	}
	buf_add(out, at, (size_t)(end - at));
}

/* Containers whose segments changed are patches themselves. In the order of places those
 * of one container, which was decoded into a piece of memory, stand together. */
static void
patch_containers(struct patches *all)
{
	const struct container *before = NULL;
	size_t inner = all->count;

	for (size_t i = 0; i < inner; i++) {
		const struct container *c = all->item[i].container;
		struct buf b;

		if (c == before || c == NULL)
			continue;
		before = c;
		buf_init(&b, SIZE_MAX);
		splice(c->decoded, all->item + i, inner - i, c, &b);
		all->is_dry |= b.failed;
		add_patch(all,
		    (struct patch){ c->raw, as_json(all, STR_NONE, buf_str(&b)), NULL });
		buf_free(&b);
	}
}

enum status
document_write(struct document *d, bool is_for_client, struct buf *out)
{
	struct patches all = { .arena = d->texts.arena, .is_for_client = is_for_client };

	for (size_t i = 0; i < d->texts.count; i++)
		if (d->texts.item[i].is_changed)
			patch_text(&all, &d->texts.item[i]);
	if (all.count > 1)
		qsort(all.item, all.count, sizeof(*all.item), by_place);
	patch_containers(&all);
	if (all.count > 1)
		qsort(all.item, all.count, sizeof(*all.item), by_place);
	if (all.is_dry)
		return ST_NOMEM;
	splice(d->bytes, all.item, all.count, NULL, out);
	return out->failed ? ST_LIMIT : ST_OK;
}

/* ---- one more turn ---- */

bool
document_add_turns(lz_str request, lz_str answer, lz_str why, struct buf *out)
{
	static const char *const names[] = { "message" };
	struct jscan_member messages, choices, message, content;
	lz_str list, choice, end;

	if (!jscan_inner(request, "messages", &messages) ||
	    messages.type != JSCAN_ARRAY || !jscan_inner(answer, "choices", &choices) ||
	    choices.type != JSCAN_ARRAY)
		return false;
	list = choices.value;
	if (!jscan_next_item(&list, &choice) || choice.ptr[0] != '{')
		return false;
	jscan_pick(choice, names, 1, &message);
	if (message.value.ptr == NULL || message.type != JSCAN_OBJECT ||
	    !jscan_inner(message.value, "content", &content))
		return false;
	end = str_cut(messages.value, messages.value.len - 1, messages.value.len);
	buf_add(out, request.ptr, (size_t)(end.ptr - request.ptr));
	buf_add_z(out, ",{\"role\":\"assistant\",\"content\":");
	buf_add_str(out, content.value);
	buf_add_z(out, "},{\"role\":\"user\",\"content\":");
	buf_add_json(out, why);
	buf_add_char(out, '}');
	buf_add(out, end.ptr, (size_t)(request.ptr + request.len - end.ptr));
	return !out->failed;
}
