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
 * ledger_play_state.h has what a play stands on, ledger_play_owners.h who has budgets,
 * ledger_play_requests.h what they ask, ledger_play_run.h a gateway's start, writing and
 * end; here they become a play.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_LEDGER_PLAY_H
#define TESTS_LEDGER_PLAY_H

#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "ledger_play_run.h"

/* ---- once per process ---- */

/* Before the first play. */
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
