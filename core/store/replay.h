/* replay.h - reads a segment of the spool and applies it to the database.
 *
 * Used by recovery at start and by the storage thread while the segment still grows.
 * Private to store/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_REPLAY_H
#define STORE_REPLAY_H

#include "store/db.h"
#include "store/segment.h"

enum {
	REPLAY_ROOM = 1 << 20
}; /* bytes of one step; holds at least one record */

struct replay {
	struct segment segment;
	char name[SEGMENT_NAME_BYTES];
	char path[SEGMENT_PATH_BYTES];
	int fd;          /* -1: closed */
	uint64_t offset; /* what lies before it was applied */
	bool is_known;   /* the database had a position of it */
	uint64_t
	    careful_until; /* up to here a step is one record: one of them was refused
			    */
};

/* How far a segment was whole. */
struct replay_end {
	struct segment segment;
	uint64_t bytes;
};

/* Opens the segment where the database left it. */
enum status replay_open(struct replay *r, const char *dir, const struct segment *s,
    struct db *d, struct err *e) MUST_CHECK;
void replay_close(struct replay *r);
enum status replay_size(
    const struct replay *r, uint64_t *bytes, struct err *e) MUST_CHECK;
/* In a transaction: applies records up to `end` or as many as `room` holds, or one if it
 * must be careful, and writes the position. *is_whole false: at r->offset, before `end`,
 * there is no whole record. */
enum status replay_step(struct replay *r, struct db *d, uint64_t end,
    char room[REPLAY_ROOM], bool *is_whole, struct err *e) MUST_CHECK;
/* Whether nothing is missing between the end of the segment before and this one, which
 * was not begun. */
enum status replay_follows(const struct replay *r, const struct replay_end *before,
    uint64_t end, char room[REPLAY_ROOM], bool *is_next, struct err *e) MUST_CHECK;
/* In a transaction: all up to `end` goes to SEGMENT.damaged and into the log. */
enum status replay_set_aside(
    struct replay *r, uint64_t end, char room[REPLAY_ROOM], struct err *e) MUST_CHECK;
/* After db_has_refused(): goes on record by record up to `end`. */
void replay_be_careful(struct replay *r, uint64_t end);
bool replay_is_careful(const struct replay *r);
/* In a transaction: the record at the offset goes to SEGMENT.refused, which is a segment
 * itself, and into the log and the events. */
enum status replay_refuse(
    struct replay *r, uint64_t end, char room[REPLAY_ROOM], struct err *e) MUST_CHECK;
/* After a rollback: back to what the database has. */
enum status replay_rewind(struct replay *r, struct db *d, struct err *e) MUST_CHECK;
/* Passes over what is no whole record, up to `end`. The torn tail of a last write is cut
 * and told at level info. If whole records follow, the segment is damaged: what lies
 * between goes to SEGMENT.damaged and into the log. */
enum status replay_pass(
    struct replay *r, uint64_t end, char room[REPLAY_ROOM], struct err *e) MUST_CHECK;

#endif
