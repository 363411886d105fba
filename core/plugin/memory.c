/* memory.c - what a call of a plugin may keep: bytes, and JSON values that are let go
 * together.
 *
 * A plugin frees nothing. What it asks for goes into an arena, what the host makes for it
 * is noted in a list, and both end with the call. Nothing is allocated for a call that
 * asks for nothing, which most events of a stream do.
 *
 * SPDX-License-Identifier: MIT
 */
#include <jansson.h>

#include "base/json.h"
#include "base/mem.h"
#include "plugin/host.h"

void *
memory_alloc(struct memory *m, size_t n)
{
	if (m->arena == NULL)
		m->arena = arena_new_small(VISIT_MEMORY_BYTES);
	return m->arena != NULL ? arena_alloc(m->arena, n) : NULL;
}

static void
let_go(struct owned o)
{
	if (o.kind == OWNED_BYTES)
		mem_free(o.p);
	else
		json_decref(o.p);
}

static bool
note(struct memory *m, struct owned o)
{
	if (o.p == NULL)
		return false;
	if (m->count == m->room) {
		size_t room = m->room == 0 ? 16 : m->room * 2;
		struct owned *more = room > VISIT_VALUES
					 ? NULL
					 : mem_realloc(m->owned, room * sizeof(*more));

		if (more == NULL) {
			json_note_dry(); /* what is made of it will lack it */
			let_go(o);
			return false;
		}
		m->owned = more;
		m->room = room;
	}
	m->owned[m->count++] = o;
	return true;
}

bool
memory_own_json(struct memory *m, json_t *j, enum owned_kind kind)
{
	return note(m, (struct owned){ j, kind });
}

bool
memory_own(struct memory *m, void *p)
{
	return note(m, (struct owned){ p, OWNED_BYTES });
}

/* From the newest: what is written through was mostly made just before. */
bool
memory_has_made(const struct memory *m, const json_t *j)
{
	for (size_t i = m->count; i > 0; i--)
		if (m->owned[i - 1].p == j && m->owned[i - 1].kind == OWNED_MADE)
			return true;
	return false;
}

void
memory_free(struct memory *m)
{
	for (size_t i = 0; i < m->count; i++)
		let_go(m->owned[i]);
	mem_free(m->owned);
	arena_free(m->arena);
	*m = (struct memory){ 0 };
}
