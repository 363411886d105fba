/* replay.c - from the spool's bytes to the database's rows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/io.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/tell.h"

enum status
replay_rewind(struct replay *r, struct db *d, struct err *e)
{
	return db_position_get(d, lz_strz(r->name), &r->offset, &r->is_known, e);
}

enum status
replay_open(struct replay *r, const char *dir, const struct segment *s, struct db *d,
    struct err *e)
{
	enum status st;

	r->segment = *s;
	r->fd = -1;
	r->careful_until = 0;
	segment_name(s, r->name);
	st = replay_rewind(r, d, e);
	if (st != ST_OK)
		return st;
	if (segment_path(dir, s, "", r->path) != ST_OK)
		return err_fail(e, ST_LIMIT, "%s: the path is too long", dir);
	r->fd = io.open(r->path, O_RDONLY, 0);
	if (r->fd < 0)
		return err_fail(
		    e, ST_IO, "%s: cannot be opened: %s", r->path, strerror(errno));
	return ST_OK;
}

void
replay_close(struct replay *r)
{
	if (r->fd >= 0)
		(void)io.close(r->fd);
	r->fd = -1;
}

enum status
replay_size(const struct replay *r, uint64_t *bytes, struct err *e)
{
	struct stat st;

	if (fstat(r->fd, &st) != 0)
		return err_fail(e, ST_IO, "%s: %s", r->path, strerror(errno));
	*bytes = (uint64_t)st.st_size;
	return ST_OK;
}

/* Exactly n bytes from `at`. */
static enum status
read_at(const struct replay *r, uint64_t at, char *room, size_t n, struct err *e)
{
	ssize_t got;

	while (n > 0) {
		got = io.pread(r->fd, room, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_fail(e, ST_IO, "%s: cannot be read at %llu: %s",
			    r->path, (unsigned long long)at,
			    got < 0 ? strerror(errno) : "it is shorter than it was");
		room += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return ST_OK;
}

void
replay_be_careful(struct replay *r, uint64_t end)
{
	r->careful_until = end;
}

bool
replay_is_careful(const struct replay *r)
{
	return r->offset < r->careful_until;
}

static size_t
at_most(uint64_t left, size_t n)
{
	return left < n ? (size_t)left : n;
}

enum status
replay_step(struct replay *r, struct db *d, uint64_t end, char room[REPLAY_ROOM],
    bool *is_whole, struct err *e)
{
	size_t n = at_most(end - r->offset, REPLAY_ROOM), used;
	enum status st = read_at(r, r->offset, room, n, e), got = ST_AGAIN;
	lz_str rest = lz_strn(room, n);
	struct record record;

	*is_whole = true;
	if (st != ST_OK)
		return st;
	while (rest.len > 0 && (got = record_get(rest, &record, &used)) == ST_OK) {
		st = db_apply(d, &record, e);
		if (st != ST_OK)
			return st;
		rest = str_cut(rest, used, rest.len);
		if (replay_is_careful(r))
			break;
	}
	r->offset += n - rest.len;
	/* A record that the room cut in two comes first in the next step. */
	*is_whole = got == ST_OK || (got == ST_AGAIN && r->offset + rest.len < end);
	return db_position_set(d, lz_strz(r->name), r->offset, e);
}

/* The next place at or after `from` where a whole record stands; `end` if there is none.
 */
static enum status
find_whole(const struct replay *r, uint64_t from, uint64_t end, char *room, uint64_t *at,
    struct err *e)
{
	struct record record;
	size_t n, used, i;
	enum status st;

	for (*at = from; *at < end; *at += i) {
		n = at_most(end - *at, REPLAY_ROOM);
		st = read_at(r, *at, room, n, e);
		if (st != ST_OK)
			return st;
		/* But for the last step, a record that begins near the room's end is left
		 * to the next. */
		for (i = 0; i < n && (n - i >= RECORD_BYTES || *at + n == end); i++) {
			if (record_get(lz_strn(room + i, n - i), &record, &used) != ST_OK)
				continue;
			*at += i;
			return ST_OK;
		}
	}
	*at = end;
	return ST_OK;
}

static enum status
write_all(int fd, const char *path, const char *p, size_t n, struct err *e)
{
	ssize_t done;

	while (n > 0) {
		done = io.write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return err_fail(e, ST_IO, "%s: cannot be written: %s", path,
			    done < 0 ? strerror(errno) : "nothing was taken");
		p += done;
		n -= (size_t)done;
	}
	return ST_OK;
}

static enum status
copy_range(const struct replay *r, uint64_t from, uint64_t to, const char *path, int fd,
    char *room, struct err *e)
{
	enum status st = ST_OK;
	size_t n;

	for (; st == ST_OK && from < to; from += n) {
		n = at_most(to - from, REPLAY_ROOM);
		st = read_at(r, from, room, n, e);
		if (st == ST_OK)
			st = write_all(fd, path, room, n, e);
	}
	if (st == ST_OK && io.fsync(fd) != 0)
		st = err_fail(e, ST_IO, "%s: fsync: %s", path, strerror(errno));
	return st;
}

static enum status
sync_name(char *path, struct err *e)
{
	*strrchr(path, '/') = '\0';
	return segment_sync_dir(path, e);
}

/* Appends the range to SEGMENT.damaged or the like, durable before the segment may go. */
static enum status
keep_aside(const struct replay *r, const char *suffix, uint64_t from, uint64_t to,
    char *room, struct err *e)
{
	char path[SEGMENT_PATH_BYTES + sizeof(".damaged")];
	enum status st;
	int fd;

	(void)snprintf(path, sizeof(path), "%s%s", r->path, suffix);
	fd = io.open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0)
		return err_fail(
		    e, ST_IO, "%s: cannot be created: %s", path, strerror(errno));
	st = copy_range(r, from, to, path, fd, room, e);
	(void)io.close(fd);
	return st == ST_OK ? sync_name(path, e) : st;
}

/* What a segment begins with; another type of record, if it follows none. */
static enum status
read_first(
    const struct replay *r, uint64_t end, char *room, struct record *out, struct err *e)
{
	size_t n = at_most(end, RECORD_BYTES), used;
	enum status st = read_at(r, 0, room, n, e);

	if (st == ST_OK && record_get(lz_strn(room, n), out, &used) != ST_OK)
		out->type = RECORD_RESERVE;
	return st;
}

enum status
replay_follows(const struct replay *r, const struct replay_end *before, uint64_t end,
    char room[REPLAY_ROOM], bool *is_next, struct err *e)
{
	const struct segment *s = &r->segment, *b = &before->segment;
	struct record first;
	enum status st;

	*is_next = true;
	if (r->is_known || s->seq == 0)
		return ST_OK;
	st = read_first(r, end, room, &first, e);
	if (st == ST_OK && first.type == RECORD_FOLLOWS)
		*is_next = b->worker == s->worker && b->boot == s->boot &&
			   b->seq + 1 == s->seq &&
			   before->bytes >= (uint64_t)first.follows.bytes;
	return st;
}

enum status
replay_set_aside(struct replay *r, uint64_t end, char room[REPLAY_ROOM], struct err *e)
{
	enum status st = keep_aside(r, ".damaged", r->offset, end, room, e);

	log_error("store.gap",
	    "segment=%s bytes=%llu kept_in=%s.damaged reason=\"the end of the segment "
	    "before it is lost, as after a power loss; nothing of this one was applied\"",
	    r->name, (unsigned long long)(end - r->offset), r->path);
	if (st == ST_OK)
		r->offset = end;
	return st;
}

enum status
replay_refuse(struct replay *r, uint64_t end, char room[REPLAY_ROOM], struct err *e)
{
	size_t n = at_most(end - r->offset, RECORD_BYTES), used;
	enum status st = read_at(r, r->offset, room, n, e);
	struct err why = *e;
	struct record record;

	if (st == ST_OK && record_get(lz_strn(room, n), &record, &used) != ST_OK)
		st = err_fail(e, ST_IO, "%s: changed at %llu", r->path,
		    (unsigned long long)r->offset);
	if (st == ST_OK)
		st = keep_aside(r, ".refused", r->offset, r->offset + used, room, e);
	if (st != ST_OK)
		return st;
	tell(TELL_RECORD_REFUSED,
	    "segment=%s offset=%llu kept_in=%s.refused reason=\"%s\"", r->name,
	    (unsigned long long)r->offset, r->path, why.text);
	metric_add(METRIC_DB_REFUSED, 1);
	r->offset += used;
	return ST_OK;
}

enum status
replay_pass(struct replay *r, uint64_t end, char room[REPLAY_ROOM], struct err *e)
{
	uint64_t next;
	enum status st = find_whole(r, r->offset, end, room, &next, e);

	if (st != ST_OK)
		return st;
	if (next == end) {
		log_info("store.torn_tail", "segment=%s offset=%llu bytes=%llu", r->name,
		    (unsigned long long)r->offset, (unsigned long long)(end - r->offset));
	} else {
		log_error("store.damaged",
		    "segment=%s offset=%llu bytes=%llu kept_in=%s.damaged reason=\"a "
		    "record's checksum is "
		    "wrong; it and all that follows were not applied\"",
		    r->name, (unsigned long long)r->offset,
		    (unsigned long long)(end - r->offset), r->path);
		st = keep_aside(r, ".damaged", r->offset, end, room, e);
	}
	if (st == ST_OK)
		r->offset = end;
	return st;
}
