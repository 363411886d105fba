/* replace.c - part:replace(): a pattern looked for in a text that may grow.
 *
 * What was replaced once is gone for whoever looks for something next, so a search runs
 * over the gaps between edits. Of a text that grows, a search decides what it can and
 * holds the rest from the first place where it cannot; the next search of the same
 * check() sees no further than that. So when the text is shown again, grown, everything
 * before the hold is decided as it would be in the whole text, and nothing behind it is.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/match.h"
#include "lua/texts.h"

enum {
	REPLACE_TEXT = 1,
	REPLACE_PATTERN,
	REPLACE_BY,
	REPLACE_STATE
};

struct replacing {
	size_t at;       /* all before it is decided */
	size_t found;    /* replaced */
	size_t from, to; /* of the match that a function is asked about */
};

static int replace_go(lua_State *L, int status, lua_KContext ctx);

/* The gap between edits in which `at` lies, or the next one behind it; *at moves there.
 * false: there is none before `stop`. */
static bool
find_gap(const struct run *r, size_t text, size_t stop, size_t *at, size_t *end)
{
	size_t i = texts_edits_from(r, text, *at);

	while (i < r->edit_count && r->edit[i].text == text && r->edit[i].from <= *at) {
		if (r->edit[i].to > *at)
			*at = r->edit[i].to;
		i++;
	}
	*end = i < r->edit_count && r->edit[i].text == text && r->edit[i].from < stop
		   ? r->edit[i].from
		   : stop;
	return *at < stop;
}

/* What %f sees before the gap, and whether ^ matches there. */
static void
look_back(const struct run *r, const lz_text *t, size_t text, size_t at, struct match *m,
    bool *is_beginning)
{
	const struct kept_text *k = texts_kept(r, t);

	*is_beginning = false;
	if (texts_is_behind_edit(r, text, at)) {
		m->before = 0;
	} else if (at > t->seen) {
		m->before = (unsigned char)t->text.ptr[at - 1];
	} else if (k != NULL) {
		m->before = k->before;
		*is_beginning = !k->has_begun;
	} else {
		m->before = t->seen > 0 ? (unsigned char)t->text.ptr[t->seen - 1] : 0;
		*is_beginning = t->seen == 0;
	}
}

/* The replacement is on top. */
static void
take_replacement(lua_State *L, struct replacing *s, const lz_text *t, size_t text)
{
	if (lua_toboolean(L, -1)) {
		lz_str with;

		if (!lua_isstring(L, -1))
			(void)luaL_error(L,
			    "replace: a %s replaces nothing; return a text, or nil to "
			    "leave it",
			    luaL_typename(L, -1));
		with.ptr = lua_tolstring(L, -1, &with.len);
		texts_note_edit(L, t, text, s->from, s->to, with);
		s->found++;
	}
	lua_settop(L, REPLACE_STATE);
	s->at = s->to;
}

static void
replace_found(lua_State *L, struct replacing *s, const struct match *m, const char *at)
{
	switch (lua_type(L, REPLACE_BY)) {
	case LUA_TFUNCTION:
		lua_pushvalue(L, REPLACE_BY);
		lua_pushlstring(L, at, (size_t)(m->end - at));
		lua_callk(
		    L, 1 + patterns_push_captures(L, m, at, false), 1, 1, replace_go);
		break;
	case LUA_TTABLE:
		lua_pushlstring(L, at, (size_t)(m->end - at));
		(void)lua_gettable(L, REPLACE_BY);
		break;
	default:
		patterns_push_expanded(L, m, at, REPLACE_BY);
		break;
	}
	(void)s;
}

/* Searches one gap from s->at on. What came of it: */
enum searched {
	SEARCHED_GAP,  /* nothing is left in it */
	SEARCHED_HELD, /* a match may begin at s->at, more of the text tells */
	SEARCHED_FOUND,
	SEARCHED_YIELD
};

static enum searched
search_gap(lua_State *L, struct replacing *s, const lz_text *t, size_t text, size_t end,
    bool is_open)
{
	lz_str gap = lz_strn(t->text.ptr + s->at, end - s->at);
	bool must_yield, is_beginning;
	const char *at = gap.ptr;
	struct match m;
	int is;

	match_begin(&m, gap,
	    (lz_str){ lua_tostring(L, REPLACE_PATTERN), lua_rawlen(L, REPLACE_PATTERN) });
	m.is_open = is_open;
	look_back(run_of(L), t, text, s->at, &m, &is_beginning);
	if (m.is_anchored && !is_beginning) {
		s->at = end;
		return SEARCHED_GAP;
	}
	patterns_limit(L, &m, gap.len);
	for (;;) {
		is = patterns_search(L, &m, &at, &must_yield);
		if (is == MATCH_FAILED)
			(void)patterns_raise(L, &m);
		if (is != MATCH_YES || m.end > at || at == m.text_end)
			break;
		at++; /* empty matches are passed over */
	}
	if (is == MATCH_YES && m.end > at) {
		s->from = (size_t)(at - t->text.ptr);
		s->to = (size_t)(m.end - t->text.ptr);
		replace_found(L, s, &m, at);
		return SEARCHED_FOUND;
	}
	s->at = must_yield || is == MATCH_UNDECIDED ? (size_t)(at - t->text.ptr) : end;
	return must_yield              ? SEARCHED_YIELD
	       : is == MATCH_UNDECIDED ? SEARCHED_HELD
				       : SEARCHED_GAP;
}

/* ctx 1: the function's answer is on top. */
static int
replace_go(lua_State *L, int status, lua_KContext ctx)
{
	struct replacing *s = lua_touserdata(L, REPLACE_STATE);
	struct run *r = run_of(L);
	size_t text, stop, end;
	const lz_text *t = texts_check(L, REPLACE_TEXT, &text);
	const struct hold *h = text < r->hold_count ? &r->hold[text] : NULL;

	(void)status;
	if (ctx == 1)
		take_replacement(L, s, t, text);
	stop = t->text.len;
	if (!t->final && h != NULL && h->is_set)
		stop = h->at;
	while (find_gap(r, text, stop, &s->at, &end)) {
		switch (search_gap(L, s, t, text, end, end == stop && !t->final)) {
		case SEARCHED_FOUND:
			take_replacement(L, s, t, text);
			continue;
		case SEARCHED_GAP:
			continue;
		case SEARCHED_YIELD:
			r->waits = WAITS_FOR_TURN;
			return lua_yieldk(L, 0, 0, replace_go);
		default:
			break;
		}
		stop = s->at;
	}
	if (!t->final)
		texts_note_hold(L, text, stop);
	lua_pushinteger(L, (lua_Integer)s->found);
	return 1;
}

int
api_text_replace(lua_State *L)
{
	int type = lua_type(L, REPLACE_BY);
	struct replacing *s;
	size_t text;
	const lz_text *t = texts_check(L, REPLACE_TEXT, &text);

	(void)luaL_checkstring(L, REPLACE_PATTERN);
	(void)lua_tostring(L, REPLACE_PATTERN);
	luaL_argexpected(L,
	    type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
	    REPLACE_BY, "string/function/table");
	if (slot_kept(run_of(L), !t->final) == NULL && !t->final)
		return budget_raise(L, LZ_E_LIMIT, "out of memory");
	lua_settop(L, REPLACE_BY);
	s = lua_newuserdatauv(L, sizeof(*s), 0);
	*s = (struct replacing){ .at = t->seen };
	return replace_go(L, LUA_OK, 0);
}
