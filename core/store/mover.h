/* mover.h - moves what the spools hold into the database. Private to store/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_MOVER_H
#define STORE_MOVER_H

#include "store/replay.h"
#include "store/spool.h"

/* One worker's spool, and how far it was moved. */
struct source {
	struct spool *spool;
	struct replay replay;
	bool is_finished; /* the segment was read to its end and another one follows */
};

struct mover {
	struct db *db;   /* borrowed until mover_close() */
	const char *dir; /* the same: of the segments */
	struct source *source;
	unsigned count;
	char *room;       /* REPLAY_ROOM */
	bool must_rewind; /* a transaction failed: the positions are to be read again */
};

/* db and dir are set. mover_close() also after a failure. */
enum status mover_open(struct mover *m, struct spool *const *spools, unsigned count,
    struct err *e) MUST_CHECK;
void mover_close(struct mover *m);
bool mover_has_work(const struct mover *m);
/* One transaction, of at most a step per source. *more: what was flushed before the call
 * is not all moved. */
enum status mover_step(struct mover *m, bool *more, struct err *e) MUST_CHECK;
/* All was moved, and nothing is appended any more: makes the last rows durable and
 * deletes the segments. */
enum status mover_finish(struct mover *m, struct err *e) MUST_CHECK;

#endif
