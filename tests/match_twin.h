/* match_twin.h - our matcher beside the stock string library: one call, both answers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_MATCH_TWIN_H
#define TESTS_MATCH_TWIN_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "base/buf.h"
#include "lua/match.h"

enum {
	TWIN_STOCK_STEPS =
	    20000 /* what takes us longer, the stock library is not asked for */
};

static inline lua_State *
twin_open(void)
{
	lua_State *L = luaL_newstate();

	luaL_openlibs(L);
	return L;
}

static inline void
twin_capture(struct buf *out, const struct match *m, size_t i)
{
	if (m->capture[i].len == MATCH_POSITION)
		buf_addf(out, " (%d)", (int)(m->capture[i].at - m->text) + 1);
	else if (m->capture[i].len == MATCH_UNFINISHED)
		buf_add_z(out, " unfinished");
	else
		buf_addf(out, " <%.*s>", (int)m->capture[i].len, m->capture[i].at);
}

/* string.find(text, pattern) as a text: "no", "1 3 <a> (2)", or the error. false: it took
 * too many steps. */
static inline bool
twin_ours(lz_str text, lz_str pattern, struct buf *out)
{
	const char *at = text.ptr;
	struct match m;

	match_begin(&m, text, pattern);
	m.step_limit = TWIN_STOCK_STEPS;
	for (;;) {
		switch (match_at(&m, at)) {
		case MATCH_FAILED:
			buf_add_z(out, m.error);
			return strcmp(m.error, "pattern too expensive") != 0;
		case MATCH_YES:
			for (size_t i = 0; i < m.captures; i++)
				if (m.capture[i].len == MATCH_UNFINISHED) {
					buf_add_z(out, "unfinished capture");
					return true;
				}
			buf_addf(out, "%d %d", (int)(at - text.ptr) + 1,
			    (int)(m.end - text.ptr));
			for (size_t i = 0; i < m.captures; i++)
				twin_capture(out, &m, i);
			return true;
		default:
			break;
		}
		if (m.is_anchored || at == m.text_end) {
			buf_add_z(out, "no");
			return true;
		}
		at = match_next(&m, at);
	}
}

/* The same of the stock library. */
static inline void
twin_stock(lua_State *L, lz_str text, lz_str pattern, struct buf *out)
{
	int n;

	lua_settop(L, 0);
	(void)lua_getglobal(L, "string");
	(void)lua_getfield(L, -1, "find");
	lua_remove(L, 1);
	lua_pushlstring(L, text.ptr, text.len);
	lua_pushlstring(L, pattern.ptr, pattern.len);
	if (lua_pcall(L, 2, LUA_MULTRET, 0) != LUA_OK) {
		buf_add_z(out, lua_tostring(L, -1));
		return;
	}
	n = lua_gettop(L);
	if (lua_isnil(L, 1)) {
		buf_add_z(out, "no");
		return;
	}
	buf_addf(out, "%d %d", (int)lua_tointeger(L, 1), (int)lua_tointeger(L, 2));
	for (int i = 3; i <= n; i++) {
		if (lua_type(L, i) == LUA_TNUMBER)
			buf_addf(out, " (%d)", (int)lua_tointeger(L, i));
		else
			buf_addf(
			    out, " <%.*s>", (int)lua_rawlen(L, i), lua_tostring(L, i));
	}
}

/* An open text: what is decided must be what every longer text decides. Returns the place
 * from which on nothing is decided; all matches before it are written down. */
static inline bool
twin_open_text(lz_str text, lz_str pattern, bool is_open, struct buf *out, size_t *held)
{
	const char *at = text.ptr;
	struct match m;

	match_begin(&m, text, pattern);
	m.is_open = is_open;
	m.step_limit = TWIN_STOCK_STEPS;
	for (;;) {
		enum match_answer is = match_at(&m, at);

		*held = (size_t)(at - text.ptr);
		if (is == MATCH_FAILED)
			return false;
		if (is == MATCH_UNDECIDED)
			return true;
		if (is == MATCH_YES && m.end > at) {
			buf_addf(
			    out, "%d-%d ", (int)(at - text.ptr), (int)(m.end - text.ptr));
			at = m.end;
		} else if (at == m.text_end || m.is_anchored) {
			*held = text.len;
			return true;
		} else {
			at = is == MATCH_YES ? at + 1 : match_next(&m, at);
		}
	}
}

/* ---- random patterns and texts ---- */

enum {
	TWIN_PATTERN_MAX = 256,
	TWIN_TEXT_MAX = 24
};

static uint64_t twin_seed = 88172645463325252u;

static inline unsigned
twin_below(unsigned n)
{
	twin_seed ^= twin_seed << 13;
	twin_seed ^= twin_seed >> 7;
	twin_seed ^= twin_seed << 17;
	return (unsigned)(twin_seed >> 33) % n;
}

/* Pieces of patterns, right and wrong ones. */
static const char *const twin_pieces[] = { "a", "b", "c", ".", "%a", "%d", "%s", "%w",
	"%x", "%p", "%l", "%u", "%c", "%g", "%z", "%Z", "%A", "%D", "%S", "%W", "%%",
	"%.", "[ab]", "[^a]", "[a-c]", "[%w_]", "[%a-]", "[]]", "[^]]", "[a-]", "[%]]",
	"(", ")", "()", "(a)", "(%a+)", "%1", "%2", "*", "+", "-", "?", "$", "^", "%bab",
	"%b()", "%f[%w]", "%f[^a]", "%f", "[", "]", "%", "[%", "%0", "%b", "%bx", "1",
	" ", "\xc3", "(.-)", "a*", "b+", ".-", ".*", "[ab]*", "%d+", "%a-", "[%d -]+" };

static inline size_t
twin_pattern(char out[256])
{
	size_t n = 0;

	for (unsigned i = twin_below(6); n < 200; i--) {
		const char *piece =
		    twin_pieces[twin_below(sizeof(twin_pieces) / sizeof(twin_pieces[0]))];

		memcpy(out + n, piece, strlen(piece));
		n += strlen(piece);
		if (i == 0)
			break;
	}
	return n;
}

static inline size_t
twin_text(char out[TWIN_TEXT_MAX])
{
	static const char letters[] = "aabbcc11  AB.()-_x\xc3\xa9";
	size_t n = twin_below(TWIN_TEXT_MAX);

	for (size_t i = 0; i < n; i++)
		out[i] = letters[twin_below(sizeof(letters))]; /* its NUL too */
	return n;
}

#endif
