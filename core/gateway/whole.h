/* whole.h - struct gateway, for the files that start, change and stop it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_WHOLE_H
#define GATEWAY_WHOLE_H

#include <stdatomic.h>
#include "gateway/inside.h"

enum {
	GATEWAY_WORKERS = 128,
	GATEWAY_LISTENS = 8
};

/* What a running process cannot change, as it was at its start. */
struct as_started {
	struct net_addr listen[GATEWAY_LISTENS];
	size_t listen_count;
	unsigned workers;
	char *data, *timezone;
};

struct gateway {
	struct config_options options;
	struct as_started started;
	struct config *config; /* [main]'s reference */
	struct loop *loop;     /* [main]'s */
	struct datadir data;
	struct keyring keyring;
	bool has_data;
	struct storage *storage;
	struct ledger *ledger;
	struct keys *keys;
	struct pool *pool;
	_Atomic size_t provider_count; /* of config, for workers */
	unsigned worker_count;
	struct worker *worker;
	struct loop *loops[GATEWAY_WORKERS];
	struct spool *spools[GATEWAY_WORKERS];
	struct net_addr bound[GATEWAY_LISTENS]; /* as bound: port 0 became a number */
	unsigned running;                       /* workers whose thread runs */
	pthread_mutex_t refused_lock;
	struct err refused; /* why the last reload was refused; empty: it was not */
	char *spool_dir;    /* kept for the spools */

	/* draining */
	struct loop_task drained[GATEWAY_WORKERS];
	struct loop_task drain[GATEWAY_WORKERS];
	struct loop_task ending[GATEWAY_WORKERS];
	unsigned to_drain;
	struct loop_timer drain_timer;
	loop_fn *drain_done;
	void *drain_arg;
	atomic_bool is_draining;
};

/* ---- workers.c ---- */
enum status workers_make(
    struct gateway *g, struct err *e) MUST_CHECK; /* loops, servers, upstreams */
enum status workers_listen(
    struct gateway *g, struct err *e) MUST_CHECK; /* sockets for every worker */
enum status workers_start(struct gateway *g, struct err *e) MUST_CHECK; /* threads */
/* Gives each worker its own reference to the new configuration, in one of its next turns.
 */
void workers_configure(struct gateway *g, struct config *c);
void workers_drain(struct gateway *g);
void workers_stop(struct gateway *g); /* ends loops and joins threads */
void workers_free(struct gateway *g);

/* ---- publish.c: keys from the database and the file ---- */
/* A row's settings as a tree: owned, also on failure; NULL: they cannot be read. */
enum status publish_settings(lz_str row, json_t **out, struct err *e) MUST_CHECK;
enum status publish_all(
    struct gateway *g, struct db *db, struct err *e) MUST_CHECK; /* at start */
/* The file's keys as of g->config; what the file had before and has no more is disabled.
 * Also remembered in the database. db NULL: through the storage thread. */
enum status publish_file_keys(struct gateway *g, const struct config *before,
    struct db *db, struct err *e) MUST_CHECK;

#endif
