/* storage.c - the two threads behind the spool: one moves it into the database, one makes
 * it durable.
 *
 * The mover looks every batch_ms whether the spools' positions moved; workers never
 * signal it. The syncer is a thread of its own, because a checkpoint or a database that
 * fails must not stretch the sync_ms that a power loss may cost.
 *
 * Invariant: the mover alone touches the database between storage_start() and
 * storage_stop().
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/storage.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "store/content.h"
#include "store/mover.h"
#include "store/recover.h"

enum {
	PATH_BYTES = 4096,
	RETRY_US = 1000000,    /* after a failed transaction */
	STALLED_US = 30000000, /* a turn that takes longer is told to /readyz */
	STOP_TRIES = 3,
	PRUNE_US = 60000000,
	PRUNE_ROWS = 1000, /* of one step */
	PRUNE_STEPS = 8    /* between two batches */
};

/* How far a spool was made durable. */
struct synced {
	uint32_t seq;
	uint64_t bytes;
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
	struct mover mover;
	struct synced *synced; /* one for each of the mover's sources */
	struct content_queue content;
	_Atomic int64_t keep_traces_ms, keep_content_ms;
	_Atomic int64_t turned_at_us; /* when the moving thread last began a turn */

	pthread_t move_thread, sync_thread;
	bool is_moving, is_syncing;       /* these threads run */
	int64_t retry_at_us, prune_at_us; /* the moving thread's */

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
note(struct storage *s, enum status *kept, const char *what, enum status st,
    const struct err *why)
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

/* Nobody is called while a worker cannot write. */
static enum status
spool_failure(const struct storage *s, struct err *e)
{
	enum status st = ST_OK;

	for (unsigned i = 0; s->is_moving && st == ST_OK && i < s->mover.count; i++) {
		st = spool_health(s->mover.source[i].spool);
		if (st != ST_OK)
			(void)err_fail(e, st, "spool of worker %u: cannot be written: %s",
			    i, status_name(st));
	}
	return st;
}

enum status
storage_health(struct storage *s, struct err *e)
{
	int64_t idle_us = clock_mono_us() - atomic_load(&s->turned_at_us);
	enum status st;

	if (s->is_moving && idle_us > STALLED_US)
		return err_fail(e, ST_TIMEOUT, "storage: nothing was moved for %lld s",
		    (long long)(idle_us / 1000000));
	st = spool_failure(s, e);
	if (st != ST_OK)
		return st;
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
	struct err why = {
		"spool: fdatasync failed; what was flushed may not survive a power loss"
	};
	enum status st = ST_OK;
	struct synced now;
	struct spool *spool;

	for (unsigned i = 0; i < s->mover.count; i++) {
		spool = s->mover.source[i].spool;
		spool_position(spool, &now.seq, &now.bytes);
		if (now.seq == s->synced[i].seq && now.bytes == s->synced[i].bytes)
			continue;
		if (spool_sync(spool) == ST_OK)
			s->synced[i] = now;
		else
			st = ST_IO;
	}
	note(s, &s->sync_status, "sync", st, &why);
}

/* Waits until woken or `ms` are over; the lock is held. */
static void
wait_ms(struct storage *s, unsigned ms)
{
	struct timespec until;

	/* The system's clock, not base/clock: this only paces, and tests that stop time
	 * must not stop it. */
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

static void *
sync_main(void *arg)
{
	struct storage *s = arg;
	bool is_stopping = false;

	(void)pthread_setname_np(pthread_self(), "storage-sync");
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

/* Everything that was flushed before the call. */
static enum status
move_all(struct storage *s)
{
	struct err why = { "" };
	bool more = true;
	enum status st = ST_OK;

	if (s->o.sync_ms == 0 && mover_has_work(&s->mover))
		sync_spools(s);
	while (st == ST_OK && more)
		st = mover_step(&s->mover, &more, &why);
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
		st = db_content_put(
		    s->db, c->id, c->at_unix_ms, c->request, c->answer, c->candidates, e);
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
	log_warn("store.content_dropped", "count=%lld reason=\"%s\"", (long long)count,
	    why.text);
}

bool
storage_offer_content(struct storage *s, const uint8_t id[RECORD_ID_BYTES],
    int64_t at_unix_ms, lz_str request, lz_str answer, lz_str candidates)
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

/* ---- the moving thread ---- */

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
	atomic_store(&s->turned_at_us, clock_mono_us());
	if (call != NULL || clock_mono_us() >= s->retry_at_us) {
		if (move_all(s) == ST_OK)
			prune(s);
		move_content(s);
	}
	if (call != NULL)
		run_call(s, call);
}

/* A batch is milliseconds of work that nobody waits for; on a full machine the workers go
 * first. Five steps leave this thread a quarter of a shared processor, more than it needs
 * at any load that one can carry. */
static void
step_back(void)
{
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 5);
}

static void *
move_main(void *arg)
{
	struct storage *s = arg;
	bool is_stopping = false;
	struct call *call;

	(void)pthread_setname_np(pthread_self(), "storage");
	metric_thread_start();
	step_back();
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

	if (!s->is_moving) {
		fn(arg, s->db);
		return;
	}
	lock(s);
	must(s->call == NULL && !s->is_stopping);
	/* cppcheck-suppress autoVariables ; run_call() takes it out before this returns
	 */
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
	mover_close(&s->mover);
	db_close(s->db);
	content_free(&s->content);
	must(pthread_mutex_destroy(&s->lock) == 0);
	must(pthread_cond_destroy(&s->wake) == 0);
	must(pthread_cond_destroy(&s->done) == 0);
	mem_free(s->synced);
	mem_free(s);
}

static enum status
open_and_recover(struct storage *s, struct err *e)
{
	char path[PATH_BYTES];
	enum status st;

	if (datadir_file(s->o.data, "latenza.db", path, sizeof(path)) != ST_OK ||
	    datadir_file(s->o.data, "spool", s->spool_dir, sizeof(s->spool_dir)) != ST_OK)
		return err_fail(e, ST_LIMIT, "%s: the path is too long", s->o.data->path);
	s->db = db_open(path, DB_CREATE, e);
	if (s->db == NULL)
		return ST_INVALID;
	st = db_content_recover(s->db, e);
	return st == ST_OK ? recover_spool(s->db, s->spool_dir, s->o.uncertain, e) : st;
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
	must(!s->is_moving);
	return s->db;
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
storage_start(
    struct storage *s, struct spool *const *spools, unsigned count, struct err *e)
{
	enum status st;
	int error = 0;

	s->synced = mem_calloc(count, sizeof(*s->synced));
	if (s->synced == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory", s->spool_dir);
	s->mover.db = s->db;
	s->mover.dir = s->spool_dir;
	st = mover_open(&s->mover, spools, count, e);
	if (st != ST_OK)
		return st;
	s->prune_at_us = clock_mono_us() + PRUNE_US;
	atomic_store(&s->turned_at_us, clock_mono_us());
	if (s->o.sync_ms > 0) {
		error = start_thread(&s->sync_thread, sync_main, s);
		s->is_syncing = error == 0;
	}
	if (error == 0) {
		error = start_thread(&s->move_thread, move_main, s);
		s->is_moving = error == 0;
	}
	if (error != 0)
		return err_fail(
		    e, ST_IO, "storage: a thread cannot be started: %s", strerror(error));
	return ST_OK;
}

static void
join_threads(struct storage *s)
{
	lock(s);
	s->is_stopping = true;
	must(pthread_cond_broadcast(&s->wake) == 0);
	unlock(s);
	if (s->is_moving)
		must(pthread_join(s->move_thread, NULL) == 0);
	if (s->is_syncing)
		must(pthread_join(s->sync_thread, NULL) == 0);
	s->is_moving = s->is_syncing = false;
}

static bool
is_all_written(struct storage *s)
{
	bool is_written = true;

	for (unsigned i = 0; i < s->mover.count; i++) {
		spool_retry(s->mover.source[i].spool);
		if (spool_flush(s->mover.source[i].spool) != ST_OK)
			is_written = false;
	}
	return is_written;
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
		st = mover_finish(&s->mover, &why);
	if (st != ST_OK || !is_written)
		log_warn("store.spool_kept", "dir=\"%s\" reason=\"%s\"", s->spool_dir,
		    why.text);
	db_checkpoint(s->db);
}

void
storage_stop(struct storage *s)
{
	if (s == NULL)
		return;
	join_threads(s);
	if (s->mover.count > 0)
		finish(s);
	free_storage(s);
}
