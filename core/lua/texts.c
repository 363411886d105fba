/* texts.c - the texts that a guardrail judges: what it edits, and what it holds back of a
 * stream. part:replace() is replace.c.
 *
 * Nothing is done to a text before check() is through. Edits are noted in their order and
 * never overlap.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/mem.h"
#include "lua/texts.h"

enum {
	EDITS_MAX = 100000,
	TEXTS_MAX = 100000
};

static const char *const kind_names[] = { "prose", "tool_arguments", "tool_result",
	"reasoning" };

/* ---- the list ---- */

static size_t
count_of(lua_State *L)
{
	struct run *r = run_of(L);

	return r->lz->texts(r->c);
}

static int
texts_index(lua_State *L)
{
	lua_Integer i;

	(void)proxy_check(L, 1, PROXY_TEXTS);
	if (!lua_isinteger(L, 2))
		return luaL_error(
		    L, "req.texts is a list; for _, part in ipairs(req.texts)");
	i = lua_tointeger(L, 2);
	if (i < 1 || (lua_Unsigned)i > count_of(L))
		lua_pushnil(L);
	else
		proxy_push_item(L, 1, PROXY_TEXT, (size_t)i - 1);
	return 1;
}

static int
texts_len(lua_State *L)
{
	(void)proxy_check(L, 1, PROXY_TEXTS);
	lua_pushinteger(L, (lua_Integer)count_of(L));
	return 1;
}

static int
texts_next(lua_State *L)
{
	lua_Integer i = luaL_optinteger(L, 2, 0);

	(void)proxy_check(L, 1, PROXY_TEXTS);
	if (i < 0 || (lua_Unsigned)i >= count_of(L))
		return 0;
	lua_pushinteger(L, i + 1);
	proxy_push_item(L, 1, PROXY_TEXT, (size_t)i);
	return 2;
}

static int
texts_pairs(lua_State *L)
{
	lua_pushcfunction(L, texts_next);
	lua_pushvalue(L, 1);
	return 2;
}

/* ---- one text ---- */

const lz_text *
texts_check(lua_State *L, int arg, size_t *index)
{
	const struct proxy *p = proxy_check(L, arg, PROXY_TEXT);
	struct run *r = run_of(L);
	const lz_text *t = r->lz->text(r->c, p->index);

	if (t == NULL)
		(void)luaL_error(L, "there is no such text");
	*index = p->index;
	return t;
}

/* A text may be longer than a script may have a string. */
static void
push_long(lua_State *L, lz_str s)
{
	if (s.len > run_of(L)->limits->string_bytes)
		(void)luaL_error(L, "this text is too long to be looked at as one "
				    "string; use its replace()");
	budget_charge_bytes(L, s.len);
	push_text(L, s);
}

static int
text_index(lua_State *L)
{
	size_t index;
	const lz_text *t = texts_check(L, 1, &index);

	switch (proxy_field(L)) {
	case -1:
		return 1;
	case FIELD_ROLE:
		push_text(L, t->role);
		break;
	case FIELD_KIND:
		lua_pushstring(L, t->kind < 4 ? kind_names[t->kind] : "prose");
		break;
	case FIELD_NAME:
		push_str(L, t->name);
		break;
	case FIELD_TEXT:
		push_long(L, t->text);
		break;
	case FIELD_PLAIN:
		push_long(L, t->plain.ptr != NULL ? t->plain : t->text);
		break;
	case FIELD_SEEN:
		lua_pushinteger(L, t->seen);
		break;
	default:
		lua_pushboolean(L, t->final != 0);
		break;
	}
	return 1;
}

/* ---- edits ---- */

size_t
texts_edits_from(const struct run *r, size_t text, size_t at)
{
	size_t low = 0, high = r->edit_count;

	while (low < high) {
		size_t i = (low + high) / 2;
		const struct edit *e = &r->edit[i];

		if (e->text < text || (e->text == text && e->to <= at))
			low = i + 1;
		else
			high = i;
	}
	return low;
}

/* LZ_OK, LZ_E_INVALID: it overlaps another, LZ_E_LIMIT, LZ_E_NOMEM. */
static int32_t
add_edit(struct run *r, size_t text, size_t from, size_t to, lz_str with)
{
	size_t i = texts_edits_from(r, text, from);
	struct edit *more;
	char *copy;

	if (i < r->edit_count && r->edit[i].text == text && r->edit[i].from < to)
		return LZ_E_INVALID;
	if (r->edit_count == EDITS_MAX)
		return LZ_E_LIMIT;
	if (r->edit_count == r->edit_room) {
		size_t room = r->edit_room == 0 ? 8 : r->edit_room * 2;

		more = mem_realloc(r->edit, room * sizeof(*more));
		if (more == NULL)
			return LZ_E_NOMEM;
		r->edit = more;
		r->edit_room = room;
	}
	copy = mem_dup(with.ptr != NULL ? with.ptr : "", with.len);
	if (copy == NULL)
		return LZ_E_NOMEM;
	memmove(&r->edit[i + 1], &r->edit[i], (r->edit_count - i) * sizeof(*more));
	r->edit[i] = (struct edit){ text, from, to, copy, with.len };
	r->edit_count++;
	return LZ_OK;
}

/* Is at the end of the text, or where a character begins? */
static bool
is_edge(lz_str text, size_t at)
{
	return at == text.len || ((unsigned char)text.ptr[at] & 0xc0) != 0x80;
}

/* The host would refuse it too, but when the script is through, and without a line. */
void
texts_note_edit(
    lua_State *L, const lz_text *t, size_t text, size_t from, size_t to, lz_str with)
{
	budget_charge_bytes(L, with.len);
	if (run_of(L)->root != NULL)
		(void)body_refuse_both(L);
	if (!str_is_utf8(with))
		(void)luaL_error(L, "the new text is not UTF-8");
	if (!is_edge(t->text, from) || !is_edge(t->text, to))
		(void)luaL_error(L, "bytes %I to %I cut a character of several bytes",
		    (LUAI_UACINT)from + 1, (LUAI_UACINT)to);
	switch (add_edit(run_of(L), text, from, to, with)) {
	case LZ_OK:
		return;
	case LZ_E_INVALID:
		(void)luaL_error(L, "this edit overlaps another of the same text");
		return;
	case LZ_E_LIMIT:
		(void)luaL_error(L, "too many edits; %d are the most", EDITS_MAX);
		return;
	default:
		(void)budget_raise(L, LZ_E_LIMIT, "out of memory");
	}
}

bool
texts_is_behind_edit(const struct run *r, size_t text, size_t at)
{
	size_t i = at > 0 ? texts_edits_from(r, text, at - 1) : r->edit_count;

	return i < r->edit_count && r->edit[i].text == text && r->edit[i].to == at;
}

/* ---- holds ---- */

static struct hold *
hold_of(struct run *r, size_t text)
{
	if (text >= r->hold_count) {
		size_t n = r->lz->texts(r->c);
		struct hold *more;

		if (text >= n || n > TEXTS_MAX)
			return NULL;
		more = mem_realloc(r->hold, n * sizeof(*more));
		if (more == NULL)
			return NULL;
		memset(more + r->hold_count, 0, (n - r->hold_count) * sizeof(*more));
		r->hold = more;
		r->hold_count = n;
	}
	return &r->hold[text];
}

void
texts_note_hold(lua_State *L, size_t text, size_t at)
{
	struct hold *h = hold_of(run_of(L), text);

	if (h == NULL) {
		(void)budget_raise(L, LZ_E_LIMIT, "out of memory");
		return;
	}
	if (!h->is_set || at < h->at)
		*h = (struct hold){ true, at };
}

/* ---- part:edit(), part:hold() ---- */

int
api_text_edit(lua_State *L)
{
	size_t text;
	const lz_text *t = texts_check(L, 1, &text);
	lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);
	lz_str with;

	with.ptr = luaL_checklstring(L, 4, &with.len);
	luaL_argcheck(L, from >= 1 && from <= (lua_Integer)t->text.len + 1, 2,
	    "the text has no such byte");
	luaL_argcheck(L, to >= from - 1 && to <= (lua_Integer)t->text.len, 3,
	    "the text has no such byte");
	luaL_argcheck(L, from > (lua_Integer)t->seen, 2, "these bytes are out already");
	texts_note_edit(L, t, text, (size_t)from - 1, (size_t)to, with);
	return 0;
}

int
api_text_hold(lua_State *L)
{
	size_t text;
	const lz_text *t = texts_check(L, 1, &text);
	lua_Integer from = luaL_checkinteger(L, 2);

	luaL_argcheck(L, from >= 1, 2, "the first byte is 1");
	if (from - 1 < (lua_Integer)t->seen)
		from = (lua_Integer)t->seen + 1;
	if (from - 1 < (lua_Integer)t->text.len && !t->final)
		texts_note_hold(L, text, (size_t)from - 1);
	return 0;
}

/* ---- what the host is told ---- */

/* Edits across the hold are shown again whole, and characters are not cut. */
static size_t
settle_hold(const struct run *r, const lz_text *t, size_t text, size_t at)
{
	size_t before;

	do {
		before = at;
		while (at > t->seen && at < t->text.len &&
		       ((unsigned char)t->text.ptr[at] & 0xc0) == 0x80)
			at--;
		for (size_t i = texts_edits_from(r, text, at);
		     i < r->edit_count && r->edit[i].text == text && r->edit[i].from < at;
		     i++)
			at = r->edit[i].from;
	} while (at != before);
	return at;
}

const struct kept_text *
texts_kept(const struct run *r, const lz_text *t)
{
	for (size_t i = 0; r->kept != NULL && i < r->kept->text_count; i++) {
		const struct kept_text *k = &r->kept->text[i];

		if (k->kind == t->kind && k->message == t->message &&
		    k->choice == t->choice)
			return k;
	}
	return NULL;
}

static int32_t
keep_text(struct run *r, const lz_text *t, size_t text, size_t at)
{
	struct kept_text *k = (struct kept_text *)(uintptr_t)texts_kept(r, t);

	if (k == NULL) {
		if (r->kept->text_count == r->kept->text_room) {
			size_t room =
			    r->kept->text_room == 0 ? 4 : r->kept->text_room * 2;
			struct kept_text *more = r->lz->keep(r->c, room * sizeof(*more));

			if (more == NULL)
				return LZ_E_NOMEM;
			if (r->kept->text_count > 0)
				memcpy(more, r->kept->text,
				    r->kept->text_count * sizeof(*more));
			r->kept->text = more;
			r->kept->text_room = room;
		}
		k = &r->kept->text[r->kept->text_count++];
		*k = (struct kept_text){ t->kind, t->message, t->choice, t->seen > 0,
			t->seen > 0 ? (unsigned char)t->text.ptr[t->seen - 1] : 0 };
	}
	if (at == t->seen)
		return LZ_OK;
	k->before =
	    texts_is_behind_edit(r, text, at) ? 0 : (unsigned char)t->text.ptr[at - 1];
	k->has_begun = true;
	return LZ_OK;
}

/* What a script that names its overlap keeps back, whatever replace() decided. */
static size_t
overlap_of(const struct run *r, const lz_text *t)
{
	const struct script *s = r->state->script;
	size_t overlap = s->holds_overlap ? s->table.guardrail.overlap : 0;

	return t->text.len - (overlap < t->text.len ? overlap : t->text.len);
}

static int32_t
tell_hold(struct run *r, size_t text, struct hold *h)
{
	const lz_text *t = r->lz->text(r->c, text);

	if (t == NULL || t->final)
		h->is_set = false;
	if (!h->is_set)
		return LZ_OK;
	if (h->at > overlap_of(r, t))
		h->at = overlap_of(r, t);
	if (h->at < t->seen)
		h->at = t->seen;
	h->at = settle_hold(r, t, text, h->at);
	if (r->kept != NULL && keep_text(r, t, text, h->at) != LZ_OK)
		return LZ_E_NOMEM;
	return r->lz->hold(r->c, text, h->at);
}

/* What lies behind a hold is shown again. */
static bool
is_wanted(const struct run *r, const struct edit *e)
{
	return e->text >= r->hold_count || !r->hold[e->text].is_set ||
	       e->from < r->hold[e->text].at;
}

int32_t
texts_finish(struct run *r)
{
	int32_t result = LZ_OK;

	for (size_t i = 0; i < r->hold_count && result == LZ_OK; i++)
		result = tell_hold(r, i, &r->hold[i]);
	for (size_t i = 0; i < r->edit_count && result == LZ_OK; i++) {
		const struct edit *e = &r->edit[i];

		if (is_wanted(r, e))
			result = r->lz->replace(r->c, e->text, e->from, e->to,
			    lz_strn(e->with, e->with_bytes));
	}
	if (result != LZ_OK)
		(void)snprintf(r->why, sizeof(r->why),
		    "%s: the host does not take an edit (error %d)",
		    r->state->script->file, (int)result);
	return result;
}

void
proxy_open_texts(lua_State *L)
{
	proxy_open(L, PROXY_TEXTS, texts_index, NULL, texts_len, texts_pairs);
	proxy_open(L, PROXY_TEXT, text_index, NULL, NULL, NULL);
}
