/* mover.c - moves what the spools hold into the database, a step per worker and
 * transaction.
 *
 * A segment that another one follows is deleted when it was moved to its end and that is
 * durable. While nothing moves, nothing is opened, read or written: looking at the
 * positions is a load per worker.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/mover.h"

#include "base/mem.h"
#include "store/recover.h"

enum status
mover_open(struct mover *m, struct spool *const *spools, unsigned count, struct err *e)
{
	struct segment first;
	enum status st = ST_OK;

	m->room = mem_alloc(REPLAY_ROOM);
	m->source = mem_calloc(count, sizeof(*m->source));
	if (m->room == NULL || m->source == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory", m->dir);
	for (unsigned i = 0; st == ST_OK && i < count; i++) {
		m->source[i].spool = spools[i];
		spool_segment(spools[i], 0, &first);
		st = replay_open(&m->source[i].replay, m->dir, &first, m->db, e);
		m->count = i + 1;
	}
	return st;
}

void
mover_close(struct mover *m)
{
	for (unsigned i = 0; i < m->count; i++)
		replay_close(&m->source[i].replay);
	mem_free(m->source);
	mem_free(m->room);
}

/* Where the source's segment ends at present, and whether it will grow. */
static enum status
find_end(struct mover *m, struct source *one, uint64_t *end, bool *is_last, struct err *e)
{
	struct segment same = one->replay.segment;
	enum status st = ST_OK;
	uint32_t seq;

	if (one->replay.fd < 0) /* it could not be opened the last time */
		st = replay_open(&one->replay, m->dir, &same, m->db, e);
	spool_position(one->spool, &seq, end);
	*is_last = seq == same.seq;
	return st != ST_OK || *is_last ? st : replay_size(&one->replay, end, e);
}

/* With the end of a segment, in one transaction: recovery then knows that the next one
 * follows, though this one was deleted. */
static enum status
announce_next(struct mover *m, const struct source *one, struct err *e)
{
	struct segment next = one->replay.segment;
	char name[SEGMENT_NAME_BYTES];

	next.seq++;
	segment_name(&next, name);
	return db_position_set(m->db, lz_strz(name), 0, e);
}

/* A step of one source. *more: it has more to move. */
static enum status
move_source(struct mover *m, struct source *one, bool *more, struct err *e)
{
	struct replay *r = &one->replay;
	bool is_last, is_whole = true;
	uint64_t end;
	enum status st = find_end(m, one, &end, &is_last, e);

	if (st == ST_OK && r->offset < end)
		st = replay_step(r, m->db, end, m->room, &is_whole, e);
	if (st == ST_OK && !is_whole)
		st = replay_pass(r, end, m->room, e);
	if (st == ST_OK && !is_whole)
		st = db_position_set(m->db, lz_strz(r->name), r->offset, e);
	if (st != ST_OK)
		return st;
	one->is_finished = !is_last && r->offset == end;
	if (one->is_finished)
		st = announce_next(m, one, e);
	*more = *more || one->is_finished || r->offset < end;
	return st;
}

bool
mover_has_work(const struct mover *m)
{
	const struct source *one;
	uint64_t bytes;
	uint32_t seq;

	for (unsigned i = 0; i < m->count; i++) {
		one = &m->source[i];
		spool_position(one->spool, &seq, &bytes);
		if (seq != one->replay.segment.seq || bytes != one->replay.offset)
			return true;
	}
	return false;
}

/* Back to what the database has: a commit that was reported as failed may stand all the
 * same. */
static enum status
rewind_sources(struct mover *m, struct err *e)
{
	enum status st = ST_OK;

	for (unsigned i = 0; st == ST_OK && i < m->count; i++) {
		m->source[i].is_finished = false;
		st = replay_rewind(&m->source[i].replay, m->db, e);
	}
	m->must_rewind = st != ST_OK;
	return st;
}

/* Deletes the segments that were moved to their end, and goes on with the next ones. */
static enum status
delete_finished(struct mover *m, struct err *e)
{
	enum status st = ST_OK;
	struct segment next;
	struct source *one;

	for (unsigned i = 0; st == ST_OK && i < m->count; i++) {
		one = &m->source[i];
		if (!one->is_finished)
			continue;
		st = recover_delete(m->db, m->dir, &one->replay.segment, 1, e);
		if (st != ST_OK)
			break;
		one->is_finished = false;
		spool_segment(one->spool, one->replay.segment.seq + 1, &next);
		replay_close(&one->replay);
		st = replay_open(&one->replay, m->dir, &next, m->db, e);
	}
	return st;
}

/* The number of a source that must be careful; m->count: none. */
static unsigned
careful_source(const struct mover *m)
{
	unsigned i = 0;

	while (i < m->count && !replay_is_careful(&m->source[i].replay))
		i++;
	return i;
}

/* One transaction of at most a step per source; of one only while it must be careful. */
static enum status
move_step(struct mover *m, bool *more, bool *is_durable, struct err *e)
{
	unsigned careful = careful_source(m);
	bool is_careful = careful < m->count;
	enum status st = db_begin(m->db, e);

	if (st != ST_OK)
		return st;
	*more = *more || is_careful;
	for (unsigned i = 0; st == ST_OK && i < m->count; i++) {
		if (is_careful && i != careful)
			continue;
		st = move_source(m, &m->source[i], more, e);
		*is_durable = *is_durable || m->source[i].is_finished;
	}
	if (st == ST_OK)
		return db_commit(m->db, *is_durable, e);
	db_rollback(m->db);
	return st;
}

/* One transaction: sets the record aside that the source stands before. */
static enum status
refuse_record(struct mover *m, struct source *one, struct err *e)
{
	uint64_t end;
	bool is_last;
	enum status st = find_end(m, one, &end, &is_last, e);

	if (st == ST_OK)
		st = db_begin(m->db, e);
	if (st != ST_OK)
		return st;
	st = replay_refuse(&one->replay, end, m->room, e);
	if (st == ST_OK)
		st = db_position_set(
		    m->db, lz_strz(one->replay.name), one->replay.offset, e);
	if (st == ST_OK)
		return db_commit(m->db, false, e);
	db_rollback(m->db);
	return st;
}

/* A record that the database never accepts must not stop those behind it: all are moved
 * one by one, and that one is set aside. */
static enum status
work_around(struct mover *m, struct err *e)
{
	unsigned careful = careful_source(m);
	enum status st = ST_OK;
	uint64_t end;
	bool is_last;

	if (careful < m->count)
		return refuse_record(m, &m->source[careful], e);
	for (unsigned i = 0; st == ST_OK && i < m->count; i++) {
		st = find_end(m, &m->source[i], &end, &is_last, e);
		if (st == ST_OK)
			replay_be_careful(&m->source[i].replay, end);
	}
	return st;
}

enum status
mover_step(struct mover *m, bool *more, struct err *e)
{
	bool is_durable = false;
	enum status st = m->must_rewind ? rewind_sources(m, e) : ST_OK;

	*more = false;
	if (st != ST_OK || !mover_has_work(m))
		return st;
	st = move_step(m, more, &is_durable, e);
	if (st != ST_OK && db_has_refused(m->db)) {
		*more = true;
		is_durable = false;
		st = rewind_sources(m, NULL);
		if (st == ST_OK)
			st = work_around(m, e);
	}
	m->must_rewind = st != ST_OK;
	return st == ST_OK && is_durable ? delete_finished(m, e) : st;
}

enum status
mover_finish(struct mover *m, struct err *e)
{
	enum status st = db_begin(m->db, e);

	if (st == ST_OK)
		st = db_commit(m->db, true, e);
	for (unsigned i = 0; st == ST_OK && i < m->count; i++)
		st = recover_delete(m->db, m->dir, &m->source[i].replay.segment, 1, e);
	return st;
}
