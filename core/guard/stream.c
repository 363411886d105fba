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
#include "guard/plain.h"

#include "base/mem.h"

enum {
	CHANNELS = 512,            /* members of deltas, of all choices */
	PIECES = 4096,             /* that wait */
	HELD_BYTES = 64 << 10,     /* what one guardrail may keep back of one channel */
	INCOMING_BYTES = 16 << 20, /* of a channel in one round */
	ROUND_BYTES = 64 << 20,
	KEPT_BYTES = 64 << 20,
	ARENA_TIMES = 12, /* of an answer: see whole.c */
	WINDOW_TIMES = 4  /* of it, too: what edits may make of a text */
};
static const char too_much[] = "held back too much";

/* One guardrail's sight of one channel. */
struct window {
	struct buf text;         /* context, held, new */
	size_t seen;             /* bytes of it that are out */
	size_t passed;           /* a watcher's: bytes of it that have gone on */
	struct text_edits marks; /* what the client will see instead; kept */
	bool has_new;
	bool is_final;      /* nothing follows */
	bool is_over;       /* ... and that was shown */
	struct text *shown; /* in this round; NULL: not shown */
};

struct channel {
	unsigned choice;
	lz_str member;
	uint32_t kind;
	struct buf incoming;   /* the next round's */
	bool is_ending;        /* nothing comes behind it */
	struct window *window; /* one for each guardrail, and the way out */
};

struct piece {
	struct piece *next;
	unsigned choice;
	enum guard_place place;
	size_t stage; /* whose turn it is */
	struct document document;
	size_t first; /* its texts in this round's list */
	bool is_shown;
};

struct guard_stream {
	struct guards *all;
	const struct guard_stream_ops *ops;
	void *arg;
	size_t stages;        /* guardrails that look at answers */
	struct guard **stage; /* in the order of answers */
	bool *is_out;         /* it has failed on too much, and sees no more */
	struct channel *channel;
	size_t channel_count;
	struct piece *piece, **last_piece;
	size_t piece_count;
	size_t at;   /* stage of the round under way */
	bool is_end; /* everything is final */
	bool is_under_way, has_come;
	enum guard_run came;   /* what the check that was waited for came to */
	struct texts texts;    /* of the check under way */
	struct plain_job *job; /* ... which are folded first; NULL: they are not */
	struct showing *round, *pieces;
	struct arena *kept; /* of marks that wait; NULL: there was none yet */
	size_t max_bytes;   /* of a channel that is held whole */
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

struct guard_stream *
guard_stream_new(struct request *r, const struct guard_stream_ops *ops, void *arg)
{
	struct guard_stream *s = mem_zalloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->all = r->guards;
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
	    p->document.has_twice || p->document.has_unread) {
		mem_free(p);
		return false;
	}
	if (p->document.texts.count == 0)
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

/* ---- from one window to the next ---- */

/* Moves `text`, with the marks in it, on to the next window. */
static bool
pass_on(struct guard_stream *s, struct window *to, lz_str text,
    const struct text_edits *marks)
{
	size_t at = to->text.len;

	if (marks->count > 0 && s->kept == NULL)
		s->kept = arena_new(KEPT_BYTES);
	if (marks->count > 0 && s->kept == NULL)
		return false;
	for (size_t i = 0; i < marks->count; i++) {
		struct text_edit m = marks->item[i];

		m.from += at;
		m.to += at;
		m.with = m.with.len > 0 ? arena_copy(s->kept, m.with) : STR_NONE;
		if ((marks->item[i].with.len > 0 && m.with.ptr == NULL) ||
		    !text_edits_add(s->kept, &to->marks, m))
			return false;
	}
	buf_add_str(&to->text, text);
	to->has_new |= text.len > 0;
	return !to->text.failed;
}

/* The first n bytes are gone: their marks too. */
static void
forget_front(struct window *w, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->marks.count; i++) {
		struct text_edit m = w->marks.item[i];

		if (m.from < n)
			continue;
		m.from -= n;
		m.to -= n;
		w->marks.item[kept++] = m;
	}
	w->marks.count = kept;
}

static size_t
character_before(lz_str s, size_t at)
{
	while (at > 0 && !text_is_edge(s, at))
		at--;
	return at;
}

/* The last place up to `end` that lies inside none of them. */
static size_t
before_all(const struct text_edits *edits, size_t end)
{
	for (size_t i = edits->count; i-- > 0;)
		if (edits->item[i].from < end && edits->item[i].to > end)
			return edits->item[i].from;
	return end;
}

/* As much of the window as may go on: up to what is held, and no edit, no mark and no
 * character in two. */
static size_t
release_of(const struct window *w, const struct text *t, uint32_t overlap)
{
	size_t len = w->text.len, end, before;

	if (t->shown.final)
		return len;
	end = t->hold_from != SIZE_MAX ? t->hold_from : len > overlap ? len - overlap : 0;
	if (end > t->decided)
		end = t->decided;
	end = character_before(buf_str(&w->text), end);
	do { /* an edit may begin inside of a mark, and the other way round */
		before = end;
		end = before_all(&t->marks, before_all(&t->edits, end));
	} while (end != before);
	return end > w->seen ? end : w->seen;
}

/* The window goes on by `end` bytes; `out` is what became of those behind `seen`. What
 * the guardrail is to see of them again is kept, as it went out. */
static bool
move_window(struct window *w, size_t end, lz_str out, uint32_t context)
{
	bool is_same =
	    out.len == end - w->seen &&
	    (out.len == 0 || memcmp(out.ptr, w->text.ptr + w->seen, out.len) == 0);
	size_t drop;
	struct buf new;

	w->has_new = false;
	if (is_same) {
		drop = end > context ? end - context : 0;
		drop = character_before(buf_str(&w->text), drop);
		w->passed = w->passed > drop ? w->passed - drop : 0;
		forget_front(w, end); /* before `end` they have been passed on */
		for (size_t i = 0; i < w->marks.count; i++) {
			w->marks.item[i].from += end - drop;
			w->marks.item[i].to += end - drop;
		}
		buf_take(&w->text, drop);
		w->seen = end - drop;
		return true;
	}
	buf_init(&new, w->text.max_bytes);
	buf_add(&new, w->text.ptr, w->seen);
	buf_add_str(&new, out);
	drop = new.len > context ? new.len - context : 0;
	drop = character_before(buf_str(&new), drop);
	forget_front(w, end);
	for (size_t i = 0; i < w->marks.count; i++) {
		w->marks.item[i].from += new.len - drop;
		w->marks.item[i].to += new.len - drop;
	}
	w->seen = new.len - drop;
	buf_take(&new, drop);
	buf_add(&new, w->text.ptr + end, w->text.len - end);
	buf_free(&w->text);
	w->text = new;
	return !new.failed;
}

/* ---- a check ---- */

static struct texts *
show_texts(void *arg)
{
	struct guard_stream *s = arg;

	return &s->texts;
}

static bool
is_held_whole(const struct guard *g)
{
	return g->row->stream != GUARDRAIL_PIECES;
}

/* Whose input goes on before it has been asked. */
static bool
only_watches(const struct guard *g)
{
	return g->row->is_monitor || g->row->stream == GUARDRAIL_AFTER;
}

static bool
show_window(struct guard_stream *s, const struct channel *c, struct window *w)
{
	struct text *t = texts_add(&s->texts);

	if (t == NULL)
		return false;
	t->shown.kind = c->kind;
	t->shown.choice = c->choice;
	t->shown.role = STR_LIT("assistant");
	t->shown.seen = (uint32_t)w->seen;
	t->shown.final = w->is_final;
	t->shown.text =
	    w->text.len > 0 ? arena_copy(s->texts.arena, buf_str(&w->text)) : STR_LIT("");
	t->marks = w->marks;
	return t->shown.text.ptr != NULL;
}

static bool
show_piece(struct guard_stream *s, struct piece *p)
{
	p->first = s->texts.count;
	p->is_shown = true;
	for (size_t i = 0; i < p->document.texts.count; i++) {
		struct text *t = texts_add(&s->texts);

		if (t == NULL)
			return false;
		*t = p->document.texts.item[i];
		t->edits = (struct text_edits){ NULL, 0, 0 };
	}
	return true;
}

static bool
is_due(const struct window *w)
{
	return !w->is_over && (w->has_new || w->is_final);
}

/* Puts together what the stage's guardrail has not seen. */
static bool
show_stage(struct guard_stream *s)
{
	bool is_fine = true;

	s->texts = (struct texts){ .arena = s->round->arena };
	for (size_t i = 0; i < s->channel_count; i++) {
		struct channel *c = &s->channel[i];
		struct window *w = &c->window[s->at];

		w->shown = NULL;
		if (!is_due(w))
			continue;
		is_fine &= show_window(s, c, w);
	}
	for (struct piece *p = s->piece; p != NULL; p = p->next) {
		p->is_shown = false;
		if (p->stage == s->at)
			is_fine &= show_piece(s, p);
	}
	if (!is_fine)
		return false;
	/* The list has stopped moving. */
	for (size_t i = 0, at = 0; i < s->channel_count; i++)
		if (is_due(&s->channel[i].window[s->at]))
			s->channel[i].window[s->at].shown = &s->texts.item[at++];
	return true;
}

static bool
has_edits(const struct guard_stream *s)
{
	for (size_t i = 0; i < s->texts.count; i++)
		if (s->texts.item[i].edits.count > 0)
			return true;
	return false;
}

/* ---- carried out ---- */

/* A watcher's input has gone on already; its window only remembers. */
static bool
settle_window(struct guard_stream *s, struct channel *c, struct window *w)
{
	const struct guard *g = s->stage[s->at];
	const lz_guardrail *table = visit_guardrail_table(g->row->part);
	struct text_edits marks = { NULL, 0, 0 };
	bool watches = only_watches(g);
	size_t end = release_of(w, w->shown, table->overlap);
	lz_str out;

	out = text_apply(&s->texts, w->shown, w->seen, end, &marks);
	if (out.ptr == NULL ||
	    (!watches && !pass_on(s, &c->window[s->at + 1], out, &marks)))
		return false;
	if (w->shown->shown.final) {
		w->is_over = true;
		c->window[s->at + 1].is_final = true;
	}
	return move_window(w, end, out, table->context);
}

/* What the guardrail keeps back is more than it may: it has had its say. */
static bool
holds_too_much(const struct window *w, const struct text *t, uint32_t overlap)
{
	return w->text.len - release_of(w, t, overlap) > HELD_BYTES;
}

static void
hold_nothing(struct guard_stream *s)
{
	for (size_t i = 0; i < s->texts.count; i++) {
		s->texts.item[i].hold_from = s->texts.item[i].shown.text.len;
		s->texts.item[i].decided = s->texts.item[i].shown.text.len;
	}
}

static void
drop_edits(struct guard_stream *s)
{
	for (size_t i = 0; i < s->texts.count; i++)
		s->texts.item[i].edits.count = 0;
}

static bool
settle_pieces(struct guard_stream *s)
{
	for (struct piece *p = s->piece; p != NULL; p = p->next) {
		if (!p->is_shown)
			continue;
		for (size_t i = 0; i < p->document.texts.count; i++)
			p->document.texts.item[i].edits =
			    s->texts.item[p->first + i].edits;
		if (document_apply(&p->document) != ST_OK)
			return false;
		p->stage++;
		p->is_shown = false;
	}
	return true;
}

static bool
settle_stage(struct guard_stream *s)
{
	bool is_fine = true;

	for (size_t i = 0; i < s->channel_count; i++) {
		struct channel *c = &s->channel[i];

		if (c->window[s->at].shown != NULL)
			is_fine &= settle_window(s, c, &c->window[s->at]);
		c->window[s->at].shown = NULL;
	}
	return settle_pieces(s) && is_fine;
}

static bool
stage_holds_too_much(const struct guard_stream *s)
{
	const struct guard *g = s->stage[s->at];
	const lz_guardrail *table = visit_guardrail_table(g->row->part);

	for (size_t i = 0; i < s->channel_count; i++) {
		const struct window *w = &s->channel[i].window[s->at];

		if (w->shown != NULL && holds_too_much(w, w->shown, table->overlap))
			return true;
	}
	return false;
}

/* How far the window goes on when the guardrail has had its say. */
static size_t
settles_at(const struct window *w, const struct guard *g)
{
	const lz_guardrail *table = visit_guardrail_table(g->row->part);
	struct text t = *w->shown;

	if (t.shown.final)
		return SIZE_MAX;
	if (only_watches(g))
		t.edits.count = 0;
	return release_of(w, &t, table->overlap);
}

/* Those that lie in what goes on now; the others are asked for again. */
static void
tell_edits(const struct guard_stream *s, struct guard *g)
{
	for (size_t i = 0; i < s->channel_count; i++) {
		const struct window *w = &s->channel[i].window[s->at];

		if (w->shown != NULL)
			chain_tell_edits(s->all, g, w->shown, settles_at(w, g));
	}
	for (const struct piece *p = s->piece; p != NULL; p = p->next)
		for (size_t i = 0; p->is_shown && i < p->document.texts.count; i++)
			chain_tell_edits(
			    s->all, g, &s->texts.item[p->first + i], SIZE_MAX);
}

static void came_home(void *arg, int32_t result);

/* What a watcher would refuse has gone out. */
static bool
refuses(struct guard_stream *s, const struct guard *g, enum ruling ruling)
{
	if (ruling != RULED_REFUSE || !only_watches(g))
		return ruling == RULED_REFUSE;
	s->all->r->fault = FAULT_NONE;
	s->all->r->refused_by = STR_NONE;
	return false;
}

/* false: r->fault is set. */
static bool
rule(struct guard_stream *s, int32_t result)
{
	struct guard *g = s->stage[s->at];
	enum ruling ruling;

	if (result >= LZ_OK && s->all->watch != NULL)
		tell_edits(s, g);
	ruling = chain_rule(s->all, g, result, has_edits(s));
	if (ruling == RULED_IGNORE && !only_watches(g)) {
		hold_nothing(s);
	} else if (ruling != RULED_REFUSE && stage_holds_too_much(s)) {
		ruling = chain_failed(s->all, g, LZ_RESPONSE, too_much);
		if (ruling != RULED_REFUSE)
			hold_nothing(s);
	}
	if (ruling == RULED_IGNORE || only_watches(g))
		drop_edits(s);
	if (refuses(s, g, ruling))
		return false;
	if (settle_stage(s))
		return true;
	request_fail(s->all->r, FAULT_OVERLOADED, NULL, "out of memory");
	return false;
}

/* ---- watchers ---- */

/* What came goes on at once, and stays in the watcher's window too. */
static bool
let_through(struct guard_stream *s)
{
	for (size_t i = 0; i < s->channel_count; i++) {
		struct channel *c = &s->channel[i];
		struct window *w = &c->window[s->at];
		struct text_edits marks = { NULL, 0, 0 };
		size_t from = w->passed > w->seen ? w->passed : w->seen;
		lz_str new = str_cut(buf_str(&w->text), from, w->text.len);

		for (size_t k = 0; k < w->marks.count; k++) {
			struct text_edit m = w->marks.item[k];

			if (m.from < from)
				continue;
			m.from -= from;
			m.to -= from;
			if (!text_edits_add(s->round->arena, &marks, m))
				return false;
		}
		if (new.len > 0 && !pass_on(s, &c->window[s->at + 1], new, &marks))
			return false;
		w->passed = w->text.len;
		if (w->is_final)
			c->window[s->at + 1].is_final = true;
	}
	return true;
}

/* ---- who has failed on too much ---- */

/* All that it has not let through goes on, and it is not asked again. */
static bool
pass_by(struct guard_stream *s)
{
	if (!let_through(s))
		return false;
	for (size_t i = 0; i < s->channel_count; i++) {
		struct window *w = &s->channel[i].window[s->at];

		buf_reset(&w->text);
		w->marks.count = 0;
		w->seen = w->passed = 0;
		w->has_new = false;
		w->is_over = w->is_final;
	}
	for (struct piece *p = s->piece; p != NULL; p = p->next)
		if (p->stage == s->at)
			p->stage++;
	return true;
}

/* Until the end nobody may wait for more than an answer may have. */
static bool
waits_for_too_much(const struct guard_stream *s)
{
	for (size_t i = 0; i < s->channel_count; i++)
		if (s->channel[i].window[s->at].text.len > s->max_bytes)
			return true;
	return false;
}

/* false: r->fault is set. */
static bool
leave_out(struct guard_stream *s)
{
	struct guard *g = s->stage[s->at];

	if (refuses(s, g, chain_failed(s->all, g, LZ_RESPONSE, too_much)))
		return false;
	s->is_out[s->at] = true;
	return true;
}

/* ---- rounds ---- */

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

static bool
deliver(struct guard_stream *s)
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

static enum guard_run
out_of_memory(struct guard_stream *s)
{
	request_fail(s->all->r, FAULT_OVERLOADED, NULL, "out of memory");
	return GUARD_REFUSED;
}

static enum guard_run
ask(struct guard_stream *s)
{
	int32_t result = chain_ask(
	    s->all, s->stage[s->at], LZ_RESPONSE, NULL, show_texts, s, came_home, s);

	if (result == LZ_PENDING)
		return GUARD_WAITS;
	return rule(s, result) ? GUARD_RAN : GUARD_REFUSED;
}

/* The stage that was waited for has had its say. */
static void
stage_came(struct guard_stream *s, enum guard_run came)
{
	s->came = came;
	s->at++;
	s->has_come = true;
	s->ops->go_on(s->arg);
}

static void
came_home(void *arg, int32_t result)
{
	struct guard_stream *s = arg;

	stage_came(s, rule(s, result) ? GUARD_RAN : GUARD_REFUSED);
}

/* Who is not shown everything has failed. */
static void
came_plain(void *arg, bool is_fine)
{
	struct guard_stream *s = arg;
	enum guard_run came;

	s->job = NULL;
	s->all->check.phase = LZ_RESPONSE;
	if (is_fine)
		came = ask(s);
	else
		came = rule(s, LZ_E_NOMEM) ? GUARD_RAN : GUARD_REFUSED;
	if (came != GUARD_WAITS)
		stage_came(s, came);
}

/* Much that is new, or held, is folded in the pool. */
static enum guard_run
show_and_ask(struct guard_stream *s)
{
	if (s->all->r->worker->pool == NULL || !plain_is_much(&s->texts))
		return ask(s);
	s->job = plain_texts(s->all, &s->texts, came_plain, s);
	return s->job != NULL ? GUARD_WAITS : GUARD_REFUSED;
}

static enum guard_run
go(struct guard_stream *s)
{
	enum guard_run ran;

	for (; s->at < s->stages; s->at++) {
		struct guard *g = s->stage[s->at];

		if (only_watches(g) && !let_through(s))
			return out_of_memory(s);
		if (!s->is_out[s->at] && is_held_whole(g) && waits_for_too_much(s) &&
		    !leave_out(s))
			return GUARD_REFUSED;
		if (s->is_out[s->at] && !pass_by(s))
			return out_of_memory(s);
		if (s->is_out[s->at] || (is_held_whole(g) && !s->is_end))
			continue;
		if (!show_stage(s))
			return out_of_memory(s);
		if (s->texts.count == 0 && settle_pieces(s))
			continue;
		ran = show_and_ask(s);
		if (ran != GUARD_RAN)
			return ran;
	}
	return deliver(s) ? GUARD_RAN : out_of_memory(s);
}

enum guard_run
guard_stream_run(struct guard_stream *s, bool is_end)
{
	enum guard_run ran;

	if (s->is_under_way && !s->has_come)
		return GUARD_WAITS;
	if (!s->is_under_way) {
		s->at = 0;
		s->is_end = is_end;
		if (!begin_showing(s) || !take_in(s, is_end))
			return out_of_memory(s);
	}
	ran = s->has_come && s->came == GUARD_REFUSED ? GUARD_REFUSED : go(s);
	s->is_under_way = ran == GUARD_WAITS;
	s->has_come = false;
	return ran;
}
