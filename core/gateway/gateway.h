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
 * spend, starts the plugins' instances and opens the listening sockets. Nobody is served
 * yet. [main] */
struct gateway *gateway_start(
    const struct gateway_options *o, struct err *e); /* owned: gateway_stop() */
/* Starts the workers and says that the gateway is ready; once, when every other door of
 * the process is open. ST_IO: the system gives no thread. [main] */
enum status gateway_serve(struct gateway *g, struct err *e) MUST_CHECK;
/* Stops accepting, lets requests finish for at most drain_ms, stops workers and storage;
 * `done` runs on [main]. */
void gateway_drain(struct gateway *g, unsigned drain_ms, loop_fn *done, void *arg);
/* After `done`, or when main's loop was stopped before; runs what was posted there. */
void gateway_stop(struct gateway *g);
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
/* What came of a question; result is owned by who hears it, NULL unless st is ST_OK.
 * Once, also from inside the call that asked. Where the gateway ends before: from
 * gateway_stop(). [main] */
typedef void gateway_heard_fn(
    void *arg, enum status st, json_t *result, const struct err *e);
enum {
	GATEWAY_QUESTION_BYTES = 1 << 20 /* of a body */
};
/* What a command asks: who would serve this body under this key? */
struct gateway_question {
	lz_str key, strategy; /* strategy absent: the key's */
	const json_t *body;
};
/* The table (policy/policy.h). ST_NOT_FOUND: no such key. ST_INVALID: the request would
 * be refused before there are candidates; e says why. [main] */
void gateway_explain(struct gateway *g, const struct gateway_question *q,
    gateway_heard_fn *heard, void *arg);
/* What do guardrails make of a text? */
struct gateway_guard_question {
	lz_str key;          /* whose request it would be; absent: nobody's */
	const json_t *names; /* of guardrails, to be asked in this order; NULL: all that
				hold for the key */
	/* A request for chat or embeddings, or an answer: exactly one of body and text.
	 */
	const json_t *body;
	lz_str text;
	bool is_answer;
	int64_t stream_every; /* bytes of a text that come at a time; 0: it is whole */
};
/* {"phase", "outcome", "verdicts": [...], "text" or "body": as it would go on, ...}:
 * gateway/README.md. ST_NOT_FOUND: no such key, no such guardrail, or none at all.
 * ST_INVALID: they do not look at that, or it is nothing that could be asked. [main] */
void gateway_guard_test(struct gateway *g, const struct gateway_guard_question *q,
    gateway_heard_fn *heard, void *arg);
enum status gateway_key_changed(
    struct gateway *g, lz_str id, const struct db_key *k, struct err *e) MUST_CHECK;
enum status gateway_profile_changed(
    struct gateway *g, lz_str id, const struct db_profile *row, struct err *e) MUST_CHECK;
unsigned gateway_port(
    const struct gateway *g, size_t i); /* of the i-th listen address, as bound */

#endif
