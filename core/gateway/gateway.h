/* gateway.h - the whole: configuration, keys, ledger, storage and workers, started and
 * stopped as one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "key/keys.h"
#include "request/request.h"

struct gateway;

struct gateway_options {
	const struct config_options *config; /* kept: reload reads it again */
	const char *data_dir;                /* instead of the file's; NULL: the file's */
	struct loop *loop;                   /* [main]'s */
};

/* Loads the configuration, opens the data directory, recovers the spool, loads keys and
 * spend, starts the plugins' instances, opens the listening sockets and starts the
 * workers. [main] */
struct gateway *gateway_start(
    const struct gateway_options *o, struct err *e); /* owned: gateway_stop() */
/* Stops accepting, lets requests finish for at most drain_ms, stops workers and storage;
 * `done` runs on [main]. */
void gateway_drain(struct gateway *g, unsigned drain_ms, loop_fn *done, void *arg);
void gateway_stop(struct gateway *g); /* after `done` */
/* All or nothing. *report (may be NULL): {"changes": text, one change a line}; owned.
 * [main] */
enum status gateway_reload(struct gateway *g, json_t **report, struct err *e) MUST_CHECK;
const struct config *gateway_config(const struct gateway *g);
const struct datadir *gateway_datadir(const struct gateway *g);
const struct keyring *gateway_keyring(const struct gateway *g);
struct storage *gateway_storage(struct gateway *g);
struct keys *gateway_keys(struct gateway *g);
struct ledger *gateway_ledger(struct gateway *g);
bool gateway_is_ready(struct gateway *g, struct err *why);
/* What a command asks: who would serve this body under this key? */
struct gateway_question {
	lz_str key, body, strategy; /* strategy absent: the key's */
	enum request_kind kind;
};
/* The table as JSON (policy/policy.h) into `table`. ST_NOT_FOUND: no such key.
 * ST_INVALID: the request would be refused before there are candidates; e says why.
 * [main] */
enum status gateway_explain(struct gateway *g, const struct gateway_question *asked,
    struct buf *table, struct err *e) MUST_CHECK;
enum status gateway_key_changed(
    struct gateway *g, lz_str id, const struct db_key *k, struct err *e) MUST_CHECK;
enum status gateway_profile_changed(
    struct gateway *g, lz_str id, const struct db_profile *row, struct err *e) MUST_CHECK;
unsigned gateway_port(
    const struct gateway *g, size_t i); /* of the i-th listen address, as bound */

#endif
