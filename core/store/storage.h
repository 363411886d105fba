/* storage.h - the thread that moves the spool into the database, and recovery before it
 * starts.
 *
 * Every commit holds rows and the spool's position, so a replay is exact. A segment is
 * deleted after a durable commit. When the database fails, it tries again for ever (with
 * a pause) and says so; the spool keeps what comes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_STORAGE_H
#define STORE_STORAGE_H

#include "store/datadir.h"
#include "store/db.h"
#include "store/spool.h"

struct storage;

struct storage_options {
	const struct datadir *data; /* kept until stop */
	unsigned sync_ms;  /* fdatasync cadence of the spool, 50; 0: at every batch */
	unsigned batch_ms; /* longest wait before a commit, 100 */
	enum db_uncertain uncertain;
	int64_t keep_traces_ms, keep_content_ms;
	size_t content_queue_bytes; /* 32 MiB */
};

/* Opens the database, replays every segment that is present (a torn tail is cut), settles
 * what earlier boots left open, deletes the segments. Nothing listens yet. [main] */
struct storage *storage_open(
    const struct storage_options *o, struct err *e); /* owned: storage_stop() */
struct db *storage_db(
    struct storage *s); /* before storage_start() only: to load keys and spend. [main] */
/* From here on the thread owns the database. spools: borrowed until storage_stop().
 * [main] */
enum status storage_start(struct storage *s, struct spool *const *spools, unsigned count,
    struct err *e) MUST_CHECK;
/* Moves what is left, commits, deletes segments, frees. Call after the workers ended,
 * before spool_close(). [main] */
void storage_stop(struct storage *s);
/* Runs fn on the storage thread between batches, after a commit of all that was flushed
 * before the call, and waits for it: how the control socket reads and writes the
 * database. [main] */
void storage_call(struct storage *s, void (*fn)(void *arg, struct db *d), void *arg);
/* Offers prompt, answer and candidate table: copied into a bounded queue. false: dropped
 * and counted. [worker] */
bool storage_offer_content(struct storage *s, const uint8_t id[RECORD_ID_BYTES],
    int64_t at_unix_ms, lz_str request, lz_str answer, lz_str candidates);
/* ST_OK, or why the thread is not moving (for /readyz). [any] */
enum status storage_health(struct storage *s, struct err *e) MUST_CHECK;
void storage_set_retention(
    struct storage *s, int64_t keep_traces_ms, int64_t keep_content_ms); /* [any] */

#endif
