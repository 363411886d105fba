/* storage.c - the two threads behind the spool: one moves it into the database, one makes it durable.
 *
 * The mover looks every batch_ms whether the spools' positions moved; workers never signal it. The syncer is a
 * thread of its own, because a checkpoint or a database that fails must not stretch the sync_ms that a power
 * loss may cost.
 *
 * Invariant: the mover alone touches the database between storage_start() and storage_stop().
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/storage.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "store/content.h"
#include "store/recover.h"
#include "store/replay.h"

enum {
	PATH_BYTES = 4096,
	RETRY_US = 1000000,	/* after a failed transaction */
	STOP_TRIES = 3,
	PRUNE_US = 60000000,
	PRUNE_ROWS = 1000,	/* of one step */
	PRUNE_STEPS = 8		/* between two batches */
};

/* One worker's spool, and how far it was moved. */
struct source {
	struct spool *spool;
	struct replay replay;
	bool is_finished; /* the segment was read to its end and another one follows */
	uint32_t synced_seq;
	uint64_t synced_bytes;
};

struct call {
	void (*fn)(void *arg, struct db *d);
	void *arg;
	bool is_done;
};

struct storage {
	struct storage_options o;
	char spool_dir[PATH_BYTES];
	struct db *db;
	struct source *source;
	unsigned source_count;
	char *room; /* REPLAY_ROOM */
	struct content_queue content;
	_Atomic int64_t keep_traces_ms, keep_content_ms;

	pthread_t mover, syncer;
	bool has_mover, has_syncer;
	bool must_rewind; /* these are the mover's: a transaction failed, the positions are to be read again */
	int64_t retry_at_us, prune_at_us;

	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t wake;  /* a call, or the end */
	pthread_cond_t done;  /* a call was run */
	bool is_stopping;
	struct call *call;
	enum status move_status, sync_status;
	struct err why;
};

static void
lock(struct storage *s)
{
	must(pthread_mutex_lock(&s->lock) == 0);
}

static void
unlock(struct storage *s)
{
	must(pthread_mutex_unlock(&s->lock) == 0);
}

/* ---- health ---- */

/* Keeps the last result; says so when it changes between good and bad. */
static void
note(struct storage *s, enum status *kept, const char *what, enum status st, const struct err *why)
{
	enum status was;

	lock(s);
	was = *kept;
	*kept = st;
	if (st != ST_OK)
		s->why = *why;
	unlock(s);
	if (st != ST_OK)
		metric_add(METRIC_DB_FAILURES, 1);
	if (st != ST_OK && was == ST_OK)
		log_error("store.failing", "what=%s reason=\"%s\"", what, why->text);
	if (st == ST_OK && was != ST_OK)
		log_info("store.recovered", "what=%s", what);
}

enum status
storage_health(struct storage *s, struct err *e)
{
	enum status st;

	lock(s);
	st = s->move_status != ST_OK ? s->move_status : s->sync_status;
	if (st != ST_OK && e != NULL)
		*e = s->why;
	unlock(s);
	return st;
}

/* ---- making durable ---- */

/* Syncs the spools that were written since the last time. */
static void
sync_spools(struct storage *s)
{
	struct err why = { "spool: fdatasync failed; what was flushed may not survive a power loss" };
	enum status st = ST_OK;
	struct source *one;
	uint64_t bytes;
	uint32_t seq;

	for (unsigned i = 0; i < s->source_count; i++) {
		one = &s->source[i];
		spool_position(one->spool, &seq, &bytes);
		if (seq == one->synced_seq && bytes == one->synced_bytes)
			continue;
		if (spool_sync(one->spool) != ST_OK) {
			st = ST_IO;
			continue;
		}
		one->synced_seq = seq;
		one->synced_bytes = bytes;
	}
	note(s, &s->sync_status, "sync", st, &why);
}

/* Waits until woken or `ms` are over; the lock is held. */
static void
wait_ms(struct storage *s, unsigned ms)
{
	struct timespec until;

	/* The system's clock, not base/clock: this only paces, and tests that stop time must not stop it. */
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

static void *
syncer_main(void *arg)
{
	struct storage *s = arg;
	bool is_stopping = false;

	metric_thread_start();
	while (!is_stopping) {
		lock(s);
		if (!s->is_stopping)
			wait_ms(s, s->o.sync_ms);
		is_stopping = s->is_stopping;
		unlock(s);
		sync_spools(s);
	}
	return NULL;
}

/* ---- moving ---- */

/* Where the source's segment ends at present, and whether it will grow. */
static enum status
find_end(struct storage *s, struct source *one, uint64_t *end, bool *is_last, struct err *e)
{
	struct segment same = one->replay.segment;
	enum status st = ST_OK;
	uint32_t seq;

	if (one->replay.fd < 0) /* it could not be opened the last time */
		st = replay_open(&one->replay, s->spool_dir, &same, s->db, e);
	spool_position(one->spool, &seq, end);
	*is_last = seq == same.seq;
	return st != ST_OK || *is_last ? st : replay_size(&one->replay, end, e);
}

/* A step of one source. *more: it has more to move. */
static enum status
move_source(struct storage *s, struct source *one, bool *more, struct err *e)
{
	struct replay *r = &one->replay;
	bool is_last, is_whole = true;
	uint64_t end;
	enum status st = find_end(s, one, &end, &is_last, e);

	if (st == ST_OK && r->offset < end)
		st = replay_step(r, s->db, end, s->room, &is_whole, e);
	if (st == ST_OK && !is_whole)
		st = replay_pass(r, end, s->room, e);
	if (st == ST_OK && !is_whole)
		st = db_position_set(s->db, lz_strz(r->name), r->offset, e);
	if (st != ST_OK)
		return st;
	one->is_finished = !is_last && r->offset == end;
	*more = *more || one->is_finished || r->offset < end;
	return ST_OK;
}

static bool
has_work(struct storage *s)
{
	struct source *one;
	uint64_t bytes;
	uint32_t seq;

	for (unsigned i = 0; i < s->source_count; i++) {
		one = &s->source[i];
		spool_position(one->spool, &seq, &bytes);
		if (seq != one->replay.segment.seq || bytes != one->replay.offset)
			return true;
	}
	return false;
}

/* Back to what the database has: a commit that was reported as failed may stand all the same. */
static enum status
rewind_sources(struct storage *s, struct err *e)
{
	enum status st = ST_OK;

	for (unsigned i = 0; st == ST_OK && i < s->source_count; i++) {
		s->source[i].is_finished = false;
		st = replay_rewind(&s->source[i].replay, s->db, e);
	}
	s->must_rewind = st != ST_OK;
	return st;
}

/* Deletes the segments that were moved to their end, and goes on with the next ones. */
static enum status
delete_finished(struct storage *s, struct err *e)
{
	enum status st = ST_OK;
	struct segment next;
	struct source *one;

	for (unsigned i = 0; st == ST_OK && i < s->source_count; i++) {
		one = &s->source[i];
		if (!one->is_finished)
			continue;
		st = recover_delete(s->db, s->spool_dir, &one->replay.segment, 1, e);
		if (st != ST_OK)
			break;
		one->is_finished = false;
		spool_segment(one->spool, one->replay.segment.seq + 1, &next);
		replay_close(&one->replay);
		st = replay_open(&one->replay, s->spool_dir, &next, s->db, e);
	}
	return st;
}

/* One transaction of at most a step per source. */
static enum status
move_step(struct storage *s, bool *more, bool *is_durable, struct err *e)
{
	enum status st = db_begin(s->db, e);

	if (st != ST_OK)
		return st;
	for (unsigned i = 0; st == ST_OK && i < s->source_count; i++) {
		st = move_source(s, &s->source[i], more, e);
		*is_durable = *is_durable || s->source[i].is_finished;
	}
	if (st == ST_OK)
		return db_commit(s->db, *is_durable, e);
	db_rollback(s->db);
	return st;
}

static enum status
move_some(struct storage *s, bool *more, struct err *e)
{
	bool is_durable = false;
	enum status st = s->must_rewind ? rewind_sources(s, e) : ST_OK;

	*more = false;
	if (st != ST_OK || !has_work(s))
		return st;
	if (s->o.sync_ms == 0)
		sync_spools(s);
	st = move_step(s, more, &is_durable, e);
	s->must_rewind = st != ST_OK;
	return st == ST_OK && is_durable ? delete_finished(s, e) : st;
}

/* Everything that was flushed before the call. */
static enum status
move_all(struct storage *s)
{
	struct err why = { "" };
	bool more = true;
	enum status st = ST_OK;

	while (st == ST_OK && more)
		st = move_some(s, &more, &why);
	s->retry_at_us = st == ST_OK ? 0 : clock_mono_us() + RETRY_US;
	note(s, &s->move_status, "database", st, &why);
	return st;
}

/* ---- content ---- */

static enum status
write_content(struct storage *s, const struct content *c, struct err *e)
{
	enum status st = db_begin(s->db, e);

	if (st != ST_OK)
		return st;
	for (; st == ST_OK && c != NULL; c = c->next)
		st = db_content_put(s->db, c->id, c->at_unix_ms, c->request, c->answer, c->candidates, e);
	if (st == ST_OK)
		return db_commit(s->db, false, e);
	db_rollback(s->db);
	return st;
}

/* Best effort: what cannot be written is dropped, and counted. */
static void
move_content(struct storage *s)
{
	struct content *c = content_take(&s->content), *next;
	int64_t count = 0;
	struct err why;
	enum status st;

	if (c == NULL)
		return;
	st = write_content(s, c, &why);
	for (; c != NULL; c = next) {
		next = c->next;
		content_done(&s->content, c);
		count++;
	}
	if (st == ST_OK)
		return;
	metric_add(METRIC_CONTENT_DROPPED, count);
	log_warn("store.content_dropped", "count=%lld reason=\"%s\"", (long long)count, why.text);
}

bool
storage_offer_content(struct storage *s, const uint8_t id[RECORD_ID_BYTES], int64_t at_unix_ms, lz_str request,
    lz_str answer, lz_str candidates)
{
	struct content c = {
		.at_unix_ms = at_unix_ms,
		.request = request,
		.answer = answer,
		.candidates = candidates,
	};

	memcpy(c.id, id, RECORD_ID_BYTES);
	if (content_offer(&s->content, &c))
		return true;
	metric_add(METRIC_CONTENT_DROPPED, 1);
	return false;
}

/* ---- retention ---- */

static int64_t
before(int64_t now_ms, int64_t keep_ms)
{
	return keep_ms > 0 && keep_ms < now_ms ? now_ms - keep_ms : 0;
}

/* A few steps at a time, so that new rows do not wait for old ones. */
static void
prune(struct storage *s)
{
	int64_t now_us = clock_mono_us(), now_ms = clock_unix_ms();
	int64_t traces = before(now_ms, atomic_load(&s->keep_traces_ms));
	int64_t content = before(now_ms, atomic_load(&s->keep_content_ms));
	enum status st = ST_OK;
	bool more = true;
	struct err why;

	if (now_us < s->prune_at_us)
		return;
	for (int i = 0; st == ST_OK && more && i < PRUNE_STEPS; i++)
		st = db_prune(s->db, traces, content, PRUNE_ROWS, &more, &why);
	if (st != ST_OK)
		log_warn("store.prune_failed", "reason=\"%s\"", why.text);
	if (st != ST_OK || !more)
		s->prune_at_us = now_us + PRUNE_US;
}

void
storage_set_retention(struct storage *s, int64_t keep_traces_ms, int64_t keep_content_ms)
{
	atomic_store(&s->keep_traces_ms, keep_traces_ms);
	atomic_store(&s->keep_content_ms, keep_content_ms);
}

/* ---- the mover ---- */

static void
run_call(struct storage *s, struct call *call)
{
	call->fn(call->arg, s->db);
	lock(s);
	call->is_done = true;
	s->call = NULL;
	must(pthread_cond_broadcast(&s->done) == 0);
	unlock(s);
}

/* One turn. A caller waits, so for it a failing database is tried at once. */
static void
turn(struct storage *s, struct call *call)
{
	if (call != NULL || clock_mono_us() >= s->retry_at_us) {
		if (move_all(s) == ST_OK)
			prune(s);
		move_content(s);
	}
	if (call != NULL)
		run_call(s, call);
}

static void *
mover_main(void *arg)
{
	struct storage *s = arg;
	bool is_stopping = false;
	struct call *call;

	metric_thread_start();
	while (!is_stopping) {
		lock(s);
		if (!s->is_stopping && s->call == NULL)
			wait_ms(s, s->o.batch_ms);
		is_stopping = s->is_stopping;
		call = s->call;
		unlock(s);
		turn(s, call);
	}
	return NULL;
}

void
storage_call(struct storage *s, void (*fn)(void *arg, struct db *d), void *arg)
{
	struct call call = { .fn = fn, .arg = arg };

	if (!s->has_mover) {
		fn(arg, s->db);
		return;
	}
	lock(s);
	must(s->call == NULL && !s->is_stopping);
	s->call = &call;
	must(pthread_cond_broadcast(&s->wake) == 0);
	while (!call.is_done)
		must(pthread_cond_wait(&s->done, &s->lock) == 0);
	unlock(s);
}

/* ---- start and stop ---- */

static void
init_waiting(struct storage *s)
{
	pthread_condattr_t attr;

	must(pthread_mutex_init(&s->lock, NULL) == 0);
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&s->wake, &attr) == 0);
	must(pthread_cond_init(&s->done, &attr) == 0);
	must(pthread_condattr_destroy(&attr) == 0);
}

static void
free_storage(struct storage *s)
{
	for (unsigned i = 0; i < s->source_count; i++)
		replay_close(&s->source[i].replay);
	db_close(s->db);
	content_free(&s->content);
	must(pthread_mutex_destroy(&s->lock) == 0);
	must(pthread_cond_destroy(&s->wake) == 0);
	must(pthread_cond_destroy(&s->done) == 0);
	mem_free(s->source);
	mem_free(s->room);
	mem_free(s);
}

static enum status
open_and_recover(struct storage *s, struct err *e)
{
	char path[PATH_BYTES];

	if (datadir_file(s->o.data, "latenza.db", path, sizeof(path)) != ST_OK ||
	    datadir_file(s->o.data, "spool", s->spool_dir, sizeof(s->spool_dir)) != ST_OK)
		return err_fail(e, ST_LIMIT, "%s: the path is too long", s->o.data->path);
	s->db = db_open(path, DB_CREATE, e);
	if (s->db == NULL)
		return ST_INVALID;
	return recover_spool(s->db, s->spool_dir, s->o.uncertain, e);
}

struct storage *
storage_open(const struct storage_options *o, struct err *e)
{
	struct storage *s = mem_zalloc(sizeof(*s));

	if (s == NULL) {
		(void)err_fail(e, ST_NOMEM, "%s: out of memory", o->data->path);
		return NULL;
	}
	s->o = *o;
	init_waiting(s);
	content_init(&s->content, o->content_queue_bytes);
	storage_set_retention(s, o->keep_traces_ms, o->keep_content_ms);
	if (open_and_recover(s, e) != ST_OK) {
		free_storage(s);
		return NULL;
	}
	return s;
}

struct db *
storage_db(struct storage *s)
{
	must(!s->has_mover);
	return s->db;
}

static enum status
open_sources(struct storage *s, struct spool *const *spools, unsigned count, struct err *e)
{
	struct segment first;
	enum status st;

	s->room = mem_alloc(REPLAY_ROOM);
	s->source = mem_calloc(count, sizeof(*s->source));
	if (s->room == NULL || s->source == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory", s->spool_dir);
	for (unsigned i = 0; i < count; i++) {
		s->source[i].spool = spools[i];
		spool_segment(spools[i], 0, &first);
		st = replay_open(&s->source[i].replay, s->spool_dir, &first, s->db, e);
		s->source_count = i + 1;
		if (st != ST_OK)
			return st;
	}
	return ST_OK;
}

/* Signals are the main thread's. */
static int
start_thread(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
	sigset_t all, was;
	int error;

	must(sigfillset(&all) == 0);
	must(pthread_sigmask(SIG_SETMASK, &all, &was) == 0);
	error = pthread_create(thread, NULL, fn, arg);
	must(pthread_sigmask(SIG_SETMASK, &was, NULL) == 0);
	return error;
}

enum status
storage_start(struct storage *s, struct spool *const *spools, unsigned count, struct err *e)
{
	enum status st = open_sources(s, spools, count, e);
	int error = 0;

	if (st != ST_OK)
		return st;
	s->prune_at_us = clock_mono_us() + PRUNE_US;
	if (s->o.sync_ms > 0) {
		error = start_thread(&s->syncer, syncer_main, s);
		s->has_syncer = error == 0;
	}
	if (error == 0) {
		error = start_thread(&s->mover, mover_main, s);
		s->has_mover = error == 0;
	}
	if (error != 0)
		return err_fail(e, ST_IO, "storage: a thread cannot be started: %s", strerror(error));
	return ST_OK;
}

static void
join_threads(struct storage *s)
{
	lock(s);
	s->is_stopping = true;
	must(pthread_cond_broadcast(&s->wake) == 0);
	unlock(s);
	if (s->has_mover)
		must(pthread_join(s->mover, NULL) == 0);
	if (s->has_syncer)
		must(pthread_join(s->syncer, NULL) == 0);
	s->has_mover = s->has_syncer = false;
}

static bool
is_all_written(struct storage *s)
{
	bool is_written = true;

	for (unsigned i = 0; i < s->source_count; i++) {
		if (spool_flush(s->source[i].spool) != ST_OK)
			is_written = false;
	}
	return is_written;
}

/* Makes the last rows durable and deletes the segments, which are the current ones. */
static enum status
finish_segments(struct storage *s, struct err *e)
{
	enum status st = db_begin(s->db, e);

	if (st == ST_OK)
		st = db_commit(s->db, true, e);
	for (unsigned i = 0; st == ST_OK && i < s->source_count; i++)
		st = recover_delete(s->db, s->spool_dir, &s->source[i].replay.segment, 1, e);
	return st;
}

/* What cannot be moved now stays in the spool for the next start. */
static void
finish(struct storage *s)
{
	bool is_written = is_all_written(s);
	enum status st = ST_IO;
	struct err why = { "what was settled last is not written" };

	for (int i = 0; i < STOP_TRIES && st != ST_OK; i++)
		st = move_all(s);
	move_content(s);
	if (st == ST_OK && is_written)
		st = finish_segments(s, &why);
	if (st != ST_OK || !is_written)
		log_warn("store.spool_kept", "dir=\"%s\" reason=\"%s\"", s->spool_dir, why.text);
	db_checkpoint(s->db);
}

void
storage_stop(struct storage *s)
{
	if (s == NULL)
		return;
	join_threads(s);
	if (s->source_count > 0)
		finish(s);
	free_storage(s);
}
