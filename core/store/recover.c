/* recover.c - the spool of earlier runs, whatever their number of workers was.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/recover.h"

#include <errno.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "store/replay.h"

/* The segments that are present, in the order of their writing. */
struct recovery {
	struct db *db;
	const char *dir;
	const struct segment *list;
	size_t count;
	char *room;
};

enum how_to_go_on {
	APPLY,     /* what is whole, as far as the room reaches */
	PASS,      /* what is no record */
	SET_ASIDE, /* all that is left of it */
	REFUSE     /* one record that the database does not accept */
};

/* One transaction. *is_whole false: there is no whole record at the offset. */
static enum status
go_on(const struct recovery *v, struct replay *r, uint64_t end, enum how_to_go_on how,
    bool *is_whole, struct err *e)
{
	enum status st = db_begin(v->db, e);

	*is_whole = true;
	if (st != ST_OK)
		return st;
	if (how == APPLY)
		st = replay_step(r, v->db, end, v->room, is_whole, e);
	else if (how == PASS)
		st = replay_pass(r, end, v->room, e);
	else if (how == REFUSE)
		st = replay_refuse(r, end, v->room, e);
	else
		st = replay_set_aside(r, end, v->room, e);
	if (st == ST_OK && how != APPLY)
		st = db_position_set(v->db, lz_strz(r->name), r->offset, e);
	if (st == ST_OK)
		return db_commit(v->db, false, e);
	db_rollback(v->db);
	return st;
}

static enum status
open_segment(const struct recovery *v, const struct segment *s, struct replay *r,
    uint64_t *end, struct err *e)
{
	enum status st = replay_open(r, v->dir, s, v->db, e);

	return st == ST_OK ? replay_size(r, end, e) : st;
}

static bool
is_same_run(const struct segment *a, const struct segment *b)
{
	return a->worker == b->worker && a->boot == b->boot;
}

/* Sets segment i and those behind it aside. The last one first: as long as segment i is
 * not known, a recovery that was killed here comes back. */
static enum status
cut_off(const struct recovery *v, size_t i, struct err *e)
{
	size_t last = i;
	enum status st = ST_OK;
	struct replay r;
	uint64_t end;
	bool is_whole;

	while (last + 1 < v->count && is_same_run(&v->list[i], &v->list[last + 1]))
		last++;
	for (size_t k = last + 1; st == ST_OK && k > i; k--) {
		st = open_segment(v, &v->list[k - 1], &r, &end, e);
		if (st == ST_OK && !r.is_known)
			st = go_on(v, &r, end, SET_ASIDE, &is_whole, e);
		replay_close(&r);
	}
	return st;
}

/* Before the end of segment i is given up: what does not follow without it is set aside
 * first, since after that nothing would tell. */
static enum status
check_next(const struct recovery *v, size_t i, uint64_t whole, struct err *e)
{
	struct replay_end before = { v->list[i], whole };
	bool is_next = true;
	struct replay r;
	uint64_t end;
	enum status st;

	if (i + 1 == v->count || !is_same_run(&v->list[i], &v->list[i + 1]))
		return ST_OK;
	st = open_segment(v, &v->list[i + 1], &r, &end, e);
	if (st == ST_OK)
		st = replay_follows(&r, &before, end, v->room, &is_next, e);
	replay_close(&r);
	return st == ST_OK && !is_next ? cut_off(v, i + 1, e) : st;
}

/* A record that is never accepted must not stop those behind it: they are applied one by
 * one, and that one is set aside. */
static enum status
apply(const struct recovery *v, struct replay *r, uint64_t end, bool *is_whole,
    struct err *e)
{
	enum status st = go_on(v, r, end, APPLY, is_whole, e), rewound;

	if (st == ST_OK || !db_has_refused(v->db))
		return st;
	*is_whole = true;
	rewound = replay_rewind(r, v->db, NULL);
	if (rewound != ST_OK)
		return rewound;
	if (replay_is_careful(r))
		return go_on(v, r, end, REFUSE, is_whole, e);
	replay_be_careful(r, end);
	return ST_OK;
}

static enum status
replay_whole(
    const struct recovery *v, size_t i, struct replay *r, uint64_t end, struct err *e)
{
	bool is_whole = true;
	enum status st = ST_OK;

	while (st == ST_OK && is_whole && r->offset < end)
		st = apply(v, r, end, &is_whole, e);
	if (st == ST_OK && !is_whole)
		st = check_next(v, i, r->offset, e);
	if (st == ST_OK && !is_whole)
		st = go_on(v, r, end, PASS, &is_whole, e);
	return st;
}

/* Segment i. *before: how far the one before was whole; then this one. */
static enum status
replay_all(const struct recovery *v, size_t i, struct replay_end *before, struct err *e)
{
	struct replay r;
	uint64_t end = 0;
	bool is_next = true;
	enum status st = open_segment(v, &v->list[i], &r, &end, e);

	if (st == ST_OK)
		st = replay_follows(&r, before, end, v->room, &is_next, e);
	if (st == ST_OK && is_next)
		st = replay_whole(v, i, &r, end, e);
	*before = (struct replay_end){ r.segment, r.offset };
	replay_close(&r);
	return st == ST_OK && !is_next ? cut_off(v, i, e) : st;
}

static enum status
settle_open(struct db *d, enum db_uncertain how, int64_t *count, struct err *e)
{
	enum status st = db_begin(d, e);

	if (st != ST_OK)
		return st;
	st = db_settle_open(d, how, clock_unix_ms(), count, e);
	if (st == ST_OK)
		return db_commit(d, true, e);
	db_rollback(d);
	return st;
}

static enum status
forget_positions(struct db *d, const struct segment *list, size_t count, struct err *e)
{
	char name[SEGMENT_NAME_BYTES];
	enum status st = db_begin(d, e);

	if (st != ST_OK)
		return st;
	for (size_t i = 0; st == ST_OK && i < count; i++) {
		segment_name(&list[i], name);
		st = db_position_forget(d, lz_strz(name), e);
	}
	if (st == ST_OK)
		return db_commit(d, false, e);
	db_rollback(d);
	return st;
}

enum status
recover_delete(struct db *d, const char *dir, const struct segment *list, size_t count,
    struct err *e)
{
	char path[SEGMENT_PATH_BYTES];
	enum status st;

	if (count == 0)
		return ST_OK;
	for (size_t i = 0; i < count; i++) {
		if (segment_path(dir, &list[i], "", path) != ST_OK)
			return err_fail(e, ST_LIMIT, "%s: the path is too long", dir);
		if (io.unlink(path) != 0 && errno != ENOENT)
			return err_fail(
			    e, ST_IO, "%s: cannot be deleted: %s", path, strerror(errno));
	}
	st = segment_sync_dir(dir, e);
	return st == ST_OK ? forget_positions(d, list, count, e) : st;
}

/* Positions of segments that are not there any more: of a run that was killed between
 * deleting and forgetting, or of another machine, in a backup that was restored. This run
 * may use their names again. */
static enum status
clear_positions(struct db *d, struct err *e)
{
	enum status st = db_begin(d, e);

	if (st != ST_OK)
		return st;
	st = db_position_clear(d, e);
	if (st == ST_OK)
		return db_commit(d, false, e);
	db_rollback(d);
	return st;
}

static enum status
recover_list(struct db *d, const char *dir, enum db_uncertain how,
    const struct segment *list, size_t count, struct err *e)
{
	struct recovery v = { d, dir, list, count, mem_alloc(REPLAY_ROOM) };
	struct replay_end before = { .bytes = 0 };
	enum status st = ST_OK;
	int64_t uncertain = 0;

	if (v.room == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory", dir);
	for (size_t i = 0; st == ST_OK && i < count; i++)
		st = replay_all(&v, i, &before, e);
	mem_free(v.room);
	if (st == ST_OK)
		st = settle_open(d, how, &uncertain, e);
	if (st == ST_OK)
		st = recover_delete(d, dir, list, count, e);
	if (st == ST_OK)
		st = clear_positions(d, e);
	if (st == ST_OK && (count > 0 || uncertain > 0))
		log_info("store.replayed", "segments=%zu uncertain=%lld", count,
		    (long long)uncertain);
	metric_add(METRIC_UNCERTAIN, uncertain);
	return st;
}

enum status
recover_spool(struct db *d, const char *dir, enum db_uncertain how, struct err *e)
{
	struct segment *list = NULL;
	size_t count = 0;
	enum status st = segment_list(dir, &list, &count, e);

	if (st == ST_OK)
		st = recover_list(d, dir, how, list, count, e);
	mem_free(list);
	return st;
}
