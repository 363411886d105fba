/* worker.h - one thread of the data plane and what it owns. Workers share nothing but the
 * cells.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REQUEST_WORKER_H
#define REQUEST_WORKER_H

#include <pthread.h>
#include "config/config.h"
#include "net/pool.h"
#include "net/server.h"
#include "net/upstream.h"
#include "store/spool.h"
#include "store/storage.h"

struct gateway; /* gateway/gateway.h: the whole */
struct asked;   /* gateway/asked.h */

struct worker {
	unsigned number;
	pthread_t thread;
	struct loop *loop;
	struct server *server;
	struct server_limits limits; /* of w->config; the server looks at them */
	struct upstream *upstream;
	struct spool *spool;
	struct loop_timer flush_timer;
	struct storage *storage; /* content queue only */
	struct pool *pool;
	struct config *config; /* this worker's reference; swapped by a posted task */
	struct gateway *gateway;
	unsigned in_flight;
	uint64_t id_state;             /* of request ids */
	struct arena *spare_arena[32]; /* kept for the next requests */
	unsigned spare_count;
	struct asked *asked; /* commands' requests that are under way */
};

#endif
