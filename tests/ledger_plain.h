/* ledger_plain.h - spools in memory, and what a plain reading of them says of a run that
 * ended: the second storage of tests/ledger_play.h, hundreds of times as quick as files,
 * mover, recovery and database.
 *
 * Files are made by the calls of base/io.h below the folder PLAIN_DIR; every other path
 * goes to the system. The reading keeps what stands in architecture's table: an attempt
 * is charged once, by its settlement or, where only its reservation was written, as
 * uncertain; a request has one trace.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_LEDGER_PLAIN_H
#define TESTS_LEDGER_PLAIN_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "store/db.h"
#include "store/segment.h"

#define PLAIN_DIR "plain:"

enum {
	PLAIN_FD = 1 << 20, /* the first: higher than any of the system's */
	PLAIN_FILES = 1024, /* of one play */
	PLAIN_REQUESTS = 256,
	PLAIN_ATTEMPTS = 8, /* of a request */
	PLAIN_WORKERS = 2,
	PLAIN_SUMS = 2048,
	PLAIN_PLACES = 2 * PLAIN_SUMS
};

struct plain_file {
	char path[64];
	char *p; /* grows until the run ends, and stays where it is from then on */
	size_t n, cap;
};

struct plain_attempt {
	bool is_reserved, is_charged;
	struct record_reserve reserve; /* its texts point into the file */
};

struct plain_sum {
	char scope[64], period[24];
	int64_t spent_nano_eur;
};

/* Of a table by hash. */
struct plain_place {
	unsigned long play; /* another than the one at hand: the place is free */
	struct plain_sum *sum;
};

/* What would stand in the database. */
static struct {
	struct plain_file file[PLAIN_FILES];
	unsigned files, read; /* up to `read` they were read */
	struct plain_attempt attempt[PLAIN_REQUESTS][PLAIN_ATTEMPTS];
	bool is_traced[PLAIN_REQUESTS];
	struct plain_sum sum[PLAIN_SUMS];
	struct plain_place place[PLAIN_PLACES];
	unsigned requests, sums; /* how many are in use */
	unsigned long play;
	long charges, traces;
} plain;

static struct io_calls plain_system_io;

/* ---- files ---- */

static inline struct plain_file *
plain_file(int fd)
{
	return fd >= PLAIN_FD && fd < PLAIN_FD + PLAIN_FILES ? &plain.file[fd - PLAIN_FD]
							     : NULL;
}

/* A segment, or the folder itself. */
static inline int
plain_open(const char *path, int flags, mode_t mode)
{
	struct plain_file *f = &plain.file[plain.files];

	if (strncmp(path, PLAIN_DIR, strlen(PLAIN_DIR)) != 0)
		return plain_system_io.open(path, flags, mode);
	if (strcmp(path, PLAIN_DIR) == 0)
		return PLAIN_FD + PLAIN_FILES;
	for (unsigned i = 0; i < plain.files; i++)
		must(strcmp(plain.file[i].path, path) != 0);
	if (plain.files == PLAIN_FILES) {
		errno = ENFILE;
		return -1;
	}
	must(strlen(path) < sizeof(f->path));
	strcpy(f->path, path);
	f->n = 0;
	return PLAIN_FD + (int)plain.files++;
}

static inline int
plain_close(int fd)
{
	return fd >= PLAIN_FD ? 0 : plain_system_io.close(fd);
}

static inline int
plain_sync(int fd)
{
	return fd >= PLAIN_FD ? 0 : plain_system_io.fsync(fd);
}

static inline int
plain_truncate(int fd, off_t n)
{
	struct plain_file *f = plain_file(fd);

	if (f == NULL)
		return plain_system_io.ftruncate(fd, n);
	must((size_t)n <= f->n);
	f->n = (size_t)n;
	return 0;
}

static inline ssize_t
plain_write(int fd, const void *p, size_t n)
{
	struct plain_file *f = plain_file(fd);

	if (f == NULL)
		return plain_system_io.write(fd, p, n);
	if (n > f->cap - f->n) {
		f->cap = 2 * (f->n + n);
		f->p = realloc(f->p, f->cap);
		must(f->p != NULL);
	}
	memcpy(f->p + f->n, p, n);
	f->n += n;
	return (ssize_t)n;
}

/* ---- reading ---- */

/* FNV-1a */
static inline uint32_t
plain_hash(uint32_t h, lz_str text)
{
	for (size_t i = 0; i < text.len; i++)
		h = (h ^ (uint8_t)text.ptr[i]) * UINT32_C(16777619);
	return h;
}

/* Where the sum is found, or would be. */
static inline struct plain_place *
plain_place(lz_str scope, lz_str period)
{
	uint32_t h = plain_hash(plain_hash(UINT32_C(2166136261), scope), period);
	struct plain_place *p;

	for (;; h++) {
		p = &plain.place[(h ^ h >> 16) % PLAIN_PLACES];
		if (p->play != plain.play)
			return p;
		if (str_is(period, p->sum->period) && str_is(scope, p->sum->scope))
			return p;
	}
}

static inline int64_t
plain_spent(lz_str scope, lz_str period)
{
	const struct plain_place *p = plain_place(scope, period);

	return p->play == plain.play ? p->sum->spent_nano_eur : 0;
}

static inline void
plain_add(lz_str scope, lz_str period, int64_t nano_eur)
{
	struct plain_place *p = plain_place(scope, period);

	if (p->play != plain.play) {
		must(plain.sums < PLAIN_SUMS && scope.len < sizeof(p->sum->scope) &&
		     period.len < sizeof(p->sum->period));
		p->play = plain.play;
		p->sum = &plain.sum[plain.sums++];
		*p->sum = (struct plain_sum){ .spent_nano_eur = 0 };
		memcpy(p->sum->scope, scope.ptr, scope.len);
		memcpy(p->sum->period, period.ptr, period.len);
	}
	p->sum->spent_nano_eur += nano_eur;
}

static inline int64_t
plain_total(void)
{
	int64_t all = 0;

	for (unsigned i = 0; i < plain.sums; i++)
		all += plain.sum[i].spent_nano_eur;
	return all;
}

/* ledger_play.h writes a request's number behind the play's. */
static inline unsigned
plain_request(const uint8_t id[RECORD_ID_BYTES])
{
	unsigned number;

	memcpy(&number, id + 8, sizeof(number));
	must(number < PLAIN_REQUESTS);
	if (number >= plain.requests) {
		memset(plain.attempt[plain.requests], 0,
		    (number + 1 - plain.requests) * sizeof(plain.attempt[0]));
		memset(plain.is_traced + plain.requests, 0,
		    (number + 1 - plain.requests) * sizeof(bool));
		plain.requests = number + 1;
	}
	return number;
}

static inline struct plain_attempt *
plain_attempt(const uint8_t id[RECORD_ID_BYTES], unsigned number)
{
	must(number < PLAIN_ATTEMPTS);
	return &plain.attempt[plain_request(id)][number];
}

static inline void
plain_charge(struct plain_attempt *a, const struct record_scope *scope, unsigned count,
    int64_t nano_eur)
{
	must(!a->is_charged && nano_eur >= 0);
	a->is_charged = true;
	plain.charges++;
	for (unsigned i = 0; i < count; i++)
		plain_add(scope[i].scope, scope[i].period, nano_eur);
}

static inline void
plain_trace(unsigned request)
{
	plain.traces += !plain.is_traced[request];
	plain.is_traced[request] = true;
}

static inline void
plain_apply(const struct record *r)
{
	struct plain_attempt *a;

	switch (r->type) {
	case RECORD_RESERVE:
		a = plain_attempt(r->reserve.trace_id, r->reserve.attempt);
		must(!a->is_reserved && !a->is_charged);
		a->is_reserved = true;
		a->reserve = r->reserve;
		break;
	case RECORD_RAISE:
		a = plain_attempt(r->raise.trace_id, r->raise.attempt);
		must(!a->is_charged);
		/* Of an attempt whose reservation could not be written: says nothing. */
		a->reserve.bound_nano_eur = r->raise.bound_nano_eur;
		break;
	case RECORD_SETTLE:
		plain_charge(plain_attempt(r->settle.trace_id, r->settle.attempt),
		    r->settle.scope, r->settle.scope_count, r->settle.cost_nano_eur);
		break;
	case RECORD_TRACE:
		plain_trace(plain_request(r->trace.trace_id));
		break;
	case RECORD_FOLLOWS:
		must(!"it stands where a segment begins, and nowhere else");
	}
}

/* Whole records to its end. A segment that follows another one says how long that is. */
static inline void
plain_read(const struct plain_file *f)
{
	static size_t before[PLAIN_WORKERS]; /* of the worker's segment before */
	struct segment name;
	struct record r;
	size_t at = 0, used;

	must(segment_parse(f->path + strlen(PLAIN_DIR "/"), &name));
	must(name.worker < PLAIN_WORKERS);
	if (name.seq > 0 && f->n > 0) {
		must(record_get(lz_strn(f->p, f->n), &r, &at) == ST_OK);
		must(r.type == RECORD_FOLLOWS &&
		     (size_t)r.follows.bytes == before[name.worker]);
	}
	for (; at < f->n; at += used) {
		must(record_get(lz_strn(f->p + at, f->n - at), &r, &used) == ST_OK);
		plain_apply(&r);
	}
	before[name.worker] = f->n;
}

static inline void
plain_settle_open(enum db_uncertain how)
{
	for (unsigned i = 0; i < plain.requests; i++)
		for (unsigned k = 0; k < PLAIN_ATTEMPTS; k++) {
			struct plain_attempt *a = &plain.attempt[i][k];
			const struct record_reserve *r = &a->reserve;

			if (a->is_reserved && !a->is_charged)
				plain_charge(a, r->scope, r->scope_count,
				    how == DB_UNCERTAIN_BOUND  ? r->bound_nano_eur
				    : how == DB_UNCERTAIN_ZERO ? 0
							       : r->input_nano_eur);
			if (a->is_charged)
				plain_trace(i);
		}
}

/* A run ended: reads the files that it left. */
static inline void
plain_recover(enum db_uncertain how)
{
	for (; plain.read < plain.files; plain.read++)
		plain_read(&plain.file[plain.read]);
	plain_settle_open(how);
}

static inline void
plain_start(void)
{
	plain.files = plain.read = plain.requests = plain.sums = 0;
	plain.charges = plain.traces = 0;
	plain.play++;
}

/* ---- the seam ---- */

static inline void
plain_set_up(void)
{
	plain_system_io = io;
	io.open = plain_open;
	io.close = plain_close;
	io.fsync = plain_sync;
	io.ftruncate = plain_truncate;
	io.write = plain_write;
}

static inline void
plain_tear_down(void)
{
	io = plain_system_io;
	for (unsigned i = 0; i < PLAIN_FILES; i++)
		free(plain.file[i].p);
}

#endif
