/* content.h - the bounded queue of prompts and answers on their way to the database.
 *
 * Private to store/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_CONTENT_H
#define STORE_CONTENT_H

#include <pthread.h>

#include "store/record.h"

struct content_page;

struct content {
	struct content *next;
	uint8_t id[RECORD_ID_BYTES];
	int64_t at_unix_ms;
	lz_str request, answer, candidates; /* right behind it */
	size_t bytes;
	struct content_page *page; /* where it stands; NULL: an allocation of its own */
};

struct content_queue {
	pthread_mutex_t lock;
	struct content *first, **last;
	size_t bytes, max_bytes;
	struct content_page *page; /* that is written to; NULL: none yet */
	struct content_page *spare;
	unsigned spares;
};

void content_init(struct content_queue *q, size_t max_bytes);
void content_free(struct content_queue *q);
/* Copies. false: it does not fit, or out of memory. [any] */
bool content_offer(struct content_queue *q, const struct content *c);
/* All there is, by id. owned: content_done() for each. [any] */
struct content *content_take(struct content_queue *q);
void content_done(struct content_queue *q, struct content *c); /* frees it */

#endif
