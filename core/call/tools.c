/* tools.c - the places of a stream's tool calls: from 0, without gaps.
 *
 * Clients keep the calls of a choice in a list and the pieces say which one they belong
 * to. Some providers count from 1, or count all blocks of an answer; some give every call
 * number 0, or none at all. The official SDKs then find nothing at place 0 and throw, or
 * make one call of several. So a call's place is the order in which it first came. Where
 * that is what the provider says, which is nearly always, the chunk goes as it came.
 *
 * SPDX-License-Identifier: MIT
 */
#include "call/attempt.h"

enum {
	TOOLS = 128, /* calls of all choices of one answer; more keep their numbers */
	TOOLS_EDITS = TOOLS, /* in one chunk, likewise: some send them all in one */
	ID_BYTES = 256       /* of a longer one nothing is made, as if it were missing */
};

struct seen_call {
	int64_t choice, said;
	bool has_said;     /* its number */
	bool has_more_ids; /* pieces that went on with it had others */
	lz_str id;         /* raw; absent: it had none */
	struct arguments arguments;
};

struct tools {
	struct seen_call seen[TOOLS];
	unsigned seen_count;
	struct {
		lz_str where; /* of nothing: the member is missing, and stands here */
		int64_t place;
	} edit[TOOLS_EDITS];
	unsigned edit_count;
};

/* What a piece says of the call that it belongs to. */
struct piece {
	int64_t said;
	bool has_said, is_named;
	struct jscan_member index, id, arguments;
};

/* Arguments are JSON; what a custom tool takes is any text. */
static void
read_function(struct piece *p, const struct jscan_member *function, bool is_custom)
{
	static const char *const names[] = { "name", "arguments" };
	struct jscan_member m[2];

	if (function->type != JSCAN_OBJECT)
		return;
	jscan_pick(function->value, names, 2, m);
	p->is_named |= m[0].type == JSCAN_STRING && m[0].value.len > 2;
	if (!is_custom)
		p->arguments = m[1];
}

static void
read_piece(lz_str item, struct piece *p)
{
	static const char *const names[] = { "index", "id", "function", "custom" };
	struct jscan_member m[4];

	jscan_pick(item, names, 4, m);
	*p = (struct piece){ .index = m[0], .id = m[1] };
	p->has_said = m[0].value.ptr != NULL && jscan_int(&m[0], &p->said);
	if (m[1].type != JSCAN_STRING || m[1].value.len <= 2 || m[1].value.len > ID_BYTES)
		p->id.value = STR_NONE;
	read_function(p, &m[2], false);
	read_function(p, &m[3], true);
}

/* Does a piece begin a call, though there is one of its number, or, without a number, one
 * before it? Pieces that go on name no function. Some providers name it in each of them,
 * some make up an id for each, some do both: beside a number only both together are
 * another call's, unless the arguments that are there are open, or it has many ids; or a
 * name with arguments that cannot go on with the whole ones that are there. */
static bool
begins_another(const struct piece *p, const struct seen_call *before)
{
	bool has_id = p->id.value.ptr != NULL;

	if (has_id && str_eq(p->id.value, before->id))
		return false;
	if (!p->has_said)
		return has_id || p->is_named;
	if (!p->is_named || arguments_are_open(&before->arguments))
		return false;
	return (has_id && before->id.ptr != NULL && !before->has_more_ids) ||
	       arguments_begin_anew(&before->arguments, &p->arguments);
}

static bool
may_be_of(const struct piece *p, int64_t choice, const struct seen_call *s)
{
	return s->choice == choice &&
	       (!p->has_said || (s->has_said && s->said == p->said));
}

/* The index in seen[] of the call that a piece goes on with: of those with its number,
 * or, without one, of all, the one with its id, or else the last. seen_count: it begins
 * one. */
static unsigned
find_call(const struct tools *t, int64_t choice, const struct piece *p)
{
	unsigned last = t->seen_count;

	for (unsigned i = t->seen_count; i-- > 0;) {
		if (!may_be_of(p, choice, &t->seen[i]))
			continue;
		if (last == t->seen_count)
			last = i;
		if (p->id.value.ptr == NULL)
			break;
		if (str_eq(p->id.value, t->seen[i].id))
			return i;
	}
	return last == t->seen_count || begins_another(p, &t->seen[last]) ? t->seen_count
									  : last;
}

/* -1: there is no room for it. */
static int64_t
place_of(struct call *c, int64_t choice, const struct piece *p)
{
	struct tools *t = c->tools;
	unsigned at = find_call(t, choice, p);
	int64_t place = 0;

	if (at == TOOLS)
		return -1;
	if (at == t->seen_count)
		t->seen[t->seen_count++] = (struct seen_call){ .choice = choice,
			.said = p->said,
			.has_said = p->has_said,
			.id = arena_copy(c->r->arena, p->id.value) };
	else if (p->id.value.ptr != NULL && !str_eq(p->id.value, t->seen[at].id))
		t->seen[at].has_more_ids = true;
	arguments_take(&t->seen[at].arguments, &p->arguments);
	for (unsigned i = 0; i < at; i++)
		place += t->seen[i].choice == choice;
	return place;
}

static bool
has_table(struct call *c)
{
	if (c->tools == NULL)
		c->tools = arena_alloc(c->r->arena, sizeof *c->tools);
	return c->tools != NULL;
}

int64_t
tools_place(struct call *c, int64_t choice, lz_str item)
{
	struct piece p;

	if (!has_table(c))
		return -1;
	read_piece(item, &p);
	return place_of(c, choice, &p);
}

void
tools_begin(struct call *c)
{
	if (c->tools != NULL)
		c->tools->edit_count = 0;
}

bool
tools_is_piece(lz_str item)
{
	struct jscan_member m;

	return item.ptr[0] == '{' && jscan_next(&item, &m);
}

static void
note_edit(struct tools *t, lz_str where, int64_t place)
{
	if (t->edit_count == TOOLS_EDITS)
		return;
	t->edit[t->edit_count].where = where;
	t->edit[t->edit_count++].place = place;
}

void
tools_read(struct call *c, int64_t choice, lz_str list)
{
	struct piece p;
	int64_t place;
	lz_str item;

	while (has_table(c) && jscan_next_item(&list, &item)) {
		if (!tools_is_piece(item))
			continue;
		read_piece(item, &p);
		place = place_of(c, choice, &p);
		if (place < 0 || (p.has_said && place == p.said))
			continue;
		note_edit(c->tools,
		    p.index.value.ptr != NULL ? p.index.value : str_cut(item, 1, 1),
		    place);
	}
}

void
tools_put(const struct call *c, lz_str data, struct buf *out)
{
	const char *at = data.ptr, *end = data.ptr + data.len;

	for (unsigned i = 0; c->tools != NULL && i < c->tools->edit_count; i++) {
		lz_str where = c->tools->edit[i].where;

		buf_add(out, at, (size_t)(where.ptr - at));
		if (where.len == 0)
			buf_add_z(out, "\"index\":");
		buf_add_int(out, c->tools->edit[i].place);
		if (where.len == 0)
			buf_add_char(out, ',');
		at = where.ptr + where.len;
	}
	buf_add(out, at, (size_t)(end - at));
}
