/* tools.c - the places of a stream's tool calls: from 0, without gaps.
 *
 * Clients keep the calls of a choice in a list and the pieces say which one they belong
 * to. Some providers count from 1, or count all blocks of an answer; the official SDKs
 * then find nothing at place 0 and throw. So a call's place is the order in which it
 * first came. Where that is what the provider says, which is nearly always, the chunk
 * goes as it came.
 *
 * SPDX-License-Identifier: MIT
 */
#include "call/attempt.h"

enum {
	TOOLS = 128,     /* calls of all choices of one answer; more keep their numbers */
	TOOLS_EDITS = 32 /* in one chunk, likewise */
};

struct tools {
	struct {
		int64_t choice, said;
	} seen[TOOLS];
	unsigned seen_count;
	struct {
		lz_str where;
		int64_t place;
	} edit[TOOLS_EDITS];
	unsigned edit_count;
};

/* -1: there is no room for it. */
static int64_t
place_of(struct tools *t, int64_t choice, int64_t said)
{
	int64_t place = 0;

	for (unsigned i = 0; i < t->seen_count; i++) {
		if (t->seen[i].choice != choice)
			continue;
		if (t->seen[i].said == said)
			return place;
		place++;
	}
	if (t->seen_count == TOOLS)
		return -1;
	t->seen[t->seen_count].choice = choice;
	t->seen[t->seen_count++].said = said;
	return place;
}

void
tools_begin(struct call *c)
{
	if (c->tools != NULL)
		c->tools->edit_count = 0;
}

void
tools_read(struct call *c, int64_t choice, lz_str list)
{
	struct jscan_member m;
	lz_str item;

	if (c->tools == NULL)
		c->tools = arena_alloc(c->r->arena, sizeof *c->tools);
	while (c->tools != NULL && jscan_next_item(&list, &item)) {
		struct tools *t = c->tools;
		int64_t said, place;

		if (!jscan_inner(item, "index", &m) || !jscan_int(&m, &said))
			continue;
		place = place_of(t, choice, said);
		if (place < 0 || place == said || t->edit_count == TOOLS_EDITS)
			continue;
		t->edit[t->edit_count].where = m.value;
		t->edit[t->edit_count++].place = place;
	}
}

void
tools_put(const struct call *c, lz_str data, struct buf *out)
{
	const char *at = data.ptr, *end = data.ptr + data.len;

	for (unsigned i = 0; c->tools != NULL && i < c->tools->edit_count; i++) {
		lz_str where = c->tools->edit[i].where;

		buf_add(out, at, (size_t)(where.ptr - at));
		buf_add_int(out, c->tools->edit[i].place);
		at = where.ptr + where.len;
	}
	buf_add(out, at, (size_t)(end - at));
}
