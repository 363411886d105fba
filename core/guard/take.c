/* take.c - strings of a document become texts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/take.h"

#include "base/jscan.h"
#include "guard/attached.h"

enum {
	NUMBER_BYTES = 7 /* shorter ones are nobody's number */
};

lz_str
take_decoded(struct walk *w, lz_str raw)
{
	struct jscan_member m = { .value = raw,
		.type = JSCAN_STRING,
		.has_escape = memchr(raw.ptr, '\\', raw.len) != NULL };
	char *room = m.has_escape ? arena_room(w->d->texts.arena, raw.len) : NULL;
	lz_str out = STR_NONE;

	if (m.has_escape && room == NULL)
		w->is_dry = true;
	else if (!jscan_string(&m, room, &out))
		w->is_dry = true;
	return out.ptr != NULL ? out : STR_LIT("");
}

static bool
add_segment(struct walk *w, struct text *t, lz_str raw, struct container *in)
{
	struct text_source *s = t->source;
	struct arena *a = w->d->texts.arena;

	if (s->count == s->room) {
		size_t room = s->room > 0 ? 2 * s->room : 1;
		struct segment *item = arena_room(a, room * sizeof(*item));

		if (item == NULL)
			return false;
		if (s->count > 0)
			memcpy(item, s->item, s->count * sizeof(*item));
		s->item = item;
		s->room = room;
	}
	s->item[s->count++] = (struct segment){ raw, t->shown.text.len, in, STR_NONE };
	return true;
}

static struct text *
new_text(struct walk *w, const struct place *p)
{
	struct text *t = texts_add(&w->d->texts);

	if (t != NULL)
		t->source = arena_alloc(w->d->texts.arena, sizeof(*t->source));
	if (t == NULL || t->source == NULL) {
		w->is_dry = true;
		return NULL;
	}
	t->source->logprobs = p->logprobs;
	t->shown.kind = p->kind;
	t->shown.message = p->message;
	t->shown.choice = p->choice;
	t->shown.role = p->role;
	t->shown.name = p->name;
	t->shown.final = 1;
	t->shown.text = STR_LIT("");
	return t;
}

void
take_string(struct walk *w, const struct place *p, lz_str raw, struct container *in)
{
	lz_str text;
	struct text *t;

	if (raw.len <= 2)
		return;
	text = take_decoded(w, raw);
	t = new_text(w, p);
	if (t == NULL)
		return;
	t->shown.text = text;
	w->is_dry |= !add_segment(w, t, raw, in);
}

/* A card is no less one for being no string. */
void
take_number(struct walk *w, const struct place *p, lz_str raw, struct container *in)
{
	struct text *t = raw.len >= NUMBER_BYTES ? new_text(w, p) : NULL;

	if (t == NULL)
		return;
	t->shown.text = raw;
	w->is_dry |= !add_segment(w, t, raw, in);
}

bool
take_attached(struct walk *w, const struct place *p, lz_str raw, bool is_file)
{
	lz_str head, text = STR_NONE;
	struct text *t;

	if (!is_file && !attached_may_be(take_inside(raw)))
		return false;
	switch (attached_read(
	    take_decoded(w, raw), is_file, w->d->texts.arena, &head, &text)) {
	case ATTACHED_NOT:
		return false;
	case ATTACHED_PLAIN:
		take_string(w, p, raw, NULL);
		return true;
	case ATTACHED_UNREADABLE:
		w->d->has_unread = true;
		return true;
	case ATTACHED_DRY:
		w->is_dry = true;
		return true;
	case ATTACHED_TEXT:
		break;
	}
	t = new_text(w, p);
	if (t == NULL)
		return true;
	t->shown.text = text;
	w->is_dry |= !add_segment(w, t, raw, NULL);
	if (!w->is_dry)
		t->source->item[0].attached = head;
	return true;
}

void
take_part(struct walk *w, const struct place *p, lz_str raw, struct joining *j)
{
	struct text *t;

	if (raw.len <= 2)
		return;
	if (j->begun < 0) {
		j->begun = (ptrdiff_t)w->d->texts.count;
		if (new_text(w, p) == NULL)
			return;
	}
	t = &w->d->texts.item[j->begun];
	buf_add_str(&j->text, take_decoded(w, raw));
	t->shown.text.len = j->text.len; /* where the segment ends */
	w->is_dry |= j->text.failed || !add_segment(w, t, raw, NULL);
}

void
take_parts_end(struct walk *w, struct joining *j)
{
	struct text *t = j->begun >= 0 ? &w->d->texts.item[j->begun] : NULL;

	if (t != NULL && !w->is_dry) {
		t->shown.text = j->text.len > 0
				    ? arena_copy(w->d->texts.arena, buf_str(&j->text))
				    : STR_LIT("");
		w->is_dry |= t->shown.text.ptr == NULL;
	}
	buf_free(&j->text);
}
