/* recover.h - what happens to the spool of earlier runs before anything listens. Private
 * to store/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_RECOVER_H
#define STORE_RECOVER_H

#include "store/db.h"
#include "store/segment.h"

/* Replays every segment in `dir`, settles what was left open, deletes the segments. May
 * be killed at any instant and begun again. */
enum status recover_spool(
    struct db *d, const char *dir, enum db_uncertain how, struct err *e) MUST_CHECK;
/* Deletes segments whose rows are durable, then their positions. The order matters: a
 * segment without its position would be replayed from its beginning. */
enum status recover_delete(struct db *d, const char *dir, const struct segment *list,
    size_t count, struct err *e) MUST_CHECK;

#endif
