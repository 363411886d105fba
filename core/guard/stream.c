/* stream.c - guardrails over an answer that grows: windows, one behind the other.
 *
 * What comes falls into channels (a choice's content, its reasoning) and pieces (tool
 * calls that are complete, members that nobody knows). Each guardrail has a window for
 * each channel: what it let through last, as context, then what it held, then what is
 * new. What it lets through, edited, is what the next guardrail's window gets, and what
 * the last one lets through goes out. So each sees a growing text of its own, and the
 * result is that of the whole text wherever the stream was cut.
 *
 * One round shows everything that came since the last to all of them in turn. A round
 * may wait; what comes meanwhile is the next one's, and nothing that was shown changes.
 * The caller holds the provider up.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/mem.h"
#include "guard/growing.h"

enum {
	CHANNELS = 512,            /* members of deltas, of all choices */
	PIECES = 4096,             /* that wait */
	INCOMING_BYTES = 16 << 20, /* of a channel in one round */
	ROUND_BYTES = 64 << 20,
	KEPT_BYTES = 64 << 20,
	ARENA_TIMES = 12, /* of an answer: see whole.c */
	WINDOW_TIMES = 4  /* of it, too: what edits may make of a text */
};

/* ---- made and ended ---- */

static size_t
count_stages(struct guards *all)
{
	size_t n = 0;

	for (size_t i = 0; i < all->count; i++)
		n += (all->guard[i].row->phases & LZ_RESPONSE) != 0;
	return n;
}

static bool
set_stages(struct guard_stream *s)
{
	struct guards *all = s->all;

	size_t n = count_stages(all);

	s->stage = mem_zalloc(n * sizeof(struct guard *));
	s->is_out = mem_zalloc(n * sizeof(*s->is_out));
	if (s->stage == NULL || s->is_out == NULL)
		return false;
	for (size_t i = all->count; i-- > 0;)
		if ((all->guard[i].row->phases & LZ_RESPONSE) != 0)
			s->stage[s->stages++] = &all->guard[i];
	return true;
}

/* Memory for a round. What a thread of the pool may still look at stays. */
static bool
begin_showing(struct guard_stream *s)
{
	if (s->round != NULL && chain_is_looked_at(s->all)) {
		chain_unshow(s->all, s->round);
		s->round = NULL;
	}
	if (s->round == NULL)
		s->round = chain_show(ROUND_BYTES + ARENA_TIMES * s->max_bytes);
	else
		arena_reset(s->round->arena);
	return s->round != NULL;
}

/* Those of the check under way, as the guardrails in front left them. */
static bool
show_calls(void *arg, void (*each)(void *each_arg, uint32_t choice, lz_str delta),
    void *each_arg)
{
	struct guard_stream *s = arg;
	bool is_fine = true;
	struct buf now;

	for (struct piece *p = s->piece; p != NULL && is_fine; p = p->next) {
		if (!p->is_shown || !p->is_call)
			continue;
		buf_init(&now, WINDOW_TIMES * s->max_bytes);
		is_fine = !document_is_changed(&p->document) ||
			  document_write(&p->document, false, &now) == ST_OK;
		if (is_fine)
			each(each_arg, p->choice,
			    now.len > 0 ? buf_str(&now) : p->document.bytes);
		buf_free(&now);
	}
	return is_fine;
}

struct guard_stream *
guard_stream_new(struct request *r, const struct guard_stream_ops *ops, void *arg)
{
	struct guard_stream *s = mem_zalloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->all = r->guards;
	s->all->stream_calls = show_calls;
	s->ops = ops;
	s->arg = arg;
	s->last_piece = &s->piece;
	s->max_bytes = (size_t)r->config->limits.answer_bytes;
	if (!set_stages(s)) {
		guard_stream_free(s);
		return NULL;
	}
	return s;
}

void
guard_stream_free(struct guard_stream *s)
{
	if (s == NULL)
		return;
	if (s->is_under_way)
		chain_abandon(s->all);
	plain_drop(s->job);
	for (size_t i = 0; i < s->channel_count; i++) {
		buf_free(&s->channel[i].incoming);
		for (size_t k = 0; k <= s->stages; k++)
			buf_free(&s->channel[i].window[k].text);
		mem_free(s->channel[i].window);
	}
	for (struct piece *p = s->piece, *next; p != NULL; p = next) {
		next = p->next;
		mem_free(p);
	}
	mem_free(s->channel);
	mem_free(s->stage);
	mem_free(s->is_out);
	chain_unshow(s->all, s->round);
	chain_unshow(s->all, s->pieces);
	arena_free(s->kept);
	mem_free(s);
}

/* ---- what comes ---- */

static struct channel *
add_channel(struct guard_stream *s, unsigned choice, lz_str member)
{
	struct channel *more, *c;
	uint32_t kind;

	(void)document_is_text(member, &kind);

	if (s->channel_count == CHANNELS)
		return NULL;
	more = mem_realloc(s->channel, (s->channel_count + 1) * sizeof(*more));
	if (more == NULL)
		return NULL;
	s->channel = more;
	c = &s->channel[s->channel_count];
	*c = (struct channel){ .choice = choice, .member = member, .kind = kind };
	c->window = mem_zalloc((s->stages + 1) * sizeof(*c->window));
	if (c->window == NULL)
		return NULL;
	buf_init(&c->incoming, INCOMING_BYTES);
	for (size_t i = 0; i <= s->stages; i++)
		buf_init(
		    &c->window[i].text, INCOMING_BYTES + WINDOW_TIMES * s->max_bytes);
	s->channel_count++;
	return c;
}

static struct channel *
channel_of(struct guard_stream *s, unsigned choice, lz_str member)
{
	for (size_t i = 0; i < s->channel_count; i++)
		if (s->channel[i].choice == choice &&
		    str_eq(s->channel[i].member, member))
			return &s->channel[i];
	member = arena_copy(s->all->r->arena, member);
	return member.ptr != NULL ? add_channel(s, choice, member) : NULL;
}

bool
guard_stream_is_text(lz_str member)
{
	uint32_t kind;

	return document_is_text(member, &kind);
}

bool
guard_stream_is_name(lz_str value)
{
	if (value.ptr[0] == '"')
		return document_is_name(str_cut(value, 1, value.len - 1));
	return value.ptr[0] != '{' && value.ptr[0] != '[';
}

bool
guard_stream_text(struct guard_stream *s, unsigned choice, lz_str member, lz_str text)
{
	struct channel *c = channel_of(s, choice, member);

	if (c == NULL)
		return false;
	buf_add_str(&c->incoming, text);
	return !c->incoming.failed;
}

/* What came is this round's. */
static bool
take_in(struct guard_stream *s, bool is_end)
{
	for (size_t i = 0; i < s->channel_count; i++) {
		struct channel *c = &s->channel[i];
		struct window *w = &c->window[0];

		buf_add_str(&w->text, buf_str(&c->incoming));
		w->has_new |= c->incoming.len > 0;
		w->is_final |= c->is_ending || is_end;
		if (w->text.failed)
			return false;
		buf_reset(&c->incoming);
	}
	return true;
}

/* A piece that has two readings goes out only where nobody could refuse it. */
static bool
may_pass_unread(const struct guard_stream *s)
{
	for (size_t i = 0; i < s->stages; i++)
		if (!growing_only_watches(s->stage[i]))
			return false;
	return true;
}

bool
guard_stream_piece(
    struct guard_stream *s, unsigned choice, enum guard_place place, lz_str object)
{
	struct piece *p;

	if (s->piece_count == PIECES)
		return false;
	p = mem_zalloc(sizeof(*p));
	if (p == NULL)
		return false;
	p->choice = choice;
	p->place = place;
	p->document.choice = choice;
	if (s->pieces == NULL)
		s->pieces = chain_show(KEPT_BYTES + ARENA_TIMES * s->max_bytes);
	object = s->pieces != NULL ? arena_copy(s->pieces->arena, object) : STR_NONE;
	if (object.ptr == NULL ||
	    document_read(&p->document, DOCUMENT_DELTA, object, s->pieces->arena) !=
		ST_OK ||
	    ((p->document.has_twice || p->document.has_unread) && !may_pass_unread(s))) {
		mem_free(p);
		return false;
	}
	p->is_call =
	    place == GUARD_IN_DELTA && (str_starts(object, "{\"tool_calls\":") ||
					   str_starts(object, "{\"function_call\":"));
	if (p->document.texts.count == 0 && !p->is_call)
		p->stage = s->stages; /* nobody has anything to say of it */
	*s->last_piece = p;
	s->last_piece = &p->next;
	s->piece_count++;
	return true;
}

void
guard_stream_final(struct guard_stream *s, unsigned choice)
{
	for (size_t i = 0; i < s->channel_count; i++)
		if (s->channel[i].choice == choice)
			s->channel[i].is_ending = true;
}

bool
guard_stream_holds(const struct guard_stream *s, unsigned choice)
{
	for (size_t i = 0; i < s->channel_count; i++)
		for (size_t k = 0; s->channel[i].choice == choice && k < s->stages; k++)
			if (!s->channel[i].window[k].is_over)
				return true;
	for (const struct piece *p = s->piece; p != NULL; p = p->next)
		if (p->choice == choice)
			return true;
	return false;
}

bool
growing_begin_round(struct guard_stream *s, bool is_end)
{
	return begin_showing(s) && take_in(s, is_end);
}

bool
growing_pass_on(struct guard_stream *s, struct window *to, lz_str text,
    const struct text_edits *marks)
{
	if (marks->count > 0 && s->kept == NULL)
		s->kept = arena_new(KEPT_BYTES);
	if (marks->count > 0 && s->kept == NULL)
		return false;
	return window_take(to, s->kept, text, marks);
}

/* ---- what goes out ---- */

static bool
deliver_channel(struct guard_stream *s, struct channel *c)
{
	struct window *w = &c->window[s->stages];
	lz_str text = buf_str(&w->text), shown;

	if (w->text.len == 0)
		return true;
	shown = text_revealed(s->round->arena, text, &w->marks, 0, text.len);
	if (shown.ptr == NULL)
		return false;
	s->ops->text(s->arg, c->choice, c->member, shown, text);
	buf_reset(&w->text);
	w->marks.count = 0;
	return true;
}

static bool
deliver_piece(struct guard_stream *s, struct piece *p)
{
	struct buf client, trace;
	bool is_fine = true;

	buf_init(&client, WINDOW_TIMES * s->max_bytes);
	buf_init(&trace, WINDOW_TIMES * s->max_bytes);
	if (!document_is_changed(&p->document)) {
		s->ops->piece(
		    s->arg, p->choice, p->place, p->document.bytes, p->document.bytes);
	} else {
		is_fine = document_write(&p->document, true, &client) == ST_OK &&
			  document_write(&p->document, false, &trace) == ST_OK;
		if (is_fine)
			s->ops->piece(s->arg, p->choice, p->place, buf_str(&client),
			    buf_str(&trace));
	}
	buf_free(&client);
	buf_free(&trace);
	return is_fine;
}

bool
growing_deliver(struct guard_stream *s)
{
	for (size_t i = 0; i < s->channel_count; i++)
		if (!deliver_channel(s, &s->channel[i]))
			return false;
	for (struct piece **link = &s->piece; *link != NULL;) {
		struct piece *p = *link;

		if (p->stage < s->stages) {
			link = &p->next;
			continue;
		}
		if (!deliver_piece(s, p))
			return false;
		*link = p->next;
		if (*link == NULL)
			s->last_piece = link;
		s->piece_count--;
		mem_free(p);
	}
	if (s->piece == NULL) {
		chain_unshow(s->all, s->pieces);
		s->pieces = NULL;
	}
	return true;
}
