/* ledger_play_state.h - what a play of tests/ledger_play.h stands on: its bytes, its
 * time, its device, and all that it keeps between two steps.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_LEDGER_PLAY_STATE_H
#define TESTS_LEDGER_PLAY_STATE_H

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/io.h"
#include "base/json.h"
#include "key/stage.h"
#include "ledger_model.h"
#include "ledger_plain.h"
#include "store/mover.h"

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

#endif
