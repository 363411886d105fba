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

/* One transaction: a step, or the passing of what is no record. */
static enum status
replay_some(struct replay *r, struct db *d, uint64_t end, char *room, struct err *e)
{
	bool is_whole;
	enum status st = db_begin(d, e);

	if (st != ST_OK)
		return st;
	st = replay_step(r, d, end, room, &is_whole, e);
	if (st == ST_OK && !is_whole)
		st = replay_pass(r, end, room, e);
	if (st == ST_OK && !is_whole)
		st = db_position_set(d, lz_strz(r->name), r->offset, e);
	if (st == ST_OK)
		return db_commit(d, false, e);
	db_rollback(d);
	return st;
}

static enum status
replay_all(
    struct db *d, const char *dir, const struct segment *s, char *room, struct err *e)
{
	struct replay r;
	uint64_t end = 0;
	enum status st = replay_open(&r, dir, s, d, e);

	if (st == ST_OK)
		st = replay_size(&r, &end, e);
	while (st == ST_OK && r.offset < end)
		st = replay_some(&r, d, end, room, e);
	replay_close(&r);
	return st;
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
	char *room = mem_alloc(REPLAY_ROOM);
	enum status st = ST_OK;
	int64_t uncertain = 0;

	if (room == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory", dir);
	for (size_t i = 0; st == ST_OK && i < count; i++)
		st = replay_all(d, dir, &list[i], room, e);
	mem_free(room);
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
