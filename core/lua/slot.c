/* slot.c - req.slot: a script's table that lives as long as the request.
 *
 * Between visits it is bytes in the request's memory, so nothing has to be let go when
 * the request ends, and it survives a state that was rebuilt. The host's memory cannot be
 * given back: room is doubled, so all that is ever asked for is twice what is needed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "lua/inside.h"

enum {
	DEPTH_MAX = 16
};

enum tag {
	TAG_END,
	TAG_FALSE,
	TAG_TRUE,
	TAG_INTEGER,
	TAG_NUMBER,
	TAG_STRING,
	TAG_NULL,
	TAG_TABLE,
	TAG_ARRAY
};

struct kept *
slot_kept(struct run *r, bool make)
{
	void **slot;

	if (r->kept != NULL)
		return r->kept;
	slot = r->lz->slot(r->c);
	if (slot == NULL)
		return NULL;
	if (*slot == NULL && make)
		*slot = r->lz->keep(r->c, sizeof(struct kept));
	r->kept = *slot;
	return r->kept;
}

/* ---- reading ---- */

struct reader {
	const char *at, *end;
};

static void
read_bytes(struct reader *in, void *out, size_t n)
{
	must((size_t)(in->end - in->at) >= n); /* we wrote it */
	memcpy(out, in->at, n);
	in->at += n;
}

static void push_value(lua_State *L, struct reader *in, int tag);

static int
read_tag(struct reader *in)
{
	unsigned char tag;

	read_bytes(in, &tag, 1);
	return tag;
}

static void
push_table(lua_State *L, struct reader *in, bool is_array)
{
	int tag;

	luaL_checkstack(L, 4, NULL);
	lua_newtable(L);
	if (is_array)
		values_mark_array(L);
	while ((tag = read_tag(in)) != TAG_END) {
		push_value(L, in, tag);
		push_value(L, in, read_tag(in));
		lua_rawset(L, -3);
	}
}

static void
push_value(lua_State *L, struct reader *in, int tag)
{
	int64_t i;
	double d;
	uint32_t n;

	switch (tag) {
	case TAG_FALSE:
	case TAG_TRUE:
		lua_pushboolean(L, tag == TAG_TRUE);
		break;
	case TAG_INTEGER:
		read_bytes(in, &i, sizeof(i));
		lua_pushinteger(L, i);
		break;
	case TAG_NUMBER:
		read_bytes(in, &d, sizeof(d));
		lua_pushnumber(L, d);
		break;
	case TAG_STRING:
		read_bytes(in, &n, sizeof(n));
		must((size_t)(in->end - in->at) >= n);
		lua_pushlstring(L, in->at, n);
		in->at += n;
		break;
	case TAG_NULL:
		lua_pushlightuserdata(L, (void *)(uintptr_t)&values_null);
		break;
	default:
		push_table(L, in, tag == TAG_ARRAY);
		break;
	}
}

/* In the registry, by the run's own address, so that slot_save() finds it. */
void
slot_push(lua_State *L)
{
	struct run *r = run_of(L);
	const struct kept *k = slot_kept(r, true);

	if (k == NULL)
		(void)budget_raise(L, LZ_E_LIMIT, "out of memory");
	budget_charge(L, k->len);
	if (k->len == 0) {
		lua_newtable(L);
	} else {
		struct reader in = { k->bytes, k->bytes + k->len };

		push_value(L, &in, read_tag(&in));
	}
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, r);
	r->has_slot = true;
}

/* ---- writing: raises nothing ---- */

static const char *write_value(lua_State *co, struct buf *out, unsigned depth);

static void
write_tagged(struct buf *out, enum tag tag, const void *p, size_t n)
{
	buf_add_char(out, (char)tag);
	buf_add(out, p, n);
}

static const char *
write_table(lua_State *co, struct buf *out, unsigned depth)
{
	const char *wrong = NULL;

	if (depth > DEPTH_MAX)
		return "tables in tables in tables, or in themselves";
	if (!lua_checkstack(co, 4))
		return "more than there is memory for";
	buf_add_char(out, values_is_array(co, -1) ? TAG_ARRAY : TAG_TABLE);
	lua_pushnil(co);
	while (lua_next(co, -2) != 0) {
		lua_pushvalue(co, -2);
		wrong = write_value(co, out, depth);
		lua_pop(co, 1);
		if (wrong == NULL)
			wrong = write_value(co, out, depth);
		lua_pop(co, 1);
		if (wrong != NULL) {
			lua_pop(co, 1);
			return wrong;
		}
	}
	buf_add_char(out, TAG_END);
	return NULL;
}

static const char *
write_string(lua_State *co, struct buf *out)
{
	size_t len;
	const char *s = lua_tolstring(co, -1, &len);
	uint32_t n = (uint32_t)len;

	if (len > SCRIPT_SLOT_BYTES)
		return "more than 64 KiB";
	write_tagged(out, TAG_STRING, &n, sizeof(n));
	buf_add(out, s, len);
	return NULL;
}

/* The value on top. NULL: written; else what is wrong with it. */
static const char *
write_value(lua_State *co, struct buf *out, unsigned depth)
{
	int64_t i;
	double d;

	switch (lua_type(co, -1)) {
	case LUA_TBOOLEAN:
		buf_add_char(out, lua_toboolean(co, -1) ? TAG_TRUE : TAG_FALSE);
		return NULL;
	case LUA_TNUMBER:
		if (lua_isinteger(co, -1)) {
			i = lua_tointeger(co, -1);
			write_tagged(out, TAG_INTEGER, &i, sizeof(i));
		} else {
			d = lua_tonumber(co, -1);
			write_tagged(out, TAG_NUMBER, &d, sizeof(d));
		}
		return NULL;
	case LUA_TSTRING:
		return write_string(co, out);
	case LUA_TTABLE:
		return write_table(co, out, depth + 1);
	case LUA_TLIGHTUSERDATA:
		buf_add_char(out, TAG_NULL);
		return NULL;
	case LUA_TFUNCTION:
		return "a function";
	default:
		return "a part of the request";
	}
}

static const char *
keep_bytes(struct run *r, const struct buf *b)
{
	struct kept *k = r->kept;

	if (b->failed)
		return "more than 64 KiB";
	if (b->len > k->room) {
		size_t room = k->room == 0 ? 128 : k->room;

		while (room < b->len)
			room *= 2;
		k->bytes = r->lz->keep(r->c, room);
		k->room = k->bytes != NULL ? room : 0;
		k->len = 0;
		if (k->bytes == NULL)
			return "more than there is memory for";
	}
	memcpy(k->bytes, b->ptr, b->len);
	k->len = b->len;
	return NULL;
}

int32_t
slot_save(struct run *r)
{
	const char *wrong = "more than there is memory for";
	struct buf b;

	buf_init(&b, SCRIPT_SLOT_BYTES);
	if (lua_checkstack(r->co, 2)) {
		(void)lua_rawgetp(r->co, LUA_REGISTRYINDEX, r);
		wrong = write_value(r->co, &b, 0);
		lua_pop(r->co, 1);
	}
	if (wrong == NULL)
		wrong = keep_bytes(r, &b);
	buf_free(&b);
	if (wrong == NULL)
		return LZ_OK;
	(void)snprintf(r->why, sizeof(r->why),
	    "%s: req.slot holds %s; texts, numbers, booleans and tables of them are fine",
	    r->state->script->file, wrong);
	return LZ_E_FAIL;
}
