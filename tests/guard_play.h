/* guard_play.h - a stream through a chain of guardrails, read from bytes: which
 * guardrails there are, what the provider says, and where it is cut.
 *
 * The same is then said in one piece, and by a model of thirty lines. What reached the
 * caller and what reached the trace must be the same; where a guardrail blocked, what
 * came out before must be the beginning of what stood before the match.
 *
 * The includer has play_give_up().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_GUARD_PLAY_H
#define TESTS_GUARD_PLAY_H

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "guard/chain.h"
#include "plugin/host.h"

enum {
	PLAY_GUARDS = 4,
	PLAY_TEXT = 400,   /* characters */
	PLAY_OUT = 1 << 14 /* bytes that they may become */
};

enum play_act {
	PLAY_MASK,
	PLAY_REVEAL,
	PLAY_BLOCK,
	PLAY_FLAG,
	PLAY_HOLD, /* from c to X */
	PLAY_ACTS
};

struct play_rule {
	struct play *play;
	enum play_act act;
	char word[4], with[4];
	bool is_late; /* it says so later */
	lz_guardrail table;
	struct part part;
	struct component component;
};

struct play {
	struct play_rule rule[PLAY_GUARDS];
	struct guardrail row[PLAY_GUARDS];
	size_t rules;
	char text[4 * PLAY_TEXT];
	size_t len;
	uint8_t cuts[PLAY_TEXT];
	size_t cut_count;
	unsigned checks;
};

struct play_result {
	char client[PLAY_OUT], trace[PLAY_OUT];
	size_t client_len, trace_len;
	bool is_blocked;
};

static void play_give_up(const char *why);

static lz_host play_host;
static struct plugin play_plugin = { .name = "test.play" };
static struct loop *play_loop;

/* ---- the guardrail ---- */

static inline bool
play_begins_like(const char *word, const char *p, size_t n)
{
	size_t len = strlen(word);

	return memcmp(word, p, n < len ? n : len) == 0;
}

static inline int32_t
play_found(const struct play_rule *g, lz_call *c, size_t i, size_t at)
{
	size_t to = at + strlen(g->word);

	play_host.reason(c, STR_LIT("play.word"), STR_NONE);
	switch (g->act) {
	case PLAY_MASK:
		return play_host.replace(c, i, at, to, lz_strz(g->with));
	case PLAY_REVEAL:
		return play_host.reveal(c, i, at, to, lz_strz(g->with));
	case PLAY_BLOCK:
		return LZ_BLOCK;
	default:
		return LZ_FLAG;
	}
}

static inline int32_t
play_hold(lz_call *c, size_t i, const lz_text *t)
{
	const char *p = t->text.ptr + t->seen, *end = t->text.ptr + t->text.len;

	while (p < end && (p = memchr(p, 'c', (size_t)(end - p))) != NULL) {
		const char *x = memchr(p, 'X', (size_t)(end - p));

		if (x == NULL)
			return play_host.hold(c, i, (size_t)(p - t->text.ptr));
		p = x + 1;
	}
	return LZ_OK;
}

static inline int32_t
play_judge(const struct play_rule *g, lz_call *c)
{
	int32_t result = LZ_OK, one;

	for (size_t i = 0; i < play_host.texts(c); i++) {
		const lz_text *t = play_host.text(c, i);
		size_t end = t->text.len, len = strlen(g->word);

		if (t->seen > t->text.len)
			play_give_up("more was seen than is there");
		if (!text_is_edge(t->text, t->seen))
			play_give_up("a character was cut");
		if (g->act == PLAY_HOLD) {
			(void)play_hold(c, i, t);
			continue;
		}
		for (size_t at = t->seen; at < end; at++) {
			if (!play_begins_like(g->word, t->text.ptr + at, end - at))
				continue;
			if (end - at < len) {
				(void)play_host.hold(c, i, at);
				break;
			}
			one = play_found(g, c, i, at);
			if (one < LZ_OK || one == LZ_BLOCK)
				return one;
			result = one > result ? one : result;
			at += len - 1;
		}
	}
	return result;
}

static inline void
play_later(lz_call *c, int32_t error, void *ud)
{
	if (error == LZ_OK)
		(void)play_host.finish(c, play_judge(ud, c));
}

static inline int32_t
play_check(void *self, lz_call *c)
{
	struct play_rule *g = self;

	g->play->checks++;
	if (!g->is_late)
		return play_judge(g, c);
	return play_host.after(c, 0, play_later, g) == LZ_OK ? LZ_PENDING : LZ_E_FAIL;
}

/* ---- read from bytes ---- */

struct play_bytes {
	const uint8_t *p;
	size_t left;
};

static inline uint8_t
play_byte(struct play_bytes *b)
{
	if (b->left == 0)
		return 0;
	b->left--;
	return *b->p++;
}

static inline void
play_word(struct play_bytes *b, char out[4], size_t least)
{
	uint8_t x = play_byte(b);
	size_t n = least + x % (4 - least);

	for (size_t i = 0; i < n; i++)
		out[i] = (char)('a' + (x >> (2 + 2 * i) & 3) % 3);
	out[n] = '\0';
}

static inline void
play_rule_read(struct play *p, struct play_bytes *b, size_t i)
{
	struct play_rule *g = &p->rule[i];
	struct guardrail *row = &p->row[i];
	uint8_t x = play_byte(b), y = play_byte(b);

	g->play = p;
	g->act = x % PLAY_ACTS;
	g->is_late = (x & 0x40) != 0;
	play_word(b, g->word, 1);
	play_word(b, g->with, 0);
	g->table = (lz_guardrail){ .size = sizeof(g->table),
		.phases = LZ_RESPONSE,
		.streams = 1,
		.context = y & 3,
		.overlap = y >> 2 & 3,
		.check = play_check };
	g->component.info.name = g->component.info.kind = "guardrail";
	g->component.info.component = &g->component;
	g->component.plugin = &play_plugin;
	g->component.table.guardrail = g->table;
	g->part.info = &g->component.info;
	g->part.instance = g;
	row->name = STR_LIT("play");
	row->part = &g->part;
	row->info = &g->component.info;
	row->phases = LZ_RESPONSE;
	row->is_default = true;
	row->deadline_ms = 10000;
	row->is_monitor = (y & 0x30) == 0x30;
	row->stream = (y & 0xc0) == 0xc0   ? GUARDRAIL_AFTER
		      : (y & 0xc0) == 0x80 ? GUARDRAIL_HOLD
					   : GUARDRAIL_PIECES;
}

/* The characters, and behind which of them the provider takes a breath: a bit says that
 * it does, another that it does so while a guardrail is waited for. */
static inline void
play_read(struct play *p, const uint8_t *data, size_t size)
{
	static const char *const characters[] = { "a", "b", "c", "a", "b", "X",
		"\xc3\xa9", "\xe2\x80\xae" };
	struct play_bytes b = { data, size };

	memset(p, 0, sizeof(*p));
	p->rules = 1 + play_byte(&b) % PLAY_GUARDS;
	for (size_t i = 0; i < p->rules; i++)
		play_rule_read(p, &b, i);
	while (b.left > 0 && p->cut_count < PLAY_TEXT) {
		uint8_t x = play_byte(&b);
		const char *c = characters[x & 7];

		memcpy(p->text + p->len, c, strlen(c));
		p->len += strlen(c);
		p->cuts[p->cut_count++] = x >> 3;
	}
}

/* ---- played ---- */

struct playing {
	struct play_result *result;
	bool goes_on;
};

static inline void
play_append(char *out, size_t *len, lz_str s)
{
	if (*len + s.len > PLAY_OUT)
		play_give_up("more came out than can have");
	if (s.len > 0)
		memcpy(out + *len, s.ptr, s.len);
	*len += s.len;
}

static inline void
play_text(void *arg, unsigned choice, lz_str member, lz_str text, lz_str for_trace)
{
	struct play_result *r = ((struct playing *)arg)->result;

	if (choice != 0 || !str_is(member, "content"))
		play_give_up("it came out elsewhere");
	play_append(r->client, &r->client_len, text);
	play_append(r->trace, &r->trace_len, for_trace);
}

static inline void
play_go_on(void *arg)
{
	((struct playing *)arg)->goes_on = true;
	loop_stop(play_loop);
}

static const struct guard_stream_ops play_ops = { play_text, NULL, play_go_on };

/* Says one more piece. Where in the text it ends. */
static inline size_t
play_say(
    const struct play *p, struct guard_stream *s, size_t *at, size_t from, bool is_whole)
{
	size_t to = from;

	while (to < p->len) {
		bool is_cut = !is_whole && (p->cuts[*at] & 1) != 0;

		for (to++; to < p->len && ((unsigned char)p->text[to] & 0xc0) == 0x80;)
			to++;
		++*at;
		if (is_cut)
			break;
	}
	if (!guard_stream_text(
		s, 0, STR_LIT("content"), lz_strn(p->text + from, to - from)))
		play_give_up("text was not taken");
	return to;
}

static inline void
play_run(struct play *p, bool is_whole, struct play_result *out)
{
	struct config config = { .guardrail = p->row, .guardrail_count = p->rules };
	struct worker worker = { .loop = play_loop };
	struct request r = { .config = &config, .worker = &worker };
	struct playing playing = { out, false };
	struct guard_stream *s;
	enum guard_run ran = GUARD_RAN;
	size_t at = 0, from = 0;
	bool is_end = false;

	memset(out, 0, sizeof(*out));
	config.limits.answer_bytes = 4 << 20;
	r.arena = arena_new(REQUEST_ARENA_BYTES);
	if (guard_choose(&r, NULL, 0) != STEP_NEXT)
		play_give_up("no guardrails");
	s = guard_stream_new(&r, &play_ops, &playing);
	if (s == NULL)
		play_give_up("no stream");
	do {
		if (from < p->len && (ran == GUARD_RAN || (p->cuts[at] & 2) != 0))
			from = play_say(p, s, &at, from, is_whole);
		if (from == p->len && (p->cut_count & 1) != 0)
			guard_stream_final(s, 0);
		if (ran == GUARD_WAITS) {
			playing.goes_on = false;
			loop_run(play_loop);
			if (!playing.goes_on)
				play_give_up("it was not told to go on");
		} else {
			is_end = from == p->len;
		}
		ran = guard_stream_run(s, is_end);
	} while (ran != GUARD_REFUSED && !(ran == GUARD_RAN && is_end));
	out->is_blocked = ran == GUARD_REFUSED;
	if (out->is_blocked != (r.fault == FAULT_CONTENT_POLICY) ||
	    (!out->is_blocked && r.fault != FAULT_NONE))
		play_give_up("it was refused for another reason");
	if (!out->is_blocked && guard_stream_holds(s, 0))
		play_give_up("something is still held");
	guard_stream_free(s);
	guard_end(&r);
	guard_free(&r);
	if (r.holds != 0)
		play_give_up("a visit is left");
	arena_free(r.arena);
}

/* ---- the model ---- */

static inline bool
play_watches(const struct guardrail *row)
{
	return row->is_monitor || row->stream == GUARDRAIL_AFTER;
}

/* What the rules in front of `stop` make of it, from the last on, as guardrails see it.
 * How many of its bytes stand before what is blocked, SIZE_MAX: nothing is. */
static inline size_t
play_model(const struct play *p, size_t from, char *text, size_t *len)
{
	for (size_t i = from; i-- > 0;) {
		const struct play_rule *g = &p->rule[i];
		size_t n = strlen(g->word), m = strlen(g->with), put = 0;
		static char out[PLAY_OUT];

		if (play_watches(&p->row[i]) ||
		    (g->act != PLAY_MASK && g->act != PLAY_BLOCK))
			continue;
		for (size_t at = 0; at < *len;) {
			if (*len - at < n || memcmp(text + at, g->word, n) != 0) {
				out[put++] = text[at++];
				continue;
			}
			if (g->act == PLAY_BLOCK) {
				*len = at;
				(void)play_model(p, i, text, len);
				return *len;
			}
			if (put + m > PLAY_OUT)
				play_give_up("the model made too much");
			memcpy(out + put, g->with, m);
			put += m;
			at += n;
		}
		memcpy(text, out, put);
		*len = put;
	}
	return SIZE_MAX;
}

static inline void
play_compare(struct play *p)
{
	static struct play_result cut, whole;
	static char model[PLAY_OUT];
	size_t len = p->len, blocked;

	memcpy(model, p->text, p->len);
	blocked = play_model(p, p->rules, model, &len);
	play_run(p, true, &whole);
	play_run(p, false, &cut);
	if (cut.is_blocked != whole.is_blocked || cut.is_blocked != (blocked != SIZE_MAX))
		play_give_up("one of them was blocked");
	if (!cut.is_blocked &&
	    (cut.trace_len != len || memcmp(cut.trace, model, len) != 0))
		play_give_up("another text came out than the model says");
	if (!cut.is_blocked && (cut.client_len != whole.client_len ||
				   memcmp(cut.client, whole.client, cut.client_len) != 0))
		play_give_up("the cut stream is not the whole one");
	if (cut.is_blocked &&
	    (cut.trace_len > len || memcmp(cut.trace, model, cut.trace_len) != 0))
		play_give_up("something of what was blocked came out");
}

/* ---- set up ---- */

static inline void
play_set_up(void)
{
	struct err e;

	if (play_loop != NULL)
		return;
	log_set_level(LOG_LEVEL_ERROR + 1);
	json_start();
	loop_start();
	play_loop = loop_new(&e);
	if (play_loop == NULL)
		play_give_up("no loop");
	host_fill(&play_host, &play_plugin);
}

#endif
