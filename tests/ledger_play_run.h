/* ledger_play_run.h - a run of the gateway in a play, from its start to its kill -9: what
 * workers write and the storage thread moves, recovery, and the database of many plays.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_LEDGER_PLAY_RUN_H
#define TESTS_LEDGER_PLAY_RUN_H

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "ledger_play_requests.h"
#include "store/recover.h"

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

#endif
