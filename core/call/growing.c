/* growing.c - tool calls that come in pieces, put together.
 *
 * SPDX-License-Identifier: MIT
 */
#include "call/attempt.h"

enum {
	CALLS = 128, /* of all choices */
	ARGUMENT_BYTES = 4 << 20,
	ALL_BYTES = 16 << 20, /* of arguments, of all of them */
	PIECE_BYTES = 8 << 20
};

/* One tool call as it grows. */
struct growing {
	unsigned choice;
	int64_t place;
	bool is_legacy;                      /* function_call */
	bool is_complete;                    /* it was shown */
	lz_str id, type, inner, name, extra; /* inner: "function", "custom" */
	const char *texts;                   /* "arguments", "input" */
	struct buf text;                     /* decoded */
};

bool
growing_add_text(struct buf *out, const struct jscan_member *m)
{
	struct jscan_member string = *m;
	char *room = buf_room(out, m->value.len);
	lz_str text;

	if (room == NULL)
		return false;
	string.has_escape = memchr(m->value.ptr, '\\', m->value.len) != NULL;
	if (!jscan_string(&string, room, &text))
		return false;
	if (text.ptr != room)
		memcpy(room, text.ptr, text.len);
	out->len += text.len;
	return true;
}

static struct growing *
growing_of(struct growing_calls *g, unsigned choice, int64_t place, bool is_legacy)
{
	struct growing *new;

	for (size_t i = 0; i < g->count; i++)
		if (g->call[i].choice == choice && g->call[i].place == place &&
		    g->call[i].is_legacy == is_legacy)
			return &g->call[i];
	if (g->call == NULL)
		g->call = arena_alloc(g->arena, CALLS * sizeof(*g->call));
	if (g->call == NULL || g->count == CALLS)
		return NULL;
	new = &g->call[g->count++];
	*new = (struct growing){ .choice = choice,
		.place = place,
		.is_legacy = is_legacy,
		.texts = "arguments" };
	buf_init(&new->text, ARGUMENT_BYTES);
	return new;
}

/* Some providers say it with every piece. */
static void
keep(struct growing_calls *g, lz_str *to, lz_str raw)
{
	if (str_eq(*to, raw))
		return;
	*to = arena_copy(g->arena, raw);
	g->has_failed |= to->ptr == NULL;
}

static void
grow_text(struct growing_calls *g, struct growing *t, const struct jscan_member *piece)
{
	size_t before = t->text.len;

	g->has_failed |= !growing_add_text(&t->text, piece);
	g->bytes += t->text.len - before;
	/* Clients would put it together with what was checked without it. */
	g->has_failed |= t->is_complete && t->text.len > 0;
	g->has_failed |= g->bytes > ALL_BYTES;
}

static void
grow_function(struct growing_calls *g, struct growing *t, lz_str function)
{
	struct jscan_member m;

	while (jscan_next(&function, &m)) {
		if (jscan_key_is(m.key, "arguments") || jscan_key_is(m.key, "input")) {
			t->texts = jscan_key_is(m.key, "input") ? "input" : "arguments";
			if (m.type == JSCAN_STRING)
				grow_text(g, t, &m);
		} else if (jscan_key_is(m.key, "name") && m.type == JSCAN_STRING &&
			   m.value.len > 2) {
			keep(g, &t->name, m.value);
		}
	}
}

void
growing_take(struct growing_calls *g, unsigned choice, int64_t place, lz_str call)
{
	struct jscan_member m;
	struct growing *t = place < 0 ? NULL : growing_of(g, choice, place, false);

	if (t == NULL) {
		g->has_failed = true;
		return;
	}
	while (jscan_next(&call, &m)) {
		if (jscan_key_is(m.key, "id") && m.type == JSCAN_STRING &&
		    m.value.len > 2)
			keep(g, &t->id, m.value);
		else if (jscan_key_is(m.key, "type") && m.type == JSCAN_STRING)
			keep(g, &t->type, m.value);
		else if (m.type == JSCAN_OBJECT && (jscan_key_is(m.key, "function") ||
						       jscan_key_is(m.key, "custom"))) {
			t->inner = jscan_key_is(m.key, "custom") ? STR_LIT("custom")
								 : STR_LIT("function");
			grow_function(g, t, m.value);
		} else if (jscan_key_is(m.key, "extra_content") && m.type == JSCAN_OBJECT)
			keep(g, &t->extra, m.value);
	}
}

static void
put_function(const struct growing *t, struct buf *b)
{
	const char *comma = "";

	buf_add_char(b, '{');
	if (t->name.ptr != NULL) {
		buf_add_z(b, "\"name\":");
		buf_add_str(b, t->name);
		comma = ",";
	}
	buf_addf(b, "%s\"%s\":", comma, t->texts);
	buf_add_json(b, t->text.len > 0 ? buf_str(&t->text) : STR_LIT(""));
	buf_add_char(b, '}');
}

static void
put_call(const struct growing *t, struct buf *b)
{
	if (t->is_legacy) {
		buf_add_z(b, "{\"function_call\":");
		put_function(t, b);
		buf_add_char(b, '}');
		return;
	}
	buf_add_z(b, "{\"tool_calls\":[{\"index\":");
	buf_add_int(b, t->place);
	if (t->id.ptr != NULL) {
		buf_add_z(b, ",\"id\":");
		buf_add_str(b, t->id);
	}
	if (t->type.ptr != NULL) {
		buf_add_z(b, ",\"type\":");
		buf_add_str(b, t->type);
	}
	buf_add_z(b, ",\"");
	buf_add_str(b, t->inner.ptr != NULL ? t->inner : STR_LIT("function"));
	buf_add_z(b, "\":");
	put_function(t, b);
	if (t->extra.ptr != NULL) {
		buf_add_z(b, ",\"extra_content\":");
		buf_add_str(b, t->extra);
	}
	buf_add_z(b, "}]}");
}

void
growing_take_function(struct growing_calls *g, unsigned choice, lz_str function)
{
	struct growing *t = growing_of(g, choice, 0, true);

	g->has_failed |= t == NULL;
	if (t != NULL)
		grow_function(g, t, function);
}

void
growing_complete(struct growing_calls *g, int64_t choice,
    bool (*take)(void *arg, unsigned choice, lz_str delta), void *arg)
{
	struct buf b;

	for (size_t i = 0; i < g->count; i++) {
		struct growing *t = &g->call[i];

		if ((choice >= 0 && t->choice != choice) || t->is_complete)
			continue;
		buf_init(&b, PIECE_BYTES);
		put_call(t, &b);
		if (b.failed || !take(arg, t->choice, buf_str(&b)))
			g->has_failed = true;
		buf_free(&b);
		g->bytes -= t->text.len;
		buf_free(&t->text);
		t->is_complete = true;
	}
}

void
growing_free(struct growing_calls *g)
{
	for (size_t i = 0; i < g->count; i++)
		buf_free(&g->call[i].text);
}
