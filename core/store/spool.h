/* spool.h - the append-only file in front of the database: one per worker, one write per
 * loop turn.
 *
 * Segments are DIR/WORKER.BOOT.SEQ. What is flushed survives kill -9; what is synced
 * (spool_sync, by a thread of storage, every ledger.sync_ms) survives power loss. A write
 * that fails or stays short is undone by ftruncate; then the reservations in the buffer
 * are dropped (spool_flush() failed, so their waiters call nobody) and settlements and
 * traces are kept for the next flush. While the device fails it is tried every 100 ms;
 * half of the buffer is then kept for what money hangs on.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_SPOOL_H
#define STORE_SPOOL_H

#include "store/record.h"
#include "store/segment.h"

struct spool;

struct spool_options {
	const char *dir; /* kept until close */
	unsigned worker;
	uint64_t boot; /* id of this run, from the data directory; unique and rising */
	size_t segment_bytes; /* 16 MiB: a new segment from here on */
	size_t buffer_bytes;  /* 8 MiB: unwritten records kept while the device fails */
};

struct spool *spool_open(
    const struct spool_options *o, struct err *e); /* owned: spool_close(). [main] */
void spool_close(
    struct spool *s); /* flushes what it can. [main], after the worker ended */
/* Append a record to what the next flush writes. ST_NOMEM: the buffer is full.
 * ST_INVALID: the record is larger than RECORD_BYTES. ST_FULL / ST_IO while the device
 * fails: of reservations and raises, one is let through every 100 ms to see whether it
 * still does; of traces that name no cost, those that fit in half of the buffer are.
 * Nothing was appended unless ST_OK. [worker] */
enum status spool_reserve(struct spool *s, const struct record_reserve *r) MUST_CHECK;
enum status spool_raise(struct spool *s, const struct record_raise *r) MUST_CHECK;
enum status spool_settle(struct spool *s, const struct record_settle *r) MUST_CHECK;
enum status spool_trace(struct spool *s, const struct record_trace *r) MUST_CHECK;
/* Puts r in the place of the trace of the same request that waits to be written, because
 * its end became another one. ST_NOT_FOUND: none waits. ST_NOMEM, ST_INVALID: as above;
 * the old one stays. [worker] */
enum status spool_retrace(struct spool *s, const struct record_trace *r) MUST_CHECK;
/* Writes what was appended, in one write(). ST_FULL / ST_IO: nothing of it is in the
 * file, the reservations among it are forgotten, the rest waits for the next call; it was
 * not tried again if the last failure is less than 100 ms ago. [worker], from the loop's
 * barrier. */
enum status spool_flush(struct spool *s) MUST_CHECK;
void spool_retry(struct spool *s); /* the next flush tries in any case. [worker] */
enum status spool_health(const struct spool *s); /* how the last flush went. [any] */
bool spool_has_unwritten(
    const struct spool *s); /* a failed flush left something: flush again soon */
/* How far the current segment is written; every segment before it is written to its end.
 * [any] */
void spool_position(const struct spool *s, uint32_t *seq, uint64_t *bytes);
/* Makes what was flushed before the call durable: segments that were left since the last
 * call, the current one, and their names. ST_IO. One thread at a time. */
enum status spool_sync(struct spool *s) MUST_CHECK;
/* The name of this spool's segment `seq`. [any] */
void spool_segment(const struct spool *s, uint32_t seq, struct segment *out);

#endif
