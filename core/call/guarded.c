/* guarded.c - a streamed answer that guardrails look at: its chunks taken apart, and what
 * they let through put together again.
 *
 * Text goes into guard/'s windows as it comes and out of them when it may. Tool calls are
 * put together by growing.c, shown when their choice is finished, and leave as one delta
 * each. Members that nobody here knows are shown as they come. A choice's finish_reason
 * waits until nothing of it is held. Chunks go out with what all chunks of the answer
 * have in common (id, model), and without log probabilities, which would spell what was
 * masked.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "call/attempt.h"
#include "guard/guard.h"

enum {
	EVENT_BYTES = 32 << 10, /* of text in one chunk */
	FLUSH_BYTES = 256 << 10,
	PLACES = CALL_CHOICES
};

struct guarded {
	struct call *call;
	struct guard_stream *stream;
	lz_str head; /* `"id":...,"model":...,` of every chunk */
	struct growing_calls calls;
	lz_str role[PLACES];      /* raw; goes with the first delta */
	lz_str finish[PLACES];    /* raw; waits */
	bool is_finished[PLACES]; /* it went out */
	bool is_concluding;       /* everything has come */
	bool has_failed;
};

/* ---- out ---- */

static void
open_chunk(struct guarded *g)
{
	buf_add_z(&g->call->out, "data: {");
	buf_add_str(&g->call->out, g->head);
}

static void
open_choice(struct guarded *g, unsigned choice)
{
	open_chunk(g);
	buf_addf(&g->call->out, "\"choices\":[{\"index\":%u,\"delta\":{", choice);
	if (choice >= PLACES || g->role[choice].ptr == NULL)
		return;
	buf_add_z(&g->call->out, "\"role\":");
	buf_add_str(&g->call->out, g->role[choice]);
	buf_add_char(&g->call->out, ',');
	g->role[choice] = STR_NONE;
}

static void
close_choice(struct guarded *g, lz_str finish)
{
	struct buf *out = &g->call->out;

	/* After a role alone there is a comma too many. */
	if (out->len > 0 && out->ptr[out->len - 1] == ',')
		out->len--;
	buf_add_z(out, "},\"logprobs\":null,\"finish_reason\":");
	buf_add_str(out, finish);
	buf_add_z(out, "}]}\n\n");
}

static void
keep_for_trace(struct call *c, unsigned choice, lz_str member, lz_str text)
{
	struct request *r = c->r;
	size_t at = r->answer_text.len;

	if (choice != 0 || !str_is(member, "content") ||
	    r->log_content != LOG_CONTENT_FULL || r->answer_text.failed)
		return;
	buf_add_json(&r->answer_text, text);
	if (r->answer_text.failed)
		return;
	/* Without the quotes: the next part goes on behind it. */
	memmove(r->answer_text.ptr + at, r->answer_text.ptr + at + 1,
	    r->answer_text.len - at - 2);
	r->answer_text.len -= 2;
}

/* What was held for long leaves in chunks that clients read. */
static size_t
event_bytes(lz_str text)
{
	size_t n = EVENT_BYTES;

	if (text.len <= n)
		return text.len;
	while (!text_is_edge(text, n))
		n--;
	return n;
}

static void
on_text(void *arg, unsigned choice, lz_str member, lz_str text, lz_str for_trace)
{
	struct guarded *g = arg;
	struct buf *out = &g->call->out;

	keep_for_trace(g->call, choice, member, for_trace);
	while (text.len > 0) {
		size_t n = event_bytes(text);

		open_choice(g, choice);
		buf_add_char(out, '"');
		buf_add_str(out, member);
		buf_add_z(out, "\":");
		buf_add_json(out, str_cut(text, 0, n));
		close_choice(g, STR_LIT("null"));
		stream_has_content(g->call);
		if (out->len > FLUSH_BYTES)
			stream_flush(g->call);
		text = str_cut(text, n, text.len);
	}
}

static lz_str
members_of(lz_str object)
{
	return str_cut(object, 1, object.len - 1);
}

static void
on_piece(
    void *arg, unsigned choice, enum guard_place place, lz_str object, lz_str for_trace)
{
	struct guarded *g = arg;
	struct request *r = g->call->r;
	struct buf *out = &g->call->out;
	lz_str members = members_of(object);

	if (place == GUARD_IN_CHUNK) {
		open_chunk(g);
		buf_add_z(out, "\"choices\":[],");
		buf_add_str(out, members);
		buf_add_z(out, "}\n\n");
	} else if (place == GUARD_IN_CHOICE) {
		open_chunk(g);
		buf_addf(out,
		    "\"choices\":[{\"index\":%u,\"delta\":{},\"logprobs\":null,"
		    "\"finish_reason\":null,",
		    choice);
		buf_add_str(out, members);
		buf_add_z(out, "}]}\n\n");
	} else {
		open_choice(g, choice);
		buf_add_str(out, members);
		close_choice(g, STR_LIT("null"));
		if (r->log_content == LOG_CONTENT_FULL && !r->answer_tools.failed &&
		    str_starts(for_trace, "{\"tool_calls\":")) {
			buf_add_z(&r->answer_tools, r->answer_tools.len > 0 ? "," : "");
			buf_addf(&r->answer_tools, "{\"index\":%u,\"delta\":", choice);
			buf_add_str(&r->answer_tools, for_trace);
			buf_add_char(&r->answer_tools, '}');
		}
	}
	stream_has_content(g->call);
}

/* Finish reasons of choices of which nothing is held any more. */
static void
put_finishes(struct guarded *g)
{
	for (unsigned i = 0; i < PLACES; i++) {
		if (g->finish[i].ptr == NULL || g->is_finished[i] ||
		    guard_stream_holds(g->stream, i))
			continue;
		open_choice(g, i);
		close_choice(g, g->finish[i]);
		g->is_finished[i] = true;
		stream_has_content(g->call);
	}
}

/* ---- in: chunks ---- */

static lz_str
kept(struct guarded *g, lz_str raw)
{
	lz_str copy = arena_copy(g->call->r->arena, raw);

	g->has_failed |= copy.ptr == NULL;
	return copy;
}

static bool
take_call(void *arg, unsigned choice, lz_str delta)
{
	const struct guarded *g = arg;

	return guard_stream_piece(g->stream, choice, GUARD_IN_DELTA, delta);
}

/* However it is written, it is the same member to a client. What cannot be written
 * without escapes again stays as it is. */
static lz_str
decoded_key(struct guarded *g, lz_str key)
{
	struct jscan_member m = { .value = lz_strn(key.ptr - 1, key.len + 2),
		.type = JSCAN_STRING };
	struct buf plain;
	lz_str name = key;

	buf_init(&plain, SSE_EVENT_BYTES);
	if (!growing_add_text(&plain, &m))
		g->has_failed = true;
	else if (str_find(buf_str(&plain), '"') < 0)
		name = kept(g, buf_str(&plain));
	buf_free(&plain);
	return name.ptr != NULL ? name : key;
}

/* Content, a refusal, reasoning under any name: what is a string may go on in the next
 * delta. */
static bool
take_text(struct guarded *g, unsigned choice, const struct jscan_member *m)
{
	struct buf text;

	lz_str name = m->key;

	if (memchr(name.ptr, '\\', name.len) != NULL)
		name = decoded_key(g, name);
	if (m->type != JSCAN_STRING || !guard_stream_is_text(name))
		return false;
	buf_init(&text, SSE_EVENT_BYTES);
	if (m->value.len > 2 &&
	    (!growing_add_text(&text, m) ||
		!guard_stream_text(g->stream, choice, name, buf_str(&text))))
		g->has_failed = true;
	buf_free(&text);
	return true;
}

static void
add_member(struct buf *b, const struct jscan_member *m)
{
	buf_add_z(b, b->len > 1 ? ",\"" : "\"");
	buf_add_str(b, m->key);
	buf_add_z(b, "\":");
	buf_add_str(b, m->value);
}

/* What was put together of members that nobody knows. */
static void
take_rest(struct guarded *g, unsigned choice, enum guard_place place, struct buf *rest)
{
	if (rest->len > 1) {
		buf_add_char(rest, '}');
		if (rest->failed ||
		    !guard_stream_piece(g->stream, choice, place, buf_str(rest)))
			g->has_failed = true;
	}
	buf_free(rest);
}

static void
begin_rest(struct buf *rest)
{
	buf_init(rest, SSE_EVENT_BYTES);
	buf_add_char(rest, '{');
}

static void
take_piece(struct guarded *g, unsigned choice, lz_str call)
{
	if (tools_is_piece(call))
		growing_take(&g->calls, choice, tools_place(g->call, choice, call), call);
}

static void
take_delta(struct guarded *g, unsigned choice, lz_str delta)
{
	struct jscan_member m;
	struct buf rest;
	lz_str list, call;

	begin_rest(&rest);
	while (jscan_next(&delta, &m)) {
		list = m.value;
		if (m.type == JSCAN_NULL || take_text(g, choice, &m))
			continue;
		if (jscan_key_is(m.key, "role") && guard_stream_is_name(m.value)) {
			if (choice < PLACES && g->role[choice].ptr == NULL &&
			    (g->call->choice[choice] & CHOICE_IS_BEGUN) == 0) {
				g->role[choice] = kept(g, m.value);
				g->call->choice[choice] |= CHOICE_IS_BEGUN;
			}
		} else if (jscan_key_is(m.key, "tool_calls") && m.type == JSCAN_ARRAY) {
			while (jscan_next_item(&list, &call))
				take_piece(g, choice, call);
		} else if (jscan_key_is(m.key, "function_call") &&
			   m.type == JSCAN_OBJECT) {
			growing_take_function(&g->calls, choice, m.value);
		} else {
			add_member(&rest, &m);
		}
	}
	take_rest(g, choice, GUARD_IN_DELTA, &rest);
}

static void
take_finish(struct guarded *g, unsigned choice, const struct jscan_member *finish)
{
	/* Some providers say "" in every chunk until it is finished. */
	if (finish->type != JSCAN_STRING || finish->value.len <= 2 || choice >= PLACES)
		return;
	growing_complete(&g->calls, choice, take_call, g);
	guard_stream_final(g->stream, choice);
	if (g->finish[choice].ptr == NULL) /* a text is no reason */
		g->finish[choice] = guard_stream_is_name(finish->value)
					? kept(g, finish->value)
					: STR_LIT("\"stop\"");
}

static void
take_choice(struct guarded *g, lz_str choice)
{
	struct jscan_member m, index, finish = { .type = JSCAN_NULL };
	struct buf rest;
	int64_t i = 0;
	lz_str members = choice;

	if (choice.ptr[0] != '{')
		return;
	if (jscan_inner(choice, "index", &index))
		(void)jscan_int(&index, &i);
	if (i < 0 || i >= PLACES) { /* nobody asks for so many */
		g->has_failed = true;
		return;
	}
	begin_rest(&rest);
	while (jscan_next(&members, &m)) {
		if (jscan_key_is(m.key, "delta")) {
			if (m.type == JSCAN_OBJECT)
				take_delta(g, (unsigned)i, m.value);
		} else if (jscan_key_is(m.key, "finish_reason"))
			finish = m;
		else if (!jscan_key_is(m.key, "index") &&
			 !jscan_key_is(m.key, "logprobs") && m.type != JSCAN_NULL)
			add_member(&rest, &m);
	}
	take_rest(g, (unsigned)i, GUARD_IN_CHOICE, &rest);
	take_finish(g, (unsigned)i, &finish);
}

/* Of every chunk, from the first. The first four of them all have. */
enum {
	HEAD_ID,
	HEAD_OBJECT,
	HEAD_CREATED,
	HEAD_MODEL,
	HEADS = 7
};
static const char *const heads[HEADS] = { "id", "object", "created", "model",
	"system_fingerprint", "service_tier", "provider" };

static unsigned
head_of(lz_str key)
{
	unsigned i = 0;

	while (i < HEADS && !jscan_key_is(key, heads[i]))
		i++;
	return i;
}

/* What looks like a text does not stand in every chunk: of what all have we say ours.
 * false: it is shown. */
static bool
put_head(const struct call *c, unsigned i, lz_str value, struct buf *b)
{
	bool is_name = guard_stream_is_name(value);

	if (!is_name && i > HEAD_MODEL)
		return false;
	buf_addf(b, "\"%s\":", heads[i]);
	if (is_name)
		buf_add_str(b, value);
	else if (i == HEAD_ID)
		buf_add_json(b, c->answer_id);
	else if (i == HEAD_OBJECT)
		buf_add_z(b, "\"chat.completion.chunk\"");
	else if (i == HEAD_CREATED)
		buf_add_int(b, c->r->began.unix_ms / 1000);
	else
		buf_add_json(b, c->a->target->upstream_model);
	buf_add_char(b, ',');
	return true;
}

static bool
is_dropped(lz_str key)
{
	return jscan_key_is(key, "usage") || jscan_key_is(key, "error") ||
	       jscan_key_is(key, "obfuscation");
}

void
guarded_take(struct call *c, lz_str data)
{
	struct guarded *g = c->guarded;
	bool is_first = g->head.ptr == NULL;
	struct jscan_member m;
	struct buf head, rest;
	lz_str choice, list;
	unsigned i;

	begin_rest(&rest);
	buf_init(&head, SSE_EVENT_BYTES);
	while (jscan_next(&data, &m)) {
		list = m.value;
		i = head_of(m.key);
		if (jscan_key_is(m.key, "choices")) {
			/* ours stand there already: no list, no choices */
			while (m.type == JSCAN_ARRAY && jscan_next_item(&list, &choice))
				take_choice(g, choice);
		} else if (i < HEADS) {
			if (is_first && !put_head(c, i, m.value, &head))
				add_member(&rest, &m);
		} else if (!is_dropped(m.key) && m.type != JSCAN_NULL) {
			add_member(&rest, &m);
		}
	}
	if (is_first)
		g->head = head.len > 0 ? kept(g, buf_str(&head)) : STR_LIT("");
	buf_free(&head);
	take_rest(g, 0, GUARD_IN_CHUNK, &rest);
}

/* ---- its life ---- */

static void
on_go_on(void *arg)
{
	struct guarded *g = arg;

	stream_checked(g->call);
}

bool
guarded_begin(struct call *c)
{
	static const struct guard_stream_ops ops = { on_text, on_piece, on_go_on };
	struct guarded *g = arena_alloc(c->r->arena, sizeof(*g));

	if (g == NULL)
		return false;
	g->call = c;
	g->calls.arena = c->r->arena;
	g->stream = guard_stream_new(c->r, &ops, g);
	c->guarded = g->stream != NULL ? g : NULL;
	return c->guarded != NULL;
}

enum guard_run
guarded_run(struct call *c, bool is_end)
{
	struct guarded *g = c->guarded;
	enum guard_run ran;

	if (is_end && !g->is_concluding) {
		g->is_concluding = true;
		growing_complete(&g->calls, -1, take_call, g);
	}
	if (g->has_failed || g->calls.has_failed) {
		request_fail(c->r, FAULT_OVERLOADED, NULL,
		    "the answer is more than can be checked at once");
		return GUARD_REFUSED;
	}
	ran = guard_stream_run(g->stream, is_end);
	if (ran != GUARD_RAN)
		return ran;
	put_finishes(g);
	if (!c->out.failed)
		return GUARD_RAN;
	request_fail(c->r, FAULT_OVERLOADED, NULL, "out of memory");
	buf_reset(&c->out);
	return GUARD_REFUSED;
}

/* What had not ended ends here, for the reason that everybody knows. */
void
guarded_end_filtered(struct call *c)
{
	struct guarded *g = c->guarded;

	for (unsigned i = 0; i < PLACES; i++) {
		if ((c->choice[i] & CHOICE_SEEN) == 0 || g->is_finished[i])
			continue;
		open_choice(g, i);
		close_choice(g, STR_LIT("\"content_filter\""));
		g->is_finished[i] = true;
	}
	c->r->finish = STR_LIT("content_filter");
}

void
guarded_free(struct call *c)
{
	struct guarded *g = c->guarded;

	if (g == NULL)
		return;
	guard_stream_free(g->stream);
	growing_free(&g->calls);
	c->guarded = NULL;
}
