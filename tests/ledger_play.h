/* ledger_play.h - plays a sequence of operations, decoded from bytes, on the real ledger
 * and on the model in ledger_model.h, and compares the two.
 *
 * The real one is all that money crosses in the gateway: keys and their reload, the
 * stage's reserve, top-up and settle, the ledger, two workers' spools, the storage
 * thread's mover, the database, recovery; or, where a play has no books, the plain
 * reading of the spools in ledger_plain.h in place of the last three. Only the provider
 * is missing: a byte says how an attempt ended. Time stands still but for the operations
 * that move it.
 *
 * What is checked: every admission and refusal; spent and reserved of every budget after
 * nearly every step; after each crash, that the database and a ledger loaded from it
 * know what the model knows; at the end, that every attempt was charged once and every
 * request traced once, and that nothing is reserved.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_LEDGER_PLAY_H
#define TESTS_LEDGER_PLAY_H

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "key/stage.h"
#include "ledger_model.h"
#include "ledger_plain.h"
#include "store/mover.h"
#include "store/recover.h"
#include "trace/trace.h"

enum {
	PLAY_KEYS = 2,
	PLAY_OWNERS = 4, /* who has two budgets each: the keys, an assistant that the
			    first serves, the organisation of both */
	PLAY_WORKERS = 2,
	PLAY_SLOTS = 12,
	PLAY_REQUESTS = 256,
	PLAY_BOOK_PLAYS = 32, /* then a new database: a start reads all that it holds */
	PLAY_PROMPT_TOKENS = 100,
	PLAY_INPUT_PRICE = 1000, /* nano-EUR a token */
	PLAY_OUTPUT_PRICE = 4000
};

static const int64_t play_day_ms = INT64_C(86400000);
static const int64_t play_start_ms = INT64_C(1793318400000); /* 2026-10-30T00:00:00Z */
static const enum key_period play_kinds[MODEL_BUDGETS] = { PERIOD_MONTH, PERIOD_DAY,
	PERIOD_MONTH, PERIOD_WEEK, PERIOD_WEEK, PERIOD_DAY, PERIOD_MONTH, PERIOD_DAY };
enum {
	PLAY_ASSISTANT = PLAY_KEYS,
	PLAY_ORGANIZATION
};

/* What happened, so that a test can tell that something did. */
enum play_tally {
	PLAY_ADMITTED,
	PLAY_REFUSED_WAIT,
	PLAY_REFUSED_SPENT,
	PLAY_REFUSED_STORAGE,
	PLAY_REFUSED_OWNER, /* its organisation or its assistant is not there */
	PLAY_BOUND_ABOVE,   /* refused although the key's own budgets had room */
	PLAY_FAILED_OVER,
	PLAY_OVERSPENT,
	PLAY_TOPPED_UP,
	PLAY_CRASHED,
	PLAY_LOST_OPEN, /* attempts that a crash found open */
	PLAY_ROLLED,    /* periods that began */
	PLAY_TALLIES
};

/* One request on its way. */
struct play_slot {
	struct request r;
	struct exchange x;
	int number; /* of the play; -1: free */
	struct model_attempt *at[REQUEST_ATTEMPTS];
	bool waits; /* at the barrier, with the attempt at hand */
};

struct play_request {
	bool is_trace_put, is_traced; /* is_traced: written, or made by recovery */
	unsigned worker;
};

static struct {
	const uint8_t *p, *end;
	bool is_told;   /* prints what it does */
	bool has_books; /* a database behind the spools, which are files */
	int step;
	long tally[PLAY_TALLIES];
	int64_t now_ms;
	unsigned long number; /* of the play: its names are its own */
	struct play_slot slot[PLAY_SLOTS];
	struct play_request request[PLAY_REQUESTS];
	int requests;
	bool device_fails, device_is_short, has_failed[PLAY_WORKERS];
	bool is_there[PLAY_OWNERS];
	char scope[PLAY_OWNERS][96]; /* of its budgets: "key:" and an id */
	uint64_t boot;

	/* the real one */
	struct loop *loop, *lasting_loop; /* of every play without books */
	struct ledger *ledger;
	struct budget *budget[MODEL_BUDGETS];
	struct keys *keys; /* NULL: only the ledger was started */
	struct worker worker[PLAY_WORKERS];
	struct mover mover;
	struct db *db;
	char dir[64], spool_dir[80];
	long book_plays, book_charges, book_traces;
} play;

static struct config play_config;
static struct provider play_provider;
static struct model_facts play_facts;
static struct target play_target;
static struct candidate play_candidate;
static struct io_calls play_system_io;

/* The includer's: tells and does not return. */
static void play_give_up(const char *why);

/* Not where it is asked: the text would make room on the stack of every function. */
__attribute__((noinline, cold)) static void
play_differs(const char *what)
{
	char why[400];

	(void)snprintf(why, sizeof why,
	    "step %d, %s books: %s; LATENZA_PLAY_TOLD=1 tells the way", play.step,
	    play.has_books ? "with" : "without", what);
	play_give_up(why);
}

#define PLAY_MUST(condition)                                                             \
	do {                                                                             \
		if (!(condition))                                                        \
			play_differs(#condition);                                        \
	} while (0)

#define PLAY_SAY(...)                                                                    \
	do {                                                                             \
		if (play.is_told) {                                                      \
			(void)fprintf(stderr, "%4d ", play.step);                        \
			(void)fprintf(stderr, __VA_ARGS__);                              \
			(void)fputc('\n', stderr);                                       \
		}                                                                        \
	} while (0)

/* ---- bytes ---- */

static inline unsigned
play_byte(void)
{
	return play.p < play.end ? *play.p++ : 0;
}

static inline int64_t
play_number(void)
{
	unsigned high = play_byte();

	return (int64_t)high << 8 | play_byte();
}

/* ---- time ---- */

static inline void
play_clock(struct moment *m)
{
	*m = (struct moment){ .mono_us = play.now_ms * 1000, .unix_ms = play.now_ms };
}

static inline void
play_stop_loop(void *arg)
{
	loop_stop(arg);
}

static inline void
play_turn_loop(void)
{
	struct loop_task task;

	loop_post(play.loop, &task, play_stop_loop, play.loop);
	loop_run(play.loop);
}

static inline int
play_digits(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		if (*text >= '0' && *text <= '9')
			n = n * 10 + (*text - '0');
	return n;
}

static inline const struct model_label *
play_label(int kind)
{
	static struct model_label label[PERIOD_KINDS];
	static int64_t of_day[PERIOD_KINDS];
	time_t seconds = (time_t)(play.now_ms / 1000);
	struct model_label *out = &label[kind];
	struct tm tm;

	if (of_day[kind] == play.now_ms / play_day_ms)
		return out;
	of_day[kind] = play.now_ms / play_day_ms;
	(void)gmtime_r(&seconds, &tm);
	if (kind == PERIOD_DAY)
		(void)strftime(out->text, MODEL_LABEL, "day:%Y-%m-%d", &tm);
	else if (kind == PERIOD_WEEK)
		(void)strftime(out->text, MODEL_LABEL, "week:%G-W%V", &tm);
	else
		(void)strftime(out->text, MODEL_LABEL, "month:%Y-%m", &tm);
	out->order = play_digits(out->text);
	return out;
}

/* ---- the device ---- */

static inline ssize_t
play_write(int fd, const void *p, size_t n)
{
	struct stat st;

	/* The loop's wake-ups go through here as well. */
	if (!play.device_fails ||
	    (plain_file(fd) == NULL && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))))
		return play_system_io.write(fd, p, n);
	if (play.device_is_short && n > 1) {
		play.device_is_short = false;
		return play_system_io.write(fd, p, n / 2);
	}
	errno = ENOSPC;
	return -1;
}

/* ---- budgets ---- */

static inline int
play_first_budget(int owner)
{
	return owner * 2;
}

static inline const char *
play_scope(int b)
{
	return play.scope[b / 2];
}

/* As the gateway knows it: of an assistant, its organisation's name and its own. */
static inline lz_str
play_id(int owner)
{
	return lz_strz(strchr(play.scope[owner], ':') + 1);
}

static inline const char *
play_assistant_name(void)
{
	return strchr(play.scope[PLAY_ASSISTANT], '/') + 1;
}

static inline struct budget *
play_budget(int b)
{
	if (play.budget[b] != NULL)
		return play.budget[b];
	play.budget[b] =
	    ledger_budget(play.ledger, lz_strz(play_scope(b)), play_kinds[b], NULL);
	PLAY_MUST(play.budget[b] != NULL);
	return play.budget[b];
}

/* Looks at one budget on both sides. */
static inline void
play_look(int b)
{
	struct model_budget *want = &model.budget[b];
	const struct model_period *p = model_at(want, play_label(want->kind));
	struct budget_view v;

	ledger_view(play_budget(b), play.now_ms, &v);
	if (v.spent_nano_eur != p->spent || v.reserved_nano_eur != p->held ||
	    v.limit_nano_eur != want->limit)
		(void)fprintf(stderr,
		    "budget %d, %s: limit %lld, spent %lld, reserved %lld; the model "
		    "says %lld, %lld, %lld\n",
		    b, p->label.text, (long long)v.limit_nano_eur,
		    (long long)v.spent_nano_eur, (long long)v.reserved_nano_eur,
		    (long long)want->limit, (long long)p->spent, (long long)p->held);
	PLAY_MUST(v.spent_nano_eur == p->spent);
	PLAY_MUST(v.reserved_nano_eur == p->held);
	PLAY_MUST(v.limit_nano_eur == want->limit);
}

static inline void
play_look_at_all(void)
{
	int64_t held = 0;

	for (int b = 0; b < MODEL_BUDGETS; b++) {
		play_look(b);
		for (int i = 0; i < model.budget[b].count; i++)
			held += model.budget[b].period[i].held;
	}
	PLAY_MUST(ledger_reserved_total(play.ledger) == held);
}

/* The settings of a key, an assistant, an organisation; made once, since making them took
 * longer than all that a play does with them. */
static struct {
	json_t *of[PLAY_OWNERS], *budgets[PLAY_OWNERS], *budget[MODEL_BUDGETS],
	    *organization, *assistant;
} play_json;

static inline void
play_make_settings(void)
{
	play_json.organization = json_string("");
	play_json.assistant = json_string("");
	for (int b = 0; b < MODEL_BUDGETS; b++) {
		play_json.budget[b] = json_pack("{s:s, s:f, s:[i, i]}", "period",
		    key_period_name(play_kinds[b]), "eur", 0.0, "alert_pct", 50, 80);
		PLAY_MUST(play_json.budget[b] != NULL);
	}
	for (int owner = 0; owner < PLAY_OWNERS; owner++) {
		play_json.budgets[owner] = json_array();
		play_json.of[owner] =
		    json_pack("{s:O}", "budgets", play_json.budgets[owner]);
		PLAY_MUST(play_json.of[owner] != NULL);
		if (owner < PLAY_KEYS)
			json_object_set(
			    play_json.of[owner], "organization", play_json.organization);
	}
	json_object_set(play_json.of[0], "assistant", play_json.assistant);
}

static inline void
play_free_settings(void)
{
	for (int owner = 0; owner < PLAY_OWNERS; owner++) {
		json_decref(play_json.of[owner]);
		json_decref(play_json.budgets[owner]);
	}
	for (int b = 0; b < MODEL_BUDGETS; b++)
		json_decref(play_json.budget[b]);
	json_decref(play_json.organization);
	json_decref(play_json.assistant);
}

static inline void
play_name_owners(void)
{
	unsigned long n = play.number;
	size_t room = sizeof play.scope[0];

	for (int key = 0; key < PLAY_KEYS; key++)
		(void)snprintf(play.scope[key], room, "key:k%d-%lu", key, n);
	(void)snprintf(play.scope[PLAY_ASSISTANT], room, "assistant:o-%lu/a-%lu", n, n);
	(void)snprintf(play.scope[PLAY_ORGANIZATION], room, "org:o-%lu", n);
	json_string_set(play_json.organization, play_id(PLAY_ORGANIZATION).ptr);
	json_string_set(play_json.assistant, play_assistant_name());
}

/* With the limits that the model has. */
static inline const json_t *
play_settings(int owner)
{
	json_t *list = play_json.budgets[owner];

	json_array_clear(list);
	for (int b = owner * 2; b < owner * 2 + 2; b++) {
		int64_t limit = model.budget[b].limit;

		if (limit < 0)
			continue;
		json_real_set(
		    json_object_get(play_json.budget[b], "eur"), (double)limit / 1e9);
		json_array_append(list, play_json.budget[b]);
	}
	return play_json.of[owner];
}

/* Makes it anew. */
static inline void
play_put(int owner)
{
	uint8_t hash[CRYPTO_HASH_BYTES] = { (uint8_t)(owner + 1) };
	const json_t *settings = play_settings(owner);
	struct key_wanted key = {
		.id = play_id(owner), .hash = hash, .settings = settings
	};
	struct profile_wanted profile = { .organization = play_id(PLAY_ORGANIZATION),
		.settings = settings };
	struct err e = { "" };
	enum status st;

	if (owner == PLAY_ASSISTANT)
		profile.assistant = lz_strz(play_assistant_name());
	if (owner < PLAY_KEYS)
		st = keys_put(play.keys, &key, &e);
	else
		st = profiles_put(keys_profiles(play.keys), &profile, &e);
	if (st != ST_OK)
		(void)fprintf(stderr, "%s\n", e.text);
	PLAY_MUST(st == ST_OK);
	play.is_there[owner] = true;
}

static inline void
play_remove(int owner)
{
	lz_str id = play_id(owner);

	PLAY_SAY("%s goes", play.scope[owner]);
	PLAY_MUST(
	    (owner < PLAY_KEYS ? keys_remove(play.keys, id)
			       : profiles_remove(keys_profiles(play.keys), id)) == ST_OK);
	play.is_there[owner] = false;
}

static inline int64_t
play_new_limit(void)
{
	unsigned byte = play_byte();

	if (byte < 24)
		return -1;
	return byte < 32 ? 0 : (int64_t)byte * 8000;
}

static inline void
play_reload(void)
{
	int owner = (int)(play_byte() % PLAY_OWNERS), b = play_first_budget(owner);

	if (play.is_there[owner] && play_byte() % 8 == 0) {
		play_remove(owner);
		return;
	}
	for (int i = b; i < b + 2; i++) {
		int64_t limit = play_new_limit();

		/* Who was removed left its limits to what it had under way. */
		if (limit >= 0 || play.is_there[owner])
			model.budget[i].limit = limit;
	}
	PLAY_SAY("owner %d: limits %lld, %lld", owner, (long long)model.budget[b].limit,
	    (long long)model.budget[b + 1].limit);
	play_put(owner);
}

/* ---- a request ---- */

static inline struct play_request *
play_of(const struct play_slot *s)
{
	return &play.request[s->number];
}

static inline void
play_free_slot(struct play_slot *s)
{
	key_let_go(&s->r);
	s->number = -1;
	s->waits = false;
}

/* Settled is settled: its trace, and the key's place in flight. */
static inline void
play_end_request(struct play_slot *s)
{
	struct record_trace t;

	trace_record(&s->r, &t);
	PLAY_MUST(spool_trace(s->r.worker->spool, &t) == ST_OK);
	play_of(s)->is_trace_put = true;
	key_release(&s->r);
	play_free_slot(s);
}

static inline struct key *
play_find_key(int key)
{
	return (struct key *)(uintptr_t)keys_get(play.keys, play_id(key));
}

/* false: what the key belongs to is not there, and the request was refused. */
static inline bool
play_begin(struct play_slot *s, int key)
{
	bool has_owners = play.is_there[PLAY_ORGANIZATION] &&
			  (key != 0 || play.is_there[PLAY_ASSISTANT]);
	struct key *k = play_find_key(key);

	struct arena *arena = s->r.arena;
	uint64_t number = play.number;

	s->number = play.requests++;
	arena_reset(arena);
	memset(&s->x, 0, sizeof s->x);
	memset(&s->r, 0, sizeof s->r);
	s->r.arena = arena;
	s->r.worker = &play.worker[(s - play.slot) % PLAY_WORKERS];
	*play_of(s) = (struct play_request){ .worker = s->r.worker->number };
	s->r.x = &s->x;
	s->r.config = &play_config;
	s->r.began = *loop_now(play.loop);
	s->r.max_tokens = -1;
	s->r.choices = 1;
	s->r.prompt_tokens = PLAY_PROMPT_TOKENS;
	s->r.prompt_bound = 400;
	s->r.rate_limit = -1;
	s->r.model = STR_LIT("gpt-4o");
	memcpy(s->r.id, &number, sizeof number);
	memcpy(s->r.id + 8, &s->number, sizeof s->number);
	(void)snprintf(s->r.id_hex, sizeof s->r.id_hex, "%lu-%d", play.number, s->number);
	key_ref(k);
	if (key_take(&s->r, k) == STEP_NEXT) {
		PLAY_MUST(has_owners);
		return true;
	}
	PLAY_MUST(!has_owners && s->r.fault == FAULT_INVALID_KEY && s->r.key == NULL);
	key_unref(k);
	play.tally[PLAY_REFUSED_OWNER]++;
	play.requests--; /* nobody hears of it but the caller */
	s->number = -1;
	return false;
}

static inline bool
play_binds(const struct key_terms *t, int b)
{
	for (size_t i = 0; i < t->budget_count; i++)
		if (t->budget[i] == play_budget(b))
			return true;
	return false;
}

/* What the model says of a reservation, and where it would stand. */
static inline enum model_verdict
play_model_reserve(
    const struct key_terms *t, struct model_attempt *m, int request, int64_t nano)
{
	enum model_verdict all = MODEL_ADMITS, keys = MODEL_ADMITS, one;

	*m = (struct model_attempt){ .request = request, .bound = nano };
	for (int b = 0; b < MODEL_BUDGETS; b++) {
		if (!play_binds(t, b))
			continue;
		play_look(b);
		m->in[m->count] = &model.budget[b].period[model.budget[b].at];
		one = model_judge(&model.budget[b], m->in[m->count], nano);
		m->count++;
		all |= one;
		if (b / 2 < PLAY_KEYS)
			keys |= one;
	}
	play.tally[PLAY_BOUND_ABOVE] += all != MODEL_ADMITS && keys == MODEL_ADMITS;
	return all;
}

static inline bool
play_is_verdict(enum step step, enum fault fault, enum model_verdict want)
{
	if (want == MODEL_ADMITS)
		return step == STEP_BARRIER;
	/* Two budgets may refuse for two reasons; either is true. */
	return step == STEP_FAULT &&
	       (((want & MODEL_WAIT) != 0 && fault == FAULT_BUDGET_RESERVED) ||
		   ((want & MODEL_SPENT) != 0 && fault == FAULT_BUDGET_SPENT));
}

/* The next attempt of a request, the first or after a failed one. */
static inline void
play_attempt(struct play_slot *s)
{
	struct model_attempt *m = &model.attempt[model.attempts];
	struct attempt *a = &s->r.attempt[s->r.attempt_count];
	int64_t bound = play_number() * 8, input = bound / (1 + play_byte() % 8);
	enum model_verdict want = play_model_reserve(s->r.terms, m, s->number, bound);
	enum step step;

	*a = (struct attempt){ .number = s->r.attempt_count++,
		.candidate = &play_candidate,
		.target = &play_target,
		.bound_nano_eur = bound,
		.input_nano_eur = input,
		.output_bound = 500,
		.cost_nano_eur = -1 };
	m->input = input;
	step = key_reserve(&s->r);
	PLAY_SAY("request %d, attempt %u: %lld of which input %lld: step %d, fault %d",
	    s->number, a->number, (long long)bound, (long long)input, (int)step,
	    (int)s->r.fault);
	if (step == STEP_FAULT && s->r.fault == FAULT_STORAGE_FULL) {
		PLAY_MUST(want == MODEL_ADMITS && play.has_failed[s->r.worker->number]);
		want = MODEL_WAIT;
		play.tally[PLAY_REFUSED_STORAGE]++;
	} else {
		PLAY_MUST(play_is_verdict(step, s->r.fault, want));
		play.tally[want == MODEL_ADMITS               ? PLAY_ADMITTED
			   : s->r.fault == FAULT_BUDGET_SPENT ? PLAY_REFUSED_SPENT
							      : PLAY_REFUSED_WAIT]++;
	}
	if (want != MODEL_ADMITS) {
		s->r.attempt_count--;
		play_end_request(s);
		return;
	}
	model.attempts++;
	s->at[a->number] = m;
	m->is_open = true;
	model_hold(m, bound);
	s->waits = true;
}

static inline void
play_new_request(struct play_slot *s)
{
	int key = (int)(play_byte() % PLAY_KEYS);
	bool is_spent = false;
	enum step step;

	if (!play.is_there[key] || play.requests == PLAY_REQUESTS ||
	    model.attempts == MODEL_ATTEMPTS)
		return;
	if (!play_begin(s, key))
		return;
	for (int b = 0; b < MODEL_BUDGETS; b++) {
		struct model_budget *m = &model.budget[b];

		if (!play_binds(s->r.terms, b))
			continue;
		play_look(b);
		is_spent |= m->limit >= 0 && m->period[m->at].spent >= m->limit;
	}
	step = key_admit(&s->r);
	PLAY_SAY("request %d of key %d: step %d", s->number, key, (int)step);
	PLAY_MUST((step == STEP_FAULT) == is_spent);
	if (is_spent) {
		PLAY_MUST(s->r.fault == FAULT_BUDGET_SPENT);
		play_end_request(s);
		return;
	}
	play_attempt(s);
}

/* ---- how attempts end ---- */

static inline int64_t
play_uncertain(int64_t bound, int64_t input)
{
	switch (play_config.ledger_uncertain) {
	case DB_UNCERTAIN_BOUND:
		return bound;
	case DB_UNCERTAIN_ZERO:
		return 0;
	default:
		return input;
	}
}

static inline int64_t
play_uncertain_lost(const struct model_attempt *m)
{
	return play_uncertain(m->bound_written, m->input);
}

static inline int64_t
play_price(int64_t input, int64_t output)
{
	return input * PLAY_INPUT_PRICE + output * PLAY_OUTPUT_PRICE;
}

enum play_end {
	PLAY_SAID_USAGE,
	PLAY_SAID_NOTHING, /* delivered, without usage */
	PLAY_EMPTY,        /* a whole answer of nothing, without usage */
	PLAY_USED_NOTHING, /* usage of zero: a value */
	PLAY_LIED,         /* usage below zero */
	PLAY_LIMITED,      /* 429 */
	PLAY_BROKE,        /* 500 */
	PLAY_GATEWAY,      /* 502: nobody knows */
	PLAY_SILENT,       /* sent, and nothing came */
	PLAY_UNSENT,
	PLAY_ENDS
};

/* Writes the end into the attempt; returns what it owes. */
static inline int64_t
play_end_attempt(struct attempt *a, const struct model_attempt *m, enum play_end end)
{
	int64_t in = play_byte(), out = play_byte();

	a->was_sent = end != PLAY_UNSENT;
	a->end = "ok";
	a->status = 200;
	switch (end) {
	case PLAY_SAID_USAGE:
	case PLAY_USED_NOTHING:
		a->has_usage = true;
		if (end == PLAY_USED_NOTHING)
			return 0;
		a->usage.input = in;
		a->usage.output = out;
		return play_price(in, out);
	case PLAY_SAID_NOTHING:
		a->delivered_bytes = 1 + out;
		a->delivered_events = 1;
		return play_price(PLAY_PROMPT_TOKENS, (1 + out + 3) / 4);
	case PLAY_EMPTY:
		return play_price(PLAY_PROMPT_TOKENS, 0);
	case PLAY_LIED:
		a->has_usage = true;
		a->usage.input = -1 - in;
		a->usage.output = out;
		return play_price(PLAY_PROMPT_TOKENS, out);
	default:
		break;
	}
	a->end = "failed";
	a->status = end == PLAY_LIMITED   ? 429
		    : end == PLAY_BROKE   ? 500
		    : end == PLAY_GATEWAY ? 502
					  : 0;
	return end == PLAY_GATEWAY || end == PLAY_SILENT
		   ? play_uncertain(m->bound, m->input)
		   : 0;
}

/* Ends the attempt at hand: the request goes on with another provider, or ends. */
static inline void
play_settle(struct play_slot *s)
{
	struct attempt *a = request_attempt(&s->r);
	struct model_attempt *m = s->at[a->number];
	enum play_end end = (enum play_end)(play_byte() % PLAY_ENDS);
	bool fails_over = play_byte() % 2 == 0 && end >= PLAY_LIMITED && !s->waits &&
			  s->r.attempt_count < REQUEST_ATTEMPTS &&
			  model.attempts < MODEL_ATTEMPTS;
	int64_t owes;

	/* A client that leaves while its reservation waits to be written: nothing was
	 * sent. */
	if (s->waits) {
		end = PLAY_UNSENT;
		s->waits = false;
	}
	owes = play_end_attempt(a, m, end);
	PLAY_SAY("request %d, attempt %u ends (%d), owes %lld%s", s->number, a->number,
	    (int)end, (long long)owes, fails_over ? ", fails over" : "");
	key_settle(&s->r, a);
	PLAY_MUST(!a->is_open && a->cost_nano_eur == owes);
	key_settle(&s->r, a); /* again: nothing happens */
	play.tally[PLAY_OVERSPENT] += owes > m->held;
	play.tally[PLAY_FAILED_OVER] += fails_over;
	model_settle(m, owes);
	if (fails_over)
		play_attempt(s);
	else
		play_end_request(s);
}

static inline void
play_top_up(struct play_slot *s)
{
	struct attempt *a = request_attempt(&s->r);
	struct model_attempt *m = s->at[a->number];
	int64_t nano = play_number() * 2;
	bool want = true, did;

	for (int i = 0; i < m->count; i++)
		for (int b = 0; b < MODEL_BUDGETS; b++)
			if (m->in[i] >= model.budget[b].period &&
			    m->in[i] < model.budget[b].period + MODEL_PERIODS)
				want &= model_judge(&model.budget[b], m->in[i], nano) ==
					MODEL_ADMITS;
	PLAY_SAY("request %d: %lld more", s->number, (long long)nano);
	did = key_top_up(&s->r, nano);
	PLAY_MUST(did == want || (want && play.has_failed[s->r.worker->number]));
	if (!did)
		return;
	play.tally[PLAY_TOPPED_UP]++;
	model_hold(m, nano);
	m->bound += nano;
}

/* ---- writing ---- */

static inline bool
play_is_of(const struct model_attempt *m, unsigned worker)
{
	return play.request[m->request].worker == worker;
}

static inline void
play_note_written(unsigned worker)
{
	play.has_failed[worker] = false;
	for (int i = 0; i < model.attempts; i++) {
		struct model_attempt *m = &model.attempt[i];

		if (!play_is_of(m, worker))
			continue;
		m->is_reserve_written |= !m->is_reserve_dropped;
		m->bound_written = m->bound;
		m->is_settle_written |= m->is_settled;
	}
	for (int i = 0; i < play.requests; i++)
		if (play.request[i].worker == worker)
			play.request[i].is_traced |= play.request[i].is_trace_put;
	for (int i = 0; i < PLAY_SLOTS; i++)
		if (play.slot[i].r.worker->number == worker)
			play.slot[i].waits = false;
}

/* The reservations are forgotten, and who waits for them is refused. */
static inline void
play_note_failed(unsigned worker)
{
	play.has_failed[worker] = true;
	for (int i = 0; i < model.attempts; i++)
		if (play_is_of(&model.attempt[i], worker) &&
		    !model.attempt[i].is_reserve_written)
			model.attempt[i].is_reserve_dropped = true;
	for (int i = 0; i < PLAY_SLOTS; i++) {
		struct play_slot *s = &play.slot[i];

		if (!s->waits || s->r.worker->number != worker)
			continue;
		PLAY_MUST(key_reserve_failed(&s->r) == STEP_FAULT);
		PLAY_MUST(s->r.fault == FAULT_STORAGE_FULL);
		model_settle(s->at[request_attempt(&s->r)->number], 0);
		s->at[request_attempt(&s->r)->number]->is_settled = false;
		play_end_request(s);
	}
}

static inline void
play_flush(unsigned worker)
{
	bool has_work = spool_has_unwritten(play.worker[worker].spool);
	enum status st;

	if (has_work)
		spool_retry(play.worker[worker].spool);
	st = spool_flush(play.worker[worker].spool);
	PLAY_SAY("worker %u writes: %s", worker, status_name(st));
	PLAY_MUST((st != ST_OK) == (play.device_fails && has_work));
	if (st == ST_OK && has_work)
		play_note_written(worker);
	else if (st != ST_OK)
		play_note_failed(worker);
}

static inline void
play_break_device(void)
{
	play.device_fails = !play.device_fails;
	play.device_is_short = play_byte() % 2 == 0;
	/* The spool lets a reservation try every 100 ms. */
	PLAY_SAY("the device %s", play.device_fails ? "fails" : "works");
}

static inline void
play_move(void)
{
	struct err e = { "" };
	bool more = true;

	PLAY_SAY("the storage thread moves");
	if (!play.has_books)
		return;
	PLAY_MUST(mover_step(&play.mover, &more, &e) == ST_OK);
}

static inline void
play_move_clock(void)
{
	unsigned how = play_byte() % 8;
	int64_t by = how < 3   ? play_number()
		     : how < 5 ? play_day_ms * (1 + play_byte() % 9)
		     : how < 6 ? play_day_ms * 31
			       : -play_day_ms * (play_byte() % 40);

	play.now_ms += by;
	if (play.now_ms < play_start_ms - 60 * play_day_ms)
		play.now_ms = play_start_ms;
	if (play.now_ms > play_start_ms + 900 * play_day_ms)
		play.now_ms = play_start_ms;
	PLAY_SAY(
	    "the clock goes by %lld ms: %s", (long long)by, play_label(PERIOD_DAY)->text);
	play_turn_loop();
}

/* ---- a run of the gateway ---- */

static inline bool
play_load_spend(void *arg, lz_str scope, lz_str period, int64_t spent)
{
	char mark[32];
	size_t n = (size_t)snprintf(mark, sizeof mark, "-%lu", play.number);

	(void)arg;
	/* The book holds other plays, too. */
	if (scope.len > n && memcmp(scope.ptr + scope.len - n, mark, n) == 0)
		PLAY_MUST(ledger_load(play.ledger, scope, period, spent) == ST_OK);
	return true;
}

static inline void
play_open_spools(void)
{
	struct spool *spools[PLAY_WORKERS];
	struct err e = { "" };

	play.boot++;
	for (unsigned i = 0; i < PLAY_WORKERS; i++) {
		struct spool_options o = { .dir = play.has_books ? play.spool_dir
								 : PLAIN_DIR,
			.worker = i,
			.boot = play.boot,
			.segment_bytes = 4096,
			.buffer_bytes = 1 << 20 };

		spools[i] = spool_open(&o, &e);
		PLAY_MUST(spools[i] != NULL);
		play.worker[i] =
		    (struct worker){ .number = i, .loop = play.loop, .spool = spools[i] };
		play.has_failed[i] = false;
	}
	if (play.has_books) {
		play.mover = (struct mover){ .db = play.db, .dir = play.spool_dir };
		PLAY_MUST(mover_open(&play.mover, spools, PLAY_WORKERS, &e) == ST_OK);
	}
	for (int i = 0; i < PLAY_SLOTS; i++)
		play.slot[i].r.worker = &play.worker[i % PLAY_WORKERS];
}

static inline void
play_recover(void)
{
	struct err e = { "" };

	if (!play.has_books) {
		plain_recover(play_config.ledger_uncertain);
	} else if (recover_spool(play.db, play.spool_dir, play_config.ledger_uncertain,
		       &e) != ST_OK) {
		(void)fprintf(stderr, "%s\n", e.text);
		PLAY_MUST(!"the spool is recovered");
	}
}

static inline void
play_load(void)
{
	struct err e = { "" };

	if (play.has_books)
		PLAY_MUST(db_spend_each(play.db, play_load_spend, NULL, &e) == ST_OK);
	for (unsigned i = 0; !play.has_books && i < plain.sums; i++)
		(void)play_load_spend(NULL, lz_strz(plain.sum[i].scope),
		    lz_strz(plain.sum[i].period), plain.sum[i].spent_nano_eur);
}

static inline void
play_start_keys(void)
{
	static const uint8_t pepper[32];

	play.keys = keys_new(pepper, play.ledger, &play.loop, 1);
	for (int owner = 0; owner < PLAY_OWNERS; owner++)
		if (play.is_there[owner])
			play_put(owner);
}

/* As gateway.c does it: recovery, what was spent, keys. After the last act without books
 * nobody comes, and so only the ledger is started. */
static inline void
play_start(bool is_last)
{
	struct err e = { "" };

	play.loop = play.has_books ? loop_new(&e) : play.lasting_loop;
	PLAY_MUST(play.loop != NULL);
	play_turn_loop();
	play_recover();
	play.ledger = ledger_new();
	memset(play.budget, 0, sizeof play.budget);
	play_load();
	if (!is_last || play.has_books)
		play_start_keys();
	for (int b = 0; b < MODEL_BUDGETS; b++)
		ledger_set_limit(play_budget(b), model.budget[b].limit, NULL, 0);
	if (play.keys != NULL)
		play_open_spools();
}

/* What was not written is lost, as with kill -9. */
static inline void
play_lose_spools(void)
{
	bool did_fail = play.device_fails;

	if (play.has_books)
		mover_close(&play.mover);
	play.device_fails = true;
	play.device_is_short = false;
	for (int i = 0; i < PLAY_WORKERS; i++)
		spool_close(play.worker[i].spool);
	play.device_fails = did_fail;
}

static inline void
play_stop(void)
{
	if (play.keys != NULL)
		play_lose_spools();
	for (int i = 0; i < PLAY_SLOTS; i++)
		if (play.slot[i].number >= 0)
			play_free_slot(&play.slot[i]);
	keys_free(play.keys);
	play.keys = NULL;
	if (play.has_books)
		loop_free(play.loop);
	else
		loop_run_posted(play.loop);
	ledger_free(play.ledger);
}

/* What is written of a budget. */
static inline int64_t
play_spent(const char *scope, const char *period)
{
	struct err e = { "" };
	int64_t spent = -1;

	if (!play.has_books)
		return plain_spent(lz_strz(scope), lz_strz(period));
	PLAY_MUST(
	    db_spend_get(play.db, lz_strz(scope), lz_strz(period), &spent, &e) == ST_OK);
	return spent;
}

static inline void
play_check_period(const char *scope, const struct model_period *p)
{
	int64_t spent = play_spent(scope, p->label.text);

	if (spent != p->spent)
		(void)fprintf(stderr, "%s, %s: written is %lld, the model has %lld\n",
		    scope, p->label.text, (long long)spent, (long long)p->spent);
	PLAY_MUST(spent == p->spent);
}

static inline void
play_check_books(void)
{
	int64_t all = 0;

	for (int b = 0; b < MODEL_BUDGETS; b++) {
		for (int i = 0; i < model.budget[b].count; i++) {
			const struct model_period *p = &model.budget[b].period[i];

			all += p->spent;
			if (p->spent != 0 || play.has_books)
				play_check_period(play_scope(b), p);
		}
	}
	PLAY_MUST(play.has_books || plain_total() == all);
}

static inline void
play_crash(bool is_last)
{
	bool does_leap = play_byte() % 4 == 0;

	PLAY_SAY("kill -9");
	play.tally[PLAY_CRASHED]++;
	for (int i = 0; i < model.attempts; i++)
		play.tally[PLAY_LOST_OPEN] += model.attempt[i].is_open;
	play_stop();
	for (int i = 0; i < model.attempts; i++)
		play.request[model.attempt[i].request].is_traced |=
		    model.attempt[i].is_reserve_written ||
		    model.attempt[i].is_settle_written;
	for (int i = 0; i < play.requests; i++)
		play.request[i].is_trace_put = play.request[i].is_traced;
	if (does_leap)
		play.now_ms += ((int64_t)play_byte() - 100) * play_day_ms;
	play_start(is_last);
	model_crash(play_uncertain_lost, play_label);
	play_check_books();
	play_look_at_all();
	PLAY_MUST(ledger_reserved_total(play.ledger) == 0);
}

/* In order: all is settled, written, moved. */
static inline void
play_end_in_order(void)
{
	struct err e = { "" };
	bool more = true;

	play.device_fails = false;
	for (int i = 0; i < PLAY_SLOTS; i++)
		while (play.slot[i].number >= 0)
			play_settle(&play.slot[i]);
	PLAY_MUST(ledger_reserved_total(play.ledger) == 0);
	for (unsigned i = 0; i < PLAY_WORKERS; i++)
		play_flush(i);
	if (!play.has_books)
		return;
	while (more)
		PLAY_MUST(mover_step(&play.mover, &more, &e) == ST_OK);
	PLAY_MUST(mover_finish(&play.mover, &e) == ST_OK);
}

/* ---- the book: the database of some hundred plays ---- */

static inline int
play_remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st;
	(void)flag;
	(void)where;
	return remove(path);
}

/* Sums and rows of all its plays. */
static inline void
play_close_book(void)
{
	struct db_check check;
	struct err e = { "" };

	if (play.db == NULL)
		return;
	PLAY_MUST(db_check(play.db, &check, &e) == ST_OK);
	PLAY_MUST(check.first_problem[0] == '\0' && check.spend_differs == 0);
	PLAY_MUST(check.open_reservations == 0);
	PLAY_MUST(check.charges == play.book_charges);
	PLAY_MUST(check.traces == play.book_traces);
	db_close(play.db);
	play.db = NULL;
	(void)nftw(play.dir, play_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
play_open_book(void)
{
	char path[96];
	struct err e = { "" };

	play.book_plays = play.book_charges = play.book_traces = 0;
	(void)snprintf(play.dir, sizeof play.dir, "/dev/shm/latenza-play-XXXXXX");
	if (mkdtemp(play.dir) == NULL) {
		(void)snprintf(play.dir, sizeof play.dir, "/tmp/latenza-play-XXXXXX");
		PLAY_MUST(mkdtemp(play.dir) != NULL);
	}
	(void)snprintf(play.spool_dir, sizeof play.spool_dir, "%s/spool", play.dir);
	PLAY_MUST(mkdir(play.spool_dir, 0700) == 0);
	(void)snprintf(path, sizeof path, "%s/latenza.db", play.dir);
	play.db = db_open(path, DB_CREATE, &e);
	PLAY_MUST(play.db != NULL);
}

/* Once per process, before the first play. */
static inline void
play_set_up(void)
{
	setenv("TZ", "UTC0", 1); /* no file is asked */
	tzset();
	log_set_level(LOG_LEVEL_ERROR + 1);
	play.is_told = getenv("LATENZA_PLAY_TOLD") != NULL;
	plain_set_up();
	play_system_io = io;
	io.write = play_write;
	play.now_ms = play_start_ms;
	clock_set_source(play_clock);
	play_provider = (struct provider){ .name = STR_LIT("openai") };
	play_facts = (struct model_facts){ .id = STR_LIT("gpt-4o"),
		.context_window = 10000,
		.price_input = PLAY_INPUT_PRICE * 1000,
		.price_output = PLAY_OUTPUT_PRICE * 1000,
		.price_cache_read = -1,
		.price_cache_write = -1 };
	play_config = (struct config){ .fx_nano_eur_per_usd = 1000000000,
		.fx_date = STR_LIT("2026-11-20") };
	play_target = (struct target){ .provider = &play_provider, .model = &play_facts };
	play_candidate = (struct candidate){ .target = &play_target };
	for (int i = 0; i < PLAY_SLOTS; i++) {
		play.slot[i].r.arena = arena_new(REQUEST_ARENA_BYTES);
		PLAY_MUST(play.slot[i].r.arena != NULL);
	}
	play_make_settings();
	play.lasting_loop = loop_new(NULL);
	PLAY_MUST(play.lasting_loop != NULL);
}

static inline void
play_tear_down(void)
{
	play_close_book();
	for (int i = 0; i < PLAY_SLOTS; i++)
		arena_free(play.slot[i].r.arena);
	play_free_settings();
	loop_free(play.lasting_loop);
	plain_tear_down();
	clock_set_source(NULL);
}

/* ---- a play ---- */

static inline void
play_step(void)
{
	unsigned op = play_byte();
	struct play_slot *s = &play.slot[(op >> 4) % PLAY_SLOTS];

	switch (op & 15) {
	case 0:
		play_move();
		break;
	case 1:
		play_move_clock();
		break;
	case 2:
		play_reload();
		break;
	case 3:
		if (op >> 4 < 2 || play.device_fails)
			play_break_device();
		break;
	case 4:
		if (op >> 4 < 4)
			play_crash(false);
		break;
	case 5:
	case 6:
	case 7:
		play_flush(op >> 4 & 1);
		break;
	case 8:
		if (s->number >= 0)
			play_top_up(s);
		break;
	default:
		if (s->number >= 0)
			play_settle(s);
		else
			play_new_request(s);
		break;
	}
	if (op >> 7 == 0)
		play_look_at_all();
}

static inline void
play_first_act(void)
{
	model_start();
	play.now_ms = play_start_ms + play_number() * 60000;
	play_config.ledger_uncertain = (enum db_uncertain)(play_byte() % 3);
	for (int i = 0; i < PLAY_SLOTS; i++)
		play.slot[i].number = -1;
	for (int b = 0; b < MODEL_BUDGETS; b++) {
		struct model_budget *m = &model.budget[b];

		m->kind = play_kinds[b];
		m->limit = play_new_limit();
		(void)model_period(m, play_label(m->kind));
	}
	for (int owner = 0; owner < PLAY_OWNERS; owner++)
		play.is_there[owner] = true;
	play_start(false);
}

/* Every attempt was charged once, and every request traced once. */
static inline void
play_last_act(void)
{
	long charges = 0, traces = 0;

	for (int i = 0; i < model.attempts; i++)
		charges += model.attempt[i].is_settle_written;
	for (int i = 0; i < play.requests; i++)
		traces += play.request[i].is_traced;
	if (!play.has_books) {
		PLAY_MUST(plain.charges == charges && plain.traces == traces);
		return;
	}
	play.book_charges += charges;
	play.book_traces += traces;
	if (++play.book_plays == PLAY_BOOK_PLAYS)
		play_close_book();
}

/* Plays one sequence. play_set_up() was called. */
static inline void
play_bytes(const uint8_t *p, size_t n, bool has_books)
{
	play.has_books = has_books;
	play.p = p;
	play.end = p + n;
	play.step = 0;
	play.requests = 0;
	play.device_fails = false;
	play.number++;
	play_name_owners();
	if (!has_books)
		plain_start();
	else if (play.db == NULL)
		play_open_book();
	play_first_act();
	while (play.p < play.end) {
		play.step++;
		play_step();
	}
	if (n % 2 == 0)
		play_end_in_order();
	play_crash(true);
	play_stop();
	for (int b = 0; b < MODEL_BUDGETS; b++)
		play.tally[PLAY_ROLLED] += model.budget[b].count - 1;
	play_last_act();
}

#endif
