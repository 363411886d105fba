/* spool.c - one worker's append-only file, written once per loop turn.
 *
 * The worker appends records to a buffer and spool_flush() writes the buffer; the storage
 * thread reads the file by itself, up to the position that is published here after each
 * write. So what it sees is whole flushes only, and a write that is being undone is never
 * read.
 *
 * A segment that follows another begins with how long that one is. So recovery sees what
 * a power loss took of the one while it left the other, and stops there: a worker's
 * records count up to some instant, never with a gap.
 *
 * Invariant: unless `must_cut`, the current segment is exactly `written` bytes long.
 * While `must_cut`, bytes of a failed write may lie behind `written`, and nothing is
 * written before they are cut off.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"

enum {
	PROBE_US =
	    100000, /* while the device fails, one reservation in this time may try it */
	ROOM_BYTES = 65536, /* of the buffer, from the start: what a turn settles and
			       traces finds room also where no memory is left */
	LEFT_MAX =
	    16, /* segments left but not yet synced; then the worker syncs them itself */
	SEQ_SHIFT =
	    40 /* the position: 24 bits of sequence number above 40 bits of length */
};

struct spool {
	struct spool_options o;
	struct buf unwritten;
	struct buf head;  /* what the current segment begins with; empty in the first */
	uint64_t written; /* bytes of the current segment */
	uint32_t seq;
	bool must_cut;
	enum status failing; /* how the last flush failed; ST_OK when it did not */
	int64_t probe_at_us;
	_Atomic uint64_t position; /* seq and written, published together */
	_Atomic uint8_t health;    /* failing, for others */

	pthread_mutex_t
	    lock; /* over what follows: the worker when it rotates, and spool_sync() */
	int fd;
	int left[LEFT_MAX];
	unsigned left_count;
	bool is_dir_dirty;
};

static void
publish(struct spool *s)
{
	uint64_t position = (uint64_t)s->seq << SEQ_SHIFT | s->written;

	must(s->seq < 1u << (64 - SEQ_SHIFT) && s->written < (uint64_t)1 << SEQ_SHIFT);
	atomic_store_explicit(&s->position, position, memory_order_release);
}

void
spool_position(const struct spool *s, uint32_t *seq, uint64_t *bytes)
{
	uint64_t position = atomic_load_explicit(&s->position, memory_order_acquire);

	*seq = (uint32_t)(position >> SEQ_SHIFT);
	*bytes = position & (((uint64_t)1 << SEQ_SHIFT) - 1);
}

void
spool_segment(const struct spool *s, uint32_t seq, struct segment *out)
{
	*out = (struct segment){ s->o.worker, s->o.boot, seq };
}

/* A new, empty segment. It must not exist: an old one was recovered and deleted before
 * this boot began. */
static int
create_segment(const struct spool *s, uint32_t seq, struct err *e)
{
	char path[SEGMENT_PATH_BYTES];
	struct segment name;
	int fd;

	spool_segment(s, seq, &name);
	if (segment_path(s->o.dir, &name, "", path) != ST_OK) {
		(void)err_fail(e, ST_LIMIT, "%s: the path is too long", s->o.dir);
		return -1;
	}
	fd = io.open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);
	if (fd < 0) {
		(void)err_fail(
		    e, ST_IO, "%s: cannot be created: %s", path, strerror(errno));
		return -1;
	}
	/* The mode whatever the umask is; O_EXCL made it ours, so this cannot fail for a
	 * reason that matters. */
	(void)fchmod(fd, 0600);
	return fd;
}

static size_t
room_of(const struct spool_options *o)
{
	return o->buffer_bytes < ROOM_BYTES ? o->buffer_bytes : ROOM_BYTES;
}

struct spool *
spool_open(const struct spool_options *o, struct err *e)
{
	struct spool *s = mem_zalloc(sizeof(*s));

	if (s == NULL) {
		(void)err_fail(e, ST_NOMEM, "%s: out of memory for a spool", o->dir);
		return NULL;
	}
	s->o = *o;
	buf_init(&s->unwritten, o->buffer_bytes);
	buf_init(&s->head, RECORD_BYTES);
	if (buf_room(&s->unwritten, room_of(o)) == NULL) {
		(void)err_fail(e, ST_NOMEM, "%s: out of memory for a spool", o->dir);
		mem_free(s);
		return NULL;
	}
	s->fd = create_segment(s, 0, e);
	if (s->fd < 0) {
		buf_free(&s->unwritten);
		mem_free(s);
		return NULL;
	}
	s->is_dir_dirty = true;
	must(pthread_mutex_init(&s->lock, NULL) == 0);
	return s;
}

void
spool_close(struct spool *s)
{
	if (s == NULL)
		return;
	spool_retry(s);
	if (spool_flush(s) != ST_OK)
		log_error("spool.lost", "worker=%u bytes=%zu reason=\"%s\"", s->o.worker,
		    s->unwritten.len, status_name(s->failing));
	if (spool_sync(s) != ST_OK)
		log_error("spool.sync_failed", "worker=%u", s->o.worker);
	(void)io.close(s->fd);
	must(pthread_mutex_destroy(&s->lock) == 0);
	buf_free(&s->unwritten);
	buf_free(&s->head);
	mem_free(s);
}

/* After a put that was refused: the buffer is sound, only this record is not in it. */
static enum status
why_refused(struct spool *s)
{
	bool was_room = s->unwritten.failed;

	s->unwritten.failed = false;
	return was_room ? ST_NOMEM : ST_INVALID;
}

/* ST_OK: the device works, or its last failure was long enough ago to try again. */
static enum status
health(const struct spool *s)
{
	return s->failing != ST_OK && clock_mono_us() < s->probe_at_us ? s->failing
								       : ST_OK;
}

enum status
spool_reserve(struct spool *s, const struct record_reserve *r)
{
	enum status st = health(s);

	if (st != ST_OK)
		return st;
	return record_put_reserve(&s->unwritten, r) ? ST_OK : why_refused(s);
}

enum status
spool_raise(struct spool *s, const struct record_raise *r)
{
	enum status st = health(s);

	if (st != ST_OK)
		return st;
	return record_put_raise(&s->unwritten, r) ? ST_OK : why_refused(s);
}

enum status
spool_settle(struct spool *s, const struct record_settle *r)
{
	return record_put_settle(&s->unwritten, r) ? ST_OK : why_refused(s);
}

/* Of a request that cost nothing, as all that are refused while the device fails: those
 * may be many, and what was called before it failed has yet to be settled. */
static bool
must_give_way(const struct spool *s, const struct record_trace *r)
{
	return s->failing != ST_OK && r->cost_nano_eur == 0 &&
	       s->unwritten.len >= s->o.buffer_bytes / 2;
}

enum status
spool_trace(struct spool *s, const struct record_trace *r)
{
	if (must_give_way(s, r))
		return s->failing;
	return record_put_trace(&s->unwritten, r) ? ST_OK : why_refused(s);
}

/* The trace of a request among what is unwritten: where it stands and how long it is. */
static bool
find_trace(
    const struct spool *s, const uint8_t id[RECORD_ID_BYTES], size_t *at, size_t *used)
{
	struct record found;

	for (*at = 0; *at < s->unwritten.len; *at += *used) {
		lz_str rest = str_cut(buf_str(&s->unwritten), *at, s->unwritten.len);

		if (record_peek(rest, used) == RECORD_TRACE &&
		    record_get(rest, &found, used) == ST_OK &&
		    memcmp(found.trace.trace_id, id, RECORD_ID_BYTES) == 0)
			return true;
	}
	return false;
}

/* The new one is appended, so that nothing is lost where that fails, and the old one
 * squeezed out. */
enum status
spool_retrace(struct spool *s, const struct record_trace *r)
{
	struct buf *b = &s->unwritten;
	size_t at, used;

	if (!find_trace(s, r->trace_id, &at, &used))
		return ST_NOT_FOUND;
	if (!record_put_trace(b, r))
		return why_refused(s);
	memmove(b->ptr + at, b->ptr + at + used, b->len - at - used);
	b->len -= used;
	return ST_OK;
}

bool
spool_has_unwritten(const struct spool *s)
{
	return s->unwritten.len > 0;
}

/* Hands the segment that ends here to spool_sync(), which syncs and closes it. */
static void
leave_segment(struct spool *s, int new_fd)
{
	int sync_now = -1;

	must(pthread_mutex_lock(&s->lock) == 0);
	if (s->left_count < LEFT_MAX)
		s->left[s->left_count++] = s->fd;
	else
		sync_now = s->fd;
	s->fd = new_fd;
	s->is_dir_dirty = true;
	must(pthread_mutex_unlock(&s->lock) == 0);
	if (sync_now >= 0) {
		(void)io.fdatasync(sync_now);
		(void)io.close(sync_now);
	}
}

/* A segment that cannot be followed by another just grows: running on is better than
 * refusing. */
static void
rotate(struct spool *s)
{
	struct record_follows follows = { .bytes = (int64_t)s->written };
	struct err why = { "out of memory" };
	int fd = -1;

	buf_reset(&s->head);
	if (record_put_follows(&s->head, &follows))
		fd = create_segment(s, s->seq + 1, &why);
	if (fd < 0) {
		log_warn("spool.no_new_segment", "worker=%u reason=\"%s\"", s->o.worker,
		    why.text);
		return;
	}
	leave_segment(s, fd);
	s->seq++;
	s->written = 0;
	publish(s);
}

static enum status
status_of(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG ? ST_FULL : ST_IO;
}

static enum status
write_all(int fd, const char *p, size_t n, int *error)
{
	ssize_t done;

	while (n > 0) {
		done = io.write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			*error = done < 0 ? errno : ENOSPC;
			return status_of(*error);
		}
		p += done;
		n -= (size_t)done;
	}
	return ST_OK;
}

/* Cuts off what a failed write left behind. */
static enum status
cut_back(struct spool *s)
{
	int done;

	do
		done = io.ftruncate(s->fd, (off_t)s->written);
	while (done != 0 && errno == EINTR);
	s->must_cut = done != 0;
	return s->must_cut ? ST_IO : ST_OK;
}

/* Squeezes the reservations out of the buffer; the order of the rest stays. */
static void
drop_reservations(struct buf *b)
{
	size_t from = 0, to = 0, used;

	while (from < b->len) {
		if (record_peek(str_cut(buf_str(b), from, b->len), &used) !=
		    RECORD_RESERVE) {
			memmove(b->ptr + to, b->ptr + from, used);
			to += used;
		}
		from += used;
	}
	b->len = to;
}

static void
set_failing(struct spool *s, enum status st)
{
	s->failing = st;
	atomic_store_explicit(&s->health, (uint8_t)st, memory_order_relaxed);
}

enum status
spool_health(const struct spool *s)
{
	return (enum status)atomic_load_explicit(&s->health, memory_order_relaxed);
}

void
spool_retry(struct spool *s)
{
	s->probe_at_us = 0;
}

static enum status
note_failure(struct spool *s, enum status st, int error)
{
	metric_add(METRIC_SPOOL_FAILURES, 1);
	if (s->failing == ST_OK)
		log_error("spool.write_failed",
		    "worker=%u segment=%u.%llu.%u reason=\"%s\"", s->o.worker,
		    s->o.worker, (unsigned long long)s->o.boot, s->seq, strerror(error));
	drop_reservations(&s->unwritten);
	set_failing(s, st);
	s->probe_at_us = clock_mono_us() + PROBE_US;
	return st;
}

/* What was appended, and before it what a new segment begins with. */
static enum status
write_unwritten(struct spool *s, int *error)
{
	enum status st = ST_OK;

	if (s->written == 0)
		st = write_all(s->fd, s->head.ptr, s->head.len, error);
	return st == ST_OK ? write_all(s->fd, s->unwritten.ptr, s->unwritten.len, error)
			   : st;
}

static void
note_recovery(struct spool *s)
{
	if (s->failing != ST_OK)
		log_info("spool.recovered", "worker=%u", s->o.worker);
	set_failing(s, ST_OK);
}

enum status
spool_flush(struct spool *s)
{
	enum status st;
	int error = EIO;

	if (s->unwritten.len == 0) {
		if (health(s) == ST_OK) /* the next write will tell */
			note_recovery(s);
		return ST_OK;
	}
	/* Trying at every turn would fill the device and empty it again thousands of
	 * times a second. A reservation that probes is appended when its time has come,
	 * so none waits here. */
	if (health(s) != ST_OK)
		return s->failing;
	if (s->must_cut && cut_back(s) != ST_OK)
		return note_failure(s, ST_IO, errno);
	if (s->written >= s->o.segment_bytes)
		rotate(s);
	st = write_unwritten(s, &error);
	if (st != ST_OK) {
		(void)cut_back(s);
		return note_failure(s, st, error);
	}
	metric_add(METRIC_SPOOL_BYTES, (int64_t)s->unwritten.len);
	if (s->written == 0)
		s->written = s->head.len;
	s->written += s->unwritten.len;
	publish(s);
	buf_reset(&s->unwritten);
	note_recovery(s);
	return ST_OK;
}

/* Works on duplicates, so that the worker may rotate while the device takes its time. */
enum status
spool_sync(struct spool *s)
{
	enum status st = ST_OK;
	int fd[LEFT_MAX + 1];
	unsigned count;
	bool is_dir_dirty;

	must(pthread_mutex_lock(&s->lock) == 0);
	count = s->left_count;
	memcpy(fd, s->left, count * sizeof(*fd));
	fd[count] = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
	s->left_count = 0;
	is_dir_dirty = s->is_dir_dirty;
	s->is_dir_dirty = false;
	must(pthread_mutex_unlock(&s->lock) == 0);
	for (unsigned i = 0; i <= count; i++) {
		if (fd[i] < 0 || io.fdatasync(fd[i]) != 0)
			st = ST_IO;
		if (fd[i] >= 0)
			(void)io.close(fd[i]);
	}
	if (is_dir_dirty && segment_sync_dir(s->o.dir, NULL) != ST_OK) {
		must(pthread_mutex_lock(&s->lock) == 0);
		s->is_dir_dirty = true;
		must(pthread_mutex_unlock(&s->lock) == 0);
		st = ST_IO;
	}
	return st;
}
